"""Shares of misclassified examples that are hard are expectations over ties, by brute force; intervals cover."""

from itertools import combinations, permutations, product
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from easel import plot
from easel.compare import claims, consistency
from easel.data import sets as datasets
from easel.errors import UserError
from easel.ledger.store import Ledger, Store
from easel.ledger.trial import Trial
from easel.notebook import plan
from easel.sections import validation
from easel.train import ensure as run


def judge(rows, above, **more):
    names = rows.iloc[:, 0].astype(str) + " – " + rows.iloc[:, 1].astype(str)
    points = claims.row_points(rows, names)
    return claims.judge(points, above=dict(zip(points, np.broadcast_to(above, len(points)), strict=True)), **more)


def beside(easiness, wrong, labels=None, fraction=0.10):
    """A row of `validation.curve`; without labels all examples are of one class."""
    return validation.curve(easiness, wrong, np.zeros(len(wrong), int) if labels is None else labels, [fraction]).iloc[
        0
    ]


def ties(easiness, wrong, fraction):
    row = beside(easiness, wrong, fraction=fraction)
    return row.tie_low, row.tie_high


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
    assert ties(counts, wrong, 0.2) == (0.0, 0.5)
    assert validation.share_hard(counts, wrong, fraction=0.6) == 1.0
    assert beside(counts, wrong, fraction=0.2).most == 0.5  # one hard image cannot be two errors
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
    found = beside(easiness, wrong, fraction=k / n)
    assert found.share == validation.share_hard(easiness, wrong, fraction=k / n) == pytest.approx(np.mean(shares))
    assert (found.tie_low, found.tie_high) == pytest.approx((min(shares), max(shares)))
    assert (found.chance, found.class_chance) == pytest.approx((k / n, k / n))
    best = max(wrong[list(members)].sum() for members in combinations(range(n), k)) / wrong.sum()
    assert found.most == pytest.approx(best)
    if bit:
        assert found.most == pytest.approx(min(1, k / wrong.sum()))


def test_class_chance_is_the_mean_over_all_ways_to_shuffle_the_errors_within_their_classes():
    easiness, labels = np.array([0, 1, 1, 2, 0, 0, 3, 3]), np.array([0, 0, 0, 0, 1, 1, 1, 1])
    wrong = np.array([1, 0, 0.5, 0, 1, 1, 0, 0])
    shuffled = [
        validation.share_hard(easiness, np.array([*one, *two]), fraction=0.25)
        for one, two in product(permutations(wrong[:4]), permutations(wrong[4:]))
    ]
    found = beside(easiness, wrong, labels, 0.25).class_chance
    assert found == pytest.approx(np.mean(shuffled))
    assert found > 0.25  # class 1 is both harder and more often wrong
    assert beside(easiness, wrong, fraction=0.25).class_chance == pytest.approx(0.25)


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
    assert share == pytest.approx(beside(easiness, wrong, labels, 0.5).class_chance)


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


def test_misclassified_by_one_of_three_nets_by_most_or_by_every_one():
    wrong = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 0, 0]], bool)
    right = {"A": np.array([[0, 0, 1, 1]], bool)}  # hard: the first two
    images = SimpleNamespace(everyone=wrong, right=right, labels=np.zeros(4, int))
    found = validation.rules_table(images)
    assert found["misclassified by"].tolist() == ["one net", "most nets", "every net"]
    assert found.images.tolist() == pytest.approx([0.5, 0.5, 0.25])
    assert found["hard 50%"].tolist() == pytest.approx([5 / 6, 1, 1])
    assert found["most at 10%"].tolist() == pytest.approx([0.5, 0.5, 1])
    assert found.AUC.tolist()[1] == 1


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


def test_an_error_is_told_by_units_of_other_seeds():
    rng = np.random.default_rng(4)
    labels, wrong = np.arange(80) % 4, rng.random((3, 80)) < 0.4
    units = rng.random((3, 80)) + ~wrong  # each knows the errors of its own seed, and no others
    images = SimpleNamespace(right=dict.fromkeys("AB", units), sure={"A": units}, labels=labels)
    images.wrong, images.unseen = {"A": units < 1, "B": wrong}, {"A": units}
    found = validation.signs_of_error(images, "B", resamples=5).set_index(["sign", "measure"]).value
    by_hand = [validation.auc(units[[j for j in range(3) if j != i]].sum(0), wrong[i]) for i in range(3)]
    assert found["A, count, 2 never trained on them", "AUC"] == pytest.approx(np.mean(by_hand))
    assert found["A, count", "AUC"] > 0.7 > found["A, count, 2 never trained on them", "AUC"]


# ---- intervals and tables ------------------------------------------------------------------------------------------


