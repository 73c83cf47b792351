"""Learnability by hand, over epochs, and beside the other scores; agreement: tests/compare/test_correlation.py."""

from itertools import permutations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from easel import plot
from easel.compare import correlation as correlated, scores
from easel.errors import UserError
from easel.sections import learnability, printed

R, W = True, False

# two trials, four epochs, three examples
RECORD = np.array([
    [[R, W, W],
     [R, W, R],
     [R, R, W],
     [R, R, W]],
    [[W, W, W],
     [R, W, W],
     [R, W, W],
     [R, R, R]],
])  # fmt: skip


def noisy(trials, examples=400, noise=0.7, nets=("a", "b"), own=0.0, seed=0):
    """{net: (trials, examples)}: a common truth, a net's own share, and each trial's noise."""
    rng = np.random.default_rng(seed)
    truth, found = rng.normal(size=examples), {}
    for net in nets:
        of_net = truth + own * rng.normal(size=examples)
        found[net] = of_net + noise * rng.normal(size=(trials, examples))
    return found


# ---- learnability --------------------------------------------------------------------------------------------------


def test_a_trials_learnability_is_the_share_of_its_epochs_that_are_hits():
    assert learnability.of_trials(RECORD).tolist() == [[1, 1 / 2, 1 / 4], [3 / 4, 1 / 4, 1 / 4]]
    assert learnability.of_trials(RECORD, 2).tolist() == [[1, 0, 1 / 2], [1 / 2, 0, 0]]
    assert np.allclose(learnability.of_trials(RECORD).mean(0), scores.learnability(RECORD))


@pytest.mark.parametrize("epochs", [0, 5, True, 1.0])
def test_epochs_that_were_not_recorded_are_refused(epochs):
    with pytest.raises(UserError, match=r"1\.\.4"):
        learnability.of_trials(RECORD, epochs)


def test_epochs_are_spaced_with_both_ends():
    assert learnability.spaced(5) == [1, 2, 3, 4, 5]
    for epochs in (13, 30, 200):
        chosen = learnability.spaced(epochs)
        assert chosen[0] == 1
        assert chosen[-1] == epochs
        assert len(chosen) <= 12
        assert chosen == sorted(set(chosen))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: learnability.of_trials(RECORD.astype(int)), "bool"),
        (lambda: learnability.by_epoch(RECORD[:1], [1]), "1 trial"),
        (lambda: learnability.by_epoch(RECORD, [5]), "m=5"),
        (lambda: learnability.trial_scores(RECORD, values={"entropy": RECORD}), "entropy"),
        (lambda: learnability.joint([0.0, 2.0], [0.0, 1.0]), r"0\.\.1"),
    ],
)
def test_wrong_input_is_named(call, says):
    with pytest.raises(UserError, match=says):
        call()


# ---- agreement -----------------------------------------------------------------------------------------------------


def test_over_epochs_ends_at_the_whole_learnability():
    rng = np.random.default_rng(6)
    correct = {net: rng.random((2, 4, 50)) < rng.random(50) for net in "ab"}
    table = learnability.correlations_over_epochs(correct, [1, 4], resamples=5)
    runs = {k: learnability.of_trials(v) for k, v in correct.items()}
    whole = correlated.agreement(runs, paired=True, resamples=5)
    last = table[(table.epochs == 4) & (table.a != table.b)].iloc[0]
    assert last.r == pytest.approx(whole.r("a", "b").estimate)
    first = table[(table.epochs == 1) & (table.a != table.b)].iloc[0]
    pairs = [np.corrcoef(correct["a"][s, 0], correct["b"][t, 0])[0, 1] for s, t in ((0, 1), (1, 0))]
    assert first.r == pytest.approx(np.mean(pairs))


def by_hand(runs, s_and_t):
    return np.mean([np.corrcoef(runs["a"][s], runs["b"][t])[0, 1] for s, t in s_and_t])


def test_nets_of_one_seed_are_no_pair():
    """What a seed's batch order does to both nets alike is no agreement: every kind counts unequal seeds alone."""
    rng = np.random.default_rng(13)
    labels = np.repeat(np.arange(4), 500)
    order = 2 * rng.normal(size=(3, 2000))
    runs = {net: of_net + order for net, of_net in noisy(3, examples=2000).items()}
    agreed = learnability.of_every_kind(runs, labels)
    different = by_hand(runs, permutations(range(3), 2))
    assert by_hand(runs, [(0, 0), (1, 1), (2, 2)]) > different + 0.3
    assert agreed["pearson"].r("a", "b").estimate == pytest.approx(different)
    assert agreed["pearson"].ratio("a", "b").estimate == pytest.approx(1, abs=0.1)
    assert correlated.agreement(runs, resamples=2).ratio("a", "b").estimate > 1.3
    alone, share = (agreed[kind].r("a", "b").estimate for kind in ("classes alone", "share within classes"))
    assert share == pytest.approx(1 - alone / different)
    assert all(one.paired for one in agreed.values())


