"""Sample-wise learnability (SL): hits over epochs, from each trial by itself, in several nets and beside other scores.

How far nets agree is `compare.correlation`'s. Trials of two nets with one seed saw the same batches in the same order,
shifted and flipped alike. No such pair is counted here (`agreement(paired=True)`), and leaving a seed out leaves it out
of every net: what two runs share is then about images. Each function that judges gives a `claims.Judged`. Nothing here
trains or draws.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from easel.compare import claims, correlation, cuts, scores
from easel.compare.claims import Judged
from easel.compare.correlation import RESAMPLES, Agreement, Runs, agreement
from easel.errors import UserError
from easel.ledger.store import Ledger
from easel.ledger.trial import Recipe
from easel.nets.names import build, family, parameters, shown_as
from easel.sections import printed

PRINTED = {"resnet": "ResNet-20", "vgg": "VGG-16", "mobilenet": "MobileNet"}  # {family: SL's net}, in its order
HIGH = 0.90  # of the ceiling: from there on we call two nets highly correlated
HALF = 0.50  # of a correlation: learnability is sample-wise if more of it is about images than about classes


# ---- the nets, and what each trial got right -----------------------------------------------------------------------


def printed_order(models: Sequence[str]) -> list[str]:
    """The nets, each once: those of SL's families in its order, others after them."""
    place = {of: at for at, of in enumerate(PRINTED)}
    return sorted(dict.fromkeys(models), key=lambda net: place.get(family(net), len(place)))


def whole_schedule(data: str, images: int, epochs: int, learning_rate: float) -> Recipe:
    """Our recipe with one cosine that ends where the epochs end, since learnability is counted over all of them.

    Batches of 128 (of 64 up to 10,000 images, of 32 up to 2,500), so that a small set takes enough steps.
    """
    batch = 128 if images > 10_000 else 64 if images > 2500 else 32
    return Recipe.of(data, horizon=epochs, batch_size=batch, learning_rate=learning_rate)


def hits(ledger: Ledger, models: Sequence[str], view: str = "train") -> dict[str, np.ndarray]:
    """{net, by the papers' word: bool (trials, epochs, examples)}, trial t of every net from the same seed.

    Seeds that some net lacks (diverged) are left out of all. view: "train", a pass after each epoch, or "online".
    """
    seeds = set.intersection(*({trial.seed for trial in ledger.where(model=net).trials} for net in models))
    return {word: ledger.where(model=net, seed=seeds).correct(view) for net, word in shown_as(models).items()}


def sizes_and_accuracies(ledger: Ledger, models: Sequence[str]) -> pd.DataFrame:
    """Columns: net, model, parameters, right after the first epoch, right after the last (means of trials, 0..1)."""
    rows = []
    for net, word in shown_as(models).items():
        right = ledger.where(model=net).correct().mean((0, 2))
        rows.append((word, net, parameters(build(net)), right[0], right[-1]))
    columns = ["net", "model", "parameters", "right after the first epoch", "right after the last"]
    return pd.DataFrame(rows, columns=columns)


def of_trials(correct, epochs: int | None = None) -> np.ndarray:
    """Learnability of each example in each trial by itself: the share of the first `epochs` epochs it is right after.

    correct: (trials, epochs, examples) bool, of one net; epochs: None counts all. float64 (trials, examples), 0..1; the
    mean over trials is `scores.learnability`. UserError: another shape or type, epochs outside 1..those recorded.
    """
    return scores.right_or_wrong(correct, epochs).mean(1)


def spaced(epochs: int, most: int = 12) -> list[int]:
    """At most so many of the epochs 1..epochs, first and last among them, closer together at the beginning."""
    if epochs <= most:
        return list(range(1, epochs + 1))
    return np.unique(np.geomspace(1, epochs, most).round().astype(int)).tolist()


def correlations_over_epochs(
    correct: Mapping[str, np.ndarray], epochs: Sequence[int], *, resamples: int = RESAMPLES
) -> pd.DataFrame:
    """`agreement` of learnability when only the first epochs are counted: its table for each number, column `epochs`.

    correct: of `hits`. The nets are those of the whole schedule, not of a shorter one.
    """
    parts = []
    for last in epochs:
        runs = {net: of_trials(of_net, last) for net, of_net in correct.items()}
        parts.append(agreement(runs, paired=True, resamples=resamples).table().assign(epochs=last))
    return pd.concat(parts, ignore_index=True)


# ---- agreement of nets ---------------------------------------------------------------------------------------------


def of_every_kind(runs: Mapping[str, np.ndarray], labels) -> dict[str, Agreement]:
    """{kind: `agreement`} of runs from unequal seeds, for each of CORRELATIONS, and "share within classes".

    runs: {net: (trials, examples)}, trial t of every net from the same seed (`hits`).
    """
    found = {kind: agreement(runs, kind, labels=labels, paired=True) for kind in correlation.CORRELATIONS}
    return found | {"share within classes": correlation.share_within(found["pearson"], found["classes alone"])}


