"""Progress on a terminal, with the time that is left; nothing in CI or in a log file.

A piece of work that takes long reports how far it is, whichever process does it: its state lies in
a small file that all of them share. What is left is told from the first second where the pieces'
costs are known, and by what they really took from then on.
"""

import io
import mmap
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tqdm import tqdm

Item = TypeVar("Item")

REFRESH_S = 0.2
# So many seconds of known costs weigh as much as what was measured: the first pieces, which pay
# for imports, and their neighbours on a busy core shall not make hours of minutes.
TRUSTED_S = 5.0
FORMAT = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}, {left} left"

FIELDS = 3  # of a State

_part = ""  # which part of a stage is at work, as '2 of 8'


def on_terminal() -> bool:
    """Whether somebody watches: not in CI, and not in a log file."""
    return bool(sys.stderr) and sys.stderr.isatty()


def progress(
    iterable: Iterable[Item] | None, description: str, total: int | None = None, done: int = 0
) -> tqdm:
    """`iterable` with a progress bar on a terminal, and without one in CI or a log file.

    done: how many of `total` an earlier run has done, which say nothing of this one's pace.
    """
    return tqdm(
        iterable, desc=_named(description), total=total, initial=done, disable=not on_terminal()
    )


def counted(description: str, total: int) -> tqdm:
    """A progress bar of pieces of work that others do, to be updated by their number."""
    return tqdm(desc=_named(description), total=total, disable=not on_terminal())


def parts_of_stage(parts: Sequence[Item]) -> Iterator[Item]:
    """Each part of a stage; progress bars meanwhile say which one it is."""
    global _part
    try:
        for i, part in enumerate(parts, start=1):
            _part = f"{i} of {len(parts)}"
            yield part
    finally:
        _part = ""


def _named(description: str) -> str:
    return f"{_part}, {description}" if _part else description


# --- within a piece of work ---------------------------------------------------------------------


class State(NamedTuple):
    """How far a piece of work is: the share done, in [0, 1], when it was begun and last reported.

    Times are of the system's clock, in seconds; 0 for a piece that is not begun.
    """

    share: float = 0.0
    begun: float = 0.0
    reported: float = 0.0

    @property
    def spent(self) -> float:
        """The seconds that the share took."""
        return self.reported - self.begun


class Span(NamedTuple):
    """From where to where, in [0, 1], the work at hand takes a piece of work, and its state."""

    numbers: "memoryview[float]"
    start: float = 0.0
    width: float = 1.0

    def begin(self) -> None:
        self.numbers[1] = self.numbers[2] = time.monotonic()

    def report(self, share: float) -> None:
        self.numbers[0] = self.start + self.width * min(share, 1.0)
        self.numbers[2] = time.monotonic()

    def within(self, start: float, width: float) -> "Span":
        return Span(self.numbers, self.start + self.width * start, self.width * width)


_span: Span | None = None  # of the piece that this process works at, where somebody watches


def report(share: float) -> None:
    """Say how much of the work at hand is done, in [0, 1]."""
    if _span is not None:
        _span.report(share)


def in_parts(parts: Sequence[Item], costs: Sequence[float] | None = None) -> Iterator[Item]:
    """Each part of the work at hand; what it reports counts within its share of all costs."""
    global _span
    whole = _span
    if whole is None:
        yield from parts
        return
    costs = costs or [1.0] * len(parts)
    done, total = 0.0, sum(costs)
    try:
        for part, cost in zip(parts, costs, strict=True):
            _span = whole.within(done / total, cost / total)
            yield part
            done += cost
            whole.report(done / total)
    finally:
        _span = whole


def steps_printed(pattern: str, total: int, before: float = 0.0) -> "io.TextIOBase | None":
    """A file for what a library prints of its steps, or None where nobody watches.

    pattern: a regular expression whose group is the number of the step that is done, of `total`.
    before: the share of the work, in [0, 1], that is done before the first of them.
    """
    if _span is None:
        return None
    return _Steps(re.compile(pattern), total, _span.within(before, 1 - before))


class _Steps(io.TextIOBase):
    def __init__(self, pattern: re.Pattern, total: int, span: Span) -> None:
        self._pattern, self._total, self._span = pattern, total, span

    def write(self, text: str) -> int:
        if found := self._pattern.findall(text):
            self._span.report(int(found[-1]) / self._total)
        return len(text)


