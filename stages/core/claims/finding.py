"""A finding: an effect, its uncertainty, and the verdict that follows from both by its rule.

A rule compares numbers of the finding with thresholds, and both are written beside the verdict,
so that a reader can check it. Most claims say that an effect lies beyond a threshold: they hold
where the whole interval does, fail where the whole interval lies on the other side, and are
undecided otherwise: with few classes or images intervals are wide, and nothing is decided.
"""

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from stages.core.artifacts.ground import EUCLIDEAN, Ground
from stages.core.evaluation.verdicts import FAILS, HOLDS, NOT_APPLICABLE, UNDECIDED
from stages.core.runtime.files import rounded
from stages.core.topology.metrics import metric_of

# Why a claim is not applicable.
NO_NOISE = "there is no noise level above 0"
NO_TEXT = "there are no text features"

NUMBERS = ("effect", "low", "high", "p_value", "largest_high")

# Of the pairs of classes, those that count as the closest; also the level of that test.
CLOSEST_SHARE = 0.05
SIGNIFICANCE = 0.05
WEAK_RHO = 0.3  # a correlation that explains a tenth of the ranks' variance, or less

COMPARISONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@dataclass(frozen=True)
class Condition:
    """A number of a finding against a threshold, e.g. low > 0.5."""

    number: str  # one of NUMBERS
    comparison: str  # one of COMPARISONS
    threshold: float

    def __str__(self) -> str:
        return f"{self.number} {self.comparison} {self.threshold:g}"

    def met_by(self, value: float | None) -> bool:
        """Whether a value meets the condition; None, a number that is not there, does not."""
        return value is not None and COMPARISONS[self.comparison](value, self.threshold)


@dataclass(frozen=True)
class Rule:
    """When a claim holds and when it fails; it is undecided where neither is met."""

    holds_if: Condition
    fails_if: Condition


def above(threshold: float) -> Rule:
    """The claim that an effect is more than a threshold, decided by its interval."""
    return Rule(Condition("low", ">", threshold), Condition("high", "<", threshold))


def below(threshold: float) -> Rule:
    """The claim that an effect is less than a threshold, decided by its interval."""
    return Rule(Condition("high", "<", threshold), Condition("low", ">", threshold))


def counted_above(threshold: float) -> Rule:
    """The claim that a count, which has no uncertainty, is more than a threshold."""
    return Rule(Condition("effect", ">", threshold), Condition("effect", "<=", threshold))


# A pair is among the closest by a test against names dealt at random; it is not where its
# percentile rank is beyond that share in nearly all subsamples.
AMONG_THE_CLOSEST = Rule(
    Condition("p_value", "<=", CLOSEST_SHARE), Condition("low", ">", CLOSEST_SHARE)
)
# Some measure correlates by a test that is corrected for their number; or all do weakly at most.
CORRELATED = Rule(
    Condition("p_value", "<=", SIGNIFICANCE), Condition("largest_high", "<", WEAK_RHO)
)
# Some measure correlates more than each of its rivals by such a test; or some rival of each more.
LEADING = Rule(Condition("p_value", "<=", SIGNIFICANCE), Condition("largest_high", "<", 0.0))


@dataclass(frozen=True)
class Finding:
    """What is known of one claim.

    number: of the claim in `stages/core/claims/registry.py`; key: its name in metrics.
    effect_is: what the effect measures, and its unit.
    effect, low, high: the effect and the ends of its interval. None where there is none to state.
    largest_high: where a claim rests on several tests, the largest upper end of their intervals.
    units: what the effect is taken over, e.g. '47 classes'; detail: what else a reader wants.
    applicable: whether the data have what the claim is about; if not, `detail` says what lacks.

    All numbers are kept as they are shown, to few significant digits: the verdict is about those.
    """

    number: int
    key: str
    statement: str
    effect_is: str
    rule: Rule
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    largest_high: float | None = None
    units: str = ""
    detail: str = ""
    applicable: bool = True

    def __post_init__(self) -> None:
        for name in NUMBERS:
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, rounded(value))

    @property
    def verdict(self) -> str:
        """One of VERDICTS: what follows from the numbers by the rule."""
        if not self.applicable:
            return NOT_APPLICABLE
        for verdict, condition in ((HOLDS, self.rule.holds_if), (FAILS, self.rule.fails_if)):
            if condition.met_by(getattr(self, condition.number)):
                return verdict
        return UNDECIDED

    @property
    def decided_by(self) -> str:
        """The number that the rule looks at first, in words: 'p 0.0167', '0.28 to 0.58'."""
        name = self.rule.holds_if.number
        if getattr(self, name) is None:
            return ""
        if name in ("low", "high"):
            return f"{self.low:.3g} to {self.high:.3g}"
        return f"p {self.p_value:.3g}" if name == "p_value" else f"{self.effect:.3g}"


# What a claim comes to: {name of a table: the table}, and the findings that follow from them.
Decision = tuple[dict[str, pd.DataFrame], list[Finding]]


def by_ground(findings: Sequence[Finding], ground: Ground) -> list[Finding]:
    """Findings about diagrams, whose statements say the distance of points where it is another
    than the Euclidean one.
    """
    if ground == EUCLIDEAN:
        return list(findings)
    by = f", by {metric_of(ground).label}"
    return [replace(one, statement=f"{one.statement}{by}") for one in findings]


def findings_table(findings: list[Finding]) -> pd.DataFrame:
    """One row per finding; the verdict follows from `holds_if` and `fails_if` and the numbers."""
    return pd.DataFrame(
        {
            "number": one.number,
            "claim": one.key,
            "statement": one.statement,
            "verdict": one.verdict,
            "holds_if": str(one.rule.holds_if),
            "fails_if": str(one.rule.fails_if),
            "decided_by": one.decided_by,
            **{name: getattr(one, name) for name in NUMBERS},
            "effect_is": one.effect_is,
            "units": one.units,
            "detail": one.detail,
        }
        for one in findings
    )


def percentile_rank(values: np.ndarray, which: int) -> float:
    """The share of the P values (P,) that are at most the one at `which`; 1 / P for the least.

    Where that one is as any other, its percentile rank is at most q with a chance of at most q:
    it is the p-value of a test against names dealt at random.
    """
    return float((values <= values[which]).mean())
