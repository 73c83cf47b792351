"""Plain against changed easiness: by hand, against matching's own jackknife, and by simulation."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import stats

from easel import plot
from easel.compare import claims, intervals, matching
from easel.data import changes
from easel.errors import UserError
from easel.sections import perturbations


def world(seed=0, n=400, trials=(6, 6), strengths=(0.0, 1.0, 4.0), shared=1.0):
    """{view: two groups}: images with a plain and an own changed difficulty; a trial's luck with an image is partly the
    same in all views (`shared`: its size), so plain and changed answers of one trial depend on each other."""
    rng = np.random.default_rng(seed)
    plain, other = np.random.default_rng(99).normal(0, 1.5, (2, n))  # the images are always the same
    views = ["train", *(f"low-pass={k}" for k in range(1, len(strengths)))]
    groups = {view: [] for view in views}
    for size in trials:
        luck = shared * rng.logistic(size=(size, n))
        for view, strength in zip(views, strengths, strict=True):
            own = rng.logistic(size=(size, n))
            share = strength / (1 + strength)
            groups[view].append((1 - share) * plain + share * other - 0.3 * strength + luck + own > 0)
    return {view: tuple(pair) for view, pair in groups.items()}


# ---- the quantities ------------------------------------------------------------------------------------------------


def test_other_and_same_by_hand():
    """Four images, groups of two trials; half of them are easy (k = 2)."""
    p1 = np.array([[1, 1, 0, 0], [1, 1, 1, 0]], bool)  # counts 2 2 1 0: easy {0, 1}
    p2 = np.array([[1, 1, 0, 0], [0, 1, 1, 0]], bool)  # counts 1 2 1 0: easy {1}, and one of {0, 2}
    v1 = np.array([[0, 1, 1, 1], [0, 1, 1, 0]], bool)  # counts 0 2 2 1: easy {1, 2}
    v2 = np.array([[0, 0, 1, 1], [0, 0, 1, 1]], bool)  # counts 0 0 2 2: easy {2, 3}
    found = perturbations.measure({"train": (p1, p2), "x": (v1, v2)}, fraction=0.5)
    assert found.same["x"][0] == (1 / 2 + (0.5 * 1) / 2) / 2  # {0,1} and {1,2}; {1, half 0, half 2} and {2,3}
    assert found.other["x"][0] == (0 + (1 + 0.5) / 2) / 2  # {0,1} and {2,3}; {1, half 0, half 2} and {1,2}
    assert found.other["train"][0] == (1 + 0.5) / 2
    assert found.ties["x"] == (0.25, 0.5)
    assert found.accuracy["x"][0] == (5 / 8 + 4 / 8) / 2
    # without group 1's second trial: plain {0,1}, changed 0 1 1 1: two of {1,2,3}
    assert found.same["x"][2] == pytest.approx((2 / 3 / 2 + 1 / 4) / 2)
    assert found.other["x"][2] == pytest.approx((0 + (2 / 3 + 2 / 3 * 0.5) / 2) / 2)
    assert found.accuracy["x"][2] == (3 / 4 + 4 / 8) / 2
    # without group 2's first: plain 0 1 1 0: {1, 2}; changed stays {2, 3}
    assert found.same["x"][3] == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert found.accuracy["x"][3] == (5 / 8 + 2 / 4) / 2


@pytest.mark.parametrize("which", ["easy", "hard"])
def test_a_trial_is_left_out_of_plain_and_changed_at_once(which):
    """Stacked side by side, a trial's plain and changed answers are one row to `intervals.jackknife`."""
    groups, n = world(trials=(5, 7)), 400
    one, two = (np.hstack([groups[view][g] for view in ("train", "low-pass=2")]) for g in (0, 1))
    rate = lambda a, b: matching.rate(a, b, which=which)  # noqa: E731
    same = lambda a, b: (rate(a[:n], a[n:]) + rate(b[:n], b[n:])) / 2  # noqa: E731
    other = lambda a, b: (rate(a[:n], b[n:]) + rate(b[:n], a[n:])) / 2  # noqa: E731
    accuracy = lambda a, b: a[n:].mean() / 5 + b[n:].mean() / 7  # noqa: E731 - twice the mean; trials differ by group
    found = perturbations.measure(groups, which=which)
    for quantity, statistic in (("same", same), ("other", other)):
        slow = intervals.jackknife(one, two, statistic)
        fast = found.interval(getattr(found, quantity)["low-pass=2"], limits=(0, 1))
        assert fast == pytest.approx(slow, abs=1e-12)
        assert fast.n == 12
    assert found.accuracy["low-pass=2"][0] == pytest.approx(accuracy(one.sum(0), two.sum(0)) / 2)
    mean = [
        np.mean([groups["low-pass=2"][0][np.arange(5) != i].mean(), groups["low-pass=2"][1].mean()]) for i in range(5)
    ]
    assert found.accuracy["low-pass=2"][1:6] == pytest.approx(mean)


