"""Subsets are trained for the same epochs or the same updates, and the choosing is part of the bill."""

from dataclasses import replace

import numpy as np
import pytest

from easel.compare.intervals import accuracies, at
from easel.errors import UserError
from easel.ledger.store import Store
from easel.ledger.trial import Recipe
from easel.nets import names
from easel.sections.subsets import compression_plan, cost, costs, epochs_for, updates, wanted
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


def planned(whole, keeps=(50,), seeds=(0, 1), **rankings):
    rankings = {"own": EASINESS, "cheap": -EASINESS} | rankings
    return compression_plan(whole, rankings, keeps=keeps, seeds=seeds, view="test:50")


def arm(points, **where):
    return points[np.logical_and.reduce([points[name] == value for name, value in where.items()])]


def test_the_trials_of_a_plan(whole):
    points = planned(whole)
    assert len(points) == (5 + 5 + 1) * 2 * 2 + 2
    own, cheap = (arm(points, chooser=who, how="easiest", keep=50, budget="updates").trial for who in ("own", "cheap"))
    assert own.iloc[0].edit.keep.tolist() == list(range(50))
    assert cheap.iloc[0].edit.keep.tolist() == list(range(50, 100))
    half = own.iloc[1]
    assert (half.seed, half.epochs, half.recipe.horizon, half.views) == (1, 8, 8, ("test:50@8",))
    assert set(arm(points, budget="updates").updates) == {40}
    assert arm(points, how="easiest", budget="epochs").updates.tolist() == [20, 20, 40, 40]
    other = planned(whole, own=-EASINESS)
    assert [t.key for t in arm(points, how="random").trial] == [t.key for t in arm(other, how="random").trial]
    assert len({t.key for t in arm(points, keep=100).trial}) == 2


def test_all_examples_for_the_cost_of_a_subset(whole):
    points = arm(planned(whole, keeps=[10, 50]), how="all")
    assert points.epochs.tolist() == [1, 1, 2, 2]  # a tenth of 4 epochs is rounded up to one
    assert {t.edit for t in points.trial} == {None}
    assert [(t.recipe.horizon, t.views) for t in points.trial[:3]] == [(1, ("test:50@1",))] * 2 + [(2, ("test:50@2",))]
    assert set(points.chooser) == {""}
    assert set(points.budget) == {"epochs"}


def test_weight_decay_is_the_same_for_equal_updates(whole):
    points = arm(planned(whole, seeds=[0]), budget="updates", how="easiest", chooser="own")
    decays = [t.recipe.weight_decay(row.images) for row, t in zip(points.itertuples(), points.trial, strict=True)]
    assert decays[0] == pytest.approx(decays[1])  # it is normalised by images x horizon


def test_accuracies_come_from_ledgers_of_several_lengths(whole, tmp_path):
    points = arm(planned(whole), budget="updates", how="easiest", chooser="own")
    ensure = {"workers": 0, "store": Store(tmp_path), "quiet": True}
    ledgers = run.ensure_each(dict.fromkeys(points.trial), **ensure)
    assert [(one.epochs, len(one), one.trained) for one in ledgers] == [(8, 2, 2), (4, 2, 2)]
    again = run.ensure_each([*points.trial, points.trial.iloc[0]], **ensure)
    assert [(one.trained, one.reused) for one in again] == [(0, 2), (0, 2)]  # one that is asked for twice counts once
    table = accuracies(points, ledgers)
    assert at(table, keep=50).index.tolist() == [0, 1]
    assert table.accuracy.between(0, 1).all()


def test_costs_by_hand(whole):
    multiply_adds = names.multiply_adds("mlp-1x10", classes=10, size=32)
    assert cost(whole) == pytest.approx(multiply_adds * 4 * 300)
    assert cost(whole, counted=True) == pytest.approx(multiply_adds * 4 * 400)
    points = arm(planned(whole), chooser="own", how="easiest")
    assert cost(arm(points, keep=50, budget="epochs").trial.iloc[0]) == pytest.approx(multiply_adds * 4 * 150)
    bill = costs(points, {"own": [replace(whole, epochs=2)] * 3, "cheap": []})
    assert bill.chooser.tolist() == ["own", "own", "cheap", "cheap"]
    own = bill[bill.chooser == "own"].set_index("budget")
    assert own.loc["epochs"].tolist() == pytest.approx(["own", 50, 2, 0.5, 2.5, 4])
    assert own.loc["updates"].tolist() == ["own", 50, 2, 1, 3, np.inf]
    assert bill[bill.chooser == "cheap"].choosing.tolist() == [0, 0]


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
        (lambda whole: planned(whole, keeps=[0]), "share"),
        (lambda whole: planned(whole, cheap=EASINESS[:9]), "easiness of 9 examples by 'cheap': there are 100"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(whole, call, word):
    with pytest.raises(UserError) as refusal:
        call(whole)
    assert word in str(refusal.value)
    assert "\n" not in str(refusal.value)
