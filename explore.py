"""Look at a finished study: write a page that shows its images and classes to explorer/.

| output | holds |
| --- | --- |
| explorer/index.html | the page; it opens from a disk, with no network |
| explorer/ | what it shows, beside it |
| explorer/layouts.parquet | where every image lies, kept for the next time, with sheets/ |

What a study lacks, such as images or noise, is left out, and the page says so.
"""

from pathlib import Path

import click

from stages.core.artifacts.embeddings import Embeddings, read_embeddings
from stages.core.explorer.groups import groups_of, scale
from stages.core.explorer.points import answers, drifts, layouts_of_all, places, write_layouts
from stages.core.explorer.site import about_images, title_of, write_data, write_page
from stages.core.explorer.thumbnails import SHEETS, why_none, write_thumbnails
from stages.core.geometry.layouts import METHODS
from stages.core.runtime.command import params_option, path_option, refusing
from stages.core.runtime.errors import StudyError
from stages.core.runtime.files import require_replaceable, whole_folder
from stages.core.runtime.params import read_params
from stages.settings.project import ProjectParams

NAME = "explore"
LAYOUTS = "layouts.parquet"


@click.command(name=NAME, context_settings={"show_default": True})
@params_option("File whose section 'project' says how images are laid out.")
@path_option("--data", "data", "What the stages handed on.")
@path_option("--page", "explorer", "Where the page goes.")
@click.option(
    "--method",
    "methods",
    type=click.Choice(list(METHODS)),
    multiple=True,
    default=list(METHODS),
    help="By which images are laid out; may be repeated. t-SNE takes the longest.",
)
def explore(params_file: Path, data: Path, page: Path, methods: tuple[str, ...]) -> None:
    """Write a page on which to look at a finished study."""
    with refusing(NAME):
        require_replaceable(page, NAME)  # before the minutes that the layouts take
        params = read_params(ProjectParams, params_file)
        study = read_embeddings(data / "embeddings")
        answered = answers(study, data / "classify" / "predictions.parquet")
        groups, missing = groups_of(study, data)
        if answered is None:
            missing["answers"] = f"{data}/classify is not there; run 'dvc repro classify'"
        click.echo(f"laying out {len(study.images):,} images, unless that was done already")
        layouts, about = layouts_of_all(study, params, methods, page / LAYOUTS)
        with whole_folder(page, NAME) as folder:
            write_layouts(folder / LAYOUTS, layouts, about)
            sheets, why = thumbnails(study, data, page, folder)
            if why:
                missing["thumbnails"] = why
            shown = {
                **about_images(study),
                "title": title_of(study),
                "places": places(layouts, study.classes),
                "drift": drifts(study),
                "answers": answered,
                "sheets": sheets,
                "missing": missing,
                "scale": scale(data / "diagrams" / "diagrams.parquet"),
            }
            write_data(folder, "points", shown)
            write_data(folder, "groups", groups)
            write_page(folder, title_of(study))
            size_mb = sum(file.stat().st_size for file in folder.rglob("*.*")) / 1e6
    for what in dict.fromkeys(missing.values()):
        click.echo(f"left out: {what}")
    click.echo(f"{page}/index.html: {title_of(study)}; {size_mb:.0f} MB with what lies beside it")


def thumbnails(
    study: Embeddings, data: Path, page: Path, folder: Path
) -> tuple[dict | None, str | None]:
    """How the sheets of thumbnails are laid out, or else why there are none."""
    images = data / "images"
    if why := why_none(study, images):
        return None, why
    try:
        kept = page / SHEETS
        return write_thumbnails(study, images, data / "model", kept, folder / SHEETS), None
    except StudyError as error:
        return None, f"The images cannot be prepared as they were: {error}"


if __name__ == "__main__":
    explore()
