"""Runs that are killed, and runs that wait in a queue.

A kill comes at a random moment of a stage's work. Time would depend on the machine, so that the
moment is told by what the stage has done. DVC's own work before and after a stage is spared: it
writes dvc.lock in place.
"""

import io
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import yaml
from click.testing import CliRunner

from stages.core.runtime.command import stage as as_stage
from stages.core.runtime.errors import StudyError
from stages.core.runtime.interruption import (
    THREADS_OF_A_POOL,
    deaf_children,
    interruptible,
    postponed_interrupt,
)
from stages.core.runtime.parallel import parallel_map
from stages.core.runtime.params import Section
from tests.study import (
    ROOT,
    commit_all,
    dvc,
    family,
    git,
    metrics,
    stages_run,
    stale_stages,
    started,
)

# preflight is over at once and leaves its files in place; pretrain, which takes long, is killed
# in test_pretrain.py. Of the stages that draw one stands for all.
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
STAGES = [
    stage
    for stage in PIPELINE
    if stage not in ("preflight", "pretrain") and not stage.startswith("draw_")
]
STAGES.append("draw_angles")
WITH_WORKERS = ("fetch", "project", "persistence", "distances", "loops")
# Every stage is killed once in a round; more rounds, which differ, are asked for by hand.
ROUNDS = int(os.environ.get("INTERRUPTION_ROUNDS", "1"))
PYTHON_STARTS_S = 0.1  # of processor time at most, before any code of the study runs
PATIENCE_S = 300


@pytest.mark.slow
def test_a_killed_study_completes_as_an_unbroken_one(tiny_study: Path, tmp_path: Path) -> None:
    """Stages get Ctrl-C and SIGKILL in turns, and in the next round the other one."""
    study = shutil.copytree(tiny_study, tmp_path / "study")
    expected = metrics(study)
    for seed in range(ROUNDS):
        random = np.random.default_rng(seed)
        for stage in STAGES:  # which a comment makes run again, to the same result
            script = f"{stage.partition('_')[0]}.py"
            with (study / "stages" / script).open("a") as source:
                source.write(f"# {seed}\n")
        numbers = [(signal.SIGINT, signal.SIGKILL)[(i + seed) % 2] for i in range(len(STAGES))]
        kills = [kill(study, *each, random) for each in zip(STAGES, numbers, strict=True)]
        print(*kills, sep="\n")
        dvc(study, "repro")
        assert metrics(study) == expected, kills
        assert not unfinished(study), kills
        assert stages_run(dvc(study, "repro")) == ["preflight"]
        assert sum("too late" in each for each in kills) < len(STAGES) / 2, kills


def kill(study: Path, stage: str, number: signal.Signals, random: np.random.Generator) -> str:
    """Start 'dvc repro', kill it at a random moment of a stage, and say what was done.

    Ctrl-C in a terminal reaches every process, and so does SIGKILL here or hits the stage
    alone, as where memory runs out, or DVC alone. Whatever was hit, nothing may live on.
    """
    command = PIPELINE[stage]["cmd"].split()[1:]  # after 'python'
    outs = [
        study / path
        for out in PIPELINE[stage]["outs"]
        for path in ([out] if isinstance(out, str) else out)
    ]
    moments = {
        "as it imports": lambda: sum(worker.cpu_times()[:2]) > PYTHON_STARTS_S,
        "as its workers work": lambda: len(family(worker)) > 1,
        "as it writes": lambda: bool(unfinished(study)),
        "once it has written": lambda: all(out.exists() for out in outs),
    }
    if stage not in WITH_WORKERS:
        del moments["as its workers work"]
    moment = random.choice(list(moments))
    targets = ["all", "stage"] + ["dvc"] * (number == signal.SIGKILL)  # which ignores Ctrl-C
    target = random.choice(targets)
    pause_s = random.uniform(0, 0.5) if moment != "once it has written" else 0
    what = f"{number.name} to {target} in {stage} {moment} and {pause_s:.2f} s later"
    with started(study, sys.executable, "-m", "dvc", "repro", stage) as (process, printed):
        wait_until(lambda: running(process, command) or not alive(process), what)
        worker = running(process, command)
        assert worker, f"{what}: it does not run\n{printed.read_text()}"
        wait_until(lambda: not alive(worker) or moments[moment](), what)
        time.sleep(pause_s)
        everyone = family(process)
        if alive(worker):
            if target == "all":
                os.killpg(process.pid, number)
            else:
                (worker if target == "stage" else process).send_signal(number)
        wait_until(lambda: not any(map(alive, everyone)), f"{what}: some process lives on")
        if process.wait() == 0:
            return f"{what}: too late"
    if number == signal.SIGINT:
        assert "Traceback" not in printed.read_text(), f"{what}\n{printed.read_text()}"
        assert not unfinished(study), what
    return what


