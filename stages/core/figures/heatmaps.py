"""Heat maps with a name at every row and column, of MOST_NAMES at the most."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from scipy.cluster.hierarchy import fcluster, leaves_list, linkage
from scipy.spatial.distance import squareform

from stages.core.figures.style import short_name, text_width

CELL_INCHES = 0.21
LABEL_POINTS = 9
MOST_NAMES = 100  # of rows or columns; more are neither read nor drawn in bounded time


def inches_for(count: int, margin: float = 3.0, cell: float = CELL_INCHES) -> float:
    """Width or height of a picture with `count` named rows or columns, in inches."""
    return margin + cell * max(count, 12)


def by_clustering(distances: np.ndarray, most: int = MOST_NAMES) -> np.ndarray:
    """The order in which near rows stand side by side: (n, n) distances -> positions (m,).

    Leaves of a hierarchical clustering (average linkage), in the order in which neighbours are
    nearest to each other (Bar-Joseph and others 2001). Of more than `most` rows as many clusters
    are made, and each is shown by its medoid, the row nearest to all others of its cluster.
    """
    count = len(distances)
    if count < 3:
        return np.arange(count)
    condensed = squareform(distances, checks=False)
    if count > most:
        clusters = fcluster(linkage(condensed, "average"), most, "maxclust")
        members = [np.flatnonzero(clusters == each) for each in np.unique(clusters)]
        within = [distances[np.ix_(rows, rows)].sum(axis=1) for rows in members]
        chosen = np.sort([rows[sums.argmin()] for rows, sums in zip(members, within, strict=True)])
        return chosen[by_clustering(distances[np.ix_(chosen, chosen)], most)]
    return leaves_list(linkage(condensed, "average", optimal_ordering=True))


def draw_heatmap(
    axes: Axes,
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    low: float,
    high: float,
    numbers: str | None = None,
    colours: str = "cividis",
) -> AxesImage:
    """Draw (r, c) values as coloured cells; NaN stays grey, or as it was drawn before.

    low, high: the values at the ends of the colour map.
    numbers: format of a number in each cell, e.g. '{:.0f}'; None writes none.
    colours: name of the colour map; one that diverges suits values on both sides of 0.
    Returns what a colour bar is made from.
    """
    axes.set_facecolor("#dddddd")
    image = axes.imshow(values, vmin=low, vmax=high, cmap=colours, aspect="auto")
    row_names, column_names = map(short_name, rows), [short_name(name) for name in columns]
    axes.set_xticks(range(len(columns)), column_names, fontsize=LABEL_POINTS)
    axes.set_yticks(range(len(rows)), row_names, fontsize=LABEL_POINTS)
    if max(map(text_width, column_names)) > 5:
        axes.tick_params(axis="x", rotation=90)
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    if numbers is not None:
        for (row, column), value in np.ndenumerate(values):
            red, green, blue, _ = image.cmap(image.norm(value))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
            axes.text(
                column,
                row,
                numbers.format(value),
                ha="center",
                va="center",
                fontsize=LABEL_POINTS,
                color="white" if dark else "black",
            )
    return image
