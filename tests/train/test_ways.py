"""Ways to run a net: each gives what the plain way gives, and the fastest is chosen by what was measured."""

import copy
import dataclasses
import shutil

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from easel.compare.correlation import spearman
from easel.data.changes import Changed
from easel.errors import UserError
from easel.ledger.store import Ledger
from easel.ledger.trial import Edit, Recipe
from easel.nets import names
from easel.train import ensure, gpu, loop, ways
from easel.train.ensure import Progress
from easel.train.ways import MEASURED, PLAIN, Probe

NETS = {"densenet-bc-16-8": "shared-norms", "resnext-11-4x8d": "groups-apart+group-products"}
FP32, BF16 = Recipe(precision="fp32"), Recipe(precision="bf16")
SGD = Recipe(precision="bf16", optimizer="sgd", augmentation="resized-crop", translation=0)


@pytest.fixture
def without_compiler(monkeypatch):
    """torch.compile as far as its C++ compiler: what is traced runs by PyTorch's own kernels."""
    compiling = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self, **k: compiling(self, backend="aot_eager", **k))
    torch.compiler.reset()
    torch._dynamo.utils.counters.clear()
    yield torch._dynamo.utils.counters
    torch.compiler.reset()


def step(net, seed=0, dtype=torch.float32):
    """Logits, loss and gradients of one step on eight images."""
    draws = torch.Generator().manual_seed(seed)
    x = torch.randn(8, 3, 32, 32, generator=draws).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        logits = net(x)
    loss = F.cross_entropy(logits, torch.arange(8))
    return logits.detach(), torch.autograd.grad(loss, list(net.parameters()))


def evaluated(net):
    with torch.no_grad():
        return net.eval()(torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(9)))


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


