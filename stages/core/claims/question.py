"""Claim 8: does topological change follow the loss of accuracy?

Classes are the subjects: at each level, does a class whose diagrams change more lose more
accuracy? Spearman's rho, with a bootstrap interval over classes and a permutation p-value,
corrected for the number of tests (Holm). Then the same controlled for the plain measures that a
sceptic would name, so that topology is credited only with what they do not explain: where the
correlation disappears once displacement is controlled for, topology adds nothing to it.

And do simpler label-free scores do as well? The rivals of topology go through the same tests, as a
family of their own, and topology has to follow the loss of accuracy more closely than any of them.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from stages.core.artifacts.ground import EUCLIDEAN, Ground
from stages.core.artifacts.tables import Schema, flag, name, number, whole
from stages.core.claims.accuracy_steps import correct_by_level
from stages.core.claims.finding import (
    CORRELATED,
    LEADING,
    NO_NOISE,
    NO_TEXT,
    SIGNIFICANCE,
    Decision,
    Finding,
    by_ground,
)
from stages.core.claims.rivals import RIVALS, judge_of, neighbour_measures, score_measures
from stages.core.claims.sources import Sources
from stages.core.evaluation.accuracy import classifiers_of
from stages.core.evaluation.classification import CLASSIFIERS
from stages.core.evaluation.statistics import holm, leads, rank_correlation
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
PLAIN, RIVAL, TOPOLOGY = KINDS = ("plain", "rival", "topological")  # of measures
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
            name("kind", *KINDS),
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
    "leads": Schema(
        (
            name("classifier", *CLASSIFIERS),
            number("noise", low=0),
            name("measure"),
            name("best_rival", missing=True),
            whole("classes", low=0),
            number("lead", missing=True),
            number("low", missing=True),
            number("high", missing=True),
            number("p_value", 0, 1),
            number("p_holm", 0, 1),
        ),
        key=("classifier", "noise", "measure"),
        may_be_empty=True,
    ),
}


def decide(sources: Sources, params: ClaimsParams) -> Decision:
    """The claim, of every classifier, with and without controls, and against the rivals."""
    applicable = classifiers_of(sources.predictions)
    if not sources.noisy:
        nothing = {name: pd.DataFrame(columns=schema.names) for name, schema in TABLES.items()}
        found = findings(nothing["correlations"], applicable)
        found += lead_findings(nothing["leads"], applicable)
        return nothing, by_ground(found, sources.ground)
    rivals = rival_measures(sources)
    measures = pd.concat(
        [
            cloud_measures(sources.clouds, params.divergence_points, params.seed, sources.ground),
            distance_measures(sources.distances),
            summary_measures(sources.summaries, "entropy"),
            margin_measures(sources.predictions),
            rivals,
        ],
        ignore_index=True,
    )
    drops = accuracy_drops(sources.predictions)
    asked = (measures, drops, params.bootstrap_replicates, params.confidence, params.seed)
    names = list(rivals["measure"].unique())
    correlations = correlations_table(*asked, rivals=names)
    ahead = leads_table(*asked, rivals=names)
    tables = {"measures": measures, "drops": drops, "correlations": correlations, "leads": ahead}
    found = findings(correlations, applicable) + lead_findings(ahead, applicable)
    return tables, by_ground(found, sources.ground)


def rival_measures(sources: Sources) -> pd.DataFrame:
    """The label-free scores of RIVALS: as `cloud_measures`."""
    tests = {
        of: {level: cloud[rows] for level, cloud in sources.clouds[of].items()}
        for of, rows in sources.tested.items()
        if len(rows)
    }
    return pd.concat(
        [
            score_measures(tests, judge_of(sources.known, sources.logit_scale)),
            summary_measures(sources.summaries, "total_persistence"),
            neighbour_measures(sources.clouds),
        ],
        ignore_index=True,
    )


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


def summary_measures(summaries: pd.DataFrame, column: str) -> pd.DataFrame:
    """Absolute changes of a column of the table of `persistence`, draw 0: as `cloud_measures`."""
    by_level = summaries[summaries["draw"] == 0].pivot_table(
        index=["group", "dim"], columns="noise", values=column
    )
    changed = _against_clean(by_level).abs().melt(ignore_index=False, var_name="noise")
    changed = changed.reset_index().rename(columns={"group": "class"})
    changed["measure"] = f"{column}_h" + changed["dim"].astype(str)
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
    known = TOPOLOGICAL | RIVALS | CONTROLS
    return f"{known[stem]}, H{dim}" if stem in known else known.get(measure, measure)


def kind_of(measure: str) -> str:
    """Of the study's measures, one of KINDS: 'total_persistence_h1' is a rival."""
    if measure in CONTROLS:
        return PLAIN
    return RIVAL if measure in RIVALS or measure.rpartition("_h")[0] in RIVALS else TOPOLOGY


