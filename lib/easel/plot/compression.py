"""Figures of training on what is kept of a data set (notebook 08)."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from easel.plot.base import COLOURS, WHICH, images

# colour, marker, line of what is dropped; a label that is none of these takes the next of OTHERS
HOWS = {
    "easiest": (WHICH["easy"], "o", "-"),
    "hardest": (WHICH["hard"], "s", "--"),
    "random": (WHICH["random"], "^", ":"),
    "balanced": (COLOURS[2], "D", "-."),
    "window": (COLOURS[4], "v", (0, (5, 1, 1, 1, 1, 1))),
    "all": ("0.15", "x", (0, (1, 1))),
}
OTHERS = [(COLOURS[4], "D", "-"), (COLOURS[2], "v", "--"), (COLOURS[5], "P", "-.")]


def compression(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Accuracy against the share that is kept; every trial a small open mark; the band is all images (break-even).

    table: one row a trial: how (what is dropped; "all": nothing, for as little training), keep (percent), accuracy,
    mean, low, high (of its point), whole, whole_low, whole_high (all images: the same in every row).
    """
    ax = ax or plt.subplots(figsize=(6.8, 4.2), layout="constrained")[1]
    gap = _gap(table.keep)
    hows = list(dict.fromkeys(table.how))
    for i, how in enumerate(hows):
        rows, (colour, marker, line) = table[table.how == how], HOWS[how]
        shift = 0.11 * gap * (i - (len(hows) - 1) / 2)
        small = {"marker": marker, "markersize": 3.5, "markerfacecolor": "none", "linestyle": "none", "color": colour}
        ax.plot(rows.keep + shift - 0.035 * gap, 100 * rows.accuracy, **small)
        points = rows.drop_duplicates("keep").sort_values("keep")
        error = 100 * np.array([points["mean"] - points.low, points.high - points["mean"]])
        style = {"marker": marker, "linestyle": line, "color": colour, "markersize": 6, "capsize": 2}
        label = "nothing, shorter training" if how == "all" else how
        ax.errorbar(points.keep + shift, 100 * points["mean"], error, label=label, **style)
    whole = 100 * table[["whole", "whole_low", "whole_high"]].iloc[0]
    ax.axhline(whole.whole, color="0.35", linewidth=1.2, label="all images")
    ax.axhspan(whole.whole_low, whole.whole_high, color="0.5", alpha=0.15, linewidth=0)
    ax.set(xlabel="images kept (%)", ylabel="test accuracy (%)", xticks=sorted(table.keep.unique()))
    ax.set_ylim(0, 115 * max(table.accuracy.max(), table.whole.max()))
    ax.grid(False, axis="x")
    ax.legend(title="dropped", loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def gains(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Paired differences of accuracy against the share that is kept, in points, with intervals; zero is a line.

    table: label (a line each; a way to drop has its colour), keep (percent), estimate, low, high (0..1 scale).
    """
    ax = ax or plt.subplots(figsize=(6.8, 4.2), layout="constrained")[1]
    gap, others = _gap(table.keep), iter(OTHERS)
    labels = list(dict.fromkeys(table.label))
    for i, label in enumerate(labels):
        rows, (colour, marker, line) = table[table.label == label].sort_values("keep"), HOWS.get(label) or next(others)
        x = rows.keep + 0.07 * gap * (i - (len(labels) - 1) / 2)
        error = 100 * np.array([rows.estimate - rows.low, rows.high - rows.estimate])
        style = {"marker": marker, "linestyle": line, "color": colour, "capsize": 2.5, "label": label}
        ax.errorbar(x, 100 * rows.estimate, error, **style)
    ax.axhline(0, color="0.35", linewidth=1.2)
    ax.set(xlabel="images kept (%)", ylabel="difference in accuracy (points)", xticks=sorted(table.keep.unique()))
    ax.grid(False, axis="x")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def tenths_kept(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """What is left of every tenth of the ranking: a row a way to choose, a column a tenth, hardest first.

    table: index the way to choose, ten columns of shares left, 0..1.
    """
    ax = ax or plt.subplots(figsize=(7, 0.9 + 0.42 * len(table)), layout="constrained")[1]
    ax.imshow(table.to_numpy(), aspect="auto", cmap="Blues", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(table.to_numpy()):
        ax.text(column, row, f"{100 * value:.0f}", ha="center", va="center", color="white" if value > 0.6 else "0.15")
    ax.set(yticks=range(len(table)), yticklabels=table.index, xticks=range(10), xticklabels=range(1, 11))
    ax.set(xlabel="tenth of the images, hardest first (numbers: % left)", ylabel="dropped")
    ax.grid(False)
    return ax


def labelled_rows(pictures: np.ndarray, titles: list[str], rows: list[str], *, ax: Axes | None = None) -> Axes:
    """A sheet of images (`images`) in rows of one length, a word at the left of each row.

    pictures: uint8 (n, 3, H, W); titles: n short texts; rows: a word a row, n a multiple of their number.
    """
    ax = images(pictures, titles, columns=len(pictures) // len(rows), ax=ax)
    height, width = pictures.shape[2:]
    for i, word in enumerate(rows):
        middle = (1.28 * i + 0.5) * height
        ax.text(-0.1 * width, middle, word, rotation=90, ha="right", va="center", fontsize=9, fontweight="bold")
    ax.set_xlim(left=-0.4 * width)
    return ax


def _gap(keeps: pd.Series) -> float:
    """The smallest distance of two shares, at most 15: what marks of one share are spread by."""
    steps = np.diff(sorted(keeps.unique()))
    return min(15.0, float(steps.min())) if len(steps) else 10.0
