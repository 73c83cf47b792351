"""Data sets as uint8 tensors: published ones, folders of images, images drawn by code, and what is taken from them.

    from easel.data import choose, load, subset

    images = subset(load(choose("auto")), 10_000).images      # uint8 (10000, 3, 32, 32)

sets        names, sizes, splits, subsets; what is on this machine      folders     any folder of images
published   what comes as one archive: a literal a set                  patterns    pictures drawn by code
download    one file from the first mirror that delivers it             facts       what a trial's key needs to know
changes     perturbations: a registry

Nothing in this room trains or normalises. These words are imported when they are first used.
"""

from importlib import import_module

_WORDS = {
    "load": ("sets", "load"),
    "subset": ("sets", "subset"),
    "choose": ("sets", "choose"),
    "describe": ("sets", "describe"),
    "names": ("sets", "names"),
    "Dataset": ("sets", "Dataset"),
    "Name": ("sets", "Name"),
    "Published": ("published", "Published"),
    "register_published": ("published", "register"),
    "Change": ("changes", "Change"),
    "register_change": ("changes", "register"),
}
__all__ = sorted(_WORDS)


def __getattr__(word: str) -> object:
    if word not in _WORDS:
        raise AttributeError(f"module {__name__!r} has no attribute {word!r}")
    module, name = _WORDS[word]
    return getattr(import_module(f"{__name__}.{module}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_WORDS})
