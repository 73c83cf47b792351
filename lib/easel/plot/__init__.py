"""One function a figure: a tidy table and an axis in, the axis out. Nothing here loads, trains, computes or saves."""

from easel.plot.ablation import ablation, beside, differences, share_left
from easel.plot.base import COLOURS, NETS, WHICH, WRONG_RIGHT, colour, images, use_style
from easel.plot.compression import compression, gains, labelled_rows, tenths_kept
from easel.plot.easiness import by_class, counts, ledger, reliability
from easel.plot.high_loss import arm_differences, arms_over_updates, batch_spread
from easel.plot.learnability import (
    learnability_by_m,
    learnability_growth,
    learnability_joint,
    learnability_pairs,
    learnability_spread,
    score_correlations,
)
from easel.plot.matching import batch_norm, matching, over_epochs, overlap, pairs, tie_rules
from easel.plot.perturbation import changed_images, changed_rates, rates_against_accuracy
from easel.plot.similarity import similarity
from easel.plot.validation import captured, relation, signs, times_wrong

__all__ = [
    "COLOURS", "NETS", "WHICH", "WRONG_RIGHT", "ablation", "arm_differences", "arms_over_updates", "batch_norm",
    "batch_spread", "beside", "by_class", "captured", "changed_images", "changed_rates", "colour", "compression",
    "counts", "differences", "gains", "images", "labelled_rows", "learnability_by_m", "learnability_growth",
    "learnability_joint", "learnability_pairs", "learnability_spread", "ledger", "matching", "over_epochs", "overlap",
    "pairs", "rates_against_accuracy", "relation", "reliability", "score_correlations", "share_left", "signs",
    "similarity", "tenths_kept", "tie_rules", "times_wrong", "use_style",
]  # fmt: skip
