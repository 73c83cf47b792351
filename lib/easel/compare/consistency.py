"""Are the misclassified examples the same for every net? Error consistency, beyond what accuracies and classes give.

EH (Sec. 1, 7.1) says that misclassified examples are consistent. Pure functions of predicted classes, int (nets,
examples), and true ones, (examples,). It never trains, loads or draws a figure.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from easel.compare.cuts import array, labels_of
from easel.compare.intervals import crossed
from easel.errors import UserError, answers

MEASURES = ("kappa", "kappa within classes", "shared errors", "same wrong class")


def by_seed(a, b) -> np.ndarray:
    """Two arrays (nets, examples), row i of both from one seed, as one array with the fields a and b.

    Trials of one seed share batch order and augmentation, so two nets of one seed agree by more than the images. Their
    pair is not independent of itself; the pairs of different seeds are, and a row here is what can be left out.
    UserError: shapes that differ.
    """
    a, b = array(a), array(b)
    if a.shape != b.shape:
        raise UserError(f"{a.shape} and {b.shape}: give nets of the same seeds, on the same examples")
    rows = np.empty(a.shape, [("a", a.dtype), ("b", b.dtype)])
    rows["a"], rows["b"] = a, b
    return rows


@answers(a="numbers", b="numbers", labels="numbers", paired="True or False")
def error_agreement(a, b, labels, *, paired: bool = False) -> np.ndarray:
    """How alike the errors of two groups of nets are, mean over their pairs of nets: float (4,), MEASURES' order.

    a, b: predicted classes, (nets, examples) each, of the same examples; b None: the pairs of nets within a.
      kappa                 error consistency (Geirhos et al. 2020), -1..1: (observed - expected) / (1 - expected) of
                            "both right or both wrong"; expected: as accurate, but independent. 0: chance
      kappa within classes  the same, where expected also keeps each net's accuracy in each class, so that agreeing on
                            which classes are hard counts for nothing
      shared errors         the share of one net's errors that the other net makes too, 0..1
      same wrong class      the share of those at which both name the same wrong class, 0..1
    paired: net i of a and net i of b have one seed (`by_seed`), and are not compared.
    nan: kappa where neither net errs, shared errors where one does not, same wrong class where no pair shares any, and
    all where no pair is left. UserError: shapes that do not fit, negative classes, one net where b is None.
    """
    found = []
    for pair in _pairs(a, b, labels, paired):
        both = pair.miss_a & pair.miss_b
        found.append(_measured(pair, np.count_nonzero(both), np.count_nonzero(both & (pair.a == pair.b))))
    return _mean(found)


@answers(a="numbers", b="numbers", labels="numbers", paired="True or False")
def by_chance(a, b, labels, *, paired: bool = False) -> np.ndarray:
    """What `error_agreement` would be if the nets erred independently, each as often in each class as it does: (4,).

    kappa is above 0 where they find the same classes hard; wrong classes are drawn from each net's own errors there.
    """
    chance = []
    for pair in _pairs(a, b, labels, paired):
        words = (_shares(pair.a, pair) * _shares(pair.b, pair)).sum(1)  # (classes,) P(both name the same wrong one)
        kappa, _, *rest = _measured(pair, pair.joint.sum(), (pair.joint * words).sum())
        chance.append((kappa, 0.0, *rest))
    return _mean(chance)


def consistency(
    predictions: Mapping[str, np.ndarray], labels, *, paired: bool = False, resamples: int = 200
) -> pd.DataFrame:
    """Every architecture's nets with each other and with the other architectures' nets: one row a pair and measure.

    predictions: {net: int (nets, examples)}; paired: net i of each has one seed, and equal seeds are not compared.
    Columns: a, b, measure (MEASURES), value, low, high (other nets, other images: `intervals.crossed`; nan where one
    of two nets or seeds is left), chance (`by_chance`), n (examples).
    """
    rows, nets = [], list(predictions)
    for at, a in enumerate(nets):
        for b in nets[at:]:
            groups = [predictions[a]] if a == b else [predictions[a], predictions[b]]
            units = [by_seed(*groups)] if paired and a != b else groups
            found = crossed(_statistic, *units, labels=labels, limits=(-1.0, 1.0), resamples=resamples)
            chance = by_chance(groups[0], None if a == b else groups[1], labels, paired=paired)
            for measure, value, expected in zip(MEASURES, found, chance, strict=True):
                rows.append((a, b, measure, *value[:3], float(expected), value.n))
    return pd.DataFrame(rows, columns=["a", "b", "measure", "value", "low", "high", "chance", "n"])


@answers(wrong="numbers", labels="numbers")
def times_wrong(wrong, labels) -> pd.DataFrame:
    """How many of the nets misclassify an example: columns count (0..nets), share of the examples, chance.

    wrong: bool (nets, examples). chance: the share if every net erred as often in each class as it does, but
    independently of the others (a convolution of Bernoulli laws, class by class).
    """
    wrong = bool_nets(wrong)
    labels = labels_of(labels, wrong.shape[1])
    chance = np.zeros(len(wrong) + 1)
    for c in range(labels.max() + 1):
        own = wrong[:, labels == c]
        law = np.ones(1)
        for rate in own.mean(1):
            law = np.convolve(law, [1 - rate, rate])
        chance += law * own.shape[1] / wrong.shape[1]
    share = np.bincount(wrong.sum(0), minlength=len(wrong) + 1) / wrong.shape[1]
    return pd.DataFrame({"count": np.arange(len(wrong) + 1), "share": share, "chance": chance})


# ---- one pair of nets ----------------------------------------------------------------------------------------------


class _Pair(NamedTuple):
    """Two nets on the same examples, sorted by class."""

    a: np.ndarray  # (examples,) predicted
    b: np.ndarray
    labels: np.ndarray  # (examples,) 0..classes-1, ascending
    miss_a: np.ndarray  # (examples,) bool
    miss_b: np.ndarray
    misses_a: np.ndarray  # (classes,) how many
    misses_b: np.ndarray
    sizes: np.ndarray  # (classes,) examples

    @property
    def joint(self) -> np.ndarray:
        """(classes,) errors that both would make if they erred independently there."""
        return self.misses_a * self.misses_b / self.sizes


def _pairs(a, b, labels, paired: bool):
    a, alone = _predicted(a, 2 if b is None else 1), b is None
    b, labels = a if alone else _predicted(b, 1), array(labels)
    if not labels.shape == a.shape[1:] == b.shape[1:]:
        raise UserError(f"predictions {a.shape} and {b.shape}, labels {labels.shape}: give the same examples")
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order], prepend=labels[order[0]] - 1))
    miss = [(group != labels)[:, order] for group in (a, b)]
    misses = [np.add.reduceat(m, starts, axis=1, dtype=float) for m in miss]
    sizes, (a, b) = np.diff(starts, append=len(labels)), (a[:, order], b[:, order])
    classes = np.repeat(np.arange(len(sizes)), sizes)
    for i in range(len(a)):
        for j in range(i + 1 if alone else 0, len(b)):
            if paired and not alone and i == j:
                continue
            yield _Pair(a[i], b[j], classes, miss[0][i], miss[1][j], misses[0][i], misses[1][j], sizes)


def _measured(pair: _Pair, together: float, same: float) -> tuple[float, ...]:
    """MEASURES of two nets that err together on so many examples, and name the same wrong class on so many of them."""
    e, f, n = pair.misses_a.sum(), pair.misses_b.sum(), len(pair.labels)
    by_chance, within = e * f / n**2, pair.joint.sum() / n
    with np.errstate(invalid="ignore", divide="ignore"):
        kappas = [(together / n - expected) / ((e + f) / n / 2 - expected) for expected in (by_chance, within)]
        return *kappas, together * (1 / e + 1 / f) / 2, np.divide(same, together)


def _shares(predicted: np.ndarray, pair: _Pair) -> np.ndarray:
    """(classes, words): how a net's errors in each class are shared out over the classes that it names instead."""
    miss = pair.miss_a if predicted is pair.a else pair.miss_b
    words = int(max(pair.a.max(), pair.b.max())) + 1
    counts = np.bincount(pair.labels[miss] * words + predicted[miss], minlength=len(pair.sizes) * words)
    counts = counts.reshape(len(pair.sizes), words)
    return counts / np.maximum(counts.sum(1, keepdims=True), 1)


