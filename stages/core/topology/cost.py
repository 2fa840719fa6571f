"""What the diagrams of clouds take, estimated before the work starts, and what is refused.

From H1 on, time depends on the data and not on the number of points alone: 480 nearly equidistant
points (isotropic in 512 dimensions) take 300 times as long as 470 embeddings. A cap that lets the
embeddings of a whole data set pass would let such a cloud run for hours. So samples of each cloud
are timed.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter

import numpy as np

from stages.core.artifacts.diagrams import ALL
from stages.core.artifacts.ground import EUCLIDEAN, Ground
from stages.core.runtime.errors import StudyError
from stages.core.runtime.parallel import parallel_map
from stages.core.runtime.randomness import generator_for
from stages.core.topology.clouds import Cloud
from stages.core.topology.metrics import ground_distances, metric_of
from stages.core.topology.rips import persistence_diagrams

GIB = 2**30

# Samples double in size, up to half of the cloud or until one takes so many seconds.
SMALLEST_SAMPLE = 24
SAMPLE_SECONDS = 0.1
# Time grows with n at least as the pairs of points do, and more steeply beyond the samples than up
# to them.
LEAST_EXPONENT = 2.0
EXTRA_EXPONENT = 0.5

# Memory of the matrix, its copies and lists of its edges, per pair of points; and of the columns
# that a reduction fills, which grow with the time that it takes. By highest dimension.
BYTES_PER_PAIR = (16, 48, 48)
BYTES_PER_SECOND = (0, 6 * 2**20, 35 * 2**20)


@dataclass(frozen=True)
class Cost:
    """An estimate: seconds of one core, bytes at the peak, and the power of n they grow with."""

    seconds: float
    memory_bytes: float
    exponent: float


def estimate_cost(
    points: np.ndarray,
    max_dim: int,
    engine: str = "gudhi",
    seconds_of: Callable[[np.ndarray], float] | None = None,
    ground: Ground = EUCLIDEAN,
) -> Cost:
    """What distances and `persistence_diagrams` of a cloud (n, d) will cost on this machine.

    Samples of n / 2^k points are timed, the smallest first. The power law through the last two,
    made steeper by EXTRA_EXPONENT, is continued to n. A cloud that is too small for two samples
    takes no time worth an estimate.

    This tells minutes from hours, and no more. For 73 clouds of thirteen kinds that take 0.1 to
    34 s, the estimate was 0.1 to 4.2 times the true time in H1 and 0.27 to 2.2 times in H2, with
    medians of 1.2; it is too low for isotropic clouds. See also `benchmarks.topology --estimates`.

    seconds_of: times one sample; for tests.
    """
    n = len(points)
    timed = seconds_of or (lambda sample: _seconds(sample, max_dim, engine, ground))
    order = generator_for("cost", n).permutation(n)
    sizes = [n >> k for k in range(n.bit_length(), 0, -1) if n >> k >= SMALLEST_SAMPLE]
    taken = []
    for size in sizes:
        # The first run ever pays for imports, and any may meet a busy moment.
        taken.append(max(min(timed(points[order[:size]]) for _ in range(2)), 1e-6))
        if taken[-1] > SAMPLE_SECONDS:
            break
    seconds, exponent = 0.0, LEAST_EXPONENT
    if len(taken) > 1:
        exponent = max(exponent, np.log2(taken[-1] / taken[-2]) + EXTRA_EXPONENT)
        seconds = taken[-1] * (n / sizes[len(taken) - 1]) ** exponent
    per_pair = max(BYTES_PER_PAIR[max_dim], metric_of(ground).bytes_per_pair)
    memory = per_pair * n**2 + BYTES_PER_SECOND[max_dim] * seconds
    return Cost(seconds, memory, exponent)


def estimate_costs(
    clouds: Sequence[Cloud], max_dim: int, engine: str, ground: Ground = EUCLIDEAN
) -> list[Cost]:
    """`estimate_cost` of each cloud."""
    estimate = partial(_estimate, max_dim, engine, ground)
    return parallel_map(estimate, clouds, "estimating", files=attrgetter("files"))


def _estimate(max_dim: int, engine: str, ground: Ground, cloud: Cloud) -> Cost:
    return estimate_cost(cloud.points(), max_dim, engine, ground=ground)


def _seconds(points: np.ndarray, max_dim: int, engine: str, ground: Ground) -> float:
    # Of this process, so that another one on the same core does not count.
    start = time.process_time()
    persistence_diagrams(ground_distances(points, ground), max_dim, engine)
    return time.process_time() - start


def require_affordable(
    clouds: Sequence[Cloud],
    costs: Sequence[Cost],
    max_dim: int,
    memory_gib: float,
    minutes: float,
    cores: int,
) -> int:
    """The number of clouds to compute at once, at most `cores`.

    Raises StudyError where a diagram is estimated to need more memory than `memory_gib`, or all
    of them more time than `minutes`.
    """
    heaviest = max(range(len(clouds)), key=lambda i: costs[i].memory_bytes)
    needed = costs[heaviest].memory_bytes / GIB
    if needed > memory_gib:
        raise StudyError(
            f"persistence.memory_gib: {_described(clouds[heaviest], max_dim)} would need about "
            f"{needed:.2g} GiB, {memory_gib:g} are allowed; "
            f"{_fix(clouds[heaviest], costs[heaviest], memory_gib / needed, max_dim)}"
        )
    workers = max(1, min(cores, int(memory_gib / needed)))
    wanted = sum(cost.seconds for cost in costs) / 60 / workers
    if wanted > minutes:
        slowest = max(range(len(clouds)), key=lambda i: costs[i].seconds)
        raise StudyError(
            f"persistence.minutes: the diagrams would take about {wanted:.2g} minutes, "
            f"{workers} at a time, {minutes:g} are allowed, the longest "
            f"{_described(clouds[slowest], max_dim)} with {costs[slowest].seconds / 60:.2g}; "
            f"{_fix(clouds[slowest], costs[slowest], minutes / wanted, max_dim)}"
        )
    return workers


def _described(cloud: Cloud, max_dim: int) -> str:
    key = cloud.key
    return f"H{max_dim} of {key.group} at noise {key.noise:.2f} ({len(cloud.rows)} points)"


def _fix(cloud: Cloud, cost: Cost, share: float, max_dim: int) -> str:
    """What to change so that a cloud costs no more than a `share` of its estimate."""
    setting = "points_overall" if cloud.key.group == ALL else "points_per_class"
    points = max(4, int(0.9 * len(cloud.rows) * share ** (1 / cost.exponent)))
    fewer_dims = " or persistence.max_dim" if max_dim > 0 else ""
    return f"lower persistence.{setting} to {points}{fewer_dims}, or raise the limit"
