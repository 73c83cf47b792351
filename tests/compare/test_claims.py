"""From an interval to a verdict: every word of the vocabulary, what decides, and how many trials would."""

import numpy as np
import pytest

from easel.compare import claims, paired
from easel.compare.claims import against_print, judge, some
from easel.compare.intervals import Interval, combined, from_left_out
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
    points = paired.points({str(i): rng.normal(0.0, 1, 5) for i in range(6)})
    assert some(points, above=0).where == max(points, key=lambda p: points[p](level=0.95).estimate)
    draws = rng.normal(0, 1, (1500, 6, 5))
    lucky = 0
    for draw in draws:
        lucky += some(paired.points({str(i): v for i, v in enumerate(draw)}), above=0).verdict == "holds"
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
