"""Distances between points: on graphs known by hand, on clouds, and from stage to stage."""

import json
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from stages.claims import claims
from stages.core.artifacts.diagrams import CloudKey, read_diagrams, write_diagrams
from stages.core.artifacts.ground import EUCLIDEAN, Ground
from stages.core.claims import bars
from stages.core.claims.bars import NO_BAND
from stages.core.explorer.groups import scale
from stages.core.figures.claims import bars as bars_figure
from stages.core.runtime.errors import StudyError
from stages.core.topology.bars import UNIT, finite_bars
from stages.core.topology.cost import estimate_cost
from stages.core.topology.cycles import longest_loops
from stages.core.topology.divergence import topology_divergence
from stages.core.topology.metrics import (
    METRICS,
    chosen_ground,
    described,
    diffusion_distances,
    effective_resistances,
    ground_distances,
    neighbour_graph,
)
from stages.core.topology.rips import distance_matrix, persistence_diagrams, require_distances
from stages.draw import draw
from stages.loops import loops
from tests.conftest import unit_rows, write_embeddings
from tests.stages import invoke, run_computing_stages

RESISTANCE = Ground("effective_resistance", neighbours=5)
DIFFUSION = Ground("diffusion", neighbours=5, diffusion_steps=3)
GROUNDS = [EUCLIDEAN, DIFFUSION, RESISTANCE]
ON_GRAPHS = [DIFFUSION, RESISTANCE]
OF_PAPER = {"neighbours": 15, "diffusion_steps": 8}


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start no worker processes, which takes most of the time."""
    monkeypatch.setattr("stages.core.runtime.parallel.available_cores", lambda: 1)


def uncorrected(graph: np.ndarray) -> np.ndarray:
    """The effective resistances, of which the degrees have been taken away."""
    share = 1 / graph.sum(axis=1)
    found = (
        effective_resistances(graph) + share[:, None] + share - 2 * graph * np.outer(share, share)
    )
    np.fill_diagonal(found, 0)
    return found


def random_graph(seed: int, n: int = 30) -> np.ndarray:
    points = np.random.default_rng(seed).standard_normal((n, 3))
    return neighbour_graph(distance_matrix(points), 4)


def by_walking(graph: np.ndarray, steps: int) -> np.ndarray:
    """Diffusion distances as they are defined, from powers of the transition matrix."""
    degrees = graph.sum(axis=1)
    after = np.linalg.matrix_power(graph / degrees[:, None], steps)
    moved = after[:, None] - after[None]
    return np.sqrt(degrees.sum() * (moved**2 / degrees).sum(axis=2))


# Graphs


def test_neighbours_by_hand() -> None:
    """0 is the nearest of 1, 1 of 0 and of 3, and 3 of 6, though 6 is not of 3."""
    distances = distance_matrix(np.array([[0.0], [1.0], [3.0], [6.0]]))
    path = np.diag([1.0, 1, 1], 1) + np.diag([1.0, 1, 1], -1)
    assert neighbour_graph(distances, 1).tolist() == path.tolist()


@pytest.mark.parametrize("neighbours", [3, 15])
def test_of_few_points_all_are_neighbours(neighbours: int) -> None:
    distances = distance_matrix(np.random.default_rng(0).standard_normal((4, 2)))
    assert neighbour_graph(distances, neighbours).tolist() == (1 - np.eye(4)).tolist()


def test_points_in_one_place_are_all_neighbours() -> None:
    distances = distance_matrix(np.array([[0.0]] * 4 + [[1.0]]))
    graph = neighbour_graph(distances, 1)
    assert graph[:4, :4].tolist() == (1 - np.eye(4)).tolist()
    assert graph[4].tolist() == [1, 1, 1, 1, 0]


def test_components_are_joined_by_their_shortest_edges() -> None:
    """Three pairs on a line: the gap of 8 between the first two, and that of 7 after it."""
    distances = distance_matrix(np.array([[0.0], [1.0], [9.0], [10.0], [17.0], [18.0]]))
    graph = neighbour_graph(distances, 1)
    edges = {(0, 1), (2, 3), (4, 5), (1, 2), (3, 4)}
    assert set(zip(*map(np.ndarray.tolist, np.nonzero(np.triu(graph))), strict=True)) == edges


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 30), st.integers(1, 8), st.booleans())
def test_a_graph_is_connected_and_each_point_has_its_neighbours(
    seed: int, n: int, neighbours: int, on_a_grid: bool
) -> None:
    points = 4 * np.random.default_rng(seed).standard_normal((n, 2))
    distances = distance_matrix(points.round() if on_a_grid else points)
    graph = neighbour_graph(distances, neighbours)
    assert (graph == graph.T).all()
    assert not graph.diagonal().any()
    assert (graph.sum(axis=1) >= min(neighbours, n - 1)).all()
    assert connected_components(graph)[0] == 1
    order = np.random.default_rng(seed).permutation(n)
    if not on_a_grid:
        moved = neighbour_graph(distances[np.ix_(order, order)], neighbours)
        assert (moved == graph[np.ix_(order, order)]).all()


# Effective resistance


def test_resistances_of_a_path_are_its_edges_in_a_row() -> None:
    path = np.diag(np.ones(5), 1) + np.diag(np.ones(5), -1)
    places = np.arange(6)
    np.testing.assert_allclose(uncorrected(path), abs(places[:, None] - places), rtol=1e-9)
    # Less 1/1 + 1/1 for its ends; less 1/1 + 1/2 - 2 / (1 2) for the first edge.
    found = effective_resistances(path)
    np.testing.assert_allclose([found[0, 5], found[0, 1]], [5 - 2, 1 - 1.5 + 1], rtol=1e-9)


@pytest.mark.parametrize("n", [2, 3, 10])
def test_resistances_of_a_complete_graph(n: int) -> None:
    complete = 1 - np.eye(n)
    np.testing.assert_allclose(uncorrected(complete), 2 / n * complete, rtol=1e-9)
    found = effective_resistances(complete)
    np.testing.assert_allclose(found, 2 / (n * (n - 1) ** 2) * complete, rtol=1e-9)
    assert len(np.unique(found)) == 2  # equal to the last bit, and 0


@pytest.mark.parametrize("seed", range(3))
def test_resistances_are_those_of_networkx(seed: int) -> None:
    graph = random_graph(seed)
    found = nx.resistance_distance(nx.from_numpy_array(graph))
    expected = [[found[i][j] for j in range(len(graph))] for i in range(len(graph))]
    np.testing.assert_allclose(uncorrected(graph), expected, atol=1e-8)


def test_two_nodes_with_the_same_neighbours_are_one() -> None:
    """Of a square, opposite corners."""
    square = np.roll(np.eye(4), 1, axis=1) + np.roll(np.eye(4), -1, axis=1)
    assert effective_resistances(square)[0, 2] == 0
    assert diffusion_distances(square, 2)[0, 2] == 0


# Diffusion


@pytest.mark.parametrize("steps", [1, 2, 8])
@pytest.mark.parametrize("seed", range(3))
def test_diffusion_distances_are_those_of_walks(seed: int, steps: int) -> None:
    graph = random_graph(seed)
    np.testing.assert_allclose(
        diffusion_distances(graph, steps), by_walking(graph, steps), atol=1e-8
    )


def test_diffusion_on_a_cycle_by_hand() -> None:
    """After a step from 0 and from 1 of a pentagon, half of a walk is at each of two neighbours.

    0 reaches 1 and 4, and 1 reaches 0 and 2: four places with a half each; vol / d is 5. 0 and 2
    share 1: two places.
    """
    pentagon = np.roll(np.eye(5), 1, axis=1) + np.roll(np.eye(5), -1, axis=1)
    found = diffusion_distances(pentagon, 1)
    np.testing.assert_allclose(found[0, [1, 2]], np.sqrt([5 * 4 / 4, 5 * 2 / 4]), rtol=1e-9)


def test_resistances_are_what_walks_of_two_steps_and_more_add_up_to() -> None:
    """lambda^2 / (1 - lambda) is the sum of the powers of lambda from the square on."""
    graph = random_graph(0)
    n, degrees = len(graph), graph.sum(axis=1)
    walk = graph / degrees[:, None]
    powers = sum(np.linalg.matrix_power(walk, t) - degrees / degrees.sum() for t in range(2, 4000))
    kernel = powers / degrees  # (n, n): symmetric
    expected = kernel.diagonal()[:, None] + kernel.diagonal() - 2 * kernel
    np.testing.assert_allclose(effective_resistances(graph), expected, atol=1e-8 * n)


# Of clouds


@pytest.mark.parametrize("ground", GROUNDS, ids=described)
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 25), st.booleans())
def test_distances_are_symmetric_finite_and_zero_on_the_diagonal(
    ground: Ground, seed: int, n: int, on_a_grid: bool
) -> None:
    points = 2 * np.random.default_rng(seed).standard_normal((n, 2))
    require_distances(ground_distances(points.round() if on_a_grid else points, ground))


def test_the_euclidean_ones_are_those_of_the_points_to_the_bit() -> None:
    points = np.random.default_rng(0).standard_normal((30, 6)).astype(np.float32)
    assert (ground_distances(points) == distance_matrix(points)).all()


@pytest.mark.parametrize("ground", GROUNDS, ids=described)
def test_two_groups_far_apart_are_two_components(ground: Ground) -> None:
    points = np.random.default_rng(0).standard_normal((40, 3))
    points[20:, 0] += 50
    deaths = finite_bars(persistence_diagrams(ground_distances(points, ground), 0)[0])[:, 1]
    assert deaths[-1] > 1.5 * deaths[-2]


def noisy_circle(points: int, seed: int) -> np.ndarray:
    """A circle of radius 1 in 50 dimensions with noise of deviation 0.25 in each."""
    generator = np.random.default_rng(seed)
    angle = generator.uniform(0, 2 * np.pi, points)
    cloud = 0.25 * generator.standard_normal((points, 50))
    cloud[:, :2] += np.column_stack([np.cos(angle), np.sin(angle)])
    return cloud


def detection_score(distances: np.ndarray) -> float:
    """How much longer the longest bar of H1 is than the next, relative to itself."""
    second, longest = np.sort(np.diff(persistence_diagrams(distances, 1)[1])[:, 0])[-2:]
    return (longest - second) / longest


def test_a_noisy_circle_is_lost_in_euclidean_distances_and_kept_on_the_graph() -> None:
    """The experiment of Damrich, Berens and Kobak (figure 1), with a fifth of their points."""
    scores = {
        metric: np.mean(
            [
                detection_score(ground_distances(noisy_circle(200, seed), ground))
                for seed in range(5)
            ]
        )
        for metric in METRICS
        for ground in [chosen_ground(metric, **OF_PAPER)]
    }
    assert scores["euclidean"] < 0.3
    assert scores["diffusion"] > 0.85
    assert scores["effective_resistance"] > 0.7


@pytest.mark.parametrize("ground", ON_GRAPHS, ids=described)
def test_the_ring_of_a_noisy_circle_goes_round_it(ground: Ground) -> None:
    generator = np.random.default_rng(0)
    angle = np.sort(generator.uniform(0, 2 * np.pi, 60))
    points = np.column_stack([np.cos(angle), np.sin(angle)])
    (loop,) = longest_loops(ground_distances(points, ground), 1)
    steps = np.diff(angle[loop.ring], append=angle[loop.ring[0]])
    turns = (np.mod(steps + np.pi, 2 * np.pi) - np.pi).sum() / (2 * np.pi)
    assert abs(turns) == pytest.approx(1)


@pytest.mark.parametrize("ground", GROUNDS, ids=described)
def test_the_divergence_is_by_the_ground(ground: Ground) -> None:
    generator = np.random.default_rng(0)
    points = generator.standard_normal((25, 4))
    assert topology_divergence(points, 3 * points, ground) == pytest.approx(0, abs=1e-9)
    mixed_up, nearly = generator.permutation(points), points + 0.01 * points[::-1]
    assert topology_divergence(points, mixed_up, ground) > 3 * topology_divergence(
        points, nearly, ground
    )


def test_the_time_of_samples_is_that_of_their_distances_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    monkeypatch.setattr(
        "stages.core.topology.cost.ground_distances",
        lambda points, ground: asked.append(ground) or ground_distances(points, ground),
    )
    cost = estimate_cost(np.random.default_rng(0).standard_normal((60, 4)), 0, ground=RESISTANCE)
    assert set(asked) == {RESISTANCE}
    assert cost.memory_bytes >= METRICS["effective_resistance"].bytes_per_pair * 60**2


# What a ground says of itself


def test_a_metric_takes_its_own_settings_alone() -> None:
    assert chosen_ground("euclidean", **OF_PAPER) == EUCLIDEAN
    assert chosen_ground("effective_resistance", **OF_PAPER).diffusion_steps is None
    assert described(chosen_ground("diffusion", **OF_PAPER)) == (
        "diffusion distance, 15 nearest neighbours, 8 steps"
    )
    assert METRICS["euclidean"].unit == UNIT


def test_an_unknown_metric_is_refused() -> None:
    with pytest.raises(StudyError, match=r"persistence.metric: 'manhattan' is unknown; known are"):
        ground_distances(np.eye(3), Ground("manhattan"))


@pytest.mark.parametrize("ground", GROUNDS, ids=described)
def test_a_file_of_diagrams_says_its_ground(ground: Ground, tmp_path: Path) -> None:
    file = tmp_path / "diagrams.parquet"
    diagrams = {CloudKey("grid", 0.0): [np.array([[0, 1.0], [0, np.inf]])]}
    contents = {write_diagrams(file, diagrams, "a run", of) for of in (ground, Ground("another"))}
    assert len(contents) == 2
    write_diagrams(file, diagrams, "a run", ground)
    assert read_diagrams(file).ground == ground
    assert scale(file) == (UNIT if ground == EUCLIDEAN else described(ground))


@pytest.mark.parametrize("wrong", ["0", "-3", "1.5", "many", "", "9" * 40])
def test_a_count_that_is_none_is_refused(wrong: str, tmp_path: Path) -> None:
    file = tmp_path / "diagrams.parquet"
    diagrams = {CloudKey("grid", 0.0): [np.array([[0, 1.0], [0, np.inf]])]}
    write_diagrams(file, diagrams, "a run", Ground("diffusion", neighbours=wrong))
    with pytest.raises(StudyError, match=r"neighbours is .* not a whole number from 1 on; "):
        read_diagrams(file)


# Claims


def circles(ground: Ground) -> list[bars.ClassClouds]:
    """Two classes of 40 points on noisy circles about an axis, the same at two levels."""
    found = []
    for number in range(2):
        cloud = np.column_stack([np.full(40, 1.5), noisy_circle(40, number)[:, :8]])
        points = unit_rows(cloud).astype(np.float64)
        diagrams = persistence_diagrams(ground_distances(points, ground), 1)
        at_levels = [dict.fromkeys((0.0, 1.0), each) for each in (points, diagrams)]
        found.append(bars.ClassClouds(f"class {number}", at_levels[0], np.arange(40), at_levels[1]))
    return found


def test_of_a_distance_without_triangle_inequality_there_is_no_band() -> None:
    table = bars.bars_table(circles(RESISTANCE), 1, 5, 0.95, 0, RESISTANCE)
    assert table["band"].isna().all()
    assert (table["longest_bar"] > 0).all()
    band, null = bars.loop_findings(table, 0.95)
    assert (band.verdict, band.detail) == ("not applicable", NO_BAND)
    assert (null.effect, null.units) == (1, "2 classes")
    axes = bars_figure(table, "95%", {}, "effective resistance").axes[1]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert "95% band: none, by effective resistance" in labels
    assert axes.get_ylabel() == "longest bar of H₁ (effective resistance)"


def test_walks_that_have_forgotten_where_they_began_leave_no_bar_and_no_nan() -> None:
    ground = Ground("diffusion", neighbours=15, diffusion_steps=10**9)
    table = bars.bars_table(circles(ground), 1, 5, 0.95, 0, ground)
    assert (table["largest_death"] == 0).all()
    assert (table["longest_bar"] == 0).all()
    generator = np.random.default_rng(0)
    for finding in bars.component_findings(table, 5, 0.95, generator):
        assert finding.effect == 0


# From stage to stage


@pytest.fixture(scope="module")
def embeddings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with embeddings of 24 images of each of three classes, clean and noisy."""
    folder = tmp_path_factory.mktemp("ground")
    generator = np.random.default_rng(0)
    clouds = {
        (level, 0): 0.3 * generator.standard_normal((72, 6)) + np.eye(3, 6).repeat(24, axis=0)
        for level in (0.0, 0.5)
    }
    labels = [name for name in ("banded", "dotted", "grid") for _ in range(24)]
    write_embeddings(folder / "data" / "embeddings", clouds, labels, np.eye(3, 6))
    return folder


