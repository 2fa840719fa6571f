"""Numbers in sentences."""

from collections.abc import Sequence


def count(number: int, noun: str, plural: str | None = None) -> str:
    """'1 class', '1,200 classes'; plural: of a noun that takes more than an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def classes_of(number: int) -> str:
    return count(number, "class", "classes")


def at_levels(levels: Sequence[float]) -> str:
    """'at 4 noise levels', of levels with 0 among them."""
    return f"at {len(levels)} noise levels" if len(levels) > 1 else "on clean images alone"


def from_to(low: float, high: float) -> str:
    """'3 to 6', or '3' where both are."""
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"
