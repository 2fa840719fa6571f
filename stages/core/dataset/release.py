"""The official release of DTD: downloaded, checked by its checksum, unpacked."""

import gzip
import hashlib
import http.client
import tarfile
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from stages.core.dataset.layout import NUMBERS, SPLITS, Layout
from stages.core.errors import StudyError
from stages.core.files import whole_file
from stages.core.parallel import progress

TIMEOUT_S = 60
CHUNK_BYTES = 1 << 20


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
    """Write what lies at `url` to `file`: the one function that uses the network.

    Raises StudyError where the connection fails or ends early.
    """
    with _naming(url):
        response = urllib.request.urlopen(url, timeout=TIMEOUT_S)
    total = int(response.headers.get("Content-Length", 0)) or None
    bar = tqdm(total=total, unit="B", unit_scale=True, desc=PurePosixPath(url).name, disable=None)
    with response, file.open("wb") as out, bar:
        while chunk := _read(response, url):
            out.write(chunk)
            bar.update(len(chunk))
    if total is not None and file.stat().st_size != total:
        with _naming(url):
            raise ConnectionError(f"broken off at {file.stat().st_size:,} of {total:,} bytes")


def _read(response: http.client.HTTPResponse, url: str) -> bytes:
    with _naming(url):
        return response.read(CHUNK_BYTES)


@contextmanager
def _naming(url: str) -> Iterator[None]:
    """Turn failures of the network, and no others (a full disk), into a StudyError."""
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        raise StudyError(
            f"{url}: {getattr(error, 'reason', None) or error}; check the network and run "
            "'dvc repro fetch' again"
        ) from None


def obtain(
    release: Release, folder: Path, download: Callable[[str, Path], None] = download
) -> Path:
    """The archive of a release in `folder`, downloaded unless it is there already.

    A file bears the archive's name only once its checksum was right, so that a broken download
    starts anew. Raises StudyError where the checksum is wrong.
    """
    archive = folder / release.file_name
    if not archive.exists():
        with whole_file(archive) as unfinished:
            download(release.url, unfinished)
            _require_checksum(unfinished, release, release.url, "run 'dvc repro fetch' again")
    else:
        _require_checksum(archive, release, archive, "remove it and run 'dvc repro fetch' again")
    return archive


def _require_checksum(file: Path, release: Release, name: str | Path, mend: str) -> None:
    with file.open("rb") as content:
        found = hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False))
    if found.hexdigest() != release.md5:
        raise StudyError(
            f"{name}: MD5 is {found.hexdigest()}, not {release.md5} as published; {mend}"
        )


def extract(archive: Path, folder: Path) -> Path:
    """Unpack the archive into `folder`; return the one folder in it, which holds images/.

    Raises StudyError that names the member that is neither a file nor a folder or that would lie
    outside `folder`, and where the archive is damaged.
    """
    try:
        with tarfile.open(archive, "r:gz") as tar:
            tar.extraction_filter = getattr(tarfile, "data_filter", None)  # from Python 3.11.4
            for member in progress(tar, f"unpack {archive.name}"):
                _require_inside(member, archive)
                tar.extract(member, folder)
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise StudyError(f"{archive}: damaged ({error}); remove it and run again") from None
    tops = [top.parent for top in folder.glob("*/images")]
    if len(tops) != 1:
        raise StudyError(f"{archive}: holds no folder with images/; is it an archive of DTD?")
    return tops[0]


def _require_inside(member: tarfile.TarInfo, archive: Path) -> None:
    """Stricter than tarfile's data filter, which mends absolute names and allows links."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise StudyError(
            f"{archive}: {member.name!r} would lie outside the folder; do not use this archive"
        )
    if not (member.isfile() or member.isdir()):
        raise StudyError(
            f"{archive}: {member.name!r} is neither a file nor a folder; do not use this archive"
        )


def require_complete(layout: Layout, release: Release, where: Path) -> None:
    """Raise StudyError unless the layout holds every class, image and split of the release."""
    expected = release.classes * release.per_split * len(SPLITS)
    if len(layout.classes) != release.classes or len(layout.ids) != expected:
        raise StudyError(
            f"{where}: {len(layout.ids):,} images of {len(layout.classes)} classes instead of "
            f"{expected:,} of {release.classes}; remove it and run 'dvc repro fetch' again"
        )
    if list(layout.splits.columns) != list(NUMBERS):
        raise StudyError(f"{where}: not all of the ten splits; remove it and run again")
    for number in NUMBERS:
        counts = layout.index(number).groupby(["class", "split"]).size()
        if len(counts) != release.classes * len(SPLITS) or set(counts) != {release.per_split}:
            raise StudyError(
                f"{where}: split {number} does not hold {release.per_split} train, val and test "
                "images of every class; remove it and run 'dvc repro fetch' again"
            )