def test_pairs_of_nets_stand_beside_what_is_printed():
    models = learnability.printed_order(["mobilenet-0.125x", "mlp-1x16", "vgg-11-0.5x", "resnet-8", "vgg-11-0.25x"])
    assert models == ["resnet-8", "vgg-11-0.5x", "vgg-11-0.25x", "mobilenet-0.125x", "mlp-1x16"]
    runs = noisy(3, nets=("ResNet-8", "vgg-11-0.5x", "vgg-11-0.25x", "MobileNet", "MLP"))
    agreed, online = learnability.of_every_kind(runs, np.arange(400) % 5), {net: -of for net, of in runs.items()}
    pairs = learnability.net_pairs(agreed, online, models, "cifar10")
    assert len(pairs) == 10
    found = pairs.dropna(subset="paper").set_index("pair").paper.to_dict()
    assert found == {
        "ResNet-8 – vgg-11-0.5x": 0.796,
        "ResNet-8 – MobileNet": 0.774,
        "vgg-11-0.5x – MobileNet": 0.713,
    }
    assert np.allclose(pairs.online, pairs.r)
    (top,) = learnability.printed_highest(pairs)
    assert top.pair == "ResNet-8 – vgg-11-0.5x"
    lead = learnability.agrees_most(top, pairs, agreed)
    others = pairs[pairs.paper.isin([0.774, 0.713])].r.max()
    assert lead.finding.estimate == pytest.approx(top.r - others)
    assert lead.paper == 0.022
    assert learnability.printed_highest(pairs[:1]) == []
    assert learnability.net_pairs(agreed, online, models, "patterns").paper.isna().all()


def test_claims_about_every_pair_stay_open_where_a_net_ranks_nothing():
    labels = np.repeat(np.arange(10), 40)
    good = learnability.of_every_kind(noisy(3, noise=0.3), labels)
    assert learnability.near_the_ceiling(good).finding.verdict == "holds"
    assert learnability.about_images(good).finding.verdict == "holds"
    idle = {"one class for all": (labels == 3) + 0.01 * np.random.default_rng(14).random((3, 400))}
    lost = learnability.of_every_kind(noisy(3, nets=("a",)) | idle, labels)
    for judged in (learnability.near_the_ceiling(lost), learnability.about_images(lost)):
        assert judged.finding[5:7] == ("open", "trials")
        assert "rank nothing alike: one class for all" in judged.why
    few = learnability.of_every_kind(noisy(2), labels)
    assert learnability.near_the_ceiling(few).finding[5:7] == ("open", "trials")


# ---- scores --------------------------------------------------------------------------------------------------------


def test_trial_scores_are_those_of_scores_one_trial_at_a_time():
    rng = np.random.default_rng(7)
    loss = rng.random(RECORD.shape)
    found = learnability.trial_scores(RECORD, online=~RECORD, values={"loss": loss}, m_values=[1, 4])
    names = ["learnability", "learnability, online", "easiness, m = 1", "easiness, m = 4"]
    assert list(found) == [*names, "first learned", "forgetting", "mean loss"]
    assert {score.shape for score in found.values()} == {(2, 3)}
    assert np.allclose(found["learnability"] + found["learnability, online"], 1)
    assert found["easiness, m = 4"].tolist() == [[1, 1, 0], [1, 1, 1]]
    for name, score in (("first learned", scores.first_learned), ("forgetting", scores.forgetting)):
        assert np.allclose(found[name].mean(0), score(RECORD))
    assert np.allclose(found["mean loss"].mean(0), scores.mean_loss(loss))


