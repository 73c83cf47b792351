"""Mislabelled, ambiguous, rare or merely hard? What an ensemble says of each image's given label (EH 9).

An ensemble is a few nets of two families, each trained on all folds but one: every image is judged by nets that never
saw it (*held out*) and by nets that trained on it with the label that it has. `Opinions` turns their ledger into
scores, all HIGHER = EASIER; a wrong label should be hard.

Rank. By the probability that nets give to an image's given label without having seen it, mean over nets: the
self-confidence of confident learning (Northcutt et al. 2021), lowest first. A net that trained on a wrong label learns
it in the end, so in-sample scores (EH's easiness, SL's learnability, Pleiss' area under the margin) depend on when one
looks; a net that never saw it has no reason to believe it. The mean over nets takes out what one net happened to do.

Why. Fixed in writing before it was held against any known error, and asked in this order of an image whose given label
is not what held-out nets name (in the mean of their probabilities; the class they name is the suggested one):
    mislabelled  the suggested class is believed: it gets more than half of the probability, and at least what images
                 that carry that label get on average, while the given label gets less than is usual for its own class
                 (confident learning's joint, off its diagonal)
    ambiguous    the given label is the runner-up, with at least half of the suggested one's probability
    rare         nets that trained on it name the given label, more often than not: it can be learned, but nothing
                 else in the set teaches it (Feldman & Zhang 2020: memorised)
    hard         none of these: not even nets that trained on it name the given label
An image whose given label is named gets no word. No threshold is tuned. Nothing here trains or draws.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property, partial

import numpy as np
import pandas as pd
from scipy.special import softmax

from easel.compare import claims, cuts, intervals, scores
from easel.compare.claims import Judged
from easel.data import sets
from easel.errors import UserError
from easel.ledger.record import Record
from easel.ledger.store import Ledger, Store
from easel.ledger.trial import Edit, Recipe, Trial

FOLDS = 4
TOPS = (0.01, 0.05, 0.10)  # of the images, the most suspicious first
HELD_OUT = "held-out probability"
RELEASED = ("wrn-16-4", 20, "cifar10", 50_000)  # net, trials, data and images of records that come with the project
GROUNDS = ("mislabelled", "ambiguous", "rare", "hard")


# ---- an ensemble ---------------------------------------------------------------------------------------------------


def dealt(labels, folds: int = FOLDS, seed: int = 0, copies=None) -> np.ndarray:
    """The fold of each example, 0..folds - 1, every class dealt out evenly in an order drawn from the seed.

    copies: `data.own.look_alikes`; what looks the same lies in one fold, else a net would have seen what it judges.
    """
    labels, rng = np.asarray(labels), np.random.default_rng([seed, folds])
    order = np.lexsort((rng.random(len(labels)), labels))
    fold = np.empty(len(labels), np.int64)
    fold[order] = np.arange(len(labels)) % folds
    return fold if copies is None else fold[copies]


def ensemble(
    nets: Sequence[str], labels, *, epochs: int, repeats: int = 1, seed: int = 0, given=None, copies=None, **common
) -> list[Trial]:
    """The trials of an ensemble: each net, `repeats` times, on all folds but each one. They record logits.

    labels: the data set's; given: the labels that are trained with and judged, where they are not these. common:
    `Trial`'s fields (data, images). The schedule ends where the epochs do; small batches, since the sets are small.
    """
    judged, asked = labels if given is None else given, []
    for number in range(len(nets) * repeats):
        fold = dealt(judged, seed=seed + number % repeats, copies=copies)
        keeps = [np.flatnonzero(fold != out) for out in np.unique(fold)]
        batch = next(b for b in (32, 31, 30, 29, 28) if all(len(keep) % b != 1 for keep in keeps))
        recipe = Recipe(horizon=epochs, batch_size=batch, learning_rate=0.003)
        for out, keep in enumerate(keeps):
            own = {"model": nets[number // repeats], "seed": 1000 * seed + number * FOLDS + out, "recipe": recipe}
            edit = Edit(keep=keep, labels=given)
            asked.append(Trial(epochs=epochs, edit=edit, record=("logits",), **own, **common))
    return asked


class Opinions:
    """What nets say of each image's given label: those that never saw it, and those that trained on it.

    ledger: of an `ensemble`; given: (examples,) the labels that it trained with, the data set's if None.
    accuracy: {net: (epochs,)} share of the given labels that held-out nets name; epoch: {net: the epoch, counted from
    1, at which that is highest, mean of three neighbours}: what is held out is read there; early: {net: the first epoch
    at which it is half-way from chance to there}, where easiness is read. chance: share of the largest class.
    probabilities: (examples, classes), of held-out nets, mean over nets; scores: {name: (examples,)}, means over nets.
    """

    def __init__(self, ledger: Ledger, given=None):
        self.ledger, self.given = ledger, np.asarray(ledger.labels if given is None else given)
        self.classes, n = ledger.examples.classes, len(self.given)
        self.chance = float(np.bincount(self.given).max() / n)
        self.accuracy, self.epoch, self.early, self.of_net, probabilities = {}, {}, {}, {}, []
        self.named = np.zeros(n)  # share of the looks of nets that trained on it that name the given label
        for net in ledger.models:
            looks = [_Look(record, self.given) for record in ledger.where(model=net).records]
            trained, hits, sure, margins = (_stacked(looks, of) for of in ("trained", "hits", "sure", "margin"))
            if trained.all(0).any():
                raise UserError(f"{net}: no net that has not seen some of the images is left; give another seed")
            seen, unseen = (_mean_where(where) for where in (trained, ~trained))
            held = sum(look.probabilities * ~look.trained[:, None] for look in looks) / (~trained).sum(0)[:, None]
            right = (held.argmax(2) == self.given).mean(1)
            smooth = np.convolve(np.pad(right, 1, mode="edge"), np.full(3, 1 / 3), "valid")
            self.accuracy[net], at = right, int(smooth.argmax())
            early = int((right >= (self.chance + right[at]) / 2).argmax())
            self.epoch[net], self.early[net] = at + 1, early + 1
            probabilities.append(held[at])
            self.named += seen(hits[:, at]) / len(ledger.models)
            self.of_net[net] = {
                "easiness": _relative(seen(hits[:, early])),
                "easiness, m = 1": _relative(seen(hits[:, 0])),
                "graded easiness": seen(sure[:, early]),
                "learnability": seen(hits.mean(1)),
                "forgetting": seen(np.stack([scores.forgetting(one[None]) for one in hits])),
                "margin": seen(margins.mean(1)),
                HELD_OUT: unseen(sure[:, at]),
            }
        self.probabilities = np.mean(probabilities, axis=0)
        first = next(iter(self.of_net.values()))
        self.scores = {name: np.mean([own[name] for own in self.of_net.values()], axis=0) for name in first}

    @cached_property
    def named_by_held_out(self) -> np.ndarray:
        """The class that held-out nets name, in the mean of their probabilities: int (examples,)."""
        return self.probabilities.argmax(1)

    @property
    def right(self) -> float:
        """The share of the given labels that they name."""
        return float((self.named_by_held_out == self.given).mean())

    @property
    def blind(self) -> bool:
        """Whether that is no more than naming the largest class gives, by two standard errors: nothing can be read."""
        return self.right <= self.chance + 2 * np.sqrt(self.chance * (1 - self.chance) / len(self.given))

    @property
    def order(self) -> np.ndarray:
        """Positions, the most suspicious first; of equals, the one that trained nets doubt more."""
        return np.lexsort((self.scores["learnability"], self.scores[HELD_OUT]))

    @cached_property
    def why(self) -> np.ndarray:
        """A word of GROUNDS for each image, by the module's rules, or "": str (examples,)."""
        at, named, p = np.arange(len(self.given)), self.named_by_held_out, self.probabilities
        usual = np.array([p[self.given == k, k].mean() if (self.given == k).any() else 1 for k in range(p.shape[1])])
        own, other = p[at, self.given], p[at, named]
        runner_up = np.argsort(p, axis=1)[:, -2:-1]
        rules = [
            (other > 0.5) & (other >= usual[named]) & (own < usual[self.given]),
            (runner_up[:, 0] == self.given) & (own >= other / 2),
            self.named > 0.5,
        ]
        return np.where(named == self.given, "", np.select(rules, GROUNDS[:3], GROUNDS[3]))


