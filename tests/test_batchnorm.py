"""Whether batch normalisation makes hard examples agree: the difference, worked out by hand and against `matching`."""

import numpy as np
import pytest
from scipy import stats

from easel.compare import intervals, matching
from easel.errors import UserError
from easel.sections import architectures, printed

NETS = {"MLP": "mlp-1x8", "AlexNet": "alexnet", "VGG": "vgg11", "VGG-BN": "vgg11_bn", "ResNet": "resnet18"}


@pytest.fixture
def groups():
    """Five nets, two groups of four trials each, 200 images: VGG-BN and ResNet err on the same ones, VGG at random."""
    rng = np.random.default_rng(0)
    ease = rng.random(200)
    alike = {"VGG-BN": ease, "ResNet": ease}
    return {net: tuple(rng.random((4, 200)) < alike.get(net, rng.random(200)) for _ in range(2)) for net in NETS}


LABELS = np.arange(200) % 10


def test_nets_with_batch_norm_and_twins_are_known_by_name():
    assert [architectures.normalised(net) for net in NETS.values()] == [False, False, False, True, True]
    assert architectures.normalised("wrn-10-1")
    assert architectures.twins(list(NETS.values())) == [("vgg11", "vgg11_bn")]
    assert architectures.twins(["vgg11-0.25x", "vgg11_bn-0.25x"]) == [("vgg11-0.25x", "vgg11_bn-0.25x")]
    assert architectures.twins(["vgg11-0.5x", "vgg11_bn-0.25x", "resnet18"]) == []
    with pytest.raises(UserError):
        architectures.normalised("vgg")


def test_rates_are_those_of_table_1_and_the_difference_is_between_them(groups):
    found = architectures.gain_table(groups, NETS, LABELS).set_index(["partner", "measure"])
    table = matching.rate_table(groups, which="hard", labels=LABELS)
    rate = {frozenset((row.a, row.b)): row for row in table.itertuples()}
    for partner in ("ResNet", "AlexNet", "MLP"):
        plain, normal = (rate[frozenset((net, partner))] for net in ("VGG", "VGG-BN"))
        row = found.loc[(partner, "rate")]
        assert (row["without"], row["with"]) == pytest.approx((plain.rate, normal.rate))
        assert row.difference == pytest.approx(normal.rate - plain.rate)
        beyond = [one.rate - one.stratified_chance for one in (plain, normal)]
        assert found.loc[(partner, "beyond classes"), "difference"] == pytest.approx(beyond[1] - beyond[0])
        own = [one.rate / (rate[frozenset([net])].rate * rate[frozenset([partner])].rate) ** 0.5
               for net, one in (("VGG", plain), ("VGG-BN", normal))]  # fmt: skip
        assert found.loc[(partner, "of the ceiling"), ["without", "with"]].tolist() == pytest.approx(own)
    assert found.normalised.to_dict() == {key: key[0] in ("ResNet", "nets with batch norm") for key in found.index}


def test_means_are_over_the_normalised_nets_and_over_the_other_cnns_without_the_mlp(groups):
    nets = NETS | {"DenseNet": "densenet121"}
    found = architectures.gain_table(groups | {"DenseNet": groups["MLP"][::-1]}, nets, LABELS)
    over = found.drop_duplicates("partner").set_index("partner").over
    assert over["nets with batch norm"] == "ResNet, DenseNet"
    assert over["CNNs without"] == "AlexNet"
    rows = found[found.measure == "rate"].set_index("partner")
    assert rows.difference["nets with batch norm"] == pytest.approx(rows.difference[["ResNet", "DenseNet"]].mean())
    assert rows.n.to_dict() == {"nets with batch norm": 32, "CNNs without": 24, "ResNet": 24, "DenseNet": 24,
                                "AlexNet": 24, "MLP": 24}  # fmt: skip


def test_what_normalisation_changes_is_found_and_what_it_does_not_is_not(groups):
    found = architectures.gain_table(groups, NETS, LABELS)
    rate = found[found.measure == "rate"].set_index("partner")
    assert rate.low["nets with batch norm"] > 0.1  # built to share its hard images with ResNet
    assert rate.low["CNNs without"] < 0 < rate.high["CNNs without"]
    swapped = {"VGG": "vgg11_bn", "VGG-BN": "vgg11"}  # the same numbers, the other way round
    turned = architectures.gain_table(groups, NETS | swapped, LABELS)
    turned = turned[turned.measure == "rate"].set_index("partner")
    assert turned.high["nets with batch norm"] < -0.1


