"""How alike are two easiness rankings? Ties, bounds, chance, ceilings, intervals (EH 2.2 and 4, Table 1).

Pure functions on counts (higher = easier), shape (examples,). A count is an integer in 0..N, so the 10 % cut usually
falls inside a block of tied examples, and who of them is "easy" is the tie rule's choice, not the net's. So `rate` has
three tie rules, and `bounds` says what any rule at all could have given.

It never trains, loads, draws a figure, or breaks a tie by chance: the same counts give the same number.

How it works: a cut sorts examples into out (0), tied at the cut (1) and in (2). All tie rules and bounds are functions
of the 3 x 3 table of how often code i of net A meets code j of net B. A cut is found by selection, without a sort.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
import pandas as pd
from scipy import stats

from easel.compare.cuts import (
    Cut,
    asked,
    bounds_of,
    by_class_of,
    composition,
    correlation,
    cut_at,
    labels_of,
    level_of,
    pair_of,
    rate_of,
    rule_of,
    trials_of,
    unit,
    vector,
)
from easel.compare.intervals import Interval, from_left_out, jackknife_of
from easel.errors import UserError

# ---- one ranking ---------------------------------------------------------------------------------------------------


def inclusion(counts, *, which: str = "easy", fraction: float = 0.10) -> np.ndarray:
    """Probability that each example is in the easy or hard set of k, ties at the cut broken uniformly at random.

    counts: (examples,), higher = easier. k = fraction * examples, rounded to the nearest whole number (halves up), at
    least 1. Returns float (examples,) in 0..1 with sum k.
    UserError: counts not finite or empty; which or fraction out of range.
    """
    return cut_at(vector(counts), *asked(which, fraction)).membership("expected")


# ---- two rankings --------------------------------------------------------------------------------------------------


def rate(a, b, *, which: str = "easy", fraction: float = 0.10, ties: str = "expected") -> float:
    """Matching rate of the easy or hard sets of two rankings (EH 2.2, Eq. 2), in 0..1.

    a, b: counts (examples,), higher = easier. The set size k is `inclusion`'s. ties:
      "expected"   the mean over all ways to break the ties, in a and in b independently: sum p_i q_i / k, exactly
      "inclusive"  every example tied at the cut is let in: |A and B| / max(|A|, |B|); sets may be far larger than k
      "index"      ties go to the lowest index, for easy and for hard. All nets then break their ties alike, and agree
                   without having learned anything alike: an artefact, here to be shown
    UserError: counts not finite, empty or of different lengths; which, fraction or ties out of range.
    """
    a, b = pair_of(a, b)
    which, fraction = asked(which, fraction)
    cuts = (cut_at(x, which, fraction, index=rule_of(ties) == "index") for x in (a, b))
    return rate_of(*cuts, ties)


def bounds(a, b, *, which: str = "easy", fraction: float = 0.10) -> tuple[float, float]:
    """Lowest and highest matching rate that any breaking of the ties of a and of b can give. Arguments: `rate`'s."""
    a, b = pair_of(a, b)
    which, fraction = asked(which, fraction)
    return bounds_of(cut_at(a, which, fraction), cut_at(b, which, fraction))


def identified(low: float, high: float, width: float = 0.10) -> bool:
    """Whether the data, not the tie rule, fix the matching rate: its bounds are at most `width` apart."""
    return bool(high - low <= width + 1e-9)


def overlap_curve(a, b, *, which: str = "easy", fractions=None) -> pd.DataFrame:
    """Matching rate against the cut: one row a fraction (1..50 % if none are given); arguments as in `rate`.

    Columns: fraction, rate (expected ties), low, high (`bounds`), chance (k / examples).
    """
    a, b = pair_of(a, b)
    ordered_a, ordered_b = np.sort(a), np.sort(b)
    rows = []
    for fraction in np.arange(1, 51) / 100 if fractions is None else fractions:
        cut = asked(which, fraction)
        one, two = cut_at(a, *cut, ordered=ordered_a), cut_at(b, *cut, ordered=ordered_b)
        rows.append((float(fraction), rate_of(one, two, "expected"), *bounds_of(one, two), one.k / len(a)))
    return pd.DataFrame(rows, columns=["fraction", "rate", "low", "high", "chance"])


# ---- what to compare with ------------------------------------------------------------------------------------------


