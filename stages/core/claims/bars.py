"""Claims 3 and 4: the cloud of a class is one component, and has no loop that persists.

H0 of a Vietoris-Rips filtration has one essential bar whatever the points are: that count says
nothing. What could show a second component is a gap, a last death far beyond the one before it.
And a longest bar there always is: what could show a loop is one beyond the confidence band of its
cloud, or beyond the longest bars of clouds without structure. For both, each class is held
against null clouds, Gaussians of its own covariance on the sphere (topology/null_models.py), at
each level; its largest excess over the levels against theirs is a test of the class of level
1 / (1 + null clouds), exact where the class is such a cloud itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from stages.core.claims.finding import Finding, below
from stages.core.evaluation.statistics import mean_intervals, percent, share_interval
from stages.core.runtime.parallel import parallel_map
from stages.core.runtime.randomness import generator_for
from stages.core.topology.bars import finite_bars
from stages.core.topology.clouds import landmarks
from stages.core.topology.null_models import persistence_band, rotated_clouds
from stages.core.topology.rips import distance_matrix, persistence_diagrams

# With fewer points a gap or a loop would have to be very large to be seen.
LEAST_POINTS = 20
# A test of level 1/20 finds up to 5 of 47 classes by chance, whose share stays below a quarter
# with 95% confidence. A claim about all classes holds if no more of them than that disagree.
TOLERATED_SHARE = 0.25
SLIGHT_VARIATION = 0.1


@dataclass(frozen=True)
class ClassClouds:
    """A class at L noise levels: its points, and the rows among them that its diagrams are of.

    points: L arrays (n, d); rows: (m,); diagrams: L lists of (bars, 2) by dimension.
    """

    name: str
    levels: list[float]
    points: list[np.ndarray]
    rows: np.ndarray
    diagrams: list[list[np.ndarray]]


def bars_table(
    classes: list[ClassClouds], null_clouds: int, replicates: int, confidence: float, seed: int
) -> pd.DataFrame:
    """One row per class and level, of the classes with enough points.

    Columns: class, noise, points, essential, largest_death and second_death of H0, gap (their
    difference over the second) and gap_null (the largest of the null clouds'); and where there is
    H1 longest_bar, band, diameter (the longest distance), longest_null (median). gap_excess,
    bar_excess: whether the class's largest gap (longest bar, in units of the median of its level)
    over all levels exceeds those of every null cloud.
    """
    enough = [one for one in classes if len(one.rows) >= LEAST_POINTS]
    measure = partial(_measure, null_clouds, replicates, confidence, seed)
    tables = parallel_map(measure, enough, "null clouds")
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["class"])


def _measure(
    null_clouds: int, replicates: int, confidence: float, seed: int, one: ClassClouds
) -> pd.DataFrame:
    max_dim = min(len(one.diagrams[0]) - 1, 1)
    rows, gaps, longest = [], [], []
    for level, points, by_dim in zip(one.levels, one.points, one.diagrams, strict=True):
        drawing = generator_for(seed, "null", one.name, level)
        null = [
            _diagrams(cloud[landmarks(cloud, len(one.rows), drawing)], max_dim)
            for cloud in rotated_clouds(points, null_clouds, drawing)
        ]
        deaths = np.sort(finite_bars(by_dim[0])[:, 1])
        gaps.append([_gap(by_dim[0]), *(_gap(diagrams[0]) for diagrams in null)])
        row = {
            "class": one.name,
            "noise": level,
            "points": len(one.rows),
            "essential": len(by_dim[0]) - len(deaths),
            "largest_death": deaths[-1],
            "second_death": deaths[-2],
            "gap": gaps[-1][0],
            "gap_null": max(gaps[-1][1:]),
        }
        if max_dim:
            longest.append(
                [longest_bar(by_dim[1]), *(longest_bar(diagrams[1]) for diagrams in null)]
            )
            generator = generator_for(seed, "band", one.name, level)
            distances = distance_matrix(points[one.rows])
            row["longest_bar"] = longest[-1][0]
            row["band"] = persistence_band(distances, confidence, replicates, generator)
            row["diameter"] = distances.max()
            row["longest_null"] = np.median(longest[-1][1:])
        rows.append(row)
    excess = {"gap_excess": _exceeds(np.array(gaps))}
    if max_dim:
        of_level = np.array(longest)  # (L, 1 + K)
        middle = np.median(of_level, axis=1, keepdims=True)
        excess["bar_excess"] = _exceeds(of_level / np.where(middle > 0, middle, 1.0))
    return pd.DataFrame(rows).assign(**excess)


def _diagrams(cloud: np.ndarray, max_dim: int) -> list[np.ndarray]:
    return persistence_diagrams(distance_matrix(cloud), max_dim)


def _gap(diagram: np.ndarray) -> float:
    """How far the last component outlives the one before it, relative to that."""
    second, largest = np.sort(finite_bars(diagram)[:, 1])[-2:]
    return (largest - second) / second


def longest_bar(diagram: np.ndarray) -> float:
    """The length of the longest of (m, 2) bars; 0 where there is none."""
    return float((diagram[:, 1] - diagram[:, 0]).max(initial=0.0))


def _exceeds(values: np.ndarray) -> bool:
    """Whether the first column's maximum over levels is beyond all others': (L, 1 + K)."""
    largest = values.max(axis=0)
    return bool(largest[0] > largest[1:].max())


def component_findings(
    table: pd.DataFrame, replicates: int, confidence: float, generator: np.random.Generator
) -> list[Finding]:
    """Claim 3: one component at every level, whose last merge hardly moves with noise."""
    gap = partial(
        Finding,
        3,
        "one_component",
        "H0 has one persistent component at every noise level",
        "share of classes with a last death beyond a gap that no null cloud has",
        below(TOLERATED_SHARE),
    )
    steady = partial(
        Finding,
        3,
        "component_scale_steady",
        "the largest finite death of H0 varies only slightly with noise",
        "mean over classes of the coefficient of variation across levels",
        below(SLIGHT_VARIATION),
    )
    if table.empty:
        few = f"no class has {LEAST_POINTS} images"
        return [gap(detail=few), steady(detail=few)]
    by_class = table.groupby("class")
    excess = by_class["gap_excess"].first()
    share = share_interval(int(excess.sum()), len(excess), confidence)
    variation = by_class["largest_death"].std(ddof=0) / by_class["largest_death"].mean()
    (mean,) = mean_intervals(
        variation.to_numpy()[:, None], np.zeros(len(variation)), replicates, confidence, generator
    )
    units = f"{len(excess)} classes"
    return [
        gap(
            *share,
            units=units,
            detail=f"essential bars of a class at most {table['essential'].max()}, by definition; "
            f"beyond all null clouds {excess.sum()} classes",
        ),
        # The mean of a single class has no uncertainty to state, and decides nothing.
        steady(*(mean if len(excess) > 1 else mean[:1]), units=units),
    ]


def loop_findings(table: pd.DataFrame, confidence: float) -> list[Finding]:
    """Claim 4: no loop beyond the band, and none beyond the null clouds."""
    band = partial(
        Finding,
        4,
        "no_loop_beyond_band",
        f"H1 has no bar beyond its cloud's {percent(confidence)} confidence band",
        "share of classes with such a bar at any level",
        below(TOLERATED_SHARE),
    )
    null = partial(
        Finding,
        4,
        "no_loop_beyond_null",
        "H1 has no bar longer than clouds without structure have",
        "share of classes with a bar beyond all null clouds",
        below(TOLERATED_SHARE),
    )
    if table.empty:
        few = f"no class has {LEAST_POINTS} images"
        return [band(detail=few), null(detail=few)]
    if "band" not in table:
        no_loops = "persistence.max_dim is 0"
        return [make(applicable=False, detail=no_loops) for make in (band, null)]
    return [_band_finding(band, table, confidence), _null_finding(null, table, confidence)]


def _band_finding(make: Callable[..., Finding], table: pd.DataFrame, confidence: float) -> Finding:
    """Of the classes whose band can tell: a bar is shorter than the cloud is wide."""
    can_tell = (table["band"] < table["diameter"]).groupby(table["class"]).all()
    detail = (
        f"median band {table['band'].median():.3g}, longest bar {table['longest_bar'].median():.3g}"
    )
    if not can_tell.any():
        return make(
            units="0 classes",
            detail=f"{detail}, diameter {table['diameter'].median():.3g}: no bar could exceed it",
        )
    beyond = (table["longest_bar"] > table["band"]).groupby(table["class"]).any()[can_tell]
    share = share_interval(int(beyond.sum()), len(beyond), confidence)
    units = f"{len(beyond)} classes"
    return make(*share, units=units, detail=detail)


def _null_finding(make: Callable[..., Finding], table: pd.DataFrame, confidence: float) -> Finding:
    excess = table.groupby("class")["bar_excess"].first()
    ratio = (table["longest_bar"] / table["longest_null"]).median()
    share = share_interval(int(excess.sum()), len(excess), confidence)
    return make(
        *share,
        units=f"{len(excess)} classes",
        detail=f"median longest bar {ratio:.2f} times that of null clouds",
    )
