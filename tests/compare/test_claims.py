"""From an interval to a verdict: every word of the vocabulary, what decides, and how many trials would."""

import numpy as np
import pytest
from scipy import stats

from easel.compare import claims, intervals, matching
from easel.compare.claims import SATURATED, against_print, down_to, judge, some
from easel.compare.cuts import ROUNDING
from easel.compare.intervals import Interval, combined, from_left_out, t_interval, together
from easel.errors import UserError


def within(estimate, reach, n=8):
    return Interval(estimate, estimate - reach, estimate + reach, n)


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        (within(0.2, 0.1), "holds"),
        (within(-0.2, 0.1), "fails"),
        (within(0.01, 0.03), "no difference"),
        (within(0.04, 0.03), "holds"),  # clearly above, however little
        (within(0.04, 0.045), "open"),
        (within(np.nan, np.nan), "open"),
        (within(0.2, 0.0), "open"),  # trials that are all alike leave no doubt, and so say nothing
    ],
)
def test_the_four_words_of_a_claim(interval, verdict):
    found = judge(interval, above=0, margin=0.05)
    assert found.verdict == verdict
    saturated = interval.low == interval.high
    assert found.reason == ("" if verdict != "open" else claims.SATURATED if saturated else "trials")
    mirrored = judge(Interval(-interval[0], -interval[2], -interval[1], 8), below=0, margin=0.05)
    assert mirrored.verdict == verdict


def test_a_limit_keeps_a_claim_open_whatever_the_interval_says():
    assert judge(within(0.2, 0.1), above=0, limit="design")[5:] == ("open", "design", None)
    with pytest.raises(UserError, match="limit"):
        judge(within(0.2, 0.1), above=0, limit="luck")


def test_an_open_claim_says_how_many_trials_would_decide():
    assert judge(within(0.10, 0.20, n=8), above=0).needed == 32  # half the reach takes four times the trials
    assert judge(within(0.04, 0.06, n=8), above=0, margin=0.05).needed == 18  # (.06 / .04)^2, sooner than the margin's
    assert judge(within(0.001, 0.2, n=8), above=0).needed is None  # 40,000 times as many: no advice
    assert judge(within(np.nan, np.nan), above=0).needed is None


def test_a_claim_about_every_point_has_a_value_for_each_and_the_worst_decides():
    points = {"a": within(0.5, 0.1), "b": within(0.3, 0.1)}
    assert judge(points, above={"a": 0.45, "b": 0.1}).where == "a"
    assert judge(points, above={"a": 0.1, "b": 0.1})[0:6:5] == ("b", "holds")
    assert judge(points, above={"a": 0.1, "b": 0.5})[0:6:5] == ("b", "fails")
    with pytest.raises(UserError, match="one of above"):
        judge(points)


def test_a_claim_about_some_point_is_judged_by_the_best_and_pays_for_having_looked():
    rng = np.random.default_rng(0)
    points = claims.points({str(i): rng.normal(0.0, 1, 5) for i in range(6)})
    assert some(points, above=0).where == max(points, key=lambda p: points[p](level=0.95).estimate)
    draws = rng.normal(0, 1, (1500, 6, 5))
    lucky = 0
    for draw in draws:
        lucky += some(claims.points({str(i): v for i, v in enumerate(draw)}), above=0).verdict == "holds"
    assert lucky / 1500 < 0.04
    assert some({"a": within(-1, 0.5), "b": within(-2, 0.5)}, above=0).verdict == "fails"


@pytest.mark.parametrize(
    ("rules", "bounds", "printed", "verdict", "reason"),
    [
        ([0.64, 0.60, 0.65], (0.54, 0.76), 0.64, "as printed", ""),
        ([0.64, 0.40, 0.65], (0.30, 0.76), 0.64, "open", "design"),  # another rule gives another level
        ([0.35, 0.60, 0.50], (0.00, 0.85), 0.71, "open", "design"),
        ([0.70, 0.71, 0.69], (0.60, 0.80), 0.90, "not as printed", ""),
        ([0.70, 0.71, 0.69], (0.60, 0.80), 0.82, "open", "design"),
    ],
)
def test_a_printed_level_is_held_against_every_tie_rule_and_every_way_to_break_ties(
    rules, bounds, printed, verdict, reason
):
    under = dict(zip(("expected", "inclusive", "index"), (within(r, 0.03) for r in rules), strict=True))
    found = against_print(under, printed, bounds=bounds)
    assert (found.verdict, found.reason) == (verdict, reason)
    assert found[1:4] == pytest.approx((rules[0], rules[0] - 0.03, rules[0] + 0.03))


