"""A record is complete and verified, or absent; the ledger holds who got what right, and when."""

import errno
import fcntl
import hashlib
import io
import json
import os
import re
import shutil
import threading
import time
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from easel import errors, files
from easel.errors import UserError
from easel.ledger.record import BadRecord, Record, pack, unpack
from easel.ledger.store import Ledger, Store, write_pack
from easel.ledger.trial import Edit, Recipe, canonical
from easel.train.loop import train


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
    from easel.train import ensure as run

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


@pytest.mark.parametrize(
    ("code", "words"),
    [("EFBIG", "ulimit -f"), ("EIO", "the disk reports"), ("EISDIR", "it is a folder"), ("ESTALE", "no longer there"),
     ("ENOLCK", os.strerror(errno.ENOLCK))],
)  # fmt: skip
@pytest.mark.parametrize("call", ["fsync", "mkdir", "replace"])
def test_an_error_of_the_system_was_a_traceback_and_names_the_folder(store, record, monkeypatch, call, code, words):
    def fails(*_given, **_named):
        raise OSError(getattr(errno, code), os.strerror(getattr(errno, code)))

    with monkeypatch.context() as patch:
        patch.setattr(files.os, call, fails)
        with pytest.raises(UserError, match=rf"cannot write to the folder {store.folder}: .*{re.escape(words)}"):
            store.put(record)
    store.put(record)
    assert store.read(record.key).to_bytes() == record.to_bytes()


def test_a_store_that_vanishes_was_a_traceback_and_is_named_or_made_anew(store, record, monkeypatch):
    def vanished(path, content):
        shutil.rmtree(store.folder)
        return whole(path, content)

    whole = files.write_atomically
    with monkeypatch.context() as patch:
        patch.setattr(files, "write_atomically", vanished)
        with pytest.raises(UserError, match="there is no such file or folder"):
            store.put(record)
    assert (store.read(record.key), store.keys(), store.latest(), list(store.records())) == (None, [], [], [])
    store.put(record)
    keys = store.keys()
    shutil.rmtree(store.folder)
    monkeypatch.setattr(store, "keys", lambda: keys)
    assert (list(store.records()), store.latest()) == ([], [])


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
    from easel.train import ensure as run

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


