"""Where the truth is known, in images drawn by code: frequent patterns are learned before rare ones."""

import numpy as np
import pytest
from scipy import stats

from easel.ledger.trial import Recipe, Trial
from easel.train import ensure as run


@pytest.mark.slow
def test_frequent_patterns_are_learned_before_rare_and_contradicted_ones(store):
    recipe = Recipe(precision=run.precision())
    plan = [Trial(data="patterns", images=2000, model="wrn-10-1", seed=s, epochs=2, recipe=recipe) for s in range(6)]
    ledger = run.ensure(plan, store=store, quiet=True)
    kinds, correct = ledger.examples.kinds, ledger.correct()[:, -1]
    right = {kind: correct[:, kinds == kind].mean(1) for kind in ("frequent", "contradicted", "rare")}
    for later in ("contradicted", "rare"):
        ahead = right["frequent"] - right[later]  # one difference a trial
        margin = stats.t.ppf(0.995, len(ahead) - 1) * ahead.std(ddof=1) / np.sqrt(len(ahead))
        assert ahead.mean() > margin, f"frequent ahead of {later} by {ahead.mean():.2f}, 99% margin {margin:.2f}"
    assert right["rare"].mean() < 0.25
    assert right["frequent"].mean() > 0.3
