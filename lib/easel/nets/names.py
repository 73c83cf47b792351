"""Every net of the papers, and smaller members of the same families, from one name each. Nothing here trains.

Written out for small images (easel.nets.layers), at any depth and width:

    mlp-3x512             hidden layers x width, ReLU, no batch norm
    wrn-16-4              depth - widening factor             (Zagoruyko & Komodakis 2016; depth = 6n + 4)
    densenet-bc-100-12    depth - growth rate, compression .5 (Huang et al. 2017; depth = 6n + 4)
    resnext-29-4x64d      depth - cardinality x width         (Xie et al. 2017; depth = 9n + 2; 64d is Xie's layout)
    resnet-20             depth, shortcuts without parameters (He et al. 2016, Sec. 4.2, option A; depth = 6n + 2)
    vgg-16                depth 11, 13, 16 or 19: the convolutions with batch norm, then one linear layer
    mobilenet             depthwise separable, first stride 1 instead of 2 (Howard et al. 2017)

torchvision's, untrained, by torchvision's own names (easel.nets.torchvision), at 224 pixels or fewer:

    alexnet  vgg11  vgg11_bn  resnet18  resnet50  densenet121
    efficientnet_b4  efficientnet_v2_s  mobilenet_v3_small

Every other classifier of torchvision goes by its own name too (resnet34, vit_b_16), one of timm as timm-NAME
(timm-resnet26d), and one of your own as `register` gives it; as their builders make them, at one width.

The last three of the first list and all of the second take a width factor in (0, 4] at their end, which multiplies
every number of channels, to the nearest whole one: resnet-20-0.5x, resnet18-0.25x. A net has one name: numbers are
written in their shortest form, and -1x is not written.

Images enter as (batch, 3, size, size) float, logits leave as (batch, classes) float32: the last layer always computes
in float32, because logits rounded to bfloat16 tie often and `argmax` would settle each tie for the lower class.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, partial

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from easel.errors import UserError, is_whole
from easel.nets import layers as small, torchvision as others
from easel.warm import share

WIDEST = 4


@dataclass(frozen=True)
class Family:
    """One kind of net. build(*numbers of the name, classes=, size=[, width=]) gives the net.

    The net takes (batch, 3, size, size) float and ends in a linear layer that gives (batch, classes) float32 logits
    (`easel.nets.layers.Head` does).
    """

    name: str
    pattern: str  # of a net's name without its width factor; a group for each number
    build: Callable[..., nn.Module]
    example: str
    label: str  # the papers' word; {} is the first number of the name
    smallest: int = 1  # side in pixels of the smallest images that it can take
    scales: bool = True  # whether it takes a width factor
    meta: bool = True  # whether it can be built without values


FAMILIES: dict[str, Family] = {}  # by name


def register_net(family: Family) -> Family:
    """Makes a family of nets known; again, it takes the place of what had the name.

    Worker processes import the module it is from; what a notebook's cell registers is trained in the notebook itself.
    UserError where its example is a net of another family, or none of this one.
    """
    others = [one for one in FAMILIES.values() if one in _OURS or one.name != family.name]
    taken = [one.name for one in others if one.name == family.name or re.fullmatch(one.pattern, family.example)]
    if taken or not re.fullmatch(family.pattern, family.example):
        why = f"that is a net of {taken[0]}" if taken else f"the pattern {family.pattern!r} does not match it"
        raise UserError(f"net {family.name!r}, such as {family.example!r}: {why}")
    FAMILIES[family.name] = family
    share(f"the net {family.name}", family.build)
    for known in (check, trains_on_one, multiply_adds):
        known.cache_clear()
    return family


def register(
    name: str, build: Callable[..., nn.Module], *, version: int = 1, label: str | None = None, smallest: int = 1
) -> str:
    """Makes a builder of one's own known as the net NAME-vVERSION, which is returned: Trial(model=register(...)).

    build(classes=, size=) gives a torch.nn.Module from images (batch, 3, size, size) to logits (batch, classes). Raise
    the version whenever that changes: the name is all that a trial's key knows of it. All that the builder draws at
    random comes from the trial's seed, and convolutions and linear layers start as in `build`. smallest: side in
    pixels. Worker processes import the builder's module; one from a notebook's cell is trained in the notebook itself.
    UserError for another name or object, and for a builder that fails or whose net gives something else.
    """
    if not (isinstance(name, str) and re.fullmatch("[a-z][a-z0-9_]*", name)) or not is_whole(version, least=1):
        raise UserError(f"net {name!r:.60}, version {version!r:.20}: a word of a-z, 0-9 and _, and a number from 1")
    if not callable(build) or isinstance(build, nn.Module):
        what = f"a {type(build).__name__} is none; of a net that is there: lambda classes, size: Net(classes)"
        raise UserError(f"net {name}: build is a function of classes and size that gives a net, and {what}")
    full = f"{name}-v{version}"
    family = Family(full, re.escape(full), partial(others.checked, build), full, label or name, smallest, False, False)
    others.try_out(full, family.build, max(32, smallest))
    register_net(family)
    share(f"the net {family.name}", build)
    return full


def _torchvision(function: str, label: str, smallest: int = 1) -> Family:
    return Family(function, function, partial(others.torchvision_net, function), function, label, smallest)


_OURS = (
    Family("mlp", r"mlp-(\d+)x(\d+)", small.mlp, "mlp-3x512", "MLP", scales=False),
    Family("wrn", r"wrn-(\d+)-(\d+)", small.wrn, "wrn-16-4", "WRN", scales=False),
    Family("densenet-bc", r"densenet-bc-(\d+)-(\d+)", small.densenet_bc, "densenet-bc-100-12", "DenseNet-BC", 4, False),
    Family("resnext", r"resnext-(\d+)-(\d+)x(\d+)d", small.resnext, "resnext-29-4x64d", "ResNeXt", scales=False),
    Family("resnet", r"resnet-(\d+)", small.resnet, "resnet-20", "ResNet-{}"),
    Family("vgg", r"vgg-(\d+)", small.vgg, "vgg-16", "VGG-{}", 32),
    Family("mobilenet", r"mobilenet", small.mobilenet, "mobilenet", "MobileNet"),
    _torchvision("alexnet", "AlexNet", 63),
    _torchvision("vgg11", "VGG", 32),
    _torchvision("vgg11_bn", "VGG-BN", 32),
    _torchvision("resnet18", "ResNet"),
    _torchvision("resnet50", "ResNet-50"),
    _torchvision("densenet121", "DenseNet", 29),
    _torchvision("efficientnet_b4", "EfficientNet-B4"),
    _torchvision("efficientnet_v2_s", "EfficientNetV2-S"),
    _torchvision("mobilenet_v3_small", "MobileNetV3-S"),
)
FAMILIES.update({family.name: family for family in _OURS})


def _parse(name: str) -> tuple[Family, tuple[int, ...], float]:
    """A net's name: its family, its numbers, its width factor (1.0 where none is written)."""
    stem, factor = name, None
    if isinstance(name, str) and (found := re.fullmatch(r"(.+)-([^-]+)x", name)):
        stem, factor = found.groups()
    for family in FAMILIES.values():
        match = re.fullmatch(family.pattern, stem, re.ASCII) if isinstance(stem, str) else None
        if match and (factor is None or family.scales):
            for number in match.groups():
                if len(number) > 6 or not 1 <= int(number) <= 100_000 or number[0] == "0":
                    raise UserError(f"model {name!r}: every size in a net's name is a whole number from 1 to 100000")
            return family, tuple(map(int, match.groups())), 1.0 if factor is None else _width(name, stem, factor)
    if isinstance(name, str) and (found := others.builder(name)):
        return Family(name, re.escape(name), found, name, name, 1, False, False), (), 1.0
    forms = ", ".join(family.example for family in FAMILIES.values())
    raise UserError(
        f"no model {name!r}: names are built like {forms}; from resnet on with a width factor if wanted: "
        "resnet18-0.25x; any other of torchvision by its name, of timm as timm-NAME"
    )


