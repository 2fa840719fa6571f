"""Vietoris-Rips persistence: diagrams, their summaries, the distances between them, their cost.

A diagram is an (m, 2) float64 array of births and deaths, in units of the distance, sorted by
birth and then by death. An essential bar has death = inf. Bars of length zero are left out.
"""

import os
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from typing import Literal, get_args

# POT imports every array library that it finds, PyTorch with its seconds and gigabytes among
# them, and uses none of them here. It reads these names when it is imported.
os.environ.update(
    {f"POT_BACKEND_DISABLE_{name}": "1" for name in ("PYTORCH", "JAX", "CUPY", "TENSORFLOW")}
)

import gudhi
import gudhi.hera
import numpy as np
import ot
from gudhi.sklearn import RipsPersistence
from ripser import ripser
from scipy.cluster.hierarchy import linkage
from scipy.sparse import coo_matrix
from scipy.spatial.distance import cdist, pdist, squareform

from stages.core.runtime.errors import StudyError
from stages.core.runtime.randomness import generator_for

Engine = Literal["gudhi", "ripser"]
WassersteinEngine = Literal["pot", "hera"]

NO_BARS = np.empty((0, 2))

UNIT = "chordal distance"  # of births, deaths and bars

# The early end of the filtration is tried at so many times the edges up to the last birth, and at
# so many times more until no loop is left. Once is nearly always enough: of 496 clouds of twelve
# kinds the last death left 1.02 to 1.17 times the edges in the median of a kind, 1.54 at most.
EDGES_FACTOR = 1.5

# An estimate of cost runs growing samples of a cloud up to LARGEST_PILOT of its size, by highest
# dimension, or until one takes PILOT_SECONDS. Beyond them time grows more steeply than up to
# them, by about EXTRA_EXPONENT; in H2 the bend lies so late that the samples must reach farther.
PILOT_SECONDS = 0.1
SMALLEST_PILOT = 24
LARGEST_PILOT = (0.5, 0.5, 0.71)
EXTRA_EXPONENT = 0.5
# The least growth of time with n: pairs; from H1 on pairs and their cofaces.
LEAST_EXPONENT = (2.0, 3.0, 3.0)
GREATEST_EXPONENT = 7.0
# Seconds of a cloud that is too small for a pilot, isotropic in 512 dimensions: the worst case.
SMALL_SECONDS = (0.001, 0.004, 0.05)

# Memory per point squared: the matrix, its copies, and lists of its edges; and the columns that
# a reduction fills, which grow with the time that it takes.
BYTES_PER_PAIR = (16, 32, 32)
FILL_BYTES_PER_SECOND = (0, 6 * 2**20, 35 * 2**20)


def distance_matrix(points: np.ndarray) -> np.ndarray:
    """Euclidean (for unit rows: chordal) distances: (n, d) -> (n, n) float64, symmetric.

    Differences are taken before squares (SciPy's pdist, in float64): sqrt(2 - 2 X X^T) cancels,
    leaves a diagonal that is not zero, and so gives births that are not zero.

    Raises StudyError where a point is not finite.
    """
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or len(points) == 0:
        raise StudyError(f"point cloud: shape {points.shape}; give one row per point, at least one")
    wrong = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(wrong):
        raise StudyError(
            f"point cloud: {len(wrong)} of {len(points)} points are not finite, the first in row "
            f"{wrong[0]}; leave them out"
        )
    if len(points) == 1:
        return np.zeros((1, 1))
    return squareform(pdist(points))


def persistence_diagrams(
    distances: np.ndarray, max_dim: int, engine: Engine = "gudhi"
) -> list[np.ndarray]:
    """Diagrams of the Vietoris-Rips filtration in dimensions 0 to max_dim, over Z/2, exact.

    distances: (n, n) float64. A simplex enters at its longest edge. Beyond the enclosing radius,
    min_i max_j d(i, j), the complex is a cone and nothing is born or dies. H0 has one essential
    bar, and no other dimension has any.

    H0 alone is the single-linkage tree, whose heights are the deaths. From H1 on the engine
    reduces the matrix (Bauer, "Ripser", J. Appl. Comput. Topol. 5, 2021): 'gudhi' in float64,
    'ripser' in float32, so that they differ by 6e-8 of a distance. For H1 the filtration ends
    early where that provably changes nothing; see `_last_birth`.

    Raises StudyError for a matrix that is not one of distances: NaN makes one engine answer
    infinite bars, and the other wrong finite ones, both in silence.
    """
    _require_distances(distances)
    if max_dim == 0:
        return [_in_order(_components(distances))]
    for threshold in _thresholds(distances) if max_dim == 1 else [np.inf]:
        found = _reduce(distances, max_dim, engine, threshold)
        if np.isfinite(found[1]).all():  # a loop alive at the threshold dies beyond it
            break
    return [_in_order(bars) for bars in found]


