"""How each stage grows: its time, memory and output, for data sets of growing size.

    python -m benchmarks.scale                                   # classes: 47, 100 and 300
    python -m benchmarks.scale --along images --rungs 5640,30000,300000
    python -m benchmarks.scale --along dimensions --rungs 128,256,512,1024 --stage angles
    python -m benchmarks.scale --along generated --rungs 12,30,60,120

| ladder | rungs are | data |
| --- | --- | --- |
| classes | numbers of classes | synthetic features: `--images` of each class, in `--dimension` |
| images | numbers of images in all | the same, of `--classes` classes |
| dimensions | numbers of dimensions | the same, `--images` of each of `--classes` classes |
| generated | images of each of 47 classes | generated textures, encoded by data/model |

Each rung is a study in a folder of its own, with the settings of params.yaml but for the data and
`--set`. Its stages run one after another by the commands of dvc.yaml, each in a process of its
own, without DVC. Of synthetic features those after `embed` are measured: `fetch` and `embed` do no
more there than copy.

A cell of the table gives wall seconds, CPU seconds, the peak memory of the process and of all that
it started (as benchmarks.pipeline measures it), and the bytes of the outputs, those in git and
those in DVC's cache. The exponent is the slope of a line through the CPU seconds beyond START_S,
which imports take, both axes logarithmic: other work on the machine lengthens the wall seconds. A
stage that fails, or takes longer than `--minutes`, is said to; those that need its output are left
out.

The features resemble image embeddings, as those of benchmarks.angles: classes around centres, a
spectrum that falls as 1 / sqrt(k), a common direction. Noise has the same spectrum. The first
classes have the names of DTD's, since claims are about some of them. It needs Linux, like
benchmarks.pipeline.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import pandas as pd
import psutil
import yaml

from benchmarks.measure import machine
from benchmarks.pipeline import ROOT, SAMPLE_S, cpu_of_children_s, environment, measured_tree
from stages.core.painter import ATTRIBUTES

LEVELS = (0.0, 0.5, 1.0, 2.0)
DRAWS = 2
NOISE = 0.15  # length of the noise of level 1, of an embedding's
ROWS_AT_ONCE = 2**14  # that are drawn in float64
START_S = 1.0  # of a process that does nothing but import
LADDERS = {
    "classes": (47, 100, 300),
    "images": (5640, 30_000),
    "dimensions": (128, 256, 512, 1024),
    "generated": (12, 30, 60),
}
# Without what needs no embeddings, or trains.
PREPARING = ("preflight", "fetch", "embed")
LEFT_OUT = ("pretrain", "draw_fetch", "draw_pretrain")


@dataclass(frozen=True)
class Size:
    """How large a study of synthetic features is."""

    classes: int
    images: int  # in all
    dimension: int


@dataclass(frozen=True)
class Measured:
    """What a stage took at a rung; `failed` is what it said where it did not succeed."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    in_git_bytes: int
    in_cache_bytes: int
    failed: str = ""


