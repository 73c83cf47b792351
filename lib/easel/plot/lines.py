"""Curves over m, epochs, cuts, rates and shares kept, each with a band or bars, told apart by mark or dash as well."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from easel.plot.base import COLOURS, MARKS, MODE_STYLES, WHICH_COLOURS, arm_look, finished, key, looks, net_looks, new

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
    ax: Axes,
    table: pd.DataFrame,
    by: str,
    x: str,
    y: str,
    own: Mapping[str, dict],
    *,
    ends: tuple[str, str] | None = ("low", "high"),
    scale: float = 1,
    apart: float = 0,
    **style,
) -> None:
    """A line (`draw_line`) for each value of the column `by`, in the table's order, each with its own look.

    ends: columns of the interval, or None; scale: of y and its ends; apart: how far the lines stand beside one another,
    so that their bars do not hide each other.
    """
    for at, (name, rows) in enumerate(table.groupby(by, sort=False)):
        low, high = (scale * rows[end] for end in ends) if ends else (None, None)
        look = style | {"label": name} | own[name]
        draw_line(ax, rows[x] + apart * (at - (len(own) - 1) / 2), scale * rows[y], low, high, **look)


def overlap(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Matching rate against the cut, a line a pair, band: any tie-breaking (Table 1 at every cut).

    table: `matching.overlap_curve` with a column pair.
    """
    ax, table = ax or new(4.6), table.assign(percent=100 * table.fraction)
    own = {pair: look | {"markevery": (at % 6, 6)} for at, (pair, look) in enumerate(looks(table.pair).items())}
    draw_curves(
        ax, table, "pair", "percent", "rate", own, shade=min(0.1, 0.5 / len(own))
    )  # bands that lie on each other
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
    own = {"spearman": {"color": "0.3", "marker": "D", "label": "Spearman's correlation, all images"}}
    for which, mark, dash in (("easy", "o", "-"), ("hard", "s", "--")):
        look = {"color": WHICH_COLOURS[which], "marker": mark, "linestyle": dash}
        own[which] = look | {"label": f"{which} 10%: matching rate"}
    draw_curves(ax, table, "measure", "trials", "mean", own)
    if projected is not None:
        ahead = {"markerfacecolor": "white", "linestyle": (0, (1, 1))}
        broken = {of: own[of] | ahead | {"label": f"{of} 10%: projected"} for of in ("easy", "hard")}
        draw_curves(ax, projected, "measure", "trials", "mean", broken, ends=None)
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
    ax.set_xticks(sorted(table.rate.unique()))
    return finished(ax, xlabel="rate", ylabel="left of the tenth (%)", ylim=(-4, 104))


def figure_4(dropped: pd.DataFrame, noisy: pd.DataFrame, *, ax: np.ndarray | None = None) -> np.ndarray:
    """Fig. 4 on one sheet: accuracy against the drop rate (a), and against the random-label rate (c), one key for both.

    dropped, noisy: as `ablation` takes them (notebook 04: `paired.with_intervals(dropped, ["mode", "rate"])`, `noisy`
    with chance); without accuracy (tables as saved) means and intervals stand alone. Returns the Axes, (2,).
    """
    if ax is None:
        ax = plt.subplots(1, 2, sharey=True, figsize=(8.4, 4.4), layout="constrained")[1]
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
    return finished(
        ax, xlabel="examples called hard (%)", ylabel="share of the misclassified", xlim=(0, 100), ylim=(0, 1)
    )


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
    return finished(ax, xlim=(0, 1), ylim=(0, 100))


def learnability_growth(table: pd.DataFrame) -> np.ndarray:
    """Correlation against the epochs counted: a panel a pair of nets, each net with itself in broken lines (ours).

    table: epochs, a, b, r, low, high (`learnability.correlations_over_epochs`). Returns the panels: (pairs,) Axes.
    """
    own, others = table[table.a == table.b], table[table.a != table.b]
    pairs, shades = list(others.groupby(["a", "b"], sort=False)), net_looks(own.a)
    across, down = min(3, len(pairs)), -(-len(pairs) // 3)
    shape = {"figsize": (3.3 * across, 4.6 * down), "sharey": True, "squeeze": False, "layout": "constrained"}
    panels = plt.subplots(down, across, **shape)[1].ravel()
    low = max(-1, min(0, table.r.min(), others.low.min()) - 0.05)
    for ax, ((a, b), rows) in zip(panels, pairs, strict=False):
        draw_line(ax, rows.epochs, rows.r, rows.low, rows.high, color="0.15", marker="o", label="the two nets (95%)")
        for net in (a, b):
            alone = own[own.a == net]
            look = shades[net] | {"linestyle": "--", "markerfacecolor": "white", "label": f"{net}, two seeds"}
            draw_line(ax, alone.epochs, alone.r, **look)
        _ticks(ax, table.epochs)
        first = {"ylabel": "Pearson's correlation"} if ax.get_subplotspec().is_first_col() else {}
        finished(ax, title=f"{a} – {b}", xlabel="epochs counted", ylim=(low, 1), **first)
    for ax in panels[len(pairs) :]:
        ax.remove()
    return panels[: len(pairs)]


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
    draw_curves(ax, means, "arm", "epoch", "accuracy", own, ends=None, scale=100)
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
