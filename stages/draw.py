"""Draw what a stage found: its pictures, and the tables that DVC draws and git need not hold.

A picture is a function of the tables that its stage wrote, in the module of stages/core/figures
that is named after the stage. Drawn anew, it changes no number.
"""

from importlib import import_module
from pathlib import Path

import click

from stages.core.runtime.command import path_option, refusing
from stages.core.runtime.files import whole_files

# What the pictures of a stage are drawn from.
SOURCES = {
    "fetch": "data/images",
    "pretrain": "data/model_similarities.parquet",
    "embed": "data/samples",
    "project": "data/project",
    "angles": "data/angles",
    "persistence": "data/diagrams",
    "classify": "data/classify",
    "claims": "data/claims",
}


@click.command(context_settings={"show_default": True})
@click.argument("stage", type=click.Choice(list(SOURCES)))
@path_option("--data", None, "What the stage wrote.  [default: as in dvc.yaml]")
@path_option("--plots", "plots/drawn", "In which folder a folder of the stage's name goes.")
def draw(stage: str, data: Path | None, plots: Path) -> None:
    """Draw the pictures of STAGE from what it wrote."""
    with refusing(f"draw {stage}"):
        figures = import_module(f"stages.core.figures.{stage}")
        with whole_files(plots / stage) as folder:
            figures.draw(data or Path(SOURCES[stage]), folder)


if __name__ == "__main__":
    draw()
