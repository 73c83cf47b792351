"""A record is complete and verified, or absent; the ledger holds who got what right, and when."""

import errno
import io
import os
import threading
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from easel import files
from easel.errors import UserError
from easel.ledger import Ledger, Store
from easel.record import BadRecord, Record, pack, unpack
from easel.train import train
from easel.trial import Edit, Recipe


@pytest.fixture
def record(tiny):
    return train(tiny(views=("test:50",), record=("margin",), edit=Edit(np.arange(0, 100, 2), np.arange(100) % 10)))


def test_packed_arrays_come_back_and_numpy_reads_them():
    arrays = {"a": np.arange(5, dtype=np.int16), "b": np.zeros((2, 0), bool), "c": np.array(1.5)}
    blob = pack(arrays)
    assert blob == pack(dict(reversed(arrays.items())))
    with np.load(io.BytesIO(blob)) as archive:
        assert all(np.array_equal(archive[k], v) and archive[k].dtype == v.dtype for k, v in arrays.items())
    assert all(np.array_equal(unpack(blob)[k], v) for k, v in arrays.items())


def test_every_single_flipped_bit_and_every_cut_is_noticed():
    blob = pack({"a": np.arange(4, dtype=np.uint8)})
    for position in range(len(blob)):
        for bit in (0, 7):
            bad = bytearray(blob)
            bad[position] ^= 1 << bit
            with pytest.raises(BadRecord):
                unpack(bytes(bad))
    for cut in range(0, len(blob), 7):
        with pytest.raises(BadRecord):
            unpack(blob[:cut])


def test_a_record_comes_back_whole(store, record):
    store.put(record)
    again = store.read(record.key)
    assert again.to_bytes() == record.to_bytes()
    assert again.provenance == record.provenance
    assert again.trial == record.trial
    assert again.trial.key == record.key
    assert np.array_equal(again.correct(), record.correct())
    assert again.correct("test:50").shape == (2, 50)
    assert np.array_equal(again.trial.edit.keep, np.arange(0, 100, 2))


