"""The comparisons that a study's diagrams allow, and the tables of their distances."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from itertools import product

import numpy as np
import pandas as pd

from stages.core.artifacts.diagrams import COMPARISONS, CloudKey
from stages.core.runtime.parallel import parallel_map
from stages.core.topology.bars import finite_bars
from stages.core.topology.distances import DIAGRAM_DISTANCES, diagram_distance


def list_comparisons(clouds: Collection[CloudKey]) -> list[tuple[str, float, str]]:
    """(group, noise, comparison) where all diagrams exist, group by group and level by level."""
    return [
        (group, noise, name)
        for group, noise in dict.fromkeys((key.group, key.noise) for key in clouds)
        for name, comparison in COMPARISONS.items()
        if comparison.of_clean == (noise == 0.0)
        and all(key in clouds for pair in comparison.pairs(group, noise) for key in pair)
    ]


def distances_table(
    diagrams: Mapping[CloudKey, Sequence[np.ndarray]],
    comparisons: Sequence[tuple[str, float, str]],
    **settings: object,
) -> pd.DataFrame:
    """One row per comparison, dimension and metric: the columns of DISTANCES.

    diagrams: {cloud: its diagrams, (m, 2) by dimension}. settings: those of `diagram_distance`.
    Essential bars are set aside: each cloud has one, in H0, born at 0.
    """
    dims = range(len(next(iter(diagrams.values()))))
    rows = list(product(comparisons, dims, DIAGRAM_DISTANCES))
    jobs = [
        (
            metric,
            [
                (finite_bars(diagrams[a][dim]), finite_bars(diagrams[b][dim]))
                for a, b in COMPARISONS[name].pairs(group, noise)
            ],
        )
        for (group, noise, name), dim, metric in rows
    ]
    values = parallel_map(partial(_mean_distance, settings), jobs, "distances")
    return pd.DataFrame(
        {
            "group": group,
            "noise": noise,
            "dim": dim,
            "metric": metric,
            "comparison": name,
            "distance": value,
        }
        for ((group, noise, name), dim, metric), value in zip(rows, values, strict=True)
    )


def _mean_distance(
    settings: Mapping[str, object], job: tuple[str, list[tuple[np.ndarray, np.ndarray]]]
) -> float:
    metric, pairs = job
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
