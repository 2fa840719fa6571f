"""Representative cycles: circles that are gone round once, and all cycles of small filtrations."""

from collections.abc import Iterable, Iterator
from itertools import combinations, permutations

import numpy as np
import pytest
from ripser import ripser

from stages.core.runtime.errors import StudyError
from stages.core.topology.bars import finite_bars
from stages.core.topology.cycles import Loop, longest_loops
from stages.core.topology.rips import distance_matrix, persistence_diagrams

Edge = tuple[int, int]


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def circle(n: int, radius: float = 1.0, centre: tuple[float, float] = (0, 0)) -> np.ndarray:
    """(n, 2) points of a circle, evenly, from angle 0 on."""
    turns = 2 * np.pi * np.arange(n) / n
    return radius * np.column_stack([np.cos(turns), np.sin(turns)]) + centre


def loops_of(points: np.ndarray, count: int = 3) -> list[Loop]:
    return longest_loops(distance_matrix(points), count)


def turns_around(points: np.ndarray, centre: tuple[float, float] = (0, 0)) -> float:
    """How many times a ring of points (k, 2) goes round a centre, with a sign."""
    x, y = (points - centre).T
    angles = np.unwrap(np.arctan2(y, x), axis=0)
    last = np.angle(np.exp(1j * (angles[0] - angles[-1])))
    return (angles[-1] - angles[0] + last) / (2 * np.pi)


def persistence(loop: Loop) -> float:
    return loop.death - loop.birth


# Figures


@pytest.mark.parametrize("n", [4, 5, 12, 60])
def test_the_ring_of_even_points_on_a_circle_is_all_of_them_in_order(n: int) -> None:
    """Every step is a longest one, so that ties decide where the ring begins."""
    shuffled = generator().permutation(n)
    (loop,) = loops_of(circle(n)[shuffled])
    steps = np.diff(shuffled[loop.ring], append=shuffled[loop.ring[0]]) % n
    assert sorted(loop.ring) == list(range(n))
    assert set(steps) in ({1}, {n - 1})
    assert loop.birth == pytest.approx(2 * np.sin(np.pi / n))
    np.testing.assert_allclose(loop.steps, loop.birth)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("spread", [0.0, 0.08])
def test_a_ring_goes_round_a_noisy_circle_once(seed: int, spread: float) -> None:
    draw = generator(seed)
    angles = draw.uniform(0, 2 * np.pi, 80)
    points = np.column_stack([np.cos(angles), np.sin(angles)])
    points += spread * draw.standard_normal(points.shape)
    first, *others = loops_of(points)
    assert abs(turns_around(points[first.ring])) == pytest.approx(1)
    for other in others:
        assert turns_around(points[other.ring]) == pytest.approx(0, abs=1e-9)
        assert persistence(other) < persistence(first) / 3


def test_two_circles_have_a_ring_each_the_larger_first() -> None:
    small, large = circle(20, 0.5), circle(60, 1.0, (2, 0))
    first, second, *_ = loops_of(np.vstack([small, large]))
    assert sorted(first.ring) == list(range(20, 80))
    assert sorted(second.ring) == list(range(20))


@pytest.mark.parametrize("seed", range(5))
def test_rings_do_not_mix_two_noisy_circles(seed: int) -> None:
    points = np.vstack([circle(30, 0.6), circle(60, 1.0, (1.8, 0))])  # 0.2 apart
    points += 0.02 * generator(seed).standard_normal(points.shape)
    first, second, *_ = loops_of(points)
    assert min(first.ring) >= 30
    assert max(second.ring) < 30
    assert abs(turns_around(points[first.ring], (1.8, 0))) == pytest.approx(1)
    assert abs(turns_around(points[second.ring])) == pytest.approx(1)


def circle_with_a_chord(left: int, right: int, chord: int) -> dict[str, np.ndarray]:
    """{part: rows} of `points`: arcs left and right of the line x = 0.3, and the line within."""
    end = np.arccos(0.3)
    inner = np.linspace(np.sin(end), -np.sin(end), chord + 2)[1:-1]
    parts = {
        "left": np.linspace(end, 2 * np.pi - end, left),
        "right": np.linspace(-end, end, right + 2)[1:-1],
    }
    found = {name: np.column_stack([np.cos(a), np.sin(a)]) for name, a in parts.items()}
    return found | {"chord": np.column_stack([np.full(chord, 0.3), inner])}


