"""Somebody's own images: folders of them, and arrays and other libraries' sets as one .npz that is a data set.

A folder is train/CLASS/… and val/CLASS/…, and nothing is written to it. val/ may be called valid/, validation/ or
test/, or be missing; without train/ its own folders are the classes, or one .csv in it says which file has which label.
What is in it and not read is counted and named (`remarks`).
Order is by class name, then by file path inside the class, so an example's id means the same file on every machine.
A picture is read as an eye would see it: rotated as its EXIF says, transparency on white, 16 bits brought down to 8.

    from easel.data.own import save_arrays
    save_arrays("./digits.npz", MNIST("data"), test=MNIST("data", train=False))    # torchvision.datasets.MNIST
    Trial(data="./digits.npz", ...)                # or: easel run --dataset ./digits.npz, easel audit ./digits.npz

The file holds train_images, train_labels, classes and, where there are any, test_images and test_labels: uint8
(n, 3, H, W) and int64 (n,). Its fingerprint is that of its content, as of every data set.
"""

import csv
import hashlib
import io
import os
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, features

from easel import files
from easel.errors import UserError, reason

with suppress(ImportError):  # the plug-in for HEIC, where it is installed
    from pillow_heif import register_heif_opener

    register_heif_opener()

ENDINGS = {  # Pillow's name of a format: how its files end, as far as the installed Pillow reads it
    "JPEG": (".jpg", ".jpeg", ".jfif"),
    "PNG": (".png",),
    "BMP": (".bmp",),
    "GIF": (".gif",),
    "WEBP": (".webp",) * features.check("webp"),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm"),
    "AVIF": (".avif",) * bool(features.check("avif")),
    "JPEG2000": (".jp2", ".j2k") * features.check("jpg_2000"),
    "HEIF": (".heic", ".heif") * ("HEIF" in Image.OPEN),
}
SUFFIXES = {suffix for suffixes in ENDINGS.values() for suffix in suffixes}
FORMATS = tuple(kind for kind, suffixes in ENDINGS.items() if suffixes)
FIXES = dict.fromkeys((".heic", ".heif"), "pip install pillow-heif reads them")
LARGEST = 224  # pixels: the side images get unless they all share a smaller one (the paper's mini-ImageNet size)
SMALLEST = 8  # pixels: what is smaller is stretched to it
FOLDER_SPLITS = {"train": ("train",), "test": ("val", "valid", "validation", "test")}  # theirs: the first that is there
FILE_COLUMNS = ("file", "filename", "path", "image", "id")  # of a table of labels
LABEL_COLUMNS = ("label", "class", "category", "target")
PIXELS, PER_BYTE = 2 * 10**10, 100  # that a folder may hold, and more for every byte: photographs have a tenth of that
ODD = 0.02  # of the pictures: so many of another size are odd ones that set the size of all
DARK = 4096  # of 65,536: pictures of 16 bits that are nowhere brighter come out near black
LISTED = 8  # bad files that a message names; the others are counted