class _Look:
    """One trial: who was trained on, and its say on each given label after every epoch."""

    def __init__(self, record: Record, given: np.ndarray):
        logits, at = record.values("logits"), np.arange(len(given))
        self.trained = np.isin(at, record.trial.trained_on)
        self.probabilities = softmax(logits, axis=2)
        self.sure, self.hits = self.probabilities[:, at, given], logits.argmax(2) == given
        own = logits[:, at, given]
        logits[:, at, given] = -np.inf
        self.margin = own - logits.max(2)


def _stacked(looks: Sequence[_Look], of: str) -> np.ndarray:
    return np.stack([getattr(look, of) for look in looks])


def _mean_where(where: np.ndarray):
    """A function that averages (trials, examples) over the trials where an example is meant."""
    return lambda values: (values * where).sum(0) / np.maximum(where.sum(0), 1)


def _relative(share: np.ndarray) -> np.ndarray:
    """EH's Eq. 1: over its largest value."""
    return share / max(share.max(), 1e-12)


# ---- planted errors ------------------------------------------------------------------------------------------------


def planted(labels, share: float, seed: int = 0, likely=None) -> np.ndarray:
    """The labels with a share of them wrong, of every class alike as far as it divides: int64 (examples,).

    likely: (classes, classes), how readily class i is taken for class j; the wrong label is drawn in proportion to its
    row, or uniformly from the other classes if None. Drawn from the seed.
    """
    labels = np.array(labels, np.int64)
    rng, classes = np.random.default_rng([seed, 10]), int(labels.max()) + 1
    order = np.lexsort((rng.random(len(labels)), labels))  # by class, so that an even spacing is fair to each
    wrong = round(share * len(labels))
    chosen = order[((np.arange(wrong) + rng.random()) * len(labels) / max(wrong, 1)).astype(int)]
    chance = np.ones((classes, classes)) if likely is None else np.array(likely, float)
    np.fill_diagonal(chance, 0)
    chance[chance.sum(1) == 0] = 1  # taken for no other class: for any of them
    np.fill_diagonal(chance, 0)
    steps = np.cumsum(chance, axis=1)[labels[chosen]]
    labels[chosen] = (steps > (rng.random(wrong) * steps[:, -1])[:, None]).argmax(1)
    return labels


