"""CIFAR-100, STL-10 and Tiny ImageNet: downloaded, checked before they are read, read in their order, right way up.

Small archives made here, on a web server on 127.0.0.1, stand in for the real ones; torchvision's readers are oracles.
"""

import hashlib
import io
import json
import os
import pickle
import shutil
import tarfile
import threading
import time
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch
from PIL import Image

from easel import cli, files
from easel.data import download, published, sets
from easel.data.published import PUBLISHED, Published
from easel.errors import UserError

ROWS = {"train": 120, "test": 100}
RNG = np.random.default_rng(0)
PIXELS = {split: RNG.integers(0, 256, (rows, 3072), dtype=np.uint8) for split, rows in ROWS.items()}
FINE = {split: RNG.permutation(np.arange(rows) % 100).tolist() for split, rows in ROWS.items()}
NAMES_100 = [f"class_{k}" for k in range(100)]


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def refusal(call, *arguments) -> str:
    with pytest.raises(UserError) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# small archives ------------------------------------------------------------------------------------------------------


def text(word: str) -> bytes:
    return b"U" + bytes([len(word)]) + word.encode()


def numbers(values: list[int]) -> bytes:
    return b"](" + b"".join(b"K" + bytes([value]) for value in values) + b"e"


def table(pixels: np.ndarray, fine: list[int], key: str = "fine_labels", fortran: bool = False) -> bytes:
    """A file as CIFAR-100's: protocol 2, Python 2's byte strings, one uint8 array; its superclasses are 0..19."""
    names = b"](" + b"".join(text(f"picture_{k}.png") for k in range(len(fine))) + b"e"
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
    array += b"M" + len(pixels).to_bytes(2, "little") + b"M\x00\x0c\x86"
    array += b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    content = pixels.tobytes(order="F" if fortran else "C")
    array += (b"\x88" if fortran else b"\x89") + b"T" + len(content).to_bytes(4, "little") + content + b"tb"
    parts = (("filenames", names), ("batch_label", text("training batch 1 of 1")), (key, numbers(fine)))
    parts += (("coarse_labels", numbers([k % 20 for k in fine])), ("data", array))
    return b"\x80\x02}q\x01(" + b"".join(text(name) + value for name, value in parts) + b"u."


def meta(names: list[str]) -> bytes:
    lists = (("fine_label_names", names), ("coarse_label_names", [f"group_{k}" for k in range(20)]))
    return b"\x80\x02}(" + b"".join(text(k) + b"](" + b"".join(map(text, v)) + b"e" for k, v in lists) + b"u."


def tar(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def stl_files() -> dict[str, bytes]:
    """Image k: k everywhere, but 255 in the upper half (rows 0..47) of its red; column by column, as published."""
    found = {}
    for split, rows in ROWS.items():
        images = np.repeat(np.arange(rows, dtype=np.uint8), 3 * 96 * 96).reshape(rows, 3, 96, 96)
        images[:, 0, :48] = 255
        found[f"{split}_X.bin"] = images.transpose(0, 1, 3, 2).tobytes()
        found[f"{split}_y.bin"] = (np.arange(rows) % 10 + 1).astype(np.uint8).tobytes()
    return found


def picture(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), (level, 255 - level, 9)).save(buffer, "JPEG")
    return buffer.getvalue()


def tiny_zip(leave_out: tuple[str, ...] = ()) -> bytes:
    """Eleven classes in the published layout, 2 images each to train on and 1 to test."""
    buffer, boxes = io.BytesIO(), []
    with zipfile.ZipFile(buffer, "w") as file:
        for c, wnid in enumerate((*PUBLISHED["tiny-imagenet-10"].classes, "n09999999")):
            for k in range(2):
                file.writestr(f"tiny-imagenet-200/train/{wnid}/images/{wnid}_{k}.JPEG", picture(20 * c + k))
            file.writestr(f"tiny-imagenet-200/train/{wnid}/{wnid}_boxes.txt", f"{wnid}_0.JPEG\t0\t0\t63\t63\n")
            boxes.append(f"val_{50 - c}.JPEG\t{wnid}\t0\t0\t63\t63\n")
            file.writestr(f"tiny-imagenet-200/val/images/val_{50 - c}.JPEG", picture(20 * c + 10))
        file.writestr("tiny-imagenet-200/val/val_annotations.txt", "".join(boxes))
        file.writestr("tiny-imagenet-200/test/images/test_0.JPEG", picture(3))
        file.writestr("../escaped.JPEG", b"x")
    return buffer.getvalue() if not leave_out else without(buffer.getvalue(), leave_out)


