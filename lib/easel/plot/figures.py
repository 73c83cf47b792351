"""One function a figure: curves, estimates with their intervals, Table 1, and cells, bars and dots.

Curves have a band or bars, and are told apart by mark or dash as well. Where strengths of a change are an axis, the
unchanged images are at its right end. Estimates, a row each, are one forest plot; the papers' figures are calls of it.
"""

import re
import textwrap
from collections.abc import Mapping
from string import ascii_lowercase
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from easel.data.changes import CHANGES
from easel.plot.base import (
    COLOURS,
    MARKS,
    MODE_STYLES,
    WHICH_COLOURS,
    WIDTH,
    WRONG_RIGHT,
    arm_look,
    finished,
    key,
    looks,
    net_looks,
    new,
    panels,
)

# of what is dropped (notebook 08); a label that is none of these takes the next of OTHERS
HOWS = {
    "easiest": MODE_STYLES["easy"],
    "hardest": MODE_STYLES["hard"],
    "random": MODE_STYLES["random"],
    "balanced": {"color": COLOURS[2], "marker": "D", "linestyle": "-."},
    "window": {"color": COLOURS[4], "marker": "v", "linestyle": (0, (5, 1, 1, 1, 1, 1))},
    "all": {"color": "0.15", "marker": "x", "linestyle": (0, (1, 1))},
}
OTHERS = [
    {"color": COLOURS[4], "marker": "D", "linestyle": "-"},
    {"color": COLOURS[2], "marker": "v", "linestyle": "--"},
    {"color": COLOURS[5], "marker": "P", "linestyle": "-."},
]
SHADES = [COLOURS[k] for k in (3, 2, 4, 0, 1, *range(5, len(COLOURS)))]  # of the changes, in the registry's order
# how our value stands to the printed one: a cell's colour and its sign
_VERDICTS = {"as printed": ("#cfe4f5", "="), "not as printed": ("#fbd9b0", "≠"), "open": ("#ececec", "?")}


def draw_line(ax: Axes, x, y, low=None, high=None, *, bars: bool = False, shade: float = 0.15, **look) -> None:
    """One line through its points, from left to right; its interval a band of that shade, or bars."""
    order = np.argsort(x, kind="stable")
    x, y, low, high = (None if of is None else np.asarray(of)[order] for of in (x, y, low, high))
    look = {"markersize": 5} | look
    if bars:
        ax.errorbar(x, y, [y - low, high - y], capsize=2.5, elinewidth=1, **look)
        return
    ax.plot(x, y, **look)
    if low is not None:
        ax.fill_between(x, low, high, color=look["color"], alpha=shade, linewidth=0)


def draw_curves(
    ax: Axes, table: pd.DataFrame, by: str, x: str, y: str, own: Mapping, *, scale: float = 1, apart: float = 0, **style
) -> None:
    """A line (`draw_line`) for each value of the column `by`, in the table's order, each with its own look.

    Its interval is low and high, where the table has them; scale: of y and its ends; apart: how far the lines stand
    beside one another, so that their bars do not hide each other.
    """
    for at, (name, rows) in enumerate(table.groupby(by, sort=False)):
        low, high = (scale * rows[end] if end in rows else None for end in ("low", "high"))
        look = style | {"label": name} | own[name]
        draw_line(ax, rows[x] + apart * (at - (len(own) - 1) / 2), scale * rows[y], low, high, **look)


# ---- curves ---------------------------------------------------------------------------------------------------------


