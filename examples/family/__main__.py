"""Make the family: train its encoders, then run every experiment that is missing.

    python -m examples.family
    python -m examples.family --photographs FOLDER

README.md beside this file says what it makes and how long that takes.
"""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from dvc.repo import Repo

from examples.family.encoders import TRAININGS, train_encoders
from examples.family.runs import NOISES, Run, encoders_of, list_runs
from stages.core.runtime.command import path_option, refusing
from stages.core.runtime.errors import StudyError
from stages.core.runtime.progress import progress
from stages.core.runtime.wording import count

NAME = "family"
MARKER = "running"  # in `out`, while runs change the workspace
TARGET = "headline"  # and what it needs: no pictures, layouts or loops
TRAINED = [name for training in TRAININGS for name in training.kept]


@click.command(name=NAME, context_settings={"show_default": True})
@path_option("--photographs", None, "Folder with images/<class>/*, to run all on these too.")
@path_option("--out", NAME, "Where the encoders and the logs of the runs go.")
@click.option(
    "--encoder",
    "names",
    type=click.Choice([encoder.name for encoder in encoders_of(TRAINED, Path())]),
    multiple=True,
    help="Leave the others out; may be repeated.",
)
@click.option(
    "--noise",
    "noises",
    type=click.Choice(list(NOISES)),
    multiple=True,
    help="Leave the others out; may be repeated.",
)
@click.option(
    "-S",
    "--set-param",
    "more",
    multiple=True,
    metavar="KEY=VALUE",
    help="A param of all runs, as of 'dvc exp run'; may be repeated.",
)
def family(
    photographs: Path | None,
    out: Path,
    names: tuple[str, ...],
    noises: tuple[str, ...],
    more: tuple[str, ...],
) -> None:
    """Train the encoders and run the experiments of the family, as far as they are missing."""
    with refusing(NAME):
        require_place(out, photographs)
        require_clean(out)
        encoders = [
            encoder
            for encoder in encoders_of(TRAINED, out / "encoders")
            if encoder.name in (names or [encoder.name])
        ]
        train_encoders(out, {encoder.name for encoder in encoders})
        runs = list_runs(encoders, noises or list(NOISES), photographs)
        there = experiments()
        missing = [run for run in runs if run.name not in there]
        click.echo(f"{count(len(runs), 'run')}, {len(runs) - len(missing)} there already")
        failed = []
        with lent(out):
            for run in (bar := progress(missing, "runs")):
                start = time.monotonic()
                log = out / "logs" / f"{run.name}.log"
                if carry_out(run, log, more):
                    bar.write(f"{run.name}: {time.monotonic() - start:.0f} s")
                else:
                    bar.write(f"{run.name}: failed, see {log}")
                    failed.append(run.name)
        if failed:
            raise StudyError(
                f"{len(failed)} of {count(len(runs), 'run')} failed: {', '.join(failed)}; mend "
                f"what {out}/logs names, and run this again"
            )
        click.echo("done; now: python -m across")


def require_place(out: Path, photographs: Path | None) -> None:
    """Raise StudyError where the experiments would not find the encoders, or there is no folder."""
    if not Path("dvc.yaml").is_file():
        raise StudyError("dvc.yaml not found; run this in a clone of the project")
    if out.is_absolute() or ".." in out.parts:
        raise StudyError(f"--out: {out} lies outside of the project; give a folder within it")
    if photographs and not (photographs / "images").is_dir():
        raise StudyError(f"--photographs: {photographs} has no folder images; give one that has")


def require_clean(out: Path) -> None:
    """Raise StudyError where the workspace has changes, which the runs would overwrite.

    Those that a killed queue has left, of which its marker tells, are put back.
    """
    if (out / MARKER).exists():
        put_back()
        (out / MARKER).unlink()
    changed = printed("git", "status", "--porcelain", "--untracked-files=no").splitlines()
    if changed:
        raise StudyError(
            f"{changed[0][3:]} is changed, and runs would overwrite it; commit or stash it first"
        )


@contextmanager
def lent(out: Path) -> Iterator[None]:
    """Let runs change the workspace, which is put back as the last commit has it at the end.

    There DVC skips what is as in the run before, such as the images. In copies of the project it
    would make them each time: its cache of runs keeps no stage with metrics that git holds.
    """
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER).touch()
    try:
        yield
    finally:
        put_back()
        (out / MARKER).unlink()


def put_back() -> None:
    """Check out the last commit, and of its outputs those that the cache holds."""
    printed("git", "checkout", "--quiet", "--", ".")
    printed(sys.executable, "-m", "dvc", "checkout", "--quiet", "--force", "--allow-missing")


def printed(*command: str) -> str:
    """What a command prints; raises StudyError with its first line of errors where it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise StudyError(f"{' '.join(command[:2])}: {done.stderr.strip().splitlines()[0]}")
    return done.stdout


def experiments() -> set[str]:
    """The names of the experiments of the last commit."""
    with Repo() as repo:
        return {name for of_commit in repo.experiments.ls().values() for name, _ in of_commit}


def carry_out(run: Run, log: Path, more: Sequence[str]) -> bool:
    """Run an experiment in the workspace; whether it succeeded.

    log: where what DVC and the stages print goes. more: settings that come after those of the run.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    settings = [*(f"{key}={value}" for key, value in run.settings.items()), *more]
    command = [
        *(sys.executable, "-m", "dvc", "exp", "run", "--name", run.name),
        *(part for setting in settings for part in ("-S", setting)),
        TARGET,
    ]
    with log.open("w") as printed:
        process = subprocess.Popen(command, stdout=printed, stderr=subprocess.STDOUT)
        try:
            return process.wait() == 0
        finally:
            process.wait()  # it hears Ctrl-C too, and takes its copy of the project away


if __name__ == "__main__":
    family()
