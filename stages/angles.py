"""Principal angles between the subspaces of every pair of classes, at each noise level.

| output | holds |
| --- | --- |
| pairs.parquet | a row per pair and noise level; see stages/core/geometry/subspaces.py |
| rotations.parquet | a row per class and level: how far its subspace turns from the clean one |
| closest_pairs.csv | the closest pairs of each level, rounded |
"""

from pathlib import Path

import click
import numpy as np
import pandas as pd

from stages.core.artifacts.embeddings import Embeddings, level_key, read_embeddings
from stages.core.artifacts.tables import MOST_ROWS, write_parquet
from stages.core.geometry.spaces import SPACES
from stages.core.geometry.subspaces import (
    ANGLES,
    ROTATIONS,
    ZERO_ANGLE_RAD,
    pair_table,
    principal_angles,
    rotation_table,
)
from stages.core.runtime.budget import state_cost
from stages.core.runtime.command import path_option, stage
from stages.core.runtime.errors import StudyError
from stages.core.runtime.files import rounded, whole_files, write_csv, write_json
from stages.core.runtime.progress import progress
from stages.core.runtime.wording import at_levels, classes_of, count
from stages.settings.angles import AnglesParams
from stages.settings.checks import require_two_classes

SECONDS_A_FLOP = 1.5e-10  # on one core
BYTES_A_ROW = 88  # of the table of pairs


@stage(AnglesParams)
@path_option("--embeddings", "data/embeddings", "The embeddings artifact.")
@path_option("--angles", "data/angles", "The folder where the angles go.")
@path_option("--metrics", "metrics/angles.json", "Where the metrics go.")
@path_option("--plots", "plots/angles", "Where tables for readers go.")
def angles(
    params: AnglesParams, embeddings: Path, angles: Path, metrics: Path, plots: Path
) -> None:
    """Compute all principal angles between every pair of class subspaces, per noise level.

    The subspace of a class is spanned by the leading right singular vectors of its embeddings
    (draw 0). Writes the smallest, mean and largest angle of every pair, its Grassmann and
    chordal distances, how many of its angles are zero and how many of those had to be, and
    how far each class's subspace turns away from its clean one.
    """
    study = read_embeddings(embeddings)
    require_two_classes(study.classes, embeddings / "classes.csv")
    require_readable(len(study.classes), len(study.levels))
    clean_bases = _bases(study, 0.0, params)
    _state_cost(clean_bases, len(study.levels))
    pairs, rotations = {}, {}
    for level in progress(study.levels, "angles"):
        bases = _bases(study, level, params) if level else clean_bases
        found = principal_angles(bases)
        pairs[level] = pair_table(found, study.classes)
        rotations[level] = rotation_table(clean_bases, bases, study.classes)
    closest = {
        level: table.nsmallest(params.closest_pairs, ["smallest_deg", "mean_deg"])
        for level, table in pairs.items()
    }

    about = {"run": study.run, "space": params.space, "centred": str(params.centre).lower()}
    write_parquet(angles / "pairs.parquet", _long(pairs), ANGLES, about)
    write_parquet(angles / "rotations.parquet", _long(rotations), ROTATIONS, about)
    with whole_files(plots) as folder:
        write_csv(folder / "closest_pairs.csv", _long(closest))
    write_json(metrics, _metrics(params, found.dimension, pairs, rotations))
    for line in _report(params.space, found.dimension, pairs):
        click.echo(line)


def require_readable(classes: int, levels: int) -> None:
    """Raise StudyError for more pairs of classes than a table may have rows."""
    rows = levels * classes * (classes - 1) // 2
    if rows > MOST_ROWS:
        raise StudyError(
            f"angles: the pairs of {classes_of(classes)} {at_levels(range(levels))} are {rows:,} "
            f"rows, {MOST_ROWS:,} are allowed; leave classes out in fetch.classes"
        )


