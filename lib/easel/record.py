"""The record of a finished trial: what is in it, and its bytes on disk. Nothing here trains or chooses a folder.

A record is complete and verified, or absent. Nothing is pickled. On disk it is an ordinary .npz (``numpy.load`` opens
it) whose zip comment is the SHA-256 of all bytes before it:
    meta                    JSON: identity, data set's name, views with their fingerprints, status
    correct.VIEW            uint8 (epochs, ceil(examples / 8)): right or wrong at the end of each epoch, packed bits
    margin.VIEW, ...        float16 (epochs, examples), where the trial asks for them; prediction.VIEW: uint8 or int16
    loss                    float32 (epochs,): mean training loss
    keep, labels, order     the edit, where there is one
A VIEW that ends in @EPOCH has one row, of that epoch.
A record's bytes depend on the trial alone. How it came about (host, versions, seconds) stands beside it in KEY.json.
"""

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from easel.errors import UserError
from easel.trial import Edit, Recipe, Trial, canonical
from easel.views import view_base

FORMAT = 2
_COMMENT = 7 + 64  # b"sha256:" and the digest in hex


class BadRecord(ValueError):
    """A record whose bytes are not what was written."""


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
    """The arrays of `pack`'s bytes; BadRecord if a single bit differs."""
    body, comment = blob[:-_COMMENT], blob[-_COMMENT:]
    if comment != b"sha256:" + hashlib.sha256(body).hexdigest().encode():
        raise BadRecord("its SHA-256 is not the one written at its end")
    with np.load(io.BytesIO(blob), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


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
        edit = trial.edit or Edit()
        if edit.keep is not None:
            mask = np.zeros(len(trial.examples), bool)
            mask[edit.keep] = True
            arrays = arrays | {"keep": np.packbits(mask)}
        if edit.labels is not None:
            arrays = arrays | {"labels": edit.labels.astype(np.int16)}
        if edit.order is not None:
            arrays = arrays | {"order": edit.order.astype(np.int32)}
        asked = {name: getattr(trial, name) for name in ("data", "split", "images", "subset_seed")}
        views = {view: trial.view_examples(view).fingerprint for view in ("train", *trial.views)}
        return cls(trial.key, trial.identity, asked, views, status, len(trial.examples), arrays, provenance)

    def to_bytes(self) -> bytes:
        meta = {
            "format": FORMAT,
            "identity": self.identity,
            "data": self.data,
            "views": self.views,
            "status": self.status,
            "examples": self.examples,
        }
        return pack(self.arrays | {"meta": np.frombuffer(canonical(meta), np.uint8)})

    @classmethod
    def from_bytes(cls, blob: bytes, key: str) -> "Record":
        """The record in `blob`, verified: digest, format, and that it is the trial `key`. BadRecord otherwise."""
        arrays = unpack(blob)
        meta = json.loads(arrays.pop("meta").tobytes())
        if meta.pop("format") != FORMAT:
            raise BadRecord("another version of easel wrote it")
        if hashlib.sha256(canonical(meta["identity"])).hexdigest() != key:
            raise BadRecord("it holds another trial than its name says")
        return cls(key=key, arrays=arrays, **meta)

    def correct(self, view: str = "train") -> np.ndarray:
        """bool (epochs, examples): right at the end of the epoch; for "online": right when it was trained on."""
        try:
            packed = self.arrays[f"correct.{view}"]
        except KeyError:
            raise UserError(f"no view {view!r} in this record: it has {', '.join(sorted(self.views))}") from None
        count = self.examples if view_base(view) in ("train", "online") else int(self.arrays[f"count.{view}"])
        return np.unpackbits(packed, axis=1, count=count).astype(bool)

    def values(self, quantity: str, view: str = "train") -> np.ndarray:
        """(epochs, examples): float32 of "margin", "loss" or "probability", int64 of "prediction"."""
        try:
            return self.arrays[f"{quantity}.{view}"].astype(np.int64 if quantity == "prediction" else np.float32)
        except KeyError:
            raise UserError(f"no {quantity!r} of view {view!r} in this record: ask with Trial(record=...)") from None

    def serves(self, trial: Trial) -> bool:
        """Whether everything that `trial` asks for (key, views, quantities) is in this record."""
        if self.key != trial.key or self.status == "diverged":
            return self.key == trial.key
        views = {view: trial.view_examples(view).fingerprint for view in trial.views}
        if any(self.views.get(view) != fingerprint for view, fingerprint in views.items()):
            return False
        measured = ["train", *(v for v in trial.views if view_base(v) != "online")]
        return all(f"{q}.{v}" in self.arrays for q in trial.record for v in measured)

    @cached_property
    def trial(self) -> Trial:
        """The trial as it was asked for."""
        edit = None
        if self.identity["edit"] is not None:
            keep = self.arrays.get("keep")
            keep = None if keep is None else np.flatnonzero(np.unpackbits(keep, count=self.examples))
            edit = Edit(keep, self.arrays.get("labels"), self.arrays.get("order"))
        quantities = {n.split(".")[0] for n in self.arrays if n.endswith(".train")} - {"correct"}
        return Trial(
            model=self.identity["model"],
            seed=self.identity["seed"],
            epochs=self.identity["epochs"],
            recipe=Recipe(**self.identity["recipe"]),
            edit=edit,
            views=tuple(v for v in self.views if v != "train"),
            record=tuple(quantities),
            **self.data,
        )
