"""Estimates with confidence limits, claims about several of them, and the jackknife: each trial left out in turn.

It never trains, loads or draws a figure.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from scipy import stats

from easel.compare.cuts import level_of, trials_of
from easel.errors import UserError


class Interval(NamedTuple):
    """An estimate, its confidence limits, and n = the number of trials it stands on, all groups together."""

    estimate: float
    low: float
    high: float
    n: int

    def above(self, value: float) -> str:
        """Verdict on "it is above `value`": "holds" or "fails" where no doubt is left, or "inconclusive"."""
        return "holds" if self.low > value else "fails" if self.high < value else "inconclusive"


class Finding(NamedTuple):
    """What a claim about one or several points comes to: the point that decides, its interval, the verdict."""

    where: str  # the deciding point
    estimate: float
    low: float
    high: float
    n: int  # trials of that point
    verdict: str  # "holds" | "fails" | "inconclusive"

    def row(self) -> dict:
        """The columns of a verdict that `report.Page.verdict` takes by these names."""
        known = np.isfinite([self.estimate, self.low, self.high]).all()
        ends = {"low": self.low, "high": self.high} if known else {}
        return {"here": self.estimate, **ends, "n": self.n, "verdict": self.verdict}


def every(plain: Mapping[str, Interval], wide: Mapping[str, Interval], *, above=None, below=None) -> Finding:
    """The verdict on "at EVERY point it is above (or below) this value", from an interval for each point.

    "holds": all of `plain` lie on the claimed side. "fails": one of `wide`, the same widened for their number, lies on
    the other. "inconclusive": neither. The finding shows the deciding point, the worst, with the interval that the
    verdict stands on. One of width 0, or without ends, decides nothing. UserError: no point; both or neither value.
    """
    if not plain or (above is None) == (below is None):
        raise UserError("judge: at least one point, and one of above=... and below=...")
    sign, bound = (1, above) if below is None else (-1, -below)
    plain, wide = ({point: _times(one, sign) for point, one in of.items()} for of in (plain, wide))
    decides = {point: one.high - one.low > 1e-9 for point, one in plain.items()}  # nan decides nothing
    against = [point for point, one in wide.items() if decides[point] and one.high < bound]
    if against:
        worst = min(against, key=lambda point: wide[point].high)
        return Finding(worst, *_times(wide[worst], sign), "fails")
    worst = min(plain, key=lambda point: plain[point].low if decides[point] else -np.inf)
    holds = all(decides[point] and one.low > bound for point, one in plain.items())
    return Finding(worst, *_times(plain[worst], sign), "holds" if holds else "inconclusive")


def _times(interval: Interval, sign: int) -> Interval:
    """The interval of the values times 1 or -1."""
    estimate, low, high, n = interval
    return interval if sign > 0 else Interval(-estimate, -high, -low, n)


def jackknife(
    a_correct,
    b_correct,
    statistic: Callable[..., float],
    *,
    level: float = 0.95,
    limits: tuple[float, float] = (0.0, 1.0),
) -> Interval:
    """Delete-one-trial jackknife interval of statistic(counts_a, counts_b), or (counts_a) if b_correct is None.

    a_correct, b_correct: (trials, examples) bool, independent trials, one epoch, the same examples.
    variance = sum over groups of (N-1)/N * sum_i (theta_-i - their mean)^2; t quantile with min(N) - 1 degrees of
    freedom, about the estimate from all trials, clipped to `limits`, the statistic's range.

    What it covers: the statistic's expectation over new sets of N trials on THESE examples. Not its value for
    N -> infinity: noise in the counts makes two rankings look less alike at small N, so compare at equal N.

    Deleting a trial moves counts from 0..N to 0..N-1, and with them the tie block at the cut. Simulated (beta-binomial
    examples, N = 5, 10, 20, with and without trials that are better or worse as a whole, 2,000 and 10,000 examples):
    `rate` with expected ties has another mean at N-1 (lower by .03 at N = 5, by .01 or less from N = 10 on), but that
    shift is common to all theta_-i and leaves the variance alone, and no bias correction is made, which would add it N
    times. The changed granularity moves the standard error, by about -10 to +80 %: a nominal 95 % covers 96 to 100 %,
    so the interval is cautious. Under inclusive ties whole blocks enter and leave the set; the standard error is then
    up to five times too large and jumps: read no width there. Where the statistic is the same whichever trial is
    left out, the interval has width 0 and says nothing.
    UserError: fewer than two trials in a group, arrays of another shape or type, level outside 0..1.
    """
    groups = [trials_of(a_correct, least=2)] + ([] if b_correct is None else [trials_of(b_correct, least=2)])
    if len({group.shape[1] for group in groups}) > 1:
        raise UserError(f"{groups[0].shape[1]} and {groups[1].shape[1]} examples: give records of the same examples")
    counts = [group.sum(0) for group in groups]
    left_out = []
    for at, group in enumerate(groups):
        values = (statistic(*counts[:at], counts[at] - trial, *counts[at + 1 :]) for trial in group)
        left_out.append(np.fromiter(values, float, len(group)))
    return from_left_out(float(statistic(*counts)), left_out, level_of(level), limits)


def jackknife_of(
    groups, statistics: Callable[[list[np.ndarray]], np.ndarray], *, level: float = 0.95
) -> list[Interval]:
    """`jackknife` for any number of groups of trials, and for several statistics at once: one Interval a statistic.

    groups: arrays (trials, examples) bool, independent of each other, one epoch, the same examples. statistics: takes
    the groups' counts in their order, gives (d,) floats. A trial is left out of everything it counts in, so what two
    statistics share cancels in their difference. A statistic that is nan for some trial left out has no limits (nan).
    UserError: as `jackknife`.
    """
    groups = [trials_of(group, least=2) for group in groups]
    if len({group.shape[1] for group in groups}) > 1:
        raise UserError("groups of different numbers of examples: give records of the same examples")
    counts = [group.sum(0) for group in groups]
    left_out = [
        np.array([statistics([*counts[:at], counts[at] - trial, *counts[at + 1 :]]) for trial in group])
        for at, group in enumerate(groups)
    ]
    whole, level = np.asarray(statistics(counts), dtype=float), level_of(level)
    anywhere = (-np.inf, np.inf)
    return [from_left_out(float(whole[d]), [of[:, d] for of in left_out], level, anywhere) for d in range(len(whole))]


def from_left_out(estimate: float, left_out: list[np.ndarray], level: float, limits=(0.0, 1.0)) -> Interval:
    """The interval of `jackknife`. left_out: for each group the statistic without each of its trials, (trials,)."""
    variance = sum((len(theta) - 1) * theta.var() for theta in left_out)
    degrees = min(map(len, left_out)) - 1
    reach = stats.t.ppf((1 + level) / 2, degrees) * np.sqrt(variance)
    low, high = np.clip([estimate - reach, estimate + reach], *limits)
    return Interval(estimate, float(low), float(high), sum(map(len, left_out)))
