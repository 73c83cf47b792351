"""Curves over m, epochs, cuts, rates and shares kept, each with a band or bars, told apart by mark or dash as well."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from easel.plot.base import COLOURS, MODE_STYLES, WHICH_COLOURS, arm_look, key, looks, net_looks, new

# of what is dropped (notebook 08); a label that is none of these takes the next of OTHERS
HOWS = {
    "easiest": MODE_STYLES["easy"],
    "hardest": MODE_STYLES["hard"],
    "random": MODE_STYLES["random"],
    "balanced": {"color": COLOURS[2], "marker": "D", "linestyle": "-."},
    "window": {"color": COLOURS[4], "marker": "v", "linestyle": (0, (5, 1, 1, 1, 1, 1))},
    "all": {"color": "0.15", "marker": "x", "linestyle": (0, (1, 1))},
}
OTHERS = [(COLOURS[4], "D", "-"), (COLOURS[2], "v", "--"), (COLOURS[5], "P", "-.")]


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


# ---- matching rates ------------------------------------------------------------------------------------------------


def overlap(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Matching rate against the cut, a line a pair, band: any tie-breaking (Table 1 at every cut).

    table: `matching.overlap_curve` with a column pair.
    """
    ax, own = ax or new(4.6), looks(table.pair)
    for at, (pair, rows) in enumerate(table.groupby("pair", sort=False)):
        faint = {"shade": min(0.1, 0.5 / len(own)), "markevery": (at % 6, 6)}  # bands that lie on each other
        draw_line(ax, 100 * rows.fraction, rows.rate, rows.low, rows.high, label=pair, **faint, **own[pair])
    ax.plot(100 * rows.fraction, rows.chance, ":", color="0.4", label="chance")
    ax.set(xlabel="images in the set (%)", ylabel="matching rate", ylim=(0, 1), xlim=(0, 50))
    key(ax)
    return ax


