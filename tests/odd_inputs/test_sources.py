"""Files that params name: a stage runs again where their content changes, and not else."""

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from stages.core.runtime.checksums import (
    File,
    checksum,
    files_below,
    known_checksums,
    state_of,
)
from stages.core.vision.model_files import CONFIG_FILE
from stages.preflight import preflight
from tests.odd_inputs.test_preflight import data_set, options, params_file
from tests.refusals import refusal
from tests.study import commit_all, dvc, git, run, stages_run, stale_stages

YEAR_2001_S = 10**9


def age(folder: Path) -> None:
    """Make files look old, as those are that nobody has just written."""
    for path in folder.rglob("*"):
        os.utime(path, (YEAR_2001_S, YEAR_2001_S))


def noted(file: Path) -> dict[str, bytes]:
    """{stage: bytes} of what preflight notes for each stage."""
    done = CliRunner().invoke(preflight, options(file))
    assert done.exit_code == 0, done.output
    return {path.stem: path.read_bytes() for path in (file.parent / "sources").iterdir()}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The params file of a study that names images, a model and two files of weights."""
    source = data_set(tmp_path / "own", {"a": 12, "b": 12})
    (source / "labels").mkdir()
    for name in ("clip", "start", "weights"):
        (tmp_path / name).mkdir()
    (tmp_path / "clip" / CONFIG_FILE).write_text("{}")
    (tmp_path / "clip" / "open_clip_model.safetensors").write_bytes(b"weights")
    (tmp_path / "start" / "init.pt").write_bytes(b"weights")
    (tmp_path / "weights" / "tuned.pt").write_bytes(b"weights")
    age(tmp_path)
    return params_file(
        tmp_path,
        fetch__source=source,
        pretrain__init=tmp_path / "start" / "init.pt",
        embed__model=tmp_path / "clip",
        embed__pretrained=tmp_path / "weights" / "tuned.pt",
    )


def write(path: Path, data: bytes = b"other") -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


def with_times_kept(path: Path) -> None:
    """Other content of the same size, with the times of the file as they were."""
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        pytest.param(lambda top: write(top / "own/images/a/0.png"), {"fetch"}, id="image"),
        pytest.param(lambda top: write(top / "own/images/a/new.png"), {"fetch"}, id="new image"),
        pytest.param(lambda top: (top / "own/images/a/0.png").unlink(), {"fetch"}, id="removed"),
        pytest.param(
            lambda top: (top / "own/images/a/0.png").rename(top / "own/images/a/z.png"),
            {"fetch"},
            id="renamed",
        ),
        pytest.param(lambda top: with_times_kept(top / "own/images/a/0.png"), {"fetch"}, id="rot"),
        pytest.param(
            lambda top: write(top / "own/labels/labels_joint_anno.txt", b"a/0.png a\n"),
            {"fetch"},
            id="labels",
        ),
        pytest.param(lambda top: write(top / "start/init.pt"), {"pretrain"}, id="first weights"),
        pytest.param(lambda top: write(top / "weights/tuned.pt"), {"embed"}, id="weights"),
        pytest.param(lambda top: write(top / "weights" / CONFIG_FILE), {"embed"}, id="beside them"),
        pytest.param(lambda top: write(top / "clip/vocab.json"), {"embed"}, id="model"),
        # What no stage reads, or what changes no content.
        pytest.param(lambda top: age(top), set(), id="touched"),
        pytest.param(lambda top: write(top / "own/notes.txt"), set(), id="beside the images"),
        pytest.param(lambda top: write(top / "own/images/a/.DS_Store"), set(), id="hidden"),
        pytest.param(lambda top: write(top / "start/other.pt"), set(), id="another checkpoint"),
        pytest.param(lambda top: os.mkfifo(top / "clip/pipe"), set(), id="pipe"),
        pytest.param(lambda top: (top / "clip/loop").symlink_to(top / "clip"), set(), id="loop"),
        pytest.param(lambda top: (top / "clip/gone").symlink_to("gone"), set(), id="dangling"),
        pytest.param(lambda top: (top / "clip/zero").symlink_to("/dev/zero"), set(), id="device"),
        pytest.param(lambda top: (top / "known").unlink(), set(), id="no database"),
        pytest.param(lambda top: (top / "known").write_bytes(b"x" * 9999), set(), id="damaged"),
    ],
)
def test_a_change_reaches_the_stage_that_reads_the_file_and_no_other(
    change: Callable[[Path], object], stages: set[str], study: Path
) -> None:
    before = noted(study)
    assert noted(study) == before
    change(study.parent)
    after = noted(study)
    assert {stage for stage in after if after[stage] != before[stage]} == stages


def test_what_is_noted_can_be_read(study: Path) -> None:
    embed = json.loads(noted(study)["embed"])
    assert list(embed) == ["embed.pretrained", "embed.model"]
    assert embed["embed.model"]["path"] == str(study.parent / "clip")
    assert embed["embed.model"]["files"] == 2
    assert embed["embed.model"]["bytes"] == len("{}") + len("weights")
    assert len(embed["embed.model"]["sha256"]) == 64


@pytest.mark.parametrize(
    ("change", "noticed"),
    [
        pytest.param(lambda top: write(top / "encoder.py"), True, id="the file"),
        pytest.param(lambda top: write(top / "helper.py"), True, id="a module beside it"),
        pytest.param(lambda top: write(top / "new.py"), True, id="a new module"),
        pytest.param(lambda top: write(top / "notes.txt"), False, id="no module"),
        pytest.param(lambda top: write(top / ".hidden.py"), False, id="hidden"),
        pytest.param(lambda top: write(top / "__pycache__" / "x.py"), False, id="compiled"),
        pytest.param(lambda top: (top / "gone.py").symlink_to("gone"), False, id="dangling"),
    ],
)
def test_an_encoder_of_one_s_own_is_its_file_and_the_modules_beside_it(
    change: Callable[[Path], object], noticed: bool, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    write(own / "encoder.py", b"import helper")
    write(own / "helper.py", b"x = 1")
    file = params_file(tmp_path, embed__model=f"{own}/encoder.py:load")
    age(tmp_path)
    before = noted(file)
    assert json.loads(before["embed"])["embed.model"]["path"] == f"{own}/encoder.py:load"
    change(own)
    after = noted(file)
    assert {stage for stage in after if after[stage] != before[stage]} == (
        {"embed"} if noticed else set()
    )


@pytest.mark.parametrize("changed", ["saved/model.safetensors", "weights.safetensors"])
def test_what_a_model_of_timm_reads_is_noted(changed: str, tmp_path: Path) -> None:
    write(tmp_path / "saved" / "model.safetensors", b"one")
    write(tmp_path / "weights.safetensors", b"one")
    given: dict[str, object] = (
        {"embed__model": f"timm:local-dir:{tmp_path}/saved"}
        if "/" in changed
        else {"embed__model": "timm:resnet18", "embed__pretrained": tmp_path / changed}
    )
    file = params_file(tmp_path, **given)
    before = noted(file)
    write(tmp_path / changed, b"two")
    assert noted(file)["embed"] != before["embed"]


def test_a_name_of_timm_s_is_no_path(tmp_path: Path) -> None:
    for name in ("resnet18", "resnet18.a1_in1k", "hf-hub:timm/resnet18.a1_in1k"):
        assert json.loads(noted(params_file(tmp_path, embed__model=f"timm:{name}"))["embed"]) == {}


def test_the_same_content_elsewhere_has_the_same_checksum(study: Path, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "own", tmp_path / "copy")
    with known_checksums(tmp_path / "other") as known:
        first, second = (
            checksum(files_below(tmp_path / name), tmp_path / name, known)
            for name in ("own", "copy")
        )
    assert first == second


def test_names_and_contents_cannot_stand_for_each_other(tmp_path: Path) -> None:
    found = set()
    for i, names in enumerate([("a", "bc"), ("ab", "c"), ("abc",), ("a\nb", "c")]):
        for name in names:
            write(tmp_path / str(i) / name, b"")
        with known_checksums(tmp_path / "known") as known:
            content = checksum(files_below(tmp_path / str(i)), tmp_path / str(i), known)
        found.add(content["sha256"])
    assert len(found) == 4


def test_a_file_that_was_just_written_is_not_trusted_to_stay(tmp_path: Path) -> None:
    write(tmp_path / "new" / "file")
    with known_checksums(tmp_path / "known") as known:
        checksum(files_below(tmp_path / "new"), tmp_path / "new", known)
        assert known.execute("SELECT count(*) FROM checksums").fetchone() == (0,)


@pytest.mark.parametrize(("mode", "same"), [(0o444, True), (0o644, False)])
def test_a_new_link_to_a_file_that_nobody_may_write_is_no_change(
    mode: int, same: bool, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    write(file)
    file.chmod(mode)
    before = state_of(file.stat())
    time.sleep(0.05)  # until the clock of the file system has moved on
    (tmp_path / "link").hardlink_to(file)
    assert (state_of(file.stat()) == before) == same
    file.chmod(0o644)
    file.write_bytes(b"changed")
    file.chmod(mode)
    assert state_of(file.stat()) != before


def test_a_killed_run_has_noted_what_it_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stages.core.runtime.checksums.NOTED_AT_ONCE", 2)
    monkeypatch.setattr("stages.core.runtime.checksums.SETTLED_S", -3600)
    for i in range(5):
        write(tmp_path / "own" / str(i))

    def killed() -> Iterator[File]:
        yield from list(files_below(tmp_path / "own"))[:3]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), known_checksums(tmp_path / "known") as known:
        checksum(killed(), tmp_path / "own", known)
    with known_checksums(tmp_path / "known") as known:
        assert known.execute("SELECT count(*) FROM checksums").fetchone() == (2,)


@pytest.mark.parametrize("source", ["textures", "dtd"])
def test_names_are_no_paths(source: str, tmp_path: Path) -> None:
    file = params_file(
        tmp_path, fetch__source=source, embed__model="ViT-B/32", embed__pretrained="openai"
    )
    assert set(noted(file).values()) == {b"{}\n"}


@pytest.mark.parametrize("model", ["texture-clip", "hf-hub:org/name", "RN50"])
def test_names_of_models_are_no_paths(model: str, tmp_path: Path) -> None:
    assert noted(params_file(tmp_path, embed__model=f"'{model}'"))["embed"] == b"{}\n"


@pytest.mark.parametrize(
    ("name", "stage"),
    [("own", "fetch"), ("start", "pretrain"), ("clip", "embed"), ("weights", "embed")],
)
def test_what_is_not_here_is_taken_to_be_as_it_was(name: str, stage: str, study: Path) -> None:
    """As in a colleague's clone: what was made of it is in the cache."""
    before = noted(study)
    (study.parent / name).rename(study.parent / "away")
    done = CliRunner().invoke(preflight, options(study))
    assert "is not here; taken to be as it was" in done.output
    assert noted(study) == before

    (study.parent / "sources" / f"{stage}.json").write_text("[]")
    assert str(study.parent / name) in refusal(preflight, *options(study))