@dataclass(frozen=True)
class Folder:
    """A folder of images. Its methods raise UserError where what they need is missing, unreadable or damaged."""

    root: Path
    classes: Mapping[str, str] = field(default_factory=dict)  # {class folder to read: its class' name}; empty: all
    # side of the centre that is cut out, over the short side (224/256: "resize 256, centre crop 224")
    crop: float = 1.0
    hold_out: float = 0.0  # share of every class of the training images that is the test split, where there is none

    def split(self, split: str) -> Path | None:
        """The folder of "train" or "test" (val/ before test/), or None where there is none.

        The root itself where images lie in folders of their classes, or beside a table of labels, and in no splits; and
        the training folder for a test split that is held out of it.
        """
        there = self._named(split)
        if there is None and split == "train" and self._named("test") is None:
            there = self.root if self.labels or _class_folders(self.root) else None
        if split == "test" and self.hold_out:
            if there is not None:
                raise UserError(f"{there} is the test split; --hold-out is for a folder without one")
            return self.split("train")
        return there

    @property
    def labels(self) -> Path | None:
        """The table of labels of a folder without class folders: its only .csv file; None if there is none."""
        tables = [] if any(map(self._named, FOLDER_SPLITS)) else list(self.root.glob("*.csv"))
        return tables[0] if len(tables) == 1 else None

    def listing(self, split: str) -> dict[str, list[Path]]:
        """Class folder's name -> its image files, both sorted; hidden files and other kinds of file are passed over."""
        whole = self._whole(split)
        if not self.hold_out:
            return whole
        chosen = {}
        for name, paths in whole.items():  # by a hash of the name: a file that is added moves no other
            lot = sorted(paths, key=lambda path: hashlib.sha256(path.name.encode(errors="surrogateescape")).digest())
            out = set(lot[: max(1, round(self.hold_out * len(lot)))])
            chosen[name] = [path for path in paths if (path in out) == (split == "test")]
            if not chosen[name]:
                raise UserError(f"{self.root}: class {name} has {len(paths)} image; --hold-out leaves none of it")
        return chosen

    def _named(self, split: str) -> Path | None:
        return next((self.root / name for name in FOLDER_SPLITS[split] if (self.root / name).is_dir()), None)

    def _whole(self, split: str) -> dict[str, list[Path]]:
        _entries(self.root)  # says so where the root itself is missing or unreadable
        folder = self.split(split)
        if folder is None:
            names, fix = "train/", ""
            if split == "test":
                names, fix = "val/ or test/", "; --hold-out 0.2 takes a fifth of train/"
            raise UserError(f"{self.root}: no folder {names} in it; images lie in train/CLASS/…, val/CLASS/…{fix}")
        if folder == self.root and self.labels:
            return _by_table(self.labels)
        here = _class_folders(folder)
        if not here:
            raise UserError(f"{folder}: no class folders in it; put every class' images into a folder of their own")
        for name in here:
            if name != name.encode(errors="replace").decode():  # bytes that are no UTF-8, as Python keeps them
                raise UserError(f"{folder}: the class folder {name!r} has a name that is no UTF-8; rename it")
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

    def stats(self) -> list[tuple[str, int, int, int]]:
        """(path, bytes, times of change) of every image file, sorted: with a change of one the set must be read again.

        Asked for whenever a trial is named, so it makes no Path of a file and sorts strings: a tenth of `paths`' time.
        """
        _entries(self.root)
        if self.labels or self.split("train") is None:
            whole = self._whole("train")
            return stats_of([self.labels, *(path for group in whole.values() for path in group)])
        tops = dict.fromkeys(filter(None, map(self.split, FOLDER_SPLITS)))
        folders = [os.path.join(top, name) for top in tops for name in self.classes or _class_folders(top)]
        return sorted((entry.path, *_stat(entry)) for entry in _files(folders) if _ending(entry) in SUFFIXES)

    def side(self) -> int:
        """Side of the square images in pixels: the short side that all files to train on share, 8..224, else 224."""
        sides = set()
        for path in self.paths("train"):
            with suppress(UserError), _opened(path) as image:  # what is bad is named by `read`, all of it at once
                sides.add(min(image.size))
            if len(sides) > 1 or max(sides, default=0) > LARGEST:
                return LARGEST
        return max(*sides, SMALLEST) if sides else LARGEST

    def remarks(self) -> str:
        """What a reader of the training images must know, in sentences; "" where there is nothing.

        Files that are not read, by kind; odd sizes, which set the size of all; 16 bits that come out near black.
        """
        paths, said = self.paths("train"), []
        others = (entry for entry in _files([self.split("train")]) if entry.path != str(self.labels))
        kinds = Counter(_ending(entry) or entry.name for entry in others if _ending(entry) not in SUFFIXES)
        for kind, count in sorted(kinds.items()):
            fix = f" ({FIXES[kind]})" if kind in FIXES else ""
            said.append(f"{count} {kind} {'file is' if count == 1 else 'files are'} not read{fix}")
        sides, dark = [], []
        for path in paths:
            with _opened(path) as image:
                sides.append(min(image.size))
                if image.mode.startswith("I;16") and np.asarray(image).max() < DARK:
                    dark.append(path)
        usual, count = Counter(sides).most_common(1)[0]
        if 0 < len(sides) - count <= max(1, ODD * len(sides)) and usual <= LARGEST:
            odd = next(path.name for path, side in zip(paths, sides, strict=True) if side != usual)
            said.append(
                f"{len(sides) - count} of {len(sides):,} pictures have another side than {usual} pixels (first: {odd}) "
                f"and set the size of all to {self.side()}; @{max(usual, SMALLEST)} after the folder asks for theirs"
            )
        if dark:
            said.append(
                f"{len(dark)} pictures of 16 bits come out near black (first: {dark[0].name}): none of their values is "
                f"above {DARK:,} of 65,535; stretch them before"
            )
        return "; ".join(said)

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
        images = no_images(self.root, len(paths), size)
        pool = ThreadPoolExecutor(min(4, os.cpu_count() or 1))  # decoding releases the GIL
        most = PIXELS + PER_BYTE * sum(_stat(path)[0] for path in paths)
        try:
            bad, pixels = [], 0
            for row, (picture, decoded) in enumerate(pool.map(partial(_attempt, size=size, crop=self.crop), paths)):
                pixels += decoded
                if pixels > most:
                    raise UserError(
                        f"{self.root}: its {len(paths):,} files say that they hold more than {most / 1e9:,.0f} billion "
                        f"pixels, {PER_BYTE} a byte and more; take away those that are larger than photographs are"
                    )
                if isinstance(picture, UserError):
                    bad.append(picture)
                else:
                    images[row] = picture.transpose(2, 0, 1)
        finally:
            pool.shutdown(cancel_futures=True)
        if len(bad) == 1:
            raise bad[0]
        if bad:
            which = "; ".join(str(one).partition("; ")[0].replace(f"{self.root}/", "") for one in bad[:LISTED])
            more = f"; and {len(bad) - LISTED} more" if len(bad) > LISTED else ""
            raise UserError(f"{self.root}: {len(bad)} files are bad, repair them or take them away: {which}{more}")
        labels = np.repeat(np.arange(len(files)), [len(group) for group in files.values()])
        return images, labels, tuple(self.classes.get(name, name) for name in files)


