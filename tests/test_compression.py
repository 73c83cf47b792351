"""Which examples are kept when a data set is reduced by easiness: by hand, against brute force, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from easel.errors import UserError
from easel.sections import subsets

EASINESS = np.array([0.5, 0.1, 0.9, 0.3, 1.0, 0.0, 0.7, 0.2, 0.8, 0.6])  # hardest first: 5 1 7 3 0 9 6 8 2 4
LABELS = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1])  # class 0, hardest first: 5 1 3 0 2 4; class 1: 7 9 6 8


@pytest.mark.parametrize(
    ("how", "share", "kept"),
    [
        ("easiest", 0.3, [1, 5, 7]),
        ("hardest", 0.3, [2, 4, 8]),
        ("easiest", 0.35, [1, 3, 5, 7]),  # 3.5 is 4
        ("hardest", 0.34, [2, 4, 8]),
        ("window", 0.5, [0, 1, 3, 7, 9]),  # 5 dropped: .5 of them, so 1, is the hardest; then 4 2 8 6
        ("window", 0.6, [0, 1, 3, 5, 7, 9]),  # 4 dropped: .4 of them, so none, at the hard end
        ("balanced", 0.5, [1, 3, 5, 7, 9]),  # 3 of six, 2 of four
        ("balanced", 0.4, [1, 5, 7, 9]),  # 2.4 and 1.6: the larger remainder is the second's
        ("balanced", 0.3, [1, 5, 7]),  # 1.8 and 1.2
        ("easiest", 0.01, [5]),  # one is left, always
    ],
)
def test_what_is_kept_by_hand(how, share, kept):
    assert subsets.keep(EASINESS, share, how, seed=0, labels=LABELS).tolist() == kept


@pytest.mark.parametrize(
    ("how", "kept"), [("easiest", [1, 3, 5, 7, 9]), ("hardest", [0, 2, 4, 6, 8]), ("window", [1, 3, 5, 7, 9])]
)
def test_the_same_share_of_every_class_by_hand(how, kept):
    """Dropped are 3 of six and 2 of four; of the window none, since .3 and .2 of one round to none: as the easiest."""
    assert subsets.keep(EASINESS, 0.5, how, seed=0, labels=LABELS, balanced=True).tolist() == kept


def test_without_balance_labels_change_nothing():
    for how in ("easiest", "hardest", "random", "window"):
        alone, beside = (subsets.keep(EASINESS, 0.4, how, seed=3, labels=labels) for labels in (None, LABELS))
        assert np.array_equal(alone, beside)


def test_a_window_takes_a_tenth_of_what_is_dropped_off_the_hard_end():
    kept = subsets.keep(np.arange(1000), 0.4, "window", seed=0)
    assert (kept[0], kept[-1], len(kept)) == (60, 459, 400)
    assert np.array_equal(kept, np.arange(60, 460))


many = st.lists(st.integers(0, 4), min_size=1, max_size=40)


@given(many, st.floats(0.01, 1), st.sampled_from(subsets.HOW), st.integers(0, 3))
def test_so_many_ascending_and_as_the_ranking_says_whatever_the_ties(values, share, how, seed):
    easiness = np.array(values)
    labels = np.arange(len(values)) % 3
    kept = subsets.keep(easiness, share, how, seed=seed, labels=labels)
    assert len(kept) == max(1, int(share * len(values) + 0.5 + 1e-9))
    assert (np.diff(kept) > 0).all()
    dropped = np.delete(easiness, kept)
    if how == "easiest" and len(dropped):
        assert easiness[kept].max() <= dropped.min()
    if how == "hardest" and len(dropped):
        assert easiness[kept].min() >= dropped.max()
    if how == "window" and len(dropped):
        hard, ranked = int(0.1 * len(dropped) + 0.5 + 1e-9), np.sort(easiness)
        assert np.array_equal(np.sort(easiness[kept]), ranked[hard : hard + len(kept)])
    if how == "balanced":
        shares = np.bincount(labels[kept], minlength=3) - np.bincount(labels, minlength=3) * len(kept) / len(values)
        assert np.abs(shares).max() < 1


@given(many, st.floats(0.01, 1), st.floats(0.01, 1), st.sampled_from(["easiest", "hardest", "random", "window"]))
def test_a_smaller_share_lies_in_a_larger_one(values, one, other, how):
    small, large = (subsets.keep(np.array(values), s, how, seed=1) for s in sorted((one, other)))
    assert set(small) <= set(large)


def test_ties_and_the_random_choice_are_by_lot_and_the_seeds_own():
    level = np.zeros(400)
    for how in ("easiest", "hardest", "random", "window", "balanced"):
        sets = [subsets.keep(level, 0.5, how, seed=seed, labels=np.arange(400) % 2) for seed in (0, 0, 1)]
        assert np.array_equal(sets[0], sets[1])
        assert 60 < len(set(sets[0]) & set(sets[2])) < 140  # 100 are expected to be in both, sd 5
    by_easiness, random = (subsets.keep(level, 0.5, how, seed=0) for how in ("easiest", "random"))
    assert not np.array_equal(by_easiness, random)


def test_every_example_is_as_likely_to_be_drawn():
    times = sum(np.bincount(subsets.keep(np.arange(20), 0.25, "random", seed=s), minlength=20) for s in range(2000))
    assert np.abs(times - 500).max() < 5 * np.sqrt(2000 * 0.25 * 0.75)


def test_the_tied_at_the_cut_are_counted():
    easiness = np.array([0.0, 0.5, 0.5, 0.5, 1.0, 1.0])
    assert subsets.tied(easiness, np.array([0, 1])) == 3
    assert subsets.tied(easiness, np.array([0, 1, 2, 3])) == 0
    assert subsets.tied(easiness, np.array([1, 4])) == 5  # two cuts, as of a window
    assert subsets.tied(easiness, np.array([0, 1]), labels=np.array([0, 0, 1, 1, 0, 1])) == 0
    assert subsets.tied(easiness, np.array([0, 1, 2]), labels=np.array([0, 0, 1, 1, 0, 1])) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"share": 0}, "share=0: a number above 0, at most 1"),
        ({"share": 1.01}, "share=1.01"),
        ({"share": -0.1}, "share=-0.1"),
        ({"share": float("nan")}, "share=nan"),
        ({"share": True}, "share=True"),
        ({"share": "half"}, "share='half'"),
        ({"how": "easy"}, "how='easy': one of easiest, hardest, random, balanced, window"),
        ({"seed": -1}, "seed=-1: a whole number from 0"),
        ({"seed": 0.5}, "seed=0.5"),
        ({"easiness": []}, "at least one example"),
        ({"easiness": [0.1, float("nan")]}, "a finite number"),
        ({"easiness": [[0.1]]}, "easiness"),
        ({"how": "balanced"}, "needs the labels"),
        ({"balanced": True}, "needs the labels"),
        ({"how": "balanced", "labels": [0, 1]}, "a whole number for each of 10 examples"),
        ({"how": "balanced", "labels": EASINESS}, "a whole number for each"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(change, message):
    asked = {"easiness": EASINESS, "share": 0.5, "how": "easiest", "seed": 0} | change
    with pytest.raises(UserError, match=message) as refusal:
        subsets.keep(**asked)
    assert "\n" not in str(refusal.value)
