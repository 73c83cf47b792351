"""The nets are the paper's nets: parameter counts as published, and small members of the same families."""

import pytest
import torch

from easel import models
from easel.errors import UserError
from easel.trial import stream

PUBLISHED = {  # total trainable parameters, 10 classes, 32 px
    "mlp-3x512": 2_103_818,
    "wrn-16-4": 2_748_890,
    "densenet-bc-100-12": 769_162,
    "resnext-29-4x64d": 17_562_442,
}
SMALL = ["mlp-1x10", "mlp-3x128", "wrn-10-1", "wrn-16-2", "densenet-bc-10-8", "densenet-bc-22-8", "resnext-11-2x16d"]


@pytest.mark.parametrize(("name", "count"), PUBLISHED.items())
def test_parameter_counts_are_the_published_ones(name, count):
    assert models.parameters(models.build(name)) == count


@pytest.mark.parametrize(
    ("name", "mflop"), {"wrn-16-4": 785, "densenet-bc-100-12": 576, "resnext-29-4x64d": 5473}.items()
)
def test_forward_work_of_the_papers_nets(name, mflop):
    assert round(2 * models.multiply_adds(name) / 1e6) == mflop


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(("classes", "size"), [(10, 32), (3, 20)])
def test_every_family_works_at_any_size(name, classes, size):
    net = models.build(name, classes=classes, size=size).eval()
    assert net(torch.zeros(2, 3, size, size)).shape == (2, classes)


def test_logits_are_float32_under_bf16_and_so_hardly_ever_tie():
    net = models.build("wrn-10-1", generator=stream(0, "weights")).eval()
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        logits = net(torch.randn(50, 3, 32, 32, generator=stream(0, "images")))
    assert logits.dtype == torch.float32
    assert (logits.topk(2).values.diff() != 0).all()


@pytest.mark.parametrize("name", ["wrn-10-1", "mlp-3x128"])
def test_weights_are_kaiming_normal_and_drawn_from_the_generator_alone(name):
    torch.manual_seed(1)
    first = models.build(name, generator=stream(7, "weights")).state_dict()
    torch.manual_seed(2)
    again = models.build(name, generator=stream(7, "weights")).state_dict()
    assert all(torch.equal(first[k], again[k]) for k in first)
    weights = [w for w in first.values() if w.dim() > 1 and w.numel() > 4000]
    for w in weights:
        assert w.std().item() == pytest.approx((2 / w[0].numel()) ** 0.5, rel=0.05)
    other = models.build(name, generator=stream(8, "weights")).state_dict()
    assert not torch.equal(max(first.values(), key=torch.numel), max(other.values(), key=torch.numel))


def test_labels_are_the_papers_words():
    assert [models.label(n) for n in PUBLISHED] == ["MLP", "WRN", "DenseNet-BC", "ResNeXt"]
    assert models.label("wrn-10-1") == "WRN"


@pytest.mark.parametrize(
    "name", ["resnet", "wrn-16", "wrn-12-4", "densenet-bc-21-8", "resnext-12-2x16d", "mlp-0x5", "", 3]
)
def test_a_name_that_is_no_net_is_refused_in_one_line(name):
    with pytest.raises(UserError) as refusal:
        models.check(name)
    assert "\n" not in str(refusal.value)
    assert any(part in str(refusal.value) for part in ("names are built like", "depth", "whole number"))
