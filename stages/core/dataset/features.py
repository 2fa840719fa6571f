"""Features that were computed elsewhere: read from a user's folder, checked, and kept.

| file of a user's | holds |
| --- | --- |
| images.csv | id (<class>/<name>), class, and split where it is given, in the order of the arrays |
| image_features.npy | (n, d) of any float type, rows of any length but 0 |
| image_features_<kind>_<level>_draw_<k>.npy | the same of noisy images; may be absent |
| images.parquet | instead of the first two: the same columns, and one column of lists |
| classes.csv, text_features.npy | class; (C, d) features of the class prompts; may be absent |
| encoder.json | model, pretrained, logit_scale, logit_bias; may be absent |

`fetch` keeps them in the folder features/ beside the label files: under the same names, as unit
rows of float32 in the order of the ids, without the tables of images. `embed` takes them from it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stages.core.dataset.feature_files import (
    CLASSES,
    CLEAN,
    ENCODER,
    NOISY,
    PARQUET,
    TABLE,
    TEXT,
)
from stages.core.dataset.layout import (
    SPLITS,
    Layout,
    class_of,
    fault_of_class_name,
    fault_of_file_name,
    normal_form,
    require_enough,
    stratified_splits,
)
from stages.core.dataset.reading import UnreadableFile, read_bounded, require_regular, some
from stages.core.runtime.errors import StudyError, one_line, quoted
from stages.core.runtime.files import make_again, write_csv, write_json

NOISY_NAME = re.compile(r"image_features_(.+)_(\d{1,9}(?:\.\d{1,9})?)_draw_(\d{1,9})\.npy")
NOISY_FORM = "image_features_<kind>_<level>_draw_<k>.npy"

MOST_TABLE_BYTES = 2**30
MOST_JSON_BYTES = 2**20
MOST_ARRAY_BYTES = 2**40
ROWS_AT_ONCE = 2**14  # that are normalised in float64
SHORTEST, LONGEST = 1e-30, 1e30  # rows of float64, beyond which float32 has no direction for them


class Key(NamedTuple):
    """Which array of image features: the kind of noise ('' for none), its level and its draw."""

    kind: str
    level: float
    draw: int

    @property
    def file(self) -> str:
        """The name of its file."""
        if not self.kind:
            return CLEAN
        return f"image_features_{self.kind}_{self.level:.2f}_draw_{self.draw}.npy"


WITHOUT_NOISE = Key("", 0.0, 0)


class About(BaseModel):
    """The contents of a user's encoder.json; what it says beyond that is passed over.

    logit_scale: the factor that makes logits of cosines, 100 for CLIP; logit_bias: what is added
    to them, for models that were trained with sigmoids (SigLIP).
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)
    model: str = Field("precomputed", min_length=1)
    pretrained: str | None = None
    logit_scale: float | None = Field(None, gt=0)
    logit_bias: float | None = None


class Array(NamedTuple):
    """An array and the file that messages name it by."""

    file: Path
    rows: np.ndarray


@dataclass(frozen=True)
class Features:
    """A folder of features.

    images: DataFrame with the columns id, class and, where it is given, split, in the order of the
        rows of the arrays.
    arrays: {Key: (n, d)}, of any float type, memory-mapped, rows not yet looked at.
    classes, text: (C,) names and their (C, d) features; both None where there are none.
    """

    folder: Path
    images: pd.DataFrame
    arrays: dict[Key, Array]
    classes: list[str] | None
    text: Array | None
    about: About


# A user's folder


def read_image_table(folder: Path) -> pd.DataFrame:
    """The table of images alone: id, class and, where it is given, split, as `Features.images`.

    Raises StudyError, which names file, row and fix, for a table that is missing, damaged, or names
    images as no data set can.
    """
    if (folder / PARQUET).exists():
        return _checked(_read_parquet(folder / PARQUET, with_lists=False), folder / PARQUET)
    file = folder / TABLE
    _require_regular(file, MOST_TABLE_BYTES, f"it lists the images of {CLEAN}")
    strings = dict.fromkeys(("id", "class", "split"), pa.string())
    try:
        table = pyarrow.csv.read_csv(
            file,
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=strings, strings_can_be_null=False
            ),
        )
    except (pa.ArrowException, ValueError) as error:
        raise StudyError(f"{file}: damaged ({one_line(error, 160)}); write it anew") from None
    return _checked(table, file)


