"""Ways to run a net: the same parameters, random draws and mathematics by other kernels. Measured, and chosen once.

A way is "plain" (PyTorch's own kernels, one after another) or several of WAYS in their order, joined by +:

    groups-apart    grouped convolutions as ordinary ones on contiguous parts
    group-products  the weights' gradient of grouped convolutions on small maps as one matrix product a group
    compiled        torch.compile: batch norm, ReLU, additions and copies fused; takes a C++ compiler and a minute
    shared-norms    DenseNet-BC: each feature normalised once, and not anew by every later layer; pays once compiled
    padded          that, each layer's features filled up to a multiple of 8 channels, as a GPU's kernels want them
    one-product     nets of products alone, MLPs: those of all trials that step side by side as one (easel.train.gpu; in
                    bf16 what comes out of a layer stays float32)

None changes a parameter's name or value, what is recorded, or what is saved; but sums are taken in another order, so
bits differ, by less than trials do. So on a GPU, where bits are not promised, the fastest way of a net, batch, image
size and precision is measured before its first training; on a CPU trials run plain. $EASEL_WAY says otherwise:
"measured", or a way by name. What was measured stays beside the store (ways.json), and each record names its way.
"""

import json
import math
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easel import files
from easel.errors import UserError, one_line
from easel.ledger.provenance import machine
from easel.ledger.store import Store
from easel.ledger.trial import Trial
from easel.nets.layers import DenseLayer

PLAIN, MEASURED, TOGETHER = "plain", "measured", "one-product"
FASTER = 1.03  # a change must make a step so many times as fast
LOSS_WITHIN = 0.05  # and its mean loss over the steps that are timed must be that of the plain way, to this share
PART_OF_TIME = 0.1  # of the time that the waiting training would take plain: what measuring may take
LEAST_STEPS = 1000  # that wait; for fewer nothing is measured
SMALL_MAP = 64  # positions of a map on which a grouped convolution's gradient is a product (8 x 8: measured, H200)


# the changes ---------------------------------------------------------------------------------------------------------


def compiled(net: nn.Module) -> None:
    """Fuses what is not a product, by torch.compile; what it makes is shared by nets of one name."""
    torch._dynamo.config.recompile_limit = max(64, torch._dynamo.config.recompile_limit)  # nets, sizes, train and eval
    net.compile(dynamic=False)


def shared_norms(net: nn.Module, multiple: int = 1) -> None:
    """Normalises each feature of a DenseNet-BC once in training; layers scale, shift and rectify what they take.

    multiple: of channels, to which each layer's features are filled up with zeros.
    """
    net.forward = partial(_dense_forward, net, multiple)


def _dense_forward(net: nn.Sequential, multiple: int, x: Tensor) -> Tensor:
    """What the modules give one after another.

    In training every layer's first batch norm sees the features so far; their mean and variance over the batch are the
    same to all later layers, so a feature is normalised where it arises and only scale and shift are a layer's own.
    """
    if not net.training:  # by the running statistics, which each layer has for itself
        return nn.Sequential.forward(net, x)
    normed: Tensor | None = None  # the features so far, normalised, while a stage lasts
    for module in net:
        if isinstance(module, DenseLayer):
            if normed is None:
                own = torch.arange(x.shape[1], device=x.device)  # the channels that are features, and not filled up
                normed, means, variances = _normalised(_filled(x, 1, multiple), module.norm1.eps)
            y = F.relu(_rescaled(normed, own, module.norm1, means, variances))
            y = F.conv2d(y, _spread(module.conv1.weight, own, normed.shape[1], 1))
            y = F.conv2d(F.relu(module.norm2(y)), _filled(module.conv2.weight, 0, multiple), padding=1)
            own = torch.cat([own, normed.shape[1] + torch.arange(module.conv2.out_channels, device=x.device)])
            y, mean, variance = _normalised(y, module.norm1.eps)
            normed = torch.cat([normed, y], 1)
            means, variances = torch.cat([means, mean]), torch.cat([variances, variance])
        elif normed is not None:  # the batch norm that ends a stage
            x = _rescaled(normed, own, module, means, variances)
            x, normed = x if multiple == 1 else x[:, own].contiguous(memory_format=torch.channels_last), None
        else:
            x = module(x)
    return x


