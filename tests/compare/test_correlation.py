"""Correlations of runs: against plain loops and SciPy, by resampling, and never above what noise allows."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from easel.compare import claims, correlation as correlated, correlation as correlations, intervals
from easel.errors import UserError

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")

small = st.tuples(st.integers(2, 4), st.integers(4, 12), st.integers(0, 2**32 - 1)).map(
    lambda drawn: np.random.default_rng(drawn[2]).integers(0, 4, drawn[:2])
)


def noisy(trials, examples=400, noise=0.7, nets=("a", "b"), own=0.0, seed=0):
    """{net: (trials, examples)}: a common truth, a net's own share, and each trial's noise."""
    rng = np.random.default_rng(seed)
    truth, found = rng.normal(size=examples), {}
    for net in nets:
        of_net = truth + own * rng.normal(size=examples)
        found[net] = of_net + noise * rng.normal(size=(trials, examples))
    return found


def share_within(runs, labels):
    kinds = ("pearson", "classes alone")
    return correlated.share_within(*(correlated.agreement(runs, k, labels=labels, resamples=20) for k in kinds))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: correlations.correlations([[1.0, 2.0]], "kendall"), "kendall"),
        (lambda: correlations.correlations([[1.0, 2.0]], "classes alone"), "needs labels"),
        (lambda: correlations.correlations([[1.0, np.nan]]), "not finite"),
        (lambda: correlations.correlations([[1.0, 2.0]], weights=[1.0]), "1 weights of 2 examples"),
        (lambda: correlations.correlations([[1.0, 2.0], [np.nan, 2.0]]), "run 1 is not finite"),
        (lambda: correlations.correlations([1.0, 2.0]), r"shape \(2,\)"),
        (lambda: correlations.correlations([["a", "b"]]), "type <U1"),
        (lambda: correlations.correlations(np.ones((0, 3))), r"shape \(0, 3\)"),
        (lambda: correlated.agreement({}), "none"),
        (lambda: correlated.agreement({"a": np.ones((1, 5))}), "1 trial of a"),
        (lambda: correlated.agreement({"a": np.ones((2, 5)), "b": np.ones((1, 5))}), "1 trial of b"),
        (lambda: correlated.agreement({"a": np.ones((2, 5)), "b": np.ones((2, 6))}), r"b \(2, 6\)"),
        (lambda: correlated.agreement({"a": np.ones((2, 5)), "b": np.ones((3, 5))}, paired=True), "2, 3 trials"),
        (lambda: correlated.agreement(noisy(2), resamples=1), "resamples=1"),
        (lambda: correlated.agreement(noisy(2), resamples=2).r("a", "c"), "'c'"),
        (lambda: correlated.agreement(noisy(2), resamples=2).lead(("a", "b"), []), "a – b: give at least one"),
    ],
)
def test_wrong_input_is_named(call, says):
    with pytest.raises(UserError, match=says):
        call()


@given(small, st.integers(0, 2**32 - 1))
def test_weights_are_repetitions(runs, seed):
    """Resampling by weights is the same as writing an example down several times, in every kind."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, runs.shape[1])
    times = rng.integers(0, 3, runs.shape[1])
    times[:2], labels[:2] = 1, [0, 1]
    again = np.repeat(runs, times, axis=1)
    for kind in correlations.CORRELATIONS:
        weighted = correlations.correlations(runs, kind, labels=labels, weights=times)
        assert np.allclose(
            weighted, correlations.correlations(again, kind, labels=np.repeat(labels, times)), equal_nan=True
        )


def test_correlations_are_those_of_matching_and_scipy():
    rng = np.random.default_rng(3)
    runs, labels = rng.integers(0, 6, (3, 60)), rng.integers(0, 4, 60)
    pearson, spearman = (correlations.correlations(runs, kind) for kind in correlations.PLAIN)
    within = correlations.correlations(runs, "spearman within classes", labels=labels)
    for i, j in product(range(3), repeat=2):
        assert pearson[i, j] == pytest.approx(np.corrcoef(runs[i], runs[j])[0, 1])
        assert spearman[i, j] == pytest.approx(stats.spearmanr(runs[i], runs[j]).statistic)
        assert within[i, j] == pytest.approx(correlations.spearman_within(runs[i], runs[j], labels))


