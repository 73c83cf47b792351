"""Do images stay easy when something is taken from them? Plain against changed counts (EH Sec. 6, Fig. 2).

A net that was trained on plain images is right or wrong about each of them, plain and changed. Here the two easiness
rankings are compared, in two groups of trials (1, 2) that share no trial:
    same     the paper's: plain and changed counts of the same trials, mean of the two groups
    other    plain counts of one group, changed counts of the other, both ways: no noise of a single trial is in both,
             so nothing but the images can make them agree; where nothing is changed, the split-half ceiling
    blind    as `other`, with changed answers that are as often right, but about images that the change did not choose
             (`thinned`): what the fall of accuracy alone would leave of the matching rate
    within   as `blind`, class by class: what is left if the change also chose the classes
All are expected matching rates (random ties), in 0..1. Beside them
    rank     Spearman's correlation over all images, plain of one group against changed of the other, both ways: it
             needs no cut and so no rule for ties

A trial's plain and changed answers depend on each other, so it is left out of both at once. Every quantity is therefore
a vector of REPLICATES: its value from all trials, then without each trial of group 1, then of group 2. What is computed
from quantities (a difference, a quotient, a place on a curve) is computed on whole vectors, and `interval` reads any.

Pure functions; they never train, load or draw a figure.

How strong must a change be? Places on the curves, as replicates like everything there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from scipy import stats

from easel.compare.claims import Points
from easel.compare.cuts import (
    Cut,
    asked,
    bounds_of,
    by_class_of,
    composition,
    correlation,
    cut_at,
    labels_of,
    rate_of,
    trials_of,
    unit,
)
from easel.compare.intervals import Interval, from_left_out
from easel.compare.matching import identified
from easel.data.changes import CHANGES
from easel.errors import UserError

UNCHANGED = "train"  # the view of unchanged images
MEASURED = ("same", "other", "rank", "blind", "within", "accuracy")


@dataclass(frozen=True, eq=False)
class Measured:
    """What one net's trials say about every view, for one end of the ranking. Replicates: module docstring.

    same, other, rank, blind, within, accuracy: {view: replicates}; accuracy is the share of changed images
    that are right, mean over groups. ties: {view: lowest and highest `other` that any breaking of ties can give}.
    stratified: {view: `other` if only the classes mattered} (nan without labels). chance: k / examples.
    """

    which: str
    trials: tuple[int, int]
    chance: float
    same: dict[str, np.ndarray]
    other: dict[str, np.ndarray]
    rank: dict[str, np.ndarray]
    blind: dict[str, np.ndarray]
    within: dict[str, np.ndarray]
    accuracy: dict[str, np.ndarray]
    ties: dict[str, tuple[float, float]]
    stratified: dict[str, float]

    def kept(self, view: str, of: str = "other") -> np.ndarray:
        """The share of the agreement beyond chance that is left: (rate - chance) / (ceiling - chance), replicates.

        of: "other", "same" or "rank" (whose chance is 0); the ceiling is this rate of the plain images. 1: plain and
        changed agree as plain and plain do; 0: as unrelated rankings; nan where the ceiling is not above chance, since
        nothing could be lost.
        """
        rates = getattr(self, of)
        chance = 0.0 if of == "rank" else self.chance
        room = rates[UNCHANGED] - chance
        return np.where(room > 1e-9, (rates[view] - chance) / np.where(room > 1e-9, room, 1), np.nan)

    def difference(self, one: str, two: str, views: Sequence[str]) -> np.ndarray:
        """Quantity `one` minus quantity `two` (names as in the module's docstring), mean over views; replicates."""
        return np.mean([getattr(self, one)[view] - getattr(self, two)[view] for view in views], axis=0)

    def interval(self, replicates: np.ndarray, *, level: float = 0.95, limits=(-np.inf, np.inf)) -> Interval:
        """`interval` for replicates of this net."""
        return interval(replicates, self.trials, level=level, limits=limits)


# ---- intervals -----------------------------------------------------------------------------------------------------


def interval(
    replicates, trials: Sequence[int], *, level: float = 0.95, limits: tuple[float, float] = (-np.inf, np.inf)
) -> Interval:
    """Delete-one-trial jackknife interval of a vector of replicates (module docstring).

    trials: number in each group, their sum one less than the replicates. For a matching rate the interval of
    `intervals.jackknife`, and it covers what that does. Limits are nan where any replicate is. UserError: a number of
    replicates that does not fit, a group of one trial.
    """
    theta = np.asarray(replicates, dtype=float)
    if theta.shape != (1 + sum(trials),) or min(trials) < 2:
        raise UserError(f"{theta.shape} replicates of {list(trials)} trials: one, and one a trial, two trials or more")
    parts = np.split(theta[1:], np.cumsum(trials)[:-1])
    return from_left_out(float(theta[0]), parts, level=level, limits=limits)


# ---- the null: as many errors, blindly -----------------------------------------------------------------------------


def thinned(plain, changed, *, labels=None, seed: int = 0) -> np.ndarray:
    """Answers that are as often right as the changed ones, by a change that does not look at the image.

    plain, changed: bool (trials, examples), the same trials. In each trial, of the images that were right when plain,
    as many are drawn at random as are right when changed; the others turn wrong. (Where more are right when changed,
    all stay, and the rest is drawn from the wrong ones.) labels (examples,): the same class by class, so that the
    accuracy in every class is the changed one's. Returns bool (trials, examples), drawn from the seed.
    UserError: arrays of another shape or type.
    """
    plain, changed = _pair(plain, changed)
    classes = _classes(labels, plain.shape[1])
    return _thin(_turns(plain, classes, np.random.default_rng(seed)), changed, classes)


def _turns(plain: np.ndarray, classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """When each image's turn comes to be right, in its trial and class: 0, 1, ..; those right when plain go first."""
    turns = np.empty(plain.shape, np.int32)
    start = np.cumsum(np.bincount(classes)) - np.bincount(classes)
    for turn, right in zip(turns, plain, strict=True):
        order = np.lexsort((rng.random(len(right)) + ~right, classes))
        turn[order] = np.arange(len(right)) - start[classes[order]]
    return turns


def _thin(turns: np.ndarray, changed: np.ndarray, classes: np.ndarray) -> np.ndarray:
    right = np.stack([np.bincount(classes[row], minlength=classes.max() + 1) for row in changed])
    return turns < right[:, classes]


# ---- measuring -----------------------------------------------------------------------------------------------------


def measure(
    groups: Mapping[str, tuple],
    labels=None,
    *,
    which: str = "easy",
    fraction: float = 0.10,
    draws: int | None = None,
    seed: int = 0,
) -> Measured:
    """Every view of one net against its plain counts: the quantities of the module's docstring, with replicates.

    groups: {view: (correct_1, correct_2)}, each bool (trials, examples) at one epoch, among them "train", the plain
    images; a group's trials are the same nets in every view, in the same order. labels: (examples,), for stratified
    chance and `within`. draws: of blind answers, averaged; if none are given, 40,000 / examples, within 1..20.
    UserError: no plain view, groups of other shapes, fewer than two trials in a group, `which` or `fraction`.
    """
    which, fraction = asked(which, fraction)
    if UNCHANGED not in groups:
        raise UserError(
            f"views {', '.join(groups) or 'none'}: the plain images, view {UNCHANGED!r}, must be among them"
        )
    plain = tuple(trials_of(correct, least=2) for correct in groups[UNCHANGED])
    pairs = {view: tuple(_pair(p, c)[1] for p, c in zip(plain, of, strict=True)) for view, of in groups.items()}
    n = plain[0].shape[1]
    classes, every = _classes(labels, n), np.zeros(n, np.int64)
    draws = min(20, max(1, 40_000 // n)) if draws is None else draws

    def cuts(correct: np.ndarray) -> list[Cut]:
        counts = correct.sum(0, dtype=np.int32)
        return [cut_at(c, which, fraction) for c in (counts, *(counts - trial for trial in correct))]

    def ranks(correct: np.ndarray) -> list:
        counts = correct.sum(0, dtype=np.int32)
        return [unit(stats.rankdata(c)) for c in (counts, *(counts - trial for trial in correct))]

    base, ranked = tuple(map(cuts, plain)), tuple(map(ranks, plain))
    rng = np.random.default_rng(seed)
    chances = [[tuple(_turns(p, c, rng) for p in plain) for _ in range(draws)] for c in (every, classes)]
    found = Measured(which, tuple(map(len, plain)), base[0][0].k / n, *({} for _ in range(8)))
    for view, changed in pairs.items():
        here = tuple(map(cuts, changed))
        found.other[view], found.same[view] = _other(base, here), _same(base, here)
        found.rank[view] = _other(ranked, tuple(map(ranks, changed)), correlation)
        for into, turns, of in ((found.blind, chances[0], every), (found.within, chances[1], classes)):
            if view == UNCHANGED or (into is found.within and labels is None):
                into[view] = found.other[view] if view == UNCHANGED else found.other[view] * np.nan
                continue
            thin = (tuple(cuts(_thin(t, c, of)) for t, c in zip(draw, changed, strict=True)) for draw in turns)
            into[view] = np.mean([_other(base, drawn) for drawn in thin], axis=0)
        found.accuracy[view] = _accuracy(changed)
        crossed = [(base[0][0], here[1][0]), (base[1][0], here[0][0])]
        found.ties[view] = tuple(np.mean([bounds_of(*pair) for pair in crossed], axis=0).tolist())
        found.stratified[view] = np.nan if labels is None else _stratified(crossed, classes)
    return found


def _other(plain: tuple[list, list], changed: tuple[list, list], rate: Callable | None = None) -> np.ndarray:
    """Replicates of the mean of rate(plain 1, changed 2) and rate(plain 2, changed 1)."""
    (p1, p2), (c1, c2), rate = plain, changed, rate or _rate
    first = [rate(p, c2[0]) + rate(p2[0], c) for p, c in zip(p1, c1, strict=True)]  # all, then without each of 1
    second = [rate(p1[0], c) + rate(p, c1[0]) for p, c in zip(p2, c2, strict=True)]
    return np.array(first + second[1:]) / 2


def _same(plain: tuple[list[Cut], list[Cut]], changed: tuple[list[Cut], list[Cut]]) -> np.ndarray:
    """Replicates of the mean of rate(plain 1, changed 1) and rate(plain 2, changed 2)."""
    one, two = ([_rate(p, c) for p, c in zip(*group, strict=True)] for group in zip(plain, changed, strict=True))
    return np.array([x + two[0] for x in one] + [one[0] + x for x in two[1:]]) / 2


def _accuracy(changed: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    a, b = (correct.mean(1) for correct in changed)
    less = [(np.sum(x) - x) / (len(x) - 1) for x in (a, b)]  # the group's mean without each of its trials
    return np.concatenate([[a.mean() + b.mean()], less[0] + b.mean(), a.mean() + less[1]]) / 2


def _rate(a: Cut, b: Cut) -> float:
    return rate_of(a, b, "expected")


def _stratified(pairs, classes: np.ndarray) -> float:
    per_class = np.bincount(classes)
    shares = [composition(*(by_class_of(cut, classes, "expected") for cut in pair), per_class) for pair in pairs]
    return float(np.mean(shares))


def _classes(labels, n: int) -> np.ndarray:
    return np.zeros(n, np.int64) if labels is None else labels_of(labels, n)


def _pair(plain, changed) -> tuple[np.ndarray, np.ndarray]:
    plain, changed = trials_of(plain), trials_of(changed)
    if plain.shape != changed.shape:
        raise UserError(f"plain {plain.shape} and changed {changed.shape}: the same trials about the same examples")
    return plain, changed


# ---- along a grid of strengths -------------------------------------------------------------------------------------


def perturbed_rates(
    measured: Mapping[str, Measured], grids: Mapping[str, Mapping[float, str]], *, level: float = 0.95
) -> pd.DataFrame:
    """Fig. 2, tidy: one row a net, change and strength.

    measured: {net: Measured}; grids: {change: {strength: view}} (`perturb.grids`). Columns: net, which, change,
    strength, view; for each of same, other, rank, blind, within, accuracy, kept and kept_same its value, NAME_low and
    NAME_high (`interval`, clipped to 0..1 but for what is kept); tie_low, tie_high, identified (of `other`), chance,
    stratified_chance, n_trials (in the smaller group).
    """
    rows = []
    for net, found in measured.items():
        for change, grid in grids.items():
            for strength, view in grid.items():
                row = {"net": net, "which": found.which, "change": change, "strength": strength, "view": view}
                for name in MEASURED:
                    row |= _ends(
                        name,
                        found.interval(
                            getattr(found, name)[view], level=level, limits=(-1 if name == "rank" else 0, 1)
                        ),
                    )
                row |= _ends("kept", found.interval(found.kept(view), level=level))
                row |= _ends("kept_same", found.interval(found.kept(view, "same"), level=level))
                low, high = found.ties[view]
                row |= {"tie_low": low, "tie_high": high, "identified": identified(low, high), "chance": found.chance}
                rows.append(row | {"stratified_chance": found.stratified[view], "n_trials": min(found.trials)})
    return pd.DataFrame(rows)


def _ends(name: str, found: Interval) -> dict:
    return {name: found.estimate, f"{name}_low": found.low, f"{name}_high": found.high}


# ---- claims --------------------------------------------------------------------------------------------------------


def net_points(nets: Mapping[str, Measured], quantity: Callable[[Measured], np.ndarray]) -> Points:
    """For `claims.judge`: a quantity of every net, given as replicates, as {net: its interval at a level}."""
    values = {net: np.asarray(quantity(found)) for net, found in nets.items()}
    return {net: partial(_of_replicates, values[net], found.trials) for net, found in nets.items()}


def _of_replicates(values: np.ndarray, trials: tuple[int, int], level: float) -> Interval:
    return interval(values, trials, level=level)


# ---- places on the curves ------------------------------------------------------------------------------------------


def crossing(places: Sequence, curve: Sequence, level) -> np.ndarray:
    """Where a curve first falls to a level on the way from the plain images to the strongest change; replicates.

    places: (points,) numbers, or (points, replicates), at each point; curve: (points, replicates); both in the order of
    the way. level: a number, or (replicates,). Between two points the place is read off the straight line; it is the
    first point's if the curve starts at the level or below; nan where the level is never reached.
    """
    curve = np.asarray(curve, dtype=float)
    places = np.broadcast_to(np.asarray(places, dtype=float).reshape(len(curve), -1), curve.shape)
    found = np.full(curve.shape[1], np.nan)
    for r, wanted in enumerate(np.broadcast_to(level, curve.shape[1:])):
        reached = np.flatnonzero(curve[:, r] <= wanted)
        if len(reached):
            at, before = reached[0], max(0, reached[0] - 1)
            share = (curve[before, r] - wanted) / (curve[before, r] - curve[at, r]) if at else 0.0
            found[r] = places[before, r] + share * (places[at, r] - places[before, r])
    return found


def falls_to(found: Measured, change: str, grid: Mapping[float, str], share: float = 0.5) -> np.ndarray:
    """The strength at which no more than this share of the agreement beyond chance is kept (`kept`); replicates.

    grid: {strength: view} of the change, with the plain view. Read off between two strengths of the grid (of colour on
    a linear scale, of tiles and radius on a logarithmic one, as easel.data.changes has it); nan where the strongest
    change keeps more.
    """
    way = _way(grid)
    curve = [found.kept(grid[strength]) for strength in way]
    if not CHANGES[change].logarithmic:
        return crossing(way, curve, share)
    return np.exp(crossing(np.log(way), curve, share))


def at_accuracy(found: Measured, grid: Mapping[float, str], accuracy) -> np.ndarray:
    """`other` at the strength at which the accuracy on changed images has first fallen to this one; replicates.

    So changes are compared where they do the same harm, whatever unit their strength has. accuracy: a number, or
    (replicates,), such as another change's; nan where the strongest change of the grid leaves a higher one.
    """
    way = [grid[strength] for strength in _way(grid)]
    return crossing([found.other[view] for view in way], [found.accuracy[view] for view in way], accuracy)


def _way(grid: Mapping[float, str]) -> list[float]:
    """The strengths from the plain images to the strongest change."""
    start = [strength for strength, view in grid.items() if view == UNCHANGED]
    if not start:
        raise UserError(f"grid of {len(grid)} strengths: one of them must be the plain images, view {UNCHANGED!r}")
    return sorted(grid, key=lambda strength: abs(strength - start[0]))
