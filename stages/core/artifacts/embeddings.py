"""The embeddings artifact: what `embed` writes and every later stage reads.

| file | holds |
| --- | --- |
| images.csv | one row per image, in the order of the arrays: id (<class>/<file>), class, split |
| noise_<level>_draw_<k>.npy | (n, d) float32, unit rows; draw 0 alone at level 0.00 |
| classes.csv | class names in order |
| text.npy | (C, d) float32, unit rows, of the class prompts; absent for a model without text |
| encoder.json | model, pretrained, dimension, logit scale, precision, preprocessing, trained |
| manifest.json | a hash of the rows of images.csv, and the size and hash of every other file |

The manifest ties the arrays to their rows. Its own hash is the id of the run, by which later
artifacts say which embeddings they were computed from.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, partial
from hashlib import blake2b, file_digest
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stages.core.artifacts.tables import DIGEST_BYTES, IMAGES, Schema, content_id, name, read_csv
from stages.core.runtime.errors import StudyError, one_line, quoted
from stages.core.runtime.files import make_again, open_regular, read_json, write_json

# float32 rows that were normalised in float32 stay within this of length one.
UNIT_TOLERANCE = 1e-4

CLASSES = Schema((name("class"),), key=("class",))
BESIDE_THE_ARRAYS = ("classes.csv", "encoder.json")
TEXT = "text.npy"
ARRAY = re.compile(r"noise_(\d{1,9}\.\d\d)_draw_(\d{1,9})\.npy")
MOST_BYTES = 2**40  # of an array


def array_name(level: float, draw: int) -> str:
    """File name of the embeddings at one noise level and draw."""
    return f"noise_{level:.2f}_draw_{draw}.npy"


def level_key(level: float) -> str:
    """Key of a noise level in metrics: 0.5 -> 'noise_0.50'."""
    return f"noise_{level:.2f}"


class WrittenFile(BaseModel):
    """A file as it was written: its size and the hash of its bytes; of an array what it holds."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    size_bytes: int
    blake2b: str
    shape: list[int] | None = None
    dtype: str | None = None


class Manifest(BaseModel):
    """The contents of manifest.json.

    images: how many; ids: a hash of their ids, classes and splits, in order.
    files: {name: as it was written} of all other files.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    images: int = Field(gt=0)
    ids: str
    files: dict[str, WrittenFile]

    def arrays(self) -> Iterator[tuple[float, int]]:
        """The level and draw of every array."""
        for file in self.files:
            if match := ARRAY.fullmatch(file):
                yield float(match[1]), int(match[2])


def write_manifest(folder: Path) -> None:
    """Write manifest.json of an artifact of which all else lies in `folder`."""
    images = read_csv(folder / "images.csv", IMAGES, "embed")
    arrays = sorted(file.name for file in folder.iterdir() if ARRAY.fullmatch(file.name))
    text = [TEXT] if (folder / TEXT).exists() else []
    manifest = Manifest(
        images=len(images),
        ids=content_id(images, IMAGES, {}),
        files={file: _describe(folder / file) for file in (*BESIDE_THE_ARRAYS, *text, *arrays)},
    )
    write_json(folder / "manifest.json", manifest.model_dump(exclude_none=True))


def _describe(file: Path) -> WrittenFile:
    written = WrittenFile(size_bytes=file.stat().st_size, blake2b=_hash(file))
    if file.suffix != ".npy":
        return written
    array = np.load(file, mmap_mode="r", allow_pickle=False)
    return written.model_copy(update={"shape": list(array.shape), "dtype": str(array.dtype)})


def _hash(file: Path) -> str:
    """The BLAKE2b of a file's bytes, which are read in pieces."""
    with open_regular(file, "embed", MOST_BYTES) as stream:
        return file_digest(stream, partial(blake2b, digest_size=DIGEST_BYTES)).hexdigest()


@dataclass(frozen=True)
class Embeddings:
    """The artifact in a folder, read on demand; arrays are memory-mapped.

    images: DataFrame with columns id, class, split, one row per image.
    classes: class names, in the order of `text`.
    text: (C, d) float32, unit rows: the class prompts; None for a model without text.
    encoder: the contents of encoder.json.
    levels: the noise levels, ascending, 0.0 first.
    draws: the number of noise draws at every level above 0.
    run: the id of the run.
    """

    folder: Path
    images: pd.DataFrame
    classes: list[str]
    text: np.ndarray | None
    encoder: dict
    levels: list[float]
    draws: int
    run: str
    manifest: Manifest = field(repr=False)
    _checked: set[str] = field(default_factory=set, repr=False)

    def array(self, level: float, draw: int = 0) -> np.ndarray:
        """(n, d) float32, unit rows, in the order of `images`; read-only and memory-mapped.

        Raises StudyError where the file is not as it was written, or where a row is not finite or
        not of unit length, and then names the image. A file is checked once.
        """
        file = array_name(level, draw)
        if file not in self._checked:
            _read_rows(self.folder / file, self.manifest.files[file], self.images["id"])
            self._checked.add(file)
        # Mapped anew: what has been read of it counts as memory for as long as it is mapped.
        return np.load(self.folder / file, mmap_mode="r", allow_pickle=False)

    @cached_property
    def labels(self) -> np.ndarray:
        """(n,) int64: for each image, the position of its class in `classes`."""
        return pd.Index(self.classes).get_indexer(self.images["class"]).astype(np.int64)

    def rows(self, class_name: str) -> np.ndarray:
        """(m,) int64: positions of a class's images in the arrays."""
        return self._rows_by_class.get(class_name, np.empty(0, np.int64))

    @cached_property
    def _rows_by_class(self) -> dict[str, np.ndarray]:
        # All at once: looked for class by class, a thousand would read the table a thousand times.
        return {str(name): rows for name, rows in self.images.groupby("class").indices.items()}

    def split_rows(self, split: str) -> np.ndarray:
        """(m,) int64: positions of the images of 'train', 'val' or 'test' in the arrays."""
        return np.flatnonzero(self.images["split"].to_numpy() == split)


