"""Classifiers of images by their embeddings, all of them listed in CLASSIFIERS at the end."""

import copy
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stages.core.runtime.progress import progress
from stages.core.runtime.randomness import generator_for, stratified_sample
from stages.settings.checks import possible_neighbours

if TYPE_CHECKING:  # for only a process that fits a probe should pay a second for it
    from sklearn.linear_model import LogisticRegression

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
# Bounds that of images to classes: 128 MiB.
SCORES_AT_ONCE = 2**24


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


@dataclass(frozen=True)
class Known:
    """What classifiers learn from: clean images whose classes are known, and the class prompts.

    train, val: (n, d), (m, d), and text: (C, d), all unit rows, one of text for each class; text is
        None for a model without text.
    train_labels, val_labels: (n,), (m,) int in 0 .. C - 1; at least two classes in train.
    """

    train: np.ndarray
    train_labels: np.ndarray
    val: np.ndarray
    val_labels: np.ndarray
    text: np.ndarray | None

    def all_images(self) -> tuple[np.ndarray, np.ndarray]:
        """The images of train and val, (n + m, d), and their labels."""
        return (
            np.concatenate([self.train, self.val]),
            np.concatenate([self.train_labels, self.val_labels]),
        )

    def for_learning(self, most: int | None, refit: bool) -> tuple[np.ndarray, np.ndarray]:
        """The images of train or, for a refit, of train and val: (m, d), and their labels.

        At most `most` of them, all where it is None: as many of each class as can be, but one of
        each at the least. Which ones depends on the labels alone.
        """
        images, labels = self.all_images() if refit else (self.train, self.train_labels)
        if most is None or most >= len(labels):
            return images, labels
        most = max(most, len(np.unique(labels)))
        rows = stratified_sample(labels, most, generator_for("for learning", most, len(labels)))
        return images[rows], labels[rows]


class Fitted:
    """A classifier that has learnt all it will."""

    def predict(self, images: np.ndarray) -> np.ndarray:
        """(n, d) unit rows -> (n,) labels."""
        raise NotImplementedError

    def metrics(self) -> dict[str, float | int | bool]:
        """What was chosen and found in fitting, {name of a metric: value}."""
        return {}

    def warning(self) -> str | None:
        """What a reader of the accuracy has to know of the fit, in one line."""
        return None


class Scoring(Fitted):
    """A classifier that scores every class, and predicts the one with the largest score."""

    def scores(self, images: np.ndarray) -> np.ndarray:
        """(n, d) unit rows -> (n, C) float64."""
        raise NotImplementedError

    def predict(self, images: np.ndarray) -> np.ndarray:
        parts = blocks(len(images), self.class_count)
        return np.concatenate([self.scores(images[part]).argmax(axis=1) for part in parts])

    @property
    def class_count(self) -> int:
        """C."""
        raise NotImplementedError


@dataclass(frozen=True)
class ZeroShot(Scoring):
    """A classifier by the cosine of an image with the prompts of each class.

    text: (C, d) unit rows.
    """

    text: np.ndarray

    @property
    def class_count(self) -> int:
        return len(self.text)

    def scores(self, images: np.ndarray) -> np.ndarray:
        return cosines(images, self.text)


def fit_zero_shot(known: Known) -> ZeroShot:
    """The classifier by the class prompts, which learns from no image."""
    assert known.text is not None
    return ZeroShot(known.text)


@dataclass(frozen=True)
class Probe(Fitted):
    """A linear probe: multinomial logistic regression on embeddings.

    strength: the inverse regularisation strength C that did best on val.
    val_accuracy: its share of right answers there, when fitted on train.
    unconverged: the strengths whose optimisation stopped short of its optimum.
    centre: (d,), which is subtracted from embeddings.
    """

    strength: float
    val_accuracy: float
    unconverged: list[float]
    centre: np.ndarray
    model: "LogisticRegression"

    def predict(self, images: np.ndarray) -> np.ndarray:
        return np.concatenate(
            [
                self.model.predict(images[part].astype(np.float64) - self.centre)
                for part in blocks(len(images), len(self.model.classes_))
            ]
        )

    def metrics(self) -> dict[str, float | int | bool]:
        return {
            "strength": self.strength,
            "val_top1": self.val_accuracy,
            "converged": not self.unconverged,
        }

    def warning(self) -> str | None:
        if not self.unconverged:
            return None
        strengths = ", ".join(f"{strength:g}" for strength in self.unconverged)
        return f"The linear probe did not converge at strength {strengths}"


