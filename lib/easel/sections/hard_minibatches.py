"""Training on the mini-batches with the highest loss (HM): the arms of the comparison, and what it comes to.

An arm is a way to choose mini-batches; all arms of a net have the same seeds, batch size and number of updates. Tables
are tidy, one row a trial and epoch, an "epoch" being N_b updates whatever the arm trains on. Nothing here trains.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from easel.compare import claims
from easel.compare.claims import Judged
from easel.compare.intervals import t_interval, with_intervals
from easel.errors import UserError
from easel.ledger.record import Record
from easel.ledger.store import Ledger
from easel.ledger.trial import Edit, Recipe, Trial
from easel.sections import printed
from easel.train.batches import fixed_order
from easel.train.cost import precision_of

SHUFFLED, FIXED, GROUPED = "plain, shuffled", "plain, fixed order", "grouped by easiness"


def recipe(precision: str = "fp32", batch_size: int = 512) -> Recipe:
    """HM's recipe [A]: SGD, learning rate .005 without a schedule, momentum .9, fixed mini-batches, no augmentation."""
    training = {"optimizer": "sgd", "learning_rate": 0.005, "momentum": 0.9, "horizon": None, "batch_size": batch_size}
    return Recipe(**training, translation=0, flip=False, precision=precision, batches="fixed")


def arms(base: Recipe, deltas: Iterable[float], easiness: np.ndarray | None = None) -> dict[str, dict]:
    """Name of an arm -> the fields of its trials (recipe, and an edit where batches are grouped).

    base: `recipe`'s. deltas: shares of the mini-batches that a round trains on, each in 0..1; those below 1 have two
    arms, of the highest loss and of random batches. easiness: (examples,), higher = easier; where given, two more arms
    have the examples of a mini-batch alike in it: in fixed order, and with the smallest delta of at least one half.
    UserError: no delta below 1.
    """
    shares = sorted({float(delta) for delta in deltas if delta != 1}, reverse=True)
    if not shares:
        below = "at least one below 1, or there is nothing to compare with plain training"
        raise UserError(f"deltas {list(deltas)}: {below}")
    found = {SHUFFLED: {"recipe": replace(base, batches="shuffled")}, FIXED: {"recipe": base}}
    for kind, word in (("high-loss", "highest loss"), ("random", "random batches")):
        for delta in shares:
            found[f"{word}, δ = {delta:g}"] = {"recipe": replace(base, batches=kind, delta=delta)}
    if easiness is not None:
        edit = Edit(order=np.argsort(easiness, kind="stable"))
        middle = min((delta for delta in shares if delta >= 0.5), default=shares[0])
        found[GROUPED] = {"recipe": base, "edit": edit}
        chosen = replace(base, batches="high-loss", delta=middle)
        found[f"{GROUPED}, highest loss, δ = {middle:g}"] = {"recipe": chosen, "edit": edit}
    return found


def arm_trials(make: Callable, models: list[str], trials: int, base: Recipe, deltas, easiness, **fields) -> dict:
    """{model: {arm: its trials}}: every arm of every net with the same seeds.

    The controls by chance and by easiness belong to the first net only: they are not the paper's. make: gives a net's
    trials, one a seed (`Lab.trials`); base, deltas, easiness (of the first net): `arms`'s; fields: epochs, views, ...
    """
    plans = {}
    for n, model in enumerate(models):
        plans[model] = {}
        for arm, own in arms(base, deltas, easiness if n == 0 else None).items():
            if n == 0 or not arm.startswith("random"):
                losses = {"record": ("loss",)} if arm in (FIXED, GROUPED) else {}  # `batch_losses` reads them
                plans[model][arm] = make(model, range(trials), **own, **losses, **fields)
    return plans


