"""Distances within sets are expectations over all ways to break the ties, by brute force; spaces mean what they say."""

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings, strategies as st

from easel.compare import claims, cuts, distances, intervals
from easel.errors import UserError
from easel.sections import similarity
from easel.train import ensure as run
from easel.train.loop import Run


def brute_force(distance, counts, which, k):
    """Both measures, averaged over all sets of k that some breaking of the ties gives."""
    c = counts if which == "easy" else -counts
    cut = np.sort(c)[-k]
    sure, tied = np.flatnonzero(c > cut), np.flatnonzero(c == cut)
    values = []
    for lot in combinations(tied, k - len(sure)):
        members = [*sure, *lot]
        mean = np.mean([distance[i, j] for i, j in combinations(members, 2)])
        nearest = np.mean([min(distance[i, j] for j in members if j != i) for i in members])
        values.append((mean, nearest))
    return np.mean(values, axis=0)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**6), st.integers(3, 9), st.integers(1, 4), st.sampled_from(["easy", "hard"]), st.data())
def test_both_measures_are_the_mean_over_all_ways_to_break_the_ties(seed, n, levels, which, data):
    k = data.draw(st.integers(2, n))
    rng = np.random.default_rng(seed)
    counts, points = rng.integers(0, levels, n), rng.random((n, 2)).round(1)  # rounded: equal distances occur
    distance = np.linalg.norm(points[:, None] - points, axis=2)
    found = distances.distances_within(distance, counts, which=which, fraction=k / n)
    assert found == pytest.approx(brute_force(distance, counts, which, k), abs=1e-12)


def slow(distance, counts, which, fraction):
    """Both measures as they are defined: every pair, and every row's neighbours, with the chances of every tied one."""
    cut = cuts.cut_at(np.asarray(counts, float), which, fraction)
    p, tied = cut.membership("expected"), cut.code == cuts.TIED
    both = np.outer(p, p)
    both[np.ix_(tied, tied)] = cut.share * (cut.missing - 1) / (cut.tied - 1) if cut.tied > 1 else 0
    mean = (both * distance).sum() / (cut.k * (cut.k - 1))
    nearest = 0.0
    for i in np.flatnonzero(p):
        none, others, chosen = 1.0, cut.tied - tied[i], cut.missing - tied[i]
        for j in np.argsort(distance[i], kind="stable"):
            if j == i or cut.code[j] == cuts.OUT:
                continue
            hit = none * (chosen / others if tied[j] else 1)
            nearest, none, others = nearest + p[i] * hit * distance[i, j], none - hit, others - tied[j]
    return mean, nearest / cut.k


@pytest.mark.parametrize("ordered", [1, 3, 20, distances.ORDERED])
@pytest.mark.parametrize("levels", [1, 2, 5, 40, 10**6])
@pytest.mark.parametrize("k", [2, 15, 149])
def test_neighbours_put_in_order_once_give_what_going_through_all_of_them_gives(ordered, levels, k, monkeypatch):
    monkeypatch.setattr(distances, "ORDERED", ordered)  # so few that most are decided farther out
    monkeypatch.setattr(distances, "PART", 64)
    rng = np.random.default_rng(levels + k)
    points = rng.integers(0, 9, (150, 3)).astype(float)  # many equal distances, some of 0
    distance = np.linalg.norm(points[:, None] - points, axis=2)
    counts = rng.binomial(levels - 1, 0.9, 150)  # nearly all tied at the easy end, few at the hard end
    for which in ("easy", "hard"):
        found = distances.distances_within(distance, counts, which=which, fraction=k / 150)
        assert found == pytest.approx(slow(distance, counts, which, k / 150), abs=1e-8)


def test_a_set_far_from_most_is_measured_on_all_others():
    """Two members at the two ends: the nearest member is the farthest of all, hundreds of others lie before it."""
    at = np.arange(1500.0)
    distance, counts = np.abs(at[:, None] - at), np.zeros(1500)
    counts[[0, -1]] = 1
    assert distances.distances_within(distance, counts, fraction=2 / 1500) == (1499, 1499)
    counts[[0, -1]], counts[[1, -2]] = 2, 1  # and one of two tied ones, each next to a sure one
    mean, nearest = distances.distances_within(distance, counts, fraction=3 / 1500)
    assert (mean, nearest) == pytest.approx(((1499 + 1 + 1498) / 3, (1 + 1 + 1498) / 3))


def test_the_nearest_member_may_be_the_last_of_all(monkeypatch):
    monkeypatch.setattr(distances, "ORDERED", 4)  # of five others
    at = np.arange(6.0)
    counts = np.array([1, 0, 0, 0, 0, 1])
    assert distances.distances_within(np.abs(at[:, None] - at), counts, fraction=2 / 6) == (5, 5)


