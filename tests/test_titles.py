"""Titles lie within their pictures, and beside the legends, however few levels and classes."""

from collections.abc import Callable
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from stages.core.classification import CLASSIFIERS, PROBABILITIES
from stages.core.classification_figures import (
    accuracy_curves,
    confusion_pair,
    per_class_accuracy,
    reliability,
)
from stages.core.figures import class_styles, room_for, wrapped
from stages.core.homology import DIAGRAM_DISTANCES
from stages.core.projection_figures import layout_figure
from stages.core.subspace_figures import angle_distributions, angle_matrix, closest_pairs_bars
from stages.core.topology_figures import diagrams_figure, distances_figure, summaries_figure

SHORT = ["a", "bb", "ccc"]
LONG = ["interlaced-and-overlapping", "polka-dotted on gingham", "wrinkled-tissue-paper-" * 2]
SAMPLE = "sample space (the usual mistake)"
ALL = "all"

generator = np.random.default_rng(0)


def accuracies(levels: list[float], classes: list[str]) -> Figure:
    table = pd.DataFrame(
        [(level, name, "top-1", 0.9, 0.8, 0.95) for level in levels for name in CLASSIFIERS],
        columns=["noise", "classifier", "measure", "accuracy", "low", "high"],
    )
    return accuracy_curves(table, 1 / len(classes), 0.95)


def confusions(levels: list[float], classes: list[str]) -> Figure:
    return confusion_pair({level: np.eye(len(classes), dtype=int) for level in levels}, classes)


def by_class(levels: list[float], classes: list[str]) -> Figure:
    table = pd.DataFrame(
        [(c, level, name, 0.5) for c in classes for level in levels for name in CLASSIFIERS],
        columns=["class", "noise", "classifier", "accuracy"],
    )
    return per_class_accuracy(table, classes, list(CLASSIFIERS))


def calibration(levels: list[float], classes: list[str]) -> Figure:
    table = pd.DataFrame({"noise": levels, "n": 1, "confidence": 0.5, "accuracy": 0.4})
    label = PROBABILITIES["sigmoid"].label
    return reliability(table, dict.fromkeys(levels, 0.1), label)


def pairs(classes: list[str]) -> pd.DataFrame:
    table = pd.DataFrame(list(combinations(classes, 2)), columns=["class_a", "class_b"])
    return table.assign(smallest_deg=[10.0, 20.0, 31.9], mean_deg=[40.0, 50.0, 60.0])


def angle_heatmap(levels: list[float], classes: list[str]) -> Figure:
    return angle_matrix(pairs(classes), "smallest_deg", classes, "Smallest", SAMPLE)


def closest(levels: list[float], classes: list[str]) -> Figure:
    return closest_pairs_bars(dict.fromkeys(levels, pairs(classes)), SAMPLE)


def distributions(levels: list[float], classes: list[str]) -> Figure:
    table = dict.fromkeys(levels, pairs(classes))
    return angle_distributions(table, table, SAMPLE)


def diagrams(levels: list[float], classes: list[str]) -> Figure:
    bars = [np.array([[0.0, 0.8], [0.0, 0.9]]), np.array([[0.7, 0.8]])]
    panels = {f"noise {level:g}": bars for level in levels}
    title = "Diagrams of classes (finite bars), from the least to the most total persistence"
    return diagrams_figure(title, {f"{name} (120 images)": panels for name in classes}, side=2.6)


def long_table(levels: list[float], groups: list[str], **columns: object) -> pd.DataFrame:
    rows = [(group, level, dim) for group in groups for level in levels for dim in (0, 1)]
    return pd.DataFrame(rows, columns=["group", "noise", "dim"]).assign(**columns)


def summaries(levels: list[float], classes: list[str]) -> Figure:
    quantities = {"total_persistence": 2.0, "max_persistence": 1.0, "mean_death": 0.5}
    return summaries_figure(long_table(levels, [*classes, ALL], **quantities), ALL)


