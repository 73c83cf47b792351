"""What is dropped or relabelled has the paper's Beta-distributed ranks, and the same noise for every net and arm."""

from collections import Counter
from itertools import pairwise, permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from easel.data import sets as datasets
from easel.errors import UserError
from easel.sections.subsets import (
    MODES,
    at_every,
    beta_order,
    by_mode,
    decile_left,
    drop,
    figure_4_arms,
    grid,
    held_out,
    left,
    lots,
    random_labels,
    select,
    short_recipe,
    sweep,
    uniform_labels,
)
from easel.train.loop import Run

K = 50_000
RATES = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]  # the paper's axis
RANKS = np.arange(K)  # an easiness without ties: example i is the i-th hardest
SHARES = {  # gone of the easiest and of the hardest tenth, at rates .1 .. .9 of Beta(3, 1)
    "easiest": [0.26, 0.49, 0.68, 0.83, 0.94, 0.99, 1, 1, 1],
    "hardest": [0, 0, 0, 0.01, 0.01, 0.02, 0.03, 0.06, 0.21],
}


def gone(keep, easiness=RANKS):
    return 1 - decile_left(easiness, keep)


# ---- Beta-distributed ranks ----------------------------------------------------------------------------------------


def naive_order(a, b, size, count, generator):
    """The paper's words as a loop: u ~ Beta(a, b), floor(u K), again if it is taken already."""
    taken = []
    while len(taken) < count:
        i = int(generator.beta(a, b) * size)
        if i not in taken:
            taken.append(i)
    return tuple(taken)


def exact_law(a, b, size, count):
    """P(order) of every ordered draw without replacement."""
    p = np.diff(stats.beta.cdf(np.arange(size + 1) / size, a, b))
    return {
        order: np.prod([p[i] / (1 - p[list(order[:n])].sum()) for n, i in enumerate(order)])
        for order in permutations(range(size), count)
    }


def misfit(counts, law, draws):
    """P value of a chi-squared test over all orders that 5 or more draws are expected of, the others pooled."""
    orders = list(law)
    expected = np.array([law[o] * draws for o in orders])
    seen = np.array([counts.get(o, 0) for o in orders])
    large = expected >= 5
    expected = np.append(expected[large], expected[~large].sum())
    seen = np.append(seen[large], seen[~large].sum())
    keep = expected > 0
    return stats.chi2.sf(((seen - expected)[keep] ** 2 / expected[keep]).sum(), keep.sum() - 1)


@pytest.mark.parametrize(("a", "b"), [*MODES.values(), (2, 2), (0.5, 1.5)])
def test_the_race_has_the_law_of_the_loop_that_rejects_repeats(a, b):
    size, count, draws = 5, 3, 3000
    law = exact_law(a, b, size, count)
    assert sum(law.values()) == pytest.approx(1)
    generator = np.random.default_rng(1)
    naive = Counter(naive_order(a, b, size, count, generator) for _ in range(draws))
    race = Counter(tuple(beta_order(np.arange(size), a, b, count, lots=lots(size, s)).tolist()) for s in range(draws))
    assert misfit(naive, law, draws) > 1e-3  # fixed seeds: the same P value in every run
    assert misfit(race, law, draws) > 1e-3
    other = exact_law(a + 0.25, b, size, count)
    assert misfit(race, other, draws) < 1e-5  # and it would notice another distribution


def test_the_race_is_as_the_loop_on_average_for_larger_sets():
    size, count, repeats = 60, 42, 150
    generator = np.random.default_rng(0)
    loop, race = np.zeros(size), np.zeros(size)
    for seed in range(repeats):
        loop[list(naive_order(3, 1, size, count, generator))] += 1 / repeats
        race[beta_order(np.arange(size), 3, 1, count, lots=lots(size, seed))] += 1 / repeats
    blocks = loop.reshape(6, 10).mean(1), race.reshape(6, 10).mean(1)
    assert blocks[0] == pytest.approx(blocks[1], abs=0.025)
    assert race[:10].mean() < 0.2 < 0.95 < race[-10:].mean()


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
def test_shares_of_the_easiest_and_hardest_tenth_at_full_size(rate):
    at = round(10 * rate) - 1
    easy, hard, random = (gone(drop(RANKS, rate, mode, seed=4).keep) for mode in ("easy", "hard", "random"))
    assert easy[-1] == pytest.approx(SHARES["easiest"][at], abs=0.01)
    assert easy[0] == pytest.approx(SHARES["hardest"][at], abs=0.01)
    assert hard[0] == pytest.approx(SHARES["easiest"][at], abs=0.01)  # Beta(1, 3) is the mirror image
    assert hard[-1] == pytest.approx(SHARES["hardest"][at], abs=0.01)
    assert random == pytest.approx(np.full(10, rate), abs=0.025)


