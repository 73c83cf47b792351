"""Estimates with confidence limits: the only place that makes intervals.

An estimate's doubt is a sum of variances, each with its degrees of freedom: of groups of trials (the jackknife: each
trial left out in turn), of paired differences, of other images. The interval is Student's, about the estimate, with
Satterthwaite's degrees of freedom for the sum (1946: total^2 / sum of variance^2 / degrees); taking the smallest
group's instead made intervals of four trials a side a third too wide.

Arms that train from the same seeds (weights, order, selection, noise) are compared seed by seed, which takes out what
the seeds have in common: an interval says what other seeds would have done on these images, not what other images
would have (EH 7). A missing (diverged) trial is not taken for a wrong one.

It never trains, loads or draws a figure; what a claim comes to is `compare.claims`'.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from easel.compare.cuts import ROUNDING, labels_of, level_of, members_of, trials_of, vector, whole
from easel.errors import UserError, answers

LEVEL = 0.95
ANY = (-np.inf, np.inf)  # the range of a statistic that has no limits
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
        return bool(self.high - self.low > ROUNDING)


UNKNOWN = Interval(np.nan, np.nan, np.nan, 0)


# ---- one interval --------------------------------------------------------------------------------------------------


@answers(estimate="a number", doubts="pairs of numbers", n="a whole number", level="a number")
def combined(
    estimate: float,
    doubts: Iterable[tuple[float, float]],
    n: int,
    *,
    level: float = LEVEL,
    limits: tuple[float, float] = ANY,
) -> Interval:
    """The interval of an estimate with independent doubts, each (variance, degrees of freedom; inf: it is known).

    Clipped to `limits`, the statistic's range; its ends are nan where the estimate or a variance is, or without a
    degree of freedom.
    """
    doubts = [(float(variance), float(degrees)) for variance, degrees in doubts]
    quantile, total = (1 + level_of(level)) / 2, sum(variance for variance, _ in doubts)
    if not np.isfinite([estimate, total]).all() or any(degrees <= 0 for _, degrees in doubts):
        return Interval(float(estimate), np.nan, np.nan, n)
    spread = sum(variance**2 / degrees for variance, degrees in doubts)
    degrees = total**2 / spread if spread else np.inf
    reach = stats.t.ppf(quantile, degrees) * np.sqrt(total) if total else 0.0
    low, high = np.clip([estimate - reach, estimate + reach], *limits)
    return Interval(float(estimate), float(low), float(high), n)


def together(points: int, level: float = LEVEL) -> float:
    """The level of each of several intervals at which all cover at once with probability `level` (Bonferroni)."""
    return 1 - (1 - level_of(level)) / whole("points", points, 1)


@answers(values="numbers", level="a number", points="a whole number")
def t_interval(values, *, level: float = LEVEL, points: int = 1) -> Interval:
    """The mean of independent trials and its t-interval; nan (diverged, or without a partner) is left out.

    values: (trials,) any finite numbers, such as paired differences. points: as many intervals are read together
    (`together`). Interval.n is the number of trials used; its ends are nan for fewer than two.
    UserError: an infinite value, level outside 0..1, points below 1.
    """
    values = np.asarray(values, dtype=float).ravel()
    values, level = values[~np.isnan(values)], together(points, level)
    n = len(values)
    if n < 2:
        return Interval(float(values.mean()) if n else np.nan, np.nan, np.nan, n)
    return combined(float(vector(values).mean()), [(values.var(ddof=1) / n, n - 1)], n, level=level)


# ---- the jackknife over trials -------------------------------------------------------------------------------------


@answers(a_correct="numbers", b_correct="numbers", statistic="a function", limits="numbers")
def jackknife(a_correct, b_correct, statistic: Callable[..., float], *, limits=(0.0, 1.0)) -> Interval:
    """Delete-one-trial jackknife interval of statistic(counts_a, counts_b), or (counts_a) if b_correct is None.

    a_correct, b_correct: (trials, examples) bool, independent trials, one epoch, the same examples; limits: the
    statistic's range. UserError: fewer than two trials in a group, arrays of another shape or type.

    It covers the statistic's expectation over new sets of N trials on THESE examples (simulated in tests/compare/
    test_coverage.py: a nominal 95% covers 95 to 100%), not its value for N -> infinity: noise in the counts makes two
    rankings look less alike at small N, so compare at equal N. Deleting a trial moves the tie block at the cut, but
    that shift is common to all theta_-i: it leaves the variance alone, and a bias correction, which would add it N
    times, is not made. Under inclusive ties the standard error is up to five times too large: read no width there.
    """
    groups = [a_correct] if b_correct is None else [a_correct, b_correct]
    return jackknife_of(groups, lambda counts: [statistic(*counts)], limits=limits)[0]


def jackknife_of(
    groups, statistics: Callable[[list[np.ndarray]], np.ndarray], *, level: float = LEVEL, limits=ANY
) -> list[Interval]:
    """`jackknife` for any number of groups of trials, and for several statistics at once: one Interval a statistic.

    groups: arrays (trials, examples) bool, independent of each other, one epoch, the same examples. statistics: takes
    the groups' counts in their order, gives (d,) floats. A trial is left out of everything it counts in, so what two
    statistics share cancels in their difference. UserError as in `jackknife`, and level outside 0..1.
    """
    groups = [trials_of(group, least=2) for group in groups]
    if len({group.shape[1] for group in groups}) > 1:
        raise UserError("groups of different numbers of examples: give records of the same examples")
    counts = [group.sum(0) for group in groups]
    whole_value = np.asarray(statistics(counts), dtype=float)
    left_out = []
    for at, group in enumerate(groups):
        without = (counts[at] - trial for trial in group)
        left_out.append(np.array([statistics([*counts[:at], c, *counts[at + 1 :]]) for c in without], dtype=float))
    return [
        from_left_out(one, [of[:, d] for of in left_out], level=level, limits=limits)
        for d, one in enumerate(whole_value)
    ]


def from_left_out(estimate: float, left_out: Sequence[np.ndarray], *, level: float = LEVEL, limits=ANY) -> Interval:
    """The interval of `jackknife`. left_out: for each group the statistic without each of its trials, (trials,)."""
    return combined(
        estimate, [left_out_doubt(group) for group in left_out], sum(map(len, left_out)), level=level, limits=limits
    )


def left_out_doubt(left_out) -> tuple[np.ndarray, int]:
    """The delete-one jackknife's doubt: ((N-1)/N * sum_i (theta_-i - their mean)^2, N - 1 degrees of freedom).

    left_out: theta_-i, (N, ...) of one statistic or several.
    """
    left_out = np.asarray(left_out, dtype=float)
    return (len(left_out) - 1) * left_out.var(0), len(left_out) - 1


# ---- trials, nets and images together ------------------------------------------------------------------------------


def crossed(
    statistic: Callable[..., Sequence[float]],
    *groups: np.ndarray,
    labels,
    limits: tuple[float, float] = (0.0, 1.0),
    resamples: int = 200,
    seed: int = 0,
) -> list[Interval]:
    """Intervals of statistic(*groups, labels), a sequence of numbers, over other trials, other nets and other images.

    groups: arrays (units, examples), whose units (trials or nets) are independent; labels: (examples,); n: examples.
    nan where the estimate is, and of one example. UserError: no group, one of fewer than two units, other lengths.

    variance = that of a bootstrap over the examples, drawn within their classes, plus, for each group, what its units
    have of their own: V - V', or 0 if that is negative. V is the delete-one jackknife's; V' is the same after the units
    were shuffled in each example by itself (mean of SHUFFLES times), which keeps every count. So the luck of one unit
    with one example, which the bootstrap repeats, is not counted twice. It covers new trials, new nets (as many as
    here) AND new images: simulated (5 trials, 4 nets, 400 examples; 10, 5, 2,000), a nominal 95% covers 94 to 98%.
    """
    groups = [np.asarray(group) for group in groups]
    labels = labels_of(labels, groups[0].shape[1] if groups and groups[0].ndim > 1 else 0)
    n = len(labels)
    if any(len(group) < 2 or group.shape[1] != n for group in groups):
        raise UserError(f"groups of shapes {[g.shape for g in groups]}: two units or more each, of the same examples")
    estimate = np.asarray(statistic(*groups, labels), float)
    rng = np.random.default_rng(seed)
    doubts = []
    for at, group in enumerate(groups):

        def spread(units: np.ndarray, at: int = at) -> np.ndarray:
            """The jackknife's variance over the units of one group, the others as they are."""
            without = (np.delete(units, unit, axis=0) for unit in range(len(units)))
            thetas = [statistic(*groups[:at], less, *groups[at + 1 :], labels) for less in without]
            return left_out_doubt(thetas)[0]

        own = spread(group)
        luck = np.mean([spread(rng.permuted(group, axis=0)) for _ in range(SHUFFLES)], axis=0)
        doubts.append((np.maximum(own - luck, 0), len(group) - 1))
    members, thetas = members_of(labels), []
    for _ in range(whole("resamples", resamples, 2)):
        drawn = np.concatenate([of[rng.integers(len(of), size=len(of))] for of in members])
        thetas.append(statistic(*(group[:, drawn] for group in groups), labels[drawn]))
    thetas = np.asarray(thetas, float)
    thetas = thetas[np.isfinite(thetas).all(1) | ~np.isfinite(estimate).all()]  # a draw may hold no error at all
    doubts.append((thetas.var(0, ddof=1) if len(thetas) > 1 else np.full(len(estimate), np.nan), n - 1))
    return [
        combined(one, [(variance[d], degrees) for variance, degrees in doubts], n, limits=limits)
        for d, one in enumerate(estimate)
    ]


