"""What encodes images, and class prompts where it reads text, whatever library its model is of."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import torch
from PIL import Image
from torch import nn

from stages.core.runtime.errors import StudyError
from stages.core.vision.hardware import DTYPES, fix_of_precision

# On a CPU the model always sees so many images, or prompts, the last of them filled up: with other
# numbers a matrix product takes another order of sums, and the last bits differ. Sixteen images
# fill a core's cache.
IMAGES_AT_ONCE = 16
TEXTS_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class Encoder(ABC):
    """A model, ready to encode; a subclass for each way to have one.

    mean, std: (3,) float32, by which [0, 1] pixels are normalised.
    preprocessing: how images are prepared, for encoder.json.
    trained: whether the weights come from a training or were drawn at random.
    remarks: what had to be assumed, a line each, for the user.
    """

    name: str
    pretrained: str | None
    trained: bool
    mean: np.ndarray
    std: np.ndarray
    preprocessing: dict
    remarks: tuple[str, ...]
    device: torch.device
    precision: str = "fp32"

    @property
    @abstractmethod
    def reads_text(self) -> bool:
        """Whether it has `encode_texts`."""

    @property
    @abstractmethod
    def networks(self) -> list[nn.Module]:
        """Those whose weights decide the embeddings of images, as far as they are known."""

    @property
    @abstractmethod
    def logit_scale(self) -> float | None:
        """The factor that makes logits of cosines; None where it is not known."""

    @property
    @abstractmethod
    def logit_bias(self) -> float | None:
        """What is added to the scaled cosines; None for a model that was trained without."""

    @abstractmethod
    def prepare(self, image: Image.Image) -> np.ndarray:
        """(3, H, W) float32 in [0, 1]: the image, resized and cropped for the model."""

    @abstractmethod
    def image_features(self, inputs: torch.Tensor) -> torch.Tensor:
        """(b, 3, H, W) of `normalise` -> (b, d), rows of any length."""

    @abstractmethod
    def encode_texts(self, texts: list[str]) -> np.ndarray:
        """n texts -> (n, d) float32, unit rows; NaN as in `encode_images`.

        No row depends on n. Raises StudyError for a text that the model cannot read whole.
        """

    @abstractmethod
    def with_precision(self, precision: str) -> Self:
        """The encoder in another number format; this one must not be used any more."""

    @property
    def probabilities(self) -> str | None:
        """By what the model's logits become probabilities: 'sigmoid' or 'softmax'.

        A bias is what the sigmoid loss has (Zhai et al. 2023, section 3.2) and a softmax, which
        it would not change, does not; open_clip gives one to the models of that loss alone.
        None where there are no logits.
        """
        if self.logit_scale is None:
            return None
        return "softmax" if self.logit_bias is None else "sigmoid"

    @property
    def architecture(self) -> dict:
        """What else encoder.json says of the model."""
        return {}

    @cached_property
    def _mean_and_std(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(3, 1, 1) each, on the device: a copy for each batch would wait for those before."""
        mean, std = (torch.from_numpy(x).to(self.device) for x in (self.mean, self.std))
        return mean[:, None, None], std[:, None, None]

    def normalise(self, pixels: np.ndarray | torch.Tensor) -> torch.Tensor:
        """(b, 3, H, W) float32, [0, 1] pixels -> the model's input, on its device."""
        mean, std = self._mean_and_std
        inputs = torch.empty(pixels.shape, dtype=DTYPES[self.precision], device=self.device)
        # On a CPU image by image, so that what lies in between stays in the cache.
        some = 1 if self.device.type == "cpu" else len(pixels)
        for rows, own in zip(inputs.split(some), torch.as_tensor(pixels).split(some), strict=True):
            rows.copy_((own.to(self.device) - mean).div_(std))
        return inputs

    def encode_images(self, pixels: np.ndarray) -> np.ndarray:
        """(b, 3, H, W) float32, [0, 1] pixels -> (b, d) float32, unit rows.

        On a CPU no row depends on b; on an accelerator its last bits may. A row without a
        direction (not finite, or zero) comes back as NaN.
        """
        at_once = IMAGES_AT_ONCE if self.device.type == "cpu" else len(pixels)

        def encode(images: torch.Tensor) -> torch.Tensor:
            return self.image_features(self.normalise(images.numpy()))

        with torch.inference_mode():
            batches = torch.from_numpy(pixels).split(at_once)
            features = [filled_up(encode, batch, at_once) for batch in batches]
        return unit_rows(torch.cat(features).float().cpu().numpy())


def filled_up(
    encode: Callable[[torch.Tensor], torch.Tensor], rows: torch.Tensor, count: int
) -> torch.Tensor:
    """`encode` of rows, which are repeated to `count` of them for the time of it."""
    repeated = rows[torch.arange(count, device=rows.device) % len(rows)]
    return encode(repeated if len(rows) < count else rows)[: len(rows)]


def pixels_of(image: Image.Image) -> np.ndarray:
    """(3, H, W) float32 in [0, 1] of an RGB image."""
    pixels = np.asarray(image, dtype=np.float32)  # (H, W, 3)
    return np.divide(pixels.transpose(2, 0, 1), np.float32(255), order="C")


def unit_rows(features: np.ndarray) -> np.ndarray:
    """(n, d) float32 with every row scaled to length one; a row that has no direction is NaN."""
    lengths = np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    lengths[~(np.isfinite(lengths) & (lengths > 0))] = np.nan
    return (features / lengths).astype(np.float32)


def class_prompts(name: str, templates: list[str]) -> list[str]:
    """The prompts of a class; underscores in its name become spaces."""
    return [template.replace("{}", name.replace("_", " ")) for template in templates]


def encode_classes(encoder: Encoder, classes: list[str], templates: list[str]) -> np.ndarray:
    """(C, d) float32, unit rows: the mean of the prompts' unit embeddings, normalised again.

    This is the prompt ensemble of Radford et al. (2021), section 3.1.4. Raises StudyError for
    a prompt that the model's context cannot hold or that gets no finite embedding.
    """
    prompts = [prompt for name in classes for prompt in class_prompts(name, templates)]
    units = encoder.encode_texts(prompts).reshape(len(classes), len(templates), -1)
    text = unit_rows(units.astype(np.float64).mean(axis=1))
    bad = np.flatnonzero(~np.isfinite(text).all(axis=1))
    if len(bad):
        raise StudyError(
            f"embed.templates: the prompts of {classes[bad[0]]} have no finite embedding in "
            f"{encoder.precision}; {fix_of_precision(encoder.precision)}"
        )
    return text
