"""What a cloud without structure would show: null clouds, and a band for a single cloud's bars."""

import numpy as np
from sklearn.covariance import ledoit_wolf_shrinkage


def gaussian_cloud(points: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """As many unit rows from a Gaussian of the points' mean and covariance, put on the sphere.

    points: (n, d), unit rows. Returns (n, d) float64, unit rows.

    The covariance is that of Ledoit and Wolf (J. Multivariate Anal. 88, 2004). That of the
    sample itself, from fewer points than dimensions, spreads its eigenvalues too far; a cloud
    drawn from it has fewer effective dimensions than the points have, and longer bars.
    """
    points = np.asarray(points, dtype=np.float64)
    n, d = points.shape
    mean = points.mean(axis=0)
    centred = points - mean
    shrinkage = ledoit_wolf_shrinkage(centred, assume_centered=True)
    scale = np.sqrt(shrinkage * (centred**2).sum() / (n * d))  # of the part that is isotropic
    along = generator.standard_normal((n, n)) @ centred * np.sqrt((1 - shrinkage) / n)
    cloud = mean + along + scale * generator.standard_normal((n, d))
    return cloud / np.linalg.norm(cloud, axis=1, keepdims=True)


def persistence_band(
    distances: np.ndarray, confidence: float, replicates: int, generator: np.random.Generator
) -> float:
    """The length beyond which a bar of a cloud is no accident of the sample.

    distances: (n, n) between the points. The cloud is resampled, and the quantile `confidence`
    of the Hausdorff distance of a resample from the cloud taken for that of the cloud from what
    it is a sample of (Fasy et al., "Confidence sets for persistence diagrams", Ann. Statist. 42,
    2014). Diagrams of a Vietoris-Rips filtration by diameter move by twice that at most
    (Chazal, de Silva and Oudot, Geom. Dedicata 173, 2014), so that a bar beyond four times that
    stays off the diagonal however its two ends move.
    """
    n = len(distances)
    reach = np.empty(replicates)
    for replicate in range(replicates):
        drawn = np.unique(generator.integers(n, size=n))
        reach[replicate] = distances[:, drawn].min(axis=1).max()
    return 4 * float(np.quantile(reach, confidence))
