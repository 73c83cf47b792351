"""Accuracies of trials that share their seeds: intervals, paired differences, and claims about several points (EH 7).

Arms that train from the same seeds (weights, order, selection, noise) are compared seed by seed, which takes out what
the seeds have in common: an interval says what other seeds would have done on these images, not what other images
would have. Nothing trains, loads or draws here, and a missing (diverged) trial is not taken for a wrong one.
"""

from collections.abc import Iterable, Mapping
from functools import partial
from itertools import pairwise

import numpy as np
import pandas as pd

from easel.compare.claims import Points, judge
from easel.compare.intervals import t_interval
from easel.errors import UserError, answers

# ---- from trials to a table ----------------------------------------------------------------------------------------


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


def with_intervals(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """The table with columns mean, low, high, n: the t-interval of `accuracy` over the trials of each group of `by`."""
    rows = {key: t_interval(group.accuracy) for key, group in table.groupby(by, sort=False)}
    names = ["mean", "low", "high", "n"]
    index = pd.MultiIndex.from_tuples([key if isinstance(key, tuple) else (key,) for key in rows], names=by)
    return table.merge(pd.DataFrame(list(rows.values()), columns=names, index=index), left_on=by, right_index=True)


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


# ---- intervals and claims ------------------------------------------------------------------------------------------


@answers(values="values by name")
def points(values: Mapping[str, object]) -> Points:
    """For `claims.judge`: {point: (trials,) values}, such as differences at each rate, as `t_interval`s."""
    return {name: partial(t_interval, one) for name, one in values.items()}


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