def without(zipped: bytes, names: tuple[str, ...]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(zipped)) as old, zipfile.ZipFile(buffer, "w") as new:
        for name in old.namelist():
            if not name.endswith(names):
                new.writestr(name, old.read(name))
    return buffer.getvalue()


class Host(BaseHTTPRequestHandler):
    """Serves the server's files by name, from the byte that is asked for."""

    def do_GET(self):
        content, asked = self.server.files.get(self.path.strip("/")), self.headers.get("Range")
        self.server.log.append((self.path.strip("/"), asked))
        if content is None:
            return self.send_error(404)
        start = int(asked[6:-1]) if asked else 0
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(content) - start))
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        self.wfile.write(content[start:])
        return None

    def log_message(self, *_):
        pass


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A mirror of the small archives, their digests in place of the published ones; the data folder is empty."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Host)
    server.files, server.log, server.folder = {}, [], tmp_path / "data"
    server.folder.mkdir()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()

    def offer(name: str, archive: bytes, **changes) -> None:
        server.files[PUBLISHED[name].archive] = archive
        changes |= {"md5": md5(archive), "bytes": len(archive)}
        monkeypatch.setitem(PUBLISHED, name, replace(PUBLISHED[name], **changes))

    def cifar_100(**changes: bytes) -> None:
        files = {split: table(PIXELS[split], FINE[split]) for split in ROWS} | {"meta": meta(NAMES_100)} | changes
        digests = {name: ((name, md5(content)),) for name, content in files.items()}
        extra = {"cifar-100-python/file.txt~": b"x", "../escaped": b"x"}
        archive = tar({f"cifar-100-python/{name}": content for name, content in files.items()} | extra)
        offer("cifar100", archive, files=digests, rows=ROWS)

    def stl_10(**changes: bytes) -> None:
        files = stl_files() | {f"{name}.bin": content for name, content in changes.items()}
        digests = {s: tuple((f"{s}_{kind}.bin", md5(files[f"{s}_{kind}.bin"])) for kind in "Xy") for s in ROWS}
        files = {"unlabeled_X.bin": b"many" * 1000} | files | {"class_names.txt": b"airplane\n"}
        archive = tar({f"stl10_binary/{name}": content for name, content in files.items()})
        offer("stl10", archive, files=digests, rows=ROWS)

    def tiny(archive: bytes | None = None, train: int = 2, test: int = 1) -> None:
        offer("tiny-imagenet-10", archive or tiny_zip(), rows={"train": 10 * train, "test": 10 * test})

    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("EASEL_DATA", str(server.folder))
    monkeypatch.setenv("EASEL_MIRRORS", f"http://127.0.0.1:{server.server_port}/")
    server.cifar_100, server.stl_10, server.tiny, server.offer = cifar_100, stl_10, tiny, offer
    cifar_100(), stl_10(), tiny()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def asked(host) -> list[str]:
    return [name for name, _ in host.log]


# the published digests -----------------------------------------------------------------------------------------------


def test_the_digests_are_torchvisions():
    from torchvision.datasets import CIFAR10, CIFAR100, STL10

    cifar10, cifar100, stl10 = (PUBLISHED[name] for name in ("cifar10", "cifar100", "stl10"))
    for ours, theirs in ((cifar10, CIFAR10), (cifar100, CIFAR100), (stl10, STL10)):
        assert (theirs.base_folder, theirs.filename, theirs.tgz_md5) == (ours.folder, ours.archive, ours.md5)
    batches = [[file, digest] for split in cifar10.files.values() for file, digest in split]
    assert batches == CIFAR10.train_list + CIFAR10.test_list
    assert cifar10.beside == ((CIFAR10.meta["filename"], CIFAR10.meta["md5"]),)
    theirs = CIFAR100.train_list + CIFAR100.test_list + [[CIFAR100.meta["filename"], CIFAR100.meta["md5"]]]
    assert [list(item) for split in cifar100.files.values() for item in split] == theirs
    assert [list(item) for item in stl10.files["train"]] == STL10.train_list[:2]  # the third is without labels
    assert [list(item) for item in stl10.files["test"]] == STL10.test_list


def test_the_page_in_the_data_folder_names_every_set_address_and_digest():
    page = (files.ROOT / "data" / "README.md").read_text(encoding="utf-8")
    for name in (*sets.names(), *sets.CHOICES):
        assert f"| `{name}` |" in page
    for one in PUBLISHED.values():
        assert f"| `{one.archive}` | `{one.md5}` |" in page
        assert all(f"({url})" in page for url in one.urls)


# CIFAR-100 -----------------------------------------------------------------------------------------------------------


