"""The files of tasks in object storage, for workers that do not see the folder of the study.

| below the address that STUDY_SHARED gives | lies |
| --- | --- |
| files/<digest> | a file that tasks read, named by what it holds, so that it is uploaded once |
| maps/<id>/ | of one map: its tasks and what they have written; removed at its end |

A worker computes in a folder of its own, in which it finds what an item reads under the names that
the study has for it: hard links to files that its machine has fetched once. What an item writes
there is uploaded, and fetched to where a run without a cluster would have written it.
"""

import errno
import fcntl
import hashlib
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import fsspec
from distributed import get_worker
from fsspec.registry import known_implementations

from stages.core.runtime.checksums import is_settled, state_of
from stages.core.runtime.errors import StudyError, one_line, quoted
from stages.core.runtime.pickles import Reducers
from stages.core.runtime.progress import progress
from stages.core.runtime.remote import Files

Item = TypeVar("Item")
Result = TypeVar("Result")

# A path that begins so is one of this machine: file:// is for folders, and for tests.
ADDRESS = re.compile(r"(?P<protocol>[a-z][a-z0-9+.-]*)://.+", re.DOTALL)
LOCAL = ("file", "local")
THREADS = 16  # that wait for the storage at once
ATTEMPTS = 2  # to fetch a file
PAUSE_S = 1.0  # before the second
OUTSIDE = ".outside"  # where a worker finds what lies outside of the folder of the study


class Blob(NamedTuple):
    """A file by what it holds: a BLAKE2b hash and its size in bytes."""

    digest: str
    size: int


class Manifest(NamedTuple):
    """The files of an item: {name: what it reads}, and names of what it writes.

    Names are relative to the folder of the study, and on a worker to its own.
    """

    reads: dict[str, Blob]
    writes: tuple[str, ...]


class Written(NamedTuple):
    """What became of an item: its result, and {name: what it has written}."""

    result: Any
    files: dict[str, Blob]


# --- names --------------------------------------------------------------------------------------


def name_of(path: Path, folder: Path) -> str:
    """The name that a worker has for a path of a study in the absolute `folder`."""
    absolute = Path(os.path.abspath(folder / path))  # noqa: PTH100 (links keep their names)
    if absolute.is_relative_to(folder):
        return str(absolute.relative_to(folder))
    return str(Path(OUTSIDE, *absolute.parts[1:]))


def path_of(name: str, folder: Path) -> Path:
    """The path that has this name; the inverse of `name_of`."""
    parts = Path(name).parts
    return Path("/", *parts[1:]) if parts[0] == OUTSIDE else folder / name


def blob_of(file: Path) -> Blob:
    """What a file holds."""
    with file.open("rb") as content:
        found = hashlib.file_digest(content, lambda: hashlib.blake2b(digest_size=32))
        return Blob(found.hexdigest(), content.tell())


# --- the storage --------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def file_system(address: str) -> tuple[Any, str]:
    """fsspec's file system of an address, and the path of the address in it.

    Raises StudyError where the address is none, or what it needs is not installed.
    """
    match = ADDRESS.fullmatch(address)
    if match is None:
        raise StudyError(
            f"STUDY_SHARED: {quoted(address)} is no address of a folder; give one that fsspec "
            "knows, such as s3://bucket/study or gs://bucket/study, or unset it"
        )
    protocol = match["protocol"]
    made_as_needed = {"auto_mkdir": True} if protocol in LOCAL else {}
    try:
        system, folder = fsspec.url_to_fs(address, use_listings_cache=False, **made_as_needed)
    except ImportError as error:
        known = known_implementations.get(protocol, {}).get("class", "")
        package = known.partition(".")[0] or error.name
        raise StudyError(
            f"STUDY_SHARED: {protocol}:// needs a package that is not installed; run "
            f"pip install {package} here and where the workers run"
        ) from None
    except Exception as error:  # each file system has its own
        raise StudyError(
            f"STUDY_SHARED: {quoted(address)}: {one_line(error, 160)}; correct it or unset it"
        ) from None
    return system, folder.rstrip("/")


