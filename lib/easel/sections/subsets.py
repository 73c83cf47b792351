"""Training sets with easy or hard examples dropped, or with random labels put on them (EH Sec. 7, Fig. 4 a-d).

From an easiness (higher = easier), a rate and a seed to an `Edit` for a trial. All is drawn here, before any net is
built; nothing is trained. Examples are taken by rank: sorted by easiness ascending, ties at random, u ~ Beta(a, b), the
example at floor(u K), no example twice, until floor(rate K) are taken.
    "easy"      Beta(3, 1): mostly easy examples are taken      "hard"    Beta(1, 3): mostly hard ones
    "random"    Beta(1, 1): all alike
(The paper's paragraph on labels lists the last two the other way round, a slip.) Controls: exactly the top of the
ranking instead of a Beta-distributed part of it; the same share of every class.

Which examples a data set is reduced to, by easiness: so that a net trained on them comes near to one trained on all.

The idea is EH's later abstract's; how it chose is not known, so the ways to choose are ours [C]. From an easiness
(higher = easier) to the positions that are kept, drawn before any net is built; nothing is trained. Of K examples,
share K are kept, rounded to the nearest whole number, and what is dropped is
    "easiest"    the easiest: what is learned first, and often a copy of a neighbour
    "hardest"    the hardest: what is learned last, mislabelled and odd images among them
    "random"     anything: what the others must beat to be worth the counting
    "balanced"   the easiest of every class, the same share of each: the easiest alone would thin out the easy classes
    "window"     the easiest, and the very hardest: a tenth (WINDOW) of what is dropped goes at the hard end
Examples of one easiness are ordered by lot. (`drop` goes by Beta-distributed rank instead, as Fig. 4 does.)

Trainings on what is kept of a data set, and what they cost (EH's later abstract: compression by easiness).

What is kept is `keep`'s choice. A subset can be trained for as many EPOCHS as the whole set, which makes
the training cheaper and also shorter, or for as many UPDATES, which asks whether its images are worth as much. Costs
are multiply-adds of nets, which need no stopwatch; the choosing is part of the cost.

It never trains, and never looks at an accuracy.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.stats import beta

from easel.errors import UserError
from easel.ledger.trial import Edit, Trial
from easel.nets import names as models

MODES = {"easy": (3, 1), "hard": (1, 3), "random": (1, 1)}  # a, b of the Beta distribution of the rank (Sec. 7)
TREATMENTS = ("drop", "label")
CONTROLS = {  # how examples are taken from the ranking
    "Beta": {},  # the paper's way
    "top": {"deterministic": True},
    "balanced": {"balanced": True},
}
NAMED = (0.3, 0.6, 0.9)
RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # [C]; the text names .3, .6, .9


def beta_order(easiness: np.ndarray, a: float, b: float, count: int, *, seed: int) -> np.ndarray:
    """The first `count` examples that Beta(a, b)-distributed ranks take, in the order of taking: int64 positions.

    easiness: (examples,), higher = easier. Drawing u again whenever floor(u K) is taken already is successive sampling
    with the cells' probabilities p, which at rate .9 of Beta(3, 1) would need billions of draws. It has the same law as
    a race: example i arrives at time E_i / p_i, E_i standard exponential, and the first `count` are taken (memoryless:
    whoever has arrived, the next is i with probability p_i over the sum of those still out). One sort, no rejection.
    From one seed a smaller count is the beginning of a larger one, and every a, b uses the same E and order of ties.
    UserError: a, b not positive; more examples than there are, or than have a probability above 0 in float64.
    """
    easiness = _checked(easiness, seed)
    return _race(easiness, _cells(a, b, len(easiness)), count, *_lots(len(easiness), seed))


def select(
    easiness: np.ndarray,
    rate: float,
    mode: str,
    *,
    seed: int,
    labels: np.ndarray | None = None,
    balanced: bool = False,
    deterministic: bool = False,
) -> np.ndarray:
    """The floor(rate K) examples that a mode takes: int64 positions, ascending.

    easiness: (examples,), higher = easier; rate: 0 <= rate < 1; mode: "easy" | "hard" | "random" (the module's text).
    balanced: the same share of each class of `labels` (examples,), ranked within the class; what does not divide goes
    to the classes with the largest remainders, then to the first. deterministic: the top of the ranking, ties at random
    (easy and hard only). From one seed the set of a smaller rate lies in that of a larger one, unless balanced, where
    single examples may differ. UserError for anything outside.
    """
    easiness = _checked(easiness, seed)
    if mode not in MODES:
        raise UserError(f"mode {mode!r}: one of {', '.join(MODES)}")
    if deterministic and mode == "random":
        raise UserError("mode 'random' with deterministic=True: only easy and hard have a top of the ranking")
    count = _count(rate, len(easiness))
    tie, exponential = _lots(len(easiness), seed)
    groups, counts = [np.arange(len(easiness))], [count]
    if balanced:
        labels = _labels(labels, len(easiness))
        groups = [np.flatnonzero(labels == c) for c in np.unique(labels)]
        counts = shared_out(count, np.array([len(g) for g in groups]))
    taken = []
    for group, k in zip(groups, counts, strict=True):
        if deterministic:
            order = np.lexsort((tie[group], easiness[group] if mode == "hard" else -easiness[group]))[:k]
        else:
            cells = _cells(*MODES[mode], len(group))
            order = _race(easiness[group], cells, k, tie[group], exponential[group])
        taken.append(group[order])
    return np.sort(np.concatenate(taken))


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
    rate (1 - 1 / classes) of labels is wrong. It is `noise`'s, so each image that two modes or nets take has one random
    label. None at a rate that takes nothing.
    """
    taken = select(easiness, rate, mode, seed=seed, labels=labels, **control)
    labels = _labels(labels, len(easiness), classes)
    if not len(taken):
        return None
    changed = labels.copy()
    changed[taken] = uniform_labels(len(labels), classes, rate, seed=seed)[taken]
    return Edit(labels=changed)


def uniform_labels(examples: int, classes: int, rate: float, *, seed: int) -> np.ndarray:
    """A random label for every example, uniform over all classes, drawn from (rate, seed) alone: int64 (examples,)."""
    if isinstance(classes, bool) or not isinstance(classes, int | np.integer) or classes < 2:
        raise UserError(f"classes={classes!r}: a whole number from 2")
    _count(rate, examples)
    return (_uniform(examples, seed, f"labels {rate:.10g}") * classes).astype(np.int64)


def decile_left(easiness: np.ndarray, keep: np.ndarray | None, deciles: int = 10) -> np.ndarray:
    """The share of each tenth of the examples that is left, hardest first: float (deciles,) in 0..1.

    easiness: (examples,), higher = easier; keep: (kept,) positions that are left, as in `Edit`, None = all. Examples of
    one easiness that lie across a border count for both sides alike (the expectation over random ties).
    """
    easiness = _checked(easiness, 0)
    kept = np.ones(len(easiness))
    if keep is not None:
        kept[:] = 0
        kept[keep] = 1
    _, level, size = np.unique(easiness, return_inverse=True, return_counts=True)
    left = np.bincount(level, kept) / size  # share of each level of easiness, lowest first
    cumulated = np.concatenate([[0], np.repeat(left, size).cumsum()])
    borders = np.linspace(0, len(easiness), deciles + 1)
    return np.diff(np.interp(borders, np.arange(len(easiness) + 1), cumulated)) / np.diff(borders)


# ---- as an experiment ------------------------------------------------------------------------------------------------


def grid(rates: Iterable[float]) -> tuple[list[float], list[float]]:
    """The rates of a sweep, ascending, 0 among them; and those at which claims are judged: 0 and NAMED.

    NAMED are the rates that the text names; where fewer than two of them are in the grid, all are judged. UserError:
    fewer than two rates above 0 (a bend needs them), or one that is not a rate.
    """
    rates = sorted({0.0, *(float(rate) for rate in rates)})
    if len(rates) < 3 or not 0 <= rates[0] <= rates[-1] < 1:
        raise UserError(f"rates {rates}: at least two above 0, all below 1, such as 0.3, 0.6, 0.9")
    named = [rate for rate in rates if rate in NAMED]
    return rates, [0.0, *named] if len(named) > 1 else rates


def sweep(
    plain: Trial,
    easiness: np.ndarray,
    *,
    change: str,
    rates: Iterable[float],
    seeds: Iterable[int],
    modes: Iterable[str] = tuple(MODES),
    control: str = "Beta",
) -> pd.DataFrame:
    """The trials of Fig. 4: `plain` with every seed, and the edit of every mode and rate drawn from the trial's seed.

    change: "drop" | "label"; control: "Beta" (as printed) | "top" (of the ranking) | "balanced" (the same share of each
    class). Arms share their seeds: trial i of each has the same initial weights, streams, lots and random labels.
    Columns: change, control, mode, rate, trial; rate 0 is the plain trial in every mode. UserError as in `drop`.
    """
    for what, value, allowed in (("change", change, TREATMENTS), ("control", control, CONTROLS)):
        if value not in allowed:
            raise UserError(f"{what} {value!r}: one of {', '.join(allowed)}")
    labels, classes = plain.examples.labels.numpy(), len(plain.examples.classes)
    make, more = (drop, {}) if change == "drop" else (random_labels, {"classes": classes})
    rows = []
    for mode in modes:
        for rate in rates:
            for seed in seeds:
                edit = make(easiness, rate, mode, seed=seed, labels=labels, **more, **CONTROLS[control])
                rows.append((change, control, mode, float(rate), replace(plain, seed=seed, edit=edit)))
    return pd.DataFrame(rows, columns=["change", "control", "mode", "rate", "trial"])


def left(points: pd.DataFrame, easiness: np.ndarray) -> pd.DataFrame:
    """What the edits of a sweep leave to train on, one row a trial: change, control, mode, rate, seed, and

    images: number left; easiest, hardest: share left of that tenth of the examples (`decile_left`); smallest_class:
    share of the smallest class among what is left (1 / classes if all are alike).
    """
    rows = []
    for row in points.itertuples(index=False):
        trial = row.trial
        tenths = decile_left(easiness, trial.trained_on)
        labels = trial.examples.labels.numpy()[trial.trained_on]
        sizes = np.bincount(labels, minlength=len(trial.examples.classes))
        about = (row.change, row.control, row.mode, row.rate, trial.seed)
        rows.append((*about, int(sizes.sum()), tenths[-1], tenths[0], sizes.min() / sizes.sum()))
    names = ["change", "control", "mode", "rate", "seed", "images", "easiest", "hardest", "smallest_class"]
    return pd.DataFrame(rows, columns=names)


# ---- the arithmetic -------------------------------------------------------------------------------------------------


def _uniform(count: int, seed: int, purpose: str) -> np.ndarray:
    """Uniform numbers, never 0 or 1, from a stream of (seed, purpose): raw bits, which no NumPy version changes."""
    bits = np.random.PCG64([int(seed), *f"ablation {purpose}".encode()]).random_raw(count)
    return ((bits >> np.uint64(12)) + 0.5) * 2.0**-52


def _lots(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """What is drawn for each example, whatever mode, rate and net: its lot among ties, its exponential E."""
    return _uniform(count, seed, "ties"), -np.log(_uniform(count, seed, "race"))


def _cells(a: float, b: float, count: int) -> np.ndarray:
    """P(floor(u count) = i) for u ~ Beta(a, b): (count,). From the nearer end, so that small ones are exact too."""
    if not (math.isfinite(a) and math.isfinite(b) and a > 0 and b > 0):
        raise UserError(f"Beta({a}, {b}): both parameters are finite numbers above 0")
    borders = np.arange(count + 1) / count
    return np.where(borders[1:] <= 0.5, np.diff(beta.cdf(borders, a, b)), -np.diff(beta.sf(borders, a, b)))


def _race(easiness: np.ndarray, cells: np.ndarray, count: int, tie: np.ndarray, exponential: np.ndarray) -> np.ndarray:
    if not 0 <= count <= np.count_nonzero(cells):
        raise UserError(f"count={count}: {np.count_nonzero(cells)} examples at most can be taken by this distribution")
    ranked = np.lexsort((tie, easiness))  # hardest first: rank i has probability cells[i]
    with np.errstate(divide="ignore"):
        arrival = np.log(exponential[ranked]) - np.log(cells)
    return ranked[np.argsort(arrival, kind="stable")[:count]]


def shared_out(total: int, sizes: np.ndarray) -> list[int]:
    """`total` shared out in proportion to sizes, in whole numbers; what is left goes to the largest remainders."""
    counts, remainders = np.divmod(total * sizes, sizes.sum())
    counts[np.argsort(-remainders, kind="stable")[: total - counts.sum()]] += 1
    return counts.tolist()


# ---- what is refused ------------------------------------------------------------------------------------------------


def _count(rate: float, examples: int) -> int:
    number = isinstance(rate, int | float | np.number) and not isinstance(rate, bool)
    if not number or not 0 <= rate < 1:
        raise UserError(f"rate={rate!r}: a number from 0, below 1 (the share of examples dropped or relabelled)")
    return math.floor(rate * examples + 1e-9)  # .29 * 100 is 28.999999999999996


def _checked(easiness: np.ndarray, seed: int) -> np.ndarray:
    easiness = np.asarray(easiness, dtype=float)
    if easiness.ndim != 1 or not len(easiness) or not np.isfinite(easiness).all():
        raise UserError(f"easiness {easiness.shape}: a finite number for each of at least one example")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise UserError(f"seed={seed!r}: a whole number from 0")
    return easiness


def _labels(labels: np.ndarray | None, examples: int, classes: int | None = None) -> np.ndarray:
    if labels is None:
        raise UserError("balanced=True needs the labels of the examples: labels=ledger.labels")
    labels = np.asarray(labels)
    if labels.shape != (examples,) or labels.dtype.kind not in "iu":
        raise UserError(f"labels {labels.shape} {labels.dtype}: a whole number for each of {examples} examples")
    if classes is not None and not (labels.min() >= 0 and labels.max() < classes):
        raise UserError(f"labels {labels.min()}..{labels.max()}: classes={classes} means 0..{classes - 1}")
    return labels.astype(np.int64)


HOW = ("easiest", "hardest", "random", "balanced", "window")
WINDOW = 0.1  # of the dropped examples: the share that "window" takes off the hard end [C]


def keep(
    easiness: np.ndarray,
    share: float,
    how: str,
    *,
    seed: int,
    labels: np.ndarray | None = None,
    balanced: bool = False,
) -> np.ndarray:
    """The examples that are kept when the others are dropped as `how` says (the module's text): int64, ascending.

    easiness: (examples,), higher = easier; share: 0 < share <= 1, of which at least one example is left; how: one of
    HOW; seed: of the lots, which are the same for every share and way. balanced: the same share of each class of
    `labels` (examples,), ranked within the class; what does not divide goes to the classes with the largest remainders,
    then to the first. "balanced" is "easiest" with balanced=True. labels are not looked at otherwise.
    From one seed the set of a smaller share lies in that of a larger one, unless it is balanced, where single examples
    may differ. UserError for anything outside.
    """
    easiness, count = _checked_share(easiness, share, how, seed)
    groups, counts = [np.arange(len(easiness))], [count]
    if balanced or how == "balanced":
        labels = _labels_of(labels, len(easiness))
        groups = [np.flatnonzero(labels == c) for c in np.unique(labels)]
        counts = shared_out(count, np.array([len(group) for group in groups]))
    value, lot = easiness, _draws(len(easiness), seed, "ties")
    if how == "random":
        value, lot = np.zeros(len(easiness)), _draws(len(easiness), seed, "random")
    kept = []
    for group, k in zip(groups, counts, strict=True):
        ranked = group[np.lexsort((lot[group], value[group]))]  # hardest first
        first = _hard_end(how, len(group) - k)
        kept.append(ranked[first : first + k])
    return np.sort(np.concatenate(kept))


def tied(easiness: np.ndarray, kept: np.ndarray, labels: np.ndarray | None = None) -> int:
    """How many examples a lot decided on: those with an easiness that both kept and dropped examples have.

    easiness: (examples,); kept: positions, as `keep` gives them; labels: (examples,), where classes were cut apart.
    """
    group = np.zeros(len(easiness)) if labels is None else labels
    pairs, level = np.unique(np.column_stack([group, easiness]), axis=0, return_inverse=True)
    level = level.ravel()
    size, left = np.bincount(level, minlength=len(pairs)), np.bincount(level[kept], minlength=len(pairs))
    return int(size[(left > 0) & (left < size)].sum())


def _hard_end(how: str, dropped: int) -> int:
    """How many of the dropped examples go at the hard end; the others go at the easy end. ("random": ranked by lot.)"""
    return {"hardest": dropped, "window": int(np.floor(WINDOW * dropped + 0.5 + 1e-9))}.get(how, 0)


def _draws(count: int, seed: int, purpose: str) -> np.ndarray:
    """uint64 (count,) from a stream of (seed, purpose): raw bits, which no NumPy version changes."""
    return np.random.PCG64([int(seed), *f"compression {purpose}".encode()]).random_raw(count)


def _checked_share(easiness: np.ndarray, share: float, how: str, seed: int) -> tuple[np.ndarray, int]:
    easiness = np.asarray(easiness, dtype=float)
    if easiness.ndim != 1 or not len(easiness) or not np.isfinite(easiness).all():
        raise UserError(f"easiness {easiness.shape}: a finite number for each of at least one example")
    if how not in HOW:
        raise UserError(f"how={how!r}: one of {', '.join(HOW)}, which is what is dropped")
    number = isinstance(share, int | float | np.number) and not isinstance(share, bool)
    if not number or not 0 < share <= 1:
        raise UserError(f"share={share!r}: a number above 0, at most 1 (the share of the examples that is kept)")
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise UserError(f"seed={seed!r}: a whole number from 0")
    return easiness, max(1, int(np.floor(share * len(easiness) + 0.5 + 1e-9)))  # .145 * 100 is 14.499999999999998


def _labels_of(labels: np.ndarray | None, examples: int) -> np.ndarray:
    if labels is None:
        raise UserError("a class-balanced choice needs the labels of the examples: labels=ledger.labels")
    labels = np.asarray(labels)
    if labels.shape != (examples,) or labels.dtype.kind not in "iu":
        raise UserError(f"labels {labels.shape} {labels.dtype}: a whole number for each of {examples} examples")
    return labels


BUDGETS = ("epochs", "updates")
PLAN_COLUMNS = ["budget", "chooser", "how", "keep", "images", "epochs", "updates", "trial"]


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


def epochs_for(trial: Trial, kept: int, budget: str) -> int:
    """Epochs that `kept` of the trial's examples are trained for: as many as it has, or as many as give its updates.

    budget "epochs": the trial's own; "updates": its epochs x batches over the batches of the subset, rounded, at least
    1. A batch is the recipe's, the last of an epoch may be smaller. UserError: kept outside 1..examples, other budgets.
    """
    if budget not in BUDGETS:
        raise UserError(f"budget {budget!r}: one of {', '.join(BUDGETS)}")
    examples = len(trial.examples)
    if not 1 <= kept <= examples:
        raise UserError(f"kept={kept}: from 1 to the {examples} examples that there are")
    if budget == "epochs":
        return trial.epochs
    return max(1, int(updates(trial, examples, trial.epochs) / updates(trial, kept, 1) + 0.5))


def updates(trial: Trial, kept: int, epochs: int) -> int:
    """Steps of the optimiser in so many epochs over `kept` examples, in the batches of the trial's recipe."""
    return epochs * -(-kept // trial.recipe.batch_size)


def compression_plan(
    whole: Trial,
    rankings: Mapping[str, np.ndarray],
    *,
    keeps: Iterable[float],
    hows: Iterable[str],
    seeds: Iterable[int],
    budget: str,
    view: str = "test",
) -> pd.DataFrame:
    """The trials that a comparison of subsets needs: `whole` on each of them, with every seed.

    whole: the trial on all examples, of any seed; its recipe's horizon becomes the epochs of each trial, so that the
    learning rate ends at 0 in all. rankings: {who chose: easiness (examples,)}; keeps: percent, above 0, at most 100;
    hows: of `HOW`, what is dropped; view: evaluated after the last epoch, such as "test:2000".
    Columns: COLUMNS. 100 is the whole trial, however it is chosen,
    and "random" is the same set for every chooser. UserError as in `keep` and `epochs_for`.
    """
    labels, rows, seeds = whole.examples.labels.numpy(), [], list(seeds)
    for chooser, easiness in rankings.items():
        if len(easiness) != len(labels):
            raise UserError(f"easiness of {len(easiness)} examples by {chooser!r}: the trial has {len(labels)}")
        for how in hows:
            for percent in keeps:
                for seed in seeds:
                    kept = keep(easiness, percent / 100, how, seed=seed, labels=labels)
                    epochs = epochs_for(whole, len(kept), budget)
                    trial = replace(
                        whole,
                        seed=seed,
                        epochs=epochs,
                        recipe=replace(whole.recipe, horizon=epochs),
                        edit=Edit(keep=kept) if len(kept) < len(labels) else None,
                        views=(f"{view}@{epochs}",),
                    )
                    steps = updates(whole, len(kept), epochs)
                    rows.append((budget, chooser, how, float(percent), len(kept), epochs, steps, trial))
    return pd.DataFrame(rows, columns=PLAN_COLUMNS)


def shorter(whole: Trial, *, keeps: Iterable[float], seeds: Iterable[int], view: str = "test") -> pd.DataFrame:
    """What the cost of a subset buys on all examples: `whole`, trained for keep percent of its epochs (at least one).

    The epochs are rounded, so a subset may be somewhat cheaper or dearer than this. Columns as of `plan`, with budget
    "epochs", chooser "" and how "all"; the schedule ends with the run.
    """
    rows = []
    for percent in keeps:
        epochs = max(1, int(percent / 100 * whole.epochs + 0.5))
        for seed in seeds:
            recipe = replace(whole.recipe, horizon=epochs)
            trial = replace(whole, seed=seed, epochs=epochs, recipe=recipe, views=(f"{view}@{epochs}",))
            images = len(whole.examples)
            rows.append(("epochs", "", "all", float(percent), images, epochs, updates(whole, images, epochs), trial))
    return pd.DataFrame(rows, columns=PLAN_COLUMNS)


# ---- what it costs --------------------------------------------------------------------------------------------------


def cost(model: str, images: int, epochs: int, *, classes: int, size: int, evaluated: int = 0) -> float:
    """Multiply-adds of a training: three passes over each image and epoch, and one over each image evaluated after it.

    images: trained on; evaluated: images of a forward pass after every epoch (counting who is right needs it, training
    does not). size: side of the images in pixels.
    """
    return models.multiply_adds(model, classes=classes, size=size) * epochs * (3.0 * images + evaluated)


def costs(points: pd.DataFrame, choosing: Mapping[str, float]) -> pd.DataFrame:
    """What choosing and training cost, in trainings on all examples: chooser, budget, keep, choosing, training, total,

    and pays_after: from how many trainings on the subset on both together are cheaper than as many on all examples; inf
    where a subset's training is not cheaper. points: of `plan`; choosing: {chooser: multiply-adds of all its trials}.
    """
    rows = []
    for (chooser, budget, keep), group in points.groupby(["chooser", "budget", "keep"], sort=False):
        trial, kept = group.trial.iloc[0], int(group.images.iloc[0])
        shape = {"classes": len(trial.examples.classes), "size": trial.examples.images.shape[-1]}
        plain = _whole_epochs(points, trial)
        full = cost(trial.model, len(trial.examples), plain, **shape)
        training, chosen = cost(trial.model, kept, trial.epochs, **shape) / full, choosing[chooser] / full
        after = np.ceil(chosen / (1 - training)) if training < 1 else np.inf
        rows.append((chooser, budget, keep, chosen, training, chosen + training, after))
    names = ["chooser", "budget", "keep", "choosing", "training", "total", "pays_after"]
    return pd.DataFrame(rows, columns=names)


def _whole_epochs(points: pd.DataFrame, trial: Trial) -> int:
    """Epochs of the training on all examples that a subset's stands beside."""
    return int(points[(points.keep == 100)].epochs.iloc[0])
