"""Outputs that appear whole or not at all, and inputs that are what they have to be."""

import errno
import json
import math
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pandas as pd

from stages.core.errors import StudyError

FULL_DISK_BYTES = 2**20
MOST_JSON_BYTES = 2**24


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a name beside `path` to write to; rename it to `path` if no exception is raised.

    A reader therefore sees the previous file or the finished one, never a part of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        with _naming(path):
            yield unfinished
            unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def whole_files(folder: Path) -> Iterator[Path]:
    """Yield an empty folder; move its files into `folder` if no exception is raised.

    What else `folder` holds stays there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / ".unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    try:
        with _naming(folder):
            yield unfinished
            for file in sorted(unfinished.iterdir()):
                file.replace(folder / file.name)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@contextmanager
def whole_folder(path: Path, mark: str) -> Iterator[Path]:
    """Yield an empty folder beside `path`; let it take the place of `path` if nothing is raised.

    mark: a file that the folder always holds, by which an earlier one is known. Raises
    StudyError as `require_replaceable` does.
    """
    require_replaceable(path, mark)
    unfinished = path.with_name(f".{path.name}.unfinished")
    replaced = path.with_name(f".{path.name}.replaced")
    if replaced.exists() and not path.exists():  # killed between the two renames below
        replaced.rename(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in (unfinished, replaced):
        shutil.rmtree(leftover, ignore_errors=True)
    unfinished.mkdir()
    try:
        with _naming(path):
            yield unfinished
            if path.exists():
                path.rename(replaced)
            unfinished.rename(path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)


def require_replaceable(path: Path, mark: str) -> None:
    """Raise StudyError unless `path` is missing, empty, or a folder that a stage wrote.

    It would be replaced as a whole, and what is not the study's own must not be lost: the
    working folder, the home folder, what holds them, and a folder without the file `mark`.
    """
    mend = "give a folder of its own"
    for kept in (Path.cwd(), Path.home()):
        if kept.resolve().is_relative_to(path.resolve()):
            raise StudyError(f"{path}: would be replaced as a whole, and holds {kept}; {mend}")
    if path.exists() and not path.is_dir():
        raise StudyError(f"{path}: is a file, where a folder has to go; {mend}")
    if path.exists() and any(path.iterdir()) and not (path / mark).exists():
        raise StudyError(
            f"{path}: would be replaced as a whole, and holds files but no {mark}, so that no "
            f"stage wrote it; {mend}, or move those files away"
        )


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Let an operating system's error that names no file, as a full disk's does, name `path`.

    NumPy, PyTorch and safetensors raise something else for a full disk, which is then known by
    the words or by the space that is left.
    """
    full = os.strerror(errno.ENOSPC)
    try:
        yield
    except StudyError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            error.filename = error.filename or str(path)
        elif full in str(error) or shutil.disk_usage(path.parent).free < FULL_DISK_BYTES:
            raise OSError(errno.ENOSPC, full, str(path)) from error
        raise


def write_json(path: Path, content: dict) -> None:
    """Write `content` as indented JSON; a NaN or an infinity in it raises ValueError."""
    text = json.dumps(content, indent=2, allow_nan=False)
    with whole_file(path) as unfinished:
        unfinished.write_text(text + "\n")


def read_json(path: Path, stage: str | None = None) -> dict:
    """Read a JSON object of finite numbers, in which no key is repeated.

    stage: that writes it; by default the one that the file is named after, as metrics are. Raises
    StudyError where the file is missing or damaged.
    """
    stage = stage or path.stem
    try:
        content = json.loads(
            read_bytes(path, stage, MOST_JSON_BYTES).decode(),
            object_pairs_hook=_distinct,
            parse_constant=_finite,
            parse_float=_finite,
            parse_int=_int64,
        )
    except (ValueError, RecursionError) as error:
        raise StudyError(f"{path}: not JSON ({shown(error)}); {make_again(stage)}") from None
    if not isinstance(content, dict) or not content:
        raise StudyError(
            f"{path}: {shown(content)} instead of an object with values; {make_again(stage)}"
        )
    return content


def _distinct(pairs: list[tuple[str, object]]) -> dict:
    content = dict(pairs)
    if len(content) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r} is repeated")
    return content


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value


def _int64(text: str) -> int:
    value = int(text)
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"{text[:20]}... is no number of 64 bits")
    return value


def read_bytes(path: Path, stage: str, most_bytes: int) -> bytes:
    """The contents of a file; raises StudyError as `open_regular` does."""
    with open_regular(path, stage, most_bytes) as stream:
        return stream.read()


def open_regular(path: Path, stage: str, most_bytes: int) -> BinaryIO:
    """Open a file that a stage wrote, to be read as bytes.

    Raises StudyError, which names the stage to run, unless it is a regular file (or a link to
    one, as DVC may make of a cached file) that is not empty and has at most `most_bytes` bytes: a
    FIFO would be waited for without end, and a device read without end.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise StudyError(f"{path}: {_kind(status.st_mode)}, no file; {make_again(stage)}")
        if not status.st_size:
            raise StudyError(f"{path}: empty; {make_again(stage)}")
        if status.st_size > most_bytes:
            raise StudyError(
                f"{path}: {status.st_size:,} bytes, of at most {most_bytes:,}; {make_again(stage)}"
            )
        return path.open("rb")
    except FileNotFoundError:
        if path.is_symlink():
            raise StudyError(f"{path}: a link to nothing; {make_again(stage)}") from None
        raise StudyError(f"{path}: not found; run 'dvc repro {stage}'") from None
    except PermissionError:
        raise StudyError(f"{path}: no permission to read it; run 'chmod u+r {path}'") from None
    except OSError as error:  # a loop of links, a file where its folder has to be
        raise StudyError(f"{path}: {error.strerror}; {make_again(stage)}") from None


def _kind(mode: int) -> str:
    kinds = {stat.S_ISDIR: "a folder", stat.S_ISFIFO: "a FIFO", stat.S_ISSOCK: "a socket"}
    return next((name for is_kind, name in kinds.items() if is_kind(mode)), "a device")


def make_again(stage: str) -> str:
    """How to replace what a stage wrote, whatever has become of it.

    A plain 'dvc repro' reads outputs before it replaces them, and so hangs on a FIFO and fails on
    a link to nothing; and --force alone would run the stages before it too, a training among them.
    """
    return f"run 'dvc repro --force --single-item {stage}'"


def shown(value: object, most: int = 80) -> str:
    """What was met in a file, for one line of a message: short, and printable."""
    text = " ".join(str(value).split()) if isinstance(value, Exception) else repr(value)
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return text if len(text) <= most else f"{text[:most]}..."


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write `table` without its index, floats with six significant digits.

    Six digits are more than any figure here is good for, and keep the last bits of a
    floating-point sum, which differ between machines, out of git.
    """
    with whole_file(path) as unfinished:
        table.to_csv(unfinished, index=False, float_format="%.6g", lineterminator="\n")


def rounded(value: float, digits: int = 6) -> float:
    """`value` as a Python float of so many significant digits: what a metric states."""
    return float(f"{float(value):.{digits}g}")
