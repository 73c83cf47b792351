"""Training sets made smaller or noisier by easiness: which examples are taken, the trials that ask, what it costs.

From an easiness (higher = easier), a share and a seed to positions, drawn before any net is built; ties go by lot.
`select` is EH Sec. 7's (Fig. 4): sorted by easiness, hardest first, u ~ Beta(a, b), the example at floor(u K) is taken,
none twice, until floor(rate K) are. Controls: the exact top of the ranking; the same share of every class.
    "easy"       Beta(3, 1): mostly easy examples are taken     "hard"    Beta(1, 3): mostly hard ones
    "random"     Beta(1, 1): all alike (the paper's paragraph on labels swaps the last two, a slip)
`keep` is for the later abstract's compression by easiness; how that chose is not known, so the ways are ours [C]. Of K
examples share K are kept, rounded to the nearest whole number, and what is dropped is
    "easiest"    the easiest: what is learned first, and often a copy of a neighbour
    "hardest"    the hardest: what is learned last, mislabelled and odd images among them
    "random"     anything: what the others must beat to be worth the counting
    "balanced"   the easiest of every class, the same share of each: the easiest alone would thin out the easy classes
    "window"     the easiest, and the very hardest: a tenth (WINDOW) of what is dropped goes at the hard end

It trains nothing and draws no figure.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
from scipy.stats import beta

from easel.compare import claims, intervals
from easel.compare.claims import Judged
from easel.compare.cuts import ROUNDING
from easel.data import sets as datasets
from easel.data.sets import Dataset
from easel.errors import UserError, is_whole
from easel.ledger.trial import Edit, Recipe, Trial
from easel.nets import names as models

MODES = {"easy": (3, 1), "hard": (1, 3), "random": (1, 1)}  # a, b of the Beta distribution of the rank (Sec. 7)
TREATMENTS = ("drop", "label")
CONTROLS = {  # how examples are taken from the ranking
    "Beta": {},  # the paper's way
    "top": {"deterministic": True},
    "balanced": {"balanced": True},
}
NAMED = (0.3, 0.6, 0.9)  # the rates that the text names
HOW = ("easiest", "hardest", "random", "balanced", "window")
WINDOW = 0.1  # of the dropped examples: the share that "window" takes off the hard end [C]
BUDGETS = ("epochs", "updates")
ARMS = (("own", HOW, "epochs"), ("own", HOW, "updates"), ("cheap", ("easiest",), "updates"))  # chooser, ways, budget

# ---- which examples ------------------------------------------------------------------------------------------------


def beta_order(easiness: np.ndarray, a: float, b: float, count: int, *, lots: tuple) -> np.ndarray:
    """The first `count` examples that Beta(a, b)-distributed ranks take, in the order of taking: int64 positions.

    easiness: (examples,), higher = easier; lots: of `lots`. Drawing u again whenever floor(u K) is taken already is
    successive sampling with the cells' probabilities p, which at rate .9 of Beta(3, 1) would need billions of draws. It
    has the same law as a race: example i arrives at time E_i / p_i, E_i standard exponential, and the first `count` are
    taken (memoryless: whoever has arrived, the next is i with probability p_i over the sum of those still out). One
    sort, no rejection. From the same lots a smaller count is the beginning of a larger one, whatever a and b.
    UserError: a, b not positive; more examples than there are, or than have a probability above 0 in float64.
    """
    tie, exponential = lots
    cells = _cells(a, b, len(easiness))
    if not 0 <= count <= np.count_nonzero(cells):
        raise UserError(f"count={count}: {np.count_nonzero(cells)} examples at most can be taken by this distribution")
    ranked = np.lexsort((tie, easiness))  # hardest first: rank i has probability cells[i]
    with np.errstate(divide="ignore"):
        arrival = np.log(exponential[ranked]) - np.log(cells)
    return ranked[np.argsort(arrival, kind="stable")[:count]]


def lots(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What is drawn for each example of Fig. 4, whatever mode, rate and net: its lot among ties, its exponential E."""
    return _uniform(count, seed, "ties"), -np.log(_uniform(count, seed, "race"))


