"""A copy of the project, in which experiments run one after the other.

The workspace stays as it is, as with `dvc exp run --temp`; but all runs use one copy, so that a
stage whose inputs are those of the run before does not run again. DVC's cache of runs would not do:
it leaves out every stage of which git holds a metric.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from dvc.repo import Repo

from stages.core.runtime.errors import StudyError, one_line

HERE = Path()
LOCAL_CONFIG = Path(".dvc/config.local")


def prepare(copy: Path, encoders: Path) -> None:
    """Bring the copy to the last commit, with DVC's cache of this project and its encoders.

    encoders: their folder, which has the same name, relative to the project, in the copy. Raises
    StudyError where git or DVC refuse.
    """
    head = git(HERE, "rev-parse", "HEAD")
    if not copy.exists():
        unfinished = copy.with_name(f".{copy.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        git(HERE, "clone", "--quiet", "--no-checkout", ".", str(unfinished))
        unfinished.rename(copy)
    if not (copy / "dvc.yaml").exists() or git(copy, "rev-parse", "HEAD") != head:
        git(copy, "fetch", "--quiet", "origin", head)
        git(copy, "checkout", "--quiet", "--force", "--detach", head)
    if LOCAL_CONFIG.exists():
        shutil.copy(LOCAL_CONFIG, copy / LOCAL_CONFIG)
    with Repo() as repo:
        cache = repo.cache.local_cache_dir
    command = [sys.executable, "-m", "dvc", "config", "--local", "cache.dir", cache]
    output_of(command, copy)
    link = copy / encoders
    link.parent.mkdir(parents=True, exist_ok=True)
    if not link.is_symlink():
        link.symlink_to(encoders.resolve(), target_is_directory=True)
    collect(copy)


def experiments() -> set[str]:
    """The names of the experiments of the last commit."""
    with Repo() as repo:
        return {name for found in repo.experiments.ls().values() for name, _ in found}


def run_experiment(copy: Path, name: str, settings: Sequence[str], target: str, log: Path) -> bool:
    """Run an experiment in the copy as far as the stage `target`; whether it succeeded.

    settings: <key>=<value> of params, of which the last of a key counts. log: where what DVC and
    the stages print goes. An experiment that succeeded is one of this project from then on.
    """
    git(copy, "checkout", "--quiet", "HEAD", "--", "params.yaml")  # without those of the last run
    log.parent.mkdir(parents=True, exist_ok=True)
    chosen = dict(setting.split("=", 1) for setting in settings)
    given = [part for key, value in chosen.items() for part in ("-S", f"{key}={value}")]
    command = [sys.executable, "-m", "dvc", "exp", "run", "--name", name, *given, target]
    with log.open("w") as printed:
        process = subprocess.Popen(command, cwd=copy, stdout=printed, stderr=subprocess.STDOUT)
        try:
            succeeded = process.wait() == 0
        finally:
            process.wait()  # it has heard Ctrl-C too
    if succeeded:
        collect(copy)
    return succeeded


def collect(copy: Path) -> None:
    """Take over the experiments of the last commit that the copy holds."""
    head = git(HERE, "rev-parse", "HEAD")
    of_commit = f"refs/exps/{head[:2]}/{head[2:]}"
    found = git(copy, "for-each-ref", "--format=%(refname)", of_commit).split()
    if found:
        git(HERE, "fetch", "--quiet", str(copy), *(f"{ref}:{ref}" for ref in found))
    for ref in found:
        git(copy, "update-ref", "-d", ref)


def git(folder: Path, *arguments: str) -> str:
    """What git prints in a folder; raises StudyError with its words where it refuses."""
    return output_of(["git", *arguments], folder)


def output_of(command: Sequence[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise StudyError(f"{one_line(' '.join(command))}: {one_line(done.stderr or done.stdout)}")
    return done.stdout.strip()
