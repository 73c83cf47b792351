"""Figures of notebooks 04 and 08 show every trial, name every arm, and draw what the table says."""

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from easel import plot
from easel.compare import intervals


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def trials(name, values, x, **more):
    rows = [
        {name: value, x: at, "seed": seed, "accuracy": 0.5 - 0.01 * i + 0.02 * seed} | more
        for i, value in enumerate(values)
        for at in (30.0, 70.0)
        for seed in range(3)
    ]
    return intervals.with_intervals(pd.DataFrame(rows), [name, x])


def words(axis):
    return [text.get_text() for text in axis.get_legend().get_texts()]


def marks(axis):
    """How many open marks stand in the axis: one a trial."""
    return sum(len(line.get_xdata()) for line in axis.lines if line.get_markerfacecolor() == "none")


def test_accuracy_against_rate_shows_every_trial_and_the_chance_line():
    table = trials("mode", ["easy", "hard", "random"], "rate", chance=0.1).assign(rate=lambda t: t.rate / 100)
    axis = plot.ablation(table)
    assert words(axis) == ["chance", "easy", "hard", "random"]
    assert marks(axis) == len(table)
    assert axis.get_ylim() == pytest.approx((0, 115 * table.accuracy.max()))


def test_accuracy_against_what_is_kept_shows_every_trial_and_all_images():
    table = trials("how", ["easiest", "random", "all"], "keep", whole=0.6, whole_low=0.55, whole_high=0.65)
    axis = plot.compression(table)
    assert words(axis) == ["all images", "easiest", "random", "nothing, shorter training"]
    marked = sum(len(line.get_xdata()) for line in axis.lines if line.get_markersize() == 3.5)
    assert marked == len(table)
    assert axis.get_ylim()[1] == pytest.approx(69)


def test_differences_stand_where_the_table_says():
    rows = [("a", "easy", 0.02, 0.01, 0.03), ("b", "hard", -0.01, -0.03, 0.01)]
    axis = plot.differences(pd.DataFrame(rows, columns=["label", "mode", "estimate", "low", "high"]))
    assert [text.get_text() for text in axis.get_yticklabels()] == ["a", "b"]
    points = [line.get_xdata().tolist() for line in axis.lines if line.get_marker() in "os"]
    assert points == [pytest.approx([2]), pytest.approx([-1])]


def test_gains_know_the_ways_to_drop_and_other_lines_too():
    rows = [(label, keep, 0.01, 0.0, 0.02) for label in ("easiest", "small − own") for keep in (30.0, 70.0)]
    axis = plot.gains(pd.DataFrame(rows, columns=["label", "keep", "estimate", "low", "high"]))
    assert words(axis) == ["easiest", "small − own"]


def test_shares_left_of_tenths_are_written_into_their_cells():
    axis = plot.tenths_kept(pd.DataFrame(np.linspace(0, 1, 20).reshape(2, 10), index=["easiest", "random"]))
    assert [text.get_text() for text in axis.texts][:3] == ["0", "5", "11"]
    assert axis.texts[-1].get_text() == "100"


def test_rows_of_images_have_their_word_at_the_left():
    axis = plot.labelled_rows(np.zeros((6, 3, 8, 8), np.uint8), list("abcdef"), ["one", "two"])
    assert [text.get_text() for text in axis.texts] == [*"abcdef", "one", "two"]
    assert axis.texts[-2].get_position()[1] == pytest.approx(4)
    assert axis.texts[-1].get_position()[1] == pytest.approx(4 + 1.28 * 8)


def test_a_share_left_of_both_ends_for_every_mode():
    table = pd.DataFrame({"mode": ["easy", "easy"], "rate": [0.0, 0.9], "easiest": [1, 0], "hardest": [1, 0.8]})
    axis = plot.share_left(table, ax=plot.beside()[1])
    assert words(axis) == ["easy: easiest tenth", "easy: hardest tenth"]
    assert [line.get_ydata()[-1] for line in axis.lines] == pytest.approx([0, 80])
