"""The clouds of a study: each class, a sample of all classes, and halves of both."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path

import numpy as np

from stages.core.artifacts.diagrams import ALL, HALF_A, HALF_B, WHOLE, CloudKey
from stages.core.artifacts.embeddings import Embeddings, array_name
from stages.core.artifacts.ground import EUCLIDEAN, Ground
from stages.core.runtime.parallel import parallel_map
from stages.core.runtime.randomness import generator_for, stratified_sample
from stages.core.runtime.remote import Files
from stages.core.topology.metrics import ground_distances
from stages.core.topology.rips import persistence_diagrams
from stages.settings.checks import require_no_class_named_all


@dataclass(frozen=True)
class Cloud:
    """A cloud by where its points lie: `rows` (n,) of an array of the embeddings artifact."""

    key: CloudKey
    file: Path
    rows: np.ndarray

    def points(self) -> np.ndarray:
        """(n, d) float32, read from the file."""
        return np.load(self.file, mmap_mode="r")[self.rows]

    @property
    def files(self) -> Files:
        """What `points` reads."""
        return Files([self.file])


def choose_images(
    artifact: Embeddings, points_per_class: int | None, points_overall: int, seed: int
) -> dict[str, dict[str, np.ndarray]]:
    """{group: {part: rows of its images}}: each class with images, then `all`.

    points_per_class: landmarks of a class, chosen among its clean embeddings; None for all of
    its images. points_overall: the size of the sample of all classes.
    """
    classes = [name for name in artifact.classes if len(artifact.rows(name))]
    require_no_class_named_all(classes, artifact.folder / "classes.csv")
    wholes = {}
    for name in classes:
        rows = artifact.rows(name)
        if points_per_class is not None and points_per_class < len(rows):
            clean = artifact.array(0.0)[rows]
            generator = generator_for(seed, "landmarks", name)
            rows = rows[landmarks(clean, points_per_class, generator)]
        wholes[name] = rows
    generator = generator_for(seed, "sample of all")
    wholes[ALL] = stratified_sample(artifact.labels, points_overall, generator)
    return {
        group: {
            WHOLE: rows,
            **stratified_halves(rows, artifact.labels[rows], generator_for(seed, "halves", group)),
        }
        for group, rows in wholes.items()
    }


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


def stratified_halves(
    rows: np.ndarray, labels: np.ndarray, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """Two random disjoint parts of `rows` (n,) of n // 2 each, with equal shares of each label."""
    order = generator.permutation(len(rows))
    order = order[np.argsort(labels[order], kind="stable")]
    size = len(rows) // 2
    return {HALF_A: np.sort(rows[order[::2][:size]]), HALF_B: np.sort(rows[order[1::2][:size]])}


def list_clouds(artifact: Embeddings, groups: dict[str, dict[str, np.ndarray]]) -> list[Cloud]:
    """Every group at every level and draw, and its halves at draw 0; checks the arrays."""
    clouds = []
    arrays = [
        (level, draw)
        for level in artifact.levels
        for draw in range(artifact.draws if level > 0 else 1)
    ]
    for level, draw in arrays:
        artifact.array(level, draw)
    for group, parts in groups.items():
        for level, draw in arrays:
            file = artifact.folder / array_name(level, draw)
            for part, rows in parts.items():
                if len(rows) and (part == WHOLE or draw == 0):
                    clouds.append(Cloud(CloudKey(group, level, draw, part), file, rows))
    return clouds


def diagrams_of(
    clouds: list[Cloud],
    max_dim: int,
    engine: str,
    workers: int | None = None,
    seconds: Sequence[float] | None = None,
    ground: Ground = EUCLIDEAN,
) -> dict[CloudKey, list[np.ndarray]]:
    """{cloud: its diagrams, (m, 2) by dimension}, in the order of `clouds`.

    seconds: about how long each takes. ground: the distance between points; where it rests on a
    graph, that is one of the cloud's own points.
    """
    compute = partial(_diagrams, max_dim, engine, ground)
    found = parallel_map(compute, clouds, "diagrams", workers, seconds, files=attrgetter("files"))
    return dict(zip((cloud.key for cloud in clouds), found, strict=True))


def _diagrams(max_dim: int, engine: str, ground: Ground, cloud: Cloud) -> list[np.ndarray]:
    return persistence_diagrams(ground_distances(cloud.points(), ground), max_dim, engine)
