"""`ensure` trains what is missing and nothing else, and no way of stopping it loses or spoils a finished trial."""

import errno
import inspect
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from easel import warm
from easel.errors import UserError
from easel.ledger.store import Ledger, Store
from easel.ledger.trial import Recipe, Trial
from easel.train import ensure as run, workers as pool
from easel.train.loop import train


def asked(count, epochs):
    small = {"data": "patterns", "images": 100, "epochs": epochs, "recipe": Recipe(precision="fp32")}
    return [Trial(model=model, seed=s, **small) for s in range(count) for model in ("mlp-1x10", "wrn-10-1")]


DRIVER = f"""
import sys
from easel.train import ensure as run, workers as pool
from easel.ledger.store import Store
from easel.ledger.trial import Recipe, Trial

{inspect.getsource(asked)}

if __name__ == "__main__":
    folder, count, epochs, workers = sys.argv[1], *map(int, sys.argv[2:5])
    pool.CHECKPOINT_S = 0
    try:
        ledger = run.ensure(asked(count, epochs), store=Store(folder), workers=workers)
    except KeyboardInterrupt:
        sys.exit(130)
    print("trained", ledger.trained, "reused", ledger.reused)
"""


def drive(folder):
    """What DRIVER does, in a process that need not import anything first."""
    pool.CHECKPOINT_S = 0
    run.ensure(asked(3, 3), store=Store(folder), workers=2)


@pytest.fixture
def driver(tmp_path):
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)

    def start(folder, count=3, epochs=3, workers=2):
        command = [sys.executable, str(script), str(folder), str(count), str(epochs), str(workers)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)

    return start


def finish(process):
    output, _ = process.communicate(timeout=200)
    assert process.returncode == 0, output
    return output.splitlines()[-1]


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.glob("*.npz")}


def test_what_the_library_registers_itself_every_process_knows():
    """Else nothing would be trained on more cores than one."""
    says = "import easel.compare, easel.sections.mislabels, easel.train.ensure\nprint(easel.warm.UNSHARED)"
    done = subprocess.run([sys.executable, "-c", f"import easel.warm\n{says}"], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr


def test_a_few_seconds_of_work_start_no_process_and_more_does(tiny, store, monkeypatch):
    pools = []
    monkeypatch.setattr(run.pool, "Pool", lambda todo, workers, *rest: pools.append((len(todo), workers)) or Idle())

    class Idle:
        run = staticmethod(lambda: None)

    assert run.ensure([tiny(s) for s in range(3)], store=store, quiet=True).trained == 3
    assert pools == []
    monkeypatch.setattr(run, "cores", lambda: 5)
    large = [tiny(s, model="wrn-16-4", epochs=300) for s in range(3)]
    with pytest.raises(UserError, match="3 of 3 trials were trained and are not"):
        run.ensure(large, store=store, quiet=True)
    assert pools == [(3, 3)]
    with pytest.raises(UserError, match="was it emptied or taken away"):
        run.ensure([tiny(9)], workers=1, store=store, quiet=True)
    assert pools[1:] == [(1, 1)]


def workers_of(process):
    """Pids of a driver's worker processes that are alive."""
    listing = subprocess.run(["ps", "-eo", "pid=,pgid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listing.splitlines()]
    return [
        int(p) for p, group, state in rows if int(group) == process.pid and int(p) != process.pid and "Z" not in state
    ]


def test_ensure_trains_once_and_then_reads(tiny, store):
    trials = [tiny(seed=s) for s in range(3)]
    first = run.ensure(trials, store=store, workers=0, quiet=True)
    again = run.ensure([*trials, trials[0]], store=store, workers=0, quiet=True)
    assert (first.trained, first.reused) == (3, 0)
    assert (again.trained, again.reused) == (0, 3)
    assert [r.key for r in again.records] == [t.key for t in trials]  # a trial that is given twice counts once


def test_worker_processes_give_the_same_bytes_as_this_process(tiny, store, tmp_path):
    trials = [tiny(seed=s, model=m) for s in range(2) for m in ("wrn-10-1", "mlp-1x10")]
    run.ensure(trials, store=store, workers=2, quiet=True)
    assert contents(store.folder) == {f"{t.key}.npz": train(t).to_bytes() for t in trials}


def test_a_fault_in_a_worker_reaches_the_caller(tiny, store, monkeypatch):
    missing = tiny(
        images=None, data="patterns", recipe=Recipe(precision="fp32", batch_size=1), model="densenet-bc-10-4"
    )
    object.__setattr__(missing, "images", 10**9)  # as if the data set had shrunk since it was asked for
    missing.__dict__.update(key="0" * 64, examples=tiny().examples)  # the driver does not notice
    with pytest.raises(UserError, match=r"1000000000|1,000,000,000"):
        run.ensure([missing], store=store, workers=1, quiet=True)


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda t, s: run.ensure([], store=s), "no trials"),
        (lambda t, s: run.ensure([t], store=s, engine="spark"), "spark"),
        (lambda t, s: run.precision("fp8"), "fp8"),
    ],
)
def test_what_cannot_be_is_refused(tiny, store, call, word):
    with pytest.raises(UserError, match=word):
        call(tiny(), store)


