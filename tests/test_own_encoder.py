"""Encoders of a user's own: what embed does with them, and that it equals a direct call."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stages.core.artifacts.embeddings import read_embeddings
from stages.core.runtime.errors import StudyError
from stages.core.vision.encoder import IMAGES_AT_ONCE, TEXTS_AT_ONCE, Encoder
from stages.core.vision.loading import load_encoder
from stages.core.vision.model_files import OwnFile, own_file
from stages.core.vision.noise import noise_generator, noisy
from tests.own_encoders import ENCODER, write_encoder
from tests.study import ROOT
from tests.test_embed import run, write_source
from tests.test_encoder import picture

CPU = torch.device("cpu")
EXAMPLE = ROOT / "examples" / "own_encoder.py"


@pytest.fixture(autouse=True)
def own_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test's encoder imports from its folder is not found by the next."""
    monkeypatch.setattr(sys, "path", list(sys.path))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("source"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_encoder(tmp_path / "own")


def loaded(file: Path, function: str = "load") -> Encoder:
    return load_encoder(f"{file}:{function}", None, Path("unused"), 0, CPU)


def squares(pixels: np.ndarray) -> np.ndarray:
    """(3, 24, 24) in [0, 1] -> (5,) of length one: what the encoder is to compute, in float64."""
    mean, std = np.array([0.5, 0.4, 0.3]), np.array([0.2, 0.25, 0.3])
    values = (pixels - mean[:, None, None]) / std[:, None, None]
    row = values.reshape(3, 3, 8, 3, 8).mean(axis=(2, 4)).ravel()
    found = row @ np.sin(np.arange(27 * 5.0).reshape(27, 5))
    return found / np.linalg.norm(found)


def test_rows_are_the_direct_encoding_of_each_image_with_its_noise(source, file, tmp_path):
    result = run(source, tmp_path / "out", model=f"{file}:load")
    assert result.exit_code == 0, result.output
    assert result.output.endswith(
        "5 arrays of 15 images x 5 dimensions in fp32; it reads no text\n"
    )
    assert "untrained" not in result.output
    found = read_embeddings(tmp_path / "out" / "embeddings")
    assert found.text is None
    for row in (0, 7, 14):
        name = found.images["id"][row]
        with Image.open(source / "images" / "images" / name) as image:
            small = np.asarray(image.resize((24, 24)), dtype=np.float32) / np.float32(255)
        pixels = np.ascontiguousarray(small.transpose(2, 0, 1))
        generator = noise_generator(0, name, "gaussian", 2.0, 1)
        std = np.array([0.2, 0.25, 0.3], dtype=np.float32)
        dirty = noisy(pixels, "gaussian", 2.0, "normalised", std, generator)
        np.testing.assert_allclose(found.array(0.0)[row], squares(pixels), atol=1e-5)
        np.testing.assert_allclose(found.array(2.0, 1)[row], squares(dirty), atol=1e-5)


def test_what_is_written_says_what_the_encoder_is(source, file, tmp_path):
    result = run(source, tmp_path / "out", model=f"{file}:load_reading")
    assert result.exit_code == 0, result.output
    about = json.loads((tmp_path / "out" / "embeddings" / "encoder.json").read_text())
    assert about["model"] == f"{file}:load_reading"
    assert (about["trained"], about["dimension"], about["pretrained"]) == (True, 5, None)
    assert (about["logit_scale"], about["logit_bias"]) == (20, None)
    assert about["probabilities"] == "softmax"
    assert about["preprocessing"]["mean"] == pytest.approx([0.5, 0.4, 0.3])
    assert "quick_gelu" not in about
    found = read_embeddings(tmp_path / "out" / "embeddings")
    assert found.text is not None
    assert found.text.shape == (3, 5)


def test_an_encoder_without_text_has_no_logits(source, file, tmp_path):
    result = run(source, tmp_path / "out", model=f"{file}:load")
    assert result.exit_code == 0, result.output
    about = json.loads((tmp_path / "out" / "embeddings" / "encoder.json").read_text())
    assert (about["logit_scale"], about["logit_bias"], about["probabilities"]) == (None, None, None)
    assert not (tmp_path / "out" / "embeddings" / "text.npy").exists()
    metrics = json.loads((tmp_path / "out" / "embed.json").read_text())
    assert "logit_scale" not in metrics
    assert "cosine_between_class_prompts" not in metrics


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("logit_bias = -10.0", (20.0, -10.0, "sigmoid")),
        ("logit_scale = torch.tensor([30.0])", (30.0, None, "softmax")),
        ("logit_scale = None", (None, None, None)),
    ],
)
def test_logits(tmp_path, line, expected):
    file = write_encoder(tmp_path, ENCODER + f"\nReading.{line}\n")
    encoder = loaded(file, "load_reading")
    assert (encoder.logit_scale, encoder.logit_bias, encoder.probabilities) == expected


