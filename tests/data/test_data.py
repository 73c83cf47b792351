"""Names, splits, subsets, fingerprints; and CIFAR-10, checked before it is read and never executed."""

import ast
import hashlib
import io
import json
import os
import pickle
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import easel.data
from easel import files
from easel.data import download, own, patterns, published, sets
from easel.data.published import PUBLISHED
from easel.errors import UserError
from easel.files import data_dir
from easel.ledger.trial import Trial
from easel.train import ensure

CIFAR = PUBLISHED["cifar10"]


@pytest.fixture
def real():
    """The folder that holds the real CIFAR-10."""
    root = data_dir()
    if not CIFAR.complete(root):
        pytest.skip(f"no CIFAR-10 in {root}: run easel data cifar10, or set EASEL_DATA")
    return root


@pytest.fixture(scope="module")
def drawn():
    return sets.load("patterns")


@pytest.fixture
def no_network(monkeypatch):
    """Every mirror refuses at once: port 9 of this machine, where nobody listens."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("EASEL_MIRRORS", "http://127.0.0.1:9/a/ http://127.0.0.1:9/b/")
    monkeypatch.setattr(download, "_REFUSED", set())


def refusal(call, *arguments, **options) -> str:
    with pytest.raises(UserError) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# the room's face -----------------------------------------------------------------------------------------------------


def test_the_rooms_words_are_there_and_torch_is_not_imported_before_one_is_used():
    code = (
        "import sys, easel.data as d; assert 'torch' not in sys.modules; assert all(hasattr(d, w) for w in d.__all__)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert easel.data.load is sets.load
    assert {"load", "subset", "choose", "describe", "Dataset", "Name", "register_set"} <= set(dir(easel.data))
    with pytest.raises(AttributeError, match="nothing"):
        _ = easel.data.nothing


def test_every_public_definition_of_the_room_says_what_it_is():
    for path in Path(easel.data.__file__).parent.glob("*.py"):
        tree, kinds = ast.parse(path.read_text()), ast.FunctionDef | ast.ClassDef
        found = [node for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")]
        found += [
            node for one in found if isinstance(one, ast.ClassDef) for node in one.body if isinstance(node, kinds)
        ]
        assert [one.name for one in found if not one.name.startswith("_") and not ast.get_docstring(one)] == []
        assert ast.get_docstring(tree)


# names, splits -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cifar", "CIFAR10", "", "imagenet", 7, None, float("nan")])
def test_an_unknown_name_is_answered_with_the_names_there_are(name):
    for call in (sets.load, sets.choose, sets.describe):
        message = refusal(call, name)
        assert all(known in message for known in sets.names())
        assert "slash" in message


def test_an_unknown_split_is_answered_with_the_splits_there_are():
    assert "train, test, merged" in refusal(sets.load, "patterns", "val")


def test_a_second_load_is_the_same_object(drawn):
    assert sets.load("patterns@32") is drawn


def test_merged_is_train_then_test(drawn):
    test, merged = sets.load("patterns", "test"), sets.load("patterns", "merged")
    assert len(merged) == 12_000
    assert (merged.ids == np.arange(12_000)).all()
    assert torch.equal(merged.images[:10_000], drawn.images)
    assert torch.equal(merged.labels[10_000:], test.labels)
    assert (merged.kinds[10_000:] == test.kinds).all()


def test_what_a_data_set_is_made_of(drawn):
    assert (drawn.name, drawn.split, len(drawn)) == ("patterns", "train", 10_000)
    assert drawn.images.dtype == torch.uint8
    assert drawn.images.is_contiguous()
    assert drawn.labels.dtype == torch.int64
    assert drawn.ids.dtype == np.int64
    assert drawn.notice.startswith("patterns: ")
    assert "easel data cifar10" in drawn.notice


def test_mean_and_std_are_those_of_the_whole_training_split(drawn):
    pixels = drawn.images.double() / 255
    assert np.allclose(drawn.mean, pixels.mean((0, 2, 3)), atol=6e-5)
    assert np.allclose(drawn.std, pixels.std((0, 2, 3), correction=0), atol=6e-5)
    assert sets.load("patterns", "test").mean == drawn.mean
    assert drawn.take([0, 1]).std == drawn.std


def test_images_can_be_brought_to_another_size(drawn):
    small = sets.load("patterns@16", "test")
    assert small.images.shape == (2_000, 3, 16, 16)
    plain = sets.load("patterns", "test").images.float().mean((2, 3))
    assert (small.images.float().mean((2, 3)) - plain).abs().max() < 2


def test_patterns_are_drawn_without_any_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("EASEL_DATA", str(tmp_path / "nowhere"))
    sets._load.cache_clear()
    assert len(sets.load("patterns")) == 10_000
    assert not (tmp_path / "nowhere").exists()


# names with a size ---------------------------------------------------------------------------------------------------


def test_pixels_after_the_name_are_the_side_and_the_name_stays_plain(drawn):
    large = sets.load("patterns@48", "test")
    assert large.images.shape == (2_000, 3, 48, 48)
    assert (large.name, large.classes, large.notice) == ("patterns", drawn.classes, drawn.notice)
    assert large is sets.load(sets.Name("patterns", 48), "test")
    assert sets.load("patterns@32") is sets.load("patterns")
    plain = sets.load("patterns", "test")
    assert torch.equal(large.labels, plain.labels)
    assert (large.images.float().mean((2, 3)) - plain.images.float().mean((2, 3))).abs().max() < 2
    assert sets.load("patterns@16", "merged").images.shape == (12_000, 3, 16, 16)


ODD = ("", " ", "cifar10\n", "cifar10@\u0661\u0666", "cifar10@\u00b2", "cifar10@" + "9" * 5000, "cifar10\0", "\ud800")


def test_only_an_at_and_digits_at_the_end_are_a_size():
    assert sets.Name.of("cifar10@64") == sets.Name("cifar10", 64) == sets.Name.of(sets.Name("cifar10", 64))
    assert sets.Name.of("cifar10") == ("cifar10", None)
    assert sets.Name.of("./me@home/birds@96") == ("./me@home/birds", 96)
    assert sets.Name.of("./birds@96/") == ("./birds@96/", None)
    assert sets.Name.of("./birds@large") == ("./birds@large", None)
    assert sets.Name.of("./birds@48@96") == ("./birds@48", 96)
    assert str(sets.Name.of("patterns@064")) == "patterns@64"
    for name in ("cifar10@", "cifar10@x", "cifar10@6.4", "cifar10@-8", "cifar10@64 ", "cifar10@8@64", "@64", *ODD):
        assert "no data set" in refusal(sets.Name.of, name)


@pytest.mark.parametrize("end", ["@7", "@0", "@513", "@999999999"])
def test_a_size_after_the_name_out_of_range_is_refused_by_every_caller(end):
    for call in (sets.load, sets.Name.of, sets.choose, sets.describe):
        assert "a whole number of pixels from 8 to 512" in refusal(call, "patterns" + end)
    assert "8 to 512" in refusal(sets.choose, "photographs" + end)


def test_a_chosen_and_a_described_name_keep_their_size():
    assert sets.choose("patterns@16") == "patterns@16"
    assert len(sets.load("patterns@16")) == 10_000
    facts = sets.describe("patterns@16")
    assert (facts["name"], facts["size"], facts["ready"]) == ("patterns@16", 16, True)
    assert facts["fingerprint"] == sets.load("patterns@16").fingerprint


def test_images_too_many_for_this_machine_at_a_size_are_refused_before_they_are_made(drawn, monkeypatch):
    monkeypatch.setattr(sets.os, "sysconf", lambda name: 10_000)  # 100 MB
    assert sets.load("patterns@9").images.shape[-1] == 9
    assert "patterns: 10000 images of 512x512 take 7.3 GiB" in refusal(sets.load, "patterns@512")


def test_a_choice_is_made_by_choose_alone():
    for name in ("auto", "photographs", "photographs@48"):
        for call in (sets.load, sets.Name.of, sets.describe):
            assert "choose" in refusal(call, name)


def test_photographs_are_the_users_imagenet_else_tiny_imagenet_else_drawn(tmp_path, monkeypatch, no_network):
    monkeypatch.setenv("EASEL_DATA", str(tmp_path))
    monkeypatch.delenv("EASEL_IMAGENET", raising=False)
    monkeypatch.setattr(download, "fetch", lambda *a, **k: pytest.fail("downloaded"))
    monkeypatch.setattr(download, "fetch_within", lambda *a, **k: pytest.fail("downloaded"))

    def lay(folder, classes):
        for split in ("train", "val"):
            for k, name in enumerate(classes):
                (folder / split / name).mkdir(parents=True)
                Image.new("RGB", (64, 64), (20 * k, 0, 0)).save(folder / split / name / "0.png")

    assert sets.choose("photographs@48") == "patterns@48"
    lay(tmp_path / "tiny-imagenet-10", PUBLISHED["tiny-imagenet-10"].classes)
    assert sets.choose("photographs@48") == "tiny-imagenet-10@48"
    assert sets.choose("photographs") == "tiny-imagenet-10"
    tiny = sets.load("tiny-imagenet-10@48")
    assert tiny.images.shape == (10, 3, 48, 48)
    assert "stand in for its mini ImageNet" in tiny.notice
    assert "\n" not in tiny.notice
    assert len(set(PUBLISHED["tiny-imagenet-10"].classes) & set(sets.MINI_IMAGENET)) == 2  # as the notice says
    lay(tmp_path / "imagenet", sets.MINI_IMAGENET)
    assert sets.choose("photographs@48") == "mini-imagenet@48"
    assert sets.load("mini-imagenet@48").images.shape == (10, 3, 48, 48)
    monkeypatch.setenv("EASEL_IMAGENET", str(tmp_path / "elsewhere"))
    assert str(tmp_path / "elsewhere") in refusal(sets.choose, "photographs@48")


def test_auto_keeps_its_size(tmp_path, monkeypatch, no_network):
    monkeypatch.setenv("EASEL_DATA", str(tmp_path))
    assert sets.choose("auto@64", wait_s=0) == "patterns@64"


# rows, fingerprints, subsets -----------------------------------------------------------------------------------------


def test_taken_rows_keep_their_ids_labels_and_kinds(drawn):
    some = drawn.take([7, 3, 9_999])
    assert some.ids.tolist() == [7, 3, 9_999]
    assert torch.equal(some.images[1], drawn.images[3])
    assert some.labels.tolist() == drawn.labels[[7, 3, 9_999]].tolist()
    assert some.kinds.tolist() == drawn.kinds[[7, 3, 9_999]].tolist()
    assert some.take([2]).ids.tolist() == [9_999]
    mask = np.arange(10_000) % 5_000 == 1
    for index in (mask, torch.from_numpy(mask), torch.tensor([1, 5_001]), slice(1, None, 5_000)):
        assert drawn.take(index).fingerprint == drawn.take([1, 5_001]).fingerprint


def test_the_fingerprint_is_the_contents_and_nothing_else():
    images = torch.arange(2 * 3 * 4 * 4, dtype=torch.uint8).reshape(2, 3, 4, 4)
    labels = torch.tensor([0, 1])
    mark = sets.fingerprint(images, labels, ("a", "b"))
    expected = hashlib.sha256(b"((2, 3, 4, 4), ('a', 'b'))" + bytes(range(96)) + bytes([0] * 8 + [1] + [0] * 7))
    assert mark == expected.hexdigest()
    turned = images.clone()
    turned[1, 2, 3, 3] ^= 1
    others = [(turned, labels, ("a", "b")), (images, labels.flip(0), ("a", "b")), (images, labels, ("a", "c"))]
    others.append((images.reshape(2, 3, 2, 8), labels, ("a", "b")))
    assert len({mark, *(sets.fingerprint(*other) for other in others)}) == 5
    strided = images.contiguous(memory_format=torch.channels_last)
    assert sets.fingerprint(strided, labels, ("a", "b")) == mark


def test_a_subset_has_as_many_of_every_class_in_official_order(drawn):
    part = sets.subset(drawn, 2_000, seed=4)
    assert part.labels.bincount().tolist() == [200] * 10
    assert (np.diff(part.ids) > 0).all()
    assert torch.equal(part.images, drawn.images[part.ids])


def test_what_does_not_divide_is_shared_as_equally_as_can_be(drawn):
    counts = sets.subset(drawn, 1_234).labels.bincount()
    assert sorted(counts.tolist()) == [123] * 6 + [124] * 4
    few = drawn.take(np.flatnonzero((drawn.labels != 3).numpy() | (np.arange(10_000) < 50)))
    threes = int((few.labels == 3).sum())
    counts = sets.subset(few, 1_000).labels.bincount().tolist()
    assert counts.pop(3) == threes < 20
    assert max(counts) - min(counts) <= 1
    assert sum(counts) + threes == 1_000


def test_a_subset_is_its_seed_and_a_smaller_one_lies_in_a_larger(drawn):
    first, again, other = (sets.subset(drawn, 500, seed).ids for seed in (0, 0, 1))
    assert (first == again).all()
    assert len(np.intersect1d(first, other)) < 100  # 25 expected
    assert np.isin(first, sets.subset(drawn, 777, 0).ids).all()
    assert hashlib.sha256(first.astype("<i8")).hexdigest()[:16] == "e10ba13efae32760"


def test_all_of_them_is_the_data_set_itself(drawn):
    assert sets.subset(drawn, None) is drawn
    assert sets.subset(drawn, 10_000) is drawn


@pytest.mark.parametrize("images", [10_001, 9, 0, -1, 2.0, "100", True, float("nan")])
def test_subsets_that_cannot_be(drawn, images):
    message = refusal(sets.subset, drawn, images)
    assert "10000" in message
    assert repr(images) in message or str(images) in message


@pytest.mark.parametrize("seed", [-1, 0.5, "0", None])
def test_a_subset_seed_is_a_whole_number_from_0(drawn, seed):
    assert "whole number from 0" in refusal(sets.subset, drawn, 100, seed)


# CIFAR-10's bytes ----------------------------------------------------------------------------------------------------


def batch(**changes) -> bytes:
    """A small pickle as CIFAR-10's: protocol 2, byte strings by Python 2's opcodes, one uint8 array."""
    pixels = changes.pop("pixels", bytes(range(6)))
    shape = b"K\x02K\x03\x86"
    name = changes.pop("name", b"cnumpy.core.multiarray\n_reconstruct\n")
    dtype = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = name + b"cnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01" + shape + dtype
    array += b"\x89T" + len(pixels).to_bytes(4, "little") + pixels + b"tb"
    return b"\x80\x02}q\x01(U\x06labelsq\x02](K\x06K\x09eU\x04data" + array + b"u."


def test_the_small_batch_of_these_tests_is_a_pickle_and_is_read_as_pickle_reads_it():
    table = published.read_cifar_pickle(batch())
    assert table["labels"] == [6, 9]
    assert table["data"].tolist() == [[0, 1, 2], [3, 4, 5]]
    theirs = pickle.loads(batch().replace(b"numpy.core", b"numpy._core"), encoding="bytes")
    assert theirs[b"labels"] == table["labels"]
    assert (theirs[b"data"] == table["data"]).all()


class Evil:
    """Unpickled, it makes a folder: a harmless stand-in for anything at all."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_malicious_pickle_is_refused_and_never_run(tmp_path, protocol):
    trap = pickle.dumps({b"data": Evil(tmp_path / "sprung"), b"labels": []}, protocol)
    refusal(published.read_cifar_pickle, trap)
    assert not (tmp_path / "sprung").exists()
    pickle.loads(trap)  # it would have worked
    assert (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    "name",
    [b"cposix\nsystem\n", b"cbuiltins\neval\n", b"cnumpy.core.multiarray\nfromfile\n", b"cnumpy\nload\n"],
)
def test_no_global_but_numpys_array_is_accepted(name):
    assert "which no CIFAR batch does" in refusal(published.read_cifar_pickle, batch(name=name))


