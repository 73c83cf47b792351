"""Where a ranking is cut, and who is in, out or tied: the arithmetic under `compare.matching`, and all refusals.

A cut sorts examples into out (0), tied at the cut (1) and in (2). Every tie rule and every bound is a function of how
many there are of each, and of how often code i of one ranking meets code j of another. No tie is broken by chance, no
array changed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from easel.errors import UserError, is_whole, one_line

WHICH = ("easy", "hard")
TIES = ("expected", "inclusive", "index")
OUT, TIED, IN = 0, 1, 2  # codes of a cut
ROUNDING = 1e-9  # what arithmetic may move: .145 * 100 is 14.499999999999998


@dataclass(frozen=True, eq=False)
class Cut:
    """Where one ranking is cut: everyone out, tied at the cut, or in."""

    code: np.ndarray  # int8 (examples,): OUT, TIED or IN
    k: int  # size of the set
    missing: int  # how many of the tied are still to be let in, 1..tied; 0 once ties are cut
    tied: int  # size of the tie block

    @property
    def share(self) -> float:
        """Inclusion probability of a tied example."""
        return self.missing / self.tied if self.tied else 0.0

    @cached_property
    def words(self) -> np.ndarray:
        """uint64 (2, examples / 64): who is TIED and who is IN, a bit each, zeros at the end."""
        bits = np.packbits([self.code == TIED, self.code == IN], axis=1)
        return np.pad(bits, ((0, 0), (0, -bits.shape[1] % 8))).view(np.uint64)

    @cached_property
    def sizes(self) -> np.ndarray:
        """int64 (2,): how many are TIED and how many are IN."""
        return np.bitwise_count(self.words).sum(1, dtype=np.int64)

    def membership(self, ties: str = "expected") -> np.ndarray:
        """float (examples,): how far each example is in the set, under a tie rule."""
        return np.array([0.0, 1.0 if ties == "inclusive" else self.share, 1.0])[self.code]


def cut_at(
    x: np.ndarray, which: str, fraction: float, *, ordered: np.ndarray | None = None, index: bool = False
) -> Cut:
    """The cut of the easiest or hardest k = fraction * examples (halves up, at least 1) of a ranking."""
    n = len(x)
    k = min(n, max(1, int(np.floor(fraction * n + 0.5 + ROUNDING))))
    at = n - k if which == "easy" else k - 1
    value = (np.partition(x, at) if ordered is None else ordered)[at]
    sure, tied = (x > value if which == "easy" else x < value), x == value
    code = sure * np.int8(IN) + tied * np.int8(TIED)
    block, missing = int(np.count_nonzero(tied)), k - int(np.count_nonzero(sure))
    if index:
        code[np.flatnonzero(tied)[:missing]] = IN
        code[code == TIED] = OUT
        block = missing = 0
    return Cut(code, k, missing, block)


def meetings(a: Cut, b: Cut) -> np.ndarray:
    """(2, 2): number of examples that are TIED or IN under a and TIED or IN under b; sizes give the rest."""
    return np.bitwise_count(a.words[:, None] & b.words).sum(-1, dtype=np.int64)


def rate_of(a: Cut, b: Cut, ties: str = "expected") -> float:
    """Matching rate of two sets under a tie rule (`matching.rate`), from the table of their codes."""
    both = meetings(a, b)
    if ties == "inclusive":
        return float(both.sum() / max(a.sizes.sum(), b.sizes.sum()))
    (tied, tied_in), (in_tied, sure) = both.tolist()  # Python's own numbers: called some 10,000 times a table
    p, q = a.share, b.share
    return (sure + (p * tied_in + q * in_tied) + p * q * tied) / a.k


def bounds_of(a: Cut, b: Cut) -> tuple[float, float]:
    """Lowest and highest matching rate that any breaking of both rankings' ties can give."""
    (both, into_b), (into_a, sure) = meetings(a, b).tolist()
    # most: each side spends its missing places first on what the other has for sure, then both meet in the common block
    hit_a, hit_b = min(into_b, a.missing), min(into_a, b.missing)
    most = hit_a + hit_b + min(both, a.missing - hit_a, b.missing - hit_b)
    # least: first on what the other has not; the rest avoids the other within the common block while there is room
    forced = max(0, a.missing - (a.tied - both - into_b)) + max(0, b.missing - (b.tied - both - into_a))
    least = max(0, forced - both)
    return (sure + least) / a.k, (sure + most) / a.k


def stratified(a: Cut, b: Cut, labels: np.ndarray, ties: str = "expected") -> float:
    """Matching rate of two sets if only the classes mattered (`matching.stratified_chance`)."""
    return composition(*(by_class_of(one, labels, ties) for one in (a, b)), np.bincount(labels))


def by_class_of(cut: Cut, labels: np.ndarray, ties: str = "expected") -> np.ndarray:
    """float (classes,): expected members of each class under a tie rule."""
    return np.bincount(labels, weights=cut.membership(ties))


def composition(a: np.ndarray, b: np.ndarray, examples: np.ndarray) -> float:
    """Matching rate if only the classes mattered, from the members of each class in two sets and the class sizes."""
    return float((a * b / examples).sum() / max(a.sum(), b.sum()))


