"""Where things are, and writing files so that a reader sees the old one or the new one, never half of one.

Order of events: temporary file in the same folder, fsync, rename, fsync of the folder. A power cut, SIGKILL or a full
disk at any moment leaves what was there before; what may remain is a file named `.NAME.….part`, which nobody reads and
`sweep_parts` removes. A small JSON of ours carries the SHA-256 of its own content (`sealed`).
"""

import errno
import hashlib
import json
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from easel.errors import UserError

try:
    import fcntl
except ImportError:  # Windows: what is being written is known by its age alone
    fcntl = None

WHY = {  # a folder cannot be written to, in words; of other faults the system's own
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.ENOENT: "there is no such file or folder",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EEXIST: "a file of that name is in the way",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EISDIR: "it is a folder",
    errno.ELOOP: "it is a link to itself",
    errno.EFBIG: "a file would be larger than is allowed here (ulimit -f)",
    errno.EIO: "the disk reports an error",
    errno.ESTALE: "the network folder is no longer there",
}
PART_S = 3600.0  # after so long a .part file that no process holds is left over: writing one takes seconds

_UMASK = os.umask(0o022)  # reading it means setting it, which is not thread-safe: once, at import
os.umask(_UMASK)


@contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Turns the faults of a folder that cannot be written (read-only, full, no folder) into a UserError naming it."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write to the folder {folder}: {why(error)}; "
            "make it writable or make room, or name another one in EASEL_RESULTS"
        ) from error


def why(error: OSError) -> str:
    """What was wrong with a file or folder, in a few words."""
    return WHY.get(error.errno) or error.strerror or str(error)


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
                if fcntl is not None:
                    with suppress(OSError):  # a file system without locks
                        fcntl.flock(file, fcntl.LOCK_SH)  # somebody's, as long as this process writes it
                file.write(content)
                file.flush()
                os.fsync(file.fileno())  # while it is locked
            publish(temporary, path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
    return path


def publish(temporary: Path, path: Path) -> Path:
    """Renames a finished file of the same folder to its final name: on the disk first, then visible, old or new."""
    path = Path(path)
    with open(temporary, "rb+") as file:  # to write, or Windows does not sync it
        os.fsync(file.fileno())
    os.chmod(temporary, 0o666 & ~_UMASK)  # mkstemp makes 0600; others who may read the folder may read this
    os.replace(temporary, path)
    if hasattr(os, "O_DIRECTORY"):  # not on Windows, where a folder cannot be opened
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return path


def sweep_parts(folder: Path) -> None:
    """Removes what was left in a folder by writers that were killed: .….part that is old and that no process holds."""
    for path in Path(folder).glob(".*.part"):
        with suppress(OSError):
            if time.time() - path.lstat().st_mtime < PART_S:
                continue
            if path.is_dir():
                shutil.rmtree(path)
                continue
            with open_regular(path) as file:
                if fcntl is not None:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


# reading what somebody else may have laid there -----------------------------------------------------------------------


def open_regular(path: Path) -> BinaryIO:
    """A file opened for reading. OSError for what is none: a folder, and a pipe or device, which would never end."""
    unblocked = getattr(os, "O_NONBLOCK", 0)  # or opening a pipe would wait
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | unblocked))  # noqa: SIM115 - the caller's
    if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return file
    file.close()
    raise OSError(errno.EINVAL, "it is no ordinary file", str(path))


def read_regular(path: Path) -> bytes:
    """The content of a file; OSError as `open_regular`."""
    with open_regular(path) as file:
        return file.read()


def sealed(content: dict) -> dict:
    """A JSON object with the SHA-256 of its own content, as its last entry."""
    rest = {name: value for name, value in content.items() if name != "sha256"}
    text = json.dumps(rest, sort_keys=True, ensure_ascii=False)
    return rest | {"sha256": hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()}


def unsealed(blob: bytes) -> dict:
    """The JSON object that stands in these bytes, as it was when it was `sealed`: its "sha256" is right, or not there.

    ValueError says what is wrong with it.
    """
    try:
        content = json.loads(blob)
    except (ValueError, RecursionError) as fault:
        raise ValueError(f"it cannot be read ({type(fault).__name__})") from None
    if not isinstance(content, dict):
        raise ValueError("it holds no names and values")
    if "sha256" in content and sealed(content)["sha256"] != content["sha256"]:
        raise ValueError("its content does not match its SHA-256")
    return content


_CHECKOUT = Path(__file__).resolve().parents[2]
# The checkout; of a library that was installed without one, the folder that one works in.
ROOT = _CHECKOUT if (_CHECKOUT / "notebooks" / "profiles.yaml").is_file() else Path.cwd()


def data_dir() -> Path:
    """Folder of the data sets: $EASEL_DATA, else data/ of the checkout or working folder."""
    return named_folder(os.environ.get("EASEL_DATA") or ROOT / "data")


def results_dir() -> Path:
    """Folder of everything that is made: $EASEL_RESULTS, else results/ of the checkout or working folder."""
    return named_folder(os.environ.get("EASEL_RESULTS") or ROOT / "results")


def named_folder(name: str | Path) -> Path:
    """The path that somebody gave, ~ and ~NAME being home folders; UserError where a path cannot be so called."""
    try:
        path = Path(name).expanduser()
    except RuntimeError:
        raise UserError(f"{str(name)!r}: there is no home folder of that name; write the path out") from None
    if "\0" in str(path):
        raise UserError(f"{str(name)!r}: a path has no zero byte in it")
    return path


def store_dir() -> Path:
    """Folder of this machine's trained trials, one record a file."""
    return results_dir() / "trials"


def ledgers_dir() -> Path:
    """Folder of released records, read when the store lacks a trial, never written by training."""
    return ROOT / "results" / "ledgers"
