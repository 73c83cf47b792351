"""Shares of misclassified examples that are hard are expectations over ties, by brute force; intervals cover."""

from itertools import combinations, permutations, product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from easel import plot
from easel.compare import claims, consistency
from easel.data import sets as datasets
from easel.errors import UserError
from easel.ledger.trial import Trial
from easel.notebook import plan
from easel.sections import validation


def judge(rows, above, **more):
    points = validation.row_points(rows)
    return claims.judge(points, above=dict(zip(points, np.broadcast_to(above, len(points)), strict=True)), **more)


def every_hard_set(easiness, k):
    """All sets of the k hardest that some breaking of the ties gives."""
    cut = np.sort(easiness)[k - 1]
    sure, tied = np.flatnonzero(easiness < cut), np.flatnonzero(easiness == cut)
    return [[*sure, *lot] for lot in combinations(tied, k - len(sure))]


# ---- are they hard? ------------------------------------------------------------------------------------------------


def test_five_images_by_hand():
    counts, wrong = [0, 3, 0, 2, 3], [1, 0, 0, 1, 0]  # hardest: 0 and 2, then 3
    assert validation.share_hard(counts, wrong, fraction=0.4) == 0.5  # image 0 of the errors 0 and 3
    assert validation.share_hard(counts, wrong, fraction=0.2) == 0.25  # image 0 or image 2 is the hardest
    assert validation.share_bounds(counts, wrong, fraction=0.2) == (0.0, 0.5)
    assert validation.share_hard(counts, wrong, fraction=0.6) == 1.0
    assert validation.most(wrong, fraction=0.2) == 0.5  # one hard image cannot be two errors
    # 6 pairs of a right and a wrong image: 1 and 4 are easier than both errors, image 2 ties with 0 and loses to 3
    assert validation.auc(counts, wrong) == pytest.approx((4 + 0.5) / 6)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 9), st.integers(1, 4), st.booleans(), st.data())
def test_the_share_is_the_mean_over_all_ways_to_break_the_ties_and_the_bounds_are_its_ends(seed, n, levels, bit, data):
    k, rng = data.draw(st.integers(1, n)), np.random.default_rng(seed)
    easiness, wrong = rng.integers(0, levels, n), rng.random(n)
    wrong = (wrong > 0.5).astype(float) if bit else wrong
    wrong[rng.integers(n)] = 1.0
    shares = [wrong[members].sum() / wrong.sum() for members in every_hard_set(easiness, k)]
    of = {"fraction": k / n}
    assert validation.share_hard(easiness, wrong, **of) == pytest.approx(np.mean(shares))
    assert validation.share_bounds(easiness, wrong, **of) == pytest.approx((min(shares), max(shares)))
    best = max(wrong[list(members)].sum() for members in combinations(range(n), k)) / wrong.sum()
    assert validation.most(wrong, **of) == pytest.approx(best)
    if bit:
        assert validation.most(wrong, **of) == pytest.approx(min(1, k / wrong.sum()))


def test_class_chance_is_the_mean_over_all_ways_to_shuffle_the_errors_within_their_classes():
    easiness, labels = np.array([0, 1, 1, 2, 0, 0, 3, 3]), np.array([0, 0, 0, 0, 1, 1, 1, 1])
    wrong = np.array([1, 0, 0.5, 0, 1, 1, 0, 0])
    shuffled = [
        validation.share_hard(easiness, np.array([*one, *two]), fraction=0.25)
        for one, two in product(permutations(wrong[:4]), permutations(wrong[4:]))
    ]
    found = validation.class_chance(easiness, wrong, labels, fraction=0.25)
    assert found == pytest.approx(np.mean(shuffled))
    assert found > 0.25  # class 1 is both harder and more often wrong
    assert validation.class_chance(easiness, wrong, np.zeros(8, int), fraction=0.25) == pytest.approx(0.25)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 30), st.integers(1, 5))
