"""Correlations of rankings: of two, and of every pair of many runs, over all examples or within classes.

A RUN is a vector (examples,) of one score from one trial, higher = easier. Between two nets (or two scores) everything
is a mean over all pairs of a run of one and a run of the other. Within one: over its pairs of different trials, which
is the ceiling, since noise alone lets a net agree with another better than with itself. The ratio of the two,
r_ab / sqrt(r_aa r_bb), is the correlation freed from the trials' noise (Spearman 1904: disattenuated).

Intervals add two doubts as squares: other images (resampled with replacement, the trained nets as they are) and, from
three trials a net on, other trials (each left out once). Simulated, a nominal 95 % covers 93 to 100 % from three trials
on; with two, where the second doubt is not in, 74 % for r_ab, 47 % for r_aa, and 96 % for the ratio.

Pure functions: nothing trains, loads a record, draws, or pools the trials of two nets into one score.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations_with_replacement

import numpy as np
import pandas as pd
from scipy import stats

from easel.compare import cuts
from easel.compare.claims import judge
from easel.compare.intervals import ANY, UNKNOWN, Interval, combined, left_out_doubt
from easel.errors import UserError

PLAIN = ("pearson", "spearman")
BY_CLASS = ("pearson within classes", "spearman within classes", "classes alone")
CORRELATIONS = PLAIN + BY_CLASS
RESAMPLES = 400  # of the images; an interval's width then varies by some 4 % from one seed to another


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
    members = cuts.members_of(cuts.labels_of(labels, len(a)))
    return cuts.correlation(ranks_within(a, members), ranks_within(b, members))


def ranks_within(x: np.ndarray, members: list[np.ndarray]) -> np.ndarray | None:
    """Ranks in each class by itself, centred, over its size, as `cuts.unit`; None where all are constant."""
    ranks = np.empty(len(x))
    for rows in members:
        ranks[rows] = (stats.rankdata(x[rows]) - (len(rows) + 1) / 2) / len(rows)
    return cuts.unit(ranks)


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
    UserError: values not finite, no labels where they are needed, an unknown kind, other than one weight an example.
    """
    runs = vectors(runs)
    weights = np.ones(runs.shape[1]) if weights is None else cuts.vector(weights)
    if len(weights) != runs.shape[1]:
        raise UserError(f"{len(weights)} weights of {runs.shape[1]} examples: give one for each")
    return Runs(runs, kind, labels)(weights)


class Runs:
    """Runs made ready to be correlated under many weights: levels are found once, so that ranks need no sort."""

    def __init__(self, runs: np.ndarray, kind: str, labels):
        self.runs, self.kind = runs, cuts.chosen("kind", kind, CORRELATIONS)
        if kind in BY_CLASS and labels is None:
            raise UserError(f"kind={kind!r} needs labels, one for each example")
        self.labels = cuts.classes_of(labels if kind in BY_CLASS else None, runs.shape[1])
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
    """Runs as finite float64 (runs, examples); UserError otherwise."""
    runs = np.asarray(runs)
    if runs.ndim != 2 or runs.dtype.kind not in "biuf" or 0 in runs.shape:
        raise UserError(f"runs of shape {runs.shape} and type {runs.dtype}: give numbers (trials, examples)")
    runs = runs.astype(np.float64)
    if not np.isfinite(runs).all():
        raise UserError(f"run {int(np.argmin(np.isfinite(runs).all(1)))} is not finite: leave diverged trials out")
    return runs


