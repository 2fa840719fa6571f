"""The distances between diagrams of finite bars, of which DIAGRAM_DISTANCES is the list."""

import os
from collections.abc import Callable
from dataclasses import dataclass

# POT imports every array library that it finds, PyTorch with its seconds and gigabytes among
# them, and uses none of them here. It reads these names when it is imported.
os.environ.update(
    {f"POT_BACKEND_DISABLE_{name}": "1" for name in ("PYTORCH", "JAX", "CUPY", "TENSORFLOW")}
)

import gudhi
import gudhi.hera
import numpy as np
import ot
from scipy.sparse import coo_matrix
from scipy.spatial.distance import cdist

from stages.core.runtime.errors import require_known
from stages.core.topology.bars import UNIT, checked

WASSERSTEIN_ENGINES = ("pot", "hera")


def bottleneck(a: np.ndarray, b: np.ndarray) -> float:
    """Bottleneck distance of two diagrams (m, 2) and (k, 2) of finite bars, exact.

    The least, over all matchings of bars with bars or with the diagonal, of the longest move,
    where the length of a move is the larger change of birth and death.

    Raises StudyError as `wasserstein` does.
    """
    a, b = checked(a, finite=True), checked(b, finite=True)
    if np.array_equal(a, b):  # GUDHI answers 2e-308
        return 0.0
    return float(gudhi.bottleneck_distance(a, b))


def wasserstein(
    a: np.ndarray, b: np.ndarray, engine: str = "pot", hera_delta: float = 1e-4
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
    require_known(engine, WASSERSTEIN_ENGINES, "engine of the Wasserstein distance")
    a, b = checked(a, finite=True), checked(b, finite=True)
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

    settings: of any of the distances; each takes its own, or its default where that is not among
    them. Raises StudyError for an unknown name, and as `wasserstein` does.
    """
    require_known(name, DIAGRAM_DISTANCES, "distance of diagrams")
    distance = DIAGRAM_DISTANCES[name]
    own = {key: settings[key] for key in distance.settings if key in settings}
    return distance.between(a, b, **own)


def _transport_cost(a: np.ndarray, b: np.ndarray) -> float:
    """1-Wasserstein distance of diagrams that are not empty, as optimal transport (POT).

    The diagonal is one more place on either side, with room for all bars of the other. Two bars
    that are farther from each other than the sum of their distances from the diagonal are never
    matched. Bars of H1 are short, most pairs are such, and leaving them out is 6 times as fast for
    940 points and 15 times for 1,880 (`benchmarks.topology --shortcuts`).
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
    """Whether matching the bars of a and b in order of death is optimal: (m, 2), (k, 2).

    It is where all bars have one birth, a and b have as many bars, and any two bars, of lengths l
    and m, are closer to each other than to the diagonal: |l - m| <= (l + m) / sqrt(2). As many
    bars of a as of b would go to the diagonal then, and matching these with each other costs no
    more. An assignment of points on a line is cheapest in order.
    """
    if len(a) != len(b) or np.ptp(np.concatenate([a[:, 0], b[:, 0]])) > 0:
        return False
    lengths = np.concatenate([a, b]) @ (-1.0, 1.0)
    shortest, longest = lengths.min(), lengths.max()
    return bool(longest - shortest <= (longest + shortest) / np.sqrt(2))
