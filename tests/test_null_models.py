"""Clouds without structure: the moments that were asked for; and a band that a circle exceeds."""

import numpy as np
import pytest

from stages.core.homology import distance_matrix, persistence_diagrams
from stages.core.null_models import gaussian_cloud, persistence_band
from tests.conftest import unit_rows


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def gaussian(n: int, deviations: np.ndarray, seed: int) -> np.ndarray:
    """(n, d) unit rows about the first axis."""
    points = generator(seed).standard_normal((n, len(deviations))) * deviations
    points[:, 0] += 1
    return unit_rows(points)


def test_a_null_cloud_has_the_mean_and_the_covariance_of_its_points() -> None:
    points = gaussian(4000, np.array([0.02, 0.05, 0.1, 0.01]), 1)
    cloud = gaussian_cloud(points, generator())
    assert cloud.shape == points.shape
    np.testing.assert_allclose(np.linalg.norm(cloud, axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(cloud.mean(axis=0), points.mean(axis=0), atol=0.01)
    np.testing.assert_allclose(np.cov(cloud.T), np.cov(points.T), atol=4e-4)


def test_a_null_cloud_of_few_points_has_as_many_effective_dimensions_as_they_have() -> None:
    """120 points in 256 equal dimensions: the sample's own covariance would give a third fewer."""

    def mean_distance_over_spread(cloud: np.ndarray) -> float:
        distances = distance_matrix(cloud)[np.triu_indices(len(cloud), 1)]
        return distances.std() / distances.mean()

    points = gaussian(120, np.full(256, 0.05), 2)
    found = [mean_distance_over_spread(gaussian_cloud(points, generator(k))) for k in range(10)]
    assert np.mean(found) == pytest.approx(mean_distance_over_spread(points), rel=0.1)


def test_the_band_by_hand() -> None:
    """Three points in a row: a resample misses an end by 1, or by 2 if it is the other end."""
    distances = distance_matrix(np.array([[0.0], [1.0], [2.0]]))
    # All three ends are hit in 6 of 27 resamples; one point alone, an end, in 2 of 27.
    assert persistence_band(distances, 0.15, 5000, generator()) == 0
    assert persistence_band(distances, 0.5, 5000, generator()) == 4
    assert persistence_band(distances, 0.99, 5000, generator()) == 8


def test_a_circle_exceeds_its_band_and_a_disc_does_not() -> None:
    angle = generator(3).uniform(0, 2 * np.pi, 200)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    disc = circle * np.sqrt(generator(4).uniform(0, 1, 200))[:, None]
    for cloud, persists in ((circle, True), (disc, False)):
        distances = distance_matrix(cloud)
        bars = persistence_diagrams(distances, 1)[1]
        band = persistence_band(distances, 0.95, 500, generator())
        assert ((bars[:, 1] - bars[:, 0]).max() > band) == persists
