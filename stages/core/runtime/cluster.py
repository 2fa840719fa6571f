"""Maps on the workers of a Dask cluster, for where one machine is too slow.

A task is a few items of a map. What it needs lies in a file of a folder that this machine and the
workers share, or of a storage that both reach; the scheduler passes on where in that file, and the
results. A worker computes a task at a time, on one thread, in the folder that the study runs in or
in one with the files of the study that the task reads, so that every result is that of a run
without a cluster: of the same code and packages, which is checked, on the same kind of processor,
which is not.

Imported by `parallel_map` alone, and only where it is to use a cluster.
"""

import importlib.metadata
import logging
import os
import platform
import re
import signal
import time
import uuid
import warnings
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from threadpoolctl import threadpool_limits

import stages
from stages.core.runtime.checksums import digest_of_files
from stages.core.runtime.errors import StudyError, one_line, quoted
from stages.core.runtime.pickles import Address, Reducers, load_pickle, write_pickles
from stages.core.runtime.progress import counted
from stages.core.runtime.remote import Files, storage_address
from stages.core.runtime.wording import count

try:
    import cloudpickle
    from distributed import Client, Future, KilledWorker, Worker, get_worker

    from stages.core.runtime.storage import Storage
except ImportError as error:
    raise StudyError(
        f"STUDY_CLUSTER is set, and {error.name or 'dask'} is not installed; run "
        "pip install -e '.[cluster]', or unset STUDY_CLUSTER"
    ) from None

ADDRESS = re.compile(r"(tcp|tls)://[^\s/]+:\d+")
SHARED = Path(".dvc/tmp/cluster")  # for the files that tasks read, in the folder of the study
CONNECT_S = 30.0  # how long a scheduler may take to answer, also where it has gone meanwhile
NO_WORKER_S = 300.0  # how long the scheduler may be without a worker
LOOK_S = 1.0  # how often the cluster is looked at
# A task costs the scheduler about a millisecond; more items than this share tasks.
MOST_TASKS = 1000
# What the numbers of the study depend on, and what workers and clients speak to one another by.
PACKAGES = (
    *("numpy", "scipy", "scikit-learn", "pandas", "pyarrow", "torch", "torchvision"),
    *("ripser", "gudhi", "persim", "POT", "umap-learn", "pillow", "opencv-python-headless"),
    *("dask", "distributed", "cloudpickle"),
)
START_WORKERS = (
    "start workers in the folder and the Python environment of the study: "
    "python -m dask worker <address of the scheduler> --nworkers auto --nthreads 1"
)


def code_digest() -> str:
    """A checksum of the code of the stages, as it lies on the disk."""
    folder = Path(stages.__file__).parent
    return digest_of_files(folder.rglob("*.py"), folder)


CODE = code_digest()  # when this process loaded it


# --- on a worker --------------------------------------------------------------------------------


@dataclass(frozen=True)
class SharedFolder:
    """The folder that the study runs in, at the same path here and on workers. mark: a file in it.

    What `Storage` is for workers that do not see it.
    """

    folder: Path
    mark: Path

    # On the machine of the study.

    def open(self) -> None:
        """Let workers find the folder by the mark."""
        self.mark.touch()

    def close(self) -> None:
        """Remove the mark."""
        self.mark.unlink(missing_ok=True)

    def given(
        self,
        function: Callable[[Any], Any],
        items: Sequence[Any],
        files: Callable[[Any], Files] | None,
    ) -> tuple[Callable[[Any], Any], Sequence[Any]]:
        """What a worker calls, and with what: the function of a map and its items."""
        return function, items

    def reducers(self) -> Reducers:
        """How some types are pickled: as ever."""
        return {}

    def send(self, file: Path) -> Path:
        """A file in the folder, which workers see."""
        return file

    def receive(self, result: Any) -> Any:
        """The result of an item, of what a worker returns."""
        return result

    # On a worker.

    def fault(self) -> str | None:
        """Why this worker cannot work there; None where it can."""
        with suppress(OSError):
            if self.mark.is_file():
                return None
        return (
            f"does not see {self.mark.parent}, or not what others write there; put the study on a "
            "folder that all machines share at the same path, or set STUDY_SHARED"
        )

    def enter(self) -> None:
        """Work in the folder."""
        os.chdir(self.folder)

    def received(self, sent: Path) -> Path:
        """The file that was sent."""
        return sent


