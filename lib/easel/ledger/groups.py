"""Two disjoint groups of trials of each net: what the paper compares nets by, and a net with itself."""

from functools import cached_property

import numpy as np

from easel.ledger.store import Ledger
from easel.nets.names import shown_as


class Groups:
    """Trials of one or several nets in two groups a net, no seed in both, of one net or of two.

    ledger: all of them; seeds: {model: (seeds, seeds)} (`two_groups`). Nets go by the papers' words (`shown_as`).
    """

    def __init__(self, ledger: Ledger, seeds: dict[str, tuple[list[int], list[int]]]):
        self.ledger, self.seeds = ledger, seeds
        self.names = shown_as(list(seeds))
        self.labels = ledger.labels

    @property
    def models(self) -> dict[str, str]:
        """{shown name: model}."""
        return {name: model for model, name in self.names.items()}

    @cached_property
    def sides(self) -> dict[str, tuple[Ledger, Ledger]]:
        """{net: (ledger of its first group, ledger of its second)}."""
        found = {}
        for model, (first, second) in self.seeds.items():
            of = self.ledger.where(model=model)
            found[self.names[model]] = (of.where(seed=first), of.where(seed=second))
        return found

    def right(self, m: int = 1, view: str = "train") -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """{net: (first, second)}, each bool (trials, examples): right at the end of epoch m."""
        return {net: tuple(side.correct(view)[:, m - 1] for side in pair) for net, pair in self.sides.items()}

    def probability(self, view: str = "train@1") -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """{net: (first, second)}, each (trials, examples): probability of the true class, in 0..1."""
        return {
            net: tuple(side.values("probability", view)[:, 0].astype(float) for side in pair)
            for net, pair in self.sides.items()
        }

    def counts(self, m: int = 1) -> dict[str, np.ndarray]:
        """{net: (examples,)}: in how many trials of its first group an example is right at the end of epoch m."""
        return {net: pair[0].sum(axis=0) for net, pair in self.right(m).items()}

    def accuracy(self, m: int = 1) -> dict[str, float]:
        """{net: mean share of the training set that is right at the end of epoch m}, both groups, three decimals."""
        return {net: round(float(np.concatenate(pair).mean()), 3) for net, pair in self.right(m).items()}
