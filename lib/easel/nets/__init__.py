"""Networks by name: the papers' small ones, torchvision's, and both at any width."""

from easel import face

__getattr__, __dir__, __all__ = face(
    __name__,
    {
        "build": "names",
        "check": "names",
        "family": "names",
        "label": "names",
        "multiply_adds": "names",
        "parameters": "names",
        "Family": "names",
        "register": "names",
        "register_net": "names",
    },
)