def test_the_ceiling_the_ties_and_the_classes_are_matchings():
    groups, labels = world(), np.arange(400) % 7
    found = perturbations.measure(groups, labels)
    (p1, p2), (v1, v2) = ([of.sum(0) for of in groups[view]] for view in ("train", "low-pass=1"))
    assert found.chance == 0.1
    assert found.other["train"][0] == matching.rate(p1, p2)
    assert found.blind["train"].tolist() == found.within["train"].tolist() == found.other["train"].tolist()
    assert found.same["train"][0] == (matching.rate(p1, p1) + matching.rate(p2, p2)) / 2 < 1  # ties, broken twice
    assert found.ties["low-pass=1"] == pytest.approx(
        np.mean([matching.bounds(p1, v2), matching.bounds(p2, v1)], axis=0)
    )
    stratified = [matching.stratified_chance(a, b, labels) for a, b in ((p1, v2), (p2, v1))]
    assert found.stratified["low-pass=1"] == pytest.approx(np.mean(stratified))
    assert np.isnan(perturbations.measure(groups).stratified["low-pass=1"])
    assert np.isnan(perturbations.measure(groups).within["low-pass=1"]).all()


def test_kept_is_1_where_nothing_is_changed_and_0_where_plain_says_nothing_of_changed():
    groups = world(n=4000, strengths=(0.0, 0.5, 1e9))
    found = perturbations.measure(groups)
    assert (found.kept("train") == 1).all()
    assert (found.kept("train", "same") == 1).all()
    shared = (found.same["low-pass=1"][0] - 0.1) / (found.same["train"][0] - 0.1)
    assert found.kept("low-pass=1", "same")[0] == pytest.approx(shared)
    assert 0.2 < found.kept("low-pass=1")[0] < 1
    assert found.kept("low-pass=2")[0] == pytest.approx(0, abs=0.05)
    nothing = np.random.default_rng(1).random((2, 3, 50)) < 0
    assert np.isnan(perturbations.measure({"train": tuple(nothing), "x": tuple(nothing)}).kept("x")).all()
    both = (found.same["low-pass=1"] - found.other["low-pass=1"] + found.same["train"] - found.other["train"]) / 2
    assert found.difference("same", "other", ["low-pass=1", "train"]) == pytest.approx(both)


# ---- the null ------------------------------------------------------------------------------------------------------


def test_blind_errors_are_as_many_in_every_trial_and_spare_who_was_right_first():
    (plain, _), (bad, _), _ = world().values()
    thin = perturbations.thinned(plain, bad, seed=3)
    assert (thin.sum(1) == bad.sum(1)).all()
    assert bad.sum() < plain.sum()
    assert (plain | ~thin).all()  # only right answers are left
    assert np.array_equal(thin, perturbations.thinned(plain, bad, seed=3))
    assert not np.array_equal(thin, perturbations.thinned(plain, bad, seed=4))
    more = perturbations.thinned(bad, plain)
    assert (more.sum(1) == plain.sum(1)).all()
    assert (more | ~bad).all()  # where accuracy rises, every right answer stays
    labels = np.arange(400) % 3
    by_class = perturbations.thinned(plain, bad, labels=labels)
    for k in range(3):
        assert (by_class[:, labels == k].sum(1) == bad[:, labels == k].sum(1)).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 4), st.integers(1, 30))
