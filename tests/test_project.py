import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from stages.core.artifacts.tables import Schema, read_parquet
from stages.core.figures.style import class_colours
from stages.core.geometry.layouts import KEPT_RANKS, LAYOUT_MEASURES, LAYOUTS, NEAREST
from stages.draw import draw
from stages.project import project
from tests.conftest import ROUNDING, write_embeddings

REPOSITORY = Path(__file__).parents[1]
PARAMS = REPOSITORY / "params.yaml"
LEVELS = ["noise_0.00", "noise_0.50", "noise_2.00"]

# The stage twice over the same artifact, on every core and then on one: there UMAP runs in this
# process, which may not have imported torch by then.
TWO_RUNS = """
import os, sys
from stages.project import project

def run(folder):
    os.chdir(folder)
    project(["--params", sys.argv[1], "--embeddings", sys.argv[2]], standalone_mode=False)

run(sys.argv[3])
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
run(sys.argv[4])
assert "torch" not in sys.modules
"""


def invoke(embeddings: Path, folder: Path, *options: str) -> Result:
    arguments = ["--params", str(PARAMS), "--embeddings", str(embeddings)]
    arguments += ["--layouts", str(folder / "layouts"), "--plots", str(folder / "plots")]
    arguments += ["--metrics", str(folder / "project.json")]
    return CliRunner().invoke(project, [*arguments, *options])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--images-per-class", "1"), "project.images_per_class: 1"),
        (("--sampled-classes", "2"), "project.sampled_classes: 2, but 3 classes"),
        (("--perplexity", "1"), "project.perplexity: 1.0"),
        (("--umap-min-dist", "2"), "project.umap_min_dist: 2.0"),
        (("--purity-neighbours", "0"), "project.purity_neighbours: 0"),
    ],
)
def test_bad_settings_are_one_line_and_leave_earlier_outputs(
    planted: Path, tmp_path: Path, options: tuple[str, ...], message: str
):
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "measures.csv").write_text("earlier")
    result = invoke(planted, tmp_path, *options)
    assert result.exit_code == 1
    assert message in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert (tmp_path / "plots" / "measures.csv").read_text() == "earlier"
    assert not (tmp_path / "project.json").exists()


def test_missing_embeddings_are_named(tmp_path: Path):
    result = invoke(tmp_path / "nowhere", tmp_path)
    assert result.exit_code == 1
    assert "images.csv: not found; run 'dvc repro embed'" in result.output


def test_embeddings_that_are_all_the_same_are_refused(tmp_path: Path):
    cloud = np.ones((6, 8))
    write_embeddings(tmp_path / "e", {(0.0, 0): cloud}, list("aaabbb"), np.eye(2, 8))
    result = invoke(tmp_path / "e", tmp_path)
    assert result.exit_code == 1
    assert "all embeddings are the same at noise 0.00" in result.output


