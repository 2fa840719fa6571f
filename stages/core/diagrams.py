"""The diagrams artifact: what `persistence` writes and `distances` reads.

One long table, a row per bar: group (a class, or `all`), noise, draw, part, dim, birth, death.
`part` is `whole`, or `half_a` or `half_b` of the group's images. Essential bars have death = inf.
A cloud without bars in a dimension has no rows there; in dimension 0 every cloud has one.
Beside it clouds.csv names the images: a row per group, part and id, the same at every level.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from stages.core.checks import SAMPLE_OF_ALL
from stages.core.errors import StudyError
from stages.core.files import whole_file, write_csv
from stages.core.homology import NO_BARS

ALL = SAMPLE_OF_ALL  # the group of the sample across all classes
WHOLE, HALF_A, HALF_B = PARTS = ("whole", "half_a", "half_b")

# Comparisons of diagrams by `distances`, and the yardstick of each.
YARDSTICKS = {"clean_noisy": "noisy_noisy", "half_clean_noisy": "half_clean_clean"}

SCHEMA = pa.schema(
    [
        ("group", pa.string()),
        ("noise", pa.float64()),
        ("draw", pa.int64()),
        ("part", pa.string()),
        ("dim", pa.int64()),
        ("birth", pa.float64()),
        ("death", pa.float64()),
    ]
)


@dataclass(frozen=True, order=True)
class CloudKey:
    """Which cloud a diagram is of."""

    group: str
    noise: float
    draw: int = 0
    part: str = WHOLE


def write_diagrams(file: Path, diagrams: Iterable[tuple[CloudKey, list[np.ndarray]]]) -> None:
    """Write diagrams, each a list of (m, 2) by dimension, in the order given.

    The same diagrams give the same bytes.
    """
    tables = [
        pa.table(
            {
                "group": [key.group] * len(bars),
                "noise": np.full(len(bars), key.noise),
                "draw": np.full(len(bars), key.draw),
                "part": [key.part] * len(bars),
                "dim": np.full(len(bars), dim),
                "birth": bars[:, 0],
                "death": bars[:, 1],
            },
            schema=SCHEMA,
        )
        for key, by_dim in diagrams
        for dim, bars in enumerate(by_dim)
    ]
    with whole_file(file) as unfinished:
        pq.write_table(pa.concat_tables(tables).combine_chunks(), unfinished, compression="zstd")


def read_diagrams(file: Path) -> dict[CloudKey, list[np.ndarray]]:
    """{cloud: its diagrams, (m, 2) by dimension}, in the order of the file.

    Every cloud has as many dimensions as the one with most. Raises StudyError for a missing or
    damaged file, a NaN, or a death before its birth.
    """
    try:
        table = pq.read_table(file)
    except FileNotFoundError:
        raise StudyError(f"{file}: not found; run 'dvc repro persistence'") from None
    except (pa.ArrowInvalid, OSError) as error:
        reason = " ".join(str(error).split())
        raise StudyError(f"{file}: damaged ({reason}); run 'dvc repro -f persistence'") from None
    missing = [name for name in SCHEMA.names if name not in table.column_names]
    if missing:
        raise StudyError(
            f"{file}: no column {missing[0]}; have {', '.join(table.column_names)}; "
            "run 'dvc repro -f persistence'"
        )
    frame = table.select(SCHEMA.names).to_pandas()
    wrong = frame[~((frame["death"] >= frame["birth"]) & np.isfinite(frame["birth"]))]
    if len(wrong):
        row = wrong.iloc[0]
        raise StudyError(
            f"{file}: bar from {row['birth']:g} to {row['death']:g} in H{row['dim']} of "
            f"{row['group']} at noise {row['noise']:.2f}; run 'dvc repro -f persistence'"
        )
    dims = int(frame["dim"].max()) + 1 if len(frame) else 0
    diagrams: dict[CloudKey, list[np.ndarray]] = {}
    for (group, noise, draw, part, dim), bars in frame.groupby(
        ["group", "noise", "draw", "part", "dim"], sort=False
    ):
        key = CloudKey(group, float(noise), int(draw), part)
        by_dim = diagrams.setdefault(key, [NO_BARS] * dims)
        by_dim[dim] = bars[["birth", "death"]].to_numpy()
    return diagrams


def write_members(file: Path, members: dict[str, dict[str, list[str]]]) -> None:
    """Write which images each cloud is of: {group: {part: ids}}."""
    rows = [
        (group, part, name)
        for group, parts in members.items()
        for part, names in parts.items()
        for name in names
    ]
    write_csv(file, pd.DataFrame(rows, columns=["group", "part", "id"]))


def read_members(file: Path) -> pd.DataFrame:
    """Which images each cloud is of: group, part, id; raises StudyError where it is missing."""
    if not file.exists():
        raise StudyError(f"{file}: not found; run 'dvc repro persistence'")
    return pd.read_csv(file, dtype=str, keep_default_na=False)
