"""Accuracies of made-up predictions, known by hand."""

import numpy as np
import pytest

from stages.core.evaluation.accuracy import (
    Level,
    accuracies,
    class_accuracies,
    measure,
    predictions_table,
)
from stages.core.evaluation.classification import CLASSIFIERS, Fitted, ZeroShot
from stages.core.evaluation.statistics import share_interval

ACTUAL = np.array([0, 0, 0, 1])
CLASSES = ["dotted", "grid"]
IDS = np.array(["dotted/0", "dotted/1", "dotted/2", "grid/0"])


class First(Fitted):
    """Takes every image for the first class."""

    def predict(self, images: np.ndarray) -> np.ndarray:
        return np.zeros(len(images), dtype=int)


@pytest.fixture
def level() -> Level:
    """Zero-shot is right but for the second image; the others say the first class."""
    images = np.eye(2)[[0, 1, 0, 1]]
    others = dict.fromkeys([key for key in CLASSIFIERS if key != "zero_shot"], First())
    return measure(
        [images, images[::-1]],
        ACTUAL,
        {"zero_shot": ZeroShot(np.eye(2)), **others},
        lambda scores: np.full(len(scores), 0.5),
        bins=2,
    )


def test_a_level_holds_what_is_said_of_the_first_draw_and_accuracies_of_all(level: Level) -> None:
    assert level.predicted["zero_shot"].tolist() == [0, 1, 0, 1]
    assert level.predicted["knn"].tolist() == [0, 0, 0, 0]
    assert level.margin.tolist() == [1, -1, 1, 1]
    assert level.in_top.all()
    assert level.draw_accuracies == [3 / 4, 1 / 4]
    assert level.calibration[["n", "confidence", "accuracy"]].to_numpy().tolist() == [
        [4, 0.5, 0.75]
    ]


def test_accuracy_over_images_and_over_classes(level: Level) -> None:
    table = accuracies({0.0: level, 0.5: level}, ACTUAL, len(CLASSES), 0.95)
    assert len(table) == 2 * (2 * len(CLASSIFIERS) + 1)
    found = table[table["noise"] == 0.0].set_index(["classifier", "measure"])
    expected = {
        ("zero_shot", "top-1"): (3 / 4, 1 / 2),
        ("zero_shot", "top-5"): (1, 1),
        ("zero_shot", "mean per class"): ((2 / 3 + 1) / 2, 1 / 2),
        ("knn", "top-1"): (3 / 4, 1 / 2),
        ("knn", "mean per class"): (1 / 2, 1 / 2),
    }
    for row, (accuracy, chance) in expected.items():
        assert found.loc[row, "accuracy"] == pytest.approx(accuracy)
        assert found.loc[row, "chance"] == chance
    assert (found["low"] <= found["accuracy"]).all()
    assert (found["accuracy"] <= found["high"]).all()


def test_accuracy_of_each_class_has_the_interval_of_its_own_images(level: Level) -> None:
    table = class_accuracies({0.0: level}, ACTUAL, CLASSES, 0.95)
    assert table["classifier"].tolist() == list(CLASSIFIERS) * 2
    found = table.set_index(["class", "classifier"])
    assert found.loc[("dotted", "zero_shot"), "n"] == 3
    columns = ["accuracy", "low", "high"]
    assert found.loc[("dotted", "zero_shot"), columns].tolist() == list(share_interval(2, 3, 0.95))
    assert found.loc[("grid", "knn"), columns].tolist() == list(share_interval(0, 1, 0.95))


def test_predictions_are_named(level: Level) -> None:
    table = predictions_table({0.0: level}, IDS, ACTUAL, CLASSES)
    assert table["id"].tolist() == IDS.tolist()
    assert table["actual"].tolist() == ["dotted", "dotted", "dotted", "grid"]
    assert table["zero_shot"].tolist() == ["dotted", "grid", "dotted", "grid"]
    assert table["margin"].tolist() == [1, -1, 1, 1]
