"""A picture for each claim, of the table of that name that `claims` wrote, with its verdicts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stages.core.artifacts.diagrams import BASELINES, COMPARISONS
from stages.core.artifacts.ground import read_ground
from stages.core.artifacts.metrics import read_metrics
from stages.core.artifacts.tables import read_parquet
from stages.core.claims.finding import CLOSEST_SHARE, NO_NOISE
from stages.core.claims.growth import ABOVE
from stages.core.claims.neighbours import SPACES
from stages.core.claims.pairs import pair_keys
from stages.core.claims.registry import TABLES
from stages.core.evaluation.classification import CLASSIFIERS
from stages.core.evaluation.statistics import percent
from stages.core.evaluation.verdicts import VERDICTS, verdict_key
from stages.core.figures.ground import foot_of
from stages.core.figures.levels import by_level, draw_spread, level_axis
from stages.core.figures.question import correlations
from stages.core.figures.study import Study
from stages.core.figures.style import (
    COLOURS,
    MARKERS,
    REFERENCE,
    homology_group,
    new_figure,
    not_applicable,
    pair_names,
    room_for,
    save_figure,
    wrapped,
)
from stages.core.runtime.progress import progress
from stages.core.topology.bars import UNIT
from stages.core.topology.metrics import metric_of
from stages.settings.claims import Pair

MOST_PAIRS = 20  # in a picture; the tables hold all

# A legend below its panel, where it hides nothing.
BELOW: dict[str, Any] = {
    "fontsize": 8,
    "loc": "upper center",
    "bbox_to_anchor": (0.5, -0.13),
    "ncols": 2,
}

# {name of a finding in metrics: its verdict}; nothing is said of one that is not there.
Verdicts = Mapping[str, str]

_by_class = partial(by_level, of="class")


@dataclass(frozen=True)
class Picture:
    """How a table is drawn: (table, confidence of its intervals, verdicts) -> Figure.

    nothing: what the picture says of a table without rows. of_bars: whether the function takes the
    unit of births and deaths too, as `unit`.
    """

    figure_of: Callable[..., Figure]
    nothing: str
    of_bars: bool = False


def draw(study: Study, folder: Path, claims: Path, metrics: Path) -> None:
    """Draw every picture from the folder and the metrics that `claims` wrote."""
    verdicts = read_verdicts(metrics)
    for name, picture in progress(PICTURES.items(), "pictures"):
        file = claims / f"{name}.parquet"
        table, about = read_parquet(file, TABLES[name], "claims")
        ground = read_ground(about, file, "claims")
        more = {"unit": metric_of(ground).unit} if picture.of_bars else {}
        figure = (
            not_applicable(picture.nothing)
            if table.empty
            else picture.figure_of(table, percent(float(about["confidence"])), verdicts, **more)
        )
        save_figure(figure, folder / f"{name}.png", foot_of(study, ground))


def read_verdicts(file: Path) -> Verdicts:
    """The verdict on each finding, from the metrics of `claims`."""
    metrics = read_metrics(file, "claims")
    counts = set(map(verdict_key, VERDICTS))
    return {key: metrics.word(key, "verdict") for key in metrics.names() if key not in counts}


def verdict_of_pair(verdicts: Verdicts, form: str, pair: Pair) -> str:
    """The verdict on a pair; empty where it is not known, or where two pairs have one name."""
    key = pair_keys([pair], form)[pair]
    return "" if f"{key}_2" in verdicts else verdicts.get(key, "")


def judged(verdicts: Verdicts, findings: Mapping[str, str]) -> str:
    """What became of findings, {what is said: name}, in a line: 'they clump together: holds'."""
    known = {said: verdicts[key] for said, key in findings.items() if key in verdicts}
    return "; ".join(f"{said}: {verdict}" for said, verdict in known.items())


def neighbours(table: pd.DataFrame, confidence: str, verdicts: Verdicts) -> Figure:
    """Claim 1: each pair's percentile rank by nearness at every seed, a line for each space."""
    of_pairs = dict(list(table.groupby(["class_a", "class_b"], sort=False)))
    pairs = list(of_pairs)[:MOST_PAIRS]
    names = pair_names(pd.DataFrame(pairs, columns=["class_a", "class_b"]))
    width = 8.0 + room_for(names, 10)
    figure, axes = new_figure(width, 1.9 + 0.75 * len(pairs))
    for row, pair in enumerate(pairs):
        for place, (space, label) in enumerate(SPACES.items()):
            ranks = 100 * of_pairs[pair].query("space == @space")["percentile_rank"].to_numpy()
            middle, colour = row + 0.27 * (place - 1), COLOURS[place]
            spread = middle + np.linspace(-0.07, 0.07, len(ranks))
            axes.plot(ranks, spread, MARKERS[place], color=colour, alpha=0.5, markersize=4)
            axes.vlines(np.median(ranks), middle - 0.12, middle + 0.12, color=colour, linewidth=3)
            verdict = verdict_of_pair(verdicts, f"{{}}_near_{{}}_{space}", pair)
            axes.text(
                1.01,
                middle,
                f"{label.removeprefix('the ')}{': ' if verdict else ''}{verdict}",
                transform=axes.get_yaxis_transform(),
                color=colour,
                fontsize=9,
                va="center",
            )
    for row in range(1, len(pairs)):
        axes.axhline(row - 0.5, color="#e6e6e6", linewidth=1)
    classes = int(table["others"].iloc[0]) + 1
    count = classes * (classes - 1) // 2
    axes.axvline(100 * CLOSEST_SHARE, color=REFERENCE, linestyle="--")
    axes.text(
        100 * CLOSEST_SHARE, -0.5, f" the closest {percent(CLOSEST_SHARE)}", fontsize=9, va="top"
    )
    axes.set(xscale="log", xlim=(min(80 / count, 4), 120), ylim=(len(pairs) - 0.5, -0.55))
    ticks = [tick for tick in (0.01, 0.1, 1, 5, 10, 50, 100) if tick >= 80 / count]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_yticks(range(len(pairs)), names)
    axes.grid(False, axis="y")
    said = (
        f"share of the {count:,} pairs of classes that are mutually at least as near (%)\n"
        f"a point for each of {table['seed'].nunique()} seeds, bar: their median"
    )
    axes.set_xlabel(wrapped(said, width - 3, 10))
    title = "Claim 1. Do these classes lie with each other? Clean images"
    figure.suptitle(wrapped(title + _how_many(len(of_pairs)), width), fontsize=11)
    return figure


