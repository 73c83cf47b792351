"""10,000 trials on 100 GPUs, with no GPU: what the driver and the store take, beside what the GPUs would give them.

    python tests/benchmarks/cluster.py                      10,000 trials of one epoch, some five minutes on two cores
    python tests/benchmarks/cluster.py --trials 2000 --epochs 10

The driver is `ensure(engine="ray")` as it stands, the store a folder of this disk, a record as large as that of 50,000
images. Of Ray there is a stand-in: 100 GPUs, on which a task takes no time but that of writing the records of its
trials, done by a few processes. So the trials a second are what driver and store can take from all GPUs together.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
import types
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from easel.ledger.record import Record
from easel.ledger.store import Store
from easel.ledger.trial import Trial
from easel.train import cluster, ensure as run

EXAMPLES, GPUS, WRITERS = 50_000, 100, 8
OF_ONE = {"mlp-3x512": 0.03, "wrn-16-4": 0.64, "densenet-bc-100-12": 5.9}  # seconds of an H200 an epoch (README, Speed)


def asked(trials: int, epochs: int) -> list[Trial]:
    """Trials of four nets, whose records are those of 50,000 images."""
    nets = ("mlp-1x1", "mlp-1x2", "mlp-1x3", "mlp-1x4")
    return [Trial(model=nets[n % 4], seed=n // 4, data="patterns", images=100, epochs=epochs) for n in range(trials)]


def write(trials: list[Trial], keys: list[str], where: str, store: Store, home) -> int:
    """In the place of `cluster._task`: the records of a task's trials, of bits drawn at random. Returns how many."""
    for trial, key in zip(trials, keys, strict=True):
        bits = np.random.default_rng(trial.seed).integers(0, 256, (trial.epochs, EXAMPLES // 8), np.uint8)
        arrays = {"correct.train": bits, "loss": np.zeros(trial.epochs, np.float32)}
        record = Record.of(trial, arrays, "complete", {"seconds": 1.0, "device": "an H200"})
        assert record.key == key
        store.put(replace(record, examples=EXAMPLES))
    return len(trials)


class StandIn(types.SimpleNamespace):
    """Of Ray, what `cluster` calls. most: tasks that were out at once."""

    def __init__(self, pool: ProcessPoolExecutor):
        super().__init__(pool=pool, out=0, most=0, tasks=0)

    def is_initialized(self) -> bool:
        """As a session that was there before."""
        return True

    def cluster_resources(self) -> dict[str, float]:
        """100 GPUs."""
        return {"CPU": 8.0 * GPUS, "GPU": float(GPUS)}

    def remote(self, **_):
        """The task, to be sent to the writers."""
        return lambda task: types.SimpleNamespace(remote=self._send)

    def _send(self, *given):
        self.out, self.tasks = self.out + 1, self.tasks + 1
        self.most = max(self.most, self.out)
        return self.pool.submit(write, *given)

    def wait(self, refs, timeout):
        """As ray.wait: some that are done, and the others."""
        done, left = wait(refs, timeout, return_when=FIRST_COMPLETED)
        return list(done), list(left)

    def get(self, ref):
        """What the task gave, or its fault."""
        self.out -= 1
        return ref.result()


def memory() -> float:
    """MiB that this process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def peak() -> float:
    """MiB that this process has held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(what: str, task, each: int):
    """What the task gives; its seconds, and microseconds for each of so many, are printed."""
    before, started = memory(), time.perf_counter()
    found = task()
    spent = time.perf_counter() - started
    line = f"| {what} | {spent:.2f} | {1e6 * spent / each:,.0f} | {memory() - before:+,.0f} |"
    print(line, flush=True)
    return found


def taken(store: Store) -> None:
    """The store's lock, by one who finds it free."""
    with run._only_driver(store.folder, True):
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    os.environ.pop("EASEL_DEVICE", None)
    n = options.trials
    with tempfile.TemporaryDirectory() as name, ProcessPoolExecutor(WRITERS, get_context("spawn")) as pool:
        store, trials = Store(Path(name)), asked(n, options.epochs)
        trials[0].examples  # noqa: B018 - drawn once, here, and not in what is timed
        list(pool.map(time.sleep, [5] * WRITERS))  # each has imported what it needs
        ray = sys.modules["ray"] = StandIn(pool)
        print(f"| {n:,} trials of {options.epochs} epochs | seconds | µs a trial | MiB more |\n|---|---|---|---|")
        timed("their keys", lambda: [trial.key for trial in trials], n)
        timed("looked up in an empty store", lambda: [store.get(trial) for trial in trials], n)
        tasks = timed("grouped for 100 GPUs", lambda: cluster.tasks_of(trials, "cuda", GPUS), n)
        ask = {"engine": "ray", "store": store, "quiet": True}
        ledger = timed("trained, by GPUs that take no time", lambda: run.ensure(trials, **ask), n)
        assert ledger.trained == n
        del ledger
        again = timed("asked for again, all there", lambda: run.ensure(asked(n, options.epochs), **ask), n)
        assert again.trained == 0
        del again
        timed("the folder listed", store.keys, n)
        timed("the same, the latest first", store.latest, n)
        timed("the lock taken, left-over files looked for", lambda: taken(store), n)
        more = asked(n + 1, 1)[-1]
        timed("one more trial, asked for", lambda: store.get(more), 1)
        sizes = [path.stat().st_size for path in store.folder.iterdir()]
        print(f"{len(sizes):,} files, {sum(sizes) / 2**20:,.0f} MiB; {sum(sizes) / n / 1000:.1f} kB a trial")
        print(f"{len(tasks)} tasks of at most {max(map(len, tasks))} trials; at most {ray.most} were out at once")
        print(f"the driver held {peak():,.0f} MiB at most")
        for net, seconds in OF_ONE.items():
            print(f"100 GPUs give {GPUS / (seconds * options.epochs):,.0f} trials of {net} a second")


if __name__ == "__main__":
    main()
