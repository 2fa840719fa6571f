"""Make the family: train its encoders, then run every experiment that is missing.

    python -m examples.family
    python -m examples.family --photographs FOLDER

README.md beside this file says what it makes and how long that takes.
"""

import subprocess
import sys
import time
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
TARGET = "headline"  # and what it needs: no pictures, layouts or loops


@click.command(name=NAME, context_settings={"show_default": True})
@path_option("--photographs", None, "Folder with images/<class>/*, to run all on these too.")
@path_option("--out", NAME, "Where the encoders and the logs of the runs go.")
@click.option(
    "--noise",
    "noises",
    type=click.Choice(list(NOISES)),
    multiple=True,
    default=list(NOISES),
    help="Kind of noise; may be repeated.",
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
    photographs: Path | None, out: Path, noises: tuple[str, ...], more: tuple[str, ...]
) -> None:
    """Train the encoders and run the experiments of the family, as far as they are missing."""
    with refusing(NAME):
        require_place(out, photographs)
        train_encoders(out / "encoders", out / "checkpoints", TRAININGS)
        trained = [name for training in TRAININGS for name in training.kept]
        runs = list_runs(encoders_of(trained, out / "encoders"), noises, photographs)
        there = experiments()
        missing = [run for run in runs if run.name not in there]
        click.echo(f"{count(len(runs), 'run')}, {len(runs) - len(missing)} of them there")
        failed = [run for run in progress(missing, "runs") if not carry_out(run, out, more)]
        for run in failed:
            click.echo(f"{run.name} failed: {log_of(run, out)}", err=True)
        click.echo("now: python -m across")
        if failed:
            raise StudyError(
                f"{count(len(failed), 'run')} of {len(runs)} failed; see their logs, then run this "
                "again"
            )


def require_place(out: Path, photographs: Path | None) -> None:
    """Raise StudyError where the experiments would not find the encoders, or there is no folder."""
    if not Path("dvc.yaml").is_file():
        raise StudyError("dvc.yaml not found; run this in a clone of the project")
    if out.is_absolute() or ".." in out.parts:
        raise StudyError(f"--out: {out} lies outside of the project; give a folder within it")
    if photographs and not (photographs / "images").is_dir():
        raise StudyError(f"--photographs: {photographs} has no folder images; give one that has")


def experiments() -> set[str]:
    """The names of the experiments of the last commit."""
    with Repo() as repo:
        return {name for of_commit in repo.experiments.ls().values() for name, _ in of_commit}


def carry_out(run: Run, out: Path, more: tuple[str, ...]) -> bool:
    """Run an experiment in a copy of the project; whether it succeeded is said and returned.

    more: settings of the user's, which come after those of the run.
    """
    log = log_of(run, out)
    log.parent.mkdir(parents=True, exist_ok=True)
    settings = [f"{key}={value}" for key, value in run.settings.items()] + list(more)
    start = time.monotonic()
    with log.open("w") as printed:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "dvc", "exp", "run", "--temp", "--name", run.name),
                *(part for setting in settings for part in ("-S", setting)),
                *(("--copy-paths", str(run.copied)) if run.copied else ()),
                TARGET,
            ],
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
    ending = f"{time.monotonic() - start:.0f} s" if done.returncode == 0 else "failed"
    click.echo(f"{run.name}: {ending}")
    return done.returncode == 0


def log_of(run: Run, out: Path) -> Path:
    """Where what DVC and the stages print goes."""
    return out / "logs" / f"{run.name}.log"


if __name__ == "__main__":
    family()
