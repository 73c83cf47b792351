"""`easel bench`: is this machine set up well, and how long will a profile take? It prints and keeps no record.

Two loops train the same net on the same images with the same batch size in one process, on one CPU thread or one GPU:

    plain    what people write today: float32, PIL images and torchvision transforms through a DataLoader, AdamW
    easel    as `ensure` trains: the recipe's precision, channels last, fused AdamW; on a GPU several trials at once; in
             float32 too, which some profiles ask for

They take turns, so that a machine that slows down slows both; a ratio is that of two timings of one repeat. The images
are noise: what is in them does not change the time. On a GPU all of it takes four minutes at most, shared among the
nets: what would not fit is left out and named, compiling first, then float32, repeats, nets; and each loop's share of
the roofline (easel.train.cost) is printed. A profile's time is the work of the trials that its receipts name, at the
measured seconds an image. tests/benchmarks/README.md: more of this.
"""

import contextlib
import math
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from json import dumps
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F

from easel import files
from easel.data.sets import Dataset
from easel.errors import UserError
from easel.ledger.provenance import machine
from easel.ledger.store import Store
from easel.ledger.trial import Edit, Recipe, Trial
from easel.nets.names import build, check, family
from easel.notebook import page as receipts, plan
from easel.train import cost, ensure as run
from easel.train.batches import stream
from easel.train.gpu import MOST_PACKED, Lane, Pack, way_of_group, width
from easel.train.loop import Run, one_thread
from easel.train.ways import PLAIN
from easel.train.workers import keep_freed_memory

MODELS = {
    "cpu": ("wrn-10-1", "densenet-bc-16-8", "resnext-11-4x8d", "mlp-3x512"),
    "cuda": ("wrn-16-4", "densenet-bc-100-12", "resnext-29-4x64d", "mlp-3x512"),
}
TIMED_IMAGES = {"cpu": 10_000, "cuda": 50_000}  # images that lie in memory; a timing trains on some of them
SECONDS = {"cpu": 1.5, "cuda": 3.0}  # of one timing of the plain loop; on a GPU long beside the start of an epoch
LIMIT_S = {"cpu": math.inf, "cuda": 240.0}  # of all measurements together
LEAST_S = 10.0  # a net is not begun where less is left
WAY = 1 / 3  # of a net's time: what measuring the ways to run it may take
SLOWER = 4  # float32 may take so many times as long; on a GPU it is measured where there is time for that
FEWEST_BATCHES = 4  # of a timing, however slow the net
_COLUMNS = "{:<20}{:>8}{:>9}{:>9}{:>24}{:>11}{:>9}{:>9}{:>9}"
Tasks = dict[str, Callable[[], object]]  # by name: what trains or evaluates once over a trial's images


@dataclass(frozen=True)
class Setting:
    """Where and on what everything is measured."""

    device: str
    data: Dataset  # the images in memory
    recipe: Recipe
    repeats: int  # timings of each loop
    seconds: float  # that one timing of the plain loop should take
    way: str = PLAIN  # how a net runs (easel.train.ways)


