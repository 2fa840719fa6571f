"""An encoder of one's own: colours, and the responses of random filters at four scales.

    dvc exp run -S embed.model=examples/own_encoder.py:load

embeds with what `load` below returns. It is a small torch module, so that it runs anywhere; put
your own network in its place. README.md, "Encode with your own model", lists what is asked of it.
"""

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

SIDE = 128  # pixels, of the prepared image
FILTERS = 32
SCALES = 4
SEED = 0


def load(device: torch.device, precision: str) -> "TextureStatistics":
    """What `embed` calls, with precision one of fp32, bf16 and fp16."""
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    return TextureStatistics().eval().requires_grad_(False).to(device, dtype)


class TextureStatistics(nn.Module):
    """Means and deviations of colours and of filtered images: 6 + 4 x 64 numbers for an image."""

    # By which `embed` normalises the pixels of `prepare`, each channel by its own number.
    mean = (0.5, 0.5, 0.5)
    std = (0.25, 0.25, 0.25)
    trained = False  # true where it is left out; the weights here are random

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(SEED)
        filters = torch.randn(FILTERS, 3, 7, 7, generator=generator)
        filters -= filters.mean(dim=(2, 3), keepdim=True)  # an even colour gives no response
        self.filters = nn.Parameter(filters / filters.flatten(1).norm(dim=1)[:, None, None, None])

    def prepare(self, image: Image.Image) -> np.ndarray:
        """RGB of any size -> (3, SIDE, SIDE) float32 in [0, 1]."""
        pixels = np.asarray(image.resize((SIDE, SIDE)), dtype=np.float32)
        return pixels.transpose(2, 0, 1) / np.float32(255)

    def encode_images(self, batch: Tensor) -> Tensor:
        """(b, 3, SIDE, SIDE) -> (b, 262)."""
        statistics = [batch.mean(dim=(2, 3)), batch.std(dim=(2, 3))]  # (b, 3) each
        for _ in range(SCALES):
            responses = functional.conv2d(batch, self.filters).abs()  # (b, FILTERS, h, w)
            statistics += [responses.mean(dim=(2, 3)), responses.std(dim=(2, 3))]
            batch = functional.avg_pool2d(batch, 2)
        return torch.cat(statistics, dim=1)