def test_auc_counts_every_pair_of_a_right_and_a_wrong_example(seed, n, levels):
    rng = np.random.default_rng(seed)
    easiness, wrong, labels = rng.integers(0, levels, n), rng.random(n) < 0.4, rng.integers(0, 3, n)
    pairs = {None: [], 0: []}
    for i, j in product(np.flatnonzero(~wrong), np.flatnonzero(wrong)):
        won = (easiness[i] > easiness[j]) + 0.5 * (easiness[i] == easiness[j])
        pairs[None].append(won)
        if labels[i] == labels[j]:
            pairs[0].append(won)
    for key, given_labels in ((None, None), (0, labels)):
        expected = np.mean(pairs[key]) if pairs[key] else np.nan
        assert validation.auc(easiness, wrong, given_labels) == pytest.approx(expected, nan_ok=True)
    if 0 < wrong.sum() < n:
        u = stats.mannwhitneyu(easiness[~wrong], easiness[wrong]).statistic
        assert validation.auc(easiness, wrong) == pytest.approx(u / (wrong.sum() * (~wrong).sum()))


def test_classes_alone_make_an_auc_and_none_within_classes():
    labels = np.repeat([0, 1], 50)
    rng = np.random.default_rng(0)
    easiness, wrong = labels * 10, rng.random(100) < np.where(labels, 0.1, 0.9)
    assert validation.auc(easiness, wrong) > 0.85
    assert validation.auc(easiness, wrong, labels) == 0.5
    share = validation.share_hard(easiness, wrong, fraction=0.5)
    assert share == pytest.approx(validation.class_chance(easiness, wrong, labels, fraction=0.5))


def test_the_curve_ends_where_all_examples_are_hard():
    rng = np.random.default_rng(1)
    easiness, wrong, labels = rng.integers(0, 6, 200), rng.random(200), np.arange(200) % 4
    found = validation.curve(easiness, wrong, labels)
    assert len(found) == 100
    assert found.iloc[-1, 1:].tolist() == pytest.approx([1.0] * 6)
    assert (found.tie_low <= found.share + 1e-12).all()
    assert (found.share <= found.tie_high + 1e-12).all()
    assert (found.tie_high <= found.most + 1e-12).all()
    assert np.diff(found.share).min() >= -1e-12


def test_weights_of_two_in_three_nets():
    wrong = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 0, 0]], bool)
    assert validation.weights(wrong) == pytest.approx([1, 2 / 3, 1 / 3, 0])
    assert validation.weights(wrong, "most nets").tolist() == [1, 1, 0, 0]
    assert validation.weights(wrong, "every net").tolist() == [1, 0, 0, 0]


def test_bins_are_tenths_of_easiness():
    easiness, probability = np.array([0, 0.04, 0.06, 0.1, 1, 1]), np.array([0.1, 0.3, 0.5, 0.7, 1.0, 1.0])
    found = validation.binned(easiness, probability, np.array([1, 1, 0.5, 0.5, 0, 0]))
    assert found.examples.tolist() == [2, 2, 2]
    assert found.easiness.tolist() == pytest.approx([0.02, 0.08, 1.0])
    assert found.probability.tolist() == pytest.approx([0.2, 0.6, 1.0])
    assert found.wrong.tolist() == [1, 0.5, 0]
    expected = stats.ttest_1samp([0.5, 0.7], 0).confidence_interval(0.95)
    assert (found.low[1], found.high[1]) == pytest.approx((max(0, expected.low), min(1, expected.high)))
    assert np.isnan(validation.binned([0.5], [0.5], [1]).low[0])


# ---- intervals and tables ------------------------------------------------------------------------------------------


