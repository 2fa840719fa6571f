"""Principal angles of all pairs of classes, against a double loop of SciPy calls.

    python -m benchmarks.angles

prints a Markdown table, and by how much the angles differ. The jobs are what a user would loop
over: `scipy.linalg.subspace_angles` of every pair of bases, already computed, and of every pair
of transposed class arrays, whose spans SciPy finds anew for each pair. Both sides run on one
core and in turns, and the best of several runs counts. Of the loops over class arrays only
the first pairs are run, and their time is scaled to all pairs. The points are made to resemble
image embeddings: classes around centres, spectra that fall as 1 / sqrt(k), a common direction.
"""

import os

os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})  # read by NumPy's import

import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import click
import numpy as np
from scipy.linalg import subspace_angles

from stages.core.parallel import available_cores
from stages.core.subspaces import PairAngles, class_bases, principal_angles

DIMENSION = 512
CLASSES = 47
RANK = 10


@click.command()
@click.option("--repeats", default=3, show_default=True, help="Runs of each side.")
@click.option("--pairs", default=60, show_default=True, help="Pairs of class arrays to loop over.")
def main(repeats: int, pairs: int) -> None:
    """Print a Markdown table."""
    click.echo(f"{_machine()}; {CLASSES} classes, {DIMENSION} dimensions\n")
    click.echo("| job | points | SciPy loop, s | here, s | ratio | largest difference, rad |")
    click.echo("| --- | ---: | ---: | ---: | ---: | ---: |")
    for images in (40, 120):
        clouds = made_up_classes(images)
        bases = class_bases(clouds, RANK, 1.0, centre=False)
        columns = [points.T for points in clouds.values()]
        jobs = [
            (f"given bases, rank {RANK}", bases, None, lambda b=bases: principal_angles(b)),
            (f"class arrays, rank {images}", columns, pairs, lambda c=clouds: whole_spans(c)),
        ]
        for name, sides, limit, here in jobs:
            line = compare(sides, limit, here, repeats)
            click.echo(f"| {name} | {CLASSES * images:,} | {line} |")


def compare(
    sides: list[np.ndarray], limit: int | None, here: Callable[[], PairAngles], repeats: int
) -> str:
    """The last four columns of a row.

    sides: what SciPy is given for each class; limit: how many pairs it is run on, None for all.
    """
    loop_s, here_s, differences = [], [], []
    for _ in range(repeats):
        start = time.perf_counter()
        expected = scipy_loop(sides, limit)
        scale = CLASSES * (CLASSES - 1) / 2 / len(expected)
        loop_s.append((time.perf_counter() - start) * scale)
        start = time.perf_counter()
        found = here()
        here_s.append(time.perf_counter() - start)
        differences += [
            np.abs(ours[: len(theirs)] - theirs).max()
            for ours, theirs in zip(found.angles, expected, strict=False)
        ]
    ratio = min(loop_s) / min(here_s)
    return f"{min(loop_s):.2f} | {min(here_s):.3f} | {ratio:.0f} | {max(differences):.0e}"


def scipy_loop(sides: list[np.ndarray], limit: int | None) -> list[np.ndarray]:
    """The angles of the first `limit` pairs, ascending, one SciPy call per pair."""
    found: list[np.ndarray] = []
    for i in range(len(sides)):
        for j in range(i + 1, len(sides)):
            if len(found) == limit:
                return found
            found.append(subspace_angles(sides[i], sides[j])[::-1])
    return found


def whole_spans(clouds: dict[str, np.ndarray]) -> PairAngles:
    """The angles between the whole spans of the classes, from their points."""
    return principal_angles(class_bases(clouds, None, 1.0, centre=False))


def made_up_classes(images: int) -> dict[str, np.ndarray]:
    """{class: (images, DIMENSION) float64, unit rows}."""
    generator = np.random.default_rng(0)
    spectrum = np.arange(1, DIMENSION + 1) ** -0.5
    spectrum /= np.linalg.norm(spectrum)
    common = np.eye(DIMENSION)[-1]
    clouds = {}
    for label in range(CLASSES):
        centre = common + 0.4 * spectrum * generator.standard_normal(DIMENSION)
        points = centre + 0.6 * spectrum * generator.standard_normal((images, DIMENSION))
        clouds[str(label)] = points / np.linalg.norm(points, axis=1, keepdims=True)
    return clouds


def _machine() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    return (
        f"One core of {available_cores()} of {name}, Python {platform.python_version()}, "
        f"numpy {version('numpy')}, scipy {version('scipy')}"
    )


if __name__ == "__main__":
    main()