def test_rounding_takes_no_run_beyond_one():
    runs = np.random.default_rng(0).normal(size=(60, 30))
    found = correlations.correlations(np.concatenate([runs, -runs]))
    assert (found.min(), found.max()) == (-1, 1)
    x = runs - runs.mean(1, keepdims=True)
    assert (np.diag(x @ x.T) / np.linalg.norm(x, axis=1) ** 2).max() > 1  # what rounding would give


def test_classes_alone_is_the_mean_over_shuffles_within_the_classes():
    rng = np.random.default_rng(4)
    labels = np.repeat([0, 1, 2], 30)
    a, b = rng.normal(size=(2, 90)) + np.array([0, 1, 3])[labels]
    shuffled = []
    for _ in range(2000):
        mixed = np.concatenate([rng.permutation(b[labels == k]) for k in range(3)])
        shuffled.append(np.corrcoef(a, mixed)[0, 1])
    alone = correlations.correlations(np.stack([a, b]), "classes alone", labels=labels)[0, 1]
    assert alone == pytest.approx(np.mean(shuffled), abs=0.005)
    assert 0.3 < alone < correlations.correlations(np.stack([a, b]))[0, 1] + 0.1


def test_agreement_on_classes_only_is_none_within_them():
    rng = np.random.default_rng(5)
    labels = np.repeat(np.arange(10), 100)
    runs = rng.normal(size=(2, 1000)) + labels
    assert correlations.correlations(runs)[0, 1] > 0.8
    assert abs(correlations.correlations(runs, "pearson within classes", labels=labels)[0, 1]) < 0.1


def test_a_constant_run_correlates_with_nothing_and_spoils_no_other():
    runs = np.array([[1, 2, 3, 5], [2, 2, 2, 2], [1, 3, 2, 4]])
    found = correlations.correlations(runs)
    assert np.isnan(found[1]).all()
    assert np.isfinite(found[0, 2])
    groups = {"a": runs[[0, 2]], "b": runs[[0, 1]]}
    matrix = correlated.agreement(groups, resamples=5).matrix
    assert np.isfinite(matrix[0, 0])
    assert np.isnan(matrix[[0, 1, 1], [1, 0, 1]]).all()


def test_agreement_is_the_mean_over_pairs_of_runs():
    runs = noisy(3)
    found = correlated.agreement(runs, resamples=5)
    across = [np.corrcoef(x, y)[0, 1] for x, y in product(runs["a"], runs["b"])]
    inside = [np.corrcoef(runs["a"][s], runs["a"][t])[0, 1] for s, t in ((0, 1), (0, 2), (1, 2))]
    assert found.r("a", "b").estimate == pytest.approx(np.mean(across))
    assert found.r("a", "a").estimate == pytest.approx(np.mean(inside))
    table = found.table()
    assert table[["a", "b"]].values.tolist() == [["a", "a"], ["a", "b"], ["b", "b"]]
    row = table.iloc[1]
    assert row.ratio == pytest.approx(row.r / row.ceiling)
    assert row.low < row.r < row.high
    assert np.isnan(table.ratio[[0, 2]]).all()


def test_nets_with_one_truth_agree_up_to_the_ceiling_and_others_do_not():
    """Noise lowers the correlation of two nets with the same truth, and leaves the ratio at 1."""
    same = correlated.agreement(noisy(3, examples=4000))
    assert same.r("a", "b").high < 0.75
    assert abs(same.ratio("a", "b").estimate - 1) < 0.03
    assert same.ratio("a", "b").low < 1 < same.ratio("a", "b").high
    different = correlated.agreement(noisy(3, examples=4000, own=1.0))
    assert different.ratio("a", "b").high < 0.75  # the truth: 1 / (1 + 1)
    assert different.ratio("a", "b").low < 0.5 < different.ratio("a", "b").high


def test_intervals_narrow_with_images_and_cover_trials_only_from_three_on():
    wide, narrow = (correlated.agreement(noisy(2, examples=n)).r("a", "b") for n in (200, 3200))
    assert 3 < (wide.high - wide.low) / (narrow.high - narrow.low) < 5.5  # sqrt(16) = 4
    assert "images only" in correlated.agreement(noisy(2), resamples=2).covers
    assert correlated.agreement(noisy(2), resamples=2).limit == "trials"
    assert correlated.agreement(noisy(3), resamples=2).covers == "images and trials"
    assert correlated.agreement(noisy(3), resamples=2).limit == ""


