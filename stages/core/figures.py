"""One look for every picture."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # no display in CI; set before pyplot is imported

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from stages.core.files import whole_file

DPI = 120

LETTER_WIDTH = 0.56  # of the font size, on average

# Okabe and Ito (2008), told apart with any colour vision; black last, for reference lines.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

plt.rcParams.update(
    {
        "figure.dpi": DPI,
        "figure.constrained_layout.use": True,
        "font.size": 10,
        "axes.titlesize": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#e6e6e6",
        "axes.axisbelow": True,
        "legend.frameon": False,
        "axes.prop_cycle": matplotlib.cycler(color=COLOURS),
        "image.cmap": "cividis",
    }
)


def class_styles(classes: list[str]) -> dict[str, tuple[str, str]]:
    """{class: (colour, marker)}, distinct for up to 49 classes.

    No 47 colours can be told apart, so seven colours are crossed with seven markers.
    """
    colours = COLOURS[:7]
    return {
        name: (colours[i % len(colours)], MARKERS[i // len(colours) % len(MARKERS)])
        for i, name in enumerate(classes)
    }


def level_colours(levels: list[float]) -> dict[float, tuple]:
    """{noise level: colour}, from dark (clean) to light, ordered for any colour vision."""
    positions = np.linspace(0.0, 0.85, len(levels))
    return {level: plt.get_cmap("viridis")(x) for level, x in zip(levels, positions, strict=True)}


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG whose bytes depend on the picture alone, and close the figure."""
    with whole_file(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=DPI, metadata={"Software": None})
    plt.close(figure)


def new_figure(
    width: float, height: float, rows: int = 1, columns: int = 1, **options: object
) -> tuple[Figure, Axes | np.ndarray]:
    """A figure of width x height inches with a grid of axes."""
    return plt.subplots(rows, columns, figsize=(width, height), **options)


def wrapped(text: str, inches: float, points: float = 12) -> str:
    """The text in as many lines as it needs at a width in inches and a font size in points.

    The default is that of a figure's title. Lines that the text has are kept.
    """
    letters = max(int(72 * inches / (LETTER_WIDTH * points)), 8)
    return "\n".join(textwrap.fill(line, letters) for line in text.splitlines())


def room_for(names: Sequence[str], points: float = 9) -> float:
    """Inches that the longest of the names takes."""
    return LETTER_WIDTH * points * max(map(len, names), default=0) / 72


def panel_grid(
    count: int, side: float, beside: float = 2.0, **options: object
) -> tuple[Figure, list[Axes]]:
    """A figure of `count` square panels of `side` inches, row by row, as square as can be.

    It is `beside` inches wider than its panels, for a legend at the side.
    """
    columns = int(np.ceil(np.sqrt(count)))
    rows = int(np.ceil(count / columns))
    figure, grid = new_figure(
        side * columns + beside, side * rows + 0.6, rows, columns, squeeze=False, **options
    )
    for axes in grid.flat[count:]:
        axes.remove()
    return figure, list(grid.flat[:count])


def legend_columns(count: int) -> int:
    """Columns of a legend of so many classes, 24 in each."""
    return int(np.ceil(count / 24))


def class_legend(figure: Figure, styles: dict[str, tuple[str, str]]) -> Legend:
    """A legend of classes by marker and colour at the figure's right, in columns."""
    handles = [
        Line2D([], [], linestyle="none", marker=marker, color=colour, markersize=6, label=name)
        for name, (colour, marker) in styles.items()
    ]
    return figure.legend(
        handles=handles,
        loc="outside right center",
        ncols=legend_columns(len(styles)),
        fontsize=9,
        handletextpad=0.2,
        columnspacing=0.8,
    )
