"""One trial for a GPU: all that changes between its steps lies in tensors there, so that one capture serves every step.

A small net's step is hundreds of kernels, each shorter than the time to launch it. So the whole step (schedule, gather,
augmentation, forward, backward, optimiser) is captured once as a CUDA graph and replayed, the last, smaller batch as a
second graph, and the evaluation of plain images as a third. Recipe, order, random draws and record are train.Run's; on
CPU tensors a program is called instead of captured, and the record is that of train.Run, bit for bit.

Source: https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs
"""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from easel.augment import epoch_draws
from easel.perturb import Changed
from easel.train import Run, evaluation_batch, on_device
from easel.trial import Trial

REHEARSALS = 3  # runs before a capture, in which libraries choose kernels and take their memory


class Lane(Run):
    """A trial whose steps take order, crops, learning rate and position from tensors that stay where they are."""

    def __init__(self, trial: Trial, device: str):
        super().__init__(trial, device)
        count, batch, on = len(self.kept), trial.recipe.batch_size, {"device": self.device}
        self.sizes = [min(batch, count - start) for start in range(0, count, batch)]
        order, self.crop, self.flip = (draw.to(self.device) for draw in epoch_draws(trial, count, 0))
        self.order = torch.zeros_like(order)  # of any place in the data: it is rehearsed on
        # the fused optimisers read a float32 on a GPU and a float64 on a CPU
        rate = torch.float32 if self.device.type == "cuda" else torch.float64
        self.rates = torch.zeros(len(self.sizes), dtype=rate, **on)
        self.rate = torch.zeros((), dtype=rate, **on)
        for group in self.optimizer.param_groups:
            group["lr"], group["capturable"] = self.rate, True
        self.seen, self.number = (torch.zeros(1, dtype=torch.int64, **on) for _ in range(2))
        self.ramp = torch.arange(batch, **on)
        self.online = torch.zeros(len(self.labels), dtype=torch.bool, **on)
        self.total = torch.zeros((), **on)
        self.looks: dict[str, Look] = {}
        self.pool = None  # of the graphs' memory; its Pack's, once it is in one
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
        restored = super().restore(path)
        if restored:
            for group in self.optimizer.param_groups:  # the ones that were saved came from a schedule of floats
                group["lr"], group["capturable"] = self.rate, True
            self.next = self.draw(self.done)
        return restored

    def begin(self) -> None:
        """Put the next epoch's random draws and learning rates where its steps read them."""
        for there, drawn in zip((self.order, self.crop, self.flip, self.rates), self.next, strict=True):
            there.copy_(drawn)
        for tensor in (self.seen, self.number, self.online, self.total):
            tensor.zero_()
        self.net.train()

    def step(self, size: int) -> None:
        """One update on the next `size` images."""
        self.rate.copy_(self.rates.index_select(0, self.number)[0])
        place = self.seen + self.ramp[:size]
        index = self.order[place]
        loss, right = self.update(index, self.crop[place], self.flip[place])
        self.total += loss * size
        self.online[index] = right
        self.seen += size
        self.number += 1

    def end(self) -> None:
        """Read the epoch's loss and evaluate."""
        self.loss[self.done] = float(self.total) / len(self.kept)
        self._judge(self.online)

    def _logits(self, view: str) -> Tensor:
        if view != "train" and isinstance(self.sets[view], Changed):
            return super()._logits(view)
        if view not in self.looks:
            self.looks[view] = Look(self, view)
        return self.looks[view]()


class Look:
    """A lane's net on every image of a view, a batch at a time; the last batch reaches back over the one before."""

    def __init__(self, lane: Lane, view: str):
        examples = lane.trial.examples if view == "train" else lane.sets[view]
        self.lane, self.images = lane, on_device(examples, lane.device)
        batch = min(evaluation_batch(lane.device, self.images.shape[-1]), len(examples))
        self.last, self.batches = len(examples) - batch, -(-len(examples) // batch)
        self.start = torch.zeros(1, dtype=torch.int64, device=lane.device)
        self.ramp = torch.arange(batch, device=lane.device)
        self.logits = torch.empty(len(examples), len(examples.classes), device=lane.device)
        lane.net.eval()
        self.program = program(self._batch, lambda: [self.start], lane.device, lane.pool)

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


def graph_pool(device: torch.device):
    """Memory that several graphs may share if they never run at the same time."""
    return torch.cuda.graph_pool_handle() if device.type == "cuda" else None


def program(
    function: Callable[[], None], state: Callable[[], list[Tensor]], device: torch.device, pool=None
) -> Callable[[], None]:
    """What does the same as `function`: on a GPU a graph of it, captured now, elsewhere the function itself.

    state: the tensors that it changes and reads again; the runs before the capture leave no trace in them.
    """
    if device.type != "cuda":
        return function
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
    before = {id(tensor): tensor.detach().clone() for tensor in state()}
    for _ in range(REHEARSALS):
        function()
        with torch.no_grad():
            for tensor in state():
                tensor.copy_(before[id(tensor)]) if id(tensor) in before else tensor.zero_()


def draws(net: nn.Module) -> bool:
    """Whether a net draws random numbers as it trains."""
    return any("Dropout" in type(m).__name__ or type(m).__name__ == "StochasticDepth" for m in net.modules())
