"""Images of a folder put into another: shared or copied, noted, and resumed after a kill."""

import fcntl
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.core.dataset import copying
from stages.core.dataset.copying import (
    AT_ONCE,
    FICLONE,
    Copied,
    Piece,
    copy_piece,
    pieces_of,
    remove_others,
    require_apart,
)
from stages.core.runtime.checksums import state_of
from stages.core.runtime.errors import StudyError
from tests.stages import write_fetch_params
from tests.study import ROOT, dvc, git, run, started

RUN_FETCH = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import stages.fetch as of; of.fetch()"
NAMES = [("oak/0.png", "oak/0.png"), ("oak/1.png", "oak/1.png"), ("oak/2.png", "oak/2.png")]


@pytest.fixture(autouse=True)
def every_file_is_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.core.runtime.checksums.SETTLED_S", -3600)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Three images of a class, of different sides."""
    folder = tmp_path / "source"
    (folder / "oak").mkdir(parents=True)
    for i, (name, _) in enumerate(NAMES):
        Image.new("L" if i == 2 else "RGB", (4 + i, 9 - i), i).save(folder / name)
    return folder


@pytest.fixture
def copy(source: Path, tmp_path: Path) -> Callable[..., Copied]:
    """Copies the three images to a folder `target`."""
    target = tmp_path / "target"
    (target / "oak").mkdir(parents=True)

    def copy(code: str = "code") -> Copied:
        return copy_piece(source, target, code, Piece(NAMES, tmp_path / "notes" / "oak.json"))

    return copy


def contents(folder: Path) -> dict[str, bytes]:
    """{relative path: bytes} of a folder's files."""
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(files)}


def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: bytes) -> None:
        pytest.fail("an image is decoded that is known")

    monkeypatch.setattr(copying, "decode", refuse)


# Sharing


@pytest.mark.parametrize("mode", [0o644, 0o444, 0o400, 0o555])
def test_only_a_file_that_dvc_would_leave_as_it_is_gets_a_hard_link(
    mode: int, source: Path, copy: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "_clone", lambda *_: False)
    for file in (source / "oak").iterdir():
        file.chmod(mode)
    before = [(name, (source / name).stat()) for name, _ in NAMES]
    copy()
    assert contents(tmp_path / "target") == contents(source)
    for name, own in before:
        assert (source / name).samefile(tmp_path / "target" / name) == (mode == 0o444)
        after = (source / name).stat()
        assert (after.st_mode, after.st_mtime_ns) == (own.st_mode, own.st_mtime_ns)
        assert (tmp_path / "target" / name).stat().st_mode & 0o200 or mode == 0o444


def test_a_link_to_a_protected_file_is_followed(
    source: Path, copy: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copying, "_clone", lambda *_: False)
    (source / NAMES[0][0]).rename(tmp_path / "elsewhere.png")
    (tmp_path / "elsewhere.png").chmod(0o444)
    (source / NAMES[0][0]).symlink_to(tmp_path / "elsewhere.png")
    copy()
    copied = tmp_path / "target" / NAMES[0][0]
    assert not copied.is_symlink()
    assert copied.samefile(tmp_path / "elsewhere.png")


