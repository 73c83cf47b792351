"""One mirror: what it answers within which time, and how fast it is. Nothing here writes a file.

Every way in which a mirror can fail becomes `Left`, so that whoever asks can turn to the next.
"""

import http.client
import re
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Patience:
    """How long to wait for what, in seconds; the defaults suit a file of some hundred megabytes."""

    connect: float = 5.0  # name look-up, connection, TLS and the first header, together
    stall: float = 15.0  # without a single byte
    slow_rate: float = 300_000  # bytes/s: below this a mirror is left for the next one ...
    slow_for: float = 8.0  # ... if it stays so for this long
    probe: float = 4.0  # for asking all mirrors at once how fast they are
    probe_read: float = 1.5  # of these, spent on reading


class Left(Exception):
    """Why a mirror was left. final: asking it again now is of no use; slow: it works, only slowly, at this rate."""

    def __init__(self, why: str, final: bool = True, slow: float | None = None):
        super().__init__(why)
        self.final, self.slow = final, slow


def estimate(urls: Sequence[str], *, size: int | None = None, patience: Patience | None = None) -> dict[str, float]:
    """Bytes a second that each mirror gives right now, 0 for one that does not answer or has another file; all at once.

    Takes patience.probe seconds at most, whatever the network does.
    """
    patience = patience or Patience()
    rates = dict.fromkeys(urls, 0.0)

    def probe(url: str) -> None:
        try:
            with opened(url, 0, patience.probe, patience.probe_read) as answer:
                if size is None or announced(answer) in (None, size):
                    first = time.monotonic()
                    count = 0
                    while time.monotonic() - first < patience.probe_read and count < _PROBE_BYTES:
                        block = answer.read1(1 << 18)
                        count += len(block)
                        if not block:
                            break
                    rates[url] = count / max(time.monotonic() - first, 1e-3)
        except (Left, OSError, http.client.HTTPException):
            return

    threads = [threading.Thread(target=probe, args=(url,), daemon=True) for url in rates]
    for thread in threads:
        thread.start()
    end = time.monotonic() + patience.probe
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return dict(rates)


_PROBE_BYTES = 8_000_000  # enough to know, and no more of somebody's line


class Meter:
    """Bytes a second over the last few seconds."""

    def __init__(self, window: float):
        self.window, self.start = window, time.monotonic()
        self.seen: deque[tuple[float, int]] = deque()
        self.sum = 0

    def add(self, count: int) -> None:
        now = time.monotonic()
        self.seen.append((now, count))
        self.sum += count
        while self.seen[0][0] < now - self.window:
            self.sum -= self.seen.popleft()[1]

    @property
    def full(self) -> bool:
        return time.monotonic() - self.start >= self.window

    @property
    def rate(self) -> float:
        return self.sum / min(self.window, max(time.monotonic() - self.start, 1e-3))


@contextmanager
def opened(url: str, start: int, connect: float, stall: float) -> Iterator[http.client.HTTPResponse]:
    """The answer to a request for url from byte `start` on, its headers read; Left if it does not come in time.

    The name look-up has no time-out of its own, so the request is made in a thread that is left behind when it hangs.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "easel", "Accept-Encoding": "identity"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    box: list = []

    def ask() -> None:
        try:
            answer = urllib.request.urlopen(request, timeout=connect)
        except BaseException as error:
            box.append(error)
            return
        box.append(answer)
        if too_late.is_set():
            answer.close()

    too_late = threading.Event()
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(connect)
    if not box:
        too_late.set()
        raise Left(f"no answer within {connect:g} s")
    answer = box[0]
    if isinstance(answer, urllib.error.HTTPError):
        answer.close()
        if answer.code == 416:
            raise Left("has no bytes beyond those that arrived")
    if isinstance(answer, BaseException):
        raise Left(reason(answer)) from answer
    try:
        _set_timeout(answer, stall)
        yield answer
    finally:
        answer.close()


def _set_timeout(answer: http.client.HTTPResponse, seconds: float) -> None:
    raw = getattr(getattr(answer, "fp", None), "raw", None)
    socket = getattr(raw, "_sock", None)
    if socket is not None:
        socket.settimeout(seconds)


def reason(error: BaseException) -> str:
    """A network error in a few words, without line breaks."""
    if isinstance(error, urllib.error.HTTPError):
        return f"{error.code} {error.reason}"
    error = getattr(error, "reason", None) if isinstance(error, urllib.error.URLError) else error
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split())


def announced(answer: http.client.HTTPResponse) -> int | None:
    """Bytes of the whole file, as the answer announces them; None if it does not."""
    if answer.status == 206:
        match = re.fullmatch(r"bytes \d+-\d+/(\d+)", answer.headers.get("Content-Range", "").strip())
        return int(match[1]) if match else None
    length = answer.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def starts_at(answer: http.client.HTTPResponse, start: int) -> bool:
    """Whether a partial answer begins with the byte that was asked for."""
    return answer.headers.get("Content-Range", "").strip().startswith(f"bytes {start}-")