@pytest.mark.parametrize(
    ("counts", "of_first", "of_second"),
    [
        # The arcs are closed before the chord is: the older loop is the whole circle.
        ((80, 60, 12), ("left", "right"), ("right", "chord")),
        # The right arc comes last, over which the circle and its right part are born at once.
        ((80, 16, 60), ("left", "chord"), ("right", "chord")),
    ],
)
def test_a_chord_is_gone_over_by_the_loops_that_are_born_after_it(
    counts: tuple[int, int, int], of_first: tuple[str, ...], of_second: tuple[str, ...]
) -> None:
    parts = circle_with_a_chord(*counts)
    names = np.repeat(list(parts), [len(part) for part in parts.values()])
    first, second, *_ = loops_of(np.vstack(list(parts.values())))
    assert set(names[first.ring]) == set(of_first)
    # The ends of the chord are in the left arc; a ring may cut the corner.
    assert set(names[second.ring]) - {"left"} == set(of_second)
    assert (names[second.ring] == "left").sum() <= 2


def test_what_a_loop_says_of_its_bar_and_ring() -> None:
    points = generator().standard_normal((60, 5))
    distances = distance_matrix(points)
    bars = finite_bars(persistence_diagrams(distances, 1)[1])
    expected = sorted(bars[:, 1] - bars[:, 0], reverse=True)
    loops = longest_loops(distances, 1000)
    assert len(loops) == len(bars) > 10
    assert [persistence(loop) for loop in loops] == expected
    assert {(loop.birth, loop.death) for loop in loops} == set(map(tuple, bars))
    for loop in loops:
        ring = loop.ring
        assert len(set(ring)) == len(ring) >= 4
        np.testing.assert_array_equal(loop.steps, distances[ring, np.roll(ring, -1)])
        assert loop.steps[-1] == loop.steps.max() == loop.birth
        apart = distances[np.ix_(ring, ring)]
        neighbours = np.abs(np.subtract.outer(*2 * [np.arange(len(ring))])) % (len(ring) - 1) <= 1
        assert apart[~neighbours].min() > loop.birth  # no shortcut


def test_the_longest_come_first_and_no_more_than_asked_for() -> None:
    distances = distance_matrix(generator().standard_normal((60, 5)))
    some, all_ = longest_loops(distances, 3), longest_loops(distances, 1000)
    assert len(some) == 3
    for one, same in zip(some, all_[:3], strict=True):
        assert (one.birth, one.death) == (same.birth, same.death)
        np.testing.assert_array_equal(one.ring, same.ring)


@pytest.mark.parametrize("seed", range(3))
def test_rings_do_not_depend_on_the_order_of_the_points(seed: int) -> None:
    points = generator(seed).standard_normal((50, 3))
    order = generator(seed + 100).permutation(50)
    loops, again = loops_of(points, 5), loops_of(points[order], 5)
    assert [cycle(loop.ring) for loop in loops] == [cycle(order[loop.ring]) for loop in again]


# Clouds without loops, duplicates, and what is no matrix of distances


@pytest.mark.parametrize(
    "points",
    [
        np.zeros((1, 2)),
        np.eye(2),
        np.eye(3),
        np.eye(6),  # equidistant: born and filled at once
        np.zeros((9, 2)),
        np.arange(30.0)[:, None],
        np.repeat(np.eye(3), 4, axis=0),
    ],
    ids=["one", "two", "three", "simplex", "one place", "line", "three places"],
)
def test_clouds_without_loops(points: np.ndarray) -> None:
    assert loops_of(points) == []


def test_of_points_in_one_place_the_first_alone_is_in_a_ring() -> None:
    points = np.vstack([circle(12), circle(12)[::-1], circle(12)])
    (loop,) = loops_of(points)
    assert sorted(loop.ring) == list(range(12))
    assert (loop.steps > 0.5).all()


@pytest.mark.parametrize(
    ("distances", "message"),
    [
        (np.zeros((3, 2)), "is not square"),
        (np.full((5, 5), np.nan), "NaN or infinity"),
        (np.ones((5, 5)), "not zero on the diagonal"),
        (np.triu(np.ones((5, 5)), 1), "not symmetric"),
    ],
)
def test_no_distances(distances: np.ndarray, message: str) -> None:
    with pytest.raises(StudyError, match=message):
        longest_loops(distances, 1)


