"""Claim 1: in t-SNE and UMAP one class lies with another, as polka-dotted with dotted.

Measured by rank: which one is polka-dotted among the classes nearest to dotted, and dotted
among those nearest to polka-dotted? In a picture by `set_distances`, in the embedding space by
the cosine of the class means. Both methods start from principal components, so that a seed alone
would change little: each seed also draws its own images, as another sample would. The pairs come
from the settings, and all are looked up in the same layouts.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from stages.core.artifacts.tables import Schema, name, number, whole
from stages.core.claims.finding import (
    AMONG_THE_CLOSEST,
    CLOSEST_SHARE,
    Decision,
    Finding,
    percentile_rank,
)
from stages.core.claims.pairs import missing, pair_keys
from stages.core.claims.sources import Sources
from stages.core.geometry.layouts import (
    EMBEDDING,
    IN_ONE_PROCESS,
    METHODS,
    methods_of,
    seconds_of,
)
from stages.core.geometry.projections import (
    images_within,
    mean_cosine_distances,
    nearest_ranks,
    sample_images,
    set_distances,
)
from stages.core.runtime.parallel import parallel_map
from stages.core.runtime.progress import in_parts
from stages.core.runtime.wording import classes_of, count
from stages.settings.claims import ClaimsParams, Pair
from stages.settings.project import ProjectParams

SECONDS_OF_MEANS = 0.01  # the embedding space needs no layout
SPACES = {**METHODS, EMBEDDING: "the embedding space"}  # {name: label for readers}

TABLES = {
    "neighbours": Schema(
        (
            name("class_a"),
            name("class_b"),
            name("space", *SPACES),
            whole("seed", low=0),
            whole("rank_of_a", low=1),
            whole("rank_of_b", low=1),
            whole("others", low=1),
            number("percentile_rank", 0, 1),
        ),
        key=("class_a", "class_b", "space", "seed"),
        may_be_empty=True,
    )
}

# Points (n, d) and labels (n,) of one seed.
Sample = tuple[int, np.ndarray, np.ndarray]


def decide(sources: Sources, params: ClaimsParams) -> Decision:
    """The claim, of the clean images; nothing is laid out where no pair is among the classes."""
    classes = list(sources.clean)
    pairs = params.neighbours
    ranks = {}
    if not all(missing(pair, classes) for pair in pairs):
        images = images_within(sources.projection.points, len(classes), params.images_per_class)
        drawn = samples(sources.clean, images, params.projection_seeds, params.seed)
        ranks = ranks_by_space(drawn, sources.projection)
    return (
        {"neighbours": ranks_table(ranks, pairs, classes)},
        findings(ranks, pairs, classes, params.confidence),
    )


def samples(
    clouds: dict[str, np.ndarray], images_per_class: int, seeds: int, seed: int
) -> list[Sample]:
    """For each of `seeds` seeds a sample of the images of every class: {class: (n, d)}."""
    drawn = []
    for of_sample in range(seed, seed + seeds):
        parts = [
            points[sample_images(np.arange(len(points)), images_per_class, of_sample, class_name)]
            for class_name, points in clouds.items()
        ]
        labels = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        drawn.append((of_sample, np.concatenate(parts), labels))
    return drawn


def ranks_by_space(drawn: list[Sample], projection: ProjectParams) -> dict[str, np.ndarray]:
    """{space: (seeds, C, C)}: [s, a, b] is the rank of b among the others by nearness to a."""
    # That which has one process for all its layouts starts first.
    jobs = [(IN_ONE_PROCESS, drawn)]
    jobs += [
        (method, [sample]) for method in METHODS if method != IN_ONE_PROCESS for sample in drawn
    ]
    jobs += [(EMBEDDING, drawn)]
    costs = [sum(_seconds(*job)) for job in jobs]
    found = parallel_map(partial(ranks_in_space, projection), jobs, "projecting", costs=costs)
    return {
        space: np.concatenate(
            [ranks for (of, _), ranks in zip(jobs, found, strict=True) if of == space]
        )
        for space in SPACES
    }


def ranks_in_space(projection: ProjectParams, job: tuple[str, list[Sample]]) -> np.ndarray:
    """(seeds, C, C) as in `ranks_by_space`, of (space, samples)."""
    space, drawn = job
    return np.stack(
        [
            nearest_ranks(_class_distances(space, projection, *sample))
            for sample in in_parts(drawn, _seconds(*job))
        ]
    )


def _seconds(space: str, drawn: list[Sample]) -> list[float]:
    """About how many seconds the ranks of each sample take."""
    if space == EMBEDDING:
        return [SECONDS_OF_MEANS] * len(drawn)
    return seconds_of(space, (len(points) for _, points, _ in drawn))


def _class_distances(
    space: str, projection: ProjectParams, seed: int, points: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """(C, C): how far each class lies from each other one."""
    if space == EMBEDDING:
        return mean_cosine_distances(points, labels)
    return set_distances(methods_of(projection, seed)[space](points), labels)


def ranks_table(
    ranks: dict[str, np.ndarray], pairs: Sequence[Pair], classes: list[str]
) -> pd.DataFrame:
    """One row per pair whose classes exist, space and seed: both ranks, and the percentile rank.

    rank_of_a is that of class_a by nearness to class_b, rank_of_b the reverse; the percentile rank
    is the share of all pairs of classes whose two ranks have a mean no larger.
    """
    rows = []
    for pair in (pair for pair in pairs if not missing(pair, classes)):
        a, b = map(classes.index, pair)
        rows += [
            {
                "class_a": pair[0],
                "class_b": pair[1],
                "space": space,
                "seed": seed,
                "rank_of_a": int(of_seed[b, a]),
                "rank_of_b": int(of_seed[a, b]),
                "others": len(classes) - 1,
                "percentile_rank": percentile_rank(mutual(of_seed), pair_number(classes, pair)),
            }
            for space, of_space in ranks.items()
            for seed, of_seed in enumerate(of_space)
        ]
    return pd.DataFrame(rows, columns=TABLES["neighbours"].names)


def mutual(ranks: np.ndarray) -> np.ndarray:
    """(..., C, C) ranks -> (..., P): the mean of both ranks of every pair of classes."""
    first, second = np.triu_indices(ranks.shape[-1], 1)
    return (ranks[..., first, second] + ranks[..., second, first]) / 2


def pair_number(classes: list[str], pair: Pair) -> int:
    """Where a pair, named in either order, stands among all pairs of classes, in their order."""
    first, second = sorted(map(classes.index, pair))
    # In the rows before are so many pairs as in those of a triangle.
    return first * (2 * len(classes) - first - 1) // 2 + second - first - 1


def findings(
    ranks: dict[str, np.ndarray], pairs: Sequence[Pair], classes: list[str], confidence: float
) -> list[Finding]:
    """One finding per pair and space; ranks: as of `ranks_by_space`, empty where no pair exists."""
    keys = {space: pair_keys(pairs, f"{{}}_near_{{}}_{space}") for space in SPACES}
    return [
        finding(ranks.get(space), space, pair, keys[space][pair], classes, confidence)
        for pair in pairs
        for space in SPACES
    ]


def finding(
    ranks: np.ndarray | None,
    space: str,
    pair: Pair,
    key: str,
    classes: list[str],
    confidence: float,
) -> Finding:
    """What the ranks (seeds, C, C) in a space say of a pair; not applicable for want of a class."""
    near, to = pair
    make = partial(
        Finding,
        1,
        key,
        f"in {SPACES[space]} {near} lies with {to}",
        "share of pairs of classes that are mutually at least as near",
        AMONG_THE_CLOSEST,
    )
    if ranks is None or missing(pair, classes):
        return make(applicable=False, detail=missing(pair, classes))
    of_pairs, which = mutual(ranks), pair_number(classes, pair)
    overall = percentile_rank(of_pairs.mean(axis=0), which)
    a, b = map(classes.index, pair)
    there, back = ranks[:, b, a].mean(), ranks[:, a, b].mean()
    make = partial(
        make,
        overall,
        units=f"{count(len(ranks), 'seed')}, {classes_of(len(classes))}",
        detail=f"mean rank of {near} from {to} {there:.1f}, back {back:.1f}, of {len(classes) - 1}",
    )
    # Half of the classes may pair up with ranks of 1 on both sides, all at one percentile rank.
    if 1 / (len(classes) - 1) > CLOSEST_SHARE:
        return make()  # among so few classes no pair could be an exception: nothing is tested
    low, high = np.quantile(
        [percentile_rank(of_seed, which) for of_seed in of_pairs],
        [(1 - confidence) / 2, (1 + confidence) / 2],
    )
    return make(low=float(low), high=float(high), p_value=overall)
