"""Scores from records: by hand on small arrays, against plain loops, and always higher = easier."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from easel.compare import cuts, matching, scores
from easel.errors import UserError

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
settings.load_profile("untimed")

R, W = True, False

# two trials, four epochs, five examples: always right, learned late, forgotten once, right once, never right
RECORD = np.array([
    [[R, W, R, W, W],
     [R, W, W, R, W],
     [R, R, R, W, W],
     [R, R, R, W, W]],
    [[R, W, R, W, W],
     [R, W, R, W, W],
     [R, W, R, W, W],
     [R, R, R, W, W]],
])  # fmt: skip

records = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 6), st.integers(0, 2**32 - 1)).map(
    lambda drawn: np.random.default_rng(drawn[3]).random(drawn[:3]) < 0.5
)


class FakeLedger:
    """What scores.py asks of a ledger, for nets whose records stand in memory."""

    def __init__(self, of_net, values=None, ids=None, labels=None):
        self.of_net, self.recorded = of_net, values or {}
        n = next(iter(of_net.values())).shape[2] if of_net else 0
        self.ids = np.arange(n) if ids is None else ids
        self.labels = np.zeros(n, np.int64) if labels is None else labels

    @property
    def models(self):
        return list(self.of_net)

    def where(self, model):
        return FakeLedger({model: self.of_net[model]}, self.recorded, self.ids, self.labels)

    def correct(self, view):
        assert view == "train"
        return np.concatenate(list(self.of_net.values()))

    def values(self, quantity):
        return self.recorded[quantity]

    def has(self, quantity):
        return quantity in self.recorded


# ---- by hand -------------------------------------------------------------------------------------------------------


def test_counts_are_trials_right_at_the_end_of_epoch_m():
    assert scores.counts(RECORD, 1).tolist() == [2, 0, 2, 0, 0]
    assert scores.counts(RECORD, 2).tolist() == [2, 0, 1, 1, 0]
    assert scores.counts(RECORD, 4).tolist() == [2, 2, 2, 0, 0]


def test_easiness_is_counts_over_the_largest_count():
    assert scores.easiness(RECORD, 3).tolist() == [1, 0.5, 1, 0, 0]
    never_all = RECORD[:, :, 1:4]  # the largest count at m = 2 is 1 of 2 trials: relative, not a share of trials
    assert scores.easiness(never_all, 2).tolist() == [0, 1, 1]


def test_learnability_is_the_share_of_hits_over_epochs_and_trials():
    assert scores.learnability(RECORD).tolist() == [1, 3 / 8, 7 / 8, 1 / 8, 0]


def test_first_learned_is_one_from_the_first_epoch_and_zero_for_never():
    # example 1: first right in epochs 3 and 4 of 4: (2/4 + 1/4) / 2
    assert scores.first_learned(RECORD).tolist() == [1, 3 / 8, 1, 3 / 8, 0]


def test_forgetting_counts_slips_and_puts_the_never_learned_below_any_slip():
    # example 3 slips once in trial 0 and is never right in trial 1 (4 // 2 + 1 = 3 events)
    assert scores.forgetting(RECORD).tolist() == [0, 0, -0.5, -2, -3]
    most_slips = np.array([R, W, R, W]).reshape(1, 4, 1)
    assert scores.forgetting(most_slips).item() == -2 > scores.forgetting(most_slips & W).item()


def test_margin_loss_and_probability_are_means_with_loss_turned_round():
    values = {
        "margin": np.array([[[2.0, -1], [4, 1]]], np.float32),
        "loss": np.array([[[0.0, 3], [1, 1]]], np.float32),
        "probability": np.array([[[0.5, 0.25], [1, 0.75]]], np.float32),
    }
    ledger = FakeLedger({"net": np.ones((1, 2, 2), bool)}, values)
    assert scores.mean_margin(ledger).tolist() == [3, 0]
    assert scores.mean_margin(ledger, m=1).tolist() == [2, -1]
    assert scores.mean_loss(ledger).tolist() == [-0.5, -2]
    assert scores.probability(ledger, m=2).tolist() == [1, 0.75]
    assert scores.probability(values["probability"]).tolist() == [0.75, 0.5]


# ---- properties ----------------------------------------------------------------------------------------------------


@given(records)
def test_scores_agree_with_plain_loops(correct):
    n_trials, epochs, examples = correct.shape
    for t in range(examples):
        early, slips = [], []
        for trial in range(n_trials):
            hits = [bool(correct[trial, epoch, t]) for epoch in range(epochs)]
            first = hits.index(True) + 1 if True in hits else epochs + 1
            early.append((epochs + 1 - first) / epochs)
            events = sum(before and not after for before, after in pairwise(hits))
            slips.append(events if True in hits else epochs // 2 + 1)
        assert scores.first_learned(correct)[t] == pytest.approx(np.mean(early))
        assert scores.forgetting(correct)[t] == pytest.approx(-np.mean(slips))
        assert scores.learnability(correct)[t] == pytest.approx(correct[:, :, t].mean())


@given(records)
def test_no_score_prefers_an_example_that_is_never_right_to_one_that_always_is(correct):
    correct[:, :, 0] = True
    always, never = 0, correct.shape[2]
    correct = np.concatenate([correct, np.zeros((*correct.shape[:2], 1), bool)], axis=2)
    for score in (scores.counts, scores.easiness, scores.learnability, scores.first_learned, scores.forgetting):
        values = score(correct)
        assert values[always] == values.max() > values[never] == values.min()


@given(records)
def test_a_ledger_of_one_net_scores_as_its_record(correct):
    correct[0, 0, 0] = True
    ledger = FakeLedger({"net": correct})
    for score in (scores.counts, scores.easiness, scores.learnability, scores.first_learned, scores.forgetting):
        assert (score(ledger) == score(correct)).all()


# ---- the table -----------------------------------------------------------------------------------------------------


def test_the_table_has_one_row_an_example_net_and_m():
    ledger = FakeLedger(
        {"wide": RECORD, "narrow": RECORD[:1]}, ids=np.array([7, 3, 11, 40, 5]), labels=np.array([1, 0, 1, 9, 9])
    )
    table = scores.easiness_table(ledger, [1, 3], "cifar10")
    assert list(table.columns) == ["dataset", "example", "label", "model", "m", "n_trials", "correct_count", "easiness"]
    assert len(table) == 2 * 2 * 5
    assert table.groupby("model").n_trials.unique().map(list).to_dict() == {"wide": [2], "narrow": [1]}
    block = table[(table.model == "wide") & (table.m == 3)]
    assert block.example.tolist() == [7, 3, 11, 40, 5]
    assert block.label.tolist() == [1, 0, 1, 9, 9]
    assert block.correct_count.tolist() == [2, 1, 2, 0, 0]
    assert block.easiness.tolist() == [1, 0.5, 1, 0, 0]
    assert set(table.dataset) == {"cifar10"}


def test_the_table_survives_parquet(tmp_path):
    table = scores.easiness_table(FakeLedger({"net": RECORD}), [1, 2], "patterns")
    table.to_parquet(tmp_path / "easiness.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "easiness.parquet"), table)


# ---- how many trials are enough ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many_trials():
    rng = np.random.default_rng(0)
    p = rng.beta(1, 1, 400)
    return rng.random((16, 2, 400)) < p


def halved(correct, m, repeats):
    """Spearman's correlation of two halves, the mean over the splits."""
    curve = scores.reliability_curve(correct, m, [len(correct) // 2], repeats=repeats)
    return curve.set_index("measure")["mean"]["spearman"]


def test_two_halves_are_disjoint(many_trials):
    two = many_trials[:2]  # the only split of two trials, whichever way round
    truth = stats.spearmanr(two[0, 0], two[1, 0])[0]
    assert halved(two, 1, 5) == pytest.approx(truth)
    three = many_trials[:3]
    pairs = [stats.spearmanr(three[i, 1], three[j, 1])[0] for i, j in ((0, 1), (0, 2), (1, 2))]
    assert min(pairs) <= halved(three, 2, 20) <= max(pairs)


def test_reliability_grows_with_the_number_of_trials(many_trials):
    curve = scores.reliability_curve(many_trials, 1, [1, 2, 4, 8], repeats=10).set_index(["trials", "measure"])
    for measure in ("spearman", "easy", "hard"):
        means = curve.xs(measure, level="measure")["mean"]
        assert means.is_monotonic_increasing
        assert means[8] > means[1] + 0.2
    assert (curve.low <= curve["mean"]).all()
    assert (curve["mean"] <= curve.high).all()
    assert curve.loc[(8, "spearman"), "mean"] == halved(many_trials, 1, 10)


def test_reliability_is_repeatable_from_its_seed_and_takes_all_sizes_by_default(many_trials):
    few = many_trials[:5]
    first, again = (scores.reliability_curve(few, 1, repeats=3, seed=4) for _ in range(2))
    assert first.equals(again)
    assert first.trials.unique().tolist() == [1, 2]
    assert not first.equals(scores.reliability_curve(few, 1, repeats=3, seed=5))


def test_the_spread_of_a_reliability_is_from_5_to_95_percent_of_the_splits(many_trials):
    pairs = list(scores._halves(many_trials, 1, 3, 40, 0))
    rates = [matching.rate(*pair, which="hard") for pair in pairs]
    found = scores.reliability_curve(many_trials, 1, [3], repeats=40).set_index("measure").loc["hard"]
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(rates, [0.05, 0.95])))
    assert (found["mean"], found.sd) == pytest.approx((np.mean(rates), np.std(rates)))


