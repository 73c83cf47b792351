"""Trials on a GPU, several at once: each step is one CUDA graph, in which K trials step side by side.

A small net's step is hundreds of kernels, each shorter than the time to launch it. So the whole step (schedule, gather,
augmentation, forward, backward, optimiser) is captured once and replayed, the last, smaller batch as a second graph,
and the evaluation of plain images as a third. All that changes between the steps lies in tensors on the GPU, so that
one capture serves every step. Recipe, order, random draws and record are loop.Run's; on CPU tensors a program is called
instead of captured, and the record is that of loop.Run, bit for bit.

A kernel of a small net fills a part of a GPU only. Side by side, each on a stream of its own inside the graph, the
trials keep their own kernels on their own numbers, the same as alone (but MLPs in the way "one-product" of
easel.train.ways). K is measured. A net that draws random numbers as it trains (dropout) goes alone, and a trial whose
next batch depends on its losses (high-loss mini-batches) without a graph.

Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

import contextlib
import gc
import math
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from easel.data.changes import Changed
from easel.errors import UserError
from easel.ledger.store import Store
from easel.ledger.trial import Trial
from easel.nets import names
from easel.train import budget
from easel.train.batches import epoch_draws, stream
from easel.train.loop import Run, evaluation_batch, logits_of, on_device, one_thread
from easel.train.ways import PLAIN, TOGETHER, WAYS, Probe, changes_of, draws, measure_way, way_of
from easel.train.workers import CHECKPOINT_S, train_one

REHEARSALS = 3  # runs before a capture, in which libraries choose kernels and take their memory


class Lane(Run):
    """A trial whose steps take order, crops, learning rate and position from tensors that stay where they are."""

    def __init__(self, trial: Trial, device: str, way: str = "plain"):
        super().__init__(trial, device, way)
        count, batch, on = len(self.kept), trial.recipe.batch_size, {"device": self.device}
        self.sizes = [min(batch, count - start) for start in range(0, count, batch)]
        order, self.crop, self.flip = (draw.to(self.device) for draw in epoch_draws(trial, count, 0))
        self.order = torch.zeros_like(order)  # of any place in the data: it is rehearsed on
        # the fused optimisers read a float32 on a GPU and a float64 on a CPU
        rate = torch.float32 if self.device.type == "cuda" else torch.float64
        self.rates = torch.zeros(len(self.sizes), dtype=rate, **on)
        self.rate = torch.zeros((), dtype=rate, **on)
        for group in self.optimizer.param_groups:
            # a float would be frozen into the graph; a tensor is read anew by every replay, and the step count with it
            group["lr"], group["capturable"] = self.rate, True
        self.seen, self.number = (torch.zeros(1, dtype=torch.int64, **on) for _ in range(2))
        self.ramp = torch.arange(batch, **on)
        self.online = torch.zeros(len(self.labels), dtype=torch.bool, **on)
        self.total = torch.zeros((), **on)
        self.looks: dict[str, Look] = {}
        self.pack: Pack | None = None  # that it is in
        self.next = self.draw(0)

    def state(self) -> list[Tensor]:
        """Every tensor that a step changes."""
        own = [self.rate, self.seen, self.number, self.online, self.total]
        optimiser = [v for s in self.optimizer.state.values() for v in s.values() if isinstance(v, Tensor)]
        return [*own, *self.net.parameters(), *self.net.buffers(), *optimiser]

    def draw(self, epoch: int) -> tuple[Tensor, ...]:
        """Examples in their order, crops, flips and learning rates of an epoch, on the CPU."""
        recipe, count = self.trial.recipe, len(self.kept)
        order, crop, flip = epoch_draws(self.trial, count, epoch)
        steps = range(len(self.sizes))
        rates = [recipe.learning_rate * recipe.schedule(epoch + n * recipe.batch_size / count) for n in steps]
        return self.kept[order], crop, flip, torch.tensor(rates, dtype=torch.float64)

    def restore(self, path: Path) -> bool:
        """As loop.Run.restore, which makes new tensors for the optimiser: before the capture, never after it."""
        restored = super().restore(path)
        if restored:
            for group in self.optimizer.param_groups:  # the ones that were saved came from a schedule of floats
                group["lr"], group["capturable"] = self.rate, True
            self.next = self.draw(self.done)
        return restored

    def begin(self) -> None:
        """Put the next epoch's random draws and learning rates where its steps read them."""
        for there, drawn in zip((self.order, self.crop, self.flip, self.rates), self.next, strict=True):
            there.copy_(drawn)  # into the same memory: a graph knows its tensors by their addresses
        for tensor in (self.seen, self.number, self.online, self.total):
            tensor.zero_()
        self.net.train()

    def step(self, size: int) -> None:
        """One update on the next `size` images.

        Captured: no value may come back to the CPU, no shape may depend on one, and what counts up is a tensor.
        """
        index, crop, flip = self.take(size)
        self.note(index, *self.update(index, crop, flip))

    def take(self, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """The next `size` images, their crops and flips. It sets this step's learning rate."""
        self.rate.copy_(self.rates.index_select(0, self.number)[0])
        place = self.seen + self.ramp[:size]
        return self.order[place], self.crop[place], self.flip[place]

    def note(self, index: Tensor, loss: Tensor, right: Tensor) -> None:
        """The step's mean loss, and which of its images were right before it."""
        self.total += loss * len(index)
        self.online[index] = right
        self.seen += len(index)
        self.number += 1

    def ending(self) -> Iterator[str]:
        """Read the epoch's loss and evaluate (Run.judging)."""
        self.loss[self.done] = float(self.total) / len(self.kept)
        return self.judging(self.online)

    def _logits(self, view: str) -> Tensor:
        if isinstance(self.seen_in(view), Changed):
            return self.pack.of_changed(view, self) if self.pack else super()._logits(view)
        if view not in self.looks:
            self.looks[view] = Look(self, view)
        return self.looks[view]()


class Look:
    """A lane's net on every image of a view, a batch at a time; the last batch reaches back over the one before.

    So every batch is as large as the first, and one graph does for all; what is evaluated twice gets the same logits.
    """

    def __init__(self, lane: Lane, view: str):
        examples = lane.seen_in(view)
        self.lane, self.images = lane, on_device(examples, lane.device)
        batch = min(evaluation_batch(lane.device, self.images.shape[-1]), len(examples))
        self.last, self.batches = len(examples) - batch, -(-len(examples) // batch)
        self.start = torch.zeros(1, dtype=torch.int64, device=lane.device)
        self.ramp = torch.arange(batch, device=lane.device)
        self.logits = torch.empty(len(examples), len(examples.classes), device=lane.device)
        lane.net.eval()
        pool = lane.pack.pool if lane.pack else None
        self.program = program(self._batch, lambda: [self.start], lane.device, pool)

    @torch.no_grad()
    def _batch(self) -> None:
        place = self.start.clamp(max=self.last) + self.ramp
        with self.lane.autocast():
            self.logits[place] = self.lane.net(self.lane.prepare(self.images[place])).float()
        self.start += len(self.ramp)

    def __call__(self) -> Tensor:
        self.lane.net.eval()
        self.start.zero_()
        for _ in range(self.batches):
            self.program()
        return self.logits


def program(
    function: Callable[[], None], state: Callable[[], list[Tensor]], device: torch.device, pool=None
) -> Callable[[], None]:
    """What does the same as `function`: on a GPU a graph of it, captured now, elsewhere the function itself.

    state: the tensors that it changes and reads again; the runs before the capture leave no trace in them.
    """
    if device.type != "cuda":
        return function
    # The rehearsal runs on a stream beside the default one, as a capture does: what libraries set up in it (handles,
    # workspaces, chosen kernels) belongs to a stream, and making it during the capture would break that off.
    here, side = torch.cuda.current_stream(device), torch.cuda.Stream(device)
    side.wait_stream(here)
    with torch.cuda.stream(side):
        rehearse(function, state)
    here.wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, pool=pool):
        function()  # noted, not run
    return graph.replay


def rehearse(function: Callable[[], None], state: Callable[[], list[Tensor]]) -> None:
    """Run it REHEARSALS times, each time undoing what it did to the tensors of `state`.

    Tensors that come up on the way (an optimiser makes its state in its first step) are left at zero.
    """
    # The tensors themselves stay and only get their values back: their addresses are what the graph will hold.
    before = {id(tensor): tensor.detach().clone() for tensor in state()}
    for _ in range(REHEARSALS):
        function()
        with torch.no_grad():
            for tensor in state():
                tensor.copy_(before[id(tensor)]) if id(tensor) in before else tensor.zero_()


MOST_PACKED = 16  # trials at once
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
        self.pool = torch.cuda.graph_pool_handle() if gpu else None  # of all its graphs: never two at work at once
        alike = {(lane.trial.recipe, lane.trial.facts.fingerprint) for lane in lanes}
        self.as_one = len(lanes) > len(alike) == 1 and TOGETHER in changes_of(lanes[0].way)
        self.as_one &= WAYS[TOGETHER].has(lanes[0].net)
        self.looked: dict[str, dict[Lane, Tensor]] = {}  # logits of changed images that lanes have not fetched yet
        for lane in self.lanes:
            lane.pack = self

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
        if self.as_one:
            self._as_one(size)
            return
        if self.device.type != "cuda":
            for lane in self.lanes:
                lane.step(size)
            return
        # Fork and join: a stream that waits for the capturing one is captured too, and the graph gets a branch a lane,
        # which the GPU runs beside each other. Without the join at the end the capture would be incomplete.
        here = torch.cuda.current_stream(self.device)
        for lane, side in zip(self.lanes, self.streams, strict=True):
            side.wait_stream(here)
            with torch.cuda.stream(side):
                lane.step(size)
        for side in self.streams:
            here.wait_stream(side)

    def _as_one(self, size: int) -> None:
        """Every lane's update, all nets' products as one. A lane's loss depends on its own net: so do its gradients."""
        drawn, first = [lane.take(size) for lane in self.lanes], self.lanes[0]
        for lane in self.lanes:
            lane.optimizer.zero_grad(set_to_none=True)
        x = first.augmented(*(torch.cat(parts) for parts in zip(*drawn, strict=True)))  # all of one data set
        target = torch.cat([lane.labels[index] for lane, (index, _, _) in zip(self.lanes, drawn, strict=True)])
        named = [dict(lane.net.named_parameters()) for lane in self.lanes]
        weights = {name: torch.stack([one[name] for one in named]) for name in named[0]}
        with first.autocast():
            logits = torch.vmap(partial(torch.func.functional_call, first.net))(weights, x.unflatten(0, (-1, size)))
        logits = logits.float().flatten(0, 1)
        losses = F.cross_entropy(logits, target, reduction="none").view(-1, size).mean(1)
        losses.sum().backward()
        right = (logits.detach().argmax(1) == target).view(-1, size)
        for at, (lane, (index, _, _)) in enumerate(zip(self.lanes, drawn, strict=True)):
            lane.optimizer.step()
            lane.note(index, losses[at].detach(), right[at])

    def train_epoch(self) -> None:
        """The updates of one epoch, of every lane."""
        first = self.lanes[0]
        programs = [self.ready(size) for size in first.sizes]  # captured before the dropout of a lone net is seeded
        gpus = [self.device] * (self.device.type == "cuda")
        with torch.random.fork_rng(gpus), one_thread() if self.device.type == "cpu" else contextlib.nullcontext():
            torch.manual_seed(stream(first.trial.seed, "dropout", first.done).initial_seed())
            for lane in self.lanes:
                lane.begin()
            for update in programs:
                update()

    def epoch(self) -> list[Lane]:
        """Train one epoch and evaluate; the lanes that are done or have diverged now are given back.

        They stay in the graph, which cannot shrink: a lane that diverged computes on, and nobody looks.
        """
        started = time.perf_counter()
        self.train_epoch()
        going = [lane for lane in self.lanes if not lane.diverged]
        for lane in going:  # while the GPU is at work
            if lane.done + 1 < lane.trial.epochs:
                lane.next = lane.draw(lane.done + 1)
        with one_thread() if self.device.type == "cpu" else contextlib.nullcontext():
            for _ in zip_longest(*(lane.ending() for lane in going)):  # a view of all of them, then the next
                pass
        spent = (time.perf_counter() - started) / len(going)
        for lane in going:
            lane.seconds += spent
        return [lane for lane in going if lane.diverged or lane.done == lane.trial.epochs]

    def of_changed(self, view: str, lane: Lane) -> Tensor:
        """What a lane's net says of changed images: float32 (examples, classes); they are made once for all lanes."""
        examples = lane.sets[view]
        if lane not in self.looked.get(examples.fingerprint, {}):
            lanes = [one for one in self.lanes if one is lane or (not one.diverged and one.done == lane.done)]
            lanes = [one for one in lanes if one.sets[view].fingerprint == examples.fingerprint]
            self.looked = {examples.fingerprint: dict(zip(lanes, logits_of(lanes, examples), strict=True))}
        return self.looked[examples.fingerprint].pop(lane)


def alike(todo: Iterable[Trial]) -> list[list[Trial]]:
    """The trials in groups of those that can train side by side: one net, recipe, length, and as many images."""
    groups: dict[tuple, list[Trial]] = {}
    for trial in todo:
        images = len(trial.trained_on), trial.facts.fingerprint
        groups.setdefault((trial.model, trial.epochs, trial.recipe, images, trial.views), []).append(trial)
    return list(groups.values())


def train_together(todo: Iterable[Trial], device: str, store: Store, progress, most: int | None = None) -> None:
    """Train trials and put their records, those that fit together side by side, the others one after another.

    progress: an `ensure.Progress`. most: at once; None measures what pays (`width`).
    """
    for group in alike(todo):
        if group[0].recipe.batches != "shuffled":  # the next batch depends on the losses so far: nothing to capture
            for trial in group:
                budget.ask()
                with _out_of_memory() as met:
                    train_one(trial, device, store, lambda run: progress.epoch(run.trial))
                if met:
                    raise _too_large(trial)
                progress.trial()
            continue
        budget.ask()  # before the width is measured
        way = way_of_group(group, device, store)
        packs = -(-len(group) // (most or width(group[0], device, len(group), way)))
        for part in range(packs):  # of nearly one size
            _together(group[part::packs], device, way, store, progress)


def way_of_group(
    group: list[Trial], device: str, store: Store, steps: float | None = None, most: float = math.inf
) -> str:
    """How the trials of a group run (easel.train.ways): measured, if that is wanted, before the first of its kind.

    steps: that wait, those of the group if None; most: seconds that measuring may take at most.
    """
    trial = group[0]
    if steps is None:
        steps = sum(one.epochs * -(-len(one.trained_on) // one.recipe.batch_size) for one in group)
    net = names.build(trial.model, classes=len(trial.examples.classes), size=trial.examples.images.shape[-1])
    lanes = MOST_PACKED if WAYS[TOGETHER].has(net) else 1
    if lanes > 1 and device == "cpu":  # where trials do not train side by side
        return way_of(trial, device, store)

    def probe(way: str) -> Probe:
        found = _probe([Lane(trial, device, way) for _ in range(lanes)])
        return Probe(found.seconds / lanes, found.loss)

    with _out_of_memory() as met:
        way = measure_way(trial, device, store, net, steps, probe, most)
    return PLAIN if met else way


def _together(trials: list[Trial], device: str, way: str, store: Store, progress) -> None:
    """Train some trials of a group side by side, and half as many where the memory ends, as others may take it too."""
    budget.ask()
    with _out_of_memory() as met:
        _side_by_side(trials, device, way, store, progress)
    if met:
        if len(trials) == 1:
            raise _too_large(trials[0])
        print(f"the GPU's memory ended with {len(trials)} trials at once; going on with half as many", flush=True)
        left = [trial for trial in trials if store.get(trial) is None]
        for part in filter(None, (left[::2], left[1::2])):
            _together(part, device, way, store, progress)


@contextlib.contextmanager
def _out_of_memory() -> Iterator[list[bool]]:
    """A list that is no longer empty after a body that ran out of a GPU's memory, all of which it has given back."""
    met: list[bool] = []
    try:
        yield met
    except Exception as fault:  # where it ends during a capture, what breaks that off stands before it
        causes: list[BaseException | None] = [fault]
        while causes[-1] is not None:
            causes.append(causes[-1].__context__)
        if not any(isinstance(one, torch.OutOfMemoryError) for one in causes):
            raise
        met.append(True)
        for one in causes[:-1]:  # its frames hold the lanes
            traceback.clear_frames(one.__traceback__)
    gc.collect()  # packs, lanes and looks know each other, and their graphs hold memory
    if met and torch.cuda.is_available():
        torch.cuda.empty_cache()


def _too_large(trial: Trial) -> UserError:
    return UserError(
        f"{trial.model} at {trial.examples.images.shape[-1]} pixels does not fit into what the GPU has free, "
        "not even alone: take smaller images (@PIXELS after the data's name), free the GPU, or set EASEL_DEVICE=cpu; "
        "finished trials are kept"
    )


def _side_by_side(trials: list[Trial], device: str, way: str, store: Store, progress) -> None:
    """Train some trials of a group side by side, from their checkpoints where there are any."""
    as_far: dict[int, list[Lane]] = {}  # one graph's lanes share their epoch; after a stop some may be ahead of others
    for trial in trials:
        if store.get(trial) is not None:
            progress.trial()
            continue
        lane = Lane(trial, device, way)
        lane.restore(store.checkpoint(trial.key))
        as_far.setdefault(lane.done, []).append(lane)
    for lanes in as_far.values():
        alone = len(lanes) > 1 and any(draws(lane.net) for lane in lanes)
        for some in [[lane] for lane in lanes] if alone else [lanes]:
            budget.ask()
            _to_the_end(Pack(some), store, progress)


def _to_the_end(pack: Pack, store: Store, progress) -> None:
    saved, going = time.monotonic(), {lane.trial.key: lane for lane in pack.lanes}
    while going:
        done = pack.epoch()
        for lane in going.values():
            progress.epoch(lane.trial)
        for lane in done:
            del going[lane.trial.key]
            record = lane.record()
            record.provenance["at_once"] = len(pack.lanes)
            store.put(record)
            store.checkpoint(lane.trial.key).unlink(missing_ok=True)
            progress.trial()
        # Between epochs alone: a checkpoint is then net, optimiser and bits, with no place inside an order to keep.
        if going and time.monotonic() - saved >= CHECKPOINT_S:
            for key, lane in going.items():
                lane.save(store.checkpoint(key))
            saved = time.monotonic()


def width(trial: Trial, device: str, most: int = MOST_PACKED, way: str = "plain") -> int:
    """How many trials such as this one to train at once: doubled while that pays and the GPU's memory holds them."""
    size, most = trial.examples.images.shape[-1], min(most, MOST_PACKED)
    what = (trial.model, size, trial.recipe, device, most.bit_length(), way)
    if what not in _widths:
        net = names.build(trial.model, classes=len(trial.examples.classes), size=size)
        if TOGETHER in changes_of(way) and WAYS[TOGETHER].has(net):
            return most  # as the way was measured
        _widths[what] = 1 if draws(net) else _measured(lambda k: _rate(trial, device, k, way), most)
    return _widths[what]


_widths: dict[tuple, int] = {}


def _measured(rate: Callable[[int], float], most: int) -> int:
    """The power of two, up to `most`, at which a rate stops growing by PAYS, or the memory ends."""
    best, reached, k = 1, 0.0, 1
    while k <= most:
        with _out_of_memory() as met:
            now = rate(k)
        if met or now < PAYS * reached:
            break
        best, reached, k = k, now, 2 * k
    return best


def _rate(trial: Trial, device: str, k: int, way: str = "plain") -> float:
    """Trials' steps a second, of k copies side by side."""
    if device == "cuda":
        gc.collect()  # lanes and packs know each other
        torch.cuda.empty_cache()  # the smaller pack's memory, or it would count as taken by this one
    found = _probe([Lane(trial, device, way) for _ in range(k)])
    if device == "cuda" and torch.cuda.memory_reserved() > SHARE * torch.cuda.mem_get_info()[1]:
        raise torch.cuda.OutOfMemoryError(f"{k} trials at once take more than {SHARE:.0%} of the GPU's memory")
    return k / found.seconds


def _probe(lanes: list[Lane]) -> Probe:
    """Some steps of trials side by side, always from the beginning of the epoch's order."""
    wait = torch.cuda.synchronize if lanes[0].device.type == "cuda" else lambda: None
    pack, times, losses = Pack(lanes), [], []
    with one_thread() if lanes[0].device.type == "cpu" else contextlib.nullcontext():
        update = pack.ready(lanes[0].sizes[0])
        for _ in range(1 + PROBE_STEPS):
            for lane in lanes:
                lane.begin()
            wait()
            started = time.perf_counter()
            update()
            wait()
            times.append(time.perf_counter() - started)
            losses.append(float(lanes[0].total) / lanes[0].sizes[0])
    return Probe(float(np.median(times[1:])), float(np.mean(losses)))  # the first replay uploads the graph
