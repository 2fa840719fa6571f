"""Tables on disk, each read by the schema that is declared beside the stage that writes it.

A schema says what a column holds, so that nothing is guessed: a class named 007, NA or 1e5 keeps
its name, and a number is a number within its range. Parquet holds what other stages compute with,
at full precision; CSV holds what people and DVC read.

A Parquet table also carries what its writer says of it, such as the run of the embeddings that it
was computed from, and `content`, a hash of its rows and of that: a table that was cut short or
edited is told from the one that was written.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from stages.core.runtime.errors import StudyError, can_be_written, one_line, quoted
from stages.core.runtime.files import make_again, open_regular, read_bytes, whole_file

# Far above what a study writes, and within what a machine holds.
MOST_BYTES = 2**30
MOST_ROWS = 20_000_000
LONGEST_NAME = 1024  # characters; two file names of 255 make an id
DIGEST_BYTES = 16
A_NAME = f"a printable name of 1 to {LONGEST_NAME:,} characters"


@dataclass(frozen=True)
class Column:
    """A column: its type; the range of its numbers, ends included; the names it may hold.

    infinite: whether a number may be infinite. missing: whether a value may be missing, as NaN or
    None. choices: empty where any name may be there.
    """

    name: str
    type: pa.DataType
    low: float = -math.inf
    high: float = math.inf
    infinite: bool = False
    missing: bool = False
    choices: tuple[str, ...] = ()


def name(column: str, *choices: str, missing: bool = False) -> Column:
    """A column of names, of the choices where some are given."""
    return Column(column, pa.string(), missing=missing, choices=choices)


def number(
    column: str,
    low: float = -math.inf,
    high: float = math.inf,
    infinite: bool = False,
    missing: bool = False,
) -> Column:
    """A column of float64."""
    return Column(column, pa.float64(), low, high, infinite, missing)


def whole(column: str, low: float = -math.inf, high: float = math.inf) -> Column:
    """A column of int64."""
    return Column(column, pa.int64(), low, high)


def flag(column: str) -> Column:
    """A column of True and False."""
    return Column(column, pa.bool_())


@dataclass(frozen=True)
class Schema:
    """The columns of a table in their order, and those that no two rows agree in all of.

    may_be_empty: whether a table without rows says something, namely that there is nothing.
    """

    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    may_be_empty: bool = False

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def arrow(self) -> pa.Schema:
        return pa.schema([(column.name, column.type) for column in self.columns])


# The images of a study, in the order of their ids: written by `fetch`, and by `embed` again.
IMAGES = Schema((name("id"), name("class"), name("split", "train", "val", "test")), key=("id",))


class Table(NamedTuple):
    """The rows of a Parquet table, and what its writer says of it."""

    rows: pd.DataFrame
    about: dict[str, str]


def read_csv(file: Path, schema: Schema, stage: str) -> pd.DataFrame:
    """Read a CSV table that a stage wrote.

    Raises StudyError, which names file, row, column and value and the stage to run, where the
    file is missing or damaged or the schema does not fit.
    """
    content = read_bytes(file, stage, MOST_BYTES)
    with _damage(file, stage):
        table = pyarrow.csv.read_csv(
            pa.BufferReader(content),
            pyarrow.csv.ReadOptions(use_threads=False),  # for the number of a row in a message
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=schema.arrow, null_values=[""], strings_can_be_null=False
            ),
        )
    _require_names(table.column_names, file, schema, stage)
    return _checked(table, file, schema, stage)


def read_parquet(file: Path, schema: Schema, stage: str) -> Table:
    """Read a Parquet table that a stage wrote with `write_parquet`.

    Raises StudyError as `read_csv` does, and where it is not as it was written. What a file says
    of its size is checked before anything of that size is made.
    """
    with open_regular(file, stage, MOST_BYTES) as stream, _damage(file, stage):
        metadata = pq.read_metadata(stream)
        _require_fitting(metadata, file, schema, stage)
        texts = [column.name for column in schema.columns if pa.types.is_string(column.type)]
        # As dictionaries, names take no more memory than the file.
        table = pq.ParquetFile(stream, metadata=metadata, read_dictionary=texts).read()
        for text in texts:
            _require_short_names(table[text])
        table = table.cast(schema.arrow)
        table.validate(full=True)  # that text is UTF-8, for one
        about = {
            key.decode(): value.decode()
            for key, value in (metadata.metadata or {}).items()
            if key != b"ARROW:schema"
        }
    frame = _checked(table, file, schema, stage)
    content = about.pop("content", None)
    if content != content_id(frame, schema, about):
        raise StudyError(f"{file}: not as '{stage}' wrote it; {make_again(stage)}")
    return Table(frame, about | {"content": content})


def write_parquet(file: Path, frame: pd.DataFrame, schema: Schema, about: Mapping[str, str]) -> str:
    """Write the columns of `schema`, and what to say about them; return the id of the content.

    The same rows give the same bytes.
    """
    content = content_id(frame, schema, about)
    table = pa.Table.from_pandas(frame[schema.names], schema.arrow, preserve_index=False)
    table = table.replace_schema_metadata({**about, "content": content})
    with whole_file(file) as unfinished:
        pq.write_table(table, unfinished, compression="zstd")
    return content


def content_id(frame: pd.DataFrame, schema: Schema, about: Mapping[str, str]) -> str:
    """A hash (BLAKE2b) of the values of a table in their order, and of what is said about it."""
    digest = blake2b(digest_size=DIGEST_BYTES)
    for key, value in sorted(about.items()):
        digest.update(f"{key}={value}\n".encode())
    for column in schema.columns:
        values = frame[column.name]
        if pa.types.is_string(column.type):
            # In no name, for it is not printable; and no name is empty.
            data = "\0".join(values.fillna("")).encode()
        else:
            numbers = np.array(values, column.type.to_pandas_dtype())
            if pa.types.is_floating(column.type):
                numbers[np.isnan(numbers)] = np.nan  # Parquet keeps that it is one, not its bits
            data = numbers.tobytes()
        digest.update(f"{column.name} {len(data)}\n".encode())
        digest.update(data)
    return digest.hexdigest()


def require_same(found: str | None, wanted: str, file: Path, source: str, stage: str) -> None:
    """Raise StudyError unless a table was computed from this run of its source.

    found, wanted: ids of the source, as the table's writer says and as it is now.
    """
    if found != wanted:
        raise StudyError(f"{file}: of another run than {source}; run 'dvc repro {stage}'")


@contextmanager
def _damage(file: Path, stage: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, ValueError, OSError) as error:
        raise StudyError(f"{file}: damaged ({one_line(error, 160)}); {make_again(stage)}") from None


def _require_names(found: list[str], file: Path, schema: Schema, stage: str) -> None:
    missing = [each for each in schema.names if each not in found]
    if missing:
        raise StudyError(
            f"{file}: no column {missing[0]}, but {quoted(', '.join(found))}; {make_again(stage)}"
        )
    if found != schema.names:
        raise StudyError(
            f"{file}: columns {quoted(', '.join(found))} instead of {', '.join(schema.names)}; "
            f"{make_again(stage)}"
        )


def _require_fitting(found: pq.FileMetaData, file: Path, schema: Schema, stage: str) -> None:
    """Raise StudyError for other columns or types, or a size beyond the limits."""
    types = found.schema.to_arrow_schema()
    _require_names(types.names, file, schema, stage)
    for column, met in zip(schema.columns, types.types, strict=True):
        if met != column.type:
            raise StudyError(
                f"{file}: column {column.name} holds {met}, not {column.type}; {make_again(stage)}"
            )
    groups = [found.row_group(i) for i in range(found.num_row_groups)]
    rows = max(found.num_rows, sum(group.num_rows for group in groups))
    size_bytes = sum(group.total_byte_size for group in groups)
    if rows > MOST_ROWS or size_bytes > MOST_BYTES:
        raise StudyError(
            f"{file}: claims {rows:,} rows and {size_bytes:,} bytes, of at most {MOST_ROWS:,} and "
            f"{MOST_BYTES:,}; {make_again(stage)}"
        )


def _require_short_names(column: pa.ChunkedArray) -> None:
    for chunk in column.chunks:
        longest = pc.max(pc.utf8_length(chunk.dictionary)).as_py() or 0
        if longest > LONGEST_NAME:
            raise ValueError(f"a name of {longest:,} characters")


def _checked(table: pa.Table, file: Path, schema: Schema, stage: str) -> pd.DataFrame:
    """The table as a DataFrame, of which every value is one that the schema allows."""
    if not table.num_rows and not schema.may_be_empty:
        raise StudyError(f"{file}: holds no rows; {make_again(stage)}")
    frame = table.to_pandas()
    for column in schema.columns:
        missing = table[column.name].is_null().to_numpy()
        fine = np.where(missing, column.missing, _allowed(frame[column.name], column))
        wrong = np.flatnonzero(~fine)
        if len(wrong):
            value = None if missing[wrong[0]] else frame[column.name].iloc[wrong[0]]
            met = "missing" if value is None else quoted(_plain(value))
            raise StudyError(
                f"{file}: row {wrong[0] + 1:,}: {column.name} is {met}, not {_wanted(column)}; "
                f"{make_again(stage)}"
            )
    repeated = frame[list(schema.key)].duplicated().to_numpy() if schema.key else np.array([])
    if repeated.any():
        row = frame.loc[repeated.argmax(), list(schema.key)]
        values = ", ".join(f"{key} {_plain(value)}" for key, value in row.items())
        raise StudyError(f"{file}: {values} is repeated; {make_again(stage)}")
    return frame


def _allowed(values: pd.Series, column: Column) -> np.ndarray:
    """(n,) bool: which values a column may hold."""
    if pa.types.is_string(column.type):
        fine = [
            value
            for value in values.dropna().unique()
            if (value in column.choices if column.choices else _is_name(value))
        ]
        return values.isin(fine).to_numpy()
    numbers = values.to_numpy(dtype=np.float64)
    within = (numbers >= column.low) & (numbers <= column.high)  # false for NaN
    return within & (np.isfinite(numbers) | column.infinite)


def _is_name(value: str) -> bool:
    return 0 < len(value) <= LONGEST_NAME and can_be_written(value)


def _wanted(column: Column) -> str:
    if pa.types.is_string(column.type):
        return f"one of {', '.join(column.choices)}" if column.choices else A_NAME
    if pa.types.is_boolean(column.type):
        return "true or false"
    kind = "a number" if column.infinite else "a finite number"
    kind = "a whole number" if pa.types.is_integer(column.type) else kind
    least = f" from {column.low:g}" if math.isfinite(column.low) else ""
    most = f" to {column.high:g}" if math.isfinite(column.high) else ""
    return f"{kind}{least}{most}"


def _plain(value: object) -> object:
    """A NumPy scalar as Python's own, which prints without its type."""
    return value.item() if isinstance(value, np.generic) else value
