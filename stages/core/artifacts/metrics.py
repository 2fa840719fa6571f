"""The metrics of other stages, of which every value is checked where it is read.

A metrics file is small and edited easily; a key that is missing, or a value of another kind, is
refused in a line that names both.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from stages.core.runtime.errors import StudyError, quoted
from stages.core.runtime.files import make_again, read_json

LEVEL = re.compile(r"noise_(\d{1,9}\.\d\d)")


@dataclass(frozen=True)
class Metrics:
    """The contents of the metrics file that a stage wrote."""

    file: Path
    stage: str
    content: dict

    def levels(self) -> dict[str, float]:
        """{key: noise level}, in the order of the file; raises StudyError for none."""
        levels = {key: float(match[1]) for key in self.names() if (match := LEVEL.fullmatch(key))}
        if not levels:
            raise StudyError(f"{self.file}: no noise level; {make_again(self.stage)}")
        return levels

    def names(self, *keys: str) -> list[str]:
        """The keys of the object under nested keys."""
        value = self._value(keys)
        if not isinstance(value, dict):
            self._refuse(keys, value, "an object")
        return list(value)

    def number(self, *keys: str, low: float = -math.inf, high: float = math.inf) -> float:
        """The number under nested keys, within a range, ends included."""
        value = self._value(keys)
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._refuse(keys, value, "a number")
        if not low <= value <= high:
            self._refuse(keys, value, f"from {low:g} to {high:g}")
        return value

    def share(self, *keys: str) -> float:
        """A number from 0 to 1."""
        return self.number(*keys, low=0, high=1)

    def count(self, *keys: str) -> int:
        """A whole number from 0 on."""
        value = self.number(*keys, low=0)
        if not isinstance(value, int):
            self._refuse(keys, value, "a whole number")
        return value

    def word(self, *keys: str) -> str:
        """The text under nested keys."""
        value = self._value(keys)
        if not isinstance(value, str) or not value.isprintable() or not value:
            self._refuse(keys, value, "a word")
        return value

    def _value(self, keys: tuple[str, ...]) -> object:
        value: object = self.content
        for i, key in enumerate(keys):
            if not isinstance(value, dict):
                self._refuse(keys[:i], value, "an object")
            if key not in value:
                raise StudyError(
                    f"{self.file}: no {'.'.join(keys[: i + 1])}; {make_again(self.stage)}"
                )
            value = value[key]
        return value

    def _refuse(self, keys: tuple[str, ...], value: object, wanted: str) -> NoReturn:
        raise StudyError(
            f"{self.file}: {'.'.join(keys)} is {quoted(value)}, not {wanted}; "
            f"{make_again(self.stage)}"
        )


def read_metrics(file: Path, stage: str) -> Metrics:
    """Read the metrics of a stage; raises StudyError where the file is missing or damaged."""
    return Metrics(file, stage, read_json(file, stage))