def test_a_printed_level_without_ties_is_open_for_want_of_trials_alone():
    found = against_print(within(0.70, 0.12, n=8), 0.72)
    assert (found.verdict, found.reason) == ("open", "trials")
    assert found.needed == 18  # (.12 / .08)^2 times 8
    assert against_print(within(0.70, 0.02), 0.72, limit="images")[5:7] == ("open", "images")


def test_satterthwaite_s_degrees_lie_between_the_smallest_group_s_and_the_sum():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 4), rng.normal(0, 1, 4)
    both = from_left_out(0.0, [a, b])
    same = combined(0.0, [(1.0, 3), (1.0, 3)], 8)
    assert same.high == pytest.approx(2.4469 * 2**0.5, abs=1e-3)  # t(.975, 6), not t(.975, 3) = 3.18
    assert combined(0.0, [(1.0, 3), (1e-9, 3)], 8).high == pytest.approx(3.1824, abs=1e-3)
    assert combined(0.0, [(1.0, np.inf)], 8).high == pytest.approx(1.96, abs=1e-3)
    assert both.n == 8
    assert combined(0.5, [(1.0, 3)], 4, limits=(0, 1))[1:3] == (0, 1)
    assert np.isnan(combined(0.5, [(np.nan, 3)], 4)[1:3]).all()
    assert claims.MARGIN == 0.10


# ---- what decides, and what does not -------------------------------------------------------------------------------


def test_the_end_of_the_interval_decides_and_not_the_estimate():
    wide, near = within(0.5, 0.45), within(0.3, 0.05)
    assert judge({"wide": wide, "near": near}, above=0).where == "wide"
    assert judge({"wide": wide, "near": near}, above=0.1)[0:6:5] == ("wide", "open")
    assert judge(Interval(-0.5, -0.9, 0.1, 8), above=0).verdict == "open"
    lower, narrow = Interval(-0.9, -1.7, -0.1, 8), Interval(-0.3, -0.4, -0.2, 8)
    assert judge({"lower": lower, "narrow": narrow}, above=0)[0:6:5] == ("narrow", "fails")  # its high end is lowest
    assert judge({"a": within(0.2, 0.1), "b": narrow}, above={"a": 0.9, "b": 0})[0:6:5] == ("a", "fails")  # of its own
    assert some({"a": Interval(0.5, -0.1, 1.1, 8), "b": Interval(0.4, 0.3, 0.5, 8)}, above=0)[0:6:5] == ("a", "open")
    assert some({"a": within(-1, 0.5), "b": within(-0.2, 0.5)}, above=0)[0:6:5] == ("b", "open")  # not all lie below
    lost = within(np.nan, np.nan)
    assert some({"a": lost, "b": within(-1, 0.5)}, above=0)[0:6:5] == ("b", "open")


@pytest.mark.parametrize(("gap", "verdict"), [(0.0, "open"), (ROUNDING, "open"), (-1e-17, "open"), (1e-6, "holds")])
def test_an_end_on_the_value_is_neither_above_nor_below_it(gap, verdict):
    assert judge(Interval(0.2, gap, 0.4, 8), above=0).verdict == verdict
    assert judge(Interval(-0.2, -0.4, -gap, 8), below=0).verdict == verdict
    assert judge(Interval(-0.2, -0.4, -gap, 8), above=0).verdict == verdict.replace("holds", "fails")
    assert some({"": Interval(0.2, gap, 0.4, 8)}, above=0).verdict == verdict
    assert some({"": Interval(-0.2, -0.4, -gap, 8)}, above=0).verdict == verdict.replace("holds", "fails")