@dataclass(frozen=True)
class Storage:
    """The files of one map in the storage at an address. map: a name that no other one has."""

    address: str
    map: str

    # On the machine of the study.

    def open(self) -> None:
        """Let workers find the storage by a mark; raises StudyError where it cannot be written."""
        with self._using("written", self._mark):
            self._system.pipe_file(self._path(self._mark), b"study")

    def close(self) -> None:
        """Remove what is of this map alone."""
        with suppress(Exception):  # it may have gone, which has been said then
            self._system.rm(self._path(f"maps/{self.map}"), recursive=True)

    def send(self, file: Path) -> Blob:
        """Upload a file of this map."""
        blob = blob_of(file)
        self._put(file, f"maps/{self.map}/{blob.digest}")
        return blob

    def given(
        self,
        function: Callable[[Item], Any],
        items: Sequence[Item],
        files: Callable[[Item], Files] | None,
    ) -> tuple[Callable[[tuple[Item, Manifest]], Written], list[tuple[Item, Manifest]]]:
        """What a worker calls, and with what: items with their files, which are uploaded then."""
        folder = Path.cwd()
        of_items = [files(item) if files else Files() for item in items]
        below = {path: _files_at(path) for path in {path for own in of_items for path in own.reads}}
        blobs = self._upload({file for found in below.values() for file in found})
        jobs = [
            (
                item,
                Manifest(
                    {name_of(f, folder): blobs[f] for path in own.reads for f in below[path]},
                    tuple(name_of(path, folder) for path in own.writes),
                ),
            )
            for item, own in zip(items, of_items, strict=True)
        ]
        return partial(self.computed, function), jobs

    def reducers(self) -> Reducers:
        """How paths are pickled, so that a worker loads its own names for them."""
        folder = Path.cwd()
        return {type(folder): lambda path: (Path, (name_of(path, folder),))}

    def receive(self, written: Written) -> Any:
        """The result of an item, what it has written being where it has to be, whole."""
        folder = Path.cwd()

        def fetch(name: str) -> None:
            path = path_of(name, folder)
            path.parent.mkdir(parents=True, exist_ok=True)
            blob = written.files[name]
            self._download(f"maps/{self.map}/{blob.digest}", blob, path, name)

        _in_threads(fetch, written.files)
        return written.result

    def _upload(self, files: Collection[Path]) -> dict[Path, Blob]:
        """Upload files, but those that are there; return what each holds."""
        if not files:
            return {}
        there = self._sizes()

        def upload(file: Path) -> Blob:
            blob = _known_blob(file)
            if there.get(blob.digest) != blob.size:  # a smaller one was broken off
                self._put(file, f"files/{blob.digest}")
                there[blob.digest] = blob.size
            return blob

        return dict(zip(files, _in_threads(upload, files, "upload"), strict=True))

    def _sizes(self) -> dict[str, int]:
        """{digest: size in bytes} of the files that the storage has; listed once per process."""
        if self.address not in _sizes:
            with self._using("listed", "files"):
                found = self._system.find(self._path("files"), detail=True)
            names = {name.rpartition("/")[2]: about["size"] for name, about in found.items()}
            _sizes[self.address] = names
        return _sizes[self.address]

    # On a worker.

    def fault(self) -> str | None:
        """Why this worker cannot use the storage; None where it can."""
        try:
            with self._using("written", f"maps/{self.map}"):
                self._system.pipe_file(self._path(f"maps/{self.map}/seen-{uuid.uuid4().hex}"), b"")
            with self._using("read", self._mark):
                self._system.cat_file(self._path(self._mark))
        except StudyError as error:
            return str(error)
        return None

    def enter(self) -> None:
        """Work in the folder that this worker has for the map, from which others are removed."""
        if not self._folder.is_dir():
            shutil.rmtree(self._folder.parents[1], ignore_errors=True)
            self._folder.mkdir(parents=True)
        os.chdir(self._folder)

    def received(self, sent: Blob) -> Path:
        """The file of this map that was sent."""
        name = f"maps/{self.map}/{sent.digest}"
        file = self._folder.with_name(sent.digest)
        if not file.exists():
            for other in _of_machine().glob("maps-*"):
                if self.map not in other.name:
                    other.unlink(missing_ok=True)
            self._bring(name, sent, file, "the tasks of a map")
        return file

    def computed(self, function: Callable[[Item], Any], job: tuple[Item, Manifest]) -> Written:
        """What `function` returns for an item, in the folder of this worker, and what it writes."""
        item, (reads, writes) = job

        def bring(name: str) -> None:
            target = self._folder / name
            if not target.exists():  # as it does for the next item that reads it
                target.parent.mkdir(parents=True, exist_ok=True)
                self._bring(f"files/{reads[name].digest}", reads[name], target, name)

        _in_threads(bring, reads)
        for name in writes:
            (self._folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self._folder / name).unlink(missing_ok=True)  # of an item that failed
        result = function(item)
        found = [name for name in writes if (self._folder / name).is_file()]
        sent = _in_threads(lambda name: self.send(self._folder / name), found)
        for name in found:
            (self._folder / name).unlink()
        return Written(result, dict(zip(found, sent, strict=True)))

    @property
    def _folder(self) -> Path:
        return scratch() / "study" / self.map / "folder"

    def _bring(self, name: str, blob: Blob, target: Path, what: str) -> None:
        """Put a file of the storage at `target`; all workers of a machine fetch it once."""
        kept = _of_machine() / name.replace("/", "-")
        while not target.exists():
            with _locked(kept.with_name(f".lock-{blob.digest[:2]}")):
                if not _is_whole(kept, blob):
                    self._download(name, blob, kept, what)
            with suppress(FileNotFoundError, FileExistsError):  # another worker was faster
                _link(kept, target)

    # On both.

    @property
    def _system(self) -> Any:
        return file_system(self.address)[0]

    @property
    def _mark(self) -> str:
        return f"maps/{self.map}/mark"

    def _path(self, name: str) -> str:
        return f"{file_system(self.address)[1]}/{name}"

    def _put(self, file: Path, name: str) -> None:
        with self._using("written", name):
            self._system.put_file(str(file), self._path(name))

    def _download(self, name: str, blob: Blob, target: Path, what: str) -> None:
        """Fetch a file of the storage, whole or not at all; what: it is, for messages.

        Raises StudyError where it is missing or damaged, the second time as well.
        """
        unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex}.unfinished")
        problem = ""
        try:
            for attempt in range(ATTEMPTS):
                time.sleep(attempt * PAUSE_S)
                problem = "is missing; run the stage again"
                with self._using("read", name, target.parent), suppress(FileNotFoundError):
                    self._system.get_file(self._path(name), str(unfinished))
                    if blob_of(unfinished) == blob:
                        unfinished.replace(target)
                        return
                    problem = "is damaged; remove it and run the stage again"
        finally:
            unfinished.unlink(missing_ok=True)
        raise StudyError(f"STUDY_SHARED: {self.address}/{name} ({what}) {problem}")

    @contextmanager
    def _using(self, done: str, name: str, disk: Path | None = None) -> Iterator[None]:
        """Say in one line what file systems raise, each its own; but for a disk that is full.

        done: what is done with `name`. disk: of this machine, where that is written to.
        """
        try:
            yield
        except StudyError:
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                error.filename = error.filename or str(disk or f"{self.address}/{name}")
                raise
            why = one_line(error, 160) or type(error).__name__
            raise StudyError(
                f"STUDY_SHARED: {self.address}/{name} cannot be {done} ({why}); correct the "
                "address, or what this machine may do there"
            ) from None


