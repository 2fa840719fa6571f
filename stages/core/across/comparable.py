"""Which runs can be pooled, and why others cannot."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from stages.core.across.runs import Run, common_classifier, short
from stages.core.claims.question import KINDS, kind_of


@dataclass(frozen=True)
class Pool:
    """Runs whose measures of change are defined alike, and what is known of their classes.

    runs: in the order given. classifier: whose loss of accuracy the measures are to follow.
    left_out: a line for each run that is not among them: its name, and why.
    """

    runs: list[Run]
    classifier: str | None
    left_out: list[str]


def pool(runs: Sequence[Run], classifier: str | None = None) -> Pool:
    """The runs that can be pooled: all that have tables and say the same of their measures.

    Runs with other definitions than most runs have are left out, and so is a run that says the same
    as one before it: same images, model, noise and seed would count twice. classifier: None for the
    first that all of them have; a run that lacks one that was asked for is left out.
    """
    left_out = [f"{run.name}: {run.why}" for run in runs if run.measures is None]
    usable = [run for run in runs if run.measures is not None]
    by_definition = Counter(_said(run) for run in usable)
    if len(by_definition) > 1:
        wanted = by_definition.most_common(1)[0][0]  # of as many runs each, the first
        odd = [run for run in usable if _said(run) != wanted]
        usable = [run for run in usable if _said(run) == wanted]
        left_out += [f"{run.name}: {_difference(run, usable[0])}" for run in odd]
    seen: dict[tuple, str] = {}
    distinct = []
    for run in usable:
        twin = seen.setdefault(_identity(run), run.name)
        if twin == run.name:
            distinct.append(run)
        else:
            left_out.append(f"{run.name}: same embeddings as {twin}")
    if classifier is not None:
        lacking = [run for run in distinct if classifier not in run.classifiers]
        left_out += [f"{run.name}: no {classifier} accuracy" for run in lacking]
        distinct = [run for run in distinct if run not in lacking]
    elif distinct:
        classifier = common_classifier(distinct)
    return Pool(distinct, classifier, left_out)


def _said(run: Run) -> tuple[tuple[str, str], ...]:
    return tuple((key, str(value)) for key, value in run.definitions.items())


def _difference(run: Run, of_most: Run) -> str:
    """How the definitions of a run differ from those of most."""
    mine, theirs = run.definitions, of_most.definitions
    differ = [key for key in {**mine, **theirs} if mine.get(key) != theirs.get(key)]
    return "other measures than most runs have: " + ", ".join(
        f"{key} {_word(mine, key)}, not {_word(theirs, key)}" for key in differ
    )


def _word(definitions: dict[str, Any], key: str) -> str:
    return short(definitions.get(key)) or "null"


def _identity(run: Run) -> tuple:
    """What the embeddings of a run are computed from."""
    embedded = run.checksums.get("data/embeddings")
    return (embedded,) if embedded else (run.name,)


def pooled_measures(found: Pool) -> pd.DataFrame:
    """The measures of all runs: columns run, model, data, noise_kind, noise_space, class, noise,
    measure, value. data: the name of the set of images, classes and split, see `data_names`.
    """
    return _together(found, "measures")


def pooled_drops(found: Pool) -> pd.DataFrame:
    """The losses of accuracy of all runs by the pool's classifier: columns as those of
    `pooled_measures`, with drop in place of measure and value.
    """
    drops = _together(found, "drops")
    return drops[drops["classifier"] == found.classifier].drop(columns="classifier")


def _together(found: Pool, table: str) -> pd.DataFrame:
    names = data_names(found.runs)
    parts = []
    for run in found.runs:
        kind, space = run.noise
        parts.append(
            getattr(run, table).assign(
                run=run.name,
                model=run.model,
                data=names[run.images],
                noise_kind=kind,
                noise_space=space,
            )
        )
    return pd.concat(parts, ignore_index=True)


def data_names(runs: Sequence[Run]) -> dict[str, str]:
    """{images of a run: a name}: of its source, with a number where sources hold other images."""
    names: dict[str, str] = {}
    for run in runs:
        if run.images in names:
            continue
        name, number = run.about["data set"] or "images", 1
        while (told := name if number == 1 else f"{name} ({number})") in names.values():
            number += 1
        names[run.images] = told
    return names


def kinds_of(measures: Iterable[str]) -> dict[str, str]:
    """{measure: 'plain', 'rival' or 'topological'}, the plain ones first."""
    kinds = {each: kind_of(each) for each in sorted(measures)}
    return {each: kind for of in KINDS for each, kind in kinds.items() if kind == of}
