"""How often each claim's verdict is right where the truth is known.

With a planted effect a claim holds at least 95 times in 100, under its null at most 5. The
environment variable REPEATS sets how often each is tried: 100 shows the rates themselves; fewer,
as in CI, may miss once.
"""

import os
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from stages.core.artifacts.ground import EUCLIDEAN, Ground
from stages.core.claims import (
    accuracy_steps,
    bars,
    closest_pairs,
    growth,
    loops,
    neighbours,
    question,
)
from stages.core.claims.finding import Finding
from stages.core.evaluation.classification import CLASSIFIERS
from stages.core.geometry.subspaces import class_bases, pair_table, principal_angles
from stages.core.runtime.params import read_params
from stages.core.topology.bars import NO_BARS
from stages.core.topology.metrics import chosen_ground, ground_distances
from stages.core.topology.null_models import persistence_band
from stages.core.topology.rips import distance_matrix, persistence_diagrams
from stages.settings.claims import ClaimsParams
from stages.settings.project import ProjectParams
from tests.conftest import unit_rows
from tests.study import ROOT

pytestmark = pytest.mark.slow

REPEATS = int(os.environ.get("REPEATS", "10"))
CONFIDENCE = 0.95
DEFAULT = read_params(ClaimsParams, ROOT / "params.yaml")
PROJECTION = read_params(ProjectParams, ROOT / "params.yaml")
CLASSES = [f"class {i:02d}" for i in range(17)] + ["crosshatched", "dotted", "grid", "polka-dotted"]
CLASSES += ["striped", "woven", "zigzagged"]


def rate(key: str, simulate: Callable[[int], list[Finding]]) -> float:
    """The share of repeats in which a claim holds."""
    verdicts = [
        next(found.verdict for found in simulate(seed) if found.key == key)
        for seed in range(REPEATS)
    ]
    return verdicts.count("holds") / REPEATS


def assert_tells(key: str, effect: Callable, null: Callable) -> None:
    slack = max(0.05, 1 / REPEATS) + 1e-9
    assert rate(key, effect) >= 1 - slack
    assert rate(key, null) <= slack


# Claims 1 and 2: a pair among the closest


def clouds_about(centres: np.ndarray, seed: int, images: int = 20) -> dict[str, np.ndarray]:
    generator = np.random.default_rng([seed, 1])
    return {
        name: unit_rows(centre + 0.3 * generator.standard_normal((images, len(centre))))
        for name, centre in zip(CLASSES, centres, strict=True)
    }


@pytest.mark.parametrize("space", neighbours.SPACES)
def test_neighbours(space: str) -> None:
    """On the layouts themselves, three for each repeat."""

    def simulate(near: bool, seed: int) -> list[Finding]:
        centres = np.random.default_rng(seed).standard_normal((len(CLASSES), 10))
        if near:
            a, b = map(CLASSES.index, DEFAULT.neighbours[0])
            centres[a] = centres[b] + 0.3 * centres[a]
        drawn = neighbours.samples(clouds_about(centres, seed), 10, 3, seed)
        ranks = neighbours.ranks_in_space(PROJECTION, (space, drawn))
        pair = DEFAULT.neighbours[0]
        return [neighbours.finding(ranks, space, pair, "near", CLASSES, CONFIDENCE)]

    assert_tells(
        "near",
        lambda seed: simulate(True, seed),
        lambda seed: simulate(False, seed),
    )


def subspace_clouds(seed: int, shared: bool) -> dict[str, np.ndarray]:
    """24 classes near random planes of 24 dimensions; of each claimed pair they meet, if shared.

    The second of a pair gets a line of the first, so that none has more than 3 dimensions, the
    rank that is fitted.
    """
    generator = np.random.default_rng(seed)
    planes = {name: generator.standard_normal((2, 24)) for name in CLASSES}
    if shared:
        for a, b in DEFAULT.pairs:
            planes[b] = np.vstack([planes[b], planes[a][:1]])
    clouds = {}
    for name, plane in planes.items():
        weights = generator.standard_normal((30, len(plane)))
        clouds[name] = unit_rows(weights @ plane + 0.05 * generator.standard_normal((30, 24)))
    return clouds


