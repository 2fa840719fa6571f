"""Names of the noise levels, and curves against them."""

from collections.abc import Iterable
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

MEDIAN: dict[str, Any] = {"linewidth": 2.2, "marker": "o", "markersize": 4}
BAND: dict[str, Any] = {"alpha": 0.25, "linewidth": 0}
THIN: dict[str, Any] = {"linewidth": 0.5, "alpha": 0.35}


def level_name(level: float) -> str:
    """A noise level in a legend: 'clean' or 'noise 0.50'."""
    return "clean" if level == 0 else f"noise {level:.2f}"


def by_level(table: pd.DataFrame, quantity: str, of: str) -> pd.DataFrame:
    """A column of a long table in rows of noise and columns of `of`, such as the class."""
    return table.pivot_table(index="noise", columns=of, values=quantity)


def draw_spread(axes: Axes, table: pd.DataFrame, colour: str, name: str, thin: bool = True) -> None:
    """Median and quartiles over the columns of `by_level`; each column too, as a thin line.

    A single level leaves nothing to connect: its columns are marks, its quartiles a bar.
    """
    if table.empty:
        return
    lower, median, upper = (table.quantile(q, axis=1) for q in (0.25, 0.5, 0.75))
    alone = len(table) == 1
    if thin:
        axes.plot(table.index, table, marker="_" if alone else "", color=colour, **THIN)
    if alone:
        axes.vlines(table.index, lower, upper, color=colour, linewidth=10, alpha=BAND["alpha"])
    axes.fill_between(table.index, lower, upper, color=colour, label=f"{name}: quartiles", **BAND)
    axes.plot(table.index, median, color=colour, label=f"{name}: median", **MEDIAN)


def level_axis(axes: Axes, levels: Iterable[float]) -> None:
    """Mark the noise levels on the x axis, and no others."""
    levels = sorted(set(levels))
    axes.set_xticks(levels, [f"{level:g}" for level in levels])
    axes.set_xlabel("noise level")
