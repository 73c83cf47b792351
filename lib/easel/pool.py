"""Trials on CPU cores: one process a core, each with a trial at a time on one thread. It never chooses what to train.

A worker that is killed is replaced and its trial given again; no worker outlives the process that started it.
"""

import contextlib
import ctypes
import multiprocessing as mp
import os
import signal
import sys
import threading
import types
from collections import deque
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait

import torch

from easel.errors import UserError
from easel.ledger import Store
from easel.train import train
from easel.trial import Trial

DEATHS = 2  # a trial whose worker was killed this often is given up
CHECKPOINT_S = 60.0  # seconds of training after which an unfinished trial's state is written


def train_one(trial: Trial, where: str, store: Store, on_epoch=None, checkpoint_s: float = CHECKPOINT_S) -> None:
    """Train one trial and put its record; idempotent, so that a retry or a second driver costs nothing."""
    if store.get(trial) is None:
        checkpoint = store.checkpoint(trial.key)
        store.put(train(trial, device=where, checkpoint=checkpoint, checkpoint_s=checkpoint_s, on_epoch=on_epoch))
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


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """A spawned process runs the user's script once more, to find functions in it; our workers need nothing of it."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


class Pool:
    """One process a core, each with a trial at a time; a killed worker is replaced and its trial given again."""

    def __init__(self, todo: list[Trial], workers: int, store: Store, progress):  # progress: run.Progress
        self.todo, self.workers, self.store, self.progress = deque(todo), workers, store, progress
        self.busy: dict[Connection, tuple[mp.process.BaseProcess, Trial | None]] = {}
        self.deaths: dict[str, int] = {}

    def run(self) -> None:
        try:
            for _ in range(self.workers):
                self._start()
            while self.busy:
                for connection in wait(list(self.busy)):
                    self._hear(connection)
        finally:
            for process, _ in self.busy.values():
                process.terminate()
            for process, _ in self.busy.values():
                process.join()

    def _start(self) -> None:
        ours, theirs = mp.get_context("spawn").Pipe()
        process = mp.get_context("spawn").Process(target=_worker, args=(theirs, self.store, CHECKPOINT_S), daemon=True)
        with _without_main():
            process.start()
        theirs.close()
        self.busy[ours] = (process, None)
        self._give(ours)

    def _give(self, connection: Connection) -> None:
        process, _ = self.busy[connection]
        trial = self.todo.popleft() if self.todo else None
        self.busy[connection] = (process, trial)
        with contextlib.suppress(BrokenPipeError):  # it died between trials: its end of file is heard next
            connection.send(trial)

    def _hear(self, connection: Connection) -> None:
        process, trial = self.busy[connection]
        try:
            message = connection.recv()
        except (EOFError, ConnectionResetError):
            del self.busy[connection]
            process.join()
            if trial is not None:
                self._bury(trial, process.exitcode)
            return
        if message == "epoch":
            self.progress.epoch(trial)
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
        self.todo.appendleft(trial)
        self._start()


def _worker(connection: Connection, store: Store, checkpoint_s: float) -> None:
    """A worker process: trials in, records into the store, until None comes or the driver is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's to handle
    torch.set_num_threads(1)
    keep_freed_memory()
    driver = mp.parent_process()
    threading.Thread(target=lambda: (wait([driver.sentinel]), os._exit(1)), daemon=True).start()
    while (trial := connection.recv()) is not None:
        try:
            train_one(trial, "cpu", store, lambda run: connection.send("epoch"), checkpoint_s)
        except UserError as fault:
            connection.send(fault)
        except Exception as fault:  # of any kind, also one that cannot be pickled
            connection.send(RuntimeError(f"{trial.model}, seed {trial.seed}: {type(fault).__name__}: {fault}"))
        else:
            connection.send("done")
