"""Intervals by hand: where they end, their degrees of freedom, which draws count, and who is paired with whom."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from scipy import stats

from easel.compare import intervals, matching
from easel.compare.intervals import (
    Interval,
    accuracies,
    at,
    bend,
    combined,
    crossed,
    jackknife,
    steps,
    t_interval,
    with_intervals,
)
from easel.errors import UserError
from easel.ledger.store import Store
from easel.sections.subsets import drop
from easel.train import ensure as run

ONE_CLASS = np.zeros(20, int)


def test_an_interval_that_ends_at_its_estimate_still_says_something():
    assert Interval(1.0, 0.8, 1.0, 8).telling  # a rate that cannot be higher
    assert Interval(0.0, 0.0, 0.2, 8).telling
    assert not Interval(0.5, 0.5, 0.5, 8).telling


def test_what_is_no_number_has_no_limits():
    for estimate, variance in ((np.nan, 1.0), (np.inf, 1.0), (0.5, np.nan), (0.5, np.inf)):
        assert np.isnan(combined(estimate, [(variance, 3)], 4)[1:3]).all()


def test_a_share_ends_at_none_and_at_all_of_it_unless_told_otherwise():
    correct = np.array([[1, 1, 1, 1], [0, 0, 0, 0], [1, 1, 1, 0]], bool)

    def share(counts):
        return counts.sum() / 12

    assert jackknife(correct, None, share)[1:3] == (0, 1)
    assert jackknife(correct, None, share, limits=intervals.ANY).high > 1
    units = np.repeat([[0.0], [1.0], [0.9]], 20, axis=1)
    (found,) = crossed(lambda group, _: [group.mean()], units, labels=ONE_CLASS, resamples=5)
    assert found[1:3] == (0, 1)


def test_the_doubts_of_two_groups_add_up_each_with_the_other_as_it_is():
    a, b = np.array([0.2, 0.5, 0.4, 0.7]), np.array([0.1, 0.3, 0.2])
    groups = [np.repeat(values[:, None], 9000, axis=1) for values in (a, b)]  # images are all alike: no doubt from them
    ask = {"labels": np.zeros(9000, int), "limits": (-9, 9), "resamples": 5}
    (found,) = crossed(lambda one, two, _: [one.mean() - two.mean()], *groups, **ask)
    doubts = [(a.var(ddof=1) / 4, 3), (b.var(ddof=1) / 3, 2)]
    assert found == pytest.approx(combined(a.mean() - b.mean(), doubts, 9000), abs=1e-3)


def test_two_images_and_two_draws_are_enough_for_an_interval():
    groups = np.array([[0.0, 1.0]] * 3)
    found = [
        crossed(lambda g, _: [g.mean()], groups, labels=[0, 0], limits=(-9, 9), resamples=2, seed=seed)[0]
        for seed in range(8)
    ]
    assert all(np.isfinite(one).all() for one in found)
    assert any(one.telling for one in found)  # unless both draws are the same


def test_draws_without_a_value_are_left_out_and_a_value_that_never_is_takes_no_other_with_it():
    error = np.zeros((3, 20))
    error[:, 0] = 1  # a draw of the images may hold no error at all
    share, within = crossed(
        lambda g, _: [g.mean(), g.max() if g.any() else np.nan], error, labels=ONE_CLASS, resamples=50
    )
    assert np.isfinite(share).all()
    assert within[:3] == (1, 1, 1)
    share, never = crossed(lambda g, _: [g.mean(), np.nan], error, labels=ONE_CLASS, resamples=50)
    assert np.isfinite(share).all()
    assert share.telling
    assert np.isnan(never[:3]).all()


def test_tables_end_where_rates_and_correlations_do():
    rng = np.random.default_rng(0)
    groups = {net: tuple(rng.random((2, 12)) < 0.5 for _ in range(2)) for net in "ab"}
    for table, ends in ((matching.rate_table(groups, fraction=0.5), (0, 1)), (matching.rank_table(groups), (-1, 1))):
        assert (table.low.min(), table.high.max()) == ends  # two trials a group: some are as wide as can be


# ---- of independent trials -------------------------------------------------------------------------------------------


def test_the_interval_worked_out_by_hand():
    interval = t_interval([0.1, 0.3])  # mean .2, sd .1414, / sqrt(2) = .1; t(.975, 1) = 12.706
    assert interval == pytest.approx((0.2, 0.2 - 1.2706, 0.2 + 1.2706, 2), abs=1e-4)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=12).filter(lambda v: np.ptp(v) > 1e-6), st.integers(1, 9))
def test_the_interval_is_scipys(values, points):
    low, high = stats.ttest_1samp(values, 0).confidence_interval(1 - 0.05 / points)
    assert t_interval(values, points=points)[1:3] == pytest.approx((low, high))


def test_a_missing_trial_is_left_out_and_not_wrong():
    assert t_interval([0.1, np.nan, 0.3]) == t_interval([0.1, 0.3])
    assert t_interval([0.4, np.nan])[0] == 0.4
    assert np.isnan(t_interval([0.4, np.nan])[1:3]).all()
    assert t_interval([np.nan]).n == 0


def test_several_intervals_cover_together():
    generator = np.random.default_rng(0)
    draws = generator.normal(0, 1, (1500, 6, 5))
    both = [all(i.low < 0 < i.high for i in (t_interval(v, points=6) for v in draw)) for draw in draws]
    one = [all(i.low < 0 < i.high for i in (t_interval(v) for v in draw)) for draw in draws]
    assert 0.94 < np.mean(both) < 0.965
    assert np.mean(one) < 0.80  # without the correction: .95 to the sixth


def arm(mode, rate, values):
    rows = [{"mode": mode, "rate": rate, "seed": s, "accuracy": v} for s, v in enumerate(values)]
    return pd.DataFrame(rows)


TABLE = pd.concat(
    [arm("easy", 0.0, [0.8, 0.9]), arm("easy", 0.3, [0.7, 0.9]), arm("hard", 0.3, [0.5, 0.4])], ignore_index=True
)


# ---- who is paired with whom ---------------------------------------------------------------------------------------


def test_arms_subtract_seed_by_seed():
    difference = at(TABLE, mode="easy", rate=0.3) - at(TABLE, mode="hard", rate=0.3).iloc[::-1]
    assert difference.to_dict() == pytest.approx({0: 0.2, 1: 0.5})
    without = at(TABLE, mode="easy", rate=0.3) - at(TABLE[TABLE.seed == 0], mode="hard", rate=0.3)
    assert t_interval(without).n == 1


def test_steps_and_bends_by_hand():
    curve = {0.0: pd.Series([0.9, 0.8]), 0.6: pd.Series([0.84, 0.8]), 0.9: pd.Series([0.24, 0.5])}
    falls = steps(curve)
    assert list(falls) == ["0 to 0.6", "0.6 to 0.9"]
    assert falls["0.6 to 0.9"].tolist() == pytest.approx([-0.6, -0.3])
    late = bend(curve, 0.6)["bend at 0.6"]
    assert late.tolist() == pytest.approx([0.2 - 0.01, 0.1])  # a tenth: .6 / 3 - .06 / 6; .3 / 3 - 0
    assert bend(curve, 0.3).keys() == {"bend at 0.6"}  # the only inner rate
    straight = {r: pd.Series([1 - r, 1]) for r in (0.0, 0.3, 0.6, 0.9)}
    assert bend(straight, 0.5)["bend at 0.6"].tolist() == pytest.approx([0, 0])
    against = bend({r: curve[r] - straight[r] for r in curve}, 0.6)["bend at 0.6"]
    assert against.tolist() == pytest.approx(late.tolist())


def test_a_curve_may_begin_anywhere_and_two_rates_are_a_step():
    line = {rate: pd.Series([1 - rate, 0.5]) for rate in (0.2, 0.5, 0.6)}
    assert bend(line, 0.5)["bend at 0.5"].tolist() == pytest.approx([0, 0])
    assert list(steps({0.2: line[0.2], 0.5: line[0.5]})) == ["0.2 to 0.5"]


def test_a_point_may_be_named_by_every_column():
    assert at(TABLE, mode="easy", rate=0.0, seed=1, accuracy=0.9).to_dict() == {1: 0.9}


def test_an_accuracy_is_that_of_the_last_epoch_of_each_trial_s_own_view():
    trials = [SimpleNamespace(key=key, seed=0, views=(view,)) for key, view in (("a", "test"), ("b", "test@2"))]
    right = {"test": [[0, 0, 0, 1], [1, 1, 0, 1]], "test@2": [[0, 0, 0, 1]]}
    records = [SimpleNamespace(key=key, correct=lambda view: np.array(right[view], bool)) for key in "abc"]
    ledger = SimpleNamespace(records=records, diverged=[])
    points = pd.DataFrame({"arm": ["one", "two"], "trial": trials})
    assert accuracies(points, [ledger]).accuracy.tolist() == [0.75, 0.25]
    assert accuracies(points, [ledger], "test").accuracy.tolist() == [0.75, 0.75]


def test_every_row_gets_the_interval_of_its_point():
    table = with_intervals(TABLE, ["mode", "rate"])
    assert len(table) == len(TABLE)
    easy = table[(table["mode"] == "easy") & (table.rate == 0.3)]
    assert easy["mean"].tolist() == pytest.approx([0.8, 0.8])
    assert easy.low.iloc[0] == pytest.approx(t_interval([0.7, 0.9]).low)
    assert easy.n.tolist() == [2, 2]
    assert set(with_intervals(TABLE, ["mode"]).n) == {4, 2}


def test_accuracies_are_the_records(tiny, tmp_path):
    easiness = np.arange(100)
    rows = []
    for seed in (0, 1):
        for mode, rate in (("easy", 0.0), ("hard", 0.0), ("easy", 0.5)):
            edit = drop(easiness, rate, mode, seed=seed)
            rows.append({"mode": mode, "rate": rate, "trial": tiny(seed=seed, edit=edit, views=("test:50",))})
    points = pd.DataFrame(rows)
    unique = list({t.key: t for t in points.trial}.values())
    ledger = run.ensure(unique, workers=0, store=Store(tmp_path), quiet=True)
    table = accuracies(points, [ledger], "test:50")
    assert len(unique) == 4
    assert list(table.columns) == ["mode", "rate", "seed", "accuracy"]
    assert at(table, mode="easy", rate=0).equals(at(table, mode="hard", rate=0))
    record = ledger.records[[t.key for t in unique].index(points.trial[2].key)]
    assert table.accuracy[2] == pytest.approx(record.correct("test:50")[-1].sum() / 50)
    with pytest.raises(UserError, match="2 of 6 trials"):
        accuracies(points, [ledger.where(edit=[None])], "test:50")


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: at(TABLE, mode="medium"), "mode='medium'"),
        (lambda: at(TABLE, mode="easy"), "several trials of one seed"),
        (lambda: at(TABLE), "name columns of the table"),
        (lambda: at(TABLE, colour=1), "name columns of the table"),
        (lambda: t_interval([1, 2], level=1.5), "1.5"),
        (lambda: t_interval([1, 2], points=0), "points=0"),
        (lambda: steps({0.3: 1}), "two"),
        (lambda: bend({0.3: 1, 0.6: 2}, 0.6), "three"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(call, word):
    with pytest.raises(UserError) as refusal:
        call()
    assert word in str(refusal.value)
    assert "\n" not in str(refusal.value)