def test_two_trials_allow_one_split_and_it_is_the_ceiling(many_trials):
    two = many_trials[:2]
    curve = scores.reliability_curve(two, 1, repeats=4).set_index("measure")
    for which in cuts.WHICH:
        assert curve.loc[which, "mean"] == pytest.approx(matching.rate(*two[:, 0].astype(int), which=which))
        assert curve.loc[which, "sd"] == pytest.approx(0)


# ---- what more trials would give -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def known_chances():
    """20,000 examples whose probability of being right is known, and 40 trials of them."""
    rng = np.random.default_rng(5)
    p = rng.beta(1.5, 1, 20_000)
    return p, rng.random((40, 1, len(p)), np.float32) < p


def test_the_projection_hits_what_known_probabilities_give(known_chances):
    p, trials = known_chances
    table = scores.projected(trials, sizes=[5, 20, 50, 200]).set_index(["trials", "measure"])["mean"]
    rng = np.random.default_rng(6)
    for size, which in table.index:
        drawn = [matching.rate(*rng.binomial(size, p, (2, len(p))), which=which) for _ in range(8)]
        assert table[size, which] == pytest.approx(np.mean(drawn), abs=0.02), (size, which)


def test_the_projection_goes_through_what_is_measured(known_chances):
    curve = scores.reliability_curve(known_chances[1], 1, [2, 10, 20], repeats=4)
    both = curve.merge(scores.projected(known_chances[1], sizes=[2, 10, 20]), on=["trials", "measure"])
    assert len(both) == 6
    assert np.allclose(both.mean_x, both.mean_y, atol=0.03)


