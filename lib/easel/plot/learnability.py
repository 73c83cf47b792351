"""Figures of learnability: nets against nets, epochs, scores against scores (notebook 06)."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from easel.plot.base import COLOURS, NETS


def learnability_spread(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Share of the images that are at most so learnable, one line a net. table: net, learnability; a row an image."""
    ax = ax or plt.subplots(figsize=(8, 3.8), layout="constrained")[1]
    for at, (net, rows) in enumerate(table.groupby("net", sort=False)):
        values = np.sort(rows.learnability)
        share = 100 * np.arange(1, len(values) + 1) / len(values)
        ax.step(values, share, where="post", color=_colour(net, at), label=f"{net}, mean {values.mean():.2f}")
    ax.set(xlabel="learnability (share of epochs; higher = easier)", ylabel="images at most that learnable (%)")
    ax.set(xlim=(0, 1), ylim=(0, 100))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def learnability_joint(table: pd.DataFrame, *, a: str, b: str, ax: Axes | None = None) -> Axes:
    """How many images are how learnable under two nets: a heat map, with b's mean at each a.

    table: a, b, images (`learnability.joint`); a, b: the nets' names, for the axes.
    """
    ax = ax or plt.subplots(figsize=(5.6, 5), layout="constrained")[1]
    square = table.pivot(index="b", columns="a", values="images")
    centres = square.columns.to_numpy()
    edge = np.append(centres, centres[-1] + centres[1]) - centres[1] / 2
    norm = LogNorm(1, max(2, square.to_numpy().max()))
    mesh = ax.pcolormesh(edge, edge, square.where(square > 0), cmap="crest", norm=norm)
    ax.figure.colorbar(mesh, ax=ax, label="images")
    of_a = table.groupby("a").apply(lambda g: (g.b * g.images).sum() / max(g.images.sum(), 1), include_groups=False)
    seen = square.sum() > 0
    ax.plot(centres[seen], of_a[seen], "o-", color=COLOURS[3], markersize=4, label=f"mean of {b}")
    ax.plot([0, 1], [0, 1], ":", color="0.4", label="equal")
    ax.set(xlabel=f"learnability under {a}", ylabel=f"learnability under {b}", aspect="equal")
    ax.grid(False)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncol=2)
    return ax


