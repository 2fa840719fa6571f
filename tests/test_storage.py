"""A cluster whose workers do not see the study's folder: files go by way of a storage.

A storage in memory where one process suffices; else a folder, and workers from whose view the
folders of the studies are hidden, where the system allows that.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

pytest.importorskip("distributed")

from stages.core.dataset.sources import generate_textures
from stages.core.runtime import cluster, storage
from stages.core.runtime.errors import StudyError
from stages.core.runtime.parallel import parallel_map
from stages.core.runtime.pickles import load_pickle, write_pickles
from stages.core.runtime.remote import Files
from stages.core.runtime.storage import Storage, blob_of, name_of, path_of
from stages.core.vision import shards
from stages.core.vision.model_files import files_of_model, require_in_study
from tests import test_embed
from tests.study import dvc, metrics
from tests.test_cluster import (
    a_worker_killed,
    diagrams,
    disconnect,
    embeddings,  # noqa: F401 (a fixture)
    started,
    use,
    wait_for_workers,
)
from tests.test_fetch import settings

MEMORY = "memory://study-of-tests"


# Names


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("data/images/a.jpg", "data/images/a.jpg"),
        ("data/../params.yaml", "params.yaml"),
        ("/study/data", "data"),
        ("/studies/data", ".outside/studies/data"),
        ("../data", ".outside/data"),
    ],
)
def test_a_worker_has_one_name_for_a_path(path: str, name: str) -> None:
    folder = Path("/study")
    assert name_of(Path(path), folder) == name
    assert path_of(name, folder) == Path(os.path.normpath(folder / path))


def test_pickled_paths_are_those_of_a_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those in a function."""
    monkeypatch.chdir(tmp_path)
    objects = [partial(print, tmp_path / "a"), {"b": Path("b"), "c": Path("/c")}, "/c"]
    addresses = write_pickles(tmp_path / "file", objects, Storage(MEMORY, "one").reducers())
    function, paths, text = (load_pickle(tmp_path / "file", address) for address in addresses)
    assert function.args == (Path("a"),)
    assert paths == {"b": Path("b"), "c": Path(".outside/c")}
    assert text == "/c"


# One process


@pytest.fixture
def in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    """A storage, with this process in the folder of a study, and as a worker in another one."""
    for name in ("study", "worker"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "study")
    monkeypatch.setattr(storage, "scratch", lambda: tmp_path / "worker")
    monkeypatch.setattr(storage, "PAUSE_S", 0.0)
    found = Storage(MEMORY, "one")
    found.open()
    yield found
    system, folder = storage.file_system(MEMORY)
    system.rm(folder, recursive=True)
    for known in (storage._sizes, storage._blobs):
        known.clear()


def compute(found: Storage, function: Any, item: object, files: Files) -> Any:
    """The result of an item, of which this process is the worker, too."""
    study = Path.cwd()
    work, (job,) = found.given(function, [item], lambda _: files)
    found.enter()
    try:
        written = work(job)
    finally:
        os.chdir(study)
    return found.receive(written)


def texts_below(path: Path) -> dict[str, str]:
    return {str(file): file.read_text() for file in sorted(path.rglob("*.txt"))}


def write(path: Path) -> str:
    path.write_text("written")
    return str(Path.cwd())


def write_and_fail(path: Path) -> None:
    path.write_text("written")
    raise StudyError("too large; make it smaller")


def kept_in(found: Storage) -> list[str]:
    system, folder = storage.file_system(found.address)
    return sorted(name.removeprefix(f"{folder}/") for name in system.find(folder))