@dataclass(frozen=True)
class Setup:
    """What a worker needs to have for the same results as on the machine of the study."""

    code: str
    versions: tuple[tuple[str, str], ...]
    shared: SharedFolder | Storage


@dataclass(frozen=True)
class Task:
    """Some items of a map: a file, where in it the function lies, and where the items do."""

    file: Any  # as `send` gave it
    function: Address
    items: tuple[Address, ...]


def versions() -> tuple[tuple[str, str], ...]:
    """(name, version) of Python and of PACKAGES; 'none' of what is not installed."""
    found = [("Python", ".".join(platform.python_version_tuple()[:2]))]
    for name in PACKAGES:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            found.append((name, "none"))
    return tuple(found)


def fault_of_worker(setup: Setup, dask_worker: Worker) -> str | None:
    """Why the results of this worker might be others, and what to do; None where they are not."""
    if setup.code != CODE:
        if setup.code == code_digest():
            return "has loaded the code before it was changed; restart it"
        return f"has other code in {Path(stages.__file__).parent}; use one commit, and restart it"
    if setup.code != code_digest():
        return f"the code in {Path(stages.__file__).parent} has changed since; restart it"
    for (name, wanted), (_, found) in zip(setup.versions, versions(), strict=True):
        if wanted != found:
            return (
                f"has {name} {found}, and the study {wanted}; install requirements.txt there, or "
                "start it in the environment of the study"
            )
    if (threads := dask_worker.state.nthreads) != 1:
        return f"computes {threads} tasks at once in one process; start it with --nthreads 1"
    return setup.shared.fault()


@lru_cache(maxsize=8)
def _require_fit(setup: Setup) -> None:
    """Raise StudyError where this worker, which may have come late, has a fault."""
    worker = get_worker()
    if fault := fault_of_worker(setup, worker):
        raise StudyError(_of_worker(worker.address, fault))


def compute(task: Task, setup: Setup) -> list[bytes]:
    """The results of a task's items, on one thread, each pickled.

    Sums of matrix products are shared out by the number of threads, and would differ else; and so
    would those of arrays that lie at odd addresses, as arrays do that Dask takes out of a message.
    """
    _require_fit(setup)
    # What the study names by relative paths lies in this folder. There is one task at a time.
    setup.shared.enter()
    file = setup.shared.received(task.file)
    os.environ.pop("STUDY_CLUSTER", None)  # a map within a task is its own
    with threadpool_limits(1):
        function = _function(file, task.function)
        return [cloudpickle.dumps(function(load_pickle(file, item))) for item in task.items]


_function = lru_cache(maxsize=2)(load_pickle)


# --- on the machine of the study ----------------------------------------------------------------


def _of_worker(address: str, fault: str) -> str:
    return f"worker {address}: {fault}"


_clients: dict[str, Client] = {}


