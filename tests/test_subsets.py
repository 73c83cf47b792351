"""Subsets are trained for the same epochs or the same updates, and the choosing is part of the bill."""

import numpy as np
import pytest

from easel.compare.paired import accuracies, at
from easel.errors import UserError
from easel.ledger.store import Store
from easel.ledger.trial import Recipe
from easel.nets import names
from easel.sections.subsets import compression_plan, cost, costs, epochs_for, shorter, updates, wanted
from easel.train import ensure as run

RECIPE = Recipe(precision="fp32", batch_size=10)
EASINESS = np.arange(100)


@pytest.fixture
def whole(tiny):
    return tiny(epochs=4, recipe=RECIPE)


def test_what_is_wanted():
    assert wanted(["mlp-1x20", "mlp-1x10"], [100, 50, 10, 50]) == ("mlp-1x20", "mlp-1x10", [10, 50])


def test_equal_updates_by_hand(whole):
    assert updates(whole, 100, 4) == 40
    assert updates(whole, 25, 4) == 12  # three batches an epoch: 10, 10, 5
    assert [epochs_for(whole, kept, "updates") for kept in (100, 50, 25, 1)] == [4, 8, 13, 40]  # 40 / 3 = 13.3
    assert [epochs_for(whole, kept, "epochs") for kept in (100, 50, 25, 1)] == [4] * 4


def test_the_trials_of_a_plan(whole):
    arms = {"keeps": [50, 100], "hows": ("easiest", "random"), "seeds": range(2), "view": "test:50"}
    points = compression_plan(whole, {"own": EASINESS, "cheap": -EASINESS}, budget="updates", **arms)
    assert len(points) == 2 * 2 * 2 * 2
    kept = points[(points.how == "easiest") & (points.keep == 50)].set_index("chooser").trial
    assert kept["own"].iloc[0].edit.keep.tolist() == list(range(50))
    assert kept["cheap"].iloc[0].edit.keep.tolist() == list(range(50, 100))
    half = kept["own"].iloc[1]
    assert (half.seed, half.epochs, half.recipe.horizon, half.views) == (1, 8, 8, ("test:50@8",))
    assert points.updates.tolist() == [40] * 16
    random = points[(points.how == "random") & (points.keep == 50)].set_index("chooser").trial
    assert random["own"].iloc[0].key == random["cheap"].iloc[0].key
    assert len({t.key for t in points.trial[points.keep == 100]}) == 2


def test_all_examples_for_the_cost_of_a_subset(whole):
    points = shorter(whole, keeps=[10, 50, 100], seeds=[0, 1], view="test:50")
    assert points.epochs.tolist() == [1, 1, 2, 2, 4, 4]  # a tenth of 4 epochs is rounded up to one
    assert {t.edit for t in points.trial} == {None}
    assert [(t.recipe.horizon, t.views) for t in points.trial[:3]] == [(1, ("test:50@1",))] * 2 + [(2, ("test:50@2",))]
    plain = compression_plan(
        whole, {"own": EASINESS}, keeps=[100], hows=["random"], seeds=[0], budget="epochs", view="test:50"
    )
    assert points.trial[4].key == plain.trial[0].key


def test_weight_decay_is_the_same_for_equal_updates(whole):
    points = compression_plan(whole, {"own": EASINESS}, budget="updates", keeps=[50, 100], hows=["easiest"], seeds=[0])
    decays = [t.recipe.weight_decay(row.images) for row, t in zip(points.itertuples(), points.trial, strict=True)]
    assert decays[0] == pytest.approx(decays[1])  # it is normalised by images x horizon


def test_accuracies_come_from_ledgers_of_several_lengths(whole, tmp_path):
    arms = {"keeps": [50, 100], "hows": ["easiest"], "seeds": [0, 1], "view": "test:50"}
    points = compression_plan(whole, {"own": EASINESS}, budget="updates", **arms)
    ensure = {"workers": 0, "store": Store(tmp_path), "quiet": True}
    ledgers = run.ensure_each(dict.fromkeys(points.trial), **ensure)
    assert [(one.epochs, len(one), one.trained) for one in ledgers] == [(8, 2, 2), (4, 2, 2)]
    again = run.ensure_each([*points.trial, points.trial[0]], **ensure)
    assert [(one.trained, one.reused) for one in again] == [(0, 3), (0, 2)]
    table = accuracies(points, ledgers)
    assert at(table, keep=50).index.tolist() == [0, 1]
    assert table.accuracy.between(0, 1).all()


def test_costs_by_hand(whole):
    multiply_adds = names.multiply_adds("mlp-1x10", classes=10, size=32)
    assert cost("mlp-1x10", 100, 4, classes=10, size=32) == pytest.approx(multiply_adds * 4 * 300)
    assert cost("mlp-1x10", 100, 4, classes=10, size=32, evaluated=100) == pytest.approx(multiply_adds * 4 * 400)
    full = cost("mlp-1x10", 100, 4, classes=10, size=32)
    bills = {}
    for budget in ("epochs", "updates"):
        points = compression_plan(whole, {"own": EASINESS}, budget=budget, keeps=[50, 100], hows=["easiest"], seeds=[0])
        bills[budget] = costs(points, {"own": 1.6 * full}).set_index("keep").loc[50]
    assert bills["epochs"][["choosing", "training", "total", "pays_after"]].tolist() == pytest.approx(
        [1.6, 0.5, 2.1, 4]
    )
    assert bills["updates"][["training", "total"]].tolist() == pytest.approx([1, 2.6])
    assert bills["updates"].pays_after == np.inf


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda _: wanted(["mlp-1x10"], [50]), "two different nets"),
        (lambda _: wanted(["mlp-1x10", "mlp-1x10"], [50]), "two different nets"),
        (lambda _: wanted(["mlp-1x10", "mlp-1x20"], [100]), "at least one below 100"),
        (lambda _: wanted(["mlp-1x10", "mlp-1x20"], [0, 50]), "above 0"),
        (lambda whole: epochs_for(whole, 0, "epochs"), "kept=0"),
        (lambda whole: epochs_for(whole, 101, "updates"), "kept=101"),
        (lambda whole: epochs_for(whole, 50, "seconds"), "epochs, updates"),
        (
            lambda whole: compression_plan(
                whole, {"own": EASINESS}, keeps=[0], hows=["easiest"], seeds=[0], budget="epochs"
            ),
            "share",
        ),
        (
            lambda whole: compression_plan(
                whole, {"own": EASINESS}, keeps=[50], hows=["best"], seeds=[0], budget="epochs"
            ),
            "how",
        ),
        (
            lambda whole: compression_plan(
                whole, {"own": EASINESS[:9]}, keeps=[50], hows=["random"], seeds=[0], budget="epochs"
            ),
            "9",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(whole, call, word):
    with pytest.raises(UserError) as refusal:
        call(whole)
    assert word in str(refusal.value)
    assert "\n" not in str(refusal.value)