def read_features(folder: Path) -> Features:
    """Read a folder of features; the rows of its arrays are looked at by `keep`.

    Raises StudyError, which names the file and the fix, for what is missing, damaged or does not
    fit together.
    """
    images = read_image_table(folder)
    arrays = {WITHOUT_NOISE: _clean_array(folder)}
    for file in sorted(folder.glob(NOISY)):
        key = _key_of(file)
        if key in arrays:
            raise StudyError(f"{file}: a second file of this level and draw; remove one")
        arrays[key] = _open_array(file)
    _require_same_draws(folder, arrays)
    dimension = arrays[WITHOUT_NOISE].rows.shape[1]
    for file, rows in arrays.values():
        _require_shape(file, rows, len(images), dimension, "images")
    classes, text = _read_text(folder, set(images["class"]), dimension)
    return Features(folder, images, arrays, classes, text, _read_about(folder / ENCODER))


def layout_of(images: pd.DataFrame, seed: int, where: str | Path) -> Layout:
    """The data set of a table of images; without splits of its own ten are made from the seed."""
    require_enough(images["class"].value_counts().to_dict(), where)
    ids = sorted(images["id"])
    if "split" in images:
        splits = images.set_index("id")[["split"]].set_axis([1], axis="columns").loc[ids]
    else:
        splits = stratified_splits(ids, seed)
    return Layout(splits, {name: [class_of(name)] for name in ids})


def keep(features: Features, ids: Sequence[str], folder: Path) -> dict[str, str]:
    """Write the features of some images, and of their classes, to a new folder, as unit rows.

    Returns {id: digest of its clean features}. Raises StudyError that names the images whose
    features are not finite or are 0, the first of them and their number.
    """
    folder.mkdir()
    order = pd.Index(features.images["id"]).get_indexer(list(ids))
    for key, (file, rows) in features.arrays.items():
        kept = np.lib.format.open_memmap(
            folder / key.file, mode="w+", dtype=np.float32, shape=(len(ids), rows.shape[1])
        )
        for some_of in _pieces(len(ids)):
            kept[some_of] = _unit_rows(rows[order[some_of]], ids[some_of], file)
        kept.flush()
    if features.text is not None and features.classes is not None:
        classes = sorted({class_of(name) for name in ids})
        rows = features.text.rows[[features.classes.index(name) for name in classes]]
        np.save(folder / TEXT, _unit_rows(rows, classes, features.text.file))
        write_csv(folder / CLASSES, pd.DataFrame({"class": classes}))
    write_json(folder / ENCODER, features.about.model_dump())
    clean = np.load(folder / CLEAN, mmap_mode="r")
    return {
        name: blake2b(row.tobytes(), digest_size=16).hexdigest()
        for name, row in zip(ids, clean, strict=True)
    }


def _clean_array(folder: Path) -> Array:
    if not (folder / PARQUET).exists():
        return _open_array(folder / CLEAN)
    for name in (TABLE, CLEAN):
        if (folder / name).exists():
            raise StudyError(f"{folder}: holds both {PARQUET} and {name}; remove one of them")
    file = folder / PARQUET
    table = _read_parquet(file, with_lists=True)
    lists = [each for each in table.schema if _is_list(each.type)]
    if len(lists) != 1:
        names = ", ".join(each.name for each in lists) or "none"
        raise StudyError(f"{file}: one column of lists holds the features, not {names}; name one")
    kind = pa.large_list(lists[0].type.value_type)
    column = table[lists[0].name].cast(kind).combine_chunks()
    lengths = column.value_lengths().to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero(lengths != lengths[0])
    if column.null_count or len(wrong):
        row = int(wrong[0]) if len(wrong) else 0
        raise StudyError(
            f"{file}: row {row + 1:,} of {lists[0].name} has another length than the first; "
            "give every image as many features"
        )
    flat = column.flatten()
    if not pa.types.is_floating(flat.type) or flat.null_count:
        raise StudyError(f"{file}: {lists[0].name} holds {flat.type}; store numbers, as float32")
    return Array(file, flat.to_numpy(zero_copy_only=False).reshape(len(column), -1))


