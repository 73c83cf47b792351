"""Two versions of easel on one store: a newer one, simulated, and an older one, taken out of the history."""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
from damaged_files import tiny
from harness import Skipped, fault, said

from easel.errors import UserError
from easel.ledger.record import pack, unpack
from easel.ledger.store import Store, write_pack
from easel.ledger.trial import canonical
from easel.notebook import inventory
from easel.train.ensure import ensure
from easel.train.loop import train

ROOT = Path(__file__).parents[2]
OLDER = "8c30a7e"  # notes beside records had no digest yet, receipts neither


class Newer:
    """Records of this version, to be made into records of one that is still to come."""

    def __init__(self, folder: Path):
        self.folder, self.records = folder, [train(tiny(seed)) for seed in range(3)]
        self.bytes = {record.key: record.to_bytes() for record in self.records}


def _newer(blob: bytes, rng) -> bytes:
    """The same trial as another format has it: more fields, other arrays, a compressed or an empty one."""
    arrays = unpack(blob)
    meta = json.loads(arrays.pop("meta").tobytes()) | {
        "format": rng.choice([4, 99, 10**30, "4", "four", 3.5, None, [4]])
    }
    for _ in range(rng.randrange(4)):
        meta[rng.choice(["identity", "status", "made", "examples"])] = rng.choice([{}, [1], None, 5, "x"])
    if rng.randrange(2):
        arrays[rng.choice(["more", "loss", "correct.train"])] = np.zeros(
            rng.randrange(5), rng.choice(["i8", "f2", "u1"])
        )
    return pack(arrays | {"meta": np.frombuffer(canonical(meta), np.uint8)})


@fault("a newer easel on the same store (simulated)", 400, 25, Newer)
def newer(shared: Newer, rng) -> str:
    store = Store(shared.folder / f"store{rng.randrange(10**9)}")
    theirs, ours, missing = shared.records
    store.put(ours)
    theirs_path = store.path(theirs.key)
    blob = _newer(shared.bytes[theirs.key], rng)
    note = rng.choice([b'{"a": 1}', b"[]", b"\xff", b'{"seconds": "long", "sha256": "0"}'])
    theirs_path.write_bytes(blob)
    theirs_path.with_suffix(".json").write_bytes(note)
    if rng.randrange(2):
        (store.folder / f"{theirs.key}.record").write_bytes(b"of a kind that is still to come")
    before = {path.name: path.read_bytes() for path in store.folder.iterdir()}
    with said() as words:
        found = {record.key: record.to_bytes() for record in store.records()}
        as_text = inventory.as_text(inventory.content(store))
        refused = 0
        for ask in (lambda: store.put(theirs), lambda: ensure([theirs.trial], store=store, workers=0, quiet=True)):
            try:
                ask()
            except UserError as error:
                refused += "\n" not in str(error) and "in the way" in str(error)
        trained = ensure([ours.trial, missing.trial], store=store, workers=0, quiet=True).trained
        write_pack(store.records(), shared.folder / "packs/it.zip")
    after = {path.name: path.read_bytes() for path in store.folder.iterdir()}
    shutil.rmtree(store.folder)
    if found != {ours.key: shared.bytes[ours.key]} or trained != 1:
        return "a record of this version was not read, or one of the newer was"
    if refused != 2 or theirs_path.name not in as_text or not any(theirs.key in word for word in words):
        return "it is not named, or not refused in one line"
    changed = [name for name in before if after.get(name) != before[name]]
    return f"{changed[0]} was changed" if changed else ""


THERE = """
import hashlib, json, sys, warnings
warnings.simplefilter("ignore")
import torch
torch.set_num_threads(1)
from pathlib import Path
from easel.ledger.store import Store
from easel.ledger.trial import Recipe, Trial
from easel.train.loop import train


def tiny(seed):
    return Trial(model="mlp-1x10", seed=seed, epochs=2, data="patterns", images=100, recipe=Recipe(precision="fp32"))


records = [train(tiny(seed)) for seed in range(3)]
print(json.dumps([record.key for record in records]), flush=True)
for line in sys.stdin:
    folder, what, seed = json.loads(line)
    store, answer = Store(Path(folder)), "done"
    try:
        if what == "put":
            store.put(records[seed])
        else:
            found = store.get(tiny(seed))
            answer = hashlib.sha256(found.to_bytes()).hexdigest() if found is not None else "none"
    except Exception as error:
        answer = f"{type(error).__name__}: {error}"
    print(json.dumps(answer), flush=True)
"""


class Older(Newer):
    """A process of the older version, which does what it is told."""

    def __init__(self, folder: Path):
        archive = subprocess.run(["git", "archive", OLDER, "lib"], cwd=ROOT, capture_output=True, check=False)
        if archive.returncode:
            raise Skipped(f"no history of it here ({OLDER})")
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
            tar.extractall(folder / "older", filter="data")
        super().__init__(folder)
        environ = os.environ | {"PYTHONPATH": str(folder / "older/lib"), "EASEL_RESULTS": str(folder / "results")}
        command = [sys.executable, "-c", THERE]
        self.there = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ, cwd=folder
        )
        if json.loads(self.there.stdout.readline()) != [record.key for record in self.records]:
            raise RuntimeError("its keys are others")

    def close(self) -> None:
        """Ends the process."""
        self.there.stdin.close()
        self.there.stdout.close()
        self.there.wait()

    def tell(self, *what) -> None:
        """Has the older version do something; its answer is to be heard."""
        self.there.stdin.write(json.dumps(what) + "\n")
        self.there.stdin.flush()

    def hear(self) -> str:
        """The answer to what it was told."""
        return json.loads(self.there.stdout.readline())


@fault("an older easel on the same store (from the history)", 300, 8, Older)
def older(shared: Older, rng) -> str:
    """Both write and read at once; what either acknowledged, both read, with the same bits."""
    store, put = Store(shared.folder / f"store{rng.randrange(10**9)}"), set()
    right = {seed: hashlib.sha256(blob).hexdigest() for seed, blob in enumerate(shared.bytes.values())}
    with said() as words:
        for _ in range(12):
            mine, theirs = rng.randrange(3), rng.randrange(3)
            what = rng.choice(["put", "get"])
            known = {*put}
            shared.tell(str(store.folder), what, theirs)
            if rng.randrange(2):
                store.put(shared.records[mine])
                put.add(mine)
            else:
                found = store.get(shared.records[mine].trial)
                if (found is None and mine in known) or (found and found.to_bytes() != [*shared.bytes.values()][mine]):
                    return "this version reads a wrong record, or none"
            answer = shared.hear()
            if what == "put" and answer == "done":
                put.add(theirs)
            elif what == "put" or (answer != right[theirs] and (answer != "none" or theirs in known)):
                return f"the older version answers {answer} when it is to {what}"
        found = [store.get(shared.records[seed].trial) for seed in put]
    shutil.rmtree(store.folder, ignore_errors=True)
    if words or None in found:
        return f"a record was lost: {words}"
    return ""
