"""Claim 7: accuracy falls with noise, from every level to the next."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import pandas as pd

from stages.core.artifacts.tables import Schema, name, number, whole
from stages.core.claims.finding import NO_NOISE, NO_TEXT, Decision, Finding, above
from stages.core.claims.sources import Sources
from stages.core.evaluation.accuracy import classifiers_of
from stages.core.evaluation.classification import CLASSIFIERS
from stages.core.evaluation.statistics import score_intervals
from stages.core.runtime.wording import count
from stages.settings.claims import ClaimsParams

TABLES = {
    "accuracy_steps": Schema(
        (
            name("classifier", *CLASSIFIERS),
            number("from_noise", low=0),
            number("to_noise", low=0),
            number("drop"),
            number("low"),
            number("high"),
            whole("images", low=1),
        ),
        key=("classifier", "from_noise"),
        may_be_empty=True,
    )
}


def decide(sources: Sources, params: ClaimsParams) -> Decision:
    """The claim, of every classifier."""
    steps = steps_table(sources.predictions, params.confidence)
    return {"accuracy_steps": steps}, findings(steps, classifiers_of(sources.predictions))


def correct_by_level(predictions: pd.DataFrame, classifier: str) -> pd.DataFrame:
    """Index (id, actual), a column per noise level: 1 where the classifier is right, else 0.

    Integers, so that counts of right answers are exact and equal counts are equal.
    """
    right = (predictions[classifier] == predictions["actual"]).astype(int)
    return (
        predictions[["id", "actual", "noise"]]
        .assign(right=right)
        .pivot_table(index=["id", "actual"], columns="noise", values="right", aggfunc="sum")
    )


def steps_table(predictions: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """One row per classifier and step between levels: the drop of accuracy, with its interval.

    predictions: columns id, noise, actual and one per classifier. The score intervals take each
    image's answers at both levels together, and images by class. The intervals of a classifier
    hold jointly: each has a confidence of 1 - (1 - confidence) / steps (Bonferroni).
    """
    rows = []
    for classifier in classifiers_of(predictions):
        right = correct_by_level(predictions, classifier)
        drops = -np.diff(right.to_numpy(dtype=np.int64), axis=1)  # (images, steps)
        if not drops.shape[1]:
            continue
        jointly = 1 - (1 - confidence) / drops.shape[1]
        actual = right.index.get_level_values("actual").to_numpy()
        intervals = score_intervals(drops, (-1, 0, 1), actual, jointly)
        rows += [
            (classifier, before, after, *interval, len(right))
            for (before, after), interval in zip(pairwise(right.columns), intervals, strict=True)
        ]
    return pd.DataFrame(rows, columns=TABLES["accuracy_steps"].names)


def findings(steps: pd.DataFrame, applicable: Sequence[str]) -> list[Finding]:
    """One finding per classifier, about its least certain step: if that one falls, all do.

    A step that surely rises comes before it, since it alone makes the claim fail. applicable: the
    classifiers that there are.
    """
    found = []
    for key, classifier in CLASSIFIERS.items():
        make = partial(
            Finding,
            7,
            f"accuracy_falls_{key}",
            f"{classifier.label} accuracy falls from every noise level to the next",
            "drop of accuracy in the least certain step",
            above(0.0),
        )
        if key not in applicable:
            found.append(make(applicable=False, detail=NO_TEXT))
            continue
        table = steps[steps["classifier"] == key]
        if table.empty:
            found.append(make(applicable=False, detail=NO_NOISE))
            continue
        rises = table["high"] < 0
        in_all = f"{100 * table['drop'].sum():.1f} points"
        decisive = table.loc[table["high"].idxmin() if rises.any() else table["low"].idxmin()]
        found.append(
            make(
                effect=float(decisive["drop"]),
                low=float(decisive["low"]),
                high=float(decisive["high"]),
                units=count(int(decisive["images"]), "test image"),
                detail=f"step {decisive['from_noise']:.2f} to {decisive['to_noise']:.2f}"
                + (f"; all steps together {in_all}" if len(table) > 1 else ""),
            )
        )
    return found
