"""Notebooks executed in processes of their own: what counts as success, what a failure leaves alone, what stops it."""

import csv
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import make_notebooks as make
import psutil
import pytest
from PIL import Image

from easel import cli, files
from easel.errors import UserError
from easel.notebook import batch, kernel, lab, page as receipts, plan, plan as parameters, site

PARAMETERS = """profile = "smoke"  # set by easel run
data = "patterns"  # the paper: CIFAR-10
epochs = 3  # paper: 300
rate = 0.5  # paper: .3
seed = 4  # of the first trial
m = [1, 2]  # epochs
models = ["mlp-1x10"]  # nets
dry = False  # nothing is trained
label = None  # of the run"""


@pytest.fixture
def notebooks(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("EASEL_NOTEBOOKS", str(tmp_path / "notebooks"))
    monkeypatch.delenv("EASEL_STAGE", raising=False)
    make.profiles(tmp_path / "notebooks")
    return tmp_path / "notebooks"


@pytest.fixture
def results(tmp_path) -> Path:
    return tmp_path / "results" / "smoke"


def values(notebooks, **settings) -> dict:
    (job,) = plan.planned("smoke", settings=settings)
    return job.values


# what is asked for -----------------------------------------------------------------------------------------------


def test_the_parameters_of_a_notebook_are_the_literals_of_its_parameters_cell(notebooks):
    make.write(notebooks, "00_one", parameters=PARAMETERS + '\ntext = "a # b"')
    found = parameters.parameters_of(notebooks / "00_one.ipynb")
    assert found["m"] == [1, 2]
    assert found["text"] == "a # b"
    assert list(found)[:3] == ["profile", "data", "epochs"]


@pytest.mark.parametrize("cell", ["a = 1 + x", "print(1)", "a, b = 1, 2", "import os", "a = ", "a.b = 1"])
def test_a_parameters_cell_that_computes_is_refused_and_not_run(notebooks, cell):
    make.write(notebooks, "00_one", parameters=f'profile = "smoke"\n{cell}')
    with pytest.raises(UserError, match="must only assign literals"):
        plan.planned("smoke")


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("5", "epochs", 5), ("1", "rate", 1.0), ("1e-3", "rate", 1e-3), (".25", "rate", 0.25), ("0", "seed", 0),
        ("5", "m", [5]), ("1,2,5", "m", [1, 2, 5]), ("[1, 5]", "m", [1, 5]), ("true", "dry", True),
        ("wrn-10-1, mlp-1x10", "models", ["wrn-10-1", "mlp-1x10"]), ("1234", "data", "1234"), ("x", "label", "x"),
        ("0.5", "label", 0.5), ('"; import os; "', "data", '"; import os; "'),
    ],
)  # fmt: skip
def test_a_setting_takes_the_type_of_the_default(notebooks, text, name, value):
    make.write(notebooks, "00_one", parameters=PARAMETERS)
    found = values(notebooks, **{name: text})[name]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("epochs", "three"), ("epochs", "-1"), ("epochs", "0"), ("epochs", "nan"), ("epochs", "2.5"),
        ("epochs", "true"),
        ("epochs", "null"), ("epochs", "[1]"), ("epochs", "1_0 0"), ("epochs", "{a: 1}"), ("epochs", "[1"),
        ("rate", "nan"), ("rate", ".nan"), ("rate", "inf"), ("rate", "-.inf"), ("rate", "-0.1"), ("rate", "half"),
        ("rate", "1e999"), ("rate", "9" * 400), ("seed", "-1"), ("m", "[]"), ("m", "1,x"), ("m", "0"), ("m", "1,,2"),
        ("m", "[[1]]"), ("models", "3"), ("dry", "1"), ("dry", "maybe"), ("label", "nan\x00"), ("data", " \t\x07"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_refused_in_one_line_that_names_it(notebooks, name, text):
    make.write(notebooks, "00_one", parameters=PARAMETERS)
    with pytest.raises(UserError) as refusal:
        values(notebooks, **{name: text})
    assert f"{name} = " in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_default_of_zero_allows_zero_and_a_negative_one_anything(notebooks):
    make.write(notebooks, "00_one", parameters='profile = "smoke"\ndrop = 0.0\nshift = -1')
    assert values(notebooks, drop="0", shift="-5") == {"profile": "smoke", "drop": 0.0, "shift": -5}
    with pytest.raises(UserError, match="from 0 up"):
        values(notebooks, drop="-0.5")


LISTS = """profile = "smoke"
rates = [0.0, 0.3, 0.9]
alphas = [0.0, 0.5, 1.0]
tiles = [1, 2, 4]
radii = [1.6, 3.2]
deltas = [0.2, 0.5, 0.8]
keeps = [10, 50, 90]"""


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("rates", "0,.95", [0.0, 0.95]), ("alphas", "1,0", [1.0, 0.0]), ("tiles", "1,16", [1, 16]),
        ("radii", "0,14.4", [0.0, 14.4]), ("deltas", "0.1,1", [0.1, 1.0]), ("keeps", "1,100", [1, 100]),
    ],
)  # fmt: skip
def test_a_list_of_shares_or_strengths_reaches_to_its_ends(notebooks, name, text, value):
    make.write(notebooks, "00_one", parameters=LISTS)
    assert values(notebooks, **{name: text})[name] == value


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("rates", "0.3,1", "rates = 1.0 does not fit; it takes a list, each a finite number from 0 up, below 1"),
        ("rates", "-0.1", "rates = -0.1"),
        ("rates", "30", "rates = 30.0"),
        ("alphas", "0.5,1.5", "alphas = 1.5 does not fit; it takes a list, each a finite number from 0 to 1"),
        ("alphas", "-1", "alphas = -1.0"),
        ("alphas", "nan", "alphas = 'nan'"),
        ("tiles", "2,0", "tiles = 0 does not fit; it takes a list, each a whole number from 1 up"),
        ("tiles", "2.5", "tiles = 2.5"),
        ("radii", "-1.6", "radii = -1.6 does not fit; it takes a list, each a finite number from 0 up"),
        ("radii", ".inf", "radii = '.inf'"),
        ("deltas", "0,0.5", "deltas = 0.0 does not fit; it takes a list, each a finite number above 0, at most 1"),
        ("deltas", "1.01", "deltas = 1.01"),
        ("keeps", "0", "keeps = 0 does not fit; it takes a list, each a whole number above 0, at most 100"),
        ("keeps", "50,101", "keeps = 101"),
    ],
)
def test_a_share_or_strength_out_of_range_is_refused_before_anything_starts(notebooks, name, text, message):
    make.write(notebooks, "00_one", parameters=LISTS)
    with pytest.raises(UserError) as refusal:
        values(notebooks, **{name: text})
    assert message in str(refusal.value)
    make.profiles(notebooks, f"smoke:\n  00_one: {{{name}: [{text}]}}\n")
    with pytest.raises(UserError, match=f"profiles.yaml, smoke, 00_one: {name} = "):
        values(notebooks)


