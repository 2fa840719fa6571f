"""The embed stage on a tiny data set and a tiny model: artifact, invariances, refusals."""

import errno
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import open_clip
import pandas as pd
import pytest
import torch
import yaml
from click.testing import CliRunner, Result
from PIL import Image
from safetensors.torch import load_file, save_file

from stages.core.artifacts.embeddings import read_embeddings
from stages.core.artifacts.samples import read_samples
from stages.core.geometry.drift import drift_of_level, drift_table
from stages.core.runtime.errors import StudyError
from stages.core.vision.inputs import Noise, cells_of
from stages.core.vision.loading import load_encoder
from stages.core.vision.noise import noise_generator, noisy
from stages.core.vision.precision import relative_deviation
from stages.core.vision.shards import allocate
from stages.core.vision.sweep import Sweep, ahead_of_device, swept
from stages.draw import draw
from stages.embed import embed
from stages.settings.embed import EmbedParams
from tests.refusals import refusal
from tests.test_encoder import picture, write_model

CPU = torch.device("cpu")
PER_CLASS = 5
CLASSES = ("dotted", "polka_dotted", "striped")
SETTINGS = {
    "model": "model",
    "pretrained": None,
    "templates": ["a photo of a {} texture.", "a {} pattern"],
    "noise_kind": "gaussian",
    "noise_space": "normalised",
    "noise_levels": [0.0, 0.5, 2.0],
    "draws": 2,
    "noise_stream": "pcg64",
    "seed": 0,
    "device": "cpu",
    "precision": "fp32",
    "batch_size": 4,
}


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A folder with a tiny model and 3 x 5 images of random pixels."""
    return write_source(tmp_path_factory.mktemp("source"))


def write_source(folder: Path) -> Path:
    """Write a tiny model and 3 x 5 images of random pixels with their index."""
    write_model(folder / "model")
    rows = []
    for i, name in enumerate(CLASSES):
        (folder / "images" / "images" / name).mkdir(parents=True)
        for k in range(PER_CLASS):
            image = f"{name}/{name}_{k:04d}.png"
            picture(10 * i + k, 40 + k, 36).save(folder / "images" / "images" / image)
            rows.append((image, name, ("train", "val", "test")[k % 3]))
    table = pd.DataFrame(rows, columns=["id", "class", "split"])
    table.to_csv(folder / "images.csv", index=False)
    return folder


def options(source: Path, out: Path, **changes: object) -> list[str]:
    """The arguments for a run on `source` with SETTINGS and `changes`, its outputs under `out`."""
    out.mkdir(exist_ok=True)
    settings = SETTINGS | {"model": str(source / "model")} | changes
    (out / "params.yaml").write_text(yaml.safe_dump({"embed": settings}))
    paths = {
        "--params": out / "params.yaml",
        "--images": source / "images",
        "--index": source / "images.csv",
        "--model-folder": source / "model",
        "--embeddings": out / "embeddings",
        "--shards": out / "shards",
        "--samples": out / "samples",
        "--metrics": out / "embed.json",
        "--plots": out / "plots",
    }
    return [str(part) for pair in paths.items() for part in pair]


def run(source: Path, out: Path, **changes: object) -> Result:
    return CliRunner().invoke(embed, options(source, out, **changes))


@pytest.fixture(scope="module")
def done(source, tmp_path_factory) -> Path:
    """The outputs of one run."""
    out = tmp_path_factory.mktemp("done")
    result = run(source, out)
    assert result.exit_code == 0, result.output
    assert result.output.endswith("5 arrays of 15 images x 16 dimensions in fp32\n")
    return out


def test_the_artifact_is_whole_and_in_order(source, done):
    found = read_embeddings(done / "embeddings")
    table = pd.read_csv(source / "images.csv")
    assert found.images["id"].tolist() == table["id"].tolist()
    assert found.images["split"].tolist() == table["split"].tolist()
    assert found.classes == list(CLASSES)
    assert (found.levels, found.draws) == ([0.0, 0.5, 2.0], 2)
    assert found.text.shape == (3, 16)
    assert found.array(2.0, 1).shape == (15, 16)
    assert found.array(2.0, 1).dtype == np.float32
    assert found.encoder["trained"] is True
    assert found.encoder["dimension"] == 16
    assert found.encoder["logit_scale"] == pytest.approx(1 / 0.07, rel=1e-5)
    assert found.encoder["preprocessing"]["mean"] == [0.5, 0.4, 0.3]
    assert found.encoder["noise"]["level_unit"] == "standard deviation, normalised pixels"


def test_the_rows_are_the_direct_encoding_of_each_image_with_its_noise(source, done):
    found = read_embeddings(done / "embeddings")
    encoder = load_encoder(str(source / "model"), None, Path("unused"), 0, CPU)
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{source / 'model'}")
    for row in (0, 7, 14):
        name = found.images["id"][row]
        with Image.open(source / "images" / "images" / name) as image:
            clean, pixels = transform(image), encoder.prepare(image)
        generator = noise_generator(0, name, "gaussian", 2.0, 1)
        dirty = noisy(pixels, "gaussian", 2.0, "normalised", encoder.std, generator)
        inputs = torch.stack([clean, encoder.normalise(dirty[None])[0]])
        with torch.inference_mode():
            wanted = model.eval().encode_image(inputs, normalize=True).numpy()
        np.testing.assert_allclose(found.array(0.0)[row], wanted[0], atol=1e-6)
        np.testing.assert_allclose(found.array(2.0, 1)[row], wanted[1], atol=1e-6)


def test_draws_and_levels_differ(done):
    found = read_embeddings(done / "embeddings")
    arrays = [found.array(0.0), *(found.array(s, k) for s in (0.5, 2.0) for k in (0, 1))]
    for i, one in enumerate(arrays):
        for other in arrays[:i]:
            assert np.linalg.norm(one - other, axis=1).min() > 1e-4


@pytest.mark.parametrize(
    "changes",
    [{"batch_size": size} for size in (1, 5, 16, 17, 100)] + [{"device": "auto"}],
    ids=str,
)
def test_batch_size_changes_no_bit_of_what_is_written(source, done, tmp_path, changes, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert run(source, tmp_path, **changes).exit_code == 0
    for file in done.rglob("*"):
        if file.is_file() and file.name != "params.yaml":
            assert (tmp_path / file.relative_to(done)).read_bytes() == file.read_bytes(), file


def test_the_same_settings_give_the_same_bytes(source, done, tmp_path):
    assert run(source, tmp_path).exit_code == 0
    files = [file.relative_to(done) for file in done.rglob("*") if file.is_file()]
    assert len(files) == 17  # with the manifest and the markers of the folders
    for file in files:
        assert (tmp_path / file).read_bytes() == (done / file).read_bytes(), file


@pytest.fixture
def one_thread() -> Iterator[None]:
    """One thread of torch, as on every core of a CPU."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def batches_of(ids: list[str], size: int) -> list[list[str]]:
    return [ids[start : start + size] for start in range(0, len(ids), size)]


