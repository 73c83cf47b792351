"""Any folder of images, train/CLASS/… and val/CLASS/… (or test/CLASS/…), as one uint8 array. It writes nothing.

Order is by class name, then by file path inside the class, so an example's id means the same file on every machine.
A picture is read as an eye would see it: rotated as its EXIF says, transparency on white, 16 bits brought down to 8.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from easel.errors import UserError

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
LARGEST = 224  # pixels: the side images get unless they all share a smaller one (the paper's mini-ImageNet size)
SMALLEST = 8  # pixels: what is smaller is stretched to it
FOLDER_SPLITS = {"train": ("train",), "test": ("val", "test")}  # ours: the folder's, the first that is there


def split_folder(root: Path, split: str) -> Path | None:
    """The folder of "train" or "test" in root (val/ before test/), or None where there is none."""
    return next((root / name for name in FOLDER_SPLITS[split] if (root / name).is_dir()), None)


def listing(root: Path, split: str, classes: tuple[str, ...] = ()) -> dict[str, list[Path]]:
    """Class folder's name -> its image files, both sorted; hidden files and other kinds of file are passed over.

    classes: the class folders to read (others are ignored); none: all, two at least.
    Raises UserError where a folder is missing, unreadable, without class folders, or a class has no image.
    """
    _entries(root)  # says so where the root itself is missing or unreadable
    folder = split_folder(root, split)
    if folder is None:
        names = " or ".join(f"{name}/" for name in FOLDER_SPLITS[split])
        raise UserError(f"{root}: no folder {names} in it; a set of images is laid out as train/CLASS/…, val/CLASS/…")
    here = sorted(e.name for e in _entries(folder) if e.is_dir() and not e.name.startswith("."))
    if not here:
        raise UserError(f"{folder}: no class folders in it; put every class' images into a folder of their own")
    if not classes and len(here) == 1:
        raise UserError(f"{folder}: only one class ({here[0]}); telling classes apart takes two folders or more")
    missing = sorted(set(classes) - set(here))
    if missing:
        raise UserError(f"{folder}: no class folder {', '.join(missing)}; it is needed beside {len(here)} others there")
    files = {name: _images(folder / name) for name in classes or here}
    for name, found in files.items():
        if not found:
            raise UserError(f"{folder / name}: no image in it; add images ({' '.join(sorted(SUFFIXES))}) or remove it")
    return files


def same_classes(root: Path, train: dict[str, list[Path]], test: dict[str, list[Path]]) -> None:
    """UserError unless both splits have the same class folders."""
    odd = sorted(set(train) ^ set(test))
    if odd:
        other = split_folder(root, "test").name
        only = "; ".join(f"{name} is only in {'train' if name in train else other}/" for name in odd[:5])
        raise UserError(f"{root}: its splits have different classes ({only}); give both the same folders")


def _entries(folder: Path) -> list[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError as error:
        raise UserError(f"{folder}: no such folder; it should hold train/CLASS/… and val/CLASS/…") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = getattr(error, "strerror", None) or error
        raise UserError(f"{str(folder)!r}: cannot be read ({why}); name a readable folder") from error


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


def common_side(files: list[Path]) -> int:
    """Side of the square images in pixels: the short side that all files share, from 8 to 224, else 224."""
    sides = set()
    for path in files:
        with _opened(path) as image:
            sides.add(min(image.size))
        if len(sides) > 1 or max(sides) > LARGEST:
            return LARGEST
    return max(sides.pop(), SMALLEST)


def read_pictures(files: list[Path], size: int, crop: float = 1.0) -> np.ndarray:
    """Pictures as (n, 3, size, size) uint8 RGB: the short side brought to size / crop, then the centre cut out.

    crop: side of the cut over the short side, 0..1 (224/256 is ImageNet's "resize 256, centre crop 224").
    Raises UserError naming the first file that is no image, is truncated or corrupt, or cannot be read.
    """
    images = np.empty((len(files), 3, size, size), np.uint8)
    pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1))  # decoding releases the GIL
    try:
        for row, picture in enumerate(pool.map(partial(picture_of, size=size, crop=crop), files)):
            images[row] = picture.transpose(2, 0, 1)
    finally:
        pool.shutdown(cancel_futures=True)  # at the first bad file the others are not waited for
    return images


def picture_of(path: Path, size: int, crop: float = 1.0) -> np.ndarray:
    """One picture (size, size, 3) uint8, as `read_pictures` takes it."""
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
        with Image.open(path, formats=FORMATS) as image:
            yield image
    except UserError:
        raise
    except Exception as error:
        if isinstance(error, Image.UnidentifiedImageError):
            why = "not an image that can be identified"
        else:
            why = " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
        raise UserError(f"{path}: not a readable image ({why}); repair the file or take it away") from error


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
