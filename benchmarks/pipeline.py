"""The whole embedded study, stage by stage, in a clone that has nothing cached.

    python -m benchmarks.pipeline

clones the committed project into a temporary folder, with a DVC cache, a state and the caches of
libraries of its own, runs `dvc repro` in it, and once more with nothing left to do. It prints a
Markdown table and which of the committed files the run changed. Where the shipped model is not
that of the code and the settings, it refuses, since `dvc repro` would train for long.

Wall seconds of a stage count from the start of its process until it was last seen. Its peak memory
is the largest sum, over its process and all that it started (joblib's workers), of their
proportional set sizes: resident memory in which a page that k processes share counts 1/k to each.
Both come from a sample every fifth of a second, so that a shorter peak is missed. The last
column says whether any of these processes has loaded PyTorch, which takes seconds and memory.
It needs Linux, whose /proc tells these.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import click
import psutil

from benchmarks.measure import machine
from tests.study import ROOT, dvc, environment, git

SAMPLE_S = 0.2
ALWAYS = "preflight"  # the one stage that runs with nothing to do, to look whether that is so


@dataclass
class Stage:
    """What has been seen of a stage; times in seconds since the epoch."""

    start: float
    end: float
    peak_bytes: int = 0
    torch: bool = False


@click.command()
def main() -> None:
    """Print a Markdown table."""
    if not Path("/proc/self/smaps_rollup").exists():
        raise click.ClickException("this machine has no /proc/<pid>/smaps_rollup; run it on Linux")
    with tempfile.TemporaryDirectory() as scratch:
        clone = Path(scratch, "study")
        git(ROOT, "clone", "--quiet", str(ROOT), str(clone))
        dvc(clone, "cache", "dir", "--local", str(clone / ".dvc" / "cache"))
        if json.loads(dvc(clone, "status", "--json", "pretrain")):
            raise click.ClickException(
                "data/model is not that of the committed code and settings, so that 'dvc repro' "
                "would train it; run 'dvc repro pretrain' and commit what it writes"
            )
        click.echo(f"Commit {git(clone, 'rev-parse', '--short', 'HEAD').strip()}; {machine()}\n")
        stages, cold_s = repro(clone)
        changed = [line[3:] for line in git(clone, "status", "--porcelain").splitlines()]
        again, idle_s = repro(clone)
    repeated = [name for name in again if name != ALWAYS]
    if repeated:
        raise click.ClickException(f"the second 'dvc repro' ran {', '.join(repeated)} again")

    click.echo("| stage | wall, s | peak, MiB | torch |")
    click.echo("| --- | ---: | ---: | --- |")
    for name, stage in stages.items():
        wall, peak = stage.end - stage.start, stage.peak_bytes / 2**20
        click.echo(f"| {name} | {wall:.1f} | {peak:.0f} | {'yes' if stage.torch else 'no'} |")
    between = cold_s - sum(stage.end - stage.start for stage in stages.values())
    click.echo(f"| DVC, around and between them | {between:.1f} | | |")
    click.echo(f"| `dvc repro`, cold | {cold_s:.1f} | | |")
    click.echo(f"| `dvc repro`, nothing to do | {idle_s:.1f} | | |")
    click.echo(f"\nCommitted files that the run changed: {', '.join(changed) or 'none'}")


def repro(clone: Path) -> tuple[dict[str, Stage], float]:
    """({stage that ran: what was seen of it}, seconds in all) of `dvc repro` in a clone."""
    own = {
        name: str(clone.parent / "caches")
        for name in ("XDG_CACHE_HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR")
    }
    stages: dict[str, Stage] = {}
    start = time.perf_counter()
    process = psutil.Popen(
        [sys.executable, "-m", "dvc", "repro"],
        cwd=clone,
        env=environment(clone) | own,
        stdout=sys.stderr,  # the table alone goes to the standard output
    )
    while process.poll() is None:
        for name, root in running_stages(process):
            stage = stages.setdefault(name, Stage(root.create_time(), 0))
            peak_bytes, torch = measured_tree(root)
            stage.peak_bytes = max(stage.peak_bytes, peak_bytes)
            stage.torch |= torch
            stage.end = time.time()
        time.sleep(SAMPLE_S)
    if process.returncode:
        raise click.ClickException("'dvc repro' failed; what it said is above")
    return stages, time.perf_counter() - start


def running_stages(process: psutil.Process) -> Iterator[tuple[str, psutil.Process]]:
    """(stage, its process) for every `python -m stages.<stage>` below a process."""
    for child in process.children(recursive=True):
        try:
            words = child.cmdline()
        except psutil.NoSuchProcess:
            continue
        for option, module in pairwise(words):
            if option == "-m" and module.startswith("stages."):
                yield module.removeprefix("stages."), child


def measured_tree(root: psutil.Process) -> tuple[int, bool]:
    """(proportional set sizes in bytes, whether PyTorch is loaded) of a process and all below."""
    held_bytes, torch = 0, False
    try:
        tree = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0, False
    for process in tree:
        try:
            held_bytes += process.memory_full_info().pss
            torch |= "libtorch_cpu" in Path(f"/proc/{process.pid}/maps").read_text()
        except (psutil.NoSuchProcess, OSError):  # it has ended meanwhile
            continue
    return held_bytes, torch


if __name__ == "__main__":
    main()