def correlations_table(
    measures: pd.DataFrame,
    drops: pd.DataFrame,
    replicates: int,
    confidence: float,
    seed: int,
    controls: Collection[str] = tuple(CONTROLS),
    rivals: Collection[str] = (),
) -> pd.DataFrame:
    """One row per classifier, level, measure and whether the plain measures are controlled for.

    measures: class, noise, measure, value; drops: class, noise, classifier, drop; a row of either
    is a class at a level. controls: the plain measures among `measures`, here those of the study;
    rivals: simpler scores among them; all others are topological. Rivals and topological measures
    are also correlated while the plain ones are controlled for. A class counts at a level where it
    has a drop and every measure but the rivals, and for a rival where it has that one too; where
    none does, rho is NaN.

    Columns: classifier, noise, measure, kind (one of KINDS), controlled, classes, rho, low, high,
    p_value (one-sided: of so large a rho), p_holm: corrected within the tests of the same kind,
    plain and controlled ones apart; NaN for the plain measures, which are no tests of the
    question. There are `replicates` resamples, or as many as a significant p-value needs after
    Holm.

    Raises StudyError for a table without one of its columns, a control or a rival that is no
    measure, a measure that is both, and tables that have no class in common.
    """
    kinds = _kinds(measures, drops, controls, rivals)
    jobs = []
    for classifier, noise, table in _by_level(measures, drops):
        kept = table.drop(columns=[each for each in rivals if each in table]).dropna()
        for measure in table.columns.drop("drop"):
            kind, of_measure = kinds[measure], kept
            if kind == RIVAL:
                of_measure = kept.assign(**{measure: table[measure]}).dropna()
            for controlled in (False, True) if controls and kind != PLAIN else (False,):
                jobs.append((classifier, noise, measure, kind, controlled, of_measure))
    alone = [kind for _, _, _, kind, controlled, _ in jobs if not controlled]
    # As many for plain measures as for topological ones, whose family is not that of the rivals.
    tests = {kind: alone.count(RIVAL if kind == RIVAL else TOPOLOGY) for kind in KINDS}
    enough = {kind: max(replicates, _for_significance(of)) for kind, of in tests.items()}
    correlate = partial(_correlate, enough, confidence, seed, list(controls))
    found = pd.DataFrame(parallel_map(correlate, jobs, "correlations"))
    found["p_holm"] = np.nan
    for kind in (RIVAL, TOPOLOGY):
        for controlled in (False, True):
            family = (found["kind"] == kind) & (found["controlled"] == controlled)
            found.loc[family, "p_holm"] = holm(found.loc[family, "p_value"].to_numpy())
    return found


