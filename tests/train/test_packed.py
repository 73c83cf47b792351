"""Trials for a GPU. On CPU tensors all but the capture itself runs, and records are those of loop.Run, bit for bit.

What needs a GPU (captured against eager, packed against alone) is skipped without one.
"""

import contextlib
import gc
import weakref

import numpy as np
import pytest
import torch
from conftest import FP32
from torch.utils._python_dispatch import TorchDispatchMode

from easel.compare import correlation
from easel.errors import UserError
from easel.ledger.store import Ledger
from easel.ledger.trial import Edit, Recipe
from easel.nets.names import build
from easel.train import gpu, loop
from easel.train.ensure import Progress, precision
from easel.train.gpu import Lane, Pack

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU: captures are not exercised")
RECIPES = {
    "AdamW": FP32,
    "this machine's": Recipe(precision=precision()),  # bf16 where it is not emulated
    "SGD": Recipe(optimizer="sgd", precision="fp32"),
    "cosine to its end": Recipe(horizon=2, precision="fp32"),
    "resized crops": Recipe(augmentation="resized-crop", translation=0, precision="fp32"),
    "a last batch of one": Recipe(batch_size=33, precision="fp32"),
}
VIEWS = ("online", "test:150", "colour=0.3", "test:150@1")


@pytest.fixture
def rich(tiny):
    """A trial of 100 images with every kind of view and two quantities."""
    return lambda seed=0, **fields: tiny(seed, **{"views": VIEWS, "record": ("margin", "prediction")} | fields)


def to_the_end(trials, store) -> list:
    gpu.train_together(trials, "cpu", store, Progress(trials, quiet=True), most=len(trials))
    return [store.get(trial) for trial in trials]


def assert_same(record, other):
    assert record.key == other.key
    assert record.arrays.keys() == other.arrays.keys()
    for name, array in record.arrays.items():
        assert np.array_equal(array, other.arrays[name]), name


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_side_by_side_on_cpu_tensors_each_record_is_that_of_the_plain_loop(rich, store, recipe):
    model = "mlp-1x10" if recipe.batch_size == 33 else "wrn-10-1"
    trials = [rich(seed, model=model, images=40 if model == "wrn-10-1" else 100, recipe=recipe) for seed in (3, 4)]
    for record, trial in zip(to_the_end(trials, store), trials, strict=True):
        assert_same(record, loop.train(trial))
        assert record.provenance["at_once"] == 2


def test_an_edit_changes_what_is_trained_on_and_not_what_is_evaluated(rich, store):
    labels = np.arange(100) % 10
    edits = Edit(keep=np.arange(0, 100, 3), labels=labels), Edit(keep=np.arange(34))
    trials = [rich(seed, edit=edit, views=("test:150",)) for seed, edit in enumerate(edits)]
    for record, trial in zip(to_the_end(trials, store), trials, strict=True):
        assert_same(record, loop.train(trial))
        assert record.correct().shape == (2, 100)


def test_dropout_goes_alone_and_draws_as_in_the_plain_loop(rich, store, monkeypatch):
    trials = [rich(seed, model="alexnet-0.0625x", data="patterns@64", views=("online",)) for seed in (0, 1)]
    with pytest.raises(ValueError, match="dropout trains alone"):
        Pack([Lane(trial, "cpu") for trial in trials])
    monkeypatch.setattr(gpu, "_measured", lambda rate, most: pytest.fail("there is nothing to measure"))
    assert gpu.width(trials[0], "cpu", 2) == 1
    for record, trial in zip(to_the_end(trials, store), trials, strict=True):
        assert_same(record, loop.train(trial))
        assert record.provenance["at_once"] == 1


@pytest.mark.parametrize(
    ("model", "size", "random"),
    [
        ("wrn-10-1", 32, False),
        ("vgg-11-0.125x", 32, False),
        ("resnet18-0.0625x", 64, False),
        ("vgg11-0.0625x", 64, True),
        ("efficientnet_b4-0.0625x", 64, True),
    ],
)
def test_nets_that_draw_random_numbers_are_known(model, size, random):
    assert gpu.draws(build(model, size=size)) is random


