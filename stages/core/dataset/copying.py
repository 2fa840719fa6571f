"""Images of a folder, decoded and put into another folder, where a killed run goes on.

A file is not written a second time where the file system can help it:

| way | where | the source |
| --- | --- | --- |
| clone (reflink) | Btrfs, XFS and others, on one file system | stays a file of its own |
| hard link | on one file system, of a file that nobody may write (mode 0444) | is shared |
| copy | else | stays a file of its own |

Of a writable file there is no hard link: DVC, where its `cache.type` is hardlink, takes from a file
of its cache the permission to write, which would be the user's own file; and whoever wrote to that
would change what the cache holds under the checksum of something else.

What has been seen of an image is noted with the state of its file and of its copy, a few images to
a note, whole or absent. An image is looked at again where its file is not as noted, and copied
again where its copy is not.
"""

import fcntl
import hashlib
import json
import os
import shutil
import stat
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, NamedTuple

import PIL

from stages.core.dataset.images import MOST_BYTES, decode
from stages.core.dataset.layout import class_of
from stages.core.dataset.reading import UnreadableFile, open_bounded, read_all, read_bounded
from stages.core.dataset.summary import digest_of
from stages.core.runtime.checksums import digest_of_files, is_settled, state_of
from stages.core.runtime.errors import StudyError
from stages.core.runtime.files import whole_file

# Images to a piece of work: so many are looked at in vain, on each core, where a run is killed.
AT_ONCE = 100

FICLONE = 0x40049409  # of Linux's fs.h: let a file have the contents of another, shared on disk
PROTECTED = 0o444  # the mode of files in DVC's cache, which are linked too

# What decides what is seen of an image.
CODE = ("images.py", "summary.py", "copying.py")


class Piece(NamedTuple):
    """Some images of a class: (id, path in the source) of each, and the file of their note."""

    names: Sequence[tuple[str, str]]
    note: Path


class Noted(NamedTuple):
    """What a note says of an image.

    source, copy: the states of its file and of its copy; sides: width and height in pixels;
    conversions: to RGB; digest: of what it shows.
    """

    source: str
    copy: str
    sides: tuple[int, int]
    conversions: tuple[str, ...]
    digest: str


@dataclass
class Copied:
    """What was seen of the images of a piece, or of all.

    known: how many of them had been looked at by an earlier run. unreadable: {id: why}.
    """

    digests: dict[str, str] = field(default_factory=dict)
    unreadable: dict[str, str] = field(default_factory=dict)
    sides: tuple[int, ...] = ()  # the smallest and the largest
    conversions: Counter[str] = field(default_factory=Counter)
    known: int = 0

    def add(self, other: "Copied") -> None:
        """Count what was seen of other images, too."""
        self.digests |= other.digests
        self.unreadable |= other.unreadable
        sides = self.sides + other.sides
        self.sides = (min(sides), max(sides)) if sides else ()
        self.conversions += other.conversions
        self.known += other.known


def pieces_of(files: dict[str, str], notes: Path) -> list[Piece]:
    """The images {id: path in the source} in pieces, each of one class.

    A class that changes moves no image of another to another note.
    """
    pieces = []
    for name, of_class in groupby(sorted(files.items()), lambda each: class_of(each[0])):
        images = list(of_class)
        pieces += [
            Piece(images[start : start + AT_ONCE], notes / name / f"{start // AT_ONCE:04d}.json")
            for start in range(0, len(images), AT_ONCE)
        ]
    return pieces


def notes_of(source: Path, known: Path) -> Path:
    """The folder, in `known`, of the notes on the images of a source."""
    return known / hashlib.sha256(os.fsencode(source.resolve())).hexdigest()[:16]


def copy_piece(source: Path, target: Path, code: str, piece: Piece) -> Copied:
    """Look at the images of a piece in `source` and put them, by their ids, into `target`.

    code: of `code_digest`. Where the notes and files of an earlier run tell that it has been done,
    nothing is done.
    """
    earlier = _read(piece.note, code)
    noted, copied = {}, Copied()
    now = time.time_ns()
    for name, file in piece.names:
        try:
            of_image, settled = _copy(source / file, target / name, earlier.get(name), now)
        except UnreadableFile as error:
            (target / name).unlink(missing_ok=True)
            copied.unreadable[name] = str(error)
            continue
        if settled:
            noted[name] = of_image
        copied.known += name in earlier and earlier[name].source == of_image.source
        copied.add(
            Copied({name: of_image.digest}, {}, of_image.sides, Counter(of_image.conversions))
        )
    if noted != earlier:
        with whole_file(piece.note) as unfinished:
            unfinished.write_text(json.dumps({"code": code, "images": noted}))
    return copied


