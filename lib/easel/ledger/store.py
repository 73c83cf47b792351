"""The store that keeps the records of finished trials, and the ledger that notebooks read. Nothing here trains.

A record is written beside and renamed, and verified on every read; a file that fails is set aside, named in a warning,
and never used. What others wrote, or a newer easel, is named and left alone, never overwritten. Any number of processes
may share a store: two writers of one key leave one valid winner. What is wrong is named once a process.

A key may have several records: one in the folder, others in released packs, made on other machines. `get` takes the
first that has all that is asked for; what differs in a bit is never joined.
"""

import io
import os
import re
import warnings
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, fields as dataclass_fields
from functools import cached_property
from pathlib import Path

import numpy as np

from easel import files
from easel.data.sets import Dataset
from easel.errors import UserError, answers, name_once, one_line, reason, refuse_other_kinds
from easel.ledger.provenance import note_bytes, note_of
from easel.ledger.record import BadRecord, Record, UnknownRecord
from easel.ledger.trial import Trial
from easel.nets.names import shown_as

KEY = re.compile(r"[0-9a-f]{64}")  # of a trial


class Store:
    """Records in a folder, one file a trial, shared by any number of processes; released packs are read behind it."""

    @answers(folder="a path", released="a path")
    def __init__(self, folder: Path | str | None = None, released: Path | str | None = None):
        """folder: where records are read and written; released: a folder of *.zip packs that are only read."""
        self.folder = Path(folder) if folder is not None else files.store_dir()
        if released is None and folder is None and not os.environ.get("EASEL_RETRAIN"):
            released = files.ledgers_dir()
        self.released = Path(released) if released is not None else None
        self.strange: dict[str, str] = {}  # keys in whose place something was met that is no record of ours, and what

    def path(self, key: str) -> Path:
        """Where the record of a key lies, or would."""
        return self.folder / f"{key}.npz"

    def checkpoint(self, key: str) -> Path:
        """Where an unfinished trial keeps its state."""
        return self.folder / f"{key}.checkpoint"

    def put(self, record: Record) -> None:
        """Write a record, whole or not at all. What an older record of the same run has besides is kept.

        UserError where the folder cannot be written, and where what others wrote lies in its place.
        """
        older = self.read(record.key)
        self._refuse_strange(record.key)
        if older is not None and record.same_run(older):
            record = record.with_older(older)
        with files.writing_to(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        files.write_atomically(self.folder / f"{record.key}.json", note_bytes(record.provenance))
        files.write_atomically(self.path(record.key), record.to_bytes())

    def get(self, trial: Trial) -> Record | None:
        """The trial's record if it is here, verified, and has all epochs, views and quantities that the trial asks for.

        Of a longer one its beginning, as if it had been trained for so many epochs. UserError where there is none, and
        what others wrote, or a newer easel, lies in its place: the trial could be trained, but not kept.
        """
        for record in self.candidates(trial.key):
            if record.serves(trial):
                record = record.cut(trial.epochs)
                record.data = {name: getattr(trial, name) for name in record.data}  # where this caller keeps the images
                return record
        self._refuse_strange(trial.key)
        return None

    def _refuse_strange(self, key: str) -> None:
        if key in self.strange and self.path(key).exists():
            raise UserError(
                f"{self.path(key)} is in the way ({self.strange[key]}): use the easel that wrote it, take it away, or "
                "name another folder in EASEL_RESULTS"
            )

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
            try:
                record = _out_of(pack, key)
            except Exception as fault:  # as in `_out_of`
                name_once(f"{key[:12]} in {pack} is damaged ({reason(fault)}) and not used")
                continue
            record.provenance |= {"released": pack.name}
            record.path = pack
            yield record

    def _read_own(self, key: str) -> Record | None:
        path = self.path(key)
        self.strange.pop(key, None)
        try:
            with files.open_regular(path) as file:  # open until it is set aside: no other file can get its inode
                try:
                    record = Record.from_bytes(file.read(), key)
                except UnknownRecord:
                    raise
                except BadRecord as fault:
                    return self._set_aside(key, fault, os.fstat(file.fileno()).st_ino)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (OSError, MemoryError, UnknownRecord) as fault:  # it may be whole, so no other may take its place
            why = f"it cannot be read: {files.why(fault)}" if isinstance(fault, OSError) else reason(fault)
            self.strange[key] = why
            name_once(f"{path} is left alone: {why}")
            return None
        record.path, record.provenance = path, self.note(key)
        return record

    def note(self, key: str) -> dict:
        """How the record of a key came about, from KEY.json: {} where there is none, or, with a warning, a bad one."""
        path = self.folder / f"{key}.json"
        try:
            return note_of(files.read_regular(path))
        except OSError:
            return {}
        except ValueError as fault:
            name_once(f"note {path} is damaged ({fault}) and not used; the record beside it is whole")
            return {}

    def _set_aside(self, key: str, fault: Exception, inode: int) -> Record | None:
        """Renames the file that was read, and no other; a good one that took its place meanwhile is read instead."""
        path = self.path(key)
        aside = path.with_suffix(".bad")
        try:
            if path.stat().st_ino != inode:  # a writer was here since
                return self._read_own(key)
            os.replace(path, aside)
            if aside.stat().st_ino != inode:  # a writer was here between the two lines above: back, unless there is one
                with suppress(FileExistsError):
                    os.link(aside, path)
                aside.unlink()
                return self._read_own(key)
        except FileNotFoundError:
            return None  # another process did
        except OSError:
            aside = path  # a folder that we may not write to: ignored all the same
        name_once(f"record {path} is damaged ({fault}); set aside as {aside.name}, to train again")
        return None

    @cached_property
    def _packs(self) -> dict[str, list[Path]]:
        """key -> the released packs that hold a record of it. A pack whose list of content is odd is named."""
        found: dict[str, list[Path]] = defaultdict(list)
        for pack_path in sorted(self.released.glob("*.zip")) if self.released else []:
            try:
                with files.open_regular(pack_path) as file, zipfile.ZipFile(file) as archive:
                    names = archive.namelist()
                    swollen = [one.filename for one in archive.infolist() if one.comment or one.extra]
            except Exception as fault:  # what zipfile raises on spoilt bytes is of many kinds
                name_once(f"released records {pack_path} are damaged ({fault}) and not used")
                continue
            keys = [name[:-4] for name in names if name.endswith(".npz")]
            # A record has its note beside it: where a name was hurt, one of the two stands alone and a key is missing.
            # Neither has anything after its name: where a length was hurt, it swallowed the entries behind it.
            alone = set(names) ^ {key + end for key in keys if KEY.fullmatch(key) for end in (".npz", ".json")}
            if odd := sorted(alone) + swollen:
                name_once(f"released records {pack_path} are damaged: they lack a record beside {odd[0][:80]}")
            for key in keys:
                found[key].append(pack_path)
        return found

    def keys(self) -> list[str]:
        """Keys of the records in the folder, unread; files of other names are none of ours."""
        return sorted(path.stem for path in self.folder.glob("*.npz") if KEY.fullmatch(path.stem))

    def latest(self) -> list[str]:
        """`keys`, those written last first."""
        dated = {}
        for key in self.keys():
            with suppress(OSError):  # removed meanwhile
                dated[key] = self.path(key).stat().st_mtime_ns
        return sorted(dated, key=dated.get, reverse=True)

    def records(self) -> Iterator[Record]:
        """Every verified record of the folder."""
        return filter(None, map(self.read, self.keys()))

    def found(self, keys: Iterable[str]) -> list[Record]:
        """The verified records of these keys; KeyError names the first that is missing."""
        records = {key: self.read(key) for key in keys}
        if missing := [key for key, record in records.items() if record is None]:
            raise KeyError(missing[0])
        return list(records.values())

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


def _content(archive: zipfile.ZipFile, name: str) -> bytes:
    """A file out of a zip; ValueError for one that is made to fill memory."""
    if (size := archive.getinfo(name).file_size) > MOST_BYTES:
        raise ValueError(f"it would have {size:,} bytes, and no record has")
    return archive.read(name)


def _out_of(pack: Path, key: str) -> Record:
    """The record of a key in a pack, verified, with its note; {} and a warning where that cannot be believed.

    Any Exception where there is none: what zipfile raises on spoilt bytes is of many kinds.
    """
    with files.open_regular(pack) as file, zipfile.ZipFile(file) as archive:
        record = Record.from_bytes(_content(archive, f"{key}.npz"), key)
        try:
            record.provenance = note_of(_content(archive, f"{key}.json"))
        except Exception as fault:  # as above
            name_once(
                f"note {key[:12]} in {pack} is damaged ({reason(fault)}) and not used; the record beside it is whole"
            )
    return record


@dataclass
class Taken:
    """What became of the records of a pack: new or grown, here already, kept apart, damaged (the last two named)."""

    new: int = 0
    here: int = 0
    apart: list[str] = field(default_factory=list)
    bad: list[str] = field(default_factory=list)


MOST_BYTES = 2**31  # of a record in a pack: features of a million examples are less
PACK_BYTES = 15_000_000  # of one released pack at most: what code hosts and mail still take
_MEMBERS = 600  # bytes that a zip spends on a record besides its content: two headers, twice, with their names


def write_pack(records: Iterable[Record], path: Path) -> int:
    """One zip of records, for `results/ledgers/`, the same bytes for the same records; returns how many."""
    buffer, records = io.BytesIO(), sorted(records, key=lambda record: record.key)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for record in records:
            for name, blob in ((".npz", record.to_bytes()), (".json", note_bytes(record.provenance))):
                member = zipfile.ZipInfo(record.key + name, (1980, 1, 1, 0, 0, 0))
                archive.writestr(member, blob, zipfile.ZIP_DEFLATED)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_atomically(path, buffer.getvalue())
    return len(records)


def write_packs(records: Iterable[Record], path: Path) -> list[tuple[Path, int]]:
    """Records as one pack at path, or as path's name with -1, -2, … of at most PACK_BYTES each (a record is never cut).

    Older packs of that name are replaced, those that are left over removed. Returns the packs and how many each holds.
    """
    parts, size = [[]], 0
    for record in sorted(records, key=lambda record: record.key):
        blobs = (record.to_bytes(), note_bytes(record.provenance))
        more = sum(len(zlib.compress(blob, 9)) for blob in blobs) + _MEMBERS
        if parts[-1] and size + more > PACK_BYTES:
            parts, size = [*parts, []], 0
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
        names = sorted(path.stem for path in source.glob("*.npz"))
    else:
        try:
            with files.open_regular(source) as file, zipfile.ZipFile(file) as archive:
                names = sorted(name[:-4] for name in archive.namelist() if name.endswith(".npz"))
        except Exception as fault:  # what zipfile raises on spoilt bytes is of many kinds
            raise UserError(f"{source} is no pack of records ({reason(fault)}); easel release makes them") from None
    if not names:
        raise UserError(f"{source} holds no records")
    for name in names:
        try:
            if source.is_dir():
                record = Record.from_bytes(files.read_regular(source / f"{name}.npz"), name)
                record.provenance = Store(source).note(name)
            else:
                record = _out_of(source, name)
            yield name, record
        except Exception as fault:  # as above
            yield name, fault


class Ledger:
    """Trials x epochs x examples: who got what right, and when. Diverged trials are left out and listed.

    Records must be of the same examples and the same number of epochs; several nets may stand in one ledger. A record
    that is given twice counts once.
    """

    @answers(records="several of them", trained="a whole number")
    def __init__(self, records: Iterable[Record], trained: int = 0):
        records = list(records)
        for one in records:
            refuse_other_kinds("Ledger", {"records": Record}, {"records": one})
        records = list({(record.key, record.epochs): record for record in records}.values())  # one trial counts once
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
    def _some(self) -> list[Record]:
        if not self.records:
            fate = "all of its trials diverged: take a lower learning rate" if self.diverged else "it was made of none"
            raise UserError(f"there is no trial in this ledger; {fate}")
        return self.records

    @property
    def epochs(self) -> int:
        """Epochs of each trial. UserError where there is none, as of all below."""
        return self._some[0].epochs

    @cached_property
    def examples(self) -> Dataset:
        """The images that the trials were trained on, in the order of every array here."""
        first = self._some[0]
        examples = first.trial.examples
        if examples.fingerprint != first.identity["fingerprint"]:
            raise UserError(f"{first.data['data']} is not what the trials were trained on: its files changed")
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
        names = [one.name for one in dataclass_fields(Trial)]
        if other := sorted({*fields} - {*names}):
            raise UserError(f"no trial has a field {other[0]!r}; they have: {', '.join(names)}")
        wanted = {k: v if isinstance(v, list | tuple | set | range) else [v] for k, v in fields.items()}
        chosen = []
        with suppress(ValueError):  # arrays, of which one cannot say whether they are equal
            chosen = [r for r in self.records if all(getattr(r.trial, k) in v for k, v in wanted.items())]
        if not chosen:
            raise UserError(f"no trial in this ledger has {one_line(fields, 100)}")
        return Ledger(chosen)

    def correct(self, view: str = "train") -> np.ndarray:
        """bool (trials, epochs, examples)."""
        return np.stack([r.correct(view) for r in self._some])

    def has(self, quantity: str, view: str = "train") -> bool:
        """Whether every trial recorded this quantity of this view."""
        return all(f"{quantity}.{view}" in record.arrays for record in self.records)

    def values(self, quantity: str, view: str = "train") -> np.ndarray:
        """(trials, epochs, examples): float32 of "margin", "loss", "probability"; "features": (…, d) float16."""
        return np.stack([r.values(quantity, view) for r in self._some])

    def predictions(self, view: str = "train") -> np.ndarray:
        """int64 (trials, epochs, examples): the class that each trial named, where the trials record "prediction"."""
        return self.values("prediction", view)

    @property
    def loss(self) -> np.ndarray:
        """float32 (trials, epochs): mean training loss."""
        return np.stack([r.arrays["loss"] for r in self._some])

    @property
    def seconds(self) -> float:
        """Seconds that the trials took, summed, wherever they ran."""
        return float(sum(r.provenance.get("seconds", 0.0) for r in self.records))


class Groups:
    """Trials of one or several nets in two groups a net, no seed in both, of one net or of two.

    ledger: all of them; seeds: {model: (seeds, seeds)} (`two_groups`). Nets go by the papers' words (`shown_as`).
    """

    def __init__(self, ledger: Ledger, seeds: dict[str, tuple[list[int], list[int]]]):
        self.ledger, self.seeds = ledger, seeds
        self.names = shown_as(list(seeds))
        self.labels = ledger.labels

    @property
    def models(self) -> dict[str, str]:
        """{shown name: model}."""
        return {name: model for model, name in self.names.items()}

    @cached_property
    def sides(self) -> dict[str, tuple[Ledger, Ledger]]:
        """{net: (ledger of its first group, ledger of its second)}."""
        found = {}
        for model, (first, second) in self.seeds.items():
            of = self.ledger.where(model=model)
            found[self.names[model]] = (of.where(seed=first), of.where(seed=second))
        return found

    def right(self, m: int = 1, view: str = "train") -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """{net: (first, second)}, each bool (trials, examples): right at the end of epoch m."""
        return {net: tuple(side.correct(view)[:, m - 1] for side in pair) for net, pair in self.sides.items()}

    def probability(self, view: str = "train@1") -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """{net: (first, second)}, each (trials, examples): probability of the true class, in 0..1."""
        return {
            net: tuple(side.values("probability", view)[:, 0].astype(float) for side in pair)
            for net, pair in self.sides.items()
        }

    def counts(self, m: int = 1) -> dict[str, np.ndarray]:
        """{net: (examples,)}: in how many trials of its first group an example is right at the end of epoch m."""
        return {net: pair[0].sum(axis=0) for net, pair in self.right(m).items()}

    def accuracy(self, m: int = 1) -> dict[str, float]:
        """{net: mean share of the training set that is right at the end of epoch m}, both groups, three decimals."""
        return {net: round(float(np.concatenate(pair).mean()), 3) for net, pair in self.right(m).items()}
