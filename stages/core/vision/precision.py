"""How far the embeddings of an encoder in another number format are from float32's."""

import numpy as np
from scipy.spatial.distance import pdist

from stages.core.vision.encoder import Encoder
from stages.core.vision.hardware import map_on_cores


def in_precision(encoder: Encoder, precision: str, sample: np.ndarray) -> tuple[Encoder, float]:
    """(the encoder in a number format, how far it is from fp32 by `relative_deviation`).

    sample: (levels, images, 3, H, W) float32. The given encoder must not be used any more.
    """
    if precision == "fp32":
        return encoder.with_precision(precision), 0.0
    exact = list(map_on_cores(encoder.device, encoder.encode_images, sample))
    encoder = encoder.with_precision(precision)
    found = list(map_on_cores(encoder.device, encoder.encode_images, sample))
    return encoder, relative_deviation(found, exact)


def relative_deviation(approximate: list[np.ndarray], exact: list[np.ndarray]) -> float:
    """Mean distance of rows from the exact ones, over the mean distance of two exact ones."""
    found, right = (np.concatenate(rows).astype(np.float64) for rows in (approximate, exact))
    scale = pdist(right).mean() if len(right) > 1 else 0.0
    return float(np.linalg.norm(found - right, axis=1).mean() / scale) if scale > 0 else 0.0
