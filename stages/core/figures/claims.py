"""A picture for each claim, of the table of that name that `claims` wrote."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.core.artifacts.diagrams import BASELINES, COMPARISONS
from stages.core.artifacts.tables import read_parquet
from stages.core.claims.finding import CLOSEST_SHARE, NO_NOISE
from stages.core.claims.growth import ABOVE
from stages.core.claims.neighbours import SPACES
from stages.core.claims.registry import TABLES
from stages.core.evaluation.classification import CLASSIFIERS
from stages.core.evaluation.statistics import percent
from stages.core.figures.levels import by_level, draw_spread, level_axis
from stages.core.figures.style import (
    COLOURS,
    MARKERS,
    homology_group,
    new_figure,
    not_applicable,
    pair_names,
    room_for,
    save_figure,
    short_name,
    wrapped,
)
from stages.core.topology.bars import UNIT

MOST_PAIRS = 20  # in a picture; the tables hold all

_by_class = partial(by_level, of="class")


@dataclass(frozen=True)
class Picture:
    """How a table is drawn: (table, confidence of its intervals) -> Figure.

    nothing: what the picture says of a table without rows.
    """

    figure_of: Callable[[pd.DataFrame, str], Figure]
    nothing: str


def draw(claims: Path, folder: Path) -> None:
    """Draw every picture from the folder that `claims` wrote."""
    for name, picture in PICTURES.items():
        table, about = read_parquet(claims / f"{name}.parquet", TABLES[name], "claims")
        figure = (
            not_applicable(picture.nothing)
            if table.empty
            else picture.figure_of(table, percent(float(about["confidence"])))
        )
        save_figure(figure, folder / f"{name}.png")


def neighbours(table: pd.DataFrame, confidence: str) -> Figure:
    """Claim 1: both ranks of each pair at every seed, a panel per space, a line per direction."""
    table = table.set_index(["class_a", "class_b"])
    pairs = list(dict.fromkeys(table.index))
    drawn = [(pair, rank) for pair in pairs[:MOST_PAIRS] for rank in ("rank_of_a", "rank_of_b")]
    names = [map(short_name, pair if rank == "rank_of_a" else pair[::-1]) for pair, rank in drawn]
    labels = [f"{name}\nfrom {other}" for name, other in names]
    width = 8.5 + room_for(line for label in labels for line in label.splitlines())
    figure, grid = new_figure(width, 1.7 + 0.42 * len(drawn), 1, len(SPACES), sharey=True)
    others = int(table["others"].iloc[0])
    for axes, (space, title), colour in zip(grid, SPACES.items(), COLOURS, strict=False):
        of_space = table[table["space"] == space]
        for row, (pair, rank) in enumerate(drawn):
            ranks = of_space.loc[[pair], rank].to_numpy()
            spread = row + np.linspace(-0.22, 0.22, len(ranks))
            axes.plot(ranks, spread, "o", color=colour, alpha=0.6, markersize=4)
            axes.vlines(ranks.mean(), row - 0.32, row + 0.32, color=colour, linewidth=2)
        for row in range(2, len(drawn), 2):  # between two pairs
            axes.axhline(row - 0.5, color=plt.rcParams["grid.color"], linewidth=1)
        axes.axvline((others + 1) / 2, color=COLOURS[7], linestyle="--")
        axes.set(title=title.removeprefix("the "), xlim=(0, others + 1))
        axes.set_xticks(np.unique(np.linspace(1, others, min(others, 5)).round()))
        axes.grid(False, axis="y")
    grid[0].set_yticks(range(len(drawn)), labels, fontsize=9)
    grid[0].set_ylim(len(drawn) - 0.5, -0.5)
    said = (
        f"rank among the {others} other classes, 1 is nearest; a point for each of "
        f"{table['seed'].nunique()} seeds, bar: their mean, dashed: mean rank by chance"
    )
    figure.supxlabel(wrapped(said, width, 10), fontsize=10)
    title = "Claim 1. Do these classes lie with each other? Clean images"
    figure.suptitle(wrapped(title + _how_many(len(pairs)), width), fontsize=11)
    return figure


def _how_many(pairs: int) -> str:
    """What a title adds where not all pairs are drawn."""
    return f"; the first {MOST_PAIRS} of {pairs:,} pairs" if pairs > MOST_PAIRS else ""


def closest_pairs(table: pd.DataFrame, confidence: str) -> Figure:
    """Claim 2: where the claimed pairs stand among all, by smallest angle."""
    drawn = table.head(MOST_PAIRS)
    names = pair_names(drawn)
    width = 7.2 + room_for(names, 10)
    figure, axes = new_figure(width, 1.9 + 0.7 * len(drawn))
    for row, found in enumerate(drawn.itertuples()):
        axes.plot([100 * found.low, 100 * found.high], [row, row], color=COLOURS[0], linewidth=2)
        axes.plot(100 * found.percentile_rank, row, "o", color=COLOURS[0])
        axes.annotate(
            f"{found.smallest_deg:.2f} degrees, {found.shuffled_deg:.2f} with shuffled labels",
            (100 * found.percentile_rank, row),
            (0, 7),
            textcoords="offset points",
            ha="right" if found.percentile_rank > 0.5 else "left",
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},  # over the dashed line
        )
    axes.axvline(100 * CLOSEST_SHARE, color=COLOURS[7], linestyle="--")
    axes.text(
        100 * CLOSEST_SHARE, -0.62, f" the closest {percent(CLOSEST_SHARE)}", fontsize=9, va="top"
    )
    axes.set_yticks(range(len(drawn)), names)
    axes.set_ylim(len(drawn) - 0.4, -0.8)
    axes.set_xlim(-1, 101)
    axes.grid(False, axis="y")
    axes.set_xlabel(
        f"share of the {table['pairs'].iloc[0]:,} pairs that are at least as close (%); "
        f"line: {confidence} over halves of the images"
    )
    title = "Claim 2. Are these among the closest pairs by smallest principal angle? Clean images"
    figure.suptitle(wrapped(title + _how_many(len(table)), width), fontsize=11)
    return figure


def bars(table: pd.DataFrame, confidence: str) -> Figure:
    """Claims 3 and 4: gaps of H0 and, where it was computed, longest bars of H1."""
    panels = 1 if table["longest_bar"].isna().all() else 2
    figure, grid = new_figure(6.2 * panels, 4.6, 1, panels, squeeze=False)
    axes = grid[0, 0]
    draw_spread(axes, _by_class(table, "gap"), COLOURS[0], "classes")
    draw_spread(
        axes,
        _by_class(table, "gap_null"),
        COLOURS[1],
        "largest of a class's null clouds",
        False,
    )
    level_axis(axes, table["noise"])
    axes.set(ylabel="(last death - the one before) / the one before", ylim=(0, None))
    axes.set_title("Claim 3. H₀: does the last component stand apart?")
    axes.legend(fontsize=8)
    if panels == 2:
        _draw_loops_against_null(grid[0, 1], table, confidence)
    figure.suptitle(
        f"Diagrams of {table['class'].nunique()} classes beside clouds without structure"
    )
    return figure


def _draw_loops_against_null(axes: Axes, table: pd.DataFrame, confidence: str) -> None:
    draw_spread(axes, _by_class(table, "longest_bar"), COLOURS[0], "classes")
    draw_spread(axes, _by_class(table, "longest_null"), COLOURS[1], "null clouds", thin=False)
    longest = table[["longest_bar", "longest_null"]].to_numpy().max()
    if table["band"].min() < 2 * longest:
        draw_spread(axes, _by_class(table, "band"), COLOURS[2], f"{confidence} band", thin=False)
    else:  # drawn to scale it would flatten the bars
        axes.plot([], [], " ", label=f"{confidence} band: {table['band'].median():.3g} (median)")
    level_axis(axes, table["noise"])
    axes.set(ylabel=f"longest bar of H₁ ({UNIT})", ylim=(0, None))
    axes.set_title("Claim 4. H₁: is there a loop that persists?")
    axes.legend(fontsize=8, loc="upper right")


def loops(table: pd.DataFrame, confidence: str) -> Figure:
    """Claim 5: spread and mean death of the points of H1 by noise level."""
    figure, grid = new_figure(10.5, 4.4, 1, 2)
    for axes, column, label, title in (
        (grid[0], "spread", f"spread of (birth, death) ({UNIT})", "do they clump together?"),
        (grid[1], "mean_death", f"mean death ({UNIT})", "do they die sooner?"),
    ):
        draw_spread(axes, _by_class(table, column), COLOURS[0], "classes")
        level_axis(axes, table["noise"])
        axes.set(ylabel=label, title=title)
    grid[1].legend(fontsize=9)
    figure.suptitle(f"Claim 5. The points of H₁ of {table['class'].nunique()} classes under noise")
    return figure


def growth(table: pd.DataFrame, confidence: str) -> Figure:
    """Claim 6: how many classes lie above their baselines, by noise level."""
    figure, grid = new_figure(10.5, 4.6, 1, len(ABOVE), sharey=True)
    for axes, (column, comparison) in zip(grid, ABOVE.items(), strict=True):
        baseline = COMPARISONS[BASELINES[comparison]]
        for i, ((metric, dim), rows) in enumerate(table.groupby(["metric", "dim"])):
            axes.plot(
                rows["noise"],
                100 * rows[column],
                color=COLOURS[i],
                marker=MARKERS[i],
                label=f"{metric.capitalize()}, {homology_group(dim)}",
            )
        axes.axhline(50, color=COLOURS[7], linestyle="--", label="half of the classes")
        if table[column].isna().all():
            axes.text(0.5, 0.6, "no such comparison", ha="center", transform=axes.transAxes)
        level_axis(axes, table["noise"])
        axes.set(title=f"farther than {baseline.label}", ylim=(-3, 103))
    grid[0].set_ylabel("share of classes (%)")
    figure.legend(*grid[1].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    figure.suptitle(
        f"Claim 6. In how many of {table['classes'].max()} classes do diagrams move farther than "
        "their baselines?"
    )
    return figure


def accuracy_steps(table: pd.DataFrame, confidence: str) -> Figure:
    """Claim 7: each step's drop of accuracy, with its interval."""
    steps = list(dict.fromkeys(zip(table["from_noise"], table["to_noise"], strict=True)))
    figure, axes = new_figure(8.5, 1.9 + 0.65 * len(steps))
    present = [key for key in CLASSIFIERS if key in set(table["classifier"])]
    for place, key in enumerate(present):
        rows = table[table["classifier"] == key]
        drops, low, high = (100 * rows[column].to_numpy() for column in ("drop", "low", "high"))
        look = list(CLASSIFIERS).index(key)  # the same, whichever others there are
        axes.errorbar(
            drops,
            np.arange(len(rows)) + 0.2 * (place - (len(present) - 1) / 2),
            xerr=[drops - low, high - drops],
            fmt=MARKERS[look],
            color=COLOURS[look],
            capsize=3,
            label=CLASSIFIERS[key].label,
        )
    axes.axvline(0, color=COLOURS[7], linestyle="--")
    axes.set_yticks(range(len(steps)), [f"{before:.2f} to {after:.2f}" for before, after in steps])
    axes.set_ylim(len(steps) - 0.5, -0.5)
    axes.grid(False, axis="y")
    axes.set_ylabel("noise level")
    axes.set_xlabel(f"drop of top-1 accuracy (percentage points), joint {confidence} intervals")
    axes.set_title(
        f"Claim 7. Does accuracy fall at every step? {table['images'].max():,} test images"
    )
    figure.legend(loc="outside right upper")
    return figure


PICTURES = {
    "neighbours": Picture(neighbours, "claims.neighbours names no pair of these classes"),
    "closest_pairs": Picture(closest_pairs, "no pair of claims.pairs has angles in feature space"),
    "bars": Picture(bars, "no class has enough images"),
    "loops": Picture(loops, f"{NO_NOISE}, or no class has enough loops of H1 at every level"),
    "growth": Picture(growth, NO_NOISE),
    "accuracy_steps": Picture(accuracy_steps, NO_NOISE),
}
