"""Intervals and tests against exact answers, and their error rates on known truth."""

import os
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from scipy import stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, DotProduct, WhiteKernel
from threadpoolctl import threadpool_limits

from stages.core.evaluation import statistics
from stages.core.evaluation.statistics import (
    FITS,
    LENGTHS,
    SHARES,
    accuracy_intervals,
    bca_interval,
    bootstrap_means,
    holm,
    mean_intervals,
    percentile_interval,
    permutation_p_value,
    rank_correlation,
    score_intervals,
    share_interval,
    spearman,
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The matrices are so small that threads would only wait for each other."""
    with threadpool_limits(1):
        yield


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_replicates_spread_as_theory_says_in_small_strata() -> None:
    strata = np.repeat([0, 1, 2], [2, 3, 5])
    values = generator(1).standard_normal((10, 2))
    means = bootstrap_means(values, strata, 20_000, generator())
    expected = sum(
        (strata == s).mean() ** 2 * values[strata == s].var(axis=0, ddof=1) / (strata == s).sum()
        for s in range(3)
    )
    np.testing.assert_allclose(means.mean(axis=0), values.mean(axis=0), atol=0.01)
    np.testing.assert_allclose(means.var(axis=0), expected, rtol=0.05)


def test_strata_keep_their_weight() -> None:
    strata = np.repeat([0, 1], [4, 16])
    means = bootstrap_means(strata[:, None].astype(float), strata, 50, generator())
    np.testing.assert_allclose(means, 0.8, rtol=1e-12)


def test_strata_of_one_are_pooled() -> None:
    values = np.arange(4.0)[:, None]
    pooled = bootstrap_means(values, np.array(["a", "b", "c", "d"]), 200, generator())
    single = bootstrap_means(values, np.zeros(4), 200, generator())
    np.testing.assert_array_equal(pooled, single)
    assert np.ptp(pooled) > 1


def test_columns_share_their_resamples() -> None:
    values = generator().random((30, 1))
    means = bootstrap_means(np.hstack([values, values + 1]), np.zeros(30), 100, generator())
    np.testing.assert_allclose(means[:, 1] - means[:, 0], 1, rtol=1e-12)


def test_memory_blocks_do_not_change_the_replicates(monkeypatch: pytest.MonkeyPatch) -> None:
    values, strata = generator().random((40, 3)), np.repeat([0, 1], 20)
    at_once = bootstrap_means(values, strata, 100, generator())
    monkeypatch.setattr(statistics, "COUNTS_AT_ONCE", 70)
    in_blocks = bootstrap_means(values, strata, 100, generator())
    np.testing.assert_allclose(in_blocks, at_once, rtol=1e-12)


def test_the_same_seed_gives_the_same_interval() -> None:
    of = (generator(1).standard_normal((40, 1)), np.zeros(40), 500, 0.95)
    assert mean_intervals(*of, generator(7)) == mean_intervals(*of, generator(7))
    assert mean_intervals(*of, generator(7)) != mean_intervals(*of, generator(8))


@pytest.mark.parametrize("n", [1, 2, 10, 40, 120])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.99])
def test_one_stratum_has_the_interval_of_wilson(n: int, confidence: float) -> None:
    right = np.arange(n)[:, None] < np.arange(n + 1)  # (n, n + 1): 0 to n right answers
    found = accuracy_intervals(right, np.zeros(n), confidence)
    for count, interval in enumerate(found):
        peer = stats.binomtest(count, n).proportion_ci(confidence, "wilson")
        assert interval.estimate == pytest.approx(count / n)
        np.testing.assert_allclose(interval[1:], [peer.low, peer.high], atol=1e-9)
        np.testing.assert_allclose(interval, share_interval(count, n, confidence), atol=1e-9)


@pytest.mark.parametrize("n", [10, 40, 120])
def test_the_interval_of_a_share_covers_it_by_enumeration(n: int) -> None:
    intervals = np.array([share_interval(count, n, 0.95) for count in range(n + 1)])
    shares = np.linspace(0.05, 0.95, 901)
    chances = stats.binom.pmf(np.arange(n + 1)[:, None], n, shares)  # (n + 1, shares)
    holds = (intervals[:, 1:2] <= shares) & (shares <= intervals[:, 2:])
    coverage = (chances * holds).sum(axis=0)
    assert 0.94 <= coverage.mean() <= 0.975
    assert coverage.min() >= 0.88
    assert (np.diff(intervals[:, 1:], axis=0) > 0).all()


def test_the_ends_move_with_each_right_answer_up_to_the_last() -> None:
    ends = [
        (round(found.low, 4), round(found.high, 4))
        for found in (share_interval(count, 40, 0.95) for count in (38, 39, 40))
    ]
    assert ends == [(0.835, 0.9862), (0.8712, 0.9956), (0.9124, 1.0)]


@pytest.mark.parametrize(
    ("sizes", "shares"),
    [
        pytest.param([40] * 47, np.linspace(0.3, 0.99, 47), id="47 strata of 40"),
        pytest.param([40] * 47, [1.0] * 15 + [0.5, 0.8, 0.9, 0.97] * 8, id="15 of 47 at 1"),
        pytest.param([40] * 47, np.linspace(0.02, 0.4, 47), id="47 strata, mostly wrong"),
        pytest.param([10] * 47, [1.0] * 15 + [0.5, 0.8, 0.9, 0.97] * 8, id="47 strata of 10"),
        pytest.param([10] * 5, [0.5, 0.7, 0.9, 1.0, 1.0], id="5 strata of 10, two at 1"),
        pytest.param([10] * 5, [0.1, 0.1, 0.9, 0.9, 0.9], id="5 strata of 10, far apart"),
        pytest.param([10] * 5, [0.9] * 5, id="5 strata of 10, alike"),
        pytest.param([40] * 4, [0.6, 0.8, 0.9, 1.0], id="4 strata of 40"),
        pytest.param([4, 6, 10, 20, 60], [0.5, 0.8, 1.0, 0.7, 0.95], id="unequal strata"),
        pytest.param([5, 10, 20, 40, 120], [0.5, 0.9, 1.0, 0.8, 0.6], id="more unequal strata"),
    ],
)
def test_over_strata_accuracy_covers_the_truth(sizes: list[int], shares: list[float]) -> None:
    """Over all images, and as a mean over strata, of which some answer everything right."""
    strata = np.repeat(np.arange(len(sizes)), sizes)
    right = generator(3).random((sum(sizes), 1000)) < np.repeat(shares, sizes)[:, None]
    for per_stratum in {False, len(set(sizes)) > 1}:
        truth = np.average(shares, weights=None if per_stratum else sizes)
        found = np.array(accuracy_intervals(right, strata, 0.95, per_stratum))
        coverage = ((found[:, 1] <= truth) & (truth <= found[:, 2])).mean()
        assert 0.93 <= coverage <= 0.97, per_stratum


@pytest.mark.parametrize(
    ("sizes", "lost", "gained", "least", "most"),
    [
        pytest.param([40], 0.3, 0.05, 0.93, 0.975, id="one stratum of 40"),
        pytest.param([10] * 5, 0.1, 0.05, 0.93, 0.975, id="5 strata of 10, few steps"),
        pytest.param([10] * 5, 0.3, 0.05, 0.93, 0.975, id="5 strata of 10"),
        pytest.param([10] * 47, 0.3, 0.05, 0.93, 0.975, id="47 strata of 10"),
        pytest.param([40] * 4, 0.03, 0.03, 0.93, 0.975, id="4 strata of 40, nothing lost"),
        pytest.param([40] * 4, 0.5, 0.1, 0.93, 0.975, id="4 strata of 40, half lost"),
        pytest.param([40] * 47, 0.05, 0.0, 0.93, 0.975, id="47 strata of 40"),
        # Where a difference is hardly ever seen, intervals are too wide rather than too narrow.
        pytest.param([10], 0.05, 0.0, 0.93, 1.0, id="one stratum of 10, nearly nothing lost"),
        pytest.param([40], 0.02, 0.01, 0.93, 1.0, id="one stratum of 40, nearly nothing lost"),
        pytest.param([10] * 5, 0.02, 0.01, 0.93, 1.0, id="5 strata, nearly nothing lost"),
    ],
)
def test_a_paired_difference_of_answers_covers_its_truth(
    sizes: list[int], lost: float, gained: float, least: float, most: float
) -> None:
    chance = generator(5).random((sum(sizes), 3000 if sum(sizes) < 200 else 600))
    drops = (chance < lost).astype(int) - ((lost <= chance) & (chance < lost + gained))
    strata = np.repeat(np.arange(len(sizes)), sizes)
    found = np.array(score_intervals(drops, (-1, 0, 1), strata, 0.95))
    truth = lost - gained
    assert least <= ((found[:, 1] <= truth) & (truth <= found[:, 2])).mean() <= most


def test_paired_answers_of_one_stratum_have_the_interval_of_tango() -> None:
    """The ends are the differences at which his score, from p21 under them, is 1.96."""
    n, lost, gained = 32, 9, 3
    drops = np.repeat([1, -1, 0], [lost, gained, n - lost - gained])[:, None]
    (found,) = score_intervals(drops, (-1, 0, 1), np.zeros(n), 0.95)
    for end in found[1:]:
        # The most likely p21 at a difference, in closed form (Tango 1998).
        b = -lost - gained + (2 * n - lost + gained) * end
        c = -gained * end * (1 - end)
        p21 = (np.sqrt(b**2 - 8 * n * c) - b) / (4 * n)
        score = (lost - gained - n * end) / np.sqrt(n * (2 * p21 + end * (1 - end)))
        assert abs(score) == pytest.approx(stats.norm.ppf(0.975), abs=1e-6)


@pytest.mark.parametrize(
    "sizes", [[10, 10], [1, 1, 1, 1], [3, 40, 1, 1]], ids=["two", "singletons", "unequal"]
)
def test_strata_that_do_not_vary_still_leave_an_uncertainty(sizes: list[int]) -> None:
    strata = np.repeat(np.arange(len(sizes)), sizes)
    for per_stratum in (False, True):
        (found,) = accuracy_intervals((strata % 2 == 0)[:, None], strata, 0.95, per_stratum)
        assert found.low < found.estimate - 0.03
        assert found.high > found.estimate + 0.03


@pytest.mark.parametrize("value", [0, 1])
def test_all_right_or_all_wrong_is_as_one_stratum(value: int) -> None:
    """But for the means that were fitted, four of five: one image in ten counts for less."""
    same = np.full((50, 1), bool(value))
    (found,) = accuracy_intervals(same, np.repeat(np.arange(5), 10), 0.95)
    z = stats.norm.ppf(0.975)
    width = 1 / (1 + 46 / z**2)
    expected = (1 - width, 1.0) if value else (0.0, width)
    np.testing.assert_allclose(found[1:], expected, atol=1e-9)


def test_one_more_right_answer_raises_both_ends_in_every_stratum() -> None:
    strata = np.repeat([0, 1, 2], [5, 10, 10])
    for others in ((0, 0), (4, 10), (10, 10)):
        for per_stratum in (False, True):
            right = np.zeros((25, 6), dtype=bool)
            right[:5] = np.arange(5)[:, None] < np.arange(6)
            for stratum, count in zip((1, 2), others, strict=True):
                right[np.flatnonzero(strata == stratum)[:count]] = True
            found = np.array(accuracy_intervals(right, strata, 0.95, per_stratum))
            assert (np.diff(found[:, 1:], axis=0) > 0).all()


def test_mean_per_stratum_counts_classes_alike() -> None:
    strata = np.repeat([0, 1], [10, 90])
    right = (strata == 0)[:, None]  # a class of 10 all right, one of 90 all wrong
    (plain,) = accuracy_intervals(right, strata, 0.95)
    (alike,) = accuracy_intervals(right, strata, 0.95, per_stratum=True)
    assert plain.estimate == pytest.approx(0.1)
    assert alike.estimate == pytest.approx(0.5)


def test_a_paired_difference_covers_its_truth_and_finds_an_effect() -> None:
    noise = generator(4).standard_normal((80, 500))
    null = np.array(mean_intervals(noise, np.arange(80) % 4, 1000, 0.95, generator()))
    assert 0.92 <= ((null[:, 1] <= 0) & (null[:, 2] >= 0)).mean() <= 0.975
    effect = np.array(mean_intervals(noise + 0.6, np.arange(80) % 4, 1000, 0.95, generator()))
    assert (effect[:, 1] > 0).mean() > 0.99


def test_percentiles_by_hand() -> None:
    found = percentile_interval(50.0, np.arange(101.0), 0.9)
    assert found == (50.0, pytest.approx(5.0), pytest.approx(95.0))


def test_bca_without_bias_or_skew_is_the_percentile_interval() -> None:
    replicated = np.arange(101.0)
    np.testing.assert_allclose(
        bca_interval(50.0, replicated, 0.9, 0.0), percentile_interval(50.0, replicated, 0.9)
    )


def test_bca_agrees_with_scipy() -> None:
    sample = generator(5).exponential(size=60)
    by_scipy = stats.bootstrap(
        (sample,), np.mean, n_resamples=20_000, method="BCa", rng=generator()
    ).confidence_interval
    (found,) = mean_intervals(sample[:, None], np.zeros(60), 20_000, 0.95, generator())
    np.testing.assert_allclose([found.low, found.high], by_scipy, rtol=0.02)


def test_permutation_p_value_by_hand() -> None:
    null = np.array([1.0, -2.0, 3.0, -4.0])
    assert permutation_p_value(3.0, null) == pytest.approx(2 / 5)
    assert permutation_p_value(-3.0, null) == pytest.approx(4 / 5)
    assert permutation_p_value(9.0, null) == pytest.approx(1 / 5)


def test_permutation_test_keeps_its_level_under_the_null() -> None:
    draws = generator(6).standard_normal((1000, 100))
    p = np.array([permutation_p_value(row[0], row[1:]) for row in draws])
    assert 0.03 <= (p <= 0.05).mean() <= 0.07


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(
        holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02], rtol=1e-12
    )
    np.testing.assert_allclose(holm(np.array([0.9, 0.8])), [1.0, 1.0])


def test_spearman_agrees_with_scipy_row_by_row() -> None:
    x = generator(7).integers(0, 6, size=(5, 30))  # with ties
    y = x + generator(8).integers(0, 4, size=(5, 30))
    expected = [stats.spearmanr(a, b).statistic for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(spearman(x, y), expected, rtol=1e-12)
    np.testing.assert_allclose(spearman(x[0], y), [spearman(x[0], row) for row in y], rtol=1e-12)


def test_spearman_knows_only_the_order() -> None:
    x = np.arange(10.0)
    assert spearman(x, np.exp(x)) == pytest.approx(1.0)
    assert spearman(x, -(x**3)) == pytest.approx(-1.0)
    assert np.isnan(spearman(x, np.ones(10)))


def residuals_of_ranks(values: np.ndarray, controls: np.ndarray) -> np.ndarray:
    design = np.column_stack([np.ones(len(values)), stats.rankdata(controls, axis=0)])
    ranks = stats.rankdata(values)
    return ranks - design @ np.linalg.lstsq(design, ranks)[0]


def test_partial_spearman_is_the_correlation_of_residuals_of_ranks() -> None:
    draws = generator(9).standard_normal((4, 40))
    x, y, controls = draws[0] + draws[2], draws[1] + draws[2], draws[2:].T
    expected = np.corrcoef(residuals_of_ranks(x, controls), residuals_of_ranks(y, controls))[0, 1]
    assert spearman(x, y, controls) == pytest.approx(expected)
    both = spearman(np.stack([x, y]), np.stack([y, y]), np.stack([controls, controls]))
    np.testing.assert_allclose(both, [expected, 1.0])


def test_what_a_control_explains_is_taken_out() -> None:
    control = generator(10).standard_normal(60)
    x, y = (control + 0.3 * generator(seed).standard_normal(60) for seed in (11, 12))
    plain = rank_correlation(x, y, np.empty((60, 0)), 999, 0.95, generator())
    partial = rank_correlation(x, y, control[:, None], 999, 0.95, generator())
    assert plain.rho > 0.8
    assert plain.p_value == pytest.approx(1 / 1000)
    assert plain.low < plain.rho < plain.high
    assert abs(partial.rho) < 0.3
    assert partial.p_value > 0.05


def test_a_test_of_a_correlation_is_one_sided() -> None:
    x = np.arange(20.0)
    for y, expected in ((x, 1 / 1000), (-x, 1.0)):
        found = rank_correlation(x, y, np.empty((20, 0)), 999, 0.95, generator())
        assert found.p_value == pytest.approx(expected)


@pytest.mark.slow
def test_a_partial_correlation_keeps_its_level_with_one_control_and_few_subjects() -> None:
    p_values = []
    for seed in range(300):
        control, a, b = generator(seed + 100).standard_normal((3, 25))
        found = rank_correlation(
            control + a, control + b, control[:, None], 99, 0.95, generator(seed)
        )
        p_values.append(found.p_value)
    assert 0.02 <= np.mean(np.array(p_values) <= 0.05) <= 0.085


def test_a_control_that_leaves_two_subjects_in_another_order_leaves_nothing_to_test() -> None:
    """Most permutations then have the control's own ranks, and no correlation at all."""
    for seed in range(30):
        x, control = generator(seed).standard_normal((2, 10))
        y, order = control.copy(), np.argsort(control)
        y[order[[3, 4]]] = y[order[[4, 3]]]
        found = rank_correlation(x, y, control[:, None], 199, 0.95, generator(seed))
        assert found.p_value > 0.05


# How three controls may act on both sides, in what no control explains.
CONFOUNDERS = {
    "nothing": lambda c: 0 * c[:, 0],
    "additive": lambda c: c.sum(axis=1),
    "cubic": lambda c: (c**3).sum(axis=1),
    "cubic of the sum": lambda c: c.sum(axis=1) ** 3,
    "exponential of the sum": lambda c: np.exp(c.sum(axis=1)),
    "interacting": lambda c: c[:, 0] * c[:, 1] + c[:, 1] * c[:, 2],
    "saturating": lambda c: np.tanh(2 * c.sum(axis=1)),
}
NULLS = int(os.environ.get("REPEATS", "10")) * 10  # REPEATS=100 shows the rates themselves


def confounded(kind: str, seed: int, shared: float = 0.0) -> tuple[np.ndarray, ...]:
    """x, y (47,) and correlated controls (47, 3), which act on both; and a share of their own."""
    draw = generator(seed)
    controls = np.sqrt(0.3) * draw.standard_normal((47, 1))
    controls = controls + np.sqrt(0.7) * draw.standard_normal((47, 3))
    effect = CONFOUNDERS[kind](controls)
    effect = (effect - effect.mean()) / max(effect.std(), 1e-9)
    own = draw.standard_normal((2, 47)) * np.sqrt(1 - shared)
    x, y = effect + own + np.sqrt(shared) * draw.standard_normal(47)
    return x, y, controls


@pytest.mark.slow
@pytest.mark.parametrize("kind", CONFOUNDERS)
def test_a_partial_correlation_keeps_its_level_however_controls_act(kind: str) -> None:
    """At most 6 in 100 of 1,000; of fewer, what a level of 5 gives in 999 of 1,000 runs."""
    p_values = []
    for seed in range(NULLS):
        x, y, controls = confounded(kind, seed)
        found = rank_correlation(x, y, controls, 199, 0.95, generator(seed))
        p_values.append(found.p_value)
    rejected = sum(p <= 0.05 for p in p_values)
    assert rejected <= (60 if NULLS == 1000 else stats.binom.ppf(0.999, NULLS, 0.05))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["nothing", "additive", "exponential of the sum", "interacting"])