def test_trials_of_other_lengths_do_not_step_together(tiny):
    with pytest.raises(ValueError, match="as many images"):
        Pack([Lane(tiny(0), "cpu"), Lane(tiny(1, images=50), "cpu")])


class Watch(TorchDispatchMode):
    """Fails where a program would wait for the device or let its numbers decide the shape of a tensor."""

    ASKING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal", "is_nonzero")

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function.overloadpacket.__name__
        masks = name.startswith("index") and any(
            isinstance(index, torch.Tensor) and index.dtype in (torch.bool, torch.uint8)
            for index in (args[1] if isinstance(args[1], list | tuple) else ())
        )
        if masks or name in self.ASKING:
            raise AssertionError(f"{name} cannot be captured")
        return function(*args, **kwargs or {})


NETS = ("wrn-10-1", "densenet-bc-10-8", "resnext-11-2x8d", "mlp-1x10", "resnet-8-0.5x", "vgg-11-0.125x")


@pytest.mark.parametrize("model", [*NETS, "mobilenet-0.125x", "resnet18-0.0625x", "densenet121-0.0625x"])
def test_a_step_and_a_look_ask_the_device_nothing(rich, model):
    """What a CUDA graph can hold: no number is read, no shape depends on one, in any family of nets."""
    lane = Lane(rich(model=model, images=20, recipe=Recipe(precision="bf16"), views=("test:20",)), "cpu")
    look = gpu.Look(lane, "test:20")
    lane.begin()
    lane.step(20)  # the optimiser makes its state
    lane.begin()
    with Watch():
        lane.step(20)
        look._batch()


def test_nor_does_a_step_of_several_nets_as_one(tiny):
    pack = Pack([Lane(tiny(seed, recipe=Recipe(precision="bf16")), "cpu", "one-product") for seed in range(3)])
    assert pack.as_one
    for watch in (contextlib.nullcontext(), Watch()):  # first the optimisers make their states
        for lane in pack.lanes:
            lane.begin()
        with watch:
            pack.ready(100)()


def test_the_watch_sees_what_it_must(tiny):
    lane = Lane(tiny(), "cpu")
    lane.begin()
    for asks in (lambda: lane.order[: int(lane.number)], lambda: lane.order[lane.online], lambda: float(lane.total)):
        with pytest.raises(AssertionError, match="cannot be captured"), Watch():
            asks()


@pytest.mark.parametrize("recipe", [FP32, Recipe(optimizer="sgd", precision="fp32")], ids=["AdamW", "SGD"])
def test_rehearsals_before_a_capture_leave_no_trace(rich, store, monkeypatch, recipe):
    """As on a GPU, but that the program is called and not captured: rehearsed in the middle of training too."""

    def rehearsed(function, state, device, pool=None):
        gpu.rehearse(function, state)
        return function

    monkeypatch.setattr(gpu, "program", rehearsed)
    monkeypatch.setattr(gpu, "program", rehearsed)
    trials = [rich(seed, model="wrn-10-1", images=40, recipe=recipe) for seed in (0, 1)]
    for record, trial in zip(to_the_end(trials, store), trials, strict=True):
        assert_same(record, loop.train(trial))


