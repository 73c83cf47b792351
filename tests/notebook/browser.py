"""One headless Chromium for the tests that need a real browser, spoken to over its DevTools."""

import base64
import io
import json
import shutil
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def decoded(png: bytes) -> np.ndarray:
    """uint8 (H, W, channels)."""
    return np.asarray(Image.open(io.BytesIO(png)))


class Browser:
    """One page of a headless Chromium, spoken to over its DevTools."""

    def __init__(self, socket):
        self.socket, self.number = socket, 0

    def call(self, method, **parameters):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while (answer := json.loads(self.socket.recv())).get("id") != self.number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    def ask(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, expression, seconds=60):
        end = time.monotonic() + seconds
        while not self.ask(expression):
            assert time.monotonic() < end, f"never came true: {expression}"
            time.sleep(0.05)

    def choose(self, **values):
        for name, value in values.items():
            self.ask(f"(e => {{ e.value = {value!r}; e.dispatchEvent(new Event('input')) }})($('{name}'))")

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def click(self, selector):
        """With the mouse, in the middle of the element."""
        box = f"document.querySelector('{selector}').getBoundingClientRect()"
        x, y = self.ask(f"(b => [b.x + b.width / 2, b.y + b.height / 2])({box})")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def picture(self, file):
        png = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        file.write_bytes(png)
        return decoded(png)[..., :3]


@contextmanager
def browsing(url: str, profile: Path, ready: str, seconds: float = 60):
    """A Browser at this address once `ready`, a JavaScript expression, is true there; skips without Chromium."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium on this machine: install chromium or google-chrome to test what a browser shows")
    websocket = pytest.importorskip("websocket", reason="comes with jupyter_server")
    command = [chromium, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
    command += ["--remote-debugging-port=0", f"--user-data-dir={profile}", "--window-size=1300,900", "about:blank"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            told = profile / "DevToolsActivePort"
            end = time.monotonic() + 60
            while not (told.exists() and told.read_text().count("\n")):
                assert process.poll() is None, f"{chromium} ended with {process.returncode}"
                assert time.monotonic() < end, f"{chromium} did not start"
                time.sleep(0.05)
            local = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with local.open(f"http://127.0.0.1:{told.read_text().split()[0]}/json") as answer:
                target = next(t for t in json.load(answer) if t["type"] == "page")["webSocketDebuggerUrl"]
            socket = websocket.create_connection(target, suppress_origin=True, http_no_proxy=["127.0.0.1"], timeout=60)
            try:
                browser = Browser(socket)
                browser.call("Page.enable")
                browser.call("Page.navigate", url=url)
                browser.until(ready, seconds)
                yield browser
            finally:
                socket.close()
        finally:
            process.terminate()
