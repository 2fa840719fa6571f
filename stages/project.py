"""Draw embeddings in two dimensions, class by class and level by level, and measure the pictures.

| output | holds |
| --- | --- |
| points_<method>_<selection>.csv | the pictures' points: noise, class, x, y |
| <method>_<selection>.png | the same, a panel per noise level |
| measures.csv | purity, silhouette and trustworthiness of each space |
| nearest_classes.csv | for each class its nearest other class in each space |
| kept_ranks.csv | for each two kept classes the rank of one among the other's nearest |

A method is tsne or umap; a selection is `all` classes or the `sampled` ones; a space is the
embedding itself or a method's picture of it. The noisy embeddings are those of draw 0.
"""

from dataclasses import dataclass
from functools import partial
from itertools import permutations
from pathlib import Path

import click
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stages.core.artifacts.embeddings import Embeddings, level_key, read_embeddings
from stages.core.figures.project import layout_figure
from stages.core.figures.style import class_styles, save_figure
from stages.core.geometry.projections import (
    Measures,
    aligned,
    chance_purity,
    measure,
    nearest_ranks,
    sample_classes,
    sample_images,
    tsne_layout,
    umap_layout,
)
from stages.core.runtime.command import path_option, stage
from stages.core.runtime.errors import StudyError
from stages.core.runtime.files import rounded, whole_files, write_csv, write_json
from stages.core.runtime.parallel import parallel_map
from stages.settings.checks import require_two_classes
from stages.settings.project import ProjectParams

METHODS = {"tsne": "t-SNE", "umap": "UMAP"}
MOST_NAMES = 15  # written into a panel; of more classes only the kept ones are named there


@dataclass(frozen=True)
class Selection:
    """The images of a picture: rows (n,) of the embeddings, labels (n,) in order of `classes`."""

    name: str
    classes: list[str]
    rows: np.ndarray
    labels: np.ndarray

    @property
    def names(self) -> np.ndarray:
        """(n,) str: the class of each image."""
        return np.array(self.classes)[self.labels]


# What a picture is of: the name of a selection and a noise level; and in which space.
Cloud = tuple[str, float]
View = tuple[str, str, float]


@stage(ProjectParams)
@path_option("--embeddings", "data/embeddings", "The embeddings artifact.")
@path_option("--metrics", "metrics/project.json", "Where the metrics go.")
@path_option("--plots", "plots/project", "Where tables and pictures go.")
def project(params: ProjectParams, embeddings: Path, metrics: Path, plots: Path) -> None:
    """Draw t-SNE and UMAP of the embeddings by class, and measure what the pictures show."""
    artifact = read_embeddings(embeddings)
    selections = select(artifact, params)
    clouds = {
        (selection.name, level): _points(artifact, level, selection.rows)
        for selection in selections
        for level in artifact.levels
    }
    layouts = lay_out(clouds, params)
    measures = measure_all(selections, clouds, layouts, params.purity_neighbours)

    with whole_files(plots) as folder:
        write_csv(folder / "measures.csv", measures_table(selections, measures))
        write_csv(folder / "nearest_classes.csv", nearest_table(selections, measures))
        write_csv(folder / "kept_ranks.csv", kept_table(selections, measures, params.kept_classes))
        for selection in selections:
            for method in METHODS:
                drawn = {level: layouts[selection.name, method, level] for level in artifact.levels}
                name = f"{method}_{selection.name}"
                write_csv(folder / f"points_{name}.csv", points_table(selection, drawn))
                figure = draw(selection, method, drawn, measures, params.kept_classes)
                save_figure(figure, folder / f"{name}.png")
    write_json(metrics, headline(selections[0], measures))

    everything, sampled = selections
    click.echo(
        f"projected {len(everything.rows)} images of {len(everything.classes)} classes and "
        f"{len(sampled.rows)} of {len(sampled.classes)}, at {len(artifact.levels)} noise levels"
    )


