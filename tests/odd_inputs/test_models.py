"""Odd models and weights: each is refused in one line before anything is written, or loaded right.

The tests run the embed stage on a tiny data set; those of pretrain's own settings, whose loading
is the same, are in tests/test_pretrain.py.
"""

import errno
import json
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import load_file, save_file

from stages.core.runtime.errors import StudyError
from stages.core.vision.encoder import Encoder
from stages.core.vision.loading import load_encoder
from stages.core.vision.model_config import read_model_config
from stages.core.vision.model_files import Keys
from stages.core.vision.pretrained import usual_preparation
from stages.core.vision.tokens import whole_texts
from stages.embed import embed
from tests.refusals import refusal
from tests.test_embed import options, run, write_source
from tests.test_encoder import TINY, write_model

CPU = torch.device("cpu")
PREPARATION = {
    "mean": [0.5, 0.4, 0.3],
    "std": [0.2, 0.25, 0.3],
    "interpolation": "bilinear",
    "resize_mode": "squash",
}
WEIGHTS = "open_clip_model.safetensors"
CONFIG = "open_clip_config.json"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def weights(source: Path) -> dict[str, torch.Tensor]:
    return load_file(source / "model" / WEIGHTS)


@pytest.fixture(scope="module", autouse=True)
def architectures(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("configs")
    (folder / "tiny-odd.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(folder)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where anything would reach the network: data never does."""

    def reach(*_: object) -> None:
        raise AssertionError("the network was reached")

    monkeypatch.setattr(socket.socket, "connect", reach)
    monkeypatch.setattr(socket, "getaddrinfo", reach)


def refused(source: Path, out: Path, **changes: object) -> str:
    """The line by which embed refuses the settings; nothing may be left behind."""
    message = refusal(embed, *options(source, out, **changes))
    assert [file.name for file in out.iterdir()] == ["params.yaml"]
    return message


def loaded(model: str | Path, pretrained: str | Path | None = None) -> Encoder:
    given = None if pretrained is None else str(pretrained)
    return load_encoder(str(model), given, Path("unused"), 0, CPU)


# The configuration in a model's folder


def deep(content: object) -> str:
    return "[" * 3000 + "]" * 3000


def changed(*path: str, to: object) -> Callable[[dict], str]:
    """A configuration with one value set to something else."""

    def change(content: dict) -> str:
        *sections, key = path
        section = content
        for name in sections:
            section = section.setdefault(name, {})
        section[key] = to
        return json.dumps(content)

    return change


VISION, TEXT, PREPROCESS = ("model_cfg", "vision_cfg"), ("model_cfg", "text_cfg"), "preprocess_cfg"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed(*VISION, "patch_size", to=0), "model_cfg.vision_cfg.patch_size: 0: input should"),
        (changed(*VISION, "patch_size", to=-8), "model_cfg.vision_cfg.patch_size: -8: "),
        (changed(*VISION, "patch_size", to="8"), "model_cfg.vision_cfg.patch_size: '8': "),
        (changed(*VISION, "patch_size", to=64), "has shape [17, 32] instead of [1, 32]"),
        (changed(*VISION, "image_size", to=[32, 32, 32]), "model_cfg.vision_cfg.image_size: "),
        (changed(*VISION, "image_size", to=[32, -1]), "model_cfg.vision_cfg.image_size.1: -1: "),
        (changed(*VISION, "image_size", to=10**9), "model_cfg.vision_cfg.image_size: 1000000000: "),
        (changed(*VISION, "layers", to=10**6), "model_cfg.vision_cfg.layers: 1000000: "),
        (changed(*VISION, "layers", to=[1, 1]), "model_cfg.vision_cfg.layers"),
        (changed(*VISION, "width", to=None), "model_cfg.vision_cfg.width: None: "),
        (changed(*VISION, "width", to=2**20), "has shape [32] instead of [1048576]"),  # 12 TB
        (changed(*VISION, "width", to=33), "not a model that open_clip can build"),
        (changed(*VISION, "mlp_ratio", to=1e308), "model_cfg.vision_cfg.mlp_ratio: 1e+308: "),
        (changed(*VISION, "pool_type", to="sum"), "not a model that open_clip can build"),
        (changed(*VISION, "norm_kwargs", to={"eps": "a"}), "not a model that open_clip can build"),
        (changed(*VISION, "act_kwargs", to=[1]), "model_cfg.vision_cfg.act_kwargs: [1]: "),
        (changed(*VISION, "timm_model_name", to="no_net"), "timm_model_name: 'no_net' is no arch"),
        (changed("model_cfg", "vision_cfg", to=[]), "model_cfg.vision_cfg: []: "),
        (changed("model_cfg", "embed_dim", to=2.5), "model_cfg.embed_dim: 2.5: "),
        (changed("model_cfg", "embed_dim", to=True), "model_cfg.embed_dim: True: "),
        (changed("model_cfg", "typo", to=1), "model_cfg.typo: unknown key"),
        (changed("model_cfg", to=None), "model_cfg: None: "),
        (changed(*TEXT, "context_length", to=0), "model_cfg.text_cfg.context_length: 0: "),
        (changed(*TEXT, "context_length", to=1), "has shape [16, 16] instead of [1, 16]"),
        (changed(*TEXT, "heads", to=3), "not a model that open_clip can build"),
        (changed(*TEXT, "proj_type", to="none"), "1 are unknown such as text_projection"),
        (changed(*TEXT, "tokenizer_kwargs", to={"clean": "no"}), "tokenizer_kwargs.clean: 'no': "),
        (changed(*TEXT, "tokenizer_kwargs", to={"x": 1}), "tokenizer_kwargs.x: unknown key"),
        (changed(*TEXT, "tokenizer_kwargs", to=[]), "model_cfg.text_cfg.tokenizer_kwargs: []: "),
        (changed(*TEXT, "tokenizer_mode", to="x"), "model_cfg.text_cfg.tokenizer_mode: 'x': "),
        (changed(PREPROCESS, "mean", to=[0.5, 0.5]), "preprocess_cfg.mean"),
        (changed(PREPROCESS, "mean", to=[123.7, 116.3, 103.5]), "preprocess_cfg.mean.0: 123.7: "),
        (changed(PREPROCESS, "mean", to=["a"] * 3), "preprocess_cfg.mean.0: 'a': "),
        (changed(PREPROCESS, "std", to=[0.2, 0, 0.2]), "preprocess_cfg.std.1: 0: input should"),
        (changed(PREPROCESS, "std", to=float("nan")), "preprocess_cfg.std: nan: "),
        (changed(PREPROCESS, "interpolation", to="cubic"), "interpolation: 'cubic': input should"),
        (changed(PREPROCESS, "resize_mode", to=3), "preprocess_cfg.resize_mode: 3: "),
        (changed(PREPROCESS, "mode", to="L"), "preprocess_cfg.mode: 'L': "),
        (changed(PREPROCESS, "size", to=64), "preprocess_cfg.size: 64 is not model_cfg.vision_cfg"),
        (changed(PREPROCESS, "size", to=[32]), "preprocess_cfg.size"),
        (changed(PREPROCESS, "interpolaton", to="bicubic"), "interpolaton: unknown key"),
        (changed(PREPROCESS, to=[1]), "preprocess_cfg: [1]: "),
        (deep, "not JSON: "),
        (lambda _: "", "not JSON: "),
        (lambda _: "[]", "[]: "),
        (lambda _: '{"model_cfg": {"embed_dim"', "not JSON: "),
        (lambda _: '"\\ud800"', "not JSON: "),
        (lambda _: " " * 2**20 + "{}", "more than 1,048,576 bytes"),
    ],
)
def test_a_configuration_that_describes_no_model_is_refused(source, tmp_path, change, message):
    folder = write_model(tmp_path / "model")
    (folder / CONFIG).write_text(change(json.loads((folder / CONFIG).read_text())))
    said = refused(source, tmp_path / "out", model=str(folder))
    assert message in said
    assert str(folder) in said


