"""STL-10 as torchvision lays it out: its 5,000 training and 8,000 test images, 96x96. Nothing here downloads.

Its 100,000 images without labels are not unpacked. That is why torchvision's reader is not used: it asks for them.
"""

from pathlib import Path

import numpy as np

from easel.data import archives
from easel.errors import UserError

NAME = "stl10"
FOLDER = "stl10_binary"
ARCHIVE = "stl10_binary.tar.gz"
ARCHIVE_MD5 = "91f7769df0f17e558f3565bffb0c7dfb"
ARCHIVE_BYTES = 2_640_397_119
FILES = {  # split: (images, MD5), (labels, MD5), as in torchvision
    "train": (
        ("train_X.bin", "918c2871b30a85fa023e0c44e0bee87f"),
        ("train_y.bin", "5a34089d4802c674881badbb80307741"),
    ),
    "test": (
        ("test_X.bin", "7f263ba9f9e0b06b93213547f721ac82"),
        ("test_y.bin", "36f9794fa4beb8a2c72628de14fa638e"),
    ),
}
ROWS = {"train": 5_000, "test": 8_000}
SIDE = 96  # pixels
CLASSES = ("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck")


def files(root: Path) -> list[Path]:
    """The four files, where they belong in the data folder root."""
    return [root / FOLDER / file for split in FILES.values() for file, _ in split]


def complete(root: Path) -> bool:
    """Whether all four lie there (their bytes are checked when they are read)."""
    return all(path.is_file() for path in files(root))


def unpack(root: Path) -> None:
    """Lays the four files of root/stl10_binary.tar.gz, once its MD5 is right, into root/stl10_binary."""
    archives.check(root / ARCHIVE, ARCHIVE_MD5, NAME)
    wanted = {f"{FOLDER}/{file}": (file, md5) for split in FILES.values() for file, md5 in split}
    archives.unpack_members(root / ARCHIVE, root / FOLDER, wanted)


def read(root: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 3, 96, 96) uint8 and labels (n,) int64 of "train" or "test", in the official order.

    In the file an image is column by column and a label counts from 1; here rows come first and labels count from 0.
    Raises UserError naming the file that is cut short or whose bytes are not the published ones.
    """
    (pixels, pixels_md5), (marks, marks_md5) = FILES[split]
    images = _content(root / FOLDER / pixels, pixels_md5, ROWS[split] * 3 * SIDE * SIDE)
    labels = _content(root / FOLDER / marks, marks_md5, ROWS[split]).astype(np.int64) - 1
    if labels.min() < 0 or labels.max() >= len(CLASSES):
        raise UserError(f"{root / FOLDER / marks}: labels beyond 1..10; delete it and run: easel data {NAME}")
    columns_first = images.reshape(-1, 3, SIDE, SIDE)
    return np.ascontiguousarray(columns_first.transpose(0, 1, 3, 2)), labels


def _content(path: Path, md5: str, size: int) -> np.ndarray:
    """The bytes of a file; its size is looked at first, since a download that broke off is the likely fault."""
    if path.is_file() and path.stat().st_size != size:
        raise UserError(
            f"{path}: {path.stat().st_size:,} bytes, expected {size:,}; it was cut short or is another file: "
            f"delete it and run: easel data {NAME}"
        )
    return np.frombuffer(archives.checked(path, md5, NAME), np.uint8)
