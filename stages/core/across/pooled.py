"""The question, pooled: does topological change follow the loss of accuracy in all runs together?

In each run classes are the subjects, as in claim 8: Spearman's rho across classes of a measure and
the loss of accuracy, the mean over the run's noise levels. Pooled it is the mean over runs, each
counting alike. Runs on the same classes are not independent, so that classes are permuted and
resampled jointly in all runs of a data group (Winkler et al., "Permutation inference for the
general linear model", NeuroImage 92, 2014): however alike runs are, the test keeps its level.

Two intervals: over classes, of the effect in these runs; over classes and runs, of the effect in
runs to come. The latter resamples both at once, which is conservative (Owen, "The pigeonhole
bootstrap", Ann. Appl. Stat. 1, 2007).
"""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from stages.core.across.panel import Run, of_kind, runs_of
from stages.core.across.resampling import (
    correlations,
    permutations,
    permuted_correlations,
    permuted_partial_correlations,
    rank_products,
    resampled_counts,
    run_weights,
    unbiased_interval,
)
from stages.core.artifacts.tables import Schema, flag, name, number, whole
from stages.core.claims.finding import CORRELATED, SIGNIFICANCE, Finding
from stages.core.claims.question import (
    KINDS,
    LEAST_CLASSES,
    PLAIN,
    RESOLUTION,
    RIVAL,
    TOO_FEW,
    TOPOLOGY,
    name_of,
)
from stages.core.evaluation.statistics import holm, permutation_p_value
from stages.core.runtime.parallel import parallel_map
from stages.core.runtime.randomness import generator_for
from stages.core.runtime.wording import classes_of, count

LEAST_RUNS = 3  # with fewer, nothing is said of runs

# By how much a controlled rho may be too large: a smooth function of few classes falls short of
# sharp bends, in all runs alike, so that no number of runs makes up for it. In simulated runs whose
# truth is known (tests/simulated_runs.py: a step of the sum of three) it was 0.02 to 0.056.
SHORTFALL = 0.06

EFFECT = (
    number("rho", -1, 1, missing=True),
    number("low", -1, 1, missing=True),
    number("high", -1, 1, missing=True),
)
TABLES = {
    # pooled: whether the run is among those of the pooled effect.
    "effects": Schema(
        (
            name("run"),
            name("data"),
            name("measure"),
            name("kind", *KINDS),
            flag("controlled"),
            flag("pooled"),
            whole("classes", low=0),
            *EFFECT,
        ),
        key=("run", "measure", "controlled"),
        may_be_empty=True,
    ),
    # classes: of all data groups together.
    "pooled": Schema(
        (
            name("measure"),
            name("kind", *KINDS),
            flag("controlled"),
            whole("runs", low=0),
            whole("classes", low=0),
            *EFFECT,
            number("low_runs", -1, 1, missing=True),
            number("high_runs", -1, 1, missing=True),
            number("p_value", 0, 1),
            number("p_holm", 0, 1, missing=True),
        ),
        key=("measure", "controlled"),
        may_be_empty=True,
    ),
}


class _Effect(NamedTuple):
    """Of one run and one way (alone or controlled), of all M measures; NaN where there is none.

    rho: (M,); resampled: (R, M); null: (sides, R, M), of each side that is permuted; none for a
    run that is not pooled.
    """

    rho: np.ndarray
    resampled: np.ndarray
    null: np.ndarray


