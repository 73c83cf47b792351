"""Data sets as uint8 tensors with stable ids, labels, class names, a fingerprint. Nothing here normalises or augments.

cifar10            the real thing, official order, checked byte by byte; downloaded where it is missing
patterns           drawn by code, with known frequent, rare and contradicted patterns; needs no file and no network
tiny-imagenet-10   ten classes of Tiny ImageNet, 64x64, from data/tiny-imagenet-10
mini-imagenet      the paper's ten classes, picked out of your own ImageNet folder
./a/folder         your own images: train/CLASS/…, and val/CLASS/… if there is one; a path has a slash in it

Any of them takes @PIXELS at its end, the side that the images are brought to: cifar10@64, tiny-imagenet-10@48,
./a/folder@96. (A folder whose own name ends so is meant by a slash after it: ./odd@96/)
"""

import hashlib
import math
import os
import re
import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from easel import cifar, download, folders, patterns
from easel.errors import UserError
from easel.paths import data_dir

CHOICES = ("auto", "photographs")  # what `choose` decides
NAMES = ("cifar10", "patterns", "tiny-imagenet-10", "mini-imagenet")
SPLITS = ("train", "test", "merged")
SIZES = range(8, 513)  # pixels: sides that images can be brought to
PATTERNS_NOTICE = (
    "patterns: these images are drawn by code, with known frequent, rare and contradicted patterns; "
    "for real photographs run: easel data cifar10"
)
TINY_NOTICE = (
    "tiny-imagenet-10: real photographs of Tiny ImageNet, 64x64 pixels, in ten classes of which two (Persian cat and "
    "bow tie) are the paper's; they stand in for its mini ImageNet"
)
# The paper prints n04355358 for the eighth, no class of ImageNet 2012; n04355338, sundial, is one digit away [C].
MINI_IMAGENET = {
    "n01751748": "sea snake",
    "n02123394": "Persian cat",
    "n02169497": "leaf beetle",
    "n02883205": "bow tie",
    "n03125729": "cradle",
    "n03954731": "carpenter's plane",
    "n04332243": "strainer",
    "n04355338": "sundial",
    "n04553703": "washbasin",
    "n07717556": "butternut squash",
}
TINY_IMAGENET_10 = {
    "n01742172": "boa",
    "n02123394": "Persian cat",
    "n02165456": "ladybird",
    "n02236044": "mantis",
    "n02808440": "bathtub",
    "n02883205": "bow tie",
    "n03400231": "frying pan",
    "n03970156": "plunger",
    "n04328186": "stopwatch",
    "n07720875": "bell pepper",
}


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
    before the name's. CIFAR-10 that is not on disk is downloaded, with progress. Raises UserError for unknown names,
    splits and sizes, for missing or unreadable folders, and for the file that is damaged.
    """
    name, pixels = parts(name)
    if split not in SPLITS:
        raise UserError(f"no split {split!r}: it is one of {', '.join(SPLITS)}")
    size = pixels if size is None else _side(size)
    if name == "cifar10":
        _fetched()
    state = _state(name)
    return _load(name, split, size or _own_size(name, state), state)


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
    Other names are checked and returned: UserError if unknown, or if their folder is not there or has not its classes.
    """
    plain, pixels = _split(name)
    end = "" if pixels is None else f"@{pixels}"
    if plain == "auto":
        return ("cifar10" if _delivered(wait_s) else "patterns") + end
    if plain == "photographs":
        if os.environ.get("EASEL_IMAGENET") or _root("mini-imagenet").is_dir():
            plain = "mini-imagenet"
        else:
            plain = "tiny-imagenet-10" if _root("tiny-imagenet-10").is_dir() else "patterns"
        name = plain + end
    name = known(name)
    if plain not in ("cifar10", "patterns"):
        for split in ("train", "test") if plain in NAMES else ("train",):
            folders.listing(_root(plain), split, _wnids(plain))
    return name


def prepare(name: str | os.PathLike) -> Dataset:
    """Makes a data set ready to load, downloading CIFAR-10 with progress if it is not on disk; its training split."""
    return load(name)


def describe(name: str | os.PathLike) -> dict:
    """What a data set is, and where: name, where, ready; if ready images (a split), classes, size, fingerprint, notice.

    It downloads nothing: what is not on disk has ready=False and where says why. Raises UserError for an unknown name.
    """
    name = known(name)
    plain, _ = parts(name)
    where = "drawn by easel itself" if plain == "patterns" else str(_root(plain))
    if plain == "cifar10" and not _on_disk():
        return {"name": name, "where": f"not yet in {where}", "ready": False}
    try:
        train = load(name)
    except UserError as error:
        return {"name": name, "where": str(error), "ready": False}
    images = {"train": len(train)}
    if plain in NAMES or folders.split_folder(_root(plain), "test"):
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


# where things lie ----------------------------------------------------------------------------------------------------

_ARCHIVE = {"md5": cifar.ARCHIVE_MD5, "size": cifar.ARCHIVE_BYTES}


def _archive() -> Path:
    return data_dir() / cifar.ARCHIVE


def _on_disk() -> bool:
    if not cifar.complete(data_dir()) and _archive().is_file():
        cifar.unpack(data_dir())
    return cifar.complete(data_dir())


def _delivered(wait_s: float) -> bool:
    """Whether CIFAR-10 is on disk, or is now, after at most so many seconds of downloading."""
    if _on_disk():
        return True
    if download.within(cifar.ARCHIVE, _archive(), seconds=wait_s, **_ARCHIVE):
        _fetched()
        return True
    return False


