"""All that differs between two revisions, and the one sentence that says the most of it."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stages.core.evaluation.classification import CLASSIFIERS
from stages.core.evaluation.statistics import percent
from stages.core.report.changes import (
    AccuracyChange,
    RatioChange,
    VerdictChanges,
    accuracy_changes,
    confidence_of,
    leading_classifier,
    ratio_changes,
    verdict_changes,
)
from stages.core.report.markdown import code, plain
from stages.core.report.sides import SameTest, Side, same_test
from stages.core.runtime.wording import count

LEVEL = re.compile(r"noise_(\d+\.\d\d)|@(\d+(?:\.\d+)?)$")
OF_ALL_LEVELS = ("claims.", "headline.")  # without a level in its name, of all of them together
ACCURACY_OF, ACCURACY = "headline.accuracy_of", "headline.accuracy@"  # of which, and how large
OF_NO_TEST = ("fetch.", "pretrain.")


@dataclass(frozen=True)
class Change:
    """A param or metric with another value; None where a side lacks it.

    comparable: whether both values are of the same test, so that a difference says something.
    """

    name: str
    base: Any
    here: Any
    comparable: bool = True

    @property
    def difference(self) -> float | None:
        """Here less base, of two numbers of the same test."""
        numbers = all(
            isinstance(value, int | float) and not isinstance(value, bool)
            for value in (self.base, self.here)
        )
        return self.here - self.base if numbers and self.comparable else None

    @property
    def relative(self) -> float:
        """By which share of the larger value a number changed, 0 to 2; 0 for what is no number."""
        if not self.difference:
            return 0.0
        return abs(self.difference) / max(abs(self.base), abs(self.here))


@dataclass(frozen=True)
class Comparison:
    """What differs between two sides. leading: the classifier that is told of first."""

    base: Side
    here: Side
    same: SameTest
    params: list[Change]
    metrics: list[Change]
    accuracy: list[AccuracyChange]
    leading: str | None
    verdicts: VerdictChanges
    ratios: list[RatioChange]

    @property
    def same_outputs(self) -> bool | None:
        """Whether every output has the same bytes on both sides; None where that is not known."""
        a, b = self.base.checksums, self.here.checksums
        return a == b if a and b else None

    @property
    def identical(self) -> bool:
        return not self.metrics and not self.params and self.same_outputs is not False

    @property
    def of_leading(self) -> list[AccuracyChange]:
        return [each for each in self.accuracy if each.classifier == self.leading]

    @property
    def confidence(self) -> str:
        return percent(confidence_of(self.here))


def compare(base: Side, here: Side) -> Comparison:
    """All that differs between two sides."""
    same = same_test(base, here)
    accuracy = accuracy_changes(base, here, same)
    one_classifier = len({side.metrics.get(ACCURACY_OF) for side in (base, here)}) == 1
    return Comparison(
        base,
        here,
        same,
        list(changes(base.params, here.params)),
        [
            Change(each.name, each.base, each.here, comparable(each.name, same, one_classifier))
            for each in changes(base.metrics, here.metrics)
        ],
        accuracy,
        leading_classifier(accuracy, base, here),
        verdict_changes(base, here),
        ratio_changes(base, here),
    )


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterable[Change]:
    """The keys whose value differs, those of one side alone too."""
    for key in [*new, *(key for key in old if key not in new)]:
        if (a := old.get(key)) != (b := new.get(key)):
            yield Change(key, a, b)


def comparable(metric: str, same: SameTest, one_classifier: bool) -> bool:
    """Whether both values of a metric are of the same test, and of the same classifier."""
    if metric.startswith(OF_NO_TEST):
        return True
    if metric.startswith(ACCURACY) and not one_classifier:
        return False
    if match := LEVEL.search(metric):
        return same.at(float(match[1] or match[2]))
    return same.everywhere if metric.startswith(OF_ALL_LEVELS) else not same.data


# --- the news -----------------------------------------------------------------------------------


def news(found: Comparison) -> str:
    """The sentence with which a reader begins, in Markdown."""
    base = code(found.base.name)
    if found.identical:
        return f"Identical: every result of the workspace is that of {base}."
    if found.same_outputs:
        return (
            f"Results identical to those of {base}: "
            f"{count(len(found.params), 'param')} differ{'s' if len(found.params) == 1 else ''}, "
            "and no result does."
        )
    if not found.metrics:
        parts = [
            of_the_test(found),
            f"no metric differs from {base}, though tables at full precision or pictures do",
        ]
    elif found.accuracy or found.verdicts.of:
        parts = [of_the_test(found), of_accuracy(found), of_verdicts(found)]
    else:
        params, metrics = count(len(found.params), "param"), count(len(found.metrics), "metric")
        parts = [of_the_test(found), f"{params} and {metrics} differ from {base}"]
    parts = list(filter(None, parts))
    sentence = "; ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}."


def of_the_test(found: Comparison) -> str:
    """That the two sides were not put to the same test, and in what."""
    same = found.same
    what = [
        *(["other images, classes or split"] if same.data else []),
        *(["other noise"] if same.noise else []),
        *(["other noise levels"] if same.levels else []),
    ]
    return f"not the same test as in {code(found.base.name)} ({', '.join(what)})" if what else ""


def of_accuracy(found: Comparison) -> str:
    """How the accuracy of the leading classifier changed; '' where it cannot be compared."""
    told = [each for each in found.of_leading if each.difference is not None]
    if not told:
        return ""
    assert found.leading is not None
    subject = f"{CLASSIFIERS[found.leading].label} accuracy"
    if all(each.difference == 0 for each in told):
        return f"{subject} is the same {levels_of(told)}"
    certain = [each for each in told if is_certain(each)]
    if not certain:
        most = max(told, key=lambda each: abs(each.difference or 0))
        return f"{subject} changes no more than by chance, at most by {at_most(most, found)}"
    most = max(certain, key=lambda each: abs(each.difference or 0))
    text = f"{subject} changes by {at_most(most, found)}"
    if len(told) > 1:
        text += f", the most of {len(told)} noise levels"
    others = [each for each in certain if (each.difference or 0) * (most.difference or 0) < 0]
    if others:
        other = max(others, key=lambda each: abs(each.difference or 0))
        text += f", and by {at_most(other, found)}"
    return text


def is_certain(change: AccuracyChange) -> bool:
    """Whether the interval of a difference leaves 0 out; without one, whether there is any."""
    if change.interval is None:
        return bool(change.difference)
    return change.interval.low > 0 or change.interval.high < 0


def at_most(change: AccuracyChange, found: Comparison) -> str:
    """'-34.0 points on clean images (95% interval -36.3 to -31.7)'."""
    assert change.difference is not None
    text = f"{points(change.difference)} points {at(change.level)}"
    if change.interval:
        low, high = (points(end) for end in change.interval[1:])
        text += f" ({found.confidence} interval {low} to {high})"
    return text


def points(share: float) -> str:
    """A difference of shares in percentage points, with its sign: -0.34 -> '-34.0'."""
    rounded = round(100 * share, 1)
    return f"{rounded:+.1f}" if rounded else "0.0"


def at(level: float) -> str:
    return f"at noise level {level:g}" if level else "on clean images"


def levels_of(told: list[AccuracyChange]) -> str:
    if len(told) == 1:
        return at(told[0].level)
    return "at both noise levels" if len(told) == 2 else f"at all {len(told)} noise levels"


def of_verdicts(found: Comparison) -> str:
    """How many verdicts changed, and those on the question by name; '' where there are none."""
    flips, of, _ = found.verdicts
    if not of:
        return ""
    if not flips:
        return f"none of {count(of, 'verdict')} changes"
    text = f"{len(flips)} of {count(of, 'verdict')} change{'s' if len(flips) == 1 else ''}"
    named = [
        flip
        for flip in flips
        if flip.of_the_question and found.leading and flip.claim.endswith(f"_{found.leading}")
    ]
    if named:
        text += ": " + "; ".join(
            f"that {plain(flip.statement)}, {flip.base} → {flip.here}" for flip in named
        )
    return text
