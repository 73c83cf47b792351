"""Pure functions on what trials knew: scores of images, how alike two rankings are, intervals, and claims."""

from easel import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "easiness": "scores",
        "rate": "matching",
        "spearman": "correlation",
        "jackknife": "intervals",
        "t_interval": "intervals",
        "judge": "claims",
        "against_print": "claims",
    },
)
