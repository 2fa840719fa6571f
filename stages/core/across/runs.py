"""A run of the study as git and DVC's cache hold it, and how runs are told apart."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from stages.core.artifacts.ground import EUCLIDEAN
from stages.core.evaluation.classification import CLASSIFIERS
from stages.core.report.sides import LEVEL_KEY

# What tells runs apart, in the order in which a reader asks: {name: the param that says it}.
ABOUT = {
    "model": "embed.model",
    "weights": "embed.pretrained",
    "data set": "fetch.source",
    "noise": "embed.noise_kind",
    "space": "embed.noise_space",
}
MODEL_PARAMS, NOISE_PARAMS = ("embed.model", "embed.pretrained"), tuple(ABOUT.values())[3:]
LEVELS = "embed.noise_levels"  # which the columns of accuracy show
# What makes a measure of change another one. A param that a run does not know, for it is older, is
# as if it had its default.
DEFINITIONS = (
    "persistence.metric",
    "persistence.neighbours",
    "persistence.diffusion_steps",
    "persistence.max_dim",
    "persistence.points_per_class",
    "distances.wasserstein_engine",
    "claims.divergence_points",
)
GRAPH = DEFINITIONS[1:3]  # of no effect where distances are Euclidean
DEFAULTS = {"persistence.metric": EUCLIDEAN.metric}


@dataclass(frozen=True)
class Run:
    """What a revision holds of a study; what it lacks is empty, or None.

    name: of the experiment, or as the revision was given. params, metrics: {dotted key: value}, a
    metric after its stage. checksums: {output or dependency: its checksum in dvc.lock}.
    claims: the rows of claims.csv. measures, drops: those tables of `claims`, at full precision;
    why: what is missing where they are None.
    """

    name: str
    params: Mapping[str, Any]
    metrics: Mapping[str, Any]
    checksums: Mapping[str, str]
    claims: pd.DataFrame | None = None
    measures: pd.DataFrame | None = None
    drops: pd.DataFrame | None = None
    why: str = ""

    @cached_property
    def about(self) -> dict[str, str]:
        """{name of ABOUT: what the run says}, a path by its last part."""
        return {name: short(self.params.get(param)) for name, param in ABOUT.items()}

    @property
    def model(self) -> str:
        """What encoded the images: the model, its weights and, of texture-clip, which of them."""
        given = [str(self.params.get(param)) for param in MODEL_PARAMS]
        if given[0] == "texture-clip":
            given.append(self.checksums.get("data/model", ""))
        return " ".join(given)

    @property
    def images(self) -> str:
        """What the images, their classes and split are: no two runs agree that differ in one."""
        return " ".join(self.checksums.get(path, "") for path in ("data/images", "data/images.csv"))

    @property
    def noise(self) -> tuple[str, str]:
        """The kind of noise and the space of its levels."""
        kind, space = (str(self.params.get(param)) for param in NOISE_PARAMS)
        return kind, space

    @property
    def definitions(self) -> dict[str, Any]:
        """{param: value} of what the measures of change are defined by."""
        found = {key: self.params.get(key, DEFAULTS.get(key)) for key in DEFINITIONS}
        if found["persistence.metric"] == EUCLIDEAN.metric:
            found = {key: value for key, value in found.items() if key not in GRAPH}
        return found

    @cached_property
    def levels(self) -> list[float]:
        """The noise levels at which images were classified, in ascending order."""
        return sorted({float(match[1]) for key in self.metrics if (match := LEVEL_KEY.match(key))})

    @property
    def classifiers(self) -> list[str]:
        """The classifiers that the run has, in the study's order."""
        return [key for key in CLASSIFIERS if self.at(0.0, f"{key}_top1") is not None]

    def at(self, level: float, measured: str) -> float | None:
        """A metric of `classify` at a noise level."""
        return self.metrics.get(f"classify.noise_{level:.2f}.{measured}")

    def headline(self, name: str) -> Any:
        return self.metrics.get(f"headline.{name}")


def short(value: object) -> str:
    """A param in a table: the last part of a path, and nothing for None."""
    if value is None:
        return ""
    text = str(value)
    if "/" not in text or "://" in text:
        return text
    return PurePosixPath(text.rstrip("/")).name or text


def differing(runs: Sequence[Run]) -> dict[str, list[str]]:
    """{name: what each run says} of what differs between runs: ABOUT first, then other params.

    Where a single run, or runs that say the same, differ in nothing, the model and the noise.
    """
    columns = {name: [run.about[name] for run in runs] for name in ABOUT}
    known = {*ABOUT.values(), LEVELS}
    others = dict.fromkeys(key for run in runs for key in run.params if key not in known)
    columns |= {key: [short(run.params.get(key)) for run in runs] for key in others}
    found = {name: values for name, values in columns.items() if len(set(values)) > 1}
    return found or {name: columns[name] for name in ("model", "noise")}


def common_classifier(runs: Iterable[Run]) -> str | None:
    """The first classifier that all runs have: losses of accuracy of others are not the same."""
    shared = set.intersection(*(set(run.classifiers) for run in runs), set(CLASSIFIERS))
    return next((key for key in CLASSIFIERS if key in shared), None)
