"""Do the tests of `compare` notice when its arithmetic is wrong? By hand: `make mutants`, or python tests/mutants.py.

A mutant is one module with one change: a comparison turned to its neighbour, + to -, min to max, and to or, an end of
an interval to its middle, or one of the constants that carry meaning moved. The tests that call the changed function
run on it, those first that killed another mutant of it, until one fails (it is killed) or time runs out (which counts
as killed). One that passes them all survives: a test is missing, or nobody can tell the difference, and then
mutants.toml says why. Each mutant lives in a process of its own, forked after the slow imports; no file is changed.

A run that was stopped goes on where it was (.mutants.jsonl of the working folder): what was killed stays killed while
its module is the same, what survived is tried again when a test has changed.

    python tests/mutants.py                    every mutant of every module
    python tests/mutants.py claims --every 3   each third one of one module
"""

import argparse
import ast
import contextlib
import hashlib
import importlib.abc
import importlib.util
import json
import os
import signal
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import NamedTuple

import hypothesis  # what the tests import is imported before the fork, once for all
import pandas  # noqa: F401
import pytest
import scipy.stats  # noqa: F401
import torch  # noqa: F401

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "lib" / "easel" / "compare"
TESTS = ROOT / "tests" / "compare"
BESIDE = {"distances": "tests/test_similarity.py"}  # of a module, tests that stand in another room
ARGUED = Path(__file__).with_suffix(".toml")
MODULES = ("claims", "intervals", "matching", "cuts", "scores", "correlation", "consistency", "distances")
LIMIT = 60  # seconds of processor time a mutant, however busy the machine is

COMPARISONS = {ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.And: ast.Or, ast.Or: ast.And}
NAMES = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "all": "any", "any": "all"}
CONSTANTS = {0.5: 0.6, 0.95: 0.9, 0.05: 0.1, 0.1: 0.2, 1: 2, 2: 3}


class Mutant(NamedTuple):
    """One change of one module."""

    name: str  # module, function, statement and change, and which of its kind there: stays when lines move
    module: str
    function: str  # the outermost one that it lies in; "" for what runs at import
    at: int  # the node, as `ast.walk` counts
    line: int
    field: str  # of the node, and what it becomes
    new: object


def mutants(module: str) -> list[Mutant]:
    """Every mutant of a module."""
    text = (FOLDER / f"{module}.py").read_text(encoding="utf-8")
    tree, lines, seen, found = ast.parse(text), text.splitlines(), {}, []
    inside = {line: name for name, body in _functions(tree) for node in body for line in _lines(node)}
    for at, node in enumerate(ast.walk(tree)):
        for field, says, new in _changes(node):
            function = inside.get(node.lineno, "")
            name = f"{module}.{function}: {lines[node.lineno - 1].strip()}  [{says}]"
            seen[name] = seen.get(name, 0) + 1
            name += f" {seen[name]}" if seen[name] > 1 else ""
            found.append(Mutant(name, module, function, at, node.lineno, field, new))
    return found


def _functions(tree: ast.Module) -> Iterator[tuple[str, list[ast.stmt]]]:
    """Name and body of each function and method; default values and decorators run at import and are not in it."""
    for node in tree.body:
        for one in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(one, ast.FunctionDef):
                yield one.name, one.body


def _lines(node: ast.stmt) -> range:
    return range(node.lineno, node.end_lineno + 1)


def _changes(node: ast.AST) -> Iterator[tuple[str, str, object]]:
    """(field of the node, what is said of the change, the new value)."""
    if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
        new = COMPARISONS[type(node.ops[0])]
        yield "ops", f"{type(node.ops[0]).__name__} -> {new.__name__}", [new(), *node.ops[1:]]
    elif isinstance(node, ast.BinOp | ast.BoolOp) and type(node.op) in OPERATORS:
        new = OPERATORS[type(node.op)]
        yield "op", f"{type(node.op).__name__} -> {new.__name__}", new()
    elif isinstance(node, ast.Name) and node.id in NAMES:
        yield "id", f"{node.id} -> {NAMES[node.id]}", NAMES[node.id]
    elif isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield "attr", f"{node.attr} -> {NAMES[node.attr]}", NAMES[node.attr]
    elif isinstance(node, ast.Attribute) and node.attr in ("low", "high"):
        yield "attr", f"{node.attr} -> estimate", "estimate"
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.value in CONSTANTS:
        yield "value", f"{node.value} -> {CONSTANTS[node.value]}", CONSTANTS[node.value]


