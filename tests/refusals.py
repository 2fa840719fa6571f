"""What every refusal of a command has to be: one line, exit code 1, no traceback."""

import click
from click.testing import CliRunner


def refusal(command: click.Command, *arguments: object) -> str:
    """Run a command that must refuse its input; return the one line that it says."""
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.stderr.startswith("Error: "), result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr.removeprefix("Error: ").rstrip("\n")
