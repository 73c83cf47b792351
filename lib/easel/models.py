"""The paper's nets, and smaller members of the same families, from one name each. Nothing here trains or draws images.

    mlp-3x512             hidden layers x width, ReLU, no batch norm
    wrn-16-4              depth - widening factor             (Zagoruyko & Komodakis 2016; depth = 6n + 4)
    densenet-bc-100-12    depth - growth rate, compression .5 (Huang et al. 2017; depth = 6n + 4)
    resnext-29-4x64d      depth - cardinality x width         (Xie et al. 2017; depth = 9n + 2; 64d is Xie's layout)

Images enter as (batch, 3, size, size) float, logits leave as (batch, classes) float32: the last layer always computes
in float32, because logits rounded to bfloat16 tie often and `argmax` would settle each tie for the lower class.
"""

import re
from collections.abc import Callable
from functools import cache
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easel.errors import UserError


class Head(nn.Linear):
    """The classifier, in float32 whatever the autocast around it."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu" if x.is_meta else x.device.type, enabled=False):
            return F.linear(x.float(), self.weight, self.bias)


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)


def mlp(layers: int, width: int, *, classes: int, size: int) -> nn.Module:
    widths = [3 * size * size] + [width] * layers
    hidden = [m for a, b in pairwise(widths) for m in (nn.Linear(a, b), nn.ReLU(inplace=True))]
    return nn.Sequential(nn.Flatten(), *hidden, Head(width, classes))


class _WideBlock(nn.Module):
    """BN-ReLU-conv twice; the shortcut is a 1x1 convolution of the pre-activation where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(inputs), _conv(inputs, outputs, 3, stride)
        self.norm2, self.conv2 = nn.BatchNorm2d(outputs), _conv(outputs, outputs, 3)
        self.shortcut = _conv(inputs, outputs, 1, stride) if stride != 1 or inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(x), inplace=True)
        x = x if self.shortcut is None else self.shortcut(y)
        y = self.conv2(F.relu(self.norm2(self.conv1(y)), inplace=True))
        return x + y


def wrn(depth: int, widen: int, *, classes: int, size: int) -> nn.Module:
    if depth < 10 or (depth - 4) % 6:
        raise UserError(f"wrn depth {depth}: a wide residual net has depth 6n + 4 (10, 16, 22, 28, ...)")
    blocks, inputs = [], 16
    for outputs, stride in ((16 * widen, 1), (32 * widen, 2), (64 * widen, 2)):
        for i in range((depth - 4) // 6):
            blocks.append(_WideBlock(inputs, outputs, stride if i == 0 else 1))
            inputs = outputs
    return nn.Sequential(_conv(3, 16, 3), *blocks, *_tail(inputs), Head(inputs, classes))


def _tail(channels: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten()]


class _DenseLayer(nn.Module):
    """BN-ReLU-1x1 (bottleneck 4k), BN-ReLU-3x3 (k); the output is appended to the input's channels."""

    def __init__(self, inputs: int, growth: int):
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(inputs), _conv(inputs, 4 * growth, 1)
        self.norm2, self.conv2 = nn.BatchNorm2d(4 * growth), _conv(4 * growth, growth, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.relu(self.norm1(x), inplace=True))
        y = self.conv2(F.relu(self.norm2(y), inplace=True))
        return torch.cat([x, y], 1)


def densenet_bc(depth: int, growth: int, *, classes: int, size: int) -> nn.Module:
    if depth < 10 or (depth - 4) % 6:
        raise UserError(f"densenet-bc depth {depth}: a DenseNet-BC has depth 6n + 4 (10, 22, 40, 100, ...)")
    channels = 2 * growth
    modules: list[nn.Module] = [_conv(3, channels, 3)]
    for stage in range(3):
        for _ in range((depth - 4) // 6):
            modules.append(_DenseLayer(channels, growth))
            channels += growth
        if stage < 2:  # transition: compression .5, then 2x2 average pooling
            squeeze = _conv(channels, channels // 2, 1)
            modules += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True), squeeze, nn.AvgPool2d(2)]
            channels //= 2
    return nn.Sequential(*modules, *_tail(channels), Head(channels, classes))


class _NextBlock(nn.Module):
    """1x1 - grouped 3x3 - 1x1, batch norm after each, ReLU after the sum; projection where the shape changes."""

    def __init__(self, inputs: int, inner: int, outputs: int, stride: int, groups: int):
        super().__init__()
        self.conv1, self.norm1 = _conv(inputs, inner, 1), nn.BatchNorm2d(inner)
        self.conv2, self.norm2 = _conv(inner, inner, 3, stride, groups), nn.BatchNorm2d(inner)
        self.conv3, self.norm3 = _conv(inner, outputs, 1), nn.BatchNorm2d(outputs)
        same = stride == 1 and inputs == outputs
        self.shortcut = None if same else nn.Sequential(_conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        y = F.relu(self.norm2(self.conv2(y)), inplace=True)
        y = self.norm3(self.conv3(y))
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x)), inplace=True)


