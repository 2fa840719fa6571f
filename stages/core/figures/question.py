"""The picture of claim 8, the study's question, from the table `correlations` of claims."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.core.claims.finding import SIGNIFICANCE
from stages.core.claims.question import RIVAL, TOPOLOGY, name_of
from stages.core.evaluation.classification import CLASSIFIERS
from stages.core.evaluation.statistics import percent
from stages.core.figures.levels import level_name
from stages.core.figures.style import (
    COLOURS,
    MARKERS,
    REFERENCE,
    homology_group,
    new_figure,
    wrapped,
)

# {whether the plain measures are controlled for: (a panel's title, the finding's name)}
PANELS = {
    False: ("alone", "follows"),
    True: ("with the plain measures controlled for", "adds"),
}
WIDTH = 11.5


def correlations(table: pd.DataFrame, confidence: str, verdicts: Mapping[str, str]) -> Figure:
    """Each topological measure's rank correlation with the loss of accuracy, at each level.

    Below them, where there are any, their rivals. Of the first classifier that there is: zero-shot,
    where the encoder reads text.
    """
    key = next(each for each in CLASSIFIERS if each in set(table["classifier"]))
    table = table[table["kind"].isin((TOPOLOGY, RIVAL)) & (table["classifier"] == key)]
    of_kind = {
        kind: list(dict.fromkeys(table[table["kind"] == kind].sort_values("measure")["measure"]))
        for kind in (TOPOLOGY, RIVAL)
    }
    places = {measure: place for place, measure in enumerate(of_kind[TOPOLOGY])}
    first = len(places) + 1  # of the rivals, below a row for their heading
    places |= {measure: first + place for place, measure in enumerate(of_kind[RIVAL])}
    rows = max(places.values()) + 1
    figure, grid = new_figure(WIDTH, 2.3 + 0.45 * rows, 1, len(PANELS), sharey=True)
    for axes, (controlled, (title, name)) in zip(grid, PANELS.items(), strict=True):
        _draw(axes, table[table["controlled"] == controlled], places)
        verdict = verdicts.get(f"topology_{name}_{key}")
        axes.set_title(f"{title}: {verdict}" if verdict else title)
        axes.set_xlabel("Spearman's rho over classes")
        axes.set(xlim=(-1, 1), xticks=np.linspace(-1, 1, 5))
        if of_kind[RIVAL]:
            axes.axhspan(first - 1.5, first - 0.5, color="white", zorder=2)
            axes.axhline(first - 1.5, color=REFERENCE, linewidth=1, zorder=3)
    grid[0].set_yticks(list(places.values()), [measure_label(each) for each in places])
    grid[0].set_ylim(rows - 0.5, -0.5)
    if of_kind[RIVAL]:
        _head(grid[0], first - 1, verdicts.get(f"topology_beats_rivals_{key}"))
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside right upper")
    title = (
        f"Claim 8. Does topological change follow the loss of {CLASSIFIERS[key].label} accuracy? "
        f"{table['classes'].max()} classes; bar: {confidence} interval; filled: p at most "
        f"{percent(SIGNIFICANCE)} after correction for all such tests (Holm)"
    )
    figure.suptitle(wrapped(title, WIDTH - 3, 11), fontsize=11)  # beside the legend
    return figure


def _draw(axes: Axes, table: pd.DataFrame, measures: Mapping[str, int]) -> None:
    """Rhos and intervals of measures, {each: its place from above}, a colour for each level."""
    middles = np.array(list(measures.values()))
    levels = sorted(table["noise"].unique())
    offsets = np.linspace(-0.25, 0.25, len(levels)) if len(levels) > 1 else np.zeros(1)
    for i, (level, offset) in enumerate(zip(levels, offsets, strict=True)):
        rows = table[table["noise"] == level].set_index("measure").reindex(list(measures))
        places = middles + offset
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        axes.hlines(places, rows["low"], rows["high"], color=colour, linewidth=1.5)
        significant = (rows["p_holm"] <= SIGNIFICANCE).to_numpy()
        for filled, face in ((False, "white"), (True, colour)):
            here = significant == filled
            axes.plot(
                rows["rho"].to_numpy()[here],
                places[here],
                marker,
                color=colour,
                markerfacecolor=face,
                label=level_name(level) if not filled else None,
            )
    axes.axvline(0, color=REFERENCE, linestyle="--", linewidth=1)
    for row in middles[1:]:
        axes.axhline(row - 0.5, color=plt.rcParams["grid.color"], linewidth=1)
    axes.grid(False, axis="y")


def _head(axes: Axes, place: int, verdict: str | None) -> None:
    """The heading of the rivals and, within the panel, whether topology is ahead of them."""
    beside = axes.get_yaxis_transform()
    told: dict[str, Any] = {"fontsize": 10, "va": "center", "zorder": 4, "in_layout": False}
    axes.text(-0.02, place, "simpler label-free scores:", transform=beside, ha="right", **told)
    if verdict:
        axes.text(
            0.5, place, f"topology ahead of all: {verdict}", transform=beside, ha="center", **told
        )


def measure_label(measure: str) -> str:
    """A measure's name with its homology group as pictures write it."""
    name, _, dim = name_of(measure).rpartition(", H")
    return f"{name}, {homology_group(int(dim))}" if name else name_of(measure)
