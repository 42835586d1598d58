"""A headless Chromium, spoken to through its remote debugging pipe."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str | None:
    """Return the program, or None: pages are then not looked at."""
    named = os.environ.get("CHROMIUM")
    return named or next((p for p in map(shutil.which, _NAMES) if p), None)


class Browser:
    """One headless browser with one page; use it in a ``with`` block."""

    def __init__(self, program: str, *, timeout: float = 60.0) -> None:
        self._program, self._timeout = program, timeout
        self._number, self._rest = 0, b""
        self.complaints: list[str] = []

    def __enter__(self) -> Self:
        self._profile = tempfile.TemporaryDirectory(prefix="page-")
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        # The browser reads from 3 and writes to 4.
        script = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'
        options = (
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--disable-dev-shm-usage", "--hide-scrollbars=false"),
            *("--remote-debugging-pipe", f"--user-data-dir={self._profile.name}"),
        )
        self._process = subprocess.Popen(
            ["bash", "-c", script, "bash", self._program, *options, "about:blank"],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        targets = self._call("Target.getTargets")["targetInfos"]
        page = next(t for t in targets if t["type"] == "page")
        opened = self._call(
            "Target.attachToTarget", targetId=page["targetId"], flatten=True
        )
        self._session = opened["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._out)
        os.close(self._in)
        self._profile.cleanup()

    def open(self, path: Path, *, width: int, height: int, phone: bool = False) -> None:
        """Load a file in a window of this size, in CSS pixels."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )
        self.send("Page.navigate", url=path.resolve().as_uri())
        end = time.monotonic() + self._timeout
        while self.evaluate("document.readyState") != "complete":
            assert time.monotonic() < end, "the page does not load"
            time.sleep(0.05)

    def evaluate(self, expression: str) -> Any:
        """Return what a JavaScript expression gives."""
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def picture(self, path: Path, *, selector: str = "") -> Path:
        """Save the whole page, or the element of a selector, as PNG."""
        box = self.evaluate(
            "(() => {const e = document.querySelector('%s') || document.body;"
            "const r = e.getBoundingClientRect(); const w = innerWidth;"
            "return [0, Math.max(0, r.top + scrollY - 12), w, r.height + 24]})()"
            % (selector or "html")
        )
        x, y, width, height = box
        clip = {"x": x, "y": y, "width": width, "height": height, "scale": 1}
        found = self.send(
            "Page.captureScreenshot",
            format="png",
            clip=clip,
            captureBeyondViewport=True,
        )
        path.write_bytes(base64.b64decode(found["data"]))
        return path

    def pdf(self, path: Path) -> Path:
        """Save the page as it is printed, on A4."""
        found = self.send(
            "Page.printToPDF", paperWidth=8.27, paperHeight=11.69, printBackground=True
        )
        path.write_bytes(base64.b64decode(found["data"]))
        return path

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Return the answer of the page to a command of the debugging protocol."""
        return self._call(method, session=self._session, **params)

    def _call(self, method: str, session: str = "", **params: Any) -> dict[str, Any]:
        self._number += 1
        command = {"id": self._number, "method": method, "params": params}
        if session:
            command["sessionId"] = session
        os.write(self._out, json.dumps(command).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def _note(self, event: dict[str, Any]) -> None:
        params = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif event.get("method") == "Runtime.consoleAPICalled":
            if params["type"] in {"error", "warning", "assert"}:
                self.complaints.append(str(params["args"]))
        elif (
            event.get("method") == "Log.entryAdded"
            and params["entry"]["level"] == "error"
        ):
            self.complaints.append(params["entry"]["text"])

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], self._timeout)
            assert ready, "the browser does not answer"
            part = os.read(self._in, 1 << 20)
            assert part, "the browser ended"
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found
