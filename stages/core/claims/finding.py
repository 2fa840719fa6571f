"""A finding: an effect, its uncertainty, and the verdict that follows from both by rule.

A claim says that an effect lies beyond a threshold. It holds where the whole interval lies
beyond it, fails where the whole interval lies on the other side, and is undecided otherwise:
with few classes or images intervals are wide, and nothing is decided.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from stages.core.statistics import Interval

Verdict = Literal["holds", "fails", "undecided", "not applicable"]
VERDICTS: tuple[Verdict, ...] = ("holds", "fails", "undecided", "not applicable")

# Of the pairs of classes, those that count as the closest; also the level of that test.
CLOSEST_SHARE = 0.05


@dataclass(frozen=True)
class Finding:
    """What is known of one claim.

    number: of the claim in the list of `stages/core/claims/__init__.py`; key: its name in metrics.
    effect_is: what the effect measures, its unit and the threshold.
    low, high: the ends of its interval. None where there is no effect to state.
    units: what the effect is taken over, e.g. '47 classes'; detail: what else a reader wants.
    """

    number: int
    key: str
    statement: str
    effect_is: str
    verdict: Verdict
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    units: str = ""
    detail: str = ""


def above(interval: Interval, threshold: float) -> Verdict:
    """The verdict on a claim that an effect is more than a threshold."""
    if interval.low > threshold:
        return "holds"
    return "fails" if interval.high < threshold else "undecided"


def below(interval: Interval, threshold: float) -> Verdict:
    """The verdict on a claim that an effect is less than a threshold."""
    if interval.high < threshold:
        return "holds"
    return "fails" if interval.low > threshold else "undecided"


def place(values: np.ndarray, which: int) -> float:
    """The share of the P values (P,) that are at most the one at `which`; 1 / P for the least.

    Where that one is as any other, a place is at most q with a chance of at most q: the place is
    the p-value of a test against names dealt at random.
    """
    return float((values <= values[which]).mean())


def among_the_closest(place: Interval, least: float) -> Verdict:
    """The verdict on a claim that a pair is among the closest.

    Holds where its place over all data is, fails where it is not in nearly any part of them.
    least: the place that the closest pair may have; among few pairs that is no exception.
    """
    if least > CLOSEST_SHARE:
        return "undecided"
    if place.estimate <= CLOSEST_SHARE:
        return "holds"
    return "fails" if place.low > CLOSEST_SHARE else "undecided"