@pytest.fixture(scope="module")
def embeddings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four classes of 12 images, at three levels."""
    names = np.repeat(["banded", "dotted", "grid", "striped"], 12)
    generator = np.random.default_rng(0)
    clean = np.repeat(np.eye(4, 8), 12, axis=0) + 0.05 * generator.standard_normal((48, 8))
    clouds = {(0.0, 0): clean}
    for level in (0.5, 2.0):
        clouds[level, 0] = clean + 0.3 * level * generator.standard_normal((48, 8))
    return write_embeddings(
        tmp_path_factory.mktemp("planted"), clouds, names.tolist(), np.eye(4, 8)
    )


@pytest.fixture(scope="module")
def runs(embeddings: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Folders of two runs over the same artifact: on every core, and on one."""
    folders = [tmp_path_factory.mktemp("run") for _ in range(2)]
    done = subprocess.run(
        [sys.executable, "-c", TWO_RUNS, PARAMS, embeddings, *folders],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # no library's warning reaches the terminal
    assert done.stdout == 2 * "projected 48 images of 4 classes, at 3 noise levels\n"
    return folders


TABLES = {
    "layouts": LAYOUTS,
    "layout_measures": LAYOUT_MEASURES,
    "nearest_classes": NEAREST,
    "kept_ranks": KEPT_RANKS,
}


def read(folder: Path, name: str, schema: Schema) -> pd.DataFrame:
    return read_parquet(folder / "data" / "project" / f"{name}.parquet", schema, "project").rows


@pytest.mark.slow
def test_the_stage_writes_its_outputs_and_nothing_else(runs: list[Path]):
    found = {str(path.relative_to(runs[0])) for path in runs[0].rglob("*") if path.is_file()}
    assert found == {
        "metrics/project.json",
        "plots/project/measures.csv",
        *(f"data/project/{name}.parquet" for name in TABLES),
    }


@pytest.mark.slow
def test_the_number_of_cores_changes_no_byte(runs: list[Path]):
    files = [path.relative_to(runs[0]) for path in runs[0].rglob("*") if path.is_file()]
    assert len(files) == 6
    for file in files:
        assert (runs[0] / file).read_bytes() == (runs[1] / file).read_bytes(), file


@pytest.mark.slow
def test_the_measures_find_the_planted_classes(runs: list[Path]):
    metrics = json.loads((runs[0] / "metrics/project.json").read_text())
    assert list(metrics) == ["images", "classes", "chance_purity", *LEVELS]
    assert metrics["chance_purity"] == pytest.approx(11 / 47, rel=ROUNDING)
    for space in ("embedding", "tsne", "umap"):
        assert metrics["noise_0.00"][f"{space}_purity"] == 1
        assert metrics["noise_0.00"][f"{space}_silhouette"] > 0.6
        assert metrics["noise_2.00"][f"{space}_purity"] < 0.9
    assert all(np.isfinite(value) for level in LEVELS for value in metrics[level].values())

    measures = pd.read_csv(runs[0] / "plots/project/measures.csv")
    assert len(measures) == 2 * 3 * 3  # selections, spaces, levels
    untrusted = measures[measures["trustworthiness"].isna()]
    assert set(untrusted["space"]) == {"embedding"}
    assert len(untrusted) == 6
    assert len(read(runs[0], "layout_measures", LAYOUT_MEASURES)) == 2 * 2 * 3


@pytest.mark.slow
def test_the_tables_hold_every_point_class_and_kept_pair(runs: list[Path]):
    layouts = read(runs[0], "layouts", LAYOUTS)
    by_layout = layouts.groupby(["selection", "method", "noise"])
    assert by_layout.size().tolist() == [48] * 2 * 2 * 3
    squares = layouts["x"] ** 2 + layouts["y"] ** 2
    keys = [layouts[key] for key in ("selection", "method", "noise")]
    np.testing.assert_allclose(squares.groupby(keys).mean(), 1)

    nearest = read(runs[0], "nearest_classes", NEAREST)
    assert len(nearest) == 2 * 3 * 3 * 4
    assert (nearest["class"] != nearest["nearest"]).all()
    assert (nearest["distance"] > 0).all()

    ranks = read(runs[0], "kept_ranks", KEPT_RANKS)
    assert len(ranks) == 2 * 3 * 3 * 6  # ordered pairs of dotted, grid and striped
    assert set(ranks["others"]) == {3}
    assert set(ranks["rank"]) <= {1, 2, 3}


@pytest.mark.slow
def test_the_points_of_every_layout_are_drawn(embeddings: Path, runs: list[Path], tmp_path: Path):
    data = str(runs[0] / "data" / "project")
    given = ["--data", data, "--embeddings", str(embeddings), "--plots", str(tmp_path)]
    done = CliRunner().invoke(draw, ["project", *given])
    assert done.exit_code == 0, done.output
    layouts = read(runs[0], "layouts", LAYOUTS)
    for selection in ("all", "sampled"):
        for method in ("tsne", "umap"):
            drawn = pd.read_csv(tmp_path / "project" / f"points_{method}_{selection}.csv")
            assert list(drawn) == ["noise", "class", "x", "y", "colour", "role"]
            points = drawn[drawn["role"].isna()]
            of_layout = (layouts["selection"] == selection) & (layouts["method"] == method)
            assert points["class"].tolist() == layouts.loc[of_layout, "class"].tolist()
            np.testing.assert_allclose(
                points[["x", "y"]], layouts.loc[of_layout, ["x", "y"]], atol=5.1e-4
            )
            for _, of_level in drawn.groupby("noise"):  # every class at every level
                roles = of_level.groupby("role")["class"]
                for role in ("from", "name"):
                    assert sorted(roles.get_group(role)) == sorted(set(points["class"]))
                assert roles.get_group("measures").str.startswith("purity ").tolist() == [True]
            colours = class_colours(["banded", "dotted", "grid", "striped"])  # also of a sample
            assert (points["colour"] == points["class"].map(colours)).all()