@pytest.mark.parametrize(
    "change",
    [
        changed(*TEXT, "hf_model_name", to="roberta-base"),
        changed(*TEXT, "hf_model_name", to="../elsewhere"),
        changed(*TEXT, "hf_tokenizer_name", to="timm/ViT-B-16-SigLIP"),
        changed(*TEXT, "hf_tokenizer_name", to="local-dir:/elsewhere"),
        changed(*VISION, "timm_model_name", to="hf-hub:timm/resnet50.a1_in1k"),
        changed(*VISION, "timm_model_name", to="hf_hub:timm/resnet50.a1_in1k"),
        changed(*VISION, "timm_model_name", to="local-dir:/elsewhere"),
        changed(*VISION, "timm_model_pretrained", to=True),
        changed(*TEXT, "tokenizer_kwargs", to={"bpe_path": "/elsewhere/vocabulary.gz"}),
        changed(*TEXT, "tokenizer_kwargs", to={"trust_remote_code": True}),
        changed(*TEXT, "tokenizer_kwargs", to={"reduction_mask": "syntax"}),
    ],
)
def test_a_configuration_never_leads_out_of_its_folder(source, tmp_path, change):
    folder = write_model(tmp_path / "model")
    (folder / CONFIG).write_text(change(json.loads((folder / CONFIG).read_text())))
    said = refused(source, tmp_path / "out", model=str(folder))
    assert said.startswith(f"{folder / CONFIG}: model_cfg.")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda file: file.symlink_to("/dev/zero")])
