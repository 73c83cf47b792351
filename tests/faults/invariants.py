"""What is true of the mathematics whatever the numbers are: permuted, relabelled, shifted and mirrored data."""

import numpy as np
from harness import fault

from easel.compare import claims, consistency, correlation, distances, intervals, matching, scores

INVARIANTS = {}


def invariant(function):
    """A statement about arrays drawn from a generator: True, or it does not hold."""
    INVARIANTS[function.__name__] = function
    return function


@fault("invariants of the mathematics", 3000, 300)
def invariants(shared, rng) -> str:
    name = rng.choice(sorted(INVARIANTS))
    seed = rng.randrange(10**9)
    return "" if INVARIANTS[name](np.random.default_rng(seed)) else f"{name} does not hold, seed {seed}"


def _counts(rng, most: int | None = None) -> np.ndarray:
    return rng.integers(0, (most or rng.integers(1, 12)) + 1, rng.integers(5, 60)).astype(float)


def _two(rng) -> tuple[np.ndarray, np.ndarray]:
    a = _counts(rng)
    return a, rng.integers(0, rng.integers(1, 12) + 1, len(a)).astype(float)


def _how(rng) -> dict:
    return {"which": str(rng.choice(["easy", "hard"])), "fraction": float(rng.choice([0.1, 0.25, 0.5, 0.9]))}


def _right(rng) -> np.ndarray:
    trials, epochs, examples = rng.integers(2, 6), rng.integers(1, 5), rng.integers(5, 30)
    return rng.random((trials, epochs, examples)) < rng.random(examples)


def _near(a, b) -> bool:
    return bool(np.allclose(a, b, rtol=1e-9, atol=1e-9, equal_nan=True))


@invariant
def the_matching_rate_is_symmetric(rng):
    (a, b), how = _two(rng), _how(rng)
    return _near(matching.rate(a, b, **how), matching.rate(b, a, **how))


@invariant
def the_matching_rate_does_not_depend_on_the_order_of_examples(rng):
    (a, b), how = _two(rng), _how(rng)
    order = rng.permutation(len(a))
    return _near(matching.rate(a, b, **how), matching.rate(a[order], b[order], **how))


@invariant
def the_matching_rate_is_of_ranks_alone(rng):
    (a, b), how = _two(rng), _how(rng)
    return _near(matching.rate(a, b, **how), matching.rate(np.exp(a / 3), 5 * b - 2, **how))


@invariant
def hard_is_easy_turned_round(rng):
    (a, b), fraction = _two(rng), _how(rng)["fraction"]
    easy = matching.rate(a, b, which="easy", fraction=fraction)
    return _near(easy, matching.rate(-a, -b, which="hard", fraction=fraction))


@invariant
def the_expected_rate_lies_between_the_bounds_and_in_0_to_1(rng):
    (a, b), how = _two(rng), _how(rng)
    low, high = matching.bounds(a, b, **how)
    return -1e-9 <= low <= matching.rate(a, b, **how) + 1e-9 <= high + 2e-9 <= 1 + 3e-9


@invariant
def a_ranking_without_ties_matches_itself(rng):
    a = rng.permutation(rng.integers(5, 60)).astype(float)
    return matching.rate(a, a, **_how(rng)) == 1


@invariant
def everything_matches_everything(rng):
    return _near(matching.rate(*_two(rng), fraction=1.0), 1)


@invariant
def against_counts_that_are_all_alike_the_rate_is_chance(rng):
    (a, _), how = _two(rng), _how(rng)
    found = matching.inclusion(a, **how).sum() / len(a)
    return _near(matching.rate(a, np.ones_like(a), **how), found)


@invariant
def inclusion_is_a_probability_and_higher_is_easier(rng):
    a, fraction = _counts(rng), _how(rng)["fraction"]
    inside = matching.inclusion(a, which="easy", fraction=fraction)
    ordered = inside[np.argsort(a, kind="stable")]
    return ordered.min() >= 0 and ordered.max() <= 1 + 1e-12 and (np.diff(ordered) >= -1e-12).all()


@invariant
def chance_within_one_class_is_the_fraction(rng):
    (a, b), how = _two(rng), _how(rng)
    k = matching.inclusion(a, **how).sum()
    return _near(matching.stratified_chance(a, b, np.zeros(len(a), int), **how), k / len(a))


@invariant
def chance_does_not_depend_on_the_names_of_classes(rng):
    (a, b), how = _two(rng), _how(rng)
    labels = rng.integers(0, 4, len(a))
    return _near(
        matching.stratified_chance(a, b, labels, **how), matching.stratified_chance(a, b, 9 - 2 * labels, **how)
    )


@invariant
def spearman_is_symmetric_in_minus_1_to_1_and_of_ranks_alone(rng):
    a, b = _two(rng)
    found = correlation.spearman(a, b)
    alike = _near(found, correlation.spearman(b, a)) and _near(found, correlation.spearman(np.exp(a / 3), b**3))
    return alike and (np.isnan(found) or -1 - 1e-12 <= found <= 1 + 1e-12)


@invariant
def spearman_of_a_ranking_turned_round_is_minus_it(rng):
    a, b = _two(rng)
    return _near(correlation.spearman(a, -b), -correlation.spearman(a, b))


@invariant
def pearson_does_not_depend_on_units(rng):
    a, b = rng.normal(size=(2, 20))
    return _near(correlation.pearson(a, b), correlation.pearson(3 * a + 2, 0.5 * b - 7))


@invariant
def easiness_is_in_0_to_1_with_the_easiest_at_1(rng):
    correct = _right(rng)
    correct[0, :, 0] = True
    found = scores.easiness(correct, correct.shape[1])
    return found.max() == 1 and found.min() >= 0