def chance(fraction: float = 0.10) -> float:
    """Expected matching rate of two unrelated rankings: the fraction itself (k / examples where k had to be rounded).

    For "expected" ties. Inclusive sets are larger: their chance is min(|A|, |B|) / examples, as in `table`.
    """
    return asked("easy", fraction)[1]


def stratified_chance(a, b, labels, *, which: str = "easy", fraction: float = 0.10, ties: str = "expected") -> float:
    """Expected matching rate if only the classes mattered: how often each class is in A and in B, but not who of it.

    sum over classes c of A_c B_c / n_c, over k, with A_c the expected number of c's examples in the set. In 0..1; above
    `chance` where the two nets find the same classes easy. labels: (examples,). UserError as in `rate`.
    """
    a, b = pair_of(a, b)
    labels = labels_of(labels, len(a))
    cut = asked(which, fraction)
    cuts = [cut_at(x, *cut, index=rule_of(ties) == "index") for x in (a, b)]
    return composition(*(by_class_of(cut, labels, ties) for cut in cuts), np.bincount(labels))


def ceiling(correct, *, which: str = "easy", fraction: float = 0.10, groups=None) -> float:
    """Matching rate of one net with itself: between two disjoint groups of its trials (Table 1's diagonal), in 0..1.

    correct: (trials, examples) bool, one epoch. groups: (trials,) with exactly two distinct values; if none are given,
    the first half against the second (of an odd number the last trial rests, so that the groups are equal).
    Ties: expected. UserError: fewer than two trials, groups of another shape.
    """
    correct = trials_of(correct, least=2)
    if groups is None:
        half = len(correct) // 2
        one, two = correct[:half], correct[half : 2 * half]
    else:
        groups = np.asarray(groups)
        names = np.unique(groups)
        if groups.shape != (len(correct),) or len(names) != 2:
            raise UserError(
                f"groups has shape {groups.shape} and {len(names)} distinct values: "
                f"give one of two values to each of the {len(correct)} trials"
            )
        one, two = correct[groups == names[0]], correct[groups == names[1]]
    return rate(one.sum(0), two.sum(0), which=which, fraction=fraction)


def mean_ceiling(correct, *, which: str = "easy", fraction: float = 0.10, splits: int = 20, seed: int = 0) -> float:
    """`ceiling`, averaged over random halvings of the trials: the same meaning, less luck in who is in which half."""
    correct = trials_of(correct, least=2)
    if splits < 1:
        raise UserError(f"splits={splits}: give at least 1")
    rng = np.random.default_rng(seed)
    halvings = (rng.permutation(len(correct)) for _ in range(splits))
    return float(np.mean([ceiling(correct[order], which=which, fraction=fraction) for order in halvings]))


# ---- Table 1 -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Group:
    """What one group of trials brings to every pair it is part of; computed once."""

    trials: int
    bounding: Cut  # ties left open
    cut: Cut  # under the table's tie rule
    left_out: list[Cut]  # the same without trial 0, 1, ...
    by_class: np.ndarray  # expected members of each class; empty without labels
    size: int  # of the set; k unless ties are let in
    ranks: np.ndarray | None


