"""Random views of training images, as the model's input."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stages.core.vision.encoder import Encoder
from stages.core.vision.model_config import as_pair


@dataclass(frozen=True)
class Normalisation:
    """How pixels enter the model: its input side, and the mean and deviation of each channel."""

    size: int
    mean: np.ndarray
    std: np.ndarray

    @classmethod
    def of(cls, encoder: Encoder) -> "Normalisation":
        """How pixels enter an encoder's model, which takes square images."""
        side, _ = as_pair(encoder.preprocessing["size"])
        return cls(side, encoder.mean, encoder.std)


def augment(
    pixels: Tensor, normalisation: Normalisation, noise: float, generator: np.random.Generator
) -> Tensor:
    """Random views of a batch, as the model's input.

    (b, s, s, 3) uint8 -> (b, 3, size, size) float32, normalised. A view is a turned, mirrored
    crop of a third to all of the image, in another exposure, contrast and saturation; half of
    the views get Gaussian noise of a standard deviation up to `noise`, in normalised pixels.
    """
    count, device = len(pixels), pixels.device

    def draw(low: float, high: float) -> Tensor:
        values = generator.uniform(low, high, (count, 1, 1, 1)).astype(np.float32)
        return torch.from_numpy(values).to(device)

    images = pixels.permute(0, 3, 1, 2).float() / 255  # (b, 3, s, s)
    theta = torch.from_numpy(_views(count, generator)).to(device)
    grid = functional.affine_grid(
        theta, [count, 3, normalisation.size, normalisation.size], align_corners=False
    )
    images = functional.grid_sample(
        images, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * draw(0.7, 1.3)
    level = images.mean(dim=(1, 2, 3), keepdim=True)
    images = (level * draw(0.8, 1.2) + (images - level) * draw(0.7, 1.3)).clamp(0, 1)
    mean, std = (
        torch.from_numpy(np.float32(x)).to(device)[:, None, None]
        for x in (normalisation.mean, normalisation.std)
    )
    images = (images - mean) / std
    strength = draw(-noise, noise).clamp(min=0)
    values = generator.standard_normal(images.shape, dtype=np.float32)
    return images + strength * torch.from_numpy(values).to(device)


def _views(count: int, generator: np.random.Generator) -> np.ndarray:
    """(count, 2, 3) float32: affine maps from the view's to the image's [-1, 1] square."""
    side = np.sqrt(generator.uniform(1 / 3, 1, count))
    aspect = np.exp(generator.uniform(-0.25, 0.25, count))
    across, down = np.minimum(side * aspect, 1), np.minimum(side / aspect, 1)
    angle = generator.uniform(-0.25, 0.25, count) + np.pi / 2 * (
        generator.integers(0, 4, count) * (generator.random(count) < 0.5)
    )
    mirror = generator.choice([-1, 1], count)
    cos, sin = np.cos(angle), np.sin(angle)
    theta = np.zeros((count, 2, 3), dtype=np.float32)
    theta[:, 0, 0], theta[:, 0, 1] = mirror * across * cos, -down * sin
    theta[:, 1, 0], theta[:, 1, 1] = mirror * across * sin, down * cos
    theta[:, 0, 2] = generator.uniform(-1, 1, count) * (1 - across)
    theta[:, 1, 2] = generator.uniform(-1, 1, count) * (1 - down)
    return theta
