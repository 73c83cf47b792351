"""Worker processes on this machine: one a core. They never choose what to train.

Each process has one trial at a time, on one thread: with more, sums would be taken in another order. A worker that is
killed is replaced and its trial given again; no worker outlives the process that started it.
"""

import contextlib
import ctypes
import multiprocessing as mp
import os
import signal
from collections import deque
from collections.abc import Iterable
from multiprocessing.connection import Connection, wait

import torch

from easel import warm
from easel.data import sets
from easel.errors import UserError
from easel.ledger.store import Store
from easel.ledger.trial import Trial
from easel.train import budget
from easel.train.loop import train
from easel.train.ways import way_of

DEATHS = 2  # a trial whose worker was killed this often is given up
CHECKPOINT_S = 10.0  # seconds of training after which an unfinished trial's state is written: a stop loses no more


def fetch_data(trials: Iterable[Trial]) -> None:
    """The data sets of these trials are on disk afterwards; published ones are downloaded, with progress."""
    for name in dict.fromkeys(trial.data for trial in trials):
        sets.fetch_missing(sets.Name.of(name).plain)


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def train_one(trial: Trial, where: str, store: Store, on_epoch=None, checkpoint_s: float = CHECKPOINT_S) -> None:
    """Train one trial, from its checkpoint if there is one, and put its record. Once that is there it does nothing.

    where: "cpu" | "cuda". on_epoch: called with the run after each epoch. checkpoint_s: seconds of training between two
    checkpoints.
    """
    if store.get(trial) is None:
        checkpoint, how = store.checkpoint(trial.key), {"device": where, "way": way_of(trial, where, store)}
        # In this order: killed before the record is there, the trial goes on from its checkpoint; killed after that, it
        # finds its record, and a checkpoint that was left over is a file that nobody reads.
        store.put(train(trial, **how, checkpoint=checkpoint, checkpoint_s=checkpoint_s, on_epoch=on_epoch))
        checkpoint.unlink(missing_ok=True)


def keep_freed_memory(keep: bool = True) -> None:
    """Have the C library keep what is freed, so that each step's large tensors do not fault their pages in anew.

    glibc gives back every block above 32 MiB and what is free beyond 64 MiB at the heap's end; keep=False goes back to
    that. With other libraries this does nothing.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        for option, kept, usual in ((_MMAP_MAX, 0, 65536), (_TRIM_THRESHOLD, 2**31 - 1, 64 << 20)):
            mallopt(option, kept if keep else usual)
        mallopt(_MMAP_THRESHOLD, 32 << 20)  # which glibc would come to by itself


_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4  # M_… of malloc.h


class Pool:
    """One process a core, each with a trial at a time; a killed worker is replaced and its trial given again."""

    def __init__(self, todo: list[Trial], workers: int, store: Store, progress):  # progress: ensure.Progress
        self.todo, self.workers, self.store, self.progress = deque(todo), workers, store, progress
        self.busy: dict[Connection, tuple[mp.process.BaseProcess, Trial | None]] = {}
        self.deaths: dict[str, int] = {}

    def run(self) -> None:
        """Train all of them. OutOfTime where the budget ends before the last is given out: those begun are finished."""
        try:
            for _ in range(self.workers):
                self._start()
            while self.busy:
                for connection in wait(list(self.busy)):
                    self._hear(connection)
            if self.todo:
                raise budget.OutOfTime
        finally:
            for process, _ in self.busy.values():
                process.terminate()
            for process, _ in self.busy.values():
                process.join()

    def _start(self) -> None:
        ours, theirs = mp.Pipe()
        process = warm.start(_worker, theirs, self.store, CHECKPOINT_S, preload=[__name__], daemon=True)
        theirs.close()  # the worker's alone now, so that its death closes it and is heard as an end of file
        self.busy[ours] = (process, None)
        self.progress.expect(ours)
        self._give(ours)

    def _give(self, connection: Connection) -> None:
        process, _ = self.busy[connection]
        trial = self.todo.popleft() if self.todo and not budget.spent() else None
        if trial is None:
            self.progress.gone(connection)
        self.busy[connection] = (process, trial)
        with contextlib.suppress(BrokenPipeError):  # it died between trials: its end of file is heard next
            connection.send(trial)

    def _hear(self, connection: Connection) -> None:
        process, trial = self.busy[connection]
        try:
            message = connection.recv()
        except (EOFError, ConnectionResetError):
            del self.busy[connection]
            self.progress.gone(connection)
            process.join()
            if trial is not None:
                self._bury(trial, process.exitcode)
            return
        if message == "ready":
            self.progress.ready(connection)
        elif message == "epoch":
            self.progress.epoch(trial, connection)
        elif message == "done":
            self.progress.trial()
            self._give(connection)
        else:
            raise message  # the exception that ended the trial

    def _bury(self, trial: Trial, exitcode: int | None) -> None:
        self.deaths[trial.key] = self.deaths.get(trial.key, 0) + 1
        if self.deaths[trial.key] >= DEATHS:
            raise UserError(
                f"the process that trained {trial.model} (seed {trial.seed}) was killed {DEATHS} times (exit code "
                f"{exitcode}; -9 is usually lack of memory): free memory or use fewer workers; finished trials are kept"
            )
        print(
            f"a worker was killed (exit code {exitcode}) while it trained {trial.model}; training it again", flush=True
        )
        self.todo.appendleft(trial)  # the worker that replaces it goes on from the checkpoint
        self._start()


def _worker(connection: Connection, store: Store, checkpoint_s: float) -> None:
    """A worker process: trials in, records into the store, until None comes or the driver is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    torch.set_num_threads(1)
    keep_freed_memory()
    warm.end_with_parent()  # a worker in the middle of a step must not go on
    connection.send("ready")  # the imports are done: from here its time is training
    while (trial := connection.recv()) is not None:
        try:
            train_one(trial, "cpu", store, lambda run: connection.send("epoch"), checkpoint_s)
        except UserError as fault:
            connection.send(fault)
        except Exception as fault:  # of any kind, also one that cannot be pickled
            connection.send(RuntimeError(f"{trial.model}, seed {trial.seed}: {type(fault).__name__}: {fault}"))
        else:
            connection.send("done")
