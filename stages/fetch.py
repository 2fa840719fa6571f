"""Fetch: a data set, painted, downloaded or from a folder, in the layout of DTD."""

import math
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from stages.command import path_option, stage
from stages.core.choice import choose, source_folder
from stages.core.dataset.images import CONVERSIONS, UnreadableImage, decode, read_image
from stages.core.dataset.layout import (
    ANNOTATIONS,
    SPLITS,
    Layout,
    class_of,
    read_layout,
    stratified_splits,
    write_layout,
)
from stages.core.dataset.release import extract, obtain, official_release, require_complete
from stages.core.errors import StudyError
from stages.core.expected import PAINTED_PER_CLASS, chosen_classes
from stages.core.figures import new_figure, save_figure
from stages.core.files import whole_files, whole_folder, write_csv, write_json
from stages.core.painter import ATTRIBUTES, paint
from stages.core.parallel import parallel_map
from stages.core.randomness import generator_for
from stages.settings.fetch import FetchParams

JPEG_QUALITY = 92
MARK = f"labels/{ANNOTATIONS}"  # of a folder that this stage wrote
CHUNK = 20  # images to a piece of parallel work
LISTED_IMAGES = 20
THUMBNAIL_PX = 144
THUMBNAILS = 60


@stage(FetchParams)
@path_option("--images", "data/images", "Where the data set goes.")
@path_option("--index", "data/images.csv", "Where the index (id, class, split) goes.")
@path_option("--downloads", "data/downloads", "Where downloaded archives are kept.")
@path_option("--metrics", "metrics/fetch.json", "Where the metrics go.")
@path_option("--plots", "plots/fetch", "Where pictures go.")
def fetch(
    params: FetchParams, images: Path, index: Path, downloads: Path, metrics: Path, plots: Path
) -> None:
    """Put a data set in the layout of the Describable Textures Dataset (DTD)."""
    kind = params.source if params.source in ("textures", "dtd") else "folder"
    with whole_folder(images, MARK) as folder, whole_files(plots) as pictures:
        if kind == "textures":
            layout, seen = paint_textures(params, folder / "images")
        elif kind == "dtd":
            release = official_release()
            archive = obtain(release, downloads)
            source = extract(archive, folder / "archive")
            layout = read_layout(source, params.seed)
            require_complete(layout, release, archive)
            layout, seen = copy_chosen(params, layout, source, folder / "images")
            shutil.rmtree(folder / "archive")
        else:
            source = source_folder(params.source, images)
            layout = read_layout(source, params.seed)
            layout, seen = copy_chosen(params, layout, source, folder / "images")
        write_layout(layout, folder)
        table = layout.index(params.split)
        draw_contact_sheet(layout, folder / "images", kind, pictures / "contact_sheet.png")
        write_csv(index, table)
        write_json(metrics, summary(kind, params.split, layout, seen))

    sizes = ", ".join(f"{count:,} {split}" for split, count in split_counts(table).items())
    click.echo(
        f"{images}: {len(table):,} images of {len(layout.classes)} classes ({kind}), "
        f"split {params.split}: {sizes}"
    )


# Sources


@dataclass(frozen=True)
class Seen:
    """What was met when images were read or painted: sides in pixels, conversions to RGB."""

    smallest_side_px: int
    largest_side_px: int
    conversions: Counter


def paint_textures(
    params: FetchParams, folder: Path, workers: int | None = None
) -> tuple[Layout, Seen]:
    """Paint the data set into folder/<class>/; the same bytes for any number of workers."""
    classes = chosen_classes(params.classes, ATTRIBUTES)
    count = params.images_per_class or PAINTED_PER_CLASS
    ids = [f"{name}/{name}_{i:04d}.jpg" for name in classes for i in range(1, count + 1)]
    _make_class_folders(folder, classes)
    paint_some = partial(_paint_some, folder, params.seed, params.image_size)
    parallel_map(paint_some, _chunks(ids), "paint", workers)
    layout = Layout(stratified_splits(ids, params.seed), {name: [class_of(name)] for name in ids})
    return layout, Seen(params.image_size, params.image_size, Counter())


def _paint_some(folder: Path, seed: int, size: int, ids: Sequence[str]) -> None:
    for name in ids:
        number = int(Path(name).stem.rpartition("_")[2])
        painting = paint(class_of(name), generator_for(seed, "fetch", class_of(name), number), size)
        Image.fromarray(painting.pixels).save(folder / name, quality=JPEG_QUALITY)