def test_the_table_says_which_rows_are_circular_and_what_is_possible():
    rng = np.random.default_rng(0)
    labels, hard = np.arange(300) % 5, rng.random(300)
    right = {net: rng.random((4, 300)) > hard for net in ("A", "B")}
    wrong = {net: rng.random((3, 300)) < hard for net in ("A", "B")}
    found = validation.share_table(right, wrong, labels, resamples=40)
    assert len(found) == 2 * 3 * 6
    assert dict(zip(found.easiness_of + found.errors_of, found.nets, strict=True)) == {
        "AA": "same", "AB": "other", "Aboth": "both", "BA": "other", "BB": "same", "Bboth": "both",
    }  # fmt: skip
    row = found[(found.easiness_of == "A") & (found.errors_of == "both") & (found.measure == "hard 10%")].iloc[0]
    w = np.concatenate(list(wrong.values())).mean(0)
    assert row.value == validation.share_hard(right["A"].sum(0), w)
    assert row.most == beside(w, w).most
    assert ((found.low < found.value) & (found.value < found.high)).all()
    assert judge(found[found.measure == "AUC"], 0.5).verdict == "holds"
    tenth, many = found[found.measure == "hard 10%"], found[found.measure == "hard, as many"]
    assert (tenth.most < 0.5).all()  # of half the images, a tenth is .2 at most: arithmetic forbids "most"
    assert many.fraction.between(0.4, 0.6).all()
    assert judge(tenth, tenth.chance).verdict == "holds"
    noise, found = rng.random((4, 300)), {"A": rng.random((3, 300)) > 0.5, "B": None}
    images = SimpleNamespace(right=right, wrong=wrong, sure={"A": noise}, unseen=found, labels=labels)
    signs = validation.signs_of_error(images, "B", resamples=20)
    told = signs[signs.measure == "AUC"].set_index("sign").value
    assert told["A, count"] > 0.65 > told["A, mean probability"]
    assert signs.units.tolist() == [4, 4, 4, 4, 4, 4, 2, 2, 2, 2, 2, 2]
    assert (signs.n == 300).all()
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
    in_test = trial.examples.ids >= training
    assert in_test.mean() == pytest.approx(test / (training + test), abs=0.05)


def test_both_ledgers_speak_of_the_same_test_images_and_net_i_of_both_has_one_seed(tmp_path):
    training, nets = datasets.load("patterns"), ["mlp-1x4", "mlp-1x8"]
    common = {"data": "patterns", "record": ("probability", "prediction")}
    merged = [Trial(model=n, seed=s, epochs=1, split="merged", images=90, **common) for n in nets for s in (0, 1)]
    views = {"views": ("test@1", "test@2"), "judged": False}
    last = [Trial(model=n, seed=s, epochs=2, images=60, **views, **common) for n in nets for s in (2, 3, 4)]
    easy, errors = (run.ensure(trials, store=Store(tmp_path)) for trials in (merged, last))
    errors = Ledger([record for record in errors.records if (record.trial.model, record.trial.seed) != (nets[1], 3)])
    images = validation.TestImages(easy, errors, len(training))
    assert images.names == {net: net for net in nets}
    test = datasets.load("patterns", "test")
    assert (test.labels.numpy()[images.positions] == images.labels).all()
    rows = np.flatnonzero(easy.ids >= len(training))
    assert (easy.examples.images[rows] == test.images[images.positions]).all()
    for net in nets:
        assert (images.right[net] == easy.where(model=net).correct()[:, 0, rows]).all()
        of = errors.where(model=net, seed=[2, 4])  # seed 3 is lost in one of them
        assert (images.predictions[net] == of.predictions("test@2")[:, 0, images.positions]).all()
        assert (images.wrong[net] == ~of.correct("test@2")[:, 0, images.positions]).all()
        assert (images.unseen[net] == of.correct("test@1")[:, 0, images.positions]).all()
    counts, wrong = sum(right.sum(axis=0) for right in images.right.values()), images.everyone
    assert wrong.shape == (4, len(rows))
    for kind in ("easy_wrong", "hard_wrong", "hard_right"):
        shown = images.kind(kind)
        assert (wrong[:, shown] == kind.endswith("wrong")).all()
        assert (np.diff(counts[shown]) * (-1 if kind.startswith("easy") else 1) >= 0).all()
        assert len(images.titles(shown, test.classes)) == len(shown) <= 10


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
        (lambda: validation.TestImages(SimpleNamespace(ids=np.array([0, 4, 7])), None, 10), "is a test example"),
        (lambda: validation.share_hard([1, 2], [1, 2]), "0..1"),
        (lambda: validation.share_hard([1, 2], [1]), "same examples"),
        (lambda: validation.share_hard([1, 2], [1, 0], fraction=0), "fraction=0"),
        (lambda: plan.typed("ensemble", 1, 3, "--set"), "from 2 up"),
        (lambda: claims.judge({}, above=0), "at least one point"),
        (lambda: consistency.bool_nets(np.zeros((2, 3))), "bool"),
        (lambda: consistency.by_seed(np.zeros((2, 3)), np.zeros((3, 3))), "the same seeds"),
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
    signs = [
        (sign, area, 0.7, low, 0.8) for sign, low in (("counts", 0.6), ("noise", np.nan)) for area in validation.AREAS
    ]
    axis = plot.signs(pd.DataFrame(signs, columns=["sign", "measure", "value", "low", "high"]))
    assert [text.get_text() for text in axis.get_yticklabels()] == ["counts", "noise"]
    axis = plot.wrong_counts(consistency.times_wrong(wrong, labels))
    assert sum(bar.get_height() for bar in axis.patches) == pytest.approx(100)
    plot.base.plt.close("all")
