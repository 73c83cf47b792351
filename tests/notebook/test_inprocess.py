"""`easel train`, `import` and `release`: trials travel between machines as packs, whole, and train nothing twice."""

import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import make_notebooks as make
import pytest

from easel import cli
from easel.errors import UserError
from easel.files import ROOT
from easel.ledger import store as ledger
from easel.ledger.store import Store
from easel.notebook import inprocess, inventory
from easel.train import budget, cost, ensure as run
from easel.train.loop import train
from easel.train.workers import Pool

# As a rented machine has it: none of what notebooks are shown with can be imported.
BARE = """
import sys
for name in ("IPython", "ipykernel", "ipywidgets", "jupyterlab", "matplotlib", "nbconvert", "nbformat", "papermill",
             "psutil", "pyarrow", "ray", "seaborn", "torchvision"):
    sys.modules[name] = None
from easel import cli
if __name__ == "__main__":
    sys.exit(cli.main(sys.argv[1:]))
"""
TRIALS = """
import matplotlib.pyplot as plt
import seaborn as sns
from IPython.display import Markdown
from easel import plot
from easel.ledger.trial import Recipe, Trial
from easel.train import ensure as run
plan = [Trial(data=data, images=100, model="mlp-1x10", seed=s, epochs=epochs, recipe=Recipe(precision="fp32"))
        for s in range(3)]
"""
DRAW = """
figure, (left, right) = plt.subplots(), plot.beside()[:2]
"""
LIVE = """
live = display(display_id=True)
for first in run.ensure(plan[:1], workers=0).correct():
    live.update(plot.ledger(first).figure)
with sns.axes_style("white"):
    page.figure(plot.counts(first), "counts", "A caption.")
"""
ENSURE = "ledger = run.ensure(plan, workers=0)"
AFTER = 'raise SystemError("this cell trains nothing and is not reached")'


@pytest.fixture
def notebooks(tmp_path, monkeypatch):
    monkeypatch.setenv("EASEL_NOTEBOOKS", str(tmp_path / "notebooks"))
    monkeypatch.chdir(tmp_path)
    parameters = 'profile = "smoke"\ndata = "patterns"\nepochs = 1'
    make.write(tmp_path / "notebooks", "00_one", TRIALS, LIVE, ENSURE, AFTER, parameters=parameters)
    make.write(tmp_path / "notebooks", "01_two", TRIALS, DRAW, ENSURE, make.END, parameters=parameters)
    make.profiles(tmp_path / "notebooks")
    return tmp_path / "notebooks"


def said(capsys, *argv: str, status: int = 0) -> str:
    assert cli.main(list(argv)) == status
    return capsys.readouterr().out


# train ---------------------------------------------------------------------------------------------------------------


def test_cells_run_to_the_last_that_trains_without_figures_or_results(notebooks, tmp_path, capsys):
    import matplotlib.pyplot as plt

    from easel import plot

    out = said(capsys, "train", "--only", "01,00", "--set", "epochs=2")
    assert out.index("easel: 01_two") < out.index("easel: 00_one")  # in the order asked for
    assert "easel: trained 3 trials in" in out
    assert "trained.zip: 3 trials" in out
    assert {record.epochs for record in Store().records()} == {2}
    made = {path.name for path in (tmp_path / "results").iterdir()} - {"facts"}  # what names need to know of the data
    assert made == {"trials"}
    assert sys.modules["matplotlib.pyplot"] is plt
    assert sys.modules["easel.plot"] is plot is sys.modules["easel"].plot
    assert said(capsys, "train").splitlines()[-1] == "easel: nothing was left to train"
    assert Store(tmp_path / "elsewhere").take(tmp_path / "trained.zip").new == 3


def test_a_cell_that_fails_is_named_and_counts_only_if_it_trains(notebooks, capsys):
    parameters = 'profile = "smoke"\ndata = "patterns"\nepochs = 1'
    make.write(notebooks, "02_bad", "1 / 0", TRIALS, ENSURE, parameters=parameters)
    make.write(notebooks, "03_worse", "1 / 0", ENSURE, parameters=parameters)
    assert cli.main(["train", "--only", "02"]) == 0
    assert capsys.readouterr().err == "easel: 02_bad, code cell 3: ZeroDivisionError: division by zero\n"
    assert cli.main(["train", "--only", "03"]) == 1
    assert "easel: 03_worse, code cell 4: NameError: name 'run' is not defined\n" in capsys.readouterr().err


