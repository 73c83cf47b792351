"""Which mini-batch is trained on next: shuffled anew every epoch, fixed, or those with the highest loss (HM).

"Can we learn better with hard samples?" keeps the mini-batches fixed for the whole run. The first round is one plain
pass, in which each batch's loss is stored. Every later round sorts the batches by their stored loss, takes the
floor(delta N_b) highest, trains on each once in index order and stores their new losses; the others' stay as they were,
however stale. The budget is counted in updates: an "epoch" is always N_b of them, so rounds run across its end.

Nothing here trains. All of the state that an interrupted run needs is in `state`.
"""

import numpy as np
import torch
from torch import Tensor

from easel.streams import stream
from easel.trial import Recipe, Trial


def fixed_order(trial: Trial) -> Tensor:
    """The examples of a trial in the order in which they are cut into fixed batches: int64 (kept,).

    The edit's order where there is one (batches grouped by easiness), else one drawn from the seed.
    """
    edit = trial.edit
    if edit is not None and edit.order is not None:
        return torch.from_numpy(edit.order)
    kept = torch.arange(len(trial.examples))
    if edit is not None and edit.keep is not None:
        kept = torch.from_numpy(edit.keep)
    return kept[torch.randperm(len(kept), generator=stream(trial.order_seed, "order"))]


class Fixed:
    """The fixed mini-batches of a run, and which of them comes next."""

    def __init__(self, order: Tensor, recipe: Recipe, seed: int):
        """order: (count,) the examples, cut into batches as they come; seed: of the draws of batches="random"."""
        self.batches = order.split(recipe.batch_size)
        self.kind, self.seed = recipe.batches, seed
        self.count = recipe.batches_taken(len(order))
        self.losses = np.full(len(self.batches), np.nan, np.float32)
        self.round, self.waiting = 0, list(range(len(self.batches)))

    def next(self) -> tuple[int, Tensor]:
        """Number and examples of the batch to train on."""
        if not self.waiting:
            self.round += 1
            self.waiting = self._chosen().tolist()
        at = self.waiting.pop(0)
        return at, self.batches[at]

    def _chosen(self) -> np.ndarray:
        number = len(self.batches)
        if self.kind == "fixed":
            return np.arange(number)
        if self.kind == "random":
            chosen = torch.randperm(number, generator=stream(self.seed, "batches", self.round))[: self.count].numpy()
        else:
            chosen = np.argsort(-self.losses, kind="stable")[: self.count]  # of equal losses, the lower index
        return np.sort(chosen)

    def store(self, at: int, loss: float) -> None:
        """Keep the loss of a batch, as it was when it was trained on."""
        self.losses[at] = loss

    @property
    def state(self) -> dict[str, np.ndarray]:
        """Arrays for a checkpoint; `restore` takes them back."""
        return {"losses": self.losses, "round": np.array(self.round), "waiting": np.array(self.waiting, np.int64)}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        self.losses = state["losses"].copy()
        self.round, self.waiting = int(state["round"]), state["waiting"].tolist()
