"""Outputs that lie where something else is: nothing of the user's is lost, nothing is half done."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.core.runtime.errors import StudyError
from stages.core.runtime.files import (
    MARKER,
    require_replaceable,
    whole_file,
    whole_files,
    whole_folder,
)

FOREIGN = {"project": "another", "stage": "fetch", "files": ["labels/train1.txt"]}


def tree(folder: Path) -> dict[str, str]:
    """{relative path: contents, or where a link points to} of all in a folder."""
    return {
        str(path.relative_to(folder)): str(path.readlink())
        if path.is_symlink()
        else path.read_text()
        if path.is_file()
        else "a folder"
        for path in sorted(folder.rglob("*"))
    }


def write(folder: Path, stage: str = "fetch", name: str = "labels/train1.txt") -> None:
    """Let a stage write one file into a folder of its own."""
    with whole_folder(folder, stage) as unfinished:
        (unfinished / name).parent.mkdir(exist_ok=True)
        (unfinished / name).write_text(f"of {stage}")


def like_dtd(folder: Path) -> None:
    (folder / "labels").mkdir(parents=True)
    (folder / "labels" / "labels_joint_anno.txt").write_text("a/1.jpg a \n")
    (folder / "thesis.tex").write_text("years of work")


def marked_by(content: object) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        write(folder)
        (folder / MARKER).write_text(content if isinstance(content, str) else json.dumps(content))

    return make


def a_file_added(name: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        write(folder)
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("mine")

    return make


def a_link_added(folder: Path) -> None:
    write(folder)
    (folder / "more").symlink_to(folder.parent)


def a_pipe_as_marker(folder: Path) -> None:
    write(folder)
    (folder / MARKER).unlink()
    os.mkfifo(folder / MARKER)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (like_dtd, "holds files but no marker of fetch (.clip-texture-topology); give"),
        (lambda folder: write(folder, "embed"), "no marker of fetch"),
        (marked_by(FOREIGN), "no marker of fetch"),
        (marked_by("{"), "where an earlier version of fetch wrote it, remove it and run again"),
        (marked_by("[]"), "no marker of fetch"),
        (marked_by("null"), "no marker of fetch"),
        (marked_by({"project": "clip-texture-topology"}), "no marker of fetch"),
        (a_pipe_as_marker, "no marker of fetch"),
        (a_file_added("thesis.tex"), "files that fetch did not write: thesis.tex; move them away"),
        (a_file_added("labels/train2.txt"), "did not write: labels/train2.txt; move"),
        (a_file_added(".hidden"), "did not write: .hidden; move"),
        (a_link_added, "did not write: more; move"),
    ],
)
def test_a_folder_that_the_stage_did_not_write_is_never_replaced(
    make: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    target = tmp_path / "images"
    make(target)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StudyError) as raised:
        write(target)
    assert message in str(raised.value)
    assert str(raised.value).startswith(f"{target}: ")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("clutter", [".DS_Store", "Thumbs.db", "@eaDir/SYNO", "Desktop.INI"])
def test_clutter_does_not_keep_a_folder_from_being_replaced(clutter: str, tmp_path: Path) -> None:
    target = tmp_path / "images"
    a_file_added(clutter)(target)
    write(target, name="new.txt")
    assert sorted(tree(target)) == [MARKER, "new.txt"]


def test_a_missing_or_an_empty_folder_is_free(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "missing"):
        write(tmp_path / name)
        assert (tmp_path / name / "labels" / "train1.txt").read_text() == "of fetch"


def test_the_same_folder_has_the_same_marker(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / name)
    assert (tmp_path / "a" / MARKER).read_bytes() == (tmp_path / "b" / MARKER).read_bytes()


# Links


def test_a_link_to_a_folder_stays_and_its_folder_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    write(tmp_path / "disk" / "big")
    (tmp_path / "images").symlink_to("disk/big")
    write(tmp_path / "images", name="new.txt")
    assert (tmp_path / "images").is_symlink()
    assert sorted(tree(tmp_path)) == [
        "disk",
        "disk/big",
        f"disk/big/{MARKER}",
        "disk/big/new.txt",
        "images",
    ]


def test_a_link_to_a_folder_of_the_users_is_refused(tmp_path: Path) -> None:
    like_dtd(tmp_path / "mine")
    (tmp_path / "images").symlink_to("mine")
    before = tree(tmp_path)
    with pytest.raises(StudyError, match=r"images: .* no marker of fetch"):
        write(tmp_path / "images")
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    ("links", "message"),
    [
        ({"out": "/no/where"}, "out: a link to /no/where, which is not there; give"),
        ({"out": "out"}, "out: a link to out, which is not there"),
        ({"out": "b", "b": "out"}, "out: a link to b, which is not there"),
        ({"out": "file.txt"}, "out: is a file, where a folder has to go"),
        ({"out": "/dev/null"}, "out: is a file, where a folder has to go"),
    ],
    ids=["dangling", "to itself", "in a circle", "to a file", "to a device"],
)
def test_links_that_lead_to_no_folder(links: dict, message: str, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("mine")
    for name, target in links.items():
        (tmp_path / name).symlink_to(target)
    before = tree(tmp_path)
    for context in (whole_folder(tmp_path / "out", "fetch"), whole_files(tmp_path / "out")):
        with pytest.raises(StudyError) as raised:
            context.__enter__()
        assert message in str(raised.value)
    assert tree(tmp_path) == before


def test_files_go_through_a_link_to_a_folder(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "plots").symlink_to("disk")
    with whole_files(tmp_path / "plots") as folder:
        (folder / "a.csv").write_text("new")
    assert tree(tmp_path) == {"disk": "a folder", "disk/a.csv": "new", "plots": "disk"}


def test_a_file_takes_the_place_of_a_link_and_leaves_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "cached").write_text("in DVC's cache")
    (tmp_path / "table.csv").symlink_to("cached")
    with whole_file(tmp_path / "table.csv") as file:
        file.write_text("new")
    assert tree(tmp_path) == {"cached": "in DVC's cache", "table.csv": "new"}


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_device(path: Path) -> None:
    path.symlink_to("/dev/null")


@pytest.mark.parametrize("make", [Path.mkdir, a_pipe, a_device])
def test_a_file_never_replaces_what_is_no_file(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    make(tmp_path / "table.csv")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StudyError, match=r"table.csv: a file has to go here, and this is none"):
        whole_file(tmp_path / "table.csv").__enter__()
    assert sorted(tmp_path.iterdir()) == before


def test_a_mount_point_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "is_mount", lambda path: path == tmp_path)
    with pytest.raises(StudyError, match="a mount point, which cannot be replaced"):
        require_replaceable(tmp_path, "fetch")


def test_a_user_without_a_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    write(tmp_path / "images")
    assert (tmp_path / "images" / MARKER).is_file()