def over_epochs(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Matching rate of each pair against m, with intervals (Table 1 at every m). table: pair, m, rate, low, high."""
    own = looks(table.pair)
    ax = ax or new(4 + 0.14 * len(own))
    for at, (pair, rows) in enumerate(table.groupby("pair", sort=False)):
        aside = rows.m + 0.18 * (at / len(own) - 0.5)
        draw_line(ax, aside, rows.rate, rows.low, rows.high, bars=True, label=pair, **own[pair])
    ax.axhline(0.1, color="0.5", linestyle=":", label="chance")
    ax.set(xlabel="m, epochs before counting", ylabel="matching rate", ylim=(0, 1), xticks=sorted(table.m.unique()))
    ax.set_xlim(table.m.min() - 0.3, table.m.max() + 0.3)
    key(ax)
    return ax


def reliability(
    table: pd.DataFrame,
    *,
    projected: pd.DataFrame | None = None,
    printed: pd.Series | None = None,
    ax: Axes | None = None,
) -> Axes:
    """How alike two disjoint groups of trials are, against their size (Sec. 2.1; `scores.reliability_curve`).

    projected: `scores.projected`, broken lines with open marks on a logarithmic axis. printed: the paper's rate of easy
    or hard (Table 1, diagonal), level lines.
    """
    ax = ax or new(4.4)
    names = {"spearman": ("Spearman's correlation, all images", "0.3", "D")}
    names |= {
        which: (f"{which} 10%: matching rate", WHICH_COLOURS[which], mark)
        for which, mark in zip(WHICH_COLOURS, "os", strict=False)
    }
    for measure, rows in table.groupby("measure", sort=False):
        words, shade, mark = names[measure]
        look = {"color": shade, "marker": mark, "linestyle": "--" if measure == "hard" else "-", "label": words}
        draw_line(ax, rows.trials, rows["mean"], rows.low, rows.high, **look)
    for measure, rows in () if projected is None else projected.groupby("measure", sort=False):
        open_mark = {"marker": names[measure][2], "markerfacecolor": "white", "linestyle": (0, (1, 1))}
        draw_line(
            ax, rows.trials, rows["mean"], color=WHICH_COLOURS[measure], label=f"{measure} 10%: projected", **open_mark
        )
    for which, rate in () if printed is None else printed.items():
        ax.axhline(
            rate, color=WHICH_COLOURS[which], linewidth=1.2, linestyle=(0, (6, 3)), label=f"{which} 10%: printed"
        )
    ax.axhline(0.1, color="0.5", linestyle=":", label="chance for a matching rate")
    ax.set(xlabel="trials in each of the two groups", ylabel="agreement", ylim=(0, 1))
    if projected is None:
        ax.xaxis.get_major_locator().set_params(integer=True)
    else:
        ax.set_xscale("log")
        ax.set_xticks(sorted(projected.trials.unique()), map(str, sorted(projected.trials.unique())), minor=False)
        ax.minorticks_off()
    key(ax)
    return ax


# ---- dropping, random labels, what is kept -------------------------------------------------------------------------


def ablation(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Fig. 4, one panel: accuracy against the rate; a small open mark a trial, the mean a line, its interval a bar.

    table: one row a trial: mode ("easy" | "hard" | "random"), rate, accuracy (may be missing), mean, low, high (of its
    point), and chance, a dotted line, if there is such a column. Bars that leave 0 to the highest trial are cut off by
    the frame.
    """
    ax = ax or new(4.4)
    modes = [(mode, look, table[table["mode"] == mode]) for mode, look in MODE_STYLES.items()]
    gap, shifts = _gap(table.rate), {"easy": -0.13, "hard": 0.13, "random": 0}
    for mode, look, rows in modes:
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
    ax.set(xlabel="rate", ylabel="left of the tenth (%)", ylim=(-4, 104), xticks=sorted(table.rate.unique()))
    key(ax)
    return ax


def figure_4(
    dropped: pd.DataFrame, noisy: pd.DataFrame, *, left: pd.DataFrame | None = None, ax: np.ndarray | None = None
) -> np.ndarray:
    """Fig. 4 on one sheet: above, accuracy against the drop rate, below, against the random-label rate.

    dropped, noisy: as `ablation` takes them (notebook 04: `paired.with_intervals(dropped, ["mode", "rate"])`, `noisy`
    with chance), and data, the name of a data set, a column of panels each, where there is such a column: with two,
    panels (a) to (d) as printed. left: as `share_left` takes it; a further column, with the key in its empty panel, so
    that one data set fills four panels. Without accuracy (tables as saved) means and intervals stand alone.
    Returns the Axes, (2, data sets [+ 1]).
    """
    sets = list(dict.fromkeys(dropped.data)) if "data" in dropped else [None]
    across = len(sets) + (left is not None)
    if ax is None:
        size = {"figsize": (max(5, 4.2 * across), 7), "layout": "constrained"}
        ax = plt.subplots(2, across, squeeze=False, sharex=True, **size)[1]
    for down, (frame, what) in enumerate(((dropped, "drop rate"), (noisy, "random-label rate"))):
        for at, name in enumerate(sets):
            panel, rows = ax[down, at], frame if name is None else frame[frame.data == name]
            ablation(rows, ax=panel).set(xlabel=what, ylabel="test accuracy (%)" if at == 0 else "")
            titles = ("examples dropped", "labels drawn at random")
            panel.set_title(f"({'abcd'[2 * down + at]}) {name}" if len(sets) == 2 else name or titles[down])
            panel.get_legend().remove()
            panel.tick_params(labelbottom=True)
    handles, words = ax[1, 0].get_legend_handles_labels()
    if left is None:
        ax[0, 0].figure.legend(handles, words, title="mainly taken", ncol=4, loc="outside lower center")
        return ax
    share_left(left, ax=ax[0, -1]).set(xlabel="drop rate", title="what dropping leaves")
    ax[0, -1].get_legend().remove()
    ax[0, -1].tick_params(labelbottom=True)
    ax[1, -1].axis("off")
    more = ax[0, -1].get_legend_handles_labels()
    ax[1, -1].legend(handles + more[0], words + more[1], title="mainly taken", loc="center")
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
    gap, others = min(15.0, _gap(table.keep, 10)), iter(OTHERS)
    labels = list(dict.fromkeys(table.label))
    for i, label in enumerate(labels):
        rows = table[table.label == label]
        look = HOWS.get(label) or dict(zip(("color", "marker", "linestyle"), next(others), strict=True))
        x = rows.keep + 0.07 * gap * (i - (len(labels) - 1) / 2)
        draw_line(ax, x, 100 * rows.estimate, 100 * rows.low, 100 * rows.high, bars=True, label=label, **look)
    ax.axhline(0, color="0.35", linewidth=1.2)
    ax.set(xlabel="images kept (%)", ylabel="difference in accuracy (points)", xticks=sorted(table.keep.unique()))
    ax.grid(False, axis="x")
    key(ax)
    return ax


# ---- misclassified test examples -----------------------------------------------------------------------------------


def captured(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Share of the misclassified that are hard against the fraction called hard, with chance and the most (Sec. 7.1).

    table: `validation.curve`'s columns and `line`, the name of a curve; band: any tie-breaking. The dotted and dashed
    comparisons are drawn for every line and named once.
    """
    ax = ax or new(5)
    for at, (name, rows) in enumerate(table.groupby("line", sort=False)):
        x, shade = 100 * rows.fraction, COLOURS[at]
        look = {"color": shade, "marker": "os^DvPX<>"[at], "linewidth": 2, "markevery": max(1, len(rows) // 10)}
        draw_line(ax, x, rows.share, rows.tie_low, rows.tie_high, label=name, **look)
        ax.plot(x, rows.most, "--", color=shade, linewidth=1)
        ax.plot(x, rows.class_chance, "-.", color=shade, linewidth=1)
    ax.plot(x, rows.chance, ":", color="0.4", label="chance")
    ax.plot([], [], "-.", color="0.4", linewidth=1, label="chance, classes kept")
    ax.plot([], [], "--", color="0.4", linewidth=1, label="most that is possible")
    ax.axhline(0.5, color="0.75", linewidth=1, zorder=0)
    ax.set(xlabel="examples called hard (%)", ylabel="share of the misclassified", xlim=(0, 100), ylim=(0, 1))
    key(ax)
    return ax


# ---- learnability --------------------------------------------------------------------------------------------------


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
    ax.set(xlabel="learnability (share of epochs; higher = easier)", ylabel="images at most that learnable (%)")
    ax.set(xlim=(0, 1), ylim=(0, 100))
    key(ax)
    return ax


def learnability_growth(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Correlation against the epochs counted: pairs of nets in full lines, a net with itself in broken ones (ours).

    table: epochs, a, b, r, low, high (`learnability.over_epochs`).
    """
    ax, (own, others) = ax or new(4.8), (table[table.a == table.b], table[table.a != table.b])
    for at, ((a, b), rows) in enumerate(others.groupby(["a", "b"], sort=False)):
        look = {"color": COLOURS[(2, 4, 7, 5, 9, 6)[at % 6]], "marker": "os^DvP"[at % 6], "label": f"{a} – {b}"}
        aside = rows.epochs * 1.015**at  # so that the bars do not hide each other
        draw_line(ax, aside, rows.r, rows.low, rows.high, bars=True, **look)
    for net, rows in own.groupby("a", sort=False):
        look = net_looks(own.a)[net] | {"linestyle": "--", "markerfacecolor": "white", "label": f"{net}, two seeds"}
        draw_line(ax, rows.epochs, rows.r, **look)
    ax.set(xlabel="epochs counted, from the first", ylabel="Pearson's correlation")
    ax.set_ylim(min(0, table.r.min() - 0.05), 1)
    _epochs(ax, table.epochs)
    key(ax)
    return ax


def learnability_by_m(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Correlation of learnability with easiness at each m, a line a net; a ring where it is highest (ours).

    table: net, m, r, low, high (`learnability.by_epoch`).
    """
    ax, own = ax or new(4.4), net_looks(table.net)
    for at, (net, rows) in enumerate(table.groupby("net", sort=False)):
        draw_line(ax, rows.m, rows.r, rows.low, rows.high, label=net, **own[net])
        top, ring = rows.loc[rows.r.idxmax()], {"fillstyle": "none", "markeredgewidth": 2}
        ax.plot(top.m, top.r, "o", color=own[net]["color"], markersize=10 + 4 * at, **ring)
    ax.set(xlabel="m, epochs before counting", ylabel="correlation with learnability")
    ax.set(ylim=(min(0, table.low.min()), 1))
    _epochs(ax, table.m)
    key(ax)
    return ax


# ---- high-loss mini-batches ----------------------------------------------------------------------------------------


def arms_over_updates(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Test accuracy after every N_b updates, mean over seeds, of one net (HM).

    table: arm, seed, epoch, accuracy (0..1).
    """
    ax = ax or new(5)
    means = table.groupby(["arm", "epoch"], sort=False).accuracy.mean()
    for arm in dict.fromkeys(table.arm):
        draw_line(ax, means[arm].index, 100 * means[arm], label=arm, **arm_look(arm))
    ax.set(xlabel="updates / number of mini-batches (epochs of plain training)", ylabel="test accuracy (%)")
    ax.xaxis.get_major_locator().set_params(integer=True)
    key(ax)
    return ax


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
    ax.set(xlabel="mini-batches, highest loss first (%)", ylabel="mean loss of a mini-batch (nats)", ylim=(0, None))
    key(ax)
    return ax


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


def _epochs(ax: Axes, epochs: pd.Series) -> None:
    """Whole epochs on the axis; a logarithmic one where they are spaced so."""
    values = sorted(epochs.unique())
    if len(values) > 2 and np.diff(values).max() > 2 * np.diff(values).min():
        ax.set_xscale("log")
    ax.set_xticks(values, [f"{value:g}" for value in values], minor=False)
    ax.minorticks_off()
