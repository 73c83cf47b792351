"""The explorer shows the right images, with a kernel and without; its page is opened, filtered and clicked."""

import base64
import itertools
import os
import re
import shutil
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from browser import browsing, decoded
from PIL import Image

from easel.errors import UserError
from easel.notebook import explorer, explorer as pictures, explorer as widgets
from easel.notebook.explorer import Choice
from easel.train import ensure as run

NETS = ["mlp-1x10", "mlp-1x12"]
AWKWARD = "a & b </script><b>c</b> é"  # a class of a folder may be called that


@pytest.fixture
def collection(tiny, store):
    asked = {NETS[0]: ("prediction",), NETS[1]: ()}
    plan = [tiny(model=net, seed=seed, record=asked[net]) for net in NETS for seed in range(3)]
    return explorer.Collection(run.ensure(plan, store=store, workers=0, quiet=True))


# ---- who is shown --------------------------------------------------------------------------------------------------


def test_ranked_sorts_by_count_and_ties_by_the_seed_whatever_the_order_of_the_images():
    counts, ids = np.array([2, 0, 2, 1, 2, 0]), np.array([10, 11, 12, 13, 14, 15])
    easy, hard = (explorer.ranked(counts, ids, which=which) for which in ("easy", "hard"))
    assert sorted(easy[:3]) == [0, 2, 4]
    assert sorted(hard[:2]) == [1, 5]
    shuffled = np.random.default_rng(0).permutation(6)
    assert (ids[shuffled][explorer.ranked(counts[shuffled], ids[shuffled])] == ids[easy]).all()


def test_the_lot_is_fair_and_differs_between_seeds_and_nets():
    ids = np.arange(1000)
    orders = [explorer.ranked(np.zeros(1000), ids, seed=s, net=n) for s, n in ((0, "a"), (1, "a"), (0, "b"))]
    for one, two in itertools.combinations(orders, 2):
        assert len(set(one[:100]) & set(two[:100])) < 30  # 10 by chance
    first = [explorer.ranked(np.zeros(10), np.arange(10), seed=s)[0] for s in range(2000)]
    assert np.bincount(first, minlength=10).min() > 140  # 200 each


def test_the_number_of_tied_images_at_the_cut_is_said():
    counts = [5, 4, 4, 4, 0, 0]
    assert explorer.tied_at(counts, 2) == (1, 3)
    assert explorer.tied_at(counts, 4) == (0, 0)
    assert explorer.tied_at(counts, 1, which="hard") == (1, 2)
    with pytest.raises(UserError, match=r"k=7: a whole number of examples in 1\.\.6"):
        explorer.tied_at(counts, 7)


def test_a_sheet_holds_the_easiest_of_its_class_and_says_how_many_are_tied(collection):
    label = collection.examples.classes[3]
    of, counts = collection.members(label), collection.counts(NETS[0], 2)
    assert set(collection.examples.labels[of].tolist()) == {3}
    easy, hard = (collection.sheet(Choice(NETS[0], label, 2, which), size=4) for which in ("easy", "hard"))
    assert sorted(counts[easy], reverse=True) == sorted(counts[of], reverse=True)[:4] == counts[easy].tolist()
    assert counts[hard].tolist() == sorted(counts[of])[:4]
    whole = collection.describe(Choice(NETS[0], label, 2), size=len(of))
    assert "No lot at the end" in whole
    flat = collection.describe(Choice(NETS[0], None, 1, "hard"), size=1)
    lowest = collection.counts(NETS[0], 1)
    assert f"{(lowest == lowest.min()).sum()} images have the last one's count; the 1 of them" in flat


