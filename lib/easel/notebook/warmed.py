"""What notebooks need and need not each make anew, made once in the process that theirs are forked from.

`warm.context` imports this module there, last of all: data sets lie in memory, fonts, templates and patterns are found
and compiled. A fork has them for nothing. It asks anew whether a data set's files are still the same (`sets.marks`), so
that nothing stale is ever looked at. Whatever is wrong here is said where it is wanted; nothing is downloaded.
"""

import json
import os
import signal
from collections.abc import Iterable
from contextlib import suppress

import nbformat
from matplotlib import pyplot as plt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from easel.data import sets
from easel.notebook import page, site
from easel.notebook.plan import WARMED
from easel.plot import base


def load_sets(names: Iterable[str]) -> None:
    """Reads both splits of these data sets, of those that are on this machine."""
    for name in names:
        with suppress(Exception):  # a folder of somebody's own may hold anything
            if sets.Name.of(name, or_choice=True).plain == "auto" and not sets.on_disk("cifar10"):
                continue  # to choose would be to download
            chosen = sets.Name.of(sets.choose(name))
            if sets.on_disk(chosen.plain):
                sets.load(chosen)
                if sets.has_tests(chosen):
                    sets.load(chosen, "test")


def draw_figure() -> None:
    """A figure with most of what figures have, thrown away; style and backend stay as they were."""
    with plt.rc_context():
        base.use_style()
        figure = Figure(layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        axes.errorbar([0, 1], [0, 1], yerr=0.1, label="a net")
        base.finished(axes, title="a", xlabel="b", ylabel="c")
        page.figure_bytes(figure)


def render_page() -> None:
    """A page with a cell of each kind."""
    cells = [nbformat.v4.new_markdown_cell("## A heading\n\n*with* `text`"), nbformat.v4.new_code_cell("f = 1  # one")]
    cells[1].outputs = [nbformat.v4.new_output("display_data", {"text/markdown": "text", "text/html": "<b>text</b>"})]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    site.exporter().from_notebook_node(notebook, resources={"easel": ("", "")})


if WARMED in os.environ:  # elsewhere importing this does nothing
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C: who started this one ends it
    draw_figure()
    render_page()
    load_sets(json.loads(os.environ[WARMED]))
    signal.signal(signal.SIGINT, interrupt)
