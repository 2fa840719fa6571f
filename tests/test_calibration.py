"""Confidence and calibration against answers known by hand."""

import numpy as np
import pandas as pd
import pytest

from stages.core.evaluation.calibration import (
    PROBABILITIES,
    calibration_table,
    expected_calibration_error,
    sigmoid_confidence,
    softmax_confidence,
)


def test_calibration_error_by_hand() -> None:
    # Confidences 0.95, 0.85, 0.65, 0.55; the first and the last are right.
    confidence, right = np.array([0.95, 0.85, 0.65, 0.55]), np.array([True, False, False, True])
    table = calibration_table(confidence, right, bins=2)
    # All fall into (0.5, 1]: accuracy 0.5, mean confidence 0.75.
    assert table["n"].tolist() == [4]
    assert expected_calibration_error(table) == pytest.approx(0.25)
    fine = calibration_table(confidence, right, bins=10)
    assert fine["n"].tolist() == [1, 1, 1, 1]
    assert expected_calibration_error(fine) == pytest.approx((0.05 + 0.85 + 0.65 + 0.45) / 4)


@pytest.mark.parametrize("bins", [1, 3, 7, 10, 15, 49])
def test_a_confidence_on_the_end_of_a_bin_is_in_it(bins: int) -> None:
    """Also where the product of a confidence and the number of bins rounds up: 0.2 * 15."""
    ends = np.arange(1, bins + 1) / bins
    table = calibration_table(ends, np.ones(bins, dtype=bool), bins)
    assert table["to"].tolist() == ends.tolist()
    assert table["n"].tolist() == [1] * bins
    lowest = calibration_table(np.zeros(1), np.ones(1, dtype=bool), bins)
    assert lowest["from"].tolist() == [0.0]


@pytest.mark.parametrize(
    ("cosine", "scale", "bias", "expected"),
    [
        pytest.param([0.0, 0.0], 100.0, 0.0, 1 / 2, id="two alike"),
        pytest.param([0.3] * 5, 26.0, 0.0, 1 / 5, id="five alike"),
        pytest.param([np.log(3) / 10, 0.0], 10.0, 0.0, 3 / 4, id="three to one"),
        pytest.param([np.log(3) / 10, 0.0], 10.0, -12.0, 3 / 4, id="a bias changes nothing"),
        pytest.param([1.0, -1.0], 1e4, 0.0, 1.0, id="no overflow"),
    ],
)
def test_softmax_confidence_by_hand(
    cosine: list[float], scale: float, bias: float, expected: float
) -> None:
    assert softmax_confidence(np.array([cosine]), scale, bias) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("cosine", "scale", "bias", "expected"),
    [
        pytest.param([0.1, 0.0], 100.0, -10.0, 1 / 2, id="bias and cosine cancel"),
        pytest.param([0.1, 0.1, 0.1], 100.0, -10.0, 1 / 2, id="other classes take nothing"),
        pytest.param([np.log(3) / 10, 0.0], 10.0, 0.0, 3 / 4, id="three to one"),
        pytest.param([0.12, 0.0], 117.3, -12.9, 1 / (1 + np.exp(-1.176)), id="as SigLIP"),
        pytest.param([-1.0, -1.0], 1e4, -10.0, 0.0, id="no overflow"),
    ],
)
def test_sigmoid_confidence_by_hand(
    cosine: list[float], scale: float, bias: float, expected: float
) -> None:
    assert sigmoid_confidence(np.array([cosine]), scale, bias) == pytest.approx(expected)


def test_certain_and_right_is_calibrated() -> None:
    for probabilities, bias in (("softmax", 0.0), ("sigmoid", -500.0)):
        confidence = PROBABILITIES[probabilities].confidence(np.eye(3), 1000.0, bias)
        table = calibration_table(confidence, np.ones(3, dtype=bool), bins=15)
        assert table[["from", "to", "n"]].to_numpy().tolist() == [[14 / 15, 1.0, 3.0]]
        assert expected_calibration_error(table) == pytest.approx(0.0, abs=1e-12)


def test_calibration_error_weighs_bins_by_their_images() -> None:
    table = pd.DataFrame({"n": [3, 1], "confidence": [0.5, 0.9], "accuracy": [0.5, 0.5]})
    assert expected_calibration_error(table) == pytest.approx(0.1)
