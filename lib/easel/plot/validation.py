"""Figures of misclassified test examples: how easy they are, and whether nets share them (notebook 05)."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from easel.plot.base import COLOURS, WHICH


def relation(points: pd.DataFrame, bins: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Fig. 5: mean probability of the true class against easiness, a dot an example, and the means of the bins.

    points: easiness, probability (0..1), wrong (share of nets, 0..1: the dot's colour); bins: `validation.binned`.
    Dots of one easiness are spread sideways within its tenth, so that they can be seen.
    """
    ax = ax or plt.subplots(figsize=(7, 4.4), layout="constrained")[1]
    spread = (np.arange(len(points)) * 0.618034) % 1 - 0.5  # even, and the same every time
    x, size = points.easiness + 0.07 * spread, np.clip(6000 / len(points), 2, 12)
    dots = ax.scatter(x, points.probability, c=points.wrong, s=size, cmap="cividis", vmin=0, vmax=1, alpha=0.55)
    error = [bins.probability - bins.low, bins.high - bins.probability]
    ax.errorbar(bins.easiness, bins.probability, error, fmt="o-", color="white", markersize=8, linewidth=4, zorder=3)
    ax.errorbar(
        bins.easiness, bins.probability, error, fmt="o-", color=COLOURS[3], capsize=3, zorder=4, label="mean, 95%"
    )
    ax.set(xlabel="easiness (higher = easier)", ylabel="mean probability of the true class")
    ax.set(xlim=(-0.06, 1.06), ylim=(-0.03, 1.03))
    bar = ax.figure.colorbar(dots, ax=ax, label="share of nets that misclassify it")
    bar.solids.set_alpha(1)
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0.2)
    return ax


def captured(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Share of the misclassified that are hard against the fraction called hard, with chance and the most possible.

    table: `validation.curve`'s columns and `line`, the name of a curve; band: any tie-breaking. The dotted and dashed
    comparisons are drawn for every line and named once.
    """
    ax = ax or plt.subplots(figsize=(7, 4.8), layout="constrained")[1]
    for shade, (name, rows) in zip(COLOURS, table.groupby("line", sort=False), strict=False):
        x = 100 * rows.fraction
        ax.plot(x, rows.share, color=shade, label=name, linewidth=2)
        ax.fill_between(x, rows.tie_low, rows.tie_high, color=shade, alpha=0.15, linewidth=0)
        ax.plot(x, rows.most, "--", color=shade, linewidth=1)
        ax.plot(x, rows.class_chance, "-.", color=shade, linewidth=1)
    ax.plot(x, rows.chance, ":", color="0.4", label="chance")
    ax.plot([], [], "-.", color="0.4", linewidth=1, label="chance, classes kept")
    ax.plot([], [], "--", color="0.4", linewidth=1, label="most that is possible")
    ax.axhline(0.5, color="0.75", linewidth=1, zorder=0)
    ax.set(xlabel="examples called hard (%)", ylabel="share of the misclassified", xlim=(0, 100), ylim=(0, 1))
    ax.legend(loc="lower right", frameon=True, framealpha=0.9, edgecolor="none")
    return ax


def signs(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """How well each sign tells misclassified examples: area under the ROC curve with its interval, a row a sign.

    table: sign, measure ("AUC" | "AUC within classes"), value, low, high.
    """
    order = list(dict.fromkeys(table.sign))
    ax = ax or plt.subplots(figsize=(8, 1.2 + 0.5 * len(order)), layout="constrained")[1]
    styles = {"AUC": ("o", COLOURS[0], -0.13, "all pairs"), "AUC within classes": ("s", "0.35", 0.13, "within a class")}
    for measure, (marker, shade, shift, words) in styles.items():
        rows = table[table.measure == measure]
        y = np.array([order.index(sign) for sign in rows.sign]) + shift
        error = [rows.value - rows.low, rows.high - rows.value]
        ax.errorbar(rows.value, y, xerr=error, fmt=marker, color=shade, capsize=2, label=words)
    ax.axvline(0.5, color="0.5", linestyle=":", label="chance")
    ax.set(yticks=range(len(order)), yticklabels=order, ylim=(len(order) - 0.5, -0.5))
    ax.set(xlabel="P(a right example is easier than a misclassified one)", xlim=(min(0.45, table.low.min()), 1))
    ax.grid(False, axis="y")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def times_wrong(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """How many nets misclassify an example, beside what nets that err independently would give.

    table: `agreement.times_wrong`: count, share, chance (0..1).
    """
    ax = ax or plt.subplots(layout="constrained")[1]
    ax.bar(table["count"], 100 * table["share"], width=0.8, color=WHICH["hard"], label="seen")
    ax.plot(
        table["count"], 100 * table["chance"], "o--", color="0.25", markersize=4, label="if nets erred independently"
    )
    ax.set(xlabel=f"nets that misclassify it (of {table['count'].max()})", ylabel="test examples (%)")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend()
    return ax
