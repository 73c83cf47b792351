"""Figures of one net's easiness: ledger, counts, classes, reliability (notebook 00)."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from easel.plot.base import COLOURS, WHICH, WRONG_RIGHT


def ledger(correct: np.ndarray, *, ax: Axes | None = None) -> Axes:
    """Who was right when, for one trial: a row an epoch, a column an example, blue = right.

    correct: bool (epochs, examples), at most some thousand examples; their order is the caller's.
    """
    ax = ax or plt.subplots(figsize=(9, 0.5 + 0.45 * len(correct)), layout="constrained")[1]
    ax.imshow(correct, aspect="auto", cmap=WRONG_RIGHT, vmin=0, vmax=1, interpolation="nearest")
    ax.set(xlabel="example", ylabel="epoch", yticks=range(len(correct)), yticklabels=range(1, len(correct) + 1))
    ax.grid(False)
    for edge in np.arange(len(correct) - 1) + 0.5:
        ax.axhline(edge, color="white", linewidth=2)
    return ax


def counts(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """How many examples were right in c of N trials; beside it what trials that do not care about the image would give.

    table: count (0..N), share (of examples, 0..1), chance (share if all images were equally easy).
    """
    ax = ax or plt.subplots(layout="constrained")[1]
    ax.bar(table["count"], 100 * table["share"], width=0.8, color=COLOURS[9], label="trials seen")
    ax.plot(table["count"], 100 * table["chance"], "o--", color="0.25", markersize=4, label="if all images were alike")
    ax.set(xlabel=f"trials that got the image right (of {table['count'].max()})", ylabel="images (%)")
    ax.legend()
    return ax


def by_class(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Easiness within each class, classes from easiest to hardest. table: class, easiness; one row an example."""
    order = table.groupby("class")["easiness"].mean().sort_values(ascending=False).index
    ax = ax or plt.subplots(figsize=(8, 0.8 + 0.34 * len(order)), layout="constrained")[1]
    sns.boxplot(table, y="class", x="easiness", order=order, color="#bcd6e8", fliersize=1.5, linewidth=1, ax=ax)
    means = table.groupby("class")["easiness"].mean()[order]
    ax.plot(means, range(len(order)), "D", color=COLOURS[3], markersize=5, label="mean")
    ax.set(xlabel="easiness (higher = easier)", ylabel="")
    ax.grid(False, axis="y")
    ax.legend(loc="lower right")
    return ax


def reliability(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """How alike two disjoint groups of trials are, against their size (`scores.reliability_curve`)."""
    ax = ax or plt.subplots(layout="constrained")[1]
    names = {"spearman": "Spearman's correlation, all images", "easy": "easy 10%: matching rate"}
    names["hard"] = "hard 10%: matching rate"
    for measure, rows in table.groupby("measure", sort=False):
        line = ax.plot(rows.trials, rows["mean"], "o-", color=WHICH.get(measure, "0.3"), label=names[measure])[0]
        ax.fill_between(rows.trials, rows.low, rows.high, color=line.get_color(), alpha=0.15, linewidth=0)
    ax.axhline(0.1, color="0.5", linestyle=":", label="chance for a matching rate")
    ax.set(xlabel="trials in each of the two groups", ylabel="agreement", ylim=(0, 1))
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax
