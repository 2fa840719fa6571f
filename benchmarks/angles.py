"""Principal angles of all pairs of classes, against a double loop of SciPy calls.

    python -m benchmarks.angles

prints a Markdown table, and by how much the angles differ. The jobs are what a user would loop
over with `scipy.linalg.subspace_angles`:

| job | SciPy is given, pair by pair | timed here |
| --- | --- | --- |
| given bases | bases of both classes, computed before | the angles |
| from points | the same bases, each computed once and timed too | the bases and the angles |
| class arrays | transposed class arrays, whose spans it finds anew for each pair | the same |

Both sides run on one core and in turns, and the best of several runs counts. Of the loops over
class arrays only the first pairs are run, and their time is scaled to all pairs. The points are
made to resemble image embeddings: classes around centres, spectra that fall as 1 / sqrt(k), a
common direction. `benchmarks.topology` adds the job from points to its own.
"""

import os

os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})  # read by NumPy's import

from collections.abc import Callable, Mapping, Sequence

import click
import numpy as np
from scipy.linalg import subspace_angles

from benchmarks.measure import in_turns, machine
from stages.core.geometry.subspaces import PairAngles, class_bases, principal_angles

DIMENSION = 512
CLASSES = 47
RANK = 10


@click.command()
@click.option("--repeats", default=3, show_default=True, help="Runs of each side.")
@click.option("--pairs", default=60, show_default=True, help="Pairs of class arrays to loop over.")
def main(repeats: int, pairs: int) -> None:
    """Print a Markdown table."""
    click.echo(f"One core of {machine('numpy', 'scipy')}; {CLASSES} classes, {DIMENSION}-d\n")
    click.echo("| job | points | SciPy loop, s | here, s | ratio | largest difference, rad |")
    click.echo("| --- | ---: | ---: | ---: | ---: | ---: |")
    for images in (40, 120):
        clouds = made_up_classes(images)
        bases = leading_bases(clouds)
        columns = [points.T for points in clouds.values()]
        jobs = {
            f"given bases, rank {RANK}": (
                lambda bases=bases: principal_angles(bases),
                lambda bases=bases: scipy_loop(bases),
            ),
            f"from points, rank {RANK}": (
                lambda clouds=clouds: angles_from_points(clouds),
                lambda clouds=clouds: scipy_from_points(clouds),
            ),
            f"class arrays, rank {images}": (
                lambda clouds=clouds: whole_spans(clouds),
                lambda columns=columns: scipy_loop(columns, pairs),
            ),
        }
        for name, (here, loop) in jobs.items():
            click.echo(f"| {name} | {CLASSES * images:,} | {compare(here, loop, repeats)} |")


def compare(
    here: Callable[[], PairAngles], loop: Callable[[], list[np.ndarray]], repeats: int
) -> str:
    """The last four columns of a row; a loop over some of the pairs is scaled to all."""
    found, expected = [], []
    here_s, loop_s = in_turns(
        lambda: found.append(here()), lambda: expected.append(loop()), repeats
    )
    loop_s *= len(found[-1].angles) / len(expected[-1])
    gap = largest_difference(found[-1], expected[-1])
    return f"{loop_s:.2f} | {here_s:.3f} | {loop_s / here_s:.0f} | {gap:.0e}"


def largest_difference(found: PairAngles, expected: Sequence[np.ndarray]) -> float:
    """Between the angles of the first pairs, in radians; the loop may have fewer pairs."""
    first = found.angles[: len(expected), : len(expected[0])]
    return float(np.abs(first - np.stack(expected)).max())


def scipy_loop(sides: Sequence[np.ndarray], limit: int | None = None) -> list[np.ndarray]:
    """The angles of the first `limit` pairs, ascending, one SciPy call per pair."""
    found: list[np.ndarray] = []
    for i in range(len(sides)):
        for j in range(i + 1, len(sides)):
            if len(found) == limit:
                return found
            found.append(subspace_angles(sides[i], sides[j])[::-1])
    return found


def leading_bases(clouds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """A basis (d, RANK) of each class, as the study takes it by default."""
    return class_bases(clouds, RANK, 1.0, centre=False)


def angles_from_points(clouds: Mapping[str, np.ndarray]) -> PairAngles:
    """The angles between the leading subspaces of the classes, from their points."""
    return principal_angles(leading_bases(clouds))


def scipy_from_points(clouds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The same by a loop; SciPy has no function for the bases."""
    return scipy_loop(leading_bases(clouds))


def whole_spans(clouds: Mapping[str, np.ndarray]) -> PairAngles:
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


if __name__ == "__main__":
    main()