def _state_cost(bases: list[np.ndarray], levels: int) -> None:
    """What is still to be done with clean bases (d, k): angles of every pair, at every level."""
    pairs, dimension = len(bases) * (len(bases) - 1) // 2, len(bases[0])
    rank = max(basis.shape[1] for basis in bases)
    # Products of bases, and their singular values; the tables of all levels, once more while they
    # are written, and the angles of one level, of which a few copies are made.
    seconds = SECONDS_A_FLOP * levels * pairs * (2 * dimension * rank**2 + 20 * rank**3)
    held = 8 * (4 * pairs * rank + 3 * len(bases) * dimension * rank)
    state_cost(
        "angles",
        f"{count(pairs, 'pair')} of {classes_of(len(bases))} in up to {rank} dimensions",
        seconds,
        held + 3 * BYTES_A_ROW * levels * pairs,
        "leave classes out in fetch.classes or lower angles.rank",
    )


def _bases(study: Embeddings, level: float, params: AnglesParams) -> list[np.ndarray]:
    """The basis of each class at a noise level, draw 0."""
    array = study.array(level)
    clouds = {name: array[study.rows(name)] for name in study.classes}
    for name, points in clouds.items():
        if not len(points):
            raise StudyError(
                f"{study.folder}/images.csv: class {name} has no image; run 'dvc repro embed'"
            )
    bases = SPACES[params.space].bases
    return bases(clouds, params.rank, params.explained_variance, params.centre)


def _long(tables: dict[float, pd.DataFrame]) -> pd.DataFrame:
    """The tables of all noise levels under one another, with the level in column `noise`."""
    return pd.concat(table.assign(noise=level) for level, table in tables.items())[
        ["noise", *next(iter(tables.values())).columns]
    ]


def _metrics(
    params: AnglesParams,
    dimension: int,
    pairs: dict[float, pd.DataFrame],
    rotations: dict[float, pd.DataFrame],
) -> dict:
    metrics: dict = {
        "space": params.space,
        "centred": params.centre,
        "dimension": dimension,
        "pairs": len(pairs[0.0]),
        "zero_below_deg": rounded(np.degrees(ZERO_ANGLE_RAD)),
    }
    for level, table in pairs.items():
        ranks = table[["rank_a", "rank_b"]]
        metrics[level_key(level)] = {
            "rank_lowest": int(ranks.min(axis=None)),
            "rank_highest": int(ranks.max(axis=None)),
            "smallest_deg_min": rounded(table["smallest_deg"].min()),
            "smallest_deg_median": rounded(table["smallest_deg"].median()),
            "smallest_deg_mean": rounded(table["smallest_deg"].mean()),
            "mean_deg_mean": rounded(table["mean_deg"].mean()),
            "grassmann_mean": rounded(table["grassmann"].mean()),
            "zero_pairs": _zero_pairs(table),
            "zero_pairs_certain": _certain_pairs(table),
            "zero_angles_certain": int(table["zeros_certain"].sum()),
            "zero_angles_found": int(table["zeros_found"].sum()),
            "rotation_deg_mean": rounded(rotations[level]["mean_deg"].mean()),
        }
    return metrics


def _zero_pairs(table: pd.DataFrame) -> int:
    """How many pairs have a smallest angle of zero."""
    return int((table["smallest_deg"] == 0).sum())


def _certain_pairs(table: pd.DataFrame) -> int:
    """How many pairs had to meet, by their ranks alone."""
    return int((table["zeros_certain"] > 0).sum())


def _report(space: str, dimension: int, pairs: dict[float, pd.DataFrame]) -> list[str]:
    """What the stage says: sizes, the closest pair of each level, and why angles are zero."""
    pairs_in_all = len(pairs[0.0])
    lines = [
        SPACES[space].remark.format(dimension)
        or f"Class subspaces in {dimension} dimensions: {count(pairs_in_all, 'pair')}"
    ]
    for level, table in pairs.items():
        closest = table.loc[table["smallest_deg"].idxmin()]
        zero, certain = _zero_pairs(table), _certain_pairs(table)
        lines.append(
            f"noise {level:.2f}: closest {closest['class_a']} and {closest['class_b']}, "
            f"{closest['smallest_deg']:.2f} degrees; "
            + (f"{zero:,} of {count(pairs_in_all, 'pair')}" if zero else "no pair")
            + (" has" if zero <= 1 else " have")
            + " an angle of 0"
            + (f", {certain:,} for certain" if certain else "")
        )
    if any(_certain_pairs(table) for table in pairs.values()):
        lines.append(
            f"Where rank_a + rank_b is more than the {dimension} dimensions, two subspaces meet "
            "whatever the images: such an angle of 0 is no finding"
        )
    return lines


if __name__ == "__main__":
    angles()