def test_cifar100_is_downloaded_checked_and_read_in_its_order(host):
    assert sets.choose("cifar100@16") == "cifar100@16"
    assert not sets.describe("cifar100")["ready"]
    assert host.log == []  # choosing and describing download nothing
    train, test = sets.load("cifar100"), sets.load("cifar100", "test")
    for dataset, split in ((train, "train"), (test, "test")):
        assert (dataset.images.numpy().reshape(-1, 3072) == PIXELS[split]).all()
        assert dataset.labels.tolist() == FINE[split]
        assert dataset.ids.tolist() == list(range(ROWS[split]))
    assert train.classes == tuple(NAMES_100)
    assert np.allclose(train.mean, PIXELS["train"].reshape(-1, 3, 1024).mean((0, 2)) / 255, atol=6e-5)
    assert test.mean == train.mean
    assert sets.load("cifar100@16").images.shape == (120, 3, 16, 16)
    assert asked(host) == ["cifar-100-python.tar.gz"]
    assert sorted(p.name for p in (host.folder / "cifar-100-python").iterdir()) == ["meta", "test", "train"]
    assert not (host.folder.parent / "escaped").exists()


@pytest.mark.filterwarnings("ignore:numpy.core:DeprecationWarning")
def test_cifar100_is_what_torchvision_reads(host, monkeypatch):
    from torchvision.datasets import CIFAR100

    sets.load("cifar100")
    for field, file in (("train_list", "train"), ("test_list", "test")):
        monkeypatch.setattr(CIFAR100, field, [list(PUBLISHED["cifar100"].files[file][0])])
    monkeypatch.setattr(CIFAR100, "meta", CIFAR100.meta | {"md5": PUBLISHED["cifar100"].files["meta"][0][1]})
    for split in ROWS:
        ours, theirs = sets.load("cifar100", split), CIFAR100(host.folder, train=split == "train")
        assert (ours.images.numpy().transpose(0, 2, 3, 1) == theirs.data).all()
        assert ours.labels.tolist() == theirs.targets
        assert list(ours.classes) == theirs.classes


def test_cifar100s_array_may_lie_column_by_column(host):
    host.cifar_100(train=table(PIXELS["train"], FINE["train"], fortran=True))
    assert (sets.load("cifar100").images.numpy().reshape(-1, 3072) == PIXELS["train"]).all()


def test_the_parser_reads_what_python_2_may_have_written_one_by_one():
    one_by_one = b"\x80\x02}U\x01a](K\x01eU\x01b]K\x02asX\x02\x00\x00\x00\xc3\xa9K\x05s."
    assert published.read_cifar_pickle(b"\x80\x02}U\x01a]K\x01aK\x02as.") == {"a": [1, 2]}
    assert published.read_cifar_pickle(b"\x80\x02}X\x02\x00\x00\x00\xc3\xa9K\x05s.") == {"é": 5}
    refusal(published.read_cifar_pickle, one_by_one[:-4])


class Evil:
    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_a_malicious_file_is_refused_though_its_digest_were_right_and_never_run(host, tmp_path):
    for name in ("train", "meta"):
        host.cifar_100(**{name: pickle.dumps({b"data": Evil(tmp_path / "sprung")}, 2)})
        message = refusal(sets.load, "cifar100")
        assert f"cifar-100-python/{name}: not a file of CIFAR-100" in message
        assert "easel data cifar100" in message
        assert not (tmp_path / "sprung").exists()
        shutil.rmtree(host.folder / "cifar-100-python")
        (host.folder / "cifar-100-python.tar.gz").unlink()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("train", table(PIXELS["train"], FINE["train"], key="labels"), "fine_labels"),
        ("train", table(PIXELS["train"][:-1], FINE["train"]), "(119, 3072) pixels and (120,) labels, not 120 images"),
        ("train", table(PIXELS["train"], [100, *FINE["train"][1:]]), "not 120 images"),
        ("meta", meta(NAMES_100[:-1]), "99 names, not 100"),
        ("meta", meta([*NAMES_100[:-1], "class_0"]), "99 names, not 100"),
    ],
    ids=["no fine labels", "an image short", "label 100", "a name short", "a name twice"],
)
def test_a_file_that_is_not_cifar100s_is_named(host, name, content, said):
    host.cifar_100(**{name: content})
    message = refusal(sets.load, "cifar100")
    assert f"cifar-100-python/{name}: not a file of CIFAR-100" in message
    assert said in message


