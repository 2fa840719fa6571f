"""Where images come from: procedurally generated, the official release, or a user's folder.

A folder may hold features that were computed elsewhere in place of images.

Each function of `SOURCES` puts the images that params ask for into a new folder, by their ids.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from PIL import Image

from stages.core.dataset import features
from stages.core.dataset.classes import chosen_classes
from stages.core.dataset.copying import (
    Copied,
    code_digest,
    copy_piece,
    make_class_folders,
    notes_of,
    pieces_of,
    remove_others,
    require_apart,
)
from stages.core.dataset.feature_files import FOLDER, holds_features
from stages.core.dataset.layout import (
    Layout,
    class_of,
    passed_over,
    read_layout,
    stratified_splits,
)
from stages.core.dataset.reading import (
    Fault,
    Report,
    Tally,
    refuse,
)
from stages.core.dataset.release import extract, missing_of, obtain, official_release
from stages.core.dataset.selection import choose, source_folder
from stages.core.dataset.summary import Seen, digest_of
from stages.core.painter import ATTRIBUTES, paint
from stages.core.runtime.errors import StudyError, printable
from stages.core.runtime.parallel import parallel_map
from stages.core.runtime.randomness import generator_for
from stages.core.runtime.remote import Files
from stages.settings.checks import require_two_classes
from stages.settings.fetch import NAMED_SOURCES, FetchParams

JPEG_QUALITY = 92
CHUNK = 20  # images to a piece of parallel work
LISTED_IMAGES = 20


@dataclass(frozen=True)
class Places:
    """The folders of a fetch.

    new: where the data set is put together; images: where it goes at the end; copies: where a
    source's images are put, to go on with after a broken-off run; downloads: where archives are
    kept; known: where it is noted what has been seen of single images.
    """

    new: Path
    images: Path
    copies: Path
    downloads: Path
    known: Path


@dataclass(frozen=True)
class Fetched:
    """The images that a source gave.

    tally: what a release disagrees with itself in; skipped: names that were passed over.
    of_features: whether features stand for the images. known: how many images an earlier run had
    looked at. images: the folder of the images, where they are not in place yet.
    """

    layout: Layout
    seen: Seen
    tally: Tally = field(default_factory=Tally)
    skipped: Sequence[str] = ()
    of_features: bool = False
    known: int = 0
    images: Path | None = None


def from_generator(params: FetchParams, places: Places) -> Fetched:
    """Images of DTD's attributes, procedurally generated."""
    return Fetched(*generate_textures(params, places.new / "images"))


def from_release(params: FetchParams, places: Places) -> Fetched:
    """Images of the official release of DTD, which is downloaded unless it has been."""
    release, tally = official_release(), Tally()
    archive = obtain(release, places.downloads)
    source = extract(archive, places.new / "archive")
    layout = read_layout(source, params.seed, tally)
    tally(missing_of(layout, release, archive))
    fetched = copy_chosen(params, layout, source, places, report=tally)
    shutil.rmtree(places.new / "archive")
    return replace(fetched, tally=tally)


def from_folder(params: FetchParams, places: Places) -> Fetched:
    """Images, or features, of the folder that params name as the source."""
    source = source_folder(params.source, places.images)
    if holds_features(source):
        return _from_features(params, source, places.new)
    layout = read_layout(source, params.seed)
    skipped = passed_over(source / "images")
    return replace(copy_chosen(params, layout, source, places), skipped=skipped)


def _from_features(params: FetchParams, source: Path, new: Path) -> Fetched:
    found = features.read_features(source)
    layout = choose(features.layout_of(found.images, params.seed, source), params, source)
    require_two_classes(layout.classes, source)
    digests = features.keep(found, layout.ids, new / FOLDER)
    return Fetched(layout, Seen(None, None, Counter(), digests), of_features=True)


# By `FetchParams.kind`.
SOURCES: dict[str, Callable[[FetchParams, Places], Fetched]] = {
    "textures": from_generator,
    "dtd": from_release,
    "folder": from_folder,
}


