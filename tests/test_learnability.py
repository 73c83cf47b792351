"""Learnability by hand, over epochs, and beside the other scores; agreement: tests/compare/test_correlation.py."""

from itertools import product

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
    whole = correlated.agreement({k: learnability.of_trials(v) for k, v in correct.items()}, resamples=5)
    last = table[(table.epochs == 4) & (table.a != table.b)].iloc[0]
    assert last.r == pytest.approx(whole.r("a", "b").estimate)
    first = table[(table.epochs == 1) & (table.a != table.b)].iloc[0]
    pairs = [np.corrcoef(x, y)[0, 1] for x, y in product(correct["a"][:, 0], correct["b"][:, 0])]
    assert first.r == pytest.approx(np.mean(pairs))


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
    axis = plot.learnability_growth(growth)
    assert len(axis.get_legend_handles_labels()[1]) == 6  # three pairs, three nets
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