def test_every_bit_of_a_note_is_right_or_named_and_notes_of_earlier_versions_are_believed(store, record):
    store.put(record)
    path = store.folder / f"{record.key}.json"
    blob, rest = path.read_bytes(), files.sealed(record.provenance)
    for position in range(0, 8 * len(blob), 3):
        bad = bytearray(blob)
        bad[position // 8] ^= 1 << position % 8
        path.write_bytes(bad)
        errors._NAMED.clear()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            made = store.note(record.key)
        assert made.items() >= record.provenance.items() or (made == {} and str(path) in str(said[0].message))
    del rest["sha256"]
    path.write_text(json.dumps(rest))
    assert store.note(record.key) == record.provenance
    path.unlink()
    assert store.read(record.key).provenance == {}


def every_flip(blob: bytes, step: int):
    """The bytes with one bit turned, each step-th bit."""
    for position in range(0, 8 * len(blob), step):
        bad = bytearray(blob)
        bad[position // 8] ^= 1 << position % 8
        yield bytes(bad)


def test_a_pack_with_a_flipped_bit_gives_its_records_or_names_what_it_lost(tiny, tmp_path):
    records = [train(tiny(seed=seed)) for seed in range(2)]
    pack = tmp_path / "tiny.zip"
    write_pack(records, pack)
    whole, keys = pack.read_bytes(), [record.key for record in records]
    shapes = [whole[:cut] for cut in (0, 1, 40, len(whole) // 2, len(whole) - 1)]
    entries = [found.start() for found in re.finditer(b"PK\1\2", whole)]  # of the list of content
    for at, value in ((entries[0] + 6, 99), (entries[1] + 33, 1)):  # zip of version 9.9; a comment that is the rest
        shapes.append(whole[:at] + bytes([value]) + whole[at + 1 :])
    for blob in (*shapes, *every_flip(whole, 997), *every_flip(whole[-400:], 16)):
        pack.write_bytes(blob if len(blob) > 400 or blob in shapes else whole[:-400] + blob)
        errors._NAMED.clear()
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            reader = Store(tmp_path / "none", released=tmp_path)
            found = [reader.read(key) for key in keys]
        for record, read in zip(records, found, strict=True):
            assert read is None or read.to_bytes() == record.to_bytes()
            assert read is None or read.provenance.items() - {("released", "tiny.zip")} <= record.provenance.items()
        assert None not in found or said


def test_a_record_whose_note_in_a_pack_is_damaged_is_read_all_the_same(tiny, tmp_path):
    record, pack = train(tiny()), tmp_path / "tiny.zip"
    write_pack([record], pack)
    with zipfile.ZipFile(pack) as archive:
        at = archive.getinfo(f"{record.key}.json").header_offset + 30 + len(f"{record.key}.json") + 20
    blob = bytearray(pack.read_bytes())
    blob[at] ^= 1
    pack.write_bytes(blob)
    with pytest.warns(UserWarning, match=f"note {record.key[:12]} in {pack} is damaged"):
        read = Store(tmp_path / "none", released=tmp_path).read(record.key)
    assert (read.to_bytes(), read.provenance) == (record.to_bytes(), {"released": "tiny.zip"})


@pytest.mark.parametrize("fate", ["removed", "swapped", "cut", "a folder"])
def test_a_pack_that_changes_after_it_was_looked_at_is_named_once(tiny, tmp_path, fate):
    record, pack = train(tiny()), tmp_path / "tiny.zip"
    write_pack([record], pack)
    reader = Store(tmp_path / "none", released=tmp_path)
    assert reader.read(record.key) is not None
    pack.rename(tmp_path / "was")
    if fate == "swapped":
        write_pack([train(tiny(seed=1))], pack)
    elif fate == "cut":
        pack.write_bytes((tmp_path / "was").read_bytes()[:-30])
    elif fate == "a folder":
        pack.mkdir()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("default")
        assert [reader.read(record.key) for _ in range(3)] == [None] * 3
        assert reader.fullest(record.key) is None
    assert [record.key[:12] in str(one.message) for one in said] == [True]


@pytest.mark.parametrize("kind", ["a newer format", "somebody else's"])
def test_what_a_newer_easel_or_somebody_else_wrote_is_named_and_left_alone(store, tiny, record, kind, tmp_path):
    from easel.notebook import inventory
    from easel.train import ensure as run

    arrays = unpack(record.to_bytes())
    if kind == "a newer format":
        meta = json.loads(arrays.pop("meta").tobytes()) | {"format": 99}
        blob = pack(arrays | {"meta": np.frombuffer(canonical(meta), np.uint8)})
    else:
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        blob = buffer.getvalue()
    path = store.path(record.key)
    path.parent.mkdir()
    path.write_bytes(blob)
    (store.folder / "features.npz").write_bytes(blob)
    with pytest.warns(UserWarning, match="left alone"):
        assert list(store.records()) == []
    named = inventory.content(store)
    assert (named["strange"], named["bad"]) == (sorted([path.name, "features.npz"]), [])
    assert "left alone, this easel did not write it: " in inventory.as_text(named)
    for ask in (lambda: run.ensure([record.trial], store=store, workers=0, quiet=True), lambda: store.put(record)):
        with pytest.raises(UserError, match="is in the way"):
            ask()
    assert sorted(p.name for p in store.folder.iterdir()) == sorted([path.name, "features.npz"])
    assert path.read_bytes() == blob
    write_pack([record], tmp_path / "released" / "it.zip")  # a released record serves, whatever lies in the store
    assert Store(store.folder, released=tmp_path / "released").get(record.trial) is not None


@pytest.mark.parametrize(
    "fault", ["EIO", "EMFILE", "EACCES", "ENOMEM at the arrays", "a folder", "a pipe", "EIO at the arrays"]
)
def test_a_whole_record_that_cannot_be_read_now_was_set_aside_or_trained_over_and_is_left_alone(
    store, tiny, record, monkeypatch, fault
):
    from easel.train import ensure as run

    store.put(record)
    path, blob = store.path(record.key), store.path(record.key).read_bytes()
    number = getattr(errno, fault.partition(" ")[0], None)

    def fails(*_given, **_named):
        if number == errno.ENOMEM:
            raise MemoryError("Unable to allocate 3. GiB")
        raise OSError(number, os.strerror(number))

    if fault in ("a folder", "a pipe"):
        path.rename(store.folder / "kept")
        (Path.mkdir if fault == "a folder" else os.mkfifo)(path)
    elif "arrays" in fault:
        monkeypatch.setattr(np, "load", fails)
    else:
        opened = files.open_regular
        monkeypatch.setattr(files, "open_regular", lambda p: fails() if Path(p) == path else opened(p))
    with pytest.warns(UserWarning, match="left alone"):
        assert store.read(record.key) is None
    for ask in (lambda: run.ensure([record.trial], store=store, workers=0, quiet=True), lambda: store.put(record)):
        with pytest.raises(UserError, match="is in the way"):
            ask()
    monkeypatch.undo()
    if fault in ("a folder", "a pipe"):
        (Path.rmdir if fault == "a folder" else Path.unlink)(path)
        (store.folder / "kept").rename(path)
    assert path.read_bytes() == blob
    assert not list(store.folder.glob("*.bad"))
    store.put(record)  # what was in the way is so no longer
    assert store.get(record.trial).to_bytes() == blob


def test_records_and_packs_made_to_fill_memory_were_read_and_are_named_unread(store, record, tmp_path, monkeypatch):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("meta.npy", b"0" * 10**6)
        archive.comment = b"." * 71
    body = buffer.getvalue()[:-71]
    store.folder.mkdir()
    store.path(record.key).write_bytes(body + b"sha256:" + hashlib.sha256(body).hexdigest().encode())
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("it was read"))
    with pytest.warns(UserWarning, match="left alone: it would become larger than it is"):
        assert store.read(record.key) is None
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for end in (".npz", ".json"):
            archive.writestr(record.key + end, b"0" * 10**6)
    monkeypatch.setattr("easel.ledger.store.MOST_BYTES", 10**5)
    taken = store.take(tmp_path / "a.zip")
    assert taken.bad == [f"{record.key[:12]} (it would have 1,000,000 bytes, and no record has)"]


@pytest.mark.parametrize("moment", ["before the look", "after the look"])
def test_a_good_record_that_another_process_writes_meanwhile_is_not_set_aside(store, record, monkeypatch, moment):
    path = store.path(record.key)
    store.put(record)
    path.write_bytes(b"hurt")
    name, real = ("from_bytes", Record.from_bytes) if moment == "before the look" else ("replace", os.replace)

    def late(*given):
        monkeypatch.undo()
        (store.folder / "new").write_bytes(record.to_bytes())
        os.replace(store.folder / "new", path)
        return real(*given)

    with monkeypatch.context() as patch:
        patch.setattr(Record if name == "from_bytes" else os, name, late)
        monkeypatch = patch
        assert store.read(record.key).to_bytes() == record.to_bytes()
    assert sorted(p.suffix for p in store.folder.iterdir()) == [".json", ".npz"]


def test_parts_that_killed_writers_left_are_swept_when_they_are_old_and_nobodys(store, tiny, record):
    from easel.train import ensure as run

    store.put(record)
    now = time.time()
    for name, age in (
        (".a.npz.x.part", 9999),
        (".held.npz.x.part", 9999),
        (".new.npz.x.part", 5),
        ("cifar.tgz.part", 9999),
    ):
        (store.folder / name).write_bytes(b"half")
        os.utime(store.folder / name, (now - age, now - age))
    with open(store.folder / ".held.npz.x.part", "rb") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        run.ensure([tiny(seed=7)], store=store, workers=0, quiet=True)
    assert sorted(p.name for p in store.folder.glob("*.part")) == [
        ".held.npz.x.part",
        ".new.npz.x.part",
        "cifar.tgz.part",
    ]


def test_released_records_are_read_where_the_store_has_none(store, tiny, tmp_path):
    records = [train(tiny(seed=0)), train(tiny(seed=1, epochs=3, images=90))]  # a pack may hold trials of any kind
    for r in records:
        store.put(r)
    assert write_pack(records, tmp_path / "released" / "tiny.zip") == 2
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


@pytest.mark.parametrize("batches", ["shuffled", "high-loss"])
def test_a_longer_record_is_every_shorter_one_to_the_last_bit(store, tiny, batches):
    from easel.train import ensure as run

    recipe = Recipe(precision="fp32", batches=batches, delta=1.0 if batches == "shuffled" else 0.5, batch_size=20)
    asked = {"recipe": recipe, "views": ("test:50", "test:50@1", "train@2"), "record": ("loss", "probability@2")}
    long = tiny(epochs=5, **asked)
    run.ensure([long], store=store, workers=0, quiet=True)
    for epochs in (2, 3):
        short = tiny(epochs=epochs, **asked)
        found = store.get(short)
        assert found.to_bytes() == train(short).to_bytes()
        assert found.trial == short
        assert found.epochs == epochs
    assert run.ensure([tiny(epochs=2, recipe=recipe)], store=store, workers=0, quiet=True).trained == 0
    assert run.ensure([tiny(epochs=6, recipe=recipe)], store=store, workers=0, quiet=True).trained == 1
    assert store.get(long) is not None  # what the shorter one had besides is kept


def test_trials_of_one_key_and_several_lengths_are_trained_once(store, tiny):
    from easel.train import ensure as run

    asked = [tiny(epochs=1, views=("test:50",)), tiny(epochs=3), tiny(epochs=2, views=("online@2",))]
    ledgers = run.ensure_each(asked, store=store, workers=0, quiet=True)
    assert [ledger.epochs for ledger in ledgers] == [1, 3, 2]
    assert store.keys() == [tiny().key]
    assert np.array_equal(ledgers[1].correct()[:, :1], ledgers[0].correct())


def test_a_record_joined_from_two_lengths_serves_what_it_has(store, tiny):
    store.put(train(tiny(epochs=1, views=("test:50",), record=("margin",))))
    store.put(train(tiny(epochs=3)))
    assert store.get(tiny(epochs=1, views=("test:50",), record=("margin",))) is not None
    assert store.get(tiny(epochs=3)) is not None
    assert store.get(tiny(epochs=2, views=("test:50",))) is None
    assert store.get(tiny(epochs=2, record=("margin",))) is None


def test_what_nobody_reads_is_not_judged(store, tiny):
    record = train(tiny(epochs=3, judged=False, views=("test:50@3", "train@3"), also=("probability@2",)))
    assert {n: len(a) for n, a in record.arrays.items() if a.ndim == 2} == {
        "correct.test:50@3": 1,
        "correct.train@3": 1,
        "probability.train@2": 1,
    }
    whole = train(tiny(epochs=3))
    assert np.array_equal(record.correct("train@3"), whole.correct()[2:])
    assert np.array_equal(record.arrays["loss"], whole.arrays["loss"])
    with pytest.raises(UserError, match="no view 'train'"):
        record.correct()
    store.put(record)
    assert store.get(tiny(epochs=3)) is None
    assert store.get(tiny(epochs=3, judged=False)) is not None
    assert store.read(record.key).trial == record.trial.joined(tiny(epochs=3, judged=False, record=("probability@2",)))


def test_a_quantity_that_is_welcome_but_not_needed_trains_nothing_anew(store, tiny):
    from easel.train import ensure as run

    store.put(train(tiny()))
    asked = tiny(also=("probability@1",))
    assert run.ensure([asked], store=store, workers=0, quiet=True).trained == 0
    assert run.ensure([tiny(record=("probability@1",))], store=store, workers=0, quiet=True).trained == 1
    kept = store.get(asked).values("probability", "train@1")
    assert kept.shape == (1, 100)
    assert np.abs(kept - np.exp(-train(tiny(record=("loss",))).values("loss")[:1])).max() < 0.5 / 255 + 1e-3


def test_a_diverged_record_serves_the_epochs_before_it_diverged(store, tiny):
    wild = {"recipe": Recipe(precision="fp32", learning_rate=1e3, optimizer="sgd")}
    record = train(tiny(epochs=30, **wild))
    assert record.status == "diverged"
    assert 2 < record.epochs < 30
    store.put(record)
    good = tiny(epochs=record.epochs - 1, **wild)
    assert store.get(good).to_bytes() == train(good).to_bytes()
    assert store.get(good).status == "complete"
    assert store.get(tiny(epochs=record.epochs, **wild)).status == "diverged"
    assert store.get(tiny(epochs=300, **wild)).status == "diverged"


def test_a_view_that_a_diverged_trial_did_not_live_to_see_leaves_its_ledger_whole(store, tiny):
    """It was looked for among the epochs there are, and no trial of the same ledger could be read."""
    from easel.train import ensure as run

    wild = Recipe(precision="fp32", learning_rate=1e30, optimizer="sgd")
    trials = [tiny(epochs=5, views=("test:50@5",)), tiny(1, epochs=5, views=("test:50@5",), recipe=wild)]
    ledger = run.ensure(trials, store=store, workers=0, quiet=True)
    assert ([t.seed for t in ledger.trials], [t.seed for t in ledger.diverged]) == ([0], [1])
    assert ledger.diverged[0].views == ()


def test_what_hardware_without_promised_bits_trains_anew_serves_what_was_there_too(store, tiny, monkeypatch):
    """A short record in other bits took the place of a longer one, which was then trained again, and so on."""
    from easel.train import ensure as run, gpu

    other = train(tiny(epochs=4))
    other.arrays["correct.train"] = ~other.arrays["correct.train"]
    store.put(other)
    monkeypatch.setattr(run, "device", lambda engine="local": "cuda")
    monkeypatch.setattr(run, "precision", lambda name="auto": "fp32")
    together = gpu.train_together
    monkeypatch.setattr(gpu, "train_together", lambda todo, on, *rest: together(todo, "cpu", *rest))
    asked = tiny(epochs=1, views=("test:50",))
    assert run.ensure([asked], store=store, quiet=True).trained == 1
    assert run.ensure([asked, tiny(epochs=1)], store=store, quiet=True).trained == 0
    assert run.ensure([tiny(epochs=4)], store=store, quiet=True).trained == 0


def test_packs_are_taken_record_by_record(store, tiny, tmp_path):
    first, second, third = (train(tiny(seed=s)) for s in range(3))
    other = train(tiny(seed=1))
    other.arrays["correct.train"] = ~other.arrays["correct.train"]  # as from hardware that adds in another order
    store.put(first)
    store.put(other)
    pack = tmp_path / "trained.zip"
    assert write_pack([first, second, third, train(tiny(seed=3))], pack) == 4
    taken = store.take(pack)
    assert (taken.new, taken.here, taken.apart, taken.bad) == (2, 1, [second.key[:12]], [])
    assert store.read(second.key).to_bytes() == other.to_bytes()  # neither joined nor overwritten
    assert store.take(pack).new == 0
    reader = Store(tmp_path / "elsewhere", released=tmp_path)
    assert reader.get(tiny(seed=1)).to_bytes() == second.to_bytes()
    with zipfile.ZipFile(pack, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr(f"{third.key}.npz", third.to_bytes()[:-9])
    taken = Store(tmp_path / "third").take(pack)
    assert taken.new == 3
    assert [name.partition(" ")[0] for name in taken.bad] == [third.key[:12]] * len(taken.bad) != []
    for wrong in ("no.zip", "text.zip", "empty"):
        (tmp_path / "text.zip").write_bytes(b"PK but no pack")
        (tmp_path / "empty").mkdir(exist_ok=True)
        with pytest.raises(UserError, match=wrong):
            store.take(tmp_path / wrong)


def test_records_of_an_older_version_get_the_keys_they_have_now_and_no_bit_changes(store):
    """Two of the three are one trial of two lengths, as format 2 kept them apart."""
    older = Path(__file__).with_name("records_of_format_2.zip")
    assert store.take(older).new == 3
    assert len(store.keys()) == 2
    with zipfile.ZipFile(older) as archive:
        names = [name for name in archive.namelist() if name.endswith(".npz")]
        assert len(names) == 3
        for name in names:
            before = unpack(archive.read(name))
            identity = json.loads(before.pop("meta").tobytes())["identity"]
            assert f"{hashlib.sha256(canonical(identity)).hexdigest()}.npz" == name
            epochs = identity.pop("epochs")
            after = store.read(hashlib.sha256(canonical(identity)).hexdigest()).cut(epochs)
            assert after.identity == identity
            for array, values in before.items():
                assert np.array_equal(after.arrays[array], values)
                assert after.arrays[array].dtype == values.dtype


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


def test_one_trial_given_four_times_counts_once(store, tiny):
    from easel.train import ensure as run

    ledger = run.ensure([tiny()] * 4, store=store, workers=0, quiet=True)
    assert (len(ledger), ledger.trained, ledger.reused, len(ledger.keys)) == (1, 1, 0, 1)
    assert ledger.correct().shape == (1, 2, 100)
    (each,) = run.ensure_each([tiny()] * 3, store=store, workers=0, quiet=True)
    assert (len(each), each.trained, each.reused) == (1, 0, 1)


def test_a_ledger_of_diverged_trials_only_says_so(tiny):
    ledger = Ledger([train(tiny(recipe=Recipe(precision="fp32", learning_rate=1e30, optimizer="sgd")))])
    asks = [lambda name=name: getattr(ledger, name) for name in ("epochs", "examples", "ids", "labels", "loss")]
    for ask in (*asks, ledger.correct, lambda: ledger.values("loss")):
        with pytest.raises(UserError, match="all of its trials diverged: take a lower learning rate"):
            ask()
    with pytest.raises(UserError, match="it was made of none"):
        _ = Ledger([]).labels
    for wrong in (5, ["a record"], None):
        with pytest.raises(UserError, match="it takes"):
            Ledger(wrong)


def test_trials_of_different_examples_do_not_share_a_ledger(tiny):
    with pytest.raises(UserError, match="same examples"):
        Ledger([train(tiny()), train(tiny(images=90))])
    with pytest.raises(UserError, match="epochs"):
        Ledger([train(tiny()), train(replace(tiny(), epochs=1))])


def test_a_full_cifar_ledger_is_small(tmp_path):
    """20 trials x 10 epochs x 50,000 images: what a record keeps, and what the ledger unpacks."""
    rng = np.random.default_rng(0)
    packed = rng.integers(0, 256, (10, 6250), dtype=np.uint8)
    identity = {"model": "wrn-16-4", "seed": 0, "fingerprint": "f", "edit": None}
    arrays = {"correct.train": packed, "loss": np.zeros(10, np.float32)}
    records = [Record(str(i), identity, {}, {"train": "f"}, "complete", 50_000, arrays) for i in range(20)]
    assert len(records[0].to_bytes()) < 64_000
    correct = Ledger(records).correct()
    assert correct.shape == (20, 10, 50_000)
    assert correct.nbytes == 10_000_000
