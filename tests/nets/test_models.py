"""The nets are the papers' nets: parameter counts as published, and small members of the same families."""

import importlib.util
import sys
from itertools import combinations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from easel.errors import UserError
from easel.nets import layers, names as models, torchvision as models_torchvision
from easel.plot import base as plot
from easel.train.batches import stream

PUBLISHED = {  # total trainable parameters, 10 classes, 32 px
    "mlp-3x512": 2_103_818,
    "wrn-16-4": 2_748_890,
    "densenet-bc-100-12": 769_162,
    "resnext-29-4x64d": 17_562_442,
    "resnet-20": 269_722,  # .27 M in He et al., Table 6; the shortcuts have none
    "vgg-16": 14_724_042,  # torchvision's vgg16_bn.features less 4,224 biases that batch norm makes idle, 5,130 linear
    "mobilenet": 3_217_226,  # 4,231,976 with 1,000 classes: 4.2 M in Howard et al., Table 8
}
TORCHVISION = {  # 1,000 classes, in torchvision's own tables; and millions of multiply-adds there, at how many pixels
    "alexnet": (61_100_840, 714, 224),
    "vgg11": (132_863_336, 7609, 224),
    "vgg11_bn": (132_868_840, 7609, 224),
    "resnet18": (11_689_512, 1814, 224),
    "resnet50": (25_557_032, 4089, 224),
    "densenet121": (7_978_856, 2834, 224),
    "efficientnet_b4": (19_341_616, 4394, 380),
    "efficientnet_v2_s": (21_458_488, 8366, 384),
    "mobilenet_v3_small": (2_542_856, 57, 224),
}
SMALL = ["mlp-1x10", "mlp-3x128", "wrn-10-1", "wrn-16-2", "densenet-bc-10-8", "densenet-bc-22-8", "resnext-11-2x16d"]
SMALL += ["resnet-8", "resnet-14-0.3x", "mobilenet-0.25x", "mobilenet_v3_small-0.3x", "resnet18-0.1x"]
TINY = ["mlp-1x10", "wrn-10-1", "densenet-bc-10-8", "resnext-11-2x8d", "resnet-8-0.5x", "vgg-11-0.125x"]
TINY += ["mobilenet-0.125x"] + [f"{name}-0.125x" for name in TORCHVISION]
FIGURES = [  # nets that stand in one figure
    ["MLP", "AlexNet", "VGG", "VGG-BN", "ResNet", "DenseNet"],
    ["MLP", "WRN", "ResNeXt", "DenseNet-BC"],
    ["ResNet-20", "VGG-16", "MobileNet"],
    ["ResNet", "ResNet-50", "EfficientNet-B4", "EfficientNetV2-S", "MobileNetV3-S"],
]


@pytest.mark.parametrize(("name", "count"), PUBLISHED.items())
def test_parameter_counts_are_the_published_ones(name, count):
    assert models.parameters(models.build(name)) == count


@pytest.mark.parametrize(
    ("name", "mflop"), {"wrn-16-4": 785, "densenet-bc-100-12": 576, "resnext-29-4x64d": 5473, "resnet-20": 81}.items()
)
def test_forward_work_of_the_papers_nets(name, mflop):
    assert round(2 * models.multiply_adds(name) / 1e6) == mflop


def test_forward_work_counts_each_group_of_a_convolution_by_itself():
    """569 M in Howard et al., Table 8, at 224 pixels with a stem of stride 2: at 112 with ours of stride 1."""
    assert round(models.multiply_adds("mobilenet", classes=1000, size=112) / 1e6) == 569


@pytest.mark.parametrize("name", TORCHVISION)
def test_a_net_from_torchvision_is_torchvisions_layer_by_layer_and_in_its_published_numbers(name):
    """Every net goes through the code that scales it: this one with a factor of 1."""
    import torchvision

    count, work, size = TORCHVISION[name]
    published = torchvision.models.get_model_weights(name).DEFAULT.meta
    with torch.device("meta"):
        ours = models.build(name, classes=1000)
        theirs = getattr(torchvision.models, name)(weights=None)
    assert str(ours).replace("Head(", "Linear(") == str(theirs)
    assert [(k, v.shape) for k, v in ours.state_dict().items()] == [
        (k, v.shape) for k, v in theirs.state_dict().items()
    ]
    assert models.parameters(ours) == published["num_params"] == count
    assert round(models.multiply_adds(name, classes=1000, size=size) / 1e6) == work
    if "_ops" in published:
        assert work / 1000 == pytest.approx(published["_ops"], abs=6e-4)


