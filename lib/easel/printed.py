"""Numbers that the papers print, to stand beside ours. Nothing here is computed, and nothing of ours is written here.

EH = "Empirical study of easy and hard examples in CNN training" (Kishida & Nakayama, arXiv:1911.10739).
"""

import pandas as pd

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
            [0.96, float("nan")],  # not legible in the text we have
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


def table_1(data: str = "cifar10") -> pd.DataFrame:
    """EH Table 1 (a, b: "cifar10"; c, d: "mini-imagenet"), tidy: a, b, which, paper; one row a pair and set."""
    rows = [
        (nets[i], nets[i + j], which, rate)
        for (of, which), (nets, triangle) in TABLE_1.items()
        if of == data
        for i, row in enumerate(triangle)
        for j, rate in enumerate(row)
    ]
    return pd.DataFrame(rows, columns=["a", "b", "which", "paper"])
