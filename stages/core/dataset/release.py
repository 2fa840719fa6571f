"""The official release of DTD: downloaded, checked by its checksum, unpacked."""

import hashlib
import http.client
import io
import os
import re
import shutil
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from gzip import GzipFile
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from stages.core.dataset.layout import NUMBERS, SPLITS, Layout
from stages.core.dataset.reading import (
    Fault,
    UnreadableFile,
    require_regular,
    some,
)
from stages.core.runtime.errors import StudyError, one_line, printable
from stages.core.runtime.files import beside
from stages.core.runtime.progress import progress

TIMEOUT_S = 60
PAUSE_S = 1.0  # before a broken download is taken up again
CHUNK_BYTES = 1 << 20

# DTD comes to 0.6 GiB and 5,700 members, packed or not.
MOST_BYTES = 1 << 32
MOST_MEMBERS = 100_000
MOST_HEADER_BYTES = 1 << 24


@dataclass(frozen=True)
class Release:
    """A published archive, and what it holds; `per_split` images a class in every split."""

    url: str
    md5: str
    classes: int
    per_split: int

    @property
    def file_name(self) -> str:
        """The last part of the address."""
        return PurePosixPath(self.url).name


def official_release() -> Release:
    """DTD r1.0.1 (Cimpoi et al., 2014), at the address and with the checksum of torchvision."""
    from torchvision.datasets import DTD  # imports torch, which no other source needs

    return Release(DTD._URL, DTD._MD5, classes=47, per_split=40)


def download(url: str, file: Path) -> None:
    """Append to `file` what it lacks of what lies at `url`: the one function that uses the network.

    Where the server gives parts of a file (HTTP range requests), a connection that breaks is
    taken up again for as long as each brings something, and so is a file that an earlier run
    left. Where it does not, the file is written anew. Raises StudyError where the connection
    fails, or ends early at a server of the second sort.
    """
    while True:
        had = file.stat().st_size if file.is_file() else 0
        total, resumable = _receive(url, file, had)
        has = file.stat().st_size
        if total is None or has == total:
            return
        if not resumable or has <= had:
            with _naming(url):
                raise ConnectionError(f"broken off at {has:,} of {total:,} bytes")
        time.sleep(PAUSE_S)


