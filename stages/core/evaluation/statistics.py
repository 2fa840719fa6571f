"""Score and bootstrap intervals, permutation tests and rank correlation.

Where there is chance, a generator is handed in; results depend on it and on the data alone.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import special, stats
from scipy.linalg import cho_solve, cholesky
from scipy.optimize import brentq, elementwise, minimize
from scipy.spatial.distance import pdist, squareform

# Bounds the array of resampled counts: 32 MiB of float64.
COUNTS_AT_ONCE = 2**22

NEWTON_STEPS = 100

# Bounds of a Gaussian process's variances, and of its length scale in standard deviations; of a
# shorter one a surface could not be told from noise. And how often the process is fitted.
SHARES, LENGTHS, FITS = (1e-3, 1e3), (1.0, 1e2), 3
START = (1.0, 2.0, 1.0, 0.5)  # the surface's share and length scale, the plane's share, the noise
JITTER = 1e-10  # added to the noise, so that the kernel has a root


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
    correct: np.ndarray, strata: np.ndarray, confidence: float, per_stratum: bool = False
) -> list[Interval]:
    """Score intervals of accuracies: `score_intervals` of (n, m) booleans.

    per_stratum: every stratum counts alike, whatever its size (mean accuracy per class).
    """
    return score_intervals(correct.astype(np.int64), (0, 1), strata, confidence, per_stratum)


def score_intervals(
    values: np.ndarray,
    support: Sequence[int],
    strata: np.ndarray,
    confidence: float,
    per_stratum: bool = False,
) -> list[Interval]:
    """Score intervals of means of measurements that take few values.

    values: (n, m) integers, each one of `support`: (0, 1) for right answers, (-1, 0, 1) for
        differences of two paired ones. strata: (n,) labels, whose sizes are fixed.
    per_stratum: every stratum counts alike, whatever its size.
    Returns one Interval for each of the m columns.

    An interval holds every mean that a score test does not reject. The variance under a mean is
    that of the most likely distribution in each stratum under which the weighted mean is that
    one. Of one stratum of right answers this is the interval of Wilson (1927), of paired
    differences that of Tango (Stat. Med. 17, 1998), of several strata the score method for a
    linear combination of proportions (Martin Andres, Herranz Tejedor and Alvarez Hernandez,
    J. Stat. Comput. Simul. 82, 2012). Unlike a bootstrap it leaves an uncertainty where no
    stratum varies, as where all answers are right, and its ends move with each right answer.

    The variances are multiplied by n / (n - strata + 1), since as many means but one were fitted
    (Miettinen and Nurminen, Stat. Med. 4, 1985, do so for two strata). Strata of one, which
    have no variance of their own, are pooled.
    """
    members = _strata(strata)
    sizes = np.array([len(rows) for rows in members])
    weights = np.array([len(np.unique(strata[rows])) for rows in members]) if per_stratum else sizes
    weights = weights / weights.sum()
    counts = np.stack(
        [[(values[rows] == value).sum(axis=0) for value in support] for rows in members]
    )  # (strata, values, m)
    of_columns = np.moveaxis(counts, -1, 0)  # (m, strata, values)
    points = np.array(support, dtype=np.float64)
    estimates = (of_columns @ points / sizes) @ weights
    ends = [_score_ends(of_columns, points, weights, confidence, sign) for sign in (1, -1)]
    return [Interval(*map(float, found)) for found in zip(estimates, *ends, strict=True)]


def _score_ends(
    counts: np.ndarray, support: np.ndarray, weights: np.ndarray, confidence: float, sign: int
) -> np.ndarray:
    """The lower (sign 1) or upper (-1) ends of the weighted means of (m, strata, values) counts."""
    sizes = counts[0].sum(axis=1)
    widening = sizes.sum() / (sizes.sum() - len(sizes) + 1)
    z = special.ndtri((1 + confidence) / 2)
    steps = sign * weights[:, None] * support
    estimates = (counts @ support / sizes) @ weights

    def means_under(log_pull: np.ndarray, of: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means, and their standard errors, of the distributions pulled away so far."""
        shares = _pulled(counts[of], np.exp(log_pull)[:, None, None] * steps)
        means = shares @ support
        variances = (shares @ support**2 - means**2).clip(min=0) / sizes
        return means @ weights, np.sqrt(widening * (variances @ weights**2))

    def excess(log_pull: np.ndarray, of: np.ndarray) -> np.ndarray:
        """Above 0 once the mean under so much pull is rejected."""
        means, errors = means_under(log_pull, of)
        # Where no stratum varies a weak pull moves nothing: no root yet.
        return np.abs(means - estimates[of]) - z * errors - 1e-12

    extreme = support.argmin() if sign > 0 else support.argmax()
    ends = np.full(len(counts), support[extreme])
    of = np.flatnonzero((counts[:, :, extreme] < sizes).any(axis=1))
    if len(of):
        # Below the first of these pulls nothing moves, beyond the second everything does.
        scale = np.full(len(of), np.log(sizes.mean() / weights.max()))
        found = elementwise.find_root(excess, (scale - 25, scale + 40), args=(of,))
        ends[of] = means_under(found.x, of)[0]
    return ends


