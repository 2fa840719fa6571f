"""A study that is pushed to a remote and pulled into a fresh clone."""

import os
import shutil
import sys
from pathlib import Path

import pytest
import yaml

from tests.study import commit_all, dvc, git, metrics, run, stages_run, stale_stages

pytestmark = pytest.mark.slow

TABLE = "plots/drawn/classify/confusion_clean.csv"

# Every file of a cache or of a folder remote is named by the MD5 of what it holds. The README
# gives this command: DVC itself trusts a cached file that nobody seems to have written to.
CHECK = (
    r"find {} -type f | sed -E 's|(.*/(..)/([0-9a-f]{{30}}).*)|\2\3  \1|'"
    " | md5sum --check --quiet"
)


@pytest.fixture
def pushed(tiny_study: Path, tmp_path: Path) -> Path:
    """A committed copy of the small study, pushed to the folder `remote` beside it."""
    study = shutil.copytree(tiny_study, tmp_path / "study")
    dvc(study, "remote", "add", "--default", "storage", str(tmp_path / "remote"))
    dvc(study, "remote", "modify", "storage", "verify", "true")
    commit_all(study)
    assert "files pushed" in dvc(study, "push")
    return study


def fresh_clone(study: Path) -> Path:
    target = study.with_name("clone")
    git(study.parent, "clone", "--quiet", str(study), str(target))
    return target


def place_in_cache(study: Path, path: str) -> Path:
    """Where a file of the study lies within a DVC cache."""
    lock = yaml.safe_load((study / "dvc.lock").read_text())
    outs = [out for stage in lock["stages"].values() for out in stage["outs"]]
    digest = next(out["md5"] for out in outs if out["path"] == path)
    return Path("files", "md5", digest[:2], digest[2:])


def rot(file: Path) -> None:
    """Change a byte as a failing disk does: neither the time of change nor the mode tells."""
    before = file.stat()
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 255
    file.chmod(0o644)
    file.write_bytes(data)
    file.chmod(before.st_mode)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_fresh_clone_pulls_everything_and_computes_nothing(pushed: Path) -> None:
    clone = fresh_clone(pushed)
    assert f"A       {TABLE}" in dvc(clone, "pull")
    assert not stale_stages(clone)
    assert "in sync" in dvc(clone, "status", "--cloud")
    printed = dvc(clone, "repro")
    assert stages_run(printed) == ["preflight"]
    assert "Stage 'classify' didn't change, skipping" in printed
    assert metrics(clone) == metrics(pushed)
    assert (clone / TABLE).read_bytes() == (pushed / TABLE).read_bytes()
    assert not git(clone, "status", "--porcelain")


def test_a_file_damaged_in_the_remote_is_named_and_not_put_into_place(pushed: Path) -> None:
    stored = pushed.with_name("remote") / place_in_cache(pushed, TABLE)
    rot(stored)
    clone = fresh_clone(pushed)
    pulled = run(clone, sys.executable, "-m", "dvc", "pull")
    assert pulled.returncode != 0
    assert TABLE in pulled.stderr
    assert not (clone / TABLE).exists()

    # Who still has the file sends it again, once the damaged one is out of the way.
    stored.unlink()
    assert "1 file pushed" in dvc(pushed, "push")
    dvc(clone, "pull")
    assert (clone / TABLE).read_bytes() == (pushed / TABLE).read_bytes()
    assert not stale_stages(clone)


def test_a_file_damaged_in_the_cache_is_named(pushed: Path) -> None:
    cached = pushed / ".dvc" / "cache" / place_in_cache(pushed, TABLE)
    cached.chmod(0o644)
    cached.write_bytes(cached.read_bytes()[:-100])
    assert f"not in cache:       {TABLE}" in dvc(pushed, "status")
    (pushed / TABLE).unlink()
    assert f"A       {TABLE}" in dvc(pushed, "pull")
    assert not stale_stages(pushed)


def test_a_file_that_rots_in_the_cache_is_named_by_its_checksum(pushed: Path) -> None:
    check = CHECK.format(".dvc/cache/files/md5")
    assert run(pushed, "sh", "-c", check).returncode == 0
    cached = ".dvc/cache" / place_in_cache(pushed, TABLE)
    rot(pushed / cached)
    found = run(pushed, "sh", "-c", check)
    assert found.returncode != 0
    assert found.stdout == f"{cached}: FAILED\n"
