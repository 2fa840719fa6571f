"""Pictures of what classifiers get right under noise, and the confusions that DVC draws."""

from pathlib import Path

import numpy as np
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
from stages.core.figures.heatmaps import MOST_NAMES, by_clustering, draw_heatmap, inches_for
from stages.core.figures.levels import level_name
from stages.core.figures.study import Study
from stages.core.figures.style import (
    REFERENCE,
    level_colours,
    new_figure,
    not_applicable,
    room_for,
    save_figure,
    short_name,
    wrapped,
)
from stages.core.runtime.files import write_csv

OTHERS = "other classes"  # in a confusion of more classes than are named


def draw(study: Study, folder: Path, data: Path) -> None:
    """Draw accuracy by class and calibration, and write confusions, of what `classify` wrote."""
    predictions, of = read_parquet(data / "predictions.parquet", PREDICTIONS, "classify")
    per_class, _ = read_parquet(data / "per_class.parquet", PER_CLASS, "classify")
    calibration, about = read_parquet(data / "calibration.parquet", CALIBRATION, "classify")
    figure = per_class_accuracy(per_class)
    save_figure(figure, folder / "per_class.png", study.foot, shaded=True)
    if calibration.empty:
        picture = not_applicable("the model's own probabilities are not known")
    else:
        picture = reliability(calibration, PROBABILITIES[about["probabilities"]].label)
    save_figure(picture, folder / "calibration.png", study.foot)
    for name, level in (("clean", 0.0), ("noisiest", predictions["noise"].max())):
        table = predictions[predictions["noise"] == level]
        write_csv(folder / f"confusion_{name}.csv", confusion_table(table, of["detailed"]))


def confusion_table(predictions: pd.DataFrame, classifier: str) -> pd.DataFrame:
    """How many images of one class are taken for another: a row for each two classes that occur.

    A class of which no image is taken for its own has a row too, of 0 images.

    predictions: of one noise level. Columns: noise, actual, predicted, images, and actual_place and
    predicted_place, the order in which classes that are taken for each other stand side by side. Of
    more than MOST_NAMES classes those least often right are named, and what they are taken for
    beyond that is OTHERS. The level goes with its rows: the noisiest one of another run may be
    another.
    """
    named = ["noise", "actual", "predicted"]
    table = predictions.rename(columns={classifier: "predicted"})
    of_class = (table["actual"] == table["predicted"]).groupby(table["actual"]).mean()
    classes = sorted(of_class.sort_values(kind="stable").index[:MOST_NAMES])
    table = table[table["actual"].isin(classes)]
    counts = pd.crosstab(table["actual"], table["predicted"]).reindex(classes, axis=0)
    square = counts.reindex(classes, axis=1, fill_value=0).to_numpy()
    share = square / counts.sum(axis=1).to_numpy()[:, None]
    apart = 1 - (share + share.T) / 2
    np.fill_diagonal(apart, 0)
    place = {classes[row]: i for i, row in enumerate(by_clustering(apart))}
    known = len(of_class) == len(classes)
    predicted = table["predicted"].where(table["predicted"].isin(classes) | known, OTHERS)
    for each in sorted(set(predicted) - set(classes)):
        place[each] = len(place)  # a class without a test image, or OTHERS
    taken = table.assign(predicted=predicted, images=1)[[*named, "images"]]
    right = pd.DataFrame({"noise": table["noise"].iloc[0], "actual": classes, "predicted": classes})
    found = pd.concat([taken, right.assign(images=0)]).groupby(named, as_index=False).sum()
    return found.assign(
        actual_place=found["actual"].map(place), predicted_place=found["predicted"].map(place)
    )


def per_class_accuracy(per_class: pd.DataFrame) -> Figure:
    """Accuracy of each class at each noise level, one panel per classifier.

    per_class: columns class, noise, classifier, accuracy. The class that is most often right, over
    all levels and classifiers, comes first; of more than MOST_NAMES as many are drawn, evenly from
    the first to the last.
    """
    levels = sorted(per_class["noise"].unique())
    mean = per_class.groupby("class", sort=False)["accuracy"].mean()
    ranked = mean.sort_values(ascending=False, kind="stable").index
    places = np.linspace(0, len(ranked) - 1, min(len(ranked), MOST_NAMES)).round().astype(int)
    classes = list(ranked[places])
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
    of = f"{len(classes)} of {len(ranked)} classes" if len(classes) < len(ranked) else "each class"
    title = f"Accuracy of {of} on test images, the most accurate first"
    figure.suptitle(wrapped(title, width))
    return figure


def reliability(calibration: pd.DataFrame, probabilities: str) -> Figure:
    """Accuracy against confidence of the zero-shot classifier, and below it how many images.

    calibration: columns noise, from, to, n, confidence, accuracy, one row per bin. probabilities:
    what the confidence is. The legend gives the expected calibration error (ECE).
    """
    figure, (axes, counts) = new_figure(8, 7.6, 2, 1, sharex=True, height_ratios=(3, 1))
    axes.plot([0, 100], [0, 100], color=REFERENCE, linestyle="--", label="calibrated")
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
        ends = np.unique(np.r_[0.0, rows["from"], rows["to"], 1.0])
        inside = pd.Series(rows["n"].to_numpy(), index=rows["from"].round(9))
        filled = inside.reindex(ends[:-1].round(9), fill_value=0)
        counts.stairs(filled, 100 * ends, color=colour, linewidth=2)
    axes.set(xlim=(0, 102), ylim=(0, 102))
    axes.set_ylabel("accuracy, mean of a bin (%)")
    axes.set_title("Zero-shot confidence and what it is worth\n(below the line: overconfident)")
    counts.set(yscale="log", ylim=(0.8, None), ylabel="test images\nin a bin")
    counts.yaxis.set_major_formatter("{x:,.0f}")
    counts.minorticks_off()
    counts.set_xlabel(f"confidence ({probabilities}), mean of a bin (%)")
    figure.legend(loc="outside right upper")
    return figure
