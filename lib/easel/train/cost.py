"""What trials cost: multiply-adds of trials and records, and seconds by what earlier trials took here. Trains nothing.

Seconds for a multiply-add differ between kinds of nets, by five and more, so a net is judged by its own earlier trials,
else by its family's, else by all.

And the least a step can take on a device with two ceilings, operations a second and bytes a second to memory
(Williams et al. 2009, "roofline"), kernel by kernel: each takes as long as its arithmetic or its traffic, whichever is
longer, and the kernels follow one another. They are those that PyTorch runs without fusing anything, so batch norm,
ReLU and sums are read from memory and written to it. A device that keeps them in a cache can be faster than that.
"""

import statistics
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from easel.data import sets
from easel.errors import UserError
from easel.ledger.provenance import machine
from easel.ledger.record import Record
from easel.ledger.store import Store
from easel.ledger.trial import Recipe, Trial, View
from easel.nets import names
from easel.nets.layers import Head

SMALL = 3e6  # multiply-adds: a rough guess at what an image of 32 pixels costs outside multiplications
RECENT = 50  # earlier records that speak for this machine
ADAMW = 7 * 4  # bytes a parameter: weight, gradient and two moments read, weight and moments written, in float32
NOTHING = ("empty", "empty_like", "empty_strided", "new_empty", "detach")  # kernels that move nothing


@cache
def image(model: str, classes: int = 10, size: int = 32) -> float:
    """Multiply-adds of one image's forward pass, and what else it costs as so many more."""
    return names.multiply_adds(model, classes=classes, size=size) + SMALL * (size / 32) ** 2


def work(trial: Trial) -> float:
    """Estimated multiply-adds of an epoch: three passes over the training images, one over each set that is judged.

    What is evaluated after one epoch only is spread over all of them. It orders trials and guides the ETA.
    """
    views = [v for v in trial.measured if View.of(v).base != "online"]
    shares = [1 if View.of(v).after is None else 1 / trial.epochs for v in views]
    evaluated = sum(s * len(trial.view_examples(v)) for v, s in zip(views, shares, strict=True))
    examples = trial.examples
    per_image = image(trial.model, len(examples.classes), examples.images.shape[-1])
    return per_image * (3 * len(trial.trained_on) + evaluated)


def images_seen(record: Record) -> tuple[int, int]:
    """Images that the trial of a record trained on, and images that it was evaluated on, over all its epochs."""
    keep = record.arrays.get("keep")
    each = record.examples if keep is None else int(np.unpackbits(keep, count=record.examples).sum())
    evaluated = 0
    for view in record.views:
        if View.of(view).base != "online":
            on = record.examples if View.of(view).base == "train" else int(record.arrays[f"count.{view}"])
            evaluated += on * len(record.arrays.get(f"correct.{view}", ()))
    return each * record.epochs, evaluated


def size(record: Record) -> int | None:
    """Side in pixels of a record's images, by the data set's name alone; None where the name does not say."""
    name = sets.Name.of(record.data["data"])
    return name.pixels or sets.own_side(name.plain)


def precision_of(record: Record) -> str:
    """What a record was computed in: "bf16" | "fp32"."""
    return record.identity["recipe"].get("precision", Recipe.precision)


def speeds(store: Store, device: str, precisions: Iterable[str]) -> dict[tuple[str, str], list[float]]:
    """Seconds for a multiply-add of the latest RECENT trials of a store that a machine like this one trained.

    {(net, precision): one number a trial}. The store's folder alone counts; a machine is like this one if its processor
    or GPU has the same name.
    """
    here, wanted, found, count = machine(device)["device"], set(precisions), {}, 0
    for key in store.latest():
        if count == RECENT:
            break
        made = store.note(key)
        if made.get("device") != here or not made.get("seconds"):
            continue
        record = store.read(key)
        with suppress(UserError):  # a net or a data set that this process does not know
            if record is None or precision_of(record) not in wanted or size(record) is None:
                continue
            (train, evaluate), model = images_seen(record), record.identity["model"]
            done = image(model, size=size(record)) * (3 * train + evaluate)
            found.setdefault((model, precision_of(record)), []).append(made["seconds"] / done)
            count += 1
    return found


def expected(todo: Sequence[Trial], known: dict[tuple[str, str], list[float]], at_once: int) -> float | None:
    """Seconds that trials will take, `at_once` of them at a time, by `speeds`; None if those know nothing of a kind."""
    total = 0.0
    for trial in todo:
        alike = {net: s for (net, computed), s in known.items() if computed == trial.recipe.precision}
        family = {net: s for net, s in alike.items() if names.family(net) == names.family(trial.model)}
        chosen = alike.get(trial.model) or [s for group in (family or alike).values() for s in group]
        if not chosen:
            return None
        total += work(trial) * trial.epochs * statistics.median(chosen)
    return total / at_once


def trials_in_words(todo: Sequence[Trial]) -> str:
    """Trials by net: "20 trials of wrn-16-4 (1 epoch, 50,000 images) and 4 of mlp-3x512 (2 epochs, 800 images)"."""
    groups: dict[str, list[Trial]] = {}
    for trial in todo:
        groups.setdefault(trial.model, []).append(trial)
    parts = []
    for model, group in groups.items():
        epochs, shown = _range({t.epochs for t in group}), _range({len(t.trained_on) for t in group})
        unit = "epoch" if epochs == "1" else "epochs"
        what = "of" if parts else "trial of" if len(group) == 1 else "trials of"
        parts.append(f"{len(group):,} {what} {model} ({epochs} {unit}, {shown} images)")
    return " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))


def _range(numbers: set[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


# the roofline ---------------------------------------------------------------------------------------------------------


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