def rate_table(
    groups: Mapping[str, tuple],
    *,
    which: str = "easy",
    fraction: float = 0.10,
    ties: str = "expected",
    labels=None,
    level: float | None = 0.95,
) -> pd.DataFrame:
    """EH Table 1, tidy: one row a pair of nets, a <= b in the order given.

    groups: {net: (correct_1, correct_2)}, two disjoint groups of its trials, each (trials, examples) bool, or the true
    class's probability (graded easiness, which hardly ties).
    labels: (examples,). Diagonal: group 1 against group 2. Off it: the mean of (a's 1, b's 2) and (a's 2, b's 1): every
    number of the table stands on the same number of trials a side, and swapping a and b changes nothing.

    Columns: a, b, which, fraction, rate (tie rule `ties`), low, high (jackknife, every trial deleted once; nan where
    level is None), tie_low, tie_high (`bounds`, whatever `ties` is), identified, chance (of sets of these sizes),
    stratified_chance (nan without labels), spearman, share, share_low, share_high (of the ceiling, `agreement_table`),
    n_trials (in the smallest group used).
    UserError as in `rate` and `jackknife`.
    """
    which, fraction = asked(which, fraction)
    rule_of(ties)
    least = 1 if level is None else 2
    sides = {net: [trials_of(correct, least=least) for correct in pair] for net, pair in groups.items()}
    lengths = {correct.shape[1] for pair in sides.values() for correct in pair}
    if len(lengths) != 1 or any(len(pair) != 2 for pair in sides.values()):
        raise UserError(f"{len(sides)} nets of {sorted(lengths)} examples: give each two groups of the same examples")
    n = lengths.pop()
    classes = None if labels is None else labels_of(labels, n)
    per_class = None if labels is None else np.bincount(classes)
    level = None if level is None else level_of(level)

    def prepare(correct: np.ndarray) -> _Group:
        counts = correct.sum(0, dtype=np.int32 if correct.dtype == bool else float)
        cut = cut_at(counts, which, fraction, index=ties == "index")
        shorter = (counts - trial for trial in correct) if level else ()
        left_out = [cut_at(x, which, fraction, index=ties == "index") for x in shorter]
        by_class = np.zeros(0) if classes is None else by_class_of(cut, classes, ties)
        size = np.count_nonzero(cut.code) if ties == "inclusive" else cut.k
        ranks = unit(stats.rankdata(counts))
        return _Group(len(correct), cut_at(counts, which, fraction), cut, left_out, by_class, size, ranks)

    ready = {net: tuple(map(prepare, pair)) for net, pair in sides.items()}
    sets = {net: tuple((one.cut, one.left_out) for one in pair) for net, pair in ready.items()}
    rates = agreement_table(sides=sets, agree=lambda one, two: rate_of(one, two, ties), level=level, limits=(0.0, 1.0))
    rows = []
    for (a, b), found in zip(combinations_with_replacement(ready, 2), rates, strict=True):
        (a1, a2), (b1, b2) = ready[a], ready[b]
        pairs = [(a1, a2)] if a == b else [(a1, b2), (a2, b1)]
        tie_low, tie_high = np.mean([bounds_of(one.bounding, two.bounding) for one, two in pairs], axis=0).tolist()
        mixed = np.nan
        if labels is not None:
            mixed = np.mean([composition(one.by_class, two.by_class, per_class) for one, two in pairs])
        rows.append(
            {
                "a": a,
                "b": b,
                "which": which,
                "fraction": fraction,
                "rate": found["value"],
                "low": found["low"],
                "high": found["high"],
                "tie_low": tie_low,
                "tie_high": tie_high,
                "identified": identified(tie_low, tie_high),
                "chance": float(np.mean([min(one.size, two.size) / n for one, two in pairs])),
                "stratified_chance": float(mixed),
                "spearman": float(np.mean([correlation(one.ranks, two.ranks) for one, two in pairs])),
                "share": found["share"],
                "share_low": found["share_low"],
                "share_high": found["share_high"],
                "n_trials": min(group.trials for pair in pairs for group in pair),
            }
        )
    return pd.DataFrame(rows)


def agreement_table(
    sides: Mapping[str, tuple], agree: Callable[[object, object], float], *, level: float | None = 0.95, limits=(-1, 1)
) -> list[dict]:
    """How alike the rankings of every pair of nets are, and which share that is of what they could be at most.

    sides: {net: ((whole, left_out), (whole, left_out))}, of two disjoint groups of its trials: what all trials of the
    group give, and what they give without each of them; agree: of two of these, in `limits`. Diagonal: group 1 against
    group 2; off it the mean of (a's 1, b's 2) and (a's 2, b's 1). share: the agreement over the geometric mean of both
    nets' own, which no pair exceeds but by noise, whatever the number of trials (Spearman 1904; nan on the diagonal and
    where a net does not agree with itself).
    One dict a pair, a <= b: value, low, high, share, share_low, share_high; jackknife, every trial deleted once from
    all that it is part of (ends nan where level is None).
    """
    own = {net: agree(one[0], two[0]) for net, (one, two) in sides.items()}
    without = {
        net: [np.array([agree(x, two[0]) for x in one[1]]), np.array([agree(one[0], x) for x in two[1]])]
        for net, (one, two) in sides.items()
    }
    found = []
    for a, b in combinations_with_replacement(sides, 2):
        value, left_out, share, shares = own[a], without[a], np.nan, []
        if a != b:
            (a1, a2), (b1, b2) = sides[a], sides[b]
            first, second = agree(a1[0], b2[0]), agree(a2[0], b1[0])
            value = (first + second) / 2
            left_out = [
                (np.array([agree(x, b2[0]) for x in a1[1]]) + second) / 2,
                (np.array([agree(x, b1[0]) for x in a2[1]]) + first) / 2,
                (np.array([agree(a2[0], x) for x in b1[1]]) + first) / 2,
                (np.array([agree(a1[0], x) for x in b2[1]]) + second) / 2,
            ]
            ceilings = [own[a] * own[b], *(x * own[b] for x in without[a]), *(own[a] * x for x in without[b])]
            share, *shares = (
                np.asarray(x) / np.sqrt(np.where(np.asarray(c) > 0, c, np.nan))
                for x, c in zip([value, *left_out], ceilings, strict=True)
            )
        row = {"value": float(value), "low": np.nan, "high": np.nan}
        row |= {"share": float(share), "share_low": np.nan, "share_high": np.nan}
        if level:
            row |= dict(
                zip(("low", "high"), from_left_out(value, left_out, level=level, limits=limits)[1:3], strict=True)
            )
            if a != b:
                ends = from_left_out(float(share), shares, level=level)[1:3]
                row |= dict(zip(("share_low", "share_high"), ends, strict=True))
        found.append(row)
    return found


