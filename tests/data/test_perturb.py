"""Each change is the paper's, pixel by pixel, and as a trial's view costs no second training."""

import hashlib
import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
import torch

from easel.data import changes, sets as data
from easel.errors import UserError
from easel.train import ensure as run
from easel.train.batches import stream
from easel.train.loop import Run, train


def draw(n=5, height=32, width=32, seed=0):
    """Noise, which fills all frequencies and goes to both ends of the scale, and a picture's edge."""
    images = torch.randint(0, 256, (n, 3, height, width), dtype=torch.uint8, generator=stream(seed, "test"))
    images[0, :, : height // 2] = 255
    images[0, :, height // 2 :] = 0
    return images


# ---- colour --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", ["0", "0.1", "0.3", "0.5", "0.75", "0.9", "1"])
def test_colour_is_equation_3_in_exact_arithmetic(alpha):
    images, a = draw(2, 6, 6), Fraction(alpha)
    for image, changed in zip(images.tolist(), changes.colour(images, float(alpha)).tolist(), strict=True):
        for row in range(6):
            for column in range(6):
                pixel = [image[c][row][column] for c in range(3)]
                grey = Fraction(sum(pixel), 3)
                wanted = [math.floor(a * x + (1 - a) * grey + Fraction(1, 2)) for x in pixel]
                assert [changed[c][row][column] for c in range(3)] == wanted


def test_colour_rounds_every_exact_half_up():
    reds = torch.arange(256, dtype=torch.uint8)
    images = torch.stack([reds, reds, torch.zeros_like(reds)]).view(1, 3, 16, 16)
    changed = changes.colour(images, 0.5).view(3, 256)  # red: x/2 + x/3 = 5x/6, a half for x = 3, 9, 15, ...
    assert changed[0].tolist() == [math.floor(Fraction(5 * x, 6) + Fraction(1, 2)) for x in range(256)]


def test_colour_0_is_grey_and_colour_1_is_the_image():
    images = draw()
    grey = changes.colour(images, 0)
    assert torch.equal(grey[:, 0], grey[:, 1])
    assert torch.equal(grey[:, 1], grey[:, 2])
    assert torch.equal(changes.colour(images, 1), images)


# ---- shuffle -------------------------------------------------------------------------------------------------------


def slow_order(image_id, count):
    """SplitMix64 with Python's whole numbers: an order by sorted keys."""
    gamma, full = 0x9E3779B97F4A7C15, 2**64 - 1

    def mix(x):
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & full
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB & full
        return x ^ (x >> 31)

    state = mix((mix(gamma) + image_id * gamma) & full)
    keys = [mix((state + (k + 1) * gamma) & full) for k in range(count)]
    signed = [k - 2**64 if k >= 2**63 else k for k in keys]
    return sorted(range(count), key=signed.__getitem__)


def slow_shuffle(image, order, tiles):
    """Tile by tile; what no tile covers stays."""
    height, width = image.shape[1] // tiles, image.shape[2] // tiles
    top, left = (image.shape[1] - tiles * height) // 2, (image.shape[2] - tiles * width) // 2
    changed = image.copy()
    for to, source in enumerate(order):
        (r, c), (i, j) = divmod(to, tiles), divmod(source, tiles)
        tile = image[:, top + i * height : top + (i + 1) * height, left + j * width : left + (j + 1) * width]
        changed[:, top + r * height : top + (r + 1) * height, left + c * width : left + (c + 1) * width] = tile
    return changed


@pytest.mark.parametrize(("side", "tiles"), [(32, 2), (32, 3), (32, 4), (32, 5), (32, 7), (32, 32), (33, 4), (8, 8)])
def test_shuffle_moves_tiles_as_a_slow_loop_does(side, tiles):
    images, ids = draw(4, side, side + 4 * (side == 33)), [0, 7, 49_999, 2**40]
    changed = changes.shuffle(images, np.array(ids), tiles)
    for image, i, fast in zip(images.numpy(), ids, changed.numpy(), strict=True):
        assert np.array_equal(fast, slow_shuffle(image, slow_order(i, tiles**2), tiles))


@pytest.mark.parametrize(("side", "tiles"), [(32, 3), (32, 7), (64, 5), (30, 4), (224, 16)])
def test_shuffle_loses_no_pixel_and_leaves_a_centred_rim(side, tiles):
    image = torch.arange(side * side).view(side, side)
    coded = torch.stack([image % 256, image // 256 % 256, image // 65536]).byte()[None]  # every pixel is another
    out = changes.shuffle(coded, np.array([5]), tiles).long()[0]
    out = out[0] + 256 * out[1] + 65536 * out[2]
    assert torch.equal(out.flatten().sort().values, image.flatten())
    moved = (out != image).nonzero()
    rest = side % tiles
    assert moved.amin() >= rest // 2
    assert moved.amax() < side - (rest - rest // 2)
    tile = side // tiles
    start = rest // 2
    corners = out[start : start + tile * tiles : tile, start : start + tile * tiles : tile]
    wanted = image[start : start + tile * tiles : tile, start : start + tile * tiles : tile]
    assert torch.equal(corners.flatten().sort().values, wanted.flatten())  # tiles: each once, in tiles' places


def test_every_order_of_the_tiles_is_as_likely_as_any_other():
    orders = Counter(map(tuple, changes.permutations(torch.arange(24_000), 4).tolist()))
    assert len(orders) == 24
    chi2 = sum((n - 1000) ** 2 / 1000 for n in orders.values())
    assert 8 < chi2 < 45  # 23 degrees of freedom: 5 and 95 in 1000 lie outside 9 and 44
    neighbours = changes.permutations(torch.arange(5000), 16)
    assert (neighbours[:-1] == neighbours[1:]).float().mean() == pytest.approx(1 / 16, abs=0.004)


def test_an_images_order_depends_on_its_id_alone():
    images, ids = draw(6), np.array([3, 1, 4, 15, 9, 2])
    whole = changes.shuffle(images, ids, 4)
    back = np.array([5, 0, 3])
    assert torch.equal(changes.shuffle(images[back], ids[back], 4), whole[back])
    assert torch.equal(changes.shuffle(images, torch.from_numpy(ids), 4), whole)
    assert not torch.equal(changes.shuffle(images, ids + 1, 4), whole)
    assert torch.equal(changes.shuffle(images, ids, 1), images)


# ---- low-pass ------------------------------------------------------------------------------------------------------


def slow_mask(height, width, radius):
    centre = (height // 2, width // 2)
    return np.array([[math.dist((i, j), centre) <= radius for j in range(width)] for i in range(height)])


def slow_low_pass(channel, radius):
    """The Fourier sum written out as matrices, the mask in the middle; before clipping and rounding."""
    height, width = channel.shape
    rows, columns = (np.exp(-2j * np.pi * np.outer(np.arange(n) - n // 2, np.arange(n)) / n) for n in channel.shape)
    spectrum = rows @ channel @ columns.T * slow_mask(height, width, radius)
    return (rows.conj().T @ spectrum @ columns.conj()).real / (height * width)


def test_the_mask_keeps_as_many_frequencies_as_it_should():
    *radii, corner = changes.views("low-pass", 32)
    assert changes.radial_mask(32, 32, corner).all()
    assert radii == [1.6, 3.2, 4.8, 6.4, 8.0, 9.6, 11.2, 12.8, 14.4]
    counts = [int(changes.radial_mask(32, 32, r).sum()) for r in radii]
    assert counts == [9, 37, 69, 129, 197, 293, 401, 509, 657]
    inside = [int(changes.radial_mask(32, 32, r - 1e-9).sum()) for r in radii]
    assert inside == [9, 37, 69, 129, 193, 293, 401, 509, 657]  # "< r": the two readings differ at 8.0 alone
    for height, width, radius in ((32, 32, 6.4), (7, 7, 2), (6, 9, 3.5), (5, 4, 0), (8, 8, 99)):
        assert np.array_equal(changes.radial_mask(height, width, radius).numpy(), slow_mask(height, width, radius))


@pytest.mark.parametrize(("height", "width"), [(32, 32), (9, 9), (8, 11)])
@pytest.mark.parametrize("radius", [0, 1.6, 3.2, 4])
def test_low_pass_is_the_fourier_sum_clipped_and_rounded(height, width, radius):
    images = draw(3, height, width)
    changed, outside = changes.low_pass(images, radius).numpy(), 0
    for image, fast in zip(images.double().numpy(), changed, strict=True):
        slow = np.stack([slow_low_pass(channel, radius) for channel in image])
        outside += ((slow < -1) | (slow > 256)).sum()
        assert np.abs(fast - slow.clip(0, 255)).max() <= 0.5 + 1e-6
    assert (outside > 0) == (radius >= 1.6)  # a cast without clipping would have wrapped these round


def test_low_pass_rounds_an_exact_half_up():
    images = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    images[0, 0, :16] = 1  # mean .5
    images[0, 1] = 7
    images[0, 2, :16, :] = 255
    images[0, 2, 16, :16] = 16  # mean 127.75
    assert changes.low_pass(images, 0)[0, :, 3, 5].tolist() == [1, 7, 128]


def test_low_pass_of_the_full_radius_is_the_image():
    for images in (draw(), draw(3, 9, 9), draw(3, 8, 11)):
        assert torch.equal(changes.low_pass(images, 16 * 2**0.5), images)


# ---- all three -----------------------------------------------------------------------------------------------------

VIEWS = ["colour=0.3", "shuffle=3", "shuffle=4", "low-pass=3.2"]


@pytest.mark.parametrize("view", VIEWS)
def test_a_change_is_pure_and_goes_image_by_image_on_any_device(view):
    images, ids = draw(70), np.arange(100, 170)
    before = images.clone()
    whole = changes.parse(view)(images, ids)
    assert torch.equal(images, before)
    assert whole.dtype == torch.uint8
    assert whole.shape == images.shape
    assert not torch.equal(whole, images)
    there = images.to("cuda" if torch.cuda.is_available() else "cpu")
    for i in range(70):
        assert torch.equal(changes.parse(view)(there[i : i + 1], ids[i : i + 1])[0].cpu(), whole[i])


PINNED = {
    "colour=0.3": "b6f1d1a469d04360",
    "shuffle=3": "871900b0f0bcf742",
    "shuffle=4": "e9a945c052444a98",
    "low-pass=3.2": "10ac9eda3650e964",
}


@pytest.mark.parametrize("view", VIEWS)
def test_changed_images_are_the_pinned_ones(view):
    """Other images under the same view: move changes.VERSION, and only then write the digests anew."""
    images = data.load("patterns").images[:20]
    changed = changes.parse(view)(images, np.arange(20))
    assert hashlib.sha256(changed.numpy().tobytes()).hexdigest()[:16] == PINNED[view]
    assert changes.VERSION == 1


# ---- views ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("view", "size", "word"),
    [
        ("colour=1.5", None, "from 0 (grey) to 1"),
        ("colour=-0.1", None, "from 0 (grey) to 1"),
        ("colour=nan", None, "from 0 (grey) to 1"),
        ("colour=much", None, "colour=0.3"),
        ("colour=", None, "colour=0.3"),
        ("colour=.3", None, "write colour=0.3"),
        ("colour=-0.0", None, "write colour=0"),
        ("low-pass=-1", None, "0 or more"),
        ("low-pass=nan", None, "0 or more"),
        ("low-pass=inf", None, "finite"),
        ("low-pass=3.20", None, "write low-pass=3.2"),
        ("shuffle=0", None, "whole number from 1"),
        ("shuffle=2.5", None, "whole number from 1"),
        ("shuffle=nan", None, "whole number from 1"),
        ("shuffle=4.0", None, "write shuffle=4"),
        ("shuffle=33", 32, "the nearest that fit: 32"),
        ("shuffle=20", 32, "the nearest that fit: 16 or 28"),
        ("blur=3", None, "one of colour=0.3, shuffle=4, low-pass=3.2"),
        ("colour", None, "one of colour=0.3, shuffle=4, low-pass=3.2"),
    ],
)
def test_a_view_that_cannot_be_is_refused_in_one_line(view, size, word):
    with pytest.raises(UserError) as refusal:
        changes.check_view(view, size)
    assert word in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_the_functions_refuse_the_same(tiny):
    for change in (
        lambda: changes.colour(draw(), 1.5),
        lambda: changes.low_pass(draw(), -1),
        lambda: changes.shuffle(draw(), np.arange(5), 20),
        lambda: changes.colour(draw().float(), 0.5),
        lambda: changes.low_pass(draw()[:, :1], 2),
        lambda: changes.views("blur", 32),
        lambda: tiny(views=("colour=1.5",)),
        lambda: tiny(views=("blur=2",)),
        lambda: tiny(views=("shuffle=20",)).view_examples("shuffle=20"),
    ):
        with pytest.raises(UserError):
            change()


def test_tiles_that_do_not_fit_are_refused_before_anything_is_trained(tiny, store):
    with pytest.raises(UserError, match="shuffle=20"):
        run.ensure([tiny(views=("shuffle=20",))], store=store, workers=0, quiet=True)
    assert not store.keys()


@pytest.mark.parametrize("name", changes.CHANGES)
def test_every_grid_is_of_views_that_its_images_allow(name):
    for size in data.SIZES:
        grid = changes.views(name, size)
        assert list(grid) == sorted(grid)
        assert len(grid) >= (2 if size < 32 else 6)  # few tiles fit 14 pixels
        assert list(grid.values()).count("train") == 1
        for strength, view in grid.items():
            if view == "train":
                assert strength == (1 if name != "low-pass" else pytest.approx(size / 2**0.5, abs=0.01))
            else:
                changes.check_view(view, size)
                assert view == f"{name}={strength:g}"


def test_the_grids_are_the_papers():
    assert list(changes.views("colour", 32)) == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]
    assert list(changes.views("shuffle", 32)) == [1, 2, 3, 4, 5, 6, 8, 16]
    mini = [1.12, 2.24, 3.36, 4.48, 5.6, 6.72, 7.84, 8.96, 10.08]
    assert list(changes.views("low-pass", 224)) == [*mini, pytest.approx(112 * 2**0.5, abs=0.01)]
    assert list(changes.views("low-pass", 64))[:9] == mini  # as many waves across an image, whatever its pixels
    assert int(changes.radial_mask(224, 224, 1.12).sum()) == int(changes.radial_mask(64, 64, 1.12).sum()) == 5


def test_a_short_grid_is_a_part_that_has_both_ends():
    for size in (32, 48, 64, 224):
        short, full = changes.grids(size, "short"), changes.grids(size)
        assert list(short) == list(full) == list(changes.CHANGES)
        for name, grid in short.items():
            assert grid.items() <= full[name].items()
            assert {min(full[name]), max(full[name])} <= set(grid)
        assert [len(grid) for grid in short.values()] == [4, 4, 5]
    with pytest.raises(UserError, match="one of short, full"):
        changes.grids(32, "medium")


def test_a_changed_data_set_is_the_plain_one_with_other_images(tiny):
    plain = tiny().examples
    changed = changes.Changed(plain, "shuffle=4")
    assert len(changed) == 100
    assert torch.equal(changed.labels, plain.labels)
    assert torch.equal(changed.images, changes.shuffle(plain.images, plain.ids, 4))
    part = changed.take([40, 2])
    assert torch.equal(part.images, changed.images[[40, 2]])
    assert part.ids.tolist() == plain.ids[[40, 2]].tolist()
    assert "images" not in vars(changed)  # nothing is kept


def test_the_fingerprint_tells_changed_images_apart(tiny):
    plain = tiny().examples
    sets = [changes.Changed(plain, view) for view in VIEWS]
    sets += [plain, changes.Changed(tiny(images=90).examples, VIEWS[0]), sets[0].take(np.arange(99))]
    assert len({s.fingerprint for s in sets}) == len(sets)
    assert changes.Changed(plain, VIEWS[0]).fingerprint == sets[0].fingerprint


def test_changed_views_equal_an_evaluation_by_hand_of_the_same_net(tiny):
    views = ("colour=0", "low-pass=3.2", "online", "shuffle=4", "test:50")
    trial = tiny(model="wrn-10-1", images=130, views=views, record=("margin",))
    record, net = train(trial), Run(trial)
    for epoch in range(trial.epochs):
        net.epoch()
        net.net.eval()
        for view in ("colour=0", "low-pass=3.2", "shuffle=4"):
            images = changes.parse(view)(trial.examples.images, trial.examples.ids)
            with torch.no_grad():
                logits = torch.cat([net.net(net.prepare(part)) for part in images.split(100)])
            right = (logits.argmax(1) == trial.examples.labels).numpy()
            assert np.array_equal(record.correct(view)[epoch], right)
            assert (record.values("margin", view)[epoch] > 0).sum() == right.sum()
            assert not np.array_equal(record.correct(view)[epoch], record.correct()[epoch])


def test_changed_views_leave_training_and_the_other_views_as_they_are(tiny):
    plain = train(tiny(model="wrn-10-1", views=("test:50",)))
    changed = train(tiny(model="wrn-10-1", views=("test:50", *VIEWS)))
    assert changed.key == plain.key
    assert all(np.array_equal(changed.arrays[name], array) for name, array in plain.arrays.items())


def test_one_training_serves_plain_and_changed_images(tiny, store):
    views = tuple(v for name in changes.CHANGES for v in changes.views(name, 32).values() if v != "train")
    trials = [tiny(seed, views=views) for seed in range(2)]
    first = run.ensure(trials, store=store, workers=0, quiet=True)
    again = run.ensure([*trials, tiny(0), tiny(1, views=("colour=0.3",))], store=store, workers=0, quiet=True)
    assert (first.trained, again.trained) == (2, 0)
    for view in views:
        assert first.correct(view).shape == first.correct().shape == (2, 2, 100)
    assert again.records[0].trial == trials[0]  # views and all, read back from the record


def test_views_of_other_images_are_not_taken_for_these(tiny, store, monkeypatch):
    trial = tiny(views=("colour=0.3",))
    run.ensure([trial], store=store, workers=0, quiet=True)
    assert store.get(trial) is not None
    monkeypatch.setattr(changes, "VERSION", changes.VERSION + 1)
    assert store.get(trial) is None


def test_many_views_of_a_run_hold_no_image_of_their_own(tiny):
    views = tuple(v for name in changes.CHANGES for v in changes.views(name, 32).values() if v != "train")
    net = Run(tiny(views=views))
    assert len(net.sets) == 1 + len(views) == 27
    assert {id(s.source.images) for view, s in net.sets.items() if view != "train"} == {id(net.sets["train"].images)}
    assert not any("images" in vars(s) for view, s in net.sets.items() if view != "train")
