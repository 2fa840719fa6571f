"""Lay out embeddings in two dimensions, and measure what the layouts show.

| output | holds |
| --- | --- |
| layouts.parquet | a row per layout and image: its class, and where it lies |
| layout_measures.parquet | purity, silhouette and trustworthiness of each layout |
| nearest_classes.parquet | for each class its nearest other class in each space |
| kept_ranks.parquet | for each two kept classes the rank of one among the other's nearest |
| measures.csv | the measures of each space, the embeddings' own included, rounded |

Their columns are described in stages/core/geometry/layouts.py. The noisy embeddings are those of
draw 0.
"""

import json
from pathlib import Path

import click
import numpy as np

from stages.core.artifacts.embeddings import Embeddings, level_key, read_embeddings
from stages.core.artifacts.tables import write_parquet
from stages.core.geometry.layouts import (
    EMBEDDING,
    KEPT_RANKS,
    LAYOUT_MEASURES,
    LAYOUTS,
    METHODS,
    NEAREST,
    Selection,
    View,
    kept_table,
    lay_out,
    layouts_table,
    measure_all,
    measures_table,
    methods_of,
    nearest_table,
    seconds_of,
    select,
)
from stages.core.geometry.projections import Measures, chance_purity
from stages.core.runtime.budget import state_cost
from stages.core.runtime.command import path_option, stage
from stages.core.runtime.errors import StudyError
from stages.core.runtime.files import rounded, whole_files, write_csv, write_json
from stages.core.runtime.parallel import available_cores
from stages.core.runtime.wording import at_levels, classes_of, count
from stages.settings.project import ProjectParams


@stage(ProjectParams)
@path_option("--embeddings", "data/embeddings", "The embeddings artifact.")
@path_option("--layouts", "data/project", "The folder where layouts and measures go.")
@path_option("--metrics", "metrics/project.json", "Where the metrics go.")
@path_option("--plots", "plots/project", "Where tables for readers go.")
def project(
    params: ProjectParams, embeddings: Path, layouts: Path, metrics: Path, plots: Path
) -> None:
    """Lay out the embeddings by t-SNE and UMAP, and measure what the layouts show."""
    study = read_embeddings(embeddings)
    kept, seed = params.kept_classes, params.seed
    selections = select(
        study,
        params.points,
        params.images_per_class,
        params.sampled_classes,
        params.sampled_images_per_class,
        kept,
        seed,
    )
    _state_cost(selections, len(study.levels))
    clouds = {
        (selection.name, level): _points(study, level, selection.rows)
        for selection in selections
        for level in study.levels
    }
    found = lay_out(clouds, methods_of(params, seed))
    measures = measure_all(selections, clouds, found, params.purity_neighbours)

    of_spaces = measures_table(selections, measures)
    tables = {
        "layouts": (layouts_table(selections, found, study.images["id"].to_numpy()), LAYOUTS),
        "layout_measures": (of_spaces[of_spaces["space"] != EMBEDDING], LAYOUT_MEASURES),
        "nearest_classes": (nearest_table(selections, measures), NEAREST),
        "kept_ranks": (kept_table(selections, measures, kept), KEPT_RANKS),
    }
    about = {"run": study.run, "kept": json.dumps(kept)}
    for name, (table, schema) in tables.items():
        write_parquet(layouts / f"{name}.parquet", table, schema, about)
    with whole_files(plots) as folder:
        write_csv(folder / "measures.csv", of_spaces)
    write_json(metrics, _metrics(selections[0], measures))

    everything, sampled = selections
    others = "" if set(sampled.rows) == set(everything.rows) else f" and {_size(sampled)}"
    click.echo(f"projected {_size(everything)}{others}, {at_levels(study.levels)}")


def _state_cost(selections: list[Selection], levels: int) -> None:
    """What layouts and their measures take; the latter hold the distances of all pairs of points.

    Of these there are some five arrays at once, in each of the processes.
    """
    sizes = [len(selection.rows) for selection in selections for _ in range(levels)]
    workers = available_cores()
    state_cost(
        "project",
        f"t-SNE and UMAP of {count(max(sizes), 'image')}, {at_levels(range(levels))}",
        sum(sum(seconds_of(method, sizes)) for method in METHODS) / workers,
        workers * 5 * 8 * max(sizes) ** 2,
        "lower project.points",
        workers,
    )


def _size(selection: Selection) -> str:
    return f"{count(len(selection.rows), 'image')} of {classes_of(len(selection.classes))}"


def _points(study: Embeddings, level: float, rows: np.ndarray) -> np.ndarray:
    points = study.array(level)[rows]
    if not np.ptp(points, axis=0).any():
        raise StudyError(
            f"{study.folder}: all embeddings are the same at noise {level:.2f}, so there is "
            "nothing to draw; check embed.model, or lower embed.noise_levels"
        )
    return points


def _metrics(selection: Selection, measures: dict[View, Measures]) -> dict:
    """Measures of the layouts of all classes, by level."""
    result: dict = {
        "images": len(selection.rows),
        "classes": len(selection.classes),
        "chance_purity": rounded(chance_purity(selection.labels)),
    }
    for (name, space, level), found in measures.items():
        if name == selection.name:
            scalars = result.setdefault(level_key(level), {})
            scalars[f"{space}_purity"] = rounded(found.purity)
            scalars[f"{space}_silhouette"] = rounded(found.silhouette)
            if found.trustworthiness is not None:
                scalars[f"{space}_trustworthiness"] = rounded(found.trustworthiness)
    return result


if __name__ == "__main__":
    project()
