"""One file from the first mirror that delivers it, with resume, progress and MD5. A wrong byte never gets a final name.

What has arrived stays in NAME.part, so that an interrupted download goes on where it was, from any mirror (the file is
the same everywhere: its MD5 says so). The file takes its own name only when it is whole and its MD5 is right. Every way
in which a mirror can fail becomes `Left`, so that whoever asks can turn to the next.
"""

import hashlib
import http.client
import math
import os
import re
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

from easel.errors import UserError
from easel.files import publish


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


def md5(content: bytes) -> str:
    """The MD5 of bytes, hex."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def md5_of(path: Path) -> str:
    """The MD5 of a file, hex, read piece by piece. OSError where it cannot be read."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def mirror_speeds(
    urls: Sequence[str], *, size: int | None = None, patience: Patience | None = None
) -> dict[str, float]:
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
        """So many bytes have arrived now."""
        now = time.monotonic()
        self.seen.append((now, count))
        self.sum += count
        while self.seen[0][0] < now - self.window:
            self.sum -= self.seen.popleft()[1]

    @property
    def full(self) -> bool:
        """Whether the rate is one of the whole window by now."""
        return time.monotonic() - self.start >= self.window

    @property
    def rate(self) -> float:
        """Bytes a second over the window, or since the beginning if that is later."""
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


HAND = "lay it there by hand (data/README.md), name another mirror in EASEL_MIRRORS, or use the data set 'patterns'"


def mirrors(file: str, urls: Sequence[str] = ()) -> tuple[str, ...]:
    """Addresses to try for a file, in order: those of EASEL_MIRRORS (spaces between) if it is set, else urls.

    An address that ends in / is a folder that holds the file. Anything but http and https: UserError.
    """
    own = os.environ.get("EASEL_MIRRORS", "").split()
    for url in own:
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            raise UserError(f"EASEL_MIRRORS: {url!r} is no http or https address; write them with spaces between")
    urls = tuple(url + file if url.endswith("/") else url for url in own) or urls
    return tuple(url for url in urls if not re.search(r"\.(gz|tgz|zip|tar)$", url) or url.endswith("/" + file))


def fetch(
    urls: Sequence[str],
    path: Path,
    md5: str,
    *,
    size: int | None = None,
    seconds: float | None = None,
    patience: Patience | None = None,
    show: TextIO | None = sys.stderr,
    hand: str = HAND,
) -> Path:
    """Downloads path from the first of urls that delivers bytes of this MD5; nothing happens if path is there already.

    size: bytes expected, so that a wrong file is refused before it is read. seconds: give up after this long (what has
    arrived is kept). show: where the progress line goes, None for silence. A mirror that is slow is left for the next;
    if all are slow, the fastest of them is used. Raises UserError naming every mirror and why it failed, and `hand`.
    """
    job = _Job(Path(path), md5, size, patience or Patience(), show)
    job.deadline = time.monotonic() + seconds if seconds is not None else None
    try:
        job.path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(job):
            if not job.path.exists():
                _from_any(job, urls, hand)
    except OSError as error:  # the folder, not the network: that has become Left
        raise UserError(
            f"{job.path}: cannot be written ({error.strerror or error}); make room and make the folder writable, "
            "or point EASEL_DATA at a folder that is"
        ) from error
    return job.path


def fetch_within(
    urls: Sequence[str],
    path: Path,
    md5: str,
    *,
    seconds: float,
    size: int,
    patience: Patience | None = None,
    show: TextIO | None = sys.stderr,
) -> bool:
    """Whether one of urls delivers the file within so many seconds; if one would, it is downloaded now.

    All mirrors are asked at once how fast they are. "No" is remembered for this process, so only the first call waits.
    """
    patience = patience or Patience()
    key = (tuple(urls), str(path), seconds)
    if key in _REFUSED:
        return False
    start = time.monotonic()
    part = _part(Path(path))
    missing = size - (part.stat().st_size if part.exists() else 0)
    rates = mirror_speeds(urls, size=size, patience=patience)
    left = seconds - (time.monotonic() - start)
    able = sorted((url for url, rate in rates.items() if rate * left > missing), key=lambda url: -rates[url])
    if able:
        try:
            fetch(able, path, md5, size=size, seconds=left, patience=patience, show=show)
            return True
        except UserError as error:
            if show:
                print(error, file=show)
    _REFUSED.add(key)
    return False


_REFUSED: set[tuple] = set()


# inside --------------------------------------------------------------------------------------------------------------