def _pulled(counts: np.ndarray, pull: np.ndarray) -> np.ndarray:
    """Most likely shares (m, strata, values) of counts under a penalty `pull` on each value.

    They maximise sum(counts * log(shares)) - sum(pull * shares), so that a share is
    counts / (nu + pull), with nu such that a stratum's shares add up to 1. A value that was not
    seen takes the rest where the pull is least at it.
    """
    steps = pull - pull.min(axis=-1, keepdims=True)
    seen = counts > 0
    # The sum falls in nu and is convex: Newton's method from below does not overshoot.
    nu = np.where(seen, counts - steps, 0.0).max(axis=-1, keepdims=True)
    for _ in range(NEWTON_STEPS):
        shares = np.divide(counts, nu + steps, out=np.zeros(steps.shape), where=seen)
        slopes = np.divide(shares, nu + steps, out=np.zeros(steps.shape), where=seen)
        total = shares.sum(axis=-1, keepdims=True)
        before, nu = nu, np.maximum(nu + (total - 1) / slopes.sum(axis=-1, keepdims=True), 0.0)
        if (nu - before <= 1e-14 * nu).all():
            break
    rest = 1 - shares.sum(axis=-1, keepdims=True)
    least = np.expand_dims(steps.argmin(axis=-1), -1)
    np.put_along_axis(shares, least, np.take_along_axis(shares, least, -1) + rest, -1)
    return shares


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


def permutation_p_value(observed: float, null: np.ndarray) -> float:
    """The share of statistics at least as large as the one observed, itself included.

    null: (R,) statistics of permuted data. Counting the observed one keeps p above 0 and the
    test valid at every R (Phipson and Smyth 2010).
    """
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
    if controls is None:
        controls = x[..., None][..., :0]
    ranks_x, ranks_y = (stats.rankdata(side, axis=-1) for side in (x, y))
    return _partial_correlation(ranks_x, ranks_y, stats.rankdata(controls, axis=-2))


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
    of_controls = [_resampled_ranks(column, resampled) for column in controls.T]
    replicated = _partial_correlation(
        _resampled_ranks(x, resampled),
        _resampled_ranks(y, resampled),
        np.stack(of_controls, axis=-1) if of_controls else controls[resampled],
    )
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
    residual = smooth_residual(permuted, controls)
    shuffled = generator.permuted(np.broadcast_to(residual, (replicates, len(kept))), axis=1)
    null = spearman(kept, permuted - residual + shuffled, controls)
    # Where the ranks of a control leave nothing, a permutation tells nothing: it counts as a tie.
    null = np.where(np.isnan(null), estimate, null)
    return permutation_p_value(estimate, null)


class Lead(NamedTuple):
    """By how much rho of a measure exceeds that of the best of its rivals, with its interval.

    rival: the position of that one. p_value: one-sided, of so large a lead over every rival.
    """

    rival: int
    lead: float
    low: float
    high: float
    p_value: float