def test_a_cifar100_archive_with_a_wrong_checksum_is_refused_and_nothing_unpacked(host, monkeypatch):
    monkeypatch.setattr(
        published, "read_cifar_pickle", lambda content: pytest.fail("interpreted before it was checked")
    )
    archive = host.folder / PUBLISHED["cifar100"].archive
    for content in (
        host.files[PUBLISHED["cifar100"].archive][:-100],
        b"",
        host.files[PUBLISHED["cifar100"].archive][:-1] + b"x",
    ):
        archive.write_bytes(content)
        message = refusal(sets.load, "cifar100")
        assert f"{archive}: wrong bytes, MD5 is {md5(content)}, expected {PUBLISHED['cifar100'].md5}" in message
        assert "delete this file and run: easel data cifar100" in message
        facts = sets.describe("cifar100")
        assert not facts["ready"]
        assert "wrong bytes" in facts["where"]
    assert not (host.folder / "cifar-100-python").exists()
    assert host.log == []


def test_a_mirror_with_a_wrong_archive_is_refused_by_name(host):
    host.files[PUBLISHED["cifar100"].archive] = host.files[PUBLISHED["cifar100"].archive][:-1] + b"x"
    message = refusal(sets.load, "cifar100")
    assert "wrong bytes, MD5 is" in message
    assert "data/README.md" in message
    assert not (host.folder / PUBLISHED["cifar100"].archive).exists()


def test_one_wrong_byte_in_a_file_of_cifar100_is_found_before_it_is_interpreted(host, monkeypatch):
    sets.load("cifar100")
    path = host.folder / "cifar-100-python" / "test"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    monkeypatch.setattr(
        published, "read_cifar_pickle", lambda content: pytest.fail("interpreted before it was checked")
    )
    assert f"{path}: wrong bytes" in refusal(sets.load, "cifar100", "test")


# STL-10 --------------------------------------------------------------------------------------------------------------


def test_stl10_is_read_in_its_order_and_the_right_way_up(host):
    train, test = sets.load("stl10"), sets.load("stl10", "test")
    for dataset, split in ((train, "train"), (test, "test")):
        images = dataset.images.numpy()
        assert images.shape == (ROWS[split], 3, 96, 96)
        assert (images[:, 0, :48] == 255).all()  # the upper half, all columns
        assert (images[:, 0, 48:] == np.arange(ROWS[split])[:, None, None]).all()
        assert (images[:, 1:] == np.arange(ROWS[split])[:, None, None, None]).all()
        assert dataset.labels.tolist() == [k % 10 for k in range(ROWS[split])]
        assert dataset.images.is_contiguous()
    assert train.classes[:3] == ("airplane", "bird", "car")
    assert sets.load("stl10@32").images.shape == (120, 3, 32, 32)
    assert sorted(p.name for p in (host.folder / "stl10_binary").iterdir()) == sorted(stl_files())  # no unlabeled_X.bin


def test_stl10_is_what_torchvision_reads(host, monkeypatch):
    from torchvision.datasets import STL10

    sets.load("stl10")
    for split in ROWS:  # their list of training files without the one that has no labels
        monkeypatch.setattr(STL10, f"{split}_list", [list(item) for item in PUBLISHED["stl10"].files[split]])
    for split in ROWS:
        ours, theirs = sets.load("stl10", split), STL10(host.folder, split)
        assert (ours.images.numpy() == theirs.data).all()
        assert (ours.labels.numpy() == theirs.labels).all()


@pytest.mark.parametrize("file", ["train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin"])
def test_an_stl10_file_cut_short_is_named_with_both_sizes(host, file):
    sets.load("stl10")
    path = host.folder / "stl10_binary" / file
    whole = path.read_bytes()
    for end in (0, 1, len(whole) - 1):
        path.write_bytes(whole[:end])
        message = refusal(sets.load, "stl10", file[:-6])
        assert f"{path}: {end:,} bytes, expected {len(whole):,}" in message
        assert "cut short" in message
        assert "easel data stl10" in message
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert f"{path}: wrong bytes" in refusal(sets.load, "stl10", file[:-6])
    path.unlink()
    sets.load("stl10")  # out of the archive again
    assert path.read_bytes() == whole


def test_stl10_labels_beyond_ten_are_refused(host):
    host.stl_10(train_y=bytes([11]) * ROWS["train"])
    assert "train_y.bin: labels beyond 1..10" in refusal(sets.load, "stl10")


def test_an_stl10_archive_cut_short_is_refused_before_it_is_opened(host):
    archive = host.folder / PUBLISHED["stl10"].archive
    archive.write_bytes(host.files[PUBLISHED["stl10"].archive][:-9])
    assert f"{archive}: wrong bytes, MD5 is" in refusal(sets.load, "stl10")
    assert not (host.folder / "stl10_binary").exists()


# Tiny ImageNet -------------------------------------------------------------------------------------------------------


