"""The diagrams artifact, which `persistence` writes, and the comparisons that `distances` makes.

One long table, a row per bar: group (a class, or `all`), noise, draw, part, dim, birth, death.
`part` is `whole`, or `half_a` or `half_b` of the group's images. Essential bars have death = inf.
A cloud without bars in a dimension has no rows there; in dimension 0 every cloud has one.
Beside it clouds.parquet names the images: a row per group, part and id, the same at every level.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stages.core.artifacts.ground import EUCLIDEAN, Ground, read_ground
from stages.core.artifacts.tables import (
    Schema,
    name,
    number,
    read_parquet,
    require_same,
    whole,
    write_parquet,
)
from stages.core.runtime.errors import StudyError
from stages.core.runtime.files import make_again
from stages.settings.checks import SAMPLE_OF_ALL

ALL = SAMPLE_OF_ALL  # the group of the sample across all classes
WHOLE, HALF_A, HALF_B = PARTS = ("whole", "half_a", "half_b")
MOST_DIM = 2  # of persistence.max_dim


@dataclass(frozen=True, order=True)
class CloudKey:
    """Which cloud a diagram is of."""

    group: str
    noise: float
    draw: int = 0
    part: str = WHOLE


Pairs = tuple[tuple[CloudKey, CloudKey], ...]


def _clean_and_noisy(group: str, noise: float) -> Pairs:
    return ((CloudKey(group, 0.0), CloudKey(group, noise)),)


def _two_draws(group: str, noise: float) -> Pairs:
    return ((CloudKey(group, noise), CloudKey(group, noise, draw=1)),)


def _half_and_other_half_noisy(group: str, noise: float) -> Pairs:
    return (
        (CloudKey(group, 0.0, part=HALF_A), CloudKey(group, noise, part=HALF_B)),
        (CloudKey(group, 0.0, part=HALF_B), CloudKey(group, noise, part=HALF_A)),
    )


def _two_halves(group: str, noise: float) -> Pairs:
    return ((CloudKey(group, noise, part=HALF_A), CloudKey(group, noise, part=HALF_B)),)


@dataclass(frozen=True)
class Comparison:
    """A comparison of diagrams of one group.

    pairs: (group, noise level) -> the pairs of clouds over which the distance is averaged.
    label: for readers. baseline: the comparison that shows what the distance is without an
    effect of noise, or None for a baseline. short: a baseline in names of metrics.
    of_clean: whether it is made at the clean level alone, and not at the noisy ones.
    """

    pairs: Callable[[str, float], Pairs]
    label: str
    baseline: str | None = None
    short: str = ""
    of_clean: bool = False

    def level(self, noise: float) -> float:
        """The level at which the table holds this comparison for the noisy level `noise`."""
        return 0.0 if self.of_clean else noise


COMPARISONS = {
    "clean_noisy": Comparison(
        _clean_and_noisy, "the same images, clean and noisy", baseline="noisy_noisy"
    ),
    "noisy_noisy": Comparison(_two_draws, "another draw of the same noise", short="draws"),
    "half_clean_noisy": Comparison(
        _half_and_other_half_noisy,
        "disjoint halves, clean and noisy",
        baseline="half_clean_clean",
    ),
    "half_clean_clean": Comparison(
        _two_halves, "two halves of the clean class", short="halves", of_clean=True
    ),
}
BASELINES = {key: each.baseline for key, each in COMPARISONS.items() if each.baseline}

DIAGRAMS = Schema(
    (
        name("group"),
        number("noise", low=0),
        whole("draw", low=0),
        name("part", *PARTS),
        whole("dim", 0, MOST_DIM),
        number("birth", low=0),
        number("death", low=0, infinite=True),
    )
)
CLOUDS = Schema(
    (name("group"), name("part", *PARTS), name("id")),
    key=("group", "part", "id"),
)
DISTANCES = Schema(
    (
        name("group"),
        number("noise", low=0),
        whole("dim", 0, MOST_DIM),
        name("metric"),
        name("comparison", *COMPARISONS),
        number("distance", low=0),
    ),
    key=("group", "noise", "dim", "metric", "comparison"),
)


@dataclass(frozen=True)
class Diagrams:
    """The diagrams in a file.

    bars: {cloud: its diagrams, (m, 2) by dimension}, in the order of the file.
    run: of the embeddings that they were computed from; content: the id of the table.
    ground: the distance between points that births and deaths are in.
    """

    bars: dict[CloudKey, list[np.ndarray]]
    run: str
    content: str
    ground: Ground = EUCLIDEAN


def write_diagrams(
    file: Path,
    diagrams: Mapping[CloudKey, Sequence[np.ndarray]],
    run: str,
    ground: Ground = EUCLIDEAN,
) -> str:
    """Write the diagrams of clouds, (m, 2) by dimension, in the order given; return their id.

    The same diagrams give the same bytes.
    """
    pieces = [
        (key, dim, bars) for key, by_dim in diagrams.items() for dim, bars in enumerate(by_dim)
    ]
    counts = [len(bars) for _, _, bars in pieces]
    birth, death = np.concatenate([bars for _, _, bars in pieces]).T
    table = pd.DataFrame(
        {
            **{
                column: np.repeat([getattr(key, column) for key, _, _ in pieces], counts)
                for column in ("group", "noise", "draw", "part")
            },
            "dim": np.repeat([dim for _, dim, _ in pieces], counts),
            "birth": birth,
            "death": death,
        }
    )
    max_dim = max(dim for _, dim, _ in pieces)
    about = {"run": run, "max_dim": str(max_dim), **ground.about}
    return write_parquet(file, table, DIAGRAMS, about)


def read_diagrams(file: Path) -> Diagrams:
    """The diagrams of every cloud, in each dimension up to the highest that was computed.

    Raises StudyError for a missing or damaged file, a NaN, or a death before its birth.
    """
    frame, about = read_parquet(file, DIAGRAMS, "persistence")
    wrong = frame[frame["death"] < frame["birth"]]
    if len(wrong):
        row = wrong.iloc[0]
        raise StudyError(
            f"{file}: bar from {row['birth']:g} to {row['death']:g} in H{row['dim']} of "
            f"{row['group']} at noise {row['noise']:.2f}; {make_again('persistence')}"
        )
    bars: dict[CloudKey, list[np.ndarray]] = {}
    for (group, noise, draw, part, dim), rows in frame.groupby(
        ["group", "noise", "draw", "part", "dim"], sort=False
    ):
        key = CloudKey(group, float(noise), int(draw), part)
        by_dim = bars.setdefault(key, [np.empty((0, 2))] * (int(about["max_dim"]) + 1))
        by_dim[dim] = rows[["birth", "death"]].to_numpy()
    ground = read_ground(about, file, "persistence")
    return Diagrams(bars, about["run"], about["content"], ground)


def write_members(file: Path, members: dict[str, dict[str, list[str]]], content: str) -> None:
    """Write which images each cloud is of: {group: {part: ids}}; content: the diagrams' id."""
    rows = [
        (group, part, image_id)
        for group, parts in members.items()
        for part, ids in parts.items()
        for image_id in ids
    ]
    table = pd.DataFrame(rows, columns=CLOUDS.names)
    write_parquet(file, table, CLOUDS, {"diagrams": content})


def read_members(file: Path, diagrams: Diagrams) -> pd.DataFrame:
    """Which images each cloud is of: group, part, id.

    Raises StudyError where the file is missing, damaged, or beside other diagrams than `diagrams`.
    """
    table, about = read_parquet(file, CLOUDS, "persistence")
    require_same(about["diagrams"], diagrams.content, file, "the diagrams", "persistence")
    return table
