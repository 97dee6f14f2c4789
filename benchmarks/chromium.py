"""A real browser without a window, driven over the DevTools protocol (chromedevtools.github.io): for measurements and tests."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from robot.clock import monotonic_s, sleep_s
from robot.errors import FetlockError, StaleError, UsageError

_PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# It talks to nobody by itself, and takes no state from an earlier start.
_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-port=0"),
)
# A start takes one to three seconds on two busy cores (measured); an answer some milliseconds.
_START_S, _ANSWER_S = 60.0, 30.0
_LOOK_S = 0.02
# A picture has this many answers at most: bytes of one message.
_MESSAGE_BYTES = 2**26


def program() -> str | None:
    """Return the path of a Chromium on this machine, None if there is none."""
    return next((path for name in _PROGRAMS if (path := shutil.which(name)) is not None), None)


class Tab:
    """One page of a browser.

    Args:
        connection: To its debugger.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._number = 0
        self.events: list[dict[str, Any]] = []
        for domain in ("Page", "Network", "Runtime"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Ask the debugger and return its answer; events that come meanwhile are kept.

        Raises:
            FetlockError: If it refuses.
            StaleError: If it does not answer.
        """
        self._number += 1
        self._connection.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        limit_s = monotonic_s() + _ANSWER_S
        while (left_s := limit_s - monotonic_s()) > 0.0:
            with contextlib.suppress(TimeoutError):
                message: dict[str, Any] = json.loads(self._connection.recv(left_s))
                if message.get("id") == self._number:
                    if "error" in message:
                        raise FetlockError(f"the browser refused {method}: {message['error']['message']}")
                    result: dict[str, Any] = message["result"]
                    return result
                self.events.append(message)
        raise StaleError(f"the browser did not answer to {method} within {_ANSWER_S:g} s")

    def open(self, address: str) -> None:
        """Load a page, without waiting for it."""
        self.call("Page.navigate", url=address)

    def ask(self, expression: str) -> Any:  # noqa: ANN401 - JSON
        """Return the value of a JavaScript expression in the page; a promise is awaited. Raises FetlockError with what it throws."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise FetlockError(f"{expression}: {answer['exceptionDetails']['exception'].get('description', answer['exceptionDetails'])}")
        return answer["result"].get("value")

    def wait(self, expression: str, limit_s: float = _ANSWER_S) -> bool:
        """Wait until a JavaScript expression is true; return whether it became so in time."""
        return eventually(lambda: bool(self.ask(expression)), limit_s)

    def press(self, selector: str) -> float:
        """Press the mouse in the middle of an element; return when, monotonic time, s."""
        box = self.ask(f"document.querySelector({json.dumps(selector)}).getBoundingClientRect().toJSON()")
        place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2, "button": "left", "clickCount": 1}
        asked_s = monotonic_s()
        self.call("Input.dispatchMouseEvent", type="mousePressed", **place)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", **place)
        return asked_s

    def space(self) -> float:
        """Press and release the space key; return when, monotonic time, s."""
        key = {"code": "Space", "key": " ", "windowsVirtualKeyCode": 32, "text": " "}
        asked_s = monotonic_s()
        self.call("Input.dispatchKeyEvent", type="keyDown", **key)
        self.call("Input.dispatchKeyEvent", type="keyUp", **key)
        return asked_s

    def requests(self) -> list[str]:
        """Return the addresses that the page has asked for so far, WebSockets too."""
        self.call("Runtime.evaluate", expression="0")
        wanted = {"Network.requestWillBeSent": lambda it: it["request"]["url"], "Network.webSocketCreated": lambda it: it["url"]}
        return [wanted[event["method"]](event["params"]) for event in self.events if event.get("method") in wanted]

    def picture(self, path: Path) -> None:
        """Write what is seen to a PNG file."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


@contextmanager
def browsing(width_px: int = 1280, height_px: int = 800) -> Iterator[Tab]:
    """Start a browser with one empty page.

    Raises:
        UsageError: If there is none on this machine.
        StaleError: If it does not start.
    """
    path = program()
    if path is None:
        raise UsageError(f"no browser: install Debian's chromium (looked for {', '.join(_PROGRAMS)})")
    with tempfile.TemporaryDirectory(prefix="fetlock-chromium-", ignore_cleanup_errors=True) as folder:
        command = [path, *_FLAGS, f"--user-data-dir={folder}", f"--window-size={width_px},{height_px}", "about:blank"]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                # Events come in whether or not anybody asks for them: no bound on the queue, and no time-out on who does not read.
                with connect(
                    _debugger(Path(folder) / "DevToolsActivePort"), max_size=_MESSAGE_BYTES, max_queue=None, ping_interval=None
                ) as connection:
                    tab = Tab(connection)
                    tab.call("Emulation.setDeviceMetricsOverride", width=width_px, height=height_px, deviceScaleFactor=1, mobile=False)
                    yield tab
            finally:
                process.terminate()
                process.wait()


def _debugger(announced: Path) -> str:
    """Return the debugger's address of the first page."""
    if not eventually(lambda: announced.is_file() and "\n" in announced.read_text(), _START_S):
        raise StaleError(f"the browser did not start within {_START_S:g} s")
    port = int(announced.read_text().splitlines()[0])
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=_ANSWER_S) as answer:
        pages = [target for target in json.load(answer) if target["type"] == "page"]
    return str(pages[0]["webSocketDebuggerUrl"])


def eventually(condition: Callable[[], bool], limit_s: float, look_s: float = _LOOK_S) -> bool:
    """Return whether something comes to hold within a time, s; it is looked at every `look_s`."""
    end_s = monotonic_s() + limit_s
    while not (met := condition()) and monotonic_s() < end_s:
        sleep_s(look_s)
    return met
