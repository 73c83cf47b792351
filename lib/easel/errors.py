"""What easel says to a user who asked for something it cannot do. It never hides a fault of its own."""

import warnings
from numbers import Integral


class UserError(ValueError):
    """A request that cannot be met: one line with the value, what would be right, and the fix.

    The command line prints it alone and exits with code 2; notebooks and programs see an ordinary ValueError.
    """


def is_whole(value: object, least: int = 0) -> bool:
    """Whether value is a whole number from `least` up: int or NumPy's, never True or False, never 2.0."""
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= least


def one_line(text: object, most: int = 300) -> str:
    """A message as one line of so many letters at most, cut in its middle: what is wrong stands before, the fix behind.

    What no terminal should be sent (control characters, halves of letters) is written as Python writes it.
    """
    words = " ".join(str(text).split())
    words = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in words)
    return words if len(words) <= most else f"{words[: most - most // 3 - 3]} … {words[-(most // 3) :]}"


def name_once(what: str) -> None:
    """Warns of something that is not as it should be, once a process however often it is met.

    Python's own rule, once a place, forgets whenever somebody touches the filters, as pandas and PyTorch do.
    """
    if what not in _NAMED:
        _NAMED.add(what)
        warnings.warn(what, stacklevel=3)


_NAMED: set[str] = set()