@pytest.mark.parametrize("end", [0, 1, 2, 10, 40, 90, -30, -8, -1])
def test_a_pickle_cut_short_is_refused(end):
    refusal(published.read_cifar_pickle, batch()[:end])


def test_random_damage_to_a_pickle_is_refused_or_read_but_nothing_else():
    rng = np.random.default_rng(3)
    whole = np.frombuffer(batch(), np.uint8)
    for _ in range(3_000):
        damaged = whole.copy()
        damaged[rng.integers(0, len(whole), 3)] = rng.integers(0, 256, 3)
        try:
            assert isinstance(published.read_cifar_pickle(damaged.tobytes()), dict)
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017 - either outcome is right, a third is not


def test_wrong_bytes_are_refused_before_a_byte_is_interpreted(tmp_path, monkeypatch):
    folder = tmp_path / CIFAR.folder
    folder.mkdir()
    for split in CIFAR.files.values():
        for file, _ in split:
            (folder / file).write_bytes(pickle.dumps(Evil(tmp_path / "sprung"), 2))
    monkeypatch.setattr(
        published, "read_cifar_pickle", lambda content: pytest.fail("interpreted before it was checked")
    )
    monkeypatch.setenv("EASEL_DATA", str(tmp_path))
    found = hashlib.md5((folder / "data_batch_1").read_bytes()).hexdigest()
    message = refusal(sets.load, "cifar10")
    assert str(folder / "data_batch_1") in message
    assert found in message
    assert "c99cafc152244af753f735de768cd75f" in message
    assert "easel data cifar10" in message
    assert not (tmp_path / "sprung").exists()


