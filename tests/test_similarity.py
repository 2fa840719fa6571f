"""Centred kernel alignment against its definition and answers known by hand."""

from itertools import permutations

import numpy as np
import pytest

from stages.core.geometry.similarity import linear_cka


def cloud(seed: int, n: int = 20, d: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d))


def hsic_by_definition(k: np.ndarray, m: np.ndarray) -> float:
    """The mean of k_ij m_ij + k_ij m_qr - 2 k_ij m_iq over all i, j, q, r that differ."""
    terms = [
        k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q]) for i, j, q, r in permutations(range(len(k)), 4)
    ]
    return float(np.mean(terms))


@pytest.mark.parametrize("seed", range(3))
def test_cka_is_that_of_the_definition_over_quadruples(seed: int) -> None:
    a, b = cloud(seed, 7), cloud(seed, 7) + cloud(seed + 10, 7)
    k, m = a @ a.T, b @ b.T
    expected = hsic_by_definition(k, m) / np.sqrt(
        hsic_by_definition(k, k) * hsic_by_definition(m, m)
    )
    assert linear_cka(a, b) == pytest.approx(expected)
    assert linear_cka(b, a) == pytest.approx(expected)


def test_cka_knows_neither_place_nor_turn_nor_size() -> None:
    points = cloud(0)
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3))).Q
    assert linear_cka(points, 5 * points @ turn + 1) == pytest.approx(1)


@pytest.mark.parametrize(("n", "d"), [(120, 512), (40, 512), (120, 8)])
def test_cka_of_independent_clouds_is_zero_on_average(n: int, d: int) -> None:
    found = [linear_cka(cloud(seed, n, d), cloud(seed + 1000, n, d)) for seed in range(100)]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(len(found))
    assert np.std(found) < 0.15


@pytest.mark.parametrize(
    "points", [np.ones((6, 2)), cloud(0, 3)], ids=["a single point", "three images"]
)
def test_cka_is_undefined_for(points: np.ndarray) -> None:
    assert np.isnan(linear_cka(points, cloud(0, len(points))))
