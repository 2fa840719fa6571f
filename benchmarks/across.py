"""What `python -m across` takes, of runs that were never made.

    python -m benchmarks.across
    python -m benchmarks.across --runs 30 --runs 100

Each run is a commit with a branch: its params, metrics and dvc.lock in git, and its tables of
measures and of losses of accuracy in DVC's cache, with the numbers of classes, levels and measures
of the default study. The values are random, with a change of each class that all runs share. The
table gives wall and CPU seconds, and the peak memory of the process and of all that it started.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np
import pandas as pd
import psutil
import yaml

from benchmarks.measure import machine
from benchmarks.pipeline import ROOT, SAMPLE_S, cpu_of_children_s, environment, measured_tree
from stages.core.artifacts.tables import write_parquet
from stages.core.claims.question import TABLES

CLASSES, MODELS = 47, 7
NOISES = ("gaussian", "blur", "contrast", "jpeg")
LEVELS = (0.5, 1.0, 2.0)
ABOUT = {"run": "made", "confidence": "0.95"}


@click.command()
@click.option("--runs", "counts", multiple=True, default=[30, 56], show_default=True, type=int)
def main(counts: tuple[int, ...]) -> None:
    """Print a Markdown table with a row for each number of runs."""
    click.echo(f"{machine('dvc', 'numpy', 'scipy', 'scikit-learn')}\n")
    click.echo("| runs | seconds | CPU seconds | peak memory |\n| --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        study = Path(folder) / "study"
        make_study(study)
        made: list[str] = []
        for count in sorted(counts):
            made += [make_run(study, i) for i in range(len(made), count)]
            click.echo(measured(study, made))


def make_study(study: Path) -> None:
    """A repository with the settings of the project."""
    study.mkdir()
    shutil.copy(ROOT / "params.yaml", study)
    (study / "dvc.yaml").write_text("stages: {}\n")
    run(study, "git", "init", "--quiet")
    run(study, sys.executable, "-m", "dvc", "init", "--quiet")
    run(study, "git", "config", "user.name", "benchmark")
    run(study, "git", "config", "user.email", "benchmark@localhost")


def make_run(study: Path, number: int) -> str:
    """Commit a run and give it a branch, whose name is returned."""
    name = f"run-{number:03d}"
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["embed"] |= {
        "model": f"models/{number % MODELS}",
        "noise_kind": NOISES[number // MODELS % len(NOISES)],
        "seed": number,
    }
    (study / "params.yaml").write_text(yaml.safe_dump(params))
    for folder in ("metrics", "plots/claims"):
        shutil.copytree(ROOT / folder, study / folder, dirs_exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        write_tables(Path(folder), np.random.default_rng(number))
        outputs = {
            "data/claims": cached(study, sorted(Path(folder).iterdir())),
            "data/embeddings": hashlib.md5(name.encode()).hexdigest(),
            "data/images": "same",
            "data/images.csv": "same",
        }
    outs = [{"path": path, "hash": "md5", "md5": md5} for path, md5 in outputs.items()]
    lock = {"schema": "2.0", "stages": {"claims": {"cmd": "made", "outs": outs}}}
    (study / "dvc.lock").write_text(yaml.safe_dump(lock))
    run(study, "git", "add", "--all")
    run(study, "git", "commit", "--quiet", "-m", name)
    run(study, "git", "branch", name)
    return name


def write_tables(folder: Path, draw: np.random.Generator) -> None:
    """Measures and losses of accuracy, as many and as large as those of the default study."""
    known = pd.read_csv(ROOT / "plots/claims/correlations.csv")
    measures, classifiers = known["measure"].unique(), known["classifier"].unique()
    shared = np.random.default_rng(0).standard_normal(CLASSES)
    rows, drops = [], []
    for level in LEVELS:
        change = shared + draw.standard_normal(CLASSES)
        for i in range(CLASSES):
            of = {"class": f"class {i:02d}", "noise": level}
            rows += [
                of | {"measure": each, "value": change[i] + draw.standard_normal()}
                for each in measures
            ]
            drops += [
                of | {"classifier": each, "drop": np.tanh(change[i] + draw.standard_normal()) / 2}
                for each in classifiers
            ]
    for name, table in (("measures", rows), ("drops", drops)):
        write_parquet(folder / f"{name}.parquet", pd.DataFrame(table), TABLES[name], ABOUT)


def cached(study: Path, files: list[Path]) -> str:
    """Put a folder of files into the cache as DVC does; return its checksum."""
    entries = []
    for file in files:
        entries.append({"md5": keep(study, file.read_bytes()), "relpath": file.name})
    return keep(study, json.dumps(entries).encode(), ".dir")


def keep(study: Path, content: bytes, suffix: str = "") -> str:
    checksum = hashlib.md5(content).hexdigest() + suffix
    place = study / ".dvc" / "cache" / "files" / "md5" / checksum[:2] / checksum[2:]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return checksum


def run(study: Path, *command: str) -> None:
    subprocess.run(command, cwd=study, env=environment(study), check=True)


def measured(study: Path, revisions: list[str]) -> str:
    """A row of the table: what `across` takes for some revisions."""
    start, cpu_before, peak_bytes = time.perf_counter(), cpu_of_children_s(), 0
    process = psutil.Popen(
        [sys.executable, "-m", "across", *revisions],
        cwd=study,
        env=environment(study) | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )
    while process.poll() is None:
        peak_bytes = max(peak_bytes, measured_tree(process)[1])
        time.sleep(SAMPLE_S)
    seconds, cpu_s = time.perf_counter() - start, cpu_of_children_s() - cpu_before
    if process.returncode:
        raise click.ClickException(f"across failed with exit code {process.returncode}")
    return f"| {len(revisions)} | {seconds:.0f} | {cpu_s:.0f} | {peak_bytes / 2**30:.1f} GiB |"


if __name__ == "__main__":
    main()