@invariant
def scores_do_not_depend_on_the_order_of_trials(rng):
    correct = _right(rng)
    other = correct[rng.permutation(len(correct))]
    return all(_near(of(correct), of(other)) for of in (scores.learnability, scores.first_learned, scores.forgetting))


@invariant
def scores_follow_the_examples(rng):
    correct = _right(rng)
    order = rng.permutation(correct.shape[2])
    of = (scores.learnability, scores.first_learned, scores.forgetting)
    return all(_near(one(correct)[order], one(correct[:, :, order])) for one in of)


@invariant
def scores_of_trials_given_twice_are_the_same(rng):
    correct = _right(rng)
    twice = np.concatenate([correct, correct])
    return all(_near(of(correct), of(twice)) for of in (scores.learnability, scores.first_learned, scores.forgetting))


@invariant
def one_more_right_answer_never_makes_an_example_harder(rng):
    correct = _right(rng)
    more = correct.copy()
    at = tuple(rng.integers(0, side) for side in correct.shape)
    more[at] = True
    of = (scores.learnability, scores.first_learned)
    return all(one(more)[at[2]] >= one(correct)[at[2]] - 1e-12 for one in of)


@invariant
def a_t_interval_moves_with_its_values(rng):
    values, by = rng.normal(size=rng.integers(2, 9)), rng.normal()
    one, other = intervals.t_interval(values), intervals.t_interval(3 * values + by)
    return _near(3 * np.array(one[:3]) + by, other[:3]) and one.low <= one.estimate <= one.high


@invariant
def a_t_interval_is_wider_at_a_higher_level_and_for_more_points(rng):
    values = rng.normal(size=rng.integers(2, 9))
    reach = [of.high - of.low for of in (intervals.t_interval(values, level=level) for level in (0.5, 0.9, 0.99))]
    points = [of.high - of.low for of in (intervals.t_interval(values, points=n) for n in (1, 3, 10))]
    return reach == sorted(reach) and points == sorted(points)


@invariant
def the_jackknife_does_not_depend_on_the_order_of_trials(rng):
    a, b = rng.random((2, 4, 25)) < 0.6
    one = intervals.jackknife(a, b, matching.rate)
    return _near(one[:3], intervals.jackknife(a[::-1], b[rng.permutation(4)], matching.rate)[:3])


def _interval(rng) -> intervals.Interval:
    low, estimate, high = np.sort(rng.normal(size=3))
    return intervals.Interval(estimate, low, high, int(rng.integers(2, 20)))


@invariant
def a_claim_turned_round_has_the_same_verdict(rng):
    one, bar = _interval(rng), float(rng.normal())
    mirrored = intervals.Interval(-one.estimate, -one.high, -one.low, one.n)
    return claims.judge(one, above=bar).verdict == claims.judge(mirrored, below=-bar).verdict


@invariant
def what_holds_above_a_value_holds_above_a_lower_one(rng):
    one, (low, high) = _interval(rng), np.sort(rng.normal(size=2))
    return claims.judge(one, above=high).verdict != "holds" or claims.judge(one, above=low).verdict == "holds"


@invariant
def a_claim_at_every_point_holds_only_where_it_holds_at_each(rng):
    points, bar = {str(k): _interval(rng) for k in range(3)}, float(rng.normal())
    each = [claims.judge(one, above=bar).verdict == "holds" for one in points.values()]
    return (claims.judge(points, above=bar).verdict == "holds") == all(each)


@invariant
def an_interval_without_spread_decides_nothing(rng):
    value = float(rng.normal())
    alike = intervals.Interval(value, value, value, 5)
    bars = (value - rng.random(), value, value + rng.random())
    return {claims.judge(alike, above=float(bar)).verdict for bar in bars} == {"open"}


def _predictions(rng) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels = rng.integers(0, 4, 40)
    a, b = (np.where(rng.random((3, 40)) < 0.6, labels, rng.integers(0, 4, (3, 40))) for _ in range(2))
    return a, b, labels


@invariant
def error_consistency_is_symmetric_and_blind_to_the_order_of_examples(rng):
    a, b, labels = _predictions(rng)
    found, order = consistency.error_agreement(a, b, labels), rng.permutation(40)
    other = consistency.error_agreement(b[:, order], a[:, order], labels[order])
    return _near(found, other)


@invariant
def error_consistency_is_blind_to_the_names_of_classes(rng):
    a, b, labels = _predictions(rng)
    names = rng.permutation(4)
    return _near(
        consistency.error_agreement(a, b, labels), consistency.error_agreement(names[a], names[b], names[labels])
    )


@invariant
def how_often_an_image_is_wrong_is_a_law(rng):
    a, _, labels = _predictions(rng)
    table = consistency.times_wrong(a != labels, labels)
    return _near(table.share.sum(), 1) and _near(table.chance.sum(), 1)


@invariant
def distances_are_a_metric(rng):
    found = distances.distances(rng.normal(size=(12, 3))).astype(float)
    triangle = (found[:, :, None] <= found[:, None, :] + found.T[None, :, :] + 1e-4).all()
    return (found == found.T).all() and (found.diagonal() == 0).all() and triangle


@invariant
def examples_that_lie_nearer_together_have_a_smaller_mean_distance(rng):
    vectors, counts = rng.normal(size=(30, 2)), _counts(rng, 5)
    counts = np.resize(counts, 30)
    near, far = (distances.distances_within(distances.distances(vectors * s), counts, fraction=0.3) for s in (1, 2))
    return bool(np.allclose(2 * np.array(near), far, rtol=1e-4))