@given(
    easiness=st.lists(st.integers(0, 5), min_size=1, max_size=40),
    rate=st.floats(0, 1, exclude_max=True),
    mode=st.sampled_from(list(MODES)),
    seed=st.integers(0, 2**40),
    balanced=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_as_many_are_taken_as_asked_for_each_once(easiness, rate, mode, seed, balanced):
    labels = np.arange(len(easiness)) % 3
    taken = select(easiness, rate, mode, seed=seed, labels=labels, balanced=balanced)
    assert len(taken) == int(rate * len(easiness) + 1e-9)
    assert (np.diff(taken) > 0).all()
    assert set(taken.tolist()) <= set(range(len(easiness)))
    for label in range(3):
        share = (labels == label).sum() * len(taken) / len(easiness)
        assert not balanced or abs((labels[taken] == label).sum() - share) < 1


@pytest.mark.parametrize("rate", [0.1, 0.29, 0.3, 0.57, 0.58, 0.7])
def test_the_number_taken_is_not_one_short_by_rounding(rate):
    assert len(select(RANKS[:100], rate, "random", seed=0)) == round(100 * rate)  # .29 * 100 = 28.999999999999996


def test_smaller_rates_take_part_of_what_larger_rates_take():
    for mode in MODES:
        sets = [set(select(RANKS[:1000], r, mode, seed=1).tolist()) for r in RATES]
        assert all(a < b for a, b in pairwise(sets))
    assert not np.array_equal(select(RANKS, 0.3, "easy", seed=1), select(RANKS, 0.3, "easy", seed=2))
    assert np.array_equal(select(RANKS, 0.3, "easy", seed=1), select(RANKS, 0.3, "easy", seed=1))


def test_ties_are_broken_at_random_not_by_index():
    easiness = np.repeat([0, 1], 500)
    taken = np.array([select(easiness, 0.25, "easy", seed=s, deterministic=True) for s in range(40)])
    assert taken.min() >= 500
    assert taken.mean() == pytest.approx(749.5, abs=8)  # sd of the mean 1.3
    assert len(set(map(tuple, taken))) == 40


def test_random_takes_no_notice_of_easiness_beyond_the_order_of_ties():
    left = np.mean([decile_left(RANKS[:1000], drop(RANKS[:1000], 0.4, "random", seed=s).keep) for s in range(50)], 0)
    assert left == pytest.approx(np.full(10, 0.6), abs=0.03)


# ---- the controls --------------------------------------------------------------------------------------------------


def test_deterministic_takes_just_the_top_of_the_ranking():
    easiness = np.array([3, 9, 1, 7, 5, 0, 8, 2, 6, 4])
    assert select(easiness, 0.3, "easy", seed=0, deterministic=True).tolist() == [1, 3, 6]
    assert select(easiness, 0.3, "hard", seed=0, deterministic=True).tolist() == [2, 5, 7]
    assert gone(drop(RANKS, 0.4, "easy", seed=0, deterministic=True).keep).tolist() == [0] * 6 + [1] * 4


@pytest.mark.parametrize("deterministic", [True, False])
def test_balanced_takes_the_same_share_of_every_class(deterministic):
    labels = np.repeat(np.arange(10), 500)  # class 9 is the easiest: without balance it would go first
    easiness = np.arange(5000)
    control = {"deterministic": deterministic, "seed": 0}
    plain = np.bincount(labels[select(easiness, 0.3, "easy", **control)], minlength=10)
    taken = select(easiness, 0.3, "easy", labels=labels, balanced=True, **control)
    assert plain[9] > 2 * plain[4]
    assert np.bincount(labels[taken]).tolist() == [150] * 10
    within = np.bincount(taken % 500 // 50, minlength=10) / 500  # tenths of each class
    assert (within[-1] == 1) if deterministic else (within[-1] == pytest.approx(SHARES["easiest"][2], abs=0.06))


def test_what_does_not_divide_goes_to_the_largest_remainders():
    labels = np.repeat([0, 1, 2], [5, 7, 8])
    taken = select(np.arange(20), 0.5, "hard", seed=0, labels=labels, balanced=True, deterministic=True)
    assert taken.tolist() == [0, 1, 2, 5, 6, 7, 12, 13, 14, 15]  # 2.5, 3.5, 4: the first class has the odd one


def test_shares_of_tenths_by_hand():
    assert decile_left(np.arange(20), np.arange(0, 20, 2)).tolist() == [0.5] * 10
    assert decile_left(np.arange(20), np.arange(10, 20)).tolist() == [0] * 5 + [1] * 5
    assert decile_left(np.arange(20)[::-1], np.arange(10, 20)).tolist() == [1] * 5 + [0] * 5
    assert decile_left(np.arange(7), None) == pytest.approx(np.ones(10))
    # a tie across the border counts for both sides alike: 3 of 4 left, whichever of them they are
    assert decile_left([0, 1, 1, 1, 1, 2], [0, 1, 2, 4], deciles=2) == pytest.approx([(1 + 1.5) / 3, (1.5 + 0) / 3])
    assert decile_left(np.zeros(50), np.arange(30)) == pytest.approx(np.full(10, 0.6))


def test_shares_of_tenths_are_the_mean_over_random_orders_of_ties():
    generator = np.random.default_rng(0)
    easiness, keep = generator.integers(0, 4, 37), generator.permutation(37)[:20]
    kept = np.isin(np.arange(37), keep)
    total, repeats = np.zeros(5), 4000
    for _ in range(repeats):
        order = np.lexsort((generator.random(37), easiness))
        cumulated = np.concatenate([[0], kept[order].cumsum()])
        total += np.diff(np.interp(np.linspace(0, 37, 6), np.arange(38), cumulated)) / (37 / 5)
    assert decile_left(easiness, keep, 5) == pytest.approx(total / repeats, abs=0.01)


# ---- random labels -------------------------------------------------------------------------------------------------


def test_every_net_and_arm_sees_the_same_random_label():
    labels, seen = RANKS % 10, {}
    nets = {"one": RANKS, "other": np.random.default_rng(0).permutation(K)}
    for net, easiness in nets.items():
        for mode in MODES:
            for balanced in (False, True):
                control = {"seed": 3, "labels": labels, "balanced": balanced}
                edit = random_labels(easiness, 0.6, mode, classes=10, **control)
                seen[net, mode, balanced] = select(easiness, 0.6, mode, **control), edit.labels
    for taken, changed in seen.values():
        assert np.array_equal(np.delete(changed, taken), np.delete(labels, taken))
        for others, theirs in seen.values():
            both = np.intersect1d(taken, others)
            assert len(both) > 1000
            assert np.array_equal(changed[both], theirs[both])


def test_noise_is_uniform_over_all_classes_and_a_matter_of_rate_and_seed_alone():
    drawn = uniform_labels(K, 10, 0.3, seed=0)
    assert stats.chisquare(np.bincount(drawn, minlength=10)).pvalue > 0.01
    labels = RANKS % 10
    edit = random_labels(RANKS, 0.3, "hard", seed=0, labels=labels, classes=10)
    assert (edit.labels != labels).mean() == pytest.approx(0.3 * 0.9, abs=0.005)  # the true class may be drawn too
    assert np.array_equal(uniform_labels(K, 10, 0.3, seed=0), drawn)
    for other in (uniform_labels(K, 10, 0.4, seed=0), uniform_labels(K, 10, 0.3, seed=1)):
        assert (other == drawn).mean() == pytest.approx(0.1, abs=0.01)
    assert np.array_equal(uniform_labels(K, 10, 0.1 + 0.2, seed=0), drawn)  # .30000000000000004


def test_noise_and_choice_are_drawn_from_different_streams():
    taken = select(RANKS, 0.5, "random", seed=0)
    assert stats.chisquare(np.bincount(uniform_labels(K, 10, 0.5, seed=0)[taken], minlength=10)).pvalue > 0.01


def test_the_global_generators_have_no_say():
    np.random.seed(1)  # noqa: NPY002
    first = random_labels(RANKS, 0.3, "easy", seed=0, labels=RANKS % 10, classes=10)
    np.random.seed(2)  # noqa: NPY002
    assert random_labels(RANKS, 0.3, "easy", seed=0, labels=RANKS % 10, classes=10) == first


# ---- as edits of a trial -------------------------------------------------------------------------------------------


def test_a_dropped_example_is_not_trained_on_and_a_random_label_is(tiny):
    labels = tiny().examples.labels.numpy()
    easiness = np.arange(100)
    edit = drop(easiness, 0.3, "hard", seed=0)
    assert Run(tiny(edit=edit)).kept.tolist() == edit.keep.tolist()
    assert len(edit.keep) == 70
    noisy = random_labels(easiness, 0.3, "hard", seed=0, labels=labels, classes=10)
    net = Run(tiny(edit=noisy))
    assert net.labels.tolist() == noisy.labels.tolist() != labels.tolist()
    assert net.sets["train"].labels.tolist() == labels.tolist()  # the evaluation's stay


def test_a_rate_that_takes_nothing_is_the_plain_trial(tiny):
    labels = tiny().examples.labels.numpy()
    for mode in MODES:
        assert drop(np.arange(100), 0, mode, seed=0) is None
        assert drop(np.arange(100), 0.009, mode, seed=0) is None
        assert random_labels(np.arange(100), 0, mode, seed=0, labels=labels, classes=10) is None


GOOD = {"easiness": np.arange(10), "rate": 0.5, "mode": "easy", "seed": 0}


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        ({"rate": 1}, "rate=1: a number from 0, below 1"),
        ({"rate": -0.1}, "rate=-0.1"),
        ({"rate": float("nan")}, "rate=nan"),
        ({"rate": "half"}, "rate='half'"),
        ({"rate": True}, "rate=True"),
        ({"mode": "medium"}, "one of easy, hard, random"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 0.5}, "seed=0.5"),
        ({"easiness": []}, "easiness"),
        ({"easiness": [0.1, float("nan")]}, "finite"),
        ({"easiness": np.ones((2, 3))}, "(2, 3)"),
        ({"balanced": True}, "labels=ledger.labels"),
        ({"balanced": True, "labels": np.zeros(9, int)}, "each of 10 examples"),
        ({"balanced": True, "labels": np.zeros(10)}, "float64"),
        ({"mode": "random", "deterministic": True}, "deterministic"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(bad, word):
    with pytest.raises(UserError) as refusal:
        drop(**(GOOD | bad))
    assert word in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: random_labels(**GOOD, labels=np.arange(10), classes=9), "0..8"),
        (lambda: random_labels(**GOOD, labels=np.arange(10) - 1, classes=10), "-1..8"),
        (lambda: random_labels(**GOOD, labels=np.zeros(10, int), classes=1), "classes=1"),
        (lambda: uniform_labels(10, 10, 1.0, seed=0), "rate=1.0"),
        (lambda: beta_order(np.arange(10), 0, 1, 5, lots=lots(10, 0)), "Beta(0, 1)"),
        (lambda: beta_order(np.arange(10), 3, 1, 11, lots=lots(10, 0)), "count=11"),
        (lambda: beta_order(np.arange(10), 3, 1, -1, lots=lots(10, 0)), "count=-1"),
        (lambda: beta_order(np.arange(1000), 900, 1, 900, lots=lots(1000, 0)), "at most"),
    ],
)
def test_the_other_functions_refuse_too(call, word):
    with pytest.raises(UserError) as refusal:
        call()
    assert word in str(refusal.value)
    assert "\n" not in str(refusal.value)


