"""Are easy examples alike, and hard ones diverse (EH Sec. 5)? Distances within sets of images, exact over ties.

The paper shows pictures; here the same sets are measured. A set is the easiest or hardest part of one class. Counts are
whole numbers, so its edge falls inside a block of ties; every value is the expectation over all ways to break them, in
closed form; a random set is one in which everyone is tied, so its value comes from the same formula.

It never draws a figure, and never breaks a tie by chance.
"""

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from easel.compare import cuts, matching
from easel.compare.claims import Judged, judge
from easel.compare.distances import DISTANCES, cut_of, distances, measures, set_of
from easel.compare.intervals import Interval, from_left_out
from easel.errors import UserError
from easel.ledger.store import Groups, Ledger, Store
from easel.ledger.trial import Trial
from easel.train import ensure as run
from easel.train.loop import Run

SPACES = ("pixels", "colours", "untrained net", "trained net")
GROUPS = 20  # of trials at most, each left out once for an interval
# images looked at together: large ones as whole numbers of 8 bytes would not fit into memory all at once
IMAGES_AT_ONCE = 256


# ---- spaces --------------------------------------------------------------------------------------------------------


def pixels(images: Tensor, side: int = 32) -> np.ndarray:
    """Pixel space: float32 (n, d). The distance of two is their root mean square difference, 0..255.

    images: uint8 (n, 3, H, W); those larger than `side` pixels are averaged down to it first.
    """
    size = side * side if max(images.shape[2:]) > side else images[0, 0].numel()
    found = torch.empty(len(images), 3 * size)  # of all photographs: hundreds of MB
    for part, into in zip(images.split(IMAGES_AT_ONCE), found.split(IMAGES_AT_ONCE), strict=True):
        x = part.float()
        small = (F.adaptive_avg_pool2d(x, side) if max(x.shape[2:]) > side else x).flatten(1)
        torch.div(small, small.shape[1] ** 0.5, out=into)
    return found.numpy()


def colours(images: Tensor, bins: int = 4) -> np.ndarray:
    """Colour space: float32 (n, bins^3). The distance of two is Hellinger's of their RGB histograms, 0..1.

    0: the same colours in the same amounts, wherever they stand in the image; 1: no colour in common.
    """
    histograms = []
    for part in images.split(IMAGES_AT_ONCE):
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


def measured(names, trial: Trial, *, store: Store | None = None) -> tuple[dict[str, np.ndarray], list[Ledger]]:
    """The spaces of these names, of `SPACES`, for the trial's examples: {name: vectors}, in the order of the names.

    A net's space is the `directions` of its features, what enters its last layer for the plain images: with the
    trial's initial weights, or as the trial records them after its last epoch; its Ledger is returned too. Only for
    "trained net" is anything trained. UserError: a name that is not in SPACES, or a trial that diverged.
    """
    unknown = [name for name in names if name not in SPACES]
    if unknown:
        raise UserError(f"no space {unknown[0]!r}; there are: {', '.join(SPACES)}")
    spaces, ledgers = {}, []
    for name in names:
        if name in ("pixels", "colours"):
            spaces[name] = (pixels if name == "pixels" else colours)(trial.examples.images)
        elif name == "untrained net":
            spaces[name] = directions(Run(trial, run.device()).features().half().cpu())
        else:
            asked = replace(trial, record=(*trial.record, f"features@{trial.epochs}"))
            ledgers.append(run.ensure([asked], store=store))
            if ledgers[-1].diverged:
                raise UserError("features are not finite: the net diverged; take another seed")
            spaces[name] = directions(ledgers[-1].values("features", f"train@{trial.epochs}")[0, 0])
    return spaces, ledgers


# ---- the measurement -----------------------------------------------------------------------------------------------