def test_sets_measured_together_are_those_measured_alone_and_equal_ones_are_equal_to_the_last_bit():
    rng = np.random.default_rng(3)
    distance = distances.distances(rng.normal(0, 1, (300, 4)))
    rankings = [rng.binomial(8, 0.5, 300).astype(float) for _ in range(distances.PART + 5)]
    sets = [distances.cut_of(c, which, 0.1) for c in [*rankings, rankings[0]] for which in cuts.WHICH]
    found = distances.measures(distance, sets)
    alone = [distances.distances_within(distance, c, which=which) for c in rankings[:9] for which in cuts.WHICH]
    assert found[: len(alone)] == pytest.approx(np.array(alone), rel=1e-6)
    assert (found[:2] == found[-2:]).all()


def test_three_points_on_a_line_by_hand():
    at = np.array([0.0, 1.0, 10.0])
    distance = np.abs(at[:, None] - at)
    assert distances.distances_within(distance, [2, 2, 0], fraction=2 / 3) == (1.0, 1.0)
    assert distances.distances_within(distance, [2, 2, 0], which="hard", fraction=2 / 3) == (
        9.5,
        9.5,
    )  # 10, and 0 or 1
    assert distances.distances_within(distance, [1, 1, 1], fraction=1.0) == pytest.approx((20 / 3, 11 / 3))


def test_distances_are_euclidean_with_nothing_on_the_diagonal():
    points = np.random.default_rng(0).normal(100, 1, (30, 5)).astype(np.float32)  # far from the origin
    found = distances.distances(points)
    assert found == pytest.approx(np.linalg.norm(points[:, None] - points, axis=2), abs=1e-4)
    assert not np.diag(found).any()


def test_distances_of_near_copies_far_from_the_others_keep_their_digits():
    points = np.random.default_rng(0).normal(0, 100, (600, 40)).astype(np.float32)
    points[300:] = points[:300] + np.float32(0.01)
    points[599] = points[0]
    found = distances.distances(points)
    true = np.linalg.norm(points[:, None].astype(float) - points, axis=2)
    assert found == pytest.approx(true, rel=1e-4, abs=1e-3)
    assert np.diag(found, 300)[1:] == pytest.approx(np.diag(true, 300)[1:], rel=1e-2)
    assert found[0, 599] == 0


def test_pixel_distance_is_the_root_mean_square_difference():
    images = torch.zeros(3, 3, 4, 4, dtype=torch.uint8)
    images[1] = 255
    images[2, 0] = 30  # one channel of three
    distance = distances.distances(similarity.pixels(images))
    assert distance[0, 1] == pytest.approx(255)
    assert distance[0, 2] == pytest.approx(30 / 3**0.5)


def test_large_images_are_averaged_down_before_pixels_are_compared():
    image = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    small = image.float().reshape(2, 3, 32, 2, 32, 2).mean((3, 5)).flatten(1) / 3072**0.5
    assert similarity.pixels(image) == pytest.approx(small.numpy(), abs=1e-4)


def test_images_looked_at_in_parts_give_what_each_gives_alone():
    images = torch.randint(0, 256, (similarity.IMAGES_AT_ONCE + 7, 3, 48, 48), dtype=torch.uint8)
    for space in (similarity.pixels, similarity.colours):
        whole = space(images)
        assert len(whole) == len(images)
        for at in (0, similarity.IMAGES_AT_ONCE - 1, similarity.IMAGES_AT_ONCE, len(images) - 1):
            assert whole[at] == pytest.approx(space(images[at : at + 1])[0], abs=1e-4)


def test_colour_distance_ignores_places_and_is_one_without_a_common_colour():
    images = torch.zeros(3, 3, 8, 8, dtype=torch.uint8)
    images[0, :, :4], images[1, :, 4:] = 255, 255  # white above, white below: the same colours
    images[2, 2] = 255  # all blue
    distance = distances.distances(similarity.colours(images))
    assert distance[0, 1] == pytest.approx(0, abs=1e-6)
    assert distance[0, 2] == pytest.approx(1)


def test_colour_cells_do_not_mix_channels():
    red, green = torch.zeros(2, 1, 3, 2, 2, dtype=torch.uint8)
    red[:, 0], green[:, 1] = 200, 200
    assert similarity.colours(red).argmax() == 3 * 16
    assert similarity.colours(green).argmax() == 3 * 4


def test_directions_have_length_one_and_no_constant_feature():
    features = np.random.default_rng(0).normal(3, 2, (50, 4))
    features[:, 2] = 7
    found = similarity.directions(features)
    assert found.shape == (50, 3)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1)
    assert found == pytest.approx(similarity.directions(features * 10 + 5), abs=1e-5)
    with pytest.raises(UserError, match="not finite"):
        similarity.directions(np.full((3, 2), np.nan))