def pair_findings(seed: int, shared: bool) -> list[Finding]:
    clouds = subspace_clouds(seed, shared)
    ranks = dict.fromkeys(clouds, 3)
    bases = class_bases(clouds, 3, 1.0, False)
    pairs = pair_table(principal_angles(bases), list(clouds))
    halves = closest_pairs.half_sample_angles(clouds, ranks, False, 10, seed)
    shuffled = {pair: np.zeros(1) for pair in DEFAULT.pairs}
    table = closest_pairs.ranks_table(pairs, halves, shuffled, CONFIDENCE)
    return closest_pairs.pair_findings(table, DEFAULT.pairs, clouds)


@pytest.mark.parametrize("pair", ["crosshatched_striped", "dotted_grid", "dotted_polka_dotted"])
def test_closest_pairs(pair: str) -> None:
    assert_tells(
        f"{pair}_closest",
        lambda seed: pair_findings(seed, shared=True),
        lambda seed: pair_findings(seed, shared=False),
    )


# Claims 3 and 4: components and loops


def shaped_classes(
    shape: str, seed: int, images: int, dimension: int, ground: Ground = EUCLIDEAN
) -> list[bars.ClassClouds]:
    """47 classes at 2 levels: a Gaussian, two clusters, or a circle, about an axis."""
    classes = []
    for number in range(47):
        generator = np.random.default_rng([seed, number])
        points = {}
        for level in (0.0, 1.0):
            cloud = (0.05 + 0.02 * level) * generator.standard_normal((images, dimension))
            cloud[:, 0] += 1
            angle = generator.uniform(0, 2 * np.pi, images)
            if shape == "circle":
                cloud[:, 1:3] += 0.6 * np.column_stack([np.cos(angle), np.sin(angle)])
            elif shape == "clusters":
                cloud[: images // 2, 1] += 0.8
            points[level] = unit_rows(cloud).astype(np.float64)
        diagrams = {
            level: persistence_diagrams(ground_distances(cloud, ground), 1)
            for level, cloud in points.items()
        }
        classes.append(bars.ClassClouds(f"class {number}", points, np.arange(images), diagrams))
    return classes


def test_components_and_loops_against_null_clouds() -> None:
    def simulate(shape: str, seed: int) -> list[Finding]:
        table = bars.bars_table(shaped_classes(shape, seed, 40, 8), 19, 1, CONFIDENCE, seed)
        components = bars.component_findings(table, 100, CONFIDENCE, np.random.default_rng(seed))
        return components + bars.loop_findings(table, CONFIDENCE)

    found = {
        shape: [simulate(shape, seed) for seed in range(REPEATS)]
        for shape in ("gaussian", "clusters", "circle")
    }
    for key, structured in (("one_component", "clusters"), ("no_loop_beyond_null", "circle")):
        assert_tells(
            key, lambda seed: found["gaussian"][seed], lambda seed, s=structured: found[s][seed]
        )


@pytest.mark.parametrize("metric", ["diffusion", "effective_resistance"])
def test_loops_against_null_clouds_on_the_graph(metric: str) -> None:
    ground = chosen_ground(metric, neighbours=8, diffusion_steps=8)

    def simulate(shape: str, seed: int) -> list[Finding]:
        classes = shaped_classes(shape, seed, 40, 8, ground)
        table = bars.bars_table(classes, 19, 1, CONFIDENCE, seed, ground)
        return bars.loop_findings(table, CONFIDENCE)

    assert_tells(
        "no_loop_beyond_null",
        lambda seed: simulate("gaussian", seed),
        lambda seed: simulate("circle", seed),
    )


def test_loops_beyond_the_band() -> None:
    """Of circles and line segments, where 2,000 points lie close enough for a band to tell.

    A line has no loop; that of a circle lives from its widest gap on to the side of an inscribed
    triangle (Adamaszek and Adams, Pacific J. Math. 290, 2017).
    """

    def simulate(loops: bool, seed: int) -> list[Finding]:
        rows = []
        for number in range(14):
            generator = np.random.default_rng([seed, number])
            angle = np.sort(generator.uniform(0, 2 * np.pi, 2000))
            circle = np.column_stack([np.cos(angle), np.sin(angle)])
            gap = np.diff(angle, append=angle[0] + 2 * np.pi).max()
            distances = distance_matrix(circle if loops else angle[:, None] / np.pi)
            band = persistence_band(distances, CONFIDENCE, 50, generator)
            rows.append(
                {
                    "class": f"class {number}",
                    "noise": 0.0,
                    "longest_bar": np.sqrt(3) - 2 * np.sin(gap / 2) if loops else 0.0,
                    "band": band,
                    "diameter": distances.max(),
                    "longest_null": 1.0,
                    "relative_bar": 1.0,
                    "relative_null": 1.0,
                }
            )
        return bars.loop_findings(pd.DataFrame(rows), CONFIDENCE)

    assert_tells(
        "no_loop_beyond_band",
        lambda seed: simulate(False, seed),
        lambda seed: simulate(True, seed),
    )


def test_steadiness_of_the_last_death() -> None:
    def simulate(growth: float, seed: int) -> list[Finding]:
        generator = np.random.default_rng(seed)
        levels = np.array([0.0, 0.5, 1.0, 2.0])
        table = pd.DataFrame(
            {
                "class": f"class {number}",
                "noise": level,
                "essential": 1,
                "gap": 0.1,
                "gap_null": 0.1,
                "largest_death": 0.5 * (1 + growth * level) * (1 + 0.03 * generator.normal()),
            }
            for number in range(20)
            for level in levels
        )
        return bars.component_findings(table, 500, CONFIDENCE, generator)

    # Growing by 0.27 a level makes a coefficient of variation of 0.16, by 0.02 one of 0.03.
    assert_tells(
        "component_scale_steady",
        lambda seed: simulate(0.02, seed),
        lambda seed: simulate(0.27, seed),
    )


# Claims 5 and 6: trends with noise


@pytest.mark.parametrize("key", ["loops_clump", "loops_die_sooner"])
def test_trends_of_loops(key: str) -> None:
    def simulate(slope: float, seed: int) -> list[Finding]:
        generator = np.random.default_rng(seed)
        diagrams = {
            f"class {number}": {
                level: [
                    NO_BARS,
                    np.exp(slope * level) * np.sort(generator.uniform(0.2, 1, (15, 2)), axis=1),
                ]
                for level in (0.0, 0.5, 1.0, 2.0)
            }
            for number in range(20)
        }
        summaries = pd.DataFrame(
            {"group": of, "noise": level, "bars": len(h1), "mean_death": h1[:, 1].mean()}
            for of, by_level in diagrams.items()
            for level, (_, h1) in by_level.items()
        )
        return loops.findings(loops.loops_table(summaries, diagrams), True, True, CONFIDENCE)

    assert_tells(key, lambda seed: simulate(-0.5, seed), lambda seed: simulate(0.0, seed))


def test_growth_of_distances() -> None:
    def simulate(slope: float, seed: int) -> list[Finding]:
        generator = np.random.default_rng(seed)
        distances = pd.DataFrame(
            {
                "group": f"class {number}",
                "noise": level,
                "dim": 0,
                "metric": "bottleneck",
                "comparison": "clean_noisy",
                "distance": slope * level + generator.uniform(0.1, 0.2),
            }
            for number in range(20)
            for level in (0.5, 1.0, 2.0)
        )
        return growth.findings(distances, growth.growth_table(distances), CONFIDENCE)

    assert_tells(
        "bottleneck_h0_grows", lambda seed: simulate(0.2, seed), lambda seed: simulate(0.0, seed)
    )


# Claim 7: accuracy


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_accuracy_steps(classifier: str) -> None:
    """Under the null the second step keeps its accuracy, though the first one drops."""

    def simulate(accuracies: tuple[float, ...], seed: int) -> list[Finding]:
        generator = np.random.default_rng(seed)
        difficulty = generator.uniform(size=(400, 3))
        tables = []
        for level, accuracy in zip((0.0, 1.0, 2.0), accuracies, strict=True):
            actual = np.array([f"class {i % 10}" for i in range(400)])
            other = np.array([f"class {(i + 1) % 10}" for i in range(400)])
            # Half of what makes an image hard is the same at every level.
            hard = np.where(generator.random(400) < 0.5, difficulty[:, 0], generator.random(400))
            said = np.where(hard < accuracy, actual, other)
            tables.append(
                pd.DataFrame(
                    {"id": np.arange(400), "noise": level, "actual": actual}
                    | dict.fromkeys(CLASSIFIERS, said)
                )
            )
        steps = accuracy_steps.steps_table(pd.concat(tables), CONFIDENCE)
        return accuracy_steps.findings(steps, list(CLASSIFIERS))

    assert_tells(
        f"accuracy_falls_{classifier}",
        lambda seed: simulate((0.8, 0.6, 0.4), seed),
        lambda seed: simulate((0.8, 0.6, 0.6), seed),
    )


# Claim 8: the question


def question_findings(driver: str, seed: int) -> list[Finding]:
    """40 classes whose drops follow nothing, a plain measure, or a topological one.

    Where they follow the plain measure, so do the topological ones.
    """
    generator = np.random.default_rng(seed)
    plain, topological = generator.standard_normal((2, 40))
    rows, drops = [], []
    for level in (0.5, 1.0):
        values = {name: plain + 0.3 * generator.standard_normal(40) for name in question.CONTROLS}
        values["displacement"] = plain
        for name in ("divergence", "bottleneck_h0", "bottleneck_h1", "wasserstein_h0"):
            shared = {"plain": plain, "topology": topological}.get(driver, np.zeros(40))
            values[name] = shared + 0.5 * generator.standard_normal(40)
        lost = {"plain": plain, "topology": topological}.get(driver, np.zeros(40))
        for measure, of_classes in values.items():
            rows += [
                {"class": f"class {i}", "noise": level, "measure": measure, "value": value}
                for i, value in enumerate(of_classes)
            ]
        for classifier in question.CLASSIFIERS:
            drop = lost + 0.5 * generator.standard_normal(40)
            drops += [
                {"class": f"class {i}", "noise": level, "classifier": classifier, "drop": value}
                for i, value in enumerate(drop)
            ]
    correlations = question.correlations_table(
        pd.DataFrame(rows), pd.DataFrame(drops), 499, CONFIDENCE, seed
    )
    return question.findings(correlations, list(CLASSIFIERS))


def test_the_question() -> None:
    found = {
        driver: [question_findings(driver, seed) for seed in range(REPEATS)]
        for driver in ("nothing", "plain", "topology")
    }
    for classifier in question.CLASSIFIERS:
        for key, effect, null in (
            (f"topology_follows_{classifier}", "topology", "nothing"),
            (f"topology_adds_{classifier}", "topology", "plain"),
        ):
            assert_tells(key, lambda s, e=effect: found[e][s], lambda s, n=null: found[n][s])


def lead_findings(of_topology: float, of_rivals: tuple[float, ...], seed: int) -> list[Finding]:
    """40 classes whose drops correlate so with three topological measures and with each rival."""
    generator = np.random.default_rng(seed)
    rhos = {f"topology {i}": of_topology for i in range(3)}
    rhos |= {f"rival {i}": rho for i, rho in enumerate(of_rivals)}
    classes = [f"class {i}" for i in range(40)]
    measures, drops = [], []
    for level in (0.5, 1.0):
        truth = generator.standard_normal(40)
        for measure, rho in rhos.items():
            value = rho * truth + np.sqrt(1 - rho**2) * generator.standard_normal(40)
            of = {"class": classes, "noise": level, "measure": measure, "value": value}
            measures.append(pd.DataFrame(of))
        for classifier in CLASSIFIERS:
            drop = truth + 0.1 * generator.standard_normal(40)
            of = {"class": classes, "noise": level, "classifier": classifier, "drop": drop}
            drops.append(pd.DataFrame(of))
    rivals = [each for each in rhos if each.startswith("rival")]
    asked = (pd.concat(measures), pd.concat(drops), 499, CONFIDENCE, seed)
    return question.lead_findings(question.leads_table(*asked, rivals, ()), list(CLASSIFIERS))


# The least favourable null is that of one rival that is as good, among others that are not.
NO_LEAD = {
    "all as good": (0.8, (0.8, 0.8, 0.8, 0.8)),
    "one as good": (0.8, (0.8, 0.0, 0.0, 0.0)),
    "rivals better": (0.4, (0.8, 0.6, 0.6, 0.0)),
    "nothing follows": (0.0, (0.0, 0.0, 0.0, 0.0)),
}


def test_the_rivals() -> None:
    leading = [lead_findings(0.8, (0.0, 0.0, 0.0, 0.0), seed) for seed in range(REPEATS)]
    for of_topology, of_rivals in NO_LEAD.values():
        not_leading = [lead_findings(of_topology, of_rivals, seed) for seed in range(REPEATS)]
        for classifier in CLASSIFIERS:
            key = f"topology_beats_rivals_{classifier}"
            assert_tells(key, lambda s: leading[s], lambda s, n=not_leading: n[s])
