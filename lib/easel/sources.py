"""Where each data set lies and how its files become arrays. Nothing here subsets, normalises or keeps anything.

`PUBLISHED` are the sets that come as one archive from the network; a module each, all with NAME, ARCHIVE, ARCHIVE_MD5,
ARCHIVE_BYTES, complete(root) and unpack(root), where root is the data folder.
"""

import hashlib
import math
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from easel import cifar, cifar100, download, folders, patterns, stl10, tiny_imagenet
from easel.errors import UserError
from easel.paths import data_dir

PUBLISHED = {module.NAME: module for module in (cifar, cifar100, stl10, tiny_imagenet)}
NAMES = ("cifar10", "patterns", "cifar100", "stl10", "tiny-imagenet-10", "mini-imagenet")
OWN_SIZES = {"cifar10": 32, "cifar100": 32, "patterns": 32, "stl10": stl10.SIDE, "mini-imagenet": folders.LARGEST}
PATTERNS_NOTICE = (
    "patterns: these images are drawn by code, with known frequent, rare and contradicted patterns; "
    "for real photographs run: easel data cifar10, easel data tiny-imagenet-10"
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
TINY_IMAGENET_10 = tiny_imagenet.CLASSES


@dataclass(frozen=True)
class Raw:
    """One split as it was read. images: (n, 3, size, size) uint8; labels: (n,) int64."""

    images: np.ndarray
    labels: np.ndarray
    classes: tuple[str, ...]
    notice: str = ""
    kinds: np.ndarray | None = None  # patterns only


# on disk or not ------------------------------------------------------------------------------------------------------


def on_disk(name: str) -> bool:
    """Whether a published set is there; its archive, if that is there, is checked and unpacked. True for all others."""
    published = PUBLISHED.get(name)
    if published is None:
        return True
    if not published.complete(data_dir()) and archive(name).is_file():
        published.unpack(data_dir())
    return published.complete(data_dir())


def fetched(name: str) -> None:
    """The set is on disk afterwards: as it was, unpacked or downloaded, with progress; else UserError."""
    if not on_disk(name):
        published = PUBLISHED[name]
        urls = download.mirrors(published.ARCHIVE)
        download.fetch(urls, archive(name), published.ARCHIVE_MD5, size=published.ARCHIVE_BYTES)
        published.unpack(data_dir())


def delivered(name: str, seconds: float) -> bool:
    """Whether the set is on disk, or is now, after at most so many seconds of downloading."""
    if on_disk(name):
        return True
    published = PUBLISHED[name]
    wanted = {"md5": published.ARCHIVE_MD5, "size": published.ARCHIVE_BYTES}
    if not download.within(published.ARCHIVE, archive(name), seconds=seconds, **wanted):
        return False
    fetched(name)
    return True


def archive(name: str) -> Path:
    """Where the archive of a published set belongs."""
    return data_dir() / PUBLISHED[name].ARCHIVE


def root(name: str) -> Path:
    """The folder of a data set, whether it is there or not."""
    if name == "mini-imagenet":
        return Path(os.environ.get("EASEL_IMAGENET") or data_dir() / "imagenet").expanduser()
    if name in PUBLISHED:
        return data_dir() / PUBLISHED[name].FOLDER
    return Path(name).expanduser()


def wnids(name: str) -> tuple[str, ...] | None:
    """The class folders that are read; None: all."""
    return {"mini-imagenet": tuple(MINI_IMAGENET), "tiny-imagenet-10": tuple(TINY_IMAGENET_10)}.get(name)


def state(name: str) -> tuple:
    """What a loaded data set depends on beside its name: files by path, size and time. A change means: read again."""
    if name == "patterns":
        return ()
    where = root(name).absolute()
    if hasattr(PUBLISHED.get(name), "files"):
        paths = [path.absolute() for path in PUBLISHED[name].files(data_dir())]
    else:
        paths = _paths(folders.listing(where, "train", wnids(name)))
        if folders.split_folder(where, "test"):
            paths += _paths(folders.listing(where, "test", wnids(name)))
    digest = hashlib.sha256()
    for path in paths:
        with suppress(FileNotFoundError):  # a dangling link: reading will name it
            stat = path.stat()
            digest.update(f"{path}|{stat.st_size}|{stat.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return (str(where), digest.hexdigest())


def _paths(listing: dict[str, list[Path]]) -> list[Path]:
    return [path for group in listing.values() for path in group]


# reading -------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def own_size(name: str, marks: tuple) -> int:
    """The side in pixels that a set's images get where none is asked for. marks: the set's `state`."""
    if name in OWN_SIZES:
        return OWN_SIZES[name]
    return folders.common_side(_paths(folders.listing(root(name), "train", wnids(name))))


def read(name: str, split: str, size: int) -> Raw:
    """The "train" or "test" split of a set that is on disk, brought to this side. UserError for what is damaged."""
    if name == "cifar10":
        raw = Raw(*cifar.read(data_dir(), split), cifar.CLASSES)
    elif name == "cifar100":
        raw = Raw(*cifar100.read(data_dir(), split))
    elif name == "stl10":
        raw = Raw(*stl10.read(data_dir(), split), stl10.CLASSES)
    elif name == "patterns":
        images, labels, kinds = _drawn(split)
        raw = Raw(images, labels, patterns.CLASSES, PATTERNS_NOTICE, kinds)
    else:
        return _folder(name, split, size)
    room(name, len(raw.images), size)
    return Raw(_resized(raw.images, size), raw.labels, raw.classes, raw.notice, raw.kinds)


_drawn = lru_cache(maxsize=2)(patterns.draw)  # 2 s saved for every further size


def _folder(name: str, split: str, size: int) -> Raw:
    where, classes = root(name), wnids(name)
    files = folders.listing(where, split, classes)
    if folders.split_folder(where, "test"):
        other = {"train": "test", "test": "train"}[split]
        pair = {split: files, other: folders.listing(where, other, classes)}
        folders.same_classes(where, pair["train"], pair["test"])
    paths = _paths(files)
    room(str(where), len(paths), size)
    labels = np.repeat(np.arange(len(files)), [len(group) for group in files.values()])
    words = {**MINI_IMAGENET, **TINY_IMAGENET_10} if classes else {}
    crop = 224 / 256 if name == "mini-imagenet" else 1.0
    notice = tiny_imagenet.NOTICE if name == "tiny-imagenet-10" else ""
    return Raw(folders.read(paths, size, crop), labels, tuple(words.get(k, k) for k in files), notice)


def room(where: str, images: int, size: int) -> None:
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


def statistics(images: np.ndarray) -> tuple[tuple, tuple]:
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
