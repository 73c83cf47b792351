"""The least time of a training step on a device with two ceilings: operations a second, and bytes a second to memory.

Williams et al. 2009, kernel by kernel: each takes as long as its arithmetic or its traffic, whichever is longer, and
the kernels follow one another. They are those that PyTorch runs without fusing anything, so batch norm, ReLU and sums
are read from memory and written to it. A device that keeps them in a cache can be faster than that.
"""

import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from easel.nets import names
from easel.nets.layers import Head

ADAMW = 7 * 4  # bytes a parameter: weight, gradient and two moments read, weight and moments written, in float32
NOTHING = ("empty", "empty_like", "empty_strided", "new_empty", "detach")  # kernels that move nothing


class _Tally(TorchDispatchMode):
    """Adds up what the kernels of a step must take. On meta tensors: nothing is computed."""

    def __init__(self, flops: float, bandwidth: float):
        super().__init__()
        self.flops, self.bandwidth = flops, bandwidth
        self.seconds = self.work = self.traffic = 0.0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = function(*args, **kwargs)
        view = any(a.alias_info is not None and not a.alias_info.is_write for a in function._schema.arguments)
        if not view and function.overloadpacket.__name__ not in NOTHING:
            work = 2 * _multiply_adds(function.overloadpacket.__name__, args, out)
            traffic = _bytes(args) + _bytes(list(kwargs.values())) + _bytes(out)
            self.seconds += max(work / self.flops, traffic / self.bandwidth)
            self.work, self.traffic = self.work + work, self.traffic + traffic
        return out


def _multiply_adds(kernel: str, args: tuple, out) -> int:
    """Of convolutions and matrix products; PyTorch's own counter takes the backward pass of groups for more."""
    if kernel == "convolution":
        return out.numel() * args[1][0].numel()
    if kernel == "convolution_backward":  # args: gradient, images, weights, ...; last: which gradients are wanted
        return args[0].numel() * args[2][0].numel() * sum(args[-1][:2])
    if kernel in ("mm", "bmm", "addmm"):
        return out.numel() * args[-2].shape[-1]
    return 0


def _bytes(things) -> int:
    if isinstance(things, torch.Tensor):
        return things.numel() * things.element_size()
    return sum(map(_bytes, things)) if isinstance(things, list | tuple) else 0


def least_step(model: str, batch: int, precision: str, *, flops: float, bandwidth: float, size: int = 32) -> dict:
    """Of one step (forward, loss, backward, AdamW): seconds, operations (a multiply-add is two), bytes moved.

    flops, bandwidth: what the device reaches, operations and bytes a second. precision: "bf16" or "fp32", of the
    activations and the weights that kernels read; the classifier, the loss and the optimiser are float32.
    """
    tally = _Tally(flops, bandwidth)
    with torch.device("meta"):
        net = names.build(model, size=size).to(torch.bfloat16 if precision == "bf16" else torch.float32).train()
        for module in net.modules():
            if isinstance(module, Head):
                module.float()
        x = torch.empty(batch, 3, size, size, dtype=next(net.parameters()).dtype)
        target = torch.empty(batch, dtype=torch.int64)
        with tally:
            F.cross_entropy(net(x).float(), target).backward()
    moved = ADAMW * names.parameters(net)
    return {
        "seconds": tally.seconds + moved / bandwidth,
        "operations": tally.work,
        "bytes": tally.traffic + moved,
    }
