"""Processes that are killed, disks that are full or broken, many writers at once: what was acknowledged is there."""

import errno
import os
import resource
import shutil
import signal
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import make_notebooks as make
import torch
from damaged_files import tiny
from harness import fault, forking, said

from easel import files
from easel.data import sets
from easel.errors import UserError
from easel.ledger.store import Store, write_pack
from easel.ledger.trial import Recipe
from easel.notebook import page as receipts, site
from easel.train.loop import Run, train


class Written:
    """Records to write, and a folder for the store."""

    def __init__(self, folder: Path):
        self.folder, self.records = folder, [train(tiny(seed)) for seed in range(4)]
        self.bytes = {record.key: record.to_bytes() for record in self.records}


@contextmanager
def child(work):
    """A forked process that does the work, with a pipe on which it acknowledges; (process id, the pipe's end)."""
    theirs, ours = os.pipe()
    with forking():
        pid = os.fork()
    if pid == 0:
        os.close(theirs)
        try:
            work(ours)
        finally:
            os._exit(0)
    os.close(ours)
    try:
        yield pid, theirs
    finally:
        os.close(theirs)


def heard(pipe: int) -> bytes:
    """All that a process acknowledged before it ended."""
    found = b""
    while part := os.read(pipe, 4096):
        found += part
    return found


@fault("SIGKILL of a record writer", 1000, 60, Written)
def killed_writer(shared: Written, rng) -> str:
    store = Store(shared.folder / f"store{rng.randrange(10**9)}")

    def write(pipe: int) -> None:
        while True:
            for number, record in enumerate(shared.records):
                store.put(record)
                os.write(pipe, bytes([number]))

    with child(write) as (pid, pipe):
        time.sleep(rng.random() * 0.03)
        os.kill(pid, signal.SIGKILL)
        acknowledged = set(heard(pipe))
        os.waitpid(pid, 0)
    with said() as words:
        found = {record.key: record.to_bytes() for record in store.records()}
    shutil.rmtree(store.folder, ignore_errors=True)
    if words:
        return f"something was damaged: {words[0]}"
    if any(shared.bytes[key] != blob for key, blob in found.items()):
        return "a wrong record was read"
    return "" if {shared.records[n].key for n in acknowledged} <= {*found} else "an acknowledged record was lost"


NETS = ("mlp-1x10", "wrn-10-1", "resnext-11-2x2d")


class Trainings:
    """A trial of each family and precision, and what comes of it undisturbed."""

    def __init__(self, folder: Path):
        self.folder, self.trials, self.whole = folder, [], {}
        for net in NETS:
            for precision in ("fp32", "bf16"):
                recipe = Recipe(precision=precision, batch_size=10)
                trial = tiny(model=net, recipe=recipe, images=20, epochs=3)
                self.trials.append(trial)
                self.whole[trial.key] = train(trial).to_bytes()


@fault("SIGKILL of a training", 200, 8, Trainings)
def killed_training(shared: Trainings, rng) -> str:
    trial, checkpoint = rng.choice(shared.trials), shared.folder / f"{rng.randrange(10**9)}.checkpoint"

    def work(pipe: int) -> None:
        torch.set_num_threads(1)
        train(trial, checkpoint=checkpoint, checkpoint_s=0.0)

    for _ in range(2):
        with child(work) as (pid, _):
            time.sleep(rng.random() * 0.15)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
    found = train(trial, checkpoint=checkpoint).to_bytes()
    checkpoint.unlink(missing_ok=True)
    return "" if found == shared.whole[trial.key] else f"{trial.model}: other bits than without the kill"


CODES = ("ENOSPC", "EIO", "EFBIG", "EROFS", "EDQUOT", "EACCES", "ESTALE", "EISDIR", "ENOENT", "EINTR", "ENOLCK")


class Failing:
    """Lets the n-th call that writes below a folder fail with an error; the calls before and after it succeed."""

    def __init__(self, at: int, code: int):
        self.at, self.code, self.seen = at, code, 0

    def __call__(self, real):
        def call(*given, **named):
            self.seen += 1
            if self.seen - 1 == self.at:
                raise OSError(self.code, os.strerror(self.code), str(given[0]) if given else None)
            return real(*given, **named)

        return call


@contextmanager
def failing(at: int, code: int):
    """The at-th of the calls by which files are written fails: making a temporary file, opening, syncing, renaming."""
    fails, before = Failing(at, code), {}
    places = [(os, name) for name in ("fsync", "replace", "chmod", "fdopen", "mkdir")] + [(tempfile, "mkstemp")]
    for place, name in places:
        before[place, name] = getattr(place, name)
        setattr(place, name, fails(before[place, name]))
    try:
        yield fails
    finally:
        for (place, name), real in before.items():
            setattr(place, name, real)