@pytest.mark.parametrize("name", ["epoch", "Epochs", "x; import os; os._exit(0)\ny", "profile"])
def test_a_name_that_no_notebook_has_is_refused_even_if_it_is_code(notebooks, name):
    make.write(notebooks, "00_one", parameters=PARAMETERS)
    with pytest.raises(UserError, match=r"no parameter|use --profile"):
        values(notebooks, **{name: "3"})


def test_a_setting_goes_to_every_notebook_that_has_it_and_to_no_other(notebooks):
    make.write(notebooks, "00_one", parameters='profile = "smoke"\nepochs = 3')
    make.write(notebooks, "01_two")
    one, two = plan.planned("smoke", settings={"epochs": "7"})
    assert (one.values, two.values) == ({"profile": "smoke", "epochs": 7}, {"profile": "smoke"})
    with pytest.raises(UserError, match="no parameter 'epochs' in 01_two"):
        plan.planned("smoke", only=["01"], settings={"epochs": "7"})


def test_a_profile_overrides_and_a_setting_overrides_the_profile(notebooks):
    make.write(notebooks, "00_one", parameters=PARAMETERS)
    make.profiles(notebooks, "smoke:\n  00_one: {epochs: 1, rate: 1e-3, m: [5]}\nlaptop:\n")
    assert values(notebooks, epochs="2") == {"profile": "smoke", "epochs": 2, "rate": 1e-3, "m": [5]}
    assert plan.planned("laptop")[0].effective["epochs"] == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("smoke:\n  00_one: {epoch: 1}", "no parameter 'epoch'"),
        ("smoke:\n  00_one: {epochs: many}", "epochs = 'many'"),
        ("smoke:\n  00_one: {'x; import os': 1}", "no parameter"),
        ("smoke:\n  00_one: {profile: gpu}", "no parameter 'profile'"),
        ("smoke:\n  02_none: {}", "no notebook '02_none'"),
        ("smoke: [1]", "must map"),
        ("smoke: {00_one: 3}", "must map"),
        ("- smoke", "must map"),
        ("smoke: {", "cannot be read"),
        ("laptop: {}", "no profile 'smoke'; there are: laptop"),
    ],
)
def test_a_profile_that_does_not_fit_the_notebooks_is_refused(notebooks, text, message):
    make.write(notebooks, "00_one", parameters=PARAMETERS)
    make.profiles(notebooks, text)
    with pytest.raises(UserError, match=message) as refusal:
        plan.planned("smoke")
    assert "\n" not in str(refusal.value)


def test_notebooks_are_chosen_by_number_or_name(notebooks):
    for stem in ("00_one", "01_two", "02_three"):
        make.write(notebooks, stem)
    assert [job.stem for job in plan.planned("smoke", only=["02", "00_one"])] == ["00_one", "02_three"]
    for wrong in ("3", "0", "two", "../00_one"):
        with pytest.raises(UserError, match="there are: 00_one, 01_two, 02_three"):
            plan.planned("smoke", only=[wrong])


VARIANTS = """smoke:
  00_one-photographs: {data: photographs@48, models: [resnet18-0.25x]}
  00_one: {data: cifar10, epochs: 2}
  00_one-large: {data: cifar10@64}
  01_two: {}
laptop:
  00_one: {epochs: 9}
"""


def runs(**asked) -> list[str]:
    return [job.stem for job in plan.planned("smoke", **asked)]


def test_a_variant_is_the_notebook_once_more_with_parameters_of_its_own(notebooks):
    for stem in ("00_one", "01_two"):
        make.write(notebooks, stem, parameters=PARAMETERS)
    make.profiles(notebooks, VARIANTS)
    jobs = plan.planned("smoke", settings={"rate": "0.1"})
    assert [(job.stem, job.variant, job.notebook.name) for job in jobs] == [
        ("00_one", "", "00_one.ipynb"),
        ("00_one-photographs", "photographs", "00_one.ipynb"),
        ("00_one-large", "large", "00_one.ipynb"),
        ("01_two", "", "01_two.ipynb"),
    ]
    assert jobs[0].values == {"profile": "smoke", "data": "cifar10", "epochs": 2, "rate": 0.1}
    assert jobs[1].values == {
        "profile": "smoke", "data": "photographs@48", "models": ["resnet18-0.25x"], "rate": 0.1
    }  # fmt: skip
    assert jobs[1].effective["epochs"] == 3
    assert [job.stem for job in plan.planned("laptop")] == ["00_one", "01_two"]


def test_a_number_means_a_notebook_with_its_variants_and_a_name_itself_alone(notebooks):
    for stem in ("00_one", "01_two"):
        make.write(notebooks, stem, parameters=PARAMETERS)
    make.profiles(notebooks, VARIANTS)
    assert runs(only=["00"]) == ["00_one", "00_one-photographs", "00_one-large"]
    assert runs(only=["00_one"]) == ["00_one"]
    assert runs(only=["01", "00_one-large"]) == ["00_one-large", "01_two"]
    for wrong in ("photographs", "00_one-small", "01_two-large", "00-large"):
        with pytest.raises(UserError, match="there are: 00_one, 00_one-photographs, 00_one-large, 01_two"):
            runs(only=[wrong])


@pytest.mark.parametrize("asked", [{"dataset": "patterns"}, {"settings": {"data": "patterns"}}])
def test_another_data_set_leaves_variants_out_unless_one_is_named(notebooks, asked):
    for stem in ("00_one", "01_two"):
        make.write(notebooks, stem, parameters=PARAMETERS)
    make.profiles(notebooks, VARIANTS)
    assert runs(**asked) == ["00_one", "01_two"]
    assert runs(only=["00"], **asked) == ["00_one"]
    assert runs(only=["01", "00_one-large"], **asked) == ["00_one-large", "01_two"]
    assert {job.values["data"] for job in plan.planned("smoke", only=["01", "00_one-large"], **asked)} == {"patterns"}


@pytest.mark.parametrize("key", ["00_one-", "00_one-Large", "00_one-a_b", "00_one-a-b", "02_none-large", "-large", 0])
def test_a_key_that_is_no_notebook_s_and_no_variant_s_is_refused(notebooks, key):
    make.write(notebooks, "00_one")
    make.profiles(notebooks, f"smoke:\n  {key}: {{}}\n")
    with pytest.raises(UserError, match=f"names no notebook {key!r}; there are: 00_one, each with -WORD"):
        plan.planned("smoke")


def test_a_notebook_that_is_called_like_a_variant_is_a_notebook(notebooks):
    for stem in ("00_one", "00_one-large"):
        make.write(notebooks, stem)
    make.profiles(notebooks, "smoke:\n  00_one-large: {}\n")
    assert [(job.stem, job.variant) for job in plan.planned("smoke")] == [("00_one", ""), ("00_one-large", "")]


