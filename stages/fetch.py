"""Fetch: a data set, generated, downloaded or from a folder, in the layout of DTD.

| output | holds |
| --- | --- |
| data/images | images or features, label files and imdb.mat; see stages/core/dataset |
| data/images.csv | the index: id, class and split of every image |
| data/downloads | archives that were downloaded, which DVC does not know |
| .dvc/tmp/images | what has been seen of the images of folders, to go on with after a kill |
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

import click

from stages.core.dataset.layout import write_layout
from stages.core.dataset.reading import some
from stages.core.dataset.sources import SOURCES, Fetched, Places
from stages.core.dataset.summary import identical_images, split_counts, summary
from stages.core.runtime.checksums import outside_experiments
from stages.core.runtime.command import path_option, stage
from stages.core.runtime.errors import StudyError
from stages.core.runtime.files import (
    beside,
    require_file_or_nothing,
    resolved,
    whole_folder,
    write_csv,
    write_json,
)
from stages.core.runtime.wording import classes_of, count
from stages.settings.fetch import FetchParams


@stage(FetchParams)
@path_option("--images", "data/images", "Where the data set goes.")
@path_option("--index", "data/images.csv", "Where the index (id, class, split) goes.")
@path_option("--downloads", "data/downloads", "Where downloaded archives are kept.")
@path_option("--known", ".dvc/tmp/images", "Where it is noted what is known of single images.")
@path_option("--metrics", "metrics/fetch.json", "Where the metrics go.")
def fetch(
    params: FetchParams, images: Path, index: Path, downloads: Path, known: Path, metrics: Path
) -> None:
    """Put a data set in the layout of the Describable Textures Dataset (DTD)."""
    require_places(images, index, downloads, known, metrics)
    copies = beside(resolved(images), "copies")
    with whole_folder(images, "fetch") as folder:
        places = Places(folder, images, copies, downloads, outside_experiments(known))
        fetched = SOURCES[params.kind](params, places)
        layout = fetched.layout
        write_layout(layout, folder)
        table = layout.index(params.split)
        identical = identical_images(table, fetched.seen.digests)
        kind = "features" if fetched.of_features else params.kind
        write_csv(index, table)
        write_json(
            metrics, summary(kind, params.split, layout, fetched.seen, identical, fetched.tally)
        )
        if fetched.images is not None:  # last, so that what goes wrong before costs no copy
            shutil.move(fetched.images, folder / "images")
    shutil.rmtree(copies, ignore_errors=True)  # of a broken-off run with another kind of source

    sizes = ", ".join(f"{n:,} {split}" for split, n in split_counts(table).items())
    click.echo(
        f"{images}: {count(len(table), 'image')} of {classes_of(len(layout.classes))} ({kind}), "
        f"split {params.split}: {sizes}"
    )
    for line in remarks(fetched, identical):
        click.echo(line)


def require_places(images: Path, index: Path, downloads: Path, known: Path, metrics: Path) -> None:
    """Raise StudyError for outputs that could not be written, or would be lost, at the end."""
    for file in (index, metrics):
        require_file_or_nothing(file)
    for path in (index, downloads, known, metrics):
        if resolved(path).is_relative_to(resolved(images)):
            raise StudyError(
                f"{path}: lies in {images}, which is replaced as a whole; give another place"
            )


def remarks(fetched: Fetched, identical: Mapping[str, int]) -> list[str]:
    """What a user should know of a data set that is none the less in order, a line each."""
    lines = []
    if fetched.known:
        lines.append(f"looked at by an earlier run: {count(fetched.known, 'image')}")
    if fetched.skipped:
        lines.append(f"passed over, as hidden or left by systems: {some(fetched.skipped)}")
    if any(identical.values()):
        counts = (f"{n:,} {key.replace('_', ' ')}" for key, n in identical.items() if n)
        lines.append(f"identical images: {', '.join(counts)}; accuracy may owe to them")
    if fetched.tally.faults:
        faults = [f"{Path(fault.where).name}: {fault.what}" for fault in fetched.tally.faults]
        cases = count(sum(fetched.tally.counts.values()), "case")
        lines.append(f"the release disagrees with itself in {cases}: {some(faults, 3)}")
    return lines


if __name__ == "__main__":
    fetch()
