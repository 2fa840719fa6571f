"""Pictures of layouts: one panel per noise level, one mark per image."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from scipy.spatial.distance import cdist

from stages.core.figures.style import (
    class_legend,
    legend_columns,
    panel_grid,
    room_for,
    short_name,
    text_width,
    wrapped,
)

PANEL_SIDE = 4.6  # inches
LABEL_SIZE = 9  # points
TURNS = 8


def layout_figure(
    title: str,
    axis_name: str,
    layouts: dict[str, np.ndarray],
    names: np.ndarray,
    styles: dict[str, tuple[str, str]],
    labelled: list[str],
) -> Figure:
    """Scatter plots side by side, on the same scale, with one legend.

    layouts: {title of a panel: (n, 2)}; names: (n,) the class of each point; styles: {class:
    (colour, marker)}. The names of the classes `labelled` are also written into the panels,
    for those that `label_places` finds a place for.
    """
    beside = max(2.0, legend_columns(len(styles)) * (0.5 + room_for(map(short_name, styles))))
    figure, panels = panel_grid(len(layouts), PANEL_SIDE, beside, sharex=True, sharey=True)
    limit = 1.1 * max(np.abs(layout).max() for layout in layouts.values())
    size = np.clip(30_000 / len(names), 8, 30)
    for axes, (panel_title, layout) in zip(panels, layouts.items(), strict=True):
        axes.set_title(panel_title, fontsize=10)
        axes.set(aspect="equal", xlim=(-limit, limit), ylim=(-limit, limit))
        # In turns, a share of every class at a time: no class then hides another wholly.
        for turn in range(TURNS):
            for name, (colour, marker) in styles.items():
                axes.scatter(
                    *layout[names == name][turn::TURNS].T,
                    s=size,
                    c=colour,
                    marker=marker,
                    linewidths=0.2,
                    edgecolors="#404040",
                    alpha=0.85,
                )
        _write_names(axes, label_places(layout, names, labelled), limit)
    figure.suptitle(wrapped(title, figure.get_figwidth(), 11), fontsize=11)
    unit = "root-mean-square radius = 1"
    figure.supxlabel(f"{axis_name}, first axis ({unit})", fontsize=10)
    figure.supylabel(f"{axis_name}, second axis ({unit})", fontsize=10)
    class_legend(figure, styles)
    return figure


def label_places(
    layout: np.ndarray, names: np.ndarray, labelled: list[str], widest: float = 0.4
) -> dict[str, tuple[float, float, float]]:
    """{class: (x, y, radius) of the smallest disc around a point of it with half the class}.

    layout: (n, 2), of root-mean-square radius 1; names: (n,). A class whose disc is wider than
    `widest` is left out: it has no place of its own, and a name would claim one.
    """
    places = {}
    for name in labelled:
        points = layout[names == name]
        radii = np.median(cdist(points, points), axis=1)
        if radii.min() <= widest:
            x, y = points[radii.argmin()]
            places[name] = (float(x), float(y), float(radii.min()))
    return places


def separated(heights: np.ndarray, lefts: np.ndarray, rights: np.ndarray, gap: float) -> np.ndarray:
    """`heights` of texts moved up where needed, so that no two overlap; all arrays are (m,).

    Two texts overlap where [left, right] overlap and the heights differ by less than `gap`.
    """
    moved = heights.astype(float)
    placed: list[int] = []
    for i in np.argsort(heights, kind="stable"):
        beside = [j for j in placed if lefts[i] < rights[j] and lefts[j] < rights[i]]
        for j in sorted(beside, key=lambda j: moved[j]):
            if abs(moved[i] - moved[j]) < gap:
                moved[i] = moved[j] + gap
        placed.append(i)
    return moved


def _write_names(axes: Axes, places: dict[str, tuple[float, float, float]], limit: float) -> None:
    """Write each class's name above its place, with a line to it where the text had to move."""
    if not places:
        return
    x, y, radius = np.array(list(places.values())).T
    point = 2 * limit / (72 * PANEL_SIDE * 0.9)  # 1/72 inch in units of the axes, nearly
    wanted = y + np.minimum(2 * radius, 0.2) + 0.9 * LABEL_SIZE * point
    shown = [short_name(name) for name in places]
    half_widths = np.array([text_width(name) for name in shown]) * 0.32 * LABEL_SIZE * point
    text_x = np.clip(x, half_widths - limit, limit - half_widths)
    line = 1.25 * LABEL_SIZE * point
    text_y = separated(wanted, text_x - half_widths, text_x + half_widths, line)
    for i, name in enumerate(shown):
        if text_y[i] > wanted[i]:
            axes.plot([text_x[i], x[i]], [text_y[i], y[i]], color="black", linewidth=0.6)
        axes.text(
            text_x[i],
            text_y[i],
            name,
            ha="center",
            va="center",
            fontsize=LABEL_SIZE,
            path_effects=[withStroke(linewidth=2, foreground="white")],
        )