def _copy(source: Path, target: Path, noted: Noted | None, now: int) -> tuple[Noted, bool]:
    """What is to be noted of an image that is, now, at `target`; whether it may be noted.

    It may not where its file could be written again, or was meanwhile, without a trace in its
    times. Raises UnreadableFile.
    """
    if noted and noted.source == _state(source) and noted.copy == _state(target):
        return noted, True
    target.unlink(missing_ok=True)  # what an earlier run had begun
    with open_bounded(source, MOST_BYTES) as original:
        before = os.fstat(original.fileno())
        data = _place(original, source, target)
        steady = state_of(before) == state_of(os.fstat(original.fileno()))
    state, copy = state_of(before), state_of(target.stat())
    if noted and noted.source == state and steady:
        return noted._replace(copy=copy), True
    image, conversions = decode(read_bounded(target, MOST_BYTES) if data is None else data)
    seen = Noted(state, copy, image.size, conversions, digest_of(image))
    return seen, steady and is_settled(before, now)


def _place(original: BinaryIO, source: Path, target: Path) -> bytes | None:
    """Put the contents of `original`, the open file at `source`, at `target`: shared or copied.

    Returns the contents where they were read on the way. Raises UnreadableFile.
    """
    with target.open("xb") as copy:
        if _clone(original, copy):
            return None
        if stat.S_IMODE(os.fstat(original.fileno()).st_mode) != PROTECTED:
            return _copy_bytes(original, copy)
    target.unlink()
    if _link(original, source, target):
        return None
    with target.open("xb") as copy:
        return _copy_bytes(original, copy)


def _copy_bytes(original: BinaryIO, copy: BinaryIO) -> bytes:
    data = read_all(original, MOST_BYTES)
    copy.write(data)
    return data


def _clone(original: BinaryIO, copy: BinaryIO) -> bool:
    """Let an empty file share the contents of another on disk; whether the system could."""
    if sys.platform != "linux":
        return False
    try:
        fcntl.ioctl(copy.fileno(), FICLONE, original.fileno())
    except OSError:
        return False
    return True


def _link(original: BinaryIO, source: Path, target: Path) -> bool:
    """Make `target` another name of the open file at `source`; whether the system could."""
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system, or a file of somebody else's
        return False
    if os.path.samestat(os.fstat(original.fileno()), target.stat()):
        return True
    target.unlink()  # the name has been given to another file meanwhile
    return False


def _state(file: Path) -> str:
    """The state of a regular file; empty for anything else."""
    try:
        own = file.stat()
    except OSError:
        return ""
    return state_of(own) if stat.S_ISREG(own.st_mode) else ""


# Notes


def code_digest() -> str:
    """A hash of what decides what is seen of an image: this code, and Pillow's version."""
    folder = Path(__file__).parent
    return f"{PIL.__version__} {digest_of_files((folder / name for name in CODE), folder)}"


def _read(note: Path, code: str) -> dict[str, Noted]:
    """{id: what is noted}; empty where nothing is, by other code, or the note is damaged."""
    try:
        content = json.loads(note.read_text())
        if content["code"] != code:
            return {}
        return {
            str(name): Noted(str(source), str(copy), _pair(sides), tuple(conversions), str(digest))
            for name, (source, copy, sides, conversions, digest) in content["images"].items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _pair(sides: Sequence[int]) -> tuple[int, int]:
    width, height = map(int, sides)
    return width, height


# The folder of copies


def make_class_folders(folder: Path, classes: Sequence[str]) -> None:
    """Make folder/<class>/ of each class, unless an earlier run has."""
    for name in classes:
        (folder / name).mkdir(parents=True, exist_ok=True)


def remove_others(folder: Path, ids: Iterable[str]) -> None:
    """Remove what else an earlier run, of other settings or another source, has put there."""
    wanted = _by_class(ids)
    for entry in folder.iterdir():
        if entry.name not in wanted:
            shutil.rmtree(entry)
            continue
        for file in entry.iterdir():
            if file.name not in wanted[entry.name]:
                file.unlink()


def require_apart(folder: Path, ids: Iterable[str]) -> None:
    """Raise StudyError where a file system that ignores case took several images for one."""
    for name, files in _by_class(ids).items():
        there = sum(1 for _ in (folder / name).iterdir())
        if there != len(files):
            raise StudyError(
                f"{folder / name}: {there:,} files of {len(files):,} images; this file system "
                "takes names that differ in case alone for one; rename them in the source"
            )


def _by_class(ids: Iterable[str]) -> dict[str, set[str]]:
    """{class: names of its files}."""
    files: dict[str, set[str]] = {}
    for image_id in ids:
        name, _, file = image_id.partition("/")
        files.setdefault(name, set()).add(file)
    return files