def mutated(mutant: Mutant) -> ast.Module:
    """The module with the one change."""
    tree = ast.parse((FOLDER / f"{mutant.module}.py").read_text(encoding="utf-8"))
    setattr(list(ast.walk(tree))[mutant.at], mutant.field, deepcopy(mutant.new))
    return ast.fix_missing_locations(tree)


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the mutant where the module is imported."""

    def __init__(self, name: str, tree: ast.Module):
        self.name, self.tree = name, tree

    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self) if name == self.name else None

    def exec_module(self, module) -> None:
        exec(compile(self.tree, module.__name__, "exec"), module.__dict__)


class Seen:
    """What pytest did: seconds of each test, the first that failed, and which functions of `compare` each called."""

    def __init__(self, *, calls: bool = False):
        self.seconds, self.failed, self.called, self._calls, self._now = {}, "", {}, calls, set()

    def pytest_runtest_logreport(self, report) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0) + report.duration
        if report.failed:
            self.failed = self.failed or report.nodeid

    def pytest_collectreport(self, report) -> None:
        if report.failed:
            self.failed = self.failed or report.nodeid

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item, nextitem):
        self._now = set()
        if self._calls:
            sys.settrace(self._note)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            self.called[item.nodeid] = sorted(self._now)

    def _note(self, frame, event, argument) -> None:
        path = frame.f_code.co_filename
        if path.startswith(str(FOLDER)):
            # of a function within a function, or a comprehension, the outermost
            name = frame.f_code.co_qualname.split(".<locals>")[0].split(".")[-1]
            self._now.add((Path(path).stem, name))


def forked(
    tests: Iterable[str], finder: Finder | None, limit: float, *, calls: bool = False
) -> tuple[Seen | None, bool]:
    """What pytest did with these tests in a process of their own, with the mutant in it; and whether time ran out."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(read)
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_PROF, limit)
            if finder is not None:
                sys.meta_path.insert(0, finder)
            os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
            plain = ["-x", "-q", "-c", os.devnull, "--rootdir", str(ROOT), "-p", "no:cacheprovider", "-m", "not slow"]
            plain += ["-W", "error", "-W", "ignore::pytest.PytestUnknownMarkWarning"]  # as in pyproject.toml
            seen = Seen(calls=calls)
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), 1)
                os.dup2(nowhere.fileno(), 2)
                ended = pytest.main([*plain, *tests], plugins=[seen])
            if ended and not seen.failed:
                seen.failed = f"pytest ended with {int(ended)}"
            with open(write, "w") as out:
                json.dump({"seconds": seen.seconds, "failed": seen.failed, "called": seen.called}, out)
        finally:
            os._exit(0)
    os.close(write)
    with open(read) as into:
        text = into.read()
    status = os.waitpid(child, 0)[1]
    seen = Seen()
    if text:
        seen.__dict__.update(json.loads(text))
    return seen if text else None, os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF


class Log:
    """What became of each mutant: one line each in a file that is appended to."""

    def __init__(self, path: Path):
        self.path, self.lines = path, {}
        self.tests = _digest([*sorted(TESTS.glob("*.py")), *(ROOT / path for path in BESIDE.values())])
        self.modules = {module: _digest([FOLDER / f"{module}.py"]) for module in MODULES}
        for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
            with contextlib.suppress(ValueError):  # cut by a stop
                line = json.loads(text)
                self.lines[line["name"]] = line

    def known(self, mutant: Mutant) -> dict | None:
        """What is known of a mutant, if it still holds."""
        line = self.lines.get(mutant.name)
        if line is None or line["module"] != self.modules[mutant.module]:
            return None
        return line if line["what"] != "survives" or line["tests"] == self.tests else None

    def note(self, mutant: Mutant, what: str, by: str) -> None:
        self._write({"name": mutant.name, "what": what, "by": by, "module": self.modules[mutant.module]})

    def whole(self) -> "Seen | None":
        """How all tests went on the modules as they are, run now unless that is known; None where one failed."""
        line = self.lines.get("", {})
        if (line.get("tests"), line.get("modules")) != (self.tests, self.modules):
            files = [str(TESTS), *(str(ROOT / path) for path in BESIDE.values())]
            seen, late = forked(files, None, 20 * LIMIT, calls=True)
            if seen is None or late or seen.failed:
                return None
            self._write({"name": "", "modules": self.modules, "seconds": seen.seconds, "called": seen.called})
        found = Seen()
        found.seconds, found.called = self.lines[""]["seconds"], self.lines[""]["called"]
        return found

    def _write(self, line: dict) -> None:
        line["tests"] = self.tests
        self.lines[line["name"]] = line
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def killers(self, mutant: Mutant) -> list[str]:
        """Tests that killed this mutant before, or others of its function, the latest first."""
        own = [self.lines[mutant.name]["by"]] if mutant.name in self.lines else []
        start = f"{mutant.module}.{mutant.function}:"
        return own + [line["by"] for name, line in reversed(self.lines.items()) if name.startswith(start)]


