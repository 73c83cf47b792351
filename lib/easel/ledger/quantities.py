"""What a trial can record of each example beside right or wrong: a registry, read by trials, records and the loop.

One of your own is one more entry, from outside, and Trial(record=("entropy",)) then records it:

    def entropy(logits, labels):
        return torch.distributions.Categorical(logits=logits).entropy().half()

    register_quantity(Quantity(name="entropy", measure=entropy))
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from easel.errors import UserError
from easel.warm import share


def _as_float(stored: np.ndarray) -> np.ndarray:
    return stored.astype(np.float32)


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One quantity: how it is measured, in which dtype it is stored, and how what is stored is read again.

    measure: (logits (examples, classes) float32, labels (examples,)) -> (examples, ...) in the dtype to be stored; with
    of="features" what enters the net's last layer, (examples, d) float32, stands in the place of the logits.
    decode: from the stored array to what `Ledger.values` gives.
    """

    name: str
    measure: Callable[[Tensor, Tensor], Tensor]
    decode: Callable[[np.ndarray], np.ndarray] = _as_float
    of: str = "logits"  # | "features": a pass over the images of its own, so it is recorded after one epoch, name@EPOCH


QUANTITIES: dict[str, Quantity] = {}  # by name
_TAKEN = ("correct", "count", "margin", "loss", "probability", "prediction", "logits", "features")


def register_quantity(quantity: Quantity) -> Quantity:
    """Makes a quantity known by its name; again, it takes the place of what had the name.

    Worker processes import the module it is from; what a notebook's cell registers is trained in the notebook itself.
    UserError for a name that cannot stand in a record, and for those of the library.
    """
    if not re.fullmatch("[a-z][a-z_-]*", quantity.name) or quantity.name in _TAKEN:
        raise UserError(f"quantity {quantity.name!r}: a word of a-z, - and _ that is not one of {', '.join(_TAKEN)}")
    QUANTITIES[quantity.name] = quantity
    share(f"the quantity {quantity.name}", quantity.measure)
    return quantity


_HALF = 65504.0  # the largest number of float16; what lies beyond would be recorded as infinite


def _margin(logits: Tensor, labels: Tensor) -> Tensor:
    own = logits.gather(1, labels[:, None])
    margin = (own - logits.scatter(1, labels[:, None], -torch.inf).amax(1, keepdim=True)).squeeze(1)
    return margin.clamp(-_HALF, _HALF).half()


def _loss(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels, reduction="none").clamp(max=6e4).half()


def _probability(logits: Tensor, labels: Tensor) -> Tensor:
    return logits.softmax(1).gather(1, labels[:, None]).squeeze(1).mul(255).round().byte()


def _in_255ths(stored: np.ndarray) -> np.ndarray:
    return _as_float(stored) / 255 if stored.dtype == np.uint8 else _as_float(stored)  # older records have float16


def _prediction(logits: Tensor, labels: Tensor) -> Tensor:
    return logits.argmax(1).to(torch.uint8 if logits.shape[1] <= 256 else torch.int16)


def _all(numbers: Tensor, labels: Tensor) -> Tensor:
    return numbers.clamp(-_HALF, _HALF).half()


for _quantity in (
    Quantity(name="margin", measure=_margin),  # the label's logit minus the largest other one
    Quantity(name="loss", measure=_loss),
    Quantity(name="probability", measure=_probability, decode=_in_255ths),  # of the label; a byte
    Quantity(name="prediction", measure=_prediction, decode=lambda stored: stored.astype(np.int64)),
    Quantity(name="logits", measure=_all),  # of every class: (examples, classes), 2 bytes each
    Quantity(name="features", measure=_all, decode=lambda stored: stored, of="features"),  # float16 (examples, d)
):
    QUANTITIES[_quantity.name] = _quantity