@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_a_model_s_file_that_is_not_regular_is_refused(source, tmp_path, name, make):
    folder = write_model(tmp_path / "model")
    (folder / name).unlink()
    make(folder / name)
    assert "not a regular file" in refused(source, tmp_path / "out", model=str(folder))


def test_every_configuration_of_open_clip_is_accepted(tmp_path):
    file = tmp_path / CONFIG
    for name in open_clip.list_models():
        file.write_text(json.dumps({"model_cfg": open_clip.get_model_config(name)}))
        read_model_config(file)
    for name, tag in open_clip.list_pretrained():
        settings = open_clip.get_pretrained_cfg(name, tag)
        known = {key: settings[key] for key in PREPARATION}
        file.write_text(json.dumps({"model_cfg": TINY, "preprocess_cfg": known}))
        assert read_model_config(file).preprocess_cfg.given() == known


# Weights that do not fit


def with_value(key: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable:
    return lambda weights: weights | {key: change(weights[key])}


PROJ = "visual.proj"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_value(PROJ, lambda x: x.int()), "holds visual.proj as int32, where weights are"),
        (with_value(PROJ, lambda x: x.to(torch.int8)), "holds visual.proj as int8"),
        (with_value(PROJ, lambda x: x > 0), "holds visual.proj as bool"),
        (with_value(PROJ, lambda x: x.to(torch.complex64)), "holds visual.proj as complex64"),
        (with_value(PROJ, lambda x: x.to(torch.float8_e4m3fn)), "visual.proj as float8_e4m3fn"),
        (with_value(PROJ, lambda x: x.to_sparse()), "holds visual.proj sparse, quantised or"),
        (with_value(PROJ, lambda x: x.to("meta")), "holds visual.proj sparse, quantised or"),
        (with_value(PROJ, lambda x: x[None]), "shape [1, 32, 16] instead of [32, 16]"),
        (with_value(PROJ, lambda x: x.flatten()), "shape [512] instead of [32, 16]"),
        (with_value(PROJ, lambda x: x.sum()), "shape [] instead of [32, 16]"),
        (with_value(PROJ, lambda x: x * torch.nan), "numbers in visual.proj that are not finite"),
        (with_value(PROJ, lambda x: x / 0), "numbers in visual.proj that are not finite"),
        (with_value(PROJ, lambda x: x.double() * 1e300), "in visual.proj that are not finite"),
        (with_value(PROJ, lambda x: x.tolist()), "holds no plain tensor as visual.proj"),
        (
            with_value("visual.positional_embedding", lambda x: x[:5]),
            "visual.positional_embedding has shape [5, 32] instead of [17, 32] (it was trained",
        ),
        (
            with_value("visual.positional_embedding", lambda x: torch.cat([x, x])),
            "visual.positional_embedding has shape [34, 32] instead of [17, 32] (it was trained",
        ),
        (
            with_value("positional_embedding", lambda x: torch.cat([x, x])),
            "positional_embedding has shape [32, 16] instead of [16, 16] (it was trained",
        ),
        (with_value("positional_embedding", lambda x: x[:8]), "has shape [8, 16] instead of [16,"),
        (with_value("logit_scale", lambda x: x * torch.nan), "in logit_scale that are not finite"),
        (with_value("logit_scale", lambda x: x * 0 + 100), "holds 100 as logit_scale"),
        (with_value("logit_scale", lambda x: x * 0 + 14.3), "holds 14.3 as logit_scale"),
        (with_value("logit_scale", lambda x: x * 0 - 100), "holds -100 as logit_scale"),
        (with_value("logit_scale", lambda x: torch.ones(3)), "logit_scale has shape [3] instead"),
        (lambda w: w | {"logit_bias": torch.tensor(torch.nan)}, "numbers in logit_bias that are"),
        (lambda w: w | {"logit_bias": torch.ones(2)}, "logit_bias has shape [2] instead of []"),
        (
            lambda w: {k: v for k, v in w.items() if k != "logit_scale"},
            "1 weights are missing such",
        ),
        (lambda w: w | {"module.logit_scale": w["logit_scale"]}, "1 are unknown such as module."),
        (lambda w: w | {"_orig_mod.logit_scale": w["logit_scale"]}, "holds weights twice"),
        (lambda w: w | {"x" * 5000: torch.ones(1)}, "1 are unknown such as xxxx"),
        (lambda w: w | {"image_encoder.model.patch_embed.0.rbr_conv.0.conv.weight": 1}, "not fit"),
        (lambda w: {"state_dict": {}}, "holds no weights by name, but "),
        (lambda w: {"epoch": 3, "optimizer": {"lr": 0.1}}, "holds no weights by name, but ['ep"),
        (lambda w: list(w.values()), "holds no weights by name, but 'list'"),
        (lambda w: dict(enumerate(w.values())), "holds no weights by name"),
        (lambda w: w[PROJ], "holds no weights by name, but 'Tensor'"),
    ],
)
def test_weights_that_are_not_the_model_s_are_refused(source, weights, tmp_path, change, message):
    file = tmp_path / "weights.pt"
    torch.save(change(dict(weights)), file)
    said = refused(source, tmp_path / "out", model="tiny-odd", pretrained=str(file))
    assert message in said
    assert said.startswith(f"embed.pretrained: {file} ")
    assert len(said) < 600


