"""How alike are two easiness rankings? Ties, bounds, chance, ceilings, intervals (EH 2.2 and 4, Table 1).

Pure functions on counts (higher = easier), shape (examples,). A count is an integer in 0..N, so the 10 % cut usually
falls inside a block of tied examples, and who of them is "easy" is the tie rule's choice, not the net's. So `rate` has
three tie rules, and `bounds` says what any rule at all could have given; how, `compare.cuts` says.

It never trains, loads, draws a figure, or breaks a tie by chance: the same counts give the same number.
"""

from collections.abc import Callable, Mapping
from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from easel.compare import cuts
from easel.compare.correlation import ranks_within
from easel.compare.intervals import UNKNOWN, Interval, from_left_out, jackknife_of
from easel.errors import UserError, answers

# ---- one ranking, and two ------------------------------------------------------------------------------------------


def inclusion(counts, *, which: str = "easy", fraction: float = 0.10) -> np.ndarray:
    """Probability that each example is in the easy or hard set of k, ties at the cut broken uniformly at random.

    counts: (examples,), higher = easier. k = fraction * examples, rounded to the nearest whole number (halves up), at
    least 1. Returns float (examples,) in 0..1 with sum k.
    UserError: counts not finite or empty; which or fraction out of range.
    """
    return cuts.cut_at(cuts.vector(counts), *cuts.asked(which, fraction)).membership()


@answers(a="numbers", b="numbers", ties="a text")
def rate(a, b, *, which: str = "easy", fraction: float = 0.10, ties: str = "expected") -> float:
    """Matching rate of the easy or hard sets of two rankings (EH 2.2, Eq. 2), in 0..1.

    a, b: counts (examples,), higher = easier. The set size k is `inclusion`'s. ties:
      "expected"   the mean over all ways to break the ties, in a and in b independently: sum p_i q_i / k, exactly
      "inclusive"  every example tied at the cut is let in: |A and B| / max(|A|, |B|); sets may be far larger than k
      "index"      ties go to the lowest index, for easy and for hard. All nets then break their ties alike, and agree
                   without having learned anything alike: an artefact, here to be shown
    UserError: counts not finite, empty or of different lengths; which, fraction or ties out of range.
    """
    return cuts.rate_of(*_cuts(a, b, which, fraction, ties), ties)


def bounds(a, b, *, which: str = "easy", fraction: float = 0.10) -> tuple[float, float]:
    """Lowest and highest matching rate that any breaking of the ties of a and of b can give. Arguments: `rate`'s."""
    return cuts.bounds_of(*_cuts(a, b, which, fraction))


def identified(low: float, high: float) -> bool:
    """Whether the data, not the tie rule, fix the matching rate: its bounds are at most .10 apart."""
    return bool(high - low <= 0.10 + cuts.ROUNDING)


def overlap_curve(a, b, *, which: str = "easy") -> pd.DataFrame:
    """Matching rate against the cut: one row a fraction, 1..50 %; arguments as in `rate`.

    Columns: fraction, rate (expected ties), low, high (`bounds`), chance (k / examples).
    """
    a, b = cuts.pair_of(a, b)
    ordered_a, ordered_b = np.sort(a), np.sort(b)
    rows = []
    for fraction in np.arange(1, 51) / 100:
        cut = cuts.asked(which, fraction)
        one, two = cuts.cut_at(a, *cut, ordered=ordered_a), cuts.cut_at(b, *cut, ordered=ordered_b)
        rows.append((float(fraction), cuts.rate_of(one, two), *cuts.bounds_of(one, two), one.k / len(a)))
    return pd.DataFrame(rows, columns=["fraction", "rate", "low", "high", "chance"])


def stratified_chance(a, b, labels, *, which: str = "easy", fraction: float = 0.10, ties: str = "expected") -> float:
    """Expected matching rate if only the classes mattered: how often each class is in A and in B, but not who of it.

    sum over classes c of A_c B_c / n_c, over k, with A_c the expected number of c's examples in the set. In 0..1; above
    chance, k / examples, where the two nets find the same classes easy. labels: (examples,). UserError as in `rate`.
    """
    one, two = _cuts(a, b, which, fraction, ties)
    return cuts.stratified(one, two, cuts.labels_of(labels, len(one.code)), ties)


def _cuts(a, b, which: str, fraction: float, ties: str = "expected") -> list[cuts.Cut]:
    index = cuts.chosen("ties", ties, cuts.TIES) == "index"
    return [cuts.cut_at(x, *cuts.asked(which, fraction), index=index) for x in cuts.pair_of(a, b)]


# ---- Table 1 -------------------------------------------------------------------------------------------------------


class Side(NamedTuple):
    """What a group of trials says: from all of them, and without each of them in turn."""

    whole: object
    without: list


