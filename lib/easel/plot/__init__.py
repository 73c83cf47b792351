"""One function a figure: a tidy table and an axis in, the axis out. Nothing here loads, trains, computes or saves."""

from easel.plot.base import (
    COLOURS,
    NETS,
    WHICH_COLOURS,
    WRONG_RIGHT,
    beside,
    images,
    key,
    labelled_rows,
    net_colour,
    use_style,
)
from easel.plot.intervals import (
    arm_differences,
    batch_norm,
    differences,
    forest,
    learnability_pairs,
    pairs,
    shares,
    signs,
    similarity,
    tie_rules,
)
from easel.plot.lines import (
    ablation,
    arms_over_updates,
    batch_spread,
    captured,
    compression,
    figure_4,
    gains,
    learnability_by_m,
    learnability_growth,
    learnability_spread,
    over_epochs,
    overlap,
    reliability,
    share_left,
)
from easel.plot.perturbation import changed_images, changed_rates, figure_2, rates_against_accuracy
from easel.plot.tables import (
    by_class,
    count_distribution,
    learnability_joint,
    ledger,
    matching,
    relation,
    score_correlations,
    table_1,
    tenths_kept,
    wrong_counts,
)

__all__ = [
    "COLOURS", "NETS", "WHICH_COLOURS", "WRONG_RIGHT", "ablation", "arm_differences", "arms_over_updates",
    "batch_norm", "batch_spread", "beside", "by_class", "captured", "changed_images", "changed_rates",
    "compression", "count_distribution", "differences", "figure_2", "figure_4", "forest", "gains", "images",
    "key", "labelled_rows", "learnability_by_m", "learnability_growth", "learnability_joint",
    "learnability_pairs", "learnability_spread", "ledger", "matching", "net_colour", "over_epochs", "overlap",
    "pairs", "rates_against_accuracy", "relation", "reliability", "score_correlations", "share_left", "shares",
    "signs", "similarity", "table_1", "tenths_kept", "tie_rules", "use_style", "wrong_counts",
]  # fmt: skip
