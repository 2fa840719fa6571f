"""Checksums by content of files and folders, read again only where they may have changed."""

import hashlib
import os
import sqlite3
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from stages.core.runtime.errors import StudyError
from stages.core.runtime.progress import progress

# A file that was written this shortly ago may be written again without a trace in its times.
SETTLED_S = 2

NOTED_AT_ONCE = 1000  # files, so that a run that is killed has not read all in vain

EXPERIMENTS = (".dvc", "tmp", "exps")  # below it DVC runs what it does not run in the workspace

WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH

File = tuple[str, os.stat_result]

TABLE = "CREATE TABLE IF NOT EXISTS checksums (path BLOB PRIMARY KEY, state TEXT, sha256 TEXT)"


def outside_experiments(file: Path) -> Path:
    """A file of `.dvc/tmp`: of the project's own, also in the copy that an experiment runs in."""
    for folder in file.absolute().parents:
        if folder.parts[-len(EXPERIMENTS) :] == EXPERIMENTS:
            return folder.parent / file.name
    return file


@contextmanager
def known_checksums(file: Path) -> Iterator[sqlite3.Connection]:
    """The database of checksums in `file`, made anew where it is missing or damaged.

    Raises StudyError where it can be neither read nor made.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with closing(_connected(file)) as known, known:
            yield known
    except sqlite3.Error as error:
        raise StudyError(f"{file}: {error}; remove it, or let its folder be written to") from None


def _connected(file: Path) -> sqlite3.Connection:
    for _ in range(2):
        known = sqlite3.connect(file, timeout=60)
        try:
            known.execute(TABLE)
            known.execute("SELECT path, state, sha256 FROM checksums LIMIT 1")
        except sqlite3.DatabaseError as error:
            known.close()
            damage = error
            file.unlink(missing_ok=True)
        else:
            return known
    raise damage


def file_at(path: Path) -> Iterator[File]:
    """The regular file of that name, if there is one."""
    if path.is_file():
        yield str(path), path.stat()


def files_below(folder: Path) -> Iterator[File]:
    """Every regular file below a folder, in order, links followed.

    Hidden names, devices, pipes and links that lead nowhere or in a circle are passed over.
    """
    if folder.is_dir():
        yield from _files_below(str(folder), frozenset())


def _files_below(folder: str, above: frozenset[tuple[int, int]]) -> Iterator[File]:
    own = Path(folder).stat()
    above |= {(own.st_dev, own.st_ino)}
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.startswith("."):
                continue
            try:
                found = entry.stat()
            except OSError:  # a link that leads nowhere
                continue
            if stat.S_ISREG(found.st_mode):
                yield entry.path, found
            elif stat.S_ISDIR(found.st_mode) and (found.st_dev, found.st_ino) not in above:
                yield from _files_below(entry.path, above)


def state_of(own: os.stat_result) -> str:
    """What a file's status tells of its contents: the same text, the same contents.

    The time of the last change of the status gives away a file that was written and given its old
    time back. Of a file that nobody may write it is left out, since each new hard link changes it.
    """
    mode = stat.S_IMODE(own.st_mode)
    changed = own.st_ctime_ns if mode & WRITABLE else f"{mode:o}"
    return f"{own.st_size} {own.st_mtime_ns} {changed} {own.st_dev} {own.st_ino}"


def is_settled(own: os.stat_result, now: int) -> bool:
    """Whether a file was last written so long before `now`, in ns, that another time would show."""
    writable = stat.S_IMODE(own.st_mode) & WRITABLE
    latest = max(own.st_mtime_ns, own.st_ctime_ns) if writable else own.st_mtime_ns
    return now - latest > SETTLED_S * 10**9


def digest_of_files(files: Iterable[Path], folder: Path) -> str:
    """A hash of the contents of a few files, and of their names below `folder`."""
    total = hashlib.sha256()
    for file in sorted(files):
        content = file.read_bytes()
        total.update(f"{file.relative_to(folder)} {len(content)}\n".encode() + content)
    return total.hexdigest()


def checksum(files: Iterable[File], top: Path, known: sqlite3.Connection) -> dict:
    """What regular files hold, and their names below the absolute `top`: files, bytes, sha256.

    The same on every machine. A file is read where its size, times or inode are not those that
    `known` has of it, and noted there.
    """
    remembered = _remembered(top, known)
    total = hashlib.sha256()
    fresh: list[tuple[bytes, str, str]] = []
    count, size = 0, 0
    now = time.time_ns()
    inside = len(os.fsencode(top)) + 1
    for file, own in progress(files, f"checksums of {top.name}"):
        path = os.fsencode(file)
        state = state_of(own)
        before, digest = remembered.get(path, (None, ""))
        if before != state:
            with Path(file).open("rb") as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()
            if is_settled(own, now):
                fresh.append((path, state, digest))
        name = path[inside:]
        total.update(b"%d %s %s\n" % (len(name), name, digest.encode()))
        count, size = count + 1, size + own.st_size
        if len(fresh) == NOTED_AT_ONCE:
            _note(fresh, known)
            fresh = []
    _note(fresh, known)
    return {"files": count, "bytes": size, "sha256": total.hexdigest()}


def _note(fresh: list[tuple[bytes, str, str]], known: sqlite3.Connection) -> None:
    known.executemany("INSERT OR REPLACE INTO checksums VALUES (?, ?, ?)", fresh)
    known.commit()


def _remembered(top: Path, known: sqlite3.Connection) -> dict[bytes, tuple[str, str]]:
    """{path: (state, sha256)} of what lies below `top`."""
    inside = os.fsencode(top) + b"/"
    rows = known.execute(
        "SELECT path, state, sha256 FROM checksums WHERE path > ? AND path < ?",
        (inside, inside[:-1] + b"0"),  # the character after the slash
    )
    return {path: (state, digest) for path, state, digest in rows}
