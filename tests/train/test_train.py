"""Training does what the recipe says, files each result under its image, and repeats itself to the bit."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from easel.errors import UserError
from easel.ledger.trial import Edit, Recipe
from easel.nets import names
from easel.train.batches import stream
from easel.train.ensure import precision
from easel.train.loop import Run, crop_and_flip, epoch_draws, normalise, one_thread, pad, train

FAMILIES = ["mlp-1x10", "wrn-10-1", "densenet-bc-10-4", "resnext-11-2x4d"]


def test_crop_and_flip_is_pad_crop_mirror_one_image_at_a_time():
    images = torch.randint(0, 256, (6, 3, 7, 7), dtype=torch.uint8, generator=stream(0, "test"))
    index, flip = torch.tensor([5, 0, 0, 3]), torch.tensor([True, False, True, False])
    offset = torch.tensor([[0, 0], [4, 2], [1, 3], [2, 2]])
    batch = crop_and_flip(pad(images, 2), index, offset, flip, 7)
    for x, i, (row, column), mirrored in zip(batch, index, offset, flip, strict=True):
        slow = np.zeros((3, 11, 11), np.uint8)
        slow[:, 2:9, 2:9] = images[i].numpy()
        slow = slow[:, row : row + 7, column : column + 7]
        assert np.array_equal(x.numpy(), slow[:, :, ::-1] if mirrored else slow)


def test_translation_covers_every_offset_and_half_are_mirrored(tiny):
    order, offset, flip = epoch_draws(tiny(recipe=Recipe()), 20_000, 0)
    assert torch.equal(order.sort().values, torch.arange(20_000))
    assert (offset.amin(), offset.amax()) == (0, 8)
    counts = torch.bincount(offset[:, 0] * 9 + offset[:, 1], minlength=81)
    assert counts.amin() > 0.6 * 20_000 / 81  # all 81 shifts, about equally
    assert flip.float().mean().item() == pytest.approx(0.5, abs=0.02)


def test_normalisations_by_hand():
    images = torch.randint(0, 256, (3, 3, 5, 5), dtype=torch.uint8, generator=stream(0, "test"))
    mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.2, 0.25, 0.3])
    x = images.double()
    by_channel = (x / 255 - mean.double()[:, None, None]) / std.double()[:, None, None]
    assert torch.allclose(normalise(images, "channel", mean, std).double(), by_channel, atol=1e-5)
    by_image = torch.stack([(i - i.mean()) / torch.sqrt(i.var(correction=0) + 10) for i in x])
    assert torch.allclose(normalise(images, "image", mean, std).double(), by_image, atol=1e-5)


def slow_training(trial):
    """The recipe written out once more, plainly: NCHW, one epoch, no index tricks, torch's own unfused AdamW."""
    examples, recipe = trial.examples, trial.recipe
    net = names.build(trial.model, generator=stream(trial.seed, "weights"))
    steps = -(-len(examples) // recipe.batch_size)
    decay = recipe.w_norm * (recipe.batch_size / (len(examples) * recipe.horizon)) ** 0.5 / recipe.learning_rate
    optimizer = torch.optim.AdamW(
        net.parameters(), recipe.learning_rate, betas=(0.9, 0.99), weight_decay=decay, fused=False
    )
    mean, std = (torch.tensor(s)[:, None, None] for s in (examples.mean, examples.std))
    correct, losses = [], []
    for epoch in range(trial.epochs):
        order, offset, flip = epoch_draws(trial, len(examples), epoch)
        net.train()
        total = 0.0
        for step in range(steps):
            batch = []
            for k in range(step * recipe.batch_size, min((step + 1) * recipe.batch_size, len(examples))):
                image = F.pad(examples.images[order[k]].float() / 255, (4, 4, 4, 4))
                row, column = offset[k]
                image = image[:, row : row + 32, column : column + 32]
                batch.append(((image.flip(2) if flip[k] else image) - mean) / std)
            target = examples.labels[order[step * recipe.batch_size :][: len(batch)]]
            progress = epoch + step * recipe.batch_size / len(examples)
            optimizer.param_groups[0]["lr"] = 1e-3 * (0.5 + 0.5 * np.cos(np.pi * progress / 300))
            loss = F.cross_entropy(net(torch.stack(batch)), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(batch)
        losses.append(total / len(examples))
        net.eval()
        with torch.no_grad():
            logits = net((examples.images.float() / 255 - mean) / std)
        correct.append((logits.argmax(1) == examples.labels).numpy())
    return np.stack(correct), losses


@pytest.mark.parametrize("model", FAMILIES)
def test_training_agrees_with_the_recipe_written_out_plainly(tiny, model):
    trial = tiny(seed=3, model=model, images=150, record=("margin",))
    with one_thread():
        slow, losses = slow_training(trial)
    record = train(trial)
    assert record.arrays["loss"] == pytest.approx(losses, rel=2e-3)
    clear = np.abs(record.values("margin")[-1]) > 0.05  # an image on the fence may fall to either side by rounding
    assert clear.mean() > 0.8
    assert np.array_equal(record.correct()[-1][clear], slow[-1][clear])


@pytest.mark.parametrize("model", FAMILIES)
@pytest.mark.parametrize("precision", sorted({"fp32", precision()}))  # bf16 where it is not emulated
def test_the_same_trial_gives_the_same_bytes_whatever_the_thread_count(tiny, model, precision):
    trial = tiny(model=model, recipe=Recipe(precision=precision))
    first = train(trial).to_bytes()
    torch.manual_seed(99)
    torch.set_num_threads(2)
    assert train(trial).to_bytes() == first
    assert torch.get_num_threads() == 2
    assert torch.initial_seed() == 99
    assert train(replace(trial, seed=1)).to_bytes() != first


def test_bf16_agrees_with_fp32_as_well_as_another_summation_would(tiny):
    fp32, bf16 = (
        train(tiny(model="wrn-10-1", images=200, epochs=3, recipe=Recipe(precision=p))) for p in ("fp32", "bf16")
    )
    other_seed = train(tiny(seed=1, model="wrn-10-1", images=200, epochs=3))
    same = (fp32.correct() == bf16.correct()).mean()
    assert same > 0.9
    assert same > (fp32.correct() == other_seed.correct()).mean()
    assert bf16.arrays["loss"] == pytest.approx(fp32.arrays["loss"], rel=0.03)


def test_results_are_filed_under_the_right_image(tiny):
    """A net that reads the label off a pixel gets exactly those images right whose pixel tells the truth."""
    run = Run(tiny(images=100))
    images, labels = run.sets["train"].images, run.sets["train"].labels

    class Reader(torch.nn.Module):
        def forward(self, x):
            told = ((x[:, 0, 0, 0] * run.std[0] + run.mean[0]) * 255).round().long().clamp(0, 9)
            return F.one_hot(told, 10).float()

    run.net, run.loss[0] = Reader(), 0
    written = images.clone()
    truth = torch.rand(100, generator=stream(0, "test")) < 0.5
    written[:, 0, 0, 0] = torch.where(truth, labels, (labels + 1) % 10).byte()
    object.__setattr__(run.sets["train"], "images", written)
    run._judge(torch.zeros(100, dtype=torch.bool))
    object.__setattr__(run.sets["train"], "images", images)
    assert np.array_equal(run.correct()[0], truth.numpy())


def test_margin_loss_and_probability_are_those_of_the_logits(tiny):
    record = train(tiny(views=("test:50",), record=("margin", "loss", "probability", "prediction"), epochs=3))
    for view, count in (("train", 100), ("test:50", 50)):
        margin, loss, p = (record.values(q, view) for q in ("margin", "loss", "probability"))
        assert margin.shape == (3, count)
        assert np.array_equal(record.correct(view)[margin != 0], margin[margin != 0] > 0)
        assert np.allclose(p, np.exp(-loss), atol=2e-3)
        assert ((p >= 0) & (p <= 1)).all()
        named = record.values("prediction", view)
        labels = record.trial.view_examples(view).labels.numpy()
        assert named.dtype == np.int64
        assert np.array_equal(named == labels, record.correct(view))


def test_a_view_of_one_epoch_is_that_row_of_the_view_of_all(tiny):
    views = ("test:50", "test:50@2", "colour=0.5", "colour=0.5@3", "online", "online@1")
    record = train(tiny(views=views, record=("margin",), epochs=3))
    for view, epoch in (("test:50", 2), ("colour=0.5", 3), ("online", 1)):
        one = record.correct(f"{view}@{epoch}")
        assert np.array_equal(one, record.correct(view)[epoch - 1 : epoch])
        if view != "online":
            assert np.array_equal(
                record.values("margin", f"{view}@{epoch}"), record.values("margin", view)[[epoch - 1]]
            )


def test_online_hits_are_the_training_batches_own(tiny):
    record = train(tiny(model="mlp-1x100", images=100, epochs=8, views=("online",)))
    online, plain = record.correct("online"), record.correct("train")
    assert online.shape == plain.shape
    assert 0 < (online != plain).mean() < 0.8
    assert online[-1].mean() > online[0].mean()


def test_dropped_examples_are_not_trained_on_but_evaluated(tiny):
    labels = tiny().examples.labels.numpy()
    keep = np.flatnonzero(labels < 5)
    record = train(tiny(model="wrn-10-1", epochs=15, edit=Edit(keep=keep)))
    correct = record.correct()[-1]
    assert correct.shape == (100,)
    assert correct[labels >= 5].mean() == 0  # classes never seen are never named
    assert correct[labels < 5].mean() > 0.4


def test_wrong_labels_are_trained_on_and_right_ones_evaluated(tiny):
    labels = (tiny().examples.labels.numpy() + 1) % 10
    recipe = Recipe(precision="fp32", batch_size=20, translation=0, flip=False)
    run = Run(tiny(model="wrn-10-1", epochs=15, recipe=recipe, views=("online",), edit=Edit(labels=labels)))
    for _ in range(15):
        run.epoch()
    assert run.correct("online")[-1].mean() > 0.4  # the batches' hits are on the labels that it was given
    assert run.correct("train")[-1].mean() < 0.15


def test_a_shared_order_is_shared_and_weights_are_not(tiny):
    a, b = (tiny(seed=s, recipe=Recipe(shared_order=5)) for s in (0, 1))
    assert all(torch.equal(x, y) for x, y in zip(epoch_draws(a, 50, 1), epoch_draws(b, 50, 1), strict=True))
    assert not torch.equal(epoch_draws(tiny(0), 50, 0)[0], epoch_draws(tiny(1), 50, 0)[0])
    weights = [next(Run(t).net.parameters()) for t in (a, b)]
    assert not torch.equal(*weights)


def test_a_diverged_trial_says_so_and_counts_nothing(tiny):
    record = train(tiny(recipe=Recipe(precision="fp32", learning_rate=1e30, optimizer="sgd")))
    assert record.status == "diverged"


def test_a_trial_that_diverged_left_a_checkpoint_from_which_it_went_on_as_a_healthy_one(tiny, tmp_path):
    """Killed after its last checkpoint and before its record: the next run must end as the undisturbed one does."""
    trial = tiny(epochs=5, recipe=Recipe(precision="fp32", learning_rate=1e30, optimizer="sgd"))
    whole, path = train(trial), tmp_path / "it.checkpoint"
    assert (whole.status, whole.epochs < trial.epochs) == ("diverged", True)
    for again in range(2):
        assert train(trial, checkpoint=path, checkpoint_s=0.0).to_bytes() == whole.to_bytes(), again


def test_epochs_are_prefixes_of_longer_trials(tiny):
    """The horizon is fixed, so m can be chosen after training."""
    short, long = train(tiny(epochs=2)), train(tiny(epochs=5))
    assert np.array_equal(short.correct(), long.correct()[:2])


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(precision="fp32"),
        Recipe(precision="fp32", optimizer="sgd"),
        Recipe(precision="fp32", optimizer="sgd", horizon=None, batches="high-loss", delta=0.4, batch_size=15),
        Recipe.of("tiny-imagenet-10", precision="fp32"),
    ],
    ids=["adamw", "sgd", "high-loss", "resized-crop"],
)
@pytest.mark.parametrize("stop", [1, 3])
def test_a_checkpointed_trial_ends_in_the_same_bytes(tiny, tmp_path, recipe, stop):
    views = ("test:50", "test:50@2") if recipe.delta < 1 else ("online", "test:50", "test:50@2")
    trial = tiny(model="wrn-10-1", epochs=4, recipe=recipe, views=views, record=("loss",))
    whole = train(trial).to_bytes()

    class Killed(BaseException):
        pass

    def kill(run):
        if run.done == stop + 1:
            raise Killed

    checkpoint = tmp_path / "checkpoint"
    with pytest.raises(Killed):
        train(trial, checkpoint=checkpoint, checkpoint_s=0, on_epoch=kill)
    assert checkpoint.exists()
    epochs = []
    assert train(trial, checkpoint=checkpoint, on_epoch=lambda run: epochs.append(run.done)).to_bytes() == whole
    assert epochs == list(range(stop + 1, 5))


