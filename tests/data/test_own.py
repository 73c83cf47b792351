"""Somebody's own images: folders read as an eye sees them, in a fixed order, and refused in one line that names what is
wrong; arrays and data sets of other libraries become one file, which is a data set like any other.
"""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from easel.data import own, sets
from easel.data.own import save_arrays
from easel.errors import UserError
from easel.ledger.store import Store
from easel.train import ensure as run


def save(path: Path, pixels, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(np.asarray(pixels))
    image.save(path, **options)
    return path


def flat(colour=(200, 10, 60), size=(8, 8)) -> Image.Image:
    return Image.new("RGB", size, colour)


def a_set(root: Path, splits=("train", "val"), classes=("ant", "bee"), count=2, size=(16, 16)) -> Path:
    for s, split in enumerate(splits):
        for c, name in enumerate(classes):
            for k in range(count):
                save(root / split / name / f"{k}.png", flat((50 * s, 100 * c, 20 * k), size))
    return root


def one_line(caught) -> str:
    message = str(caught.value)
    assert "\n" not in message
    return message


def refused(path, split="train") -> str:
    with pytest.raises(UserError) as caught:
        sets.load(str(path), split)
    return one_line(caught)


# what is read --------------------------------------------------------------------------------------------------------


def test_ids_follow_class_name_and_then_file_name(tmp_path):
    for name, level in (("b/2.png", 4), ("b/10.png", 3), ("a/z.png", 2), ("a/B.PNG", 1), ("a/deep/c.png", 0)):
        save(tmp_path / "train" / name, flat((level, 0, 0)))
    (tmp_path / "train/a/notes.txt").write_text("not an image")
    (tmp_path / "train/a/.hidden.png").write_bytes(b"")
    (tmp_path / "train/.cache").mkdir()
    dataset = sets.load(str(tmp_path))
    assert dataset.classes == ("a", "b")
    assert dataset.images[:, 0, 0, 0].tolist() == [1, 0, 2, 3, 4]
    assert dataset.labels.tolist() == [0, 0, 0, 1, 1]
    assert dataset.ids.tolist() == [0, 1, 2, 3, 4]


def test_val_is_the_test_split_and_merged_is_train_then_test(tmp_path):
    root = a_set(tmp_path)
    train, test, merged = (sets.load(str(root), split) for split in sets.SPLITS)
    assert test.images[0, 0, 0, 0] == 50
    assert len(merged) == len(train) + len(test) == 8
    assert merged.ids.tolist() == list(range(8))
    assert (merged.images[4:] == test.images).all()
    assert test.mean == train.mean == merged.mean


def test_test_serves_where_there_is_no_val(tmp_path):
    assert len(sets.load(str(a_set(tmp_path, splits=("train", "test"))), "test")) == 4


def test_a_changed_folder_is_read_again_and_an_unchanged_one_is_not(tmp_path):
    root = a_set(tmp_path)
    first = sets.load(str(root))
    assert sets.load(str(root)) is first
    save(root / "train/ant/9.png", flat((9, 9, 9), (16, 16)))
    assert len(sets.load(str(root))) == len(first) + 1


def test_the_side_is_the_images_own_where_they_share_one_else_224(tmp_path):
    assert sets.load(str(a_set(tmp_path / "same", size=(20, 12)))).images.shape[-2:] == (12, 12)
    save(a_set(tmp_path / "mixed") / "train/ant/0.png", flat(size=(17, 17)))
    assert sets.load(str(tmp_path / "mixed")).images.shape[-2:] == (224, 224)
    assert sets.load(sets.Name(f"{tmp_path}/mixed", 10)).images.shape[-2:] == (10, 10)
    assert sets.load(f"{tmp_path}/mixed@10").images.shape[-2:] == (10, 10)
    assert sets.load(str(a_set(tmp_path / "large", size=(600, 300)))).images.shape[-2:] == (224, 224)


def test_a_folder_whose_own_name_ends_like_a_size_is_meant_by_a_slash_after_it(tmp_path):
    root = a_set(tmp_path / "set@24")
    assert sets.load(f"{root}/").images.shape[-2:] == (16, 16)
    assert sets.load(f"{root}@24").images.shape[-2:] == (24, 24)
    assert sets.choose(f"{root}@24") == f"{root}@24"
    assert sets.describe(f"{root}@24")["images"] == {"train": 4, "test": 4}
    assert "no such folder" in refused(root)


def test_the_centre_is_cut_out_of_a_long_image(tmp_path):
    pixels = np.zeros((8, 24, 3), np.uint8)
    pixels[:, 8:16] = (10, 200, 30)
    path = save(tmp_path / "long.png", pixels)
    assert (own.picture_of(path, 8) == (10, 200, 30)).all()


def test_an_image_of_the_asked_size_keeps_its_pixels(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert (own.picture_of(save(tmp_path / "a.png", pixels), 16) == pixels).all()


def test_one_pixel_and_extreme_shapes_are_stretched_not_refused(tmp_path):
    assert (own.picture_of(save(tmp_path / "1.png", flat(size=(1, 1))), 32) == (200, 10, 60)).all()
    assert own.picture_of(save(tmp_path / "2.png", flat(size=(1, 3000))), 64).shape == (64, 64, 3)


def test_a_set_of_one_pixel_images_gets_the_smallest_side(tmp_path):
    dataset = sets.load(str(a_set(tmp_path, size=(1, 1))))
    assert dataset.images.shape == (4, 3, 8, 8)
    assert (dataset.images[1] == torch.tensor([0, 0, 20], dtype=torch.uint8)[:, None, None]).all()
    assert sets.load(f"{tmp_path}@32").images.shape == (4, 3, 32, 32)


def sixteen_bit_png(path: Path, pixels: np.ndarray) -> Path:
    """Pillow writes no 16-bit colour; pixels: (height, width, 3 or 4) uint16."""
    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    blocks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    packed = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in blocks)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))
    return path


