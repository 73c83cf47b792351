"""How fast training is here, against the loop that people write today. It measures and prints; it keeps no record.

Three loops (easel.bench_loops) train the same net on the same images with the same batch size in one process, on one
CPU thread or one GPU. They take turns, repeat after repeat, so that a machine that slows down slows all of them; a
ratio is that of two timings of one repeat, given as the median over the repeats with the smallest and the largest. The
images are noise: what is in them does not change the time. tests/benchmarks/README.md says how to measure well.
"""

import contextlib
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from json import dumps
from pathlib import Path

import numpy as np
import torch

from easel import bench_report as report, estimates, files, roofline
from easel.bench_loops import Tasks, augmentation, easel, noise, pil_loader, plain, resident, trial_on
from easel.bench_parallel import measure_parallel
from easel.bench_report import derived, paired
from easel.data.sets import Dataset
from easel.errors import UserError
from easel.ledger.provenance import machine
from easel.ledger.trial import Recipe, Trial
from easel.nets.names import build, check, multiply_adds, parameters
from easel.train import ensure as run
from easel.train.loop import one_thread

MODELS = {
    "cpu": ("wrn-10-1", "densenet-bc-16-8", "resnext-11-4x8d", "mlp-3x512"),
    "cuda": ("wrn-16-4", "densenet-bc-100-12", "resnext-29-4x64d", "mlp-3x512"),
}
RESIDENT = {"cpu": 10_000, "cuda": 50_000}  # images that lie in memory; a timing trains on some of them
SECONDS = {"cpu": 1.5, "cuda": 3.0}  # of one timing of the plain loop; on a GPU long beside the start of an epoch
FEWEST_BATCHES = 4  # of a timing, however slow the net


@dataclass(frozen=True)
class Setting:
    """Where and on what everything is measured. data: the images in memory; repeats: timings of each loop."""

    device: str
    data: Dataset
    recipe: Recipe
    repeats: int
    seconds: float  # that one timing of the plain loop should take

    def trial(self, model: str, images: int, precision: str | None = None) -> Trial:
        recipe = self.recipe if precision is None else Recipe(precision=precision)
        return trial_on(self.data, model, images, recipe)


def main(
    *,
    models: list[str] | None = None,
    device: str | None = None,
    repeats: int = 5,
    json: str | None = None,
    parallel: bool = False,
    seconds: float | None = None,
) -> int:
    """Measure, print a table, and return 0. UserError before anything is measured if it cannot be done.

    models: names of nets, default one of each family; device: "cpu" | "cuda", default as in run.device(); json: file
    for all timings; parallel: two worker processes against one as well (CPU); seconds: of one timing of the plain loop.
    """
    started = time.perf_counter()
    device = _device(device)
    names = [check(name, 32) for name in dict.fromkeys(models or MODELS[device])]  # noise of 32 pixels
    if type(repeats) is not int or repeats < 1:
        raise UserError(f"repeats={repeats!r}: a whole number from 1")
    if parallel and device != "cpu":
        raise UserError("parallel: two processes are compared with one on CPU cores; leave it out with device cuda")
    target = _writable(json)
    with _as_device(device), one_thread() if device == "cpu" else contextlib.nullcontext():
        setting = Setting(
            device, noise(RESIDENT[device]), Recipe(precision=run.precision()), repeats, seconds or SECONDS[device]
        )
        ceilings = measure_ceilings(device, setting.recipe.precision)
        print("\n".join(report.opening(setting, ceilings)), flush=True)
        rows = []
        for name in names:
            rows.append(measure(name, setting, ceilings))
            print(report.table_row(rows[-1]), flush=True)
        augmentation = measure_augmentation(setting)
        pair = measure_parallel(names[0], repeats, setting.seconds) if parallel else None
        workers = run.cores() if device == "cpu" else 1
        estimated, unknown = estimates.of_profiles(rows, setting.recipe.precision, workers)
        result = {
            "format": 1,
            "measured": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(device),
            "device": device,
            "precision": setting.recipe.precision,
            "batch_size": setting.recipe.batch_size,
            "repeats": repeats,
            "ceilings": ceilings,
            "nets": rows,
            "augmentation": augmentation,
            "parallel": pair,
            "peak_process_mib": _peak_process_mib(),
            "estimates": estimated,
            "seconds": round(time.perf_counter() - started, 3),
        }
    print("\n".join([*report.closing(result), *(f"no estimate: {why}" for why in unknown)]), flush=True)
    if target is not None:
        files.write_atomically(target, dumps(result, indent=1, allow_nan=False).encode())
    return 0


def _device(name: str | None) -> str:
    name = name or run.device()
    if name not in RESIDENT:
        raise UserError(f"device {name!r}: one of {', '.join(RESIDENT)}")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device cuda: PyTorch finds no GPU on this machine; measure with device cpu")
    return name


def _writable(json: str | None) -> Path | None:
    """The file to write, refused now rather than after minutes of measuring."""
    if json is None:
        return None
    path = Path(json).expanduser()
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise UserError(f"json {json}: no file can be written there; name one in a folder that exists and is yours")
    return path


@contextlib.contextmanager
def _as_device(name: str) -> Iterator[None]:
    """What depends on the device (precision, worker processes) sees the one that is measured."""
    before = os.environ.get("EASEL_DEVICE")
    os.environ["EASEL_DEVICE"] = name
    try:
        yield
    finally:
        os.environ.pop("EASEL_DEVICE")
        if before is not None:
            os.environ["EASEL_DEVICE"] = before