def test_workers_and_order_change_no_embedding(source):
    encoder = load_encoder(str(source / "model"), None, Path("unused"), 0, CPU)
    sweep = Sweep(source / "images", Noise("gaussian", "normalised", 0), ((2.0, 1),), 2)
    ids = pd.read_csv(source / "images.csv")["id"].tolist()

    def rows(names: list[str], workers: int) -> np.ndarray:
        done = swept(encoder, sweep, batches_of(names, 2), workers)
        return np.concatenate([batch.rows[0] for batch in done])

    alone = rows(ids, 1)
    threads = torch.get_num_threads()
    np.testing.assert_array_equal(rows(ids, 4), alone)
    np.testing.assert_array_equal(rows(ids[:3], 2), alone[:3])
    np.testing.assert_allclose(rows(ids[::-1], 2)[::-1], alone, atol=1e-6)
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize("stream", ["pcg64", "philox"])
@pytest.mark.parametrize("workers", [1, 3])
def test_what_is_made_ready_ahead_of_a_device_is_what_the_cores_encode(
    source, stream, workers, one_thread
):
    """A CPU in the place of the accelerator; batches of 16 are what it encodes otherwise."""
    encoder = load_encoder(str(source / "model"), None, Path("unused"), 0, CPU)
    noise = Noise("gaussian", "normalised", 0, stream)
    sweep = Sweep(source / "images", noise, cells_of([0.0, 0.5, 2.0], 2), 16)
    ids = pd.read_csv(source / "images.csv")["id"].tolist()
    ids = [*ids, *ids[:9], *reversed(ids)]
    batches = [*batches_of(ids[:32], 16), ids[32:]]
    wanted = list(swept(encoder, sweep, batches, 1))
    found = list(ahead_of_device(encoder, sweep, iter(batches), workers))
    assert [batch.ids for batch in found] == batches
    for one, other in zip(found, wanted, strict=True):
        assert one.digests == other.digests
        np.testing.assert_array_equal(one.rows, other.rows)
    assert not np.allclose(found[0].rows[1], found[0].rows[2], atol=1e-3)


