"""Data sets as uint8 tensors with stable ids, labels, class names, a fingerprint. Nothing here normalises or augments.

cifar10, cifar100, stl10, tiny-imagenet-10      published: checked byte by byte, downloaded where missing (`published`)
patterns           drawn by code, with known frequent, rare and contradicted patterns; needs no file and no network
mini-imagenet      the paper's ten classes, picked out of your own ImageNet folder
./a/folder         your own images: train/CLASS/…, and val/CLASS/… if there is one; a path has a slash in it
./a/folder~0.2     the same where there is no val/: a fifth of every class is held out as the test split
./a/file.npz       your own arrays (`own.save_arrays`)

Any of them takes @PIXELS at its end, the side that the images are brought to: cifar10@64, ./a/folder@96.
(A folder whose own name ends so is meant by a slash after it: ./odd@96/)
"""

import hashlib
import json
import math
import os
import re
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import cache, lru_cache
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
import PIL
import torch
from PIL import features

from easel import files
from easel.data import download, own, patterns
from easel.data.published import CHOICES, PUBLISHED, Published
from easel.errors import UserError, is_whole

SPLITS = ("train", "test", "merged")
MANY_FILES = 1000  # of a folder: to look at them all takes a time that is felt
SIZES = range(own.SMALLEST, 513)  # pixels: sides that images can be brought to
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


def names() -> tuple[str, ...]:
    """The data sets that have a name: published ones, patterns, mini-imagenet."""
    first, *others = PUBLISHED
    return (first, "patterns", *others, "mini-imagenet")


class Name(NamedTuple):
    """A data set's name, parsed: "cifar10@64" is Name("cifar10", 64). `Name.of` makes it, str() writes it."""

    plain: str  # without @PIXELS: a published set's, "patterns", "mini-imagenet", or a folder's path
    pixels: int | None  # the side that is asked for; None: the set's own

    def __str__(self) -> str:
        return self.plain if self.pixels is None else f"{self.plain}@{self.pixels}"

    @classmethod
    def of(cls, name: "str | os.PathLike | Name", or_choice: bool = False) -> "Name":
        """The name of a data set that there may be; or_choice: "auto" and "photographs" are names, too.

        Raises UserError that lists the names where there is none such, or the sizes where 8..512 does not hold it.
        """
        if isinstance(name, Name):
            return name
        text = os.fspath(name) if isinstance(name, str | os.PathLike) else repr(name)
        sized = re.fullmatch(r"(.*)@([0-9]{1,9})", text, re.DOTALL)
        found = cls(sized[1], int(sized[2])) if sized else cls(text, None)
        if sized and found.pixels not in SIZES:
            raise UserError(f"{text!r}: after the @, a whole number of pixels from {SIZES[0]} to {SIZES[-1]}")
        if found.plain in CHOICES and not or_choice:
            raise UserError(f"{text!r} stands for one of several data sets: easel.data.choose says which")
        if found.plain not in (*CHOICES, *names()) and "/" not in found.plain and os.sep not in found.plain:
            raise UserError(
                f"no data set {text!r}: it is one of {', '.join((*CHOICES, *names()))}, or a folder's path with a "
                "slash in it; each with @PIXELS at its end if another size is wanted"
            )
        return found


# loading -------------------------------------------------------------------------------------------------------------


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


def load(name: str | os.PathLike | Name, split: str = "train") -> Dataset:
    """A data set by name or by its folder's path; a second call for unchanged files reads none of them again.

    Its images have the side that the name says, 8..512 pixels, else the set's own (folders: the short side that all
    share, if at most 224, else 224). A published set that is not on disk is downloaded, with progress. Raises UserError
    for unknown names, splits and sizes, for missing or unreadable folders, and for the file that is damaged.
    """
    name, pixels = Name.of(name)
    if split not in SPLITS:
        raise UserError(f"no split {split!r}: it is one of {', '.join(SPLITS)}")
    fetch_missing(name)
    state = marks(name)
    return _load(name, split, pixels or _own_size(name, state), state)


