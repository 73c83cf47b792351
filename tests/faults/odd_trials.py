"""Trials that go wrong, seeds that lack or stand twice, data that were changed: other keys, refusals, the same bits."""

import io
import os
import time
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from damaged_files import tiny
from harness import fault, said

from easel import files
from easel.compare import matching, scores
from easel.data.own import save_arrays
from easel.errors import UserError
from easel.ledger.store import Ledger, Store
from easel.ledger.trial import Recipe
from easel.notebook import page as receipts, site
from easel.train import budget, gpu
from easel.train.ensure import Progress, ensure
from easel.train.loop import Run, train

CLASSES = ("ant", "bee", "cow")


@contextmanager
def changed(place: object, name: str, value: object):
    """An attribute is another one for the while."""
    before = getattr(place, name)
    setattr(place, name, value)
    try:
        yield before
    finally:
        setattr(place, name, before)


# data that were changed ----------------------------------------------------------------------------------------------


def _images(rng) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(rng.randrange(2**32))
    return draw.integers(0, 256, (30, 8, 8, 3), np.uint8), np.arange(30) % 3


def _turned_round(images, labels, classes, rng):
    way = rng.choice(["order", "labels", "one label", "one pixel", "a name", "names", "less", "more", "a channel"])
    images, labels, classes = images.copy(), labels.copy(), list(classes)
    a, b = rng.sample(range(10), 2)  # of two classes, or two of one: images differ all the same
    if way == "order":
        images[[a, b]], labels[[a, b]] = images[[b, a]], labels[[b, a]]
    elif way == "labels":
        labels = (labels + 1) % 3
    elif way == "one label":
        labels[a] = (labels[a] + 1) % 3
    elif way == "one pixel":
        images[a, 3, b % 8, 1] ^= 1
    elif way == "a name":
        classes[a % 3] += "s"
    elif way == "names":
        classes = classes[1:] + classes[:1]
    elif way == "less":
        images, labels = np.delete(images, a, 0), np.delete(labels, a)
    elif way == "more":
        images, labels = np.concatenate([images, images[:1]]), np.append(labels, labels[:1])
    else:
        images = images[..., [1, 0, 2]]
    return way, images, labels, classes


@fault("data permuted, relabelled, renamed or changed by a bit", 400, 20)
def other_data(shared: Path, rng) -> str:
    path = shared / f"set{rng.randrange(10**9)}.npz"
    store = Store(shared / f"store{rng.randrange(10**9)}")
    images, labels = _images(rng)
    save_arrays(path, (images, labels), classes=CLASSES)
    dated = path.stat().st_mtime_ns
    recipe = Recipe(precision="fp32", batch_size=10)
    trial = tiny(data=str(path), images=None, epochs=1, recipe=recipe)
    key = trial.key
    ledger = ensure([trial], store=store, workers=0, quiet=True)
    way, *other = _turned_round(images, labels, CLASSES, rng)
    time.sleep(0.01)  # the clock of files ticks every few milliseconds
    save_arrays(path, tuple(other[:2]), classes=other[2])
    os.utime(path, ns=(dated, dated))
    if tiny(data=str(path), images=None, epochs=1, recipe=recipe).key == key:
        return f"{way}: the same key"
    try:
        assert ledger.examples is None
    except UserError as error:
        if "its files changed" not in str(error):
            return f"{way}: {error}"
    again = ensure([tiny(data=str(path), images=None, epochs=1, recipe=recipe)], store=store, workers=0, quiet=True)
    return "" if again.trained == 1 else f"{way}: a record of other data was taken"


# losses that are none ------------------------------------------------------------------------------------------------


class Stop(BaseException):
    """A kill, in this process."""


def _wild(rng):
    """A trial that will diverge, at once, later or only in what it says, and from which epoch on a loss is none."""
    optimizer = rng.choice(["sgd", "adamw"])
    recipe = Recipe(precision="fp32", optimizer=optimizer, learning_rate=rng.choice([1e-3, 0.1]), batch_size=50)
    return tiny(rng.randrange(100), epochs=5, recipe=recipe), rng.randrange(5), rng.choice([float("nan"), float("inf")])


