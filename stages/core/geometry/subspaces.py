"""Class subspaces and the principal angles between them, in float64 throughout.

The subspace of a class lies in feature space: it is spanned by the leading right singular
vectors of the class's embeddings (n images, d features). The usual mistake compares columns of
the same array, which lie in sample space: d columns in n < d dimensions span all of it, and
every angle is 0. `sample_space_bases` is there to show that.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from stages.core.artifacts.tables import Schema, name, number, whole
from stages.settings.checks import require_rank

# Rounding to float32 moves a unit embedding by up to 6e-8, and the subspace of a class by that
# over the gap to its next singular value: a smaller angle cannot be told from zero.
ZERO_ANGLE_RAD = 1e-6

# arccos(cos t) errs by about 1e-16 / t: 1e-15 here, and 1e-8 at t = 1e-8.
SINE_BELOW_RAD = 0.1

# The table of `angles`: `pair_table` of every noise level.
ANGLES = Schema(
    (
        number("noise", low=0),
        name("class_a"),
        name("class_b"),
        whole("rank_a", low=1),
        whole("rank_b", low=1),
        number("smallest_deg", 0, 90),
        number("mean_deg", 0, 90),
        number("largest_deg", 0, 90),
        number("grassmann", low=0),
        number("chordal", low=0),
        whole("zeros_certain", low=0),
        whole("zeros_found", low=0),
    ),
    key=("noise", "class_a", "class_b"),
)
# How far the subspace of each class turns from its clean one: `rotation_table` of every level.
ROTATIONS = Schema(
    (
        number("noise", low=0),
        name("class"),
        whole("rank_clean", low=1),
        whole("rank_noisy", low=1),
        *ANGLES.columns[5:10],
    ),
    key=("noise", "class"),
)


@dataclass(frozen=True)
class PairAngles:
    """The principal angles between all P = C (C - 1) / 2 pairs of C subspaces.

    dimension: of the space they lie in.
    ranks: (C,) int, the dimensions of the subspaces.
    first, second: (P,) int, positions of a pair's subspaces, first < second, in order.
    angles: (P, k) float64, radians, ascending; a pair has as many angles as the smaller of its
        ranks, and NaN beyond.
    """

    dimension: int
    ranks: np.ndarray
    first: np.ndarray
    second: np.ndarray
    angles: np.ndarray


def class_bases(
    clouds: Mapping[str, np.ndarray],
    rank: int | None = None,
    explained_variance: float = 0.9,
    centre: bool = False,
) -> list[np.ndarray]:
    """An orthonormal basis of the subspace of each class.

    clouds: {class: (n, d) embeddings, of any float type}.
    rank: dimension of every subspace; None takes, class by class, the fewest directions that
        hold the share `explained_variance` of the squared norm.
    centre: subtract the class mean first. Without it the subspaces share the mean direction
        that all embeddings have, and the smallest angles measure how closely they do.
    Returns (d, k) float64 for each class: the k leading right singular vectors.

    Raises StudyError for a rank that the embeddings of a class do not span: more than it has
    images, features, or distinct directions in the precision of the array.
    """
    spectra = {name: _spectrum(points, centre) for name, points in clouds.items()}
    narrowest = min(spectra, key=lambda name: len(spectra[name][0]))
    span = len(spectra[narrowest][0])
    seen = f"the {len(clouds[narrowest])} images of class {narrowest}"
    require_rank(rank, span, seen, centre)
    return [
        vectors[:, : rank or _rank_holding(explained_variance, values)]
        for values, vectors in spectra.values()
    ]


def sample_space_bases(clouds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The usual mistake: bases of the spans of columns, in sample space.

    These are the subspaces that `scipy.linalg.subspace_angles(A, B)` compares when A and B are
    samples x features. It needs as many samples in A as in B, so that every class is cut to
    the first m images, m being the count of the smallest class.

    clouds: {class: (n, d) embeddings}. Returns (m, min(m, d)) float64 for each class, narrower
    where embeddings repeat.
    """
    count = min(len(points) for points in clouds.values())
    # The columns of (m, d) are the rows of its transpose.
    return [_spectrum(points[:count].T, centre=False)[1] for points in clouds.values()]