@settings(max_examples=30, deadline=None)
def test_blind_errors_of_any_answers_are_as_many(seed, trials, n):
    rng = np.random.default_rng(seed)
    plain, bad = rng.random((2, trials, n)) < rng.random((2, trials, 1))
    thin = perturbations.thinned(plain, bad, labels=rng.integers(0, 3, n), seed=seed)
    assert (thin.sum(1) == bad.sum(1)).all()


def test_who_stays_right_is_drawn_uniformly():
    plain = np.tile([True, True, True, True, False], (6000, 1))
    bad = np.tile([False, False, False, True, True], (6000, 1))
    stays = perturbations.thinned(plain, bad).mean(0)
    assert stays == pytest.approx([0.5, 0.5, 0.5, 0.5, 0], abs=0.02)


def test_a_blind_change_is_measured_as_blind_and_one_with_a_taste_of_its_own_as_more():
    groups = world(n=4000, trials=(8, 8))
    blindly = tuple(
        perturbations.thinned(p, c, seed=5 + g)
        for g, (p, c) in enumerate(zip(*list(groups.values())[::2], strict=True))
    )
    found = perturbations.measure({"train": groups["train"], "own": groups["low-pass=2"], "blind": blindly})
    gap = {view: found.interval(found.other[view] - found.blind[view]) for view in ("own", "blind")}
    assert gap["own"].high < -0.05
    assert gap["blind"].low < 0 < gap["blind"].high
    assert abs(gap["blind"].estimate) < 0.02


def test_a_change_that_picks_classes_is_beyond_blind_and_not_beyond_within():
    """All images of some classes turn wrong more often, and otherwise at random."""
    plain, labels = world(n=4000, trials=(8, 8))["train"], np.arange(4000) % 10
    rng = np.random.default_rng(2)
    harmed = tuple(of & (rng.random(of.shape) < np.linspace(0, 1, 10)[labels]) for of in plain)
    found = perturbations.measure({"train": plain, "x": harmed}, labels, which="hard")
    other = found.other["x"]
    assert found.interval(other - found.blind["x"]).high < -0.05
    assert found.interval(other - found.within["x"]).estimate == pytest.approx(0, abs=0.02)
    assert found.accuracy["x"][0] == pytest.approx(np.mean([of.mean() for of in harmed]))


# ---- intervals -----------------------------------------------------------------------------------------------------


def test_an_interval_is_the_jackknife_of_a_mean_by_hand():
    x, y = np.array([0.2, 0.5, 0.8, 0.9]), np.array([0.1, 0.4, 0.3])
    theta = [x.mean() - y.mean()]
    theta += [np.delete(x, i).mean() - y.mean() for i in range(4)] + [
        x.mean() - np.delete(y, i).mean() for i in range(3)
    ]
    interval = partial(perturbations.Measured.interval, SimpleNamespace(trials=(4, 3)))
    found = interval(theta, level=0.9)
    error = np.sqrt(x.var(ddof=1) / 4 + y.var(ddof=1) / 3)
    assert found.estimate == pytest.approx(0.6 - 0.8 / 3)
    parts = x.var(ddof=1) / 4, y.var(ddof=1) / 3
    degrees = sum(parts) ** 2 / (parts[0] ** 2 / 3 + parts[1] ** 2 / 2)  # Satterthwaite
    assert 2 < degrees < 5
    assert found.high - found.estimate == pytest.approx(stats.t.ppf(0.95, degrees) * error)
    assert found.n == 7
    assert interval(theta, limits=(0, 0.5))[1:3] == (0, 0.5)
    assert np.isnan(interval([*theta[:-1], np.nan])[1:3]).all()
    for trials in ((4, 4), (6, 1), (7, 0)):
        with pytest.raises(UserError, match="replicates"):
            perturbations.Measured.interval(SimpleNamespace(trials=trials), theta)


