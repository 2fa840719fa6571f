"""The angles stage on embeddings whose subspaces are known."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from stages.angles import angles, require_readable
from stages.core.artifacts.embeddings import array_name, write_manifest
from stages.core.artifacts.tables import read_parquet
from stages.core.geometry.subspaces import ANGLES, ROTATIONS
from stages.core.runtime.errors import StudyError
from stages.draw import draw
from tests.conftest import ROUNDING, unit_rows, write_embeddings

ROOT = Path(__file__).parents[1]


def arguments(embeddings: Path, out: Path, *options: str) -> list[str]:
    paths = {
        "--embeddings": embeddings,
        "--angles": out / "angles",
        "--metrics": out / "angles.json",
        "--plots": out / "plots",
    }
    flags = [str(part) for pair in paths.items() for part in pair]
    return ["--params", str(ROOT / "params.yaml"), *flags, *options]


def run(embeddings: Path, out: Path, *options: str) -> Result:
    return CliRunner().invoke(angles, arguments(embeddings, out, *options))


def pairs_in(out: Path) -> pd.DataFrame:
    return read_parquet(out / "angles" / "pairs.parquet", ANGLES, "angles").rows


def planes(folder: Path, counts: tuple[int, int] = (9, 9)) -> Path:
    """Two classes that fill planes of a 6-dimensional space, 30 and 50 degrees apart.

    Noise turns the second plane until it is the first.
    """
    generator = np.random.default_rng(0)
    first = np.eye(2, 6)
    tilt = np.radians([[30.0], [50.0]])
    second = np.cos(tilt) * first + np.sin(tilt) * np.roll(first, 2, axis=1)
    weights = [generator.standard_normal((count, 2)) for count in counts]
    clean = np.concatenate([weights[0] @ first, weights[1] @ second])
    noisy = np.concatenate([weights[0] @ first, weights[1] @ first])
    labels = ["dotted"] * counts[0] + ["grid"] * counts[1]
    return write_embeddings(folder, {(0.0, 0): clean, (1.0, 0): noisy}, labels, np.eye(2, 6))


def test_planted_planes_and_their_rotation(tmp_path: Path) -> None:
    result = run(planes(tmp_path / "in"), tmp_path, "--rank", "2")
    assert result.exit_code == 0, result.output
    assert "closest dotted and grid, 30.00 degrees" in result.output

    pairs = pairs_in(tmp_path)
    assert pairs["noise"].tolist() == [0.0, 1.0]
    assert pairs[["class_a", "class_b"]].to_numpy().tolist() == [["dotted", "grid"]] * 2
    np.testing.assert_allclose(pairs["smallest_deg"], [30, 0], atol=1e-4)
    np.testing.assert_allclose(pairs["mean_deg"], [40, 0], atol=1e-4)
    np.testing.assert_allclose(pairs["largest_deg"], [50, 0], atol=1e-4)
    assert pairs["zeros_found"].tolist() == [0, 2]
    file = tmp_path / "angles" / "rotations.parquet"
    rotation, _ = read_parquet(file, ROTATIONS, "angles")
    np.testing.assert_allclose(rotation["mean_deg"], [0, 0, 0, 40], atol=1e-4)

    metrics = json.loads((tmp_path / "angles.json").read_text())
    assert metrics["dimension"] == 6
    assert metrics["pairs"] == 1
    noisy = metrics["noise_1.00"]
    assert noisy["zero_pairs"] == 1
    assert noisy["zero_pairs_certain"] == 0
    assert noisy["zero_angles_found"] == 2
    assert metrics["noise_0.00"]["smallest_deg_min"] == pytest.approx(30, abs=1e-4)
    assert noisy["rotation_deg_mean"] == pytest.approx(20, abs=1e-4)


def test_ranks_too_large_for_the_dimension_give_certain_zeros(
    planted: Path, tmp_path: Path
) -> None:
    result = run(planted, tmp_path, "--rank", "5")
    assert result.exit_code == 0, result.output
    level = json.loads((tmp_path / "angles.json").read_text())["noise_0.00"]
    assert level["zero_pairs"] == level["zero_pairs_certain"] == 6
    assert level["zero_angles_certain"] == 12  # 5 + 5 - 8 in each of 6 pairs
    assert level["zero_angles_found"] == 0
    assert "such an angle of 0 is no finding" in result.output


def test_the_usual_mistake_is_told_from_a_finding(tmp_path: Path) -> None:
    # Classes of 5 and 6 images in 6 dimensions: every span is the whole 5-dimensional space.
    generator = np.random.default_rng(0)
    labels = ["dotted"] * 5 + ["grid"] * 6
    cloud = generator.standard_normal((11, 6))
    folder = write_embeddings(tmp_path / "in", {(0.0, 0): cloud}, labels, np.eye(2, 6))
    result = run(folder, tmp_path, "--space", "sample")
    assert result.exit_code == 0, result.output
    assert "usual mistake" in result.output
    assert "5 samples, each class cut to as many images as the smallest has" in result.output
    metrics = json.loads((tmp_path / "angles.json").read_text())
    assert metrics["dimension"] == 5
    assert metrics["noise_0.00"]["zero_angles_certain"] == 5
    right = run(folder, tmp_path, "--rank", "2")
    assert right.exit_code == 0
    assert "degrees; no pair has an angle of 0\n" in right.output


def test_ranks_by_explained_variance_differ(planted: Path, tmp_path: Path) -> None:
    params = (ROOT / "params.yaml").read_text()
    file = tmp_path / "params.yaml"
    file.write_text(params.replace("  rank: 10 ", "  rank: null "))
    result = run(planted, tmp_path, "--params", str(file), "--explained-variance", "0.8")
    assert result.exit_code == 0, result.output
    pairs = pairs_in(tmp_path)
    assert (pairs.loc[pairs["noise"] == 0, "rank_a"] == 1).all()
    assert (pairs.loc[pairs["noise"] == 2, ["rank_a", "rank_b"]] > 1).any(axis=None)


def test_the_closest_pairs_are_listed_closest_first(planted: Path, tmp_path: Path) -> None:
    result = run(planted, tmp_path, "--rank", "2", "--closest-pairs", "3")
    assert result.exit_code == 0, result.output
    closest = pd.read_csv(tmp_path / "plots/closest_pairs.csv")
    pairs = pairs_in(tmp_path)
    for level, rows in closest.groupby("noise"):
        of_level = pairs.loc[pairs["noise"] == level, "smallest_deg"]
        np.testing.assert_allclose(rows["smallest_deg"], sorted(of_level)[:3], rtol=ROUNDING)


def test_a_run_in_another_process_without_torch_writes_the_same_bytes(
    planted: Path, tmp_path: Path
) -> None:
    assert run(planted, tmp_path / "here", "--rank", "2").exit_code == 0
    script = (
        "import sys; from stages.angles import angles; "
        "angles(sys.argv[1:], standalone_mode=False); assert 'torch' not in sys.modules"
    )
    given = arguments(planted, tmp_path / "there", "--rank", "2")
    subprocess.run([sys.executable, "-c", script, *given], check=True, cwd=ROOT)
    files = ["angles.json", "angles/pairs.parquet", "angles/rotations.parquet"]
    for name in (*files, "plots/closest_pairs.csv"):
        here, there = (tmp_path / place / name for place in ("here", "there"))
        assert here.read_bytes() == there.read_bytes(), name


def test_pictures_are_drawn_from_what_was_computed(planted: Path, tmp_path: Path) -> None:
    assert run(planted, tmp_path, "--rank", "2").exit_code == 0
    folder = tmp_path / "drawn"
    given = ["angles", "--data", str(tmp_path / "angles"), "--plots", str(folder)]
    given += ["--embeddings", str(planted)]
    done = CliRunner().invoke(draw, given)
    assert done.exit_code == 0, done.output
    assert sorted(path.stem for path in folder.rglob("*.png")) == [
        "distribution",
        "matrix",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rank", "9"], "angles.rank: 9 is more than the 8 dimensions"),
        (["--rank", "0"], "angles.rank: 0:"),
        (["--explained-variance", "1.5"], "angles.explained_variance: 1.5:"),
    ],
)
def test_bad_settings_end_with_one_line(
    planted: Path, tmp_path: Path, options: list[str], message: str
) -> None:
    result = run(planted, tmp_path, *options)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert len(result.output.strip().splitlines()) == 1
    assert message in result.output


def test_a_failure_leaves_earlier_outputs(planted: Path, tmp_path: Path) -> None:
    assert run(planted, tmp_path, "--rank", "2").exit_code == 0
    before = (tmp_path / "angles.json").read_bytes()
    assert run(planted, tmp_path, "--rank", "9").exit_code == 1
    assert (tmp_path / "angles.json").read_bytes() == before
    assert (tmp_path / "angles" / "pairs.parquet").exists()
    assert (tmp_path / "plots/closest_pairs.csv").exists()


def test_bad_embeddings_are_named(planted: Path, tmp_path: Path) -> None:
    file = planted / array_name(0.5, 0)
    cloud = np.load(file)
    cloud[3, 0] = np.nan
    np.save(file, cloud)
    write_manifest(planted)
    result = run(planted, tmp_path, "--rank", "2")
    assert result.exit_code == 1
    assert "banded/banded_0003.jpg has norm nan" in result.output
    assert not (tmp_path / "plots").exists()


def test_one_class_has_no_pair(tmp_path: Path) -> None:
    cloud = unit_rows(np.random.default_rng(0).standard_normal((4, 6)))
    folder = write_embeddings(tmp_path / "in", {(0.0, 0): cloud}, ["grid"] * 4, np.eye(1, 6))
    result = run(folder, tmp_path, "--rank", "2")
    assert result.exit_code == 1
    assert "1 class leaves nothing to tell apart" in result.output


def test_a_class_without_images_is_named(planted: Path, tmp_path: Path) -> None:
    classes = pd.DataFrame({"class": ["banded", "dotted", "grid", "striped", "woven"]})
    classes.to_csv(planted / "classes.csv", index=False)
    np.save(planted / "text.npy", np.eye(5, 8, dtype=np.float32))
    write_manifest(planted)
    result = run(planted, tmp_path, "--rank", "2")
    assert result.exit_code == 1
    assert "class woven has no image" in result.output


def test_more_pairs_than_a_table_may_hold_are_refused() -> None:
    require_readable(3162, 4)
    message = (
        r"angles: the pairs of 3,163 classes at 4 noise levels are 20,002,812 rows, 20,000,000 are "
        r"allowed; leave classes out in fetch.classes"
    )
    with pytest.raises(StudyError, match=message):
        require_readable(3163, 4)