def fit_probe(
    known: Known, probe_strengths: Sequence[float], refit: bool, probe_images: int | None = None
) -> Probe:
    """Fit a probe on train, the strength of its L2 penalty chosen on val.

    probe_images: the most images to learn from, see `Known.for_learning`; None: all.
    probe_strengths: the inverse strengths C to try; none: the sweep of CLIP_benchmark, see
        `sweep`.
    refit: fit the chosen probe anew on train and val together. C stays what it is: it is the
        variance of a prior on the weights, which more images do not change.

    The strength with most right answers wins, the strongest penalty (the smallest C) in a tie.
    L2 regularisation of unit features, as in the CLIP paper (Radford et al. 2021).
    Centring changes no prediction of the optimum, since the intercept is free, but makes the
    problem far better conditioned.
    """
    train, train_labels = known.for_learning(probe_images, refit=False)
    centre = train.mean(axis=0, dtype=np.float64)
    features = train.astype(np.float64) - centre
    models: dict[float, LogisticRegression] = {}
    unconverged = []

    def fit(strength: float, x: np.ndarray, labels: np.ndarray) -> "LogisticRegression":
        model = _start(models, strength)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.fit(x, labels)
        if caught:  # too many iterations, or a line search that failed
            unconverged.append(strength)
        bar.update()
        return model

    def right(strength: float) -> int:
        models[strength] = fit(strength, features, train_labels)
        found = Probe(strength, 0.0, [], centre, models[strength]).predict(known.val)
        return int((found == known.val_labels).sum())

    tried = len(probe_strengths) or fits_of_sweep(len(PENALTIES))
    with progress((), "linear probe", tried + refit) as bar:
        if len(probe_strengths):
            counts = {strength: right(strength) for strength in sorted(probe_strengths)}
            best = max(counts, key=lambda strength: (counts[strength], -strength))
        else:
            best, counts = sweep(right, 1 / (len(train) * PENALTIES))
        model = models[best]
        if refit:
            everything, labels = known.for_learning(probe_images, refit=True)
            model = fit(best, everything.astype(np.float64) - centre, labels)
    return Probe(best, counts[best] / len(known.val), sorted(set(unconverged)), centre, model)


def sweep(right: Callable[[float], int], strengths: np.ndarray) -> tuple[float, dict[float, int]]:
    """The strength with most right answers by a coarse and then ever finer search.

    right: the number of right answers on val at a strength; strengths: (n,) ascending.
    Every COARSE_STEP-th one is tried, then those half as far to both sides of the best, and so
    on to its neighbours (Radford et al. 2021, appendix A.3). The smallest wins a tie.
    Returns the best and {strength: right answers} of all that were tried.
    """
    counts: dict[float, int] = {}

    def best_of(positions: Iterable[int]) -> int:
        within = [i for i in positions if 0 <= i < len(strengths)]
        for i in within:
            if strengths[i] not in counts:
                counts[float(strengths[i])] = right(float(strengths[i]))
        return max(within, key=lambda i: (counts[float(strengths[i])], -i))

    best = best_of(range(0, len(strengths), COARSE_STEP))
    step = COARSE_STEP // 2
    while step:
        best = best_of((best - step, best, best + step))
        step //= 2
    return float(strengths[best]), counts


def fits_of_sweep(strengths: int) -> int:
    """How many of so many strengths a `sweep` tries, at the most."""
    return len(range(0, strengths, COARSE_STEP)) + 2 * (COARSE_STEP.bit_length() - 1)


def _start(models: "Mapping[float, LogisticRegression]", strength: float) -> "LogisticRegression":
    """A model to fit at an inverse strength C, from those fitted at others: {C: model}.

    Its weights lie between those of the next smaller and the next larger C, straight in log C:
    Newton's method then needs two steps instead of five.
    """
    from sklearn.linear_model import LogisticRegression

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
class Neighbours(Fitted):
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
        return neighbour_votes(self.references, self.labels, images, [self.count])[0]

    def metrics(self) -> dict[str, float | int | bool]:
        return {"neighbours": self.count, "val_top1": self.val_accuracy}