def test_the_interval_of_paired_counts_covers_and_is_cautious():
    """120 new sets of trials on the same images: the mean over them is what the intervals should hold.

    The width: right for accuracy; up to about twice the spread for matching rates, whose ties move with every trial."""
    results = {"same": [], "other": [], "difference": [], "gap": [], "accuracy": []}
    for seed in range(120):
        found = perturbations.measure(world(seed, n=300, trials=(8, 8)), draws=1, seed=seed)
        here = {"same": found.same["low-pass=1"], "other": found.other["low-pass=1"]}
        here |= {"difference": found.kept("low-pass=1") - found.kept("low-pass=2")}
        here |= {"gap": found.other["low-pass=2"] - found.blind["low-pass=2"]}
        here |= {"accuracy": found.accuracy["train"] - found.accuracy["low-pass=1"]}
        for name, replicates in here.items():
            results[name].append(found.interval(replicates))
    for name, found in results.items():
        estimate, low, high, _ = np.array(found).T
        truth = estimate.mean()
        assert ((low <= truth) & (truth <= high)).mean() >= 0.93, name
        error = (high - low) / 2 / 2.364624  # t, 7 degrees of freedom
        most = 1.25 if name == "accuracy" else 2.4
        assert 0.85 < np.sqrt((error**2).mean()) / estimate.std() < most, name


# ---- along a grid --------------------------------------------------------------------------------------------------


def test_a_crossing_is_read_off_between_two_points():
    curve = np.array([[1.0, 1.0, 0.4, 1.0, 1.0], [0.8, 0.2, 0.3, 0.9, 0.2], [0.3, 0.6, 0.2, 0.8, 0.7]])
    found = perturbations.crossing([0, 10, 20], curve, 0.5)
    assert found[:3] == pytest.approx([16, 6.25, 0])
    assert np.isnan(found[3])
    assert found[4] == pytest.approx(6.25)  # the first time, though it rises again
    places = np.array([[0, 1, 2, 3, 4], [10, 11, 12, 13, 14], [20, 21, 22, 23, 24]])
    assert perturbations.crossing(places, curve, [0.8, 0.6, 0.3, 0.85, 1.0]) == pytest.approx([10, 6, 12, 18, 4])


def test_falls_to_and_at_accuracy_read_the_curves():
    groups = world(n=2000, strengths=(0.0, 0.5, 1.0, 3.0, 9.0))
    found = perturbations.measure(groups)
    grid = {1.6: "low-pass=4", 3.2: "low-pass=3", 6.4: "low-pass=2", 12.8: "low-pass=1", 25.6: "train"}
    at = found.interval(perturbations.falls_to(found, "low-pass", grid))
    below, above = [s for s, v in grid.items() if found.kept(v)[0] <= 0.5][-1:], 25.6
    assert below[0] <= at.estimate < min(above, 2 * below[0])
    assert at.low < at.estimate < at.high
    assert np.isnan(perturbations.falls_to(found, "low-pass", grid, share=-1)).all()
    same = perturbations.at_accuracy(found, grid, found.accuracy["low-pass=2"])
    assert same == pytest.approx(found.other["low-pass=2"])
    between = perturbations.at_accuracy(found, grid, (found.accuracy["low-pass=2"] + found.accuracy["low-pass=3"]) / 2)
    assert between == pytest.approx((found.other["low-pass=2"] + found.other["low-pass=3"]) / 2)
    alpha = {0: "low-pass=4", 0.5: "low-pass=3", 1: "train"}
    assert 0 <= perturbations.falls_to(found, "colour", alpha)[0] <= 1  # a linear scale, which has a 0
    with pytest.raises(UserError, match="plain images"):
        perturbations.at_accuracy(found, {1.6: "low-pass=4"}, 0.5)


