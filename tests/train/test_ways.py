"""Ways to run a net: each gives what the plain way gives, and the fastest is chosen by what was measured."""

import copy

import pytest
import torch
import torch.nn.functional as F

from easel.nets import names
from easel.train import ways

NETS = {"densenet-bc-16-8": "shared-norms", "resnext-11-4x8d": "groups-apart+group-products"}


def step(net, seed=0, dtype=torch.float32):
    """Logits, loss and gradients of one step on eight images."""
    draws = torch.Generator().manual_seed(seed)
    x = torch.randn(8, 3, 32, 32, generator=draws).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        logits = net(x)
    loss = F.cross_entropy(logits, torch.arange(8))
    return logits.detach(), torch.autograd.grad(loss, list(net.parameters()))


def pair(model, way):
    """The same net twice, plain and in a way."""
    plain = names.build(model, generator=torch.Generator().manual_seed(1)).to(memory_format=torch.channels_last)
    for at, module in enumerate(m for m in plain.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        with torch.no_grad():  # as after some training: a scale and shift of each channel's own
            draws = torch.Generator().manual_seed(at)
            module.weight.add_(0.3 * torch.randn(module.weight.shape, generator=draws))
            module.bias.add_(0.3 * torch.randn(module.bias.shape, generator=draws))
    other = copy.deepcopy(plain)
    ways.run_in(other, way)
    return plain, other


@pytest.mark.parametrize(("model", "way"), NETS.items())
def test_a_way_gives_the_plain_ways_numbers_to_rounding(model, way):
    """Forward, backward and running statistics, over several steps; in evaluation too."""
    plain, other = pair(model, way)
    for seed in range(3):
        (a, ga), (b, gb) = step(plain, seed), step(other, seed)
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
        for one, two in zip(ga, gb, strict=True):
            torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-4 * float(one.abs().max()) + 1e-7)
    assert plain.state_dict().keys() == other.state_dict().keys()
    for (name, one), two in zip(plain.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5, msg=name)
    with torch.no_grad():
        torch.testing.assert_close(*(step_free(net.eval()) for net in (plain, other)), rtol=1e-3, atol=1e-3)


def step_free(net):
    return net(torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(9)))
