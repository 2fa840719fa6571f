"""Layouts of all classes and of a sample of them at every noise level, and the tables of these.

A method is tsne or umap; a selection is `all` classes or the `sampled` ones; a space is the
embedding itself or a method's layout of it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import permutations

import numpy as np
import pandas as pd

from stages.core.artifacts.embeddings import Embeddings
from stages.core.artifacts.tables import Schema, name, number, whole
from stages.core.geometry.projections import (
    LEAST_IMAGES,
    SECONDS_A_POINT,
    SECONDS_OF_COMPILING,
    Measures,
    aligned,
    chance_purity,
    images_within,
    measure,
    nearest_ranks,
    sample_classes,
    sample_images,
    tsne_layout,
    umap_layout,
)
from stages.core.runtime.errors import StudyError
from stages.core.runtime.parallel import parallel_map
from stages.core.runtime.progress import in_parts
from stages.settings.checks import require_two_classes
from stages.settings.project import ProjectParams

EMBEDDING = "embedding"  # the space that the others are layouts of
METHODS = {"tsne": "t-SNE", "umap": "UMAP"}  # {name: label for readers}
SELECTIONS = ("all", "sampled")
IN_ONE_PROCESS = "umap"  # compiles itself in every process that runs it

# The tables of `project`. A row per image and layout: see `layouts_table`.
LAYOUTS = Schema(
    (
        name("selection", *SELECTIONS),
        name("method", *METHODS),
        number("noise", low=0),
        name("id"),
        name("class"),
        number("x"),
        number("y"),
    ),
    key=("selection", "method", "noise", "id"),
)
# What each layout shows: `measures_table` without the embeddings, which have no trustworthiness.
LAYOUT_MEASURES = Schema(
    (
        name("selection", *SELECTIONS),
        name("space", *METHODS),
        number("noise", low=0),
        number("chance_purity", 0, 1),
        number("purity", 0, 1),
        number("silhouette", -1, 1),
        number("trustworthiness", 0, 1),
    ),
    key=("selection", "space", "noise"),
)
SPACE = (name("selection", *SELECTIONS), name("space", EMBEDDING, *METHODS), number("noise", low=0))
# See `nearest_table`.
NEAREST = Schema(
    (*SPACE, name("class"), name("nearest"), number("distance")),
    key=("selection", "space", "noise", "class"),
)
# See `kept_table`.
KEPT_RANKS = Schema(
    (*SPACE, name("class"), name("other"), whole("rank", low=1), whole("others", low=1)),
    key=("selection", "space", "noise", "class", "other"),
)

# Points (n, d) -> layout (n, 2).
Method = Callable[[np.ndarray], np.ndarray]

# What a layout is of: the name of a selection and a noise level; and in which space.
Cloud = tuple[str, float]
View = tuple[str, str, float]


@dataclass(frozen=True)
class Selection:
    """The images of a layout: rows (n,) of the embeddings, labels (n,) in order of `classes`."""

    name: str
    classes: list[str]
    rows: np.ndarray
    labels: np.ndarray

    @property
    def names(self) -> np.ndarray:
        """(n,) str: the class of each image."""
        return np.array(self.classes)[self.labels]


def select(
    study: Embeddings,
    points: int,
    images_per_class: int,
    sampled_classes: int,
    sampled_images_per_class: int,
    kept: list[str],
    seed: int,
) -> list[Selection]:
    """The images of the layouts of all classes, and of those of the sampled classes.

    points: the most images of a layout. Where the classes have more, fewer of each are taken; where
    two of each are still more, classes are sampled for the layouts of all classes too. kept: the
    classes that are sampled wherever they exist. Raises StudyError where there is one class alone,
    or a class of one image: neither a silhouette nor a neighbour of one's own class exists then.
    """
    classes = [name for name in study.classes if len(study.rows(name))]
    table = study.folder / "images.csv"
    require_two_classes(classes, table)
    for class_name in classes:
        if len(study.rows(class_name)) < 2:
            raise StudyError(
                f"{table}: class {class_name} has 1 image; give it two or leave it out"
            )

    def selection(name: str, chosen: list[str], count: int) -> Selection:
        count = images_within(points, len(chosen), count)
        rows = [sample_images(study.rows(c), count, seed, c) for c in chosen]
        labels = np.repeat(np.arange(len(chosen)), [len(part) for part in rows])
        return Selection(name, chosen, np.concatenate(rows), labels)

    sampled = sample_classes(classes, kept, sampled_classes, seed)
    return [
        selection(
            "all", sample_classes(classes, kept, points // LEAST_IMAGES, seed), images_per_class
        ),
        selection("sampled", sampled, sampled_images_per_class),
    ]


def methods_of(params: ProjectParams, seed: int) -> dict[str, Method]:
    """Each of METHODS with its settings, and a seed."""
    neighbours, min_dist = params.umap_neighbours, params.umap_min_dist
    return {
        "tsne": partial(tsne_layout, perplexity=params.perplexity, seed=seed),
        "umap": partial(umap_layout, neighbours=neighbours, min_dist=min_dist, seed=seed),
    }


def lay_out(
    clouds: Mapping[Cloud, np.ndarray], methods: Mapping[str, Method]
) -> dict[View, np.ndarray]:
    """{(selection, method, level): layout (n, 2)} of clouds {(selection, level): (n, d)}.

    The noisy layouts of a selection and a method are aligned with the clean one.
    """
    # That which has one process for all its layouts starts first.
    batches = [(name, list(clouds)) for name in methods if name == IN_ONE_PROCESS]
    batches += [(name, [cloud]) for name in methods if name != IN_ONE_PROCESS for cloud in clouds]
    work = [(name, methods[name], [clouds[cloud] for cloud in batch]) for name, batch in batches]
    costs = [sum(seconds_of(name, map(len, batch))) for name, _, batch in work]
    layouts = {
        (selection, method, level): layout
        for (method, batch), found in zip(
            batches, parallel_map(_lay_out_batch, work, "projecting", costs=costs), strict=True
        )
        for (selection, level), layout in zip(batch, found, strict=True)
    }
    return {
        (selection, method, level): layouts[selection, method, level]
        if level == 0.0
        else aligned(layouts[selection, method, level], layouts[selection, method, 0.0])
        for method in methods
        for selection, level in clouds
    }


def _lay_out_batch(job: tuple[str, Method, list[np.ndarray]]) -> list[np.ndarray]:
    name, method, batch = job
    return [method(points) for points in in_parts(batch, seconds_of(name, map(len, batch)))]


def seconds_of(method: str, sizes: Iterable[int]) -> list[float]:
    """About how many seconds each layout of so many points takes, one after another."""
    seconds = [SECONDS_A_POINT[method] * size for size in sizes]
    seconds[0] += SECONDS_OF_COMPILING if method == IN_ONE_PROCESS else 0.0
    return seconds


def measure_all(
    selections: Sequence[Selection],
    clouds: Mapping[Cloud, np.ndarray],
    layouts: Mapping[View, np.ndarray],
    neighbours: int,
) -> dict[View, Measures]:
    """{(selection, space, level): Measures} of the embeddings and of every layout."""
    labels = {selection.name: selection.labels for selection in selections}
    views = [(name, EMBEDDING, level) for name, level in clouds] + list(layouts)
    work = [
        (clouds[view[0], view[2]], layouts.get(view), labels[view[0]], neighbours) for view in views
    ]
    return dict(zip(views, parallel_map(_measure, work, "measuring"), strict=True))


def _measure(job: tuple[np.ndarray, np.ndarray | None, np.ndarray, int]) -> Measures:
    return measure(*job)


def layouts_table(
    selections: Sequence[Selection], layouts: Mapping[View, np.ndarray], ids: np.ndarray
) -> pd.DataFrame:
    """One row per layout and image.

    ids: (images,) str, the ids of all images of the embeddings. x and y in units of the layout's
    root-mean-square radius.
    """
    by_name = {selection.name: selection for selection in selections}
    return pd.concat(
        pd.DataFrame(
            {
                "selection": selection,
                "method": method,
                "noise": level,
                "id": ids[by_name[selection].rows],
                "class": by_name[selection].names,
                "x": layout[:, 0],
                "y": layout[:, 1],
            }
        )
        for (selection, method, level), layout in layouts.items()
    )


def measures_table(
    selections: Sequence[Selection], measures: Mapping[View, Measures]
) -> pd.DataFrame:
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


def nearest_table(
    selections: Sequence[Selection], measures: Mapping[View, Measures]
) -> pd.DataFrame:
    """One row per selection, space, level and class: its nearest other class, and how far.

    The distance is 1 - cosine of the mean embeddings in the embedding space, and that of
    `set_distances` in a layout.
    """
    classes = {selection.name: selection.classes for selection in selections}
    return pd.DataFrame(
        {
            "selection": name,
            "space": space,
            "noise": level,
            "class": classes[name][i],
            "nearest": classes[name][nearest],
            "distance": found.class_distances[i, nearest],
        }
        for (name, space, level), found in measures.items()
        for i, nearest in enumerate((nearest_ranks(found.class_distances) == 1).argmax(axis=1))
    )


def kept_table(
    selections: Sequence[Selection], measures: Mapping[View, Measures], kept: Sequence[str]
) -> pd.DataFrame:
    """For every ordered pair of kept classes the rank of `other` among the nearest of `class`.

    1 is the nearest of `others` other classes.
    """
    classes = {selection.name: selection.classes for selection in selections}
    rows = []
    for (selection, space, level), found in measures.items():
        names = classes[selection]
        ranks = pd.DataFrame(nearest_ranks(found.class_distances), index=names, columns=names)
        rows += [
            (selection, space, level, a, b, ranks.loc[a, b], len(names) - 1)
            for a, b in permutations([each for each in names if each in kept], 2)
        ]
    return pd.DataFrame(rows, columns=KEPT_RANKS.names)