def test_a_dictionary_that_holds_itself_is_refused(source, tmp_path):
    endless: dict[str, object] = {"epoch": 1}
    endless["model"] = endless
    torch.save(endless, tmp_path / "weights.pt")
    said = refused(
        source, tmp_path / "out", model="tiny-odd", pretrained=str(tmp_path / "weights.pt")
    )
    assert "holds no weights by name" in said


def prefixed(prefix: str) -> Callable[[dict], dict]:
    return lambda weights: {prefix + key: value for key, value in weights.items()}


@pytest.mark.parametrize(
    "form",
    [
        prefixed("module."),
        prefixed("model."),
        prefixed("_orig_mod."),
        prefixed("module._orig_mod."),
        prefixed("_orig_mod.module."),
        prefixed("model.module._orig_mod."),
        prefixed("_fsdp_wrapped_module."),
        lambda w: {key.replace("visual.", "visual._orig_mod."): v for key, v in w.items()},
        lambda w: {"state_dict": prefixed("module.")(w), "epoch": 3},
        lambda w: {"model_state_dict": w, "optimizer_state_dict": {"state": {}}},
        lambda w: {"model": w, "optimiser": {"lr": 0.1}, "step": 4},
        lambda w: {"module": prefixed("_orig_mod.")(w)},
        lambda w: {"model": {"state_dict": prefixed("model.")(w)}},
        lambda w: {key: value.double() for key, value in w.items()},
        lambda w: w | {"logit_scale": w["logit_scale"].reshape(1)},
    ],
)
@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
def test_weights_are_known_by_any_name_that_training_gives_them(weights, tmp_path, form, name):
    torch.save(form(dict(weights)), tmp_path / name)  # what a file holds counts, not its name
    found = loaded("tiny-odd", tmp_path / name).model.state_dict()
    torch.testing.assert_close(found, weights)


@pytest.mark.parametrize("bias", [-10.0, -16.5, 0.0])
def test_a_logit_bias_among_the_weights_is_loaded(weights, tmp_path, bias):
    file = tmp_path / "weights.safetensors"
    save_file(weights | {"logit_bias": torch.tensor([bias])}, file)
    found = loaded("tiny-odd", file)
    assert (found.logit_bias, found.probabilities) == (bias, "sigmoid")