def similarity_table(
    correct: Mapping, labels, spaces: Mapping, *, classes=None, fraction: float = 0.10, draws: int = 200, only=None
) -> pd.DataFrame:
    """How alike the easiest and hardest images of each class are, against random sets of that class and size.

    correct: {name: bool (trials, examples)}, nets or epochs of the same examples; labels: (examples,); spaces: {name:
    vectors (examples, d)}. One row a net, space, set, measure and class, and one with class "all", the mean of the
    classes' ratios. Columns: space, which, measure, class, k, distance, random (expectation), ratio (their quotient:
    below 1 = more alike than random), low, high (95% jackknife of the ratio: each trial, or of many trials each of 20
    groups, left out once), band_low, band_high (95% of the ratios of `draws` random sets), total_low, total_high (both
    doubts, see below), net (its name).

    The rows of one net stand after those of the other. Each has the values that it has alone, against the same random
    sets; the distances, which cost most, are computed once for all. only: {space: names}, those that a space is
    measured for, all if it is not named.

    Two doubts: the jackknife says what other trials would have given on these images, the band what a set of this size
    would have given that has nothing to do with easiness. They are independent, so in the total interval their reaches
    are added as squares. Images are not resampled: a bootstrap sample holds copies, whose nearest neighbour is at 0.
    """
    counts = {net: _counts(one) for net, one in correct.items()}
    examples = sorted({one.shape[1] for one in counts.values()})
    if len(examples) != 1:
        raise UserError(f"rankings of {examples or 'no'} examples: give at least one, all of the same examples")
    unknown = sorted({net for nets in (only or {}).values() for net in nets} - set(counts))
    if unknown:
        raise UserError(f"only: no ranking {unknown[0]!r}; there are: {', '.join(counts)}")
    codes = cuts.labels_of(labels, examples[0])
    names = [str(c) for c in np.unique(labels)] if classes is None else list(classes)
    members = [np.flatnonzero(codes == label) for label in range(len(names))]
    ends = [(net, which) for net in counts for which in cuts.WHICH]
    sets = [
        {(n, w): [cut_of(c, w, fraction) for c in counts[n][:, of].astype(float)] for n, w in ends} for of in members
    ]
    rng = np.random.default_rng(0)
    rows = {net: [] for net in counts}
    for space, vectors in spaces.items():
        here = [end for end in ends if end[0] in (only or {}).get(space, counts)]
        ratios = {key: [] for key in ((*end, x) for end in here for x in DISTANCES)}
        bands = []
        for name, of, own in zip(names, members, sets, strict=True):
            everyone = cut_of(np.zeros(len(of)), "easy", fraction)
            drawn = [set_of(rng.choice(len(of), everyone.k, replace=False), len(of)) for _ in range(draws)]
            groups = [[everyone], drawn, *(own[end] for end in here)]
            found = measures(distances(vectors[of]), list(chain(*groups)))
            (random,), plain, *found = np.split(found, np.cumsum([len(group) for group in groups])[:-1])
            bands.append(plain / random)
            for (net, which), values in zip(here, found, strict=True):
                for at, measure in enumerate(DISTANCES):
                    ratio = values[:, at] / random[at]
                    ratios[net, which, measure].append(ratio)
                    row = (space, which, measure, name, everyone.k, values[0, at], random[at])
                    rows[net].append((*row, *_limits(ratio), *_band(bands[-1][:, at]), net))
        overall = np.mean(bands, axis=0)  # (draws, measures): one random set in every class
        for (net, which, measure), ratio in ratios.items():
            band = _band(overall[:, DISTANCES.index(measure)])
            row = (space, which, measure, "all", np.nan, np.nan, np.nan)
            rows[net].append((*row, *_limits(np.mean(ratio, 0)), *band, net))
    columns = "space which measure class k distance random ratio low high band_low band_high net"
    frame = pd.DataFrame(list(chain(*rows.values())), columns=columns.split()).astype({"k": "Int64"})
    reach = np.hypot(frame.high - frame.ratio, (frame.band_high - frame.band_low) / 2)
    total = {"total_low": (frame.ratio - reach).clip(lower=0), "total_high": frame.ratio + reach}
    return frame.drop(columns="net").assign(**total, net=frame.net)


def _counts(correct) -> np.ndarray:
    """(1 + groups, examples): of all trials, then with each group of them left out."""
    correct = cuts.trials_of(correct, least=2)
    whole = correct.sum(0)
    parts = np.array_split(np.arange(len(correct)), min(GROUPS, len(correct)))
    return np.stack([whole, *(whole - correct[part].sum(0) for part in parts)])


def every_net(groups: Groups, spaces: Mapping[str, np.ndarray], model: str, epochs: int, m: int = 1) -> pd.DataFrame:
    """`similarity_table` of every net after epoch m and after the last, all trials of both groups together.

    The net that is shown, `model`, is measured in every space after epoch m, whatever else in pixels and colours alone,
    which know nothing of any net. Column `shown` says which rows are the shown net's.
    """
    rankings, own = {}, f"{groups.names[model]}, m = {m}"
    for net, name in groups.names.items():
        trials = groups.ledger.where(model=net)
        by_seed = np.argsort([trial.seed for trial in trials.trials])
        for at in sorted({m, epochs}):
            rankings[f"{name}, m = {at}"] = trials.correct()[by_seed, at - 1]
    only = {space: [own] for space in spaces if space not in ("pixels", "colours")}
    classes = groups.ledger.examples.classes
    table = similarity_table(rankings, groups.labels, spaces, classes=classes, only=only)
    return table.assign(shown=table.net == own)


def interval_of(row, trials: int) -> Interval:
    """The ratio of a row of `similarity_table` with its total interval: below 1 alike, above 1 diverse."""
    return Interval(float(row.ratio), float(row.total_low), float(row.total_high), trials)


def against_random(row: pd.Series, groups: Groups, model: str) -> Judged:
    """Section 5's sentence in one space: the easy set is closer than random ones, the hard one further apart."""
    trials = len(groups.ledger.where(model=model))
    side = "below" if row.which == "easy" else "above"
    found = judge(interval_of(row, trials), **{side: 1}, steady=(row.band_high - row.band_low) / 2)
    why = f"{row.ratio - 1:+.0%} against random; random sets {row.band_low - 1:+.0%} to {row.band_high - 1:+.0%}"
    return Judged(found, why, "pictures")


def _limits(values: np.ndarray) -> tuple[float, float, float]:
    """Estimate, low, high from the value of all trials followed by those with each group left out."""
    return from_left_out(float(values[0]), [values[1:]], limits=(0.0, np.inf))[:3]


def _band(values: np.ndarray) -> tuple[float, float]:
    return tuple(np.quantile(values, [0.025, 0.975]).tolist())


def average(images, counts, labels, *, which: str = "easy", fraction: float = 0.10) -> np.ndarray:
    """The mean image of the easiest or hardest part of each class, expected over ties: uint8 (classes, 3, H, W).

    images: uint8 (n, 3, H, W); counts, labels: (n,); classes in the order of labels. Equal counts: the class mean.
    """
    images, counts = np.asarray(images), cuts.vector(counts)
    means = []
    for of in cuts.members_of(cuts.labels_of(labels, len(counts))):
        weight = matching.inclusion(counts[of], which=which, fraction=fraction)
        used = of[weight > 0]
        means.append(np.tensordot(weight[weight > 0] / weight.sum(), images[used].astype(np.float32), 1))
    return np.rint(np.clip(means, 0, 255)).astype(np.uint8)
