"""What the benchmarks share: the machine in words, and functions timed in turns."""

import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from stages.core.runtime.parallel import available_cores


def machine(*libraries: str) -> str:
    """The processor, its cores and load, and the versions of Python and of the libraries."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor() or platform.machine()
    versions = "".join(f", {library} {version(library)}" for library in libraries)
    return (
        f"{name}, {available_cores()} cores, load {os.getloadavg()[0]:.1f} at the start; "
        f"Python {platform.python_version()}{versions}"
    )


def in_turns(
    ours: Callable[[], object], theirs: Callable[[], object], repeats: int
) -> tuple[float, float]:
    """Seconds of the best run of each of two functions that take turns.

    Turns let a busy moment of the machine meet both alike.
    """
    ours_s, theirs_s = [], []
    for _ in range(repeats):
        start = time.perf_counter()
        ours()
        middle = time.perf_counter()
        theirs()
        ours_s.append(middle - start)
        theirs_s.append(time.perf_counter() - middle)
    return min(ours_s), min(theirs_s)
