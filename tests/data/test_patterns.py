"""The embedded set: its bits are pinned, and every pattern is as frequent, as rare and as contradicted as promised."""

import hashlib

import numpy as np
import pytest

from easel.data import patterns

TRAIN = "4ccb7c3d590b5f90af4b524b87452cac8f2bb43e4c96c663175365539e38c504"


@pytest.fixture(scope="module")
def train():
    return patterns.draw("train")


def test_the_pixels_are_the_same_on_every_machine(train):
    images, labels, _ = train
    assert hashlib.sha256(images.tobytes() + labels.astype("<i8").tobytes()).hexdigest() == TRAIN
    assert images.shape == (10_000, 3, 32, 32)
    assert images.dtype == np.uint8
    assert labels.dtype == np.int64


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_class_has_75_10_and_15_percent_of_the_kinds(split):
    _, labels, kinds = patterns.draw(split)
    each = len(labels) // 10
    for label in range(10):
        mine = kinds[labels == label]
        assert [int((mine == kind).sum()) for kind in patterns.KINDS] == [each * s // 100 for s in (75, 10, 15)]


def test_a_drawing_depends_on_the_split_only(train):
    first, labels, _ = patterns.draw("test")
    again, _, _ = patterns.draw("test")
    assert (first == again).all()
    assert (train[0][:2_000] != first).any()
    assert (np.bincount(labels) == 200).all()


def test_no_two_images_are_alike(train):
    digests = {hashlib.md5(image.tobytes()).digest() for image in train[0]}
    assert len(digests) == len(train[0])


def test_neither_colour_nor_shape_tells_a_class_alone_but_the_pair_does():
    colours = [name.split()[0] for name in patterns.CLASSES]
    shapes = [name.split()[1] for name in patterns.CLASSES]
    assert {colours.count(c) for c in colours} == {2}
    assert {shapes.count(s) for s in shapes} == {2}
    assert len(set(patterns.CLASSES)) == 10


def test_an_emblem_belongs_to_one_class_and_each_of_its_cues_to_several():
    shape, colour, texture = patterns._EMBLEM_SHAPE, patterns._EMBLEM_COLOUR, patterns._EMBLEM_TEXTURE
    emblems = list(zip(shape.ravel(), colour.ravel(), texture.ravel(), strict=True))
    assert len(set(emblems)) == len(emblems) == 60
    assert shape.min() >= patterns.OWN_SHAPES
    for cue in (shape, colour, texture):
        assert all(len(np.unique(np.nonzero(cue == value)[0])) >= 5 for value in np.unique(cue))


def test_a_scene_is_shared_by_two_classes_unlike_in_colour_and_shape():
    shown = [pair for *_, pair in patterns.SCENES]
    assert sorted(label for pair in shown for label in pair) == list(range(10))
    for a, b in shown:
        assert not set(patterns.CLASSES[a].split()) & set(patterns.CLASSES[b].split())


def nearest_mean_accuracy(train, test, kind):
    """Share of the kind's test images whose coarse picture is nearest to that of their own class' frequent images."""
    coarse = [x.reshape(-1, 3, 4, 8, 4, 8).mean((3, 5)).reshape(len(x), -1) for x in (train[0], test[0])]
    means = np.stack([coarse[0][(train[1] == c) & (train[2] == "frequent")].mean(0) for c in range(10)])
    rows = test[2] == kind
    nearest = ((coarse[1][rows, None] - means) ** 2).sum(-1).argmin(1)
    return (nearest == test[1][rows]).mean()


def test_what_frequent_images_teach_helps_with_frequent_images_only(train):
    """A rule that knows each class' average frequent picture is above chance on these, at chance on the rare ones."""
    test = patterns.draw("test")
    assert nearest_mean_accuracy(train, test, "frequent") > 0.20
    assert abs(nearest_mean_accuracy(train, test, "rare") - 0.10) < 0.09  # 3 sd of 200 draws at .10, and a bit


def test_the_loud_scene_narrows_it_to_two_classes_and_no_further(train):
    """By the scene's average colours a contradicted image goes to its pair, and inside the pair to either."""
    test = patterns.draw("test")
    means, rows = [], train[2] == "contradicted"
    colour = train[0][rows].mean((2, 3))
    spread = train[0][rows].std((2, 3))
    seen = np.concatenate([colour, spread], 1)
    means = np.stack([seen[train[1][rows] == c].mean(0) for c in range(10)])
    rows = test[2] == "contradicted"
    seen = np.concatenate([test[0][rows].mean((2, 3)), test[0][rows].std((2, 3))], 1)
    guess = ((seen[:, None] - means) ** 2).sum(-1).argmin(1)
    pair_of = patterns._SCENE_OF
    truth = test[1][rows]
    in_pair = pair_of[guess] == pair_of[truth]
    assert in_pair.mean() > 0.8
    assert 0.35 < (guess == truth)[in_pair].mean() < 0.75
