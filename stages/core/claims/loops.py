"""Claim 5: with more noise the points of H1 clump together, and loops die sooner.

The sign of a class's trend is one vote, and a share of classes its effect: no class's scale
outweighs another's. Without a trend half of the signs go either way.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from stages.core.artifacts.tables import Schema, name, number, whole
from stages.core.claims.finding import NO_NOISE, Decision, Finding, above, by_ground
from stages.core.claims.sources import Sources
from stages.core.evaluation.statistics import share_interval, spearman
from stages.core.geometry.drift import spread
from stages.core.runtime.wording import classes_of
from stages.settings.claims import ClaimsParams

LEAST_BARS = 3  # for a spread


@dataclass(frozen=True)
class Trend:
    """A quantity of `loops_table` that is said to fall with noise."""

    key: str
    statement: str
    falls: str


TRENDS = {
    "spread": Trend("loops_clump", "points of H1 clump together as noise grows", "spread falls"),
    "mean_death": Trend(
        "loops_die_sooner", "loops of H1 die sooner as noise grows", "mean death falls"
    ),
}
TABLES = {
    "loops": Schema(
        (
            name("class"),
            number("noise", low=0),
            whole("bars", low=LEAST_BARS),
            *(number(quantity, low=0) for quantity in TRENDS),
        ),
        key=("class", "noise"),
        may_be_empty=True,
    )
}


def decide(sources: Sources, params: ClaimsParams) -> Decision:
    """The claim, of every class with loops at all levels."""
    has_loops = sources.max_dim > 0
    of_h1 = sources.summaries[(sources.summaries["dim"] == 1) & (sources.summaries["draw"] == 0)]
    table = loops_table(of_h1, sources.diagrams)
    if not sources.noisy:
        table = table.iloc[:0]  # one level has no trend to show
    found = findings(table, has_loops, sources.noisy, params.confidence)
    return {"loops": table}, by_ground(found, sources.ground)


def loops_table(
    summaries: pd.DataFrame, diagrams: Mapping[str, Mapping[float, list[np.ndarray]]]
) -> pd.DataFrame:
    """One row per class and level: bars of H1, their spread, their mean death.

    summaries: those of H1, with the columns group, noise, bars and mean_death. diagrams: {class:
    {level: (m, 2) by dimension}}. spread: that of the points (birth, death). Classes with fewer
    than LEAST_BARS bars at any level are left out.
    """
    least = summaries.groupby("group")["bars"].transform("min")
    table = summaries[least >= LEAST_BARS].rename(columns={"group": "class"})
    spreads = [spread(diagrams[row["class"]][row["noise"]][1]) for row in table.to_dict("records")]
    return table.assign(spread=spreads)[TABLES["loops"].names]


def findings(table: pd.DataFrame, has_loops: bool, noisy: bool, confidence: float) -> list[Finding]:
    """One finding per quantity of TRENDS; not applicable without H1, or without noise."""
    return [finding(table, quantity, has_loops, noisy, confidence) for quantity in TRENDS]


def finding(
    table: pd.DataFrame, quantity: str, has_loops: bool, noisy: bool, confidence: float
) -> Finding:
    trend = TRENDS[quantity]
    make = partial(
        Finding,
        5,
        trend.key,
        trend.statement,
        f"share of classes whose {trend.falls} with noise",
        above(0.5),
    )
    if not has_loops:
        return make(applicable=False, detail="persistence.max_dim is 0")
    if not noisy:
        return make(applicable=False, detail=NO_NOISE)
    if table.empty:
        return make(detail=f"no class has {LEAST_BARS} loops at every level")
    wide = table.pivot_table(index="class", columns="noise", values=quantity)
    slope = spearman(wide.to_numpy(), wide.columns.to_numpy(dtype=float))
    noisiest = wide.columns[-1]
    change = (wide[noisiest] / wide[0.0] - 1).median()
    return make(
        *share_interval(int((slope < 0).sum()), len(slope), confidence),
        units=classes_of(len(slope)),
        detail=f"median change from clean to noise {noisiest:.2f} {change:+.0%}"
        if np.isfinite(change)
        else "",  # the clean median is 0
    )
