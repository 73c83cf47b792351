"""easel: which training images does a network learn first?

    from easel import Trial, ensure

    ledger = ensure(Trial(model="wrn-16-4", seed=s, epochs=1) for s in range(20))
    ledger.correct()      # bool (trials, epochs, examples): right at the end of the epoch, without augmentation

The rooms, from the ground up: `data` and `nets`; `ledger`, what is asked and what came of it; `train`, which does what
is missing; `compare`, pure functions on what trials knew; `sections`, the papers' own experiments; `plot`; `notebook`.
"""

from importlib.metadata import PackageNotFoundError, version

from easel.faces import face

try:
    __version__ = version("easel")
except PackageNotFoundError:  # the checkout's lib/ on PYTHONPATH, not installed
    __version__ = "0+checkout"

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
