"""What the confidence of a classifier is worth: a model's own probabilities, and calibration."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special

from stages.core.artifacts.tables import Schema, number, whole

# The table of `classify`: `calibration_table` of every noise level.
CALIBRATION = Schema(
    (
        number("noise", low=0),
        number("from", 0, 1),
        number("to", 0, 1),
        whole("n", low=1),
        number("confidence", 0, 1),
        number("accuracy", 0, 1),
    ),
    key=("noise", "from"),
    may_be_empty=True,
)


def softmax_confidence(scores: np.ndarray, logit_scale: float, logit_bias: float) -> np.ndarray:
    """The largest of the classes' probabilities, which add up to 1: (n, C) cosines -> (n,).

    A bias, the same for all classes, changes nothing.
    """
    logits = logit_scale * scores + logit_bias
    return np.exp(logits.max(axis=1) - special.logsumexp(logits, axis=1))


def sigmoid_confidence(scores: np.ndarray, logit_scale: float, logit_bias: float) -> np.ndarray:
    """The probability that an image and the class it is taken for match: (n, C) cosines -> (n,).

    A model trained with sigmoids (Zhai et al. 2023) judges every pair of image and text by
    itself, so that the classes' probabilities need not add up to 1.
    """
    return special.expit(logit_scale * scores.max(axis=1) + logit_bias)


@dataclass(frozen=True)
class Probabilities:
    """How a model turns cosines into probabilities.

    confidence: cosines (n, C), logit scale and logit bias -> (n,), that of the class predicted.
    label: what that is, for readers.
    """

    confidence: Callable[..., np.ndarray]
    label: str


PROBABILITIES = {
    "softmax": Probabilities(softmax_confidence, "softmax over the classes"),
    "sigmoid": Probabilities(sigmoid_confidence, "sigmoid of image and predicted class"),
}


def calibration_table(confidence: np.ndarray, correct: np.ndarray, bins: int) -> pd.DataFrame:
    """What a classifier's confidence is worth: one row per bin of confidence that is not empty.

    confidence: (n,) in [0, 1], of the class predicted; correct: (n,) bool. For a softmax the
    table shows whether an image said to be of a class with 80% is so in 80 of 100 cases; for a
    sigmoid, which judges the predicted class against no other, whether pairs said to match with
    80% do so.
    Columns: from, to (the bin, its upper end included), n, confidence and accuracy (means).
    """
    ends = np.arange(1, bins + 1) / bins
    # By comparison with the ends themselves: a product with `bins` may round across one.
    place = np.searchsorted(ends, confidence, side="left").clip(max=bins - 1)
    n = np.bincount(place, minlength=bins)
    full = np.flatnonzero(n)
    return pd.DataFrame(
        {
            "from": full / bins,
            "to": ends[full],
            "n": n[full],
            "confidence": np.bincount(place, confidence, bins)[full] / n[full],
            "accuracy": np.bincount(place, correct, bins)[full] / n[full],
        }
    )


def expected_calibration_error(calibration: pd.DataFrame) -> float:
    """Mean distance of accuracy from confidence over bins of equal width (Guo et al. 2017).

    calibration: a `calibration_table`; bins weigh as many images as they hold. Between 0
    (confidence is the share of right answers) and 1.
    """
    gaps = (calibration["accuracy"] - calibration["confidence"]).abs()
    return float((gaps * calibration["n"]).sum() / calibration["n"].sum())