def test_two_readings_and_the_scores_beside_learnability_are_those_of_agreement():
    runs = noisy(3, nets=("a",))
    online = {"a": runs["a"] + 0.1 * np.random.default_rng(15).normal(size=(3, 400))}
    (row,) = learnability.two_readings(runs, online).to_dict("records")
    across = [np.corrcoef(runs["a"][s], online["a"][t])[0, 1] for s, t in permutations(range(3), 2)]
    assert row["another trial"] == pytest.approx(np.mean(across))
    within = [np.corrcoef(runs["a"][t], online["a"][t])[0, 1] for t in range(3)]
    assert row["same trial"] == pytest.approx(np.mean(within))
    assert row["ratio"] == pytest.approx(row["another trial"] / np.sqrt(row["ceiling, pass"] * row["ceiling, online"]))
    each = {"a": {"learnability": runs["a"], "other": online["a"], "noise": np.random.default_rng(16).random((3, 400))}}
    agreed = {"a": correlated.agreement(each["a"], "spearman", paired=True, resamples=20)}
    same, between = learnability.score_squares(each, agreed)
    assert np.allclose(np.diag(same), 1)
    assert between.loc["other", "other"] == pytest.approx(agreed["a"].r("other", "other").estimate)
    table = learnability.beside_learnability(agreed)
    assert table.score.tolist() == ["other", "noise"]
    assert table["another trial"][0] == pytest.approx(between.loc["learnability", "other"])


def test_learnability_agrees_best_with_the_m_that_decides_it():
    """Four epochs of which only the third separates the examples the same way in every trial."""
    rng = np.random.default_rng(9)
    correct = rng.random((3, 4, 500)) < 0.5
    correct[:, 2] = rng.random(500) < 0.5
    table = learnability.by_epoch(correct, [1, 2, 3, 4], resamples=50)
    assert table.best.tolist() == [0, 0, 1, 0]
    counts, learnable = correct[:, 2].astype(int), learnability.of_trials(correct)
    by_hand = [np.corrcoef(learnable[t], counts.sum(0) - counts[t])[0, 1] for t in range(3)]
    row = table[table.m == 3].iloc[0]
    assert row.r == pytest.approx(np.mean(by_hand))
    assert row.low < row.r < row.high


def test_a_joint_distribution_holds_every_image_where_it_is():
    a, b = np.array([0, 0.5, 1, 1]), np.array([0, 0.5, 1, 0])
    table = learnability.joint(a, b, cells=3)
    assert table.images.sum() == 4
    assert table[table.images > 0].values.tolist() == [[0, 0, 1], [0.5, 0.5, 1], [1, 0, 1], [1, 1, 1]]


# ---- what is printed, and figures ------------------------------------------------------------------------------------


def test_figures_are_drawn_of_what_the_tables_hold():
    rng = np.random.default_rng(10)
    correct = {net: rng.random((3, 4, 80)) < rng.random(80) for net in ("ResNet-20", "VGG-16", "a net of one's own")}
    runs = {net: learnability.of_trials(of_net) for net, of_net in correct.items()}
    growth = learnability.correlations_over_epochs(correct, [1, 2, 4], resamples=3)
    panels = plot.learnability_growth(growth)
    assert [len(axis.get_legend_handles_labels()[1]) for axis in panels] == [3] * 3  # the pair, and its two nets
    by_m = [learnability.by_epoch(c, [1, 4], resamples=3).assign(net=net) for net, c in correct.items()]
    assert len(plot.learnability_by_m(pd.concat(by_m)).get_legend().get_texts()) == 3
    one, two, _ = (of_net.mean(0) for of_net in runs.values())
    table = learnability.joint(one, two, cells=5)
    assert plot.learnability_joint(table, a="one", b="two").get_xlabel().endswith("one")
    spread = pd.DataFrame({"net": "a", "learnability": one})
    assert plot.learnability_spread(spread).get_xlim() == (0, 1)
    scores_of = learnability.trial_scores(correct["VGG-16"], m_values=[1, 4])
    across = correlated.agreement(scores_of, "spearman", paired=True, resamples=2)
    square = pd.DataFrame(across.matrix, index=across.groups, columns=across.groups)
    axis = plot.score_correlations(correlated.same_trial(scores_of), square)
    assert [label.get_text() for label in axis.get_yticklabels()] == list(scores_of)
    pairs = correlated.agreement(runs, resamples=3).table().query("a != b")
    pairs = pairs.assign(pair="x", spearman=0.5, online=0.4, alone=0.1, paper=0.7, paper_in_parentheses=np.nan)
    assert plot.learnability_pairs(pairs).get_xlim()[1] == 1
    plt.close("all")


def test_the_printed_correlations_are_those_of_three_pairs():
    table = printed.sl_correlations("cifar10@64")
    assert printed.sl_correlations("patterns").empty
    assert set(table.paper) == {0.796, 0.713, 0.774}
    assert set(table.paper_in_parentheses) == {0.867, 0.792, 0.782}
    assert {frozenset(pair) for pair in zip(table.a, table.b, strict=True)} == {
        frozenset(pair) for pair in (("ResNet-20", "VGG-16"), ("VGG-16", "MobileNet"), ("ResNet-20", "MobileNet"))
    }
