"""Do different nets find the same images easy? (EH 4, Table 1): the table, and what may be claimed from it.

What two nets share is a matching rate (`compare.matching`). Each function that judges gives a `claims.Judged`, or None
where these nets cannot say; a claim about every pair stands on its weakest pair.

The paper sees that nets with batch normalisation share hard examples (Table 1 d), and says that normalisation is why.
Those nets differ in everything else too. VGG11 and VGG11-BN differ in nothing else: if it is the normalisation,
VGG11-BN must share more hard examples with the other normalised nets than VGG11 does.

It never trains, draws a figure, or breaks a tie by chance.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from itertools import combinations, combinations_with_replacement, product

import numpy as np
import pandas as pd
import torch
from torch import nn

from easel.compare import claims, cuts, matching
from easel.compare.claims import Judged
from easel.compare.intervals import ANY, Interval, from_left_out, jackknife_of
from easel.ledger.store import Groups
from easel.nets.names import build, check, family
from easel.sections import printed

TIE_RULES = ("expected", "inclusive", "index")  # how ties at the cut are settled; the first is the headline
BAR = 0.90  # of the ceiling: from there on we call two rankings the same
GAINS = ("rate", "beyond classes", "of the ceiling")
PARTNERS = {True: "nets with batch norm", False: "CNNs without"}


def as_printed(models: Sequence[str]) -> list[str]:
    """The nets, each once, in Table 1's order: MLPs first."""
    return sorted(dict.fromkeys(models), key=lambda model: family(model) != "mlp")


def every_pair(groups: Groups, data: str, m: int = 1) -> pd.DataFrame:
    """EH Table 1, tidy: every pair of nets, easy and hard, counted after epoch m.

    Columns: `matching.rate_table`'s under expected ties; pair ("WRN – MLP"); for each of TIE_RULES its rate,
    RULE_low and RULE_high; paper (the printed value, nan: none); mlp (one is an MLP); verdict on the level.
    data: a name of easel.data, to find what is printed.
    """
    rules = {ties: _table_1(groups, m, ties) for ties in TIE_RULES}
    table = rules["expected"].merge(printed.rates(data), on=["a", "b", "which"], how="left")
    for ties, frame in rules.items():
        table[ties], table[f"{ties}_low"], table[f"{ties}_high"] = frame.rate, frame.low, frame.high
    plain, _ = _kinds(groups)
    table["pair"] = table.a + " – " + table.b
    table["mlp"] = table.a.isin(plain) | table.b.isin(plain)
    judged = (level(row, groups).finding if np.isfinite(row.paper) else None for row in _rows(table))
    return table.assign(verdict=[found.verdict if found else "open" for found in judged])


def over_m(groups: Groups, epochs: int) -> pd.DataFrame:
    """Expected matching rates of every pair after 1, 2, 3, 5, 10 and all epochs: `rate_table`, with m and pair."""
    chosen = sorted({1, 2, 3, 5, 10, epochs} & set(range(1, epochs + 1)))
    table = pd.concat([_table_1(groups, m, "expected").assign(m=m) for m in chosen], ignore_index=True)
    return table.assign(pair=table.a + " – " + table.b)


def ceiling_shares(table: pd.DataFrame, data: str) -> pd.DataFrame:
    """Rates over the geometric mean of both nets' own, for different nets: pair, a, b, which, rate, share, low, high,

    n, mlp, and what the printed table gives when it is divided in the same way.
    """
    crossing = table[table.a != table.b]
    found = crossing[["pair", "a", "b", "which", "rate", "share", "mlp", "n"]]
    said = _said(printed.rates(data))
    there = [said("of the ceiling", row.a, row.b, row.which) for row in crossing.itertuples()]
    return found.assign(low=crossing.share_low, high=crossing.share_high, printed=np.array(there, float))


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
    # in whole 255ths, as recorded: sums of rounded fractions would break ties, for all nets alike
    sure = {net: tuple(np.rint(255 * side) for side in pair) for net, pair in groups.probability().items()}
    return pd.concat([matching.rate_table(sure, which=which, labels=groups.labels) for which in cuts.WHICH])


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
    found = claims.judge(claims.row_points(pairs, pairs.pair, ("rate", "low", "high")), above=bars)
    weakest = pairs[pairs.pair == found.where].iloc[0]
    why = f"weakest: {found.where}; chance with classes kept {weakest.stratified_chance:.2f}; ties: {_ties(weakest)}"
    return Judged(found, why, float(weakest.paper))


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
    ends = ("share", "share_low", "share_high")
    points = claims.row_points(between, between.a + " – " + between.b, ends)
    found = claims.judge(points, below=BAR) if mlp else claims.judge(points, above=BAR)
    return Judged(found, "decides: {where}; .90 is our bar", "in words")


