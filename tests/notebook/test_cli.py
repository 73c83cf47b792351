"""The command line: every bad request is one line and exit status 2, and nothing was started."""

import errno
import hashlib
import json
import os
import subprocess
import sys
import types
import warnings
from pathlib import Path

import make_notebooks as make
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from easel import cli
from easel.ledger import provenance
from easel.ledger.store import Store
from easel.ledger.trial import Recipe
from easel.nets import names
from easel.notebook import batch
from easel.train import cost, ensure as run


@pytest.fixture(autouse=True)
def notebooks(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("EASEL_NOTEBOOKS", str(tmp_path / "notebooks"))
    parameters = 'profile = "smoke"\nepochs = 3  # paper: 300\ndata = "patterns"\nmodels = ["mlp-1x10"]'
    make.write(tmp_path / "notebooks", "00_one", make.END, parameters=parameters)
    make.profiles(tmp_path / "notebooks", "smoke: {}\nlaptop: {}\n")
    return tmp_path / "notebooks"


@pytest.fixture
def nothing_starts(monkeypatch):
    def started(*_):
        raise AssertionError("a notebook was started")

    monkeypatch.setattr(batch, "_run_all", started)


def refused(capsys, *argv: str) -> str:
    """The one line on standard error of a request that ends with exit status 2 and prints nothing else."""
    try:
        status = cli.main(list(argv))
    except SystemExit as exit_:  # argparse
        status = exit_.code
    out, err = capsys.readouterr()
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("easel: ")
    return err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("run --profile enormous", "no profile 'enormous'; there are: smoke, laptop"),
        ("run --only 07", "no notebook '07'; there are: 00_one"),
        ("run --only ,", "no notebook was named"),
        ("run --set epochs=three", "epochs = 'three' does not fit; it takes a whole number above 0"),
        ("run --set epochs=-1", "epochs = -1"),
        ("run --set epochs=nan", "epochs = 'nan'"),
        ("run --set epochs", "NAME=VALUE"),
        ("run --set =3", "NAME=VALUE"),
        ("run --set epoch=3", "no parameter 'epoch' in 00_one; did you mean epochs? there are: epochs, data, models"),
        ("run --set profile=laptop", "use --profile"),
        ("run --set __import__('os').abort()=1", "no parameter"),
        ("run --dataset cifar10 --set data=patterns", "the same thing"),
        ("run --jobs 0", "--jobs 0"),
        ("run --jobs two", "--jobs"),
        ("run --engine slurm", "invalid choice: 'slurm'"),
        ("run --quickly", "unrecognized arguments: --quickly"),
        ("paint", "invalid choice: 'paint'"),
        ("p" * 5000, "invalid choice: 'ppp"),
        ("", "COMMAND"),
        ("data cifar11", "cifar11"),
        ("data ./no/such/folder", "no/such/folder"),
        ("data ~nouser/x", "'~nouser/x': there is no home folder of that name"),
        ("run --dataset ~nouser/x", "'~nouser/x': there is no home folder of that name"),
        ("data ./a\0b", "a path has no zero byte in it"),
        ("scores --profile " + "x" * 5000, "cannot be a profile's name"),
        ("scores --profile laptop", "run: easel run --profile laptop"),
        ("scores --out easiness.txt", "must end in .parquet or .csv"),
        ("scores --keep 0", "0 is not a share above 0, at most 1"),
        ("scores --keep 50", "50 is not a share above 0, at most 1"),
        ("scores --keep nan", "nan is not a share"),
        ("scores --keep half", "invalid number value: 'half'"),
        ("scores --keep 0.5 --drop middle", "invalid choice: 'middle'"),
        ("scores --keep 0.5 --seed -1", "-1 is not a whole number from 0 up"),
        ("scores --keep 0.5 --m 0", "0 is not a whole number from 1 up"),
        ("scores --keep 0.5 --out keep.parquet", "keep.parquet must end in .csv"),
        ("scores --keep 0.5", "run: easel run --profile smoke"),
        ("scores --net mlp-1x10", "--net says what to keep and needs --keep"),
        ("scores --balanced", "--balanced says what to keep and needs --keep"),
        ("bench --repeats 0", "from 1 up"),
        ("train --profile enormous", "no profile 'enormous'; there are: smoke, laptop"),
        ("train --budget 8x", "it takes a number above 0 with s, m or h: 90s, 8m, 1.5h"),
        ("train --pack trained.tar", "must end in .zip"),
        ("train --dataset cifar10 --set data=patterns", "the same thing"),
        ("import", "PACK"),
        ("import no/such.zip", "no/such.zip is no pack of records"),
        ("import no\x1b[2J.zip", r"no\x1b[2J.zip is no pack of records"),
        ("release", "--profile"),
        ("release --profile laptop", "run: easel run --profile laptop"),
    ],
)
def test_a_request_that_cannot_be_met_is_one_line_and_starts_nothing(capsys, nothing_starts, tmp_path, argv, message):
    said = refused(capsys, *argv.split())
    assert message in said
    assert len(said) <= 301
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(("device", "message"), [("cuda", "has no GPU that CUDA can use"), ("tpu", "one of cpu, cuda")])
def test_a_gpu_that_is_not_there_was_refused_after_the_data_were_read_and_is_at_once(
    capsys, nothing_starts, monkeypatch, device, message
):
    monkeypatch.setattr(batch, "check_inputs", lambda _: pytest.fail("PyTorch is imported, and data are read"))
    monkeypatch.setattr(provenance, "_gpus", lambda: 0)
    monkeypatch.setenv("EASEL_DEVICE", device)
    assert f"EASEL_DEVICE={device}: " in (said := refused(capsys, "run"))
    assert message in said


