"""Where things are. Nothing here creates a folder; whoever writes does."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]  # the checkout: lib/easel/paths.py


def data_dir() -> Path:
    """Folder of the data sets: $EASEL_DATA, else data/ of the checkout."""
    return Path(os.environ.get("EASEL_DATA") or ROOT / "data").expanduser()


def results_dir() -> Path:
    """Folder of everything that is made: $EASEL_RESULTS, else results/ of the checkout."""
    return Path(os.environ.get("EASEL_RESULTS") or ROOT / "results").expanduser()


def store_dir() -> Path:
    """Folder of this machine's trained trials, one record a file."""
    return results_dir() / "trials"


def ledgers_dir() -> Path:
    """Folder of released records, read when the store lacks a trial, never written by training."""
    return ROOT / "results" / "ledgers"
