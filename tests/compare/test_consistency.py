"""Errors of several nets: kappas by hand, chance by brute force, and intervals over nets and images."""

from itertools import combinations, permutations, product

import numpy as np
import pytest
from scipy import stats

from easel.compare import consistency, intervals
from easel.errors import UserError


@pytest.mark.parametrize(
    ("call", "named"),
    [
        (lambda: intervals.crossed(lambda g, _: [0], np.zeros((1, 3)), labels=np.zeros(3)), "two units"),
        (lambda: intervals.crossed(lambda _: [0], labels=[0]), "one label for each"),
        (lambda: consistency.error_agreement(np.zeros((1, 3), int), None, np.zeros(3, int)), "2 or more nets"),
        (lambda: consistency.error_agreement(np.zeros((2, 3)), None, np.zeros(3, int)), "int"),
        (lambda: consistency.error_agreement(np.array([[0, -1, 1]] * 2), None, np.zeros(3, int)), "classes from 0"),
        (lambda: consistency.error_agreement(np.zeros((2, 3), int), None, np.zeros(4, int)), "same examples"),
        (lambda: consistency.consistency({"a": np.zeros((2, 3), int)}, np.zeros(3, int), resamples=1), "resamples=1"),
        (lambda: consistency.times_wrong(np.zeros((2, 3)), np.zeros(3)), "bool"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(call, named):
    with pytest.raises(UserError, match=named) as refused:
        call()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("labels", [[0], [0, 1], [3, 3], [0, 1, 2]])
def test_classes_of_one_image_have_an_answer(labels):
    labels = np.array(labels)
    for wrong in (np.zeros((3, len(labels)), int), np.eye(3, len(labels), dtype=int), np.ones((3, len(labels)), int)):
        found = consistency.consistency({"a": labels + wrong, "b": labels + wrong}, labels, resamples=5)
        assert len(found) == 3 * len(consistency.MEASURES)
        assert consistency.times_wrong(wrong == 1, labels).share.sum() == pytest.approx(1)
        if len(labels) == 1:  # one image leaves no degree of freedom
            assert found[["low", "high"]].isna().all(axis=None)


def test_kappa_by_hand():
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    a = np.array([[1, 1, 0, 0, 1, 1, 1, 1, 1, 0]])  # wrong: 0, 1, 9
    b = np.array([[1, 0, 0, 0, 1, 1, 1, 1, 0, 0]])  # wrong: 0, 8, 9
    kappa, within, shared, same = consistency.error_agreement(a, b, labels)
    expected = 0.3 * 0.3 + 0.7 * 0.7  # both wrong or both right, independently
    assert kappa == pytest.approx((0.8 - expected) / (1 - expected))
    in_classes = (4 * (0.5 * 0.25 + 0.5 * 0.75) + 6 * (1 / 6 * 2 / 6 + 5 / 6 * 4 / 6)) / 10
    assert within == pytest.approx((0.8 - in_classes) / (1 - in_classes))
    assert shared == pytest.approx(2 / 3)
    assert same == 1.0  # two classes: there is one wrong one


def test_nets_that_err_alike_or_not_at_all():
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    a = np.where(rng.random(300) < 0.4, (labels + 1) % 3, labels)
    assert consistency.error_agreement(np.stack([a, a]), None, labels) == pytest.approx([1, 1, 1, 1])
    other = np.where(a != labels, (labels + 2) % 3, labels)  # the same images, always another wrong class
    assert consistency.error_agreement(a[None], other[None], labels) == pytest.approx([1, 1, 1, 0])
    apart = np.where(a == labels, (labels + 1) % 3, labels)
    kappa, _, shared, same = consistency.error_agreement(a[None], apart[None], labels)
    assert kappa < -0.5
    assert shared == 0
    assert np.isnan(same)
    perfect = consistency.error_agreement(labels[None], a[None], labels)
    assert perfect[:2] == pytest.approx([0, 0])  # chance: nothing to share
    assert np.isnan(perfect[2:]).all()
    assert np.isnan(consistency.error_agreement(labels[None], labels[None], labels)).all()


def test_by_chance_is_the_mean_over_all_ways_to_shuffle_one_net_within_the_classes():
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    a = np.array([0, 1, 2, 0, 1, 0, 0, 2])
    b = np.array([1, 0, 0, 2, 2, 1, 2, 0])
    both = [[*one, *two] for one, two in product(permutations(b[:4]), permutations(b[4:]))]
    shuffled = np.array([consistency.error_agreement(a[None], np.array([net]), labels) for net in both])
    chance = consistency.by_chance(a[None], b[None], labels)
    assert chance[:3] == pytest.approx(shuffled[:, :3].mean(0))
    met = sum(((a != labels) & (a == net)).sum() for net in both)  # joint errors with one name, over all shuffles
    assert chance[3] == pytest.approx(met / sum(((a != labels) & (net != labels)).sum() for net in both))


def test_the_pairs_within_a_group_are_each_taken_once():
    rng = np.random.default_rng(2)
    labels, nets = np.arange(60) % 4, rng.integers(0, 4, (3, 60))
    pairs = [consistency.error_agreement(nets[[i]], nets[[j]], labels) for i, j in combinations(range(3), 2)]
    assert consistency.error_agreement(nets, None, labels) == pytest.approx(np.mean(pairs, axis=0))
    order = rng.permutation(60)  # the order of the examples is nothing
    assert consistency.error_agreement(nets[:, order], None, labels[order]) == pytest.approx(np.mean(pairs, axis=0))


def test_times_wrong_beside_independent_nets():
    labels = np.array([0, 0, 1, 1])
    wrong = np.array([[1, 0, 1, 1], [1, 0, 1, 1]], bool)  # class 0: half of it, together; class 1: all of it
    found = consistency.times_wrong(wrong, labels)
    assert found.share.tolist() == [0.25, 0, 0.75]
    assert found.chance.tolist() == pytest.approx([0.125, 0.25, 0.125 + 0.5])


def test_classes_of_any_number_and_size_have_their_own_chance():
    wrong = np.array([[1, 0, 0, 0, 0, 1], [1, 0, 1, 0, 0, 1]], bool)
    found = consistency.times_wrong(wrong, [0, 1, 1, 1, 1, 2])
    assert found.share.tolist() == pytest.approx([3 / 6, 1 / 6, 2 / 6])
    assert found.chance.tolist() == pytest.approx([4 / 6 * 3 / 4, 4 / 6 * 1 / 4, 2 / 6])


def test_a_net_with_one_error_in_a_class_gives_it_one_name():
    nets, labels = np.array([[1, 0, 1, 1, 0]] * 2), np.array([0, 0, 1, 1, 1])
    assert consistency.by_chance(nets[:1], nets[1:], labels)[3] == 1


def test_the_same_wrong_class_is_a_mean_over_the_pairs_that_share_an_error():
    nets = np.array([[1, 0, 0, 0], [1, 0, 0, 0], [0, 2, 0, 0]])  # two err alike, the third elsewhere
    shared, same = consistency.error_agreement(nets, None, np.zeros(4, int))[2:]
    assert (shared, same) == (pytest.approx(1 / 3), 1)


def test_intervals_end_where_kappa_does():
    """Few images, on which three nets nearly agree, or a net errs where another does not."""
    labels, rng = np.zeros(12, int), np.random.default_rng(0)
    alike = np.repeat(rng.random((1, 12)) < 0.5, 3, axis=0).astype(int)
    alike[0, 0] ^= 1
    found = consistency.consistency({"a": alike, "b": 1 - alike}, labels, resamples=50)
    kappa = found[found.measure == "kappa"].set_index(["a", "b"])
    assert kappa.high["a", "a"] == 1
    assert kappa.low["a", "b"] == -1


def test_a_net_s_own_nets_have_a_value_and_from_three_on_an_interval():
    rng = np.random.default_rng(4)
    labels, nets = np.arange(60) % 4, rng.integers(0, 4, (3, 60))
    for some, known in ((nets, True), (nets[:2], False)):  # of two, one is left
        found = consistency.consistency({"a": some}, labels, resamples=5)
        assert found.value.tolist() == pytest.approx(consistency.error_agreement(some, None, labels))
        assert found.low.notna().all() == found.high.notna().all() == known


def test_an_interval_over_units_alone_is_the_t_interval():
    values = np.array([0.2, 0.5, 0.4, 0.7])
    groups = np.repeat(values[:, None], 20_000, axis=1)  # no difference between images: the bootstrap adds nothing
    (found,) = intervals.crossed(lambda g, _: [g.mean()], groups, labels=np.zeros(20_000, int), resamples=10)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert found == pytest.approx((0.45, expected.low, expected.high, 20_000), abs=1e-4)


def test_luck_of_single_units_with_single_images_is_counted_once():
    coin = np.random.default_rng(0).random((4, 2000)) < 0.5  # nothing but luck: sd of the mean .5 / sqrt(8000)
    labels = np.zeros(2000, int)
    (found,) = intervals.crossed(lambda g, _: [g.mean()], coin, labels=labels, resamples=400)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * 0.5 / np.sqrt(8000), rel=0.3)


def test_an_interval_over_images_alone_is_the_binomial_one():
    labels = np.arange(2000) % 2
    image = np.random.default_rng(0).random(2000) < np.where(labels, 0.9, 0.3)
    groups = np.stack([image] * 3)  # no difference between units
    (found,) = intervals.crossed(lambda g, _: [g.mean()], groups, labels=labels, resamples=400)
    variance = np.mean([image[labels == c].var() for c in (0, 1)]) / 2000  # classes are kept as they are
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * np.sqrt(variance), rel=0.12)


def test_two_nets_of_one_seed_are_not_compared():
    rng = np.random.default_rng(3)
    labels, a, b = np.arange(60) % 4, rng.integers(0, 4, (3, 60)), rng.integers(0, 4, (3, 60))
    b[np.arange(3), :] = np.where(rng.random((3, 60)) < 0.8, a, b)  # what one seed has in common
    apart = [(i, j) for i, j in product(range(3), repeat=2) if i != j]
    for of in (consistency.error_agreement, consistency.by_chance):
        pairs = [of(a[[i]], b[[j]], labels) for i, j in apart]
        assert of(a, b, labels, paired=True) == pytest.approx(np.mean(pairs, axis=0), nan_ok=True)
    found = consistency.consistency({"A": a, "B": b}, labels, paired=True, resamples=5)
    between = found[found.a != found.b]
    assert between.value.tolist() == pytest.approx(consistency.error_agreement(a, b, labels, paired=True))
    assert (between.value < consistency.error_agreement(a, b, labels)).all()
    alone = consistency.consistency({"A": a[:1].repeat(2, 0), "B": b[:2]}, labels, paired=True, resamples=5)
    assert alone[alone.a != alone.b].low.isna().all()  # of two seeds one is left
