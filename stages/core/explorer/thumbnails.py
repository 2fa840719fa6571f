"""Small pictures of the images at every noise level, many to a sheet, as the model saw them.

A sheet holds ROWS x ROWS images in the order of the embeddings, row by row; a file holds one sheet
at one level. The pictures are those that `embed` encoded: prepared for the model, with the noise
of draw 0. They are cut to [0, 1], which the model's input need not be, and where it is larger than
a thumbnail they are scaled down, which averages some of the noise away. JPEG halves the resolution
of their colours.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from stages.core.artifacts.embeddings import Embeddings
from stages.core.dataset.feature_files import FOLDER
from stages.core.runtime.errors import StudyError
from stages.core.runtime.files import read_json, write_json
from stages.core.runtime.progress import progress
from stages.core.vision.encoder import Encoder
from stages.core.vision.hardware import map_on_cores
from stages.core.vision.inputs import Noise, prepared, with_noise
from stages.core.vision.loading import load_encoder
from stages.core.vision.noise import PCG64

ROWS = 12
SIDE_PX = 64  # at most
QUALITY = 60  # of JPEG: 5 to 6 KB for an image at four levels
SHEETS = "sheets"
KEY = "made_from.json"


def why_none(study: Embeddings, images: Path) -> str | None:
    """Why there are no thumbnails of a study, in a sentence; None where there can be."""
    if (images / FOLDER).exists() or "preprocessing" not in study.encoder:
        return "The study is of features that were computed elsewhere, without their images."
    if not (images / "images").is_dir():
        return f"{images}/images is not there; run 'dvc checkout' or 'dvc repro fetch'."
    return None


def write_thumbnails(
    study: Embeddings, images: Path, model_folder: Path, kept: Path, folder: Path
) -> dict:
    """Write the sheets into `folder`, and say how they are laid out, for the page.

    kept: the sheets of an earlier call, which are copied where they are of the same embeddings.
    model_folder: what 'texture-clip' stands for. Raises StudyError where the model that prepares
    the images cannot be loaded, or an image cannot be read.
    """
    layout = {"side": SIDE_PX, "rows": ROWS, "run": study.run, "quality": QUALITY}
    if _key(kept) == layout:
        shutil.copytree(kept, folder)
        return layout
    about = study.encoder
    given = about["noise"]
    noise = Noise(given["kind"], given["space"], given["seed"], given.get("stream", PCG64))
    encoder = load_encoder(
        about["model"], about["pretrained"], model_folder, noise.seed, torch.device("cpu")
    )
    folder.mkdir()
    ids = study.images["id"].tolist()

    def write(start: int) -> None:
        names = ids[start : start + ROWS**2]
        for level, sheet in zip(
            study.levels, sheets_of(encoder, images, names, study.levels, noise), strict=True
        ):
            name = sheet_name(level, start // ROWS**2)
            sheet.save(folder / name, "JPEG", quality=QUALITY)

    starts = range(0, len(ids), ROWS**2)
    for _ in progress(map_on_cores(encoder.device, write, starts), "thumbnails", len(starts)):
        pass
    write_json(folder / KEY, layout)
    return layout


def sheet_name(level: float, number: int) -> str:
    """The file of a sheet, as the page knows it too."""
    return f"{level:.2f}_{number}.jpg"


def sheets_of(
    encoder: Encoder, images: Path, ids: Sequence[str], levels: Sequence[float], noise: Noise
) -> list[Image.Image]:
    """A sheet of some images, at most ROWS x ROWS, at each of the levels."""
    rows = -(-len(ids) // ROWS)
    sheets = [Image.new("RGB", (ROWS * SIDE_PX, rows * SIDE_PX), "white") for _ in levels]
    for i, image_id in enumerate(ids):
        pixels = prepared(encoder, images, image_id)
        place = (i % ROWS * SIDE_PX, i // ROWS * SIDE_PX)
        for level, sheet in zip(levels, sheets, strict=True):
            noisy = with_noise(encoder, pixels, image_id, level, 0, noise)
            sheet.paste(thumbnail(noisy), place)
    return sheets


def thumbnail(pixels: np.ndarray) -> Image.Image:
    """(3, H, W) float32 -> a picture of SIDE_PX x SIDE_PX, white around what is no square."""
    shown = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    return ImageOps.pad(
        Image.fromarray(shown), (SIDE_PX, SIDE_PX), Image.Resampling.BOX, color="white"
    )


def _key(folder: Path) -> dict | None:
    try:
        return read_json(folder / KEY)
    except StudyError:
        return None
