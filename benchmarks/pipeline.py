"""The whole embedded study, stage by stage, in a clone that has nothing cached.

    python -m benchmarks.pipeline
    python -m benchmarks.pipeline v1.0 HEAD

clones the project at each revision (HEAD alone by default) into a temporary folder, with a DVC
cache, a state and the caches of libraries of its own, runs `dvc repro` in it, and once more with
nothing left to do. It prints a Markdown table for each and which of the committed files the run
changed. Where the shipped model is not that of the code and the settings, it refuses, since
`dvc repro` would train for long.

Wall seconds of a stage count from the start of its process until it was last seen, CPU seconds are
those of its process and of all that it started. Its peak memory
is the largest sum, over its process and all that it started (joblib's workers), of their
proportional set sizes: resident memory in which a page that k processes share counts 1/k to each.
Both come from a sample every fifth of a second, so that a shorter peak is missed. The last
column says whether any of these processes has loaded PyTorch, which takes seconds and memory.
It needs Linux, whose /proc tells these.
"""

import json
import os
import subprocess
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

ROOT = Path(__file__).parents[1]
SAMPLE_S = 0.2
ALWAYS = "preflight"  # the one stage that runs with nothing to do, to look whether that is so


@dataclass
class Stage:
    """What has been seen of a stage; times in seconds since the epoch."""

    start: float
    end: float
    cpu_s: float = 0.0
    peak_bytes: int = 0
    torch: bool = False


@click.command()
@click.argument("revisions", nargs=-1)
def main(revisions: tuple[str, ...]) -> None:
    """Print a Markdown table for each of the REVISIONS, which are measured in turn."""
    if not Path("/proc/self/smaps_rollup").exists():
        raise click.ClickException("this machine has no /proc/<pid>/smaps_rollup; run it on Linux")
    click.echo(machine())
    for revision in revisions or ("HEAD",):
        with tempfile.TemporaryDirectory() as scratch:
            measure(Path(scratch, "study"), revision)


def measure(clone: Path, revision: str) -> None:
    """Run the study of a revision in a new clone, and print what was seen."""
    printed(clone, "git", "clone", "--quiet", str(ROOT), str(clone), cwd=ROOT)
    printed(clone, "git", "checkout", "--quiet", resolved(revision))
    printed(clone, "dvc", "cache", "dir", "--local", str(clone / ".dvc" / "cache"))
    if json.loads(printed(clone, "dvc", "status", "--json", "pretrain")):
        raise click.ClickException(
            f"{revision}: data/model is not that of the committed code and settings, so that "
            "'dvc repro' would train it; run 'dvc repro pretrain' and commit what it writes"
        )
    stages, cold_s, cold_cpu_s = repro(clone)
    changed = [line[3:] for line in printed(clone, "git", "status", "--porcelain").splitlines()]
    again, idle_s, idle_cpu_s = repro(clone)
    repeated = [name for name in again if name != ALWAYS]
    if repeated:
        raise click.ClickException(f"the second 'dvc repro' ran {', '.join(repeated)} again")

    click.echo(f"\nCommit {printed(clone, 'git', 'rev-parse', '--short', 'HEAD').strip()}\n")
    click.echo("| stage | wall, s | CPU, s | peak, MiB | torch |")
    click.echo("| --- | ---: | ---: | ---: | --- |")
    for name, stage in stages.items():
        wall, peak = stage.end - stage.start, stage.peak_bytes / 2**20
        loaded = "yes" if stage.torch else "no"
        click.echo(f"| {name} | {wall:.1f} | {stage.cpu_s:.1f} | {peak:.0f} | {loaded} |")
    between = cold_s - sum(stage.end - stage.start for stage in stages.values())
    between_cpu = cold_cpu_s - sum(stage.cpu_s for stage in stages.values())
    click.echo(f"| DVC, around and between them | {between:.1f} | {between_cpu:.1f} | | |")
    click.echo(f"| `dvc repro`, cold | {cold_s:.1f} | {cold_cpu_s:.1f} | | |")
    click.echo(f"| `dvc repro`, nothing to do | {idle_s:.1f} | {idle_cpu_s:.1f} | | |")
    click.echo(f"\nCommitted files that the run changed: {', '.join(changed) or 'none'}")


def resolved(revision: str) -> str:
    """The commit of a revision in the project."""
    return printed(ROOT, "git", "rev-parse", "--verify", f"{revision}^{{commit}}").strip()


def environment(clone: Path) -> dict[str, str]:
    """This process's environment with its own interpreter first, and a state of DVC's own."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "DVC_SITE_CACHE_DIR": str(clone.parent / "state")}


def printed(clone: Path, *command: str, cwd: Path | None = None) -> str:
    """What a command prints that runs in the clone; raises CalledProcessError where it fails."""
    done = subprocess.run(
        command, cwd=cwd or clone, env=environment(clone), check=True, stdout=subprocess.PIPE
    )
    return done.stdout.decode()


def repro(clone: Path) -> tuple[dict[str, Stage], float, float]:
    """({stage that ran: what was seen of it}, wall seconds, CPU seconds) of `dvc repro`."""
    own = {
        name: str(clone.parent / "caches")
        for name in ("XDG_CACHE_HOME", "MPLCONFIGDIR", "NUMBA_CACHE_DIR")
    }
    stages: dict[str, Stage] = {}
    start, used = time.perf_counter(), cpu_of_children_s()
    process = psutil.Popen(
        [sys.executable, "-m", "dvc", "repro"],
        cwd=clone,
        env=environment(clone) | own,
        stdout=sys.stderr,  # the table alone goes to the standard output
    )
    while process.poll() is None:
        for name, root in running_stages(process):
            stage = stages.setdefault(name, Stage(root.create_time(), 0))
            cpu_s, peak_bytes, torch = measured_tree(root)
            stage.cpu_s = max(stage.cpu_s, cpu_s)
            stage.peak_bytes = max(stage.peak_bytes, peak_bytes)
            stage.torch |= torch
            stage.end = time.time()
        time.sleep(SAMPLE_S)
    if process.returncode:
        raise click.ClickException("'dvc repro' failed; what it said is above")
    return stages, time.perf_counter() - start, cpu_of_children_s() - used


def cpu_of_children_s() -> float:
    """CPU seconds of all processes that this one has started and that have ended."""
    used = os.times()
    return used.children_user + used.children_system


def running_stages(process: psutil.Process) -> Iterator[tuple[str, psutil.Process]]:
    """(stage, its process) for every `python -m stages.<stage> ...` below a process."""
    for child in process.children(recursive=True):
        try:
            words = child.cmdline()
        except psutil.NoSuchProcess:
            continue
        for i, (option, module) in enumerate(pairwise(words)):
            if option == "-m" and module.startswith("stages."):
                yield " ".join(words[i + 1 :]).removeprefix("stages."), child  # 'draw fetch'


def measured_tree(root: psutil.Process) -> tuple[float, int, bool]:
    """(CPU seconds, proportional set sizes in bytes, whether PyTorch is loaded).

    Of a process and all below; its CPU seconds are those of ended children too.
    """
    cpu_s, held_bytes, torch = 0.0, 0, False
    try:
        tree = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0, 0, False
    for process in tree:
        try:
            cpu_s += sum(process.cpu_times()[:4])  # with those of children that were waited for
            held_bytes += process.memory_full_info().pss
            torch |= "libtorch_cpu" in Path(f"/proc/{process.pid}/maps").read_text()
        except (psutil.NoSuchProcess, OSError):  # it has ended meanwhile
            continue
    return cpu_s, held_bytes, torch


if __name__ == "__main__":
    main()