# ---- agreement -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Agreement:
    """Mean correlations between and within groups of runs, with what their intervals are made of."""

    groups: tuple[str, ...]  # names, of nets or of scores
    kind: str
    trials: tuple[int, ...]
    matrix: np.ndarray  # (groups, groups); diagonal: within the group, different trials
    resampled: np.ndarray = field(repr=False)  # (resamples, groups, groups): on resampled images
    left_out: tuple[np.ndarray, ...] = field(repr=False)  # (trials, groups, groups) a set of trials: each left out
    paired: bool = False

    @property
    def covers(self) -> str:
        """What the intervals cover, for a caption."""
        return "images and trials" if self.left_out else "images only, too few trials"

    @property
    def limit(self) -> str:
        """What stands in the way of a verdict (`claims.judge`): "trials" where intervals do not cover other trials."""
        return "" if self.left_out else "trials"

    def interval(self, statistic: Callable[[np.ndarray], np.ndarray], of: Sequence[int], limits=ANY) -> Interval:
        """Estimate and interval of any function of the matrix; n = trials of the groups at the places `of`.

        statistic: (..., groups, groups) -> (...), of those groups. Doubts (`intervals.combined`): images, the variance
        of resamples; trials, the delete-one jackknife's.
        """
        images = (np.var(statistic(self.resampled), ddof=1), np.inf)
        doubts = [images, *(left_out_doubt(statistic(one)) for one in self.left_out)]
        n = self.trials[0] if self.paired else sum(self.trials[group] for group in set(of))
        return combined(float(statistic(self.matrix)), doubts, n, limits=limits)

    def r(self, a: str, b: str) -> Interval:
        """Correlation of a run of a with a run of b, mean over pairs; a = b: of two trials of one."""
        i, j = self._at(a, b)
        limits = (-1, 1) if self.kind in CORRELATIONS else ANY
        return self.interval(lambda matrix: matrix[..., i, j], (i, j), limits)

    def ratio(self, a: str, b: str) -> Interval:
        """Disattenuated correlation r_ab / sqrt(r_aa r_bb); nan where a run says nothing about its own next trial.

        About 1: a agrees with b as well as each with itself. Above 1 by noise alone.
        """
        i, j = self._at(a, b)

        def ratio(matrix: np.ndarray) -> np.ndarray:
            return matrix[..., i, j] / cuts.ceiling(matrix[..., i, i], matrix[..., j, j])

        return self.interval(ratio, (i, j))

    def lead(self, pair: tuple[str, str], others: Sequence[tuple[str, str]]) -> Interval:
        """By how much the correlation of one pair exceeds the highest of some others. UserError: no others."""
        if not others:
            raise UserError(f"the lead of {' – '.join(pair)}: give at least one other pair")
        at, *rest = [self._at(*one) for one in (pair, *others)]
        groups = {group for two in (at, *rest) for group in two}

        def over_the_best(matrix: np.ndarray) -> np.ndarray:
            return matrix[..., *at] - np.max([matrix[..., *one] for one in rest], axis=0)

        return self.interval(over_the_best, tuple(groups))

    def table(self) -> pd.DataFrame:
        """One row a pair, a <= b in the order given.

        Columns: a, b, kind, r, low, high, ceiling (sqrt(r_aa r_bb)), ratio, ratio_low, ratio_high (nan where a = b),
        n_trials (in the smaller group), covers.
        """
        rows = []
        for a, b in combinations_with_replacement(self.groups, 2):
            i, j = self._at(a, b)
            ratio = self.ratio(a, b) if a != b else UNKNOWN
            known = (*self.r(a, b)[:3], cuts.ceiling(self.matrix[i, i], self.matrix[j, j]), *ratio[:3])
            rows.append((a, b, self.kind, *known, min(self.trials[i], self.trials[j]), self.covers))
        columns = "a b kind r low high ceiling ratio ratio_low ratio_high n_trials covers"
        return pd.DataFrame(rows, columns=columns.split())

    def _at(self, a: str, b: str) -> tuple[int, int]:
        return tuple(self.groups.index(cuts.chosen("group", name, self.groups)) for name in (a, b))


