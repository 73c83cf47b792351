"""One file from the first mirror that delivers it, with resume, progress and MD5. A wrong byte never gets a final name.

What has arrived stays in NAME.part, so that an interrupted download goes on where it was, from any mirror (the file is
the same everywhere: its MD5 says so). The file takes its own name only when it is whole and its MD5 is right. Every way
in which a mirror can fail becomes `Left`, so that whoever asks can turn to the next.

`requests` is imported when something is asked for: a training node that has its data need not have it.
"""

import hashlib
import math
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from easel.errors import UserError, reason
from easel.files import make_folder, publish, write_atomically

HAND = "lay it there by hand (data/README.md), name another mirror in EASEL_MIRRORS, or use the data set 'patterns'"
WRITABLE = "make room and make the folder writable, or point EASEL_DATA at a folder that is"
_ATTEMPTS = 20  # with one mirror, each of which has to get further
SMALL_FILE = 20_000_000  # bytes; what is downloaded without a checksum is not larger
_PROBE_BYTES = 8_000_000  # enough to know how fast a mirror is, and no more of somebody's line


@dataclass(frozen=True)
class Patience:
    """How long to wait for what, in seconds; the defaults suit a file of some hundred megabytes."""

    connect: float = 5.0  # name look-up, connection, TLS and the headers, together
    stall: float = 15.0  # without a single byte
    slow_rate: float = 300_000  # bytes/s: below this a mirror is left for the next one ...
    slow_for: float = 8.0  # ... if it stays so for this long
    probe: float = 4.0  # for asking all mirrors at once how fast they are
    probe_read: float = 1.5  # of these, spent on reading


PATIENCE = Patience()


class Left(Exception):
    """Why a mirror was left. final: asking it again now is of no use; slow: it works, only slowly, at this rate."""

    def __init__(self, why: str, final: bool = True, slow: float | None = None):
        super().__init__(why)
        self.final, self.slow = final, slow


def md5_of(file: BinaryIO) -> str:
    """The MD5 of an open file, hex, read piece by piece. OSError where it cannot be read."""
    return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def mirrors(file: str, urls: Sequence[str] = ()) -> tuple[str, ...]:
    """Addresses to try for a file, in order: those of EASEL_MIRRORS (spaces between) if it is set, else urls.

    An address that ends in / is a folder that holds the file. Anything but http and https: UserError.
    """
    own = os.environ.get("EASEL_MIRRORS", "").split()
    for url in own:
        try:
            good = urlsplit(url).scheme in ("http", "https") and urlsplit(url).netloc
        except ValueError:  # http://[
            good = False
        if not good:
            raise UserError(f"EASEL_MIRRORS: {url!r} is no http or https address; write them with spaces between")
    urls = tuple(url + file if url.endswith("/") else url for url in own) or urls
    return tuple(url for url in urls if not re.search(r"\.(gz|tgz|zip|tar)$", url) or url.endswith("/" + file))


def fetch(urls: Sequence[str], path: Path, md5: str, size: int, seconds: float = math.inf) -> None:
    """Downloads path from the first of urls that delivers bytes of this MD5; nothing happens if path is there already.

    size: bytes expected, so that a wrong file is refused before it is read. seconds: give up after this long (what has
    arrived is kept). A mirror that is slow is left for the next; if all are slow, the fastest of them is used. Progress
    goes to stderr. Raises UserError naming every mirror, why it failed and what to do.
    """
    download = _Download(path, md5, size, time.monotonic() + seconds)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with download.alone():
            if not path.exists():
                download.from_any(urls)
    except OSError as error:  # the folder, not the network: that has become Left
        raise UserError(f"{path}: cannot be written ({reason(error)}); {WRITABLE}") from error


def fetch_unchecked(urls: Sequence[str], path: Path, made: Callable[[bytes], bytes]) -> Path:
    """Downloads a small file whose publisher prints no checksum, writes `made` of its bytes, and returns the path.

    Nothing is written where `made` raises, in whatever way. Raises UserError naming every address and why it failed.
    """
    failed = {}
    for url in urls:
        try:
            with _asked(url, 0, None, PATIENCE.connect, PATIENCE.stall) as (_, blocks):
                content, end = b"", time.monotonic() + 4 * PATIENCE.stall
                for block in blocks:
                    content += block
                    if len(content) > SMALL_FILE or time.monotonic() > end:
                        raise Left(f"more than {SMALL_FILE / 1e6:.0f} MB, or slow")
            content = made(content)
        except Left as left:
            failed[url] = left
        except Exception as error:  # a foreign or damaged file may make its reader raise anything
            failed[url] = f"not the file that was expected ({_reason(error):.60})"
        else:
            return write_atomically(make_folder(path.parent) / path.name, content)
    fix = f"lay it into {path.parent} by hand, or set EASEL_MIRRORS"
    raise UserError(f"{path.name} could not be downloaded ({_each(failed)}); {fix}")


