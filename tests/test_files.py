"""Outputs that appear whole or not at all, and never in the place of what is not the study's."""

import errno
import json
import re
import shutil
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace

import click
import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from stages.core.runtime.command import stage
from stages.core.runtime.errors import StudyError
from stages.core.runtime.files import MARKER, whole_file, whole_files, whole_folder
from stages.core.runtime.params import Section
from tests.study import run


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def fail_in(context: AbstractContextManager[Path]) -> None:
    """Write half of the files and raise KeyError."""
    with context as folder:
        assert not names(folder)
        (folder / "half.txt").touch()
        raise KeyError


def test_a_folder_takes_the_place_of_the_one_that_was_written_before(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    for text in ("first", "second"):
        with whole_folder(target, "embed") as folder:
            (folder / f"{text}.txt").touch()
    assert names(tmp_path / "deep") == ["out", f"out/{MARKER}", "out/second.txt"]
    assert json.loads((target / MARKER).read_text())["files"] == ["second.txt"]


def test_a_folder_stays_as_it_was_where_the_work_fails(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "out", "embed") as folder:
        (folder / "a.txt").touch()
    for context in (whole_folder(tmp_path / "out", "embed"), whole_files(tmp_path / "out")):
        with pytest.raises(KeyError):
            fail_in(context)
    assert names(tmp_path) == ["out", f"out/{MARKER}", "out/a.txt"]


def test_what_a_kill_leaves_between_two_renames_is_put_right(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "out", "embed") as folder:
        (folder / "a.txt").touch()
    (tmp_path / "out").rename(tmp_path / ".out.clip-texture-topology.replaced")
    (tmp_path / ".out.clip-texture-topology.unfinished").mkdir()
    (tmp_path / ".out.clip-texture-topology.unfinished" / "half.txt").touch()
    with pytest.raises(KeyError):
        fail_in(whole_folder(tmp_path / "out", "embed"))
    assert names(tmp_path) == ["out", f"out/{MARKER}", "out/a.txt"]


@pytest.mark.parametrize("target", [".", "..", "../..", "{home}", "{home}/..", "/"])
def test_the_working_and_the_home_folder_are_never_replaced(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, home = tmp_path / "a" / "work", tmp_path / "users" / "me"
    for folder in (work, home):
        folder.mkdir(parents=True)
        (folder / "embed").touch()
    monkeypatch.chdir(work)
    monkeypatch.setattr(Path, "home", lambda: home)
    before = names(tmp_path)
    path = Path(target.format(home=home))
    with pytest.raises(StudyError, match=r"would be replaced as a whole, and holds .*; give"):
        whole_folder(path, "embed").__enter__()
    assert names(tmp_path) == before


def test_files_move_in_beside_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "params.yaml").touch()
    (tmp_path / "table.csv").write_text("old")
    (tmp_path / f"{MARKER}.unfinished").mkdir()
    (tmp_path / f"{MARKER}.unfinished" / "half.csv").touch()
    monkeypatch.chdir(tmp_path)
    with whole_files(Path()) as folder:
        (folder / "table.csv").write_text("new")
        (folder / "picture.png").touch()
        assert (tmp_path / "table.csv").read_text() == "old"
    assert names(tmp_path) == ["params.yaml", "picture.png", "table.csv"]
    assert (tmp_path / "table.csv").read_text() == "new"


# A full disk


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_names_the_file_that_was_written(tmp_path: Path) -> None:
    def write() -> None:
        with whole_file(tmp_path / "x.txt") as file:
            file.symlink_to("/dev/full")  # every write to it fails as on a full disk
            file.write_text("a")

    with pytest.raises(OSError, match="No space") as raised:
        write()
    assert raised.value.errno == errno.ENOSPC
    assert raised.value.filename == str(tmp_path / "x.txt")
    assert not names(tmp_path)


@pytest.mark.parametrize(
    "error",
    [
        OSError("1000000 requested and 262128 written"),  # np.save
        RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos"),  # torch.save
        ValueError("I/O error: No space left on device (os error 28)"),  # safetensors
    ],
)
def test_a_full_disk_is_known_in_any_words(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write() -> None:
        with whole_files(tmp_path / "out") as folder:
            np.save(folder / "a.npy", np.zeros(3))
            raise error

    if "No space" not in str(error):
        with pytest.raises(type(error)) as raised:
            write()
        assert raised.value is error  # there is room: something else is wrong
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=4096))
    with pytest.raises(OSError, match="No space left") as raised:
        write()
    assert raised.value.errno == errno.ENOSPC
    assert raised.value.filename == str(tmp_path / "out")
    assert not names(tmp_path / "out")


def test_bad_input_stays_bad_input_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(StudyError, match="NaN"), whole_files(tmp_path):
        raise StudyError("x.npy: holds NaN")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["project", "angles", "persistence", "distances", "classify"])
def test_a_stage_that_cannot_write_on_leaves_the_earlier_outputs(
    name: str, tiny_study: Path, tmp_path: Path
) -> None:
    study = shutil.copytree(tiny_study, tmp_path / "study")
    before = content(study)
    # All but the largest file can be written: of it, all but the last block of 512 bytes.
    largest = max(path.stat().st_size for path in outputs(study, name))
    limited = ("sh", "-c", 'ulimit -f "$0" && exec "$@"', str((largest - 1) // 512))
    done = run(study, *limited, sys.executable, "-m", f"stages.{name}")
    assert done.returncode == 1
    assert re.fullmatch(r"Error: \S+: .*File too large\n", done.stderr), done.stderr
    assert content(study) == before


def outputs(study: Path, stage: str) -> list[Path]:
    """All files that a stage wrote, as dvc.yaml lists them."""
    listed = yaml.safe_load((study / "dvc.yaml").read_text())["stages"][stage]
    outs = [out for kind in ("outs", "metrics", "plots") for out in listed.get(kind, [])]
    tops = [study / (out if isinstance(out, str) else next(iter(out))) for out in outs]
    return [path for top in tops for path in (top, *top.rglob("*")) if path.is_file()]


def content(study: Path) -> dict[Path, bytes]:
    """{file: bytes} of all that stages write."""
    files = [path for top in ("data", "metrics", "plots") for path in (study / top).rglob("*")]
    return {path: path.read_bytes() for path in files if path.is_file()}


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "a.npy"),
            "a.npy: the disk is full; free",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), "Error: nothing: the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied", "b.csv"), "b.csv: Permission denied"),
    ],
)
def test_a_stage_says_in_one_line_what_the_system_refuses(
    error: OSError, line: str, tmp_path: Path
) -> None:
    class NoParams(Section):
        name = "nothing"

    @stage(NoParams)
    def refused(params: NoParams) -> None:
        """Do nothing."""
        raise error

    (tmp_path / "params.yaml").write_text("nothing: {}")
    assert isinstance(refused, click.Command)
    done = CliRunner().invoke(refused, ["--params", str(tmp_path / "params.yaml")])
    assert done.exit_code == 1
    assert line in done.output
    assert len(done.output.splitlines()) == 1