def pooled_effects(
    measures: pd.DataFrame,
    drops: pd.DataFrame,
    kinds: Mapping[str, str],
    replicates: int,
    confidence: float,
    seed: int,
) -> dict[str, pd.DataFrame]:
    """The tables of TABLES: the effect of each measure in every run, and pooled.

    measures, drops: as `runs_of` takes them; kinds: {measure: one of KINDS}. Topological measures
    and rivals are also correlated while all plain ones are controlled for.

    p_value: one-sided, of so large a mean of rho, from permuting classes jointly; controlled, what
    the plain measures leave of either side is permuted (Freedman and Lane 1983), the larger p-value
    of the two sides counts, and the mean has to exceed that of the permuted by more than SHORTFALL
    (a minimum-effect test: Murphy and Myors, J. Appl. Psychol. 84, 1999). p_holm: corrected within
    the measures of a kind, alone and controlled ones apart; NaN for the plain ones, which are no
    tests of the question. low, high: classes resampled; low_runs, high_runs: runs too, all of a
    model at once, NaN for fewer than LEAST_UNITS models. There are `replicates` resamples, or as
    many as a significant p-value needs after Holm.

    A run with fewer than LEAST_CLASSES classes is in `effects` alone. One that lacks a measure, or
    for the controlled effects a plain one, does not count for it: see `runs`.
    """
    order = [measure for kind in KINDS for measure in of_kind(kinds, kind)]  # the plain ones first
    runs = runs_of(measures, drops, order)
    tests = max(sum(kind == one for kind in kinds.values()) for one in (TOPOLOGY, RIVAL))
    enough = max(replicates, round(RESOLUTION * tests / SIGNIFICANCE))
    plain = np.array([kinds[measure] == PLAIN for measure in order], dtype=bool)
    found = parallel_map(partial(_effects_of, plain, enough, seed), runs, "effects of runs")
    effects, pooled = [], []
    for controlled in (False, True):
        for place, measure in enumerate(order):
            if controlled and plain[place]:
                continue
            of = {"measure": measure, "kind": kinds[measure], "controlled": controlled}
            each = [both[controlled] for both in found]
            effects += [
                _row(run, of, effect.rho[place], effect.resampled[:, place], confidence)
                for run, effect in zip(runs, each, strict=True)
            ]
            counted = [
                (run, effect)
                for run, effect in zip(runs, each, strict=True)
                if run.enough and np.isfinite(effect.rho[place])
            ]
            pooled.append(of | _pooled(counted, place, controlled, enough, confidence, seed))
    tables = {
        "effects": pd.DataFrame(effects, columns=TABLES["effects"].names),
        "pooled": pd.DataFrame(pooled, columns=TABLES["pooled"].names),
    }
    return tables | {"pooled": with_holm(tables["pooled"])}


def with_holm(tested: pd.DataFrame) -> pd.DataFrame:
    """`p_holm` of topological measures and of rivals, each with and without controls a family."""
    tested = tested.assign(p_holm=np.nan)
    for kind in (TOPOLOGY, RIVAL):
        for controlled in (False, True):
            family = (tested["kind"] == kind) & (tested["controlled"] == controlled)
            tested.loc[family, "p_holm"] = holm(tested.loc[family, "p_value"].to_numpy())
    return tested


def _effects_of(plain: np.ndarray, replicates: int, seed: int, run: Run) -> tuple[_Effect, _Effect]:
    """The effects of a run, alone and controlled. plain: (M,) which measures are controlled for."""
    levels, n, count_of = run.measures.shape
    # The same for all runs of a data group, by its name alone.
    draws = generator_for(seed, "resamples of classes", run.data)
    counts = np.vstack([np.ones(n), resampled_counts(n, replicates, draws)])
    orders = permutations(n, replicates, generator_for(seed, "orders of classes", run.data))
    has = np.isfinite(run.measures).all(axis=(0, 1)) & (n >= 3)
    # Fewer classes than controls leave nothing of either side.
    with_controls = plain.any() and has[plain].all() and n >= plain.sum() + 3
    permuted = replicates if run.enough else 0
    resampled = np.full((2, levels, replicates + 1, count_of), np.nan)
    nulls = [np.full((levels, sides, permuted, count_of), np.nan) for sides in (1, 2)]
    others = has & ~plain & with_controls
    for level in range(levels if has.any() else 0):
        x, y = run.measures[level], run.drops[level]
        controls = x[:, plain & with_controls]
        products = rank_products(np.column_stack([x[:, has], y]), counts)
        resampled[0, level][:, has] = correlations(products, 0)
        if others.any():
            resampled[1, level][:, others] = correlations(products, controls.shape[1])
        if run.enough:
            nulls[0][level][0][:, has] = permuted_correlations(x[:, has], y, orders)
        if run.enough and others.any():
            sides = permuted_partial_correlations(x[:, others], y, controls, orders)
            nulls[1][level][..., others] = np.stack(sides)
    alone, controlled = map(_over_levels, resampled, nulls)
    return alone, controlled


def _over_levels(resampled: np.ndarray, null: np.ndarray) -> _Effect:
    """Means over the levels at which there is a correlation.

    resampled: (levels, 1 + R, M), the first of them that of the data; null: (levels, sides, R, M).
    Where nothing varies in a resample or permutation, it tells nothing: it counts as the data do.
    """
    rho = resampled[:, 0]  # (levels, M)
    there = np.isfinite(rho)
    levels = np.maximum(there.sum(axis=0), 1)

    def mean(values: np.ndarray, own: np.ndarray) -> np.ndarray:
        filled = np.where(np.isnan(values), own, values)
        return np.where(there.any(axis=0), np.nansum(filled, axis=0) / levels, np.nan)

    return _Effect(
        mean(rho, rho),
        mean(np.where(there[:, None], resampled[:, 1:], np.nan), rho[:, None]),
        mean(np.where(there[:, None, None], null, np.nan), rho[:, None, None]),
    )


