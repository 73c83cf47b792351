"""Executes notebooks, several at a time, and collects what they leave in results/<profile>/. It never trains by itself.

Everything that was asked for is checked before anything starts. A notebook succeeds if papermill returned and its last
cell wrote a receipt that holds this run's token. Until then all it makes lies in a stage folder beside the results; a
run that fails or is stopped leaves the older results as they were.
"""

import codecs
import json
import os
import platform
import re
import secrets
import shutil
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from easel import files, warm
from easel.errors import UserError
from easel.notebook import kernel, page as receipts, site
from easel.notebook.plan import PRELOAD, Job, check_inputs, planned

DRAFTS = ("draft.ipynb", "log.txt")  # of a stage; not results
STOP_S = 1.5  # given to a stopped notebook to end by itself, before it is killed
STOPPED = "stopped; finished trials are kept, the same command goes on from here"
REPLACING = "it was stopped while its results took the place of older ones; run it again"
LINES, LINES_PER_S = 10, 1.0  # of a notebook's own output that are passed on: at once, and in the long run
BAR_S = 5.0  # between two states of a progress bar that overwrites itself
LINE_WIDTH = 160  # letters of a line that are passed on


@dataclass
class Outcome:
    """What became of a job: its receipt if it succeeded, else one line on why not."""

    stem: str
    receipt: dict | None = None
    error: str = ""


def run(
    profile: str, only=None, dataset: str | None = None, jobs: int | None = None, settings=None, name: str | None = None
) -> int:
    """Executes a profile's notebooks; 0 if all succeeded, 1 if one failed. UserError before anything starts.

    only, dataset, name: as in `plan`; all notebooks and their variants if only is None.
    jobs: notebooks at a time, 2 if None. settings: parameter -> value, or text as typed on a command line.
    """
    if jobs is not None and (type(jobs) is not int or jobs < 1):
        raise UserError(f"--jobs {jobs} does not fit; it takes a whole number from 1 up")
    plans = planned(profile, only, dataset, settings or {}, name)
    folder = files.results_dir().absolute() / str(plans[0].values["profile"])
    for needed in (folder, files.store_dir()):
        files.make_folder(needed)
    check_inputs(plans)
    _sweep(folder)
    jobs = min(jobs or min(2, os.cpu_count() or 1), len(plans))
    count = site.counted([job.variant for job in plans])
    print(f"easel: profile {profile}, {count}, {jobs} at a time, into {_short(folder)}", flush=True)
    started = time.monotonic()
    outcomes = _run_all(plans, folder, jobs)
    good = [one.receipt for one in outcomes if one.receipt]
    trained, reused = (sum(one[key] for one in good) for key in ("trained", "reused"))
    work = f"trained {trained:,}, reused {reused:,} trials"
    if reused and not trained:
        work = f"nothing was trained, all {reused:,} trials were in the store"
    done = f"{site.counted([one['variant'] for one in good])} done in {time.monotonic() - started:.0f} s"
    print(f"easel: {done}; {work}; {site.tally([row for one in good for row in one['verdicts']])}")
    for one in outcomes:
        if not one.receipt:
            print(f"easel: {one.stem} FAILED: {one.error}", file=sys.stderr)
    print(f"easel: read {_short(folder / 'index.html')}", flush=True)
    return 0 if len(good) == len(plans) else 1


@dataclass
class _Crew:
    """The processes at work, and whether they were told to stop."""

    running: dict = field(default_factory=dict)  # process -> its scratch folder
    stopping: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    writing: threading.Lock = field(default_factory=threading.Lock)  # of the index

    def say(self, stem: str, text: str) -> None:
        with self.lock:
            if not self.stopping:
                print(f"  {stem}  {text}", flush=True)


def _run_all(plans: list[Job], folder: Path, jobs: int) -> list[Outcome]:
    crew = _Crew()
    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(_run_one, job, folder, crew) for job in plans]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException as error:
            with crew.lock:
                crew.stopping = True
            for future in futures:
                future.cancel()
            _stop(crew.running)
            if isinstance(error, KeyboardInterrupt):
                raise KeyboardInterrupt(STOPPED) from None
            raise
    return [future.result() for future in futures]


