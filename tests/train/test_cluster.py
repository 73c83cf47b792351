"""Ray trains the same bytes as the local engine, and neither a killed worker nor a stop loses or spoils a trial."""

import contextlib
import fcntl
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
from pathlib import Path

import psutil
import pytest

from easel.errors import UserError
from easel.ledger.trial import Recipe
from easel.train import cluster, ensure as run, gpu
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
        ({"CPU": 8}, None, ("cpu", 8)),
        ({"CPU": 8, "GPU": 2}, "cpu", ("cpu", 8)),
        ({"CPU": 8, "GPU": 2}, None, ("cuda", 2)),
        ({"CPU": 8, "GPU": 2}, "cuda", ("cuda", 2)),
        ({}, None, ("cpu", 1)),  # a head without cores of its own, before its nodes are there
    ],
)
def test_tasks_are_for_cores_or_for_gpus_and_as_many_at_once(available, wanted, expected, monkeypatch):
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
        cluster._task([tiny()], ["0" * 64], "cpu", store, cluster._Home(os.getcwd(), "data", {}))
    assert not contents(store.folder)


# ---- what goes out: a fake of Ray, in this process -----------------------------------------------------------------


class FakeRay:
    """Runs a task when its end is asked for, and notes how many were out at once."""

    def __init__(self, **available):
        self.available, self.out, self.most, self.ran, self.asked = available, {}, 0, [], {}

    def is_initialized(self):
        return True

    def cluster_resources(self):
        return self.available

    def remote(self, **asked):
        self.asked = asked
        return lambda task: types.SimpleNamespace(remote=lambda *given: self._send(task, given))

    def _send(self, task, given):
        ref = f"task {len(self.ran) + len(self.out)}"
        self.out[ref] = (task, given)
        self.most = max(self.most, len(self.out))
        return ref

    def wait(self, refs, timeout):
        assert list(self.out) == refs
        return refs[:1], refs[1:]

    def get(self, ref):
        task, given = self.out.pop(ref)
        task(*given)
        self.ran.append(given[0])


@pytest.fixture
def fake(monkeypatch):
    """Makes a cluster of a fake with these resources, whose GPUs are this CPU."""

    def make(**available):
        ray = FakeRay(**available)
        monkeypatch.setitem(sys.modules, "ray", ray)
        monkeypatch.delenv("EASEL_DEVICE")
        together, seen = gpu.train_together, []

        def on_cpu(trials, device, *rest):
            assert device == "cuda"
            seen.append([(t.model, t.seed) for t in trials])
            together(trials, "cpu", *rest, most=len(trials))

        monkeypatch.setattr(cluster.gpu, "train_together", on_cpu)
        return ray, seen

    return make


def test_few_tasks_are_out_at_once_however_many_trials_there_are(tiny, store, fake):
    ray, _ = fake(CPU=2)
    ledger = run.ensure([tiny(seed=s, epochs=1) for s in range(30)], store=store, engine="ray", quiet=True)
    assert (ledger.trained, len(ray.ran), ray.most) == (30, 30, 2 * cluster.AHEAD)
    assert ray.asked["num_cpus"] == 1


def test_a_gpu_is_given_trials_of_one_net_that_it_trains_side_by_side(tiny, store, fake):
    ray, seen = fake(CPU=8, GPU=2)
    trials = [tiny(seed=s, epochs=1, model=m) for m in ("mlp-1x10", "mlp-1x12") for s in range(6)]
    assert run.ensure(trials, store=store, engine="ray", quiet=True).trained == 12
    assert ray.asked["num_gpus"] == 1
    assert sorted(map(sorted, seen)) == [[(m, s) for s in range(6)] for m in ("mlp-1x10", "mlp-1x12")]
    assert contents(store.folder) == {f"{t.key}.npz": train(t).to_bytes() for t in trials}


