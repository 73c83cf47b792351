"""Nets that others build: your own by a builder, torchvision's and timm's by their names there, in workers too."""

import importlib
import os
import re
import subprocess
import sys
import types

import pytest
import torch
from torch import nn

from easel import cli, warm
from easel.errors import UserError
from easel.files import ROOT
from easel.ledger.store import Store
from easel.nets import names
from easel.train import ensure as ensure_module
from easel.train.ensure import ensure


class Learned(nn.Module):
    """A net with a parameter of its own that is drawn at random, and no linear layer at the end."""

    def __init__(self, classes, size):
        super().__init__()
        self.scale = nn.Parameter(torch.randn(3, size, size))
        self.conv = nn.Conv2d(3, classes, 3)

    def forward(self, x):
        return self.conv(x * self.scale).mean((2, 3))


@pytest.fixture
def registry(monkeypatch):
    monkeypatch.setattr(names, "FAMILIES", dict(names.FAMILIES))
    monkeypatch.setattr(warm, "UNSHARED", set())
    monkeypatch.setenv("EASEL_IMPORTS", "")


def test_what_the_library_brings_is_known_to_every_process():
    asked = "from easel import warm; import easel.notebook.lab; print(warm.UNSHARED)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"  # else everything is trained on one core


def test_a_builder_of_ones_own_is_a_net_with_a_version_and_starts_from_the_seed(registry):
    one = names.register("mine", Learned)
    two = names.register("mine", Learned, version=2, label="Mine")
    assert (one, two, names.label(one), names.label(two)) == ("mine-v1", "mine-v2", "mine", "Mine")
    assert names.check(one, 16) == one
    nets = [names.build(one, size=8, generator=torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)]
    first, again, other = (net.state_dict() for net in nets)
    assert all((first[key] == again[key]).all() for key in first)
    assert not (first["net.scale"] == other["net.scale"]).all()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert nets[0](torch.zeros(2, 3, 8, 8)).dtype == torch.float32
    assert names.multiply_adds(one, size=8) == 10 * 27 * 36
    assert names.trains_on_one(one, size=8)


def test_workers_import_the_module_of_a_net_and_train_it_alike(registry, tiny, tmp_path, monkeypatch):
    (tmp_path / "garden.py").write_text(
        "from torch import nn\nfrom easel.nets import register\n"
        "def build(classes, size):\n    return nn.Sequential(nn.Flatten(), nn.Linear(3 * size**2, classes))\n"
        "NET = register('garden', build)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    garden = importlib.import_module("garden")
    assert os.environ["EASEL_IMPORTS"] == "garden"
    trials = [tiny(model=garden.NET, seed=seed) for seed in range(2)]
    stores = [Store(tmp_path / place) for place in ("here", "there")]
    for store, workers in zip(stores, (0, 2), strict=True):
        assert ensure(trials, store=store, workers=workers, quiet=True).trained == 2
    assert all((a.get(t).arrays["correct.train"] == b.get(t).arrays["correct.train"]).all()
               for t in trials for a, b in [stores])  # fmt: skip


def test_a_net_of_a_notebooks_cell_is_trained_in_the_notebook(registry, tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ensure_module, "SMALL_WORK", 0)
    space = {"nn": nn, "__name__": "__main__"}
    exec("def cell(classes, size):\n    return nn.Sequential(nn.Flatten(), nn.Linear(3 * size**2, classes))", space)
    trial = tiny(model=names.register("cell", space["cell"]))
    assert ensure([trial], store=Store(tmp_path)).trained == 1
    assert "training in this process: no other knows the net cell-v1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "build", "options", "why"),
    [
        ("Mine", Learned, {}, "a word of a-z"),
        ("mine", Learned, {"version": 0}, "a number from 1"),
        ("mine", Learned(10, 8), {}, "a Learned is none; of a net that is there: lambda classes, size"),
        ("mine", "resnet34", {}, "a str is none"),
        ("mine", lambda classes, size: None, {}, "gave a NoneType, which is no torch.nn.Module"),
        ("mine", lambda classes: Learned(classes, 32), {}, "TypeError"),
        ("mine", lambda classes, size: nn.Flatten(), {}, r"gives \(2, 3072\), not logits of shape \(2, 3\)"),
        ("mine", lambda classes, size: Learned(classes, 64), {}, "at 32 pixels: RuntimeError"),
    ],
)
def test_a_wrong_builder_is_refused_in_a_line_that_says_why(registry, name, build, options, why):
    with pytest.raises(UserError, match=why):
        names.register(name, build, **options)
    assert "mine-v1" not in names.FAMILIES


@pytest.mark.parametrize("name", ["resnet34", "shufflenet_v2_x0_5", "squeezenet1_1", "mnasnet0_5"])
def test_every_classifier_of_torchvision_goes_by_its_own_name(name):
    assert names.check(name, 32) == name
    net = names.build(name, classes=3, generator=torch.Generator().manual_seed(0)).eval()
    logits = net(torch.zeros(2, 3, 32, 32))
    assert (logits.shape, logits.dtype) == ((2, 3), torch.float32)


def test_a_net_that_needs_larger_images_says_so_before_it_trains():
    with pytest.raises(UserError, match="net inception_v3 at 32 pixels: RuntimeError"):
        names.check("inception_v3", 32)


def test_nets_of_timm_go_by_their_names_there(monkeypatch):
    def create_model(name, *, pretrained, num_classes, **more):
        assert not pretrained
        if name == "plain" and more:
            raise TypeError("no such argument: img_size")
        return Learned(num_classes, more.get("img_size", 32))

    timm = types.SimpleNamespace(is_model=lambda name: name in ("plain", "sized"), create_model=create_model)
    monkeypatch.setitem(sys.modules, "timm", timm)
    assert names.check("timm-plain", 32) == names.label("timm-plain") == "timm-plain"
    assert names.build("timm-sized", classes=3, size=16)(torch.zeros(2, 3, 16, 16)).shape == (2, 3)
    with pytest.raises(UserError, match="no model 'timm-other'"):
        names.check("timm-other")
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match=r"pip install \"easel\[timm\]\""):
        names.check("timm-plain", 16)


def test_a_net_of_timm_itself_is_built_for_small_images():
    pytest.importorskip("timm")
    assert names.build("timm-test_vit", classes=3, size=32)(torch.zeros(2, 3, 32, 32)).shape == (2, 3)


def test_the_readmes_net_of_ones_own_is_one(registry):
    code = re.search(r"```python\n# mynets.py\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    exec(code, {})
    assert names.build("mine-v1", classes=3, size=16)(torch.zeros(2, 3, 16, 16)).shape == (2, 3)


def test_a_module_to_import_that_cannot_be_is_one_line(monkeypatch, capsys):
    monkeypatch.setenv("EASEL_IMPORTS", "nowhere_at_all")
    assert cli.main(["data", "patterns"]) == 2
    assert "EASEL_IMPORTS: nowhere_at_all cannot be imported" in capsys.readouterr().err