def _is_list(kind: pa.DataType) -> bool:
    return (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _read_parquet(file: Path, with_lists: bool) -> pa.Table:
    _require_regular(file, MOST_ARRAY_BYTES, "")
    try:
        schema = pq.read_schema(file)
        columns = [each.name for each in schema if with_lists or not _is_list(each.type)]
        return pq.read_table(file, columns=columns)
    except (pa.ArrowException, ValueError, OSError) as error:
        raise StudyError(f"{file}: damaged ({one_line(error, 160)}); write it anew") from None


def _checked(table: pa.Table, file: Path) -> pd.DataFrame:
    """The columns id, class and split of a table, checked, names in the composed form."""
    for column in ("id", "class"):
        if column not in table.column_names:
            found = quoted(", ".join(table.column_names))
            raise StudyError(f"{file}: no column {column}, but {found}; add it")
    names = [name for name in ("id", "class", "split") if name in table.column_names]
    if any(table.column_names.count(name) > 1 for name in names):
        raise StudyError(f"{file}: two columns have one name; remove one")
    if not table.num_rows:
        raise StudyError(f"{file}: holds no images; give a row to each")
    try:  # names may come as numbers or as a dictionary
        images = pa.table({name: table[name].cast(pa.string()) for name in names}).to_pandas()
    except pa.ArrowException as error:
        raise StudyError(f"{file}: damaged ({one_line(error, 160)}); write it anew") from None
    for name in names:
        bad = [i for i, value in enumerate(images[name]) if not isinstance(value, str)]
        if bad:
            raise StudyError(f"{file}: row {bad[0] + 1:,}: {name} is missing or no text; add it")
    images[["id", "class"]] = images[["id", "class"]].map(normal_form)
    for i, (image_id, of_class) in enumerate(zip(images["id"], images["class"], strict=True)):
        fault = _fault_of(image_id, of_class)
        if fault:
            what, fix = fault
            raise StudyError(f"{file}: row {i + 1:,}: {quoted(image_id)}: {what}; {fix}")
    repeated = images["id"].duplicated()
    if repeated.any():
        first = images["id"][repeated].iloc[0]
        more = f", {repeated.sum():,} such rows in all" if repeated.sum() > 1 else ""
        raise StudyError(f"{file}: {quoted(first)} is repeated{more}; give each image once")
    if "split" in images:
        wrong = ~images["split"].isin(SPLITS)
        if wrong.any():
            row = int(wrong.argmax())
            raise StudyError(
                f"{file}: row {row + 1:,}: split is {quoted(images['split'][row])}, not one of "
                f"{', '.join(SPLITS)}; correct it, or leave the column out to have splits made"
            )
    return images


def _fault_of(image_id: str, of_class: str) -> tuple[str, str] | None:
    """(what is wrong, how to fix it) of an id and the class beside it."""
    folder, _, name = image_id.partition("/")
    if not name or "/" in name:
        return "an id is <class>/<name>", "write it so"
    if folder != of_class:
        return f"its class is {quoted(of_class)}, not what its id begins with", "make them agree"
    return fault_of_class_name(folder) or fault_of_file_name(name)


def _key_of(file: Path) -> Key:
    """What a file of noisy features holds, by its name."""
    match = NOISY_NAME.fullmatch(file.name)
    if not match:
        raise StudyError(f"{file}: noisy features are named {NOISY_FORM}; rename or remove it")
    key = Key(match[1], float(match[2]), int(match[3]))
    if key.level == 0:
        raise StudyError(f"{file}: level 0 is {CLEAN}; remove this file")
    if abs(round(key.level, 2) - key.level) > 1e-9 * key.level:
        raise StudyError(f"{file}: its level has more than two decimals; round it")
    return key


def _require_same_draws(folder: Path, arrays: dict[Key, Array]) -> None:
    """Raise StudyError unless the levels of each kind of noise have the draws 0, 1, ..., K - 1."""
    for kind in sorted({key.kind for key in arrays if key.kind}):
        of_kind = [key for key in arrays if key.kind == kind]
        draws = 1 + max(key.draw for key in of_kind)
        for level in sorted({key.level for key in of_kind}):
            for draw in range(draws):
                if Key(kind, level, draw) not in arrays:
                    file = folder / Key(kind, level, draw).file
                    raise StudyError(
                        f"{file}: not found, while another level of {kind} has draw {draw}; "
                        "number the draws from 0 and give every level as many"
                    )


def _open_array(file: Path) -> Array:
    """An array on disk, memory-mapped; raises StudyError unless it is one of two float axes."""
    _require_regular(file, MOST_ARRAY_BYTES, "it holds the features, (n, d)")
    try:
        rows = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise StudyError(f"{file}: damaged ({one_line(error, 160)}); write it anew") from None
    if not isinstance(rows, np.ndarray):
        raise StudyError(f"{file}: an archive of arrays; store a single one, by np.save")
    if rows.ndim != 2 or rows.dtype.kind != "f":
        raise StudyError(
            f"{file}: {rows.dtype} of shape {rows.shape}; store (n, d) of float16, float32 or "
            "float64"
        )
    return Array(file, rows)


def _require_shape(file: Path, rows: np.ndarray, count: int, dimension: int, of: str) -> None:
    if len(rows) != count:
        raise StudyError(
            f"{file}: {len(rows):,} rows for {count:,} {of}; give each its row, in the same order"
        )
    if rows.shape[1] != dimension or dimension < 1:
        raise StudyError(
            f"{file}: {rows.shape[1]:,} dimensions, while {CLEAN} has {dimension:,}; encode all "
            "with one model"
        )


def _read_text(
    folder: Path, wanted: set[str], dimension: int
) -> tuple[list[str] | None, Array | None]:
    """The names in classes.csv and the features of their prompts; None where there are none."""
    if not (folder / TEXT).exists():
        return None, None
    file = folder / CLASSES
    _require_regular(file, MOST_TABLE_BYTES, f"it names the rows of {TEXT}, in column class")
    try:
        options = pyarrow.csv.ConvertOptions(
            column_types={"class": pa.string()}, strings_can_be_null=False
        )
        table = pyarrow.csv.read_csv(file, convert_options=options)
    except (pa.ArrowException, ValueError) as error:
        raise StudyError(f"{file}: damaged ({one_line(error, 160)}); write it anew") from None
    if "class" not in table.column_names:
        raise StudyError(f"{file}: no column class; add it, to name the rows of {TEXT}")
    classes = [normal_form(name) for name in table["class"].to_pylist()]
    if len(set(classes)) < len(classes):
        raise StudyError(f"{file}: a class is repeated; give each once")
    missing = sorted(wanted - set(classes))
    if missing:
        raise StudyError(f"{file}: lacks the classes {some(missing)} of the images; add them")
    text = _open_array(folder / TEXT)
    _require_shape(text.file, text.rows, len(classes), dimension, "classes")
    return classes, text


def _read_about(file: Path) -> About:
    if not file.exists():
        return About.model_validate({})
    try:
        return About.model_validate_json(read_bounded(file, MOST_JSON_BYTES))
    except UnreadableFile as error:
        raise StudyError(f"{file}: {error}; repair or remove it") from None
    except ValidationError as error:
        fault = error.errors()[0]
        key = ".".join(str(part) for part in fault["loc"])
        message = fault["msg"][:1].lower() + fault["msg"][1:]
        where = f"{quoted(key)}: " if key else ""
        raise StudyError(f"{file}: {where}{one_line(message, 160)}; correct or remove it") from None


def _require_regular(file: Path, most_bytes: int, purpose: str) -> None:
    try:
        require_regular(file, most_bytes)
    except UnreadableFile as error:
        why = f" ({purpose})" if purpose else ""
        raise StudyError(f"{file}: {error}; add or repair it{why}") from None


def _unit_rows(rows: np.ndarray, names: Sequence[str], file: Path) -> np.ndarray:
    """(m, d) of any float type -> float32, each row scaled to length one."""
    exact = rows.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    for wrong, what in (
        (~np.isfinite(exact).all(axis=1), "not finite"),
        (lengths[:, 0] < SHORTEST, "0, which has no direction"),
        (lengths[:, 0] > LONGEST, "too large"),
    ):
        if wrong.any():
            bad = [names[int(i)] for i in np.flatnonzero(wrong)]
            raise StudyError(f"{file}: the features of {some(bad)} are {what}; compute them anew")
    return (exact / lengths).astype(np.float32)


def _pieces(count: int) -> Iterator[slice]:
    return (slice(start, start + ROWS_AT_ONCE) for start in range(0, count, ROWS_AT_ONCE))


# What fetch kept


@dataclass(frozen=True)
class Kept:
    """The features that `fetch` kept, of one kind of noise.

    files: {(level, draw): file}, (0.0, 0) the clean one; text: (C, d), or None; about: what the
    user says of the model; kind: of the noise, None where there is none.
    """

    files: dict[tuple[float, int], Path]
    text: np.ndarray | None
    about: About
    kind: str | None

    @property
    def levels(self) -> list[float]:
        """The noise levels, ascending."""
        return sorted({level for level, _ in self.files})

    @property
    def draws(self) -> int:
        """The number of draws at every level above 0."""
        return 1 + max(draw for _, draw in self.files)


def read_kept(folder: Path, count: int, kind: str) -> Kept:
    """The features of `count` images that `fetch` kept in a folder, with noise of a kind.

    Where there is one kind alone it is taken, whatever `kind` is. Raises StudyError for features
    that are missing or of another number of images, and where there are several kinds and not
    this one.
    """
    if not (folder / CLEAN).exists():
        raise StudyError(
            f"{folder / CLEAN}: not found, which embed.model: precomputed takes; set fetch.source "
            "to a folder of features, or embed.model to a model"
        )
    keys = [WITHOUT_NOISE, *(_key_of(file) for file in sorted(folder.glob(NOISY)))]
    kinds = sorted({key.kind for key in keys if key.kind})
    if len(kinds) > 1 and kind not in kinds:
        raise StudyError(
            f"embed.noise_kind: {kind}, but there are features of {', '.join(kinds)}; set one of "
            "these"
        )
    of = kinds[0] if len(kinds) == 1 else kind if kinds else None
    files = {(key.level, key.draw): folder / key.file for key in keys if key.kind in ("", of)}
    for file in files.values():
        if len(np.load(file, mmap_mode="r", allow_pickle=False)) != count:
            raise StudyError(f"{file}: not of the {count:,} images; {make_again('fetch')}")
    text = np.load(folder / TEXT) if (folder / TEXT).exists() else None
    return Kept(files, text, _read_about(folder / ENCODER), of)