def test_a_folder_stands_for_its_files_and_nothing_else_is_there(in_memory: Storage) -> None:
    for name in ("data/a.txt", "data/b/b.txt", "c.txt"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(name)
    files = Files([Path("data"), Path("missing.txt")])
    found = compute(in_memory, texts_below, Path(), files)
    assert found == {name: name for name in ("data/a.txt", "data/b/b.txt")}


def test_what_is_written_lies_where_a_local_run_writes_it(
    in_memory: Storage, tmp_path: Path
) -> None:
    files = Files(writes=[Path("new/a.txt"), Path("new/never.txt")])
    folder = compute(in_memory, write, Path("new/a.txt"), files)
    assert Path(folder).is_relative_to(tmp_path / "worker")
    assert texts_below(tmp_path / "study") == {str(tmp_path / "study/new/a.txt"): "written"}
    assert not texts_below(tmp_path / "worker")
    in_memory.close()
    assert kept_in(in_memory) == []


def test_a_task_that_fails_leaves_nothing_here(in_memory: Storage, tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="too large"):
        compute(in_memory, write_and_fail, Path("a.txt"), Files(writes=[Path("a.txt")]))
    assert not texts_below(tmp_path / "study")


def test_a_file_is_uploaded_once_but_anew_where_it_changed_or_was_broken_off(
    in_memory: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, _ = storage.file_system(MEMORY)
    put, sent = system.put_file, []
    monkeypatch.setattr(system, "put_file", lambda file, to: (sent.append(file), put(file, to)))
    for name, text in (("a.txt", "same"), ("b.txt", "same"), ("c.txt", "other")):
        Path(name).write_text(text)

    def upload() -> int:
        sent.clear()
        in_memory.given(str, [0], lambda _: Files([Path()]))
        return len(sent)

    assert upload() in (2, 3)  # the two of the same contents may be sent at the same time
    assert upload() == 0
    storage._sizes.clear()  # as in the next process
    assert upload() == 0
    Path("c.txt").write_text("changed")
    assert upload() == 1
    system.pipe_file(in_memory._path(f"files/{blob_of(Path('a.txt')).digest}"), b"sa")
    storage._sizes.clear()
    assert upload() in (1, 2)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"other", r"\(a.txt\) is damaged; remove it and run"), (None, "is missing; run the stage")],
)
def test_a_file_that_is_damaged_or_missing_is_fetched_again_then_named(
    content: bytes | None, said: str, in_memory: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("a.txt").write_text("a text")
    in_memory.given(str, [0], lambda _: Files([Path("a.txt")]))
    system, _ = storage.file_system(MEMORY)
    blob = blob_of(Path("a.txt"))
    file = in_memory._path(f"files/{blob.digest}")
    system.rm(file)
    if content is not None:
        system.pipe_file(file, content)
    with pytest.raises(
        StudyError, match=rf"^STUDY_SHARED: {MEMORY}/files/{blob.digest} \(a.txt\) .*{said[-16:]}"
    ) as raised:
        compute(in_memory, texts_below, Path(), Files([Path("a.txt")]))
    assert said.replace("\\", "") in str(raised.value)
    pause = storage.time.sleep

    def mend(seconds: float) -> None:
        if not mended:
            mended.append(seconds)  # before the first attempt
        else:
            system.pipe_file(file, b"a text")
        pause(0)

    mended: list[float] = []
    monkeypatch.setattr(storage.time, "sleep", mend)
    assert compute(in_memory, texts_below, Path(), Files([Path("a.txt")])) == {"a.txt": "a text"}


def test_what_lies_damaged_on_a_worker_is_fetched_again(in_memory: Storage, tmp_path: Path) -> None:
    Path("a.txt").write_text("a text")
    files = Files([Path("a.txt")])
    compute(in_memory, texts_below, Path(), files)
    (kept,) = (tmp_path / "study-files").glob("files-*")
    kept.write_text("a")  # as by a machine that lost its power
    found = compute(Storage(MEMORY, "two"), texts_below, Path(), files)
    assert found == {"a.txt": "a text"}


# What cannot go on


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("bucket/study", "'bucket/study' is no address of a folder; give one that fsspec knows"),
        ("s3://", "'s3://' is no address of a folder"),
        ("nowhere://study", "'nowhere://study': Protocol not known: .*; correct it or unset it"),
    ],
)
def test_an_address_that_is_none_is_refused(address: str, said: str) -> None:
    with pytest.raises(StudyError, match=f"^STUDY_SHARED: {said}"):
        Storage(address, "one").open()