def test_a_logit_bias_is_written_down(source, weights, tmp_path):
    file, bias = tmp_path / "weights.safetensors", -10.03125
    save_file(weights | {"logit_bias": torch.tensor(bias)}, file)
    result = run(source, tmp_path / "out", model="tiny-odd", pretrained=str(file))
    assert result.exit_code == 0, result.output
    written = json.loads((tmp_path / "out" / "embeddings" / "encoder.json").read_text())
    assert written["logit_bias"] == pytest.approx(bias, rel=1e-5)
    assert written["probabilities"] == "sigmoid"


def test_a_model_without_a_logit_bias_is_one_of_softmax(source, tmp_path):
    assert run(source, tmp_path).exit_code == 0
    written = json.loads((tmp_path / "embeddings" / "encoder.json").read_text())
    assert (written["logit_bias"], written["probabilities"]) == (None, "softmax")
    assert written["logit_scale"] == pytest.approx(1 / 0.07, rel=1e-5)


# Files that hold no weights


def truncated_safetensors(file: Path, weights: dict) -> None:
    save_file(weights, file)
    file.write_bytes(file.read_bytes()[:5000])


def truncated_archive(file: Path, weights: dict) -> None:
    torch.save(weights, file)
    file.write_bytes(file.read_bytes()[:5000])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file, _: file.touch(), "it is empty"),
        (truncated_safetensors, "it is damaged"),
        (truncated_archive, "it is damaged"),
        (lambda file, _: file.write_bytes(struct.pack("<Q", 2**62) + b"{"), "it is damaged"),
        (lambda file, _: file.write_bytes(struct.pack("<Q", 9) + b"{" + b"\xff" * 9), "it is dam"),
        (
            lambda file, _: file.write_bytes(b"version https://git-lfs.github.com/spec"),
            "begins with",
        ),
        (lambda file, _: file.write_bytes(b"<!DOCTYPE html>"), "it begins with b'<!DOCTYPE'"),
        (lambda file, _: file.write_bytes(b"\x93NUMPY\x01\x00"), "it begins with b'\\x93NUMPY"),
        (lambda file, _: file.write_bytes(b"PK\x03\x04"), "it is damaged"),
        (lambda file, _: file.write_bytes(b"\x80\x02"), "it is damaged"),
        (lambda file, _: file.mkdir(), "is not a checkpoint"),
        (lambda file, _: os.mkfifo(file), "is not a checkpoint"),
        (lambda file, _: file.symlink_to("/dev/zero"), "is not a checkpoint"),
        (lambda file, _: file.symlink_to("nowhere"), "no such file"),
        (lambda file, _: file.symlink_to(file), "no such file"),
    ],
)
@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
def test_a_file_without_weights_is_refused(source, weights, tmp_path, damage, message, name):
    file = tmp_path / name
    damage(file, weights)
    said = refused(source, tmp_path / "out", model="tiny-odd", pretrained=str(file))
    assert message in said
    assert said.startswith(f"embed.pretrained: {file}")


def test_a_file_that_may_not_be_read_is_refused(source, weights, tmp_path, monkeypatch):
    file = tmp_path / "weights.safetensors"
    save_file(weights, file)

    def forbid(path: Path, *_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    arguments = options(source, tmp_path / "out", model="tiny-odd", pretrained=str(file))
    opened = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, *a, **b: forbid(path) if path == file else opened(path, *a, **b)
    )
    assert f"{file} may not be read" in refusal(embed, *arguments)


@pytest.mark.parametrize("path", ["~nosuchuser/x", "~nosuchuser", "~nosuchuser/m.safetensors"])
@pytest.mark.parametrize("key", ["model", "pretrained"])
def test_a_home_that_nobody_has_is_refused(source, tmp_path, key, path):
    changes = {"model": "tiny-odd"} | {key: path}
    said = refused(source, tmp_path, **changes)
    assert said == f"embed.{key}: {path!r}: no home folder of '~nosuchuser' is known here; " + (
        "write the path out"
    )


@pytest.mark.parametrize("path", ["~", "~/model", "~/a/b"])
def test_a_user_without_a_home_is_told_to_write_the_path_out(source, tmp_path, path, monkeypatch):
    written_out = Path.expanduser

    def no_home(given: Path) -> Path:
        if given.parts[0] == "~":
            raise RuntimeError("Could not determine home directory.")
        return written_out(given)

    monkeypatch.setattr(Path, "expanduser", no_home)
    assert refused(source, tmp_path, model=path).endswith("write the path out")


