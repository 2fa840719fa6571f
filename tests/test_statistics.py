"""Intervals and tests against exact answers, and their error rates on known truth."""

import os
from collections.abc import Iterator

import numpy as np
import pytest
from scipy import stats
from threadpoolctl import threadpool_limits

from stages.core import statistics
from stages.core.statistics import (
    accuracy_intervals,
    bca_interval,
    bootstrap_means,
    holm,
    mean_intervals,
    percentile_interval,
    permutation_p_value,
    rank_correlation,
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


def answers(right: int, wrong: int) -> np.ndarray:
    """(right + wrong, 1) booleans."""
    return np.arange(right + wrong)[:, None] < right


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
    of = (answers(30, 10), np.zeros(40), 500, 0.95)
    assert accuracy_intervals(*of, generator(7)) == accuracy_intervals(*of, generator(7))
    assert accuracy_intervals(*of, generator(7)) != accuracy_intervals(*of, generator(8))


@pytest.mark.parametrize(("right", "n"), [(140, 200), (500, 1000), (38, 40)])
def test_accuracy_interval_is_near_the_exact_binomial_one(right: int, n: int) -> None:
    (found,) = accuracy_intervals(answers(right, n - right), np.zeros(n), 5000, 0.95, generator())
    exact = stats.binomtest(right, n).proportion_ci(method="exact")
    assert found.estimate == right / n
    np.testing.assert_allclose(
        [found.low, found.high], [exact.low, exact.high], atol=1.5 / n + 0.01
    )


def test_all_right_and_all_wrong_have_the_exact_interval() -> None:
    for right in (0, 25):
        of = answers(right, 25 - right)
        (found,) = accuracy_intervals(of, np.arange(25) % 5, 200, 0.95, generator())
        exact = stats.binomtest(right, 25).proportion_ci(method="exact")
        np.testing.assert_allclose([found.low, found.high], [exact.low, exact.high], rtol=1e-12)


def test_strata_that_do_not_vary_still_leave_an_uncertainty() -> None:
    strata = np.repeat([0, 1], 10)
    for per_stratum in (False, True):
        (found,) = accuracy_intervals(
            (strata == 0)[:, None], strata, 1000, 0.95, generator(), per_stratum
        )
        assert found.estimate == 0.5
        assert 0.2 < found.low < 0.35
        assert 0.65 < found.high < 0.8


def test_mean_per_stratum_counts_classes_alike() -> None:
    strata = np.repeat([0, 1], [10, 90])
    right = (strata == 0)[:, None]  # a class of 10 all right, one of 90 all wrong
    (plain,) = accuracy_intervals(right, strata, 200, 0.95, generator())
    (alike,) = accuracy_intervals(right, strata, 200, 0.95, generator(), per_stratum=True)
    assert plain.estimate == pytest.approx(0.1)
    assert alike.estimate == pytest.approx(0.5)


@pytest.mark.parametrize("share", [0.6, 0.9])
def test_intervals_cover_the_truth_95_times_in_100(share: float) -> None:
    strata = np.repeat(np.arange(5), 30)
    shares = np.repeat(share + np.linspace(-0.08, 0.08, 5), 30)
    right = generator(3).random((150, 1000)) < shares[:, None]
    intervals = np.array(accuracy_intervals(right, strata, 1000, 0.95, generator()))
    covered = ((intervals[:, 1] <= share) & (share <= intervals[:, 2])).mean()
    assert 0.925 <= covered <= 0.975


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
    assert permutation_p_value(3.0, null, two_sided=False) == pytest.approx(2 / 5)
    assert permutation_p_value(3.0, null) == pytest.approx(3 / 5)
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


def test_a_share_has_its_exact_interval() -> None:
    """No success in n trials is as likely as 2.5% at a chance of 1 - 0.025^(1/n)."""
    assert share_interval(0, 10, 0.95) == (0.0, 0.0, pytest.approx(1 - 0.025**0.1))
    assert share_interval(10, 10, 0.95) == (1.0, pytest.approx(0.025**0.1), 1.0)
