"""What the page shows of every image: its places, its drift, what it is taken for.

All lists are by noise level, then by image, in the order of the embeddings.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from stages.core.artifacts.embeddings import Embeddings
from stages.core.artifacts.tables import read_parquet, require_same, write_parquet
from stages.core.evaluation.accuracy import PREDICTIONS, classifiers_of
from stages.core.evaluation.classification import CLASSIFIERS
from stages.core.figures.project import midst
from stages.core.geometry.layouts import (
    LAYOUTS,
    METHODS,
    Selection,
    lay_out,
    layouts_table,
    methods_of,
)
from stages.core.runtime.errors import StudyError
from stages.settings.project import ProjectParams

ALL_IMAGES = "all"  # the selection of these layouts
STEPS = 10_000  # of a place, from the centre to the border of the picture
MOST_OF_A_CLASS = 1000  # images by which its midst is found: all pairs of them are looked at
NONE = -1  # in place of a row or a class


def layouts_of_all(
    study: Embeddings, params: ProjectParams, methods: Sequence[str], kept: Path
) -> tuple[pd.DataFrame, dict[str, str]]:
    """The layouts of all images at every level, a row of LAYOUTS each, and what they rest on.

    `project` lays out a sample of each class. These are made in the same way: each level from its
    own embeddings alone, then turned or mirrored onto the clean layout (see
    stages/core/geometry/projections.py). They take minutes, so those in the table `kept`, of an
    earlier call, are taken where they are of the same embeddings and settings.
    """
    settings = {"perplexity", "umap_neighbours", "umap_min_dist", "seed"}
    about = {
        "run": study.run,
        "methods": " ".join(methods),
        **{key: str(value) for key, value in params.model_dump(include=settings).items()},
    }
    try:
        table = read_parquet(kept, LAYOUTS, "explore")
        if table.about.items() >= about.items():
            return table.rows, about
    except StudyError:
        pass  # none there, or a damaged one: made again
    rows = np.arange(len(study.images))
    everything = Selection(ALL_IMAGES, study.classes, rows, study.labels)
    chosen = {key: each for key, each in methods_of(params, params.seed).items() if key in methods}
    found = lay_out({(ALL_IMAGES, level): study.array(level) for level in study.levels}, chosen)
    return layouts_table([everything], found, study.images["id"].to_numpy()), about


def write_layouts(file: Path, layouts: pd.DataFrame, about: dict[str, str]) -> None:
    """Keep the layouts for a later call of `layouts_of_all`."""
    write_parquet(file, layouts, LAYOUTS, about)


def places(layouts: pd.DataFrame, classes: Sequence[str]) -> dict:
    """{method: its places}, as the page reads them.

    x, y: whole numbers from -STEPS to STEPS, of one scale for all levels of a method.
    midst: for each class the image at which its name may stand, or NONE where the class has no
    place of its own.
    """
    found = {}
    for method, of_method in layouts.groupby("method", sort=False):
        scale = STEPS / of_method[["x", "y"]].abs().to_numpy().max()
        levels = [rows.reset_index(drop=True) for _, rows in of_method.groupby("noise")]
        found[method] = {
            "label": METHODS[method],
            **{
                axis: [(rows[axis] * scale).round().astype(int).tolist() for rows in levels]
                for axis in ("x", "y")
            },
            "midst": [[_midst(rows, each) for each in classes] for rows in levels],
        }
    return found


def _midst(points: pd.DataFrame, class_name: str) -> int:
    """As `midst`, of the first images of a class that has very many."""
    own = points[points["class"] == class_name].head(MOST_OF_A_CLASS)
    row = midst(own.reset_index(drop=True), class_name)
    return NONE if row is None else int(own.index[row])


def drifts(study: Embeddings) -> list[list[float]]:
    """1 - the cosine of each image's embedding (draw 0) with its clean one, at every level."""
    clean = study.array(0.0).astype(np.float64)
    return [
        np.maximum(0, 1 - np.sum(clean * study.array(level), axis=1)).round(4).tolist()
        for level in study.levels
    ]


def answers(study: Embeddings, file: Path) -> dict | None:
    """What the classifiers take the images for; None where `classify` has not run.

    labels: {classifier: name for readers}; taken: {classifier: classes by their positions}, NONE
    for what is no test image; margin: by which the classifier `margin_of` prefers the true class,
    None for what is no test image. Raises StudyError for predictions of another run.
    """
    if not file.exists():
        return None
    table, about = read_parquet(file, PREDICTIONS, "classify")
    require_same(about["run"], study.run, file, "the embeddings", "classify")
    known = classifiers_of(table)
    ids, classes = pd.Index(study.images["id"]), pd.Index(study.classes)
    levels = [table[table["noise"] == level].set_index("id").reindex(ids) for level in study.levels]
    return {
        "labels": {key: CLASSIFIERS[key].label for key in known},
        "taken": {
            key: [classes.get_indexer(rows[key]).tolist() for rows in levels] for key in known
        },
        "margin_of": CLASSIFIERS[about["detailed"]].label,
        "margin": [
            [None if np.isnan(value) else value for value in rows["margin"].round(4)]
            for rows in levels
        ],
    }
