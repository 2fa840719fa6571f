"""Encoders by the protocol, a user's own among them: every answer is checked before it is used."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image
from torch import nn

from stages.core.runtime.errors import StudyError, quoted
from stages.core.vision.encoder import TEXTS_AT_ONCE, Encoder, unit_rows
from stages.core.vision.hardware import map_on_cores
from stages.core.vision.model_files import Keys, own_file
from stages.core.vision.protocol import Load, OwnEncoder
from stages.core.vision.user_code import function_in, own_errors

PROTOCOL = "docs/encoders.md lists what it needs"


def load_own(model: str, pretrained: str | None, device: torch.device, keys: Keys) -> Encoder:
    """The encoder, in fp32, of `path/to/file.py:function`.

    Raises StudyError for a file or function that does not exist, that fails, or that returns what
    is no encoder.
    """
    own = own_file(model, keys.model)
    where = f"{keys.model}: {model}"
    if own is None:
        raise StudyError(f"{where}: not of the form path/to/file.py:function")
    if pretrained is not None:
        raise StudyError(
            f"{keys.pretrained}: {quoted(pretrained)} does not go with {model}, which loads its "
            "own weights; set it to null"
        )
    load = function_in(own.file, own.function, where)
    return checked_encoder(load, model, None, device, where, own.function, own.file.parent)


@dataclass(frozen=True, kw_only=True)
class CheckedEncoder(Encoder):
    """An encoder by the protocol, whose answers are checked.

    found: what `load` returned for the device and the precision.
    where, called, folder: how messages name the setting and the function; the folder of the file.
    seen: {what: (what was returned first, by which method)}, which the others have to agree with.
    """

    load: Load
    found: OwnEncoder
    scale: float | None
    bias: float | None
    where: str
    called: str
    folder: Path | None
    seen: dict[str, tuple[Any, str]] = field(default_factory=dict)

    @property
    def reads_text(self) -> bool:
        """Whether it has `encode_texts`."""
        return getattr(self.found, "encode_texts", None) is not None

    @property
    def networks(self) -> list[nn.Module]:
        """What `load` returned, or what it holds, where that is of PyTorch."""
        found = [self.found, *getattr(self.found, "__dict__", {}).values()]
        return [each for each in found if isinstance(each, nn.Module)]

    @property
    def logit_scale(self) -> float | None:
        """The factor that makes logits of cosines; None where it is not known."""
        return self.scale

    @property
    def logit_bias(self) -> float | None:
        """What is added to the scaled cosines; None for a model that was trained without."""
        return self.bias

    def prepare(self, image: Image.Image) -> np.ndarray:
        """(3, H, W) float32 in [0, 1]; raises StudyError for anything else, or another size."""
        with own_errors(self.where, "prepare", self.folder):
            found = self.found.prepare(image)
            if isinstance(found, torch.Tensor):
                found = found.detach().cpu()
                found = found.numpy() if found.dtype is not torch.bfloat16 else found
        fault = _fault_of_pixels(found)
        if fault:
            raise StudyError(f"{self.where}: prepare returned {fault}")
        pixels = np.array(found, order="C")  # a copy: it may be a buffer that is filled anew
        size, _ = self.seen.setdefault("size", (pixels.shape, "prepare"))
        if pixels.shape != size:
            raise StudyError(
                f"{self.where}: prepare returned shape {pixels.shape}, of another image {size}; "
                "resize or crop all images to one size"
            )
        return pixels

    def image_features(self, inputs: torch.Tensor) -> torch.Tensor:
        """(b, 3, H, W) of `normalise` -> (b, d), rows of any length."""
        with own_errors(self.where, "encode_images", self.folder):
            rows = self.found.encode_images(inputs)
        return self._checked(rows, len(inputs), "encode_images", "images")

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        """n texts -> (n, d) float32, unit rows; NaN as in `encode_images`. No row depends on n."""

        def encode(batch: list[str]) -> torch.Tensor:
            filled = [batch[i % len(batch)] for i in range(TEXTS_AT_ONCE)]
            with torch.inference_mode(), own_errors(self.where, "encode_texts", self.folder):
                rows = self.found.encode_texts(filled)  # type: ignore[attr-defined]  # see reads_text
            return self._checked(rows, len(filled), "encode_texts", "texts")[: len(batch)]

        starts = range(0, len(texts), TEXTS_AT_ONCE)
        batches = [texts[start : start + TEXTS_AT_ONCE] for start in starts]
        features = map_on_cores(self.device, encode, batches)
        return unit_rows(torch.cat(list(features)).float().cpu().numpy())

    def with_precision(self, precision: str) -> Self:
        """The encoder in another number format, as the user's function loads it."""
        if precision == self.precision:
            return self
        given = (self.load, self.name, self.pretrained, self.device)
        other = checked_encoder(*given, self.where, self.called, self.folder, precision)
        for key in ("mean", "std"):
            one, another = getattr(self, key), getattr(other, key)
            if not np.array_equal(one, another):
                raise StudyError(
                    f"{self.where}: {key} is {another.tolist()} in {precision} and "
                    f"{one.tolist()} in {self.precision}; make them the same"
                )
        return replace(self, found=other.found, precision=precision)

    def _checked(self, rows: object, count: int, what: str, of: str) -> torch.Tensor:
        """(count, d) that a method of the user's returned, as a tensor of its own."""
        if isinstance(rows, np.ndarray) and rows.dtype.kind == "f":
            with np.errstate(over="ignore"):  # which leaves an infinity, and that is refused
                rows = torch.from_numpy(rows.astype(np.float32))
        dense = isinstance(rows, torch.Tensor) and rows.layout is torch.strided
        if not dense or not rows.is_floating_point():  # type: ignore[attr-defined]  # a tensor
            raise StudyError(
                f"{self.where}: {what} returned {_kind(rows)}; return a tensor or array of floats"
            )
        assert isinstance(rows, torch.Tensor)
        if rows.ndim != 2 or len(rows) != count or rows.shape[1] == 0:
            raise StudyError(
                f"{self.where}: {what} returned shape {tuple(rows.shape)} for {count} {of}; "
                f"return ({count}, d), a row of d numbers for each"
            )
        first, by = self.seen.setdefault("dimension", (rows.shape[1], what))
        if rows.shape[1] != first:
            raise StudyError(
                f"{self.where}: {what} returned rows of {rows.shape[1]} numbers, after rows of "
                f"{first} by {by}; return rows of one length, of images, texts and every precision"
            )
        return rows.detach().clone()  # it may be a buffer that is filled anew


