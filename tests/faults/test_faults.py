"""The short part of the faults, at most two minutes; the whole, and the README's table: `make faults`."""

import os
import pickle
import sys
from contextlib import nullcontext

import all_faults
import harness
import pytest

from easel import cli, errors, files
from easel.data import published
from easel.ledger import store
from easel.notebook import page as receipts, site
from easel.train import gpu

_ = all_faults
CHANGED = (
    "easel.notebook.batch",
    "easel.notebook.inprocess",
    "easel.data.download",
)  # by faults, for what starts nothing


@pytest.fixture(autouse=True)
def _as_it_was(monkeypatch):
    """What the faults change of this process is as it was afterwards: functions, environment, working folder."""
    for name in CHANGED:
        for attribute, value in list(vars(sys.modules[name]).items()):
            monkeypatch.setattr(sys.modules[name], attribute, value)
    monkeypatch.setenv("EASEL_NOTEBOOKS", "")
    monkeypatch.chdir(os.getcwd())


@pytest.mark.parametrize("name", list(harness.FAULTS))
def test_faults_lose_nothing_and_say_nothing_false(name):
    one = harness.FAULTS[name]
    try:
        with harness.prepared(one) as attempt:
            found = [f"try {number}: {bad}" for number in range(one.few) if (bad := attempt(number))]
    except harness.Skipped as why:
        pytest.skip(str(why))
    assert found == []


def test_a_fault_that_is_not_survived_is_in_the_log_and_a_run_goes_on_where_it_was(tmp_path, monkeypatch):
    tried = []

    def attempt(shared, rng) -> str:
        tried.append(rng.random())
        if len(tried) == 3:
            raise ValueError("odd")
        return "lost" if len(tried) == 2 else ""

    monkeypatch.setitem(harness.FAULTS, "one", harness.Fault("one", 4, 1, lambda folder: folder, attempt))
    harness.run(["one"], harness.Log(tmp_path / "log"), 0.5, say=lambda *_, **__: None)
    with open(tmp_path / "log", "a") as file:
        file.write('{"name": "one", "do')  # cut
    assert len(tried) == 2
    log = harness.Log(tmp_path / "log")
    harness.run(["one"], log, say=lambda *_, **__: None)
    assert len(set(tried)) == 4
    assert log.table().splitlines()[-1] == "| all | 4 | 2 | 2 |"
    assert "traceback: ValueError: odd" in log.bad["one"][3]


def test_faults_run_apart_two_at_a_time_and_what_is_not_permitted_is_skipped_by_name(tmp_path, monkeypatch, capfd):
    def prepare(folder):
        raise harness.Skipped("no such thing here")

    def attempt(shared, rng) -> str:
        return str(os.getpid())

    for name, prepared in (("a", lambda folder: folder), ("b", lambda folder: folder), ("c", prepare)):
        monkeypatch.setitem(harness.FAULTS, name, harness.Fault(name, 2, 1, prepared, attempt))
    assert harness.run_apart(["a", "b", "c"], tmp_path / "log", 1.0, at_once=2)
    log = harness.Log(tmp_path / "log")
    processes = {process for bad in log.bad.values() for process in bad.values()}
    assert (len(processes), str(os.getpid()) in processes) == (2, False)
    assert "| c (skipped: no such thing here) | 0 | 0 | 0 |" in log.table().splitlines()
    assert "c: skipped: no such thing here" in capfd.readouterr().out
    monkeypatch.setitem(harness.FAULTS, "d", harness.Fault("d", 2, 1, lambda folder: 1 / 0, attempt))
    assert not harness.run_apart(["d"], tmp_path / "log", 1.0, at_once=2)


BROKEN = {  # a fault, what is broken in the library for it, and within how many tries it is found
    "KEY.json, a bit or its end": (files, "sealed", lambda content: content | {"sha256": content.get("sha256")}, 60),
    "--set": (cli, "one_line", str, 200),
    "HTML and templates in an executed notebook": (site, "_inert", str, 10),
    "clocks that jump, and files from the future or long ago": (receipts, "is_over", lambda *_: True, 5),
    "cells run out of order, twice and by halves": (receipts, "changed", lambda *_: {}, 150),
    "hostile pickles in the place of a CIFAR batch": (
        published._Unpickler, "find_class", pickle._Unpickler.find_class, 60,
    ),
    "a newer easel on the same store (simulated)": (store, "UnknownRecord", ZeroDivisionError, 5),
    "a GPU's memory that ends (simulated)": (gpu, "_out_of_memory", lambda: nullcontext([]), 8),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_the_faults_find_what_is_broken(name, monkeypatch):
    """With a digest unread, answers uncut, pages with scripts and so on the harness says so: it can fail."""
    place, what, broken, tries = BROKEN[name]
    with harness.prepared(harness.FAULTS[name]) as attempt:
        monkeypatch.setattr(place, what, broken)
        assert any(attempt(number) for number in range(tries))
    errors._NAMED.clear()
