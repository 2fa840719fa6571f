"""Across runs, at equal levels: do models whose diagrams change more lose more accuracy?

Models are the subjects. In each cell, which is one data group at one level of one kind of noise,
Spearman's rho across models of the run's mean of a measure and its mean loss of accuracy, both over
classes; the mean over cells is the effect. The same models are in several cells, so that models
are permuted and resampled jointly in all of them, which pairs kinds of noise by model.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np
import pandas as pd

from stages.core.across.panel import of_kind, require_columns, runs_of
from stages.core.across.pooled import EFFECT, with_holm
from stages.core.across.resampling import (
    permuted_correlations,
    resampled_correlations,
    resampled_counts,
    unbiased_interval,
)
from stages.core.artifacts.tables import Schema, name, number, whole
from stages.core.claims.finding import CORRELATED, SIGNIFICANCE, Finding
from stages.core.claims.question import KINDS, RESOLUTION, RIVAL, TOPOLOGY, name_of
from stages.core.evaluation.statistics import permutation_p_value
from stages.core.runtime.parallel import parallel_map
from stages.core.runtime.randomness import generator_for
from stages.core.runtime.wording import count

LEAST_MODELS = 5  # in a cell; with fewer, nothing is said

CELL = ("data", "noise_kind", "noise_space", "noise")
TABLES = {
    "cells": Schema(
        (
            name("data"),
            name("noise_kind"),
            name("noise_space"),
            number("noise", 0),
            name("measure"),
            name("kind", *KINDS),
            whole("models", low=0),
            number("rho", -1, 1, missing=True),
        ),
        key=(*CELL, "measure"),
        may_be_empty=True,
    ),
    # models: that are in some cell.
    "levels": Schema(
        (
            name("measure"),
            name("kind", *KINDS),
            whole("cells", low=0),
            whole("models", low=0),
            *EFFECT,
            number("p_value", 0, 1),
            number("p_holm", 0, 1, missing=True),
        ),
        key=("measure",),
        may_be_empty=True,
    ),
}


def across_models(
    measures: pd.DataFrame,
    drops: pd.DataFrame,
    kinds: Mapping[str, str],
    replicates: int,
    confidence: float,
    seed: int,
) -> dict[str, pd.DataFrame]:
    """The tables of TABLES: correlations across models in each cell, and their means over cells.

    measures, drops: as `runs_of` of `stages.core.across.panel` takes them; drops has the columns
    model, noise_kind and noise_space too. kinds: {measure: one of KINDS}. A run's means are over
    the classes that all runs of its data group have; several runs of a model in a cell count as
    their mean. A cell counts where LEAST_MODELS models or more have the measure.

    p_value: one-sided, from permuting the models jointly in all cells, each among those that are in
    the same cells (Winkler et al., "Multi-level block permutation", NeuroImage 123, 2015). p_holm:
    corrected within the topological measures, and within rivals; NaN for the plain ones. The
    interval resamples the models, jointly too, and is corrected for bias (Efron 1981).

    Raises StudyError for a table without one of its columns.
    """
    require_columns(drops, ("model", "noise_kind", "noise_space"), "drops")
    order = of_kind(kinds, *KINDS)
    means = run_means(measures, drops, order)
    tests = max(sum(kind == one for kind in kinds.values()) for one in (TOPOLOGY, RIVAL))
    enough = max(replicates, round(RESOLUTION * tests / SIGNIFICANCE))
    jobs = [
        (measure, means[[*CELL, "model", measure, "drop"]].rename(columns={measure: "value"}))
        for measure in order
    ]
    found = parallel_map(partial(_across, enough, confidence, seed), jobs, "models at equal levels")
    cells, levels = [], []
    for measure, (of_cells, over_cells) in zip(order, found, strict=True):
        about = {"measure": measure, "kind": kinds[measure]}
        cells += [about | row for row in of_cells]
        levels.append(about | over_cells)
    tested = pd.DataFrame(levels, columns=TABLES["levels"].names).assign(controlled=False)
    return {
        "cells": pd.DataFrame(cells, columns=TABLES["cells"].names),
        "levels": with_holm(tested)[TABLES["levels"].names],
    }


def run_means(measures: pd.DataFrame, drops: pd.DataFrame, order: list[str]) -> pd.DataFrame:
    """A row per cell and model: the columns CELL, model, every measure and drop, means of classes.

    order: the measures.
    """
    about = drops.drop_duplicates("run").set_index("run")
    tables = []
    for run in runs_of(measures, drops, order, least=1):
        if run.classes:
            table = pd.DataFrame(run.measures.mean(axis=1), columns=order)
            table["drop"] = run.drops.mean(axis=1)
            row = about.loc[run.name]
            tables.append(
                table.assign(
                    data=run.data,
                    noise_kind=row["noise_kind"],
                    noise_space=row["noise_space"],
                    noise=run.levels,
                    model=run.model,
                )
            )
    if not tables:
        return pd.DataFrame(columns=[*CELL, "model", *order, "drop"])
    return pd.concat(tables).groupby([*CELL, "model"], as_index=False)[[*order, "drop"]].mean()


def _across(
    replicates: int, confidence: float, seed: int, job: tuple[str, pd.DataFrame]
) -> tuple[list[dict], dict]:
    """The rows of both tables for one measure, a column value of the run means."""
    _, means = job
    means = means.dropna()
    cells = {key: rows for key, rows in means.groupby(list(CELL)) if len(rows) >= LEAST_MODELS}
    models = sorted({model for rows in cells.values() for model in rows["model"]})
    place = {model: i for i, model in enumerate(models)}
    there = np.zeros((len(models), len(cells)), dtype=bool)
    for column, rows in enumerate(cells.values()):
        there[[place[model] for model in rows["model"]], column] = True
    orders = _within_blocks(there, replicates, generator_for(seed, "orders of models"))
    draws = generator_for(seed, "resamples of models")
    counts = resampled_counts(len(models), replicates, draws)
    counts = np.vstack([np.ones(len(models)), counts])
    rhos, nulls, table = [], [], []
    for key, rows in cells.items():
        members = np.array([place[model] for model in rows["model"]])
        x, y = rows[["value"]].to_numpy(), rows["drop"].to_numpy()
        resampled = resampled_correlations(x, y, counts[:, members])[:, 0]
        table.append(dict(zip(CELL, key, strict=True)) | {"models": len(rows), "rho": resampled[0]})
        if np.isfinite(resampled[0]):
            position = np.zeros(len(models), dtype=int)
            position[members] = np.arange(len(members))
            rhos.append(resampled)
            nulls.append(permuted_correlations(x, y, position[orders[:, members]])[:, 0])
    row = {"cells": len(rhos), "models": len(models), "p_value": 1.0}
    if not rhos:
        return table, row | dict.fromkeys(("rho", "low", "high"), np.nan)
    rho = np.mean([each[0] for each in rhos])
    resampled = np.array(rhos)[:, 1:]
    # Where a resample leaves nothing to vary in a cell, the other cells speak.
    resampled = resampled[:, np.isfinite(resampled).any(axis=0)]
    interval = unbiased_interval(rho, np.nanmean(resampled, axis=0), confidence)
    row["p_value"] = permutation_p_value(rho, np.mean(nulls, axis=0))
    return table, row | dict(zip(("rho", "low", "high"), interval, strict=True))


def _within_blocks(
    there: np.ndarray, replicates: int, generator: np.random.Generator
) -> np.ndarray:
    """(R, models) int: orders in which models change places only with those of the same cells.

    there: (models, cells) bool. Whatever keeps a model out of a cell is then in the null too.
    """
    orders = np.tile(np.arange(len(there)), (replicates, 1))
    if len(there):
        _, blocks = np.unique(there, axis=0, return_inverse=True)
        for block in range(blocks.max() + 1):
            members = np.flatnonzero(blocks == block)
            orders[:, members] = generator.permuted(np.tile(members, (replicates, 1)), axis=1)
    return orders


def findings(levels: pd.DataFrame) -> list[Finding]:
    """Whether models whose measures are larger lose more: of topological measures and of rivals."""
    found = []
    for kind, key in ((TOPOLOGY, "topology"), (RIVAL, "rivals")):
        rows = levels[(levels["kind"] == kind) & levels["rho"].notna()]
        subject = "diagrams change more" if kind == TOPOLOGY else "simpler scores change more"
        about = (
            f"{key}_follows_across_models",
            f"at the same noise level, models whose {subject} lose more accuracy",
            "mean over levels and kinds of noise of Spearman's rho across models",
        )
        if rows.empty:
            detail = f"fewer than {LEAST_MODELS} models at the same level decide nothing"
            found.append(Finding(8, *about, CORRELATED, detail=detail))
            continue
        best = rows.sort_values(["p_holm", "p_value", "rho"], ascending=[True, True, False]).iloc[0]
        significant = (rows["p_holm"] <= SIGNIFICANCE).sum()
        found.append(
            Finding(
                8,
                *about,
                CORRELATED,
                effect=best["rho"],
                low=best["low"],
                high=best["high"],
                p_value=best["p_holm"],
                largest_high=rows["high"].max(),
                units=f"{count(best['models'], 'model')}, {count(best['cells'], 'level')}",
                detail=f"{name_of(best['measure'])}; "
                f"{significant} of {count(len(rows), 'measure')} significant",
            )
        )
    return found
