"""Training: trials in, records out. One loop for every net, data set and device; it never decides what to train.

The data set lies on the device as uint8; a batch is index arithmetic on it. The example's index travels with the batch,
so that who got what right is one tensor on the device, copied out once an epoch. All random numbers are drawn on the
CPU from streams of their own (easel.train.batches), so a trial is the same trial wherever it runs.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from easel import files
from easel.data.changes import Changed
from easel.data.sets import Dataset
from easel.errors import UserError
from easel.ledger.provenance import machine
from easel.ledger.quantities import QUANTITIES
from easel.ledger.record import BadRecord, Record, pack, unpack
from easel.ledger.trial import Recipe, Timed, Trial, View
from easel.nets import names
from easel.train.batches import Fixed, crop_and_flip, epoch_draws, fixed_order, normalise, pad, resized_crop, stream
from easel.train.ways import convolves, run_in

RESIDENT = 6  # data sets whose images stay on a GPU, as they are or with a margin


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """CPU training uses one thread: with more, sums are taken in another order and the weights differ."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def evaluation_batch(device: torch.device, size: int) -> int:
    """Images evaluated at once: on a CPU core 50 to 100 stay in its cache (measured: twice as fast as 500)."""
    return 100 if device.type == "cpu" else max(100, 2000 * 64**2 // max(64, size) ** 2)


def on_device(examples: Dataset, device: torch.device, margin: int = 0) -> Tensor:
    """A data set's images with a black margin; on a GPU one copy for all trials, and the last few sets stay there."""
    if device.type == "cpu":
        return pad(examples.images, margin) if margin else examples.images
    key = (examples.fingerprint, margin, str(device))
    if key not in _resident:
        while len(_resident) >= RESIDENT:
            del _resident[next(iter(_resident))]
        _resident[key] = pad(examples.images.to(device), margin)
    return _resident[key]


_resident: dict[tuple[str, int, str], Tensor] = {}


class Run:
    """One trial while it trains: net, optimiser, and the bits so far. `epoch()` advances it, `record()` ends it.

    way: how the net runs (easel.train.ways).
    """

    def __init__(self, trial: Trial, device: str = "cpu", way: str = "plain"):
        self.trial, self.device, self.way, recipe = trial, torch.device(device), way, trial.recipe
        examples = trial.examples
        with torch.random.fork_rng(devices=[]):  # default weights, replaced at once: not from the user's generator
            net = names.build(
                trial.model,
                classes=len(examples.classes),
                size=examples.images.shape[-1],
                generator=stream(trial.seed, "weights"),
            )
        self.net = net.to(self.device, memory_format=torch.channels_last)
        run_in(self.net, way)
        # Without a convolution the channels would be brought to the end and back again.
        self.layout = torch.channels_last if convolves(self.net) else torch.contiguous_format
        self.kept = torch.from_numpy(trial.trained_on)
        self.labels = torch.from_numpy(trial.training_labels).to(self.device)  # evaluation has the data set's own
        self.padded = on_device(examples, self.device, recipe.translation)
        self.sets = {v: trial.view_examples(v) for v in trial.measured if View.of(v).base != "online"}
        self.sets |= {f"train@{q.after}": examples for q in map(Timed.of, (*trial.record, *trial.also)) if q.after}
        self.fixed = None if recipe.batches == "shuffled" else Fixed(fixed_order(trial), recipe, trial.order_seed)
        self.mean, self.std = (torch.tensor(s, device=self.device) for s in (examples.mean, examples.std))
        self.optimizer = _optimizer(self.net, recipe, len(self.kept))
        self.done, self.diverged, self.seconds = 0, False, 0.0
        self.loss = np.full(trial.epochs, np.nan, np.float32)
        self.asked = trial.arrays((*trial.record, *trial.also))
        self.rows: dict[str, list[np.ndarray]] = {}

    def autocast(self) -> torch.autocast:
        """What computes products in the recipe's precision."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.trial.recipe.precision == "bf16")

    def uncompiled(self, size: int = 0) -> contextlib.AbstractContextManager:
        """Runs the net as it stands for batches of another size than the usual: each would be compiled anew."""
        as_usual = self.way == "plain" or size == min(self.trial.recipe.batch_size, len(self.kept))
        return contextlib.nullcontext() if as_usual else torch.compiler.set_stance("force_eager")

    def prepare(self, images: Tensor) -> Tensor:
        """Images on the 0..255 scale as the recipe normalises them: float32, in the layout that the net reads."""
        return normalise(images, self.trial.recipe.normalisation, self.mean, self.std, self.layout)

    def epoch(self) -> None:
        """Train one epoch, then evaluate every view."""
        started = time.perf_counter()
        with one_thread() if self.device.type == "cpu" else contextlib.nullcontext():
            self._judge(self._train_epoch())
        self.seconds += time.perf_counter() - started

    def _judge(self, online: Tensor) -> None:
        for _ in self.judging(online):
            pass

    def judging(self, online: Tensor) -> Iterator[str]:
        """End an epoch: evaluate what is due, each view as it is asked for. online: bool (examples,), right as trained.

        So trials that train together can look at one view together (easel.train.gpu).
        """
        if np.isfinite(self.loss[self.done]):
            plain = None  # what the net says of the training set, which several views may want
            for view, examples in self.sets.items():
                if self._due(view):
                    yield view
                    if View.of(view).base == "train":
                        plain = logits = self._logits("train") if plain is None else plain
                    else:
                        logits = self._logits(view)
                    self._keep(view, logits, examples.labels.to(self.device))
            for view in self.trial.views:
                if View.of(view).base == "online" and self._due(view):
                    self._append(f"correct.{view}", np.packbits(online.cpu().numpy()))
        else:
            self.diverged = True
        self.done += 1

    def _due(self, view: str) -> bool:
        """Whether a view is evaluated after the epoch that is under way."""
        return View.of(view).after in (None, self.done + 1)

    def _steps(self) -> Iterator[tuple[int | None, Tensor, Tensor, Tensor]]:
        """The updates of one epoch: number of the fixed batch or None, examples, crops, flips."""
        count, batch = len(self.kept), self.trial.recipe.batch_size
        drawn = count if self.fixed is None else len(self.fixed.batches) * batch  # any batch may come at any step
        order, crop, flip = epoch_draws(self.trial, drawn, self.done)
        crop, flip = crop.to(self.device), flip.to(self.device)
        order = None if self.fixed is not None else self.kept[order].to(self.device)
        for start in range(0, drawn, batch):
            at, index = (None, order[start : start + batch]) if self.fixed is None else self.fixed.next()
            part = slice(start, start + len(index))
            yield at, index.to(self.device), crop[part], flip[part]

    def augmented(self, index: Tensor, crop: Tensor, flip: Tensor) -> Tensor:
        """A batch as the net sees it in training: float32 (batch, 3, size, size)."""
        if self.trial.recipe.augmentation == "resized-crop":
            return self.prepare(resized_crop(self.padded[index], crop, flip))
        return self.prepare(crop_and_flip(self.padded, index, crop, flip, self.trial.examples.images.shape[-1]))

    def update(self, index: Tensor, crop: Tensor, flip: Tensor) -> tuple[Tensor, Tensor]:
        """One step on these examples: their mean loss, and which of them were right before it. On the device."""
        self.optimizer.zero_grad(set_to_none=True)  # before the activations, which take the same memory
        x = self.augmented(index, crop, flip)
        target = self.labels[index]
        with self.autocast(), self.uncompiled(len(index)):
            logits = self.net(x)
        loss = F.cross_entropy(logits.float(), target)
        loss.backward()
        self.optimizer.step()
        return loss.detach(), logits.detach().argmax(1) == target

    def _train_epoch(self) -> Tensor:
        trial, recipe, device = self.trial, self.trial.recipe, self.device
        count, batch, seen = len(self.kept), recipe.batch_size, 0
        online = torch.zeros(len(self.labels), dtype=torch.bool, device=device)
        total = torch.zeros((), device=device)
        self.net.train()
        gpus = [self.device] * (self.device.type == "cuda")
        with torch.random.fork_rng(gpus):  # dropout, in nets that have it, draws from the global generator
            torch.manual_seed(stream(trial.seed, "dropout", self.done).initial_seed())
            for step, (at, index, crop, flip) in enumerate(self._steps()):
                for group in self.optimizer.param_groups:
                    group["lr"] = recipe.learning_rate * recipe.schedule(self.done + step * batch / count)
                loss, right = self.update(index, crop, flip)
                total += loss * len(index)
                seen += len(index)
                online[index] = right
                if at is not None:
                    self.fixed.store(at, float(loss))
        self.loss[self.done] = float(total) / seen
        return online

    def seen_in(self, view: str) -> Dataset:
        """The examples of a view."""
        return self.trial.examples if view == "train" else self.sets[view]

    def _logits(self, view: str) -> Tensor:
        """What the net says of every example of a view, unaugmented: float32 (examples, classes) on the device."""
        return logits_of([self], self.seen_in(view))[0]

    def features(self, view: str = "train") -> Tensor:
        """What enters the net's last layer, for every example of a view, unaugmented: float32 (examples, d)."""
        seen: list[Tensor] = []
        linear = [module for module in self.net.modules() if isinstance(module, nn.Linear)]
        if not linear:
            raise UserError(f"features of {self.trial.model}: its last layer is no linear one")
        handle = linear[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].float()))
        try:
            # A pass of its own, and never a captured or compiled one: hooks are not called again when a graph is
            # replayed, and the logits stay those of a trial that records no features.
            with one_thread() if self.device.type == "cpu" else contextlib.nullcontext(), self.uncompiled():
                Run._logits(self, view)
        finally:
            handle.remove()
        return torch.cat(seen)

    def _keep(self, view: str, logits: Tensor, labels: Tensor) -> None:
        """Note one view of one epoch: who was right, and what else the trial records."""
        finite = logits.isfinite().all(1)  # argmax of NaN is class 0: never right
        if f"correct.{view}" in self.asked:
            self._append(f"correct.{view}", np.packbits(((logits.argmax(1) == labels) & finite).cpu().numpy()))
        for name, quantity in QUANTITIES.items():
            if f"{name}.{view}" in self.asked:
                seen = self.features(view) if quantity.of == "features" else logits
                self._append(f"{name}.{view}", quantity.measure(seen, labels).cpu().numpy())
        self.diverged |= not bool(finite.all())

    def _append(self, name: str, row: np.ndarray) -> None:
        self.rows.setdefault(name, []).append(row)

    def correct(self, view: str = "train") -> np.ndarray:
        """bool (epochs so far, examples)."""
        count = len(self.trial.view_examples(view))
        return np.unpackbits(np.stack(self.rows[f"correct.{view}"]), axis=1, count=count).astype(bool)

    def record(self) -> Record:
        """The record of the finished trial."""
        arrays = {name: np.stack(rows) for name, rows in self.rows.items()} | {"loss": self.loss[: self.done]}
        arrays |= {f"count.{v}": np.array(len(s)) for v, s in self.sets.items() if View.of(v).base != "train"}
        provenance = machine(self.device.type) | {
            "way": self.way,
            "seconds": round(self.seconds, 3),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        return Record.of(self.trial, arrays, "diverged" if self.diverged else "complete", provenance)

    def save(self, path: Path) -> None:
        """Write all that is needed to go on from the end of this epoch."""
        state = {f"net.{k}": v for k, v in self.net.state_dict().items()}
        for i, values in self.optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{i}.{k}": v for k, v in values.items() if v is not None}
        arrays = {k: v.detach().cpu().contiguous().numpy() for k, v in state.items()}
        arrays |= {f"rows.{k}": np.stack(v) for k, v in self.rows.items()} | {"loss": self.loss}
        if self.fixed is not None:
            arrays |= {f"fixed.{k}": v for k, v in self.fixed.state.items()}
        # What is recorded is in it: a run that records more could not make up for the epochs that are over.
        meta = {"key": self.trial.key, "arrays": sorted(self.asked), "done": self.done, "seconds": self.seconds}
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_atomically(path, pack(arrays | {"meta": np.frombuffer(json.dumps(meta).encode(), np.uint8)}))

    def restore(self, path: Path) -> bool:
        """Go on from a checkpoint; False, and nothing changed, if there is none that fits and is whole."""
        try:
            arrays = unpack(files.read_regular(path))
        except (OSError, MemoryError, BadRecord):
            return False
        meta = json.loads(arrays.pop("meta").tobytes())
        if [meta["key"], meta.get("arrays")] != [self.trial.key, sorted(self.asked)] or meta["done"] >= len(self.loss):
            return False
        net, optimizer, fixed = {}, {}, {}
        for name, array in arrays.items():
            kind, _, rest = name.partition(".")
            if kind == "net":
                net[rest] = torch.from_numpy(array)
            elif kind == "optimizer":
                i, _, what = rest.partition(".")
                optimizer.setdefault(int(i), {})[what] = torch.from_numpy(array)
            elif kind == "rows":
                self.rows[rest] = list(array)
            elif kind == "fixed":
                fixed[rest] = array
        # No generator is among it: each epoch draws its random numbers from streams of its own.
        self.net.load_state_dict(net)
        for i, parameter in enumerate(self.net.parameters()):  # the fused step wants each state laid out as its weights
            for what, tensor in optimizer.get(i, {}).items():
                if tensor.shape == parameter.shape:
                    optimizer[i][what] = torch.empty_like(parameter).copy_(tensor)
        self.optimizer.load_state_dict(self.optimizer.state_dict() | {"state": optimizer})
        if self.fixed is not None:
            self.fixed.restore(fixed)
        self.done, self.seconds = meta["done"], meta["seconds"]
        self.loss[: self.done] = arrays["loss"][: self.done]
        return True


@torch.no_grad()
def logits_of(runs: Sequence[Run], examples: Dataset) -> list[Tensor]:
    """What the nets of runs in one precision say of these examples, as `Run._logits`; changed images are made once."""
    device, changed = runs[0].device, isinstance(examples, Changed)  # whose images are made a batch at a time
    images = on_device(examples.source if changed else examples, device)
    logits = [torch.empty(len(images), len(examples.classes), device=device) for _ in runs]
    batch = min(evaluation_batch(device, images.shape[-1]), len(images))
    starts = list(range(0, len(images), batch))
    if runs[0].way != "plain":  # batches of one size, or the last would be compiled anew
        starts[-1] = len(images) - batch
    for run in runs:
        run.net.eval()
    with runs[0].autocast():  # around all batches: weights are converted once
        for start in starts:
            part = slice(start, start + batch)
            with torch.autocast(device.type, enabled=False):
                x = examples.change(images[part], examples.ids[part]) if changed else images[part]
            for run, found in zip(runs, logits, strict=True):
                with torch.autocast(device.type, enabled=False):
                    ready = run.prepare(x)
                found[part] = run.net(ready).float()
    return logits


def _optimizer(net: nn.Module, recipe: Recipe, examples: int) -> torch.optim.Optimizer:
    """fused: one pass over each parameter instead of a dozen."""
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(net.parameters(), recipe.learning_rate, recipe.momentum, fused=True)
    decay = recipe.weight_decay(examples)
    return torch.optim.AdamW(net.parameters(), recipe.learning_rate, recipe.betas, weight_decay=decay, fused=True)


def epochs(
    trial: Trial,
    *,
    device: str = "cpu",
    way: str = "plain",
    checkpoint: Path | None = None,
    checkpoint_s: float = 10.0,
) -> Iterator[Run]:
    """Train one trial from its beginning, or from its checkpoint, and yield the run after each epoch.

    checkpoint: file for the unfinished state, written after an epoch if `checkpoint_s` seconds have passed since the
    last one, so short trials never write any, and fifty times what that took, so that large ones train.
    """
    run = Run(trial, device, way)
    if checkpoint is not None:
        run.restore(checkpoint)
    saved = time.monotonic()
    while run.done < trial.epochs and not run.diverged:
        run.epoch()
        yield run
        began = time.monotonic()
        # Never of a run that diverged: where it is killed before its record, it would be taken up as a healthy one.
        going = run.done < trial.epochs and not run.diverged
        if checkpoint is not None and going and began - saved >= checkpoint_s:
            run.save(checkpoint)
            saved = time.monotonic()
            checkpoint_s = max(checkpoint_s, 50 * (saved - began) * (checkpoint_s > 0))  # 0: after every epoch


def train(trial: Trial, *, on_epoch: Callable[[Run], None] | None = None, **where) -> Record:
    """Train one trial to its record; on_epoch is called after each epoch, the rest are arguments of `epochs`."""
    for run in epochs(trial, **where):
        if on_epoch is not None:
            on_epoch(run)
    return run.record()
