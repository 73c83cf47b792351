"""easel: which training images does a network learn first?

    from easel import run
    from easel.ledger.trial import Trial

    ledger = run.ensure(Trial(model="wrn-16-4", seed=s, epochs=1) for s in range(20))
    ledger.correct()      # bool (trials, epochs, examples): right at the end of the epoch, without augmentation

`trial` says what is wanted, `run.ensure` trains what is missing, `ledger` holds who got what right, `scores` and
`matching` turn it into the papers' numbers, `plot` and `report` show them.
"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("easel")
except PackageNotFoundError:  # the checkout's lib/ on PYTHONPATH, not installed
    __version__ = "0+checkout"
