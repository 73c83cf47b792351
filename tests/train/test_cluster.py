"""Ray trains the same bytes as the local engine, and neither a killed worker nor a stop loses or spoils a trial."""

import contextlib
import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest

from easel.errors import UserError
from easel.train import ensure as run, workers as cluster
from easel.train.loop import train

DRIVER = """
import signal
import sys
from easel.train import ensure as run
from easel.ledger.store import Store
from easel.ledger.trial import Recipe, Trial


def terminate(*_):
    raise KeyboardInterrupt  # as the command line does


signal.signal(signal.SIGTERM, terminate)
small = {"data": "patterns", "images": 100, "recipe": Recipe(precision="fp32")}
trials = [Trial(model="wrn-10-1", seed=s, epochs=300, **small) for s in range(4)]
trials = [Trial(model="mlp-1x10", seed=s, epochs=1, **small) for s in range(2, 4)] + trials
run.work = lambda trial: 1.0 if trial.epochs == 300 else 1e6  # the short ones first
try:
    run.ensure(trials, store=Store(sys.argv[1]), engine="ray", quiet=True)
except KeyboardInterrupt:
    sys.exit(130)
"""


def contents(folder):
    return {p.name: p.read_bytes() for p in folder.glob("*.npz")}


def alive(pids):
    listing = subprocess.run(["ps", "-eo", "pid=,stat="], capture_output=True, text=True, check=True).stdout
    running = {int(pid) for pid, state in map(str.split, listing.splitlines()) if "Z" not in state}
    return sorted(running & set(pids))


def below(pid):
    """Pid -> command line of the processes that this one started, and those that they did."""
    listing = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listing.splitlines()]
    found = {str(pid): ""}
    while more := {one: args for one, parent, args in rows if parent in found and one not in found}:
        found |= more
    return {int(one): args for one, args in found.items() if args}


def ray_tasks(pid):
    """Pids of the Ray workers below a process that are at a task of easel's."""
    return [one for one, args in below(pid).items() if args.startswith("ray::_task")]