def copy_chosen(
    params: FetchParams, layout: Layout, source: Path, folder: Path, workers: int | None = None
) -> tuple[Layout, Seen]:
    """Choose images as params say, decode each fully and copy it, bytes unchanged, to `folder`.

    Raises StudyError that lists all the images that cannot be read.
    """
    layout = choose(layout, params, source)
    _make_class_folders(folder, layout.classes)
    copy_some = partial(_copy_some, source / "images", folder)
    pieces = parallel_map(copy_some, _chunks(layout.ids), "check and copy", workers)
    unreadable = [fault for _, faults in pieces for fault in faults]
    if unreadable:
        raise StudyError(_list_of_unreadable(source / "images", unreadable))
    seen = [seen for seen, _ in pieces]
    return layout, Seen(
        min(piece.smallest_side_px for piece in seen),
        max(piece.largest_side_px for piece in seen),
        sum((piece.conversions for piece in seen), Counter()),
    )


def _copy_some(source: Path, target: Path, ids: Sequence[str]) -> tuple[Seen, list[str]]:
    """Copy some images; return what was seen and `<id> (<why it cannot be read>)` for the bad."""
    sides, conversions, faults = [], Counter(), []
    for name in ids:
        data = (source / name).read_bytes()
        try:
            image, converted = decode(data)
        except UnreadableImage as error:
            faults.append(f"{name} ({error})")
            continue
        sides += image.size
        conversions.update(converted)
        (target / name).write_bytes(data)
    return Seen(min(sides, default=0), max(sides, default=0), conversions), faults


def _list_of_unreadable(folder: Path, faults: Sequence[str]) -> str:
    more = len(faults) - LISTED_IMAGES
    listed = "; ".join(faults[:LISTED_IMAGES]) + (f"; and {more:,} more" if more > 0 else "")
    count = f"{len(faults):,} images" if len(faults) > 1 else "1 image"
    return f"{folder}: {count} cannot be read: {listed}. Repair or remove them"


def _make_class_folders(folder: Path, classes: Sequence[str]) -> None:
    for name in classes:
        (folder / name).mkdir(parents=True)


def _chunks(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK)]


# Results


def summary(kind: str, number: int, layout: Layout, seen: Seen) -> dict:
    """The metrics of a data set, with `number` the split in use."""
    per_class = Counter(class_of(name) for name in layout.ids)
    attributes = sum(len(words) for words in layout.attributes.values())
    return {
        "source": kind,
        "classes": len(layout.classes),
        "images": len(layout.ids),
        "images_per_class": {"fewest": min(per_class.values()), "most": max(per_class.values())},
        "split": number,
        **split_counts(layout.index(number)),
        "attributes_per_image": round(attributes / len(layout.ids), 4),
        "smallest_side_px": seen.smallest_side_px,
        "largest_side_px": seen.largest_side_px,
        "converted": {name: seen.conversions[name] for name in CONVERSIONS},
    }


def split_counts(index: pd.DataFrame) -> dict[str, int]:
    """{split: number of images} of an index."""
    return {split: int((index["split"] == split).sum()) for split in SPLITS}


def draw_contact_sheet(layout: Layout, folder: Path, kind: str, file: Path) -> None:
    """Draw the first image of each class, its middle square, with the class as its title."""
    first = {class_of(name): name for name in reversed(layout.ids)}
    shown = layout.classes[:THUMBNAILS]
    columns = min(8, len(shown))
    rows = math.ceil(len(shown) / columns)
    figure, axes = new_figure(1.2 * columns + 0.2, 1.4 * rows + 0.5, rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, name in zip(axes.flat, shown, strict=False):
        square = ImageOps.fit(read_image(folder / first[name]), (THUMBNAIL_PX, THUMBNAIL_PX))
        axis.imshow(np.asarray(square))
        axis.set_title(name, fontsize=9, pad=2)
    source = {"textures": "painted textures", "dtd": "DTD r1.0.1", "folder": "own images"}[kind]
    of_classes = (
        f"{len(shown)} of {len(layout.classes)}" if len(layout.classes) > len(shown) else len(shown)
    )
    figure.suptitle(
        f"One image of each class: {of_classes} classes, {len(layout.ids):,} images ({source})"
    )
    save_figure(figure, file)


if __name__ == "__main__":
    fetch()
