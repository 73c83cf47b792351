"""Images that are no files: arrays, torch and torchvision data sets, Hugging Face's, as one .npz that is a data set.

    from easel.data.arrays import save_arrays
    save_arrays("./digits.npz", MNIST("data"), test=MNIST("data", train=False))    # torchvision.datasets.MNIST
    Trial(data="./digits.npz", ...)                # or: easel run --dataset ./digits.npz, easel audit ./digits.npz

The file holds train_images, train_labels, classes and, where there are any, test_images and test_labels: uint8
(n, 3, H, W) and int64 (n,). Its fingerprint is that of its content, as of every data set.
"""

import io
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from easel import files
from easel.data.folders import LARGEST, SMALLEST, check_bytes, check_memory, rgb, squared, stats_of
from easel.errors import UserError

PREFIX = {"train": "train_", "test": "test_"}


@dataclass(frozen=True)
class Arrays:
    """A file of `save_arrays`, as `folders.Folder` is a folder of images: the methods that data sets ask for."""

    root: Path

    def split(self, split: str) -> Path | None:
        """The file, if it holds the split; UserError where there is no such file, or another kind of file."""
        return self.root if f"{PREFIX[split]}images" in self._arrays() else None

    def listing(self, split: str) -> dict[str, list[Path]]:
        """{class: the file}; UserError without that split."""
        arrays = self._arrays()
        if f"{PREFIX[split]}images" not in arrays:
            raise UserError(f"{self.root} holds no {split} images; save_arrays(..., test=...) puts them there")
        return {str(name): [self.root] for name in arrays["classes"]}

    def paths(self, split: str) -> list[Path]:
        """The one file."""
        return [self.root]

    def stats(self) -> list[tuple[str, int, int, int]]:
        """As `Folder.stats`, of the one file."""
        return stats_of([self.root])

    def side(self) -> int:
        """The images' own short side, 8..224."""
        return int(np.clip(min(self._arrays()["train_images"].shape[2:]), SMALLEST, LARGEST))

    def remarks(self) -> str:
        """Nothing: what is in the file is what was put there."""
        return ""

    def read(self, split: str, size: int) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
        """As `Folder.read`."""
        self.listing(split)
        arrays = self._arrays()
        images, labels = arrays[f"{PREFIX[split]}images"], arrays[f"{PREFIX[split]}labels"]
        check_memory(self.root, len(images), size)
        if images.shape[2:] != (size, size):
            pictures = (Image.fromarray(np.ascontiguousarray(one.transpose(1, 2, 0))) for one in images)
            images = np.stack([squared(picture, size).transpose(2, 0, 1) for picture in pictures])
        return np.ascontiguousarray(images), labels.astype(np.int64), tuple(map(str, arrays["classes"]))

    def _arrays(self) -> dict[str, np.ndarray]:
        try:
            check_archive(self.root)
            with np.load(self.root, allow_pickle=False) as archive:
                found = {name: archive[name] for name in archive.files}
            checks = [found["train_images"].shape[1] == 3, found["train_images"].dtype == np.uint8]
            checks += [found["train_labels"].max() < len(found["classes"]), found["train_images"].ndim == 4]
        except UserError:
            raise
        except FileNotFoundError:
            raise UserError(f"{self.root}: no such file; easel.data.arrays.save_arrays writes one") from None
        except (OSError, ValueError, LookupError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as fault:
            why = " ".join(str(fault).split())
            raise UserError(f"{self.root}: not a file of easel.data.arrays.save_arrays ({why})") from None
        if not all(checks):
            raise UserError(f"{self.root}: train_images must be uint8 (n, 3, H, W) with a class for every label")
        return found


def check_archive(path: Path) -> None:
    """UserError for a file whose arrays would not fit into three quarters of this machine's memory."""
    with files.open_regular(path) as file, zipfile.ZipFile(file) as archive:
        check_bytes(path, sum(one.file_size for one in archive.infolist()), "arrays", "give fewer images")


def save_arrays(path, train: Iterable, test: Iterable | None = None, classes: Sequence[str] | None = None) -> Path:
    """Writes (image, label) pairs as a data set and returns the file's path; test: the test split.

    train, test: any data set of pairs, of {"image": …, "label": …}, or (images, labels) as two arrays. An image is a
    Pillow image, or an array or tensor (H, W), (H, W, 1 | 3) or (1 | 3, H, W), uint8 or float in 0..1; all get the
    smallest short side of them, at most 224. classes: names, by label; the data set's own `classes`, else the numbers.
    UserError: what is no such image, no images, labels that are not whole numbers from 0.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise UserError(f"{path}: the file's name must end in .npz")
    own = classes or getattr(train, "classes", None)
    arrays = {}
    for split, pairs in (("train", train), ("test", test)):
        if pairs is not None:
            pictures, labels = zip(*((_picture(image), label) for image, label in _pairs(pairs)), strict=True)
            side = min(LARGEST, *(min(picture.size) for picture in pictures))
            arrays[f"{PREFIX[split]}images"] = np.stack([squared(one, side).transpose(2, 0, 1) for one in pictures])
            arrays[f"{PREFIX[split]}labels"] = np.array([_label(label) for label in labels], np.int64)
    count = max(int(arrays[name].max()) for name in arrays if name.endswith("labels")) + 1
    if own is not None and len(own) < count:
        raise UserError(f"{len(own)} names of classes for labels up to {count - 1}: one for each label")
    buffer = io.BytesIO()
    np.savez(buffer, classes=np.array([str(name) for name in own or range(count)]), **arrays)
    return files.write_atomically(files.make_folder(path.absolute().parent) / path.name, buffer.getvalue())


def _pairs(of) -> Iterable[tuple]:
    """(image, label) pairs, whatever the data set calls them."""
    if isinstance(of, tuple) and len(of) == 2:
        of = list(zip(*of, strict=True))
    items = [of[i] for i in range(len(of))] if hasattr(of, "__getitem__") else list(of)
    if not items:
        raise UserError("no images: give at least one pair of an image and its label")
    for item in items:
        if isinstance(item, dict):
            image = next((item[name] for name in ("image", "img") if name in item), None)
            item = (image, next((item[name] for name in ("label", "fine_label") if name in item), None))
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise UserError(f"{type(item).__name__}: give pairs of an image and its label")
        yield tuple(item)


def _picture(image) -> Image.Image:
    if isinstance(image, Image.Image):
        return rgb(image)
    values = np.asarray(image)
    if values.ndim == 3 and values.shape[0] in (1, 3) and values.shape[2] not in (1, 3):
        values = values.transpose(1, 2, 0)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[:, :, 0]
    if values.dtype.kind == "f" and values.size and values.min() >= 0 and values.max() <= 1:
        values = np.round(values * 255).astype(np.uint8)
    if values.dtype != np.uint8 or values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] != 3):
        raise UserError(
            f"an image of {values.dtype} and shape {values.shape}: give uint8 or float in 0..1, in one colour or three"
        )
    return Image.fromarray(np.ascontiguousarray(values)).convert("RGB")


def _label(label) -> int:
    if int(label) != label or label < 0:
        raise UserError(f"label {label!r}: a whole number from 0")
    return int(label)