def test_an_image_that_cannot_be_read_ahead_of_a_device_ends_the_work(source):
    encoder = load_encoder(str(source / "model"), None, Path("unused"), 0, CPU)
    sweep = Sweep(source / "images", Noise("gaussian", "normalised", 0), ((0.0, 0),), 2)
    ids = pd.read_csv(source / "images.csv")["id"].tolist()
    given = [*ids[:6], "dotted/none.png", *ids[6:]]
    done = []
    with pytest.raises(StudyError, match=r"dotted/none.png: not found; run 'dvc repro fetch'"):
        done.extend(ahead_of_device(encoder, sweep, batches_of(given, 2), 2))
    assert not any("none" in name for batch in done for name in batch.ids)


def test_metrics_are_finite_scalars_and_say_what_the_run_was(done):
    metrics = json.loads((done / "embed.json").read_text())
    assert (metrics["images"], metrics["classes"], metrics["dimension"]) == (15, 3, 16)
    assert (metrics["trained"], metrics["precision_deviation"]) == (1, 0.0)
    leaves = pd.json_normalize(metrics).iloc[0]
    assert len(leaves) <= 36
    assert np.isfinite(leaves.astype(float)).all()
    cosines = [metrics[f"noise_{level}"]["cosine_to_clean"] for level in ("0.50", "2.00")]
    assert 1 > cosines[0] > cosines[1]
    assert "cosine_to_clean" not in metrics["noise_0.00"]


def test_the_table_of_the_drift_has_a_row_per_level(done):
    drift = pd.read_csv(done / "plots" / "drift.csv").set_index("noise")
    assert drift.index.tolist() == [0.0, 0.5, 2.0]
    assert (drift["images"] == 15).all()
    clean = drift.loc[0.0]
    assert (clean["cosine_to_clean"], clean["displacement"]) == (1, 0)
    assert pd.isna(clean["most_moved"])
    assert set(drift.loc[2.0, ["most_moved", "least_moved"]]) <= set(CLASSES)
    metrics = json.loads((done / "embed.json").read_text())
    for level in (0.5, 2.0):
        of_level = metrics[f"noise_{level:.2f}"]
        for column in ("cosine_to_clean", "displacement"):
            assert drift.loc[level, column] == of_level[column]
        assert drift.loc[level, "spread_class_mean"] == of_level["spread_within_class"]


