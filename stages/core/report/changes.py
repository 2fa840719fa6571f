"""What changed from one revision to another: accuracy, verdicts, distances over their baseline."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from stages.core.claims.accuracy_steps import correct_by_level
from stages.core.evaluation.accuracy import classifiers_of
from stages.core.evaluation.classification import CLASSIFIERS
from stages.core.evaluation.statistics import Interval, score_intervals
from stages.core.evaluation.verdicts import VERDICTS
from stages.core.report.sides import SameTest, Side

RATIO_KEY = re.compile(r"distances\.noise_(\d+\.\d\d)\.h(\d)\.(\w+)\.ratio_to_(\w+)")
# The questions of the study; their verdicts are told by name.
QUESTIONS = ("topology_follows_", "topology_adds_", "topology_beats_rivals_")


class AccuracyChange(NamedTuple):
    """Top-1 accuracy of a classifier at a noise level on both sides, None where there is none.

    difference: here less base, None where the two are not of the same test. interval: of the
    difference, from the same test images on both sides; None where their predictions are missing.
    """

    classifier: str
    level: float
    base: float | None
    here: float | None
    difference: float | None = None
    interval: Interval | None = None


def accuracy_changes(base: Side, here: Side, same: SameTest) -> list[AccuracyChange]:
    """A change for each classifier and level that either side has."""
    intervals = paired_intervals(base, here, same)
    found = []
    for classifier in CLASSIFIERS:
        for level in sorted({*base.levels, *here.levels}):
            shares = [side.metrics.get(accuracy_key(classifier, level)) for side in (base, here)]
            if shares == [None, None]:
                continue
            a, b = shares
            interval = intervals.get((classifier, level))
            difference = None
            if a is not None and b is not None and same.at(level):
                difference = interval.estimate if interval else round(b - a, 6)
            found.append(AccuracyChange(classifier, level, a, b, difference, interval))
    return found


def accuracy_key(classifier: str, level: float) -> str:
    return f"classify.noise_{level:.2f}.{classifier}_top1"


def paired_intervals(base: Side, here: Side, same: SameTest) -> dict[tuple[str, float], Interval]:
    """{(classifier, level): difference of accuracy, here less base, with its interval}.

    Of the same test images on both sides, each with its answers of both: the score interval of
    paired differences, images by class. Empty where predictions are missing, or of other images.
    """
    if base.predictions is None or here.predictions is None:
        return {}
    confidence = confidence_of(here)
    found: dict[tuple[str, float], Interval] = {}
    for classifier in classifiers_of(here.predictions):
        if classifier not in classifiers_of(base.predictions):
            continue
        old, new = (correct_by_level(side.predictions, classifier) for side in (base, here))
        levels = [level for level in new if level in old and same.at(level)]
        if not levels or not old.index.equals(new.index):
            continue
        differences = (new[levels] - old[levels]).to_numpy(dtype="int64")  # (images, levels)
        actual = new.index.get_level_values("actual").to_numpy()
        intervals = score_intervals(differences, (-1, 0, 1), actual, confidence)
        found |= {
            (classifier, float(level)): interval
            for level, interval in zip(levels, intervals, strict=True)
        }
    return found


def confidence_of(side: Side) -> float:
    """The confidence of intervals of accuracy."""
    return float(side.params.get("classify.confidence", 0.95))


def leading_classifier(changes: list[AccuracyChange], base: Side, here: Side) -> str | None:
    """The classifier whose accuracy is told first: that of the headline, if both sides have it.

    Else the first that both have.
    """
    of_both = [each.classifier for each in changes if None not in (each.base, each.here)]
    wanted = (side.metrics.get("headline.accuracy_of") for side in (here, base))
    return next((name for name in (*wanted, *of_both) if name in of_both), None)


class Flip(NamedTuple):
    """A claim whose verdict is another; decided_by: its numbers, '' for none."""

    number: str
    claim: str
    statement: str
    base: str
    here: str
    base_decided_by: str
    here_decided_by: str

    @property
    def of_the_question(self) -> bool:
        return self.claim.startswith(QUESTIONS)


class VerdictChanges(NamedTuple):
    """flips: of `of` claims on both sides. alone: {side: its claims that the other lacks}."""

    flips: list[Flip]
    of: int
    alone: dict[str, int]


def verdict_changes(base: Side, here: Side) -> VerdictChanges:
    """The claims on both sides whose verdict differs, those of the question first."""
    if base.claims is None or here.claims is None:
        return VerdictChanges([], 0, {})
    old, new = ({row["claim"]: row for row in rows(side.claims)} for side in (base, here))
    both = [claim for claim in new if claim in old]
    flips = [
        Flip(
            new[claim]["number"],
            claim,
            new[claim]["statement"],
            old[claim]["verdict"],
            new[claim]["verdict"],
            old[claim]["decided_by"],
            new[claim]["decided_by"],
        )
        for claim in both
        if old[claim]["verdict"] != new[claim]["verdict"]
    ]
    flips.sort(key=lambda flip: not flip.of_the_question)
    alone = {base.name: len(old) - len(both), here.name: len(new) - len(both)}
    return VerdictChanges(flips, len(both), {side: n for side, n in alone.items() if n})


def rows(table: pd.DataFrame) -> list[dict[str, str]]:
    return table.to_dict("records")


def verdict_counts(side: Side) -> dict[str, int]:
    """{verdict: how many claims have it}; empty without claims."""
    if side.claims is None:
        return {}
    counts = side.claims["verdict"].value_counts()
    return {verdict: int(counts.get(verdict, 0)) for verdict in VERDICTS}


class RatioChange(NamedTuple):
    """A distance of clean and noisy diagrams in units of its baseline, on both sides."""

    metric: str
    dim: int
    baseline: str
    level: float
    base: float | None
    here: float | None


def ratio_changes(base: Side, here: Side) -> list[RatioChange]:
    """Every distance over its first baseline, at each level of either side.

    The first baseline is two draws of the same noise, where there are two on both sides, or two
    halves of the clean class.
    """
    old, new = (ratios(side.metrics) for side in (base, here))
    keys = [*new, *(key for key in old if key not in new)]
    first = next(
        (name for name in ("draws", "halves") if any(k[2] == name for k in old if k in new)), None
    ) or next((key[2] for key in keys), None)
    found = [RatioChange(*key, old.get(key), new.get(key)) for key in keys if key[2] == first]
    return sorted(found, key=lambda each: (each.level, each.dim, each.metric))


def ratios(metrics: Mapping[str, Any]) -> dict[tuple[str, int, str, float], float]:
    """{(metric, dim, baseline, level): ratio} of metrics of `distances`."""
    return {
        (match[3], int(match[2]), match[4], float(match[1])): value
        for key, value in metrics.items()
        if (match := RATIO_KEY.fullmatch(key))
    }
