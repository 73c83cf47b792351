"""One notebook, executed in a process of its own: `python -m easel.notebook.kernel`, started by `batch` only.

It reads a job (one line of JSON) from standard input, executes the notebook into the job's stage folder, and exits with
0 only if papermill returned; the stage then holds STEM.ipynb and STEM.html. Otherwise `outcome.json` says in one line
what went wrong. Nothing is written outside the stage. When standard input closes, the caller is gone: it stops
and removes the stage.
"""

import contextlib
import errno
import json
import os
import re
import shutil
import signal
import sys
import threading
import warnings
from pathlib import Path

from easel import files
from easel.errors import UserError, one_line

START_TIMEOUT_S = 120  # a kernel starts in seconds; a minute on a machine that is busy with training


def execute_job() -> int:
    """Executes the job that stands in the first line of standard input; returns the exit status."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored in what started us (nohup, &)
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_stop_with_caller, daemon=True).start()
    warnings.simplefilter("ignore")  # of Jupyter's own packages; the notebook's are its kernel's
    stage = Path(job["stage"])
    draft = stage / "draft.ipynb"
    try:
        execute(job, draft)
        save(draft, job, stage)
    except KeyboardInterrupt:
        for folder in (stage, os.environ["JUPYTER_RUNTIME_DIR"]):  # the caller may not be there to do it
            shutil.rmtree(folder, ignore_errors=True)
        return 130
    except Exception as error:
        outcome, words = Path(os.environ["JUPYTER_RUNTIME_DIR"]) / "outcome.json", explain(error, draft)
        try:
            outcome.write_text(json.dumps({"error": words}))  # not in the stage, whose disk may be full
        except OSError:
            print(words, flush=True)  # this one is full too: then as something that the notebook says
        with contextlib.suppress(OSError, ValueError):
            save_notebook(draft, stage / f"{job['stem']}.failed.ipynb", job)
        return 1
    return 0


def save(draft: Path, job: dict, stage: Path) -> None:
    """Leaves the executed notebook and its page in the stage, and their digests in the receipt."""
    from easel.notebook import receipt, site

    notebook, page = stage / f"{job['stem']}.ipynb", stage / f"{job['stem']}.html"
    save_notebook(draft, notebook, job)
    page.write_text(site.notebook_html(notebook), encoding="utf-8")
    with contextlib.suppress(FileNotFoundError, receipt.Damaged):  # what is wrong with it, the caller says
        receipt.add_files(receipt.path_of(stage, job["stem"]), [notebook.name, page.name])


def execute(job: dict, draft: Path) -> None:
    """Runs the notebook through papermill in a kernel of this very Python, saving after every cell to draft."""
    import nbformat
    import papermill

    notebook = nbformat.read(job["notebook"], as_version=4)  # a path would be taken as a format string
    papermill.execute_notebook(
        notebook,
        str(draft).replace("{", "{{").replace("}", "}}"),
        parameters=job["parameters"],
        kernel_name="python3",
        language="python",
        kernel_manager_class=_own_kernel(),
        progress_bar=False,
        stdout_file=sys.stdout,
        stderr_file=sys.stdout,
        start_timeout=START_TIMEOUT_S,
    )


def save_notebook(draft: Path, path: Path, job: dict) -> None:
    """Writes the executed notebook without what differs from run to run or names this machine, and without widgets'
    live state, which GitHub refuses and no static page can show."""
    import nbformat

    notebook = nbformat.read(draft, as_version=4)
    notebook.metadata.pop("widgets", None)
    notebook.metadata["papermill"] = {"parameters": job["parameters"]}
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


def _own_kernel():
    """A kernel manager that starts this Python, whatever kernels are installed, and talks over files where it can."""
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from traitlets import default

    class OwnKernel(AsyncKernelManager):
        @property
        def kernel_spec(self):
            argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            return KernelSpec(argv=argv, display_name="Python 3 (ipykernel)", language="python")

        @default("transport")
        def _files_not_ports(self):  # parallel kernels race for free ports
            return "tcp" if os.name == "nt" else "ipc"

        @default("ip")
        def _where_the_files_lie(self):  # Jupyter's own default is one name in the working folder for every kernel
            return "127.0.0.1" if os.name == "nt" else os.path.join(os.environ["JUPYTER_RUNTIME_DIR"], "kernel")

    return OwnKernel


def _stop_with_caller() -> None:
    """Waits for the end of standard input, which comes when the caller ends however it ends, and stops this process."""
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    sys.exit(execute_job())
