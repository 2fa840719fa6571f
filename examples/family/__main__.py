"""Make the family: train its encoders, then run every experiment that is missing.

    python -m examples.family
    python -m examples.family --photographs FOLDER

README.md beside this file says what it makes and how long that takes.
"""

import time
from pathlib import Path

import click

from examples.family.encoders import TRAININGS, train_encoders
from examples.family.project import experiments, prepare, run_experiment
from examples.family.runs import NOISES, list_runs, models
from stages.core.runtime.command import path_option, refusing
from stages.core.runtime.errors import StudyError
from stages.core.runtime.progress import progress
from stages.core.runtime.wording import count

NAME = "family"
TARGET = "headline"  # and what it needs: no pictures, no layouts of all images, no loops
TRAINED = [name for training in TRAININGS for name in training.kept]


@click.command(name=NAME, context_settings={"show_default": True})
@path_option("--photographs", None, "Folder with images/<class>/*, to run all on these too.")
@path_option("--out", NAME, "Where encoders, logs and a copy of the project go.")
@click.option(
    "--encoder",
    "names",
    type=click.Choice(list(models(TRAINED, Path()))),
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
    metavar="KEY=VALUE",
    multiple=True,
    help="A param for all runs that are missing, as in 'dvc exp run'; may be repeated.",
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
        require_places(out, photographs)
        encoders = {
            name: model
            for name, model in models(TRAINED, out / "encoders").items()
            if name in names or not names
        }
        train_encoders(out, encoders.keys())
        copy = out / "project"
        prepare(copy, out / "encoders")
        runs = list_runs(encoders, noises or list(NOISES), photographs)
        there = experiments()
        missing = [run for run in runs if run.name not in there]
        click.echo(f"{count(len(runs), 'run')}, {len(runs) - len(missing)} there already")
        failed = []
        for run in (bar := progress(missing, "runs")):
            settings = [*(f"{key}={value}" for key, value in run.settings.items()), *more]
            log = out / "logs" / f"{run.name}.log"
            start = time.monotonic()
            if run_experiment(copy, run.name, settings, TARGET, log):
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


def require_places(out: Path, photographs: Path | None) -> None:
    """Raise StudyError where this is no clone, `out` lies outside of it, or no images are there."""
    if not Path("dvc.yaml").is_file():
        raise StudyError("dvc.yaml not found; run this in a clone of the project")
    if out.is_absolute() or ".." in out.parts:
        raise StudyError(f"--out: {out} lies outside of the project; give a folder within it")
    if photographs and not (photographs / "images").is_dir():
        raise StudyError(f"--photographs: {photographs} has no folder images; give one that has")


if __name__ == "__main__":
    family()
