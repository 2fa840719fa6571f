"""What a model sees of an image: prepared for it, at a level and a draw of the noise."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from stages.core.dataset.images import image_in, read_image_file
from stages.core.runtime.errors import StudyError
from stages.core.vision import philox
from stages.core.vision.encoder import Encoder
from stages.core.vision.noise import PCG64, PHILOX, noise_generator, noisy

Cell = tuple[float, int]  # a level and a draw


@dataclass(frozen=True)
class Noise:
    """The kind of noise, the space of its levels, the seed of its draws, and their generator."""

    kind: str
    space: str
    seed: int
    stream: str = PCG64


def cells_of(levels: Sequence[float], draws: int) -> tuple[Cell, ...]:
    """Each level and draw; level 0, at which all draws are the same, has draw 0 alone."""
    return tuple((level, draw) for level in levels for draw in range(draws if level > 0 else 1))


def prepared(encoder: Encoder, folder: Path, name: str) -> np.ndarray:
    """(3, H, W) float32: an image of `folder`, prepared; raises StudyError that names it."""
    return read_prepared(encoder, folder, name)[1]


def image_file(folder: Path, name: str) -> Path:
    """Where an image of a data set lies, by its id."""
    return folder / "images" / name


def read_prepared(encoder: Encoder, folder: Path, name: str) -> tuple[bytes, np.ndarray]:
    """(the hash of `image_digest`, what `prepared` gives) of an image that is read once."""
    file = image_file(folder, name)
    data = read_image_file(file)
    image = image_in(data, file)
    try:
        return _digest(name, data), encoder.prepare(image)
    except StudyError as error:
        raise StudyError(f"{name}: {error}") from None


def image_digest(folder: Path, name: str) -> bytes:
    """A hash of an image's id and of the bytes of its file, by which a changed one is known."""
    return _digest(name, read_image_file(image_file(folder, name)))


def _digest(name: str, data: bytes) -> bytes:
    return hashlib.blake2b(name.encode() + b"\0" + data, digest_size=32).digest()


def with_noise(
    encoder: Encoder, pixels: np.ndarray, image_id: str, level: float, draw: int, noise: Noise
) -> np.ndarray:
    """(3, H, W) float32: one prepared image with its own noise."""
    if noise.stream == PHILOX:
        return batch_with_noise(
            encoder, torch.from_numpy(pixels)[None], [image_id], (level, draw), noise
        )[0].numpy()
    generator = noise_generator(noise.seed, image_id, noise.kind, level, draw)
    return noisy(pixels, noise.kind, level, noise.space, encoder.std, generator)


def batch_with_noise(
    encoder: Encoder, pixels: torch.Tensor, ids: Sequence[str], cell: Cell, noise: Noise
) -> torch.Tensor:
    """(b, 3, H, W) float32: images with the noise of stages.core.vision.philox, on their device."""
    return philox.with_noise(pixels, ids, *cell, noise.kind, noise.space, noise.seed, encoder.std)


def noisy_sample(
    encoder: Encoder, folder: Path, ids: Sequence[str], levels: Sequence[float], noise: Noise
) -> np.ndarray:
    """(levels, images, 3, H, W) float32: some images of `folder` at some levels, draw 0."""
    clean = [prepared(encoder, folder, name) for name in ids]
    return np.stack(
        [
            [
                with_noise(encoder, pixels, name, level, 0, noise)
                for name, pixels in zip(ids, clean, strict=True)
            ]
            for level in levels
        ]
    )