@pytest.mark.parametrize(
    "kind", ["torch.float16", "torch.bfloat16", "torch.float64", "np.float16", "np.float64"]
)
def test_any_float_type_and_any_length_of_rows(tmp_path, kind):
    convert = f".to({kind})" if kind.startswith("torch") else f".numpy().astype({kind})"
    text = ENCODER.replace("squares @ self.weight", f"(7 * squares @ self.weight){convert}")
    pixels = np.stack([loaded(write_encoder(tmp_path)).prepare(picture(i)) for i in range(3)])
    found = loaded(write_encoder(tmp_path / "other", text)).encode_images(pixels)
    assert found.dtype == np.float32
    tolerance = 1e-6 if "64" in kind else 0.02
    np.testing.assert_allclose(found, [squares(each) for each in pixels], atol=tolerance)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)


def test_prepared_images_may_be_tensors(tmp_path, file):
    text = ENCODER.replace("return np.ascontiguousarray", "return torch.tensor").replace(
        "1), dtype=np.float32)", "1).copy(), requires_grad=True)"
    )
    other = loaded(write_encoder(tmp_path / "other", text))
    np.testing.assert_array_equal(other.prepare(picture(1)), loaded(file).prepare(picture(1)))


def test_a_cpu_always_sees_the_same_number_of_images_and_texts(tmp_path):
    text = ENCODER.replace("        squares =", "        COUNTS.add(len(batch))\n        squares =")
    text = text.replace("        rows =", "        COUNTS.add(-len(texts))\n        rows =")
    file = write_encoder(tmp_path, text + "\nCOUNTS = set()\n")
    encoder = loaded(file, "load_reading")
    pixels = np.stack([encoder.prepare(picture(i)) for i in range(20)])
    together = encoder.encode_images(pixels)
    for size in (1, 5, 16):
        np.testing.assert_array_equal(encoder.encode_images(pixels[:size]), together[:size])
    texts = [f"text {i}" for i in range(70)]
    np.testing.assert_array_equal(encoder.encode_texts(texts[:3]), encoder.encode_texts(texts)[:3])
    counts = encoder.found.encode_images.__globals__["COUNTS"]  # type: ignore[attr-defined]
    assert counts == {IMAGES_AT_ONCE, -TEXTS_AT_ONCE}


def test_buffers_that_are_filled_anew_do_no_harm(tmp_path):
    text = ENCODER.replace(
        "        return squares @ self.weight",
        "        BUFFER[:len(batch)] = squares @ self.weight\n        return BUFFER[:len(batch)]",
    )
    text = text.replace("return np.ascontiguousarray(", "PIXELS[:] = (").replace(
        "(pixels.transpose(2, 0, 1), dtype=np.float32)",
        "pixels.transpose(2, 0, 1)\n        return PIXELS",
    )
    text += "\nBUFFER = torch.empty(16, 5)\nPIXELS = np.empty((3, 24, 24), np.float32)\n"
    encoder = loaded(write_encoder(tmp_path, text))
    pixels = [encoder.prepare(picture(i)) for i in range(20)]
    found = encoder.encode_images(np.stack(pixels))
    np.testing.assert_allclose(found, [squares(each) for each in pixels], atol=1e-5)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_lower_precision_is_loaded_anew_and_measured(source, file, tmp_path, precision):
    result = run(source, tmp_path / "out", model=f"{file}:load_reading", precision=precision)
    assert result.exit_code == 0, result.output
    assert f"in {precision}, which deviates from fp32 by " in result.output
    metrics = json.loads((tmp_path / "out" / "embed.json").read_text())
    assert 0 < metrics["precision_deviation"] < 0.2
    about = json.loads((tmp_path / "out" / "embeddings" / "encoder.json").read_text())
    assert about["precision"] == precision


