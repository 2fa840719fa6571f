"""What diagrams will cost, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from stages.core.artifacts.diagrams import ALL, CloudKey
from stages.core.runtime.errors import StudyError
from stages.core.topology.clouds import Cloud
from stages.core.topology.cost import (
    BYTES_PER_PAIR,
    BYTES_PER_SECOND,
    EXTRA_EXPONENT,
    LEAST_EXPONENT,
    SAMPLE_SECONDS,
    Cost,
    estimate_cost,
    require_affordable,
)
from tests.conftest import unit_rows


def clouds_of_sizes(*sizes: int) -> list[Cloud]:
    groups = ["grid", ALL]
    return [
        Cloud(CloudKey(group, 0.5), Path("none"), np.arange(size))
        for group, size in zip(groups, sizes, strict=False)
    ]


def affordable(
    clouds: list[Cloud],
    costs: list[Cost],
    memory_gib: float = 4,
    minutes: float = 10,
    cores: int = 8,
) -> int:
    return require_affordable(clouds, costs, 1, memory_gib, minutes, cores)


def test_workers_share_the_memory() -> None:
    clouds = clouds_of_sizes(100, 200)
    costs = [Cost(1.0, 2**30, 3.0), Cost(1.0, 1.5 * 2**30, 3.0)]
    assert affordable(clouds, costs, memory_gib=4) == 2
    assert affordable(clouds, costs, memory_gib=40) == 8
    assert affordable(clouds, costs, memory_gib=1.6) == 1


def test_refusal_names_the_cloud_the_estimate_and_the_fix() -> None:
    clouds = clouds_of_sizes(100, 200)
    heavy = [Cost(1.0, 16 * 2**30, 2.0), Cost(1.0, 2**30, 2.0)]
    with pytest.raises(
        StudyError,
        match=r"H1 of grid at noise 0.50 \(100 points\) would need about 16 GiB, 4 are allowed; "
        r"lower persistence.points_per_class to 45 or persistence.max_dim",
    ):
        affordable(clouds, heavy, memory_gib=4)
    slow = [Cost(600.0, 1.0, 3.0), Cost(4200.0, 1.0, 3.0)]
    with pytest.raises(
        StudyError,
        match=r"take about 40 minutes, 2 at a time, 5 are allowed, the longest H1 of all at noise "
        r"0.50 \(200 points\) with 70; lower persistence.points_overall to 90 ",
    ):
        affordable(clouds, slow, minutes=5, cores=2)
    assert affordable(clouds, slow, minutes=41, cores=2) == 2


def test_estimate_continues_a_power_law() -> None:
    timed: list[tuple[int, float]] = []

    def seconds(sample: np.ndarray) -> float:
        timed.append((len(sample), 5e-10 * len(sample) ** 4))
        return timed[-1][1]

    cost = estimate_cost(np.zeros((3200, 2)), 1, seconds_of=seconds)
    assert [size for size, _ in timed] == [25, 25, 50, 50, 100, 100, 200, 200]
    assert timed[-1][1] > SAMPLE_SECONDS > timed[-3][1]
    assert cost.exponent == pytest.approx(4 + EXTRA_EXPONENT)
    assert cost.seconds == pytest.approx(timed[-1][1] * 16**cost.exponent)
    expected = 3200**2 * BYTES_PER_PAIR[1] + cost.seconds * BYTES_PER_SECOND[1]
    assert cost.memory_bytes == pytest.approx(expected)


def test_no_more_than_half_of_a_cloud_is_timed_and_growth_is_at_least_that_of_the_pairs() -> None:
    sizes: list[int] = []

    def seconds(sample: np.ndarray) -> float:
        sizes.append(len(sample))
        return 0.0

    cost = estimate_cost(np.zeros((400, 2)), 2, seconds_of=seconds)
    assert sorted(set(sizes)) == [25, 50, 100, 200]
    assert cost.exponent == LEAST_EXPONENT


def test_estimate_of_a_steeper_law_is_higher() -> None:
    cloud = np.zeros((500, 2))
    mild, steep = (
        estimate_cost(cloud, 1, seconds_of=lambda sample, p=p: (len(sample) / 100) ** p / 50)
        for p in (3, 5)
    )
    assert steep.seconds > 5 * mild.seconds
    assert steep.memory_bytes > mild.memory_bytes


def test_a_busy_moment_changes_no_estimate() -> None:
    """A first run that takes a second, as an import does, is not what a sample costs."""
    runs: list[int] = []

    def seconds(sample: np.ndarray) -> float:
        runs.append(len(sample))
        busy = runs.count(len(sample)) == 1
        return 1e-9 * len(sample) ** 3 + busy

    cost = estimate_cost(np.zeros((400, 2)), 1, seconds_of=seconds)
    assert cost.seconds == pytest.approx(1e-9 * 200**3 * 2**cost.exponent)


def test_a_small_cloud_takes_no_time_worth_an_estimate() -> None:
    for dim in range(3):
        cost = estimate_cost(np.zeros((40, 2)), dim, seconds_of=lambda sample: 1.0)
        assert cost.seconds == 0.0
        assert cost.memory_bytes == BYTES_PER_PAIR[dim] * 40**2


def test_estimate_tells_hours_from_seconds() -> None:
    """The same number of points, nearly equidistant in 512 dimensions, and not so in three."""
    generator = np.random.default_rng(0)
    hard, easy = (
        estimate_cost(unit_rows(generator.standard_normal((3000, dimension))), 1)
        for dimension in (512, 3)
    )
    assert hard.seconds > 3600
    assert easy.seconds < 600
    assert hard.memory_bytes > 10 * easy.memory_bytes