@pytest.mark.parametrize("argv", ["run --dataset ./loop", "data ./loop", "audit ./loop", "new ./loop"])
def test_a_link_to_itself_was_a_traceback_and_is_one_line(capsys, nothing_starts, monkeypatch, tmp_path, argv):
    monkeypatch.chdir(tmp_path)
    os.symlink("loop", tmp_path / "loop")
    assert "it is a link to itself" in refused(capsys, *argv.split())


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("EFBIG", "a file would be larger than is allowed here (ulimit -f)"),
        ("EIO", "the disk reports an error"),
        ("EISDIR", "it is a folder"),
        ("ESTALE", "the network folder is no longer there"),
        ("ENOENT", "there is no such file or folder"),
    ],
)
def test_a_system_s_error_while_something_is_read_was_a_traceback_and_is_one_line(capsys, monkeypatch, code, words):
    number = getattr(errno, code)

    def fails(_):
        raise OSError(number, os.strerror(number), "store/one.npz")

    monkeypatch.setattr(Store, "keys", fails)
    assert refused(capsys, "info") == f"easel: store/one.npz: {words}\n"


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("010", 10), ("1e3", None), ("1:30", None), ("2020-99-99", None), ("0x_", None), ("0x10", None),
        ("!!int x", None), ("!!bool x", None), ("!!float [1]", None), ("!!int {a: 1}", None),
        ("!!timestamp x", None), ("9" * 5000, None), ("[" * 2000, None), ("{" * 20000, None), ("1_000", 1000), ("+7",
        7),
        ("&a [*a]", None), ("*a", None), ("\x1b[2J", None), ("\ud800", None), ("yes", None), ("\u00b2", None),
        ("~", None),
    ],
)  # fmt: skip
def test_a_value_is_read_as_a_person_means_it_or_refused_in_one_line(capsys, monkeypatch, text, means):
    given = []
    monkeypatch.setattr(batch, "check_inputs", lambda plans: given.extend(plans))
    monkeypatch.setattr(batch, "_run_all", lambda *_: [])
    if means is None:
        said = refused(capsys, "run", "--set", f"epochs={text}")
        assert len(said) <= 301
        assert "it takes a whole number above 0" in said
    else:
        cli.main(["run", "--set", f"epochs={text}"])
        assert given[0].values["epochs"] == means


@pytest.mark.parametrize(
    "text",
    [
        "smoke: {00_one: {epochs: 1:30}}", "smoke: {00_one: {epochs: 3, epochs: 4}}", "smoke: !!int x", "? [1]\n: 2",
        "smoke: {00_one: {epochs: 2020-99-99}}", "smoke: " + "[" * 3000, "\xff", "smoke: {00_one: {? [epochs] : 3}}",
        "smoke: &a {00_one: *a}", "- smoke", "smoke: {00_one: {epochs: " + "9" * 5000 + "}}", "smoke: {00_one: !x 3}",
        "\0",
        "smoke: {00_one: {models: [" + "mlp-1x10, " * 3000 + "7]}}",
        "a: &a [x,x]\nb: &b [*a,*a]\nsmoke: {00_one: {data: *b}}",
        "smoke: {1: {}}", "smoke: {00_one: {2: 3}}", "smoke: {<<: 3}", "smoke: {00_one: {epochs: .inf}}",
    ],
)  # fmt: skip
def test_a_profile_that_cannot_be_is_one_line(capsys, nothing_starts, notebooks, text):
    (notebooks / "profiles.yaml").write_bytes(text.encode("latin-1"))
    assert len(refused(capsys, "run")) <= 301