@click.command()
@click.option("--along", type=click.Choice(list(LADDERS)), default="classes", show_default=True)
@click.option("--rungs", help="The sizes, with commas.  [default: some that take minutes]")
@click.option("--classes", default=47, show_default=True, help="Where these do not grow.")
@click.option("--images", default=50, show_default=True, help="Of a class, where they don't grow.")
@click.option("--dimension", default=512, show_default=True, help="Where it does not grow.")
@click.option("--stage", "only", multiple=True, help="These alone, and what they need.")
@click.option("--set", "settings", multiple=True, help="Other settings: section.key=value.")
@click.option("--minutes", default=30.0, show_default=True, help="For a stage, at most.")
@click.option("--scratch", type=click.Path(path_type=Path), help="Where to keep all files.")
def main(
    along: str,
    rungs: str | None,
    classes: int,
    images: int,
    dimension: int,
    only: tuple[str, ...],
    settings: tuple[str, ...],
    minutes: float,
    scratch: Path | None,
) -> None:
    """Print a Markdown table."""
    if not Path("/proc/self/smaps_rollup").exists():
        raise click.ClickException("this machine has no /proc/<pid>/smaps_rollup; run it on Linux")
    sizes = [int(rung) for rung in rungs.split(",")] if rungs else list(LADDERS[along])
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    unknown = [stage for stage in only if stage not in stages]
    if unknown:
        raise click.ClickException(f"no stage {unknown[0]}; choose from {', '.join(stages)}")
    fixed = {
        "classes": f"{images} images of each class, {dimension} dimensions",
        "images": f"{classes} classes, {dimension} dimensions",
        "dimensions": f"{classes} classes of {images} images",
        "generated": "generated textures, 47 classes",
    }[along]
    click.echo(f"{machine()}; {fixed}, {len(LEVELS)} noise levels\n")
    found: dict[str, dict[int, Measured]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        for rung in sizes:
            study = (scratch or Path(temporary)).absolute() / f"{along}_{rung}"
            shutil.rmtree(study, ignore_errors=True)
            if along == "generated":
                prepare_generated(study, rung, settings)
            else:
                size = {
                    "classes": Size(rung, rung * images, dimension),
                    "images": Size(classes, rung, dimension),
                    "dimensions": Size(classes, classes * images, rung),
                }[along]
                prepare_features(study, size, settings)
            hidden = PREPARING if along != "generated" else PREPARING[:1]
            for name, measured in run_stages(study, stages, only, minutes):
                if name not in hidden:
                    found.setdefault(name, {})[rung] = measured
                    click.echo(f"{rung} {name}: {cell(measured)}", err=True)
            if scratch is None:
                shutil.rmtree(study)
    for line in table(found, sizes, along):
        click.echo(line)


def prepare_features(study: Path, size: Size, settings: Sequence[str]) -> None:
    """An empty study in a folder, whose data are synthetic features."""
    source = study / "source"
    source.mkdir(parents=True)
    write_features(source, size)
    write_params(study, {"fetch.source": "source", "embed.model": "precomputed"}, settings)


def prepare_generated(study: Path, images: int, settings: Sequence[str]) -> None:
    """An empty study in a folder, whose data are so many generated images of each class."""
    study.mkdir(parents=True)
    shutil.copytree(ROOT / "data" / "model", study / "data" / "model")
    write_params(study, {"fetch.images_per_class": images}, settings)


def write_params(study: Path, values: dict[str, object], settings: Sequence[str]) -> None:
    """params.yaml with other values, {section.key: value}, and `settings`, section.key=value."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    given = [setting.partition("=") for setting in settings]
    changes = {
        "fetch.images_per_class": None,
        **values,
        **{key: yaml.safe_load(value) for key, _, value in given},
    }
    for key, value in changes.items():
        section, _, name = key.partition(".")
        if name not in params.get(section, {}):
            raise click.ClickException(f"no setting {key} in params.yaml")
        params[section][name] = value
    (study / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def class_names(count: int) -> list[str]:
    """So many names; the first are DTD's, of which claims name some."""
    known = list(ATTRIBUTES)
    return (known + [f"further_{number:04d}" for number in range(len(known), count)])[:count]


def write_features(folder: Path, size: Size) -> None:
    """A folder of features, with text and noise, in the format of docs/features.md."""
    generator = np.random.default_rng(0)
    names = class_names(size.classes)
    labels = np.sort(np.arange(size.images) % size.classes)
    ids = [f"{names[label]}/{number:07d}.jpg" for number, label in enumerate(labels)]
    table = pd.DataFrame({"id": ids, "class": np.array(names)[labels]})
    table.to_csv(folder / "images.csv", index=False)

    spectrum = np.arange(1, size.dimension + 1) ** -0.5
    spectrum /= np.linalg.norm(spectrum)
    common = np.eye(size.dimension)[-1]
    centres = common + 0.4 * spectrum * generator.standard_normal((size.classes, size.dimension))
    clean = np.lib.format.open_memmap(
        folder / "image_features.npy", "w+", np.float32, (size.images, size.dimension)
    )
    for part in parts(size.images):
        own = generator.standard_normal((len(labels[part]), size.dimension))
        clean[part] = centres[labels[part]] + 0.6 * spectrum * own
    for level in LEVELS[1:]:
        for draw in range(DRAWS):
            noisy = np.lib.format.open_memmap(
                folder / f"image_features_gaussian_{level:.2f}_draw_{draw}.npy",
                "w+",
                np.float32,
                clean.shape,
            )
            for part in parts(size.images):
                moved = spectrum * generator.standard_normal((len(labels[part]), size.dimension))
                noisy[part] = clean[part] + NOISE * level * moved
    pd.DataFrame({"class": names}).to_csv(folder / "classes.csv", index=False)
    np.save(folder / "text_features.npy", centres.astype(np.float32))


def parts(rows: int) -> Iterator[slice]:
    """Slices that cover so many rows."""
    for start in range(0, rows, ROWS_AT_ONCE):
        yield slice(start, min(start + ROWS_AT_ONCE, rows))


def run_stages(
    study: Path, stages: dict[str, dict], only: Sequence[str], minutes: float
) -> Iterator[tuple[str, Measured]]:
    """(stage, what it took) in the order of dvc.yaml, of those of `only` and what they need."""
    wanted = needed(stages, only) if only else set(stages)
    for name, stage in stages.items():
        if name in LEFT_OUT or name not in wanted:
            continue
        lacking = [dep for dep in stage["deps"] if is_output(dep) and not (study / dep).exists()]
        if lacking and name not in PREPARING:
            click.echo(f"{name}: left out, there is no {lacking[0]}", err=True)
            continue
        yield name, run_stage(study, stage, minutes)


def needed(stages: dict[str, dict], only: Sequence[str]) -> set[str]:
    """Stages and all whose outputs they need."""
    makers = {path: name for name, stage in stages.items() for path, _ in outputs(stage)}
    found, left = {"preflight"}, list(only)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += [makers[dep] for dep in stages[name]["deps"] if dep in makers]
    return found


def is_output(path: str) -> bool:
    """Whether a dependency is something that a stage wrote, and not code."""
    return path.startswith(("data/", "metrics/"))


def outputs(stage: dict) -> list[tuple[str, bool]]:
    """[(path, whether git holds it)] of a stage of dvc.yaml."""
    found = []
    for out in stage.get("outs", []):
        path, about = (out, {}) if isinstance(out, str) else next(iter(out.items()))
        found.append((path, not about.get("cache", True)))
    return found


def run_stage(study: Path, stage: dict, minutes: float) -> Measured:
    """Run the command of a stage in the folder of a study, and watch it."""
    log = study / "log.txt"
    start, cpu_before = time.perf_counter(), cpu_of_children_s()
    peak_bytes, late = 0, False
    with log.open("wb") as printed:
        process = psutil.Popen(
            stage["cmd"].split(),
            cwd=study,
            env=environment(study) | {"PYTHONPATH": str(ROOT)},
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
        while process.poll() is None:
            peak_bytes = max(peak_bytes, measured_tree(process)[1])
            late = time.perf_counter() - start > 60 * minutes
            if late:
                for each in [*process.children(recursive=True), process]:
                    each.kill()
                process.wait()
            time.sleep(SAMPLE_S)
    seconds = time.perf_counter() - start
    said = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
    failed = f"not done in {minutes:g} min" if late else said[-1] if process.returncode else ""
    held = {True: 0, False: 0}
    for path, in_git in outputs(stage):
        held[in_git] += bytes_of(study / path)
    cpu_seconds = cpu_of_children_s() - cpu_before
    return Measured(seconds, cpu_seconds, peak_bytes, held[True], held[False], failed)


def bytes_of(path: Path) -> int:
    """The bytes of a file, or of all files in a folder; 0 where there is none."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def table(found: dict[str, dict[int, Measured]], sizes: Sequence[int], along: str) -> list[str]:
    """A Markdown table: a row per stage, a column per rung, and the exponent of the seconds.

    See `cell`.
    """
    columns = " | ".join(f"{size:,}" for size in sizes)
    lines = [
        f"| {along}: s, CPU s, peak GiB, MB in git + cached | {columns} | exponent |",
        "| --- |" + " ---: |" * (len(sizes) + 1),
    ]
    for name, by_size in found.items():
        cells = " | ".join(cell(by_size[size]) if size in by_size else "" for size in sizes)
        lines.append(f"| {name} | {cells} | {exponent(by_size)} |")
    done = [[each[size] for each in found.values() if size in each] for size in sizes]
    total = " | ".join(f"{sum(each.seconds for each in row):.0f}" for row in done)
    return [*lines, f"| all | {total} | |"]


def cell(measured: Measured) -> str:
    """What a stage took, in words: '12.3, 20.1, 0.80, 0.01 + 3.4'."""
    if measured.failed:
        return f"{measured.seconds:.0f}: {measured.failed}"
    return (
        f"{measured.seconds:.1f}, {measured.cpu_seconds:.1f}, {measured.peak_bytes / 2**30:.2f}, "
        f"{measured.in_git_bytes / 1e6:.2f} + {measured.in_cache_bytes / 1e6:.1f}"
    )


def exponent(by_size: dict[int, Measured]) -> str:
    """The slope of log CPU seconds over log size; empty where it cannot be told."""
    points = [
        (size, measured.cpu_seconds - START_S)
        for size, measured in by_size.items()
        if not measured.failed and measured.cpu_seconds > 2 * START_S
    ]
    if len(points) < 2:
        return ""
    sizes, seconds = np.log(np.array(points)).T
    return f"{np.polyfit(sizes, seconds, 1)[0]:.1f}"


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(main())
