"""A user's Python file: a function of it, and what it raises, said in one line."""

import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import torch

from stages.core.runtime.errors import StudyError, one_line
from stages.core.vision.messages import nearest

MODULE = "encoder_of_the_user"  # not the file's name, which may be that of a package
STAGES = Path(__file__).parents[2]


def function_in(file: Path, name: str, where: str) -> Callable:
    """The function of a file that is run for it, with its folder among those to import from.

    The folder stays first among them, as where Python runs the file itself: what a function
    imports when it is called is to be found too. Raises StudyError that begins with `where`.
    """
    if not file.is_file():
        raise StudyError(f"{where}: no such file; correct the path")
    file = file.absolute()
    if str(file.parent) not in sys.path:
        sys.path.insert(0, str(file.parent))
    spec = importlib.util.spec_from_file_location(MODULE, file)
    assert spec is not None  # of every file whose name ends in .py
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module  # dataclasses look their module up
    with own_errors(where, file.name, file.parent):
        spec.loader.exec_module(module)
    function = getattr(module, name, None)
    if not callable(function):
        raise StudyError(f"{where}: {file.name} has no function {name}; {_others(module)}")
    return function


def _others(module: ModuleType) -> str:
    """What to do where a function is missing: the names that the file defines."""
    own = [
        key
        for key, value in vars(module).items()
        if getattr(value, "__module__", None) == MODULE and callable(value)
    ]
    return nearest("load", own) if own else "define it: def load(device, precision)"


@contextmanager
def own_errors(where: str, what: str, folder: Path | None) -> Iterator[None]:
    """Raise StudyError for what a user's code raises: its message, and the file and line.

    where, what: the setting, and what of the user's was running. folder: that of the user's file,
    whose innermost line is told. Ctrl-C and memory that runs out stay what they are.
    """
    try:
        yield
    except (StudyError, MemoryError, torch.OutOfMemoryError):
        raise
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if not package or package in sys.modules or importlib.util.find_spec(package):
            raise _raised(error, where, what, folder) from None
        raise StudyError(
            f"{where}: {what} imports {package}{_place(error, folder)}, which is not installed; "
            f"pip install {package}, or put {package}.py beside it"
        ) from None
    except (Exception, SystemExit) as error:
        raise _raised(error, where, what, folder) from None


def _raised(error: BaseException, where: str, what: str, folder: Path | None) -> StudyError:
    message = error.msg if isinstance(error, SyntaxError) else error
    said = one_line(message, 300)
    kind = type(error).__name__
    return StudyError(
        f"{where}: {what} raised {kind}{': ' if said else ''}{said}{_place(error, folder)}"
    )


def _place(error: BaseException, folder: Path | None) -> str:
    """The file and line of an exception: the innermost of the user's, or else of a library's."""
    frames = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        frames.append((error.filename, error.lineno))
    own = [(file, line) for file, line in frames if Path(file).parent == folder]
    foreign = [(file, line) for file, line in frames if STAGES not in Path(file).parents]
    for file, line in (own or foreign)[-1:]:
        return f" ({Path(file).name}, line {line})"
    return ""