# All cycles of small filtrations

N = 7


def filtration(seed: int) -> np.ndarray:
    """(N, N) the whole numbers from 1 on in random order, for which float32 is exact too."""
    distances = np.zeros((N, N))
    upper = np.triu_indices(N, 1)
    distances[upper] = 1 + generator(seed).permutation(len(upper[0]))
    return distances + distances.T


def cycle(ring: Iterable[int]) -> frozenset[frozenset[int]]:
    """The edges of a ring."""
    ring = list(map(int, ring))
    return frozenset(map(frozenset, zip(ring, ring[1:] + ring[:1], strict=True)))


def simple_cycles(n: int) -> Iterator[tuple[int, ...]]:
    """Every simple cycle of n points, once."""
    for size in range(3, n + 1):
        for first, *others in combinations(range(n), size):
            for order in permutations(others):
                if order[0] < order[-1]:
                    yield (first, *order)


CYCLES = list(map(cycle, simple_cycles(N)))
FILTRATIONS = list(map(filtration, range(40)))


def sizes(edges: frozenset[frozenset[int]], distances: np.ndarray) -> tuple[float, float]:
    """The longest step of a cycle, and its length."""
    steps = [distances[tuple(edge)] for edge in edges]
    return max(steps), sum(steps)


def test_all_cycles_of_seven_points_are_looked_at() -> None:
    assert len(CYCLES) == len(set(CYCLES)) == 1172  # sum over k of C(7, k) (k - 1)! / 2


def test_no_cycle_that_a_cocycle_tells_apart_has_shorter_steps_or_is_shorter() -> None:
    """Ripser's cocycle of a bar; a cycle is told apart where the cocycle's sum over it is odd."""
    seen = 0
    for distances in FILTRATIONS:
        found = ripser(distances, maxdim=1, coeff=2, distance_matrix=True, do_cocycles=True)
        cocycles = {
            tuple(bar): {frozenset(map(int, entry[:2])) for entry in cocycle}
            for bar, cocycle in zip(found["dgms"][1], found["cocycles"][1], strict=True)
        }
        loops = longest_loops(distances, 100)
        assert {(loop.birth, loop.death) for loop in loops} == set(cocycles)
        seen += len(loops)
        for loop in loops:
            cocycle = cocycles[loop.birth, loop.death]
            told_apart = [edges for edges in CYCLES if len(edges & cocycle) % 2]
            ring = cycle(loop.ring)
            assert ring in told_apart
            assert sizes(ring, distances) == min(sizes(edges, distances) for edges in told_apart)
    assert seen > 30


class Span:
    """The sums, over Z/2, of sets of edges; each a number with a bit per edge."""

    def __init__(self, vectors: Iterable[int]) -> None:
        self.by_top: dict[int, int] = {}
        for vector in vectors:
            if rest := self.reduced(vector):
                self.by_top[rest.bit_length()] = rest

    def reduced(self, vector: int) -> int:
        """0 for what is in the span."""
        while vector and (own := self.by_top.get(vector.bit_length())):
            vector ^= own
        return vector


TRIANGLES = [cycle(corners) for corners in combinations(range(N), 3)]


def bits(edges: Iterable[Iterable[int]], distances: np.ndarray, least: float = 0) -> int:
    """The edges of at least some length, as a number."""
    lengths = (int(distances[tuple(edge)]) for edge in edges)
    return sum(1 << length for length in lengths if length >= least)


def filled(distances: np.ndarray, until: float, least: float = 0) -> Span:
    """The boundaries of the triangles up to a scale, of edges of at least some length."""
    there = [edges for edges in TRIANGLES if sizes(edges, distances)[0] <= until]
    return Span(bits(edges, distances, least) for edges in there)


def test_a_ring_is_not_filled_while_its_bar_lives_and_then_is_or_joins_an_older_one() -> None:
    outcomes = []
    for distances in FILTRATIONS:
        for loop in longest_loops(distances, 100):
            ring = cycle(loop.ring)
            whole = bits(ring, distances)
            assert filled(distances, loop.death - 1).reduced(whole)
            # All of it, but for edges before birth: a cycle of these is what is left.
            newest = bits(ring, distances, loop.birth)
            assert not filled(distances, loop.death, loop.birth).reduced(newest)
            outcomes.append(bool(filled(distances, loop.death).reduced(whole)))
    assert set(outcomes) == {False, True}
