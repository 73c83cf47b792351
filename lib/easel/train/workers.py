"""Worker processes: one a core on this machine, or tasks of a Ray cluster. They never choose what to train.

Locally each process has one trial at a time, on one thread: with more, sums would be taken in another order. A worker
that is killed is replaced and its trial given again; no worker outlives the process that started it.

On Ray one trial is one task, on one CPU core or a share of a GPU, without a scheduler of our own. A task trains exactly
as the local engine does and writes to the store, whose folder every node must see at the same path; a task that runs
twice finds its record and ends. $RAY_ADDRESS names a running cluster, else Ray is started here for the while, bound to
127.0.0.1. A cluster with token authentication wants the same RAY_AUTH_TOKEN in this process and on every node; a Ray
started here needs none.
"""

import contextlib
import ctypes
import logging
import multiprocessing as mp
import os
import signal
import socket
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from multiprocessing.connection import Connection, wait

import torch

from easel import files, warm
from easel.data import sets
from easel.errors import UserError
from easel.ledger.store import Store
from easel.ledger.trial import Trial
from easel.train import budget
from easel.train.loop import train

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
        checkpoint = store.checkpoint(trial.key)
        # In this order: killed before the record is there, the trial goes on from its checkpoint; killed after that, it
        # finds its record, and a checkpoint that was left over is a file that nobody reads.
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


class Pool:
    """One process a core, each with a trial at a time; a killed worker is replaced and its trial given again."""

    def __init__(self, todo: list[Trial], workers: int, store: Store, progress):  # progress: run.Progress
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


TRIALS_PER_GPU = 4  # tasks that share one GPU: small nets leave most of it idle
RETRIES = 3  # of a task whose worker process or node died; a fault in the training itself is not retried
_OBJECTS = 100 * 2**20  # bytes of Ray's object store: records travel through the store's folder, not through Ray

_FIX = "start the cluster, give its RAY_AUTH_TOKEN, or unset RAY_ADDRESS to train_on_ray here"


def train_on_ray(todo: list[Trial], store: Store, progress) -> None:
    """Train these trials into the store, in no particular order; `progress` hears of each as it ends.

    Raises UserError if Ray is missing or out of reach, a worker kept dying, or a trial cannot be trained;
    KeyboardInterrupt after cancelling what had not ended. Finished trials are kept whatever happens.
    """
    try:
        import ray
    except ImportError:
        raise UserError('engine "ray": Ray is not installed here: pip install "easel[cluster]"') from None
    with _session(ray):
        where, resources = _where(ray.cluster_resources())
        task = ray.remote(**resources, max_retries=RETRIES, retry_exceptions=False)(_task)
        shared = Store(store.folder.resolve(), store.released)
        data = str(files.data_dir().resolve())
        pending = {}
        try:
            for trial in todo:
                pending[task.remote(trial, trial.key, where, shared, data)] = trial
            while pending:
                budget.ask()  # those under way go with the others, and on from their checkpoints another time
                for ref in ray.wait(list(pending), timeout=1)[0]:  # the time-out lets Ctrl-C through
                    _finish(ray, ref, pending.pop(ref), progress)
        except BaseException:
            for ref in pending:
                ray.cancel(ref, force=True)  # records are written whole or not at all, so this spoils none
            raise


def _finish(ray, ref, trial: Trial, progress) -> None:
    try:
        ray.get(ref)
    except ray.exceptions.RayTaskError as fault:
        raise fault.cause from None  # what the training raised, without Ray's wrapping
    except ray.exceptions.RayError as fault:
        reason = str(fault).strip().partition("\n")[0]
        raise UserError(
            f"the process that trained {trial.model} (seed {trial.seed}) died {RETRIES + 1} times ({reason}): "
            "free memory or give Ray fewer CPUs; finished trials are kept"
        ) from fault
    for _ in range(trial.epochs):
        progress.epoch(trial)
    progress.trial()


def _task(trial: Trial, key: str, where: str, store: Store, data: str) -> None:
    """On a worker: one trial, unless its record is there. A node's own EASEL_DATA comes before the driver's folder."""
    os.environ.setdefault("EASEL_DATA", data)
    fetch_data([trial])
    if trial.key != key:
        raise UserError(
            f"node {os.uname().nodename} has another {trial.data} or another version of easel than the driver: "
            "install the same version and name the data's folder in its EASEL_DATA"
        )
    train_one(trial, where, store)


def _where(available: dict[str, float]) -> tuple[str, dict[str, float]]:
    """Device and resources of a task, from what the cluster has and $EASEL_DEVICE wants."""
    wanted = os.environ.get("EASEL_DEVICE")
    if wanted == "cuda" and not available.get("GPU"):
        raise UserError("EASEL_DEVICE=cuda: this Ray cluster has no GPU; unset it or use cpu")
    if wanted == "cpu" or not available.get("GPU"):
        return "cpu", {"num_cpus": 1}
    return "cuda", {"num_cpus": 1, "num_gpus": 1 / TRIALS_PER_GPU}


@contextlib.contextmanager
def _session(ray) -> Iterator[None]:
    """Ray, connected; a session that was there before is used and left running."""
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray's coming default; without it, it warns
    address = os.environ.get("RAY_ADDRESS", "").strip()
    address = "" if address == "local" else address
    _reachable(address)
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    here = {
        "num_cpus": cores(),
        "num_gpus": 0 if os.environ.get("EASEL_DEVICE") == "cpu" else None,
        "include_dashboard": False,
        "object_store_memory": _OBJECTS,
        "_node_ip_address": "127.0.0.1",
    }
    with _own_sigterm():
        try:
            if address:
                ray.init(address=address, **quiet)
            else:
                with _loopback(ray):
                    ray.init(address="local", **here, **quiet)
        except Exception as fault:  # Ray raises many kinds, a bare Exception where a busy machine starts it too slowly
            reason = " ".join(str(fault).split())[:200]
            if not address:
                raise UserError(f'engine "ray": Ray did not start here ({reason}); use engine "local"') from fault
            raise UserError(f"RAY_ADDRESS={address}: {reason}; {_FIX}") from fault
    try:
        yield
    finally:
        ray.shutdown()


@contextlib.contextmanager
def _loopback(ray) -> Iterator[None]:
    """Ray replaces 127.0.0.1 by an address that others reach, and listens on all of them, unless there is no cluster.

    It knows that by a switch that was made for desktops, which its processes inherit.
    """
    constants, switch = ray._private.ray_constants, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
    before = constants.ENABLE_RAY_CLUSTER, os.environ.get(switch)
    constants.ENABLE_RAY_CLUSTER, os.environ[switch] = False, "0"
    try:
        yield
    finally:
        constants.ENABLE_RAY_CLUSTER = before[0]
        os.environ.pop(switch)
        if before[1] is not None:
            os.environ[switch] = before[1]


def _reachable(address: str) -> None:
    """Refuses HOST:PORT where nobody answers: Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdigit():
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
        except (OSError, OverflowError) as fault:
            raise UserError(f"RAY_ADDRESS={address}: nobody answers there ({fault}); {_FIX}") from fault


@contextlib.contextmanager
def _own_sigterm() -> Iterator[None]:
    """Ray replaces the handler of SIGTERM, which for the command line means: stop as by Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