@answers(groups="pairs of arrays by name")
def rate_table(
    groups: Mapping[str, tuple], *, which: str = "easy", fraction: float = 0.10, ties: str = "expected", labels=None
) -> pd.DataFrame:
    """EH Table 1, tidy: one row a pair of nets, a <= b in the order given.

    groups: {net: (correct_1, correct_2)}, two disjoint groups of its trials, each (trials, examples) bool, or the true
    class's probability (graded easiness, which hardly ties).
    labels: (examples,). Diagonal: group 1 against group 2. Off it: the mean of (a's 1, b's 2) and (a's 2, b's 1): every
    number of the table stands on the same number of trials a side, and swapping a and b changes nothing.

    Columns: a, b, which, fraction, rate (tie rule `ties`), low, high (jackknife, every trial deleted once), tie_low,
    tie_high (`bounds`, whatever `ties` is), identified, chance (of sets of these sizes), stratified_chance (nan without
    labels), spearman, share, share_low, share_high (of the ceiling, `agreement_table`), n_trials (in the smallest
    group used), n (trials of both nets). UserError as in `rate` and `jackknife`.
    """
    which, fraction = cuts.asked(which, fraction)
    index = cuts.chosen("ties", ties, cuts.TIES) == "index"
    sides, n = _sides(groups)
    classes = cuts.classes_of(labels, n)
    cut, left_open, ranks = {}, {}, {}
    for net, pair in sides.items():
        cut[net] = [_side(correct, lambda c: cuts.cut_at(c, which, fraction, index=index)) for correct in pair]
        counts = [_counts(correct) for correct in pair]
        left_open[net] = [cuts.cut_at(c, which, fraction) for c in counts]
        ranks[net] = [cuts.unit(stats.rankdata(c)) for c in counts]
    by_class = {net: [cuts.by_class_of(one.whole, classes, ties) for one in pair] for net, pair in cut.items()}
    size = {net: [_size(one.whole, ties) for one in pair] for net, pair in cut.items()}
    rows = []
    found = agreement_table(cut, lambda one, two: cuts.rate_of(one, two, ties), limits=(0.0, 1.0))
    for a, b, rate, low, high, *share, together in found.itertuples(index=False):
        ends = np.mean([cuts.bounds_of(*pair) for pair in _met(left_open, a, b)], axis=0).tolist()
        chance = np.mean([min(pair) / n for pair in _met(size, a, b)])
        mixed = np.mean([cuts.composition(*pair, np.bincount(classes)) for pair in _met(by_class, a, b)])
        compared = (chance, np.nan if labels is None else mixed)
        spearman = np.mean([cuts.correlation(*pair) for pair in _met(ranks, a, b)])
        n_trials = min(map(len, (*sides[a], *sides[b])))
        known = (a, b, which, fraction, rate, low, high, *ends, identified(*ends))
        rows.append((*known, *compared, spearman, *share, n_trials, together))
    columns = "a b which fraction rate low high tie_low tie_high identified chance stratified_chance spearman "
    return pd.DataFrame(rows, columns=(columns + "share share_low share_high n_trials n").split())


@answers(groups="pairs of arrays by name")
def rank_table(groups: Mapping[str, tuple], labels=None) -> pd.DataFrame:
    """Spearman's correlation of every pair of nets, which needs no cut and so no tie rule: one row a pair, a <= b.

    groups: as for `rate_table`. labels: (examples,): within classes (`correlation.spearman_within`), so that naming the
    same classes counts for nothing; None: over all examples. Columns: a, b, spearman, low, high, share (of the
    geometric mean of both nets' own), share_low, share_high, n (trials).
    """
    sides, examples = _sides(groups)
    members = cuts.members_of(cuts.classes_of(labels, examples))
    ready = {net: [_side(of, lambda c: ranks_within(c, members)) for of in pair] for net, pair in sides.items()}
    return agreement_table(ready, cuts.correlation, limits=(-1, 1)).rename(columns={"value": "spearman"})


