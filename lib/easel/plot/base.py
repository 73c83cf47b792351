"""What all figures share: the look, colours and marks, keys, sheets of images. Nothing here loads, trains or computes.

A net has one colour everywhere, by family; easy is blue, hard is orange; the palettes are safe for the colour-blind,
and what stands in one figure differs by mark or dash as well. A figure is `WIDTH` inches wide where it can be: there
its text is still 8 pixels high on a telephone 390 pixels wide.
"""

from collections.abc import Iterable

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.container import ErrorbarContainer
from matplotlib.legend import Legend
from matplotlib.transforms import ScaledTranslation

from easel.errors import UserError
from easel.nets import names

WIDTH = 7.0
COLOURS = sns.color_palette("colorblind")
BLUE, ORANGE_RED, GREEN, TAN, SKY = (COLOURS[i] for i in (0, 3, 2, 5, 9))
DARK, MUSTARD = (0.2, 0.2, 0.2), (0.87, 0.8, 0.15)
# by label; nets that stand in one figure are told apart by the colour-blind too (tests/nets/test_models.py)
NETS = (
    {"MLP": DARK, "WRN": BLUE, "DenseNet-BC": GREEN, "ResNeXt": ORANGE_RED}
    | {"AlexNet": MUSTARD, "VGG": ORANGE_RED, "VGG-BN": TAN, "ResNet": BLUE, "DenseNet": SKY}
    | {"ResNet-20": BLUE, "VGG-16": ORANGE_RED, "MobileNet": MUSTARD}
    | {"ResNet-50": SKY, "EfficientNet-B4": ORANGE_RED, "EfficientNetV2-S": TAN, "MobileNetV3-S": MUSTARD}
)
WHICH_COLOURS = {"easy": COLOURS[0], "hard": COLOURS[1], "random": (0.5, 0.5, 0.5)}
WRONG_RIGHT = ListedColormap(["#e8e4de", "#2f6d9e"])
MARKS, DASHES = "os^DvPX<>", ("-", "--", "-.", (0, (5, 1, 1, 1, 1, 1)))
# what is mainly taken (notebook 04)
MODE_STYLES = {
    mode: {"color": WHICH_COLOURS[mode], "marker": mark, "linestyle": dash}
    for mode, mark, dash in (("easy", "o", "-"), ("hard", "s", "--"), ("random", "^", ":"))
}


def use_style() -> None:
    """The look of every figure: white, thin grid, text that is legible at half size (8 pixels or more)."""
    sns.set_theme(context="notebook", style="whitegrid", font_scale=1.05)
    plt.rcParams.update(
        {"figure.figsize": (7, 4), "axes.titlesize": 13, "axes.titleweight": "bold", "legend.frameon": False}
        | {"text.parse_math": False}  # a class may be called $\\frac$
    )


def net_colour(net: str, at: int = 0) -> tuple:
    """A net's colour, by its label or name, else its family's; a net of another kind has that of its place `at`.

    A ResNet-8, a resnet-56 and a resnet-20-0.5x have the ResNet-20's.
    """
    if net in NETS:
        return NETS[net]
    try:
        return NETS[names.label(names.FAMILIES[names.family(net)].example)]
    except (UserError, KeyError):  # no net that is known, or a family from outside
        stem = net.partition("-")[0]
        kin = [shade for label, shade in NETS.items() if label.partition("-")[0] == stem]
        return kin[0] if kin else COLOURS[(7, 8, 5, 6)[at % 4]]


def looks(labels: Iterable[str]) -> dict[str, dict]:
    """A look for each of many lines: colours, dashes and marks run at different lengths, so that none comes twice."""
    return {
        label: {"color": COLOURS[at % 9], "linestyle": DASHES[at % 4], "marker": MARKS[at % 7]}
        for at, label in enumerate(dict.fromkeys(labels))
    }


def net_looks(nets: Iterable[str]) -> dict[str, dict]:
    """A look for each net of a figure: its own colour, a mark and a dash by place."""
    own = enumerate(looks(nets).items())
    return {net: look | {"color": net_colour(net, at), "marker": MARKS[at % 9]} for at, (net, look) in own}


