"""A receipt: what one notebook left in results/<profile>/, and the SHA-256 digests by which a reader can check it.

`Page.close` writes it, `kernel` adds the executed page, which is there only after the last cell, and all that shows or
counts results reads it here. A digest stands for every figure, table and page, and one for the receipt itself: a
flipped bit, a figure that was saved later and a folder that is half new are seen and named, never shown as if nothing
had happened. A run that failed leaves a note beside the receipt, which then is of an older run.
"""

import hashlib
import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from easel import files
from easel.compare import claims
from easel.errors import name_once

_TEXTS = ("notebook", "run", "finished", "machine", "notice", "variant")
_NUMBERS = ("seconds", "trained", "reused", "diverged")
_LISTS = ("figures", "tables", "verdicts", "keys", "data")
_KINDS = dict.fromkeys(_TEXTS, str) | dict.fromkeys(_NUMBERS, int | float) | dict.fromkeys(_LISTS, list)
_KINDS |= {"files": dict, "parameters": dict}
_LATER = {"variant": "", "data": [], "parameters": {}}  # what the first receipts did not have, and what it was


class Damaged(ValueError):
    """A receipt that cannot be believed; its words say why."""


def path_of(folder: Path, stem: str) -> Path:
    """Where the receipt of a notebook or variant lies in results/<profile>/."""
    return Path(folder) / "receipts" / f"{stem}.json"


def write(path: Path, content: dict) -> Path:
    """Writes a receipt with the digest of its own content, whole or not at all."""
    text = json.dumps(files.sealed(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return files.write_atomically(path, text.encode())


def read(path: Path) -> dict:
    """A receipt that is what it was when it was written. Damaged: it is not, or it is none; FileNotFoundError."""
    try:
        content = files.unsealed(files.read_regular(path))
    except FileNotFoundError:
        raise
    except OSError as fault:
        raise Damaged(f"it cannot be read ({files.why(fault)})") from None
    except ValueError as fault:
        raise Damaged(str(fault)) from None
    # Receipts of earlier versions have no digests. They are read as they are: a digest that is computed now would prove
    # nothing about then. One that has digests of files had one of its own too.
    if "files" in content and "sha256" not in content:
        raise Damaged("its content does not match its SHA-256")
    content = _LATER | {"files": {}} | content
    for name, kind in _KINDS.items():
        if not isinstance(content.get(name), kind):
            raise Damaged(f"{name!r} is {content[name]!r}" if name in content else f"{name!r} is missing")
    for row in content["verdicts"]:
        if isinstance(row, dict) and row.get("verdict") == "inconclusive":  # the first receipts' word for it
            row |= {"verdict": "open", "reason": "trials"}
    whole = {"figures": _is_saved, "tables": _is_saved, "verdicts": _is_verdict, "keys": _is_text, "data": _is_text}
    for name, good in whole.items():
        if not all(map(good, content[name])):
            raise Damaged(f"{name!r} has an entry that is none")
    if content["notebook"] != Path(path).stem:
        raise Damaged(f"it is of {content['notebook']}")
    return content


def read_all(folder: Path) -> tuple[list[dict], dict[str, str]]:
    """The receipts in results/<profile>/, each notebook's followed by its variants', and why others are damaged.

    {stem: why}. Each of those is named in a warning too.
    """
    found, damaged = [], {}
    paths = [path for path in (Path(folder) / "receipts").glob("*.json") if not path.name.endswith(".failed.json")]
    for path in sorted(paths, key=lambda path: path.stem):
        try:
            found.append(read(path))
        except Damaged as fault:
            damaged[path.stem] = str(fault)
            name_once(f"receipt {path} is damaged ({fault}) and not used")
        except FileNotFoundError:  # removed meanwhile
            continue
    return found, damaged


def found_in(folder: Path) -> list[dict]:
    """The receipts in results/<profile>/ that are not damaged (`read_all`)."""
    return read_all(folder)[0]


def digests(folder: Path, names) -> dict[str, str]:
    """The SHA-256 of each of these files, by its path below folder."""
    return {str(name): hashlib.sha256(files.read_regular(Path(folder) / name)).hexdigest() for name in names}


def add_files(path: Path, names, parameters: dict[str, object] | None = None) -> None:
    """Adds digests of files beside a receipt's folder to it, and the notebook's parameters.

    Damaged, FileNotFoundError: as `read`.
    """
    content = read(path)
    content |= {"files": content["files"] | digests(Path(path).parents[1], names)}
    write(path, content | {"parameters": parameters or content["parameters"]})


def changed(receipt: dict, folder: Path) -> dict[str, str]:
    """Which of a receipt's files are no longer what they were: {path below folder: "missing" | "changed"}."""
    faults = {}
    for name, digest in receipt["files"].items():
        try:
            faults |= {} if digests(folder, [name])[name] == digest else {name: "changed"}
        except (OSError, ValueError):  # ValueError: no name that a file can have
            faults[name] = "missing"
    return faults


def note_failure(folder: Path, stem: str, error: str) -> None:
    """Notes beside the receipt that a notebook's last run failed, and why in one line."""
    beside = ""
    with suppress(FileNotFoundError, Damaged):
        beside = _which(read(path_of(folder, stem)))
    ended = datetime.now(UTC).isoformat(timespec="seconds")
    note = files.sealed({"notebook": stem, "ended": ended, "error": error, "beside": beside})
    path = files.make_folder(Path(folder) / "receipts") / f"{stem}.failed.json"
    files.write_atomically(path, (json.dumps(note, ensure_ascii=False) + "\n").encode())


def failures(folder: Path) -> dict[str, dict]:
    """The notebooks whose last run failed: {stem: {"ended": when, "error": why}}."""
    found = {}
    for path in (Path(folder) / "receipts").glob("*.failed.json"):
        note = {"ended": "", "error": "why is not known: its note cannot be read"}
        with suppress(OSError, ValueError):
            note |= {name: str(text) for name, text in files.unsealed(files.read_regular(path)).items()}
        found[path.name.removesuffix(".failed.json")] = note
    return found


def is_over(failure: dict, receipt: dict) -> bool:
    """Whether the notebook succeeded after this note of `failures`: another receipt lies there than beside it then.

    No clock is asked, which may have been set back. Notes of earlier versions do not say beside what they were written.
    """
    if "beside" in failure:
        return failure["beside"] != _which(receipt)
    return "" < failure["ended"] < receipt["finished"]


def _which(receipt: dict) -> str:
    return f"{receipt['run']} {receipt['finished']}"


def _is_text(one) -> bool:
    return isinstance(one, str)


def _is_saved(one) -> bool:
    """A file's last name is that of a file: it may be removed by it."""
    named = isinstance(one, dict) and _is_text(one.get("file")) and _is_text(one.get("caption"))
    return named and Path(one["file"]).name not in ("", "..") and "\0" not in one["file"]


def _is_verdict(row) -> bool:
    if not isinstance(row, dict) or row.get("verdict") not in claims.VERDICTS or not {"paper", "here"} <= {*row}:
        return False
    numbers = (row.get(name) for name in ("low", "high", "n", "needed"))
    return all(map(_is_text, (row.get("claim"), row.get("why")))) and all(
        isinstance(n, int | float | None) for n in numbers
    )