def test_samples_are_the_images_as_the_encoder_sees_them(source, done):
    found = read_samples(done / "samples")
    assert found.levels == [0.0, 0.5, 2.0]
    assert found.label == "level of Gaussian noise\n(standard deviation, normalised pixels)"
    assert found.ids == [f"{name}/{name}_0000.png" for name in CLASSES]
    encoder = load_encoder(str(source / "model"), None, Path("unused"), 0, CPU)
    with Image.open(source / "images" / "images" / found.ids[1]) as image:
        clean = encoder.prepare(image).transpose(1, 2, 0)
    assert np.abs(found.pixels[0, 1] / 255 - clean).max() < 0.51 / 255
    assert np.abs(found.pixels[2, 1] / 255 - clean).mean() > 0.1


def test_samples_are_drawn_from_what_was_written(done, tmp_path):
    given = ["embed", "--data", str(done / "samples"), "--plots", str(tmp_path)]
    given += ["--embeddings", str(done / "embeddings")]
    drawn = CliRunner().invoke(draw, given)
    assert drawn.exit_code == 0, drawn.output
    assert [file.name for file in tmp_path.rglob("*.png")] == ["samples.png"]


def without_a_level(folder: Path) -> None:
    np.save(folder / "pixels.npy", np.load(folder / "pixels.npy")[1:])


def of_floats(folder: Path) -> None:
    np.save(folder / "pixels.npy", np.load(folder / "pixels.npy") / 255)


def cut_short(folder: Path) -> None:
    (folder / "pixels.npy").write_bytes((folder / "pixels.npy").read_bytes()[:-9])


def without_ids(folder: Path) -> None:
    about = json.loads((folder / "samples.json").read_text())
    (folder / "samples.json").write_text(json.dumps(about | {"ids": "dotted"}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without_a_level, "pixels.npy: 3 images at 2 levels, of 3 at 3 in samples.json; run"),
        (of_floats, "pixels.npy: float64 of shape (3, 3, 32, 32, 3) instead of images in RGB"),
        (cut_short, "pixels.npy: damaged ("),
        (without_ids, "samples.json: not as 'embed' wrote it; run 'dvc repro"),
    ],
)
def test_damaged_samples_are_refused(done, tmp_path, damage, message):
    folder = shutil.copytree(done / "samples", tmp_path / "samples")
    damage(folder)
    said = refusal(draw, "embed", "--data", folder, "--embeddings", done / "embeddings")
    assert message in said


@pytest.mark.parametrize(
    ("levels", "kept"),
    [
        ([1.0, 0.0], [0.0, 1.0]),
        ([-0.0, 0.5], [0.0, 0.5]),
        ([0, 0.1 + 0.2, 7], [0.0, 0.3, 7.0]),
    ],
    ids=str,
)
def test_levels_are_kept_as_they_are_written(levels, kept):
    assert repr(EmbedParams(**SETTINGS | {"noise_levels": levels}).noise_levels) == repr(kept)


@pytest.mark.parametrize(
    "changes",
    [
        {"noise_kind": "shot", "noise_space": "pixel"},
        {"noise_kind": "salt-and-pepper", "noise_space": "pixel", "noise_levels": [0.0, 0.1]},
        {"noise_kind": "jpeg", "noise_space": "pixel", "draws": 1, "noise_levels": [0.0, 0.75]},
        {"noise_kind": "uniform", "precision": "bf16"},
        {"noise_levels": [0, 1]},
        {"noise_stream": "philox", "noise_kind": "uniform", "noise_space": "pixel"},
    ],
)
def test_other_kinds_levels_and_precisions_run(source, tmp_path, changes):
    result = run(source, tmp_path, **changes)
    assert result.exit_code == 0, result.output
    found = read_embeddings(tmp_path / "embeddings")
    for level in found.levels:
        assert found.array(level).shape == (15, 16)
    deviation = json.loads((tmp_path / "embed.json").read_text())["precision_deviation"]
    assert (deviation > 0) == ("precision" in changes)


