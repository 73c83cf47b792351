"""One function a figure: a tidy table and an axis in, the axis out. Nothing here loads, trains, computes or saves.

A net has one colour everywhere, by family; easy is blue, hard is orange; the palettes are safe for the colour-blind.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

from easel import models

_COLOURS = sns.color_palette("colorblind")
NETS = {"MLP": _COLOURS[7], "WRN": _COLOURS[0], "DenseNet-BC": _COLOURS[2], "ResNeXt": _COLOURS[3]}
WHICH = {"easy": _COLOURS[0], "hard": _COLOURS[1]}
WRONG_RIGHT = ListedColormap(["#e8e4de", "#2f6d9e"])


def use_style() -> None:
    """The look of every figure: white, thin grid, text that is legible at half size."""
    sns.set_theme(context="notebook", style="whitegrid", font_scale=0.95)
    plt.rcParams.update(
        {"figure.figsize": (7, 4), "axes.titlesize": 12, "axes.titleweight": "bold", "legend.frameon": False}
    )


def colour(model: str) -> tuple:
    """The colour of a net, by its family."""
    return NETS[models.label(model)]


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
    ax.bar(table["count"], 100 * table["share"], width=0.8, color=_COLOURS[9], label="trials seen")
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
    ax.plot(means, range(len(order)), "D", color=_COLOURS[3], markersize=5, label="mean")
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


def images(pictures: np.ndarray, titles: list[str], *, columns: int = 10, ax: Axes | None = None) -> Axes:
    """A sheet of images, true colours, the right way up, a title above each.

    pictures: uint8 (n, 3, H, W); titles: n short texts.
    """
    rows = -(-len(pictures) // columns)
    ax = ax or plt.subplots(figsize=(0.98 * columns, 1.22 * rows + 0.35), layout="constrained")[1]
    height, width = pictures.shape[2:]
    step_y, step_x = 1.28 * height, 1.08 * width
    for i, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        top, left = (i // columns) * step_y, (i % columns) * step_x
        ax.imshow(picture.transpose(1, 2, 0), extent=(left, left + width, top + height, top), interpolation="nearest")
        ax.text(left + width / 2, top - 0.03 * height, title, ha="center", va="bottom", fontsize=8)
    ax.set(xlim=(-1, columns * step_x), ylim=(rows * step_y - 0.2 * height, -0.25 * height), aspect="equal")
    ax.axis("off")
    return ax


def matching(table: pd.DataFrame, *, value: str = "rate", ax: Axes | None = None) -> Axes:
    """Table 1 as a heat map: nets against nets, the diagonal is one group of trials against another.

    table: a, b (nets' labels), and the column `value`.
    """
    nets = list(dict.fromkeys([*table.a, *table.b]))
    ax = ax or plt.subplots(figsize=(5.4, 4.4), layout="constrained")[1]
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
        ax.plot(table[rule], y, marker, color=_COLOURS[which], markersize=7, label=rule, linestyle="none")
    ax.axvline(0.1, color="0.5", linestyle=":", label="chance")
    ax.set(yticks=y, yticklabels=table.pair, xlabel="matching rate", xlim=(0, 1), ylim=(len(table) - 0.5, -0.5))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def overlap(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Matching rate against the cut, for several pairs (`matching.overlap_curve` with a column pair)."""
    ax = ax or plt.subplots(layout="constrained")[1]
    palette = sns.color_palette("colorblind", n_colors=table.pair.nunique())
    for shade, (pair, rows) in zip(palette, table.groupby("pair", sort=False), strict=True):
        ax.plot(100 * rows.fraction, rows.rate, color=shade, label=pair)
        ax.fill_between(100 * rows.fraction, rows.low, rows.high, color=shade, alpha=0.1, linewidth=0)
    ax.plot(100 * rows.fraction, rows.chance, ":", color="0.4", label="chance")
    ax.set(xlabel="images in the set (%)", ylabel="matching rate", ylim=(0, 1), xlim=(0, 50))
    return ax


def over_epochs(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Matching rate of each pair against m. table: pair, m, rate, low, high."""
    ax = ax or plt.subplots(layout="constrained")[1]
    palette = sns.color_palette("colorblind", n_colors=table.pair.nunique())
    for shift, (shade, (pair, rows)) in enumerate(zip(palette, table.groupby("pair", sort=False), strict=True)):
        at = rows.m + 0.03 * (shift - table.pair.nunique() / 2)
        ax.errorbar(at, rows.rate, [rows.rate - rows.low, rows.high - rows.rate], fmt="o-", color=shade, label=pair)
    ax.axhline(0.1, color="0.5", linestyle=":", label="chance")
    ax.set(xlabel="m, epochs before counting", ylabel="matching rate", ylim=(0, 1), xticks=sorted(table.m.unique()))
    return ax


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