def highest_printed(table: pd.DataFrame) -> list[pd.Series]:
    """The rows of `every_pair` whose level is judged: of each set the two CNNs with the highest printed rate."""
    pairs = table[(table.a != table.b) & ~table.mlp].dropna(subset="paper")
    return _rows(pairs.loc[pairs.groupby("which", sort=False).paper.idxmax()])


def level(row: pd.Series, groups: Groups, in_file_order: bool = False) -> Judged:
    """A printed level, one row of `every_pair`, under all tie rules, or one; open where images are not the paper's."""
    limit = "" if groups.ledger.examples.name in ("cifar10", "mini-imagenet") else "images"
    asked = ["index"] if in_file_order else TIE_RULES
    rules = {rule: Interval(row[rule], row[f"{rule}_low"], row[f"{rule}_high"], row.n) for rule in asked}
    bounds = None if in_file_order else (row.tie_low, row.tie_high)
    found = claims.against_print(rules, row.paper, bounds=bounds, limit=limit)
    return Judged(found, f"{'in file order; any order' if in_file_order else 'ties'}: {_ties(row)}", row.paper)


def all_printed(table: pd.DataFrame) -> list[pd.Series]:
    """The rows of `every_pair` that are printed."""
    return _rows(table.dropna(subset="paper"))


def printed_shares(shares: pd.DataFrame, groups: Groups) -> list[pd.Series]:
    """The rows of `ceiling_shares` that are judged: CNNs, where these are the paper's own images."""
    own = groups.ledger.examples.name in ("cifar10", "mini-imagenet")
    return _rows(shares[shares.printed.notna() & ~shares.mlp & own])


def ceiling_share(row: pd.Series) -> Judged:
    """A share of the ceiling beside the printed one, one row of `ceiling_shares`."""
    found = claims.against_print(Interval(row.share, row.low, row.high, row.n), row.printed)
    why = f"rate {row.rate:.2f} over what the two nets reach with themselves; no N enters"
    return Judged(found, why, row.printed)


# ---- is it the order of the batches? (early code) --------------------------------------------------------------------


def order_effect(one: Groups, each: Groups, m: int = 1) -> pd.DataFrame:
    """What one order of the batches, common to all trials, does to matching rates (expected ties), easy and hard.

    one: trials with one order and augmentation; each: the same nets and seeds, every trial with its own. Columns: pair,
    a, b, which ("hits": how two trials of a net correlate), one_order, own_orders (the rates), difference, low, high
    (jackknife, every seed deleted once, from both sides, which share its first weights), n (seeds), file_order_one,
    file_order_own (both rates with ties in file order). The interval is about this one order, not about others.
    """
    names = list(one.names.values())
    together, apart = one.right(m), each.right(m)
    halves = {net: list(zip(together[net], apart[net], strict=True)) for net in names}
    sides = [np.concatenate(half, axis=1) for net in names for half in halves[net]]
    pairs, rows = list(combinations_with_replacement(names, 2)), []

    def rates(cut: tuple[str, float], counts) -> np.ndarray:
        values = []
        for of in np.array_split(np.array(counts), 2, axis=1):
            of = _Rates(dict(zip(names, zip(of[::2], of[1::2], strict=True), strict=True)), one.labels, cut)
            values.append([of.of("rate", *pair) for pair in pairs])
        return np.concatenate([*values, np.subtract(*values)])

    for which in cuts.WHICH:
        found = np.array(jackknife_of(sides, partial(rates, cuts.asked(which, 0.10)))).reshape(3, len(pairs), 4)
        for (a, b), (common, own), gap in zip(pairs, found[:2, :, 0].T, found[2], strict=True):
            n = sum(len(first) for net in {a, b} for first, _ in halves[net])
            rows.append((f"{a} – {b}", a, b, which, common, own, *gap[:3], n))
    for net in names:
        common, own = (_hits_alike(pair) for pair in zip(*halves[net], strict=True))
        gap = from_left_out(
            common[0] - own[0], [with_one - left for with_one, left in zip(common[1], own[1], strict=True)]
        )
        rows.append((f"{net} – {net}", net, net, "hits", common[0], own[0], *gap))
    columns = ["pair", "a", "b", "which", "one_order", "own_orders", "difference", "low", "high", "n"]
    table = pd.DataFrame(rows, columns=columns)
    for name, groups in (("file_order_one", one), ("file_order_own", each)):
        in_file_order = _table_1(groups, m, "index")[["a", "b", "which", "rate"]].rename(columns={"rate": name})
        table = table.merge(in_file_order, on=["a", "b", "which"], how="left")
    return table


