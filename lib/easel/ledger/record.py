"""The record of a finished trial: what is in it, and its bytes on disk. Nothing here trains or chooses a folder.

A record is complete and verified, or absent. Nothing is pickled. On disk it is an ordinary .npz (``numpy.load`` opens
it) whose zip comment is the SHA-256 of all bytes before it:
    meta                    JSON: identity, data set's name, views with their fingerprints, status
    correct.VIEW            uint8 (epochs, ceil(examples / 8)): right or wrong at the end of each epoch, packed bits
    margin.VIEW, ...        (epochs, examples), where the trial asks for them, as easel.ledger.quantities stores each
    features.VIEW           float16 (1, examples, d): what enters the net's last layer, where the trial asks for it
    loss                    float32 (epochs,): mean training loss; its length is how many epochs were trained
    keep, labels, order     the edit, where there is one
A VIEW that ends in @EPOCH has one row, of that epoch. Another may have fewer rows than epochs were trained, where a
record grew: the bits of a shorter run of the same trial are the beginning of a longer one's.
A record's bytes depend on the trial alone. How it came about (host, versions, seconds) stands beside it in KEY.json.
"""

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from easel.errors import UserError, one_line
from easel.ledger.quantities import QUANTITIES
from easel.ledger.trial import Edit, Recipe, Timed, Trial, View, canonical

FORMAT = 3  # 2: the number of epochs was part of a trial's identity, and so of its key
_COMMENT = 7 + 64  # b"sha256:" and the digest in hex


class BadRecord(ValueError):
    """A record whose bytes are not what was written."""


class UnknownRecord(BadRecord):
    """Bytes that are whole and no record of ours: of a format that this version does not know, or somebody else's."""


def pack(arrays: dict[str, np.ndarray]) -> bytes:
    """An .npz of arrays as bytes that depend on the arrays alone, closed by its own SHA-256."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(arrays[name], order="C"), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(name + ".npy", (1980, 1, 1, 0, 0, 0)), member.getvalue())
        archive.comment = b"." * _COMMENT  # reserves the place, so that the length written before it is right
    body = buffer.getvalue()[:-_COMMENT]
    return body + b"sha256:" + hashlib.sha256(body).hexdigest().encode()


def unpack(blob: bytes) -> dict[str, np.ndarray]:
    """The arrays of `pack`'s bytes; BadRecord if a single bit differs, UnknownRecord for an archive of others."""
    body, comment = blob[:-_COMMENT], blob[-_COMMENT:]
    if comment != b"sha256:" + hashlib.sha256(body).hexdigest().encode():
        if _is_whole_archive(blob):
            raise UnknownRecord("easel did not write it")
        raise BadRecord("its SHA-256 is not the one written at its end")
    try:
        if _declared(blob) > len(blob):  # what we write is not compressed
            raise UnknownRecord("it would become larger than it is when it is read")
        with np.load(io.BytesIO(blob), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, MemoryError, UnknownRecord):  # the first two are this machine's faults, not the record's
        raise
    except Exception as fault:  # whole, but no archive of plain arrays: others can write a SHA-256, too
        raise UnknownRecord(f"it holds no arrays ({type(fault).__name__})") from None


def _declared(blob: bytes) -> int:
    """The bytes that a zip says it holds."""
    with zipfile.ZipFile(io.BytesIO(blob)) as archive:
        return sum(one.file_size for one in archive.infolist())


def _is_whole_archive(blob: bytes) -> bool:
    """Whether these bytes are a zip without our digest in which nothing is damaged: numpy.savez writes such files.

    One that is made to swell is somebody else's, unread.
    """
    try:
        swells = _declared(blob) > max(100 * len(blob), 10**8)
        with zipfile.ZipFile(io.BytesIO(blob)) as archive:
            return not archive.comment and (swells or archive.testzip() is None)
    except MemoryError:
        raise
    except Exception:  # what zipfile raises on spoilt bytes is of many kinds
        return False


