"""An encoder in another number format, and how far its embeddings then are from float32's."""

from dataclasses import replace

import numpy as np
import torch
from scipy.spatial.distance import pdist

from stages.core.vision.encoder import Encoder
from stages.core.vision.hardware import DTYPES, map_on_cores
from stages.core.vision.packing import can_pack, pack


def with_precision(encoder: Encoder, precision: str) -> Encoder:
    """The encoder in another number format (the whole model, not autocast), laid out for speed.

    The model is converted in place, so that the given encoder must not be used any more.
    Convolutions get their weights channels last; in bfloat16 on a CPU a vision transformer gets
    the modules of stages.core.vision.packing.
    """
    model = encoder.model
    exact = {
        name: parameter.detach().clone()
        for name, parameter in model.named_parameters(recurse=False)
        if name in ("logit_scale", "logit_bias")  # of float32 cosines, later on
    }
    model.to(DTYPES[precision])
    for name, value in exact.items():
        getattr(model, name).data = value
    if encoder.device.type != "mps":
        encoder.model.visual.to(memory_format=torch.channels_last)
    if precision == "bf16" and encoder.device.type == "cpu" and can_pack():
        pack(encoder.model.visual)
    return replace(encoder, precision=precision)


def in_precision(encoder: Encoder, precision: str, sample: np.ndarray) -> tuple[Encoder, float]:
    """(the encoder in a number format, how far it is from fp32 by `relative_deviation`).

    sample: (levels, images, 3, H, W) float32. The given encoder must not be used any more.
    """
    if precision == "fp32":
        return with_precision(encoder, precision), 0.0
    exact = list(map_on_cores(encoder.device, encoder.encode_images, sample))
    encoder = with_precision(encoder, precision)
    found = list(map_on_cores(encoder.device, encoder.encode_images, sample))
    return encoder, relative_deviation(found, exact)


def relative_deviation(approximate: list[np.ndarray], exact: list[np.ndarray]) -> float:
    """Mean distance of rows from the exact ones, over the mean distance of two exact ones."""
    found, right = (np.concatenate(rows).astype(np.float64) for rows in (approximate, exact))
    scale = pdist(right).mean() if len(right) > 1 else 0.0
    return float(np.linalg.norm(found - right, axis=1).mean() / scale) if scale > 0 else 0.0
