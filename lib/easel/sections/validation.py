"""Are misclassified test examples hard? (EH Sec. 7.1, Fig. 5)

Easiness of test examples comes from trials on the merged data (`Trial(split="merged")`), errors from nets trained on
the training split alone. Pure functions on arrays: right, bool (trials, examples); wrong, bool (nets, examples), or as
a weight in 0..1 an example, such as the share of nets that misclassify it. Higher = easier; hard = lowest easiness.

It never trains, loads, draws a figure, or breaks a tie by chance. Which examples are "hard" follows `matching`:
ties at the cut are settled by expectation, and `bounds` says what any way of breaking them could have given.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats

from easel.compare.consistency import bool_nets
from easel.compare.cuts import IN, TIED, Cut, asked, cut_at, labels_of, level_of, vector
from easel.compare.intervals import Interval, crossed
from easel.errors import UserError
from easel.nets.names import label

FRACTIONS = (0.10, 0.20, 0.50)  # of the test examples that are called hard; the first is the paper's
RULES = ("one net", "most nets", "every net")


# ---- which examples, which nets ------------------------------------------------------------------------------------


def merged_images(images: int, training: int, test: int) -> int:
    """Size of the part of the merged data that holds about `images` training examples, and test ones in proportion.

    training, test: sizes of the whole splits. All of the training split gives all of the merged data.
    """
    if not 1 <= images <= training or test < 1:
        raise UserError(f"images={images} of {training} training and {test} test examples: 1..{training}, and a test")
    return round(images * (training + test) / training)


def test_examples(ids, training: int) -> tuple[np.ndarray, np.ndarray]:
    """The test examples in a part of the merged data: (their rows in the part, their positions in the test split).

    ids: (examples,) official order of the merged data, training examples first (`Dataset.ids`); training: how many
    those are in all. UserError where the part holds no test example.
    """
    ids = np.asarray(ids)
    rows = np.flatnonzero(ids >= training)
    if not len(rows):
        raise UserError(f"none of {len(ids)} merged examples is a test example: take a larger part")
    return rows, ids[rows] - training


def two_nets(models: Sequence[str]) -> dict[str, str]:
    """{net: its name in tables} of the two nets: the family's word, or the full name where both are of one family.

    UserError unless they are two different ones: errors of one net are compared with the easiness of the other.
    """
    models = list(models)
    if len(models) != 2 or models[0] == models[1]:
        raise UserError(f"models={models!r}: two different nets, such as ['wrn-16-4', 'resnext-29-4x64d']")
    words = {model: label(model) for model in models}
    return words if len(set(words.values())) == 2 else {model: model for model in models}


def weights(wrong, rule: str = "one net") -> np.ndarray:
    """How much each example counts as misclassified: float (examples,) in 0..1.

    wrong: bool (nets, examples). rule: "one net": the share of nets that misclassify it (what a net drawn at random
    does); "most nets": 1 if more than half do; "every net": 1 if all do. The last depends on how many nets there are.
    """
    wrong = bool_nets(wrong)
    if rule not in RULES:
        raise UserError(f"rule={rule!r}: one of {', '.join(RULES)}")
    share = wrong.mean(0)
    return share if rule == "one net" else (share > 0.5 if rule == "most nets" else wrong.all(0)).astype(float)


# ---- are they hard? ------------------------------------------------------------------------------------------------


def share_hard(easiness, wrong, *, fraction: float = 0.10) -> float:
    """The share of misclassified examples that are hard, in 0..1, ties at the cut by expectation; nan: no errors.

    easiness: (examples,), counts will do, higher = easier; wrong: (examples,) 0..1, misclassified (`weights`).
    sum p_i w_i / sum w_i, with p the probability that i is among the k hardest (`matching.inclusion`).
    Chance is the fraction, the most that any ranking can reach is `most`. UserError: see `matching.rate`.
    """
    x, w = _both(easiness, wrong)
    return _share(_hard(x, fraction).membership("expected"), w)


def share_bounds(easiness, wrong, *, fraction: float = 0.10) -> tuple[float, float]:
    """Lowest and highest `share_hard` that any breaking of the ties at the cut can give."""
    x, w = _both(easiness, wrong)
    cut, total = _hard(x, fraction), w.sum()
    if not total:
        return np.nan, np.nan
    sure, block = w[cut.code == IN].sum(), np.sort(w[cut.code == TIED])
    ends = block[: cut.missing].sum(), block[len(block) - cut.missing :].sum()
    return tuple(float((sure + end) / total) for end in ends)


def most(wrong, *, fraction: float = 0.10) -> float:
    """The highest share of misclassified examples that k hard ones can hold: those with the most errors are taken.

    Of plain right or wrong it is min(1, k / misclassified), so a share above it is impossible whatever the ranking.
    """
    w = _weights(wrong)
    k = _hard(w, fraction).k
    return float(np.sort(w)[len(w) - k :].sum() / w.sum()) if w.any() else np.nan


def class_chance(easiness, wrong, labels, *, fraction: float = 0.10) -> float:
    """`share_hard` if only the classes mattered: how often each class is hard and misclassified, but not who of it.

    sum over classes c of (hard in c) (misclassified in c) / (examples in c), over all misclassified. In 0..1; above the
    fraction where the hard classes are also those that nets confuse.
    """
    x, w = _both(easiness, wrong)
    labels = labels_of(labels, len(x))
    hard = np.bincount(labels, _hard(x, fraction).membership("expected"))
    missed = np.bincount(labels, w)
    return float((hard * missed / np.bincount(labels)).sum() / missed.sum()) if w.any() else np.nan


def curve(easiness, wrong, labels, fractions=None) -> pd.DataFrame:
    """`share_hard` against the fraction that is called hard (1..100% if none are given), with its comparisons.

    Columns: fraction, share, tie_low, tie_high (`bounds`), chance, class_chance, most.
    """
    x, w = _both(easiness, wrong)
    rows = []
    for fraction in np.arange(1, 101) / 100 if fractions is None else fractions:
        of = {"fraction": float(fraction)}
        chance = _hard(x, fraction).k / len(x)
        kept = class_chance(x, w, labels, **of)
        rows.append((*of.values(), share_hard(x, w, **of), *share_bounds(x, w, **of), chance, kept, most(w, **of)))
    return pd.DataFrame(rows, columns=["fraction", "share", "tie_low", "tie_high", "chance", "class_chance", "most"])


def auc(easiness, wrong, labels=None) -> float:
    """Area under the ROC curve of easiness as a sign of error: P(a right example is easier than a misclassified one).

    Ties count one half; .5 is chance, 1 a perfect order, nan where there are no errors or nothing else. With labels
    (examples,) only pairs of one class are compared, so that hard classes count for nothing. Needs no cut.
    With weights the pair of an example with itself is in the sum; that moves the value by less than 1 / examples.
    """
    x, w = _both(easiness, wrong)
    classes = np.zeros(len(x), np.int64) if labels is None else labels_of(labels, len(x))
    values, level = np.unique(x, return_inverse=True)
    cell, shape = classes * len(values) + level, (classes.max() + 1, len(values))
    missed, right = (np.bincount(cell, v, minlength=np.prod(shape)).reshape(shape) for v in (w, 1 - w))
    pairs = (missed.sum(1) * right.sum(1)).sum()
    won = (right * (missed.cumsum(1) - missed / 2)).sum()
    return float(won / pairs) if pairs else np.nan


def binned(easiness, probability, wrong, *, level: float = 0.95) -> pd.DataFrame:
    """Fig. 5's relation by tenths of easiness (rounded to the nearest): one row a tenth that is not empty.

    easiness, probability (mean probability of the true class), wrong: (examples,) in 0..1.
    Columns: easiness (mean of the bin), examples, probability (mean), low, high (t interval over the bin's images: what
    other images of this easiness would give; nan for one image), wrong (mean).
    """
    x, w = _both(easiness, wrong)
    y, rows = vector(probability), []
    if len(y) != len(x) or x.min() < 0 or x.max() > 1:
        raise UserError(f"easiness {x.min():g}..{x.max():g}, {len(x)} and {len(y)} examples: 0..1, one of each")
    tenth = np.floor(10 * x + 0.5 + 1e-9).astype(int)
    for at in np.unique(tenth):
        of = tenth == at
        n, mean = int(of.sum()), y[of].mean()
        reach = stats.t.ppf((1 + level_of(level)) / 2, n - 1) * y[of].std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
        low, high = np.clip([mean - reach, mean + reach], 0, 1)
        rows.append((x[of].mean(), n, mean, low, high, w[of].mean()))
    return pd.DataFrame(rows, columns=["easiness", "examples", "probability", "low", "high", "wrong"])


# ---- tables, with intervals over trials, nets and images -----------------------------------------------------------


def share_table(
    right: Mapping[str, np.ndarray],
    wrong: Mapping[str, np.ndarray],
    labels,
    *,
    fractions=FRACTIONS,
    rule: str = RULES[0],
    resamples: int = 200,
) -> pd.DataFrame:
    """Are the misclassified hard? Easiness of each net against errors of each net and of all: one row a measure.

    right: {net: bool (trials, examples)}, merged trials at m; wrong: {net: bool (nets, examples)}, the ensembles;
    labels: (examples,); rule: that of `weights`; resamples: of the intervals.
    Columns: easiness_of, errors_of ("both": all nets), nets ("same": the architecture is shared, which is circular;
    "other"; "both"), measure ("AUC" | "AUC within classes" | "hard 10%", ... | "hard, as many": as many examples as are
    misclassified), fraction (called hard; nan: no cut), value, low, high (`intervals.crossed`), chance, class_chance,
    most, tie_low, tie_high, n (examples).
    """
    rows = []
    for one, trials in right.items():
        for other, nets in [*((net, [group]) for net, group in wrong.items()), ("both", list(wrong.values()))]:
            found = crossed(_measures(fractions, rule), trials, *nets, labels=labels, resamples=resamples)
            x, w = trials.sum(0), weights(np.concatenate(nets), rule)
            of = {"easiness_of": one, "errors_of": other}
            of["nets"] = "both" if other == "both" else "same" if one == other else "other"
            for (measure, fraction), value in zip(_names(fractions, w), found, strict=True):
                row = {"measure": measure, "fraction": fraction, "value": value.estimate}
                row |= {"low": value.low, "high": value.high} | _against(x, w, labels, fraction)
                rows.append(of | row | {"n": value.n})
    return pd.DataFrame(rows)


def predictors(scores: Mapping[str, np.ndarray], wrong, labels, *, resamples: int = 200) -> pd.DataFrame:
    """How well different signs of hardness tell which examples are misclassified: one row a sign and measure.

    scores: {name: (units, examples)}, any numbers, summed over the units (trials or nets); higher = easier; units
    independent of the nets in wrong, bool (nets, examples). labels: (examples,).
    Columns: sign, measure ("AUC" | "AUC within classes"), value, low, high (`intervals.crossed`), units, n.
    """

    def both(units, nets, labels):
        x, w = units.sum(0), weights(nets)
        return [auc(x, w), auc(x, w, labels)]

    rows = []
    for name, units in scores.items():
        found = crossed(both, units, bool_nets(wrong), labels=labels, resamples=resamples)
        for measure, value in zip(("AUC", "AUC within classes"), found, strict=True):
            rows.append((name, measure, *value[:3], len(units), value.n))
    return pd.DataFrame(rows, columns=["sign", "measure", "value", "low", "high", "units", "n"])


# ---- helpers -------------------------------------------------------------------------------------------------------


def row_points(rows: pd.DataFrame) -> dict[str, Interval]:
    """For `claims.judge`: rows of `table` or `consistency` as {the first two columns: interval}."""
    names = rows.iloc[:, 0].astype(str) + " – " + rows.iloc[:, 1].astype(str)
    ends = rows[["value", "low", "high", "n"]].itertuples(index=False)
    return {name: Interval(*map(float, one[:3]), int(one[3])) for name, one in zip(names, ends, strict=True)}


def _measures(fractions, rule: str) -> Callable[..., list[float]]:
    def measure(trials, *nets_and_labels):
        *nets, labels = nets_and_labels
        x, w = trials.sum(0), weights(np.concatenate(nets), rule)
        shares = [share_hard(x, w, fraction=f) for _, f in _names(fractions, w)[2:]]
        return [auc(x, w), auc(x, w, labels), *shares]

    return measure


def _names(fractions, w: np.ndarray) -> list[tuple[str, float]]:
    as_many = max(float(w.mean()), 1 / len(w))
    cuts = [(f"hard {f:.0%}", float(f)) for f in fractions]
    return [("AUC", np.nan), ("AUC within classes", np.nan), *cuts, ("hard, as many", as_many)]


def _against(x: np.ndarray, w: np.ndarray, labels, fraction: float) -> dict[str, float]:
    names = ["chance", "class_chance", "most", "tie_low", "tie_high"]
    if np.isnan(fraction):
        return dict(zip(names, [0.5, np.nan, 1.0, np.nan, np.nan], strict=True))
    row = curve(x, w, labels, [fraction]).iloc[0]
    return {name: float(row[name]) for name in names}


def _hard(x: np.ndarray, fraction: float) -> Cut:
    return cut_at(x, *asked("hard", fraction))


def _share(p: np.ndarray, w: np.ndarray) -> float:
    return float((p * w).sum() / w.sum()) if w.any() else np.nan


def _both(easiness, wrong) -> tuple[np.ndarray, np.ndarray]:
    x, w = vector(easiness), _weights(wrong)
    if len(x) != len(w):
        raise UserError(f"easiness of {len(x)} and errors of {len(w)} examples: give the same examples")
    return x, w


def _weights(wrong) -> np.ndarray:
    w = vector(wrong)
    if w.min() < 0 or w.max() > 1:
        raise UserError(f"wrong from {w.min():g} to {w.max():g}: the share of nets that misclassify an example, 0..1")
    return w
