"""Are misclassified test examples hard? (EH Sec. 7.1, Fig. 5)

Easiness of test examples comes from trials on the merged data (`Trial(split="merged")`), errors from nets trained on
the training split alone. Arrays: right, bool (trials, examples); wrong, bool (nets, examples), or (examples,) in 0..1,
such as the share of nets that misclassify an example. Higher = easier; hard = lowest easiness.

It never trains, loads, draws a figure, pairs two nets of one seed, or breaks a tie by chance: ties at the cut are
settled by expectation, and `curve` says what any way of breaking them could have given.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from easel.compare import claims, scores
from easel.compare.claims import Judged
from easel.compare.consistency import by_seed
from easel.compare.cuts import IN, TIED, asked, classes_of, cut_at, labels_of, vector
from easel.compare.intervals import crossed, t_interval
from easel.data.sets import with_files
from easel.errors import UserError
from easel.ledger.store import Ledger
from easel.nets.names import shown_as

FRACTIONS = (0.10, 0.20, 0.50)  # of the test examples that are called hard; the first is the paper's
AREAS = ("AUC", "AUC within classes")


def merged_images(images: int, training: int, test: int) -> int:
    """Size of the part of the merged data that holds about `images` training examples, and test ones in proportion.

    training, test: sizes of the whole splits. All of the training split gives all of the merged data.
    """
    if not 1 <= images <= training or test < 1:
        raise UserError(f"images={images} of {training} training and {test} test examples: 1..{training}, and a test")
    return round(images * (training + test) / training)


def two_nets(models: Sequence[str]) -> dict[str, str]:
    """{net: its name in tables} of two different nets; UserError else: errors of one meet the easiness of the other."""
    if len(models) != 2 or models[0] == models[1]:
        raise UserError(f"models={models!r}: two different nets, such as ['wrn-16-4', 'resnext-29-4x64d']")
    return shown_as(models)


class TestImages:
    """The test images of a part of the merged data, as two nets find them: easy or hard, right or wrong.

    merged: a ledger of trials on that part, with probability; ensembles: one of nets of the training split, with
    probability and prediction of the views test@1 and test@LAST; training: examples of the whole training split.
    labels, positions (in the test split): (examples,). Of the merged trials at m = 1, {net: ...}: right, bool (trials,
    examples); sure, the true class's probability; easiness, (examples,). Of the ensembles: predictions, int (nets,
    examples); wrong, bool; probability; unseen, bool: right after their first epoch. Net i of both has one seed: where
    one diverged, both are left out. everyone: all of wrong; about: how many of what, for captions. UserError: no test
    image in the part.
    """

    def __init__(self, merged: Ledger, ensembles: Ledger, training: int):
        rows = np.flatnonzero(merged.ids >= training)
        if not len(rows):
            raise UserError(f"none of {len(merged.ids)} merged examples is a test example: take a larger part")
        self.labels, self.positions = merged.labels[rows], merged.ids[rows] - training
        self.examples = merged.examples.take(rows)
        self.names, last = two_nets(merged.models), f"test@{ensembles.epochs}"
        seeds = [{trial.seed for trial in ensembles.where(model=model).trials} for model in self.names]
        self.right, self.sure, self.easiness = {}, {}, {}
        self.predictions, self.wrong, self.probability, self.unseen = {}, {}, {}, {}
        for model, net in self.names.items():
            trials, nets = merged.where(model=model), ensembles.where(model=model, seed=set.intersection(*seeds))
            self.right[net] = trials.correct()[:, 0, rows]
            self.sure[net] = trials.values("probability")[:, 0, rows]
            self.easiness[net] = scores.easiness(trials)[rows]
            self.predictions[net] = nets.predictions(last)[:, 0, self.positions]
            self.wrong[net] = self.predictions[net] != self.labels
            self.probability[net] = nets.values("probability", last)[:, 0, self.positions]
            self.unseen[net] = nets.correct("test@1")[:, 0, self.positions]
        self.everyone = np.concatenate(list(self.wrong.values()))
        lost = len(merged.diverged) + len(ensembles.diverged)
        self.about = f"{len(rows):,} test images; both nets together: {len(merged)} merged trials (m = 1) and "
        self.about += f"{len(self.everyone)} trained for {ensembles.epochs} epochs, {lost or 'none'} diverged"

    def kind(self, word: str) -> np.ndarray:
        """Ten images at most, "easy_wrong" (wrong in every net), "hard_wrong" or "hard_right" (right in every net)."""
        c = sum(right.sum(axis=0) for right in self.right.values())
        same = self.everyone.all(axis=0) if word.endswith("wrong") else ~self.everyone.any(axis=0)
        order = np.where(same, -c if word.startswith("easy") else c, np.inf)
        return order.argsort(kind="stable")[: min(10, same.sum())]

    def titles(self, shown: np.ndarray, classes: Sequence[str]) -> list[str]:
        """Of each of these images its class, and the one that most nets name."""
        named = np.concatenate(list(self.predictions.values()))
        words = [f"{classes[self.labels[i]]}\n→ {classes[np.bincount(named[:, i]).argmax()]}" for i in shown]
        return with_files(words, self.examples, shown)


# ---- are they hard? ------------------------------------------------------------------------------------------------


def share_hard(easiness, wrong, *, fraction: float = 0.10) -> float:
    """The share of misclassified examples that are hard, in 0..1, ties at the cut by expectation; nan: no errors.

    easiness: (examples,), counts will do, higher = easier; wrong: (examples,) in 0..1.
    sum p_i w_i / sum w_i, with p the probability that i is among the k hardest. UserError: see `matching.rate`.
    """
    x, w = _both(easiness, wrong)
    hard = cut_at(x, *asked("hard", fraction)).membership()
    return float((hard * w).sum() / w.sum()) if w.any() else np.nan


def curve(easiness, wrong, labels, fractions: Iterable[float] = np.arange(1, 101) / 100) -> pd.DataFrame:
    """`share_hard` against the fraction that is called hard, and what it is to be read against: a row a fraction.

    Columns, nan without errors but for chance: fraction; share; tie_low, tie_high: by any breaking of the ties; chance:
    of a random ranking, k / examples; class_chance: were only the classes alike, as many hard and as many misclassified
    in each as there are, but not the same ones; most: of the best ranking, the k examples with most errors.
    """
    x, w = _both(easiness, wrong)
    labels = labels_of(labels, len(x))
    rows = []
    for fraction in map(float, fractions):
        cut = cut_at(x, *asked("hard", fraction))
        hard, sure, block = cut.membership(), w[cut.code == IN].sum(), np.sort(w[cut.code == TIED])
        ties = sure + block[: cut.missing].sum(), sure + block[len(block) - cut.missing :].sum()
        by_class = np.bincount(labels, hard) * np.bincount(labels, w) / np.bincount(labels)
        errors = np.array([(hard * w).sum(), *ties, by_class.sum(), np.sort(w)[len(w) - cut.k :].sum()])
        share, low, high, kept, most = errors / w.sum() if w.any() else np.full(5, np.nan)
        rows.append((fraction, share, low, high, cut.k / len(x), kept, most))
    return pd.DataFrame(rows, columns=["fraction", "share", "tie_low", "tie_high", "chance", "class_chance", "most"])


def auc(easiness, wrong, labels=None) -> float:
    """Area under the ROC curve of easiness as a sign of error: P(a right example is easier than a misclassified one).

    Ties count one half; .5 is chance, 1 a perfect order, nan where there are no errors or nothing else. With labels
    (examples,) only pairs of one class are compared, so that hard classes count for nothing. Needs no cut.
    With weights the pair of an example with itself is in the sum; that moves the value by less than 1 / examples.
    """
    x, w = _both(easiness, wrong)
    classes = classes_of(labels, len(x))
    values, level = np.unique(x, return_inverse=True)
    cell, shape = classes * len(values) + level, (classes.max() + 1, len(values))
    missed, right = (np.bincount(cell, v, minlength=np.prod(shape)).reshape(shape) for v in (w, 1 - w))
    pairs = (missed.sum(1) * right.sum(1)).sum()
    won = (right * (missed.cumsum(1) - missed / 2)).sum()
    return float(won / pairs) if pairs else np.nan


def binned(easiness, probability, wrong) -> pd.DataFrame:
    """Fig. 5's relation by tenths of easiness (rounded to the nearest): one row a tenth that is not empty.

    easiness, probability (mean probability of the true class), wrong: (examples,) in 0..1.
    Columns: easiness (mean of the bin), examples, probability (mean), low, high (95% t interval over the bin's images:
    what other images of this easiness would give; nan for one image), wrong (mean).
    """
    x, w = _both(easiness, wrong)
    y, rows = vector(probability), []
    if len(y) != len(x) or x.min() < 0 or x.max() > 1:
        raise UserError(f"easiness {x.min():g}..{x.max():g}, {len(x)} and {len(y)} examples: 0..1, one of each")
    tenth = np.floor(10 * x + 0.5 + 1e-9).astype(int)
    for at in np.unique(tenth):
        of = tenth == at
        mean, low, high, n = t_interval(y[of])
        rows.append((x[of].mean(), n, mean, *np.clip([low, high], 0, 1), w[of].mean()))
    return pd.DataFrame(rows, columns=["easiness", "examples", "probability", "low", "high", "wrong"])


def rules_table(images: TestImages) -> pd.DataFrame:
    """The shares that are hard of the errors of one net, of more than half of all nets, and of every net."""
    share, rows = images.everyone.mean(axis=0), []
    for rule, wrong in {"one net": share, "most nets": share > 0.5, "every net": share == 1}.items():
        for net, right in images.right.items():
            found = curve(right.sum(axis=0), wrong, images.labels, FRACTIONS)
            rows.append((rule, wrong.mean(), net, *found.share, found.most[0], auc(right.sum(axis=0), wrong)))
    hard = [f"hard {fraction:.0%}" for fraction in FRACTIONS]
    return pd.DataFrame(rows, columns=["misclassified by", "images", "easiness of", *hard, "most at 10%", "AUC"])


# ---- with intervals over trials, nets and images -------------------------------------------------------------------


def share_table(
    right: Mapping[str, np.ndarray], wrong: Mapping[str, np.ndarray], labels, *, resamples: int = 200
) -> pd.DataFrame:
    """Are the misclassified hard? Easiness of each net against errors of each net and of all: one row a measure.

    right: {net: bool (trials, examples)}, merged trials at m; wrong: {net: bool (nets, examples)}, the ensembles, of
    other seeds; labels: (examples,); resamples: of the intervals.
    Columns: easiness_of, errors_of ("both": all nets), nets ("same": the architecture is shared, which is circular;
    "other"; "both"), measure (AREAS, then "hard 10%", ... of FRACTIONS | "hard, as many": as many examples as are
    misclassified), fraction (called hard; nan: no cut), value, low, high (`intervals.crossed`), chance, class_chance,
    most, tie_low, tie_high (`curve`), n (examples).
    """
    parts, free = [], pd.DataFrame({"chance": [0.5, 0.5], "most": [1.0, 1.0]})  # of AREAS: no cut, no ties
    for one, trials in right.items():
        for other, nets in [*((net, [group]) for net, group in wrong.items()), ("both", list(wrong.values()))]:
            found = crossed(_measures, trials, *nets, labels=labels, resamples=resamples)
            x, w = trials.sum(0), np.concatenate(nets).mean(0)
            part = pd.concat([free, curve(x, w, labels, _cuts(w).values())], ignore_index=True)
            part[["value", "low", "high", "n"]] = [list(value) for value in found]
            who = "both" if other == "both" else "same" if one == other else "other"
            part = part.assign(easiness_of=one, errors_of=other, nets=who, measure=[*AREAS, *_cuts(w)])
            parts.append(part.astype({"n": int}))
    columns = "easiness_of errors_of nets measure fraction value low high chance class_chance most tie_low tie_high n"
    return pd.concat(parts, ignore_index=True)[columns.split()]


def signs_of_error(images: TestImages, errors_of: str, *, resamples: int = 200) -> pd.DataFrame:
    """How well six signs tell which images one net misclassifies, five of them taken from the other net.

    The last three add up a unit fewer than the ensemble has nets, so that no net meets its own seed: the errors of net
    i are told by all but unit i, and the mean over the nets is taken. The merged trials, of other seeds, are treated in
    the same way, to be comparable.
    Columns: sign, measure (AREAS), value, low, high (`intervals.crossed`; nan where two nets are too few), units (added
    up), n (images), errors_of.
    """
    wrong, rows = images.wrong[errors_of], []
    (net,) = images.right.keys() - {errors_of}
    few = min(len(images.right[net]), len(wrong))
    signs = {f"{net}, count": images.right[net], f"{errors_of} itself, count": images.right[errors_of]}
    signs[f"{net}, mean probability"] = images.sure[net]
    signs[f"{net}, count, {few - 1} trained on them"] = by_seed(images.right[net][:few], wrong[:few])
    signs[f"{net}, count, {few - 1} never trained on them"] = by_seed(images.unseen[net][:few], wrong[:few])
    signs[f"{net}, count, {few - 1} finished nets"] = by_seed(~images.wrong[net][:few], wrong[:few])
    for sign, units in signs.items():
        in_turn = units.dtype.names is not None
        found = crossed(_told, *([units] if in_turn else [units, wrong]), labels=images.labels, resamples=resamples)
        for measure, value in zip(AREAS, found, strict=True):
            rows.append((sign, measure, *value[:3], len(units) - in_turn, value.n, errors_of))
    return pd.DataFrame(rows, columns=["sign", "measure", "value", "low", "high", "units", "n", "errors_of"])


# ---- what may be claimed -------------------------------------------------------------------------------------------


def mostly_hard(table: pd.DataFrame, measure: str) -> Judged | None:
    """Most of one net's errors are hard for the other, word by word: above one half and what classes give, both ways.

    table: `share_table`'s; None where even a perfect ranking would not put half of the errors there.
    """
    rows = _of_the_other(table, measure)
    if rows.most.min() <= 0.5:
        return None
    found = _above(rows, rows.class_chance.clip(lower=0.5), paper="most")
    weaker = rows[_named(rows) == found.finding.where].iloc[0]
    tie = f"ties {weaker.tie_low:.2f} to {weaker.tie_high:.2f}"
    why = f"weaker: {{where}}; by class {weaker.class_chance:.2f}, possible {weaker.most:.2f}, {tie}"
    return found._replace(why=why)


def easier_when_right(table: pd.DataFrame) -> Judged:
    """A right example is easier than a misclassified one of its class: the area within classes is above chance."""
    return _above(_of_the_other(table, "AUC within classes"), 0.5)


def beyond_hard_classes(table: pd.DataFrame) -> Judged:
    """The hardest tenth holds more of the errors than it would if hard classes were all there is."""
    rows = _of_the_other(table, "hard 10%")
    return _above(rows, rows.class_chance)


def consistent(alike: pd.DataFrame, measure: str) -> Judged:
    """Two nets err alike (`consistency.consistency`): a kappa above 0; "shared errors" above one half and chance."""
    rows = alike[(alike.a != alike.b) & (alike.measure == measure)]
    return _above(rows, rows.chance.clip(lower=0.5) if measure == "shared errors" else 0.0)


# ---- helpers -------------------------------------------------------------------------------------------------------


def _above(rows: pd.DataFrame, bar, why: str = "", paper: str = "yes") -> Judged:
    """Whether every row, named by its first two columns, lies above its bar, one number or one a row."""
    points = claims.row_points(rows, _named(rows))
    bars = dict(zip(points, np.broadcast_to(bar, len(points)), strict=True))
    found = claims.judge(points, above=bars, steady=np.inf)  # n counts images
    return Judged(found, why or f"weaker: {{where}}; to be above {np.max(bar):.2f}", paper)


def _named(rows: pd.DataFrame) -> pd.Series:
    return rows.iloc[:, 0].astype(str) + " – " + rows.iloc[:, 1].astype(str)


def _of_the_other(table: pd.DataFrame, measure: str) -> pd.DataFrame:
    """The rows in which no net speaks about its own architecture."""
    return table[(table.nets == "other") & (table.measure == measure)]


def _told(units: np.ndarray, *nets_and_labels: np.ndarray) -> np.ndarray:
    """AREAS of the units' sum as a sign of the nets' errors; of `by_seed`, each net is told by the other seeds."""
    *nets, labels = nets_and_labels
    if nets:
        x, w = units.sum(0), nets[0].mean(0)
        return np.array([auc(x, w), auc(x, w, labels)])
    others = [(np.delete(units["a"], at, axis=0), units["b"][[at]]) for at in range(len(units)) if len(units) > 1]
    return np.mean([_told(*pair, labels) for pair in others] or [[np.nan, np.nan]], axis=0)


def _measures(trials: np.ndarray, *nets_and_labels: np.ndarray) -> list[float]:
    *nets, labels = nets_and_labels
    x, w = trials.sum(0), np.concatenate(nets).mean(0)
    return [auc(x, w), auc(x, w, labels), *(share_hard(x, w, fraction=fraction) for fraction in _cuts(w).values())]


def _cuts(w: np.ndarray) -> dict[str, float]:
    """{measure: the fraction that it calls hard}."""
    return {f"hard {f:.0%}": f for f in FRACTIONS} | {"hard, as many": max(float(w.mean()), 1 / len(w))}


def _both(easiness, wrong) -> tuple[np.ndarray, np.ndarray]:
    x, w = vector(easiness), vector(wrong)
    if len(x) != len(w):
        raise UserError(f"easiness of {len(x)} and errors of {len(w)} examples: give the same examples")
    if w.min() < 0 or w.max() > 1:
        raise UserError(f"wrong from {w.min():g} to {w.max():g}: the share of nets that misclassify an example, 0..1")
    return x, w
