"""How often statistics over several runs are right where the truth is known.

Where nothing follows the loss of accuracy at most 5 in 100 claims hold, whatever the number of runs
and however alike they are; where something does, they are found. The environment variable REPEATS
sets how often each is tried: 200 shows the rates themselves; of fewer, as in CI, no more may hold
than a level of 5 in 100 gives in 999 of 1,000 tries.
"""

import os
from collections.abc import Callable
from functools import partial
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from stages.core.across import levels, pooled, prediction
from stages.core.claims.finding import SIGNIFICANCE, Finding
from stages.core.evaluation.statistics import spearman
from stages.core.runtime import parallel
from stages.core.runtime.parallel import parallel_map
from tests.simulated_runs import ACTS, alike, latent, tables

pytestmark = pytest.mark.slow

REPEATS = int(os.environ.get("REPEATS", "5"))
MANY = 40  # repeats that are worth starting processes for
MOST_FALSE = stats.binom.ppf(0.999, REPEATS, SIGNIFICANCE) / REPEATS
REPLICATES = 199


def repeated(simulate: Callable[[int], float], what: str) -> np.ndarray:
    """(REPEATS, ...): what a function of a seed finds; a repeat is on one core."""
    seeds, on_one_core = list(range(REPEATS)), partial(_on_one_core, simulate)
    workers = None if REPEATS >= MANY else 1
    found = np.array(parallel_map(on_one_core, seeds, "repeats", workers))
    print(f"{what}: {found.mean(axis=0).round(3)}")
    return found


def _on_one_core(simulate: Callable[[int], float], seed: int) -> float:
    with mock.patch.object(parallel, "available_cores", return_value=1):
        return simulate(seed)


def holds(found: list[Finding], key: str) -> bool:
    return next(one.verdict for one in found if one.key == key) == "holds"


# The question, pooled


def unrelated(runs: int, share: float, seed: int) -> bool:
    draw = np.random.default_rng([seed, runs, round(10 * share)])
    shape = (share, runs, 2, 20)
    values = {f"shape {i}": alike(draw, *shape) for i in range(3)}
    found = pooled.pooled_effects(
        *tables(values, alike(draw, *shape)),
        dict.fromkeys(values, "topological"),
        REPLICATES,
        0.95,
        seed,
    )
    # The test itself, of as few runs as one: the verdict waits for more.
    return bool((found["pooled"]["p_holm"] <= SIGNIFICANCE).any())


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("runs", [1, 3, 12, 30])
def test_what_is_not_related_is_not_found(runs: int, share: float) -> None:
    rate = repeated(partial(unrelated, runs, share), f"{runs} runs, {share} alike").mean()
    assert rate <= MOST_FALSE


def confounded(
    acts: str, share: float, runs: int, seed: int, classes: int = 30, rho: float = 0.0
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, str]]:
    """Runs in which three plain measures act on a topological one and on the losses."""
    draw = np.random.default_rng([seed, runs, round(10 * share), sorted(ACTS).index(acts)])
    shape = (share, runs, 1, classes)
    controls = np.sqrt(0.3) * alike(draw, *shape, 1) + np.sqrt(0.7) * alike(draw, *shape, 3)
    effect = ACTS[acts](controls)
    effect = (effect - effect.mean()) / effect.std()
    drops, own = alike(draw, *shape), alike(draw, *shape)
    own = latent(rho) * drops + np.sqrt(1 - latent(rho) ** 2) * own
    values = {"shape": effect + own} | {f"plain {i}": controls[..., i] for i in range(3)}
    kinds = {key: "topological" if key == "shape" else "plain" for key in values}
    return *tables(values, effect + drops), kinds


def explained(acts: str, share: float, runs: int, seed: int) -> bool:
    measures, drops, kinds = confounded(acts, share, runs, seed)
    found = pooled.pooled_effects(measures, drops, kinds, REPLICATES, 0.95, seed)
    return holds(pooled.findings(found["pooled"]), "topology_adds_across_runs")