def overlap(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Matching rate against the cut, a line a pair, band: any tie-breaking (Table 1 at every cut).

    table: `matching.overlap_curve` with a column pair.
    """
    ax, table = ax or new(4.6), table.assign(percent=100 * table.fraction)
    own = {pair: look | {"markevery": (at % 6, 6)} for at, (pair, look) in enumerate(looks(table.pair).items())}
    shade = min(0.1, 0.5 / len(own))  # bands that lie on each other
    draw_curves(ax, table, "pair", "percent", "rate", own, shade=shade)
    rows = table[table.pair == table.pair.iloc[-1]]
    ax.plot(rows.percent, rows.chance, ":", color="0.4", label="chance")
    return finished(ax, xlabel="images in the set (%)", ylabel="matching rate", ylim=(0, 1), xlim=(0, 50))


def over_epochs(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Matching rate of each pair against m, with intervals (Table 1 at every m). table: pair, m, rate, low, high."""
    own, every_m = looks(table.pair), sorted(table.m.unique())
    ax = ax or new(4 + 0.14 * len(own))
    draw_curves(ax, table, "pair", "m", "rate", own, apart=0.18 / len(own), bars=True)
    ax.axhline(0.1, color="0.5", linestyle=":", label="chance")
    ax.set(xticks=every_m, xlim=(every_m[0] - 0.3, every_m[-1] + 0.3))
    return finished(ax, xlabel="m, epochs before counting", ylabel="matching rate", ylim=(0, 1))


def reliability(table: pd.DataFrame, *, projected=None, printed=None, ax: Axes | None = None) -> Axes:
    """How alike two disjoint groups of trials are, against their size (Sec. 2.1; `scores.reliability_curve`).

    projected: table of `scores.projected`, broken lines with open marks on a logarithmic axis. printed: Series,
    the paper's rate of easy or hard (Table 1, diagonal), level lines.
    """
    ax = ax or new(4.4)
    own = {which: MODE_STYLES[which] | {"label": f"{which} 10%: matching rate"} for which in ("easy", "hard")}
    own["spearman"] = {"color": "0.3", "marker": "D", "label": "Spearman's correlation, all images"}
    draw_curves(ax, table, "measure", "trials", "mean", own)
    if projected is not None:
        ahead = {"markerfacecolor": "white", "linestyle": (0, (1, 1))}
        broken = {of: own[of] | ahead | {"label": f"{of} 10%: projected"} for of in ("easy", "hard")}
        draw_curves(ax, projected, "measure", "trials", "mean", broken)
    for which, rate in () if printed is None else printed.items():
        level = {"linewidth": 1.2, "linestyle": (0, (6, 3)), "label": f"{which} 10%: printed"}
        ax.axhline(rate, color=WHICH_COLOURS[which], **level)
    ax.axhline(0.1, color="0.5", linestyle=":", label="chance for a matching rate")
    if projected is None:
        ax.xaxis.get_major_locator().set_params(integer=True)
    else:
        _ticks(ax, projected.trials, logarithmic=True)
    return finished(ax, xlabel="trials in each of the two groups", ylabel="agreement", ylim=(0, 1))


def ablation(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Fig. 4, one panel: accuracy against the rate; a small open mark a trial, the mean a line, its interval a bar.

    table: one row a trial: mode ("easy" | "hard" | "random"), rate, accuracy (may be missing), mean, low, high (of its
    point), and chance, a dotted line, if there is such a column. Bars that leave 0 to the highest trial are cut off by
    the frame.
    """
    ax = ax or new(4.4)
    gap, shifts = _gap(table.rate), {"easy": -0.13, "hard": 0.13, "random": 0}
    for mode, look in MODE_STYLES.items():
        rows = table[table["mode"] == mode]
        _trials(ax, rows, "rate", shifts[mode] * gap, 0.045 * gap, look | {"label": mode}, small=4)
    if "chance" in table:
        ax.axhline(100 * table.chance.iloc[0], color="0.4", linestyle=(0, (1, 3)), label="chance")
    ax.set(xlabel="rate", ylabel="test accuracy (%)", xticks=sorted(table.rate.unique()))
    ax.set_ylim(0, 115 * table.get("accuracy", table["mean"]).max())
    ax.grid(False, axis="x")
    key(ax, title="mainly taken")
    return ax


def share_left(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """What dropping leaves of the easiest tenth (thick) and of the hardest (thin), against the rate (beside Fig. 4).

    table: mode, rate, easiest, hardest (shares left, 0..1).
    """
    ax = ax or new(4.4)
    ends = {"easiest": {"linewidth": 2.4, "markersize": 6}, "hardest": {"linewidth": 0.9, "markersize": 4}}
    for mode, look in MODE_STYLES.items():
        rows = table[table["mode"] == mode].groupby("rate", as_index=False)[list(ends)].mean()
        for end, weight in ends.items() if len(rows) else ():
            draw_line(ax, rows.rate, 100 * rows[end], label=f"{mode}: {end} tenth", **look | weight)
    ax.set_xticks(sorted(table.rate.unique()))
    return finished(ax, xlabel="rate", ylabel="left of the tenth (%)", ylim=(-4, 104))


def figure_4(dropped: pd.DataFrame, noisy: pd.DataFrame, *, ax: np.ndarray | None = None) -> np.ndarray:
    """Fig. 4 on one sheet: accuracy against the drop rate (a), and against the random-label rate (c), one key for both.

    dropped, noisy: as `ablation` takes them (notebook 04: `intervals.with_intervals(dropped, ["mode", "rate"])`,
    `noisy` with chance); without accuracy (tables as saved) means and intervals stand alone. Returns the Axes, (2,).
    """
    if ax is None:
        ax = panels(1, 2, 8.4, 4.4, sharey=True)[0]
    ablation(dropped, ax=ax[0]).set(xlabel="drop rate", title="(a) examples dropped")
    ablation(noisy, ax=ax[1]).set(xlabel="random-label rate", ylabel="", title="(c) labels drawn at random")
    for panel in ax:
        panel.get_legend().remove()
    handles, words = ax[1].get_legend_handles_labels()
    ax[0].figure.legend(handles, words, title="mainly taken", ncol=4, loc="outside lower center")
    return ax


def compression(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Accuracy against the share kept (the later abstract); a small open mark a trial; band: all images (break-even).

    table: one row a trial: how (what is dropped; "all": nothing, for as little training), keep (percent), accuracy,
    mean, low, high (of its point), whole, whole_low, whole_high (all images: the same in every row).
    """
    ax = ax or new(4.6)
    gap, hows = min(15.0, _gap(table.keep, 10)), list(dict.fromkeys(table.how))
    for i, how in enumerate(hows):
        look = HOWS[how] | {"label": "nothing, shorter training" if how == "all" else how}
        rows = table[table.how == how]
        _trials(ax, rows, "keep", 0.11 * gap * (i - (len(hows) - 1) / 2), 0.035 * gap, look, small=3.5)
    whole = 100 * table[["whole", "whole_low", "whole_high"]].iloc[0]
    ax.axhline(whole.whole, color="0.35", linewidth=1.2, label="all images")
    ax.axhspan(whole.whole_low, whole.whole_high, color="0.5", alpha=0.15, linewidth=0)
    ax.set(xlabel="images kept (%)", ylabel="test accuracy (%)", xticks=sorted(table.keep.unique()))
    ax.set_ylim(0, 115 * max(table.accuracy.max(), table.whole.max()))
    ax.grid(False, axis="x")
    key(ax, title="dropped", ncol=2)
    return ax


def gains(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Paired differences of accuracy against the share kept, in points, with intervals; zero is a line (notebook 08).

    table: label (a line each; a way to drop has its look), keep (percent), estimate, low, high (0..1 scale).
    """
    ax = ax or new(4.6)
    others = iter(OTHERS)
    own = {label: HOWS.get(label) or next(others) for label in dict.fromkeys(table.label)}
    apart = 0.07 * min(15.0, _gap(table.keep, 10))
    draw_curves(ax, table, "label", "keep", "estimate", own, scale=100, apart=apart, bars=True)
    ax.axhline(0, color="0.35", linewidth=1.2)
    ax.grid(False, axis="x")
    ax.set_xticks(sorted(table.keep.unique()))
    return finished(ax, xlabel="images kept (%)", ylabel="difference in accuracy (points)")


def captured(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Share of the misclassified that are hard against the fraction called hard, with chance and the most (Sec. 7.1).

    table: `validation.curve`'s columns and `line`, the name of a curve; band: any tie-breaking. The dotted and dashed
    comparisons are drawn for every line and named once.
    """
    ax = ax or new(5)
    for at, (name, rows) in enumerate(table.groupby("line", sort=False)):
        x, shade = 100 * rows.fraction, COLOURS[at]
        look = {"color": shade, "marker": MARKS[at], "linewidth": 2, "markevery": max(1, len(rows) // 10)}
        draw_line(ax, x, rows.share, rows.tie_low, rows.tie_high, label=name, **look)
        ax.plot(x, rows.most, "--", color=shade, linewidth=1)
        ax.plot(x, rows.class_chance, "-.", color=shade, linewidth=1)
    ax.plot(x, rows.chance, ":", color="0.4", label="chance")
    ax.plot([], [], "-.", color="0.4", linewidth=1, label="chance, classes kept")
    ax.plot([], [], "--", color="0.4", linewidth=1, label="most that is possible")
    ax.axhline(0.5, color="0.75", linewidth=1, zorder=0)
    words = {"xlabel": "examples called hard (%)", "ylabel": "share of the misclassified"}
    return finished(ax, **words, xlim=(0, 100), ylim=(0, 1))


def learnability_spread(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Share of the images that are at most so learnable, a line a net (ours).

    table: net, learnability; a row an image.
    """
    ax, own = ax or new(4.4), net_looks(table.net)
    for net, rows in table.groupby("net", sort=False):
        values = np.sort(rows.learnability)
        share = 100 * np.arange(1, len(values) + 1) / len(values)
        look = own[net] | {"marker": None, "linewidth": 2, "label": f"{net}, mean {values.mean():.2f}"}
        ax.step(values, share, where="post", **look)
    words = {"xlabel": "learnability (share of epochs; higher = easier)", "ylabel": "images at most that learnable (%)"}
    return finished(ax, **words, xlim=(0, 1), ylim=(0, 100))


def learnability_growth(table: pd.DataFrame) -> np.ndarray:
    """Correlation against the epochs counted: a panel a pair of nets, each net with itself in broken lines (ours).

    table: epochs, a, b, r, low, high (`learnability.correlations_over_epochs`). Returns the panels: (pairs,) Axes.
    """
    own, others = table[table.a == table.b], table[table.a != table.b]
    pairs, shades = list(others.groupby(["a", "b"], sort=False)), net_looks(own.a)
    across, down = min(3, len(pairs)), -(-len(pairs) // 3)
    all_panels = panels(down, across, 3.3 * across, 4.6 * down, sharey=True).ravel()
    low = max(-1, min(0, table.r.min(), others.low.min()) - 0.05)
    for ax, ((a, b), rows) in zip(all_panels, pairs, strict=False):
        draw_line(ax, rows.epochs, rows.r, rows.low, rows.high, color="0.15", marker="o", label="the two nets (95%)")
        for net in (a, b):
            alone = own[own.a == net]
            look = shades[net] | {"linestyle": "--", "markerfacecolor": "white", "label": f"{net}, two seeds"}
            draw_line(ax, alone.epochs, alone.r, **look)
        _ticks(ax, table.epochs)
        first = {"ylabel": "Pearson's correlation"} if ax.get_subplotspec().is_first_col() else {}
        finished(ax, title=f"{a} – {b}", xlabel="epochs counted", ylim=(low, 1), **first)
    for ax in all_panels[len(pairs) :]:
        ax.remove()
    return all_panels[: len(pairs)]


def learnability_by_m(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Correlation of learnability with easiness at each m, a line a net; a ring where it is highest (ours).

    table: net, m, r, low, high (`learnability.by_epoch`).
    """
    ax, own = ax or new(4.4), net_looks(table.net)
    for at, (net, rows) in enumerate(table.groupby("net", sort=False)):
        draw_line(ax, rows.m, rows.r, rows.low, rows.high, label=net, **own[net])
        top, ring = rows.loc[rows.r.idxmax()], {"fillstyle": "none", "markeredgewidth": 2}
        ax.plot(top.m, top.r, "o", color=own[net]["color"], markersize=10 + 4 * at, **ring)
    _ticks(ax, table.m)
    low = min(0, table.low.min())
    return finished(ax, xlabel="m, epochs before counting", ylabel="correlation with learnability", ylim=(low, 1))


def arms_over_updates(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Test accuracy after every N_b updates, mean over seeds, of one net (HM).

    table: arm, seed, epoch, accuracy (0..1).
    """
    ax = ax or new(5)
    means = table.groupby(["arm", "epoch"], sort=False, as_index=False).accuracy.mean()
    own = {arm: arm_look(arm) for arm in dict.fromkeys(table.arm)}
    draw_curves(ax, means, "arm", "epoch", "accuracy", own, scale=100)
    ax.xaxis.get_major_locator().set_params(integer=True)
    words = "updates / number of mini-batches (epochs of plain training)"
    return finished(ax, xlabel=words, ylabel="test accuracy (%)")


def batch_spread(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Losses of the mini-batches of some arms after one epoch, sorted, a line a trial (HM's ranking of mini-batches).

    table: arm, seed, loss (nats).
    """
    ax = ax or new(4.4)
    for (arm, seed), rows in table.groupby(["arm", "seed"], sort=False):
        share = (np.arange(len(rows)) + 0.5) / len(rows)
        look = arm_look(arm) | {"marker": None, "alpha": 0.7}
        first = seed == table[table.arm == arm].seed.iloc[0]
        ax.plot(100 * share, np.sort(rows.loss)[::-1], label=arm if first else None, **look)
    words = {"xlabel": "mini-batches, highest loss first (%)", "ylabel": "mean loss of a mini-batch (nats)"}
    return finished(ax, **words, ylim=(0, None))


# ---- matching rates on changed images (notebook 03) ------------------------------------------------------------------


def figure_2(table: pd.DataFrame, *, value: str = "other", ax: np.ndarray | None = None) -> np.ndarray:
    """Fig. 2: matching rate of plain with changed easiness against each change's strength, a panel a change.

    All nets, easy in full lines and hard in dashed ones; a band is the interval, the dotted line is chance.

    table: `perturbed_rates` of all nets and both sets, as notebook 03 has it (or its saved table "strengths");
    columns net, which, change, strength, chance, and `value` with its _low and _high: "other" (trials that share
    nothing) or "same" (the same trials on both sides). ax: (changes,) Axes; they are what is returned.
    """
    names, looks = list(dict.fromkeys(table.change)), net_looks(table.net)
    if ax is None:
        ax = panels(1, len(names), 2.7 * len(names) + 0.3, 4, sharey=True)[0]
    for letter, one, name in zip(ascii_lowercase, ax, names, strict=False):
        for (net, which), rows in table[table.change == name].groupby(["net", "which"], sort=False):
            hard = {"linestyle": "--", "markerfacecolor": "white"} if which == "hard" else {"linestyle": "-"}
            ends = (rows[f"{value}_low"], rows[f"{value}_high"])
            draw_line(one, _places(name, rows.strength), rows[value], *ends, shade=0.1, **looks[net] | hard)
        one.axhline(table.chance.iloc[0], color="0.4", linestyle=":")
        change = CHANGES[name]
        one.set(title=f"({letter}) {change.title or name}", xlabel=textwrap.fill(change.axis, 20), ylim=(0, 1))
        _strengths(one, name, table[table.change == name].strength, apart=0.2)
    ax[0].set_ylabel("matching rate with plain images")
    lines = [Line2D([], [], **look | {"linestyle": "-"}, markersize=5, label=net) for net, look in looks.items()]
    sets = {"easy 10%": {"linestyle": "-"}, "hard 10%": {"linestyle": "--", "marker": "o", "markerfacecolor": "white"}}
    lines += [Line2D([], [], color="0.4", label=words, **look) for words, look in sets.items()]
    lines += [Line2D([], [], color="0.4", linestyle=":", label="chance")]
    ax[0].figure.legend(handles=lines, ncol=min(6, len(lines)), loc="outside lower center")
    return ax


def changed_rates(table: pd.DataFrame, *, ax: np.ndarray | None = None) -> np.ndarray:
    """Fig. 2 of one net: matching rates (a row for easy, one for hard) and accuracy against each change's strength.

    table: `perturbed_rates` of one net, both sets; columns which, change, strength, same, other, blind with their
    _low and _high, accuracy, accuracy_low, accuracy_high, tie_low, tie_high, chance, stratified_chance.
    ax: (3, changes) Axes; they are what is returned.
    """
    names = list(dict.fromkeys(table.change))
    if ax is None:
        ax = panels(3, len(names), 2.8 * len(names) + 0.4, 9, sharex="col", sharey=True)
    for column, name in zip(ax.T, names, strict=True):
        for one, which in zip(column, ("easy", "hard"), strict=False):
            _rates(one, table[(table.change == name) & (table.which == which)], name, which)
        rows = table[(table.change == name) & (table.which == "easy")]
        ends = (rows.accuracy_low, rows.accuracy_high)
        draw_line(column[2], _places(name, rows.strength), rows.accuracy, *ends, color="0.25", marker="D")
        for one in column:
            _strengths(one, name, rows.strength, apart=0.16)
        column[0].set_title(f"({ascii_lowercase[names.index(name)]}) {CHANGES[name].title or name}")
        column[2].set(xlabel=textwrap.fill(CHANGES[name].axis, 20), ylim=(0, 1.02))
    for one, what in zip(ax[:, 0], ("matching rate, easy", "matching rate, hard", "accuracy"), strict=True):
        one.set_ylabel(what)
    ax[0, 0].figure.legend(handles=_legend_of_rates(), ncol=3, loc="outside lower center")
    return ax


def rates_against_accuracy(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Matching rate against accuracy, a line a change, of one net and set; dashed: as many errors, blindly (Fig. 2).

    table: `perturbed_rates` of one net and set; columns change, strength, accuracy, other, other_low, other_high,
    blind, chance.
    """
    ax = ax or new(4.8)
    for name, rows in table.groupby("change", sort=False):
        shade, change = SHADES[list(CHANGES).index(name) % len(SHADES)], CHANGES[name]
        rows = rows.iloc[np.argsort(_places(name, rows.strength))]
        error = [rows.other - rows.other_low, rows.other_high - rows.other]
        style = {"color": shade, "markersize": 6, "linewidth": 1.8, "elinewidth": 0.8}
        ax.errorbar(rows.accuracy, rows.other, error, fmt=f"{change.symbol}-", label=change.title or name, **style)
        ax.plot(rows.accuracy, rows.blind, "--", color=shade, linewidth=1.2)
    ax.plot([], [], "--", color="0.4", linewidth=1.2, label="blind errors")
    ax.axhline(table.chance.iloc[0], color="0.5", linestyle=":", label="chance")
    words = {"xlabel": "accuracy on the changed images", "ylabel": "matching rate, other trials"}
    return finished(ax, **words, ylim=(0, None))


# ---- estimates, a row each -------------------------------------------------------------------------------------------


class Style(NamedTuple):
    """How a series of estimates is drawn: its words in the key (None: not in it), colour, marker."""

    words: str | None
    colour: object = COLOURS[0]
    marker: str = "o"


class Mark(NamedTuple):
    """What stands beside the estimates: a column, its marker, colour (None: the series'), size, places further down."""

    column: str
    marker: str
    colour: object = None
    size: float = 7
    aside: float = 0.0


BOTH = {"easy": Style("easy", WHICH_COLOURS["easy"], "o"), "hard": Style("hard", WHICH_COLOURS["hard"], "s")}
_HERE = {which: look._replace(words=f"{which}, here") for which, look in BOTH.items()}


def forest(
    table: pd.DataFrame,
    *,
    label: str,
    value: str | None,
    by: str | None = None,
    looks: Mapping[str | None, Style] | None = None,
    apart: float = 0.32,
    marks: Mapping[str, Mark] | None = None,
    bands: Mapping[str, tuple[str, str]] | None = None,
    zero: tuple[float, str | None] | None = None,
    order: list[str] | None = None,
    scale: float = 1,
    ax: Axes | None = None,
    **labels,
) -> Axes:
    """A row a label: estimate and interval, marks beside it, bands behind it, a dotted line to read it against.

    table: the columns `label` (what a row is called), `value` (None: no estimate), low, high, and `by`, whose values
    are the series of a row, `apart` rows from one another; looks: a Style for each series, in their order, or for None.
    marks: words in the key -> Mark; bands: words -> columns of its two ends; both are left out where the table has no
    such number. zero: where the line is, and its words. order: the rows, else as they come. scale: of all numbers.
    labels: and limits of the axis, as of `Axes.set`.
    """
    order = order or list(dict.fromkeys(table[label]))
    looks = looks or {None: Style(None)}
    ax = ax or new(1.6 + (0.36 + 0.1 * (apart > 0) * len(looks)) * len(order))
    row = {name: at for at, name in enumerate(order)}
    for words, (low, high) in (bands or {}).items():
        once = table.drop_duplicates(label)
        left, width = scale * once[low], scale * (once[high] - once[low])
        ax.barh(once[label].map(row), width, left=left, height=0.74, color="0.86", linewidth=0, label=words)
    for at, (series, look) in enumerate(looks.items()):
        rows = table if by is None else table[table[by] == series]
        rows = rows.assign(y=rows[label].map(row) + apart * (at - (len(looks) - 1) / 2))
        if value:
            once = rows.drop_duplicates(label)
            x, error = scale * once[value], scale * np.array([once[value] - once.low, once.high - once[value]])
            style = {"color": look.colour, "markersize": 7, "capsize": 3, "label": look.words}
            ax.errorbar(x, once.y, xerr=error, fmt=look.marker, **style)
        for words, mark in (marks or {}).items():
            if mark.column in rows and rows[mark.column].notna().any():
                own = mark.colour is None  # a mark of one colour is named once, one of every series with its name
                named = look.words and f"{look.words.partition(',')[0]}, {words}" if own else words if at == 0 else None
                style = {"color": look.colour if own else mark.colour, "markersize": mark.size, "label": named}
                style |= {"markeredgewidth": 2} if mark.marker in "x+|" else {}
                ax.plot(scale * rows[mark.column], rows.y + mark.aside, mark.marker, **style)
    if zero:
        ax.axvline(zero[0], color="0.4", linestyle=":", linewidth=1.6, label=zero[1], zorder=1)
    ax.set(yticks=range(len(order)), yticklabels=order, ylim=(len(order) - 0.5, -0.5), **labels)
    ax.grid(False, axis="y")
    if ax.get_legend_handles_labels()[1]:
        key(ax, estimates_first=True)
    return ax


def pairs(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Table 1 as a forest: matching rate of every pair with its interval, its chance lines and the printed value.

    table: pair, which, rate, low, high, stratified_chance, paper (nan where not printed).
    """
    marks = {"chance, classes kept": Mark("stratified_chance", "|", "0.35", 11), "printed": Mark("paper", "x")}
    look = {"by": "which", "looks": _HERE, "marks": marks, "zero": (0.1, "chance"), "ax": ax}
    return forest(table, label="pair", value="rate", **look, xlabel="matching rate", xlim=(-0.02, 1.02))


def shares(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Share of the ceiling: how alike two nets are, each being as alike as with itself = 1 (Table 1, off the diagonal).

    table: pair, which ("easy" | "hard"), share, low, high, printed (the printed table's own share; nan: none).
    """
    marks, line = {"printed": Mark("printed", "x", size=9)}, (1, "as alike as each net with itself")
    ends = min(0, table.low.min()), max(1.1, 1.05 * table.filter(["share", "high", "printed"]).max().max())
    look = {"by": "which", "looks": _HERE, "marks": marks, "zero": line, "ax": ax}
    return forest(table, label="pair", value="share", **look, xlabel="share of the ceiling", xlim=ends)


def tie_rules(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Table 1 by each tie rule: a pair a row, inside the range that any breaking of the ties can give.

    table: pair, expected, inclusive, index, tie_low, tie_high.
    """
    ways = {"expected": ("o", COLOURS[0]), "inclusive": ("s", COLOURS[1]), "index": ("^", COLOURS[4])}
    look = {"marks": {rule: Mark(rule, *way) for rule, way in ways.items()}, "zero": (0.1, "chance"), "ax": ax}
    look |= {"bands": {"any tie-breaking": ("tie_low", "tie_high")}, "xlabel": "matching rate", "xlim": (-0.02, 1.02)}
    return forest(table, label="pair", value=None, **look)


def batch_norm(table: pd.DataFrame, *, ax: np.ndarray | None = None) -> np.ndarray:
    """What a net gains in agreement with each other net by batch normalisation, a panel a measure (Table 1 c, d).

    table: partner, normalised, measure, which, difference, low, high (`both_sets`), paper (nan: not printed).
    ax: one Axes a measure; they are what is returned.
    """
    measures, has = list(dict.fromkeys(table.measure)), table.drop_duplicates("partner").set_index("partner").normalised
    named = {name: f"{name}{' (BN)' if has[name] and not name.startswith('nets') else ''}" for name in has.index}
    if ax is None:
        ax = panels(1, len(measures), 1.7 + 2 * len(measures), 1.8 + 0.56 * len(named), sharey=True)[0]
    ax, table = np.atleast_1d(ax), table.assign(partner=table.partner.map(named))
    look = {"label": "partner", "value": "difference", "by": "which", "looks": BOTH, "order": list(named.values())}
    look |= {"marks": {"printed": Mark("paper", "x")}, "zero": (0, None), "xlabel": "with batch norm\nless without"}
    for one, measure in zip(ax, measures, strict=True):
        forest(table[table.measure == measure], **look, title=measure, ax=one)
        one.locator_params(axis="x", nbins=4)
        one.get_legend().remove()
    ax[0].figure.legend(*ax[0].get_legend_handles_labels(), ncol=4, loc="outside lower center")
    return ax


def similarity(table: pd.DataFrame, *, by: str = "space", ax: Axes | None = None) -> Axes:
    """How alike the easy and the hard set are, as a ratio to random sets, grey; below 1 = more alike (Figs 1, 6, 7).

    table: which, ratio, low, high, band_low, band_high, and the column `by`, whose values are the figure's rows.
    """
    look = {"by": "which", "looks": BOTH, "apart": 0.26, "zero": (1, None), "ax": ax}
    look |= {"bands": {"random sets (95%)": ("band_low", "band_high")}}
    return forest(table, label=by, value="ratio", **look, xlabel="distance within the set, random set of the class = 1")


def differences(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Paired differences of accuracy in points, each with its interval; zero is the dotted line (Fig. 4).

    table: label (a row each, in order), mode (its colour), estimate, low, high (0..1 scale).
    """
    there = {mode: own for mode, own in MODE_STYLES.items() if (table["mode"] == mode).any()}
    looks = {mode: Style(mode, own["color"], own["marker"]) for mode, own in there.items()}
    look = {"by": "mode", "looks": looks, "apart": 0, "zero": (0, None), "scale": 100, "ax": ax}
    return forest(table, label="label", value="estimate", **look, xlabel="difference in accuracy (points)")


def arm_differences(table: pd.DataFrame, *, xlabel: str, value: str = "gain", ax: Axes | None = None) -> Axes:
    """Each arm against plain training: every seed a dot, mean and interval (the high-loss paper's question).

    table: arm, mean, low, high, and the column `value`, of a seed; an arm without interval shows its seeds alone.
    """
    table = table.assign(mean=table["mean"].where(np.isfinite(table.low)))
    looks = {arm: Style(None, arm_look(arm)["color"], arm_look(arm)["marker"]) for arm in dict.fromkeys(table.arm)}
    style = {"marks": {"one seed": Mark(value, ".", size=6, aside=0.26)}, "apart": 0, "zero": (0, None)}
    ax = forest(table, label="arm", value="mean", by="arm", looks=looks, ax=ax, xlabel=xlabel, **style)
    ax.plot([], [], ".", color="0.4", label="one seed")
    ax.errorbar([], [], xerr=[], fmt="o", color="0.4", capsize=3, label="mean, 95% interval")
    key(ax, estimates_first=True)
    return ax


def learnability_pairs(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Correlation of learnability of every pair of nets, with what it is to be read against (SL's pairs).

    table: pair, r, low, high, spearman, online, ceiling, alone (classes alone), paper, paper_in_parentheses (nan where
    not printed).
    """
    marks = {
        "Spearman": Mark("spearman", "s", COLOURS[2], 6, -0.24),
        "Pearson, online hits": Mark("online", "^", COLOURS[9], 7, 0.24),
        "printed": Mark("paper", "x", COLOURS[3], 9),
        "printed in parentheses": Mark("paper_in_parentheses", "+", COLOURS[3], 11),
        "ceiling: the nets' own seeds": Mark("ceiling", "|", "0.2", 16),
        "classes alone": Mark("alone", "|", "0.65", 16),
    }
    look = {"looks": {None: Style("Pearson, with 95% interval")}, "marks": marks, "ax": ax or new(2 + 0.7 * len(table))}
    words = {"xlabel": "correlation of learnability between two nets"}
    low = min(0, table[["low", "alone", "online"]].min().min() - 0.05)
    return forest(table, label="pair", value="r", **look, **words, xlim=(low, 1))


def errors_found(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """How well each score finds wrong labels: average precision, a row a score, a colour a kind of error (ours).

    table: score, kind, mean, low, high (`mislabels.over_plantings`, of one share); chance, the dotted line.
    """
    kinds = dict.fromkeys(table.kind)
    looks = {kind: Style(kind, COLOURS[(0, 1, 2)[at % 3]], "os^"[at % 3]) for at, kind in enumerate(kinds)}
    look = {"by": "kind", "looks": looks, "apart": 0.22, "zero": (float(table.chance.mean()), "chance"), "ax": ax}
    return forest(table, label="score", value="mean", **look, xlabel="average precision", xlim=(0, None))


def signs(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """How well each sign tells misclassified examples: area under the ROC curve, interval, a row a sign (Fig. 5).

    table: sign, measure ("AUC" | "AUC within classes"), value, low, high.
    """
    looks = {"AUC": Style("all pairs"), "AUC within classes": Style("within a class", "0.35", "s")}
    look = {"by": "measure", "looks": looks, "apart": 0.26, "zero": (0.5, "chance"), "ax": ax}
    look |= {"xlabel": "P(a right example is easier than a wrong one)", "xlim": (min(0.45, table.low.min()), 1)}
    return forest(table, label="sign", value="value", **look)


# ---- cells, bars and dots --------------------------------------------------------------------------------------------


def table_1(best: pd.DataFrame, *, ax: np.ndarray | None = None) -> np.ndarray:
    """Table 1 as printed, ours below: nets against nets, the diagonal a net with itself; a panel a set, easy and hard.

    best: a, b (labels of nets), which ("easy" | "hard"), paper (nan: not printed), rate, low, high, verdict
    ("as printed" | "not as printed" | "open": a cell's colour and sign). Up to four nets the panels stand side by side,
    more of them below each other, to stay legible. ax: one Axes a set; they are what is returned, (sets,).
    """
    sets = [which for which in ("easy", "hard") if (best.which == which).any()]
    nets = list(dict.fromkeys([*best.a, *best.b]))
    if ax is None:
        down, across = (1, len(sets)) if len(nets) < 5 else (len(sets), 1)
        width = WIDTH * (1 if across > 1 or len(nets) > 4 else 0.6)
        ax = panels(down, across, width, 0.9 + down * (0.9 + 0.74 * len(nets))).ravel()
    ax = np.atleast_1d(ax)
    for one, which in zip(ax, sets, strict=True):
        _nets(one, nets)
        one.set_title(f"{which} 10%: share in common", fontsize=13, pad=18)
        for row in best[best.which == which].itertuples():
            at, to = sorted((nets.index(row.a), nets.index(row.b)))
            _cell(one, to, at, row, *_VERDICTS[row.verdict])
    handles = [Patch(color=shade, label=f"{sign} {words}") for words, (shade, sign) in _VERDICTS.items()]
    said = "each cell: printed, below it ours (bold) and its 95% interval"
    ax[0].figure.legend(handles=handles, title=said, ncol=3, loc="outside lower center", fontsize=12, title_fontsize=12)
    return ax


def ledger(correct: np.ndarray, *, ax: Axes | None = None) -> Axes:
    """Who was right when, for one trial: a row an epoch, a column an example, blue = right (what easiness counts).

    correct: bool (epochs, examples), at most some thousand examples; their order is the caller's.
    """
    ax = ax or new(0.6 + 0.4 * len(correct))
    ax.imshow(correct, aspect="auto", cmap=WRONG_RIGHT, vmin=0, vmax=1, interpolation="nearest")
    ax.set(xlabel="example", ylabel="epoch", yticks=range(len(correct)), yticklabels=range(1, len(correct) + 1))
    ax.grid(False)
    for edge in np.arange(len(correct) - 1) + 0.5:
        ax.axhline(edge, color="white", linewidth=2)
    return ax


def count_distribution(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """How many examples were right in c of N trials, beside what trials that ignore the image would give (Eq. 1).

    table: count (0..N), share (of examples, 0..1), chance (share if all images were equally easy).
    """
    ax = _bars(table, COLOURS[9], "trials seen", "if all images were alike", ax)
    return finished(ax, xlabel=f"trials that got the image right (of {table['count'].max()})", ylabel="images (%)")


def wrong_counts(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """How many nets misclassify an example, beside what nets that err independently would give (Secs 1 and 7.1).

    table: `consistency.times_wrong`: count, share, chance (0..1).
    """
    ax = _bars(table, WHICH_COLOURS["hard"], "seen", "if nets erred independently", ax)
    return finished(ax, xlabel=f"nets that misclassify it (of {table['count'].max()})", ylabel="test examples (%)")


def by_class(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Easiness within each class, classes from easiest to hardest (ours).

    table: class, easiness; one row an example.
    """
    means = table.groupby("class")["easiness"].mean().sort_values(ascending=False)
    ax = ax or new(1.2 + 0.34 * len(means))
    sns.boxplot(table, y="class", x="easiness", order=means.index, color="#bcd6e8", fliersize=1.5, linewidth=1, ax=ax)
    ax.plot(means, range(len(means)), "D", color=COLOURS[3], markersize=5, label="mean")
    ax.grid(False, axis="y")
    return finished(ax, xlabel="easiness (higher = easier)", ylabel="")


def tenths_kept(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """What is left of every tenth of the ranking: a row a way to choose, a column a tenth, hardest first (notebook 08).

    table: index the way to choose, ten columns of shares left, 0..1.
    """
    ax = ax or new(0.9 + 0.42 * len(table))
    ax.imshow(table.to_numpy(), aspect="auto", cmap="Blues", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(table.to_numpy()):
        ax.text(column, row, f"{100 * value:.0f}", ha="center", va="center", color="white" if value > 0.6 else "0.15")
    ax.set(yticks=range(len(table)), yticklabels=table.index, xticks=range(10), xticklabels=range(1, 11))
    ax.set(xlabel="tenth of the images, hardest first (numbers: % left)", ylabel="dropped")
    ax.grid(False)
    return ax


def relation(points: pd.DataFrame, bins: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Fig. 5: mean probability of the true class against easiness, a dot an example, and the means of the bins.

    points: easiness, probability (0..1), wrong (share of nets, 0..1: the dot's colour); bins: `validation.binned`.
    Dots of one easiness are spread sideways within its tenth, so that they can be seen.
    """
    ax = ax or new(4.8)
    spread = (np.arange(len(points)) * 0.618034) % 1 - 0.5  # even, and the same every time
    x, size = points.easiness + 0.07 * spread, np.clip(6000 / len(points), 2, 12)
    dots = ax.scatter(x, points.probability, c=points.wrong, s=size, cmap="cividis", vmin=0, vmax=1, alpha=0.55)
    error = [bins.probability - bins.low, bins.high - bins.probability]
    edge, line = {"color": "white", "markersize": 8, "linewidth": 4}, {"color": COLOURS[3], "capsize": 3}
    ax.errorbar(bins.easiness, bins.probability, error, fmt="o-", zorder=3, **edge)
    ax.errorbar(bins.easiness, bins.probability, error, fmt="o-", zorder=4, label="mean of a bin, 95%", **line)
    bar = ax.figure.colorbar(dots, ax=ax, label="share of nets that misclassify it")
    bar.solids.set_alpha(1)
    ax.set(xlabel="easiness (higher = easier)", ylabel="mean probability of the true class")
    return finished(ax, xlim=(-0.06, 1.06), ylim=(-0.03, 1.03))


def learnability_joint(table: pd.DataFrame, *, a: str, b: str, ax: Axes | None = None) -> Axes:
    """How many images are how learnable under two nets: a heat map, with b's mean at each a (behind SL's correlations).

    table: a, b, images (`learnability.joint`); a, b: the nets' names, for the axes.
    """
    ax = ax or new(5.6, 5.6)
    square = table.pivot(index="b", columns="a", values="images")
    centres = square.columns.to_numpy()
    edge = np.append(centres, centres[-1] + centres[1]) - centres[1] / 2
    norm = LogNorm(1, max(2, square.to_numpy().max()))
    mesh = ax.pcolormesh(edge, edge, square.where(square > 0), cmap="crest", norm=norm)
    ax.figure.colorbar(mesh, ax=ax, label="images", shrink=0.8)
    of_a = table.groupby("a").apply(lambda g: (g.b * g.images).sum() / max(g.images.sum(), 1), include_groups=False)
    seen = square.sum() > 0
    ax.plot(centres[seen], of_a[seen], "o-", color=COLOURS[3], markersize=4, label=f"mean of {b}")
    ax.plot([0, 1], [0, 1], ":", color="0.4", label="equal")
    ax.grid(False)
    return finished(ax, xlabel=f"learnability under {a}", ylabel=f"learnability under {b}", aspect="equal")


def score_correlations(same: pd.DataFrame, across: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Scores against scores (ours): below the diagonal in the same trial, above and on it between two trials of a net.

    same, across: square, the same names as index and columns; the diagonal of `across` is each score's ceiling.
    """
    names = list(across.index)
    ax = ax or new(1.6 + 0.62 * len(names), 2.6 + 0.72 * len(names))
    lower = np.tri(len(names), k=-1, dtype=bool)
    shown = across.where(~lower, same.loc[names, names])
    low = min(0.0, float(np.nanmin(shown.to_numpy())))
    sns.heatmap(shown, vmin=low, vmax=1, cmap="crest", annot=True, fmt=".2f", square=True, linewidths=1.5, ax=ax)
    ax.collections[0].colorbar.set_label("correlation")
    for at in range(len(names)):
        ax.add_patch(Rectangle((at, at), 1, 1, fill=False, edgecolor=COLOURS[1], linewidth=2.5, clip_on=False))
    ax.set_title("above: another trial   ·   framed: its own ceiling   ·   below: the same trial", fontsize=10)
    ax.grid(False)
    ax.set(xlabel="", ylabel="")
    ax.tick_params(axis="x", rotation=45)
    plt.setp(ax.get_xticklabels(), ha="right", rotation_mode="anchor")
    ax.tick_params(axis="y", rotation=0)
    return ax


# ---- helpers ---------------------------------------------------------------------------------------------------------


def _trials(ax: Axes, rows: pd.DataFrame, x: str, shift: float, aside: float, look: dict, *, small: float) -> None:
    """Every trial a small open mark, so far aside of its point; the points' means a line, their intervals bars."""
    if rows.empty:
        return
    if "accuracy" in rows:
        style = {"marker": look["marker"], "color": look["color"], "markersize": small, "markerfacecolor": "none"}
        ax.plot(rows[x] + shift - aside, 100 * rows.accuracy, linestyle="none", **style)
    points = rows.drop_duplicates(x)
    mean, low, high = (100 * points[column] for column in ("mean", "low", "high"))
    draw_line(ax, points[x] + shift, mean, low, high, bars=True, **look | {"markersize": 6, "linewidth": 1.8})


def _gap(values: pd.Series, alone: float = 0.1) -> float:
    """The smallest distance of two values: what marks of one value are spread by."""
    steps = np.diff(sorted(values.unique()))
    return float(steps.min()) if len(steps) else alone


def _ticks(ax: Axes, places: pd.Series, *, logarithmic: bool = False) -> None:
    """Ticks at these values alone, numbers where there is room; a logarithmic axis where they are spaced so."""
    values = np.array(sorted(places.unique()))
    at = values
    if logarithmic or (len(values) > 2 and np.diff(values).max() > 2 * np.diff(values).min()):
        ax.set_xscale("log")
        at = np.log(values)
    named = {len(values) - 1}
    for one in reversed(range(len(values) - 1)):
        if at[min(named)] - at[one] > 0.08 * (at[-1] - at[0]):
            named.add(one)
    ax.set_xticks(values, [f"{value:g}" if one in named else "" for one, value in enumerate(values)], minor=False)
    ax.minorticks_off()


def _rates(ax: Axes, rows: pd.DataFrame, name: str, which: str) -> None:
    x, look = _places(name, rows.strength), {"color": WHICH_COLOURS[which], "marker": {"easy": "o", "hard": "s"}[which]}
    ax.vlines(x, rows.tie_low, rows.tie_high, color="0.85", linewidth=7)
    draw_line(ax, x, rows.other, rows.other_low, rows.other_high, shade=0.18, **look)
    ax.plot(x, rows.same, linestyle="none", markerfacecolor="white", markersize=6, **look)
    draw_line(ax, x, rows.blind, color="0.25", linestyle="--", linewidth=1.4)
    draw_line(ax, x, rows.stratified_chance, color="0.5", linestyle="-.", linewidth=1.2)
    ax.axhline(rows.chance.iloc[0], color="0.5", linestyle=":")


def _legend_of_rates() -> list:
    marks = {"easy": "o", "hard": "s"}
    words = {"other trials (95%)": {"linestyle": "-"}, "same trials": {"linestyle": "", "markerfacecolor": "white"}}
    own = [
        Line2D([], [], color=WHICH_COLOURS[which], marker=mark, markersize=5, label=f"{which}, {said}", **look)
        for which, mark in marks.items()
        for said, look in words.items()
    ]
    lines = {"blind errors": ("0.25", "--"), "classes alone": ("0.5", "-."), "chance": ("0.5", ":")}
    rest = [Line2D([], [], color=ink, linestyle=dash, label=said) for said, (ink, dash) in lines.items()]
    return [*own, Patch(color="0.85", label="any tie-breaking"), *rest]


def _places(name: str, strengths) -> np.ndarray:
    """Where strengths stand on the axis, the plain end on the right: alpha as it is, tiles and radii as logarithms."""
    x = np.asarray(strengths, dtype=float)
    x = np.log2(x) if CHANGES[name].logarithmic else x
    return x if CHANGES[name].plain_last else -x


def _strengths(ax: Axes, name: str, strengths: pd.Series, *, apart: float) -> None:
    """Names of the strengths, from the plain end on, those that leave so much of the axis for a label."""
    change = CHANGES[name]
    plain = max(strengths) if change.plain_last else min(strengths)
    shown = sorted(set(strengths), key=lambda s: abs(s - plain))
    places, kept = _places(name, shown), [0]
    for at in range(1, len(shown)):
        if abs(places[at] - places[kept[-1]]) >= apart * (np.ptp(places) or 1):
            kept.append(at)
    labels = [change.plain_tick if change.plain_tick and not at else change.tick(shown[at]) for at in kept]
    ax.set_xticks(places[kept], labels)


def _bars(table: pd.DataFrame, shade: object, seen: str, chance: str, ax: Axes | None) -> Axes:
    ax = ax or new(4.4)
    ax.bar(table["count"], 100 * table["share"], width=0.8, color=shade, label=seen)
    ax.plot(table["count"], 100 * table["chance"], "o--", color="0.25", markersize=4, label=chance)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.grid(False, axis="x")
    return ax


def _nets(ax: Axes, nets: list[str]) -> None:
    """Names above the columns, and at the left of each row's first cell: the lower triangle is empty."""
    names = [re.sub("(?<=[a-z])(?=Net)", "\n", net) if len(net) > 8 else net for net in nets]
    for at, name in enumerate(names):
        ax.text(at, -0.56, name, ha="center", va="bottom", fontsize=12, linespacing=0.9)
        ax.text(at - 0.56, at, name, ha="right", va="center", fontsize=12, linespacing=0.9)
    letters = max(map(len, names[0].split("\n")))
    ax.set(xlim=(-0.6 - 0.17 * letters, len(nets) - 0.48), ylim=(len(nets) - 0.48, -0.85))
    ax.axis("off")


def _cell(ax: Axes, x: int, y: int, row, shade: object, sign: str) -> None:
    """Printed, below it ours, below it the interval in small type; the verdict's sign in the corner."""
    ax.add_patch(Rectangle((x - 0.48, y - 0.48), 0.96, 0.96, color=shade, linewidth=0))
    lines = [(15, f"{row.paper:.2f}" if np.isfinite(row.paper) else "–", 12, "normal", "0.3")]
    lines += [(0, f"{row.rate:.2f}", 13.5, "bold", "0")]
    if np.isfinite(row.low):
        lines += [(-15, f"{row.low:.2f}–{row.high:.2f}".replace("0.", "."), 11, "normal", "0")]
    for up, words, size, weight, ink in lines:
        style = {"ha": "center", "va": "center", "fontsize": size, "fontweight": weight, "color": ink}
        ax.annotate(words, (x, y), (0, up), textcoords="offset points", **style)
    ax.annotate(sign, (x + 0.44, y - 0.45), ha="right", va="top", fontsize=11, color="0.3")