@lru_cache(maxsize=8)
def _load(name: str, split: str, size: int, marks: tuple) -> Dataset:
    if split == "merged":
        train, test = (_load(name, part, size, marks) for part in ("train", "test"))
        images, labels = torch.cat([train.images, test.images]), torch.cat([train.labels, test.labels])
        kinds = None if train.kinds is None else np.concatenate([train.kinds, test.kinds])
        mark = fingerprint(images, labels, train.classes)
        ids = np.arange(len(labels))
        return replace(train, split=split, images=images, labels=labels, ids=ids, kinds=kinds, fingerprint=mark)
    pixels, labels, classes, kinds = read_split(name, split, size)
    published = PUBLISHED.get(name)
    if published and published.channels:
        mean, std = published.channels
    elif split == "train":
        mean, std = statistics(pixels)
    else:
        train = _load(name, "train", size, marks)
        mean, std = train.mean, train.std
    notice = published.notice if published else {"patterns": PATTERNS_NOTICE}.get(name, "")
    if name not in names() and split == "train":
        notice = _folder(name).remarks()
    images, labels = torch.from_numpy(pixels), torch.from_numpy(labels)
    mark = fingerprint(images, labels, classes)
    return Dataset(name, split, images, labels, np.arange(len(labels)), classes, mean, std, mark, notice, kinds)


def subset(dataset: Dataset, images: int | None, seed: int = 0) -> Dataset:
    """So many examples of a data set, as many of every class, drawn from the seed, in official order. None: all.

    Where the number does not divide, or a class runs out, the others take its share. From one seed, the smaller subset
    lies in the larger one. Raises UserError for more images than there are or fewer than there are classes.
    """
    if images is None:
        return dataset
    if not is_whole(images, least=len(dataset.classes)) or images > len(dataset):
        raise UserError(
            f"images {images!r}: a whole number, or None for all; {dataset.name} ({dataset.split}) has {len(dataset)}, "
            f"and each of its {len(dataset.classes)} classes needs one"
        )
    if not is_whole(seed):
        raise UserError(f"subset seed {seed!r}: a whole number from 0")
    if images == len(dataset):
        return dataset
    labels = dataset.labels.numpy()
    generator = np.random.PCG64([int(seed), *b"subset"])  # raw bits, which no NumPy version changes
    lot, class_lot = generator.random_raw(len(labels)), generator.random_raw(len(dataset.classes))
    order = np.lexsort((lot, labels))  # class by class, each in an order of its own
    turn = np.empty(len(labels), np.int64)  # an example's place in it
    turn[order] = np.arange(len(labels)) - np.searchsorted(labels[order], labels[order])
    drawn = np.lexsort((class_lot[labels], turn))[: int(images)]  # a round for every class, classes in drawn order
    return dataset.take(np.sort(drawn))


@lru_cache(maxsize=8)
def part(whole: Dataset, images: int | None, seed: int) -> Dataset:
    """`subset`, one copy of it for all callers in a process."""
    return subset(whole, images, seed)


# what is asked for ---------------------------------------------------------------------------------------------------


def choose(name: str | os.PathLike, *, wait_s: float = 60) -> str:
    """A data set that can be had, by its name with @PIXELS if that was asked for.

    "auto": "cifar10" if it is on disk or delivered within wait_s seconds, else "patterns"; nothing waits twice for it.
    "photographs": "mini-imagenet" if there is a folder of ImageNet (or EASEL_IMAGENET names one), else
    "tiny-imagenet-10" if it is on disk, else "patterns"; nothing is downloaded.
    Other names are checked and returned: UserError if unknown, or if a folder of images is not there or has not its
    classes. What can be downloaded need not be there: `load` gets it.
    """
    plain, pixels = Name.of(name, or_choice=True)
    if plain == "auto":
        plain = "cifar10" if fetch_missing("cifar10", wait_s) else "patterns"
    elif plain == "photographs" and (os.environ.get("EASEL_IMAGENET") or root("mini-imagenet").is_dir()):
        plain = "mini-imagenet"
    elif plain == "photographs":
        plain = "tiny-imagenet-10" if on_disk("tiny-imagenet-10") else "patterns"
    if on_disk(plain) and (folder := _folder(plain)):
        for split in ("train", "test") if plain in names() else ("train",):
            folder.listing(split)
    return str(Name(plain, pixels))


