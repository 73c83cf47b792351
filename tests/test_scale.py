"""The largest ledgers are read whole and the largest tables made. How fast: tests/benchmarks/scale.py, as ratios."""

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


def test_all_pairs_of_ten_nets_are_matched():
    found = scale.match(scale.nets())
    assert [len(table) for table in found] == [55, 55]
    assert all(np.isfinite(table[["rate", "low", "high"]].to_numpy()).all() for table in found)
