"""A trial is named without network, and without images once its data set has been read; changed files are noticed."""

import json
import os
import socket
import time
from dataclasses import replace

import pytest
from PIL import Image

from easel import files
from easel.data import facts, folders, patterns, published, sets
from easel.errors import UserError
from easel.ledger.trial import Trial
from easel.train import ensure


@pytest.fixture
def no_socket(monkeypatch):
    monkeypatch.setattr(socket, "socket", lambda *a, **k: pytest.fail("a socket was opened"))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: pytest.fail("a name was looked up"))


@pytest.fixture
def folder(tmp_path):
    """Two classes of three images to train on, one to test."""
    for split, count in (("train", 3), ("val", 1)):
        for k, name in enumerate(("a", "b")):
            (tmp_path / "mine" / split / name).mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", (9, 9), (90 * k, 40 * i, 7)).save(tmp_path / "mine" / split / name / f"{i}.png")
    return tmp_path / "mine"


def another_process() -> None:
    facts._of.cache_clear()
    sets._load.cache_clear()
    sets.part.cache_clear()


def unread(monkeypatch) -> None:
    for module, name in ((sets, "read_split"), (sets, "_load"), (folders, "_opened"), (patterns, "draw")):
        monkeypatch.setattr(module, name, lambda *a, **k: pytest.fail("an image was read"))


def key(data, **fields) -> str:
    return Trial(model="mlp-1x10", seed=0, epochs=1, data=str(data), **fields).key


@pytest.mark.parametrize("name", ["stl10", "cifar100@64", "tiny-imagenet-10"])
def test_the_key_of_a_set_that_is_not_there_opens_no_socket_and_says_what_gets_it(
    name, tmp_path, monkeypatch, no_socket
):
    monkeypatch.setenv("EASEL_DATA", str(tmp_path / "empty"))
    with pytest.raises(UserError) as refusal:
        key(name)
    plain = name.partition("@")[0]
    assert str(refusal.value).startswith(f"{plain}: not yet in {tmp_path / 'empty'}")
    assert f"easel data {plain} gets it" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "empty").exists()


def test_ensure_gets_what_is_missing_before_it_names_a_trial(tmp_path, monkeypatch):
    monkeypatch.setenv("EASEL_DATA", str(tmp_path))
    monkeypatch.setattr(sets.download, "fetch", lambda urls, path, *a, **k: pytest.fail(f"asked for {path.name}"))
    trial = Trial(model="mlp-1x10", seed=0, epochs=1, data="stl10")
    for call in (lambda: ensure.ensure([trial]), lambda: trial.examples):
        with pytest.raises(pytest.fail.Exception, match=r"asked for stl10_binary\.tar\.gz"):
            call()


@pytest.mark.parametrize("fields", [{}, {"images": 4, "subset_seed": 1}, {"split": "merged"}])
def test_another_process_names_the_same_trial_and_reads_no_image(folder, monkeypatch, fields):
    first = key(folder, **fields)
    another_process()
    unread(monkeypatch)
    assert key(folder, **fields) == first


def test_patterns_are_named_without_being_drawn_again(monkeypatch):
    first = key("patterns@16", images=50)
    another_process()
    unread(monkeypatch)
    assert key("patterns@16", images=50) == first


def test_the_facts_are_those_of_the_examples(folder):
    trial = Trial(model="mlp-1x10", seed=0, epochs=1, data=f"{folder}@12", images=4)
    for _ in range(2):
        found, examples = facts.of(f"{folder}@12", images=4), trial.examples
        assert (found.fingerprint, found.mean, found.std) == (examples.fingerprint, examples.mean, examples.std)
        assert (found.examples, found.classes, found.side) == (4, ("a", "b"), 12)
        another_process()


def test_a_changed_file_a_new_one_and_other_code_are_noticed(folder, monkeypatch):
    first = key(folder)
    Image.new("RGB", (9, 9), (1, 2, 3)).save(folder / "train" / "a" / "1.png")
    second = key(folder)
    Image.new("RGB", (9, 9), (5, 2, 3)).save(folder / "train" / "a" / "9.png")
    third = key(folder)
    assert len({first, second, third}) == 3
    another_process()
    monkeypatch.setattr(facts, "_code", lambda: "other")
    unread(monkeypatch)
    with pytest.raises(pytest.fail.Exception, match="an image was read"):
        key(folder)


def test_a_file_that_was_changed_and_dated_back_went_unnoticed(folder):
    path, first = folder / "train" / "a" / "1.bmp", key(folder)
    colours = [(1, 2, 3), (1, 2, 4)]
    Image.new("RGB", (9, 9), colours[0]).save(path)
    before, second = path.stat(), key(folder)
    time.sleep(0.02)  # the system's clock of files ticks every few milliseconds
    Image.new("RGB", (9, 9), colours[1]).save(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert len({first, second, key(folder)}) == 3


@pytest.mark.parametrize("damage", [b"", b"[]", b"{}", b'{"of": 3}', b"\xff"])
def test_damaged_facts_are_made_anew(folder, damage):
    first = key(folder)
    (path,) = (files.results_dir() / "facts").iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage)
    another_process()
    assert key(folder) == first
    assert path.read_bytes() == whole


def test_the_facts_of_another_data_folder_are_not_taken(folder, tmp_path):
    first = key(folder)
    (path,) = (files.results_dir() / "facts").iterdir()
    assert json.loads(path.read_bytes())["of"] == [str(folder), None, "train", None, 0]
    os.rename(folder, tmp_path / "other")
    with pytest.raises(UserError, match="no such folder"):
        key(folder)
    assert key(tmp_path / "other") == first  # the name is not in the key


def test_where_nothing_can_be_written_a_trial_has_its_key_all_the_same(folder, monkeypatch, tmp_path):
    first = key(folder)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("EASEL_RESULTS", str(tmp_path / "file"))
    another_process()
    assert key(folder) == first


def test_what_somebody_elses_reader_makes_is_not_kept(monkeypatch):
    monkeypatch.setattr(sets, "marks", lambda name: ("there", "digest", None))
    assert facts._state("stl10")
    monkeypatch.setitem(published.PUBLISHED, "stl10", replace(published.PUBLISHED["stl10"], read=lambda *a: None))
    assert facts._state("stl10") == ""
