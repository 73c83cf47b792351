"""Nets for small images, written out: MLP, WRN, DenseNet-BC, ResNeXt, ResNet, VGG, MobileNet. No names here.

Each builder takes the numbers of a net's name (easel.nets.names) and gives the net: images (batch, 3, size, size) in,
logits (batch, classes) float32 out. `width` multiplies every number of channels (`scaled`).
"""

import math
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


def scaled(channels: int, width: float) -> int:
    """`width` times a number of channels, to the nearest whole number, halves upwards, at least 1."""
    return max(1, math.floor(width * channels + 0.5))


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)


def mlp(layers: int, width: int, *, classes: int, size: int) -> nn.Module:
    """Hidden layers with ReLU and no batch norm, then the last layer (EH's three-layer MLP: 3 x 512)."""
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
    """Wide residual network (Zagoruyko & Komodakis 2016): depth 6n + 4, width k."""
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


class DenseLayer(nn.Module):
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
    """DenseNet-BC (Huang et al. 2017): bottlenecks, and transitions that halve."""
    if depth < 10 or (depth - 4) % 6:
        raise UserError(f"densenet-bc depth {depth}: a DenseNet-BC has depth 6n + 4 (10, 22, 40, 100, ...)")
    channels = 2 * growth
    modules: list[nn.Module] = [_conv(3, channels, 3)]
    for stage in range(3):
        for _ in range((depth - 4) // 6):
            modules.append(DenseLayer(channels, growth))
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
    """ResNeXt in Xie et al.'s (2017) layout for small images."""
    if depth < 11 or (depth - 2) % 9:
        raise UserError(f"resnext depth {depth}: a ResNeXt for small images has depth 9n + 2 (11, 20, 29, ...)")
    modules = _stem(width)
    inputs = width
    for stage in range(3):
        inner, outputs = cardinality * width * 2**stage, 4 * width * 2**stage
        for i in range((depth - 2) // 9):
            modules.append(_NextBlock(inputs, inner, outputs, 2 if stage and i == 0 else 1, cardinality))
            inputs = outputs
    return nn.Sequential(*modules, nn.AdaptiveAvgPool2d(1), nn.Flatten(), Head(inputs, classes))


class _PlainBlock(nn.Module):
    """3x3 - 3x3, batch norm after each, ReLU after the sum. A shortcut without parameters (option A of He et al.).

    Where the shape changes, the shortcut takes every second row and column and appends channels of zeros.
    """

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1, self.norm1 = _conv(inputs, outputs, 3, stride), nn.BatchNorm2d(outputs)
        self.conv2, self.norm2 = _conv(outputs, outputs, 3), nn.BatchNorm2d(outputs)
        self.stride, self.more = stride, outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        y = self.norm2(self.conv2(y))
        if self.stride > 1 or self.more:
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
        return F.relu(y + x, inplace=True)


def resnet(depth: int, *, classes: int, size: int, width: float) -> nn.Module:
    """ResNet for small images (He et al. 2016): depth 6n + 2, parameter-free shortcuts."""
    if depth < 8 or (depth - 2) % 6:
        raise UserError(f"resnet depth {depth}: a residual net for 32-pixel images has depth 6n + 2 (8, 14, 20, ...)")
    inputs = scaled(16, width)
    modules = _stem(inputs)
    for channels, stride in ((16, 1), (32, 2), (64, 2)):
        for i in range((depth - 2) // 6):
            outputs = scaled(channels, width)
            modules.append(_PlainBlock(inputs, outputs, stride if i == 0 else 1))
            inputs = outputs
    return nn.Sequential(*modules, nn.AdaptiveAvgPool2d(1), nn.Flatten(), Head(inputs, classes))


def _stem(channels: int) -> list[nn.Module]:
    return [_conv(3, channels, 3), nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]


# convolutions of each of the five stages, as in Simonyan & Zisserman's Table 1
VGG_STAGES = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def vgg(depth: int, *, classes: int, size: int, width: float) -> nn.Module:
    """The convolutions of a VGG with batch norm (so without biases), then one linear layer instead of three."""
    if depth not in VGG_STAGES:
        raise UserError(f"vgg depth {depth}: there are {', '.join(f'vgg-{d}' for d in VGG_STAGES)}")
    modules: list[nn.Module] = []
    inputs = 3
    for channels, layers in zip((64, 128, 256, 512, 512), VGG_STAGES[depth], strict=True):
        outputs = scaled(channels, width)
        for _ in range(layers):
            modules += [_conv(inputs, outputs, 3), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
            inputs = outputs
        modules.append(nn.MaxPool2d(2))
    return nn.Sequential(*modules, nn.AdaptiveAvgPool2d(1), nn.Flatten(), Head(inputs, classes))


# output channels and stride of each depthwise separable pair, as in Howard et al.'s Table 1
MOBILENET = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))


def mobilenet(*, classes: int, size: int, width: float) -> nn.Module:
    """Depthwise 3x3, then pointwise 1x1, batch norm and ReLU after each; the stem's stride is 1 instead of 2."""
    inputs = scaled(32, width)
    modules = _stem(inputs)
    for channels, stride in MOBILENET:
        outputs = scaled(channels, width)
        modules += [_conv(inputs, inputs, 3, stride, groups=inputs), nn.BatchNorm2d(inputs), nn.ReLU(inplace=True)]
        modules += [_conv(inputs, outputs, 1), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
        inputs = outputs
    return nn.Sequential(*modules, nn.AdaptiveAvgPool2d(1), nn.Flatten(), Head(inputs, classes))
