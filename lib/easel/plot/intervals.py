"""Estimates with their intervals, a row each: one forest plot, and the figures of the papers that are calls of it."""

from collections.abc import Mapping
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from easel.plot.base import COLOURS, MODE_STYLES, WHICH_COLOURS, WIDTH, arm_look, key, new


class Style(NamedTuple):
    """How a series of estimates is drawn: its words in the key (None: not in it), colour, marker."""

    words: str | None
    colour: object = COLOURS[0]
    marker: str = "o"


class Mark(NamedTuple):
    """What stands beside the estimates: a column, its marker, colour (None: the series'), size, places further down."""

    column: str
    marker: str
    colour: object = None
    size: float = 7
    aside: float = 0.0


BOTH = {"easy": Style("easy", WHICH_COLOURS["easy"], "o"), "hard": Style("hard", WHICH_COLOURS["hard"], "s")}
_HERE = {which: look._replace(words=f"{which}, here") for which, look in BOTH.items()}


def forest(
    table: pd.DataFrame,
    *,
    label: str,
    value: str | None,
    by: str | None = None,
    looks: Mapping[str | None, Style] | None = None,
    apart: float = 0.32,
    marks: Mapping[str, Mark] | None = None,
    bands: Mapping[str, tuple[str, str]] | None = None,
    zero: tuple[float, str | None] | None = None,
    order: list[str] | None = None,
    scale: float = 1,
    ax: Axes | None = None,
) -> Axes:
    """A row a label: estimate and interval, marks beside it, bands behind it, a dotted line to read it against.

    table: the columns `label` (what a row is called), `value` (None: no estimate), low, high, and `by`, whose values
    are the series of a row, `apart` rows from one another; looks: a Look for each series, in their order, or for None.
    marks: words in the key -> Mark; bands: words -> columns of its two ends; both are left out where the table has no
    such number. zero: where the line is, and its words. order: the rows, else as they come. scale: of all numbers.
    """
    order = order or list(dict.fromkeys(table[label]))
    looks = looks or {None: Style(None)}
    ax = ax or new(1.6 + (0.36 + 0.1 * (apart > 0) * len(looks)) * len(order))
    row = {name: at for at, name in enumerate(order)}
    for words, (low, high) in (bands or {}).items():
        once = table.drop_duplicates(label)
        width = scale * (once[high] - once[low])
        ax.barh(
            once[label].map(row), width, left=scale * once[low], height=0.74, color="0.86", linewidth=0, label=words
        )
    for at, (series, look) in enumerate(looks.items()):
        rows = table if by is None else table[table[by] == series]
        rows = rows.assign(y=rows[label].map(row) + apart * (at - (len(looks) - 1) / 2))
        if value:
            once = rows.drop_duplicates(label)
            x, error = scale * once[value], scale * np.array([once[value] - once.low, once.high - once[value]])
            style = {"color": look.colour, "markersize": 7, "capsize": 3, "label": look.words}
            ax.errorbar(x, once.y, xerr=error, fmt=look.marker, **style)
        for words, mark in (marks or {}).items():
            if mark.column in rows and rows[mark.column].notna().any():
                own = mark.colour is None  # a mark of one colour is named once, one of every series with its name
                named = look.words and f"{look.words.partition(',')[0]}, {words}" if own else words if at == 0 else None
                style = {"color": look.colour if own else mark.colour, "markersize": mark.size, "label": named}
                style |= {"markeredgewidth": 2} if mark.marker in "x+|" else {}
                ax.plot(scale * rows[mark.column], rows.y + mark.aside, mark.marker, **style)
    if zero:
        ax.axvline(zero[0], color="0.4", linestyle=":", linewidth=1.6, label=zero[1], zorder=1)
    ax.set(yticks=range(len(order)), yticklabels=order, ylim=(len(order) - 0.5, -0.5))
    ax.grid(False, axis="y")
    if ax.get_legend_handles_labels()[1]:
        key(ax, estimates_first=True)
    return ax