def select(artifact: Embeddings, params: ProjectParams) -> list[Selection]:
    """The images of the pictures of all classes, and of those of the sampled classes.

    Raises StudyError where there is one class alone, or a class of one image: neither a
    silhouette nor a neighbour of one's own class exists then.
    """
    classes = [name for name in artifact.classes if len(artifact.rows(name))]
    table = artifact.folder / "images.csv"
    require_two_classes(classes, table)
    for name in classes:
        if len(artifact.rows(name)) < 2:
            raise StudyError(f"{table}: class {name} has 1 image; give it two or leave it out")
    sampled = sample_classes(classes, params.kept_classes, params.sampled_classes, params.seed)

    def selection(name: str, chosen: list[str], count: int) -> Selection:
        rows = [sample_images(artifact.rows(c), count, params.seed, c) for c in chosen]
        labels = np.repeat(np.arange(len(chosen)), [len(part) for part in rows])
        return Selection(name, chosen, np.concatenate(rows), labels)

    return [
        selection("all", classes, params.images_per_class),
        selection("sampled", sampled, params.sampled_images_per_class),
    ]


def lay_out(clouds: dict[Cloud, np.ndarray], params: ProjectParams) -> dict[View, np.ndarray]:
    """{(selection, method, level): layout (n, 2)} of clouds {(selection, level): (n, d)}.

    The noisy layouts of a selection and a method are aligned with the clean one.
    """
    # UMAP compiles itself in every process that runs it: it gets one, which starts first.
    jobs = [("umap", list(clouds)), *(("tsne", [cloud]) for cloud in clouds)]
    work = [(method, [clouds[cloud] for cloud in batch]) for method, batch in jobs]
    found = parallel_map(partial(_lay_out_batch, params), work, "projecting")
    layouts = {
        (selection, method, level): layout
        for (method, batch), batch_layouts in zip(jobs, found, strict=True)
        for (selection, level), layout in zip(batch, batch_layouts, strict=True)
    }
    return {
        (selection, method, level): layouts[selection, method, level]
        if level == 0.0
        else aligned(layouts[selection, method, level], layouts[selection, method, 0.0])
        for method in METHODS
        for selection, level in clouds
    }


def _lay_out_batch(params: ProjectParams, job: tuple[str, list[np.ndarray]]) -> list[np.ndarray]:
    method, batch = job
    if method == "tsne":
        return [tsne_layout(points, params.perplexity, params.seed) for points in batch]
    return [
        umap_layout(points, params.umap_neighbours, params.umap_min_dist, params.seed)
        for points in batch
    ]


def measure_all(
    selections: list[Selection],
    clouds: dict[Cloud, np.ndarray],
    layouts: dict[View, np.ndarray],
    neighbours: int,
) -> dict[View, Measures]:
    """{(selection, space, level): Measures} of the embeddings and of every layout."""
    labels = {selection.name: selection.labels for selection in selections}
    views = [(name, "embedding", level) for name, level in clouds] + list(layouts)
    work = [
        (clouds[view[0], view[2]], layouts.get(view), labels[view[0]], neighbours) for view in views
    ]
    return dict(zip(views, parallel_map(_measure, work, "measuring"), strict=True))


def _measure(job: tuple[np.ndarray, np.ndarray | None, np.ndarray, int]) -> Measures:
    return measure(*job)


def measures_table(selections: list[Selection], measures: dict[View, Measures]) -> pd.DataFrame:
    """One row per selection, space and level; an embedding has no trustworthiness: None."""
    labels = {selection.name: selection.labels for selection in selections}
    return pd.DataFrame(
        {
            "selection": name,
            "space": space,
            "noise": level,
            "points": len(labels[name]),
            "chance_purity": chance_purity(labels[name]),
            "purity": found.purity,
            "silhouette": found.silhouette,
            "trustworthiness": found.trustworthiness,
        }
        for (name, space, level), found in measures.items()
    )


