"""A bit turned, or the end cut off, in every kind of file that easel writes; and what then reads it."""

import io
import json
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
from harness import fault, said, turned

from easel import files
from easel.data import sets
from easel.errors import UserError
from easel.ledger.store import Store, write_pack
from easel.ledger.trial import Recipe, Trial
from easel.notebook import inventory, page as receipts, plan, site
from easel.train import cost
from easel.train.loop import Run, train

sys.path.insert(0, str(Path(__file__).parents[1] / "notebook"))
import make_notebooks as make

sys.path.pop(0)


def tiny(seed: int = 0, **fields) -> Trial:
    """A trial of 100 images drawn by code and a net that trains in a blink."""
    recipe = Recipe(precision="fp32")
    return Trial(
        **{"model": "mlp-1x10", "seed": seed, "epochs": 2, "data": "patterns", "images": 100, "recipe": recipe} | fields
    )


class Stored:
    """A store with two records, and the bytes of one of its files."""

    def __init__(self, folder: Path, which: str):
        self.store, self.records = Store(folder / "store"), [train(tiny(seed)) for seed in range(2)]
        for record in self.records:
            self.store.put(record)
        self.key = self.records[0].key
        self.path = self.store.folder / f"{self.key}.{which}"
        self.blob = self.path.read_bytes()


def named(words: list[str], what: str) -> bool:
    """Whether something was named, in lines that are none too long for a terminal's answer."""
    return any(what in line and "\n" not in line for line in words)


@fault("record, a bit or its end", 2000, 60, lambda folder: Stored(folder, "npz"))
def record_file(shared: Stored, rng) -> str:
    shared.path.write_bytes(turned(shared.blob, rng))
    with said() as words:
        found = shared.store.read(shared.key)
        others = shared.store.read(shared.records[1].key)
    shared.path.with_suffix(".bad").unlink(missing_ok=True)
    if found is not None:
        return "" if found.to_bytes() == shared.blob else "a wrong record was read"
    if others is None or not named(words, shared.key):
        return "not named" if others else "another record was lost"
    shared.path.write_bytes(shared.blob)
    return "" if shared.store.read(shared.key).to_bytes() == shared.blob else "the record is not read again"


@fault("KEY.json, a bit or its end", 1500, 60, lambda folder: Stored(folder, "json"))
def note_file(shared: Stored, rng) -> str:
    shared.path.write_bytes(turned(shared.blob, rng))
    with said() as words:
        record = shared.store.fullest(shared.key)
        cost.speeds(shared.store, "cpu", ["fp32"])
        inventory.as_text(inventory.content(shared.store))
    if record is None or record.to_bytes() != shared.records[0].to_bytes():
        return "the record was lost"
    if record.provenance.items() >= shared.records[0].provenance.items():
        return ""
    return "" if record.provenance == {} and named(words, str(shared.path)) else f"wrong: {record.provenance}"


def _pack(folder: Path):
    records = [train(tiny(seed)) for seed in range(2)]
    write_pack(records, folder / "packs" / "tiny.zip")
    return folder / "packs" / "tiny.zip", records, (folder / "packs" / "tiny.zip").read_bytes()


@fault("pack, a bit or its end", 2500, 60, _pack)
def pack_file(shared, rng) -> str:
    path, records, blob = shared
    path.write_bytes(turned(blob, rng))
    with said() as words:
        store = Store(path.parent / "none", released=path.parent)
        found = [store.fullest(record.key) for record in records]
        with suppress(UserError):
            Store(path.parent / "none").take(path)
    for file in (path.parent / "none").glob("*"):
        file.unlink()
    for record, read in zip(records, found, strict=True):
        if read is None and not named(words, "tiny.zip"):
            return "a record was lost without a word"
        if read is not None and read.to_bytes() != record.to_bytes():
            return "a wrong record was read"
        if read is not None and read.provenance and not read.provenance.items() <= record.provenance.items():
            return f"wrong: {read.provenance}"
    return ""


def _checkpoint(folder: Path):
    trial, path = tiny(epochs=3, recipe=Recipe(precision="fp32", batch_size=50)), folder / "it.checkpoint"
    run = Run(trial, "cpu")
    run.epoch()
    run.save(path)
    return trial, path, path.read_bytes(), train(trial).to_bytes()


@fault("checkpoint, a bit or its end", 1000, 25, _checkpoint)
def checkpoint_file(shared, rng) -> str:
    trial, path, blob, whole = shared
    path.write_bytes(turned(blob, rng))
    return "" if train(trial, checkpoint=path).to_bytes() == whole else "it went on from a wrong state"


