"""`easel run`, its notebooks' processes and their kernels killed at any moment; cells run in any order, and by halves.

The index is asked after each: nothing on it that is not marked is of another run than the table beside it.
"""

import csv
import io
import os
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from contextlib import redirect_stdout, suppress
from multiprocessing import forkserver, resource_tracker
from pathlib import Path

import make_notebooks as make
import numpy as np
import psutil
from harness import fault, forking, said

from easel import warm
from easel.data.own import save_arrays
from easel.ledger.store import Store
from easel.notebook import batch, page, page as receipts, plan, site

TRAIN = """from easel.ledger.trial import Recipe, Trial
from easel.train.ensure import ensure
recipe = Recipe(precision="fp32", batch_size=10)
ledger = ensure([Trial(model="mlp-1x10", seed=version, epochs=2, data=own, recipe=recipe)], workers=0, quiet=True)"""
TABLE = """import pandas
page.table(pandas.DataFrame({"version": [version]}), "t", caption=f"Version {version}.")"""
VERDICT = """page.verdict(claim=f"version {version}", here=1, verdict="holds" if version % 2 else "fails", why="So.")"""
STEMS = ("00_one", "01_two")
TIRED_S = 60.0


class Notebooks:
    """Two notebooks whose tables and verdicts carry a version, and processes that start warm."""

    def __init__(self, folder: Path):
        self.folder, self.version, self.results = folder, 0, folder / "results" / "smoke"
        draw = np.random.default_rng(0)
        own = save_arrays(folder / "own.npz", (draw.integers(0, 256, (20, 8, 8, 3), np.uint8), np.arange(20) % 2))
        parameters = f'profile = "smoke"\nversion = 0\nown = "{own}"'
        for stem, train, end in ((STEMS[0], [TRAIN], "page.close(ledger)"), (STEMS[1], [], make.END)):
            make.write(folder / "notebooks", stem, *train, TABLE, VERDICT, end, parameters=parameters)
        make.profiles(folder / "notebooks")
        self.scratch = Path(tempfile.mkdtemp(prefix="e", dir="/tmp"))  # a socket's path has 107 letters at most
        warm.start(os.getpid, preload=plan.PRELOAD).join()
        self.server = psutil.Process(forkserver._forkserver._forkserver_pid)
        self.before = {one.pid for one in self.server.children(recursive=True)}  # of others' in this process
        began = time.monotonic()
        if status := self.wait(self.started(1)):
            raise RuntimeError(f"a run that nobody disturbs ended with status {status}: {self.said()}")
        self.spell = time.monotonic() - began

    def started(self, jobs: int) -> int:
        """The process of another run, of the next version."""
        self.version += 1
        with forking():
            pid = os.fork()
        if pid:
            return pid
        status = 77
        try:
            os.setsid()
            said = os.open(self.folder / "said.txt", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            for stream in (0, 1, 2):
                os.dup2(said, stream)
            os.environ |= {f"EASEL_{name.upper()}": str(self.folder / name) for name in ("results", "notebooks")}
            tempfile.tempdir = str(self.scratch)
            forkserver._forkserver.ensure_running = resource_tracker.ensure_running  # as in all that are forked from it
            status = batch.run("smoke", jobs=jobs, settings={"version": self.version})
        except Exception:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def close(self) -> None:
        """Removes what lies outside the folder."""
        shutil.rmtree(self.scratch, ignore_errors=True)

    def said(self) -> str:
        """The end of what the last run said."""
        return " ".join((self.folder / "said.txt").read_text(errors="replace")[-500:].split())

    def wait(self, pid: int) -> int | None:
        """The status of a run that ends by itself; None for one that does not."""
        until = time.monotonic() + TIRED_S
        while time.monotonic() < until:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.02)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        return None

    def others(self) -> list[psutil.Process]:
        """All that runs have started and that is still there."""
        with suppress(psutil.NoSuchProcess):
            found = [one for one in self.server.children(recursive=True) if one.pid not in self.before]
            return [one for one in found if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
        return []

    def kernels(self) -> list[int]:
        """The processes of kernels, as their scratch folders name them."""
        return [int(path.suffix[1:]) for path in self.scratch.glob("*/kernel-process.*")]


def unmarked(results: Path) -> str:
    """ "" where what the index and verdicts.csv show as of the last run is of the version of the table beside it."""
    there = {}
    cards = (results / "index.html").read_text().split("<article")[1:] if (results / "index.html").exists() else []
    for card in cards:
        stem, shown = card.partition('id="')[2].partition('"')[0], re.findall(r"version (\d+)", card)
        if f'"tables/{stem}-t.csv"' not in card:  # its last run made none, whatever lies there
            continue
        with suppress(OSError, ValueError, IndexError):
            there[stem] = int((results / f"tables/{stem}-t.csv").read_text().split()[1])
        bare = 'class="chip holds"' in card or 'class="chip fails"' in card
        marked = "since the receipt was written" in card or "this run failed" in card
        if bare and not marked and {*map(int, shown)} != {there.get(stem)}:
            return f"{stem}: the index shows version {shown} unmarked, its table is of {there.get(stem)}"
    with suppress(FileNotFoundError), open(results / "verdicts.csv", newline="") as file:
        for row in csv.DictReader(file):
            stem = row["notebook"]
            shown = int(row["claim"].split()[1])
            if not row["older"] and shown != there.get(stem, shown):
                return f"{stem}: verdicts.csv has version {shown} as of the last run, its table is of {there[stem]}"
    return ""


@fault("SIGKILL of easel run, its notebooks' processes and kernels", 100, 3, Notebooks)
def killed_run(shared: Notebooks, rng) -> str:
    whom, jobs = rng.choice(["run", "run", "kernel", "notebook"]), rng.choice([1, 2])
    pid = shared.started(jobs)
    time.sleep(rng.random() * 1.1 * shared.spell)
    kernels = shared.kernels()
    victims = {
        "run": [pid],
        "kernel": kernels,
        "notebook": [one.pid for one in shared.others() if one.pid not in kernels],
    }[whom]
    for one in victims[:1]:
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
    status = shared.wait(pid)
    if status is None:
        return f"the {whom} was killed, and the run did not end"
    until = time.monotonic() + TIRED_S
    while shared.others():
        if time.monotonic() > until:
            return f"the {whom} was killed, and {len(shared.others())} processes went on"
        time.sleep(0.02)
    if false := unmarked(shared.results):
        return f"after the {whom} was killed: {false}"
    with said() as words:
        list(Store(shared.folder / "results/trials").records())
    if words:
        return f"a record is damaged: {words[0]}"
    if rng.randrange(4):
        return ""
    if status := shared.wait(shared.started(2)):  # nobody disturbs it
        return f"the next run ended with status {status}: {shared.said()}"
    index = (shared.results / "index.html").read_text()
    if "failed" in index.partition("<main>")[2] or index.count(f"version {shared.version}") < 2:
        return "the next run's index is not its own"
    left = [path.name for path in [*shared.results.rglob(".*"), *shared.results.rglob("*.part")]]
    return f"{left[0]} was left" if left else unmarked(shared.results)


# cells in any order --------------------------------------------------------------------------------------------------


class Cells:
    """A folder of results."""

    def __init__(self, folder: Path):
        self.folder, self.scratch = folder, folder / "scratch"
        self.scratch.mkdir()
        os.environ["EASEL_RESULTS"] = str(folder / "results")


CELLS = (
    "page = report.Page('00_one', profile='smoke')",
    "value = version",
    "page.table(pandas.DataFrame({'version': [value]}), 't', caption=f'Version {value}.')",
    "page.verdict(claim=f'version {value}', here=1, verdict='holds', why='So.')",
    "page.close()",
)


def _executed(cells, version: int) -> bool:
    """Whether all of the cells ran, in a namespace of their own."""
    import pandas

    space = {"report": page, "pandas": pandas, "version": version}
    with redirect_stdout(io.StringIO()):
        for cell in cells:
            try:
                exec(cell, space)
            except (NameError, ValueError):
                return False
    return True


@fault("cells run out of order, twice and by halves", 600, 40, Cells)
def cells_in_any_order(shared: Cells, rng) -> str:
    results, version = shared.folder / "results/smoke", 2 * rng.randrange(1, 10**6)
    if not rng.randrange(20):
        shutil.rmtree(results, ignore_errors=True)
    order = list(CELLS)
    way = rng.choice(["order", "less", "twice", "half", "as it is"])
    if way == "order":
        rng.shuffle(order)
    elif way == "less":
        order.pop(rng.randrange(len(order)))
    elif way == "twice":
        order.insert(rng.randrange(6), rng.choice(CELLS))
    elif way == "half":
        order = order[: rng.randrange(6)]
    job = plan.Job("00_one", shared.folder / "00_one.ipynb", {}, {})
    if rng.randrange(3) == 0:  # by hand: there is no stage, and the index is made later
        _executed(order, version)
        site.write_site(results) if results.exists() else None
        return unmarked(results) if results.exists() else ""
    stage, token = results / ".stage", f"run {version}"
    stage.mkdir(parents=True)
    os.environ |= {"EASEL_STAGE": str(stage), "EASEL_RUN": token}
    try:
        whole = _executed(order, version)
        for folder in page.FOLDERS:
            (stage / folder).mkdir(exist_ok=True)
        receipt, error = batch._judge(job, stage, shared.scratch, token, 0) if whole else (None, "a cell failed")
        if receipt is None:
            receipts.note_failure(results, "00_one", error)
        else:
            made = [f"tables/{path.name}" for path in (stage / "tables").iterdir()]
            if sorted(receipt["files"]) != made or CELLS[3] in order[order.index(CELLS[4]) :]:
                return f"{order} is taken for a success"
            batch._publish(stage, results, "00_one")
        site.write_site(results)
    finally:
        shutil.rmtree(stage)
        for name in ("EASEL_STAGE", "EASEL_RUN"):
            os.environ.pop(name)
    if order == list(CELLS) and receipt is None:
        return f"a whole run is refused: {error}"
    return unmarked(results)
