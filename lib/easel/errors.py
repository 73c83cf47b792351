"""What easel says to a user who asked for something it cannot do. It never hides a fault of its own."""


class UserError(ValueError):
    """A request that cannot be met: one line with the value, what would be right, and the fix.

    The command line prints it alone and exits with code 2; notebooks and programs see an ordinary ValueError.
    """
