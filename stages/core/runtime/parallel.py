"""Independent pieces of work, mapped over the machine's cores in one place."""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TypeVar

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError

from stages.core.runtime.errors import StudyError
from stages.core.runtime.interruption import deaf_children, end_with
from stages.core.runtime.progress import watched

Item = TypeVar("Item")
Result = TypeVar("Result")


def available_cores() -> int:
    """The number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def parallel_map(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    description: str,
    workers: int | None = None,
    costs: Sequence[float] | None = None,
) -> list[Result]:
    """[function(item) for item in items], in that order, on `workers` processes.

    `function` must depend on its item alone, so that the results do not change with
    `workers` (default: every available core). With one worker no process is started. On a
    terminal a bar says how long is left; costs: about how many seconds each item takes, where that
    is known. Raises StudyError where a worker is killed from outside.
    """
    workers = min(workers or available_cores(), max(len(items), 1))
    with watched(function, items, description, workers, costs) as (call, jobs):
        if workers == 1:
            return [call(job) for job in jobs]
        settings = {"return_as": "generator", "batch_size": "auto"}
        follow = {"initializer": end_with, "initargs": (os.getpid(),)}
        with ExitStack() as stack:
            with deaf_children():
                # A pool that is left early ends its workers, which would go on writing else.
                pool = stack.enter_context(Parallel(workers, **settings, **follow))
                results = pool(delayed(call)(job) for job in jobs)
            try:
                return list(results)
            except TerminatedWorkerError:
                raise StudyError(
                    f"{description}: one of {workers} processes was killed, as the system does "
                    "where memory runs out; free some, or use fewer cores: "
                    "taskset --cpu-list 0 dvc repro"
                ) from None
