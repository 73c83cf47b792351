"""Data sets as uint8 tensors: published ones, folders of images, images drawn by code, and what is taken from them.

    from easel.data import choose, load, subset

    images = subset(load(choose("auto")), 10_000).images      # uint8 (10000, 3, 32, 32)

sets · published · own (folders, arrays) · patterns · download · changes (perturbations).
Nothing in this room trains or normalises. These words are imported when they are first used.
"""

from easel import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "sets": "load subset choose describe names Dataset Name",
        "published": "Published register_set",
        "changes": "Change register_change",
    },
)
