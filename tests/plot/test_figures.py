"""Figures say what their tables say: one forest plot, Table 1 with the printed values, Figs 2 and 4 on a sheet each."""

import inspect

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from easel import plot
from easel.plot.figures import Mark, Style


@pytest.fixture(autouse=True)
def _closed():
    yield
    plt.close("all")


def words(texts):
    return [text.get_text() for text in texts]


def points(axis, marker):
    return [tuple(xy) for line in axis.lines if line.get_marker() == marker for xy in line.get_xydata()]


def table_1(nets="abc", **more):
    rows = [(w, x, y) for w in ("easy", "hard") for i, x in enumerate(nets) for y in nets[i:]]
    frame = pd.DataFrame(rows, columns=["which", "a", "b"]).assign(paper=0.71, rate=0.5, low=0.41, high=0.59, **more)
    frame.loc[0, "paper"] = np.nan
    return frame


def test_every_public_figure_says_what_it_shows():
    assert all(hasattr(plot, name) for name in plot.__all__)
    for figure in (of for of in (getattr(plot, name) for name in plot.__all__) if inspect.isfunction(of)):
        assert figure.__doc__.splitlines()[0].endswith((".", ")")), figure.__name__


def test_a_forest_has_a_row_a_label_and_its_series_beside_one_another():
    table = pd.DataFrame({"name": ["p", "p", "q"], "kind": ["x", "y", "x"], "value": [0.2, 0.3, 0.4]})
    table = table.assign(low=table.value - 0.1, high=table.value + 0.1, printed=[0.9, np.nan, np.nan], none=np.nan)
    looks = {"x": Style("first", "b", "o"), "y": Style("second", "r", "s")}
    marks = {"printed": Mark("printed", "x"), "not there": Mark("none", "P"), "nor there": Mark("missing", "D")}
    style = {"marks": marks, "bands": {"band": ("low", "high")}, "zero": (0, "nothing"), "apart": 0.2, "scale": 100}
    axis = plot.forest(table, label="name", value="value", by="kind", looks=looks, **style)
    assert words(axis.get_yticklabels()) == ["p", "q"]
    assert points(axis, "o") == [pytest.approx((20, -0.1)), pytest.approx((40, 0.9))]
    assert points(axis, "s") == [pytest.approx((30, 0.1))]
    assert points(axis, "x")[0] == pytest.approx((90, -0.1))
    assert [(bar.get_x(), bar.get_width()) for bar in axis.patches] == [
        pytest.approx((10, 20)),
        pytest.approx((30, 20)),
    ]
    assert words(axis.get_legend().texts) == ["first", "second", "first, printed", "nothing", "band"]


def test_a_share_of_the_ceiling_stands_beside_the_printed_one():
    row = {"pair": "a – b", "which": "easy", "share": 0.9, "low": 0.6, "high": 1.2, "printed": 0.6}
    axis = plot.shares(pd.DataFrame([row, row | {"which": "hard", "share": 0.7, "printed": np.nan}]))
    assert [x for x, _ in points(axis, "o")] == [0.9]
    assert [x for x, _ in points(axis, "s")] == [0.7]
    assert points(axis, "x")[0][0] == 0.6
    assert axis.get_xlim()[1] >= 1.2
    assert "as alike as each net with itself" in words(axis.get_legend().texts)


def test_table_1_writes_printed_ours_and_interval_into_each_cell():
    axes = plot.table_1(table_1(verdict="open"))
    assert [axis.get_title()[:4] for axis in axes] == ["easy", "hard"]
    cells = words(axes[0].texts)[2 * 3 :]  # after the names of rows and columns
    assert [cells[i] for i in (0, 1, 2, 4)] == ["–", "0.50", ".41–.59", "0.71"]
    assert len(axes[1].patches) == 6


def test_table_1_shows_verdicts_by_colour_and_by_sign():
    frame = table_1(verdict=["as printed", "not as printed", "open"] * 4)
    axes = plot.table_1(frame[frame.which == "easy"], ax=plt.subplots()[1])
    assert words(axes[0].texts)[6:][3::4] == ["=", "≠", "?"] * 2
    assert len({patch.get_facecolor() for patch in axes[0].patches}) == 3
    assert words(axes[0].figure.legends[0].texts) == ["= as printed", "≠ not as printed", "? open"]


def test_figure_2_has_a_panel_a_change_and_tells_hard_from_easy_by_dash():
    rows = [
        (net, which, change, strength, 0.1 * i + 0.01 * strength)
        for i, net in enumerate(("WRN", "MLP"))
        for which in ("easy", "hard")
        for change, strengths in (("colour", (0, 1)), ("shuffle", (4, 1)), ("low-pass", (1.6, 22)))
        for strength in strengths
    ]
    table = pd.DataFrame(rows, columns=["net", "which", "change", "strength", "other"])
    table = table.assign(other_low=table.other, other_high=table.other, same=1, same_low=1, same_high=1, chance=0.1)
    axes = plot.figure_2(table)
    assert [axis.get_title()[:3] for axis in axes] == ["(a)", "(b)", "(c)"]
    assert [line.get_linestyle() for line in axes[1].lines] == ["-", "--", "-", "--", ":"]
    assert [line.get_color() for line in axes[0].lines[:4:2]] == [plot.NETS["WRN"], plot.NETS["MLP"]]
    assert axes[1].lines[2].get_ydata() == pytest.approx([0.14, 0.11])  # the plain images at the right
    assert plot.figure_2(table, value="same")[0].lines[0].get_ydata() == pytest.approx([1, 1])


def test_figure_4_is_one_sheet_of_both_experiments():
    rows = [(mode, rate, 0.5 - rate / 5) for mode in ("easy", "hard", "random") for rate in (0.0, 0.9)]
    table = pd.DataFrame(rows, columns=["mode", "rate", "mean"])
    table = table.assign(low=table["mean"] - 0.1, high=table["mean"] + 0.1)
    axes = plot.figure_4(table, table.assign(chance=0.1))
    assert [axis.get_title()[:3] for axis in axes] == ["(a)", "(c)"]
    assert axes[1].lines[0].get_ydata() == pytest.approx([50, 32])
    assert axes[1].get_xlabel() == "random-label rate"
    (legend,) = axes[0].figure.legends
    assert words(legend.texts) == ["chance", "easy", "hard", "random"]
    assert axes[0].get_legend() is axes[1].get_legend() is None


def test_a_projection_stands_beside_what_is_measured_and_printed():
    measured = pd.DataFrame({"trials": [1, 2], "measure": "hard", "mean": [0.2, 0.3], "low": 0.1, "high": 0.4})
    ahead = pd.DataFrame({"trials": [2, 200], "measure": "hard", "mean": [0.3, 0.8]})
    axis = plot.reliability(measured, projected=ahead, printed=pd.Series({"hard": 0.9}))
    assert points(axis, "s") == [(1, 0.2), (2, 0.3), (2, 0.3), (200, 0.8)]
    said = ["hard 10%: matching rate", "hard 10%: projected", "hard 10%: printed", "chance for a matching rate"]
    assert words(axis.get_legend().texts) == said
    assert axis.get_xscale() == "log"
    assert words(axis.get_xticklabels()) == ["2", "200"]
    assert plot.reliability(measured).get_xscale() == "linear"


def test_a_class_with_signs_of_mathematics_in_its_name_is_drawn_as_it_is_called():
    plot.use_style()
    fig, ax = plt.subplots()
    ax.set_title(r"$\frac$")  # an even number of dollars, or it is no mathematics
    fig.canvas.draw()  # ValueError where the text is parsed
    plt.close(fig)