def _how_many(pairs: int) -> str:
    """What a title adds where not all pairs are drawn."""
    return f"; the first {MOST_PAIRS} of {pairs:,} pairs" if pairs > MOST_PAIRS else ""


def closest_pairs(table: pd.DataFrame, confidence: str, verdicts: Verdicts) -> Figure:
    """Claim 2: where the claimed pairs stand among all, by smallest angle."""
    drawn = table.head(MOST_PAIRS)
    names = pair_names(drawn)
    width = 7.2 + room_for(names, 10)
    figure, axes = new_figure(width, 1.9 + 0.7 * len(drawn))
    for row, found in enumerate(drawn.itertuples()):
        axes.plot([100 * found.low, 100 * found.high], [row, row], color=COLOURS[0], linewidth=2)
        axes.plot(100 * found.percentile_rank, row, "o", color=COLOURS[0])
        verdict = verdict_of_pair(verdicts, "{}_{}_closest", (found.class_a, found.class_b))
        axes.annotate(
            f"{verdict}{': ' if verdict else ''}"
            f"{found.smallest_deg:.2f} degrees, {found.shuffled_deg:.2f} with shuffled labels",
            (100 * found.percentile_rank, row),
            (0, 7),
            textcoords="offset points",
            ha="right" if found.percentile_rank > 0.5 else "left",
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},  # over the dashed line
        )
    axes.axvline(100 * CLOSEST_SHARE, color=REFERENCE, linestyle="--")
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


def bars(table: pd.DataFrame, confidence: str, verdicts: Verdicts, unit: str = UNIT) -> Figure:
    """Claims 3 and 4: gaps of H0 and, where it was computed, longest bars of H1."""
    panels = 1 if table["longest_bar"].isna().all() else 2
    figure, grid = new_figure(6.2 * panels, 5.4, 1, panels, squeeze=False)
    axes = grid[0, 0]
    draw_spread(axes, _by_class(table, "gap"), COLOURS[0], "classes")
    of_null = "largest of a class's null clouds"
    draw_spread(axes, _by_class(table, "gap_null"), COLOURS[1], of_null, thin=False)
    level_axis(axes, table["noise"])
    axes.set(ylabel="(last death - the one before) / the one before", ylim=(0, None))
    findings = {"one component": "one_component", "steady": "component_scale_steady"}
    question = "Claim 3. Does the last component of H₀ stand apart?"
    axes.set_title(f"{question}\n{judged(verdicts, findings)}")
    axes.legend(**BELOW)
    if panels == 2:
        _draw_loops_against_null(grid[0, 1], table, confidence, verdicts, unit)
    figure.suptitle(
        f"Diagrams of {table['class'].nunique()} classes beside clouds without structure"
    )
    return figure


