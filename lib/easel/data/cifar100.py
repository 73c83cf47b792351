"""CIFAR-100 as torchvision lays it out, its 100 fine classes. Nothing here downloads.

Its files are pickles like CIFAR-10's and are read as those are: MD5 first, then `cifar.parse`.
"""

from pathlib import Path

import numpy as np

from easel.data import archives, cifar
from easel.errors import UserError

NAME = "cifar100"
FOLDER = "cifar-100-python"
ARCHIVE = "cifar-100-python.tar.gz"
ARCHIVE_MD5 = "eb9058c3a382ffc7106e4002c42a8d85"
ARCHIVE_BYTES = 169_001_437
FILES = {  # MD5 of each, as in torchvision
    "train": "16019d7e3df5f24257cddd939b257f8d",
    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    "meta": "7973b15100ade9c7d40fb424638fde48",
}
ROWS = {"train": 50_000, "test": 10_000}


def files(root: Path) -> list[Path]:
    """The three files, where they belong in the data folder root."""
    return [root / FOLDER / file for file in FILES]


def complete(root: Path) -> bool:
    """Whether all three lie there (their bytes are checked when they are read)."""
    return all(path.is_file() for path in files(root))


def unpack(root: Path) -> None:
    """Lays the files of root/cifar-100-python.tar.gz, once its MD5 is right, into root/cifar-100-python."""
    archives.check(root / ARCHIVE, ARCHIVE_MD5, NAME)
    wanted = {f"{FOLDER}/{file}": (file, md5) for file, md5 in FILES.items()}
    archives.unpack_members(root / ARCHIVE, root / FOLDER, wanted)


def read(root: Path, split: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Images (n, 3, 32, 32) uint8, fine labels (n,) int64 of "train" or "test", official order; the 100 class names.

    Raises UserError naming the file whose bytes are not the published ones, with both MD5 sums.
    """
    table, path = _table(root, split)
    try:
        data, labels = table["data"], np.asarray(table["fine_labels"], np.int64)
        if data.shape != (ROWS[split], 3072) or labels.shape != (ROWS[split],) or not set(labels) <= set(range(100)):
            raise UserError(f"it holds {data.shape} pixels and {labels.shape} labels, not {ROWS[split]} images")
    except (KeyError, AttributeError, TypeError, ValueError) as error:  # UserError is a ValueError
        raise _no_batch(path, error) from error
    return data.reshape(-1, 3, 32, 32).copy(), labels, _classes(root)


def _classes(root: Path) -> tuple[str, ...]:
    table, path = _table(root, "meta")
    try:
        names = tuple(table["fine_label_names"])
        if len(set(names)) != 100:
            raise UserError(f"it holds {len(set(names))} names, not 100")
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise _no_batch(path, error) from error
    return names


def _table(root: Path, file: str) -> tuple[dict, Path]:
    path = root / FOLDER / file
    content = archives.checked(path, FILES[file], NAME)
    try:
        return cifar.parse(content), path
    except UserError as error:
        raise _no_batch(path, error) from error


def _no_batch(path: Path, error: Exception) -> UserError:
    return UserError(f"{path}: not a file of CIFAR-100 ({error}); delete it and run: easel data {NAME}")