def test_curves(ledger: Ledger, plans: dict[str, dict[str, list[Trial]]], view: str) -> pd.DataFrame:
    """Test accuracy after every epoch: model, arm, seed, epoch, accuracy (0..1); one row a trial and epoch.

    plans: {model: {arm: its trials}}; view: such as "test:2000", recorded after every epoch. A diverged trial is left
    out.
    """
    rows = []
    for plan in plans.values():
        for arm, trial, record in _trained(ledger, plan):
            for epoch, right in enumerate(record.correct(view), start=1):
                rows.append((trial.model, arm, trial.seed, epoch, float(right.mean())))
    return pd.DataFrame(rows, columns=["model", "arm", "seed", "epoch", "accuracy"])


def _trained(ledger: Ledger, plan: dict[str, list[Trial]]) -> Iterator[tuple[str, Trial, Record]]:
    """Arm, trial and record of those that the ledger has, in the precision that it has them in (`Lab.ensure`)."""
    records = {record.key: record for record in ledger.records}
    precisions = {precision_of(record) for record in ledger.records}
    for arm, trials in plan.items():
        for trial in trials:
            keys = (replace(trial, recipe=replace(trial.recipe, precision=one)).key for one in precisions)
            record = next((records[key] for key in keys if key in records), None)
            if record is not None:
                yield arm, trial, record


def epochs_to(accuracy: np.ndarray, target: float) -> float:
    """The epoch (N_b updates) at which a curve first reaches a target, between two epochs on a straight line.

    accuracy: (epochs,), after epoch 1, 2, ... inf where it never does; 1.0 where the first value is there already:
    what came before was not looked at.
    """
    accuracy = np.asarray(accuracy, dtype=float)
    there = np.flatnonzero(accuracy >= target)
    if not len(there):
        return np.inf
    at = int(there[0])
    if at == 0:
        return 1.0
    before, after = accuracy[at - 1], accuracy[at]
    return at + (target - before) / (after - before)


def to_target(table: pd.DataFrame, share: float = 0.95) -> pd.DataFrame:
    """How many epochs each trial needs to come as far as plain training comes: one row a trial.

    table: `test_curves`'s. The target of a net is `share` of the mean accuracy that plain training ends with.
    Columns: model, arm, seed, target, epochs (inf: not within the budget), against (the epochs that the same seed's
    plain trial needs; nan where there is none), fewer = 1 - epochs / against (HM's "fewer epochs", below 0: more; nan
    where either never arrives).
    """
    last = table[table.epoch == table.epoch.max()]
    ends = last[last.arm == FIXED].groupby("model").accuracy.mean() * share
    rows = []
    for (model, arm, seed), one in table.groupby(["model", "arm", "seed"], sort=False):
        if model in ends:
            curve = one.sort_values("epoch").accuracy.to_numpy()
            rows.append((model, arm, seed, ends[model], epochs_to(curve, ends[model])))
    found = pd.DataFrame(rows, columns=["model", "arm", "seed", "target", "epochs"])
    plain = found[found.arm == FIXED].set_index(["model", "seed"]).epochs
    found["against"] = plain.reindex(pd.MultiIndex.from_frame(found[["model", "seed"]])).to_numpy()
    both_arrive = np.isfinite(found.epochs) & np.isfinite(found.against)
    return found.assign(fewer=(1 - found.epochs / found.against).where(both_arrive))


def paired_gains(
    table: pd.DataFrame, model: str, arm: str, against: str = FIXED, epoch: int | None = None
) -> pd.Series:
    """Accuracy of an arm minus that of another at equal updates, seed by seed: float, index seed, in percentage points.

    table: `test_curves`'s; epoch: None = the last. Seeds that either lacks are left out.
    """
    at = table[(table.model == model) & (table.epoch == (table.epoch.max() if epoch is None else epoch))]
    one, two = (at[at.arm == name].set_index("seed").accuracy for name in (arm, against))
    return (100 * (one - two)).dropna()


