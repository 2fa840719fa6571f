"""How far two clouds of the same images are apart, where it is known which point became which.

A distance between diagrams forgets that: two clouds may have the same diagram and pair their
points in any way.
"""

import numpy as np

from stages.core.artifacts.ground import EUCLIDEAN, Ground
from stages.core.topology.metrics import ground_distances
from stages.core.topology.rips import bars_up_to

# Distances are divided by this quantile of their own, as Barannikov et al. do: clouds are
# compared in shape and not in size.
UNIT_QUANTILE = 0.9


def topology_divergence(a: np.ndarray, b: np.ndarray, ground: Ground = EUCLIDEAN) -> float:
    """Representation Topology Divergence (RTD) of two clouds: (n, d), (n, e) -> float, from 0.

    Barannikov, Trofimov, Balabin and Burnaev, ICML 2022: the mean of both directions of the sum
    of the lengths of the bars of degree 1 of `cross_barcode`. 0 where both clouds have the same
    distances up to a factor. Rows are paired: row i of both is the same image. ground: the distance
    between points of either; it is defined on any.
    """
    one, other = (_in_units(ground_distances(cloud, ground)) for cloud in (a, b))
    lengths = [
        (bars[:, 1] - bars[:, 0]).sum()
        for bars in (cross_barcode(one, other), cross_barcode(other, one))
    ]
    return float(np.mean(lengths))


def cross_barcode(distances: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Bars of degree 1 of the R-cross-barcode: (n, n), (n, n) -> (m, 2).

    What the graph of edges up to t of `distances` has to gain, in components and loops, to
    become that of the smaller of both distances. It is the homology of the filtration of 2 n
    points in which the first n coincide, point i of those and point j > i of the others lie at
    distances[i, j], point i of either at 0, the rest out of reach, and the others at the smaller
    of both distances from each other (Trofimov et al., ICLR 2023; Barannikov et al. use one
    more point, with the same bars). From the enclosing radius on, a point is near all others
    in both graphs, and nothing is left to gain.
    """
    n = len(distances)
    radius = distances.max(axis=1).min()
    out_of_reach = np.maximum(distances.max(), other.max()) + 1.0
    upper = np.where(np.tri(n, k=-1, dtype=bool), out_of_reach, distances)
    both = np.block([[np.zeros_like(distances), upper], [upper.T, np.minimum(distances, other)]])
    return bars_up_to(both, radius, 1)


def _in_units(distances: np.ndarray) -> np.ndarray:
    unit = np.quantile(distances, UNIT_QUANTILE)
    return distances / unit if unit > 0 else distances
