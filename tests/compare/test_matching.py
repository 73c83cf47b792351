"""Matching rates: against brute force over every way to break ties, by hand, and as properties."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from easel.compare import claims, correlation, cuts, intervals, matching
from easel.errors import UserError

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")

whiches = st.sampled_from(cuts.WHICH)
fractions = st.sampled_from([0.1, 0.2, 0.3, 0.5, 0.7, 1.0])


@st.composite
def two_rankings(draw, most=7, top=3):
    """Two count vectors over the same few examples, with many ties."""
    n = draw(st.integers(1, most))
    vector = st.lists(st.integers(0, top), min_size=n, max_size=n).map(np.array)
    return draw(vector), draw(vector)


def size(n, fraction):
    return max(1, int(fraction * n + 0.5 + 1e-9))


def all_sets(counts, which, fraction):
    """Every set of k examples in which nobody outside is easier (harder) than somebody inside."""
    n, sign = len(counts), 1 if which == "easy" else -1
    for chosen in combinations(range(n), size(n, fraction)):
        outside = set(range(n)) - set(chosen)
        if all(sign * counts[i] >= sign * counts[j] for i in chosen for j in outside):
            yield frozenset(chosen)


def all_rates(a, b, which, fraction):
    pairs = product(all_sets(a, which, fraction), all_sets(b, which, fraction))
    return [len(one & two) / size(len(a), fraction) for one, two in pairs]


# ---- against brute force -------------------------------------------------------------------------------------------


@given(two_rankings(), whiches, fractions)
def test_expected_rate_is_the_mean_over_all_tie_breakings(pair, which, fraction):
    truth = np.mean(all_rates(*pair, which, fraction))
    assert matching.rate(*pair, which=which, fraction=fraction) == pytest.approx(truth)


@given(two_rankings(), whiches, fractions)
def test_bounds_are_the_extremes_over_all_tie_breakings(pair, which, fraction):
    rates = all_rates(*pair, which, fraction)
    assert matching.bounds(*pair, which=which, fraction=fraction) == pytest.approx((min(rates), max(rates)))


@given(two_rankings(), whiches, fractions)
def test_inclusion_is_the_share_of_tie_breakings_that_let_an_example_in(pair, which, fraction):
    sets = list(all_sets(pair[0], which, fraction))
    truth = [np.mean([i in chosen for chosen in sets]) for i in range(len(pair[0]))]
    np.testing.assert_allclose(matching.inclusion(pair[0], which=which, fraction=fraction), truth)


@given(two_rankings(most=20, top=5), whiches, fractions)
def test_expected_rate_is_sum_of_p_q_over_k(pair, which, fraction):
    p, q = (matching.inclusion(x, which=which, fraction=fraction) for x in pair)
    assert p.sum() == pytest.approx(size(len(p), fraction))
    assert matching.rate(*pair, which=which, fraction=fraction) == pytest.approx(p @ q / p.sum())


@given(two_rankings(most=20), whiches, fractions)
def test_inclusive_sets_hold_everybody_at_or_beyond_the_cut(pair, which, fraction):
    def members(x):
        value = sorted(x, reverse=which == "easy")[size(len(x), fraction) - 1]
        return {i for i, count in enumerate(x) if (count >= value if which == "easy" else count <= value)}

    one, two = map(members, pair)
    truth = len(one & two) / max(len(one), len(two))
    assert matching.rate(*pair, which=which, fraction=fraction, ties="inclusive") == pytest.approx(truth)


@given(two_rankings(most=20), whiches, fractions)
def test_index_ties_go_to_the_lowest_index_for_easy_and_for_hard(pair, which, fraction):
    def members(x):
        order = sorted(range(len(x)), key=lambda i: (-x[i] if which == "easy" else x[i], i))
        return set(order[: size(len(x), fraction)])

    one, two = map(members, pair)
    truth = len(one & two) / len(one)
    assert matching.rate(*pair, which=which, fraction=fraction, ties="index") == pytest.approx(truth)


# ---- by hand -------------------------------------------------------------------------------------------------------


def test_a_case_worked_out_by_hand():
    # k = 2. a: example 0 is in, one of 1, 2, 3 follows. b: 1 is in, one of 0, 2 follows.
    a, b = [9, 5, 5, 5, 0], [4, 7, 4, 1, 1]
    ask = {"which": "easy", "fraction": 0.4}
    np.testing.assert_allclose(matching.inclusion(a, **ask), [1, 1 / 3, 1 / 3, 1 / 3, 0])
    np.testing.assert_allclose(matching.inclusion(b, **ask), [1 / 2, 1, 1 / 2, 0, 0])
    assert matching.rate(a, b, **ask) == pytest.approx((1 / 2 + 1 / 3 + 1 / 6) / 2)
    assert matching.rate(a, b, ties="inclusive", **ask) == 3 / 4  # {0,1,2,3} and {0,1,2}
    assert matching.rate(a, b, ties="index", **ask) == 1.0  # {0,1} and {0,1}
    assert matching.bounds(a, b, **ask) == (0.0, 1.0)  # {0,3} and {1,2}; {0,1} and {0,1}


def test_hard_is_easy_upside_down():
    a, b = np.array([3, 1, 1, 0, 2]), np.array([2, 2, 0, 1, 0])
    for ties in cuts.TIES:
        hard = matching.rate(a, b, which="hard", fraction=0.4, ties=ties)
        assert hard == matching.rate(-a, -b, which="easy", fraction=0.4, ties=ties)


@pytest.mark.parametrize(
    ("n", "fraction", "k"),
    [(10, 0.1, 1), (15, 0.1, 2), (14, 0.1, 1), (3, 0.1, 1), (100, 0.145, 15), (50_000, 0.1, 5_000), (7, 1.0, 7)],
)
def test_the_set_size_is_rounded_halves_up_and_is_at_least_one(n, fraction, k):
    assert matching.inclusion(np.arange(n), which="easy", fraction=fraction).sum() == k


def test_not_identified_means_bounds_more_than_a_tenth_apart():
    assert matching.identified(0.3, 0.4)
    assert not matching.identified(0.3, 0.401)
    assert matching.identified(0.1, 0.1 + 0.1 + 1e-12)  # rounding decides nothing


# ---- properties ----------------------------------------------------------------------------------------------------


@given(two_rankings(most=20, top=5), whiches, fractions, st.sampled_from(cuts.TIES))
def test_a_rate_is_symmetric_within_its_range_and_blind_to_units_and_order(pair, which, fraction, ties):
    a, b = pair
    ask = {"which": which, "fraction": fraction, "ties": ties}
    value = matching.rate(a, b, **ask)
    assert 0 <= value <= 1 + 1e-12
    assert value == matching.rate(b, a, **ask)
    assert value == matching.rate(np.exp(a), 3.0 * b - 7, **ask)  # strictly monotone
    if ties != "index":
        order = np.random.default_rng(0).permutation(len(a))
        assert value == matching.rate(a[order], b[order], **ask)


@given(two_rankings(most=20, top=5), whiches, fractions)
def test_bounds_hold_every_rule_that_keeps_k_examples(pair, which, fraction):
    low, high = matching.bounds(*pair, which=which, fraction=fraction)
    for ties in ("expected", "index"):
        assert low - 1e-12 <= matching.rate(*pair, which=which, fraction=fraction, ties=ties) <= high + 1e-12
    assert (low, high) == matching.bounds(*pair[::-1], which=which, fraction=fraction)


@given(two_rankings(most=20), whiches, fractions)
def test_a_ranking_matches_itself_wholly_unless_its_ties_are_broken_twice(pair, which, fraction):
    a = pair[0]
    for ties in ("inclusive", "index"):
        assert matching.rate(a, a, which=which, fraction=fraction, ties=ties) == 1
    p = matching.inclusion(a, which=which, fraction=fraction)
    assert matching.rate(a, a, which=which, fraction=fraction) == pytest.approx((p**2).sum() / p.sum())


@given(st.permutations(range(12)), st.permutations(range(12)), whiches, fractions)
def test_without_ties_all_rules_are_the_plain_overlap(a, b, which, fraction):
    k = size(12, fraction)
    one, two = (set(np.argsort(x)[-k:] if which == "easy" else np.argsort(x)[:k]) for x in (a, b))
    truth = len(one & two) / k
    rates = {matching.rate(a, b, which=which, fraction=fraction, ties=ties) for ties in cuts.TIES}
    assert rates == {truth}
    assert matching.bounds(a, b, which=which, fraction=fraction) == (truth, truth)


@given(two_rankings(most=20, top=5), whiches)
def test_the_overlap_curve_is_rate_and_bounds_at_every_cut(pair, which):
    curve = matching.overlap_curve(*pair, which=which)
    assert list(curve.columns) == ["fraction", "rate", "low", "high", "chance"]
    assert curve.fraction.tolist() == pytest.approx([percent / 100 for percent in range(1, 51)])
    for row in curve.iloc[::7].itertuples():
        ask = {"which": which, "fraction": row.fraction}
        assert row.rate == matching.rate(*pair, **ask)
        assert (row.low, row.high) == matching.bounds(*pair, **ask)
        assert row.chance == size(len(pair[0]), row.fraction) / len(pair[0])


# ---- the artefact, and what to compare with --------------------------------------------------------------------------


def saturated(rng, n=10_000):
    """Counts of two unrelated nets, 10 trials: 40 % of the examples are always right."""
    return (np.where(rng.random(n) < 0.4, 10, rng.integers(0, 10, n)) for _ in range(2))


def test_index_ties_make_unrelated_nets_agree_and_expected_ties_do_not():
    a, b = saturated(np.random.default_rng(0))
    assert matching.rate(a, b, which="easy", ties="index") > 0.3
    assert matching.rate(a, b, which="easy", ties="inclusive") == pytest.approx(0.4, abs=0.03)  # sets of 40 %
    assert matching.rate(a, b, which="easy") == pytest.approx(0.10, abs=0.01)
    low, high = matching.bounds(a, b, which="easy")
    assert (low, high) == (0, 1)
    assert not matching.identified(low, high)


@given(two_rankings(), whiches, fractions)
def test_expected_rate_of_a_shuffled_ranking_is_chance(pair, which, fraction):
    a, b = pair
    n = len(a)
    rotations = [matching.rate(a, np.roll(b, by), which=which, fraction=fraction) for by in range(n)]
    assert np.mean(rotations) == pytest.approx(size(n, fraction) / n)  # every example meets every place once


def test_stratified_chance_by_hand():
    # k = 2 of 8; class 0 (4 examples) is easy for both: 2 * 2 / 4 / 2
    labels = [0, 0, 0, 0, 1, 1, 1, 1]
    a, b = [5, 4, 1, 1, 0, 0, 0, 0], [1, 1, 5, 4, 0, 0, 0, 0]
    ask = {"which": "easy", "fraction": 0.25}
    assert matching.rate(a, b, **ask) == 0
    assert matching.stratified_chance(a, b, labels, **ask) == 0.5
    assert matching.stratified_chance(a, b, np.array(list("ppppqqqq")), **ask) == 0.5  # any kind of label
    assert matching.stratified_chance(a, a[::-1], labels, **ask) == 0  # opposite classes
    assert matching.stratified_chance(a, b, np.zeros(8), **ask) == 0.25  # one class: plain chance


@given(two_rankings(most=6), whiches, fractions)
def test_stratified_chance_is_the_mean_rate_when_each_class_is_shuffled(pair, which, fraction):
    a, b = pair
    n = len(a)
    labels = np.arange(n) % 2
    ask = {"which": which, "fraction": fraction}
    rates = []
    for first, second in product(range((n + 1) // 2), range(max(1, n // 2))):  # rotate within class: each meets each
        moved = b.copy()
        moved[labels == 0] = np.roll(b[labels == 0], first)
        moved[labels == 1] = np.roll(b[labels == 1], second)
        rates.append(matching.rate(a, moved, **ask))
    assert matching.stratified_chance(a, b, labels, **ask) == pytest.approx(np.mean(rates))


def trials(rng, p, n_trials, shift=0.0):
    """Independent trials (n_trials, examples) of a net right with probability p; `shift`: spread between trials."""
    logit = np.log(p / (1 - p)) + rng.normal(0, shift, (n_trials, 1))
    return rng.random((n_trials, len(p))) < 1 / (1 + np.exp(-logit))


def test_correlations_are_scipys_and_nan_where_there_is_no_variation():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 5, 200)
    b = a + rng.integers(0, 5, 200)
    assert correlation.pearson(a, b) == pytest.approx(stats.pearsonr(a, b)[0])
    assert correlation.spearman(a, b) == pytest.approx(stats.spearmanr(a, b)[0])
    assert correlation.spearman(a, np.exp(a)) == pytest.approx(1)
    assert np.isnan(correlation.pearson(a, np.ones(200)))
    assert np.isnan(correlation.spearman(np.ones(200), a))


# ---- jackknife -------------------------------------------------------------------------------------------------------


def test_the_jackknife_of_a_mean_is_the_t_interval():
    correct = np.array([[1, 1, 0, 1], [0, 1, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1], [1, 1, 0, 0]], bool)

    means = correct.mean(1)
    result = intervals.jackknife(correct, None, lambda counts: counts.sum() / 4, limits=(-np.inf, np.inf))
    # of a sum over trials: 5 means; deleting trial i takes means[i] away
    assert result.estimate == pytest.approx(means.sum())
    reach = stats.t.ppf(0.975, 4) * np.sqrt(4 / 5 * ((means - means.mean()) ** 2).sum())
    assert (result.low, result.high) == pytest.approx((means.sum() - reach, means.sum() + reach))
    assert result.n == 5
    clipped = intervals.jackknife(correct, None, lambda counts: counts.sum() / 4, limits=(0, 3))
    assert result.low > 0
    assert result.high > 3
    assert (clipped.low, clipped.high) == (result.low, 3)


def test_the_jackknife_deletes_each_trial_of_both_groups_once():
    rng = np.random.default_rng(0)
    a, b = rng.random((3, 9)) < 0.5, rng.random((4, 9)) < 0.5
    seen = []

    def statistic(one, two):
        seen.append((one.tolist(), two.tolist()))
        return 0.5

    assert intervals.jackknife(a, b, statistic) == (0.5, 0.5, 0.5, 7)
    without_a = [(np.delete(a, i, 0).sum(0).tolist(), b.sum(0).tolist()) for i in range(3)]
    without_b = [(a.sum(0).tolist(), np.delete(b, i, 0).sum(0).tolist()) for i in range(4)]
    assert sorted(seen) == sorted([*without_a, *without_b, (a.sum(0).tolist(), b.sum(0).tolist())])


@pytest.mark.parametrize("which", cuts.WHICH)
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_the_95_percent_interval_covers_the_expected_rate_at_that_number_of_trials(which, shift):
    # truth: the mean rate over new sets of 10 trials on the same examples, here over the 150 sets drawn
    rng = np.random.default_rng(0)
    shared = rng.beta(2, 2, 1_000)
    p, q = (np.clip(0.7 * shared + 0.3 * rng.beta(2, 2, 1_000), 0.01, 0.99) for _ in range(2))
    found = [
        intervals.jackknife(
            trials(rng, p, 10, shift), trials(rng, q, 10, shift), lambda a, b: matching.rate(a, b, which=which)
        )
        for _ in range(150)
    ]
    truth = np.mean([interval.estimate for interval in found])
    covered = np.mean([interval.low <= truth <= interval.high for interval in found])
    widths = [interval.high - interval.low for interval in found]
    assert covered >= 0.90
    assert np.mean(widths) < 0.4  # covers, and not by saying everything is possible


# ---- Table 1 ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def nets():
    rng = np.random.default_rng(0)
    shared = rng.beta(2, 2, 500)
    chances = [np.clip(0.6 * shared + 0.4 * rng.beta(2, 2, 500), 0.01, 0.99) for _ in range(3)]
    return {name: (trials(rng, p, 5), trials(rng, p, 5)) for name, p in zip("xyz", chances, strict=True)}


@pytest.mark.parametrize("ties", cuts.TIES)
@pytest.mark.parametrize("which", cuts.WHICH)
def test_the_table_says_what_the_single_functions_say(nets, which, ties):
    labels = np.arange(500) % 10
    table = matching.rate_table(nets, which=which, fraction=0.1, ties=ties, labels=labels)
    assert (table.a + table.b).tolist() == ["xx", "xy", "xz", "yy", "yz", "zz"]
    assert list(table.columns) == [
        "a",
        "b",
        "which",
        "fraction",
        "rate",
        "low",
        "high",
        "tie_low",
        "tie_high",
        "identified",
        "chance",
        "stratified_chance",
        "spearman",
        "share",
        "share_low",
        "share_high",
        "n_trials",
        "n",
    ]
    ask = {"which": which, "fraction": 0.1}
    for row in table.itertuples():
        (a1, a2), (b1, b2) = nets[row.a], nets[row.b]
        pairs = [(a1, a2)] if row.a == row.b else [(a1, b2), (a2, b1)]
        counts = [(one.sum(0), two.sum(0)) for one, two in pairs]
        assert row.rate == pytest.approx(np.mean([matching.rate(*pair, ties=ties, **ask) for pair in counts]))
        tie_low, tie_high = np.mean([matching.bounds(*pair, **ask) for pair in counts], axis=0)
        assert (row.tie_low, row.tie_high) == pytest.approx((tie_low, tie_high))
        assert row.identified == matching.identified(tie_low, tie_high)
        assert row.spearman == pytest.approx(np.mean([correlation.spearman(*pair) for pair in counts]))
        for column, groups in (("chance", np.zeros(500)), ("stratified_chance", labels)):
            mixed = [matching.stratified_chance(*pair, groups, ties=ties, **ask) for pair in counts]
            assert getattr(row, column) == pytest.approx(np.mean(mixed))
        assert row.n_trials == 5
        assert row.n == (10 if row.a == row.b else 20)
        # the jackknife, the slow way: the mean of the pairs' rates without each trial in turn
        flat = [a1, a2] if row.a == row.b else [a1, a2, b1, b2]
        at = [(0, 1)] if row.a == row.b else [(0, 3), (1, 2)]

        def mean(counts, at=at):
            return [np.mean([matching.rate(counts[i], counts[j], ties=ties, **ask) for i, j in at])]

        slow = intervals.jackknife_of(flat, mean, limits=(0, 1))[0]
        assert (row.low, row.high) == pytest.approx(slow[1:3])


def test_swapping_two_nets_changes_nothing(nets):
    forward = matching.rate_table({"x": nets["x"], "y": nets["y"]}, which="easy").set_index(["a", "b"])
    back = matching.rate_table({"y": nets["y"], "x": nets["x"]}, which="easy").set_index(["a", "b"])
    columns = ["rate", "low", "high", "share", "share_low", "share_high", "n_trials"]
    assert forward.loc[("x", "y"), columns].tolist() == pytest.approx(back.loc[("y", "x"), columns].tolist())
    assert forward.rate["x", "y"] == back.rate["y", "x"]
    assert forward.stratified_chance.isna().all()  # without labels


def test_the_table_finds_a_cut_once_for_each_group_and_trial_not_for_each_pair(nets, monkeypatch):
    calls = []
    cut = cuts.cut_at
    monkeypatch.setattr(cuts, "cut_at", lambda *args, **more: calls.append(1) or cut(*args, **more))
    matching.rate_table(nets, which="easy")
    assert len(calls) == 6 * (2 + 5)  # six groups: with ties open, under the rule, and without each of five trials


# ---- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: matching.rate([1, 2], [1, 2, 3], which="easy"), "same examples"),
        (lambda: matching.rate([1, np.nan], [1, 2], which="easy"), r"counts\[1\] is not finite"),
        (lambda: matching.rate([np.inf, 1], [1, 2], which="easy"), r"counts\[0\] is not finite"),
        (lambda: matching.rate([], [], which="easy"), "one number an example"),
        (lambda: matching.rate([[1]], [[1]], which="easy"), "one number an example"),
        (lambda: matching.rate(["a"], ["b"], which="easy"), "one number an example"),
        (lambda: matching.rate([1], [1], which="esay"), "'easy' or 'hard'"),
        (lambda: matching.rate([1], [1], which="easy", ties="random"), "'expected', 'inclusive' or 'index'"),
        (lambda: matching.bounds([1], [1], which="easy", fraction=0), "above 0"),
        (lambda: matching.inclusion([1], which="easy", fraction=float("nan")), "above 0"),
        (lambda: matching.stratified_chance([1, 2], [1, 2], [0], which="easy"), "one label for each of the 2"),
        (lambda: intervals.jackknife(np.ones((1, 3), bool), None, np.mean), "at least 2"),
        (lambda: intervals.jackknife(np.ones((2, 3), bool), np.ones((2, 4), bool), np.mean), "same examples"),
        (lambda: intervals.jackknife(np.ones((2, 3, 4), bool), None, np.mean), "one epoch"),
        (lambda: matching.rate([1], [1], fraction="a tenth"), "above 0"),
        (lambda: matching.rate_table({}, which="easy"), "two groups"),
        (lambda: matching.rate_table({"x": (np.ones((1, 3), bool),) * 2}), "at least 2"),
        (lambda: matching.rank_table({"x": (np.ones((2, 3), bool),)}), "two groups"),
        (lambda: matching.contrast({n: (np.ones((2, 3), bool),) for n in "ab"}, ["ab"], ["ab"]), "two groups"),
        (lambda: intervals.jackknife_of([np.ones((2, 3), bool)], lambda c: [1.0], level=95), "between 0 and 1"),
        (lambda: matching.rate_table({"x": (np.ones((2, 3), bool),)}, which="easy"), "two groups"),
    ],
)
def test_wrong_input_is_refused_in_one_line(call, says):
    with pytest.raises(UserError, match=says) as refusal:
        call()
    assert "\n" not in str(refusal.value)


def test_agreement_within_classes_ignores_which_classes_are_easy():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 300)
    by_class = labels * 10.0
    a, b = (by_class + rng.random(3000) for _ in range(2))
    assert correlation.spearman(a, b) > 0.9
    assert abs(correlation.spearman_within(a, b, labels)) < 0.06
    own = rng.random(3000)
    assert correlation.spearman_within(by_class + own, 50 - by_class + own, labels) == pytest.approx(1)
    assert correlation.spearman_within(own, -own, labels) == pytest.approx(-1)
    assert correlation.spearman_within(own, own, np.zeros(3000)) == pytest.approx(correlation.spearman(own, own))
    assert np.isnan(correlation.spearman_within(by_class, own, labels))


# ---- contrasts -----------------------------------------------------------------------------------------------------


def test_a_contrast_is_the_difference_of_two_means_of_the_table():
    rng = np.random.default_rng(3)
    ease = rng.random(120)
    nets = {"a": ease, "b": ease, "c": rng.random(120), "d": rng.random(120)}
    groups = {net: tuple(rng.random((4, 120)) < e for _ in range(2)) for net, e in nets.items()}
    rates = matching.rate_table(groups, which="hard").set_index(["a", "b"]).rate
    found = matching.contrast(groups, [("a", "b")], [("a", "c"), ("d", "b")], which="hard")
    assert found.estimate == pytest.approx(rates["a", "b"] - (rates["a", "c"] + rates["b", "d"]) / 2)
    assert found.n == 32
    assert found.low < found.estimate < found.high
    assert claims.judge(found, above=0).verdict == "holds"
    nothing = matching.contrast(groups, [("a", "b")], [("b", "a")])
    assert nothing[:3] == (0, 0, 0)  # the same trials on both sides: all of it cancels, and all doubt
    for pairs in ([], [("a", "a")], [("a", "e")]):
        with pytest.raises(UserError):
            matching.contrast(groups, pairs, [("a", "b")])


def test_a_share_of_the_ceiling_by_hand_and_with_the_interval_of_its_trials():
    rng = np.random.default_rng(5)
    ease = rng.random(300)
    groups = {net: tuple(rng.random((6, 300)) < ease for _ in range(2)) for net in "ab"}
    table = matching.rate_table(groups, which="hard").set_index(["a", "b"])
    row = table.loc[("a", "b")]
    assert row.share == pytest.approx(row.rate / np.sqrt(table.rate["a", "a"] * table.rate["b", "b"]))
    assert np.isnan(table.share["a", "a"])

    def share(counts):
        a1, a2, b1, b2 = counts
        hard = {"which": "hard"}
        own = matching.rate(a1, a2, **hard) * matching.rate(b1, b2, **hard)
        return [(matching.rate(a1, b2, **hard) + matching.rate(a2, b1, **hard)) / 2 / np.sqrt(own)]

    (slow,) = intervals.jackknife_of([*groups["a"], *groups["b"]], share)
    assert (row.share, row.share_low, row.share_high) == pytest.approx(slow[:3])


def test_rank_tables_are_spearman_s_of_every_pair_with_jackknife_intervals():
    rng = np.random.default_rng(6)
    ease, labels = rng.random(200), np.arange(200) % 5
    groups = {net: tuple(rng.random((5, 200)) < ease for _ in range(2)) for net in "ab"}
    for of, classes in ((correlation.spearman, None), (correlation.spearman_within, labels)):
        more = () if classes is None else (labels,)
        found = matching.rank_table(groups, classes).set_index(["a", "b"])
        (a1, a2), (b1, b2) = ([g.sum(0) for g in groups[net]] for net in "ab")
        assert found.spearman["a", "a"] == pytest.approx(of(a1, a2, *more))
        crossed = (of(a1, b2, *more) + of(a2, b1, *more)) / 2
        assert found.spearman["a", "b"] == pytest.approx(crossed)
        slow = intervals.jackknife(*groups["a"], lambda x, y, of=of, more=more: of(x, y, *more), limits=(-1, 1))
        assert tuple(found.loc[("a", "a"), ["spearman", "low", "high"]]) == pytest.approx(slow[:3])
        assert found.share["a", "b"] == pytest.approx(
            crossed / np.sqrt(found.spearman["a", "a"] * found.spearman["b", "b"])
        )
    with pytest.raises(UserError, match="same examples"):
        matching.rank_table({"a": groups["a"], "b": tuple(g[:, :100] for g in groups["b"])})


def test_graded_easiness_needs_no_tie_rule():
    rng = np.random.default_rng(7)
    ease = rng.normal(0, 1, 400)
    sure = {net: tuple(1 / (1 + np.exp(-ease - rng.normal(0, 0.5, (4, 400)))) for _ in range(2)) for net in "ab"}
    table = matching.rate_table(sure, which="hard")
    assert (table.tie_low == table.rate).all()
    assert (table.tie_high == table.rate).all()
    assert table.equals(matching.rate_table(sure, which="hard", ties="index"))
    right = {net: tuple(g > 0.5 for g in pair) for net, pair in sure.items()}
    assert (table.rate > matching.rate_table(right, which="hard").rate).all()  # a hit is a coarse measurement


def test_a_tenth_is_the_cut_unless_another_is_named():
    ranking, labels = np.arange(40), np.arange(40) % 2
    other = np.random.default_rng(0).permutation(40)
    assert matching.inclusion(ranking).sum() == 4
    for of in (matching.rate, matching.bounds):
        assert of(ranking, other) == of(ranking, other, fraction=0.1)
    assert matching.stratified_chance(ranking, other, labels) == matching.stratified_chance(
        ranking, other, labels, fraction=0.1
    )


def test_a_pair_stands_on_the_smallest_of_its_groups():
    rng = np.random.default_rng(1)
    groups = {"a": (rng.random((3, 30)) < 0.5, rng.random((5, 30)) < 0.5), "b": (rng.random((4, 30)) < 0.5,) * 2}
    assert matching.rate_table(groups).n_trials.tolist() == [3, 3, 4]
    assert matching.rank_table(groups).n.tolist() == [8, 16, 8]


def test_a_net_that_does_not_agree_with_itself_is_no_measure_for_others():
    """Its ceiling is 0, or below: no share of it."""
    for own in (0.0, -0.5):
        sides = {"a": (matching.Side(1.0, [1.0] * 2), matching.Side(own, [own] * 2))}
        sides["b"] = (matching.Side(1.0, [1.0] * 2), matching.Side(1.0, [1.0] * 2))
        found = matching.agreement_table(sides, lambda one, two: one * two, limits=(-1, 1))
        assert found.value[1] == (1 + own) / 2
        assert found.loc[1, ["share", "share_low", "share_high"]].isna().all()