def every_correlation(agreed: Mapping[str, Agreement]) -> pd.DataFrame:
    """`Agreement.table` of each of CORRELATIONS, pairs of different nets only, the kinds of a pair together."""
    table = pd.concat([agreed[kind].table() for kind in correlation.CORRELATIONS])
    return table[table.a != table.b].sort_values(["a", "b"], kind="stable", ignore_index=True)


def net_pairs(agreed: Mapping[str, Agreement], online: Mapping[str, np.ndarray], models, data: str) -> pd.DataFrame:
    """A row a pair of different nets: Pearson's `Agreement.table`, with what it is to be read against.

    Further columns: pair; spearman; alone ("classes alone"); online (Pearson, of online hits); paper and
    paper_in_parentheses (SL's, nan where nothing is printed). online: {net: (trials, examples)}; data: a name of
    easel.data. A smaller net of a printed one's family stands for it; of several the first.
    """
    table = agreed["pearson"].table()
    table["pair"] = table.a + " – " + table.b
    table["spearman"], table["alone"] = (agreed[kind].table().r for kind in ("spearman", "classes alone"))
    table["online"] = agreement(online, paired=True).table().r
    ours = {PRINTED.get(family(net)): word for net, word in reversed(shown_as(models).items())}
    there = printed.sl_correlations(data).replace({"a": ours, "b": ours})
    table = table.merge(there, on=["a", "b"], how="left")
    return table[table.a != table.b].reset_index(drop=True)


