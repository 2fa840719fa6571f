"""UMAP's neighbours, found in one call, and its compiled code, kept from process to process.

Both change no bit of a layout. Importing this module imports UMAP, which takes seconds.
"""

import numpy as np
from numba import njit
from numba.core.dispatcher import Dispatcher
from umap import layouts, umap_
from umap.distances import euclidean

# The library keeps the code of some of its functions alone.
for module in (umap_, layouts):
    for function in vars(module).values():
        if isinstance(function, Dispatcher):
            function.enable_caching()


def nearest(points: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(indices, distances), each (n, count), of the nearest of (n, d) points, itself the first.

    As UMAP finds them where it compares all pairs; but it calls its distance from Python, pair by
    pair, which takes as long as the rest of a layout.
    """
    distances = _distances(points.astype(np.float32))
    indices = np.argsort(distances, axis=1, kind="stable")[:, :count]
    return indices, np.take_along_axis(distances, indices, axis=1)


@njit(cache=True)
def _distances(points: np.ndarray) -> np.ndarray:
    """(n, n) float64: the distances of all pairs of (n, d) float32, by UMAP's own function."""
    distances = np.zeros((len(points), len(points)))
    for i in range(len(points)):
        for j in range(i):
            distances[i, j] = distances[j, i] = euclidean(points[i], points[j])
    return distances
