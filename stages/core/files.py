"""Outputs that appear whole or not at all."""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stages.core.errors import StudyError
from stages.core.paths import home

if TYPE_CHECKING:  # a stage without tables does not wait for it
    import pandas as pd

FULL_DISK_BYTES = 2**20


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
    for kept in filter(None, (Path.cwd(), home())):
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


def read_json(path: Path) -> dict:
    """Read a JSON object; raises StudyError where the file is missing or damaged."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise StudyError(f"{path}: not found; run 'dvc repro' first") from None
    except ValueError as error:
        raise StudyError(f"{path}: not JSON ({error}); run 'dvc repro' to make it again") from None


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write `table` without its index, floats with six significant digits.

    Six digits are more than any figure here is good for, and keep the last bits of a
    floating-point sum, which differ between machines, out of git.
    """
    with whole_file(path) as unfinished:
        table.to_csv(unfinished, index=False, float_format="%.6g", lineterminator="\n")


def rounded(value: float, digits: int = 6) -> float:
    """`value` as a Python float of so many significant digits: what a metric states."""
    return float(f"{float(value):.{digits}g}")