def test_passing_over_all_of_the_ranking_ends_with_its_last_images(collection):
    order = collection.sheet(Choice(NETS[0]), size=100)
    assert (collection.sheet(Choice(NETS[0], start=100), size=10) == order[-10:]).all()
    assert (collection.sheet(Choice(NETS[0], start=50), size=10) == order[45:55]).all()


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (Choice("wrn-16-4"), "no net 'wrn-16-4' in this ledger; there are: mlp-1x10, mlp-1x12"),
        (Choice(NETS[0], "unicorn"), "no class 'unicorn' in patterns; there are: "),
        (Choice(NETS[0], m=0), r"m=0: a whole number of epochs in 1\.\.2"),
        (Choice(NETS[0], m=3), r"m=3: a whole number of epochs in 1\.\.2"),
        (Choice(NETS[0], which="best"), "which='best': give 'easy' or 'hard'"),
        (Choice(NETS[0], start=101), r"start=101: a percentage in 0\.\.100"),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(collection, choice, said):
    with pytest.raises(UserError, match=said) as refused:
        collection.sheet(choice)
    assert "\n" not in str(refused.value)


def test_a_page_that_cannot_hold_all_holds_both_ends_of_every_class_and_net(collection):
    held = set(collection.embedded(60).tolist())
    assert len(held) == 60
    for net, label, which in itertools.product(NETS, collection.examples.classes, ("easy", "hard")):
        counts = collection.counts(net, 1)[sorted(held & set(collection.members(label).tolist()))]
        all_of_class = collection.counts(net, 1)[collection.members(label)]
        extreme = max if which == "easy" else min
        assert extreme(counts) == extreme(all_of_class)
    assert (collection.embedded(100) == np.arange(100)).all()


# ---- what it is taken for ------------------------------------------------------------------------------------------


def test_the_favourite_wrong_class_is_the_one_named_most_often_where_the_image_is_wrong(collection):
    net, labels = NETS[0], collection.examples.labels.numpy()
    predicted = collection.predictions[net]
    assert ((predicted == labels) == collection.correct[net]).all()  # what was recorded are these nets' own answers
    times, which = collection.favourites(net, 2, range(100))
    for at in range(100):
        wrong = [k for k in predicted[:, 1, at].tolist() if k != labels[at]]
        most = max(map(wrong.count, wrong), default=0)
        assert times[at] == most
        assert np.flatnonzero(which[at]).tolist() == sorted({k for k in wrong if wrong.count(k) == most})
    assert collection.favourites(NETS[1], 2, [0]) is None  # not recorded
    assert collection.mistaken(NETS[1], 2, 0) == ""


def test_the_favourite_wrong_class_in_words(collection):
    net, classes = NETS[0], collection.examples.classes
    collection.predictions[net] = np.zeros((3, 2, 100), np.uint16)
    one, other = np.flatnonzero(collection.examples.labels.numpy() == 3)[:2]
    collection.predictions[net][:, 0, one] = [5, 3, 5]
    collection.predictions[net][:, 0, other] = [7, 2, 3]
    collection.predictions[net][:, 1, one] = 3
    said = f"where wrong, mostly taken for {classes[5]}: 2 of 3 trials"
    assert collection.mistaken(net, 1, one) == said
    assert collection.mistaken(net, 1, other).endswith(f" for {classes[2]} or {classes[7]}: 1 of 3 trials each")
    assert collection.mistaken(net, 2, one) == "never taken for another class"
    shown = widgets.story_html(collection, int(one), 1)
    assert shown.count("mostly taken for") == 1  # the other net's answers are not recorded
    assert said in shown


def test_images_of_a_folder_of_one_s_own_go_by_their_files(tiny, store, tmp_path):
    rng = np.random.default_rng(0)
    for name in ("owl", "wren"):
        (tmp_path / "train" / name).mkdir(parents=True)
        for i in range(4):
            picture = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
            picture.save(tmp_path / "train" / name / f"<b>seen in the garden {i}.png")
    trial = tiny(model="mlp-1x4", data=f"{tmp_path}/", images=None)
    one = explorer.Collection(run.ensure([trial], store=store, workers=0, quiet=True))
    assert one.called(5) == "wren/<b>seen in the garden 1.png"
    titles = one.ends("mlp-1x4", 1, "easy", size=1)[1]
    assert re.fullmatch(r"owl [01]\n<b>s… garden \d", titles[0])
    assert "wren/&lt;b&gt;seen in the garden 1.png" in widgets.story_html(one, 5, 1)
    assert explorer._packed(one, 8)["files"][5] == one.called(5)
    assert "<b>seen" not in explorer.page(one)
    buttons = widgets.Explorer(one, 8).buttons
    assert all(".png, " in button.tooltip for button in buttons)


