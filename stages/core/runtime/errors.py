"""The one exception for what a user can fix, and how a message quotes what a user wrote."""

import reprlib
from collections.abc import Collection

_QUOTE = reprlib.Repr()
_QUOTE.maxstring = _QUOTE.maxother = 250  # a path is to be found from the message: whole
_QUOTE.maxlong = 40
_QUOTE.maxlevel = 3


JOINERS = "\u200c\u200d"  # not printable by themselves; they shape letters and emoji


class StudyError(Exception):
    """Bad input or a limit of the machine, said in one line: the error, its location and the fix.

    The command line prints the message alone and exits with code 1. Anything else that is
    raised is a defect of the program and keeps its traceback.
    """


def require_known(name: str, known: Collection[str], what: str) -> None:
    """Raise StudyError where a name is none of the known ones; what: what it should name."""
    if name not in known:
        raise StudyError(f"{what}: {quoted(name)} is unknown; known are {', '.join(known)}")


def can_be_written(name: str) -> bool:
    """Whether a line of text can hold a name: no control characters, but the joiners of emoji."""
    return name.isprintable() or all(char.isprintable() or char in JOINERS for char in name)


def quoted(value: object) -> str:
    """`repr(value)`, with the middle left out where it is long: what a user wrote, in a message."""
    return _cut(_QUOTE.repr(value), 250)


def printable(text: str, most: int = 250) -> str:
    """`text` in printable characters, the middle left out beyond `most` of them."""
    if not text.isprintable():
        text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return _cut(text, most)


def one_line(text: object, most: int = 2000) -> str:
    """A message on one line of printable characters, its middle left out beyond `most` of them.

    The beginning of a message says where, its end what to do.
    """
    return printable(" ".join(str(text).split()), most)


def _cut(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    half = (most - len(" ... ")) // 2
    return f"{text[:half]} ... {text[-half:]}"