def test_the_table_has_a_row_a_net_change_and_strength():
    views = dict(zip(["train", "colour=0", "low-pass=1.6"], world().values(), strict=True))
    grids = {"colour": {0: "colour=0", 1: "train"}, "low-pass": {1.6: "low-pass=1.6", 22.63: "train"}}
    found = {net: perturbations.measure(views, np.arange(400) % 4, which="hard") for net in ("a", "b")}
    table = perturbations.perturbed_rates({"hard": found}, grids)
    assert table[["net", "change", "strength"]].apply(tuple, axis=1).is_unique
    assert len(table) == 8
    for name in ("same", "other", "blind", "within", "accuracy", "kept", "kept_same"):
        assert (table[f"{name}_low"] <= table[name]).all()
        assert (table[name] <= table[f"{name}_high"]).all()
    assert ((table.tie_low <= table.other) & (table.other <= table.tie_high)).all()
    assert set(table.which) == {"hard"}
    assert set(table.n_trials) == {6}
    grey = table[(table.net == "a") & (table.view == "colour=0")].iloc[0]
    assert grey.other == found["a"].other["colour=0"][0]
    assert all(set(grid.values()) >= {"train"} for grid in changes.grids(32).values())


# ---- claims --------------------------------------------------------------------------------------------------------


def net(*values):
    """A net of two groups of trials whose quantity is the mean of their values."""
    a, b = map(np.array, values)
    whole = [a.mean() + b.mean()]
    whole += [np.delete(a, i).mean() + b.mean() for i in range(len(a))]
    whole += [a.mean() + np.delete(b, i).mean() for i in range(len(b))]
    return SimpleNamespace(x=np.array(whole) / 2, trials=(len(a), len(b)))


def judge(nets, **where):
    return claims.judge(perturbations.net_points(nets, lambda found: found.x), **where)


def test_a_claim_about_all_nets_is_judged_by_the_worst():
    clear = net([0.30, 0.32, 0.31], [0.29, 0.33, 0.31])
    vague = net([0.05, -0.04, 0.06], [0.02, 0.03, -0.01])
    against = net([-0.30, -0.32, -0.31], [-0.29, -0.33, -0.31])
    still = net([0.2, 0.2, 0.2], [0.2, 0.2, 0.2])
    nothing = SimpleNamespace(x=clear.x * np.nan, trials=(3, 3))
    assert judge({"a": clear}, above=0)[0:6:5] == ("a", "holds")
    assert judge({"a": clear}, above=0.31)[0:6:5] == ("a", "open")
    assert judge({"a": clear, "b": vague}, above=0)[0:6:5] == ("b", "open")
    assert judge({"a": clear, "b": vague, "c": against}, above=0)[0:6:5] == ("c", "fails")
    assert judge({"a": clear, "c": against}, below=0)[0:6:5] == ("a", "fails")
    assert judge({"c": against}, below=0).verdict == "holds"
    assert judge({"a": clear, "s": still}, above=0)[0:6:5] == ("s", "open")
    assert judge({"a": clear, "n": nothing}, above=0)[0:6:5] == ("n", "open")
    assert judge({"n": nothing}, above=0).row().keys() == {"here", "n", "verdict", "reason", "needed"}
    found = judge({"c": against}, below=0)
    assert found.estimate == pytest.approx(-0.31)
    assert found.low < found.estimate < found.high < 0
    one, two = (judge(dict.fromkeys(names, against), above=0) for names in ("c", "cd"))
    assert two.low < one.low  # to fail, the interval is widened for the number of nets
    for nets, bad in (({"a": clear}, {}), ({"a": clear}, {"above": 0, "below": 0}), ({}, {"above": 0})):
        with pytest.raises(UserError):
            judge(nets, **bad)


def readings(data="cifar10", strengths=(0.0, 0.2, 4.0, 9.0), models=None):
    """Claims about one CNN and an MLP that lose little without colour, much without arrangement or detail."""
    views = dict(
        zip(["train", "colour=0", "shuffle=4", "low-pass=1"], world(strengths=strengths).values(), strict=True)
    )
    grids = {name: {strength: view, plain: "train"} for name, strength, view, plain in STRENGTHS}
    models = models or {"cnn": "wrn-10-1", "MLP": "mlp-3x512"}
    examples = SimpleNamespace(name=data, classes=tuple(range(10)))
    groups = SimpleNamespace(models=models, ledger=SimpleNamespace(examples=examples))
    measured = {"easy": {net: perturbations.measure(views, np.arange(400) % 4) for net in models}}
    return perturbations.Readings(measured, grids, groups)