@pytest.mark.parametrize(
    "source",
    [
        "x = {[]: 1}", "x = " + "[" * 300, "x = " + "-" * 9000 + "1", "x = 1\0", "x = " + "9" * 5000, "x = {1: 2}",
        "x = (1,)",
        "x = [[1]]", "x = b'a'", "profile = 'a'; data = [1]",
        "x = 1j", "x = ...", "x, y = 1, 2", "import os", "x: int", "x = '\\d'; y = f''",
        5, None, [1],
    ],
)  # fmt: skip
def test_a_parameters_cell_that_cannot_be_is_one_line(capsys, nothing_starts, notebooks, source):
    content = json.loads((notebooks / "00_one.ipynb").read_text())
    cell = next(c for c in content["cells"] if "parameters" in c["metadata"].get("tags", []))
    cell["source"] = source
    (notebooks / "00_one.ipynb").write_text(json.dumps(content))
    assert len(refused(capsys, "run")) <= 301


@pytest.mark.slow
@pytest.mark.parametrize(
    "option", [("--dataset", "cifar11"), ("--set", "models=mlp-1x10,vgg-one"), ("--dataset", "./no")]
)
def test_an_unknown_data_set_or_net_is_one_line_and_starts_nothing(capfd, nothing_starts, option):
    assert option[1].rpartition(",")[2].lstrip("./") in refused(capfd, "run", *option)


@pytest.mark.slow
def test_a_damaged_image_is_named_before_anything_starts(capfd, nothing_starts, tmp_path):
    folder = tmp_path / "mine" / "train"
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        (folder / name / "1.png").write_bytes(b"\x89PNG and then nothing")
    said = refused(capfd, "run", "--dataset", str(tmp_path / "mine"))
    assert all(f"train/{name}/1.png" in said for name in ("cat", "dog"))


