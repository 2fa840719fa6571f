"""Measure how far noise moves each diagram, beside what would move it without any effect.

| output | holds |
| --- | --- |
| distances.parquet | a row per group, noise, dim, metric and comparison |
| summary.csv | quartiles over the classes of the same |
| <metric>.png | distance against noise level, beside its yardstick |

A metric is one of DIAGRAM_DISTANCES in stages/core/topology/rips.py.

| comparison | between the diagrams of | images |
| --- | --- | --- |
| clean_noisy | the clean and the noisy cloud | the same |
| noisy_noisy | two independent draws of noise at one level | the same |
| half_clean_noisy | a clean half and the other half, noisy: the mean of both pairings | disjoint |
| half_clean_clean | the two clean halves; at noise 0.00, for every level | disjoint |

A diagram changes for three reasons: noise shifts it, noise scatters it, and other images of the
class would have given another one. `clean_noisy` has the first two, `noisy_noisy` the second
alone, and twice, since both sides are scattered: noise that only scattered would leave
`clean_noisy` below it. Neither has the third, because both sides show the same images. The third
is in both of the halves' comparisons, which differ in noise alone.

A whole is compared with a whole and a half with a half, never one with the other: Wasserstein
sums over bars, of which a whole has twice as many, and bars become shorter where points become
denser. `half_clean_noisy` pairs disjoint halves, as `half_clean_clean` does; the same half
on both sides would take the third reason out of one alone.

Without an effect of noise the two comparisons of halves have the same expectation, so that about
half of the classes would lie above their yardstick: a share of 0.5 is no finding, and with 47
classes a share up to 0.64 is within chance (binomial, 95%). A ratio below 1 is no proof of the
contrary in Wasserstein: noise that shortens the bars of a diagram brings it nearer to the others,
since an empty one is half as far from a full one as two full ones can be from each other. The
summaries of `persistence` tell these cases apart.
"""

from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import click
import numpy as np
import pandas as pd

from stages.core.artifacts.diagrams import (
    ALL,
    DISTANCES,
    HALF_A,
    HALF_B,
    YARDSTICKS,
    CloudKey,
    read_diagrams,
)
from stages.core.artifacts.embeddings import level_key
from stages.core.artifacts.tables import write_parquet
from stages.core.figures.persistence import distances_figure
from stages.core.figures.style import save_figure
from stages.core.runtime.command import path_option, stage
from stages.core.runtime.errors import StudyError
from stages.core.runtime.files import rounded, whole_files, write_csv, write_json
from stages.core.runtime.parallel import parallel_map
from stages.core.topology.rips import DIAGRAM_DISTANCES, diagram_distance, finite_bars
from stages.settings.distances import DistancesParams

# What a yardstick is called in a metric's name.
SHORT = {"noisy_noisy": "draws", "half_clean_clean": "halves"}
LEGEND = {
    "clean_noisy": "clean to noisy",
    "noisy_noisy": "noisy to noisy, another draw",
    "half_clean_noisy": "clean half to other half, noisy",
    "half_clean_clean": "clean half to other half, clean",
}

Diagrams = dict[CloudKey, list[np.ndarray]]


@dataclass(frozen=True)
class Comparison:
    """One row of the table to be: the distance is the mean over `pairs` of clouds."""

    group: str
    noise: float
    name: str
    pairs: tuple[tuple[CloudKey, CloudKey], ...]


@stage(DistancesParams)
@path_option("--diagrams", "data/diagrams", "The folder that holds diagrams.parquet.")
@path_option("--distances", "data/distances.parquet", "Where every distance goes.")
@path_option("--metrics", "metrics/distances.json", "Where the metrics go.")
@path_option("--plots", "plots/distances", "Where tables and pictures go.")
def distances(
    params: DistancesParams, diagrams: Path, distances: Path, metrics: Path, plots: Path
) -> None:
    """Compare clean with noisy diagrams, beside two yardsticks."""
    file = diagrams / "diagrams.parquet"
    source = read_diagrams(file)
    found = source.bars
    comparisons = list_comparisons(found)
    if not comparisons:
        raise StudyError(
            f"{file}: no group has a clean and a noisy diagram; add a noise level above 0 to "
            "embed.noise_levels"
        )
    table = distances_table(found, comparisons, params)
    of_classes = table[table["group"] != ALL]
    summary = summary_table(of_classes)

    with whole_files(plots) as folder:
        write_csv(folder / "summary.csv", summary)
        for metric in DIAGRAM_DISTANCES:
            save_figure(draw(of_classes, metric), folder / f"{metric}.png")
    about = {"run": source.run, "diagrams": source.content}
    write_parquet(distances, table, DISTANCES, about)
    write_json(metrics, headline(of_classes))

    classes = of_classes["group"].nunique()
    click.echo(
        f"{len(table)} distances of {classes} classes and of the sample across all, "
        f"at {of_classes['noise'].nunique() - 1} noise levels"
    )