def bars_up_to(
    weights: np.ndarray, threshold: float, dim: int, engine: Engine = "gudhi"
) -> np.ndarray:
    """Bars of one dimension of the flag filtration of a weighted graph: (n, n) -> (m, 2).

    weights: symmetric, zero on the diagonal, not negative; they need be no distances. Edges
    beyond `threshold` never enter, and bars alive there have death = inf.
    """
    return _in_order(_reduce(weights, dim, engine, threshold)[dim])


def finite_bars(diagram: np.ndarray) -> np.ndarray:
    """The bars of a diagram that die: (m, 2) -> (k, 2)."""
    return diagram[np.isfinite(diagram[:, 1])]


def landmarks(points: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    """Rows of `count` landmarks of a cloud by maxmin selection: (n, d) -> (count,), ascending.

    The first is random, each next one is the point farthest from all before it (Gonzalez,
    Theor. Comput. Sci. 38, 1985), so that they cover the cloud within at most twice the best
    radius. The diagrams of the landmarks lie within twice that radius of those of the cloud,
    in bottleneck distance. All rows where count >= n.
    """
    if count >= len(points):
        return np.arange(len(points))
    points = np.asarray(points, dtype=np.float64)
    chosen = [int(generator.integers(len(points)))]
    gaps = np.linalg.norm(points - points[chosen[0]], axis=1)
    while len(chosen) < count:
        chosen.append(int(gaps.argmax()))
        gaps = np.minimum(gaps, np.linalg.norm(points - points[chosen[-1]], axis=1))
        gaps[chosen[-1]] = -1.0  # not twice, where the rest are duplicates
    return np.sort(chosen)


@dataclass(frozen=True)
class Summary:
    """What a diagram comes to; lengths in units of the distance, `entropy` in nats.

    A mean over no bars is NaN; every other number of an empty diagram is 0.
    """

    bars: int
    essential: int
    total_persistence: float
    max_persistence: float
    mean_birth: float
    mean_death: float
    entropy: float

    as_dict = asdict


def summarise(diagram: np.ndarray) -> Summary:
    """Summary of a diagram (m, 2): essential bars are counted, all else is of finite bars.

    With the lengths l_i = death_i - birth_i and their sum L, the total persistence is L, and
    the persistent entropy is - sum_i (l_i / L) ln(l_i / L), natural logarithm: 0 for one bar,
    ln m for m bars of one length (Chintakunta et al., Pattern Recognition 48, 2015).
    """
    diagram = _checked(diagram, finite=False)
    bars = finite_bars(diagram)
    lengths = bars[:, 1] - bars[:, 0]
    shares = lengths / lengths.sum()
    return Summary(
        bars=len(bars),
        essential=len(diagram) - len(bars),
        total_persistence=float(lengths.sum()),
        max_persistence=float(lengths.max(initial=0.0)),
        mean_birth=float(bars[:, 0].mean()) if len(bars) else float("nan"),
        mean_death=float(bars[:, 1].mean()) if len(bars) else float("nan"),
        entropy=float((shares * -np.log(shares)).sum()),
    )


def bottleneck(a: np.ndarray, b: np.ndarray) -> float:
    """Bottleneck distance of two diagrams (m, 2) and (k, 2) of finite bars, exact.

    The least, over all matchings of bars with bars or with the diagonal, of the longest move,
    where the length of a move is the larger change of birth and death.

    Raises StudyError as `wasserstein` does.
    """
    a, b = _checked(a), _checked(b)
    if np.array_equal(a, b):  # GUDHI answers 2e-308
        return 0.0
    return float(gudhi.bottleneck_distance(a, b))


def wasserstein(
    a: np.ndarray, b: np.ndarray, engine: WassersteinEngine = "pot", hera_delta: float = 1e-4
) -> float:
    """1-Wasserstein distance of diagrams (m, 2) and (k, 2) of finite bars, Euclidean ground metric.

    The least, over all matchings of bars with bars or with the diagonal, of the sum of all
    moves; a bar of length l is l / sqrt(2) from the diagonal. 'pot' is exact, by sorting where
    that is (H0, as a rule) and else by network simplex. 'hera' is off by a factor of
    1 + hera_delta at most (Kerber, Morozov, Nigmetov, ACM JEA 22, 2017); it is slower, but does
    without the m x k matrix of distances.

    Raises StudyError for essential bars (set them aside: the distance would be infinite, and
    some libraries drop them in silence), NaN (Hera hangs), a death before its birth (POT
    answers a negative distance) and an unknown engine.
    """
    _known(engine, get_args(WassersteinEngine), "engine of the Wasserstein distance")
    a, b = _checked(a), _checked(b)
    if np.array_equal(a, b):  # Hera crashes or hangs where nothing is off the diagonal
        return 0.0
    if len(a) == 0 or len(b) == 0:
        bars = np.concatenate([a, b])
        return float((bars[:, 1] - bars[:, 0]).sum() / np.sqrt(2))
    if engine == "hera":
        return float(gudhi.hera.wasserstein_distance(a, b, order=1, internal_p=2, delta=hera_delta))
    if _sorting_is_optimal(a, b):
        return float(np.abs(a[:, 1] - b[:, 1]).sum())
    return _transport_cost(a, b)


@dataclass(frozen=True)
class Distance:
    """A distance of two diagrams of finite bars.

    between: (a, b, **settings) -> float, where `settings` are names of keyword arguments.
    label, unit: its name and the unit of its values, for readers; convention: what else defines
    it.
    """

    between: Callable[..., float]
    label: str
    unit: str
    convention: str = ""
    settings: tuple[str, ...] = ()


DIAGRAM_DISTANCES = {
    "bottleneck": Distance(bottleneck, "bottleneck distance", UNIT),
    "wasserstein": Distance(
        wasserstein,
        "1-Wasserstein distance",
        f"{UNIT}, summed over bars",
        "Euclidean ground metric",
        ("engine", "hera_delta"),
    ),
}


def diagram_distance(name: str, a: np.ndarray, b: np.ndarray, **settings: object) -> float:
    """The distance `name` of DIAGRAM_DISTANCES, of diagrams (m, 2) and (k, 2) of finite bars.

    settings: of any of the distances; each takes its own. Raises StudyError for an unknown
    name, and as `wasserstein` does.
    """
    distance = DIAGRAM_DISTANCES[_known(name, DIAGRAM_DISTANCES, "distance of diagrams")]
    return distance.between(a, b, **{key: settings[key] for key in distance.settings})


def _transport_cost(a: np.ndarray, b: np.ndarray) -> float:
    """1-Wasserstein distance of diagrams that are not empty, as optimal transport (POT).

    The diagonal is one more place on either side, with room for all bars of the other. Two bars
    that are farther from each other than both are from the diagonal are never matched: bars of
    H1 are short, most pairs are such, and to leave them out is ten times as fast.
    """
    from_a, from_b = (bars @ (-1.0, 1.0) / np.sqrt(2) for bars in (a, b))
    costs = np.zeros((len(a) + 1, len(b) + 1))
    costs[:-1, :-1] = cdist(a, b)
    costs[:-1, -1], costs[-1, :-1] = from_a, from_b
    useful = costs <= np.add.outer(np.append(from_a, 0.0), np.append(from_b, 0.0))
    if useful.mean() < 0.5:
        costs = coo_matrix((costs[useful], np.nonzero(useful)), shape=costs.shape)
    masses = np.append(np.ones(len(a)), len(b)), np.append(np.ones(len(b)), len(a))
    return float(ot.emd2(*masses, costs, numItermax=10**8))


def _sorting_is_optimal(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether the bars of a and b are best matched in order of death: (m, 2), (k, 2).

    Bars born at once, as many in a as in b, are, where any two bars, of lengths l and m, are
    closer to each other than to the diagonal: |l - m| <= (l + m) / sqrt(2). For as many bars of
    a as of b go to the diagonal, and to match those with each other costs no more; and an
    assignment of points on a line is cheapest in order.
    """
    if len(a) != len(b) or np.ptp(np.concatenate([a[:, 0], b[:, 0]])) > 0:
        return False
    lengths = np.concatenate([a, b]) @ (-1.0, 1.0)
    shortest, longest = lengths.min(), lengths.max()
    return bool(longest - shortest <= (longest + shortest) / np.sqrt(2))


@dataclass(frozen=True)
class Cost:
    """An estimate: seconds of one core, bytes at the peak, and the power of n they grow with."""

    seconds: float
    memory_bytes: float
    exponent: float


def estimate_cost(
    points: np.ndarray,
    max_dim: int,
    engine: Engine = "gudhi",
    seconds_of: Callable[[np.ndarray], float] | None = None,
) -> Cost:
    """What `persistence_diagrams` of a cloud (n, d) will cost on this machine.

    From H1 on the cost is a matter of the data and not of n alone: a reduction fills its columns
    where points are nearly equidistant, as under strong noise. 400 such points in 512 dimensions
    take a hundred times as long as 400 embeddings. So samples of the cloud are timed, each
    sqrt(2) times as large as the one before; a power law is fitted to the last three, made
    steeper by EXTRA_EXPONENT, and continued to n.

    This tells minutes from hours, and no more. For sixty clouds that no constant here was fitted
    to (benchmarks/topology.py --estimates, seeds 1 to 3) the estimated time was 0.15 to 5.3
    times the true one in H1, 0.3 to 3.5 times in H2, and 1.3 to 1.9 times in the median of a
    seed; memory 0.2 to 2.4 times in H1, 0.25 to 18 times in H2. It is too low for isotropic
    clouds, of which one takes three times as long as another of the same size.

    seconds_of: times one sample; for tests.
    """
    n = len(points)
    timed = seconds_of or (lambda sample: _seconds(sample, max_dim, engine))
    sizes = [int(n / 2 ** (k / 2)) for k in range(40, 0, -1)]
    sizes = [size for size in sizes if SMALLEST_PILOT <= size <= LARGEST_PILOT[max_dim] * n]
    if len(sizes) < 3:
        seconds, exponent = SMALL_SECONDS[max_dim], LEAST_EXPONENT[max_dim]
    else:
        order = generator_for("cost pilot", n).permutation(n)
        timed(points[order[: sizes[0]]])  # the first run pays for imports and page faults
        measured: list[tuple[int, float]] = []
        for size in sizes:
            measured.append((size, max(timed(points[order[:size]]), 1e-6)))
            if measured[-1][1] >= PILOT_SECONDS:
                break
        seconds, exponent = _continued(measured, n, LEAST_EXPONENT[max_dim])
    memory = BYTES_PER_PAIR[max_dim] * n**2 + FILL_BYTES_PER_SECOND[max_dim] * seconds
    return Cost(seconds, memory, exponent)


def _continued(measured: list[tuple[int, float]], n: int, least: float) -> tuple[float, float]:
    """(seconds at n, exponent) of a power law through the last of (size, seconds)."""
    exponent = least
    if len(measured) > 1:
        sizes, seconds = np.log(measured[-3:]).T
        exponent = float(np.polyfit(sizes, seconds, 1)[0]) + EXTRA_EXPONENT
    exponent = min(max(exponent, least), GREATEST_EXPONENT)
    size, seconds = measured[-1]
    return seconds * (n / size) ** exponent, exponent


def _seconds(points: np.ndarray, max_dim: int, engine: Engine) -> float:
    # Of this process, so that another one on the same core does not count.
    start = time.process_time()
    persistence_diagrams(distance_matrix(points), max_dim, engine)
    return time.process_time() - start


def _components(distances: np.ndarray) -> np.ndarray:
    """H0 of the Rips filtration: (n, n) -> (n, 2), its essential bar last."""
    births = np.zeros(len(distances))
    if len(distances) == 1:
        return np.column_stack([births, [np.inf]])
    heights = linkage(squareform(distances, checks=False), "single")[:, 2]
    return np.column_stack([births, np.append(heights, np.inf)])


def _reduce(
    distances: np.ndarray, max_dim: int, engine: Engine, threshold: float
) -> list[np.ndarray]:
    """Bars of the filtration up to `threshold`; those alive there have death = inf."""
    if _known(engine, get_args(Engine), "engine of persistence") == "ripser":
        return ripser(distances, maxdim=max_dim, thresh=threshold, coeff=2, distance_matrix=True)[
            "dgms"
        ]
    # Edge collapse, GUDHI's default from H2 on, costs more here than it saves: among points in
    # hundreds of dimensions few edges are dominated.
    rips = RipsPersistence(
        range(max_dim + 1),
        threshold=threshold,
        input_type="full distance matrix",
        num_collapses=0,
        homology_coeff_field=2,
    )
    return rips.fit_transform([distances])[0]


def _known(name: str, known: Collection[str], what: str) -> str:
    """The name, if it is known; else raises StudyError."""
    if name not in known:
        raise StudyError(f"{what}: {name!r} is unknown; known are {', '.join(known)}")
    return name


def _thresholds(distances: np.ndarray) -> Iterator[float]:
    """Thresholds beyond the last birth of H1, growing up to none at all (inf)."""
    lengths = squareform(distances, checks=False)
    within_radius = np.count_nonzero(lengths <= distances.max(axis=1).min())
    edges = EDGES_FACTOR * np.count_nonzero(lengths <= _last_birth(distances))
    while edges < within_radius:
        yield float(np.partition(lengths, int(edges))[int(edges)])
        edges *= EDGES_FACTOR
    yield np.inf


def _last_birth(distances: np.ndarray) -> float:
    """The length beyond which no bar of H0 or H1 of the Rips filtration begins or, in H0, ends.

    Let every edge longer than t have a third point nearer to both of its ends than they are to
    each other. Then every loop is homologous, in the complex that it lives in, to one of edges
    up to t: replace its longest edge by the two shorter ones over that point, and repeat. So
    nothing is born after t. The least such t is the longest edge of the relative neighbourhood
    graph (Toussaint, Pattern Recognition 12, 1980); it holds the minimum spanning tree, whose
    longest edge is thus a lower bound. Of unit vectors in hundreds of dimensions t leaves a
    tenth to a third of the edges.

    Edges are struck off by witness: of the longest edge left, the point deepest between its
    ends is tried as the third point of every edge left. After n witnesses the longest edge
    left is returned, which is a valid, if larger, answer.
    """
    radius = distances.max(axis=1).min()
    tree = _components(distances)[:-1, 1].max(initial=0.0)
    i, j = np.nonzero(np.triu((distances > tree) & (distances <= radius)))
    lengths = distances[i, j]
    for _ in range(len(distances)):
        if len(lengths) == 0:
            return tree
        longest = lengths.argmax()
        witness = np.maximum(distances[i[longest]], distances[j[longest]]).argmin()
        to_witness = distances[witness]
        left = np.maximum(to_witness[i], to_witness[j]) >= lengths
        if left[longest]:
            break
        i, j, lengths = i[left], j[left], lengths[left]
    return float(lengths.max(initial=tree))


def _in_order(bars: np.ndarray) -> np.ndarray:
    bars = np.asarray(bars, dtype=np.float64).reshape(-1, 2)
    bars = bars[bars[:, 1] > bars[:, 0]]
    return bars[np.lexsort((bars[:, 1], bars[:, 0]))]


def _require_distances(distances: np.ndarray) -> None:
    if distances.ndim != 2 or distances.shape[0] != distances.shape[1] or len(distances) == 0:
        raise StudyError(
            f"distance matrix: shape {distances.shape} is not square; did you mean to pass "
            "distance_matrix(points)?"
        )
    if not np.isfinite(distances).all():
        raise StudyError(
            "distance matrix: NaN or infinity in it; leave out the points that are not finite"
        )
    if distances.diagonal().any() or distances.min() < 0 or (distances != distances.T).any():
        raise StudyError(
            "distance matrix: not symmetric, not zero on the diagonal, or negative; make it with "
            "distance_matrix(points)"
        )


def _checked(diagram: np.ndarray, finite: bool = True) -> np.ndarray:
    """The diagram in order and without bars of length zero; raises StudyError where damaged."""
    diagram = np.asarray(diagram, dtype=np.float64)
    if diagram.size == 0:
        return NO_BARS
    if diagram.ndim != 2 or diagram.shape[1] != 2:
        raise StudyError(f"diagram: shape {diagram.shape}; give (bars, 2): birth and death")
    if np.isnan(diagram).any() or np.isinf(diagram[:, 0]).any():
        raise StudyError("diagram: a birth or death is NaN, or a birth infinite; compute it again")
    if (diagram[:, 1] < diagram[:, 0]).any():
        raise StudyError("diagram: a death before its birth; give birth and death in that order")
    if finite and np.isinf(diagram).any():
        raise StudyError("diagram: an essential bar; set it aside with finite_bars(diagram)")
    return _in_order(diagram)