def test_no_difference_needs_both_ends_of_every_point_within_the_margin():
    near = within(0.0, 0.03)
    assert judge({"a": near, "b": near}, above=0, margin=0.05).verdict == "no difference"
    for far in (Interval(0.0, -0.06, 0.03, 8), Interval(0.0, -0.03, 0.06, 8), within(0, 0.05), within(0, 0.0)):
        assert judge({"a": near, "b": far}, above=0, margin=0.05).verdict == "open"
    assert judge(within(0.5, 0.03), above=0.5, margin=0.05).verdict == "no difference"  # about the value, not about 0
    assert judge(within(0.2, 0.1), above=0, margin=0.5).verdict == "holds"  # clear of the value: that is said first
    assert (
        judge(within(-0.2, 0.1), above=0, margin=0.5).verdict == "no difference"
    )  # below, but by too little to matter
    assert judge(near, above=0, margin=0.05, limit="images")[5:] == ("open", "images", None)


def test_trials_that_are_all_alike_decide_nothing_and_say_why():
    """Every image right in every trial: the rate is chance, to the last bit or one beside it."""
    always = np.ones((4, 20), bool)
    for a, b in ((always, always), (np.repeat(np.arange(20)[None] < 9, 4, axis=0),) * 2):  # also one trial, four times
        rate = intervals.jackknife(a, b, matching.rate)
        sides = ({"above": rate.estimate - 1e-17}, {"above": 0}, {"below": 1.5}, {"above": 1.5}, {"below": 0})
        for found in (judge(rate, **side) for side in sides):
            assert (found.verdict, found.reason, found.needed) == ("open", SATURATED, None)
        assert some({"": rate}, above=0)[5:] == ("open", SATURATED, None)
        assert against_print(rate, 0.9)[5:] == ("open", SATURATED, None)
        assert judge(rate, above=0, limit="images").reason == "images"
    ties = judge({"a": within(0.5, 0.1), "b": t_interval([0.3] * 4)}, above=0)
    assert (ties.where, ties.verdict, ties.reason) == ("b", "open", SATURATED)
    assert judge(t_interval([0.1, 0.1, 0.1 + 1e-17]), above=0).reason == SATURATED  # rounding is no spread
    assert judge(t_interval([0.3]), above=0).reason == "trials"  # one trial: no interval at all


def test_points_are_widened_for_their_number_to_fail_and_not_to_hold():
    levels = []

    def point(level):
        levels.append(level)
        return within(0.2, 0.1)

    assert judge({"a": point, "b": point, "c": point, "d": point}, above=0).verdict == "holds"
    assert sorted(levels) == pytest.approx([0.95] * 4 + [0.9875] * 4)
    levels.clear()
    some({"a": point, "b": point}, above=0)
    assert levels == pytest.approx([0.975] * 2)
    assert together(1) == 0.95
    assert together(5, 0.90) == pytest.approx(0.98)
    closer = {"a": lambda level: within(-0.2, 0.1 if level == 0.95 else 0.3), "b": within(0.2, 0.1)}
    assert judge(closer, above=0).verdict == "open"  # below by itself, but not as the worst of two


def test_what_is_needed_is_the_smaller_of_both_ways_to_decide():
    assert judge(within(0.10, 0.20, n=8), above=0.05).needed == 128  # 4 squared
    assert judge(within(0.025, 0.20, n=8), above=0).needed is None  # 8 squared: more than fifty times as many
    assert judge(within(0.0, 0.10, n=8), above=0, margin=0.05).needed == 32  # by the margin alone
    assert judge(within(0.04, 0.06, n=8), above=0, margin=0.08).needed == 18
    assert judge(within(-0.10, 0.20, n=8), below=0).needed == 32
    assert judge({"a": within(0.10, 0.20, n=8), "b": within(0.1, 0.4, n=4)}, above=0).needed == 64
    assert some({"": within(0.1, 0.2, n=8)}, above=0).needed == 32


