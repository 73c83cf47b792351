"""Processes that start warm: forked from one that has already imported what they need.

PyTorch, seaborn and Jupyter take a core some 14 s to import, a fork a tenth of one. The process that imports
(multiprocessing's fork server) does nothing else, so that no thread and no lock of a program at work is forked; all
that it started can start more through it. Where forks are unsafe (macOS) or unknown (Windows), each process imports
anew.
"""

import multiprocessing as mp
import os
import signal
import sys
import threading
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess

from easel.errors import UserError

FORKS = sys.platform == "linux"


def context(preload: Iterable[str] = ()) -> BaseContext:
    """Of multiprocessing. preload: modules to import before the first fork; once that has been, no more are."""
    found = mp.get_context("forkserver" if FORKS else "spawn")
    if FORKS:
        found.set_forkserver_preload([*preload])
    return found


def start(
    target: Callable,
    *args,
    preload: Iterable[str] = (),
    daemon: bool = False,
    environ: dict[str, str] | None = None,
    stdout: int = 1,
    stderr: int = 2,
) -> BaseProcess:
    """A process that runs target(*args), in this one's folder and, unless told otherwise, environment.

    stdout, stderr: descriptors of this process that are the other's 1 and 2.
    """
    streams = [Connection(os.dup(one), readable=False) for one in (stdout, stderr)] if FORKS else []
    mine = os.environ if environ is None else environ
    process = context(preload).Process(target=_begin, args=(dict(mine), streams, target, args), daemon=daemon)
    with _without_main():
        process.start()
    return process


def settle(environ: dict[str, str]) -> None:
    """First of all in a process that was forked: it has the environment of another moment."""
    os.environ.clear()
    os.environ.update(environ)
    server = getattr(forkserver, "_forkserver", None)
    if getattr(server, "_forkserver_address", None) and sys.version_info < (3, 14):
        # Else each process would start a server of its own (https://github.com/python/cpython/issues/86354).
        server.ensure_running = resource_tracker.ensure_running
    import_own()


OWN = "EASEL_IMPORTS"  # modules, commas between, that register nets and the like: every process imports them
UNSHARED: set[str] = set()  # what was registered where no other process can import it from, as in a notebook's cell


def share(what: str, function: Callable) -> None:
    """Something that `function` belongs to is registered here: have the processes that are started later import it."""
    module = getattr(getattr(function, "func", function), "__module__", None) or "__main__"  # func: of a partial
    UNSHARED.discard(what)
    if getattr(sys.modules.get(module), "__spec__", None) is None or module == "__main__":
        UNSHARED.add(what)
    elif module.partition(".")[0] != "easel":
        os.environ[OWN] = ",".join(dict.fromkeys([*filter(None, os.environ.get(OWN, "").split(",")), module]))


def import_own() -> None:
    """Imports the modules that EASEL_IMPORTS names, from this process's folder too. UserError where one cannot be."""
    for name in filter(None, os.environ.get(OWN, "").replace(" ", "").split(",")):
        if os.getcwd() not in sys.path:
            sys.path.append(os.getcwd())
        try:
            import_module(name)
        except Exception as error:  # somebody's own code may raise anything
            why = f"{type(error).__name__}: {error}"
            raise UserError(f"{OWN}: {name} cannot be imported ({why}); name modules without .py") from error


def end_with_parent(end: Callable[[], object] = lambda: os._exit(1)) -> None:
    """Calls `end`, in a thread, when the process that started this one ends, however it ends."""
    sentinel = mp.parent_process().sentinel
    threading.Thread(target=lambda: (wait([sentinel]), end()), daemon=True).start()


def _begin(environ: dict[str, str], streams: list[Connection], target: Callable, args: tuple) -> None:
    for number, stream in enumerate(streams, 1):
        os.dup2(stream.fileno(), number)
        stream.close()
    settle(environ)
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # so in what nohup or a shell's & started
        signal.signal(signal.SIGINT, signal.default_int_handler)
    target(*args)


@contextmanager
def _without_main() -> Iterator[None]:
    """A new process runs the user's script once more, to find functions in it; ours need nothing of it."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
