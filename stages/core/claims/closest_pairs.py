"""Claim 2: some pairs are among the closest by subspace angle, and many angles are 0.0.

The percentile rank of a pair among all pairs is its p-value against names dealt at random; its
interval comes from halves of the images of every class. Beside it stands the angle that remains
where the labels of the pair's own images are shuffled: two samples of one and the same class. The
pairs come from the settings.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd

from stages.core.artifacts.tables import Schema, name, number, whole
from stages.core.claims.finding import (
    AMONG_THE_CLOSEST,
    CLOSEST_SHARE,
    Decision,
    Finding,
    counted_above,
    percentile_rank,
)
from stages.core.claims.pairs import missing, pair_keys
from stages.core.claims.sources import Sources
from stages.core.geometry.subspaces import (
    ZERO_ANGLE_RAD,
    angles_between,
    class_bases,
    principal_angles,
    sample_space_bases,
)
from stages.core.runtime.parallel import parallel_map
from stages.core.runtime.randomness import generator_for
from stages.core.runtime.wording import count
from stages.settings.claims import ClaimsParams, Pair

MANY = 0.05  # share of pairs
MOST_COMPARED = 200  # classes in half samples, beside those of claimed pairs

TABLES = {
    "closest_pairs": Schema(
        (
            name("class_a"),
            name("class_b"),
            number("smallest_deg", 0, 90),
            number("percentile_rank", 0, 1),
            number("low", 0, 1),
            number("high", 0, 1),
            number("shuffled_deg", 0, 90),
            whole("pairs", low=1),
        ),
        key=("class_a", "class_b"),
        may_be_empty=True,
    )
}


def decide(sources: Sources, params: ClaimsParams) -> Decision:
    """The claim, of the clean images; it needs angles in feature space."""
    if not sources.in_feature_space:
        why_not = "angles.space is 'sample', the usual mistake"
        nothing = pd.DataFrame(columns=TABLES["closest_pairs"].names)
        return {"closest_pairs": nothing}, findings_without_angles(params.pairs, why_not)
    of_all = (sources.clean, sources.ranks, sources.centred)
    shuffled = {
        pair: shuffled_angles(*of_all, pair, params.half_samples, params.seed)
        for pair in params.pairs
        if not missing(pair, sources.clean)
    }
    compared = compared_classes(list(sources.clean), params.pairs, params.seed)
    halves = np.empty((0, 0))
    if shuffled:  # else there is no pair whose rank is asked for
        halves = half_sample_angles(
            {of: sources.clean[of] for of in compared},
            *of_all[1:],
            params.half_samples,
            params.seed,
        )
    table = ranks_table(sources.pairs, halves, shuffled, params.confidence, compared)
    by_orientation = zero_pairs_by_orientation(sources.clean)
    return (
        {"closest_pairs": table},
        [
            *pair_findings(table, params.pairs, sources.clean),
            zero_finding(sources.pairs, by_orientation),
        ],
    )


def compared_classes(classes: Sequence[str], pairs: Sequence[Pair], seed: int) -> list[str]:
    """The classes that claimed pairs are compared with in halves: of many some, by chance.

    A percentile rank is a share of pairs, which a sample of MOST_COMPARED classes tells to a
    fraction of a percent; the angles of all pairs of a thousand classes in fifty halves would take
    longer than all else. The classes of `pairs` are always among them.
    """
    if len(classes) <= MOST_COMPARED:
        return list(classes)
    claimed = {of for pair in pairs for of in pair}
    drawn = generator_for(seed, "compared").permutation(len(classes))[:MOST_COMPARED]
    chosen = {classes[position] for position in drawn} | claimed
    return [of for of in classes if of in chosen]


def half_sample_angles(
    clouds: Mapping[str, np.ndarray],
    ranks: Mapping[str, int],
    centre: bool,
    replicates: int,
    seed: int,
) -> np.ndarray:
    """Smallest angles of all pairs of classes, each seen through half of its images.

    clouds: {class: (n, d)}; ranks: {class: dimension of its subspace}. Returns (replicates, P)
    degrees, pairs in the order of `principal_angles`.
    """
    halve = partial(_angles_of_halves, dict(clouds), dict(ranks), centre, seed)
    return np.degrees(np.stack(parallel_map(halve, range(replicates), "half samples")))


def _angles_of_halves(
    clouds: dict[str, np.ndarray], ranks: dict[str, int], centre: bool, seed: int, replicate: int
) -> np.ndarray:
    bases = []
    for of, points in clouds.items():
        # A subspace needs as many images as dimensions, and one more where it is centred.
        size = max(len(points) // 2, min(ranks[of] + 1, len(points)))
        chosen = generator_for(seed, "half", of, replicate).permutation(len(points))[:size]
        bases += class_bases({of: points[chosen]}, ranks[of], 1.0, centre)
    return principal_angles(bases).angles[:, 0]


def shuffled_angles(
    clouds: Mapping[str, np.ndarray],
    ranks: Mapping[str, int],
    centre: bool,
    pair: Pair,
    replicates: int,
    seed: int,
) -> np.ndarray:
    """(replicates,) degrees: smallest angles of a pair whose images have swapped labels.

    They are the same in whichever order the pair is named.
    """
    pair = min(pair), max(pair)
    pooled = np.concatenate([clouds[of] for of in pair])
    first = len(clouds[pair[0]])
    found = []
    for replicate in range(replicates):
        order = generator_for(seed, "shuffled", *pair, replicate).permutation(len(pooled))
        parts = zip(pair, (pooled[order[:first]], pooled[order[first:]]), strict=True)
        bases = [class_bases({of: part}, ranks[of], 1.0, centre)[0] for of, part in parts]
        found.append(angles_between(*bases)[0])
    return np.degrees(found)


def zero_pairs_by_orientation(clouds: Mapping[str, np.ndarray]) -> int:
    """How many pairs have an angle of 0 where columns are compared in sample space by mistake."""
    bases = sample_space_bases(clouds)
    smallest, second = sorted(basis.shape[1] for basis in bases)[:2]
    if smallest + second > len(bases[0]):  # all must meet, as where images are few
        return len(bases) * (len(bases) - 1) // 2
    return int((principal_angles(bases).angles[:, 0] < ZERO_ANGLE_RAD).sum())


def ranks_table(
    pairs: pd.DataFrame,
    halves: np.ndarray,
    shuffled: Mapping[Pair, np.ndarray],
    confidence: float,
    compared: Sequence[str] | None = None,
) -> pd.DataFrame:
    """One row per claimed pair whose classes exist, those of `shuffled`.

    pairs: the clean rows of the table of `angles`. compared: the classes of `halves`, whose columns
    are their pairs in order; None: all, so that these are the pairs of `pairs`.
    Columns: class_a, class_b, smallest_deg, percentile_rank (share of pairs at most as far) with
    low and high over the halves, shuffled_deg (median angle with shuffled labels), pairs.
    """
    names = list(map(frozenset, zip(pairs["class_a"], pairs["class_b"], strict=True)))
    of_halves = names
    if compared is not None:
        of_halves = [frozenset(pair) for pair in combinations(compared, 2)]
    smallest = pairs["smallest_deg"].to_numpy()
    rows = []
    for pair, angles in shuffled.items():
        which = names.index(frozenset(pair))
        in_halves = of_halves.index(frozenset(pair))
        ends = np.quantile(
            [percentile_rank(half, in_halves) for half in halves],
            [(1 - confidence) / 2, (1 + confidence) / 2],
        )
        rows.append(
            {
                "class_a": pair[0],
                "class_b": pair[1],
                "smallest_deg": smallest[which],
                "percentile_rank": percentile_rank(smallest, which),
                "low": ends[0],
                "high": ends[1],
                "shuffled_deg": np.median(angles),
                "pairs": len(names),
            }
        )
    return pd.DataFrame(rows, columns=TABLES["closest_pairs"].names)


def pair_findings(
    table: pd.DataFrame, pairs: Sequence[Pair], classes: Collection[str]
) -> list[Finding]:
    """One finding per claimed pair; not applicable where a class is missing.

    table: as of `ranks_table`, with a row for every other pair.
    """
    rows = {(row.class_a, row.class_b): row for row in table.itertuples()}
    found = []
    for pair, make in _pairs(pairs).items():
        if lack := missing(pair, classes):
            found.append(make(applicable=False, detail=lack))
            continue
        row = rows[pair]
        # Among few pairs even the closest is no exception: nothing is tested.
        enough = 1 / row.pairs <= CLOSEST_SHARE
        tested = {"low": row.low, "high": row.high, "p_value": row.percentile_rank}
        found.append(
            make(
                row.percentile_rank,
                **(tested if enough else {}),
                units=count(row.pairs, "pair"),
                detail=f"smallest angle {row.smallest_deg:.2f} degrees, "
                f"{row.shuffled_deg:.2f} with shuffled labels",
            )
        )
    return found


def findings_without_angles(pairs: Sequence[Pair], why_not: str) -> list[Finding]:
    """Claim 2 where there are no angles to judge it by."""
    of_all = (*_pairs(pairs).values(), _zero())
    return [make(applicable=False, detail=why_not) for make in of_all]


def _pairs(pairs: Sequence[Pair]) -> dict[Pair, Callable[..., Finding]]:
    """{pair: what makes its finding of its numbers}."""
    return {
        pair: partial(
            Finding,
            2,
            key,
            f"{pair[0]} and {pair[1]} are among the closest pairs by subspace angle",
            "share of pairs with a smaller or equal smallest angle",
            AMONG_THE_CLOSEST,
        )
        for pair, key in pair_keys(pairs, "{}_{}_closest").items()
    }


def _zero() -> Callable[..., Finding]:
    return partial(
        Finding,
        2,
        "zero_angles",
        "many pairs of classes have an angle of 0.0",
        "share of pairs with an angle of 0 that their ranks do not make certain",
        counted_above(MANY),
    )


def zero_finding(pairs: pd.DataFrame, by_orientation: int) -> Finding:
    """Whether many angles of 0 are left once those that had to be are set aside.

    pairs: as in `ranks_table`; by_orientation: `zero_pairs_by_orientation`. It is a count and
    has no interval.
    """
    zero = float((pairs["zeros_found"] > 0).mean())
    by_rank = int((pairs["zeros_certain"] > 0).sum())
    return _zero()(
        zero,
        units=count(len(pairs), "pair"),
        detail=f"certain by rank: {count(by_rank, 'pair')}; by comparing columns in sample space: "
        f"{by_orientation:,}",
    )
