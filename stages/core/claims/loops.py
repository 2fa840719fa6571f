"""Claims 5 and 6: with more noise loops clump together and die sooner, and diagrams move away.

The sign of a class's trend is one vote, and a share of classes its effect: no class's scale
outweighs another's. Without a trend half of the signs go either way.
"""

from functools import partial
from math import factorial

import numpy as np
import pandas as pd

from stages.core.artifacts.diagrams import YARDSTICKS
from stages.core.claims.finding import Finding, above
from stages.core.evaluation.statistics import Interval, share_interval, spearman

LEAST_BARS = 3  # for a spread
METRICS = {"bottleneck": "bottleneck", "wasserstein": "1-Wasserstein"}
LOOP_TRENDS = {
    "spread": ("loops_clump", "points of H1 clump together as noise grows", "spread falls"),
    "mean_death": ("loops_die_sooner", "loops of H1 die sooner as noise grows", "mean death falls"),
}


def loops_table(diagrams: dict[str, dict[float, np.ndarray]]) -> pd.DataFrame:
    """One row per class and level: bars of H1, their spread, their mean death.

    diagrams: {class: {level: (m, 2)}}. spread: root mean square distance of (birth, death) from
    its mean. Classes with fewer than LEAST_BARS bars at any level are left out.
    """
    rows = [
        {
            "class": name,
            "noise": level,
            "bars": len(bars),
            "spread": np.sqrt(bars.var(axis=0).sum()),
            "mean_death": bars[:, 1].mean(),
        }
        for name, by_level in diagrams.items()
        if min(map(len, by_level.values())) >= LEAST_BARS
        for level, bars in by_level.items()
    ]
    return pd.DataFrame(rows, columns=["class", "noise", "bars", "spread", "mean_death"])


def loop_findings(table: pd.DataFrame, has_loops: bool, confidence: float) -> list[Finding]:
    """Claim 5, from `loops_table`; not applicable where no H1 was computed."""
    found = []
    for quantity, (key, statement, falls) in LOOP_TRENDS.items():
        make = partial(
            Finding,
            5,
            key,
            statement,
            f"share of classes whose {falls} with noise",
            above(0.5),
        )
        if not has_loops:
            found.append(make(applicable=False, detail="persistence.max_dim is 0"))
            continue
        wide = table.pivot_table(index="class", columns="noise", values=quantity)
        if wide.empty:
            found.append(make(detail=f"no class has {LEAST_BARS} loops at every level"))
            continue
        trend = spearman(wide.to_numpy(), wide.columns.to_numpy(dtype=float))
        share = share_interval(int((trend < 0).sum()), len(trend), confidence)
        noisiest = wide.columns[-1]
        change = (wide[noisiest] / wide[0.0] - 1).median()
        found.append(
            make(
                *share,
                units=f"{len(trend)} classes",
                detail=f"median change from clean to noise {noisiest:.2f} {change:+.0%}",
            )
        )
    return found


def growth_table(distances: pd.DataFrame) -> pd.DataFrame:
    """One row per metric, dim and noisy level: how many classes lie above their yardsticks.

    distances: the table of `distances`, of classes. Columns: metric, dim, noise, classes, median
    of clean to noisy, and above_draws, above_halves: the share of classes above another draw of
    the noise, and above two clean halves (NaN where there is no such comparison).
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
            for (name, yardstick), short in zip(
                YARDSTICKS.items(), ("above_draws", "above_halves"), strict=True
            ):
                reference = (yardstick, 0.0 if yardstick == "half_clean_clean" else level)
                known = (name, level) in table and reference in table
                row[short] = (table[name, level] > table[reference]).mean() if known else np.nan
            rows.append(row)
    return pd.DataFrame(rows)


def growth_findings(
    distances: pd.DataFrame, growth: pd.DataFrame, confidence: float
) -> list[Finding]:
    """Claim 6, one finding per metric and dimension: the distance grows with every level."""
    levels = sorted(growth["noise"].unique())
    found = []
    for (metric, dim), by_level in growth.groupby(["metric", "dim"]):
        make = partial(
            Finding,
            6,
            f"{metric}_h{dim}_grows",
            f"the {METRICS[metric]} distance of clean and noisy H{dim} grows with noise",
            "share of classes that grow at every level "
            f"(by chance {1 / factorial(len(levels)):.0%})",
            above(0.5),
        )
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
                units=f"{len(grows)} classes",
                detail=_first_level(by_level, confidence),
            )
        )
    return found


def first_level_beyond(growth: pd.DataFrame, confidence: float) -> float | None:
    """The least level at which most classes lie above every yardstick that exists, or None.

    growth: rows of one metric and dimension. 'Most' is a share whose interval lies above a half.
    """
    for row in growth.sort_values("noise").itertuples():
        shares = [share for share in (row.above_draws, row.above_halves) if np.isfinite(share)]
        intervals = [_of_share(share, row.classes, confidence) for share in shares]
        if intervals and all(interval.low > 0.5 for interval in intervals):
            return row.noise
    return None


def _of_share(share: float, classes: int, confidence: float) -> Interval:
    return share_interval(round(share * classes), classes, confidence)


def _first_level(growth: pd.DataFrame, confidence: float) -> str:
    level = first_level_beyond(growth, confidence)
    if level is None:
        return "at no level beyond its yardsticks in most classes"
    return f"beyond its yardsticks in most classes from level {level:.2f} on"
