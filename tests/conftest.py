"""What all tests share: no test reads or writes the user's results, and training uses one thread."""

import signal
import threading

import pytest
import torch

from easel import errors, files, warm
from easel.ledger.store import Store
from easel.ledger.trial import Recipe, Trial

FP32 = Recipe(precision="fp32")

if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # under nohup or &; what tests start would inherit it


@pytest.fixture(autouse=True)
def _own_results(tmp_path, monkeypatch):
    monkeypatch.setenv("EASEL_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("EASEL_DATA", str(files.data_dir()))
    monkeypatch.setenv("EASEL_DEVICE", "cpu")
    for name in ("EASEL_ENGINE", "EASEL_RUN", "EASEL_RETRAIN", "EASEL_VARIANT", warm.OWN):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(warm, "UNSHARED", set())  # or what a test registers keeps the next one in one process
    torch.set_num_threads(1)
    errors._NAMED.clear()


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def tiny():
    """Makes trials that train in a fraction of a second: 100 images drawn by code, a net of 31 thousand parameters."""

    def make(seed: int = 0, **fields) -> Trial:
        fields = {"data": "patterns", "images": 100, "model": "mlp-1x10", "epochs": 2, "recipe": FP32} | fields
        return Trial(seed=seed, **fields)

    return make


@pytest.fixture(scope="session")
def cifar10():
    """Skips without the real CIFAR-10 (EASEL_DATA or data/); CI has it."""
    if not (files.data_dir() / "cifar-10-batches-py").is_dir():
        pytest.skip("CIFAR-10 is not on this machine: set EASEL_DATA or run `easel data cifar10`")
