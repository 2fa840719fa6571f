"""Summaries of diagrams, by hand."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from persim.persistent_entropy import persistent_entropy

from stages.core.artifacts.diagrams import ALL, HALF_A, CloudKey
from stages.core.artifacts.tables import read_parquet, write_parquet
from stages.core.runtime.errors import StudyError
from stages.core.topology.bars import NO_BARS
from stages.core.topology.rips import distance_matrix, persistence_diagrams
from stages.core.topology.summaries import SUMMARIES, summaries_table, summarise


def test_summary_by_hand() -> None:
    summary = summarise(np.array([[0, 1], [0, 3], [1, 5], [2, 2], [0, np.inf]]))
    assert (summary.bars, summary.essential) == (3, 1)
    assert summary.total_persistence == 1 + 3 + 4
    assert summary.max_persistence == 4
    assert summary.mean_birth == pytest.approx(1 / 3)
    assert summary.mean_death == 3
    shares = [1 / 8, 3 / 8, 1 / 2]
    assert summary.entropy == pytest.approx(-sum(p * math.log(p) for p in shares))


def test_entropy_of_equal_bars_is_the_logarithm_of_their_number() -> None:
    assert summarise(np.array([[0, 1], [1, 2], [5, 6]])).entropy == pytest.approx(math.log(3))
    assert summarise(np.array([[0, 1]])).entropy == 0.0


def test_entropy_is_that_of_persim() -> None:
    cloud = np.random.default_rng(0).standard_normal((40, 4))
    bars = persistence_diagrams(distance_matrix(cloud), 1)[1]
    assert summarise(bars).entropy == pytest.approx(persistent_entropy(bars)[0])


def test_summary_of_no_bars() -> None:
    summary = summarise(NO_BARS)
    assert (summary.bars, summary.essential, summary.entropy) == (0, 0, 0.0)
    assert (summary.total_persistence, summary.max_persistence) == (0.0, 0.0)
    assert math.isnan(summary.mean_birth)
    assert math.isnan(summary.mean_death)


def test_summary_of_a_damaged_diagram_is_refused() -> None:
    with pytest.raises(StudyError, match="NaN"):
        summarise(np.array([[0, np.nan]]))


def test_a_table_has_a_row_per_whole_cloud_and_dimension_and_survives_its_file(
    tmp_path: Path,
) -> None:
    found = {
        CloudKey("a", 0.0): [np.array([[0, 1], [0, np.inf]]), NO_BARS],
        CloudKey("a", 0.0, part=HALF_A): [np.array([[0, np.inf]]), NO_BARS],
        CloudKey(ALL, 0.5, 1): [np.array([[0, 3], [0, np.inf]]), np.array([[1, 2]])],
    }
    table = summaries_table(found)
    counted = table[["group", "noise", "draw", "dim", "bars", "essential"]]
    assert counted.to_numpy().tolist() == [
        ["a", 0.0, 0, 0, 1, 1],
        ["a", 0.0, 0, 1, 0, 0],
        [ALL, 0.5, 1, 0, 1, 1],
        [ALL, 0.5, 1, 1, 1, 0],
    ]
    assert table["mean_death"].isna().tolist() == [False, True, False, False]
    write_parquet(tmp_path / "summaries.parquet", table, SUMMARIES, {})
    read = read_parquet(tmp_path / "summaries.parquet", SUMMARIES, "persistence").rows
    pd.testing.assert_frame_equal(read, table)
