"""Maps on a Dask cluster: a scheduler and worker processes on this machine.

What a run finds is that of a run without a cluster, byte for byte, also where workers are killed;
and what cannot go on is said in one line.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

pytest.importorskip("distributed")

from stages.core.runtime import cluster
from stages.core.runtime.errors import StudyError
from stages.core.runtime.parallel import available_workers, parallel_map
from stages.core.runtime.pickles import LEAST_MAPPED_BYTES, load_pickle, write_pickles
from stages.core.vision import shards
from stages.persistence import persistence
from tests import test_embed
from tests.conftest import write_embeddings
from tests.stages import invoke
from tests.study import ROOT, dvc, family, metrics

PATIENCE_S = 150
WORKERS = 3
# One worker that is killed may be a coincidence, two are not: what takes the fewest restarts.
SETTINGS = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1"}


# Processes of Dask


class Dask:
    """A scheduler and workers of it, which are killed at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.printed = folder / "dask.printed"
        self._started: list[psutil.Popen] = []

    def start(self, *arguments: str, code: Path = ROOT, before: tuple[str, ...] = ()) -> None:
        """Run `python -m dask` in the folder, with the code of the study that lies in `code`."""
        with self.printed.open("ab") as out:
            process = psutil.Popen(
                [*before, sys.executable, "-m", "dask", *arguments],
                cwd=self.folder,
                env=os.environ | SETTINGS | {"PYTHONPATH": str(code)},
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._started.append(process)

    def schedule(self, port: int = 0, host: str = "127.0.0.1") -> str:
        """Start a scheduler; return its address."""
        before = self._text().count("Scheduler at:")
        self.start("scheduler", "--no-dashboard", "--host", host, "--port", str(port))
        self.wait_for(lambda: self._text().count("Scheduler at:") > before)
        return self._text().split("Scheduler at:")[-1].split()[0]

    def work(self, address: str, workers: int = 1, **given: Any) -> None:
        """Start workers, one process each under the watch of another one."""
        local = ("--local-directory", str(self.folder / "local"), "--no-dashboard")
        many = ("--nworkers", str(workers), "--nthreads", "1")
        self.start("worker", address, *many, *local, **given)

    def kill(self, number: int = 0) -> None:
        """Kill what was started, by its place in order."""
        for each in family(self._started[number]):
            each.kill()
        self._started[number].wait()

    def close(self) -> None:
        for number in range(len(self._started)):
            self.kill(number)

    def wait_for(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, self._text()
            time.sleep(0.05)

    def _text(self) -> str:
        return self.printed.read_text() if self.printed.exists() else ""


@contextmanager
def started(folder: Path) -> Iterator[Dask]:
    folder.mkdir(parents=True, exist_ok=True)
    dask = Dask(folder)
    try:
        yield dask
    finally:
        dask.close()


def disconnect() -> None:
    """Close what this process has open to schedulers."""
    for client in cluster._clients.values():
        client.close()
    cluster._clients.clear()


@pytest.fixture(scope="module")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a scheduler with three workers, which come back where they are killed."""
    with started(tmp_path_factory.mktemp("dask")) as dask:
        address = dask.schedule()
        dask.work(address, workers=WORKERS)
        yield address
        disconnect()


@pytest.fixture
def on_cluster(
    shared_cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Work in an empty folder, on the workers of the cluster."""
    use(shared_cluster, tmp_path / "study", monkeypatch)
    wait_for_workers(shared_cluster)
    yield shared_cluster
    assert not list((tmp_path / "study" / cluster.SHARED).iterdir())  # nothing is left behind


def use(address: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("STUDY_CLUSTER", address)


def wait_for_workers(address: str, number: int = WORKERS) -> None:
    cluster.connected(address).wait_for_workers(number, timeout=PATIENCE_S)


# Items


def pid_of(_item: int) -> int:
    time.sleep(0.05)
    return os.getpid()


def end_a_worker_once(folder: Path, item: int) -> int:
    """Kill the own process at the item 5, the first time."""
    if item == 5:
        try:
            (folder / "killed").touch(exist_ok=False)
        except FileExistsError:
            return item
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def end_every_worker(item: str) -> str:
    if item == "striped":
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def wait_and_write(folder: Path, item: int) -> None:
    (folder / f"begun_{item}").touch()
    time.sleep(3)
    (folder / f"ended_{item}").touch()


def refuse(item: int) -> int:
    if item == 2:
        raise StudyError("item 2: too large; make it smaller")
    return item


def fill_the_disk(item: int) -> int:
    raise OSError(28, "No space left on device", "data/shards/1.npy")


def slowly(item: int) -> int:
    time.sleep(0.5)
    return item


def described(item: tuple[np.ndarray, Path]) -> tuple[float, str, bool, str | None]:
    array, relative = item
    text = relative.read_text()
    return float(array.sum()), text, array.flags.writeable, os.environ.get("STUDY_CLUSTER")


# A map


def test_results_are_in_order_and_of_the_workers(
    on_cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert available_workers() == WORKERS
    monkeypatch.setattr(cluster, "MOST_TASKS", 20)  # for 101 items: tasks of 6, and one of 5
    assert parallel_map(abs, range(-101, 0), "counting") == list(range(101, 0, -1))
    pids = set(parallel_map(pid_of, range(12), "pids"))
    assert len(pids) == WORKERS
    assert os.getpid() not in pids
    assert parallel_map(abs, [], "nothing") == []


def test_a_task_is_given_arrays_closures_and_relative_paths(on_cluster: str) -> None:
    Path("noted.txt").write_text("noted")
    large = np.arange(LEAST_MAPPED_BYTES // 8, dtype=np.float64)
    small = np.ones(10)
    items = [(large, Path("noted.txt")), (large, Path("noted.txt")), (small, Path("noted.txt"))]
    found = parallel_map(described, items, "describing")
    assert found == [(large.sum(), "noted", False, None)] * 2 + [(10.0, "noted", True, None)]
    factor = 3
    assert parallel_map(lambda item: item * factor, [1, 2], "closure") == [3, 6]


def test_a_file_holds_an_array_once(tmp_path: Path) -> None:
    large = np.random.default_rng(0).standard_normal((2, LEAST_MAPPED_BYTES // 8))
    objects = [("a", large), ("b", large, large.T), [large[0]], None]
    addresses = write_pickles(tmp_path / "file", objects)
    assert (tmp_path / "file").stat().st_size < 1.01 * large.nbytes + large[0].nbytes
    for given, address in zip(objects, addresses, strict=True):
        found = load_pickle(tmp_path / "file", address)
        assert type(found) is type(given)
        np.testing.assert_equal(found, given)


def test_a_terminal_is_told_how_many_workers_have_done_how_much(
    on_cluster: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr("stages.core.runtime.progress.on_terminal", lambda: True)
    parallel_map(slowly, range(9), "waiting")
    last = capsys.readouterr().err.rstrip().rpartition("\r")[2]
    assert re.fullmatch(r"waiting: 100%\|.*\| 9/9 \[.*, 3 workers\]", last)


def test_what_a_worker_was_at_is_computed_again(on_cluster: str) -> None:
    work = partial(end_a_worker_once, Path.cwd())
    assert parallel_map(work, range(20), "counting") == list(range(20))
    assert Path("killed").exists()


def test_an_item_that_ends_every_worker_is_named(on_cluster: str) -> None:
    names = ["banded", "dotted", "striped", "grid"]
    with pytest.raises(StudyError) as raised:
        parallel_map(end_every_worker, names, "loops")
    assert str(raised.value) == (
        "loops: item 3 of 4, 'striped', ended every worker that computed it, as the system does "
        "where memory runs out; give workers more memory, or leave that item out"
    )
    wait_for_workers(on_cluster)
    assert parallel_map(abs, [-1], "counting") == [1]


@pytest.mark.parametrize(
    ("function", "error", "said"),
    [
        (refuse, StudyError, "item 2: too large; make it smaller"),
        (fill_the_disk, OSError, "No space left on device: 'data/shards/1.npy'"),
    ],
)
def test_what_a_task_raises_is_raised_here(
    function: object, error: type[Exception], said: str, on_cluster: str
) -> None:
    with pytest.raises(error, match=said):
        parallel_map(function, [1, 2, 3], "counting")


def test_a_shared_folder_that_is_full_is_named(
    on_cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("stages.core.runtime.pickles._append", full)
    with pytest.raises(OSError, match=r"No space left on device: '/.*/study/\.dvc/tmp/cluster/map"):
        parallel_map(abs, [1], "counting")


def test_ctrl_c_stops_what_workers_do(on_cluster: str) -> None:
    def interrupt() -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not list(Path.cwd().glob("begun_*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        parallel_map(partial(wait_and_write, Path.cwd()), range(WORKERS), "waiting")
    thread.join()
    wait_for_workers(on_cluster)
    time.sleep(3)  # as long as a task takes
    assert list(Path.cwd().glob("begun_*"))
    assert not list(Path.cwd().glob("ended_*"))


# A stage


@pytest.fixture
def embeddings(tmp_path: Path) -> Path:
    """Four classes of 30 images in 32 dimensions, at three levels."""
    generator = np.random.default_rng(0)
    labels = [name for name in ("banded", "dotted", "grid", "striped") for _ in range(30)]
    clouds = {
        (level, draw): generator.standard_normal((120, 32))
        for level, draws in ((0.0, 1), (0.5, 2), (1.0, 2))
        for draw in range(draws)
    }
    return write_embeddings(tmp_path / "embeddings", clouds, labels, np.eye(4, 32))


def diagrams(embeddings: Path, folder: Path) -> dict[str, bytes]:
    """{path: bytes} of all that persistence writes into a folder."""
    shutil.copytree(embeddings, folder / "data" / "embeddings")
    done = invoke(persistence, folder, "--points-overall", "60")
    assert done.exit_code == 0, done.output
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


@contextmanager
def a_worker_killed(address: str, during: str) -> Iterator[None]:
    """Kill a worker once it computes a map of that description."""
    client = cluster.connected(address)
    pids = client.run(os.getpid)
    killed = []

    def kill() -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not killed and time.monotonic() < deadline:
            for worker, tasks in client.processing().items():
                if worker in pids and any(during in key for key in tasks):
                    os.kill(pids[worker], signal.SIGKILL)
                    killed.append(worker)
                    return
            time.sleep(0.01)

    thread = threading.Thread(target=kill)
    thread.start()
    yield
    thread.join()
    assert killed


def test_diagrams_are_the_same_bytes_where_a_worker_is_killed(
    embeddings: Path, tmp_path: Path, on_cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_worker_killed(on_cluster, "diagrams"):
        found = diagrams(embeddings, tmp_path / "with")
    monkeypatch.delenv("STUDY_CLUSTER")
    assert found == diagrams(embeddings, tmp_path / "without")
    assert len([name for name in found if name.startswith("data/diagrams")]) == 3


def test_embeddings_are_the_same_bytes_where_a_worker_is_killed(
    tmp_path: Path, on_cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_embed, "PER_CLASS", 30)
    monkeypatch.setattr(shards, "IMAGES_ON_CPU", 16)  # six shards
    source = test_embed.write_source(tmp_path / "source")

    def embedded(name: str) -> dict[str, bytes]:
        out = tmp_path / name
        done = test_embed.run(source, out)
        assert done.exit_code == 0, done.output
        return {file.name: file.read_bytes() for file in (out / "embeddings").iterdir()}

    with a_worker_killed(on_cluster, "embed"):
        found = embedded("with")
    monkeypatch.delenv("STUDY_CLUSTER")
    assert found == embedded("without")
    assert "text.npy" in found


@pytest.mark.slow
def test_a_study_on_a_cluster_is_the_study(
    tiny_study: Path, tmp_path: Path, shared_cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every stage but those that train, run anew."""
    study = shutil.copytree(tiny_study, tmp_path / "study")
    expected = metrics(study), (study / "dvc.lock").read_bytes()
    use(shared_cluster, study, monkeypatch)
    for stage in ("fetch", "embed", "project", "persistence", "distances", "loops", "claims"):
        dvc(study, "repro", "--force", "--single-item", stage)
    assert (metrics(study), (study / "dvc.lock").read_bytes()) == expected  # of every output


# What cannot go on


@pytest.mark.parametrize("address", ["here", "tcp://here", "http://here:8786", "tcp://:8786x"])
def test_an_address_that_is_none_is_refused(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(address, tmp_path, monkeypatch)
    with pytest.raises(StudyError, match=rf"STUDY_CLUSTER: '{address}' is no address of a Dask "):
        parallel_map(abs, [1], "counting")


def test_a_scheduler_that_does_not_answer_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use("tcp://127.0.0.1:1", tmp_path, monkeypatch)
    monkeypatch.setattr(cluster, "CONNECT_S", 0.5)
    with pytest.raises(
        StudyError, match=r"STUDY_CLUSTER: no Dask scheduler answers at tcp://127.0.0.1:1 .*; start"
    ):
        parallel_map(abs, [1], "counting")


def test_a_cluster_without_the_package_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "distributed.py").write_text("raise ModuleNotFoundError(name='distributed')")
    code = "from stages.core.runtime.parallel import parallel_map; parallel_map(abs, [1], 'a')"
    environment = os.environ | {
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}",
        "STUDY_CLUSTER": "tcp://127.0.0.1:1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert "distributed is not installed; run pip install -e '.[cluster]'" in done.stderr


def test_a_local_run_does_not_import_dask() -> None:
    code = (
        "import sys; from stages.core.runtime.parallel import parallel_map\n"
        "parallel_map(abs, [1], 'a', workers=1)\n"
        "assert not {'dask', 'distributed'} & set(sys.modules)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "STUDY_CLUSTER"}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)


def test_a_scheduler_that_vanishes_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "CONNECT_S", 2.0)
    with started(tmp_path / "dask") as dask:
        address = dask.schedule()
        dask.work(address)
        use(address, tmp_path / "study", monkeypatch)
        wait_for_workers(address, 1)
        timer = threading.Timer(1.0, dask.kill)
        timer.start()
        with pytest.raises(
            StudyError, match=r"the scheduler at .* has gone while it computed wait"
        ):
            parallel_map(slowly, range(20), "waiting")
        timer.join()


@pytest.mark.slow
def test_a_scheduler_that_comes_back_is_given_what_was_not_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started(tmp_path / "dask") as dask:
        address = dask.schedule()
        dask.work(address)
        use(address, tmp_path / "study", monkeypatch)
        wait_for_workers(address, 1)

        def restart() -> None:
            dask.close()
            assert dask.schedule(port=int(address.rpartition(":")[2])) == address
            dask.work(address)

        timer = threading.Timer(1.2, restart)
        timer.start()
        assert parallel_map(slowly, range(6), "waiting") == list(range(6))
        timer.join()


@pytest.mark.slow
def test_a_cluster_without_workers_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "NO_WORKER_S", 2.0)
    with started(tmp_path / "dask") as dask:
        address = dask.schedule()
        use(address, tmp_path / "study", monkeypatch)
        said = r"has had no worker for 2 s; start workers in the folder and the Python environment"
        with pytest.raises(StudyError, match=said):
            parallel_map(abs, [1], "counting")
        dask.work(address)
        with monkeypatch.context() as patient:
            patient.setattr(cluster, "NO_WORKER_S", PATIENCE_S)
            wait_for_workers(address, 1)
        timer = threading.Timer(1.0, dask.kill, [1])
        timer.start()
        with pytest.raises(StudyError, match=said):
            parallel_map(slowly, range(20), "waiting")
        timer.join()


# A link


NETWORK = "study-test"
HERE, THERE = "10.213.77.1", "10.213.77.2"


@pytest.fixture
def another_network() -> Iterator[tuple[str, ...]]:
    """The words before a command that runs it in another network, at the other end of a link."""

    def ip(*arguments: str) -> bool:
        return subprocess.run(["ip", *arguments], capture_output=True).returncode == 0

    if not shutil.which("ip") or not ip("netns", "add", NETWORK):
        pytest.skip("needs the permission to make network namespaces")
    inside = ("netns", "exec", NETWORK)
    try:
        assert ip("link", "add", "study0", "type", "veth", "peer", "name", "study1")
        assert ip("link", "set", "study1", "netns", NETWORK)
        assert ip("address", "add", f"{HERE}/30", "dev", "study0")
        assert ip(*inside, "ip", "address", "add", f"{THERE}/30", "dev", "study1")
        assert ip("link", "set", "study0", "up")
        assert ip(*inside, "ip", "link", "set", "study1", "up")
        assert ip(*inside, "ip", "link", "set", "lo", "up")
        yield ("ip", *inside)
    finally:
        ip("netns", "delete", NETWORK)
        ip("link", "delete", "study0")


@pytest.mark.slow
def test_a_link_that_goes_down_and_comes_back(
    another_network: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the worker behind it was at is computed by the other one.

    A worker that has lost its scheduler ends itself; what started it starts another one.
    """
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP", "12s")  # in place of 30
    joined = threading.Event()
    with started(tmp_path / "dask") as dask:
        address = dask.schedule(host=HERE)
        dask.work(address)
        dask.work(address, before=another_network)
        use(address, tmp_path / "study", monkeypatch)
        wait_for_workers(address, 2)
        client = cluster.connected(address)

        def link(state: str) -> None:
            # The other end: with its own end this machine would lose its address.
            subprocess.run([*another_network, "ip", "link", "set", "study1", state], check=True)

        def down_and_up() -> None:
            time.sleep(2)
            link("down")
            dask.wait_for(lambda: len(client.nthreads()) == 1)
            link("up")
            dask.work(address, before=another_network)
            dask.wait_for(lambda: len(client.nthreads()) == 2)
            joined.set()

        thread = threading.Thread(target=down_and_up)
        thread.start()
        assert parallel_map(slowly, range(100), "waiting") == list(range(100))
        thread.join()
        assert joined.is_set()
        assert len(set(parallel_map(pid_of, range(6), "pids"))) == 2


# Workers that would find something else


def test_a_worker_of_other_code_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that comes while a map is at work, and one that has no code at all."""
    other = tmp_path / "other"
    shutil.copytree(ROOT / "stages", other / "stages")
    with (other / "stages" / "loops.py").open("a") as file:
        file.write("# A change.\n")
    (tmp_path / "none").mkdir()
    with started(tmp_path / "dask") as dask:
        address = dask.schedule()
        dask.work(address)
        use(address, tmp_path / "study", monkeypatch)
        wait_for_workers(address, 1)
        assert parallel_map(abs, [-1], "counting") == [1]
        dask.work(address, code=other)
        said = rf"worker tcp://\S+: has other code in {other}/stages; use one commit, and restart"
        with pytest.raises(StudyError, match=said):
            parallel_map(slowly, range(60), "waiting")
        dask.kill(2)
        cluster._clients.pop(address).close()
        dask.work(address, code=tmp_path / "none")
        client = cluster.Client(address, set_as_default=False)
        client.wait_for_workers(2, timeout=PATIENCE_S)
        client.close()
        said = r"worker tcp://\S+: cannot load the study's code .*No module named 'stages'.*; start"
        with pytest.raises(StudyError, match=said):
            parallel_map(abs, [-1], "counting")


class FakeWorker:
    """As much of a worker as is looked at."""

    def __init__(self, threads: int) -> None:
        self.state = self
        self.nthreads = threads


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        ({"code": "other"}, "has other code in .*; use one commit"),
        ({"versions": ("numpy", "1.0")}, r"has numpy 2\.\S+, and the study 1.0; install"),
        ({"versions": ("Python", "3.10")}, r"has Python 3\.1\d, and the study 3.10; install"),
        ({"threads": 4}, "computes 4 tasks at once in one process; start it with --nthreads 1"),
        ({"mark": "nowhere/mark"}, "does not see /.*nowhere, or not what others write there; put"),
        ({"loaded": "older"}, "has loaded the code before it was changed; restart it"),
    ],
)
def test_a_worker_that_differs_is_told_how_to_be_fixed(
    change: dict, said: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / change.get("mark", "mark")
    (tmp_path / "mark").touch()
    versions = dict(cluster.versions())
    if "versions" in change:
        versions |= [change["versions"]]
    shared = cluster.SharedFolder(tmp_path, mark)
    setup = cluster.Setup(change.get("code", cluster.CODE), tuple(versions.items()), shared)
    if "loaded" in change:
        monkeypatch.setattr(cluster, "CODE", change["loaded"])
    fault = cluster.fault_of_worker(setup, FakeWorker(change.get("threads", 1)))
    if said is None:
        assert fault is None
    else:
        assert re.match(said, fault)
