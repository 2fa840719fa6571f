"""Which images a cloud is of: landmarks, samples and halves."""

from pathlib import Path

import numpy as np
import pytest

from stages.core.artifacts.diagrams import HALF_A, HALF_B, WHOLE, CloudKey
from stages.core.artifacts.embeddings import read_embeddings
from stages.core.runtime.randomness import stratified_sample
from stages.core.topology.bars import finite_bars
from stages.core.topology.clouds import (
    choose_images,
    landmarks,
    list_clouds,
    stratified_halves,
)
from stages.core.topology.distances import bottleneck
from stages.core.topology.rips import distance_matrix, persistence_diagrams


def random_cloud(points: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((points, 3))


def test_landmarks_are_far_apart() -> None:
    line = np.arange(11.0)[:, None]
    found = landmarks(line, 3, np.random.default_rng(0))
    start = int(np.random.default_rng(0).integers(11))
    far = 10 if start <= 5 else 0
    gaps = np.minimum(np.abs(line[:, 0] - start), np.abs(line[:, 0] - far))
    assert found.tolist() == sorted([start, far, int(gaps.argmax())])


def test_landmarks_meet_every_cluster_once() -> None:
    cloud = random_cloud(40) * 0.01 + np.repeat(np.eye(4, 3), 10, axis=0)
    found = landmarks(cloud, 4, np.random.default_rng(1))
    assert (found // 10).tolist() == [0, 1, 2, 3]


def test_landmarks_do_not_repeat_among_duplicates() -> None:
    found = landmarks(np.zeros((6, 2)), 4, np.random.default_rng(0))
    assert len(set(found.tolist())) == 4
    assert landmarks(np.zeros((3, 2)), 3, np.random.default_rng(0)).tolist() == [0, 1, 2]


def test_diagrams_of_landmarks_lie_within_twice_their_radius() -> None:
    cloud = random_cloud(60)
    found = landmarks(cloud, 40, np.random.default_rng(0))
    distances = distance_matrix(cloud)
    radius = distances[:, found].min(axis=1).max()
    before, after = (persistence_diagrams(distance_matrix(c), 1) for c in (cloud, cloud[found]))
    for a, b in zip(before, after, strict=True):
        assert bottleneck(finite_bars(a), finite_bars(b)) <= 2 * radius


def test_sample_takes_as_many_of_each_class() -> None:
    labels = np.repeat([0, 1, 2], [30, 30, 4])
    rows = stratified_sample(labels, 12, np.random.default_rng(0))
    assert np.bincount(labels[rows]).tolist() == [4, 4, 4]
    assert (np.diff(rows) > 0).all()
    rows = stratified_sample(labels, 40, np.random.default_rng(0))
    assert np.bincount(labels[rows]).tolist() == [18, 18, 4]
    assert stratified_sample(labels, 99, np.random.default_rng(0)).tolist() == list(range(64))


@pytest.mark.parametrize("sizes", [(12, 12), (7, 4), (3,), (1,)])
def test_halves_are_disjoint_and_of_one_size(sizes: tuple[int, ...]) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    rows = np.arange(100, 100 + len(labels))
    halves = stratified_halves(rows, labels, np.random.default_rng(0))
    a, b = halves[HALF_A], halves[HALF_B]
    assert len(a) == len(b) == len(rows) // 2
    assert not set(a) & set(b)
    assert set(a) | set(b) <= set(rows)
    counts = [np.bincount(labels[half - 100], minlength=len(sizes)) for half in (a, b)]
    assert np.abs(counts[0] - counts[1]).max() <= 1


def test_images_of_a_group_are_the_same_at_every_level(planted: Path) -> None:
    artifact = read_embeddings(planted)
    groups = choose_images(artifact, points_per_class=6, points_overall=10, seed=0)
    clouds = list_clouds(artifact, groups)
    for group, parts in groups.items():
        for part, rows in parts.items():
            same = [c.rows for c in clouds if (c.key.group, c.key.part) == (group, part)]
            assert len(same) == (5 if part == WHOLE else 3)
            assert all(np.array_equal(rows, other) for other in same)
    cloud = next(c for c in clouds if c.key == CloudKey("dotted", 0.5, 1))
    np.testing.assert_array_equal(cloud.points(), artifact.array(0.5, 1)[groups["dotted"][WHOLE]])