@dataclass(eq=False)
class Record:
    """The result of one trial. arrays: as on disk; views: view -> fingerprint of the images it was evaluated on."""

    key: str
    identity: dict
    data: dict  # how the data set was asked for: name, split, images, subset_seed
    views: dict[str, str]
    status: str  # "complete" | "diverged"
    examples: int
    arrays: dict[str, np.ndarray]
    provenance: dict = field(default_factory=dict)
    path: Path | None = None

    @classmethod
    def of(cls, trial: Trial, arrays: dict[str, np.ndarray], status: str, provenance: dict) -> "Record":
        """The record of a trial that has just been trained."""
        edit, arrays = trial.edit or Edit(), dict(arrays)
        if edit.keep is not None:
            arrays["keep"] = np.packbits(np.isin(np.arange(len(trial.examples)), edit.keep))
        if edit.labels is not None:
            arrays["labels"] = edit.labels.astype(np.int16)
        if edit.order is not None:
            arrays["order"] = edit.order.astype(np.int32)
        asked = {name: getattr(trial, name) for name in ("data", "split", "images", "subset_seed")}
        views = {view: trial.view_examples(view).fingerprint for view in trial.measured}
        return cls(trial.key, trial.identity, asked, views, status, len(trial.examples), arrays, provenance)

    def to_bytes(self) -> bytes:
        meta = {name: getattr(self, name) for name in ("identity", "data", "views", "status", "examples")}
        return pack(self.arrays | {"meta": np.frombuffer(canonical(meta | {"format": FORMAT}), np.uint8)})

    @classmethod
    def from_bytes(cls, blob: bytes, key: str) -> "Record":
        """The record in `blob`, verified: digest, format, and that it is the trial `key`. BadRecord otherwise.

        A record of format 2 is read by the key that it had then, and comes back with the key that it has now.
        UnknownRecord: it is whole, and of a format that this version does not know.
        """
        arrays = unpack(blob)
        try:
            meta = json.loads(arrays.pop("meta").tobytes())
            version = meta.pop("format")
        except (LookupError, AttributeError, TypeError, ValueError, RecursionError):
            raise BadRecord("it does not say what it is") from None
        if version not in (2, FORMAT):
            raise UnknownRecord(f"another version of easel wrote it, in format {version!r:.40}")
        try:
            if _key(meta["identity"]) != key:
                raise BadRecord("it holds another trial than its name says")
            if version == 2:
                del meta["identity"]["epochs"]
                if meta["status"] == "diverged":  # the loss was filled up; which of its epochs were good is not known
                    arrays["loss"] = arrays["loss"][: max(1, len(arrays["correct.train"]))]
            return cls(key=_key(meta["identity"]), arrays=arrays, **meta)
        except (LookupError, TypeError) as fault:
            raise BadRecord(f"it lacks what a record has ({fault})") from None

    @property
    def epochs(self) -> int:
        """Epochs that were trained, the last of them the one that diverged where it did."""
        return len(self.arrays["loss"])

    def cut(self, epochs: int) -> "Record":
        """What the record would be if so many epochs had been trained: itself, or its beginning."""
        if epochs >= self.epochs:
            return self
        arrays = {name: array for name, array in self.arrays.items() if (Timed.of(name).after or 0) <= epochs}
        by_epoch = ["loss", *(name for name in arrays if "." in name and not name.startswith("count."))]
        arrays |= {name: arrays[name][:epochs] for name in by_epoch if Timed.of(name).after is None}
        views = {view: mark for view, mark in self.views.items() if (View.of(view).after or 0) <= epochs}
        share = {"seconds": self.provenance.get("seconds", 0.0) * epochs / self.epochs} if self.provenance else {}
        return replace(self, arrays=arrays, views=views, status="complete", provenance=self.provenance | share)

    def same_run(self, other: "Record") -> bool:
        """Whether two records of one key agree in every number of which both have a row."""
        if self.key != other.key:
            return False
        pairs = [(self.arrays[name], other.arrays[name]) for name in self.arrays.keys() & other.arrays]
        cut = [(a[: len(b)], b[: len(a)]) if a.ndim else (a, b) for a, b in pairs]
        return all(a.dtype != b.dtype or np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in cut)

    def with_older(self, older: "Record") -> "Record":
        """This record with what an older one of the same run has besides: further views, quantities, epochs."""
        arrays = {
            name: max((r.arrays[name] for r in (self, older) if name in r.arrays), key=np.size)
            for name in older.arrays | self.arrays
        }
        longer = max(self, older, key=lambda record: record.epochs)
        return replace(self, arrays=arrays, views=older.views | self.views, status=longer.status)

    def correct(self, view: str = "train") -> np.ndarray:
        """bool (epochs, examples): right at the end of the epoch; for "online": right when it was trained on."""
        try:
            packed = self.arrays[f"correct.{view}"]
        except (KeyError, TypeError):
            there = ", ".join(sorted(self.views))
            raise UserError(f"no view {one_line(repr(view), 60)} in this record: it has {there}") from None
        count = self.examples if View.of(view).base in ("train", "online") else int(self.arrays[f"count.{view}"])
        return np.unpackbits(packed, axis=1, count=count).astype(bool)

    def values(self, quantity: str, view: str = "train") -> np.ndarray:
        """(epochs, examples, ...) as the quantity is read: float32, int64 of "prediction", float16 of "features"."""
        try:
            return QUANTITIES[quantity].decode(self.arrays[f"{quantity}.{view}"])
        except (KeyError, TypeError):
            what = f"{one_line(repr(quantity), 60)} of view {one_line(repr(view), 60)}"
            raise UserError(f"no {what} in this record: ask with Trial(record=...)") from None

    def serves(self, trial: Trial) -> bool:
        """Whether everything that `trial` asks for (key, epochs, views, quantities) is in this record."""
        if self.key != trial.key or self.epochs < trial.epochs:
            return self.key == trial.key and self.status == "diverged"
        if self.status == "diverged" and self.epochs == trial.epochs:
            return True
        asked = trial.arrays(trial.record)
        return all(self.views.get(view) == trial.view_examples(view).fingerprint for view in trial.views) and all(
            len(self.arrays.get(name, ())) >= rows for name, rows in asked.items()
        )

    @cached_property
    def trial(self) -> Trial:
        """The trial as it was asked for."""
        edit = None
        if self.identity["edit"] is not None:
            keep = self.arrays.get("keep")
            keep = None if keep is None else np.flatnonzero(np.unpackbits(keep, count=self.examples))
            edit = Edit(keep, self.arrays.get("labels"), self.arrays.get("order"))
        views = [view for view in self.views if View.of(view).base != "online"]
        everywhere = [name for name, quantity in QUANTITIES.items() if quantity.of == "logits"]
        quantities = {q for q in everywhere if views and all(f"{q}.{view}" in self.arrays for view in views)}
        lone = {name.replace(".train@", "@") for name in self.arrays if ".train@" in name}
        lone = {name for name in lone if Timed.of(name).base in set(QUANTITIES) - quantities}
        return Trial(
            model=self.identity["model"],
            seed=self.identity["seed"],
            epochs=self.epochs,
            recipe=Recipe(**self.identity["recipe"]),
            edit=edit,
            views=tuple(v for v in self.views if v != "train" and (View.of(v).after or 0) <= self.epochs),  # diverged
            record=tuple(quantities | lone),
            judged="train" in self.views,
            **self.data,
        )


def _key(identity: dict) -> str:
    return hashlib.sha256(canonical(identity)).hexdigest()
