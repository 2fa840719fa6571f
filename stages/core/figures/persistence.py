"""Pictures of persistence diagrams and of their summaries."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import persim
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.core.artifacts.diagrams import ALL, WHOLE, CloudKey, read_diagrams, read_members
from stages.core.artifacts.tables import read_parquet, require_same
from stages.core.figures.levels import by_level, draw_spread, level_axis
from stages.core.figures.style import (
    COLOURS,
    homology_group,
    new_figure,
    save_figure,
    short_name,
    wrapped,
)
from stages.core.runtime.files import write_csv
from stages.core.runtime.randomness import generator_for
from stages.core.topology.bars import UNIT, finite_bars
from stages.core.topology.summaries import SUMMARIES

DRAWN_CLASSES = 4
DRAWN_BARS = 150  # of each noise level and dimension in diagrams.csv
QUANTITIES = {
    "total_persistence": f"total persistence ({UNIT})",
    "max_persistence": f"longest bar ({UNIT})",
    "mean_death": f"mean death ({UNIT})",
}
LEGEND_INCHES = 0.7


def draw(diagrams: Path, folder: Path) -> None:
    """Draw, from the folder that `persistence` wrote, diagrams of some classes and the summaries.

    diagrams.csv, of the sample of all classes, is drawn by DVC.
    """
    file = diagrams / "summaries.parquet"
    source = read_diagrams(diagrams / "diagrams.parquet")
    members = read_members(diagrams / "clouds.parquet", source)
    summaries, about = read_parquet(file, SUMMARIES, "persistence")
    require_same(about["diagrams"], source.content, file, "the diagrams", "persistence")

    write_csv(folder / "diagrams.csv", drawn_bars(source.bars))
    images = members.loc[members["part"] == WHOLE, "group"].value_counts()
    figure = classes_figure(source.bars, summaries, images)
    save_figure(figure, folder / "diagrams_classes.png")
    figure = summaries_figure(summaries[summaries["draw"] == 0], ALL)
    save_figure(figure, folder / "summaries.png")


def drawn_bars(diagrams: Mapping[CloudKey, Sequence[np.ndarray]]) -> pd.DataFrame:
    """Up to DRAWN_BARS finite bars of `all` for each noise and dim, of draw 0.

    diagrams: {cloud: its diagrams, (m, 2) by dimension}. The bars are chosen at random, except
    that the longest is always among them: it lies farthest from the diagonal, where a reader
    looks first.
    """
    tables = []
    for key, by_dim in diagrams.items():
        if key != CloudKey(ALL, key.noise):
            continue
        for dim, diagram in enumerate(by_dim):
            bars = generator_for(0, "drawn bars", key.noise, dim).permutation(finite_bars(diagram))
            length = bars[:, 1] - bars[:, 0]
            longest_first = np.argsort(length < length.max(initial=0.0), kind="stable")
            birth, death = bars[longest_first[:DRAWN_BARS]].T
            tables.append(
                pd.DataFrame({"noise": key.noise, "dim": dim, "birth": birth, "death": death})
            )
    return pd.concat(tables).sort_values(["noise", "dim", "birth", "death"])


def classes_figure(
    diagrams: Mapping[CloudKey, Sequence[np.ndarray]],
    summaries: pd.DataFrame,
    images: Mapping[str, int],
) -> Figure:
    """The diagrams of DRAWN_CLASSES classes at every level; images: {class: how many}."""
    levels = sorted(summaries["noise"].unique())
    top = homology_group(summaries["dim"].max())
    return diagrams_figure(
        "Persistence diagrams of classes (finite bars), from the least to the most total "
        f"{top} persistence when clean",
        {
            f"{name} ({images[name]} images)": {
                f"noise {level:g}": diagrams[CloudKey(name, level)] for level in levels
            }
            for name in spread_classes(summaries, DRAWN_CLASSES)
        },
        side=2.6,
    )


def spread_classes(summaries: pd.DataFrame, count: int) -> list[str]:
    """`count` classes from the least to the most persistence of the top dimension when clean."""
    top = (
        summaries[
            (summaries["noise"] == 0.0)
            & (summaries["dim"] == summaries["dim"].max())
            & (summaries["group"] != ALL)
        ]
        .sort_values("total_persistence", kind="stable")["group"]
        .tolist()
    )
    places = np.linspace(0, len(top) - 1, min(count, len(top))).round().astype(int)
    return [top[place] for place in places]


def diagrams_figure(
    title: str, rows: Mapping[str, Mapping[str, Sequence[np.ndarray]]], side: float = 3.2
) -> Figure:
    """Persistence diagrams in a grid with shared axes.

    rows: {label of a row: {title of a panel: diagrams by dimension}}, the same panels a row.
    Finite bars alone are drawn. The death axis starts below the earliest death: no pair of unit
    vectors is close to another, and from 0 the bars would fill a corner of the panel.
    """
    drawn = {
        label: {name: [finite_bars(bars) for bars in by_dim] for name, by_dim in panels.items()}
        for label, panels in rows.items()
    }
    deaths = np.concatenate(
        [bars for panels in drawn.values() for by_dim in panels.values() for bars in by_dim]
    )[:, 1]
    latest = 1.03 * deaths.max(initial=0.0) or 1.0
    earliest = 0.95 * deaths.min(initial=latest)
    limits = [-0.05 * latest, latest, earliest, latest]
    columns = len(next(iter(drawn.values())))
    width = side * columns + 1.5
    # Beside the legend, which is at the right, and as far from the left.
    title = wrapped(title, width - 2 * LEGEND_INCHES)
    figure, grid = new_figure(
        width,
        side * len(drawn) + 0.6 + 0.2 * len(title.splitlines()),
        len(drawn),
        columns,
        squeeze=False,
        sharex=True,
        sharey=True,
    )
    for (label, panels), line in zip(drawn.items(), grid, strict=True):
        for (name, by_dim), axes in zip(panels.items(), line, strict=True):
            _draw_diagrams(axes, by_dim, limits)
            axes.set(title=name if axes in grid[0] else "", xlabel="", ylabel="")
        line[0].set_ylabel(wrapped(short_name(label, 34), side, 10))
    # Beside the panels: where points lie in them depends on the model.
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside right upper", markerscale=2)
    figure.suptitle(title)
    figure.supxlabel(f"birth ({UNIT}); dashed: death = birth", fontsize=10)
    figure.supylabel(f"death ({UNIT})", fontsize=10)
    return figure


def _draw_diagrams(axes: Axes, by_dim: list[np.ndarray], limits: list[float]) -> None:
    with plt.rc_context():  # persim resets every setting of Matplotlib
        persim.plot_diagrams(
            by_dim,
            labels=[homology_group(dim) for dim in range(len(by_dim))],
            xy_range=limits,
            size=9,
            legend=False,
            ax=axes,
        )
    axes.set_aspect("auto")
    axes.lines[0].set(xdata=limits[:2], ydata=limits[:2], linewidth=1)
    for collection, colour in zip(axes.collections, COLOURS, strict=False):
        collection.set(color=colour, alpha=0.6)


def summaries_figure(summaries: pd.DataFrame, overall: str) -> Figure:
    """What the diagrams come to against the noise level, a row per dimension.

    summaries: columns group, noise, dim and QUANTITIES, of one draw. A thin line is a class,
    the thick one their median, the band holds the middle half of them. The group `overall` is
    drawn apart, and not for the total, which grows with its number of points.
    """
    dims = sorted(summaries["dim"].unique())
    figure, grid = new_figure(11, 3.1 * len(dims) + 1.1, len(dims), len(QUANTITIES), squeeze=False)
    for dim, line in zip(dims, grid, strict=True):
        of_dim = summaries[summaries["dim"] == dim]
        for (quantity, label), axes in zip(QUANTITIES.items(), line, strict=True):
            by_class = by_level(of_dim[of_dim["group"] != overall], quantity, "group")
            draw_spread(axes, by_class, COLOURS[0], "classes")
            if quantity != "total_persistence":
                of_all = by_level(of_dim[of_dim["group"] == overall], quantity, "group")
                axes.plot(
                    of_all.index, of_all, "--s", color=COLOURS[5], label="sample of all classes"
                )
            level_axis(axes, by_class.index)
            axes.set(ylabel=label, title=f"{homology_group(dim)}: {quantity.replace('_', ' ')}")
    handles, labels = grid[0, -1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(handles))
    counted = by_class.shape[1]
    figure.suptitle(f"Vietoris-Rips diagrams of {counted} classes (thin lines) by noise level")
    return figure
