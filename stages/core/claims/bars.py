"""Claims 3 and 4: the cloud of a class is one component, and has no loop that persists.

Every cloud has one infinite H0 bar, which says nothing. A second component would show as a gap:
a last finite death that is unusually late, far beyond the one before it. And every cloud has a
longest H1 bar: a loop would show as one beyond the confidence band of its cloud, or beyond the
longest bars of clouds without structure. For both, each class is compared with null clouds,
Gaussians of its own covariance on the sphere (topology/null_models.py), at each level; whether
its largest excess over the levels is beyond theirs is a test of the class of level
1 / (1 + null clouds), exact where the class is such a cloud itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from stages.core.artifacts.ground import EUCLIDEAN, Ground
from stages.core.artifacts.tables import Schema, name, number, whole
from stages.core.claims.finding import NO_NOISE, Decision, Finding, below, by_ground
from stages.core.claims.sources import Sources
from stages.core.evaluation.statistics import mean_intervals, percent, share_interval
from stages.core.runtime.parallel import parallel_map
from stages.core.runtime.progress import in_parts
from stages.core.runtime.randomness import generator_for
from stages.core.runtime.wording import classes_of
from stages.core.topology.bars import finite_bars
from stages.core.topology.clouds import landmarks
from stages.core.topology.metrics import ground_distances, metric_of
from stages.core.topology.null_models import persistence_band, rotated_clouds
from stages.core.topology.rips import persistence_diagrams
from stages.settings.claims import ClaimsParams

# With fewer points a gap or a loop would have to be very large to be seen.
LEAST_POINTS = 20
# A test of level 1/20 finds up to 5 of 47 classes by chance, whose share stays below a quarter
# with 95% confidence. A claim about all classes holds if no more of them than that disagree.
TOLERATED_SHARE = 0.25
SLIGHT_VARIATION = 0.1
NO_BAND = "the band rests on the triangle inequality, which this distance need not keep"


_of_h1 = partial(number, low=0, missing=True)  # missing where it was not computed

TABLES = {
    "bars": Schema(
        (
            name("class"),
            number("noise", low=0),
            whole("points", low=1),
            whole("essential", low=0),
            number("largest_death", low=0),
            number("second_death", low=0),
            number("gap", low=0),
            number("gap_null", low=0),
            _of_h1("longest_bar"),
            _of_h1("longest_null"),
            _of_h1("relative_bar"),
            _of_h1("relative_null"),
            _of_h1("band"),
            _of_h1("diameter"),
        ),
        key=("class", "noise"),
        may_be_empty=True,
    )
}


@dataclass(frozen=True)
class ClassClouds:
    """A class at several noise levels: its points, and the rows of them that its diagrams are of.

    points: {level: (n, d)}; rows: (m,); diagrams: {level: (bars, 2) by dimension}.
    """

    name: str
    points: Mapping[float, np.ndarray]
    rows: np.ndarray
    diagrams: Mapping[float, list[np.ndarray]]


def decide(sources: Sources, params: ClaimsParams) -> Decision:
    """Both claims, of all levels."""
    classes = [
        ClassClouds(of, sources.clouds[of], sources.members[of], by_level)
        for of, by_level in sources.diagrams.items()
    ]
    replicates, confidence = params.bootstrap_replicates, params.confidence
    table = bars_table(
        classes, params.null_clouds, replicates, confidence, params.seed, sources.ground
    )
    generator = generator_for(params.seed, "claims", "components")
    components = component_findings(table, replicates, confidence, generator)
    found = [*components, *loop_findings(table, confidence)]
    return {"bars": table}, by_ground(found, sources.ground)


def bars_table(
    classes: list[ClassClouds],
    null_clouds: int,
    replicates: int,
    confidence: float,
    seed: int,
    ground: Ground = EUCLIDEAN,
) -> pd.DataFrame:
    """One row per class and level, of the classes with enough points.

    Columns: class, noise, points; of H0 essential, largest_death and second_death, gap (their
    difference over the second) and gap_null (the largest of the null clouds'); of H1 longest_bar,
    longest_null (the median of the null clouds'), the longest_bar and the longest of all null
    clouds relative to the median of the level (relative_bar, relative_null), band, and diameter
    (the longest distance). The columns of H1 are NaN where it was not computed, and band where
    `ground`, the distance of the diagrams and of those of null clouds, need not keep the triangle
    inequality.
    """
    enough = [one for one in classes if len(one.rows) >= LEAST_POINTS]
    measure = partial(_measure, null_clouds, replicates, confidence, seed, ground)
    tables = parallel_map(measure, enough, "null clouds")
    if not tables:
        return pd.DataFrame(columns=TABLES["bars"].names)
    return pd.concat(tables, ignore_index=True).reindex(columns=TABLES["bars"].names)


def _measure(
    null_clouds: int,
    replicates: int,
    confidence: float,
    seed: int,
    ground: Ground,
    one: ClassClouds,
) -> pd.DataFrame:
    rows = []
    for level, by_dim in in_parts(list(one.diagrams.items())):
        points, max_dim = one.points[level], min(len(by_dim) - 1, 1)
        drawing = generator_for(seed, "null", one.name, level)
        null = [
            _diagrams(cloud[landmarks(cloud, len(one.rows), drawing)], max_dim, ground)
            for cloud in rotated_clouds(points, null_clouds, drawing)
        ]
        second, largest = _last_deaths(by_dim[0])
        row = {
            "class": one.name,
            "noise": level,
            "points": len(one.rows),
            "essential": len(by_dim[0]) - len(finite_bars(by_dim[0])),
            "largest_death": largest,
            "second_death": second,
            "gap": _gap(by_dim[0]),
            "gap_null": max(_gap(diagrams[0]) for diagrams in null),
        }
        if max_dim:
            own, of_null = longest_bar(by_dim[1]), [longest_bar(diagrams[1]) for diagrams in null]
            unit = np.median([own, *of_null]) or 1.0
            distances = ground_distances(points[one.rows], ground)
            generator = generator_for(seed, "band", one.name, level)
            row |= {
                "longest_bar": own,
                "longest_null": np.median(of_null),
                "relative_bar": own / unit,
                "relative_null": max(of_null) / unit,
                "band": persistence_band(distances, confidence, replicates, generator)
                if metric_of(ground).triangle
                else np.nan,
                "diameter": distances.max(),
            }
        rows.append(row)
    return pd.DataFrame(rows)


def _diagrams(cloud: np.ndarray, max_dim: int, ground: Ground) -> list[np.ndarray]:
    return persistence_diagrams(ground_distances(cloud, ground), max_dim)


def _last_deaths(diagram: np.ndarray) -> tuple[float, float]:
    """The last two deaths; 0 where points coincide, whose bars have no length."""
    second, largest = np.sort(np.append([0.0, 0.0], finite_bars(diagram)[:, 1]))[-2:]
    return second, largest


def _gap(diagram: np.ndarray) -> float:
    """How far the last component outlives the one before it, relative to that; or 0 for none."""
    second, largest = _last_deaths(diagram)
    return (largest - second) / second if second else 0.0


def longest_bar(diagram: np.ndarray) -> float:
    """The length of the longest of (m, 2) bars; 0 where there is none."""
    return float((diagram[:, 1] - diagram[:, 0]).max(initial=0.0))


def _exceeds(table: pd.DataFrame, own: str, null: str) -> pd.Series:
    """For each class whether the largest of column `own` over the levels is beyond that of `null`.

    As the null clouds of a level share one column, `null` holds the largest of them.
    """
    largest = table.groupby("class")[[own, null]].max()
    return largest[own] > largest[null]


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
    excess = _exceeds(table, "gap", "gap_null")
    share = share_interval(int(excess.sum()), len(excess), confidence)
    deaths = table.groupby("class")["largest_death"]
    variation = (deaths.std(ddof=0) / deaths.mean()).fillna(0.0)  # all deaths 0, at every level
    (mean,) = mean_intervals(
        variation.to_numpy()[:, None], np.zeros(len(variation)), replicates, confidence, generator
    )
    units = classes_of(len(excess))
    one_component = gap(
        *share,
        units=units,
        detail=f"essential bars of a class at most {table['essential'].max()}, by definition; "
        f"beyond all null clouds {excess.sum()} classes",
    )
    if table["noise"].nunique() < 2:
        return [one_component, steady(applicable=False, detail=NO_NOISE)]
    return [
        one_component,
        # The mean of a single class has no uncertainty to state, and decides nothing.
        steady(mean.estimate, units=units) if len(excess) == 1 else steady(*mean, units=units),
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
    if table["longest_bar"].isna().all():
        no_loops = "persistence.max_dim is 0"
        return [make(applicable=False, detail=no_loops) for make in (band, null)]
    of_null = _null_finding(null, table, confidence)
    if table["band"].isna().all():
        return [band(applicable=False, detail=NO_BAND), of_null]
    return [_band_finding(band, table, confidence), of_null]


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
    units = classes_of(len(beyond))
    return make(*share, units=units, detail=detail)


def _null_finding(make: Callable[..., Finding], table: pd.DataFrame, confidence: float) -> Finding:
    excess = _exceeds(table, "relative_bar", "relative_null")
    ratio = (table["longest_bar"] / table["longest_null"]).median()
    share = share_interval(int(excess.sum()), len(excess), confidence)
    return make(
        *share,
        units=classes_of(len(excess)),
        detail=f"median longest bar {ratio:.2f} times that of null clouds"
        if np.isfinite(ratio)
        else "",  # of which none has a bar
    )