def test_a_records_bytes_do_not_depend_on_when_and_how_fast(tiny, record):
    other = train(record.trial)
    other.provenance |= {"seconds": 1e9, "host": "elsewhere"}
    assert other.to_bytes() == record.to_bytes()


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "swap", "text"])
def test_a_damaged_record_is_set_aside_named_and_trained_again(store, tiny, damage):
    from easel import run

    first = run.ensure([tiny()], store=store, workers=0, quiet=True).records[0]
    path, blob = store.path(first.key), bytearray(store.path(first.key).read_bytes())
    if damage == "flip":
        blob[len(blob) // 2] ^= 8
    elif damage == "cut":
        blob = blob[:-40]
    elif damage == "empty":
        blob = b""
    elif damage == "swap":
        blob = train(tiny(seed=1)).to_bytes()  # whole, but another trial's
    else:
        blob = b"not a record"
    path.write_bytes(blob)
    with pytest.warns(UserWarning, match=first.key):
        ledger = run.ensure([tiny()], store=store, workers=0, quiet=True)
    assert ledger.trained == 1
    assert path.with_suffix(".bad").read_bytes() == bytes(blob)
    assert store.read(first.key).to_bytes() == first.to_bytes()


def test_a_full_disk_loses_nothing_and_says_which_folder(store, tiny, record, monkeypatch):
    store.put(record)

    def full(*args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(UserError, match=str(store.folder)) as refusal:
        store.put(train(tiny(seed=5)))
    assert "full" in str(refusal.value)
    monkeypatch.undo()
    assert [p.name for p in store.folder.iterdir() if p.suffix == ".part"] == []
    assert store.keys() == [record.key]
    assert store.read(record.key).to_bytes() == record.to_bytes()


def test_two_writers_of_one_key_leave_one_valid_winner(store, record):
    def write():
        for _ in range(20):
            store.put(record)

    writers = [threading.Thread(target=write) for _ in range(4)]
    for w in writers:
        w.start()
    seen = [store.read(record.key) for _ in range(100)]
    for w in writers:
        w.join()
    assert all(r is None or r.to_bytes() == record.to_bytes() for r in seen)
    assert store.read(record.key).to_bytes() == record.to_bytes()


def test_views_not_recorded_are_trained_for_and_older_views_kept(store, tiny):
    from easel import run

    def trained(**fields):
        return run.ensure([tiny(**fields)], store=store, workers=0, quiet=True).trained

    assert trained(views=("test:50",)) == 1
    assert trained() == 0
    assert trained(views=("online",), record=("loss",)) == 1
    assert trained(views=("online", "test:50")) == 0
    record = store.read(tiny().key)
    assert set(record.views) == {"train", "online", "test:50"}
    assert np.array_equal(record.correct(), train(tiny()).correct())


def test_quantities_of_an_older_record_are_kept_with_a_newer_view(store, tiny):
    store.put(train(tiny(record=("margin",))))
    store.put(train(tiny(views=("test:50",))))
    assert {"margin.train", "correct.test:50"} <= set(store.read(tiny().key).arrays)
    foreign = train(tiny(record=("loss",)))
    foreign.arrays["correct.train"] = ~foreign.arrays["correct.train"]  # as from hardware that adds in another order
    store.put(foreign)
    assert "margin.train" not in store.read(tiny().key).arrays


def test_released_records_are_read_where_the_store_has_none(store, tiny, tmp_path):
    records = [train(tiny(seed=0)), train(tiny(seed=1, epochs=3, images=90))]  # a pack may hold trials of any kind
    for r in records:
        store.put(r)
    assert store.release([r.key for r in records], tmp_path / "released" / "tiny.zip") == 2
    reader = Store(tmp_path / "elsewhere", released=tmp_path / "released")
    assert reader.get(tiny()).to_bytes() == records[0].to_bytes()
    assert reader.get(tiny()).provenance["released"] == "tiny.zip"
    assert reader.get(tiny(seed=2)) is None
    assert not (tmp_path / "elsewhere").exists()
    with zipfile.ZipFile(tmp_path / "released" / "tiny.zip") as archive:
        assert len(archive.namelist()) == 4
        assert all(member.compress_size < member.file_size for member in archive.infolist())
    (tmp_path / "released" / "cut.zip").write_bytes(b"PK")
    with pytest.warns(UserWarning, match=r"cut\.zip"):
        assert Store(tmp_path / "elsewhere", released=tmp_path / "released").get(tiny()) is not None


def test_ledger_stacks_trials_and_leaves_out_the_diverged(tiny):
    records = [train(tiny(seed=s, model=m, record=("loss",))) for m in ("mlp-1x10", "mlp-1x12") for s in range(2)]
    wild = Recipe(precision="fp32", learning_rate=1e30, optimizer="sgd")
    ledger = Ledger([*records, train(tiny(seed=9, recipe=wild))])
    assert ledger.correct().shape == (4, 2, 100)
    assert np.array_equal(ledger.correct()[2], records[2].correct())
    assert ledger.models == ["mlp-1x10", "mlp-1x12"]
    assert [t.seed for t in ledger.diverged] == [9]
    assert len(ledger.where(model="mlp-1x12")) == 2
    assert len(ledger.where(seed=[0])) == 2
    assert ledger.values("loss").dtype == np.float32
    assert ledger.loss.shape == (4, 2)
    assert np.array_equal(ledger.labels, tiny().examples.labels)
    with pytest.raises(UserError, match="wrn-16-4"):
        ledger.where(model="wrn-16-4")
    with pytest.raises(UserError, match="margin"):
        ledger.values("margin")
    with pytest.raises(UserError, match="no view 'test'"):
        ledger.correct("test")


def test_trials_of_different_examples_do_not_share_a_ledger(tiny):
    with pytest.raises(UserError, match="same examples"):
        Ledger([train(tiny()), train(tiny(images=90))])
    with pytest.raises(UserError, match="epochs"):
        Ledger([train(tiny()), train(replace(tiny(), epochs=1))])


def test_a_full_cifar_ledger_is_small(tmp_path):
    """20 trials x 10 epochs x 50,000 images: what a record keeps, and what the ledger unpacks."""
    rng = np.random.default_rng(0)
    packed = rng.integers(0, 256, (10, 6250), dtype=np.uint8)
    identity = {"model": "wrn-16-4", "seed": 0, "epochs": 10, "fingerprint": "f", "edit": None}
    records = [
        Record(str(i), identity, {}, {"train": "f"}, "complete", 50_000, {"correct.train": packed}) for i in range(20)
    ]
    assert len(records[0].to_bytes()) < 64_000
    correct = Ledger(records).correct()
    assert correct.shape == (20, 10, 50_000)
    assert correct.nbytes == 10_000_000
