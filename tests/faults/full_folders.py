"""File systems that are full, read-only or taken away, for real: each try mounts its own, in a namespace of its own.

Without the right to do so they are skipped by name; what can be injected is in `killed_writers`.
"""

import ctypes
import io
import os
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout, suppress
from multiprocessing import forkserver
from pathlib import Path

import make_notebooks as make
from damaged_files import tiny
from harness import Skipped, fault, said
from killed_writers import Written, child, heard

from easel import files
from easel.data import sets
from easel.errors import UserError
from easel.ledger.store import Store, write_pack
from easel.notebook import batch, page as receipts, site
from easel.train.loop import Run

NEW_USER, NEW_MOUNTS = 0x10000000, 0x00020000  # CLONE_… of sched.h
READ_ONLY, REMOUNT, BIND, RECURSIVE, PRIVATE = 1, 32, 4096, 1 << 14, 1 << 18  # MS_… of mount.h
DETACH = 2  # MNT_…


def _call(name: str, *given) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    given = [one.encode() if isinstance(one, str) else one for one in given]
    if getattr(libc, name)(*given) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), name)


def mount(kind: str, folder: Path, options: str) -> None:
    """An empty file system at a folder, for this process and those that it starts."""
    _call("mount", kind, str(folder), kind, ctypes.c_ulong(0), options)


def make_read_only(folder: Path) -> None:
    """The folder as it is, mounted once more, to be read only."""
    _call("mount", str(folder), str(folder), None, ctypes.c_ulong(BIND), None)
    _call("mount", None, str(folder), None, ctypes.c_ulong(REMOUNT | BIND | READ_ONLY), None)


def own_mounts() -> None:
    """What this process mounts from here on, no other sees, and it ends with it."""
    user, group = os.getuid(), os.getgid()
    _call("unshare", NEW_USER | NEW_MOUNTS)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _call("mount", "none", "/", None, ctypes.c_ulong(RECURSIVE | PRIVATE), None)


def apart(work: Callable[[], str]) -> str:
    """What the work answers in a forked process with mounts of its own."""

    def worked(pipe: int) -> None:
        try:
            own_mounts()
            answer = work()
        except BaseException as error:
            answer = f"traceback: {type(error).__name__}: {error}"
        os.write(pipe, answer.encode(errors="replace")[:4000] or b"\0")

    with child(worked) as (pid, pipe):
        answer = heard(pipe).decode(errors="replace")
        os.waitpid(pid, 0)
    return answer.strip("\0") if answer else "the process ended without a word"


class Mounted(Written):
    """Records, and a folder to mount on."""

    def __init__(self, folder: Path):
        (folder / "here").mkdir()

        def look() -> str:
            mount("tmpfs", folder / "here", "size=64k")
            (folder / "here/a").write_text("a")
            make_read_only(folder / "here")
            return ""

        if why := apart(look):
            raise Skipped(f"mounting is not permitted: {why}")
        super().__init__(folder)
        self.here = folder / "here"
        self.run = Run(tiny(epochs=3), "cpu")
        self.run.epoch()
        make.receipt(folder, "00_one")
        self.receipt = receipts.read(receipts.path_of(folder, "00_one"))


def _one_line(error: UserError, *words: str) -> str:
    text = str(error)
    return "" if "\n" not in text and any(word in text for word in words) else f"it says: {text}"


