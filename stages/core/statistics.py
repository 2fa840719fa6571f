"""Bootstrap intervals, permutation tests and rank correlation: seeded, and vectorised.

A generator is handed in; the results depend on it and on the data alone.
"""

import warnings
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import special, stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel

# Bounds the array of resampled counts: 32 MiB of float64.
COUNTS_AT_ONCE = 2**22

# Bounds of a Gaussian process's variances, and of its length scale in standard deviations; of a
# shorter one a surface could not be told from noise. And how often the process is fitted.
SHARES, LENGTHS, FITS = (1e-3, 1e3), (1.0, 1e2), 3


class Interval(NamedTuple):
    """An estimate with the ends of its confidence interval."""

    estimate: float
    low: float
    high: float


def bootstrap_means(
    values: np.ndarray, strata: np.ndarray, replicates: int, generator: np.random.Generator
) -> np.ndarray:
    """Means of stratified bootstrap samples.

    values: (n, m), m measurements of the same n subjects. All m share every resample, so that
        differences between columns of the result are paired.
    strata: (n,) labels; each stratum keeps its weight in every resample.
    Returns (replicates, m) float64.

    From a stratum of k subjects k - 1 are drawn: k draws would make the variance too small by
    (k - 1) / k, which matters in small strata (Rao and Wu 1988). Strata of one subject, which
    have no variance of their own, are pooled.
    """
    n, m = values.shape
    means = np.zeros((replicates, m))
    for members in _strata(strata):
        count = len(members)
        draws = max(count - 1, 1)
        done = 0
        for counts in _resampled_counts(count, draws, replicates, generator):
            block = slice(done, done + len(counts))
            means[block] += counts @ values[members] * (count / (draws * n))
            done += len(counts)
    return means


def mean_intervals(
    values: np.ndarray,
    strata: np.ndarray,
    replicates: int,
    confidence: float,
    generator: np.random.Generator,
) -> list[Interval]:
    """Bias-corrected and accelerated (BCa) bootstrap intervals of means (Efron 1987).

    values: (n, m); strata: (n,). Returns one Interval for each of the m columns. For a
    difference of two paired measurements, hand in their difference.
    """
    members = _strata(strata)
    means = bootstrap_means(values, strata, replicates, generator)
    centred = np.array(values, dtype=np.float64)
    for rows in members:
        centred[rows] -= centred[rows].mean(axis=0)
    # The jackknife's acceleration: a mean's influence values are its deviations.
    squares = (centred**2).sum(axis=0)
    acceleration = np.divide(
        (centred**3).sum(axis=0), 6 * squares**1.5, out=np.zeros(values.shape[1]), where=squares > 0
    )
    return [
        bca_interval(estimate, replicated, confidence, a)
        for estimate, replicated, a in zip(values.mean(axis=0), means.T, acceleration, strict=True)
    ]


def accuracy_intervals(
    correct: np.ndarray,
    strata: np.ndarray,
    replicates: int,
    confidence: float,
    generator: np.random.Generator,
    per_stratum: bool = False,
) -> list[Interval]:
    """Bootstrap intervals of accuracies: `mean_intervals` of (n, m) booleans.

    per_stratum: every stratum counts alike, whatever its size (mean accuracy per class).

    Where no stratum has both right and wrong answers, resampling within strata has nothing to
    vary. The strata are then resampled as one; and where all answers are right, or all wrong,
    the end away from the estimate is the exact binomial one (Clopper and Pearson 1934).
    """
    labels, codes, sizes = np.unique(strata, return_inverse=True, return_counts=True)
    values = correct.astype(np.float64)
    right = np.stack([np.bincount(codes, column) for column in values.T], axis=1)  # (strata, m)
    if per_stratum:
        values *= (len(codes) / (len(labels) * sizes[codes]))[:, None]
    resampling = (replicates, confidence, generator)
    intervals = mean_intervals(values, strata, *resampling)
    surely_below = ((1 - confidence) / 2) ** (1 / len(correct))
    for i, count in enumerate(right.T):
        if (count == sizes).all():
            intervals[i] = Interval(1.0, surely_below, 1.0)
        elif not count.any():
            intervals[i] = Interval(0.0, 0.0, 1.0 - surely_below)
        elif ((count == 0) | (count == sizes)).all():
            intervals[i] = mean_intervals(values[:, [i]], np.zeros(len(codes)), *resampling)[0]
    return intervals


def percentile_interval(estimate: float, replicated: np.ndarray, confidence: float) -> Interval:
    """The interval between the percentiles of (R,) bootstrap replicates (Efron 1981)."""
    return bca_interval(estimate, replicated, confidence, acceleration=None)


