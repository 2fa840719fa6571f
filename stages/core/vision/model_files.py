"""The names of models' files and folders, and of the settings that name them; loads no library."""

from dataclasses import dataclass
from pathlib import Path

SHIPPED_MODEL = "texture-clip"
PRECOMPUTED = "precomputed"  # no model: features that were computed elsewhere
CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
CHECKPOINT_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")


def names_a_checkpoint(text: str) -> bool:
    """Whether a user means a file of weights, there or not, and no tag of open_clip."""
    return "/" in text or Path(text).suffix in CHECKPOINT_SUFFIXES


@dataclass(frozen=True)
class Keys:
    """What params.yaml calls the settings of an encoder, for messages."""

    model: str = "embed.model"
    pretrained: str = "embed.pretrained"
    texts: str = "embed.templates"


EMBED_KEYS = Keys()
