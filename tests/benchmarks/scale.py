"""Cost against work: what grows with images, trials and epochs, and how fast the largest ledgers are read.

    python tests/benchmarks/scale.py            about two minutes on one core; leave the machine alone meanwhile

Training must cost the same for every image, however many there are. The rest is held against what it cannot do without,
as a ratio, which does not hang on the machine: reading 200 trials of 10 epochs on 50,000 images against hashing and
unpacking their bytes, and all pairs of 10 nets, easy and hard, against sorting every group's counts.
"""

import hashlib
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from easel.compare import matching
from easel.data import sets as datasets
from easel.ledger.record import Record
from easel.ledger.store import Ledger, Store
from easel.ledger.trial import Recipe, Trial
from easel.train.batches import stream
from easel.train.ensure import ensure

EXAMPLES, EPOCHS, TRIALS = 50_000, 10, 200
FP32 = Recipe(precision="fp32")


def written(folder: Path, trials: int = TRIALS) -> tuple[Store, list[str]]:
    """A store of records as large as those of the gpu profile, with bits that are drawn at random; and their keys."""
    store, bits = Store(folder), np.random.default_rng(0)
    first = Record.of(Trial(model="mlp-1x1", seed=0, data="patterns", images=100, epochs=EPOCHS), {}, "complete", {})
    for seed in range(trials):
        trial = Trial(model="mlp-1x1", seed=seed, data="patterns", images=100, epochs=EPOCHS)
        packed = bits.integers(0, 256, (EPOCHS, EXAMPLES // 8), np.uint8)
        arrays = {"correct.train": packed, "loss": np.zeros(EPOCHS, np.float32)}
        store.put(replace(first, key=trial.key, identity=trial.identity, examples=EXAMPLES, arrays=arrays))
    return store, [r.key for r in store.records()]


def read(store: Store, keys: list[str]) -> np.ndarray:
    """Every bit of these records, verified, as bool (trials, epochs, examples)."""
    return Ledger(store.found(keys)).correct()


def read_at_least(store: Store, keys: list[str]) -> np.ndarray:
    """What `read` cannot do without: the files' bytes, hashed, and so many bits, unpacked and laid together."""
    packed = np.zeros((EPOCHS, EXAMPLES // 8), np.uint8)
    for key in keys:
        hashlib.sha256(store.path(key).read_bytes()).digest()
    return np.stack([np.unpackbits(packed, axis=1).astype(bool) for _ in keys])


def nets(count: int = 10, trials: int = 10) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Two groups of trials for each net, which agree in part on what is easy."""
    draws = np.random.default_rng(1)
    shared = draws.random(EXAMPLES)
    easy = {f"net {k}": (shared + draws.random(EXAMPLES)) / 2 for k in range(count)}
    return {name: tuple(draws.random((2, trials, EXAMPLES)) < p) for name, p in easy.items()}


def match(groups: dict) -> list:
    """All pairs of nets, easy and hard, with jackknife intervals, as 01_matching makes them."""
    labels = np.arange(EXAMPLES) % 10
    return [matching.rate_table(groups, which=which, labels=labels) for which in ("easy", "hard")]


def match_at_least(groups: dict) -> None:
    """What `match` cannot do without: every group's counts in order, whole and without each trial, easy and hard."""
    for _ in ("easy", "hard"):
        for pair in groups.values():
            for correct in pair:
                counts = correct.sum(0, dtype=np.int32)
                for left_out in (0, *correct):
                    np.sort(counts - left_out)


def ratio(task: Callable[[], object], floor: Callable[[], object], turns: int = 3) -> float:
    """How many times as long the task takes as the floor, the best of each of so many turns."""
    seconds = [(timed(task), timed(floor)) for _ in range(turns)]
    return min(task for task, _ in seconds) / min(floor for _, floor in seconds)


def timed(task: Callable[[], object], clock=time.perf_counter) -> float:
    started = clock()
    task()
    return clock() - started


def train(folder: Path, data: str, model: str, images: int, trials: int, epochs: int) -> float:
    """Seconds of training alone, summed over the trials, on one thread of this process."""
    wanted = [
        Trial(model=model, seed=seed, data=data, images=images, epochs=epochs, recipe=FP32) for seed in range(trials)
    ]
    return ensure(wanted, workers=0, store=Store(folder), quiet=True).seconds


def main() -> None:
    torch.set_num_threads(1)
    stream(0, "warm-up")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = datasets.choose("auto")
        most = len(datasets.load(data))
        train(folder / "warm-up", data, "mlp-3x64", 1000, 1, 1)
        print(f"{data}, fp32, with the evaluation of the training images")
        print(f"{'model':<10}{'images':>9}{'trials':>8}{'epochs':>8}{'seconds':>9}{'us an image':>13}{'peak MiB':>10}")
        rows = [("mlp-3x64", n, 1, 1) for n in (1_000, 10_000, most)]
        rows += [("mlp-3x64", 1_000, n, 1) for n in (1, 10, 100)] + [("mlp-3x64", 1_000, 1, n) for n in (1, 10, 100)]
        rows += [("wrn-10-1", n, 1, 1) for n in (1_000, 5_000)]
        for k, (model, images, trials, epochs) in enumerate(rows):
            seconds = train(folder / str(k), data, model, images, trials, epochs)
            each = 1e6 * seconds / (images * trials * epochs)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            line = f"{model:<10}{images:>9,}{trials:>8}{epochs:>8}{seconds:>9.2f}{each:>13.0f}{peak:>10,.0f}"
            print(line, flush=True)
        store, keys = written(folder / "large")
        for trials in (20, TRIALS):
            seconds = timed(lambda n=trials: read(store, keys[:n]))
            times = ratio(lambda n=trials: read(store, keys[:n]), lambda n=trials: read_at_least(store, keys[:n]))
            print(
                f"reading {trials} trials x {EPOCHS} x {EXAMPLES:,}: {seconds:.2f} s, {times:.1f} times hash and unpack"
            )
        for count in (5, 10):
            groups = nets(count)
            seconds = timed(lambda g=groups: match(g))
            times = ratio(lambda g=groups: match(g), lambda g=groups: match_at_least(g))
            print(
                f"matching all pairs of {count} nets, easy and hard: {seconds:.2f} s, {times:.1f} times their sorting"
            )


if __name__ == "__main__":
    main()
