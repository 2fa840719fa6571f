"""A folder of very many images as the source: time, memory and disk of fetch and of DVC around it.

    python -m benchmarks.large_sources --classes 1000 --images 100
    python -m benchmarks.large_sources --classes 100 --images 30 --side 384 --cache-type hardlink

makes a folder of small images, all different, clones the committed project beside it, with a cache
and a state of DVC's own, and prints a Markdown table of

| row | is |
| --- | --- |
| `dvc repro fetch` | preflight, fetch, and DVC's own checksums and copies |
| `dvc status fetch` | DVC's look at sources, code and outputs where nothing has changed |
| `dvc repro fetch`, nothing to do | the same, and preflight, which always runs |
| `python -m stages.fetch`, again | fetch alone, of images that it has checked before |

CPU seconds are of a command and all that it starts; the peak is the resident memory of the largest
of these processes. Disk space is what the file system has less of, so that the disk has to be
quiet; links and shared extents count as the file system counts them. `--folder` names another file
system, such as one that has reflinks. `--protected` makes the source read-only (mode 0444) first.
"""

import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import yaml
from PIL import Image

from benchmarks.measure import machine

ROOT = Path(__file__).parents[1]


class Spent(NamedTuple):
    """What a command took."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    disk_bytes: int


@click.command()
@click.option("--classes", default=1000, show_default=True, help="Classes of the source.")
@click.option("--images", default=100, show_default=True, help="Images of each class.")
@click.option("--side", default=32, show_default=True, help="Side of an image, in pixels.")
@click.option("--cache-type", help="DVC's cache.type; by default that of DVC, reflink,copy.")
@click.option("--protected", is_flag=True, help="Make the files of the source read-only.")
@click.option("--revision", default="HEAD", show_default=True, help="Which code to measure.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where to work; a temporary one.")
def main(
    classes: int,
    images: int,
    side: int,
    cache_type: str | None,
    protected: bool,
    revision: str,
    folder: Path | None,
) -> None:
    """Print a Markdown table."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        source, clone = Path(scratch, "source"), Path(scratch, "study")
        size = make_source(source, classes, images, side, 0o444 if protected else 0o644)
        make_clone(clone, revision, source, cache_type)
        count = classes * images
        click.echo(
            f"{classes:,} classes x {images:,} images of {side} x {side} pixels, "
            f"{size / 2**20:,.0f} MiB; cache.type {cache_type or 'as DVC has it'}, "
            f"source {'read-only' if protected else 'writable'}; {machine('dvc', 'pillow')}\n"
        )
        click.echo("| command | wall, s | CPU, s | images/s | peak, MiB | disk, MiB |")
        click.echo("| --- | ---: | ---: | ---: | ---: | ---: |")
        for name, command in (
            ("`dvc repro fetch`", ("dvc", "repro", "fetch")),
            ("`dvc status fetch`", ("dvc", "status", "fetch")),
            ("`dvc repro fetch`, nothing to do", ("dvc", "repro", "fetch")),
            ("`python -m stages.fetch`, again", ("stages.fetch",)),
        ):
            spent = run(clone, *command)
            click.echo(
                f"| {name} | {spent.wall_s:.1f} | {spent.cpu_s:.1f} | {count / spent.wall_s:,.0f} "
                f"| {spent.peak_bytes / 2**20:,.0f} | {spent.disk_bytes / 2**20:,.0f} |"
            )


def make_source(folder: Path, classes: int, images: int, side: int, mode: int) -> int:
    """Write images/<class>/<i>.jpg, each of its own noise; return their bytes."""
    rng = np.random.default_rng(0)
    total = 0
    for of_class in range(classes):
        own = folder / "images" / f"class-{of_class:04d}"
        own.mkdir(parents=True)
        for i in range(images):
            noise = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
            content = io.BytesIO()
            Image.fromarray(noise).save(content, "JPEG")
            file = own / f"{i:05d}.jpg"
            total += file.write_bytes(content.getvalue())
            file.chmod(mode)
    return total


def make_clone(clone: Path, revision: str, source: Path, cache_type: str | None) -> None:
    """A clone of the project at a revision, whose fetch takes the source."""
    started(ROOT, clone, "git", "clone", "--quiet", str(ROOT), str(clone))
    commit = subprocess.check_output(["git", "rev-parse", revision], cwd=ROOT, text=True).strip()
    started(clone, clone, "git", "checkout", "--quiet", commit)
    params = clone / "params.yaml"
    settings = yaml.safe_load(params.read_text())
    settings["fetch"] |= {"source": str(source)}
    settings["project"] |= {"kept_classes": []}
    params.write_text(yaml.safe_dump(settings))
    cache = str(clone / ".dvc" / "cache")
    started(clone, clone, sys.executable, "-m", "dvc", "cache", "dir", "--local", cache)
    if cache_type:
        setting = ("config", "--local", "cache.type", cache_type)
        started(clone, clone, sys.executable, "-m", "dvc", *setting)


def started(folder: Path, clone: Path, *command: str) -> None:
    """Run a command in a folder, which must succeed; what it prints goes to the standard error."""
    subprocess.run(command, cwd=folder, env=environment(clone), check=True, stdout=sys.stderr)


def environment(clone: Path) -> dict[str, str]:
    """This process's environment with its own interpreter first, and a state of DVC's own."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "DVC_SITE_CACHE_DIR": str(clone.parent / "state")}


def run(clone: Path, module: str, *arguments: str) -> Spent:
    """Run a module in the clone; raises ClickException where it fails."""
    os.sync()
    free = shutil.disk_usage(clone).free
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=clone,
        env=environment(clone),
        stdout=sys.stderr,
    )
    _, status, used = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise click.ClickException(f"{module} failed; what it said is above")
    os.sync()
    return Spent(
        wall_s,
        used.ru_utime + used.ru_stime,
        used.ru_maxrss * 1024,
        free - shutil.disk_usage(clone).free,
    )


if __name__ == "__main__":
    main()
