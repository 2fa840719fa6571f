"""What the other stages wrote, read and held against each other.

Each file is sound by itself, and says which run of the embeddings it was computed from; what is
asked here is whether that is one and the same. A run with another model or seed has the same
images and levels, so that names alone would not tell.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stages.core.artifacts.diagrams import (
    ALL,
    DISTANCES,
    WHOLE,
    CloudKey,
    read_diagrams,
    read_members,
)
from stages.core.artifacts.embeddings import Embeddings, read_embeddings
from stages.core.artifacts.tables import read_parquet, require_same
from stages.core.evaluation.accuracy import PREDICTIONS
from stages.core.geometry.subspaces import ANGLES


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
    embeddings: Path, diagrams: Path, distances: Path, predictions: Path, angles: Path
) -> Sources:
    """Read all; raises StudyError that names the stage to run where one is missing, damaged, or of
    another run than the embeddings.
    """
    study = read_embeddings(embeddings)
    file = diagrams / "diagrams.parquet"
    drawn = read_diagrams(file)
    require_same(drawn.run, study.run, file, "the embeddings", "persistence")
    members = read_members(diagrams / "clouds.parquet", drawn)
    moved, of_distances = read_parquet(distances, DISTANCES, "distances")
    predicted, of_predictions = read_parquet(predictions, PREDICTIONS, "classify")
    pairs, of_angles = read_parquet(angles / "pairs.parquet", ANGLES, "angles")
    for about, path, stage in (
        (of_distances, distances, "distances"),
        (of_predictions, predictions, "classify"),
        (of_angles, angles / "pairs.parquet", "angles"),
    ):
        require_same(about["run"], study.run, path, "the embeddings", stage)
    require_same(of_distances["diagrams"], drawn.content, distances, "the diagrams", "distances")

    found: dict[str, dict[float, list[np.ndarray]]] = {}
    for key, by_dim in drawn.bars.items():
        if key == CloudKey(key.group, key.noise) and key.group != ALL:
            found.setdefault(key.group, {})[key.noise] = by_dim
    members = members[(members["part"] == WHOLE) & (members["group"] != ALL)]
    return Sources(
        study,
        {
            name: pd.Index(study.images["id"]).get_indexer(of_class["id"])
            for name, of_class in members.groupby("group")
        },
        found,
        moved[moved["group"] != ALL],
        predicted,
        pairs[pairs["noise"] == 0.0].reset_index(drop=True),
        of_angles["centred"] == "true",
        of_angles["space"] == "feature",
    )