def checked_encoder(
    load: Load,
    name: str,
    pretrained: str | None,
    device: torch.device,
    where: str,
    called: str,
    folder: Path | None,
    precision: str = "fp32",
) -> CheckedEncoder:
    """What `load` returns, once its attributes are found to be those of the protocol.

    Raises StudyError that begins with `where`.
    """
    with own_errors(where, f"{called}(device, {precision!r})", folder):
        found = load(device, precision)
    with own_errors(where, f"what {called} returned", folder):
        for key in ("prepare", "encode_images", "encode_texts"):
            method = getattr(found, key, None)
            if not callable(method) and not (method is None and key == "encode_texts"):
                lacks = f"whose {key} is no method" if hasattr(found, key) else f"which lacks {key}"
                raise StudyError(f"{where}: {called} returned {_kind(found)}, {lacks}; {PROTOCOL}")
        mean, std = (_of_channels(found, key, where) for key in ("mean", "std"))
        scale, bias = (_number(found, key, where) for key in ("logit_scale", "logit_bias"))
        trained = getattr(found, "trained", True)
    if scale is not None and scale <= 0:
        raise StudyError(f"{where}: logit_scale is {scale:g}; give the positive factor, or None")
    if not isinstance(trained, bool):
        raise StudyError(f"{where}: trained is {quoted(trained)}; say True or False")
    return CheckedEncoder(
        name=name,
        pretrained=pretrained,
        trained=trained,
        mean=mean,
        std=std,
        preprocessing={"mean": mean.tolist(), "std": std.tolist()},
        remarks=(),
        device=device,
        precision=precision,
        load=load,
        found=found,
        scale=scale,
        bias=bias,
        where=where,
        called=called,
        folder=folder,
    )


def _of_channels(found: object, key: str, where: str) -> np.ndarray:
    """(3,) float32 of an attribute that has a number for each channel."""
    value = getattr(found, key, None)
    lowest = 0.0 if key == "mean" else np.finfo(np.float32).tiny
    try:
        given = value.detach().cpu() if isinstance(value, torch.Tensor) else value
        numbers = np.asarray(given, dtype=np.float32)
    except (TypeError, ValueError):
        numbers = np.empty(0, dtype=np.float32)
    if numbers.shape != (3,) or not ((lowest <= numbers) & (numbers <= 1)).all():
        bounds = "in [0, 1]" if key == "mean" else "above 0 and at most 1"
        what = f"is {quoted(value)}" if hasattr(found, key) else "is missing"
        raise StudyError(
            f"{where}: {key} {what}; give three numbers {bounds}, one for each channel of "
            "pixels in [0, 1]"
        )
    return numbers


def _number(found: object, key: str, where: str) -> float | None:
    """A finite number, of an attribute that may be absent or None."""
    value = getattr(found, key, None)
    if value is None:
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError):
        number = np.nan
    if not np.isfinite(number):
        raise StudyError(f"{where}: {key} is {quoted(value)}; give one finite number, or None")
    return number


def _fault_of_pixels(found: object) -> str | None:
    """What is wrong with a prepared image, and the fix; None where nothing is."""
    if not isinstance(found, np.ndarray):
        return f"{_kind(found)}; return an array or a tensor of shape (3, H, W)"
    if found.ndim != 3 or found.shape[0] != 3 or 0 in found.shape:
        fix = "put the channels first" if found.shape[-1:] == (3,) else "return (3, H, W)"
        return f"shape {found.shape}; {fix}"
    if found.dtype != np.float32:
        fix = "divide by 255" if found.dtype == np.uint8 else "convert it"
        return f"{found.dtype} pixels; return float32 in [0, 1], {fix}"
    lowest, highest = found.min(), found.max()
    if not (lowest >= 0 and highest <= 1):  # a NaN compares false with everything
        return (
            f"values from {lowest:.3g} to {highest:.3g}; clip them to [0, 1], and leave the "
            "normalisation by mean and std to the study"
        )
    return None


def _kind(value: object) -> str:
    """What a value is, in a message."""
    if isinstance(value, torch.Tensor):
        sparse = "" if value.layout is torch.strided else "sparse "
        return f"a {sparse}tensor of {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}"
    return "None" if value is None else f"a {type(value).__name__}"
