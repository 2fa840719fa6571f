"""Models of timm: embeddings are those of timm's own functions; what is odd is refused."""

import errno
import json
import pickle
import socket
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.data import create_transform, resolve_model_data_config
from torch import nn

from stages.core.artifacts.embeddings import read_embeddings
from stages.core.vision.encoder import Encoder
from stages.core.vision.loading import load_encoder
from stages.embed import embed
from tests.refusals import refusal
from tests.test_embed import options, run, write_source
from tests.test_encoder import Bomb, picture

CPU = torch.device("cpu")
NAME = "test_resnet"  # timm's own for tests, of some 0.5 million weights


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("source"))


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network, as on many machines that compute."""

    def reach(*_: object) -> None:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", reach)
    monkeypatch.setattr(socket, "getaddrinfo", reach)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture(scope="module")
def model() -> nn.Module:
    """A model of timm with a classifier, as a training leaves one."""
    torch.manual_seed(7)
    return timm.create_model(NAME, num_classes=3).eval()


@pytest.fixture
def checkpoint(model: nn.Module, tmp_path: Path) -> Path:
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    return tmp_path / "weights.safetensors"


def loaded(name: str, pretrained: object = None, seed: int = 0) -> Encoder:
    given = None if pretrained is None else str(pretrained)
    return load_encoder(f"timm:{name}", given, Path("unused"), seed, CPU)


def refused(source: Path, out: Path, **changes: object) -> str:
    """The line by which embed refuses the settings; nothing may be left behind."""
    message = refusal(embed, *options(source, out, **changes))
    assert [file.name for file in out.iterdir()] == ["params.yaml"]
    return message


# What is encoded


def by_timm(model: nn.Module, images: list[Image.Image]) -> np.ndarray:
    """Unit rows as timm's documentation has them: transform, features, pooling."""
    transform = create_transform(**resolve_model_data_config(model), is_training=False)
    with torch.inference_mode():
        maps = model.forward_features(torch.stack([transform(image) for image in images]))
        rows = model.forward_head(maps, pre_logits=True)
        return nn.functional.normalize(rows, dim=1).numpy()


def test_embeddings_are_those_of_timm_s_transform_and_features(model, checkpoint):
    images = [picture(0), picture(1, 300, 170), picture(2, 160, 160)]
    encoder = loaded(NAME, checkpoint)
    found = encoder.encode_images(np.stack([encoder.prepare(image) for image in images]))
    np.testing.assert_allclose(found, by_timm(model, images), atol=1e-5)
    assert encoder.trained
    assert (encoder.reads_text, encoder.logit_scale, encoder.probabilities) == (False, None, None)


@pytest.mark.parametrize(
    "name", ["test_vit", "test_efficientnet", "test_convnext", "test_nfnet", "test_byobnet"]
)
def test_other_architectures_are_pooled_too(name, tmp_path):
    torch.manual_seed(1)
    model = timm.create_model(name).eval()
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    encoder = loaded(name, tmp_path / "weights.safetensors")
    images = [picture(i, 180, 200) for i in range(2)]
    found = encoder.encode_images(np.stack([encoder.prepare(image) for image in images]))
    np.testing.assert_allclose(found, by_timm(model, images), atol=1e-5)