def pairs(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Table 1 as a forest: matching rate of every pair with its interval, its chance lines and the printed value.

    table: pair, which, rate, low, high, stratified_chance, paper (nan where not printed).
    """
    marks = {"chance, classes kept": Mark("stratified_chance", "|", "0.35", 11), "printed": Mark("paper", "x")}
    ax = forest(table, label="pair", value="rate", by="which", looks=_HERE, marks=marks, zero=(0.1, "chance"), ax=ax)
    ax.set(xlabel="matching rate", xlim=(-0.02, 1.02))
    return ax


def shares(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Share of the ceiling: how alike two nets are, each being as alike as with itself = 1 (Table 1, off the diagonal).

    table: pair, which ("easy" | "hard"), share, low, high, printed (the printed table's own share; nan: none).
    """
    marks, line = {"printed": Mark("printed", "x", size=9)}, (1, "as alike as each net with itself")
    ax = forest(table, label="pair", value="share", by="which", looks=_HERE, marks=marks, zero=line, ax=ax)
    seen = [column for column in ("share", "high", "printed") if column in table]
    ax.set(xlabel="share of the ceiling", xlim=(min(0, table.low.min()), max(1.1, 1.05 * table[seen].max().max())))
    return ax


def tie_rules(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Table 1 by each tie rule: a pair a row, inside the range that any breaking of the ties can give.

    table: pair, expected, inclusive, index, tie_low, tie_high.
    """
    marks = {"expected": Mark("expected", "o", COLOURS[0]), "inclusive": Mark("inclusive", "s", COLOURS[1])}
    marks["index"] = Mark("index", "^", COLOURS[4])
    bands = {"any tie-breaking": ("tie_low", "tie_high")}
    ax = forest(table, label="pair", value=None, marks=marks, bands=bands, zero=(0.1, "chance"), ax=ax)
    ax.set(xlabel="matching rate", xlim=(-0.02, 1.02))
    return ax


def batch_norm(table: pd.DataFrame, *, ax: np.ndarray | None = None) -> np.ndarray:
    """What a net gains in agreement with each other net by batch normalisation, a panel a measure (Table 1 c, d).

    table: partner, normalised, measure, which, difference, low, high (`both_sets`), paper (nan: not printed).
    ax: one Axes a measure; they are what is returned.
    """
    measures, has = list(dict.fromkeys(table.measure)), table.drop_duplicates("partner").set_index("partner").normalised
    named = {name: f"{name}{' (BN)' if has[name] and not name.startswith('nets') else ''}" for name in has.index}
    if ax is None:
        size = (1.7 + 2 * len(measures), 1.8 + 0.56 * len(named))
        ax = plt.subplots(1, len(measures), figsize=size, sharey=True, layout="constrained")[1]
    table, looks = table.assign(partner=table.partner.map(named)), {"label": "partner", "value": "difference"}
    looks |= {"by": "which", "looks": BOTH, "marks": {"printed": Mark("paper", "x")}, "order": list(named.values())}
    for one, measure in zip(np.atleast_1d(ax), measures, strict=True):
        forest(table[table.measure == measure], zero=(0, None), ax=one, **looks)
        one.set(title=measure, xlabel="with batch norm\nless without")
        one.locator_params(axis="x", nbins=4)
        one.get_legend().remove()
    first = np.atleast_1d(ax)[0]
    first.figure.legend(*first.get_legend_handles_labels(), ncol=4, loc="outside lower center")
    return np.atleast_1d(ax)


def similarity(table: pd.DataFrame, *, by: str = "space", ax: Axes | None = None) -> Axes:
    """How alike the easy and the hard set are, as a ratio to random sets, grey; below 1 = more alike (Figs 1, 6, 7).

    table: which, ratio, low, high, band_low, band_high, and the column `by`, whose values are the figure's rows.
    """
    bands = {"random sets (95%)": ("band_low", "band_high")}
    ax = forest(table, label=by, value="ratio", by="which", looks=BOTH, apart=0.26, bands=bands, zero=(1, None), ax=ax)
    ax.set(xlabel="distance within the set, random set of the class = 1")
    return ax


def differences(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Paired differences of accuracy in points, each with its interval; zero is the dotted line (Fig. 4).

    table: label (a row each, in order), mode (its colour), estimate, low, high (0..1 scale).
    """
    modes = [mode for mode in MODE_STYLES if (table["mode"] == mode).any()]
    looks = {mode: Style(mode, MODE_STYLES[mode]["color"], MODE_STYLES[mode]["marker"]) for mode in modes}
    line = {"zero": (0, None), "scale": 100, "ax": ax}
    ax = forest(table, label="label", value="estimate", by="mode", looks=looks, apart=0, **line)
    ax.set(xlabel="difference in accuracy (points)")
    return ax


def arm_differences(table: pd.DataFrame, *, xlabel: str, value: str = "gain", ax: Axes | None = None) -> Axes:
    """Each arm against plain training: every seed a dot, mean and interval (the high-loss paper's question).

    table: arm, mean, low, high, and the column `value`, of a seed; an arm without interval shows its seeds alone.
    """
    table = table.assign(mean=table["mean"].where(np.isfinite(table.low)))
    looks = {arm: Style(None, arm_look(arm)["color"], arm_look(arm)["marker"]) for arm in dict.fromkeys(table.arm)}
    style = {"marks": {"one seed": Mark(value, ".", size=6, aside=0.26)}, "apart": 0, "zero": (0, None)}
    ax = forest(table, label="arm", value="mean", by="arm", looks=looks, ax=ax, **style)
    ax.plot([], [], ".", color="0.4", label="one seed")
    ax.errorbar([], [], xerr=[], fmt="o", color="0.4", capsize=3, label="mean, 95% interval")
    ax.set(xlabel=xlabel)
    key(ax, estimates_first=True)
    return ax


def learnability_pairs(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Correlation of learnability of every pair of nets, with what it is to be read against (SL's pairs).

    table: pair, r, low, high, spearman, online, ceiling, alone (classes alone), paper, paper_in_parentheses (nan where
    not printed).
    """
    marks = {"Spearman": Mark("spearman", "s", COLOURS[2], 6, -0.24)}
    marks["Pearson, online hits"] = Mark("online", "^", COLOURS[9], 7, 0.24)
    marks |= {"printed": Mark("paper", "x", COLOURS[3], 9)}
    marks["printed in parentheses"] = Mark("paper_in_parentheses", "+", COLOURS[3], 11)
    marks["ceiling: the nets' own seeds"] = Mark("ceiling", "|", "0.2", 16)
    marks["classes alone"] = Mark("alone", "|", "0.65", 16)
    looks = {None: Style("Pearson, with 95% interval")}
    ax = ax or new(2 + 0.7 * len(table), WIDTH)
    forest(table, label="pair", value="r", looks=looks, marks=marks, ax=ax)
    low = min(0, table[["low", "alone", "online"]].min().min() - 0.05)
    ax.set(xlabel="correlation of learnability between two nets", xlim=(low, 1))
    return ax


def errors_found(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """How well each score finds wrong labels: average precision, a row a score, a colour a kind of error (ours).

    table: score, kind, mean, low, high (`mislabels.over_plantings`, of one share); chance, the dotted line.
    """
    kinds = dict.fromkeys(table.kind)
    looks = {kind: Style(kind, COLOURS[(0, 1, 2)[at % 3]], "os^"[at % 3]) for at, kind in enumerate(kinds)}
    line = (float(table.chance.mean()), "chance")
    ax = forest(table, label="score", value="mean", by="kind", looks=looks, apart=0.22, zero=line, ax=ax)
    ax.set(xlabel="average precision", xlim=(0, None))
    return ax


def signs(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """How well each sign tells misclassified examples: area under the ROC curve, interval, a row a sign (Fig. 5).

    table: sign, measure ("AUC" | "AUC within classes"), value, low, high.
    """
    looks = {"AUC": Style("all pairs"), "AUC within classes": Style("within a class", "0.35", "s")}
    style = {"by": "measure", "looks": looks, "apart": 0.26, "zero": (0.5, "chance")}
    ax = forest(table, label="sign", value="value", ax=ax, **style)
    ax.set(xlabel="P(a right example is easier than a wrong one)", xlim=(min(0.45, table.low.min()), 1))
    return ax
