"""Clouds without structure: the moments that were asked for; and a band that a circle exceeds."""

import numpy as np
import pytest
from scipy import stats
from scipy.spatial import KDTree

from stages.core.topology.bars import finite_bars
from stages.core.topology.null_models import (
    _to_sphere,
    _to_tangents,
    persistence_band,
    rotated_clouds,
    subsample_distances,
)
from stages.core.topology.rips import distance_matrix, persistence_diagrams
from tests.conftest import unit_rows


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def gaussian(n: int, deviations: np.ndarray, seed: int) -> np.ndarray:
    """(n, d + 1) unit rows, Gaussian in the tangent space at the first axis."""
    tangents = generator(seed).standard_normal((n, len(deviations))) * deviations
    angles = np.linalg.norm(tangents, axis=1, keepdims=True)
    return np.hstack([np.cos(angles), np.sin(angles) / angles * tangents])


@pytest.mark.parametrize(("n", "d"), [(200, 4), (30, 64)])
def test_a_null_cloud_has_the_mean_and_the_covariance_of_its_points(n: int, d: int) -> None:
    points = gaussian(n, np.geomspace(0.2, 0.02, d), 1)
    (cloud,) = rotated_clouds(points, 1, generator())
    np.testing.assert_allclose(np.linalg.norm(cloud, axis=1), 1, rtol=1e-12)
    assert np.abs(cloud - points).max() > 0.1
    pole = points.mean(axis=0) / np.linalg.norm(points.mean(axis=0))
    before, after = (_to_tangents(rows, pole) for rows in (points, cloud))
    np.testing.assert_allclose(after.mean(axis=0), before.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(np.cov(after.T), np.cov(before.T), atol=1e-12)


def test_the_way_to_the_tangent_space_and_back() -> None:
    pole = np.array([0.0, 0.0, 1.0])
    points = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, np.sin(2.0), np.cos(2.0)]])
    tangents = _to_tangents(points, pole)
    np.testing.assert_allclose(tangents, [[0, 0, 0], [np.pi / 2, 0, 0], [0, 2, 0]], atol=1e-15)
    np.testing.assert_allclose(_to_sphere(tangents, pole), points, atol=1e-15)


@pytest.mark.slow
@pytest.mark.parametrize("decay", [0.0, 0.5])
def test_gaussian_points_cannot_be_told_from_their_null_clouds(decay: float) -> None:
    """The rank of a cloud's statistic among those of 9 null clouds is as likely any of 0 to 9."""
    deviations = 0.2 / np.arange(1, 129) ** decay / np.sqrt(1 + 127 * (decay == 0))
    ranks = []
    for seed in range(200):
        points = gaussian(60, deviations, seed)
        found = [
            finite_bars(persistence_diagrams(distance_matrix(cloud), 0)[0])[-1, 1]
            for cloud in (points, *rotated_clouds(points, 9, generator(seed + 1000)))
        ]
        ranks.append(sum(other < found[0] for other in found[1:]))
    counts = np.bincount(ranks, minlength=10)
    assert stats.chisquare(counts).pvalue > 0.01


def test_subsamples_by_hand() -> None:
    """Two of three points in a row miss an end by 1, unless they are the ends themselves."""
    distances = distance_matrix(np.array([[0.0], [1.0], [2.0]]))
    reach = subsample_distances(distances, 3000, generator())
    assert set(reach) == {1.0}
    distances = distance_matrix(np.array([[0.0], [1.0], [3.0]]))  # missed by 1, 1 or 2
    reach = subsample_distances(distances, 3000, generator())
    assert set(reach) == {1.0, 2.0}
    assert (reach == 2.0).mean() == pytest.approx(1 / 3, abs=0.03)
    assert persistence_band(distances, 0.5, 3000, generator()) == 8
    assert persistence_band(distances, 0.95, 3000, generator()) == 16


@pytest.mark.slow
@pytest.mark.parametrize("sphere", [1, 2, 4])
def test_the_cloud_lies_within_its_band_of_the_sphere_it_is_a_sample_of(sphere: int) -> None:
    """c, a quarter of the band, is beyond the Hausdorff distance at least 95 times in 100."""
    covered = []
    for seed in range(200):
        draw = generator(seed)
        points, dense = (unit_rows(draw.standard_normal((n, sphere + 1))) for n in (120, 20_000))
        # The cloud lies on the sphere; how far the sphere lies from it is told by many points.
        nearest = KDTree(points).query(dense)[0]
        band = persistence_band(distance_matrix(points), 0.95, 200, draw)
        covered.append(nearest.max() <= band / 4)
    assert np.mean(covered) >= 0.95


def circle(n: int) -> tuple[np.ndarray, float]:
    """Distances (n, n) of random points on a circle, and the length of its loop's bar.

    The loop lives from the widest gap on to the side of an inscribed triangle, nearly (Adamaszek
    and Adams, Pacific J. Math. 290, 2017).
    """
    angle = np.sort(generator(3).uniform(0, 2 * np.pi, n))
    gap = np.diff(angle, append=angle[0] + 2 * np.pi).max()
    points = np.column_stack([np.cos(angle), np.sin(angle)])
    return distance_matrix(points), np.sqrt(3) - 2 * np.sin(gap / 2)


def test_the_loop_of_a_circle_is_as_long_as_known() -> None:
    distances, expected = circle(200)
    bars = persistence_diagrams(distances, 1)[1]
    assert (bars[:, 1] - bars[:, 0]).max() == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(("n", "tells"), [(200, False), (1500, True)])
def test_a_circle_exceeds_its_band_where_points_are_many(n: int, tells: bool) -> None:
    distances, bar = circle(n)
    assert (bar > persistence_band(distances, 0.95, 100, generator())) == tells