def test_no_gpu_has_more_than_its_share_while_another_has_nothing(tiny):
    nets = [tiny(seed=s, model=m, epochs=1) for m in ("mlp-1x10", "mlp-1x12") for s in range(10)]
    sizes = {gpus: [len(t) for t in cluster.tasks_of(nets, "cuda", gpus)] for gpus in (1, 2, 4, 100)}
    assert sizes == {1: [10, 10], 2: [10, 10], 4: [5] * 4, 100: [1] * 20}
    many = cluster.tasks_of([tiny(seed=s, epochs=1) for s in range(100)], "cuda", 2)
    assert max(map(len, many)) <= gpu.MOST_PACKED
    assert sorted(trial.seed for task in many for trial in task) == list(range(100))
    long = [tiny(seed=s, epochs=9) for s in range(2)]
    assert cluster.tasks_of([*nets[:10], *long], "cuda", 1) == [long, nets[:10]]  # the longest first
    fixed = Recipe(precision="fp32", batches="high-loss")
    alone = [tiny(seed=s, recipe=fixed) for s in range(4)]
    assert cluster.tasks_of(alone, "cuda", 1) == [[trial] for trial in alone]  # nothing of it can be captured


def test_a_task_has_the_driver_s_variables_and_modules_and_a_node_s_own_data(tiny, store, tmp_path, monkeypatch):
    (tmp_path / "nets_of_mine.py").write_text("import os\nos.environ['SEEN'] = os.environ['EASEL_MIRRORS']\n")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("SEEN", "")
    environ = {"EASEL_IMPORTS": "nets_of_mine", "EASEL_MIRRORS": "http://there"}
    for name in environ:
        monkeypatch.setenv(name, "")  # and as it was afterwards
    home = cluster._Home(str(tmp_path), "/of/the/driver", environ)
    own = os.environ["EASEL_DATA"]
    cluster._task([tiny()], [tiny().key], "cpu", store, home)
    assert os.environ["SEEN"] == "http://there"
    assert os.environ["EASEL_DATA"] == own
    assert store.get(tiny()) is not None


def test_what_only_this_process_knows_is_trained_here(tiny, store, fake, monkeypatch):
    ray, _ = fake(CPU=2)
    monkeypatch.setattr(run.warm, "UNSHARED", {"net mine-v1"})
    assert run.ensure([tiny()], store=store, engine="ray", quiet=True).trained == 1
    assert not ray.ran


# ---- Ray itself ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_ray_gives_the_same_bytes_as_this_process(tiny, store, ray, capsys):
    trials = [tiny(seed=0), tiny(seed=1, views=("test:50",)), tiny(seed=2, model="wrn-10-1")]
    ledger = run.ensure(trials, store=store, engine="ray")
    assert not ray.is_initialized()  # it was started for this, and is gone
    assert (ledger.trained, ledger.reused) == (3, 0)
    assert contents(store.folder) == {f"{t.key}.npz": train(t).to_bytes() for t in trials}
    assert capsys.readouterr().out.splitlines()[-1].startswith("trained 3 of 3 trials")


def stranger(address):
    """How a Ray at this address answers a process that has no token: "refused" or what else."""
    ask = f"from ray._raylet import GcsClient\ntry:\n    GcsClient(address={address!r})\nexcept Exception as fault:\n"
    ask += "    print('refused' if 'InvalidAuthToken' in str(fault) else fault)\nelse:\n    print('let in')"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environ |= {"RAY_AUTH_MODE": "disabled"}
    return subprocess.run([sys.executable, "-c", ask], env=environ, capture_output=True, text=True).stdout.strip()


@pytest.mark.slow
def test_a_session_that_was_there_is_used_and_left_and_a_fault_arrives_unwrapped(tiny, store, ray):
    with cluster._session(ray):
        run.ensure([tiny()], store=store, engine="ray", quiet=True)
        assert ray.is_initialized()
        assert stranger(ray.get_runtime_context().gcs_address) == "refused"
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


# ---- two nodes, on addresses of this machine -------------------------------------------------------------------------

