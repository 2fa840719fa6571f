"""Stages on the files of a folder instead of the project's."""

from pathlib import Path

import click
from click.testing import CliRunner, Result

from tests.study import ROOT

PARAMS = ["--params", str(ROOT / "params.yaml")]


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