def test_easel_data_tiny_imagenet_10_downloads_and_lays_out_ten_classes(host, capsys):
    assert sets.choose("photographs") == "patterns"
    assert not sets.describe("tiny-imagenet-10")["ready"]
    assert host.log == []  # asking for photographs, or what there is, downloads nothing
    assert cli.main(["data", "tiny-imagenet-10", "--check"]) == 2
    assert "easel data tiny-imagenet-10" in capsys.readouterr().err
    assert cli.main(["data", "tiny-imagenet-10"]) == 0
    assert capsys.readouterr().out.startswith("tiny-imagenet-10  20 train, 10 test; 10 classes; 64x64;")
    assert cli.main(["data", "photographs@48"]) == 0
    assert capsys.readouterr().out.startswith("tiny-imagenet-10@48 20 train, 10 test; 10 classes; 48x48;")
    assert asked(host) == ["tiny-imagenet-200.zip"]
    assert sets.choose("photographs@48") == "tiny-imagenet-10@48"
    folder = host.folder / "tiny-imagenet-10"
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.JPEG"))
    assert len(files) == 30
    assert files[0] == "train/n01742172/n01742172_0.JPEG"
    assert (folder / "val/n01742172/val_50.JPEG").read_bytes() == picture(10)
    dataset = sets.load("tiny-imagenet-10")
    assert dataset.labels.tolist() == [label for label in range(10) for _ in range(2)]
    assert (
        abs(dataset.images[:, 0].float().mean((1, 2)).numpy() - [20 * c + k for c in range(10) for k in (0, 1)]) < 3
    ).all()
    assert sorted(path.name for path in host.folder.iterdir()) == ["tiny-imagenet-10", "tiny-imagenet-200.zip"]
    assert folder.stat().st_mode & 0o777 == (host.folder / "tiny-imagenet-10/train").stat().st_mode & 0o777


def test_a_trial_that_names_it_gets_it(host):
    assert len(sets.load("tiny-imagenet-10@16", "test")) == 10
    assert asked(host) == ["tiny-imagenet-200.zip"]


def test_the_real_folder_is_what_unpacking_makes_of_its_files_in_the_published_layout(host, monkeypatch):
    """Ids are by file name: with the same names and bytes, the fingerprint is the same. 30 files of a class will do."""
    real = files.ROOT / "data" / "tiny-imagenet-10"
    if not real.is_dir():
        pytest.skip(f"no {real}: run easel data tiny-imagenet-10")
    train, val = ([p for c in sorted(real.glob(f"{s}/*")) for p in sorted(c.iterdir())[:30]] for s in ("train", "val"))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for path in reversed(train):
            file.write(path, f"tiny-imagenet-200/train/{path.parent.name}/images/{path.name}")
        for path in sorted(val, key=lambda path: path.name):
            file.write(path, f"tiny-imagenet-200/val/images/{path.name}")
        rows = "".join(f"{path.name}\t{path.parent.name}\t0\t0\t63\t63\n" for path in reversed(val))
        file.writestr("tiny-imagenet-200/val/val_annotations.txt", rows)
    host.tiny(buffer.getvalue(), train=30, test=30)
    (host.folder / PUBLISHED["tiny-imagenet-10"].archive).write_bytes(host.files[PUBLISHED["tiny-imagenet-10"].archive])
    PUBLISHED["tiny-imagenet-10"].lay(host.folder)
    ours = host.folder / "tiny-imagenet-10"
    laid = {path.relative_to(ours): path.read_bytes() for path in ours.rglob("*.*")}
    assert laid == {path.relative_to(real): path.read_bytes() for path in train + val}
    assert len(laid) == 600


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("n03970156_1.JPEG", "1 images of n03970156 for train/, not 2"),
        ("val_50.JPEG", "0 images of n01742172 for val/, not 1"),
        ("val_annotations.txt", "0 images of n01742172 for val/, not 1"),
    ],
)
def test_a_tiny_imagenet_archive_that_lacks_images_is_refused_and_leaves_no_folder(host, gone, said):
    host.tiny(tiny_zip(leave_out=(gone,)))
    assert said in refusal(sets.load, "tiny-imagenet-10")
    assert [path.name for path in host.folder.iterdir()] == ["tiny-imagenet-200.zip"]


def test_a_tiny_imagenet_archive_with_wrong_bytes_or_no_zip_is_refused(host):
    archive = host.folder / PUBLISHED["tiny-imagenet-10"].archive
    archive.write_bytes(host.files[PUBLISHED["tiny-imagenet-10"].archive][:-9])
    assert f"{archive}: wrong bytes, MD5 is" in refusal(sets.load, "tiny-imagenet-10")
    host.tiny(b"no zip at all")
    archive.write_bytes(b"no zip at all")
    assert f"{archive}: cannot be unpacked into" in refusal(sets.load, "tiny-imagenet-10")
    assert [path.name for path in host.folder.iterdir()] == ["tiny-imagenet-200.zip"]