def test_batch_size_changes_no_bit(source, file, tmp_path):
    for size in (1, 17):
        done = run(source, tmp_path / str(size), model=f"{file}:load_reading", batch_size=size)
        assert done.exit_code == 0, done.output
    one, other = (tmp_path / size / "embeddings" for size in ("1", "17"))
    for array in one.glob("*.npy"):
        assert array.read_bytes() == (other / array.name).read_bytes()


def test_modules_and_files_beside_the_encoder_are_found_also_when_it_is_called(tmp_path, source):
    text = "import the_settings_of_it\n" + ENCODER.replace(
        "        squares =", "        import the_pooling_of_it\n        squares ="
    ).replace("[0.5, 0.4, 0.3]", "the_settings_of_it.MEAN")
    file = write_encoder(tmp_path / "own", text)
    (file.parent / "the_settings_of_it.py").write_text("MEAN = (0.1, 0.2, 0.3)\n")
    (file.parent / "the_pooling_of_it.py").write_text("")
    result = run(source, tmp_path / "out", model=f"{file}:load")
    assert result.exit_code == 0, result.output
    np.testing.assert_allclose(loaded(file).mean, [0.1, 0.2, 0.3], atol=1e-6)


def test_a_class_may_be_what_loads(tmp_path):
    text = ENCODER.replace("def __init__(self, dtype):", "def __init__(self, device, precision):")
    text = text.replace(".to(dtype)", ".to(torch.float32)")
    assert loaded(write_encoder(tmp_path, text), "Reading").reads_text


def test_a_file_may_have_the_name_of_a_package_and_a_relative_path(tmp_path, monkeypatch):
    file = write_encoder(tmp_path / "own", "from dataclasses import dataclass\n@dataclass\n"
                         "class Row:\n    x: int\n" + ENCODER, "timm.py")  # fmt: skip
    monkeypatch.chdir(file.parent)
    before = sys.modules["timm"]
    assert not loaded(Path("timm.py")).reads_text
    assert sys.modules["timm"] is before


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a/b.py:load", OwnFile(Path("a/b.py"), "load")),
        ("a.py:b.py:other_name", OwnFile(Path("a.py:b.py"), "other_name")),
        ("./a.py:Class", OwnFile(Path("a.py"), "Class")),
        ("ViT-B-32", None),
        ("timm:resnet18", None),
        ("hf-hub:organisation/name", None),
        ("a.pyc:load", None),
    ],
)
def test_what_names_a_file_of_one_s_own(text, found):
    assert own_file(text, "embed.model") == found


@pytest.mark.parametrize("text", ["a.py", "a.py:", "a.py:1x", "a.py:a.b", "a.py:a b"])
def test_a_file_without_a_function_is_refused(text):
    with pytest.raises(StudyError, match=r"embed.model: 'a.py.*': name the function .* a.py:load"):
        own_file(text, "embed.model")


# The example


def test_the_example_runs_on_a_handful_of_images(source, tmp_path):
    for precision in ("fp32", "bf16"):
        out = tmp_path / precision
        result = run(source, out, model=f"{EXAMPLE}:load", precision=precision)
        assert result.exit_code == 0, result.output
        assert f"{EXAMPLE}:load is untrained: its weights are random" in result.output
        found = read_embeddings(out / "embeddings")
        assert found.array(0.5, 1).shape == (15, 262)
        assert found.encoder["trained"] is False


def test_the_example_tells_textures_apart(tmp_path):
    """Stripes that stand from stripes that lie, whatever their phase."""
    encoder = loaded(EXAMPLE)
    across = np.arange(200)[None, :] + np.zeros((200, 1))
    images = [
        np.repeat(np.uint8(127 + 120 * np.sin((wave + phase) / 4))[..., None], 3, axis=2)
        for wave in (across, across.T)
        for phase in (0, 3, 9)
    ]
    rows = encoder.encode_images(np.stack([encoder.prepare(Image.fromarray(x)) for x in images]))
    cosines = rows @ rows.T
    alike = [cosines[i, j] for k in (0, 3) for i in range(k, k + 3) for j in range(k, i)]
    assert min(alike) > cosines[:3, 3:].max()


def test_the_example_depends_on_nothing_of_the_project(tmp_path):
    assert "stages" not in EXAMPLE.read_text()
    copy = shutil.copy(EXAMPLE, tmp_path / "mine.py")
    assert loaded(Path(copy)).logit_scale is None