def test_every_parameter_that_holds_nets_is_checked_and_no_other():
    given = {"model": "a", "models": ["b", "c"], "target_model": "d", "cheap_models": ["e"], "modelling": "x"}
    given |= {"data": "x", "remodel": "x", "other_model": None}
    assert plan.nets_of(given) == ["a", "b", "c", "d", "e"]


def test_a_data_folder_is_meant_from_where_the_command_is_typed(notebooks, tmp_path, monkeypatch):
    make.write(notebooks, "00_one", parameters=PARAMETERS)
    monkeypatch.chdir(tmp_path)
    assert plan.planned("smoke", dataset="./mine")[0].values["data"] == str(tmp_path / "mine")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"models": "mlp-1x10,wrn-11-1"}, "wrn depth 11"),
        ({"data": "cifar11"}, "cifar11"),
        ({"data": "./none"}, "none"),
    ],
)
def test_an_unknown_net_or_data_set_is_refused_before_anything_starts(notebooks, results, settings, message):
    make.write(notebooks, "00_one", make.END, parameters=PARAMETERS)
    with pytest.raises(UserError, match=message):
        batch.run("smoke", settings=settings)
    assert list(results.parent.glob("*/*")) == []  # own data have a folder of their own


@pytest.mark.parametrize(
    ("changed", "answer"),
    [
        ({}, {"patterns@24": "patterns@24"}),
        ({"data": "patterns@4"}, "a whole number of pixels from 8 to 512"),
        ({"target_model": "vgg-one"}, "'vgg-one'"),
        ({"models": ["mlp-1x10", "alexnet"]}, "'alexnet' needs images of at least 63x63 pixels, not 24x24"),
        ({"tiles": [2, 25]}, "shuffle=25"),
        ({"images": 9}, "9 images of patterns@24: a notebook takes 20 or more"),
        ({"epochs": 301}, "epochs=301"),
        ({"precision": "fp8"}, "'fp8'"),
    ],
)
def test_what_the_other_process_answers(monkeypatch, changed, answer):
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    given = {"data": "patterns@24", "target_model": "resnet18-0.25x", "tiles": [1, 24], "images": 10**6, "epochs": 300}
    given |= changed
    asked = [given["data"]], plan.nets_of(given), [given]
    if changed:
        with pytest.raises(UserError) as refusal:
            plan._inspect(*asked)
        assert answer in str(refusal.value)
    else:
        assert plan._inspect(*asked) == answer


def test_a_notebook_of_two_images_that_nobody_checked_divided_by_zero_and_is_refused():
    with pytest.raises(UserError, match="2 images of patterns: a notebook takes 20 or more"):
        lab.begin("01_matching", "smoke", "patterns", 2)


# what comes out ---------------------------------------------------------------------------------------------------

MEET = """import time, pathlib
pathlib.Path(profile + "-{me}").touch()
while not pathlib.Path(profile + "-{other}").exists():
    time.sleep(0.05)"""


@pytest.mark.slow
def test_two_notebooks_run_at_once_and_leave_pages_figures_verdicts_and_an_index(notebooks, results, capfd):
    """Each waits until the other has started: one after the other they would never end."""
    claim = make.VERDICT.format(claim="Nets <agree>", word="holds")
    title = "# EH 4: Do nets agree?\n\n**Table 1** is `the` question."
    make.write(
        notebooks, "00_one", MEET.format(me=0, other=1), make.FIGURE, claim, "page.verdicts()",
        "import sys; print('this Python:', sys.executable, epochs)", make.END, parameters=PARAMETERS, title=title,
    )  # fmt: skip
    fails = make.VERDICT.format(claim="MLPs differ", word="fails")
    make.write(notebooks, "01_two", MEET.format(me=1, other=0), fails, make.END)
    assert batch.run("smoke", jobs=2, settings={"epochs": "2", "data": "patterns"}) == 0
    said = capfd.readouterr().out
    assert f"this Python: {sys.executable} 2" in said
    assert "01_two  done in" in said
    assert "trained 0, reused 0 trials; 1 holds, 1 fails" in said

    assert {p.name for p in results.iterdir()} == {
        "00_one.ipynb", "00_one.html", "01_two.ipynb", "01_two.html", "index.html", "verdicts.csv", "runs.csv",
        "figures", "receipts",
    }  # fmt: skip
    with open(results / "verdicts.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["notebook"], row["claim"], row["verdict"]) for row in rows] == [
        ("00_one", "Nets <agree>", "holds"),
        ("01_two", "MLPs differ", "fails"),
    ]
    assert (rows[0]["here"], rows[0]["low"], rows[0]["n"]) == ("0.68", "0.6", "9")

    index = (results / "index.html").read_text()
    assert '<img loading="lazy" src="figures/00_one-line.png" alt="Fig. 1: a line through 3 points."' in index
    assert (results / "figures/00_one-line.png").read_bytes().startswith(b"\x89PNG")
    assert "EH 4: Do nets agree?" in index
    assert "Table 1 is the question." in index
    assert "Nets &lt;agree&gt;" in index
    assert "✓ holds" in index
    assert "✗ fails" in index
    assert index.count('href="01_two.') == 3  # its page and notebook, and the page once more in the contents

    page = (results / "00_one.html").read_text()
    assert "<script" not in page
    (image,) = re.findall(r"<img[^>]*>", page)
    assert 'alt="Fig. 1: a line through 3 points."' in image
    assert 'src="figures/00_one-line.png"' in image  # beside it, not twice
    notebook = (results / "00_one.ipynb").read_text()
    assert str(notebooks) not in notebook
    assert json.loads(notebook)["metadata"]["papermill"] == {
        "parameters": {"profile": "smoke", "epochs": 2, "data": "patterns"}
    }
    assert {p.name for p in notebooks.iterdir()} == {
        "00_one.ipynb", "01_two.ipynb", "profiles.yaml", "smoke-0", "smoke-1"
    }  # fmt: skip


