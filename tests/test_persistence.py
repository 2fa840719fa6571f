"""The persistence stage: diagrams, summaries and metrics, and the pictures drawn from them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

import stages.core.figures.persistence
import stages.core.runtime.parallel
import stages.core.topology.cost
from stages.core.artifacts.diagrams import ALL, HALF_A, WHOLE, CloudKey, read_diagrams
from stages.core.artifacts.embeddings import array_name, read_embeddings, write_manifest
from stages.core.artifacts.tables import read_parquet, write_parquet
from stages.core.claims.bars import TABLES
from stages.core.figures.persistence import drawn_bars, spread_classes
from stages.core.topology.bars import NO_BARS, finite_bars
from stages.core.topology.rips import distance_matrix, persistence_diagrams
from stages.core.topology.summaries import SUMMARIES
from stages.draw import draw
from stages.persistence import persistence
from tests.conftest import ROUNDING, write_embeddings

ROOT = Path(__file__).parents[1]
CLASSES = ["banded", "dotted", "grid", "striped"]


@pytest.fixture
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no worker processes, which takes most of the time."""
    monkeypatch.setattr(stages.core.runtime.parallel, "available_cores", lambda: 1)


def run(embeddings: Path, out: Path, *options: str) -> Result:
    paths = {
        "--embeddings": embeddings,
        "--diagrams": out / "diagrams",
        "--metrics": out / "persistence.json",
    }
    flags = [str(part) for pair in paths.items() for part in pair]
    return CliRunner().invoke(
        persistence, ["--params", str(ROOT / "params.yaml"), *flags, *options]
    )


def contents(folder: Path) -> dict[str, bytes]:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


# The stage


