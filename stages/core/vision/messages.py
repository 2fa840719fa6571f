"""What to say of failures within open_clip and its libraries, in one line each."""

import difflib
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from stages.core.runtime.errors import one_line


def reason(error: Exception) -> str:
    """The first line of an exception's message."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return one_line(lines[0], 200) if lines else type(error).__name__


def nearest(name: str, known: list[str]) -> str:
    """The fix for an unknown name: the known ones most like it."""
    lower = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name.lower(), lower, n=5, cutoff=0)
    return f"the nearest are {', '.join(lower[each] for each in near)}"


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what open_clip and huggingface_hub log to themselves: the stage says it, or raises."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)
