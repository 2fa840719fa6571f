"""The encoder that a user names: a model of open_clip or timm, or one of the user's own."""

from pathlib import Path

import torch

from stages.core.vision.encoder import Encoder
from stages.core.vision.model_files import EMBED_KEYS, TIMM, Keys, own_file
from stages.core.vision.open_clip_loading import load_open_clip
from stages.core.vision.own_encoder import load_own
from stages.core.vision.timm_models import load_timm


def load_encoder(
    model: str,
    pretrained: str | None,
    model_folder: Path,
    seed: int,
    device: torch.device,
    keys: Keys = EMBED_KEYS,
) -> Encoder:
    """Load an encoder in fp32.

    model: 'path/to/file.py:function', as `load_own` takes it; 'timm:<name>', as `load_timm`; or
    whatever `load_open_clip` takes. pretrained, seed: the weights, where it does not have its own.
    model_folder: what 'texture-clip' stands for. keys: the settings that messages name.

    Raises StudyError for what does not exist, does not fit or cannot be loaded.
    """
    if model.startswith(TIMM):
        return load_timm(model, pretrained, seed, device, keys)
    if own_file(model, keys.model):
        return load_own(model, pretrained, device, keys)
    return load_open_clip(model, pretrained, model_folder, seed, device, keys)