# ---- accuracies of trials that share their seeds --------------------------------------------------------------------


def accuracies(points: pd.DataFrame, ledgers: Iterable, view: str | None = None) -> pd.DataFrame:
    """A column `accuracy` for a table of trials: the share of the view's images that are right at its last epoch, 0..1.

    points: a column `trial` (Trial), one row a point and seed; several may have one trial. ledgers: what `ensure`
    gave for these trials, and for others; view: such as "test@10", the trials' last epoch; None: each trial's own.
    Returns the table with a column `seed` and without `trial`; nan where the trial diverged.
    UserError: a trial that no ledger holds.
    """
    keys = [trial.key for trial in points.trial]
    views = {trial.key: view or trial.views[0] for trial in points.trial}
    found = {}
    for ledger in ledgers:
        records = [record for record in ledger.records if record.key in views]
        found |= {trial.key: np.nan for trial in ledger.diverged}
        found |= {record.key: float(record.correct(views[record.key])[-1].mean()) for record in records}
    missing = [key for key in keys if key not in found]
    if missing:
        raise UserError(f"{len(missing)} of {len(keys)} trials are in none of these ledgers: ensure them first")
    columns = {"seed": [trial.seed for trial in points.trial], "accuracy": [found[key] for key in keys]}
    return points.drop(columns="trial").assign(**columns)


