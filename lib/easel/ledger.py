"""The store that keeps the records of finished trials, and the ledger that notebooks read. Nothing here trains.

A record is written beside and renamed, and verified on every read; a file that fails is set aside, named in a warning,
and never used. Any number of processes may share a store: two writers of one key leave one valid winner.
"""

import io
import json
import os
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

import numpy as np

from easel import files, paths
from easel.data import Dataset
from easel.errors import UserError
from easel.record import Record
from easel.trial import Trial


class Store:
    """Records in a folder, one file a trial, shared by any number of processes; released packs are read behind it."""

    def __init__(self, folder: Path | str | None = None, released: Path | str | None = None):
        """folder: where records are read and written; released: a folder of *.zip packs that are only read."""
        self.folder = Path(folder) if folder is not None else paths.store_dir()
        if released is None and folder is None and not os.environ.get("EASEL_RETRAIN"):
            released = paths.ledgers_dir()
        self.released = Path(released) if released is not None else None

    def path(self, key: str) -> Path:
        return self.folder / f"{key}.npz"

    def checkpoint(self, key: str) -> Path:
        """Where an unfinished trial keeps its state."""
        return self.folder / f"{key}.checkpoint"

    def put(self, record: Record) -> None:
        """Write a record, whole or not at all. What an older record of the same run has besides is kept."""
        older = self.read(record.key)
        if older is not None and np.array_equal(*(r.arrays.get("correct.train") for r in (older, record))):
            record.arrays = older.arrays | record.arrays
            record.views = older.views | record.views
        with files.writing_to(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        files.write_atomically(self.folder / f"{record.key}.json", json.dumps(record.provenance, indent=1).encode())
        files.write_atomically(self.path(record.key), record.to_bytes())

    def get(self, trial: Trial) -> Record | None:
        """The trial's record if it is here, verified, and has every view and quantity that the trial asks for."""
        record = self.read(trial.key)
        if record is None or not record.serves(trial):
            return None
        record.data = {name: getattr(trial, name) for name in record.data}  # where this caller keeps the same images
        return record

    def read(self, key: str) -> Record | None:
        """The record of a key, verified; None if there is none. A bad file is set aside with a warning."""
        path = self.path(key)
        try:
            blob = path.read_bytes()
        except OSError:  # none there, or none that we may read
            return self._read_released(key)
        try:
            record = Record.from_bytes(blob, key)
        except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as fault:
            self._set_aside(path, fault)
            return self._read_released(key)
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
    def _packs(self) -> dict[str, Path]:
        """key -> the released pack that holds it."""
        found = {}
        for pack_path in sorted(self.released.glob("*.zip")) if self.released else []:
            try:
                with zipfile.ZipFile(pack_path) as archive:
                    found |= {name[:-4]: pack_path for name in archive.namelist() if name.endswith(".npz")}
            except zipfile.BadZipFile as fault:
                warnings.warn(f"released records {pack_path} are damaged ({fault}) and not used", stacklevel=4)
        return found

    def _read_released(self, key: str) -> Record | None:
        if key not in self._packs:
            return None
        with zipfile.ZipFile(self._packs[key]) as archive:
            try:
                record = Record.from_bytes(archive.read(f"{key}.npz"), key)
                record.provenance = json.loads(archive.read(f"{key}.json")) | {"released": self._packs[key].name}
            except (ValueError, KeyError, zipfile.BadZipFile, zlib.error) as fault:
                warnings.warn(f"{key[:12]} in {self._packs[key]} is damaged ({fault}) and not used", stacklevel=3)
                return None
        record.path = self._packs[key]
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

    def ledger(self, keys: Iterable[str]) -> "Ledger":
        """The ledger of these keys; KeyError names the first that is missing."""
        return Ledger(self.found(keys))

    def release(self, keys: Iterable[str], path: Path) -> int:
        """Pack records, of whatever data sets and lengths, into one zip for `results/ledgers/`; returns how many."""
        buffer, count = io.BytesIO(), 0
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for record in sorted(self.found(keys), key=lambda r: r.key):
                for name, blob in ((".npz", record.to_bytes()), (".json", json.dumps(record.provenance).encode())):
                    member = zipfile.ZipInfo(record.key + name, (1980, 1, 1, 0, 0, 0))
                    archive.writestr(member, blob, zipfile.ZIP_DEFLATED)
                count += 1
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomically(path, buffer.getvalue())
        return count


class Ledger:
    """Trials x epochs x examples: who got what right, and when. Diverged trials are left out and listed.

    Records must be of the same examples and the same number of epochs; several nets may stand in one ledger.
    """

    def __init__(self, records: Iterable[Record], trained: int = 0):
        records = list(records)
        self.records = [r for r in records if r.status == "complete"]
        self.diverged = [r.trial for r in records if r.status == "diverged"]
        self.trained, self.reused = trained, len(records) - trained
        if len({(r.identity["fingerprint"], r.identity["epochs"]) for r in self.records}) > 1:
            raise UserError("a ledger holds trials of the same examples and number of epochs: make one for each")
        self.keys = [r.key for r in records]

    def __len__(self) -> int:
        return len(self.records)

    @property
    def trials(self) -> list[Trial]:
        return [r.trial for r in self.records]

    @property
    def models(self) -> list[str]:
        """Names of the nets, in order of appearance."""
        return list(dict.fromkeys(r.identity["model"] for r in self.records))

    @property
    def epochs(self) -> int:
        return self.records[0].identity["epochs"]

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

    def values(self, quantity: str, view: str = "train") -> np.ndarray:
        """float32 (trials, epochs, examples) of "margin", "loss" or "probability"."""
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