def _each(failed: dict[str, object]) -> str:
    return "; ".join(f"{url}: {left}" for url, left in failed.items())


def fetch_within(urls: Sequence[str], path: Path, md5: str, size: int, seconds: float) -> bool:
    """Whether one of urls delivers the file within so many seconds; if one would, it is downloaded now, as by `fetch`.

    All mirrors are asked at once how fast they are. "No" is remembered for this process, so only the first call waits.
    """
    asked = (tuple(urls), path, seconds)
    if asked in _REFUSED:
        return False
    download = _Download(path, md5, size, time.monotonic() + seconds)
    rates = mirror_speeds(urls, size)
    left = download.deadline - time.monotonic()
    able = [url for url in sorted(rates, key=rates.get, reverse=True) if rates[url] * left > size - download.arrived]
    try:
        if able:
            fetch(able, path, md5, size, left)
            return True
    except UserError as error:
        print(error, file=sys.stderr)
    _REFUSED.add(asked)
    return False


_REFUSED: set[tuple] = set()


def mirror_speeds(urls: Sequence[str], size: int) -> dict[str, float]:
    """Bytes a second that each mirror gives right now, 0 for one that does not answer or has another file; all at once.

    Takes PATIENCE.probe seconds at most, whatever the network does.
    """
    rates = dict.fromkeys(urls, 0.0)

    def probe(url: str) -> None:
        with suppress(Left), _asked(url, 0, size, PATIENCE.probe, PATIENCE.probe_read) as (_, blocks):
            start, count = time.monotonic(), 0
            for block in blocks:
                count += len(block)
                if time.monotonic() - start > PATIENCE.probe_read or count > _PROBE_BYTES:
                    break
            rates[url] = count / max(time.monotonic() - start, 1e-3)

    threads = [threading.Thread(target=probe, args=(url,), daemon=True) for url in rates]
    for thread in threads:
        thread.start()
    end = time.monotonic() + PATIENCE.probe
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return dict(rates)


# one mirror ----------------------------------------------------------------------------------------------------------