def test_the_interval_is_the_jackknife_over_all_trials_written_out(groups):
    row = architectures.gain_table(groups, NETS, LABELS).query("partner == 'ResNet' and measure == 'rate'").iloc[0]
    names = ["VGG", "VGG-BN", "ResNet"]
    counts = {(net, i): groups[net][i].sum(0) for net in names for i in (0, 1)}

    def difference(counts):
        def of(net):
            crossed = [(counts[net, i], counts["ResNet", 1 - i]) for i in (0, 1)]
            return np.mean([matching.rate(*pair, which="hard") for pair in crossed])

        return of("VGG-BN") - of("VGG")

    parts = []
    for net, i in counts:
        left = [difference(counts | {(net, i): counts[net, i] - trial}) for trial in groups[net][i]]
        parts.append(3 * np.var(left))
    degrees = sum(parts) ** 2 / sum(part**2 / 3 for part in parts)  # Satterthwaite
    reach = stats.t.ppf(0.975, degrees) * sum(parts) ** 0.5
    assert (row.difference, row.low, row.high) == pytest.approx(
        (difference(counts), difference(counts) - reach, difference(counts) + reach), abs=1e-6
    )


def test_without_a_twin_there_is_nothing_to_say(groups):
    some = {net: groups[net] for net in ("MLP", "VGG", "ResNet")}
    assert architectures.gain_table(some, {net: NETS[net] for net in some}, LABELS).empty
    alone = {net: groups[net] for net in ("VGG", "VGG-BN")}
    assert architectures.gain_table(alone, {net: NETS[net] for net in alone}, LABELS).empty
    with pytest.raises(UserError, match="which='best'"):
        architectures.gain_table(groups, NETS, LABELS, which="best")


def test_the_printed_differences_are_those_of_table_1_d(groups):
    nets = NETS | {"DenseNet": "densenet121"}
    found = architectures.gain_table(groups | {"DenseNet": groups["MLP"][::-1]}, nets, LABELS)
    printed_d = architectures.printed_difference(printed.rates("tiny-imagenet-10@64"), found)
    value = dict(zip(zip(found.partner, found.measure, strict=True), printed_d, strict=True))
    assert value["ResNet", "rate"] == pytest.approx(0.46 - 0.45)
    assert value["nets with batch norm", "rate"] == pytest.approx((0.46 + 0.42) / 2 - (0.45 + 0.26) / 2)
    assert value["CNNs without", "rate"] == pytest.approx(0.09 - 0.48)
    ceiling = 0.46 / (0.46 * 0.52) ** 0.5 - 0.45 / (0.78 * 0.52) ** 0.5
    assert value["ResNet", "of the ceiling"] == pytest.approx(ceiling)
    assert np.isnan(value["ResNet", "beyond classes"])
    assert np.isnan(architectures.printed_difference(printed.rates("patterns"), found)).all()


def test_a_jackknife_of_two_groups_is_matchings_own(groups):
    one, two = groups["VGG"]
    (found,) = intervals.jackknife_of([one, two], lambda c: [matching.rate(*c, which="hard")])
    assert found == pytest.approx(intervals.jackknife(one, two, lambda a, b: matching.rate(a, b, which="hard")))
    with pytest.raises(UserError, match="different numbers of examples"):
        intervals.jackknife_of([one, two[:, 1:]], lambda c: [0.0])


def test_data_sets_stand_for_the_papers_two():
    assert printed.stands_for("cifar10@64") == "cifar10"
    assert [printed.stands_for(name) for name in ("patterns", "./birds")] == ["cifar10"] * 2
    for name in ("mini-imagenet@224", "tiny-imagenet-10@64", "tiny-imagenet-10", "patterns@64"):
        assert printed.stands_for(name) == "mini-imagenet"
    assert printed.rates("tiny-imagenet-10@64").equals(printed.rates("mini-imagenet"))
    assert len(printed.rates("cifar10@64")) == 20
    assert len(printed.rates("mini-imagenet@224")) == 42
    assert printed.rates("patterns@64").empty
    with pytest.raises(UserError, match="no data set 'lena'"):
        printed.rates("lena")