def fit_neighbours(
    known: Known, knn_neighbours: Sequence[int], refit: bool, knn_images: int | None = None
) -> Neighbours:
    """Choose the number of neighbours on val, the smallest in a tie, among references of train.

    knn_images: the most references, see `Known.for_learning`; None: all.
    knn_neighbours: the numbers to try; those above the number of training images are passed over.
    refit: train and val together are the references of what is returned, so that it knows as
        many labels as a probe that was refitted.

    Raises StudyError where every number is above that of the training images.
    """
    references, labels = known.for_learning(knn_images, refit=False)
    counts = sorted(possible_neighbours(knn_neighbours, len(references)))
    votes = neighbour_votes(references, labels, known.val, counts)
    right = (votes == known.val_labels).sum(axis=1)
    best = int(right.argmax())
    references, labels = known.for_learning(knn_images, refit)
    return Neighbours(references, labels, counts[best], float(right[best]) / len(known.val))


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
        nearest = most_similar(similar, max(counts))  # (b, k)
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


def most_similar(similar: np.ndarray, count: int) -> np.ndarray:
    """The columns of the `count` largest values of each row, the largest first: (b, n) -> (b, k).

    Equal values go by their order, as in a stable sort of the row, which takes many times as long.
    """
    if count >= similar.shape[1]:
        return np.argsort(-similar, axis=1, kind="stable")[:, :count]
    nearest = np.sort(np.argpartition(-similar, count - 1, axis=1)[:, :count], axis=1)
    values = np.take_along_axis(similar, nearest, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    # Of equal values at the end, the partition takes any.
    tied = np.flatnonzero((similar >= values.min(axis=1)[:, None]).sum(axis=1) > count)
    found = np.take_along_axis(nearest, order, axis=1)
    found[tied] = np.argsort(-similar[tied], axis=1, kind="stable")[:, :count]
    return found


def blocks(rows: int, columns: int) -> Iterator[slice]:
    """Slices of rows, of an array of SCORES_AT_ONCE values at the most."""
    at_once = max(SCORES_AT_ONCE // max(columns, 1), 1)
    for start in range(0, rows, at_once):
        yield slice(start, start + at_once)


@dataclass(frozen=True)
class Prototypes(Scoring):
    """A classifier by the cosine of an image with the mean of each class.

    means: (C, d) unit rows, or rows of 0.
    """

    means: np.ndarray

    @property
    def class_count(self) -> int:
        return len(self.means)

    def scores(self, images: np.ndarray) -> np.ndarray:
        return cosines(images, self.means)


def fit_prototypes(known: Known, refit: bool) -> Prototypes:
    """Take the mean of each class, as its direction (Rocchio; Snell et al. 2017, by cosine).

    refit: of train and val together; otherwise of train alone. Nothing is chosen on val.
    A class whose embeddings cancel out has no direction, and a cosine of 0 with all images.
    """
    images, labels = known.all_images() if refit else (known.train, known.train_labels)
    sums = np.zeros((labels.max() + 1, images.shape[1]))
    np.add.at(sums, labels, images)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return Prototypes(sums / np.where(lengths > 0, lengths, 1))


@dataclass(frozen=True)
class Classifier:
    """A way to classify images, fitted on clean ones and tried at every noise level.

    label: its name for readers.
    fit: (known, **settings) -> what predicts.
    settings: those of section classify in params.yaml that `fit` takes, by their names.
    reads_text: whether it needs the class prompts.
    """

    label: str
    fit: Callable[..., Fitted]
    settings: tuple[str, ...] = ()
    reads_text: bool = False


# {its name in metrics, in params.yaml and in the columns of the predictions: classifier}
CLASSIFIERS = {
    "zero_shot": Classifier("zero-shot", fit_zero_shot, reads_text=True),
    "probe": Classifier("linear probe", fit_probe, ("probe_strengths", "refit", "probe_images")),
    "knn": Classifier(
        "nearest neighbours", fit_neighbours, ("knn_neighbours", "refit", "knn_images")
    ),
    "prototype": Classifier("nearest class mean", fit_prototypes, ("refit",)),
}
