"""Do the tests of `compare` notice when its arithmetic is wrong? By hand: `make mutants`, or python tests/mutants.py.

A mutant is one module with one change: a comparison turned to its neighbour, + to -, min to max, and to or, or one of
the constants that carry meaning moved. The module's tests run on it until the first that fails (it is killed) or time
runs out (it hangs, and is counted by itself). One that passes all tests survives: either a test is missing, or nobody
can tell the difference. Each mutant lives in a process of its own, forked after the slow imports; no file is changed.

    python tests/mutants.py                    every mutant of every module
    python tests/mutants.py claims --every 3   each third one of one module
"""

import argparse
import ast
import contextlib
import importlib.abc
import importlib.util
import io
import os
import signal
import sys
import time
from copy import deepcopy
from pathlib import Path

import hypothesis  # noqa: F401 - what the tests import is imported before the fork, once for all
import pandas  # noqa: F401
import pytest
import scipy.stats  # noqa: F401

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "lib" / "easel" / "compare"
TESTS = {  # of each module, the quickest first
    "claims": ("claims",),
    "intervals": ("claims", "consistency", "matching"),
    "matching": ("matching",),
    "scores": ("scores",),
    "correlation": ("correlation", "matching"),
}
TOO_SLOW = (
    "accuracies_are_the_records",
    "chance_seldom",
    "cover_together",
    "pays_for_having_looked",
    "95_percent",
    "curve_is_rate",
)
LIMIT = 60  # seconds of processor time a mutant, however busy the machine is

COMPARISONS = {ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.And: ast.Or, ast.Or: ast.And}
NAMES = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "all": "any", "any": "all"}
CONSTANTS = {0.5: 0.6, 0.95: 0.9, 0.05: 0.1, 0.1: 0.2, 1: 2, 2: 3}


def changes(tree: ast.Module) -> list[tuple[int, str, str, object]]:
    """Every mutation of a module: (number of the node as `ast.walk` counts, field, what it says, the new value)."""
    found = []
    for at, node in enumerate(ast.walk(tree)):
        if isinstance(node, ast.Compare) and type(node.ops[0]) in COMPARISONS:
            new = COMPARISONS[type(node.ops[0])]
            found.append((at, "ops", f"{type(node.ops[0]).__name__} -> {new.__name__}", [new(), *node.ops[1:]]))
        elif isinstance(node, ast.BinOp | ast.BoolOp) and type(node.op) in OPERATORS:
            new = OPERATORS[type(node.op)]
            found.append((at, "op", f"{type(node.op).__name__} -> {new.__name__}", new()))
        elif isinstance(node, ast.Name) and node.id in NAMES:
            found.append((at, "id", f"{node.id} -> {NAMES[node.id]}", NAMES[node.id]))
        elif isinstance(node, ast.Attribute) and node.attr in NAMES:
            found.append((at, "attr", f"{node.attr} -> {NAMES[node.attr]}", NAMES[node.attr]))
        elif isinstance(node, ast.Attribute) and node.attr in ("low", "high"):
            found.append((at, "attr", f"{node.attr} -> estimate", "estimate"))
        elif isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.value in CONSTANTS:
            found.append((at, "value", f"{node.value} -> {CONSTANTS[node.value]}", CONSTANTS[node.value]))
    return found


def mutated(tree: ast.Module, change: tuple) -> tuple[ast.Module, int]:
    """The module with one change, and its line."""
    at, field, _, new = change
    copy = deepcopy(tree)
    node = list(ast.walk(copy))[at]
    setattr(node, field, new)
    return ast.fix_missing_locations(copy), node.lineno


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the mutant where the module is imported."""

    def __init__(self, name: str, tree: ast.Module):
        self.name, self.tree = name, tree

    def find_spec(self, name, path=None, target=None):
        return importlib.util.spec_from_loader(name, self) if name == self.name else None

    def exec_module(self, module) -> None:
        exec(compile(self.tree, module.__name__, "exec"), module.__dict__)


def outcome(module: str, tree: ast.Module, limit: float) -> str:
    """What the tests of a module say of this tree in its place, in a process of their own: survives, killed, hangs."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, limit)
        sys.meta_path.insert(0, Finder(f"easel.compare.{module}", tree))
        files = [str(ROOT / "tests" / "compare" / f"test_{name}.py") for name in TESTS[module]]
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        left_out = " and ".join(f"not {word}" for word in TOO_SLOW)
        plain = ["-x", "-q", "-c", os.devnull, "--noconftest", "-p", "no:cacheprovider", "-k", left_out]
        failed = True
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                failed = any(pytest.main([*plain, file]) for file in files)
        finally:
            os._exit(int(failed))
    status = os.waitpid(child, 0)[1]
    hangs = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF
    return "survives" if status == 0 else "hangs" if hangs else "killed"


def main() -> int:
    sys.path.insert(0, str(ROOT / "lib"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", default=list(TESTS), help=", ".join(TESTS))
    parser.add_argument("--every", type=int, default=1, metavar="N", help="each N-th mutant")
    options = parser.parse_args()
    found = {"killed": [], "survives": [], "hangs": []}
    for module in options.modules:
        tree = ast.parse((FOLDER / f"{module}.py").read_text(encoding="utf-8"))
        if outcome(module, tree, 10 * LIMIT) != "survives":
            print(f"{module}: its tests fail as it is; there is nothing to learn from mutants")
            return 1
        for change in changes(tree)[:: options.every]:
            start, (mutant, line) = time.monotonic(), mutated(tree, change)
            what = outcome(module, mutant, LIMIT)
            found[what].append(f"{module}.py:{line}  {change[2]}")
            print(f"{what:<8}  {found[what][-1]}  {time.monotonic() - start:.1f} s", flush=True)
    print(f"\n{len(found['killed'])} of {sum(map(len, found.values()))} killed")
    for what in ("hangs", "survives"):
        print("".join(f"  {what}  {text}\n" for text in found[what]), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