def raised(row) -> Judged:
    """Whether one order raises what two groups share (a row of `order_effect`); else within .05 is no difference."""
    found = claims.judge(Interval(row.difference, row.low, row.high, row.n), above=0, margin=0.05)
    return Judged(found, f"{row.one_order:.2f} with this one order, {row.own_orders:.2f} with an order each")


def _hits_alike(pair: tuple[np.ndarray, np.ndarray]) -> tuple[float, list[np.ndarray]]:
    """The mean correlation of two single trials' hits, one trial of each group; and without each trial of either."""
    found = np.corrcoef(*map(np.float32, pair))[: len(pair[0]), len(pair[0]) :]
    without = [(found.sum() - found.sum(axis)) / (found.size - found.shape[axis]) for axis in (1, 0)]
    return float(found.mean()), without


# ---- is it batch normalisation? (Table 1 d) --------------------------------------------------------------------------


@cache
def normalised(model: str) -> bool:
    """Whether a net, by its name, has a batch normalisation layer. UserError: no such net."""
    with torch.device("meta"):
        net = build(check(model))
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in net.modules())


def twins(nets: Sequence[str]) -> list[tuple[str, str]]:
    """(without, with) batch normalisation, for every net that is there in both forms: "vgg11" and "vgg11_bn"."""
    return [(name.replace("_bn", ""), name) for name in nets if "_bn" in name and name.replace("_bn", "") in nets]


def gain_table(groups: Mapping[str, tuple], nets: Mapping[str, str], labels, *, which: str = "hard") -> pd.DataFrame:
    """How much more a net shares with the others once it has batch normalisation. Empty where no net has a twin.

    groups: {shown name: (first, second)}, as for `matching.rate_table`; nets: {shown name: model}; labels: (examples,).
    One row a pair of twins, partner and measure; partners are each other net, and the means of those with batch norm
    and of the CNNs without, where there are such. Columns: twins, partner, normalised (does the partner have batch
    norm), over (the nets that it stands for), which, measure, without, with, difference, low, high (jackknife, every
    trial deleted once, in all rates that it is part of), n (trials). Measures:
      "rate"            matching rate, expected ties, as in Table 1
      "beyond classes"  less what two nets share that only name the same classes (`matching.stratified_chance`)
      "of the ceiling"  the rate over the geometric mean of both nets' own rates (one group against the other): a net
                        that is more sure of its own hard examples shares more with every other one, for that reason
    UserError: as `matching.rate`, and fewer than two trials in a group.
    """
    cut = cuts.asked(which, 0.10)
    shown = {model: name for name, model in nets.items()}
    names, rows = list(groups), []
    arrays = [half for pair in groups.values() for half in pair]
    codes = cuts.labels_of(labels, np.asarray(arrays[0]).shape[1])
    for pair in twins(list(nets.values())):
        plain, normal = (shown[model] for model in pair)
        partners = _partners([name for name in names if name not in (plain, normal)], nets)

        def levels(counts, plain=plain, normal=normal, partners=partners):
            found = _Rates(dict(zip(names, zip(counts[::2], counts[1::2], strict=True), strict=True)), codes, cut)
            values = []
            for others, measure in product(partners.values(), GAINS):
                a, b = (np.mean([found.of(measure, one, other) for other in others]) for one in (plain, normal))
                values += [a, b, b - a]
            return values

        found = jackknife_of(arrays, levels)
        for at, (partner, measure) in enumerate(product(partners, GAINS)):
            without, with_it, difference = found[3 * at : 3 * at + 3]
            over = partners[partner]
            n = sum(len(half) for net in (plain, normal, *over) for half in groups[net])
            row = (f"{plain}, {normal}", partner, normalised(nets[over[0]]), ", ".join(over), which, measure)
            ends = np.clip(difference[1:3], *((-1, 1) if measure == "rate" else ANY))
            rows.append((*row, without.estimate, with_it.estimate, difference.estimate, *ends, n))
    columns = "twins partner normalised over which measure without with difference low high n"
    return pd.DataFrame(rows, columns=columns.split())