def test_without_a_tag_weights_are_random_from_the_seed_and_the_model_untrained(source, tmp_path):
    out = tmp_path / "out"
    result = run(source, out, model=f"timm:{NAME}", noise_levels=[0.0, 1.0])
    assert result.exit_code == 0, result.output
    assert f"timm:{NAME} is untrained: its weights are random" in result.output
    found = read_embeddings(out / "embeddings")
    assert found.text is None
    assert found.encoder["trained"] is False
    assert found.encoder["model"] == f"timm:{NAME}"
    assert found.encoder["preprocessing"]["crop_pct"] == 0.95
    assert found.encoder["preprocessing"]["input_size"] == [3, 160, 160]

    before = torch.random.get_rng_state()
    pixels = np.random.default_rng(0).random((2, 3, 160, 160), dtype=np.float32)
    first, again, other = (loaded(NAME, seed=seed).encode_images(pixels) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_lower_precision_deviates_little(source, tmp_path, precision):
    out = tmp_path / "out"
    levels = [0.0, 1.0]
    result = run(source, out, model=f"timm:{NAME}", precision=precision, noise_levels=levels)
    assert result.exit_code == 0, result.output
    deviation = json.loads((out / "embed.json").read_text())["precision_deviation"]
    assert 0 < deviation < 0.2


def test_a_checkpoint_without_a_tag_says_what_is_assumed_of_the_preparation(checkpoint):
    (remark,) = loaded(NAME, checkpoint).remarks
    assert remark.startswith(f"{checkpoint} does not say how images were prepared")
    assert (
        "160 x 160 pixels, crop 0.95, bilinear, mean 0.5 0.5 0.5, std 0.5 0.5 0.5; a tag" in remark
    )
    assert loaded(f"{NAME}.r160_in1k", checkpoint).remarks == ()


@pytest.mark.parametrize(
    ("tag", "mean", "interpolation"),
    [("ra_in1k", 0.485, "bicubic"), ("miil_in21k_ft_in1k", 0.0, "bilinear")],
)
def test_a_tag_says_how_images_are_prepared_for_a_checkpoint(tag, mean, interpolation, tmp_path):
    name = "mobilenetv3_large_100"
    model = timm.create_model(name, num_classes=0)
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    encoder = loaded(f"{name}.{tag}", tmp_path / "weights.safetensors")
    assert encoder.mean[0] == pytest.approx(mean)
    assert encoder.preprocessing["interpolation"] == interpolation
    assert encoder.remarks == ()


def saved(folder: Path, model: nn.Module, name: str = NAME) -> Path:
    """A folder as timm saves a model in it."""
    folder.mkdir()
    config = {
        "architecture": name,
        "num_classes": 3,
        "pretrained_cfg": {
            "input_size": [3, 64, 64],
            "interpolation": "bilinear",
            "crop_pct": 1.0,
            "mean": [0.1, 0.2, 0.3],
            "std": [0.4, 0.5, 0.6],
            "classifier": "fc",
            "num_classes": 3,
        },
    }
    (folder / "config.json").write_text(json.dumps(config))
    save_file(model.state_dict(), folder / "model.safetensors")
    return folder


def test_a_folder_that_timm_saved_is_read_with_its_preparation(model, tmp_path):
    encoder = loaded(f"local-dir:{saved(tmp_path / 'saved', model)}")
    assert encoder.trained
    np.testing.assert_allclose(encoder.mean, [0.1, 0.2, 0.3])
    assert encoder.prepare(picture(3)).shape == (3, 64, 64)
    pixels = encoder.prepare(picture(3))[None]
    with torch.inference_mode():
        maps = model.forward_features(encoder.normalise(pixels))
        rows = model.forward_head(maps, pre_logits=True)
    wanted = nn.functional.normalize(rows, dim=1).numpy()
    np.testing.assert_allclose(encoder.encode_images(pixels), wanted, atol=1e-5)


def test_what_timm_itself_saves_is_read(model, tmp_path):
    timm.models.save_for_hf(model, tmp_path / "saved")
    encoder = loaded(f"local-dir:{tmp_path / 'saved'}")
    image = picture(4)
    found = encoder.encode_images(encoder.prepare(image)[None])
    np.testing.assert_allclose(found, by_timm(model, [image]), atol=1e-5)


def test_a_tag_s_weights_are_those_that_timm_downloads(model, tmp_path, monkeypatch):
    """A stand-in for what huggingface_hub downloads."""
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    asked = []

    def download(repo_id: str, filename: str, **_: object) -> str:
        asked.append(repo_id)
        return str(tmp_path / "model.safetensors")

    monkeypatch.setattr("timm.models._hub.hf_hub_download", download)
    encoder = loaded(f"{NAME}.r160_in1k")
    assert set(asked) == {f"timm/{NAME}.r160_in1k"}
    assert encoder.trained
    images = [picture(i) for i in range(2)]
    found = encoder.encode_images(np.stack([encoder.prepare(image) for image in images]))
    np.testing.assert_allclose(found, by_timm(model, images), atol=1e-5)


def test_a_model_of_the_hub_is_built_as_its_configuration_says(model, tmp_path, monkeypatch):
    folder = saved(tmp_path / "saved", model)
    monkeypatch.setattr(
        "timm.models._hub.hf_hub_download",
        lambda repo_id, filename, **_: str(folder / filename),
    )
    encoder = loaded("hf-hub:organisation/name")
    np.testing.assert_allclose(encoder.mean, [0.1, 0.2, 0.3])
    found = encoder.found._model.state_dict()  # type: ignore[attr-defined]
    torch.testing.assert_close(found["conv1.0.weight"], model.state_dict()["conv1.0.weight"])


# What is refused


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "timm has no architecture ''; the nearest are "),
        ("resnet81", "timm has no architecture 'resnet81'; the nearest are resnet"),
        (
            "test_resnet.r160",
            "timm has no tag 'r160' of test_resnet; the nearest are test_resnet.r",
        ),
        ("texture_net.x", "timm has no tag 'x' of texture_net; it has none, leave it out"),
        ("timm/resnet18", "Model name 'timm/resnet18' has no source prefix"),
        ("hub:timm/resnet18", "Unknown model source 'hub'"),
        ("hf-hub:", "has no model id / path after the 'hf-hub:' prefix"),
        ("test_resnet.r160_in1k", "could not be downloaded ("),
        ("hf-hub:organisation/name", "could not be downloaded ("),
        ("local-dir:/nowhere", "/nowhere holds no model.safetensors or pytorch_model.bin"),
    ],
)
def test_a_name_that_timm_does_not_have_is_refused(source, tmp_path, name, said):
    message = refused(source, tmp_path / "out", model=f"timm:{name}")
    assert message.startswith(f"embed.model: timm:{name}: ")
    assert said in message


