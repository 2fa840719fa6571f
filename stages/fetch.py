"""Fetch: a data set, painted, downloaded or from a folder, in the layout of DTD."""

import hashlib
import math
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from stages.core.dataset.images import CONVERSIONS, MOST_BYTES, decode, read_image
from stages.core.dataset.layout import (
    SPLITS,
    Layout,
    class_of,
    passed_over,
    read_layout,
    stratified_splits,
    write_layout,
)
from stages.core.dataset.preview import PAINTED_PER_CLASS, chosen_classes
from stages.core.dataset.reading import (
    Fault,
    Report,
    Tally,
    UnreadableFile,
    read_bounded,
    refuse,
    some,
)
from stages.core.dataset.release import extract, missing_of, obtain, official_release
from stages.core.dataset.selection import choose, source_folder
from stages.core.figures.style import (
    characters_without_font,
    new_figure,
    save_figure,
    short_name,
)
from stages.core.painter import ATTRIBUTES, paint
from stages.core.runtime.command import path_option, stage
from stages.core.runtime.errors import StudyError, printable
from stages.core.runtime.files import (
    require_file_or_nothing,
    resolved,
    whole_files,
    whole_folder,
    write_csv,
    write_json,
)
from stages.core.runtime.parallel import parallel_map
from stages.core.runtime.randomness import generator_for
from stages.settings.checks import require_two_classes
from stages.settings.fetch import FetchParams

JPEG_QUALITY = 92
CHUNK = 20  # images to a piece of parallel work
LISTED_IMAGES = 20
THUMBNAIL_PX = 144
THUMBNAILS = 60
SHEET_INCHES = 4.4  # wide enough for its title


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
    require_places(images, index, downloads, metrics, plots)
    tally, skipped = Tally(), []
    with whole_folder(images, "fetch") as folder, whole_files(plots) as pictures:
        if kind == "textures":
            layout, seen = paint_textures(params, folder / "images")
        elif kind == "dtd":
            release = official_release()
            archive = obtain(release, downloads)
            source = extract(archive, folder / "archive")
            layout = read_layout(source, params.seed, tally)
            tally(missing_of(layout, release, archive))
            layout, seen = copy_chosen(params, layout, source, folder / "images", report=tally)
            shutil.rmtree(folder / "archive")
        else:
            source = source_folder(params.source, images)
            layout = read_layout(source, params.seed)
            skipped = passed_over(source / "images")
            layout, seen = copy_chosen(params, layout, source, folder / "images")
        write_layout(layout, folder)
        table = layout.index(params.split)
        identical = identical_images(table, seen.digests)
        draw_contact_sheet(layout, folder / "images", kind, pictures / "contact_sheet.png")
        write_csv(index, table)
        write_json(metrics, summary(kind, params.split, layout, seen, identical, tally))

    sizes = ", ".join(f"{count:,} {split}" for split, count in split_counts(table).items())
    click.echo(
        f"{images}: {len(table):,} images of {len(layout.classes)} classes ({kind}), "
        f"split {params.split}: {sizes}"
    )
    for line in remarks(layout.classes, skipped, identical, tally):
        click.echo(line)


def require_places(images: Path, index: Path, downloads: Path, metrics: Path, plots: Path) -> None:
    """Raise StudyError for outputs that could not be written, or would be lost, at the end."""
    for file in (index, metrics):
        require_file_or_nothing(file)
    for path in (index, downloads, metrics, plots):
        if resolved(path).is_relative_to(resolved(images)):
            raise StudyError(
                f"{path}: lies in {images}, which is replaced as a whole; give another place"
            )


def remarks(
    classes: Sequence[str], skipped: Sequence[str], identical: Mapping[str, int], tally: Tally
) -> list[str]:
    """What a user should know of a data set that is none the less in order, a line each."""
    lines = []
    if skipped:
        lines.append(f"passed over, as hidden or left by systems: {some(skipped)}")
    if any(identical.values()):
        counts = (f"{count:,} {key.replace('_', ' ')}" for key, count in identical.items() if count)
        lines.append(f"identical images: {', '.join(counts)}; accuracy may owe to them")
    if tally.faults:
        faults = [f"{Path(fault.where).name}: {fault.what}" for fault in tally.faults]
        count = sum(tally.counts.values())
        lines.append(f"the release disagrees with itself in {count:,} cases: {some(faults, 3)}")
    boxes = characters_without_font(classes)
    if boxes:
        lines.append(f"boxes in pictures: no font has {some(boxes)}; install Noto Sans or such")
    return lines


# Sources


class Checked(NamedTuple):
    """An image that was read: its sides in pixels, its conversions to RGB, what it shows."""

    sides: tuple[int, int]
    conversions: tuple[str, ...]
    digest: str


@dataclass(frozen=True)
class Seen:
    """What was met when images were read or painted: sides in pixels, conversions to RGB.

    digests: {id: digest of the image's size and pixels}, the same for identical images alone.
    """

    smallest_side_px: int
    largest_side_px: int
    conversions: Counter
    digests: dict[str, str]


def paint_textures(
    params: FetchParams, folder: Path, workers: int | None = None
) -> tuple[Layout, Seen]:
    """Paint the data set into folder/<class>/; the same bytes for any number of workers."""
    classes = chosen_classes(params.classes, ATTRIBUTES)
    require_two_classes(classes, "fetch.classes")
    count = params.images_per_class or PAINTED_PER_CLASS
    ids = [f"{name}/{name}_{i:04d}.jpg" for name in classes for i in range(1, count + 1)]
    _make_class_folders(folder, classes)
    paint_some = partial(_paint_some, folder, params.seed, params.image_size)
    digests = _merged(parallel_map(paint_some, _chunks(ids), "paint", workers))
    layout = Layout(stratified_splits(ids, params.seed), {name: [class_of(name)] for name in ids})
    return layout, Seen(params.image_size, params.image_size, Counter(), digests)


