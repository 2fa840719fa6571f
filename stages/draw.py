"""Draw what a stage found: its pictures, and the tables that DVC draws and git need not hold.

A picture is a function of the tables that its stage wrote, in the module of stages/core/figures
that is named after the stage. Drawn anew, it changes no number. Below each picture stands what
study it is of.
"""

from importlib import import_module
from pathlib import Path

import click

from stages.core.artifacts.embeddings import read_embeddings
from stages.core.figures.study import Study, data_set, study_of
from stages.core.runtime.command import params_option, path_option, refusing
from stages.core.runtime.files import whole_files
from stages.core.runtime.params import read_params
from stages.settings.fetch import FetchParams
from stages.settings.pretrain import PretrainParams

# What the pictures of a stage are drawn from, and what of another stage beside it.
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
BESIDE = {"persistence": "data/claims", "claims": "metrics/claims.json"}


@click.command(context_settings={"show_default": True})
@click.argument("stage", type=click.Choice(list(SOURCES)))
@params_option("File whose section 'fetch' names the data set.")
@path_option("--data", None, "What the stage wrote.  [default: as in dvc.yaml]")
@path_option("--beside", None, "What else is drawn, if anything.  [default: as in dvc.yaml]")
@path_option("--embeddings", "data/embeddings", "The embeddings that the study is of.")
@path_option("--plots", "plots/drawn", "In which folder a folder of the stage's name goes.")
def draw(
    stage: str,
    params_file: Path,
    data: Path | None,
    beside: Path | None,
    embeddings: Path,
    plots: Path,
) -> None:
    """Draw the pictures of STAGE from what it wrote."""
    with refusing(f"draw {stage}"):
        study = what_is_drawn(stage, params_file, embeddings)
        drawn = [data or Path(SOURCES[stage])]
        if stage in BESIDE:
            drawn.append(beside or Path(BESIDE[stage]))
        figures = import_module(f"stages.core.figures.{stage}")
        with whole_files(plots / stage) as folder:
            figures.draw(study, folder, *drawn)


def what_is_drawn(stage: str, params_file: Path, embeddings: Path) -> Study:
    """What the pictures of a stage are of; those of the first two know no embeddings."""
    if stage == "pretrain":
        trained = read_params(PretrainParams, params_file)
        pairs = {"textures": "generated textures", "data": "the fetched images"}[trained.source]
        return Study(f"Model: {trained.architecture}.  Data: held-out pairs of {pairs}.")
    source = read_params(FetchParams, params_file).source
    if stage == "fetch":
        return Study(f"Data: {data_set(source)}.")
    return study_of(read_embeddings(embeddings), source)


if __name__ == "__main__":
    draw()
