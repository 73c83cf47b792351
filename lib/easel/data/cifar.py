"""CIFAR-10 as torchvision lays it out, read without executing anything. Nothing here downloads; no pickle is ever run.

The batch files are pickles, and a pickle is a program. Two locks: the MD5 of a file is checked before its first byte is
interpreted, and what is then interpreted is a list of inert values by `parse`, which imports and calls nothing.
"""

import os
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from easel.data import archives
from easel.data.archives import unpack_members
from easel.errors import UserError

NAME = "cifar10"
FOLDER = "cifar-10-batches-py"
ARCHIVE = "cifar-10-python.tar.gz"
ARCHIVE_MD5 = "c58f30108f718f92721af3b95e74349a"
ARCHIVE_BYTES = 170_498_071
BATCHES = {  # split: ((file, MD5), ...) in the official order of the examples
    "train": (
        ("data_batch_1", "c99cafc152244af753f735de768cd75f"),
        ("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
        ("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
        ("data_batch_4", "634d18415352ddfa80567beed471001a"),
        ("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
    ),
    "test": (("test_batch", "40351d587109b95175f43aff81a1287e"),),
}
META = ("batches.meta", "5ff9c542aee3614f3951f8cda6e48888")  # laid there for torchvision; not read here
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)  # as published, 0..1 scale [A, notes]
ROWS = 10_000  # examples a batch file


def files(root: Path) -> list[Path]:
    """The six batch files, where they belong in the data folder root."""
    return [root / FOLDER / file for split in BATCHES.values() for file, _ in split]


def complete(root: Path) -> bool:
    """Whether all six lie there (their bytes are checked when they are read)."""
    return all(path.is_file() for path in files(root))


def read(root: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 3, 32, 32) uint8 and labels (n,) int64 of "train" or "test", in the official order.

    Raises UserError naming the file whose bytes are not the published ones, with both MD5 sums.
    """
    batches = BATCHES[split]
    images = np.empty((len(batches) * ROWS, 3, 32, 32), np.uint8)
    labels = np.empty(len(batches) * ROWS, np.int64)

    def fill(k: int) -> None:
        rows = slice(k * ROWS, (k + 1) * ROWS)
        file, md5 = batches[k]
        images[rows], labels[rows] = _batch(root / FOLDER / file, md5)

    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:  # hashing and copying release the GIL
        list(pool.map(fill, range(len(batches))))
    return images, labels


def _batch(path: Path, md5: str) -> tuple[np.ndarray, np.ndarray]:
    content = checked(path, md5)
    try:
        table = parse(content)
        data, labels = table[b"data"], np.asarray(table[b"labels"], np.int64)
        if data.shape != (ROWS, 3072) or labels.shape != (ROWS,) or labels.min() < 0 or labels.max() > 9:
            raise UserError(f"it holds {data.shape} pixels and {labels.shape} labels, not {ROWS} images")
    except (KeyError, AttributeError, TypeError, ValueError) as error:  # UserError is a ValueError
        raise UserError(f"{path}: not a CIFAR-10 batch ({error}); delete it and run: easel data cifar10") from error
    return data.reshape(ROWS, 3, 32, 32), labels


def checked(path: Path, md5: str) -> bytes:
    """The file's content, if its MD5 is the given one; UserError with both sums and the fix otherwise."""
    return archives.checked(path, md5, NAME)


def unpack(root: Path) -> None:
    """Lays the batch files of root/cifar-10-python.tar.gz, once its MD5 is right, into root/cifar-10-batches-py.

    Only the seven known names are taken, as plain files, each checked and then renamed into place; what is there stays
    as it is. Links, paths and anything else in the archive are not looked at.
    """
    archives.check(root / ARCHIVE, ARCHIVE_MD5, NAME)
    wanted = {f"{FOLDER}/{file}": (file, md5) for file, md5 in (*BATCHES["train"], *BATCHES["test"], META)}
    unpack_members(root / ARCHIVE, root / FOLDER, wanted)


class _Name(str):
    """A global that a pickle names. It stays a name: nothing is imported."""


_ARRAY = "numpy.core.multiarray._reconstruct", "numpy.ndarray", "numpy.dtype"


def parse(content: bytes) -> dict:
    """The dictionary in a CIFAR file (pickle protocol 2), built from its numbers, byte strings and arrays only.

    A tiny reader of the two dozen opcodes that these files use. It knows one kind of object, numpy's uint8 array, and
    makes it from the bytes itself. Any other opcode, global or object: UserError. Array bytes are not copied.
    """
    view, at, stack, marks, memo = memoryview(content), 0, [], [], {}

    def number(form: str):
        nonlocal at
        (value,) = struct.unpack_from(form, content, at)
        at += struct.calcsize(form)
        return value

    def since_mark() -> list:
        start = marks.pop()
        values = stack[start:]
        del stack[start:]
        return values

    def text(size: int):
        nonlocal at
        if size < 0 or at + size > len(content):
            raise UserError("the file ends in the middle of a string")
        value = view[at : at + size]
        at += size
        return value if size > 4096 else bytes(value)

    def line() -> str:
        nonlocal at
        end = content.index(b"\n", at)
        value = content[at:end].decode("ascii")
        at = end + 1
        return value

    try:
        while True:
            op = content[at : at + 1]
            at += 1
            if op == b"U":
                stack.append(text(number("<B")))
            elif op == b"K":
                stack.append(number("<B"))
            elif op == b"r":
                memo[number("<I")] = stack[-1]
            elif op == b"q":
                memo[number("<B")] = stack[-1]
            elif op == b"h":
                stack.append(memo[number("<B")])
            elif op == b"j":
                stack.append(memo[number("<I")])
            elif op == b"(":
                marks.append(len(stack))
            elif op in _SIMPLE:
                stack.append(_SIMPLE[op]())
            elif op == b"T":
                stack.append(text(number("<i")))
            elif op == b"X":  # a unicode string: its UTF-8 bytes
                stack.append(text(number("<I")))
            elif op == b"M":
                stack.append(number("<H"))
            elif op == b"J":
                stack.append(number("<i"))
            elif op == b"e":
                values = since_mark()
                stack[-1].extend(values)
            elif op == b"a":
                value = stack.pop()
                stack[-1].append(value)
            elif op == b"u":
                values = since_mark()
                stack[-1].update(zip(values[::2], values[1::2], strict=True))
            elif op == b"s":
                value, key = stack.pop(), stack.pop()
                stack[-1].update({key: value})
            elif op == b"t":
                stack.append(tuple(since_mark()))
            elif op in _TUPLES:
                values = stack[-_TUPLES[op] :]
                del stack[-_TUPLES[op] :]
                stack.append(tuple(values))
            elif op == b"c":
                name = f"{line()}.{line()}"
                if name not in _ARRAY:
                    raise UserError(f"the pickle names {name}, which no CIFAR batch does")
                stack.append(_Name(name))
            elif op == b"R":
                arguments, name = stack.pop(), stack.pop()
                stack.append(_made(name, arguments))
            elif op == b"b":
                state = stack.pop()
                stack[-1].set(state)
            elif op == b"\x80":
                if number("<B") != 2:
                    raise UserError("not pickle protocol 2")
            elif op == b".":
                return {k: v.array() if isinstance(v, _Array) else v for k, v in stack.pop().items()}
            else:
                raise UserError(f"opcode {op!r} at byte {at - 1}, which no CIFAR batch holds")
    except (IndexError, KeyError, AttributeError, TypeError, ValueError, struct.error) as error:
        raise error if isinstance(error, UserError) else UserError(f"damaged at byte {at}") from error


_SIMPLE = {b"}": dict, b"]": list, b")": tuple, b"N": lambda: None, b"\x88": lambda: True, b"\x89": lambda: False}
_TUPLES = {b"\x85": 1, b"\x86": 2, b"\x87": 3}


class _Dtype:
    """numpy.dtype('u1'): the only one these files use; its state (byte order, flags) carries nothing for one byte."""

    def set(self, state: tuple) -> None:
        if state[1] != b"|":
            raise UserError("an array that is not of single bytes")


class _Array:
    """numpy.ndarray on its way: shape and bytes arrive with `set`."""

    def set(self, state: tuple) -> None:
        _version, self.shape, dtype, self.fortran, self.bytes = state
        if not isinstance(dtype, _Dtype):
            raise UserError("an array without the dtype uint8")

    def array(self) -> np.ndarray:
        flat = np.frombuffer(self.bytes, np.uint8)
        return flat.reshape(self.shape, order="F" if self.fortran else "C")


def _made(name: object, arguments: tuple) -> _Array | _Dtype:
    if isinstance(name, _Name) and name == "numpy.core.multiarray._reconstruct" and arguments[0] == "numpy.ndarray":
        return _Array()
    if isinstance(name, _Name) and name == "numpy.dtype" and arguments[0] == b"u1":
        return _Dtype()
    raise UserError(f"the pickle calls {name}{arguments!r}, which no CIFAR batch does"[:200])