@contextmanager
def diverging(at: int, value: float):
    """The weights of every run are no numbers from the end of an epoch on."""

    def spoilt(self):
        if self.done == at:
            with torch.no_grad():
                next(self.net.parameters()).view(-1)[0] = value
        return real(self)

    with changed(Run, "_train_epoch", None) as real:
        Run._train_epoch = spoilt
        yield


@fault("losses that are no numbers, with kills", 200, 12)
def no_numbers(shared: Path, rng) -> str:
    trial, at, value = _wild(rng)
    checkpoint = shared / f"{rng.randrange(10**9)}.checkpoint"
    with diverging(at, value):
        whole = train(trial)
        for _ in range(rng.randrange(1, 4)):
            stop = rng.randrange(1, 6)

            def killed(run, stop=stop):
                if run.done == stop:
                    raise Stop

            try:
                again = train(trial, checkpoint=checkpoint, checkpoint_s=0.0, on_epoch=killed)
            except Stop:
                continue
            break
        again = train(trial, checkpoint=checkpoint, checkpoint_s=0.0)
    if whole.status != "diverged" or whole.epochs != at + 1:
        return f"{whole.status} after {whole.epochs} epochs, spoilt in the {at + 1}th"
    if again.to_bytes() != whole.to_bytes():
        return "after a kill it went on as a healthy one"
    good = train(tiny(epochs=5, recipe=trial.recipe, seed=1000))
    ledger = Ledger([whole, good])
    if (len(ledger), [one.key for one in ledger.diverged]) != (1, [trial.key]):
        return "a diverged trial counted"
    store = Store(shared / f"store{rng.randrange(10**9)}")
    store.put(whole)
    healthy = [store.get(tiny(trial.seed, epochs=m, recipe=trial.recipe)) for m in range(1, at + 1)]
    if any(one is None or one.status != "complete" for one in healthy):
        return "the epochs before it diverged are not served"
    late = store.get(trial)
    return "" if late is not None and late.status == "diverged" else "it is trained again and again"


# seeds ---------------------------------------------------------------------------------------------------------------


class Seeds:
    """Records of ten seeds, of which one diverges, and what their ledger says."""

    def __init__(self, folder: Path):
        self.folder, self.trials = folder, [tiny(seed) for seed in range(9)]
        wild = tiny(9, recipe=Recipe(precision="fp32", optimizer="sgd", learning_rate=1e30))
        self.records = {trial: train(trial) for trial in [*self.trials, wild]}
        self.trials.append(wild)


@fault("seeds that lack, stand twice or diverged", 300, 20, Seeds)
def seeds(shared: Seeds, rng) -> str:
    store = Store(shared.folder / f"store{rng.randrange(10**9)}")
    here = rng.sample(shared.trials, rng.randrange(11))
    for trial in here:
        store.put(shared.records[trial])
    asked = rng.choices(shared.trials, k=rng.randrange(1, 25))
    ledger = ensure(asked, store=store, workers=0, quiet=True)
    distinct = list(dict.fromkeys(asked))
    good = [trial for trial in distinct if shared.records[trial].status == "complete"]
    if (ledger.trained, ledger.reused) != (
        len(set(distinct) - set(here)),
        len(set(distinct) & set(here)),
    ):
        return f"trained {ledger.trained}, reused {ledger.reused}: a trial that was there, or stood twice, was counted"
    if [record.key for record in ledger.records] != [trial.key for trial in good]:
        return "the ledger's trials are others, or in another order"
    if len(ledger.diverged) != len(distinct) - len(good):
        return "a diverged trial is not listed once"
    bits = np.array([shared.records[trial].correct() for trial in good])
    if not good:
        return ""
    if not np.array_equal(ledger.correct(), bits) or not np.allclose(scores.learnability(ledger), bits.mean((0, 1))):
        return "a score counted a trial twice or not at all"
    if len(good) < 4:
        return ""
    half = len(good) // 2
    pair = (bits[:half, 1], bits[half:, 1])
    table = matching.rate_table({"a": pair, "b": pair[::-1]}, which="easy", labels=ledger.labels)
    return "" if table.notna().any(axis=None) else "no rate"


# a GPU's memory ------------------------------------------------------------------------------------------------------


class Packed:
    """Trials, and what comes of each alone."""

    def __init__(self, folder: Path):
        self.folder, self.trials = folder, [tiny(seed, epochs=3) for seed in range(6)]
        self.whole = {trial.key: train(trial).to_bytes() for trial in self.trials}


