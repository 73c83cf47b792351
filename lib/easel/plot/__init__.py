"""One function a figure: a tidy table and an axis in, the axis out. Nothing here loads, trains, computes or saves."""

from easel import face

_WORDS = {
    "base": "COLOURS NETS WHICH_COLOURS WRONG_RIGHT beside images key labelled_rows net_colour use_style",
    "intervals": "arm_differences batch_norm differences errors_found forest learnability_pairs pairs shares signs "
    "similarity tie_rules",
    "lines": "ablation arms_over_updates batch_spread captured compression figure_4 gains learnability_by_m "
    "learnability_growth learnability_spread over_epochs overlap reliability share_left",
    "perturbation": "changed_images changed_rates figure_2 rates_against_accuracy",
    "tables": "by_class count_distribution learnability_joint ledger relation score_correlations table_1 tenths_kept "
    "wrong_counts",
}
__getattr__, __dir__, __all__ = face(
    __name__, {word: module for module, words in _WORDS.items() for word in words.split()}
)
