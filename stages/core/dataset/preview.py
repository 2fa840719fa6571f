"""The data set that the settings of fetch lead to, as far as they tell before it is there."""

from pathlib import Path

from stages.core.dataset.classes import chosen_classes
from stages.core.dataset.feature_files import holds_features
from stages.settings.fetch import NAMED_SOURCES, FetchParams

Counts = dict[str, tuple[int, int, int]]


def expected_counts(params: FetchParams, images: Path) -> Counts:
    """{class: how many train, val and test images it will have}, without reading an image.

    A folder is known by the names of its files and by its label files. Raises StudyError as
    `fetch` does.
    """
    if params.kind == "folder":
        return _counts_in_folder(params, images)
    source = NAMED_SOURCES[params.kind]
    count = params.images_per_class or source.images_per_class
    if source.at_most:
        count = min(count, source.images_per_class)
    # Here, since the painter takes a fifth of a second that folders need not wait for.
    from stages.core.painter import ATTRIBUTES

    # The classes of DTD are also those that are generated.
    return dict.fromkeys(chosen_classes(params.classes, ATTRIBUTES), thirds(count))


def _counts_in_folder(params: FetchParams, images: Path) -> Counts:
    # Imported here, since they take a second that the other sources need not wait for.
    from stages.core.dataset.features import layout_of, read_image_table
    from stages.core.dataset.layout import SPLITS, read_layout
    from stages.core.dataset.selection import choose, source_folder

    source = source_folder(params.source, images)
    layout = (
        layout_of(read_image_table(source), params.seed, source)
        if holds_features(source)
        else read_layout(source, params.seed, numbers=[params.split])
    )
    index = choose(layout, params, source).index(params.split)
    counts = index.groupby(["class", "split"]).size().unstack()[list(SPLITS)]
    return dict(zip(counts.index, counts.itertuples(index=False, name=None), strict=True))


def thirds(count: int) -> tuple[int, int, int]:
    """How many of `count` images go to train, val and test; train and then val get the rest."""
    train, val, test = ((count + more) // 3 for more in (2, 1, 0))
    return train, val, test
