"""A score from outside the package: registered in one call, read through the table beside the ones that are there."""

import numpy as np
import pytest

from easel.compare import scores
from easel.errors import UserError
from easel.ledger.store import Store
from easel.train.ensure import ensure


@pytest.fixture
def registered(monkeypatch):
    """A registry of the test's own."""
    monkeypatch.setattr(scores, "SCORES", dict(scores.SCORES))
    return scores.register_score


@pytest.fixture
def ledger(tiny, tmp_path):
    trials = [tiny(seed=seed, record=("loss",)) for seed in (0, 1)]
    return ensure(trials, workers=0, store=Store(tmp_path), quiet=True)


def steadiness(ledger, m):
    """The share of epochs 2..m after which nothing changed."""
    correct = ledger.correct()[:, :m]
    return (correct[:, 1:] == correct[:, :-1]).mean((0, 1))


def worst_loss(ledger, m):
    """Minus the highest loss of any trial after epoch m."""
    return -ledger.values("loss")[:, m - 1].max(0)


def test_a_score_of_one_s_own_is_a_column_of_the_table(registered, ledger):
    registered("steadiness", steadiness)
    registered("worst loss", worst_loss, needs=("loss",))
    table = scores.easiness_table(ledger, [2], "patterns", more=["steadiness", "worst loss", "learnability"])
    assert list(table.columns) == [*scores.COLUMNS, "steadiness", "worst loss", "learnability"]
    assert table.steadiness.tolist() == steadiness(ledger, 2).tolist()
    assert table["worst loss"].tolist() == worst_loss(ledger, 2).tolist()
    assert table.learnability.tolist() == scores.learnability(ledger).tolist()
    assert (scores.score("worst loss", ledger) <= 0).all()


def test_without_asking_the_table_has_the_columns_it_always_had(registered, ledger):
    registered("steadiness", steadiness)
    assert list(scores.easiness_table(ledger, [1], "patterns").columns) == scores.COLUMNS


def test_every_score_of_the_house_is_higher_for_what_is_easier(ledger):
    """Of two images, the one that every trial gets right and is sure about scores at least as high, by every name."""
    assert list(scores.SCORES) == [
        "easiness", "graded easiness", "learnability", "first learned", "forgetting", "margin", "loss",
    ]  # fmt: skip
    right = np.zeros((2, 3, 2), bool)
    right[:, :, 0] = True
    sure = np.where(right, 0.9, 0.1)

    class Known:
        models, ids = ["net"], np.arange(2)

        def correct(self, view="train"):
            return right

        def values(self, quantity):
            return -np.log(sure) if quantity == "loss" else sure

        def has(self, quantity):
            return True

    for name in scores.SCORES:
        easy, hard = scores.score(name, Known(), 2)
        assert easy > hard, name


@pytest.mark.parametrize(
    ("name", "function", "needs", "says"),
    [
        ("short", lambda ledger, m: [0.5], (), "gave 1 numbers for 100 examples"),
        ("nowhere", lambda ledger, m: np.full(100, np.nan), (), "not finite"),
        ("unsure", lambda ledger, m: ledger.values("margin")[:, m - 1].mean(0), ["margin"], "needs margin"),
    ],
)
def test_a_score_that_cannot_be_is_refused_in_one_line(registered, ledger, name, function, needs, says):
    registered(name, function, needs)
    with pytest.raises(UserError, match=says) as refusal:
        scores.easiness_table(ledger, [1], "patterns", more=[name])
    assert "\n" not in str(refusal.value)


def test_names_are_known_and_taken_once(registered, ledger):
    with pytest.raises(UserError, match="score='ease': give 'easiness'"):
        scores.score("ease", ledger)
    for taken in ("easiness", "label"):
        with pytest.raises(UserError, match="already"):
            registered(taken, steadiness)
