"""Paired accuracies: t-intervals, claims about several points, and who is paired with whom."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, strategies as st
from scipy import stats

from easel.compare import claims, paired
from easel.compare.intervals import t_interval
from easel.compare.paired import accuracies, at, bend, down_to, steps, with_intervals
from easel.errors import UserError
from easel.ledger.store import Store
from easel.sections.subsets import drop
from easel.train import ensure as run


def arm(mode, rate, values):
    rows = [{"mode": mode, "rate": rate, "seed": s, "accuracy": v} for s, v in enumerate(values)]
    return pd.DataFrame(rows)


TABLE = pd.concat(
    [arm("easy", 0.0, [0.8, 0.9]), arm("easy", 0.3, [0.7, 0.9]), arm("hard", 0.3, [0.5, 0.4])], ignore_index=True
)


# ---- intervals -----------------------------------------------------------------------------------------------------


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


# ---- claims --------------------------------------------------------------------------------------------------------


def judge(values, **where):
    return claims.judge(paired.points(values), **where)


CLEAR, OTHER, DOUBT = [0.10, 0.12, 0.11], [-0.10, -0.12, -0.11], [-0.1, 0.2, 0.0]


@pytest.mark.parametrize(
    ("values", "verdict", "where"),
    [
        ({".3": CLEAR, ".6": CLEAR}, "holds", ".3"),
        ({".3": CLEAR, ".6": DOUBT}, "open", ".6"),
        ({".3": CLEAR, ".6": OTHER, ".9": DOUBT}, "fails", ".6"),
        ({".3": CLEAR, ".6": [0.1]}, "open", ".6"),  # one trial
        ({".3": CLEAR, ".6": [0.1, 0.1, 0.1]}, "open", ".6"),  # no spread: decides nothing
        ({".3": [-0.1, -0.1]}, "open", ".3"),
    ],
)
def test_every_point_must_hold_and_one_can_fail(values, verdict, where):
    found = judge(values, above=0)
    assert (found.verdict, found.where) == (verdict, where)
    mirrored = judge({k: -np.array(v) for k, v in values.items()}, below=0)
    assert (mirrored.verdict, mirrored.where) == (verdict, where)
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low), nan_ok=True)


def test_the_interval_shown_is_the_one_that_the_verdict_stands_on():
    values = {".3": CLEAR, ".6": OTHER}
    assert judge(values, above=0)[1:4] == pytest.approx(t_interval(OTHER, points=2)[:3])
    assert judge({".3": CLEAR, ".6": CLEAR}, above=0)[1:4] == pytest.approx(t_interval(CLEAR)[:3])
    assert judge({"": CLEAR}, above=0.2).verdict == "fails"
    assert judge({"": CLEAR}, above=0.05).row().keys() == {
        "here", "low", "high", "n", "verdict", "reason", "needed",
    }  # fmt: skip
    row = {"here": 0.1, "n": 1, "verdict": "open", "reason": "trials", "needed": None}
    assert judge({"": [0.1]}, above=0).row() == row


@pytest.mark.parametrize("points", [1, 6])
def test_chance_seldom_decides_whatever_the_number_of_points(points):
    generator = np.random.default_rng(points)
    draws = generator.normal(0, 1, (1500, points, 5))
    verdicts = [judge({str(i): v for i, v in enumerate(draw)}, above=0).verdict for draw in draws]
    assert verdicts.count("fails") / 1500 < 0.04  # .025, plus three standard errors
    worst = draws.copy()
    worst[:, 1:] += 100  # the hardest case for "holds": all other points are beyond doubt
    assert [judge({str(i): v for i, v in enumerate(draw)}, above=0).verdict for draw in worst].count(
        "holds"
    ) / 1500 < 0.04


def test_down_to_stops_at_the_first_that_does_not_hold():
    assert down_to({90: CLEAR, 70: CLEAR, 50: DOUBT, 30: CLEAR}, above=0) == 70
    assert down_to({50: CLEAR, 90: CLEAR}, above=0) == 50
    assert down_to({50: CLEAR, 90: DOUBT}, above=0) is None
    assert down_to({90: OTHER}, above=-0.2) == 90


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


# ---- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: at(TABLE, mode="medium"), "mode='medium'"),
        (lambda: at(TABLE, mode="easy"), "several trials of one seed"),
        (lambda: at(TABLE), "name columns of the table"),
        (lambda: at(TABLE, colour=1), "name columns of the table"),
        (lambda: t_interval([1, 2], level=1.5), "1.5"),
        (lambda: t_interval([1, 2], points=0), "points=0"),
        (lambda: judge({}, above=0), "at least one point"),
        (lambda: judge({"": CLEAR}), "one of above"),
        (lambda: judge({"": CLEAR}, above=0, below=0), "one of above"),
        (lambda: steps({0.3: 1}), "two"),
        (lambda: bend({0.3: 1, 0.6: 2}, 0.6), "three"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(call, word):
    with pytest.raises(UserError) as refusal:
        call()
    assert word in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_nothing_is_written_into_the_callers_arrays():
    values = np.array(CLEAR)
    judge({"": values}, below=0)
    assert values.tolist() == CLEAR
