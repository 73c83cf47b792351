"""The largest ledgers are read and the largest tables made, in the time that is promised (benchmarks/scale.py)."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
import scale

sys.path.pop(0)


def test_a_ledger_of_200_trials_10_epochs_and_50_000_images_is_read(tmp_path):
    found = scale.read(*scale.written(tmp_path))
    assert found.shape == (scale.TRIALS, scale.EPOCHS, scale.EXAMPLES)
    assert 0.49 < found[::40].mean() < 0.51


def test_reading_and_matching_take_no_longer_than_promised_and_a_few_times_what_they_must(tmp_path):
    for what, task, floor in scale.linear(tmp_path):
        seconds = min(scale.timed(task) for _ in range(3))  # of the processor
        assert seconds < scale.AIMS.get(what, 1.0), what
        assert scale.ratio(task, floor) < 20, what  # measured: reading 2 to 4 times, matching 6 to 12


def test_all_pairs_of_ten_nets_are_matched():
    found = scale.match(scale.nets())
    assert [len(table) for table in found] == [55, 55]
    assert all(np.isfinite(table[["rate", "low", "high"]].to_numpy()).all() for table in found)
