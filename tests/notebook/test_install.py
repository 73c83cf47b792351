"""Installed without a checkout: the notebooks come along, and data and results lie where one works."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from easel import cli, files
from easel.errors import UserError
from easel.notebook import plan


def test_new_lays_the_notebooks_out_once(tmp_path, capsys):
    assert cli.main(["new", str(tmp_path / "study")]) == 0
    made = tmp_path / "study" / "notebooks"
    assert f"{made}: " in capsys.readouterr().out
    brought = {path.name for path in (files.ROOT / "notebooks").glob("*.ipynb")}
    assert {path.name for path in made.iterdir()} == brought | {"profiles.yaml", "README.md"}
    with pytest.raises(UserError, match="is there already; nothing was written"):
        plan.lay_out(tmp_path / "study")


@pytest.mark.slow
def test_an_installed_package_runs_a_notebook_in_any_folder(tmp_path):
    source, prefix, work = tmp_path / "source", tmp_path / "prefix", tmp_path / "work"
    skip = shutil.ignore_patterns("*.egg-info", "__pycache__")
    for folder in ("lib", "notebooks"):
        shutil.copytree(files.ROOT / folder, source / folder, ignore=skip)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(files.ROOT / name, source)
    # ignore what is installed: pip would take that away, from the environment of these tests
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--ignore-installed"]
    subprocess.run([*pip, "--prefix", str(prefix), str(source)], check=True)
    shutil.rmtree(source)
    (packages,) = prefix.glob("lib/python*/site-packages")
    work.mkdir()
    env = {name: value for name, value in os.environ.items() if not name.startswith("EASEL_")}
    small = ["--set", "images=60", "--set", "model=mlp-1x10", "--set", "trials=2", "--dataset", "patterns"]
    command = [sys.executable, "-m", "easel", "run", "--profile", "smoke", "--only", "00", *small]
    env |= {"PYTHONPATH": str(packages), "EASEL_DEVICE": "cpu"}
    done = subprocess.run(command, cwd=work, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    made = {path.relative_to(work).as_posix() for path in work.rglob("*") if path.is_file()}
    assert {"results/smoke/00_easiness.ipynb", "results/smoke/index.html"} <= made
    assert not any(Path(one).parts[0] != "results" for one in made)


@pytest.mark.slow
def test_the_notebook_for_colab_fetches_a_repository_installs_it_and_shows_what_a_run_found(tmp_path):
    """As there: an empty folder and a kernel. What pip installs goes aside, not into the environment of these tests."""
    if not (files.ROOT / ".git").exists():
        pytest.skip("needs a checkout")
    env = {name: value for name, value in os.environ.items() if not name.startswith("EASEL_")}
    env |= {"PIP_PREFIX": str(tmp_path / "prefix"), "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "1"}
    env |= {"PIP_IGNORE_INSTALLED": "1", "PYTHONPATH": str(tmp_path / "easel" / "lib")}
    env |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}  # where !python looks
    run = "--profile smoke --only 01_matching --dataset patterns --set images=60 --set models=mlp-1x10,mlp-1x12"
    given = ["-p", "repository", (files.ROOT).as_uri(), "-p", "run", run + " --set trials=2 --set epochs=1"]
    papermill = [sys.executable, "-m", "papermill", "--cwd", str(tmp_path), "--log-output", *given]
    notebook, out = files.ROOT / "notebooks" / "colab" / "easel.ipynb", tmp_path / "out.ipynb"
    done = subprocess.run([*papermill, str(notebook), str(out)], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "easel" / "results" / "smoke" / "index.html").exists()
    shown = json.loads(out.read_text())["cells"]
    kinds = [kind for cell in shown for output in cell.get("outputs", []) for kind in output.get("data", {})]
    assert {"image/png", "text/html"} <= {*kinds}
