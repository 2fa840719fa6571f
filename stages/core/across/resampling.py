"""Permutations and resamples of subjects that several correlations share.

Runs on the same classes are not independent, and how alike they are is not known. One permutation
of the classes for all of them keeps what they share (Winkler et al., "Permutation inference for
the general linear model", NeuroImage 92, 2014), and so does one resample. Rank correlations of
many resamples come from matrix products: a subject's rank is how many lie below it, each as often
as it was drawn.
"""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from stages.core.evaluation.statistics import Interval, bca_interval, smooth_residual
from stages.core.runtime.randomness import generator_for

LEAST_UNITS = 3  # models that are resampled; fewer say nothing of others

# A variance of ranks below this share of n^3 is that of a constant, but for rounding errors.
NOTHING = 1e-10


def permutations(count: int, replicates: int, generator: np.random.Generator) -> np.ndarray:
    """(R, n) int: random orders of n subjects."""
    return generator.permuted(np.tile(np.arange(count), (replicates, 1)), axis=1)


def resampled_counts(count: int, replicates: int, generator: np.random.Generator) -> np.ndarray:
    """(R, n) float64: how often each of n subjects is drawn in n draws with replacement."""
    if not count:
        return np.zeros((replicates, 0))
    chances = np.full(count, 1 / count)
    return generator.multinomial(count, chances, replicates).astype(np.float64)


def run_weights(models: Sequence[str], replicates: int, seed: int) -> np.ndarray | None:
    """(R, runs): each run's share in resamples of the models, all runs of a model at once.

    models: of each run. Of k models k - 1 are drawn (Rao and Wu 1988), or few of them would vary
    too little. None for fewer than LEAST_UNITS models.
    """
    _, codes = np.unique(models, return_inverse=True)
    k = codes.max() + 1
    if k < LEAST_UNITS:
        return None
    draws = generator_for(seed, "resamples of models")
    drawn = draws.multinomial(k - 1, np.full(k, 1 / k), replicates)
    weights = drawn[:, codes].astype(np.float64)
    return weights / weights.sum(axis=1, keepdims=True)


def unbiased_interval(rho: float, resampled: np.ndarray, confidence: float) -> Interval:
    """Percentiles of (R,) resampled correlations, corrected for bias (Efron 1981).

    Ties in a resample take rho towards 0: little beside the interval of one run, but not beside
    that of many runs together.
    """
    return bca_interval(rho, resampled, confidence, acceleration=0.0)


