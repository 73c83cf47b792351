"""What a trial's key needs to know of a data set, kept in results/facts, so that naming a trial reads no image.

One small JSON for each part of a data set at a size. It holds for the same files, by path, size and time, read by the
same code; else the set is read again. Nothing here downloads: that is `sets.load`, when images are wanted.
"""

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import PIL
from PIL import features

from easel import files
from easel.data import published, sets
from easel.errors import UserError


@dataclass(frozen=True)
class Facts:
    """Of a split, or of a class-balanced part of it, at a size."""

    fingerprint: str  # of its content
    mean: tuple[float, float, float]  # of each channel over the whole training split, 0..1 scale
    std: tuple[float, float, float]
    examples: int
    classes: tuple[str, ...]
    side: int  # pixels


def of(name: str | os.PathLike, split: str = "train", images: int | None = None, subset_seed: int = 0) -> Facts:
    """The facts of `subset(load(name, split), images, subset_seed)`: from results/facts, or else the set is read.

    UserError as in `load` and `subset`; and where the set is not on this machine, which says what gets it.
    """
    name = sets.Name.of(name)
    if not sets.on_disk(name.plain):
        raise UserError(f"{name.plain}: {sets.missing(name.plain)}")
    return _of(name, split, images, 0 if images is None else subset_seed, _state(name.plain))


@lru_cache(maxsize=256)
def _of(name: sets.Name, split: str, images: int | None, subset_seed: int, state: str) -> Facts:
    asked = [name.plain, name.pixels, split, images, subset_seed]
    mark = hashlib.sha256(repr([*asked, str(sets.root(name.plain).absolute())]).encode(errors="surrogateescape"))
    path = files.results_dir() / "facts" / f"{mark.hexdigest()[:16]}.json"
    with suppress(OSError, ValueError, KeyError, TypeError):  # none, or not whole: the set is read
        found = files.unsealed(files.read_regular(path))
        if state and found.pop("sha256") and found.pop("state") == state and found.pop("of") == asked:
            return Facts(**{key: tuple(value) if isinstance(value, list) else value for key, value in found.items()})
    part = sets.part(sets.load(name, split), images, subset_seed)
    facts = Facts(part.fingerprint, part.mean, part.std, len(part), part.classes, part.images.shape[-1])
    if state and _state(name.plain) == state:  # nobody changed a file while it was read
        with suppress(OSError, UserError):  # where nothing can be written the set is read by every process
            path.parent.mkdir(parents=True, exist_ok=True)
            content = files.sealed({"of": asked, "state": state} | asdict(facts))
            files.write_atomically(path, json.dumps(content, indent=1).encode())
    return facts


def _state(name: str) -> str:
    """What the facts hold for, hex: the set's files, its entry, and the code that reads them; "" if that is not ours.

    Somebody's own reader may change between two processes, and nothing here would notice.
    """
    where = sets.marks(name)[:2]
    entry = published.PUBLISHED.get(name)
    if entry is not None:
        if entry.read is not None and getattr(entry.read, "__module__", None) != published.__name__:
            return ""
        where += (entry.side, entry.rows, entry.classes, entry.files, entry.channels)
    return hashlib.sha256(f"{_code()} {where}".encode(errors="surrogateescape")).hexdigest()


@cache
def _code() -> str:
    """What turns files into arrays: the source of this room, and the libraries that decode and draw."""
    digest = hashlib.sha256(f"{np.__version__} {PIL.__version__} {features.version('jpg')}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