def leads_table(
    measures: pd.DataFrame,
    drops: pd.DataFrame,
    replicates: int,
    confidence: float,
    seed: int,
    rivals: Collection[str],
    controls: Collection[str] = tuple(CONTROLS),
) -> pd.DataFrame:
    """One row per classifier, level and topological measure: by how much it leads its rivals.

    As `correlations_table`, but that a class counts where it has a drop, every topological
    measure and every rival. A rival that no class has at a level is no rival there.

    Columns: classifier, noise, measure, best_rival (that of the largest rho), classes, lead (of
    rho over that of the best rival), low, high, p_value (see `statistics.leads`), p_holm:
    corrected for all rows.
    """
    kinds = _kinds(measures, drops, controls, rivals)
    jobs = []
    for classifier, noise, table in _by_level(measures, drops):
        topological = [each for each in table if kinds.get(each) == TOPOLOGY]
        there = [each for each in table if kinds.get(each) == RIVAL and table[each].notna().any()]
        kept = table[[*topological, *there, "drop"]].dropna()
        jobs.append((classifier, noise, topological, there, kept))
    tests = sum(len(topological) for _, _, topological, _, _ in jobs)
    lead = partial(_lead, max(replicates, _for_significance(tests)), confidence, seed)
    found = pd.concat(parallel_map(lead, jobs, "leads over rivals"), ignore_index=True)
    return found.assign(p_holm=holm(found["p_value"].to_numpy()))[TABLES["leads"].names]


def _kinds(
    measures: pd.DataFrame,
    drops: pd.DataFrame,
    controls: Collection[str],
    rivals: Collection[str],
) -> dict[str, str]:
    """{measure: its kind}, by name; raises StudyError for what cannot be asked of the tables."""
    _require_columns(measures, "measures")
    _require_columns(drops, "drops")
    known = sorted(measures["measure"].unique())
    for what, names in (("controls", controls), ("rivals", rivals)):
        unknown = [each for each in names if each not in known]
        if unknown:
            raise StudyError(f"{what}: {unknown[0]} is no measure; give some of {', '.join(known)}")
    both = [each for each in rivals if each in controls]
    if both:
        raise StudyError(f"rivals: {both[0]} is among the controls; name it in one of them")
    if not set(measures["class"]) & set(drops["class"]):
        raise StudyError("drops: no class of measures is in it; use the same names in both")
    of = dict.fromkeys(controls, PLAIN) | dict.fromkeys(rivals, RIVAL)
    return {each: of.get(each, TOPOLOGY) for each in known}


def _by_level(
    measures: pd.DataFrame, drops: pd.DataFrame
) -> Iterator[tuple[str, float, pd.DataFrame]]:
    """Each classifier and level with its table: a row per class, a column per measure, `drop`."""
    for noise in sorted(measures["noise"].unique()):
        wide = measures[measures["noise"] == noise].pivot_table(
            index="class", columns="measure", values="value", dropna=False
        )
        for classifier in drops["classifier"].unique():
            of_level = drops[(drops["noise"] == noise) & (drops["classifier"] == classifier)]
            yield classifier, noise, wide.join(of_level.set_index("class")["drop"], how="inner")


def _for_significance(tests: int) -> int:
    """Replicates enough that the least p-value is significant after Holm."""
    return round(RESOLUTION * tests / SIGNIFICANCE)


def _require_columns(table: pd.DataFrame, of: str) -> None:
    lacking = [each for each in TABLES[of].names if each not in table]
    if lacking:
        raise StudyError(
            f"{of}: no column {lacking[0]}; give the columns {', '.join(TABLES[of].names)}"
        )


def _correlate(
    replicates: Mapping[str, int],
    confidence: float,
    seed: int,
    plain: list[str],
    job: tuple[str, float, str, str, bool, pd.DataFrame],
) -> dict:
    classifier, noise, measure, kind, controlled, table = job
    controls = table[plain].to_numpy() if controlled else np.empty((len(table), 0))
    generator = generator_for(seed, "correlation", classifier, noise, measure, int(controlled))
    found = rank_correlation(
        table[measure].to_numpy(),
        table["drop"].to_numpy(),
        controls,
        replicates[kind],
        confidence,
        generator,
    )
    return {
        "classifier": classifier,
        "noise": noise,
        "measure": measure,
        "kind": kind,
        "controlled": controlled,
        "classes": len(table),
        **found._asdict(),
    }


