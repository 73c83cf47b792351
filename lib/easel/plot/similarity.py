"""How alike the images of a set are (notebook 02)."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from easel.plot.base import WHICH


def similarity(table: pd.DataFrame, *, by: str = "space", ax: Axes | None = None) -> Axes:
    """How alike the easy and the hard set are, as a ratio to random sets (grey band); below 1 = more alike than those.

    table: which, ratio, low, high, band_low, band_high, and the column `by`, whose values are the figure's rows.
    """
    order = list(dict.fromkeys(table[by]))
    ax = ax or plt.subplots(figsize=(8, 1.1 + 0.5 * len(order)), layout="constrained")[1]
    for at, name in enumerate(order):
        band = table[table[by] == name].iloc[0]
        label = "random sets (95%)" if at == 0 else None
        ax.fill_betweenx([at - 0.36, at + 0.36], band.band_low, band.band_high, color="0.86", linewidth=0, label=label)
    for which, shift in (("easy", -0.13), ("hard", 0.13)):
        rows = table[table.which == which]
        y = np.array([order.index(name) for name in rows[by]]) + shift
        error = [rows.ratio - rows.low, rows.high - rows.ratio]
        ax.errorbar(rows.ratio, y, xerr=error, fmt="o", color=WHICH[which], label=which, markersize=6, capsize=2)
    ax.axvline(1, color="0.4", linestyle=":")
    ax.set(yticks=range(len(order)), yticklabels=order, ylim=(len(order) - 0.5, -0.5))
    ax.set(xlabel="distance within the set, random set of the class = 1")
    ax.grid(False, axis="y")
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax
