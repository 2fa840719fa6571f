"""How alike two clouds of the same images are, whichever way they are turned."""

import numpy as np


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
        centre = np.mean(side, axis=0, dtype=np.float64)
        centred = np.asarray(side, np.float64) - centre  # changes no HSIC
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