def describe(name: str | os.PathLike) -> dict:
    """What a data set is, and where: name, where, ready; if ready images (a split), classes, size, fingerprint, notice.

    It downloads nothing: what is not on disk has ready=False and where says why. Raises UserError for an unknown name.
    """
    name = Name.of(name)
    found = {"name": str(name), "ready": False}
    try:
        if not on_disk(name.plain):
            return found | {"where": missing(name.plain)}
        train = load(name)
    except UserError as error:
        return found | {"where": str(error)}
    where = "drawn by easel itself" if name.plain == "patterns" else str(root(name.plain))
    images = {split: len(load(name, split)) for split in ("train", "test")[: 1 + has_tests(name)]}
    found |= {"where": where, "ready": True, "images": images, "classes": train.classes}
    return found | {"size": train.images.shape[-1], "fingerprint": train.fingerprint, "notice": train.notice}


# on disk or not ------------------------------------------------------------------------------------------------------


def root(name: str) -> Path:
    """The folder of a data set, whether it is there or not."""
    if name == "mini-imagenet":
        return files.named_folder(os.environ.get("EASEL_IMAGENET") or files.data_dir() / "imagenet")
    if name in PUBLISHED:
        return files.data_dir() / PUBLISHED[name].folder
    return files.named_folder(_held(name)[0])


def _held(name: str) -> tuple[str, float]:
    """A folder's path, and the share of its training images that is held out as its test split: "./birds~0.2"."""
    found = re.fullmatch(r"(.+)~(0?\.[0-9]{1,4})", name, re.DOTALL)
    return (found[1], float(found[2])) if found else (name, 0.0)


def on_disk(name: str) -> bool:
    """Whether a published set is there; its archive, if that is there, is checked and unpacked. True for all others."""
    published, here = PUBLISHED.get(name), files.data_dir()
    if published and not published.complete(here) and (here / published.archive).is_file():
        published.lay(here)
    return published is None or published.complete(here)


def fetch_missing(name: str, seconds: float | None = None) -> bool:
    """Whether the set is on disk afterwards: as it was, unpacked or downloaded, with progress.

    seconds: False if no mirror delivers it in so short a time; None: UserError if none delivers it.
    """
    if on_disk(name):
        return True
    published = PUBLISHED[name]
    urls = download.mirrors(published.archive, published.urls)
    file = urls, files.data_dir() / published.archive, published.md5, published.bytes
    if seconds is None:
        download.fetch(*file)
    elif not download.fetch_within(*file, seconds):
        return False
    published.lay(files.data_dir())
    return True


def missing(name: str) -> str:
    """Where a published set is not yet, and what gets it."""
    return f"not yet in {root(name)}; easel data {name} gets it ({PUBLISHED[name].bytes / 1e6:,.0f} MB)"


def marks(name: str) -> tuple:
    """What a loaded data set depends on beside its name: files by path, size and time, and who reads them.

    A change means: read again. Every naming of a trial asks, so where there are many files an answer is kept for three
    times as long as it took to find: of 5,000 on a disk a third of a second.
    """
    if name == "patterns":
        return ()
    where = str(root(name).absolute())
    digest, until = _KEPT.get((name, where), ("", 0.0))
    began = time.monotonic()
    if began >= until:
        folder = _folder(name)
        stats = folder.stats() if folder else own.stats_of(PUBLISHED[name].paths(files.data_dir()))
        digest = hashlib.sha256(repr(stats).encode(errors="surrogateescape")).hexdigest()
        if len(stats) > MANY_FILES:
            now = time.monotonic()
            _KEPT[name, where] = digest, now + 3 * (now - began)
    return (where, digest, PUBLISHED[name].read if name in PUBLISHED else None)


