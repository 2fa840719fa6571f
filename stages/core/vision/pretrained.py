"""Weights that a user names, by a tag of open_clip or as a file, and how images were prepared.

Weights say nothing of how images were prepared for their training, nor of the GELU that they were
trained with; what open_clip lists, or the configuration beside a file, does.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import NamedTuple

import open_clip
import torch
from open_clip.pretrained import download_pretrained

from stages.core.runtime.errors import StudyError, quoted
from stages.core.runtime.paths import user_path
from stages.core.vision.checkpoints import read_weights
from stages.core.vision.messages import nearest, quiet, reason
from stages.core.vision.model_config import ModelSettings, as_pair, read_model_config
from stages.core.vision.model_files import (
    CHECKPOINT_SUFFIXES,
    CONFIG_FILE,
    Keys,
    names_a_checkpoint,
)

# What of the preparation of images weights do not show.
PREPARATION = ("mean", "std", "interpolation", "resize_mode")

# Settings that change what is trained, or how the model is found, but not what it computes.
NO_PART_OF_THE_MODEL = ("patch_dropout", "timm_model_pretrained", "timm_drop", "hf_", "tokenizer_")

# Buffers of OpenAI's own checkpoints, which were all trained with QuickGELU.
OPENAI_KEYS = {"input_resolution", "context_length", "vocab_size"}


class Found(NamedTuple):
    """Weights that the user named, and what is known of how their images were prepared."""

    file: Path
    preparation: dict


def find_weights(name: str, pretrained: str, config: dict, keys: Keys) -> Found:
    """The weights of a tag, which may mean a download, or of a file, for an architecture."""
    quick_gelu = bool(config.get("quick_gelu"))
    settings = open_clip.get_pretrained_cfg(name, pretrained)
    if settings:
        _require_gelu(
            bool(settings.get("quick_gelu")), quick_gelu, name, f"tag {pretrained!r}", keys
        )
        return Found(_download(name, pretrained, settings, keys), _preparation(settings))
    file = user_path(pretrained, keys.pretrained)
    if file.exists():
        if not file.is_file() or file.suffix not in CHECKPOINT_SUFFIXES:
            raise StudyError(
                f"{keys.pretrained}: {file} is not a checkpoint; give a file that ends in "
                f"{', '.join(CHECKPOINT_SUFFIXES)}"
            )
        return Found(file, _known_preparation(file, name, config, keys))
    plain = name.removesuffix("-quickgelu")
    if plain != name and open_clip.get_pretrained_cfg(plain, pretrained):
        _require_gelu(False, quick_gelu, name, f"tag {pretrained!r}", keys)
    if names_a_checkpoint(pretrained):
        raise StudyError(f"{keys.pretrained}: {pretrained}: no such file")
    tags = open_clip.list_pretrained_tags_by_model(name)
    fix = nearest(pretrained, tags) if tags else "open_clip has no tags for it, give a file"
    raise StudyError(f"{keys.pretrained}: {quoted(pretrained)} is no tag of {name}; {fix}")


def _preparation(settings: dict) -> dict:
    return {key: settings[key] for key in PREPARATION if key in settings}


def usual_preparation(name: str) -> dict:
    """How images are prepared for all of open_clip's weights of an architecture, where they agree.

    What a user trained from such weights is the likeliest to come without a word on it.
    """
    tags = open_clip.list_pretrained_tags_by_model(name)
    found = [_preparation(open_clip.get_pretrained_cfg(name, tag)) for tag in tags]
    return found[0] if found and all(each == found[0] for each in found) else {}


def _known_preparation(file: Path, name: str, config: dict, keys: Keys) -> dict:
    """How images are prepared for a checkpoint, where open_clip's configuration beside it or
    open_clip's own list tells; {} where nothing does.

    Raises StudyError where that tells of another architecture, in what the shapes of weights do
    not show.
    """
    notes, quick_gelu = file.parent / CONFIG_FILE, bool(config.get("quick_gelu"))
    if notes.exists():
        beside = read_model_config(notes)
        _require_gelu(beside.model_cfg.quick_gelu, quick_gelu, name, str(file), keys)
        _require_same_architecture(beside.model_cfg, notes, name, config, keys)
        return _preparation(beside.preprocess_cfg.given())
    listed = _listed(file)
    known = bool(listed.get("quick_gelu")) if listed else None
    if known is None and re.search("openai|quick-?_?gelu", file.name.lower()):
        known = True
    if known is not None:
        _require_gelu(known, quick_gelu, name, str(file), keys)
    return _preparation(listed)


def _listed(file: Path) -> dict:
    """What open_clip lists for a file, by its name or that of its hub's folder in a cache."""
    for name, tag in open_clip.list_pretrained():
        settings = open_clip.get_pretrained_cfg(name, tag)
        repository = settings.get("hf_hub", "").strip("/").split("/")
        cached = "models--" + "--".join(repository[:2])
        if cached in file.parts or Path(settings.get("url", "")).name == file.name:
            return settings
    return {}


