"""Topological divergence against answers known by hand and the definition."""

import numpy as np
import pytest

from stages.core.topology.divergence import cross_barcode, topology_divergence
from stages.core.topology.rips import bars_up_to, distance_matrix


def cloud(seed: int, n: int = 20, d: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((n, d))


def by_definition(distances: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The R-cross-barcode as Barannikov et al. define it: 2 n + 1 points, infinity as 1000."""
    n = len(distances)
    upper = np.where(np.triu(np.ones((n, n))) > 0, distances, 1000.0)
    apex, far = np.zeros((n, 1)), np.full((n, 1), 1000.0)
    matrix = np.block(
        [
            [distances, upper.T, apex],
            [upper, np.minimum(distances, other), far],
            [apex.T, far.T, np.zeros((1, 1))],
        ]
    )
    return bars_up_to(matrix, 999.0, 1)


@pytest.mark.parametrize("seed", range(20))
def test_the_cross_barcode_is_that_of_the_definition(seed: int) -> None:
    one, other = distance_matrix(cloud(seed, 12)), distance_matrix(cloud(seed + 100, 12))
    found, expected = cross_barcode(one, other), by_definition(one, other)
    assert len(found) > 0
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_two_points_that_come_near_are_one_bar() -> None:
    """At distances 1 and 3 the nearer graph is connected from 1 on, the other one from 3 on."""
    far, near = (np.array([[0.0, x], [x, 0.0]]) for x in (3.0, 1.0))
    np.testing.assert_allclose(cross_barcode(far, near), [[1.0, 3.0]])
    assert len(cross_barcode(near, far)) == 0


def test_the_divergence_knows_shape_and_nothing_else() -> None:
    points = cloud(0)
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3))).Q
    assert topology_divergence(points, points) == 0
    assert topology_divergence(points, 5 * points @ turn + 1) == pytest.approx(0, abs=1e-9)


def test_the_divergence_knows_which_point_became_which() -> None:
    """A shuffle changes no diagram."""
    points = cloud(2)
    shuffled = np.random.default_rng(3).permutation(points)
    assert topology_divergence(points, shuffled) > 0.5


def test_the_divergence_is_symmetric_and_grows_with_a_disturbance() -> None:
    points, shift = cloud(4, 60), cloud(5, 60)
    found = [topology_divergence(points, points + scale * shift) for scale in (0.01, 0.1, 1.0)]
    assert 0 < found[0] < found[1] < found[2]
    assert topology_divergence(points + shift, points) == pytest.approx(found[2])
