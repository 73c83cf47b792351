"""Nets that others build: torchvision's at any width, any other of torchvision's and timm's as it is, and your own.

torchvision and timm are imported when the first one is built.

At any width: a net is built without values (on the meta device) by torchvision's own function; then each layer that
has weights is made anew with `width` times its channels, and the last is the float32 `Head`. Every number of channels
is scaled by itself (`scaled`), so those that were equal, as in a sum or a depthwise convolution, stay equal. DenseNets
append channels to each other: there torchvision's constructor takes the growth rate and the first layer's channels,
scaled.
"""

import re
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easel.errors import UserError
from easel.nets.layers import Head, scaled

FEW = 16  # channels: one AVX-512 register of float32


class Subsampled(nn.Conv2d):
    """A 1x1 convolution with a stride, done as one without a stride on every so many-th pixel: the same products.

    For few channels in channels-last memory oneDNN (3.13, in PyTorch 2.15) computes the weights' gradient of the direct
    form past the end of its buffer: crashes or wrong numbers, in float32 below 8 channels with AVX2, 16 with AVX-512
    (https://github.com/uxlfoundation/oneDNN/issues/6035).
    """

    def forward(self, x: Tensor) -> Tensor:
        down, across = self.stride
        return F.conv2d(x[:, :, ::down, ::across], self.weight, self.bias)


def torchvision_net(function: str, *, classes: int, size: int, width: float) -> nn.Module:
    """The net that torchvision.models.`function` builds, untrained, with `width` times its channels."""
    import torchvision

    with torch.device("meta"):
        if function == "densenet121":
            growth, first = scaled(32, width), scaled(64, width)
            net = torchvision.models.DenseNet(growth, (6, 12, 24, 16), first, num_classes=classes)
            width = 1  # it is done
        else:
            net = getattr(torchvision.models, function)(weights=None, num_classes=classes)
    _make_anew(net, width)
    return net


def _make_anew(net: nn.Module, width: float) -> None:
    """Replace every layer that has weights, in place, with `width` times the channels; images and classes stay.

    A linear layer that reads a map of several pixels has that many inputs for each channel of the layer before it.
    """
    layers = [(name, m) for name, m in net.named_modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.BatchNorm2d)]
    channels = 0  # that the layer before puts out, in the net as it was
    for i, (name, old) in enumerate(layers):
        if isinstance(old, nn.BatchNorm2d):
            new = nn.BatchNorm2d(scaled(old.num_features, width), old.eps, old.momentum)
        elif isinstance(old, nn.Conv2d):
            inputs = old.in_channels if i == 0 else scaled(old.in_channels, width)
            outputs = scaled(old.out_channels, width)
            groups = inputs if old.groups > 1 else 1  # depthwise
            shape = (old.kernel_size, old.stride, old.padding)
            steps = shape[0] == (1, 1) and shape[1] != (1, 1) and shape[2] == (0, 0)
            kind = Subsampled if steps and groups == 1 and inputs < FEW else nn.Conv2d
            new = kind(inputs, outputs, *shape, groups=groups, bias=old.bias is not None)
            channels = old.out_channels
        else:
            inputs = scaled(channels, width) * (old.in_features // channels)
            last = i == len(layers) - 1
            new = Head(inputs, old.out_features) if last else nn.Linear(inputs, scaled(old.out_features, width))
            channels = old.out_features
        net.set_submodule(name, new)


# ---- as they are ---------------------------------------------------------------------------------------------------


def builder(name: str) -> Callable[..., nn.Module] | None:
    """What builds one of torchvision's classifiers, by its name, or one of timm's, timm-NAME; None for other names."""
    if name.startswith("timm-"):
        try:
            import timm
        except ImportError:
            raise UserError(f'model {name!r}: timm is not installed here: pip install "easel[timm]"') from None
        known = name.removeprefix("timm-")
        return partial(checked, partial(_timm, known)) if timm.is_model(known) else None
    if not re.fullmatch("[a-z][a-z0-9_]*", name):
        return None
    from torchvision import models

    return partial(checked, partial(_as_it_is, name)) if name in models.list_models(module=models) else None


def _as_it_is(name: str, *, classes: int, size: int) -> nn.Module:
    from torchvision import models

    more = {"image_size": size} if name.startswith("vit_") else {}
    if name in ("inception_v3", "googlenet"):
        more = {"aux_logits": False, "init_weights": True}
    return models.get_model(name, weights=None, num_classes=classes, **more)


def _timm(name: str, *, classes: int, size: int) -> nn.Module:
    import timm

    try:
        return timm.create_model(name, pretrained=False, num_classes=classes, img_size=size)
    except TypeError:  # most nets take any size and have no such argument
        return timm.create_model(name, pretrained=False, num_classes=classes)


class _Float32(nn.Module):
    """A net that ends in no linear layer, its logits in float32; rounded to bfloat16 before that they may tie."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).float()


def checked(build: Callable[..., nn.Module], *, classes: int, size: int) -> nn.Module:
    """What a builder of somebody else's gives, its last linear layer made a `Head`. UserError where it gives no net."""
    net = build(classes=classes, size=size)
    if not isinstance(net, nn.Module):
        raise UserError(f"the builder of a net gave a {type(net).__name__}, which is no torch.nn.Module")
    linear = [(name, m) for name, m in net.named_modules() if type(m) is nn.Linear and m.out_features == classes]
    if not linear:
        return net if isinstance(net, Head) or any(isinstance(m, Head) for m in net.modules()) else _Float32(net)
    name, last = linear[-1]
    head = Head(last.in_features, classes, bias=last.bias is not None)
    head.load_state_dict(last.state_dict())
    if not name:
        return head
    net.set_submodule(name, head)
    return net


def try_out(name: str, build: Callable[..., nn.Module], size: int) -> None:
    """Builds a net for three classes and shows it two images. UserError where one of it fails or no logits come."""
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            logits = build(classes=3, size=size).eval()(torch.zeros(2, 3, size, size))
    except UserError:
        raise
    except Exception as error:  # somebody's own code may raise anything
        raise UserError(f"net {name} at {size} pixels: {type(error).__name__}: {error}") from error
    if not isinstance(logits, Tensor) or logits.shape != (2, 3):
        got = tuple(logits.shape) if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
        raise UserError(f"net {name}: for two images and three classes it gives {got}, not logits of shape (2, 3)")