@pytest.mark.parametrize(("protocol", "package"), [("s3", "s3fs"), ("gs", "gcsfs")])
def test_a_package_that_is_not_installed_is_named(
    protocol: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ImportError(f"Install {package}")

    monkeypatch.setattr(fsspec, "url_to_fs", fail)
    with pytest.raises(
        StudyError, match=f"^STUDY_SHARED: {protocol}:// needs .*; run pip install {package} here"
    ):
        Storage(f"{protocol}://bucket/of-tests", "one").open()


def test_a_storage_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        StudyError, match=r"^STUDY_SHARED: file:///.*/mark cannot be written \(.*\); correct the ad"
    ):
        Storage(f"file://{tmp_path}/file", "one").open()


def test_a_worker_without_the_storage_is_told(tmp_path: Path) -> None:
    said = Storage(f"file://{tmp_path}/other", "one").fault()
    assert said is not None
    assert "/mark cannot be read (" in said
    (tmp_path / "file").touch()
    said = Storage(f"file://{tmp_path}/file", "one").fault()
    assert said is not None
    assert "cannot be written (" in said


def test_a_full_disk_is_named(in_memory: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    Path("a.txt").write_text("a text")
    monkeypatch.setattr(storage.file_system(MEMORY)[0], "get_file", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*/study-files'"):
        compute(in_memory, texts_below, Path(), Files([Path("a.txt")]))


@pytest.mark.parametrize(
    ("model", "pretrained", "key"),
    [
        ("/models/own", None, "embed.model"),
        ("~/own.py:load", None, "embed.model"),
        ("timm:local-dir:/models/own", None, "embed.model"),
        ("ViT-B-32", "../weights.pt", "embed.pretrained"),
    ],
)
def test_a_model_outside_of_the_study_is_refused(
    model: str, pretrained: str | None, key: str
) -> None:
    with pytest.raises(StudyError, match=f"^{key}: '.*' may lie outside of the study's folder"):
        require_in_study(model, pretrained)


def test_the_files_of_a_model_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("own/own.py", "own/helper.py", "weights/a.pt", "weights/open_clip_config.json"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    shipped = Path("weights")
    for model, pretrained, expected in (
        ("own/own.py:load", None, ["own/helper.py", "own/own.py"]),
        ("texture-clip", None, ["weights"]),
        ("timm:local-dir:weights", None, ["weights"]),
        ("weights", None, ["weights"]),
        ("ViT-B-32", "weights/a.pt", ["weights/a.pt", "weights/open_clip_config.json"]),
        ("ViT-B-32", "openai", []),
    ):
        require_in_study(model, pretrained)
        assert [*map(str, files_of_model(model, pretrained, shipped))] == expected


# A cluster


WORKERS = 2


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder below which studies lie, which workers do not see."""
    return tmp_path_factory.mktemp("studies")


def hiding(folder: Path) -> tuple[str, ...]:
    """The words before a command from which a folder is hidden; none where that is not allowed."""
    words = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(folder))
    try:
        found = subprocess.run([*words, "true"], capture_output=True).returncode == 0
    except OSError:
        return ()
    return words if found else ()


@pytest.fixture(scope="module")
def apart(studies: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a scheduler whose two workers are in an empty folder of their own."""
    with started(tmp_path_factory.mktemp("dask")) as dask:
        address = dask.schedule()
        dask.work(address, workers=WORKERS, before=hiding(studies))
        yield address
        disconnect()


@pytest.fixture
def on_storage(
    apart: str, studies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """The empty folder of a study, in which this process works; its storage is a folder."""
    study = studies / tmp_path.name
    monkeypatch.setenv("STUDY_SHARED", f"file://{tmp_path}/storage")
    use(apart, study, monkeypatch)
    wait_for_workers(apart, WORKERS)
    yield study
    assert not list((study / cluster.SHARED).glob("*"))
    assert not list((tmp_path / "storage" / "maps").glob("*"))  # nothing is left behind


def test_a_task_finds_its_files_in_a_folder_of_its_own(on_storage: Path) -> None:
    hidden, study = bool(hiding(on_storage)), str(on_storage)

    def seen(item: tuple[Path, np.ndarray]) -> tuple[str, float, bool, list[str]]:
        """Here, since workers would import this module with all its libraries else."""
        file, array = item
        assert not (hidden and os.path.exists(study))  # noqa: PTH110 (paths are another's here)
        others = sorted(str(path) for path in Path().rglob("*") if path.is_file())
        total = float(np.load(file, mmap_mode="r").sum() + array.sum())
        return str(Path.cwd()), total, array.flags.writeable, others

    large = np.arange(2**18, dtype=np.float64)
    np.save(on_storage / "a.npy", np.ones(3))
    (on_storage / "b.txt").touch()
    items = [(on_storage / "a.npy", large), (Path("a.npy"), large)]
    found = parallel_map(seen, items, "seeing", files=lambda item: Files([item[0]]))
    for folder, total, writeable, others in found:
        assert not Path(folder).is_relative_to(on_storage.parent)
        assert (total, writeable, others) == (3 + large.sum(), False, ["a.npy"])
    assert parallel_map(abs, [-1], "counting") == [1]


def test_generated_images_are_the_same_bytes(
    on_storage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = settings(classes=["banded", "dotted"], images_per_class=12)
    _, found = generate_textures(params, on_storage / "new" / "images")
    monkeypatch.delenv("STUDY_CLUSTER")
    _, expected = generate_textures(params, on_storage / "images")
    assert found == expected
    files = sorted((on_storage / "images").rglob("*.jpg"))
    assert len(files) == 24
    for file in files:
        copy = on_storage / "new" / file.relative_to(on_storage)
        assert copy.read_bytes() == file.read_bytes()


def test_what_is_about_files_in_place_is_computed_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use("tcp://127.0.0.1:1", tmp_path, monkeypatch)  # where nobody answers
    monkeypatch.setenv("STUDY_SHARED", MEMORY)
    assert parallel_map(abs, [-1], "copying", workers=1, in_place=True) == [1]


@pytest.mark.slow
def test_embeddings_are_the_same_bytes_where_a_worker_is_killed(
    on_storage: Path, apart: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_embed, "PER_CLASS", 30)
    monkeypatch.setattr(shards, "IMAGES_ON_CPU", 16)  # six shards
    test_embed.write_source(on_storage)

    def embedded(name: str) -> dict[str, bytes]:
        done = test_embed.run(Path(), Path(name), model="model")
        assert done.exit_code == 0, done.output
        return {file.name: file.read_bytes() for file in Path(name, "embeddings").iterdir()}

    with a_worker_killed(apart, "embed"):
        found = embedded("with")
    monkeypatch.delenv("STUDY_CLUSTER")
    assert found == embedded("without")
    assert "text.npy" in found


@pytest.mark.slow
def test_a_study_on_a_cluster_is_the_study(tiny_study: Path, on_storage: Path) -> None:
    """Every stage but those that train, run anew."""
    study = shutil.copytree(tiny_study, on_storage, dirs_exist_ok=True)
    expected = metrics(study), (study / "dvc.lock").read_bytes()
    for stage in ("fetch", "embed", "project", "persistence", "distances", "loops", "claims"):
        dvc(study, "repro", "--force", "--single-item", stage)
    assert (metrics(study), (study / "dvc.lock").read_bytes()) == expected  # of every output


@pytest.mark.slow
def test_diagrams_are_the_same_bytes(
    embeddings: Path,  # noqa: F811
    on_storage: Path,
    apart: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with a_worker_killed(apart, "diagrams"):
        found = diagrams(embeddings, on_storage / "with")
    monkeypatch.delenv("STUDY_CLUSTER")
    assert found == diagrams(embeddings, on_storage / "without")
    assert len([name for name in found if name.startswith("data/diagrams")]) == 3