def both_sets(groups: Groups, data: str, m: int) -> pd.DataFrame:
    """`gain_table` of the easy and of the hard set, with a column paper: what is printed (nan: nothing)."""
    right = groups.right(m)
    sides = [gain_table(right, groups.models, groups.labels, which=which) for which in cuts.WHICH]
    gains = pd.concat(sides, ignore_index=True)
    if not gains.empty:
        gains["paper"] = printed_difference(printed.rates(data), gains)
    return gains


def deciding(gains: pd.DataFrame) -> list[pd.Series]:
    """The rows of `both_sets` that decide whether batch norm makes hard examples agree: the normalised nets' mean."""
    return _rows(gains[(gains.which == "hard") & (gains.partner == PARTNERS[True])])


def gained(gains: pd.DataFrame, row: pd.Series) -> Judged:
    """Whether the gain of one row of `deciding` is above zero, with the gain against CNNs without it beside it."""
    control = gains[(gains.which == "hard") & (gains.partner == PARTNERS[False])]
    other = control[(control.twins == row.twins) & (control.measure == row.measure)].difference.sum()
    found = claims.judge(Interval(row.difference, row.low, row.high, row.n), above=0)
    why = f"{row['with']:.3f} with it, {row.without:.3f} without, against {row.over}; "
    return Judged(found, why + f"the gain against CNNs without it: {other:+.3f}", row.paper)


def printed_difference(table: pd.DataFrame, rows: pd.DataFrame) -> np.ndarray:
    """What the printed table gives for each row of `gain_table`: (rows,), nan where it does not say.

    table: a, b, which, paper (`printed.rates`). "beyond classes" is not to be had from a printed rate.
    """
    said, values = _said(table), []
    for row in rows.itertuples():
        plain, normal = row.twins.split(", ")
        pairs = product((normal, plain), row.over.split(", "))
        gains = [(1 if net == normal else -1) * said(row.measure, net, other, row.which) for net, other in pairs]
        values.append(2 * np.mean(gains))
    return np.array(values)


# ---- helpers ---------------------------------------------------------------------------------------------------------


def _table_1(groups: Groups, m: int, ties: str) -> pd.DataFrame:
    asked = {"ties": ties, "labels": groups.labels}
    parts = [matching.rate_table(groups.right(m), which=which, **asked) for which in cuts.WHICH]
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


def _ties(row: pd.Series) -> str:
    return f"{row.tie_low:.2f} to {row.tie_high:.2f}"


def _partners(others: list[str], nets: Mapping[str, str]) -> dict[str, list[str]]:
    """{name: the nets that it stands for}: both means first, then each net by itself, normalised ones first."""
    convolutional = [name for name in others if family(nets[name]) != "mlp"]
    means = {PARTNERS[has]: [n for n in convolutional if normalised(nets[n]) == has] for has in (True, False)}
    ordered = sorted(others, key=lambda name: (not normalised(nets[name]), family(nets[name]) == "mlp"))
    return {name: of for name, of in means.items() if of} | {name: [name] for name in ordered}


class _Rates:
    """Matching rates of nets from the counts of their two groups, each cut once."""

    def __init__(self, counts: Mapping[str, tuple], labels: np.ndarray, cut: tuple[str, float]):
        self.cut = {name: [cuts.cut_at(cuts.vector(c), *cut) for c in pair] for name, pair in counts.items()}
        self.classes = {n: [cuts.by_class_of(c, labels) for c in of] for n, of in self.cut.items()}
        self.sizes = np.bincount(labels)

    def of(self, measure: str, a: str, b: str) -> float:
        """One of GAINS of two nets."""
        rate = np.mean([cuts.rate_of(self.cut[a][i], self.cut[b][1 - i]) for i in (0, 1)])
        if measure == "beyond classes":
            named = [cuts.composition(self.classes[a][i], self.classes[b][1 - i], self.sizes) for i in (0, 1)]
            return rate - np.mean(named)
        if measure == "of the ceiling":
            return rate / cuts.ceiling(*(cuts.rate_of(*self.cut[net]) for net in (a, b)))
        return rate


def _said(table: pd.DataFrame) -> Callable[[str, str, str, str], float]:
    """A function of a measure (GAINS), two nets and a set: what a printed table gives, nan where it does not say."""
    rates = {(frozenset((row.a, row.b)), row.which): row.paper for row in table.itertuples()}

    def of(measure: str, a: str, b: str, which: str) -> float:
        rate, own, other = (rates.get((frozenset(pair), which), np.nan) for pair in ((a, b), (a, a), (b, b)))
        return rate / {"rate": 1.0, "beyond classes": np.nan, "of the ceiling": cuts.ceiling(own, other)}[measure]

    return of
