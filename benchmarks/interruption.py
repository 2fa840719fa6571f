"""What each helper of stages.core.runtime.interruption is for: Ctrl-C with and without it.

    python -m benchmarks.interruption

prints a Markdown table. A stage that starts pools of workers again and again is interrupted at a
random moment, as a terminal does it: every process gets the signal. It has to end with exit code
130 and its one line. A row counts the runs that end otherwise, as with tracebacks of workers that
were still importing, where one of the helpers is left out.

| row | leaves out |
| --- | --- |
| nothing | nothing |
| mask | the signal mask by which workers do not hear Ctrl-C |
| resource tracker | the start of Python's resource tracker before, which unblocks the signal |
| postponed interrupt | the wait of Ctrl-C for the workers' start, where another thread hears it |
| thread hook | the silence of a pool's threads, whose pool was taken away |
| join | the wait for these threads before the process ends |

The last three matter in few runs of a hundred, so that more repeats tell more of them. The hook
for what is raised in a destructor has a test of its own (tests/test_interruption.py).
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import numpy as np

from benchmarks.measure import machine

ROOT = Path(__file__).parents[1]
LINE = "Interrupted; nothing half-made is left. Run the stage again\n"
PATIENCE_S = 60
LATEST_S = 0.5  # after the start of the first pool, by which others have been started

# What is run before the stage.
LEFT_OUT = {
    "nothing": "",
    "mask": "interruption.signal = Replaced(signal, pthread_sigmask=lambda how, mask: [])",
    "resource tracker": "interruption.resource_tracker = Replaced(ensure_running=lambda: None)",
    "postponed interrupt": "interruption.postponed_interrupt = contextlib.nullcontext",
    "thread hook": "interruption._unless_interrupted = lambda hook, failed: hook(failed)",
    "join": "interruption.THREADS_OF_A_POOL = ()",
}

STAGE = '''
import contextlib, signal, sys, time
from pathlib import Path
import click
import numpy as np
from stages.core.runtime import interruption
from stages.core.runtime.command import refusing
from stages.core.runtime.parallel import parallel_map

class Replaced:
    """Another module's names, some of them with other values."""
    def __init__(self, module=None, **values):
        self.__dict__.update(vars(module) if module else {{}}, **values)

{left_out}
np.ones((300, 300)) @ np.ones((300, 300))  # starts threads that hear signals

def wait(item):
    time.sleep(0.05)

@click.command()
def stage():
    with refusing("nothing"):
        Path("running").touch()
        for _ in range(1000):
            parallel_map(wait, range(6), "waiting", workers=2)

if __name__ == "__main__":
    stage()
'''


@click.command()
@click.option("--repeats", default=40, show_default=True, help="Interrupted runs of each row.")
@click.option("--only", type=click.Choice(list(LEFT_OUT)), help="One row alone.")
def main(repeats: int, only: str | None) -> None:
    """Print a Markdown table."""
    click.echo(f"{repeats} runs each; {machine('joblib')}\n")
    click.echo("| left out | runs that end otherwise | such as |")
    click.echo("| --- | ---: | --- |")
    for name in [only] if only else LEFT_OUT:
        with tempfile.TemporaryDirectory() as scratch:
            Path(scratch, "stage.py").write_text(STAGE.format(left_out=LEFT_OUT[name]))
            wrong = [fault for seed in range(repeats) if (fault := interrupted(scratch, seed))]
        click.echo(f"| {name} | {len(wrong)} of {repeats} | {wrong[0] if wrong else ''} |")


def interrupted(folder: str, seed: int) -> str:
    """Run the stage in a folder and interrupt it; what is wrong with its end, if anything is."""
    running, said = Path(folder, "running"), Path(folder, "said")
    running.unlink(missing_ok=True)
    with said.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "stage.py"],
            cwd=folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
    try:
        while not running.exists() and process.poll() is None:
            time.sleep(0.001)
        time.sleep(np.random.default_rng(seed).uniform(0, LATEST_S))
        os.killpg(process.pid, signal.SIGINT)
        code = process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return "does not end"
    lines = said.read_text().splitlines()
    if code != 128 + signal.SIGINT:
        return f"exit code {code}"
    unwanted = [line for line in lines if line + "\n" != LINE]
    return f"{len(unwanted)} lines, the last of them `{unwanted[-1][:80]}`" if unwanted else ""


if __name__ == "__main__":
    main()