def select(
    easiness, rate: float, mode: str, *, seed: int, labels=None, balanced: bool = False, deterministic: bool = False
) -> np.ndarray:
    """The floor(rate K) examples that a mode takes: int64 positions, ascending.

    easiness: (examples,), higher = easier; rate: 0 <= rate < 1; mode: "easy" | "hard" | "random" (the module's text).
    balanced: the same share of each class of `labels` (examples,), ranked within the class. deterministic: the top of
    the ranking, ties at random (easy and hard only). From one seed the set of a smaller rate lies in that of a larger
    one, unless balanced, where single examples may differ. UserError for anything outside.
    """
    easiness = _checked(easiness, seed)
    _one_of("mode", mode, MODES)
    if deterministic and mode == "random":
        raise UserError("mode 'random' with deterministic=True: only easy and hard have a top of the ranking")
    count, (tie, exponential) = _count(rate, len(easiness)), lots(len(easiness), seed)
    taken = []
    for group, k in _by_class(count, len(easiness), labels, balanced):
        if deterministic:
            taken.append(_ranked(group, easiness if mode == "hard" else -easiness, tie)[:k])
        else:
            own = tie[group], exponential[group]
            taken.append(group[beta_order(easiness[group], *MODES[mode], k, lots=own)])
    return np.sort(np.concatenate(taken))


def keep(easiness, share: float, how: str, *, seed: int, labels=None, balanced: bool = False) -> np.ndarray:
    """The examples that are kept when the others are dropped as `how` says (the module's text): int64, ascending.

    easiness: (examples,), higher = easier; share: 0 < share <= 1, of which at least one example is left; how: one of
    HOW; seed: of the lots, which are the same for every share and way. balanced: the same share of each class of
    `labels` (examples,), ranked within the class; "balanced" is "easiest" with balanced=True. From one seed the set of
    a smaller share lies in that of a larger one, unless balanced, where single examples may differ. UserError for
    anything outside.
    """
    easiness = _checked(easiness, seed)
    if how not in HOW:
        raise UserError(f"how={how!r}: one of {', '.join(HOW)}, which is what is dropped")
    if not _number(share) or not 0 < share <= 1:
        raise UserError(f"share={share!r}: a number above 0, at most 1 (the share of the examples that is kept)")
    count = max(1, math.floor(share * len(easiness) + 0.5 + 1e-9))  # .145 * 100 is 14.499999999999998
    value, purpose = (np.zeros(len(easiness)), "random") if how == "random" else (easiness, "ties")
    lot, kept = _bits(len(easiness), seed, f"compression {purpose}"), []
    for group, k in _by_class(count, len(easiness), labels, balanced or how == "balanced"):
        dropped = len(group) - k
        hardest = {"hardest": dropped, "window": math.floor(WINDOW * dropped + 0.5 + 1e-9)}.get(how, 0)
        kept.append(_ranked(group, value, lot)[hardest : hardest + k])
    return np.sort(np.concatenate(kept))


def drop(easiness: np.ndarray, rate: float, mode: str, *, seed: int, **control) -> Edit | None:
    """The edit that trains without what `select` takes (Fig. 4 a, b); arguments and errors as there.

    None at a rate that takes nothing: that trial is the plain one, the same for all modes.
    """
    taken = select(easiness, rate, mode, seed=seed, **control)
    return Edit(keep=np.delete(np.arange(len(easiness)), taken)) if len(taken) else None


def random_labels(
    easiness: np.ndarray, rate: float, mode: str, *, seed: int, labels: np.ndarray, classes: int, **control
) -> Edit | None:
    """The edit that puts random labels on what `select` takes (Fig. 4 c, d); arguments and errors as there.

    labels: (examples,) in 0..classes-1. The random label is uniform over ALL classes, the true one too, so a share
    rate (1 - 1 / classes) of labels is wrong. It is `uniform_labels`', so each image that two modes or nets take has
    one random label. None at a rate that takes nothing.
    """
    taken = select(easiness, rate, mode, seed=seed, labels=labels, **control)
    changed = _labels(labels, len(easiness), classes)
    if not len(taken):
        return None
    changed[taken] = uniform_labels(len(changed), classes, rate, seed=seed)[taken]
    return Edit(labels=changed)


def uniform_labels(examples: int, classes: int, rate: float, *, seed: int) -> np.ndarray:
    """A random label for every example, uniform over all classes, drawn from (rate, seed) alone: int64 (examples,)."""
    if not is_whole(classes, 2):
        raise UserError(f"classes={classes!r}: a whole number from 2")
    _count(rate, examples)
    return (_uniform(examples, seed, f"labels {rate:.10g}") * classes).astype(np.int64)