def unfinished(study: Path) -> list[Path]:
    """What a stage has begun to write, or has left behind."""
    found = [path for name in ("data", "metrics", "plots") for path in (study / name).rglob(".*")]
    return [path for path in found if path.name.endswith(("unfinished", "replaced"))]


def running(process: psutil.Process, command: list[str]) -> psutil.Process | None:
    """The process of a stage's command, among those that `process` started."""
    for each in family(process)[1:]:
        try:
            if each.cmdline()[1:] == command:
                return each
        except psutil.Error:
            continue
    return None


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until(condition: Callable[[], object], what: str, every_s: float = 0.005) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(every_s)


# A stage and its workers


def kill_a_worker(item: int) -> int:
    if item == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def test_a_killed_worker_is_said_in_one_line() -> None:
    assert parallel_map(abs, [-1, -2], "counting", workers=2) == [1, 2]
    with pytest.raises(StudyError, match=r"counting: one of 2 processes was killed, .*; free some"):
        parallel_map(kill_a_worker, range(4), "counting", workers=2)
    assert parallel_map(abs, [-1, -2], "counting", workers=2) == [1, 2]


class Interrupted:
    """An object that receives Ctrl-C while it is destroyed."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("lost", [False, True])
def test_ctrl_c_in_a_stage_ends_it_with_one_line(lost: bool, tmp_path: Path) -> None:
    class NoParams(Section):
        name = "nothing"

    @as_stage(NoParams)
    def interrupted(params: NoParams) -> None:
        """Wait for Ctrl-C."""
        if lost:  # Python ignores what is raised in a destructor
            Interrupted()
        else:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(PATIENCE_S)

    before = signal.getsignal(signal.SIGINT), sys.unraisablehook
    (tmp_path / "params.yaml").write_text("nothing: {}")
    parallel_map(abs, [-1, -2], "counting", workers=2)  # which leaves a pool for later work
    done = CliRunner().invoke(interrupted, ["--params", str(tmp_path / "params.yaml")])
    assert done.exit_code == 130
    assert done.output == "Interrupted; nothing half-made is left. Run the stage again\n"
    assert (signal.getsignal(signal.SIGINT), sys.unraisablehook) == before
    assert not {thread.name for thread in threading.enumerate()} & set(THREADS_OF_A_POOL)


@pytest.mark.parametrize("start", [deaf_children, postponed_interrupt])
@pytest.mark.parametrize("heard_by", ["this thread", "another thread", "any thread"])
def test_ctrl_c_waits_for_what_must_not_be_broken_off(
    start: Callable[[], AbstractContextManager], heard_by: str
) -> None:
    """A signal to the process is heard by any thread that does not block it."""
    done, over = [], threading.Event()
    other = threading.Thread(target=over.wait)  # which blocks no signal
    other.start()
    arrived, wakeup = socket.socketpair()
    wakeup.setblocking(False)

    def work() -> None:
        with start():
            if heard_by == "this thread":
                signal.raise_signal(signal.SIGINT)
            elif heard_by == "another thread":
                signal.pthread_kill(other.ident, signal.SIGINT)
                arrived.recv(1)
            else:
                os.kill(os.getpid(), signal.SIGINT)
                arrived.recv(1)
            done.append("all of it")
        done.append("more")

    with arrived, wakeup:
        before = signal.set_wakeup_fd(wakeup.fileno())
        try:
            with interruptible(), pytest.raises(KeyboardInterrupt):
                work()
        finally:
            signal.set_wakeup_fd(before)
            over.set()
            other.join()
    assert done == ["all of it"]


def test_ignored_ctrl_c_stays_ignored_while_workers_start() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interruptible(), deaf_children():
            os.kill(os.getpid(), signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


STARTING = """
import os
os.environ["OPENBLAS_NUM_THREADS"] = "2"  # a thread of its own, which hears signals
import time
from pathlib import Path
import numpy as np
from stages.core.runtime.command import stage
from stages.core.runtime.parallel import parallel_map
from stages.core.runtime.params import Section

