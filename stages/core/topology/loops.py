"""The loops of a study as rings of images, each group's beside the longest of a null cloud."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.spatial.distance import cdist

from stages.core.artifacts.diagrams import ALL
from stages.core.artifacts.embeddings import Embeddings, array_name
from stages.core.artifacts.ground import EUCLIDEAN, Ground
from stages.core.artifacts.tables import Schema, name, number, whole
from stages.core.runtime.parallel import parallel_map
from stages.core.runtime.randomness import generator_for
from stages.core.runtime.remote import Files
from stages.core.topology.clouds import landmarks
from stages.core.topology.cycles import LEAST_POINTS, Loop, longest_loops
from stages.core.topology.metrics import ground_distances
from stages.core.topology.null_models import rotated_clouds

OWN, NULL = CLOUDS = ("own", "null")
SECONDS_A_PAIR = 1.2e-6  # of points, both clouds together, on one core of a Xeon

# A row per point of a ring. `rank` tells the loops of a cloud apart, 1 the longest bar; `place` is
# that in the ring, from 1 on, and `step` the distance to the next place, or from the last place to
# the first. The points of a null cloud are no images: `id` is the image nearest to each.
LOOPS = Schema(
    (
        name("group"),
        number("noise", low=0),
        name("cloud", *CLOUDS),
        whole("rank", low=1),
        number("birth", low=0),
        number("death", low=0),
        whole("place", low=1),
        number("step", low=0),
        name("id"),
    ),
    key=("group", "noise", "cloud", "rank", "place"),
    may_be_empty=True,
)


@dataclass(frozen=True)
class _Group:
    """A group at one level: where its points lie, and how many loops are wanted.

    file: of the embeddings; rows: (n,) those of the group's diagrams; drawn_from: (m,) those that
    its null cloud has the mean and covariance of; ids: (n,) of `rows`.
    """

    name: str
    noise: float
    file: Path
    rows: np.ndarray
    drawn_from: np.ndarray
    ids: np.ndarray
    count: int


def loops_table(
    artifact: Embeddings,
    members: Mapping[str, np.ndarray],
    per_class: int,
    overall: int,
    seed: int,
    ground: Ground = EUCLIDEAN,
) -> pd.DataFrame:
    """The columns of LOOPS: of every group, at every level, in draw 0.

    members: {group: (n,) rows of the images that its diagrams are of}. per_class, overall: how many
    loops of a class and of the sample of all, at most. ground: the distance that their diagrams are
    in, and those of null clouds.

    A null cloud is made as for claim 4: with the mean and the covariance of all images of the
    class, and then as many landmarks as the class has. With the claims' seed it is the first of
    theirs.
    """
    ids = artifact.images["id"].to_numpy()
    groups = [
        _Group(
            group,
            level,
            artifact.folder / array_name(level, 0),
            rows,
            rows if group == ALL else artifact.rows(group),
            ids[rows],
            overall if group == ALL else per_class,
        )
        for group, rows in members.items()
        for level in artifact.levels
    ]
    for level in artifact.levels:
        artifact.array(level)  # which checks it
    tables = parallel_map(
        partial(_loops_of, seed, ground), groups, "loops", files=lambda group: Files([group.file])
    )
    return pd.concat(tables, ignore_index=True) if tables else no_loops()


def no_loops() -> pd.DataFrame:
    """The table without rows."""
    return pd.DataFrame(columns=LOOPS.names)


def _loops_of(seed: int, ground: Ground, group: _Group) -> pd.DataFrame:
    if len(group.rows) < LEAST_POINTS:
        return no_loops()
    array = np.load(group.file, mmap_mode="r")
    points = array[group.rows]
    generator = generator_for(seed, "null", group.name, group.noise)
    (drawn,) = rotated_clouds(array[group.drawn_from], 1, generator)
    null = drawn[landmarks(drawn, len(group.rows), generator)]
    nearest = cdist(null, points.astype(np.float64)).argmin(axis=1)
    found = [
        *_rows(OWN, longest_loops(ground_distances(points, ground), group.count), group.ids),
        *_rows(NULL, longest_loops(ground_distances(null, ground), 1), group.ids[nearest]),
    ]
    table = pd.concat(found, ignore_index=True) if found else no_loops()
    return table.assign(group=group.name, noise=group.noise)[LOOPS.names]


def _rows(cloud: str, loops: list[Loop], ids: np.ndarray) -> list[pd.DataFrame]:
    """The rows of each loop; ids: (n,) the image to show for each point of the cloud."""
    return [
        pd.DataFrame(
            {
                "cloud": cloud,
                "rank": rank,
                "birth": loop.birth,
                "death": loop.death,
                "place": np.arange(1, len(loop.ring) + 1),
                "step": loop.steps,
                "id": ids[loop.ring],
            }
        )
        for rank, loop in enumerate(loops, start=1)
    ]