@contextmanager
def _asked(url: str, start: int, size: int | None, connect: float, stall: float) -> Iterator[tuple]:
    """(first byte, blocks of bytes) that url sends when it is asked for a file of this size from byte `start` on.

    size: None if it is not known. The first byte is `start`, or 0 from a mirror that cannot resume. Left if no right
    answer comes within `connect` seconds. A name look-up has no time-out of its own, so the request is made in a thread
    that is left behind if it hangs.
    """
    try:
        import requests
    except ImportError:
        raise Left("downloading takes the package requests: pip install requests") from None
    headers = {"User-Agent": "easel", "Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    came = Future()

    def ask() -> None:
        try:
            came.set_result(requests.get(url, headers=headers, stream=True, timeout=(connect, stall)))
        except Exception as error:
            came.set_exception(error)

    threading.Thread(target=ask, daemon=True).start()
    if not wait([came], connect).done:
        came.add_done_callback(lambda late: late.exception() or late.result().close())
        raise Left(f"no answer within {connect:g} s")
    if error := came.exception():
        raise Left(_reason(error)) from error
    with came.result() as answer:
        if answer.status_code == 416:
            raise Left("has no bytes beyond those that arrived")
        if not answer.ok:
            raise Left(f"{answer.status_code} {answer.reason}")
        announced = answer.headers.get("Content-Length", "")
        if resumed := answer.status_code == 206:
            span = answer.headers.get("Content-Range", "").strip()
            part = re.fullmatch(r"bytes ([0-9]{1,18})-[0-9]+/([0-9]+|\*)", span)
            if not part or int(part[1]) != start:
                raise Left("answers with another part of the file than was asked for")
            announced = part[2]
        if size and re.fullmatch("[0-9]+", announced) and announced.lstrip("0") != str(size):  # int("²") is none
            raise Left(f"another file: {announced:.20} bytes, expected {size}")
        yield start if resumed else 0, _blocks(answer, stall)


def _blocks(answer: object, stall: float) -> Iterator[bytes]:
    """What arrives, as it arrives: `iter_content` waits for whole blocks, and what it waits with is lost in a break."""
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    read = getattr(answer.raw, "read1", answer.raw.read)  # urllib3 before 2.2 has only the latter, which waits, too
    try:
        while block := read(1 << 18):
            yield block
    except ReadTimeoutError as error:
        raise Left(f"no byte for {stall:g} s", final=False) from error
    except HTTPError as error:  # also where fewer bytes came than were announced
        raise Left(f"broken off ({_reason(error)})", final=False) from error


def _reason(error: BaseException) -> str:
    """A network error in a few words: of the errors that libraries wrap around it, the innermost."""
    while below := error.__cause__ or error.__context__:
        error = below
    return "no answer in time" if isinstance(error, TimeoutError) else reason(error)


# one file ------------------------------------------------------------------------------------------------------------


@dataclass
class _Download:
    path: Path
    md5: str
    size: int
    deadline: float  # on the monotonic clock
    said: float = -math.inf  # when the progress line was last written

    @property
    def part(self) -> Path:
        return self.path.with_name(self.path.name + ".part")

    @property
    def arrived(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def from_any(self, urls: Sequence[str]) -> None:
        failed: dict[str, Left] = {}
        for last_resort in (False, True):
            slow = sorted((url for url in failed if failed[url].slow), key=lambda url: -failed[url].slow)
            for url in slow if last_resort else urls:
                try:
                    return self.from_one(url, leave_slow=len(urls) > 1 and not last_resort)
                except Left as left:
                    failed[url] = left
                    self.say(f"{url}: {left}")
        raise UserError(f"{self.path} could not be downloaded ({_each(failed) or 'no mirror is known'}); {HAND}")

    def from_one(self, url: str, leave_slow: bool) -> None:
        """The whole file from one mirror, with resumed attempts as long as each gets further; else Left."""
        mixed = self.arrived > 0  # bytes of others are in it: if the MD5 is wrong, this mirror may be right
        for _attempt in range(_ATTEMPTS):
            before = self.arrived
            try:
                self.receive(url, leave_slow)
            except Left as left:
                if left.final or self.arrived <= before:
                    raise
                self.say(f"{url}: {left}; going on from there")
                continue
            with open(self.part, "rb") as file:
                found = md5_of(file)
            if found == self.md5:
                publish(self.part, self.path)
                return self.say(f"{self.path.name}: complete, MD5 is right")
            self.part.unlink()
            if not mixed:
                raise Left(f"wrong bytes, MD5 is {found}, expected {self.md5}")
            mixed = False
        raise Left(f"broken off {_ATTEMPTS} times")

    def receive(self, url: str, leave_slow: bool) -> None:
        """Appends to the .part file what url has beyond it, to the end; else Left."""
        if self.arrived > self.size:
            self.part.unlink()
        if self.arrived == self.size:
            return
        self.on_time()
        asked = _asked(url, self.arrived, self.size, PATIENCE.connect, PATIENCE.stall)
        with asked as (count, blocks), open(self.part, "ab") as file:
            file.truncate(count)
            since, there = time.monotonic(), count  # the rate is looked at anew every `slow_for` seconds
            for block in blocks:
                file.write(block)
                count += len(block)
                elapsed = max(time.monotonic() - since, 1e-3)
                rate = (count - there) / elapsed
                self.progress(count, rate, url)
                self.on_time()
                if count > self.size:
                    raise Left(f"another file: more than {self.size} bytes")
                if elapsed >= PATIENCE.slow_for:
                    if leave_slow and rate < PATIENCE.slow_rate:
                        raise Left(f"slow, {rate / 1000:.0f} kB/s", slow=rate)
                    since, there = time.monotonic(), count
        if count < self.size:  # a mirror that did not announce how much it would send
            raise Left(f"broken off after {count} of {self.size} bytes", final=False)

    def on_time(self) -> None:
        if time.monotonic() > self.deadline:
            raise Left("not done in the time given")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Only one process downloads a file: the others wait for it, then find it there."""
        try:
            import fcntl
        except ImportError:  # Windows: two processes may download the same bytes twice
            yield
            return
        path = self.part.with_name(f".{self.part.name}.lock")
        while True:
            lock = open(path, "a")  # noqa: SIM115 - closed below, and by any death of this process
            with suppress(BlockingIOError, FileNotFoundError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if path.stat().st_ino == os.fstat(lock.fileno()).st_ino:  # else ours was removed while we waited
                    break
            lock.close()
            if time.monotonic() > self.deadline:
                raise UserError(f"{self.path}: another process is downloading it and is not done in time")
            time.sleep(0.1)
        with lock:
            try:
                yield
            finally:
                os.unlink(path)

    def progress(self, count: int, rate: float, url: str) -> None:
        terminal = sys.stderr.isatty()
        if time.monotonic() - self.said < (0.2 if terminal else 10):
            return
        self.said = time.monotonic()
        done = f"{count / 1e6:.1f} of {self.size / 1e6:.0f} MB, {rate / 1e6:.2f} MB/s"
        left = f"{(self.size - count) / max(rate, 1):.0f} s left"
        self.say(f"{self.path.name}: {done}, {left}, {urlsplit(url).netloc}", end="" if terminal else "\n")

    def say(self, line: str, end: str = "\n") -> None:
        back = "\r\x1b[K" if sys.stderr.isatty() else ""  # over the progress line that stands there
        print(back + line, end=end, file=sys.stderr, flush=True)
