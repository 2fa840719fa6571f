"""The sweep over noise: every image at every level and draw, encoded."""

import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from stages.core.artifacts.embeddings import array_name
from stages.core.dataset.images import read_image
from stages.core.runtime.errors import StudyError
from stages.core.runtime.parallel import available_cores
from stages.core.runtime.progress import progress
from stages.core.vision.encoder import IMAGES_AT_ONCE, Encoder
from stages.core.vision.hardware import fix_of_precision, map_on_cores
from stages.core.vision.noise import noise_generator, noisy

Arrays = dict[tuple[float, int], np.ndarray]  # {(level, draw): an array}


@dataclass(frozen=True)
class Noise:
    """The kind of noise, the space of its levels, and the seed of its draws."""

    kind: str
    space: str
    seed: int


def prepared(encoder: Encoder, folder: Path, name: str) -> np.ndarray:
    """(3, H, W) float32: an image of `folder`, prepared; raises StudyError that names it."""
    image = read_image(folder / "images" / name)
    try:
        return encoder.prepare(image)
    except StudyError as error:
        raise StudyError(f"{name}: {error}") from None


def with_noise(
    encoder: Encoder, pixels: np.ndarray, image_id: str, level: float, draw: int, noise: Noise
) -> np.ndarray:
    """(3, H, W) float32: one prepared image with its own noise."""
    generator = noise_generator(noise.seed, image_id, noise.kind, level, draw)
    return noisy(pixels, noise.kind, level, noise.space, encoder.std, generator)


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


def allocate(
    folder: Path, levels: Sequence[float], draws: int, images: int, dimension: int
) -> Arrays:
    """{(level, draw): (images, dimension) float32} on disk, to be filled; draw 0 alone at 0.

    The space is taken at once: a disk that fills up later would kill the process as it writes
    to the memory map, without an error to report.
    """
    arrays: dict[tuple[float, int], np.ndarray] = {}
    for level in levels:
        for draw in range(draws if level > 0 else 1):
            file = folder / array_name(level, draw)
            arrays[level, draw] = np.lib.format.open_memmap(
                file, mode="w+", dtype=np.float32, shape=(images, dimension)
            )
            if hasattr(os, "posix_fallocate"):
                with file.open("r+b") as stream:
                    os.posix_fallocate(stream.fileno(), 0, file.stat().st_size)
    return arrays


def sweep(
    encoder: Encoder,
    folder: Path,
    ids: Sequence[str],
    noise: Noise,
    arrays: Mapping[tuple[float, int], np.ndarray],
    batch_size: int,
    workers: int | None = None,
) -> None:
    """Fill {(level, draw): (n, d)} with the unit embeddings of the n images of `folder`.

    Each worker, a thread, takes a batch of images through all of it: decodes and prepares every
    image once, then for every level and draw adds its noise and encodes. On a CPU every worker
    encodes on a core of its own, without waiting for the others; an accelerator serves one
    worker at a time while the others prepare.

    On a CPU the model always sees the same number of images, whichever of `batch_size`, the
    number of images and of workers is given, so that the embeddings are the same to the bit. An
    accelerator sees `batch_size` images, the last batch being filled up: other sizes may change
    the last bits of its embeddings.

    Raises StudyError for an embedding that is not finite, and where memory does not suffice.
    """
    on_cpu = encoder.device.type == "cpu"
    size = min(batch_size, len(ids))
    if on_cpu:
        size = -(-size // IMAGES_AT_ONCE) * IMAGES_AT_ONCE
    turn = nullcontext() if on_cpu else threading.Lock()

    def encode(start: int) -> None:
        names = ids[start : start + size]
        clean = [prepared(encoder, folder, name) for name in names]
        inputs = np.zeros((len(names) if on_cpu else size, *clean[0].shape), dtype=np.float32)
        for (level, draw), array in arrays.items():
            for i, name in enumerate(names):
                inputs[i] = with_noise(encoder, clean[i], name, level, draw, noise)
            with turn:
                rows = encoder.encode_images(inputs)[: len(names)]
            _require_finite(rows, names, level, encoder.precision)
            array[start : start + len(names)] = rows

    starts = range(0, len(ids), size)
    done = map_on_cores(encoder.device, encode, starts, workers or available_cores())
    try:
        for _ in progress(done, "embed", len(starts)):
            pass
    except torch.OutOfMemoryError:
        raise StudyError(
            f"embed.batch_size: {batch_size} images do not fit into the memory of "
            f"{encoder.device}; lower it"
        ) from None


def _require_finite(rows: np.ndarray, names: Sequence[str], level: float, precision: str) -> None:
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise StudyError(
            f"{names[bad[0]]}: its embedding at noise {level:.2f} is not finite or zero in "
            f"{precision}; {fix_of_precision(precision)}"
        )