def _filled(x: Tensor, dim: int, multiple: int) -> Tensor:
    """Zeros after the last of a dimension of four, up to a multiple."""
    more = -x.shape[dim] % multiple
    return F.pad(x, [0, 0] * (3 - dim) + [0, more]) if more else x


def _spread(values: Tensor, at: Tensor, size: int, dim: int = 0) -> Tensor:
    """Values at some of `size` places of a dimension, zeros at the others."""
    if size == len(at):
        return values
    return values.new_zeros([*values.shape[:dim], size, *values.shape[dim + 1 :]]).index_copy(dim, at, values)


def _normalised(x: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """A map with mean 0 and deviation 1 in each channel, and what mean and (biased) variance were: float32."""
    wide = x.float()
    variance, mean = torch.var_mean(wide, (0, 2, 3), correction=0)
    normed = (wide - mean[:, None, None]) * torch.rsqrt(variance + eps)[:, None, None]
    return normed.to(x.dtype), mean.detach(), variance.detach()


def _rescaled(normed: Tensor, own: Tensor, norm: nn.BatchNorm2d, means: Tensor, variances: Tensor) -> Tensor:
    """What a batch norm makes of normalised features; its running statistics move as if it had seen the features."""
    channels = normed.shape[1]
    if channels > len(own):
        means, variances = means[own], variances[own]
    count = normed.numel() // channels
    with torch.no_grad():
        norm.running_mean.lerp_(means, norm.momentum)
        norm.running_var.lerp_(variances * (count / (count - 1)), norm.momentum)
        norm.num_batches_tracked.add_(1)
    scale, shift = (_spread(one, own, channels)[:, None, None] for one in (norm.weight, norm.bias))
    return (normed * scale + shift).to(normed.dtype)


def groups_apart(net: nn.Module) -> None:
    """Each group of a grouped convolution by a convolution of its own."""
    for conv in _grouped(net):
        conv.forward = partial(_apart, conv)


def _apart(conv: nn.Conv2d, x: Tensor) -> Tensor:
    about = conv.stride, conv.padding, conv.dilation
    own = (part.contiguous(memory_format=torch.channels_last) for part in x.chunk(conv.groups, 1))
    pairs = zip(own, conv.weight.chunk(conv.groups), strict=True)
    return torch.cat([F.conv2d(part, weight, None, *about) for part, weight in pairs], 1)


def group_products(net: nn.Module) -> None:
    """The weights' gradient of grouped convolutions as one product a group, where the map is SMALL_MAP or less."""
    for conv in _grouped(net):  # not with the method that stands there: what is compiled would hold for this net alone
        conv.forward = partial(_with_products, conv, "forward" in vars(conv))


def _with_products(conv: nn.Conv2d, apart: bool, x: Tensor) -> Tensor:
    if x.shape[2] * x.shape[3] > SMALL_MAP * math.prod(conv.stride):
        return _apart(conv, x) if apart else nn.Conv2d.forward(conv, x)
    kind = x.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
    return _GroupProducts.apply(x.to(dtype), conv.weight.to(dtype), conv.stride, conv.padding, conv.groups)


class _GroupProducts(torch.autograd.Function):
    """A grouped convolution without bias; forward and the gradient of its input by the library's own kernels."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, stride, padding, groups: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.about = stride, padding, groups
        return F.conv2d(x, weight, None, stride, padding, 1, groups)

    @staticmethod
    def backward(ctx, grad: Tensor):
        (x, weight), (stride, padding, groups) = ctx.saved_tensors, ctx.about
        about = (stride, padding, (1, 1), False, (0, 0), groups, (True, False, False))
        into, _, _ = torch.ops.aten.convolution_backward(grad, x, weight, None, *about)
        outputs, inputs, height, width = weight.shape
        rows, columns = grad.shape[2:]
        padded = F.pad(x, (padding[1], padding[1], padding[0], padding[0])).permute(0, 2, 3, 1)
        padded = padded.unflatten(-1, (groups, inputs)).permute(3, 0, 1, 2, 4)  # groups, images, rows, columns, inputs
        (down, across), seen = stride, []
        for i, j in product(range(height), range(width)):  # what each weight sees, at every position
            seen.append(padded[:, :, i : i + down * rows : down, j : j + across * columns : across])
        unfolded = torch.stack(seen, 4).flatten(1, 3).flatten(2)  # groups, positions, weights x inputs
        grad = grad.permute(1, 0, 2, 3).reshape(groups, outputs // groups, -1)
        found = torch.bmm(grad, unfolded).view(outputs, height, width, inputs)
        return into, found.permute(0, 3, 1, 2), None, None, None


def _grouped(net: nn.Module) -> list[nn.Conv2d]:
    """Grouped convolutions of several channels a group, without bias or dilation."""
    convs = [module for module in net.modules() if isinstance(module, nn.Conv2d) and module.bias is None]
    return [c for c in convs if 1 < c.groups < c.in_channels and c.dilation == (1, 1) and c.padding_mode == "zeros"]


def convolves(net: nn.Module) -> bool:
    """Whether a net has a convolution."""
    return any(isinstance(module, nn.Conv2d) for module in net.modules())


def draws(net: nn.Module) -> bool:
    """Whether a net draws random numbers as it trains."""
    return any("Dropout" in type(m).__name__ or type(m).__name__ == "StochasticDepth" for m in net.modules())


def _products_alone(net: nn.Module) -> bool:
    """Neither convolutions, which several nets at once would make grouped ones, nor statistics, nor chance."""
    return not (convolves(net) or any(True for _ in net.buffers()) or draws(net))


def _dense(net: nn.Module) -> bool:
    return isinstance(net, nn.Sequential) and any(isinstance(module, DenseLayer) for module in net)


def _odd_growth(net: nn.Module) -> bool:
    return _dense(net) and any(isinstance(m, DenseLayer) and m.conv2.out_channels % 8 for m in net)


@dataclass(frozen=True)
class Way:
    """One change of how a net runs."""

    make: Callable[[nn.Module], None]  # in place, before the net's first step
    has: Callable[[nn.Module], object]  # whether a net has anything that it would change
    seconds: float  # what the first steps after it are expected to take


WAYS = {
    "groups-apart": Way(groups_apart, _grouped, 3.0),
    "group-products": Way(group_products, _grouped, 3.0),
    "compiled": Way(compiled, convolves, 60.0),
    "shared-norms": Way(shared_norms, _dense, 60.0),
    "padded": Way(partial(shared_norms, multiple=8), _odd_growth, 60.0),
    TOGETHER: Way(lambda net: None, _products_alone, 1.0),  # gpu.Pack's to do: a net by itself runs as it is
}


def changes_of(way: str) -> list[str]:
    """The changes of a way, in the order of WAYS; UserError for a word that is none."""
    words = [] if way == PLAIN else way.split("+")
    if unknown := [word for word in words if word not in WAYS]:
        there = ", ".join([MEASURED, PLAIN, *WAYS])
        raise UserError(f"EASEL_WAY: no way {unknown[0]!r:.60}; there are: {there}, several changes joined by +")
    return [name for name in WAYS if name in words]


def run_in(net: nn.Module, way: str) -> None:
    """Has a net run in a way from now on; a change that it has nothing for is none."""
    for name in changes_of(way):
        if WAYS[name].has(net):
            WAYS[name].make(net)


# the choice ----------------------------------------------------------------------------------------------------------


def asked_way(device: str) -> str:
    """$EASEL_WAY, or else "measured" on a GPU and "plain" on a CPU. UserError: none of that name."""
    way = os.environ.get("EASEL_WAY") or (MEASURED if device == "cuda" else PLAIN)
    if way != MEASURED:
        changes_of(way)
    return way


def way_of(trial: Trial, device: str, store: Store) -> str:
    """The way in which a trial runs here: what $EASEL_WAY says, or what was measured for its like, else plain."""
    way = asked_way(device)
    return _choices(store).get(_kind(trial, device), {}).get("way", PLAIN) if way == MEASURED else way


@dataclass(frozen=True)
class Probe:
    """What some steps in a way took and gave."""

    seconds: float  # a step, the median
    loss: float  # mean over the steps


def measure_way(
    trial: Trial, device: str, store: Store, net: nn.Module, steps: float, probe, most: float = math.inf
) -> str:
    """`way_of` this trial, measured now where that is wanted and has not been; says what it chose.

    net: such as the trial trains; the rest as in `choose_way`, steps of all its like.
    """
    kind = _kind(trial, device)
    known = _choices(store).get(kind, {}).get("of") == _tries(net)  # all that there is to try, not less
    if asked_way(device) != MEASURED or known or not _tries(net) or steps < LEAST_STEPS:
        return way_of(trial, device, store)
    way, took, dropped = choose_way(net, probe, min(steps, 1e12), most)
    times = ", ".join(f"{name} {1000 * spent:.3g} ms" for name, spent in took.items())
    print(f"{trial.model} runs {way} (a step {'; '.join([times, *dropped])})", flush=True)
    if not any("not tried" in one for one in dropped):  # with more to train it is asked again
        chosen = {"way": way, "of": _tries(net), "seconds": took, "dropped": dropped}
        content = json.dumps(files.sealed(_choices(store) | {kind: chosen}), indent=1)
        with suppress(UserError):  # where nothing can be written every process measures
            files.write_atomically(_choices_file(store), content.encode())
    return way


def choose_way(
    net: nn.Module,
    probe: Callable[[str], Probe],
    steps: float,
    most: float = math.inf,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[str, dict[str, float], list[str]]:
    """The fastest way of a net that gives the plain loss; seconds a step of each way that was timed; what was dropped.

    The changes are tried one upon the other, each kept if it pays. What fails or gives another loss is
    dropped. probe(way): some steps in it. steps: that wait; a change is not begun that would bring measuring above
    PART_OF_TIME of them, or above `most` seconds, going by what the last one took.
    """
    plain, began = probe(PLAIN), clock()
    way, took, dropped, pace = PLAIN, {PLAIN: plain.seconds}, [], 1.0
    for name in _tries(net):
        before, expected = clock(), pace * WAYS[name].seconds
        if before - began + expected > min(most, PART_OF_TIME * steps * plain.seconds):
            dropped.append(f"{name} not tried: {'too little to train' if most == math.inf else 'too little time'}")
            continue
        tried = "+".join(changes_of(name if way == PLAIN else f"{way}+{name}"))
        try:
            found = probe(tried)
        except Exception as fault:  # no compiler, no memory, a kernel that is missing: there is always the plain way
            dropped.append(f"{name} failed: {one_line(f'{type(fault).__name__}: {fault}', 120)}")
            continue
        pace = (clock() - before) / WAYS[name].seconds
        if not abs(found.loss - plain.loss) <= LOSS_WITHIN * abs(plain.loss):  # nor nan
            dropped.append(f"{name} is wrong: a loss of {found.loss:.4g}, not {plain.loss:.4g}")
            continue
        took[tried] = found.seconds
        if found.seconds * FASTER < took[way]:
            way = tried
    return way, took, dropped


def _tries(net: nn.Module) -> list[str]:
    return [name for name, change in WAYS.items() if change.has(net)]


def _kind(trial: Trial, device: str) -> str:
    """What a choice holds for: machine, PyTorch, net, size, classes, batch and precision."""
    made, data = machine(device), trial.examples
    size = f"{len(data.classes)} classes at {data.images.shape[-1]} pixels, batches of {trial.recipe.batch_size}"
    return f"{made['device']}, PyTorch {made['torch']}: {trial.model}, {size}, {trial.recipe.precision}"


def _choices_file(store: Store):
    return store.folder.with_name("ways.json")


def _choices(store: Store) -> dict[str, dict]:
    """What was measured, by `_kind`; nothing where the file is not there or not whole."""
    with suppress(OSError, ValueError):
        found = files.unsealed(files.read_regular(_choices_file(store)))
        return {kind: chosen for kind, chosen in found.items() if isinstance(chosen, dict) and _known(chosen)}
    return {}


def _known(chosen: dict) -> bool:
    """Whether a choice is a way of this easel, and not one of another that had others."""
    return {PLAIN, *WAYS}.issuperset(str(chosen.get("way", PLAIN)).split("+"))
