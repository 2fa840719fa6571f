"""The samples artifact: a few images at a few noise levels, as the encoder saw them.

| file | holds |
| --- | --- |
| pixels.npy | (levels, images, H, W, 3) uint8, RGB |
| samples.json | the levels, the ids of the images, and what a level is, for a title |
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeGuard

import numpy as np

from stages.core.runtime.errors import StudyError, one_line
from stages.core.runtime.files import make_again, open_regular, read_json, whole_folder, write_json

MOST_BYTES = 2**30
STAGE = "embed"


@dataclass(frozen=True)
class Samples:
    """A few images (ids) at a few levels of noise, or none; label: what a level is, for a title.

    pixels: (levels, images, H, W, 3) uint8, RGB.
    """

    levels: list[float]
    ids: list[str]
    label: str
    pixels: np.ndarray


def no_samples() -> Samples:
    """What there is to show where features were computed elsewhere: nothing."""
    return Samples([], [], "", np.zeros((0, 0, 0, 0, 3), dtype=np.uint8))


def write_samples(folder: Path, samples: Samples) -> None:
    """Write the samples to a folder, in place of those in it."""
    about = asdict(samples)
    pixels = about.pop("pixels")
    with whole_folder(folder, STAGE) as unfinished:
        np.save(unfinished / "pixels.npy", pixels)
        write_json(unfinished / "samples.json", about)


def read_samples(folder: Path) -> Samples:
    """Read the samples; raises StudyError where a file is missing, damaged or does not fit."""
    file = folder / "samples.json"
    about = read_json(file, STAGE)
    levels, ids, label = (about.get(key) for key in ("levels", "ids", "label"))
    if (
        not _is_list_of(levels, int, float)
        or not _is_list_of(ids, str)
        or not isinstance(label, str)
    ):
        raise StudyError(f"{file}: not as '{STAGE}' wrote it; {make_again(STAGE)}")
    pixels = _read_pixels(folder / "pixels.npy")
    if pixels.shape[:2] != (len(levels), len(ids)):
        raise StudyError(
            f"{folder}/pixels.npy: {pixels.shape[1]} images at {pixels.shape[0]} levels, of "
            f"{len(ids)} at {len(levels)} in samples.json; {make_again(STAGE)}"
        )
    return Samples(levels, ids, label, pixels)


def _is_list_of(value: object, *kinds: type) -> TypeGuard[list]:
    return isinstance(value, list) and all(isinstance(x, kinds) for x in value)


def _read_pixels(file: Path) -> np.ndarray:
    open_regular(file, STAGE, MOST_BYTES).close()
    try:
        # Mapped, so that no memory is taken for a shape that the file does not hold.
        pixels = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise StudyError(f"{file}: damaged ({one_line(error, 160)}); {make_again(STAGE)}") from None
    if pixels.dtype != np.uint8 or pixels.ndim != 5 or pixels.shape[-1] != 3:
        raise StudyError(
            f"{file}: {pixels.dtype} of shape {pixels.shape} instead of images in RGB; "
            f"{make_again(STAGE)}"
        )
    return pixels
