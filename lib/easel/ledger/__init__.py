"""What is asked of a training (Trial), what it gave (Record), and where that is kept (Store, Ledger)."""

from easel import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "trial": "Trial Recipe Edit two_groups",
        "record": "Record",
        "store": "Store Ledger",
        "quantities": "Quantity register_quantity",
    },
)
