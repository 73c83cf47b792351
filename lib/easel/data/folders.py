"""Any folder of images, train/CLASS/… and val/CLASS/… (or test/CLASS/…), as one uint8 array. It writes nothing.

Order is by class name, then by file path inside the class, so an example's id means the same file on every machine.
A picture is read as an eye would see it: rotated as its EXIF says, transparency on white, 16 bits brought down to 8.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from easel.errors import UserError
from easel.files import open_regular, why

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
LARGEST = 224  # pixels: the side images get unless they all share a smaller one (the paper's mini-ImageNet size)
SMALLEST = 8  # pixels: what is smaller is stretched to it
FOLDER_SPLITS = {"train": ("train",), "test": ("val", "test")}  # ours: the folder's, the first that is there


@dataclass(frozen=True)
class Folder:
    """A folder of images. Its methods raise UserError where what they need is missing, unreadable or damaged."""

    root: Path
    classes: Mapping[str, str] = field(default_factory=dict)  # {class folder to read: its class' name}; empty: all
    crop: float = (
        1.0  # side of the centre that is cut out, over the short side (224/256: "resize 256, centre crop 224")
    )

    def split(self, split: str) -> Path | None:
        """The folder of "train" or "test" (val/ before test/), or None where there is none."""
        return next((self.root / name for name in FOLDER_SPLITS[split] if (self.root / name).is_dir()), None)

    def listing(self, split: str) -> dict[str, list[Path]]:
        """Class folder's name -> its image files, both sorted; hidden files and other kinds of file are passed over."""
        _entries(self.root)  # says so where the root itself is missing or unreadable
        folder = self.split(split)
        if folder is None:
            names = " or ".join(f"{name}/" for name in FOLDER_SPLITS[split])
            raise UserError(f"{self.root}: no folder {names} in it; images lie in train/CLASS/…, val/CLASS/…")
        here = sorted(e.name for e in _entries(folder) if _is_dir(e) and not e.name.startswith("."))
        if not here:
            raise UserError(f"{folder}: no class folders in it; put every class' images into a folder of their own")
        odd = [name for name in here if not _is_text(name)]
        if odd:
            raise UserError(f"{folder}: the class folder {odd[0]!r} has a name that is no UTF-8; rename it")
        if len(here) == 1 and not self.classes:
            raise UserError(f"{folder}: only one class ({here[0]}); telling classes apart takes two folders or more")
        missing = sorted(set(self.classes) - set(here))
        if missing:
            raise UserError(f"{folder}: no class folder {', '.join(missing)}; needed beside the {len(here)} there")
        files = {name: _images(folder / name) for name in self.classes or here}
        for name, found in files.items():
            if not found:
                raise UserError(f"{folder / name}: no image in it; add {' '.join(sorted(SUFFIXES))} files or remove it")
        return files

    def paths(self, split: str) -> list[Path]:
        """The image files of a split, in the order of their ids."""
        return [path for group in self.listing(split).values() for path in group]

    def side(self) -> int:
        """Side of the square images in pixels: the short side that all files to train on share, 8..224, else 224."""
        sides = set()
        for path in self.paths("train"):
            with _opened(path) as image:
                sides.add(min(image.size))
            if len(sides) > 1 or max(sides) > LARGEST:
                return LARGEST
        return max(sides.pop(), SMALLEST)

    def read(self, split: str, size: int) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
        """A split's images (n, 3, size, size) uint8, labels (n,) int64 and class names; both splits have the same."""
        files = self.listing(split)
        if self.split("test"):
            train, test = set(self.listing("train")), set(self.listing("test"))
            other = self.split("test").name
            odd = [f"{name} is only in {'train' if name in train else other}/" for name in sorted(train ^ test)]
            if odd:
                which = "; ".join(odd[:5])
                raise UserError(f"{self.root}: its splits have different classes ({which}); give both the same folders")
        paths = [path for group in files.values() for path in group]
        check_memory(self.root, len(paths), size)
        images = np.empty((len(paths), 3, size, size), np.uint8)
        pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1))  # decoding releases the GIL
        try:
            for row, picture in enumerate(pool.map(partial(picture_of, size=size, crop=self.crop), paths)):
                images[row] = picture.transpose(2, 0, 1)
        finally:
            pool.shutdown(cancel_futures=True)  # at the first bad file the others are not waited for
        labels = np.repeat(np.arange(len(files)), [len(group) for group in files.values()])
        return images, labels, tuple(self.classes.get(name, name) for name in files)


def _entries(folder: Path) -> list[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError as error:
        raise UserError(f"{folder}: no such folder; it should hold train/CLASS/… and val/CLASS/…") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        what = why(error) if isinstance(error, OSError) else error
        raise UserError(f"{str(folder)!r}: cannot be read ({what}); name a readable folder") from error


def _is_dir(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:  # a link to itself, a network folder that is gone
        raise UserError(f"{entry.path!r}: cannot be read ({why(error)}); repair it or take it away") from error


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes that are no UTF-8, as Python keeps them
        return False
    return True


def _images(folder: Path) -> list[Path]:
    found, waiting = [], [folder]
    while waiting:  # class folders may hold folders (Tiny ImageNet's original: train/WNID/images/)
        for entry in _entries(waiting.pop()):
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(Path(entry.path))
            elif Path(entry.name).suffix.lower() in SUFFIXES:
                found.append(Path(entry.path))
    return sorted(found, key=lambda path: path.relative_to(folder).parts)


def check_memory(where: object, images: int, size: int) -> None:
    """UserError where so many images of a side would not fit into three quarters of this machine's memory."""
    need = images * 3 * size * size
    have = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else sys.maxsize
    if need > 0.75 * have:
        raise UserError(
            f"{where}: {images} images of {size}x{size} take {need / 2**30:.1f} GiB, this machine has "
            f"{have / 2**30:.1f}; load them with a smaller size (@PIXELS after the name)"
        )


# one picture ---------------------------------------------------------------------------------------------------------


def picture_of(path: Path, size: int, crop: float = 1.0) -> np.ndarray:
    """A picture as (size, size, 3) uint8: `rgb`, then `squared`. UserError naming a file that is no whole image."""
    with _opened(path) as image:
        return squared(rgb(ImageOps.exif_transpose(image), path), size, crop)


def squared(image: Image.Image, size: int, crop: float = 1.0) -> np.ndarray:
    """The centre of a picture as (size, size, channels) uint8: the short side brought to size / crop, then cut."""
    cut = min(image.size) * crop
    left, top = (image.width - cut) / 2, (image.height - cut) / 2
    if (cut, *image.size) != (size, size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + cut, top + cut))
    return np.asarray(image)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """An image file, decoded only on demand; every way in which PIL can fail on it becomes one UserError."""
    try:
        with open_regular(path) as file, Image.open(file, formats=FORMATS) as image:
            yield image
    except UserError:
        raise
    except Exception as error:
        if isinstance(error, Image.UnidentifiedImageError):
            what = "not an image that can be identified"
        else:
            what = " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
        raise UserError(f"{path}: not a readable image ({what}); repair the file or take it away") from error


def rgb(image: Image.Image, path: Path | str = "image") -> Image.Image:
    """The picture in 8-bit RGB. 16 bits keep their upper eight (v // 256, not clipped); transparency lies on white."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        if image.mode == "F" or values.min() < 0 or values.max() > 65535:
            raise UserError(f"{path}: {image.mode} pixels, 32 bits a channel; convert it to 8 or 16 bits a channel")
        return Image.fromarray((values.astype(np.uint32) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")