def test_an_untrained_model_says_so(source, tmp_path):
    configs = tmp_path / "configs"
    configs.mkdir()
    config = json.loads((source / "model" / "open_clip_config.json").read_text())["model_cfg"]
    (configs / "tiny-for-embed.json").write_text(json.dumps(config))
    open_clip.add_model_config(configs)
    result = run(source, tmp_path / "out", model="tiny-for-embed")
    assert "tiny-for-embed is untrained: its weights are random" in result.output
    assert json.loads((tmp_path / "out" / "embed.json").read_text())["trained"] == 0
    assert read_embeddings(tmp_path / "out" / "embeddings").encoder["trained"] is False


def fails(result: Result, message: str) -> None:
    assert result.exit_code == 1
    assert message in result.output
    assert "Traceback" not in result.output


def test_embeddings_that_are_not_finite_name_the_image_and_leave_the_earlier_output(
    source, done, tmp_path
):
    out = tmp_path / "out"
    shutil.copytree(done, out)
    damaged = tmp_path / "model"
    shutil.copytree(source / "model", damaged)
    weights = load_file(damaged / "open_clip_model.safetensors")
    weights["visual.proj"].fill_(3e38)  # near float32's largest, which any sum exceeds
    save_file(weights, damaged / "open_clip_model.safetensors")
    result = run(source, out, model=str(damaged))
    fails(result, "its embedding at noise 0.00 is not finite or zero in fp32")
    assert "_0000.png" in result.output or "_0004.png" in result.output
    for file in done.rglob("*"):
        if file.is_file() and file.name != "params.yaml":
            assert (out / file.relative_to(done)).read_bytes() == file.read_bytes()
    assert not list(out.glob(".*"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "ViT-B32"}, "embed.model: 'ViT-B32' is no architecture"),
        ({"model": "ViT-B-32", "pretrained": "nothing"}, "'nothing' is no tag of ViT-B-32"),
        ({"device": "gpu"}, "embed.device: no 'gpu' here"),
        ({"noise_kind": "shot"}, "'normalised' has no meaning for shot"),
        (
            {"noise_kind": "shot", "noise_space": "pixel", "noise_stream": "philox"},
            "philox makes noise that is added (gaussian, uniform), not shot; set noise_stream: pcg",
        ),
        ({"noise_stream": "mt19937"}, "embed.noise_stream: 'mt19937': input should be 'pcg64'"),
        ({"noise_kind": "snow"}, "embed.noise_kind: 'snow': input should be 'gaussian', "),
        ({"noise_levels": [0.0, -1.0]}, "embed.noise_levels.1: -1.0"),
        ({"noise_levels": [0.0, 0.5, 0.5]}, "0.5 is repeated; give each level once"),
        ({"noise_levels": [0.5]}, "no level is 0.0; add it"),
        ({"noise_levels": [0.0, float("inf")]}, "embed.noise_levels.1: inf"),
        ({"templates": ["no place"]}, "'no place' must hold {} once"),
        ({"templates": ["a very long " + "word " * 20 + "{}"]}, "longer than the 16 tokens"),
    ],
)
def test_bad_settings_are_refused_in_one_line(source, tmp_path, changes, message):
    fails(run(source, tmp_path, **changes), message)
    assert not (tmp_path / "embeddings").exists()


def test_an_image_that_cannot_be_read_is_named(source, tmp_path):
    copy = tmp_path / "source"
    shutil.copytree(source, copy)
    (copy / "images" / "images" / "striped" / "striped_0001.png").write_bytes(b"no image")
    fails(run(copy, tmp_path / "out"), "striped_0001.png")


# What is computed from the arrays


