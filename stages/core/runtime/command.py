"""What makes a function a stage: a click command whose settings come from params.yaml."""

import errno
import functools
import signal
import sys
import types
import typing
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from pydantic.fields import FieldInfo

from stages.core.runtime.errors import StudyError, one_line
from stages.core.runtime.interruption import interruptible
from stages.core.runtime.params import OneOf, Section, read_params
from stages.core.runtime.paths import user_path

INTERRUPTED = 128 + signal.SIGINT  # the exit code by which shells know it


def stage(section: type[Section], *others: type[Section]) -> Callable[[Callable], click.Command]:
    """Make a command of a function that takes `params`, and paths from click options.

    Each field of `section` becomes an option that overrides the value in params.yaml, so that
    --help documents every setting. others: sections of other stages whose settings this one reads
    too, as they stand in params.yaml; the function takes them after `params`, in their order.
    What goes wrong is said as `refusing` does.
    """

    def decorate(function: Callable) -> click.Command:
        @functools.wraps(function)
        def run(params_file: Path, **given: object) -> None:
            overrides = {
                key: list(value) if isinstance(value, tuple) else value
                for key in section.model_fields
                if (value := given.pop(f"set_{key}")) not in (None, ())
            }
            with refusing(section.name):
                params = read_params(section, params_file, overrides)
                function(params, *(read_params(other, params_file) for other in others), **given)

        for key, field in reversed(section.model_fields.items()):
            run = _option(key, field)(run)
        run = params_option(f"File whose section '{section.name}' holds the settings below.")(run)
        return click.command(name=section.name, context_settings={"show_default": True})(run)

    return decorate


@contextmanager
def refusing(name: str) -> Iterator[None]:
    """End the command `name` with one line and exit code 1 for what a user can fix.

    That is a StudyError, an operating system's refusal (a full disk, a missing permission) and
    memory that runs out. Ctrl-C ends it with one line and exit code 130.
    """
    if hasattr(sys.stdout, "reconfigure"):
        # A class name that the terminal has no letters for must not cost the work.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with interruptible():
            yield
        if sys.stdout:
            sys.stdout.flush()  # while click still hears that nobody reads it
    except KeyboardInterrupt:
        warnings.simplefilter("ignore")  # joblib's, that tasks were cut short
        click.echo("Interrupted; nothing half-made is left. Run the stage again", err=True)
        raise click.exceptions.Exit(INTERRUPTED) from None
    except StudyError as error:
        raise click.ClickException(one_line(error)) from None
    except BrokenPipeError:
        raise  # whoever read the output has gone: click ends the command without a word
    except OSError as error:
        raise click.ClickException(one_line(_system_error(name, error))) from None
    except MemoryError as error:
        what = f" ({error})" if str(error) else ""
        raise click.ClickException(
            one_line(f"{name}: memory ran out{what}; free some, or take fewer images")
        ) from None


def params_option(help: str) -> Callable:
    """The option that names the file of the settings."""
    return path_option("--params", "params.yaml", help, "params_file")


def path_option(flag: str, default: str | None, help: str, *name: str) -> Callable:
    """An option that takes a path."""
    return click.option(
        flag, *name, type=_UserPath(), default=default, show_default=True, help=help
    )


class _UserPath(click.Path):
    """A path that need not exist, '~' being the home folder also where no shell has seen it."""

    def convert(
        self, value: object, param: click.Parameter | None, context: click.Context | None
    ) -> Path:
        text = str(value)
        if not text or "\0" in text:
            self.fail(f"{text!r} is no path.", param, context)
        try:
            return user_path(text, param.opts[0] if param else "path")
        except StudyError as error:
            self.fail(one_line(error), param, context)


def _option(key: str, field: FieldInfo) -> Callable:
    """The option that overrides one field of a section."""
    kind, many = _type_on_the_command_line(field.annotation)
    for choices in (each for each in field.metadata if isinstance(each, OneOf)):
        kind = click.Choice(choices.names)
    flag = "--" + key.replace("_", "-")
    if kind is bool:
        flag += "/--no-" + key.replace("_", "-")
    return click.option(
        flag, f"set_{key}", type=kind, multiple=many, default=None, help=field.description
    )


def _type_on_the_command_line(annotation: object) -> tuple[object, bool]:
    """(type of one value, whether the option may be repeated) for a field's annotation.

    A value that is a tuple, as a pair is, takes so many words after the option.
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is list:
        return _type_on_the_command_line(arguments[0])[0], True
    if origin is tuple:
        return tuple(_type_on_the_command_line(each)[0] for each in arguments), False
    if origin is typing.Literal:
        return click.Choice(arguments), False
    if origin is typing.Annotated:
        return _type_on_the_command_line(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return _type_on_the_command_line(arguments[0])
    return annotation, False


def _system_error(name: str, error: OSError) -> str:
    """What the operating system refused, and to which file; to the command where it names none."""
    where = error.filename if error.filename not in (None, "") else name
    where = where.decode(errors="replace") if isinstance(where, bytes) else where
    if error.errno == errno.ENOSPC:
        return f"{where}: the disk is full; free some space and run the stage again"
    return f"{where}: {error.strerror or str(error) or type(error).__name__}"
