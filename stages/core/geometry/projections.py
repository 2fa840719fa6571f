"""Two-dimensional pictures of embeddings, and measures of what they show.

Distances between embeddings are Euclidean between unit rows; the neighbours of a point are
then the same as by cosine. A picture is a `layout`: (n, 2) float64, centred, of
root-mean-square radius 1, since neither t-SNE nor UMAP has a unit of length.

Each noise level is laid out from its own embeddings alone, from their two principal
components, never from the layout of the clean images: a picture started from another keeps
groups that its own level no longer has. To let a reader follow the images from one picture to
the next, `aligned` then turns or mirrors a layout onto another, which changes no distance in
it. What remains different between two pictures is mostly the method's freedom in placing
groups that are far apart; the measures below do not look at that.
"""

import sys
import warnings
from contextlib import redirect_stdout
from dataclasses import dataclass

import numpy as np
from scipy.linalg import orthogonal_procrustes
from scipy.spatial.distance import cdist
from sklearn.manifold import TSNE
from sklearn.manifold import trustworthiness as sklearn_trustworthiness
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from stages.core.runtime.progress import steps_printed
from stages.core.runtime.randomness import generator_for
from stages.settings.checks import require_room_for_kept

# Of one core of a Xeon, for some 1,000 points in 128 dimensions: what a terminal is told at first.
SECONDS_A_POINT = {"tsne": 0.0027, "umap": 0.0017}
SECONDS_OF_COMPILING = 12.0  # of UMAP, in every process that runs it
_compiled = False

MOST_POINTS = 4095  # of which t-SNE and UMAP look at all pairs
LEAST_IMAGES = 2  # of a class in a layout, or none would have a neighbour of its own class
TSNE_STEPS = 1000  # scikit-learn's own number of iterations


def sample_classes(classes: list[str], kept: list[str], count: int, seed: int) -> list[str]:
    """At most `count` of `classes`, in their order: those of `kept` that exist, others by chance.

    Raises StudyError where more than `count` of the kept classes exist.
    """
    chosen = require_room_for_kept(classes, kept, count)
    others = [name for name in classes if name not in kept]
    generator = generator_for(seed, "project", "classes")
    drawn = {*chosen, *generator.permutation(others).tolist()[: count - len(chosen)]}
    return [name for name in classes if name in drawn]


def sample_images(rows: np.ndarray, count: int, seed: int, class_name: str) -> np.ndarray:
    """At most `count` of a class's `rows`, ascending; the same whatever other classes there are."""
    generator = generator_for(seed, "project", "images", class_name)
    return np.sort(generator.permutation(rows)[:count])