def timed(task: Callable[[], object], device: str = "cpu", clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that the task takes, on a GPU until the last of its kernels has ended."""
    settle = torch.cuda.synchronize if device == "cuda" else lambda: None
    settle()
    before = clock()
    task()
    settle()
    return clock() - before


def interleaved(tasks: Tasks, repeats: int, device: str = "cpu", clock=time.perf_counter) -> dict[str, list[float]]:
    """Seconds of each task, one a repeat; the tasks take turns."""
    seconds = {name: [] for name in tasks}
    for _ in range(repeats):
        for name, task in tasks.items():
            seconds[name].append(timed(task, device, clock))
    return seconds


def batches_for(model: str, setting: Setting) -> int:
    """Batches that make one timing of the plain loop about as long as the setting says.

    On a GPU the first guess is mostly the start of the loader's workers, so it is tried and corrected until it holds:
    a timing too short would count that start against the plain loop.
    """
    batch, batches = setting.recipe.batch_size, 2
    most = len(setting.data) // batch
    while True:
        task = plain(setting.trial(model, batches * batch), setting.device)["plain"]
        task()
        spent = timed(task, setting.device)
        wanted = int(np.clip(round(batches * setting.seconds / spent), FEWEST_BATCHES, most))
        if setting.device == "cpu" or wanted <= 1.5 * batches:
            return wanted
        batches = wanted


def _loops(model: str, setting: Setting, images: int) -> dict[str, Callable[[], Tasks]]:
    """What builds the tasks of each loop. Easel's is timed in float32 too, which some profiles ask for."""
    trial, device = setting.trial(model, images), setting.device
    loops = {loop.__name__: lambda loop=loop: loop(trial, device) for loop in (plain, resident, easel)}
    if setting.recipe.precision != "fp32":
        fp32 = setting.trial(model, images, "fp32")
        loops["easel_fp32"] = lambda: {f"{name}_fp32": task for name, task in easel(fp32, device).items()}
    return loops


def measure(model: str, setting: Setting, ceilings: dict[str, float]) -> dict:
    """One net's row: raw seconds of every timing, and what follows from them."""
    device, batch = setting.device, setting.recipe.batch_size
    probe = [build_tasks() for build_tasks in _loops(model, setting, 2 * batch).values()]
    first = {name: timed(task, device) for tasks in probe for name, task in tasks.items()}  # kernels chosen or captured
    del probe
    images = batch * batches_for(model, setting)
    tasks, peak = {}, {}
    for name, build_tasks in _loops(model, setting, images).items():
        before = _allocated(device)
        ours = build_tasks()
        for task in ours.values():
            task()  # warm-up
        if device == "cuda":
            peak[name] = round((torch.cuda.max_memory_allocated() - before) / 2**20, 1)
        tasks |= ours
    size = setting.data.images.shape[-1]
    at_once = {name: getattr(task, "at_once", 1) for name, task in tasks.items()}
    seconds = interleaved(tasks, setting.repeats, device)
    row = {
        "model": model,
        "parameters": parameters(build(model, size=size)),
        "multiply_adds": multiply_adds(model, size=size),
        "images": images,
        "first_two_batches_s": first,
        "at_once": at_once["easel"],
        "seconds": {name: [s / at_once[name] for s in values] for name, values in seconds.items()},  # of one trial
        "peak_mib": peak,
    }
    precision = setting.recipe.precision
    reached = {"flops": 1e9 * ceilings[f"{precision}_gflops"], "bandwidth": 1e9 * ceilings["copy_gb_per_s"]}
    row["roofline_s"] = roofline.step(model, batch, precision, size=size, **reached)["seconds"] / batch
    return row | derived(row, precision)


def _allocated(device: str) -> int:
    if device != "cuda":
        return 0
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda.memory_allocated()


def measure_ceilings(device: str, precision: str) -> dict[str, float]:
    """What the device reaches at best: GFLOP/s of large matrix products, GB/s read and written by a large copy."""
    side, times = (8192, 10) if device == "cuda" else (1024, 2)
    found = {}
    for name in dict.fromkeys(("fp32", precision)):
        a = torch.randn(side, side, device=device).to(torch.bfloat16 if name == "bf16" else torch.float32)
        best = min(timed(lambda a=a: [a @ a for _ in range(times)], device) for _ in range(5))
        found[f"{name}_gflops"] = times * 2 * side**3 / best / 1e9
    source = torch.ones((2**30 if device == "cuda" else 2**27) // 4, device=device)
    target = torch.empty_like(source)
    best = min(timed(lambda: [target.copy_(source) for _ in range(times)], device) for _ in range(5))
    return found | {"copy_gb_per_s": times * 2 * source.nbytes / best / 1e9}


def measure_augmentation(setting: Setting) -> dict:
    """Images a second that are cropped, mirrored and normalised, without any net."""
    device = setting.device
    trial = setting.trial("mlp-1x1", min(4096, len(setting.data)) if device == "cpu" else len(setting.data))
    loader, batches = pil_loader(trial, device), augmentation(trial, device)
    tasks = {
        "plain": lambda: [x.to(device, non_blocking=True).shape for x, _ in loader],
        "easel": lambda: [x.shape for x, _ in batches()],
    }
    for task in tasks.values():
        task()
    seconds, images = interleaved(tasks, setting.repeats, device), len(trial.edit.keep)
    rate = {name: images / statistics.median(values) for name, values in seconds.items()}
    faster = paired(seconds["plain"], seconds["easel"])
    return {"images": images, "seconds": seconds, "images_per_s": rate, "easel_over_plain": faster}


def _peak_process_mib() -> float | None:
    """The most memory that this process has held, MiB; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10), 1)
