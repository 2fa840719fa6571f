"""Pictures of many runs: their verdicts side by side, and what they say together."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from stages.core.across.pooled import SHORTFALL
from stages.core.claims.finding import SIGNIFICANCE
from stages.core.claims.question import RIVAL, TOPOLOGY
from stages.core.evaluation.statistics import percent
from stages.core.evaluation.verdicts import FAILS, HOLDS, NOT_APPLICABLE, UNDECIDED
from stages.core.figures.heatmaps import CELL_INCHES, LABEL_POINTS, MOST_NAMES
from stages.core.figures.question import PANELS, measure_label
from stages.core.figures.style import COLOURS, GREY, REFERENCE, new_figure, room_for, wrapped
from stages.core.runtime.wording import classes_of, count

# {verdict: (colour, sign)}; the sign tells it with any colour vision, and on paper.
VERDICTS = {
    HOLDS: ("#0072B2", "+"),
    FAILS: ("#D55E00", "\N{MINUS SIGN}"),
    UNDECIDED: ("#f0e0a0", "?"),
    NOT_APPLICABLE: ("#e8e8e8", ""),
}
LONGEST_STATEMENT = 120  # characters; the end of a longer one is left out
# {kind of measure: (its colour, its name)}
SHOWN = {
    TOPOLOGY: (COLOURS[0], "topological measures"),
    RIVAL: (COLOURS[1], "simpler label-free scores"),
}


def verdicts(table: pd.DataFrame, runs: Sequence[str]) -> Figure:
    """A cell per claim and run, coloured by its verdict.

    table: run, number, claim, statement, verdict; a run without a claim leaves its cell white.
    runs: their names in the order of the columns, of which the first MOST_NAMES are shown.
    """
    shown = list(runs)[:MOST_NAMES]
    claims = table.drop_duplicates("claim").sort_values("number", kind="stable")
    wide = table.pivot_table(index="claim", columns="run", values="verdict", aggfunc="first")
    wide = wide.reindex(index=claims["claim"], columns=shown)
    names = [
        f"{row.number}  {_cut(row.statement)}"
        for row in claims[["number", "statement"]].itertuples()
    ]
    left, below = room_for(names, LABEL_POINTS), room_for(shown, LABEL_POINTS)
    width = left + 0.4 + CELL_INCHES * max(len(shown), 12)
    height = below + 1.1 + CELL_INCHES * len(names)
    figure, axes = new_figure(width, height)
    codes = wide.replace({verdict: i for i, verdict in enumerate(VERDICTS)})
    colours = ListedColormap([colour for colour, _ in VERDICTS.values()])
    cells = np.ma.masked_invalid(codes.to_numpy(dtype=np.float64, na_value=np.nan))
    norm = BoundaryNorm(np.arange(len(VERDICTS) + 1) - 0.5, len(VERDICTS))
    axes.pcolormesh(cells, cmap=colours, norm=norm, edgecolors="white", linewidth=1)
    for (row, column), verdict in np.ndenumerate(wide.to_numpy()):
        _, sign = VERDICTS.get(verdict, ("", ""))
        axes.text(
            column + 0.5,
            row + 0.5,
            sign,
            ha="center",
            va="center",
            fontsize=LABEL_POINTS,
            color="black" if verdict == UNDECIDED else "white",
        )
    axes.set_xticks(np.arange(len(shown)) + 0.5, shown, rotation=90, fontsize=LABEL_POINTS)
    axes.set_yticks(np.arange(len(names)) + 0.5, names, fontsize=LABEL_POINTS)
    axes.invert_yaxis()
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    numbers = claims["number"].to_numpy()
    for place in np.flatnonzero(np.diff(numbers)) + 1:  # between two claims
        axes.axhline(place, color=GREY, linewidth=1)
    handles = [
        Patch(facecolor=colour, label=f"{verdict} {sign}".strip())
        for verdict, (colour, sign) in VERDICTS.items()
    ]
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles), frameon=False)
    if len(shown) < len(runs):
        axes.set_title(f"the first {len(shown)} of {len(runs)} runs", loc="left")
    return figure


def _cut(statement: str) -> str:
    statement = statement.removeprefix("across classes, ")
    if len(statement) <= LONGEST_STATEMENT:
        return statement
    return f"{statement[: LONGEST_STATEMENT - 1]}…"


def question(effects: pd.DataFrame, pooled: pd.DataFrame, confidence: str) -> Figure:
    """Each measure's rank correlation with the loss of accuracy: in every run, and pooled.

    effects: a row per run, measure and whether the plain measures are controlled for, of which runs
    that are not pooled are left out; pooled: the same of all runs together, with its intervals.
    Rivals stand below the topological measures.
    """
    effects = effects[effects["pooled"]]
    kinds = pooled.drop_duplicates("measure").set_index("measure")["kind"]
    measures = [each for kind in SHOWN for each in sorted(kinds.index[kinds == kind])]
    topological = int((kinds.reindex(measures) == TOPOLOGY).sum())
    width = 12.0
    figure, grid = new_figure(width, 2.6 + 0.36 * len(measures), 1, len(PANELS), sharey=True)
    for axes, (controlled, (title, _)) in zip(grid, PANELS.items(), strict=True):
        _draw_effects(axes, effects[effects["controlled"] == controlled], measures)
        for kind in SHOWN:
            if kind not in set(kinds):
                continue
            rows = pooled[(pooled["controlled"] == controlled) & (pooled["kind"] == kind)]
            _draw_pooled(axes, rows.set_index("measure").reindex(measures), kind)
        axes.axvline(0, color=REFERENCE, linestyle="--", linewidth=1)
        for place in range(1, len(measures)):
            between = place == topological
            axes.axhline(
                place - 0.5,
                color=GREY if between else plt.rcParams["grid.color"],
                linewidth=1.2 if between else 0.8,
            )
        axes.grid(False, axis="y")
        axes.set_title(title)
        axes.set_xlabel("Spearman's rho over classes, mean over noise levels")
        axes.set(xlim=(-1, 1), xticks=np.linspace(-1, 1, 5))
    grid[0].set_yticks(range(len(measures)), [measure_label(each) for each in measures])
    grid[0].set_ylim(len(measures) - 0.5, -0.5)
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    runs = count(int(pooled["runs"].max()), "run")
    classes = classes_of(int(pooled["classes"].max()))
    title = (
        f"Does topological change follow the loss of accuracy? {runs}, {classes}; "
        f"thick: {confidence} interval over classes, "
        f"thin: over classes and runs; filled: p at most {percent(SIGNIFICANCE)} after Holm's "
        "correction, classes permuted in all runs together; controlled for, of a rho larger by "
        f"more than {SHORTFALL} than the plain measures make it"
    )
    figure.suptitle(wrapped(title, width - 0.5, 11), fontsize=11)
    return figure


def _draw_effects(axes: Axes, effects: pd.DataFrame, measures: list[str]) -> None:
    """A faint mark for each run."""
    places = {measure: place for place, measure in enumerate(measures)}
    rows = effects[effects["measure"].isin(places)]
    heights = rows["measure"].map(places) + 0.22
    axes.plot(rows["rho"], heights, "|", color=GREY, alpha=0.6, markersize=6, label="a run")


def _draw_pooled(axes: Axes, rows: pd.DataFrame, kind: str) -> None:
    colour, called = SHOWN[kind]
    places = np.arange(len(rows)) - 0.12
    axes.hlines(places, rows["low_runs"], rows["high_runs"], color=colour, linewidth=1)
    axes.hlines(places, rows["low"], rows["high"], color=colour, linewidth=3)
    significant = (rows["p_holm"] <= SIGNIFICANCE).to_numpy()
    for filled, face in ((False, "white"), (True, colour)):
        here = significant == filled
        axes.plot(
            rows["rho"].to_numpy()[here],
            places[here],
            "o",
            color=colour,
            markerfacecolor=face,
            label=f"pooled, {called}" if filled else None,
        )


def prediction(errors: pd.DataFrame, gains: pd.DataFrame, confidence: str) -> Figure:
    """Errors of prediction by what it was made from, and what topology takes off them.

    errors: a row per run, what was left out and set of measures; gains: a row per what was left out
    and set of measures that topology is added to.
    """
    sets = list(dict.fromkeys(errors["features"]))
    width = 12.0
    figure, (left, right) = new_figure(width, 2.2 + 0.45 * len(sets), 1, 2)
    ways = list(dict.fromkeys(errors["left_out"]))
    for way, offset, colour in zip(ways, (-0.15, 0.15), COLOURS, strict=False):
        of_way = errors[errors["left_out"] == way]
        places = of_way["features"].map({each: place for place, each in enumerate(sets)}) + offset
        left.plot(100 * of_way["mae"], places, "|", color=colour, alpha=0.5, markersize=7)
        means = 100 * of_way.groupby("features")["mae"].mean().reindex(sets)
        label = f"a {way} left out: mean over runs"
        left.plot(means, np.arange(len(sets)) + offset, "o", color=colour, label=label)
    left.set_yticks(range(len(sets)), sets)
    left.set_ylim(len(sets) - 0.5, -0.5)
    left.set_xlim(left=0)
    left.set_xlabel("mean absolute error of the predicted loss, points of accuracy")
    left.set_title("error, by the measures that it is predicted from")
    left.grid(False, axis="y")
    names = [f"beside {row.without}, a {row.left_out} left out" for row in gains.itertuples()]
    places = np.arange(len(names))
    colours = [COLOURS[ways.index(way)] for way in gains["left_out"]]
    right.hlines(places, 100 * gains["low"], 100 * gains["high"], color=colours, linewidth=3)
    for place, (gain, colour) in enumerate(zip(gains["gain"], colours, strict=True)):
        right.plot(100 * gain, place, "o", color=colour)
    right.axvline(0, color=REFERENCE, linestyle="--", linewidth=1)
    right.set_yticks(places, names)
    right.set_ylim(len(names) - 0.5, -0.5)
    right.set_xlabel("error without topology less that with it, points")
    right.set_title(f"what topology takes off the error ({confidence} interval)")
    right.grid(False, axis="y")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure
