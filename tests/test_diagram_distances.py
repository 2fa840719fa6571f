"""Distances between diagrams, by hand and against the plain computation."""

import re
import subprocess
import sys
from typing import get_args

import gudhi
import numpy as np
import persim
import pytest
from gudhi.wasserstein import wasserstein_distance
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from stages.core.runtime.errors import StudyError
from stages.core.topology.bars import NO_BARS, finite_bars
from stages.core.topology.distances import (
    DIAGRAM_DISTANCES,
    WASSERSTEIN_ENGINES,
    bottleneck,
    diagram_distance,
    wasserstein,
)
from stages.core.topology.rips import distance_matrix, persistence_diagrams
from stages.settings.distances import DistancesParams
from stages.settings.headline import HeadlineParams

BY_HAND = {
    "moved death": ([[0, 1]], [[0, 2]], 1, 1),
    "moved birth and death": ([[0, 8]], [[3, 12]], 4, 5),
    "to nothing": ([[0, 2]], [], 1, 2**0.5),
    "nothing to two": ([], [[0, 2], [1, 2]], 1, 3 / 2**0.5),
    "both to the diagonal": ([[0, 10]], [[0, 1]], 5, 11 / 2**0.5),
    "crossed": ([[0, 5], [1, 9]], [[1, 9], [0, 6]], 1, 1),
    "one left over": ([[0, 5], [0, 1]], [[0, 5]], 0.5, 1 / 2**0.5),
}


def bars_of(seed: int, dim: int) -> np.ndarray:
    """The finite bars of 50 random points in 5 dimensions."""
    cloud = np.random.default_rng(seed).standard_normal((50, 5))
    return finite_bars(persistence_diagrams(distance_matrix(cloud), 1)[dim])


@pytest.mark.parametrize("engine", WASSERSTEIN_ENGINES)
@pytest.mark.parametrize("case", BY_HAND)
def test_distances_by_hand(case: str, engine: str) -> None:
    a, b, by_bottleneck, by_wasserstein = BY_HAND[case]
    assert bottleneck(a, b) == pytest.approx(by_bottleneck)
    assert bottleneck(b, a) == pytest.approx(by_bottleneck)
    assert wasserstein(a, b, engine) == pytest.approx(by_wasserstein, rel=1e-4)
    assert wasserstein(b, a, engine) == pytest.approx(by_wasserstein, rel=1e-4)


@pytest.mark.parametrize("dim", [0, 1])
def test_distances_are_those_of_gudhi_and_persim(dim: int) -> None:
    a, b = (bars_of(seed, dim) for seed in (0, 1))
    exact = wasserstein_distance(a, b, order=1, internal_p=2)
    assert wasserstein(a, b) == pytest.approx(exact, rel=1e-12)
    assert wasserstein(a, b) == pytest.approx(persim.wasserstein(a, b), rel=1e-9)
    assert wasserstein(a, b, "hera") == pytest.approx(exact, rel=1e-4)
    assert bottleneck(a, b) == pytest.approx(gudhi.bottleneck_distance(a, b, 0.0), rel=1e-12)
    assert bottleneck(a, b) == pytest.approx(persim.bottleneck(a, b), rel=1e-9)


@pytest.mark.parametrize("engine", WASSERSTEIN_ENGINES)
def test_same_diagrams_are_at_distance_zero(engine: str) -> None:
    bars = bars_of(0, 1)
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
    ],
    ids=["distance", "engine"],
)
@pytest.mark.parametrize("name", ["sliced", "Wasserstein", ""])
def test_an_unknown_name_is_an_error_and_no_default(call, message: str, name: str) -> None:
    with pytest.raises(StudyError, match=re.escape(f"{message.format(repr(name))} is unknown")):
        call(name)


def test_the_settings_offer_every_distance_and_every_engine() -> None:
    engines = DistancesParams.model_fields["wasserstein_engine"].annotation
    assert get_args(engines) == tuple(WASSERSTEIN_ENGINES)
    headline = HeadlineParams.model_fields["distance"].annotation
    assert get_args(headline) == tuple(DIAGRAM_DISTANCES)


def test_no_array_library_is_imported_beside_numpy() -> None:
    code = (
        "import sys, stages.persistence, stages.distances\n"
        "import ot, gudhi, persim, ripser\n"
        "print({'torch', 'jax', 'tensorflow', 'cupy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
