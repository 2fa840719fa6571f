"""Compute Vietoris-Rips diagrams of every class and of a sample of all, at every noise level.

| output | holds |
| --- | --- |
| diagrams.parquet | every bar of every diagram; see stages/core/artifacts/diagrams.py |
| clouds.parquet | the images that the diagrams are of |
| summaries.parquet | a row per group, noise, draw and dim: bars, persistence, entropy |

A group's images are the same at every level and draw, so that a diagram changes by noise and
not by choice. Both halves of a group's images have diagrams too, for the baselines of `distances`.
"""

from pathlib import Path

import click
import numpy as np
import pandas as pd

from stages.core.artifacts.diagrams import ALL, WHOLE, write_diagrams, write_members
from stages.core.artifacts.embeddings import level_key, read_embeddings
from stages.core.artifacts.tables import write_parquet
from stages.core.runtime.budget import state_cost
from stages.core.runtime.command import path_option, stage
from stages.core.runtime.files import rounded, write_json
from stages.core.runtime.parallel import available_workers
from stages.core.runtime.wording import at_levels, classes_of, count
from stages.core.topology.clouds import choose_images, diagrams_of, list_clouds
from stages.core.topology.cost import estimate_costs, require_affordable
from stages.core.topology.metrics import chosen_ground, described
from stages.core.topology.summaries import SUMMARIES, summaries_table
from stages.settings.persistence import PersistenceParams

IN_METRICS = ("bars", "max_persistence", "mean_death", "entropy")


@stage(PersistenceParams)
@path_option("--embeddings", "data/embeddings", "The embeddings artifact.")
@path_option("--diagrams", "data/diagrams", "The folder where the diagrams go.")
@path_option("--metrics", "metrics/persistence.json", "Where the metrics go.")
def persistence(params: PersistenceParams, embeddings: Path, diagrams: Path, metrics: Path) -> None:
    """Compute persistence diagrams per class and noise level, and summarise them."""
    artifact = read_embeddings(embeddings)
    groups = choose_images(artifact, params.points_per_class, params.points_overall, params.seed)
    clouds = list_clouds(artifact, groups)
    ground = chosen_ground(
        params.metric, neighbours=params.neighbours, diffusion_steps=params.diffusion_steps
    )
    costs = estimate_costs(clouds, params.max_dim, params.engine, ground)
    workers = require_affordable(
        clouds, costs, params.max_dim, params.memory_gib, params.minutes, available_workers()
    )
    seconds = [cost.seconds for cost in costs]
    state_cost(
        "persistence",
        f"diagrams of {count(len(clouds), 'cloud')}, {workers} at a time",
        sum(seconds) / workers,
        workers * max(cost.memory_bytes for cost in costs),
        "lower persistence.memory_gib",
        workers,
    )
    found = diagrams_of(clouds, params.max_dim, params.engine, workers, seconds, ground)
    summaries = summaries_table(found)

    content = write_diagrams(diagrams / "diagrams.parquet", found, artifact.run, ground)
    ids = artifact.images["id"].to_numpy()
    members = {
        group: {part: ids[rows].tolist() for part, rows in parts.items()}
        for group, parts in groups.items()
    }
    write_members(diagrams / "clouds.parquet", members, content)
    about = {"run": artifact.run, "diagrams": content}
    write_parquet(diagrams / "summaries.parquet", summaries, SUMMARIES, about)
    write_json(metrics, _metrics(summaries, len(groups[ALL][WHOLE]), ground.metric))

    highest = f" to H{params.max_dim}" if params.max_dim else ""
    bars = sum(len(bars) for by_dim in found.values() for bars in by_dim)
    click.echo(
        f"{count(len(found), 'cloud')} in H0{highest}: {count(bars, 'bar')} "
        f"by {described(ground)}; "
        f"{classes_of(len(groups) - 1)} and {count(len(groups[ALL][WHOLE]), 'image')} across all, "
        f"{at_levels(artifact.levels)}"
    )


def _metrics(summaries: pd.DataFrame, points_overall: int, metric: str) -> dict:
    """For each level, the mean of each summary over the classes, and that of `all`.

    Of draw 0. A quantity that no diagram has is left out.
    """
    essential = summaries.groupby("dim")["essential"].max()
    result: dict = {
        "classes": summaries["group"].nunique() - 1,
        "points_overall": points_overall,
        "metric": metric,
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
