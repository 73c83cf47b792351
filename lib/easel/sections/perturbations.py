"""Do images stay easy when something is taken from them? (EH Sec. 6, Fig. 2): the rates, and what may be claimed.

A net that was trained on plain images is right or wrong about each of them, plain and changed. Here the two easiness
rankings are compared, in two groups of trials (1, 2) that share no trial:
    same     the paper's: plain and changed counts of the same trials, mean of the two groups
    other    plain counts of one group, changed counts of the other, both ways: no noise of a single trial is in both,
             so nothing but the images can make them agree; where nothing is changed, the split-half ceiling
    blind    as `other`, with changed answers that are as often right, but about images that the change did not choose
             (`thinned`): what the fall of accuracy alone would leave of the matching rate
    within   as `blind`, class by class: what is left if the change also chose the classes
    rank     Spearman's correlation over all images, trials as in `other`: no cut, and so no rule for ties
    accuracy share of the changed images that are right, mean of the two groups
The first four are expected matching rates (random ties), in 0..1.

A trial's plain and changed answers depend on each other, so it is left out of both at once. Every quantity is therefore
a vector of REPLICATES: its value from all trials, then without each trial of group 1, then of group 2. What is computed
from quantities (a difference, a quotient, a place on a curve) is computed on whole vectors; `Measured.interval` reads
any. A grid is {strength: view}, the plain view among them, and grids are {change: grid} (`easel.data.changes`).

Nothing here trains or draws a figure.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
from scipy import stats

from easel.compare import claims, cuts
from easel.compare.claims import Judged, Points
from easel.compare.intervals import Interval, from_left_out
from easel.compare.matching import identified
from easel.data.changes import CHANGES, Changed
from easel.data.sets import Dataset
from easel.errors import UserError
from easel.ledger.store import Groups
from easel.ledger.trial import PHOTOGRAPHS, two_groups
from easel.nets.names import family

UNCHANGED = "train"  # the view of unchanged images
MEASURED = ("same", "other", "rank", "blind", "within", "accuracy")
Grid = Mapping[float, str]


@dataclass(frozen=True, eq=False)
class Measured:
    """What one net's trials say about every view, for one end of the ranking: {view: replicates} of each quantity.

    trials: in each group; chance: k / examples; ties: {view: lowest and highest `other` that any breaking of ties can
    give}; stratified: {view: `other` if only the classes mattered} (nan without labels).
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
        """Quantity `one` minus quantity `two`, by name, mean over views; replicates."""
        return np.mean([getattr(self, one)[view] - getattr(self, two)[view] for view in views], axis=0)

    def interval(self, replicates, *, level: float = 0.95, limits=(-np.inf, np.inf)) -> Interval:
        """Delete-one-trial jackknife interval of replicates: of a rate, that of `intervals.jackknife`.

        Limits are nan where any replicate is. UserError: as many replicates as do not fit, a group of one trial.
        """
        theta, trials = np.asarray(replicates, dtype=float), list(self.trials)
        if theta.shape != (1 + sum(trials),) or min(trials) < 2:
            raise UserError(f"{theta.shape} replicates of {trials} trials: one, and one a trial, two trials or more")
        parts = np.split(theta[1:], np.cumsum(trials)[:-1])
        return from_left_out(float(theta[0]), parts, level=level, limits=limits)


# ---- measuring -----------------------------------------------------------------------------------------------------


def views_at(grids: Mapping[str, Grid], m: int) -> tuple[str, ...]:
    """The changed views of all grids as a trial records them after epoch m: "colour=0.3@1"."""
    views = [view for grid in grids.values() for view in grid.values() if view != UNCHANGED]
    return tuple(f"{view}@{m}" for view in views)


def seeds_of(models: Sequence[str], trials: Sequence[int]) -> dict[str, tuple[list[int], list[int]]]:
    """Seeds of two groups of trials of each net, dealt for each by itself: no net is compared with another here.

    models, trials, result, UserError: as in `ledger.trial.two_groups`.
    """
    sizes = {net: len(first) for net, (first, _) in two_groups(list(dict.fromkeys(models)), trials).items()}
    return {net: two_groups([net], [size])[net] for net, size in sizes.items()}


