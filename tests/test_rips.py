"""Rips diagrams, their summaries, distances and cost, against answers known by hand."""

import math
import re
import subprocess
import sys

import gudhi
import numpy as np
import persim
import pytest
from gudhi.wasserstein import wasserstein_distance
from hypothesis import given, settings
from hypothesis import strategies as st
from persim.persistent_entropy import persistent_entropy
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist

from stages.core.runtime.errors import StudyError
from stages.core.topology.rips import (
    DIAGRAM_DISTANCES,
    FILL_BYTES_PER_SECOND,
    NO_BARS,
    PILOT_SECONDS,
    _last_birth,
    _reduce,
    _thresholds,
    bars_up_to,
    bottleneck,
    diagram_distance,
    distance_matrix,
    estimate_cost,
    finite_bars,
    landmarks,
    persistence_diagrams,
    summarise,
    wasserstein,
)

ENGINES = ["gudhi", "ripser"]
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


def test_why_nan_is_refused() -> None:
    distances = distance_matrix(random_cloud(6, 3))
    right = finite_bars(_reduce(distances, 1, "ripser", np.inf)[1])
    distances[0, 1] = distances[1, 0] = np.nan
    wrong = _reduce(distances, 1, "ripser", np.inf)[1]
    assert wrong.shape != right.shape  # an answer, and another one


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
    for bars, complete in zip(found, _reduce(distances, 1, engine, np.inf), strict=True):
        complete = complete[complete[:, 1] > complete[:, 0]].astype(float)
        order = np.lexsort((complete[:, 1], complete[:, 0]))
        np.testing.assert_array_equal(bars, complete[order])


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
    assert (distances <= next(_thresholds(distances))).mean() < 0.6
    circle = distance_matrix(polygon(60))
    thresholds = list(_thresholds(circle))
    assert np.isinf(_reduce(circle, 1, "gudhi", thresholds[0])[1]).any()  # the loop is alive
    assert thresholds[-1] == np.inf
    assert (np.diff(thresholds[:-1]) > 0).all()


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


# Summaries


def test_summary_by_hand() -> None:
    summary = summarise(np.array([[0, 1], [0, 3], [1, 5], [2, 2], [0, np.inf]]))
    assert (summary.bars, summary.essential) == (3, 1)
    assert summary.total_persistence == 1 + 3 + 4
    assert summary.max_persistence == 4
    assert summary.mean_birth == pytest.approx(1 / 3)
    assert summary.mean_death == 3
    shares = [1 / 8, 3 / 8, 1 / 2]
    assert summary.entropy == pytest.approx(-sum(p * math.log(p) for p in shares))


def test_entropy_of_equal_bars_is_the_logarithm_of_their_number() -> None:
    assert summarise(np.array([[0, 1], [1, 2], [5, 6]])).entropy == pytest.approx(math.log(3))
    assert summarise(np.array([[0, 1]])).entropy == 0.0


def test_entropy_is_that_of_persim() -> None:
    bars = diagrams_of(random_cloud(40, 4))[1]
    assert summarise(bars).entropy == pytest.approx(persistent_entropy(bars)[0])


def test_summary_of_no_bars() -> None:
    summary = summarise(NO_BARS)
    assert (summary.bars, summary.essential, summary.entropy) == (0, 0, 0.0)
    assert (summary.total_persistence, summary.max_persistence) == (0.0, 0.0)
    assert math.isnan(summary.mean_birth)
    assert math.isnan(summary.mean_death)


def test_summary_of_a_damaged_diagram_is_refused() -> None:
    with pytest.raises(StudyError, match="NaN"):
        summarise(np.array([[0, np.nan]]))


# Distances of diagrams

BY_HAND = {
    "moved death": ([[0, 1]], [[0, 2]], 1, 1),
    "moved birth and death": ([[0, 8]], [[3, 12]], 4, 5),
    "to nothing": ([[0, 2]], [], 1, 2**0.5),
    "nothing to two": ([], [[0, 2], [1, 2]], 1, 3 / 2**0.5),
    "both to the diagonal": ([[0, 10]], [[0, 1]], 5, 11 / 2**0.5),
    "crossed": ([[0, 5], [1, 9]], [[1, 9], [0, 6]], 1, 1),
    "one left over": ([[0, 5], [0, 1]], [[0, 5]], 0.5, 1 / 2**0.5),
}


@pytest.mark.parametrize("engine", ["pot", "hera"])
@pytest.mark.parametrize("case", BY_HAND)
def test_distances_by_hand(case: str, engine: str) -> None:
    a, b, by_bottleneck, by_wasserstein = BY_HAND[case]
    assert bottleneck(a, b) == pytest.approx(by_bottleneck)
    assert bottleneck(b, a) == pytest.approx(by_bottleneck)
    assert wasserstein(a, b, engine) == pytest.approx(by_wasserstein, rel=1e-4)
    assert wasserstein(b, a, engine) == pytest.approx(by_wasserstein, rel=1e-4)


