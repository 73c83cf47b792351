"""Cost against work: what grows with images, trials and epochs, and how fast the largest ledgers are read.

    python tests/benchmarks/scale.py            about two minutes on one core; leave the machine alone meanwhile

Training must cost the same for every image, however many there are, and for every view of them. The rest is held
against what it cannot do without, as a ratio, which does not hang on the machine: reading 200 trials of 10 epochs on
50,000 images, or 300 epochs of one, against hashing and unpacking their bytes, and all pairs of 10 nets, easy and hard,
against sorting every group's counts. Seconds are of the processor: other work on the machine counts little.
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

EXAMPLES, EPOCHS, TRIALS, LONG = 50_000, 10, 200, 300
AIMS = {"200 trials": 1.0, "300 epochs": 0.1, "10 nets": 1.0}  # seconds
FP32 = Recipe(precision="fp32")
VIEWS = ("colour=0.1", "colour=0.2", "shuffle=2", "shuffle=4", "low-pass=2", "low-pass=4")


def written(folder: Path, trials: int = TRIALS, epochs: int = EPOCHS) -> tuple[Store, list[str]]:
    """A store of records as large as those of the gpu profile, with bits that are drawn at random; and their keys."""
    store, bits = Store(folder), np.random.default_rng(0)
    first = Record.of(Trial(model="mlp-1x1", seed=0, data="patterns", images=100, epochs=epochs), {}, "complete", {})
    for seed in range(trials):
        trial = Trial(model="mlp-1x1", seed=seed, data="patterns", images=100, epochs=epochs)
        packed = bits.integers(0, 256, (epochs, EXAMPLES // 8), np.uint8)
        arrays = {"correct.train": packed, "loss": np.zeros(epochs, np.float32)}
        store.put(replace(first, key=trial.key, identity=trial.identity, examples=EXAMPLES, arrays=arrays))
    return store, [r.key for r in store.records()]


def read(store: Store, keys: list[str]) -> np.ndarray:
    """Every bit of these records, verified, as bool (trials, epochs, examples)."""
    return Ledger(store.found(keys)).correct()


def read_at_least(store: Store, keys: list[str], epochs: int = EPOCHS) -> np.ndarray:
    """What `read` cannot do without: the files' bytes, hashed, and so many bits, unpacked and laid together."""
    packed = np.zeros((epochs, EXAMPLES // 8), np.uint8)
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


def timed(task: Callable[[], object], clock=time.process_time) -> float:
    started = clock()
    task()
    return clock() - started


def train(folder: Path, data: str, model: str, images: int, trials: int, epochs: int, views: int = 0) -> float:
    """Seconds of training and evaluation, summed over the trials, on one thread of this process."""
    asked = {"data": data, "images": images, "epochs": epochs, "recipe": FP32, "views": VIEWS[:views]}
    wanted = [Trial(model=model, seed=seed, **asked) for seed in range(trials)]
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
        head = f"{'model':<10}{'images':>9}{'trials':>8}{'epochs':>8}{'views':>7}{'seconds':>9}"
        print(f"{head}{'us an image':>13}{'peak MiB':>10}")
        rows = [("mlp-3x64", n, 1, 1, 0) for n in (1_000, 10_000, most)]
        rows += [("mlp-3x64", 1_000, n, 1, 0) for n in (1, 10, 100)]
        rows += [("mlp-3x64", 1_000, 1, n, 0) for n in (1, 10, 100)]
        rows += [("mlp-3x64", 1_000, 1, 10, n) for n in (2, 4, 6)]
        rows += [("wrn-10-1", n, 1, 1, 0) for n in (1_000, 5_000)]
        for k, (model, images, trials, epochs, views) in enumerate(rows):
            seconds = train(folder / str(k), data, model, images, trials, epochs, views)
            each = 1e6 * seconds / (images * trials * epochs)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            line = f"{model:<10}{images:>9,}{trials:>8}{epochs:>8}{views:>7}{seconds:>9.2f}{each:>13.0f}{peak:>10,.0f}"
            print(line, flush=True)
        for what, task, floor in linear(folder):
            seconds, times = timed(task), ratio(task, floor)
            print(f"{what}: {seconds:.3f} s of the processor, {times:.1f} times what it cannot do without", flush=True)


def linear(folder: Path) -> list[tuple[str, Callable[[], object], Callable[[], object]]]:
    """What is read and matched, and for each what it cannot do without; three of them have AIMS."""
    many, long, some, all_ten = written(folder / "many"), written(folder / "long", 1, LONG), nets(5), nets(10)
    few = many[0], many[1][: TRIALS // 10]
    return [
        ("20 trials", lambda: read(*few), lambda: read_at_least(*few)),
        ("200 trials", lambda: read(*many), lambda: read_at_least(*many)),
        ("300 epochs", lambda: read(*long), lambda: read_at_least(*long, LONG)),
        ("5 nets", lambda: match(some), lambda: match_at_least(some)),
        ("10 nets", lambda: match(all_ten), lambda: match_at_least(all_ten)),
    ]


if __name__ == "__main__":
    main()
