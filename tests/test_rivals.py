"""The label-free scores that topology is compared with, on cases with a known answer."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist

from stages.core.claims import question
from stages.core.claims.rivals import (
    Judge,
    dispersion,
    judge_of,
    neighbour_measures,
    neighbours_kept,
    nuclear_norm,
    score_measures,
    threshold_of,
    totals_of,
)
from stages.core.evaluation.calibration import softmax_confidence
from stages.core.evaluation.classification import Known, Prototypes, ZeroShot, cosines
from stages.core.topology.summaries import SUMMARIES
from tests.conftest import unit_rows

AXES = np.eye(3, dtype=np.float32)


def known_of(text: np.ndarray | None, angle: float = 0.3) -> Known:
    """Three classes of one image each, on the axes; in val each is turned to the next class."""
    turned = np.cos(angle) * AXES + np.sin(angle) * np.roll(AXES, -1, axis=0)
    return Known(AXES, np.arange(3), turned.astype(np.float32), np.arange(3), text)


def value_of(table: pd.DataFrame, measure: str, of: str, noise: float = 1.0) -> float:
    (found,) = table.query("measure == @measure and `class` == @of and noise == @noise")["value"]
    return found


def test_the_threshold_is_reached_by_as_many_as_are_right() -> None:
    confidence = np.array([0.9, 0.2, 0.5, 0.7])
    for right in ([True, True, False, True], [False, True, True, True]):
        threshold = threshold_of(confidence, np.array(right))
        assert threshold == 0.5
        assert (confidence >= threshold).mean() == 0.75
    assert threshold_of(confidence, np.ones(4, bool)) == 0.2
    assert threshold_of(confidence, np.zeros(4, bool)) == np.inf


def test_probabilities_are_those_of_zero_shot_at_the_model_s_own_scale() -> None:
    images = unit_rows(np.random.default_rng(0).standard_normal((9, 3)))
    judge = judge_of(known_of(AXES), 7.0)
    assert isinstance(judge.classifier, ZeroShot)
    found = judge.probabilities(images)
    assert found.sum(axis=1) == pytest.approx(np.ones(9))
    assert found.max(axis=1) == pytest.approx(softmax_confidence(cosines(images, AXES), 7.0, 0.0))


def test_without_text_the_class_means_judge_at_the_likeliest_scale() -> None:
    """Val has three images at the mean of their class and one of the same at that of the other."""
    images = np.repeat(AXES[[0, 1]], [3, 1], axis=0)
    known = Known(AXES[:2], np.arange(2), images, np.zeros(4, int), None)
    judge = judge_of(known, 50.0)
    assert isinstance(judge.classifier, Prototypes)
    assert judge.scale == pytest.approx(np.log(3), abs=1e-4)  # 3 in 4 for the class that is seen
    assert 20 < judge_of(known_of(None), 50.0).scale <= 100  # where all are right, more is likelier


def test_confidence_by_hand() -> None:
    """Halfway between two classes of three, images are as sure of either."""
    between = unit_rows(AXES + np.roll(AXES, -1, axis=0))
    tests = {
        "moved": {0.0: AXES[:1], 1.0: between[:1]},
        "still": {0.0: AXES[1:], 1.0: AXES[1:]},
    }
    scale = 2.0
    surely = np.e**scale / (np.e**scale + 2)
    half = np.exp(scale / np.sqrt(2)) / (2 * np.exp(scale / np.sqrt(2)) + 1)
    found = score_measures(tests, Judge(ZeroShot(AXES), scale, threshold=(surely + half) / 2))
    assert list(found) == question.TABLES["measures"].names
    assert value_of(found, "doubt", "moved") == pytest.approx(1 - half)
    assert value_of(found, "confidence_loss", "moved") == pytest.approx(surely - half)
    assert value_of(found, "thresholded_loss", "moved") == 1
    assert value_of(found, "doubt", "still") == pytest.approx(1 - surely)
    for measure in ("confidence_loss", "thresholded_loss", "nuclear_loss", "dispersion_loss"):
        assert value_of(found, measure, "still") == pytest.approx(0, abs=1e-7)


def test_the_nuclear_norm_by_hand_and_by_singular_values() -> None:
    def norm(probabilities: np.ndarray) -> float:
        return nuclear_norm(totals_of(probabilities, probabilities))

    sure = np.eye(3).repeat(4, axis=0)
    assert norm(sure) == pytest.approx(1)
    assert norm(np.full((12, 3), 1 / 3)) == pytest.approx(1 / 3)  # unsure
    assert norm(np.eye(3)[np.zeros(12, int)]) == pytest.approx(1 / np.sqrt(3))  # of one class
    drawn = np.random.default_rng(0).dirichlet(np.ones(5), 3)  # fewer images than classes
    assert norm(drawn) == pytest.approx(np.linalg.norm(drawn, "nuc") / 3)


def test_dispersion_by_hand() -> None:
    """Three images at 0 and one at 4: their mean is 1, and (3 * 1 + 1 * 9) / (3 - 1) = 6."""
    images = np.array([[0.0], [0.0], [0.0], [4.0]])
    taken_for = np.eye(3)[[0, 0, 0, 2]]
    assert dispersion(totals_of(taken_for, images)) == pytest.approx(np.log(6))
    assert dispersion(totals_of(np.eye(3)[[1, 1, 1, 1]], images)) == -np.inf


def test_the_scores_of_the_whole_are_of_one_noisy_class_among_clean_ones() -> None:
    """What becomes unsure, or is taken for another class, costs the set of all both scores.

    Of the class alone a second class makes the nuclear norm larger, and the dispersion too.
    """
    generator = np.random.default_rng(0)
    clean = {
        name: unit_rows(axis + 0.1 * generator.standard_normal((8, 3)))
        for name, axis in zip("abc", AXES, strict=True)
    }
    unsure = unit_rows(AXES.sum(axis=0) + 0.01 * generator.standard_normal((8, 3)))
    wrong = unit_rows(AXES[0] + 0.1 * generator.standard_normal((8, 3)))
    noisy = {"a": clean["a"], "b": unsure, "c": np.concatenate([clean["c"][:4], wrong[4:]])}
    judge = Judge(ZeroShot(AXES), 20.0, 0.5)
    found = score_measures({name: {0.0: clean[name], 1.0: noisy[name]} for name in clean}, judge)

    def scores(images: np.ndarray) -> tuple[float, float]:
        totals = totals_of(judge.probabilities(images), images)
        return nuclear_norm(totals), dispersion(totals)

    before = scores(np.concatenate(list(clean.values())))
    for of in "bc":
        after = scores(np.concatenate(list((clean | {of: noisy[of]}).values())))
        for measure, old, new in zip(
            ("nuclear_loss", "dispersion_loss"), before, after, strict=True
        ):
            assert value_of(found, measure, of) == pytest.approx(old - new, abs=1e-9)
            assert old - new > 0.01
            assert value_of(found, measure, "a") == pytest.approx(0, abs=1e-7)
    assert scores(noisy["c"]) > scores(clean["c"])


def test_a_dispersion_of_one_class_is_missing() -> None:
    tests = {"a": {0.0: AXES[:1], 1.0: AXES[:1]}, "b": {0.0: AXES[1:2], 1.0: AXES[:1]}}
    found = score_measures(tests, Judge(ZeroShot(AXES), 5.0, 0.5))
    assert np.isnan(value_of(found, "dispersion_loss", "b"))
    assert value_of(found, "dispersion_loss", "a") == 0


def test_neighbours_that_are_kept() -> None:
    """Two pairs on a circle: an image's nearest is its partner, until partners change."""
    degrees = np.array([[0.0, 1.0, 90.0, 91.0], [0.0, 90.0, 91.0, 1.0], [0.0, 1.0, 90.0, 180.0]])
    circle = np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], axis=-1)
    paired, swapped, parted = circle
    assert neighbours_kept(paired, paired, 1) == 1
    assert neighbours_kept(paired, swapped, 1) == 0
    assert neighbours_kept(paired, parted, 1) == 0.75
    assert neighbours_kept(paired, swapped, 3) == 1  # all others


