"""What all figures share: the look, a net's colour, sheets of images. Nothing here loads, trains, computes or saves.

A net has one colour everywhere, by family; easy is blue, hard is orange; the palettes are safe for the colour-blind.
"""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

from easel.nets import names

COLOURS = sns.color_palette("colorblind")
BLUE, ORANGE_RED, GREEN, TAN, SKY = (COLOURS[i] for i in (0, 3, 2, 5, 9))
DARK, MUSTARD = (0.2, 0.2, 0.2), (0.87, 0.8, 0.15)
# by label; nets that stand in one figure are told apart by the colour-blind too (tests/test_models.py)
NETS = (
    {"MLP": DARK, "WRN": BLUE, "DenseNet-BC": GREEN, "ResNeXt": ORANGE_RED}
    | {"AlexNet": MUSTARD, "VGG": ORANGE_RED, "VGG-BN": TAN, "ResNet": BLUE, "DenseNet": SKY}
    | {"ResNet-20": BLUE, "VGG-16": ORANGE_RED, "MobileNet": MUSTARD}
    | {"ResNet-50": SKY, "EfficientNet-B4": ORANGE_RED, "EfficientNetV2-S": TAN, "MobileNetV3-S": MUSTARD}
)
WHICH = {"easy": COLOURS[0], "hard": COLOURS[1], "random": (0.5, 0.5, 0.5)}
WRONG_RIGHT = ListedColormap(["#e8e4de", "#2f6d9e"])


def use_style() -> None:
    """The look of every figure: white, thin grid, text that is legible at half size."""
    sns.set_theme(context="notebook", style="whitegrid", font_scale=0.95)
    plt.rcParams.update(
        {"figure.figsize": (7, 4), "axes.titlesize": 12, "axes.titleweight": "bold", "legend.frameon": False}
    )


def colour(model: str) -> tuple:
    """The colour of a net, by its family: a ResNet-56 has the ResNet-20's."""
    return NETS[names.label(names.FAMILIES[names.family(model)].example)]


def images(pictures: np.ndarray, titles: list[str], *, columns: int = 10, ax: Axes | None = None) -> Axes:
    """A sheet of images, true colours, the right way up, a title above each.

    pictures: uint8 (n, 3, H, W); titles: n short texts.
    """
    rows = -(-len(pictures) // columns)
    ax = ax or plt.subplots(figsize=(0.98 * columns, 1.165 * rows + 0.15), layout="constrained")[1]
    height, width = pictures.shape[2:]
    step_y, step_x = 1.28 * height, 1.08 * width
    for i, (picture, title) in enumerate(zip(pictures, titles, strict=True)):
        top, left = (i // columns) * step_y, (i % columns) * step_x
        ax.imshow(picture.transpose(1, 2, 0), extent=(left, left + width, top + height, top), interpolation="nearest")
        ax.text(left + width / 2, top - 0.03 * height, title, ha="center", va="bottom", fontsize=8)
    ax.set(xlim=(-1, columns * step_x), ylim=(rows * step_y - 0.2 * height, -0.25 * height), aspect="equal")
    ax.axis("off")
    return ax
