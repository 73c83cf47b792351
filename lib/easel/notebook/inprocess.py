"""`easel train`: the code cells of notebooks in this process, for the sake of the trials that they ask for.

It needs PyTorch, NumPy, pandas, SciPy, Pillow and PyYAML. Kernels, figures, tables, verdicts and widgets are absent,
whether their packages are installed or not, and no results are written: records go into the store, and what was trained
into packs to take home (`easel import`). A notebook is executed up to the last cell that trains.
"""

import ast
import contextlib
import importlib.abc
import importlib.machinery
import json
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path

from easel import files
from easel.errors import UserError, one_line
from easel.notebook.plan import Job, check_inputs, planned

TRAINING = ("ensure", "ensure_each", "accuracies", "two_groups")  # calls that train, whatever the module's name there
ABSENT = (
    "IPython",
    "ipywidgets",
    "matplotlib",
    "seaborn",
    "easel.plot",
    "easel.notebook.page",
    "easel.notebook.explorer",
)


def train_profile(
    profile: str, only=None, dataset=None, settings=None, spell: float | None = None, pack: str = "trained.zip"
):
    """Trains what a profile's notebooks ask for, in the order of `only`, else the profile's; returns the exit status.

    only, dataset, settings: as in `plan`. spell: seconds after which nothing more is begun. pack: a .zip file for what
    is trained now, beside what older packs of that name hold. 0: done, or out of time; 1: a cell that trains failed.
    UserError before anything starts.
    """
    from easel.ledger import store as ledger
    from easel.train import budget

    target = Path(pack)
    if target.suffix != ".zip":
        raise UserError(f"--pack {pack} must end in .zip")
    chosen = _in_order(planned(profile, only, dataset, settings or {}), only)
    files.make_folder(target.parent)
    held, store = ledger.held(target), ledger.Store()
    check_inputs(chosen, here=True)
    before, started, failed, whole, end = _marks(store), time.monotonic(), False, False, ""
    try:
        with budget.time_limit(spell):
            for job in chosen:
                print(f"easel: {job.stem}", flush=True)
                failed |= not _execute(job)
        whole = not failed
    except budget.OutOfTime as out:
        rest = [f", all of {one.stem}" for one in chosen[chosen.index(job) + 1 :]]
        left = f"{out.left:,} trial{'s' * (out.left != 1)} of {job.stem}{''.join(rest)}, and what depends on them"
        end = f"the time is spent; left: {left}; the same command goes on from here"
    finally:  # also when a scheduler or Ctrl-C ends it
        now = _marks(store)
        new = [key for key in now if now[key] != before.get(key)]
        took = f"trained {len(new):,} trial{'s' * (len(new) != 1)} in {time.monotonic() - started:.0f} s"
        print("easel: nothing was left to train" if whole and not new else f"easel: {took}", flush=True)
        records = held | {record.key: record for record in store.found(new)} if new else {}
        for path, count in ledger.write_packs(records.values(), target) if records else ():
            print(f"easel: {path}: {count:,} trials, {path.stat().st_size / 1e6:.1f} MB", flush=True)
        if end:
            print(f"easel: {end}", flush=True)
    return int(failed)


def _in_order(jobs: list[Job], only) -> list[Job]:
    """The jobs as `only` names them, by notebook's number or by name."""

    def place(job: Job) -> int:
        called = (job.stem, job.notebook.stem.split("_")[0])
        return next((at for at, name in enumerate(only or ()) if name in called), 0)

    return sorted(jobs, key=place)


def _marks(store) -> dict[str, tuple[int, int]]:
    """Time and size of each record's file: what changes was trained, or has grown."""
    stats = {key: store.path(key).stat() for key in store.keys()}  # noqa: SIM118 - a Store is no mapping
    return {key: (stat.st_mtime_ns, stat.st_size) for key, stat in stats.items()}


def _execute(job: Job) -> bool:
    """Runs a notebook's cells up to the last that trains; False if one of those that train failed.

    A fault ends its cell alone and is named: in a cell that draws or tells, nothing that is trained hangs on it.
    """
    content = json.loads(job.notebook.read_text(encoding="utf-8"))
    cells = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    sources = ["".join(cell["source"]) for cell in cells]
    training = [number for number, source in enumerate(sources) if trains(source)]
    space, good = {"__name__": "__main__", "display": _Nothing()}, True
    with absent():
        for number, source in enumerate(sources[: max(training, default=-1) + 1]):
            try:
                exec(compile(source, f"{job.stem}, code cell {number + 1}", "exec"), space)
            except Exception as fault:
                what = f"easel: {job.stem}, code cell {number + 1}: {type(fault).__name__}: {fault}"
                print(one_line(what), file=sys.stderr, flush=True)
                good &= number not in training
            if "parameters" in cells[number].get("metadata", {}).get("tags", []):
                space.update(job.values)
    return good


def trains(source: str) -> bool:
    """Whether a cell calls what trains."""
    try:
        calls = [node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    except SyntaxError:  # IPython's own commands
        return False
    return any(getattr(call, "attr", getattr(call, "id", "")) in TRAINING for call in calls)


# what is absent ------------------------------------------------------------------------------------------------------


class _Nothing:
    """Stands for a figure, a page or a widget: any attribute, item and call gives another one, and nothing happens."""

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def _itself(self, *_args, **_named):
        return self

    __call__ = __getitem__ = __enter__ = _itself

    def _in_vain(self, *_args) -> None:
        pass

    __setitem__ = __exit__ = _in_vain

    def __iter__(self) -> Iterator:
        return iter(())

    def subplots(self, *_args, **_named):
        """A figure and its axes: notebooks take the pair apart."""
        return self, self


class _Module(types.ModuleType):
    """A module in which every name is there."""

    def __getattr__(self, name: str):
        return getattr(_Nothing(), name)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports an empty module for each that is absent, and for those below it."""

    def find_spec(self, name: str, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if _is_absent(name) else None

    def create_module(self, spec):
        return _Module(spec.name)

    def exec_module(self, module) -> None:
        pass


@contextlib.contextmanager
def absent() -> Iterator[None]:
    """The modules in ABSENT, and those below them, are stood in for; what was imported before comes back at the end."""
    finder, before = _Finder(), _unimport()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        _unimport()
        for name, module in before.items():
            sys.modules[name] = module
            _bind(name, module)


def _is_absent(name: str) -> bool:
    return any(name == one or name.startswith(f"{one}.") for one in ABSENT)


def _unimport() -> dict[str, types.ModuleType | None]:
    """Takes the absent modules out of those that are imported, and gives them back by name."""
    found = {name: sys.modules.pop(name) for name in list(sys.modules) if _is_absent(name)}
    for name in found:
        _bind(name, None)
    return found


def _bind(name: str, module: types.ModuleType | None) -> None:
    """Makes a module what its package calls by its last name, or, None, leaves that name unset."""
    package, _, last = name.rpartition(".")
    if package in sys.modules and module is not None:
        setattr(sys.modules[package], last, module)
    elif package in sys.modules:
        sys.modules[package].__dict__.pop(last, None)