def principal_angles(bases: Sequence[np.ndarray]) -> PairAngles:
    """All principal angles between every pair of subspaces.

    bases: C arrays (d, k_i) with orthonormal columns; the ranks k_i may differ.

    The cosines are the singular values of Q_a^T Q_b, those of one subspace against all others
    in a single batched SVD. arccos loses the digits of small angles, which are therefore
    taken from the sines, the singular values of Q_b - Q_a Q_a^T Q_b (Bjorck and Golub 1973;
    Knyazev and Argentati 2002): the error stays near 1e-15 rad at every angle. The memory
    needed is a few times that of the bases.
    """
    count, dimension = len(bases), len(bases[0])
    ranks = np.array([basis.shape[1] for basis in bases])
    first, second = np.triu_indices(count, 1)
    pair = np.zeros((count, count), dtype=np.int64)
    pair[first, second] = pair[second, first] = np.arange(len(first))
    angles = np.full((len(first), np.sort(ranks)[-2] if count > 1 else 0), np.nan)

    # From the largest rank down, so that no later subspace has more dimensions than this one.
    order = np.argsort(-ranks, kind="stable")
    padded = _stacked([bases[i] for i in order])  # (C, d, k)
    for i in range(count - 1):
        rank, next_rank = ranks[order[i]], ranks[order[i + 1]]
        found = _angles_to_smaller(
            padded[i, :, :rank], padded[i + 1 :, :, :next_rank], ranks[order[i + 1 :]]
        )
        angles[pair[order[i], order[i + 1 :]], :next_rank] = found
    return PairAngles(dimension, ranks, first, second, angles)


def angles_between(basis_a: np.ndarray, basis_b: np.ndarray) -> np.ndarray:
    """The principal angles between two subspaces: (min(k_a, k_b),) float64, radians, ascending.

    basis_a, basis_b: (d, k_a) and (d, k_b) with orthonormal columns.
    """
    larger, smaller = sorted((basis_a, basis_b), key=lambda basis: -basis.shape[1])
    return _angles_to_smaller(larger, smaller[None], np.array([smaller.shape[1]]))[0]


def angle_summary(angles: np.ndarray) -> dict[str, np.ndarray]:
    """What is said of a pair: (P, k) angles in radians, NaN beyond its last -> (P,) each.

    smallest_deg, mean_deg, largest_deg: degrees.
    grassmann: the 2-norm of the angles, in radians (geodesic distance).
    chordal: the 2-norm of their sines.
    For subspaces of different ranks both are distances to the nearest subspace that contains,
    or lies in, the other (Ye and Lim 2016).
    Angles below ZERO_ANGLE_RAD are set to 0, so that no rounding error reaches a table.
    """
    angles = np.where(angles < ZERO_ANGLE_RAD, 0.0, angles)
    degrees = np.degrees(angles)
    return {
        "smallest_deg": degrees[:, 0],
        "mean_deg": np.nanmean(degrees, axis=1),
        "largest_deg": np.nanmax(degrees, axis=1),
        "grassmann": np.sqrt(np.nansum(angles**2, axis=1)),
        "chordal": np.sqrt(np.nansum(np.sin(angles) ** 2, axis=1)),
    }


def pair_table(pairs: PairAngles, classes: Sequence[str]) -> pd.DataFrame:
    """One row per pair: classes, ranks, the summary, and how many of its angles are zero.

    Subspaces whose ranks add up to more than the dimension must meet in at least
    rank_a + rank_b - dimension directions: so many zeros are certain whatever the data. The
    rest were found in the data.
    """
    names = np.asarray(classes)
    rank_a, rank_b = pairs.ranks[pairs.first], pairs.ranks[pairs.second]
    certain = np.maximum(rank_a + rank_b - pairs.dimension, 0)
    zeros = (pairs.angles < ZERO_ANGLE_RAD).sum(axis=1)  # NaN compares false
    return pd.DataFrame(
        {
            "class_a": names[pairs.first],
            "class_b": names[pairs.second],
            "rank_a": rank_a,
            "rank_b": rank_b,
            **angle_summary(pairs.angles),
            "zeros_certain": certain,
            "zeros_found": zeros - certain,
        }
    )


