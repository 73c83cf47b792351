"""Networks by name: the papers' small ones, torchvision's, and both at any width."""

from easel import face

__getattr__, __dir__, __all__ = face(
    __name__, {"names": "build check family label multiply_adds parameters Family register register_net"}
)
