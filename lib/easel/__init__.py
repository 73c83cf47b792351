"""easel: which training images does a network learn first?

    from easel import Trial, ensure

    ledger = ensure(Trial(model="wrn-16-4", seed=s, epochs=1) for s in range(20))
    ledger.correct()      # bool (trials, epochs, examples): right at the end of the epoch, without augmentation

The rooms, from the ground up: `data` and `nets`; `ledger`, what is asked and what came of it; `train`, which does what
is missing; `compare`, pure functions on what trials knew; `sections`, the papers' own experiments; `plot`; `notebook`.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("easel")
except PackageNotFoundError:  # the checkout's lib/ on PYTHONPATH, not installed
    __version__ = "0+checkout"


def face(package: str, words: dict[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """What an __init__.py hands on: `__getattr__, __dir__, __all__ = face(__name__, {"Trial": "ledger.trial"})`.

    words: {name: the module below `package` that defines it}. Nothing is imported before a name is used, so that a bare
    training node needs no plotting and `import easel` no PyTorch.
    """

    def fetch(name: str) -> object:
        if name not in words:
            raise AttributeError(f"module {package!r} has no attribute {name!r}; it offers {', '.join(words)}")
        return getattr(import_module(f"{package}.{words[name]}"), name)

    return fetch, lambda: sorted(words), list(words)


__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "Trial": "ledger.trial",
        "Recipe": "ledger.trial",
        "Edit": "ledger.trial",
        "Ledger": "ledger.store",
        "ensure": "train.ensure",
    },
)
