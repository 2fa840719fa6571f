"""The distances stage on diagrams whose distances are known."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import vl_convert
from click.testing import CliRunner, Result

import stages.core.runtime.parallel
import stages.persistence
from stages.core.artifacts.diagrams import (
    ALL,
    BASELINES,
    COMPARISONS,
    DISTANCES,
    HALF_A,
    HALF_B,
    CloudKey,
    read_diagrams,
    write_diagrams,
)
from stages.core.artifacts.embeddings import read_embeddings
from stages.core.artifacts.tables import read_parquet
from stages.core.topology.bars import NO_BARS, finite_bars
from stages.core.topology.comparisons import distances_table, list_comparisons
from stages.core.topology.distances import DIAGRAM_DISTANCES, Distance, bottleneck
from stages.core.topology.rips import distance_matrix, persistence_diagrams
from stages.distances import distances
from stages.persistence import persistence
from tests.conftest import ROUNDING
from tests.plots import filled

ROOT = Path(__file__).parents[1]
ROOT_TWO = 2**0.5
SETTINGS = {"engine": "pot", "hera_delta": 1e-4}


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no worker processes, which takes most of the time."""
    monkeypatch.setattr(stages.core.runtime.parallel, "available_cores", lambda: 1)


def run(diagrams: Path, out: Path, *options: str) -> Result:
    paths = {
        "--diagrams": diagrams,
        "--distances": out / "distances.parquet",
        "--metrics": out / "distances.json",
        "--plots": out / "plots",
    }
    flags = [str(part) for pair in paths.items() for part in pair]
    return CliRunner().invoke(distances, ["--params", str(ROOT / "params.yaml"), *flags, *options])


def components(*deaths: float) -> np.ndarray:
    return np.array([*((0, death) for death in deaths), (0, np.inf)], float)


def known(draws: int = 2) -> dict[CloudKey, list[np.ndarray]]:
    """Three classes and `all` at noise 0 and 1, each with one finite component and one loop.

    The component dies at 4 when clean, and at 4 + move when noisy; the other draw adds 1 to that,
    and one half of the clean class 2. The loop from 1 to 3 dies out under noise.
    """
    found = {}
    loop = np.array([[1.0, 3.0]])
    for group, move in (("banded", 0.5), ("dotted", 1.5), ("grid", 3.0), (ALL, 1.0)):
        found |= {
            CloudKey(group, 0.0): [components(4), loop],
            CloudKey(group, 0.0, part=HALF_A): [components(4), loop],
            CloudKey(group, 0.0, part=HALF_B): [components(6), loop],
            CloudKey(group, 1.0): [components(4 + move), NO_BARS],
            CloudKey(group, 1.0, part=HALF_A): [components(4 + move), NO_BARS],
            CloudKey(group, 1.0, part=HALF_B): [components(6 + move), NO_BARS],
        }
        if draws > 1:
            found[CloudKey(group, 1.0, 1)] = [components(5 + move), NO_BARS]
    return found


def value(table: pd.DataFrame, **row: object) -> float:
    for column, wanted in row.items():
        table = table[table[column] == wanted]
    (found,) = table["distance"]
    return found


def metrics_of(diagrams: dict[CloudKey, list[np.ndarray]], folder: Path) -> dict:
    """The metrics of a run on these diagrams."""
    write_diagrams(folder / "diagrams.parquet", diagrams, "a run")
    result = run(folder, folder / "out")
    assert result.exit_code == 0, result.output
    return json.loads((folder / "out" / "distances.json").read_text())


def test_comparisons_pair_like_with_like() -> None:
    clean, noisy, redrawn = (CloudKey("grid", 0.0), *(CloudKey("grid", 1.0, k) for k in (0, 1)))
    clean_a, clean_b, noisy_a, noisy_b = (
        CloudKey("grid", noise, part=part) for noise in (0.0, 1.0) for part in (HALF_A, HALF_B)
    )
    assert {name: each.pairs("grid", 1.0) for name, each in COMPARISONS.items()} == {
        "clean_noisy": ((clean, noisy),),
        "noisy_noisy": ((noisy, redrawn),),
        "half_clean_noisy": ((clean_a, noisy_b), (clean_b, noisy_a)),
        "half_clean_clean": ((noisy_a, noisy_b),),
    }
    assert COMPARISONS["half_clean_clean"].pairs("grid", 0.0) == ((clean_a, clean_b),)


def test_a_comparison_is_listed_where_its_diagrams_exist() -> None:
    listed = list_comparisons(known())
    assert len(listed) == 4 * 4
    assert [(noise, name) for group, noise, name in listed if group == "grid"] == [
        (0.0, "half_clean_clean"),
        (1.0, "clean_noisy"),
        (1.0, "noisy_noisy"),
        (1.0, "half_clean_noisy"),
    ]
    assert "noisy_noisy" not in {name for _, _, name in list_comparisons(known(draws=1))}


