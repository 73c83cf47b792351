"""Intervals by hand: where they end, how many degrees of freedom they have, and which draws count."""

import numpy as np
import pytest

from easel.compare import intervals, matching
from easel.compare.intervals import Interval, combined, crossed, jackknife

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
