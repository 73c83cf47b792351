"""An audit finds wrong labels that were planted, says so where it cannot, and leaves a table and a page to look at."""

import os
import shutil
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from browser import browsing
from PIL import Image

from easel import cli, files
from easel.audit import audit
from easel.data import own, sets
from easel.data.own import look_alikes
from easel.errors import UserError
from easel.sections import mislabels
from easel.train import ensure as run

QUICK = {"nets": ("mlp-1x16", "mlp-1x12"), "epochs": 6, "repeats": 1}


def colours(root, each=24, wrong=6, seed=0):
    """A folder of three classes that a net tells apart by colour; `wrong` of the pictures lie in another's folder."""
    rng, names, truth = np.random.default_rng(seed), ("blue", "green", "red"), {}
    bad = set(rng.choice(3 * each, wrong, replace=False).tolist())
    for i in range(3 * each):
        own = i % 3
        there = (own + 1 + i // 3 % 2) % 3 if i in bad else own
        pixels = rng.integers(0, 120, (16, 16, 3), dtype=np.uint8)
        pixels[..., 2 - own] += 100
        folder = root / "train" / names[there]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{i:03d}.png")
        truth[f"{names[there]}/{i:03d}.png"] = i in bad
    return truth


@pytest.fixture
def birds(tmp_path):
    truth = colours(tmp_path / "birds")
    return str(tmp_path / "birds"), truth


# ---- what it finds -------------------------------------------------------------------------------------------------


def test_pictures_in_the_wrong_folder_come_first_and_are_called_mislabelled(birds, capsys):
    folder, truth = birds
    found = audit(folder, **QUICK)
    first = found.table.head(6)
    assert all(truth[name] for name in first.file)
    assert (first.why == "mislabelled").all()
    at = [int(name.split("/")[1].split(".")[0]) % 3 for name in first.file]
    assert first.suggested.tolist() == [("blue", "green", "red")[own] for own in at]
    assert found.table["rank"].tolist() == list(range(1, 73))
    assert (found.table.tail(60).why == "").all()
    assert "6 mislabelled" in found.summary
    assert capsys.readouterr().out.startswith(f"{folder}: 72 pictures in 3 classes\n")


def test_what_is_planted_is_found_again_and_nobody_saw_its_true_label(birds):
    folder, _ = birds
    found = audit(folder, plant=0.1, **QUICK)
    assert found.table.planted.sum() == 7
    assert found.table.head(13).planted.sum() >= 6  # beside the six that were wrong before
    assert "7 labels were changed at random" in found.summary


def test_nets_at_chance_say_that_nothing_can_be_read(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(40):
        path = tmp_path / "noise" / "train" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(path)
    found = audit(tmp_path / "noise", **QUICK)
    assert found.opinions.blind
    assert "nothing can be read" in found.summary
    assert "more pictures a class (there are 20)" in found.summary
    assert (found.table.why == "").all()


def test_a_picture_that_is_there_twice_is_named_and_lies_in_one_fold(birds, tmp_path):
    folder, _ = birds
    red = sorted((tmp_path / "birds/train/red").iterdir())[0]
    shutil.copy(red, tmp_path / "birds/train/blue/copy.png")
    found = audit(folder, **QUICK)
    rows = found.table.set_index("file")
    assert rows.copies["blue/copy.png"] == f"red/{red.name}"
    assert rows["two classes"].sum() == 2
    assert "2 pictures look like another one, 2 of them like one of another class" in found.summary
    keeps = [trial.edit.keep for trial in found.opinions.ledger.trials]
    twins = found.table.index[found.table.copies != ""]
    assert all(np.isin(twins, keep).all() or not np.isin(twins, keep).any() for keep in keeps)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"plant": 0.7}, "--plant 0.7: a share of the labels from 0 to 0.5"),
        ({"epochs": 0}, "epochs=0: a whole number from 1"),
        ({"images": 4}, "class blue has 1 pictures; an audit needs 4 of each"),
    ],
)
def test_what_cannot_be_audited_is_refused_before_anything_is_trained(birds, change, said):
    with pytest.raises(UserError, match=said.replace("(", r"\(")):
        audit(birds[0], **QUICK | change)


def test_the_command_writes_beside_the_results_of_no_other_data(birds, capsys, monkeypatch):
    monkeypatch.chdir(birds[0] + "/..")
    assert cli.main(["audit", "birds", "--epochs", "1", "--repeats", "1", "--images", "24"]) == 0
    folder = files.results_dir() / "birds"
    assert f"read {folder}/audit.html" in capsys.readouterr().out
    table = pd.read_csv(folder / "audit.csv")
    assert len(table) == 24
    card = (folder / "audit.md").read_text()
    assert all(f"- `{column}`: " in card for column in table)