np.ones((300, 300)) @ np.ones((300, 300))  # starts that thread

class NoParams(Section):
    name = "nothing"

def wait(item):
    time.sleep(0.05)

@stage(NoParams)
def nothing(params):
    Path("running").touch()
    for _ in range(1000):
        parallel_map(wait, range(6), "waiting", workers=2)

if __name__ == "__main__":
    nothing()
"""


@pytest.mark.slow
def test_ctrl_c_while_workers_start_is_one_line(tmp_path: Path) -> None:
    study = tmp_path / "study"
    study.mkdir()
    (study / "starting.py").write_text(STARTING)
    (study / "params.yaml").write_text("nothing: {}")
    for seed in range(10 * ROUNDS):
        random = np.random.default_rng(seed)
        processes, pause_s = random.integers(1, 5), random.uniform(0, 0.2)
        what = f"{pause_s:.3f} s after {processes} processes, of seed {seed}"
        code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import runpy; "
        code += "runpy.run_path('starting.py', run_name='__main__')"
        with started(study, sys.executable, "-c", code) as (process, printed):
            ready = partial(lambda count, of: len(family(of)) >= count, processes, process)
            wait_until((study / "running").exists, what)
            wait_until(ready, what)
            time.sleep(pause_s)
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to workers too
            assert process.wait(PATIENCE_S) == 130, f"{what}\n{printed.read_text()}"
            expected = "Interrupted; nothing half-made is left. Run the stage again\n"
            assert printed.read_text() == expected, what
        (study / "running").unlink()


ENDING = """
import os, sys, time
from subprocess import Popen
from stages.core.runtime.interruption import end_with

if sys.argv[1:] == ["child"]:
    end_with(os.getppid())
    print("started", flush=True)
else:
    Popen([sys.executable, "ending.py", "child"])
time.sleep(300)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux does it")
def test_a_process_ends_with_the_one_that_started_it(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    folder.mkdir()
    (folder / "ending.py").write_text(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{ENDING}")
    with started(folder, sys.executable, "ending.py") as (process, printed):
        wait_until(lambda: "started" in printed.read_text(), "no child")
        (child,) = family(process)[1:]
        process.kill()
        wait_until(lambda: not alive(child), "the child lives on")


# The queue


@pytest.mark.slow
def test_queued_experiments_do_not_disturb_each_other(tiny_study: Path, tmp_path: Path) -> None:
    study = shutil.copytree(tiny_study, tmp_path / "study")
    commit_all(study)
    before = metrics(study)
    dvc(study, "exp", "run", "--queue", "-S", "angles.rank=1,2")
    dvc(study, "exp", "run", "--queue", "--name", "other", "-S", "classify.confidence=0.5")
    dvc(study, "queue", "start", "-j", "1")
    wait_until(lambda: ended(dvc(study, "queue", "status")), "the queue does not end", every_s=1)
    assert metrics(study) == before  # none of it ran in the workspace
    assert not git(study, "status", "--porcelain")

    column = "metrics/angles.json:noise_1.00.mean_deg_mean"
    shown = pd.read_csv(io.StringIO(dvc(study, "exp", "show", "--csv", "--sort-by", column)))
    shown = shown[shown["State"] == "Success"]
    assert sorted(shown["angles.rank"]) == [1, 2, 3]
    assert shown["noise_1.00.mean_deg_mean"].is_monotonic_increasing
    for name in shown["Experiment"]:
        dvc(study, "exp", "apply", name)
        assert not stale_stages(study)
        queued = metrics(study)
        changed = {Path(file).stem for file in before if queued[file] != before[file]}
        stage = "classify" if name == "other" else "angles"
        assert stage in changed
        assert changed <= {stage, "claims", "headline"}  # which read what it writes
        dvc(study, "repro", "--force", "--single-item", stage)
        assert metrics(study) == queued


def ended(status: str) -> bool:
    """Whether all that was queued has run, by what 'dvc queue status' prints."""
    return "Queued" not in status and "Running" not in status and "0 active" in status