def run_bench(
    *,
    models: list[str] | None = None,
    device: str | None = None,
    repeats: int = 5,
    json: str | None = None,
    seconds: float | None = None,
    limit: float | None = None,
) -> int:
    """Measures, prints a table, and returns 0. UserError before anything is measured if it cannot be done.

    models: names of nets, default one of each family; device: "cpu" | "cuda", default as in ensure.device(); json: file
    for all timings; seconds: of one timing of the plain loop; limit: seconds that all timings may take (LIMIT_S).
    """
    started, device = time.perf_counter(), device or run.device()
    if device not in TIMED_IMAGES:
        raise UserError(f"device {device!r}: one of {', '.join(TIMED_IMAGES)}")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("device cuda: PyTorch finds no GPU on this machine; measure with device cpu")
    names = [check(name, 32) for name in dict.fromkeys(models or MODELS[device])]  # noise of 32 pixels
    if type(repeats) is not int or repeats < 1:
        raise UserError(f"repeats={repeats!r}: a whole number from 1")
    if limit is not None and not limit > 0:
        raise UserError(f"limit={limit!r}: seconds, more than 0")
    target = Path(json).expanduser() if json else None
    if target and (target.is_dir() or not target.parent.is_dir() or not os.access(target.parent, os.W_OK)):
        raise UserError(f"json {json}: no file can be written there; name one in a folder that exists and is yours")
    # What depends on the device (precision, worker processes) sees the one that is measured.
    as_device = patch.dict(os.environ, EASEL_DEVICE=device)
    with as_device, one_thread() if device == "cpu" else contextlib.nullcontext():
        recipe, images = Recipe(precision=run.precision()), random_images(TIMED_IMAGES[device])
        setting = Setting(device, images, recipe, repeats, seconds or SECONDS[device])
        print("\n".join(opening(setting)), flush=True)
        budget = Budget(LIMIT_S[device] if limit is None else limit)
        ceilings = measure_ceilings(device, recipe.precision) if device == "cuda" else None
        rows = []
        for at, name in enumerate(names):
            if rows and budget.left() < LEAST_S:
                budget.left_out += names[at:]
                break
            sample, waiting = trial_on(images, name, recipe.batch_size, recipe), len(names) - at
            way = way_of_group([sample] * MOST_PACKED, device, Store(), math.inf, WAY * budget.left() / waiting)
            if row := time_net(name, replace(setting, way=way), budget=budget, waiting=waiting):
                rows.append(row | ({"share_of_roofline": roofline_shares(row, setting, ceilings)} if ceilings else {}))
                print(table_row(row), flush=True)
        estimated, unknown = of_profiles(rows, recipe.precision, run.cores() if device == "cpu" else 1)
        result = {
            "format": 4,
            "measured": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(device),
            "device": device,
            "precision": recipe.precision,
            "batch_size": recipe.batch_size,
            "repeats": repeats,
            "nets": rows,
            "ceilings": ceilings,
            "left_out": budget.left_out,
            "estimates": estimated,
            "seconds": round(time.perf_counter() - started, 3),
        }
    print("\n".join([*closing(result), *(f"no estimate: {why}" for why in unknown)]), flush=True)
    if target is not None:
        files.write_atomically(target, dumps(result, indent=1, allow_nan=False).encode())
    return 0


# the loops -----------------------------------------------------------------------------------------------------------


def random_images(images: int, size: int = 32) -> Dataset:
    """Images and labels drawn at random: uint8 (images, 3, size, size), ten classes."""
    draws = stream(0, "bench")
    pixels = torch.randint(0, 256, (images, 3, size, size), generator=draws, dtype=torch.uint8)
    labels = torch.randint(0, 10, (images,), generator=draws)
    classes, half = tuple("0123456789"), (0.5, 0.5, 0.5)
    return Dataset("noise", "train", pixels, labels, np.arange(images), classes, half, half, "noise")


def trial_on(data: Dataset, model: str, images: int, recipe: Recipe) -> Trial:
    """A trial of `model` on `images` of these, spread evenly over them. It must never reach a store."""
    keep = np.arange(images) * len(data) // images
    trial = Trial(model=model, seed=0, epochs=1, data="patterns", recipe=recipe, edit=Edit(keep))
    trial.__dict__["examples"] = data  # instead of the named set
    return trial


def pil_loader(trial: Trial, device: str) -> torch.utils.data.DataLoader:
    """A trial's images and labels in batches; on one CPU core in this process, for a GPU with workers that stay."""
    from torchvision import datasets, transforms

    data, keep = trial.examples, trial.trained_on
    pictures = datasets.CIFAR10.__new__(datasets.CIFAR10)  # torchvision's own, without its files
    pictures.data = data.images[keep].permute(0, 2, 3, 1).contiguous().numpy()
    pictures.targets, pictures.target_transform = data.labels[keep].tolist(), None
    steps = [transforms.RandomCrop(data.images.shape[-1], padding=4), transforms.RandomHorizontalFlip()]
    steps += [transforms.ToTensor(), transforms.Normalize(data.mean, data.std)]
    pictures.transform = transforms.Compose(steps)
    workers = min(8, run.cores() - 1) if device == "cuda" else 0
    how = {"num_workers": workers, "persistent_workers": workers > 0, "pin_memory": device == "cuda"}
    return torch.utils.data.DataLoader(pictures, trial.recipe.batch_size, shuffle=True, **how)


