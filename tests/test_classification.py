"""Classifiers and calibration against answers known by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from stages.core import classification
from stages.core.classification import (
    calibration_table,
    cosines,
    expected_calibration_error,
    fit_neighbours,
    fit_probe,
    margins,
    neighbour_votes,
    rank_of_truth,
)
from tests.conftest import unit_rows


def blobs(count: int, spread: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(3 * count, 6) unit rows around three axes, and their labels."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), count)
    return unit_rows(
        np.eye(3, 6)[labels] + spread * generator.standard_normal((3 * count, 6))
    ), labels


def on_circle(*degrees: float) -> np.ndarray:
    """(n, 2) float32 unit rows at the given angles."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_rank_of_truth_by_hand() -> None:
    scores = np.array([[0.9, 0.1, 0.5], [0.9, 0.1, 0.5], [0.9, 0.1, 0.5]])
    assert rank_of_truth(scores, np.array([0, 1, 2])).tolist() == [0, 2, 1]


def test_equal_scores_rank_as_argmax_does() -> None:
    scores = np.full((4, 4), 0.3)
    assert rank_of_truth(scores, np.arange(4)).tolist() == [0, 1, 2, 3]


def test_a_perfect_and_a_chance_classifier() -> None:
    labels = np.repeat(np.arange(10), 200)
    perfect = cosines(np.eye(10, dtype=np.float32)[labels], np.eye(10, dtype=np.float32))
    assert (rank_of_truth(perfect, labels) == 0).all()
    generator = np.random.default_rng(0)
    images = unit_rows(generator.standard_normal((2000, 32)))
    rank = rank_of_truth(cosines(images, unit_rows(generator.standard_normal((10, 32)))), labels)
    # Within 4 standard errors of 1/10 and 5/10.
    assert abs((rank < 1).mean() - 0.1) < 4 * np.sqrt(0.09 / 2000)
    assert abs((rank < 5).mean() - 0.5) < 4 * np.sqrt(0.25 / 2000)


def test_margins_by_hand() -> None:
    scores = np.array([[0.9, 0.1, 0.5], [0.9, 0.1, 0.5]])
    np.testing.assert_allclose(margins(scores, np.array([0, 1])), [0.4, -0.8])


def test_calibration_error_by_hand() -> None:
    # Confidences 0.95, 0.85, 0.65, 0.55 of class 0; the first and the last are right.
    confidence = np.array([0.95, 0.85, 0.65, 0.55])
    scores = np.zeros((4, 2))
    scores[:, 0] = np.log(confidence / (1 - confidence)) / 100
    table = calibration_table(scores, np.array([0, 1, 1, 0]), logit_scale=100.0, bins=2)
    # All fall into (0.5, 1]: accuracy 0.5, mean confidence 0.75.
    assert table["n"].tolist() == [4]
    assert expected_calibration_error(table) == pytest.approx(0.25)
    fine = calibration_table(scores, np.array([0, 1, 1, 0]), logit_scale=100.0, bins=10)
    assert fine["n"].tolist() == [1, 1, 1, 1]
    assert expected_calibration_error(fine) == pytest.approx((0.05 + 0.85 + 0.65 + 0.45) / 4)


def test_certain_and_right_is_calibrated() -> None:
    table = calibration_table(np.eye(3), np.arange(3), logit_scale=1000.0, bins=15)
    assert table[["from", "to", "n"]].to_numpy().tolist() == [[14 / 15, 1.0, 3.0]]
    assert expected_calibration_error(table) == pytest.approx(0.0, abs=1e-12)


def test_calibration_error_weighs_bins_by_their_images() -> None:
    table = pd.DataFrame({"n": [3, 1], "confidence": [0.5, 0.9], "accuracy": [0.5, 0.5]})
    assert expected_calibration_error(table) == pytest.approx(0.1)


