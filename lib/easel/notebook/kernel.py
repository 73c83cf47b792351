"""One notebook, executed in a process of its own, which `batch` starts; its kernel is one more.

It executes the notebook into the job's stage folder and exits with 0 only if papermill returned; the stage then holds
STEM.ipynb and STEM.html. Otherwise `outcome.json` says in one line what went wrong. Nothing else is written outside the
stage. When the caller is gone, it stops and removes the stage.

What notebooks need and need not each make anew is made once, in the process that theirs are forked from: `warm.context`
imports this module there, last of all. Data sets lie in memory, fonts, templates and patterns are found and compiled; a
fork has them for nothing. It asks anew whether a data set's files are still the same (`sets.marks`), so that nothing
stale is ever looked at. Whatever is wrong there is said where it is wanted; nothing is downloaded.
"""

import contextlib
import errno
import json
import multiprocessing
import os
import re
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace

from easel import files, warm
from easel.errors import UserError, one_line
from easel.notebook.plan import WARMED, Job

PID = "kernel-process"  # a file kernel-process.<id> in the scratch folder names the kernel's process
SAVE_S = 10.0  # between two states of a notebook at work: whoever looks into its stage sees how far it is
END_S = 10.0  # for a process to end by itself; papermill's way of ending a kernel takes a second or two
START_TIMEOUT_S = 120  # a kernel starts in seconds; a minute on a machine that is busy with training


def execute_job(job: Job, stage: Path) -> None:
    """Executes the job and ends the process with the status of `attempt`."""
    os.setsid()  # a terminal's Ctrl-C goes to the caller alone
    warm.end_with_parent(lambda: _stop(stage))
    try:
        sys.exit(attempt(job, stage))
    finally:  # a kernel that papermill did not come to end waits for this process, and this one would wait for it
        for one in multiprocessing.active_children():
            one.kill()


def _stop(stage: Path) -> None:
    """Stops this process, also where the interrupt comes while something takes it for a fault of its own."""
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(END_S)
    for folder in (stage, Path(os.environ["JUPYTER_RUNTIME_DIR"])):
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(130)


def attempt(job: Job, stage: Path) -> int:
    """Executes the job into the stage; 0, 1 after a fault, 130 if it was stopped."""
    warnings.simplefilter("ignore")  # of Jupyter's own packages; the notebook's are its kernel's
    draft, runtime = stage / "draft.ipynb", Path(os.environ["JUPYTER_RUNTIME_DIR"])
    try:
        os.chdir(job.notebook.parent)
        execute(job, draft)
        save(draft, job, stage)
    except KeyboardInterrupt:
        for folder in (stage, runtime):  # the caller may not be there to do it
            shutil.rmtree(folder, ignore_errors=True)
        return 130
    except Exception as error:
        words = explain(error, draft)
        try:  # not in the stage: its disk may be full
            (runtime / "outcome.json").write_text(json.dumps({"error": words}))
        except OSError:
            print(words, flush=True)  # this one is full too: then as something that the notebook says
        with contextlib.suppress(OSError, ValueError):
            save_notebook(draft, stage / f"{job.stem}.failed.ipynb", job)
        return 1
    return 0


def save(draft: Path, job: Job, stage: Path) -> None:
    """Leaves the executed notebook and its page in the stage, and their digests in the receipt."""
    from easel.notebook import page as receipts, site

    notebook, page = stage / f"{job.stem}.ipynb", stage / f"{job.stem}.html"
    save_notebook(draft, notebook, job)
    page.write_text(site.notebook_html(notebook, job.beside), encoding="utf-8")
    with contextlib.suppress(FileNotFoundError, receipts.Damaged):  # what is wrong with it, the caller says
        receipts.add_files(receipts.path_of(stage, job.stem), [notebook.name, page.name], job.effective)


def execute(job: Job, draft: Path) -> None:
    """Runs the notebook through papermill in a kernel of this very Python, saving to draft at most every SAVE_S."""
    import nbformat
    import papermill

    notebook = nbformat.read(job.notebook, as_version=4)  # a path would be taken as a format string
    papermill.execute_notebook(
        notebook,
        str(draft).replace("{", "{{").replace("}", "}}"),
        parameters=job.values,
        engine_name=_engine(),
        kernel_name="python3",
        language="python",
        kernel_manager_class=_own_kernel(),
        progress_bar=False,
        stdout_file=sys.stdout,
        stderr_file=sys.stdout,
        start_timeout=START_TIMEOUT_S,
    )


def save_notebook(draft: Path, path: Path, job: Job) -> None:
    """Writes the executed notebook without what differs from run to run or names this machine, and without widgets'
    live state, which GitHub refuses and no static page can show."""
    import nbformat

    notebook = nbformat.read(draft, as_version=4)
    notebook.metadata.pop("widgets", None)
    notebook.metadata["papermill"] = {"parameters": job.values}
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    nbformat.write(notebook, path)


def explain(error: Exception, draft: Path) -> str:
    """One line on what went wrong: the cell and the last line of its error."""
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    if isinstance(error, PapermillExecutionError):
        text = f"{error.ename}: {error.evalue}"
    elif isinstance(error, DeadKernelError):
        text = "the kernel died (killed, or out of memory)"
    elif isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):  # papermill saves after every cell
        text = f"it could not be saved in {draft.parent}: {files.WHY[error.errno]}"
    elif isinstance(error, UserError):
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error}"
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines() if line.strip()]
    started = _last_started(draft)
    return one_line((f"code cell {started}: " if started else "") + (lines[0] if lines else "no message"))


