"""The persistence stage and the diagrams artifact."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from matplotlib import pyplot as plt

import stages.core.runtime.parallel
import stages.persistence
from stages.core.artifacts.diagrams import (
    ALL,
    HALF_A,
    HALF_B,
    WHOLE,
    CloudKey,
    read_diagrams,
    write_diagrams,
)
from stages.core.artifacts.embeddings import array_name, read_embeddings, write_manifest
from stages.core.runtime.errors import StudyError
from stages.core.runtime.params import read_params
from stages.core.topology.rips import (
    NO_BARS,
    Cost,
    distance_matrix,
    finite_bars,
    persistence_diagrams,
)
from stages.persistence import (
    Cloud,
    PersistenceParams,
    choose_images,
    drawn_bars,
    headline,
    list_clouds,
    persistence,
    require_affordable,
    spread_classes,
    stratified_halves,
    stratified_sample,
    summaries_table,
)
from tests.conftest import write_embeddings

ROOT = Path(__file__).parents[1]
CLASSES = ["banded", "dotted", "grid", "striped"]


@pytest.fixture
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no worker processes, which takes most of the time."""
    for module in (stages.core.runtime.parallel, stages.persistence):
        monkeypatch.setattr(module, "available_cores", lambda: 1)


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages.persistence, "save_figure", lambda figure, path: plt.close(figure))


def run(embeddings: Path, out: Path, *options: str) -> Result:
    paths = {
        "--embeddings": embeddings,
        "--diagrams": out / "diagrams",
        "--metrics": out / "persistence.json",
        "--plots": out / "plots",
    }
    flags = [str(part) for pair in paths.items() for part in pair]
    return CliRunner().invoke(
        persistence, ["--params", str(ROOT / "params.yaml"), *flags, *options]
    )


def params(**changes: object) -> PersistenceParams:
    return read_params(PersistenceParams, ROOT / "params.yaml", changes)


def contents(folder: Path) -> dict[str, bytes]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


# The stage


def test_stage_writes_diagrams_summaries_and_pictures(
    planted: Path, tmp_path: Path, one_core: None
) -> None:
    result = run(planted, tmp_path, "--points-overall", "20")
    assert result.exit_code == 0, result.output
    assert "4 classes and 20 images across all, at 3 noise levels" in result.output
    assert sorted(contents(tmp_path / "plots")) == [
        "diagrams.csv",
        "diagrams_all.png",
        "diagrams_classes.png",
        "summaries.csv",
        "summaries.png",
    ]

    found = read_diagrams(tmp_path / "diagrams" / "diagrams.parquet").bars
    # 5 groups: 1 + 2 x 2 whole clouds, and 2 halves at 3 levels.
    assert len(found) == 5 * (5 + 6)
    assert list(dict.fromkeys(key.group for key in found)) == [*CLASSES, ALL]
    for key, (components, loops) in found.items():
        points = (20 if key.group == ALL else 12) // (1 if key.part == WHOLE else 2)
        assert len(components) == points
        assert components[-1].tolist() == [0, np.inf]
        assert np.isfinite(loops).all()
        assert key.part == WHOLE or key.draw == 0

    artifact = read_embeddings(planted)
    cloud = artifact.array(2.0, 1)[artifact.rows("grid")]
    expected = persistence_diagrams(distance_matrix(cloud), 1)
    for bars, right in zip(found[CloudKey("grid", 2.0, 1)], expected, strict=True):
        np.testing.assert_array_equal(bars, right)

    table = pd.read_csv(tmp_path / "plots" / "summaries.csv")
    assert len(table) == 5 * 5 * 2
    row = table.query("group == 'grid' and noise == 2 and draw == 1 and dim == 0").iloc[0]
    assert (row["bars"], row["essential"]) == (11, 1)
    deaths = finite_bars(expected[0])[:, 1]
    assert row["mean_death"] == pytest.approx(deaths.mean(), rel=1e-5)

    metrics = json.loads((tmp_path / "persistence.json").read_text())
    assert metrics["classes"] == 4
    assert metrics["points_overall"] == 20
    assert metrics["essential_bars_at_most"] == {"h0": 1, "h1": 0}
    clean, noisy = (
        metrics[level]["class_mean"]["h0"]["mean_death"] for level in ("noise_0.00", "noise_2.00")
    )
    assert noisy > 2 * clean  # noise spreads the planted classes
    assert metrics["noise_0.50"]["all"]["h0"]["bars"] == 19


