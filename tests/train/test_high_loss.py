"""What high-loss mini-batches come to (HM): arms, targets and gains, worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from easel.errors import UserError
from easel.ledger.trial import Trial
from easel.sections import hard_minibatches
from easel.sections.hard_minibatches import FIXED, GROUPED, SHUFFLED
from easel.train import ensure as run


def table(**curves) -> pd.DataFrame:
    """Curves by arm and seed, as `hard_minibatches.test_curves` gives them: fixed=[[.1, .2], ...]."""
    names = {"fixed": FIXED, "chosen": "highest loss, δ = 0.5"}
    rows = [
        ("resnet18", names[arm], seed, epoch, value)
        for arm, seeds in curves.items()
        for seed, curve in enumerate(seeds)
        for epoch, value in enumerate(curve, start=1)
    ]
    return pd.DataFrame(rows, columns=["model", "arm", "seed", "epoch", "accuracy"])


def test_the_recipe_is_the_authors():
    recipe = hard_minibatches.recipe()
    assert (recipe.optimizer, recipe.learning_rate, recipe.momentum, recipe.batch_size) == ("sgd", 0.005, 0.9, 512)
    assert recipe.schedule(99) == 1.0
    assert (recipe.translation, recipe.flip, recipe.batches) == (0, False, "fixed")


def test_arms_differ_in_how_batches_are_chosen_and_in_nothing_else():
    easiness = np.array([3, 1, 2, 0])
    arms = hard_minibatches.arms(hard_minibatches.recipe(), [0.2, 0.8, 1.0], easiness)
    assert list(arms) == [
        SHUFFLED, FIXED, "highest loss, δ = 0.8", "highest loss, δ = 0.2",
        "random batches, δ = 0.8", "random batches, δ = 0.2",
        GROUPED, f"{GROUPED}, highest loss, δ = 0.8",
    ]  # fmt: skip
    assert arms[GROUPED]["edit"].order.tolist() == [3, 1, 2, 0]
    recipes = [fields["recipe"] for fields in arms.values()]
    assert {r.delta for r in recipes} == {0.2, 0.8, 1.0}
    assert len({(r.optimizer, r.learning_rate, r.batch_size, r.horizon) for r in recipes}) == 1
    with pytest.raises(UserError, match="below 1"):
        hard_minibatches.arms(hard_minibatches.recipe(), [1.0])


def test_epochs_to_a_target_lie_on_the_line_between_two_looks():
    assert hard_minibatches.epochs_to([0.2, 0.4, 0.5], 0.4) == 2
    assert hard_minibatches.epochs_to([0.2, 0.4, 0.5], 0.45) == pytest.approx(2.5)
    assert hard_minibatches.epochs_to([0.2, 0.4, 0.5], 0.1) == 1
    assert hard_minibatches.epochs_to([0.2, 0.4, 0.5], 0.6) == np.inf
    assert hard_minibatches.epochs_to([0.2, 0.5, 0.1, 0.6], 0.5) == 2  # the first time counts


def test_fewer_epochs_by_hand():
    """The plain trials end at .5 on average, so the target is .4 (share .8)."""
    curves = table(fixed=[[0.2, 0.4, 0.5], [0.3, 0.5, 0.5]], chosen=[[0.4, 0.4, 0.4], [0.1, 0.2, 0.3]])
    found = hard_minibatches.to_target(curves, share=0.8).set_index(["arm", "seed"])
    assert found.target.unique() == pytest.approx([0.4])
    assert found.loc[(FIXED, 0), "epochs"] == pytest.approx(2)
    assert found.loc[(FIXED, 1), "epochs"] == pytest.approx(1.5)
    assert found.loc[("highest loss, δ = 0.5", 0), "fewer"] == pytest.approx(0.5)  # after 1 instead of 2
    assert found.loc[("highest loss, δ = 0.5", 1), "epochs"] == np.inf
    assert np.isnan(found.loc[("highest loss, δ = 0.5", 1), "fewer"])


def test_gains_are_paired_by_seed_in_percentage_points():
    curves = table(fixed=[[0.2, 0.5], [0.3, 0.6], [0.1, 0.1]], chosen=[[0.4, 0.6], [0.1, 0.5]])
    gains = hard_minibatches.paired_gains(curves, "resnet18", "highest loss, δ = 0.5")
    assert gains.to_dict() == pytest.approx({0: 10, 1: -10})
    assert hard_minibatches.paired_gains(curves, "resnet18", "highest loss, δ = 0.5", epoch=1)[0] == pytest.approx(20)


def test_curves_and_batch_losses_are_those_of_the_records(store):
    base = hard_minibatches.recipe(batch_size=20)
    easiness = np.arange(100)
    arms = hard_minibatches.arms(base, [0.5], easiness)
    common = {"data": "patterns", "images": 100, "model": "mlp-1x10", "epochs": 2}
    plan = {
        arm: [Trial(seed=s, views=("test:50",), record=("loss",), **common, **fields) for s in range(2)]
        for arm, fields in arms.items()
    }
    ledger = run.ensure([t for trials in plan.values() for t in trials], store=store, workers=0, quiet=True)
    curves = hard_minibatches.test_curves(ledger, {"mlp": plan}, "test:50")
    assert len(curves) == len(plan) * 2 * 2
    one = plan[FIXED][1]
    expected = ledger.correct("test:50")[[t.key for t in ledger.trials].index(one.key)].mean(1)
    assert curves[(curves.arm == FIXED) & (curves.seed == 1)].accuracy.tolist() == expected.tolist()
    losses = hard_minibatches.batch_losses(ledger, plan)
    assert SHUFFLED not in set(losses.arm)
    grouped = losses[(losses.arm == GROUPED) & (losses.seed == 0) & (losses.epoch == 2)]
    of_image = ledger.values("loss")[[t.key for t in ledger.trials].index(plan[GROUPED][0].key), 1]
    assert np.allclose(grouped.loss, of_image.reshape(5, 20).mean(1))  # order: easiness ascending = 0, 1, 2, ...


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_trials_are_found_in_the_precision_in_which_the_lab_trained_them(store, precision):
    base = hard_minibatches.recipe(batch_size=20)
    asked = {"data": "patterns", "images": 40, "model": "mlp-1x10", "epochs": 1, "views": ("test:50",)}
    plan = {FIXED: [Trial(seed=0, recipe=base, record=("loss",), **asked)]}
    ledger = run.ensure(run.in_precision(precision, plan[FIXED]), store=store, workers=0, quiet=True)
    curves = hard_minibatches.test_curves(ledger, {"mlp": plan}, "test:50")
    assert curves.accuracy.tolist() == [ledger.correct("test:50").mean()]
    assert hard_minibatches.batch_losses(ledger, plan).batch.tolist() == [0, 1]