def _row(run: Run, of: dict, rho: float, resampled: np.ndarray, confidence: float) -> dict:
    low, high = np.nan, np.nan
    if np.isfinite(rho):
        _, low, high = unbiased_interval(rho, resampled, confidence)
    about = {"run": run.name, "data": run.data, "pooled": run.enough, "classes": len(run.classes)}
    return about | of | {"rho": rho, "low": low, "high": high}


def _pooled(
    counted: list[tuple[Run, _Effect]],
    place: int,
    controlled: bool,
    replicates: int,
    confidence: float,
    seed: int,
) -> dict:
    """The pooled effect of the measure at `place` in the runs that count."""
    classes = {run.data: len(run.classes) for run, _ in counted}
    row = {"runs": len(counted), "classes": sum(classes.values())}
    numbers = ("rho", "low", "high", "low_runs", "high_runs")
    if not counted:
        return row | dict.fromkeys(numbers, np.nan) | {"p_value": 1.0}
    rho = np.mean([effect.rho[place] for _, effect in counted])
    resampled = np.stack([effect.resampled[:, place] for _, effect in counted], axis=1)
    null = np.mean([effect.null[..., place] for _, effect in counted], axis=0)  # (sides, R)
    if controlled:
        null = null + SHORTFALL
    interval = unbiased_interval(rho, resampled.mean(axis=1), confidence)
    weights = run_weights([run.model for run, _ in counted], replicates, seed)
    low_runs, high_runs = np.nan, np.nan
    if weights is not None:
        _, low_runs, high_runs = unbiased_interval(
            rho, (resampled * weights).sum(axis=1), confidence
        )
    values = (*interval, low_runs, high_runs)
    p_value = max(permutation_p_value(rho, side) for side in null)
    return row | dict(zip(numbers, values, strict=True)) | {"p_value": p_value}


def findings(pooled: pd.DataFrame) -> list[Finding]:
    """The answer across runs: of topological measures and of rivals, alone and controlled.

    The effect and its interval over classes are those of the most certain measure; the p-value is
    corrected for all of them. The claim fails where the largest upper end of all intervals, over
    classes or over classes and runs, is that of a weak correlation.
    """
    found = []
    for kind, of in ((TOPOLOGY, "topology"), (RIVAL, "rivals")):
        for controlled in (False, True):
            beyond = ", beyond what plain measures explain" if controlled else ""
            subject = "topological change" if kind == TOPOLOGY else "a simpler score"
            key = f"{of}_{'adds' if controlled else 'follows'}_across_runs"
            statement = f"in all runs together, {subject} follows the loss of accuracy{beyond}"
            effect_is = f"mean over runs of Spearman's rho{' (partial)' if controlled else ''}"
            rows = pooled[
                (pooled["kind"] == kind)
                & (pooled["controlled"] == controlled)
                & pooled["rho"].notna()
            ]
            if rows.empty:
                detail = "no run has enough classes for it"
                found.append(Finding(8, key, statement, effect_is, CORRELATED, detail=detail))
                continue
            ranked = rows.sort_values(["p_holm", "p_value", "rho"], ascending=[True, True, False])
            best = ranked.iloc[0]
            least_runs, least_classes = rows["runs"].min(), rows["classes"].min()
            enough = least_runs >= LEAST_RUNS and least_classes >= LEAST_CLASSES
            significant = (rows["p_holm"] <= SIGNIFICANCE).sum()
            detail = f"{significant} of {count(len(rows), 'measure')} significant"
            if least_classes < LEAST_CLASSES:
                detail = TOO_FEW
            elif least_runs < LEAST_RUNS:
                detail = f"fewer than {LEAST_RUNS} runs decide nothing"
            found.append(
                Finding(
                    8,
                    key,
                    statement,
                    effect_is,
                    CORRELATED,
                    effect=best["rho"],
                    low=best["low"],
                    high=best["high"],
                    p_value=best["p_holm"] if enough else None,
                    largest_high=rows[["high", "high_runs"]].max().max() if enough else None,
                    units=f"{count(best['runs'], 'run')}, {classes_of(best['classes'])}",
                    detail=f"{name_of(best['measure'])}; {detail}",
                )
            )
    return found
