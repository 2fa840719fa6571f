"""Outputs that appear whole or not at all, and inputs that are what they have to be."""

import errno
import json
import math
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, SupportsFloat

from stages.core.runtime.errors import StudyError, one_line, quoted
from stages.core.runtime.paths import home

if TYPE_CHECKING:  # a stage without tables does not wait for it
    import pandas as pd

FULL_DISK_BYTES = 2**20
MOST_JSON_BYTES = 2**24

# Significant digits of metrics and of tables in git: all that carry meaning. What differs between
# processors and batch sizes, the last bits of sums in float32, is then rarely seen there.
DIGITS = 4

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
    fix = "give a folder of its own"
    _require_folder_or_nothing(path, fix)
    real = resolved(path)
    for kept in (Path.cwd(), home()):
        if kept and kept.resolve().is_relative_to(real):
            raise StudyError(f"{path}: would be replaced as a whole, and holds {kept}; {fix}")
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
            f"({MARKER}); {fix}, or, where an earlier version of {stage} wrote it, remove it and "
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


def _require_folder_or_nothing(path: Path, fix: str) -> None:
    """Raise StudyError where something else than a folder, or than a link to one, is at `path`."""
    if path.is_dir():
        return
    if path.is_symlink() and not path.exists():
        raise StudyError(f"{path}: a link to {path.readlink()}, which is not there; {fix}")
    if path.exists():
        raise StudyError(f"{path}: is a file, where a folder has to go; {fix}")


def _files_in(folder: Path) -> list[str]:
    """Relative paths of all that is no folder, sorted; neither the marker nor clutter."""
    found = set()
    for parent, folders, files in os.walk(folder):
        links = [name for name in folders if Path(parent, name).is_symlink()]
        folders[:] = [name for name in folders if not is_clutter(name)]
        inside = str(Path(parent).relative_to(folder) / "_").removesuffix("_")
        found |= {f"{inside}{name}" for name in (*files, *links) if not is_clutter(name)}
    return sorted(found - {MARKER})


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
        raise StudyError(
            f"{path}: not JSON ({one_line(error, 160)}); {make_again(stage)}"
        ) from None
    if not isinstance(content, dict) or not content:
        raise StudyError(
            f"{path}: {quoted(content)} instead of an object with values; {make_again(stage)}"
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


def open_regular(path: Path, stage: str, most_bytes: int) -> BufferedReader:
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


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write `table` without its index, floats with DIGITS significant digits."""
    with whole_file(path) as unfinished:
        table.to_csv(unfinished, index=False, float_format=f"%.{DIGITS}g", lineterminator="\n")


def rounded(value: SupportsFloat, digits: int = DIGITS) -> float:
    """`value` as a Python float of so many significant digits, as a metric states it."""
    return float(f"{float(value):.{digits}g}")
