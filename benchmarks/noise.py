"""Time of each kind of noise, and of Gaussian noise with numpy's own deviates instead of ours.

    python -m benchmarks.noise

prints a Markdown table of milliseconds per image, on one core, the best of many runs that take
turns. An image of 96 x 96 pixels is what texture-clip sees, one of 224 x 224 what most models see.
"""

import time
from dataclasses import replace
from functools import partial

import click
import numpy as np

from benchmarks.measure import machine
from stages.core.vision.noise import KINDS, noise_generator, noisy

SIDES = (96, 224)
LEVEL = 0.5  # which every kind takes
SCALE = np.ones(3, np.float32)


@click.command()
@click.option("--repeats", default=100, show_default=True, help="Runs of each row.")
def main(repeats: int) -> None:
    """Measure the milliseconds that each kind of noise takes for an image."""
    numpy_s = replace(KINDS["gaussian"], deviates=standard_normal_of_numpy)
    KINDS["gaussian, deviates of numpy"] = numpy_s
    best = {(name, side): np.inf for name in KINDS for side in SIDES}
    images = {side: np.random.default_rng(0).random((3, side, side), np.float32) for side in SIDES}
    for turn in range(repeats):
        generator = partial(noise_generator, 0, "a/a.jpg", level=LEVEL, draw=turn)
        for name, side in best:
            own = generator(kind=name)
            start = time.perf_counter()
            noisy(images[side], name, LEVEL, "pixel", SCALE, own)
            best[name, side] = min(best[name, side], time.perf_counter() - start)
    click.echo(f"level {LEVEL}, best of {repeats} runs; {machine('numpy')}\n")
    click.echo("| kind | " + " | ".join(f"{side} x {side}, ms" for side in SIDES) + " |")
    click.echo("| --- |" + " ---: |" * len(SIDES))
    for name in KINDS:
        click.echo(f"| {name} |" + "".join(f" {1000 * best[name, side]:.2f} |" for side in SIDES))


def standard_normal_of_numpy(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Standard normal deviates by numpy's ziggurat."""
    return generator.standard_normal(shape, dtype=np.float32)


if __name__ == "__main__":
    main()