def connected(address: str) -> Client:
    """The client of the scheduler at `address`, whose workers have been looked at.

    Raises StudyError where the scheduler cannot be reached, where it has no worker, and for a
    worker whose results might be others.
    """
    client = _clients.get(address)
    if client is not None and client.status == "running":
        return client
    if not ADDRESS.fullmatch(address):
        raise StudyError(
            f"STUDY_CLUSTER: {quoted(address)} is no address of a Dask scheduler; give "
            "tcp://host:port or tls://host:port, or unset it"
        )
    # What goes wrong is said here, in one line.
    for name in ("distributed", "tornado", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions, which are compared below
            client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        why = one_line(error.__cause__ or error, 160) or type(error).__name__
        raise StudyError(
            f"STUDY_CLUSTER: no Dask scheduler answers at {address} ({why}); start it, "
            "correct the address, or unset STUDY_CLUSTER to compute on this machine"
        ) from None
    try:
        _require_fit_cluster(client, address)
    except BaseException:
        client.close()
        raise
    _clients[address] = client
    return client


def _require_fit_cluster(client: Client, address: str) -> None:
    here = importlib.metadata.version("distributed")
    there = client.run_on_scheduler(importlib.metadata.version, "distributed")
    if here != there:
        raise StudyError(
            f"STUDY_CLUSTER: the scheduler at {address} has distributed {there}, and the study "
            f"{here}; start it in the environment of the study"
        )
    try:
        client.wait_for_workers(1, timeout=NO_WORKER_S)
    except TimeoutError:
        raise StudyError(_no_worker(address)) from None
    with _setup() as setup:
        found = client.run(fault_of_worker, setup, on_error="return")
    for worker, fault in found.items():
        if isinstance(fault, OSError):  # it has gone, and may come back
            continue
        if isinstance(fault, Exception):  # its code is older than this function, or is not there
            raise StudyError(_of_worker(worker, _no_code(fault)))
        if fault:
            raise StudyError(_of_worker(worker, fault))


def _no_code(error: Exception) -> str:
    return f"cannot load the study's code ({one_line(error, 160)}); {START_WORKERS}"


def _no_worker(address: str) -> str:
    return (
        f"STUDY_CLUSTER: the scheduler at {address} has had no worker for {NO_WORKER_S:.0f} s; "
        f"{START_WORKERS}"
    )


@contextmanager
def _setup() -> Iterator[Setup]:
    """What workers need to have, with the mark that they have to see meanwhile."""
    folder, name = Path.cwd(), uuid.uuid4().hex
    (folder / SHARED).mkdir(parents=True, exist_ok=True)
    shared: SharedFolder | Storage = SharedFolder(folder, folder / SHARED / f"mark-{name}")
    if address := storage_address():
        shared = Storage(address, name)
    shared.open()
    try:
        yield Setup(CODE, versions(), shared)
    finally:
        shared.close()


def workers_of(address: str) -> int:
    """The number of workers that the scheduler at `address` has now."""
    return _number_of_workers(connected(address)) or 1


def _number_of_workers(client: Client) -> int | None:
    """None where the scheduler does not answer."""
    with suppress(OSError, TimeoutError):
        return len(client.nthreads())
    return None


def map_on_cluster(
    address: str,
    function: Callable[[Any], Any],
    items: Sequence[Any],
    description: str,
    at_once: int | None = None,
    files: Callable[[Any], Files] | None = None,
) -> list[Any]:
    """[function(item) for item in items], in that order, on the workers of a scheduler.

    at_once: how many items are computed at once at the most; None: as many as there are workers.
    files: those of an item, for workers that do not see them.
    What a worker was at when it ended is computed by another one. Raises StudyError as `connected`
    does, where the scheduler or all workers are gone for long, and for an item that ended every
    worker that was at it; and what `function` raises.
    """
    connected(address)
    with ExitStack() as stack:
        setup = stack.enter_context(_setup())
        work, jobs = setup.shared.given(function, items, files)
        bar = stack.enter_context(counted(description, len(items)))
        file = Path.cwd() / SHARED / f"map-{uuid.uuid4().hex}"
        try:
            of_function, *of_items = write_pickles(file, [work, *jobs], setup.shared.reducers())
            share = partial(Task, setup.shared.send(file), of_function)
            size = -(-len(items) // MOST_TASKS)
            starts = range(0, len(items), size)
            tasks = [share(tuple(of_items[start : start + size])) for start in starts]
            run = _Run(address, setup, description, bar)
            results = run.results_of(tasks, at_once or len(tasks))
            for number in sorted(results.keys() ^ set(range(len(tasks)))):
                # One of its items ends workers, or stood beside one that does.
                results[number] = []
                for place, item in enumerate(tasks[number].items, starts[number]):
                    alone = run.results_of([share((item,))], 1)
                    if not alone:
                        raise StudyError(_poisoned(description, place, items))
                    results[number] += alone[0]
        finally:
            file.unlink(missing_ok=True)
    return [result for number in range(len(tasks)) for result in results[number]]


def _poisoned(description: str, place: int, items: Sequence[Any]) -> str:
    item = items[place]
    name = getattr(item, "key", None) or getattr(item, "name", None) or item
    return (
        f"{description}: item {place + 1:,} of {len(items):,}, {quoted(name)}, ended every worker "
        "that computed it, as the system does where memory runs out; give workers more memory, or "
        "leave that item out"
    )


class _Run:
    """Tasks at work on a cluster, until they are done or cannot be."""

    def __init__(self, address: str, setup: Setup, description: str, bar: Any) -> None:
        self._address, self._setup, self._bar = address, setup, bar
        self._description = description
        self._name = re.sub(r"\W+", "_", description)  # in Dask's dashboard
        self._running: dict[int, Future] = {}
        self._ended: SimpleQueue[tuple[int, Future]] = SimpleQueue()

    def results_of(self, tasks: Sequence[Task], at_once: int) -> dict[int, list[Any]]:
        """{place of a task: its results}, without those that ended the workers at them."""
        client = connected(self._address)
        connection = client.scheduler_comm
        results: dict[int, list[Any]] = {}
        waiting = deque(range(len(tasks)))
        looked = seen = time.monotonic()
        try:
            while waiting or self._running:
                while waiting and len(self._running) < at_once:
                    self._submit(client, number := waiting.popleft(), tasks[number])
                ended = self._those_ended()
                for number, outcome in zip(ended, _outcomes(client, ended.values()), strict=True):
                    del self._running[number]
                    if outcome is None:
                        waiting.appendleft(number)
                    elif not isinstance(outcome, KilledWorker):
                        receive = self._setup.shared.receive
                        results[number] = [receive(cloudpickle.loads(each)) for each in outcome]
                        self._bar.update(len(outcome))
                if client.status != "running" or client.scheduler_comm is not connection:
                    # Dask cancels what was at work, and loses what was just being submitted.
                    waiting.extendleft(sorted(self._running, reverse=True))
                    self._running.clear()
                    self._wait_for_scheduler(client)
                    connection = client.scheduler_comm
                if (now := time.monotonic()) - looked >= LOOK_S:
                    looked, workers = now, _number_of_workers(client)
                    seen = now if workers else seen
                    self._bar.set_postfix_str(count(workers or 0, "worker"))
                    if now - seen > NO_WORKER_S:
                        raise StudyError(_no_worker(self._address))
        finally:
            self._end(client)
        return results

    def _submit(self, client: Client, number: int, task: Task) -> None:
        key = f"{self._name}-{uuid.uuid4().hex}"
        future = client.submit(compute, task, self._setup, key=key, pure=False)
        self._running[number] = future
        future.add_done_callback(lambda ended: self._ended.put((number, ended)))

    def _those_ended(self) -> dict[int, Future]:
        """The tasks that have ended since, by their places; waits for a while where none has."""
        found = []
        with suppress(Empty):
            found.append(self._ended.get(timeout=LOOK_S))
            while True:
                found.append(self._ended.get_nowait())
        # Some may be of before a connection was lost.
        return {number: future for number, future in found if self._running.get(number) is future}

    def _wait_for_scheduler(self, client: Client) -> None:
        """Wait while the client connects anew, which it does for CONNECT_S."""
        while client.status == "connecting":
            time.sleep(LOOK_S / 10)
        if client.status != "running":
            raise StudyError(
                f"STUDY_CLUSTER: the scheduler at {self._address} has gone while it computed "
                f"{self._description}; start it and its workers and run the stage again, or unset "
                "STUDY_CLUSTER"
            )

    def _end(self, client: Client) -> None:
        """Stop what runs still, which would go on writing else.

        A thread cannot be stopped, but its process can, where a nanny starts another one.
        """
        keys = {future.key for future in self._running.values()}
        if not keys or client.status != "running":
            return
        with suppress(Exception):  # the reason for the end is what is to be said
            at_work = client.processing()
            client.cancel(list(self._running.values()))
            known = client.scheduler_info(n_workers=-1)["workers"]
            busy = [each for each, theirs in at_work.items() if keys & set(theirs)]
            kept_alive = [each for each in busy if known.get(each, {}).get("nanny")]
            if kept_alive:
                client.run(
                    signal.raise_signal, signal.SIGKILL, workers=kept_alive, on_error="ignore"
                )
        self._running.clear()


def _outcomes(
    client: Client, futures: Collection[Future]
) -> Iterator[list[bytes] | KilledWorker | None]:
    """Of each task its results, or that it ended every worker at it; None where they were lost.

    Raises what a task has raised.
    """
    finished = [future for future in futures if future.status == "finished"]
    try:  # all of them at once, which takes about as long as one
        results = dict(zip(finished, client.gather(finished), strict=True))
    except Exception:  # a worker has ended before its results were here, or the scheduler has
        results = {}
    for future in futures:
        yield results[future] if future in results else _outcome(future)


def _outcome(future: Future) -> list[bytes] | KilledWorker | None:
    if future.status == "finished":
        try:
            return future.result()
        except Exception:
            if future.status != "error":
                return None
    if future.status != "error":
        return None
    error = future.exception()
    if isinstance(error, KilledWorker):
        return error
    if isinstance(error, ModuleNotFoundError) and str(error.name).startswith("stages"):
        raise StudyError(f"a worker {_no_code(error)}")
    raise error.with_traceback(future.traceback())
