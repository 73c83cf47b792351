"""Published archives and their files: checked byte by byte, then laid out. Nothing here downloads or interprets.

A file's MD5 is compared with the published one before its first byte is read as anything; what comes out of an archive
are the members that are known by name, as plain files, each whole or not at all.
"""

import hashlib
import os
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from easel.errors import UserError
from easel.files import publish


def checked(path: Path, md5: str, name: str) -> bytes:
    """The content of a file of data set `name`, if its MD5 is this one; UserError with both sums and the fix if not."""
    with _readable(path, name):
        content = path.read_bytes()
    _same(path, _md5(content), md5, name)
    return content  # the bytes that were checked, not the file's, which may change


def check(path: Path, md5: str, name: str) -> None:
    """The same for a file too large to hold."""
    with _readable(path, name):
        found = md5_of(path)
    _same(path, found, md5, name)


def md5_of(path: Path) -> str:
    """The MD5 of a file, hex, read piece by piece. OSError where it cannot be read."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@contextmanager
def _readable(path: Path, name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); run: easel data {name}") from error


def _same(path: Path, found: str, md5: str, name: str) -> None:
    if found != md5:
        raise UserError(
            f"{path}: wrong bytes, MD5 is {found}, expected {md5}; delete this file and run: easel data {name}"
        )


def unpack_members(archive: Path, folder: Path, wanted: dict[str, tuple[str, str]]) -> None:
    """Takes members {name in the archive: (file name, MD5)} of a .tar.gz into folder, each whole or not at all.

    Links, paths and anything else in the archive are not looked at; a file that is there already stays as it is.
    """
    left = {name for name, (file, _) in wanted.items() if not (folder / file).exists()}
    with unpacking(archive, folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive, "r:gz") as tar:
            while left and (member := tar.next()) is not None:  # no further than needed: STL-10's holds 2.7 GB more
                if member.name not in left or not member.isreg():
                    continue
                file, md5 = wanted[member.name]
                content = tar.extractfile(member).read()
                if _md5(content) != md5:
                    raise UserError(f"{archive}: its {file} has wrong bytes; delete the archive and download it again")
                put(folder / file, content)
                left.remove(member.name)


@contextmanager
def unpacking(archive: Path, folder: Path) -> Iterator[None]:
    """Turns what can go wrong with the archive or with the disk into one UserError."""
    try:
        yield
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"{archive}: cannot be unpacked into {folder} ({why}); make room and make the folder writable, "
            "or point EASEL_DATA at a folder that is"
        ) from error


def put(path: Path, content: bytes) -> None:
    """A file under its final name, whole or not at all."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        publish(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
