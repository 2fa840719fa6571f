"""Does topology predict the loss of accuracy on a run that was not seen?

Accuracy under noise without labels is what a practitioner wants. The loss of accuracy of each class
and level of a run is predicted from measures that need no labels, by a model that learned from
other runs, and from other classes: a measure that is a trait of a class would else predict by
telling which class it is, whatever it measures. `margin_loss` is not among the measures: it is the
score of the true class, and a practitioner without labels does not have it.

The model is additive and smooth: splines of each measure's quantiles, with a ridge penalty (Eilers
and Marx, "Flexible smoothing with B-splines and penalties", Stat. Sci. 11, 1996) that is chosen on
runs and classes held out of those that it learns from.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from stages.core.across.panel import Run, of_kind, runs_of
from stages.core.across.resampling import LEAST_UNITS, resampled_counts, run_weights
from stages.core.artifacts.tables import Schema, name, number, whole
from stages.core.claims.finding import Finding, above
from stages.core.claims.question import PLAIN, RIVAL, TOPOLOGY
from stages.core.evaluation.statistics import percentile_interval
from stages.core.runtime.errors import StudyError
from stages.core.runtime.parallel import parallel_map
from stages.core.runtime.randomness import generator_for
from stages.core.runtime.wording import classes_of, count

LEAST_RUNS_TO_PREDICT = 6  # with fewer, nothing is said
NEEDS_LABELS = ("margin_loss",)
RUN, MODEL = "run", "model"
LEFT_OUT = (RUN, MODEL)  # what is left out at once: a run, or all runs of a model

# Of which kinds of measures the loss is predicted; of none, by the mean loss of the other runs.
FEATURES = {
    "mean loss": (),
    "plain": (PLAIN,),
    "plain + topology": (PLAIN, TOPOLOGY),
    "rivals": (RIVAL,),
    "plain + rivals": (PLAIN, RIVAL),
    "plain + rivals + topology": (PLAIN, RIVAL, TOPOLOGY),
}
GAINS = (("plain", "plain + topology"), ("plain + rivals", "plain + rivals + topology"))

CLASS_FOLDS, INNER_FOLDS = 4, 3
QUANTILES, KNOTS, DEGREE = 100, 4, 2
PENALTIES = np.logspace(-2, 4, 7)

TABLES = {
    # mae: of the shares of right answers lost, in each class and level of the run.
    "errors": Schema(
        (
            name("run"),
            name("data"),
            name("left_out", *LEFT_OUT),
            name("features", *FEATURES),
            whole("classes", low=0),
            number("mae", 0),
        ),
        key=("run", "left_out", "features"),
        may_be_empty=True,
    ),
    # gain: the error without topology less that with it, of which a mean over runs.
    "gains": Schema(
        (
            name("left_out", *LEFT_OUT),
            name("without", *FEATURES),
            name("with", *FEATURES),
            whole("runs", low=0),
            whole("classes", low=0),
            number("mae_without", 0, missing=True),
            number("mae_with", 0, missing=True),
            number("gain", missing=True),
            number("low", missing=True),
            number("high", missing=True),
        ),
        key=("left_out", "without"),
        may_be_empty=True,
    ),
}


class Rows(NamedTuple):
    """The classes and levels of all runs, a row each.

    x: (N, M) measures; y: (N,) losses of accuracy; unit: (N,) int, what is left out at once; run:
    (N,) int; fold: (N,) int, that of the row's class.
    """

    x: np.ndarray
    y: np.ndarray
    unit: np.ndarray
    run: np.ndarray
    fold: np.ndarray


def prediction(
    measures: pd.DataFrame,
    drops: pd.DataFrame,
    kinds: Mapping[str, str],
    replicates: int,
    confidence: float,
    seed: int,
    left_out: str = RUN,
) -> dict[str, pd.DataFrame]:
    """The tables of TABLES: errors of prediction in every run, and what topology takes off them.

    measures, drops: as `runs_of` of `stages.core.across.panel` takes them; kinds: {measure: one of
    KINDS}. left_out: with a run all others of the same encoder and noise, whatever else differs
    (columns model, noise_kind and noise_space of drops, where all are there): their embeddings may
    be of the same images. Or a model: all runs of it, as for a new encoder (column model).

    A gain is the mean over runs, each counting alike; its interval resamples classes, jointly in
    the runs of a data group, and runs, all of a model at once. Predictions are as they are: models
    are not fitted anew to resamples. Runs that have fewer than LEAST_CLASSES classes, or lack a
    measure, are left out of it all. No rows where fewer than two units can be left out.

    Raises StudyError for an unknown `left_out` and where its column is missing.
    """
    order = [each for each in of_kind(kinds, PLAIN, RIVAL, TOPOLOGY) if each not in NEEDS_LABELS]
    all_runs = runs_of(measures, drops, order)
    runs = [run for run in all_runs if run.enough and np.isfinite(run.measures).all()]
    units = units_of(drops, runs, left_out)
    # Sets of which some kind is not there are those of fewer kinds; told once.
    there = {kinds[each] for each in order}
    features = {
        key: [order.index(each) for each in order if kinds[each] in of]
        for key, of in FEATURES.items()
        if set(of) <= there
    }
    if len(set(units)) < 2:
        return {key: pd.DataFrame(columns=schema.names) for key, schema in TABLES.items()}
    rows = _rows(runs, units, seed)
    predict = partial(_predict, rows, list(features.values()), seed)
    parts = parallel_map(predict, sorted(set(units)), "prediction of runs")
    predicted = np.empty((len(features), len(rows.y)))
    for unit, part in zip(sorted(set(units)), parts, strict=True):
        predicted[:, rows.unit == unit] = part
    errors = {
        key: [
            abs(of - rows.y)[rows.run == place].reshape(run.drops.shape).mean(axis=0)
            for place, run in enumerate(runs)
        ]
        for key, of in zip(features, predicted, strict=True)
    }
    table = [
        (run.name, run.data, left_out, key, len(run.classes), of_run.mean())
        for key, of_runs in errors.items()
        for run, of_run in zip(runs, of_runs, strict=True)
    ]
    gains = [
        {"left_out": left_out, "without": without, "with": plus}
        | _gain(runs, errors[without], errors[plus], replicates, confidence, seed)
        for without, plus in GAINS
        if plus in features
    ]
    return {
        "errors": pd.DataFrame(table, columns=TABLES["errors"].names),
        "gains": pd.DataFrame(gains, columns=TABLES["gains"].names),
    }


def units_of(drops: pd.DataFrame, runs: Sequence[Run], left_out: str) -> list[int]:
    """What is left out with each of the runs, as a number. Raises as `prediction` does."""
    if left_out not in LEFT_OUT:
        raise StudyError(f"left_out: {left_out}; give one of {', '.join(LEFT_OUT)}")
    columns = ["model"] if left_out == MODEL else ["model", "noise_kind", "noise_space"]
    if left_out == MODEL and "model" not in drops:
        raise StudyError("drops: no column model; give it, or leave out runs")
    columns = columns if set(columns) <= set(drops.columns) else ["run"]
    of_run = drops.drop_duplicates("run").set_index("run", drop=False)
    names = [tuple(of_run.loc[run.name, columns].astype(str)) for run in runs]
    numbers = {each: number for number, each in enumerate(sorted(set(names)))}
    return [numbers[each] for each in names]


def _rows(runs: Sequence[Run], units: Sequence[int], seed: int) -> Rows:
    classes = sorted({each for run in runs for each in run.classes})
    dealt = generator_for(seed, "folds of classes").permutation(len(classes)) % CLASS_FOLDS
    # By name: a class of the same name in another data set is not seen either.
    fold_of = dict(zip(classes, dealt, strict=True))
    sizes = [run.drops.size for run in runs]
    return Rows(
        np.concatenate([run.measures.reshape(-1, run.measures.shape[-1]) for run in runs]),
        np.concatenate([run.drops.ravel() for run in runs]),
        np.repeat(units, sizes),
        np.repeat(np.arange(len(runs)), sizes),
        np.concatenate([[fold_of[c] for c in run.classes] * len(run.levels) for run in runs]),
    )


def _predict(rows: Rows, features: list[list[int]], seed: int, unit: int) -> np.ndarray:
    """(sets of features, rows of the unit): its losses, predicted from all other units."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import QuantileTransformer, SplineTransformer

    inside = rows.unit == unit
    splines = make_pipeline(
        QuantileTransformer(n_quantiles=min(QUANTILES, int((~inside).sum())), subsample=None),
        SplineTransformer(KNOTS, DEGREE, include_bias=False),
    )
    # Each measure has columns of its own, next to one another: (N, M * width).
    columns = splines.fit(rows.x[~inside]).transform(rows.x)
    width = columns.shape[1] // rows.x.shape[1]
    others = np.setdiff1d(rows.unit, [unit])
    dealt = generator_for(seed, "folds of units", int(unit)).permutation(len(others)) % INNER_FOLDS
    unit_fold = np.full(rows.unit.max() + 1, -1)
    unit_fold[others] = dealt
    unit_fold = unit_fold[rows.unit]  # (N,)
    predicted = np.empty((len(features), len(rows.y)))
    for fold in range(CLASS_FOLDS):
        known = ~inside & (rows.fold != fold)
        asked = inside & (rows.fold == fold)
        if not asked.any():
            continue
        # Pairs of runs and classes to try on, with neither among what is learnt from.
        held = list(enumerate(np.setdiff1d(np.arange(CLASS_FOLDS), [fold])[:INNER_FOLDS]))
        inner = [
            (
                known & (unit_fold != units) & (rows.fold != classes),
                known & (unit_fold == units) & (rows.fold == classes),
            )
            for units, classes in held
        ]
        for place, chosen in enumerate(features):
            if not chosen:
                predicted[place, asked] = rows.y[known].mean()
                continue
            z = columns.reshape(len(columns), -1, width)[:, chosen].reshape(len(columns), -1)
            predicted[place, asked] = _ridge(z, rows.y, known, asked, inner)
    return predicted[:, inside]