def arm_look(arm: str) -> dict:
    """The look of an arm of notebook 07, by its kind; a smaller delta is paler, a shuffled or grouped arm dashed."""
    kinds = {"plain": ("0.25", "o"), "highest": (COLOURS[1], "s"), "random": (COLOURS[0], "^")}
    shade, mark = (kinds | {"grouped": (COLOURS[2], "D")})[arm.split(" ")[0].strip(",")]
    delta = arm.rpartition("δ = ")[2]
    alpha = 0.45 + 0.55 * float(delta) if delta.replace(".", "").isdecimal() else 1.0
    dashed = "shuffled" in arm or arm.startswith("grouped")
    return {"color": shade, "marker": mark, "alpha": alpha, "linestyle": "--" if dashed else "-"}


def new(height: float = 4, width: float = WIDTH) -> Axes:
    """An empty axis of its own figure, inches."""
    return panels(1, 1, width, height)[0, 0]


def beside() -> np.ndarray:
    """Two empty axes side by side, for figures that are read together: (2,) Axes."""
    return panels(1, 2, 10.4, 4.6)[0]


def panels(down: int, across: int, width: float, height: float, **shared) -> np.ndarray:
    """Empty axes of one figure, inches: (down, across) Axes; shared: sharex, sharey of `plt.subplots`."""
    return plt.subplots(down, across, figsize=(width, height), layout="constrained", squeeze=False, **shared)[1]


def key(ax: Axes, *, estimates_first: bool = False, **options) -> Legend:
    """What the marks mean, off the data: below the axis, in as many columns as there is room for."""
    named = list(zip(*ax.get_legend_handles_labels(), strict=True))
    if estimates_first:
        named.sort(key=lambda pair: not isinstance(pair[0], ErrorbarContainer))
    across = ax.get_subplotspec().get_gridspec().ncols if ax.get_subplotspec() else 1
    room, longest = ax.figure.get_figwidth() / across, max((len(words) for _, words in named), default=1)
    columns = min(len(named), max(1, int(room / (0.55 + 0.09 * longest))))
    below = ax.transAxes + ScaledTranslation(0, -0.65, ax.figure.dpi_scale_trans)  # under ticks and the axis' name
    place = {"loc": "upper right", "bbox_to_anchor": (1, 0), "bbox_transform": below, "borderaxespad": 0}
    style = {"ncol": columns, "columnspacing": 1.2, "handlelength": 2.2}
    return ax.legend([handle for handle, _ in named], [words for _, words in named], **place | style | options)


def finished(ax: Axes, **labels) -> Axes:
    """The axis with its labels and limits (`Axes.set`) and its key."""
    ax.set(**labels)
    key(ax)
    return ax


def images(pictures: np.ndarray, titles: list[str], *, columns: int = 10, ax: Axes | None = None) -> Axes:
    """A sheet of images, true colours, the right way up, a title above each (Figs 1, 6 and 7).

    pictures: uint8 (n, 3, H, W); titles: n short texts.
    """
    rows, room = -(-len(pictures) // columns), 1.28 + 0.16 * max(title.count("\n") - 1 for title in titles)
    ax = ax or new(0.91 * max(room, 1.28) * rows + 0.15, 0.98 * columns)
    height, width = pictures.shape[2:]
    step_y, step_x = max(room, 1.28) * height, 1.08 * width
    for i, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        top, left = (i // columns) * step_y, (i % columns) * step_x
        ax.imshow(picture.transpose(1, 2, 0), extent=(left, left + width, top + height, top), interpolation="nearest")
        ax.text(left + width / 2, top - 0.03 * height, title, ha="center", va="bottom", fontsize=8)
    ax.set(xlim=(-1, columns * step_x), ylim=(rows * step_y - 0.2 * height, -0.25 * height), aspect="equal")
    ax.axis("off")
    return ax


def labelled_rows(pictures: np.ndarray, titles: list[str], rows: list[str], *, ax: Axes | None = None) -> Axes:
    """A sheet of images (`images`) in rows of one length, a word at the left of each row (notebook 08).

    pictures: uint8 (n, 3, H, W); titles: n short texts; rows: a word a row, n a multiple of their number.
    """
    ax = images(pictures, titles, columns=len(pictures) // len(rows), ax=ax)
    height, width = pictures.shape[2:]
    for i, word in enumerate(rows):
        middle = (1.28 * i + 0.5) * height
        ax.text(-0.1 * width, middle, word, rotation=90, ha="right", va="center", fontsize=9, fontweight="bold")
    ax.set_xlim(left=-0.4 * width)
    return ax


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