def _width(name: str, stem: str, text: str) -> float:
    try:
        width = float(text)
    except ValueError:
        width = math.nan
    if not 0 < width <= WIDEST:
        raise UserError(f"model {name!r}: a width factor is a number above 0 and up to {WIDEST}, as in {stem}-0.25x")
    shortest = format(Decimal(repr(width)), "f").removesuffix(".0")
    if width == 1 or text != shortest:
        raise UserError(f"model {name!r}: one name for one net, write {stem}{'' if width == 1 else f'-{shortest}x'}")
    return width


def family(name: str) -> str:
    """Key of a net's family: 'mlp', 'wrn', 'resnet', ...; of a torchvision net its function's name. UserError: none."""
    return _parse(name)[0].name


def label(name: str) -> str:
    """The papers' word for a net's family, as in Table 1: 'MLP', 'WRN', 'DenseNet', ..., or 'ResNet-20'."""
    kind, numbers, _ = _parse(name)
    return kind.label.format(*numbers)


def shown_as(models: Sequence[str]) -> dict[str, str]:
    """{model: the papers' word for it}, or its whole name where several of these nets share one word."""
    words = [label(model) for model in models]
    return {model: word if words.count(word) == 1 else model for model, word in zip(models, words, strict=True)}


@cache
def check(name: str, size: int | None = None) -> str:
    """The name itself, if a net can be built from it (for images of this size); else a UserError that says why not."""
    kind = _parse(name)[0]
    with _device(name):
        build(name, size=size)
    if not kind.meta:  # what sizes it can take only a try says
        others.try_out(name, kind.build, size or max(32, kind.smallest))
    return name


