"""What a trial trains on, step by step: its random streams, its images as a net sees them, its next mini-batch.

Random numbers are drawn beforehand, on the CPU, from streams of the trial's own (`stream`, `epoch_draws`); crops, flips
and normalisation are arithmetic on whole batches, on any device. Nothing here trains.

Mini-batches are shuffled anew every epoch or `Fixed` for the whole run, as in "Can we learn better with hard samples?".
Its first round is one plain pass, in which each batch's loss is stored. Every later round sorts the batches by their
stored loss, takes the floor(delta N_b) highest, trains on each once in index order and stores their new losses; the
others' stay as they were, however stale. The budget is counted in updates: an "epoch" is always N_b of them, so rounds
run across its end.
"""

import hashlib
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from easel.ledger.trial import Recipe, Trial


def stream(seed: int, purpose: str, epoch: int = 0) -> torch.Generator:
    """A random stream of its own for each (seed, purpose, epoch): 'weights', 'order', 'augmentation', 'dropout', ..."""
    # One a purpose: where one draws more or less, no other moves. On the CPU whatever the device: the draws do not
    # depend on where a trial runs. Anew for each epoch: a checkpoint stores no generator, and epochs can be skipped.
    digest = hashlib.sha256(f"easel/{seed}/{purpose}/{epoch}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


SCALE, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)  # area and width / height of a resized crop: torchvision's, and ImageNet's
TRIES = 10  # draws of a box until one lies inside the image; after that the whole image is taken, as torchvision does


def pad(images: Tensor, padding: int) -> Tensor:
    """uint8 (n, 3, H, W) -> (n, 3, H + 2 padding, W + 2 padding), black around."""
    return F.pad(images, (padding,) * 4)


def crop_and_flip(padded: Tensor, index: Tensor, offset: Tensor, flip: Tensor, size: int) -> Tensor:
    """Translated and mirrored images by index arithmetic: uint8 (batch, 3, size, size).

    padded: (n, 3, size + 2p, size + 2p); index: (batch,) which images; offset: (batch, 2) row and column of the crop's
    corner, 0..2p; flip: (batch,) bool, mirrored left to right after the crop.
    """
    if padded.device.type == "cpu":
        return _one_by_one(padded, index, offset, flip, size)
    windows = padded.unfold(2, size, 1).unfold(3, size, 1)  # (n, 3, 2p + 1, 2p + 1, size, size), a view
    crops = windows[index, :, offset[:, 0], offset[:, 1]]
    return torch.where(flip[:, None, None, None], crops.flip(3), crops)


def _one_by_one(padded: Tensor, index: Tensor, offset: Tensor, flip: Tensor, size: int) -> Tensor:
    """`crop_and_flip` on a CPU, where copying rows takes a tenth of the time of gathering byte by byte."""
    out = torch.empty(len(index), padded.shape[1], size, size, dtype=padded.dtype)
    source, cut = padded.numpy(), out.numpy()
    wanted = zip(index.tolist(), offset.tolist(), flip.tolist(), strict=True)
    for row, (image, (y, x), mirrored) in enumerate(wanted):
        window = source[image, :, y : y + size, x : x + size]
        cut[row] = window[:, :, ::-1] if mirrored else window
    return out


def resized_crop(images: Tensor, box: Tensor, flip: Tensor) -> Tensor:
    """A part of each image, brought to the image's size by bilinear interpolation: float32 (batch, 3, H, W), 0..255.

    images: uint8 (batch, 3, H, W); box: (batch, 4) top, left, height, width as shares of the sides, inside 0..1; flip:
    (batch,) bool, mirrored left to right. A part is never larger than the image, so nothing is scaled down.
    """
    top, left, height, width = box.unbind(1)
    theta = torch.zeros(len(images), 2, 3, device=images.device)
    theta[:, 0, 0], theta[:, 0, 2] = torch.where(flip, -width, width), 2 * left + width - 1
    theta[:, 1, 1], theta[:, 1, 2] = height, 2 * top + height - 1
    grid = F.affine_grid(theta, images.shape, align_corners=False)
    x = images.to(torch.float32, memory_format=torch.channels_last)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=False)


def normalise(
    images: Tensor, normalisation: str, mean: Tensor, std: Tensor, layout: torch.memory_format = torch.channels_last
) -> Tensor:
    """(batch, 3, H, W) on the 0..255 scale, uint8 or float -> float32 in a layout, channels last for convolutions.

    "channel": (x / 255 - mean) / std with the data set's channel statistics; "image": global contrast normalisation of
    each image by itself, (x - mean(x)) / sqrt(var(x) + 10) on the 0..255 scale.
    """
    if normalisation == "channel":  # computed in the images' own layout: on a CPU a third of the time
        x = images.to(torch.float32, copy=True).sub_(255 * mean[:, None, None]).div_(255 * std[:, None, None])
        return x.contiguous(memory_format=layout)
    x = images.to(torch.float32, memory_format=torch.channels_last)
    var, mu = torch.var_mean(x, dim=(1, 2, 3), keepdim=True, correction=0)
    return (x - mu) / torch.sqrt(var + 10)