def confusions(opinions: Opinions, labels) -> np.ndarray:
    """How readily held-out nets take class i for class j: mean probability over its examples, two decimals.

    labels: the true ones; two decimals, so that another machine's last bits plant the same errors.
    """
    each = [opinions.probabilities[np.asarray(labels) == k].mean(0) for k in range(len(opinions.classes))]
    return np.round(each, 2)


# ---- what is found -------------------------------------------------------------------------------------------------


def average_precision(score, wrong) -> float:
    """Mean precision at the places of the wrong examples, hardest first; tied examples enter together (0..1).

    Chance is the share of wrong examples. score: (examples,), higher = easier; wrong: bool (examples,).
    """
    values, at = np.unique(cuts.vector(score), return_inverse=True)
    hits, seen = (np.cumsum(np.bincount(at, weights=w, minlength=len(values))) for w in (wrong, np.ones(len(wrong))))
    return float((np.diff(hits, prepend=0) / hits[-1] * hits / seen).sum())


def times_chance(score, wrong, share: float) -> float:
    """Wrong examples among the hardest `share`, over what chance puts there, ties in expectation; 1 is chance."""
    cut = cuts.cut_at(cuts.vector(score), "hard", share)
    return float(cut.membership() @ wrong / cut.k / np.mean(wrong))


def found_errors(opinions: Opinions, wrong) -> pd.DataFrame:
    """A row a score and judge (each net, and "all nets"): average precision, what it is over chance, and the tops.

    Columns: judge, score, average precision, chance, and "first 1%", "first 5%", "first 10%" (`times_chance`).
    """
    judges = {net: own for net, own in opinions.of_net.items() if len(opinions.of_net) > 1}
    rows = []
    for judge, own in (judges | {"all nets": opinions.scores | by_cleanlab(opinions)}).items():
        for score, values in own.items():
            row = {"judge": judge, "score": score, "average precision": average_precision(values, wrong)}
            row |= {f"first {share:.0%}": times_chance(values, wrong, share) for share in TOPS}
            rows.append(row | {"chance": float(np.mean(wrong))})
    return pd.DataFrame(rows)


def tried(ledger: Ledger, trials: Sequence[Trial], given, labels, about: Mapping) -> pd.DataFrame:
    """`found_errors` of one planting, as further columns `about` says: kind, share, planting.

    ledger: of this planting's trials, an `ensemble` that trained with the labels `given`, and of any others.
    """
    own = ledger.where(edit=[trial.edit for trial in trials])
    return found_errors(Opinions(own, given), np.asarray(given) != labels).assign(**about)


