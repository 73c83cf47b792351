"""The loops that `easel bench` compares: the one that people write today, and easel's own. Nothing here measures.

    plain      float32, PIL images and torchvision transforms through a DataLoader, AdamW as it comes
    resident   the images on the device as uint8, cropped and mirrored by index arithmetic; else as plain
    easel      as `ensure` trains: the recipe's precision, channels last, fused AdamW; on a GPU captured (train.gpu)
               and several trials at once, with one of them alone as "graph"

Each takes a trial and a device and gives tasks by name, functions that train or evaluate once over its images.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F

from easel.data.sets import Dataset
from easel.ledger.trial import Edit, Recipe, Trial
from easel.nets.names import build
from easel.train import ensure as run
from easel.train.batches import stream
from easel.train.gpu import Lane, Pack, width
from easel.train.loop import Run, crop_and_flip, epoch_draws, normalise, pad
from easel.train.workers import keep_freed_memory

Tasks = dict[str, Callable[[], object]]


def noise(images: int, size: int = 32) -> Dataset:
    """Images and labels drawn at random: uint8 (images, 3, size, size), ten classes."""
    draws = stream(0, "bench")
    pixels = torch.randint(0, 256, (images, 3, size, size), generator=draws, dtype=torch.uint8)
    labels = torch.randint(0, 10, (images,), generator=draws)
    classes, half = tuple("0123456789"), (0.5, 0.5, 0.5)
    return Dataset("noise", "train", pixels, labels, np.arange(images), classes, half, half, "noise")


def trial_on(data: Dataset, model: str, images: int, recipe: Recipe) -> Trial:
    """A trial of `model` on `images` of these, spread evenly over them. It must never reach a store."""
    keep = np.arange(images) * len(data) // images
    trial = Trial(model=model, seed=0, epochs=1, data="patterns", recipe=recipe, edit=Edit(keep))
    trial.__dict__["examples"] = data  # instead of the named set
    return trial


class _Pictures(torch.utils.data.Dataset):
    """Images as torchvision.datasets.CIFAR10 keeps and delivers them: rows of an array, a PIL image when asked for."""

    def __init__(self, data: Dataset, keep: np.ndarray):
        from torchvision import transforms

        self.pixels = data.images[keep].permute(0, 2, 3, 1).contiguous().numpy()
        self.labels = data.labels[keep].tolist()
        steps = [transforms.RandomCrop(data.images.shape[-1], padding=4), transforms.RandomHorizontalFlip()]
        self.transform = transforms.Compose([*steps, transforms.ToTensor(), transforms.Normalize(data.mean, data.std)])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int):
        from PIL import Image

        return self.transform(Image.fromarray(self.pixels[index])), self.labels[index]


def pil_loader(trial: Trial, device: str) -> torch.utils.data.DataLoader:
    """On one CPU core in this process; for a GPU with workers that stay, and pinned memory."""
    workers = min(8, run.cores() - 1) if device == "cuda" else 0
    return torch.utils.data.DataLoader(
        _Pictures(trial.examples, trial.edit.keep),
        batch_size=trial.recipe.batch_size,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=device == "cuda",
    )


def _net(trial: Trial, device: str) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    size = trial.examples.images.shape[-1]
    net = build(trial.model, size=size, generator=stream(0, "weights")).to(device).train()
    return net, torch.optim.AdamW(net.parameters(), lr=1e-3)


def plain(trial: Trial, device: str) -> Tasks:
    net, optimizer = _net(trial, device)
    loader = pil_loader(trial, device)

    def epoch() -> None:
        for x, target in loader:
            x, target = x.to(device, non_blocking=True), target.to(device, non_blocking=True)
            loss = F.cross_entropy(net(x), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return {"plain": epoch}


def resident(trial: Trial, device: str) -> Tasks:
    net, optimizer = _net(trial, device)
    augmented = augmentation(trial, device, torch.contiguous_format)

    def epoch() -> None:
        for x, target in augmented():
            loss = F.cross_entropy(net(x), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return {"resident": epoch}


def augmentation(trial: Trial, device: str, layout: torch.memory_format = torch.channels_last):
    """A function that yields the (images, labels) of one epoch, in easel's way; images float32 in `layout`."""
    data, recipe, size = trial.examples, trial.recipe, trial.examples.images.shape[-1]
    padded, labels = pad(data.images.to(device), recipe.translation), data.labels.to(device)
    mean, std = (torch.tensor(s, device=device) for s in (data.mean, data.std))
    kept = torch.from_numpy(trial.edit.keep)

    def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        order, offset, flip = epoch_draws(trial, len(kept), 0)
        order, offset, flip = kept[order].to(device), offset.to(device), flip.to(device)
        for index, corner, mirror in zip(*(t.split(recipe.batch_size) for t in (order, offset, flip)), strict=True):
            x = crop_and_flip(padded, index, corner, mirror, size)
            if layout is torch.channels_last:
                yield normalise(x, recipe.normalisation, mean, std), labels[index]
            else:
                x = x.to(torch.float32, memory_format=layout)
                yield (x - 255 * mean[:, None, None]) / (255 * std[:, None, None]), labels[index]

    return batches


def easel(trial: Trial, device: str) -> Tasks:
    """Its epoch of training, and the evaluation of as many images.

    On a GPU "graph" is one trial's epoch, captured, and "easel" that of as many trials at once as pay: its attribute
    `at_once` says how many.
    """
    evaluated = trial.examples.take(trial.edit.keep)
    running = Run(trial, device) if device == "cpu" else Lane(trial, device)
    running.sets["evaluated"] = evaluated

    def evaluate() -> None:
        running.rows.clear()
        running._append("correct.train", (running._logits("evaluated").argmax(1).cpu() == evaluated.labels).numpy())

    if device == "cpu":
        return {"easel": _as_a_worker(running._train_epoch), "evaluation": _as_a_worker(evaluate)}
    alone = Pack([running])
    together = Pack([Lane(trial, device) for _ in range(width(trial, device))])

    def epoch() -> None:
        together.train_epoch()

    epoch.at_once = len(together.lanes)
    return {"graph": alone.train_epoch, "easel": epoch, "evaluation": evaluate}


def _as_a_worker(task: Callable[[], object]) -> Callable[[], None]:
    """The task with the memory settings of easel's worker processes, which the other loops do not have."""

    def run() -> None:
        keep_freed_memory()
        try:
            task()
        finally:
            keep_freed_memory(False)

    return run