def plain(trial: Trial, device: str) -> Tasks:
    """{"plain": an epoch of training, as people write it}."""
    net = build(trial.model, size=trial.examples.images.shape[-1], generator=stream(0, "weights")).to(device).train()
    optimizer, loader = torch.optim.AdamW(net.parameters(), lr=1e-3), pil_loader(trial, device)

    def epoch() -> None:
        for x, target in loader:
            x, target = x.to(device, non_blocking=True), target.to(device, non_blocking=True)
            loss = F.cross_entropy(net(x), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return {"plain": epoch}


def easel(trial: Trial, device: str, way: str = PLAIN) -> Tasks:
    """{"easel": its epoch of training, "evaluation": that of as many images}. way: how the net runs.

    On a GPU "easel" is the epoch of as many trials at once as pay: its attribute `at_once` says how many.
    """
    evaluated = trial.examples.take(trial.trained_on)
    running = Run(trial, device, way) if device == "cpu" else Lane(trial, device, way)
    running.sets["evaluated"] = evaluated

    def evaluate() -> None:
        running.rows.clear()
        right = running._logits("evaluated").argmax(1).cpu() == evaluated.labels
        running._append("correct.train", np.packbits(right.numpy()))

    def as_a_worker(task: Callable[[], object]) -> None:
        keep_freed_memory()  # as easel's worker processes do, and the plain loop does not
        try:
            task()
        finally:
            keep_freed_memory(False)

    if device == "cpu":
        return {"easel": partial(as_a_worker, running._train_epoch), "evaluation": partial(as_a_worker, evaluate)}
    lanes = [running, *(Lane(trial, device, way) for _ in range(width(trial, device, way=way) - 1))]
    epoch = partial(Pack(lanes).train_epoch)
    epoch.at_once = len(lanes)
    return {"easel": epoch, "evaluation": evaluate}


# the timings ---------------------------------------------------------------------------------------------------------


def timed(task: Callable[[], object], device: str = "cpu", clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that the task takes, on a GPU until the last of its kernels has ended."""
    settle = torch.cuda.synchronize if device == "cuda" else lambda: None
    settle()
    before = clock()
    task()
    settle()
    return clock() - before


class Budget:
    """Seconds that measurements may take, from now on.

    nets: that were measured; left_out: what was not, for want of time, in words.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.perf_counter):
        self.clock, self.end = clock, clock() + seconds
        self.nets, self.left_out = 0, []

    def left(self) -> float:
        """Seconds that are left; negative where more were taken."""
        return self.end - self.clock()


def interleaved(
    tasks: Tasks, repeats: int, device: str = "cpu", clock=time.perf_counter, until: float = math.inf
) -> dict[str, list[float]]:
    """Seconds of each task, one a repeat; the tasks take turns.

    until: by the clock; a repeat that would end later, going by the one before, is not begun, the first one always.
    """
    seconds, began, took = {name: [] for name in tasks}, clock(), 0.0
    for repeat in range(repeats):
        if repeat and began + took > until:
            break
        for name, task in tasks.items():
            seconds[name].append(timed(task, device, clock))
        began, took = clock(), clock() - began
    return seconds


def batches_for(model: str, setting: Setting) -> int:
    """Batches that make one timing of the plain loop about as long as the setting says.

    On a GPU the first guess is mostly the start of the loader's workers, so it is tried and corrected until it holds:
    a timing too short would count that start against the plain loop.
    """
    batch, batches = setting.recipe.batch_size, 2
    most = len(setting.data) // batch
    while True:
        task = plain(trial_on(setting.data, model, batches * batch, setting.recipe), setting.device)["plain"]
        task()
        spent = timed(task, setting.device)
        wanted = int(np.clip(round(batches * setting.seconds / spent), FEWEST_BATCHES, most))
        if setting.device == "cpu" or wanted <= 1.5 * batches:
            return wanted
        batches = wanted


def _loops(model: str, setting: Setting, images: int, fp32: bool = True) -> Tasks:
    """What is timed: both loops, and easel's in float32 too where that is another one and is wanted."""
    trial, device = trial_on(setting.data, model, images, setting.recipe), setting.device
    tasks = plain(trial, device) | easel(trial, device, setting.way)
    if fp32 and setting.recipe.precision != "fp32":
        slower = easel(trial_on(setting.data, model, images, Recipe(precision="fp32")), device)
        tasks |= {f"{name}_fp32": task for name, task in slower.items()}
    return tasks


def time_net(
    model: str,
    setting: Setting,
    loops: Callable[..., Tasks] = _loops,
    budget: Budget | None = None,
    waiting: int = 1,
) -> dict | None:
    """One net's row: raw seconds of every timing, and what follows from them. loops: as `_loops`.

    budget: what is left is for this net and `waiting - 1` others alike. None where the whole of it does not even hold
    the first repeat; the first net of a budget has one in any case.
    """
    device, batch, budget = setting.device, setting.recipe.batch_size, budget or Budget(math.inf)
    began = budget.clock()
    end = began + budget.left() / waiting
    everything = end == math.inf
    probe = loops(model, setting, 2 * batch, everything)
    first = {name: timed(task, device, budget.clock) for name, task in probe.items()}  # kernels are chosen, or captured
    del probe
    images = batch * batches_for(model, setting)
    tasks = loops(model, setting, images, everything)
    seconds = {name: timed(task, device, budget.clock) for name, task in tasks.items()}  # warm-up
    if not everything and setting.recipe.precision != "fp32":
        ours = seconds["easel"] + seconds["evaluation"]
        wanted = (budget.clock() - began) + 2 * sum(seconds.values()) + 3 * SLOWER * ours  # made, warmed, two repeats
        if budget.clock() + wanted <= end:
            tasks = None  # a GPU's memory holds one of the two
            tasks = loops(model, setting, images, True)
            for task in tasks.values():
                task()
        else:
            budget.left_out.append(f"{model} in float32")
    if budget.nets and budget.clock() + sum(seconds.values()) > budget.end:
        budget.left_out.append(model)
        return None
    budget.nets += 1
    at_once = {name: getattr(task, "at_once", 1) for name, task in tasks.items()}
    seconds = interleaved(tasks, setting.repeats, device, budget.clock, end)
    made = len(seconds["easel"])
    if made < setting.repeats:
        budget.left_out.append(f"{setting.repeats - made} of {setting.repeats} repeats of {model}")
    row = {
        "model": model,
        "images": images,
        "first_two_batches_s": first,
        "at_once": at_once["easel"],
        "way": setting.way,
        "seconds": {name: [s / at_once[name] for s in values] for name, values in seconds.items()},  # of one trial
    }
    return row | derived(row, setting.recipe.precision)


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


def roofline_shares(row: dict, setting: Setting, ceilings: dict[str, float]) -> dict[str, float]:
    """Share of the roofline that each loop reaches, {loop: 0..1}: of the same step, in easel's precision, for all.

    ceilings: as `measure_ceilings` gives them.
    """
    precision, batch, size = setting.recipe.precision, setting.recipe.batch_size, setting.data.images.shape[-1]
    reached = {"flops": 1e9 * ceilings[f"{precision}_gflops"], "bandwidth": 1e9 * ceilings["copy_gb_per_s"]}
    least = cost.least_step(row["model"], batch, precision, size=size, **reached)["seconds"] / batch
    return {loop: least * row["images_per_s"][loop] for loop in ("plain", "easel")}


def spread(values) -> dict[str, float]:
    """Median, smallest and largest of a list."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def paired(slow: list[float], fast: list[float]) -> dict[str, float]:
    """How many times faster: the ratio of each repeat's two timings, its median, smallest and largest."""
    return spread([s / f for s, f in zip(slow, fast, strict=True)])


def derived(row: dict, precision: str) -> dict:
    """Rates, ratios and epochs of a row with raw seconds.

    image_s: seconds to train on an image and to evaluate one, by precision. An epoch is training and one evaluation of
    the training images, by precision and number of images. fp32: float32 over this precision, where both were timed.
    """
    seconds, images = row["seconds"], row["images"]
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    image_s = {precision: [middle["easel"] / images, middle["evaluation"] / images]}
    if "easel_fp32" in middle:
        image_s["fp32"] = [middle["easel_fp32"] / images, middle["evaluation_fp32"] / images]
    return {
        "images_per_s": {name: images / s for name, s in middle.items()},
        "easel_over_plain": paired(seconds["plain"], seconds["easel"]),
        "fp32": paired(seconds["easel_fp32"], seconds["easel"]) if "easel_fp32" in seconds else None,
        "evaluation_share": spread([e / (c + e) for c, e in zip(seconds["easel"], seconds["evaluation"], strict=True)]),
        "image_s": image_s,
        "epoch_s": {p: {str(n): n * sum(both) for n in (10_000, 50_000)} for p, both in image_s.items()},
    }


# how long a profile takes --------------------------------------------------------------------------------------------


def of_profiles(rows: list[dict], auto: str, workers: int) -> tuple[list[dict], list[str]]:
    """The estimate of each profile (`profile_estimate`), and one line for each that cannot be read."""
    found, faults = [], []
    try:
        for name in plan.profiles_in(plan.notebooks_dir() / "profiles.yaml"):
            try:
                found.append(profile_estimate(name, rows, auto, workers))
            except UserError as fault:
                faults.append(str(fault))
    except UserError as fault:
        faults.append(str(fault))
    return found, faults


def profile_estimate(profile: str, rows: list[dict], auto: str, workers: int) -> dict:
    """What it takes to train the trials that a profile's receipts name, each once, on `workers` cores or GPUs.

    The receipts are those of this machine's results, else the committed ones; the records are the store's or released.
    rows: of `time_net`; auto: the precision for records in one that was not measured.
    trials: that the estimate is of; missing: named, but no record is at hand; read: of nets that their notebooks'
    parameters do not name, which are read where they are released and never trained; without: the profile's notebooks
    that have no receipt; scaled: nets that were not measured. seconds: None where there is no trial.
    """
    stems = [job.stem for job in plan.planned(profile)]
    found = receipts.found_in(files.results_dir() / profile) or receipts.found_in(files.ROOT / "results" / profile)
    store, at_hand, trained, seconds = Store(), {}, {}, 0.0
    for one in found:
        if one["notebook"] in stems:
            nets = plan.nets_of(one["parameters"])  # none: the first receipts do not say
            at_hand |= {key: store.read(key) for key in one["keys"] if key not in at_hand}
            records = ((key, at_hand[key]) for key in one["keys"] if at_hand[key] is not None)
            trained |= {key: record for key, record in records if not nets or record.identity["model"] in nets}
    known = {precision for row in rows for precision in row["image_s"]}
    for record in trained.values():
        shown, evaluated = cost.images_seen(record)
        computed = cost.precision_of(record) if cost.precision_of(record) in known else auto
        training, evaluation = image_seconds(record.identity["model"], computed, rows, cost.size(record) or 32)
        seconds += (shown * training + evaluated * evaluation) / workers
    missing = sum(record is None for record in at_hand.values())
    return {
        "profile": profile,
        "trials": len(trained),
        "seconds": seconds if trained else None,
        "scaled": sorted({record.identity["model"] for record in trained.values()} - {row["model"] for row in rows}),
        "missing": missing,
        "read": len(at_hand) - missing - len(trained),
        "without": [stem for stem in stems if stem not in {receipt["notebook"] for receipt in found}],
    }


def image_seconds(model: str, precision: str, rows: list[dict], size: int = 32) -> tuple[float, float]:
    """Seconds to train on an image, and to evaluate one, by the same rule as `cost.expected`.

    A net goes by its own timing, else by those of its family, else by all, scaled by work (`cost.image`). size: side of
    the images in pixels; what was measured had 32.
    """
    measured = {row["model"]: row["image_s"][precision] for row in rows if precision in row["image_s"]}
    alike = [name for name in measured if name == model] or [name for name in measured if family(name) == family(model)]
    per_work = zip(*([s / cost.image(name) for s in measured[name]] for name in alike or measured), strict=True)
    training, evaluation = (cost.image(model, size=size) * statistics.median(of_nets) for of_nets in per_work)
    return training, evaluation


# in words ------------------------------------------------------------------------------------------------------------


def opening(setting: Setting) -> list[str]:
    """What is measured where, and the table's head."""
    here, recipe = machine(setting.device), setting.recipe
    how = f"{'one thread' if setting.device == 'cpu' else 'one GPU'}; batches of {recipe.batch_size}"
    return [
        f"{here['device']}; PyTorch {here['torch']}; {how}; easel computes in {recipe.precision}",
        "images/s of training; easel/plain: median (smallest..largest) of paired timings; epoch: with its evaluation",
        _COLUMNS.format("", "", "", "", "", "", "of an", "epoch", "epoch"),
        _COLUMNS.format("net", "images", "plain", "easel", "easel/plain", "evaluation", "epoch", "10,000", "50,000"),
    ]


def table_row(row: dict) -> str:
    """A net's line of the table."""
    rate, epoch = row["images_per_s"], next(iter(row["epoch_s"].values()))
    return _COLUMNS.format(
        row["model"],
        f"{row['images']:,}",
        *(f"{rate[arm]:,.0f}" for arm in ("plain", "easel")),
        ranged(row["easel_over_plain"]),
        f"{rate['evaluation']:,.0f}",
        f"{row['evaluation_share']['median']:.0%}",
        *(_spell(epoch[images]) for images in ("10000", "50000")),
    )


def closing(result: dict) -> list[str]:
    """What stands under the table: what bfloat16 and packing bring, and how long each profile takes."""
    lines = []
    for row in result["nets"]:
        if row["fp32"]:
            lines.append(f"{row['model']}: bf16 trains {ranged(row['fp32'])} times as fast as fp32")
        if row["at_once"] > 1:
            first = row["first_two_batches_s"]["easel"]
            lines.append(f"{row['model']}: {row['at_once']} trials at once; first use with its capture {first:.1f} s")
        if "share_of_roofline" in row:
            share = row["share_of_roofline"]
            lines.append(f"{row['model']}: {share['easel']:.0%} of its roofline; the plain loop {share['plain']:.1%}")
    if result["ceilings"]:
        lines.append("roofline: " + ", ".join(f"{name} {value:,.0f}" for name, value in result["ceilings"].items()))
    if result["left_out"]:
        lines.append(f"left out for want of time (--limit): {'; '.join(result['left_out'])}")
    if result["precision"] == "fp32":
        lines.append('this processor has no bfloat16 products: precision "auto" is fp32 here')
    return lines + [_of_profile(one) for one in result["estimates"]]


def _of_profile(one: dict) -> str:
    if not one["trials"] and not one["missing"]:
        return f"profile {one['profile']}: no receipts yet"
    notes = [f"{one['trials']:,} trial{'s' * (one['trials'] != 1)}"]
    notes += [f"{one['missing']:,} more are not at hand"] if one["missing"] else []
    notes += [f"{one['read']:,} more are only read"] if one["read"] else []
    scaled = ", ".join(one["scaled"]) if len(one["scaled"]) <= 3 else f"{len(one['scaled'])} nets"
    notes += [f"scaled by work, rough: {scaled}"] if scaled else []
    notes += [f"no receipts yet: {', '.join(one['without'])}"] if one["without"] else []
    about = f"about {_spell(one['seconds'])}" if one["trials"] else "not known"
    return f"profile {one['profile']}, its training, here: {about} ({'; '.join(notes)})"


def ranged(ratio: dict[str, float]) -> str:
    """A `spread` in words."""
    return "{median:.2f} ({min:.2f}..{max:.2f})".format(**ratio)


def _spell(seconds: float) -> str:
    """A time in words: 0.081 s, 40 s, 12 min, 3.5 h."""
    return f"{seconds:.2g} s" if seconds < 10 else run.minutes(seconds)