def test_a_home_folder_is_found(weights, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_model(tmp_path / "model")
    torch.testing.assert_close(loaded("~/model").model.state_dict(), weights)
    found = loaded("tiny-odd", f"~/model/{WEIGHTS}").model.state_dict()
    torch.testing.assert_close(found, weights)


@pytest.mark.parametrize("length", [300, 900])
@pytest.mark.parametrize("key", ["model", "pretrained"])
def test_a_name_that_no_file_can_have_is_refused(source, tmp_path, key, length):
    refused(source, tmp_path, **{"model": "tiny-odd"} | {key: "x" * length})


# How images are prepared for weights in a file


def checkpoint(folder: Path, weights: dict, name: str = "weights.safetensors") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / name)
    return folder / name


def write_notes(folder: Path, preparation: dict, **changes: object) -> None:
    config = {"model_cfg": TINY | changes, "preprocess_cfg": preparation}
    (folder / CONFIG).write_text(json.dumps(config))


@pytest.mark.parametrize(
    "preparation",
    [
        PREPARATION,
        PREPARATION | {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "resize_mode": "longest"},
        PREPARATION | {"size": [32, 32], "mode": "RGB", "fill_color": 0},
    ],
)
def test_the_configuration_beside_weights_says_how_images_are_prepared(
    weights, tmp_path, preparation
):
    file = checkpoint(tmp_path / "w", weights)
    write_notes(file.parent, preparation)
    given = loaded("tiny-odd", file)
    assert given.remarks == ()
    assert {key: given.preprocessing[key] for key in PREPARATION} == {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in preparation.items()
        if key in PREPARATION
    }
    np.testing.assert_array_equal(given.mean, np.float32(preparation["mean"]))


@pytest.mark.parametrize(
    ("name", "mean", "resize_mode"),
    [
        ("models--timm--ViT-B-16-SigLIP", 0.5, "squash"),
        ("models--UCSC-VLAA--ViT-L-14-CLIPA-datacomp1B", 0.485, "squash"),
        ("models--apple--MobileCLIP-S1-OpenCLIP", 0.0, "shortest"),
        ("models--laion--CLIP-ViT-B-32-laion2B-s34B-b79K", 0.48145466, "shortest"),
    ],
)
def test_what_open_clip_lists_for_a_file_says_how_images_are_prepared(
    weights, tmp_path, name, mean, resize_mode
):
    found = loaded("tiny-odd", checkpoint(tmp_path / name / "snapshots" / "1", weights))
    assert found.mean[0] == pytest.approx(mean)
    assert found.preprocessing["resize_mode"] == resize_mode
    assert found.remarks == ()


@pytest.mark.parametrize(
    ("known", "assumed"),
    [
        (None, "assumed: mean 0.481455 "),
        ({}, "interpolation bicubic, resize mode shortest; preprocess_cfg of open_clip_config"),
        ({"mean": [0.5] * 3, "std": [0.5] * 3}, "assumed: interpolation bicubic, resize mode sh"),
        ({"mean": None, "interpolation": "bilinear"}, "assumed: mean 0.481455 "),
    ],
)
def test_what_nothing_says_is_assumed_and_said(weights, tmp_path, known, assumed):
    file = checkpoint(tmp_path / "w", weights, WEIGHTS)
    if known is not None:
        write_notes(file.parent, known)
        (remark,) = loaded(file.parent).remarks
        assert remark.startswith(f"{file.parent / CONFIG} does not say all")
        assert assumed in remark
    (remark,) = loaded("tiny-odd", file).remarks
    assert remark.startswith(f"{file} does not say all")
    assert assumed in remark


def test_what_is_assumed_is_printed_and_written_down(source, weights, tmp_path):
    file = checkpoint(tmp_path / "w", weights)
    result = run(source, tmp_path / "out", model="tiny-odd", pretrained=str(file))
    assert result.exit_code == 0, result.output
    assert loaded("tiny-odd", file).remarks[0] in result.output.splitlines()
    written = json.loads((tmp_path / "out" / "embeddings" / "encoder.json").read_text())
    assert written["preprocessing"]["mean"][0] == 0.48145466