_KEPT: dict[tuple[str, str], tuple[str, float]] = {}  # of `marks`: the answer, and until when it is good


# reading -------------------------------------------------------------------------------------------------------------


def _folder(name: str) -> own.Folder | own.Arrays | None:
    """The folder of images, or own arrays, as which a set lies here; None for one that is drawn or has other files."""
    if name == "patterns" or (name in PUBLISHED and PUBLISHED[name].files):
        return None
    if name == "mini-imagenet":
        return own.Folder(root(name), MINI_IMAGENET, crop=224 / 256)
    if root(name).suffix == ".npz":
        return own.Arrays(root(name))
    share = 0.0 if name in PUBLISHED else _held(name)[1]
    return own.Folder(root(name), PUBLISHED[name].classes if name in PUBLISHED else {}, hold_out=share)


def own_name(name: str) -> str:
    """What a data set's results are called: a folder's or a file's own name, or the name of a set of ours."""
    return name if name in names() else Path(os.path.realpath(root(name))).name.removesuffix(".npz")


def own_files(dataset: Dataset) -> list[str] | None:
    """Each example's file, as a path in its split's folder of somebody's own; None for every other set of images."""
    found = [files_of(dataset.name, split) for split in ("train", "test") if dataset.split in (split, "merged")]
    if dataset.name in names() or None in found:
        return None
    paths = [Path(os.path.relpath(path, folder)).as_posix() for folder, files in found for path in files]
    return [paths[i].encode(errors="replace").decode() for i in dataset.ids]  # bytes that are no UTF-8: a "?"


def with_files(titles: list[str], dataset: Dataset, rows) -> list[str]:
    """Titles of these examples, to stand above pictures: of somebody's own folder the file's name comes below each."""
    files = own_files(dataset)
    if files is None:
        return titles
    short = (PurePosixPath(files[i]).stem for i in rows)
    short = (name if len(name) < 15 else f"{name[:4]}…{name[-9:]}" for name in short)
    return [f"{title}\n{name}" for title, name in zip(titles, short, strict=True)]


def has_tests(name: str | os.PathLike | Name) -> bool:
    """Whether a data set has a test split; UserError for an unknown name or a folder that cannot be read."""
    folder = _folder(Name.of(name).plain)
    return folder is None or folder.split("test") is not None


def files_of(name: str, split: str = "train") -> tuple[Path, list[Path]] | None:
    """The folder of a split and its image files by id; None for sets that are no folder of images."""
    folder = _folder(name)
    return (folder.split(split), folder.paths(split)) if isinstance(folder, own.Folder) else None


def own_side(name: str) -> int | None:
    """The side in pixels of a set's images, where its name says it; None for own."""
    if name in PUBLISHED:
        return PUBLISHED[name].side
    return {"patterns": patterns.SIDE, "mini-imagenet": own.LARGEST}.get(name)


@lru_cache(maxsize=64)
def _own_size(name: str, marks: tuple) -> int:
    """The side in pixels that a set's images get where none is asked for; a folder's files are looked at once."""
    return own_side(name) or _folder(name).side()


def read_split(name: str, split: str, size: int) -> tuple[np.ndarray, np.ndarray, tuple[str, ...], np.ndarray | None]:
    """The "train" or "test" split of a set that is on disk: images brought to this side, labels, class names, kinds.

    Images (n, 3, size, size) uint8, labels (n,) int64, kinds (n,) str of patterns, else None. UserError for what is
    damaged, and for more than this machine's memory holds.
    """
    if folder := _folder(name):
        return *folder.read(split, size), None
    if name == "patterns":
        images, labels, kinds = _drawn(split)
        classes = patterns.CLASSES
    else:
        kinds, (images, labels, classes) = None, PUBLISHED[name].read(PUBLISHED[name], files.data_dir(), split)
    return own.resized(name, images, size), labels, classes, kinds


