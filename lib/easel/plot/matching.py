"""Figures of matching rates: Table 1, tie rules, cuts, epochs, batch normalisation (notebook 01)."""

from itertools import islice, product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from easel.plot.base import COLOURS, WHICH


def matching(table: pd.DataFrame, *, value: str = "rate", ax: Axes | None = None) -> Axes:
    """Table 1 as a heat map: nets against nets, the diagonal is one group of trials against another.

    table: a, b (nets' labels), and the column `value`.
    """
    nets = list(dict.fromkeys([*table.a, *table.b]))
    side = max(4.4, 0.85 * len(nets) + 0.4)
    ax = ax or plt.subplots(figsize=(side + 1, side), layout="constrained")[1]
    square = table.pivot(index="a", columns="b", values=value).reindex(index=nets, columns=nets)
    sns.heatmap(square, vmin=0, vmax=1, cmap="crest", annot=True, fmt=".2f", square=True, linewidths=2, ax=ax)
    ax.collections[0].colorbar.set_label("matching rate")
    ax.grid(False)
    ax.set(xlabel="", ylabel="")
    ax.tick_params(axis="y", rotation=0)
    ax.tick_params(axis="x", rotation=20)
    return ax


def pairs(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Matching rate of every pair with its interval, its chance lines and the printed value.

    table: pair, which, rate, low, high, stratified_chance, paper (nan where not printed).
    """
    order = list(dict.fromkeys(table.pair))
    ax = ax or plt.subplots(figsize=(8, 1 + 0.5 * len(order)), layout="constrained")[1]
    for which, shift in (("easy", -0.16), ("hard", 0.16)):
        rows = table[table.which == which]
        y = np.array([order.index(p) for p in rows.pair]) + shift
        error = [rows.rate - rows.low, rows.high - rows.rate]
        ax.errorbar(rows.rate, y, xerr=error, fmt="o", color=WHICH[which], label=f"{which}, here", markersize=6)
        ax.scatter(rows.stratified_chance, y, marker="|", s=110, color="0.35", linewidth=2, zorder=3)
        ax.scatter(rows.paper, y, marker="x", s=45, color=WHICH[which], label=f"{which}, printed", zorder=3)
    ax.axvline(0.1, color="0.5", linestyle=":", label="chance")
    ax.scatter([], [], marker="|", s=110, color="0.35", linewidth=2, label="chance, classes kept")
    ax.set(
        yticks=range(len(order)), yticklabels=order, xlabel="matching rate", xlim=(0, 1), ylim=(len(order) - 0.5, -0.5)
    )
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def tie_rules(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """One pair a row: what each tie rule says, inside the range that any breaking of the ties can give.

    table: pair, expected, inclusive, index, tie_low, tie_high.
    """
    ax = ax or plt.subplots(figsize=(8, 1 + 0.4 * len(table)), layout="constrained")[1]
    y = np.arange(len(table))
    ax.hlines(y, table.tie_low, table.tie_high, color="0.8", linewidth=9, label="any tie-breaking")
    for rule, marker, which in (("expected", "o", 0), ("inclusive", "s", 1), ("index", "^", 4)):
        ax.plot(table[rule], y, marker, color=COLOURS[which], markersize=7, label=rule, linestyle="none")
    ax.axvline(0.1, color="0.5", linestyle=":", label="chance")
    ax.set(yticks=y, yticklabels=table.pair, xlabel="matching rate", xlim=(0, 1), ylim=(len(table) - 0.5, -0.5))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def overlap(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Matching rate against the cut, for several pairs (`matching.overlap_curve` with a column pair)."""
    ax = ax or plt.subplots(layout="constrained")[1]
    number = table.pair.nunique()
    faint = min(0.1, 0.5 / number)  # bands that lie on each other
    for look, (pair, rows) in zip(_looks(number), table.groupby("pair", sort=False), strict=True):
        shade = look["color"]
        ax.plot(100 * rows.fraction, rows.rate, label=pair, **look)
        ax.fill_between(100 * rows.fraction, rows.low, rows.high, color=shade, alpha=faint, linewidth=0)
    ax.plot(100 * rows.fraction, rows.chance, ":", color="0.4", label="chance")
    ax.set(xlabel="images in the set (%)", ylabel="matching rate", ylim=(0, 1), xlim=(0, 50))
    return ax


def over_epochs(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Matching rate of each pair against m. table: pair, m, rate, low, high."""
    number = table.pair.nunique()
    ax = ax or plt.subplots(figsize=(7, max(4, 1 + 0.27 * number)), layout="constrained")[1]
    for shift, (look, (pair, rows)) in enumerate(zip(_looks(number), table.groupby("pair", sort=False), strict=True)):
        at = rows.m + 0.18 * (shift / number - 0.5)
        ax.errorbar(at, rows.rate, [rows.rate - rows.low, rows.high - rows.rate], marker="o", label=pair, **look)
    ax.axhline(0.1, color="0.5", linestyle=":", label="chance")
    ax.set(xlabel="m, epochs before counting", ylabel="matching rate", ylim=(0, 1), xticks=sorted(table.m.unique()))
    ax.set_xlim(table.m.min() - 0.3, table.m.max() + 0.3)
    return ax


def batch_norm(table: pd.DataFrame, *, ax: np.ndarray | None = None) -> np.ndarray:
    """What a net gains in agreement with each other net by batch normalisation, a panel a measure; x: printed.

    table: partner, normalised, measure, which, difference, low, high (`batchnorm.table`), paper (nan: not printed).
    ax: one Axes a measure; they are what is returned.
    """
    measures, order = list(dict.fromkeys(table.measure)), list(dict.fromkeys(table.partner))
    size = (3.4 * len(measures) + 1.6, 1.3 + 0.5 * len(order))
    ax = plt.subplots(1, len(measures), figsize=size, sharey=True, layout="constrained")[1] if ax is None else ax
    ax = np.atleast_1d(ax)
    for one, measure in zip(ax, measures, strict=True):
        for which, shift in (("easy", -0.15), ("hard", 0.15)):
            rows = table[(table.measure == measure) & (table.which == which)]
            y = np.array([order.index(name) for name in rows.partner]) + shift
            error = [rows.difference - rows.low, rows.high - rows.difference]
            one.errorbar(rows.difference, y, xerr=error, fmt="o", color=WHICH[which], markersize=6, label=which)
            one.scatter(rows.paper, y, marker="x", s=45, color=WHICH[which], zorder=3, label=f"{which}, printed")
        one.axvline(0, color="0.4", linestyle=":")
        one.set(title=measure, xlabel="with batch norm less without")
        one.locator_params(axis="x", nbins=4)
        one.grid(False, axis="y")
    has = table.drop_duplicates("partner").set_index("partner").normalised
    names = [f"{name}{' (BN)' if has[name] and not name.startswith('nets') else ''}" for name in order]
    ax[0].set(yticks=range(len(order)), yticklabels=names, ylim=(len(order) - 0.5, -0.5))
    ax[-1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def _looks(number: int) -> list[dict]:
    """Lines that can be told apart, more than there are safe colours: colours first, then dashes."""
    styles = ({"linestyle": dash, "color": shade} for dash, shade in product(("-", "--", "-."), COLOURS[:9]))
    return list(islice(styles, number))
