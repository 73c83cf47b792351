"""Data sets as uint8 tensors: published ones, folders of images, images drawn by code, and what is taken from them.

    from easel.data import choose, load, subset

    images = subset(load(choose("auto")), 10_000).images      # uint8 (10000, 3, 32, 32)

sets        names, sizes, splits, subsets; what is on this machine      folders     any folder of images
published   what comes as one archive: a literal a set                  patterns    pictures drawn by code
download    one file from the first mirror that delivers it             facts       what a trial's key needs to know
changes     perturbations: a registry

Nothing in this room trains or normalises. These words are imported when they are first used.
"""

from easel.faces import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "load": "sets",
        "subset": "sets",
        "choose": "sets",
        "describe": "sets",
        "names": "sets",
        "Dataset": "sets",
        "Name": "sets",
        "Published": "published",
        "register_set": "published",
        "Change": "changes",
        "register_change": "changes",
    },
)