def _paint_some(folder: Path, seed: int, size: int, ids: Sequence[str]) -> dict[str, str]:
    """Paint some images; return {id: digest}."""
    digests = {}
    for name in ids:
        number = int(Path(name).stem.rpartition("_")[2])
        painting = paint(class_of(name), generator_for(seed, "fetch", class_of(name), number), size)
        image = Image.fromarray(painting.pixels)
        image.save(folder / name, quality=JPEG_QUALITY)
        digests[name] = digest_of(image)
    return digests


def digest_of(image: Image.Image) -> str:
    """A digest of an image's size and pixels, whatever the bytes of its file are."""
    return hashlib.blake2b(image.tobytes(), digest_size=16, key=b"%dx%d" % image.size).hexdigest()


def _merged(pieces: Sequence[dict]) -> dict:
    return {key: value for piece in pieces for key, value in piece.items()}


def copy_chosen(
    params: FetchParams,
    layout: Layout,
    source: Path,
    folder: Path,
    workers: int | None = None,
    report: Report = refuse,
) -> tuple[Layout, Seen]:
    """Choose images as params say, decode each fully and copy it, bytes unchanged, to `folder`.

    Reported are all the images that cannot be read; where that passes they are left out.
    """
    layout = choose(layout, params, source)
    require_two_classes(layout.classes, source / "images")
    _make_class_folders(folder, layout.classes)
    copy_some = partial(_copy_some, source / "images", folder)
    chunks = [[(name, layout.files.get(name, name)) for name in ids] for ids in _chunks(layout.ids)]
    pieces = parallel_map(copy_some, chunks, "check and copy", workers)
    faults = [f"{name} ({why})" for name, why in _merged([bad for _, bad in pieces]).items()]
    if faults:
        report([_unreadable(source / "images", faults)])
    checked = _merged([good for good, _ in pieces])
    sides = [side for image in checked.values() for side in image.sides]
    return layout.keep(checked), Seen(
        min(sides),
        max(sides),
        Counter(kind for image in checked.values() for kind in image.conversions),
        {name: image.digest for name, image in checked.items()},
    )


def _unreadable(folder: Path, faults: Sequence[str]) -> Fault:
    more = len(faults) - LISTED_IMAGES
    listed = "; ".join(map(printable, faults[:LISTED_IMAGES])) + (
        f"; and {more:,} more" if more > 0 else ""
    )
    count = f"{len(faults):,} images" if len(faults) > 1 else "1 image"
    what = f"{count} cannot be read: {listed}"
    return Fault("images", str(folder), what, "repair or remove them", len(faults))


def _copy_some(
    source: Path, target: Path, names: Sequence[tuple[str, str]]
) -> tuple[dict[str, Checked], dict[str, str]]:
    """Copy some images, given as (id, path in `source`), to their ids in `target`.

    Returns {id: what was seen}, and {id: why it cannot be read} of the others.
    """
    good, bad = {}, {}
    for name, file in names:
        try:
            data = read_bounded(source / file, MOST_BYTES)
            image, conversions = decode(data)
        except UnreadableFile as error:
            bad[name] = str(error)
            continue
        with (target / name).open("xb") as copy:  # where case does not count, two may be one
            copy.write(data)
        good[name] = Checked(image.size, conversions, digest_of(image))
    return good, bad


def _make_class_folders(folder: Path, classes: Sequence[str]) -> None:
    for name in classes:
        (folder / name).mkdir(parents=True)


def _chunks(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK)]


# Results


def summary(
    kind: str,
    number: int,
    layout: Layout,
    seen: Seen,
    identical: Mapping[str, int],
    tally: Tally,
) -> dict:
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
        "identical": dict(identical),
        "disagreements": {part: tally.counts[part] for part in Tally.PARTS},
    }


def identical_images(index: pd.DataFrame, digests: Mapping[str, str]) -> dict[str, int]:
    """How many images show exactly what another does: the same pixels, once upright RGB.

    Their files may differ, as where one is a PNG and the other a BMP; an image that was saved
    anew as JPEG, scaled or cut is another image here. index: `Layout.index` of the split in use.
    """
    table = index.assign(digest=index["id"].map(digests))
    shown_in = {split: set(rows["digest"]) for split, rows in table.groupby("split")}

    def shared(split: str, other: str) -> int:
        return int(table.loc[table["split"] == split, "digest"].isin(shown_in[other]).sum())

    return {
        "of_test_in_train": shared("test", "train"),
        "of_test_in_val": shared("test", "val"),
        "of_val_in_train": shared("val", "train"),
        "repeated_within_a_split": int(table.duplicated(["split", "digest"]).sum()),
        "in_several_classes": int(
            (table.groupby("digest")["class"].transform("nunique") > 1).sum()
        ),
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
    width = max(1.2 * columns + 0.2, SHEET_INCHES)
    figure, axes = new_figure(width, 1.4 * rows + 0.7, rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, name in zip(axes.flat, shown, strict=False):
        square = ImageOps.fit(read_image(folder / first[name]), (THUMBNAIL_PX, THUMBNAIL_PX))
        axis.imshow(np.asarray(square))
        axis.set_title(short_name(name, 16), fontsize=9, pad=2)
    source = {"textures": "painted textures", "dtd": "DTD r1.0.1", "folder": "own images"}[kind]
    of_classes = (
        f"{len(shown)} of {len(layout.classes)}" if len(layout.classes) > len(shown) else len(shown)
    )
    figure.suptitle(
        f"One image of each class:\n{of_classes} classes, {len(layout.ids):,} images ({source})"
    )
    save_figure(figure, file)


if __name__ == "__main__":
    fetch()
