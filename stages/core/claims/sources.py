"""What the other stages wrote, read and checked to be of one run.

Each file says which run of the embeddings it was computed from. A run with another model or seed
has the same images and levels, so that their names alone would not tell.
"""

from dataclasses import dataclass
from functools import cached_property
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
from stages.core.artifacts.embeddings import read_embeddings
from stages.core.artifacts.ground import Ground
from stages.core.artifacts.tables import read_parquet, require_same
from stages.core.evaluation.accuracy import PREDICTIONS
from stages.core.evaluation.classification import Known
from stages.core.geometry.subspaces import ANGLES
from stages.core.topology.summaries import SUMMARIES
from stages.settings.project import ProjectParams


@dataclass(frozen=True)
class Sources:
    """The inputs of the claims, of one run. Clouds and diagrams are those of draw 0.

    run: the id of the run.
    clouds: {class: {level: (n, d) float32, unit rows}}, of the classes that have images.
    members: {class: (m,) the rows of its clouds that its diagrams are of}.
    diagrams: {class: {level: diagrams by dimension}}.
    summaries: the table of `persistence`; distances: that of `distances`; both of classes alone.
    predictions: the table of `classify`.
    pairs: the clean rows of the table of `angles`; centred, in_feature_space: its settings.
    projection: the settings of `project`, by which claims about pictures lay theirs out.
    known: what `classify` learnt from; logit_scale: the model's own, None where it has none.
    tested: {class: (t,) the rows of its clouds that are test images}.
    ground: the distance between points that diagrams are in.
    """

    run: str
    clouds: dict[str, dict[float, np.ndarray]]
    members: dict[str, np.ndarray]
    diagrams: dict[str, dict[float, list[np.ndarray]]]
    summaries: pd.DataFrame
    distances: pd.DataFrame
    predictions: pd.DataFrame
    pairs: pd.DataFrame
    centred: bool
    in_feature_space: bool
    projection: ProjectParams
    known: Known
    logit_scale: float | None
    tested: dict[str, np.ndarray]
    ground: Ground

    @cached_property
    def clean(self) -> dict[str, np.ndarray]:
        """{class: (n, d) float32, unit rows}, without noise."""
        return {name: by_level[0.0] for name, by_level in self.clouds.items()}

    @property
    def noisy(self) -> bool:
        """Whether there is a noise level above 0."""
        return any(level > 0 for by_level in self.clouds.values() for level in by_level)

    @property
    def max_dim(self) -> int:
        """The highest dimension in which diagrams were computed."""
        return int(self.summaries["dim"].max())

    @cached_property
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
    angles: Path,
    projection: ProjectParams,
) -> Sources:
    """Read all; raises StudyError that names the stage to run where one is missing, damaged, or of
    another run than the embeddings.
    """
    study = read_embeddings(embeddings)
    file = diagrams / "diagrams.parquet"
    drawn = read_diagrams(file)
    require_same(drawn.run, study.run, file, "the embeddings", "persistence")
    members = read_members(diagrams / "clouds.parquet", drawn)
    summaries, of_summaries = read_parquet(diagrams / "summaries.parquet", SUMMARIES, "persistence")
    moved, of_distances = read_parquet(distances, DISTANCES, "distances")
    predicted, of_predictions = read_parquet(predictions, PREDICTIONS, "classify")
    pairs, of_angles = read_parquet(angles / "pairs.parquet", ANGLES, "angles")
    for about, path, stage in (
        (of_distances, distances, "distances"),
        (of_predictions, predictions, "classify"),
        (of_angles, angles / "pairs.parquet", "angles"),
    ):
        require_same(about["run"], study.run, path, "the embeddings", stage)
    for about, path, stage in (
        (of_summaries, diagrams / "summaries.parquet", "persistence"),
        (of_distances, distances, "distances"),
    ):
        require_same(about["diagrams"], drawn.content, path, "the diagrams", stage)

    rows = {name: own for name in study.classes if len(own := study.rows(name))}
    found: dict[str, dict[float, list[np.ndarray]]] = {}
    for key, by_dim in drawn.bars.items():
        if key == CloudKey(key.group, key.noise) and key.group != ALL:
            found.setdefault(key.group, {})[key.noise] = by_dim
    ids = study.images["id"]
    clean, of_test = study.array(0.0), study.images["split"].to_numpy() == "test"
    train, val = (study.split_rows(split) for split in ("train", "val"))
    members = members[(members["part"] == WHOLE) & (members["group"] != ALL)]
    return Sources(
        run=study.run,
        clouds={
            name: {level: study.array(level)[own] for level in study.levels}
            for name, own in rows.items()
        },
        members={
            name: pd.Index(ids.iloc[rows[name]]).get_indexer(of_class["id"])
            for name, of_class in members.groupby("group")
        },
        diagrams=found,
        summaries=summaries[summaries["group"] != ALL],
        distances=moved[moved["group"] != ALL],
        predictions=predicted,
        pairs=pairs[pairs["noise"] == 0.0].reset_index(drop=True),
        centred=of_angles["centred"] == "true",
        in_feature_space=of_angles["space"] == "feature",
        projection=projection,
        known=Known(clean[train], study.labels[train], clean[val], study.labels[val], study.text),
        logit_scale=study.encoder["logit_scale"],
        tested={name: np.flatnonzero(of_test[own]) for name, own in rows.items()},
        ground=drawn.ground,
    )
