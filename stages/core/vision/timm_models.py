"""Models of timm, as encoders of images without text."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_model_data_config
from timm.models import get_arch_pretrained_cfgs, parse_model_name, split_model_name_tag
from torch import Tensor, nn
from torchvision.transforms import Compose, Normalize, ToTensor

from stages.core.runtime.errors import StudyError, quoted
from stages.core.runtime.paths import user_path
from stages.core.vision.checkpoints import read_weights, weights_by_name
from stages.core.vision.encoder import Encoder, pixels_of
from stages.core.vision.hardware import DTYPES
from stages.core.vision.messages import nearest, reason
from stages.core.vision.model_files import LOCAL, TIMM, TIMM_WEIGHTS, Keys
from stages.core.vision.open_clip_loading import seeded
from stages.core.vision.own_encoder import checked_encoder
from stages.core.vision.simplification import simplify


class TimmEncoder:
    """A timm model by stages.core.vision.protocol.

    preparation: timm's settings, by which images are resized and cropped as for validation.
    """

    def __init__(self, model: nn.Module, device: torch.device, precision: str) -> None:
        self.preparation = resolve_model_data_config(model)
        self.mean, self.std = self.preparation["mean"], self.preparation["std"]
        steps = create_transform(**self.preparation, is_training=False).transforms
        self._resize = Compose([s for s in steps if not isinstance(s, ToTensor | Normalize)])
        model = model.eval().requires_grad_(False)
        simplify(model, self.preparation["input_size"][1:])
        model = model.to(device, DTYPES[precision])
        self._model = model if device.type == "mps" else model.to(memory_format=torch.channels_last)

    def prepare(self, image: Image.Image) -> np.ndarray:
        """(3, H, W) float32 in [0, 1]."""
        return pixels_of(self._resize(image))

    def encode_images(self, batch: Tensor) -> Tensor:
        """(b, 3, H, W) -> (b, d): what the model has before its classifier, pooled."""
        return self._model(batch)


def load_timm(
    model: str, pretrained: str | None, seed: int, device: torch.device, keys: Keys
) -> Encoder:
    """A model of timm, in fp32, without its classifier.

    model: 'timm:' and a name of timm's: an architecture, whose weights are drawn at random from
    `seed`; an architecture and a tag, whose weights are downloaded once and kept; 'hf-hub:' and a
    name on the Hugging Face hub, likewise; 'local-dir:' and a folder
    that timm has saved a model in.
    pretrained: a checkpoint file, whose weights an architecture takes instead; a tag then says how
    images are prepared. Its weights are those of timm's model by name and shape; a classifier's
    are left out.

    Files are read without unpickling code. Raises StudyError for a model, tag or file that does
    not exist or does not fit.
    """
    name, where = model.removeprefix(TIMM), f"{keys.model}: {model}"
    try:
        source, known = parse_model_name(name)
    except ValueError as error:
        raise StudyError(f"{where}: {reason(error)}") from None
    file = _checkpoint(pretrained, name, keys) if pretrained is not None else None
    if source is None:
        architecture, tag = _known(known, where)
    elif file is not None:
        raise StudyError(
            f"{keys.pretrained}: {quoted(pretrained)} does not go with {model}, which has its own "
            "weights; set it to null"
        )
    elif source == LOCAL.rstrip(":"):
        folder = user_path(known, keys.model)
        name, file = f"{LOCAL}{folder}", _saved_weights(folder, where)

    download = file is None and (source is not None or bool(tag))
    weights_of = f"{where if source else keys.pretrained}: {file}"

    def load(device: torch.device, precision: str) -> TimmEncoder:
        built = _build(name, seed, download, where)
        if file is not None:
            found = _without_classifier(read_weights(file, weights_of), built)
            built.load_state_dict(weights_by_name(built, found, weights_of, model))
        return TimmEncoder(built, device, precision)

    encoder = checked_encoder(load, model, pretrained, device, where, "timm", None)
    assert isinstance(encoder.found, TimmEncoder)
    preparation = encoder.found.preparation
    remarks: tuple[str, ...] = ()
    if file is not None and not source and not tag:
        remarks = (_assumed(file, architecture, preparation),)
    trained = download or file is not None
    return replace(encoder, trained=trained, preprocessing=preparation, remarks=remarks)


def _known(name: str, where: str) -> tuple[str, str]:
    """(architecture, tag or '') of a name that timm knows."""
    architecture, tag = split_model_name_tag(name)
    if not timm.is_model(architecture):
        fix = nearest(architecture, timm.list_models())
        raise StudyError(f"{where}: timm has no architecture {quoted(architecture)}; {fix}")
    known = list(get_arch_pretrained_cfgs(architecture))
    if tag and name not in known:
        fix = nearest(name, known) if known else "it has none, leave it out"
        raise StudyError(f"{where}: timm has no tag {quoted(tag)} of {architecture}; {fix}")
    return architecture, tag


def _checkpoint(pretrained: str, name: str, keys: Keys) -> Path:
    """The file that the user names, which must be there."""
    file = user_path(pretrained, keys.pretrained)
    if not file.exists():
        architecture, _, _ = name.partition(".")
        raise StudyError(
            f"{keys.pretrained}: {quoted(pretrained)}: no such file; a tag of timm goes into "
            f"{keys.model}: {TIMM}{architecture}.<tag>"
        )
    return file


def _saved_weights(folder: Path, where: str) -> Path:
    """The weights in a folder that timm has saved a model in."""
    for file in (folder / name for name in TIMM_WEIGHTS):
        if file.exists():
            return file
    raise StudyError(
        f"{where}: {folder} holds no {' or '.join(TIMM_WEIGHTS)}; save the model there"
    )


def _build(name: str, seed: int, download: bool, where: str) -> nn.Module:
    """A model as timm builds it, without its classifier; its weights downloaded, or random."""
    try:
        with seeded(seed):
            model = timm.create_model(name, pretrained=download, num_classes=0)
            channels = resolve_model_data_config(model)["input_size"][0]
    except MemoryError:
        raise
    except Exception as error:  # what a configuration or a download may break has no common class
        problem = "could not be built"
        fix = "choose another model"
        if download:
            problem = "could not be downloaded"
            fix = "check its name, connect to the network, or give a checkpoint file"
        raise StudyError(f"{where}: {problem} ({reason(error)}); {fix}") from None
    if channels != 3:
        raise StudyError(f"{where}: it takes {channels} channels; choose a model of colour images")
    return model


def _without_classifier(weights: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """The weights but for those of the classifiers that timm lists for the model."""
    listed = getattr(model, "pretrained_cfg", {}).get("classifier") or ()
    classifiers = tuple(f"{c}." for c in ((listed,) if isinstance(listed, str) else listed))
    own = model.state_dict()
    return {
        key: weight
        for key, weight in weights.items()
        if key in own or not key.startswith(classifiers)
    }


def _assumed(file: Path, architecture: str, preparation: dict) -> str:
    """What is assumed of the preparation of images for weights without a tag."""
    mean, std = (" ".join(f"{x:g}" for x in preparation[key]) for key in ("mean", "std"))
    _, height, width = preparation["input_size"]
    return (
        f"{file} does not say how images were prepared for the training; assumed, as timm does for "
        f"{architecture}: {height} x {width} pixels, crop {preparation['crop_pct']:g}, "
        f"{preparation['interpolation']}, mean {mean}, std {std}; a tag would say it, as in "
        f"embed.model: {TIMM}{architecture}.<tag>"
    )
