"""Independent pieces of work, mapped over the machine's cores in one place."""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from joblib import Parallel, delayed
from tqdm import tqdm

Item = TypeVar("Item")
Result = TypeVar("Result")


def available_cores() -> int:
    """The number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def progress(iterable: Iterable[Item], description: str, total: int | None = None) -> tqdm:
    """`iterable` with a progress bar on a terminal, and without one in CI or a log file."""
    return tqdm(iterable, desc=description, total=total, disable=not sys.stderr.isatty())


def parallel_map(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    description: str,
    workers: int | None = None,
) -> list[Result]:
    """[function(item) for item in items], in that order, on `workers` processes.

    `function` must depend on its item alone, so that the results do not change with
    `workers` (default: every available core). With one worker no process is started.
    """
    workers = min(workers or available_cores(), max(len(items), 1))
    if workers == 1:
        return [function(item) for item in progress(items, description)]
    pool = Parallel(n_jobs=workers, return_as="generator", batch_size="auto")
    return list(progress(pool(delayed(function)(item) for item in items), description, len(items)))