def _run_one(job: Job, folder: Path, crew: _Crew) -> Outcome:
    started = time.monotonic()
    stage = folder / f".{job.stem}.{platform.node()}.{os.getpid()}.stage"
    scratch = Path(tempfile.mkdtemp(prefix="easel-"))  # short: a socket's path has 107 letters at most
    token = secrets.token_hex(16)
    try:
        files.make_folder(stage)
        crew.say(job.stem, "started")
        status = _execute(job, stage, scratch, token, crew)
        receipt, error = _judge(job, stage, scratch, token, status)
        seconds = time.monotonic() - started
        if crew.stopping:
            return Outcome(job.stem, error=error)
        if receipt:
            with crew.writing:
                _publish(stage, folder, job.stem)
            work = f"trained {receipt['trained']}, reused {receipt['reused']} trials"
            crew.say(job.stem, f"done in {seconds:.0f} s: {work}; {site.tally(receipt['verdicts'])}")
        else:
            receipts.note_failure(folder, job.stem, error)
            kept = f"{job.stem}.failed.ipynb"
            if (stage / kept).exists():
                files.publish(stage / kept, folder / kept)
                error += f" (read {_short(folder / kept)})"
            crew.say(job.stem, f"FAILED after {seconds:.0f} s: {error}")
        with crew.writing:  # the index is true whenever somebody looks, also if the run is stopped later
            site.write_site(folder)
        return Outcome(job.stem, receipt, error)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        shutil.rmtree(scratch, ignore_errors=True)


def _execute(job: Job, stage: Path, scratch: Path, token: str, crew: _Crew) -> int:
    """Runs easel.notebook.kernel on the job and passes on what the notebook prints; returns the exit status."""
    ours, theirs = os.pipe()
    with open(ours, "rb") as said:
        with open(theirs, "wb") as writing, open(stage / "log.txt", "wb") as log, crew.lock:
            if crew.stopping:
                return 130
            process = warm.start(
                kernel.execute_job,
                job,
                stage,
                preload=PRELOAD,
                environ=_environment(job, stage, scratch, token),
                stdout=writing.fileno(),
                stderr=log.fileno(),
            )
            crew.running[process] = scratch
        for line in _readable(said):
            crew.say(job.stem, f"| {line}")
    process.join()
    return process.exitcode


def _environment(job: Job, stage: Path, scratch: Path, token: str) -> dict[str, str]:
    """What a notebook's process sees: our folders as absolute paths, and none of the user's own Jupyter settings."""
    return os.environ | {
        "EASEL_RUN": token,
        "EASEL_STAGE": str(stage),
        "EASEL_VARIANT": job.variant,
        "EASEL_RESULTS": str(files.results_dir().absolute()),
        "EASEL_DATA": str(files.data_dir().absolute()),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")])),
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # the debugger's warning on frozen modules
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "JUPYTER_CONFIG_DIR": str(scratch),
        "JUPYTER_RUNTIME_DIR": str(scratch),
        "IPYTHONDIR": str(scratch),
    }


def _readable(stream):
    """The lines of a notebook's output, thinned to a modest rate; what a progress bar overwrites is thinned further."""
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    allowance, then, overwritten, rest = float(LINES), time.monotonic(), 0.0, ""
    while chunk := stream.read1(1 << 16):
        *lines, rest = re.split(r"(?<=[\r\n])(?![\r\n])", rest + decode(chunk))
        for raw in lines:
            now = time.monotonic()
            allowance, then = min(float(LINES), allowance + (now - then) * LINES_PER_S), now
            line = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", raw).strip("\r\n").rpartition("\r")[2].rstrip()
            bar = not raw.endswith("\n")
            if not line or allowance < 1 or (bar and now - overwritten < BAR_S):
                continue
            allowance -= 1
            overwritten = now if bar else overwritten
            yield line if len(line) <= LINE_WIDTH else line[: LINE_WIDTH - 1] + "…"


