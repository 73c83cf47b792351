"""Correlations of rankings: of two, and of every pair of many runs, over all examples or within classes.

Pure functions on numbers (higher = easier); they never train, load or draw a figure.
"""

import numpy as np
from scipy import stats

from easel import cuts
from easel.errors import UserError

PLAIN = ("pearson", "spearman")
BY_CLASS = ("pearson within classes", "spearman within classes", "classes alone")
KINDS = PLAIN + BY_CLASS


# ---- two rankings --------------------------------------------------------------------------------------------------


def pearson(a, b) -> float:
    """Pearson's correlation of two count vectors (examples,), in -1..1; nan where one is constant."""
    a, b = cuts.pair_of(a, b)
    return cuts.correlation(cuts.unit(a), cuts.unit(b))


def spearman(a, b) -> float:
    """Spearman's correlation of two count vectors (tied: average rank), in -1..1; nan where one is constant."""
    a, b = cuts.pair_of(a, b)
    return cuts.correlation(cuts.unit(stats.rankdata(a)), cuts.unit(stats.rankdata(b)))


def spearman_within(a, b, labels) -> float:
    """Spearman's correlation within classes, in -1..1: do two rankings agree beyond naming the same classes?

    Ranks are taken in each class by itself, centred, and correlated over all examples; so a net pair that agrees only
    on which classes are easy scores 0. labels: (examples,). nan where one is constant in every class.
    """
    a, b = cuts.pair_of(a, b)
    classes = cuts.labels_of(labels, len(a))
    ranks = np.zeros((2, len(a)))
    for k in range(classes.max() + 1):
        rows = classes == k
        for of, x in zip(ranks, (a, b), strict=True):
            of[rows] = (stats.rankdata(x[rows]) - (rows.sum() + 1) / 2) / rows.sum()
    return cuts.correlation(*map(cuts.unit, ranks))


# ---- many runs -----------------------------------------------------------------------------------------------------


def correlations(runs, kind: str = "pearson", *, labels=None, weights=None) -> np.ndarray:
    """Correlation of every run with every run, float (runs, runs) in -1..1; nan where a run is constant.

    runs: (runs, examples), higher = easier. labels: (examples,), for the kinds that have classes in their name.
    weights: (examples,), how often each example counts; None = once. kind:
      "pearson" "spearman"         of all examples; Spearman's ties have the average rank
      "pearson within classes"     of the values minus their class' mean: who of a class is learnable?
      "spearman within classes"    of the ranks in the class (`spearman_within`)
      "classes alone"              Pearson's, in expectation, if the examples of each class were shuffled among each
                                   other: what two runs share by finding the same classes learnable
    UserError: values not finite, no labels where they are needed, an unknown kind.
    """
    runs = vectors(runs)
    return Runs(runs, kind, labels)(np.ones(runs.shape[1]) if weights is None else np.asarray(weights, float))


class Runs:
    """Runs made ready to be correlated under many weights: levels are found once, so that ranks need no sort."""

    def __init__(self, runs: np.ndarray, kind: str, labels):
        if kind not in KINDS:
            raise UserError(f"kind={kind!r}: give one of {', '.join(map(repr, KINDS))}")
        if kind in BY_CLASS and labels is None:
            raise UserError(f"kind={kind!r} needs labels, one for each example")
        self.runs, self.kind = runs, kind
        count = runs.shape[1]
        self.labels = cuts.labels_of(labels, count) if kind in BY_CLASS else np.zeros(count, np.int64)
        self.levels = [self._levels(run) for run in runs] if kind.startswith("spearman") else []

    def _levels(self, run: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The place of each example among the distinct (class, value), in ascending order, and the class of each."""
        rank = np.unique(run, return_inverse=True)[1]
        keys, at = np.unique(self.labels * (rank.max() + 1) + rank, return_inverse=True)
        return at, keys // (rank.max() + 1)

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        x = self._ranks(weights) if self.levels else self.runs
        if self.kind in PLAIN:
            x = x - (x @ weights / weights.sum())[:, None]
        elif self.kind == "pearson within classes":
            x = x - self._class_means(x, weights)[:, self.labels]
        root = np.sqrt(weights)
        if self.kind == "classes alone":
            means = self._class_means(x, weights)[:, self.labels]
            centre = (x @ weights / weights.sum())[:, None]
            return _cosines((means - centre) * root, (x - centre) * root)
        return _cosines(x * root)

    def _class_means(self, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
        size = np.bincount(self.labels, weights)
        sums = np.stack([np.bincount(self.labels, weights * run, minlength=len(size)) for run in x])
        return sums / np.maximum(size, 1e-300)  # a class that no resample drew weighs nothing

    def _ranks(self, weights: np.ndarray) -> np.ndarray:
        """Average ranks under weights; for "within classes" in the class, centred, over its size."""
        rows = []
        size = np.bincount(self.labels, weights)
        before = np.cumsum(size) - size
        for at, of_class in self.levels:
            held = np.bincount(at, weights)
            rank = np.cumsum(held) - held / 2 - before[of_class]  # minus 1/2: the same for all
            if self.kind in BY_CLASS:
                rank = (rank - size[of_class] / 2) / np.maximum(size[of_class], 1e-300)
            rows.append(rank[at])
        return np.stack(rows)


def _cosines(x: np.ndarray, full: np.ndarray | None = None) -> np.ndarray:
    """x x' over the lengths of `full` (default: x's own); nan for a row that is zero up to rounding."""
    full = x if full is None else full
    length = np.linalg.norm(full, axis=1)
    length = np.where(length > 1e-9 * np.sqrt(full.shape[1]), length, np.nan)
    return np.clip(x @ x.T / np.outer(length, length), -1, 1)


def vectors(runs) -> np.ndarray:
    runs = np.asarray(runs)
    if runs.ndim != 2 or runs.dtype.kind not in "biuf" or 0 in runs.shape:
        raise UserError(f"runs of shape {runs.shape} and type {runs.dtype}: give numbers (trials, examples)")
    runs = runs.astype(np.float64)
    if not np.isfinite(runs).all():
        raise UserError(f"run {int(np.argmin(np.isfinite(runs).all(1)))} is not finite: leave diverged trials out")
    return runs
