"""Compute Vietoris-Rips diagrams of every class and of a sample of all, at every noise level.

| output | holds |
| --- | --- |
| diagrams.parquet | every bar of every diagram; see stages/core/artifacts/diagrams.py |
| clouds.parquet | the images that the diagrams are of |
| summaries.csv | a row per group, noise, draw and dim: bars, persistence, entropy |
| diagrams.csv | finite bars of the sample of all classes, some of each noise and dim, to be drawn |
| diagrams_all.png | diagrams of the sample of all classes, a panel per level |
| diagrams_classes.png | diagrams of a few classes, a row per class |
| summaries.png | the summaries against the noise level |

A group's images are the same at every level and draw, so that a diagram changes by noise and
not by choice. Both halves of a group's images have diagrams too, for the yardsticks of `distances`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import numpy as np
import pandas as pd

from stages.core.artifacts.diagrams import (
    ALL,
    HALF_A,
    HALF_B,
    WHOLE,
    CloudKey,
    write_diagrams,
    write_members,
)
from stages.core.artifacts.embeddings import Embeddings, array_name, level_key, read_embeddings
from stages.core.figures.persistence import diagrams_figure, homology_group, summaries_figure
from stages.core.figures.style import save_figure
from stages.core.runtime.command import path_option, stage
from stages.core.runtime.errors import StudyError
from stages.core.runtime.files import rounded, whole_files, write_csv, write_json
from stages.core.runtime.parallel import available_cores, parallel_map
from stages.core.runtime.randomness import generator_for
from stages.core.topology.rips import (
    Cost,
    Engine,
    distance_matrix,
    estimate_cost,
    finite_bars,
    landmarks,
    persistence_diagrams,
    summarise,
)
from stages.settings.checks import require_no_class_named_all
from stages.settings.persistence import PersistenceParams

GIB = 2**30
DRAWN_CLASSES = 4
DRAWN_BARS = 150  # of each noise and dim in diagrams.csv
IN_METRICS = ("bars", "max_persistence", "mean_death", "entropy")


@dataclass(frozen=True)
class Cloud:
    """A cloud by where its points lie: `rows` (n,) of an array of the embeddings artifact."""

    key: CloudKey
    file: Path
    rows: np.ndarray

    def points(self) -> np.ndarray:
        """(n, d) float32, read from the file."""
        return np.load(self.file, mmap_mode="r")[self.rows]


@stage(PersistenceParams)
@path_option("--embeddings", "data/embeddings", "The embeddings artifact.")
@path_option("--diagrams", "data/diagrams", "The folder where diagrams.parquet goes.")
@path_option("--metrics", "metrics/persistence.json", "Where the metrics go.")
@path_option("--plots", "plots/persistence", "Where tables and pictures go.")
def persistence(
    params: PersistenceParams, embeddings: Path, diagrams: Path, metrics: Path, plots: Path
) -> None:
    """Compute persistence diagrams per class and noise level, and summarise them."""
    artifact = read_embeddings(embeddings)
    groups = choose_images(artifact, params)
    clouds = list_clouds(artifact, groups)
    estimate = partial(_estimate, params.max_dim, params.engine)
    costs = parallel_map(estimate, clouds, "estimating")
    workers = require_affordable(clouds, costs, params, available_cores())
    found = compute(clouds, params.max_dim, params.engine, workers)
    summaries = summaries_table(found)

    with whole_files(plots) as folder:
        write_csv(folder / "summaries.csv", summaries)
        write_csv(folder / "diagrams.csv", drawn_bars(found, params.seed))
        for name, figure in draw(found, summaries, groups):
            save_figure(figure, folder / f"{name}.png")
    ids = artifact.images["id"].to_numpy()
    content = write_diagrams(diagrams / "diagrams.parquet", found, artifact.run)
    write_members(
        diagrams / "clouds.parquet",
        {
            group: {part: ids[rows].tolist() for part, rows in parts.items()}
            for group, parts in groups.items()
        },
        content,
    )
    write_json(metrics, headline(summaries, groups))

    bars = sum(len(bars) for by_dim in found.values() for bars in by_dim)
    click.echo(
        f"{len(found)} clouds in H0 to H{params.max_dim}: {bars} bars; {len(groups) - 1} classes "
        f"and {len(groups[ALL][WHOLE])} images across all, at {len(artifact.levels)} noise levels"
    )


def choose_images(
    artifact: Embeddings, params: PersistenceParams
) -> dict[str, dict[str, np.ndarray]]:
    """{group: {part: rows of its images}}: each class with images, then `all`.

    The landmarks of a large class are chosen among its clean embeddings.
    """
    classes = [name for name in artifact.classes if len(artifact.rows(name))]
    require_no_class_named_all(classes, artifact.folder / "classes.csv")
    wholes = {}
    for name in classes:
        rows = artifact.rows(name)
        if params.points_per_class is not None and params.points_per_class < len(rows):
            generator = generator_for(params.seed, "landmarks", name)
            clean = artifact.array(0.0)[rows]
            rows = rows[landmarks(clean, params.points_per_class, generator)]
        wholes[name] = rows
    generator = generator_for(params.seed, "sample of all")
    wholes[ALL] = stratified_sample(artifact.labels, params.points_overall, generator)
    return {
        group: {
            WHOLE: rows,
            **stratified_halves(
                rows, artifact.labels[rows], generator_for(params.seed, "halves", group)
            ),
        }
        for group, rows in wholes.items()
    }


def stratified_sample(labels: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """`count` positions in `labels` (n,), as many of each label as can be; all where count >= n."""
    order = generator.permutation(len(labels))
    # The rank of an image among those of its label, in random order: taking the lowest ranks
    # first takes one image of every label in turn.
    ranks = pd.Series(labels[order]).groupby(labels[order]).cumcount().to_numpy()
    return np.sort(order[np.argsort(ranks, kind="stable")[:count]])


def stratified_halves(
    rows: np.ndarray, labels: np.ndarray, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """Two random disjoint parts of `rows` (n,) of n // 2 each, with equal shares of each label."""
    order = generator.permutation(len(rows))
    order = order[np.argsort(labels[order], kind="stable")]
    size = len(rows) // 2
    return {HALF_A: np.sort(rows[order[::2][:size]]), HALF_B: np.sort(rows[order[1::2][:size]])}