# --- helpers ------------------------------------------------------------------------------------


def _files_at(path: Path) -> list[Path]:
    """A file, or all files below a folder; none where nothing is there."""
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    return [path] if path.is_file() else []


_sizes: dict[str, dict[str, int]] = {}  # by address
_blobs: dict[Path, tuple[str, Blob]] = {}


def _known_blob(file: Path) -> Blob:
    """`blob_of`, a file that has not changed being read once."""
    path, own = file.absolute(), file.stat()
    state, settled = state_of(own), is_settled(own, time.time_ns())
    if path in _blobs and _blobs[path][0] == state:
        return _blobs[path][1]
    blob = blob_of(file)
    if settled:
        _blobs[path] = state, blob
    return blob


@lru_cache(maxsize=1)  # it is known to the thread of a task alone
def scratch() -> Path:
    """The folder on this machine that Dask keeps for the worker, and removes after it."""
    return Path(get_worker().local_directory)


def _of_machine() -> Path:
    """The folder of what all workers of this machine have fetched, beside Dask's own of each."""
    folder = scratch().parent / "study-files"
    folder.mkdir(exist_ok=True)
    return folder


def _is_whole(file: Path, blob: Blob) -> bool:
    with suppress(FileNotFoundError):
        return file.stat().st_size == blob.size
    return False


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Keep other workers of this machine, and threads, from what this one does meanwhile."""
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _link(file: Path, target: Path) -> None:
    try:
        os.link(file, target)
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError:  # the disk knows no hard links
        shutil.copyfile(file, target)


def _in_threads(
    function: Callable[[Item], Result], items: Collection[Item], description: str | None = None
) -> list[Result]:
    """[function(item) for item in items] for what waits more than it computes."""
    pool = ThreadPoolExecutor(THREADS)
    try:
        results: Iterable[Result] = pool.map(function, items)
        if description:
            results = progress(results, description, len(items))
        return list(results)
    finally:
        pool.shutdown(cancel_futures=True)
