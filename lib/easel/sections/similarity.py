"""Are easy examples alike, and hard ones diverse (EH Sec. 5)? Distances within sets of images, exact over ties.

The paper shows pictures; here the same sets are measured. A set is the easiest or hardest part of one class. Counts are
whole numbers, so its edge falls inside a block of ties; every value is the expectation over all ways to break them, in
closed form; a random set is one in which everyone is tied, so its value comes from the same formula.

It never draws a figure, and never breaks a tie by chance.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from scipy import stats
from torch import Tensor, nn

from easel import files
from easel import files as paths
from easel.compare import matching
from easel.compare import matching as cuts
from easel.errors import UserError
from easel.ledger.record import BadRecord, pack, unpack
from easel.ledger.store import Ledger, Store
from easel.ledger.trial import Trial
from easel.train import ensure as run
from easel.train.loop import Run

MEASURES = ("mean distance", "nearest neighbour")
GROUPS = 20  # of trials at most, each left out once for an interval
PART = 256  # images looked at together: large ones as whole numbers of 8 bytes would not fit into memory all at once


# ---- spaces --------------------------------------------------------------------------------------------------------


def pixels(images: Tensor, side: int = 32) -> np.ndarray:
    """Pixel space: float32 (n, d). The distance of two is their root mean square difference, 0..255.

    images: uint8 (n, 3, H, W); those larger than `side` pixels are averaged down to it first.
    """
    small = []
    for part in images.split(PART):
        x = part.float()
        small.append((F.adaptive_avg_pool2d(x, side) if max(x.shape[2:]) > side else x).flatten(1))
    return (torch.cat(small) / small[0].shape[1] ** 0.5).numpy()


def colours(images: Tensor, bins: int = 4) -> np.ndarray:
    """Colour space: float32 (n, bins^3). The distance of two is Hellinger's of their RGB histograms, 0..1.

    0: the same colours in the same amounts, wherever they stand in the image; 1: no colour in common.
    """
    histograms = []
    for part in images.split(PART):
        level = part.flatten(2).long() * bins // 256
        cell = (level[:, 0] * bins + level[:, 1]) * bins + level[:, 2]
        histograms.append(torch.zeros(len(part), bins**3).scatter_add_(1, cell, torch.ones(cell.shape)))
    return (torch.cat(histograms) / (2 * cell.shape[1])).sqrt().numpy()


def directions(features) -> np.ndarray:
    """Feature space: float32 (n, d) of length 1, each feature first given mean 0 and variance 1 over all examples.

    The distance of two is 0 (same direction) to 2 (opposite), 1.41 if unrelated. Length is left out on purpose: a net's
    features are longer where it is surer. Features that are the same for all examples are left out.
    """
    x = np.asarray(features, dtype=np.float32)
    if not np.isfinite(x).all():
        raise UserError("features are not finite: the net diverged; take another seed")
    x = x[:, np.ptp(x, axis=0) > 0]
    x = (x - x.mean(0)) / x.std(0)
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


def features(trial: Trial, *, trained: bool = True, store: Store | None = None) -> tuple[np.ndarray, Ledger | None]:
    """What enters a net's last layer, for every example of the trial, un-augmented: float16 (examples, d).

    trained: after the trial's last epoch, else with its initial weights. Weights are not in the store, so the first
    call trains the trial (its record is put) and keeps the features in results/features/, named by the trial's key and
    verified when read; later calls only read. Returns the features and a Ledger of the trial, None if untrained.
    """
    if not trained:
        return _penultimate(Run(trial, run.device())), None
    store = store or Store()
    path, record = paths.results_dir() / "features" / f"{trial.key}.npz", store.get(trial)
    try:
        found = unpack(path.read_bytes())["features"]
    except (OSError, BadRecord, KeyError):
        found = None
    if found is not None and record is not None and len(found) == len(trial.examples):
        return found, Ledger([record])
    going = Run(trial, run.device())
    while going.done < trial.epochs and not going.diverged:
        going.epoch()
    found = _penultimate(going)
    store.put(going.record())
    files.make_folder(path.parent)
    files.write_atomically(path, pack({"features": found}))
    return found, Ledger([store.get(trial)], trained=1)


@torch.no_grad()
def _penultimate(going: Run, batch: int = 500) -> np.ndarray:
    seen: list[Tensor] = []
    last = [module for module in going.net.modules() if isinstance(module, nn.Linear)][-1]
    handle = last.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].float().cpu()))
    going.net.eval()
    for images in going.trial.examples.images.split(batch):
        with going.autocast():
            going.net(going.prepare(images.to(going.device)))
    handle.remove()
    return torch.cat(seen).half().numpy()


# ---- distances within a set ----------------------------------------------------------------------------------------


def distances(vectors) -> np.ndarray:
    """float32 (n, n): Euclidean distances, 0 on the diagonal."""
    x = torch.from_numpy(np.ascontiguousarray(vectors, dtype=np.float32))
    d = torch.cdist(x - x.mean(0), x - x.mean(0))
    return d.fill_diagonal_(0).numpy()


def within(distance: np.ndarray, counts, *, which: str = "easy", fraction: float = 0.10) -> tuple[float, float]:
    """(mean distance, nearest neighbour) within the easiest or hardest k examples, expected over all tie-breakings.

    mean distance: over the pairs of the set; nearest neighbour: to the closest other member, mean over members.
    distance: (n, n); counts: (n,), higher = easier. k = fraction * n as in `matching.rate`; counts that are all equal
    give the expectation for a random set of k. UserError: k < 2.
    """
    cut = cuts.cut_at(cuts.vector(counts), *cuts.asked(which, fraction))
    if distance.shape != (len(cut.code),) * 2:
        raise UserError(f"distances of shape {distance.shape} for {len(cut.code)} counts: give (examples, examples)")
    if cut.k < 2:
        raise UserError(f"a set of {cut.k} of {len(cut.code)} examples has no pair: take more images")
    sure, tied = (np.flatnonzero(cut.code == code) for code in (cuts.IN, cuts.TIED))
    return _mean_pair(distance, sure, tied, cut), _mean_nearest(distance, sure, tied, cut)


def _mean_pair(distance: np.ndarray, sure: np.ndarray, tied: np.ndarray, cut: cuts.Cut) -> float:
    """Sum over pairs of distance times the probability that both are in, over the number of pairs of a set."""
    one = cut.share
    both = one * (cut.missing - 1) / (cut.tied - 1) if cut.tied > 1 else 0.0
    total = distance[np.ix_(sure, sure)].sum(dtype=float) / 2 + one * distance[np.ix_(sure, tied)].sum(dtype=float)
    total += both * distance[np.ix_(tied, tied)].sum(dtype=float) / 2
    return float(total / (cut.k * (cut.k - 1) / 2))


def _mean_nearest(distance: np.ndarray, sure: np.ndarray, tied: np.ndarray, cut: cuts.Cut) -> float:
    """Mean over members of the expected distance to the nearest member.

    A member's tied others, nearest first, are out one after the other with hypergeometric probability, until one is in
    or a sure member is nearer.
    """
    total = 0.0
    for rows, weight, own in ((sure, 1.0, 0), (tied, cut.share, 1)):
        if not len(rows):
            continue
        to_sure, to_tied = distance[np.ix_(rows, sure)].astype(float), distance[np.ix_(rows, tied)].astype(float)
        np.fill_diagonal(to_tied if own else to_sure, np.inf)
        near = np.sort(to_tied, axis=1)[:, : cut.tied - own]
        nearest_sure = to_sure.min(1, initial=np.inf)[:, None]
        none_yet = _none_in(near.shape[1], cut.missing - own)  # none of the t nearest tied is in
        expected = np.minimum(near, nearest_sure) @ (none_yet[:-1] - none_yet[1:])
        if none_yet[-1] > 0:
            expected = expected + nearest_sure[:, 0] * none_yet[-1]
        total += weight * expected.sum()
    return float(total / cut.k)


def _none_in(others: int, chosen: int) -> np.ndarray:
    """P(none of the first t of `others` is among the `chosen` drawn of them), for t = 0..others."""
    left = others - np.arange(others)
    return np.concatenate([[1.0], np.cumprod((left - chosen).clip(0) / left)])


# ---- the measurement -----------------------------------------------------------------------------------------------


def table(
    correct,
    labels,
    spaces: Mapping[str, np.ndarray],
    *,
    classes=None,
    fraction: float = 0.10,
    draws: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """How alike the easiest and hardest images of each class are, against random sets of that class and size.

    correct: bool (trials, examples), one net at one m; labels: (examples,); spaces: {name: vectors (examples, d)}.
    One row a space, set, measure and class, and one with class "all", the mean of the classes' ratios. Columns: space,
    which, measure, class, k, distance, random (expectation), ratio (their quotient: below 1 = more alike than random),
    low, high (95% jackknife of the ratio: each trial, or of many trials each of 20 groups, left out once),
    band_low, band_high (95% of the ratios of `draws` random sets), total_low, total_high (both doubts, see below).

    Two doubts: the jackknife says what other trials would have given on these images, the band what a set of this size
    would have given that has nothing to do with easiness. They are independent, so in the total interval their reaches
    are added as squares. Images are not resampled: a bootstrap sample holds copies, whose nearest neighbour is at 0.
    """
    correct = cuts.trials_of(correct, least=2)
    codes = cuts.labels_of(labels, correct.shape[1])
    names = [str(c) for c in np.unique(labels)] if classes is None else list(classes)
    parts = np.array_split(np.arange(len(correct)), min(GROUPS, len(correct)))
    whole = correct.sum(0)
    counts = [whole, *(whole - correct[part].sum(0) for part in parts)]
    rng = np.random.default_rng(seed)
    rows = []
    for space, vectors in spaces.items():
        ratios = {key: [] for key in ((w, x) for w in cuts.WHICH for x in MEASURES)}
        bands = []
        for label, name in enumerate(names):
            of = np.flatnonzero(codes == label)
            distance = distances(vectors[of])
            random = np.array(within(distance, np.zeros(len(of)), fraction=fraction))
            k = cuts.cut_at(np.zeros(len(of)), "easy", fraction).k
            bands.append([_plain(distance, rng.choice(len(of), k, replace=False)) / random for _ in range(draws)])
            for which in cuts.WHICH:
                values = np.array([within(distance, c[of], which=which, fraction=fraction) for c in counts])
                for at, measure in enumerate(MEASURES):
                    ratio = values[:, at] / random[at]
                    ratios[which, measure].append(ratio)
                    row = (space, which, measure, name, k, values[0, at], random[at])
                    rows.append((*row, *_limits(ratio), *_band(np.array(bands[-1])[:, at])))
        overall = np.mean(bands, axis=0)  # (draws, measures): one random set in every class
        for (which, measure), ratio in ratios.items():
            band = _band(overall[:, MEASURES.index(measure)])
            rows.append((space, which, measure, "all", np.nan, np.nan, np.nan, *_limits(np.mean(ratio, 0)), *band))
    columns = "space which measure class k distance random ratio low high band_low band_high"
    frame = pd.DataFrame(rows, columns=columns.split()).astype({"k": "Int64"})
    reach = np.hypot(frame.high - frame.ratio, (frame.band_high - frame.band_low) / 2)
    return frame.assign(total_low=(frame.ratio - reach).clip(lower=0), total_high=frame.ratio + reach)


def verdict(row, claim: str) -> str:
    """Of a row of `table`: is the set more "alike", or more "diverse", than a random one? holds | fails | inconclusive.

    Judged by the total interval. holds: all of it lies on that side of 1, by however little; fails: all of it lies on
    the other side; inconclusive: it holds 1, a random set's value.
    """
    if claim not in ("alike", "diverse"):
        raise UserError(f"claim {claim!r}: give 'alike' or 'diverse'")
    below, above = row.total_high < 1, row.total_low > 1
    holds, fails = (below, above) if claim == "alike" else (above, below)
    return "holds" if holds else "fails" if fails else "inconclusive"


def _plain(distance: np.ndarray, members: np.ndarray) -> np.ndarray:
    """(mean distance, nearest neighbour) of a set whose members are known."""
    inner = distance[np.ix_(members, members)].astype(float)
    mean = inner.sum() / (len(members) * (len(members) - 1))
    np.fill_diagonal(inner, np.inf)
    return np.array([mean, inner.min(1).mean()])


def _limits(values: np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """Estimate, low, high from the value of all trials followed by those with each group left out."""
    estimate, left_out = values[0], values[1:]
    reach = stats.t.ppf((1 + level) / 2, len(left_out) - 1) * np.sqrt((len(left_out) - 1) * left_out.var())
    return float(estimate), float(max(0.0, estimate - reach)), float(estimate + reach)


def _band(values: np.ndarray) -> tuple[float, float]:
    return tuple(np.quantile(values, [0.025, 0.975]).tolist())


def average(images, counts, labels, *, which: str = "easy", fraction: float = 0.10) -> np.ndarray:
    """The mean image of the easiest or hardest part of each class, expected over ties: uint8 (classes, 3, H, W).

    images: uint8 (n, 3, H, W); counts, labels: (n,); classes in the order of labels. Equal counts: the class mean.
    """
    images, counts = np.asarray(images), cuts.vector(counts)
    codes = cuts.labels_of(labels, len(counts))
    means = []
    for label in range(codes.max() + 1):
        of = np.flatnonzero(codes == label)
        weight = matching.inclusion(counts[of], which=which, fraction=fraction)
        used = of[weight > 0]
        means.append(np.tensordot(weight[weight > 0] / weight.sum(), images[used].astype(np.float32), 1))
    return np.rint(np.clip(means, 0, 255)).astype(np.uint8)
