"""How easy is each training example? Scores from a record of who was right when (EH 2.1 and what others have used).

Pure functions of `correct`, bool (trials, epochs, examples): right at the end of that epoch, or of a Ledger of ONE net
(its training-set view). Every score is float (examples,) and HIGHER = EASIER: those whose usual form counts trouble
(loss, forgetting, first epoch) are turned round. m counts epochs from 1. SCORES holds them by name, and whatever a
notebook registers beside them (`register_score`). Diverged trials are not in a ledger; missing is not incorrect.

It never trains, reads a file, or pools two nets into one score.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from easel.compare import correlation as correlations, cuts, matching
from easel.errors import UserError

GROUP_SIZES = (1, 2, 5, 10, 20, 50, 100, 200)  # trials in a group that a projection goes through
DRAWS = 5  # simulated pairs of groups a size
GRID = np.sin(np.linspace(0, np.pi / 2, 201)) ** 2  # success probabilities, closest where counts are: near 0 and 1
GAIN = 0.01  # nats, of all examples together: the fit ends at the step that adds less
COLUMNS = ["dataset", "example", "label", "model", "m", "n_trials", "correct_count", "easiness"]


# ---- scores --------------------------------------------------------------------------------------------------------


def counts(correct, m: int = 1) -> np.ndarray:
    """c_t (EH 2.1): the number of trials in which each example is classified correctly at the end of epoch m.

    correct: (trials, epochs, examples) bool, or a Ledger of one net. Returns int64 (examples,) in 0..trials.
    UserError: m outside 1..epochs, no trials, several nets.
    """
    correct = right_or_wrong(correct)
    return correct[:, _epoch(m, correct.shape[1])].sum(0, dtype=np.int64)


def easiness(correct, m: int = 1) -> np.ndarray:
    """e_t = c_t / max_j c_j (EH 2.1, Eq. 1), in 0..1; arguments as in `counts`.

    UserError where no trial got any example right: Eq. 1 is then 0/0 and there is no ranking to report.
    """
    c = counts(correct, m)
    if not c.max():
        raise UserError(f"no trial got any example right at m={m}: easiness is 0/0; take a larger m or more trials")
    return c / c.max()


def learnability(correct, m: int | None = None) -> np.ndarray:
    """The share of the first m epochs (None: of all) that each example is right after, mean over trials (SL), 0..1."""
    return right_or_wrong(correct, m).mean((0, 1))


def first_learned(correct, m: int | None = None) -> np.ndarray:
    """How early each example is first right: (E + 1 - first epoch) / E, mean over trials, in 0..1.

    1: right after the first epoch in every trial; 1/E: only after the last, E = m; 0: never. Later slips do not count.
    """
    correct = right_or_wrong(correct, m)
    epochs = correct.shape[1]
    early = np.zeros(correct.shape[2])
    for trial in correct:  # a trial at a time: int64 of all at once would be 8 times the ledger
        early += np.where(trial.any(0), epochs - trial.argmax(0), 0)
    return early / (epochs * len(correct))


def forgetting(correct, m: int | None = None) -> np.ndarray:
    """Minus the number of forgetting events (right, then wrong an epoch later; Toneva et al. 2019), mean over trials.

    A trial that never got the example right counts E // 2 + 1 events, one more than E = m epochs can hold: never
    learned is harder than any forgetting (Toneva: infinitely many, which has no mean). Range -(E // 2 + 1)..0. We look
    at the end of each epoch; Toneva looked whenever the example was in a mini-batch.
    """
    correct = right_or_wrong(correct, m)
    epochs = correct.shape[1]
    events = np.zeros(correct.shape[2])
    for trial in correct:
        for before, after in pairwise(trial):
            events += before & ~after
        events += (epochs // 2 + 1) * ~trial.any(0)
    return 0.0 - events / len(correct)


def mean_margin(ledger, m: int | None = None) -> np.ndarray:
    """Margin, the true class's logit minus the best other, at the end of epoch m (None: all epochs), mean over trials.

    ledger: of one net, with recorded margins; or float (trials, epochs, examples). Any sign, in logits.
    UserError: values that are not finite.
    """
    return _mean(ledger, "margin", m)


def mean_loss(ledger, m: int | None = None) -> np.ndarray:
    """MINUS the cross-entropy loss, in nats, so that higher = easier; otherwise as `mean_margin`. At most 0."""
    return 0.0 - _mean(ledger, "loss", m)


def probability(ledger, m: int | None = None) -> np.ndarray:
    """Graded easiness: the softmax probability of the true class, in 0..1; otherwise as `mean_margin`."""
    return _mean(ledger, "probability", m)


# ---- scores by name ------------------------------------------------------------------------------------------------


class Score(NamedTuple):
    """A score as tables take it: function(ledger of one net, m) -> (examples,), and the quantities that it reads."""

    function: Callable[[object, int], np.ndarray]
    needs: tuple[str, ...] = ()


SCORES: dict[str, Score] = {}


def register_score(name: str, function: Callable[[object, int], np.ndarray], needs: Sequence[str] = ()) -> None:
    """Gives a score its name, by which `score` and `easiness_table` find it.

    function(ledger, m): float (examples,), HIGHER = EASIER, from a Ledger of one net, at or up to the end of epoch m.
    needs: what its trials must have recorded beside right or wrong (names of `ledger.quantities`).
    UserError: a name that is taken, or is a column of the table.
    """
    if name in SCORES or name in COLUMNS[:-1]:
        raise UserError(f"the score {name!r} is there already: give it another name")
    SCORES[name] = Score(function, tuple(needs))


register_score("easiness", easiness)
register_score("graded easiness", probability, needs=("probability",))
register_score("learnability", learnability)
register_score("first learned", first_learned)
register_score("forgetting", forgetting)
register_score("margin", mean_margin, needs=("margin",))
register_score("loss", mean_loss, needs=("loss",))


def score(name: str, ledger, m: int = 1) -> np.ndarray:
    """The score of that name of each example, float (examples,), of a Ledger of one net.

    UserError: no such score, a quantity that it needs was not recorded, other than one finite number an example.
    """
    of = SCORES[cuts.chosen("score", name, list(SCORES))]
    absent = [quantity for quantity in of.needs if not _one_net(ledger).has(quantity)]
    if absent:
        raise UserError(
            f"the score {name!r} needs {', '.join(absent)}, which these trials do not record: Trial(record=…)"
        )
    found = cuts.vector(of.function(ledger, m))
    if len(found) != len(ledger.ids):
        raise UserError(f"the score {name!r} gave {len(found)} numbers for {len(ledger.ids)} examples: one for each")
    return found


def easiness_table(ledger, m_values, dataset_name: str, more: Sequence[str] = ()) -> pd.DataFrame:
    """EH's easiness as a table: one row an example, net and m; columns exactly COLUMNS, and `more` scores by name.

    ledger: of one net or several, a block of rows for each. example: index in the data set's official order.
    easiness is relative to its own net and m (Eq. 1). UserError as in `easiness` and `score`.
    """
    blocks = []
    for model in dict.fromkeys(ledger.models):
        of_net = ledger.where(model=model)
        for m in m_values:
            trials = len(right_or_wrong(of_net))
            known = (dataset_name, of_net.ids, of_net.labels, model, int(m), trials, counts(of_net, m))
            named = {name: score(name, of_net, m) for name in dict.fromkeys(["easiness", *more])}
            blocks.append(pd.DataFrame(dict(zip(COLUMNS[:-1], known, strict=True)) | named))
    if not blocks:
        raise UserError("no trials or no m: give a ledger with trials and at least one m, such as [1]")
    return pd.concat(blocks, ignore_index=True)


# ---- how many trials are enough ------------------------------------------------------------------------------------


def reliability_curve(correct, m: int = 1, sizes=None, *, repeats: int = 20, seed: int = 0) -> pd.DataFrame:
    """How alike two disjoint groups of `trials` trials of one net are: when is the number of trials enough?

    sizes: trials a group, each in 1..trials // 2; all of them if none are given.
    Columns: trials, measure ("spearman" | "easy" | "hard"; the last two are matching rates with expected ties), mean,
    sd, low, high (5 % and 95 % of the random splits), repeats. The splits share trials: the spread shows what another
    split would have given, it is no confidence interval.
    """
    correct = right_or_wrong(correct)
    rows = []
    for size in range(1, len(correct) // 2 + 1) if sizes is None else sizes:
        pairs = list(_halves(correct, m, size, repeats, seed))
        measures = {"spearman": [correlations.spearman(*pair) for pair in pairs]}
        measures |= {which: [matching.rate(*pair, which=which) for pair in pairs] for which in cuts.WHICH}
        for measure, values in measures.items():
            ends = np.quantile(values, [0.05, 0.95])
            rows.append((int(size), measure, float(np.mean(values)), float(np.std(values)), *ends, repeats))
    return pd.DataFrame(rows, columns=["trials", "measure", "mean", "sd", "low", "high", "repeats"])


def projected(correct, m: int = 1, sizes=GROUP_SIZES, *, seed: int = 0) -> pd.DataFrame:
    """How alike two groups of `trials` trials of one net would be: `reliability_curve` carried on to any size.

    Every example has a probability of being right. How many have which is fitted to the counts of all trials (EM for
    the mixing distribution, on a grid), then two groups are drawn from it for as many examples: the matching rate with
    expected ties, mean over DRAWS pairs. Columns: trials, measure ("easy" | "hard"), mean.

    The fit ends early (GAIN): run to its maximum it is a handful of probabilities, examples that would be tied for
    good. It leaves out that some trials are better as a whole, and that examples go right together: its trials differ
    by chance alone. On drawn data it hits the truth up to 200 trials within .03 from 50,000 examples and 40 trials,
    mostly within .05 from 10,000 and 20, and may be .2 off from 800 and 8: so few do not show the ends.
    UserError: fewer than two trials, no sizes or sizes below 1.
    """
    correct = right_or_wrong(correct)
    sizes = [cuts.whole("sizes", size, 1) for size in sizes]
    if not sizes:
        raise UserError("sizes=[]: give at least one number of trials a group")
    if len(correct) < 2:
        raise UserError("1 trial does not tell which examples are right by chance: give at least 2")
    shares, n = np.cumsum(_mixing(counts(correct, m), len(correct))), correct.shape[2]
    rows = []
    for size in sizes:
        rng = np.random.default_rng((seed, size))
        rates = []
        for _ in range(DRAWS):
            at = np.searchsorted(shares, (np.arange(n) + rng.random()) / n * shares[-1])
            one, two = rng.binomial(size, GRID[np.minimum(at, len(GRID) - 1)], (2, n))
            rates.append([matching.rate(one, two, which=which) for which in cuts.WHICH])
        rows += [(size, which, mean) for which, mean in zip(cuts.WHICH, np.mean(rates, axis=0), strict=True)]
    return pd.DataFrame(rows, columns=["trials", "measure", "mean"])


# ---- helpers -------------------------------------------------------------------------------------------------------


def _halves(correct: np.ndarray, m: int, size: int, repeats: int, seed: int):
    """Counts of two disjoint random groups of `size` trials, `repeats` times."""
    if len(correct) < 2:
        raise UserError("1 trial: two disjoint groups need two or more")
    size, repeats = cuts.whole("trials a group", size, 1, len(correct) // 2), cuts.whole("repeats", repeats, 1)
    right = correct[:, _epoch(m, correct.shape[1])]
    rng = np.random.default_rng((seed, size))
    for _ in range(repeats):
        order = rng.permutation(len(right))
        yield right[order[:size]].sum(0), right[order[size : 2 * size]].sum(0)


def _mixing(c: np.ndarray, trials: int) -> np.ndarray:
    """The share of examples at each probability of GRID that makes the counts c, of so many trials, likely."""
    seen = np.bincount(c, minlength=trials + 1)
    of_count = stats.binom.pmf(np.arange(trials + 1)[:, None], trials, GRID)
    shares, last = np.full(len(GRID), 1 / len(GRID)), -np.inf
    while True:
        expected = of_count @ shares
        likelihood = np.log(expected, where=seen > 0, out=np.zeros(len(seen))) @ seen
        if likelihood - last < GAIN:
            return shares
        last = likelihood
        ratio = np.divide(seen / len(c), expected, where=seen > 0, out=np.zeros(len(seen)))
        shares = shares * (of_count.T @ ratio)


def _mean(source, name: str, m: int | None) -> np.ndarray:
    values = _cube(_one_net(source).values(name) if hasattr(source, "models") else source)
    if m is not None:
        at = _epoch(m, values.shape[1])
        values = values[:, at : at + 1]
    score = values.mean((0, 1), dtype=np.float64)
    if not np.isfinite(score).all():
        raise UserError(f"{name} is not finite for example {int(np.argmin(np.isfinite(score)))}: leave that trial out")
    return score


def right_or_wrong(source, m: int | None = None) -> np.ndarray:
    """Right or wrong, bool (trials, epochs, examples), of the first m epochs; of all if m is None."""
    correct = _cube(_one_net(source).correct("train") if hasattr(source, "models") else source)
    if correct.dtype != bool:
        raise UserError(f"correct of type {correct.dtype}: give bool (trials, epochs, examples)")
    return correct if m is None else correct[:, : _epoch(m, correct.shape[1]) + 1]


def _cube(values) -> np.ndarray:
    values = cuts.array(values)
    if values.ndim != 3 or values.dtype.kind not in "biuf" or 0 in values.shape:
        raise UserError(f"a record of shape {values.shape}: give (trials, epochs, examples), at least one of each")
    return values


def _one_net(ledger):
    models = list(dict.fromkeys(ledger.models))
    if len(models) != 1:
        raise UserError(f"a ledger of {len(models)} nets ({', '.join(models)}): give one's, ledger.where(model=...)")
    return ledger


def _epoch(m: int, epochs: int) -> int:
    """m, counted from 1, as an index into the epochs that were recorded."""
    return cuts.whole("m", m, 1, epochs) - 1