def test_a_damaged_or_foreign_checkpoint_is_not_used(tiny, tmp_path):
    run = Run(tiny())
    run.epoch()
    run.save(tmp_path / "c")
    blob = bytearray((tmp_path / "c").read_bytes())
    assert Run(tiny()).restore(tmp_path / "c")
    assert not Run(tiny(seed=1)).restore(tmp_path / "c")
    assert not Run(tiny(views=("online",))).restore(tmp_path / "c")
    blob[len(blob) // 2] ^= 1
    (tmp_path / "c").write_bytes(blob)
    assert not Run(tiny()).restore(tmp_path / "c")
    assert not Run(tiny()).restore(tmp_path / "nothing")


def test_a_checkpoint_of_a_longer_trial_at_the_length_asked_for_is_not_used(tiny, tmp_path):
    """There was no epoch left to train, and none to make the record from."""
    longer, path = Run(tiny(epochs=4)), tmp_path / "c"
    for _ in range(2):
        longer.epoch()
    longer.save(path)
    assert train(tiny(epochs=2), checkpoint=path).to_bytes() == train(tiny(epochs=2)).to_bytes()


def test_a_net_without_a_linear_layer_has_no_features_to_record(tiny):
    with pytest.raises(UserError, match="features of squeezenet1_1"):
        Run(tiny(model="squeezenet1_1", data="patterns@64")).features()


def test_a_last_batch_of_one_image_trains(tiny):
    assert train(tiny(model="wrn-10-1", images=100, recipe=Recipe(batch_size=99))).status == "complete"


def test_an_evaluation_converts_each_weight_once_whatever_the_number_of_batches(tiny):
    class Conversions(TorchDispatchMode):
        shapes: ClassVar[list] = []

        def __torch_dispatch__(self, what, types, args=(), kwargs=None):
            if what is torch.ops.aten._to_copy.default and (kwargs or {}).get("dtype") is torch.bfloat16:
                self.shapes.append(tuple(args[0].shape))
            return what(*args, **(kwargs or {}))

    run = Run(tiny(images=300, views=("low-pass=3.2",), recipe=Recipe(precision="bf16")))
    weight = tuple(next(run.net.parameters()).shape)
    for view in ("train", "low-pass=3.2"):
        Conversions.shapes.clear()
        with Conversions():
            logits = run._logits(view)
        assert len(logits) == 300  # three batches on a CPU
        assert Conversions.shapes.count(weight) == 1
        assert torch.allclose(logits, run.net(run.prepare(run.trial.view_examples(view).images)), atol=0.05)
