"""The classes that the settings of fetch choose."""

from collections.abc import Sequence
from difflib import get_close_matches

from stages.core.runtime.errors import StudyError, quoted


def chosen_classes(wanted: Sequence[str], available: Sequence[str]) -> list[str]:
    """The wanted classes, sorted; all that are available where none is named."""
    for name in wanted:
        if name not in available:
            near = get_close_matches(name, available, 1, cutoff=0)[0]
            raise StudyError(f"fetch.classes: no class {quoted(name)}; did you mean {near!r}?")
        if wanted.count(name) > 1:
            raise StudyError(f"fetch.classes: {quoted(name)} is repeated; give each class once")
    return sorted(wanted or available)