@pytest.mark.usefixtures("no_pictures")
def test_same_bytes_twice_and_with_any_worker_count(
    planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = []
    for name, cores in (("one", 1), ("again", 1), ("two", 2)):
        for module in (stages.core.runtime.parallel, stages.persistence):
            monkeypatch.setattr(module, "available_cores", lambda cores=cores: cores)
        assert run(planted, tmp_path / name, "--points-overall", "16").exit_code == 0
        outputs.append(contents(tmp_path / name))
    assert len(outputs[0]) == 5
    assert outputs[0] == outputs[1] == outputs[2]


@pytest.mark.usefixtures("one_core", "no_pictures")
class TestSettings:
    def test_engines_give_the_same_bars(self, planted: Path, tmp_path: Path) -> None:
        found = {}
        for engine in ("gudhi", "ripser"):
            assert run(planted, tmp_path / engine, "--engine", engine).exit_code == 0
            found[engine] = read_diagrams(tmp_path / engine / "diagrams" / "diagrams.parquet").bars
        assert list(found["gudhi"]) == list(found["ripser"])
        for a, b in zip(found["gudhi"].values(), found["ripser"].values(), strict=True):
            for bars, same in zip(a, b, strict=True):
                np.testing.assert_allclose(bars, same, rtol=6e-8)

    @pytest.mark.parametrize("max_dim", [0, 2])
    def test_highest_dimension(self, planted: Path, tmp_path: Path, max_dim: int) -> None:
        assert run(planted, tmp_path, "--max-dim", str(max_dim)).exit_code == 0
        found = read_diagrams(tmp_path / "diagrams" / "diagrams.parquet").bars
        assert {len(by_dim) for by_dim in found.values()} == {max_dim + 1}

    def test_landmarks_and_seed(self, planted: Path, tmp_path: Path) -> None:
        options = ["--points-per-class", "5", "--points-overall", "8"]
        for seed in ("0", "1"):
            assert run(planted, tmp_path / seed, *options, "--seed", seed).exit_code == 0
        one, other = (
            read_diagrams(tmp_path / seed / "diagrams" / "diagrams.parquet").bars for seed in "01"
        )
        assert len(one[CloudKey("grid", 0.5)][0]) == 5
        assert len(one[CloudKey("grid", 0.5, part=HALF_A)][0]) == 2
        assert not np.array_equal(one[CloudKey(ALL, 0.5)][0], other[CloudKey(ALL, 0.5)][0])

    def test_class_of_three_images(self, tmp_path: Path) -> None:
        points = np.random.default_rng(0).standard_normal((6, 4))
        folder = write_embeddings(
            tmp_path / "embeddings", {(0.0, 0): points}, ["a"] * 3 + ["b"] * 3, np.eye(2, 4)
        )
        result = run(folder, tmp_path)
        assert result.exit_code == 0, result.output


@pytest.mark.usefixtures("one_core")
class TestRefusals:
    def refused(self, embeddings: Path, out: Path, *options: str) -> str:
        """The message of a run that fails, after one that did not; earlier outputs stay."""
        before = contents(out)
        result = run(embeddings, out, *options)
        assert result.exit_code == 1
        assert isinstance(result.exception, SystemExit)  # no traceback
        assert contents(out) == before
        return result.output

    def test_too_much_memory(self, planted: Path, tmp_path: Path) -> None:
        (tmp_path / "plots").mkdir()
        (tmp_path / "plots" / "earlier.txt").write_text("earlier")
        message = self.refused(planted, tmp_path, "--memory-gib", "1e-5")
        assert "persistence.memory_gib: H1 of all at noise" in message
        assert "(48 points)" in message
        assert "1e-05 are allowed" in message
        assert "lower persistence.points_overall to" in message
        assert "or persistence.max_dim" in message

    def test_too_much_time(self, planted: Path, tmp_path: Path) -> None:
        message = self.refused(planted, tmp_path, "--minutes", "1e-6", "--max-dim", "2")
        assert "persistence.minutes: the diagrams would take about" in message
        assert "lower persistence.points_" in message

    def test_class_named_all(self, tmp_path: Path) -> None:
        points = np.random.default_rng(0).standard_normal((8, 4))
        folder = write_embeddings(
            tmp_path / "embeddings", {(0.0, 0): points}, ["all"] * 4 + ["b"] * 4, np.eye(2, 4)
        )
        assert "a class is named 'all'" in self.refused(folder, tmp_path)

    def test_embedding_that_is_not_finite(self, planted: Path, tmp_path: Path) -> None:
        file = planted / array_name(2.0, 1)
        array = np.load(file)
        array[5] = np.nan
        np.save(file, array)
        write_manifest(planted)
        message = self.refused(planted, tmp_path)
        assert array_name(2.0, 1) in message
        assert "norm nan" in message

    def test_no_embeddings(self, tmp_path: Path) -> None:
        message = self.refused(tmp_path / "nothing", tmp_path)
        assert "nothing/images.csv: not found; run 'dvc repro embed'" in message

    def test_too_few_points(self, planted: Path, tmp_path: Path) -> None:
        message = self.refused(planted, tmp_path, "--points-overall", "3")
        assert (
            "persistence.points_overall: 3: input should be greater than or equal to 4" in message
        )


# What it is made of


def test_sample_takes_as_many_of_each_class() -> None:
    labels = np.repeat([0, 1, 2], [30, 30, 4])
    rows = stratified_sample(labels, 12, np.random.default_rng(0))
    assert np.bincount(labels[rows]).tolist() == [4, 4, 4]
    assert (np.diff(rows) > 0).all()
    rows = stratified_sample(labels, 40, np.random.default_rng(0))
    assert np.bincount(labels[rows]).tolist() == [18, 18, 4]
    assert stratified_sample(labels, 99, np.random.default_rng(0)).tolist() == list(range(64))


@pytest.mark.parametrize("sizes", [(12, 12), (7, 4), (3,), (1,)])
def test_halves_are_disjoint_and_of_one_size(sizes: tuple[int, ...]) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    rows = np.arange(100, 100 + len(labels))
    halves = stratified_halves(rows, labels, np.random.default_rng(0))
    a, b = halves[HALF_A], halves[HALF_B]
    assert len(a) == len(b) == len(rows) // 2
    assert not set(a) & set(b)
    assert set(a) | set(b) <= set(rows)
    counts = [np.bincount(labels[half - 100], minlength=len(sizes)) for half in (a, b)]
    assert np.abs(counts[0] - counts[1]).max() <= 1


def test_images_of_a_group_are_the_same_at_every_level(planted: Path) -> None:
    artifact = read_embeddings(planted)
    groups = choose_images(artifact, params(points_per_class=6, points_overall=10))
    clouds = list_clouds(artifact, groups)
    for group, parts in groups.items():
        for part, rows in parts.items():
            same = [c.rows for c in clouds if (c.key.group, c.key.part) == (group, part)]
            assert len(same) == (5 if part == WHOLE else 3)
            assert all(np.array_equal(rows, other) for other in same)
    cloud = next(c for c in clouds if c.key == CloudKey("dotted", 0.5, 1))
    np.testing.assert_array_equal(cloud.points(), artifact.array(0.5, 1)[groups["dotted"][WHOLE]])


def clouds_of_sizes(*sizes: int) -> list[Cloud]:
    groups = ["grid", ALL]
    return [
        Cloud(CloudKey(group, 0.5), Path("none"), np.arange(size))
        for group, size in zip(groups, sizes, strict=False)
    ]


def test_workers_share_the_memory() -> None:
    clouds = clouds_of_sizes(100, 200)
    costs = [Cost(1.0, 2**30, 3.0), Cost(1.0, 1.5 * 2**30, 3.0)]
    assert require_affordable(clouds, costs, params(memory_gib=4), 8) == 2
    assert require_affordable(clouds, costs, params(memory_gib=40), 8) == 8
    assert require_affordable(clouds, costs, params(memory_gib=1.6), 8) == 1


def test_refusal_names_the_cloud_the_estimate_and_the_mend() -> None:
    clouds = clouds_of_sizes(100, 200)
    heavy = [Cost(1.0, 16 * 2**30, 2.0), Cost(1.0, 2**30, 2.0)]
    with pytest.raises(
        StudyError,
        match=r"H1 of grid at noise 0.50 \(100 points\) would need about 16 GiB, 4 are allowed; "
        r"lower persistence.points_per_class to 45 or persistence.max_dim",
    ):
        require_affordable(clouds, heavy, params(memory_gib=4), 2)
    slow = [Cost(600.0, 1.0, 3.0), Cost(4200.0, 1.0, 3.0)]
    with pytest.raises(
        StudyError,
        match=r"take about 40 minutes, 2 at a time, 5 are allowed, the longest H1 of all at noise "
        r"0.50 \(200 points\) with 70; lower persistence.points_overall to 90 ",
    ):
        require_affordable(clouds, slow, params(minutes=5), 2)
    assert require_affordable(clouds, slow, params(minutes=41), 2) == 2


def test_diagrams_without_bars_have_no_mean() -> None:
    found = {
        CloudKey("a", 0.0): [np.array([[0, 1], [0, np.inf]]), NO_BARS],
        CloudKey("a", 0.0, part=HALF_A): [np.array([[0, np.inf]]), NO_BARS],
        CloudKey(ALL, 0.0): [np.array([[0, 3], [0, np.inf]]), np.array([[1, 2]])],
    }
    summaries = summaries_table(found)
    assert summaries[["group", "dim", "bars", "essential"]].to_numpy().tolist() == [
        ["a", 0, 1, 1],
        ["a", 1, 0, 0],
        [ALL, 0, 1, 1],
        [ALL, 1, 1, 0],
    ]
    metrics = headline(summaries, {"a": {}, ALL: {WHOLE: np.arange(2)}})
    assert metrics["noise_0.00"]["class_mean"]["h1"] == {
        "bars": 0,
        "max_persistence": 0,
        "entropy": 0,
    }
    assert metrics["noise_0.00"]["all"]["h0"]["mean_death"] == 3


def test_drawn_classes_span_the_range() -> None:
    summaries = pd.DataFrame(
        {
            "group": [*"abcde", ALL],
            "noise": 0.0,
            "dim": 1,
            "total_persistence": [3.0, 1, 5, 2, 4, 99],
        }
    )
    assert spread_classes(summaries, 3) == ["b", "a", "c"]
    assert spread_classes(summaries, 9) == ["b", "d", "a", "e", "c"]


def test_drawn_bars_are_some_of_each_noise_and_dim_and_the_longest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stages.persistence, "DRAWN_BARS", 3)
    deaths = np.arange(1.0, 11.0)
    many = np.column_stack([np.zeros(10), deaths])
    found = {
        CloudKey(ALL, 0.0): [np.vstack([many, [0, np.inf]]), np.array([[1, 2.0]])],
        CloudKey(ALL, 0.5): [many, NO_BARS],
        CloudKey(ALL, 0.5, draw=1): [100 + many, NO_BARS],
        CloudKey(ALL, 0.5, part=HALF_A): [100 + many, NO_BARS],
        CloudKey("grid", 0.5): [100 + many, NO_BARS],
    }
    table = drawn_bars(found, seed=0)
    assert table.groupby(["noise", "dim"]).size().to_dict() == {(0, 0): 3, (0, 1): 1, (0.5, 0): 3}
    for _, bars in table[table["dim"] == 0].groupby("noise"):
        assert set(bars["death"]) < set(deaths)
        assert bars["death"].max() == 10
    assert len({tuple(drawn_bars(found, seed)["death"]) for seed in range(5)}) > 1
    pd.testing.assert_frame_equal(table, drawn_bars(found, seed=0))


# The artifact


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
