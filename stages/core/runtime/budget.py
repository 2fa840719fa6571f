"""What a stage is about to take, said before it starts; refused where memory would run out.

A machine that runs out of memory kills a stage after an hour, without a word. So a stage that works
with large arrays says first how much they take, by the sizes of its data.
"""

from pathlib import Path

import click

from stages.core.runtime.errors import StudyError

GIB = 2**30

# What is less is no news: a small study says nothing of it.
SAID_FROM_S = 60.0
PROCESS_BYTES = GIB // 4  # of a process with its libraries
SAID_FROM_BYTES = GIB


def state_cost(
    stage: str, what: str, seconds: float, memory_bytes: float, fix: str, workers: int = 0
) -> None:
    """Say on standard error what a stage takes, where it is a minute or a GiB, or more.

    what: the work, with its sizes. seconds: of this machine's cores, about. memory_bytes: of all
    arrays at once, about. fix: which settings make it less. workers: how many processes are
    started, each with its libraries.

    Raises StudyError where the memory is more than is free on this machine.
    """
    needed = memory_bytes + (workers + 1) * PROCESS_BYTES
    free = free_bytes()
    if free is not None and needed > free:
        raise StudyError(
            f"{stage}: {what} would need about {needed / GIB:.2g} GiB of memory, "
            f"{free / GIB:.2g} are free; {fix}"
        )
    if seconds >= SAID_FROM_S or memory_bytes >= SAID_FROM_BYTES:
        time = f"about {seconds / 60:.2g} min" if seconds >= SAID_FROM_S else "less than a minute"
        click.echo(f"{stage}: {what}: {time} and {needed / GIB:.2g} GiB", err=True)


def free_bytes(proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> int | None:
    """The memory that may still be taken, of the machine or the container; None where not told."""
    found = []
    try:
        for line in (proc / "meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                found.append(1024 * int(line.split()[1]))
    except OSError:  # not Linux
        pass
    try:
        limit = int((cgroup / "memory.max").read_text())  # 'max' is no limit
        found.append(limit - int((cgroup / "memory.current").read_text()))
    except (OSError, ValueError):
        pass
    return min(found, default=None)