def images_within(points: int, classes: int, wanted: int) -> int:
    """How many images of each class, `wanted` at most, make a layout of at most so many points.

    LEAST_IMAGES where even these are more.
    """
    return min(wanted, max(points // classes, LEAST_IMAGES))


def tsne_layout(points: np.ndarray, perplexity: float, seed: int) -> np.ndarray:
    """t-SNE (van der Maaten and Hinton 2008) of (n, d) points -> layout (n, 2).

    Started from the two principal components (Kobak and Berens 2019). Up to MOST_POINTS
    scikit-learn's Barnes-Hut gradient, at the library's learning rate, exaggeration and 1,000
    iterations; beyond them openTSNE's interpolated gradient (Linderman et al., "Fast interpolation-
    based t-SNE", Nat. Methods 16, 2019), whose time is linear in n, among approximate neighbours,
    at that library's own 750. The perplexity is lowered to (n - 1) / 3 where n is small: each
    point's affinities reach over three times as many neighbours, and there must be so many.
    """
    perplexity = min(perplexity, (len(points) - 1) / 3)
    # One thread: linear algebra rounds differently with two, t-SNE amplifies the last bit to
    # another picture, and its own loop is slower with two threads on a busy machine.
    if len(points) > MOST_POINTS:
        from openTSNE import TSNE as LargeTSNE  # here, as few studies need it

        with threadpool_limits(limits=1):
            large = LargeTSNE(
                initialization="pca",
                perplexity=perplexity,
                negative_gradient_method="fft",
                random_state=seed,
                n_jobs=1,
            )
            return _normalised(np.asarray(large.fit(points)))
    printed = steps_printed(r"Iteration (\d+)", TSNE_STEPS)
    with threadpool_limits(limits=1), redirect_stdout(printed or sys.stdout):
        method = TSNE(
            init="pca",
            perplexity=perplexity,
            random_state=seed,
            max_iter=TSNE_STEPS,
            verbose=2 if printed else 0,
        )
        return _normalised(method.fit_transform(points))


def umap_layout(points: np.ndarray, neighbours: int, min_dist: float, seed: int) -> np.ndarray:
    """UMAP (McInnes, Healy and Melville 2018) of (n, d) points -> layout (n, 2).

    Started from the two principal components like `tsne_layout`, so that the pictures differ
    by method and not by start (Kobak and Linderman 2021), at the library's 500 epochs (200
    above 10,000 points). At most n - 1 neighbours. The first call in a process compiles the
    library's loops. Beyond MOST_POINTS its neighbours are approximate (Dong, Moses and Li 2011).
    """
    with warnings.catch_warnings():
        # Said once on import: a part of the library that is not used here needs Tensorflow.
        warnings.simplefilter("ignore", ImportWarning)
        # Here, for only a process that runs it should pay seconds for it.
        from umap import UMAP

        from stages.core.geometry.umap_neighbours import nearest

    global _compiled
    compiling = 0.0 if _compiled else SECONDS_OF_COMPILING
    before = compiling / (compiling + SECONDS_A_POINT["umap"] * len(points))
    _compiled = True
    # It shows a bar of its own, to a file of which its steps are read.
    printed = steps_printed(r"(\d+)%", 100, before)
    bar = {"disable": False, "file": printed, "bar_format": "{percentage:.0f}%"}
    neighbours = min(neighbours, len(points) - 1)
    found = nearest(points, neighbours) if len(points) <= MOST_POINTS else (None, None)
    with threadpool_limits(limits=1), warnings.catch_warnings():
        # No other points are to be laid out by the same method.
        warnings.filterwarnings("ignore", r"precomputed_knn\[2\]", UserWarning)
        method = UMAP(
            n_neighbors=neighbours,
            precomputed_knn=(*found, None),
            force_approximation_algorithm=found[0] is not None,  # or it would find them again
            min_dist=min_dist,
            init="pca",
            random_state=seed,
            n_jobs=1,
            tqdm_kwds=bar if printed else None,
        )
        return _normalised(method.fit_transform(points))


def aligned(layout: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """`layout` turned or mirrored to lie closest, point for point, to `reference` (Procrustes).

    Both are (n, 2) and centred. No distance between two points of the layout changes.
    """
    rotation, _ = orthogonal_procrustes(layout, reference)
    return layout @ rotation


def purity(points: np.ndarray, labels: np.ndarray, neighbours: int) -> float:
    """Mean share, in [0, 1], of a point's nearest other points that are of its own class.

    points: (n, d), labels: (n,). A point of a class of m has min(neighbours, m - 1) neighbours
    counted, so that separated classes reach 1 however small they are.
    """
    _, inverse, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    counted = np.minimum(neighbours, sizes[inverse] - 1)  # (n,)
    widest = int(counted.max())
    nearest = NearestNeighbors(n_neighbors=widest, algorithm="brute").fit(points)
    found = labels[nearest.kneighbors(return_distance=False)] == labels[:, None]  # (n, widest)
    within = np.arange(widest) < counted[:, None]
    return float(np.mean((found & within).sum(axis=1) / counted))


def chance_purity(labels: np.ndarray) -> float:
    """The expected `purity` of labels dealt at random: (n,) -> [0, 1]."""
    counts = np.unique(labels, return_counts=True)[1]
    return float(np.sum(counts * (counts - 1)) / (len(labels) * (len(labels) - 1)))


def silhouette(points: np.ndarray, labels: np.ndarray) -> float:
    """Mean silhouette (Rousseeuw 1987), in [-1, 1], by Euclidean distance; (n, d), (n,)."""
    return float(silhouette_score(points, labels))


def trustworthiness(points: np.ndarray, layout: np.ndarray, neighbours: int) -> float:
    """Trustworthiness (Venna and Kaski 2001), in [0, 1]: are neighbours in the picture real?

    points: (n, d), layout: (n, 2). 1 where a layout's neighbours are all neighbours in d
    dimensions too; one that is not costs by its rank there. Defined for less than n / 2
    neighbours, and so lowered to that.
    """
    neighbours = min(neighbours, (len(points) - 1) // 2)
    return float(sklearn_trustworthiness(points, layout, n_neighbors=neighbours))


def mean_cosine_distances(points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(C, C) float64: 1 - cosine between the classes' mean embeddings.

    points: (n, d), labels: (n,) int in 0 .. C - 1, each class at least once.
    """
    means = np.stack([points[labels == i].mean(axis=0) for i in range(labels.max() + 1)])
    return cdist(means, means, "cosine")


def set_distances(layout: np.ndarray, labels: np.ndarray, share: float = 0.25) -> np.ndarray:
    """(C, C) float64: how far, in a picture, one class lies from another.

    layout: (n, 2), labels: (n,) int in 0 .. C - 1. [a, b] is the least radius such that `share`
    of the points of a each have `share` of the points of b within it: how far apart the parts
    of the two classes lie that lie closest, a Hausdorff distance with quantiles in place of
    extremes (Huttenlocher, Klanderman and Rucklidge 1993). A distance of centroids would not
    do: t-SNE and UMAP tear classes into islands, and the centroid lies between them, where no
    point is. Nor would the two nearest points: a single stray one would make neighbours of two
    classes. From a to b is not from b to a.
    """
    distances = cdist(layout, layout)
    members = [np.flatnonzero(labels == i) for i in range(labels.max() + 1)]
    radii = np.stack([_quantile(distances[:, rows], share, axis=1) for rows in members], axis=1)
    return np.stack([_quantile(radii[rows], share, axis=0) for rows in members])


def nearest_ranks(distances: np.ndarray) -> np.ndarray:
    """(C, C) int64: [a, b] is the rank of b among the others by distance from a; 1 is nearest.

    The diagonal is 0. Ties go by the order of the classes.
    """
    distances = distances.astype(float)
    np.fill_diagonal(distances, -np.inf)
    order = np.argsort(distances, axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(len(order))[None, :], axis=1)
    return ranks


@dataclass(frozen=True)
class Measures:
    """What a space shows: an embedding space, or a layout of it.

    class_distances: (C, C) float64; by `mean_cosine_distances` in an embedding space, by
    `set_distances` in a layout. trustworthiness: None for an embedding space.
    """

    purity: float
    silhouette: float
    trustworthiness: float | None
    class_distances: np.ndarray


def measure(
    points: np.ndarray, layout: np.ndarray | None, labels: np.ndarray, neighbours: int
) -> Measures:
    """Measure a layout (n, 2) of points (n, d), or the points themselves where it is None.

    labels: (n,) int in 0 .. C - 1, each class twice or more.
    """
    with threadpool_limits(limits=1):
        if layout is None:
            return Measures(
                purity(points, labels, neighbours),
                silhouette(points, labels),
                None,
                mean_cosine_distances(points, labels),
            )
        return Measures(
            purity(layout, labels, neighbours),
            silhouette(layout, labels),
            trustworthiness(points, layout, neighbours),
            set_distances(layout, labels),
        )


def _normalised(layout: np.ndarray) -> np.ndarray:
    layout = layout.astype(np.float64)
    layout -= layout.mean(axis=0)
    return layout / np.sqrt(np.mean(np.sum(layout**2, axis=1)))


def _quantile(values: np.ndarray, share: float, axis: int) -> np.ndarray:
    return np.quantile(values, share, axis=axis, method="inverted_cdf")  # one of the values