def distance_curves(levels: list[float], classes: list[str]) -> Figure:
    moved = long_table([level + 1 for level in levels], classes, comparison="moved", distance=2.0)
    halves = long_table([0.0], classes, comparison="halves", distance=1.0)
    names = {"moved": "clean to noisy", "halves": "clean half to other half, clean"}
    return distances_figure(
        "1-Wasserstein distance (Euclidean ground metric) of persistence diagrams",
        DIAGRAM_DISTANCES["wasserstein"].unit,
        pd.concat([moved, halves]),
        [("disjoint halves of a class", "moved", "halves")],
        names,
    )


def layouts(levels: list[float], classes: list[str]) -> Figure:
    names = np.repeat(classes, 5)
    panels = {
        f"noise level {level:.2f}\npurity 1.00, silhouette 0.85, trustworthiness 0.98": (
            generator.standard_normal((len(names), 2))
        )
        for level in levels
    }
    title = (
        "t-SNE of the embeddings of 5,640 images of 47 classes, clean and noisy\n"
        "each level laid out on its own, then turned to match the clean one; purity by chance 0.32"
    )
    return layout_figure(title, "t-SNE", panels, names, class_styles(classes), classes)


@pytest.mark.parametrize(("confidence", "said"), [(0.9, "90%"), (0.999, "99.9%")])
def test_the_title_of_accuracies_names_the_confidence(confidence: float, said: str) -> None:
    table = pd.DataFrame(
        [(0.0, name, "top-1", 0.9, 0.8, 0.95) for name in CLASSIFIERS.values()],
        columns=["noise", "classifier", "measure", "accuracy", "low", "high"],
    )
    figure = accuracy_curves(table, 0.5, confidence)
    (axes, *_) = figure.axes
    assert f"with {said} intervals" in axes.get_title()
    plt.close(figure)


FIGURES = [accuracies, confusions, by_class, calibration, angle_heatmap, closest, distributions]
FIGURES += [diagrams, summaries, distance_curves, layouts]


@pytest.mark.parametrize("draw", FIGURES)
@pytest.mark.parametrize("classes", [SHORT, LONG], ids=["short names", "long names"])
@pytest.mark.parametrize("levels", [[0.0], [0.0, 1.0]], ids=["clean alone", "one noisy level"])
def test_titles_fit(draw: Callable[..., Figure], classes: list[str], levels: list[float]) -> None:
    figure = draw(levels, classes)
    figure.canvas.draw()
    panels = [axes for axes in figure.axes if axes.get_visible()]
    titles = [axes.title for axes in panels] + [figure._suptitle]
    boxes = [
        (text.get_text(), text.get_window_extent())
        for text in titles
        if text is not None and text.get_text()
    ]
    legends = [legend.get_window_extent() for legend in figure.legends]
    labels = [axes.yaxis.label.get_window_extent() for axes in panels if axes.get_ylabel()]
    width, height = figure.canvas.get_width_height()
    for text, box in boxes:
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= width, text
        assert box.y1 <= height, text
        assert not any(box.overlaps(legend) for legend in legends), text
    for (text, box), (other, other_box) in combinations(boxes, 2):
        assert not box.overlaps(other_box), (text, other)
    for box, other in combinations(labels, 2):
        assert not box.overlaps(other)
    plt.close(figure)


@pytest.mark.parametrize(
    ("text", "inches", "lines"),
    [
        ("one two three", 10.0, ["one two three"]),
        ("one two three", 0.8, ["one two", "three"]),
        ("first\nsecond line", 10.0, ["first", "second line"]),
        (
            "averylongsinglewordthatdoesnotfit",
            1.0,
            ["averylongs", "inglewordt", "hatdoesnot", "fit"],
        ),
    ],
    ids=["fits", "two lines", "lines are kept", "a word is broken"],
)
def test_wrapped_by_hand(text: str, inches: float, lines: list[str]) -> None:
    assert wrapped(text, inches).splitlines() == lines


def test_room_for_grows_with_the_longest_name() -> None:
    assert room_for([]) == 0
    assert room_for(["ab", "abcd"]) == pytest.approx(2 * room_for(["ab"]))
