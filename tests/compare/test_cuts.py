"""The table of two cuts, by counting, and what is refused before any arithmetic."""

import numpy as np
import pytest

from easel.compare import cuts, intervals, matching
from easel.errors import UserError


def test_meetings_are_counted_one_example_at_a_time():
    rng = np.random.default_rng(0)
    for n in (1, 7, 64, 65, 200):  # words of 64 bits, whole and not
        a, b = (cuts.cut_at(rng.integers(0, 4, n).astype(float), which, 0.3) for which in cuts.WHICH)
        counted = np.zeros((3, 3), int)
        np.add.at(counted, (a.code, b.code), 1)
        met = cuts.meetings(a, b)
        assert met.tolist() == counted[1:, 1:].tolist()
        assert (a.sizes - met.sum(1)).tolist() == counted[1:, cuts.OUT].tolist()
        assert (b.sizes - met.sum(0)).tolist() == counted[cuts.OUT, 1:].tolist()
        assert (a.tied, b.tied) == (a.sizes[0], b.sizes[0])


def test_what_is_constant_has_no_direction():
    assert cuts.unit(np.full(3, 0.1)) is None
    assert np.isnan(cuts.correlation(None, np.array([1.0, 0.0])))
    assert np.isnan(cuts.correlation(np.array([1.0, 0.0]), None))


def test_rounding_takes_no_correlation_beyond_one():
    rng = np.random.default_rng(0)
    directions = [cuts.unit(rng.normal(size=30)) for _ in range(200)]
    assert any(np.einsum("i,i", a, a) > 1 for a in directions)
    assert max(cuts.correlation(a, a) for a in directions) == 1
    assert min(cuts.correlation(a, -a) for a in directions) == -1


def test_one_trial_is_a_record_too():
    assert cuts.trials_of(np.ones((1, 3), bool)).shape == (1, 3)
    assert cuts.trials_of(np.full((1, 3), 0.5)).shape == (1, 3)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: cuts.trials_of(np.ones((2, 3), int)), "bool .* or finite probabilities"),
        (lambda: cuts.trials_of(np.full((2, 3), np.nan)), "finite probabilities"),
        (lambda: cuts.trials_of(np.array([[0.5, np.nan]])), "finite probabilities"),
        (lambda: cuts.level_of(0), "between 0 and 1"),
        (lambda: cuts.level_of(1), "between 0 and 1"),
        (lambda: cuts.asked("easy", 1.5), "at most 1"),
        (lambda: cuts.trials_of(np.ones((2, 0), bool)), "bool"),
        (lambda: cuts.trials_of(np.ones(3, bool)), "bool"),
        (lambda: matching.rate_table({"x": (np.ones((2, 3), bool),) * 2, "y": (np.ones((2, 3), bool),)}), "two groups"),
        (lambda: intervals.crossed(lambda a, b, _: [0], np.ones((2, 3)), np.ones((1, 3)), labels=[0] * 3), "two units"),
        (lambda: intervals.crossed(lambda a, _: [0], np.ones(3), labels=[0] * 3), "one label for each of the 0"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(call, says):
    with pytest.raises(UserError, match=says) as refusal:
        call()
    assert "\n" not in str(refusal.value)
