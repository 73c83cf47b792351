"""Where things are, and writing files so that a reader sees the old one or the new one, never half of one.

Order of events: temporary file in the same folder, fsync, rename, fsync of the folder. A power cut, SIGKILL or a full
disk at any moment leaves what was there before; what may remain is a file named `.NAME.….part`, which nobody reads.
"""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from easel.errors import UserError

WHY = {  # a folder cannot be written to, in words
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.ENOENT: "there is no such folder",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EEXIST: "a file of that name is in the way",
    errno.ENAMETOOLONG: "the name is too long",
}

_UMASK = os.umask(0o022)  # reading it means setting it, which is not thread-safe: once, at import
os.umask(_UMASK)


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Turns the faults of a folder that cannot be written (read-only, full, no folder) into a UserError naming it."""
    try:
        yield
    except OSError as error:
        if error.errno not in WHY:
            raise
        raise UserError(
            f"cannot write to the folder {folder}: {WHY[error.errno]}; "
            "make it writable or make room, or name another one in EASEL_RESULTS"
        ) from error


def make_folder(folder: Path) -> Path:
    """The folder, created with its parents if missing and proven writable by writing a file; else UserError."""
    folder = Path(folder)
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".writable.", suffix=".part") as file:
            file.write(b"x")
    return folder


def write_atomically(path: Path, content: bytes) -> Path:
    """Puts content at path, whole or not at all, and on the disk before it returns. The folder must exist.

    Raises UserError naming the folder where it is read-only or full; the older file at path is then as it was.
    """
    path = Path(path)
    with writing_to(path.parent):
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            publish(temporary, path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
    return path


def publish(temporary: Path, path: Path) -> Path:
    """Renames a finished file of the same folder to its final name: on the disk first, then visible, old or new."""
    path = Path(path)
    os.chmod(temporary, 0o666 & ~_UMASK)  # mkstemp makes 0600; others who may read the folder may read this
    with open(temporary, "rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)
    if hasattr(os, "O_DIRECTORY"):  # not on Windows, where a folder cannot be opened
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return path


ROOT = Path(__file__).resolve().parents[2]  # the checkout


def data_dir() -> Path:
    """Folder of the data sets: $EASEL_DATA, else data/ of the checkout."""
    return Path(os.environ.get("EASEL_DATA") or ROOT / "data").expanduser()


def results_dir() -> Path:
    """Folder of everything that is made: $EASEL_RESULTS, else results/ of the checkout."""
    return Path(os.environ.get("EASEL_RESULTS") or ROOT / "results").expanduser()


def store_dir() -> Path:
    """Folder of this machine's trained trials, one record a file."""
    return results_dir() / "trials"


def ledgers_dir() -> Path:
    """Folder of released records, read when the store lacks a trial, never written by training."""
    return ROOT / "results" / "ledgers"