def test_images_of_a_published_set_go_by_their_numbers(collection):
    assert collection.called(3) == f"image {collection.examples.ids[3]}"
    assert explorer._packed(collection, 8)["files"] is None


def test_a_page_holds_the_favourites_and_not_every_prediction(collection):
    packed = explorer._packed(collection, 60)["nets"]
    assert "times" not in packed[1]
    length = {name: len(base64.b64decode(packed[0][name])) for name in ("times", "taken")}
    assert length == {"times": 2 * 60 * 2, "taken": 2 * 60 * 2}  # epochs, images, bytes


def test_small_pictures_in_a_page_are_exact_and_larger_ones_are_small_files(collection):
    def sprite():
        packed = explorer._packed(collection, 60)
        return packed, base64.b64decode(packed["sprite"].partition(",")[2])

    packed, blob = sprite()
    at = collection.embedded(60)
    assert packed["lossless"]
    assert (decoded(blob)[:32, :32] == collection.examples.images[at[0]].numpy().transpose(1, 2, 0)).all()
    large = collection.examples.images.repeat_interleave(3, 2).repeat_interleave(3, 3)
    collection.examples = replace(collection.examples, images=large)
    packed, blob = sprite()
    assert (packed["lossless"], packed["side"]) == (False, 64)
    assert decoded(blob).shape == (8 * 64, 8 * 64, 3)
    there = pictures.thumbs(large[at[:1]].numpy())[0].transpose(1, 2, 0).astype(float)
    assert np.abs(decoded(blob)[:64, :64] - there).mean() < 8  # of 255
    assert len(blob) < 60 * 4000


# ---- with a kernel -------------------------------------------------------------------------------------------------


def test_images_are_the_right_way_up_and_in_their_true_colours(collection):
    image = torch.zeros(100, 3, 32, 32, dtype=torch.uint8)
    image[:, 0, :16], image[:, 2, :, :8] = 250, 120  # red above; blue on the left
    collection.examples = replace(collection.examples, images=image)
    shown = widgets.Explorer(collection, size=3)
    picture = decoded(shown._images[0].value)
    assert picture.shape == (64, 64, 3)  # every pixel twice, unmixed
    assert picture[0, -1].tolist() == [250, 0, 0]
    assert picture[0, 0].tolist() == [250, 0, 120]
    assert picture[-1, 0].tolist() == [0, 0, 120]
    assert picture[31, 40].tolist() == [250, 0, 0]
    assert picture[32, 40].tolist() == [0, 0, 0]
    sprite = pictures.sprite(image[:5].numpy(), 3)
    assert sprite.shape == (64, 96, 3)
    assert sprite[32, 32].tolist() == [250, 0, 120]  # the fifth, on the second line
    assert not sprite[32:, 64:].any()  # no sixth
    assert (decoded(pictures.picture_bytes(sprite, "webp")) == sprite).all()


def test_the_widget_follows_its_controls_and_opens_an_image(collection):
    shown = widgets.Explorer(collection, size=12)
    label = collection.examples.classes[1]
    shown.choice = Choice(NETS[1], label, 2, "hard", 0.0, 7)
    assert (shown.shown == collection.sheet(shown.choice, 12)).all()
    assert len(shown.shown) == 10
    assert [c.layout.display for c in shown._cells] == [None] * 10 + ["none"] * 2
    counts = collection.counts(NETS[1], 2)
    assert [b.description for b in shown.buttons[:10]] == [f"{counts[i]}/3" for i in shown.shown]
    shown.buttons[4].click()
    at = shown.shown[4]
    assert f"image {collection.examples.ids[at]}" in shown.detail.value
    for net in NETS:
        assert f"{net}: {collection.counts(net, 2)[at]} of 3" in shown.detail.value
    right = sum(int(c[:, :, at].sum()) for c in collection.correct.values())
    assert shown.detail.value.count(widgets._RIGHT) == right
    shown._label.value = None
    assert len(shown.shown) == 12
    with pytest.raises(UserError, match="no class 'unicorn'"):
        shown.choice = Choice(NETS[0], "unicorn")
    with pytest.raises(UserError, match=r"place 12: the sheet has places 0\.\.11"):
        shown.open(12)