def test_weights_of_an_architecture_whose_tags_agree_are_taken_to_be_prepared_alike():
    assert usual_preparation("ViT-B-16-SigLIP")["mean"] == (0.5, 0.5, 0.5)
    assert usual_preparation("ViT-B-32")["resize_mode"] == "shortest"
    assert usual_preparation("tiny-odd") == {}


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("vision_cfg", {"head_width": 8}),
        ("vision_cfg", {"pool_type": "avg"}),
        ("text_cfg", {"no_causal_mask": True}),
        ("text_cfg", {"pool_type": "last"}),
    ],
)
def test_weights_of_an_architecture_that_computes_something_else_are_refused(
    source, weights, tmp_path, section, value
):
    file = checkpoint(tmp_path / "w", weights)
    write_notes(file.parent, PREPARATION, **{section: TINY[section] | value})
    said = refused(source, tmp_path / "out", model="tiny-odd", pretrained=str(file))
    ((key, there),) = value.items()
    assert f"{CONFIG} says {section}.{key}: {there}, while tiny-odd has" in said


@pytest.mark.parametrize("content", ["{}", "not JSON", '{"model_cfg": 3}'])
def test_a_damaged_configuration_beside_weights_is_refused(source, weights, tmp_path, content):
    file = checkpoint(tmp_path / "w", weights)
    (file.parent / CONFIG).write_text(content)
    said = refused(source, tmp_path / "out", model="tiny-odd", pretrained=str(file))
    assert said.startswith(f"{file.parent / CONFIG}: ")