@pytest.mark.parametrize(("model", "way"), [*NETS.items(), ("densenet-bc-16-4", "padded"), ("wrn-10-1", "compiled")])
def test_a_way_gives_the_plain_ways_numbers_to_rounding(model, way, without_compiler):
    """Forward, backward and running statistics, over several steps; in evaluation too."""
    plain, other = pair(model, way)
    apart = []
    for seed in range(5):
        (a, ga), (b, gb) = step(plain, seed), step(other, seed)
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)
        apart.append(max(float((one - two).norm() / one.norm()) for one, two in zip(ga, gb, strict=True)))
    # What rounds to the other side of a ReLU's zero moves a gradient by per cents, whatever the way: not every time.
    assert np.median(apart) < 1e-4
    assert max(apart) < 0.1
    assert plain.state_dict().keys() == other.state_dict().keys()
    for (name, one), two in zip(plain.state_dict().items(), other.state_dict().values(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5, msg=name)
    torch.testing.assert_close(evaluated(plain), evaluated(other), rtol=1e-3, atol=1e-3)


def test_each_change_is_made_where_a_net_has_something_for_it(monkeypatch):
    """So the test above compares two ways, and not the plain one with itself."""
    calls = dict.fromkeys(("_dense_forward", "_apart", "_with_products"), 0)
    products = []

    def counted(name, whole):
        def call(*given):
            calls[name] += 1
            return whole(*given)

        return call

    for name in calls:
        monkeypatch.setattr(ways, name, counted(name, getattr(ways, name)))
    monkeypatch.setattr(torch, "bmm", lambda *a, bmm=torch.bmm: products.append(a) or bmm(*a))
    for model, way in NETS.items():
        step(pair(model, way)[1])
    assert calls == {"_dense_forward": 1, "_apart": 2, "_with_products": 3}
    assert len(products) == 1  # of the three stages the last has maps of 8 x 8
    for model in ("mlp-1x10", "wrn-10-1", "mobilenet-0.125x"):  # depthwise is no convolution in groups of several
        net = names.build(model)
        ways.run_in(net, "+".join(NETS.values()))
        assert not any("forward" in vars(module) for module in net.modules())


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("side", [3, 8])
def test_the_gradient_by_products_is_the_gradient(stride, side):
    """In float64, where rounding hides nothing, with groups whose inputs and outputs differ in number."""
    conv = torch.nn.Conv2d(6, 12, 3, stride, padding=1, groups=3, bias=False).double()
    x = torch.randn(5, 6, side, side, dtype=torch.float64, requires_grad=True)
    pull = torch.randn_like(conv(x))
    expected = torch.autograd.grad(conv(x), (x, conv.weight), pull)
    ways.group_products(conv)
    for one, two in zip(torch.autograd.grad(conv(x), (x, conv.weight), pull), expected, strict=True):
        torch.testing.assert_close(one, two)


def trained(trials, way, store, device="cpu"):
    """Records of trials that step side by side in a way."""
    gpu._together(list(trials), device, way, store, Progress(trials, quiet=True))
    return [store.get(trial) for trial in trials]


COMPILED = [*((model, f"{way}+compiled") for model, way in NETS.items()), ("wrn-10-1", "compiled")]


@pytest.mark.parametrize(
    ("model", "way", "recipe"),
    [(model, way, recipe) for model, way in NETS.items() for recipe in (FP32, BF16)]
    + [("densenet-bc-10-4", f"{way}+compiled", BF16) for way in ("shared-norms", "padded")]
    + [("mlp-2x20", "one-product", recipe) for recipe in (FP32, BF16, SGD)],
)
def test_every_way_trains_as_the_eager_oracle(tiny, store, without_compiler, model, way, recipe):
    """Same order, crops and first weights as plain float32: losses agree closely."""
    trials = [tiny(seed, data="patterns@16", model=model, images=40, epochs=2, recipe=recipe) for seed in (0, 1)]
    exact = dataclasses.replace(recipe, precision="fp32")
    plain = [loop.train(dataclasses.replace(trial, recipe=exact)) for trial in trials]
    for one, oracle in zip(trained(trials, way, store), plain, strict=True):
        assert one.provenance["way"] == way
        assert one.arrays["loss"] == pytest.approx(oracle.arrays["loss"], rel=0.05)
        assert one.arrays.keys() == oracle.arrays.keys()


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile takes a C++ compiler")
def test_what_is_compiled_trains_as_the_eager_oracle(tiny, store):
    torch.compiler.reset()
    trials = [tiny(seed, data="patterns@16", model="densenet-bc-10-4", epochs=3, recipe=BF16) for seed in range(3)]
    eager = [loop.train(dataclasses.replace(trial, recipe=FP32)) for trial in trials]
    ours = trained(trials, "compiled+shared-norms", store)
    for one, oracle in zip(ours, eager, strict=True):
        assert one.arrays["loss"][0] == pytest.approx(oracle.arrays["loss"][0], rel=0.05)
    counts = [Ledger(records, 0).correct().sum((0, 1)) for records in (ours, eager)]
    assert spearman(*counts) > 0.8


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize(
    ("model", "way"), [*COMPILED, ("densenet-bc-10-12", "padded+compiled"), ("mlp-3x512", "one-product")]
)
def test_every_way_trains_as_the_eager_oracle_on_a_gpu(tiny, store, model, way):
    trials = [tiny(seed, model=model, images=1000, epochs=3, recipe=BF16) for seed in range(4)]
    eager = [loop.train(dataclasses.replace(trial, recipe=FP32), device="cuda") for trial in trials]
    ours = trained(trials, way, store, "cuda")
    for one, oracle in zip(ours, eager, strict=True):
        assert one.arrays["loss"][0] == pytest.approx(oracle.arrays["loss"][0], rel=0.05)
    counts = [Ledger(records, 0).correct().sum((0, 1)) for records in (ours, eager)]
    assert spearman(*counts) > 0.8


@pytest.mark.parametrize(
    ("model", "way"),
    [("densenet-bc-10-4", COMPILED[0][1]), ("resnext-11-2x4d", "group-products+compiled"), *COMPILED[1:]],
)
def test_what_is_compiled_for_one_trial_serves_the_others(tiny, without_compiler, model, way):
    about = {"data": "patterns@32", "images": 130, "epochs": 1, "recipe": Recipe(precision="fp32", batch_size=40)}
    trials = [tiny(seed, model=model, **about) for seed in range(3)]
    made = []
    for trial in trials:
        assert loop.train(trial, way=way).correct("train").shape == (1, 130)
        made.append(without_compiler["stats"]["unique_graphs"])
    assert made == [2] * 3, "one for training, one for evaluation, and none for the smaller batches that come last"


def test_one_product_trains_each_trial_on_its_own(tiny, store, monkeypatch):
    """On labels, order and weights of its own; in one call for them all."""
    draws, calls = np.random.default_rng(0), []
    edits = [Edit(keep=np.sort(draws.permutation(100)[:75]), labels=draws.integers(0, 10, 100)) for _ in range(3)]
    recipe = Recipe(precision="fp32", batch_size=30)
    trials = [tiny(seed, model="mlp-2x20", edit=edit, recipe=recipe) for seed, edit in enumerate(edits)]
    alone = [loop.train(trial) for trial in trials]
    vmap = torch.vmap
    monkeypatch.setattr(torch, "vmap", lambda f: calls.append(f) or vmap(f))
    for one, other in zip(trained(trials, "one-product", store), alone, strict=True):
        np.testing.assert_allclose(one.arrays["loss"], other.arrays["loss"], rtol=1e-5)
        assert (one.correct() == other.correct()).mean() > 0.99
    assert len(calls) == 2 * 3, "once a step: of 30, 30 and 15 images"


def test_what_enters_the_last_layer_is_recorded_of_a_compiled_net_too(tiny, without_compiler):
    trial = tiny(model="wrn-10-1", images=40, epochs=1, recipe=FP32)
    run = loop.Run(trial, way="compiled")
    run.epoch()
    run.epoch() if run.done < trial.epochs else None
    features = run.features()
    plain = copy.deepcopy(run.net)
    assert features.shape == (40, 64)
    x = run.prepare(trial.examples.images)
    with torch.no_grad():
        expected = torch.nn.Sequential(*list(plain.eval().children())[:-1])(x)
    torch.testing.assert_close(features, expected)


# the choice ----------------------------------------------------------------------------------------------------------


class Measured:
    """Probes by what stands in a table: milliseconds and loss of each way, or a fault; the clock goes on by `spent`."""

    def __init__(self, table, spent=1.0):
        self.table, self.spent, self.asked, self.now = table, spent, [], 0.0

    def probe(self, way):
        self.asked.append(way)
        self.now += self.spent
        found = self.table[way]
        if isinstance(found, Exception):
            raise found
        spell, loss = found if isinstance(found, tuple) else (found, 2.3)
        return Probe(spell / 1000, loss)

    def clock(self):
        return self.now


GROUPS, PRODUCTS = "groups-apart", "group-products"
BOTH = f"{GROUPS}+{PRODUCTS}"


@pytest.mark.parametrize(
    ("table", "chosen", "dropped"),
    [
        ({PLAIN: 20, GROUPS: 17, BOTH: 12, f"{BOTH}+compiled": 10}, f"{BOTH}+compiled", []),
        ({PLAIN: 20, GROUPS: 21, PRODUCTS: 12, f"{PRODUCTS}+compiled": 11.9}, PRODUCTS, []),
        ({PLAIN: 20, GROUPS: 20, PRODUCTS: 20, "compiled": 20}, PLAIN, []),
        (
            {PLAIN: 20, GROUPS: RuntimeError("no kernel\nfor this"), PRODUCTS: 12, f"{PRODUCTS}+compiled": 8},
            f"{PRODUCTS}+compiled",
            ["groups-apart failed: RuntimeError: no kernel for this"],
        ),
        (
            {PLAIN: 20, GROUPS: torch.OutOfMemoryError("full"), PRODUCTS: (1, 2.6), "compiled": (1, float("nan"))},
            PLAIN,
            [
                "groups-apart failed: OutOfMemoryError: full",
                "group-products is wrong: a loss of 2.6, not 2.3",
                "compiled is wrong: a loss of nan, not 2.3",
            ],
        ),
        ({PLAIN: 20, GROUPS: (17, 2.4), BOTH: 12, f"{BOTH}+compiled": 12}, BOTH, []),  # 4% of the loss is no fault
    ],
)
def test_changes_are_kept_that_pay_and_are_right(table, chosen, dropped):
    measured = Measured(table)
    way, took, why = ways.choose_way(names.build("resnext-11-2x4d"), measured.probe, 10**6, clock=measured.clock)
    assert (way, why) == (chosen, dropped)
    assert list(took) == [w for w in measured.asked if f"{w}" in took]


def test_measuring_takes_a_tenth_of_the_waiting_work_at_most():
    net, table = names.build("resnext-11-2x4d"), {PLAIN: 20, GROUPS: 10, BOTH: 9, f"{BOTH}+compiled": 5}
    way, _, why = ways.choose_way(net, (few := Measured(table)).probe, 1_000, clock=few.clock)  # 20 s: 2 for measuring
    assert (way, few.asked, len(why)) == (PLAIN, [PLAIN], 3)
    way, _, why = ways.choose_way(net, (some := Measured(table)).probe, 10_000, clock=some.clock)  # 200 s: 20
    assert (way, why) == (BOTH, []) or (way, why) == (BOTH, ["compiled not tried: too little to train"])
    slow = Measured(table, spent=15.0)  # five times as long as expected: so will be what is compiled
    way, _, why = ways.choose_way(net, slow.probe, 100_000, clock=slow.clock)
    assert (way, why) == (BOTH, ["compiled not tried: too little to train"])
    many = Measured(table)
    assert ways.choose_way(net, many.probe, 1_000_000, clock=many.clock)[0] == f"{BOTH}+compiled"


def test_a_choice_is_kept_beside_the_store_and_said_once(tiny, store, monkeypatch, capsys):
    trial = tiny(model="resnext-11-2x4d")
    net = names.build(trial.model)
    monkeypatch.setenv("EASEL_WAY", MEASURED)
    measured = Measured({PLAIN: 20, GROUPS: 17, BOTH: 18, f"{GROUPS}+compiled": RuntimeError("no compiler")})
    for _ in range(2):
        assert ways.measure_way(trial, "cpu", store, net, 10**7, measured.probe) == GROUPS
    assert len(measured.asked) == 4
    said = capsys.readouterr().out
    assert said == (
        "resnext-11-2x4d runs groups-apart (a step plain 20 ms, groups-apart 17 ms, groups-apart+group-products 18 ms; "
        "compiled failed: RuntimeError: no compiler)\n"
    )
    assert ways.way_of(trial, "cpu", store) == GROUPS
    assert ways.way_of(tiny(model="resnext-11-2x5d"), "cpu", store) == PLAIN
    other = dataclasses.replace(trial, recipe=Recipe(batch_size=64, precision="fp32"))
    assert ways.way_of(other, "cpu", store) == PLAIN
    monkeypatch.delenv("EASEL_WAY")
    assert ways.way_of(trial, "cpu", store) == PLAIN  # on a CPU nobody asked for another
    monkeypatch.setenv("EASEL_WAY", MEASURED)
    blob = bytearray((file := store.folder.with_name("ways.json")).read_bytes())
    blob[len(blob) // 2] ^= 1
    file.write_bytes(blob)
    assert ways.way_of(trial, "cpu", store) == PLAIN


def test_a_way_of_another_easel_is_measured_again(tiny, store, monkeypatch):
    """Few steps wait, so nothing is measured: what was chosen was taken, and is not known here."""
    trial = tiny(model="resnext-11-2x4d")
    net = names.build(trial.model)
    monkeypatch.setenv("EASEL_WAY", MEASURED)
    with monkeypatch.context() as other:
        other.setitem(ways.WAYS, "one-pass", ways.Way(lambda net: None, lambda net: True, 1.0))
        measured = Measured({PLAIN: 20, GROUPS: 21, "group-products": 21, "compiled": 21, "one-pass": 10})
        assert ways.measure_way(trial, "cpu", store, net, 10**7, measured.probe) == "one-pass"
    assert ways.way_of(trial, "cpu", store) == PLAIN


def test_with_more_to_train_what_was_not_tried_is_tried(tiny, store, monkeypatch):
    monkeypatch.setenv("EASEL_WAY", MEASURED)
    trial, net = tiny(model="resnext-11-2x4d"), names.build("resnext-11-2x4d")
    measured = Measured({PLAIN: 20, GROUPS: 17, BOTH: 12, f"{BOTH}+compiled": 10})
    assert ways.measure_way(trial, "cpu", store, net, 999, measured.probe) == PLAIN
    assert measured.asked == []
    assert ways.measure_way(trial, "cpu", store, net, 1000, measured.probe) == PLAIN
    assert measured.asked == [PLAIN]
    assert ways.way_of(trial, "cpu", store) == PLAIN
    assert ways.measure_way(trial, "cpu", store, net, 10**7, measured.probe) == f"{BOTH}+compiled"


def test_what_has_been_tried_less_is_tried_again(tiny, store, monkeypatch):
    """As by an earlier easel, which knew fewer ways."""
    monkeypatch.setenv("EASEL_WAY", MEASURED)
    trial, net = tiny(model="resnext-11-2x4d"), names.build("resnext-11-2x4d")
    table = {PLAIN: 20, GROUPS: 17, BOTH: 12, f"{BOTH}+compiled": 10}
    with monkeypatch.context() as earlier:
        earlier.delitem(ways.WAYS, "compiled")
        assert ways.measure_way(trial, "cpu", store, net, 10**7, Measured(table).probe) == BOTH
    again = Measured(table)
    for _ in range(2):
        assert ways.measure_way(trial, "cpu", store, net, 10**7, again.probe) == f"{BOTH}+compiled"
    assert len(again.asked) == 4


def test_one_product_is_measured_and_trained_with_as_many_as_fit_side_by_side(tiny, store, monkeypatch):
    """On a CPU, where trials train one by one, it is not even tried."""
    monkeypatch.setenv("EASEL_WAY", MEASURED)
    trial, lanes = tiny(model="mlp-1x10", recipe=FP32), []
    monkeypatch.setattr(gpu, "_probe", lambda found: lanes.append(found) or Probe(1 / len(found), 2.3))
    assert gpu.way_of_group([trial], "cpu", store, 10**7) == PLAIN
    assert lanes == []
    made = []
    monkeypatch.setattr(gpu, "Lane", lambda trial, device, way: made.append(way) or way)
    seconds = {PLAIN: 1.6, "one-product": 0.8}
    monkeypatch.setattr(gpu, "_probe", lambda found: Probe(seconds[found[0]], 2.3))
    monkeypatch.setattr(ways, "machine", lambda device: {"device": "a GPU", "torch": "2"})
    assert gpu.way_of_group([trial], "cuda", store, 10**7) == "one-product"
    assert made == [PLAIN] * 16 + ["one-product"] * 16
    assert gpu.width(trial, "cuda", 10, "one-product") == 10


def test_a_word_that_is_no_way_is_refused_before_anything_is_trained(tiny, store, monkeypatch):
    monkeypatch.setenv("EASEL_WAY", "groups-apart+faster")
    with pytest.raises(UserError, match=r"^EASEL_WAY: no way 'faster'; there are: measured, plain, groups-apart, "):
        ensure.ensure([tiny()], store=store, workers=0)
    assert not list(store.folder.glob("*.npz"))


def test_workers_and_this_process_train_in_the_way_that_is_asked_for(tiny, store, monkeypatch):
    monkeypatch.setenv("EASEL_WAY", "shared-norms")
    trials = [tiny(seed, data="patterns@16", model="densenet-bc-10-4", recipe=FP32) for seed in range(2)]
    ensure.ensure(trials[:1], store=store, workers=0, quiet=True)
    ensure.ensure(trials, store=store, workers=1, quiet=True)
    assert [store.get(trial).provenance["way"] for trial in trials] == ["shared-norms"] * 2
    monkeypatch.delenv("EASEL_WAY")
    plain = loop.train(trials[0])
    assert plain.provenance["way"] == PLAIN
    np.testing.assert_allclose(store.get(trials[0]).arrays["loss"], plain.arrays["loss"], rtol=1e-3)


def test_on_a_gpu_a_group_is_measured_before_its_first_trial(tiny, store, monkeypatch, capsys):
    """As on a GPU, on CPU tensors: the choice is made by real steps, and the group trains in it."""
    monkeypatch.setenv("EASEL_WAY", MEASURED)
    monkeypatch.setattr(ways, "PART_OF_TIME", 1e9)
    monkeypatch.setattr(ways, "LEAST_STEPS", 0)
    monkeypatch.setitem(ways.WAYS, "compiled", dataclasses.replace(ways.WAYS["compiled"], has=lambda net: False))
    monkeypatch.setattr(ways, "FASTER", 0.0)  # whatever is right
    trials = [tiny(seed, data="patterns@16", model="densenet-bc-10-4", recipe=FP32) for seed in range(2)]
    gpu.train_together(trials, "cpu", store, Progress(trials, quiet=True), most=2)
    assert {store.get(trial).provenance["way"] for trial in trials} == {"shared-norms+padded"}
    assert capsys.readouterr().out.startswith("densenet-bc-10-4 runs shared-norms+padded (a step plain ")


def test_where_the_memory_ends_as_a_way_is_measured_the_trials_run_plain(tiny, store, monkeypatch):
    def full(lanes):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setenv("EASEL_WAY", MEASURED)
    monkeypatch.setattr(gpu, "_probe", full)
    monkeypatch.setattr(ways, "LEAST_STEPS", 0)
    trial = tiny(model="densenet-bc-10-4", recipe=FP32, epochs=1)
    gpu.train_together([trial], "cpu", store, Progress([trial], quiet=True), most=1)
    assert store.get(trial).provenance["way"] == PLAIN


def test_changed_images_are_made_once_for_all_trials_of_a_pack(tiny, store, monkeypatch):
    """And what each trial is found to know of them is what it knows alone."""
    made, change = [], Changed.__init__

    def counted(self, *given):
        change(self, *given)
        whole = self.change
        self.__dict__["change"] = lambda images, ids: made.append(len(images)) or whole(images, ids)

    trials = [tiny(seed, recipe=FP32, views=("shuffle=4",)) for seed in range(3)]
    alone = [loop.train(trial) for trial in trials]
    monkeypatch.setattr(Changed, "__init__", counted)
    together = trained(trials, PLAIN, store)
    assert made == [100] * 2, "once an epoch"
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one.correct("shuffle=4"), other.correct("shuffle=4"))