def with_intervals(table: pd.DataFrame, by: list[str], value: str = "accuracy") -> pd.DataFrame:
    """The table with columns mean, low, high, n: the t-interval of `value` over the trials of each group of `by`."""
    return table.merge(means_by(table, by, value), on=by)


def means_by(table: pd.DataFrame, by: list[str], value: str) -> pd.DataFrame:
    """A row a group of `by`, in the table's order: mean, low, high, n, the t-interval of the column `value`."""
    rows = [(*key, *t_interval(group[value])) for key, group in table.groupby(by, sort=False)]
    return pd.DataFrame(rows, columns=[*by, "mean", "low", "high", "n"])


def at(table: pd.DataFrame, **where) -> pd.Series:
    """The accuracies of one point, by seed: float, index seed. Two of them subtract seed by seed.

    UserError: no such column or point; two rows of one seed (a column that tells arms apart was not named).
    """
    words = ", ".join(f"{name}={value!r}" for name, value in where.items())
    if not where or not where.keys() <= set(table.columns):
        raise UserError(f"at({words}): name columns of the table, of {', '.join(map(str, table.columns))}")
    rows = table[np.logical_and.reduce([table[name] == value for name, value in where.items()])]
    if not len(rows):
        raise UserError(f"no trial with {words} in a table of {len(table)}")
    if rows.seed.duplicated().any():
        raise UserError(f"{words} leaves several trials of one seed: name what tells them apart")
    return rows.set_index("seed").accuracy.sort_index()


@answers(curve="arrays by number")
def steps(curve: Mapping[float, pd.Series]) -> dict[str, pd.Series]:
    """From each rate to the next: what the accuracy gains, seed by seed; below 0 it falls. Keys such as ".3 to .6".

    curve: {rate: accuracies by seed}, as of `at`. UserError: fewer than two rates.
    """
    rates = sorted(curve)
    if len(rates) < 2:
        raise UserError(f"{len(rates)} rates: a step needs two")
    return {f"{a:g} to {b:g}": curve[b] - curve[a] for a, b in pairwise(rates)}


@answers(curve="arrays by number", knee="a number")
def bend(curve: Mapping[float, pd.Series], knee: float) -> dict[str, pd.Series]:
    """How much faster accuracy falls after `knee` than before it: accuracy per tenth of the images, seed by seed.

    (a(knee) - a(last)) / (last - knee) - (a(first) - a(knee)) / (knee - first), times .1. 0: one straight line; above
    0: the fall comes late. curve: {rate: accuracies by seed}, or differences of two arms; the inner rate nearest to
    the knee stands for it, and its name is the key, such as "bend at 0.6". UserError: fewer than three rates.
    """
    first, *inner, last = sorted(curve) if len(curve) > 2 else (0, 0)
    if not inner:
        raise UserError(f"{len(curve)} rates: a bend needs three, such as 0, 0.6, 0.9")
    at_knee = min(inner, key=lambda rate: abs(rate - knee))
    late = (curve[at_knee] - curve[last]) / (last - at_knee)
    early = (curve[first] - curve[at_knee]) / (at_knee - first)
    return {f"bend at {at_knee:g}": 0.1 * (late - early)}
