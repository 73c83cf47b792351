"""The arithmetic of training is pinned: one tiny trial a net family, whose bits may change only with RECIPE_VERSION.

golden.npz holds for each family the bits, margins and losses of one trial. Other processors and library versions add in
another order, so an image whose margin is close to nothing may fall to either side; every clear one must be the same.
`python tests/train/test_golden.py` adds what the file lacks, and writes all of it anew after RECIPE_VERSION has moved.

Not pinned, being slow or made of the same layers: vgg11, resnet50, efficientnet_b4, efficientnet_v2_s.
"""

import platform
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from easel.ledger.trial import RECIPE_VERSION, Recipe, Trial
from easel.train.loop import train

GOLDEN = Path(__file__).with_name("golden.npz")
FIRST = ["mlp-2x32", "wrn-10-1", "densenet-bc-10-8", "resnext-11-2x8d"]
# deeper, so that another order of summation grows through the epochs: a fiftieth of the learning rate holds it
DEEP = ["resnet-20-0.25x", "vgg-16-0.125x", "mobilenet-0.25x", "resnet18-0.25x", "densenet121-0.125x"]
# dropout on a CPU draws from MKL, which builds for other processors than x86 do not have
DROPOUT = ["alexnet-0.125x", "vgg11_bn-0.125x", "mobilenet_v3_small-0.25x"]
X86 = platform.machine().lower() in ("x86_64", "amd64")
# batch norm of momentum .01 (torchvision's) has seen too little after 14 batches to evaluate anything: the loss alone
LOSS_ALONE = ["mobilenet_v3_small-0.25x"]


def trial(model: str) -> Trial:
    recipe = Recipe(precision="fp32", batch_size=50, **({} if model in FIRST else {"learning_rate": 2e-5}))
    data = "patterns@64" if model.startswith("alexnet") else "patterns"
    return Trial(data=data, images=320, model=model, seed=1, epochs=2, recipe=recipe, record=("margin",))


def departs(record, model: str) -> str:
    """What of a record is not as pinned; "" if nothing is. Another order of summation moves margins by up to .05."""
    golden = np.load(GOLDEN)
    pinned = golden[f"{model}.margin"].astype(np.float32)
    clear = np.abs(pinned) > 0.15
    assert clear.mean() > 0.6 or model in LOSS_ALONE, "the pinned trial is too close to the fence to pin anything"
    if np.abs(record.arrays["loss"] / golden[f"{model}.loss"] - 1).max() > 1e-3:
        return "loss"
    if np.abs(record.values("margin") - pinned).max() > 0.15:
        return "margins"
    return "" if np.array_equal(record.correct()[clear], golden[f"{model}.correct"][clear]) else "bits"


@pytest.mark.parametrize("model", FIRST + DEEP + (DROPOUT if X86 else []))
def test_the_arithmetic_is_the_pinned_one(model):
    assert int(np.load(GOLDEN)["recipe_version"]) == RECIPE_VERSION, "RECIPE_VERSION moved: write golden.npz anew"
    assert departs(train(trial(model)), model) == "", "the arithmetic changed: move RECIPE_VERSION if that is meant"


@pytest.mark.parametrize("change", [{"horizon": 30}, {"learning_rate": 1.05e-3}, {"translation": 3}, {"w_norm": 0.0}])
def test_the_pin_notices_small_changes_of_the_arithmetic(change):
    model = "wrn-10-1"
    changed = replace(trial(model), recipe=replace(trial(model).recipe, **change))
    assert departs(train(changed), model) != ""


if __name__ == "__main__":
    arrays = dict(np.load(GOLDEN)) if GOLDEN.exists() else {}
    if arrays.get("recipe_version") != RECIPE_VERSION:
        arrays = {"recipe_version": np.array(RECIPE_VERSION)}
    for model in FIRST + DEEP + DROPOUT:
        if f"{model}.loss" not in arrays:
            record = train(trial(model))
            arrays |= {f"{model}.correct": record.correct(), f"{model}.loss": record.arrays["loss"]}
            arrays[f"{model}.margin"] = record.arrays["margin.train"]
    np.savez_compressed(GOLDEN, **arrays)