@fault("a GPU's memory that ends (simulated)", 150, 8, Packed)
def no_memory(shared: Packed, rng) -> str:
    store, trials = (
        Store(shared.folder / f"store{rng.randrange(10**9)}"),
        rng.sample(shared.trials, rng.randrange(1, 7)),
    )
    room, often = rng.randrange(5), rng.random()  # trials that there is room for: 0, not even for one

    def full(self):
        if len(self.lanes) > room and rng.random() < often:
            if rng.randrange(2):
                raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 2.00 GiB.")
            try:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            finally:
                raise RuntimeError("operation failed due to a previous error during capture")
        return real(self)

    with (
        changed(gpu.Pack, "epoch", None) as real,
        changed(gpu, "CHECKPOINT_S", rng.choice([0.0, 60.0])),
        redirect_stdout(io.StringIO()),
    ):
        gpu.Pack.epoch = full
        try:
            gpu.train_together(trials, "cpu", store, Progress(trials, quiet=True), most=len(trials))
            refused = False
        except UserError as error:
            refused = True
            if "\n" in str(error) or room:
                return f"refused, though there was room for {room}: {error}"
    found = {trial.key: store.get(trial) for trial in trials}
    if any(record is not None and record.to_bytes() != shared.whole[key] for key, record in found.items()):
        return "other bits than alone"
    if refused:  # the memory is free again: it goes on
        gpu.train_together(trials, "cpu", store, Progress(trials, quiet=True), most=len(trials))
        found = {trial.key: store.get(trial) for trial in trials}
    return "" if None not in found.values() else "a trial was lost without a word"


# clocks --------------------------------------------------------------------------------------------------------------

DAYS = (-40_000, -400, -1, -0.01, 0.01, 1, 400, 40_000)


class Clocked:
    """A store with a record, results with a receipt."""

    def __init__(self, folder: Path):
        from damaged_files import _receipt

        self.folder, self.store, self.trial = folder, Store(folder / "store"), tiny()
        self.record = train(self.trial)
        self.bytes = self.record.to_bytes()
        self.store.put(self.record)
        (folder / "smoke").mkdir()
        self.path = _receipt(folder / "smoke")[1]


@fault("clocks that jump, and files from the future or long ago", 400, 20, Clocked)
def clocks(shared: Clocked, rng) -> str:
    jump, dated = rng.choice(DAYS) * 86400, time.time() + rng.choice(DAYS) * 86400
    held = shared.folder / "store/.held.npz.x.part"
    for path in [*shared.folder.glob("store/*"), *shared.folder.glob("smoke/**/*.json")]:
        if rng.randrange(2):
            os.utime(path, (max(0, dated), max(0, dated)))
    real, steps = time.time, [0.0]

    def jumped() -> float:
        steps[0] += rng.choice([0, 0, 1, -1]) * abs(jump)
        return max(0.0, real() + jump + steps[0])

    new = tiny(1 + rng.randrange(10**6))
    with changed(time, "time", jumped), said() as words, open(held, "wb") as file:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_SH)  # as whoever writes it does
        os.utime(held, (1, 1))
        with budget.time_limit(3600):  # which no jump ends
            ledger = ensure([shared.trial, new], store=shared.store, workers=0, quiet=True)
        if not held.exists():
            return "a file that is being written was swept away"
        ended = datetime.fromtimestamp(min(max(0, dated), 4e9), UTC).isoformat(timespec="seconds")
        receipts.write(shared.path, receipts.read(shared.path) | {"finished": ended})
        receipts.note_failure(shared.folder / "smoke", "00_one", "it failed")
        marked = "it failed" in site.write_site(shared.folder / "smoke").read_text()
    held.unlink()
    (shared.folder / "smoke/receipts/00_one.failed.json").unlink()
    shared.store.path(new.key).unlink()
    if words:
        return f"something was called damaged: {words[0]}"
    if not marked:
        return "a failed run is not marked"
    if ledger.records[0].to_bytes() != shared.bytes or ledger.trained != 1:
        return "a record that is there was not read, or another"
    files.sweep_parts(shared.store.folder)
    return "" if shared.store.read(shared.record.key).to_bytes() == shared.bytes else "a record was lost"