def list_clouds(artifact: Embeddings, groups: dict[str, dict[str, np.ndarray]]) -> list[Cloud]:
    """Every group at every level and draw, and its halves at draw 0; checks the arrays."""
    clouds = []
    arrays = [
        (level, draw)
        for level in artifact.levels
        for draw in range(artifact.draws if level > 0 else 1)
    ]
    for level, draw in arrays:
        artifact.array(level, draw)
    for group, parts in groups.items():
        for level, draw in arrays:
            file = artifact.folder / array_name(level, draw)
            for part, rows in parts.items():
                if len(rows) and (part == WHOLE or draw == 0):
                    clouds.append(Cloud(CloudKey(group, level, draw, part), file, rows))
    return clouds


def require_affordable(
    clouds: list[Cloud], costs: list[Cost], params: PersistenceParams, cores: int
) -> int:
    """The number of clouds to compute at once, at most `cores`.

    Raises StudyError where a diagram is estimated to need more memory, or all of them more
    time, than the params allow.
    """
    heaviest = max(range(len(clouds)), key=lambda i: costs[i].memory_bytes)
    needed = costs[heaviest].memory_bytes / GIB
    if needed > params.memory_gib:
        raise StudyError(
            f"persistence.memory_gib: {_described(clouds[heaviest], params)} would need about "
            f"{needed:.2g} GiB, {params.memory_gib:g} are allowed; "
            f"{_mend(clouds[heaviest], costs[heaviest], params.memory_gib / needed, params)}"
        )
    workers = max(1, min(cores, int(params.memory_gib / needed)))
    minutes = sum(cost.seconds for cost in costs) / 60 / workers
    if minutes > params.minutes:
        slowest = max(range(len(clouds)), key=lambda i: costs[i].seconds)
        raise StudyError(
            f"persistence.minutes: the diagrams would take about {minutes:.2g} minutes, "
            f"{workers} at a time, {params.minutes:g} are allowed, the longest "
            f"{_described(clouds[slowest], params)} with {costs[slowest].seconds / 60:.2g}; "
            f"{_mend(clouds[slowest], costs[slowest], params.minutes / minutes, params)}"
        )
    return workers


def _described(cloud: Cloud, params: PersistenceParams) -> str:
    return (
        f"H{params.max_dim} of {cloud.key.group} at noise {cloud.key.noise:.2f} "
        f"({len(cloud.rows)} points)"
    )


def _mend(cloud: Cloud, cost: Cost, share: float, params: PersistenceParams) -> str:
    """What to change so that a cloud costs no more than a `share` of its estimate."""
    key = "points_overall" if cloud.key.group == ALL else "points_per_class"
    points = max(4, int(0.9 * len(cloud.rows) * share ** (1 / cost.exponent)))
    fewer_dims = " or persistence.max_dim" if params.max_dim > 0 else ""
    return f"lower persistence.{key} to {points}{fewer_dims}, or raise the limit"


def compute(
    clouds: list[Cloud], max_dim: int, engine: Engine, workers: int | None = None
) -> dict[CloudKey, list[np.ndarray]]:
    """{cloud: its diagrams, (m, 2) by dimension}, in the order of `clouds`."""
    found = parallel_map(partial(_diagrams, max_dim, engine), clouds, "diagrams", workers)
    return dict(zip((cloud.key for cloud in clouds), found, strict=True))


