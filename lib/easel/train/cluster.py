"""Tasks of a Ray cluster: trials go out, records come back through the store's folder. No scheduler of our own.

A task has one trial on a CPU core, or some that train side by side on a GPU (easel.train.gpu). It trains exactly as the
local engine does and writes to the store, whose folder every node must see at the same path; a task that runs twice,
because its node died or its driver did and was started again, finds its records and goes on from the checkpoints of the
rest. Only as many tasks are out as the cluster is about to begin, however many trials there are.

$RAY_ADDRESS names a running cluster, else Ray is started here for the while, bound to 127.0.0.1 and with a token of its
own (in ~/.ray). The Ray of a cluster listens on every address of its machines; with RAY_AUTH_MODE=token it refuses who
does not know the token, and wants the same RAY_AUTH_TOKEN in this process and on every node.
"""

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from easel import files, warm
from easel.errors import UserError
from easel.ledger.store import Store
from easel.ledger.trial import Trial
from easel.train import budget, gpu
from easel.train.cost import work
from easel.train.workers import cores, fetch_data, train_one

RETRIES = 3  # of a task whose worker process or node died; a fault in the training itself is not retried
AHEAD = 2  # tasks that are out for every core or GPU: one at work, one about to begin
NEEDS = {"cpu": {"num_cpus": 1}, "cuda": {"num_cpus": 1, "num_gpus": 1}}  # of a task, by where it trains
_OBJECTS = 100 * 2**20  # bytes of Ray's object store: records travel through the store's folder, not through Ray

_FIX = "start the cluster, give its RAY_AUTH_TOKEN, or unset RAY_ADDRESS to train here"


def train_on_ray(todo: Sequence[Trial], store: Store, progress) -> None:
    """Train these trials into the store, in about their order; `progress` hears of each as its task ends.

    Raises UserError if Ray is missing or out of reach, a worker kept dying, or a trial cannot be trained; OutOfTime, or
    KeyboardInterrupt, after cancelling what had not ended. Finished trials are kept whatever happens.
    """
    try:
        import ray
    except ImportError:
        raise UserError('engine "ray": Ray is not installed here: pip install "easel[cluster]"') from None
    with _session(ray):
        where, slots = _where(ray.cluster_resources())
        task = ray.remote(**NEEDS[where], max_retries=RETRIES, retry_exceptions=False)(_task)
        shared = Store(store.folder.resolve(), store.released)
        home = _Home(os.getcwd(), os.path.realpath(files.data_dir()), _own_environ())
        waiting, pending = deque(tasks_of(todo, where, slots)), {}
        try:
            while waiting or pending:
                budget.ask()  # those under way go with the others, and on from their checkpoints another time
                _, slots = _where(ray.cluster_resources(), where)  # nodes come and go
                while waiting and len(pending) < AHEAD * slots:
                    trials = waiting.popleft()
                    pending[task.remote(trials, [trial.key for trial in trials], where, shared, home)] = trials
                for ref in ray.wait(list(pending), timeout=1)[0]:  # the time-out lets Ctrl-C through
                    _finish(ray, ref, pending.pop(ref), progress)
        except BaseException:
            for ref in pending:
                ray.cancel(ref, force=True)  # records are written whole or not at all, so this spoils none
            raise


def tasks_of(todo: Sequence[Trial], where: str, slots: int) -> list[list[Trial]]:
    """The trials of each task, the longest task first: on "cpu" one, on "cuda" those that can train side by side.

    slots: GPUs. Each gets as many tasks as another as far as the numbers allow, so no task has more than its share of
    all trials, nor more than a GPU is ever given at once; how many of them then step together, the GPU measures.
    """
    if where == "cpu":
        return [[trial] for trial in todo]
    most = min(gpu.MOST_PACKED, -(-len(todo) // slots))
    found = []
    for group in gpu.alike(todo):
        count = -(-len(group) // (most if group[0].recipe.batches == "shuffled" else 1))
        found += [group[k::count] for k in range(count)]
    return sorted(found, key=lambda trials: -sum(work(trial) * trial.epochs for trial in trials))


def _finish(ray, ref, trials: list[Trial], progress) -> None:
    try:
        ray.get(ref)
    except ray.exceptions.RayTaskError as fault:
        raise fault.cause from None  # what the training raised, without Ray's wrapping
    except ray.exceptions.RayError as fault:
        reason = str(fault).strip().partition("\n")[0]
        first, more = trials[0], f" and {len(trials) - 1} more" * (len(trials) > 1)
        raise UserError(
            f"the process that trained {first.model} (seed {first.seed}){more} died {RETRIES + 1} times ({reason}): "
            "free memory or give Ray fewer CPUs; finished trials are kept"
        ) from fault
    for trial in trials:
        for _ in range(trial.epochs):
            progress.epoch(trial)
        progress.trial()


class _Home(NamedTuple):
    """What a task takes along of the driver: its working folder, its data folder, and its EASEL_… variables."""

    folder: str
    data: str
    environ: dict[str, str]

    def settle(self) -> None:
        """In a worker: the driver's environment, but that a node's own EASEL_DATA comes before the driver's folder."""
        os.environ.setdefault("EASEL_DATA", self.data)
        os.environ.update(self.environ)
        if self.folder not in sys.path:  # where the driver finds what EASEL_IMPORTS names
            sys.path.append(self.folder)
        warm.import_own()


def _own_environ() -> dict[str, str]:
    return {name: os.environ[name] for name in os.environ if name.startswith("EASEL_") and name != "EASEL_DATA"}


class _Unheard:
    """The progress of a task, which its driver hears of when it is done."""

    def epoch(self, trial: Trial) -> None:
        """An epoch is finished."""

    def trial(self) -> None:
        """A trial is finished."""


def _task(trials: list[Trial], keys: list[str], where: str, store: Store, home: _Home) -> None:
    """On a worker: the trials of a task, except those whose records are there."""
    home.settle()
    fetch_data(trials)
    for trial, key in zip(trials, keys, strict=True):
        if trial.key != key:
            raise UserError(
                f"node {os.uname().nodename} has another {trial.data} or another version of easel than the driver: "
                "install the same version and name the data's folder in its EASEL_DATA"
            )
    if where == "cuda":
        gpu.train_together(trials, where, store, _Unheard())
    else:
        for trial in trials:
            train_one(trial, where, store)


def _where(available: dict[str, float], where: str | None = None) -> tuple[str, int]:
    """Device of the tasks, from what the cluster has and $EASEL_DEVICE wants, and how many can run at once.

    where: the device that was settled on before.
    """
    wanted, gpus = where or os.environ.get("EASEL_DEVICE"), int(available.get("GPU", 0))
    if wanted == "cuda" and not gpus and not where:
        raise UserError("EASEL_DEVICE=cuda: this Ray cluster has no GPU; unset it or use cpu")
    if wanted == "cpu" or (not gpus and not where):
        return "cpu", max(1, int(available.get("CPU", 0)))
    return "cuda", max(1, gpus)


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