def test_the_part_of_the_interval_for_trials_is_the_jackknife():
    runs = noisy(4)
    found = correlated.agreement(runs, resamples=5)

    def without(net, t):
        rest = {k: np.delete(v, t, axis=0) if k == net else v for k, v in runs.items()}
        return correlated.agreement(rest, resamples=2).r("a", "b").estimate

    variances = [3 * np.var([without(net, t) for t in range(4)]) for net in runs]
    total = sum(variances) + np.var(found.resampled[:, 0, 1], ddof=1)
    degrees = total**2 / sum(variance**2 / 3 for variance in variances)
    half = stats.t.ppf(0.975, degrees) * np.sqrt(total)
    interval = found.r("a", "b")
    assert interval.high - interval.estimate == pytest.approx(half)
    assert interval.n == 8


def test_the_order_of_nets_changes_nothing():
    runs = noisy(3, own=0.5)
    one = correlated.agreement(runs, resamples=20).r("a", "b")
    two = correlated.agreement(dict(reversed(runs.items())), resamples=20).r("b", "a")
    assert np.allclose(one, two)


def test_a_net_whose_seeds_share_only_classes_has_no_ranking_and_no_share():
    rng = np.random.default_rng(12)
    labels = np.repeat(np.arange(10), 40)
    runs = {"one class for all": (labels == 3) + 0.01 * rng.random((2, 400)), **noisy(2, nets=("a",))}
    within = correlated.agreement(runs, "pearson within classes", labels=labels, resamples=20)
    assert correlated.without_ranking(within) == ["one class for all"]
    assert np.isnan(share_within(runs, labels).r("one class for all", "a").estimate)


def test_paired_scores_never_meet_in_one_trial():
    """Two scores of pure noise, equal in each trial: the same trial says 1, different trials say nothing."""
    noise = np.random.default_rng(8).normal(size=(3, 2000))
    both = {"one": noise, "two": noise.copy()}
    assert correlated.same_trial(both).loc["one", "two"] == pytest.approx(1)
    assert abs(correlated.agreement(both, paired=True, resamples=2).matrix[0, 1]) < 0.1
    assert correlated.agreement(noisy(3), paired=True, resamples=2).r("a", "b").n == 3


def test_leaving_a_paired_trial_out_leaves_it_out_of_every_score():
    runs = noisy(3)
    found = correlated.agreement(runs, paired=True, resamples=2)
    (left_out,) = found.left_out
    rest = {name: block[1:] for name, block in runs.items()}
    assert np.allclose(left_out[0], correlated.agreement(rest, paired=True, resamples=2).matrix)


@pytest.mark.parametrize(
    ("low", "high", "ceiling", "verdict"),
    [
        (0.65, 0.75, 0.9, "as printed"),
        (0.55, 0.75, 0.9, "open"),  # one end outside
        (0.40, 0.55, 0.9, "not as printed"),
        (0.40, 0.55, 0.5, "open"),  # no net could have agreed better
        (0.85, 0.95, 0.97, "not as printed"),
        (np.nan, np.nan, np.nan, "open"),
    ],
)
def test_the_printed_level_is_judged_by_the_whole_interval_and_the_ceiling(low, high, ceiling, verdict):
    here = intervals.Interval((low + high) / 2, low, high, 6)
    assert claims.against_print(here, 0.7, ceiling=ceiling).verdict == verdict


def test_a_claim_about_every_pair_is_decided_by_the_one_that_refutes_it_or_else_by_the_weakest():
    def interval(low, high):
        return intervals.Interval((low + high) / 2, low, high, 6)

    sure, wide, below, lost = interval(0.92, 0.96), interval(0.5, 1.4), interval(0.7, 0.8), interval(np.nan, np.nan)
    assert claims.judge({"sure": sure, "wide": wide}, above=0.9)[:5] == ("wide", *wide)
    assert claims.judge({"sure": sure, "wide": wide, "below": below}, above=0.9)[:5] == ("below", *below)
    assert claims.judge({"sure": sure, "lost": lost}, above=0.9).where == "lost"
    assert claims.judge(lost, above=0.9).verdict == "open"


