"""Diagrams, the distances between them and angles, against their peers and plain versions.

    python -m benchmarks.topology
    python -m benchmarks.topology --shortcuts
    python -m benchmarks.topology --estimates

The first prints two Markdown tables, for the classes one by one and for one sample across all of
them, with the share of each job in the time of its side and the largest difference of the values:
between diagrams as a bottleneck distance, between distances relative, between angles in radians.
The jobs are what the study does at one noise level: the diagrams (H0, H1) of clean and of noisy
clouds, from points, against ripser.py; the bottleneck and the 1-Wasserstein distance between a
clean and a noisy diagram, both sides on the same diagrams, against persim; and the principal
angles between all pairs of classes, clean and noisy, from points, against a loop of SciPy calls
(`benchmarks.angles`). The row `all` adds them up. Both sides run on one core, in turns, and the
best of several runs counts. The points are made to resemble image embeddings: classes around
centres, spectra that fall as 1 / sqrt(k), a common direction, and noise that pulls to another one.

The second compares what is computed on a shorter way with the same computed plainly:

| shortcut | plain version |
| --- | --- |
| the filtration of H1 ends early | it ends at the enclosing radius |
| bars of H0 are matched by sorting | optimal transport (gudhi.wasserstein) |
| pairs of bars that are too far apart are left out of the transport in H1 | they are not |

The third compares the estimates of `persistence` with what the diagrams then cost.
"""

import os

os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})  # read by NumPy's import

import multiprocessing
import re
import time
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import persim
from gudhi.wasserstein import wasserstein_distance
from ripser import ripser

from benchmarks.angles import RANK, angles_from_points, largest_difference, scipy_from_points
from benchmarks.measure import in_turns, machine
from stages.core.topology.bars import finite_bars, in_order
from stages.core.topology.cost import estimate_cost
from stages.core.topology.distances import bottleneck, wasserstein
from stages.core.topology.rips import distance_matrix, persistence_diagrams, reduced

DIMENSION = 512
CLASSES = 47

# What an estimate is tried on: kind of cloud, points, highest dimension.
TRIALS = [
    ("isotropic 512", 240, 1),
    ("isotropic 512", 360, 1),
    ("isotropic 512", 400, 1),
    ("isotropic 128", 480, 1),
    ("isotropic 32", 720, 1),
    ("isotropic 8", 1880, 1),
    ("spectrum 0.25", 940, 1),
    ("spectrum 0.25", 1880, 1),
    ("spectrum 0.5", 1880, 1),
    ("classes", 1880, 1),
    ("classes", 2820, 1),
    ("noisy classes", 1880, 1),
    ("isotropic 512", 96, 2),
    ("isotropic 512", 120, 2),
    ("isotropic 32", 240, 2),
    ("isotropic 8", 480, 2),
    ("spectrum 0.25", 240, 2),
    ("spectrum 0.5", 480, 2),
    ("classes", 480, 2),
    ("noisy classes", 480, 2),
]


