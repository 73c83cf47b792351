"""What a trial can record of each example beside right or wrong, from logits and labels."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def _margin(logits: Tensor, labels: Tensor) -> Tensor:
    own = logits.gather(1, labels[:, None])
    return (own - logits.scatter(1, labels[:, None], -torch.inf).amax(1, keepdim=True)).squeeze(1)


def _probability(logits: Tensor, labels: Tensor) -> Tensor:
    return logits.softmax(1).gather(1, labels[:, None]).squeeze(1)


QUANTITIES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "margin": lambda logits, labels: _margin(logits, labels).half(),  # the label's logit minus the largest other one
    "loss": lambda logits, labels: F.cross_entropy(logits, labels, reduction="none").clamp(max=6e4).half(),
    "probability": lambda logits, labels: _probability(logits, labels).mul(255).round().byte(),  # a byte, in 255ths
    "prediction": lambda logits, labels: logits.argmax(1).to(torch.uint8 if logits.shape[1] <= 256 else torch.int16),
}
