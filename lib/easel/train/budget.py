"""The time that training may take. Trainers ask before they begin a trial or a group of trials; nothing is cut short.

with budget.time_limit(budget.seconds("8m")):
    ensure(trials)          # raises OutOfTime once the eight minutes are over and something was left to begin
"""

import contextlib
import re
import time
from collections.abc import Iterator

from easel.errors import UserError

UNITS = {"s": 1, "m": 60, "h": 3600}


class OutOfTime(BaseException):
    """The budget is spent. No Exception: what a notebook does about its own faults must not take it for one.

    left: how many trials of those that were asked for together have no record yet.
    """

    def __init__(self, left: int = 1):
        super().__init__(f"{left} trials left")
        self.left = left


def seconds(text: str) -> float:
    """Seconds of a budget as typed: 90s, 8m, 1.5h. UserError for anything else, and for nothing."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smh])", text)
    spell = float(found[1]) * UNITS[found[2]] if found else 0.0
    if not 0 < spell < float("inf"):
        raise UserError(
            f"--budget {text!r} is no time to train in; it takes a number above 0 with s, m or h: 90s, 8m, 1.5h"
        )
    return spell


@contextlib.contextmanager
def time_limit(spell: float | None) -> Iterator[None]:
    """Whatever trains inside has so many seconds from now, of the wall clock; None: as many as it takes."""
    global _end
    before, _end = _end, None if spell is None else time.monotonic() + spell
    try:
        yield
    finally:
        _end = before


def spent() -> bool:
    """Whether the time is over."""
    return _end is not None and time.monotonic() >= _end


def ask() -> None:
    """For a trainer, before it begins something: OutOfTime if the time is over."""
    if spent():
        raise OutOfTime


_end: float | None = None  # of time.monotonic(); one for the process, as there is one driver that trains