def test_without_a_network_the_fix_is_said(source, tmp_path):
    message = refused(source, tmp_path / "out", model="timm:test_resnet.r160_in1k")
    assert message.endswith("check its name, connect to the network, or give a checkpoint file")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda w: {k: v for k, v in w.items() if k != "conv1.0.weight"},
            "1 weights are missing such",
        ),
        (lambda w: w | {"extra": torch.zeros(1)}, "1 are unknown such as extra"),
        (lambda w: w | {"fcx.weight": torch.zeros(1)}, "1 are unknown such as fcx.weight"),
        (
            lambda w: w | {"conv1.0.weight": w["conv1.0.weight"][:2]},
            "conv1.0.weight has shape [2, ",
        ),
        (
            lambda w: w | {"conv1.0.weight": w["conv1.0.weight"] / 0},
            "conv1.0.weight that are not finite",
        ),
        (lambda w: {"epoch": 3}, "holds no weights by name"),
    ],
)
def test_weights_that_do_not_fit_are_refused(source, tmp_path, model, change, said):
    file = tmp_path / "weights.pt"
    torch.save(change(model.state_dict()), file)
    message = refused(source, tmp_path / "out", model=f"timm:{NAME}", pretrained=str(file))
    assert message.startswith(f"embed.pretrained: {file} ")
    assert said in message


@pytest.mark.parametrize("write", [torch.save, lambda x, f: f.write_bytes(pickle.dumps(x))])
def test_pickled_code_is_refused_and_does_not_run(source, tmp_path, model, write):
    bomb = Bomb()
    bomb.target = str(tmp_path / "ran")
    write({"state_dict": bomb}, tmp_path / "model.pt")
    given = {"model": f"timm:{NAME}", "pretrained": str(tmp_path / "model.pt")}
    assert "holds pickled code, which is not loaded" in refused(source, tmp_path / "out", **given)
    folder = saved(tmp_path / "saved", model)
    (folder / "model.safetensors").unlink()
    write({"state_dict": bomb}, folder / "pytorch_model.bin")
    message = refused(source, tmp_path / "other", model=f"timm:local-dir:{folder}")
    assert "pytorch_model.bin holds pickled code, which is not loaded" in message
    assert not (tmp_path / "ran").exists()


def test_a_tag_in_the_place_of_a_file_is_told_where_it_belongs(source, tmp_path):
    message = refused(source, tmp_path / "out", model="timm:resnet18", pretrained="a1_in1k")
    assert message == (
        "embed.pretrained: 'a1_in1k': no such file; a tag of timm goes into embed.model: "
        "timm:resnet18.<tag>"
    )


@pytest.mark.parametrize("name", ["hf-hub:organisation/name", "local-dir:/nowhere"])
def test_weights_beside_a_model_that_has_its_own_are_refused(source, tmp_path, checkpoint, name):
    given = {"model": f"timm:{name}", "pretrained": str(checkpoint)}
    message = refused(source, tmp_path / "out", **given)
    assert message.endswith(
        f"does not go with timm:{name}, which has its own weights; set it to null"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("not JSON", "could not be built ("),
        ('{"architecture": "no_net", "pretrained_cfg": {}}', "Unknown model (no_net)"),
        ('{"pretrained_cfg": {}}', "could not be built ("),
        ("[]", "could not be built ("),
        (
            '{"architecture": "test_resnet", "pretrained_cfg": {"input_size": [1, 64, 64], '
            '"mean": [0.5], "std": [0.5]}}',
            "it takes 1 channels; choose a model of colour images",
        ),
    ],
)
def test_a_damaged_folder_is_refused(source, tmp_path, model, content, said):
    folder = saved(tmp_path / "saved", model)
    (folder / "config.json").write_text(content)
    message = refused(source, tmp_path / "out", model=f"timm:local-dir:{folder}")
    assert message.startswith(f"embed.model: timm:local-dir:{folder}: ")
    assert said in message
