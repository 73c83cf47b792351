"""One function a figure: a tidy table and an axis in, the axis out. Nothing here loads, trains, computes or saves."""

from easel.plot.ablation import ablation, beside, differences, share_left
from easel.plot.base import COLOURS, NETS, WHICH, WRONG_RIGHT, colour, images, use_style
from easel.plot.easiness import by_class, counts, ledger, reliability
from easel.plot.matching import batch_norm, matching, over_epochs, overlap, pairs, tie_rules
from easel.plot.similarity import similarity

__all__ = [
    "COLOURS", "NETS", "WHICH", "WRONG_RIGHT", "ablation", "batch_norm", "beside", "by_class", "colour", "counts",
    "differences", "images", "ledger", "matching", "over_epochs", "overlap", "pairs", "reliability", "share_left",
    "similarity", "tie_rules", "use_style",
]  # fmt: skip
