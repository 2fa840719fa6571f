"""The classify stage on embeddings whose classes are known."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result

from stages.classify import classify
from stages.core.artifacts.embeddings import array_name, write_manifest
from stages.core.artifacts.tables import read_parquet
from stages.core.evaluation import classification
from stages.core.evaluation.accuracy import PER_CLASS, PREDICTIONS
from stages.core.evaluation.calibration import CALIBRATION, expected_calibration_error
from stages.core.evaluation.classification import CLASSIFIERS
from stages.core.runtime.files import read_json, write_json
from stages.draw import draw
from tests.conftest import ROUNDING, write_embeddings

ROOT = Path(__file__).parents[1]
TABLES = {"predictions": PREDICTIONS, "per_class": PER_CLASS, "calibration": CALIBRATION}
OUTPUTS = ["accuracy.csv", "calibration.csv"]


MISSING = object()


def arguments(embeddings: Path, out: Path, *options: str) -> list[str]:
    paths = {
        "--embeddings": embeddings,
        "--predictions": out / "classify",
        "--metrics": out / "classify.json",
        "--plots": out / "plots",
    }
    flags = [str(part) for pair in paths.items() for part in pair]
    return ["--params", str(ROOT / "params.yaml"), *flags, *options]


def run(embeddings: Path, out: Path, *options: str) -> Result:
    return CliRunner().invoke(classify, arguments(embeddings, out, *options))


def table(out: Path, name: str) -> pd.DataFrame:
    return read_parquet(out / "classify" / f"{name}.parquet", TABLES[name], "classify").rows


def refusal(embeddings: Path, out: Path, *options: str) -> str:
    """The one line that a run ends with."""
    result = run(embeddings, out, *options)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert len(result.output.strip().splitlines()) == 1
    assert not (out / "plots").exists()
    assert not (out / "classify").exists()
    assert not (out / "classify.json").exists()
    return result.output


def test_separated_classes_are_told_apart_and_noise_mixes_them(
    planted: Path, tmp_path: Path
) -> None:
    result = run(planted, tmp_path)
    assert result.exit_code == 0, result.output
    assert "16 test images of 4 classes; guessing is right in 25.0%" in result.output
    assert "noise 0.00: zero-shot 100.0%" in result.output
    assert "The encoder is untrained" in result.output
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == OUTPUTS

    metrics = read_json(tmp_path / "classify.json")
    assert metrics["n_test"] == 16
    assert metrics["chance"] == 0.25
    assert metrics["encoder_trained"] is False
    assert metrics["probe_converged"] is True
    assert metrics["probe_strength"] == pytest.approx(1 / (16 * 100))  # all do as well: the least
    assert metrics["zero_shot_probabilities"] == "softmax"
    assert metrics["knn_neighbours"] == 1
    clean, noisy = metrics["noise_0.00"], metrics["noise_2.00"]
    for name in CLASSIFIERS:
        assert clean[f"{name}_top1"] == 1.0
        # That of Wilson for 16 of 16, if widened by 16 / 13: means of four classes were fitted.
        assert clean[f"{name}_top1_low"] == pytest.approx(1 / (1 + 1.959964**2 / 13), rel=ROUNDING)
        assert clean[f"{name}_top1_high"] == 1.0
        assert noisy[f"{name}_top1_low"] < noisy[f"{name}_top1"] < 1.0
    assert clean["zero_shot_top5"] == noisy["zero_shot_top5"] == 1.0  # there are 4 classes
    assert clean["zero_shot_ece"] == pytest.approx(0.0, abs=1e-6)
    assert noisy["zero_shot_ece"] > 0.05
    assert "zero_shot_top1_spread_of_draws" in noisy
    assert "zero_shot_top1_spread_of_draws" not in clean


def test_tables_agree_with_one_another(planted: Path, tmp_path: Path) -> None:
    assert run(planted, tmp_path).exit_code == 0
    metrics = read_json(tmp_path / "classify.json")
    predictions, per_class = table(tmp_path, "predictions"), table(tmp_path, "per_class")
    assert list(predictions) == ["id", "noise", "actual", *CLASSIFIERS, "margin"]
    assert len(predictions) == 3 * 16
    right = predictions["zero_shot"] == predictions["actual"]
    assert (right == (predictions["margin"] > 0)).all()
    accuracy = pd.read_csv(tmp_path / "plots/accuracy.csv")
    assert len(per_class) == 4 * 3 * len(CLASSIFIERS)
    assert per_class["n"].eq(4).all()
    assert (accuracy["low"] <= accuracy["accuracy"]).all()
    assert (accuracy["accuracy"] <= accuracy["high"]).all()
    chances = accuracy.groupby("measure")["chance"].unique().to_dict()
    assert chances == {"top-1": [0.25], "top-5": [1.0], "mean per class": [0.25]}
    for level in (0.0, 0.5, 2.0):
        share = metrics[f"noise_{level:.2f}"]["zero_shot_top1"]
        assert right[predictions["noise"] == level].mean() == pytest.approx(share)
        rows = per_class.query("noise == @level and classifier == 'zero_shot'")
        assert rows["accuracy"].mean() == pytest.approx(share)
        of_level = accuracy.query("noise == @level and classifier == 'zero-shot'")
        of_level = of_level.set_index("measure")["accuracy"]
        assert of_level["top-1"] == pytest.approx(share)
        assert of_level["mean per class"] == pytest.approx(share)
    calibration = table(tmp_path, "calibration")
    assert (calibration.groupby("noise")["n"].sum() == 16).all()
    for level, rows in calibration.groupby("noise"):
        error = metrics[f"noise_{level:.2f}"]["zero_shot_ece"]
        assert expected_calibration_error(rows) == pytest.approx(error, rel=ROUNDING)
    shown = pd.read_csv(tmp_path / "plots/calibration.csv")
    np.testing.assert_allclose(shown, calibration, rtol=ROUNDING)


def test_pictures_and_confusions_are_drawn_from_what_was_computed(
    planted: Path, tmp_path: Path
) -> None:
    assert run(planted, tmp_path).exit_code == 0
    given = ["classify", "--data", str(tmp_path / "classify"), "--plots", str(tmp_path / "drawn")]
    given += ["--embeddings", str(planted)]
    done = CliRunner().invoke(draw, given)
    assert done.exit_code == 0, done.output
    folder = tmp_path / "drawn" / "classify"
    assert sorted(path.name for path in folder.iterdir() if not path.name.startswith(".")) == [
        "calibration.png",
        "confusion_clean.csv",
        "confusion_noisiest.csv",
        "per_class.png",
    ]
    predictions = table(tmp_path, "predictions")
    for name, level in (("clean", 0.0), ("noisiest", 2.0)):
        confusion = pd.read_csv(folder / f"confusion_{name}.csv")
        rows = predictions[predictions["noise"] == level]
        assert confusion["noise"].eq(level).all()
        taken = confusion.set_index(["actual", "predicted"])["images"]
        expected = rows.groupby(["actual", "zero_shot"]).size()
        assert taken[taken > 0].to_dict() == expected.to_dict()


def test_prompts_in_the_wrong_place_cost_zero_shot_alone(tmp_path: Path) -> None:
    # The features separate the classes perfectly; the text vectors are exchanged.
    labels = [name for name in ("dotted", "grid") for _ in range(9)]
    cloud = np.repeat(np.eye(2, 4), 9, axis=0)
    cloud += 0.01 * np.random.default_rng(0).standard_normal(cloud.shape)
    folder = write_embeddings(tmp_path / "in", {(0.0, 0): cloud}, labels, np.eye(2, 4)[::-1])
    result = run(folder, tmp_path)
    assert result.exit_code == 0, result.output
    clean = read_json(tmp_path / "classify.json")["noise_0.00"]
    assert (clean["zero_shot_top1"], clean["probe_top1"], clean["knn_top1"]) == (0.0, 1.0, 1.0)
    assert clean["zero_shot_ece"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("probabilities", "bias", "confidence"),
    [
        pytest.param("softmax", None, 1 / (1 + np.exp(-8)), id="softmax"),
        pytest.param("softmax", -3.0, 1 / (1 + np.exp(-8)), id="softmax with a bias"),
        pytest.param("sigmoid", -9.0, 1 / (1 + np.exp(-1)), id="sigmoid"),
        pytest.param("sigmoid", None, 1 / (1 + np.exp(-10)), id="sigmoid without a bias"),
    ],
)
def test_calibration_is_of_the_models_own_probabilities(
    tmp_path: Path, probabilities: str, bias: float | None, confidence: float
) -> None:
    """Every image has the cosines 1 and 0.2 with the prompts, its own first, at a scale of 10."""
    text = np.array([[1.0, 0.0], [0.2, np.sqrt(0.96)]])
    labels = [name for name in ("dotted", "grid") for _ in range(9)]
    folder = write_embeddings(tmp_path / "in", {(0.0, 0): text.repeat(9, axis=0)}, labels, text)
    given = {"logit_scale": 10.0, "logit_bias": bias, "probabilities": probabilities}
    write_json(folder / "encoder.json", read_json(folder / "encoder.json") | given)
    write_manifest(folder)
    result = run(folder, tmp_path, "--knn-neighbours", "1")
    assert result.exit_code == 0, result.output
    metrics = read_json(tmp_path / "classify.json")
    assert metrics["zero_shot_probabilities"] == probabilities
    assert metrics["noise_0.00"]["zero_shot_ece"] == pytest.approx(1 - confidence, rel=ROUNDING)


def test_the_old_protocol_is_a_matter_of_params(planted: Path, tmp_path: Path) -> None:
    old = [flag for strength in ("0.01", "1", "100") for flag in ("--probe-strengths", strength)]
    assert run(planted, tmp_path, "--no-refit", *old).exit_code == 0
    assert read_json(tmp_path / "classify.json")["probe_strength"] == 0.01


def test_top_5_counts_five_classes(tmp_path: Path) -> None:
    # Every image scores the six classes 6, 5, ..., 1: true for the first five, not the last.
    names = [f"class_{i}" for i in range(6)]
    cloud = np.tile(np.arange(6, 0, -1), (18, 1))
    labels = [name for name in names for _ in range(3)]
    folder = write_embeddings(tmp_path / "in", {(0.0, 0): cloud}, labels, np.eye(6))
    result = run(folder, tmp_path, "--knn-neighbours", "1")
    assert result.exit_code == 0, result.output
    clean = read_json(tmp_path / "classify.json")["noise_0.00"]
    assert clean["zero_shot_top1"] == pytest.approx(1 / 6, rel=ROUNDING)
    assert clean["zero_shot_top5"] == pytest.approx(5 / 6, rel=ROUNDING)


def test_a_run_in_another_process_without_torch_writes_the_same_bytes(
    planted: Path, tmp_path: Path
) -> None:
    assert run(planted, tmp_path / "here").exit_code == 0
    script = (
        "import sys; from stages.classify import classify; "
        "classify(sys.argv[1:], standalone_mode=False); assert 'torch' not in sys.modules"
    )
    given = arguments(planted, tmp_path / "there")
    subprocess.run([sys.executable, "-c", script, *given], check=True, cwd=ROOT)
    tables = [f"classify/{name}.parquet" for name in TABLES]
    for name in ("classify.json", *tables, *(f"plots/{name}" for name in OUTPUTS)):
        here, there = (tmp_path / place / name for place in ("here", "there"))
        assert here.read_bytes() == there.read_bytes(), name


def test_confidence_moves_no_estimate(planted: Path, tmp_path: Path) -> None:
    assert run(planted, tmp_path / "a").exit_code == 0
    assert run(planted, tmp_path / "b", "--confidence", "0.5").exit_code == 0
    wide, narrow = (read_json(tmp_path / place / "classify.json") for place in "ab")
    for key, value in wide["noise_2.00"].items():
        if key.endswith("_low"):
            assert narrow["noise_2.00"][key] > value
        elif key.endswith("_high"):
            assert narrow["noise_2.00"][key] < value
        else:
            assert narrow["noise_2.00"][key] == value


def test_a_probe_that_does_not_converge_is_reported(
    planted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(classification, "PROBE_MAX_ITERATIONS", 1)
    result = run(planted, tmp_path)
    assert result.exit_code == 0, result.output
    assert "The linear probe did not converge at strength" in result.output
    assert read_json(tmp_path / "classify.json")["probe_converged"] is False


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_an_empty_split_is_named(planted: Path, tmp_path: Path, split: str) -> None:
    images = pd.read_csv(planted / "images.csv")
    images["split"] = images["split"].replace(split, "val" if split != "val" else "test")
    images.to_csv(planted / "images.csv", index=False)
    write_manifest(planted)
    assert f"no image is in split {split}" in refusal(planted, tmp_path)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_class_without_images_in_a_split_is_named(
    planted: Path, tmp_path: Path, split: str
) -> None:
    images = pd.read_csv(planted / "images.csv")
    images.loc[(images["class"] == "grid") & (images["split"] == split), "split"] = "val"
    images.to_csv(planted / "images.csv", index=False)
    write_manifest(planted)
    assert f"class grid has no image in split {split}, 1 such in all" in refusal(planted, tmp_path)


def test_a_class_may_be_missing_from_val(planted: Path, tmp_path: Path) -> None:
    images = pd.read_csv(planted / "images.csv")
    images.loc[(images["class"] == "grid") & (images["split"] == "val"), "split"] = "test"
    images.to_csv(planted / "images.csv", index=False)
    write_manifest(planted)
    result = run(planted, tmp_path)
    assert result.exit_code == 0, result.output
    assert read_json(tmp_path / "classify.json")["n_test"] == 20


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("logit_scale", MISSING, "logit_scale is missing; run"),
        ("logit_scale", True, "logit_scale True is not a positive number"),
        ("logit_scale", -1.0, "logit_scale -1.0 is not a positive number"),
        ("logit_scale", "high", "logit_scale 'high' is not a positive number"),
        ("logit_bias", MISSING, "logit_bias is missing; run"),
        ("logit_bias", "low", "logit_bias 'low' is not a number or null"),
        ("logit_bias", [0.0], "logit_bias [0.0] is not a number or null"),
        ("probabilities", MISSING, "probabilities is missing; run"),
        ("probabilities", "Sigmoid", "probabilities 'Sigmoid' is not one of softmax, sigmoid"),
        ("probabilities", ["softmax"], "probabilities ['softmax'] is not one of softmax"),
        ("trained", MISSING, "trained is missing; run"),
    ],
)
def test_a_faulty_encoder_file_is_named(
    planted: Path, tmp_path: Path, key: str, value: object, message: str
) -> None:
    encoder = read_json(planted / "encoder.json")
    del encoder[key]
    if value is not MISSING:
        encoder[key] = value
    write_json(planted / "encoder.json", encoder)
    write_manifest(planted)
    assert message in refusal(planted, tmp_path)


def test_text_of_another_dimension_is_refused(planted: Path, tmp_path: Path) -> None:
    np.save(planted / "text.npy", np.eye(4, 5, dtype=np.float32))
    write_manifest(planted)
    assert "text.npy: 5 dimensions for images of 8" in refusal(planted, tmp_path)


def test_a_nan_is_refused_with_its_image(planted: Path, tmp_path: Path) -> None:
    file = planted / array_name(2.0, 1)
    cloud = np.load(file)
    cloud[0, 0] = np.nan
    np.save(file, cloud)
    write_manifest(planted)
    assert "banded/banded_0000.jpg has norm nan" in refusal(planted, tmp_path)


def test_too_many_neighbours_are_refused(planted: Path, tmp_path: Path) -> None:
    options = ("--knn-neighbours", "17", "--knn-neighbours", "40")
    message = refusal(planted, tmp_path, *options)
    assert "classify.knn_neighbours: 17 is more than the 16 training images" in message


def test_one_class_leaves_nothing_to_tell_apart(tmp_path: Path) -> None:
    cloud = np.eye(6)[[0] * 6]
    folder = write_embeddings(tmp_path / "in", {(0.0, 0): cloud}, ["grid"] * 6, np.eye(1, 6))
    assert "1 class leaves nothing to tell apart" in refusal(folder, tmp_path)