def shared_out(total: int, sizes: np.ndarray) -> list[int]:
    """`total` shared out in proportion to sizes, in whole numbers; what is left goes to the largest remainders."""
    counts, remainders = np.divmod(total * sizes, sizes.sum())
    counts[np.argsort(-remainders, kind="stable")[: total - counts.sum()]] += 1
    return counts.tolist()


# ---- what is left --------------------------------------------------------------------------------------------------


def decile_left(easiness: np.ndarray, keep: np.ndarray | None, deciles: int = 10) -> np.ndarray:
    """The share of each tenth of the examples that is left, hardest first: float (deciles,) in 0..1.

    easiness: (examples,), higher = easier; keep: (kept,) positions that are left, None = all. Examples of one easiness
    that lie across a border count for both sides alike (the expectation over random ties).
    """
    easiness = _checked(easiness, 0)
    kept = np.ones(len(easiness)) if keep is None else np.bincount(keep, minlength=len(easiness))
    _, level, size = np.unique(easiness, return_inverse=True, return_counts=True)
    left = np.bincount(level, kept) / size  # share of each level of easiness, lowest first
    cumulated = np.concatenate([[0], np.repeat(left, size).cumsum()])
    borders = np.linspace(0, len(easiness), deciles + 1)
    return np.diff(np.interp(borders, np.arange(len(easiness) + 1), cumulated)) / np.diff(borders)


def left(points: pd.DataFrame, easiness: np.ndarray) -> pd.DataFrame:
    """What the edits of a sweep leave to train on, one row a trial: change, control, mode, rate, seed, and

    images: number left; easiest, hardest: share left of that tenth of the examples (`decile_left`); smallest_class:
    share of the smallest class among what is left (1 / classes if all are alike).
    """
    rows = []
    for row in points.itertuples(index=False):
        kept, examples = row.trial.trained_on, row.trial.examples
        tenths = decile_left(easiness, kept)
        sizes = np.bincount(examples.labels.numpy()[kept], minlength=len(examples.classes))
        about = (row.change, row.control, row.mode, row.rate, row.trial.seed)
        rows.append((*about, len(kept), tenths[-1], tenths[0], sizes.min() / len(kept)))
    names = ["change", "control", "mode", "rate", "seed", "images", "easiest", "hardest", "smallest_class"]
    return pd.DataFrame(rows, columns=names)


def tied(easiness: np.ndarray, kept: np.ndarray, labels: np.ndarray | None = None) -> int:
    """How many examples a lot decided on: those with an easiness that both kept and dropped examples have.

    easiness: (examples,); kept: positions, as `keep` gives them; labels: (examples,), where classes were cut apart.
    """
    group = np.zeros(len(easiness)) if labels is None else labels
    pairs, level = np.unique(np.column_stack([group, easiness]), axis=0, return_inverse=True)
    level = level.ravel()
    size, left = np.bincount(level, minlength=len(pairs)), np.bincount(level[kept], minlength=len(pairs))
    return int(size[(left > 0) & (left < size)].sum())


def one_of_each_class(dataset: Dataset, kept: Mapping[str, np.ndarray]) -> tuple[np.ndarray, list[str]]:
    """A kept image of each class for every way to drop: uint8 (ways x classes, 3, H, W), and a title for each.

    kept: {way: positions}. It is the first that a lot brings up, the same lot for all; blank where none is left.
    """
    pictures, labels = dataset.images.numpy(), dataset.labels.numpy()
    lot, blank = np.random.default_rng(0).permutation(len(dataset)), np.full_like(pictures[0], 255)
    shown, titles = [], []
    for positions in kept.values():
        order = lot[np.isin(lot, positions)]
        for at, name in enumerate(dataset.classes):
            found = order[labels[order] == at]
            shown.append(pictures[found[0]] if len(found) else blank)
            titles.append(name if len(found) else "none left")
    return np.stack(shown), titles


# ---- the trials of notebook 04 -------------------------------------------------------------------------------------