def test_names_of_classes_cannot_become_markup(collection):
    classes = (AWKWARD, *collection.examples.classes[1:])
    collection.examples = replace(collection.examples, classes=classes)
    shown = widgets.Explorer(collection)
    shown.choice = Choice(NETS[0], AWKWARD)
    shown.open(0)
    assert "<b>c" not in shown.detail.value
    assert explorer.page(collection).count("</script>") == 2  # the page's own


def test_from_control_to_sheet_takes_less_than_a_fifth_of_a_second_among_50_000_images(collection):
    n, rng = 50_000, np.random.default_rng(0)
    pictures = torch.from_numpy(rng.integers(0, 256, (n, 3, 32, 32), np.uint8))  # noise: the slowest to encode
    fields = {"images": pictures, "labels": torch.from_numpy(rng.integers(0, 10, n)), "ids": np.arange(n)}
    collection.examples = replace(collection.examples, **fields)
    collection.correct = {net: rng.random((20, 3, n)) < 0.5 for net in NETS}
    collection.epochs = 3
    shown = widgets.Explorer(collection)
    controls = {"_start": range(1, 12), "_seed": range(1, 12), "_m": [2, 3, 1] * 4}
    controls["_label"] = [*collection.examples.classes, None]
    for name, values in controls.items():
        seconds = []
        for value in values:
            before, started = shown.shown, time.thread_time()
            getattr(shown, name).value = value
            seconds.append(time.thread_time() - started)
            assert len(shown.shown) == 40
            assert (shown.shown != before).any()
        assert np.median(seconds) < 0.2, f"{name}: {np.round(seconds, 3)}"  # of this thread, whatever else runs


def test_nothing_is_displayed_where_nobody_can_press_a_button(collection, monkeypatch):
    monkeypatch.setenv("EASEL_RUN", "token")
    assert widgets.show(collection) is None


# ---- in a browser, from a disk -------------------------------------------------------------------------------------


SHOWN = "document.querySelectorAll('#sheet button').length > 0"
IDS = "shown.map(i => set.ids[i])"


