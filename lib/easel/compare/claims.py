"""From an interval to a verdict, with a reason: the only place that judges.

A claim about a quantity asks whether it lies above (or below) a value, at one point or at every one of several:
    holds           the 95% interval of every point lies on the claimed side; as all must, chance does not get easier
    fails           some point's lies wholly on the other side; as one is enough, widened for their number (Bonferroni)
    no difference   the intervals lie within a stated margin of the value: whatever is there is too small to matter
    open            none of these; `reason` says what is missing: trials (more would decide, `needed` says how many from
                    the spread that was seen), images (what more trials would leave of the interval is too wide), design
                    (ties, arithmetic: more would not help), or spread (all trials are alike, such as every image right
                    in every one: an interval of width 0 decides nothing)
A claim about a printed level asks how far it is from ours (`against_print`):
    as printed      under every tie rule ours is within MARGIN of it, sampling error included
    not as printed  it lies outside what any breaking of ties could give, sampling error included
    open            neither

Each interval is at 95% by itself: of a hundred true claims some two or three fail by chance, and of a hundred false
ones as many hold. What lies nearer than ROUNDING to the value is neither above nor below: no verdict hangs on rounding.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from easel.compare.cuts import ROUNDING, chosen
from easel.compare.intervals import Interval, t_interval, together
from easel.errors import UserError, answers

VERDICTS = ("holds", "fails", "no difference", "open", "as printed", "not as printed")
REASONS = ("trials", "images", "design")  # that a claim can be limited by
SATURATED = "saturated: no spread"
MARGIN = 0.10  # of a rate or correlation against a printed one
_MOST = 50  # times as many trials: beyond that "more trials" is no advice


class Finding(NamedTuple):
    """What a claim comes to: the point that decides, its interval, the verdict; if open, why, and trials needed."""

    where: str  # the deciding point
    estimate: float
    low: float
    high: float
    n: int  # trials of that point (where an interval is one over examples: those)
    verdict: str  # one of VERDICTS
    reason: str = ""  # if open: one of REASONS, or SATURATED
    needed: int | None = None  # trials that would decide, as many again as n counts

    def row(self) -> dict:
        """The columns of a verdict that `Page.verdict` takes by these names."""
        known = np.isfinite([self.estimate, self.low, self.high]).all()
        ends = {"low": self.low, "high": self.high} if known else {}
        found = {"here": self.estimate, **ends, "n": self.n, "verdict": self.verdict}
        return found | {"reason": self.reason, "needed": self.needed}


Points = Mapping[str, Interval | Callable[[float], Interval]]  # {point: its interval, or its interval at a level}


@answers(
    points="intervals by name",
    above="a number or one a point",
    below="a number or one a point",
    margin="a number",
    limit="a text",
    steady="a number",
)
def judge(
    points: Points | Interval,
    *,
    above: float | Mapping[str, float] | None = None,
    below: float | Mapping[str, float] | None = None,
    margin: float | None = None,
    limit: str = "",
    steady: float = 0.0,
) -> Finding:
    """The verdict on "at EVERY point it lies above (or below) this value" (the module's text).

    points: {point: function(level) -> Interval}, so that intervals can be widened; plain Intervals are taken as they
    are. above, below: the value, or one a point; margin: about the value, within which a difference does not matter.
    limit: one of REASONS where something else than the spread stands in the way (ties that decide, another data set);
    the verdict is then open whatever the interval says. steady: half the width that more trials would leave of the
    intervals, since other images are in them as well (inf: all of it). The finding shows the deciding point, the worst,
    with the interval that the verdict stands on. UserError: no points, a point without a value, both or neither of
    above, below.
    """
    points = {"": points} if isinstance(points, Interval) else dict(points)
    if not points or (above is None) == (below is None):
        raise UserError("judge: at least one point, and one of above=... and below=...")
    if limit:
        chosen("limit", limit, REASONS)
    sign, value = (1, above) if below is None else (-1, below)
    if isinstance(value, Mapping) and not points.keys() <= value.keys():
        raise UserError(f"judge: no value for {', '.join(sorted(points.keys() - value.keys()))}: give each point one")
    bar = {point: sign * float(value[point] if isinstance(value, Mapping) else value) for point in points}
    plain, wide = ({p: _mirrored(_at(one, of), sign) for p, one in points.items()} for of in (1, len(points)))
    refuted = [p for p, one in wide.items() if one.telling and _exceeds(bar[p], one.high)]
    worst = min(plain, key=lambda p: plain[p].low - bar[p] if plain[p].telling else -np.inf)
    verdict, shown = "open", plain[worst]
    if limit:
        pass
    elif refuted:
        worst = min(refuted, key=lambda p: wide[p].high - bar[p])
        verdict, shown = "fails", wide[worst]
    elif all(one.telling and _exceeds(one.low, bar[p]) for p, one in plain.items()):
        verdict = "holds"
    if verdict != "holds" and not limit and margin is not None:
        far = {p: max(abs(one.low - bar[p]), abs(one.high - bar[p])) for p, one in plain.items()}
        if all(one.telling and _exceeds(margin, far[p]) for p, one in plain.items()):
            verdict, shown = "no difference", plain[worst]
    if verdict == "open" and not limit and steady > 0 and abs(plain[worst].estimate - bar[worst]) <= steady:
        limit = "images"
    return _finding(worst, _mirrored(shown, sign), verdict, limit, _needed(plain[worst], bar[worst], margin, steady))


@answers(points="intervals by name", above="a number")
def some(points: Points, *, above: float) -> Finding:
    """The verdict on "at SOME point it lies above this value", shown by the best of them.

    Every interval is widened for their number (Bonferroni), since the best of several is looked at. "holds": the best
    one's lies above; "fails": all lie below; else open. UserError: no points.
    """
    if not points:
        raise UserError("some: at least one point")
    wide = {point: _at(one, len(points)) for point, one in points.items()}
    best = max(wide, key=lambda point: np.nan_to_num(wide[point].estimate, nan=-np.inf))
    verdict = "open"
    if wide[best].telling and _exceeds(wide[best].low, above):
        verdict = "holds"
    elif all(one.telling and _exceeds(above, one.high) for one in wide.values()):
        verdict = "fails"
    return _finding(best, wide[best], verdict, "", _needed(wide[best], above, None))


@answers(rules="intervals by name", printed="a number", bounds="two numbers", ceiling="a number", limit="a text")
def against_print(
    rules: Mapping[str, Interval] | Interval,
    printed: float,
    *,
    bounds: tuple[float, float] | None = None,
    ceiling: float = np.inf,
    limit: str = "",
) -> Finding:
    """How a level stands to a printed one (the module's text).

    rules: our value under each tie rule, the first of them the headline; bounds: lowest and highest that any breaking
    of ties could give. ceiling: what a net reaches with itself: a level that is low only because that is too is open.
    limit: as in `judge`, such as "images" where they are not the paper's. UserError: no rule, nothing printed.
    """
    rules = {"": rules} if isinstance(rules, Interval) else dict(rules)
    if not rules or not np.isfinite(printed):
        raise UserError(f"printed={printed!r} against {len(rules)} tie rules: give a number and at least one rule")
    first = next(iter(rules.values()))
    reach = max(first.high - first.estimate, first.estimate - first.low)
    low, high = (first.estimate, first.estimate) if bounds is None else bounds
    off = max(abs(one.estimate - printed) for one in rules.values())
    if limit or not first.telling:
        return _finding("", first, "open", limit, None)
    if not _exceeds(off + reach, MARGIN):
        return _finding("", first, "as printed")
    if _exceeds(low - reach, printed) or _exceeds(printed, high + reach):
        by_ceiling = first.estimate < printed and _exceeds(printed - MARGIN, ceiling)
        return _finding("", first, "open", "design") if by_ceiling else _finding("", first, "not as printed")
    if _exceeds(high - low, MARGIN) or _exceeds(off, MARGIN):
        return _finding("", first, "open", "design")
    return _finding("", first, "open", "", _times(first.n, reach, MARGIN - off))


@answers(values="values by name")
def points(values: Mapping[str, object]) -> Points:
    """For `claims.judge`: {point: (trials,) values}, such as differences at each rate, as `t_interval`s."""
    return {name: partial(t_interval, one) for name, one in values.items()}


def row_points(rows: pd.DataFrame, names: Iterable[str], columns: Sequence[str] = ("value", "low", "high")) -> Points:
    """For `judge`: rows of a table, with a column n, as {name: interval}; columns: of the estimate and its ends."""
    ends = rows[[*columns, "n"]].itertuples(index=False)
    return {name: Interval(*map(float, one[:3]), int(one[3])) for name, one in zip(names, ends, strict=True)}


def down_to(claims: Mapping[float, object], *, above: float) -> float | None:
    """The smallest key at which, and at every larger one, the mean is above the value; None if not at the largest.

    claims: {share kept, say: (trials,) values}; each is judged by itself (`judge`), from the largest down to the first
    that does not hold: testing in a fixed order until then keeps the chance of any false one at that of a single claim.
    """
    reached = None
    for key in sorted(claims, reverse=True):
        if judge(points({str(key): claims[key]}), above=above).verdict != "holds":
            break
        reached = key
    return reached


def _finding(where: str, shown: Interval, verdict: str, limit: str = "", needed: int | None = None) -> Finding:
    """With the reason if it is open: what limits it, no spread, or too few trials."""
    if verdict != "open":
        return Finding(where, *shown, verdict)
    saturated = np.isfinite(shown[:3]).all() and not shown.telling
    reason = limit or (SATURATED if saturated else "trials")
    return Finding(where, *shown, verdict, reason, None if limit else needed)


def _exceeds(one: float, other: float) -> bool:
    """Whether one lies above the other by more than rounding."""
    return bool(one - other > ROUNDING)


def _at(one: Interval | Callable[[float], Interval], points: int) -> Interval:
    """A point's interval at 95%, or as one of several that are read together."""
    return one if isinstance(one, Interval) else one(level=together(points))


def _mirrored(interval: Interval, sign: int) -> Interval:
    """The interval of the values times 1 or -1."""
    estimate, low, high, n = interval
    return interval if sign > 0 else Interval(-estimate, -high, -low, n)


def _needed(one: Interval, bar: float, margin: float | None, steady: float = 0.0) -> int | None:
    """Trials at which an interval as wide as its spread says would clear the bar, or fit into the margin."""
    if not one.telling:
        return None
    reach, gap = (one.high - one.low) / 2, abs(one.estimate - bar)
    options = [_times(one.n, reach, room, steady) for room in (gap, (margin or 0) - gap)]
    return min((n for n in options if n is not None), default=None)


def _times(n: int, reach: float, room: float, steady: float = 0.0) -> int | None:
    """The n at which the reach, but for what is steady of it, fits the room: it falls with the square root of n.

    None where no sensible number of trials makes it so small.
    """
    times = (reach**2 - steady**2) / (room**2 - steady**2) if room > steady else np.inf
    return int(np.ceil(n * times - 1e-6)) if times < _MOST else None


class Judged(NamedTuple):
    """A claim's finding with what is said beside it: what a notebook hands to its page, `lab.claim(text, judged)`."""

    finding: Finding
    why: str  # one sentence; `{where}` stands for the deciding point
    paper: float | str | None = None  # what is printed, as a number or in words
