"""Pictures of the angles between class subspaces."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stages.core.artifacts.tables import read_parquet
from stages.core.figures.heatmaps import draw_heatmap, inches_for
from stages.core.figures.levels import level_name
from stages.core.figures.style import (
    level_colours,
    new_figure,
    room_for,
    save_figure,
    short_name,
    wrapped,
)
from stages.core.geometry.spaces import SPACES
from stages.core.geometry.subspaces import ANGLES, ROTATIONS


def draw(angles: Path, folder: Path) -> None:
    """Draw, from the folder that `angles` wrote, what no table of a few hundred rows shows."""
    pairs, about = read_parquet(angles / "pairs.parquet", ANGLES, "angles")
    rotations, _ = read_parquet(angles / "rotations.parquet", ROTATIONS, "angles")
    where = SPACES[about["space"]].label
    clean = pairs[pairs["noise"] == 0.0]
    for column, what in (("smallest_deg", "Smallest"), ("mean_deg", "Mean")):
        figure = angle_matrix(clean, column, what, where)
        save_figure(figure, folder / f"{column.removesuffix('_deg')}_angle.png")
    save_figure(angle_distributions(pairs, rotations, where), folder / "distribution.png")


def angle_matrix(table: pd.DataFrame, column: str, what: str, where: str) -> Figure:
    """A heat map of one angle of every pair of classes.

    table: `pair_table` of the clean images; column: which of its columns, in degrees.
    what, where: which angle in which space, for the title.
    """
    classes = [table["class_a"].iloc[0], *table["class_b"].iloc[: table["class_a"].nunique()]]
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


def angle_distributions(pairs: pd.DataFrame, rotations: pd.DataFrame, where: str) -> Figure:
    """How angles spread: over pairs the smallest and the mean, over classes the rotation.

    pairs, rotations: the tables of `angles`; rotations of the clean level are left out.
    """
    pairs, turned = dict(list(pairs.groupby("noise"))), dict(list(rotations.groupby("noise")))
    turned.pop(0.0)
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
                label=level_name(level),
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