def measure_nets(groups: Groups, grids: Mapping[str, Grid], m: int) -> dict[str, dict[str, Measured]]:
    """{"easy" and "hard": {net: Measured}}, counted at the end of epoch m, on plain images and in `views_at`."""
    right = {net: {UNCHANGED: pair} for net, pair in groups.right(m).items()}
    for name in views_at(grids, m):
        for net, sides in groups.sides.items():
            right[net][name.partition("@")[0]] = tuple(side.correct(name)[:, -1] for side in sides)
    return {w: {net: measure(of, groups.labels, which=w) for net, of in right.items()} for w in cuts.WHICH}


def measure(
    groups: Mapping[str, tuple], labels=None, *, which: str = "easy", fraction: float = 0.10, draws=None, seed: int = 0
) -> Measured:
    """Every view of one net against its plain counts: the module's quantities.

    groups: {view: (correct_1, correct_2)}, each bool (trials, examples) at one epoch, among them "train", the plain
    images; a group's trials are the same nets in every view, in the same order. labels: (examples,), for stratified
    chance and `within`. draws: of blind answers, averaged; if none are given, 40,000 / examples, within 1..20.
    UserError: no plain view, groups of other shapes, fewer than two trials in a group, `which` or `fraction`.
    """
    which, fraction = cuts.asked(which, fraction)
    if UNCHANGED not in groups:
        raise UserError(f"views {', '.join(groups) or 'none'}: the plain images, view {UNCHANGED!r}, must be there")
    plain = [cuts.trials_of(correct, least=2) for correct in groups[UNCHANGED]]
    pairs = {view: [_alike(p, c) for p, c in zip(plain, of, strict=True)] for view, of in groups.items()}
    n = plain[0].shape[1]
    draws = min(20, max(1, 40_000 // n)) if draws is None else draws
    rng, codes, every = np.random.default_rng(seed), cuts.classes_of(labels, n), np.zeros(n, np.int64)
    turns = [(classes, [_turns(p, classes, rng) for p in plain]) for classes in [every] * draws + [codes] * draws]

    def seen(easiness: np.ndarray) -> tuple:
        """A group's cuts, ranks and accuracy; easiness: of plain, changed and blindly changed images, (versions, n)."""
        ranks = [cuts.unit(stats.rankdata(version)) for version in easiness[:2]]
        return [cuts.cut_at(version, which, fraction) for version in easiness], ranks, easiness[1].mean()

    def quantities(one: tuple, two: tuple) -> list[float]:
        """MEASURED, of two groups as they were seen."""
        (a, rank_a, right_a), (b, rank_b, right_b) = one, two
        across = [(cuts.rate_of(a[0], y) + cuts.rate_of(b[0], x)) / 2 for x, y in zip(a[1:], b[1:], strict=True)]
        same = (cuts.rate_of(a[0], a[1]) + cuts.rate_of(b[0], b[1])) / 2
        rank = (cuts.correlation(rank_a[0], rank_b[1]) + cuts.correlation(rank_b[0], rank_a[1])) / 2
        blind, within = np.mean(np.reshape(across[1:], (2, -1)), axis=1) if len(across) > 1 else (across[0],) * 2
        return [same, across[0], rank, blind, within, (right_a + right_b) / 2]

    chance = cuts.cut_at(plain[0].sum(0), which, fraction).k / n
    found = Measured(which, tuple(map(len, plain)), chance, *({} for _ in range(8)))
    for view, changed in pairs.items():
        blindly = [[_thin(at[g], changed[g], c) for c, at in turns if view != UNCHANGED] for g in (0, 1)]
        versions = [np.stack([plain[g], changed[g], *blindly[g]], axis=1) for g in (0, 1)]
        first, second = ([seen(less.mean(0)) for less in _left_out(group)] for group in versions)
        replicates = [quantities(one, second[0]) for one in first] + [quantities(first[0], two) for two in second[1:]]
        for name, values in zip(MEASURED, np.transpose(replicates), strict=True):
            getattr(found, name)[view] = values
        if labels is None and view != UNCHANGED:
            found.within[view] = np.full_like(found.other[view], np.nan)
        (p1, c1), (p2, c2) = first[0][0][:2], second[0][0][:2]
        met = (p1, c2), (p2, c1)
        found.ties[view] = tuple(np.mean([cuts.bounds_of(*pair) for pair in met], axis=0).tolist())
        by_class = np.mean([cuts.stratified(*pair, codes) for pair in met])
        found.stratified[view] = np.nan if labels is None else by_class
    return found


def _left_out(trials: np.ndarray) -> list[np.ndarray]:
    """A group's trials: all of them, then without each."""
    return [trials, *(np.delete(trials, one, axis=0) for one in range(len(trials)))]


def _alike(plain: np.ndarray, changed) -> np.ndarray:
    changed = cuts.trials_of(changed)
    if plain.shape != changed.shape:
        raise UserError(f"plain {plain.shape} and changed {changed.shape}: the same trials about the same examples")
    return changed


# ---- the null: as many errors, blindly -----------------------------------------------------------------------------


def thinned(plain, changed, *, labels=None, seed: int = 0) -> np.ndarray:
    """Answers that are as often right as the changed ones, by a change that does not look at the image.

    plain, changed: bool (trials, examples), the same trials. In each trial, of the images that were right when plain,
    as many are drawn at random as are right when changed; the others turn wrong. (Where more are right when changed,
    all stay, and the rest is drawn from the wrong ones.) labels (examples,): the same class by class, so that the
    accuracy in every class is the changed one's. Returns bool (trials, examples), drawn from the seed.
    UserError: arrays of another shape or type.
    """
    plain = cuts.trials_of(plain)
    changed, classes = _alike(plain, changed), cuts.classes_of(labels, plain.shape[1])
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


# ---- pictures and tables -------------------------------------------------------------------------------------------


def under_every_strength(part: Dataset, grid: Grid) -> tuple[np.ndarray, list[str]]:
    """Fig. 3: uint8 (images, strengths, 3, H, W), the plain images last, and the name of each strength."""
    order = _way(grid)[::-1]
    tick = "{0:g} × {0:g}" if order[-1] < order[0] else "{:g}"  # only tiles grow in number with the change
    sets = [Changed(part, grid[strength]) for strength in order[:-1]]
    pictures = np.stack([changed.images.numpy() for changed in [*sets, part]], axis=1)
    return pictures, [tick.format(strength) for strength in order[:-1]] + ["plain"]


def perturbed_rates(measured: Mapping[str, Mapping[str, Measured]], grids: Mapping[str, Grid]) -> pd.DataFrame:
    """Fig. 2, tidy: one row a set, net, change and strength.

    measured: {which: {net: Measured}}. Columns: net, which, change, strength, view; for each of same, other, rank,
    blind, within, accuracy, kept and kept_same its value, NAME_low and NAME_high (95%, clipped to its range but for
    what is kept); tie_low, tie_high, identified (of `other`), chance, stratified_chance, n_trials (smaller group).
    """
    points = [(change, strength, view) for change, grid in grids.items() for strength, view in grid.items()]
    nets = [(net, found) for of in measured.values() for net, found in of.items()]
    rows = []
    for (net, found), (change, strength, view) in product(nets, points):
        row = {"net": net, "which": found.which, "change": change, "strength": strength, "view": view}
        for name in MEASURED:
            limits = (-1 if name == "rank" else 0, 1)
            row |= _ends(name, found.interval(getattr(found, name)[view], limits=limits))
        row |= _ends("kept", found.interval(found.kept(view)))
        row |= _ends("kept_same", found.interval(found.kept(view, "same")))
        low, high = found.ties[view]
        row |= {"tie_low": low, "tie_high": high, "identified": identified(low, high), "chance": found.chance}
        rows.append(row | {"stratified_chance": found.stratified[view], "n_trials": min(found.trials)})
    return pd.DataFrame(rows)


def _ends(name: str, found: Interval) -> dict:
    return {name: found.estimate, f"{name}_low": found.low, f"{name}_high": found.high}


def plain_and_strongest(table: pd.DataFrame, grids: Mapping[str, Grid]) -> pd.DataFrame:
    """The rows of `perturbed_rates` with plain images, and with the strongest of each change."""
    views = [UNCHANGED, *(strongest(grid) for grid in grids.values())]
    return table[table.view.isin(views)].drop_duplicates(["net", "which", "view"]).reset_index(drop=True)


def halfway(measured: Mapping[str, Mapping[str, Measured]], grids: Mapping[str, Grid]) -> pd.DataFrame:
    """Where half of the agreement beyond chance is lost (`falls_to`): net, which, change, ceiling (of `other`),

    "half at" with low and high (95%, within the grid), n (trials).
    """
    nets = [(net, found) for of in measured.values() for net, found in of.items()]
    rows = []
    for (net, found), (change, grid) in product(nets, grids.items()):
        at = found.interval(falls_to(found, change, grid), limits=(min(grid), max(grid)))
        rows.append((net, found.which, change, found.other[UNCHANGED][0], *at))
    return pd.DataFrame(rows, columns=["net", "which", "change", "ceiling", "half at", "low", "high", "n"])


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


def falls_to(found: Measured, change: str, grid: Grid, share: float = 0.5) -> np.ndarray:
    """The strength at which no more than this share of the agreement beyond chance is kept; replicates.

    Read off between two strengths of the grid (of colour on a linear scale, of tiles and radius on a logarithmic one);
    nan where the strongest change keeps more.
    """
    way = _way(grid)
    curve = [found.kept(grid[strength]) for strength in way]
    if not CHANGES[change].logarithmic:
        return crossing(way, curve, share)
    return np.exp(crossing(np.log(way), curve, share))


def at_accuracy(found: Measured, grid: Grid, accuracy) -> np.ndarray:
    """`other` at the strength at which the accuracy on changed images has first fallen to this one; replicates.

    So changes are compared where they do the same harm, whatever unit their strength has. accuracy: a number, or
    (replicates,), such as another change's; nan where the strongest change of the grid leaves a higher one.
    """
    views = [grid[strength] for strength in _way(grid)]
    return crossing([found.other[view] for view in views], [found.accuracy[view] for view in views], accuracy)


def strongest(grid: Grid) -> str:
    """The view of a grid's strongest change."""
    return grid[_way(grid)[-1]]


def _way(grid: Grid) -> list[float]:
    """The strengths from the plain images to the strongest change."""
    start = [strength for strength, view in grid.items() if view == UNCHANGED]
    if not start:
        raise UserError(f"grid of {len(grid)} strengths: one of them must be the plain images, view {UNCHANGED!r}")
    return sorted(grid, key=lambda strength: abs(strength - start[0]))


# ---- what may be claimed -------------------------------------------------------------------------------------------


def net_points(nets: Mapping[str, Measured], quantity: Callable[[Measured], np.ndarray]) -> Points:
    """For `claims.judge`: a quantity of every net, given as replicates, as {net: its interval at a level}."""
    return {net: partial(Measured.interval, found, quantity(found)) for net, found in nets.items()}


class Readings:
    """Fig. 2 read as claims about the easy set of every CNN (of every net, where none is a CNN); the worst one decides.

    nets: {net: Measured}; photographs: of them the paper says that colours come first, so there all colour must cost
    MORE than the rest, and elsewhere less. "All" of a thing: the strongest change on its grid.
    """

    def __init__(self, measured: Mapping[str, Mapping[str, Measured]], grids: Mapping[str, Grid], groups: Groups):
        easy = measured["easy"]
        cnns = [net for net, model in groups.models.items() if family(model) != "mlp"]
        self.nets, self.grids, self.data = {net: easy[net] for net in cnns or easy}, grids, groups.ledger.examples
        self.photographs = self.data.name in PHOTOGRAPHS
        self.printed = "mini ImageNet: colours first" if self.photographs else "CIFAR-10: structure and detail first"
        self.side = {"below" if self.photographs else "above": 0}
        self.last = {change: strongest(grid) for change, grid in grids.items()}

    def colour_against(self, other: str, of: str) -> Judged:
        """What is kept without colour less what is kept after the other change; of: as in `Measured.kept`."""
        found = self._judge(lambda net: self._lead(net, other, of), **self.side)
        grey, rest = (self.nets[found.where].kept(self.last[change], of)[0] for change in ("colour", other))
        why = f"{found.where}: {grey:.0%} of the agreement is kept without colour, {rest:.0%} at {self.last[other]}"
        return Judged(found, why.replace("nan%", "–"), self.printed)

    def colour_on_one_side(self, others: Sequence[str]) -> Judged:
        """Whether colour costs less than both other changes, or more than both: the smaller of the two differences."""
        leads = [self._lead(net, other, "same")[0] for other in others for net in self.nets.values()]
        towards = np.sign(sum(leads))

        def smaller(net: Measured) -> np.ndarray:
            return np.min([towards * self._lead(net, other, "same") for other in others], axis=0)

        found = self._judge(smaller, above=0)
        return Judged(found, "{where}: the smaller difference in what is kept", "opposite")

    def at_equal_accuracy(self, other: str) -> Judged:
        """`other` of grey images less that after the other change, at the strength that leaves grey's accuracy."""
        grey, grid = self.last["colour"], self.grids[other]

        def rest(net: Measured) -> np.ndarray:
            return at_accuracy(net, grid, net.accuracy[grey])

        found = self._judge(lambda net: net.other[grey] - rest(net), **self.side, margin=0.05)
        if found.verdict == "open" and not np.isfinite(found.estimate):
            found = found._replace(reason="design")  # the other change never does as much harm, in any trial
        net = self.nets[found.where]
        why = f"{found.where}: {net.other[grey][0]:.2f} against {rest(net)[0]:.2f}".replace("nan", "–")
        return Judged(found, f"{why}, both at accuracy {net.accuracy[grey][0]:.2f}", self.printed)

    def beyond_accuracy(self, change: str) -> Judged:
        """Whether the rate lies below that of blind errors, mean over the strengths of a change."""
        views = [view for view in self.grids[change].values() if view != UNCHANGED]
        found = self._judge(lambda net: net.difference("other", "blind", views), below=0, margin=0.05)
        one = self.nets[found.where]
        within = one.interval(one.difference("other", "within", views))
        why = f"{found.where}: rate minus that of blind errors; against those class by class "
        return Judged(found, why + f"{within.estimate:+.2f} ({within.low:+.2f} to {within.high:+.2f})")

    def shared_luck(self) -> Judged:
        """Whether the same trials on both sides raise the rate by less than .05, mean over all changed views."""
        views = [view for grid in self.grids.values() for view in grid.values() if view != UNCHANGED]
        found = self._judge(lambda net: net.difference("same", "other", views), below=0.05)
        return Judged(found, "{where}: same minus other trials, mean over all changes")

    def harmless(self, view: str) -> Judged | None:
        """Whether the accuracy falls by less than .02 there; the paper says it of photographs alone."""
        if not self.photographs:
            return None
        found = self._judge(lambda net: net.accuracy[UNCHANGED] - net.accuracy[view], below=0.02)
        plain = self.nets[found.where].accuracy[UNCHANGED][0]
        return Judged(found, f"{found.where}: falls from {plain:.2f}; claimed is less than .02", "no drop at 1.1")

    def above_chance(self, view: str) -> Judged | None:
        """Whether the accuracy there lies above chance; the paper says it of photographs alone."""
        if not self.photographs:
            return None
        chance = 1 / len(self.data.classes)
        found = self._judge(lambda net: net.accuracy[view], above=chance)
        return Judged(found, f"{found.where}: accuracy; chance {chance:.2f}", "some, by 10 of 10 nets")

    def _judge(self, quantity: Callable[[Measured], np.ndarray], **asked) -> claims.Finding:
        return claims.judge(net_points(self.nets, quantity), **asked)

    def _lead(self, net: Measured, other: str, of: str) -> np.ndarray:
        return net.kept(self.last["colour"], of) - net.kept(self.last[other], of)
