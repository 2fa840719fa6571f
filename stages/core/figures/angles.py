"""Pictures of the angles between class subspaces."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stages.core.artifacts.tables import read_parquet
from stages.core.figures.heatmaps import MOST_NAMES, by_clustering, draw_heatmap, inches_for
from stages.core.figures.levels import level_name
from stages.core.figures.study import Study
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


def draw(study: Study, folder: Path, angles: Path) -> None:
    """Draw, from the folder that `angles` wrote, what no table of a few hundred rows shows."""
    pairs, about = read_parquet(angles / "pairs.parquet", ANGLES, "angles")
    rotations, _ = read_parquet(angles / "rotations.parquet", ROTATIONS, "angles")
    where = SPACES[about["space"]].label
    clean = pairs[pairs["noise"] == 0.0]
    save_figure(angle_matrix(clean, where), folder / "matrix.png", study.foot, shaded=True)
    figure = angle_distributions(pairs, rotations, where)
    save_figure(figure, folder / "distribution.png", study.foot)


def angle_matrix(table: pd.DataFrame, where: str) -> Figure:
    """A heat map of every pair of classes: the smallest angle below the diagonal, the mean above.

    table: `pair_table` of the clean images; where: in which space, for the title. Classes with a
    small smallest angle stand side by side; of more than MOST_NAMES some stand for the others.
    """
    classes = [table["class_a"].iloc[0], *table["class_b"].iloc[: table["class_a"].nunique()]]
    smallest = _square(table["smallest_deg"], len(classes))
    mean = _square(table["mean_deg"], len(classes))
    order = by_clustering(smallest)
    names = [classes[i] for i in order]
    below = np.tri(len(order), k=-1, dtype=bool)
    side = inches_for(len(names), margin=max(3.0, 1.6 + room_for(map(short_name, names))))
    figure, axes = new_figure(side + 1.6, side)
    for matrix, shown, what in (
        (mean, below.T, "above the diagonal: mean (degrees)"),
        (smallest, below, "below the diagonal: smallest (degrees)"),
    ):
        values = np.where(shown, matrix[np.ix_(order, order)], np.nan)
        low, high = np.nanmin(values), np.nanmax(values)
        image = draw_heatmap(axes, values, names, names, low, high if high > low else low + 1)
        figure.colorbar(image, ax=axes, shrink=0.8, aspect=30, label=what)
    of = "classes"
    if len(classes) > MOST_NAMES:
        of = f"{len(names)} of {len(classes)} classes, one of each cluster,"
    title = (
        f"Principal angles of each pair of {of} in {where}, clean images\n"
        "Darker is closer; near classes stand side by side (by smallest angle)"
    )
    figure.suptitle(wrapped(title, side + 1.6))
    return figure


def _square(angles: pd.Series, count: int) -> np.ndarray:
    """The angles of all pairs of `count` classes as a symmetric matrix, 0 on the diagonal."""
    matrix = np.zeros((count, count))
    first, second = np.triu_indices(count, 1)
    matrix[first, second] = matrix[second, first] = angles
    return matrix


def angle_distributions(pairs: pd.DataFrame, rotations: pd.DataFrame, where: str) -> Figure:
    """How angles spread: over pairs the smallest and the mean, over classes the rotation.

    pairs, rotations: the tables of `angles`; rotations of the clean level are left out.
    """
    pairs, turned = dict(list(pairs.groupby("noise"))), dict(list(rotations.groupby("noise")))
    turned.pop(0.0)
    figure, axes = new_figure(15, 4.6, 1, 3, sharex=True, sharey=True)
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
    axes[0].set(xlim=(-1, 91), ylim=(0, 1.02), xticks=range(0, 91, 15))
    if not turned:
        axes[2].text(0.5, 0.5, "no noisy level", ha="center", transform=axes[2].transAxes)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right upper")
    figure.suptitle(f"Principal angles of class subspaces in {where}")
    return figure
