"""torchvision's nets as torchvision builds them, at any width. torchvision is imported when the first one is built.

A net is built without values (on the meta device) by torchvision's own function; then each layer that has weights is
made anew with `width` times its channels, and the last one is the float32 `Head`. Every number of channels is scaled
by itself (`scaled`), so those that were equal, as in a sum or a depthwise convolution, stay equal. DenseNets append
channels to each other: there torchvision's constructor takes the growth rate and the first layer's channels, scaled.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

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
