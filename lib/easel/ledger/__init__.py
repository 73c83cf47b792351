"""What is asked of a training (Trial), what it gave (Record), and where that is kept (Store, Ledger)."""

from easel import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "Trial": "trial",
        "Recipe": "trial",
        "Edit": "trial",
        "two_groups": "trial",
        "Record": "record",
        "Store": "store",
        "Ledger": "store",
        "Quantity": "quantities",
        "register_quantity": "quantities",
    },
)