def _receive(url: str, file: Path, had: int) -> tuple[int | None, bool]:
    """One request: write what comes; return the total size, and whether a part can be asked for."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={had}-"} if had else {})
    with _naming(url):
        try:
            response = urllib.request.urlopen(request, timeout=TIMEOUT_S)
        except urllib.error.HTTPError as error:
            with error:
                if not had or error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                    raise
                if error.headers.get("Content-Range", "") == f"bytes */{had}":  # all is there
                    return had, True
            response = None
    if response is None:  # the file is larger than what lies there
        file.unlink()
        return _receive(url, file, 0)
    with response:
        headers = response.headers
        start, total = 0, _number(headers.get("Content-Length"))
        if response.status == http.client.PARTIAL_CONTENT:
            part = re.match(r"bytes (\d+)-\d+/(\d+|\*)$", headers.get("Content-Range", ""))
            if not part or int(part[1]) != had:
                with _naming(url):
                    raise ConnectionError("sent another part than was asked for")
            start, total = had, _number(part[2])
        bar = tqdm(
            initial=start,
            total=total,
            unit="B",
            unit_scale=True,
            desc=PurePosixPath(url).name,
            disable=None,
        )
        with file.open("ab" if start else "wb") as out, bar:
            for chunk in _chunks(response, url, resumable := start > 0 or _by_ranges(headers)):
                out.write(chunk)
                bar.update(len(chunk))
                start += len(chunk)
                if start > MOST_BYTES:
                    raise StudyError(f"{url}: more than {MOST_BYTES:,} bytes; not the archive")
    return total, resumable


def _by_ranges(headers: http.client.HTTPMessage) -> bool:
    return headers.get("Accept-Ranges", "").strip().lower() == "bytes"


def _number(text: str | None) -> int | None:
    """A number of bytes in a header; None where it is missing or no number."""
    return int(text) if text and re.fullmatch(r"[0-9]{1,18}", text.strip()) else None


def _chunks(response: http.client.HTTPResponse, url: str, resumable: bool) -> Iterator[bytes]:
    """What comes, until it ends or, where it can be taken up again, breaks off."""
    while True:
        try:
            with _naming(url):
                chunk = response.read(CHUNK_BYTES)
        except StudyError:
            if resumable:
                return
            raise
        if not chunk:
            return
        yield chunk


@contextmanager
def _naming(url: str) -> Iterator[None]:
    """Turn failures of the network, and no others (a full disk), into a StudyError."""
    try:
        yield
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = " ".join(str(getattr(error, "reason", None) or error).split())
        raise StudyError(
            f"{url}: {reason or type(error).__name__}; check the network and run "
            "'dvc repro fetch' again"
        ) from None


def obtain(release: Release, folder: Path) -> Path:
    """The archive of a release in `folder`, downloaded unless it is there already.

    A file bears the archive's name only once its checksum was right. What a broken download has
    brought lies beside it, to be taken up by the next run; where the whole then has another
    checksum, it is downloaded once more from the beginning. Raises StudyError where the checksum
    is wrong.
    """
    archive = folder / release.file_name
    partial = beside(archive, "partial")
    if os.path.lexists(archive):
        _require_checksum(archive, release, archive, "remove it and run 'dvc repro fetch' again")
        return archive
    folder.mkdir(parents=True, exist_ok=True)
    if partial.is_symlink() or (partial.exists() and not partial.is_file()):
        raise StudyError(f"{partial}: no regular file; remove it")
    taken_up = partial.exists()
    download(release.url, partial)
    if taken_up and _md5(partial) != release.md5:
        partial.unlink()
        download(release.url, partial)
    try:
        _require_checksum(partial, release, release.url, "run 'dvc repro fetch' again")
    except StudyError:
        partial.unlink()
        raise
    partial.replace(archive)
    return archive


def _require_checksum(file: Path, release: Release, name: str | Path, fix: str) -> None:
    try:
        require_regular(file, MOST_BYTES)
    except UnreadableFile as error:
        raise StudyError(f"{name}: {error}; {fix}") from None
    found = _md5(file)
    if found != release.md5:
        raise StudyError(f"{name}: MD5 is {found}, not {release.md5} as published; {fix}")


def _md5(file: Path) -> str:
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False))
    return digest.hexdigest()


def extract(archive: Path, folder: Path) -> Path:
    """Unpack the archive into `folder`; return the one folder in it, which holds images/.

    Files and folders alone are made, with no other owner, mode or time than new ones have. Raises
    StudyError that names the member that is neither, that would lie outside `folder` or is there
    twice, and where the archive is damaged or larger than any release.
    """
    try:
        with (
            GzipFile(archive) as packed,
            tarfile.open(fileobj=(stream := _Bounded(packed)), mode="r:") as tar,
        ):
            for number, member in enumerate(progress(tar, f"unpack {archive.name}")):
                if number >= MOST_MEMBERS:
                    raise tarfile.ReadError(f"more than {MOST_MEMBERS:,} members")
                _require_plain(member, archive)
                _unpack(tar, member, folder, archive)
        if stream.last.strip(b"\0"):  # tarfile takes a header that it cannot read for the end
            raise tarfile.ReadError("a header that cannot be read")
    except StudyError:
        raise
    except Exception as error:  # of hostile headers tarfile raises nearly anything
        if isinstance(error, OSError) and error.errno is not None:  # a full disk
            raise
        reason = one_line(error, 160) or type(error).__name__
        raise StudyError(f"{archive}: damaged ({reason}); remove it and run again") from None
    tops = [top.parent for top in folder.glob("*/images")]
    if len(tops) != 1:
        raise StudyError(f"{archive}: holds no folder with images/; is it an archive of DTD?")
    return tops[0]


class _Bounded(io.RawIOBase):
    """What a gzip file unpacks to, no further than any release goes; `last`: what was read last.

    Headers say how much is to be read; tarfile believes them, whatever they say.
    """

    def __init__(self, stream: GzipFile) -> None:
        self.stream, self.last = stream, b""

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= MOST_HEADER_BYTES:
            raise tarfile.ReadError(f"a header claims {size:,} bytes")
        self._require_within(self.stream.tell() + size)
        self.last = self.stream.read(size)
        return self.last

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._require_within(offset)
        return self.stream.seek(offset, whence)

    def tell(self) -> int:
        return self.stream.tell()

    def _require_within(self, offset: int) -> None:
        if not 0 <= offset <= MOST_BYTES:
            raise tarfile.ReadError(f"unpacks to more than {MOST_BYTES >> 30} GiB")


def _require_plain(member: tarfile.TarInfo, archive: Path) -> None:
    """Raise StudyError unless the member is a file or folder of a sane size inside the folder."""
    path, why = PurePosixPath(member.name), None
    if path.is_absolute() or ".." in path.parts:
        why = "would lie outside the folder"
    elif "\0" in member.name or not _encodable(member.name):
        why = "is a name that no file can have"
    elif not (member.isdir() or member.type in tarfile.REGULAR_TYPES) or member.sparse is not None:
        why = "is neither a file nor a folder"
    elif not 0 <= member.size <= MOST_BYTES:
        why = f"claims {member.size:,} bytes"
    if why:
        name = printable(repr(member.name))
        raise StudyError(f"{archive}: {name} {why}; do not use this archive")


def _encodable(name: str) -> bool:
    try:
        return bool(os.fsencode(name))
    except UnicodeEncodeError:
        return False


def _unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, archive: Path) -> None:
    """Write one member; raises StudyError where something is in its place."""
    path = folder / member.name
    try:
        if member.isdir():
            path.mkdir(parents=True, exist_ok=True)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        source = tar.extractfile(member)
        assert source is not None  # a regular file, as all members that are no folders
        with source, path.open("xb") as target:
            shutil.copyfileobj(source, target)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise StudyError(
            f"{archive}: {printable(repr(member.name))} is there twice, or as a file and as a "
            "folder; do not use this archive"
        ) from None


def missing_of(layout: Layout, release: Release, where: Path) -> list[Fault]:
    """What a layout lacks of the classes, images and splits of a release."""
    expected = release.classes * release.per_split * len(SPLITS)
    faults = []
    if len(layout.classes) != release.classes or len(layout.ids) != expected:
        what = (
            f"{len(layout.ids):,} images of {len(layout.classes)} classes instead of "
            f"{expected:,} of {release.classes}"
        )
        faults.append(Fault("images", str(where), what, "", abs(expected - len(layout.ids)) or 1))
    absent = [str(number) for number in NUMBERS if number not in layout.splits]
    if absent:
        what = f"not all of the ten splits: {some(absent)} missing"
        faults.append(Fault("splits", str(where), what, "", len(absent)))
    for number in layout.splits:
        counts = layout.index(number).groupby(["class", "split"]).size()
        if len(counts) != release.classes * len(SPLITS) or set(counts) != {release.per_split}:
            what = (
                f"split {number} does not hold {release.per_split} train, val and test images of "
                "every class"
            )
            faults.append(Fault("splits", str(where), what, ""))
    return faults
