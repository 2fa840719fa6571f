"""A picture of the images of every class."""

import math
from collections.abc import Mapping
from pathlib import Path

import click
import numpy as np
from matplotlib.figure import Figure
from PIL import ImageOps

from stages.core.dataset.feature_files import FOLDER
from stages.core.dataset.images import read_image
from stages.core.dataset.layout import list_images
from stages.core.dataset.reading import some
from stages.core.figures.study import Study
from stages.core.figures.style import (
    characters_without_font,
    new_figure,
    not_applicable,
    save_figure,
    short_name,
)

THUMBNAIL_PX = 144
THUMBNAILS = 60
SHEET_INCHES = 4.4  # wide enough for its title


def draw(study: Study, folder: Path, data: Path) -> None:
    """Draw, from the data set that `fetch` wrote, the first image of each class."""
    if (data / FOLDER).exists():
        nothing = not_applicable("there are features and no images")
        return save_figure(nothing, folder / "contact_sheet.png", study.foot)
    classes = {name: list(files.values()) for name, files in list_images(data / "images").items()}
    sheet = contact_sheet(classes, data / "images")
    save_figure(sheet, folder / "contact_sheet.png", study.foot, shaded=True)
    boxes = characters_without_font(classes)
    if boxes:
        click.echo(f"boxes in pictures: no font has {some(boxes)}; install Noto Sans or such")


def contact_sheet(classes: Mapping[str, list[str]], images: Path) -> Figure:
    """The middle square of the first image of each class, with the class as its title.

    classes: {class: paths of its images}, within the folder `images`.
    """
    shown = list(classes)[:THUMBNAILS]
    columns = min(8, len(shown))
    rows = math.ceil(len(shown) / columns)
    width = max(1.2 * columns + 0.2, SHEET_INCHES)
    figure, axes = new_figure(width, 1.4 * rows + 0.7, rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, name in zip(axes.flat, shown, strict=False):
        image = read_image(images / classes[name][0])
        axis.imshow(np.asarray(ImageOps.fit(image, (THUMBNAIL_PX, THUMBNAIL_PX))))
        axis.set_title(short_name(name, 16), fontsize=9, pad=2)
    of_classes = f"{len(shown)} of {len(classes)}" if len(classes) > len(shown) else len(shown)
    count = sum(map(len, classes.values()))
    figure.suptitle(f"One image of each class:\n{of_classes} classes, {count:,} images")
    return figure
