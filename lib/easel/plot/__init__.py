"""One function a figure: a tidy table and an axis in, the axis out. Nothing here loads, trains, computes or saves."""

from easel import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "base": "COLOURS NETS WHICH_COLOURS WRONG_RIGHT beside changed_images images key labelled_rows net_colour "
        "use_style",
        "figures": "ablation arm_differences arms_over_updates batch_norm batch_spread by_class captured changed_rates "
        "compression count_distribution differences errors_found figure_2 figure_4 forest gains learnability_by_m "
        "learnability_growth learnability_joint learnability_pairs learnability_spread ledger over_epochs overlap "
        "pairs rates_against_accuracy relation reliability score_correlations share_left shares signs similarity "
        "table_1 tenths_kept tie_rules wrong_counts",
    },
)
