"""Intervals and verdicts where three things could have come out otherwise: the trials, the nets and the test images.

Pure functions; they never train, load or draw a figure.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from easel.compare.cuts import labels_of, level_of
from easel.compare.intervals import Finding, Interval
from easel.errors import UserError

SHUFFLES = 4  # of the units, to tell what is a unit's own from luck with single examples


def interval(
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
    unit with one example, which the bootstrap repeats, is not counted twice. t quantile with Satterthwaite's degrees of
    freedom (U - 1 of a group, examples - 1 of the bootstrap), about the estimate from everything, clipped to `limits`.

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
    quantile = (1 + level_of(level)) / 2
    estimate = np.asarray(statistic(*groups, labels), float)
    rng = np.random.default_rng(seed)
    parts = []
    for at, group in enumerate(groups):
        before, after = groups[:at], groups[at + 1 :]
        own = _left_out(statistic, before, group, after, labels)
        mixed = [_left_out(statistic, before, rng.permuted(group, axis=0), after, labels) for _ in range(SHUFFLES)]
        parts.append((np.maximum(own - np.mean(mixed, axis=0), 0), len(group) - 1))
    members = [np.flatnonzero(labels == c) for c in range(labels.max() + 1)]
    thetas = []
    for _ in range(resamples):
        drawn = np.concatenate([of[rng.integers(len(of), size=len(of))] for of in members])
        thetas.append(statistic(*(group[:, drawn] for group in groups), labels[drawn]))
    thetas = np.asarray(thetas, float)
    thetas = thetas[np.isfinite(thetas).all(1) | ~np.isfinite(estimate).all()]  # a draw may hold no error at all
    parts.append((thetas.var(0, ddof=1) if len(thetas) > 1 else np.full(len(estimate), np.nan), n - 1))
    total = sum(variance for variance, _ in parts)
    with np.errstate(invalid="ignore", divide="ignore"):
        degrees = total**2 / sum(variance**2 / d for variance, d in parts)
    reach = np.where(total == 0, 0.0, stats.t.ppf(quantile, np.where(total == 0, 1, degrees)) * np.sqrt(total))
    low, high = np.clip([estimate - reach, estimate + reach], *limits)
    return [Interval(*map(float, one), n) for one in zip(estimate, low, high, strict=True)]


def judge(rows: pd.DataFrame, above) -> Finding:
    """The verdict on "every row's value lies above this": "holds" if all intervals do, "fails" if one lies below it.

    rows: of `validation.table` or `agreement.consistency`; above: a number, or one a row. "inconclusive" otherwise, and
    where a number is missing, an interval has width 0, or no ranking could have reached the value (`most`): the last
    says nothing about hardness. The finding shows the row that decides, the weakest, and names it by its first two
    columns. Each interval is at 95%: with r rows, a claim that is true of all fails by chance with probability r / 40
    at most.
    """
    if not len(rows):
        raise UserError("judge: no rows, so nothing to judge")
    above = np.broadcast_to(np.asarray(above, float), len(rows))
    low, high = rows["low"].to_numpy(float), rows["high"].to_numpy(float)
    telling = high - low > 1e-9
    if "most" in rows:
        telling &= rows["most"].to_numpy(float) > above
    margins = np.where(telling, low - above, -np.inf)
    word = "holds" if (margins > 0).all() else "inconclusive"
    if (telling & (high < above)).any():
        word, margins = "fails", np.where(telling & (high < above), high - above, np.inf)
    row = rows.iloc[int(np.argmin(margins))]
    where = f"{row.iloc[0]} – {row.iloc[1]}"
    return Finding(where, float(row["value"]), float(row["low"]), float(row["high"]), int(row["n"]), word)


def _left_out(statistic, before: list, group: np.ndarray, after: list, labels: np.ndarray) -> np.ndarray:
    """The delete-one jackknife's variance over the units of one group."""
    without = (np.delete(group, unit, axis=0) for unit in range(len(group)))
    thetas = np.array([statistic(*before, less, *after, labels) for less in without], float)
    return (len(group) - 1) * thetas.var(0)
