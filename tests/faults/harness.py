"""Faults, made on purpose and many times over: what each kind is, how often it was tried, and what survived.

A Fault prepares something once and is then tried with a number, which is the seed of all that is random in the try. A
try gives "" where everything survived: what was acknowledged is there, what is read is right, and what cannot be met is
said in one line. Else it gives one line on what was lost, wrong or a traceback.
"""

import json
import random
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path

from easel import errors


@dataclass(frozen=True)
class Fault:
    """prepare(folder) -> what tries share; attempt(shared, random.Random) -> "" or what went wrong."""

    name: str
    tries: int  # of the long run
    few: int  # of the short one, in `make test`
    prepare: Callable[[Path], object]
    attempt: Callable[[object, random.Random], str]


FAULTS: dict[str, Fault] = {}


def fault(name: str, tries: int, few: int, prepare: Callable[[Path], object] = lambda folder: folder):
    """Makes the decorated function, (shared, rng) -> str, a fault of this name."""

    def register(attempt):
        FAULTS[name] = Fault(name, tries, few, prepare, attempt)
        return attempt

    return register


@contextmanager
def prepared(one: Fault) -> Iterator[Callable[[int], str]]:
    """A function that tries the fault: number -> "" or what went wrong; an exception is a traceback."""
    with tempfile.TemporaryDirectory(prefix="easel-faults-") as folder, chdir("."):  # back, wherever a fault went
        shared = one.prepare(Path(folder))

        def attempt(number: int) -> str:
            errors._NAMED.clear()
            try:
                return one.attempt(shared, random.Random(f"{one.name} {number}"))
            except Exception as found:
                frame = traceback.extract_tb(found.__traceback__)[-1]
                return f"traceback: {type(found).__name__}: {found} ({Path(frame.filename).name}:{frame.lineno})"

        yield attempt


@contextmanager
def said() -> Iterator[list[str]]:
    """The warnings inside, as text."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        words: list[str] = []
        yield words
        words += [str(one.message) for one in found]


def turned(blob: bytes, rng: random.Random) -> bytes:
    """One bit turned, or, every eighth time, cut at some place: at its ends as often as anywhere."""
    if not rng.randrange(8):
        return blob[: rng.choice([0, 1, len(blob) - 1, len(blob) // 2, rng.randrange(len(blob))])]
    at = rng.randrange(8 * len(blob))
    bad = bytearray(blob)
    bad[at // 8] ^= 1 << at % 8
    return bytes(bad)


class Log:
    """What was tried so far, a line a hundred tries and one for each fault that was found: a run goes on from it."""

    def __init__(self, path: Path):
        self.path, self.done, self.bad = path, {}, {}
        for line in path.read_text().splitlines() if path.exists() else ():
            try:
                self._note(**json.loads(line))
            except (ValueError, TypeError):  # a line that was cut: its tries are made again
                continue

    def _note(self, name: str, done: int, bad: str = "") -> None:
        self.done[name] = max(done, self.done.get(name, 0))
        if bad:
            self.bad.setdefault(name, {})[done] = bad

    def write(self, name: str, done: int, bad: str = "") -> None:
        self._note(name, done, bad)
        with open(self.path, "a") as file:
            file.write(json.dumps({"name": name, "done": done, "bad": bad}) + "\n")

    def table(self) -> str:
        """fault | tries | survived | lost or wrong, as Markdown."""
        rows = [
            (name, n, n - len(self.bad.get(name, ())), len(self.bad.get(name, ()))) for name, n in self.done.items()
        ]
        rows.append(("all", *(sum(row[column] for row in rows) for column in (1, 2, 3))))
        lines = [f"| {name} | {n:,} | {good:,} | {bad:,} |" for name, n, good, bad in rows]
        return "\n".join(["| fault | tries | survived | lost or wrong |", "|---|---|---|---|", *lines])


def run(names: list[str], log: Log, share: float = 1.0, say=print) -> None:
    """Tries each fault as often as its long run wants, times `share`, from where the log stands."""
    for one in (FAULTS[name] for name in names):
        wanted, began = max(1, round(one.tries * share)), time.monotonic()
        first = log.done.get(one.name, 0)
        if first >= wanted:
            continue
        with prepared(one) as attempt:
            for number in range(first, wanted):
                if bad := attempt(number):
                    say(f"{one.name}, try {number}: {bad}")
                if bad or number % 100 == 99 or number + 1 == wanted:
                    log.write(one.name, number + 1, bad)
        say(f"{one.name}: {wanted - first:,} tries in {time.monotonic() - began:.0f} s", flush=True)