@pytest.mark.slow
def test_a_notebook_and_its_variant_run_at_once_and_leave_all_they_make_side_by_side(notebooks, results, capfd):
    """Each waits until the other has started, as above."""
    meet = (
        "import pathlib, time\npathlib.Path('met-' + kind).touch()\n"
        "while len(list(pathlib.Path('.').glob('met-*'))) < 2:\n    time.sleep(0.05)"
    )
    table = "import pandas as pd\npage.table(pd.DataFrame({'kind': [kind]}), 'kinds', caption='Kinds.')"
    verdict = make.VERDICT.format(claim="Kinds differ", word="holds")
    make.write(
        notebooks, "00_one", meet, make.FIGURE, table, verdict, make.END,
        parameters='profile = "smoke"\nkind = "main"', title="# Which kind?",
    )  # fmt: skip
    make.profiles(notebooks, "smoke:\n  00_one-other: {kind: other}\n")
    assert batch.run("smoke", jobs=2) == 0
    said = capfd.readouterr().out
    assert "1 notebook and 1 variant, 2 at a time" in said
    assert "1 notebook and 1 variant done in" in said
    assert "00_one-other  done in" in said
    assert {str(p.relative_to(results)) for p in results.rglob("*") if p.is_file()} == {
        "index.html", "verdicts.csv", "runs.csv",
        "00_one.ipynb", "00_one.html", "figures/00_one-line.png", "tables/00_one-kinds.csv", "receipts/00_one.json",
        "00_one-other.ipynb", "00_one-other.html", "figures/00_one-other-line.png", "tables/00_one-other-kinds.csv",
        "receipts/00_one-other.json",
    }  # fmt: skip
    assert (results / "tables/00_one-kinds.csv").read_text() == "kind\nmain\n"
    assert (results / "tables/00_one-other-kinds.csv").read_text() == "kind\nother\n"
    with open(results / "verdicts.csv", newline="") as file:
        assert [row["notebook"] for row in csv.DictReader(file)] == ["00_one", "00_one-other"]


FAILURES = {
    "00_killed": ("import os\nos._exit(0)", "code cell 3: the kernel died"),
    "01_raises": ("1 / 0", "code cell 3: ZeroDivisionError: division by zero"),
    "02_no_receipt": ("1", "left no receipt"),
    "03_old_receipt": (f"import os; os.environ['EASEL_RUN'] = 'old'; {make.END}", "of another run"),
}


@pytest.mark.slow
def test_a_failed_run_says_why_and_leaves_the_older_results_alone(notebooks, results, capfd):
    older = {}
    for stem, (cell, _) in FAILURES.items():
        make.write(notebooks, stem, cell)
        receipt = make.receipt(results, stem, run="older")
        older[receipt] = receipt.read_text()
        for name in (f"{stem}.ipynb", f"{stem}.html"):
            older[results / name] = "older"
            (results / name).write_text(older[results / name])
    assert batch.run("smoke", jobs=2) == 1
    said = capfd.readouterr().err.splitlines()
    for stem, (_, reason) in FAILURES.items():
        (line,) = [line for line in said if stem in line]
        assert reason in line
    assert {path: path.read_text() for path in older} == older
    kept = {p.name for p in results.glob("*.failed.ipynb")}
    assert kept == {"00_killed.failed.ipynb", "01_raises.failed.ipynb"}
    assert "ZeroDivisionError" in (results / "01_raises.failed.ipynb").read_text()
    assert list(results.glob(".*")) == []


@pytest.mark.slow
def test_a_second_run_replaces_the_first_and_removes_what_only_the_first_made(notebooks, results):
    make.write(notebooks, "00_one", make.FIGURE, make.FIGURE.replace('"line"', '"second"'), make.END)
    assert batch.run("smoke") == 0
    first = (results / "00_one.ipynb").stat().st_ino
    (results / "00_one.failed.ipynb").write_text("from a failed run between")
    (results / "figures/other.png").write_bytes(b"not ours")
    make.write(notebooks, "00_one", make.FIGURE, make.END)
    assert batch.run("smoke") == 0
    assert {p.name for p in (results / "figures").iterdir()} == {"00_one-line.png", "other.png"}
    assert (results / "00_one.ipynb").stat().st_ino != first
    assert not (results / "00_one.failed.ipynb").exists()


# what stops it ------------------------------------------------------------------------------------------------------

ENDLESS = "import os, pathlib, subprocess, sys, time\n" + (
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "pathlib.Path('pids.part').write_text(f'{os.getpid()} {child.pid}')\n"
    "os.rename('pids.part', 'pids')\ntime.sleep(600)"
)