def test_an_interval_counts_the_trials_of_its_own_nets():
    runs = noisy(3, nets=("a", "b", "c"))
    runs["c"] = runs["c"][:2]
    found = correlated.agreement(runs, resamples=5)
    assert [found.r("a", "b").n, found.r("a", "c").n, found.r("c", "c").n] == [6, 5, 2]
    assert found.lead(("a", "b"), [("a", "c")]).n == 8
    assert not found.left_out


def test_the_lead_of_a_pair_is_over_the_best_of_the_others():
    near, far = noisy(3, examples=2000, nets=("a", "b")), noisy(3, examples=2000, nets=("c",), seed=99)
    found = correlated.agreement(near | far, resamples=20)
    lead = found.lead(("a", "b"), [("a", "c"), ("b", "c")])
    others = max(found.r("a", "c").estimate, found.r("b", "c").estimate)
    assert lead.estimate == pytest.approx(found.r("a", "b").estimate - others)
    assert lead.low > 0
    assert found.lead(("a", "c"), [("a", "b")]).high < 0


def test_the_share_within_classes_is_none_where_classes_are_all_and_all_where_they_are_nothing():
    rng = np.random.default_rng(11)
    labels = np.repeat(np.arange(10), 100)
    classes = {net: rng.normal(size=(3, 1000)) + labels for net in "ab"}
    assert abs(share_within(classes, labels).r("a", "b").estimate) < 0.02
    images = noisy(3, examples=1000)
    share = share_within(images, labels).r("a", "b")
    assert share.estimate > 0.9
    assert share.low > 0.5


def by_hand(within_a, between, spread):
    """An agreement of two nets of two trials, whose resampled images give its matrix, and more and less."""
    matrix = np.array([[within_a, between], [between, 0.9]])
    resampled = np.stack([matrix - spread, matrix + spread, matrix])
    return correlated.Agreement(("a", "b"), "pearson", (2, 2), matrix, resampled, ())


def test_a_correlation_s_interval_ends_at_one_and_a_ratio_s_does_not():
    found = by_hand(0.8, 0.85, 0.1)
    assert found.r("a", "b").high == 1
    assert by_hand(0.8, -0.85, 0.1).r("a", "b").low == -1
    ratio = found.ratio("a", "b")
    assert ratio.high > 1
    row = found.table().iloc[1]
    assert (row.ratio, row.ratio_low, row.ratio_high) == ratio[:3]
    assert ratio.low < ratio.estimate < ratio.high


@pytest.mark.parametrize("own", [0.0, -0.1])
def test_a_net_that_does_not_agree_with_itself_gives_no_ceiling(own):
    found = by_hand(own, 0.5, 0.05)
    assert np.isnan(found.ratio("a", "b").estimate)
    assert np.isnan(found.table().ceiling[1])


def test_each_trial_of_each_net_is_left_out_once():
    runs = noisy(5, examples=50, nets=("a", "b", "c"))
    runs["a"], runs["b"] = runs["a"][:3], runs["b"][:4]
    found = correlated.agreement(runs, resamples=2)
    assert [len(of_net) for of_net in found.left_out] == [3, 4, 5]
    assert found.table().n_trials.tolist() == [3, 3, 3, 4, 4, 5]
    for net, of_net in zip(runs, found.left_out, strict=True):
        for trial, matrix in enumerate(of_net):
            rest = runs | {net: np.delete(runs[net], trial, axis=0)}
            assert np.allclose(matrix, correlated.agreement(rest, resamples=2).matrix)


def test_a_share_above_one_keeps_its_interval():
    """Two nets that disagree on classes: cut at 1, the estimate lay outside its interval, whose width was nothing."""
    rng = np.random.default_rng(3)
    labels, images = np.arange(400) % 4, rng.normal(size=400)
    classes = np.array([0.5, 0.1, -0.1, -0.5])[labels]
    runs = {a: images + side * classes + 0.4 * rng.normal(size=(4, 400)) for a, side in (("a", 1), ("b", -1))}
    share = share_within(runs, labels).r("a", "b")
    assert share.low < share.estimate < share.high
    assert share.estimate > 1