def agreement_table(
    sides: Mapping[str, list[Side]], agree: Callable[[object, object], float], *, limits: tuple[float, float]
) -> pd.DataFrame:
    """How alike the rankings of every pair of nets are, and which share that is of what they could be at most.

    sides: {net: (Side, Side)}, of two disjoint groups of its trials; agree: of what two sides hold, in `limits`.
    Diagonal: side 1 against side 2; off it the mean of (a's 1, b's 2) and (a's 2, b's 1). share: the agreement over the
    geometric mean of both nets' own, which no pair exceeds but by noise, whatever the number of trials (Spearman 1904;
    nan on the diagonal and where a net does not agree with itself).
    One row a pair, a <= b: a, b, value, low, high, share, share_low, share_high, n (trials); jackknife, every trial
    deleted once from all that it is part of.
    """

    def left_out(one: Side, two: Side) -> list[np.ndarray]:
        """The agreement without each trial of one, then of the other."""
        first = np.array([agree(x, two.whole) for x in one.without])
        return [first, np.array([agree(one.whole, x) for x in two.without])]

    own = {net: agree(one.whole, two.whole) for net, (one, two) in sides.items()}
    own_left_out = {net: left_out(*pair) for net, pair in sides.items()}
    rows = []
    for a, b in combinations_with_replacement(sides, 2):
        value, without, share = own[a], own_left_out[a], UNKNOWN
        if a != b:
            (a1, a2), (b1, b2) = sides[a], sides[b]
            first, second = agree(a1.whole, b2.whole), agree(a2.whole, b1.whole)
            value = (first + second) / 2
            without_a1, without_b2 = ((x + second) / 2 for x in left_out(a1, b2))
            without_a2, without_b1 = ((x + first) / 2 for x in left_out(a2, b1))
            without = [without_a1, without_a2, without_b1, without_b2]
            tops = [*((x, own[b]) for x in own_left_out[a]), *((own[a], x) for x in own_left_out[b])]
            shares = [x / cuts.ceiling(*top) for x, top in zip(without, tops, strict=True)]
            share = from_left_out(float(value / cuts.ceiling(own[a], own[b])), shares)
        *ends, n = from_left_out(float(value), without, limits=limits)
        rows.append((a, b, *ends, *share[:3], n))
    return pd.DataFrame(rows, columns=["a", "b", "value", "low", "high", "share", "share_low", "share_high", "n"])


@answers(groups="pairs of arrays by name", pairs="pairs", others="pairs", ties="a text")
def contrast(groups: Mapping[str, tuple], pairs, others, *, which: str = "easy", ties: str = "expected") -> Interval:
    """The mean matching rate over `pairs` of nets less that over `others`, in -1..1, with a `jackknife_of` interval.

    groups: as for `rate_table`; pairs, others: (a, b) of its names, two different nets, rates at 10% as in `rate_table`
    under `ties`. UserError: no pair, a net that is not there or is paired with itself; else as `rate_table`.
    """
    both = [list(pairs), list(others)]
    for a, b in both[0] + both[1]:
        if a not in groups or b not in groups or a == b:
            raise UserError(f"no pair ({a}, {b}): give two different nets of {', '.join(groups)}")
    if not all(both):
        raise UserError("nothing to contrast: give at least one pair on either side")
    index = cuts.chosen("ties", ties, cuts.TIES) == "index"
    used = {net for of in both for pair in of for net in pair}
    sides, _ = _sides({net: pair for net, pair in groups.items() if net in used})

    def difference(counts: list[np.ndarray]) -> list[float]:
        cut = [cuts.cut_at(cuts.vector(c), *cuts.asked(which, 0.10), index=index) for c in counts]
        at = {net: cut[2 * i : 2 * i + 2] for i, net in enumerate(sides)}
        one, two = (np.mean([cuts.rate_of(*met, ties) for pair in of for met in _met(at, *pair)]) for of in both)
        return [one - two]

    return jackknife_of([half for pair in sides.values() for half in pair], difference)[0]


# ---- helpers -------------------------------------------------------------------------------------------------------


def _sides(groups: Mapping[str, tuple]) -> tuple[dict[str, list[np.ndarray]], int]:
    """Each net's two groups of trials, checked, and the number of their examples."""
    sides = {net: [cuts.trials_of(correct, least=2) for correct in pair] for net, pair in groups.items()}
    lengths = {correct.shape[1] for pair in sides.values() for correct in pair}
    if len(lengths) != 1 or any(len(pair) != 2 for pair in sides.values()):
        raise UserError(f"{len(sides)} nets of {sorted(lengths)} examples: give each two groups of the same examples")
    return sides, lengths.pop()


def _counts(correct: np.ndarray) -> np.ndarray:
    return correct.sum(0, dtype=np.int32 if correct.dtype == bool else float)


def _side(correct: np.ndarray, of: Callable[[np.ndarray], object]) -> Side:
    """What a function of the counts says from all trials, and without each."""
    counts = _counts(correct)
    return Side(of(counts), [of(counts - trial) for trial in correct])


def _met(of: Mapping[str, list], a: str, b: str) -> list[tuple]:
    """The pairs of groups that meet: a net's own two, or (a's 1, b's 2) and (a's 2, b's 1)."""
    return [(of[a][0], of[a][1])] if a == b else [(of[a][0], of[b][1]), (of[a][1], of[b][0])]


def _size(cut: cuts.Cut, ties: str) -> int:
    """Of the set; k unless ties are let in."""
    return np.count_nonzero(cut.code) if ties == "inclusive" else cut.k
