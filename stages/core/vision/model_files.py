"""The names by which files and folders of models are known, without loading a library."""

from pathlib import Path

SHIPPED_MODEL = "texture-clip"
CONFIG_FILE = "open_clip_config.json"
WEIGHTS_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
CHECKPOINT_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")


def names_a_checkpoint(text: str) -> bool:
    """Whether a user means a file of weights, there or not, and no tag of open_clip."""
    return "/" in text or Path(text).suffix in CHECKPOINT_SUFFIXES
