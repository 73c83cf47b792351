"""Figures of what dropping or relabelling examples does to accuracy (notebook 04)."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from easel.plot.base import WHICH

MARKERS = {"easy": "o", "hard": "s", "random": "^"}
LINES = {"easy": "-", "hard": "--", "random": ":"}


def beside(count: int = 2) -> np.ndarray:
    """So many empty axes side by side, for figures that are read together: (count,) Axes."""
    return plt.subplots(1, count, figsize=(6.4 * count, 4), layout="constrained")[1]


def ablation(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Fig. 4: accuracy against the rate; every trial a small open mark, the mean a line, its interval a bar.

    table: one row a trial: mode ("easy" | "hard" | "random"), rate, accuracy, mean, low, high (of its point), and
    chance, a dotted line, if there is such a column. Bars that leave 0 to the highest trial are cut off by the frame.
    """
    ax = ax or plt.subplots(figsize=(6.4, 4), layout="constrained")[1]
    gap = _gap(table.rate)
    for shift, (mode, rows) in zip((-1, 1, 0), _modes(table), strict=False):
        x = rows.rate + 0.13 * gap * shift
        style = {"marker": MARKERS[mode], "color": WHICH[mode]}
        ax.plot(x - 0.045 * gap, 100 * rows.accuracy, **style, markersize=4, markerfacecolor="none", linestyle="none")
        points = rows.assign(x=x).drop_duplicates("rate").sort_values("rate")
        error = 100 * np.array([points["mean"] - points.low, points.high - points["mean"]])
        style |= {"linestyle": LINES[mode], "markersize": 6, "capsize": 2.5, "linewidth": 1.8}
        ax.errorbar(points.x, 100 * points["mean"], error, label=mode, **style)
    if "chance" in table:
        ax.axhline(100 * table.chance.iloc[0], color="0.4", linestyle=(0, (1, 3)), label="chance")
    ax.set(xlabel="rate", ylabel="test accuracy (%)", xticks=sorted(table.rate.unique()))
    ax.set_ylim(0, 115 * table.accuracy.max())
    ax.grid(False, axis="x")
    ax.legend(title="mainly taken", loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def share_left(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """What dropping leaves of the easiest tenth (thick) and of the hardest (thin), against the rate.

    table: mode, rate, easiest, hardest (shares left, 0..1).
    """
    ax = ax or plt.subplots(figsize=(6.4, 4), layout="constrained")[1]
    for mode, rows in _modes(table):
        rows = rows.groupby("rate", as_index=False)[["easiest", "hardest"]].mean()
        style = {"marker": MARKERS[mode], "linestyle": LINES[mode], "color": WHICH[mode]}
        ax.plot(rows.rate, 100 * rows.easiest, **style, linewidth=2.4, label=f"{mode}: easiest tenth")
        ax.plot(rows.rate, 100 * rows.hardest, **style, linewidth=0.9, markersize=3, label=f"{mode}: hardest tenth")
    ax.set(xlabel="rate", ylabel="left of the tenth (%)", ylim=(-4, 104), xticks=sorted(table.rate.unique()))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def differences(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Paired differences of accuracy in points, each with its interval; zero is the vertical line.

    table: label (a row each, in order), mode (its colour), estimate, low, high (0..1 scale).
    """
    ax = ax or plt.subplots(figsize=(7, 0.9 + 0.3 * len(table)), layout="constrained")[1]
    y = np.arange(len(table))
    for mode in dict.fromkeys(table["mode"]):
        at = (table["mode"] == mode).to_numpy()
        rows = 100 * table.loc[at, ["estimate", "low", "high"]]
        error = [rows.estimate - rows.low, rows.high - rows.estimate]
        ax.errorbar(rows.estimate, y[at], xerr=error, fmt=MARKERS[mode], color=WHICH[mode], capsize=3)
    ax.axvline(0, color="0.4", linewidth=1)
    ax.set(yticks=y, yticklabels=table.label, ylim=(len(table) - 0.5, -0.5), xlabel="difference in accuracy (points)")
    return ax


def _modes(table: pd.DataFrame):
    """(mode, its rows), easy, hard, random."""
    return [(mode, table[table["mode"] == mode]) for mode in MARKERS if (table["mode"] == mode).any()]


def _gap(rates: pd.Series) -> float:
    """The smallest distance of two rates."""
    steps = np.diff(sorted(rates.unique()))
    return float(steps.min()) if len(steps) else 0.1
