"""What ends a stage from outside: the system, memory, a reader that has gone, a small alphabet."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest

from stages.core.runtime.command import stage
from stages.core.runtime.params import Section
from tests.refusals import refusal
from tests.study import ROOT


class NoParams(Section):
    name = "nothing"


def failing(error: BaseException) -> click.Command:
    """A stage that raises `error`."""

    @stage(NoParams)
    def nothing(params: NoParams) -> None:
        """Fail."""
        raise error

    return nothing


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError("cut short"), "nothing: cut short"),
        (OSError(), "nothing: OSError"),
        (OSError(errno.EIO, "Input/output error"), "nothing: Input/output error"),
        (OSError(errno.EIO, "Input/output error", ""), "nothing: Input/output error"),
        (OSError(errno.EIO, "Input/output error", b"a\xff"), "a\ufffd: Input/output error"),
        (OSError(errno.EIO, "Input/output error", 7), "7: Input/output error"),
        (OSError("two\nlines"), "nothing: two lines"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "a.mat"), "a.mat: Is a directory"),
        (MemoryError(), "nothing: memory ran out; free some, or take fewer images"),
        (
            MemoryError("Unable to allocate 7 EiB"),
            "nothing: memory ran out (Unable to allocate 7 EiB); free some, or take fewer images",
        ),
    ],
    ids=repr,
)
def test_what_the_system_refuses_is_one_line(
    error: BaseException, line: str, tmp_path: Path
) -> None:
    (tmp_path / "params.yaml").write_text("nothing: {}")
    assert refusal(failing(error), "--params", tmp_path / "params.yaml") == line


@pytest.mark.parametrize("shape", [(2**40,), (2**20, 2**20), (10**6, 10**6, 1)])
def test_numpy_says_how_much_memory_it_wanted(shape: tuple[int, ...], tmp_path: Path) -> None:
    @stage(NoParams)
    def nothing(params: NoParams) -> None:
        """Ask for too much."""
        np.empty(shape, dtype="S4096")

    (tmp_path / "params.yaml").write_text("nothing: {}")
    message = refusal(nothing, "--params", tmp_path / "params.yaml")
    assert message.startswith("nothing: memory ran out (Unable to allocate ")


def in_a_process(folder: Path, body: str, **environment: str) -> subprocess.Popen:
    """A process that runs a stage of this body."""
    (folder / "params.yaml").write_text("nothing: {}")
    code = f"""
import sys
import click
from stages.core.runtime.command import stage
from stages.core.runtime.params import Section
class NoParams(Section):
    name = "nothing"
@stage(NoParams)
def nothing(params):
    {body}
nothing(["--params", {str(folder / "params.yaml")!r}])
"""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C"},
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "latin-1"},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", ["Bände", "織物", "a\udcff"])
def test_a_name_that_the_terminal_has_no_letters_for(
    environment: dict[str, str], name: str, tmp_path: Path
) -> None:
    body = f"click.echo({name!a}); print({name!a}); click.echo({name!a}, err=True)"
    with in_a_process(tmp_path, body, **environment) as process:
        printed, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert len(printed.splitlines()) == 2
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("body", ["click.echo('x' * 10**6)", "print('x')", "click.echo('x')"])
def test_a_reader_that_has_gone_gets_no_traceback(body: str, tmp_path: Path) -> None:
    with in_a_process(tmp_path, f"sys.stdin.read(); {body}") as process:
        process.stdout.close()
        process.stdin.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1
