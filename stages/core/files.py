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

PROJECT = "clip-texture-topology"
MARKER = f".{PROJECT}"  # in every folder that a stage replaces as a whole

# What systems and file servers leave in folders, in lower case.
CLUTTER = frozenset(
    {
        *(".ds_store", ".localized", "icon\r", "__macosx"),  # macOS, and archives made there
        *("network trash folder", "temporary items"),
        *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "picasa.ini"),  # Windows
        *("$recycle.bin", "recycler", "system volume information", "found.000"),
        *("@eadir", "@tmp", "@recycle", "@synoresource", "#recycle", "#snapshot"),  # file servers
        *("lost+found", ".directory", ".snapshot", ".snapshots"),  # Linux
    }
)
CLUTTER_BEGINS = ("._", ".nfs", ".trash")


def is_clutter(name: str) -> bool:
    """Whether a file or folder of this name is what a system or a file server leaves behind."""
    name = name.casefold()
    return name in CLUTTER or name.startswith(CLUTTER_BEGINS)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a name beside `path` to write to; rename it to `path` if no exception is raised.

    A reader therefore sees the previous file or the finished one, never a part of it. Where
    `path` is a link, the file takes the place of the link, and what it points to, such as a file
    in DVC's cache, stays as it was. Raises StudyError where `path` is not a regular file.
    """
    require_file_or_nothing(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = beside(path, "unfinished")
    try:
        with _naming(path):
            yield unfinished
            unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def require_file_or_nothing(path: Path) -> None:
    """Raise StudyError where a folder, device or pipe lies at `path`, where a file has to go."""
    if path.exists() and not path.is_file():
        raise StudyError(f"{path}: a file has to go here, and this is none; give another name")


@contextmanager
def whole_files(folder: Path) -> Iterator[Path]:
    """Yield an empty folder; move its files into `folder` if no exception is raised.

    What else `folder` holds stays there. Raises StudyError where it is no folder.
    """
    _require_folder_or_nothing(folder, "give a folder")
    folder = resolved(folder)  # a link to a folder stays
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"{MARKER}.unfinished"
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
def whole_folder(path: Path, stage: str) -> Iterator[Path]:
    """Yield an empty folder beside `path`; let it take the place of `path` if nothing is raised.

    At the end a marker that names the project, the stage and every file is added, by which the
    folder is known when it is to be replaced. Where `path` is a link to a folder, that folder is
    replaced, and the link stays. Raises StudyError as `require_replaceable` does.
    """
    require_replaceable(path, stage)
    path = resolved(path)
    unfinished, replaced = beside(path, "unfinished"), beside(path, "replaced")
    if replaced.exists() and not path.exists():  # killed between the two renames below
        replaced.rename(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for leftover in (unfinished, replaced):
        shutil.rmtree(leftover, ignore_errors=True)
    unfinished.mkdir()
    try:
        with _naming(path):
            yield unfinished
            write_json(
                unfinished / MARKER,
                {"project": PROJECT, "stage": stage, "files": _files_in(unfinished)},
            )
            if path.exists():
                path.rename(replaced)
            unfinished.rename(path)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.rmtree(replaced, ignore_errors=True)


def beside(path: Path, what: str) -> Path:
    """A hidden name beside `path` that nobody else gives, so that it may be removed."""
    return path.with_name(f".{path.name}.{PROJECT}.{what}")


def require_replaceable(path: Path, stage: str) -> None:
    """Raise StudyError unless `path` is missing, empty, or a folder that `stage` wrote.

    It would be replaced as a whole, and what is not the study's own must not be lost: the
    working folder, the home folder, what holds them, a folder without the stage's marker, and
    one with files that the marker does not list.
    """
    mend = "give a folder of its own"
    _require_folder_or_nothing(path, mend)
    real = resolved(path)
    for kept in (Path.cwd(), home()):
        if kept and kept.resolve().is_relative_to(real):
            raise StudyError(f"{path}: would be replaced as a whole, and holds {kept}; {mend}")
    if not real.exists():
        return
    if real.is_mount():
        raise StudyError(f"{path}: a mount point, which cannot be replaced; give a folder in it")
    listed = _listed(real / MARKER, stage)
    if listed is None and all(is_clutter(entry.name) for entry in real.iterdir()):
        return
    if listed is None:
        raise StudyError(
            f"{path}: would be replaced as a whole, and holds files but no marker of {stage} "
            f"({MARKER}); {mend}, or, where an earlier version of {stage} wrote it, remove it and "
            "run again"
        )
    foreign = sorted(set(_files_in(real)) - set(listed))
    if foreign:
        more = f" and {len(foreign) - 3:,} more" if len(foreign) > 3 else ""
        raise StudyError(
            f"{path}: would be replaced as a whole, and holds files that {stage} did not write: "
            f"{', '.join(foreign[:3])}{more}; move them away"
        )


def resolved(path: Path) -> Path:
    """The absolute path without links; raises StudyError where links lead to one another."""
    try:
        return path.resolve()
    except RuntimeError:
        raise StudyError(f"{path}: links that lead to one another; give another name") from None


def _require_folder_or_nothing(path: Path, mend: str) -> None:
    """Raise StudyError where something else than a folder, or than a link to one, is at `path`."""
    if path.is_dir():
        return
    if path.is_symlink() and not path.exists():
        raise StudyError(f"{path}: a link to {path.readlink()}, which is not there; {mend}")
    if path.exists():
        raise StudyError(f"{path}: is a file, where a folder has to go; {mend}")


def _files_in(folder: Path) -> list[str]:
    """Relative paths of all that is no folder, sorted; neither the marker nor clutter."""
    found = []
    for parent, folders, files in os.walk(folder):
        links = [name for name in folders if Path(parent, name).is_symlink()]
        folders[:] = [name for name in folders if not is_clutter(name)]
        found += [Path(parent, name) for name in (*files, *links) if not is_clutter(name)]
    return sorted(str(file.relative_to(folder)) for file in found if file != folder / MARKER)


def _listed(marker: Path, stage: str) -> list[str] | None:
    """The files that a stage's marker lists; None where it is none."""
    if not marker.is_file():
        return None
    try:
        content = json.loads(marker.read_text())
        known = (content["project"], content["stage"]) == (PROJECT, stage)
        return [str(name) for name in content["files"]] if known else None
    except (ValueError, TypeError, KeyError):
        return None


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
