"""Encoders of open_clip's models."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from open_clip.model import CLIP, CustomTextCLIP
from PIL import Image
from torch import nn

from stages.core.vision.encoder import TEXTS_AT_ONCE, Encoder, filled_up, pixels_of, unit_rows
from stages.core.vision.hardware import DTYPES, map_on_cores
from stages.core.vision.model_config import as_pair
from stages.core.vision.packing import can_pack, pack
from stages.core.vision.simplification import simplify


@dataclass(frozen=True, kw_only=True)
class OpenClipEncoder(Encoder):
    """An open_clip model, ready to encode.

    model: on `device`, in the number format `precision`, in eval mode.
    tokenise: list of n texts -> (n, context length) int64.
    resize: PIL image -> RGB PIL image of the model's input size, as open_clip does it.
    preprocessing: open_clip's settings.
    source, config: open_clip's name of the model and its settings of the architecture.
    """

    quick_gelu: bool
    model: CLIP | CustomTextCLIP
    tokenise: Callable[[list[str]], torch.Tensor]
    resize: Callable[[Image.Image], Image.Image]
    source: str
    config: dict

    @property
    def reads_text(self) -> bool:
        """Every open_clip model does."""
        return True

    @property
    def networks(self) -> list[nn.Module]:
        """The image tower."""
        return [self.model.visual]

    @property
    def logit_scale(self) -> float:
        """The factor that makes logits of cosines."""
        return float(self.model.logit_scale.detach().float().exp())

    @property
    def logit_bias(self) -> float | None:
        """What is added to the scaled cosines; None for a model that was trained without."""
        bias = getattr(self.model, "logit_bias", None)
        return None if bias is None else float(bias.detach().float())

    @property
    def architecture(self) -> dict:
        """What the names of weights do not show."""
        return {"quick_gelu": self.quick_gelu}

    def prepare(self, image: Image.Image) -> np.ndarray:
        """(3, H, W) float32 in [0, 1]: the image, resized and cropped for the model."""
        return pixels_of(self.resize(image))

    def image_features(self, inputs: torch.Tensor) -> torch.Tensor:
        """(b, 3, H, W) of `normalise` -> (b, d), rows of any length."""
        return self.model.encode_image(inputs)

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        """n texts -> (n, d) float32, unit rows; NaN as in `encode_images`.

        No row depends on n. Raises StudyError for a text that is longer than the model's context.
        """
        tokens = self.tokenise(texts).to(self.device)

        def encode(batch: torch.Tensor) -> torch.Tensor:
            with torch.inference_mode():  # which a thread does not take over from another
                return filled_up(self.model.encode_text, batch, TEXTS_AT_ONCE)

        features = map_on_cores(self.device, encode, tokens.split(TEXTS_AT_ONCE))
        return unit_rows(torch.cat(list(features)).float().cpu().numpy())

    def with_precision(self, precision: str) -> Self:
        """The encoder in another number format (the whole model, not autocast), laid out for speed.

        The model is converted in place, and can be trained no more: its image tower is simplified
        (stages.core.vision.simplification). Convolutions get their weights channels last; on a CPU
        a vision transformer gets the modules of stages.core.vision.packing.
        """
        model = self.model
        if self.precision == "fp32":
            simplify(model.visual, as_pair(self.preprocessing["size"]))
        exact = {
            name: parameter.detach().clone()
            for name, parameter in model.named_parameters(recurse=False)
            if name in ("logit_scale", "logit_bias")  # of float32 cosines, later on
        }
        model.to(DTYPES[precision])
        for name, value in exact.items():
            getattr(model, name).data = value
        if self.device.type != "mps":
            model.visual.to(memory_format=torch.channels_last)
        if precision != "fp16" and self.device.type == "cpu" and can_pack():
            pack(model.visual)
        return replace(self, precision=precision)
