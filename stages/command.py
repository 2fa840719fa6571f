"""What makes a function a stage: a click command whose settings come from params.yaml."""

import errno
import functools
import signal
import types
import typing
import warnings
from collections.abc import Callable
from pathlib import Path

import click
from pydantic.fields import FieldInfo

from stages.core.errors import StudyError
from stages.core.interruption import interruptible
from stages.core.params import Section, read_params

INTERRUPTED = 128 + signal.SIGINT  # the exit code by which shells know it


def stage(section: type[Section]) -> Callable[[Callable], click.Command]:
    """Make a command of a function that takes `params`, and paths from click options.

    Each field of `section` becomes an option that overrides the value in params.yaml, so that
    --help documents every setting. A StudyError or an operating system's refusal (a full
    disk, a missing permission) ends the command with one line and exit code 1, Ctrl-C with one
    line and exit code 130.
    """

    def decorate(function: Callable) -> click.Command:
        @functools.wraps(function)
        def run(params_file: Path, **given: object) -> None:
            overrides = {
                key: list(value) if isinstance(value, tuple) else value
                for key in section.model_fields
                if (value := given.pop(f"set_{key}")) not in (None, ())
            }
            try:
                with interruptible():
                    function(read_params(section, params_file, overrides), **given)
            except KeyboardInterrupt:
                warnings.simplefilter("ignore")  # joblib's, that tasks were cut short
                click.echo("Interrupted; nothing half-made is left. Run the stage again", err=True)
                raise click.exceptions.Exit(INTERRUPTED) from None
            except StudyError as error:
                raise click.ClickException(str(error)) from None
            except OSError as error:
                raise click.ClickException(_system_error(error)) from None

        for key, field in reversed(section.model_fields.items()):
            run = _option(key, field)(run)
        run = click.option(
            "--params",
            "params_file",
            type=click.Path(path_type=Path),
            default="params.yaml",
            show_default=True,
            help=f"File whose section '{section.name}' holds the settings below.",
        )(run)
        return click.command(name=section.name, context_settings={"show_default": True})(run)

    return decorate


def path_option(flag: str, default: str, help: str) -> Callable:
    """An option that takes a path."""
    return click.option(flag, type=click.Path(path_type=Path), default=default, help=help)


def _option(key: str, field: FieldInfo) -> Callable:
    """The option that overrides one field of a section."""
    kind, many = _type_on_the_command_line(field.annotation)
    flag = "--" + key.replace("_", "-")
    if kind is bool:
        flag += "/--no-" + key.replace("_", "-")
    return click.option(
        flag, f"set_{key}", type=kind, multiple=many, default=None, help=field.description
    )


def _type_on_the_command_line(annotation: object) -> tuple[object, bool]:
    """(type of one value, whether the option may be repeated) for a field's annotation."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is list:
        return _type_on_the_command_line(arguments[0])[0], True
    if origin is typing.Literal:
        return click.Choice(arguments), False
    if origin is typing.Annotated:
        return _type_on_the_command_line(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return _type_on_the_command_line(arguments[0])
    return annotation, False


def _system_error(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"{where}the disk is full; free some space and run the stage again"
    return f"{where}{error.strerror or error}"