def _judge(job: Job, stage: Path, scratch: Path, token: str, status: int) -> tuple[dict | None, str]:
    """The receipt if the run succeeded, and otherwise why it did not."""
    if status != 0:
        with suppress(OSError, ValueError):
            return None, json.loads((scratch / "outcome.json").read_text())["error"]
        lines = (stage / "log.txt").read_text(errors="replace").strip().splitlines()
        return None, f"its process ended with status {status}" + (f": {lines[-1]}" if lines else "")
    try:
        receipt = receipts.read(receipts.path_of(stage, job.stem))
    except FileNotFoundError:
        return None, "it ran to its end and left no receipt; its last cell must be page.close(...)"
    except receipts.Damaged as fault:
        return None, f"the receipt that it left is damaged: {fault}"
    if receipt["run"] != token:
        return None, "the receipt that it left is of another run"
    made = {f"{kind}/{path.name}" for kind in ("figures", "tables") for path in (stage / kind).iterdir()}
    later = sorted({*made} - {*receipt["files"]} | {*receipts.changed(receipt, stage)})
    if later:
        return None, f"{', '.join(later)}: saved after page.close(...), which must be the last cell"
    return receipt, ""


def _publish(stage: Path, folder: Path, stem: str) -> None:
    """Moves a finished stage into the results, its receipt last, and removes what only the older receipt knew.

    A reader who comes in between, or after a power cut, finds an index that shows the older results as older ones, and
    the older receipt, whose digests do not match.
    """
    receipt, older = Path("receipts") / f"{stem}.json", set()
    with suppress(FileNotFoundError, receipts.Damaged):
        before = receipts.read(folder / receipt)
        older = {Path(kind) / Path(one["file"]).name for kind in ("figures", "tables") for one in before[kind]}
        receipts.note_failure(folder, stem, REPLACING)
        site.write_site(folder)
    newer = [p.relative_to(stage) for p in sorted(stage.rglob("*")) if p.is_file() and p.name not in DRAFTS]
    for name in sorted(newer, key=lambda name: name == receipt):
        with files.writing_to(folder):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            files.publish(stage / name, folder / name)
    for name in {*older, Path(f"{stem}.failed.ipynb"), Path("receipts") / f"{stem}.failed.json"} - {*newer}:
        (folder / name).unlink(missing_ok=True)


def _stop(running: dict) -> None:
    """Interrupts the processes, their kernels and all that these started; kills what is there after STOP_S."""
    import psutil

    def family() -> list:
        members = []
        for process, scratch in list(running.items()):
            heads = [process.pid, *(int(path.suffix[1:]) for path in scratch.glob(f"{kernel.PID}.*"))]
            for pid in heads:
                with suppress(psutil.NoSuchProcess):
                    head = psutil.Process(pid)
                    members += [head, *head.children(recursive=True)]
        return members

    members = family()
    for one in members:
        with suppress(psutil.NoSuchProcess):
            one.send_signal(2)
    with suppress(KeyboardInterrupt):  # a second Ctrl-C: at once
        _, members = psutil.wait_procs(members, timeout=STOP_S)
    for one in {*members, *family()}:
        with suppress(psutil.NoSuchProcess):
            one.kill()


def _sweep(folder: Path) -> None:
    """Removes the stages of runs on this machine that were killed, and what killed writers left of files."""
    import psutil

    for one in (folder, folder / "receipts", folder / "tables", folder.parent / "facts"):
        files.sweep_parts(one)
    for stage in folder.glob(f".*.{platform.node()}.*.stage"):
        pid = stage.name.split(".")[-2]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            shutil.rmtree(stage, ignore_errors=True)


def _short(path: Path) -> str:
    """A path relative to the working folder if it lies below it."""
    with suppress(ValueError):
        return str(Path(path).relative_to(Path.cwd()))
    return str(path)