def test_a_database_that_cannot_be_made(study: Path) -> None:
    (study.parent / "known").mkdir()
    message = refusal(preflight, *options(study))
    assert message == (
        f"{study.parent}/known: unable to open database file; remove it, or let its folder be "
        "written to"
    )


def test_a_database_in_use_is_waited_for(study: Path) -> None:
    noted(study)
    with closing(sqlite3.connect(study.parent / "known")) as other, other:
        other.execute("SELECT * FROM checksums").fetchall()
        assert noted(study)


# In DVC


@pytest.mark.slow
def test_dvc_runs_again_what_reads_a_changed_file(tiny_study: Path, tmp_path: Path) -> None:
    study = shutil.copytree(tiny_study, tmp_path / "study")
    source = data_set(tmp_path / "own", {"a": 9, "b": 9})
    model = shutil.copytree(study / "data" / "model", tmp_path / "clip")
    params = yaml.safe_load((study / "params.yaml").read_text())
    params["fetch"] |= {"source": str(source), "classes": []}
    params["embed"]["model"] = str(model)
    (study / "params.yaml").write_text(yaml.safe_dump(params))
    assert stages_run(dvc(study, "repro", "embed")) == ["preflight", "fetch", "embed"]
    assert stages_run(dvc(study, "repro", "embed")) == ["preflight"]

    age(source)
    assert stages_run(dvc(study, "repro", "embed")) == ["preflight"]
    write(source / "images" / "a" / "new.png", (source / "images/b/0.png").read_bytes())
    assert stages_run(dvc(study, "repro", "embed")) == ["preflight", "fetch", "embed"]
    with (model / CONFIG_FILE).open("a") as config:
        config.write("\n")
    assert stages_run(dvc(study, "repro", "embed")) == ["preflight", "embed"]
    dvc(study, "repro")
    assert not stale_stages(study)

    # In a copy of the project, as a queued experiment: the same checksums, of the same database.
    commit_all(study)
    (study / ".dvc/tmp/checksums.db").unlink()
    ran = stages_run(dvc(study, "exp", "run", "--temp", "-S", "classify.confidence=0.5"))
    assert ran[0] == "preflight"
    assert set(ran[1:]) == {"classify", "draw_classify", "headline"}
    assert (study / ".dvc/tmp/checksums.db").exists()
    assert not git(study, "status", "--porcelain")

    # What preflight refuses, nothing runs for; nothing is lost.
    refused = run(study, "dvc", "exp", "run", "-S", "angles.rank=100")
    assert "angles.rank: 100 is more than the 9 dimensions" in refused.stderr
    assert stages_run(refused.stdout) == ["preflight"]
