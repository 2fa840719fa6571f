"""A page in a browser without a window, where one is installed."""

import base64
import fcntl
import json
import os
import re
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Some time after which the page has drawn what it was told, however busy the machine is.
SEEN = "new Promise((seen) => setTimeout(() => requestAnimationFrame(() => seen(0)), 20))"
PATIENCE_S = 60  # a slow machine makes a test slow, and does not fail it


def installed_browser() -> str:
    """The path of a browser; skips the test where none is found."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed")
    return browser


def drawn_plots(page: Path) -> int:
    """How many Vega plots a page draws; fails for whatever the browser's console says.

    Skips where no browser is found. The page finds no network: every name resolves to nowhere.
    """
    browser = installed_browser()
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


class Tab:
    """A page in a browser that does what it is told, by the DevTools protocol over two pipes.

    faults: what the console says of errors, and exceptions that nobody caught.
    addresses: what the page asked for.
    """

    def __init__(self, read: int, write: int) -> None:
        self._read, self._write = read, write
        self._received = b""
        self._sent = 0
        self._session: str | None = None
        self.faults: list[str] = []
        self.addresses: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.resize(1440, 900)

    def call(self, method: str, **params: object) -> dict:
        """The answer to a command of the protocol."""
        self._sent += 1
        message: dict = {"id": self._sent, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (found := self._next()).get("id") != self._sent:
            self._note(found)
        assert "error" not in found, found
        return found["result"]

    def _next(self) -> dict:
        while b"\0" not in self._received:
            ready, _, _ = select.select([self._read], [], [], PATIENCE_S)
            assert ready, "the browser does not answer"
            part = os.read(self._read, 1 << 20)
            assert part, "the browser has ended"
            self._received += part
        message, _, self._received = self._received.partition(b"\0")
        return json.loads(message)

    def _note(self, event: dict) -> None:
        params = event.get("params", {})
        match event.get("method"):
            case "Network.requestWillBeSent":
                self.addresses.append(params["request"]["url"])
            case "Runtime.exceptionThrown":
                self.faults.append(json.dumps(params["exceptionDetails"])[:500])
            case "Runtime.consoleAPICalled" if params["type"] in ("error", "warning", "assert"):
                self.faults.append(json.dumps(params["args"])[:500])
            case "Log.entryAdded" if params["entry"]["level"] == "error":
                self.faults.append(params["entry"]["text"])

    def open(self, page: Path, fragment: str = "") -> None:
        """Open a page, and wait until it is there with all that it loads at once."""
        self.call("Page.navigate", url=f"{page.as_uri()}{fragment}")
        self.wait_for("location.protocol === 'file:' && document.readyState === 'complete'")

    def resize(self, width: int, height: int) -> None:
        size = {"width": width, "height": height, "screenWidth": width, "screenHeight": height}
        self.call("Emulation.setDeviceMetricsOverride", **size, deviceScaleFactor=1, mobile=False)

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; a promise is waited for."""
        found = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait_for(self, condition: str) -> Any:
        """The value of a JavaScript expression once it is true."""
        end = time.monotonic() + PATIENCE_S
        while not (value := self.evaluate(condition)):
            assert time.monotonic() < end, f"never true: {condition}"
            time.sleep(0.05)
        return value

    def middle(self, selector: str) -> tuple[float, float]:
        """Where on the page the middle of an element is."""
        x, y = self.evaluate(
            f"(() => {{ const each = document.querySelector({json.dumps(selector)});"
            " each.scrollIntoView({block: 'nearest'}); const box = each.getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        return x, y

    def mouse(self, what: str, x: float, y: float, **options: object) -> None:
        """what: mouseMoved, mousePressed or mouseReleased."""
        self.call("Input.dispatchMouseEvent", type=what, x=x, y=y, **options)

    def click(self, x: float, y: float) -> None:
        self.mouse("mouseMoved", x, y)
        for what in ("mousePressed", "mouseReleased"):
            self.mouse(what, x, y, button="left", clickCount=1)

    def drag(self, start: tuple[float, float], end: tuple[float, float], **options: object) -> None:
        """Press at the start, move to the end in some steps, release."""
        self.mouse("mouseMoved", *start, **options)
        self.mouse("mousePressed", *start, button="left", buttons=1, clickCount=1, **options)
        for i in range(1, 11):
            x, y = (a + (b - a) * i / 10 for a, b in zip(start, end, strict=True))
            self.mouse("mouseMoved", x, y, button="left", buttons=1, **options)
            self.evaluate(SEEN)  # a box is drawn by what is seen of the way
        self.mouse("mouseReleased", *end, button="left", clickCount=1, **options)

    def type(self, text: str) -> None:
        self.call("Input.insertText", text=text)

    def press(self, key: str) -> None:
        codes = {"Enter": 13, "Tab": 9, "ArrowRight": 39, "ArrowLeft": 37, " ": 32}
        text = {"Enter": "\r", " ": " "}.get(key, "")
        options = {"key": key, "windowsVirtualKeyCode": codes[key], "text": text}
        self.call("Input.dispatchKeyEvent", type="keyDown", **options)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def screenshot(self, file: Path) -> None:
        found = self.call("Page.captureScreenshot", format="png")
        file.write_bytes(base64.b64decode(found["data"]))


@contextmanager
def tab() -> Iterator[Tab]:
    """A page in a browser without a window, of 1,440 x 900 pixels, in which WebGL is emulated.

    Skips where no browser is found. It finds no network: every name resolves to nowhere.
    """
    browser = installed_browser()
    theirs, write = os.pipe()
    read, answers = os.pipe()
    # The browser reads from 3 and writes to 4, numbers that these may have already.
    high = [fcntl.fcntl(each, fcntl.F_DUPFD, 10) for each in (theirs, answers)]

    def connect() -> None:
        os.dup2(high[0], 3)
        os.dup2(high[1], 4)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [
                browser,
                *("--headless", "--no-sandbox", "--disable-gpu", "--enable-unsafe-swiftshader"),
                *("--disable-quic", "--no-first-run", "--disable-background-networking"),
                *("--disable-sync", "--disable-component-update"),
                *("--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={profile}"),
                "--remote-debugging-pipe",
            ],
            preexec_fn=connect,
            pass_fds=(3, 4),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for each in (theirs, answers, *high):
            os.close(each)
        try:
            yield Tab(read, write)
        finally:
            process.kill()
            process.wait()
            os.close(read)
            os.close(write)
