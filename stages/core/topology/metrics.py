"""Distances between the points of a cloud, by which its diagrams are computed: an entry of METRICS
for each.

Two of them are spectral distances on a graph of nearest neighbours, with which Rips persistence
finds loops under noise in many dimensions where Euclidean distances no longer show them (Damrich,
Berens and Kobak, "Persistent homology for high-dimensional data based on spectral methods", NeurIPS
2024). Noise moves every Euclidean distance, most of all the short ones, but leaves most of the
neighbours; and both distances average over all ways through the graph.

The choices and the help of `persistence.metric`, what claims and pictures say of distances, and
the null clouds of claims follow from an entry.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stages.core.artifacts.ground import EUCLIDEAN, Ground
from stages.core.runtime.errors import require_known
from stages.core.runtime.wording import count
from stages.core.topology.bars import UNIT

# Distances on a graph are multiples of the largest one over this. Those that are equal by symmetry
# would differ in their last bits otherwise, and make bars of that length.
RESOLUTION = 2.0**32


@dataclass(frozen=True)
class Metric:
    """A distance between the points of a cloud.

    distances: ((n, d) points, ground) -> (n, n) float64: symmetric, zero on the diagonal, finite.
    label: its name in sentences: 'by <label>'. unit: of births, deaths and bars.
    help: what it is, for the settings.
    settings: which fields of Ground it takes.
    triangle: whether it keeps the triangle inequality, which the band of claim 4 needs.
    bytes_per_pair: memory of points that the distances take, at their peak.
    """

    distances: Callable[[np.ndarray, Ground], np.ndarray]
    label: str
    unit: str
    help: str
    settings: tuple[str, ...] = ()
    triangle: bool = True
    bytes_per_pair: int = 16


def chosen_ground(metric: str, **settings: int) -> Ground:
    """The ground of a metric with those of the settings that it takes."""
    taken = metric_of(Ground(metric)).settings
    return Ground(metric, **{key: settings[key] for key in taken})


def metric_of(ground: Ground) -> Metric:
    """The entry of METRICS; raises StudyError for an unknown name."""
    require_known(ground.metric, METRICS, "persistence.metric")
    return METRICS[ground.metric]


def described(ground: Ground) -> str:
    """A ground in words: 'diffusion distance, 15 nearest neighbours, 8 steps'."""
    said = [metric_of(ground).label]
    if ground.neighbours is not None:
        said.append(count(ground.neighbours, "nearest neighbour"))
    if ground.diffusion_steps is not None:
        said.append(count(ground.diffusion_steps, "step"))
    return ", ".join(said)


def ground_distances(points: np.ndarray, ground: Ground = EUCLIDEAN) -> np.ndarray:
    """The distances of a cloud: (n, d) -> (n, n) float64, symmetric, zero on the diagonal, finite.

    Raises StudyError for an unknown metric, and where a point is not finite.
    """
    return metric_of(ground).distances(points, ground)


def _euclidean(points: np.ndarray, ground: Ground) -> np.ndarray:
    from stages.core.topology.rips import distance_matrix  # here, for settings load no SciPy

    return distance_matrix(points)


def _effective_resistance(points: np.ndarray, ground: Ground) -> np.ndarray:
    return effective_resistances(_graph_of(points, ground))


def _diffusion(points: np.ndarray, ground: Ground) -> np.ndarray:
    assert ground.diffusion_steps is not None
    return diffusion_distances(_graph_of(points, ground), ground.diffusion_steps)


def _graph_of(points: np.ndarray, ground: Ground) -> np.ndarray:
    assert ground.neighbours is not None
    return neighbour_graph(_euclidean(points, ground), ground.neighbours)


METRICS = {
    "euclidean": Metric(
        _euclidean,
        label="Euclidean distance",
        unit=UNIT,
        help="of the embeddings themselves",
    ),
    "diffusion": Metric(
        _diffusion,
        label="diffusion distance",
        unit="diffusion distance",
        help="between where random walks on the graph of nearest neighbours are after some steps",
        settings=("neighbours", "diffusion_steps"),
        bytes_per_pair=64,
    ),
    "effective_resistance": Metric(
        _effective_resistance,
        label="effective resistance",
        unit="effective resistance",
        help="of the graph of nearest neighbours as a network of resistors, corrected for degrees",
        settings=("neighbours",),
        triangle=False,
        bytes_per_pair=64,
    ),
}


def neighbour_graph(distances: np.ndarray, neighbours: int) -> np.ndarray:
    """The symmetric graph of nearest neighbours: (n, n) distances -> (n, n) float64 of 0 and 1.

    Two points are joined where either is among the `neighbours` nearest of the other; points as far
    as the last of these count as well, so that the order of the points does not matter. With fewer
    points than that the graph is complete.

    One of several components is joined by the shortest edges that connect them all, one less than
    there are components: a minimum spanning tree of components. Distances between components are
    large then, and finite, since all ways lead over a single edge; those within are nearly the same
    as without. (The authors of the method set them to twice the largest of all others.)
    """
    from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

    n = len(distances)
    last = np.partition(distances, min(neighbours, n - 1), axis=1)[:, min(neighbours, n - 1)]
    near = distances <= last[:, None]  # (n, n): a point itself is among them
    joined = near | near.T
    np.fill_diagonal(joined, False)
    components, component = connected_components(joined, directed=False)
    if components > 1:
        apart = component[:, None] != component
        within = 0.5 * distances[apart].min()  # shorter than any between, so that all are taken
        tree = minimum_spanning_tree(np.where(apart, distances, within)).tocoo()
        between = apart[tree.row, tree.col]
        joined[tree.row[between], tree.col[between]] = True
        joined |= joined.T
    return joined.astype(np.float64)


def effective_resistances(graph: np.ndarray) -> np.ndarray:
    """Corrected effective resistances of a connected graph: (n, n) of 0 and 1 -> (n, n).

    The resistance R between two nodes of a network of unit resistors is that between i and j less
    what is due to their degrees d alone, which in large graphs is all that is left of it (von
    Luxburg, Radl and Hein, J. Mach. Learn. Res. 15, 2014):

        R(i, j) - 1 / d_i - 1 / d_j + 2 a(i, j) / (d_i d_j).

    It is computed in the closed form of Damrich, Berens and Kobak: with the eigenvalues lambda and
    eigenvectors of the random walk, the squared Euclidean distance between points of coordinates
    lambda / sqrt(1 - lambda) times those of the eigenvectors. Being squared, it need not keep the
    triangle inequality, which Rips filtrations do not ask for. The authors' experiments take it so,
    and so does this project; its square root would give the same bars in another scale.
    """
    walk, nodes = _spectrum(graph)
    return _between(nodes * (walk / np.sqrt(1 - walk)), "sqeuclidean")


def diffusion_distances(graph: np.ndarray, steps: int) -> np.ndarray:
    """Diffusion distances after so many steps on a connected graph: (n, n) of 0 and 1 -> (n, n).

    With P the transition matrix of the random walk, d the degrees and vol their sum,

        sqrt(vol sum_k (P^t(i, k) - P^t(j, k))^2 / d_k)

    (Coifman and Lafon, Appl. Comput. Harmon. Anal. 21, 2006, as scaled by Damrich, Berens and
    Kobak). It is the Euclidean distance between points of coordinates lambda^t times those of the
    eigenvectors of the walk. Two nodes with the same neighbours are at distance 0.
    """
    walk, nodes = _spectrum(graph)
    return _between(np.sqrt(graph.sum()) * nodes * walk**steps, "euclidean")


def _spectrum(graph: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of the random walk but for the 1, (n - 1,), and eigenvectors (n, n - 1).

    Those of the symmetric D^(-1/2) A D^(-1/2), whose eigenvalues are the same, divided by the roots
    of the degrees. This takes time as n^3, as the distances by them do.
    """
    if len(graph) == 1:
        return np.zeros(0), np.zeros((1, 0))
    roots = np.sqrt(graph.sum(axis=1))
    values, vectors = np.linalg.eigh(graph / np.outer(roots, roots))
    return values[:-1], vectors[:, :-1] / roots[:, None]


def _between(places: np.ndarray, metric: str) -> np.ndarray:
    """The distances between (n, d) -> (n, n), each a multiple of the largest over RESOLUTION."""
    from scipy.spatial.distance import pdist, squareform

    if len(places) == 1:
        return np.zeros((1, 1))
    distances = pdist(places, metric)
    step = 2.0 ** np.frexp(distances.max())[1] / RESOLUTION  # a power of 2, so that no bit is lost
    return squareform(np.round(distances / step) * step)
