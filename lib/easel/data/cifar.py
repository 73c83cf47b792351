"""CIFAR-10 as torchvision lays it out. Nothing here downloads.

The batch files are pickles, and a pickle is a program. Two locks: the MD5 of a file is checked before its first byte is
interpreted, and the unpickler then knows three names, those of NumPy's array, which stand for inert notes.
"""

import io
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from easel.data import archives
from easel.data.archives import unpack_members
from easel.errors import UserError

NAME = "cifar10"
FOLDER = "cifar-10-batches-py"
ARCHIVE = "cifar-10-python.tar.gz"
ARCHIVE_MD5 = "c58f30108f718f92721af3b95e74349a"
ARCHIVE_BYTES = 170_498_071
BATCHES = {  # split: ((file, MD5), ...) in the official order of the examples
    "train": (
        ("data_batch_1", "c99cafc152244af753f735de768cd75f"),
        ("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
        ("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
        ("data_batch_4", "634d18415352ddfa80567beed471001a"),
        ("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
    ),
    "test": (("test_batch", "40351d587109b95175f43aff81a1287e"),),
}
META = ("batches.meta", "5ff9c542aee3614f3951f8cda6e48888")  # laid there for torchvision; not read here
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)  # as published, 0..1 scale [A, notes]
ROWS = 10_000  # examples a batch file


def files(root: Path) -> list[Path]:
    """The six batch files, where they belong in the data folder root."""
    return [root / FOLDER / file for split in BATCHES.values() for file, _ in split]


def complete(root: Path) -> bool:
    """Whether all six lie there (their bytes are checked when they are read)."""
    return all(path.is_file() for path in files(root))


def read(root: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 3, 32, 32) uint8 and labels (n,) int64 of "train" or "test", in the official order.

    Raises UserError naming the file whose bytes are not the published ones, with both MD5 sums.
    """
    batches = BATCHES[split]
    images = np.empty((len(batches) * ROWS, 3, 32, 32), np.uint8)
    labels = np.empty(len(batches) * ROWS, np.int64)

    def fill(k: int) -> None:
        rows = slice(k * ROWS, (k + 1) * ROWS)
        file, md5 = batches[k]
        images[rows], labels[rows] = _batch(root / FOLDER / file, md5)

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:  # hashing and copying release the GIL
        list(pool.map(fill, range(len(batches))))
    return images, labels


def _batch(path: Path, md5: str) -> tuple[np.ndarray, np.ndarray]:
    content = checked(path, md5)
    try:
        table = parse(content)
        data, labels = table["data"], np.asarray(table["labels"], np.int64)
        if data.shape != (ROWS, 3072) or labels.shape != (ROWS,) or labels.min() < 0 or labels.max() > 9:
            raise UserError(f"it holds {data.shape} pixels and {labels.shape} labels, not {ROWS} images")
    except (KeyError, AttributeError, TypeError, ValueError) as error:  # UserError is a ValueError
        raise UserError(f"{path}: not a CIFAR-10 batch ({error}); delete it and run: easel data cifar10") from error
    return data.reshape(ROWS, 3, 32, 32), labels


def checked(path: Path, md5: str) -> bytes:
    """The file's content, if its MD5 is the given one; UserError with both sums and the fix otherwise."""
    return archives.checked(path, md5, NAME)


def unpack(root: Path) -> None:
    """Lays the batch files of root/cifar-10-python.tar.gz, once its MD5 is right, into root/cifar-10-batches-py.

    Only the seven known names are taken, as plain files, each checked and then renamed into place; what is there stays
    as it is. Links, paths and anything else in the archive are not looked at.
    """
    archives.check(root / ARCHIVE, ARCHIVE_MD5, NAME)
    wanted = {f"{FOLDER}/{file}": (file, md5) for file, md5 in (*BATCHES["train"], *BATCHES["test"], META)}
    unpack_members(root / ARCHIVE, root / FOLDER, wanted)


class _Said:
    """What a pickle says of an array or of its type, kept and not acted on: NumPy would believe it, and may crash."""

    def __init__(self, *arguments: object):
        self.arguments = arguments

    def __setstate__(self, state: tuple) -> None:
        self.state = state

    def array(self) -> np.ndarray:
        """The uint8 array that was meant; ValueError or TypeError if none was."""
        _version, shape, kind, by_columns, content = self.state
        if kind.arguments[0] != "u1" or kind.state[1] != "|":
            raise ValueError("an array that is not of single bytes")
        return np.frombuffer(content.encode("latin1"), np.uint8).reshape(shape, order="F" if by_columns else "C")


class _Table(pickle.Unpickler):
    """A pickle may name NumPy's array, its type and what makes one: three names. Nothing is imported or called."""

    NAMES = ("numpy.core.multiarray._reconstruct", "numpy.ndarray", "numpy.dtype")

    def find_class(self, module: str, name: str) -> type[_Said]:
        if f"{module}.{name}" not in self.NAMES:
            raise UserError(f"the pickle names {module}.{name}, which no CIFAR batch does")
        return _Said


def parse(content: bytes) -> dict:
    """The dictionary in a CIFAR file, a pickle of Python 2: its strings as str, its array as uint8.

    UserError for a pickle that names anything but NumPy's array, or that is damaged.
    """
    try:
        table = _Table(io.BytesIO(content), encoding="latin1").load()
        return {key: value.array() if isinstance(value, _Said) else value for key, value in table.items()}
    except UserError:
        raise
    except Exception as error:  # a damaged pickle may raise whatever it happens to ask for
        raise UserError(f"damaged: {' '.join(str(error).split()) or type(error).__name__}") from error