def agreement(
    runs: Mapping, kind: str = "pearson", *, labels=None, paired: bool = False, resamples: int = RESAMPLES
) -> Agreement:
    """How far groups of runs agree with one another, and each with itself.

    runs: {net: (trials, examples)}, two trials or more, all of the same examples; kind, labels: `correlations`.
    paired: the groups are several scores of the SAME trials, in one order, or nets whose trials have the same seeds
        (batches in one order); a pair of runs is then always of two different trials or seeds, so that a shared
        accident of one is not taken for agreement.
    UserError: fewer than two trials, other examples, fewer than two resamples; paired: unequal numbers of trials.
    """
    blocks = {name: vectors(block) for name, block in runs.items()}
    if not blocks or len({block.shape[1] for block in blocks.values()}) > 1:
        shapes = ", ".join(f"{name} {block.shape}" for name, block in blocks.items()) or "none"
        raise UserError(f"runs of these shapes: {shapes}; give every group runs of the same examples")
    alone, sizes = min(blocks, key=lambda name: len(blocks[name])), tuple(map(len, blocks.values()))
    if min(sizes) < 2:
        raise UserError(f"{min(sizes)} trial of {alone}: give two or more, none diverged")
    if paired and len(set(sizes)) > 1:
        raise UserError(f"paired scores of {', '.join(map(str, sizes))} trials: give the same trials to each")
    resamples = cuts.whole("resamples", resamples, 2)
    ready = Runs(np.concatenate(list(blocks.values())), kind, labels)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    trial = np.concatenate([np.arange(size) for size in sizes]) if paired else np.arange(sum(sizes))
    examples = ready.runs.shape[1]
    full = ready(np.ones(examples))
    resampled = on_resampled(lambda weights: _mean_blocks(ready(weights), owner, trial), examples, resamples)
    left_out = ()
    if min(sizes) > 2:
        sets = [np.unique(trial)] if paired else [trial[owner == group] for group in range(len(sizes))]
        left_out = tuple(
            np.stack([_mean_blocks(full[np.ix_(k, k)], owner[k], trial[k]) for k in (trial != t for t in members)])
            for members in sets
        )
    return Agreement(tuple(blocks), kind, sizes, _mean_blocks(full, owner, trial), resampled, left_out, paired)


def on_resampled(statistic: Callable[[np.ndarray], np.ndarray], examples: int, resamples: int) -> np.ndarray:
    """statistic(weights) on images resampled with replacement, (resamples, ...); weights: how often each was drawn."""
    rng = np.random.default_rng(0)
    drawn = (np.bincount(rng.integers(examples, size=examples), minlength=examples) for _ in range(resamples))
    return np.stack([statistic(weights.astype(float)) for weights in drawn])


def share_within(whole: Agreement, alone: Agreement) -> Agreement:
    """The share of each Pearson correlation that is about images, not classes: 1 - "classes alone" / "pearson".

    whole, alone: `agreement` of the same runs, of these two kinds. 1: classes are equally learnable, or two nets
    disagree on them; 0: two nets agree on nothing but classes. nan for a pair whose correlation is not clearly above 0
    (its interval is not): there is no agreement to take apart.
    """
    clear = np.array([[_positive(whole.r(a, b)) for b in whole.groups] for a in whole.groups])

    def share(part: np.ndarray, of: np.ndarray) -> np.ndarray:
        return 1 - part / np.where(clear, of, np.nan)

    return replace(
        whole,
        kind="share within classes",
        matrix=share(alone.matrix, whole.matrix),
        resampled=share(alone.resampled, whole.resampled),
        left_out=tuple(map(share, alone.left_out, whole.left_out)),
    )


def without_ranking(within: Agreement) -> list[str]:
    """Nets whose own seeds do not agree (the interval of r_aa is not above 0): nothing can be claimed about them.

    within: an agreement within classes, since a net that names one class for every image agrees with itself on that.
    """
    return [net for net in within.groups if not _positive(within.r(net, net))]


def same_trial(runs: Mapping[str, np.ndarray], kind: str = "spearman") -> pd.DataFrame:
    """Correlation of two scores of the SAME trial, mean over trials: DataFrame (scores, scores), diagonal 1.

    It counts what both took from one run's accidents as agreement; `agreement(paired=True)` does not.
    """
    blocks = [vectors(block) for block in runs.values()]
    if len({block.shape for block in blocks}) != 1:
        raise UserError("scores of different shapes: give (trials, examples) of the same trials to each")
    per_trial = [correlations(np.stack(of_one), kind) for of_one in zip(*blocks, strict=True)]
    return pd.DataFrame(np.mean(per_trial, axis=0), index=list(runs), columns=list(runs))


# ---- helpers -------------------------------------------------------------------------------------------------------


def _positive(interval: Interval) -> bool:
    return judge(interval, above=0).verdict == "holds"


def _mean_blocks(matrix: np.ndarray, owner: np.ndarray, trial: np.ndarray) -> np.ndarray:
    """Mean of the correlations of every pair of groups, over pairs of runs of different trials; nan if one is nan."""
    member = (owner[:, None] == np.arange(owner.max() + 1)).astype(float)
    allowed = trial[:, None] != trial[None, :]
    unknown = allowed & np.isnan(matrix)
    total = member.T @ np.where(allowed & ~unknown, matrix, 0) @ member
    total[member.T @ unknown @ member > 0] = np.nan
    return total / (member.T @ allowed @ member)