def test_when_the_time_is_spent_nothing_is_begun_and_what_is_there_is_packed(notebooks, tmp_path, capsys, monkeypatch):
    asked = []
    monkeypatch.setattr(budget, "spent", lambda: asked.append(1) or len(asked) > 2)  # one alone, one with others
    out = said(capsys, "train", "--budget", "8m", "--pack", "packs/t.zip")
    assert "the time is spent; left: 1 trial of 00_one, all of 01_two, and what depends on them" in out
    assert Store(tmp_path / "elsewhere").take(tmp_path / "packs" / "t.zip").new == 2
    monkeypatch.setattr(budget, "spent", lambda: False)
    assert "trained 1 trial in" in said(capsys, "train", "--pack", "packs/t.zip")
    assert Store(tmp_path / "third").take(tmp_path / "packs" / "t.zip").new == 3  # the older pack's are kept


def test_what_was_trained_is_packed_when_it_is_stopped(notebooks, tmp_path, capsys, monkeypatch):
    def stopped():
        if len(Store().keys()) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(budget, "ask", stopped)
    assert cli.main(["train"]) == 130
    assert "trained 2 trials in" in capsys.readouterr().out
    assert Store(tmp_path / "elsewhere").take(tmp_path / "trained.zip").new == 2


@pytest.mark.parametrize("wrong", ["0", "0s", "8x", "", "8", "-1m", "1e9h", "1.h", " 8m", "nanm"])
def test_a_budget_is_a_number_and_a_unit(wrong, capsys):
    assert cli.main(["train", f"--budget={wrong}"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"easel: --budget {wrong!r} is no time to train in; ")
    assert err.count("\n") == 1
    with pytest.raises(UserError, match="8m"):
        budget.seconds(wrong)


def test_budgets_in_seconds():
    assert [budget.seconds(text) for text in ("90s", "8m", "1.5h")] == [90, 480, 5400]
    with budget.time_limit(0.0), pytest.raises(budget.OutOfTime):
        budget.ask()
    with budget.time_limit(60):
        budget.ask()
        with budget.time_limit(None):
            assert not budget.spent()
    budget.ask()


@pytest.mark.parametrize(
    ("argv", "word"), [("--pack trained.tar", "must end in .zip"), ("--only 07", "no notebook '07'")]
)
def test_what_cannot_be_trained_is_one_line_before_anything_starts(notebooks, argv, word, capsys):
    assert cli.main(["train", *argv.split()]) == 2
    assert word in capsys.readouterr().err
    (notebooks.parent / "trained.zip").write_text("something else")
    assert cli.main(["train"]) == 2
    assert "trained.zip is no pack" in capsys.readouterr().err


def test_workers_finish_what_they_have_and_get_no_more(tiny, store, monkeypatch):
    trials = [tiny(seed) for seed in range(6)]
    begun = []
    monkeypatch.setattr(budget, "spent", lambda: begun.append(1) or len(begun) > 2)
    with pytest.raises(budget.OutOfTime) as end:
        run.ensure(trials, workers=1, store=store, quiet=True)
    assert (end.value.left, len(store.keys())) == (4, 2)


def test_groups_that_train_together_are_not_begun_when_the_time_is_spent(tiny, store, monkeypatch):
    from easel.train import gpu

    trials = [tiny(seed, model=model) for model in ("mlp-1x10", "mlp-1x12") for seed in range(2)]
    asked = []
    monkeypatch.setattr(budget, "spent", lambda: asked.append(1) or len(asked) > 3)  # before width, group and pack
    with pytest.raises(budget.OutOfTime):
        gpu.train_together(trials, "cpu", store, run.Progress(trials, quiet=True), most=2)
    assert [store.get(trial) is not None for trial in trials] == [True, True, False, False]


@pytest.mark.slow
def test_a_bare_machine_trains_the_real_notebooks_and_at_home_nothing_is_left_to_train(tmp_path, monkeypatch, capfd):
    """00 and 04 in smoke's form, smaller; 04's second trials depend on what its first ones have learned."""
    monkeypatch.setenv("EASEL_NOTEBOOKS", str(ROOT / "notebooks"))
    script = tmp_path / "bare.py"
    script.write_text(BARE)
    small = ["images=100", "trials=2", "model=mlp-1x10", "epochs=1", "rates=0,0.3,0.9"]
    asked = ["--profile", "smoke", "--only", "00,04", "--dataset", "patterns"]
    asked += [word for setting in small for word in ("--set", setting)]
    pack = tmp_path / "trained.zip"
    command = [sys.executable, str(script), "train", *asked, "--budget", "60s", "--pack", str(pack)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    monkeypatch.setenv("EASEL_RESULTS", str(tmp_path / "home"))
    assert cli.main(["import", str(pack)]) == 0
    assert cli.main(["run", *asked, "--jobs", "1"]) == 0
    assert "nothing was trained, all" in capfd.readouterr().out


# import --------------------------------------------------------------------------------------------------------------


def test_import_says_what_is_new_here_apart_and_damaged(tiny, tmp_path, capsys):
    first, second, third = (train(tiny(seed)) for seed in range(3))
    other = train(tiny(1))
    other.arrays["correct.train"] = ~other.arrays["correct.train"]
    store, pack = Store(), tmp_path / "trained.zip"
    store.put(other)
    ledger.write_pack([first, second], pack)
    line = f"{pack}: 1 new, 0 here already; 1 left in it, the store has other bits for them: {second.key[:12]}\n"
    assert said(capsys, "import", str(pack)) == line
    with zipfile.ZipFile(pack, "a") as archive:
        archive.writestr(f"{third.key}.npz", third.to_bytes()[:-9])
        archive.writestr(f"{third.key}.json", "{}")
    line = said(capsys, "import", str(pack), str(store.folder), status=1).splitlines()
    assert line[0].startswith(f"{pack}: 0 new, 1 here already; 1 left in it")
    assert f"1 damaged and not taken: {third.key[:12]} (its SHA-256" in line[0]
    assert line[1] == f"{store.folder}: 0 new, 2 here already"
    pack.write_bytes(b"no zip")
    assert cli.main(["import", str(pack)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


# release -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def results(tiny, tmp_path):
    """Records of two notebooks, one of which shares a trial with the other and names one that is gone."""
    records = [train(tiny(seed)) for seed in range(4)]
    keys = {"00_one": records[:2], "01_two-small": records[1:]}
    for stem, named in keys.items():
        make.receipt(tmp_path / "results/smoke", stem, keys=[record.key for record in named])
    for record in records[:3]:
        Store().put(record)
    return records


def test_release_packs_what_the_receipts_name_in_the_same_bytes_every_time(results, tmp_path, capsys):
    out, pack = ["--out", str(tmp_path / "packs")], tmp_path / "packs/smoke.zip"
    lines = said(capsys, "release", "--profile", "smoke", *out).splitlines()
    assert lines[0].startswith(f"{pack}: 3 trials, ")
    assert lines[1:] == ["left out, not at hand: 1 of 4 trials, of 01_two-small"]
    before = pack.read_bytes()
    for record in results:  # from the pack alone
        Store().path(record.key).unlink(missing_ok=True)
    inventory.release("smoke", out=pack.parent, store=Store(tmp_path / "empty", released=pack.parent))
    assert pack.read_bytes() == before
    assert len(inventory.release("smoke", ["00"], pack.parent, Store(tmp_path / "empty", released=pack.parent))) == 1
    assert sorted(ledger.held(pack)) == sorted(record.key for record in results[:2])
    with pytest.raises(UserError, match=r"no notebook '07'.*there are: 00_one, 01_two-small"):
        inventory.release("smoke", ["07"], pack.parent)
    with pytest.raises(UserError, match="none of"):
        inventory.release("smoke", ["01"], pack.parent, Store(tmp_path / "empty"))


def test_a_pack_that_would_be_too_large_is_several_and_replaces_the_one(results, tmp_path, monkeypatch):
    one = tmp_path / "smoke.zip"
    assert ledger.write_packs(results, one) == [(one, 4)]
    monkeypatch.setattr(ledger, "PACK_BYTES", one.stat().st_size * 3 // 5)
    written = ledger.write_packs(results, one)
    assert [(path.name, count) for path, count in written] == [("smoke-1.zip", 2), ("smoke-2.zip", 2)]
    assert all(path.stat().st_size <= ledger.PACK_BYTES for path, _ in written)
    assert not one.exists()
    assert sorted(ledger.held(one)) == sorted(record.key for record in results)
    monkeypatch.undo()
    assert ledger.write_packs(results, one) == [(one, 4)]
    assert [path.name for path in tmp_path.glob("*.zip")] == ["smoke.zip"]


def test_the_longest_of_several_records_is_released_with_what_the_others_have_besides(tiny, tmp_path):
    released = tmp_path / "released"
    ledger.write_pack([train(tiny(0, epochs=3))], released / "a.zip")
    store = Store(tmp_path / "store", released=released)
    store.put(train(tiny(0, epochs=1, views=("test:100",))))
    best = store.fullest(tiny(0).key)
    assert best.epochs == 3
    assert len(best.arrays["correct.test:100"]) == 1
    assert "released" not in best.provenance


# what is said before and while it trains ------------------------------------------------------------------------------


def test_what_will_be_trained_is_said_and_how_long_that_takes_once_a_trial_is_there(tiny, store, capsys):
    trials = [tiny(0), tiny(1), tiny(0, model="mlp-1x12", epochs=1)]
    run.ensure_each(trials, workers=0, store=store)
    what = "training 2 trials of mlp-1x10 (2 epochs, 100 images) and 1 of mlp-1x12 (1 epoch, 100 images): "
    assert capsys.readouterr().out.startswith(what + "how long is not known: this store has no trial")
    run.ensure([tiny(seed) for seed in range(2, 4)], workers=0, store=store)
    line = capsys.readouterr().out.splitlines()[0]
    assert line.endswith("going by 3 earlier trials on this machine")
    run.ensure([tiny(9)], workers=0, store=store, quiet=True)
    assert capsys.readouterr().out == ""


def test_seconds_are_scaled_by_work_from_the_nearest_kind_of_net(tiny):
    small, large = tiny(model="mlp-1x10"), tiny(model="wrn-10-1", epochs=3)
    known = {("mlp-1x10", "fp32"): [1e-9, 3e-9, 2e-9], ("mlp-1x10", "bf16"): [1.0]}
    assert cost.expected([small], known, 2) == pytest.approx(2e-9 * 2 * cost.work(small) / 2)
    assert cost.expected([large], known, 1) == pytest.approx(2e-9 * 3 * cost.work(large))  # no other is known
    assert cost.expected([large], known | {("wrn-16-1", "fp32"): [5e-9]}, 1) == pytest.approx(15e-9 * cost.work(large))
    assert cost.expected([large], {}, 1) is None


def test_the_work_of_a_record_is_that_of_its_trial(tiny):
    from easel.ledger.trial import Edit

    trial = tiny(epochs=3, edit=Edit(keep=range(0, 100, 2)), views=("test:150", "colour=0.3@2", "test:150@3"))
    record = train(trial)
    trained, evaluated = cost.images_seen(record)
    assert (trained, evaluated) == (150, 3 * 100 + 3 * 150 + 100 + 150)
    done = cost.image(trial.model) * (3 * trained + evaluated)
    assert done == pytest.approx(3 * cost.work(trial))


def test_no_time_is_guessed_before_every_worker_has_finished_an_epoch(tiny, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    trials = [tiny(seed, epochs=5) for seed in range(2)]
    progress = run.Progress(trials, quiet=True)
    for worker in "ab":
        progress.expect(worker)
    now[0] += 60  # both start, slowly
    progress.ready("a")
    now[0] += 10
    progress.epoch(trials[0], "a")
    assert progress._left() == ""
    progress.ready("b")
    now[0] += 10
    progress.epoch(trials[1], "b")
    progress.epoch(trials[0], "a")
    assert progress._left() == ", about 35 s left"  # 7 of 10 epochs, one in 10 s by each of the two
    progress.gone("b")
    assert progress._left() == ", about 70 s left"


def test_a_pool_hears_when_its_workers_are_ready(tiny, store):
    heard = []

    class Progress(run.Progress):
        def expect(self, worker):
            heard.append("expect")
            super().expect(worker)

        def ready(self, worker):
            heard.append("ready")
            super().ready(worker)

        def gone(self, worker):
            heard.append("gone")
            super().gone(worker)

    trials = [tiny(seed) for seed in range(2)]
    Pool(trials, 1, store, Progress(trials, quiet=True)).run()
    assert heard[:2] == ["expect", "ready"]
    assert set(heard[2:]) == {"gone"}


def test_whether_a_cell_trains():
    assert inprocess.trains("a = run.ensure(x)")
    assert inprocess.trains("for l in ensure_each(plan): pass")
    assert not inprocess.trains("from easel.train import ensure as run\n# run.ensure(plan)")
    assert not inprocess.trains("%matplotlib inline")


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("0[0-8]_*.ipynb")), ids=lambda path: path.stem)
def test_every_notebook_says_where_it_trains(path: Path):
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    training = [number for number, cell in enumerate(cells) if inprocess.trains("".join(cell["source"]))]
    assert training
    assert training[-1] < len(cells) - 1