def test_a_partial_correlation_finds_what_both_sides_share_beyond_controls(kind: str) -> None:
    found = []
    for seed in range(50):
        x, y, controls = confounded(kind, seed, shared=0.7)
        found.append(rank_correlation(x, y, controls, 199, 0.95, generator(seed)).p_value)
    assert np.mean(np.array(found) <= 0.05) >= 0.8


@pytest.mark.slow
def test_few_subjects_leave_something_to_permute() -> None:
    p_values = []
    for seed in range(300):
        draws = generator(seed).standard_normal((5, 10))
        found = rank_correlation(draws[0], draws[1], draws[2:].T, 99, 0.95, generator(seed))
        p_values.append(found.p_value)
    assert 0.02 <= np.mean(np.array(p_values) <= 0.05) <= 0.085


def test_a_constant_correlates_with_nothing() -> None:
    found = rank_correlation(np.ones(9), np.arange(9.0), np.empty((9, 0)), 99, 0.95, generator())
    assert np.isnan(found.rho)
    assert found.p_value == 1.0


@pytest.mark.parametrize("values", [[3.0, 1.0, 2.0, -1.0], [2.0, 2.0, 0.0, 1.0], [1.0] * 4])
def test_ranks_of_resamples_are_those_of_scipy(values: list[float]) -> None:
    drawn = np.random.default_rng(0).integers(4, size=(50, 4))
    found = statistics._resampled_ranks(np.array(values), drawn)
    np.testing.assert_array_equal(found, stats.rankdata(np.array(values)[drawn], axis=1))


@pytest.mark.parametrize("count", [60, 100])
def test_the_smooth_surface_is_that_of_scikit_learn(count: int) -> None:
    random = np.random.default_rng(count)
    controls = random.normal(size=(count, 2))
    y = np.sin(2 * controls[:, 0]) + controls[:, 1] + random.normal(size=count) / 2
    kernel = (
        ConstantKernel(1.0, SHARES) * RBF(2.0, LENGTHS)
        + ConstantKernel(1.0, SHARES) * DotProduct(1.0, "fixed")
        + WhiteKernel(0.5, SHARES)
    )
    z, target = stats.zscore(controls), stats.zscore(y)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = GaussianProcessRegressor(kernel).fit(z, target)
    # What one fit leaves; the study's is that of FITS fits.
    left = y - y.mean()
    for _ in range(FITS):
        noise = fitted.kernel_.k2.noise_level
        within = fitted.kernel_(z)
        left = left - (within - noise * np.eye(count)) @ np.linalg.solve(within, left)
    np.testing.assert_allclose(statistics.smooth_residual(y, controls), left, atol=1e-4)
