"""Pictures of what classifiers get right under noise, and the confusions that DVC draws."""

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from stages.core.artifacts.tables import read_parquet
from stages.core.evaluation.accuracy import PER_CLASS, PREDICTIONS
from stages.core.evaluation.calibration import (
    CALIBRATION,
    PROBABILITIES,
    expected_calibration_error,
)
from stages.core.evaluation.classification import CLASSIFIERS
from stages.core.figures.heatmaps import draw_heatmap, inches_for
from stages.core.figures.levels import level_name
from stages.core.figures.style import (
    COLOURS,
    level_colours,
    new_figure,
    not_applicable,
    room_for,
    save_figure,
    short_name,
    wrapped,
)
from stages.core.runtime.files import write_csv


def draw(data: Path, folder: Path) -> None:
    """Draw accuracy by class and calibration, and write the confusions, from what `classify` wrote.

    A confusion is a row per test image at one noise level: noise, actual, predicted.
    """
    predictions, of = read_parquet(data / "predictions.parquet", PREDICTIONS, "classify")
    per_class, _ = read_parquet(data / "per_class.parquet", PER_CLASS, "classify")
    calibration, about = read_parquet(data / "calibration.parquet", CALIBRATION, "classify")
    save_figure(per_class_accuracy(per_class), folder / "per_class.png")
    if calibration.empty:
        picture = not_applicable("the model's own probabilities are not known")
    else:
        picture = reliability(calibration, PROBABILITIES[about["probabilities"]].label)
    save_figure(picture, folder / "calibration.png")
    detailed = of["detailed"]
    for name, level in (("clean", 0.0), ("noisiest", predictions["noise"].max())):
        table = predictions.loc[predictions["noise"] == level, ["noise", "actual", detailed]]
        # The level goes with its rows: the noisiest one of another run may be another.
        write_csv(folder / f"confusion_{name}.csv", table.rename(columns={detailed: "predicted"}))


def per_class_accuracy(per_class: pd.DataFrame) -> Figure:
    """Accuracy of each class at each noise level, one panel per classifier.

    per_class: columns class, noise, classifier, accuracy.
    """
    classes, levels = list(per_class["class"].unique()), sorted(per_class["noise"].unique())
    classifiers = list(per_class["classifier"].unique())
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
        panel.set_title(wrapped(CLASSIFIERS[name].label, panel_width))
        panel.set_xlabel("noise level")
    figure.colorbar(image, ax=axes, shrink=0.6, label="right answers (%)")
    figure.suptitle(wrapped("Accuracy of each class on test images", width))
    return figure


def reliability(calibration: pd.DataFrame, probabilities: str) -> Figure:
    """Accuracy against confidence of the zero-shot classifier, one line per noise level.

    calibration: columns noise, n, confidence, accuracy, one row per bin. probabilities: what the
    confidence is. The legend gives the expected calibration error (ECE).
    """
    figure, axes = new_figure(7.5, 5.2)
    axes.plot([0, 100], [0, 100], color=COLOURS[7], linestyle="--", label="calibrated")
    for level, colour in level_colours(sorted(calibration["noise"].unique())).items():
        rows = calibration[calibration["noise"] == level]
        error = expected_calibration_error(rows)
        axes.plot(
            100 * rows["confidence"],
            100 * rows["accuracy"],
            color=colour,
            marker="o",
            label=f"{level_name(level)} (ECE {100 * error:.1f}%)",
        )
    axes.set(xlim=(0, 102), ylim=(0, 102))
    axes.set_xlabel(f"confidence ({probabilities}), mean of a bin (%)")
    axes.set_ylabel("accuracy, mean of a bin (%)")
    axes.set_title("Zero-shot confidence and what it is worth\n(below the line: overconfident)")
    figure.legend(loc="outside right upper")
    return figure