# Generated images


def generate_textures(
    params: FetchParams, folder: Path, workers: int | None = None
) -> tuple[Layout, Seen]:
    """Generate the images into folder/<class>/; the same bytes for any number of workers."""
    classes = chosen_classes(params.classes, ATTRIBUTES)
    require_two_classes(classes, "fetch.classes")
    count = params.images_per_class or NAMED_SOURCES["textures"].images_per_class
    ids = [f"{name}/{name}_{i:04d}.jpg" for name in classes for i in range(1, count + 1)]
    make_class_folders(folder, classes)
    generate_some = partial(_generate_some, folder, params.seed, params.image_size)

    def files(some: Sequence[str]) -> Files:
        return Files(writes=[folder / name for name in some])

    chunks = _chunks(ids)
    digests = _merged(parallel_map(generate_some, chunks, "generate", workers, files=files))
    layout = Layout(stratified_splits(ids, params.seed), {name: [class_of(name)] for name in ids})
    return layout, Seen(params.image_size, params.image_size, Counter(), digests)


def _generate_some(folder: Path, seed: int, size: int, ids: Sequence[str]) -> dict[str, str]:
    """Generate and save some images; return {id: digest}."""
    digests = {}
    for name in ids:
        number = int(Path(name).stem.rpartition("_")[2])
        painting = paint(class_of(name), generator_for(seed, "fetch", class_of(name), number), size)
        image = Image.fromarray(painting.pixels)
        image.save(folder / name, quality=JPEG_QUALITY)
        digests[name] = digest_of(image)
    return digests


# Copied images


def copy_chosen(
    params: FetchParams,
    layout: Layout,
    source: Path,
    places: Places,
    workers: int | None = None,
    report: Report = refuse,
) -> Fetched:
    """Choose images as params say, decode each fully and put it, bytes unchanged, in place.

    A run that is killed leaves the images that it has put into `places.copies`, with which the next
    one goes on; one that is refused leaves none. Reported are all the images that cannot be read;
    where that passes they are left out.
    """
    layout = choose(layout, params, source)
    require_two_classes(layout.classes, source / "images")
    make_class_folders(places.copies, layout.classes)
    remove_others(places.copies, layout.ids)
    files = {name: layout.files.get(name, name) for name in layout.ids}
    pieces = pieces_of(files, notes_of(source, places.known))
    copy_some = partial(copy_piece, source / "images", places.copies, code_digest())
    copied = Copied()
    for piece in parallel_map(copy_some, pieces, "check and copy", workers, in_place=True):
        copied.add(piece)
    faults = [f"{name} ({why})" for name, why in copied.unreadable.items()]
    try:
        if faults:
            report([_unreadable(source / "images", faults)])
        require_apart(places.copies, copied.digests)
    except StudyError:
        shutil.rmtree(places.copies)  # the notes of what was seen stay, and that takes longest
        raise
    smallest, largest = copied.sides or (None, None)
    seen = Seen(smallest, largest, copied.conversions, copied.digests)
    kept = layout.keep(copied.digests)
    return Fetched(kept, seen, known=copied.known, images=places.copies)


def _unreadable(folder: Path, faults: Sequence[str]) -> Fault:
    more = len(faults) - LISTED_IMAGES
    listed = "; ".join(map(printable, faults[:LISTED_IMAGES])) + (
        f"; and {more:,} more" if more > 0 else ""
    )
    count = f"{len(faults):,} images" if len(faults) > 1 else "1 image"
    what = f"{count} cannot be read: {listed}"
    return Fault("images", str(folder), what, "repair or remove them", len(faults))


def _chunks(ids: Sequence[str]) -> list[Sequence[str]]:
    return [ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK)]


def _merged(pieces: Sequence[dict]) -> dict:
    return {key: value for piece in pieces for key, value in piece.items()}
