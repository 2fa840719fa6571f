"""How far two clouds of the same images are apart, where it is known which point became which.

A distance between diagrams forgets that: two clouds may have the same diagram and pair their
points in any way.
"""

import numpy as np

from stages.core.topology.rips import bars_up_to, distance_matrix

# Distances are divided by this quantile of their own, as Barannikov et al. do: clouds are
# compared in shape and not in size.
UNIT_QUANTILE = 0.9


def topology_divergence(a: np.ndarray, b: np.ndarray) -> float:
    """Representation Topology Divergence (RTD) of two clouds: (n, d), (n, e) -> float, from 0.

    Barannikov, Trofimov, Balabin and Burnaev, ICML 2022: the mean of both directions of the sum
    of the lengths of the bars of degree 1 of `cross_barcode`. 0 where both clouds have the same
    distances up to a factor. Rows are paired: row i of both is the same image.
    """
    one, other = (_in_units(distance_matrix(cloud)) for cloud in (a, b))
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


def linear_cka(a: np.ndarray, b: np.ndarray) -> float:
    """Linear centred kernel alignment of two clouds, unbiased: (n, d), (n, e) -> up to 1.

    Kornblith, Norouzi, Lee and Hinton, ICML 2019, with the estimator of HSIC of Song, Smola,
    Gretton, Bedo and Borgwardt, JMLR 13, 2012, as Nguyen, Raghu and Kornblith, ICLR 2021, use it:
    0 on average for independent clouds, where the plain one nears 1 with more dimensions than
    images. 1 for the same cloud. Rows are paired. NaN for fewer than four images, or where a
    cloud does not vary more than chance.
    """
    n = len(a)
    if n < 4:
        return float("nan")
    kernels = []
    for side in (a, b):
        centred = np.float64(side) - np.mean(side, axis=0, dtype=np.float64)  # changes no HSIC
        kernel = centred @ centred.T  # (n, n): fewer images than dimensions, as a rule
        np.fill_diagonal(kernel, 0)
        kernels.append(kernel)

    def hsic(k: np.ndarray, m: np.ndarray) -> float:
        rows_k, rows_m = k.sum(axis=0), m.sum(axis=0)
        mean = rows_k.sum() * rows_m.sum() / ((n - 1) * (n - 2))
        return ((k * m).sum() + mean - 2 / (n - 2) * (rows_k @ rows_m)) / (n * (n - 3))

    own = [hsic(kernel, kernel) for kernel in kernels]
    if min(own) <= 0:
        return float("nan")
    return float(hsic(*kernels) / np.sqrt(own[0] * own[1]))


def _in_units(distances: np.ndarray) -> np.ndarray:
    unit = np.quantile(distances, UNIT_QUANTILE)
    return distances / unit if unit > 0 else distances