@pytest.mark.parametrize("acts", ACTS)
@pytest.mark.parametrize(("runs", "share"), [(3, 0.0), (12, 0.5)])
def test_what_plain_measures_explain_does_not_add(runs: int, share: float, acts: str) -> None:
    rate = repeated(partial(explained, acts, share, runs), f"{acts}, {runs} runs, {share}").mean()
    assert rate <= MOST_FALSE


@pytest.mark.parametrize("acts", ["exponential of the sum", "saturating"])
@pytest.mark.parametrize(("runs", "share"), [(12, 0.0), (12, 1.0), (30, 0.0)])
def test_nor_in_many_runs_however_alike(runs: int, share: float, acts: str) -> None:
    """What a fit of the plain measures leaves would add up in runs that share nothing."""
    rate = repeated(partial(explained, acts, share, runs), f"{acts}, {runs} runs, {share}").mean()
    assert rate <= MOST_FALSE


def adds(acts: str, seed: int) -> bool:
    measures, drops, kinds = confounded(acts, 0.0, 12, seed, classes=47, rho=0.3)
    found = pooled.pooled_effects(measures, drops, kinds, REPLICATES, 0.95, seed)
    return holds(pooled.findings(found["pooled"]), "topology_adds_across_runs")


@pytest.mark.parametrize("acts", ["linear", "exponential of the sum", "saturating"])
def test_what_topology_knows_beyond_plain_measures_adds(acts: str) -> None:
    """A rho of .3 in each of twelve runs, beside what three plain measures do to both sides."""
    rate = repeated(partial(adds, acts), f"adds beside {acts}").mean()
    assert rate >= 0.9 - (0 if REPEATS >= 100 else 0.2)


def related(count: int, share: float, seed: int) -> bool:
    """Twelve runs of 47 classes, in each of which some of 8 measures have a rho of .3."""
    draw = np.random.default_rng([seed, count, round(10 * share)])
    shape = (share, 12, 1, 47)
    drops, r = alike(draw, *shape), latent(0.3)
    values = {f"shape {i}": alike(draw, *shape) for i in range(8)}
    for i in range(count):
        values[f"shape {i}"] = r * drops + np.sqrt(1 - r**2) * values[f"shape {i}"]
    kinds = dict.fromkeys(values, "topological")
    found = pooled.pooled_effects(*tables(values, drops), kinds, REPLICATES, 0.95, seed)
    return holds(pooled.findings(found["pooled"]), "topology_follows_across_runs")


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("share", [0.0, 0.3])
def test_a_correlation_of_three_tenths_in_each_of_twelve_runs_is_found(
    count: int, share: float
) -> None:
    rate = repeated(partial(related, count, share), f"{count} of 8 related, {share} alike").mean()
    assert rate >= 0.9 - (0 if REPEATS >= 100 else 0.2)


def covered(share: float, spread: float, seed: int) -> tuple[bool, bool]:
    """Whether the intervals hold the mean of rho in these runs, and in all runs to come.

    In each run rho is .3, give or take `spread`.
    """
    draw = np.random.default_rng([seed, round(10 * share), round(100 * spread)])
    rhos = 0.3 + spread * draw.standard_normal((12, 1, 1))
    shape = (share, 12, 1, 47)
    drops, r = alike(draw, *shape), 2 * np.sin(np.pi * rhos / 6)
    values = {"shape": r * drops + np.sqrt(1 - r**2) * alike(draw, *shape)}
    kinds = {"shape": "topological"}
    found = pooled.pooled_effects(*tables(values, drops), kinds, 499, 0.95, seed)
    row = found["pooled"].iloc[0]
    here = row["low"] <= rhos.mean() <= row["high"]
    return here, row["low_runs"] <= 0.3 <= row["high_runs"]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("spread", [0.0, 0.15])
def test_intervals_cover_what_they_are_of(share: float, spread: float) -> None:
    rates = repeated(partial(covered, share, spread), f"{share} alike, {spread} apart").mean(axis=0)
    least = 0.85 if REPEATS >= 100 else 0.6
    assert (rates >= least).all()