def test_the_table_says_which_rows_are_circular_and_what_is_possible():
    rng = np.random.default_rng(0)
    labels, hard = np.arange(300) % 5, rng.random(300)
    right = {net: rng.random((4, 300)) > hard for net in ("A", "B")}
    wrong = {net: rng.random((3, 300)) < hard for net in ("A", "B")}
    found = validation.share_table(right, wrong, labels, fractions=(0.1, 0.5), resamples=40)
    assert len(found) == 2 * 3 * 5
    assert dict(zip(found.easiness_of + found.errors_of, found.nets, strict=True)) == {
        "AA": "same", "AB": "other", "Aboth": "both", "BA": "other", "BB": "same", "Bboth": "both",
    }  # fmt: skip
    row = found[(found.easiness_of == "A") & (found.errors_of == "both") & (found.measure == "hard 10%")].iloc[0]
    w = np.concatenate(list(wrong.values())).mean(0)
    assert row.value == validation.share_hard(right["A"].sum(0), w)
    assert row.most == validation.most(w)
    assert ((found.low < found.value) & (found.value < found.high)).all()
    assert judge(found[found.measure == "AUC"], 0.5).verdict == "holds"
    tenth, many = found[found.measure == "hard 10%"], found[found.measure == "hard, as many"]
    assert (tenth.most < 0.5).all()  # of half the images, a tenth is .2 at most: arithmetic forbids "most"
    assert many.fraction.between(0.4, 0.6).all()
    assert judge(tenth, tenth.chance).verdict == "holds"
    signs = validation.predictors({"A": right["A"], "noise": rng.random((2, 300))}, wrong["B"], labels, resamples=20)
    assert signs.value[0] > 0.65 > signs.value[2]
    pairs = consistency.consistency(
        {n: np.where(w, (labels + 1) % 5, labels) for n, w in wrong.items()}, labels, resamples=40
    )
    assert pairs.groupby(["a", "b"], sort=False).ngroups == 3
    assert judge(pairs[pairs.measure == "kappa within classes"], 0).verdict == "holds"


def test_without_errors_nothing_is_claimed():
    labels = np.arange(40) % 4
    right = {net: np.random.default_rng(0).random((3, 40)) < 0.5 for net in ("A", "B")}
    found = validation.share_table(right, {net: np.zeros((3, 40), bool) for net in right}, labels, resamples=5)
    assert found[found.measure == "AUC"][["value", "low", "high"]].isna().all(axis=None)
    assert judge(found, 0.5).verdict == "open"
    pairs = consistency.consistency({net: np.stack([labels] * 3) for net in right}, labels, resamples=5)
    assert pairs[["value", "low", "high"]].isna().all(axis=None)


def test_a_verdict_needs_the_whole_interval_of_every_row():
    rows = pd.DataFrame(
        {"a": ["A", "B"], "b": "C", "value": [0.65, 0.7], "low": [0.6, 0.55], "high": [0.7, 0.9], "n": 9}
    )
    assert judge(rows, 0.5)[:6] == ("B – C", 0.7, 0.55, 0.9, 9, "holds")
    assert judge(rows, 0.58).verdict == "open"
    assert judge(rows, np.array([0.5, 0.95]))[:6] == ("B – C", 0.7, 0.55, 0.9, 9, "fails")
    assert judge(rows, np.array([0.95, 0.5])).where == "A – C"
    assert judge(rows, 0.95)[:6] == ("A – C", 0.65, 0.6, 0.7, 9, "fails")
    assert judge(rows, 0.95, limit="design")[5:] == ("open", "design", None)  # no ranking could
    assert judge(rows.assign(low=[0.7, 0.55], value=0.7), 0.5).verdict == "open"  # width 0
    assert judge(rows.assign(low=[0.6, np.nan]), 0.5)[0:6:5] == ("B – C", "open")


@pytest.mark.slow
def test_intervals_cover_the_expectation_over_trials_nets_and_images():
    rng, found = np.random.default_rng(0), []
    for _ in range(150):
        labels, theta = np.arange(600) % 6, rng.normal(0, 1.5, 600)
        right = rng.random((5, 600)) < 1 / (1 + np.exp(-theta - rng.normal(0, 0.8, (5, 6))[:, labels]))
        wrong = rng.random((4, 600)) < 1 / (1 + np.exp(1 + theta + rng.normal(0, 0.3, (4, 6))[:, labels]))
        row = validation.share_table({"A": right}, {"B": wrong}, labels, resamples=60)
        found.append(row[row.nets == "other"][["value", "low", "high"]].to_numpy())
    value, low, high = np.moveaxis(found, 2, 0)
    cover = ((low <= value.mean(0)) & (value.mean(0) <= high)).mean(0)
    assert (cover > 0.9).all()