def nearest_table(selections: list[Selection], measures: dict[View, Measures]) -> pd.DataFrame:
    """One row per selection, space, level and class: its nearest other class, and how far.

    The distance is 1 - cosine of the mean embeddings in the embedding space, and that of
    `set_distances` in a picture.
    """
    classes = {selection.name: selection.classes for selection in selections}
    return pd.DataFrame(
        {
            "selection": name,
            "space": space,
            "noise": level,
            "class": class_name,
            "nearest": classes[name][nearest],
            "distance": found.class_distances[i, nearest],
        }
        for (name, space, level), found in measures.items()
        for i, class_name in enumerate(classes[name])
        for nearest in np.flatnonzero(nearest_ranks(found.class_distances)[i] == 1)
    )


def kept_table(
    selections: list[Selection], measures: dict[View, Measures], kept: list[str]
) -> pd.DataFrame:
    """For every ordered pair of kept classes the rank of `other` among the nearest of `class`.

    1 is the nearest of `others` other classes.
    """
    classes = {selection.name: selection.classes for selection in selections}
    columns = ["selection", "space", "noise", "class", "other", "rank", "others"]
    rows = []
    for (name, space, level), found in measures.items():
        ranks = nearest_ranks(found.class_distances)
        place = {class_name: i for i, class_name in enumerate(classes[name])}
        for a, b in permutations([c for c in classes[name] if c in kept], 2):
            rows.append((name, space, level, a, b, ranks[place[a], place[b]], len(place) - 1))
    return pd.DataFrame(rows, columns=columns)


def points_table(selection: Selection, layouts: dict[float, np.ndarray]) -> pd.DataFrame:
    """One row per level and image; x and y to a thousandth of the root-mean-square radius."""
    return pd.concat(
        pd.DataFrame({"noise": level, "class": selection.names, "x": _short(x), "y": _short(y)})
        for level, (x, y) in ((level, layout.T) for level, layout in layouts.items())
    )


def draw(
    selection: Selection,
    method: str,
    layouts: dict[float, np.ndarray],
    measures: dict[View, Measures],
    kept: list[str],
) -> Figure:
    """The figure of one selection and method, a panel per level."""

    def panel_title(level: float) -> str:
        found = measures[selection.name, method, level]
        return (
            f"noise level {level:.2f}\npurity {found.purity:.2f}, "
            f"silhouette {found.silhouette:.2f}, trustworthiness {found.trustworthiness:.2f}"
        )

    classes = selection.classes
    kept = [name for name in classes if name in kept]
    # The kept classes come first, so that no two of them (up to seven) share a colour.
    styles = class_styles(kept + [name for name in classes if name not in kept])
    return layout_figure(
        f"{METHODS[method]} of the embeddings of {len(selection.rows):,} images of "
        f"{len(classes)} classes, clean and noisy\n"
        "each level laid out on its own, then turned to match the clean one; "
        f"purity by chance {chance_purity(selection.labels):.2f}",
        METHODS[method],
        {panel_title(level): layout for level, layout in layouts.items()},
        selection.names,
        {name: styles[name] for name in classes},
        classes if len(classes) <= MOST_NAMES else kept,
    )


def headline(selection: Selection, measures: dict[View, Measures]) -> dict:
    """The metrics: measures of the pictures of all classes, by level."""
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


def _points(artifact: Embeddings, level: float, rows: np.ndarray) -> np.ndarray:
    points = artifact.array(level)[rows]
    if not np.ptp(points, axis=0).any():
        raise StudyError(
            f"{artifact.folder}: all embeddings are the same at noise {level:.2f}, so there is "
            "nothing to draw; check embed.model, or lower embed.noise_levels"
        )
    return points


def _short(values: np.ndarray) -> np.ndarray:
    return values.round(3) + 0.0  # -0.0 becomes 0.0


if __name__ == "__main__":
    project()
