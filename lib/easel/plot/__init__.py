"""One function a figure: a tidy table and an axis in, the axis out. Nothing here loads, trains, computes or saves."""

from easel import face

_WORDS = {
    "base": "COLOURS NETS WHICH_COLOURS WRONG_RIGHT beside changed_images images key labelled_rows net_colour "
    "use_style",
    "lines": "ablation arm_differences arms_over_updates batch_norm batch_spread captured changed_rates compression "
    "differences errors_found figure_2 figure_4 forest gains learnability_by_m learnability_growth "
    "learnability_pairs learnability_spread over_epochs overlap pairs rates_against_accuracy reliability share_left "
    "shares signs similarity tie_rules",
    "tables": "by_class count_distribution learnability_joint ledger relation score_correlations table_1 tenths_kept "
    "wrong_counts",
}
__getattr__, __dir__, __all__ = face(
    __name__, {word: module for module, words in _WORDS.items() for word in words.split()}
)
