"""What an encoder of one's own has to offer: the file that `embed.model: path.py:load` names.

`load(device, precision)` is called in the file's module and returns an `OwnEncoder`. It is called
for fp32 first; for another precision, whose deviation from fp32 is measured, once more. Batches,
noise, the normalisation of pixels and of rows, checks and error messages are the study's.

On a CPU `prepare`, `encode_images` and `encode_texts` are called by several threads at a time, each
on one core, and always with the same number of images or texts, so that no embedding depends on
how many there are. They must return the same for the same input: no dropout, no random crop.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from PIL import Image

Array = np.ndarray | torch.Tensor


class OwnEncoder(Protocol):
    """What encodes images. The attributes and methods further below may be absent.

    mean, std: three numbers each, by which the study normalises [0, 1] pixels, channel by channel.
    """

    mean: Sequence[float] | Array
    std: Sequence[float] | Array

    def prepare(self, image: Image.Image) -> Array:
        """(3, H, W) float32 in [0, 1], not normalised; H and W are the same for every image.

        image: upright RGB, of any size.
        """

    def encode_images(self, batch: torch.Tensor) -> Array:
        """(b, 3, H, W) -> (b, d) of any float type, rows of any length but zero.

        batch: prepared images, perhaps with noise, normalised by `mean` and `std`; on the device
        and in the number format (float32, bfloat16 or float16) that `load` was called with.
        """


class ReadsText(OwnEncoder, Protocol):
    """An encoder that reads text too, for zero-shot classification.

    logit_scale: the factor (not its logarithm) that makes logits of cosines, 100 of OpenAI's
    models; may be absent, then the model has no probabilities. logit_bias: what is added to them;
    of models that were trained with sigmoids alone.
    """

    logit_scale: float | None
    logit_bias: float | None

    def encode_texts(self, texts: list[str]) -> Array:
        """n texts -> (n, d) of any float type, d as for images."""


class SaysWhetherTrained(OwnEncoder, Protocol):
    """An encoder whose weights may be random: trained, true where absent, is noted and said."""

    trained: bool


Load = Callable[[torch.device, str], OwnEncoder]  # (device, fp32 | bf16 | fp16)
