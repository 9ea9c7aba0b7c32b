"""A real headless Chromium, driven over its DevTools protocol; where there is none, a test is skipped and says so."""

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

__all__ = ["Tab", "open_browser"]

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    "--window-size=1280,1000",
)
PATIENCE = 120


class Tab:
    """One page in the browser.

    Attributes
    ----------
    complaints
        What the browser wrote to its console as an error: scripts that failed, what the page's policy forbade.
    requested
        The addresses that the page asked for.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._count = 0
        self._session = ""
        self.complaints: list[str] = []
        self.requested: list[str] = []
        target = self.command("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.command(f"{domain}.enable")

    def command(self, method: str, **parameters: Any) -> Any:
        """Send one command, and return its result; what happens meanwhile is taken down."""
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": parameters}
        self._connection.send(json.dumps(message | ({"sessionId": self._session} if self._session else {})))
        while True:
            told = json.loads(self._connection.recv(timeout=PATIENCE))
            if told.get("id") == self._count:
                if "error" in told:
                    raise AssertionError(f"{method}: {told['error']}")
                return told["result"]
            self._take_down(told.get("method"), told.get("params", {}))

    def _take_down(self, method: str, happened: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.complaints.append(str(happened["exceptionDetails"]))
        elif method == "Log.entryAdded" and happened["entry"]["level"] == "error":
            self.complaints.append(happened["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requested.append(happened["request"]["url"])

    def go(self, url: str) -> None:
        """Open an address, and wait until its page is there."""
        self.command("Page.navigate", url=url)
        self.until(f"location.href.startsWith({json.dumps(url)}) && document.readyState === 'complete'")

    def ask(self, expression: str) -> Any:
        """Return what an expression, or the promise that it is, comes to on the page."""
        told = self.command("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def until(self, condition: str) -> None:
        """Wait until a condition holds on the page, which looks for itself."""
        look = (
            "new Promise((done) => { const end = performance.now() + 20000; const look = () => {"
            f"let holds = false; try {{ holds = {condition}; }} catch {{}}"
            "if (holds || performance.now() > end) done(Boolean(holds)); else setTimeout(look, 20); }; look(); })"
        )
        for _ in range(3):
            with suppress(AssertionError):  # the page was on its way out, and the promise with it
                assert self.ask(look), condition
                return
        raise AssertionError(f"it never came true: {condition}")

    def text(self, selector: str) -> str:
        """Return the text of an element."""
        return str(self.ask(f"document.querySelector({json.dumps(selector)}).textContent"))

    def fill(self, selector: str, value: str) -> None:
        """Put a value into a field, as a person does."""
        told = f"document.querySelector({json.dumps(selector)})"
        self.ask(f"{told}.value = {json.dumps(value)}; {told}.dispatchEvent(new Event('change', {{bubbles: true}}))")

    def click(self, selector: str) -> None:
        """Click an element."""
        self.ask(f"document.querySelector({json.dumps(selector)}).click()")

    def picture(self, file: Path, *, width: int = 1280, height: int = 1000) -> None:
        """Write a picture of the page, PNG."""
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )
        told = self.command("Page.captureScreenshot", format="png")
        file.write_bytes(base64.b64decode(told["data"]))


@contextmanager
def open_browser(folder: Path) -> Iterator[Tab]:
    """Open a browser whose files are in `folder`; skip the test where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no Chromium on this machine: install one (Debian: apt-get install chromium)")
    command = [program, *FLAGS, f"--user-data-dir={folder}", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        overdue = Timer(PATIENCE, process.kill)
        overdue.start()
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if line.startswith("DevTools listening on "):
                    break
            else:
                pytest.fail("the browser did not begin")
            overdue.cancel()
            with connect(line.split()[-1], max_size=None, proxy=None) as connection:
                yield Tab(connection)
        finally:
            overdue.cancel()
            process.terminate()
            process.stderr.close()
            process.wait(60)