def test_drift_by_hand():
    labels = pd.Series(["a", "a", "b", "b"])
    clean = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float32)
    noisy_rows = np.array([[0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float32)
    arrays = {(0.0, 0): clean, (1.0, 0): noisy_rows}
    clean_row, row = (each for _, each in drift_table(arrays, labels).iterrows())
    assert (row["noise"], row["images"]) == (1.0, 4)
    assert (row["cosine_class_min"], row["cosine_class_max"]) == (0.5, 1)
    assert (row["most_moved"], row["least_moved"]) == ("a", "b")
    assert (clean_row["most_moved"], clean_row["least_moved"]) == ("", "")
    assert row["cosine_to_clean"] == 0.75
    assert row["cosine_q10"] == pytest.approx(0.3)  # of 0, 1, 1, 1
    assert row["cosine_q90"] == 1
    assert row["displacement"] == pytest.approx(np.sqrt(2) / 4)
    assert clean_row["spread_class_min"] == 0  # of class a, both of whose images are alike
    assert clean_row["spread_class_max"] == pytest.approx(np.sqrt(1 / 2))
    assert clean_row["spread_class_mean"] == pytest.approx(np.sqrt(1 / 8))
    # The mean of all is (2, 1, 1) / 4, of length sqrt(6) / 4, and every image has length 1.
    assert clean_row["spread"] == pytest.approx(np.sqrt(1 - 6 / 16))

    found = drift_of_level(arrays, labels, 1.0)
    assert found["cosine_to_clean"] == 0.75
    assert found["displacement"] == pytest.approx(np.sqrt(2) / 4, abs=1e-4)
    assert found["shared_displacement"] == 1  # one image alone has moved
    assert found["spread_within_class"] == pytest.approx(np.sqrt(1 / 2), abs=1e-4)
    # The class means are (1, 1, 0) / 2 and (0, 1, 1) / 2, the mean of all (1, 2, 1) / 4.
    assert found["distance_between_class_means"] == pytest.approx(np.sqrt(1 / 2), abs=1e-4)
    assert found["length_of_mean"] == pytest.approx(np.sqrt(6) / 4, abs=1e-4)
    assert drift_of_level(arrays, labels, 0.0).keys() == {
        "spread_within_class",
        "length_of_mean",
        "distance_between_class_means",
    }


def test_relative_deviation_by_hand():
    exact = [np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]])]
    near = [np.array([[0.0, 0.5]]), np.array([[3.0, 4.5]])]
    assert relative_deviation(near, exact) == pytest.approx(0.1)
    assert relative_deviation(exact, exact) == 0


def test_space_is_taken_before_the_work(tmp_path):
    arrays = allocate(tmp_path, cells_of([0.0, 0.5, 2.0], 2), 300, 100)
    assert list(arrays) == [(0.0, 0), (0.5, 0), (0.5, 1), (2.0, 0), (2.0, 1)]
    assert arrays[0.5, 1].shape == (300, 100)
    file = (tmp_path / "noise_0.50_draw_1.npy").stat()
    assert file.st_blocks * 512 >= 300 * 100 * 4


def test_a_full_disk_is_said_before_the_work_and_leaves_the_earlier_output(
    source, done, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    shutil.copytree(done, out)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full, raising=False)
    fails(run(source, out), "the disk is full; free some space")
    for name in ("embeddings/noise_0.00_draw_0.npy", "plots/drift.csv", "embed.json"):
        assert (out / name).read_bytes() == (done / name).read_bytes()
    assert not list(out.glob(".*"))


def test_memory_that_does_not_suffice_is_said(source, monkeypatch):
    encoder = load_encoder(str(source / "model"), None, Path("unused"), 0, CPU)

    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(type(encoder), "encode_images", fail)
    ids = pd.read_csv(source / "images.csv")["id"].tolist()
    sweep = Sweep(source / "images", Noise("gaussian", "normalised", 0), ((0.0, 0),), 4)
    with pytest.raises(StudyError, match=r"embed.batch_size: 4 images do not fit .* lower it"):
        list(swept(encoder, sweep, batches_of(ids, 4)))