def test_clustered_easy_images_are_found_alike_and_random_counts_are_not():
    rng = np.random.default_rng(1)
    labels, correct = np.repeat([0, 1], 100), rng.random((12, 200)) < 0.3
    correct[:, ::10] = True  # the easy tenth of both classes
    points = rng.normal(0, 1, (200, 3))
    points[::10] *= 0.1
    spaces = {"made": points, "unrelated": rng.normal(0, 1, (200, 3))}
    table = similarity.similarity_table({"": correct}, labels, spaces, classes=("one", "two"))
    assert len(table) == 2 * 2 * 2 * 3
    overall = table[(table["class"] == "all") & (table.measure == "mean distance")].set_index(["space", "which"])
    easy = overall.loc[("made", "easy")]
    assert (easy.ratio, easy.high - easy.low) == (pytest.approx(0.1, abs=0.05), pytest.approx(0))
    assert claims.judge(similarity.interval_of(easy, 12), below=1).verdict == "holds"
    assert claims.judge(similarity.interval_of(easy, 12), above=1).verdict == "fails"
    unrelated = similarity.interval_of(overall.loc[("unrelated", "easy")], 12)
    assert claims.judge(unrelated, below=1).verdict != "holds"
    assert (table.band_low < 1).all()
    assert (table.band_high > 1).all()
    classes = table[(table.space == "made") & (table.which == "easy") & (table.measure == "mean distance")]
    assert classes[classes["class"] != "all"].ratio.mean() == pytest.approx(easy.ratio)


def test_the_interval_is_the_delete_one_jackknife_over_trials():
    rng = np.random.default_rng(2)
    correct, points = rng.random((5, 40)) < rng.random(40), rng.normal(0, 1, (40, 2))
    table = similarity.similarity_table({"": correct}, np.zeros(40, int), {"x": points}, fraction=0.25, draws=5)
    row = table[(table["class"] == "0") & (table.which == "hard") & (table.measure == "nearest neighbour")].iloc[0]
    distance = distances.distances(points)
    random = distances.distances_within(distance, np.zeros(40), fraction=0.25)[1]
    groups = intervals.jackknife(
        correct,
        None,
        lambda c: distances.distances_within(distance, c, which="hard", fraction=0.25)[1] / random,
        limits=(0, np.inf),
    )
    assert (row.ratio, row.low, row.high) == pytest.approx(groups[:3])
    reach = ((row.high - row.ratio) ** 2 + ((row.band_high - row.band_low) / 2) ** 2) ** 0.5
    assert (row.total_low, row.total_high) == pytest.approx((max(0, row.ratio - reach), row.ratio + reach))


def test_several_nets_at_once_have_the_values_that_each_has_alone():
    rng = np.random.default_rng(4)
    labels, points = np.arange(90) % 3, rng.normal(0, 1, (90, 3))
    spaces = {"x": points, "y": points[:, :1]}
    nets = {name: rng.random((trials, 90)) < rng.random(90) for name, trials in (("one", 4), ("two", 30))}
    together = similarity.similarity_table(nets, labels, spaces, fraction=0.2, draws=9)
    assert list(together.columns)[-1] == "net"
    for name, correct in nets.items():
        alone = similarity.similarity_table({name: correct}, labels, spaces, fraction=0.2, draws=9)
        own = together[together.net == name].reset_index(drop=True)
        pd.testing.assert_frame_equal(own, alone, atol=1e-6)
    some = similarity.similarity_table(nets, labels, spaces, fraction=0.2, draws=9, only={"y": ["two"]})
    left = together[(together.space == "x") | (together.net == "two")].reset_index(drop=True)
    pd.testing.assert_frame_equal(some, left, atol=1e-6)


@pytest.mark.parametrize(
    ("low", "high", "alike", "diverse"),
    [
        (0.7, 0.9, "holds", "fails"),
        (0.9, 1.01, "open", "open"),  # a random set is among what it may be
        (0.97, 1.2, "open", "open"),
        (1.01, 1.3, "fails", "holds"),
    ],
)
def test_a_verdict_asks_where_the_total_interval_lies(low, high, alike, diverse):
    found = similarity.interval_of(SimpleNamespace(ratio=(low + high) / 2, total_low=low, total_high=high), 9)
    sides = ({"below": 1}, {"above": 1})
    assert tuple(claims.judge(found, **side).verdict for side in sides) == (alike, diverse)


