"""What a diagram comes to: counts and lengths of its bars, and their entropy."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from stages.core.artifacts.diagrams import MOST_DIM, WHOLE, CloudKey
from stages.core.artifacts.tables import Schema, name, number, whole
from stages.core.topology.bars import checked, finite_bars

# The table of `persistence`: a row per group, noise level, draw and dimension.
SUMMARIES = Schema(
    (
        name("group"),
        number("noise", low=0),
        whole("draw", low=0),
        whole("dim", 0, MOST_DIM),
        whole("bars", low=0),
        whole("essential", low=0),
        number("total_persistence", low=0),
        number("max_persistence", low=0),
        number("mean_birth", low=0, missing=True),
        number("mean_death", low=0, missing=True),
        number("entropy", low=0),
    ),
    key=("group", "noise", "draw", "dim"),
)


@dataclass(frozen=True)
class Summary:
    """What a diagram comes to; lengths in units of the distance, `entropy` in nats.

    A mean over no bars is NaN; every other number of an empty diagram is 0.
    """

    bars: int
    essential: int
    total_persistence: float
    max_persistence: float
    mean_birth: float
    mean_death: float
    entropy: float

    as_dict = asdict


def summarise(diagram: np.ndarray) -> Summary:
    """Summary of a diagram (m, 2): essential bars are counted, all else is of finite bars.

    With the lengths l_i = death_i - birth_i and their sum L, the total persistence is L, and
    the persistent entropy is - sum_i (l_i / L) ln(l_i / L), natural logarithm: 0 for one bar,
    ln m for m bars of one length (Chintakunta et al., Pattern Recognition 48, 2015).
    """
    diagram = checked(diagram)
    bars = finite_bars(diagram)
    lengths = bars[:, 1] - bars[:, 0]
    shares = lengths / lengths.sum()
    return Summary(
        bars=len(bars),
        essential=len(diagram) - len(bars),
        total_persistence=float(lengths.sum()),
        max_persistence=float(lengths.max(initial=0.0)),
        mean_birth=float(bars[:, 0].mean()) if len(bars) else float("nan"),
        mean_death=float(bars[:, 1].mean()) if len(bars) else float("nan"),
        entropy=float((shares * -np.log(shares)).sum()),
    )


def summaries_table(diagrams: Mapping[CloudKey, Sequence[np.ndarray]]) -> pd.DataFrame:
    """One row per whole cloud and dimension: the columns of SUMMARIES.

    diagrams: {cloud: its diagrams, (m, 2) by dimension}.
    """
    return pd.DataFrame(
        {
            "group": key.group,
            "noise": key.noise,
            "draw": key.draw,
            "dim": dim,
            **summarise(diagram).as_dict(),
        }
        for key, by_dim in diagrams.items()
        if key.part == WHOLE
        for dim, diagram in enumerate(by_dim)
    )
