"""Arrays and data sets of other libraries become one file, which is a data set like any other."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from easel.data import sets
from easel.data.arrays import save_arrays
from easel.errors import UserError
from easel.ledger.store import Store
from easel.train import ensure as run

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