def test_sixteen_bits_of_colour_keep_their_upper_eight(tmp_path):
    levels = np.arange(16 * 16 * 3, dtype=np.uint16).reshape(16, 16, 3) * 85  # 0..65195
    assert (own.picture_of(sixteen_bit_png(tmp_path / "rgb.png", levels), 16) == levels >> 8).all()
    opaque = np.concatenate([levels, np.full((16, 16, 1), 65535, np.uint16)], 2)
    assert (own.picture_of(sixteen_bit_png(tmp_path / "rgba.png", opaque), 16) == levels >> 8).all()


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    ramp = np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16)
    for name in ("grey.png", "grey.tif"):
        got = own.picture_of(save(tmp_path / name, ramp), 16)
        assert (got == np.arange(256, dtype=np.uint8).reshape(16, 16, 1)).all()


def test_32_bit_pixels_are_refused_because_nobody_knows_their_range(tmp_path):
    path = save(tmp_path / "deep.tif", np.full((4, 4), 0.5, np.float32))
    with pytest.raises(UserError, match=r"deep\.tif: F pixels, 32 bits a channel"):
        own.picture_of(path, 4)


def test_grey_cmyk_palette_and_black_and_white_become_rgb(tmp_path):
    grey = own.picture_of(save(tmp_path / "g.png", flat().convert("L")), 8)
    assert (grey == grey[..., :1]).all()
    cmyk = own.picture_of(save(tmp_path / "c.jpg", flat((255, 0, 0)).convert("CMYK"), quality=95), 8)
    assert (abs(cmyk.astype(int) - (255, 0, 0)) < 8).all()
    palette = own.picture_of(save(tmp_path / "p.gif", flat((0, 0, 255)).convert("P")), 8)
    assert (palette == (0, 0, 255)).all()
    assert (own.picture_of(save(tmp_path / "1.png", flat((255, 255, 255)).convert("1")), 8) == 255).all()