def test_probe_separates_what_is_separable() -> None:
    train, labels = blobs(20, 0.1, seed=0)
    test, test_labels = blobs(20, 0.1, seed=1)
    probe = fit_probe(train, labels, test, test_labels, [0.1, 10.0])
    assert (probe.predict(test) == test_labels).all()
    assert probe.val_accuracy == 1.0
    assert probe.strength == 0.1  # the smallest of those that did best
    assert probe.unconverged == []


def test_probe_is_the_optimum_of_the_strength_it_chose() -> None:
    train, labels = blobs(30, 0.5, seed=0)
    val, val_labels = blobs(200, 0.5, seed=1)
    strengths = [100.0, 0.01, 1.0]
    probe = fit_probe(train, labels, val, val_labels, strengths)
    alone = {
        strength: LogisticRegression(C=strength, tol=1e-9, max_iter=10_000)
        .fit(train.astype(np.float64), labels)
        .predict(val.astype(np.float64))
        for strength in strengths
    }
    right = {strength: (found == val_labels).mean() for strength, found in alone.items()}
    assert right[probe.strength] == max(right.values())
    assert probe.val_accuracy == pytest.approx(right[probe.strength])
    np.testing.assert_array_equal(probe.predict(val), alone[probe.strength])


def test_probe_of_two_classes() -> None:
    train, labels = blobs(20, 0.1, seed=0)
    two = labels < 2
    probe = fit_probe(train[two], labels[two], train[two], labels[two], [1.0])
    assert (probe.predict(train[two]) == labels[two]).all()


def test_a_probe_that_stops_short_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classification, "PROBE_MAX_ITERATIONS", 1)
    train, labels = blobs(20, 0.5, seed=0)
    assert fit_probe(train, labels, train, labels, [1.0, 100.0]).unconverged == [1.0, 100.0]


def test_the_most_frequent_class_of_the_neighbours_wins() -> None:
    references, labels = on_circle(0, 10, 12, 90), np.array([1, 0, 0, 1])
    assert neighbour_votes(references, labels, on_circle(1), [1, 3]).tolist() == [[1], [0]]


def test_equal_votes_go_to_the_nearer_class() -> None:
    references, labels = on_circle(-5, 8), np.array([1, 0])
    assert neighbour_votes(references, labels, on_circle(0), [2]).tolist() == [[1]]


def test_equal_votes_and_cosines_go_to_the_first_class() -> None:
    references, labels = np.eye(2, 4, dtype=np.float32), np.array([1, 0])
    query = unit_rows(np.ones((1, 4)))
    assert neighbour_votes(references, labels, query, [2]).tolist() == [[0]]
    # Equally similar references count in their order.
    assert neighbour_votes(references, labels, query, [1]).tolist() == [[1]]


def test_neighbours_agree_with_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classification, "SIMILARITIES_AT_ONCE", 700)
    train, labels = blobs(30, 0.6, seed=0)
    queries, _ = blobs(17, 0.6, seed=1)
    votes = neighbour_votes(train, labels, queries, [1, 5, 90])
    for count, voted in zip([1, 5], votes, strict=False):
        peer = KNeighborsClassifier(count, metric="cosine").fit(train, labels)
        shares = np.sort(peer.predict_proba(queries), axis=1)
        clear = shares[:, -1] > shares[:, -2]  # ties are broken by another rule there
        assert clear.mean() > 0.8
        np.testing.assert_array_equal(voted[clear], peer.predict(queries)[clear])


def test_the_number_of_neighbours_is_chosen_on_val() -> None:
    # One mislabelled reference on each side: a single neighbour is misled, three are not.
    references = on_circle(0, 2, -2, 90, 92, 88)
    labels = np.array([1, 0, 0, 0, 1, 1])
    val, val_labels = on_circle(0.1, 89.9), np.array([0, 1])
    chosen = fit_neighbours(references, labels, val, val_labels, [3, 1])
    assert (chosen.count, chosen.val_accuracy) == (3, 1.0)
    assert chosen.predict(val).tolist() == [0, 1]
    assert fit_neighbours(references, labels, val, 1 - val_labels, [3, 1]).count == 1