def test_every_baseline_is_a_comparison_with_a_short_name_and_none_of_its_own() -> None:
    for name in BASELINES.values():
        assert COMPARISONS[name].short
        assert name not in BASELINES


@pytest.mark.parametrize("metric", ["bottleneck", "wasserstein"])
def test_distances_by_hand(metric: str) -> None:
    found = known()
    table = distances_table(found, list_comparisons(found), **SETTINGS)
    assert len(table) == 16 * 2 * 2
    of_grid = {"group": "grid", "metric": metric}
    assert value(table, **of_grid, dim=0, comparison="clean_noisy") == pytest.approx(3)
    assert value(table, **of_grid, dim=0, comparison="noisy_noisy") == pytest.approx(1)
    assert value(table, **of_grid, dim=0, comparison="half_clean_clean") == pytest.approx(2)
    # From 4 to 9, or for Wasserstein as well; and from 6 to 7: the mean of both pairings.
    far = min(5, 9 / 2) if metric == "bottleneck" else 5
    assert value(table, **of_grid, dim=0, comparison="half_clean_noisy") == pytest.approx(
        (far + 1) / 2
    )
    lost = 1 if metric == "bottleneck" else ROOT_TWO
    assert value(table, **of_grid, dim=1, comparison="clean_noisy") == pytest.approx(lost)
    assert value(table, **of_grid, dim=1, comparison="noisy_noisy") == 0.0


def test_metrics_by_hand(tmp_path: Path) -> None:
    metrics = metrics_of(known(), tmp_path)
    assert metrics["classes"] == 3
    # Distances 0.5, 1.5, 3 of the three classes; 1 between draws, 2 between halves; the halves
    # clean to noisy are at (2.5 + 1.5) / 2, (3.5 + 0.5) / 2 and (5 + 1) / 2.
    assert metrics["noise_1.00"]["h0"]["wasserstein"] == {
        "median": 1.5,
        "ratio_to_draws": 1.5,
        "share_above_draws": pytest.approx(2 / 3, rel=ROUNDING),
        "ratio_to_halves": 1.0,
        "share_above_halves": pytest.approx(1 / 3, rel=ROUNDING),
    }
    # The baselines of loops are all 0: no ratio, but every class lies above them.
    assert metrics["noise_1.00"]["h1"]["bottleneck"] == {
        "median": 1.0,
        "share_above_draws": 1.0,
        "share_above_halves": 1.0,
    }


def test_one_draw_leaves_its_baseline_out(tmp_path: Path) -> None:
    metrics = metrics_of(known(draws=1), tmp_path)
    assert set(metrics["noise_1.00"]["h0"]["bottleneck"]) == {
        "median",
        "ratio_to_halves",
        "share_above_halves",
    }


def test_engines_agree() -> None:
    generator = np.random.default_rng(0)
    clouds = [generator.standard_normal((30, 4)) for _ in range(2)]
    found = {
        CloudKey("grid", noise): persistence_diagrams(distance_matrix(cloud), 1)
        for noise, cloud in zip((0.0, 1.0), clouds, strict=True)
    }
    comparisons = list_comparisons(found)
    exact, close = (
        distances_table(found, comparisons, engine=engine, hera_delta=1e-6)
        for engine in ("pot", "hera")
    )
    np.testing.assert_allclose(close["distance"], exact["distance"], rtol=1e-6)