def test_a_protected_file_that_cannot_be_linked_is_copied(
    source: Path, copy: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(copying, "_clone", lambda *_: False)
    monkeypatch.setattr(os, "link", refuse)
    for file in (source / "oak").iterdir():
        file.chmod(0o444)
    copy()
    assert contents(tmp_path / "target") == contents(source)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems clone in other ways")
@pytest.mark.parametrize("mode", [0o644, 0o444])
def test_where_the_file_system_clones_nothing_is_linked_or_written(
    mode: int, source: Path, copy: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def clone(target: int, request: int, original: int) -> int:
        assert request == FICLONE
        return os.pwrite(target, os.pread(original, 10**6, 0), 0)

    monkeypatch.setattr(fcntl, "ioctl", clone)
    monkeypatch.setattr(copying, "_copy_bytes", lambda *_: pytest.fail("bytes are written"))
    for file in (source / "oak").iterdir():
        file.chmod(mode)
    copied = copy()
    assert sorted(copied.digests) == [name for name, _ in NAMES]
    assert contents(tmp_path / "target") == contents(source)
    assert all(file.stat().st_nlink == 1 for file in (source / "oak").iterdir())


# Notes


def test_what_was_seen(copy: Callable) -> None:
    copied = copy()
    assert (copied.sides, copied.known, copied.unreadable) == ((4, 9), 0, {})
    assert copied.conversions == {"greyscale": 1}
    assert len(set(copied.digests.values())) == 3


def test_what_is_known_is_neither_decoded_nor_copied(
    copy: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = copy()
    states = [state_of((tmp_path / "target" / name).stat()) for name, _ in NAMES]
    no_decoding(monkeypatch)
    again = copy()
    assert again.known == 3
    assert (again.digests, again.sides) == (first.digests, first.sides)
    assert again.conversions == first.conversions
    assert [state_of((tmp_path / "target" / name).stat()) for name, _ in NAMES] == states


@pytest.mark.parametrize("damage", ["removed", "emptied", "edited"])
def test_a_copy_that_is_not_as_noted_is_made_again_without_decoding(
    damage: str, source: Path, copy: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy()
    file = tmp_path / "target" / NAMES[1][0]
    size = file.stat().st_size
    file.unlink()
    if damage != "removed":
        file.write_bytes(b"" if damage == "emptied" else b"x" * size)
    no_decoding(monkeypatch)
    assert copy().known == 3
    assert contents(tmp_path / "target") == contents(source)


def test_an_image_that_has_changed_is_looked_at_again(
    source: Path, copy: Callable, tmp_path: Path
) -> None:
    first = copy()
    file = source / NAMES[1][0]
    own = file.stat()
    Image.new("RGB", (5, 8), 77).save(file)  # of the same size in bytes
    os.utime(file, ns=(own.st_atime_ns, own.st_mtime_ns))
    assert file.stat().st_size == own.st_size
    again = copy()
    assert again.known == 2
    changed = {name for name in first.digests if first.digests[name] != again.digests[name]}
    assert changed == {NAMES[1][0]}
    assert contents(tmp_path / "target") == contents(source)


def test_an_image_that_can_no_longer_be_read_leaves_no_copy(
    source: Path, copy: Callable, tmp_path: Path
) -> None:
    copy()
    (source / NAMES[0][0]).write_bytes(b"")
    (source / NAMES[1][0]).unlink()
    copied = copy()
    assert copied.unreadable == {NAMES[0][0]: "empty file", NAMES[1][0]: "not found"}
    assert list(contents(tmp_path / "target")) == [NAMES[2][0]]
    assert list(copied.digests) == [NAMES[2][0]]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"code": "code"}', '{"code": "code", "images": {"oak/0.png": [1]}}']
)
def test_a_damaged_note_is_none(text: str, copy: Callable, tmp_path: Path) -> None:
    first = copy()
    (tmp_path / "notes" / "oak.json").write_text(text)
    again = copy()
    assert again.known == 0
    assert again.digests == first.digests


def test_other_code_looks_again(copy: Callable) -> None:
    copy("one")
    assert copy("other").known == 0
    assert copy("other").known == 3


def test_a_file_that_was_just_written_is_not_noted(
    copy: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stages.core.runtime.checksums.SETTLED_S", 3600)
    copy()
    assert copy().known == 0


def test_a_file_that_changes_while_it_is_copied_is_not_noted(
    source: Path, copy: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = copying._place

    def placed(original: object, file: Path, target: Path) -> bytes | None:
        data = place(original, file, target)
        if file.name == "1.png":
            Image.new("RGB", (5, 8), 77).save(file)
        return data

    monkeypatch.setattr(copying, "_place", placed)
    first = copy()
    monkeypatch.setattr(copying, "_place", place)
    again = copy()
    assert again.known == 2
    assert again.digests[NAMES[1][0]] != first.digests[NAMES[1][0]]


def test_a_new_image_moves_none_of_another_class(tmp_path: Path) -> None:
    ids = [f"{name}/{i:04d}.png" for name in ("ash", "oak") for i in range(AT_ONCE + 5)]
    pieces = pieces_of({name: name for name in ids}, tmp_path)
    assert [len(piece.names) for piece in pieces] == [AT_ONCE, 5] * 2
    more = pieces_of({name: name for name in ["ash/.png", *ids]}, tmp_path)
    assert more[2:] == pieces[2:]
    assert [piece.note for piece in more] == [piece.note for piece in pieces]
    assert len({piece.note for piece in pieces}) == 4


def test_what_is_not_of_this_run_is_removed(tmp_path: Path) -> None:
    for name in ("ash/0.png", "ash/1.png", "oak/0.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    remove_others(tmp_path, ["ash/1.png"])
    assert list(contents(tmp_path)) == ["ash/1.png"]
    assert not (tmp_path / "oak").exists()


def test_names_that_differ_in_case_alone_where_case_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "ash").mkdir()
    (tmp_path / "ash" / "a.png").touch()
    require_apart(tmp_path, ["ash/a.png"])
    with pytest.raises(StudyError, match=r"ash: 1 files of 2 images; .* in case alone"):
        require_apart(tmp_path, ["ash/a.png", "ash/A.png"])


# Runs that are killed


def study_of(folder: Path, source: Path) -> Path:
    folder.mkdir()
    write_fetch_params(folder, source=str(source))
    return folder


def many_images(source: Path) -> Path:
    rng = np.random.default_rng(0)
    for name in ("ash", "elm", "oak"):
        (source / "images" / name).mkdir(parents=True)
        for i in range(2 * AT_ONCE + 20):
            pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(source / "images" / name / f"{i:03d}.jpg")
    time.sleep(2.5)  # until another change would show in the files' times
    return source


def fetched(study: Path) -> str:
    """Run fetch in a folder; what it prints."""
    done = run(study, sys.executable, "-c", RUN_FETCH)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_killed_fetch_goes_on_and_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    source = many_images(tmp_path / "source")
    fetched(study_of(tmp_path / "unbroken", source))
    expected = contents(tmp_path / "unbroken" / "data")
    assert len(expected) > 3 * 2 * AT_ONCE
    study = study_of(tmp_path / "killed", source)
    copies = study / "data" / ".images.clip-texture-topology.copies"
    rng = np.random.default_rng()
    moments = sorted(rng.integers(1, 3 * (2 * AT_ONCE + 20), 2).tolist())
    for moment in [*moments, 3 * (2 * AT_ONCE + 20)]:
        with started(study, sys.executable, "-c", RUN_FETCH) as (process, printed):
            while len(contents_of_names(copies)) < moment and process.poll() is None:
                time.sleep(0.002)
            os.killpg(process.pid, signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL, (moments, printed.read_text())
    changed = source / "images" / "elm" / "100.jpg"
    Image.new("RGB", (64, 32), 3).save(changed)
    Image.new("RGB", (64, 32), 4).save(source / "images" / "oak" / "added.jpg")
    said = fetched(study)
    assert "looked at by an earlier run: " in said, moments
    assert not copies.exists()
    other = study_of(tmp_path / "other", source)
    fetched(other)
    assert contents(study / "data") == contents(other / "data"), moments
    assert contents(study / "metrics") == contents(other / "metrics"), moments
    assert contents(study / "data") != expected


def contents_of_names(folder: Path) -> list[str]:
    return [name for _, _, names in os.walk(folder) for name in names]  # which may change meanwhile


def test_the_note_outlives_the_run(tmp_path: Path) -> None:
    source = many_images(tmp_path / "source")
    study = study_of(tmp_path / "study", source)
    assert "earlier run" not in fetched(study)
    shutil.rmtree(study / "data")  # as DVC does before it runs a stage again
    assert "looked at by an earlier run: 660 images" in fetched(study)
    write_fetch_params(study, source="textures", images_per_class=3, classes=["banded", "woven"])
    (study / "data" / ".images.clip-texture-topology.copies").mkdir()
    assert "earlier run" not in fetched(study)
    assert not list((study / "data").glob(".*copies"))


# DVC


@pytest.mark.slow
@pytest.mark.parametrize("mode", [0o644, 0o444])
def test_dvc_leaves_the_source_as_it_is_where_its_cache_is_of_hard_links(
    mode: int, tmp_path: Path
) -> None:
    source, study = tmp_path / "source", tmp_path / "study"
    for name in ("ash", "oak"):
        (source / "images" / name).mkdir(parents=True)
        for i in range(3):
            file = source / "images" / name / f"{i}.png"
            Image.new("RGB", (4 + i, 9), ord(name[0])).save(file)
            file.chmod(mode)
    study_of(study, source)
    git(study, "init", "--quiet")
    dvc(study, "init", "--quiet")
    dvc(study, "config", "cache.type", "hardlink")
    (study / "dvc.yaml").write_text(
        json.dumps(
            {"stages": {"fetch": {"cmd": "python -m stages.fetch", "outs": ["data/images"]}}}
        )
    )
    (study / "stages").symlink_to(ROOT / "stages")
    before = contents(source)
    dvc(study, "repro")
    assert contents(source) == before
    for name in before:
        own = (source / name).stat()
        assert own.st_mode & 0o777 == mode
        # DVC's cache and data/images share a file, and the source too where it is protected.
        shared = (study / "data" / "images" / name).stat()
        assert shared.st_nlink == (3 if own.st_ino == shared.st_ino else 2)
        assert (own.st_ino == shared.st_ino) <= (mode == 0o444)
    assert "up to date" in dvc(study, "status")
