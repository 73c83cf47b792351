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


def face(package: str, rooms: dict[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """What an __init__.py hands on: `__getattr__, __dir__, __all__ = face(__name__, {"trial": "Trial Recipe Edit"})`.

    rooms: {module below `package`: the public words that it defines}. Nothing is imported before a word is used (PEP
    562), so that a bare training node needs no plotting and `import easel` no PyTorch.
    """
    module = {word: name for name, words in rooms.items() for word in words.split()}

    def fetch(word: str) -> object:
        if word not in module:
            raise AttributeError(f"module {package!r} has no attribute {word!r}; it offers {', '.join(module)}")
        return getattr(import_module(f"{package}.{module[word]}"), word)

    return fetch, lambda: sorted(module), list(module)


__getattr__, __dir__, __all__ = face(
    __name__, {"ledger.trial": "Trial Recipe Edit", "ledger.store": "Ledger", "train.ensure": "ensure"}
)
