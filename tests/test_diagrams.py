"""The diagrams artifact: what is written is read again, and what is damaged is refused."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.core.artifacts.diagrams import ALL, HALF_B, CloudKey, read_diagrams, write_diagrams
from stages.core.runtime.errors import StudyError
from stages.core.topology.bars import NO_BARS


def test_diagrams_survive_the_file(tmp_path: Path) -> None:
    file = tmp_path / "diagrams.parquet"
    diagrams = {
        CloudKey("zigzagged", 0.5, 1): [np.array([[0, 1.5], [0, np.inf]]), np.array([[1, 2.0]])],
        CloudKey(ALL, 0.0, part=HALF_B): [np.array([[0, np.inf]]), NO_BARS],
    }
    write_diagrams(file, diagrams, "a run")
    found = read_diagrams(file).bars
    assert list(found) == list(diagrams)
    for key, by_dim in diagrams.items():
        for bars, same in zip(by_dim, found[key], strict=True):
            np.testing.assert_array_equal(bars, same)
    assert pq.read_table(file).column_names == [
        "group",
        "noise",
        "draw",
        "part",
        "dim",
        "birth",
        "death",
    ]


def test_a_dimension_without_any_bar_survives_the_file(tmp_path: Path) -> None:
    """That there are no loops is not that none were looked for."""
    for max_dim in (0, 1, 2):
        by_dim = [np.array([[0, np.inf]]), NO_BARS, NO_BARS][: max_dim + 1]
        write_diagrams(tmp_path / "diagrams.parquet", {CloudKey("grid", 0.5): by_dim}, "a run")
        found = read_diagrams(tmp_path / "diagrams.parquet").bars
        assert [len(bars) for bars in found[CloudKey("grid", 0.5)]] == [1, 0, 0][: max_dim + 1]


def test_missing_and_damaged_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "diagrams.parquet"
    with pytest.raises(StudyError, match=r"diagrams.parquet: not found; run 'dvc repro pers"):
        read_diagrams(file).bars
    file.write_bytes(b"not a table")
    with pytest.raises(StudyError, match=r"diagrams.parquet: damaged \(.*; run"):
        read_diagrams(file).bars
    pq.write_table(pa.table({"group": ["a"], "birth": [0.0]}), file)
    with pytest.raises(StudyError, match="no column noise, but 'group, birth'; run"):
        read_diagrams(file).bars


@pytest.mark.parametrize(
    ("bar", "message"),
    [
        ([np.nan, 1.0], "row 2: birth is missing"),
        ([0.0, np.nan], "row 2: death is missing"),
        ([2.0, 1.0], "bar from 2 to 1 in H1 of grid at noise 0.50"),
        ([np.inf, np.inf], "row 2: birth is inf, not a finite number from 0"),
        ([-1.0, 1.0], "row 2: birth is -1.0, not a finite number from 0"),
    ],
)
def test_damaged_bars_are_refused(tmp_path: Path, bar: list[float], message: str) -> None:
    file = tmp_path / "diagrams.parquet"
    bars = {CloudKey("grid", 0.5): [np.array([[0, 1.0]]), np.array([bar])]}
    write_diagrams(file, bars, "a run")
    with pytest.raises(StudyError, match=rf"{message}.*; run 'dvc repro --force"):
        read_diagrams(file).bars