def unit(x: np.ndarray) -> np.ndarray | None:
    """x centred and of length 1; None where it is constant."""
    if np.all(x == x[0]):
        return None
    x = x - x.mean(dtype=float)
    return x / np.sqrt(_dot(x, x))


def correlation(a: np.ndarray | None, b: np.ndarray | None) -> float:
    """Correlation of two vectors of `unit`, in -1..1; nan where one was constant."""
    return np.nan if a is None or b is None else float(np.clip(_dot(a, b), -1.0, 1.0))


def ceiling(own, other) -> np.ndarray:
    """What two nets can share at most: the geometric mean of what each shares with itself; nan if that is not above 0.

    The ratio to it is freed from the trials' noise (Spearman 1904: disattenuated).
    """
    both = np.asarray(own) * other
    return np.sqrt(np.where(both > 0, both, np.nan))


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    return np.einsum("i,i", a, b)  # not BLAS, whose threads wait for each other on cores that are busy


# ---- what is asked, checked ----------------------------------------------------------------------------------------


def chosen(name: str, value: str, allowed: Sequence[str]) -> str:
    """One of some words."""
    if not isinstance(value, str) or value not in allowed:
        *most, last = map(repr, allowed)
        raise UserError(f"{name}={one_line(repr(value), 60)}: give {', '.join(most)} or {last}")
    return value


def whole(name: str, value, low: int, high: int | None = None) -> int:
    """A whole number, low or more, at most high."""
    if not is_whole(value, low) or (high is not None and value > high):
        reach = f"at least {low}" if high is None else f"in {low}..{high}"
        raise UserError(f"{name}={value!r}: give a whole number, {reach}")
    return int(value)


def asked(which: str, fraction: float) -> tuple[str, float]:
    """Which end and which fraction."""
    if isinstance(fraction, bool) or not isinstance(fraction, (int, float, np.number)) or not 0 < fraction <= 1:
        raise UserError(f"fraction={fraction!r}: give a number above 0, at most 1, such as 0.10")
    return chosen("which", which, WHICH), float(fraction)


def array(values) -> np.ndarray:
    """np.asarray, with its answer to rows of different lengths in our words."""
    try:
        return np.asarray(values)
    except ValueError as fault:
        raise UserError(f"no array can be made of what was given: {one_line(fault, 100)}") from None


def level_of(level: float) -> float:
    """A confidence level."""
    if not (isinstance(level, (int, float, np.number)) and 0 < level < 1):
        raise UserError(f"level={level!r}: give a number between 0 and 1, such as 0.95")
    return level


def vector(counts) -> np.ndarray:
    """Counts as float64 (examples,); UserError unless they are finite numbers, one an example."""
    x = array(counts)
    if x.ndim != 1 or x.dtype.kind not in "biuf" or not len(x):
        raise UserError(f"counts of shape {x.shape} and type {x.dtype}: give one number an example, shape (examples,)")
    x = x.astype(np.float64)
    if not np.isfinite(x).all():
        at = int(np.argmin(np.isfinite(x)))
        raise UserError(f"counts[{at}] is not finite: leave diverged trials out, give one finite number an example")
    return x


def pair_of(a, b) -> tuple[np.ndarray, np.ndarray]:
    """Two rankings of the same examples, as `vector`s."""
    a, b = vector(a), vector(b)
    if len(a) != len(b):
        raise UserError(f"counts of {len(a)} and of {len(b)} examples: give the same examples in the same order")
    return a, b


def labels_of(labels, examples: int) -> np.ndarray:
    """Labels as 0..classes-1, int64 (examples,); UserError unless there is one for each example."""
    labels = array(labels)
    if labels.shape != (examples,):
        raise UserError(f"labels of shape {labels.shape}: give one label for each of the {examples} examples")
    return np.unique(labels, return_inverse=True)[1]


def members_of(classes: np.ndarray) -> list[np.ndarray]:
    """The positions of each class's examples; classes: 0..classes-1, (examples,)."""
    return [np.flatnonzero(classes == k) for k in range(classes.max() + 1)]


def classes_of(labels, examples: int) -> np.ndarray:
    """`labels_of`, or one class for all where there are no labels."""
    return np.zeros(examples, np.int64) if labels is None else labels_of(labels, examples)


def trials_of(correct, *, least: int = 1) -> np.ndarray:
    """Right or wrong (bool), or probabilities, (trials, examples) of one epoch, at least so many trials."""
    correct = array(correct)
    graded = correct.dtype.kind == "f" and np.isfinite(correct).all()  # a probability instead of right or wrong
    if correct.ndim != 2 or not (correct.dtype == bool or graded) or not correct.shape[1]:
        raise UserError(
            f"correct of shape {correct.shape} and type {correct.dtype}: give bool (trials, examples), or finite "
            "probabilities, of one epoch: correct[:, m - 1]"
        )
    if len(correct) < least:
        raise UserError(f"{len(correct)} trials: give at least {least}, none diverged")
    return correct
