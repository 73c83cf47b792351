"""Whether one order of the batches makes trials agree (01): rates as in Table 1, their difference, its doubt."""

import types

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from easel.compare import intervals, matching
from easel.sections import architectures

LABELS = np.arange(400) % 10


def group(seed, noise):
    """Two nets, two groups of five trials each, 400 images; `noise` is common to all trials, as of one order."""
    rng = np.random.default_rng(seed)
    ease = np.clip(np.linspace(0.1, 0.9, 400) + noise * np.random.default_rng(99).normal(size=400), 0, 1)
    right = {net: tuple(rng.random((5, 400)) < ease for _ in range(2)) for net in ("WRN", "MLP")}
    return types.SimpleNamespace(names={"a": "WRN", "b": "MLP"}, labels=LABELS, right=lambda m: right)


@pytest.fixture(scope="module")
def effect():
    return architectures.order_effect(group(0, 0.5), group(1, 0.0)).set_index(["pair", "which"])


def test_rates_are_those_of_table_1(effect):
    for column, of in (("one_order", group(0, 0.5)), ("own_orders", group(1, 0.0))):
        for which in ("easy", "hard"):
            for row in matching.rate_table(of.right(1), which=which, labels=LABELS).itertuples():
                assert effect.loc[(f"{row.a} – {row.b}", which), column] == pytest.approx(row.rate)
            in_file_order = matching.rate_table(of.right(1), which=which, ties="index")
            named = column.replace("one_order", "file_order_one").replace("own_orders", "file_order_own")
            assert effect.xs(which, level="which")[named].tolist() == pytest.approx(in_file_order.rate.tolist())
    assert list(effect.index.get_level_values("which")) == ["easy"] * 3 + ["hard"] * 3 + ["hits"] * 2


def test_the_difference_has_the_doubt_of_seeds_that_both_sides_share(effect):
    """On the diagonal by hand: a seed is left out of its group on both sides at once."""
    shared, alone = (of.right(1)["WRN"] for of in (group(0, 0.5), group(1, 0.0)))
    for which in ("easy", "hard"):
        row = effect.loc[("WRN – WRN", which)]
        assert row.difference == pytest.approx(row.one_order - row.own_orders)
        doubts = []
        for at in (0, 1):
            left = []
            for i in range(5):
                rates = [
                    matching.rate(np.delete(of[at], i, 0).sum(0), of[1 - at].sum(0), which=which)
                    for of in (shared, alone)
                ]
                left.append(rates[0] - rates[1])
            doubts.append(intervals.left_out_doubt(left))
        expected = intervals.combined(row.difference, doubts, 10)
        assert (row.low, row.high, row.n) == pytest.approx((expected.low, expected.high, 10))


def test_hits_of_single_trials_are_correlated_pair_by_pair(effect):
    row = effect.loc[("MLP – MLP", "hits")]
    every = []
    for of in (group(0, 0.5), group(1, 0.0)):
        first, second = of.right(1)["MLP"]
        every.append(np.array([[stats.pearsonr(a, b)[0] for b in second] for a in first]))
    assert (row.one_order, row.own_orders) == pytest.approx([one.mean() for one in every], abs=1e-6)
    gap = every[0] - every[1]
    without = [np.array([np.delete(gap, i, axis).mean() for i in range(5)]) for axis in (0, 1)]
    expected = intervals.from_left_out(gap.mean(), without)
    assert (row.low, row.high, row.n) == pytest.approx(expected[1:], abs=1e-6)


def test_what_trials_have_in_common_raises_it_and_its_absence_is_no_rise(effect):
    judged = [architectures.raised(row) for row in effect.reset_index().itertuples()]
    assert judged[-1].finding.verdict == "holds"
    assert judged[0].why == "{:.2f} with this one order, {:.2f} with an order each".format(*effect.iloc[0, 2:4])
    none = architectures.order_effect(group(2, 0.0), group(1, 0.0)).iloc[-2:]
    assert all(architectures.raised(row).finding.verdict != "holds" for row in none.itertuples())


@pytest.mark.parametrize(
    ("printed", "every_rule", "in_file_order"),
    [(0.80, "open", "as printed"), (0.30, "open", "not as printed"), (0.88, "open", "open")],
)
def test_a_level_under_every_tie_rule_and_in_file_order_alone(printed, every_rule, in_file_order):
    row = {"paper": printed, "n": 20, "tie_low": 0.0, "tie_high": 1.0}
    for ties, rate in {"expected": 0.3, "inclusive": 0.9, "index": 0.79}.items():
        row |= {ties: rate, f"{ties}_low": rate - 0.095, f"{ties}_high": rate + 0.02}
    row["index_low"] = 0.75 if printed == 0.80 else row["index_low"]
    cifar = types.SimpleNamespace(ledger=types.SimpleNamespace(examples=types.SimpleNamespace(name="cifar10")))
    assert architectures.level(pd.Series(row), cifar).finding.verdict == every_rule
    alone = architectures.level(pd.Series(row), cifar, in_file_order=True).finding
    assert (alone.verdict, alone.estimate) == (in_file_order, 0.79)
