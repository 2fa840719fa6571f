"""What the classifiers get right at each noise level, overall and by class, with intervals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.core.artifacts.tables import Schema, name, number, whole
from stages.core.evaluation.calibration import CALIBRATION, calibration_table
from stages.core.evaluation.classification import (
    CLASSIFIERS,
    Fitted,
    Scoring,
    blocks,
    margins,
    rank_of_truth,
)
from stages.core.evaluation.statistics import accuracy_intervals, share_interval

# Right answers are counted among so many best-scored classes, or all where there are fewer.
TOP = 5

# The tables of `classify`. Every test image at every noise level, with the classes it is taken
# for, missing where a classifier is not applicable, and a margin: see `predictions_table`.
PREDICTIONS = Schema(
    (
        name("id"),
        number("noise", low=0),
        name("actual"),
        *(name(classifier, missing=True) for classifier in CLASSIFIERS),
        number("margin", -2, 2),
    ),
    key=("id", "noise"),
)
# See `class_accuracies`.
PER_CLASS = Schema(
    (
        name("class"),
        number("noise", low=0),
        name("classifier", *CLASSIFIERS),
        number("accuracy", 0, 1),
        number("low", 0, 1),
        number("high", 0, 1),
        whole("n", low=1),
    ),
    key=("class", "noise", "classifier"),
)


@dataclass(frozen=True)
class Level:
    """What the classifiers say of the test images at one noise level.

    predicted: {classifier: (n,) labels}.
    detailed: the classifier that the rest is of:
    in_top: (n,) bool, whether the true class is within the best TOP.
    margin: (n,) score of the true class less the best other.
    calibration: its `calibration_table`, empty where it has no confidence.
    draw_accuracies: its top-1 accuracy at each noise draw.
    """

    predicted: dict[str, np.ndarray]
    detailed: str
    in_top: np.ndarray
    margin: np.ndarray
    calibration: pd.DataFrame
    draw_accuracies: list[float]


def classifiers_of(predictions: pd.DataFrame) -> list[str]:
    """The classifiers whose predictions a table of `classify` holds."""
    return [key for key in CLASSIFIERS if key in predictions and predictions[key].notna().all()]


def in_detail(fitted: Mapping[str, Fitted]) -> str:
    """The classifier of which margins, confidence, the best TOP and every draw are looked at too.

    It is the first that scores classes: zero-shot, where there is text.
    """
    return next(key for key, each in fitted.items() if isinstance(each, Scoring))


def measure(
    draws: Sequence[np.ndarray],
    actual: np.ndarray,
    fitted: Mapping[str, Fitted],
    confidence: Callable[[np.ndarray], np.ndarray] | None,
    bins: int,
) -> Level:
    """Classify the test images at one noise level.

    draws: their embeddings (n, d) at each noise draw, of which the first is classified.
    actual: (n,) labels. fitted: {classifier: it, fitted}.
    confidence: scores (n, C) -> (n,) probability of the class predicted; for so many `bins`.
    """
    images = draws[0]
    key = in_detail(fitted)
    detailed = fitted[key]
    assert isinstance(detailed, Scoring)
    rank, margin, confident = [], [], []
    for part in blocks(len(images), detailed.class_count):
        scores = detailed.scores(images[part])
        rank.append(rank_of_truth(scores, actual[part]))
        margin.append(margins(scores, actual[part]))
        if confidence:
            confident.append(confidence(scores))
    of_truth = np.concatenate(rank)
    return Level(
        predicted={each: fitted[each].predict(images) for each in fitted},
        detailed=key,
        in_top=of_truth < TOP,
        margin=np.concatenate(margin),
        calibration=(
            calibration_table(np.concatenate(confident), of_truth == 0, bins)
            if confidence
            else pd.DataFrame(columns=CALIBRATION.names)
        ),
        draw_accuracies=[float((detailed.predict(draw) == actual).mean()) for draw in draws],
    )


def accuracies(
    levels: Mapping[float, Level], actual: np.ndarray, class_count: int, confidence: float
) -> pd.DataFrame:
    """One row per level, classifier and measure: over all test images, with its interval.

    actual: (n,) labels. Columns: noise, classifier, measure, accuracy, low, high, chance. The
    measures are top-1 and mean per class, and of the classifier in detail the best TOP. Score
    intervals for strata, since the number of test images of each class is fixed.
    """
    columns, correct = [], []
    for level, found in levels.items():
        for classifier, labels in found.predicted.items():
            columns.append((level, classifier, "top-1"))
            correct.append(labels == actual)
        columns.append((level, found.detailed, f"top-{TOP}"))
        correct.append(found.in_top)
    right = np.stack(correct, axis=1)  # (n, columns)

    top1 = [i for i, (*_, what) in enumerate(columns) if what == "top-1"]
    overall = accuracy_intervals(right, actual, confidence)
    by_class = accuracy_intervals(right[:, top1], actual, confidence, per_stratum=True)
    columns += [(*columns[i][:2], "mean per class") for i in top1]
    rows = [(*column, *found) for column, found in zip(columns, overall + by_class, strict=True)]
    names = ["noise", "classifier", "measure", "accuracy", "low", "high"]
    table = pd.DataFrame(rows, columns=names).sort_values("noise", kind="stable")
    guesses = table["measure"].map({f"top-{TOP}": TOP}).fillna(1)
    return table.assign(chance=(guesses / class_count).clip(upper=1))


def class_accuracies(
    levels: Mapping[float, Level], actual: np.ndarray, classes: Sequence[str], confidence: float
) -> pd.DataFrame:
    """One row per class, level and classifier: top-1 accuracy on n images, with its interval.

    actual: (n,) labels, in the order of `classes`. Wilson's intervals.
    """
    rows = []
    for label, class_name in enumerate(classes):
        members = actual == label
        n = int(members.sum())
        for level, found in levels.items():
            for classifier, labels in found.predicted.items():
                right = int((labels[members] == label).sum())
                rows.append(
                    (class_name, level, classifier, *share_interval(right, n, confidence), n)
                )
    return pd.DataFrame(rows, columns=PER_CLASS.names)


def predictions_table(
    levels: Mapping[float, Level], ids: np.ndarray, actual: np.ndarray, classes: Sequence[str]
) -> pd.DataFrame:
    """One row per level and test image, with the names of its classes.

    ids: (n,) str; actual: (n,) labels, in the order of `classes`.
    """
    names = np.asarray(classes, dtype=object)
    return pd.concat(
        pd.DataFrame(
            {
                "id": ids,
                "noise": level,
                "actual": names[actual],
                **dict.fromkeys(CLASSIFIERS, None),
                **{key: names[labels] for key, labels in found.predicted.items()},
                "margin": found.margin,
            }
        )
        for level, found in levels.items()
    )