def _lead(
    replicates: int,
    confidence: float,
    seed: int,
    job: tuple[str, float, list[str], list[str], pd.DataFrame],
) -> pd.DataFrame:
    classifier, noise, topological, rivals, table = job
    about = {"classifier": classifier, "noise": noise, "classes": len(table)}
    unknown = {"best_rival": None, "lead": np.nan, "low": np.nan, "high": np.nan, "p_value": 1.0}
    if table.empty or not rivals:
        return pd.DataFrame([{**about, "measure": each, **unknown} for each in topological])
    found = leads(
        table[topological].to_numpy(),
        table[rivals].to_numpy(),
        table["drop"].to_numpy(),
        replicates,
        confidence,
        generator_for(seed, "leads", classifier, noise),
    )
    return pd.DataFrame(
        {**about, "measure": measure, "best_rival": rivals[one.rival], **one._asdict()}
        for measure, one in zip(topological, found, strict=True)
    )


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
        beyond = ", beyond what plain measures explain" if controlled else ""
        asked = (correlations["kind"] == TOPOLOGY) & (correlations["controlled"] == controlled)
        for key, classifier in CLASSIFIERS.items():
            make = partial(
                Finding,
                8,
                f"topology_{'adds' if controlled else 'follows'}_{key}",
                "across classes, topological change follows the loss of "
                f"{classifier.label} accuracy{beyond}",
                f"Spearman's rho{' (partial)' if controlled else ''} of the most certain test",
                CORRELATED,
            )
            rows = correlations[asked & (correlations["classifier"] == key)]
            found.append(_finding(make, rows, "rho", _why_not(key, applicable, correlations)))
    return found


def lead_findings(ahead: pd.DataFrame, applicable: Sequence[str]) -> list[Finding]:
    """Whether topology beats its rivals, for each classifier: as `findings`, of `leads_table`."""
    found = []
    for key, classifier in CLASSIFIERS.items():
        make = partial(
            Finding,
            8,
            f"topology_beats_rivals_{key}",
            f"across classes, topological change follows the loss of {classifier.label} accuracy "
            "more closely than any simpler label-free score",
            "lead of Spearman's rho over the best rival's in the most certain test",
            LEADING,
        )
        rows = ahead[ahead["classifier"] == key]
        found.append(_finding(make, rows, "lead", _why_not(key, applicable, ahead)))
    return found


def _why_not(key: str, applicable: Sequence[str], table: pd.DataFrame) -> str:
    """Why the question is not asked of a classifier; empty where it is."""
    if key not in applicable:
        return NO_TEXT
    return NO_NOISE if table.empty else ""


def _finding(
    make: Callable[..., Finding], rows: pd.DataFrame, effect: str, why_not: str
) -> Finding:
    """That of the most certain of some tests; effect: the column of what is tested."""
    if why_not:
        return make(applicable=False, detail=why_not)
    rows = rows[rows[effect].notna()]
    if rows.empty:
        return make(detail="nothing varies between the classes")
    best = rows.sort_values(["p_holm", "p_value", effect], ascending=[True, True, False]).iloc[0]
    enough = rows["classes"].min() >= LEAST_CLASSES
    tested = {"p_value": best["p_holm"], "largest_high": rows["high"].max()}
    against = f" against {name_of(best['best_rival'])}" if "best_rival" in best else ""
    return make(
        effect=best[effect],
        low=best["low"],
        high=best["high"],
        **(tested if enough else {}),
        units=classes_of(best["classes"]),
        detail=f"{name_of(best['measure'])} at noise {best['noise']:.2f}{against}; "
        + (_significant(rows) if enough else TOO_FEW),
    )
