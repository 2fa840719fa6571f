"""Measure how far noise moves each diagram, beside what would move it without any effect.

| output | holds |
| --- | --- |
| distances.parquet | a row per group, noise, dim, metric and comparison |
| summary.csv | quartiles over the classes of the same |

A metric is one of DIAGRAM_DISTANCES in stages/core/topology/distances.py.

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
half of the classes would lie above their baseline: a share of 0.5 is no finding, and with 47
classes a share up to 0.64 is within chance (binomial, 95%). A ratio below 1 is no proof of the
contrary in Wasserstein: noise that shortens the bars of a diagram brings it nearer to the others,
since an empty one is half as far from a full one as two full ones can be from each other. The
summaries of `persistence` tell these cases apart.
"""

from itertools import product
from pathlib import Path

import click
import pandas as pd

from stages.core.artifacts.diagrams import (
    ALL,
    BASELINES,
    COMPARISONS,
    DISTANCES,
    Diagrams,
    read_diagrams,
)
from stages.core.artifacts.embeddings import level_key
from stages.core.artifacts.tables import write_parquet
from stages.core.runtime.budget import state_cost
from stages.core.runtime.command import path_option, stage
from stages.core.runtime.files import rounded, whole_files, write_csv, write_json
from stages.core.runtime.parallel import available_cores
from stages.core.runtime.wording import classes_of, count
from stages.core.topology.comparisons import distances_table, list_comparisons, summary_table
from stages.settings.distances import DistancesParams

# Both metrics, on one core.
SECONDS_A_COMPARISON, SECONDS_A_CELL = 0.004, 5e-7


@stage(DistancesParams)
@path_option("--diagrams", "data/diagrams", "The folder that holds diagrams.parquet.")
@path_option("--distances", "data/distances.parquet", "Where every distance goes.")
@path_option("--metrics", "metrics/distances.json", "Where the metrics go.")
@path_option("--plots", "plots/distances", "Where the table for readers goes.")
def distances(
    params: DistancesParams, diagrams: Path, distances: Path, metrics: Path, plots: Path
) -> None:
    """Compare clean with noisy diagrams, beside two baselines."""
    file = diagrams / "diagrams.parquet"
    source = read_diagrams(file)
    comparisons = list_comparisons(source.bars)
    _state_cost(source, comparisons, params.wasserstein_engine)
    settings = {"engine": params.wasserstein_engine, "hera_delta": params.hera_delta}
    table = distances_table(source.bars, comparisons, **settings)
    of_classes = table[table["group"] != ALL]

    about = {"run": source.run, "diagrams": source.content}
    write_parquet(distances, table, DISTANCES, about)
    with whole_files(plots) as folder:
        write_csv(folder / "summary.csv", summary_table(of_classes))
    write_json(metrics, _metrics(of_classes))

    classes, levels = of_classes["group"].nunique(), of_classes["noise"].nunique() - 1
    where = (
        f"at {count(levels, 'noise level')} above 0" if levels else "between halves of clean images"
    )
    click.echo(
        f"{count(len(table), 'distance')} of {classes_of(classes)} and of the sample across all, "
        f"{where}"
    )
    if not levels:
        click.echo("distances to noisy diagrams: not applicable, there is no noise level above 0")


def _state_cost(source: Diagrams, comparisons: list[tuple[str, float, str]], engine: str) -> None:
    """What the distances take: the exact one holds some four matrices of bars by bars."""
    workers = available_cores()
    bars = [
        max(len(source.bars[key][dim]) for pair in pairs for key in pair)
        for group, noise, name in comparisons
        if (pairs := COMPARISONS[name].pairs(group, noise))
        for dim in range(len(source.bars[pairs[0][0]]))
    ]
    state_cost(
        "distances",
        f"{count(len(bars), 'comparison')} of diagrams with up to {count(max(bars), 'bar')}",
        sum(SECONDS_A_COMPARISON + SECONDS_A_CELL * n**2 for n in bars) / workers,
        workers * 4 * 8 * max(bars) ** 2 if engine == "pot" else 0,
        "set distances.wasserstein_engine: hera or lower persistence.points_overall",
        workers,
    )


def _metrics(table: pd.DataFrame) -> dict:
    """By level, dimension and metric, over the classes of `table`.

    median: of clean_noisy. ratio_to_<baseline>: the median of a comparison over that of its
    baseline. share_above_<baseline>: the share of classes whose distance exceeds their own
    baseline. A baseline that does not exist (one draw) is left out, and so is a ratio to 0.
    """
    wide = table.pivot_table(
        index=["metric", "dim", "group"], columns=["comparison", "noise"], values="distance"
    )
    result: dict = {"classes": table["group"].nunique()}
    noisy = table[table["noise"] > 0]
    for level, dim, metric in product(*(noisy[key].unique() for key in ("noise", "dim", "metric"))):
        of_metric = wide.loc[(metric, dim)]
        scalars = {"median": rounded(of_metric["clean_noisy", level].median())}
        for name, baseline in BASELINES.items():
            short = COMPARISONS[baseline].short
            at = COMPARISONS[baseline].level(level)
            if (name, level) not in of_metric or (baseline, at) not in of_metric:
                continue
            measured, reference = of_metric[name, level], of_metric[baseline, at]
            if reference.median() > 0:
                scalars[f"ratio_to_{short}"] = rounded(measured.median() / reference.median())
            scalars[f"share_above_{short}"] = rounded((measured > reference).mean())
        result.setdefault(level_key(level), {}).setdefault(f"h{dim}", {})[metric] = scalars
    return result


if __name__ == "__main__":
    distances()
