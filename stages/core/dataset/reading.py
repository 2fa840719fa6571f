"""How files of a user's are read, and what is done about what is wrong in them."""

import os
import stat
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from stages.core.runtime.errors import StudyError, printable

LISTED = 20

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class UnreadableFile(ValueError):
    """What lies at a path cannot be read as it should; the message says why, without a name."""


def require_regular(path: Path, most_bytes: int) -> None:
    """Raise UnreadableFile unless `path` is, or links to, a regular file of at most `most_bytes`.

    A pipe would be waited for without end, and a device read without end.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        raise UnreadableFile(
            "a link to what is not there" if path.is_symlink() else "not found"
        ) from None
    except OSError as error:  # links in a circle, a missing permission
        raise UnreadableFile((error.strerror or str(error)).lower()) from None
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        raise UnreadableFile(f"{KINDS.get(kind, 'something else')} instead of a regular file")
    if status.st_size > most_bytes:
        raise UnreadableFile(_too_large(most_bytes))


def read_bounded(path: Path, most_bytes: int) -> bytes:
    """The contents of a regular file of at most `most_bytes`; raises UnreadableFile otherwise."""
    with open_bounded(path, most_bytes) as file:
        return read_all(file, most_bytes)


def open_bounded(path: Path, most_bytes: int) -> BinaryIO:
    """Open a regular file of at most `most_bytes`; raises UnreadableFile otherwise."""
    require_regular(path, most_bytes)
    try:
        # Some files of /proc are regular, of size 0, and have no end or make a reader wait.
        return open(path, "rb", opener=_without_waiting)
    except OSError as error:
        raise UnreadableFile((error.strerror or str(error)).lower()) from None


def read_all(file: BinaryIO, most_bytes: int) -> bytes:
    """The contents of an open file; raises UnreadableFile for more than `most_bytes`."""
    try:
        data = file.read(most_bytes + 1)
    except OSError as error:
        raise UnreadableFile((error.strerror or str(error)).lower()) from None
    if len(data) > most_bytes:
        raise UnreadableFile(_too_large(most_bytes))
    return data


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _too_large(most_bytes: int) -> str:
    return f"larger than {most_bytes >> 20:,} MiB"


class Fault(NamedTuple):
    """Something wrong in a data set.

    part: "images", "splits", "annotations" or "imdb". where, what, fix: the three parts of a
    message. number: how many images (or files) it concerns.
    """

    part: str
    where: str
    what: str
    fix: str
    number: int = 1


Report = Callable[[Sequence[Fault]], None]  # told of faults, it raises or lets them pass


def refuse(faults: Sequence[Fault]) -> None:
    """Raise StudyError that lists the faults, if there are any."""
    if faults:
        more = f"; and {len(faults) - LISTED:,} more" if len(faults) > LISTED else ""
        listed = (f"{fault.where}: {fault.what}; {fault.fix}" for fault in faults[:LISTED])
        raise StudyError("; ".join(listed) + more)


class Tally:
    """Counts faults and lets them pass: for a release that is as its authors published it."""

    PARTS = ("images", "splits", "annotations", "imdb")

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.faults: list[Fault] = []

    def __call__(self, faults: Sequence[Fault]) -> None:
        self.faults += faults
        for fault in faults:
            self.counts[fault.part] += fault.number


def some(names: Sequence[str], limit: int = 5) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return ", ".join(printable(name) for name in names[:limit]) + more
