"""The names of models' files and folders, and of the settings that name them; loads no library."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from stages.core.runtime.errors import StudyError, quoted
from stages.core.runtime.paths import user_path

# open_clip's configurations of our own architectures.
ARCHITECTURES = Path(__file__).with_name("architectures")
SHIPPED_MODEL = "texture-clip"
PRECOMPUTED = "precomputed"  # no model: features that were computed elsewhere
TIMM = "timm:"  # before the name of a model of timm
LOCAL = "local-dir:"  # then a folder in which timm has saved one
CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
CARD = "README.md"  # beside them, as on the Hugging Face hub
TIMM_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
CHECKPOINT_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")


def names_a_checkpoint(text: str) -> bool:
    """Whether a user means a file of weights, there or not, and no tag of open_clip."""
    return "/" in text or Path(text).suffix in CHECKPOINT_SUFFIXES


class OwnFile(NamedTuple):
    """A file of the user's, and the function in it that loads an encoder."""

    file: Path
    function: str


def own_file(text: str, key: str) -> OwnFile | None:
    """What `path/to/file.py:function` names; None for a model of another kind.

    Raises StudyError where the function is not named, `key` being the setting.
    """
    match = re.fullmatch(r"(.+\.py)(?::(.*))?", text)
    if match is None:
        return None
    file, function = match.groups()
    if not (function or "").isidentifier():
        raise StudyError(
            f"{key}: {quoted(text)}: name the function that loads the encoder after a colon, as in "
            f"{file}:load"
        )
    return OwnFile(user_path(file, key), function)


def files_of_model(model: str, pretrained: str | None, model_folder: Path) -> list[Path]:
    """The files and folders that an encoder is loaded from; none that a library downloads.

    As `load_encoder` takes them. Of a user's own file with what it may import beside it.
    """
    found = []
    if own := own_file(model, EMBED_KEYS.model):
        found = sorted(own.file.parent.glob("[!.]*.py"))
    elif model == SHIPPED_MODEL:
        found = [model_folder]
    else:
        found = [user_path(model.removeprefix(f"{TIMM}{LOCAL}"), EMBED_KEYS.model)]
    if pretrained is not None:
        file = user_path(pretrained, EMBED_KEYS.pretrained)
        found += [file, file.parent / CONFIG_FILE]
    return [path for path in found if path.exists()]


def require_in_study(model: str, pretrained: str | None) -> None:
    """Raise StudyError where a setting leads out of the study's folder, or may do so.

    Workers that do not see the folder find there what the setting names, by the same words.
    """
    for key, text in ((EMBED_KEYS.model, model), (EMBED_KEYS.pretrained, pretrained)):
        if text is None:
            continue
        own = own_file(text, key)
        path = own.file if own else user_path(text.removeprefix(f"{TIMM}{LOCAL}"), key)
        if path.is_absolute() or ".." in path.parts:
            raise StudyError(
                f"{key}: {quoted(text)} may lie outside of the study's folder, which the workers "
                "of STUDY_SHARED do not see; copy it into the folder, and name it relative to that"
            )


@dataclass(frozen=True)
class Keys:
    """What params.yaml calls the settings of an encoder, for messages."""

    model: str = "embed.model"
    pretrained: str = "embed.pretrained"
    texts: str = "embed.templates"


EMBED_KEYS = Keys()
