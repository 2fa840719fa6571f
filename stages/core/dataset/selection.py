"""Which images of a folder or a release fetch takes, by its settings."""

from difflib import get_close_matches
from pathlib import Path

from stages.core.dataset.classes import chosen_classes
from stages.core.dataset.layout import Layout, balanced_choice, class_of, require_every_split
from stages.core.runtime.errors import StudyError, quoted
from stages.core.runtime.paths import user_path
from stages.settings.fetch import NAMED_SOURCES, FetchParams


def source_folder(source: str, images: Path) -> Path:
    """The folder that params name as the source; it must not overlap the output `images`."""
    folder = user_path(source, "fetch.source")
    if not folder.is_dir():
        near = get_close_matches(source, NAMED_SOURCES, 1)
        names = "".join(f"{name!r}, nor " for name in NAMED_SOURCES)
        raise StudyError(
            f"fetch.source: {quoted(source)} is neither {names}a folder; "
            + (f"did you mean {near[0]!r}?" if near else "give one of these")
        )
    inner, outer = folder.resolve(), images.resolve()
    if inner.is_relative_to(outer) or outer.is_relative_to(inner / "images"):
        raise StudyError(
            f"fetch.source: {quoted(source)} overlaps {images}, which is about to be replaced; "
            "move it elsewhere"
        )
    return folder


def choose(layout: Layout, params: FetchParams, where: Path) -> Layout:
    """The part of a layout that params ask for: classes, images per class, in the chosen split."""
    if params.split not in layout.splits:
        numbers = ", ".join(str(number) for number in layout.splits)
        raise StudyError(f"fetch.split: {params.split} is not in {where}/labels; it has {numbers}")
    classes = set(chosen_classes(params.classes, layout.classes))
    split = layout.splits[params.split]
    split = split[[class_of(name) in classes for name in split.index]]
    kept = layout.keep(balanced_choice(split, params.images_per_class or len(split)))
    require_every_split(kept.index(params.split), f"{where}/labels: split {params.split}")
    return kept