def test_cleanlab_stands_beside_ours_where_it_is_installed(birds, monkeypatch):
    """A stand-in with its two functions: what it is asked is what confident learning needs."""

    def issues(labels, pred_probs, n_jobs):
        assert np.allclose(pred_probs.sum(1), 1)
        return pred_probs.argmax(1) != labels

    confident = types.SimpleNamespace(find_label_issues=issues)
    rank = types.SimpleNamespace(get_label_quality_scores=lambda labels, pred_probs: pred_probs[range(72), labels])
    monkeypatch.setitem(sys.modules, "cleanlab", types.SimpleNamespace(filter=confident, rank=rank))
    table = audit(birds[0], **QUICK).table
    assert (table.cleanlab.astype(bool) == (table["class"] != table.suggested)).all()
    assert np.allclose(table["cleanlab quality"], table["held-out probability"], atol=0.01)


# ---- how it is made ------------------------------------------------------------------------------------------------


def test_every_image_is_held_out_once_by_each_net_and_classes_are_dealt_evenly():
    labels = np.repeat([0, 1, 2], [9, 20, 4])
    fold = mislabels.dealt(labels, 4, seed=3)
    for label in range(3):
        counts = np.bincount(fold[labels == label], minlength=4)
        assert counts.max() - counts.min() <= 1
    trials = mislabels.ensemble(["mlp-1x8", "mlp-1x9"], labels, epochs=1, repeats=2, data="patterns", images=33)
    assert len(trials) == 2 * 2 * 4
    assert len({trial.seed for trial in trials}) == 16
    for net in ("mlp-1x8", "mlp-1x9"):
        seen = sum(np.bincount(t.edit.keep, minlength=33) for t in trials if t.model == net)
        assert (seen == 2 * 3).all()


def test_opinions_are_read_from_the_nets_that_did_and_did_not_see(tiny, store):
    examples = tiny().examples
    labels = examples.labels.numpy()
    given = mislabels.planted(labels, 0.1, 1)
    common = {"data": "patterns", "images": 100}
    trials = mislabels.ensemble(["mlp-1x10"], labels, epochs=3, given=given, **common)
    ledger = run.ensure(run.in_precision("fp32", trials, store), store=store, workers=0, quiet=True)
    found = mislabels.Opinions(ledger, given)
    logits, at = ledger.values("logits").astype(float), found.epoch["mlp-1x10"] - 1
    for i in (0, 17, 99):
        (out,) = [t for t, trial in enumerate(ledger.trials) if i not in trial.edit.keep]
        p = np.exp(logits[out, at, i]) / np.exp(logits[out, at, i]).sum()
        assert found.scores[mislabels.HELD_OUT][i] == pytest.approx(p[given[i]], abs=1e-5)
        assert found.probabilities[i] == pytest.approx(p, abs=1e-5)
        seen = [t for t in range(4) if t != out]
        assert found.scores["learnability"][i] == pytest.approx((logits[seen, :, i].argmax(-1) == given[i]).mean())
        others = np.delete(logits[seen, :, i], given[i], axis=-1).max(-1)
        assert found.scores["margin"][i] == pytest.approx((logits[seen, :, i, given[i]] - others).mean(), abs=1e-4)


def test_the_words_follow_their_rules():
    """Six images of two labels and three classes, worked out by hand."""
    one = object.__new__(mislabels.Opinions)
    one.given = np.array([0, 0, 0, 0, 0, 1])
    one.probabilities = np.array(
        [
            [0.8, 0.1, 0.1],  # named: no word
            [0.1, 0.8, 0.1],  # another class, as sure as for its own pictures: mislabelled
            [0.35, 0.4, 0.25],  # runner-up, more than half of the first: ambiguous
            [0.1, 0.42, 0.48],  # third, but trained nets know it: rare
            [0.1, 0.42, 0.48],  # third, and they do not: hard
            [0.3, 0.6, 0.1],
        ]
    )
    one.named = np.array([1, 0.9, 0.9, 0.9, 0.2, 1])
    assert one.why.tolist() == ["", "mislabelled", "ambiguous", "rare", "hard", ""]