OFTEN = """
import functools
import time
from pathlib import Path
from easel.train import cluster

def slowly(run):
    while run.done > 1 and not Path(__file__).with_name("go").exists():  # until a trial is under way on each node
        time.sleep(0.02)
    time.sleep(0.02)

cluster.train_one = functools.partial(cluster.train_one, on_epoch=slowly, checkpoint_s=0)  # each epoch a checkpoint
"""
ANY_DRIVER = """
import sys
from easel.ledger.store import Store
from easel.ledger.trial import Recipe, Trial
from easel.train import ensure as run

if __name__ == "__main__":
    small = {"data": "patterns", "images": 100, "model": "mlp-1x10", "recipe": Recipe(precision="fp32")}
    trials = [Trial(seed=s, epochs=200 if s < 2 else 60, **small) for s in range(10)]
    print(sum(one.trained for one in run.ensure_each(trials, store=Store(sys.argv[1]), engine="ray", quiet=True)))
"""


def until(what, seconds=120):
    """Waits until it is true, and gives what it is."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


@pytest.fixture
def short():
    """A folder whose path is short: Ray's sockets lie 80 letters below, and 107 are the most that a socket may have."""
    with tempfile.TemporaryDirectory(prefix="easel-") as folder:
        yield folder


@pytest.fixture
def nodes(tmp_path, ray, monkeypatch, short):
    """Two nodes of one core each, with a token: environment of a driver, and the process of each node."""
    (tmp_path / "often.py").write_text(OFTEN)
    for name, value in {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_TMPDIR": short,
    }.items():
        monkeypatch.setenv(name, value)
    with socket.socket() as free:
        free.bind(("127.0.0.2", 0))
        address = f"127.0.0.2:{free.getsockname()[1]}"
    start = [str(Path(sys.executable).with_name("ray")), "start", "--block", "--num-cpus=1", "--num-gpus=0"]
    start += ["--include-log-monitor=false", f"--object-store-memory={100 * 2**20}"]
    head = ["--head", f"--port={address.rpartition(':')[2]}", "--include-dashboard=false"]
    started = []

    def node(*more):
        with open(tmp_path / f"node-{len(started)}.log", "w") as log:
            started.append(subprocess.Popen([*start, *more], stdout=log, stderr=log, start_new_session=True))

    def answers():
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.2", int(address.rpartition(":")[2])), 1):
            return True

    node(*head, "--node-ip-address=127.0.0.2")
    until(answers)
    node(f"--address={address}", "--node-ip-address=127.0.0.3")
    try:
        yield {**os.environ, "RAY_ADDRESS": address, "EASEL_IMPORTS": "often"}, started
    finally:
        for process in started:
            end(process)


def end(process):
    """Kills a process and all that it started."""
    for pid in [process.pid, *below(process.pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait(timeout=60)


@pytest.mark.slow
def test_a_node_is_killed_then_the_driver_and_two_start_again_and_all_is_as_trained_here(store, tmp_path, tiny, nodes):
    environ, (head, second) = nodes
    (tmp_path / "driver.py").write_text(ANY_DRIVER)

    def driver():
        command = [sys.executable, "driver.py", str(store.folder)]
        return subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True)

    def at_work():
        begun = {path.stem for path in store.folder.glob("*.checkpoint")}
        return begun if ray_tasks(head.pid) and ray_tasks(second.pid) and len(begun) == 2 else None

    first = driver()
    trials = [tiny(seed=s, epochs=200 if s < 2 else 60) for s in range(10)]
    local = {f"{trial.key}.npz": train(trial).to_bytes() for trial in trials}
    begun = until(at_work)  # on both nodes
    assert begun == {trial.key for trial in trials[:2]}  # the longest first
    end(second)
    assert not contents(store.folder)  # in the middle of them
    (tmp_path / "go").touch()
    until(lambda: contents(store.folder).keys() >= {f"{key}.npz" for key in begun})
    assert first.poll() is None
    first.kill()
    first.communicate()
    finished = {path: path.stat().st_ino for path in store.folder.glob("*.npz")}
    assert 2 <= len(finished) < len(trials)
    both = [driver(), driver()]
    trained = sorted(int(one.communicate(timeout=200)[0]) for one in both)
    assert [one.returncode for one in both] == [0, 0]
    assert trained[0] == 0  # it waited, and read
    assert 0 < trained[1] <= len(trials) - len(finished)
    assert {path: path.stat().st_ino for path in finished} == finished  # none was trained again
    assert contents(store.folder) == local