def test_a_projection_is_repeatable_from_its_seed_and_takes_any_sizes(known_chances):
    few = known_chances[1][:, :, :500]
    first, again = (scores.projected(few, seed=4) for _ in range(2))
    assert first.equals(again)
    assert not first.equals(scores.projected(few, seed=5))
    assert first.trials.unique().tolist() == list(scores.GROUP_SIZES)
    alone = scores.projected(few, sizes=[20], seed=4)
    assert alone["mean"].tolist() == first.query("trials == 20")["mean"].tolist()


def test_examples_that_are_always_right_stay_so_in_a_projection():
    """Half of them: the easiest tenth is then a fifth of those, drawn twice; among coins alone it would be a tenth."""
    right = np.random.default_rng(0).random((20, 1, 2000)) < 0.5
    right[:, :, :1000] = True
    table = scores.projected(right, sizes=[200]).set_index("measure")["mean"]
    assert table["easy"] == pytest.approx(0.2, abs=0.02)


def test_examples_that_are_all_alike_are_projected_to_chance():
    always = np.ones((4, 1, 1000), bool)
    always[:, :, 0] = False
    table = scores.projected(always[:, :, 1:], sizes=[1, 50])
    assert np.allclose(table["mean"], 0.1, atol=0.02)
    assert scores.projected(np.ones((2, 1, 10), bool), sizes=[1]).trials.tolist() == [1, 1]
    never = scores.projected(~always[:, :, 1:], sizes=[1, 50])
    assert np.allclose(never["mean"], 0.1, atol=0.02)


