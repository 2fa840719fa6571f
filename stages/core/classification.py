"""Classifying by embeddings: zero-shot, linear probe and k nearest neighbours, and calibration."""

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from stages.core.tables import Schema, name, number

# {column of the predictions: name for readers}
CLASSIFIERS = {"zero_shot": "zero-shot", "probe": "linear probe", "knn": "nearest neighbours"}

# The table of `classify`: every test image at every noise level, with the classes it is taken for
# and its zero-shot margin.
PREDICTIONS = Schema(
    (
        name("id"),
        number("noise", low=0),
        name("actual"),
        *(name(classifier) for classifier in CLASSIFIERS),
        number("margin", -2, 2),
    ),
    key=("id", "noise"),
)

# Largest gradient entry of a converged probe. At scikit-learn's own 1e-4 up to 5% of the
# predictions were not those of the optimum; at 1e-7 one in 5,640 was not.
PROBE_TOLERANCE = 1e-7
PROBE_MAX_ITERATIONS = 10_000

# Bounds the array of similarities of queries to references: 32 MiB of float64.
SIMILARITIES_AT_ONCE = 2**22


def cosines(images: np.ndarray, text: np.ndarray) -> np.ndarray:
    """(n, d) and (C, d), unit rows -> (n, C) float64 cosine similarities."""
    return images.astype(np.float64) @ text.astype(np.float64).T


def rank_of_truth(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How many classes score above the true one: (n, C), (n,) -> (n,) int, 0 for the best.

    Among equal scores the class that comes first is above, as it is for argmax.
    """
    truth = np.take_along_axis(scores, labels[:, None], axis=1)
    before = np.arange(scores.shape[1]) < labels[:, None]
    return ((scores > truth) | ((scores == truth) & before)).sum(axis=1)


def margins(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Score of the true class less the best other one: (n, C >= 2), (n,) -> (n,)."""
    others = scores.copy()
    rows = np.arange(len(labels))
    others[rows, labels] = -np.inf
    return scores[rows, labels] - others.max(axis=1)


def calibration_table(
    scores: np.ndarray, labels: np.ndarray, logit_scale: float, bins: int
) -> pd.DataFrame:
    """What a classifier's confidence is worth: one row per bin of confidence that is not empty.

    scores: (n, C) cosines; confidence is the largest entry of softmax(logit_scale * scores).
    Columns: from, to (the bin, its upper end included), n, confidence and accuracy (means).
    """
    logits = logit_scale * scores
    logits -= logits.max(axis=1, keepdims=True)
    confidence = 1.0 / np.exp(logits).sum(axis=1)
    # Bin i is (i / bins, (i + 1) / bins].
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    correct = scores.argmax(axis=1) == labels
    n = np.bincount(place, minlength=bins)
    full = np.flatnonzero(n)
    return pd.DataFrame(
        {
            "from": full / bins,
            "to": (full + 1) / bins,
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


@dataclass(frozen=True)
class Probe:
    """A linear probe: multinomial logistic regression on embeddings.

    strength: the inverse regularisation strength C that did best on val.
    val_accuracy: its share of right answers there.
    unconverged: the strengths whose optimisation stopped short of its optimum.
    """

    strength: float
    val_accuracy: float
    unconverged: list[float]
    centre: np.ndarray
    model: LogisticRegression

    def predict(self, images: np.ndarray) -> np.ndarray:
        """(n, d) unit rows -> (n,) labels."""
        return self.model.predict(images.astype(np.float64) - self.centre)


def fit_probe(
    train: np.ndarray,
    train_labels: np.ndarray,
    val: np.ndarray,
    val_labels: np.ndarray,
    strengths: Sequence[float],
) -> Probe:
    """Fit a probe on train for each strength and keep the best on val, the smallest in a tie.

    train, val: (n, d) unit rows; at least two classes in train. L2 regularisation and L-BFGS
    on unit features, as in the CLIP paper (Radford et al. 2021). Centring changes no
    prediction of the optimum, since the intercept is free, but makes the problem far better
    conditioned, and each strength starts from the weights of the one before.
    """
    centre = train.mean(axis=0, dtype=np.float64)
    features, val_features = (part.astype(np.float64) - centre for part in (train, val))
    model = LogisticRegression(warm_start=True, tol=PROBE_TOLERANCE, max_iter=PROBE_MAX_ITERATIONS)
    best, best_right, best_strength, unconverged = model, -1, 0.0, []
    for strength in sorted(strengths):
        model.set_params(C=strength)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            model.fit(features, train_labels)
        if any(issubclass(warning.category, ConvergenceWarning) for warning in caught):
            unconverged.append(strength)
        right = int((model.predict(val_features) == val_labels).sum())
        if right > best_right:
            best, best_right, best_strength = copy.deepcopy(model), right, strength
    return Probe(best_strength, best_right / len(val), unconverged, centre, best)


@dataclass(frozen=True)
class Neighbours:
    """A classifier by the k most similar reference images, by cosine.

    references, labels: (n, d) unit rows and (n,) labels.
    count: the k that did best on val; val_accuracy: its share of right answers there.
    """

    references: np.ndarray
    labels: np.ndarray
    count: int
    val_accuracy: float

    def predict(self, images: np.ndarray) -> np.ndarray:
        """(n, d) unit rows -> (n,) labels."""
        return neighbour_votes(self.references, self.labels, images, [self.count])[0]


def fit_neighbours(
    train: np.ndarray,
    train_labels: np.ndarray,
    val: np.ndarray,
    val_labels: np.ndarray,
    counts: Sequence[int],
) -> Neighbours:
    """Choose the number of neighbours on val, the smallest in a tie; train holds the references.

    train, val: (n, d) unit rows. counts: none above the number of references.
    """
    counts = sorted(counts)
    votes = neighbour_votes(train, train_labels, val, counts)
    right = (votes == val_labels).sum(axis=1)
    best = int(right.argmax())
    return Neighbours(train, train_labels, counts[best], float(right[best]) / len(val))


def neighbour_votes(
    references: np.ndarray, labels: np.ndarray, queries: np.ndarray, counts: Sequence[int]
) -> np.ndarray:
    """The class most frequent among each query's k nearest references, for each k of `counts`.

    references: (n, d), queries: (q, d), unit rows; labels: (n,). Returns (len(counts), q).
    Equally frequent classes are decided by the larger sum of cosines, then by the smaller
    label; equally similar references by their order.
    """
    references = references.astype(np.float64)
    class_count = int(labels.max()) + 1
    voted = np.empty((len(counts), len(queries)), dtype=np.int64)
    at_once = max(SIMILARITIES_AT_ONCE // len(references), 1)
    for start in range(0, len(queries), at_once):
        block = slice(start, start + at_once)
        similar = queries[block].astype(np.float64) @ references.T  # (b, n)
        nearest = np.argsort(-similar, axis=1, kind="stable")[:, : max(counts)]  # (b, k)
        weights = np.take_along_axis(similar, nearest, axis=1)
        rows = np.arange(len(similar))[:, None]
        for i, count in enumerate(counts):
            cells = (rows * class_count + labels[nearest[:, :count]]).ravel()
            shape, size = (len(similar), class_count), len(similar) * class_count
            votes = np.bincount(cells, minlength=size).reshape(shape)
            sums = np.bincount(cells, weights[:, :count].ravel(), size).reshape(shape)
            # A sum of cosines counts only where the votes are equal.
            leading = votes == votes.max(axis=1, keepdims=True)
            voted[i, block] = np.where(leading, sums, -np.inf).argmax(axis=1)
    return voted