def _estimate(max_dim: int, engine: Engine, cloud: Cloud) -> Cost:
    return estimate_cost(cloud.points(), max_dim, engine)


def _diagrams(max_dim: int, engine: Engine, cloud: Cloud) -> list[np.ndarray]:
    return persistence_diagrams(distance_matrix(cloud.points()), max_dim, engine)


def summaries_table(found: dict[CloudKey, list[np.ndarray]]) -> pd.DataFrame:
    """One row per whole cloud and dimension; a mean over no bars is NaN."""
    return pd.DataFrame(
        {
            "group": key.group,
            "noise": key.noise,
            "draw": key.draw,
            "dim": dim,
            **summarise(diagram).as_dict(),
        }
        for key, by_dim in found.items()
        if key.part == WHOLE
        for dim, diagram in enumerate(by_dim)
    )


def drawn_bars(found: dict[CloudKey, list[np.ndarray]], seed: int) -> pd.DataFrame:
    """Up to DRAWN_BARS finite bars of `all` for each noise and dim, of draw 0.

    They are drawn at random, except that the longest is always among them: it lies farthest
    from the diagonal, where a reader looks first.
    """
    tables = []
    for key, by_dim in found.items():
        if (key.group, key.draw, key.part) != (ALL, 0, WHOLE):
            continue
        for dim, diagram in enumerate(by_dim):
            bars = generator_for(seed, "drawn bars", key.noise, dim).permutation(
                finite_bars(diagram)
            )
            length = bars[:, 1] - bars[:, 0]
            longest_first = np.argsort(length < length.max(initial=0.0), kind="stable")
            birth, death = bars[longest_first[:DRAWN_BARS]].T
            tables.append(
                pd.DataFrame({"noise": key.noise, "dim": dim, "birth": birth, "death": death})
            )
    return pd.concat(tables).sort_values(["noise", "dim", "birth", "death"])


def draw(
    found: dict[CloudKey, list[np.ndarray]],
    summaries: pd.DataFrame,
    groups: dict[str, dict[str, np.ndarray]],
) -> Iterable[tuple[str, object]]:
    """(name, figure) of each picture."""
    levels = sorted(summaries["noise"].unique())

    def panels(group: str) -> dict[str, list[np.ndarray]]:
        return {f"noise {level:g}": found[CloudKey(group, level)] for level in levels}

    yield (
        "diagrams_all",
        diagrams_figure(
            f"Persistence diagrams of {len(groups[ALL][WHOLE])} image embeddings across "
            f"{len(groups) - 1} classes (finite bars)",
            {"": panels(ALL)},
        ),
    )
    chosen = spread_classes(summaries, DRAWN_CLASSES)
    yield (
        "diagrams_classes",
        diagrams_figure(
            "Persistence diagrams of classes (finite bars), from the least to the most total "
            f"{homology_group(summaries['dim'].max())} persistence when clean",
            {f"{name} ({len(groups[name][WHOLE])} images)": panels(name) for name in chosen},
            side=2.6,
        ),
    )
    yield "summaries", summaries_figure(summaries[summaries["draw"] == 0], ALL)


def spread_classes(summaries: pd.DataFrame, count: int) -> list[str]:
    """`count` classes from the least to the most persistence of the top dimension when clean."""
    top = (
        summaries[
            (summaries["noise"] == 0.0)
            & (summaries["dim"] == summaries["dim"].max())
            & (summaries["group"] != ALL)
        ]
        .sort_values("total_persistence", kind="stable")["group"]
        .tolist()
    )
    places = np.linspace(0, len(top) - 1, min(count, len(top))).round().astype(int)
    return [top[place] for place in places]


def headline(summaries: pd.DataFrame, groups: dict[str, dict[str, np.ndarray]]) -> dict:
    """The metrics: for each level, over the classes the mean of each summary, and that of `all`.

    Of draw 0. A quantity that no diagram has is left out.
    """
    essential = summaries.groupby("dim")["essential"].max()
    result: dict = {
        "classes": len(groups) - 1,
        "points_overall": len(groups[ALL][WHOLE]),
        "essential_bars_at_most": {f"h{dim}": int(count) for dim, count in essential.items()},
    }
    first = summaries[summaries["draw"] == 0]
    kinds = np.where(first["group"] == ALL, ALL, "class_mean")
    means = first.groupby(["noise", kinds, "dim"])[list(IN_METRICS)].mean()
    for (level, kind, dim), row in means.iterrows():
        scalars = {key: rounded(value) for key, value in row.items() if np.isfinite(value)}
        result.setdefault(level_key(level), {}).setdefault(kind, {})[f"h{dim}"] = scalars
    return result


if __name__ == "__main__":
    persistence()