@pytest.mark.parametrize("dim", [0, 1])
def test_distances_are_those_of_gudhi_and_persim(dim: int) -> None:
    a, b = (finite_bars(diagrams_of(random_cloud(50, 5, seed))[dim]) for seed in (0, 1))
    exact = wasserstein_distance(a, b, order=1, internal_p=2)
    assert wasserstein(a, b) == pytest.approx(exact, rel=1e-12)
    assert wasserstein(a, b) == pytest.approx(persim.wasserstein(a, b), rel=1e-9)
    assert wasserstein(a, b, "hera") == pytest.approx(exact, rel=1e-4)
    assert bottleneck(a, b) == pytest.approx(gudhi.bottleneck_distance(a, b, 0.0), rel=1e-12)
    assert bottleneck(a, b) == pytest.approx(persim.bottleneck(a, b), rel=1e-9)


@pytest.mark.parametrize("engine", ["pot", "hera"])
def test_same_diagrams_are_at_distance_zero(engine: str) -> None:
    bars = finite_bars(diagrams_of(random_cloud(30, 4))[1])
    for a, b in (
        (bars, bars),
        (bars, bars[::-1]),
        (NO_BARS, NO_BARS),
        (NO_BARS, [[1, 1], [2, 2]]),
        ([[3, 3]], [[1, 1], [2, 2]]),
    ):
        assert bottleneck(a, b) == 0.0
        assert wasserstein(a, b, engine) == 0.0


@settings(max_examples=60, deadline=None)
@given(deaths=st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=1, max_size=12))
def test_sorting_deaths_gives_the_exact_distance(deaths: list) -> None:
    a, b = (np.column_stack([np.zeros(len(deaths)), d]) for d in np.array(deaths).T)
    exact = wasserstein_distance(a, b, order=1, internal_p=2)
    assert wasserstein(a, b) == pytest.approx(exact, rel=1e-9, abs=1e-12)


def test_leaving_out_pairs_that_are_far_apart_changes_nothing() -> None:
    generator = np.random.default_rng(0)
    for length, kept in ((0.05, "few"), (5.0, "most")):
        births = generator.random((2, 60))
        a, b = (np.column_stack([x, x + length * generator.random(60)]) for x in births)
        nearer = cdist(a, b) <= np.add.outer(a @ (-1, 1), b @ (-1, 1)) / 2**0.5
        assert (nearer.mean() < 0.5) == (kept == "few")
        exact = wasserstein_distance(a, b[:50], order=1, internal_p=2)
        assert wasserstein(a, b[:50]) == pytest.approx(exact, rel=1e-12)


bars_strategy = st.lists(
    st.tuples(st.floats(0, 1), st.floats(0.01, 1)).map(lambda bar: (bar[0], bar[0] + bar[1])),
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(a=bars_strategy, b=bars_strategy, c=bars_strategy)
def test_both_are_metrics_and_wasserstein_is_the_larger(a: list, b: list, c: list) -> None:
    for distance in (bottleneck, wasserstein):
        assert distance(a, b) == pytest.approx(distance(b, a), abs=1e-12)
        assert distance(a, c) <= distance(a, b) + distance(b, c) + 1e-12
        assert distance(a, sorted(a)) == 0.0
    assert wasserstein(a, b) >= bottleneck(a, b) - 1e-12


@pytest.mark.parametrize("distance", [bottleneck, wasserstein])
@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        ([[0, np.nan]], "NaN"),
        ([[np.inf, np.inf]], "a birth infinite"),
        ([[0, np.inf]], "essential bar; set it aside with finite_bars"),
        ([[1, 0]], "a death before its birth"),
        ([[0, 1, 2]], "shape"),
        ([0, 1], "shape"),
    ],
)
def test_damaged_diagrams_are_refused(distance: object, damaged: list, message: str) -> None:
    for pair in ((damaged, [[0, 1]]), ([[0, 1]], damaged), (damaged, damaged), (damaged, [])):
        with pytest.raises(StudyError, match=message):
            distance(*pair)


def test_why_a_death_before_its_birth_is_refused() -> None:
    below = np.array([[1.0, 0.0]])
    assert wasserstein_distance(below, np.array([[0.0, 0.5]]), order=1, internal_p=2) < 0


# Landmarks


def test_landmarks_are_far_apart() -> None:
    line = np.arange(11.0)[:, None]
    found = landmarks(line, 3, np.random.default_rng(0))
    start = int(np.random.default_rng(0).integers(11))
    far = 10 if start <= 5 else 0
    gaps = np.minimum(np.abs(line[:, 0] - start), np.abs(line[:, 0] - far))
    assert found.tolist() == sorted([start, far, int(gaps.argmax())])


