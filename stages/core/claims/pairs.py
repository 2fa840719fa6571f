"""Pairs of classes that settings name: what metrics call them, and what of them is missing."""

import re
from collections import Counter
from collections.abc import Collection, Sequence

from stages.settings.claims import Pair


def pair_keys(pairs: Sequence[Pair], form: str) -> dict[Pair, str]:
    """{pair: the name of its finding in metrics}, no two alike.

    form: such a name with {} for either class; it ends in a word. Letters and digits of a class
    are kept, anything else becomes an underscore. Where pairs come to the same name, the second
    ends in _2 and so on, as no name by the form itself does.
    """
    keys = {}
    met: Counter[str] = Counter()
    for pair in pairs:
        key = form.format(*(re.sub(r"\W", "_", name) for name in pair))
        met[key] += 1
        keys[pair] = key if met[key] == 1 else f"{key}_{met[key]}"
    return keys


def missing(pair: Pair, classes: Collection[str]) -> str:
    """Which of a pair are not among the classes, in words; empty where both are."""
    absent = [name for name in pair if name not in classes]
    if len(absent) == 2:
        return f"neither {absent[0]} nor {absent[1]} is among the {len(classes)} classes"
    return f"{absent[0]} is not among the {len(classes)} classes" if absent else ""
