"""The whole study in a clone of its own, small enough for a test."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]

TINY = {
    "fetch.classes": "[banded,chequered,dotted,striped]",
    "fetch.images_per_class": "9",
    "fetch.image_size": "64",
    "embed.noise_levels": "[0.0,1.0]",
    "project.images_per_class": "9",
    "project.perplexity": "5",
    "project.umap_neighbours": "5",
    "project.purity_neighbours": "3",
    "angles.rank": "3",
    "persistence.points_overall": "20",
    "classify.knn_neighbours": "[1,3]",
}


def settings(values: dict[str, str]) -> list[str]:
    """The arguments by which `dvc exp run` sets params."""
    return [part for key, value in values.items() for part in ("-S", f"{key}={value}")]


def environment(folder: Path) -> dict[str, str]:
    """This process's environment with its own interpreter first, and a state of DVC's own."""
    name = {f"GIT_{who}_NAME": "test" for who in ("AUTHOR", "COMMITTER")}
    email = {f"GIT_{who}_EMAIL": "test@localhost" for who in ("AUTHOR", "COMMITTER")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    state = {"DVC_SITE_CACHE_DIR": str(folder.parent / f"{folder.name}.state")}
    return os.environ | name | email | state | {"PATH": path}


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder; what it prints is in `stdout` and `stderr`."""
    return subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True
    )


@contextmanager
def started(folder: Path, *command: str) -> Iterator[tuple[psutil.Popen, Path]]:
    """Start a command in a folder; give its process, and a file with what it prints.

    It leads a group of processes and hears Ctrl-C, as in a terminal, even where the tests run
    in the background and do not. At the end it is killed, with all that it started.
    """
    printed = folder.with_name(f"{folder.name}.printed")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with printed.open("wb") as out:
            process = psutil.Popen(
                command,
                cwd=folder,
                env=environment(folder),
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        yield process, printed
    finally:
        for each in family(process):
            each.kill()
        process.wait()


def family(process: psutil.Process) -> list[psutil.Process]:
    """The process and all that it started, directly or not."""
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder, which must succeed; return what it prints."""
    done = run(folder, "git", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def dvc(folder: Path, *arguments: str) -> str:
    """Run dvc in a folder, which must succeed; return what it prints."""
    done = run(folder, sys.executable, "-m", "dvc", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def stages_run(printed: str) -> list[str]:
    """The stages that 'dvc repro' or 'dvc exp run' says to have run, in order.

    The first one, preflight, always does.
    """
    return re.findall(r"Running stage '(\w+)'", printed)


def stale_stages(folder: Path) -> set[str]:
    """The stages of which 'dvc status' tells more than that they are declared to run always."""
    status = json.loads(dvc(folder, "status", "--json"))
    return {stage for stage, entries in status.items() if entries != ["always changed"]}


def copy_of_the_working_tree(target: Path) -> Path:
    """The project as it stands, changes that are not committed included, in a new repository."""
    for name in git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    git(target, "init", "--quiet")
    return target


def commit_all(folder: Path) -> None:
    """Commit everything that git does not ignore."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "State")


def metrics(folder: Path) -> dict[str, bytes]:
    """{file name: bytes} of the metrics of every stage."""
    return {file.name: file.read_bytes() for file in (folder / "metrics").glob("*.json")}
