"""What the page shows of a class, and of the sample of all: a group.

Each function takes one table of a finished study. Where a table is missing it returns an empty
dict, and the page says which stage to run; a table of another run is refused.
"""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from stages.core.artifacts.diagrams import (
    ALL,
    BASELINES,
    COMPARISONS,
    DISTANCES,
    CloudKey,
    read_diagrams,
)
from stages.core.artifacts.embeddings import Embeddings
from stages.core.artifacts.ground import EUCLIDEAN
from stages.core.artifacts.tables import Schema, Table, read_parquet, require_same
from stages.core.claims.bars import TABLES
from stages.core.evaluation.accuracy import PER_CLASS
from stages.core.evaluation.classification import CLASSIFIERS
from stages.core.geometry.subspaces import ANGLES
from stages.core.runtime.files import rounded
from stages.core.topology.bars import finite_bars
from stages.core.topology.distances import DIAGRAM_DISTANCES
from stages.core.topology.loops import LOOPS
from stages.core.topology.metrics import described, metric_of

NEAREST = 8  # classes by angle, of each class

# {group: what is shown of it}
Groups = Mapping[str, object]


def diagrams(study: Embeddings, file: Path) -> Groups:
    """{group: the finite bars at each level, by dimension: pairs (birth, death)}, draw 0."""
    if not file.exists():
        return {}
    found = read_diagrams(file)
    require_same(found.run, study.run, file, "the embeddings", "persistence")
    groups = dict.fromkeys(key.group for key in found.bars)
    return {
        group: [
            [[list(map(rounded, bar)) for bar in finite_bars(bars)] for bars in by_dim]
            for by_dim in (found.bars.get(CloudKey(group, level), []) for level in study.levels)
        ]
        for group in groups
    }


def scale(file: Path) -> str:
    """What births and deaths are, in words; empty where there are no diagrams."""
    if not file.exists():
        return ""
    ground = read_diagrams(file).ground
    return metric_of(ground).unit if ground == EUCLIDEAN else described(ground)


def null_bars(study: Embeddings, file: Path) -> Groups:
    """{class: the longest H1 bar of its null clouds at each level}; None where there is none."""
    rows = _rows(study, file, TABLES["bars"], "claims")
    return {
        group: [
            _number(each)
            for each in of_group.set_index("noise")["longest_null"].reindex(study.levels)
        ]
        for group, of_group in rows.groupby("class", sort=False)
    }


def distances(study: Embeddings, file: Path) -> Groups:
    """{group: rows (level, dimension, distance, comparison, its baseline, ratio)}.

    Of the comparisons that have a baseline; the ratio is to that of the same group.
    """
    rows = _rows(study, file, DISTANCES, "distances")
    key = ["group", "noise", "dim", "metric", "comparison"]
    by_key = rows.set_index(key)["distance"].to_dict()
    found = defaultdict(list)
    for (group, noise, dim, metric, comparison), distance in by_key.items():
        base = BASELINES.get(comparison)
        if base is None:
            continue
        below = by_key.get((group, COMPARISONS[base].level(noise), dim, metric, base))
        if below:
            found[group].append(
                {
                    "noise": noise,
                    "dim": dim,
                    "metric": DIAGRAM_DISTANCES[metric].label,
                    "baseline": COMPARISONS[base].label,
                    "ratio": round(distance / below, 4),
                }
            )
    return found


def accuracies(study: Embeddings, file: Path) -> Groups:
    """{class: rows (level, classifier, accuracy, its interval, test images)}."""
    rows = _rows(study, file, PER_CLASS, "classify")
    rows = rows.assign(classifier=rows["classifier"].map(lambda key: CLASSIFIERS[key].label))
    return {
        group: of_group.drop(columns="class").round(4).to_dict("records")
        for group, of_group in rows.groupby("class", sort=False)
    }


def nearest(study: Embeddings, file: Path) -> Groups:
    """{class: at each level the NEAREST classes by smallest angle: (position, smallest, mean)}.

    The angles are in degrees.
    """
    rows = _rows(study, file, ANGLES, "angles")
    other = rows.rename(columns={"class_a": "class_b", "class_b": "class_a"})
    both = pd.concat([rows, other]).sort_values(["smallest_deg", "class_b"])
    first = both.groupby(["class_a", "noise"], sort=False).head(NEAREST)
    place = {each: i for i, each in enumerate(study.classes)}
    found: dict[str, list] = {}
    for (group, noise), of_group in first.groupby(["class_a", "noise"], sort=False):
        levels = found.setdefault(group, [[] for _ in study.levels])
        levels[study.levels.index(noise)] = [
            (place[each.class_b], round(each.smallest_deg, 2), round(each.mean_deg, 2))
            for each in of_group.itertuples()
        ]
    return found


def loops(study: Embeddings, file: Path) -> Groups:
    """{group: its loops: level, cloud, rank, birth, death, ring of images by their positions}."""
    rows = _rows(study, file, LOOPS, "loops")
    position = pd.Series(range(len(study.images)), index=study.images["id"])
    found = defaultdict(list)
    for (group, noise, cloud, rank), ring in rows.groupby(
        ["group", "noise", "cloud", "rank"], sort=False
    ):
        ring = ring.sort_values("place")
        found[group].append(
            {
                "level": study.levels.index(noise),
                "cloud": cloud,
                "rank": int(rank),
                "birth": rounded(ring["birth"].iloc[0]),
                "death": rounded(ring["death"].iloc[0]),
                "ring": position[ring["id"]].tolist(),
                "steps": ring["step"].map(rounded).tolist(),
            }
        )
    return found


def _rows(study: Embeddings, file: Path, schema: Schema, stage: str) -> pd.DataFrame:
    """The rows of a table that was computed from these embeddings; none where it is not there."""
    if not file.exists():
        return pd.DataFrame(columns=schema.names)
    table: Table = read_parquet(file, schema, stage)
    require_same(table.about["run"], study.run, file, "the embeddings", stage)
    return table.rows


def _number(value: float) -> float | None:
    return None if pd.isna(value) else rounded(value)


# What is shown of a group, and the table that it is of.
PARTS = {
    "bars": (diagrams, "diagrams/diagrams.parquet", "persistence"),
    "nulls": (null_bars, "claims/bars.parquet", "claims"),
    "distances": (distances, "distances.parquet", "distances"),
    "accuracy": (accuracies, "classify/per_class.parquet", "classify"),
    "nearest": (nearest, "angles/pairs.parquet", "angles"),
    "loops": (loops, "loops.parquet", "loops"),
}


def groups_of(study: Embeddings, data: Path) -> tuple[dict[str, dict], dict[str, str]]:
    """({group: {part: what is shown}}, {part: why it is missing}), of all of PARTS.

    data: the folder of what stages hand on. The groups are the classes and ALL.
    """
    groups: dict[str, dict] = {each: {} for each in (*study.classes, ALL)}
    missing = {}
    for part, (read, file, stage) in PARTS.items():
        found = read(study, data / file)
        if not (data / file).exists():
            missing[part] = f"{data / file} is not there; run 'dvc repro {stage}'"
        for group, shown in found.items():
            groups[group][part] = shown
    return groups, missing
