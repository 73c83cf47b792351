"""Trials on a GPU, several at once: K lanes step side by side, each on a stream of its own inside one CUDA graph.

A kernel of a small net fills a part of a GPU only. Side by side each trial keeps its own kernels on its own numbers,
the same as alone. K is measured. A net that draws random numbers as it trains (dropout) goes alone, and a trial whose
next batch depends on its losses (high-loss mini-batches) without a graph.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from easel import models
from easel.lanes import Lane, draws, graph_pool, program
from easel.ledger import Store
from easel.pool import CHECKPOINT_S, train_one
from easel.record import Record
from easel.streams import stream
from easel.train import one_thread
from easel.trial import Trial

MOST = 16  # trials at once
PAYS = 1.05  # twice as many at once must give this much more a second
PROBE_STEPS = 10  # of a timing that decides it
SHARE = 0.4  # of the GPU's memory that they may take


class Pack:
    """Lanes that step together. They must have as many images, batches as large, and stand at the same epoch."""

    def __init__(self, lanes: Sequence[Lane]):
        self.lanes, self.device = list(lanes), lanes[0].device
        if any((lane.sizes, lane.done) != (lanes[0].sizes, lanes[0].done) for lane in lanes):
            raise ValueError("trials that train together have as many images and batches, and have come as far")
        if len(lanes) > 1 and any(draws(lane.net) for lane in lanes):
            raise ValueError("a net with dropout trains alone: what it draws would depend on who trains beside it")
        gpu = self.device.type == "cuda"
        self.streams = [torch.cuda.Stream(self.device) if gpu else None for _ in lanes]
        self.programs: dict[int, Callable[[], None]] = {}
        self.pool = graph_pool(self.device)
        for lane in self.lanes:
            lane.pool = self.pool

    def ready(self, size: int) -> Callable[[], None]:
        """What updates every lane on its next `size` images."""
        if size not in self.programs:
            for lane in self.lanes:
                lane.net.train()
            self.programs[size] = program(lambda: self._side_by_side(size), self._state, self.device, self.pool)
        return self.programs[size]

    def _state(self) -> list[Tensor]:
        return [tensor for lane in self.lanes for tensor in lane.state()]

    def _side_by_side(self, size: int) -> None:
        if self.device.type != "cuda":
            for lane in self.lanes:
                lane.step(size)
            return
        here = torch.cuda.current_stream(self.device)
        for lane, side in zip(self.lanes, self.streams, strict=True):
            side.wait_stream(here)
            with torch.cuda.stream(side):
                lane.step(size)
        for side in self.streams:
            here.wait_stream(side)

    def train_epoch(self) -> None:
        """The updates of one epoch, of every lane."""
        first = self.lanes[0]
        programs = [self.ready(size) for size in first.sizes]  # captured before the dropout of a lone net is seeded
        with torch.random.fork_rng(), one_thread() if self.device.type == "cpu" else contextlib.nullcontext():
            torch.manual_seed(stream(first.trial.seed, "dropout", first.done).initial_seed())
            for lane in self.lanes:
                lane.begin()
            for update in programs:
                update()

    def epoch(self) -> list[Lane]:
        """Train one epoch and evaluate; the lanes that are done now leave, and are given back."""
        started = time.perf_counter()
        self.train_epoch()
        going = [lane for lane in self.lanes if not lane.diverged]
        for lane in going:  # while the GPU is at work
            if lane.done + 1 < lane.trial.epochs:
                lane.next = lane.draw(lane.done + 1)
        with one_thread() if self.device.type == "cpu" else contextlib.nullcontext():
            for lane in going:
                lane.end()
        spent = (time.perf_counter() - started) / len(going)
        for lane in going:
            lane.seconds += spent
        return [lane for lane in going if lane.diverged or lane.done == lane.trial.epochs]


def train(todo: Iterable[Trial], device: str, store: Store, progress, most: int | None = None) -> None:
    """Train trials and put their records, those that fit together side by side, the others one after another.

    progress: a run.Progress. most: at once; None measures what pays (`width`).
    """
    groups: dict[tuple, list[Trial]] = {}
    for trial in todo:
        alike = (trial.model, trial.epochs, trial.recipe, _count(trial), trial.examples.fingerprint, trial.views)
        groups.setdefault(alike, []).append(trial)
    for group in groups.values():
        if group[0].recipe.batches != "shuffled":  # the next batch depends on the losses so far: nothing to capture
            for trial in group:
                train_one(trial, device, store, lambda run: progress.epoch(run.trial))
                progress.trial()
            continue
        packs = -(-len(group) // (most or width(group[0], device, len(group))))
        for part in range(packs):  # of nearly one size
            _together(group[part::packs], device, store, progress)


def _count(trial: Trial) -> int:
    """Images that a trial trains on."""
    return len(trial.examples) if trial.edit is None or trial.edit.keep is None else len(trial.edit.keep)


def _together(trials: list[Trial], device: str, store: Store, progress) -> None:
    """Train some trials of a group side by side, from their checkpoints where there are any."""
    as_far: dict[int, list[Lane]] = {}
    for trial in trials:
        if store.get(trial) is not None:
            progress.trial()
            continue
        lane = Lane(trial, device)
        lane.restore(store.checkpoint(trial.key))
        as_far.setdefault(lane.done, []).append(lane)
    for lanes in as_far.values():
        alone = len(lanes) > 1 and any(draws(lane.net) for lane in lanes)
        for some in [[lane] for lane in lanes] if alone else [lanes]:
            _to_the_end(Pack(some), store, progress)


def _to_the_end(pack: Pack, store: Store, progress) -> None:
    saved, going = time.monotonic(), {lane.trial.key: lane for lane in pack.lanes}
    while going:
        done = pack.epoch()
        for lane in going.values():
            progress.epoch(lane.trial)
        for lane in done:
            del going[lane.trial.key]
            store.put(_record(lane, len(pack.lanes)))
            store.checkpoint(lane.trial.key).unlink(missing_ok=True)
            progress.trial()
        if going and time.monotonic() - saved >= CHECKPOINT_S:
            for key, lane in going.items():
                lane.save(store.checkpoint(key))
            saved = time.monotonic()
    for lane in pack.lanes:
        lane.looks.clear()  # they hold their lane, and graphs hold memory


def _record(lane: Lane, at_once: int) -> Record:
    record = lane.record()
    record.provenance["at_once"] = at_once
    return record


def width(trial: Trial, device: str, most: int = MOST) -> int:
    """How many trials such as this one to train at once: doubled while that pays and the GPU's memory holds them."""
    size, most = trial.examples.images.shape[-1], min(most, MOST)
    what = (trial.model, size, trial.recipe, device, most.bit_length())
    if what not in _widths:
        net = models.build(trial.model, classes=len(trial.examples.classes), size=size)
        _widths[what] = 1 if draws(net) else _measured(lambda k: _rate(trial, device, k), most)
    return _widths[what]