def start(notebooks) -> tuple[subprocess.Popen, list[psutil.Process]]:
    """`easel run` in a process of its own, and all that it started once the kernel has started a process too."""
    make.write(notebooks, "00_one", make.FIGURE, ENDLESS, make.END)
    process = subprocess.Popen(
        [sys.executable, "-m", "easel.cli", "run"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    until(lambda: (notebooks / "pids").exists())
    others = psutil.Process(process.pid).children(recursive=True)
    assert {int(pid) for pid in (notebooks / "pids").read_text().split()} < {other.pid for other in others}
    return process, others


def until(what) -> None:
    deadline = time.monotonic() + 60
    while not what():
        assert time.monotonic() < deadline, "waited a minute in vain"
        time.sleep(0.05)


def ended(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_stopping_ends_everything_leaves_nothing_half_written_and_says_how_to_go_on(notebooks, results, how):
    process, others = start(notebooks)
    process.send_signal(how)
    with process:
        said = process.stderr.read()
        assert process.wait(timeout=30) == 130
    until(lambda: all(map(ended, others)))
    assert said.strip() == "easel: stopped; finished trials are kept, the same command goes on from here"
    assert list(results.iterdir()) == []


@pytest.mark.slow
def test_a_killed_run_takes_all_that_it_started_along_and_leaves_no_trace(notebooks, results):
    process, others = start(notebooks)
    scratch = next(filter(None, (one.environ().get("JUPYTER_RUNTIME_DIR") for one in others)))  # a forked one has none
    assert os.path.isdir(scratch)
    process.kill()
    process.wait()
    process.stderr.close()
    until(lambda: all(map(ended, others)))
    assert list(results.iterdir()) == []
    assert not os.path.exists(scratch)


@pytest.mark.slow
def test_a_run_that_was_killed_while_its_kernel_started_left_two_processes_that_waited_for_each_other(
    notebooks, results, monkeypatch
):
    make.write(notebooks, "00_one", "import time\ntime.sleep(600)", make.END)
    scratch = Path(tempfile.mkdtemp(prefix="e", dir="/tmp"))  # a socket's path has 107 letters at most
    monkeypatch.setenv("TMPDIR", str(scratch))
    silent = dict.fromkeys(("stdout", "stderr"), subprocess.DEVNULL)
    process = subprocess.Popen([sys.executable, "-m", "easel.cli", "run"], **silent)
    until(lambda: list(scratch.glob("easel-*/kernel-process.*")))
    others = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    until(lambda: all(map(ended, others)))
    assert list(results.iterdir()) == []
    shutil.rmtree(scratch)


def test_the_next_run_clears_up_after_a_machine_that_went_down(notebooks, results, monkeypatch):
    make.write(notebooks, "00_one")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for pid in (gone.pid, os.getpid()):
        (results / f".00_one.{platform.node()}.{pid}.stage" / "figures").mkdir(parents=True)
    for folder in (results, results / "receipts", results / "tables", results.parent / "facts"):
        folder.mkdir(exist_ok=True)
        (folder / ".a.x.part").write_bytes(b"half")
        os.utime(folder / ".a.x.part", (1, 1))
    monkeypatch.setattr(batch, "_run_all", lambda *_: [batch.Outcome("00_one", error="not run")])
    assert batch.run("smoke") == 1
    assert [path.name for path in results.glob(".*")] == [f".00_one.{platform.node()}.{os.getpid()}.stage"]
    assert list(results.parent.rglob("*.part")) == []


# smaller things -------------------------------------------------------------------------------------------------------


def test_a_results_folder_that_is_read_only_is_refused_before_anything_starts(notebooks, monkeypatch):
    make.write(notebooks, "00_one")
    notebooks.parent.chmod(0o755)
    plans = plan.planned("smoke")
    monkeypatch.setattr(batch, "planned", lambda *_: plans)  # pytest's folders are closed to the user who may not write
    with make.read_only() as folder:
        monkeypatch.setenv("EASEL_RESULTS", str(folder))
        with pytest.raises(UserError, match=f"{folder}/smoke: no permission"):
            batch.run("smoke")


def test_progress_is_passed_on_thinned_out():
    class Stream:
        def __init__(self, *chunks):
            self.chunks = list(chunks)

        def read1(self, _):
            return self.chunks.pop(0) if self.chunks else b""

    assert list(batch._readable(Stream(b"caf", "é\nx".encode()[:1], "é\nx".encode()[1:], b"y\r\n\n"))) == ["café", "xy"]
    bar = [f"\r{percent} %".encode() for percent in range(100)]
    assert list(batch._readable(Stream(b"start\n", *bar, b"\rdone\n"))) == ["start", "0 %", "done"]
    assert len(list(batch._readable(Stream(b"line\n" * 1000)))) in range(10, 13)
    assert list(batch._readable(Stream(b"\x1b[31mred\x1b[0m" + b"." * 200 + b"\n"))) == ["red" + "." * 156 + "…"]


def test_a_tally_counts_in_words():
    rows = [{"verdict": v} for v in ("holds", "holds", "fails", "open", "as printed")]
    assert site.tally(rows) == "2 hold, 1 fails, 1 open, 1 as printed"
    assert site.tally([]) == "no verdicts"


def test_runs_are_counted_in_words():
    assert site.counted(["", "photographs", "", "", "photographs"]) == "3 notebooks and 2 variants"
    assert site.counted(["", "photographs"]) == "1 notebook and 1 variant"
    assert site.counted(["photographs"]) == "1 variant"
    assert site.counted([""]) == "1 notebook"
    assert site.counted([]) == "0 notebooks"


def receipt_in(folder: Path, stem: str, variant: str = "", **more) -> None:
    """A receipt and an executed notebook, as a run leaves them."""
    make.receipt(folder, stem, **({"variant": variant} if variant else {}) | more)
    cells = [{"cell_type": "markdown", "source": f"# What does {stem[:2]} ask?\n\nA paragraph."}]
    (folder / f"{stem}.ipynb").write_text(json.dumps({"cells": cells}))
    (folder / f"{stem}.html").write_text("")


def test_the_index_begins_with_its_contents_each_variant_below_its_notebook(tmp_path):
    verdicts = [{"claim": "c", "paper": 1, "here": 1, "verdict": v, "why": "w"} for v in ("holds", "holds", "fails")]
    receipt_in(tmp_path, "01_two")
    receipt_in(tmp_path, "00_one-photos", "photos", data=["tiny-imagenet-10@48"], verdicts=verdicts)
    receipt_in(tmp_path, "00_one", data=["cifar10", "cifar10:merged"])
    receipt_in(tmp_path, "00_onemore-photos", "photos")
    (tmp_path / "explorer.html").touch()
    (tmp_path / "explorer-photos.html").touch()
    index = site.write_site(tmp_path).read_text()
    contents = index[index.index("<nav") : index.index("</nav>")]
    rows = [re.sub(r"<[^>]+>", "|", row) for row in contents.split("<tr")[2:]]
    rows = [[cell for cell in row.partition(">")[2].split("|") if cell.strip()] for row in rows]
    assert rows == [
        ["00", "What does 00 ask?", "cifar10, cifar10:merged", "no verdicts", "read"],
        ["photos", "tiny-imagenet-10@48", "2 hold", "1 fails", "read"],
        ["00", "What does 00 ask?", "photos", "no verdicts", "read"],  # its notebook has not run: it stands for itself
        ["01", "What does 01 ask?", "no verdicts", "read"],
    ]
    assert re.findall(r'href="#([^"]+)"', contents) == ["00_one", "00_one-photos", "00_onemore-photos", "01_two"]
    assert re.findall(r'<article id="([^"]+)"', index) == ["00_one", "00_one-photos", "00_onemore-photos", "01_two"]
    card = index[index.index('<article id="00_one-photos"') :]
    card = card[: card.index("</article>")]
    assert '<span class="word">photos</span></h2>' in card
    assert "data: tiny-imagenet-10@48" in card
    assert '<a href="explorer.html">the explorer</a> · <a href="explorer-photos.html">the explorer, photos</a>' in index
    assert "2 notebooks and 2 variants" in index


def test_one_notebook_needs_no_contents(tmp_path):
    receipt_in(tmp_path, "00_one")
    assert "<nav" not in site.write_site(tmp_path).read_text()


@pytest.mark.slow
def test_runs_with_a_name_stand_beside_each_other_and_a_table_compares_their_claims(notebooks, results, capsys):
    claim = 'page.verdict(claim="It grows", paper=1, here=epochs, low=0, high=9, n=3, verdict="open", why="So.")'
    make.write(notebooks, "00_one", claim, make.END, parameters='profile = "smoke"\nepochs = 3\nm = [1, 2]')
    make.write(notebooks, "01_two", make.END, title="# Two\n\nA.\n\n## A part\n\n## Another <b>\n")
    assert batch.run("smoke") == 0
    assert batch.run("smoke", ["00"], settings={"epochs": "5"}, name="longer") == 0
    with open(results / "runs.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["notebook"], row["run"], row["here"], row["epochs"], row["m"]) for row in rows] == [
        ("00_one", "", "3", "3", "1,2"),
        ("00_one", "longer", "5", "5", "1,2"),
    ]
    index = (results / "index.html").read_text()
    assert '<article id="00_one-longer"' in index
    assert "epochs = 5" in index
    first, second = ((results / f"{stem}.html").read_text() for stem in ("00_one", "01_two"))
    assert '<a href="01_two.html">01_two →</a>' in first
    assert '<a href="00_one.html">← 00_one</a>' in second
    assert '<li><a href="#A-part">A part</a></li>' in second


@pytest.mark.parametrize("name", ["Long", "two words", "photos", "", "../x"])
def test_a_name_is_a_word_that_is_no_variants(notebooks, name):
    make.write(notebooks, "00_one", make.END)
    make.profiles(notebooks, "smoke: {00_one-photos: {}}\n")
    with pytest.raises(UserError, match=r"--name .*: a word of a-z and 0-9"):
        plan.planned("smoke", name=name)


def test_a_folder_that_papermill_filled_becomes_pages(tmp_path, capsys):
    receipt_in(tmp_path, "00_one")
    content = json.loads((tmp_path / "00_one.ipynb").read_text())
    content |= {"nbformat": 4, "nbformat_minor": 5, "metadata": {"papermill": {"parameters": {"epochs": 7}}}}
    content["cells"][0] |= {"id": "a", "metadata": {}}
    (tmp_path / "00_one.ipynb").write_text(json.dumps(content))
    (tmp_path / "00_one.html").unlink()
    assert cli.main(["index", str(tmp_path)]) == 0
    assert "What does 00 ask?" in (tmp_path / "00_one.html").read_text()
    receipt = receipts.read(tmp_path / "receipts" / "00_one.json")
    assert receipt["parameters"] == {"epochs": 7}
    assert not receipts.changed(receipt, tmp_path)
    index = (tmp_path / "index.html").read_text()
    assert 'href="00_one.html"' in index
    assert "<dt>matching rate</dt>" in index  # the words that the notebooks' README.md explains
    assert cli.main(["index", str(tmp_path / "none")]) == 2
    assert "has no receipts/" in capsys.readouterr().err


# what the index says of results that are not as they should be --------------------------------------------------------


def text_of(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.partition("<body>")[2]).split())


def test_a_damaged_or_foreign_receipt_is_named_and_passed_over(tmp_path):
    (tmp_path / "receipts").mkdir()
    (tmp_path / "receipts/00_one.json").write_text('{"notebook": "00_one"')
    (tmp_path / "receipts/01_two.json").write_text('{"notebook": "00_one"}')
    with pytest.warns(UserWarning, match=r"is damaged .* and not used"):
        assert receipts.found_in(tmp_path) == []
    index = site.write_site(tmp_path).read_text()  # named already: once
    assert "no verdicts" in index
    assert "The receipt of 00_one is damaged: it cannot be read" in index
    assert "easel run --only 01_two makes them anew" in index


GOOD = {
    "claim": "Nets agree",
    "paper": 0.7,
    "here": 0.6,
    "low": 0.5,
    "high": 0.7,
    "n": 9,
    "verdict": "holds",
    "why": "w",
}
HURTS = [  # what happened to a receipt, and what is said
    ({"keys": None}, "&#39;keys&#39; is None"),
    ({"verdicts": [{"verdict": "holds"}]}, "&#39;verdicts&#39; has an entry that is none"),
    ({"verdicts": [GOOD | {"verdict": "perhaps"}]}, "&#39;verdicts&#39; has an entry that is none"),
    ({"verdicts": [GOOD | {"n": "nine"}]}, "&#39;verdicts&#39; has an entry that is none"),
    ({"figures": [{"file": "a.png"}]}, "&#39;figures&#39; has an entry that is none"),
    ({"seconds": "long"}, "&#39;seconds&#39; is &#39;long&#39;"),
    ({"files": {}}, "its content does not match its SHA-256"),  # its digest is gone, its files' are not
    (None, "it holds no names and values"),
]


@pytest.mark.parametrize(("hurt", "said"), HURTS)
def test_a_receipt_with_null_or_missing_keys_was_a_traceback_and_is_named_on_the_index(tmp_path, hurt, said):
    path = make.receipt(tmp_path, "00_one", **(hurt or {}))
    if hurt is None:
        path.write_text("null")
    with pytest.warns(UserWarning, match="00_one.json is damaged"):
        assert f"The receipt of 00_one is damaged: {said}" in site.write_site(tmp_path).read_text()


@pytest.mark.timeout(20)
@pytest.mark.parametrize("what", ["a pipe", "a link to itself", "a folder", "null", "[" * 20000, '{"cells": [{}]}'])
def test_the_index_waited_for_a_pipe_or_failed_at_what_is_no_notebook_and_leaves_its_question_out(tmp_path, what):
    make.receipt(tmp_path, "00_one")
    path = tmp_path / "00_one.ipynb"
    lay = {"a pipe": os.mkfifo, "a link to itself": lambda path: path.symlink_to(path), "a folder": Path.mkdir}
    lay.get(what, lambda path: path.write_text(what))(path)
    assert site.question(path) == ("", "")
    assert "00_one" in site.write_site(tmp_path).read_text()


def test_a_receipt_whose_verdict_was_changed_by_hand_was_believed_and_is_named(tmp_path):
    content = json.loads(make.receipt(tmp_path, "00_one", verdicts=[GOOD | {"verdict": "fails"}]).read_text())
    path = receipts.write(receipts.path_of(tmp_path, "00_one"), content | {"files": {}, "data": [], "variant": ""})
    assert "1 fails" in site.write_site(tmp_path).read_text()
    path.write_text(path.read_text().replace('"fails"', '"holds"'))
    with pytest.warns(UserWarning, match="does not match its SHA-256"):
        index = site.write_site(tmp_path).read_text()
    assert "1 holds" not in index
    assert "The receipt of 00_one is damaged" in index


def test_a_receipt_of_an_earlier_version_without_digests_is_shown_as_it_is(tmp_path):
    make.receipt(
        tmp_path, "00_one", verdicts=[GOOD | {"verdict": "inconclusive"}], figures=[{"file": "f.png", "caption": "c"}]
    )
    index = site.write_site(tmp_path).read_text()
    assert "1 open" in index
    assert "damaged" not in index


def test_a_figure_or_page_that_changed_after_its_receipt_was_shown_as_if_nothing_had_happened(tmp_path):
    for name in ("figures/00_one-a.png", "figures/00_one-b.png", "00_one.ipynb"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"as it was")
    content = json.loads(make.receipt(tmp_path, "00_one").read_text())
    path = receipts.write(receipts.path_of(tmp_path, "00_one"), content | {"files": {}})
    receipts.add_files(path, ["figures/00_one-a.png", "figures/00_one-b.png", "00_one.ipynb"])
    assert "since the receipt was written" not in site.write_site(tmp_path).read_text()
    (tmp_path / "figures/00_one-a.png").write_bytes(b"as it is")
    (tmp_path / "00_one.ipynb").unlink()
    said = text_of(site.write_site(tmp_path).read_text())
    assert "figures/00_one-a.png is changed since the receipt was written" in said
    assert "00_one.ipynb is missing since the receipt was written" in said
    assert "b.png is" not in said


def test_last_times_holds_was_shown_after_a_run_that_failed_and_is_marked_as_older(tmp_path):
    receipt_in(tmp_path, "00_one", verdicts=[GOOD])
    receipt_in(tmp_path, "01_two", verdicts=[GOOD | {"verdict": "fails"}])
    receipts.note_failure(tmp_path, "00_one", "code cell 3: ZeroDivisionError: <division> by zero")
    receipts.note_failure(tmp_path, "02_new", "it left no receipt")
    index = site.write_site(tmp_path).read_text()
    said = text_of(index)
    assert "Verdicts 1 fails Older verdicts 1 holds, of notebooks whose last run failed Failed 00_one, 02_new" in said
    contents = text_of("<body>" + index[index.index("<nav") : index.index("</nav>")])
    assert "failed 1 holds from 2026-01-01, this run failed" in contents
    cards = [text_of("<body>" + card) for card in index.split("<article")[1:]]
    assert "code cell 3: ZeroDivisionError: &lt;division&gt; by zero" in cards[0]
    assert "What follows is older: from 2026-01-01, this run failed." in cards[0]
    assert "✓ holds, 2026-01-01" in cards[0]
    assert "this run failed" not in cards[1]
    assert "it left no receipt. There are no older results." in cards[2]
    assert 'class="chip holds"' not in index
    with open(tmp_path / "verdicts.csv", newline="") as file:
        assert [row["older"] for row in csv.DictReader(file)] == ["2026-01-01T00:00:00+00:00", ""]


def test_the_note_of_a_failure_that_was_changed_is_not_believed_and_the_notebook_still_failed(tmp_path):
    receipts.note_failure(tmp_path, "00_one", "it failed")
    path = tmp_path / "receipts/00_one.failed.json"
    assert receipts.failures(tmp_path)["00_one"]["error"] == "it failed"
    path.write_text(path.read_text().replace("it failed", "it is not"))
    assert receipts.failures(tmp_path)["00_one"]["error"] == "why is not known: its note cannot be read"


def staged(stage: Path, run: str, verdict: str) -> None:
    """A finished run in its stage, whose figure is its own, and its receipt."""
    for name in ("figures/00_one-a.png", "00_one.html", "00_one.ipynb"):
        (stage / name).parent.mkdir(parents=True, exist_ok=True)
        (stage / name).write_text(f"of run {run}")
    shown = [{"file": "00_one-a.png", "caption": "A picture."}]
    path = make.receipt(stage, "00_one", run=run, figures=shown, verdicts=[GOOD | {"verdict": verdict}])
    receipts.add_files(path, ["figures/00_one-a.png", "00_one.html", "00_one.ipynb"])


def test_an_old_verdict_stood_above_a_new_figure_where_a_run_was_killed_between_the_two(tmp_path, monkeypatch):
    """Killed before each of the calls that change the results; what it had not moved, the next run moves."""
    moved, killed_at, folder = files.publish, 0, tmp_path / "results"
    while killed_at is not None:
        for run, verdict in (("first", "holds"), ("second", "fails")):
            calls = []
            staged(tmp_path / "stage", run, verdict)

            def killed(temporary, path, run=run, calls=calls, killed_at=killed_at):
                calls.append(path)
                if run == "second" and len(calls) > killed_at:
                    raise KeyboardInterrupt
                return moved(temporary, path)

            try:
                with monkeypatch.context() as patch:
                    patch.setattr(files, "publish", killed)
                    batch._publish(tmp_path / "stage", folder, "00_one")
                    site.write_site(folder)
                killed_at = None if run == "second" else killed_at
            except KeyboardInterrupt:
                killed_at += 1
            index, figure = (folder / "index.html").read_text(), (folder / "figures/00_one-a.png").read_text()
            if run == "first":
                assert "this run failed" not in index
            elif figure == "of run second" and killed_at is not None:
                assert "took the place of older ones" in index, killed_at
                assert 'class="chip holds"' not in index
    assert "1 fails" in index
    assert "failed" not in text_of(index)
    assert not (folder / "receipts/00_one.failed.json").exists()


@pytest.mark.parametrize("name", ["..", "", "figures/..", "a\0b"])
def test_a_receipt_whose_file_is_no_file_is_damaged(tmp_path, name):
    make.receipt(tmp_path, "00_one", figures=[{"file": name, "caption": "A picture."}])
    with pytest.warns(UserWarning, match=r"'figures' has an entry that is none"):
        assert receipts.found_in(tmp_path) == []


def test_results_that_lie_there_whole_are_none_of_a_run_that_was_stopped(tmp_path):
    staged(tmp_path, "first", "holds")
    receipts.note_failure(tmp_path, "00_one", batch.REPLACING)
    assert "this run failed" in site.write_site(tmp_path).read_text()
    staged(tmp_path, "second", "fails")  # killed before the note was removed
    assert "failed" not in text_of(site.write_site(tmp_path).read_text())


def test_a_failed_run_was_not_marked_where_the_clock_had_been_set_back(tmp_path, monkeypatch):
    staged(tmp_path, "first", "holds")
    content = receipts.read(receipts.path_of(tmp_path, "00_one"))
    receipts.write(receipts.path_of(tmp_path, "00_one"), content | {"finished": "2999-01-01T00:00:00+00:00"})
    receipts.note_failure(tmp_path, "00_one", "it failed")
    assert "it failed" in site.write_site(tmp_path).read_text()


def test_a_run_by_hand_after_a_failed_one_was_shown_as_older_with_the_page_of_an_earlier_run(tmp_path):
    receipt_in(tmp_path, "00_one")
    receipts.note_failure(tmp_path, "00_one", "it failed")
    content = json.loads(make.receipt(tmp_path, "00_one", run="", finished="2999-01-01T00:00:00+00:00").read_text())
    receipts.write(receipts.path_of(tmp_path, "00_one"), content | {"files": {}})
    index = site.write_site(tmp_path).read_text()
    assert "failed" not in text_of(index)
    assert "run by hand" in index
    assert 'href="00_one.html"' not in index


@pytest.mark.slow
def test_a_notebook_that_was_closed_before_its_last_figure_counted_as_done_and_fails(notebooks, results, capfd):
    again = make.FIGURE.replace("[1, 3, 2]", "[3, 1, 2]")
    make.write(notebooks, "00_later", make.FIGURE, make.END, make.FIGURE.replace('"line"', '"later"'))
    make.write(notebooks, "01_again", make.FIGURE, make.END, again)
    assert batch.run("smoke", jobs=2) == 1
    said = capfd.readouterr().err
    assert "00_later FAILED: figures/00_later-later.png: saved after page.close(...)" in said
    assert "01_again FAILED: figures/01_again-line.png: saved after page.close(...)" in said
    assert not (results / "figures").exists()


@pytest.mark.slow
def test_the_index_was_written_at_the_end_alone_and_is_true_after_every_notebook(notebooks, results):
    """The second looks at the index that stands when the first is done; the third fails after an older success."""
    make.write(notebooks, "00_one", make.FIGURE, make.VERDICT.format(claim="A", word="holds"), make.END)
    make.write(notebooks, "01_two", make.VERDICT.format(claim="B", word="holds"), make.END)
    assert batch.run("smoke", jobs=1) == 0
    content = receipts.read(results / "receipts/00_one.json")
    assert sorted(content["files"]) == ["00_one.html", "00_one.ipynb", "figures/00_one-line.png"]
    assert receipts.changed(content, results) == {}
    make.write(notebooks, "00_one", "1 / 0")
    look = f"index = open({str(results / 'index.html')!r}).read()\nassert 'this run failed' in index, index"
    make.write(notebooks, "01_two", look, make.VERDICT.format(claim="B", word="fails"), make.END)
    assert batch.run("smoke", jobs=1) == 1
    said = text_of((results / "index.html").read_text())
    assert "Verdicts 1 fails Older verdicts 1 holds, of notebooks whose last run failed Failed 00_one" in said
    make.write(notebooks, "00_one", make.VERDICT.format(claim="A", word="holds"), make.END)
    assert batch.run("smoke", only=["00"]) == 0
    assert "failed" not in text_of((results / "index.html").read_text())
    assert sorted(path.name for path in (results / "receipts").iterdir()) == ["00_one.json", "01_two.json"]


def test_an_index_that_cannot_be_written_whole_stays_as_it_was(tmp_path, monkeypatch):
    receipt_in(tmp_path, "00_one", verdicts=[GOOD])
    names = ("index.html", "verdicts.csv", "runs.csv")
    whole = [(site.write_site(tmp_path).parent / name).read_bytes() for name in names]
    receipts.note_failure(tmp_path, "00_one", "it failed")
    replaced = os.replace
    for at in range(3):
        calls = []

        def killed(*given, at=at, calls=calls):
            calls.append(given)
            if len(calls) > at:
                raise KeyboardInterrupt
            replaced(*given)

        with monkeypatch.context() as patch:
            patch.setattr(files.os, "replace", killed)
            with pytest.raises(KeyboardInterrupt):
                site.write_site(tmp_path)
        found = [(tmp_path / name).read_bytes() for name in names]
        assert sum(a == b for a, b in zip(found, whole, strict=True)) >= 3 - at
        assert found[0] == whole[0]


@pytest.mark.parametrize("when", ["execute", "save_notebook", "add_files"])
def test_a_full_disk_while_a_notebook_is_saved_was_a_traceback_or_a_number_and_is_said_in_words(
    tmp_path, monkeypatch, when
):
    def full(*_):
        raise OSError(28, "No space left on device")

    stage = tmp_path / "stage"
    (stage / "receipts").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)  # it goes to the notebook's folder
    monkeypatch.setattr(kernel, "execute", lambda *_: None)
    monkeypatch.setattr(kernel, "save_notebook", lambda *_: None)
    monkeypatch.setattr(site, "notebook_html", lambda *_: "")
    monkeypatch.setattr(receipts if when == "add_files" else kernel, when, full)
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    with warnings.catch_warnings():
        assert kernel.attempt(plan.Job("00_one", tmp_path / "00_one.ipynb", {}, {}), stage) == 1
    assert json.loads((tmp_path / "outcome.json").read_text())["error"].endswith(f"{stage}: the disk is full")


# own data -----------------------------------------------------------------------------------------------------------


def pictures(root: Path, *splits: str) -> str:
    for split in splits:
        for name in ("ant", "bee"):
            (root / split / name).mkdir(parents=True)
            for k in range(4):
                Image.new("RGB", (8, 8), (60 * k, 0, 0)).save(root / split / name / f"{k}.png")
    return str(root)


def test_own_data_have_a_folder_of_results_of_their_own_which_is_no_profile_s(notebooks, tmp_path):
    make.write(notebooks, "00_one", parameters=PARAMETERS)
    for name, folder in (
        ("birds", "birds"),
        ("my birds", "my-birds"),
        ("smoke", "smoke-data"),
        ("trials", "trials-data"),
    ):
        own = pictures(tmp_path / name, "train", "val")
        for asked in (own, f"{own}@16", f"{own}~0.2"):
            (job,) = plan.planned("smoke", dataset=asked)
            assert job.values["profile"] == folder
    assert plan.planned("smoke", dataset="patterns")[0].values["profile"] == "smoke"


def test_what_needs_a_test_set_is_left_out_or_refused_before_anything_starts(notebooks, tmp_path, capsys):
    for stem in ("00_one", "05_two"):
        make.write(notebooks, stem, parameters=PARAMETERS, needs=("test images",) if stem == "05_two" else ())
    own = pictures(tmp_path / "birds", "train")
    assert [job.stem for job in plan.planned("smoke", dataset=own)] == ["00_one"]
    said = capsys.readouterr().out
    assert said.startswith(f"easel: {own} has no test split (val/): left out 05_two; --hold-out 0.2 takes a fifth")
    with pytest.raises(UserError, match=r"has no test split .*, which 05_two asks for"):
        plan.planned("smoke", only=["05"], dataset=own)
    assert len(plan.planned("smoke", dataset=f"{own}~0.2")) == 2
    assert len(plan.planned("smoke", dataset=pictures(tmp_path / "more", "train", "valid"))) == 2


@pytest.mark.parametrize("models", [["mlp-1x10"], ["mlp-1x10", "mlp-1x10"]])
def test_one_net_where_nets_are_compared_failed_after_training_and_is_refused(notebooks, models):
    cell = 'profile = "smoke"\nmodels = ["mlp-1x10", "wrn-10-1"]'
    make.write(notebooks, "06_learnability", make.END, parameters=cell, needs=("two nets",))
    with pytest.raises(UserError, match="06_learnability compares nets with each other: models = mlp-1x10; name two"):
        plan.planned("smoke", settings={"models": ",".join(models)})


@pytest.mark.parametrize(("name", "wanted"), [("auto", "cifar10"), ("photographs@64", "tiny-imagenet-10")])
def test_that_drawn_images_stand_in_was_said_on_the_pages_alone_and_is_said_first(monkeypatch, capsys, name, wanted):
    job = plan.Job("00_one", Path("00_one.ipynb"), {}, {"data": name})
    monkeypatch.setattr(plan, "_inspected", lambda sets, *_: dict.fromkeys(sets, "patterns@64"))
    plan.check_inputs([job])
    said = capsys.readouterr().out
    assert f"{name}: no {wanted} in " in said
    assert f"easel data {wanted} gets the real ones" in said
    plan.check_inputs([plan.Job("00_one", Path("00_one.ipynb"), {}, {"data": "patterns@64"})])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("asked", "near"),
    [({"profile": "smok"}, "smoke"), ({"only": ["00_ome"]}, "00_one"), ({"settings": {"epoch": "2"}}, "epochs")],
)
def test_a_name_that_is_nearly_right_is_asked_about(notebooks, asked, near):
    make.write(notebooks, "00_one", parameters=PARAMETERS)
    with pytest.raises(UserError, match=rf"did you mean {near}\? there are: "):
        plan.planned(**{"profile": "smoke"} | asked)
