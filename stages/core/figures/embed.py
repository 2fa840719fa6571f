"""A picture of noisy images."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from stages.core.artifacts.samples import Samples, read_samples
from stages.core.figures.study import Study
from stages.core.figures.style import new_figure, not_applicable, save_figure, short_name


def draw(study: Study, folder: Path, samples: Path) -> None:
    """Draw the images that `embed` took as samples."""
    figure = sample_figure(read_samples(samples))
    save_figure(figure, folder / "samples.png", study.foot, shaded=True)


def sample_figure(samples: Samples) -> Figure:
    """Some images at some noise levels, as the encoder sees them, in display colours."""
    if not samples.ids:
        return not_applicable("there are features and no images")
    levels, count, tall, wide, _ = samples.pixels.shape
    width, height = max(1.7 * levels + 1.2, 5.0), 1.75 * count + 1.0
    figure, axes = new_figure(width, height, count, levels, squeeze=False)
    for (row, column), axis in np.ndenumerate(axes):
        axis.imshow(samples.pixels[column, row], interpolation="nearest")
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        axis.grid(False)
        if row == 0:
            axis.set_title(f"{samples.levels[column]:.2f}")
        if column == 0:
            axis.set_ylabel(short_name(samples.ids[row].split("/")[0], 20))
    figure.suptitle(
        f"What the encoder sees ({wide} x {tall} pixels)\nby {samples.label}", fontsize=11
    )
    return figure