def test_right_bytes_that_are_no_batch_are_refused_by_name(tmp_path, monkeypatch):
    folder = tmp_path / CIFAR.folder
    folder.mkdir()
    (folder / "test_batch").write_bytes(batch())
    known = replace(CIFAR, files=CIFAR.files | {"test": (("test_batch", hashlib.md5(batch()).hexdigest()),)})
    assert f"{folder / 'test_batch'}: not a CIFAR-10 batch" in refusal(known.read, known, tmp_path, "test")


def archive(path, members):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return hashlib.md5(path.read_bytes()).hexdigest()


def test_only_the_known_names_leave_an_archive_and_only_as_files(tmp_path):
    good = hashlib.md5(b"good").hexdigest()
    members = {"../escaped": b"x", "/tmp/escaped": b"x", "in/other": b"x", "in/a": b"good", "in/b": None}
    digest = archive(tmp_path / "a.tar.gz", members)
    files = {"train": (("a", good), ("b", good))}
    replace(CIFAR, archive="a.tar.gz", md5=digest, folder="in", files=files, beside=()).lay(tmp_path)
    assert [p.name for p in (tmp_path / "in").iterdir()] == ["a"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tar.gz", "in"]


def test_an_archive_with_wrong_bytes_is_named_and_nothing_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setenv("EASEL_DATA", str(tmp_path))
    archive(tmp_path / CIFAR.archive, {f"{CIFAR.folder}/data_batch_1": b"x"})
    message = refusal(sets.load, "cifar10")
    assert str(tmp_path / CIFAR.archive) in message
    assert CIFAR.md5 in message
    assert not (tmp_path / CIFAR.folder).exists()


def test_without_data_and_network_auto_is_patterns_in_seconds_and_asked_once(tmp_path, monkeypatch, no_network):
    monkeypatch.setenv("EASEL_DATA", str(tmp_path))
    start = time.monotonic()
    assert sets.choose("auto") == "patterns"
    assert time.monotonic() - start < 10
    monkeypatch.setattr(download, "mirror_speeds", lambda *a, **k: pytest.fail("asked twice"))
    assert sets.choose("auto") == "patterns"


def test_without_data_and_network_cifar10_is_refused_with_every_mirror_named(tmp_path, monkeypatch, no_network):
    monkeypatch.setenv("EASEL_DATA", str(tmp_path))
    assert sets.choose("cifar10") == "cifar10"
    assert sets.describe("cifar10")["ready"] is False
    message = refusal(sets.load, "cifar10")
    assert "http://127.0.0.1:9/a/cifar-10-python.tar.gz: Connection refused" in message
    assert "http://127.0.0.1:9/b/cifar-10-python.tar.gz: Connection refused" in message
    assert "data/README.md" in message


def test_a_description_names_sizes_classes_and_place():
    facts = sets.describe("patterns")
    assert facts["images"] == {"train": 10_000, "test": 2_000}
    assert (facts["ready"], facts["size"], len(facts["classes"])) == (True, 32, 10)
    assert facts["fingerprint"] == sets.load("patterns").fingerprint


# the real CIFAR-10 ---------------------------------------------------------------------------------------------------


@pytest.mark.cifar
def test_cifar10_is_read_as_pickle_reads_it(real):
    train, test = sets.load("cifar10"), sets.load("cifar10", "test")
    for dataset, rows, file in ((train, slice(20_000, 30_000), "data_batch_3"), (test, slice(None), "test_batch")):
        theirs = pickle.loads((real / CIFAR.folder / file).read_bytes(), encoding="bytes")
        assert (dataset.images[rows].numpy().reshape(10_000, 3072) == theirs[b"data"]).all()
        assert dataset.labels[rows].tolist() == theirs[b"labels"]
    assert (len(train), len(test)) == (50_000, 10_000)
    assert train.mean == (0.4914, 0.4822, 0.4465)


@pytest.mark.cifar
def test_cifar10_has_the_official_class_names(real):
    meta = published.read_cifar_pickle(CIFAR.content(real, *CIFAR.beside[0]))
    assert tuple(meta["label_names"]) == sets.load("cifar10").classes


@pytest.mark.cifar
def test_cifar10s_fingerprint(real):
    assert sets.load("cifar10").fingerprint == "3c286bc61f5dcb7988ac7cb0b45b1a0f2364b0c1b415d9fe781f1ecfa020afb5"


@pytest.mark.cifar
def test_one_flipped_bit_in_a_batch_is_found_and_named(real, tmp_path, monkeypatch):
    folder = tmp_path / CIFAR.folder
    folder.mkdir()
    for split in CIFAR.files.values():
        for file, _ in split:
            os.symlink(real / CIFAR.folder / file, folder / file)
    bad = folder / "test_batch"
    bad.unlink()
    shutil.copy(real / CIFAR.folder / "test_batch", bad)
    with open(bad, "r+b") as file:
        file.seek(15_000_000)
        byte = file.read(1)[0]
        file.seek(15_000_000)
        file.write(bytes([byte ^ 4]))
    monkeypatch.setenv("EASEL_DATA", str(tmp_path))
    assert f"{bad}: wrong bytes" in refusal(sets.load, "cifar10", "test")


@pytest.mark.cifar
def test_an_archive_on_disk_is_unpacked_and_used(real, tmp_path, monkeypatch):
    names = [file for split in CIFAR.files.values() for file, _ in split]
    members = {f"{CIFAR.folder}/{n}": (real / CIFAR.folder / n).read_bytes() for n in names[-1:]}
    for name in names[:-1]:  # only one has to come out of the archive, which keeps this test short
        (tmp_path / CIFAR.folder).mkdir(exist_ok=True)
        os.symlink(real / CIFAR.folder / name, tmp_path / CIFAR.folder / name)
    monkeypatch.setitem(PUBLISHED, "cifar10", replace(CIFAR, md5=archive(tmp_path / CIFAR.archive, members)))
    monkeypatch.setenv("EASEL_DATA", str(tmp_path))
    assert sets.choose("auto") == "cifar10"
    assert len(sets.load("cifar10", "test")) == 10_000


# what a trial's key needs to know -------------------------------------------------------------------------------------


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
    sets._facts_of.cache_clear()
    sets._load.cache_clear()
    sets.part.cache_clear()


def unread(monkeypatch) -> None:
    for module, name in ((sets, "read_split"), (sets, "_load"), (own, "_opened"), (patterns, "draw")):
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
        found, examples = sets.facts_of(f"{folder}@12", images=4), trial.examples
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
    monkeypatch.setattr(sets, "_code", lambda: "other")
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
    assert sets._state("stl10")
    monkeypatch.setitem(published.PUBLISHED, "stl10", replace(published.PUBLISHED["stl10"], read=lambda *a: None))
    assert sets._state("stl10") == ""