def read_embeddings(folder: Path) -> Embeddings:
    """Read and check the artifact; raises StudyError that names what is missing or wrong.

    What is small is checked as a whole, of the arrays the sizes: each is read when it is used.
    """
    images = read_csv(folder / "images.csv", IMAGES, "embed")
    manifest = _read_manifest(folder / "manifest.json")
    levels, draws = _levels_and_draws(manifest, folder)
    if content_id(images, IMAGES, {}) != manifest.ids:
        raise StudyError(
            f"{folder}/images.csv: its {len(images):,} rows are not the {manifest.images:,} of the "
            f"arrays, or in another order; {make_again('embed')}"
        )
    for file, written in manifest.files.items():
        _require_size(folder / file, written)
        if written.shape and file != TEXT and written.shape[0] != len(images):
            raise StudyError(
                f"{folder / file}: shape {tuple(written.shape)} for {len(images)} images in "
                f"images.csv; {make_again('embed')}"
            )
    classes = read_csv(folder / "classes.csv", CLASSES, "embed")["class"]
    encoder = read_json(folder / "encoder.json", "embed")
    for file in ("classes.csv", "encoder.json"):
        _require_content(folder / file, manifest.files[file])
    unknown = set(images["class"]) - set(classes)
    if unknown:
        raise StudyError(
            f"{folder}/images.csv: class {min(unknown)} is not in classes.csv; "
            f"{make_again('embed')}"
        )
    text = None
    if TEXT in manifest.files:
        text = _read_rows(folder / TEXT, manifest.files[TEXT], classes)
    elif (folder / TEXT).exists():
        raise StudyError(f"{folder}/manifest.json: no {TEXT!r}; {make_again('embed')}")
    run = _hash(folder / "manifest.json")
    return Embeddings(folder, images, classes.tolist(), text, encoder, levels, draws, run, manifest)


def _read_manifest(file: Path) -> Manifest:
    content = read_json(file, "embed")
    try:
        manifest = Manifest.model_validate(content)
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(part) for part in fault["loc"])
        raise StudyError(f"{file}: {quoted(key)}: {fault['msg']}; {make_again('embed')}") from None
    unknown = [
        each
        for each in manifest.files
        if each not in (*BESIDE_THE_ARRAYS, TEXT) and not ARRAY.fullmatch(each)
    ]
    missing = [each for each in BESIDE_THE_ARRAYS if each not in manifest.files]
    for names, what in ((missing, "no"), (unknown, "unknown file")):
        if names:
            raise StudyError(f"{file}: {what} {quoted(names[0])}; {make_again('embed')}")
    return manifest


def _levels_and_draws(manifest: Manifest, folder: Path) -> tuple[list[float], int]:
    """The noise levels, ascending, and the number of draws at each of the noisy ones.

    Raises StudyError where a level lacks a draw that another has, or the clean array is missing.
    """
    levels = sorted({0.0} | {level for level, _ in manifest.arrays()})
    draws = 1 + max((draw for _, draw in manifest.arrays()), default=0)
    # Not listed beforehand: a file may claim any number of draws.
    wanted = (array_name(level, draw) for level in levels for draw in range(draws if level else 1))
    for file in wanted:
        if file not in manifest.files:
            raise StudyError(f"{folder / file}: not found; run 'dvc repro embed'")
    return levels, draws


def _require_size(file: Path, written: WrittenFile) -> None:
    with open_regular(file, "embed", MOST_BYTES):
        size_bytes = file.stat().st_size
    if size_bytes != written.size_bytes:
        raise StudyError(
            f"{file}: {size_bytes:,} bytes, of {written.size_bytes:,} that were written; "
            f"{make_again('embed')}"
        )


def _require_content(file: Path, written: WrittenFile) -> None:
    if _hash(file) != written.blake2b:
        raise StudyError(f"{file}: not as 'embed' wrote it; {make_again('embed')}")


def _read_rows(file: Path, written: WrittenFile, names: pd.Series) -> np.ndarray:
    """(n, d) float32 of a file, a unit row for each of n names; read-only and memory-mapped."""
    _require_content(file, written)
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise StudyError(
            f"{file}: damaged ({one_line(error, 160)}); {make_again('embed')}"
        ) from None
    if array.ndim != 2 or array.dtype != np.float32 or len(array) != len(names):
        raise StudyError(
            f"{file}: {array.dtype} of shape {array.shape} instead of {len(names)} rows of "
            f"float32; {make_again('embed')}"
        )
    norms = np.sqrt(np.einsum("ij,ij->i", array, array))  # which copies no array
    # A NaN compares false with everything, so the test is for what is right.
    wrong = np.flatnonzero(~(np.abs(norms - 1) <= UNIT_TOLERANCE))
    if len(wrong):
        raise StudyError(
            f"{file}: the embedding of {names.iloc[wrong[0]]} has norm {norms[wrong[0]]:.3g} "
            f"instead of 1, {len(wrong)} such in all; {make_again('embed')}"
        )
    return array
