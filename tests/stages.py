"""Stages on the files of a folder instead of the project's."""

import json
from pathlib import Path

import click
from click.testing import CliRunner, Result

from stages.angles import angles
from stages.classify import classify
from stages.distances import distances
from stages.persistence import persistence
from tests.study import ROOT

PARAMS = ["--params", str(ROOT / "params.yaml")]

# Settings of fetch for small data sets.
FETCH = {
    "source": "textures",
    "seed": 0,
    "image_size": 32,
    "split": 1,
    "classes": [],
    "images_per_class": None,
}


def paths(command: click.Command, folder: Path) -> list[str]:
    """The options that let a stage read and write in `folder` what else lies in the project."""
    return [
        part
        for option in command.params
        if "/" in str(option.default)
        for part in (option.opts[0], str(folder / option.default))
    ]


def invoke(command: click.Command, folder: Path, *options: str) -> Result:
    """Run a stage with the project's params on the files of a folder."""
    return CliRunner().invoke(command, [*PARAMS, *paths(command, folder), *options])


def write_fetch_params(folder: Path, **given: object) -> None:
    """Write params.yaml with the settings of fetch alone, `given` in place of those of FETCH."""
    (folder / "params.yaml").write_text(json.dumps({"fetch": FETCH | given}))


def run_computing_stages(folder: Path, *of_persistence: str) -> None:
    """Compute from small embeddings in `folder` all that the claims read."""
    for command, *options in (
        (angles, "--rank", "2"),
        (persistence, "--points-overall", "12", *of_persistence),
        (distances,),
        (classify, "--knn-neighbours", "3"),
    ):
        done = invoke(command, folder, *options)
        assert done.exit_code == 0, done.output