def label_issues(opinions: Opinions) -> np.ndarray | None:
    """What cleanlab's confident learning calls issues, by held-out probabilities: bool (examples,); None without it."""
    try:
        from cleanlab import filter as confident
    except ImportError:
        return None
    return confident.find_label_issues(labels=opinions.given, pred_probs=opinions.probabilities, n_jobs=1)


def by_cleanlab(opinions: Opinions) -> dict[str, np.ndarray]:
    """{"cleanlab": its issues first, by self-confidence}; {} where it is not there."""
    issues = label_issues(opinions)
    return {} if issues is None else {"cleanlab": opinions.scores[HELD_OUT] - issues}


def over_plantings(table: pd.DataFrame, column: str = "average precision") -> pd.DataFrame:
    """Mean and 95% interval over plantings of one column of `found_errors`, a row a kind, share, judge and score."""
    by = ["kind", "share", "judge", "score"]
    found = intervals.means_by(table, by, column).rename(columns={"n": "plantings"})
    return found.assign(chance=[group.chance.mean() for _, group in table.groupby(by, sort=False)])


def easiness_found(opinions: Opinions, wrong, m_values: Sequence[int]) -> pd.DataFrame:
    """Average precision of plain counts by net, N (trials that saw the image) and m: columns net, N, m, and that."""
    rows = []
    for net in opinions.ledger.models:
        looks = [_Look(record, opinions.given) for record in opinions.ledger.where(model=net).records]
        trained, hits = (_stacked(looks, of) for of in ("trained", "hits"))
        for most in range(1, int(trained.sum(0).min()) + 1):
            counted = trained & (np.cumsum(trained, axis=0) <= most)
            for m in m_values:
                found = average_precision((hits[:, m - 1] * counted).sum(0), wrong)
                rows.append({"net": net, "N": most, "m": m, "average precision": found})
    return pd.DataFrame(rows)


def at_hand(net: str, trials: int, data: str, images: int) -> Ledger | None:
    """The ledger of so many plain trials (m = 1) of a net if all are in the store or released; None: nothing trains."""
    if not sets.on_disk(sets.Name.of(data).plain):
        return None
    asked = [Trial(model=net, seed=seed, epochs=1, data=data, images=images) for seed in range(trials)]
    records = [Store().get(trial) for trial in asked]
    return None if None in records else Ledger(records)


# ---- what may be claimed -------------------------------------------------------------------------------------------


def mined_by_easiness(table: pd.DataFrame) -> Judged:
    """EH 9: easiness finds wrong labels, as far as its average precision lies above chance, of every kind and share."""
    points = _points(table, lambda rows: rows["easiness"] - rows["chance"])
    found = claims.judge(points, above=0)
    return Judged(found, "average precision minus chance, intervals over plantings; decided by {where}", "can be")


def held_out_finds_more(table: pd.DataFrame) -> Judged:
    """Nets that never saw an image find its wrong label better than easiness does (average precision, paired)."""
    points = _points(table, lambda rows: rows[HELD_OUT] - rows["easiness"])
    found = claims.judge(points, above=0)
    return Judged(found, "difference of average precisions on the same plantings; decided by {where}")


def _points(table: pd.DataFrame, value) -> dict:
    points, all_nets = {}, table[table.judge == "all nets"]
    for (kind, share), group in all_nets.groupby(["kind", "share"], sort=False):
        rows = group.pivot(index="planting", columns="score", values="average precision")
        rows["chance"] = group.groupby("planting").chance.first()
        points[f"{kind}, {share:.0%}"] = partial(intervals.t_interval, value(rows).to_numpy())
    return points


def mined_among(ledger: Ledger, wrong, share: float = 0.01) -> Judged:
    """EH 9 at the paper's scale: people contradict more of the hardest images than chance would have it."""
    statistic = partial(times_chance, wrong=wrong, share=share)
    found = intervals.jackknife(ledger.correct()[:, 0], None, statistic, limits=(0, np.inf))
    why = f"times chance among the hardest {share:.0%} (m = 1), {int(np.sum(wrong)):,} images; jackknife over trials"
    return Judged(claims.judge(found, above=1), why, "can be")