@pytest.mark.slow
def test_the_page_is_opened_filtered_and_clicked_in_a_browser(collection, tmp_path):
    classes = (AWKWARD, *collection.examples.classes[1:])
    collection.examples = replace(collection.examples, classes=classes)
    page = explorer.save_explorer(collection, tmp_path / "results", title="what is easy", variant="photographs")
    assert page.name == "explorer-photographs.html"
    with browsing(page.as_uri(), tmp_path / "profile", SHOWN) as browser:
        assert browser.ask("document.title") == "what is easy"
        assert (
            browser.ask("performance.getEntriesByType('resource').filter(r => !r.name.startsWith('data:')).length") == 0
        )
        assert "drawn by code" in browser.ask("$('notice').textContent")
        assert "all 100 images" in browser.ask("$('intro').textContent")
        ids, numbers = collection.examples.ids, range(len(NETS))
        for net, label, m, which, start, seed in [
            (0, None, 1, "easy", 0, 0),
            (1, classes[0], 2, "hard", 0, 0),
            (0, None, 2, "hard", 37, 5),
            (1, None, 1, "easy", 100, 999_999),
        ]:
            number = -1 if label is None else classes.index(label)
            browser.choose(
                net=str(net), m=str(m), which=which, start=str(start), seed=str(seed), **{"class": str(number)}
            )
            choice = Choice(NETS[net], label, m, which, start, seed)
            assert browser.ask(IDS) == ids[collection.sheet(choice)].tolist()  # ties too: the same lot as Python's
            assert browser.ask("$('line').textContent") == collection.describe(choice)
        at = int(collection.sheet(choice)[2])
        browser.click("#sheet button:nth-child(3)")
        detail = browser.ask("$('detail').textContent")
        assert f"image {ids[at]} of patterns; labelled {classes[collection.examples.labels[at]]}" in detail
        for net in numbers:
            count = int(collection.counts(NETS[net], 1)[at])
            assert f"({NETS[net]}): {count} of 3 at m = 1" in detail
            strip = browser.ask(
                f"[...document.querySelectorAll('.strip')[{net}].children].map(i => i.className === 'r')"
            )
            assert strip == collection.correct[NETS[net]][:, :, at].T.ravel().tolist()
        for i, m in itertools.product(browser.ask("shown.slice(0, 30)"), (1, 2)):
            browser.choose(m=str(m))
            browser.ask(f"choose({i})")
            words = [collection.mistaken(NETS[0], m, int(np.flatnonzero(ids == browser.ask(f"set.ids[{i}]"))[0]))]
            assert browser.ask("[...document.querySelectorAll('.taken')].map(p => p.textContent)") == words
        browser.choose(m="1")
        browser.ask(f"choose([...set.ids].indexOf({ids[at]}))")
        pixels = "[...document.querySelector('#detail canvas').getContext('2d').getImageData(0, 0, 32, 32).data]"
        drawn = np.array(browser.ask(pixels)).reshape(32, 32, 4)
        assert (drawn[..., :3] == collection.examples.images[at].numpy().transpose(1, 2, 0)).all()
        assert (drawn[..., 3] == 255).all()
        light = browser.picture(tmp_path / "light.png")
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        dark = browser.picture(tmp_path / "dark.png")
        assert light[5, 5].min() > 200
        assert dark[5, 5].max() < 60
        assert len(np.unique(light.reshape(-1, 3), axis=0)) > 100  # pictures, not an empty page
        if folder := os.environ.get("EASEL_SCREENSHOTS"):
            for name in ("light.png", "dark.png"):
                shutil.copy(tmp_path / name, folder)


@pytest.mark.slow
def test_the_page_works_by_keyboard_and_names_what_it_shows(collection, tmp_path):
    page = explorer.save_explorer(collection, tmp_path / "results", limit=60)
    with browsing(page.as_uri(), tmp_path / "profile", SHOWN) as browser:
        assert "60 of 100 images" in browser.ask("$('intro').textContent")
        assert browser.ask("$('line').textContent").startswith("48 of 100 images")
        named = "[...document.querySelectorAll('select, input')].every(e => e.closest('label').textContent.trim())"
        assert browser.ask(named)
        assert browser.ask("[...$('sheet').children].every(b => /^image \\d+, .+, right in/.test(b.ariaLabel))")
        assert browser.ask("document.querySelectorAll('#sheet button[tabindex=\"0\"]').length") == 1  # one stop for Tab
        browser.ask("$('seed').focus()")
        browser.press("Tab")
        assert browser.ask("[...$('sheet').children].indexOf(document.activeElement)") == 0
        browser.press("ArrowRight")
        browser.press("ArrowRight")
        browser.press("ArrowLeft")
        assert browser.ask("[...$('sheet').children].indexOf(document.activeElement)") == 1
        browser.press("End")
        assert browser.ask("[...$('sheet').children].indexOf(document.activeElement)") == 47
        browser.call("Input.dispatchKeyEvent", type="keyDown", key="Enter", code="Enter", text="\r")
        last = browser.ask("set.ids[shown[47]]")
        assert f"image {last} of" in browser.ask("document.querySelector('#detail canvas').ariaLabel")
        assert "epoch 2: right in" in browser.ask("document.querySelector('.strip').ariaLabel")
