"""Paths as users write them."""

import os
from pathlib import Path

from stages.core.runtime.errors import StudyError, quoted

LONGEST_NAME = 255  # bytes, of every common file system


def user_path(text: str, key: str) -> Path:
    """The path that a user wrote, '~' and '~name' at its beginning being home folders.

    key: the setting that messages name. Raises StudyError where there is no such home, as for a
    name that nobody has, or in a container whose user id has no entry, and for names that are
    longer than any file's.
    """
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        user = quoted(Path(text).parts[0])
        raise StudyError(
            f"{key}: {quoted(text)}: no home folder of {user} is known here; write the path out"
        ) from None
    if any(len(os.fsencode(part)) > LONGEST_NAME for part in path.parts):
        raise StudyError(f"{key}: {quoted(text)}: no file has so long a name; correct it")
    return path


def home() -> Path | None:
    """The user's home folder; None where there is none, as in many containers."""
    try:
        return Path.home()
    except RuntimeError:
        return None
