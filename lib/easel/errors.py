"""What easel says to a user who asked for something it cannot do. It never hides a fault of its own."""

from numbers import Integral


class UserError(ValueError):
    """A request that cannot be met: one line with the value, what would be right, and the fix.

    The command line prints it alone and exits with code 2; notebooks and programs see an ordinary ValueError.
    """


def is_whole(value: object, least: int = 0) -> bool:
    """Whether value is a whole number from `least` up: int or NumPy's, never True or False, never 2.0."""
    return isinstance(value, Integral) and not isinstance(value, bool) and value >= least