def epoch_draws(trial: Trial, count: int, epoch: int) -> tuple[Tensor, Tensor, Tensor]:
    """Order (count,), crops and flips (count,) of one epoch, order and augmentation each from its own stream.

    Crops: corners (count, 2) int64 for "translate", boxes (count, 4) float32 as in `resized_crop` for "resized-crop".
    """
    recipe, seed = trial.recipe, trial.order_seed
    order = torch.randperm(count, generator=stream(seed, "order", epoch))
    augmentation = stream(seed, "augmentation", epoch)
    if recipe.augmentation == "resized-crop":
        crop = boxes(count, augmentation)
    else:
        crop = torch.randint(0, 2 * recipe.translation + 1, (count, 2), generator=augmentation)
    flip = torch.rand(count, generator=augmentation) < 0.5
    return order, crop, flip if recipe.flip else torch.zeros_like(flip)


def boxes(count: int, generator: torch.Generator) -> Tensor:
    """Boxes of random resized crops: float32 (count, 4), top, left, height, width as shares of a square image's sides.

    Area uniform in SCALE, logarithm of width / height uniform in RATIO, place uniform; a box that does not fit inside
    is drawn again, TRIES times in all, then the whole image is taken.
    """
    draws = torch.rand(4, count, TRIES, generator=generator, dtype=torch.float64)
    area = SCALE[0] + (SCALE[1] - SCALE[0]) * draws[0]
    low, high = map(math.log, RATIO)
    ratio = (low + (high - low) * draws[1]).exp()
    width, height = (area * ratio).sqrt(), (area / ratio).sqrt()
    fits = (width <= 1) & (height <= 1)
    first = fits.int().argmax(1, keepdim=True)  # 0 where none fits, which is mended below
    top, left = (1 - height) * draws[2], (1 - width) * draws[3]
    box = torch.stack([x.gather(1, first).squeeze(1) for x in (top, left, height, width)], 1)
    box[~fits.any(1)] = torch.tensor([0.0, 0.0, 1.0, 1.0], dtype=torch.float64)
    return box.float()


def fixed_order(trial: Trial) -> Tensor:
    """The examples of a trial in the order in which they are cut into fixed batches: int64 (kept,).

    The edit's order where there is one (batches grouped by easiness), else one drawn from the seed.
    """
    if trial.given_order is not None:
        return torch.from_numpy(trial.given_order)
    kept = torch.from_numpy(trial.trained_on)
    return kept[torch.randperm(len(kept), generator=stream(trial.order_seed, "order"))]


class Fixed:
    """The fixed mini-batches of a run, and which of them comes next."""

    def __init__(self, order: Tensor, recipe: Recipe, seed: int):
        """order: (count,) the examples, cut into batches as they come; seed: of the draws of batches="random"."""
        self.batches = order.split(recipe.batch_size)
        self.kind, self.seed = recipe.batches, seed
        self.count = recipe.batches_taken(len(order))
        self.losses = np.full(len(self.batches), np.nan, np.float32)
        self.round, self.waiting = 0, list(range(len(self.batches)))

    def next(self) -> tuple[int, Tensor]:
        """Number and examples of the batch to train on."""
        if not self.waiting:
            self.round += 1
            self.waiting = self._chosen().tolist()
        at = self.waiting.pop(0)
        return at, self.batches[at]

    def _chosen(self) -> np.ndarray:
        number = len(self.batches)
        if self.kind == "fixed":
            return np.arange(number)
        if self.kind == "random":
            chosen = torch.randperm(number, generator=stream(self.seed, "batches", self.round))[: self.count].numpy()
        else:
            chosen = np.argsort(-self.losses, kind="stable")[: self.count]  # of equal losses, the lower index
        return np.sort(chosen)

    def store(self, at: int, loss: float) -> None:
        """Keep the loss of a batch, as it was when it was trained on."""
        self.losses[at] = loss

    @property
    def state(self) -> dict[str, np.ndarray]:
        """Arrays for a checkpoint; `restore` takes them back."""
        return {"losses": self.losses, "round": np.array(self.round), "waiting": np.array(self.waiting, np.int64)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from what `state` was."""
        self.losses = state["losses"].copy()
        self.round, self.waiting = int(state["round"]), state["waiting"].tolist()