def test_a_folder_that_cannot_be_written_is_named(tiny, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="file"):
        run.ensure([tiny()], store=Store(tmp_path / "file" / "store"), workers=0)


def test_auto_takes_records_of_another_kind_of_machine_only_where_all_trials_have_one(tiny, store):
    here = run.precision()
    there = "fp32" if here == "bf16" else "bf16"
    plan = [tiny(seed, views=("test",)) for seed in range(2)]

    def chosen(name, trials=plan):
        return {t.recipe.precision for t in run.in_precision(name, trials, store)}

    assert chosen("auto") == {here}
    made = run.in_precision(there, plan)
    run.ensure(made[:-1], store=store, workers=0)
    assert chosen("auto") == {here}  # one is missing, and what is missing is computed as this machine does
    run.ensure(made[-1:], store=store, workers=0)
    assert chosen("auto") == {there}
    assert run.in_precision("auto", plan, store) == made
    assert chosen("auto", [replace(trial, views=("test", "online")) for trial in plan]) == {here}  # those lack a view
    assert [chosen(here), chosen(there)] == [{here}, {there}]  # asked for by name
    run.ensure(run.in_precision(here, plan), store=store, workers=0)
    assert chosen("auto") == {here}
    with pytest.raises(UserError, match="fp8"):
        run.in_precision("fp8", plan, store)


def test_emulated_products_are_announced(tiny, store, monkeypatch, capsys):
    for name, said in (("fp32", True), ("bf16", False)):
        monkeypatch.setattr(run, "precision", lambda asked="auto", name=name: name)
        run.ensure([tiny(int(said), recipe=Recipe(precision="bf16"))], store=store, workers=0)
        assert ("emulates" in capsys.readouterr().out) == said


def test_a_plain_script_needs_no_main_guard(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from easel.train import ensure as run\n"
        "from easel.ledger.trial import Trial\n"
        "plan = [Trial(data='patterns', images=100, model='mlp-1x10', seed=s, epochs=1) for s in range(2)]\n"
        "print(len(run.ensure(plan, quiet=True)))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "2\n"), done.stderr


def test_a_moved_folder_of_images_is_read_where_it_is_now_and_a_changed_one_refused(tmp_path, store):
    from PIL import Image

    for i in range(12):
        path = tmp_path / "here" / "train" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (20 * i, 0, 0)).save(path)

    def trial(folder):
        return Trial(data=str(tmp_path / folder), model="mlp-1x4", seed=0, epochs=1, recipe=Recipe(precision="fp32"))

    first = run.ensure([trial("here")], store=store, workers=0, quiet=True)
    (tmp_path / "here").rename(tmp_path / "there")
    moved = run.ensure([trial("there")], store=store, workers=0, quiet=True)
    assert (first.trained, moved.trained) == (1, 0)
    assert moved.labels.tolist() == [0] * 6 + [1] * 6
    Image.new("RGB", (8, 8), (255, 255, 255)).save(tmp_path / "there" / "train" / "a" / "0.png")
    stale = Ledger(store.found([moved.keys[0]]))
    stale.records[0].data = moved.records[0].data
    with pytest.raises(UserError, match="files changed"):
        _ = stale.labels