# ---- as an experiment ----------------------------------------------------------------------------------------------


def test_claims_are_judged_at_the_rates_that_the_text_names():
    assert grid(RATES) == (RATES, [0, 0.3, 0.6, 0.9])
    assert grid([0.9, 0.3]) == ([0, 0.3, 0.9], [0, 0.3, 0.9])
    assert grid([0, 0.2, 0.3, 0.7])[1] == [0, 0.2, 0.3, 0.7]
    for bad in ([0.0, 0.5], [], [0.3, 0.6, 1.0], [-0.1, 0.3]):
        with pytest.raises(UserError, match="at least two above 0"):
            grid(bad)


def test_arms_of_a_sweep_share_seeds_and_the_plain_trial(tiny):
    easiness = np.arange(100)
    arms = {"change": "drop", "rates": [0, 0.3, 0.6], "seeds": [0, 1]}
    points = sweep(tiny(), easiness, **arms)
    assert len(points) == 3 * 3 * 2
    assert len({t.key for t in points.trial[points.rate == 0]}) == 2
    assert len({t.key for t in points.trial}) == 2 + 3 * 2 * 2
    assert {t.seed for t in points.trial} == {0, 1}
    top = sweep(tiny(), easiness, **arms, modes=["easy"], control="top")
    assert top.trial.iloc[-1].edit.keep.tolist() == list(range(40))
    label = sweep(tiny(), easiness, **(arms | {"change": "label"}))
    easy, hard = (label[(label["mode"] == m) & (label.rate == 0.6)].trial.iloc[1] for m in ("easy", "hard"))
    labels, both = tiny().examples.labels.numpy(), [t.edit.labels for t in (easy, hard)]
    changed = (both[0] != labels) & (both[1] != labels)
    assert changed.sum() > 5
    assert (both[0] == both[1])[changed].all()