def leads(
    measures: np.ndarray,
    rivals: np.ndarray,
    y: np.ndarray,
    replicates: int,
    confidence: float,
    generator: np.random.Generator,
) -> list[Lead]:
    """Whether each measure follows y more closely than every rival does, by Spearman's rho.

    measures: (n, m); rivals: (n, r >= 1); y: (n,). Returns a Lead for each of the m measures.

    All rhos come from the same bootstrap resamples of the n subjects, so that their differences
    are paired. A p-value against one rival is the share of resamples, the data counted as one, in
    which it is not behind; that against all of them is the largest: to beat the best, a measure
    has to beat each, so that no rival was selected and no p-value needs correction for their
    number (intersection-union test; Berger, Technometrics 24, 1982). The ends of the interval are
    the smallest of those of the differences (percentiles); the upper ends are taken at
    (1 - confidence) / (2 r), since one of r rivals may be ahead by chance (Bonferroni).

    A rival that does not vary correlates with nothing: its rho is 0. The same goes for resamples.
    NaN, with a p-value of 1, where the measure or y does not vary.
    """
    n, tail = len(y), (1 - confidence) / 2
    resampled = generator.integers(n, size=(replicates, n))
    middle = (n + 1) / 2  # the mean of n ranks, whatever their ties
    y_ranks = _resampled_ranks(y, resampled) - middle

    def rhos(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of (n, k): (k,) of the data, which may be NaN, and (R, k) of the resamples."""
        drawn = [_cosine(_resampled_ranks(x, resampled) - middle, y_ranks) for x in columns.T]
        return spearman(columns.T, y), np.nan_to_num(np.stack(drawn, axis=-1))

    (own, own_drawn), (others, others_drawn) = rhos(measures), rhos(rivals)
    others = np.nan_to_num(others)
    best, found = int(others.argmax()), []
    for rho, drawn in zip(own, own_drawn.T, strict=True):
        if np.isnan(rho):
            found.append(Lead(best, np.nan, np.nan, np.nan, 1.0))
            continue
        ahead = drawn[:, None] - others_drawn  # (R, r)
        lead = float(rho - others[best])
        low, high = (
            float(np.quantile(ahead, at, axis=0).min()) for at in (tail, 1 - tail / len(others))
        )
        p_value = float((1 + (ahead <= 1e-12).sum(axis=0).max()) / (1 + replicates))
        found.append(Lead(best, lead, min(low, lead), max(high, lead), p_value))
    return found


def percent(share: float) -> str:
    """A share or a confidence for readers: 0.95 -> '95%', 0.999 -> '99.9%'."""
    return f"{100 * share:.4g}%"


def share_interval(count: int, of: int, confidence: float) -> Interval:
    """The share `count / of` with its score interval (Wilson 1927).

    Over shares from .05 to .95 it covers the true one in 95.0% to 95.8% of samples on average
    and never in less than 89%, for n = 5 to 120. The exact interval (Clopper and Pearson 1934)
    covers 98.3% at n = 10, that of Jeffreys 87% at its worst.
    """
    found = stats.binomtest(count, of).proportion_ci(confidence, "wilson")
    return Interval(count / of, float(found.low), float(found.high))


def smooth_residual(y: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """(n,) what a smooth function of (n, k) controls leaves of y: a Gaussian process regression.

    Its kernel is that of a plane plus that of a smooth surface, so that curves, interactions and
    products of the controls are fitted as far as the data show them; the share of each, its
    smoothness and the noise are those of the largest marginal likelihood (Rasmussen and Williams
    2006, chapter 5). A fit falls short of what it fits; what it leaves is therefore fitted again,
    twice (Buhlmann and Yu, "Boosting with the L2 loss", J. Am. Stat. Assoc. 98, 2003). All in
    all it has no more degrees of freedom than half the subjects, or few of them in many
    dimensions would be fitted to the last bit and nothing be left to permute.
    """
    given = (np.asarray(each, dtype=np.float64).tobytes() for each in (y, controls))
    return _left_by_surface(*given, len(y))


@lru_cache(maxsize=64)
def _left_by_surface(y_bytes: bytes, control_bytes: bytes, count: int) -> np.ndarray:
    """`smooth_residual` of float64 arrays; kept, as many correlations share a side."""
    y, controls = np.frombuffer(y_bytes), np.frombuffer(control_bytes).reshape(count, -1)
    varies = controls.std(axis=0) > 0
    residual = y - y.mean()
    if not varies.any() or not residual.any():
        return residual
    z = stats.zscore(controls[:, varies])
    squares, plane = squareform(pdist(z, "sqeuclidean")), 1 + z @ z.T
    fitted = minimize(
        _lack_of_fit,
        np.log(START),
        (residual / y.std(), squares, plane),
        "L-BFGS-B",
        jac=True,
        bounds=np.log([SHARES, LENGTHS, SHARES, SHARES]),
    )
    share, length, slope, noise = np.exp(fitted.x)
    values, vectors = np.linalg.eigh(share * np.exp(-squares / (2 * length**2)) + slope * plane)
    signal = np.maximum(values, 0.0)

    def left(log_noise: float) -> np.ndarray:
        """The share of each eigenvector that all fits together leave."""
        return (np.exp(log_noise) / (signal + np.exp(log_noise))) ** FITS

    log_noise = np.log(noise)
    if left(log_noise).sum() < len(y) / 2:
        log_noise = brentq(lambda x: left(x).sum() - len(y) / 2, log_noise, log_noise + 50)
    return vectors @ (left(log_noise) * (vectors.T @ residual))


def _lack_of_fit(
    logs: np.ndarray, y: np.ndarray, squares: np.ndarray, plane: np.ndarray
) -> tuple[float, np.ndarray]:
    """The negative log marginal likelihood of y, but for a constant, and its gradient.

    logs: (4,) of the surface's share, its length scale, the plane's share and the noise; y: (n,);
    squares, plane: (n, n), squared distances and products (Rasmussen and Williams 2006, 5.9).
    """
    share, length, slope, noise = np.exp(logs)
    surface = share * np.exp(-squares / (2 * length**2))
    kernel = surface + slope * plane
    kernel[np.diag_indices_from(kernel)] += noise + JITTER
    factor = cholesky(kernel, lower=True, check_finite=False)
    inverse = cho_solve((factor, True), np.eye(len(y)), check_finite=False)
    weights = inverse @ y
    pull = np.outer(weights, weights) - inverse
    gradient = [
        (pull * surface).sum(),
        (pull * surface * squares).sum() / length**2,
        (pull * plane).sum() * slope,
        np.trace(pull) * noise,
    ]
    return float(y @ weights / 2 + np.log(np.diag(factor)).sum()), -np.array(gradient) / 2


def _partial_correlation(x: np.ndarray, y: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """(...): the correlation of what (..., n, k) controls leave of (..., n) x and y, k = 0 or more.

    A constant is taken out too.
    """
    centred = controls - controls.mean(axis=-2, keepdims=True)
    columns = [np.ones((*controls.shape[:-1], 1)), centred]
    basis = np.linalg.qr(np.concatenate(columns, axis=-1)).Q
    return _cosine(*(_residual(side, basis) for side in (x, y)))


def _resampled_ranks(values: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """(R, n): what `stats.rankdata` makes of values[drawn], row by row; (n,) and (R, n) int.

    Values are sorted once: a rank follows from how often smaller values were drawn.
    """
    distinct, codes = np.unique(values, return_inverse=True)
    rows, count = len(drawn), len(distinct)
    found = codes[drawn]
    places = found + count * np.arange(rows)[:, None]
    times = np.bincount(places.ravel(), minlength=rows * count).reshape(rows, count)
    ranks = times.cumsum(axis=1) - (times - 1) / 2
    return np.take_along_axis(ranks, found, axis=1)


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
