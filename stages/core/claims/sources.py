"""What the other stages wrote, read and held against each other.

Each file is sound by itself; what is asked here is whether they are of one run. A run with
another model or seed has the same images and levels, so that names alone would not tell: of each
stage's numbers a few are computed again.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stages.core.classification import CLASSIFIERS, cosines, margins
from stages.core.diagrams import ALL, WHOLE, CloudKey, read_diagrams, read_members
from stages.core.embeddings import Embeddings, read_embeddings
from stages.core.errors import StudyError
from stages.core.files import read_json
from stages.core.homology import bottleneck, distance_matrix, finite_bars, persistence_diagrams
from stages.core.subspaces import angles_between, class_bases

# Of numbers that were rounded for a table, or computed on another machine.
RELATIVE, ABSOLUTE = 1e-4, 1e-5


@dataclass(frozen=True)
class Sources:
    """The inputs of the claims, of one run.

    members: {class: rows (m,) of the embeddings that its diagrams are of}.
    diagrams: {class: {level: diagrams by dimension}}, draw 0, whole clouds.
    distances: the table of `distances`, of classes; predictions: that of `classify`.
    pairs: the clean rows of the table of `angles`; centred, in_feature_space: its settings.
    """

    embeddings: Embeddings
    members: dict[str, np.ndarray]
    diagrams: dict[str, dict[float, list[np.ndarray]]]
    distances: pd.DataFrame
    predictions: pd.DataFrame
    pairs: pd.DataFrame
    centred: bool
    in_feature_space: bool

    def ranks(self) -> dict[str, int]:
        """{class: dimension of its subspace}."""
        both = pd.concat(
            [self.pairs.set_index(f"class_{side}")[f"rank_{side}"] for side in ("a", "b")]
        )
        return both[~both.index.duplicated()].astype(int).to_dict()


def read_sources(
    embeddings: Path,
    diagrams: Path,
    distances: Path,
    predictions: Path,
    pairs: Path,
    angle_metrics: Path,
) -> Sources:
    """Read all; raises StudyError that names the stage to run where one is missing or of another
    run than the embeddings.
    """
    study = read_embeddings(embeddings)
    found: dict[str, dict[float, list[np.ndarray]]] = {}
    for key, by_dim in read_diagrams(diagrams / "diagrams.parquet").items():
        if key == CloudKey(key.group, key.noise) and key.group != ALL:
            found.setdefault(key.group, {})[key.noise] = by_dim
    members = read_members(diagrams / "clouds.csv")
    members = members[(members["part"] == WHOLE) & (members["group"] != ALL)]
    _require_same(members["id"], study.images["id"], diagrams, "image", "persistence", part=True)
    moved = _table(
        distances, "distances", ["group", "noise", "dim", "metric", "comparison", "distance"]
    )
    angles = _table(
        pairs, "angles", ["noise", "class_a", "class_b", "smallest_deg", "rank_a", "rank_b"]
    )
    settings = read_json(angle_metrics)
    sources = Sources(
        study,
        {
            name: pd.Index(study.images["id"]).get_indexer(of_class["id"])
            for name, of_class in members.groupby("group")
        },
        found,
        moved[moved["group"] != ALL],
        _predictions(predictions),
        angles[angles["noise"] == 0.0].reset_index(drop=True),
        bool(settings.get("centred")),
        settings.get("space") == "feature",
    )
    _require_same_names(sources, diagrams, distances, predictions, pairs)
    _require_diagrams(sources, diagrams)
    _require_distances(sources, distances)
    _require_margins(sources, predictions)
    if sources.in_feature_space:
        _require_angles(sources, pairs)
    return sources


def _table(file: Path, stage: str, columns: list[str]) -> pd.DataFrame:
    if not file.exists():
        raise StudyError(f"{file}: not found; run 'dvc repro {stage}'")
    table = pd.read_csv(file)
    missing = [name for name in columns if name not in table]
    if missing:
        raise StudyError(f"{file}: no column {missing[0]}; run 'dvc repro --force {stage}'")
    return table


def _predictions(file: Path) -> pd.DataFrame:
    if not file.exists():
        raise StudyError(f"{file}: not found; run 'dvc repro classify'")
    try:
        table = pd.read_parquet(file)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise StudyError(f"{file}: damaged ({reason}); run 'dvc repro --force classify'") from None
    missing = [
        name for name in ("id", "noise", "actual", "margin", *CLASSIFIERS) if name not in table
    ]
    if missing:
        raise StudyError(f"{file}: no column {missing[0]}; run 'dvc repro --force classify'")
    return table


def _require_same_names(
    sources: Sources, diagrams: Path, distances: Path, predictions: Path, pairs: Path
) -> None:
    """Check that all are of the same images, classes and levels."""
    study = sources.embeddings
    test = study.images["id"].iloc[study.split_rows("test")]
    _require_same(sources.predictions["id"].unique(), test, predictions, "test image", "classify")
    classes = set(study.images["class"])
    named = pd.concat([sources.pairs["class_a"], sources.pairs["class_b"]])
    for found, file, stage in (
        (sources.diagrams, diagrams, "persistence"),
        (sources.distances["group"].unique(), distances, "distances"),
        (named.unique(), pairs, "angles"),
    ):
        _require_same(found, classes, file, "class", stage)
    for found, file, stage in (
        (next(iter(sources.diagrams.values())), diagrams, "persistence"),
        (sources.distances["noise"].unique(), distances, "distances"),
        (sources.predictions["noise"].unique(), predictions, "classify"),
    ):
        _require_same(found, study.levels, file, "noise level", stage)


def _require_same(
    found: Iterable, wanted: Iterable, file: Path, what: str, stage: str, part: bool = False
) -> None:
    """Raise StudyError unless both have the same members, or `found` a part of them."""
    found, wanted = set(found), set(wanted)
    foreign, missing = found - wanted, set() if part else wanted - found
    if foreign or missing:
        name = min(foreign or missing)
        says = "is not in" if foreign else "is only in"
        raise StudyError(
            f"{file}: of another run than the embeddings: {what} {name} {says} those; "
            f"run 'dvc repro {stage}'"
        )


def _require_diagrams(sources: Sources, folder: Path) -> None:
    """Check H0 of the first class at every level, which is quickly computed."""
    name, by_level = next(iter(sources.diagrams.items()))
    for level, by_dim in by_level.items():
        points = sources.embeddings.array(level)[sources.members[name]]
        expected = persistence_diagrams(distance_matrix(points), 0)[0]
        _require_close(
            finite_bars(by_dim[0]),
            finite_bars(expected),
            folder,
            f"H0 of {name}",
            level,
            "persistence",
        )


def _require_distances(sources: Sources, file: Path) -> None:
    """Check a bottleneck distance at every noisy level."""
    name, by_level = next(iter(sources.diagrams.items()))
    table = sources.distances
    of_class = table[
        (table["group"] == name)
        & (table["dim"] == 0)
        & (table["metric"] == "bottleneck")
        & (table["comparison"] == "clean_noisy")
    ].set_index("noise")["distance"]
    clean = finite_bars(by_level[0.0][0])
    for level, by_dim in by_level.items():
        if level > 0:
            expected = bottleneck(clean, finite_bars(by_dim[0]))
            found = of_class.get(level, np.nan)
            _require_close(found, expected, file, f"the distance of {name}", level, "distances")


def _require_margins(sources: Sources, file: Path) -> None:
    """Check the margins of all test images."""
    study = sources.embeddings
    rows = pd.Index(study.images["id"])
    for level, table in sources.predictions.groupby("noise"):
        of_test = rows.get_indexer(table["id"])
        scores = cosines(study.array(level)[of_test], study.text)
        expected = margins(scores, study.labels[of_test])
        _require_close(table["margin"], expected, file, "the margins", level, "classify")


def _require_angles(sources: Sources, file: Path) -> None:
    """Check the angle of the first pair."""
    row, study = sources.pairs.iloc[0], sources.embeddings
    clean = study.array(0.0)
    bases = [
        class_bases(
            {row[f"class_{side}"]: clean[study.rows(row[f"class_{side}"])]},
            int(row[f"rank_{side}"]),
            1.0,
            sources.centred,
        )[0]
        for side in ("a", "b")
    ]
    expected = np.degrees(angles_between(*bases)[0])
    what = f"the angle of {row['class_a']} and {row['class_b']}"
    _require_close(row["smallest_deg"], expected, file, what, 0.0, "angles")


def _require_close(
    found: np.ndarray | float,
    expected: np.ndarray | float,
    file: Path,
    what: str,
    level: float,
    stage: str,
) -> None:
    if np.shape(found) != np.shape(expected) or not np.allclose(
        found, expected, RELATIVE, ABSOLUTE
    ):
        raise StudyError(
            f"{file}: of another run than the embeddings: {what} at noise {level:.2f} "
            f"differs; run 'dvc repro {stage}'"
        )