_widths: dict[tuple, int] = {}


def _measured(rate: Callable[[int], float], most: int) -> int:
    """The power of two, up to `most`, at which a rate stops growing by PAYS, or the memory ends."""
    best, reached, k = 1, 0.0, 1
    while k <= most:
        try:
            now = rate(k)
        except torch.cuda.OutOfMemoryError:
            break
        if now < PAYS * reached:
            break
        best, reached, k = k, now, 2 * k
    return best


def _rate(trial: Trial, device: str, k: int) -> float:
    """Trials' steps a second, of k copies side by side."""
    if device == "cuda":
        torch.cuda.empty_cache()
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    pack = Pack([Lane(trial, device) for _ in range(k)])
    update, times = pack.ready(pack.lanes[0].sizes[0]), []
    for _ in range(1 + PROBE_STEPS):
        for lane in pack.lanes:
            lane.begin()
        wait()
        started = time.perf_counter()
        update()
        wait()
        times.append(time.perf_counter() - started)
    if device == "cuda" and torch.cuda.memory_reserved() > SHARE * torch.cuda.mem_get_info()[1]:
        raise torch.cuda.OutOfMemoryError(f"{k} trials at once take more than {SHARE:.0%} of the GPU's memory")
    return k / float(np.median(times[1:]))
