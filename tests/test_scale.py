"""The largest ledgers are read and the largest tables made in seconds. Of CPU time: others may be at work."""

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
import scale

sys.path.pop(0)


def test_a_ledger_of_200_trials_10_epochs_and_50_000_images_is_read_within_two_seconds(tmp_path):
    store, keys = scale.written(tmp_path)
    found = []
    seconds = scale.timed(lambda: found.append(scale.read(store, keys)), time.process_time)
    assert found[0].shape == (scale.TRIALS, scale.EPOCHS, scale.EXAMPLES)
    assert 0.49 < found[0][::40].mean() < 0.51
    assert seconds < 2


def test_all_pairs_of_ten_nets_are_matched_within_two_seconds():
    groups, found = scale.nets(), []
    seconds = scale.timed(lambda: found.extend(scale.match(groups)), time.process_time)
    assert [len(table) for table in found] == [55, 55]
    assert all(np.isfinite(table[["rate", "low", "high"]].to_numpy()).all() for table in found)
    assert seconds < 2
