"""The store that keeps the records of finished trials, and the ledger that notebooks read. Nothing here trains.

A record is written beside and renamed, and verified on every read; a file that fails is set aside, named in a warning,
and never used. Any number of processes may share a store: two writers of one key leave one valid winner.

A key may have several records: one in the folder, others in released packs, made on other machines. `get` takes the
first that has all that is asked for; what differs in a bit is never joined.
"""

import io
import json
import os
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from easel import files
from easel.data.sets import Dataset
from easel.errors import UserError
from easel.ledger.record import Record
from easel.ledger.trial import Trial

DAMAGE = (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)  # what bytes that are spoilt raise


class Store:
    """Records in a folder, one file a trial, shared by any number of processes; released packs are read behind it."""

    def __init__(self, folder: Path | str | None = None, released: Path | str | None = None):
        """folder: where records are read and written; released: a folder of *.zip packs that are only read."""
        self.folder = Path(folder) if folder is not None else files.store_dir()
        if released is None and folder is None and not os.environ.get("EASEL_RETRAIN"):
            released = files.ledgers_dir()
        self.released = Path(released) if released is not None else None

    def path(self, key: str) -> Path:
        """Where the record of a key lies, or would."""
        return self.folder / f"{key}.npz"

    def checkpoint(self, key: str) -> Path:
        """Where an unfinished trial keeps its state."""
        return self.folder / f"{key}.checkpoint"

    def put(self, record: Record) -> None:
        """Write a record, whole or not at all. What an older record of the same run has besides is kept."""
        older = self.read(record.key)
        if older is not None and record.same_run(older):
            record = record.with_older(older)
        with files.writing_to(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        files.write_atomically(self.folder / f"{record.key}.json", json.dumps(record.provenance, indent=1).encode())
        files.write_atomically(self.path(record.key), record.to_bytes())

    def get(self, trial: Trial) -> Record | None:
        """The trial's record if it is here, verified, and has all epochs, views and quantities that the trial asks for.

        Of a longer one its beginning, as if it had been trained for so many epochs.
        """
        for record in self.candidates(trial.key):
            if record.serves(trial):
                record = record.cut(trial.epochs)
                record.data = {name: getattr(trial, name) for name in record.data}  # where this caller keeps the images
                return record
        return None

    def read(self, key: str) -> Record | None:
        """The record of a key, verified; None if there is none. A bad file is set aside with a warning."""
        return next(self.candidates(key), None)

    def fullest(self, key: str) -> Record | None:
        """The longest record of a key with most in it, joined with what the others of the same run have besides."""
        found = list(self.candidates(key))
        if not found:
            return None
        best = max(found, key=lambda record: (record.epochs, len(record.arrays)))  # of equals the store's own
        for other in found:
            best = best.with_older(other) if other is not best and best.same_run(other) else best
        best.provenance.pop("released", None)  # where it was read is not how it was made
        return best

    def candidates(self, key: str) -> Iterator[Record]:
        """The verified records of a key: the folder's, then those of the packs."""
        record = self._read_own(key)
        if record is not None:
            yield record
        for pack in self._packs.get(key, ()):
            record = self._read_released(key, pack)
            if record is not None:
                yield record

    def _read_own(self, key: str) -> Record | None:
        path = self.path(key)
        try:
            blob = path.read_bytes()
        except OSError:  # none there, or none that we may read
            return None
        try:
            record = Record.from_bytes(blob, key)
        except DAMAGE as fault:
            self._set_aside(path, fault)
            return None
        record.path = path
        try:
            record.provenance = json.loads((self.folder / f"{key}.json").read_bytes())
        except (OSError, ValueError):
            record.provenance = {}
        return record

    def _set_aside(self, path: Path, fault: Exception) -> None:
        aside = path.with_suffix(".bad")
        try:
            os.replace(path, aside)
        except FileNotFoundError:
            return  # another process did
        except OSError:
            aside = path  # a folder that we may not write to: ignored all the same
        warnings.warn(f"record {path} is damaged ({fault}); set aside as {aside.name}, to train again", stacklevel=4)

    @cached_property
    def _packs(self) -> dict[str, list[Path]]:
        """key -> the released packs that hold a record of it."""
        found: dict[str, list[Path]] = {}
        for pack_path in sorted(self.released.glob("*.zip")) if self.released else []:
            try:
                with zipfile.ZipFile(pack_path) as archive:
                    for name in archive.namelist():
                        if name.endswith(".npz"):
                            found.setdefault(name[:-4], []).append(pack_path)
            except zipfile.BadZipFile as fault:
                warnings.warn(f"released records {pack_path} are damaged ({fault}) and not used", stacklevel=4)
        return found

    def _read_released(self, key: str, pack: Path) -> Record | None:
        with zipfile.ZipFile(pack) as archive:
            try:
                record = Record.from_bytes(archive.read(f"{key}.npz"), key)
                record.provenance = json.loads(archive.read(f"{key}.json")) | {"released": pack.name}
            except DAMAGE as fault:
                warnings.warn(f"{key[:12]} in {pack} is damaged ({fault}) and not used", stacklevel=4)
                return None
        record.path = pack
        return record

    def keys(self) -> list[str]:
        """Keys of the records in the folder, unread."""
        return sorted(p.stem for p in self.folder.glob("*.npz"))

    def records(self) -> Iterator[Record]:
        """Every verified record of the folder."""
        return (record for record in map(self.read, self.keys()) if record is not None)

    def found(self, keys: Iterable[str]) -> list[Record]:
        """The verified records of these keys; KeyError names the first that is missing."""
        records = []
        for key in keys:
            record = self.read(key)
            if record is None:
                raise KeyError(key)
            records.append(record)
        return records

    def take(self, source: Path) -> "Taken":
        """Bring the records of a pack, or of another store's folder, into this store, each verified.

        A record that is here already is joined with what is new in it. One with other bits than the store's own, as
        another kind of machine gives, and one that is damaged, are left where they are and named. Records of an earlier
        version get the keys that they have now. UserError: no pack and no folder with records.
        """
        taken = Taken()
        for name, record in _found_in(Path(source)):
            if isinstance(record, Exception):
                taken.bad.append(f"{name[:12]} ({record})")
                continue
            here = self._read_own(record.key)
            if here is not None and not record.same_run(here):
                taken.apart.append(name[:12])
            elif here is not None and {*record.arrays} <= {*here.arrays} and record.epochs <= here.epochs:
                taken.here += 1
            else:
                self.put(record)
                taken.new += 1
        return taken


@dataclass
class Taken:
    """What became of the records of a pack: new or grown, here already, kept apart, damaged (the last two named)."""

    new: int = 0
    here: int = 0
    apart: list[str] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)