def test_stage_writes_tables(tmp_path: Path) -> None:
    write_diagrams(tmp_path / "diagrams.parquet", known(), "a run")
    result = run(tmp_path, tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "64 distances of 3 classes and of the sample across all, at 1 noise level above 0" in (
        result.output
    )
    plots = tmp_path / "out" / "plots"
    assert [file.name for file in plots.iterdir()] == ["summary.csv"]
    table, about = read_parquet(tmp_path / "out" / "distances.parquet", DISTANCES, "distances")
    assert about["run"] == "a run"
    assert about["diagrams"] == read_diagrams(tmp_path / "diagrams.parquet").content
    row = {"group": ALL, "noise": 1.0, "dim": 0, "metric": "wasserstein"}
    assert value(table, **row, comparison="clean_noisy") == 1.0
    summary = pd.read_csv(plots / "summary.csv")
    row = summary.query(
        "noise == 1 and dim == 0 and metric == 'wasserstein' and comparison == 'clean_noisy'"
    ).iloc[0]
    assert row[["classes", "lower_quartile", "median", "upper_quartile"]].tolist() == [
        3,
        1.0,
        1.5,
        2.25,
    ]
    metrics = json.loads((tmp_path / "out" / "distances.json").read_text())
    assert metrics["noise_1.00"]["h0"]["wasserstein"]["median"] == 1.5


def test_stage_on_planted_classes(planted: Path, tmp_path: Path) -> None:
    """Stability on the stage's own output: no diagram moves more than the distances do."""
    options = ["--params", str(ROOT / "params.yaml"), "--embeddings", str(planted)]
    places = ["--diagrams", tmp_path, "--metrics", tmp_path / "p.json"]
    done = CliRunner().invoke(persistence, [*options, *map(str, places)])
    assert done.exit_code == 0, done.output
    assert run(tmp_path, tmp_path).exit_code == 0
    table = read_parquet(tmp_path / "distances.parquet", DISTANCES, "distances").rows
    artifact = read_embeddings(planted)
    for name in artifact.classes:
        clean, noisy = (
            distance_matrix(artifact.array(level)[artifact.rows(name)]) for level in (0.0, 0.5)
        )
        for dim in (0, 1):
            row = {"group": name, "noise": 0.5, "dim": dim, "comparison": "clean_noisy"}
            moved = value(table, **row, metric="bottleneck")
            assert moved <= np.abs(clean - noisy).max() + 1e-6
            assert value(table, **row, metric="wasserstein") >= moved
    found = read_diagrams(tmp_path / "diagrams.parquet").bars
    a, b = (finite_bars(found[CloudKey("dotted", level)][0]) for level in (0.0, 2.0))
    row = {"group": "dotted", "noise": 2.0, "dim": 0, "metric": "bottleneck"}
    assert value(table, **row, comparison="clean_noisy") == pytest.approx(
        bottleneck(a, b), rel=1e-5
    )
    headlines = json.loads((tmp_path / "distances.json").read_text())
    assert headlines["noise_2.00"]["h0"]["wasserstein"]["ratio_to_draws"] > 2


def test_same_bytes_twice_and_with_any_worker_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_diagrams(tmp_path / "diagrams.parquet", known(), "a run")
    outputs = []
    for name, cores in (("one", 1), ("again", 1), ("two", 2)):
        monkeypatch.setattr(
            stages.core.runtime.parallel, "available_cores", lambda cores=cores: cores
        )
        assert run(tmp_path, tmp_path / name).exit_code == 0
        files = sorted(file for file in (tmp_path / name).rglob("*") if file.is_file())
        outputs.append([file.read_bytes() for file in files])
    assert len(outputs[0]) == 3
    assert outputs[0] == outputs[1] == outputs[2]


def test_of_clean_diagrams_there_is_the_baseline_alone(tmp_path: Path) -> None:
    clean = {key: value for key, value in known().items() if key.noise == 0.0}
    write_diagrams(tmp_path / "diagrams.parquet", clean, "a run")
    done = run(tmp_path, tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "not applicable, there is no noise level above 0" in done.output
    summary = pd.read_csv(tmp_path / "out/plots/summary.csv")
    assert set(summary["comparison"]) == {"half_clean_clean"}
    assert json.loads((tmp_path / "out/distances.json").read_text()) == {"classes": 3}


def test_refusals_name_the_file_and_the_fix(tmp_path: Path) -> None:
    def refused(*options: str) -> str:
        result = run(tmp_path, tmp_path, *options)
        assert result.exit_code == 1
        assert isinstance(result.exception, SystemExit)  # no traceback
        assert not (tmp_path / "plots").exists()
        return result.output

    file = tmp_path / "diagrams.parquet"
    assert f"{file}: not found; run 'dvc repro persistence'" in refused()
    file.write_bytes(b"not a table")
    assert "damaged" in refused()
    write_diagrams(file, known(), "a run")
    assert "distances.hera_delta: 0.0: input should be greater than 0" in refused(
        "--hera-delta", "0"
    )


def test_a_distance_that_is_registered_is_in_every_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = Distance(lambda a, b: abs(len(a) - len(b)), "difference of the numbers of bars", "bars")
    monkeypatch.setitem(DIAGRAM_DISTANCES, "count", count)
    write_diagrams(tmp_path / "diagrams.parquet", known(), "a run")
    assert run(tmp_path, tmp_path / "out").exit_code == 0
    assert set(pd.read_csv(tmp_path / "out/plots/summary.csv")["metric"]) == set(DIAGRAM_DISTANCES)
    metrics = json.loads((tmp_path / "out/distances.json").read_text())
    assert set(metrics["noise_1.00"]["h0"]) == set(DIAGRAM_DISTANCES)


@pytest.mark.parametrize("name", COMPARISONS)
def test_dvc_draws_a_comparison_with_its_baseline_which_is_dashed(name: str) -> None:
    baseline = BASELINES.get(name, name)
    row = {"rev": "main", "dim": 0, "metric": "wasserstein", "comparison": name}
    row |= {"lower_quartile": 1.0, "median": 2.0, "upper_quartile": 3.0}
    levels = {COMPARISONS[name].level(noise) for noise in (0.5, 1.0)}
    svg = vl_convert.vegalite_to_svg(
        filled("distances", [row | {"noise": level} for level in sorted(levels)])
    )
    assert f"baseline: {COMPARISONS[baseline].label}" in svg
    dashed = re.findall(r'stroke-dasharray="6,4"', svg)
    assert len(dashed) == (2 if name == baseline else 1)  # one in the legend