def resampled_correlations(x: np.ndarray, y: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(R, m): Spearman's rho of each of (n, m) x with (n,) y in resamples of the n subjects.

    counts: (R, n), how often each subject is in a resample; all ones give the correlation itself,
    as `spearman` of `stages.core.evaluation.statistics`. NaN where a side is constant.
    """
    return correlations(rank_products(np.column_stack([x, y]), counts), 0)


def rank_products(columns: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """(R, p, p): covariances of the ranks of (n, p) columns in resamples, over n^2 each.

    counts: (R, n), how often each of the n subjects is in a resample.
    """
    n, p = columns.shape
    # Half of (how many lie below less how many lie above): the rank less the mean rank.
    order = np.sign(columns[None, :, :] - columns[:, None, :]) / 2  # (n other, n, p)
    ranks = (counts @ order.reshape(n, -1)).reshape(len(counts), n, p)
    products = np.matmul((ranks * counts[:, :, None]).swapaxes(1, 2), ranks)
    return products / np.maximum(counts.sum(axis=1), 1)[:, None, None] ** 3


def correlations(products: np.ndarray, k: int) -> np.ndarray:
    """(R, p - k - 1): of `rank_products`, each column with the last, the first k taken out of both.

    NaN where nothing is left of either.
    """
    given, across, within = products[:, :k, :k], products[:, :k, k:], products[:, k:, k:]
    variances = np.diagonal(within, axis1=1, axis2=2).copy()
    covariances = within[:, :-1, -1].copy()
    if k:
        # A control that is constant, or a copy of another, takes out nothing of its own.
        explained = np.linalg.solve(given + NOTHING * np.eye(k), across)
        variances -= (across * explained).sum(axis=1)
        covariances -= np.einsum("rkm,rk->rm", across[:, :, :-1], explained[:, :, -1])
    of_x, of_y = variances[:, :-1], variances[:, -1:]
    varies = np.minimum(of_x, of_y) > 10 * NOTHING
    lengths = np.sqrt(np.maximum(of_x * of_y, 0))
    return np.divide(covariances, lengths, out=np.full(lengths.shape, np.nan), where=varies)


def permuted_correlations(x: np.ndarray, y: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """(R, m): Spearman's rho of (n, m) x with y[order], for each of (R, n) orders.

    NaN where a side is constant.
    """
    return _unit_ranks(y)[orders] @ _unit_ranks(x)


def permuted_partial_correlations(
    x: np.ndarray, y: np.ndarray, controls: np.ndarray, orders: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """((R, m), (R, m)): partial rho of (n, m) x and (n,) y, what controls leave of one permuted.

    controls: (n, k). First y is the permuted side, then each x (Freedman and Lane, "A nonstochastic
    interpretation of reported significance levels", J. Bus. Econ. Stat. 1, 1983): a side is fitted
    by a smooth function of the controls, what it leaves is permuted and added to the fit, and the
    sums are ranked anew, as in `rank_correlation` of `stages.core.evaluation.statistics`.
    """
    centred = stats.rankdata(controls, axis=0) - (len(x) + 1) / 2
    basis = _orthonormal(centred)
    fixed_x, fixed_y = (_unit(_without(_ranks(side.T), basis)) for side in (x, y[:, None]))
    moved = _moved(y, controls, orders)
    of_y = _unit(_without(moved, basis)) @ fixed_x.T
    of_x = np.empty_like(of_y)
    for which, column in enumerate(x.T):
        of_x[:, which] = _unit(_without(_moved(column, controls, orders), basis)) @ fixed_y[0]
    return of_y, of_x


def _moved(side: np.ndarray, controls: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """(R, n) ranks of a side (n,) whose residuals are permuted."""
    residual = smooth_residual(side, controls)
    return _ranks(side - residual + residual[orders])


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks along the last of (R, n), ties by their mean, less the mean rank."""
    order = np.argsort(values, axis=1)
    ranks = np.empty(values.shape)
    places = np.arange(values.shape[1], dtype=np.float64)[None]
    np.put_along_axis(ranks, order, places, axis=1)
    sorted_values = np.take_along_axis(values, order, axis=1)
    tied = (sorted_values[:, 1:] == sorted_values[:, :-1]).any(axis=1)
    if tied.any():
        ranks[tied] = stats.rankdata(values[tied], axis=1) - 1
    return ranks - places.mean()


def _unit_ranks(values: np.ndarray) -> np.ndarray:
    """Centred ranks of (n,) or of the columns of (n, m), scaled to length one; NaN if constant."""
    return _unit(_ranks(np.atleast_2d(values.T))).T.reshape(values.shape)


def _unit(rows: np.ndarray) -> np.ndarray:
    """(..., n) rows of length one; NaN where there is nothing but rounding errors."""
    squares = (rows**2).sum(axis=-1, keepdims=True)
    nowhere = np.full(rows.shape, np.nan)
    varies = squares > 10 * NOTHING * rows.shape[-1] ** 3
    return np.divide(rows, np.sqrt(squares), out=nowhere, where=varies)


def _orthonormal(centred: np.ndarray) -> np.ndarray:
    """(n, q) orthonormal columns that span (n, k) centred ones."""
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    return left[:, values**2 > 10 * NOTHING * len(centred) ** 3]


def _without(rows: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """What of (R, n) centred rows lies outside the span of orthonormal columns (n, q)."""
    return rows - (rows @ basis) @ basis.T