def test_the_first_epoch_is_meant_where_none_is_named(many_trials):
    assert scores.reliability_curve(many_trials, sizes=[2]).equals(scores.reliability_curve(many_trials, 1, [2]))
    assert scores.projected(many_trials, sizes=[2]).equals(scores.projected(many_trials, 1, [2]))
    ledger = FakeLedger({"net": many_trials})
    assert scores.score("easiness", ledger).tolist() == scores.easiness(many_trials, 1).tolist()
    for of in (scores.counts, scores.easiness):
        assert of(many_trials).tolist() == of(many_trials, 1).tolist()


def test_what_comes_after_epoch_m_does_not_count():
    for of in (scores.learnability, scores.first_learned, scores.forgetting):
        for m in (1, 2, 3):
            assert of(RECORD, m).tolist() == of(RECORD[:, :m]).tolist()
            assert of(RECORD, m).tolist() != of(RECORD).tolist()
        with pytest.raises(UserError, match="m=5"):
            of(RECORD, 5)


@pytest.mark.parametrize("name", scores.COLUMNS)
def test_no_score_takes_the_name_of_a_column(name):
    with pytest.raises(UserError, match="is there already"):
        scores.register_score(name, scores.easiness)


# ---- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: scores.counts(RECORD, 0), r"m=0: .* 1\.\.4"),
        (lambda: scores.counts(RECORD, 5), r"m=5: .* 1\.\.4"),
        (lambda: scores.counts(RECORD, 1.5), r"m=1\.5"),
        (lambda: scores.counts(RECORD, True), "m=True"),
        (lambda: scores.counts(RECORD[0], 1), "trials, epochs, examples"),
        (lambda: scores.counts(RECORD[:0], 1), "at least one of each"),
        (lambda: scores.counts(RECORD.astype(float), 1), "float64"),
        (lambda: scores.easiness(RECORD[:, :, 4:], 1), "no trial got any example right at m=1"),
        (lambda: scores.learnability(FakeLedger({"x": RECORD, "y": RECORD})), r"x, y.*where\(model="),
        (lambda: scores.learnability(FakeLedger({})), "0 nets"),
        (lambda: scores.mean_loss(FakeLedger({"x": RECORD, "y": RECORD}, {"loss": RECORD * 1.0})), "2 nets"),
        (lambda: scores.mean_loss(np.full((1, 1, 2), np.nan)), "loss is not finite for example 0"),
        (lambda: scores.mean_loss(np.array([[[1.0, np.nan]]])), "loss is not finite for example 1"),
        (lambda: scores.easiness_table(FakeLedger({}), [1], "cifar10"), "no trials or no m"),
        (lambda: scores.easiness_table(FakeLedger({"x": RECORD}), [], "cifar10"), "no trials or no m"),
        (lambda: scores.reliability_curve(RECORD[:1], 1, [1]), r"1\.\.0|two disjoint groups"),
        (lambda: scores.reliability_curve(RECORD, repeats=0), "at least 1"),
        (lambda: scores.reliability_curve(RECORD, 5, [1]), r"m=5: .* 1\.\.4"),
        (lambda: scores.mean_loss(np.ones((1, 4, 5)), 5), r"m=5: .* 1\.\.4"),
        (lambda: scores.reliability_curve(RECORD, 1, [2]), r"1\.\.1"),
        (lambda: scores.projected(RECORD[:1]), "1 trial does not tell"),
        (lambda: scores.projected(RECORD, 5), r"m=5: .* 1\.\.4"),
        (lambda: scores.projected(RECORD, sizes=[]), "sizes"),
        (lambda: scores.projected(RECORD, sizes=[5, 0]), r"sizes=0: give a whole number"),
        (lambda: scores.projected(RECORD, sizes=[1.5]), r"sizes=1\.5: give a whole number"),
        (lambda: scores.reliability_curve(RECORD, 1, [1.5]), "give a whole number"),
    ],
)
def test_wrong_input_is_refused_in_one_line(call, says):
    with pytest.raises(UserError, match=says) as refusal:
        call()
    assert "\n" not in str(refusal.value)