def test_landmarks_meet_every_cluster_once() -> None:
    cloud = random_cloud(40, 3) * 0.01 + np.repeat(np.eye(4, 3), 10, axis=0)
    found = landmarks(cloud, 4, np.random.default_rng(1))
    assert (found // 10).tolist() == [0, 1, 2, 3]


def test_landmarks_do_not_repeat_among_duplicates() -> None:
    found = landmarks(np.zeros((6, 2)), 4, np.random.default_rng(0))
    assert len(set(found.tolist())) == 4
    assert landmarks(np.zeros((3, 2)), 3, np.random.default_rng(0)).tolist() == [0, 1, 2]


def test_diagrams_of_landmarks_lie_within_twice_their_radius() -> None:
    cloud = random_cloud(60, 3)
    found = landmarks(cloud, 40, np.random.default_rng(0))
    distances = distance_matrix(cloud)
    radius = distances[:, found].min(axis=1).max()
    for a, b in zip(diagrams_of(cloud), diagrams_of(cloud[found]), strict=True):
        assert bottleneck(finite_bars(a), finite_bars(b)) <= 2 * radius


# Cost


def test_estimate_continues_a_power_law() -> None:
    sizes: list[int] = []

    def seconds(sample: np.ndarray) -> float:
        sizes.append(len(sample))
        return 1e-9 * len(sample) ** 4

    cost = estimate_cost(np.zeros((2000, 2)), 1, seconds_of=seconds)
    assert cost.exponent == pytest.approx(4.5, abs=0.01)  # EXTRA_EXPONENT above the fourth power
    last = sizes[-1]
    assert seconds(np.zeros(last)) >= PILOT_SECONDS > 1e-9 * sizes[-3] ** 4
    assert last <= 1000
    assert cost.seconds == pytest.approx(1e-9 * last**4 * (2000 / last) ** 4.5, rel=0.01)
    assert cost.memory_bytes > 2000**2 * 8 + FILL_BYTES_PER_SECOND[1] * cost.seconds


def test_estimate_of_a_steeper_law_is_higher() -> None:
    cloud = np.zeros((500, 2))
    mild, steep = (
        estimate_cost(cloud, 1, seconds_of=lambda sample, p=p: (len(sample) / 100) ** p / 50)
        for p in (3, 5)
    )
    assert steep.seconds > 5 * mild.seconds
    assert steep.memory_bytes > mild.memory_bytes


def test_a_small_cloud_needs_no_pilot() -> None:
    def refuse(sample: np.ndarray) -> float:
        raise AssertionError("timed")

    costs = [estimate_cost(np.zeros((40, 2)), dim, seconds_of=refuse).seconds for dim in range(3)]
    assert 0 < costs[0] < costs[1] < costs[2] < 0.1


def test_estimate_times_a_real_cloud() -> None:
    cost = estimate_cost(random_cloud(100, 8), 1)
    assert 1e-5 < cost.seconds < 60
    assert 3 <= cost.exponent <= 7


# Imports


def test_no_array_library_is_imported_beside_numpy() -> None:
    code = (
        "import sys, stages.persistence, stages.distances\n"
        "import ot, gudhi, persim, ripser\n"
        "print({'torch', 'jax', 'tensorflow', 'cupy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("name", list(DIAGRAM_DISTANCES))
@pytest.mark.parametrize("case", list(BY_HAND))
def test_a_distance_by_name_is_that_of_its_function(name: str, case: str) -> None:
    a, b, *by_hand = BY_HAND[case]
    expected = dict(zip(("bottleneck", "wasserstein"), by_hand, strict=True))
    found = diagram_distance(name, a, b, engine="pot", hera_delta=1e-4)
    assert found == pytest.approx(expected[name], rel=1e-9)


A_BAR = np.array([[0.0, 1.0]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda name: diagram_distance(name, A_BAR, A_BAR), "distance of diagrams: {}"),
        (lambda name: wasserstein(A_BAR, A_BAR, name), "engine of the Wasserstein distance: {}"),
        (
            lambda name: persistence_diagrams(distance_matrix(np.eye(5)), 1, name),
            "engine of persistence: {}",
        ),
        (
            lambda name: bars_up_to(distance_matrix(np.eye(5)), 1.0, 1, name),
            "engine of persistence: {}",
        ),
    ],
    ids=["distance", "Wasserstein engine", "persistence engine", "engine of a band"],
)
@pytest.mark.parametrize("name", ["sliced", "Wasserstein", ""])
def test_an_unknown_name_is_an_error_and_no_default(call, message: str, name: str) -> None:
    with pytest.raises(StudyError, match=re.escape(f"{message.format(repr(name))} is unknown")):
        call(name)
