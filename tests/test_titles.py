"""Titles lie within their pictures, and beside the legends, however few levels and classes."""

from collections.abc import Callable
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from stages.core.evaluation.calibration import PROBABILITIES
from stages.core.evaluation.classification import CLASSIFIERS
from stages.core.figures.angles import angle_distributions, angle_matrix
from stages.core.figures.claims import growth
from stages.core.figures.classify import per_class_accuracy, reliability
from stages.core.figures.persistence import diagrams_figure, summaries_figure
from stages.core.figures.style import room_for, wrapped

SHORT = ["a", "bb", "ccc"]
LONG = ["interlaced-and-overlapping", "polka-dotted on gingham", "wrinkled-tissue-paper-" * 2]
SAMPLE = "sample space (the usual mistake)"
ALL = "all"

generator = np.random.default_rng(0)


def by_class(levels: list[float], classes: list[str]) -> Figure:
    table = pd.DataFrame(
        [(c, level, name, 0.5) for c in classes for level in levels for name in CLASSIFIERS],
        columns=["class", "noise", "classifier", "accuracy"],
    )
    return per_class_accuracy(table)


def calibration(levels: list[float], classes: list[str]) -> Figure:
    table = pd.DataFrame({"noise": levels, "from": 0.4, "to": 0.6, "n": 1})
    table = table.assign(confidence=0.5, accuracy=0.4)
    label = PROBABILITIES["sigmoid"].label
    return reliability(table, label)


def pairs(classes: list[str]) -> pd.DataFrame:
    table = pd.DataFrame(list(combinations(classes, 2)), columns=["class_a", "class_b"])
    return table.assign(smallest_deg=[10.0, 20.0, 31.9], mean_deg=[40.0, 50.0, 60.0])


def angle_heatmap(levels: list[float], classes: list[str]) -> Figure:
    return angle_matrix(pairs(classes), SAMPLE)


def distributions(levels: list[float], classes: list[str]) -> Figure:
    table = pd.concat(pairs(classes).assign(noise=level) for level in levels)
    return angle_distributions(table, table, SAMPLE)


def diagrams(levels: list[float], classes: list[str]) -> Figure:
    bars = [np.array([[0.0, 0.8], [0.0, 0.9]]), np.array([[0.7, 0.8]])]
    images = dict.fromkeys(classes, 120)
    return diagrams_figure(dict.fromkeys(classes, bars), levels[-1], {classes[0]: 0.1}, images, 1.0)


def long_table(levels: list[float], groups: list[str], **columns: object) -> pd.DataFrame:
    rows = [(group, level, dim) for group in groups for level in levels for dim in (0, 1)]
    return pd.DataFrame(rows, columns=["group", "noise", "dim"]).assign(**columns)


def summaries(levels: list[float], classes: list[str]) -> Figure:
    quantities = {"total_persistence": 2.0, "max_persistence": 1.0, "mean_death": 0.5}
    return summaries_figure(long_table(levels, [*classes, ALL], **quantities), ALL)


def growing(levels: list[float], classes: list[str]) -> Figure:
    keys = [(metric, dim) for metric in ("bottleneck", "wasserstein") for dim in (0, 1)]
    rows = [(*key, level) for key in keys for level in levels]
    table = pd.DataFrame(rows, columns=["metric", "dim", "noise"])
    verdicts = {f"{metric}_h{dim}_grows": "not applicable" for metric, dim in keys}
    table = table.assign(classes=999, above_draws=np.nan, above_halves=0.7)
    return growth(table, "95%", verdicts)


FIGURES = [growing, by_class, calibration, angle_heatmap, distributions]
FIGURES += [diagrams, summaries]


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