def test_planted_errors_are_as_many_as_asked_fair_to_classes_and_from_the_seed():
    labels = np.repeat(np.arange(5), 100)
    wrong = mislabels.planted(labels, 0.1, 7)
    changed = wrong != labels
    assert changed.sum() == 50
    assert (np.bincount(labels[changed], minlength=5) == 10).all()
    assert (mislabels.planted(labels, 0.1, 7) == wrong).all()
    assert (mislabels.planted(labels, 0.1, 8) != wrong).any()
    assert (mislabels.planted(labels, 0.0, 7) == labels).all()
    pairs = np.roll(np.eye(5), 1, axis=1)  # only ever the next class
    confused = mislabels.planted(labels, 0.2, 7, pairs)
    moved = confused != labels
    assert moved.sum() == 100
    assert (confused[moved] == (labels[moved] + 1) % 5).all()


def test_look_alikes_are_found_whatever_their_size_and_plain_ones_are_not_all_alike():
    rng = np.random.default_rng(0)
    smooth = np.stack(
        [np.asarray(Image.fromarray(p).resize((32, 32))) for p in rng.integers(0, 256, (6, 5, 5, 3), np.uint8)]
    )
    images = smooth.transpose(0, 3, 1, 2).copy()
    images[3] = np.clip(images[0].astype(int) + rng.integers(-4, 5, images[0].shape), 0, 255)  # saved anew, badly
    images[4], images[5] = 40, 200  # two plain pictures, one dark and one light
    assert look_alikes(images).tolist() == [0, 1, 2, 0, 4, 5]
    assert look_alikes(images[:1]).tolist() == [0]


def test_many_look_alikes_are_compared_a_part_at_a_time(monkeypatch):
    images = np.random.default_rng(0).integers(0, 256, (9, 3, 16, 16), np.uint8)[np.arange(40) % 9]
    whole = look_alikes(images)
    assert whole.tolist() == (np.arange(40) % 9).tolist()
    monkeypatch.setattr(own, "_PAIRS", 3)
    assert (look_alikes(images) == whole).all()


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names there are text")
def test_a_file_name_that_is_no_text_is_named_with_a_question_mark(birds):
    """The table could not be written, after all the training."""
    folder, _ = birds
    first = next(Path(folder, "train", "red").iterdir())
    os.rename(os.fsencode(first), os.path.join(os.fsencode(first.parent), b"caf\xe9.png"))
    assert "red/caf?.png" in set(audit(folder, **QUICK).table.file)


# ---- the page ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_page_sorts_and_filters_from_a_disk(birds, tmp_path):
    found = audit(birds[0], **QUICK)
    ready = "document.querySelectorAll('#sheet li').length > 0"
    with browsing((found.folder / "audit.html").as_uri(), tmp_path / "chromium", ready) as page:
        first = "document.querySelector('#sheet .file').textContent"
        assert page.ask(first) == found.table.file.iloc[0]
        page.choose(why="mislabelled")
        assert page.ask("document.querySelectorAll('#sheet li').length") == 6
        page.choose(why="", order="-margin")
        assert page.ask(first) == found.table.sort_values(["margin", "rank"], ascending=[False, True]).file.iloc[0]
        page.choose(order="rank", text="red/")
        assert page.ask("[...document.querySelectorAll('#sheet .file')].every(e => e.textContent.startsWith('red/'))")


# ---- truth ---------------------------------------------------------------------------------------------------------


def planted_photographs(root, each: int, share: float, seed: int = 0) -> set[str]:
    """A folder of `each` photographs a class of tiny-imagenet-10, a share of them in a wrong class's folder: which."""
    source, rng, wrong = files.data_dir() / "tiny-imagenet-10" / "train", np.random.default_rng(seed), set()
    classes = sorted(path.name for path in source.iterdir())
    pictures = [(path, name) for name in classes for path in sorted((source / name).rglob("*.JPEG"))[:each]]
    bad = set(rng.choice(len(pictures), round(share * len(pictures)), replace=False).tolist())
    for i, (path, name) in enumerate(pictures):
        there = rng.choice([one for one in classes if one != name]) if i in bad else name
        (root / "train" / there).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, root / "train" / there / path.name)
        wrong |= {f"{there}/{path.name}"} if i in bad else set()
    return wrong


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_photographs_in_a_wrong_folder_come_first_five_times_as_often_as_by_chance(tmp_path):
    """The README's folder, smaller and with one of the two nets: two minutes of a processor, where the set is there."""
    if not sets.on_disk("tiny-imagenet-10"):
        pytest.skip("tiny-imagenet-10 is not on this machine: easel data tiny-imagenet-10")
    wrong = planted_photographs(tmp_path / "photographs", each=100, share=0.08)
    table = audit(tmp_path / "photographs", nets=("vgg-11-0.25x",), epochs=16).table
    first = [name in wrong for name in table.file.head(20)]
    print(sum(first), "of 20;", sum(name in wrong for name in table.file.head(80)), "of 80")
    assert len(wrong) == 80
    assert np.mean(first) >= 5 * 0.08
