"""Is batch normalisation what makes hard examples agree (EH Sec. 4, on Table 1 d)? One net with and without it tells.

The paper sees that nets with batch normalisation share hard examples, and says that normalisation is why. Those nets
differ in everything else too. VGG11 and VGG11-BN differ in nothing else: if it is the normalisation, VGG11-BN must
share more hard examples with the other normalised nets than VGG11 does.

It never trains, draws a figure, or breaks a tie by chance.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import product

import numpy as np
import pandas as pd
import torch
from torch import nn

from easel.compare import claims, cuts
from easel.compare.claims import Judged
from easel.compare.intervals import Interval, jackknife_of
from easel.errors import UserError
from easel.ledger.store import Groups
from easel.nets import names as models
from easel.sections import printed

GAINS = ("rate", "beyond classes", "of the ceiling")
PARTNERS = {True: "nets with batch norm", False: "CNNs without"}


@cache
def normalised(model: str) -> bool:
    """Whether a net, by its name, has a batch normalisation layer. UserError: no such net."""
    with torch.device("meta"):
        net = models.build(models.check(model))
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in net.modules())


def twins(nets: Sequence[str]) -> list[tuple[str, str]]:
    """(without, with) batch normalisation, for every net that is there in both forms: "vgg11" and "vgg11_bn"."""
    return [(name.replace("_bn", ""), name) for name in nets if "_bn" in name and name.replace("_bn", "") in nets]


def gain_table(
    groups: Mapping[str, tuple],
    nets: Mapping[str, str],
    labels,
    *,
    which: str = "hard",
    fraction: float = 0.10,
    level: float = 0.95,
) -> pd.DataFrame:
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
    cut = cuts.asked(which, fraction)
    shown = {model: name for name, model in nets.items()}
    names, rows = list(groups), []
    arrays = [half for pair in groups.values() for half in pair]
    codes = cuts.labels_of(labels, np.asarray(arrays[0]).shape[1])
    for pair in twins(list(nets.values())):
        plain, normal = (shown[model] for model in pair)
        partners = _partners([name for name in names if name not in (plain, normal)], nets)
        if not partners:
            continue

        def levels(counts, plain=plain, normal=normal, partners=partners):
            found = _Rates(dict(zip(names, zip(counts[::2], counts[1::2], strict=True), strict=True)), codes, cut)
            both = [
                [np.mean([found.of(measure, one, other) for other in others]) for one in (plain, normal)]
                for others, measure in product(partners.values(), GAINS)
            ]
            return np.array([[a, b, b - a] for a, b in both]).ravel()

        found = jackknife_of(arrays, levels, level=level)
        for at, (partner, measure) in enumerate(product(partners, GAINS)):
            without, with_it, difference = found[3 * at : 3 * at + 3]
            over = partners[partner]
            n = sum(len(half) for net in (plain, normal, *over) for half in groups[net])
            row = (f"{plain}, {normal}", partner, normalised(nets[over[0]]), ", ".join(over), which, measure)
            low, high = (np.clip(end, *((-1, 1) if measure == "rate" else (None, None))) for end in difference[1:3])
            rows.append((*row, without.estimate, with_it.estimate, difference.estimate, low, high, n))
    columns = "twins partner normalised over which measure without with difference low high n"
    return pd.DataFrame(rows, columns=columns.split())


def both_sets(groups: Groups, data: str, m: int) -> pd.DataFrame:
    """`gain_table` of the easy and of the hard set, with a column paper: what is printed (nan: nothing)."""
    right = groups.right(m)
    sides = [gain_table(right, groups.models, groups.labels, which=which) for which in ("easy", "hard")]
    gains = pd.concat(sides, ignore_index=True)
    if not gains.empty:
        gains["paper"] = printed_difference(printed.rates(data), gains)
    return gains


def deciding(gains: pd.DataFrame) -> list[pd.Series]:
    """The rows of `both_sets` that decide whether batch norm makes hard examples agree: the normalised nets' mean."""
    wanted = gains[(gains.which == "hard") & (gains.partner == PARTNERS[True])]
    return [row for _, row in wanted.iterrows()]