def _last_started(draft: Path) -> int:
    """Number of the code cell, counted from 1 over the notebook's own cells, that ran last; 0 if none did."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        cells = json.loads(draft.read_text(encoding="utf-8"))["cells"]
        own = {"papermill-error-cell-tag", "injected-parameters"}
        code = [c for c in cells if c["cell_type"] == "code" and not own & set(c["metadata"].get("tags", []))]
        started = [n for n, c in enumerate(code, 1) if c["metadata"].get("papermill", {}).get("start_time")]
        return max(started, default=0)
    return 0


def _engine() -> str:
    """The name of papermill's own engine, but that it saves seldom: else each cell costs two writes of all before it.

    A last time it saves however the execution ends.
    """
    from papermill.engines import NBClientEngine, papermill_engines

    class Sparing(NBClientEngine):
        @classmethod
        def execute_managed_notebook(cls, nb_man, kernel_name, **how):
            whole, saved = nb_man.save, time.monotonic()

            def save(**now):
                nonlocal saved
                if time.monotonic() - saved >= SAVE_S:
                    whole(**now)
                    saved = time.monotonic()

            nb_man.save = save
            try:
                super().execute_managed_notebook(nb_man, kernel_name, **how)
            finally:
                nb_man.save = whole

    name = "easel-sparing"
    papermill_engines.register(name, Sparing)
    return name


def _own_kernel():
    """A kernel manager that starts a warm process of this Python, whatever kernels are installed, and talks over files
    where it can."""
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner
    from traitlets import default

    class WarmProvisioner(LocalProvisioner):
        async def launch_kernel(self, cmd, **kwargs):
            self.process = _Started(warm.start(_kernel, cmd, environ=kwargs["env"]))
            self.pid = self.pgid = self.process.pid
            (Path(os.environ["JUPYTER_RUNTIME_DIR"]) / f"{PID}.{self.pid}").touch()
            return self.connection_info

    name = "easel-warm"
    factory = KernelProvisionerFactory.instance()
    factory.provisioners[name] = SimpleNamespace(name=name, load=lambda: WarmProvisioner)  # as an entry point would be

    class OwnKernel(AsyncKernelManager):
        @property
        def kernel_spec(self):
            argv, metadata = ["-f", "{connection_file}"], {"kernel_provisioner": {"provisioner_name": name}}
            return KernelSpec(argv=argv, display_name="Python 3 (ipykernel)", language="python", metadata=metadata)

        @default("transport")
        def _files_not_ports(self):  # parallel kernels race for free ports
            return "tcp" if os.name == "nt" else "ipc"

        @default("ip")
        def _where_the_files_lie(self):  # Jupyter's own default is one name in the working folder for every kernel
            return "127.0.0.1" if os.name == "nt" else os.path.join(os.environ["JUPYTER_RUNTIME_DIR"], "kernel")

    return OwnKernel


class _Started:
    """A process of multiprocessing, as jupyter_client expects one of subprocess."""

    stdin = stdout = stderr = None

    def __init__(self, process):
        self._process, self.pid = process, process.pid
        self.terminate, self.kill = process.terminate, process.kill

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int | None:
        self._process.join()
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)


def _kernel(argv: list[str]) -> None:
    """The process of a notebook's kernel."""
    from ipykernel.kernelapp import launch_new_instance

    os.setsid()  # so that it can be interrupted with all that it starts
    warm.end_with_parent()
    if "matplotlib" in sys.modules:  # imported before there was a choice; found by name at the first figure
        sys.modules["matplotlib"].rcParams["backend"] = os.environ["MPLBACKEND"]
    launch_new_instance(argv=[*argv, f"--IPKernelApp.parent_handle={os.getppid()}"])  # without it, it explains itself


# before the fork -----------------------------------------------------------------------------------------------------


def load_sets(names: Iterable[str]) -> None:
    """Reads both splits of these data sets, of those that are on this machine."""
    from easel.data import sets

    for name in names:
        with contextlib.suppress(Exception):  # a folder of somebody's own may hold anything
            if sets.Name.of(name, or_choice=True).plain == "auto" and not sets.on_disk("cifar10"):
                continue  # to choose would be to download
            chosen = sets.Name.of(sets.choose(name))
            if sets.on_disk(chosen.plain):
                sets.load(chosen)
                if sets.has_tests(chosen):
                    sets.load(chosen, "test")


def draw_figure() -> None:
    """A figure with most of what figures have, thrown away; style and backend stay as they were."""
    from matplotlib import pyplot as plt
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from easel.notebook import page
    from easel.plot import base

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
    import nbformat

    from easel.notebook import site

    cells = [nbformat.v4.new_markdown_cell("## A heading\n\n*with* `text`"), nbformat.v4.new_code_cell("f = 1  # one")]
    cells[1].outputs = [nbformat.v4.new_output("display_data", {"text/markdown": "text", "text/html": "<b>text</b>"})]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["language_info"] = {"name": "python", "pygments_lexer": "ipython3"}
    site.exporter().from_notebook_node(notebook, resources={"easel": ("", "")})


if WARMED in os.environ:  # elsewhere importing this makes nothing
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C: who started this one ends it
    draw_figure()
    render_page()
    load_sets(json.loads(os.environ[WARMED]))
    signal.signal(signal.SIGINT, interrupt)
