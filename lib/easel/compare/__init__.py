"""Pure functions on what trials knew: scores of images, how alike two rankings are, intervals, and claims."""

from easel import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "scores": "easiness",
        "matching": "rate",
        "correlation": "spearman",
        "intervals": "jackknife t_interval",
        "claims": "judge against_print",
    },
)
