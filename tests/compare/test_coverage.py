"""How often do the intervals hold the truth? Simulated worlds in which the truth is known (a nominal 95%).

Each world draws, for every image, how often each net is right about it (classes differ, nets agree in part), and each
trial is better or worse as a whole. The truth is the statistic's mean over many new sets of as many trials on the same
images: what `intervals.jackknife` says that it covers. With 120 worlds of 600 images, N = 4, 10, 20 a group covered:
rates 97, 98, 100%; shares of the ceiling 99, 100, 99%; correlations within classes 98, 98, 98%; contrasts 95, 99, 100%.
Here fewer, for time.
"""

import numpy as np
import pytest

from easel.compare import cuts, intervals
from easel.compare.cuts import cut_at, rate_of

IMAGES, CLASSES, WORLDS, TRUTH = 400, 10, 40, 60


class World:
    """Two nets on the same images; `trials(net, n)` gives bool (n, images)."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        self.labels = np.arange(IMAGES) % CLASSES
        common = self.rng.normal(0, 1.2, IMAGES) + self.rng.normal(0, 0.5, CLASSES)[self.labels]
        self.logit = [common + self.rng.normal(0, 0.7, IMAGES) for _ in range(2)]

    def trials(self, net: int, n: int) -> np.ndarray:
        better = self.rng.normal(0, 0.25, (n, 1)) + self.rng.normal(0, 0.3, (n, CLASSES))[:, self.labels]
        return self.rng.random((n, IMAGES)) < 1 / (1 + np.exp(-self.logit[net] - better))


def rate(a, b, which="hard"):
    return rate_of(*(cut_at(x.astype(float), which, 0.10) for x in (a, b)), "expected")


def within(a, b, labels):
    ranks = []
    for x in (a, b):
        r = np.empty(len(x))
        for c in range(CLASSES):
            rows = labels == c
            _, at, held = np.unique(x[rows], return_inverse=True, return_counts=True)
            r[rows] = (np.cumsum(held) - held / 2)[at] - rows.sum() / 2
        ranks.append(cuts.unit(r))
    return cuts.correlation(*ranks)


def statistics(counts, labels):
    """A rate, a share of the ceiling, a correlation within classes, a contrast (hard less easy)."""
    a1, a2, b1, b2 = counts
    crossed = (rate(a1, b2) + rate(a2, b1)) / 2
    share = crossed / np.sqrt(rate(a1, a2) * rate(b1, b2))
    return [crossed, share, within(a1, b2, labels), crossed - (rate(a1, b2, "easy") + rate(a2, b1, "easy")) / 2]


NAMES = ("rate", "share of the ceiling", "correlation within classes", "contrast")


@pytest.mark.slow
@pytest.mark.parametrize("n", [4, 10])
def test_intervals_over_trials_hold_the_truth_as_often_as_they_say(n):
    hits = np.zeros(len(NAMES))
    for seed in range(WORLDS):
        world = World(seed)

        def drawn(world=world):
            return [world.trials(net, n) for net in (0, 0, 1, 1)]

        truth = np.mean([statistics([g.sum(0) for g in drawn()], world.labels) for _ in range(TRUTH)], axis=0)
        found = intervals.jackknife_of(drawn(), lambda counts, w=world: statistics(counts, w.labels))
        hits += [one.low <= t <= one.high for one, t in zip(found, truth, strict=True)]
    covered = dict(zip(NAMES, hits / WORLDS, strict=True))
    assert all(share >= 0.85 for share in covered.values()), covered  # a true 95% shows less once in 400 times


@pytest.mark.slow
@pytest.mark.parametrize("n", [4, 10, 20])
def test_intervals_of_paired_differences_hold_the_truth(n):
    rng = np.random.default_rng(n)
    values = rng.standard_t(8, (4000, n)) * 0.02 + 0.01  # heavier tails than the normal, as accuracies have
    found = [intervals.t_interval(one) for one in values]
    assert 0.93 <= np.mean([one.low <= 0.01 <= one.high for one in found]) <= 0.99
