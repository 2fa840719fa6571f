"""Independent pieces of work, mapped over the machine's cores in one place."""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import TypeVar

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError
from tqdm import tqdm

from stages.core.runtime.errors import StudyError
from stages.core.runtime.interruption import deaf_children, end_with

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
    `workers` (default: every available core). With one worker no process is started. Raises
    StudyError where a worker is killed from outside.
    """
    workers = min(workers or available_cores(), max(len(items), 1))
    if workers == 1:
        return [function(item) for item in progress(items, description)]
    settings = {"return_as": "generator", "batch_size": "auto"}
    follow = {"initializer": end_with, "initargs": (os.getpid(),)}
    with ExitStack() as stack:
        with deaf_children():
            # A pool that is left early ends its workers, which would go on writing else.
            pool = stack.enter_context(Parallel(workers, **settings, **follow))
            results = pool(delayed(function)(item) for item in items)
        try:
            return list(progress(results, description, len(items)))
        except TerminatedWorkerError:
            raise StudyError(
                f"{description}: one of {workers} processes was killed, as the system does where "
                "memory runs out; free some, or use fewer cores: taskset --cpu-list 0 dvc repro"
            ) from None
