"""Progress: what is left, by hand; and what a terminal and a log file are shown."""

import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from stages.core.geometry.projections import tsne_layout, umap_layout
from stages.core.runtime import progress
from stages.core.runtime.progress import (
    FIELDS,
    Span,
    State,
    in_parts,
    seconds_left,
    steps_printed,
)
from tests.study import ROOT

IDLE = State()
WORK = """
import sys, time
from stages.core.runtime.parallel import parallel_map
from stages.core.runtime.progress import in_parts, parts_of_stage, progress

def work(item):
    for _ in in_parts(range(4)):
        time.sleep(0.25)
    return item

if __name__ == "__main__":
    for part in parts_of_stage(["first", "second"]):
        costs = [1.0] * 4 if part == "first" else None
        assert parallel_map(work, range(4), part, workers=2, costs=costs) == [0, 1, 2, 3]
    list(progress(range(3), "counted"))
    print("done")
"""


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> "memoryview[float]":
    """The state of a piece of work that somebody watches."""
    numbers = memoryview(bytearray(8 * FIELDS)).cast("d")
    monkeypatch.setattr(progress, "_span", Span(numbers))
    return numbers


# What is left


def test_before_anything_is_done_costs_are_taken_at_their_word() -> None:
    costs = [10.0, 20.0, 30.0]
    assert seconds_left([IDLE] * 3, costs, 1, 5.0, now=0.0) == 60
    assert seconds_left([IDLE] * 3, costs, 2, 5.0, now=0.0) == 30
    assert seconds_left([IDLE] * 3, [10.0, 10.0, 40.0], 4, 5.0, now=0.0) == 40  # on one worker


def test_costs_in_no_known_unit_say_nothing_until_something_is_done() -> None:
    assert seconds_left([IDLE] * 4, [1.0] * 4, 2, 0.0, now=3.0) is None
    done = State(share=1.0, begun=100.0, reported=106.0)
    assert seconds_left([done, IDLE, IDLE, IDLE], [1.0] * 4, 2, 0.0, now=106.0) == 9


def test_a_slow_machine_is_found_out() -> None:
    half = State(share=0.5, begun=0.0 + 1, reported=11.0)  # 10 s for 5 s of costs
    pace = (10 + 5) / (5 + 5)
    assert seconds_left([half, IDLE], [10.0, 10.0], 1, 5.0, now=11.0) == pace * 15
    # It is silent since, and taken to have gone on; to have finished at the most.
    assert seconds_left([half, IDLE], [10.0, 10.0], 1, 5.0, now=14.0) == pace * 15 - 3
    assert seconds_left([half, IDLE], [10.0, 10.0], 1, 5.0, now=99.0) == pace * 10


def test_nothing_is_left_at_the_end() -> None:
    done = State(share=1.0, begun=1.0, reported=2.0)
    assert seconds_left([done, done], [3.0, 4.0], 2, 5.0, now=50.0) == 0


# Within a piece of work


def test_parts_count_by_their_costs_and_parts_of_parts_within_them(
    watched: "memoryview[float]",
) -> None:
    seen = []
    for part in in_parts(["a", "b"], [1.0, 3.0]):
        for _ in in_parts(range(2)) if part == "b" else ():
            seen.append(watched[0])
        seen.append(watched[0])
    assert seen == [0.0, 0.25, 0.625, 1.0]
    assert watched[0] == 1.0


def test_nobody_watches() -> None:
    assert list(in_parts([1, 2])) == [1, 2]
    assert steps_printed("(.)", 1) is None


def test_steps_are_read_from_what_is_printed(watched: "memoryview[float]") -> None:
    file = steps_printed(r"step (\d+)", 10, before=0.5)
    assert file is not None
    print("begins", file=file)
    assert watched[0] == 0
    print("step 2, step 4", file=file)
    assert watched[0] == pytest.approx(0.7)


@pytest.mark.parametrize(
    "layout",
    [
        lambda points: tsne_layout(points, 10, 0),
        pytest.param(lambda points: umap_layout(points, 10, 0.1, 0), marks=pytest.mark.slow),
    ],
    ids=["t-SNE", "UMAP"],
)
def test_iterations_are_reported_and_change_no_layout(
    layout: Callable, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    points = np.random.default_rng(0).standard_normal((60, 5))
    unwatched = layout(points)
    numbers = memoryview(bytearray(8 * FIELDS)).cast("d")
    monkeypatch.setattr(progress, "_span", Span(numbers))
    np.testing.assert_array_equal(layout(points), unwatched)
    assert numbers[0] > 0.9
    assert capfd.readouterr() == ("", "")


# On a terminal, and not


def on_a_terminal(*command: str) -> str:
    """What a command prints on a terminal."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    with subprocess.Popen(command, cwd=ROOT, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        printed = b"".join(pieces(ours))
    os.close(ours)
    assert process.returncode == 0, printed
    return printed.decode()


def pieces(file: int) -> Iterator[bytes]:
    """What is read until the other side is closed."""
    while True:
        try:
            piece = os.read(file, 65536)
        except OSError:  # Linux says so, of a terminal
            return
        if not piece:
            return
        yield piece


def test_a_terminal_is_told_how_long_is_left(tmp_path: Path) -> None:
    script = tmp_path / "work.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{WORK}")
    printed = on_a_terminal(sys.executable, str(script))
    first = re.findall(r"1 of 2, first: +(\d+)%.* (\S+) left", printed.replace("\r", "\n"))
    assert first[0] == ("0", "00:02")  # before anything is done
    assert first[-1] == ("100", "00:00")
    assert any(0 < int(share) < 100 for share, _ in first)
    second = re.findall(r"2 of 2, second: +\d+%.* (\S+) left", printed.replace("\r", "\n"))
    assert second[0] == "?"
    assert second[-1] == "00:00"
    assert "counted: 100%" in printed
    assert "done" in printed


def test_a_log_file_is_told_nothing(tmp_path: Path) -> None:
    script = tmp_path / "work.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{WORK}")
    done = subprocess.run([sys.executable, str(script)], cwd=ROOT, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("done\n", "")
