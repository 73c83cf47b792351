"""Do different nets find the same images easy? (EH 4, Table 1): the table, and what may be claimed from it.

What two nets share is a matching rate (`compare.matching`). Each function that judges gives a `claims.Judged`, or None
where these nets cannot say; a claim about every pair stands on its weakest pair.
"""

from collections.abc import Sequence
from itertools import combinations, product

import numpy as np
import pandas as pd

from easel.compare import claims, matching
from easel.compare.claims import Judged
from easel.compare.intervals import Interval
from easel.ledger.store import Groups
from easel.nets.names import family
from easel.sections import printed

TIE_RULES = ("expected", "inclusive", "index")  # how ties at the cut are settled; the first is the headline
BAR = 0.90  # of the ceiling: from there on we call two rankings the same


def as_printed(models: Sequence[str]) -> list[str]:
    """The nets, each once, in Table 1's order: MLPs first."""
    return sorted(dict.fromkeys(models), key=lambda model: family(model) != "mlp")


def every_pair(groups: Groups, data: str, m: int = 1) -> pd.DataFrame:
    """EH Table 1, tidy: every pair of nets, easy and hard, counted after epoch m.

    Columns: `matching.rate_table`'s under expected ties; pair ("WRN – MLP"); for each of TIE_RULES its rate,
    RULE_low and RULE_high; paper (the printed value, nan: none); n (trials); mlp (one is an MLP); verdict on the level.
    data: a name of easel.data, to find what is printed.
    """
    rules = {ties: _both_sets(groups, m, ties) for ties in TIE_RULES}
    table = rules["expected"].merge(printed.rates(data), on=["a", "b", "which"], how="left")
    for ties, frame in rules.items():
        table[ties], table[f"{ties}_low"], table[f"{ties}_high"] = frame.rate, frame.low, frame.high
    plain, _ = _kinds(groups)
    table["pair"] = table.a + " – " + table.b
    table["n"] = np.where(table.a == table.b, 2, 4) * table.n_trials
    table["mlp"] = table.a.isin(plain) | table.b.isin(plain)
    printed_too = table.paper.notna()
    table["verdict"] = "open"
    table.loc[printed_too, "verdict"] = [level(row, groups).finding.verdict for row in _rows(table[printed_too])]
    return table


def over_m(groups: Groups, epochs: int) -> pd.DataFrame:
    """Expected matching rates of every pair after 1, 2, 3, 5, 10 and all epochs: `rate_table`, with m and pair."""
    chosen = sorted({1, 2, 3, 5, 10, epochs} & set(range(1, epochs + 1)))
    parts = [_both_sets(groups, m, "expected").assign(m=m) for m in chosen]
    table = pd.concat(parts, ignore_index=True)
    return table.assign(pair=table.a + " – " + table.b)


def ceiling_shares(table: pd.DataFrame, data: str) -> pd.DataFrame:
    """Rates over the geometric mean of both nets' own, for different nets: pair, a, b, which, rate, share, low, high,

    n, mlp, and what the printed table gives when it is divided in the same way.
    """
    crossing = table[table.a != table.b]
    found = crossing[["pair", "a", "b", "which", "rate", "share", "mlp", "n"]]
    found = found.assign(low=crossing.share_low, high=crossing.share_high)
    return found.assign(printed=printed.share_of_ceiling(printed.rates(data), crossing))


def cut_curves(groups: Groups, which: str, m: int = 1) -> pd.DataFrame:
    """Matching rate against the cut (`matching.overlap_curve`, with pair): CNNs with each other, and one MLP pair.

    Where there are no CNNs: of the MLPs with each other.
    """
    counts = groups.counts(m)
    plain, cnns = _kinds(groups)
    pairs = [(plain[0], cnns[0])] if plain and cnns else []
    pairs += combinations(cnns or plain, 2)
    curves = [matching.overlap_curve(counts[a], counts[b], which=which).assign(pair=f"{a} – {b}") for a, b in pairs]
    return pd.concat(curves)


def graded(groups: Groups) -> pd.DataFrame:
    """`matching.rate_table` of graded easiness, the true class's mean probability after epoch 1, which hardly ties;

    empty where a trial did not record it.
    """
    if not groups.ledger.has("probability", "train@1"):
        return pd.DataFrame()
    sure = groups.probability()
    return pd.concat([matching.rate_table(sure, which=which, labels=groups.labels) for which in ("easy", "hard")])


def is_cifar(data: str) -> bool:
    """Whether Table 1 (a, b) is what stands beside this data set, rather than (c, d), the photographs."""
    return printed.stands_for(data) == "cifar10"


# ---- what may be claimed -------------------------------------------------------------------------------------------