def _mean(pairs: list[tuple]) -> np.ndarray:
    """Mean over pairs of nets; of the last column over the pairs that share an error."""
    if not pairs:
        return np.full(len(MEASURES), np.nan)
    values = np.array(pairs, float)
    mean, last = values.mean(0), values[np.isfinite(values[:, -1]), -1]
    mean[-1] = last.mean() if len(last) else np.nan
    return mean


def _statistic(a: np.ndarray, *rest: np.ndarray) -> np.ndarray:
    """`error_agreement` as `intervals.crossed` calls it; nan where one net of a group is left."""
    *b, labels = rest
    if a.dtype.names:  # of `by_seed`
        return error_agreement(a["a"], a["b"], labels, paired=True)
    if not b and len(a) < 2:
        return np.full(len(MEASURES), np.nan)
    return error_agreement(a, b[0] if b else None, labels)


def bool_nets(wrong) -> np.ndarray:
    """The array itself, if it is bool (nets, examples) with at least one of each; else a UserError."""
    wrong = array(wrong)
    if wrong.ndim != 2 or wrong.dtype != bool or 0 in wrong.shape:
        raise UserError(f"wrong of shape {wrong.shape} and type {wrong.dtype}: give bool (nets, examples)")
    return wrong


def _predicted(predictions, least: int) -> np.ndarray:
    predictions = array(predictions)
    fits = predictions.ndim == 2 and predictions.dtype.kind in "iu" and len(predictions) >= least
    if not fits or not predictions.shape[1] or predictions.min() < 0:
        shape = f"{predictions.shape} {predictions.dtype}"
        raise UserError(f"predictions {shape}: classes from 0, int (nets, examples), {least} or more nets")
    return predictions