def bca_interval(
    estimate: float, replicated: np.ndarray, confidence: float, acceleration: float | None
) -> Interval:
    """An interval from (R,) bootstrap replicates, its percentiles corrected for bias and skew.

    acceleration: the skewness of the estimate's influence values over six; None corrects
    nothing and gives the plain percentiles.
    """
    levels = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    if acceleration is not None:
        # Half of the ties, for a statistic with few values has many; sums taken in another
        # order differ in their last bits.
        slack = 1e-9 * np.ptp(replicated)
        below = (
            (replicated < estimate - slack).mean() + (replicated <= estimate + slack).mean()
        ) / 2
        bias = special.ndtri(np.clip(below, 0.5 / len(replicated), 1 - 0.5 / len(replicated)))
        z = bias + special.ndtri(levels)
        levels = special.ndtr(bias + z / (1 - acceleration * z))
    low, high = np.quantile(replicated, levels)
    # The last bits of a sum must not leave the estimate outside.
    return Interval(float(estimate), float(min(low, estimate)), float(max(high, estimate)))


def permutation_p_value(observed: float, null: np.ndarray, two_sided: bool = True) -> float:
    """The share of statistics at least as extreme as the one observed, itself included.

    null: (R,) statistics of permuted data. Counting the observed one keeps p above 0 and the
    test valid at every R (Phipson and Smyth 2010). Without `two_sided` large values count.
    """
    if two_sided:
        observed, null = abs(observed), np.abs(null)
    # Permutations that only reorder a sum must count as ties.
    at_least = null >= observed - 1e-12 * abs(observed)
    return float((1 + at_least.sum()) / (1 + len(null)))


def holm(p_values: np.ndarray) -> np.ndarray:
    """(m,) p-values -> (m,) adjusted for the number of tests (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    steps = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(np.asarray(p_values)[order] * steps), 1.0)
    return adjusted


def spearman(x: np.ndarray, y: np.ndarray, controls: np.ndarray | None = None) -> np.ndarray:
    """Spearman's rho along the last axis, ties by their mean rank: (..., n), (..., n) -> (...).

    controls: (..., n, k), what is to be taken out of both: x and y are then the residuals of
    their ranks from those of the controls (partial rank correlation). Leading axes broadcast,
    so that all resamples or permutations go in one call. NaN where either side is constant.
    """
    basis = _orthonormal(x[..., None][..., :0] if controls is None else controls)
    return _cosine(*(_residual(stats.rankdata(side, axis=-1), basis) for side in (x, y)))


class Correlation(NamedTuple):
    """Spearman's rho with its interval and its one-sided permutation p-value, of so large a rho."""

    rho: float
    low: float
    high: float
    p_value: float


def rank_correlation(
    x: np.ndarray,
    y: np.ndarray,
    controls: np.ndarray,
    replicates: int,
    confidence: float,
    generator: np.random.Generator,
) -> Correlation:
    """Spearman's rho of x and y, what `controls` explain of either taken out.

    x, y: (n,); controls: (n, k), k = 0 for the plain correlation. All are replaced by their
    ranks, and the ranks of x and y by their residuals from those of the controls: the partial
    rank correlation. The interval comes from a bootstrap of the n subjects (percentiles).

    The p-value comes from permuting y, and with controls from permuting what they leave of it
    (Freedman and Lane 1983; Anderson and Robinson 2001): y is fitted, in its values, by a smooth
    function of all controls together, the residuals are permuted and added to the fit, and the
    sums are ranked anew. Each goes through the ranks as the data did, so that what the ranks of
    the controls fail to take out of both sides, be it curved or an interaction, is in the null
    too, whose mean need not be 0. The same with x in place of y gives a second p-value, and the
    larger one counts: a poor fit of one side alone makes no correlation significant. NaN, with a
    p-value of 1, where nothing is left to vary.
    """
    n = len(x)
    resampled = generator.integers(n, size=(replicates, n))
    estimate = float(spearman(x, y, controls))
    if np.isnan(estimate):
        return Correlation(estimate, estimate, estimate, 1.0)
    replicated = spearman(x[resampled], y[resampled], controls[resampled])
    interval = percentile_interval(estimate, replicated[np.isfinite(replicated)], confidence)

    p_value = _permutation_test(estimate, x, y, controls, replicates, generator)
    if controls.shape[1]:
        p_value = max(p_value, _permutation_test(estimate, y, x, controls, replicates, generator))
    return Correlation(estimate, *interval[1:], p_value)


