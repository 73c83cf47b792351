"""What an ensemble says of given labels, the errors that are planted in them, and how well a score finds those."""

import numpy as np
import pandas as pd
import pytest

from easel.compare.claims import Judged
from easel.errors import UserError
from easel.ledger.store import Ledger
from easel.sections import mislabels
from easel.train import ensure as run

COMMON = {"data": "patterns", "images": 100}


def test_average_precision_is_one_at_best_the_share_by_lot_and_lets_ties_enter_together():
    wrong = np.array([True, True, False, False, False])
    assert mislabels.average_precision([0, 1, 2, 3, 4], wrong) == 1
    assert mislabels.average_precision([4, 3, 2, 1, 0], wrong) == pytest.approx((1 / 4 + 2 / 5) / 2)
    assert mislabels.average_precision(np.zeros(5), wrong) == pytest.approx(0.4)
    assert mislabels.average_precision([0, 2, 0, 2, 2], wrong) == pytest.approx((1 / 2 + 2 / 5) / 2)


def test_times_chance_counts_the_tied_in_expectation():
    wrong = np.arange(100) < 10
    assert mislabels.times_chance(np.arange(100), wrong, 0.05) == pytest.approx(10)
    assert mislabels.times_chance(-np.arange(100), wrong, 0.05) == 0
    assert mislabels.times_chance(np.zeros(100), wrong, 0.05) == pytest.approx(1)
    assert mislabels.times_chance(np.arange(100) // 20, wrong, 0.05) == pytest.approx(5)


@pytest.fixture
def opinions(tiny, store):
    labels = tiny().examples.labels.numpy()
    given = mislabels.planted(labels, 0.2, 1)
    trials = mislabels.ensemble(["mlp-1x10", "mlp-1x8"], labels, epochs=4, given=given, **COMMON)
    ledger = run.ensure(run.in_precision("fp32", trials, store), store=store, workers=0, quiet=True)
    return mislabels.Opinions(ledger, given), given != labels, labels


def test_every_judge_and_score_is_measured_and_confusions_are_chances(opinions):
    found, wrong, labels = opinions
    table = mislabels.found_errors(found, wrong).set_index(["judge", "score"])
    for judge, own in (found.of_net | {"all nets": found.scores}).items():
        for score, values in own.items():
            assert table.loc[(judge, score), "average precision"] == mislabels.average_precision(values, wrong)
            assert table.loc[(judge, score), "first 10%"] == mislabels.times_chance(values, wrong, 0.1)
    assert np.allclose(mislabels.confusions(found, labels).sum(1), 1, atol=0.06)  # two decimals of ten classes


def test_images_that_no_net_judges_are_not_the_most_suspicious_ones(opinions):
    """One net of a fold diverged: its images had the probability 0."""
    found, _, _ = opinions
    left = [record for record in found.ledger.records if record.key != found.ledger.records[0].key]
    with pytest.raises(UserError, match="mlp-1x10: no net that has not seen some of the images is left"):
        mislabels.Opinions(Ledger(left), found.given)


def test_a_class_that_is_never_confused_may_be_taken_for_any_other():
    labels = np.arange(60) % 3
    wrong = mislabels.planted(labels, 0.5, 1, np.eye(3))
    assert (wrong != labels).sum() == 30
    assert {*wrong[labels == 0]} == {0, 1, 2}


def test_counts_by_net_n_and_m_end_where_all_trials_that_saw_an_image_are_counted(opinions):
    found, wrong, _ = opinions
    table = mislabels.easiness_found(found, wrong, [1, 4]).set_index(["net", "N", "m"])
    assert len(table) == 2 * 3 * 2
    for net, own in found.of_net.items():
        whole = mislabels.average_precision(own["easiness, m = 1"], wrong)
        assert table.loc[(net, 3, 1), "average precision"] == pytest.approx(whole)


def rows(kind, **values):
    """A table of found_errors for plantings of one kind, 10% wrong: {score: average precision of each planting}."""
    return pd.DataFrame(
        {"kind": kind, "share": 0.1, "judge": "all nets", "score": score, "planting": at, "chance": 0.1}
        | {"average precision": value}
        for score, each in values.items()
        for at, value in enumerate(each)
    )


def test_claims_are_judged_over_plantings_and_by_the_worst_kind():
    good = rows("random", easiness=[0.3, 0.31, 0.32], **{mislabels.HELD_OUT: [0.5, 0.52, 0.51]})
    bad = rows("confusable", easiness=[0.09, 0.05, 0.14], **{mislabels.HELD_OUT: [0.1, 0.12, 0.1]})
    assert mislabels.mined_by_easiness(good).finding.verdict == "holds"
    assert mislabels.held_out_finds_more(good).finding.verdict == "holds"
    both = pd.concat([good, bad])
    judged = mislabels.mined_by_easiness(both)
    assert isinstance(judged, Judged)
    assert judged.finding.verdict == "open"
    assert judged.finding.where == "confusable, 10%"
    means = mislabels.over_plantings(both).set_index(["kind", "score"])
    assert means.loc[("random", "easiness"), "mean"] == pytest.approx(0.31)
    assert means.loc[("random", "easiness"), "plantings"] == 3


def test_trials_that_are_not_at_hand_are_not_trained(tmp_path, monkeypatch):
    assert mislabels.at_hand("mlp-1x10", 2, "patterns", 100) is None
    monkeypatch.setenv("EASEL_DATA", str(tmp_path))
    assert mislabels.at_hand("mlp-1x10", 2, "cifar10", 100) is None