def _digest(paths: Iterable[Path]) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16]


def candidates(mutant: Mutant, whole: Seen, log: Log) -> list[str]:
    """The tests that call the mutant's function, the likeliest to kill it first, else the quickest first.

    What runs at import may matter to every test that calls anything of the module.
    """
    called = {test: {tuple(one) for one in ones} for test, ones in whole.called.items()}
    functions = {one[1] for ones in called.values() for one in ones if one[0] == mutant.module}
    wanted = {mutant.function} if mutant.function in functions else functions
    found = [t for t, ones in called.items() if any((mutant.module, function) in ones for function in wanted)]
    found = [t for t in found if t.startswith(("tests/compare/", BESIDE.get(mutant.module, "tests/compare/")))]
    found.sort(key=lambda test: whole.seconds.get(test, 0))
    likely = [test for test in dict.fromkeys(log.killers(mutant)) if test in found]
    return likely[:3] + [test for test in found if test not in likely[:3]]


def argued() -> dict[str, str]:
    """name of a mutant that nobody can tell from the module -> why."""
    return tomllib.loads(ARGUED.read_text(encoding="utf-8"))


def table(log: Log, chosen: list[Mutant]) -> str:
    """module | mutants | killed | argued | survive; and the share killed, with and without those that are argued."""
    why, rows, total = argued(), [], [0, 0, 0, 0]
    for module in dict.fromkeys(mutant.module for mutant in chosen):
        known = [(m.name, log.known(m)) for m in chosen if m.module == module]
        killed = [name for name, line in known if line and line["what"] != "survives"]
        alive = [name for name, line in known if line and line["what"] == "survives"]
        numbers = [
            len(killed) + len(alive),
            len(killed),
            sum(n in why for n in alive),
            sum(n not in why for n in alive),
        ]
        rows.append([module, *numbers])
        total = [a + b for a, b in zip(total, numbers, strict=True)]
    lines = ["| module | mutants | killed | argued | survive |", "|---|---|---|---|---|"]
    lines += [f"| {' | '.join(map(str, row))} |" for row in [*rows, ["all", *total]]]
    tried, killed, equal, _ = total
    if tried > equal:
        lines.append(f"{killed / (tried - equal):.1%} killed, {killed / tried:.1%} if those argued count as survivors")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", help=f"{', '.join(MODULES)} (default: all)")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="each N-th mutant")
    parser.add_argument("--log", type=Path, default=Path(".mutants.jsonl"))
    options = parser.parse_args()
    sys.path.insert(0, str(ROOT / "lib"))
    # no shrinking of what failed, and the same examples every time; the tests' own profile is not loaded over it
    few = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
    hypothesis.settings.register_profile("mutants", deadline=None, derandomize=True, database=None, phases=few)
    hypothesis.settings.load_profile("mutants")
    type.__setattr__(hypothesis.settings, "load_profile", lambda name: None)

    log = Log(options.log)
    chosen = [m for module in options.modules or MODULES for m in mutants(module)[:: options.every]]
    todo = [mutant for mutant in chosen if log.known(mutant) is None]
    if todo:
        whole = log.whole()
        if whole is None:
            print("the tests fail as they are: nothing is learned from mutants")
            return 1
    for number, mutant in enumerate(todo, 1):
        start = time.monotonic()
        tests = candidates(mutant, whole, log)
        seen, late = (
            forked(tests, Finder(f"easel.compare.{mutant.module}", mutated(mutant)), LIMIT) if tests else (Seen(), 0)
        )
        what = "hangs" if late else "killed" if seen is None or seen.failed else "survives"
        log.note(mutant, what, seen.failed if seen else "")
        line = f"{number}/{len(todo)} {what:<8} {time.monotonic() - start:5.1f} s  {mutant.line}  {mutant.name}"
        print(line, flush=True)
    print(table(log, chosen))
    why = argued()
    for mutant in chosen:
        if (line := log.known(mutant)) and line["what"] == "survives":
            print(f"  {'argued' if mutant.name in why else 'SURVIVES'}  {mutant.line}  {mutant.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