STRENGTHS = [("colour", 0, "colour=0", 1), ("shuffle", 4, "shuffle=4", 1), ("low-pass", 1, "low-pass=1", 23)]


@pytest.mark.parametrize("of", ["same", "other", "rank"])
def test_of_photographs_the_opposite_is_claimed(of):
    here, there = readings(), readings("tiny-imagenet-10")
    assert list(here.nets) == ["cnn"]  # the MLP is not asked
    assert list(readings(models={"MLP": "mlp-3x512"}).nets) == ["MLP"]  # but where no other net is there
    net = here.nets["cnn"]
    ours, theirs = (one.colour_against("low-pass", of) for one in (here, there))
    assert ours.finding.estimate == pytest.approx(net.kept("colour=0", of)[0] - net.kept("low-pass=1", of)[0])
    assert (ours.finding.verdict, theirs.finding.verdict) == ("holds", "fails")
    assert (ours.paper, theirs.paper) == ("CIFAR-10: structure and detail first", "mini ImageNet: colours first")
    assert ours.why.startswith(f"cnn: {net.kept('colour=0', of)[0]:.0%} of the agreement is kept without colour, ")


def test_colour_lies_on_one_side_whichever_it_is():
    others = ["shuffle", "low-pass"]
    above, below = readings(), readings(strengths=(0.0, 9.0, 0.2, 0.2))
    between = readings(strengths=(0.0, 1.0, 0.1, 9.0))
    assert above.colour_on_one_side(others).finding.verdict == "holds"
    assert below.colour_on_one_side(others).finding.verdict == "holds"
    assert below.colour_against("shuffle", "same").finding.verdict == "fails"
    assert between.colour_on_one_side(others).finding.estimate < 0


def test_what_is_said_of_accuracy_ties_to_the_nets_numbers():
    here, there = readings(), readings("mini-imagenet")
    net = here.nets["cnn"]
    equal = here.at_equal_accuracy("shuffle")
    rest = perturbations.at_accuracy(net, here.grids["shuffle"], net.accuracy["colour=0"])
    assert equal.finding.estimate == pytest.approx(net.other["colour=0"][0] - rest[0])
    spoiled = here.beyond_accuracy("low-pass").finding
    assert spoiled.verdict == "holds"
    assert spoiled.estimate == pytest.approx(net.other["low-pass=1"][0] - net.blind["low-pass=1"][0])
    luck = net.difference("same", "other", ["colour=0", "shuffle=4", "low-pass=1"])
    assert here.shared_luck().finding.estimate == pytest.approx(luck[0])
    assert here.harmless("low-pass=1") is here.above_chance("low-pass=1") is None
    assert there.harmless("low-pass=1").finding.verdict == "fails"
    assert there.above_chance("low-pass=1").finding.estimate == pytest.approx(net.accuracy["low-pass=1"][0])


