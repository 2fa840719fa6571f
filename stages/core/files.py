"""Outputs that appear whole or not at all."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from stages.core.errors import StudyError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a name beside `path` to write to; rename it to `path` if no exception is raised.

    A reader therefore sees the previous file or the finished one, never a part of it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        yield unfinished
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`; let it take the place of `path` if nothing is raised."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    replaced = path.with_name(f".{path.name}.replaced")
    if replaced.exists() and not path.exists():  # killed between the two renames below
        replaced.rename(path)
    for leftover in (unfinished, replaced):
        shutil.rmtree(leftover, ignore_errors=True)
    unfinished.mkdir()
    try:
        yield unfinished
        if path.exists():
            path.rename(replaced)
        unfinished.rename(path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)


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