def test_two_processes_may_lay_out_tiny_imagenet_at_once(host, monkeypatch):
    (host.folder / PUBLISHED["tiny-imagenet-10"].archive).write_bytes(host.files[PUBLISHED["tiny-imagenet-10"].archive])
    places = published._places

    def while_the_other_finishes(this, zipped):
        monkeypatch.setattr(published, "_places", places)
        PUBLISHED["tiny-imagenet-10"].lay(host.folder)
        return places(this, zipped)

    monkeypatch.setattr(published, "_places", while_the_other_finishes)
    PUBLISHED["tiny-imagenet-10"].lay(host.folder)
    assert sorted(path.name for path in host.folder.iterdir()) == ["tiny-imagenet-10", "tiny-imagenet-200.zip"]
    assert len(sets.load("tiny-imagenet-10")) == 20


# a set of one's own -------------------------------------------------------------------------------------------------


def grey(this: Published, root, split: str):
    """A file of one byte an image, its grey; its label is whether that is bright."""
    ((file, digest),) = this.files[split]
    levels = np.frombuffer(this.content(root, file, digest), np.uint8)
    images = np.broadcast_to(levels[:, None, None, None], (len(levels), 3, this.side, this.side)).copy()
    return images, (levels >= 128).astype(np.int64), this.classes


def test_a_set_is_added_from_outside_by_one_literal_and_a_reader(host, monkeypatch):
    levels = {"train": bytes(range(0, 256, 8)), "test": bytes([3, 250])}
    archive = tar({f"greys/{split}.bin": content for split, content in levels.items()})
    host.files["greys.tar.gz"] = archive
    mine = Published(
        name="greys",
        archive="greys.tar.gz",
        md5=md5(archive),
        bytes=len(archive),
        urls=("https://example.org/greys.tar.gz",),
        folder="greys",
        side=16,
        rows={split: len(content) for split, content in levels.items()},
        classes=("dark", "bright"),
        files={split: ((f"{split}.bin", md5(content)),) for split, content in levels.items()},
        read=grey,
        notice="greys: drawn by a test",
    )
    try:
        assert published.register_set(mine) is mine
        assert sets.names()[-2:] == ("greys", "mini-imagenet")
        assert "greys" in refusal(sets.load, "grays")
        assert "easel data greys gets it" in sets.describe("greys")["where"]
        dataset = sets.load("greys@8")
        assert dataset.images[:, 0, 0, 0].tolist() == list(range(0, 256, 8))
        assert (dataset.images.shape[-1], dataset.classes) == (8, ("dark", "bright"))
        assert asked(host) == ["greys.tar.gz"]
        assert sets.describe("greys")["images"] == {"train": 32, "test": 2}
        assert sets.choose("greys") == "greys"
        brighter = published.register_set(replace(mine, read=lambda *a: (grey(*a)[0] | 1, *grey(*a)[1:])))
        assert sets.load("greys@8").images[0].min() == 1  # another reader: read again
        assert "taken by greys.tar.gz" in refusal(published.register_set, replace(brighter, md5="0" * 32))
    finally:
        PUBLISHED.pop("greys", None)


@pytest.mark.parametrize("name", ["", "a/b", "a@8", "a b", "auto", "patterns", "mini-imagenet"])
def test_a_set_needs_a_name_that_is_one_word_of_its_own(name):
    assert repr(name) in refusal(lambda: replace(PUBLISHED["stl10"], name=name))


def test_a_set_has_a_reader_or_lays_folders():
    assert "function read" in refusal(lambda: replace(PUBLISHED["stl10"], read=None))
    assert "lays folders" in refusal(lambda: replace(PUBLISHED["stl10"], read=None, files={}))


# all of them ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cifar100", "stl10", "tiny-imagenet-10"])
def test_a_download_that_broke_off_goes_on_where_it_was(host, name):
    archive = PUBLISHED[name].archive
    half = len(host.files[archive]) // 2
    (host.folder / f"{archive}.part").write_bytes(host.files[archive][:half])
    sets.load(name)
    assert host.log == [(archive, f"bytes={half}-")]


@pytest.mark.parametrize("name", ["cifar100", "stl10", "tiny-imagenet-10"])
def test_an_archive_laid_there_by_hand_is_enough(host, name):
    archive = PUBLISHED[name].archive
    (host.folder / archive).write_bytes(host.files[archive])
    assert sets.describe(name)["ready"]
    assert host.log == []


