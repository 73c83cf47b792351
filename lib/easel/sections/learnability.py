"""Sample-wise learnability (SL): hits over epochs, from each trial by itself, beside the other scores (scores.py).

How far nets agree on it is `easel.compare.correlation`'s. It never trains, loads a record or draws a figure.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from easel.compare import cuts, scores
from easel.compare.correlation import RESAMPLES, Runs, agreement
from easel.errors import UserError


def of_trials(correct, epochs: int | None = None) -> np.ndarray:
    """Learnability of each example in each trial by itself: the share of the first `epochs` epochs it is right after.

    correct: (trials, epochs, examples) bool, of one net; epochs: None counts all. float64 (trials, examples), 0..1; the
    mean over trials is `scores.learnability`. UserError: another shape or type, epochs outside 1..those recorded.
    """
    correct = _record(correct)
    last = correct.shape[1] if epochs is None else epochs
    if isinstance(last, bool) or not isinstance(last, int | np.integer) or not 1 <= last <= correct.shape[1]:
        raise UserError(f"epochs={epochs!r}: give a whole number in 1..{correct.shape[1]}, the epochs recorded")
    return correct[:, :last].mean(1)


def spaced(epochs: int, most: int = 12) -> list[int]:
    """At most so many of the epochs 1..epochs, first and last among them, closer together at the beginning."""
    if epochs <= most:
        return list(range(1, epochs + 1))
    return np.unique(np.geomspace(1, epochs, most).round().astype(int)).tolist()


def correlations_over_epochs(
    correct: Mapping[str, np.ndarray],
    epochs: Sequence[int],
    kind: str = "pearson",
    *,
    labels=None,
    resamples: int = RESAMPLES,
) -> pd.DataFrame:
    """`agreement` of learnability when only the first epochs are counted: its table for each number, column `epochs`.

    correct: {net: (trials, epochs, examples) bool}. The nets are those of the whole schedule, not of a shorter one.
    """
    parts = []
    for last in epochs:
        runs = {net: of_trials(of_net, last) for net, of_net in correct.items()}
        parts.append(agreement(runs, kind, labels=labels, resamples=resamples).table().assign(epochs=last))
    return pd.concat(parts, ignore_index=True)


# ---- learnability and the other scores -----------------------------------------------------------------------------


def trial_scores(correct, *, online=None, values: Mapping[str, np.ndarray] | None = None, m_values=(1,)) -> dict:
    """Every score that one net's record gives, from each trial by itself: {name: float (trials, examples)}.

    correct: (trials, epochs, examples) bool; online: the same of the view "online", or None; values: {"margin" | "loss"
    | "probability": float (trials, epochs, examples)}, each meaned over all epochs. All are HIGHER = EASIER, as in
    scores.py. A single trial's easiness at m is right (1) or wrong (0) after epoch m.
    """
    correct = _record(correct)
    found = {"learnability": of_trials(correct)}
    if online is not None:
        found["learnability, online"] = of_trials(online)

    def each(score: Callable, record, *rest) -> np.ndarray:
        return np.stack([np.asarray(score(record[t : t + 1], *rest), float) for t in range(len(record))])

    for m in m_values:
        found[f"easiness, m = {m}"] = each(scores.counts, correct, m)
    found["first learned"] = each(scores.first_learned, correct)
    found["forgetting"] = each(scores.forgetting, correct)
    means = {"margin": scores.mean_margin, "loss": scores.mean_loss, "probability": scores.probability}
    for quantity, record in (values or {}).items():
        if quantity not in means:
            raise UserError(f"no score of {quantity!r}: one of {', '.join(means)}")
        found[f"mean {quantity}"] = each(means[quantity], np.asarray(record))
    return found


def by_epoch(
    correct, m_values: Sequence[int], kind: str = "pearson", *, resamples: int = RESAMPLES, seed: int = 0
) -> pd.DataFrame:
    """Which m's easiness agrees best with learnability? One trial's learnability against the OTHER trials' counts at m.

    correct: (trials, epochs, examples) bool of one net, two trials or more; every trial is left out once, and the
    correlations are averaged, so no bit stands on both sides.
    Columns: m, r, low, high (95 % of resampled images, the trials as they are), best (share of the resamples in which
    this m has the highest r). nan where all counts at an m are equal.
    """
    correct = _record(correct)
    if len(correct) < 2:
        raise UserError(f"{len(correct)} trial: learnability of one is compared with the others', give two or more")
    for m in m_values:
        scores.counts(correct, m)  # refuses an m that was not recorded
    learnable = of_trials(correct)
    pairs = []
    for m in m_values:
        right = correct[:, m - 1]
        others = right.sum(0) - right
        pairs += [Runs(np.stack(pair), kind, None) for pair in zip(learnable, others, strict=True)]
    rng, examples = np.random.default_rng(seed), correct.shape[2]

    def curve(weights: np.ndarray) -> np.ndarray:
        return np.array([pair(weights)[0, 1] for pair in pairs]).reshape(len(m_values), -1).mean(1)

    drawn = (np.bincount(rng.integers(examples, size=examples), minlength=examples) for _ in range(resamples))
    resampled = np.stack([curve(weights.astype(float)) for weights in drawn])
    best = np.bincount(np.argmax(np.nan_to_num(resampled, nan=-2), axis=1), minlength=len(m_values)) / resamples
    low, high = np.quantile(resampled, [0.025, 0.975], axis=0)
    return pd.DataFrame({"m": list(m_values), "r": curve(np.ones(examples)), "low": low, "high": high, "best": best})


def joint(a, b, cells: int = 21) -> pd.DataFrame:
    """Joint distribution of two nets' learnability (examples,), for a heat map: columns a, b (middles), images.

    cells: a side, their middles from 0 to 1; epochs + 1 gives a cell to every value that one trial can have.
    """
    a, b = cuts.pair_of(a, b)
    if min(a.min(), b.min()) < 0 or max(a.max(), b.max()) > 1 or cells < 2:
        raise UserError(f"learnability from {min(a.min(), b.min())} in {cells} cells: give values in 0..1, two cells")
    at = [np.floor(x * (cells - 1) + 0.5).astype(int) for x in (a, b)]
    images = np.bincount(at[0] * cells + at[1], minlength=cells * cells)
    middle = np.arange(cells) / (cells - 1)
    return pd.DataFrame({"a": np.repeat(middle, cells), "b": np.tile(middle, cells), "images": images})


def _record(correct) -> np.ndarray:
    correct = np.asarray(correct)
    if correct.ndim != 3 or correct.dtype != bool or 0 in correct.shape:
        raise UserError(f"a record of {correct.dtype} and shape {correct.shape}: give bool (trials, epochs, examples)")
    return correct
