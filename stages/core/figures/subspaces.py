"""Pictures of the angles between class subspaces."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stages.core.figures.heatmaps import draw_heatmap, inches_for
from stages.core.figures.style import (
    level_colours,
    new_figure,
    pair_names,
    room_for,
    short_name,
    wrapped,
)


def angle_matrix(
    table: pd.DataFrame, column: str, classes: list[str], what: str, where: str
) -> Figure:
    """A heat map of one angle of every pair of classes.

    table: `pair_table` of the clean images; column: which of its columns, in degrees.
    what, where: which angle in which space, for the title.
    """
    matrix = np.full((len(classes), len(classes)), np.nan)
    first, second = np.triu_indices(len(classes), 1)
    matrix[first, second] = matrix[second, first] = table[column]
    side = inches_for(len(classes), margin=max(3.0, 1.6 + room_for(map(short_name, classes))))
    figure, axes = new_figure(side + 0.8, side)
    angles = table[column]
    low, high = angles.min(), angles.max()
    image = draw_heatmap(axes, matrix, classes, classes, low, high if high > low else low + 1)
    title = f"{what} principal angle of each pair of classes\nin {where}, clean images"
    figure.suptitle(wrapped(title, side))
    figure.colorbar(image, ax=axes, shrink=0.6, label="principal angle (degrees), darker is closer")
    return figure


def closest_pairs_bars(tables: Mapping[float, pd.DataFrame], where: str) -> Figure:
    """The pairs with the smallest angles, one panel per noise level.

    tables: {noise level: the closest rows of its `pair_table`, closest first}.
    """
    rows = (len(tables) + 1) // 2
    columns = min(len(tables), 2)
    listed = max(len(table) for table in tables.values())
    names = [name for table in tables.values() for name in pair_names(table)]
    width = max(7.0, 4.0 + room_for(names)) * columns
    figure, axes = new_figure(
        width, 0.3 + rows * (1.3 + 0.22 * listed), rows, columns, sharex=True, squeeze=False
    )
    colours = level_colours(list(tables))
    for panel, (level, table) in zip(axes.flat, tables.items(), strict=False):
        panel.barh(range(len(table)), table["smallest_deg"], color=colours[level])
        panel.set_yticks(range(len(table)), pair_names(table))
        for place, angle in enumerate(table["smallest_deg"]):
            panel.text(angle, place, f" {angle:.1f}", va="center", fontsize=8)
        panel.invert_yaxis()
        panel.tick_params(axis="y", length=0, labelsize=9)
        panel.tick_params(axis="x", labelbottom=True)
        panel.grid(False, axis="y")
        panel.set_title(_level_name(level))
        panel.set_xlabel("smallest principal angle (degrees)")
        panel.margins(y=0.01)
    widest = max(table["smallest_deg"].max() for table in tables.values())
    axes[0, 0].set_xlim(0, 1.1 * widest or 1.0)  # shared by all panels
    # A number at the very end would reach beyond the picture.
    axes[0, 0].xaxis.set_major_locator(MaxNLocator(prune="upper"))
    for panel in axes.flat[len(tables) :]:
        panel.set_visible(False)
    figure.suptitle(wrapped(f"Class pairs whose subspaces come closest in {where}", width))
    return figure


def angle_distributions(
    pairs: Mapping[float, pd.DataFrame], rotations: Mapping[float, pd.DataFrame], where: str
) -> Figure:
    """How angles spread: over pairs the smallest and the mean, over classes the rotation.

    pairs: {noise level: `pair_table`}; rotations: {noise level: one row per class with the
    mean_deg between its clean and its noisy subspace}, of which the clean level is left out.
    """
    turned = {level: table for level, table in rotations.items() if level}
    figure, axes = new_figure(16.5, 4.6, 1, 3)
    panels = (
        (axes[0], pairs, "smallest_deg", "Between classes: smallest angle", "pairs"),
        (axes[1], pairs, "mean_deg", "Between classes: mean angle", "pairs"),
        (axes[2], turned, "mean_deg", "Same class, clean to noisy: mean angle", "classes"),
    )
    colours = level_colours(list(pairs))
    for panel, tables, column, title, counted in panels:
        for level, table in tables.items():
            values = np.sort(table[column])
            share = np.arange(1, len(values) + 1) / len(values)
            # A vertical line at the first value, where the share leaves zero.
            panel.step(
                np.r_[values[0], values],
                np.r_[0.0, share],
                where="post",
                color=colours[level],
                linewidth=2,
                label=_level_name(level),
            )
        panel.set_title(title)
        panel.set_xlabel("angle (degrees)")
        panel.set_ylabel(f"share of {counted} at or below")
        panel.set_ylim(0, 1.02)
        if tables:
            low = min(table[column].min() for table in tables.values())
            high = max(table[column].max() for table in tables.values())
            pad = max(0.05 * (high - low), 0.5)
            panel.set_xlim(max(low - pad, -0.1 * pad), high + pad)
    if not turned:
        axes[2].text(0.5, 0.5, "no noisy level", ha="center", transform=axes[2].transAxes)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper")
    figure.suptitle(f"Principal angles of class subspaces in {where}")
    return figure


def _level_name(level: float) -> str:
    return "clean" if level == 0 else f"noise {level:.2f}"