def beyond_classes(table: pd.DataFrame, which: str) -> Judged | None:
    """CNNs share more than naming the same classes explains, every pair of them."""
    pairs = _pairs(table[~table.mlp], which)
    if pairs.empty:
        return None
    bars = dict(zip(pairs.pair, pairs.stratified_chance, strict=True))
    found = claims.judge(_points(pairs, "rate", "low", "high"), above=bars)
    weakest = pairs[pairs.pair == found.where].iloc[0]
    why = f"weakest: {found.where}; chance with classes kept {weakest.stratified_chance:.2f}; ties: {_ties(weakest)}"
    return Judged(found, why, float(pairs.paper.min()))


def mlp_contrast(groups: Groups, table: pd.DataFrame, which: str, fewer: bool, m: int = 1) -> Judged | None:
    """MLP and CNNs share fewer (or no fewer) examples than CNNs with each other, under the worst of the tie rules."""
    plain, cnns = _kinds(groups)
    crossed, inside, right = list(product(plain, cnns)), list(combinations(cnns, 2)), groups.right(m)
    if not crossed or not inside:
        return None
    gap = {ties: matching.contrast(right, crossed, inside, which=which, ties=ties) for ties in TIE_RULES}
    found = claims.judge(gap, margin=0.05, **{"below" if fewer else "above": 0})
    pairs = _pairs(table, which)
    with_mlp, without = pairs[pairs.mlp], pairs[~pairs.mlp]
    why = f"mean {with_mlp.rate.mean():.2f} against {without.rate.mean():.2f}; under every tie rule, worst: {{where}}"
    return Judged(found, why, float(with_mlp.paper.mean() - without.paper.mean()))


def same_ranking(ranks: pd.DataFrame, groups: Groups, mlp: bool) -> Judged | None:
    """Every pair of CNNs ranks the images of a class alike, `BAR` of the ceiling; with mlp: no MLP and CNN do.

    ranks: `matching.rank_table`'s.
    """
    plain, _ = _kinds(groups)
    between = ranks[ranks.a != ranks.b]
    between = between[(between.a.isin(plain) | between.b.isin(plain)) == mlp]
    if between.empty:
        return None
    points = _points(between.assign(pair=between.a + " – " + between.b), "share", "share_low", "share_high")
    found = claims.judge(points, below=BAR) if mlp else claims.judge(points, above=BAR)
    return Judged(found, "decides: {where}; .90 is our bar", "in words")


def highest_printed(table: pd.DataFrame) -> list[pd.Series]:
    """The rows of `every_pair` whose level is judged: of each set the two CNNs with the highest printed rate."""
    pairs = table[(table.a != table.b) & ~table.mlp].dropna(subset="paper")
    return _rows(pairs.loc[pairs.groupby("which", sort=False).paper.idxmax()])


def level(row: pd.Series, groups: Groups) -> Judged:
    """A printed level, one row of `every_pair`, under all three tie rules; open where images are not the paper's."""
    limit = "" if groups.ledger.examples.name in ("cifar10", "mini-imagenet") else "images"
    rules = {ties: Interval(row[ties], row[f"{ties}_low"], row[f"{ties}_high"], row.n) for ties in TIE_RULES}
    found = claims.against_print(rules, row.paper, bounds=(row.tie_low, row.tie_high), limit=limit)
    return Judged(found, f"ties: {_ties(row)}", row.paper)


def printed_shares(shares: pd.DataFrame, groups: Groups) -> list[pd.Series]:
    """The rows of `ceiling_shares` that are judged: CNNs, where these are the paper's own images."""
    own = groups.ledger.examples.name in ("cifar10", "mini-imagenet")
    return _rows(shares[shares.printed.notna() & ~shares.mlp & own])


def ceiling_share(row: pd.Series) -> Judged:
    """A share of the ceiling beside the printed one, one row of `ceiling_shares`."""
    found = claims.against_print(Interval(row.share, row.low, row.high, row.n), row.printed)
    why = f"rate {row.rate:.2f} over what the two nets reach with themselves; no N enters"
    return Judged(found, why, row.printed)


def _both_sets(groups: Groups, m: int, ties: str) -> pd.DataFrame:
    right, labels = groups.right(m), groups.labels
    parts = [matching.rate_table(right, which=which, ties=ties, labels=labels) for which in ("easy", "hard")]
    return pd.concat(parts, ignore_index=True)


def _kinds(groups: Groups) -> tuple[list[str], list[str]]:
    """Shown names of the MLPs, and of the others."""
    plain = [name for name, model in groups.models.items() if family(model) == "mlp"]
    return plain, [name for name in groups.models if name not in plain]


def _pairs(table: pd.DataFrame, which: str) -> pd.DataFrame:
    """Rows of different nets, one set."""
    return table[(table.a != table.b) & (table.which == which)]


def _rows(table: pd.DataFrame) -> list[pd.Series]:
    return [row for _, row in table.iterrows()]


def _points(rows: pd.DataFrame, value: str, low: str, high: str) -> dict[str, Interval]:
    return {row.pair: Interval(row[value], row[low], row[high], row.n) for row in _rows(rows)}


def _ties(row: pd.Series) -> str:
    return f"{row.tie_low:.2f} to {row.tie_high:.2f}"