class Writes:
    """Everything that easel writes, each with how it is read again: the older content or the newer, never another."""

    def __init__(self, folder: Path):
        self.folder, self.record = folder, train(tiny())
        self.store, self.run = Store(folder / "store"), Run(tiny(epochs=3), "cpu")
        self.run.epoch()
        make.receipt(folder, "00_one")
        self.content = receipts.read(receipts.path_of(folder, "00_one"))
        self.does = {
            "record": (lambda: self.store.put(self.record), lambda: self.store.path(self.record.key)),
            "pack": (lambda: write_pack([self.record], folder / "packs/a.zip"), lambda: folder / "packs/a.zip"),
            "checkpoint": (lambda: self.run.save(folder / "a.checkpoint"), lambda: folder / "a.checkpoint"),
            "receipt": (lambda: receipts.write(folder / "receipts/00_one.json", self.content),
                        lambda: folder / "receipts/00_one.json"),
            "failure": (lambda: receipts.note_failure(folder, "02_three", "why"),
                        lambda: folder / "receipts/02_three.failed.json"),
            "index": (lambda: site.write_site(folder), lambda: folder / "index.html"),
            "folder": (lambda: files.make_folder(folder / "new/one"), lambda: folder / "new/none"),
        }  # fmt: skip
        for write, _ in self.does.values():
            write()

    def facts(self) -> None:
        sets._facts_of.cache_clear()
        sets.facts_of("patterns", "train", 100, 0)


@fault("ENOSPC, EIO, EFBIG, EROFS and others at a call that writes", 3000, 120, Writes)
def full_disk(shared: Writes, rng) -> str:
    name = rng.choice([*shared.does, "facts"])
    write, where = shared.does.get(name, (shared.facts, lambda: shared.folder / "none"))
    older = where().read_bytes() if where().exists() else None
    with failing(rng.randrange(12), getattr(errno, rng.choice(CODES))):
        try:
            write()
        except UserError as error:
            if "\n" in str(error):
                return "more than one line"
    newer = where().read_bytes() if where().exists() else None
    left = [path.name for path in shared.folder.rglob(".*.part")]
    for path in shared.folder.rglob(".*.part"):
        path.unlink()
    if name == "failure":  # it says when
        newer, older = newer and newer.partition(b"error")[2], older and older.partition(b"error")[2]
    if (name != "failure" and newer != older) or (not newer and older):
        return f"{name}: what stood there before was lost"
    return f"{name}: {left[0]} was left" if left else ""


@fault("a limit on the size of files (ulimit -f)", 200, 10, Written)
def small_files(shared: Written, rng) -> str:
    store = Store(shared.folder / f"store{rng.randrange(10**9)}")
    store.put(shared.records[0])

    def write(pipe: int) -> None:
        most = rng.randrange(3000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        for record in shared.records:
            try:
                store.put(record)
            except UserError:
                continue
            os.write(pipe, b"k" + record.key.encode())

    with child(write) as (pid, pipe):
        kept = heard(pipe).decode().split("k")[1:]
        os.waitpid(pid, 0)
    with said() as words:
        found = {record.key: record.to_bytes() for record in store.records()}
    shutil.rmtree(store.folder)
    if words or any(shared.bytes[key] != blob for key, blob in found.items()):
        return "a damaged record"
    return "" if {*kept, shared.records[0].key} <= {*found} else "an acknowledged record was lost"


@fault("folders that vanish", 300, 15, Written)
def vanishing(shared: Written, rng) -> str:
    store = Store(shared.folder / f"store{rng.randrange(10**9)}")

    def remove(pipe: int) -> None:
        for _ in range(20):
            shutil.rmtree(store.folder, ignore_errors=True)
            time.sleep(0.001)

    with child(remove) as (pid, _):
        for record in shared.records * 2:
            try:
                store.put(record)
                found = store.read(record.key)
            except UserError:
                continue
            if found is not None and found.to_bytes() != shared.bytes[record.key]:
                return "a wrong record was read"
        os.waitpid(pid, 0)
    shutil.rmtree(store.folder, ignore_errors=True)
    return ""


OPERATIONS = 500


@fault("eight processes on one store, 500 operations each", 10, 1, Written)
def eight_writers(shared: Written, rng) -> str:
    store, seeds = Store(shared.folder / f"store{rng.randrange(10**9)}"), [rng.random() for _ in range(8)]

    def work(pipe: int, seed: float) -> None:
        own = type(rng)(seed)
        for _ in range(OPERATIONS):
            record = own.choice(shared.records)
            if own.random() < 0.5:
                store.put(record)
                os.write(pipe, b"p")
            else:
                found = store.read(record.key)
                good = found is None or found.to_bytes() == shared.bytes[record.key]
                os.write(pipe, b"r" if good else b"w")

    with said() as words:
        running = [child(lambda pipe, seed=seed: work(pipe, seed)) for seed in seeds]
        started = [one.__enter__() for one in running]
        answers = b"".join(heard(pipe) for _, pipe in started)
        for one, (pid, _) in zip(running, started, strict=True):
            os.waitpid(pid, 0)
            one.__exit__(None, None, None)
        found = {record.key: record.to_bytes() for record in store.records()}
    shutil.rmtree(store.folder, ignore_errors=True)
    if b"w" in answers or found != {key: shared.bytes[key] for key in found} or words:
        return "a wrong record was read"
    return "" if len(answers) == 8 * OPERATIONS else f"{8 * OPERATIONS - len(answers)} operations failed"