def rotation_table(
    clean: Sequence[np.ndarray], noisy: Sequence[np.ndarray], classes: Sequence[str]
) -> pd.DataFrame:
    """One row per class: the angles between its clean and its noisy subspace, as in `pair_table`.

    clean, noisy: C bases (d, k) each, in the order of the classes.
    """
    rows = []
    for of, before, after in zip(classes, clean, noisy, strict=True):
        summary = angle_summary(angles_between(before, after)[None])
        ranks = {"rank_clean": before.shape[1], "rank_noisy": after.shape[1]}
        rows.append({"class": of, **ranks, **{key: value[0] for key, value in summary.items()}})
    return pd.DataFrame(rows)


def _spectrum(points: np.ndarray, centre: bool) -> tuple[np.ndarray, np.ndarray]:
    """Nonzero singular values (r,), descending, and right singular vectors (d, r) of (n, d).

    A singular value is zero below the rounding error of the array's own precision, the usual
    rule max(n, d) * eps * largest; its direction would be noise.
    """
    tolerance = max(points.shape) * np.finfo(points.dtype).eps
    points = points.astype(np.float64)
    largest_norm = np.linalg.norm(points, axis=1).max()
    if centre:
        points = points - points.mean(axis=0)
    _, values, vectors = np.linalg.svd(points, full_matrices=False)
    # Centring may leave nothing but rounding errors, so that they are no measure of themselves.
    rank = int((values > tolerance * max(values[0], largest_norm)).sum())
    return values[:rank], vectors[:rank].T


def _rank_holding(share: float, values: np.ndarray) -> int:
    """The fewest leading singular values (r,) whose squares hold `share` of the whole."""
    held = np.cumsum(values**2)
    # The last sum may fall short of a share of 1 by a rounding error.
    return int(np.searchsorted(held, share * held[-1] * (1 - 1e-12))) + 1


def _stacked(bases: Sequence[np.ndarray]) -> np.ndarray:
    """C arrays (d, k_i) -> (C, d, k) with k the largest k_i, zero columns on the right."""
    stack = np.zeros((len(bases), len(bases[0]), max(basis.shape[1] for basis in bases)))
    for row, basis in zip(stack, bases, strict=True):
        row[:, : basis.shape[1]] = basis
    return stack


def _angles_to_smaller(larger: np.ndarray, smaller: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Angles of one subspace to m others: (d, k), (m, d, l <= k) -> (m, l) radians, ascending.

    ranks: (m,), the number of columns of each of `smaller` that are not zero; NaN beyond them.
    """
    dimension, rank = larger.shape
    place = np.arange(smaller.shape[2])
    beyond = place >= ranks[:, None]
    if rank == dimension:  # the whole space holds every subspace
        return np.where(beyond, np.nan, 0.0)
    products = larger.T @ smaller  # (m, k, l)
    cosines = np.linalg.svd(products, compute_uv=False)  # (m, l), descending
    angles = np.arccos(np.minimum(cosines, 1.0))

    close = np.flatnonzero(angles[:, 0] < SINE_BELOW_RAD)
    if len(close):
        outside = smaller[close] - larger @ products[close]  # (c, d, l)
        sines = np.linalg.svd(outside, compute_uv=False)  # (c, l), descending
        # The zero columns add zeros at the end; angle i has the i-th sine from before those.
        sines = np.take_along_axis(sines, np.maximum(ranks[close, None] - 1 - place, 0), axis=1)
        angles[close] = np.where(
            angles[close] < SINE_BELOW_RAD, np.arcsin(np.minimum(sines, 1.0)), angles[close]
        )
    return np.where(beyond, np.nan, angles)
