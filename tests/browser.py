"""A page in a browser without a window, where one is installed."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def drawn_plots(page: Path) -> int:
    """How many Vega plots a page draws; fails for whatever the browser's console says.

    Skips where no browser is found. The page finds no network: every name resolves to nowhere.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        done = subprocess.run(
            [
                browser,
                *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
                *("--no-first-run", "--disable-background-networking", "--disable-sync"),
                *("--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND"),
                *("--enable-logging=stderr", "--v=0", "--virtual-time-budget=60000"),
                *(f"--user-data-dir={profile}", "--dump-dom", page.as_uri()),
            ],
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert not said, said
    return len(re.findall(r'<svg[^>]* class="marks"', done.stdout))
