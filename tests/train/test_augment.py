"""Random resized crops: boxes are torchvision's law, the crop is the part of the image that the box names."""

import numpy as np
import pytest
import torch

from easel.ledger.trial import Recipe
from easel.train.batches import RATIO, SCALE, boxes, epoch_draws, resized_crop, stream


def slow_crop(image: np.ndarray, box, mirrored: bool) -> np.ndarray:
    """Bilinear interpolation, a pixel at a time: pixel centres at +.5, nothing beyond the image's edge but its rim."""
    _, height, width = image.shape
    out = np.zeros(image.shape)
    top, left, tall, wide = box
    for i in range(height):
        for j in range(width):
            y = (top + tall * (i + 0.5) / height) * height - 0.5
            x = (left + wide * (j + 0.5) / width) * width - 0.5
            y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
            y0, x0 = min(int(y), height - 2), min(int(x), width - 2)
            dy, dx = y - y0, x - x0
            part = image[:, y0 : y0 + 2, x0 : x0 + 2].astype(float)
            out[:, i, j] = (part * np.outer([1 - dy, dy], [1 - dx, dx])).sum((1, 2))
    return out[:, :, ::-1] if mirrored else out


def test_a_resized_crop_is_the_box_brought_to_full_size():
    images = torch.randint(0, 256, (4, 3, 9, 9), dtype=torch.uint8, generator=stream(0, "test"))
    box = torch.tensor([[0, 0, 1, 1], [0.2, 0.5, 0.4, 0.5], [0, 0, 0.3, 0.3], [0.7, 0.1, 0.3, 0.6]])
    flip = torch.tensor([False, True, False, True])
    fast = resized_crop(images, box, flip)
    assert torch.allclose(fast[0], images[0].float(), atol=1e-3)
    for x, image, part, mirrored in zip(fast, images, box, flip, strict=True):
        slow = slow_crop(image.numpy(), part.tolist(), bool(mirrored))
        assert np.abs(x.numpy() - slow).max() < 0.02


def test_boxes_lie_inside_and_cover_the_papers_range_of_scale_and_ratio():
    top, left, height, width = boxes(20_000, stream(0, "test")).double().unbind(1)
    assert min(x.min() for x in (top, left, height, width)) >= 0
    assert (top + height).max() <= 1 + 1e-6
    assert (left + width).max() <= 1 + 1e-6
    area, ratio = height * width, width / height
    assert SCALE[0] - 1e-6 <= area.min() < SCALE[0] + 0.01
    assert area.max() > 0.97
    assert RATIO[0] - 1e-5 <= ratio.min() < 0.76
    assert 1.32 < ratio.max() <= RATIO[1] + 1e-5


def test_boxes_have_the_law_of_torchvisions():
    from torchvision.transforms import RandomResizedCrop

    torch.manual_seed(0)
    image = torch.zeros(3, 1000, 1000, dtype=torch.uint8)
    theirs = np.array([RandomResizedCrop.get_params(image, SCALE, RATIO) for _ in range(4000)]) / 1000
    ours = boxes(40_000, stream(1, "test")).double().numpy()
    for column in range(4):  # top, left, height, width
        for quantile in (0.1, 0.5, 0.9):
            at = np.quantile(ours[:, column], quantile)
            assert (theirs[:, column] < at).mean() == pytest.approx(quantile, abs=0.03)


def test_the_draws_of_an_epoch_are_boxes_or_corners(tiny):
    order, box, flip = epoch_draws(tiny(recipe=Recipe.of("mini-imagenet")), 500, 0)
    assert torch.equal(order.sort().values, torch.arange(500))
    assert box.shape == (500, 4)
    assert flip.float().mean().item() == pytest.approx(0.5, abs=0.1)
