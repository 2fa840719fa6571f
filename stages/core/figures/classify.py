"""Pictures of what classifiers get right under noise."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stages.core.evaluation.statistics import percent
from stages.core.figures.heatmaps import draw_heatmap, inches_for
from stages.core.figures.style import (
    COLOURS,
    MARKERS,
    level_colours,
    new_figure,
    room_for,
    short_name,
    wrapped,
)


def accuracy_curves(accuracy: pd.DataFrame, chance: float, confidence: float) -> Figure:
    """Top-1 accuracy against noise, one line per classifier, with intervals.

    accuracy: columns noise, classifier, measure, accuracy, low, high.
    """
    figure, axes = new_figure(7.5, 4.8)
    top1 = accuracy[accuracy["measure"] == "top-1"]
    # Neighbouring points are set apart, or their intervals hide one another.
    step = 0.008 * (top1["noise"].max() or 1.0)
    names = list(dict.fromkeys(top1["classifier"]))
    for i, name in enumerate(names):
        rows = top1[top1["classifier"] == name]
        shares, low, high = (100 * rows[key] for key in ("accuracy", "low", "high"))
        axes.errorbar(
            rows["noise"] + (i - (len(names) - 1) / 2) * step,
            shares,
            yerr=[shares - low, high - shares],
            color=COLOURS[i],
            marker=MARKERS[i],
            capsize=3,
            label=name,
        )
    axes.axhline(
        100 * chance, color=COLOURS[7], linestyle="--", label=f"guessing ({100 * chance:.1f}%)"
    )
    levels = sorted(top1["noise"].unique())
    axes.set_xticks(levels)
    if len(levels) == 1:  # the axis would be as narrow as the step
        axes.set_xlim(levels[0] - 20 * step, levels[0] + 20 * step)
    axes.set_ylim(0, 102)
    axes.set_xlabel("noise level")
    axes.set_ylabel("top-1 accuracy on test images (%)")
    axes.set_title(f"Accuracy under noise, with {percent(confidence)} intervals")
    figure.legend(loc="outside right upper")
    return figure


def confusion_pair(matrices: Mapping[float, np.ndarray], classes: list[str]) -> Figure:
    """Confusion matrices of the zero-shot classifier side by side.

    matrices: {noise level: (C, C) counts, row the actual and column the predicted class}.
    """
    names = room_for(map(short_name, classes))
    width = inches_for(len(classes), margin=0.6) * len(matrices) + max(2.6, 1.6 + names)
    figure, axes = new_figure(
        width,
        inches_for(len(classes), margin=max(2.4, 1.4 + names)),
        1,
        len(matrices),
        sharey=True,
        squeeze=False,
    )
    for panel, (level, counts) in zip(axes[0], matrices.items(), strict=True):
        share = 100 * counts / counts.sum(axis=1, keepdims=True)
        image = draw_heatmap(panel, share, classes, classes, 0, 100, gamma=0.5)
        right = 100 * np.trace(counts) / counts.sum()
        panel.set_title(f"{_level_name(level)}: {right:.1f}% right")
        panel.set_xlabel("predicted class")
    axes[0, 0].set_ylabel("actual class")
    figure.colorbar(image, ax=axes, shrink=0.6, pad=0.01, label="share of the actual class (%)")
    title = "Zero-shot classification of the test images: what is taken for what"
    figure.suptitle(wrapped(title, width))
    return figure


def per_class_accuracy(
    per_class: pd.DataFrame, classes: list[str], classifiers: Sequence[str]
) -> Figure:
    """Accuracy of each class at each noise level, one panel per classifier.

    per_class: columns class, noise, classifier, accuracy.
    """
    levels = sorted(per_class["noise"].unique())
    panel_width = max(0.62 * len(levels), 1.2)
    width = max(2.8, 1.6 + room_for(map(short_name, classes))) + panel_width * len(classifiers)
    figure, axes = new_figure(
        width,
        inches_for(len(classes), margin=1.6),
        1,
        len(classifiers),
        sharey=True,
        squeeze=False,
    )
    for panel, name in zip(axes[0], classifiers, strict=True):
        rows = per_class[per_class["classifier"] == name]
        table = 100 * rows.pivot_table(index="class", columns="noise", values="accuracy")
        image = draw_heatmap(
            panel,
            table.loc[classes, levels].to_numpy(),
            classes,
            [f"{level:.2f}" for level in levels],
            0,
            100,
            numbers="{:.0f}",
        )
        panel.set_title(wrapped(name, panel_width))
        panel.set_xlabel("noise level")
    figure.colorbar(image, ax=axes, shrink=0.6, label="right answers (%)")
    figure.suptitle(wrapped("Accuracy of each class on test images", width))
    return figure


def reliability(
    calibration: pd.DataFrame, errors: Mapping[float, float], probabilities: str
) -> Figure:
    """Accuracy against confidence of the zero-shot classifier, one line per noise level.

    calibration: columns noise, n, confidence, accuracy, one row per bin.
    errors: {noise level: expected calibration error (ECE)}. probabilities: what they are.
    """
    figure, axes = new_figure(7.5, 5.2)
    axes.plot([0, 100], [0, 100], color=COLOURS[7], linestyle="--", label="calibrated")
    for level, colour in level_colours(list(errors)).items():
        rows = calibration[calibration["noise"] == level]
        axes.plot(
            100 * rows["confidence"],
            100 * rows["accuracy"],
            color=colour,
            marker="o",
            label=f"{_level_name(level)} (ECE {100 * errors[level]:.1f}%)",
        )
    axes.set(xlim=(0, 102), ylim=(0, 102))
    axes.set_xlabel(f"confidence ({probabilities}), mean of a bin (%)")
    axes.set_ylabel("accuracy, mean of a bin (%)")
    axes.set_title("Zero-shot confidence and what it is worth\n(below the line: overconfident)")
    figure.legend(loc="outside right upper")
    return figure


def _level_name(level: float) -> str:
    return "clean" if level == 0 else f"noise {level:.2f}"