def test_a_printed_level_on_the_edge():
    assert against_print(within(0.70, 0.04), 0.76).verdict == "as printed"  # .06 and .04 are MARGIN
    assert against_print(within(0.70, 0.04), 0.7600001).verdict == "not as printed"
    assert against_print(within(0.70, 0.06), 0.76).verdict == "open"  # the interval ends on it
    assert against_print(Interval(0.70, 0.60, 0.72, 8), 0.715)[5:7] == ("open", "trials")  # the longer arm is the reach
    assert against_print(Interval(0.70, 0.68, 0.80, 8), 0.685)[5:7] == ("open", "trials")
    low = {"rules": within(0.40, 0.02), "printed": 0.70}
    assert against_print(**low, ceiling=0.50)[5:7] == ("open", "design")  # no net could have agreed better
    assert against_print(**low, ceiling=0.65)[5] == "not as printed"
    assert against_print(within(0.90, 0.02), 0.70, ceiling=0.50)[5] == "not as printed"  # ours is the higher one
    assert against_print(within(0.70, 0.04), 0.72, bounds=(0.66, 0.86))[5:7] == ("as printed", "")
    assert against_print(within(0.70, 0.09), 0.72, bounds=(0.66, 0.86))[5:7] == ("open", "design")  # ties: .20 apart
    assert against_print(within(0.70, 0.09), 0.72, bounds=(0.66, 0.76))[5:7] == ("open", "trials")
    assert against_print(within(0.70, 0.09), 0.72, bounds=(0.66, 0.76)).needed == 11  # (.09 / .08)^2 times 8
    rules = {"expected": within(0.70, 0.02), "index": within(0.55, 0.02)}
    assert against_print(rules, 0.70, bounds=(0.65, 0.74))[5:7] == ("open", "design")


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: some({}, above=0), "at least one point"),
        (lambda: judge({"a": within(0, 1)}, above={"b": 0.5}), "no value for a"),
        (lambda: against_print({}, 0.5), "0 tie rules"),
        (lambda: against_print(within(0.5, 0.1), np.nan), "printed=nan"),
        (lambda: t_interval([0.1, np.inf]), "not finite"),
        (lambda: judge("no", above=1), "judge: points='no': it takes intervals by name"),
        (lambda: judge(within(0, 1), above="no"), "judge: above='no': it takes a number or one a point"),
        (lambda: some(5, above=0), "some: points=5: it takes intervals by name"),
        (lambda: against_print(within(0.5, 0.1), "0.7"), "against_print: printed='0.7': it takes a number"),
        (lambda: t_interval(["a"]), r"t_interval: values=\['a'\]: it takes numbers"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_one_line(call, says):
    with pytest.raises(UserError, match=says) as refusal:
        call()
    assert "\n" not in str(refusal.value)


def test_an_interval_has_the_degrees_of_its_doubts_and_none_without_one():
    t = {3: 3.182446, 7: 2.364624, 6: 2.446912}  # of .975
    assert combined(0.0, [(4.0, 7)], 8).high == pytest.approx(2 * t[7], abs=1e-5)
    assert combined(1.0, [(4.0, 3)], 4).low == pytest.approx(1 - 2 * t[3], abs=1e-5)
    uneven = combined(0.0, [(1.0, 3), (1.0, 7)], 12)  # 4 / (1/3 + 1/7) = 8.4, between 3 and 10
    assert uneven.high == pytest.approx(stats.t.ppf(0.975, 8.4) * 2**0.5)
    assert combined(0.5, [(0.0, 3)], 4) == (0.5, 0.5, 0.5, 4)
    assert np.isnan(combined(0.5, [(1.0, 0)], 1)[1:3]).all()
    assert from_left_out(0.5, [[0.1, 0.2, 0.3]]).high == pytest.approx(0.5 + 4.302653 * (2 * 0.02 / 3) ** 0.5, abs=1e-5)
    half = t_interval([0.0, 1.0, 2.0, 3.0], level=0.90)
    assert half.high == pytest.approx(1.5 + 2.353363 * (5 / 3 / 4) ** 0.5, abs=1e-5)
    assert not Interval(0.0, 0.0, ROUNDING, 4).telling
    assert Interval(0.0, 0.0, 2 * ROUNDING, 4).telling


def test_a_row_has_both_ends_or_none():
    row = judge(Interval(0.2, 0.1, 0.4, 8), above=0).row()
    assert row == {"here": 0.2, "low": 0.1, "high": 0.4, "n": 8, "verdict": "holds", "reason": "", "needed": None}
    assert judge(Interval(0.2, np.nan, np.nan, 1), above=0).row().keys() == row.keys() - {"low", "high"}
    for one_end in (Interval(0.2, np.nan, 0.4, 8), Interval(0.2, 0.1, np.nan, 8)):
        assert judge(one_end, above=0).row().keys() == row.keys() - {"low", "high"}


def test_a_claim_of_lying_below_is_about_its_own_value():
    assert judge(within(0.3, 0.1), below=0.5).verdict == "holds"
    assert judge(within(0.7, 0.1), below=0.5).verdict == "fails"
    assert judge(within(0.5, 0.1), below=0.5, margin=0.2).verdict == "no difference"
    assert judge(within(0.4, 0.2, n=8), below=0.5).needed == 32
    assert judge({"a": within(0.3, 0.1), "b": within(0.3, 0.1)}, below={"a": 0.5, "b": 0.35})[0:6:5] == ("b", "open")


# ---- several points, of independent trials --------------------------------------------------------------------------


def judged(values, **where):
    return claims.judge(claims.points(values), **where)


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
    found = judged(values, above=0)
    assert (found.verdict, found.where) == (verdict, where)
    mirrored = judged({k: -np.array(v) for k, v in values.items()}, below=0)
    assert (mirrored.verdict, mirrored.where) == (verdict, where)
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low), nan_ok=True)


