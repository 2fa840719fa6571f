"""Paths as users write them."""

from pathlib import Path

from stages.core.errors import StudyError, quoted


def user_path(text: str, key: str) -> Path:
    """The path that a user wrote, '~' and '~name' at its beginning being home folders.

    key: the setting that messages name. Raises StudyError where there is no such home, as for a
    name that nobody has, or in a container whose user id has no entry.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        user = quoted(Path(text).parts[0])
        raise StudyError(
            f"{key}: {quoted(text)}: no home folder of {user} is known here; write the path out"
        ) from None


def home() -> Path | None:
    """The user's home folder; None where there is none, as in many containers."""
    try:
        return Path.home()
    except RuntimeError:
        return None