def _entries(folder: Path) -> list[os.DirEntry]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError as error:
        raise UserError(f"{folder}: no such folder; it should hold train/CLASS/… and val/CLASS/…") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        what = files.why(error) if isinstance(error, OSError) else error
        raise UserError(f"{str(folder)!r}: cannot be read ({what}); name a readable folder") from error


def stats_of(paths: Iterable[Path]) -> list[tuple[str, int, int, int]]:
    """(path, bytes, times of change) of some files; with zeros of those that are not there."""
    return [(str(path), *_stat(path)) for path in paths]


def _stat(file: os.DirEntry | Path) -> tuple[int, int, int]:
    """Bytes and times of change; zeros for a link to nothing or to itself: reading will name it.

    The second time is the system's own, which no program can date back, as tar, rsync and `touch -d` do the first.
    """
    with suppress(OSError):
        stat = file.stat()
        return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
    return 0, 0, 0


def _class_folders(folder: Path) -> list[str]:
    """The names of the folders in a folder, sorted, but for hidden ones."""
    names = []
    for entry in _entries(folder):
        try:
            if not entry.name.startswith(".") and entry.is_dir():
                names.append(entry.name)
        except OSError as error:  # a link to itself, a network folder that is gone
            why = files.why(error)
            raise UserError(f"{entry.path!r}: cannot be read ({why}); repair it or take it away") from error
    return sorted(names)


def _files(folders: Iterable[Path | str]) -> Iterator[os.DirEntry]:
    """All files below some folders, but for hidden ones."""
    waiting = list(folders)
    while waiting:  # class folders may hold folders (Tiny ImageNet's original: train/WNID/images/)
        for entry in _entries(waiting.pop()):
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            else:
                yield entry


def _ending(file: os.DirEntry) -> str:
    return os.path.splitext(file.name)[1].lower()


def _images(folder: Path) -> list[Path]:
    found = (Path(entry.path) for entry in _files([folder]) if _ending(entry) in SUFFIXES)
    return sorted(found, key=lambda path: path.relative_to(folder).parts)


def _by_table(table: Path) -> dict[str, list[Path]]:
    """Label -> its files, both sorted, by a .csv with a header and two columns or more.

    The file's column is called file, filename, path, image or id, else it is the first; the label's label, class,
    category or target, else it is the second. UserError naming what is missing.
    """
    try:
        with open(table, encoding="utf-8-sig", newline="") as file:
            header, *rows = [row for row in csv.reader(file) if row] or [[]]
    except (UnicodeDecodeError, csv.Error) as fault:
        raise UserError(f"{table}: {reason(fault)}; save it as CSV in UTF-8") from None
    columns = [name.strip().lower() for name in header]
    at = next((columns.index(name) for name in FILE_COLUMNS if name in columns), 0)
    of = next((columns.index(name) for name in LABEL_COLUMNS if name in columns), 1)
    if len(header) < 2 or not rows or any(len(row) <= max(at, of) for row in rows):
        raise UserError(f"{table}: a header and rows of a file and its label are wanted: file,label")
    found: dict[str, list[Path]] = {}
    for row in rows:
        found.setdefault(row[of].strip(), []).append(table.parent / row[at].strip())
    gone = [path for paths in found.values() for path in paths if not path.is_file()]
    if gone:
        more = f" and {len(gone) - LISTED} more" if len(gone) > LISTED else ""
        names = ", ".join(os.path.relpath(path, table.parent) for path in gone[:LISTED])
        raise UserError(f"{table} names {len(gone)} files that are not there: {names}{more}")
    if len(found) < 2:
        raise UserError(f"{table}: only one label; telling classes apart takes two or more")
    return {name: sorted(set(found[name])) for name in sorted(found)}


