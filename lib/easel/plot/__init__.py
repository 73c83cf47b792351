"""One function a figure: a tidy table and an axis in, the axis out. Nothing here loads, trains, computes or saves."""

from easel.plot.base import COLOURS, NETS, WHICH, WRONG_RIGHT, colour, images, use_style
from easel.plot.easiness import by_class, counts, ledger, reliability
from easel.plot.matching import matching, over_epochs, overlap, pairs, tie_rules
from easel.plot.similarity import similarity

__all__ = [
    "COLOURS", "NETS", "WHICH", "WRONG_RIGHT", "by_class", "colour", "counts", "images", "ledger", "matching",
    "over_epochs", "overlap", "pairs", "reliability", "similarity", "tie_rules", "use_style",
]  # fmt: skip
