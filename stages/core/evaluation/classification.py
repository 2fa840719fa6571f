"""Classifying by embeddings: zero-shot, linear probe and k nearest neighbours, and calibration."""

import copy
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import special
from sklearn.linear_model import LogisticRegression

from stages.core.artifacts.tables import Schema, name, number

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

# Two cosines of the same vectors differ by some 1e-16.
COSINE_DECIMALS = 12

# CLIP_benchmark's weights of the L2 penalty beside the mean loss, 97 over eight decades, and how
# many of them the first pass steps over. An inverse strength C is 1 / (images * weight).
PENALTIES = np.logspace(2, -6, 97)
COARSE_STEP = 16

# Largest gradient entry of a converged probe. At scikit-learn's own 1e-4 up to 5% of the
# predictions were not those of the optimum.
PROBE_TOLERANCE = 1e-7
PROBE_MAX_ITERATIONS = 10_000

# Bounds the array of similarities of queries to references: 32 MiB of float64.
SIMILARITIES_AT_ONCE = 2**22


def cosines(images: np.ndarray, references: np.ndarray) -> np.ndarray:
    """(n, d) and (C, d), unit rows -> (n, C) float64 cosine similarities.

    Rounded to COSINE_DECIMALS: the last bits of a product depend on its position in the matrix,
    and references that are the same must tie.
    """
    similar = images.astype(np.float64) @ references.astype(np.float64).T
    return similar.round(COSINE_DECIMALS, out=similar)


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

    confidence: Callable[[np.ndarray, float, float], np.ndarray]
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


@dataclass(frozen=True)
class Probe:
    """A linear probe: multinomial logistic regression on embeddings.

    strength: the inverse regularisation strength C that did best on val.
    val_accuracy: its share of right answers there, when fitted on train.
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
    refit: bool,
) -> Probe:
    """Fit a probe on train, the strength of its L2 penalty chosen on val.

    train, val: (n, d) unit rows; at least two classes in train.
    strengths: the inverse strengths C to try; none: the sweep of CLIP_benchmark, see `sweep`.
    refit: fit the chosen probe anew on train and val together. C stays what it is: it is the
        variance of a prior on the weights, which more images do not change.

    The strength with most right answers wins, the strongest penalty (the smallest C) in a tie.
    L2 regularisation of unit features, as in the CLIP paper (Radford et al. 2021).
    Centring changes no prediction of the optimum, since the intercept is free, but makes the
    problem far better conditioned.
    """
    centre = train.mean(axis=0, dtype=np.float64)
    features, val_features = (part.astype(np.float64) - centre for part in (train, val))
    models: dict[float, LogisticRegression] = {}
    unconverged = []

    def fit(strength: float, x: np.ndarray, labels: np.ndarray) -> LogisticRegression:
        model = _start(models, strength)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(x, labels)
        if caught:  # too many iterations, or a line search that failed
            unconverged.append(strength)
        return model

    def right(strength: float) -> int:
        models[strength] = fit(strength, features, train_labels)
        return int((models[strength].predict(val_features) == val_labels).sum())

    if len(strengths):
        counts = {strength: right(strength) for strength in sorted(strengths)}
        best = max(counts, key=lambda strength: (counts[strength], -strength))
    else:
        best, counts = sweep(right, 1 / (len(train) * PENALTIES))
    model = models[best]
    if refit:
        everything = np.concatenate([features, val_features])
        model = fit(best, everything, np.concatenate([train_labels, val_labels]))
    return Probe(best, counts[best] / len(val), sorted(set(unconverged)), centre, model)


def sweep(right: Callable[[float], int], strengths: np.ndarray) -> tuple[float, dict[float, int]]:
    """The strength with most right answers by a coarse and then ever finer search.

    right: the number of right answers on val at a strength; strengths: (n,) ascending.
    Every COARSE_STEP-th one is tried, then those half as far to both sides of the best, and so
    on to its neighbours (Radford et al. 2021, appendix A.3). The smallest wins a tie.
    Returns the best and {strength: right answers} of all that were tried.
    """
    counts: dict[float, int] = {}

    def best_of(positions: Iterable[int]) -> int:
        positions = [i for i in positions if 0 <= i < len(strengths)]
        for i in positions:
            if strengths[i] not in counts:
                counts[float(strengths[i])] = right(float(strengths[i]))
        return max(positions, key=lambda i: (counts[strengths[i]], -i))

    best = best_of(range(0, len(strengths), COARSE_STEP))
    step = COARSE_STEP // 2
    while step:
        best = best_of((best - step, best, best + step))
        step //= 2
    return float(strengths[best]), counts


def _start(models: Mapping[float, LogisticRegression], strength: float) -> LogisticRegression:
    """A model to fit at an inverse strength C, from those fitted at others: {C: model}.

    Its weights lie between those of the next smaller and the next larger C, straight in log C:
    Newton's method then needs two steps instead of five.
    """
    smaller = max((other for other in models if other <= strength), default=None)
    larger = min((other for other in models if other >= strength), default=smaller)
    if larger is None:
        return LogisticRegression(
            C=strength,
            solver="newton-cg",
            warm_start=True,
            tol=PROBE_TOLERANCE,
            max_iter=PROBE_MAX_ITERATIONS,
        )
    smaller = larger if smaller is None else smaller
    model = copy.deepcopy(models[smaller]).set_params(C=strength)
    if smaller < larger:
        share = np.log(strength / smaller) / np.log(larger / smaller)
        model.coef_ += share * (models[larger].coef_ - model.coef_)
        model.intercept_ += share * (models[larger].intercept_ - model.intercept_)
    return model


@dataclass(frozen=True)
class Neighbours:
    """A classifier by the k most similar reference images, by cosine.

    references, labels: (n, d) unit rows and (n,) labels.
    count: the k that did best on val; val_accuracy: its share of right answers there, with the
        references of train alone.
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
    refit: bool,
) -> Neighbours:
    """Choose the number of neighbours on val, the smallest in a tie, among references of train.

    train, val: (n, d) unit rows. counts: none above the number of training images.
    refit: train and val together are the references of what is returned, so that it knows as
        many labels as a probe that was refitted.
    """
    counts = sorted(counts)
    votes = neighbour_votes(train, train_labels, val, counts)
    right = (votes == val_labels).sum(axis=1)
    best = int(right.argmax())
    references, labels = train, train_labels
    if refit:
        references = np.concatenate([train, val])
        labels = np.concatenate([train_labels, val_labels])
    return Neighbours(references, labels, counts[best], float(right[best]) / len(val))


def neighbour_votes(
    references: np.ndarray, labels: np.ndarray, queries: np.ndarray, counts: Sequence[int]
) -> np.ndarray:
    """The class most frequent among each query's k nearest references, for each k of `counts`.

    references: (n, d), queries: (q, d), unit rows; labels: (n,). Returns (len(counts), q).
    Equally frequent classes are decided by the larger sum of cosines, then by the smaller
    label; equally similar references by their order.
    """
    class_count = int(labels.max()) + 1
    voted = np.empty((len(counts), len(queries)), dtype=np.int64)
    at_once = max(SIMILARITIES_AT_ONCE // len(references), 1)
    for start in range(0, len(queries), at_once):
        block = slice(start, start + at_once)
        similar = cosines(queries[block], references)  # (b, n)
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