def test_neighbours_kept_agrees_with_sorted_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    clean = unit_rows(generator.standard_normal((40, 5)))
    noisy = unit_rows(clean + 0.5 * generator.standard_normal((40, 5)))
    near = [cdist(cloud, cloud).argsort(axis=1)[:, 1:8] for cloud in (clean, noisy)]
    expected = np.mean([len(set(a) & set(b)) / 7 for a, b in zip(*near, strict=True)])
    assert neighbours_kept(clean, noisy, 7) == pytest.approx(expected)
    monkeypatch.setattr("stages.core.evaluation.classification.SCORES_AT_ONCE", 200)
    assert neighbours_kept(clean, noisy, 7) == pytest.approx(expected)


def test_neighbours_of_few_images() -> None:
    """Half of the others at most, as all of them would always be kept."""
    generator = np.random.default_rng(0)
    clouds = {
        str(n): {0.0: unit_rows(generator.standard_normal((n, 4)))} for n in (1, 2, 3, 7, 100)
    }
    for cloud in clouds.values():
        cloud[1.0] = unit_rows(generator.standard_normal(cloud[0.0].shape))
    found = neighbour_measures(clouds).set_index("class")["value"]
    assert found[["1", "2"]].isna().all()
    assert found.drop(["1", "2"]).between(0.2, 1).all()
    kept = neighbours_kept(clouds["7"][0.0], clouds["7"][1.0], 3)
    assert found["7"] == 1 - kept


def test_changes_of_total_persistence() -> None:
    rows = [
        {"group": "a", "noise": noise, "draw": draw, "dim": dim, "total_persistence": total}
        for noise, draw, dim, total in (
            (0.0, 0, 0, 5.0),
            (0.0, 0, 1, 1.0),
            (1.0, 0, 0, 3.0),
            (1.0, 0, 1, 1.5),
            (1.0, 1, 0, 99.0),
        )
    ]
    summaries = pd.DataFrame(rows).reindex(columns=SUMMARIES.names)
    found = question.summary_measures(summaries, "total_persistence")
    assert found.set_index("measure")["value"].to_dict() == {
        "total_persistence_h0": 2.0,
        "total_persistence_h1": 0.5,
    }
    assert question.name_of("total_persistence_h1") == "change of total persistence, H1"
