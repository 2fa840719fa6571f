"""The two revisions that a report compares, and whether they were put to the same test."""

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from stages.core.report.markdown import code

HERE = "workspace"

LEVEL_KEY = re.compile(r"classify\.noise_(\d+\.\d\d)\.")
# What `fetch` makes of the images and their split: the same bytes, the same images.
DATA = ("data/images", "data/images.csv")
# What else tells of them, where these bytes differ or are not known.
DATA_PARAMS = {
    "fetch.source": "data set",
    "fetch.classes": "classes",
    "fetch.images_per_class": "images of a class",
    "fetch.image_size": "size of the generated images",
    "fetch.seed": "seed of the data set",
    "fetch.split": "split",
}
DATA_METRICS = {"classify.classes": "number of classes", "classify.n_test": "test images"}
NOISE_PARAMS = {"embed.noise_kind": "kind of noise", "embed.noise_space": "space of the noise"}
NORMALISED = "normalised"

CLAIM_COLUMNS = ("number", "claim", "statement", "verdict", "decided_by")


@dataclass(frozen=True)
class Side:
    """What a revision holds of a study; what it lacks is empty, or None.

    params, metrics: {dotted key: value}, a metric after its stage: 'classify.n_test'.
    checksums: {output: its checksum in dvc.lock}.
    claims: the rows of claims.csv, all as text. predictions: those of `classify`.
    encoder: the contents of encoder.json.
    """

    name: str
    params: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    checksums: Mapping[str, str] = field(default_factory=dict)
    claims: pd.DataFrame | None = None
    predictions: pd.DataFrame | None = None
    encoder: Mapping[str, Any] = field(default_factory=dict)

    @property
    def levels(self) -> list[float]:
        """The noise levels at which images were classified, in ascending order."""
        found = {match[1] for key in self.metrics if (match := LEVEL_KEY.match(key))}
        return sorted(map(float, found))


@dataclass(frozen=True)
class SameTest:
    """How two sides were not put to the same test, a line of Markdown each.

    data: other images, classes or another split; noise: another kind or unit; levels: noise levels
    of one side alone. `remarks` are about what may differ, and is not known.
    """

    data: list[str]
    noise: list[str]
    levels: list[str]
    remarks: list[str]

    def at(self, level: float) -> bool:
        """Whether numbers at a noise level are of the same test, as a difference needs."""
        return not self.data and (level == 0 or not self.noise)

    @property
    def everywhere(self) -> bool:
        return not (self.data or self.noise or self.levels)


def same_test(base: Side, here: Side) -> SameTest:
    """Whether both sides were tested on the same images with the same noise."""
    noise, remarks = noise_differences(base, here)
    return SameTest(data_differences(base, here), noise, level_differences(base, here), remarks)


def data_differences(base: Side, here: Side) -> list[str]:
    """How the images, the classes or the split differ."""
    known = [
        (base.checksums[path], here.checksums[path])
        for path in DATA
        if path in here.checksums and path in base.checksums
    ]
    if len(known) == len(DATA) and all(a == b for a, b in known):
        return []
    found = list(_differing(base.params, here.params, DATA_PARAMS, base.name))
    found += _differing(base.metrics, here.metrics, DATA_METRICS, base.name)
    return found or [f"other images or labels ({code(path)})" for path in DATA[:1] if known]


def noise_differences(base: Side, here: Side) -> tuple[list[str], list[str]]:
    """How the noise differs, and what of it is not known.

    A level in normalised pixels counts the standard deviation by which the model divides, so that
    another model may see another noise at the same level.
    """
    found = list(_differing(base.params, here.params, NOISE_PARAMS, base.name))
    key = "embed.model"
    spaces = {side.params.get("embed.noise_space") for side in (base, here)}
    if spaces != {NORMALISED} or base.params.get(key) == here.params.get(key):
        return found, []
    stds = [side.encoder.get("preprocessing", {}).get("std") for side in (base, here)]
    if None in stds:
        return found, [
            "noise levels are in pixels that each model normalises in its own way: the same level "
            "may be another noise"
        ]
    if stds[0] != stds[1]:
        a, b = (", ".join(f"{x:.3g}" for x in std) for std in stds)
        found.append(
            f"unit of the noise level, the standard deviation by which the model divides pixels: "
            f"{a} in {code(base.name)}, {b} here"
        )
    return found, []


def level_differences(base: Side, here: Side) -> list[str]:
    """The noise levels that one side has alone."""
    if not (base.levels and here.levels):
        return []
    found = []
    for side, other, where in ((base, here, f"in {code(base.name)}"), (here, base, "here")):
        if alone := [level for level in side.levels if level not in other.levels]:
            found.append(f"noise levels {where} alone: {', '.join(f'{x:g}' for x in alone)}")
    return found


def _differing(
    old: Mapping[str, Any], new: Mapping[str, Any], keys: Mapping[str, str], base: str
) -> list[str]:
    """A line for each key whose value both sides have, and not the same."""
    return [
        f"{label} ({code(key)}): {code(str(old[key]))} in {code(base)}, {code(str(new[key]))} here"
        for key, label in keys.items()
        if key in old and key in new and old[key] != new[key]
    ]


def flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested params or metrics as {dotted key: value}; a list stays one."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def claims_of(text: str | None) -> pd.DataFrame | None:
    """The rows of claims.csv, all as text; None where there are none, or they cannot be read."""
    try:
        table = pd.read_csv(io.StringIO(text or ""), dtype=str, keep_default_na=False)
    except ValueError:  # what pandas raises for a file that is empty or no CSV
        return None
    return table if set(table) >= set(CLAIM_COLUMNS) else None
