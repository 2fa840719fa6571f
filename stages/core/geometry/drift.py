"""How far a cloud spreads, and how far noise moves its points."""

import numpy as np


def spread(points: np.ndarray) -> float:
    """Root mean square distance of (n, d) points from their mean."""
    points = np.asarray(points, dtype=np.float64)
    return float(np.sqrt(((points - points.mean(axis=0)) ** 2).sum(axis=1).mean()))


def displacements(clean: np.ndarray, noisy: np.ndarray) -> np.ndarray:
    """(n,) float64: how far each point moved, Euclidean; (n, d), (n, d), rows paired."""
    return np.linalg.norm(np.float64(noisy) - np.float64(clean), axis=1)