def list_comparisons(found: Diagrams) -> list[Comparison]:
    """Every comparison whose diagrams exist, group by group and level by level."""
    listed = []
    for group, noise in dict.fromkeys((key.group, key.noise) for key in found):
        clean_a, clean_b = (CloudKey(group, 0.0, part=part) for part in (HALF_A, HALF_B))
        noisy_a, noisy_b = (CloudKey(group, noise, part=part) for part in (HALF_A, HALF_B))
        noisy, redrawn = (CloudKey(group, noise, draw) for draw in (0, 1))
        if noise == 0.0:
            candidates = {"half_clean_clean": ((clean_a, clean_b),)}
        else:
            candidates = {
                "clean_noisy": ((CloudKey(group, 0.0), noisy),),
                "noisy_noisy": ((noisy, redrawn),),
                "half_clean_noisy": ((clean_a, noisy_b), (clean_b, noisy_a)),
            }
        listed += [
            Comparison(group, noise, name, pairs)
            for name, pairs in candidates.items()
            if all(key in found for pair in pairs for key in pair)
        ]
    return listed if any(comparison.noise > 0 for comparison in listed) else []


def distances_table(
    found: Diagrams, comparisons: list[Comparison], params: DistancesParams
) -> pd.DataFrame:
    """One row per comparison, dimension and metric.

    Essential bars are set aside: each cloud has one, in H0, born at 0.
    """
    dims = range(len(next(iter(found.values()))))
    rows = list(product(comparisons, dims, DIAGRAM_DISTANCES))
    work = [
        (
            metric,
            [(finite_bars(found[a][dim]), finite_bars(found[b][dim])) for a, b in comparison.pairs],
        )
        for comparison, dim, metric in rows
    ]
    values = parallel_map(partial(_mean_distance, params), work, "distances")
    return pd.DataFrame(
        {
            "group": comparison.group,
            "noise": comparison.noise,
            "dim": dim,
            "metric": metric,
            "comparison": comparison.name,
            "distance": value,
        }
        for (comparison, dim, metric), value in zip(rows, values, strict=True)
    )


def _mean_distance(
    params: DistancesParams, job: tuple[str, list[tuple[np.ndarray, np.ndarray]]]
) -> float:
    metric, pairs = job
    settings = {"engine": params.wasserstein_engine, "hera_delta": params.hera_delta}
    return float(np.mean([diagram_distance(metric, a, b, **settings) for a, b in pairs]))


def summary_table(table: pd.DataFrame) -> pd.DataFrame:
    """Quartiles over the groups of `table`, a row per noise, dim, metric and comparison."""
    grouped = table.groupby(["noise", "dim", "metric", "comparison"])["distance"]
    return grouped.agg(
        classes="size",
        lower_quartile=lambda values: values.quantile(0.25),
        median="median",
        upper_quartile=lambda values: values.quantile(0.75),
    ).reset_index()


def headline(table: pd.DataFrame) -> dict:
    """The metrics, by level, dimension and metric, over the classes of `table`.

    median: of clean_noisy. ratio_to_<yardstick>: the median of a comparison over that of its
    yardstick. share_above_<yardstick>: the share of classes whose distance exceeds their own
    yardstick. A yardstick that does not exist (one draw) is left out, and so is a ratio to 0.
    """
    wide = table.pivot_table(
        index=["metric", "dim", "group"], columns=["comparison", "noise"], values="distance"
    )
    result: dict = {"classes": table["group"].nunique()}
    noisy = table[table["noise"] > 0]
    for level, dim, metric in product(*(noisy[key].unique() for key in ("noise", "dim", "metric"))):
        of_metric = wide.loc[(metric, dim)]
        scalars = {"median": rounded(of_metric["clean_noisy", level].median())}
        for name, yardstick in YARDSTICKS.items():
            at = 0.0 if yardstick == "half_clean_clean" else level
            if (name, level) not in of_metric or (yardstick, at) not in of_metric:
                continue
            measured, reference = of_metric[name, level], of_metric[yardstick, at]
            if reference.median() > 0:
                ratio = measured.median() / reference.median()
                scalars[f"ratio_to_{SHORT[yardstick]}"] = rounded(ratio)
            share = (measured > reference).mean()
            scalars[f"share_above_{SHORT[yardstick]}"] = rounded(share)
        result.setdefault(level_key(level), {}).setdefault(f"h{dim}", {})[metric] = scalars
    return result


def draw(table: pd.DataFrame, metric: str):
    """The figure of one metric: a row per dimension, a column per yardstick."""
    panels = [
        ("the same images", "clean_noisy", "noisy_noisy"),
        ("disjoint halves of a class", "half_clean_noisy", "half_clean_clean"),
    ]
    distance = DIAGRAM_DISTANCES[metric]
    convention = f" ({distance.convention})" if distance.convention else ""
    return distances_figure(
        f"{distance.label[0].upper()}{distance.label[1:]}{convention} of persistence diagrams\n"
        f"by noise level, {table['group'].nunique()} classes (thin lines)",
        distance.unit,
        table[table["metric"] == metric],
        panels,
        LEGEND,
    )


if __name__ == "__main__":
    distances()