def test_stage_writes_diagrams_and_summaries(planted: Path, tmp_path: Path, one_core: None) -> None:
    result = run(planted, tmp_path, "--points-overall", "20")
    assert result.exit_code == 0, result.output
    assert "4 classes and 20 images across all, at 3 noise levels" in result.output
    assert sorted(contents(tmp_path / "diagrams")) == [
        "clouds.parquet",
        "diagrams.parquet",
        "summaries.parquet",
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

    file = tmp_path / "diagrams" / "summaries.parquet"
    table, about = read_parquet(file, SUMMARIES, "persistence")
    assert about["run"] == artifact.run
    assert len(table) == 5 * 5 * 2
    row = table.query("group == 'grid' and noise == 2 and draw == 1 and dim == 0").iloc[0]
    assert (row["bars"], row["essential"]) == (11, 1)
    deaths = finite_bars(expected[0])[:, 1]
    assert row["mean_death"] == deaths.mean()

    metrics = json.loads((tmp_path / "persistence.json").read_text())
    assert metrics["classes"] == 4
    assert metrics["points_overall"] == 20
    assert metrics["essential_bars_at_most"] == {"h0": 1, "h1": 0}
    clean, noisy = (
        metrics[level]["class_mean"]["h0"]["mean_death"] for level in ("noise_0.00", "noise_2.00")
    )
    assert noisy > 2 * clean  # noise spreads the planted classes
    assert metrics["noise_0.50"]["all"]["h0"]["bars"] == 19


def test_same_bytes_twice_and_with_any_worker_count(
    planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = []
    for name, cores in (("one", 1), ("again", 1), ("two", 2)):
        monkeypatch.setattr(
            stages.core.runtime.parallel, "available_cores", lambda cores=cores: cores
        )
        assert run(planted, tmp_path / name, "--points-overall", "16").exit_code == 0
        outputs.append(contents(tmp_path / name))
    assert len(outputs[0]) == 4
    assert outputs[0] == outputs[1] == outputs[2]


@pytest.mark.usefixtures("one_core")
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
        (tmp_path / "diagrams").mkdir()
        (tmp_path / "diagrams" / "earlier.txt").write_text("earlier")
        message = self.refused(planted, tmp_path, "--memory-gib", "1e-5")
        assert "persistence.memory_gib: H1 of all at noise" in message
        assert "(48 points)" in message
        assert "1e-05 are allowed" in message
        assert "lower persistence.points_overall to" in message
        assert "or persistence.max_dim" in message

    def test_too_much_time(
        self, planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(stages.core.topology.cost, "SMALLEST_SAMPLE", 6)
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


def test_a_mean_that_no_diagram_has_is_left_out_of_the_metrics(tmp_path: Path) -> None:
    """Classes of three images have no loops."""
    points = np.random.default_rng(0).standard_normal((6, 4))
    folder = write_embeddings(
        tmp_path / "embeddings", {(0.0, 0): points}, ["a"] * 3 + ["b"] * 3, np.eye(2, 4)
    )
    assert run(folder, tmp_path).exit_code == 0
    metrics = json.loads((tmp_path / "persistence.json").read_text())
    loops = {"bars": 0, "max_persistence": 0, "entropy": 0}
    assert metrics["noise_0.00"]["class_mean"]["h1"] == loops


# The pictures


def given_to_draw(embeddings: Path, diagrams: Path, out: Path, run: str | None = None) -> list[str]:
    """Arguments of `draw`, after writing a table of bars of null clouds, of a run of embeddings."""
    bars = pd.DataFrame(columns=TABLES["bars"].names)
    about = {"run": run or read_embeddings(embeddings).run, "confidence": "0.95"}
    write_parquet(out / "claims" / "bars.parquet", bars, TABLES["bars"], about)
    given = ["--data", diagrams, "--beside", out / "claims"]
    given += ["--embeddings", embeddings, "--plots", out / "drawn"]
    return ["persistence", *map(str, given)]


def test_pictures_are_drawn_from_what_was_computed(
    planted: Path, tmp_path: Path, one_core: None
) -> None:
    assert run(planted, tmp_path, "--points-overall", "20").exit_code == 0
    done = CliRunner().invoke(draw, given_to_draw(planted, tmp_path / "diagrams", tmp_path))
    assert done.exit_code == 0, done.output
    folder = tmp_path / "drawn" / "persistence"
    pictures = {"diagrams_clean.png", "diagrams_noisiest.png", "summaries.png"}
    assert {"diagrams.csv", *pictures} == set(contents(folder))
    drawn = pd.read_csv(folder / "diagrams.csv")
    found = read_diagrams(tmp_path / "diagrams" / "diagrams.parquet").bars
    for (level, dim), bars in drawn.groupby(["noise", "dim"]):
        expected = finite_bars(found[CloudKey(ALL, level)][dim])
        assert sorted(bars["death"]) == pytest.approx(sorted(expected[:, 1]), rel=ROUNDING)


def test_pictures_of_summaries_of_other_diagrams_are_refused(
    planted: Path, tmp_path: Path, one_core: None
) -> None:
    for name, seed in (("one", "0"), ("other", "1")):
        options = ["--points-overall", "8", "--seed", seed]
        assert run(planted, tmp_path / name, *options).exit_code == 0
    file = tmp_path / "one" / "diagrams" / "summaries.parquet"
    (tmp_path / "other" / "diagrams" / "summaries.parquet").replace(file)
    done = CliRunner().invoke(draw, given_to_draw(planted, file.parent, tmp_path))
    assert done.exit_code == 1
    assert f"{file}: of another run than the diagrams; run 'dvc repro persistence'" in done.output


def test_null_clouds_of_other_embeddings_are_refused(
    planted: Path, tmp_path: Path, one_core: None
) -> None:
    assert run(planted, tmp_path, "--points-overall", "20").exit_code == 0
    given = given_to_draw(planted, tmp_path / "diagrams", tmp_path, run="another")
    done = CliRunner().invoke(draw, given)
    assert done.exit_code == 1
    file = tmp_path / "claims" / "bars.parquet"
    assert f"{file}: of another run than the diagrams; run 'dvc repro claims'" in done.output


def test_drawn_classes_span_the_range_in_their_order() -> None:
    summaries = pd.DataFrame(
        {
            "group": [*"abcde", ALL],
            "noise": 0.0,
            "dim": 1,
            "total_persistence": [3.0, 1, 5, 2, 4, 99],
        }
    )
    assert spread_classes(summaries, 3) == ["a", "b", "c"]
    assert spread_classes(summaries, 2) == ["b", "c"]
    assert spread_classes(summaries, 9) == [*"abcde"]


def test_drawn_bars_are_some_of_each_noise_and_dim_and_the_longest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stages.core.figures.persistence, "DRAWN_BARS", 3)
    deaths = np.arange(1.0, 11.0)
    many = np.column_stack([np.zeros(10), deaths])
    found = {
        CloudKey(ALL, 0.0): [np.vstack([many, [0, np.inf]]), np.array([[1, 2.0]])],
        CloudKey(ALL, 0.5): [many, NO_BARS],
        CloudKey(ALL, 0.5, draw=1): [100 + many, NO_BARS],
        CloudKey(ALL, 0.5, part=HALF_A): [100 + many, NO_BARS],
        CloudKey("grid", 0.5): [100 + many, NO_BARS],
    }
    table = drawn_bars(found)
    assert table.groupby(["noise", "dim"]).size().to_dict() == {(0, 0): 3, (0, 1): 1, (0.5, 0): 3}
    for _, bars in table[table["dim"] == 0].groupby("noise"):
        assert set(bars["death"]) < set(deaths)
        assert bars["death"].max() == 10
    pd.testing.assert_frame_equal(table, drawn_bars(found))