def short_recipe(data: str, images: int) -> Recipe:
    """The data set's recipe, in batches so small that an epoch still has some eighty steps (paper: 391) [C]."""
    most = Recipe.of(data).batch_size
    return Recipe.of(data, batch_size=int(np.clip(images // 80, 16, most)))


def held_out(data: str, images: int) -> str:
    """The view that nets are tested on: as many test images as they are trained on, at most all: "test:2000"."""
    return f"test:{min(images, len(datasets.load(data, 'test')))}"


def grid(rates: Iterable[float]) -> tuple[list[float], list[float]]:
    """The rates of a sweep, ascending, 0 among them; and those at which claims are judged: 0 and NAMED.

    Where fewer than two of NAMED are in the grid, all are judged. UserError: fewer than two rates above 0 (a bend
    needs them), or one that is not a rate.
    """
    rates = sorted({0.0, *(float(rate) for rate in rates)})
    if len(rates) < 3 or not 0 <= rates[0] <= rates[-1] < 1:
        raise UserError(f"rates {rates}: at least two above 0, all below 1, such as 0.3, 0.6, 0.9")
    named = [rate for rate in rates if rate in NAMED]
    return rates, [0.0, *named] if len(named) > 1 else rates


def sweep(
    plain: Trial, easiness: np.ndarray, *, change: str, rates, seeds, modes=tuple(MODES), control: str = "Beta"
) -> pd.DataFrame:
    """The trials of Fig. 4: `plain` with every seed, and the edit of every mode and rate drawn from the trial's seed.

    change: "drop" | "label"; control: "Beta" (as printed) | "top" (of the ranking) | "balanced" (the same share of each
    class). Arms share their seeds: trial i of each has the same initial weights, streams, lots and random labels.
    Columns: change, control, mode, rate, trial; rate 0 is the plain trial in every mode. UserError as in `drop`.
    """
    _one_of("change", change, TREATMENTS)
    _one_of("control", control, CONTROLS)
    labels, classes = plain.examples.labels.numpy(), len(plain.examples.classes)
    make, more = (drop, {}) if change == "drop" else (random_labels, {"classes": classes})
    rows = []
    for mode, rate, seed in product(modes, rates, seeds):
        edit = make(easiness, rate, mode, seed=seed, labels=labels, **more, **CONTROLS[control])
        rows.append((change, control, mode, float(rate), replace(plain, seed=seed, edit=edit)))
    return pd.DataFrame(rows, columns=["change", "control", "mode", "rate", "trial"])


def figure_4_arms(
    plain: Trial, easiness: np.ndarray, rates: list[float], named: list[float], seeds: Iterable[int]
) -> pd.DataFrame:
    """Both halves of Fig. 4 at all rates, and both controls at those of `named` above one half: columns of `sweep`."""
    late = [rate for rate in named if rate > 0.5] or named[-1:]
    some = {"change": "drop", "rates": late, "modes": ("easy", "hard"), "seeds": seeds}
    halves = [sweep(plain, easiness, change=change, rates=rates, seeds=seeds) for change in TREATMENTS]
    controls = [sweep(plain, easiness, control=control, **some) for control in ("top", "balanced")]
    return pd.concat([*halves, *controls], ignore_index=True)


def by_mode(table: pd.DataFrame, rates: Iterable[float]) -> dict[str, dict[float, pd.Series]]:
    """{mode: {rate: accuracies by seed}} of one half of Fig. 4 (`intervals.accuracies`); two subtract seed by seed."""
    return {mode: {rate: intervals.at(table, mode=mode, rate=rate) for rate in rates} for mode in MODES}


def at_every(values: Mapping[str, pd.Series], paper: str, why: str = "", **bar: float) -> Judged:
    """Whether a quantity lies above=... (or below=...) a value at every point: {point: (trials,) values}."""
    return Judged(claims.judge(claims.points(values), **bar), "decides: {where}" + why, paper)


# ---- the trials of notebook 08 -------------------------------------------------------------------------------------


def wanted(models: Iterable[str], keeps: Iterable[float]) -> tuple[str, str, list[float]]:
    """The net that is trained, the small one that chooses for it, and the shares kept: percent below 100, ascending.

    UserError: not two different nets; no share above 0 and below 100.
    """
    models, keeps = list(models), sorted({float(percent) for percent in keeps if percent != 100})
    if len(models) != 2 or models[0] == models[1]:
        raise UserError(f"models {', '.join(models)}: two different nets, the one to train and a small one")
    if not keeps or not 0 < keeps[0] <= keeps[-1] < 100:
        raise UserError(f"keeps {keeps}: percentages above 0, at least one below 100")
    return (*models, keeps)


def updates(trial: Trial, kept: int, epochs: int) -> int:
    """Steps of the optimiser in so many epochs over `kept` examples, in the batches of the trial's recipe."""
    return epochs * -(-kept // trial.recipe.batch_size)


def epochs_for(trial: Trial, kept: int, budget: str) -> int:
    """Epochs that `kept` of the trial's examples are trained for: as many as it has, or as many as give its updates.

    budget "epochs": the trial's own; "updates": its epochs x batches over the batches of the subset, rounded, at least
    1. A batch is the recipe's, the last of an epoch may be smaller. UserError: kept outside 1..examples, other budgets.
    """
    _one_of("budget", budget, BUDGETS)
    examples = len(trial.examples)
    if not 1 <= kept <= examples:
        raise UserError(f"kept={kept}: from 1 to the {examples} examples that there are")
    if budget == "epochs":
        return trial.epochs
    return max(1, int(updates(trial, examples, trial.epochs) / updates(trial, kept, 1) + 0.5))


def compression_plan(
    whole: Trial, rankings: Mapping[str, np.ndarray], *, keeps: Iterable[float], seeds: Iterable[int], view: str
) -> pd.DataFrame:
    """Every trial of notebook 08, with every seed: `whole` on what each of ARMS keeps, and on everything for less long.

    whole: the trial on all examples, of any seed; the schedule of each trial ends with it. rankings: {"own", "cheap":
    easiness (examples,)}; keeps: percent; view: evaluated after the last epoch, such as "test:2000".
    Columns: budget, chooser, how, keep (percent), images, epochs, updates, trial. 100 is the whole trial, however it is
    chosen; "random" is the same set for every chooser; how "all": nothing is dropped, and all images are trained on for
    keep percent of the epochs, rounded, at least one, so that it may be somewhat dearer or cheaper than a subset.
    UserError as in `keep` and `epochs_for`; an easiness of another length.
    """
    labels, keeps, rows = whole.examples.labels.numpy(), list(keeps), []

    def add(budget, chooser, how, percent, seed, kept, epochs):
        recipe = replace(whole.recipe, horizon=epochs)
        edit = Edit(keep=kept) if len(kept) < len(labels) else None
        trial = replace(whole, seed=seed, epochs=epochs, recipe=recipe, edit=edit, views=(f"{view}@{epochs}",))
        steps = updates(whole, len(kept), epochs)
        rows.append((budget, chooser, how, float(percent), len(kept), epochs, steps, trial))

    for chooser, hows, budget in ARMS:
        if len(rankings[chooser]) != len(labels):
            raise UserError(f"easiness of {len(rankings[chooser])} examples by {chooser!r}: there are {len(labels)}")
        for how, percent, seed in product(hows, [*keeps, 100], seeds):
            kept = keep(rankings[chooser], percent / 100, how, seed=seed, labels=labels)
            add(budget, chooser, how, percent, seed, kept, epochs_for(whole, len(kept), budget))
    for percent, seed in product(keeps, seeds):
        epochs = max(1, int(percent / 100 * whole.epochs + 0.5))
        add("epochs", "", "all", percent, seed, np.arange(len(labels)), epochs)
    return pd.DataFrame(rows, columns=["budget", "chooser", "how", "keep", "images", "epochs", "updates", "trial"])


# ---- what it costs -------------------------------------------------------------------------------------------------


def cost(trial: Trial, *, counted: bool = False) -> float:
    """Multiply-adds of a training: three passes over each image that is trained on, each epoch.

    counted: one more over every image, to see who is right. They need no stopwatch.
    """
    shape = {"classes": len(trial.examples.classes), "size": trial.examples.images.shape[-1]}
    passes = 3.0 * len(trial.trained_on) + counted * len(trial.examples)
    return models.multiply_adds(trial.model, **shape) * trial.epochs * passes


def costs(points: pd.DataFrame, voters: Mapping[str, Iterable[Trial]]) -> pd.DataFrame:
    """What choosing and training cost, in trainings on all examples: chooser, budget, keep, choosing, training, total,

    and pays_after: from how many trainings on the subset on both together are no dearer than as many on all; inf
    where a subset's training is not cheaper. points: of `compression_plan`, 100 percent among them; voters: {chooser:
    the trials whose hits were counted}.
    """
    full, rows = cost(points[points.keep == 100].trial.iloc[0]), []
    for who, trials in voters.items():
        choosing = sum(cost(trial, counted=True) for trial in trials) / full
        for (budget, percent), group in points[points.keep < 100].groupby(["budget", "keep"], sort=False):
            training = cost(group.trial.iloc[0]) / full
            after = np.ceil(choosing / (1 - training) - ROUNDING) if training < 1 else np.inf
            rows.append((who, budget, percent, choosing, training, choosing + training, after))
    return pd.DataFrame(rows, columns=["chooser", "budget", "keep", "choosing", "training", "total", "pays_after"])


# ---- the arithmetic -------------------------------------------------------------------------------------------------


def _bits(count: int, seed: int, purpose: str) -> np.ndarray:
    """uint64 (count,) from a stream of (seed, purpose): raw bits, which no NumPy version changes."""
    return np.random.PCG64([int(seed), *purpose.encode()]).random_raw(count)


def _uniform(count: int, seed: int, purpose: str) -> np.ndarray:
    """Uniform numbers of Fig. 4, never 0 or 1."""
    return ((_bits(count, seed, f"ablation {purpose}") >> np.uint64(12)) + 0.5) * 2.0**-52


def _ranked(group: np.ndarray, value: np.ndarray, lot: np.ndarray) -> np.ndarray:
    """The positions of a group by value, the lowest first, ties by lot."""
    return group[np.lexsort((lot[group], value[group]))]


def _by_class(count: int, examples: int, labels, balanced: bool) -> list[tuple[np.ndarray, int]]:
    """[(positions, how many of them)]: all examples, or, balanced, each class with its share of the count."""
    if not balanced:
        return [(np.arange(examples), count)]
    labels = _labels(labels, examples)
    groups = [np.flatnonzero(labels == one) for one in np.unique(labels)]
    return list(zip(groups, shared_out(count, np.array([len(group) for group in groups])), strict=True))


def _cells(a: float, b: float, count: int) -> np.ndarray:
    """P(floor(u count) = i) for u ~ Beta(a, b): (count,). From the nearer end, so that small ones are exact too."""
    if not (math.isfinite(a) and math.isfinite(b) and a > 0 and b > 0):
        raise UserError(f"Beta({a}, {b}): both parameters are finite numbers above 0")
    borders = np.arange(count + 1) / count
    return np.where(borders[1:] <= 0.5, np.diff(beta.cdf(borders, a, b)), -np.diff(beta.sf(borders, a, b)))


# ---- what is refused ------------------------------------------------------------------------------------------------


def _one_of(what: str, value: str, allowed: Iterable[str]) -> None:
    if value not in allowed:
        raise UserError(f"{what} {value!r}: one of {', '.join(allowed)}")


def _number(value: object) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _count(rate: float, examples: int) -> int:
    if not _number(rate) or not 0 <= rate < 1:
        raise UserError(f"rate={rate!r}: a number from 0, below 1 (the share of examples dropped or relabelled)")
    return math.floor(rate * examples + 1e-9)  # .29 * 100 is 28.999999999999996


def _checked(easiness: np.ndarray, seed: int) -> np.ndarray:
    easiness = np.asarray(easiness, dtype=float)
    if easiness.ndim != 1 or not len(easiness) or not np.isfinite(easiness).all():
        raise UserError(f"easiness {easiness.shape}: a finite number for each of at least one example")
    if not is_whole(seed):
        raise UserError(f"seed={seed!r}: a whole number from 0")
    return easiness


def _labels(labels: np.ndarray | None, examples: int, classes: int | None = None) -> np.ndarray:
    """A copy of the labels, int64 (examples,)."""
    if labels is None:
        raise UserError("a class-balanced choice needs the labels of the examples: labels=ledger.labels")
    labels = np.asarray(labels)
    if labels.shape != (examples,) or labels.dtype.kind not in "iu":
        raise UserError(f"labels {labels.shape} {labels.dtype}: a whole number for each of {examples} examples")
    if classes is not None and not (labels.min() >= 0 and labels.max() < classes):
        raise UserError(f"labels {labels.min()}..{labels.max()}: classes={classes} means 0..{classes - 1}")
    return labels.astype(np.int64)
