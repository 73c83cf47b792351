"""`ensure(trials)`: what is missing is trained, what is there is read. The one way from trials to a ledger.

On CPUs each core has a process of its own that trains one trial at a time on one thread; on a GPU one process trains
several trials side by side (easel.train.gpu); on the nodes of a cluster both (easel.train.cluster).
One driver at a time trains into a store (a file lock that dies with its holder): a second one waits, then reads. A
driver may be killed at any moment: finished trials are in the store, long ones at their last checkpoint, and no worker
outlives it.
"""

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from easel import files, warm
from easel.errors import UserError, answers, is_whole, refuse_other_kinds
from easel.ledger.provenance import asked_device
from easel.ledger.record import Record
from easel.ledger.store import Ledger, Store
from easel.ledger.trial import Trial
from easel.train import budget, cluster, cost, gpu, workers as pool
from easel.train.budget import OutOfTime
from easel.train.cost import work
from easel.train.ways import MEASURED, asked_way
from easel.train.workers import cores, fetch_data

try:
    import fcntl
except ImportError:  # Windows: two drivers may train the same trial; the store takes either result, they are the same
    fcntl = None

ENGINES = ("local", "ray")
SMALL_WORK = 3e11  # multiply-adds, some 5 s of a core: less is done in this process sooner than workers have started


