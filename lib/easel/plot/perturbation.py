"""Figures of changed images, and of what is left of easiness on them (notebook 03).

Where strengths are an axis, the unchanged images are at its right end.
"""

import textwrap
from string import ascii_lowercase

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from easel.data.changes import CHANGES
from easel.plot.base import COLOURS, WHICH_COLOURS, finished, net_looks, new
from easel.plot.lines import draw_line

SHADES = [COLOURS[k] for k in (3, 2, 4, 0, 1, *range(5, len(COLOURS)))]  # of the changes, in the registry's order


def changed_images(pictures: np.ndarray, rows: list[str], columns: list[str], *, ax: Axes | None = None) -> Axes:
    """The same images under every strength of a change (Fig. 3): a row an image, true colours, the right way up.

    pictures: uint8 (rows, columns, 3, H, W); rows, columns: their names.
    """
    down, across = pictures.shape[:2]
    ax = ax or new(1.0 * down + 0.4, 0.98 * across + 1.1)
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


def figure_2(table: pd.DataFrame, *, value: str = "other", ax: np.ndarray | None = None) -> np.ndarray:
    """Fig. 2: matching rate of plain with changed easiness against each change's strength, a panel a change.

    All nets, easy in full lines and hard in dashed ones; a band is the interval, the dotted line is chance.

    table: `perturbed_rates` of all nets and both sets, as notebook 03 has it (or its saved table "strengths");
    columns net, which, change, strength, chance, and `value` with its _low and _high: "other" (trials that share
    nothing) or "same" (the same trials on both sides). ax: (changes,) Axes; they are what is returned.
    """
    names, looks = list(dict.fromkeys(table.change)), net_looks(table.net)
    if ax is None:
        size = {"figsize": (2.7 * len(names) + 0.3, 4), "sharey": True, "layout": "constrained"}
        ax = plt.subplots(1, len(names), squeeze=False, **size)[1][0]
    for letter, one, name in zip(ascii_lowercase, ax, names, strict=False):
        for (net, which), rows in table[table.change == name].groupby(["net", "which"], sort=False):
            hard = {"linestyle": "--", "markerfacecolor": "white"} if which == "hard" else {"linestyle": "-"}
            ends = (rows[f"{value}_low"], rows[f"{value}_high"])
            draw_line(one, _places(name, rows.strength), rows[value], *ends, shade=0.1, **looks[net] | hard)
        one.axhline(table.chance.iloc[0], color="0.4", linestyle=":")
        change = CHANGES[name]
        one.set(title=f"({letter}) {change.title or name}", xlabel=textwrap.fill(change.axis, 20), ylim=(0, 1))
        _ticks(one, name, table[table.change == name].strength, apart=0.2)
    ax[0].set_ylabel("matching rate with plain images")
    lines = [Line2D([], [], **look | {"linestyle": "-"}, markersize=5, label=net) for net, look in looks.items()]
    sets = {"easy 10%": {"linestyle": "-"}, "hard 10%": {"linestyle": "--", "marker": "o", "markerfacecolor": "white"}}
    lines += [Line2D([], [], color="0.4", label=words, **look) for words, look in sets.items()]
    lines += [Line2D([], [], color="0.4", linestyle=":", label="chance")]
    ax[0].figure.legend(handles=lines, ncol=min(6, len(lines)), loc="outside lower center")
    return ax


def changed_rates(table: pd.DataFrame, *, ax: np.ndarray | None = None) -> np.ndarray:
    """Fig. 2 of one net: matching rates (a row for easy, one for hard) and accuracy against each change's strength.

    table: `perturbed_rates` of one net, both sets; columns which, change, strength, same, other, blind with their
    _low and _high, accuracy, accuracy_low, accuracy_high, tie_low, tie_high, chance, stratified_chance.
    ax: (3, changes) Axes; they are what is returned.
    """
    names = list(dict.fromkeys(table.change))
    if ax is None:
        shape = {"figsize": (2.8 * len(names) + 0.4, 9), "sharex": "col", "sharey": True, "layout": "constrained"}
        ax = plt.subplots(3, len(names), squeeze=False, **shape)[1]
    for column, name in zip(ax.T, names, strict=True):
        for one, which in zip(column, ("easy", "hard"), strict=False):
            _rates(one, table[(table.change == name) & (table.which == which)], name, which)
        rows = table[(table.change == name) & (table.which == "easy")]
        ends = (rows.accuracy_low, rows.accuracy_high)
        draw_line(column[2], _places(name, rows.strength), rows.accuracy, *ends, color="0.25", marker="D")
        for one in column:
            _ticks(one, name, rows.strength, apart=0.16)
        column[0].set_title(f"({ascii_lowercase[names.index(name)]}) {CHANGES[name].title or name}")
        column[2].set(xlabel=textwrap.fill(CHANGES[name].axis, 20), ylim=(0, 1.02))
    for one, what in zip(ax[:, 0], ("matching rate, easy", "matching rate, hard", "accuracy"), strict=True):
        one.set_ylabel(what)
    ax[0, 0].figure.legend(handles=_legend(), ncol=3, loc="outside lower center")
    return ax


