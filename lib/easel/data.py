"""Data sets as uint8 tensors with stable ids, labels, class names, a fingerprint. Nothing here normalises or augments.

cifar10            the real thing, official order, checked byte by byte; downloaded where it is missing
patterns           drawn by code, with known frequent, rare and contradicted patterns; needs no file and no network
cifar100           its 100 fine classes, 32x32; stl10: ten classes, 96x96, 5,000 to train on; both as cifar10
tiny-imagenet-10   ten classes of Tiny ImageNet, 64x64, from data/tiny-imagenet-10; downloaded where it is missing
mini-imagenet      the paper's ten classes, picked out of your own ImageNet folder
./a/folder         your own images: train/CLASS/…, and val/CLASS/… if there is one; a path has a slash in it

Any of them takes @PIXELS at its end, the side that the images are brought to: cifar10@64, tiny-imagenet-10@48,
./a/folder@96. (A folder whose own name ends so is meant by a slash after it: ./odd@96/)
"""

import hashlib
import os
import re
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch

from easel import folders, sources
from easel.errors import UserError
from easel.sources import MINI_IMAGENET, NAMES, TINY_IMAGENET_10  # noqa: F401 - part of what this module offers

CHOICES = ("auto", "photographs")  # what `choose` decides
SPLITS = ("train", "test", "merged")
SIZES = range(folders.SMALLEST, 513)  # pixels: sides that images can be brought to


@dataclass(frozen=True, eq=False)
class Dataset:
    """One split of a data set. Its tensors may be shared with other callers: read them, never write to them."""

    name: str  # without @PIXELS, for captions
    split: str  # "train", "test" or "merged" (train, then test: ids go on where train's end)
    images: torch.Tensor  # (n, 3, H, W) uint8, contiguous
    labels: torch.Tensor  # (n,) int64
    ids: np.ndarray  # (n,) int64: index in the split's official order; kept by take and subset
    classes: tuple[str, ...]
    mean: tuple[float, float, float]  # of each channel over the whole training split, 0..1 scale
    std: tuple[float, float, float]
    fingerprint: str  # SHA-256 over shape, images, labels and class names, not name, path or ids
    notice: str = ""  # what the reader must be told first, or ""
    kinds: np.ndarray | None = None  # patterns only: "frequent", "rare" or "contradicted", an image

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: object) -> "Dataset":
        """The examples at these positions, in this order: a list, array, tensor, slice or Boolean mask of rows."""
        rows = np.arange(len(self))[index.cpu().numpy() if isinstance(index, torch.Tensor) else index]
        rows = np.atleast_1d(rows)
        images, labels = self.images[torch.from_numpy(rows)], self.labels[torch.from_numpy(rows)]
        return replace(
            self,
            images=images,
            labels=labels,
            ids=self.ids[rows],
            fingerprint=fingerprint(images, labels, self.classes),
            kinds=None if self.kinds is None else self.kinds[rows],
        )


def fingerprint(images: torch.Tensor, labels: torch.Tensor, classes: tuple[str, ...]) -> str:
    """SHA-256 (hex) of a data set's content: shape, images, labels, class names."""
    digest = hashlib.sha256(repr((tuple(images.shape), tuple(classes))).encode())
    digest.update(memoryview(images.contiguous().numpy()).cast("B"))
    digest.update(memoryview(labels.contiguous().numpy().astype("<i8")).cast("B"))
    return digest.hexdigest()


def load(name: str | os.PathLike, split: str = "train", *, size: int | None = None) -> Dataset:
    """A data set by name or by its folder's path; a second call for unchanged files reads none of them again.

    The images are squares of the side that the name says, 8..512 pixels, else of the set's own (folders: the short side
    that all images share, if at most 224, else 224). size: the same for callers that have it as a number; it goes
    before the name's. A published set (cifar10, cifar100, stl10, tiny-imagenet-10) that is not on disk is downloaded,
    with progress. Raises UserError for unknown names, splits and sizes, for missing or unreadable folders, and for the
    file that is damaged.
    """
    name, pixels = parts(name)
    if split not in SPLITS:
        raise UserError(f"no split {split!r}: it is one of {', '.join(SPLITS)}")
    size = pixels if size is None else _side(size)
    sources.fetched(name)
    state = sources.state(name)
    return _load(name, split, size or sources.own_size(name, state), state)


