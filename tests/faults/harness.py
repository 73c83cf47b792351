"""Faults, made on purpose and many times over: what each kind is, how often it was tried, and what survived.

A Fault prepares something once and is then tried with a number, which is the seed of all that is random in the try. A
try gives "" where everything survived: what was acknowledged is there, what is read is right, and what cannot be met is
said in one line. Else it gives one line on what was lost, wrong or a traceback. What this machine does not permit is
skipped by name.
"""

import io
import json
import multiprocessing as mp
import multiprocessing.connection
import os
import random
import resource
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path

from easel import errors


@dataclass(frozen=True)
class Fault:
    """prepare(folder) -> what tries share, closed in the end; attempt(shared, Random) -> "" or what went wrong."""

    name: str
    tries: int  # of the long run
    few: int  # of the short one, in `make test`
    prepare: Callable[[Path], object]
    attempt: Callable[[object, random.Random], str]


FAULTS: dict[str, Fault] = {}


class Skipped(Exception):
    """This machine does not permit the fault; why."""


def fault(name: str, tries: int, few: int, prepare: Callable[[Path], object] = lambda folder: folder):
    """Makes the decorated function, (shared, rng) -> str, a fault of this name."""

    def register(attempt):
        FAULTS[name] = Fault(name, tries, few, prepare, attempt)
        return attempt

    return register


@contextmanager
def prepared(one: Fault) -> Iterator[Callable[[int], str]]:
    """A function that tries the fault: number -> "" or what went wrong; an exception is a traceback."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # no fault here is one of a disk's own memory
    with tempfile.TemporaryDirectory(prefix="easel-faults-", dir=memory) as folder, chdir("."):  # wherever one went
        shared = one.prepare(Path(folder))

        def attempt(number: int) -> str:
            errors._NAMED.clear()
            try:
                with redirect_stdout(io.StringIO()):
                    return one.attempt(shared, random.Random(f"{one.name} {number}"))
            except Exception as found:
                frame = traceback.extract_tb(found.__traceback__)[-1]
                return f"traceback: {type(found).__name__}: {found} ({Path(frame.filename).name}:{frame.lineno})"

        try:
            yield attempt
        finally:
            getattr(shared, "close", lambda: None)()


@contextmanager
def forking() -> Iterator[None]:
    """Forks inside are meant, also beside threads that a runner of tests may have: what is forked here starts none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@contextmanager
def said() -> Iterator[list[str]]:
    """The warnings inside, as text."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        words: list[str] = []
        yield words
        words += [str(one.message) for one in found]


def turned(blob: bytes, rng: random.Random) -> bytes:
    """One bit turned, or, every eighth time, cut: at its ends, behind a block or a power of two, or anywhere."""
    if not rng.randrange(8):
        blocks = (4096 * rng.randrange(len(blob) // 4096 + 1), 512 * rng.randrange(len(blob) // 512 + 1))
        ends = (0, 1, 2 ** rng.randrange(len(blob).bit_length()), len(blob) // 2, len(blob) - 71, len(blob) - 1)
        return blob[: min(rng.choice([*ends, *blocks, rng.randrange(len(blob))]), len(blob) - 1)]
    at = rng.randrange(8 * len(blob))
    bad = bytearray(blob)
    bad[at // 8] ^= 1 << at % 8
    return bytes(bad)


LOGGED_S = 5.0  # between two lines of a log: so much is tried again after a stop


class Log:
    """What was tried so far, a line every few seconds and one for each fault that was found: a run goes on from it."""

    def __init__(self, path: Path):
        self.path, self.done, self.bad, self.skipped = path, {}, {}, {}
        for line in path.read_text().splitlines() if path.exists() else ():
            with suppress(ValueError, TypeError):  # a line that was cut: its tries are made again
                self._note(**json.loads(line))

    def _note(self, name: str, done: int, bad: str = "", skipped: str = "") -> None:
        self.done[name] = max(done, self.done.get(name, 0))
        if bad:
            self.bad.setdefault(name, {})[done] = bad
        if skipped:
            self.skipped[name] = skipped

    def write(self, name: str, done: int, bad: str = "", skipped: str = "") -> None:
        line = {"name": name, "done": done, "bad": bad, "skipped": skipped}
        self._note(**line)
        with open(self.path, "a") as file:
            file.write(json.dumps(line) + "\n")

    def table(self) -> str:
        """fault | tries | survived | lost or wrong, as Markdown, in the order in which the faults stand here."""
        names = [name for name in [*FAULTS, *self.done] if name in self.done]
        counts = {name: (self.done[name], len(self.bad.get(name, ()))) for name in names}
        rows = [(name, n, n - bad, bad) for name, (n, bad) in counts.items()]
        rows.append(("all", *(sum(row[column] for row in rows) for column in (1, 2, 3))))
        said = {name: f"{name} (skipped: {why})" for name, why in self.skipped.items() if not self.done[name]}
        lines = [f"| {said.get(name, name)} | {n:,} | {good:,} | {bad:,} |" for name, n, good, bad in rows]
        return "\n".join(["| fault | tries | survived | lost or wrong |", "|---|---|---|---|", *lines])


def spent() -> float:
    """Seconds of a core that this process, and those that it started and that ended, took so far."""
    usage = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usage)


def run(names: list[str], log: Log, share: float = 1.0, say=print) -> None:
    """Tries each fault as often as its long run wants, times `share`, from where the log stands."""
    for one in (FAULTS[name] for name in names):
        wanted, began, before = max(1, round(one.tries * share)), time.monotonic(), spent()
        first, logged = log.done.get(one.name, 0), began
        if first >= wanted:
            continue
        try:
            with prepared(one) as attempt:
                for number in range(first, wanted):
                    if bad := attempt(number):
                        say(f"{one.name}, try {number}: {bad}", flush=True)
                    if bad or number + 1 == wanted or time.monotonic() - logged > LOGGED_S:
                        logged = time.monotonic()
                        log.write(one.name, number + 1, bad)
        except Skipped as why:
            log.write(one.name, 0, skipped=str(why))
            say(f"{one.name}: skipped: {why}", flush=True)
            continue
        took = f"{time.monotonic() - began:.0f} s ({spent() - before:.0f} s of a core)"
        say(f"{one.name}: {wanted - first:,} tries in {took}", flush=True)


def run_apart(names: list[str], path: Path, share: float, at_once: int) -> bool:
    """`run`, each fault in a process of its own, so many at a time: what one changes of its process no other meets.

    False where a process did not come to its end, as where a fault cannot be prepared.
    """
    left, running, whole = list(names), [], True
    try:
        while left or running:
            while left and len(running) < at_once:
                running.append(mp.get_context("fork").Process(target=run, args=([left.pop(0)], Log(path), share)))
                with forking():
                    running[-1].start()
            ready = mp.connection.wait([one.sentinel for one in running])
            ended = [one for one in running if one.sentinel in ready]
            for one in ended:
                one.join()  # the sentinel closes a moment before there is an exit code
            whole &= not any(one.exitcode for one in ended)
            running = [one for one in running if one not in ended]
        return whole
    finally:
        for one in running:
            one.terminate()
