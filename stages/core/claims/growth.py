"""Claim 6: diagrams move away from the clean ones, farther with every level of noise.

The growth of a class is one vote, and a share of classes its effect: no class's scale outweighs
another's. Beside it stands from which level on most classes move farther than their baselines.
"""

from functools import partial
from math import factorial

import numpy as np
import pandas as pd

from stages.core.artifacts.diagrams import BASELINES, COMPARISONS, MOST_DIM
from stages.core.artifacts.tables import Schema, name, number, whole
from stages.core.claims.finding import NO_NOISE, Decision, Finding, above, by_ground
from stages.core.claims.sources import Sources
from stages.core.evaluation.statistics import Interval, share_interval
from stages.core.runtime.wording import classes_of
from stages.core.topology.distances import DIAGRAM_DISTANCES
from stages.settings.claims import ClaimsParams

# {column of the table: the comparison whose distances are counted above their baseline}
ABOVE = {f"above_{COMPARISONS[of].short}": name for name, of in BASELINES.items()}

_share = partial(number, low=0, high=1, missing=True)  # missing where nothing was compared

TABLES = {
    "growth": Schema(
        (
            name("metric", *DIAGRAM_DISTANCES),
            whole("dim", 0, MOST_DIM),
            number("noise", low=0),
            whole("classes", low=1),
            number("median", low=0),
            *map(_share, ABOVE),
        ),
        key=("metric", "dim", "noise"),
        may_be_empty=True,
    )
}


def decide(sources: Sources, params: ClaimsParams) -> Decision:
    """The claim, of every distance and dimension."""
    table = growth_table(sources.distances)
    found = findings(sources.distances, table, params.confidence)
    return {"growth": table}, by_ground(found, sources.ground)


def growth_table(distances: pd.DataFrame) -> pd.DataFrame:
    """One row per metric, dim and noisy level: how many classes lie above their baselines.

    distances: the table of `distances`, of classes. Columns: metric, dim, noise, classes, median
    of clean to noisy, and those of ABOVE: the share of classes above their baseline (NaN where
    there is no such comparison).
    """
    wide = distances.pivot_table(
        index=["metric", "dim", "group"], columns=["comparison", "noise"], values="distance"
    )
    levels = sorted(level for level in distances["noise"].unique() if level > 0)
    rows = []
    for (metric, dim), table in wide.groupby(level=["metric", "dim"]):
        for level in levels:
            row = {
                "metric": metric,
                "dim": dim,
                "noise": level,
                "classes": len(table),
                "median": table["clean_noisy", level].median(),
            }
            for column, comparison in ABOVE.items():
                baseline = BASELINES[comparison]
                reference = (baseline, COMPARISONS[baseline].level(level))
                known = (comparison, level) in table and reference in table
                row[column] = (
                    (table[comparison, level] > table[reference]).mean() if known else np.nan
                )
            rows.append(row)
    return pd.DataFrame(rows, columns=TABLES["growth"].names)


def findings(distances: pd.DataFrame, growth: pd.DataFrame, confidence: float) -> list[Finding]:
    """One finding per metric and dimension: the distance grows with every level.

    distances: as in `growth_table`, whose result is `growth`.
    """
    levels = sorted(growth["noise"].unique())
    found = []
    for metric, dim in distances.groupby(["metric", "dim"]).groups:
        by_level = growth[(growth["metric"] == metric) & (growth["dim"] == dim)]
        make = partial(
            Finding,
            6,
            f"{metric}_h{dim}_grows",
            f"the {DIAGRAM_DISTANCES[metric].label} of clean and noisy H{dim} grows with noise",
            "share of classes that grow at every level "
            f"(by chance {1 / factorial(len(levels)):.0%})",
            above(0.5),
        )
        if not levels:
            found.append(make(applicable=False, detail=NO_NOISE))
            continue
        if len(levels) < 2:
            nothing = "one noisy level has nothing to grow from"
            found.append(make(applicable=False, detail=nothing))
            continue
        table = distances[
            (distances["metric"] == metric)
            & (distances["dim"] == dim)
            & (distances["comparison"] == "clean_noisy")
        ].pivot_table(index="group", columns="noise", values="distance")
        grows = (np.diff(table.to_numpy(), axis=1) > 0).all(axis=1)
        share = share_interval(int(grows.sum()), len(grows), confidence)
        found.append(
            make(
                *share,
                units=classes_of(len(grows)),
                detail=_first_level(by_level, confidence),
            )
        )
    return found


def first_level_beyond(growth: pd.DataFrame, confidence: float) -> float | None:
    """The least level at which most classes lie above every baseline that exists, or None.

    growth: rows of one metric and dimension. 'Most' is a share whose interval lies above a half.
    """
    for row in growth.sort_values("noise").to_dict("records"):
        shares = [row[column] for column in ABOVE if np.isfinite(row[column])]
        intervals = [_of_share(share, row["classes"], confidence) for share in shares]
        if intervals and all(interval.low > 0.5 for interval in intervals):
            return row["noise"]
    return None


def _of_share(share: float, classes: int, confidence: float) -> Interval:
    return share_interval(round(share * classes), classes, confidence)


def _first_level(growth: pd.DataFrame, confidence: float) -> str:
    level = first_level_beyond(growth, confidence)
    if level is None:
        return "at no level beyond its baselines in most classes"
    return f"beyond its baselines in most classes from level {level:.2f} on"
