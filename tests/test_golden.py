"""The arithmetic of training is pinned: one tiny trial a net family, whose bits may change only with RECIPE_VERSION.

golden.npz holds for each family the bits, margins and losses of one trial. Other processors and library versions add in
another order, so an image whose margin is close to nothing may fall to either side; every clear one must be the same.
`python tests/test_golden.py` writes the file anew, after RECIPE_VERSION has moved.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from easel.train import train
from easel.trial import RECIPE_VERSION, Recipe, Trial

GOLDEN = Path(__file__).with_name("golden.npz")
FAMILIES = ["mlp-2x32", "wrn-10-1", "densenet-bc-10-8", "resnext-11-2x8d"]


def trial(model: str) -> Trial:
    recipe = Recipe(precision="fp32", batch_size=50)
    return Trial(data="patterns", images=320, model=model, seed=1, epochs=2, recipe=recipe, record=("margin",))


def departs(record, model: str) -> str:
    """What of a record is not as pinned; "" if nothing is. Another order of summation moves margins by up to .05."""
    golden = np.load(GOLDEN)
    pinned = golden[f"{model}.margin"].astype(np.float32)
    clear = np.abs(pinned) > 0.15
    assert clear.mean() > 0.6, "the pinned trial is too close to the fence to pin anything"
    if np.abs(record.arrays["loss"] / golden[f"{model}.loss"] - 1).max() > 1e-3:
        return "loss"
    if np.abs(record.values("margin") - pinned).max() > 0.15:
        return "margins"
    return "" if np.array_equal(record.correct()[clear], golden[f"{model}.correct"][clear]) else "bits"


@pytest.mark.parametrize("model", FAMILIES)
def test_the_arithmetic_is_the_pinned_one(model):
    assert int(np.load(GOLDEN)["recipe_version"]) == RECIPE_VERSION, "RECIPE_VERSION moved: write golden.npz anew"
    assert departs(train(trial(model)), model) == "", "the arithmetic changed: move RECIPE_VERSION if that is meant"


@pytest.mark.parametrize("change", [{"horizon": 30}, {"learning_rate": 1.05e-3}, {"translation": 3}, {"w_norm": 0.0}])
def test_the_pin_notices_small_changes_of_the_arithmetic(change):
    model = "wrn-10-1"
    changed = replace(trial(model), recipe=replace(trial(model).recipe, **change))
    assert departs(train(changed), model) != ""


if __name__ == "__main__":
    arrays = {"recipe_version": np.array(RECIPE_VERSION)}
    for model in FAMILIES:
        record = train(trial(model))
        arrays |= {f"{model}.correct": record.correct(), f"{model}.loss": record.arrays["loss"]}
        arrays[f"{model}.margin"] = record.arrays["margin.train"]
    np.savez_compressed(GOLDEN, **arrays)