def test_what_a_sweep_leaves(tiny):
    labels = tiny().examples.labels.numpy()
    points = sweep(tiny(), labels, change="drop", rates=[0, 0.4], seeds=[0], modes=["easy"], control="top")
    shares = left(points, labels)  # the class is its easiness: the last four classes go
    assert shares.images.tolist() == [100, 60]
    assert shares.easiest.tolist() == [1, 0]
    assert shares.hardest.tolist() == [1, 1]
    assert shares.smallest_class.tolist() == pytest.approx([0.1, 0])


def test_all_arms_of_figure_4_and_both_controls_at_the_late_rates(tiny):
    points = figure_4_arms(tiny(), np.arange(100), [0, 0.3, 0.6, 0.9], [0, 0.3, 0.6, 0.9], range(2))
    halves, controls = points[points.control == "Beta"], points[points.control != "Beta"]
    assert len(halves) == 2 * 3 * 4 * 2
    assert controls.groupby("control").rate.unique().map(list).to_dict() == {"top": [0.6, 0.9], "balanced": [0.6, 0.9]}
    assert set(controls["mode"]) == {"easy", "hard"}
    assert set(figure_4_arms(tiny(), np.arange(100), [0, 0.2, 0.4], [0, 0.2, 0.4], [0]).rate[18:]) == {0.4}
    label = sweep(tiny(), np.arange(100), change="label", rates=[0.6], seeds=range(2))
    assert [t.key for t in halves.trial[(halves.change == "label") & (halves.rate == 0.6)]] == [
        t.key for t in label.trial
    ]


