"""Label-free scores that are simpler than topology, its rivals in claim 8.

Each predicts how accurate a classifier is on images without labels, here how much accuracy a class
loses: all are changes of a class's images against the clean ones, signed so that a larger value
means that more is lost. Confidences are the softmax over the classes of zero-shot's scaled cosines
or, without text, of those with the class means, see `judge_of`; they are of test images, as the
accuracies are. P is their matrix, a row for each of n images and a column for each of C classes.

doubt: 1 - the mean over images of the largest probability (average confidence; Hendrycks and
    Gimpel, ICLR 2017).
confidence_loss: that mean, clean less noisy (difference of confidences; Guillory et al., ICCV
    2021).
thresholded_loss: the share of images that are as sure as a threshold, clean less noisy (average
    thresholded confidence; Garg et al., ICLR 2022): see `threshold_of`.
nuclear_loss: of the nuclear norm of P (Deng et al., ICML 2023): see `nuclear_norm`.
dispersion_loss: of the dispersion score (Xie et al., NeurIPS 2023): see `dispersion`.
total_persistence_h<dim>: the absolute change of the summed lengths of the finite bars of a class
    (Cohen-Steiner et al., Found. Comput. Math. 10, 2010), of the table of `persistence`.
neighbours_lost: the share of its nearest neighbours in the class that an image does not keep
    (Huh et al., ICML 2024): see `neighbours_kept`.

The nuclear norm and the dispersion score are about sets of images of all classes: they are high
where images are taken for many classes, alike often. Of the images of one class the same would
speak against the classifier, for all of them should be taken for one; and where noise makes it
unsure, the nuclear norm of one class falls for another reason than that for which it rises. So
they are taken of the whole test set, all of it clean but for the one class, which is noisy: what
the score of the whole loses by that, with the sign that its authors give it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import optimize, special

from stages.core.evaluation.calibration import softmax_confidence
from stages.core.evaluation.classification import (
    SCORES_AT_ONCE,
    Known,
    Scoring,
    ZeroShot,
    blocks,
    cosines,
    fit_prototypes,
    most_similar,
)
from stages.core.runtime.parallel import parallel_map
from stages.core.runtime.randomness import generator_for, stratified_sample

RIVALS = {
    "doubt": "1 - average confidence",
    "confidence_loss": "loss of average confidence",
    "thresholded_loss": "loss of thresholded confidence",
    "nuclear_loss": "loss of nuclear norm",
    "dispersion_loss": "loss of dispersion score",
    "total_persistence": "change of total persistence",
    "neighbours_lost": "nearest neighbours lost",
}
COLUMNS = ["class", "noise", "measure", "value"]
NEIGHBOURS = 10  # of an image, or half of the others where there are fewer than twice as many
SCALES = (1.0, 100.0)  # of logits, where they are fitted; CLIP's own is 100 at the most

Clouds = Mapping[str, Mapping[float, np.ndarray]]


@dataclass(frozen=True)
class Judge:
    """A classifier with what makes probabilities of its scores, and the threshold of ATC."""

    classifier: Scoring
    scale: float
    threshold: float

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """(n, d) unit rows -> (n, C), rows that add up to 1."""
        return special.softmax(self.scale * self.classifier.scores(images), axis=1)


def judge_of(known: Known, logit_scale: float | None) -> Judge:
    """Zero-shot with the model's own logit scale or, without text, the nearest class mean.

    The class means are those of train alone, so that val is as new to them as test is. A logit
    scale that there is not is the one under which val is most likely, from 1 to 100 (temperature
    scaling, Guo et al., ICML 2017). The threshold is fitted on val.
    """
    text = known.text is not None
    classifier = ZeroShot(known.text) if known.text is not None else fit_prototypes(known, False)
    scale = logit_scale if text and logit_scale else _fitted_scale(classifier, known)
    confidence, right = [], []
    for part in blocks(len(known.val), classifier.class_count):
        scores = classifier.scores(known.val[part])
        confidence.append(softmax_confidence(scores, scale, 0.0))
        right.append(scores.argmax(axis=1) == known.val_labels[part])
    return Judge(classifier, scale, threshold_of(np.concatenate(confidence), np.concatenate(right)))


def _fitted_scale(classifier: Scoring, known: Known) -> float:
    """The scale of logits of the largest likelihood of val, or of a sample that memory holds."""
    labels = known.val_labels
    most = min(len(labels), max(SCORES_AT_ONCE // classifier.class_count, 1))
    rows = stratified_sample(labels, most, generator_for("logit scale", most, len(labels)))
    scores = classifier.scores(known.val[rows])
    truth = scores[np.arange(len(rows)), labels[rows]]

    def unlikely(log_scale: float) -> float:
        scale = np.exp(log_scale)
        return float((special.logsumexp(scale * scores, axis=1) - scale * truth).mean())

    found = optimize.minimize_scalar(unlikely, bounds=np.log(SCALES), method="bounded")
    return float(np.exp(found.x))


def threshold_of(confidence: np.ndarray, right: np.ndarray) -> float:
    """The confidence that as many images reach as are classified rightly: (n,), (n,) bool.

    The share of other images that reach it predicts their accuracy (average thresholded
    confidence, ATC: Garg et al., ICLR 2022, who also use the negative entropy in place of the
    largest probability). Infinite where no image is right.
    """
    wrong = int((~right).sum())
    return float(np.sort(confidence)[wrong]) if wrong < len(right) else np.inf


class Totals(NamedTuple):
    """What the scores of a whole set need of its n images; those of two sets add up.

    products: (C, C), P.T @ P of their probabilities P.
    counts: (C,) how many are taken for each class; sums: (C, d) of the embeddings of those.
    """

    products: np.ndarray
    counts: np.ndarray
    sums: np.ndarray

    def plus(self, other: "Totals", sign: int = 1) -> "Totals":
        """With the images of another set or, by sign -1, without them."""
        return Totals(*(a + sign * b for a, b in zip(self, other, strict=True)))


def totals_of(probabilities: np.ndarray, images: np.ndarray) -> Totals:
    """Totals of images (n, d) with probabilities (n, C)."""
    taken_for = np.eye(probabilities.shape[1])[probabilities.argmax(axis=1)]
    return Totals(
        probabilities.T @ probabilities,
        taken_for.sum(axis=0),
        taken_for.T @ images.astype(np.float64),
    )


def nuclear_norm(totals: Totals) -> float:
    """The sum of the singular values of P over its largest possible value, sqrt(min(n, C) n).

    1 where images are surely taken for all classes, alike often (Deng et al., "Confidence and
    dispersity speak", ICML 2023); less where classifiers are unsure or prefer some classes.
    """
    n, classes = totals.counts.sum(), len(totals.counts)
    squares = np.linalg.eigvalsh(totals.products).clip(min=0)
    return float(np.sqrt(squares).sum() / np.sqrt(min(n, classes) * n))


def dispersion(totals: Totals) -> float:
    """log(sum_j n_j |mean_j - mean|^2 / (C - 1)), j over the classes that images are taken for.

    mean_j is that of the embeddings of the n_j images taken for j, mean that of all (Xie et al.,
    "On the importance of feature separability in predicting out-of-distribution error", NeurIPS
    2023). -inf where all images are taken for one class.
    """
    counts, sums = totals.counts, totals.sums
    there = counts > 0.5  # whole numbers, all of them
    means = sums[there] / counts[there, None]
    apart = ((means - sums.sum(axis=0) / counts.sum()) ** 2).sum(axis=1)
    between = counts[there] @ apart if there.sum() > 1 else 0.0
    with np.errstate(divide="ignore"):
        return float(np.log(between / (len(counts) - 1)))


def score_measures(tests: Clouds, judge: Judge) -> pd.DataFrame:
    """The scores of a classifier's probabilities: class, noise, measure, value.

    tests: {class: {level: (t, d)}} of test images, rows paired, 0.0 among the levels. A score
    that is not finite, as a dispersion may be, is missing.
    """
    whole = _sum(totals_of(judge.probabilities(at[0.0]), at[0.0]) for at in tests.values())
    jobs = list(tests.items())
    tables = parallel_map(partial(_scores, judge, whole), jobs, "label-free scores")
    return pd.concat(tables, ignore_index=True)


def _sum(parts: Iterable[Totals]) -> Totals:
    first, *rest = parts
    for part in rest:
        first = first.plus(part)
    return first


def _scores(
    judge: Judge, whole: Totals, job: tuple[str, Mapping[float, np.ndarray]]
) -> pd.DataFrame:
    of, by_level = job
    clean = judge.probabilities(by_level[0.0])
    others = whole.plus(totals_of(clean, by_level[0.0]), -1)
    sure, norm, dispersed = clean.max(axis=1), nuclear_norm(whole), dispersion(whole)
    confident = (sure >= judge.threshold).sum()
    rows = []
    for level, images in by_level.items():
        if level == 0:
            continue
        noisy = judge.probabilities(images)
        sure_noisy, together = noisy.max(axis=1), others.plus(totals_of(noisy, images))
        with np.errstate(invalid="ignore"):
            values = {
                "doubt": 1 - sure_noisy.mean(),
                "confidence_loss": sure.mean() - sure_noisy.mean(),
                # Of counts, so that classes that lose as many of as many images tie.
                "thresholded_loss": (confident - (sure_noisy >= judge.threshold).sum()) / len(sure),
                "nuclear_loss": norm - nuclear_norm(together),
                "dispersion_loss": dispersed - dispersion(together),
            }
        rows += [(of, level, *found) for found in values.items()]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.assign(value=table["value"].where(np.isfinite(table["value"])))


def neighbours_kept(clean: np.ndarray, noisy: np.ndarray, count: int) -> float:
    """The share of an image's `count` nearest neighbours that are so in both clouds, in the mean.

    clean, noisy: (n, d) unit rows, paired, n > count. It is the mutual nearest-neighbour metric
    of Huh et al. ("The Platonic representation hypothesis", ICML 2024).
    """
    n, both = len(clean), 0
    for part in blocks(n, n):
        near = []
        for cloud in (clean, noisy):
            similar = cosines(cloud[part], cloud)
            similar[np.arange(len(similar)), np.arange(n)[part]] = -np.inf
            near.append(np.zeros(similar.shape, dtype=bool))
            np.put_along_axis(near[-1], most_similar(similar, count), True, axis=1)
        both += int((near[0] & near[1]).sum())
    return both / (n * count)


def neighbour_measures(clouds: Clouds) -> pd.DataFrame:
    """How many nearest neighbours each class's images lose: as `score_measures`, of all images.

    clouds: {class: {level: (n, d)}}. Missing of a class of fewer than three images, whose
    neighbours cannot change.
    """
    jobs = [
        (of, level, by_level[0.0], noisy)
        for of, by_level in clouds.items()
        for level, noisy in by_level.items()
        if level > 0
    ]
    rows = parallel_map(_neighbours_lost, jobs, "nearest neighbours")
    return pd.DataFrame(rows, columns=COLUMNS)


def _neighbours_lost(job: tuple[str, float, np.ndarray, np.ndarray]) -> tuple:
    of, level, clean, noisy = job
    count = min(NEIGHBOURS, (len(clean) - 1) // 2)
    lost = 1 - neighbours_kept(clean, noisy, count) if count else np.nan
    return of, level, "neighbours_lost", lost
