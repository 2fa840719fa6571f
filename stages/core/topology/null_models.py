"""What a cloud without structure would show: null clouds, and a band for a single cloud's bars."""

from collections.abc import Iterator

import numpy as np


def rotated_clouds(
    points: np.ndarray, count: int, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    """`count` clouds of a Gaussian on the sphere with the points' own mean and covariance.

    points: (n, d), unit rows. Yields (n, d) float64, unit rows.

    A Gaussian on the sphere is one in the tangent space at the mean direction (Pennec, J. Math.
    Imaging Vis. 25, 2006). There the deviations from their mean are Q R with orthonormal columns
    in Q, and a cloud has another, random Q (Langsrud, "Rotation tests", Stat. Comput. 15, 2005).
    Mean and covariance are then exactly those of the sample, and where the points come from a
    Gaussian, their own Q is as random: they cannot be told from these clouds. Drawing from a
    Gaussian of the estimated covariance would not do: it is spread by estimation, and in
    hundreds of dimensions such clouds have other distances than their points.
    """
    points = np.asarray(points, dtype=np.float64)
    pole = points.mean(axis=0)
    pole /= np.linalg.norm(pole)
    tangents = _to_tangents(points, pole)
    mean = tangents.mean(axis=0)
    shape = np.linalg.qr(tangents - mean).R  # (k, d), k = min(n, d)
    for _ in range(count):
        deviates = generator.standard_normal((len(points), len(shape)))
        turned = np.linalg.qr(deviates - deviates.mean(axis=0)).Q
        yield _to_sphere(mean + turned @ shape, pole)


def _to_tangents(points: np.ndarray, pole: np.ndarray) -> np.ndarray:
    """Unit rows (n, d) -> tangent vectors at the pole (n, d), as long as their angles from it."""
    cosines = points @ pole
    aside = points - cosines[:, None] * pole
    sines = np.linalg.norm(aside, axis=1)
    return (
        aside
        * np.divide(np.arctan2(sines, cosines), sines, where=sines > 0, out=sines * 0)[:, None]
    )


def _to_sphere(tangents: np.ndarray, pole: np.ndarray) -> np.ndarray:
    """The inverse of `_to_tangents`."""
    angles = np.linalg.norm(tangents, axis=1, keepdims=True)
    return np.cos(angles) * pole + np.sinc(angles / np.pi) * tangents


def persistence_band(
    distances: np.ndarray, confidence: float, replicates: int, generator: np.random.Generator
) -> float:
    """The length beyond which a bar of H1 or higher is no accident of the sample.

    distances: (n, n) between the points. The bar is one of a Vietoris-Rips diagram whose scale is
    the length of an edge.

    Fasy et al. ("Confidence sets for persistence diagrams", Ann. Statist. 42, 2014, theorem 3):
    with the confidence asked for, the cloud lies within c of the set that it is a sample of, c
    being twice that quantile of the Hausdorff distance between the cloud and a random subsample
    of b points, b = o(n / log n), as R's package TDA computes it (hausdInterval). Diagrams by
    length of edges move by at most 2 c then (Chazal, de Silva and Oudot, Geom. Dedicata 173,
    2014), so that a bar longer than 4 c stays off the diagonal however its two ends move.
    """
    c = 2 * np.quantile(subsample_distances(distances, replicates, generator), confidence)
    return float(4 * c)


def subsample_distances(
    distances: np.ndarray, replicates: int, generator: np.random.Generator
) -> np.ndarray:
    """(replicates,) Hausdorff distances of random subsamples of n^(2/3) points from the cloud.

    distances: (n, n) between the points. Subsamples are drawn without replacement.
    """
    n = len(distances)
    size = max(round(n ** (2 / 3)), 1)
    reach = np.empty(replicates)
    for replicate in range(replicates):
        drawn = generator.choice(n, size, replace=False, shuffle=False)
        reach[replicate] = distances.take(drawn, axis=0).min(axis=0).max()  # rows lie together
    return reach