def gained(gains: pd.DataFrame, row: pd.Series) -> Judged:
    """Whether the gain of one row of `deciding` is above zero, with the gain against CNNs without it beside it."""
    control = gains[(gains.which == "hard") & (gains.partner == PARTNERS[False])]
    other = control[(control.twins == row.twins) & (control.measure == row.measure)].difference.sum()
    found = claims.judge(Interval(row.difference, row.low, row.high, row.n), above=0)
    why = f"{row['with']:.3f} with it, {row.without:.3f} without, against {row.over}; "
    return Judged(found, why + f"the gain against CNNs without it: {other:+.3f}", row.paper)


def printed_difference(printed: pd.DataFrame, rows: pd.DataFrame) -> np.ndarray:
    """What the printed table gives for each row of `gain_table`: (rows,), nan where it does not say.

    printed: a, b, which, paper (`printed.rates`). "beyond classes" is not to be had from a printed rate.
    """
    rate = {(*sorted((row.a, row.b)), row.which): row.paper for row in printed.itertuples()}

    def of(measure, one, other, which):
        got, own = ((*sorted(pair), which) for pair in ((one, other), (one, one)))
        if measure == "beyond classes":
            return np.nan
        scale = 1.0
        if measure == "of the ceiling":
            scale = np.sqrt(rate.get(own, np.nan) * rate.get((other, other, which), np.nan)) or np.nan  # printed as 0
        return rate.get(got, np.nan) / scale

    values = []
    for row in rows.itertuples():
        plain, normal = row.twins.split(", ")
        pairs = product((normal, plain), row.over.split(", "))
        gains = [(1 if net == normal else -1) * of(row.measure, net, other, row.which) for net, other in pairs]
        values.append(2 * np.mean(gains))
    return np.array(values)


def _partners(others: list[str], nets: Mapping[str, str]) -> dict[str, list[str]]:
    """{name: the nets that it stands for}: both means first, then each net by itself, normalised ones first."""
    if not others:
        return {}
    convolutional = [name for name in others if models.family(nets[name]) != "mlp"]
    means = {PARTNERS[has]: [n for n in convolutional if normalised(nets[n]) == has] for has in (True, False)}
    ordered = sorted(others, key=lambda name: (not normalised(nets[name]), models.family(nets[name]) == "mlp"))
    return {name: of for name, of in means.items() if of} | {name: [name] for name in ordered}


class _Rates:
    """Matching rates of nets from the counts of their two groups, each cut once."""

    def __init__(self, counts: Mapping[str, tuple], labels: np.ndarray, cut: tuple[str, float]):
        self.cut = {name: [cuts.cut_at(cuts.vector(c), *cut) for c in pair] for name, pair in counts.items()}
        self.classes = {n: [cuts.by_class_of(c, labels, "expected") for c in of] for n, of in self.cut.items()}
        self.sizes = np.bincount(labels)

    def own(self, net: str) -> float:
        return cuts.rate_of(*self.cut[net], "expected")

    def of(self, measure: str, a: str, b: str) -> float:
        crossed = [(0, 1), (1, 0)]
        rate = np.mean([cuts.rate_of(self.cut[a][i], self.cut[b][j], "expected") for i, j in crossed])
        if measure == "rate":
            return rate
        if measure == "beyond classes":
            named = [cuts.composition(self.classes[a][i], self.classes[b][j], self.sizes) for i, j in crossed]
            return rate - np.mean(named)
        if measure == "of the ceiling":
            ceiling = np.sqrt(self.own(a) * self.own(b))
            return rate / ceiling if ceiling else np.nan
        raise UserError(f"measure {measure!r}: one of {', '.join(GAINS)}")
