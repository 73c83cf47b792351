"""Small notebooks for the tests of batch and command line: no training, a kernel second each."""

import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

PARAMETERS = 'profile = "smoke"  # set by easel run'
BEGIN = 'from easel.notebook import page as report\npage = report.Page("{stem}", profile=profile)'
END = "page.close()"
FIGURE = (
    "import matplotlib.pyplot as plt\nfigure, ax = plt.subplots(figsize=(4, 3))\nax.plot([1, 3, 2])\n"
    'page.figure(ax, "line", caption="Fig. 1: a line through 3 points.")'
)
VERDICT = 'page.verdict(claim="{claim}", paper=0.71, here=0.68, low=0.6, high=0.75, n=9, verdict="{word}", why="So.")'


def write(
    folder: Path,
    stem: str,
    *cells: str,
    parameters: str = PARAMETERS,
    title: str = "# A title\n\nA question?",
    needs: tuple[str, ...] = (),
):
    """A notebook of a title, a parameters cell, a page, the given code cells, and nothing else."""
    code = [(parameters, ["parameters"]), (BEGIN.format(stem=stem), []), *((cell, []) for cell in cells)]
    blocks = [{"cell_type": "markdown", "id": "title", "metadata": {}, "source": title}]
    for number, (source, tags) in enumerate(code):
        metadata = {"tags": tags} if tags else {}
        block = {"cell_type": "code", "id": f"c{number}", "metadata": metadata, "source": source}
        blocks.append(block | {"outputs": [], "execution_count": None})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    content = {
        "cells": blocks,
        "metadata": {"kernelspec": kernel, "easel": {"needs": needs}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{stem}.ipynb").write_text(json.dumps(content))


def receipt(folder: Path, stem: str, **fields) -> Path:
    """A receipt in a profile's folder, as an earlier version wrote it: without digests."""
    content = {"notebook": stem, "run": "r", "notice": "", "machine": "m", "finished": "2026-01-01T00:00:00+00:00"}
    content |= {"figures": [], "tables": [], "verdicts": [], "keys": []}
    content |= {"seconds": 1, "trained": 5, "reused": 0, "diverged": 0} | fields
    path = folder / "receipts" / f"{stem}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def profiles(folder: Path, text: str = "smoke: {}\n") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "profiles.yaml").write_text(text)


@contextmanager
def read_only():
    """A folder that may be read and not written, also by root, who is nobody while in it."""
    parent = Path(tempfile.mkdtemp(prefix="easel-test-"))  # pytest's own folders are closed to nobody
    folder, user = parent / "results", os.geteuid()
    parent.chmod(0o755)
    folder.mkdir(mode=0o555)
    if user == 0:
        os.seteuid(65534)
    try:
        yield folder
    finally:
        os.seteuid(user)
        shutil.rmtree(parent)