_drawn = lru_cache(maxsize=2)(patterns.draw)  # 2 s saved for every further size


def statistics(images: np.ndarray) -> tuple[tuple, tuple]:
    """Channel means and standard deviations on the 0..1 scale to four digits, from exact integer histograms."""
    mean, std = [], []
    values = np.arange(256)
    for channel in range(3):
        parts = (images[row : row + 1000, channel].ravel() for row in range(0, len(images), 1000))
        counts = sum(np.bincount(part, minlength=256) for part in parts)
        n, total, squares = int(counts.sum()), int(counts @ values), int(counts @ values**2)
        mean.append(round(total / n / 255, 4))
        std.append(max(round(math.sqrt((n * squares - total**2) / n**2) / 255, 4), 0.0001))  # a flat channel: not 0
    return tuple(mean), tuple(std)


# what a trial's key needs to know ------------------------------------------------------------------------------------
# Naming a trial reads no image: one small JSON for each part of a set at a size, in results/facts, holds for the same
# files, by path, size and time, read by the same code; else the set is read again. Nothing here downloads.


@dataclass(frozen=True)
class Facts:
    """Of a split, or of a class-balanced part of it, at a size."""

    fingerprint: str  # of its content
    mean: tuple[float, float, float]  # of each channel over the whole training split, 0..1 scale
    std: tuple[float, float, float]
    examples: int
    classes: tuple[str, ...]
    side: int  # pixels


def facts_of(name: str | os.PathLike, split: str = "train", images: int | None = None, subset_seed: int = 0) -> Facts:
    """The facts of `subset(load(name, split), images, subset_seed)`: from results/facts, or else the set is read.

    UserError as in `load` and `subset`; and where the set is not on this machine, which says what gets it.
    """
    name = Name.of(name)
    if not on_disk(name.plain):
        raise UserError(f"{name.plain}: {missing(name.plain)}")
    return _facts_of(name, split, images, 0 if images is None else subset_seed, _state(name.plain))


@lru_cache(maxsize=256)
def _facts_of(name: Name, split: str, images: int | None, subset_seed: int, state: str) -> Facts:
    asked = [name.plain, name.pixels, split, images, subset_seed]
    mark = hashlib.sha256(repr([*asked, str(root(name.plain).absolute())]).encode(errors="surrogateescape"))
    path = files.results_dir() / "facts" / f"{mark.hexdigest()[:16]}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):  # none, or not whole: the set is read
        found = files.unsealed(files.read_regular(path))
        if state and found.pop("sha256") and found.pop("state") == state and found.pop("of") == asked:
            return Facts(**{key: tuple(value) if isinstance(value, list) else value for key, value in found.items()})
    found = part(load(name, split), images, subset_seed)
    facts = Facts(found.fingerprint, found.mean, found.std, len(found), found.classes, found.images.shape[-1])
    if state and _state(name.plain) == state:  # nobody changed a file while it was read
        with suppress(OSError, UserError):  # where nothing can be written the set is read by every process
            path.parent.mkdir(parents=True, exist_ok=True)
            content = files.sealed({"of": asked, "state": state} | asdict(facts))
            files.write_atomically(path, json.dumps(content, indent=1).encode())
    return facts


def _state(name: str) -> str:
    """What the facts hold for, hex: the set's files, its entry, and the code that reads them; "" if that is not ours.

    Somebody's own reader may change between two processes, and nothing here would notice.
    """
    where = marks(name)[:2]
    entry = PUBLISHED.get(name)
    if entry is not None:
        if entry.read is not None and getattr(entry.read, "__module__", None) != Published.__module__:
            return ""
        where += (entry.side, entry.rows, entry.classes, entry.files, entry.channels)
    return hashlib.sha256(f"{_code()} {where}".encode(errors="surrogateescape")).hexdigest()


@cache
def _code() -> str:
    """What turns files into arrays: the source of this room, and the libraries that decode and draw."""
    digest = hashlib.sha256(f"{np.__version__} {PIL.__version__} {features.version('jpg')}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