def test_nets_are_measured_at_the_epoch_and_half_of_the_agreement_is_lost_within_the_grid(tiny):
    grids = {"colour": {0: "colour=0", 1: "train"}, "low-pass": {1.6: "low-pass=1.6", 22.63: "train"}}
    views = perturbations.views_at(grids, 2)
    assert views == ("colour=0@2", "low-pass=1.6@2")
    right = dict(zip(("train", *views), world(n=60).values(), strict=True))
    sides = {"a": tuple(SimpleNamespace(correct=lambda view, g=g: right[view][g][:, None]) for g in (0, 1))}
    groups = SimpleNamespace(right=lambda m: {"a": right["train"]}, sides=sides, labels=np.arange(60) % 3)
    measured = perturbations.measure_nets(groups, grids, 2)
    assert list(measured) == ["easy", "hard"]
    direct = perturbations.measure({view.partition("@")[0]: pair for view, pair in right.items()}, groups.labels)
    assert measured["easy"]["a"].within["colour=0"] == pytest.approx(direct.within["colour=0"])
    table = perturbations.perturbed_rates(measured, grids)
    ends = perturbations.plain_and_strongest(table, grids)
    assert ends[["which", "view"]].apply(tuple, axis=1).tolist() == [
        (which, view) for which in ("easy", "hard") for view in ("colour=0", "train", "low-pass=1.6")
    ]
    half = perturbations.halfway(measured, grids)
    assert len(half) == 4
    assert half.ceiling.iloc[0] == direct.other["train"][0]
    at = perturbations.falls_to(direct, "low-pass", grids["low-pass"])[0]
    assert half["half at"].iloc[1] == pytest.approx(at, nan_ok=True)
    part = tiny().examples.take([0, 1])
    pictures, names = perturbations.under_every_strength(part, changes.grids(part.images.shape[-1])["shuffle"])
    assert names[-2:] == ["2 × 2", "plain"]
    assert pictures.shape[:2] == (2, len(names))
    assert (pictures[:, -1] == part.images.numpy()).all()
    assert (pictures[:, -2] == changes.shuffle(part.images, part.ids, 2).numpy()).all()


# ---- figures -------------------------------------------------------------------------------------------------------


def test_pictures_stand_the_right_way_up_in_their_colours_under_their_names():
    pictures = np.zeros((2, 3, 3, 8, 8), np.uint8)
    pictures[0, 0, 0, :4] = 255  # first picture: upper half red
    pictures[0, 1, 1, :, :4] = 255  # right of it: left half green
    pictures[1, 0, 2, 4:, 4:] = 255  # below it: lower right quarter blue
    ax = plot.changed_images(pictures, ["first", "second"], ["0", "0.5", "plain"])
    figure = ax.figure
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())

    def at(row, column, down, right):
        left, end, bottom, top = ax.images[3 * row + column].get_extent()
        x, y = ax.transData.transform((left + (end - left) * right, top + (bottom - top) * down))
        return tuple(int(v) for v in pixels[int(pixels.shape[0] - y), int(x), :3])

    red, green, blue, black = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0)
    assert (at(0, 0, 0.2, 0.2), at(0, 0, 0.2, 0.8), at(0, 0, 0.8, 0.2)) == (red, red, black)
    assert (at(0, 1, 0.2, 0.2), at(0, 1, 0.8, 0.2), at(0, 1, 0.2, 0.8)) == (green, green, black)
    assert (at(1, 0, 0.8, 0.8), at(1, 0, 0.2, 0.2), at(1, 0, 0.8, 0.2)) == (blue, black, black)
    place = {text.get_text(): text.get_position() for text in ax.texts}
    assert place["0"][0] < place["0.5"][0] < place["plain"][0]
    assert place["first"][1] < place["second"][1] < max(ax.get_ylim())  # y runs downwards
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    plt.close(figure)


def test_curves_go_through_the_tables_points_with_the_plain_images_at_the_right():
    views = dict(
        zip(["train", "colour=0", "low-pass=1.6", "shuffle=4"], world(strengths=(0, 1, 2, 3)).values(), strict=True)
    )
    grids = {"colour": {0: "colour=0", 1: "train"}, "shuffle": {1: "train", 4: "shuffle=4"}}
    grids["low-pass"] = {1.6: "low-pass=1.6", 22.63: "train"}
    measured = {which: {"a": perturbations.measure(views, which=which)} for which in ("easy", "hard")}
    table = perturbations.perturbed_rates(measured, grids)
    axes = plot.changed_rates(table)
    assert axes.shape == (3, 3)
    for column, change in zip(axes.T, grids, strict=True):
        for ax, which, name in zip(column, ("easy", "hard", "easy"), ("other", "other", "accuracy"), strict=True):
            rows = table[(table.change == change) & (table.which == which)].set_index("view")
            line = ax.lines[0].get_xydata()
            assert line[0, 0] < line[1, 0]
            assert line[:, 1] == pytest.approx([rows[name].drop("train").item(), rows.loc["train", name]])
    labels = [[tick.get_text() for tick in ax.get_xticklabels()] for ax in axes[2]]
    assert [set(each) for each in labels] == [{"0", "1"}, {"1/4", "1"}, {"1.6", "all"}]
    plt.close(axes[0, 0].figure)
    ax = plot.rates_against_accuracy(table[table.which == "easy"])
    assert {"colour", "shuffle", "radial mask", "blind errors", "chance"} <= {
        t.get_text() for t in ax.get_legend().texts
    }
    plt.close(ax.figure)


