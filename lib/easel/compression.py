"""Which examples a data set is reduced to, by easiness: so that a net trained on them comes near to one trained on all.

The idea is EH's later abstract's; how it chose is not known, so the ways to choose are ours [C]. From an easiness
(higher = easier) to the positions that are kept, drawn before any net is built; nothing is trained. Of K examples,
share K are kept, rounded to the nearest whole number, and what is dropped is
    "easiest"    the easiest: what is learned first, and often a copy of a neighbour
    "hardest"    the hardest: what is learned last, mislabelled and odd images among them
    "random"     anything: what the others must beat to be worth the counting
    "balanced"   the easiest of every class, the same share of each: the easiest alone would thin out the easy classes
    "window"     the easiest, and the very hardest: a tenth (WINDOW) of what is dropped goes at the hard end
Examples of one easiness are ordered by lot. (`easel.ablation` drops by Beta-distributed rank instead, as Fig. 4 does.)
"""

import numpy as np

from easel.ablation import shares
from easel.errors import UserError

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
    easiness, count = _checked(easiness, share, how, seed)
    groups, counts = [np.arange(len(easiness))], [count]
    if balanced or how == "balanced":
        labels = _labels(labels, len(easiness))
        groups = [np.flatnonzero(labels == c) for c in np.unique(labels)]
        counts = shares(count, np.array([len(group) for group in groups]))
    value, lot = easiness, _lots(len(easiness), seed, "ties")
    if how == "random":
        value, lot = np.zeros(len(easiness)), _lots(len(easiness), seed, "random")
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


def _lots(count: int, seed: int, purpose: str) -> np.ndarray:
    """uint64 (count,) from a stream of (seed, purpose): raw bits, which no NumPy version changes."""
    return np.random.PCG64([int(seed), *f"compression {purpose}".encode()]).random_raw(count)


def _checked(easiness: np.ndarray, share: float, how: str, seed: int) -> tuple[np.ndarray, int]:
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


def _labels(labels: np.ndarray | None, examples: int) -> np.ndarray:
    if labels is None:
        raise UserError("a class-balanced choice needs the labels of the examples: labels=ledger.labels")
    labels = np.asarray(labels)
    if labels.shape != (examples,) or labels.dtype.kind not in "iu":
        raise UserError(f"labels {labels.shape} {labels.dtype}: a whole number for each of {examples} examples")
    return labels