def rank_table(groups: Mapping[str, tuple], labels=None, *, level: float = 0.95) -> pd.DataFrame:
    """Spearman's correlation of every pair of nets, which needs no cut and so no tie rule: one row a pair, a <= b.

    groups: as for `table`. labels: (examples,): within classes (`correlation.spearman_within`), so that naming the same
    classes counts for nothing; None: over all examples. Columns: a, b, spearman, low, high, share (of the geometric
    mean of both nets' own), share_low, share_high, n (trials).
    """
    sides = {net: [trials_of(correct, least=2) for correct in pair] for net, pair in groups.items()}
    count = {correct.shape[1] for pair in sides.values() for correct in pair}
    if len(count) != 1:
        raise UserError(f"nets of {sorted(count)} examples: give each two groups of the same examples")
    classes = np.zeros(count.pop(), np.int64) if labels is None else labels_of(labels, len(np.asarray(labels)))
    members = [np.flatnonzero(classes == k) for k in range(classes.max() + 1)]

    def ranked(counts: np.ndarray) -> np.ndarray | None:
        ranks = np.empty(len(counts))
        for rows in members:
            ranks[rows] = (stats.rankdata(counts[rows]) - (len(rows) + 1) / 2) / len(rows)
        return unit(ranks)

    def side(correct: np.ndarray) -> tuple:
        counts = correct.sum(0, dtype=float)
        return ranked(counts), [ranked(counts - trial) for trial in correct]

    ready = {net: tuple(map(side, pair)) for net, pair in sides.items()}
    pairs = list(combinations_with_replacement(ready, 2))
    found = pd.DataFrame(agreement_table(ready, correlation, level=level)).rename(columns={"value": "spearman"})
    number = [sum(len(g) for net in {a, b} for g in sides[net]) for a, b in pairs]
    return pd.DataFrame(pairs, columns=["a", "b"]).join(found).assign(n=number)


# ---- more than two groups ------------------------------------------------------------------------------------------


def contrast(
    groups: Mapping[str, tuple],
    pairs,
    others,
    *,
    which: str = "easy",
    fraction: float = 0.10,
    ties: str = "expected",
    level: float = 0.95,
) -> Interval:
    """The mean matching rate over `pairs` of nets less that over `others`, in -1..1, with a `jackknife_of` interval.

    groups: as for `table`; pairs, others: (a, b) of its names, two different nets, rates as in `table` under
    `ties`. UserError: no pair, a net that is not there or is paired with itself; else as `table`.
    """
    cut, names, index = asked(which, fraction), list(groups), rule_of(ties) == "index"
    both = [list(of) for of in (pairs, others)]
    for a, b in both[0] + both[1]:
        if a not in groups or b not in groups or a == b:
            raise UserError(f"no pair ({a}, {b}): give two different nets of {', '.join(names)}")
    if not all(both):
        raise UserError("nothing to contrast: give at least one pair on either side")

    def difference(counts: list[np.ndarray]) -> list[float]:
        at = {n: [cut_at(vector(c), *cut, index=index) for c in counts[2 * i : 2 * i + 2]] for i, n in enumerate(names)}
        means = [np.mean([rate_of(at[a][i], at[b][1 - i], ties) for a, b in of for i in (0, 1)]) for of in both]
        return [means[0] - means[1]]

    used = {name for of in both for pair in of for name in pair}
    names = [name for name in names if name in used]
    return jackknife_of([half for name in names for half in groups[name]], difference, level=level)[0]
