"""The roofline of a step against what a reader can work out by hand, and against the counts of multiply-adds."""

import pytest

from easel.nets import names
from easel.train import cost

ENDLESS = 1e30


def test_an_mlp_by_hand():
    """3,072 - 4 - 10 on 8 images: three products, of which the first needs no gradient of its input."""
    found = cost.least_step("mlp-1x4", 8, "fp32", flops=1.0, bandwidth=ENDLESS)
    assert found["operations"] == 2 * 8 * (2 * 3072 * 4 + 3 * 4 * 10)
    assert found["seconds"] == pytest.approx(found["operations"])
    weights = 3072 * 4 + 4 + 4 * 10 + 10
    least = 4 * (2 * 8 * 3072 + 2 * 3072 * 4) + 28 * weights  # images and first weights, forward and backward; AdamW
    assert least < found["bytes"] < 1.2 * least
    assert cost.least_step("mlp-1x4", 8, "fp32", flops=ENDLESS, bandwidth=2.0)["seconds"] == pytest.approx(
        found["bytes"] / 2
    )


@pytest.mark.parametrize("model", ["wrn-10-1", "densenet-bc-10-8", "resnext-11-2x8d", "mobilenet-0.125x"])
def test_a_step_is_three_passes_but_for_the_gradient_of_the_images(model):
    found = cost.least_step(model, 4, "fp32", flops=1.0, bandwidth=ENDLESS)
    whole = 3 * 2 * 4 * names.multiply_adds(model)
    assert 0.8 * whole < found["operations"] <= whole


def test_each_kernel_is_bound_by_the_lower_ceiling():
    both = cost.least_step("wrn-10-1", 4, "fp32", flops=1e9, bandwidth=1e9)
    one = cost.least_step("wrn-10-1", 4, "fp32", flops=1e9, bandwidth=ENDLESS)["seconds"]
    other = cost.least_step("wrn-10-1", 4, "fp32", flops=ENDLESS, bandwidth=1e9)["seconds"]
    assert max(one, other) < both["seconds"] < one + other


def test_half_the_bytes_in_half_the_precision():
    single, half = (cost.least_step("wrn-10-1", 64, p, flops=ENDLESS, bandwidth=1.0)["bytes"] for p in ("fp32", "bf16"))
    assert 0.45 < half / single < 0.6


def test_what_design_estimates_for_a_large_gpu():
    """On 790 TFLOP/s and 4.3 TB/s an epoch of WRN-16-4 was estimated at .27 s, of DenseNet-BC at 1.3 s."""
    for model, estimate in (("wrn-16-4", 0.274), ("densenet-bc-100-12", 1.279)):
        step = cost.least_step(model, 128, "bf16", flops=790e12, bandwidth=4.3e12)["seconds"]
        assert step * 391 == pytest.approx(estimate, rel=0.5), model