def _require_same_architecture(
    beside: ModelSettings, notes: Path, name: str, config: dict, keys: Keys
) -> None:
    """Raise StudyError where a configuration computes something else than the architecture."""
    ours = ModelSettings.model_validate_json(json.dumps(config))
    for section in ("vision_cfg", "text_cfg"):
        one, other = (getattr(each, section).model_dump() for each in (ours, beside))
        for key in one:
            if key == "image_size":
                one[key], other[key] = as_pair(one[key]), as_pair(other[key])
            if one[key] != other[key] and not key.startswith(NO_PART_OF_THE_MODEL):
                raise StudyError(
                    f"{keys.pretrained}: {notes} says {section}.{key}: {other[key]}, while {name} "
                    f"has {one[key]}; set {keys.model} to the architecture of these weights, or to "
                    "their folder"
                )


def _require_gelu(
    trained_with: bool, built_with: bool, name: str, weights: str, keys: Keys
) -> None:
    """Raise StudyError where weights and architecture differ in QuickGELU."""
    if trained_with == built_with:
        return
    other = f"{name}-quickgelu" if trained_with else name.removesuffix("-quickgelu")
    fix = f"set {keys.model}: {other}" if other in open_clip.list_models() else "take another model"
    gelus = {True: "QuickGELU", False: "GELU"}
    raise StudyError(
        f"{keys.pretrained}: {weights} was trained with {gelus[trained_with]}, while {name} has "
        f"{gelus[built_with]}; {fix}"
    )


def _download(name: str, tag: str, settings: dict, keys: Keys) -> Path:
    """The weights file of a tag, from open_clip's cache or the network, checked by its SHA-256."""
    try:
        with quiet():
            file = Path(download_pretrained(settings))
    except (OSError, RuntimeError, ValueError) as error:
        raise StudyError(
            f"{keys.pretrained}: the weights {tag!r} of {name} could not be downloaded "
            f"({reason(error)}); connect to the network, or give a checkpoint file"
        ) from None
    require_whole_download(file)
    return file


def require_whole_download(file: Path) -> None:
    """Raise StudyError unless a file of a hub's cache has the SHA-256 that it is named by.

    huggingface_hub checks the size alone, but names a large file by its SHA-256.
    """
    expected = file.readlink().name if file.is_symlink() else ""
    if re.fullmatch("[0-9a-f]{64}", expected):
        with file.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        if found != expected:
            raise StudyError(
                f"{file}: its SHA-256 is {found} instead of {expected}; remove "
                f"{file.parents[2]} and run the stage again"
            )


def read_own_weights(
    file: Path, where: str, name: str, config: dict, keys: Keys
) -> dict[str, torch.Tensor]:
    """The weights in a file, without the buffers by which OpenAI's own are known."""
    weights = read_weights(file, where)
    if OPENAI_KEYS & weights.keys():
        _require_gelu(True, bool(config.get("quick_gelu")), name, str(file), keys)
    return {key: tensor for key, tensor in weights.items() if key not in OPENAI_KEYS}
