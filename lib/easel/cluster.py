"""The engine "ray": missing trials as Ray Core tasks, on this machine or on many. No scheduler of its own.

One trial is one task, on one CPU core or a share of a GPU. A task trains exactly as the local engine does and writes to
the store, whose folder every node must see at the same path; a task that runs twice finds its record and ends.
$RAY_ADDRESS names a running cluster, else Ray is started here for the while, bound to 127.0.0.1. A cluster with token
authentication wants the same RAY_AUTH_TOKEN in this process and on every node; a Ray started here needs none.
"""

import contextlib
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator

from easel import paths, pool, run
from easel.errors import UserError
from easel.ledger import Store
from easel.trial import Trial

TRIALS_PER_GPU = 4  # tasks that share one GPU: small nets leave most of it idle
RETRIES = 3  # of a task whose worker process or node died; a fault in the training itself is not retried
_OBJECTS = 100 * 2**20  # bytes of Ray's object store: records travel through the store's folder, not through Ray

_FIX = "start the cluster, give its RAY_AUTH_TOKEN, or unset RAY_ADDRESS to train here"


def train(todo: list[Trial], store: Store, progress: "run.Progress") -> None:
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
        data = str(paths.data_dir().resolve())
        pending = {}
        try:
            for trial in todo:
                pending[task.remote(trial, trial.key, where, shared, data)] = trial
            while pending:
                for ref in ray.wait(list(pending), timeout=1)[0]:  # the time-out lets Ctrl-C through
                    _finish(ray, ref, pending.pop(ref), progress)
        except BaseException:
            for ref in pending:
                ray.cancel(ref, force=True)  # records are written whole or not at all, so this spoils none
            raise


def _finish(ray, ref, trial: Trial, progress: "run.Progress") -> None:
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
    if trial.key != key:
        raise UserError(
            f"node {os.uname().nodename} has another {trial.data} or another version of easel than the driver: "
            "install the same version and name the data's folder in its EASEL_DATA"
        )
    pool.train_one(trial, where, store)


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
        "num_cpus": run.cores(),
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
                ray.init(address="local", **here, **quiet)
        except (ConnectionError, RuntimeError, ValueError) as fault:
            reason = " ".join(str(fault).split())[:200]
            if not address:
                raise UserError(f'engine "ray": Ray did not start here ({reason}); use engine "local"') from fault
            raise UserError(f"RAY_ADDRESS={address}: {reason}; {_FIX}") from fault
    try:
        yield
    finally:
        ray.shutdown()


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