# --- many pieces of work ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Watched:
    """A function of (place, item) whose process reports how far it is with the item."""

    function: Callable[[Any], Any]
    file: Path
    count: int

    def __call__(self, job: tuple[int, Any]) -> Any:
        global _span
        place, item = job
        _span = Span(_numbers(self.file, self.count)[place * FIELDS : (place + 1) * FIELDS])
        _span.begin()
        try:
            return self.function(item)
        finally:
            _span.report(1.0)
            _span = None


def _numbers(file: Path, count: int) -> "memoryview[float]":
    """The states of `count` pieces, as float64 in a file: a change is seen by every process."""
    with file.open("r+b") as stream:
        return memoryview(mmap.mmap(stream.fileno(), 8 * FIELDS * count)).cast("d")


class _Bar(tqdm):
    """A bar of the time that work takes, with what is left of it."""

    def __init__(
        self, description: str, costs: Sequence[float], workers: int, trusted_s: float
    ) -> None:
        self._costs, self._workers, self._trusted_s = costs, workers, trusted_s
        self._left = seconds_left([State()] * len(costs), costs, workers, trusted_s, 0.0)
        super().__init__(total=1.0, desc=description, bar_format=FORMAT)

    def show(self, states: Sequence[State]) -> None:
        """Show how far the pieces are."""
        self._left = seconds_left(
            states, self._costs, self._workers, self._trusted_s, time.monotonic()
        )
        elapsed = self.format_dict["elapsed"]
        self.n = 0.0 if self._left is None else elapsed / ((elapsed + self._left) or 1.0)
        self.refresh()

    @property
    def format_dict(self) -> dict[str, Any]:
        left = "?" if self._left is None else tqdm.format_interval(round(self._left))
        return {**super().format_dict, "left": left}


def seconds_left(
    states: Sequence[State], costs: Sequence[float], workers: int, trusted_s: float, now: float
) -> float | None:
    """How long the rest takes at the pace of what is done; None where nothing is, and none known.

    The pace is the seconds that a piece takes for a unit of its cost. trusted_s: for how many
    seconds of costs it is taken to be 1, before it is known; 0 for costs in another unit. A piece
    that has not reported for a while is taken to have gone on at this pace. The longest piece is
    on one worker, whatever the others do.
    """
    done = sum(cost * state.share for state, cost in zip(states, costs, strict=True))
    if done + trusted_s <= 0:
        return None
    pace = (sum(state.spent for state in states) + trusted_s) / (done + trusted_s)
    left = []
    for state, cost in zip(states, costs, strict=True):
        seconds = pace * cost * (1 - state.share)
        silent = now - state.reported if state.begun and state.share < 1 else 0.0
        left.append(max(seconds - silent, 0.0))
    return max(sum(left) / workers, max(left, default=0.0))


@contextmanager
def watched(
    function: Callable[[Any], Any],
    items: Sequence[Any],
    description: str,
    workers: int,
    costs: Sequence[float] | None = None,
) -> Iterator[tuple[Callable[[Any], Any], Sequence[Any]]]:
    """The function and the items to map it over, with a bar on a terminal meanwhile.

    costs: about how many seconds each item takes; None: all the same, and not known.
    """
    if not (on_terminal() and items):
        yield function, items
        return
    with tempfile.TemporaryDirectory(prefix="progress-") as folder:
        file = Path(folder) / "states"
        file.write_bytes(bytes(8 * FIELDS * len(items)))
        numbers = _numbers(file, len(items))
        trusted_s = TRUSTED_S if costs else 0.0
        bar = _Bar(_named(description), costs or [1.0] * len(items), workers, trusted_s)
        over = threading.Event()

        def show() -> None:
            bar.show([State(*numbers[i : i + FIELDS]) for i in range(0, len(numbers), FIELDS)])

        def refresh() -> None:
            while not over.wait(REFRESH_S):
                show()

        show()
        thread = threading.Thread(target=refresh, daemon=True)
        thread.start()
        try:
            yield _Watched(function, file, len(items)), list(enumerate(items))
        finally:
            over.set()
            thread.join()
            show()
            bar.close()
