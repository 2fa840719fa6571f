"""The embeddings artifact: what `embed` writes and every later stage reads.

| file | holds |
| --- | --- |
| images.csv | one row per image, in the order of the arrays: id (<class>/<file>), class, split |
| noise_<level>_draw_<k>.npy | (n, d) float32, unit rows; draw 0 alone at level 0.00 |
| classes.csv, text.npy | class names in order; (C, d) float32, unit rows |
| encoder.json | model, pretrained, dimension, logit scale, precision, preprocessing, trained |
"""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from stages.core.errors import StudyError
from stages.core.files import read_json

# float32 rows that were normalised in float32 stay within this of length one.
UNIT_TOLERANCE = 1e-4


def array_name(level: float, draw: int) -> str:
    """File name of the embeddings at one noise level and draw."""
    return f"noise_{level:.2f}_draw_{draw}.npy"


def level_key(level: float) -> str:
    """Key of a noise level in metrics: 0.5 -> 'noise_0.50'."""
    return f"noise_{level:.2f}"


@dataclass(frozen=True)
class Embeddings:
    """The artifact in a folder, read on demand; arrays are memory-mapped.

    images: DataFrame with columns id, class, split, one row per image.
    classes: class names, in the order of `text`.
    text: (C, d) float32, unit rows: the class prompts.
    encoder: the contents of encoder.json.
    levels: the noise levels, ascending, 0.0 first.
    draws: the number of noise draws at every level above 0.
    """

    folder: Path
    images: pd.DataFrame
    classes: list[str]
    text: np.ndarray
    encoder: dict
    levels: list[float]
    draws: int

    def array(self, level: float, draw: int = 0) -> np.ndarray:
        """(n, d) float32, unit rows, in the order of `images`; read-only and memory-mapped.

        Raises StudyError where a row is not finite or not of unit length, and names the image.
        """
        file = self.folder / array_name(level, draw)
        array = _load(file)
        if array.ndim != 2 or len(array) != len(self.images):
            raise StudyError(
                f"{file}: shape {array.shape} for {len(self.images)} images in images.csv; "
                "run 'dvc repro embed'"
            )
        _require_unit_rows(array, self.images["id"], file)
        return array

    @cached_property
    def labels(self) -> np.ndarray:
        """(n,) int64: for each image, the position of its class in `classes`."""
        return pd.Index(self.classes).get_indexer(self.images["class"]).astype(np.int64)

    def rows(self, class_name: str) -> np.ndarray:
        """(m,) int64: positions of a class's images in the arrays."""
        return np.flatnonzero(self.images["class"].to_numpy() == class_name)

    def split_rows(self, split: str) -> np.ndarray:
        """(m,) int64: positions of the images of 'train', 'val' or 'test' in the arrays."""
        return np.flatnonzero(self.images["split"].to_numpy() == split)


def read_embeddings(folder: Path) -> Embeddings:
    """Read and check the artifact; raises StudyError that names what is missing or wrong."""
    for name in ("images.csv", "classes.csv", "text.npy", "encoder.json"):
        if not (folder / name).exists():
            raise StudyError(f"{folder / name}: not found; run 'dvc repro embed'")
    images = pd.read_csv(folder / "images.csv", dtype=str, keep_default_na=False)
    classes = pd.read_csv(folder / "classes.csv", dtype=str, keep_default_na=False)["class"]
    repeated = images["id"][images["id"].duplicated()]
    if len(repeated):
        raise StudyError(f"{folder}/images.csv: id {repeated.iloc[0]} is repeated")
    unknown = set(images["class"]) - set(classes)
    if unknown:
        raise StudyError(f"{folder}/images.csv: class {min(unknown)} is not in classes.csv")

    found = sorted(
        (float(match[1]), int(match[2]))
        for file in folder.glob("noise_*_draw_*.npy")
        if (match := re.fullmatch(r"noise_(\d+\.\d\d)_draw_(\d+)\.npy", file.name))
    )
    levels = sorted({level for level, _ in found})
    if not levels or levels[0] != 0.0:
        raise StudyError(f"{folder}: no {array_name(0.0, 0)}; run 'dvc repro embed'")
    draws = max(draw for _, draw in found) + 1
    wanted = [(0.0, 0)] + [(level, draw) for level in levels[1:] for draw in range(draws)]
    for level, draw in wanted:
        if (level, draw) not in found:
            raise StudyError(
                f"{folder / array_name(level, draw)}: not found; run 'dvc repro embed'"
            )

    text = _load(folder / "text.npy")
    _require_unit_rows(text, classes, folder / "text.npy")
    if len(text) != len(classes):
        raise StudyError(f"{folder}/text.npy: {len(text)} rows for {len(classes)} classes")
    return Embeddings(
        folder, images, classes.tolist(), text, read_json(folder / "encoder.json"), levels, draws
    )


def _load(file: Path) -> np.ndarray:
    try:
        return np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise StudyError(f"{file}: damaged ({error}); run 'dvc repro --force embed'") from None


def _require_unit_rows(array: np.ndarray, names: pd.Series, file: Path) -> None:
    norms = np.linalg.norm(array, axis=1)
    # A NaN compares false with everything, so the test is for what is right.
    wrong = np.flatnonzero(~(np.abs(norms - 1) <= UNIT_TOLERANCE))
    if len(wrong):
        raise StudyError(
            f"{file}: the embedding of {names.iloc[wrong[0]]} has norm {norms[wrong[0]]:.3g} "
            f"instead of 1, {len(wrong)} such in all; run 'dvc repro --force embed'"
        )