def subset(dataset: Dataset, images: int | None, seed: int = 0) -> Dataset:
    """So many examples of a data set, as many of every class, drawn from the seed, in official order. None: all.

    Where the number does not divide, or a class runs out, the others take its share. From one seed, the smaller subset
    lies in the larger one. Raises UserError for more images than there are or fewer than there are classes.
    """
    if images is None:
        return dataset
    if isinstance(images, bool) or not isinstance(images, int | np.integer):
        raise UserError(f"images {images!r}: a whole number, or None for all {len(dataset)}")
    if not len(dataset.classes) <= images <= len(dataset):
        raise UserError(
            f"images {images}: {dataset.name} ({dataset.split}) has {len(dataset)}, "
            f"and each of its {len(dataset.classes)} classes needs one"
        )
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise UserError(f"subset seed {seed!r}: a whole number from 0")
    if images == len(dataset):
        return dataset
    labels = dataset.labels.numpy()
    bits = np.random.PCG64([int(seed), *b"subset"])  # raw bits, which no NumPy version changes
    bits = bits.random_raw(len(labels) + len(dataset.classes))
    lot, class_lot = bits[: len(labels)], bits[len(labels) :]
    turn = np.empty(len(labels), np.int64)  # an example's place in its class' own order
    for label in range(len(dataset.classes)):
        rows = np.flatnonzero(labels == label)
        turn[rows[np.argsort(lot[rows], kind="stable")]] = np.arange(len(rows))
    drawn = np.lexsort((class_lot[labels], turn))[: int(images)]  # a round for every class, classes in drawn order
    return dataset.take(np.sort(drawn))


def choose(name: str | os.PathLike, *, wait_s: float = 60) -> str:
    """A data set that can be had, by its name with @PIXELS if that was asked for.

    "auto": "cifar10" if it is on disk or delivered within wait_s seconds, else "patterns". A mirror that would deliver
    it in time is used at once; that none would is remembered, so that nothing in this process waits twice.
    "photographs": "mini-imagenet" if there is a folder of ImageNet (or EASEL_IMAGENET names one), else
    "tiny-imagenet-10" if it is on disk, else "patterns"; nothing is downloaded.
    Other names are checked and returned: UserError if unknown, or if a folder of images is not there or has not its
    classes. What can be downloaded need not be there: `prepare` or `load` gets it.
    """
    plain, pixels = _split(name)
    end = "" if pixels is None else f"@{pixels}"
    if plain == "auto":
        return ("cifar10" if sources.delivered("cifar10", wait_s) else "patterns") + end
    if plain == "photographs":
        if os.environ.get("EASEL_IMAGENET") or sources.root("mini-imagenet").is_dir():
            plain = "mini-imagenet"
        else:
            plain = "tiny-imagenet-10" if sources.on_disk("tiny-imagenet-10") else "patterns"
        name = plain + end
    name = known(name)
    of_folders = plain == "tiny-imagenet-10" or plain not in (*sources.PUBLISHED, "patterns")
    if of_folders and sources.on_disk(plain):
        for split in ("train", "test") if plain in NAMES else ("train",):
            folders.listing(sources.root(plain), split, sources.wnids(plain))
    return name


def prepare(name: str | os.PathLike) -> Dataset:
    """Makes a data set ready to load and returns its training split; a published one not on disk is downloaded."""
    return load(name)