def _draw_loops_against_null(
    axes: Axes, table: pd.DataFrame, confidence: str, verdicts: Verdicts, unit: str
) -> None:
    draw_spread(axes, _by_class(table, "longest_bar"), COLOURS[0], "classes")
    draw_spread(axes, _by_class(table, "longest_null"), COLOURS[1], "null clouds", thin=False)
    # The bars are looked at, and a band may be a hundred times as long as they are.
    top = 1.1 * table[["longest_bar", "longest_null"]].to_numpy().max() or 1.0
    band, name = _by_class(table, "band"), f"{confidence} band"
    if band.isna().to_numpy().all():
        axes.plot([], [], " ", label=f"{name}: none, by {unit}")
    elif band.to_numpy().min() < top:
        draw_spread(axes, band, COLOURS[2], name, thin=False)
    else:
        axes.plot([], [], " ", label=f"{name}: above the axis, {table['band'].min():.3g} or more")
    level_axis(axes, table["noise"])
    axes.set(ylabel=f"longest bar of H₁ ({unit})", ylim=(0, top))
    findings = {
        "no bar beyond its band": "no_loop_beyond_band",
        "none beyond null clouds": "no_loop_beyond_null",
    }
    axes.set_title(f"Claim 4. Is there a loop of H₁ that persists?\n{judged(verdicts, findings)}")
    axes.legend(**BELOW)


def loops(table: pd.DataFrame, confidence: str, verdicts: Verdicts, unit: str = UNIT) -> Figure:
    """Claim 5: spread and mean death of the points of H1 by noise level."""
    figure, grid = new_figure(10.5, 4.6, 1, 2, sharey=True)
    for axes, column, label, said, key in (
        (grid[0], "spread", "spread of (birth, death)", "they clump together", "loops_clump"),
        (grid[1], "mean_death", "mean death", "they die sooner", "loops_die_sooner"),
    ):
        draw_spread(axes, _by_class(table, column), COLOURS[0], "classes")
        level_axis(axes, table["noise"])
        axes.set_ylabel(f"{label} ({unit})")
        axes.set_title(judged(verdicts, {said: key}) or said)
    grid[0].set_ylim(bottom=0)
    grid[0].legend(fontsize=9)
    figure.suptitle(f"Claim 5. The points of H₁ of {table['class'].nunique()} classes under noise")
    return figure


def growth(table: pd.DataFrame, confidence: str, verdicts: Verdicts) -> Figure:
    """Claim 6: how many classes lie above their baselines, by noise level."""
    figure, grid = new_figure(12.5, 4.8, 1, len(ABOVE), sharex=True, sharey=True)
    for axes, (column, comparison) in zip(grid, ABOVE.items(), strict=True):
        baseline = COMPARISONS[BASELINES[comparison]]
        for i, ((metric, dim), rows) in enumerate(table.groupby(["metric", "dim"])):
            verdict = judged(verdicts, {"\ngrows with noise": f"{metric}_h{dim}_grows"})
            axes.plot(
                rows["noise"],
                100 * rows[column],
                color=COLOURS[i],
                marker=MARKERS[i],
                label=f"{metric.capitalize()}, {homology_group(dim)}{verdict}",
            )
        axes.axhline(50, color=REFERENCE, linestyle="--", label="half of the classes")
        if table[column].isna().all():
            axes.text(0.5, 0.6, "no such comparison", ha="center", transform=axes.transAxes)
        level_axis(axes, table["noise"])
        axes.set(title=f"farther than {baseline.label}", ylim=(-3, 103))
    grid[0].set_ylabel("share of classes (%)")
    figure.legend(*grid[1].get_legend_handles_labels(), loc="outside right upper")
    title = (
        f"Claim 6. In how many of {table['classes'].max()} classes do diagrams move farther than "
        "their baselines?"
    )
    figure.suptitle(wrapped(title, 12.5 - 2 * 3.0))  # beside the legend, and as far from the left
    return figure


def accuracy_steps(table: pd.DataFrame, confidence: str, verdicts: Verdicts) -> Figure:
    """Claim 7: each step's drop of accuracy, with its interval."""
    steps = list(dict.fromkeys(zip(table["from_noise"], table["to_noise"], strict=True)))
    figure, axes = new_figure(8.5, 1.9 + 0.65 * len(steps))
    present = [key for key in CLASSIFIERS if key in set(table["classifier"])]
    for place, key in enumerate(present):
        rows = table[table["classifier"] == key]
        drops, low, high = (100 * rows[column].to_numpy() for column in ("drop", "low", "high"))
        look = list(CLASSIFIERS).index(key)  # the same, whichever others there are
        label = CLASSIFIERS[key].label
        axes.errorbar(
            drops,
            np.arange(len(rows)) + 0.2 * (place - (len(present) - 1) / 2),
            xerr=[drops - low, high - drops],
            fmt=MARKERS[look],
            color=COLOURS[look],
            capsize=3,
            label=judged(verdicts, {label: f"accuracy_falls_{key}"}) or label,
        )
    axes.axvline(0, color=REFERENCE, linestyle="--")
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
    "bars": Picture(bars, "no class has enough images", of_bars=True),
    "loops": Picture(
        loops, f"{NO_NOISE}, or no class has enough loops of H1 at every level", of_bars=True
    ),
    "growth": Picture(growth, NO_NOISE),
    "accuracy_steps": Picture(accuracy_steps, NO_NOISE),
    "correlations": Picture(correlations, NO_NOISE),
}