# ---- merged data, and what is refused ------------------------------------------------------------------------------


def test_a_part_of_the_merged_data_holds_its_share_of_test_images():
    assert validation.merged_images(50_000, 50_000, 10_000) == 60_000
    assert validation.merged_images(10_000, 50_000, 10_000) == 12_000
    training, test = (len(datasets.load("patterns", split)) for split in ("train", "test"))
    images = validation.merged_images(400, training, test)
    trial = Trial(model="mlp-1x4", seed=0, epochs=1, data="patterns", split="merged", images=images)
    rows, positions = validation.test_examples(trial.examples.ids, training)
    assert len(rows) / images == pytest.approx(test / (training + test), abs=0.05)
    assert (trial.examples.images[rows] == datasets.load("patterns", "test").images[positions]).all()


def test_two_nets_are_named_by_their_family_where_that_tells_them_apart():
    assert validation.two_nets(["wrn-16-4", "resnext-29-4x64d"]) == {"wrn-16-4": "WRN", "resnext-29-4x64d": "ResNeXt"}
    assert validation.two_nets(["wrn-10-1", "wrn-16-1"]) == {"wrn-10-1": "wrn-10-1", "wrn-16-1": "wrn-16-1"}


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: validation.two_nets(["wrn-10-1"]), "two different nets"),
        (lambda: validation.two_nets(["wrn-10-1", "wrn-10-1"]), "two different nets"),
        (lambda: validation.merged_images(0, 50, 10), "images=0"),
        (lambda: validation.merged_images(60, 50, 10), "1..50"),
        (lambda: validation.test_examples([0, 4, 7], 10), "no test example|is a test example"),
        (lambda: validation.share_hard([1, 2], [1, 2]), "0..1"),
        (lambda: validation.share_hard([1, 2], [1]), "same examples"),
        (lambda: validation.share_hard([1, 2], [1, 0], fraction=0), "fraction=0"),
        (lambda: plan.typed("ensemble", 1, 3, "--set"), "from 2 up"),
        (lambda: claims.judge({}, above=0), "at least one point"),
        (lambda: validation.weights(np.zeros((2, 3))), "bool"),
        (lambda: validation.weights(np.zeros((2, 3), bool), "all"), "one net, most nets"),
        (lambda: validation.binned([2.0], [0.5], [0]), "0..1"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(call, named):
    with pytest.raises(UserError, match=named) as refused:
        call()
    assert "\n" not in str(refused.value)


# ---- figures -------------------------------------------------------------------------------------------------------


def test_figures_show_what_is_in_their_tables():
    rng = np.random.default_rng(0)
    labels, easiness, wrong = np.arange(90) % 3, rng.integers(0, 6, 90) / 5, rng.random((4, 90)) < 0.4
    points = pd.DataFrame({"easiness": easiness, "probability": rng.random(90), "wrong": wrong.mean(0)})
    axis = plot.relation(points, validation.binned(easiness, points.probability, points.wrong))
    assert len(axis.collections[0].get_offsets()) == 90
    assert np.abs(axis.collections[0].get_offsets()[:, 0] - easiness).max() < 0.05  # never into the next tenth
    assert axis.get_xlabel().startswith("easiness")
    lines = [validation.curve(easiness, wrong.mean(0), labels, [0.1, 0.5]).assign(line=name) for name in "AB"]
    assert len(plot.captured(pd.concat(lines)).get_legend().texts) == 5
    axis = plot.signs(
        validation.predictors({"counts": rng.random((3, 90)), "noise": rng.random((3, 90))}, wrong, labels)
    )
    assert [text.get_text() for text in axis.get_yticklabels()] == ["counts", "noise"]
    axis = plot.wrong_counts(consistency.times_wrong(wrong, labels))
    assert sum(bar.get_height() for bar in axis.patches) == pytest.approx(100)
    plot.base.plt.close("all")