def _device(name: str) -> torch.device:
    """Where a net is built to be looked at: without values, if its builder can do without them."""
    return torch.device("meta" if _parse(name)[0].meta else "cpu")


def build(
    name: str, *, classes: int = 10, size: int | None = None, generator: torch.Generator | None = None
) -> nn.Module:
    """A net by name, float32, with Kaiming-normal weights (fan-in, gain sqrt 2) and zero biases (paper: not printed).

    classes: number of outputs; size: height and width of the images in pixels, default 32, or the net's smallest.
    generator: where every weight is drawn from, in the order of the net's layers; None leaves torch's own values.
    Batch norm starts at scale 1 and shift 0. UserError: no such net, or images too small for it.
    """
    kind, numbers, width = _parse(name)
    least = kind.smallest
    size = max(32, least) if size is None else size
    if size < least:
        raise UserError(f"model {name!r} needs images of at least {least}x{least} pixels, not {size}x{size}")
    with torch.random.fork_rng(devices=[], enabled=generator is not None):
        if generator is not None:  # what a builder of somebody else's draws: another sequence than the weights'
            torch.manual_seed(generator.initial_seed() ^ 1)
        net = kind.build(*numbers, classes=classes, size=size, **({"width": width} if kind.scales else {}))
    if generator is not None:
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
    return net


@cache
def trains_on_one(name: str, *, classes: int = 10, size: int = 32) -> bool:
    """Whether a net can be trained on a batch of one image: batch norm on maps of 1x1 has no deviation then."""
    with _device(name), torch.random.fork_rng(devices=[]):
        net = build(name, classes=classes, size=size).train()
        try:
            net(torch.empty(1, 3, size, size))
        except ValueError:
            return False
    return True


def parameters(net: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in net.parameters())


@cache
def multiply_adds(name: str, *, classes: int = 10, size: int | None = None) -> int:
    """Multiply-adds of one image's forward pass: of convolutions and matrix products (a FLOP count is twice this)."""
    size = max(32, _parse(name)[0].smallest) if size is None else size
    with _device(name), torch.random.fork_rng(devices=[]), FlopCounterMode(display=False) as counted:
        build(name, classes=classes, size=size).eval()(torch.empty(1, 3, size, size))
    return counted.get_total_flops() // 2