def learnability_pairs(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Correlation of every pair of nets, with what it should be read against.

    table: pair, r, low, high, spearman, online, ceiling, alone (classes alone), paper, paper_in_parentheses (nan where
    not printed).
    """
    ax = ax or plt.subplots(figsize=(8, 1.2 + 0.75 * len(table)), layout="constrained")[1]
    y = np.arange(len(table))
    error = [table.r - table.low, table.high - table.r]
    pearson = ax.errorbar(table.r, y, xerr=error, fmt="o", color=COLOURS[0], markersize=8, capsize=3)
    marks = {"Pearson, with 95% interval": pearson}
    others = {"Spearman": ("spearman", "s", 2, 6, -0.17), "Pearson, online hits": ("online", "^", 9, 7, 0.17)}
    printed = {"printed": ("paper", "x", 3, 9, 0), "printed in parentheses": ("paper_in_parentheses", "+", 3, 11, 0)}
    for words, (column, mark, shade, size, shift) in (others | printed).items():
        if table[column].notna().any():
            style = {"color": COLOURS[shade], "markersize": size, "markeredgewidth": 2 if mark in "x+" else 1}
            marks[words] = ax.plot(table[column], y + shift, mark, **style)[0]
    for words, column, grey in (("ceiling: the nets' own seeds", "ceiling", "0.2"), ("classes alone", "alone", "0.65")):
        ax.scatter(table[column], y, marker="|", s=700, color=grey, linewidth=2.5, zorder=1)
        marks[words] = ax.scatter([], [], marker="|", s=110, color=grey, linewidth=2.5)
    ax.set(
        yticks=y,
        yticklabels=table.pair,
        ylim=(len(table) - 0.5, -0.5),
        xlim=(min(0, table[["low", "alone", "online"]].min().min() - 0.05), 1),
    )
    ax.set(xlabel="correlation of learnability between two nets")
    ax.grid(False, axis="y")
    ax.legend(marks.values(), marks.keys(), loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def learnability_growth(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Correlation against the number of epochs counted: pairs of nets in full lines, a net with itself in broken ones.

    table: epochs, a, b, r, low, high (`learnability.over_epochs`).
    """
    ax = ax or plt.subplots(figsize=(8, 4.2), layout="constrained")[1]
    own, others = table[table.a == table.b], table[table.a != table.b]
    for at, ((a, b), rows) in enumerate(others.groupby(["a", "b"], sort=False)):
        shade = COLOURS[(2, 4, 7, 5, 9, 6)[at % 6]]
        aside = rows.epochs * 1.015**at  # so that the bars do not hide each other
        error = [rows.r - rows.low, rows.high - rows.r]
        ax.errorbar(aside, rows.r, error, fmt="o-", color=shade, markersize=4, elinewidth=1, label=f"{a} – {b}")
    for at, (net, rows) in enumerate(own.groupby("a", sort=False)):
        ax.plot(rows.epochs, rows.r, "--", color=_colour(net, at), label=f"{net}, two seeds")
    ax.set(
        xlabel="epochs counted, from the first", ylabel="Pearson's correlation", ylim=(min(0, table.r.min() - 0.05), 1)
    )
    _epochs(ax, table.epochs)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def learnability_by_m(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Correlation of learnability with easiness at each m, a line a net; a ring where it is highest.

    table: net, m, r, low, high (`learnability.by_epoch`).
    """
    ax = ax or plt.subplots(figsize=(7, 3.8), layout="constrained")[1]
    for at, (net, rows) in enumerate(table.groupby("net", sort=False)):
        shade = _colour(net, at)
        ax.plot(rows.m, rows.r, "o-", color=shade, markersize=4, label=net)
        ax.fill_between(rows.m, rows.low, rows.high, color=shade, alpha=0.15, linewidth=0)
        top = rows.loc[rows.r.idxmax()]
        ax.plot(top.m, top.r, "o", color=shade, markersize=10 + 4 * at, fillstyle="none", markeredgewidth=2)
    ax.set(xlabel="m, epochs before counting", ylabel="correlation with learnability")
    ax.set(ylim=(min(0, table.low.min()), 1))
    _epochs(ax, table.m)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def score_correlations(same: pd.DataFrame, across: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Scores against scores: below the diagonal in the same trial, above it and on it between two trials of a net.

    same, across: square, the same names as index and columns; the diagonal of `across` is each score's ceiling.
    """
    names = list(across.index)
    ax = ax or plt.subplots(figsize=(2.6 + 0.72 * len(names), 1.6 + 0.62 * len(names)), layout="constrained")[1]
    lower = np.tri(len(names), k=-1, dtype=bool)
    shown = across.where(~lower, same.loc[names, names])
    low = min(0.0, float(np.nanmin(shown.to_numpy())))
    sns.heatmap(shown, vmin=low, vmax=1, cmap="crest", annot=True, fmt=".2f", square=True, linewidths=1.5, ax=ax)
    ax.collections[0].colorbar.set_label("correlation")
    for at in range(len(names)):
        ax.add_patch(plt.Rectangle((at, at), 1, 1, fill=False, edgecolor=COLOURS[1], linewidth=2.5, clip_on=False))
    ax.set_title("above: another trial   ·   framed: its own ceiling   ·   below: the same trial", fontsize=10)
    ax.grid(False)
    ax.set(xlabel="", ylabel="")
    ax.tick_params(axis="x", rotation=45)
    plt.setp(ax.get_xticklabels(), ha="right", rotation_mode="anchor")
    ax.tick_params(axis="y", rotation=0)
    return ax


def _colour(net: str, at: int) -> tuple:
    """The net's colour by its name, or by its family's: a ResNet-8 has the ResNet-20's; others have one by place."""
    stem = net.partition("-")[0]
    kin = [colour for name, colour in NETS.items() if name == net or name.partition("-")[0] == stem]
    return NETS.get(net, kin[0] if kin else COLOURS[(7, 8, 5, 6)[at % 4]])


def _epochs(ax: Axes, epochs: pd.Series) -> None:
    """Whole epochs on the axis; a logarithmic one where they are spaced so."""
    values = sorted(epochs.unique())
    if len(values) > 2 and np.diff(values).max() > 2 * np.diff(values).min():
        ax.set_xscale("log")
    ax.set_xticks(values, [f"{value:g}" for value in values], minor=False)
    ax.minorticks_off()