def describe(name: str | os.PathLike) -> dict:
    """What a data set is, and where: name, where, ready; if ready images (a split), classes, size, fingerprint, notice.

    It downloads nothing: what is not on disk has ready=False and where says why. Raises UserError for an unknown name.
    """
    name = known(name)
    plain, _ = parts(name)
    where = "drawn by easel itself" if plain == "patterns" else str(sources.root(plain))
    try:
        if not sources.on_disk(plain):
            size = sources.PUBLISHED[plain].ARCHIVE_BYTES / 1e6
            return {
                "name": name,
                "where": f"not yet in {where}; easel data {plain} gets it ({size:,.0f} MB)",
                "ready": False,
            }
        train = load(name)
    except UserError as error:
        return {"name": name, "where": str(error), "ready": False}
    images = {"train": len(train)}
    if plain in NAMES or folders.split_folder(sources.root(plain), "test"):
        images["test"] = len(load(name, "test", size=train.images.shape[-1]))
    return {
        "name": name,
        "where": where,
        "ready": True,
        "images": images,
        "classes": train.classes,
        "size": train.images.shape[-1],
        "fingerprint": train.fingerprint,
        "notice": train.notice,
    }


def known(name: str | os.PathLike) -> str:
    """The name itself, as a string, if it is a data set's or a path, with @PIXELS or without; else UserError."""
    parts(name)
    return os.fspath(name)


def parts(name: str | os.PathLike) -> tuple[str, int | None]:
    """A data set's name without @PIXELS, and the pixels (None where it has none): "cifar10@64" is ("cifar10", 64).

    Raises UserError that lists the names where there is no such data set, or the sizes where 8..512 does not hold it.
    """
    plain, pixels = _split(name)
    if plain in CHOICES:
        raise UserError(f"{os.fspath(name)!r} stands for one of several data sets: easel.data.choose says which")
    if plain in NAMES or "/" in plain or os.sep in plain:
        return plain, pixels
    shown = repr(os.fspath(name)) if isinstance(name, str | os.PathLike) else repr(repr(name))
    raise UserError(
        f"no data set {shown}: it is one of {', '.join((*CHOICES, *NAMES))}, or a folder's path with a slash in it; "
        "each with @PIXELS at its end if another size is wanted"
    )


def _split(name: object) -> tuple[str, int | None]:
    """Before and after a trailing @ and digits, whatever the name; the size is checked."""
    text = os.fspath(name) if isinstance(name, str | os.PathLike) else repr(name)
    found = re.fullmatch(r"(.*)@([0-9]{1,9})", text, re.DOTALL)
    return (found[1], _side(int(found[2]))) if found else (text, None)


def _side(size: object) -> int:
    if isinstance(size, bool) or not isinstance(size, int) or size not in SIZES:
        raise UserError(f"size {size!r}: a whole number of pixels from {SIZES[0]} to {SIZES[-1]}")
    return size


@lru_cache(maxsize=8)
def _load(name: str, split: str, size: int, state: tuple) -> Dataset:
    if split == "merged":
        train, test = (_load(name, part, size, state) for part in ("train", "test"))
        images, labels = torch.cat([train.images, test.images]), torch.cat([train.labels, test.labels])
        kinds = None if train.kinds is None else np.concatenate([train.kinds, test.kinds])
        mark = fingerprint(images, labels, train.classes)
        ids = np.arange(len(labels))
        return replace(train, split=split, images=images, labels=labels, ids=ids, kinds=kinds, fingerprint=mark)
    raw = sources.read(name, split, size)
    if name == "cifar10":
        mean, std = sources.cifar.MEAN, sources.cifar.STD
    elif split == "train":
        mean, std = sources.statistics(raw.images)
    else:
        train = _load(name, "train", size, state)
        mean, std = train.mean, train.std
    images, labels = torch.from_numpy(raw.images), torch.from_numpy(raw.labels)
    ids, mark = np.arange(len(labels)), fingerprint(images, labels, raw.classes)
    return Dataset(name, split, images, labels, ids, raw.classes, mean, std, mark, raw.notice, raw.kinds)
