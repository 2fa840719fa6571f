"""Classifiers against answers known by hand."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from stages.core.evaluation import classification
from stages.core.evaluation.classification import (
    CLASSIFIERS,
    PENALTIES,
    Known,
    cosines,
    fit_neighbours,
    fit_probe,
    fit_prototypes,
    margins,
    most_similar,
    neighbour_votes,
    rank_of_truth,
    sweep,
)
from stages.settings.classify import ClassifyParams
from tests.conftest import unit_rows


def blobs(count: int, spread: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(3 * count, 6) unit rows around three axes, and their labels."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), count)
    return unit_rows(
        np.eye(3, 6)[labels] + spread * generator.standard_normal((3 * count, 6))
    ), labels


def known(*arrays: np.ndarray) -> Known:
    """train, its labels, val, its labels; no prompts, which nothing learns from."""
    return Known(*arrays, text=np.empty((0, arrays[0].shape[1]), dtype=np.float32))


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


@pytest.mark.parametrize("count", [1, 3, 8, 64])
def test_classes_with_the_same_prompts_tie_wherever_they_stand(count: int) -> None:
    """In a matrix product the last bits of a column depend on its position."""
    generator = np.random.default_rng(0)
    images = unit_rows(generator.standard_normal((300, 512)))
    text = unit_rows(generator.standard_normal((count, 512)))
    scores = cosines(images, np.concatenate([text, text[::-1], text]))
    np.testing.assert_array_equal(scores[:, :count], scores[:, 2 * count :])
    np.testing.assert_array_equal(scores[:, :count], scores[:, count : 2 * count][:, ::-1])
    assert (scores.argmax(axis=1) < count).all()


@pytest.mark.parametrize("refit", [False, True])
def test_probe_separates_what_is_separable(refit: bool) -> None:
    train, labels = blobs(20, 0.1, seed=0)
    test, test_labels = blobs(20, 0.1, seed=1)
    probe = fit_probe(known(train, labels, test, test_labels), [0.1, 10.0], refit)
    assert (probe.predict(test) == test_labels).all()
    assert probe.val_accuracy == 1.0
    assert probe.strength == 0.1  # the smallest of those that did best
    assert probe.unconverged == []


def optimum(strength: float, images: np.ndarray, labels: np.ndarray) -> LogisticRegression:
    """A probe by another optimiser, from nothing."""
    model = LogisticRegression(C=strength, tol=1e-9, max_iter=10_000)
    return model.fit(images.astype(np.float64), labels)


def test_probe_is_the_optimum_of_the_strength_it_chose() -> None:
    train, labels = blobs(30, 0.5, seed=0)
    val, val_labels = blobs(200, 0.5, seed=1)
    strengths = [100.0, 0.01, 1.0]
    probe = fit_probe(known(train, labels, val, val_labels), strengths, refit=False)
    alone = {
        strength: optimum(strength, train, labels).predict(val.astype(np.float64))
        for strength in strengths
    }
    right = {strength: (found == val_labels).mean() for strength, found in alone.items()}
    assert right[probe.strength] == max(right.values())
    assert probe.val_accuracy == pytest.approx(right[probe.strength])
    np.testing.assert_array_equal(probe.predict(val), alone[probe.strength])


@pytest.mark.parametrize("strengths", [[], [0.3], [0.01, 1.0, 100.0]])
def test_a_refitted_probe_is_the_optimum_of_train_and_val(strengths: list[float]) -> None:
    """The strength is that chosen without a refit, on val, which is then no test of it."""
    train, labels = blobs(30, 0.5, seed=0)
    val, val_labels = blobs(40, 0.5, seed=1)
    test, _ = blobs(200, 0.5, seed=2)
    images = known(train, labels, val, val_labels)
    chosen, probe = (fit_probe(images, strengths, refit) for refit in (False, True))
    assert (probe.strength, probe.val_accuracy) == (chosen.strength, chosen.val_accuracy)
    both = optimum(
        probe.strength, np.concatenate([train, val]), np.concatenate([labels, val_labels])
    )
    np.testing.assert_array_equal(probe.predict(test), both.predict(test.astype(np.float64)))
    assert (probe.predict(test) != chosen.predict(test)).any()


def test_the_sweep_ends_beside_the_best_of_all_strengths() -> None:
    train, labels = blobs(30, 0.7, seed=0)
    val, val_labels = blobs(300, 0.7, seed=1)
    probe = fit_probe(known(train, labels, val, val_labels), [], refit=False)
    strengths = 1 / (len(train) * PENALTIES)
    assert probe.strength in strengths
    best = max(
        (optimum(strength, train, labels).predict(val) == val_labels).mean()
        for strength in strengths[::4]
    )
    assert probe.val_accuracy >= best - 0.005


@pytest.mark.parametrize("peak", [0, 1, 37, 48, 64, 95, 96])
def test_the_sweep_finds_a_single_peak_in_few_steps(peak: int) -> None:
    strengths = np.geomspace(1e-4, 1e4, 97)
    place = {strength: i for i, strength in enumerate(strengths)}
    best, counts = sweep(lambda strength: -abs(place[strength] - peak), strengths)
    assert place[best] == peak
    assert len(counts) <= 7 + 2 * 4


@pytest.mark.parametrize(
    ("right", "best"),
    [
        pytest.param(lambda strength: 5, 0, id="all alike"),
        pytest.param(lambda strength: int(strength > 3.5), 4, id="alike from the fourth on"),
        pytest.param(lambda strength: int(strength < 40), 0, id="alike up to the fortieth"),
    ],
)
def test_the_strongest_penalty_wins_a_tie_of_the_sweep(right, best: int) -> None:
    assert sweep(right, np.arange(97.0))[0] == best


def test_probe_of_two_classes() -> None:
    train, labels = blobs(20, 0.1, seed=0)
    two = labels < 2
    images = known(train[two], labels[two], train[two], labels[two])
    for strengths in ([1.0], []):
        probe = fit_probe(images, strengths, refit=True)
        assert (probe.predict(train[two]) == labels[two]).all()


def test_a_probe_that_stops_short_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classification, "PROBE_MAX_ITERATIONS", 1)
    train, labels = blobs(20, 0.5, seed=0)
    images = known(train, labels, train, labels)
    assert fit_probe(images, [1.0, 100.0], refit=False).unconverged == [1.0, 100.0]
    short = fit_probe(images, [1.0], refit=True)
    assert short.warning() == "The linear probe did not converge at strength 1"
    assert short.metrics()["converged"] is False


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
    chosen = fit_neighbours(known(references, labels, val, val_labels), [3, 1], refit=False)
    assert (chosen.count, chosen.val_accuracy) == (3, 1.0)
    assert chosen.predict(val).tolist() == [0, 1]
    wrong = fit_neighbours(known(references, labels, val, 1 - val_labels), [3, 1], refit=False)
    assert wrong.count == 1


def test_refitted_neighbours_know_the_images_of_val_too() -> None:
    references, labels = on_circle(0, 90), np.array([0, 1])
    val, val_labels = on_circle(44), np.array([1])  # nearer to class 0
    images = known(references, labels, val, val_labels)
    alone, refitted = (fit_neighbours(images, [1], refit) for refit in (False, True))
    assert alone.val_accuracy == refitted.val_accuracy == 0.0
    assert [each.predict(on_circle(40))[0] for each in (alone, refitted)] == [0, 1]


def test_more_neighbours_than_there_are_images_are_passed_over() -> None:
    images = known(on_circle(0, 90), np.array([0, 1]), on_circle(1), np.array([0]))
    assert fit_neighbours(images, [3, 2, 1], refit=False).count == 1


@pytest.mark.parametrize("at_once", [1, 7, 2**22])
def test_equal_references_tie_in_blocks_of_any_size(
    monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    """Two classes of the same images: every vote is a tie, and goes to the first class."""
    generator = np.random.default_rng(0)
    images = unit_rows(generator.standard_normal((37, 512)))
    references = np.concatenate([images, images])
    labels = np.repeat([1, 0], 37)
    monkeypatch.setattr(classification, "SIMILARITIES_AT_ONCE", 74 * at_once)
    queries = unit_rows(generator.standard_normal((50, 512)))
    assert not neighbour_votes(references, labels, queries, [2, 4, 20]).any()


def test_the_class_with_the_nearest_mean_direction_wins() -> None:
    """The means of two classes point to 20 and to 80 degrees: the border is at 50."""
    images = known(on_circle(0, 40, 80), np.array([0, 0, 1]), on_circle(60, 60), np.array([1, 1]))
    alone, refitted = (fit_prototypes(images, refit) for refit in (False, True))
    np.testing.assert_allclose(alone.means, on_circle(20, 80), atol=1e-7)
    assert alone.predict(on_circle(-10, 49, 51, 170)).tolist() == [0, 0, 1, 1]
    # With val the second class's mean is at 66.6 degrees, and the border at 43.3.
    assert refitted.predict(on_circle(43, 44)).tolist() == [0, 1]


def test_a_class_whose_embeddings_cancel_out_is_at_right_angles_to_all() -> None:
    opposite = np.array([[1, 0], [-1, 0], [0, 1]], dtype=np.float32)
    fitted = fit_prototypes(known(opposite, np.array([0, 0, 1]), opposite, np.zeros(3)), False)
    assert fitted.scores(on_circle(30)).tolist() == [[0.0, 0.5]]


# The registry


@pytest.mark.parametrize("key", CLASSIFIERS)
def test_every_classifier_learns_what_is_separable(key: str) -> None:
    """With the settings that it says it needs, which are those of the stage."""
    train, labels = blobs(20, 0.1, seed=0)
    test, test_labels = blobs(20, 0.1, seed=1)
    given = {
        "probe_strengths": [1.0],
        "probe_images": None,
        "knn_neighbours": [3],
        "knn_images": None,
        "refit": True,
    }
    classifier = CLASSIFIERS[key]
    assert set(classifier.settings) <= ClassifyParams.model_fields.keys()
    fitted = classifier.fit(
        Known(train, labels, train, labels, np.eye(3, 6, dtype=np.float32)),
        **{name: given[name] for name in classifier.settings},
    )
    assert (fitted.predict(test) == test_labels).all()
    assert fitted.warning() is None
    assert all(isinstance(value, int | float) for value in fitted.metrics().values())


def test_the_most_similar_are_those_of_a_stable_sort_ties_included() -> None:
    generator = np.random.default_rng(0)
    for values in (3, 40, 10_000):  # many ties, some, hardly any
        similar = generator.integers(values, size=(50, 60)) / values
        for count in (1, 7, 59, 60, 99):
            expected = np.argsort(-similar, axis=1, kind="stable")[:, :count]
            np.testing.assert_array_equal(most_similar(similar, count), expected)


def test_what_is_learnt_from_has_no_more_images_than_are_allowed() -> None:
    labels = np.repeat([0, 1, 2], [8, 5, 2])
    images = np.arange(15.0)[:, None]
    everything = known(images, labels, images + 15, labels)
    for refit, most in ((False, 7), (True, 12)):
        found, of = everything.for_learning(most, refit)
        assert len(set(found[:, 0])) == len(of) == most
        np.testing.assert_array_equal(of, labels[found[:, 0].astype(int) % 15])
    # As many of each class as can be, and one of each at the least.
    assert np.bincount(everything.for_learning(8, False)[1]).tolist() == [3, 3, 2]
    assert np.bincount(everything.for_learning(1, False)[1]).tolist() == [1, 1, 1]
    for most in (None, 15, 99):
        assert everything.for_learning(most, False)[0] is everything.train


def test_fewer_images_to_learn_from_leave_planted_classes_apart() -> None:
    train, labels = blobs(20, 0.1, seed=0)
    images = known(train, labels, train, labels)
    assert (fit_probe(images, [1.0], True, 10).predict(train) == labels).all()
    neighbours = fit_neighbours(images, [3], True, 10)
    assert len(neighbours.references) == 10
    assert (neighbours.predict(train) == labels).all()


def test_scores_in_blocks_are_those_of_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    train, labels = blobs(20, 0.1, seed=0)
    images = known(train, labels, train, labels)
    found = [fit_prototypes(images, True), fit_probe(images, [1.0], True)]
    at_once = [each.predict(train) for each in found]
    monkeypatch.setattr(classification, "SCORES_AT_ONCE", 21)  # seven images
    for each, expected in zip(found, at_once, strict=True):
        np.testing.assert_array_equal(each.predict(train), expected)