def gains_table(table: pd.DataFrame) -> pd.DataFrame:
    """`paired_gains` of every arm over plain training in fixed order: model, arm, seed, gain (percentage points), and

    of the arm mean, low, high (95% t-interval over seeds), n (seeds). One row a trial. table: `test_curves`'s.
    """
    arms = table[table.arm != FIXED].groupby(["model", "arm"], sort=False).groups
    gains = {(model, arm): paired_gains(table, model, arm) for model, arm in arms}
    found = pd.concat(gains, names=["model", "arm"]).rename("gain").reset_index()
    return with_intervals(found, ["model", "arm"], "gain")


def targets_table(needed: pd.DataFrame) -> pd.DataFrame:
    """`to_target`'s trials by arm: model, arm, epochs (mean of those that arrive), arrived ("4 of 5"), fewer (%, mean),

    low, high (95% t-interval), n. A run that never arrives has no number, which flatters its arm.
    """
    rows = []
    for key, part in needed.groupby(["model", "arm"], sort=False):
        there = part.epochs[np.isfinite(part.epochs)]
        rows.append((*key, there.mean(), f"{len(there)} of {len(part)}", *t_interval(100 * part.fewer)))
    return pd.DataFrame(rows, columns=["model", "arm", "epochs", "arrived", "fewer", "low", "high", "n"])


# ---- what may be claimed -------------------------------------------------------------------------------------------


def high_loss_arms(table: pd.DataFrame, model: str) -> list[str]:
    """The arms of the paper's method that a net has, the largest delta first."""
    return [arm for arm in dict.fromkeys(table[table.model == model].arm) if arm.startswith("highest loss")]


def improves(table: pd.DataFrame, model: str) -> Judged:
    """At some delta the method is above plain training in fixed order, the paper's baseline; Bonferroni."""
    gained = {arm: paired_gains(table, model, arm) for arm in high_loss_arms(table, model)}
    found = claims.some(claims.points(gained), above=0)
    why = f"best of {len(gained)}: {found.where}; points; intervals widened for {len(gained)} arms"
    return Judged(found, why, f"up to +{printed.HIGH_LOSS_GAIN} points")


def beats(table: pd.DataFrame, model: str, against: str) -> Judged:
    """At every delta the method is above another arm; against: its name; "random batches": of its own delta."""
    apart = {}
    for arm in high_loss_arms(table, model):
        other = arm.replace("highest loss", against) if against == "random batches" else against
        apart[arm] = paired_gains(table, model, arm, against=other)
    why = "deciding: {where}; points of accuracy at equal updates, same seeds"
    return Judged(claims.judge(claims.points(apart), above=0), why, "not tested")


def arrives_sooner(needed: pd.DataFrame, model: str) -> Judged:
    """At some delta the method comes as far as plain training in fewer epochs (percent fewer)."""
    own, usable, arrived = needed[needed.model == model], {}, []
    for arm in high_loss_arms(needed, model):
        part = own[own.arm == arm]
        usable[arm] = 100 * part.fewer
        arrived.append(f"{arm} {np.isfinite(part.epochs).sum()} of {len(part)}")
    found = claims.some(claims.points(usable), above=0)
    why = f"best: {found.where}, % fewer; arrived: {', '.join(arrived)}"
    return Judged(found, why, f"{printed.HIGH_LOSS_FEWER}% fewer")


def batch_losses(ledger: Ledger, plan: dict[str, list[Trial]]) -> pd.DataFrame:
    """How far the mini-batches of an arm differ: model, arm, seed, epoch, batch, loss (mean over its images, nats).

    From the losses of single images (record=("loss",)) at the end of every epoch. Arms without fixed batches have no
    rows: there is nothing whose loss could be kept.
    """
    rows = []
    for arm, trial, record in _trained(ledger, plan):
        if trial.recipe.batches == "shuffled":
            continue
        batches = [index.numpy() for index in fixed_order(trial).split(trial.recipe.batch_size)]
        for epoch, loss in enumerate(record.values("loss"), start=1):
            known = (trial.model, arm, trial.seed, epoch)
            rows += [(*known, batch, float(loss[index].mean())) for batch, index in enumerate(batches)]
    return pd.DataFrame(rows, columns=["model", "arm", "seed", "epoch", "batch", "loss"])
