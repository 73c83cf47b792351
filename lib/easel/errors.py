"""What easel says to a user who asked for something it cannot do. It never hides a fault of its own."""

import difflib
import functools
import inspect
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real


class UserError(ValueError):
    """A request that cannot be met: one line with the value, what would be right, and the fix.

    The command line prints it alone and exits with code 2; notebooks and programs see an ordinary ValueError.
    """


def choices(known: Iterable[object], given: object) -> str:
    """For the end of a message: "did you mean wrn-10-1? there are: …"; the question where a known name is near."""
    names = [str(name) for name in known]
    near = difflib.get_close_matches(str(given), names, 1)
    return (f"did you mean {near[0]}? " if near else "") + f"there are: {', '.join(names)}"


def is_whole(value: object, least: int = 0) -> bool:
    """Whether value is a whole number from `least` up: int or NumPy's, never True or False, never 2.0."""
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= least


def _is_numbers(value: object) -> bool:
    """Whether it is, or makes, an array of numbers or truth values."""
    import numpy as np

    try:
        return np.asarray(value).dtype.kind in "biuf" and np.ndim(value) > 0
    except ValueError:  # rows of different lengths
        return False


def _is_number(value: object) -> bool:
    fits = not isinstance(value, int) or abs(value) < 10**300  # what a float can hold
    return fits and isinstance(value, Real) and not isinstance(value, bool)


def _all(fits: Callable[[object], bool]) -> Callable[[object], bool]:
    """Whether a value is several, each of which fits."""

    def all_of(value: object) -> bool:
        try:
            return all(map(fits, value))
        except TypeError:  # it is not several
            return False

    return all_of


def _by_name(fits: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, Mapping) and all(map(fits, value.values()))


def _is_two(fits: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, tuple | list) and len(value) == 2 and all(map(fits, value))


def _is_interval(value: object) -> bool:
    return isinstance(value, tuple) and len(value) == 4 and all(map(_is_number, value))


KINDS_OF_ARGUMENT: dict[str, Callable[[object], bool]] = {  # in words, and whether a value is of it
    "a number": _is_number,
    "two numbers": _is_two(_is_number),
    "a whole number": lambda value: is_whole(value) and _is_number(value),
    "whole numbers": _all(is_whole),
    "numbers": _is_numbers,
    "a text": lambda value: isinstance(value, str),
    "texts": _all(lambda value: isinstance(value, str)),
    "a path": lambda value: isinstance(value, str | os.PathLike),
    "True or False": lambda value: isinstance(value, bool),
    "a function": callable,
    "several of them": _all(lambda value: True),
    "pairs": _all(_is_two(lambda value: True)),
    "pairs of numbers": _all(_is_two(_is_number)),
    "pairs of arrays by name": _by_name(_all(_is_numbers)),
    "values by name": _by_name(lambda value: True),
    "arrays by number": lambda value: _by_name(_is_numbers)(value) and all(map(_is_number, value)),
    "intervals by name": lambda value: _is_interval(value) or _by_name(lambda v: callable(v) or _is_interval(v))(value),
    "a number or one a point": lambda value: _is_number(value) or _by_name(_is_number)(value),
}


def answers(**kinds: str | type):
    """For a public function: where it fails and an argument is not of the kind named here, that is what it says.

    kinds: of arguments by name: a class, or words of KINDS_OF_ARGUMENT; None is of any kind where it is the default.
    Where all are of their kinds the fault is the function's own, and comes through as it is.
    """

    def decorated(function):
        signature = inspect.signature(function)

        @functools.wraps(function)
        def asked(*given, **named):
            try:
                return function(*given, **named)
            except UserError:
                raise
            except Exception as fault:
                asked_for = signature.bind(*given, **named).arguments
                defaults = {name: one.default for name, one in signature.parameters.items()}
                odd = {k: v for k, v in asked_for.items() if v is not None or defaults[k] is not None}
                refuse_other_kinds(function.__qualname__.removesuffix(".__init__"), kinds, odd, fault)
                raise

        return asked

    return decorated


def refuse_other_kinds(where: str, kinds: Mapping[str, str | type], values: Mapping, fault: object = None) -> None:
    """UserError for the first value that is not of its kind."""
    for name, value in values.items():
        kind = kinds.get(name, object)
        good = isinstance(value, kind) if isinstance(kind, type) else KINDS_OF_ARGUMENT[kind](value)
        if not good:
            wanted = kind.__name__ if isinstance(kind, type) else kind
            raise UserError(f"{where}: {name}={one_line(repr(value), 60)}: it takes {wanted}") from fault


def one_line(text: object, most: int = 300) -> str:
    """A message as one line of so many letters at most, cut in its middle: what is wrong stands before, the fix behind.

    What no terminal should be sent (control characters, halves of letters) is written as Python writes it.
    """
    words = " ".join(str(text).split())
    words = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in words)
    return words if len(words) <= most else f"{words[: most - most // 3 - 3]} … {words[-(most // 3) :]}"


def reason(error: BaseException) -> str:
    """What an exception says, on one line; its kind where it says nothing."""
    return " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__


def name_once(what: str) -> None:
    """Warns of something that is not as it should be, once a process however often it is met.

    Python's own rule, once a place, forgets whenever somebody touches the filters, as pandas and PyTorch do.
    """
    if what not in _NAMED:
        _NAMED.add(what)
        warnings.warn(what, stacklevel=3)


_NAMED: set[str] = set()
