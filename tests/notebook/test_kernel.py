"""What notebooks are forked with: data sets that are there already, and are read again where files changed."""

import json
import os
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from PIL import Image

from easel.data import own, sets
from easel.notebook import kernel, plan


@pytest.fixture
def folder(tmp_path):
    """Six images of each of two classes to train on, two of each to test on."""
    for split, count in (("train", 6), ("val", 2)):
        for shade, name in ((40, "dark"), (200, "light")):
            place = tmp_path / "own" / split / name
            place.mkdir(parents=True)
            for n in range(count):
                Image.fromarray(np.full((8, 8, 3), shade + n, np.uint8)).save(place / f"{n}.png")
    return tmp_path / "own"


def test_what_was_read_before_is_not_read_again_unless_a_file_changes(folder, monkeypatch):
    kernel.load_sets([str(folder)])
    read, whole = [], own.Folder.read
    monkeypatch.setattr(own.Folder, "read", lambda self, *asked: read.append(asked) or whole(self, *asked))
    before = [sets.load(str(folder), split).images.max() for split in ("train", "test")]
    assert (before, read) == ([205, 201], [])
    Image.fromarray(np.full((8, 8, 3), 250, np.uint8)).save(folder / "train" / "light" / "5.png", compress_level=0)
    assert sets.load(str(folder), "train").images.max() == 250
    assert read == [("train", 8)]


def test_a_data_set_that_is_not_there_or_is_damaged_is_passed_over_in_silence(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("EASEL_DATA", str(tmp_path / "nothing"))
    (folder / "train" / "dark" / "0.png").write_bytes(b"no image")
    kernel.load_sets(["auto", "cifar100", "no such", str(tmp_path / "no folder"), str(folder)])
    assert capsys.readouterr() == ("", "")
    assert not (tmp_path / "nothing").exists()


def test_what_is_drawn_and_rendered_beforehand_leaves_no_trace():
    style = dict(matplotlib.rcParams)
    kernel.draw_figure()
    kernel.render_page()
    assert dict(matplotlib.rcParams) == style


@pytest.mark.slow
def test_a_forked_process_has_the_data_sets_that_were_asked_for(folder):
    asked = (
        "from easel import warm; from easel.data import sets\n"
        "def seen(name): sets.load(name); print(sets._load.cache_info().misses)\n"
    )
    code = f"import sys; sys.path.insert(0, {str(folder.parent)!r}); import there; from easel import warm\n"
    code += f"one = warm.start(there.seen, {str(folder)!r}, preload=['there', 'easel.notebook.kernel']); one.join()"
    (folder.parent / "there.py").write_text(asked)
    for names, misses in (([str(folder)], "2"), ([], "1")):
        environ = os.environ | {plan.WARMED: json.dumps(names), "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
        assert done.stdout.split() == [misses], done.stderr  # both splits, by the process it is forked from; or its own
