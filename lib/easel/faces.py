"""A room's face: its few public words, each fetched from its module when it is first asked for (PEP 562)."""

from collections.abc import Callable
from importlib import import_module


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