def covered_beyond_controls(truth: float, share: float, seed: int) -> bool:
    measures, drops, kinds = confounded("linear", share, 6, seed, 47, 0.4)
    found = pooled.pooled_effects(measures, drops, kinds, 499, 0.95, seed)["pooled"]
    row = found[(found["measure"] == "shape") & found["controlled"]].iloc[0]
    return row["low"] <= truth <= row["high"]


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_an_interval_covers_a_partial_correlation(share: float) -> None:
    measures, drops, _ = confounded("linear", 0.0, 1, 0, 100_000, 0.4)
    wide = measures.pivot_table(index="class", columns="measure", values="value")
    lost = drops.set_index("class")["drop"].reindex(wide.index).to_numpy()
    truth = float(spearman(wide.pop("shape").to_numpy(), lost, wide.to_numpy()))
    rate = repeated(partial(covered_beyond_controls, truth, share), f"partial, {share}").mean()
    assert rate >= (0.85 if REPEATS >= 100 else 0.6)


# Models at equal levels


def models_at_levels(rho: float, models: int, seed: int) -> bool:
    """Two kinds of noise, and what is a model's own is in both."""
    draw = np.random.default_rng([seed, models, round(10 * rho)])
    own = draw.standard_normal((4, models)) + 0.5 * draw.standard_normal((2, 4, models))
    losses = rho * own[:, 0] + np.sqrt(1 - rho**2) * own[:, 3]
    classes = 0.1 * draw.standard_normal((5, 2 * models, 1, 10))
    values = {f"shape {i}": own[:, i].reshape(-1, 1, 1) + classes[i] for i in range(3)}
    measures, drops = tables(
        values,
        losses.reshape(-1, 1, 1) + classes[4],
        models=[f"model {i:02d}" for i in range(models)] * 2,
        noise_kinds=["gaussian"] * models + ["uniform"] * models,
    )
    kinds = dict.fromkeys(values, "topological")
    found = levels.across_models(measures, drops, kinds, REPLICATES, 0.95, seed)
    return holds(levels.findings(found["levels"]), "topology_follows_across_models")


@pytest.mark.parametrize("models", [5, 8, 16])
def test_models_that_nothing_connects_are_not_found(models: int) -> None:
    rate = repeated(partial(models_at_levels, 0.0, models), f"{models} models").mean()
    assert rate <= MOST_FALSE


def test_models_that_lose_what_they_change_are_found() -> None:
    rate = repeated(partial(models_at_levels, 0.95, 12), "12 models, related").mean()
    assert rate >= 0.9 - (0 if REPEATS >= 100 else 0.2)


# Prediction


def predicts(share: float, weight: float, seed: int) -> bool:
    """Eight runs; losses follow plain measures, and the first of two shapes by some weight."""
    draw = np.random.default_rng([seed, round(10 * share), round(10 * weight)])
    shape = (share, 8, 2, 24)
    values = {key: alike(draw, *shape) for key in ("plain 0", "plain 1", "shape 0", "shape 1")}
    level = np.arange(2.0)[:, None]
    values["plain 0"] += level
    known = np.tanh(values["plain 0"]) + values["plain 1"] ** 2 / 2 + weight * values["shape 0"]
    drops = 0.1 * (known + 0.7 * alike(draw, *shape))
    kinds = {key: "plain" if "plain" in key else "topological" for key in values}
    found = prediction.prediction(*tables(values, drops), kinds, REPLICATES, 0.95, seed)
    return holds(prediction.findings(found["gains"]), "topology_predicts_a_new_run")


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_noise_does_not_help_to_predict(share: float) -> None:
    assert repeated(partial(predicts, share, 0.0), f"noise, {share} alike").mean() <= MOST_FALSE


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_what_topology_alone_knows_helps_to_predict(share: float) -> None:
    rate = repeated(partial(predicts, share, 1.0), f"knows, {share} alike").mean()
    assert rate >= 0.9 - (0 if REPEATS >= 100 else 0.2)