@click.command()
@click.option(
    "--points",
    type=click.IntRange(min=CLASSES * RANK),
    default=1880,
    show_default=True,
    help="Points of the large sample, rounded up to as many of each class.",
)
@click.option(
    "--images",
    type=click.IntRange(min=RANK),
    default=120,
    show_default=True,
    help="Points of each of 47 classes.",
)
@click.option("--repeats", default=2, show_default=True, help="Runs of each side.")
@click.option("--shortcuts", is_flag=True, help="Compare with the plain versions instead.")
@click.option("--estimates", is_flag=True, help="Compare estimated with measured cost instead.")
@click.option("--seed", default=0, show_default=True, help="Seed of the clouds of --estimates.")
def main(
    points: int, images: int, repeats: int, shortcuts: bool, estimates: bool, seed: int
) -> None:
    """Print a Markdown table."""
    libraries = ("numpy", "scipy", "gudhi", "POT", "ripser", "persim")
    click.echo(f"One core of {machine(*libraries)}\n")
    if estimates:
        print_estimates(seed)
        return
    per_class = [embeddings(1, images, seed) for seed in range(CLASSES)]
    if shortcuts:
        click.echo("| shortcut | clouds | with, s | without, s | ratio | largest difference |")
        click.echo("| --- | --- | ---: | ---: | ---: | ---: |")
        print_shortcuts(f"{CLASSES} x {images} points", per_class, repeats)
        sample = embeddings(CLASSES, -(-points // CLASSES), 0)
        print_shortcuts(f"{len(sample[0]):,} points", [sample], repeats)
        return
    classes = [named(clouds) for clouds in zip(*per_class, strict=True)]
    print_comparison(f"{CLASSES} classes x {images} points", per_class, classes, repeats)
    each = -(-points // CLASSES)
    overall = embeddings(CLASSES, each, 0)
    classes = [named(np.split(cloud, CLASSES)) for cloud in overall]
    order = np.random.default_rng(0).permutation(CLASSES * each)
    sample = (overall[0][order], overall[1][order])
    print_comparison(f"{len(order):,} points", [sample], classes, repeats)


def named(clouds: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    """The clouds of classes under names that sort as they stand."""
    return {f"class {i:02d}": cloud for i, cloud in enumerate(clouds)}


def print_comparison(
    what: str,
    clouds: list[tuple[np.ndarray, np.ndarray]],
    classes: list[dict[str, np.ndarray]],
    repeats: int,
) -> None:
    """Measure and print the jobs.

    clouds: pairs (clean, noisy), for diagrams; classes: the same points by class, clean and
    noisy, for angles.
    """
    ours: list[Any] = []
    theirs: list[Any] = []

    def our_diagrams() -> None:
        ours[:] = [[_our_diagrams(cloud) for cloud in pair] for pair in clouds]

    def their_diagrams() -> None:
        theirs[:] = [[_their_diagrams(cloud) for cloud in pair] for pair in clouds]

    times = {"diagrams, H0 and H1": in_turns(our_diagrams, their_diagrams, repeats)}
    gaps = {
        "diagrams, H0 and H1": max(
            bottleneck(a, b)
            for our_pair, their_pair in zip(ours, theirs, strict=True)
            for our_cloud, their_cloud in zip(our_pair, their_pair, strict=True)
            for a, b in zip(our_cloud, their_cloud, strict=True)
        )
    }
    engines = {
        "bottleneck": (bottleneck, persim.bottleneck),
        "1-Wasserstein": (wasserstein, persim.wasserstein),
    }
    for metric, (our_distance, their_distance) in engines.items():
        for dim in (0, 1):
            pairs = [(clean[dim], noisy[dim]) for clean, noisy in ours]
            found: dict[Callable, list[float]] = {}

            def run(distance: Callable, pairs: list = pairs, found: dict = found) -> None:
                found[distance] = [float(distance(a, b)) for a, b in pairs]

            job = f"{metric}, H{dim}"
            times[job] = in_turns(partial(run, our_distance), partial(run, their_distance), repeats)
            difference = np.subtract(found[our_distance], found[their_distance])
            gaps[job] = float(np.abs(difference / found[their_distance]).max())

    def our_angles() -> None:
        ours[:] = [angles_from_points(level) for level in classes]

    def their_angles() -> None:
        theirs[:] = [scipy_from_points(level) for level in classes]

    job = f"principal angles, rank {RANK}"
    times[job] = in_turns(our_angles, their_angles, repeats)
    gaps[job] = max(largest_difference(a, b) for a, b in zip(ours, theirs, strict=True))
    all_ours, all_theirs = np.sum(list(times.values()), axis=0)
    times["all"] = all_ours, all_theirs

    click.echo(f"| {what} | ours, s | share | peers, s | share | ratio | largest difference |")
    click.echo("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for job, (our_time, their_time) in times.items():
        gap = f"{gaps[job]:.1e}" if job in gaps else ""
        click.echo(
            f"| {job} | {our_time:.3f} | {our_time / all_ours:.0%} | {their_time:.3f} "
            f"| {their_time / all_theirs:.0%} | {their_time / our_time:.1f} | {gap} |"
        )
    click.echo("")


def print_shortcuts(what: str, clouds: list[tuple[np.ndarray, np.ndarray]], repeats: int) -> None:
    """A row for each shortcut; clouds: pairs (clean, noisy)."""
    matrices = [[distance_matrix(cloud) for cloud in pair] for pair in clouds]

    def plain_diagrams(distances: np.ndarray) -> list[np.ndarray]:
        return [in_order(bars) for bars in reduced(distances, 1, "gudhi")]

    ours: list[Any] = []
    plain: list[Any] = []
    times = in_turns(
        lambda: ours.append([[persistence_diagrams(d, 1) for d in pair] for pair in matrices]),
        lambda: plain.append([[plain_diagrams(d) for d in pair] for pair in matrices]),
        repeats,
    )
    found = [[[finite_bars(bars) for bars in by_dim] for by_dim in pair] for pair in ours[-1]]
    gap = max(
        np.abs(finite_bars(a) - finite_bars(b)).max(initial=0.0)
        for our_pair, plain_pair in zip(ours[-1], plain[-1], strict=True)
        for by_dim, plain_by_dim in zip(our_pair, plain_pair, strict=True)
        for a, b in zip(by_dim, plain_by_dim, strict=True)
    )
    print_shortcut("early end of the filtration, H1", what, times, gap)
    for dim, name in ((0, "matching by sorting, H0"), (1, "leaving out far pairs, H1")):
        pairs = [(clean[dim], noisy[dim]) for clean, noisy in found]
        values: dict[str, list[float]] = {}

        def short(pairs: list = pairs, values: dict = values) -> None:
            values["ours"] = [wasserstein(a, b) for a, b in pairs]

        def plain_way(pairs: list = pairs, values: dict = values) -> None:
            values["plain"] = [wasserstein_distance(a, b, order=1, internal_p=2) for a, b in pairs]

        times = in_turns(short, plain_way, repeats)
        gap = float(np.abs(np.divide(values["ours"], values["plain"]) - 1).max())
        print_shortcut(f"1-Wasserstein, {name}", what, times, gap)


def print_shortcut(name: str, what: str, times: tuple[float, float], gap: float) -> None:
    shorter, plain = times
    click.echo(
        f"| {name} | {what} | {shorter:.3f} | {plain:.3f} | {plain / shorter:.1f} | {gap:.0e} |"
    )


def print_estimates(seed: int) -> None:
    """Estimate a cost, then measure it in a process of its own, for every trial."""
    click.echo("| cloud | points | up to | s, est. | s | ratio | MiB, est. | MiB | ratio |")
    click.echo("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    context = multiprocessing.get_context("spawn")
    ratios: dict[int, list[tuple[float, float]]] = {}
    for kind, count, max_dim in TRIALS:
        points = cloud_of_kind(kind, count, seed)
        cost = estimate_cost(points, max_dim)
        with context.Pool(1) as pool:
            seconds, memory = pool.apply(measured_cost, (points, max_dim))
        estimated = cost.memory_bytes / 2**20
        ratio = cost.seconds / seconds, estimated / max(memory, 1)
        ratios.setdefault(max_dim, []).append(ratio)
        click.echo(
            f"| {kind} | {count} | H{max_dim} | {cost.seconds:.2f} | {seconds:.2f} "
            f"| {ratio[0]:.2f} | {estimated:.0f} | {memory:.0f} | {ratio[1]:.2f} |"
        )
    click.echo("\nestimated / measured: least, median, greatest")
    for max_dim, found in ratios.items():
        for name, values in zip(("seconds", "memory"), np.transpose(found), strict=True):
            spread = ", ".join(f"{x:.2f}" for x in np.quantile(values, [0, 0.5, 1]))
            click.echo(f"H{max_dim} {name}: {spread}")


def measured_cost(points: np.ndarray, max_dim: int) -> tuple[float, float]:
    """Seconds of this process, and MiB that its peak memory grew by (on Linux)."""
    persistence_diagrams(distance_matrix(points[:24]), max_dim)
    before = _peak_kib()
    start = time.process_time()
    persistence_diagrams(distance_matrix(points), max_dim)
    return time.process_time() - start, (_peak_kib() - before) / 1024


def _peak_kib() -> int:
    # getrusage tells the peak of the process that started this one, where that is higher.
    status = Path("/proc/self/status").read_text()
    peak = re.search(r"VmHWM:\s*(\d+)", status)
    assert peak
    return int(peak[1])


def embeddings(classes: int, images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Clean and noisy points, each (classes * images, 512) float64, unit rows."""
    generator = np.random.default_rng(seed)
    spectrum = np.arange(1, DIMENSION + 1) ** -0.5

    def directions(count: int) -> np.ndarray:
        return _unit(generator.standard_normal((count, DIMENSION)) * spectrum)

    common, target = directions(2)
    spread = generator.uniform(0.7, 1.1, (classes * images, 1))
    centres = np.repeat(directions(classes), images, axis=0)
    clean = _unit(0.8 * centres + spread * directions(classes * images) + 0.9 * common)
    scatter = generator.standard_normal(clean.shape) / np.sqrt(DIMENSION)
    return clean, _unit(clean + 0.6 * target + 0.35 * scatter)


def cloud_of_kind(kind: str, count: int, seed: int = 0) -> np.ndarray:
    """(count, d) float64, unit rows, of a kind that TRIALS names."""
    generator = np.random.default_rng(seed)
    name, _, value = kind.rpartition(" ")
    if name == "isotropic":
        return _unit(generator.standard_normal((count, int(value))))
    if name == "spectrum":
        spectrum = np.arange(1, DIMENSION + 1) ** -float(value)
        return _unit(generator.standard_normal((count, DIMENSION)) * spectrum)
    clean, noisy = embeddings(CLASSES, -(-count // CLASSES), seed)
    return generator.permutation(noisy if name == "noisy" else clean)[:count]


def _our_diagrams(points: np.ndarray) -> list[np.ndarray]:
    return [finite_bars(bars) for bars in persistence_diagrams(distance_matrix(points), 1)]


def _their_diagrams(points: np.ndarray) -> list[np.ndarray]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "more columns than rows; did you mean to transpose?"
        return [finite_bars(bars) for bars in ripser(points, maxdim=1)["dgms"]]


def _unit(points: np.ndarray) -> np.ndarray:
    return points / np.linalg.norm(points, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