def _permutation_test(
    estimate: float,
    kept: np.ndarray,
    permuted: np.ndarray,
    controls: np.ndarray,
    replicates: int,
    generator: np.random.Generator,
) -> float:
    """The one-sided p-value of rho where what (n, k) controls leave of one side is permuted."""
    residual = _smooth_residual(permuted, controls)
    shuffled = generator.permuted(np.broadcast_to(residual, (replicates, len(kept))), axis=1)
    null = spearman(kept, permuted - residual + shuffled, controls)
    # Where the ranks of a control leave nothing, a permutation tells nothing: it counts as a tie.
    null = np.where(np.isnan(null), estimate, null)
    return permutation_p_value(estimate, null, two_sided=False)


def percent(share: float) -> str:
    """A share or a confidence for readers: 0.95 -> '95%', 0.999 -> '99.9%'."""
    return f"{100 * share:.4g}%"


def share_interval(count: int, of: int, confidence: float) -> Interval:
    """The share `count / of` with its exact interval (Clopper and Pearson 1934)."""
    found = stats.binomtest(count, of).proportion_ci(confidence, "exact")
    return Interval(count / of, float(found.low), float(found.high))


def _smooth_residual(y: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """(n,) what a smooth function of (n, k) controls leaves of y: a Gaussian process regression.

    Its kernel is that of a plane plus that of a smooth surface, so that curves, interactions and
    products of the controls are fitted as far as the data show them; the share of each, its
    smoothness and the noise are those of the largest marginal likelihood (Rasmussen and Williams
    2006, chapter 5). A fit falls short of what it fits; what it leaves is therefore fitted again,
    twice (Buhlmann and Yu, "Boosting with the L2 loss", J. Am. Stat. Assoc. 98, 2003).
    """
    varies = controls.std(axis=0) > 0
    residual = y - y.mean()
    if not varies.any() or not residual.any():
        return residual
    z = stats.zscore(controls[:, varies])
    kernel = (
        ConstantKernel(1.0, SHARES) * RBF(2.0, LENGTHS)
        + ConstantKernel(1.0, SHARES) * DotProduct(1.0, "fixed")
        + WhiteKernel(0.5, SHARES)
    )
    with warnings.catch_warnings():
        # A share at its bound, e.g. none of a surface where the relation is a plane, is a result.
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = GaussianProcessRegressor(kernel).fit(z, residual / y.std()).kernel_
    for _ in range(FITS):
        residual = fitted.k2.noise_level * np.linalg.solve(fitted(z), residual)
    return residual


def _orthonormal(controls: np.ndarray) -> np.ndarray:
    """(..., n, k) -> (..., n, k + 1): a basis of the constant and of the columns' ranks."""
    ranks = stats.rankdata(controls, axis=-2)
    columns = [np.ones((*ranks.shape[:-1], 1)), ranks - ranks.mean(axis=-2, keepdims=True)]
    return np.linalg.qr(np.concatenate(columns, axis=-1)).Q


def _residual(values: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """What of (..., n) lies outside the span of orthonormal columns (..., n, k)."""
    inside = np.einsum("...nk,...n->...k", basis, values)
    return values - np.einsum("...nk,...k->...n", basis, inside)


def _cosine(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of (..., n) and (..., n); NaN where one of them is zero but for rounding errors."""
    x_length, y_length = (np.sqrt((side**2).sum(axis=-1)) for side in (x, y))
    product = (x * y).sum(axis=-1)
    varies = np.minimum(x_length, y_length) > 1e-9 * x.shape[-1] ** 1.5
    nowhere = np.full(np.shape(product), np.nan)
    return np.divide(product, x_length * y_length, out=nowhere, where=varies)


def _strata(labels: np.ndarray) -> list[np.ndarray]:
    """Positions of each stratum's members, in the order of the labels; singletons pooled."""
    _, codes = np.unique(labels, return_inverse=True)
    groups = [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]
    single = [group for group in groups if len(group) == 1]
    pooled = [np.concatenate(single)] if single else []
    return [group for group in groups if len(group) > 1] + pooled


def _resampled_counts(
    count: int, draws: int, replicates: int, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    """How often each of `count` subjects is drawn: blocks (r, count) float64, `replicates` rows."""
    at_once = max(COUNTS_AT_ONCE // count, 1)
    for start in range(0, replicates, at_once):
        rows = min(at_once, replicates - start)
        drawn = generator.integers(count, size=(rows, draws))
        drawn += np.arange(rows)[:, None] * count
        counts = np.bincount(drawn.ravel(), minlength=rows * count)
        yield counts.reshape(rows, count).astype(np.float64)