def rates_against_accuracy(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Matching rate against accuracy, a line a change, of one net and set; dashed: as many errors, blindly (Fig. 2).

    table: `perturbed_rates` of one net and set; columns change, strength, accuracy, other, other_low, other_high,
    blind, chance.
    """
    ax = ax or new(4.8)
    for name, rows in table.groupby("change", sort=False):
        shade, change = SHADES[list(CHANGES).index(name) % len(SHADES)], CHANGES[name]
        rows = rows.iloc[np.argsort(_places(name, rows.strength))]
        error = [rows.other - rows.other_low, rows.other_high - rows.other]
        style = {"color": shade, "markersize": 6, "linewidth": 1.8, "elinewidth": 0.8}
        ax.errorbar(rows.accuracy, rows.other, error, fmt=f"{change.symbol}-", label=change.title or name, **style)
        ax.plot(rows.accuracy, rows.blind, "--", color=shade, linewidth=1.2)
    ax.plot([], [], "--", color="0.4", linewidth=1.2, label="blind errors")
    ax.axhline(table.chance.iloc[0], color="0.5", linestyle=":", label="chance")
    words = {"xlabel": "accuracy on the changed images", "ylabel": "matching rate, other trials"}
    return finished(ax, **words, ylim=(0, None))


def _rates(ax: Axes, rows: pd.DataFrame, name: str, which: str) -> None:
    x, look = _places(name, rows.strength), {"color": WHICH_COLOURS[which], "marker": {"easy": "o", "hard": "s"}[which]}
    ax.vlines(x, rows.tie_low, rows.tie_high, color="0.85", linewidth=7)
    draw_line(ax, x, rows.other, rows.other_low, rows.other_high, shade=0.18, **look)
    ax.plot(x, rows.same, linestyle="none", markerfacecolor="white", markersize=6, **look)
    draw_line(ax, x, rows.blind, color="0.25", linestyle="--", linewidth=1.4)
    draw_line(ax, x, rows.stratified_chance, color="0.5", linestyle="-.", linewidth=1.2)
    ax.axhline(rows.chance.iloc[0], color="0.5", linestyle=":")


def _legend() -> list:
    marks = {"easy": "o", "hard": "s"}
    words = {"other trials (95%)": {"linestyle": "-"}, "same trials": {"linestyle": "", "markerfacecolor": "white"}}
    own = [
        Line2D([], [], color=WHICH_COLOURS[which], marker=mark, markersize=5, label=f"{which}, {said}", **look)
        for which, mark in marks.items()
        for said, look in words.items()
    ]
    lines = {"blind errors": ("0.25", "--"), "classes alone": ("0.5", "-."), "chance": ("0.5", ":")}
    rest = [Line2D([], [], color=ink, linestyle=dash, label=said) for said, (ink, dash) in lines.items()]
    return [*own, Patch(color="0.85", label="any tie-breaking"), *rest]


def _places(name: str, strengths: pd.Series) -> np.ndarray:
    """Where strengths stand on the axis, the plain end on the right: alpha as it is, tiles and radii as logarithms."""
    x = strengths.to_numpy(dtype=float)
    x = np.log2(x) if CHANGES[name].logarithmic else x
    return x if CHANGES[name].plain_last else -x


def _ticks(ax: Axes, name: str, strengths: pd.Series, *, apart: float) -> None:
    """Names of the strengths, from the plain end on, those that leave so much of the axis for a label."""
    change = CHANGES[name]
    plain = max(strengths) if change.plain_last else min(strengths)
    shown = sorted(set(strengths), key=lambda s: abs(s - plain))
    kept = [shown[0]]
    span = np.ptp(_places(name, strengths)) or 1
    for s in shown[1:]:
        if abs(_places(name, pd.Series([s]))[0] - _places(name, pd.Series([kept[-1]]))[0]) >= apart * span:
            kept.append(s)
    labels = [change.plain_tick if change.plain_tick and s == plain else change.tick(s) for s in kept]
    ax.set_xticks(_places(name, pd.Series(kept)), labels)
