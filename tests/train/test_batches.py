"""High-loss mini-batches (HM): the published algorithm, held against a case by hand and a plain second writing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from easel.ledger.trial import Edit, Recipe
from easel.train.batches import Fixed
from easel.train.loop import Run, train

HM = Recipe(
    optimizer="sgd", learning_rate=0.05, horizon=None, batch_size=15, translation=0, flip=False,
    precision="fp32", batches="high-loss", delta=0.5,
)  # fmt: skip


def numbers(fixed: Fixed, losses: dict[int, list[float]], updates: int) -> list[int]:
    """Train in thought: which batches come, if batch b's losses are losses[b] one after another."""
    came = []
    for _ in range(updates):
        at, _ = fixed.next()
        fixed.store(at, losses[at].pop(0))
        came.append(at)
    return came


def test_the_published_algorithm_by_hand():
    """Four batches, delta .5: the two highest losses, in index order; what is not trained keeps its old loss."""
    fixed = Fixed(torch.arange(8), replace(HM, batch_size=2), seed=0)
    losses = {0: [1.0, 0.5], 1: [4.0, 2.0, 0.1], 2: [3.0, 0.2], 3: [2.5, 0.3]}
    #  round 0: all once        -> 1, 4, 3, 2.5         round 1: batches 1 and 2 -> 1, 2, .2, 2.5
    #  round 2: 1 and 3         -> 1, .1, .2, .3        round 3: 0 and 3 (stale 1.0 is the highest now)
    assert numbers(fixed, losses, 9) == [0, 1, 2, 3, 1, 2, 1, 3, 0]
    assert fixed.waiting == [3]


def test_of_equal_losses_the_lower_batch_comes():
    fixed = Fixed(torch.arange(8), replace(HM, batch_size=2), seed=0)
    assert numbers(fixed, {k: [1.0] * 3 for k in range(4)}, 8) == [0, 1, 2, 3, 0, 1, 0, 1]


def test_batches_are_fixed_slices_of_the_order_and_the_last_may_be_short():
    fixed = Fixed(torch.tensor([4, 2, 0, 1, 3]), replace(HM, batch_size=2), seed=0)
    assert [b.tolist() for b in fixed.batches] == [[4, 2], [0, 1], [3]]
    assert fixed.count == 1


def test_random_batches_are_as_many_and_depend_on_the_seed_alone():
    recipe = replace(HM, batch_size=2, batches="random")

    def rounds(seed):
        fixed = Fixed(torch.arange(40), recipe, seed)
        came = [fixed.next()[0] for _ in range(20 + 30)]
        return [came[20 + 10 * r : 30 + 10 * r] for r in range(3)]

    first = rounds(0)
    assert first == rounds(0) != rounds(1)
    assert all(len(set(r)) == 10 and r == sorted(r) for r in first)
    assert first[0] != first[1]


def slow_training(trial) -> tuple[np.ndarray, list[int]]:
    """The paper's loop once more, plainly, on this trial's net and fixed batches: (bits per N_b updates, batches)."""
    run = Run(trial)
    batches, net = run.fixed.batches, run.net
    optimizer = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9, fused=True)
    x, labels = run.prepare(trial.examples.images), trial.examples.labels  # to the bit: a near tie may decide a round
    stored, todo, came, bits = [0.0] * len(batches), list(range(len(batches))), [], []
    while len(came) < trial.epochs * len(batches):
        for b in todo:
            net.train()
            loss = torch.nn.functional.cross_entropy(net(x[batches[b]]), labels[batches[b]])
            stored[b] = loss.item()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            came.append(b)
            if len(came) % len(batches) == 0:
                net.eval()
                with torch.no_grad():
                    bits.append((net(x).argmax(1) == labels).numpy())
            if len(came) == trial.epochs * len(batches):
                break
        ranked = sorted(range(len(batches)), key=lambda b: -stored[b])
        todo = sorted(ranked[: int(trial.recipe.delta * len(batches))])
    return np.array(bits), came


@pytest.mark.parametrize("delta", [0.2, 0.5, 0.8])
def test_training_is_the_papers_loop(tiny, delta):
    trial = tiny(model="mlp-1x30", epochs=6, recipe=replace(HM, delta=delta))
    run, came = Run(trial), []
    following = run.fixed.next

    def noted():
        at, index = following()
        came.append(at)
        return at, index

    run.fixed.next = noted
    for _ in range(6):
        run.epoch()
    bits, expected = slow_training(trial)
    assert came == expected
    assert (run.correct() == bits).mean() > 0.995  # an image on the fence may fall to either side


@pytest.mark.parametrize("kind", ["high-loss", "random"])
def test_delta_one_is_plain_fixed_order_to_the_bit(tiny, kind):
    recipe = replace(HM, delta=1.0, translation=4, flip=True)
    fixed, other = (
        train(
            tiny(model="wrn-10-1", epochs=4, recipe=replace(recipe, batches=b), record=("margin",), views=("online",))
        )
        for b in ("fixed", kind)
    )
    assert fixed.key != other.key
    assert all(np.array_equal(fixed.arrays[name], other.arrays[name], equal_nan=True) for name in fixed.arrays)


def test_fixed_order_repeats_its_batches_and_shuffled_does_not(tiny):
    run = Run(tiny(recipe=replace(HM, delta=1.0, batches="fixed")))
    epochs = [[index.tolist() for _, index, _, _ in run._steps()] for _ in range(2)]
    assert epochs[0] == epochs[1]
    assert sorted(i for batch in epochs[0] for i in batch) == list(range(100))


def test_an_edit_may_group_the_batches(tiny):
    """The link to easiness: batches of examples that are alike in it."""
    order = np.arange(100)[::-1].copy()
    trial = tiny(recipe=HM, edit=Edit(order=order), epochs=1)
    assert Run(trial).fixed.batches[0].tolist() == list(range(99, 84, -1))
    assert trial.key != tiny(recipe=HM, epochs=1).key
    record = train(trial)
    assert np.array_equal(record.trial.edit.order, order)
    assert record.trial.key == trial.key


def test_a_constant_learning_rate_stays(tiny):
    run = Run(tiny(recipe=HM, epochs=3))
    for _ in range(3):
        run.epoch()
        assert run.optimizer.param_groups[0]["lr"] == 0.05