def test_a_stopped_pack_goes_on_from_its_checkpoints(rich, store, monkeypatch):
    trials = [rich(seed, epochs=4) for seed in (0, 1)]
    monkeypatch.setattr(gpu, "CHECKPOINT_S", 0.0)
    epoch, left = Pack.epoch, [2]

    def interrupted(self):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return epoch(self)

    monkeypatch.setattr(Pack, "epoch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        to_the_end(trials, store)
    assert all(store.checkpoint(trial.key).exists() for trial in trials)
    store.checkpoint(trials[1].key).unlink()  # the two have come differently far now
    monkeypatch.setattr(Pack, "epoch", epoch)
    for record, trial in zip(to_the_end(trials, store), trials, strict=True):
        assert_same(record, loop.train(trial))
        assert not store.checkpoint(trial.key).exists()


def test_a_trial_that_diverges_ends_and_the_others_go_on(rich, store):
    wild = [rich(seed, epochs=3, views=(), record=(), recipe=Recipe(learning_rate=1e38)) for seed in (0, 1)]
    lane, other = (Lane(trial, "cpu") for trial in wild)
    with torch.no_grad():
        for parameter in lane.net.parameters():
            parameter.fill_(float("nan"))
        other.optimizer.param_groups[0]["params"] = []  # so it stays as it was
    pack = Pack([lane, other])
    assert pack.epoch() == [lane]
    assert lane.record().status == "diverged"
    assert pack.epoch() == []
    assert pack.epoch() == [other]
    assert (other.record().status, other.done, lane.done) == ("complete", 3, 1)


def test_a_lane_that_diverges_between_two_changed_views_ends_as_in_the_plain_loop(rich):
    """Its loss is finite, what it says of the training images is not: it is still asked for the other views."""
    lane = Lane(rich(epochs=2, views=("colour=0.3",), record=()), "cpu")
    pack = Pack([lane])
    lane.diverged = True
    assert pack.of_changed("colour=0.3", lane).shape == (100, 10)


def test_a_pack_that_is_done_lets_go_of_its_lanes(tiny, store, monkeypatch):
    """On a GPU their nets and graphs stood in the way of the next pack until somebody collected."""
    seen = weakref.WeakSet()
    monkeypatch.setattr(gpu, "Lane", lambda *given: seen.add(lane := Lane(*given)) or lane)
    gc.collect()
    gc.disable()
    try:
        to_the_end([tiny(seed) for seed in range(2)], store)
        assert not seen
    finally:
        gc.enable()


@pytest.mark.parametrize("during_a_capture", [False, True])
@pytest.mark.parametrize("room", [3, 1])
def test_a_pack_that_ran_out_of_memory_was_lost_and_goes_on_with_half_as_many(
    tiny, store, monkeypatch, capsys, room, during_a_capture
):
    """The memory ends in the second epoch of a pack of more than `room`, as where somebody else takes it meanwhile."""
    epoch, sizes = Pack.epoch, []

    def full(self):
        sizes.append(len(self.lanes))
        if len(self.lanes) <= room or self.lanes[0].done < 1:
            return epoch(self)
        try:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        finally:
            if during_a_capture:  # which then says that it cannot be ended
                raise RuntimeError("operation failed due to a previous error during capture")

    monkeypatch.setattr(Pack, "epoch", full)
    trials = [tiny(seed) for seed in range(5)]
    for record, trial in zip(to_the_end(trials, store), trials, strict=True):
        assert_same(record, loop.train(trial))
    assert sorted({*sizes}, reverse=True) == ([5, 3, 2] if room == 3 else [5, 3, 2, 1])
    assert "the GPU's memory ended with 5 trials at once; going on with half as many" in capsys.readouterr().out


@pytest.mark.parametrize("batches", ["shuffled", "high-loss"])
def test_a_trial_that_no_memory_holds_was_a_traceback_and_is_refused_in_one_line(tiny, store, monkeypatch, batches):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2.00 MiB.")

    monkeypatch.setattr(Pack, "epoch", full)
    monkeypatch.setattr(loop.Run, "epoch", full)
    trials = [tiny(seed, recipe=Recipe(batches=batches, batch_size=20, precision="fp32")) for seed in range(2)]
    with pytest.raises(
        UserError, match=r"^mlp-1x10 at 32 pixels does not fit into what the GPU has free, .* EASEL_DEVICE=cpu; "
    ) as said:
        to_the_end(trials, store)
    assert "\n" not in str(said.value)


def test_another_fault_of_a_pack_comes_through(tiny, store, monkeypatch):
    def broken(self):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(Pack, "epoch", broken)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        to_the_end([tiny(0), tiny(1)], store)


def test_batches_chosen_by_their_losses_are_trained_one_trial_after_another(tiny, store, monkeypatch):
    recipe = Recipe(batches="high-loss", delta=0.5, batch_size=20, precision="fp32")
    trials = [tiny(seed, recipe=recipe) for seed in (0, 1)]
    monkeypatch.setattr(gpu, "Lane", lambda *a: pytest.fail("not in a graph"))
    for record, trial in zip(to_the_end(trials, store), trials, strict=True):
        assert_same(record, loop.train(trial))


def test_trials_are_packed_with_their_like_and_evenly(tiny, store, monkeypatch):
    packs = []
    monkeypatch.setattr(gpu, "_together", lambda trials, *rest: packs.append([(t.model, t.seed) for t in trials]))
    trials = [tiny(seed, model=model) for seed in range(5) for model in ("mlp-1x10", "mlp-1x12")]
    gpu.train_together(trials, "cpu", store, None, most=3)
    assert packs == [[(model, s) for s in seeds] for model in ("mlp-1x10", "mlp-1x12") for seeds in ((0, 2, 4), (1, 3))]


@pytest.mark.parametrize(
    ("rates", "most", "best"),
    [
        ({1: 100, 2: 190, 4: 300, 8: 310}, 16, 4),  # 8 gain 3%
        ({1: 100, 2: 90}, 16, 1),
        ({1: 100, 2: 190, 4: 300}, 5, 4),
        ({1: 100}, 1, 1),
        ({1: 100, 2: 190, 4: None}, 16, 2),  # no memory
    ],
)
def test_as_many_at_once_as_pay_and_fit(rates, most, best):
    def rate(k):
        if rates[k] is None:
            raise torch.cuda.OutOfMemoryError
        return rates[k]

    assert gpu._measured(rate, most) == best


def test_the_width_is_measured_once_for_each_kind_of_trial(tiny, monkeypatch):
    asked = []
    monkeypatch.setattr(gpu, "_widths", {})
    monkeypatch.setattr(gpu, "_rate", lambda trial, device, k, way: asked.append(k) or k)
    assert gpu.width(tiny(0), "cpu", 20) == gpu.width(tiny(7), "cpu", 20) == 16
    assert asked == [1, 2, 4, 8, 16]


def test_the_rate_of_a_pack_is_a_rate(tiny):
    assert gpu._rate(tiny(), "cpu", 2) > 0


# ---- on a GPU ------------------------------------------------------------------------------------------------------


@needs_gpu
@pytest.mark.parametrize("model", [*NETS, "alexnet-0.0625x"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_captured_and_packed_as_the_eager_oracle(rich, store, model, precision):
    """Same order, crops and first weights: losses agree closely, and counts within the noise between trials."""
    data = "patterns@64" if model.startswith("alexnet") else "patterns"
    trials = [
        rich(seed, model=model, data=data, images=1000, epochs=3, recipe=Recipe(precision=precision))
        for seed in range(4)
    ]
    gpu.train_together(trials, "cuda", store, Progress(trials, quiet=True))
    eager = [loop.train(trial, device="cuda") for trial in trials]
    ours = [store.get(trial) for trial in trials]
    for one, oracle in zip(ours, eager, strict=True):
        assert one.arrays["loss"][0] == pytest.approx(oracle.arrays["loss"][0], rel=0.05)
    counts = [Ledger(records, 0).correct().sum((0, 1)) for records in (ours, eager)]
    assert correlation.spearman(*counts) > 0.8


@needs_gpu
def test_alone_and_packed_are_the_same_bits_where_kernels_allow(tiny, store):
    trials = [tiny(seed, images=1000, model="mlp-1x10") for seed in range(4)]
    gpu.train_together(trials, "cuda", store, Progress(trials, quiet=True), most=4)
    for trial in trials:
        pack = Pack([Lane(trial, "cuda")])
        while not pack.epoch():
            pass
        assert_same(store.get(trial), pack.lanes[0].record())
