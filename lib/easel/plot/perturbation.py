"""Figures of changed images, and of what is left of easiness on them (notebook 03).

Where strengths are an axis, the unchanged images are at its right end.
"""

from string import ascii_lowercase

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from easel.data.changes import CHANGES
from easel.plot.base import COLOURS, WHICH

SHADES = [COLOURS[k] for k in (3, 2, 4, 0, 1, *range(5, len(COLOURS)))]  # of the changes, in the registry's order


def changed_images(pictures: np.ndarray, rows: list[str], columns: list[str], *, ax: Axes | None = None) -> Axes:
    """The same images under every strength of a change (Fig. 3): a row an image, true colours, the right way up.

    pictures: uint8 (rows, columns, 3, H, W); rows, columns: their names.
    """
    down, across = pictures.shape[:2]
    ax = ax or plt.subplots(figsize=(0.98 * across + 1.1, 1.0 * down + 0.4), layout="constrained")[1]
    height, width = pictures.shape[3:]
    step_y, step_x = 1.06 * height, 1.06 * width
    for i in range(down):
        for j in range(across):
            extent = (j * step_x, j * step_x + width, i * step_y + height, i * step_y)
            ax.imshow(pictures[i, j].transpose(1, 2, 0), extent=extent, interpolation="nearest")
        ax.text(-0.08 * width, i * step_y + height / 2, rows[i], ha="right", va="center", fontsize=10)
    for j in range(across):
        ax.text(j * step_x + width / 2, -0.06 * height, columns[j], ha="center", va="bottom", fontsize=10)
    ax.set(xlim=(-0.1 * width, across * step_x), ylim=(down * step_y, -0.35 * height), aspect="equal")
    ax.axis("off")
    return ax


def changed_rates(table: pd.DataFrame, *, axes: np.ndarray | None = None) -> np.ndarray:
    """Fig. 2 of one net: matching rates (a row for easy, one for hard) and accuracy against each change's strength.

    table: `changed.table` of one net, both sets; columns which, change, strength, same, other, blind with their _low
    and _high, accuracy, accuracy_low, accuracy_high, tie_low, tie_high, chance, stratified_chance. axes: (3, changes).
    """
    names = list(dict.fromkeys(table.change))
    if axes is None:
        shape = {"figsize": (3.4 * len(names) + 2.6, 8.2), "sharex": "col", "sharey": True, "layout": "constrained"}
        axes = plt.subplots(3, len(names), squeeze=False, **shape)[1]
    for column, name in zip(axes.T, names, strict=True):
        for ax, which in zip(column, ("easy", "hard"), strict=False):
            _rates(ax, table[(table.change == name) & (table.which == which)], name, which)
        rows = table[(table.change == name) & (table.which == "easy")]
        _band(column[2], _places(name, rows.strength), rows, "accuracy", "0.25", "D-")
        for ax in column:
            _ticks(ax, name, rows.strength)
        column[0].set_title(f"({ascii_lowercase[names.index(name)]}) {CHANGES[name].title or name}")
        column[2].set(xlabel=CHANGES[name].axis, ylim=(0, 1.02))
    for ax, what in zip(axes[:, 0], ("matching rate, easy", "matching rate, hard", "accuracy"), strict=True):
        ax.set_ylabel(what)
    for ax, which in zip(axes[:2, -1], ("easy", "hard"), strict=True):
        ax.legend(handles=_legend(WHICH[which]), loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
    return axes


def rates_against_accuracy(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Matching rate against accuracy, a line a change, of one net and one set; dashed: as many errors, blindly.

    table: `changed.table` of one net and set; columns change, strength, accuracy, other, other_low, other_high, blind,
    chance.
    """
    ax = ax or plt.subplots(figsize=(7, 4.4), layout="constrained")[1]
    for name, rows in table.groupby("change", sort=False):
        shade, change = SHADES[list(CHANGES).index(name) % len(SHADES)], CHANGES[name]
        rows = rows.iloc[np.argsort(_places(name, rows.strength))]
        error = [rows.other - rows.other_low, rows.other_high - rows.other]
        style = {"color": shade, "markersize": 6, "linewidth": 1.8, "elinewidth": 0.8}
        ax.errorbar(rows.accuracy, rows.other, error, fmt=f"{change.symbol}-", label=change.title or name, **style)
        ax.plot(rows.accuracy, rows.blind, "--", color=shade, linewidth=1.2)
    ax.plot([], [], "--", color="0.4", linewidth=1.2, label="blind errors")
    ax.axhline(table.chance.iloc[0], color="0.5", linestyle=":", label="chance")
    ax.set(xlabel="accuracy on the changed images", ylabel="matching rate, other trials", ylim=(0, None))
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def _rates(ax: Axes, rows: pd.DataFrame, name: str, which: str) -> None:
    x = _places(name, rows.strength)
    ax.vlines(x, rows.tie_low, rows.tie_high, color="0.85", linewidth=7)
    _band(ax, x, rows, "other", WHICH[which], "o-")
    ax.plot(x, rows.same, "o", color=WHICH[which], markerfacecolor="white", markersize=6)
    order = np.argsort(x)
    ax.plot(x[order], rows.blind.to_numpy()[order], "--", color="0.25", linewidth=1.4)
    ax.plot(x[order], rows.stratified_chance.to_numpy()[order], "-.", color="0.5", linewidth=1.2)
    ax.axhline(rows.chance.iloc[0], color="0.5", linestyle=":")


def _band(ax: Axes, x: np.ndarray, rows: pd.DataFrame, column: str, shade, form: str) -> None:
    rows = rows.iloc[np.argsort(x)]
    ax.plot(np.sort(x), rows[column], form, color=shade, markersize=5)
    ax.fill_between(np.sort(x), rows[f"{column}_low"], rows[f"{column}_high"], color=shade, alpha=0.18, linewidth=0)


def _legend(shade) -> list:
    return [
        Line2D([], [], color=shade, marker="o", markersize=5, label="other trials (95%)"),
        Line2D([], [], color=shade, marker="o", markerfacecolor="white", linestyle="", label="same trials (paper)"),
        Line2D([], [], color="0.25", linestyle="--", label="blind errors"),
        Patch(color="0.85", label="any tie-breaking"),
        Line2D([], [], color="0.5", linestyle="-.", label="classes alone"),
        Line2D([], [], color="0.5", linestyle=":", label="chance"),
    ]


def _places(name: str, strengths: pd.Series) -> np.ndarray:
    """Where strengths stand on the axis, the plain end on the right: alpha as it is, tiles and radii as logarithms."""
    x = strengths.to_numpy(dtype=float)
    x = np.log2(x) if CHANGES[name].logarithmic else x
    return x if CHANGES[name].plain_last else -x


def _ticks(ax: Axes, name: str, strengths: pd.Series) -> None:
    change = CHANGES[name]
    plain = max(strengths) if change.plain_last else min(strengths)
    shown = sorted(set(strengths), key=lambda s: abs(s - plain))
    kept = [shown[0]]  # from the plain end, those that leave room for a label
    span = np.ptp(_places(name, strengths)) or 1
    for s in shown[1:]:
        if abs(_places(name, pd.Series([s]))[0] - _places(name, pd.Series([kept[-1]]))[0]) >= 0.11 * span:
            kept.append(s)
    labels = [change.plain_tick if change.plain_tick and s == plain else change.tick(s) for s in kept]
    ax.set_xticks(_places(name, pd.Series(kept)), labels)