def _fetched() -> None:
    """CIFAR-10 is on disk afterwards: as it was, unpacked or downloaded."""
    if not _on_disk():
        download.fetch(download.mirrors(cifar.ARCHIVE), _archive(), **_ARCHIVE)
        cifar.unpack(data_dir())


def _root(name: str) -> Path:
    if name == "cifar10":
        return data_dir() / cifar.FOLDER
    if name == "mini-imagenet":
        return Path(os.environ.get("EASEL_IMAGENET") or data_dir() / "imagenet").expanduser()
    return data_dir() / name if name in NAMES else Path(name).expanduser()


def _wnids(name: str) -> tuple[str, ...] | None:
    return {"mini-imagenet": tuple(MINI_IMAGENET), "tiny-imagenet-10": tuple(TINY_IMAGENET_10)}.get(name)


def _state(name: str) -> tuple:
    """What a loaded data set depends on beside its name: files by path, size and time. A change means: read again."""
    if name == "patterns":
        return ()
    root = _root(name).absolute()
    if name == "cifar10":
        files = [root / file for split in cifar.BATCHES.values() for file, _ in split]
    else:
        files = _files(folders.listing(root, "train", _wnids(name)))
        if folders.split_folder(root, "test"):
            files += _files(folders.listing(root, "test", _wnids(name)))
    digest = hashlib.sha256()
    for file in files:
        with suppress(FileNotFoundError):  # a dangling link: reading will name it
            stat = file.stat()
            digest.update(f"{file}|{stat.st_size}|{stat.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return (str(root), digest.hexdigest())


def _files(listing: dict[str, list[Path]]) -> list[Path]:
    return [path for group in listing.values() for path in group]


# reading -------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _own_size(name: str, state: tuple) -> int:
    if name in ("cifar10", "patterns"):
        return 32
    if name == "mini-imagenet":
        return folders.LARGEST
    return folders.common_side(_files(folders.listing(_root(name), "train", _wnids(name))))


@lru_cache(maxsize=8)
def _load(name: str, split: str, size: int, state: tuple) -> Dataset:
    if split == "merged":
        train, test = (_load(name, part, size, state) for part in ("train", "test"))
        images, labels = torch.cat([train.images, test.images]), torch.cat([train.labels, test.labels])
        kinds = None if train.kinds is None else np.concatenate([train.kinds, test.kinds])
        mark = fingerprint(images, labels, train.classes)
        ids = np.arange(len(labels))
        return replace(train, split=split, images=images, labels=labels, ids=ids, kinds=kinds, fingerprint=mark)
    kinds, notice = None, ""
    if name == "cifar10":
        images, labels = cifar.read(data_dir(), split)
        classes = cifar.CLASSES
    elif name == "patterns":
        images, labels, kinds = patterns.draw(split)
        classes, notice = patterns.CLASSES, PATTERNS_NOTICE
    else:
        images, labels, classes = _folder(name, split, size)
        notice = TINY_NOTICE if name == "tiny-imagenet-10" else ""
    _room(name, len(images), size)
    images = _resized(images, size)
    if name == "cifar10":
        mean, std = cifar.MEAN, cifar.STD
    elif split == "train":
        mean, std = _statistics(images)
    else:
        train = _load(name, "train", size, state)
        mean, std = train.mean, train.std
    images, labels = torch.from_numpy(images), torch.from_numpy(labels)
    ids, mark = np.arange(len(labels)), fingerprint(images, labels, classes)
    return Dataset(name, split, images, labels, ids, classes, mean, std, mark, notice, kinds)


def _folder(name: str, split: str, size: int) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    root, wnids = _root(name), _wnids(name)
    files = folders.listing(root, split, wnids)
    if folders.split_folder(root, "test"):
        other = {"train": "test", "test": "train"}[split]
        pair = {split: files, other: folders.listing(root, other, wnids)}
        folders.same_classes(root, pair["train"], pair["test"])
    paths = _files(files)
    _room(str(root), len(paths), size)
    labels = np.repeat(np.arange(len(files)), [len(group) for group in files.values()])
    words = {**MINI_IMAGENET, **TINY_IMAGENET_10} if wnids else {}
    crop = 224 / 256 if name == "mini-imagenet" else 1.0
    return folders.read(paths, size, crop), labels, tuple(words.get(k, k) for k in files)


def _room(where: str, images: int, size: int) -> None:
    """UserError where the images would not fit into three quarters of this machine's memory."""
    need = images * 3 * size * size
    have = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else sys.maxsize
    if need > 0.75 * have:
        raise UserError(
            f"{where}: {images} images of {size}x{size} take {need / 2**30:.1f} GiB, this machine has "
            f"{have / 2**30:.1f}; load them with a smaller size (@PIXELS after the name)"
        )


def _resized(images: np.ndarray, size: int) -> np.ndarray:
    if size == images.shape[-1]:
        return images
    out = np.empty((len(images), 3, size, size), np.uint8)
    for row, image in enumerate(images):
        picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
        out[row] = np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    return out


def _statistics(images: np.ndarray) -> tuple[tuple, tuple]:
    """Channel means and standard deviations on the 0..1 scale to four digits, from exact integer histograms."""
    mean, std = [], []
    values = np.arange(256)
    for channel in range(3):
        counts = np.zeros(256, np.int64)
        for rows in range(0, len(images), 1000):
            counts += np.bincount(images[rows : rows + 1000, channel].ravel(), minlength=256)
        n, total, squares = int(counts.sum()), int(counts @ values), int(counts @ values**2)
        mean.append(round(total / n / 255, 4))
        std.append(max(round(math.sqrt((n * squares - total**2) / n**2) / 255, 4), 0.0001))  # a flat channel: not 0
    return tuple(mean), tuple(std)
