"""From an interval to a verdict, with a reason: the only place that judges.

A claim about a quantity asks whether it lies above (or below) a value, at one point or at every one of several:
    holds           the 95% interval of every point lies on the claimed side; as all must, chance does not get easier
    fails           some point's lies wholly on the other side; as one is enough, widened for their number (Bonferroni)
    no difference   the intervals lie within a stated margin of the value, so that whatever is
                    there is too small to matter
    open            none of these; `reason` says what is missing in one word: trials (more would decide, `needed` says
                    how many from the spread that was seen), images, or design (ties, arithmetic: more would not help)
A claim about a printed level asks how far it is from ours (`against_print`):
    as printed      under every tie rule ours is within MARGIN of it, sampling error included
    not as printed  it lies outside what any breaking of ties could give, sampling error included
    open            neither

Each interval is at 95% by itself: of a hundred claims that are true, some two or three fail by chance, and of a hundred
that are false as many hold.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from easel.compare.intervals import Interval
from easel.errors import UserError

VERDICTS = ("holds", "fails", "no difference", "open", "as printed", "not as printed")
REASONS = ("trials", "images", "design")
MARGIN = 0.10  # of a rate or correlation against a printed one
_MOST = 50  # times as many trials: beyond that "more trials" is no advice


class Finding(NamedTuple):
    """What a claim comes to: the point that decides, its interval, the verdict; if open, why, and trials needed."""

    where: str  # the deciding point
    estimate: float
    low: float
    high: float
    n: int  # trials of that point
    verdict: str  # one of VERDICTS
    reason: str = ""  # one of REASONS if open
    needed: int | None = None  # trials that would decide, as many again as n counts

    def row(self) -> dict:
        """The columns of a verdict that `Page.verdict` takes by these names."""
        known = np.isfinite([self.estimate, self.low, self.high]).all()
        ends = {"low": self.low, "high": self.high} if known else {}
        found = {"here": self.estimate, **ends, "n": self.n, "verdict": self.verdict}
        return found | {"reason": self.reason, "needed": self.needed}


Points = Mapping[str, Interval | Callable[[float], Interval]]  # {point: its interval, or its interval at a level}


def judge(
    points: Points | Interval,
    *,
    above: float | Mapping[str, float] | None = None,
    below: float | Mapping[str, float] | None = None,
    margin: float | None = None,
    limit: str = "",
    level: float = 0.95,
) -> Finding:
    """The verdict on "at EVERY point it lies above (or below) this value" (the module's text).

    points: {point: function(level) -> Interval}, so that intervals can be widened; plain Intervals are taken as they
    are. above, below: the value, or one a point; margin: about the value, within which a difference does not matter.
    limit: one of REASONS where something else than the spread stands in the way (ties that decide, another data set);
    the verdict is then open whatever the interval says. The finding shows the deciding point, the worst, with the
    interval that the verdict stands on. UserError: no points; both or neither of above and below.
    """
    points = {"": points} if isinstance(points, Interval) else dict(points)
    if not points or (above is None) == (below is None):
        raise UserError("judge: at least one point, and one of above=... and below=...")
    if limit not in ("", *REASONS):
        raise UserError(f"limit {limit!r}: one of {', '.join(REASONS)}")
    sign, value = (1, above) if below is None else (-1, below)
    bar = {p: sign * (value[p] if isinstance(value, Mapping) else float(value)) for p in points}
    finer = 1 - (1 - level) / len(points)
    plain, wide = ({p: _mirrored(_at(one, a), sign) for p, one in points.items()} for a in (level, finer))
    against = [p for p, one in wide.items() if one.telling and one.high < bar[p]]
    worst = min(plain, key=lambda p: plain[p].low - bar[p] if plain[p].telling else -np.inf)
    verdict, shown = "open", plain
    if limit:
        pass
    elif against:
        worst, verdict, shown = min(against, key=lambda p: wide[p].high - bar[p]), "fails", wide
    elif all(one.telling and one.low > bar[p] for p, one in plain.items()):
        verdict = "holds"
    if verdict != "holds" and not limit and margin is not None:
        near = [one.telling and abs(one.low - bar[p]) < margin > abs(one.high - bar[p]) for p, one in plain.items()]
        verdict, shown = ("no difference", plain) if all(near) else (verdict, shown)
    needed = None if limit or verdict != "open" else _needed(plain[worst], bar[worst], margin)
    reason = (limit or "trials") if verdict == "open" else ""
    return Finding(worst, *_mirrored(shown[worst], sign), verdict, reason, needed)


def some(points: Points, *, above: float, level: float = 0.95) -> Finding:
    """The verdict on "at SOME point it lies above this value", shown by the best of them.

    Every interval is widened for their number (Bonferroni), since the best of several is looked at. "holds": the best
    one's lies above; "fails": all lie below; else open.
    """
    finer = 1 - (1 - level) / len(points)
    wide = {point: _at(one, finer) for point, one in points.items()}
    best = max(wide, key=lambda point: np.nan_to_num(wide[point].estimate, nan=-np.inf))
    verdict = "open"
    if wide[best].telling and wide[best].low > above:
        verdict = "holds"
    elif all(one.telling and one.high < above for one in wide.values()):
        verdict = "fails"
    needed = _needed(wide[best], above, None) if verdict == "open" else None
    return Finding(best, *wide[best], verdict, "trials" if verdict == "open" else "", needed)


def against_print(
    rules: Mapping[str, Interval] | Interval,
    printed: float,
    *,
    bounds: tuple[float, float] | None = None,
    ceiling: float = np.inf,
    limit: str = "",
    margin: float = MARGIN,
) -> Finding:
    """How a level stands to a printed one (the module's text).

    rules: our value under each tie rule, the first of them the headline; bounds: lowest and highest that any breaking
    of ties could give. ceiling: what a net reaches with itself: a level that is low only because that is too is open.
    limit: as in `judge`, such as "images" where they are not the paper's.
    """
    rules = {"": rules} if isinstance(rules, Interval) else dict(rules)
    first = next(iter(rules.values()))
    reach = max(first.high - first.estimate, first.estimate - first.low)
    low, high = (first.estimate, first.estimate) if bounds is None else bounds
    off = {rule: abs(one.estimate - printed) + reach for rule, one in rules.items()}
    verdict, reason, needed = "open", limit, None
    if not first.telling:
        reason = limit or "trials"
    elif not limit and max(off.values()) <= margin:
        verdict = "as printed"
    elif not limit and not low - reach <= printed <= high + reach:
        verdict = "not as printed"
        if first.estimate < printed and ceiling < printed - margin:
            verdict, reason = "open", "design"
    elif not limit:
        tied = high - low > margin or max(off.values()) - reach > margin
        room = margin - max(off.values()) + reach
        reason, needed = ("design", None) if tied else ("trials", _times(first.n, reach, room))
    return Finding("", *first, verdict, reason, needed)


def _at(one: Interval | Callable[[float], Interval], level: float) -> Interval:
    return one if isinstance(one, Interval) else one(level=level)


def _mirrored(interval: Interval, sign: int) -> Interval:
    """The interval of the values times 1 or -1."""
    estimate, low, high, n = interval
    return Interval(*interval) if sign > 0 else Interval(-estimate, -high, -low, n)


def _needed(one: Interval, bar: float, margin: float | None) -> int | None:
    """Trials at which an interval as wide as its spread says would clear the bar, or fit into the margin."""
    if not one.telling:
        return None
    reach, gap = (one.high - one.low) / 2, abs(one.estimate - bar)
    options = [_times(one.n, reach, gap), _times(one.n, reach, (margin or 0) - gap)]
    return min((n for n in options if n is not None), default=None)


def _times(n: int, reach: float, room: float) -> int | None:
    """n times (reach / room)^2, rounded up; None where no sensible number of trials makes the reach so small."""
    if room <= 0 or not reach / room < _MOST**0.5:
        return None
    return int(np.ceil(n * (reach / room) ** 2 - 1e-6))


class Judged(NamedTuple):
    """A claim's finding with what is said beside it: what a notebook hands to its page, `lab.claim(text, judged)`."""

    finding: Finding
    why: str  # one sentence; `{where}` stands for the deciding point
    paper: float | str | None = None  # what is printed, as a number or in words
