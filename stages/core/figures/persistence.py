"""Pictures of persistence diagrams and of their summaries."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from stages.core.artifacts.diagrams import ALL, WHOLE, CloudKey, read_diagrams, read_members
from stages.core.artifacts.tables import read_parquet, require_same
from stages.core.claims.bars import TABLES
from stages.core.figures.ground import foot_of
from stages.core.figures.levels import by_level, draw_spread, level_axis, level_name
from stages.core.figures.study import Study
from stages.core.figures.style import (
    COLOURS,
    MARKERS,
    REFERENCE,
    homology_group,
    new_figure,
    not_applicable,
    save_figure,
    short_name,
    wrapped,
)
from stages.core.runtime.files import write_csv
from stages.core.runtime.progress import progress
from stages.core.runtime.randomness import generator_for
from stages.core.topology.bars import UNIT, finite_bars
from stages.core.topology.metrics import metric_of
from stages.core.topology.summaries import SUMMARIES

DRAWN_CLASSES = 100
MOST_COLUMNS = 8
LEGEND_INCHES = 1.8
DRAWN_BARS = 150  # of each noise level and dimension in diagrams.csv
QUANTITIES = {
    "mean_death": "mean death",
    "max_persistence": "longest bar",
    "total_persistence": "total persistence",
}
# All bars of H0 are born at 0, so that their total is the mean death times their number.
OF_LOOPS = ("total_persistence",)


def draw(study: Study, folder: Path, diagrams: Path, claims: Path) -> None:
    """Draw the diagrams of classes and the summaries, from what `persistence` wrote.

    claims: the folder that `claims` wrote, of which the longest bars of null clouds are drawn too.
    diagrams.csv, of the sample of all classes, is drawn by DVC.
    """
    file = diagrams / "summaries.parquet"
    source = read_diagrams(diagrams / "diagrams.parquet")
    members = read_members(diagrams / "clouds.parquet", source)
    summaries, about = read_parquet(file, SUMMARIES, "persistence")
    require_same(about["diagrams"], source.content, file, "the diagrams", "persistence")
    bars = read_parquet(claims / "bars.parquet", TABLES["bars"], "claims")
    require_same(bars.about["run"], source.run, claims / "bars.parquet", "the diagrams", "claims")

    unit, foot = metric_of(source.ground).unit, foot_of(study, source.ground)
    write_csv(folder / "diagrams.csv", drawn_bars(source.bars))
    images = members.loc[members["part"] == WHOLE, "group"].value_counts().drop(ALL).to_dict()
    levels = sorted(summaries["noise"].unique())
    names = spread_classes(summaries, DRAWN_CLASSES)
    limit = latest_death(source.bars, names, (levels[0], levels[-1]))
    for name, level in progress((("clean", levels[0]), ("noisiest", levels[-1])), "diagrams"):
        of_level = {group: source.bars[CloudKey(group, level)] for group in names}
        null = bars.rows[bars.rows["noise"] == level].set_index("class")["longest_null"].dropna()
        figure = (
            not_applicable("there is no noise level above 0")
            if name == "noisiest" and level == 0
            else diagrams_figure(of_level, level, null.to_dict(), images, limit, unit)
        )
        save_figure(figure, folder / f"diagrams_{name}.png", foot)
    figure = summaries_figure(summaries[summaries["draw"] == 0], ALL, unit)
    save_figure(figure, folder / "summaries.png", foot)


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


def spread_classes(summaries: pd.DataFrame, count: int) -> list[str]:
    """All classes in their order; of more than `count` as many, of every size of diagram.

    They are spread evenly from the least to the most persistence of the top dimension when clean.
    """
    top = summaries[
        (summaries["noise"] == 0.0)
        & (summaries["dim"] == summaries["dim"].max())
        & (summaries["group"] != ALL)
    ]
    ranked = top.sort_values("total_persistence", kind="stable")["group"].tolist()
    places = np.linspace(0, len(ranked) - 1, min(count, len(ranked))).round().astype(int)
    chosen = {ranked[place] for place in places}
    return [name for name in top["group"] if name in chosen]


def latest_death(
    diagrams: Mapping[CloudKey, Sequence[np.ndarray]], names: Sequence[str], levels: Sequence[float]
) -> float:
    """The end of the axes of all diagrams of some classes and levels."""
    deaths = [
        finite_bars(bars)[:, 1].max(initial=0.0)
        for name in names
        for level in levels
        for bars in diagrams[CloudKey(name, level)]
    ]
    return 1.05 * max(deaths) or 1.0


def diagrams_figure(
    diagrams: Mapping[str, Sequence[np.ndarray]],
    level: float,
    null: Mapping[str, float],
    images: Mapping[str, int],
    limit: float,
    unit: str = UNIT,
) -> Figure:
    """The persistence diagrams of classes at a level, a panel each, all with the same axes.

    diagrams: {class: its diagrams by dimension}, of which finite bars are drawn. null: {class: the
    longest H1 bar of its null clouds}, of those that have one. images: {class: how many there are},
    of all classes. limit: where the axes of birth and death end; both begin at 0. unit: of both.
    """
    columns = min(MOST_COLUMNS, math.ceil(math.sqrt(1.5 * len(diagrams))))
    rows = math.ceil(len(diagrams) / columns)
    side = max(1.5, 5.4 / columns)
    dims = range(max(map(len, diagrams.values())))
    width = side * columns + LEGEND_INCHES + 0.4
    # Beside the legend, which is at the right, and as far from the left.
    title = _diagrams_title(len(diagrams), images, level)
    title = wrapped(title, width - 2 * LEGEND_INCHES)
    figure, grid = new_figure(
        width,
        (side + 0.2) * rows + 0.5 + 0.2 * len(title.splitlines()),
        rows,
        columns,
        squeeze=False,
    )
    for axes in grid.flat[len(diagrams) :]:
        axes.set_axis_off()
    for axes, (name, by_dim) in zip(grid.flat, diagrams.items(), strict=False):
        _draw_diagram(axes, by_dim, null.get(name), limit)
        axes.set_title(short_name(name, max(int(10 * side), 8)), fontsize=9, pad=2)
    # All have the same limits. Axes that share them would look at one another at every step, which
    # takes longer than all else for dozens of them.
    for place, axes in enumerate(grid.flat[: len(diagrams)]):
        last = place >= len(diagrams) - columns  # also above a place that is left empty
        axes.tick_params(labelbottom=last, labelleft=place % columns == 0)
    look: dict[str, Any] = {"linestyle": "", "markersize": 5, "alpha": 0.7}
    handles = [
        Line2D([], [], marker=MARKERS[dim], color=COLOURS[dim], label=homology_group(dim), **look)
        for dim in dims
    ]
    handles.append(Line2D([], [], color=REFERENCE, linewidth=0.8, label="death = birth"))
    if null:
        said = f"longest bar of {homology_group(1)}\nin a null cloud\n(median of its clouds)"
        handles.append(Line2D([], [], color=COLOURS[2], linestyle="--", linewidth=1, label=said))
    figure.legend(handles=handles, loc="outside right upper", fontsize=9)
    figure.suptitle(title)
    figure.supxlabel(f"birth ({unit})", fontsize=10)
    figure.supylabel(f"death ({unit})", fontsize=10)
    return figure


def _diagrams_title(drawn: int, images: Mapping[str, int], level: float) -> str:
    counts = sorted(set(images.values()))
    each = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else str(counts[0])
    of = f"{drawn} classes"
    if drawn < len(images):
        of = f"{drawn} of {len(images)} classes, from the least to the most persistence"
    return f"Persistence diagrams of {of}, {each} images each, {level_name(level)}: finite bars"


def _draw_diagram(
    axes: Axes, by_dim: Sequence[np.ndarray], null: float | None, limit: float
) -> None:
    axes.plot([0, limit], [0, limit], color=REFERENCE, linewidth=0.8)
    if null is not None:
        axes.plot([0, limit], [null, limit + null], "--", color=COLOURS[2], linewidth=1)
    for dim, bars in enumerate(by_dim):
        birth, death = finite_bars(bars).T
        axes.scatter(
            birth,
            death,
            s=7,
            marker=MARKERS[dim],
            color=COLOURS[dim],
            alpha=0.6,
            linewidth=0,
            clip_on=False,
        )
    axes.set(xlim=(0, limit), ylim=(0, limit), aspect="equal")
    axes.locator_params(nbins=3)
    axes.tick_params(labelsize=8)


def summaries_figure(summaries: pd.DataFrame, overall: str, unit: str = UNIT) -> Figure:
    """What the diagrams come to against the noise level, a row per dimension.

    summaries: columns group, noise, dim and QUANTITIES, of one draw. A thin line is a class,
    the thick one their median, the band holds the middle half of them. The group `overall` is
    drawn apart, and not for the total, which grows with its number of points. A quantity has the
    same axis in every dimension. In H0, whose bars are all born at 0, the total is the mean death
    times their number: the legend stands in its place. unit: of all quantities.
    """
    dims = sorted(summaries["dim"].unique())
    figure, grid = new_figure(
        11, 3.1 * len(dims) + 0.7, len(dims), len(QUANTITIES), squeeze=False, sharey="col"
    )
    for dim, line in zip(dims, grid, strict=True):
        of_dim = summaries[summaries["dim"] == dim]
        for (quantity, label), axes in zip(QUANTITIES.items(), line, strict=True):
            if dim == 0 and quantity in OF_LOOPS:
                axes.set_axis_off()
                continue
            by_class = by_level(of_dim[of_dim["group"] != overall], quantity, "group")
            draw_spread(axes, by_class, COLOURS[0], "classes")
            if quantity not in OF_LOOPS:
                of_all = by_level(of_dim[of_dim["group"] == overall], quantity, "group")
                axes.plot(
                    of_all.index, of_all, "--s", color=COLOURS[1], label="sample of all classes"
                )
            level_axis(axes, by_class.index)
            axes.set_ylabel(f"{label} ({unit})")
            axes.set_title(f"{homology_group(dim)}: {label}")
    for axes in grid[-1]:  # once all is drawn that shares an axis
        axes.set_ylim(bottom=0)
    handles, labels = grid[0, 0].get_legend_handles_labels()
    grid[0, -1].legend(handles, labels, loc="center")
    counted = by_level(summaries[summaries["group"] != overall], "mean_death", "group").shape[1]
    figure.suptitle(f"Vietoris-Rips diagrams of {counted} classes (thin lines) by noise level")
    return figure
