"""The batch script for SLURM, run as it stands: what SLURM and Ray would do is done by small scripts on the PATH."""

import os
import shutil
import socket
import subprocess
import sys

import pytest

from easel.files import ROOT

SCRIPT = ROOT / "notebooks" / "cluster" / "ray.sbatch"
FAKES = {
    "scontrol": 'test "$*" = "show hostnames node[1-2]" && printf "127.0.0.2\\n127.0.0.3\\n"',
    # one task a node, until it is told to end; options of its own come first
    "srun": """
        echo "$@" > "$SEEN/srun"
        while [ "${1#--}" != "$1" ]; do shift; done
        trap 'for task in $(jobs -p); do kill -- -$task; done; wait; exit' TERM
        SLURM_NODEID=0 SLURM_CPUS_ON_NODE=8 SLURM_GPUS_ON_NODE=4 setsid "$@" &
        SLURM_NODEID=1 SLURM_CPUS_ON_NODE=6 setsid "$@" &
        wait""",
    # listens where a head would, and blocks as --block does
    "ray": f"""
        echo "$RAY_AUTH_MODE $RAY_AUTH_TOKEN $@" > "$SEEN/ray-$SLURM_NODEID"
        test -z "$BROKEN" || exit 1
        test "$SLURM_NODEID" = 1 || exec {sys.executable} -S -c "
import os, socket, time
s = socket.create_server(('127.0.0.2', int(os.environ['RAY_PORT'])))
time.sleep(60)"
        exec sleep 60""",
    "python": """
        for _ in $(seq 100); do test -e "$SEEN/ray-1" && break; sleep 0.1; done
        echo "$EASEL_ENGINE $RAY_ADDRESS $RAY_AUTH_TOKEN $@" > "$SEEN/easel"
        exit 3""",
}


@pytest.fixture
def job(tmp_path):
    """Runs the script as a job of two nodes, with these variables; what the fakes saw lies in the folder `seen`."""
    commands, seen = tmp_path / "bin", tmp_path / "seen"
    commands.mkdir()
    seen.mkdir()
    for name, text in FAKES.items():
        (commands / name).write_text(f"#!/bin/bash\n{text}\n")
        (commands / name).chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.2", 0))
        number = 1_000_000 + (free.getsockname()[1] - 20000) % 20000  # whose port is not taken, most likely
    environ = {"PATH": f"{commands}:{os.environ['PATH']}", "SEEN": str(seen), "SLURM_JOB_ID": str(number)}

    def run(*arguments, **more):
        variables = environ | {"SLURM_JOB_NODELIST": "node[1-2]", "BROKEN": ""} | more
        done = subprocess.run([SCRIPT, *arguments], env=variables, capture_output=True, text=True, timeout=30)
        return done, {path.name: path.read_text().split() for path in seen.iterdir()}, number

    return run


@pytest.mark.skipif(not shutil.which("bash"), reason="a script of bash")
def test_every_node_joins_with_what_slurm_gave_it_and_easel_trains_by_ray(job):
    done, seen, number = job("--profile", "gpu", "--budget", "3.5h")
    assert done.returncode == 3, done.stderr  # easel's own
    port = 20000 + number % 20000
    engine, address, token, *arguments = seen["easel"]
    assert (engine, address) == ("ray", f"127.0.0.2:{port}")
    assert arguments == ["-m", "easel", "train", "--profile", "gpu", "--budget", "3.5h"]
    assert len(token) == 64
    assert set(token) <= set("0123456789abcdef")
    head, other = seen["ray-0"], seen["ray-1"]
    assert head[:2] == other[:2] == ["token", token]
    assert head[2:6] == ["start", "--block", "--head", f"--port={port}"]
    assert head[-2:] == ["--num-cpus=8", "--num-gpus=4"]
    assert other[2:] == ["start", "--block", f"--address={address}", "--num-cpus=6", "--num-gpus=0"]
    assert {"--no-kill", "--kill-on-bad-exit=0"} <= set(seen["srun"])  # a node that dies takes no other with it
    again = job("--profile", "gpu")
    assert again[1]["easel"][2] != token
    assert not os.path.exists(f"/tmp/easel-{number}")


@pytest.mark.skipif(not shutil.which("bash"), reason="a script of bash")
def test_where_ray_does_not_start_nothing_is_trained_and_a_line_says_so(job):
    done, seen, _ = job(BROKEN="1", RAY_START_S="2")
    assert done.returncode == 1
    assert "Ray does not answer at 127.0.0.2:" in done.stderr
    assert "easel" not in seen


def test_the_script_is_whole_and_asks_for_a_task_a_node():
    assert subprocess.run(["bash", "-n", SCRIPT]).returncode == 0
    asked = [line.split()[1] for line in SCRIPT.read_text().splitlines() if line.startswith("#SBATCH")]
    assert {"--ntasks-per-node=1", "--cpus-per-task=8", "--no-kill"} <= set(asked)
    assert os.access(SCRIPT, os.X_OK)
