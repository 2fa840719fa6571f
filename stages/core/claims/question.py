"""Claim 8: does topological change follow the loss of accuracy?

Classes are the subjects: at each level, does a class whose diagrams change more lose more
accuracy? Spearman's rho, with a bootstrap interval over classes and a permutation p-value,
corrected for the number of tests (Holm). Then the same controlled for the plain measures that a
sceptic would name, so that topology is credited only with what they do not explain: where the
correlation disappears once displacement is controlled for, topology adds nothing to it.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from stages.core.artifacts.ground import EUCLIDEAN, Ground
from stages.core.artifacts.tables import Schema, flag, name, number, whole
from stages.core.claims.accuracy_steps import correct_by_level
from stages.core.claims.finding import (
    CORRELATED,
    NO_NOISE,
    NO_TEXT,
    SIGNIFICANCE,
    Decision,
    Finding,
    by_ground,
)
from stages.core.claims.sources import Sources
from stages.core.evaluation.accuracy import classifiers_of
from stages.core.evaluation.classification import CLASSIFIERS
from stages.core.evaluation.statistics import holm, rank_correlation
from stages.core.geometry.drift import displacements, spread
from stages.core.geometry.similarity import linear_cka
from stages.core.runtime.errors import StudyError
from stages.core.runtime.parallel import parallel_map
from stages.core.runtime.randomness import generator_for
from stages.core.runtime.wording import classes_of, count
from stages.core.topology.distances import DIAGRAM_DISTANCES
from stages.core.topology.divergence import topology_divergence
from stages.settings.claims import ClaimsParams

# The plain measures of change, which are controlled for.
CONTROLS = {
    "displacement": "mean displacement of the embeddings",
    "spread_change": "change of within-class spread",
    "margin_loss": "loss of margin",
    "cka_loss": "1 - linear CKA, unbiased",
}
TOPOLOGICAL = {
    "divergence": "representation topology divergence",
    "entropy": "change of persistent entropy",
    **{metric: distance.label for metric, distance in DIAGRAM_DISTANCES.items()},
}
LEAST_CLASSES = 10  # with fewer, nothing is tested
TOO_FEW = f"fewer than {LEAST_CLASSES} classes decide nothing"
RESOLUTION = 2  # the least p-value possible, times the tests, is SIGNIFICANCE over this or less

TABLES = {
    "measures": Schema(
        (
            name("class"),
            number("noise", low=0),
            name("measure"),
            number("value", missing=True),
        ),
        key=("class", "noise", "measure"),
        may_be_empty=True,
    ),
    "drops": Schema(
        (
            name("class"),
            number("noise", low=0),
            name("classifier", *CLASSIFIERS),
            number("drop", -1, 1),
        ),
        key=("class", "noise", "classifier"),
        may_be_empty=True,
    ),
    "correlations": Schema(
        (
            name("classifier", *CLASSIFIERS),
            number("noise", low=0),
            name("measure"),
            flag("topological"),
            flag("controlled"),
            whole("classes", low=0),
            number("rho", missing=True),
            number("low", missing=True),
            number("high", missing=True),
            number("p_value", 0, 1),
            number("p_holm", 0, 1, missing=True),
        ),
        key=("classifier", "noise", "measure", "controlled"),
        may_be_empty=True,
    ),
}


def decide(sources: Sources, params: ClaimsParams) -> Decision:
    """The claim, of every classifier, with and without controls."""
    applicable = classifiers_of(sources.predictions)
    if not sources.noisy:
        nothing = {name: pd.DataFrame(columns=schema.names) for name, schema in TABLES.items()}
        return nothing, by_ground(findings(nothing["correlations"], applicable), sources.ground)
    measures = pd.concat(
        [
            cloud_measures(sources.clouds, params.divergence_points, params.seed, sources.ground),
            distance_measures(sources.distances),
            entropy_measures(sources.summaries),
            margin_measures(sources.predictions),
        ],
        ignore_index=True,
    )
    drops = accuracy_drops(sources.predictions)
    correlations = correlations_table(
        measures, drops, params.bootstrap_replicates, params.confidence, params.seed
    )
    tables = {"measures": measures, "drops": drops, "correlations": correlations}
    return tables, by_ground(findings(correlations, applicable), sources.ground)


def cloud_measures(
    clouds: Mapping[str, Mapping[float, np.ndarray]],
    most_points: int,
    seed: int,
    ground: Ground = EUCLIDEAN,
) -> pd.DataFrame:
    """Measures of each class's noisy cloud against its clean one: class, noise, measure, value.

    clouds: {class: {level: (n, d)}}, rows paired, 0.0 among the levels. The divergence is that of
    `most_points` images at most, the same at every level: its time grows with their cube. It is by
    `ground`, as diagrams are; the others are of the embeddings themselves.
    """
    jobs = [
        (of, level, by_level[0.0], points)
        for of, by_level in clouds.items()
        for level, points in by_level.items()
        if level > 0
    ]
    tables = parallel_map(partial(_measure, most_points, seed, ground), jobs, "topology divergence")
    return pd.concat(tables, ignore_index=True)


def _measure(
    most_points: int, seed: int, ground: Ground, job: tuple[str, float, np.ndarray, np.ndarray]
) -> pd.DataFrame:
    of, level, clean, noisy = job
    clean, noisy = clean.astype(np.float64), noisy.astype(np.float64)
    some = generator_for(seed, "divergence", of).permutation(len(clean))[:most_points]
    values = {
        "displacement": displacements(clean, noisy).mean(),
        "spread_change": abs(spread(noisy) - spread(clean)),
        "cka_loss": 1 - linear_cka(clean, noisy),
        "divergence": topology_divergence(clean[some], noisy[some], ground),
    }
    return pd.DataFrame(
        {"class": of, "noise": level, "measure": measure, "value": value}
        for measure, value in values.items()
    )


def distance_measures(distances: pd.DataFrame) -> pd.DataFrame:
    """Distances of clean and noisy diagrams: as `cloud_measures`, of the table of `distances`."""
    moved = distances[distances["comparison"] == "clean_noisy"]
    moved = moved.assign(measure=moved["metric"] + "_h" + moved["dim"].astype(str))
    moved = moved.rename(columns={"group": "class", "distance": "value"})
    return moved[TABLES["measures"].names]


def entropy_measures(summaries: pd.DataFrame) -> pd.DataFrame:
    """Changes of persistent entropy, draw 0: as `cloud_measures`, of the table of `persistence`."""
    by_level = summaries[summaries["draw"] == 0].pivot_table(
        index=["group", "dim"], columns="noise", values="entropy"
    )
    changed = _against_clean(by_level).abs().melt(ignore_index=False, var_name="noise")
    changed = changed.reset_index().rename(columns={"group": "class"})
    changed["measure"] = "entropy_h" + changed["dim"].astype(str)
    return changed[TABLES["measures"].names]


def _against_clean(by_level: pd.DataFrame) -> pd.DataFrame:
    """Each column, a noise level, less that of level 0.0, which is left out."""
    return by_level.sub(by_level[0.0], axis=0).drop(columns=0.0)


def margin_measures(predictions: pd.DataFrame) -> pd.DataFrame:
    """Mean loss of margin of each class's test images: as `cloud_measures`.

    The margin is that of zero-shot or, without text, of the nearest class mean.
    """
    margin = predictions.pivot_table(index="actual", columns="noise", values="margin")
    lost = (-_against_clean(margin)).melt(ignore_index=False, var_name="noise")
    table = lost.reset_index()
    table = table.rename(columns={"actual": "class"}).assign(measure="margin_loss")
    return table[TABLES["measures"].names]


def accuracy_drops(predictions: pd.DataFrame) -> pd.DataFrame:
    """Each class's loss of accuracy against the clean level: class, noise, classifier, drop.

    From counts of right answers, so that classes that lose as many of as many images tie exactly.
    """
    tables = []
    for classifier in classifiers_of(predictions):
        by_class = correct_by_level(predictions, classifier).groupby(level="actual")
        lost = -_against_clean(by_class.sum()).div(by_class.size(), axis=0)
        table = lost.melt(ignore_index=False, var_name="noise", value_name="drop").reset_index()
        tables.append(table.rename(columns={"actual": "class"}).assign(classifier=classifier))
    return pd.concat(tables, ignore_index=True)[TABLES["drops"].names]


def name_of(measure: str) -> str:
    """A measure's name for readers: 'bottleneck_h1' -> 'bottleneck distance, H1'.

    One that the study does not have keeps its name.
    """
    stem, _, dim = measure.rpartition("_h")
    if stem in TOPOLOGICAL:
        return f"{TOPOLOGICAL[stem]}, H{dim}"
    return (TOPOLOGICAL | CONTROLS).get(measure, measure)


def correlations_table(
    measures: pd.DataFrame,
    drops: pd.DataFrame,
    replicates: int,
    confidence: float,
    seed: int,
    controls: Collection[str] = tuple(CONTROLS),
) -> pd.DataFrame:
    """One row per classifier, level, measure and whether the plain measures are controlled for.

    measures: class, noise, measure, value; drops: class, noise, classifier, drop; a row of either
    is a class at a level. controls: the plain measures among `measures`, here those of the study;
    all others are topological. Only these are also correlated while the plain ones are
    controlled for. A class counts at a level where it has every measure and a drop; where none
    does, rho is NaN.

    Columns: classifier, noise, measure, topological, controlled, classes, rho, low, high,
    p_value (one-sided: of so large a rho), p_holm: corrected within the topological tests, plain
    and controlled ones apart; NaN for the plain measures, which are no tests of the question.
    There are `replicates` resamples, or as many as a significant p-value needs after Holm.

    Raises StudyError for a table without one of its columns, a control that is no measure, and
    tables that have no class in common.
    """
    _require_columns(measures, "measures")
    _require_columns(drops, "drops")
    unknown = [each for each in controls if each not in set(measures["measure"])]
    if unknown:
        raise StudyError(
            f"controls: {unknown[0]} is no measure; give some of "
            f"{', '.join(sorted(measures['measure'].unique()))}"
        )
    if not set(measures["class"]) & set(drops["class"]):
        raise StudyError("drops: no class of measures is in it; use the same names in both")
    jobs = []
    for noise in sorted(measures["noise"].unique()):
        wide = measures[measures["noise"] == noise].pivot_table(
            index="class", columns="measure", values="value", dropna=False
        )
        for classifier in drops["classifier"].unique():
            of_level = drops[(drops["noise"] == noise) & (drops["classifier"] == classifier)]
            table = wide.join(of_level.set_index("class")["drop"], how="inner").dropna()
            for measure in wide.columns:
                also_controlled = bool(controls) and measure not in controls
                for controlled in (False, True) if also_controlled else (False,):
                    jobs.append((classifier, noise, measure, controlled, table))
    tests = sum(measure not in controls and not controlled for _, _, measure, controlled, _ in jobs)
    enough = max(replicates, round(RESOLUTION * tests / SIGNIFICANCE))
    correlate = partial(_correlate, enough, confidence, seed, list(controls))
    found = pd.DataFrame(parallel_map(correlate, jobs, "correlations"))
    found["p_holm"] = np.nan
    for controlled in (False, True):
        family = found["topological"] & (found["controlled"] == controlled)
        found.loc[family, "p_holm"] = holm(found.loc[family, "p_value"].to_numpy())
    return found


def _require_columns(table: pd.DataFrame, of: str) -> None:
    lacking = [each for each in TABLES[of].names if each not in table]
    if lacking:
        raise StudyError(
            f"{of}: no column {lacking[0]}; give the columns {', '.join(TABLES[of].names)}"
        )


def _correlate(
    replicates: int,
    confidence: float,
    seed: int,
    plain: list[str],
    job: tuple[str, float, str, bool, pd.DataFrame],
) -> dict:
    classifier, noise, measure, controlled, table = job
    controls = table[plain].to_numpy() if controlled else np.empty((len(table), 0))
    generator = generator_for(seed, "correlation", classifier, noise, measure, int(controlled))
    found = rank_correlation(
        table[measure].to_numpy(),
        table["drop"].to_numpy(),
        controls,
        replicates,
        confidence,
        generator,
    )
    return {
        "classifier": classifier,
        "noise": noise,
        "measure": measure,
        "topological": measure not in plain,
        "controlled": controlled,
        "classes": len(table),
        **found._asdict(),
    }


def _significant(rows: pd.DataFrame) -> str:
    """How many of the tests of one question are significant."""
    return f"{(rows['p_holm'] <= SIGNIFICANCE).sum()} of {count(len(rows), 'test')} significant"


def findings(correlations: pd.DataFrame, applicable: Sequence[str]) -> list[Finding]:
    """The answer for each classifier, with and without the controls.

    The effect and its interval are those of the most certain topological test, the p-value is
    corrected for all of them. applicable: the classifiers that there are.
    """
    found = []
    for controlled in (False, True):
        for key, classifier in CLASSIFIERS.items():
            beyond = ", beyond what plain measures explain" if controlled else ""
            make = partial(
                Finding,
                8,
                f"topology_{'adds' if controlled else 'follows'}_{key}",
                "across classes, topological change follows the loss of "
                f"{classifier.label} accuracy{beyond}",
                f"Spearman's rho{' (partial)' if controlled else ''} of the most certain test",
                CORRELATED,
            )
            why_not = NO_TEXT if key not in applicable else NO_NOISE
            if key not in applicable or correlations.empty:
                found.append(make(applicable=False, detail=why_not))
                continue
            rows = correlations[
                correlations["topological"]
                & (correlations["controlled"] == controlled)
                & (correlations["classifier"] == key)
                & correlations["rho"].notna()
            ]
            if rows.empty:
                found.append(make(detail="nothing varies between the classes"))
                continue
            best = rows.sort_values(["p_holm", "p_value", "rho"], ascending=[True, True, False])
            best = best.iloc[0]
            measured = dict(
                zip(("effect", "low", "high"), best[["rho", "low", "high"]], strict=True)
            )
            tested = {"p_value": best["p_holm"], "largest_high": rows["high"].max()}
            enough = rows["classes"].min() >= LEAST_CLASSES
            found.append(
                make(
                    **measured,
                    **(tested if enough else {}),
                    units=classes_of(best["classes"]),
                    detail=f"{name_of(best['measure'])} at noise {best['noise']:.2f}; "
                    + (_significant(rows) if enough else TOO_FEW),
                )
            )
    return found