@fault("a full file system (tmpfs)", 300, 12, Mounted)
def full(shared: Mounted, rng) -> str:
    def work() -> str:
        here, record = shared.here, shared.records[0]
        mount("tmpfs", here, f"size={rng.choice([48, 64, 96, 128])}k")
        store, fill = Store(here / "trials"), here / "fill"
        kept, refused = set(), 0
        os.environ["EASEL_RESULTS"] = str(here)
        writes = [
            *(lambda r=record: kept.add(store.put(r) or r.key) for record in shared.records),
            lambda: write_pack([record], here / "a.zip"),
            lambda: shared.run.save(store.checkpoint("0" * 64)),
            lambda: receipts.write(files.make_folder(here / "receipts") / "00_one.json", shared.receipt),
            lambda: receipts.note_failure(here, "00_one", "why"),
            lambda: site.write_site(here),
            lambda: (sets._facts_of.cache_clear(), sets.facts_of("patterns", "train", 100, 0)),
        ]
        for _ in range(30):
            with suppress(OSError), open(fill, "ab") as file:
                file.write(b"x" * rng.randrange(1, 8192))
            if not rng.randrange(4):  # somebody makes room
                os.truncate(fill, fill.stat().st_size // 2)
            try:
                rng.choice(writes)()
            except UserError as error:
                refused += 1
                if wrong := _one_line(error, "the disk is full"):
                    return wrong
        with said() as words:
            found = {one.key: one.to_bytes() for one in store.records()}
        if words or any(found[key] != shared.bytes[key] for key in found):
            return f"a damaged record: {words}"
        if not kept <= {*found}:
            return "an acknowledged record was lost"
        if left := [path.name for path in here.rglob(".*.part")]:
            return f"{left[0]} was left"
        for path in [fill, *here.glob("*.zip"), *store.folder.glob("*")]:
            path.unlink(missing_ok=True)
        store.put(record)
        return "" if store.read(record.key).to_bytes() == shared.bytes[record.key] else "it does not go on"

    return apart(work)


@fault("a file system that is read-only, or becomes so", 200, 8, Mounted)
def read_only(shared: Mounted, rng) -> str:
    def work() -> str:
        here = shared.here
        mount("tmpfs", here, "size=4m")
        store = Store(here / "trials")
        there = rng.sample(shared.records, rng.randrange(1, 4))
        for record in there:
            store.put(record)
        hurt = there[0] if not rng.randrange(3) else None
        if hurt:
            store.path(hurt.key).write_bytes(b"hurt" + shared.bytes[hurt.key])
        receipts.write(files.make_folder(here / "smoke/receipts") / "00_one.json", shared.receipt)
        os.environ["EASEL_RESULTS"] = str(here)
        make_read_only(here)
        before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
        with said() as words:
            for record in there:
                found = store.read(record.key)
                if (found is None) != (record is hurt) or (found and found.to_bytes() != shared.bytes[record.key]):
                    return "a record cannot be read, or is wrong"
        if bool(hurt) != any("damaged" in word for word in words):
            return f"named: {words}"
        for write in (
            lambda: store.put(rng.choice(shared.records)),
            lambda: write_pack(there, here / "a.zip"),
            lambda: receipts.note_failure(here / "smoke", "00_one", "why"),
            lambda: site.write_site(here / "smoke"),
            lambda: shared.run.save(store.checkpoint("0" * 64)),
        ):
            try:
                write()
            except UserError as error:
                if wrong := _one_line(error, "read-only"):
                    return wrong
            else:
                return "written, it says"
        sets._facts_of.cache_clear()
        sets.facts_of("patterns", "train", 100, 0)  # kept nowhere then
        after = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
        return "" if after == before else "something was changed"

    return apart(work)


@fault("a file system that is taken away", 200, 8, Mounted)
def taken_away(shared: Mounted, rng) -> str:
    def work() -> str:
        mount("tmpfs", shared.here, "size=4m")
        store, at = Store(shared.here / "trials"), rng.randrange(6)
        for turn in range(8):
            if turn == at:
                _call("umount2", str(shared.here), DETACH)
            record = rng.choice(shared.records)
            try:
                store.put(record)
            except UserError as error:
                if wrong := _one_line(error, "cannot write"):
                    return wrong
                continue
            found = store.read(record.key)
            if found is None or found.to_bytes() != shared.bytes[record.key]:
                return "a record that was just put is not there"
        if shared.here.joinpath("trials").exists():
            shutil.rmtree(shared.here / "trials")  # laid into the folder below, which is the disk's own
        return ""

    return apart(work)


# whole runs ----------------------------------------------------------------------------------------------------------


class Runs(Mounted):
    """A notebook that fills its page."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.notebooks = folder / "notebooks"
        many = "import pandas\npage.table(pandas.DataFrame({'a': range(size)}), 't', caption='Numbers.')"
        own, verdict = 'profile = "smoke"\nsize = 10', make.VERDICT.format(claim="A", word="holds")
        make.write(self.notebooks, "00_one", many, verdict, make.END, parameters=own)
        make.profiles(self.notebooks)


def ran(size: int) -> tuple[int, str]:
    """The status of a run, and all that it said."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        try:
            status = batch.run("smoke", settings={"size": size})
        except UserError as error:
            status = print(error) or 2
    return status, said.getvalue()


@fault("easel run into a file system that fills up", 15, 1, Runs)
def full_run(shared: Runs, rng) -> str:
    """A run that succeeds, then some whose pages do not fit any more: why is said, and no old verdict is unmarked."""

    def work() -> str:
        here = shared.here
        mount("tmpfs", here, "size=2m")
        forkserver._forkserver.__init__()  # one that sees what is mounted here
        os.environ |= {"EASEL_RESULTS": str(here), "EASEL_NOTEBOOKS": str(shared.notebooks)}
        if ran(10)[0]:
            return f"it failed with room enough: {ran(10)[1][-300:]}"
        fill, results = here / "fill", here / "smoke"
        for _ in range(3):
            fill.unlink(missing_ok=True)
            space = os.statvfs(here)
            fill.write_bytes(b"x" * max(0, space.f_bavail * space.f_bsize - rng.randrange(400_000)))
            before = {path: path.read_bytes() for path in results.glob("*/*") if path.suffix == ".csv"}
            status, said = ran(rng.choice([100, 40_000, 200_000]))
            if status and ("Traceback" in said or "full" not in said or not len(said) < 1000):
                return f"it does not say that the disk is full: {said[-400:]}"
            moved = [path.name for path, content in before.items() if path.read_bytes() != content]
            marked = "this run failed" in (results / "index.html").read_text()
            if status and moved and not marked:
                return f"{moved[0]} is new, the index is old"
        return ""

    return apart(work)
