"""Ten classes of Tiny ImageNet, taken out of its archive as folders of images. Nothing here downloads or decodes.

tiny-imagenet-200.zip holds train/WNID/images/WNID_K.JPEG and val/images/val_K.JPEG, with a table that says which class
a validation image is of. Here they lie as easel reads any folder, under the names they have: train/WNID/WNID_K.JPEG and
val/WNID/val_K.JPEG.
"""

import os
import shutil
import tempfile
import zipfile
from pathlib import Path

from easel.data import archives
from easel.errors import UserError

NAME = "tiny-imagenet-10"
FOLDER = NAME
ARCHIVE = "tiny-imagenet-200.zip"
ARCHIVE_MD5 = "90528d7ca1a48142e341f4ef8d21d0de"
ARCHIVE_BYTES = 248_100_043
EACH = {"train": 500, "val": 50}  # images a class
CLASSES = {
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
}
NOTICE = (
    "tiny-imagenet-10: real photographs of Tiny ImageNet, 64x64 pixels, in ten classes of which two (Persian cat and "
    "bow tie) are the paper's; they stand in for its mini ImageNet"
)


def complete(root: Path) -> bool:
    """Whether root/tiny-imagenet-10 is there (what is in it is looked at when it is read)."""
    return (root / FOLDER).is_dir()


def unpack(root: Path) -> None:
    """Lays the ten classes of root/tiny-imagenet-200.zip, once its MD5 is right, into root/tiny-imagenet-10.

    The folder appears whole or not at all. Raises UserError where the archive is damaged or the disk full.
    """
    archive = root / ARCHIVE
    archives.check(archive, ARCHIVE_MD5, NAME)
    with archives.unpacking(archive, root / FOLDER):
        scratch = Path(tempfile.mkdtemp(dir=root, prefix=f".{FOLDER}.", suffix=".part"))
        try:
            with zipfile.ZipFile(archive) as zipped:
                for member, place in _places(zipped):
                    target = scratch / FOLDER / place
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(zipped.read(member))
            if hasattr(os, "sync"):
                os.sync()  # the images first, then the name under which they are found
            try:
                (scratch / FOLDER).rename(root / FOLDER)
            except OSError:
                if not complete(root):  # if it is: another process was quicker
                    raise
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _places(zipped: zipfile.ZipFile) -> list[tuple[str, str]]:
    """(name in the archive, place in our folder) of every image of the ten classes, all found and none else."""
    top = ARCHIVE.removesuffix(".zip")
    places, names = [], set(zipped.namelist())
    for member in zipped.namelist():
        match member.split("/"):
            case [there, "train", wnid, "images", file] if there == top and wnid in CLASSES and file.endswith(".JPEG"):
                places.append((member, f"train/{wnid}/{file}"))
    try:
        table = zipped.read(f"{top}/val/val_annotations.txt").decode("ascii")
    except (KeyError, UnicodeDecodeError):
        table = ""
    for line in table.splitlines():  # val_0.JPEG, its WNID and a box, tabs between
        file, wnid, *_ = (*line.split("\t"), "", "")
        if wnid in CLASSES and f"{top}/val/images/{file}" in names:
            places.append((f"{top}/val/images/{file}", f"val/{wnid}/{file}"))
    for split, each in EACH.items():
        for wnid in CLASSES:
            found = sum(place.startswith(f"{split}/{wnid}/") for _, place in places)
            if found != each:
                raise UserError(
                    f"{zipped.filename}: {found} images of {wnid} for {split}/, not {each}; download it anew"
                )
    return places
