"""Rips diagrams, against answers known by hand."""

import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import minimum_spanning_tree

from stages.core.runtime.errors import StudyError
from stages.core.topology.bars import finite_bars, in_order
from stages.core.topology.distances import bottleneck
from stages.core.topology.rips import (
    ENGINES,
    _early_ends,
    _last_birth,
    bars_up_to,
    distance_matrix,
    persistence_diagrams,
    reduced,
)
from stages.settings.persistence import PersistenceParams

TOLERANCE = {"gudhi": 1e-12, "ripser": 1e-6}


def polygon(corners: int) -> np.ndarray:
    """(corners, 2): a regular polygon on the unit circle."""
    angles = 2 * np.pi * np.arange(corners) / corners
    return np.column_stack([np.cos(angles), np.sin(angles)])


def diagrams_of(points: object, max_dim: int = 1, engine: str = "gudhi") -> list[np.ndarray]:
    return persistence_diagrams(distance_matrix(np.asarray(points, float)), max_dim, engine)


def random_cloud(points: int, dimension: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((points, dimension))


# Distance matrices


def test_distances_of_float32_duplicates_are_exactly_zero() -> None:
    rows = np.random.default_rng(0).standard_normal((3, 512)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    distances = distance_matrix(rows[[0, 0, 1, 2]])
    assert distances.dtype == np.float64
    assert distances[0, 1] == 0.0
    assert not distances.diagonal().any()
    assert distances[0, 2] == pytest.approx(np.linalg.norm(rows[0].astype(float) - rows[1]))


def test_one_point_has_a_distance_matrix() -> None:
    assert distance_matrix(np.ones((1, 3))).tolist() == [[0.0]]


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([[0.0, 1.0], [np.nan, 0.0], [0.0, np.inf]], "2 of 3 points are not finite.*row 1"),
        (np.empty((0, 2)), "at least one"),
        ([0.0, 1.0], "one row per point"),
    ],
)
def test_a_cloud_that_is_none_is_refused(points: object, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        distance_matrix(np.asarray(points))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("distances", "message"),
    [
        ([[0.0, np.nan], [np.nan, 0.0]], "NaN or infinity"),
        ([[0.0, np.inf], [np.inf, 0.0]], "NaN or infinity"),
        ([[0.0, 1.0]], "is not square"),
        ([[0.0, 1.0], [2.0, 0.0]], "not symmetric"),
        ([[1e-4, 1.0], [1.0, 0.0]], "not zero on the diagonal"),
        ([[0.0, -1.0], [-1.0, 0.0]], "negative"),
    ],
)
def test_a_matrix_that_is_none_of_distances_is_refused(
    distances: object, message: str, engine: str
) -> None:
    with pytest.raises(StudyError, match=message):
        persistence_diagrams(np.asarray(distances), 1, engine)


# Diagrams


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("max_dim", [0, 1, 2])
def test_one_and_two_points(max_dim: int, engine: str) -> None:
    for points, components in (
        ([[7.0]], [[0, np.inf]]),
        ([[0.0], [3.0]], [[0, 3], [0, np.inf]]),
    ):
        found = diagrams_of(points, max_dim, engine)
        assert [len(bars) for bars in found[1:]] == [0] * max_dim
        assert found[0].tolist() == components


@pytest.mark.parametrize("engine", ENGINES)
def test_equilateral_triangle_has_no_loop(engine: str) -> None:
    components, loops = diagrams_of(polygon(3), 1, engine)
    np.testing.assert_allclose(finite_bars(components), [[0, 3**0.5]] * 2, atol=TOLERANCE[engine])
    assert len(loops) == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_unit_square_has_a_loop_from_side_to_diagonal(engine: str) -> None:
    _, loops = diagrams_of([[0, 0], [1, 0], [1, 1], [0, 1]], 1, engine)
    np.testing.assert_allclose(loops, [[1, 2**0.5]], atol=TOLERANCE[engine])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("corners", [5, 6, 7, 12, 40])
def test_regular_polygon_has_one_loop(corners: int, engine: str) -> None:
    """It is born with the sides and dies with the first chord that spans a third of the circle
    (Adamaszek and Adams, Pacific J. Math. 290, 2017)."""
    birth = 2 * math.sin(math.pi / corners)
    death = 2 * math.sin(math.pi * math.ceil(corners / 3) / corners)
    components, loops = diagrams_of(polygon(corners), 1, engine)
    np.testing.assert_allclose(loops, [[birth, death]], atol=TOLERANCE[engine])
    np.testing.assert_allclose(finite_bars(components)[:, 1], birth, atol=TOLERANCE[engine])


def test_two_circles_have_two_loops_and_one_gap() -> None:
    both = np.concatenate([polygon(12), polygon(12) + np.array([5, 0])])
    components, loops = diagrams_of(both)
    np.testing.assert_allclose(loops, [[2 * math.sin(math.pi / 12), 3**0.5]] * 2)
    assert finite_bars(components)[-1, 1] == pytest.approx(3)  # 5 apart, less two radii


@pytest.mark.parametrize("engine", ENGINES)
def test_octahedron_has_a_void_and_no_loop(engine: str) -> None:
    components, loops, voids = diagrams_of(np.concatenate([np.eye(3), -np.eye(3)]), 2, engine)
    np.testing.assert_allclose(finite_bars(components), [[0, 2**0.5]] * 5, atol=TOLERANCE[engine])
    np.testing.assert_allclose(voids, [[2**0.5, 2]], atol=TOLERANCE[engine])
    assert len(loops) == 0


