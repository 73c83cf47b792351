"""How far apart the members of a set are: the arithmetic under `sections.similarity`, exact over ties.

Hundreds of sets are measured on the same examples: every net's and epoch's, each with a group of trials left out, and
random ones. What does not depend on the set is done once: the distances, and everyone's neighbours in order.
"""

import numpy as np
import torch

from easel.compare import cuts
from easel.errors import UserError

DISTANCES = ("mean distance", "nearest neighbour")
PART = 512  # rows, or sets, worked on together: so few that they stay near the processor
CLOSE = 0.03  # of the squared lengths: two vectors with less between them are subtracted number by number
ORDERED = 1024  # nearest others of an example that are put in order, at most
DECIDED = 1e-10  # a chance below this that the nearest member is farther still is none


def distances(vectors) -> np.ndarray:
    """float32 (n, n): Euclidean distances, 0 on the diagonal and between equal vectors."""
    x = np.ascontiguousarray(vectors, dtype=np.float32)
    x = x - x.mean(0)
    found = x @ x.T
    length = found.diagonal().copy()
    for at in range(0, len(x), PART):
        rows, both = found[at : at + PART], length[at : at + PART, None] + length
        rows *= -2  # |a - b|^2 = |a|^2 + |b|^2 - 2ab, which for close ones has lost digits
        rows += both
        a, b = np.nonzero(rows < CLOSE * both)
        np.sqrt(np.maximum(rows, 0, out=rows), out=rows)
        for few in np.array_split(np.flatnonzero(a + at != b), len(a) // 1024 + 1):
            rows[a[few], b[few]] = np.linalg.norm(x[a[few] + at] - x[b[few]], axis=1)
    np.fill_diagonal(found, 0)
    return found


def distances_within(
    distance: np.ndarray, counts, *, which: str = "easy", fraction: float = 0.10
) -> tuple[float, float]:
    """(mean distance, nearest neighbour) within the easiest or hardest k examples, expected over all tie-breakings.

    mean distance: over the pairs of the set; nearest neighbour: to the closest other member, mean over members.
    distance: (n, n); counts: (n,), higher = easier. k = fraction * n as in `matching.rate`; counts that are all equal
    give the expectation for a random set of k. UserError: k < 2.
    """
    which, fraction = cuts.asked(which, fraction)
    counts = cuts.vector(counts)
    if distance.shape != (len(counts),) * 2:
        raise UserError(f"distances of shape {distance.shape} for {len(counts)} counts: give (examples, examples)")
    mean, nearest = measures(distance, [cut_of(counts, which, fraction)])[0].tolist()
    return mean, nearest


def cut_of(counts: np.ndarray, which: str, fraction: float) -> cuts.Cut:
    """A cut at which nobody is tied who is in for sure."""
    cut = cuts.cut_at(counts, *cuts.asked(which, fraction))
    if cut.k < 2:
        raise UserError(f"a set of {cut.k} of {len(cut.code)} examples has no pair: take more images")
    return set_of(np.flatnonzero(cut.code != cuts.OUT), len(cut.code)) if cut.missing == cut.tied else cut


def set_of(members: np.ndarray, examples: int) -> cuts.Cut:
    """The cut of a set whose members are known."""
    code = np.full(examples, cuts.OUT, np.int8)
    code[members] = cuts.IN
    return cuts.Cut(code, len(members), 0, 0)


def measures(distance: np.ndarray, sets: list[cuts.Cut]) -> np.ndarray:
    """(sets, 2): (mean distance, nearest neighbour) of sets of one size; equal sets are measured once."""
    first: dict[bytes, int] = {}
    at = [first.setdefault(one.code.tobytes(), len(first)) for one in sets]
    unlike = [sets[at.index(number)] for number in range(len(first))]
    distance = distance if distance.dtype in (np.float32, np.float64) else distance.astype(float)
    neighbours = _Neighbours(distance, unlike[0].k)
    return np.stack([_mean_pair(distance, unlike), [neighbours.mean_nearest(one) for one in unlike]], 1)[at]


def _mean_pair(distance: np.ndarray, sets: list[cuts.Cut]) -> np.ndarray:
    """Sum over pairs of distance times the probability that both are in, over the number of pairs of a set.

    (sets,). The sums over pairs of all sets are one matrix product, distance times indicators.
    """
    found = []
    for at in range(0, len(sets), PART):
        part = sets[at : at + PART]
        one = np.array([cut.share for cut in part])
        both = [cut.share * (cut.missing - 1) / (cut.tied - 1) if cut.tied > 1 else 0.0 for cut in part]
        sure, tied = (np.stack([cut.code == c for cut in part], 1).astype(distance.dtype) for c in (cuts.IN, cuts.TIED))
        to_sure, to_tied = distance @ sure, np.zeros_like(tied)
        some = one > 0
        to_tied[:, some] = distance @ tied[:, some]
        total = _columns(sure, to_sure) / 2 + one * _columns(sure, to_tied) + both * _columns(tied, to_tied) / 2
        found.append(total / (part[0].k * (part[0].k - 1) / 2))
    return np.concatenate(found)


def _columns(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The products of the columns of two matrices, summed."""
    return (a * b).sum(0, dtype=float)


class _Neighbours:
    """Each example's others, nearest first: once for all sets of k. As many as decide a random set with certainty.

    What they leave undecided is measured on all others.
    """

    def __init__(self, distance: np.ndarray, k: int):
        n = len(distance)
        self.distance = distance
        first = min(n - 1, ORDERED, 30 * n // k)  # a random set has none of them in with a chance of e^-30
        self.near, self.gap = np.empty((n, first), np.int32), np.empty((n, first))
        for rows in np.split(np.arange(n), range(PART, n, PART)):
            self.near[rows], self.gap[rows] = self._ordered(rows, first)

    def _ordered(self, rows: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
        """The nearest others of some examples, and how much farther each is than the one before it."""
        to = self.distance[rows]
        to[np.arange(len(rows)), rows] = np.inf
        far, near = torch.from_numpy(to).topk(first, largest=False)
        return near.numpy(), np.diff(far.double().numpy(), axis=1, prepend=0)

    def mean_nearest(self, cut: cuts.Cut) -> float:
        """Mean over members of the expected distance to the nearest member.

        A member's tied others, nearest first, are out one after the other with hypergeometric probability, until one is
        in or a sure member is nearer: none is in, up to a neighbour, with a probability that falls to 0. The distance
        grows from neighbour to neighbour by a gap, times the probability that none is in before it.
        """
        total = 0.0
        step = np.array([0, 1, cut.tied + 1], np.int32)[cut.code]
        for code, weight, own in ((cuts.IN, 1.0, 0), (cuts.TIED, cut.share, 1)):
            rows = np.flatnonzero(cut.code == code)
            if not len(rows):
                continue
            none_yet = np.zeros(cut.tied + 2)  # by the steps so far: tied ones, or more than there are: a sure one
            none_yet[: cut.tied - own + 1] = _none_in(cut.tied - own, cut.missing - own)
            total += weight * self._expected(rows, step, none_yet).sum()
        return float(total / cut.k)

    def _expected(self, rows: np.ndarray, step: np.ndarray, none_yet: np.ndarray) -> np.ndarray:
        """Expected distance of each of the rows to its nearest member."""
        found = []
        for part in np.split(rows, range(PART, len(rows), PART)):
            expected, left = _walk(self.near, self.gap, part, step, none_yet)
            if len(left) and self.near.shape[1] < len(step) - 1:
                near, gap = self._ordered(part[left], len(step) - 1)
                expected[left] = _walk(near, gap, np.arange(len(left)), step, none_yet)[0]
            found.append(expected)
        return np.concatenate(found)


def _walk(near, gap, rows, step, none_yet) -> tuple[np.ndarray, np.ndarray]:
    """Expected distances along the neighbours there are, and the positions of rows whose nearest may be beyond."""
    found, at, start = np.zeros(len(rows)), np.arange(len(rows)), 0
    steps, none = np.zeros(len(rows), np.int32), np.ones(len(rows))
    for stop in (16, *range(64, near.shape[1], 64), near.shape[1]):  # most are decided early
        if not len(at) or start >= near.shape[1]:
            break
        part, stop = rows[at], min(stop, near.shape[1])
        so_far = step.take(near[part, start:stop])
        so_far[:, 0] += steps
        np.cumsum(so_far, axis=1, out=so_far)
        after, by = none_yet.take(so_far, mode="clip"), gap[part, start:stop]
        found[at] += by[:, 0] * none + np.einsum("ij,ij->i", by[:, 1:], after[:, :-1])
        left = after[:, -1] > DECIDED
        at, steps, none, start = at[left], so_far[left, -1], after[left, -1], stop
    return found, at


def _none_in(others: int, chosen: int) -> np.ndarray:
    """P(none of the first t of `others` is among the `chosen` drawn of them), for t = 0..others."""
    left = others - np.arange(others)
    return np.concatenate([[1.0], np.cumprod((left - chosen).clip(0) / left)])