def test_an_arm_by_rate_and_the_verdict_at_every_point():
    rows = [(mode, rate, seed, rate + 0.01 * seed) for mode in MODES for rate in (0.0, 0.3) for seed in range(3)]
    arms = by_mode(pd.DataFrame(rows, columns=["mode", "rate", "seed", "accuracy"]), [0.0, 0.3])
    assert list(arms) == list(MODES)
    assert arms["hard"][0.3].tolist() == pytest.approx([0.3, 0.31, 0.32])
    gain = (arms["easy"][0.3] - arms["easy"][0.0]).to_numpy()  # .3 in all three
    sure, loose = gain + np.array([0, 0.01, 0.02]), gain + np.array([0, 0.2, 0.4])
    told = at_every({"here": sure, "there": loose}, "in words", "; so", above=0.1)
    assert (told.finding.where, told.finding.verdict, told.finding.n) == ("there", "open", 3)
    assert (told.why, told.paper) == ("decides: {where}; so", "in words")
    assert at_every({"here": sure}, "in words", above=0.1).finding.verdict == "holds"
    assert at_every({"here": sure}, "in words", below=0.1).finding.verdict == "fails"


def test_small_sets_have_small_batches_and_no_more_test_images_than_there_are():
    assert [short_recipe("cifar10", images).batch_size for images in (100, 4000, 50_000)] == [16, 50, 128]
    assert held_out("patterns", 30) == "test:30"
    most = len(datasets.load("patterns", "test"))
    assert held_out("patterns", 10**6) == f"test:{most}"


@pytest.mark.parametrize(("bad", "word"), [({"change": "blur"}, "drop, label"), ({"control": "x"}, "top, balanced")])
def test_a_sweep_refuses_what_it_does_not_know(tiny, bad, word):
    with pytest.raises(UserError, match=word):
        sweep(tiny(), np.arange(100), **({"change": "drop", "rates": [0.1], "seeds": [0]} | bad))