def test_the_interval_shown_is_the_one_that_the_verdict_stands_on():
    values = {".3": CLEAR, ".6": OTHER}
    assert judged(values, above=0)[1:4] == pytest.approx(t_interval(OTHER, points=2)[:3])
    assert judged({".3": CLEAR, ".6": CLEAR}, above=0)[1:4] == pytest.approx(t_interval(CLEAR)[:3])
    assert judged({"": CLEAR}, above=0.2).verdict == "fails"
    assert judged({"": CLEAR}, above=0.05).row().keys() == {
        "here", "low", "high", "n", "verdict", "reason", "needed",
    }  # fmt: skip
    row = {"here": 0.1, "n": 1, "verdict": "open", "reason": "trials", "needed": None}
    assert judged({"": [0.1]}, above=0).row() == row


@pytest.mark.parametrize("points", [1, 6])
def test_chance_seldom_decides_whatever_the_number_of_points(points):
    generator = np.random.default_rng(points)
    draws = generator.normal(0, 1, (1500, points, 5))
    verdicts = [judged({str(i): v for i, v in enumerate(draw)}, above=0).verdict for draw in draws]
    assert verdicts.count("fails") / 1500 < 0.04  # .025, plus three standard errors
    worst = draws.copy()
    worst[:, 1:] += 100  # the hardest case for "holds": all other points are beyond doubt
    assert [judged({str(i): v for i, v in enumerate(draw)}, above=0).verdict for draw in worst].count(
        "holds"
    ) / 1500 < 0.04


def test_down_to_stops_at_the_first_that_does_not_hold():
    assert down_to({90: CLEAR, 70: CLEAR, 50: DOUBT, 30: CLEAR}, above=0) == 70
    assert down_to({50: CLEAR, 90: CLEAR}, above=0) == 50
    assert down_to({50: CLEAR, 90: DOUBT}, above=0) is None
    assert down_to({90: OTHER}, above=-0.2) == 90


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: judged({}, above=0), "at least one point"),
        (lambda: judged({"": CLEAR}), "one of above"),
        (lambda: judged({"": CLEAR}, above=0, below=0), "one of above"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(call, word):
    with pytest.raises(UserError) as refusal:
        call()
    assert word in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_nothing_is_written_into_the_callers_arrays():
    values = np.array(CLEAR)
    judged({"": values}, below=0)
    assert values.tolist() == CLEAR


def test_what_more_trials_would_not_narrow_is_limited_by_images():
    """.50 [.45, .55] against .48: of the half-width .03 is other images', which is more than the gap."""
    found = judge(Interval(0.50, 0.45, 0.55, 20), above=0.48, steady=0.03)
    assert (found.verdict, found.reason, found.needed) == ("open", "images", None)
    found = judge(Interval(0.50, 0.45, 0.55, 2000), above=0.48, steady=np.inf)
    assert (found.reason, found.needed) == ("images", None)
    assert judge(Interval(0.50, 0.49, 0.51, 20), above=0.48, steady=np.inf).verdict == "holds"
    found = judge(Interval(np.nan, np.nan, np.nan, 2000), above=0.48, steady=np.inf)  # too few nets
    assert (found.verdict, found.reason) == ("open", "trials")
    found = judge(Interval(0.50, 0.45, 0.55, 20), above=0.48, steady=0.01)  # (.05^2 - .01^2) / (.02^2 - .01^2) = 8
    assert (found.reason, found.needed) == ("trials", 160)