@dataclass
class _Job:
    path: Path
    md5: str
    size: int | None
    patience: Patience
    show: TextIO | None
    deadline: float | None = None
    sources: set[str] = field(default_factory=set)  # mirrors whose bytes are in the .part file
    said: float = -math.inf  # when the progress line was last written

    @property
    def part(self) -> Path:
        return _part(self.path)

    @property
    def arrived(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _from_any(job: _Job, urls: Sequence[str], hand: str) -> None:
    failed: dict[str, str] = {}
    slow: dict[str, float] = {}
    if job.arrived:
        job.sources.add("an earlier download")
    for patient in (False, True):
        order = sorted(slow, key=lambda url: -slow[url]) if patient else list(urls)
        for url in order:
            try:
                return _from_one(job, url, leave_slow=not patient and len(urls) > 1)
            except Left as left:
                failed[url] = str(left)
                if left.slow is not None:
                    slow[url] = left.slow
                else:
                    slow.pop(url, None)
                _say(job, f"{url}: {left}", end=True)
    why = "; ".join(f"{url}: {reason}" for url, reason in failed.items()) or "no mirror is known"
    raise UserError(f"{job.path} could not be downloaded ({why}); {hand}")


def _from_one(job: _Job, url: str, leave_slow: bool) -> None:
    """The whole file from one mirror, with resumed attempts as long as each gets further; else Left."""
    for _attempt in range(_ATTEMPTS):
        before = job.arrived
        try:
            if job.size is None or job.arrived != job.size:
                _receive(job, url, leave_slow)
            found = md5_of(job.part)
            if found == job.md5:
                publish(job.part, job.path)
                _say(job, f"{job.path.name}: complete, MD5 is right", end=True)
                return
            mixed = job.sources != {url}
            job.part.unlink()
            job.sources.clear()
            if not mixed:
                raise Left(f"wrong bytes, MD5 is {found}, expected {job.md5}")
        except Left as left:
            if job.arrived <= before or left.final:
                raise
            _say(job, f"{url}: {left}; going on from there", end=True)
    raise Left(f"broken off {_ATTEMPTS} times")


_ATTEMPTS = 20


def _receive(job: _Job, url: str, leave_slow: bool) -> None:
    """Appends to the .part file what url has beyond it; returns when the answer ended where it said it would."""
    have = job.arrived
    if job.size is not None and have > job.size:
        job.part.unlink()
        have = 0
    _on_time(job)
    with opened(url, have, job.patience.connect, job.patience.stall) as answer:
        total = announced(answer)
        if answer.status == 206 and have and not starts_at(answer, have):
            raise Left("answers with another part of the file than was asked for")
        if answer.status == 200:
            have = 0  # no resume here: from the beginning
            job.sources.clear()
        if None not in (total, job.size) and total != job.size:
            raise Left(f"another file: {total} bytes, expected {job.size}")
        job.sources.add(url)
        gained = 0
        meter = Meter(job.patience.slow_for)
        with open(job.part, "r+b" if job.part.exists() else "w+b") as file:
            file.truncate(have)
            file.seek(have)
            while block := _block(answer, job.patience.stall):
                file.write(block)
                gained += len(block)
                meter.add(len(block))
                _progress(job, have + gained, total or job.size, meter.rate, url)
                _on_time(job)
                if job.size is not None and have + gained > job.size:
                    raise Left(f"another file: more than {job.size} bytes")
                if leave_slow and meter.full and meter.rate < job.patience.slow_rate:
                    raise Left(f"slow, {meter.rate / 1000:.0f} kB/s", slow=meter.rate)
    end = total or job.size
    if end is not None and have + gained < end:
        raise Left(f"broken off after {have + gained} of {end} bytes", final=False)


def _block(answer: http.client.HTTPResponse, stall: float) -> bytes:
    try:
        return answer.read1(1 << 18)
    except TimeoutError as error:
        raise Left(f"no byte for {stall:g} s", final=False) from error
    except (OSError, http.client.HTTPException) as error:
        raise Left(f"broken off ({reason(error)})", final=False) from error


def _on_time(job: _Job) -> None:
    if job.deadline is not None and time.monotonic() > job.deadline:
        raise Left("not done in the time given")


@contextmanager
def _alone(job: _Job) -> Iterator[None]:
    """Only one process downloads a file: the others wait for it, then find it there."""
    try:
        import fcntl
    except ImportError:  # Windows: two processes may download the same bytes twice
        yield
        return
    with open(job.part.with_name(f".{job.part.name}.lock"), "a") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if job.deadline is not None and time.monotonic() > job.deadline:
                    raise UserError(f"{job.path}: another process is downloading it and is not done in time") from None
                time.sleep(0.1)
        yield
        if job.path.exists():  # whoever still waits on this lock finds the file, too
            with suppress(FileNotFoundError):
                os.unlink(lock.name)


def _progress(job: _Job, count: int, total: int | None, rate: float, url: str) -> None:
    terminal = job.show is not None and job.show.isatty()
    if job.show is None or time.monotonic() - job.said < (0.2 if terminal else 10):
        return
    whole = f" of {total / 1e6:.0f}" if total else ""
    job.said = time.monotonic()
    left = f", {(total - count) / rate:.0f} s left" if total and rate else ""
    host = urlsplit(url).netloc
    _say(job, f"{job.path.name}: {count / 1e6:.1f}{whole} MB, {rate / 1e6:.2f} MB/s{left}, {host}", end=not terminal)


def _say(job: _Job, line: str, end: bool) -> None:
    if job.show is None:
        return
    back = "\r\x1b[K" if job.show.isatty() else ""
    print(back + line, end="\n" if end else "", file=job.show, flush=True)