def test_trials_share_one_copy_of_their_images(tiny):
    assert tiny(seed=0).examples is tiny(seed=1, model="mlp-1x12").examples


def test_progress_guesses_no_time_before_there_is_any_to_go_by(tiny, capsys):
    progress = run.Progress([tiny(seed=s) for s in range(2)])
    progress.trial()  # found in the store meanwhile
    assert capsys.readouterr().out.startswith("trained 1 of 2 trials, 0 s\n")


def test_progress_lines_are_few_and_end_with_the_total(tiny, capsys):
    progress = run.Progress([tiny(seed=s) for s in range(50)])
    for s in range(50):
        for _ in range(2):
            progress.epoch(tiny(seed=s))
        progress.trial()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 3
    assert lines[-1].startswith("trained 50 of 50 trials")
    assert "left" not in lines[-1]


@pytest.mark.slow
def test_killed_at_twenty_random_moments_the_end_is_byte_identical(driver, tmp_path):
    assert finish(driver(tmp_path / "whole")) == "trained 6 reused 0"
    whole = contents(tmp_path / "whole")
    moments = random.Random(0)
    for attempt in range(20):
        process = warm.start(
            drive, tmp_path / "killed", preload=["easel.train.ensure"]
        )  # 20 of them, each at work soon
        process.join(moments.uniform(0.05, 3))
        process.kill()  # the driver alone: its workers must notice
        process.join()
        finished = contents(tmp_path / "killed")
        assert finished.items() <= whole.items(), f"a wrong record after kill {attempt}"
        if len(finished) == len(whole):  # start over, so that later kills find work to interrupt
            for path in (tmp_path / "killed").iterdir():
                path.unlink()
    finish(driver(tmp_path / "killed"))
    assert contents(tmp_path / "killed") == whole
    assert not list((tmp_path / "killed").glob("*.checkpoint"))


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_no_worker_outlives_its_driver(driver, tmp_path, how):
    process = driver(tmp_path / "store", count=50, epochs=15)
    while not list((tmp_path / "store").glob("*.npz")):
        assert process.poll() is None
        time.sleep(0.05)
    assert workers_of(process)
    os.kill(process.pid, how)
    assert process.wait(timeout=20) == (130 if how == signal.SIGINT else -9)
    process.stdout.close()
    deadline = time.monotonic() + 20
    while workers_of(process) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert workers_of(process) == []
    assert contents(tmp_path / "store")


@pytest.mark.slow
def test_a_killed_worker_is_replaced(driver, tmp_path):
    process = driver(tmp_path / "store", count=2, epochs=30)
    while not list((tmp_path / "store").glob("*.checkpoint")):
        assert process.poll() is None
        time.sleep(0.01)
    for pid in workers_of(process)[-1:]:
        os.kill(pid, signal.SIGKILL)
    assert finish(process) == "trained 4 reused 0"


@pytest.mark.slow
def test_two_drivers_on_one_store_share_the_work(driver, tmp_path):
    both = [driver(tmp_path / "store", count=2, epochs=6) for _ in range(2)]
    lines = sorted(map(finish, both))
    assert lines == ["trained 0 reused 4", "trained 4 reused 0"]


@pytest.mark.skipif(run.fcntl is None, reason="a system without such locks")
def test_a_folder_without_locks_is_trained_into_all_the_same(tiny, store, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(run.fcntl, "flock", no_locks)
    assert run.ensure([tiny()], store=store, workers=0, quiet=True).trained == 1
    assert store.path(tiny().key).read_bytes() == train(tiny()).to_bytes()