def test_missing_notebooks_are_one_line(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("EASEL_NOTEBOOKS", str(tmp_path / "elsewhere"))
    assert "no notebooks (NN_name.ipynb)" in refused(capsys, "run")


def test_a_results_folder_that_is_a_file_is_one_line(capsys, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EASEL_RESULTS", str(tmp_path / "file"))
    assert "a part of the path is a file" in refused(capsys, "run")


def test_help_and_refusals_do_not_import_the_heavy_packages(notebooks):
    code = (
        "import sys\nfrom easel import cli\n"
        "try:\n    status = cli.main(sys.argv[1:])\nexcept SystemExit as exit_:\n    status = exit_.code\n"
        "heavy = {'torch', 'pandas', 'papermill', 'IPython', 'matplotlib', 'nbconvert'}\n"
        "print(status, sorted(heavy & set(sys.modules)))"
    )
    for argv, status in ((["--help"], 0), (["run", "--set", "epochs=three"], 2), (["run", "--profile", "none"], 2)):
        done = subprocess.run([sys.executable, "-c", code, *argv], capture_output=True, text=True)
        assert done.stdout.splitlines()[-1] == f"{status} []"


@pytest.mark.parametrize("name", ["run", "new", "train", "import", "release", "bench", "data", "scores", "info"])
def test_every_command_explains_itself_with_examples(capsys, name):
    with pytest.raises(SystemExit) as end:
        cli.main([name, "--help"])
    assert end.value.code == 0
    assert f"examples:\n  easel {name}" in capsys.readouterr().out


def test_the_version_is_the_package_s(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out.startswith("easel 0.")


def test_run_hands_over_what_was_asked_for(monkeypatch):
    asked = []
    monkeypatch.setattr(batch, "run", lambda *given: asked.append((given, os.environ["EASEL_ENGINE"])) or 1)
    monkeypatch.setenv("EASEL_ENGINE", "local")
    argv = ["run", "--only", "00, 01", "--dataset", "patterns", "--jobs", "3", "--set", "m=1,2", "--set", "a=b=c"]
    assert cli.main([*argv, "--engine", "ray"]) == 1
    assert asked == [(("smoke", ["00", "01"], "patterns", 3, {"m": "1,2", "a": "b=c"}, None), "ray")]
    assert cli.main(["run", "--only", "00", "--only", "01,02"]) == 1  # again, not instead
    assert asked[1][0][1] == ["00", "01", "02"]


@pytest.mark.parametrize(("foreground", "heard"), [(True, True), (False, False)])
def test_ctrl_c_is_heard_where_a_person_can_send_it_and_not_behind_a_script(foreground, heard):
    """In the foreground of a terminal of its own; or with standard input from nowhere, as under & or nohup."""
    code = (
        "import os, signal, sys, time\nif sys.argv[1] == 'True':\n    import fcntl, termios\n    os.setsid()\n"
        "    fcntl.ioctl(0, termios.TIOCSCTTY, 0)\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from easel import cli\nfrom easel.notebook import batch\n"
        "def wait(*_):\n    os.kill(os.getpid(), signal.SIGINT)\n    time.sleep(0.1)\n    return 7\n"
        "batch.run = wait\nsys.exit(cli.main(['run']))"
    )
    theirs, ours = os.openpty() if foreground else (None, subprocess.DEVNULL)
    done = subprocess.run([sys.executable, "-c", code, str(foreground)], stdin=ours, capture_output=True, timeout=60)
    for end in (theirs, ours) if foreground else ():
        os.close(end)
    assert done.returncode == (130 if heard else 7), done.stderr


IGNORING = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"  # as under & or nohup


def test_what_is_started_where_ctrl_c_is_ignored_was_deaf_to_a_stop_and_is_not():
    code = "from easel import warm\nprocess = warm.start(signal.raise_signal, signal.SIGINT)\nprocess.join()\n"
    code += "print(process.exitcode)"
    done = subprocess.run([sys.executable, "-c", IGNORING + code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, "KeyboardInterrupt" in done.stderr) == ("1\n", True)


def test_tests_started_where_ctrl_c_is_ignored_start_what_hears_it():
    code = "import conftest\nprint(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    tests = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", IGNORING + code], cwd=tests, capture_output=True, text=True)
    assert done.stdout == "True\n"


def test_a_share_that_is_held_out_is_part_of_the_data_set_s_name(monkeypatch, capsys):
    calls = []
    monkeypatch.setattr(batch, "run", lambda *given: calls.append(given[2]) or 0)
    for folder in ("./birds", "./birds/", "./birds@64"):
        assert cli.main(["run", "--dataset", folder, "--hold-out", "0.2"]) == 0
    assert calls == ["./birds~0.2", "./birds~0.2", "./birds~0.2@64"]
    assert cli.main(["run", "--dataset", "./me@home/birds", "--hold-out", "0.33333"]) == 0
    assert calls[-1] == "./me@home/birds~0.3333"
    for argv in (["--hold-out", "0.2"], ["--hold-out", "0.2", "--dataset", "cifar10"], ["--hold-out", "2"]):
        assert "a share" in refused(capsys, "run", *argv)


def test_ctrl_c_is_status_130_and_one_line(capsys, monkeypatch):
    def stopped(*_):
        raise KeyboardInterrupt("stopped; go on later")

    monkeypatch.setattr(batch, "run", stopped)
    assert cli.main(["run"]) == 130
    assert capsys.readouterr().err == "\neasel: stopped; go on later\n"


def test_bench_gets_only_what_was_given(monkeypatch):
    asked = []
    fake = types.SimpleNamespace(run_bench=lambda **given: asked.append(given) or 0)
    monkeypatch.setitem(sys.modules, "easel.bench", fake)
    monkeypatch.setattr("easel.bench", fake, raising=False)
    assert cli.main(["bench"]) == 0
    assert cli.main(["bench", "--models", "mlp-1x10,wrn-10-1", "--device", "cpu", "--repeats", "2"]) == 0
    assert asked == [{}, {"models": ["mlp-1x10", "wrn-10-1"], "device": "cpu", "repeats": 2}]


def test_data_says_what_is_ready(capsys):
    assert cli.main(["data", "patterns", "--check"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("patterns")
    assert "10 classes; 32x32" in said


# the store ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def trained(tiny, tmp_path):
    """Three trials in the store, two of one net, and a receipt that names them."""
    trials = [tiny(0), tiny(1), tiny(0, model="mlp-1x12")]
    records = [run.ensure([trial], workers=0, store=Store(), quiet=True).records[0] for trial in trials]
    make.receipt(tmp_path / "results/smoke", "00_one", keys=[record.key for record in records])
    return records


def test_info_counts_what_is_in_the_store_and_names_what_is_damaged(trained, capsys, recwarn):
    path = Store().path(trained[0].key)
    assert cli.main(["info", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(g["data"], g["model"], g["epochs"], g["precision"], g["trials"]) for g in found["groups"]] == [
        ("patterns", "mlp-1x10", 2, "fp32", 2),
        ("patterns", "mlp-1x12", 2, "fp32", 1),
    ]
    assert found["trials"] == 3
    assert found["bytes"] == sum(Store().path(record.key).stat().st_size for record in trained)
    assert found["bad"] == []

    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    assert cli.main(["info"]) == 0
    said = capsys.readouterr().out
    assert f"damaged and set aside, to be trained again: {trained[0].key}.bad" in said
    assert "2 trials" in said


def test_info_on_an_empty_store_says_so(capsys):
    assert cli.main(["info"]) == 0
    assert "no trials yet" in capsys.readouterr().out


def test_scores_are_one_row_an_example_net_and_m(trained, capsys, tmp_path):
    assert cli.main(["scores"]) == 0
    assert "400 rows, mlp-1x10 on patterns, mlp-1x12 on patterns" in capsys.readouterr().out
    table = pd.read_parquet(tmp_path / "results/smoke/tables/easiness.parquet")
    assert list(table.columns) == [
        "dataset", "example", "label", "model", "m", "n_trials", "correct_count", "easiness"
    ]  # fmt: skip
    of_net = table[(table.model == "mlp-1x10") & (table.m == 2)].sort_values("example")
    counts = trained[0].correct()[1].astype(int) + trained[1].correct()[1]
    assert np.array_equal(of_net.correct_count, counts)
    assert np.allclose(of_net.easiness, counts / counts.max())
    assert set(of_net.n_trials) == {2}


def test_a_card_beside_the_table_says_what_it_is(trained, tmp_path):
    assert cli.main(["scores"]) == 0
    folder = tmp_path / "results/smoke/tables"
    card = (folder / "easiness.md").read_text()
    assert hashlib.sha256((folder / "easiness.parquet").read_bytes()).hexdigest() in card
    assert "400 rows" in card
    assert "| patterns | mlp-1x10 | 100 | 2 | 1, 2 |" in card
    assert "| patterns | mlp-1x12 | 100 | 1 | 1, 2 |" in card
    assert "trials: 3, fp32" in card
    assert all(f"`{column}`" in card for column in pd.read_parquet(folder / "easiness.parquet"))


def test_runs_of_whole_numbers_are_said_by_their_ends():
    from easel.notebook import inventory

    assert inventory._in_words([1, 2, 3, 5, 6, 20]) == "1 to 3, 5, 6, 20"


def test_scores_go_to_a_csv_file_too(trained, tmp_path):
    assert cli.main(["scores", "--out", str(tmp_path / "new" / "easiness.csv")]) == 0
    assert len(pd.read_csv(tmp_path / "new" / "easiness.csv")) == 400


def test_scores_pass_over_a_trial_that_was_judged_on_other_images_alone(trained, tiny, tmp_path):
    """Notebooks 04 and 08 train such: the table could not be made for want of what it says of the training set."""
    unusual = Recipe(precision="fp32", horizon=3)
    elsewhere = tiny(9, epochs=3, views=("test:50@3",), judged=False, recipe=unusual)
    keys = [run.ensure([elsewhere], workers=0, store=Store(), quiet=True).records[0].key]
    make.receipt(tmp_path / "results/smoke", "04_one", keys=keys)
    assert cli.main(["scores", "--out", str(tmp_path / "e.csv")]) == 0
    assert len(pd.read_csv(tmp_path / "e.csv")) == 400


def test_what_a_list_or_what_to_keep_does_not_hear_is_refused(trained, capsys):
    for argv in (["--suspicious", "5", "--dataset", "./birds"], ["--suspicious", "5", "--out", "list.csv"]):
        assert "prints a list" in refused(capsys, "scores", *argv)
    assert "the table of all scores" in refused(capsys, "scores", "--keep", "0.5", "--also", "learnability")


def test_how_long_it_takes_is_not_asked_of_nets_that_nobody_knows_here(trained, tiny, monkeypatch):
    """One such record in the store stopped every later training there."""
    known = cost.speeds(Store(), "cpu", ["fp32"])
    wild = Recipe(precision="fp32", learning_rate=1e30, optimizer="sgd")
    store = Store()
    run.ensure([tiny(7, recipe=wild), tiny(8, model="mlp-1x11")], workers=0, store=store, quiet=True)
    parse = names._parse
    monkeypatch.setattr(names, "_parse", lambda name: names.check("of-another") if name == "mlp-1x11" else parse(name))
    names.multiply_adds.cache_clear()
    assert cost.speeds(store, "cpu", ["fp32"]).keys() == known.keys()


def test_scores_take_a_net_that_was_trained_in_two_ways_once(trained, tiny, tmp_path):
    """Another number of epochs adds the m that the first way lacks; changed labels do not count at all."""
    from easel.ledger.trial import Edit

    longer = [tiny(0, epochs=3), tiny(5, edit=Edit(labels=np.zeros(100, int)))]
    more = [run.ensure([trial], workers=0, store=Store(), quiet=True).records[0].key for trial in longer]
    make.receipt(tmp_path / "results/smoke", "01_two", keys=more)
    assert cli.main(["scores", "--out", str(tmp_path / "e.csv")]) == 0
    table = pd.read_csv(tmp_path / "e.csv")
    of_net = table[table.model == "mlp-1x10"].groupby("m").n_trials.agg(["size", "max"])
    assert of_net.to_dict("index") == {m: {"size": 100, "max": n} for m, n in ((1, 2), (2, 2), (3, 1))}


def test_scores_whose_trial_is_gone_say_how_to_get_it_back(trained, capsys, tmp_path):
    Store().path(trained[1].key).unlink()
    assert cli.main(["scores", "--out", str(tmp_path / "e.csv")]) == 0
    said = capsys.readouterr().out
    assert f"not in the store: 1 of {len(trained)} trials (easel run --profile smoke)" in said
    for record in trained:
        Store().path(record.key).unlink(missing_ok=True)
    assert "run: easel run --profile smoke" in refused(capsys, "scores")


def receipt_of(tmp_path, stem: str, records, variant: str = "") -> None:
    make.receipt(tmp_path / "results/smoke", stem, variant=variant, keys=[record.key for record in records])


def test_scores_have_every_data_set_of_a_profile_and_shared_trials_once(trained, tiny, tmp_path, capsys):
    """A variant on other images, and a second notebook with the same trials as the first."""
    other = [run.ensure([tiny(s, data="patterns@16")], workers=0, store=Store(), quiet=True).records[0] for s in (0, 1)]
    receipt_of(tmp_path, "00_one-small", other, "small")
    receipt_of(tmp_path, "01_two", trained[:2])
    assert cli.main(["scores", "--out", str(tmp_path / "e.csv")]) == 0
    said = "mlp-1x10 on patterns, mlp-1x12 on patterns, mlp-1x10 on patterns@16"
    assert f"600 rows, {said}" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "e.csv")
    counted = table[table.m == 1].groupby(["dataset", "model"]).n_trials.agg(["size", "max"])
    assert counted.to_dict("index") == {
        ("patterns", "mlp-1x10"): {"size": 100, "max": 2},
        ("patterns", "mlp-1x12"): {"size": 100, "max": 1},
        ("patterns@16", "mlp-1x10"): {"size": 100, "max": 2},
    }


def test_scores_prefer_the_paper_s_recipe_to_more_trials_of_another(trained, tiny, tmp_path):
    from easel.ledger.trial import Recipe

    recipe = Recipe(precision="fp32", batch_size=64)
    more = [run.ensure([tiny(s, recipe=recipe)], workers=0, store=Store(), quiet=True).records[0] for s in range(3)]
    receipt_of(tmp_path, "01_two", more)
    assert cli.main(["scores", "--out", str(tmp_path / "e.csv")]) == 0
    table = pd.read_csv(tmp_path / "e.csv")
    assert set(table[table.model == "mlp-1x10"].n_trials) == {2}


def test_a_long_training_has_every_m_to_ten_then_each_tenth_and_the_last():
    from easel.notebook import inventory

    assert inventory._m_values(3) == [1, 2, 3]
    assert inventory._m_values(34) == [*range(1, 11), 20, 30, 34]


# which they are -------------------------------------------------------------------------------------------------------


@pytest.fixture
def own(tiny, tmp_path):
    """Trials of somebody's own folder, and their receipt in results/mine."""
    for i, name in enumerate(["ant", "bee"] * 6):
        path = tmp_path / "mine" / "train" / name / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (20 * i, 250 - 20 * i, 60)).save(path)
    asked = [tiny(seed, data=str(tmp_path / "mine"), images=None, record=("prediction",)) for seed in range(3)]
    ledger = run.ensure(asked, workers=0, store=Store(), quiet=True)
    make.receipt(tmp_path / "results/mine", "01_one", keys=ledger.keys)
    return ledger


def test_the_hardest_and_the_easiest_are_named_by_file_and_class(own, capsys):
    right = own.correct()[:, 0].sum(axis=0)
    for which, value in (("hardest", right.min()), ("easiest", right.max())):
        assert cli.main(["scores", "--profile", "mine", f"--{which}", "3"]) == 0
        header, first, *_, last = capsys.readouterr().out.strip().split("\n")
        assert header.split() == ["example", "class", "right", "file"]
        example, label, count, file = first.split()
        assert int(count) == right[int(example)] == value
        assert file.startswith(f"{label}/")
        assert last == f"{which} first, by mlp-1x10: 3 trials, m = 1, ties in file order"


def test_the_suspicious_are_those_that_trials_agree_to_take_for_another_class(own, capsys):
    assert cli.main(["scores", "--profile", "mine", "--suspicious", "12"]) == 0
    _, *rows, _ = capsys.readouterr().out.strip().split("\n")
    found = [row.split() for row in rows]
    gaps = [int(right) - int(times) for _, _, right, _, times, _ in found]
    assert gaps == sorted(gaps)
    assert all(int(right) + int(times) == 3 for _, _, right, _, times, _ in found)  # of two classes
    assert all(taken != label for _, label, _, taken, times, _ in found if int(times))


def test_a_table_of_own_data_has_files_and_classes_and_lists_stand_alone(own, trained, tmp_path, capsys):
    assert cli.main(["scores", "--profile", "mine", "--out", str(tmp_path / "e.csv")]) == 0
    table = pd.read_csv(tmp_path / "e.csv")
    assert (table.file.str.split("/").str[0] == table["class"]).all()
    capsys.readouterr()
    assert "--hardest prints a list" in refused(capsys, "scores", "--hardest", "3", "--keep", "0.5")
    assert "did not record what they took images for" in refused(capsys, "scores", "--suspicious", "3")


# what to keep ---------------------------------------------------------------------------------------------------------


def kept(tmp_path, capsys, *argv: str) -> tuple[pd.DataFrame, str]:
    assert cli.main(["scores", "--keep", "0.3", "--out", str(tmp_path / "keep.csv"), *argv]) == 0
    return pd.read_csv(tmp_path / "keep.csv"), capsys.readouterr().out


def test_what_is_kept_is_indices_labels_classes_and_easiness(trained, tmp_path, capsys):
    from easel.compare import scores
    from easel.ledger.store import Ledger
    from easel.sections import subsets

    table, said = kept(tmp_path, capsys)
    ledger = Ledger(trained[:2])
    easiness = scores.easiness(ledger)
    at = subsets.keep(easiness, 0.3, "easiest", seed=0)
    assert list(table.columns) == ["example", "label", "class", "easiness"]
    assert table.example.tolist() == ledger.ids[at].tolist()
    assert table.label.tolist() == ledger.labels[at].tolist()
    assert table["class"].tolist() == [ledger.examples.classes[c] for c in ledger.labels[at]]
    assert np.allclose(table.easiness, easiness[at])
    ties = subsets.tied(easiness, at)
    assert said.startswith("30 of 100 examples of patterns by mlp-1x10 (2 trials, m = 1): the easiest dropped; ")
    assert f"{ties} are tied at the cut, where a lot from seed 0 decides -> {tmp_path}/keep.csv" in said


@pytest.mark.parametrize(
    ("argv", "how", "m", "seed", "balanced", "said"),
    [
        ("--drop hardest --m 2", "hardest", 2, 0, False, "m = 2): the hardest dropped; "),
        ("--drop random --seed 7", "random", 1, 7, False, "m = 1): dropped at random -> "),
        ("--drop window", "window", 1, 0, False, "the easiest and the very hardest dropped; "),
        ("--balanced --seed 2", "balanced", 1, 2, False, "the easiest dropped, of every class alike; "),
        ("--balanced --drop hardest", "hardest", 1, 0, True, "the hardest dropped, of every class alike; "),
    ],
)
def test_what_is_dropped_may_be_chosen(trained, tmp_path, capsys, argv, how, m, seed, balanced, said):
    from easel.compare import scores
    from easel.ledger.store import Ledger
    from easel.sections import subsets

    table, words = kept(tmp_path, capsys, *argv.split())
    ledger = Ledger(trained[:2])
    chosen = {"seed": seed, "labels": ledger.labels, "balanced": balanced}
    at = subsets.keep(scores.easiness(ledger, m), 0.3, how, **chosen)
    assert table.example.tolist() == ledger.ids[at].tolist()
    assert said in words
    assert f"mlp-1x10 (2 trials, m = {m})" in words


def test_the_net_and_the_notebook_may_be_named_and_the_first_is_no_mlp(trained, tiny, tmp_path, capsys):
    cnn = run.ensure([tiny(0, model="wrn-10-1")], workers=0, store=Store(), quiet=True).records
    receipt_of(tmp_path, "01_two", [*trained, *cnn])
    receipt_of(tmp_path, "01_two-small", trained[2:], "small")
    assert "by wrn-10-1 (1 trial," in kept(tmp_path, capsys)[1]
    assert "by mlp-1x12 (1 trial," in kept(tmp_path, capsys, "--net", "mlp-1x12")[1]
    assert "by mlp-1x10 (2 trials" in kept(tmp_path, capsys, "--notebook", "00")[1]
    assert "by mlp-1x12 (1 trial," in kept(tmp_path, capsys, "--notebook", "01_two-small")[1]
    keep = ("scores", "--keep", "0.3", "--out", str(tmp_path / "other.csv"))
    there = "no net 'vgg-16' among the trials of 01_two; there are: mlp-1x10, mlp-1x12, wrn-10-1"
    assert there in refused(capsys, *keep, "--net", "vgg-16")
    there = "no notebook 07 has trials in"
    assert there in refused(capsys, *keep, "--notebook", "07")
    assert "m=3: give a whole number, in 1..2" in refused(capsys, *keep, "--m", "3")
    assert not (tmp_path / "other.csv").exists()
    assert (tmp_path / "results/smoke/tables/keep.csv").exists() is False
    assert cli.main(["scores", "--keep", "1"]) == 0
    assert len(pd.read_csv(tmp_path / "results/smoke/tables/keep.csv")) == 100


# receipts and notes that are damaged ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "hurt", ["null", "[]", "{", '{"seconds": null}', '{"seconds": "long"}', '{"seconds": -1}', '{"seconds": 1e300}']
)
def test_a_key_json_that_is_null_or_damaged_was_a_traceback_and_is_named(trained, capsys, hurt):
    path = Store().folder / f"{trained[0].key}.json"
    path.write_text(hurt)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert cli.main(["info"]) == 0
        said = capsys.readouterr()
        assert f"how it came about is missing or damaged, the trial is not: {trained[0].key}.json\n" in said.out
        assert "3 trials" in said.out
        assert f"easel: warning: note {path} is damaged (" in said.err
        assert cli.main(["scores"]) == 0
        assert run.ensure([record.trial for record in trained], quiet=True).trained == 0
        assert cost.speeds(Store(), "cpu", ["fp32"])
        assert Store().fullest(trained[0].key).provenance == {}
    assert capsys.readouterr().err == ""  # once


@pytest.mark.parametrize("hurt", ["null", '{"notebook": "01_two"}', '{"notebook": "01_two", "keys": null}'])
def test_scores_ended_in_a_traceback_at_a_damaged_receipt_and_name_it(trained, capsys, tmp_path, hurt):
    path = tmp_path / "results/smoke/receipts/01_two.json"
    path.write_text(hurt)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert cli.main(["scores"]) == 0
        assert cli.main(["release", "--profile", "smoke", "--out", str(tmp_path / "packs")]) == 0
    said = capsys.readouterr()
    assert said.err.startswith(f"easel: warning: receipt {path} is damaged (")
    assert "400 rows" in said.out
    assert "smoke.zip: 3 trials" in said.out