def test_a_fourth_change_registered_from_outside_is_a_view_and_runs_through_tables_and_figures(tiny):
    def faint(images, ids, share):
        return (images.double() * share).round().to(images.dtype)

    def share(strength, sides):
        if not 0 < strength <= 1:
            raise UserError(f"faint={strength:g}: a number above 0, at most 1")

    own = {"example": 0.5, "grid": lambda size: [0.25, 0.5, 1.0], "title": "contrast", "axis": "share of contrast"}
    try:
        changes.register_change(changes.Change(name="faint", make=faint, check=share, logarithmic=True, **own))
        grids = {name: changes.grids(32, "short")[name] for name in ("colour", "faint")}
        assert grids["faint"] == {0.25: "faint=0.25", 0.5: "faint=0.5", 1.0: "train"}
        trial = tiny(views=("faint=0.5@1",))
        plain = trial.examples.images
        assert (trial.view_examples("faint=0.5@1").images == faint(plain, None, 0.5)).all()
        for view, why in (("faint=2", "at most 1"), ("faint=.5", "write faint=0.5"), ("fain=1", "faint=0.5")):
            with pytest.raises(UserError, match=why):
                tiny(views=(view,))
        views = sorted({view for grid in grids.values() for view in grid.values()}, key=lambda view: view != "train")
        groups = world(strengths=range(len(views))).values()
        views = dict(zip(views, groups, strict=True))
        measured = {which: {"a": perturbations.measure(views, which=which)} for which in ("easy", "hard")}
        found, table = measured["easy"]["a"], perturbations.perturbed_rates(measured, grids)
        axes = plot.changed_rates(table)
        assert [ax.get_title() for ax in axes[0]] == ["(a) colour", "(b) contrast"]
        assert axes[2, 1].get_xlabel() == "share of contrast"
        assert [tick.get_text() for tick in axes[2, 1].get_xticklabels()] == ["1", "0.5", "0.25"]
        assert axes[2, 1].get_xticks().tolist() == [0, -1, -2]
        plt.close(axes[0, 0].figure)
        ax = plot.rates_against_accuracy(table[table.which == "easy"])
        assert {"colour", "contrast"} <= {text.get_text() for text in ax.get_legend().texts}
        plt.close(ax.figure)
        assert perturbations.falls_to(found, "faint", grids["faint"], share=-9).shape == (13,)
    finally:
        changes.CHANGES.pop("faint", None)


@pytest.mark.parametrize("name", ["", "a=b", "a@3", "a b", "colour", "low-pass"])
def test_a_change_needs_a_name_of_its_own(name):
    with pytest.raises(UserError, match="name"):
        changes.register_change(replace(changes.CHANGES["colour"], name=name))


# ---- refusals ------------------------------------------------------------------------------------------------------


def test_what_cannot_be_measured_is_refused_in_one_line():
    groups = world(n=50)
    short = {"train": groups["train"], "x": tuple(of[:, :40] for of in groups["train"])}
    fewer = {"train": groups["train"], "x": tuple(of[:3] for of in groups["train"])}
    single = {"train": tuple(of[:1] for of in groups["train"])}
    for bad, options in (
        ({"x": groups["train"]}, {}),
        (short, {}),
        (fewer, {}),
        (single, {}),
        (groups, {"which": "middle"}),
        (groups, {"fraction": 0}),
        (groups, {"labels": np.zeros(3)}),
    ):
        with pytest.raises(UserError) as refusal:
            perturbations.measure(bad, **options)
        assert "\n" not in str(refusal.value)
    with pytest.raises(UserError, match="same trials"):
        perturbations.thinned(groups["train"][0], groups["train"][0][:3])