def _ridge(
    z: np.ndarray,
    y: np.ndarray,
    known: np.ndarray,
    asked: np.ndarray,
    inner: list[tuple[np.ndarray, np.ndarray]],
) -> np.ndarray:
    """Predictions of the rows asked, by a ridge regression on those known.

    inner: pairs of rows to learn from and rows to try on, by which the penalty is chosen.
    """
    from sklearn.linear_model import Ridge

    lost = np.zeros(len(PENALTIES))
    for learn, held in inner:
        if learn.any() and held.any():
            # A column per penalty: sums of products are made once for all of them.
            targets = np.tile(y[learn][:, None], len(PENALTIES))
            tried = Ridge(PENALTIES, solver="cholesky").fit(z[learn], targets).predict(z[held])
            lost += abs(tried - y[held][:, None]).sum(axis=0)
    best = Ridge(PENALTIES[lost.argmin()] if lost.any() else 1.0, solver="cholesky")
    return best.fit(z[known], y[known]).predict(z[asked])


def _gain(
    runs: Sequence[Run],
    without: list[np.ndarray],
    plus: list[np.ndarray],
    replicates: int,
    confidence: float,
    seed: int,
) -> dict:
    """The mean gain, with its interval. without, plus: of each run the errors of its classes."""
    gains = [a - b for a, b in zip(without, plus, strict=True)]
    gain = np.mean([each.mean() for each in gains])
    resampled = np.empty((replicates, len(runs)))
    for place, (run, each) in enumerate(zip(runs, gains, strict=True)):
        draws = generator_for(seed, "resamples of classes", run.data)
        counts = resampled_counts(len(run.classes), replicates, draws)
        resampled[:, place] = counts @ each / len(each)
    weights = run_weights([run.model for run in runs], replicates, seed)
    low, high = np.nan, np.nan
    if weights is not None:
        _, low, high = percentile_interval(gain, (resampled * weights).sum(axis=1), confidence)
    return {
        "runs": len(runs),
        "classes": sum({run.data: len(run.classes) for run in runs}.values()),
        "mae_without": np.mean([each.mean() for each in without]),
        "mae_with": np.mean([each.mean() for each in plus]),
        "gain": gain,
        "low": low,
        "high": high,
    }


def findings(gains: pd.DataFrame) -> list[Finding]:
    """Of each gain whether it is more than 0: whether topology adds to what is known without it."""
    found = []
    for _, row in gains.iterrows():
        rivals = " and simpler scores" if "rivals" in row["without"] else ""
        new = "run" if row["left_out"] == RUN else "model"
        enough = row["runs"] >= LEAST_RUNS_TO_PREDICT and np.isfinite(row["low"])
        too_few = f"fewer than {LEAST_RUNS_TO_PREDICT} runs or {LEAST_UNITS} models decide nothing"
        errors = f"error {row['mae_without']:.4f} without, {row['mae_with']:.4f} with"
        found.append(
            Finding(
                8,
                f"topology_predicts_a_new_{new}" + ("_beyond_rivals" if rivals else ""),
                f"on a {new} that was not seen, topology added to plain measures{rivals} predicts "
                "the loss of accuracy better",
                "mean absolute error without topology less that with it",
                above(0.0),
                effect=row["gain"],
                low=row["low"] if enough else None,
                high=row["high"] if enough else None,
                units=f"{count(row['runs'], 'run')}, {classes_of(row['classes'])}",
                detail=errors if enough else too_few,
            )
        )
    return found