def test_sphere_has_one_long_void() -> None:
    height = 1 - (2 * np.arange(80) + 1) / 80  # Fibonacci lattice
    turn = np.pi * (3 - 5**0.5) * np.arange(80)
    radius = np.sqrt(1 - height**2)
    sphere = np.column_stack([radius * np.cos(turn), radius * np.sin(turn), height])
    voids = diagrams_of(sphere, 2)[2]
    lengths = np.sort(voids[:, 1] - voids[:, 0])
    assert lengths[-1] > 0.5
    assert (lengths[:-1] < 0.1).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_duplicates_add_no_bars(engine: str) -> None:
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    once, thrice = (diagrams_of(points, 1, engine) for points in (square, np.tile(square, (3, 1))))
    for a, b in zip(once, thrice, strict=True):
        assert a.tolist() == b.tolist()
    assert diagrams_of(np.zeros((5, 2)), 1, engine)[0].tolist() == [[0, np.inf]]


def test_engines_agree() -> None:
    distances = distance_matrix(random_cloud(50, 6))
    by_gudhi, by_ripser = (persistence_diagrams(distances, 2, engine) for engine in ENGINES)
    assert [len(bars) for bars in by_gudhi] == [len(bars) for bars in by_ripser]
    for a, b in zip(by_gudhi, by_ripser, strict=True):
        np.testing.assert_allclose(a, b, rtol=6e-8)
        assert (np.diff(a[:, 0]) >= 0).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_components_are_the_minimum_spanning_tree(engine: str) -> None:
    distances = distance_matrix(random_cloud(60, 5))
    tree = np.sort(minimum_spanning_tree(distances).data)
    for max_dim in (0, 1):
        components = persistence_diagrams(distances, max_dim, engine)[0]
        rtol = 0 if max_dim == 0 or engine == "gudhi" else 6e-8
        np.testing.assert_allclose(components[:-1, 1], tree, rtol=rtol)
        assert components[-1].tolist() == [0, np.inf]


# The early end of the filtration

CLOUDS = {
    "random in 2 dimensions": random_cloud(60, 2),
    "random in 40 dimensions": random_cloud(60, 40),
    "grid, with ties everywhere": np.array([[x, y] for x in range(7) for y in range(7)], float),
    "circle": polygon(60),
    "circles of three sizes": np.concatenate(
        [polygon(30) * r + np.array([9 * r, 0]) for r in (1, 2, 4)]
    ),
    "clusters": random_cloud(60, 3) + np.repeat(9 * np.eye(3), 20, axis=0),
    "a line": np.arange(20.0)[:, None] ** 1.5,
    "duplicates": np.tile(random_cloud(15, 3), (3, 1)),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CLOUDS)
def test_early_end_changes_no_bar(name: str, engine: str) -> None:
    distances = distance_matrix(CLOUDS[name])
    found = persistence_diagrams(distances, 1, engine)
    for bars, complete in zip(found, reduced(distances, 1, engine, np.inf), strict=True):
        np.testing.assert_array_equal(bars, in_order(complete))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), points=st.integers(2, 14), integers=st.booleans())
def test_last_birth_is_the_longest_edge_without_a_nearer_third_point(
    seed: int, points: int, integers: bool
) -> None:
    cloud = random_cloud(points, 2, seed)
    distances = distance_matrix(cloud.round() if integers else cloud)
    free = [
        distances[i, j]
        for i in range(points)
        for j in range(i)
        if np.maximum(distances[i], distances[j]).min() >= distances[i, j]
    ]
    assert _last_birth(distances) == min(max(free), distances.max(axis=1).min())


def test_early_end_leaves_out_most_edges_and_waits_for_a_loop_to_die() -> None:
    distances = distance_matrix(random_cloud(60, 40))
    assert (distances <= next(_early_ends(distances))).mean() < 0.6
    circle = distance_matrix(polygon(60))
    ends = list(_early_ends(circle))
    assert np.isinf(reduced(circle, 1, "gudhi", ends[0])[1]).any()  # the loop is alive
    assert ends[-1] == np.inf
    assert (np.diff(ends[:-1]) > 0).all()


# Stability

coordinates = st.floats(-1, 1, allow_subnormal=False)
clouds_of_twelve = st.lists(st.tuples(coordinates, coordinates), min_size=12, max_size=12)


@settings(max_examples=40, deadline=None)
@given(cloud=clouds_of_twelve, moves=clouds_of_twelve, scale=st.sampled_from([1e-3, 0.1, 1.0]))
def test_diagrams_move_no_more_than_distances(cloud: list, moves: list, scale: float) -> None:
    """Paired clouds: bottleneck distance <= largest change of a pairwise distance (Chazal, de
    Silva, Oudot, Geom. Dedicata 173, 2014)."""
    before = distance_matrix(np.array(cloud))
    after = distance_matrix(np.array(cloud) + scale * np.array(moves))
    bound = np.abs(after - before).max()
    for a, b in zip(persistence_diagrams(before, 1), persistence_diagrams(after, 1), strict=True):
        assert bottleneck(finite_bars(a), finite_bars(b)) <= bound + 1e-12


@pytest.mark.parametrize("name", ["GUDHI", "giotto", ""])
def test_an_unknown_engine_is_an_error_and_no_default(name: str) -> None:
    distances = distance_matrix(np.eye(5))
    with pytest.raises(StudyError, match=f"engine of persistence: {name!r} is unknown; known are"):
        persistence_diagrams(distances, 1, name)
    with pytest.raises(StudyError, match=f"engine of persistence: {name!r} is unknown; known are"):
        bars_up_to(distances, 1.0, 1, name)


def test_the_setting_offers_every_engine() -> None:
    assert get_args(PersistenceParams.model_fields["engine"].annotation) == tuple(ENGINES)
