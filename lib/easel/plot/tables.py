"""Figures of cells, bars and dots: Table 1, ledgers, counts, what is left of each tenth, score against score."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.patches import Patch, Rectangle

from easel.plot.base import COLOURS, WHICH_COLOURS, WIDTH, WRONG_RIGHT, finished, new

# how our value stands to the printed one: a cell's colour and its sign
_VERDICTS = {"as printed": ("#cfe4f5", "="), "not as printed": ("#fbd9b0", "≠"), "open": ("#ececec", "?")}


def table_1(best: pd.DataFrame, *, ax: np.ndarray | None = None) -> np.ndarray:
    """Table 1 as printed, ours below: nets against nets, the diagonal a net with itself; a panel a set, easy and hard.

    best: a, b (labels of nets), which ("easy" | "hard"), paper (nan: not printed), rate, low, high, verdict
    ("as printed" | "not as printed" | "open": a cell's colour and sign). Up to four nets the panels stand side by side,
    more of them below each other, to stay legible. ax: one Axes a set; they are what is returned, (sets,).
    """
    sets = [which for which in ("easy", "hard") if (best.which == which).any()]
    nets = list(dict.fromkeys([*best.a, *best.b]))
    if ax is None:
        down, across = (1, len(sets)) if len(nets) < 5 else (len(sets), 1)
        size = (WIDTH * (1 if across > 1 or len(nets) > 4 else 0.6), 0.9 + down * (0.9 + 0.74 * len(nets)))
        ax = plt.subplots(down, across, figsize=size, layout="constrained", squeeze=False)[1].ravel()
    ax = np.atleast_1d(ax)
    for one, which in zip(ax, sets, strict=True):
        _nets(one, nets)
        one.set_title(f"{which} 10%: share in common", fontsize=13, pad=18)
        for row in best[best.which == which].itertuples():
            at, to = sorted((nets.index(row.a), nets.index(row.b)))
            _cell(one, to, at, row, *_VERDICTS[row.verdict])
    handles = [Patch(color=shade, label=f"{sign} {words}") for words, (shade, sign) in _VERDICTS.items()]
    said = "each cell: printed, below it ours (bold) and its 95% interval"
    ax[0].figure.legend(handles=handles, title=said, ncol=3, loc="outside lower center", fontsize=12, title_fontsize=12)
    return ax


def ledger(correct: np.ndarray, *, ax: Axes | None = None) -> Axes:
    """Who was right when, for one trial: a row an epoch, a column an example, blue = right (what easiness counts).

    correct: bool (epochs, examples), at most some thousand examples; their order is the caller's.
    """
    ax = ax or new(0.6 + 0.4 * len(correct))
    ax.imshow(correct, aspect="auto", cmap=WRONG_RIGHT, vmin=0, vmax=1, interpolation="nearest")
    ax.set(xlabel="example", ylabel="epoch", yticks=range(len(correct)), yticklabels=range(1, len(correct) + 1))
    ax.grid(False)
    for edge in np.arange(len(correct) - 1) + 0.5:
        ax.axhline(edge, color="white", linewidth=2)
    return ax


def count_distribution(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """How many examples were right in c of N trials, beside what trials that ignore the image would give (Eq. 1).

    table: count (0..N), share (of examples, 0..1), chance (share if all images were equally easy).
    """
    ax = _bars(table, COLOURS[9], "trials seen", "if all images were alike", ax)
    return finished(ax, xlabel=f"trials that got the image right (of {table['count'].max()})", ylabel="images (%)")


def wrong_counts(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """How many nets misclassify an example, beside what nets that err independently would give (Secs 1 and 7.1).

    table: `consistency.times_wrong`: count, share, chance (0..1).
    """
    ax = _bars(table, WHICH_COLOURS["hard"], "seen", "if nets erred independently", ax)
    return finished(ax, xlabel=f"nets that misclassify it (of {table['count'].max()})", ylabel="test examples (%)")


def by_class(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Easiness within each class, classes from easiest to hardest (ours).

    table: class, easiness; one row an example.
    """
    means = table.groupby("class")["easiness"].mean().sort_values(ascending=False)
    ax = ax or new(1.2 + 0.34 * len(means))
    sns.boxplot(table, y="class", x="easiness", order=means.index, color="#bcd6e8", fliersize=1.5, linewidth=1, ax=ax)
    ax.plot(means, range(len(means)), "D", color=COLOURS[3], markersize=5, label="mean")
    ax.grid(False, axis="y")
    return finished(ax, xlabel="easiness (higher = easier)", ylabel="")


def tenths_kept(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """What is left of every tenth of the ranking: a row a way to choose, a column a tenth, hardest first (notebook 08).

    table: index the way to choose, ten columns of shares left, 0..1.
    """
    ax = ax or new(0.9 + 0.42 * len(table))
    ax.imshow(table.to_numpy(), aspect="auto", cmap="Blues", vmin=0, vmax=1)
    for (row, column), value in np.ndenumerate(table.to_numpy()):
        ax.text(column, row, f"{100 * value:.0f}", ha="center", va="center", color="white" if value > 0.6 else "0.15")
    ax.set(yticks=range(len(table)), yticklabels=table.index, xticks=range(10), xticklabels=range(1, 11))
    ax.set(xlabel="tenth of the images, hardest first (numbers: % left)", ylabel="dropped")
    ax.grid(False)
    return ax


def relation(points: pd.DataFrame, bins: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Fig. 5: mean probability of the true class against easiness, a dot an example, and the means of the bins.

    points: easiness, probability (0..1), wrong (share of nets, 0..1: the dot's colour); bins: `validation.binned`.
    Dots of one easiness are spread sideways within its tenth, so that they can be seen.
    """
    ax = ax or new(4.8)
    spread = (np.arange(len(points)) * 0.618034) % 1 - 0.5  # even, and the same every time
    x, size = points.easiness + 0.07 * spread, np.clip(6000 / len(points), 2, 12)
    dots = ax.scatter(x, points.probability, c=points.wrong, s=size, cmap="cividis", vmin=0, vmax=1, alpha=0.55)
    error = [bins.probability - bins.low, bins.high - bins.probability]
    edge, line = {"color": "white", "markersize": 8, "linewidth": 4}, {"color": COLOURS[3], "capsize": 3}
    ax.errorbar(bins.easiness, bins.probability, error, fmt="o-", zorder=3, **edge)
    ax.errorbar(bins.easiness, bins.probability, error, fmt="o-", zorder=4, label="mean of a bin, 95%", **line)
    bar = ax.figure.colorbar(dots, ax=ax, label="share of nets that misclassify it")
    bar.solids.set_alpha(1)
    ax.set(xlabel="easiness (higher = easier)", ylabel="mean probability of the true class")
    return finished(ax, xlim=(-0.06, 1.06), ylim=(-0.03, 1.03))


def learnability_joint(table: pd.DataFrame, *, a: str, b: str, ax: Axes | None = None) -> Axes:
    """How many images are how learnable under two nets: a heat map, with b's mean at each a (behind SL's correlations).

    table: a, b, images (`learnability.joint`); a, b: the nets' names, for the axes.
    """
    ax = ax or new(5.6, 5.6)
    square = table.pivot(index="b", columns="a", values="images")
    centres = square.columns.to_numpy()
    edge = np.append(centres, centres[-1] + centres[1]) - centres[1] / 2
    norm = LogNorm(1, max(2, square.to_numpy().max()))
    mesh = ax.pcolormesh(edge, edge, square.where(square > 0), cmap="crest", norm=norm)
    ax.figure.colorbar(mesh, ax=ax, label="images", shrink=0.8)
    of_a = table.groupby("a").apply(lambda g: (g.b * g.images).sum() / max(g.images.sum(), 1), include_groups=False)
    seen = square.sum() > 0
    ax.plot(centres[seen], of_a[seen], "o-", color=COLOURS[3], markersize=4, label=f"mean of {b}")
    ax.plot([0, 1], [0, 1], ":", color="0.4", label="equal")
    ax.grid(False)
    return finished(ax, xlabel=f"learnability under {a}", ylabel=f"learnability under {b}", aspect="equal")


def score_correlations(same: pd.DataFrame, across: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Scores against scores (ours): below the diagonal in the same trial, above and on it between two trials of a net.

    same, across: square, the same names as index and columns; the diagonal of `across` is each score's ceiling.
    """
    names = list(across.index)
    ax = ax or new(1.6 + 0.62 * len(names), 2.6 + 0.72 * len(names))
    lower = np.tri(len(names), k=-1, dtype=bool)
    shown = across.where(~lower, same.loc[names, names])
    low = min(0.0, float(np.nanmin(shown.to_numpy())))
    sns.heatmap(shown, vmin=low, vmax=1, cmap="crest", annot=True, fmt=".2f", square=True, linewidths=1.5, ax=ax)
    ax.collections[0].colorbar.set_label("correlation")
    for at in range(len(names)):
        ax.add_patch(Rectangle((at, at), 1, 1, fill=False, edgecolor=COLOURS[1], linewidth=2.5, clip_on=False))
    ax.set_title("above: another trial   ·   framed: its own ceiling   ·   below: the same trial", fontsize=10)
    ax.grid(False)
    ax.set(xlabel="", ylabel="")
    ax.tick_params(axis="x", rotation=45)
    plt.setp(ax.get_xticklabels(), ha="right", rotation_mode="anchor")
    ax.tick_params(axis="y", rotation=0)
    return ax


def _bars(table: pd.DataFrame, shade: object, seen: str, chance: str, ax: Axes | None) -> Axes:
    ax = ax or new(4.4)
    ax.bar(table["count"], 100 * table["share"], width=0.8, color=shade, label=seen)
    ax.plot(table["count"], 100 * table["chance"], "o--", color="0.25", markersize=4, label=chance)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.grid(False, axis="x")
    return ax


def _nets(ax: Axes, nets: list[str]) -> None:
    """Names above the columns, and at the left of each row's first cell: the lower triangle is empty."""
    names = [re.sub("(?<=[a-z])(?=Net)", "\n", net) if len(net) > 8 else net for net in nets]
    for at, name in enumerate(names):
        ax.text(at, -0.56, name, ha="center", va="bottom", fontsize=12, linespacing=0.9)
        ax.text(at - 0.56, at, name, ha="right", va="center", fontsize=12, linespacing=0.9)
    letters = max(map(len, names[0].split("\n")))
    ax.set(xlim=(-0.6 - 0.17 * letters, len(nets) - 0.48), ylim=(len(nets) - 0.48, -0.85))
    ax.axis("off")


def _cell(ax: Axes, x: int, y: int, row, shade: object, sign: str) -> None:
    """Printed, below it ours, below it the interval in small type; the verdict's sign in the corner."""
    ax.add_patch(Rectangle((x - 0.48, y - 0.48), 0.96, 0.96, color=shade, linewidth=0))
    lines = [(15, f"{row.paper:.2f}" if np.isfinite(row.paper) else "–", 12, "normal", "0.3")]
    lines += [(0, f"{row.rate:.2f}", 13.5, "bold", "0")]
    if np.isfinite(row.low):
        lines += [(-15, f"{row.low:.2f}–{row.high:.2f}".replace("0.", "."), 11, "normal", "0")]
    for up, words, size, weight, ink in lines:
        style = {"ha": "center", "va": "center", "fontsize": size, "fontweight": weight, "color": ink}
        ax.annotate(words, (x, y), (0, up), textcoords="offset points", **style)
    ax.annotate(sign, (x + 0.44, y - 0.45), ha="right", va="top", fontsize=11, color="0.3")
