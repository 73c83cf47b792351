"""Figures of training on high-loss mini-batches (notebook 07)."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from easel.plot.base import COLOURS

_FAMILIES = {
    "plain": ("0.25", "o"),
    "highest": (COLOURS[1], "s"),
    "random": (COLOURS[0], "^"),
    "grouped": (COLOURS[2], "D"),
}


def _look(arm: str) -> dict:
    """Colour and marker by kind of arm; within a kind, a smaller delta is paler, a shuffled or grouped one dashed."""
    shade, marker = _FAMILIES[arm.split(" ")[0].strip(",")]
    delta = arm.rpartition(", ")[2]
    alpha = 0.45 + 0.55 * float(delta) if delta.replace(".", "").isdecimal() else 1.0
    return {"color": shade, "marker": marker, "alpha": alpha, "linestyle": "--" if arm == "plain, shuffled" else "-"}


def arms_over_updates(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Test accuracy after every N_b updates, mean over seeds, of one net. table: arm, seed, epoch, accuracy (0..1)."""
    ax = ax or plt.subplots(figsize=(8.5, 4.6), layout="constrained")[1]
    means = table.groupby(["arm", "epoch"], sort=False).accuracy.mean()
    for arm in dict.fromkeys(table.arm):
        ax.plot(means[arm].index, 100 * means[arm], label=arm, markersize=5, **_look(arm))
    ax.set(xlabel="updates / number of mini-batches (epochs of plain training)", ylabel="test accuracy (%)")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def arm_differences(table: pd.DataFrame, *, xlabel: str, value: str = "gain", ax: Axes | None = None) -> Axes:
    """Each arm against plain training: every seed a dot, mean and interval. table: arm, gain, mean, low, high."""
    order = list(dict.fromkeys(table.arm))
    ax = ax or plt.subplots(figsize=(8.5, 1.2 + 0.45 * len(order)), layout="constrained")[1]
    for at, arm in enumerate(order):
        rows, shade = table[table.arm == arm], _look(arm)["color"]
        ax.plot(rows[value], np.full(len(rows), at + 0.18), ".", color=shade, alpha=0.5, markersize=6)
        first = rows.iloc[0]
        if np.isfinite(first.low):
            error = [[first["mean"] - first.low], [first.high - first["mean"]]]
            ax.errorbar([first["mean"]], [at - 0.08], xerr=error, fmt="o", color=shade, capsize=3, markersize=6)
    ax.axvline(0, color="0.4", linestyle=":")
    ax.set(yticks=range(len(order)), yticklabels=order, ylim=(len(order) - 0.5, -0.5), xlabel=xlabel)
    ax.grid(False, axis="y")
    return ax


def batch_spread(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Losses of the mini-batches of some arms after one epoch, sorted: arm, seed, loss (nats); a line a trial."""
    ax = ax or plt.subplots(figsize=(7, 4), layout="constrained")[1]
    for arm in dict.fromkeys(table.arm):
        look = {k: v for k, v in _look(arm).items() if k in ("color", "linestyle")}
        for n, (_, rows) in enumerate(table[table.arm == arm].groupby("seed")):
            share = (np.arange(len(rows)) + 0.5) / len(rows)
            ax.plot(100 * share, np.sort(rows.loss)[::-1], alpha=0.7, label=arm if n == 0 else None, **look)
    ax.set(xlabel="mini-batches, highest loss first (%)", ylabel="mean loss of a mini-batch (nats)", ylim=(0, None))
    ax.legend()
    return ax