def no_images(where: object, images: int, size: int) -> np.ndarray:
    """Room for so many images of a side, uint8 (images, 3, size, size); UserError as `_check_bytes`."""
    what, fix = f"{images} images of {size}x{size}", "load them with a smaller size (@PIXELS after the name)"
    _check_bytes(where, images * 3 * size * size, what, fix)
    return np.empty((images, 3, size, size), np.uint8)


def resized(where: object, images: np.ndarray, size: int) -> np.ndarray:
    """Images uint8 (n, 3, H, W) brought to a side as `squared` does; UserError as `no_images`."""
    if images.shape[2:] == (size, size):
        return np.ascontiguousarray(images)
    found = no_images(where, len(images), size)
    for row, image in enumerate(images):
        picture = Image.fromarray(np.ascontiguousarray(image.transpose(1, 2, 0)))
        found[row] = squared(picture, size).transpose(2, 0, 1)
    return found


def _check_bytes(where: object, need: int, what: str, fix: str) -> None:
    """UserError where so many bytes are more than three quarters of this machine's memory."""
    have = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else sys.maxsize
    if need > 0.75 * have:
        raise UserError(f"{where}: {what} take {need / 2**30:.1f} GiB, this machine has {have / 2**30:.1f}; {fix}")


# one picture ---------------------------------------------------------------------------------------------------------


def picture_of(path: Path, size: int) -> np.ndarray:
    """A picture as (size, size, 3) uint8: `rgb`, then `squared`. UserError naming a file that is no whole image."""
    with _opened(path) as image:
        return squared(rgb(ImageOps.exif_transpose(image), path), size)


def _attempt(path: Path, size: int, crop: float) -> tuple[np.ndarray | UserError, int]:
    """A picture, and how many pixels were decoded for it."""
    decoded = 0
    try:
        with _opened(path) as image:
            decoded = image.width * image.height
            return squared(rgb(ImageOps.exif_transpose(image), path), size, crop), decoded
    except UserError as error:  # the others are looked at before anybody is told
        return error, decoded


def squared(image: Image.Image, size: int, crop: float = 1.0) -> np.ndarray:
    """The centre of a picture as (size, size, channels) uint8: the short side brought to size / crop, then cut."""
    return np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR, bleed=(1 - crop) / 2))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """An image file, decoded only on demand; every way in which PIL can fail on it becomes one UserError."""
    try:
        with files.open_regular(path) as file, Image.open(file, formats=FORMATS) as image:
            yield image
    except UserError:
        raise
    except Exception as error:
        unknown = isinstance(error, Image.UnidentifiedImageError)
        what = "not an image that can be identified" if unknown else reason(error)
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