def two_readings(runs: Mapping[str, np.ndarray], online: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """A row a net: is a pass after each epoch the same as the training batches' own hits? Pearson's correlations.

    Columns: net; "mean, V" and "ceiling, V" of either view V (pass, online); same trial; another trial; ratio,
    ratio_low, ratio_high (`Agreement.ratio`).
    """
    rows = []
    for net, of_net in runs.items():
        both = {"pass": of_net, "online": online[net]}
        views = agreement(both, paired=True)
        means = [hit.mean() for hit in both.values()]
        same = correlation.same_trial(both, "pearson").loc["pass", "online"]
        apart = [views.r(*pair).estimate for pair in (("pass", "pass"), ("online", "online"), ("pass", "online"))]
        rows.append((net, *means, same, *apart, *views.ratio("pass", "online")[:3]))
    columns = ["net", "mean, pass", "mean, online", "same trial", "ceiling, pass", "ceiling, online", "another trial"]
    return pd.DataFrame(rows, columns=[*columns, "ratio", "ratio_low", "ratio_high"])


# ---- learnability and the other scores -----------------------------------------------------------------------------

VALUES = {"margin": scores.mean_margin, "loss": scores.mean_loss, "probability": scores.probability}


def trial_scores(correct, *, online=None, values: Mapping[str, np.ndarray] | None = None, m_values=(1,)) -> dict:
    """Every score that one net's record gives, from each trial by itself: {name: float (trials, examples)}.

    correct: (trials, epochs, examples) bool; online: the same of the view "online", or None; values: {"margin" | "loss"
    | "probability": float (trials, epochs, examples)}, each meaned over all epochs. All are HIGHER = EASIER, as in
    scores.py. A single trial's easiness at m is right (1) or wrong (0) after epoch m.
    """
    correct = scores.right_or_wrong(correct)
    found = {"learnability": of_trials(correct)}
    if online is not None:
        found["learnability, online"] = of_trials(online)

    def each(score: Callable, record, *rest) -> np.ndarray:
        return np.stack([np.asarray(score(record[t : t + 1], *rest), float) for t in range(len(record))])

    for m in m_values:
        found[f"easiness, m = {m}"] = each(scores.counts, correct, m)
    found["first learned"] = each(scores.first_learned, correct)
    found["forgetting"] = each(scores.forgetting, correct)
    for quantity, record in (values or {}).items():
        if quantity not in VALUES:
            raise UserError(f"no score of {quantity!r}: one of {', '.join(VALUES)}")
        found[f"mean {quantity}"] = each(VALUES[quantity], np.asarray(record))
    return found


def ledger_scores(of_net: Ledger, m_values: Sequence[int]) -> dict[str, np.ndarray]:
    """`trial_scores` of a ledger of one net, with its online hits and whatever it recorded beside right and wrong."""
    values = {quantity: of_net.values(quantity) for quantity in VALUES if of_net.has(quantity)}
    return trial_scores(of_net.correct(), online=of_net.correct("online"), values=values, m_values=m_values)


def score_squares(each: Mapping, agreed: Mapping[str, Agreement]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Spearman's correlations of scores in the same trial, and between trials, means of nets: (scores, scores) each.

    each: {net: `trial_scores`}; agreed: {net: their paired `agreement`}.
    """
    same = sum(correlation.same_trial(of_net) for of_net in each.values()) / len(each)
    across = np.mean([one.matrix for one in agreed.values()], axis=0)
    return same, pd.DataFrame(across, index=same.index, columns=same.columns)


def beside_learnability(agreed: Mapping[str, Agreement]) -> pd.DataFrame:
    """Learnability against every other score, net by net, the surest to say the same first (lower end of the ratio).

    Columns: net, score, another trial (Spearman), low, high, ceiling, ratio, ratio_low, ratio_high.
    """
    table = pd.concat([one.table().assign(net=net) for net, one in agreed.items()])
    table = table[(table.a == "learnability") & (table.b != "learnability")]
    table = table.rename(columns={"b": "score", "r": "another trial"})
    table = table.sort_values(["net", "ratio_low"], ascending=[True, False], ignore_index=True)
    return table[["net", "score", "another trial", "low", "high", "ceiling", "ratio", "ratio_low", "ratio_high"]]


def by_epoch(correct, m_values: Sequence[int], *, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Which m's easiness agrees best with learnability? One trial's learnability against the OTHER trials' counts at m.

    correct: (trials, epochs, examples) bool of one net, two trials or more; every trial is left out once, and the
    correlations are averaged, so no bit stands on both sides.
    Columns: m, r, low, high (95 % of resampled images, the trials as they are), best (share of the resamples in which
    this m has the highest r). nan where all counts at an m are equal.
    """
    correct = scores.right_or_wrong(correct)
    if len(correct) < 2:
        raise UserError(f"{len(correct)} trial: learnability of one is compared with the others', give two or more")
    for m in m_values:
        scores.counts(correct, m)  # refuses an m that was not recorded
    learnable, pairs = of_trials(correct), []
    for m in m_values:
        right = correct[:, m - 1]
        pairs += [Runs(np.stack(pair), "pearson", None) for pair in zip(learnable, right.sum(0) - right, strict=True)]

    def curve(weights: np.ndarray) -> np.ndarray:
        return np.array([pair(weights)[0, 1] for pair in pairs]).reshape(len(m_values), -1).mean(1)

    examples = correct.shape[2]
    resampled = correlation.on_resampled(curve, examples, resamples)
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


# ---- what may be claimed -------------------------------------------------------------------------------------------


def as_correlated(row: pd.Series, agreed: Mapping[str, Agreement]) -> Judged:
    """One printed correlation beside ours, a row of `net_pairs`; open where the nets' own seeds agree too little."""
    pearson = agreed["pearson"]
    found = claims.against_print(pearson.r(row.a, row.b), row.paper, ceiling=row.ceiling, limit=pearson.limit)
    why = f"ceiling {row.ceiling:.2f}, classes alone {row.alone:.2f}, online {row.online:.2f}; {pearson.covers}"
    return Judged(found, why, row.paper)


def near_the_ceiling(agreed: Mapping[str, Agreement]) -> Judged:
    """Every pair of nets correlates at `HIGH` of what their own seeds give, or more."""
    return _of_every_pair(agreed, agreed["pearson"].ratio, HIGH, "highly correlated between nets")


def about_images(agreed: Mapping[str, Agreement]) -> Judged:
    """In every pair of nets more than `HALF` of the correlation is about images, not about their classes."""
    return _of_every_pair(agreed, agreed["share within classes"].r, HALF, "sample-wise")


def printed_highest(pairs: pd.DataFrame) -> list[pd.Series]:
    """The row of `net_pairs` whose printed correlation is the highest, in a list; none unless all three stand there."""
    there = pairs.dropna(subset="paper").sort_values("paper", ascending=False)
    return [there.iloc[0]] if len(there) == len(PRINTED) else []


def agrees_most(row: pd.Series, pairs: pd.DataFrame, agreed: Mapping[str, Agreement]) -> Judged:
    """This printed pair correlates more than the higher of the other two, which is what it is compared with."""
    others = pairs.dropna(subset="paper").drop(index=row.name)
    lead = agreed["pearson"].lead((row.a, row.b), list(zip(others.a, others.b, strict=True)))
    why = f"its correlation minus the higher of the others; {agreed['pearson'].covers}"
    found = claims.judge(lead, above=0, limit=_limit(agreed))
    return Judged(found, why, round(float(row.paper - others.paper.max()), 3))


def _of_every_pair(agreed: Mapping[str, Agreement], value: Callable, bar: float, paper: str) -> Judged:
    nets = agreed["pearson"].groups
    points = {f"{a} – {b}": value(a, b) for a, b in combinations(nets, 2)}
    idle = ", ".join(_idle(agreed)) or "none"
    why = f"decided by {{where}}; nets whose own seeds rank nothing alike: {idle}; {agreed['pearson'].covers}"
    return Judged(claims.judge(points, above=bar, limit=_limit(agreed)), why, paper)


def _idle(agreed: Mapping[str, Agreement]) -> list[str]:
    return correlation.without_ranking(agreed["pearson within classes"])


def _limit(agreed: Mapping[str, Agreement]) -> str:
    """A net whose own seeds rank nothing alike leaves claims about every pair open, as too few seeds do."""
    return "trials" if _idle(agreed) else agreed["pearson"].limit