@pytest.mark.parametrize("metric", METRICS)
def test_from_diagrams_to_pictures(
    metric: str, embeddings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_computing_stages(embeddings, "--metric", metric, "--neighbours", "6")
    diagrams = read_diagrams(embeddings / "data" / "diagrams" / "diagrams.parquet")
    ground = chosen_ground(metric, neighbours=6, diffusion_steps=8)
    assert diagrams.ground == ground
    noted = json.loads((embeddings / "metrics" / "persistence.json").read_text())
    assert noted["metric"] == metric
    points = np.load(embeddings / "data" / "embeddings" / "noise_0.50_draw_0.npy")[24:48]
    expected = persistence_diagrams(ground_distances(points, ground), 1)
    for found, right in zip(diagrams.bars[CloudKey("dotted", 0.5)], expected, strict=True):
        assert (found == right).all()

    done = invoke(loops, embeddings)
    assert done.exit_code == 0, done.output
    rings = pd.read_parquet(embeddings / "data" / "loops.parquet")
    longest = rings.query("group == 'dotted' and noise == 0.5 and cloud == 'own' and rank == 1")
    length = longest["death"].iloc[0] - longest["birth"].iloc[0]
    assert length == np.diff(expected[1]).max()

    few = ("--projection-seeds", "2", "--half-samples", "2", "--images-per-class", "8")
    done = invoke(claims, embeddings, *few, "--bootstrap-replicates", "100")
    assert done.exit_code == 0, done.output
    table = pd.read_csv(embeddings / "plots" / "claims" / "claims.csv")
    by = f", by {METRICS[metric].label}"
    said = table["statement"].str.endswith(by)
    about_diagrams = table["number"].isin([3, 4, 5, 6, 8])
    assert (said == (about_diagrams & (metric != "euclidean"))).all()
    of_bars = pd.read_parquet(embeddings / "data" / "claims" / "bars.parquet")
    row = of_bars.query("`class` == 'dotted' and noise == 0.5").iloc[0]
    assert row["longest_bar"] == length
    assert row["diameter"] == ground_distances(points, ground).max()

    monkeypatch.chdir(embeddings)
    for stage in ("persistence", "claims"):
        given = ["--params", str(Path(__file__).parents[1] / "params.yaml")]
        done = CliRunner().invoke(draw, [stage, *given])
        assert done.exit_code == 0, done.output