# Models on the hub, which the user names


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for what huggingface_hub downloads: the folder of organisation/name."""

    def download(repo_id: str, filename: str, **_: object) -> str:
        file = tmp_path / "hub" / repo_id / filename
        if not file.exists():
            raise FileNotFoundError(f"no {filename} in {repo_id}\nand a long story")
        return str(file)

    monkeypatch.setattr("open_clip.pretrained.hf_hub_download", download)
    return tmp_path / "hub"


def test_a_model_on_the_hub_is_what_its_folder_is(source, tmp_path, hub):
    folder = write_model(hub / "organisation" / "name")
    on_hub, in_folder = (run(source, tmp_path / name, model=model) for name, model in (
        ("a", "hf-hub:organisation/name"), ("b", str(folder))
    ))  # fmt: skip
    assert on_hub.exit_code == in_folder.exit_code == 0, on_hub.output
    for name in ("noise_0.50_draw_1.npy", "text.npy"):
        found, wanted = (tmp_path / run / "embeddings" / name for run in ("a", "b"))
        assert found.read_bytes() == wanted.read_bytes()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hf-hub:", "embed.model: 'hf-hub:' could not be downloaded"),
        ("hf-hub:organisation/other", "'hf-hub:organisation/other' could not be downloaded"),
        ("hf-hub:organisation/no-weights", "Failed to download file (open_clip_pytorch_model.bin)"),
        ("hf-hub:organisation/damaged", "damaged: open_clip_model.safetensors cannot be read as"),
        ("hf-hub:organisation/nested", "timm_model_name: 'hf-hub:a/b' is no architecture"),
    ],
)
def test_a_model_that_is_not_on_the_hub_is_refused(source, tmp_path, hub, name, message):
    organisation = hub / "organisation"
    (write_model(organisation / "no-weights") / WEIGHTS).unlink()
    (write_model(organisation / "damaged") / WEIGHTS).write_bytes(b"damaged")
    nested = write_model(organisation / "nested") / CONFIG
    nested.write_text(
        changed(*VISION, "timm_model_name", to="hf-hub:a/b")(json.loads(nested.read_text()))
    )
    assert message in refused(source, tmp_path / "out", model=name)


def test_without_a_network_the_hub_is_one_line(source, tmp_path, monkeypatch):
    def reach(*_: object) -> None:
        raise OSError(errno.ENETUNREACH, "Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", reach)
    monkeypatch.setattr(socket, "getaddrinfo", reach)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    said = refused(source, tmp_path, model="hf-hub:organisation/name")
    assert "could not be downloaded" in said
    assert said.endswith("check its name, connect to the network, or give a folder")


# Texts that a model cannot hold


class StandIn:
    """A tokeniser with a token for each word, as those of transformers differ in filling up."""

    def __init__(self, length: int, fill: str, pad: int) -> None:
        self.context_length, self.fill, self.pad = length, fill, pad

    def __call__(self, texts: list[str], context_length: int | None = None) -> torch.Tensor:
        length = context_length or self.context_length
        return torch.tensor([self.tokens(text, length) for text in texts])

    def tokens(self, text: str, length: int) -> list[int]:
        words = [int(word) for word in text.split()]
        if self.fill == "end":  # SigLIP's: pads with the token that also ends a text
            return [*words[: length - 1], *[1] * max(length - len(words), 1)][:length]
        if self.fill == "left":
            words = [*words[: length - 1], 2]
            return [self.pad] * (length - len(words)) + words
        if self.fill == "class":  # CLIPS': a class token after the padding
            words = [2, *words[: length - 3], 3]
            return [*words, *[self.pad] * (length - 1 - len(words)), 9]
        words = [2, *words[: length - 2], 3]
        return words + [self.pad] * (length - len(words))


FILLS = [("end", 1, 7), ("left", 0, 7), ("class", 0, 5), ("right", 0, 6), ("right", 5, 6)]


@pytest.mark.parametrize("more", [1, 2, 9, 1200])
@pytest.mark.parametrize("word", [0, 5, 8])
@pytest.mark.parametrize(("fill", "pad", "fit"), FILLS)
def test_a_text_that_would_be_cut_is_refused_whatever_pads_it(fill, pad, fit, word, more):
    tokenise = whole_texts(StandIn(8, fill, pad), 10, Keys())
    for count in range(fit + 1):
        assert tokenise([" ".join([str(word)] * count)]).shape == (1, 8)
    long = " ".join([str(word)] * (fit + more))
    if word != pad:  # padding that is written out is no loss
        with pytest.raises(StudyError, match=r"embed.templates: .* is longer than the 8 tokens"):
            tokenise(["4 4", long])


@pytest.mark.parametrize("mask", ["simple", "random", "shuffle"])
def test_a_tokeniser_that_drops_words_by_chance_never_does(mask):
    tokenise = whole_texts(
        open_clip.SimpleTokenizer(context_length=8, reduction_mask=mask), 49408, Keys()
    )
    assert tokenise(["one two three four five six"]).shape == (1, 8)
    with pytest.raises(StudyError, match="is longer than the 8 tokens"):
        tokenise(["one two three four five six seven"])


@pytest.mark.parametrize("text", ["! ! ! ! ! ! !", "!!!!!!! a b c d e", "a b c d e f !?x"])
def test_exclamation_marks_which_are_token_zero_are_no_padding(text):
    tokenise = whole_texts(open_clip.SimpleTokenizer(context_length=8), 49408, Keys())
    with pytest.raises(StudyError, match="is longer than the 8 tokens"):
        tokenise([f"{text} {text}"])


@pytest.mark.parametrize("vocabulary", [8, 5, 1])
def test_tokens_beyond_the_model_s_vocabulary_are_refused(vocabulary):
    tokenise = whole_texts(StandIn(8, "right", 0), vocabulary, Keys())
    with pytest.raises(StudyError, match=r"embed.model: its tokeniser has token 8, while its text"):
        tokenise(["8"])


@pytest.mark.parametrize("length", [1, 2])
def test_a_context_without_room_for_a_text_is_refused(length):
    with pytest.raises(StudyError, match=f"a context of {length} tokens has no room"):
        whole_texts(StandIn(length, "class", 0), 10, Keys())


def test_embeddings_of_a_hub_s_tokeniser_that_fails_are_one_line(monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise OSError("We couldn't connect to the hub\nand a long story")

    monkeypatch.setattr(open_clip, "get_tokenizer", fail)
    with pytest.raises(
        StudyError, match=r"embed.model: the tokeniser of tiny-odd could not .*hub\)"
    ):
        loaded("tiny-odd")


def test_numbers_of_a_model_are_those_of_open_clip(source):
    model = open_clip.create_model(f"local-dir:{source / 'model'}").eval()
    images = np.random.default_rng(0).random((3, 3, 32, 32), dtype=np.float32)
    encoder = loaded(source / "model")
    with torch.inference_mode():
        wanted = model.encode_image(encoder.normalise(images), normalize=True).numpy()
    np.testing.assert_allclose(encoder.encode_images(images), wanted, atol=1e-6)