def test_a_width_factor_multiplies_every_channel_but_those_of_images_and_classes():
    with torch.device("meta"):
        alexnet, dense = models.build("alexnet-0.5x"), models.build("densenet121-0.25x").features
        depthwise = models.build("mobilenet_v3_small-0.25x").features[1].block[0][0]
        third = models.build("resnet18-0.3x")
    convolutions = [(m.in_channels, m.out_channels) for m in alexnet.features if isinstance(m, nn.Conv2d)]
    linear = [(m.in_features, m.out_features) for m in alexnet.classifier if isinstance(m, nn.Linear)]
    assert convolutions == [(3, 32), (32, 96), (96, 192), (192, 128), (128, 128)]
    assert linear == [(128 * 36, 2048), (2048, 2048), (2048, 10)]
    assert (dense.conv0.out_channels, dense.denseblock1.denselayer1.conv2.out_channels) == (16, 8)
    assert (depthwise.in_channels, depthwise.groups, depthwise.weight.shape) == (4, 4, (4, 1, 3, 3))
    assert (third.conv1.out_channels, third.fc.in_features) == (19, 154)  # 19.2 and 153.6


@pytest.mark.parametrize(("channels", "width", "expected"), [(10, 0.25, 3), (10, 0.05, 1), (3, 0.01, 1), (64, 1, 64)])
def test_scaled_channels_are_the_nearest_whole_number_and_at_least_one(channels, width, expected):
    assert layers.scaled(channels, width) == expected


@pytest.mark.parametrize("name", TINY)
def test_a_net_takes_images_from_its_smallest_to_224_pixels_and_no_smaller(name):
    least = models.FAMILIES[models.family(name)].smallest
    net = models.build(name, size=least).eval()
    with torch.no_grad():
        assert net(torch.zeros(2, 3, least, least)).shape == (2, 10)
        if not name.startswith("mlp"):
            assert net(torch.zeros(1, 3, 224, 224)).shape == (1, 10)
    if least > 1:
        small = least - 1
        with torch.no_grad(), pytest.raises(RuntimeError):
            net(torch.zeros(2, 3, small, small))
        with pytest.raises(UserError, match=f"at least {least}x{least} pixels, not {small}x{small}"):
            models.check(name, small)
        assert models.check(name) == name
        assert models.multiply_adds(name) == models.multiply_adds(name, size=max(32, least))


@pytest.mark.parametrize("name", ["resnet18-0.0625x", "resnet18-0.125x", "resnet18-0.25x", "resnet50-0.0625x"])
def test_a_strided_1x1_convolution_of_few_channels_is_not_left_to_the_kernel_that_overruns_its_buffer(name):
    net = models.build(name, classes=2, size=64)
    strided = [m for m in net.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1) and m.stride != (1, 1)]
    assert len(strided) == 3
    for conv in strided:
        assert isinstance(conv, models_torchvision.Subsampled) == (conv.in_channels < 16)
        direct = nn.Conv2d(conv.in_channels, conv.out_channels, 1, conv.stride, bias=False).double()
        direct.weight.data.copy_(conv.weight.data)
        x = torch.randn(6, conv.in_channels, 16, 16, requires_grad=True)
        y = x.detach().double().requires_grad_()  # channels first: another kernel
        conv(x.to(memory_format=torch.channels_last)).square().sum().backward()
        direct(y).square().sum().backward()
        assert torch.allclose(conv.weight.grad.double(), direct.weight.grad, rtol=1e-4, atol=1e-3)
        assert torch.allclose(x.grad.double(), y.grad, rtol=1e-4, atol=1e-4)


def test_the_shortcut_of_a_plain_block_drops_rows_and_columns_and_appends_zeros():
    block = layers._PlainBlock(2, 3, 2).eval()
    nn.init.zeros_(block.norm2.weight)  # nothing of the convolutions is left
    x = torch.arange(2 * 5 * 5).reshape(1, 2, 5, 5).float()
    y = block(x)
    assert torch.equal(y[:, :2], x[:, :, [0, 2, 4]][..., [0, 2, 4]])
    assert y.shape == (1, 3, 3, 3)
    assert not y[:, 2].any()


@pytest.mark.parametrize("name", [n for n in TINY if n not in ("efficientnet_b4-0.125x", "resnet50-0.125x")])
def test_a_step_of_training_reaches_every_parameter_and_keeps_logits_in_float32(name):
    size = max(32, models.FAMILIES[models.family(name)].smallest)
    net = models.build(name, size=size, generator=stream(0, "weights")).to(memory_format=torch.channels_last)
    torch.manual_seed(0)  # dropout
    with torch.autocast("cpu", torch.bfloat16):
        logits = net(torch.randn(6, 3, size, size, generator=stream(0, "images")))
    F.cross_entropy(logits, torch.arange(6)).backward()
    assert logits.dtype == torch.float32
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())


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


