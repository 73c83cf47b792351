"""Where easel's speed comes from: beside `easel bench`, a loop with resident images, augmentation alone, and ceilings.

    python tests/benchmarks/speed.py [NET ...]          on a GPU if there is one; leave the machine alone meanwhile

resident: the images on the device as uint8, cropped and mirrored by index arithmetic, else as the plain loop. roofline:
the share of what the step's kernels allow (easel.train.cost) on a device of the two ceilings that are measured.
"""

import contextlib
import multiprocessing as mp
import resource
import statistics
import sys
import time
from collections.abc import Iterator

import torch
import torch.nn.functional as F

from easel import bench
from easel.bench import Setting, Tasks, interleaved, paired, ranged
from easel.ledger.trial import Recipe, Trial
from easel.nets.names import build
from easel.train import ensure as run
from easel.train.batches import crop_and_flip, epoch_draws, normalise, pad, stream
from easel.train.loop import one_thread

COLUMNS = "{:<20}{:>10}{:>10}{:>10}{:>24}{:>10}"


def resident(trial: Trial, device: str) -> Tasks:
    """{"resident": an epoch of training}."""
    size = trial.examples.images.shape[-1]
    net = build(trial.model, size=size, generator=stream(0, "weights")).to(device).train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    augmented = augmentation(trial, device, torch.contiguous_format)

    def epoch() -> None:
        for x, target in augmented():
            loss = F.cross_entropy(net(x), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return {"resident": epoch}


def augmentation(trial: Trial, device: str, layout: torch.memory_format = torch.channels_last):
    """A function that yields the (images, labels) of one epoch, in easel's way; images float32 in `layout`."""
    data, recipe, size = trial.examples, trial.recipe, trial.examples.images.shape[-1]
    padded, labels = pad(data.images.to(device), recipe.translation), data.labels.to(device)
    mean, std = (torch.tensor(s, device=device) for s in (data.mean, data.std))
    kept = torch.from_numpy(trial.edit.keep)

    def batches() -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        order, offset, flip = epoch_draws(trial, len(kept), 0)
        order, offset, flip = kept[order].to(device), offset.to(device), flip.to(device)
        for index, corner, mirror in zip(*(t.split(recipe.batch_size) for t in (order, offset, flip)), strict=True):
            x = crop_and_flip(padded, index, corner, mirror, size)
            if layout is torch.channels_last:
                yield normalise(x, recipe.normalisation, mean, std), labels[index]
            else:
                x = x.to(torch.float32, memory_format=layout)
                yield (x - 255 * mean[:, None, None]) / (255 * std[:, None, None]), labels[index]

    return batches


def measure_augmentation(setting: Setting) -> dict:
    """Images a second that are cropped, mirrored and normalised, without any net."""
    device = setting.device
    images = min(4096, len(setting.data)) if device == "cpu" else len(setting.data)
    trial = bench.trial_on(setting.data, "mlp-1x1", images, setting.recipe)
    loader, batches = bench.pil_loader(trial, device), augmentation(trial, device)
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


def measure(model: str, setting: Setting, ceilings: dict[str, float]) -> dict:
    """As bench.measure, with the resident loop and the share of the roofline."""

    def loops(model: str, setting: Setting, images: int, *more) -> Tasks:
        trial = bench.trial_on(setting.data, model, images, setting.recipe)
        return bench._loops(model, setting, images, *more) | resident(trial, setting.device)

    row = bench.time_net(model, setting, loops)
    over = paired(row["seconds"]["plain"], row["seconds"]["resident"])
    return row | {
        "resident_over_plain": over,
        "share_of_roofline": bench.roofline_shares(row, setting, ceilings)["easel"],
    }


def measure_parallel(model: str, repeats: int, seconds: float, workers: int = 2) -> dict:
    """Images a second of one worker process alone and of all together, by turns; speed_up = workers: linear."""
    context = mp.get_context("spawn")
    barrier = context.Barrier(workers)
    ends = [context.Pipe(duplex=False) for _ in range(workers)]
    processes = [
        context.Process(target=_beside, args=(rank, model, repeats, seconds, barrier, theirs), daemon=True)
        for rank, (_, theirs) in enumerate(ends)
    ]
    for process in processes:
        process.start()
    for _, theirs in ends:
        theirs.close()  # theirs alone now, so that a worker's death is heard
    try:
        rates = [ours.recv() for ours, _ in ends]  # of each: alone (the first only) and together, a repeat each
    except EOFError:
        raise RuntimeError("a process of the parallel measurement ended before it had measured") from None
    finally:
        for process in processes:
            process.terminate()
            process.join()
        for ours, _ in ends:
            ours.close()
    alone, together = rates[0]["alone"], [sum(t) for t in zip(*(r["together"] for r in rates), strict=True)]
    speed_up = paired(together, alone)
    return {"model": model, "workers": workers, "alone": alone, "together": together, "speed_up": speed_up}


def _beside(rank: int, model: str, repeats: int, seconds: float, barrier, answer) -> None:
    """A worker process of measure_parallel."""
    torch.set_num_threads(1)
    recipe = Recipe(precision=run.precision())
    images = 8 * recipe.batch_size
    epoch = bench.easel(bench.trial_on(bench.random_images(images), model, images, recipe), "cpu")["easel"]
    epoch()

    def rate() -> float:
        started, count = time.perf_counter(), 0
        while (spent := time.perf_counter() - started) < seconds or not count:
            epoch()
            count += images
        return count / spent

    rates = {"alone": [], "together": []}
    for _ in range(repeats):
        barrier.wait(timeout=300)
        if rank == 0:
            rates["alone"].append(rate())
        barrier.wait(timeout=300)
        rates["together"].append(rate())
    answer.send(rates)


def main(models: list[str], repeats: int = 5) -> None:
    device = run.device()
    with one_thread() if device == "cpu" else contextlib.nullcontext():
        recipe = Recipe(precision=run.precision())
        setting = Setting(
            device, bench.random_images(bench.TIMED_IMAGES[device]), recipe, repeats, bench.SECONDS[device]
        )
        ceilings = bench.measure_ceilings(device, recipe.precision)
        print(", ".join(f"{name} {value:,.0f}" for name, value in ceilings.items()))
        print(COLUMNS.format("net", "plain", "resident", "easel", "easel/plain", "roofline"))
        for model in models or bench.MODELS[device]:
            row = measure(model, setting, ceilings)
            rates = (f"{row['images_per_s'][arm]:,.0f}" for arm in ("plain", "resident", "easel"))
            share = f"{row['share_of_roofline']:.0%}"
            print(COLUMNS.format(model, *rates, ranged(row["easel_over_plain"]), share), flush=True)
        faster = measure_augmentation(setting)["easel_over_plain"]
        print(f"augmentation alone: {ranged(faster)} times the PIL loader")
    if device == "cpu" and run.cores() > 1:
        faster = measure_parallel((models or bench.MODELS[device])[0], repeats, bench.SECONDS[device])["speed_up"]
        print(f"two processes train {ranged(faster)} times what one does")
    print(f"this process: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB at most")
    if device == "cuda":
        print(f"GPU memory: {torch.cuda.max_memory_allocated() / 2**20:,.0f} MiB at most")


if __name__ == "__main__":
    main(sys.argv[1:])
