"""Independent pieces of work, mapped over the machine's cores, or a cluster's, in one place."""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TypeVar

from joblib import Parallel, delayed
from joblib.externals.loky.process_executor import TerminatedWorkerError
from threadpoolctl import threadpool_limits

from stages.core.runtime.errors import StudyError
from stages.core.runtime.interruption import deaf_children, end_with
from stages.core.runtime.progress import watched
from stages.core.runtime.remote import Files, cluster_address, storage_address

Item = TypeVar("Item")
Result = TypeVar("Result")


def available_cores() -> int:
    """The number of cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def available_workers() -> int:
    """The number of items that a map may compute at once, on this machine or on the cluster."""
    if address := cluster_address():
        from stages.core.runtime.cluster import workers_of

        return workers_of(address)
    return available_cores()


def parallel_map(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    description: str,
    workers: int | None = None,
    costs: Sequence[float] | None = None,
    files: Callable[[Item], Files] | None = None,
    in_place: bool = False,
) -> list[Result]:
    """[function(item) for item in items], in that order, on `workers` processes.

    `function` must depend on its item alone, so that the results do not change with
    `workers` (default: every available core, or every worker of the cluster that STUDY_CLUSTER
    names). It computes on one thread: sums differ with the number of threads that share them. With
    one worker no process is started. On a terminal a bar says how long is left; costs: about how
    many seconds each item takes, where that is known. Raises StudyError where a worker is killed
    from outside, and as `map_on_cluster` does.

    files: those of an item, where it has any: what a cluster's workers need to be given that do not
    see the study's folder, and what they give back (docs/cluster.md). in_place: whether an item is
    about files of this machine as such, as their links, so that such workers are of no use.

    What is killed on a cluster is computed again: where `function` writes files, it may find what
    it has begun to write before.
    """
    address = None if in_place and storage_address() else cluster_address()
    if address and items:
        from stages.core.runtime.cluster import map_on_cluster  # without one Dask is not needed

        return map_on_cluster(address, function, items, description, workers, files)
    workers = min(workers or available_cores(), max(len(items), 1))
    with watched(function, items, description, workers, costs) as (call, jobs):
        if workers == 1:
            with threadpool_limits(1):
                return [call(job) for job in jobs]
        settings = {"return_as": "generator", "batch_size": "auto", "inner_max_num_threads": 1}
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