@pytest.mark.parametrize("name", ["cifar100", "stl10", "tiny-imagenet-10"])
def test_without_network_a_published_set_is_refused_with_the_mirror_named(host, name, monkeypatch):
    monkeypatch.setenv("EASEL_MIRRORS", "http://127.0.0.1:9/")
    message = refusal(sets.load, name)
    assert str(host.folder / PUBLISHED[name].archive) in message
    assert f"http://127.0.0.1:9/{PUBLISHED[name].archive}: Connection refused" in message


def test_auto_never_asks_for_anything_but_cifar10(host, monkeypatch):
    monkeypatch.setattr(published.download, "_REFUSED", set())
    assert sets.choose("auto") == "patterns"
    assert set(asked(host)) == {"cifar-10-python.tar.gz"}


def test_unpacking_onto_a_full_disk_is_one_line(host, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(published.Path, "write_bytes", full)
    assert "No space left on device); make room" in refusal(sets.load, "stl10")
    assert "No space left on device" in refusal(sets.load, "tiny-imagenet-10")


def test_what_a_killed_unpacking_left_is_swept_by_the_next(host):
    for name, dated in ((".stl10.x.part", 1), (".new.x.part", time.time())):
        (files.data_dir() / name).mkdir(parents=True)
        (files.data_dir() / name / "half.bin").write_bytes(b"half")
        os.utime(files.data_dir() / name, (dated, dated))
    sets.load("stl10")
    assert [path.name for path in files.data_dir().glob(".*.part")] == [".new.x.part"]


# the real ones, where they are ---------------------------------------------------------------------------------------


@pytest.mark.cifar
def test_the_real_cifar100():
    if not PUBLISHED["cifar100"].complete(files.data_dir()):
        pytest.skip(f"no CIFAR-100 in {files.data_dir()}: run easel data cifar100")
    train, test = sets.load("cifar100"), sets.load("cifar100", "test")
    assert (len(train), len(test)) == (50_000, 10_000)
    assert [train.classes[label] for label in train.labels[:3]] == ["cattle", "dinosaur", "apple"]
    assert train.labels.bincount().tolist() == [500] * 100


@pytest.mark.cifar
def test_the_real_stl10():
    if not PUBLISHED["stl10"].complete(files.data_dir()):
        pytest.skip(f"no STL-10 in {files.data_dir()}: run easel data stl10")
    train, test = sets.load("stl10"), sets.load("stl10", "test")
    assert train.labels.bincount().tolist() == [500] * 10
    assert test.labels.bincount().tolist() == [800] * 10


# scores of others -----------------------------------------------------------------------------------------------------


LABELS = np.arange(10_000) % 10


@pytest.fixture
def publisher(monkeypatch, tmp_path):
    """A server that has files = {name: bytes}, named in EASEL_MIRRORS; EASEL_DATA is an empty folder."""
    files = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            content = files.get(self.path.rpartition("/")[2])
            if content is None:
                return self.send_error(404)
            self.send_response(200)
            self.end_headers()
            return self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    monkeypatch.setattr(download, "PATIENCE", download.Patience(connect=1.0, stall=0.5))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("EASEL_MIRRORS", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("EASEL_DATA", str(tmp_path / "data"))
    yield files
    server.shutdown()
    server.server_close()
    thread.join()


def archive(**arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def human_file(old: bool, **arrays) -> bytes:
    buffer = io.BytesIO()
    torch.save(arrays, buffer, _use_new_zipfile_serialization=not old)
    return buffer.getvalue()


def named(split: str = "train", n: int = 40):
    """Images drawn by code under CIFAR-10's name, whose labels are LABELS."""
    drawn = sets.subset(sets.load("patterns"), n)
    labels = torch.from_numpy(LABELS[drawn.ids])
    return sets.replace(drawn, name="cifar10", split=split, labels=labels)


@pytest.mark.parametrize("old", [False, True])
def test_human_labels_come_as_their_authors_file_and_are_counted(publisher, old):
    given = {name: LABELS.copy() for name in published.HUMAN}
    data = named()
    first, second = data.ids[:2]
    given["random_label1"][first] += 1
    for name in published.ANNOTATORS:
        given[name][second] += 1
    publisher["CIFAR-10_human.pt"] = human_file(old, **given)
    assert cli.main(["data", "cifar10n"]) == 0
    people = published.scores(data)["people"]
    assert people.tolist() == [2, 0] + [3] * 38
    assert set(published.human_labels(data)) == {*published.HUMAN} - {"clean_label"}


def test_c_scores_are_read_in_the_order_of_the_images(publisher):
    publisher["cifar10-cscores-orig-order.npz"] = archive(labels=LABELS, scores=np.linspace(0, 1, len(LABELS)))
    assert cli.main(["data", "c-scores"]) == 0
    data = named()
    assert np.allclose(published.scores(data)["c-score"], data.ids / (len(LABELS) - 1))
    assert published.scores(named("test")) == {}
    assert published.scores(sets.subset(sets.load("patterns"), 40)) == {}


def test_reviews_are_of_the_test_images_that_were_suspected(publisher):
    data = named("test")
    votes = {"given": 1, "guessed": 2, "neither": 1, "both": 1}
    rows = [{"id": int(at), "given_original_label": int(LABELS[at]), "mturk": votes} for at in data.ids[[3, 8]]]
    publisher["cifar10_mturk.json"] = json.dumps([*rows, rows[0] | {"id": 9_999, "given_original_label": 9}]).encode()
    assert cli.main(["data", "label-errors"]) == 0
    seen = published.scores(data)["reviewers"]
    assert np.flatnonzero(~np.isnan(seen)).tolist() == [3, 8]
    assert seen[3] == 0.4
    assert published.scores(named()) == {}


class Hostile:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize(
    ("name", "file", "content"),
    [
        ("c-scores", "cifar10-cscores-orig-order.npz", b"<html>please log in</html>"),
        ("c-scores", "cifar10-cscores-orig-order.npz", archive(labels=LABELS, scores=LABELS[:-1] / 10)),
        ("c-scores", "cifar10-cscores-orig-order.npz", archive(labels=LABELS)),
        ("c-scores", "cifar10-cscores-orig-order.npz", archive(scores=np.array([None]), labels=np.array([Hostile()]))),
        ("cifar10n", "CIFAR-10_human.pt", human_file(False, clean_label=Hostile())),
        ("cifar10n", "CIFAR-10_human.pt", human_file(True, clean_label=Hostile())),
        ("cifar10n", "CIFAR-10_human.pt", human_file(False, clean_label=LABELS)),
        ("label-errors", "cifar10_mturk.json", b'[{"id": 1}]'),
        ("label-errors", "cifar10_mturk.json", b"[" * 100_000),
    ],
)
def test_a_file_that_is_another_is_refused_in_one_line_and_not_kept(publisher, tmp_path, capsys, name, file, content):
    publisher[file] = content
    assert cli.main(["data", name]) == 2
    out, err = capsys.readouterr()
    assert "not the file that was expected" in err
    assert err.count("\n") == 1
    assert "executed" not in out
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_without_a_network_it_says_so_and_other_orders_are_refused(publisher, monkeypatch, capsys):
    monkeypatch.setenv("EASEL_MIRRORS", "http://127.0.0.1:9/")
    assert cli.main(["data", "c-scores"]) == 2
    assert "could not be downloaded" in capsys.readouterr().err
    assert cli.main(["data"]) == 0
    assert "c-scores          C-scores: Z. Jiang et al." in capsys.readouterr().out
    path = download.Path(download.os.environ["EASEL_DATA"])
    path.mkdir(exist_ok=True)
    (path / "cifar10-cscores-orig-order.npz").write_bytes(archive(labels=LABELS + 1, scores=LABELS / 10))
    with pytest.raises(UserError, match="its labels are not CIFAR-10's in its order"):
        published.scores(named())


def test_more_than_a_small_file_is_left(publisher, monkeypatch, capsys):
    monkeypatch.setattr(download, "SMALL_FILE", 1000)
    publisher["cifar10-cscores-orig-order.npz"] = bytes(5000)
    assert cli.main(["data", "c-scores"]) == 2
    assert "more than" in capsys.readouterr().err


def test_people_who_all_name_another_class_contradict_a_label(tmp_path, monkeypatch):
    labels = np.array([0, 1, 2, 3])
    people = {"random_label1": [0, 2, 5, 3], "random_label2": [1, 2, 6, 3], "random_label3": [1, 2, 7, 9]}
    human = {name: np.array(given) for name, given in people.items()}
    assert published.contradicted(human, labels).tolist() == [False, True, True, False]
    monkeypatch.setenv("EASEL_DATA", str(tmp_path))
    drawn = sets.subset(sets.load("patterns"), 100)
    assert published.human_labels(drawn) is None
    named = sets.replace(drawn, name="cifar10")
    assert published.human_labels(named) is None  # no file
    whole = np.zeros(10_000, np.uint8)
    whole[drawn.ids] = drawn.labels.numpy()
    np.savez(tmp_path / "cifar10n.npz", clean_label=whole, aggre_label=whole + 1)
    assert (published.human_labels(named)["aggre_label"] == drawn.labels.numpy() + 1).all()
    np.savez(tmp_path / "cifar10n.npz", clean_label=whole + 1, aggre_label=whole)
    with pytest.raises(UserError, match="its labels are not CIFAR-10's in its order"):
        published.human_labels(named)