def _receipt(folder: Path):
    row = {
        "claim": "Nets agree",
        "paper": 0.7,
        "here": 0.61,
        "low": 0.52,
        "high": 0.73,
        "n": 9,
        "verdict": "holds",
        "why": "w",
    }
    (folder / "figures").mkdir()
    (folder / "figures/00_one-a.png").write_bytes(b"a picture")
    shown = [{"file": "figures/00_one-a.png", "caption": "A picture."}]
    path = make.receipt(folder, "00_one", verdicts=[row], figures=shown)
    receipts.add_files(path, ["figures/00_one-a.png"])
    make.receipt(folder, "01_two", verdicts=[row])
    return folder, path, path.read_bytes(), receipts.read(path)


@fault("receipt, a bit or its end", 2000, 40, _receipt)
def receipt_file(shared, rng) -> str:
    folder, path, blob, content = shared
    path.write_bytes(turned(blob, rng))
    with said() as words:
        found, damaged = receipts.read_all(folder)
    here = {one["notebook"]: one for one in found}
    if "01_two" not in here:
        return "another receipt was lost"
    if "00_one" in here:
        return (
            ""
            if {k: here["00_one"].get(k) for k in content if k != "sha256"}
            == {k: v for k, v in content.items() if k != "sha256"}
            else "a wrong receipt was read"
        )
    return "" if damaged.get("00_one") and named(words, "00_one.json") else "a receipt was lost without a word"


@fault("figure that a receipt has a digest of", 600, 15, _receipt)
def figure_file(shared, rng) -> str:
    folder, path, blob, content = shared
    path.write_bytes(blob)
    figure = folder / "figures/00_one-a.png"
    figure.write_bytes(turned(b"a picture", rng))
    faults = receipts.changed(content, folder)
    figure.write_bytes(b"a picture")
    return "" if faults == {"figures/00_one-a.png": "changed"} else "a changed figure was taken for the receipt's"


@fault("verdicts.csv and index.html", 100, 4, _receipt)
def index_file(shared, rng) -> str:
    folder = shared[0]
    shared[1].write_bytes(shared[2])
    pages = [folder / "verdicts.csv", site.write_site(folder)]
    before = [page.read_bytes() for page in pages]
    for page in pages:
        page.write_bytes(turned(page.read_bytes(), rng))
    site.write_site(folder)
    return "" if [page.read_bytes() for page in pages] == before else "they are not made anew as they were"


def _facts(folder: Path):
    return sets.facts_of("patterns", "train", 100, 0), list((files.results_dir() / "facts").glob("*.json"))


@fault("facts of a data set", 600, 15, _facts)
def facts_file(shared, rng) -> str:
    right, paths = shared
    whole = {path: path.read_bytes() for path in paths}
    for path in paths:
        path.write_bytes(turned(whole[path], rng))
    sets._facts_of.cache_clear()
    found = sets.facts_of("patterns", "train", 100, 0)
    return "" if found == right else "wrong facts, and so a wrong key"


def _notebooks(folder: Path):
    make.write(folder, "00_one", make.END, parameters='profile = "smoke"\nepochs = 3\ndata = "patterns"\nnets = [1, 2]')
    make.profiles(folder, "smoke: {00_one: {epochs: 7, nets: [3, 4]}}\nlaptop: {}\n")
    return folder


def _planned(shared: Path, name: str, rng) -> str:
    import os

    path = shared / name
    whole = path.read_bytes()
    path.write_bytes(turned(whole, rng))
    os.environ["EASEL_NOTEBOOKS"] = str(shared)
    try:
        plan.planned("smoke")
    except UserError as error:
        return "" if str(error) else "no reason given"
    finally:
        path.write_bytes(whole)
    return ""


@fault("profiles.yaml, a bit or its end", 1000, 40, _notebooks)
def profile_file(shared: Path, rng) -> str:
    return _planned(shared, "profiles.yaml", rng)


@fault("notebook, a bit or its end", 1000, 40, _notebooks)
def notebook_file(shared: Path, rng) -> str:
    site.question(shared / "00_one.ipynb")
    return _planned(shared, "00_one.ipynb", rng)


@fault("archives of others in the place of a record", 300, 10, lambda folder: Stored(folder, "npz"))
def foreign_file(shared: Stored, rng) -> str:
    buffer = io.BytesIO()
    kind = rng.choice(["savez", "text", "json", "object"])
    if kind == "savez":
        np.savez(buffer, meta=np.frombuffer(rng.randbytes(30), np.uint8), loss=np.arange(3))
    elif kind == "object":
        np.save(buffer, np.array([{"a": 1}], object), allow_pickle=True)
    else:
        buffer.write(json.dumps({"meta": rng.random()}).encode() if kind == "json" else rng.randbytes(200))
    blob = buffer.getvalue()
    shared.path.write_bytes(blob)
    with said() as words:
        found = Store(shared.store.folder).read(shared.key)
    kept = [path.read_bytes() for path in (shared.path, shared.path.with_suffix(".bad")) if path.exists()]
    shared.path.with_suffix(".bad").unlink(missing_ok=True)
    if found is not None or not named(words, shared.key):
        return "taken for a record, or not named"
    return "" if kept == [blob] else "somebody's file was lost"
