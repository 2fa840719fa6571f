"""The sweep over noise: every image at every level and draw, encoded batch by batch.

On a CPU each core takes batches of its own through all of it. An accelerator encodes batches that
the cores have made ready ahead of it.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from stages.core.runtime.errors import StudyError
from stages.core.runtime.parallel import available_cores
from stages.core.vision.encoder import IMAGES_AT_ONCE, Encoder, unit_rows
from stages.core.vision.hardware import fix_of_precision, map_on_cores
from stages.core.vision.inputs import Cell, Noise, batch_with_noise, read_prepared, with_noise
from stages.core.vision.noise import PHILOX

AHEAD = 3  # inputs that the cores make while an accelerator encodes another

Item = TypeVar("Item")


@dataclass(frozen=True)
class Sweep:
    """What is done with every image.

    folder: that of the data set, which holds images/.
    cells: the level and draw of each array.
    batch_size: the number of images that a worker holds at once, and an accelerator encodes.
    """

    folder: Path
    noise: Noise
    cells: tuple[Cell, ...]
    batch_size: int

    def images_at_once(self, device: torch.device) -> int:
        """How many images a batch has on that device, at the most."""
        if device.type != "cpu":
            return self.batch_size
        return -(-self.batch_size // IMAGES_AT_ONCE) * IMAGES_AT_ONCE


class Encoded(NamedTuple):
    """A batch of images, all of it encoded.

    ids: of its b images. digests: a hash of each, see `image_digest`.
    rows: (cells, b, d) float32, unit rows.
    """

    ids: Sequence[str]
    digests: list[bytes]
    rows: np.ndarray


def swept(
    encoder: Encoder, sweep: Sweep, batches: Iterable[Sequence[str]], workers: int | None = None
) -> Generator[Encoded]:
    """Encode batches of images, given by their ids, at every level and draw; in order.

    Batches are taken from the iterable as they are needed, and hold at most `images_at_once`
    images. workers: threads; one for every core by default.

    On a CPU the model always sees the same number of images, whatever the size of a batch, the
    number of images and of workers, so that the embeddings are the same to the bit. An
    accelerator sees `batch_size` images, a smaller batch being filled up: other sizes may change
    the last bits of its embeddings.

    Raises StudyError for an embedding that is not finite, and where memory does not suffice.
    """
    on_device = on_cores if encoder.device.type == "cpu" else ahead_of_device
    work = on_device(encoder, sweep, batches, workers or available_cores())
    try:
        with closing(work):
            for batch in work:
                _require_finite(batch, sweep.cells, encoder.precision)
                yield batch
    except torch.OutOfMemoryError:
        raise StudyError(
            f"embed.batch_size: {sweep.batch_size} images do not fit into the memory of "
            f"{encoder.device}; lower it"
        ) from None


def _require_finite(batch: Encoded, cells: Sequence[Cell], precision: str) -> None:
    wrong = np.argwhere(~np.isfinite(batch.rows).all(axis=2))
    if len(wrong):
        cell, image = wrong[0]
        raise StudyError(
            f"{batch.ids[image]}: its embedding at noise {cells[cell][0]:.2f} is not finite or "
            f"zero in {precision}; {fix_of_precision(precision)}"
        )


# On a CPU


def on_cores(
    encoder: Encoder, sweep: Sweep, batches: Iterable[Sequence[str]], workers: int
) -> Generator[Encoded]:
    """`swept` by threads, each of which takes a batch through all of it on a core of its own."""
    folder, noise = sweep.folder, sweep.noise

    def encode(ids: Sequence[str]) -> Encoded:
        digests, images = zip(*(read_prepared(encoder, folder, name) for name in ids), strict=True)
        clean = np.stack(images)
        inputs, rows = np.empty_like(clean), []
        for cell in sweep.cells:
            if noise.stream == PHILOX:
                made = batch_with_noise(encoder, torch.from_numpy(clean), ids, cell, noise)
                inputs = made.numpy()
            else:
                for i, name in enumerate(ids):
                    inputs[i] = with_noise(encoder, clean[i], name, *cell, noise)
            rows.append(encoder.encode_images(inputs))
        return Encoded(ids, list(digests), np.stack(rows))

    with closing(map_on_cores(encoder.device, encode, batches, workers)) as done:
        yield from done


# On an accelerator


class _Input(NamedTuple):
    """Images on their way to the device.

    cells: what is to be encoded of them; the noise of a cell is in the pixels already where it is
    the only one, and is made on the device where there are all.
    images: (hash, prepared image) of each, once it has been read.
    pixels: (batch_size, 3, H, W) float32, once `filling` is done.
    """

    ids: Sequence[str]
    cells: Sequence[Cell]
    images: list[Future]
    pixels: Tensor
    filling: list[Future]


def ahead_of_device(
    encoder: Encoder, sweep: Sweep, batches: Iterable[Sequence[str]], workers: int
) -> Generator[Encoded]:
    """`swept` by threads that read, decode, prepare and add noise ahead of the device.

    The work of a batch is cut into images, so that the memory it takes, AHEAD inputs and two
    batches of clean images, does not grow with the number of threads. The device is given an
    input before the embeddings of the one before are waited for, and so has always one to do.
    """
    device, noise = encoder.device, sweep.noise
    on_device = noise.stream == PHILOX
    free: list[Tensor] = []  # pixels that may be filled anew

    def fill(row: np.ndarray, image: Future, name: str, cell: Cell) -> None:
        _, clean = image.result()  # which was begun before this
        row[...] = clean if on_device else with_noise(encoder, clean, name, *cell, noise)

    def inputs(pool: ThreadPoolExecutor) -> Iterator[_Input]:
        reading = (
            (ids, [pool.submit(read_prepared, encoder, sweep.folder, name) for name in ids])
            for ids in batches
        )
        for ids, images in in_advance(reading, 1):
            shape = images[0].result()[1].shape
            for cells in [sweep.cells] if on_device else [[cell] for cell in sweep.cells]:
                pixels = free.pop() if free else _transferable(sweep.batch_size, shape, device)
                # What is left of an earlier batch in rows beyond these is encoded and dropped.
                filling = [
                    pool.submit(fill, row, image, name, cells[0])
                    for row, image, name in zip(pixels.numpy(), images, ids, strict=False)
                ]
                yield _Input(ids, cells, images, pixels, filling)

    def given_to_device(pool: ThreadPoolExecutor) -> Iterator[tuple[_Input, Callable]]:
        for given in in_advance(inputs(pool), AHEAD):
            for each in given.filling:
                each.result()
            clean = given.pixels.to(device, non_blocking=True)
            for cell in given.cells:
                with torch.inference_mode():
                    pixels = clean
                    if on_device:
                        pixels = batch_with_noise(encoder, clean, given.ids, cell, noise)
                    features = encoder.image_features(encoder.normalise(pixels))
                    waiting = _on_its_way(features)
                yield given, waiting

    pool = ThreadPoolExecutor(workers)
    rows: list[np.ndarray] = []
    try:
        for given, features in in_advance(given_to_device(pool), 1):
            rows.append(unit_rows(features()[: len(given.ids)]))
            if len(rows) % len(given.cells) == 0:
                free.append(given.pixels)
            if len(rows) == len(sweep.cells):
                digests = [image.result()[0] for image in given.images]
                yield Encoded(given.ids, digests, np.stack(rows))
                rows = []
    finally:
        pool.shutdown(cancel_futures=True)


def in_advance(items: Iterable[Item], count: int) -> Iterator[Item]:
    """The items, each once `count` more have been taken, as long as there are so many."""
    remaining = iter(items)
    taken = deque(islice(remaining, count))
    for item in remaining:
        taken.append(item)
        yield taken.popleft()
    yield from taken


def _transferable(count: int, shape: tuple[int, ...], device: torch.device) -> Tensor:
    """(count, *shape) float32 zeros, in memory that a GPU reads while the CPU goes on."""
    return torch.zeros((count, *shape), pin_memory=device.type == "cuda")


def _on_its_way(features: Tensor) -> Callable[[], np.ndarray]:
    """A function that waits for features, (b, d), and for nothing that is computed after them."""
    features = features.float()
    if features.device.type != "cuda":
        return features.cpu().numpy
    copy = torch.empty(features.shape, pin_memory=True)
    copy.copy_(features, non_blocking=True)
    done = torch.cuda.Event()
    done.record(torch.cuda.current_stream(features.device))

    def wait() -> np.ndarray:
        done.synchronize()
        return copy.numpy()

    return wait