def test_transparency_lies_on_white(tmp_path):
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert (own.picture_of(save(tmp_path / "a.png", clear), 8) == 255).all()
    keyed = Image.new("P", (8, 8), 3)
    keyed.putpalette([0, 0, 0] * 256)
    assert (own.picture_of(save(tmp_path / "p.png", keyed, transparency=3), 8) == 255).all()
    grey = Image.new("LA", (8, 8), (0, 0))
    assert (own.picture_of(save(tmp_path / "la.png", grey), 8) == 255).all()


def test_the_orientation_in_exif_is_respected(tmp_path):
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4] = 255  # light above; orientation 6: the camera was turned, so the light is on the right
    exif = Image.Exif()
    exif[0x0112] = 6
    seen = own.picture_of(save(tmp_path / "t.png", pixels, exif=exif), 8)
    assert (seen[:, 4:] == 255).all()
    assert (seen[:, :4] == 0).all()


# what is refused -----------------------------------------------------------------------------------------------------


def test_a_missing_folder(tmp_path):
    assert "no such folder" in refused(tmp_path / "nowhere")


def test_a_folder_that_cannot_be_read(tmp_path, monkeypatch):
    root = a_set(tmp_path)

    def forbidden(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(own.os, "scandir", forbidden)
    assert f"{root}" in (message := refused(root))
    assert "no permission" in message


def test_a_file_or_an_impossible_name_in_place_of_the_folder(tmp_path):
    file = tmp_path / "file"
    file.write_text("x")
    assert "cannot be read" in refused(file)
    assert "cannot be read" in refused("./" + "a" * 300)
    assert "no zero byte" in refused("./a\0b")
    assert "cannot be read" in refused("./a\ud800b")


def test_a_folder_without_train_or_without_class_folders(tmp_path):
    assert "no folder train/" in refused(tmp_path)
    (tmp_path / "train").mkdir()
    assert "no class folders" in refused(tmp_path)


def test_a_split_that_is_not_there(tmp_path):
    root = a_set(tmp_path, splits=("train",))
    assert "no folder val/ or test/" in refused(root, "test")
    assert "no folder val/ or test/" in refused(root, "merged")


def test_a_class_folder_without_images_is_named(tmp_path):
    root = a_set(tmp_path)
    (root / "train/cat").mkdir()
    (root / "train/cat/readme.txt").write_text("soon")
    assert str(root / "train/cat") + ": no image" in refused(root)


def test_a_single_class(tmp_path):
    assert "only one class (ant)" in refused(a_set(tmp_path, classes=("ant",)))


def test_splits_of_different_classes(tmp_path):
    root = a_set(tmp_path)
    (root / "val/bee").rename(root / "val/wasp")
    message = refused(root)
    assert "bee is only in train/" in message
    assert "wasp is only in val/" in message


@pytest.mark.parametrize("keep", [0, 3, 200, -20])
def test_a_damaged_image_is_named(tmp_path, keep):
    root = a_set(tmp_path)
    noise = np.random.default_rng(1).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    bad = save(root / "train/bee/bad.jpg", noise, quality=95)
    bad.write_bytes(bad.read_bytes()[:keep])
    message = refused(f"{root}@16")
    assert str(bad) in message
    assert "not a readable image" in message


@pytest.mark.parametrize("suffix", ["png", "gif", "bmp", "webp", "tif", "ppm"])
def test_an_image_cut_short_is_named_in_every_format(tmp_path, suffix):
    noise = np.random.default_rng(1).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    bad = save(a_set(tmp_path) / f"train/bee/bad.{suffix}", noise)
    whole = bad.read_bytes()
    for end in (20, len(whole) // 2, len(whole) * 9 // 10):
        bad.write_bytes(whole[:end])
        assert f"{bad}: not a readable image" in refused(f"{tmp_path}@16")


def test_a_text_called_png_and_a_dangling_link_are_named(tmp_path):
    root = a_set(tmp_path)
    (root / "train/bee/t.png").write_text("hello")
    assert "t.png: not a readable image (not an image" in refused(root)
    (root / "train/bee/t.png").unlink()
    os.symlink("nowhere.png", root / "train/bee/gone.png")
    assert "gone.png: not a readable image (No such file" in refused(root)


@pytest.mark.timeout(20)
def test_a_pipe_was_waited_for_without_end_and_is_named_as_a_link_to_itself_is(tmp_path):
    root = a_set(tmp_path)
    os.mkfifo(root / "train/bee/pipe.png")
    assert "pipe.png: not a readable image (it is no ordinary file)" in refused(root)
    (root / "train/bee/pipe.png").unlink()
    os.symlink("self.png", root / "train/bee/self.png")
    assert "self.png: not a readable image (Too many levels" in refused(root)
    os.symlink("loop", tmp_path / "loop")
    assert "it is a link to itself" in refused(tmp_path / "loop")


def test_a_class_whose_name_is_no_text_failed_in_a_figure_and_is_refused_before_an_image_is_read(tmp_path):
    root = a_set(tmp_path)
    for split in ("train", "val"):
        (root / split / "bee").rename(root / split / os.fsdecode(b"b\xff"))
    assert r"the class folder 'b\udcff' has a name that is no UTF-8; rename it" in refused(root)


@pytest.mark.parametrize("size", [0, 7, 513])
def test_sizes_that_make_no_image(tmp_path, size):
    assert "8 to 512" in refused(f"{tmp_path}/x@{size}")


def test_more_pixels_than_memory_are_refused_before_any_is_read(tmp_path, monkeypatch):
    root = a_set(tmp_path)
    monkeypatch.setattr(sets.os, "sysconf", lambda name: 16)
    assert "smaller size" in refused(root)


# every kind of odd folder: right, refused, or said -------------------------------------------------------------------


def remark(path) -> str:
    return sets.load(str(path)).notice


def test_the_sum_of_a_folders_pixels_was_without_bound_and_is_refused_before_it_takes_an_hour(tmp_path, monkeypatch):
    monkeypatch.setattr(own, "PIXELS", 10**6)
    monkeypatch.setattr(own, "PER_BYTE", 20)
    decoded, real = [], own.squared
    monkeypatch.setattr(own, "squared", lambda *given: decoded.append(1) or real(*given))
    root = a_set(tmp_path / "bombs", splits=("train",), count=20, size=(1000, 1000))  # some 3 kB each
    assert "its 40 files say that they hold more than" in refused(root)
    assert len(decoded) < 20
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    for k in range(20):  # as many bytes as pixels: pictures
        save(tmp_path / "photographs/train" / "ab"[k % 2] / f"{k}.png", Image.fromarray(noise))
    assert len(sets.load(str(tmp_path / "photographs@32"))) == 20


@pytest.mark.parametrize("name", ["val", "valid", "validation", "test"])
def test_the_test_split_goes_by_several_names(tmp_path, name):
    assert len(sets.load(str(a_set(tmp_path, splits=("train", name))), "test")) == 4


def test_class_folders_without_splits_are_the_training_images(tmp_path):
    root = a_set(tmp_path, splits=("train",))
    bare = (root / "train").rename(tmp_path / "bare")
    assert sets.load(str(bare)).classes == ("ant", "bee")
    assert "no folder val/ or test/" in refused(bare, "test")


def test_a_share_of_every_class_is_held_out_where_there_is_no_test_split(tmp_path):
    root = a_set(tmp_path, splits=("train",), count=10)
    train, test = (sets.load(f"{root}~0.2", split) for split in ("train", "test"))
    assert np.bincount(train.labels).tolist() == [8, 8]
    assert np.bincount(test.labels).tolist() == [2, 2]
    seen = {image.numpy().tobytes() for image in train.images}
    assert not seen & {image.numpy().tobytes() for image in test.images}
    save(root / "train/ant/new.png", flat((1, 2, 3), (16, 16)))
    again = sets.load(f"{root}~0.2", "test")
    was = {image.numpy().tobytes() for image in test.images[2:]}
    assert was == {image.numpy().tobytes() for image in again.images[-2:]}  # the other class is as it was
    assert len(sets.load(f"{root}~0.2@8").images) == 17
    both = a_set(tmp_path / "both")
    assert "is the test split; --hold-out is for a folder without one" in refused(f"{both}~0.2")
    assert "--hold-out leaves none of it" in refused(f"{a_set(tmp_path / 'one', ('train',), count=1)}~0.2")


def test_a_flat_folder_with_a_table_of_labels(tmp_path):
    for name, level in (("x.png", 1), ("y.png", 2), ("sub/z.png", 3)):
        save(tmp_path / name, flat((level, 0, 0)))
    table = tmp_path / "labels.csv"
    table.write_text("label,file\nwasp,x.png\nant,sub/z.png\nwasp,y.png\n")
    found = sets.load(str(tmp_path))
    assert found.classes == ("ant", "wasp")
    assert found.images[:, 0, 0, 0].tolist() == [3, 1, 2]
    assert found.notice == ""
    table.write_text("id,what\nx.png,wasp\nnone.png,ant\ngone.png,ant\n")
    assert "names 2 files that are not there: none.png, gone.png" in refused(tmp_path)
    table.write_text("file,label\nx.png,wasp\n")
    assert "only one label" in refused(tmp_path)
    table.write_text("file\nx.png\n")
    assert "a header and rows of a file and its label are wanted" in refused(tmp_path)
    table.write_bytes("file,label\nx.png,Mücke\ny.png,ant\n".encode("cp1252"))
    assert "save it as CSV in UTF-8" in refused(tmp_path)
    table.write_text(f"file,label\n{tmp_path / 'x.png'},wasp\ny.png,ant\n")
    assert sets.own_files(sets.load(str(tmp_path))) == ["y.png", "x.png"]
    table.write_text("file,label\n/nowhere/x.png,wasp\ny.png,ant\n")
    assert "names 1 files that are not there: " in refused(tmp_path)


def test_labels_that_change_in_the_table_were_not_noticed_and_make_another_data_set(tmp_path):
    for name, level in (("x.png", 1), ("y.png", 2), ("z.png", 3)):
        save(tmp_path / name, flat((level, 0, 0)))
    table = tmp_path / "labels.csv"
    table.write_text("file,label\nx.png,wasp\ny.png,ant\nz.png,wasp\n")
    before = sets.facts_of(str(tmp_path))
    table.write_text("file,label\nx.png,ant\ny.png,wasp\nz.png,wasp\n")  # as many bytes, and no picture touched
    assert sets.facts_of(str(tmp_path)).fingerprint != before.fingerprint


def test_files_that_are_not_read_are_counted_by_kind_with_the_fix(tmp_path):
    root = a_set(tmp_path)
    for name in ("1.heic", "2.HEIC", "3.jxl"):
        (root / "train/ant" / name).write_bytes(b"x")
    assert remark(root) == "2 .heic files are not read (pip install pillow-heif reads them); 1 .jxl file is not read"


def test_avif_is_read_where_pillow_reads_it(tmp_path):
    if ".avif" not in own.SUFFIXES:
        pytest.skip("this Pillow was built without AVIF")
    save(a_set(tmp_path) / "train/ant/v.avif", flat(size=(16, 16)))
    assert len(sets.load(str(tmp_path))) == 5
    assert remark(tmp_path) == ""


def test_all_bad_files_are_named_at_once(tmp_path):
    root = a_set(tmp_path, count=3)
    for name in ("ant/0.png", "bee/2.png"):
        (root / "train" / name).write_text("no image")
    message = refused(root)
    assert "2 files are bad, repair them or take them away" in message
    assert "ant/0.png: not a readable image" in message
    assert "bee/2.png: not a readable image" in message
    for k in range(12):
        (root / f"train/ant/bad{k}.png").write_text("no image")
    assert "; and 6 more" in refused(root)


def test_an_odd_size_and_dark_pictures_of_16_bits_are_said(tmp_path):
    root = a_set(tmp_path / "odd", count=20)
    assert remark(root) == ""
    save(root / "train/ant/odd.png", flat(size=(24, 17)))
    said = remark(root)
    assert "1 of 41 pictures have another side than 16 pixels (first: odd.png)" in said
    assert "set the size of all to 224; @16 after the folder asks for theirs" in said
    dark = a_set(tmp_path / "dark")
    for k in range(2):
        save(dark / f"train/ant/deep{k}.png", np.full((16, 16), 4000, np.uint16))
    assert "2 pictures of 16 bits come out near black (first: deep0.png)" in remark(dark)


# the named folder sets -----------------------------------------------------------------------------------------------


def test_tiny_imagenet_10_has_readable_names(tmp_path, monkeypatch):
    monkeypatch.setenv("EASEL_DATA", str(tmp_path))
    a_set(
        tmp_path / "tiny-imagenet-10", classes=tuple(sets.PUBLISHED["tiny-imagenet-10"].classes), count=1, size=(64, 64)
    )
    dataset = sets.load("tiny-imagenet-10")
    assert dataset.classes[0] == "boa"
    assert dataset.classes[-1] == "bell pepper"
    assert dataset.images.shape == (10, 3, 64, 64)
    assert sets.choose("tiny-imagenet-10") == "tiny-imagenet-10"


def test_mini_imagenet_is_picked_out_of_a_full_imagenet(tmp_path, monkeypatch):
    monkeypatch.setenv("EASEL_IMAGENET", str(tmp_path))
    root = a_set(tmp_path, classes=(*sets.MINI_IMAGENET, "n00000001"), count=1, size=(256, 300))
    dataset = sets.load("mini-imagenet")
    assert dataset.classes == tuple(sets.MINI_IMAGENET.values())
    assert dataset.images.shape == (10, 3, 224, 224)
    for file in (root / "train/n04332243").iterdir():
        file.unlink()
    (root / "train/n04332243").rmdir()
    with pytest.raises(UserError, match="no class folder n04332243") as caught:
        sets.choose("mini-imagenet")
    one_line(caught)


def test_a_named_set_that_is_not_there_says_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("EASEL_DATA", str(tmp_path))
    monkeypatch.delenv("EASEL_IMAGENET", raising=False)
    with pytest.raises(UserError, match="no such folder") as caught:
        sets.choose("mini-imagenet")
    assert str(tmp_path / "imagenet") in one_line(caught)
    assert not sets.describe("mini-imagenet")["ready"]


# arrays, and the sets of other libraries ------------------------------------------------------------------------------


RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.integers(0, 256, (12, 16, 16, 3), np.uint8), np.arange(12) % 3


class Pairs(torch.utils.data.Dataset):
    """As torchvision's: indexed, with names of classes."""

    classes = ("ant", "bee", "cat")

    def __init__(self, make):
        self.make = make

    def __len__(self):
        return 12

    def __getitem__(self, i):
        return self.make(IMAGES[i]), int(LABELS[i])


FORMS = {
    "arrays": (IMAGES, LABELS),
    "channels first": (IMAGES.transpose(0, 3, 1, 2), LABELS),
    "pillow": Pairs(Image.fromarray),
    "tensors in 0..1": Pairs(lambda one: torch.from_numpy(one).permute(2, 0, 1) / 255),
    "dictionaries": [{"image": Image.fromarray(one), "label": k} for one, k in zip(IMAGES, LABELS, strict=True)],
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_images_are_the_same_data_set_in_whatever_form_they_came(tmp_path, form):
    path = save_arrays(tmp_path / "own.npz", FORMS[form], classes=Pairs.classes)
    found = sets.load(str(path))
    assert found.classes == ("ant", "bee", "cat")
    assert (found.images.numpy() == IMAGES.transpose(0, 3, 1, 2)).all()
    assert found.labels.tolist() == LABELS.tolist()
    assert found.fingerprint == sets.fingerprint(found.images, found.labels, Pairs.classes)
    assert sets.load(f"{path}@8").images.shape == (12, 3, 8, 8)


def test_trials_train_on_it_in_other_processes_and_there_may_be_a_test_split(tmp_path, tiny):
    path = save_arrays(tmp_path / "own.npz", Pairs(Image.fromarray), test=(IMAGES[:3], LABELS[:3]))
    assert len(sets.load(str(path), "test")) == 3
    assert sets.describe(str(path))["images"] == {"train": 12, "test": 3}
    ledger = run.ensure([tiny(data=str(path), images=None)], store=Store(tmp_path / "store"), workers=1, quiet=True)
    assert ledger.correct().shape == (1, 2, 12)


def test_grey_images_of_several_sizes_get_the_smallest_and_numbers_for_names(tmp_path):
    mixed = [(np.full((20, 30), 7, np.uint8), 0), (np.full((16, 16), 9, np.uint8), 1)]
    found = sets.load(str(save_arrays(tmp_path / "own.npz", mixed)))
    assert found.images.shape == (2, 3, 16, 16)
    assert found.images[:, 0, 0, 0].tolist() == [7, 9]
    assert found.classes == ("0", "1")


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([], "no images"),
        ([(np.zeros((8, 8), np.int32), 0)], r"an image of int32 and shape \(8, 8\)"),
        ([(np.zeros((8, 8, 5), np.uint8), 0)], r"shape \(8, 8, 5\)"),
        ([(np.zeros((8, 8), np.uint8), -1)], "label -1: a whole number from 0"),
        ([np.zeros(3)], "give pairs of an image and its label"),
    ],
)
def test_what_is_no_labelled_image_is_refused(tmp_path, pairs, said):
    with pytest.raises(UserError, match=said):
        save_arrays(tmp_path / "own.npz", pairs)


def test_a_file_made_to_fill_memory_is_refused_unread(tmp_path, monkeypatch):
    images = np.zeros((300, 3, 64, 64), np.uint8)
    np.savez_compressed(tmp_path / "a.npz", train_images=images, train_labels=np.arange(300) % 2, classes=["a", "b"])
    monkeypatch.setattr(os, "sysconf", lambda name: 1000)  # bytes of a page, and pages
    monkeypatch.setattr(np, "load", lambda *_, **__: pytest.fail("it was read"))
    with pytest.raises(UserError, match=r"a.npz: arrays take 0.0 GiB, this machine has 0.0; give fewer images"):
        sets.load(str(tmp_path / "a.npz"))


def test_a_file_that_is_not_ours_is_refused_in_one_line(tmp_path):
    with pytest.raises(UserError, match=r"must end in \.npz"):
        save_arrays(tmp_path / "own.zip", FORMS["arrays"])
    with pytest.raises(UserError, match="no such file"):
        sets.load(f"{tmp_path}/none.npz")
    (tmp_path / "bad.npz").write_text("no zip")
    with pytest.raises(UserError, match="not a file of easel"):
        sets.load(f"{tmp_path}/bad.npz")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(UserError, match="not a file of easel"):
        sets.load(f"{tmp_path}/other.npz")
    path = save_arrays(tmp_path / "own.npz", FORMS["arrays"])
    with pytest.raises(UserError, match="holds no test images"):
        sets.load(str(path), "test")
    with pytest.raises(UserError, match="2 names of classes for labels up to 2"):
        save_arrays(tmp_path / "own.npz", FORMS["arrays"], classes=("a", "b"))