def resnext(depth: int, cardinality: int, width: int, *, classes: int, size: int) -> nn.Module:
    if depth < 11 or (depth - 2) % 9:
        raise UserError(f"resnext depth {depth}: a ResNeXt for small images has depth 9n + 2 (11, 20, 29, ...)")
    modules: list[nn.Module] = [_conv(3, width, 3), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    inputs = width
    for stage in range(3):
        inner, outputs = cardinality * width * 2**stage, 4 * width * 2**stage
        for i in range((depth - 2) // 9):
            modules.append(_NextBlock(inputs, inner, outputs, 2 if stage and i == 0 else 1, cardinality))
            inputs = outputs
    return nn.Sequential(*modules, nn.AdaptiveAvgPool2d(1), nn.Flatten(), Head(inputs, classes))


# family: (pattern, builder, an example, the paper's name for it)
FAMILIES: dict[str, tuple[re.Pattern, Callable, str, str]] = {
    "mlp": (re.compile(r"mlp-(\d+)x(\d+)"), mlp, "mlp-3x512", "MLP"),
    "wrn": (re.compile(r"wrn-(\d+)-(\d+)"), wrn, "wrn-16-4", "WRN"),
    "densenet-bc": (re.compile(r"densenet-bc-(\d+)-(\d+)"), densenet_bc, "densenet-bc-100-12", "DenseNet-BC"),
    "resnext": (re.compile(r"resnext-(\d+)-(\d+)x(\d+)d"), resnext, "resnext-29-4x64d", "ResNeXt"),
}


def _parse(name: str) -> tuple[str, list[int]]:
    for family, (pattern, *_rest) in FAMILIES.items():
        match = pattern.fullmatch(name) if isinstance(name, str) else None
        if match:
            sizes = [int(g) for g in match.groups()]
            if min(sizes) < 1 or max(sizes) > 100_000:
                raise UserError(f"model {name!r}: every size in a net's name is a whole number from 1")
            return family, sizes
    forms = ", ".join(example for _, _, example, _ in FAMILIES.values())
    raise UserError(f"no model {name!r}: names are built like {forms}, at any size")


def family(name: str) -> str:
    """Family of a net's name: 'mlp', 'wrn', 'densenet-bc' or 'resnext'. Unknown names: UserError."""
    return _parse(name)[0]


def label(name: str) -> str:
    """The paper's word for a net's family, as it stands in Table 1: 'MLP', 'WRN', 'DenseNet-BC', 'ResNeXt'."""
    return FAMILIES[family(name)][3]


@cache
def check(name: str) -> str:
    """The name itself, if a net can be built from it; else a UserError that says what names look like."""
    with torch.device("meta"):
        build(name)
    return name


def build(name: str, *, classes: int = 10, size: int = 32, generator: torch.Generator | None = None) -> nn.Module:
    """A net by name, float32, with Kaiming-normal weights (fan-in, gain sqrt 2) and zero biases (paper: not printed).

    classes: number of outputs; size: height and width of the images in pixels.
    generator: where every weight is drawn from, in the order of the net's parameters; None leaves torch's own values.
    """
    kind, sizes = _parse(name)
    net = FAMILIES[kind][1](*sizes, classes=classes, size=size)
    if generator is not None:
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
    return net


def parameters(net: nn.Module) -> int:
    """Number of trainable parameters."""
    return sum(p.numel() for p in net.parameters())


@cache
def multiply_adds(name: str, *, classes: int = 10, size: int = 32) -> int:
    """Multiply-adds of one image's forward pass, convolutions and linear layers only (a FLOP count is twice this)."""
    total = 0

    def count(module: nn.Module, _inputs: tuple, output: Tensor) -> None:
        nonlocal total
        total += output[0].numel() * module.weight[0].numel()

    with torch.device("meta"):
        net = build(name, classes=classes, size=size)
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.register_forward_hook(count)
        net(torch.empty(1, 3, size, size))
    return total