def device(engine: str | None = None) -> str:
    """Where trials are trained here: $EASEL_DEVICE, else "cuda" if there is a GPU, else "cpu"."""
    if check_engine(engine) == "ray":  # whose GPUs are elsewhere
        return os.environ.get("EASEL_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
    return asked_device() or ("cuda" if torch.cuda.is_available() else "cpu")


def precision(name: str = "auto") -> str:
    """A recipe's precision on this machine: "auto" is bf16 where the hardware computes in it, else fp32."""
    if name not in ("auto", "bf16", "fp32"):
        raise UserError(f"precision {name!r:.60}: one of auto, bf16, fp32")
    if name != "auto":
        return name
    if device() == "cuda":
        return "bf16"
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    return "bf16" if "avx512_bf16" in flags or "amx_bf16" in flags else "fp32"


@answers(name="a text", trials="several of them", store=Store)
def in_precision(name: str, trials: Iterable[Trial], store: Store | None = None) -> list[Trial]:
    """The same trials in the precision `name`, all in one: bf16, fp32, or "auto".

    "auto" is what this machine computes in, unless the store holds every one of the trials in the other precision and
    not in this one: records of another kind of machine are read sooner than made again.
    """
    trials, own = _given(trials), precision(name)
    here, there = (
        [replace(trial, recipe=replace(trial.recipe, precision=one)) for trial in trials]
        for one in (own, "fp32" if own == "bf16" else "bf16")
    )
    if name != "auto":
        return here
    fetch_data(trials)
    store = store or Store()
    return next((ones for ones in (here, there) if all(map(store.get, ones))), here)


def check_engine(name: str | None = None) -> str:
    """The engine by name, by $EASEL_ENGINE, or "local"; UserError if there is none of that name."""
    name = name or os.environ.get("EASEL_ENGINE") or "local"
    if name not in ENGINES:
        raise UserError(f"engine {name!r}: one of {', '.join(ENGINES)}")
    return name


def _given(trials: Iterable[Trial]) -> list[Trial]:
    trials = list(trials)
    for one in trials:
        refuse_other_kinds("ensure", {"trials": Trial}, {"trials": one})
    return trials


@answers(trials="several of them", engine="a text", workers="a whole number", store=Store)
def ensure(
    trials: Iterable[Trial],
    *,
    engine: str | None = None,
    workers: int | None = None,
    store: Store | None = None,
    quiet: bool = False,
) -> Ledger:
    """The ledger of these trials, in their order; those that the store lacks are trained first.

    engine: "local" (default, or $EASEL_ENGINE) or "ray"; workers: CPU processes, 0 = this process; default one a core,
    and this process for a few seconds' work.
    Raises KeyboardInterrupt after stopping the workers, and OutOfTime where a budget (easel.train.budget) is spent; run
    again and it goes on where it was.
    """
    records, trained = _ensured(trials, engine, workers, store, quiet)
    return Ledger(records, len(trained))


def ensure_each(trials: Iterable[Trial], **how) -> list[Ledger]:
    """Ledgers of trials of several lengths or data sets, one for each of those, trained in one go as by `ensure`."""
    trials = list(trials)
    records, trained = _ensured(trials, **how)
    groups: dict[tuple, dict[str, Record]] = {}
    for trial, record in zip(trials, records, strict=True):
        groups.setdefault((record.identity["fingerprint"], trial.epochs), {})[record.key] = record
    return [Ledger(group.values(), sum(key in trained for key in group)) for group in groups.values()]


def _ensured(
    trials: Iterable[Trial], engine=None, workers=None, store=None, quiet=False
) -> tuple[list[Record], set[str]]:
    """The records of these trials, in their order, and the keys of those that were trained now."""
    trials = _given(trials)
    if not trials:
        raise UserError("no trials were asked for")
    if workers is not None and not is_whole(workers):
        raise UserError(f"workers={workers!r}: a whole number from 0 up, or None for one a core")
    engine = check_engine(engine)
    store = store or Store()
    fetch_data(trials)
    found = [store.get(trial) for trial in trials]
    trained: set[str] = set()
    if not all(found):
        with _only_driver(store.folder, quiet):
            missing: dict[str, Trial] = {}  # those of one key become one
            for trial in trials:
                if store.get(trial) is None:  # asked again under the lock: another driver may have trained some
                    missing[trial.key] = missing[trial.key].joined(trial) if trial.key in missing else trial
            if device(engine) != "cpu":  # where bits are not promised, a new record could not be joined with an old one
                missing = {key: _with_what_was_there(trial, store) for key, trial in missing.items()}
            # The longest first: one that is begun last keeps one core busy and leaves the others idle.
            todo = sorted(missing.values(), key=lambda t: -work(t) * t.epochs)
            if todo:
                try:
                    _train(todo, engine, workers, store, Progress(todo, quiet))
                except OutOfTime:
                    raise OutOfTime(sum(store.get(trial) is None for trial in todo)) from None
            trained |= set(missing)
    records = [record or store.get(trial) for record, trial in zip(found, trials, strict=True)]
    if None in records:
        gone = f"{records.count(None)} of {len(records)} trials were trained and are not in {store.folder}"
        raise UserError(f"{gone}: was it emptied or taken away meanwhile? the same request trains them again")
    released = [r.provenance for r in records if "released" in r.provenance]
    if released and not quiet:
        made = f"released records, made on {released[0].get('device', 'another machine')}"
        print(f"{len(released)} of {len(records)} trials are {made}; EASEL_RETRAIN=1 trains them here", flush=True)
    return records, trained


def _with_what_was_there(trial: Trial, store: Store) -> Trial:
    """The trial that serves what the store's own record of it serves, too: it will take its place."""
    older = store.read(trial.key)
    own = older is not None and older.status == "complete" and "released" not in older.provenance
    return trial.joined(older.trial) if own else trial


@contextlib.contextmanager
def _only_driver(folder: Path, quiet: bool) -> Iterator[None]:
    """Hold the store's lock. The kernel releases it when the process ends, however it ends."""
    with files.writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = open(folder / ".driver", "a")  # noqa: SIM115 - closed below, and by any death of this process
    with handle:
        if fcntl is not None:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not quiet:
                    print("another process is training into this store; waiting for it", flush=True)
                fcntl.flock(handle, fcntl.LOCK_EX)
            except OSError:  # a network folder without locks: two drivers may train one trial, to the same bytes
                pass
        files.sweep_parts(folder)
        yield


class Progress:
    """Lines such as "trained 12 of 40 trials, 3.1 min, about 6 min left": rewritten on a terminal, rare elsewhere.

    The guess is what is left over the pace of those who train now, each by a clock of its own that starts when it is
    ready, so that the start of a process does not count as work. There is none until each has finished an epoch.
    """

    def __init__(self, todo: Sequence[Trial], quiet: bool = False):
        self.trials, self.work = len(todo), sum(work(t) * t.epochs for t in todo)
        self.done = self.finished = 0.0
        self.quiet, self.started, self.said = quiet, time.monotonic(), float("-inf")
        self.live = sys.stdout.isatty()
        self.paces: dict[object, _Pace] = {}

    def expect(self, worker: object) -> None:
        """A worker is being started; there is no guess until it has finished an epoch."""
        self.paces[worker] = _Pace()

    def ready(self, worker: object) -> None:
        """A worker begins to train."""
        self.paces[worker] = _Pace(time.monotonic())

    def gone(self, worker: object) -> None:
        """A worker has nothing more to do, or has died."""
        self.paces.pop(worker, None)

    def epoch(self, trial: Trial, worker: object = None) -> None:
        """An epoch of a trial is finished; worker None: this process itself, at work from the beginning."""
        pace = self.paces.setdefault(worker, _Pace(self.started))
        pace.done, pace.heard = pace.done + work(trial), time.monotonic()
        self.done += work(trial)
        self._say()

    def trial(self) -> None:
        """A trial is finished."""
        self.finished += 1
        self._say(last=self.finished == self.trials)

    def _left(self) -> str:
        """How much longer, in words; "" while nobody can know."""
        if not self.paces or not all(pace.done for pace in self.paces.values()):
            return ""
        pace = sum(pace.done / max(pace.heard - pace.began, 1e-9) for pace in self.paces.values())
        return f", about {minutes(max(0.0, self.work - self.done) / pace)} left"

    def _say(self, last: bool = False) -> None:
        now = time.monotonic()
        if self.quiet or (now - self.said < (0.5 if self.live else 20) and not last):
            return
        self.said = now
        tail = "" if last else self._left()
        line = f"trained {self.finished:.0f} of {self.trials} trials, {minutes(now - self.started)}{tail}"
        print(f"\r{line:<78}" if self.live else line, end="\n" if last or not self.live else "", flush=True)


@dataclass
class _Pace:
    """Of one worker: when it was ready, multiply-adds since then, and when the last of them were heard of."""

    began: float = 0.0
    done: float = 0.0
    heard: float = 0.0


def minutes(seconds: float) -> str:
    """A time in words: 40 s, 12 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _announce(todo: list[Trial], engine: str, at_once: int, store: Store) -> None:
    """Say what will be trained and how long that takes, before it starts."""
    if engine == "ray":
        how_long = "on a Ray cluster"
    else:
        known = cost.speeds(store, device(), {trial.recipe.precision for trial in todo})
        spell, count = cost.expected(todo, known, at_once), sum(map(len, known.values()))
        how_long = "how long is not known: this store has no trial of this machine and precision yet"
        if spell is not None:
            how_long = f"about {minutes(spell)}, going by {count} earlier trial{'s' * (count != 1)} on this machine"
    print(f"training {cost.trials_in_words(todo)}: {how_long}", flush=True)


def _train(todo: list[Trial], engine: str, workers: int | None, store: Store, progress: Progress) -> None:
    on = device(engine)
    way = asked_way(on)
    alone = bool(warm.UNSHARED) and workers is None
    here = workers == 0 or alone or (workers is None and progress.work < SMALL_WORK)
    if alone and not progress.quiet and progress.work >= SMALL_WORK:
        what = ", ".join(sorted(warm.UNSHARED))
        print(
            f"training in this process: no other knows {what}; register it in a module, to use every core", flush=True
        )
    engine = "local" if alone else engine
    processes = 1 if here or on == "cuda" else min(workers or cores(), len(todo))
    if not progress.quiet:
        if engine == "local" and precision() == "fp32" and any(t.recipe.precision == "bf16" for t in todo):
            slow = "this processor has no bfloat16 products and emulates them, some 8 times slower than fp32"
            print(slow, flush=True)
        _announce(todo, engine, processes, store)
    if way == MEASURED and on == "cpu" and engine == "local":  # before workers read what was chosen
        for group in gpu.alike(trial for trial in todo if trial.recipe.batches == "shuffled"):
            gpu.way_of_group(group, on, store)
    if engine == "ray":
        cluster.train_on_ray(todo, store, progress)
    elif on == "cuda":
        gpu.train_together(todo, "cuda", store, progress)
    elif here:
        for trial in todo:
            budget.ask()
            pool.train_one(trial, "cpu", store, lambda run: progress.epoch(run.trial))
            progress.trial()
    else:
        pool.Pool(todo, processes, store, progress).run()
