"""The measures and the losses of accuracy of several runs, aligned by class.

Runs of one data group have the same classes in the same split; rows of two groups share nothing.
Statistics over classes take of a group the classes that all its runs have, so that one permutation
or one resample of them is for all runs.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from stages.core.claims.question import KINDS, LEAST_CLASSES
from stages.core.runtime.errors import StudyError

MEASURES = ("run", "data", "class", "noise", "measure", "value")
DROPS = ("run", "data", "class", "noise", "drop")


@dataclass(frozen=True)
class Run:
    """One run: of each class at each level above 0 its measures and its loss of accuracy.

    measures: (levels, n, m) float64, NaN throughout for a measure that the run lacks; drops:
    (levels, n). model: of what encoder; data: the group of runs with the same classes and split.
    """

    name: str
    data: str
    model: str
    levels: tuple[float, ...]
    classes: tuple[str, ...]
    measures: np.ndarray
    drops: np.ndarray

    @property
    def enough(self) -> bool:
        return len(self.classes) >= LEAST_CLASSES

    def of(self, classes: Sequence[str]) -> "Run":
        """The run with some of its classes alone, in the order given."""
        places = [self.classes.index(each) for each in classes]
        return replace(
            self,
            classes=tuple(classes),
            measures=self.measures[:, places],
            drops=self.drops[:, places],
        )


def require_columns(table: pd.DataFrame, columns: Collection[str], of: str) -> None:
    """Raise StudyError for a table without one of its columns."""
    lacking = [each for each in columns if each not in table]
    if lacking:
        raise StudyError(f"{of}: no column {lacking[0]}; give the columns {', '.join(columns)}")


def of_kind(kinds: Mapping[str, str], *wanted: str) -> list[str]:
    """The measures of some kinds, in their order. Raises StudyError for an unknown kind."""
    for measure, kind in kinds.items():
        if kind not in KINDS:
            raise StudyError(f"kinds: {measure} is {kind}; give one of {', '.join(KINDS)}")
    return [measure for measure, kind in kinds.items() if kind in wanted]


def runs_of(
    measures: pd.DataFrame, drops: pd.DataFrame, wanted: Sequence[str], least: int = LEAST_CLASSES
) -> list[Run]:
    """The runs in the order of their names, each with the classes that all of its group have.

    measures: run, data, class, noise, measure, value; drops: run, data, class, noise, drop, of one
    classifier; either may have a column model. wanted: the measures, in the order of the arrays. A
    class counts in a run where it has, at all of the run's levels, a drop and every measure that
    the run has at all; a measure that no class has at some level is one that the run lacks.

    A run with fewer than `least` such classes keeps them, and takes no classes from the others of
    its group.

    Raises StudyError for a table without one of its columns.
    """
    require_columns(measures, MEASURES, "measures")
    require_columns(drops, DROPS, "drops")
    noisy = dict(iter(measures[measures["noise"] > 0].groupby("run")))
    found = [
        _run(str(name), noisy[name], lost, wanted)
        for name, lost in drops[drops["noise"] > 0].groupby("run")
        if name in noisy
    ]
    common: dict[str, set[str]] = {}
    for run in found:
        if len(run.classes) >= least:
            common[run.data] = common.get(run.data, set(run.classes)) & set(run.classes)
    return [run.of(sorted(common[run.data])) if len(run.classes) >= least else run for run in found]


def _run(name: str, measures: pd.DataFrame, drops: pd.DataFrame, wanted: Sequence[str]) -> Run:
    wide = measures.pivot_table(index=["noise", "class"], columns="measure", values="value")
    wide = wide.reindex(columns=list(wanted))
    drop = drops.set_index(["noise", "class"])["drop"].dropna()
    levels = sorted(set(wide.index.unique("noise")) & set(drop.index.unique("noise")))
    at_levels = wide.index.get_level_values("noise").isin(levels)
    has = wide[at_levels].notna().groupby(level="noise").any().all()
    complete = wide.index[wide.loc[:, has].notna().all(axis=1) & at_levels].intersection(drop.index)
    times = complete.get_level_values("class").value_counts()
    classes = sorted(times.index[times == len(levels)])
    index = pd.MultiIndex.from_product([levels, classes], names=["noise", "class"])
    shape = (len(levels), len(classes))
    values = wide.reindex(index).to_numpy(np.float64).reshape(*shape, len(wanted)).copy()
    values[..., ~has.to_numpy()] = np.nan
    return Run(
        name,
        str(drops["data"].iloc[0]),
        str(drops["model"].iloc[0] if "model" in drops else name),
        tuple(levels),
        tuple(classes),
        values,
        drop.reindex(index).to_numpy(np.float64).reshape(shape),
    )
