"""Numbers that the papers print, to stand beside ours. Nothing here is computed, and nothing of ours is written here.

EH = "Empirical study of easy and hard examples in CNN training" (Kishida & Nakayama, arXiv:1911.10739).
"""

from itertools import chain, combinations_with_replacement

import pandas as pd

from easel.data import sets as datasets
from easel.ledger.trial import PHOTOGRAPHS

_CIFAR = ["MLP", "WRN", "DenseNet-BC", "ResNeXt"]
_MINI = ["MLP", "AlexNet", "VGG", "VGG-BN", "ResNet", "DenseNet"]
# rows of the upper triangle, diagonal first
TABLE_1 = {
    ("cifar10", "easy"): (_CIFAR, [[0.70, 0.20, 0.19, 0.21], [0.86, 0.71, 0.49], [0.91, 0.47], [0.82]]),
    ("cifar10", "hard"): (_CIFAR, [[0.96, 0.15, 0.14, 0.14], [0.90, 0.64, 0.50], [0.83, 0.47], [0.86]]),
    ("mini-imagenet", "easy"): (
        _MINI,
        [
            [0.63, 0.61, 0.67, 0.31, 0.52, 0.48],
            [0.87, 0.72, 0.41, 0.50, 0.48],
            [0.90, 0.37, 0.59, 0.59],
            [0.87, 0.25, 0.31],
            [0.96, float("nan")],  # ResNet – DenseNet: the cell is empty in the text we have, .96 stands there twice
            [0.75],
        ],
    ),
    ("mini-imagenet", "hard"): (
        _MINI,
        [
            [0.0, 0.07, 0.03, 0.0, 0.01, 0.01],
            [0.94, 0.48, 0.09, 0.26, 0.25],
            [0.78, 0.20, 0.45, 0.26],
            [0.46, 0.46, 0.42],
            [0.52, 0.44],
            [0.68],
        ],
    ),
}


# where they stand: the letters of Table 1 (it prints "(c)" twice, for easy and for hard), and the sheets of images
PLACES = {
    "cifar10": {"easy": "a", "hard": "b", "sheets": "Figs 1 (a-d) and 6"},
    "mini-imagenet": {"easy": "c", "hard": "d", "sheets": "Figs 1 (e-h) and 7"},
}


def stands_for(data: str) -> str:
    """Which of the paper's two data sets a name answers to: "cifar10" or "mini-imagenet".

    data: a name of easel.data, with @PIXELS or without. Sets that the paper does not have (drawn by code, folders) go
    by their size: above CIFAR's 32 pixels they stand for its photographs. UserError for an unknown name.
    """
    plain, pixels = datasets.Name.of(data)
    if plain == "cifar10":
        return plain
    return "mini-imagenet" if plain in PHOTOGRAPHS or (pixels or 32) > 32 else "cifar10"


def rates(data: str = "cifar10") -> pd.DataFrame:
    """EH Table 1 (a, b: CIFAR-10; c, d: mini ImageNet), tidy: a, b, which, paper; one row a pair and set.

    data: a name of easel.data, with @PIXELS or without; "tiny-imagenet-10" has mini ImageNet's numbers beside it. No
    rows for a set that is neither (drawn by code, a folder). UserError for an unknown name.
    """
    plain = datasets.Name.of(data).plain
    printed = stands_for(data) if plain == "cifar10" or plain in PHOTOGRAPHS else ""
    rows = []
    for (of, which), (nets, triangle) in TABLE_1.items():
        if of == printed:
            cells = zip(combinations_with_replacement(nets, 2), chain(*triangle), strict=True)
            rows += [(a, b, which, rate) for (a, b), rate in cells]
    return pd.DataFrame(rows, columns=["a", "b", "which", "paper"])


# SL = "Comparing sample-wise learnability across deep neural network models" (arXiv:1901.02347): linear correlations of
# two nets' learnability, and the second number that it prints beside each in parentheses without saying what it is
_LEARNABILITY = [
    ("ResNet-20", "VGG-16", 0.796, 0.867),
    ("ResNet-20", "MobileNet", 0.774, 0.782),
    ("VGG-16", "MobileNet", 0.713, 0.792),
]


def sl_correlations(data: str = "cifar10") -> pd.DataFrame:
    """SL's correlations between nets, tidy: a, b, paper, paper_in_parentheses; one row a pair, a and b in this order.

    data: a name of easel.data, with @PIXELS or without. No rows for another set than CIFAR-10; UserError for none.
    """
    rows = _LEARNABILITY if datasets.Name.of(data).plain == "cifar10" else []
    return pd.DataFrame(rows, columns=["a", "b", "paper", "paper_in_parentheses"])


# HM = "Can we learn better with hard samples?" (arXiv:2304.03486); its abstract's two numbers, and [A] the authors' own
# CIFAR-10 table, top-1 test accuracy in percent
HIGH_LOSS_GAIN = 7.26  # points, ResNet-18 on CIFAR-100
HIGH_LOSS_FEWER = 26.47  # per cent fewer epochs, EfficientNet-B4 on STL-10
_HIGH_LOSS = {
    "ResNet": (69.6, 69.2),
    "ResNet-50": (63.1, 64.6),
    "EfficientNet-B4": (52.6, 54.2),
    "EfficientNetV2-S": (56.5, 53.8),
    "MobileNetV3-S": (55.4, 53.2),
}


def high_loss() -> pd.DataFrame:
    """HM's CIFAR-10 accuracies in percent, a row a net: net, plain, high_loss, gain (percentage points)."""
    rows = [(net, plain, chosen, round(chosen - plain, 1)) for net, (plain, chosen) in _HIGH_LOSS.items()]
    return pd.DataFrame(rows, columns=["net", "plain", "high_loss", "gain"])
