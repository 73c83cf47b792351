"""The explorer in JupyterLab itself: a server on this machine, a kernel, a real browser; a control and a click."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from browser import browsing

from easel.ledger.store import Store
from easel.notebook import explorer
from easel.notebook.explorer import Choice
from easel.train import ensure as run

CELL = """
from easel.notebook import explorer, explorer as widgets
from easel.train import ensure as run
from easel.ledger.trial import Recipe, Trial
fields = {"model": "mlp-1x10", "epochs": 2, "data": "patterns", "images": 100, "record": ("prediction",)}
plan = [Trial(seed=seed, recipe=Recipe(precision="fp32"), **fields) for seed in range(3)]
shown = widgets.show(explorer.Collection(run.ensure(plan, workers=0, quiet=True)))
"""
BUTTONS = "[...document.querySelectorAll('.jupyter-button')].filter(b => /^\\d+\\/3$/.test(b.innerText))"
TEXTS = "[...document.querySelectorAll('.widget-html-content')].map(e => e.innerText)"
LINE, DETAIL = f"{TEXTS}.find(t => t.includes('images, right'))", f"{TEXTS}.at(-1)"


@pytest.fixture
def lab(tmp_path):
    """The address of a notebook that shows the explorer, open in a JupyterLab of its own."""
    pytest.importorskip("jupyterlab")
    notebook = tmp_path / "files" / "explorer.ipynb"
    notebook.parent.mkdir()
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": CELL, "outputs": [], "execution_count": None}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    notebook.write_text(json.dumps(content))
    homes = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    homes |= {"IPYTHONDIR": str(tmp_path / "ipython"), "JUPYTERLAB_SETTINGS_DIR": str(tmp_path / "settings")}
    homes |= {"JUPYTERLAB_WORKSPACES_DIR": str(tmp_path / "workspaces")}
    quiet = tmp_path / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    quiet.parent.mkdir(parents=True)
    quiet.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))  # else it asks, over the images
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0", "--IdentityProvider.token=secret"]
    options += ["--expose-app-in-browser", f"--ServerApp.root_dir={notebook.parent}"]
    command = [sys.executable, "-m", "jupyterlab", *options]
    with open(tmp_path / "lab.log", "wb") as log:
        server = subprocess.Popen(
            command, env=os.environ | homes, stdout=log, stderr=log, cwd=notebook.parent, start_new_session=True
        )
    try:
        end = time.monotonic() + 120
        while not (told := [json.loads(f.read_text()) for f in (tmp_path / "RUNTIME").glob("jpserver-*.json")]):
            assert server.poll() is None, (tmp_path / "lab.log").read_text()
            assert time.monotonic() < end, (tmp_path / "lab.log").read_text()
            time.sleep(0.1)
        yield f"http://127.0.0.1:{told[0]['port']}/lab/tree/{notebook.name}?token=secret"
    finally:
        server.send_signal(signal.SIGINT)
        time.sleep(0.2)
        os.killpg(server.pid, signal.SIGTERM)  # at once, with its kernels
        server.wait(20)


@pytest.mark.slow
def test_in_jupyterlab_a_control_changes_the_sheet_and_a_click_opens_an_image(lab, tiny, tmp_path):
    plan = [tiny(seed=seed, record=("prediction",)) for seed in range(3)]
    collection = explorer.Collection(run.ensure(plan, store=Store(), workers=0, quiet=True))
    ids, label, net = collection.examples.ids, collection.examples.classes[3], "mlp-1x10"
    panel = "[...window.jupyterapp.shell.widgets('main')][0]"
    ready = f"!!window.jupyterapp && {panel}?.sessionContext?.session?.kernel?.status === 'idle'"
    with browsing(lab, tmp_path / "browser", ready, seconds=180) as browser:
        browser.call("Emulation.setFocusEmulationEnabled", enabled=True)  # JupyterLab's current notebook has the focus
        browser.click(".jp-Cell .cm-content")
        browser.until(f"jupyterapp.shell.currentWidget === {panel}")
        browser.ask("jupyterapp.commands.execute('notebook:run-all-cells'), 0")
        browser.until(f"{BUTTONS}.length === 40", 120)
        assert browser.ask(LINE) == collection.describe(Choice(net), 40)
        select = "[...document.querySelectorAll('.widget-dropdown select')][1]"
        browser.ask(
            f"(e => {{ e.value = {label!r}; e.dispatchEvent(new Event('change', {{bubbles: true}})) }})({select})"
        )
        browser.until(f"{BUTTONS}.filter(b => b.offsetParent).length === 10")
        choice = Choice(net, label)
        sheet = collection.sheet(choice, 40)
        assert browser.ask(LINE) == collection.describe(choice, 40)
        counts = collection.counts(net, 1)[sheet]
        assert browser.ask(f"{BUTTONS}.filter(b => b.offsetParent).map(b => b.innerText)") == [f"{c}/3" for c in counts]
        browser.ask(f"{BUTTONS}[4].setAttribute('id', 'fifth')")
        browser.click("#fifth")
        browser.until(f"{DETAIL}.includes('image {ids[sheet[4]]};')")
        detail = browser.ask(DETAIL)
        assert f"{net}: {counts[4]} of 3" in detail
        assert collection.mistaken(net, 1, int(sheet[4])) in detail
        large = "document.querySelector('.widget-html-content img')"
        browser.until(f"{large}.complete && {large}.naturalWidth === 256")
        picture = browser.picture(tmp_path / "lab.png")
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100
        if folder := os.environ.get("EASEL_SCREENSHOTS"):
            shutil.copy(tmp_path / "lab.png", folder)