@pytest.mark.parametrize("name", [n for n in [*TINY, "mlp-3x128"] if n != "efficientnet_v2_s-0.125x"])
def test_weights_are_kaiming_normal_and_drawn_from_the_generator_alone(name):
    torch.manual_seed(1)
    first = models.build(name, generator=stream(7, "weights")).state_dict()
    torch.manual_seed(2)
    net = models.build(name, generator=stream(7, "weights"))
    other = models.build(name, generator=stream(8, "weights")).state_dict()
    assert all(torch.equal(first[k], again) for k, again in net.state_dict().items())
    for key, parameter in net.named_parameters():
        if parameter.dim() > 1:
            assert not torch.equal(parameter, other[key])
    for module in net.modules():  # all else is fixed
        assert getattr(module, "bias", None) is None or not module.bias.any()
        assert not isinstance(module, nn.BatchNorm2d) or module.weight.eq(1).all()
    drawn = [w.flatten() * (w[0].numel() / 2) ** 0.5 for w in net.parameters() if w.dim() > 1]  # fan-in, gain sqrt 2
    for w in [w for w in drawn if w.numel() > 4000] + [torch.cat(drawn)]:
        assert w.std().item() == pytest.approx(1, rel=0.05)


def test_labels_are_the_papers_words():
    labels = {label for figure in FIGURES for label in figure}
    assert {models.label(family.example) for family in models.FAMILIES.values()} == labels == set(plot.NETS)
    words = {
        "wrn-10-1": "WRN",
        "vgg11-0.5x": "VGG",
        "vgg11_bn": "VGG-BN",
        "resnet18-0.25x": "ResNet",
        "vgg-11": "VGG-11",
    }
    words |= {"resnet-56": "ResNet-56", "densenet121": "DenseNet", "mobilenet-0.5x": "MobileNet"}
    assert {name: models.label(name) for name in words} == words
    assert [models.family(n) for n in ("resnet-56-0.5x", "resnet18-0.5x", "vgg11_bn")] == [
        "resnet",
        "resnet18",
        "vgg11_bn",
    ]
    assert plot.net_colour("resnet-56") == plot.net_colour("resnet-20-0.5x") == plot.NETS["ResNet-20"]


# Machado et al. 2009, full protanopia, deuteranopia and tritanopia, on linear RGB
SIGHT = {
    "all cones": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("sight", SIGHT)
def test_colours_in_one_figure_are_told_apart_by_everyone(sight):
    def lab(colour):  # CIE L*a*b*: a distance of 2 is just seen side by side
        c = np.asarray(colour)
        linear = np.clip(np.array(SIGHT[sight]) @ np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4), 0, 1)
        xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ linear
        f = np.cbrt(xyz / (0.9505, 1, 1.089))
        return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])

    for figure in FIGURES:
        for a, b in combinations(figure, 2):
            assert np.linalg.norm(lab(plot.NETS[a]) - lab(plot.NETS[b])) > 16, (a, b)


def test_torchvision_is_not_imported_before_one_of_its_nets_is_built(monkeypatch):
    """A node that trains WRNs alone need not have it, and its import takes two seconds."""
    for module in (layers, models_torchvision, models):
        spec = importlib.util.spec_from_file_location("fresh", module.__file__)
        fresh = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "fresh", fresh)
        monkeypatch.setitem(sys.modules, "torchvision", None)  # an import of it fails
        spec.loader.exec_module(fresh)
    assert fresh.check("resnet-8") == "resnet-8"
    with pytest.raises(ImportError):
        fresh.build("resnet18")


NO_NETS = ["resnet", "wrn-16", "wrn-12-4", "densenet-bc-21-8", "resnext-12-2x16d", "mlp-0x5", "mlp-03x5", "", 3]
NO_NETS += ["resnet-21", "vgg-12", "resnet35", "mlp-3x128-0.5x", "mobilenet-", "resnet18-x", "resnet-٢٠", "vgg-9999999"]


@pytest.mark.parametrize("name", NO_NETS)
def test_a_name_that_is_no_net_is_refused_in_one_line(name):
    with pytest.raises(UserError) as refusal:
        models.check(name)
    assert "\n" not in str(refusal.value)
    assert any(part in str(refusal.value) for part in ("names are built like", "depth", "whole number"))


@pytest.mark.parametrize(
    ("name", "advice"),
    {
        "resnet18-1x": "write resnet18$",
        "resnet18-1.0x": "write resnet18$",
        "resnet18-.5x": "write resnet18-0.5x$",
        "resnet-20-0.50x": "write resnet-20-0.5x$",
        "vgg-16-2.0x": "write vgg-16-2x$",
        "mobilenet-1e0x": "write mobilenet$",
        "mobilenet-+0.5x": "write mobilenet-0.5x$",
        "resnet18-0x": "above 0 and up to 4, as in resnet18-0.25x$",
        "resnet18-4.5x": "above 0 and up to 4",
        "resnet18-infx": "above 0 and up to 4",
        "resnet18-nanx": "above 0 and up to 4",
        "resnet18-widex": "above 0 and up to 4",
    }.items(),
)
def test_a_net_has_one_name(name, advice):
    with pytest.raises(UserError, match=advice) as refusal:
        models.check(name)
    assert "\n" not in str(refusal.value)


def test_factors_of_many_digits_and_above_one_are_names():
    for name in ("resnet-8-0.3333333333333333x", "resnet-8-0.00001x", "resnet-8-4x", "vgg-11-1.5x"):
        assert models.check(name) == name