PACK_BYTES = 15_000_000  # of one released pack at most: what code hosts and mail still take
_MEMBERS = 600  # bytes that a zip spends on a record besides its content: two headers, twice, with their names


def write_pack(records: Iterable[Record], path: Path) -> int:
    """One zip of records, for `results/ledgers/`, the same bytes for the same records; returns how many."""
    buffer, count = io.BytesIO(), 0
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for record in sorted(records, key=lambda r: r.key):
            for name, blob in ((".npz", record.to_bytes()), (".json", json.dumps(record.provenance).encode())):
                member = zipfile.ZipInfo(record.key + name, (1980, 1, 1, 0, 0, 0))
                archive.writestr(member, blob, zipfile.ZIP_DEFLATED)
            count += 1
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_atomically(path, buffer.getvalue())
    return count


def write_packs(records: Iterable[Record], path: Path) -> list[tuple[Path, int]]:
    """Records as one pack at path, or as path's name with -1, -2, … of at most PACK_BYTES each (a record is never cut).

    Older packs of that name are replaced, those that are left over removed. Returns the packs and how many each holds.
    """
    parts, size = [[]], 0
    for record in sorted(records, key=lambda record: record.key):
        blobs = (record.to_bytes(), json.dumps(record.provenance).encode())
        more = sum(len(zlib.compress(blob, 9)) for blob in blobs) + _MEMBERS
        if parts[-1] and size + more > PACK_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(record)
        size += more
    older = _parts_of(path)
    names = [path] if len(parts) == 1 else [path.with_stem(f"{path.stem}-{n}") for n in range(1, len(parts) + 1)]
    written = [(name, write_pack(part, name)) for name, part in zip(names, parts, strict=True)]
    for left in set(older) - set(names):
        left.unlink()
    return written


def held(path: Path) -> dict[str, Record]:
    """The records of the packs that `write_packs` has left at path, by key; UserError where one of them is no pack."""
    found = {}
    for part in _parts_of(path):
        for name, record in _found_in(part):
            if isinstance(record, Exception):
                warnings.warn(f"{name[:12]} in {part} is damaged ({record}) and left out", stacklevel=2)
            else:
                found[record.key] = record
    return found