@pytest.fixture
def ray(monkeypatch):
    """Ray itself, stopped when the test ends. Without the extra [cluster] there is nothing to test.

    One session at a time, whatever number of processes test: Ray gives up when a busy machine starts it too slowly.
    """
    monkeypatch.delenv("RAY_ADDRESS", raising=False)  # a cluster of the user's is not for tests
    ray = pytest.importorskip("ray")
    with open(Path(tempfile.gettempdir()) / "easel-tests-ray.lock", "w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield ray
        ray.shutdown()


def test_without_ray_one_line_says_what_to_install(tiny, store, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install \"easel\[cluster\]\""):
        run.ensure([tiny()], store=store, engine="ray", quiet=True)


@pytest.mark.parametrize(
    ("available", "wanted", "expected"),
    [
        ({"CPU": 8}, None, ("cpu", {"num_cpus": 1})),
        ({"CPU": 8, "GPU": 2}, "cpu", ("cpu", {"num_cpus": 1})),
        ({"CPU": 8, "GPU": 2}, None, ("cuda", {"num_cpus": 1, "num_gpus": 0.25})),
        ({"CPU": 8, "GPU": 2}, "cuda", ("cuda", {"num_cpus": 1, "num_gpus": 0.25})),
    ],
)
def test_a_task_asks_for_a_core_or_a_share_of_a_gpu(available, wanted, expected, monkeypatch):
    monkeypatch.delenv("EASEL_DEVICE")
    if wanted:
        monkeypatch.setenv("EASEL_DEVICE", wanted)
    assert cluster._where(available) == expected


def test_a_gpu_that_the_cluster_lacks_is_refused(monkeypatch):
    monkeypatch.setenv("EASEL_DEVICE", "cuda")
    with pytest.raises(UserError, match="no GPU"):
        cluster._where({"CPU": 8})


def test_an_address_where_nobody_answers_is_refused_at_once(tiny, store, ray, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(UserError, match=r"RAY_ADDRESS=127.0.0.1:\d+: nobody answers"):
            run.ensure([tiny()], store=store, engine="ray", quiet=True)
    assert not ray.is_initialized()


def test_a_node_with_other_data_is_refused_and_trains_nothing(tiny, store):
    with pytest.raises(UserError, match="another patterns or another version"):
        cluster._task(tiny(), "0" * 64, "cpu", store, "data")
    assert not contents(store.folder)


@pytest.mark.slow
def test_ray_gives_the_same_bytes_as_this_process(tiny, store, ray, capsys):
    trials = [tiny(seed=0), tiny(seed=1, views=("test:50",)), tiny(seed=2, model="wrn-10-1")]
    ledger = run.ensure(trials, store=store, engine="ray")
    assert not ray.is_initialized()  # it was started for this, and is gone
    assert (ledger.trained, ledger.reused) == (3, 0)
    assert contents(store.folder) == {f"{t.key}.npz": train(t).to_bytes() for t in trials}
    assert capsys.readouterr().out.splitlines()[-1].startswith("trained 3 of 3 trials")


@pytest.mark.slow
def test_a_session_that_was_there_is_used_and_left_and_a_fault_arrives_unwrapped(tiny, store, ray):
    with cluster._session(ray):
        run.ensure([tiny()], store=store, engine="ray", quiet=True)
        assert ray.is_initialized()
        shrunk = tiny(seed=1)
        object.__setattr__(shrunk, "images", 10**9)  # as if a node had a smaller data set
        shrunk.__dict__.update(key="0" * 64, examples=tiny().examples)  # the driver does not notice
        with pytest.raises(UserError, match=r"1000000000|1,000,000,000") as fault:
            run.ensure([shrunk], store=store, engine="ray", quiet=True)
        assert "\n" not in str(fault.value)


def listening(pid: int) -> set[str]:
    """The addresses at which a process, and all that it started, wait for others."""
    found = set()
    for one in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            found |= {at.laddr.ip for at in one.net_connections("inet") if at.status == psutil.CONN_LISTEN}
    return found


@pytest.mark.slow
def test_a_ray_that_is_started_here_listens_on_this_machine_alone(ray):
    with cluster._session(ray):
        assert listening(os.getpid()) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


@pytest.mark.slow
def test_make_lab_listens_on_this_machine_alone(tmp_path):
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    asked = re.search(r"^lab: .*\n\t\S+/jupyter (.*) notebooks$", makefile, re.MULTILINE)[1].split()
    own = ["--no-browser", "--allow-root", "--port=0", f"--ServerApp.root_dir={tmp_path}"]
    silent = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    server = subprocess.Popen([sys.executable, "-m", "jupyter", *asked, *own], cwd=tmp_path, **silent)
    try:
        until = time.monotonic() + 120
        while not (found := listening(server.pid)):
            assert server.poll() is None, "it ended"
            assert time.monotonic() < until, "it listens nowhere"
            time.sleep(0.2)
        assert found <= {"127.0.0.1", "::1"}
    finally:
        server.kill()
        server.wait()


@pytest.mark.slow
def test_a_killed_worker_is_retried(tiny, store, ray):
    trials = [tiny(seed=s, model="wrn-10-1", epochs=4) for s in range(2)]
    killed = []

    def kill():
        deadline = time.monotonic() + 100
        while not killed and time.monotonic() < deadline:
            for pid in ray_tasks(os.getpid())[:1]:
                os.kill(pid, 9)
                killed.append(contents(store.folder))
            time.sleep(0.05)

    killer = threading.Thread(target=kill)
    killer.start()
    ledger = run.ensure(trials, store=store, engine="ray", quiet=True)
    killer.join()
    assert killed == [{}]  # one, while no trial had ended
    assert ledger.trained == 2
    assert contents(store.folder) == {f"{t.key}.npz": train(t).to_bytes() for t in trials}


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_ends_every_process_and_keeps_what_was_finished(store, tmp_path, ray, how):
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    process = subprocess.Popen([sys.executable, str(script), str(store.folder)], start_new_session=True)
    deadline = time.monotonic() + 120
    while len(contents(store.folder)) < 2 or not ray_tasks(process.pid):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    started = below(process.pid)
    process.send_signal(how)
    assert process.wait(timeout=60) == 130
    deadline = time.monotonic() + 30
    while (left := alive(started)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []
    assert len(list(store.records())) == len(contents(store.folder)) >= 2  # each whole and verified