def test_an_average_image_weighs_tied_images_by_their_chance():
    images = np.zeros((5, 3, 2, 2), np.uint8)
    images[:4] = np.array([200, 100, 50, 0])[:, None, None, None]
    found = similarity.average(images, [3, 2, 2, 0, 9], [0, 0, 0, 0, 1], fraction=0.5)
    assert found.shape == (2, 3, 2, 2)
    assert (found[0] == 138).all()  # 200 for sure, 100 or 50: (200 + 75) / 2, rounded to even
    assert (similarity.average(images, np.zeros(5), [0, 0, 0, 0, 1])[0] == 88).all()  # the mean of the class, 87.5


def test_features_are_trained_once_kept_in_the_record_and_those_of_its_net(tiny, store):
    trial = tiny(seed=5)
    first, (ledger,) = similarity.measured(["trained net"], trial, store=store)
    assert (ledger.trained, ledger.reused) == (1, 0)
    again, (ledger,) = similarity.measured(["trained net"], trial, store=store)
    assert (ledger.trained, ledger.reused) == (0, 1)
    assert (first["trained net"] == again["trained net"]).all()
    assert run.ensure([trial], store=store).trained == 0  # an ordinary record, which serves others too
    features = ledger.values("features", "train@2")
    assert (features.shape, features.dtype) == ((1, 1, 100, 10), np.float16)
    going = Run(trial)
    for _ in range(trial.epochs):
        going.epoch()
    last = [module for module in going.net.modules() if isinstance(module, torch.nn.Linear)][-1]
    with torch.no_grad():
        said = last(torch.from_numpy(features[0, 0]).float()).argmax(1)
    assert (said == going._logits("train").argmax(1)).float().mean() > 0.98  # but for what float16 rounds away


def test_a_record_without_features_is_trained_anew_and_grows(tiny, store):
    plain = run.ensure([tiny()], store=store, quiet=True)
    _, (ledger,) = similarity.measured(["trained net"], tiny(), store=store)
    assert (ledger.trained, ledger.keys) == (1, plain.keys)
    assert (ledger.correct() == plain.correct()).all()
    assert "features" not in {name.split("@")[0] for name in plain.trials[0].record}
    assert ledger.trials[0].record == ("features@2",)


def test_untrained_features_need_no_training_and_differ_from_trained_ones(tiny, store):
    spaces, none = similarity.measured(["untrained net"], tiny(), store=store)
    assert none == []
    assert not store.keys()
    assert spaces["untrained net"].shape == (100, 10)
    trained, _ = similarity.measured(["trained net"], tiny(), store=store)
    assert (spaces["untrained net"] != trained["trained net"]).any()


def test_spaces_are_had_by_name_and_only_the_trained_net_s_is_trained_for(tiny, store, monkeypatch):
    spaces, ledgers = similarity.measured(["colours", "pixels"], tiny(), store=store)
    assert list(spaces) == ["colours", "pixels"]
    assert (spaces["pixels"] == similarity.pixels(tiny().examples.images)).all()
    assert (spaces["colours"] == similarity.colours(tiny().examples.images)).all()
    spaces, none = similarity.measured(["untrained net"], tiny(), store=store)
    assert (ledgers, none, list(store.keys())) == ([], [], [])
    assert (spaces["untrained net"] == similarity.directions(Run(tiny()).features().half())).all()
    spaces, (ledger,) = similarity.measured(similarity.SPACES, tiny(), store=store)
    assert ledger.trained == 1
    assert tuple(spaces) == similarity.SPACES
    assert (spaces["trained net"] == similarity.directions(ledger.values("features", "train@2")[0, 0])).all()
    monkeypatch.setattr(run, "ensure", None)  # an unknown name is refused before anything is trained
    with pytest.raises(UserError, match="no space 'smell'; there are: pixels, colours, untrained net, trained net"):
        similarity.measured(["trained net", "smell"], tiny(), store=store)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda d: distances.distances_within(d, np.arange(9), fraction=0.1), "a set of 1 of 9 examples has no pair"),
        (lambda d: distances.distances_within(d, np.arange(8)), "give \\(examples, examples\\)"),
        (lambda d: distances.distances_within(d, np.arange(9), which="best"), "which='best'"),
        (lambda d: distances.distances_within(d, np.arange(9), fraction=2), "fraction=2"),
        (lambda d: similarity.similarity_table({}, [], {}), "rankings of no examples"),
        (
            lambda d: similarity.similarity_table({"a": d[:2] == 0, "b": d[:2, :5] == 0}, [0] * 9, {}),
            "rankings of \\[5, 9\\]",
        ),
        (
            lambda d: similarity.similarity_table({"a": d == 0}, [0] * 9, {}, only={"x": ["b"]}),
            "no ranking 'b'; there are: a",
        ),
    ],
)
def test_bad_input_is_refused_in_one_line(call, said):
    with pytest.raises(UserError, match=said) as refused:
        call(np.zeros((9, 9)))
    assert "\n" not in str(refused.value)
