"""Estimates with confidence limits: the only place that makes intervals.

An estimate's doubt is a sum of variances, each with its degrees of freedom: of groups of trials (the jackknife: each
trial left out in turn), of paired differences, of other images. The interval is Student's, about the estimate, with
Satterthwaite's degrees of freedom for the sum (1946: total^2 / sum of variance^2 / degrees); taking the smallest
group's instead made intervals of four trials a side a third too wide.

It never trains, loads or draws a figure; what a claim comes to is `compare.claims`'.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from easel.compare.cuts import labels_of, level_of, trials_of
from easel.errors import UserError

SHUFFLES = 4  # of the units, to tell what is a unit's own from luck with single examples


class Interval(NamedTuple):
    """An estimate, its confidence limits, and n = what it stands on (trials, all groups together, or images)."""

    estimate: float
    low: float
    high: float
    n: int

    @property
    def telling(self) -> bool:
        """Whether it says anything: it has limits, and they are apart (trials that are all alike leave no doubt)."""
        return bool(self.high - self.low > 1e-9)


# ---- one interval --------------------------------------------------------------------------------------------------


def combined(
    estimate: float,
    doubts: Iterable[tuple[float, float]],
    n: int,
    *,
    level: float = 0.95,
    limits: tuple[float, float] = (-np.inf, np.inf),
) -> Interval:
    """The interval of an estimate whose doubts are independent: (variance, degrees of freedom) each, degrees inf if

    the variance is known. Clipped to `limits`, the statistic's range; nan where the estimate or a variance is.
    """
    doubts = [(float(variance), float(degrees)) for variance, degrees in doubts]
    quantile, total = (1 + level_of(level)) / 2, sum(variance for variance, _ in doubts)
    if not np.isfinite([estimate, total]).all():
        return Interval(float(estimate), np.nan, np.nan, n)
    spread = sum(variance**2 / degrees for variance, degrees in doubts)
    degrees = total**2 / spread if spread else np.inf
    reach = stats.t.ppf(quantile, degrees) * np.sqrt(total) if total else 0.0
    low, high = np.clip([estimate - reach, estimate + reach], *limits)
    return Interval(float(estimate), float(low), float(high), n)


def t_interval(values, *, level: float = 0.95, points: int = 1) -> Interval:
    """The mean of independent trials and its t-interval; nan (diverged, or without a partner) is left out.

    values: (trials,) any finite numbers, such as paired differences. points: as many intervals are read together, and
    each has the level 1 - (1 - level) / points, so that all of them cover at once with probability `level` or more
    (Bonferroni). Interval.n is the number of trials used; its ends are nan for fewer than two.
    UserError: level outside 0..1; points below 1.
    """
    if isinstance(points, bool) or not isinstance(points, int | np.integer) or points < 1:
        raise UserError(f"points={points!r}: a whole number from 1")
    values = np.asarray(values, dtype=float).ravel()
    values = values[~np.isnan(values)]
    n = len(values)
    if n < 2:
        return Interval(float(values.mean()) if n else np.nan, np.nan, np.nan, n)
    doubt = (values.var(ddof=1) / n, n - 1)
    return combined(float(values.mean()), [doubt], n, level=1 - (1 - level_of(level)) / points)


# ---- the jackknife over trials -------------------------------------------------------------------------------------


def jackknife(
    a_correct,
    b_correct,
    statistic: Callable[..., float],
    *,
    level: float = 0.95,
    limits: tuple[float, float] = (0.0, 1.0),
) -> Interval:
    """Delete-one-trial jackknife interval of statistic(counts_a, counts_b), or (counts_a) if b_correct is None.

    a_correct, b_correct: (trials, examples) bool, independent trials, one epoch, the same examples. The doubt of a
    group of N trials is (N-1)/N * sum_i (theta_-i - their mean)^2 with N - 1 degrees of freedom (`combined`).

    What it covers: the statistic's expectation over new sets of N trials on THESE examples. Not its value for
    N -> infinity: noise in the counts makes two rankings look less alike at small N, so compare at equal N.

    Deleting a trial moves counts from 0..N to 0..N-1, and with them the tie block at the cut: `rate` with expected ties
    has another mean at N-1 (lower by .03 at N = 5, by .01 or less from N = 10 on), but that shift is common to all
    theta_-i and leaves the variance alone, and no bias correction is made, which would add it N times. Simulated
    (tests/test_coverage.py; N = 4, 10, 20; rates, shares, correlations, contrasts): a nominal 95% covers 95 to 100%.
    Under inclusive ties whole blocks enter and leave the set; the standard error is then up to five times too large and
    jumps: read no width there. Where the statistic is the same whichever trial is left out, the interval has width 0
    and says nothing.
    UserError: fewer than two trials in a group, arrays of another shape or type, level outside 0..1.
    """
    groups = [a_correct] if b_correct is None else [a_correct, b_correct]
    return jackknife_of(groups, lambda counts: [statistic(*counts)], level=level, limits=limits)[0]


def jackknife_of(
    groups,
    statistics: Callable[[list[np.ndarray]], np.ndarray],
    *,
    level: float = 0.95,
    limits: tuple[float, float] = (-np.inf, np.inf),
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
    level_of(level)
    counts = [group.sum(0) for group in groups]
    left_out = [
        np.array([statistics([*counts[:at], counts[at] - trial, *counts[at + 1 :]]) for trial in group], dtype=float)
        for at, group in enumerate(groups)
    ]
    whole = np.asarray(statistics(counts), dtype=float)
    return [
        from_left_out(one, [of[:, d] for of in left_out], level=level, limits=limits) for d, one in enumerate(whole)
    ]


def from_left_out(
    estimate: float,
    left_out: Sequence[np.ndarray],
    *,
    level: float = 0.95,
    limits: tuple[float, float] = (-np.inf, np.inf),
) -> Interval:
    """The interval of `jackknife`. left_out: for each group the statistic without each of its trials, (trials,)."""
    groups = [np.asarray(group, dtype=float) for group in left_out]
    doubts = [((len(group) - 1) * group.var(), len(group) - 1) for group in groups]
    return combined(estimate, doubts, sum(map(len, groups)), level=level, limits=limits)


# ---- trials, nets and images together ------------------------------------------------------------------------------


def crossed(
    statistic: Callable[..., Sequence[float]],
    *groups: np.ndarray,
    labels,
    limits: tuple[float, float] = (0.0, 1.0),
    level: float = 0.95,
    resamples: int = 200,
    seed: int = 0,
) -> list[Interval]:
    """Intervals of statistic(*groups, labels), a sequence of numbers, over other trials, other nets and other images.

    groups: arrays (units, examples), whose units (trials or nets) are independent; labels: (examples,).
    variance = that of a bootstrap over the examples, drawn within their classes, plus, for each group, what its units
    have of their own: V - V', or 0 if that is negative. V is the delete-one jackknife's: (U-1)/U times the sum over u
    of (theta_-u - mean)^2. V' is the same after the units were shuffled in each example by itself (mean of SHUFFLES
    times), which keeps every count and takes from a unit what it has in common over the examples. So the luck of one
    unit with one example, which the bootstrap repeats, is not counted twice.

    What it covers: new trials, new nets (as many as here) AND new test images. Simulated (easiness and errors with a
    common part, trials and nets better or worse in whole classes, 10 classes; 5 trials, 4 nets, 400 examples and 10
    trials, 5 nets, 2,000 examples): a nominal 95% covers 94 to 98%, for the area under the ROC curve, the share of the
    misclassified that is hard, and kappa between two groups of nets. Groups of two units give wide intervals, whose
    width is luck.
    n is the number of examples. Estimates that are nan have the interval (nan, nan).
    UserError: a group with fewer than two units, arrays of other lengths, level outside 0..1.
    """
    groups = [np.asarray(group) for group in groups]
    labels = labels_of(labels, groups[0].shape[1])
    n = len(labels)
    if any(len(group) < 2 or group.shape[1] != n for group in groups):
        raise UserError(f"groups of shapes {[g.shape for g in groups]}: two units or more each, of the same examples")
    level_of(level)
    estimate = np.asarray(statistic(*groups, labels), float)
    rng = np.random.default_rng(seed)
    parts = []
    for at, group in enumerate(groups):
        before, after = groups[:at], groups[at + 1 :]
        own = _unit_variance(statistic, before, group, after, labels)
        shuffled = (rng.permuted(group, axis=0) for _ in range(SHUFFLES))
        mixed = [_unit_variance(statistic, before, mix, after, labels) for mix in shuffled]
        parts.append((np.maximum(own - np.mean(mixed, axis=0), 0), len(group) - 1))
    members = [np.flatnonzero(labels == c) for c in range(labels.max() + 1)]
    thetas = []
    for _ in range(resamples):
        drawn = np.concatenate([of[rng.integers(len(of), size=len(of))] for of in members])
        thetas.append(statistic(*(group[:, drawn] for group in groups), labels[drawn]))
    thetas = np.asarray(thetas, float)
    thetas = thetas[np.isfinite(thetas).all(1) | ~np.isfinite(estimate).all()]  # a draw may hold no error at all
    parts.append((thetas.var(0, ddof=1) if len(thetas) > 1 else np.full(len(estimate), np.nan), n - 1))
    return [
        combined(one, [(variance[d], degrees) for variance, degrees in parts], n, level=level, limits=limits)
        for d, one in enumerate(estimate)
    ]


def _unit_variance(statistic, before: list, group: np.ndarray, after: list, labels: np.ndarray) -> np.ndarray:
    """The delete-one jackknife's variance over the units of one group."""
    without = (np.delete(group, unit, axis=0) for unit in range(len(group)))
    thetas = np.array([statistic(*before, less, *after, labels) for less in without], float)
    return (len(group) - 1) * thetas.var(0)