def _parts_of(path: Path) -> list[Path]:
    """The pack at path, and those with -1, -2, … after its name, as far as they are there."""
    numbered = [one for one in path.parent.glob("*.zip") if re.fullmatch(re.escape(path.stem) + r"-\d+", one.stem)]
    return [one for one in (path, *sorted(numbered)) if one.exists()]


def _found_in(source: Path) -> Iterator[tuple[str, Record | Exception]]:
    """The records of a pack or folder by the names they have there, or why one is none."""
    if source.is_dir():
        names, read = [path.name for path in source.glob("*.npz")], lambda name: (source / name).read_bytes()
    else:
        try:
            archive = zipfile.ZipFile(source)
        except (OSError, zipfile.BadZipFile) as fault:
            raise UserError(f"{source} is no pack of records ({fault}); easel release makes them") from None
        names, read = [name for name in archive.namelist() if name.endswith(".npz")], archive.read
    if not names:
        raise UserError(f"{source} holds no records")
    for key in sorted(name.removesuffix(".npz") for name in names):
        try:
            record = Record.from_bytes(read(f"{key}.npz"), key)
            record.provenance = json.loads(read(f"{key}.json"))
            yield key, record
        except (OSError, *DAMAGE) as fault:
            yield key, fault


class Ledger:
    """Trials x epochs x examples: who got what right, and when. Diverged trials are left out and listed.

    Records must be of the same examples and the same number of epochs; several nets may stand in one ledger.
    """

    def __init__(self, records: Iterable[Record], trained: int = 0):
        records = list(records)
        self.records = [r for r in records if r.status == "complete"]
        self.diverged = [r.trial for r in records if r.status == "diverged"]
        self.trained, self.reused = trained, len(records) - trained
        if len({(r.identity["fingerprint"], r.epochs) for r in self.records}) > 1:
            raise UserError("a ledger holds trials of the same examples and number of epochs: make one for each")
        self.keys = [r.key for r in records]

    def __len__(self) -> int:
        return len(self.records)

    @property
    def trials(self) -> list[Trial]:
        """The trials, diverged ones left out, in the order of every array here."""
        return [r.trial for r in self.records]

    @property
    def models(self) -> list[str]:
        """Names of the nets, in order of appearance."""
        return list(dict.fromkeys(r.identity["model"] for r in self.records))

    @property
    def epochs(self) -> int:
        """Epochs of each trial."""
        return self.records[0].epochs

    @cached_property
    def examples(self) -> Dataset:
        """The images that the trials were trained on, in the order of every array here."""
        examples, wanted = self.records[0].trial.examples, self.records[0].identity["fingerprint"]
        if examples.fingerprint != wanted:
            raise UserError(f"{self.records[0].data['data']} is not what the trials were trained on: its files changed")
        return examples

    @property
    def ids(self) -> np.ndarray:
        """int64 (examples,): index of each example in the data set's official order."""
        return self.examples.ids

    @property
    def labels(self) -> np.ndarray:
        """int64 (examples,): class of each example."""
        return self.examples.labels.numpy()

    def where(self, **fields) -> "Ledger":
        """The trials whose fields have these values: `ledger.where(model="wrn-16-4", seed=[0, 1, 2])`."""
        wanted = {k: v if isinstance(v, list | tuple | set | range) else [v] for k, v in fields.items()}
        chosen = [r for r in self.records if all(getattr(r.trial, k) in v for k, v in wanted.items())]
        if not chosen:
            raise UserError(f"no trial in this ledger has {fields}")
        return Ledger(chosen)

    def correct(self, view: str = "train") -> np.ndarray:
        """bool (trials, epochs, examples)."""
        return np.stack([r.correct(view) for r in self.records])

    def has(self, quantity: str, view: str = "train") -> bool:
        """Whether every trial recorded this quantity of this view."""
        return all(f"{quantity}.{view}" in record.arrays for record in self.records)

    def values(self, quantity: str, view: str = "train") -> np.ndarray:
        """(trials, epochs, examples): float32 of "margin", "loss", "probability"; "features": (…, d) float16."""
        return np.stack([r.values(quantity, view) for r in self.records])

    def predictions(self, view: str = "train") -> np.ndarray:
        """int64 (trials, epochs, examples): the class that each trial named, where the trials record "prediction"."""
        return self.values("prediction", view)

    @property
    def loss(self) -> np.ndarray:
        """float32 (trials, epochs): mean training loss."""
        return np.stack([r.arrays["loss"] for r in self.records])

    @property
    def seconds(self) -> float:
        """Seconds that the trials took, summed, wherever they ran."""
        return float(sum(r.provenance.get("seconds", 0.0) for r in self.records))