# arrays, and the sets of other libraries ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Arrays:
    """A file of `save_arrays`, as `Folder` is a folder of images: the methods that data sets ask for."""

    root: Path

    def split(self, split: str) -> Path | None:
        """The file, if it holds the split; UserError where there is no such file, or another kind of file."""
        return self.root if f"{split}_images" in self._arrays("train") else None

    def listing(self, split: str) -> dict[str, list[Path]]:
        """{class: the file}; UserError without that split."""
        return {str(name): [self.root] for name in self._arrays(split)["classes"]}

    def stats(self) -> list[tuple[str, int, int, int]]:
        """As `Folder.stats`, of the one file."""
        return stats_of([self.root])

    def side(self) -> int:
        """The images' own short side, 8..224."""
        return int(np.clip(min(self._arrays("train")["train_images"].shape[2:]), SMALLEST, LARGEST))

    def remarks(self) -> str:
        """Nothing: what is in the file is what was put there."""
        return ""

    def read(self, split: str, size: int) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
        """As `Folder.read`."""
        arrays = self._arrays(split)
        images = resized(self.root, arrays[f"{split}_images"], size)
        return images, arrays[f"{split}_labels"].astype(np.int64), tuple(map(str, arrays["classes"]))

    def _arrays(self, split: str) -> dict[str, np.ndarray]:
        try:
            with files.open_regular(self.root) as file, zipfile.ZipFile(file) as archive:
                need = sum(one.file_size for one in archive.infolist())
            _check_bytes(self.root, need, "arrays", "give fewer images")
            with np.load(self.root, allow_pickle=False) as archive:
                found = {name: archive[name] for name in archive.files}
            images = found["train_images"]
            good = images.ndim == 4 and images.shape[1] == 3 and images.dtype == np.uint8
            good = good and found["train_labels"].max() < len(found["classes"])
        except UserError:
            raise
        except FileNotFoundError:
            raise UserError(f"{self.root}: no such file; easel.data.own.save_arrays writes one") from None
        except (OSError, ValueError, LookupError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as fault:
            raise UserError(f"{self.root}: not a file of easel.data.own.save_arrays ({reason(fault)})") from None
        if not good:
            raise UserError(f"{self.root}: train_images must be uint8 (n, 3, H, W) with a class for every label")
        if f"{split}_images" not in found:
            raise UserError(f"{self.root} holds no {split} images; save_arrays(..., test=...) puts them there")
        return found


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
            arrays[f"{split}_images"] = np.stack([squared(one, side).transpose(2, 0, 1) for one in pictures])
            arrays[f"{split}_labels"] = np.array([_label(label) for label in labels], np.int64)
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
    keys = ("image", "img"), ("label", "fine_label")
    for item in items:
        if isinstance(item, dict):
            item = tuple(next((item[name] for name in names if name in item), None) for names in keys)
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


# pictures that look the same ------------------------------------------------------------------------------------------

# Two pictures are alike if of the 64 signs of their difference hash (each grey pixel of 9x8 brighter than its right
# neighbour; Krawetz 2013, "dHash") at most BITS differ, and their colours at 8x8 do not differ by more than LEVELS on
# average. The second condition is for plain pictures, whose signs are noise.
BITS = 6  # of 64 signs; unrelated pictures differ in 32, give or take 4 (and more where they are smooth)
LEVELS = 10  # of 255: mean difference of colours at 8x8
_ROWS = 1000  # pictures that are held against all others at once
_PAIRS = 100_000  # whose colours are compared at once


def look_alikes(images: np.ndarray) -> np.ndarray:
    """The position of the first picture that looks the same as each, its own if there is none before it.

    images: uint8 (n, 3, H, W). int64 (n,). Likeness is handed on: a like b and b like c puts all three together.
    """
    from scipy import sparse

    signs, colours = (np.stack(parts) for parts in zip(*map(_marks, images), strict=True))
    pairs = [np.empty((2, 0), int)]
    for start in range(0, len(images), _ROWS):
        apart = (signs.shape[1] - signs[start : start + _ROWS] @ signs.T) / 2
        one, other = np.nonzero(apart <= BITS)
        one, other = (side[one + start < other] for side in (one + start, other))
        for at in range(0, len(one), _PAIRS):
            both = one[at : at + _PAIRS], other[at : at + _PAIRS]
            near = np.abs(colours[both[0]] - colours[both[1]]).mean(1) <= LEVELS
            pairs.append(np.stack(both)[:, near])
    one, other = np.concatenate(pairs, axis=1)
    graph = sparse.coo_array((np.ones(len(one)), (one, other)), shape=(len(images),) * 2)
    _, group = sparse.csgraph.connected_components(graph, directed=False)
    _, first = np.unique(group, return_index=True)
    return first[group].astype(np.int64)


def _marks(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """64 signs (-1 or 1), and the colours at 8x8: float32 (64,) and (192,)."""
    whole = Image.fromarray(np.ascontiguousarray(picture.transpose(1, 2, 0)))
    grey = np.asarray(whole.convert("L").resize((9, 8), Image.Resampling.BOX), np.float32)
    colours = np.asarray(whole.resize((8, 8), Image.Resampling.BOX), np.float32)
    return np.where(grey[:, 1:] > grey[:, :-1], 1, -1).astype(np.float32).ravel(), colours.ravel()
