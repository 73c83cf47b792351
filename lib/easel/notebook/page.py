"""What a notebook leaves behind: figures, tables, verdicts and a receipt. It never computes a result.

    page = report.Page("01_matching", profile=profile)
    page.notice(dataset)                                   # first thing seen where the data are not the real ones
    page.figure(ax, "curves", caption="Table 1 over k; 20 trials a net, band: 95% jackknife; none diverged.")
    page.table(frame, "table1", caption="Matching rates beside the printed ones.")
    page.verdict(claim="…", paper=.71, here=.68, low=.64, high=.72, n=45, verdict="holds", why="…")
    page.verdicts()
    page.close(ledger)                                     # last cell

Outside a kernel nothing is displayed, everything is written. A figure becomes the bytes of a small file: a PNG with a
palette, or a JPEG where it shows photographs.

A receipt says what one notebook left in results/<profile>/, with the SHA-256 digests by which a reader can check it.
`Page.close` writes it, `kernel` adds the executed page, which is there only after the last cell, and all that shows or
counts results reads it here. A digest stands for every figure, table and page, and one for the receipt itself: a
flipped bit, a figure that was saved later and a folder that is half new are seen and named, never shown as if nothing
had happened. A run that failed leaves a note beside the receipt, which then is of an older run.
"""

import hashlib
import html
import io
import json
import math
import os
import re
import sys
import textwrap
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from easel import files
from easel.errors import name_once
from easel.ledger import provenance

VERDICT_WORDS = {  # compare.claims.VERDICTS, which takes pandas to import
    "holds": "✓ holds",
    "fails": "✗ fails",
    "no difference": "= no difference",
    "open": "? open",
    "as printed": "✓ as printed",
    "not as printed": "✗ not as printed",
}
FOLDERS = ("figures", "tables", "receipts")


class Page:
    """What one notebook leaves in results/<profile>/: create it in the first cell, close it in the last.

    Files carry the notebook's name: figures/<name>-<figure>.png (or .jpg), tables/<name>-<table>.csv,
    receipts/<name>.json.
    `easel run` sets EASEL_STAGE: a folder that becomes results/<profile>/ only if the whole notebook succeeds; and
    EASEL_VARIANT: a word that is added to the name (01_matching-photographs) where the notebook runs as a variant.
    """

    def __init__(self, name: str, profile: str):
        self.variant = os.environ.get("EASEL_VARIANT", "")
        self.name = _plain("notebook name", f"{name}-{self.variant}" if self.variant else name)
        self.profile = _plain("profile", profile)
        stage = os.environ.get("EASEL_STAGE")
        self.folder = Path(stage) if stage else files.results_dir() / profile
        for folder in FOLDERS:
            files.make_folder(self.folder / folder)
        self._started = time.monotonic()
        self._notice = ""
        self._figures, self._tables, self._verdicts = [], [], []
        self._closed = False

    def notice(self, dataset) -> None:
        """Shows the data set's notice, if it has one, and writes it above every figure from here on.

        dataset: a Dataset, or the notice itself as text.
        """
        self._notice = (dataset if isinstance(dataset, str) else dataset.notice).strip()
        if self._notice:
            _show({"text/markdown": f"> **Note.** {self._notice}", "text/plain": f"Note. {self._notice}"})

    def say(self, text: str) -> None:
        """Shows a sentence or two, as Markdown."""
        _show({"text/markdown": text, "text/plain": text})

    def figure(self, figure, name: str, caption: str) -> Path:
        """Saves a figure, shows it once with its caption below, closes it, and returns the file's path.

        figure: a matplotlib Figure or Axes, an array of Axes, or a seaborn grid; photographs become JPEG, others PNG.
        caption: the paper's figure, n, the interval, what was left out (diverged trials). Raises ValueError if empty.
        """
        caption = _said("caption", caption)
        figure = figure_of(figure)
        if self._notice:
            width = max(30, round(figure.get_figwidth() * 17))  # letters a line at 7 points
            lines = "\n".join(textwrap.wrap(self._notice, width))
            figure.text(0, 1.01, lines, fontsize=7, style="italic", va="bottom", transform=figure.transFigure)
        data, kind, (width, height) = figure_bytes(figure)
        path = self._path("figures", name, {"png": "png", "jpeg": "jpg"}[kind], self._figures, caption)
        files.write_atomically(path, data)
        metadata = {f"image/{kind}": {"width": width, "height": height, "alt": caption}}
        _show({f"image/{kind}": data, "text/plain": f"[figure {path.name}]"}, metadata)
        self.say(caption)
        return path

    def table(self, frame, name: str, caption: str, *, digits: int = 3, rows: int = 20) -> Path:
        """Saves a DataFrame as CSV in full precision, shows its first rows with its caption, and returns the path.

        digits: decimals shown; rows: shown at most. The index is written unless it merely counts the rows.
        """
        import pandas as pd

        caption = _said("caption", caption)
        path = self._path("tables", name, "csv", self._tables, caption)
        index = not (isinstance(frame.index, pd.RangeIndex) and frame.index.name is None)
        files.write_atomically(path, frame.to_csv(index=index).encode())
        head = frame.head(rows)
        style = {"index": index, "na_rep": "–", "float_format": f"{{:.{digits}f}}".format}
        more = f" First {rows} of {len(frame):,} rows, the others in `{path.name}`." if len(frame) > rows else ""
        _show({"text/html": head.to_html(border=0, **style), "text/plain": head.to_string(**style)})
        self.say(caption + more)
        return path

    def verdict(
        self, *, claim, paper=None, here=None, low=None, high=None, n=None, verdict, why, reason="", needed=None
    ) -> None:
        """Notes one verdict: what the paper claims, what is seen here with its interval, and what follows.

        claim, why: one sentence each. paper, here: a number or words. low, high: ends of the interval, both or none.
        n: what the interval was drawn from. verdict: one of VERDICT_WORDS (`compare.claims` says when which); a number
        that is missing or not finite can only be open. reason: of an open one: trials, images or design; needed: trials
        that would decide. Raises ValueError otherwise.
        """
        if verdict not in VERDICT_WORDS:
            raise ValueError(f"verdict is {verdict!r}; it is one of {', '.join(VERDICT_WORDS)}")
        if self._closed and os.environ.get("EASEL_STAGE"):  # by hand, a cell may be run once more, and then the last
            raise ValueError(f"{claim!r} comes after page.close(...), which must be the last cell: no receipt has it")
        row = {"claim": _said("claim", claim), "paper": _value(paper), "here": _value(here)}
        row |= {"low": _number("low", low), "high": _number("high", high), "n": _number("n", n)}
        row |= {"verdict": verdict, "why": _said("why", why)}
        if (row["low"] is None) != (row["high"] is None):
            raise ValueError(f"the interval of {claim!r} has one end: give low and high, or neither")
        if row["low"] is not None and row["low"] > row["high"]:
            raise ValueError(f"the interval of {claim!r} is upside down: low {low} is above high {high}")
        if row["here"] is None and verdict != "open":
            raise ValueError(f"{claim!r} {verdict}, but `here` is missing: without a value it is open")
        row |= {"reason": (reason or "trials") if verdict == "open" else "", "needed": _number("needed", needed)}
        self._verdicts.append(row)

    def verdicts(self) -> None:
        """Shows the verdicts so far as a table: claim | paper | here (interval, n) | verdict | why."""
        head = ("claim", "paper", "here", "verdict", "why")
        lines = [verdict_cells(row) for row in self._verdicts]
        cells = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in line) + "</tr>" for line in lines)
        heads = "".join(f"<th>{h}</th>" for h in head)
        plain = "\n".join(" | ".join(line) for line in [head, *lines])
        table = f'<table class="dataframe"><thead><tr>{heads}</tr></thead><tbody>{cells}</tbody></table>'
        _show({"text/html": table, "text/plain": plain})

    def close(self, ledger=None) -> Path:
        """Writes the receipt, which alone makes the run a success, and returns its path.

        ledger: the Ledger that the notebook used, a list of them, or None; its trial keys, its data sets and how many
        trials were trained now, read from the store and left out as diverged go into the receipt.
        """
        ledgers = [] if ledger is None else list(ledger) if isinstance(ledger, list | tuple) else [ledger]
        keys = dict.fromkeys(str(key) for one in ledgers for key in one.keys)
        receipt = {
            "notebook": self.name,
            "variant": self.variant,
            "profile": self.profile,
            "data": list(dict.fromkeys(_data_name(record.data) for one in ledgers for record in one.records)),
            "run": os.environ.get("EASEL_RUN", ""),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self._started, 1),
            "machine": provenance.words(),
            "notice": self._notice,
            "trained": sum(int(one.trained) for one in ledgers),
            "reused": sum(int(one.reused) for one in ledgers),
            "diverged": sum(len(one.diverged) for one in ledgers),
            "figures": self._figures,
            "tables": self._tables,
            "verdicts": self._verdicts,
            "keys": list(keys),
            "parameters": {},  # which the notebook's cells do not know as such: `add_files`
        }
        saved = [f"{kind}/{one['file']}" for kind in ("figures", "tables") for one in receipt[kind]]
        receipt["files"] = digests(self.folder, saved)
        path = write(path_of(self.folder, self.name), receipt)
        self._closed = True
        text = f"Saved {_count(self._figures, 'figure')}, {_count(self._tables, 'table')} and "
        text += f"{_count(self._verdicts, 'verdict')} in {receipt['seconds']:.0f} s; "
        text += f"trained {receipt['trained']}, reused {receipt['reused']} trials."
        self.say(text)
        return path

    def _path(self, folder: str, name: str, suffix: str, saved: list, caption: str) -> Path:
        """Path of a figure or table, noted for the receipt; a cell run again by hand replaces its own."""
        file = f"{self.name}-{_plain(f'name in {folder}', name)}.{suffix}"
        saved[:] = [one for one in saved if one["file"] != file]
        saved.append({"file": file, "caption": caption})
        return self.folder / folder / file


def verdict_cells(row: dict) -> tuple[str, str, str, str, str]:
    """A verdict as words: claim, paper, here with interval and n, verdict, why."""
    here = _words(row["here"])
    if row.get("low") is not None:
        here += f" [{_words(row['low'])}, {_words(row['high'])}]"
    if row.get("n") is not None:
        here += f", n = {row['n']:,}"
    why = row["why"]
    if row.get("reason"):
        more = f", about {row['needed']:,} would decide" if row.get("needed") else ""
        why = f"open for {row['reason']}{more}; {why}"
    return row["claim"], _words(row["paper"]), here, VERDICT_WORDS[row["verdict"]], why


def _data_name(asked: dict) -> str:
    """The data set of a `Record.data`: its name (of a path the last part), and its split if that is not "train"."""
    name = asked["data"].rstrip("/").rpartition("/")[2] or asked["data"]
    return name if asked.get("split", "train") == "train" else f"{name}:{asked['split']}"


def _show(data: dict, metadata: dict | None = None) -> None:
    """Displays a MIME bundle in a kernel; elsewhere does nothing."""
    if "IPython" in sys.modules:
        from IPython import get_ipython
        from IPython.display import display

        if hasattr(get_ipython(), "kernel"):
            display(data, metadata=metadata or {}, raw=True)


def _plain(what: str, name: str) -> str:
    if not (isinstance(name, str) and re.fullmatch(r"\w[\w.-]*", name, re.ASCII)):
        raise ValueError(f"{what} is {name!r}; it becomes part of a file name: letters, digits, _ - and .")
    return name


def _said(what: str, text: str) -> str:
    if not (isinstance(text, str) and text.strip()):
        raise ValueError(f"{what} is {text!r}; say it in words")
    return " ".join(text.split())


def _number(what: str, value):
    """A finite int or float as Python's own, or None where it is missing or not finite."""
    if value is None:
        return None
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{what} is {value!r}; it is a number or None")
    return value if math.isfinite(value) else None


def _value(value):
    return " ".join(value.split()) if isinstance(value, str) else _number("value", value)


def _words(value) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) >= 1000 or 0 < abs(value) < 0.01 else f"{value:.2f}"
    return value if isinstance(value, str) else f"{value:,}"


def _count(things, word: str) -> str:
    return f"{len(things)} {word}{'' if len(things) == 1 else 's'}"


DPI = 150  # of saved figures; shown at two thirds of that, so that text has the notebook's size
SEEN, SPARED = 6, 0.012  # levels of 256, share of pixels: where more is off, 256 colours are not enough
QUALITY = 85  # of a JPEG


def figure_bytes(figure) -> tuple[bytes, str, tuple[int, int]]:
    """Draws and closes a Figure: its bytes, "png" or "jpeg", and (width, height) to show it at, in pixels.

    A drawing gets a palette of 256 colours, a third of the bytes, where that shows in hardly any pixel. Sheets of
    photographs keep their colours, in a JPEG where that is less than two thirds of the PNG.
    """
    import matplotlib.pyplot as plt
    from PIL import Image

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, bbox_inches="tight", pil_kwargs={"compress_level": 0})
    plt.close(figure)
    drawn = Image.open(buffer)
    picture = drawn.convert("RGB")
    size = tuple(side * 2 // 3 for side in picture.size)
    small = with_palette(picture)
    if small is not None:
        return small, "png", size
    png, jpeg = _saved(drawn, "PNG"), _saved(picture, "JPEG", quality=QUALITY, optimize=True)
    return (jpeg, "jpeg", size) if 1.5 * len(jpeg) < len(png) else (png, "png", size)


def _saved(picture, form: str, **how) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format=form, dpi=(DPI, DPI), **how)
    return buffer.getvalue()


def with_palette(picture) -> bytes | None:
    """PNG of a PIL picture in 256 colours of its own; None where more than SPARED of its pixels would be off."""
    from PIL import Image, ImageChops

    small = picture.quantize(256, dither=Image.Dither.NONE)
    off = ImageChops.difference(picture, small.convert("RGB")).convert("L").histogram()
    if sum(off[SEEN:]) > SPARED * sum(off):
        return None
    return _saved(small, "PNG", compress_level=8)  # 9, PIL's `optimize`: 3% fewer bytes in 2.6 times the time


def figure_of(thing):
    """The matplotlib Figure that an Axes, an array or list of Axes, a SubFigure or a seaborn grid belongs to."""
    from matplotlib.figure import Figure

    given = thing
    while not isinstance(thing, Figure):
        if hasattr(thing, "flat"):
            thing = next(iter(thing.flat))
        elif isinstance(thing, list | tuple) and thing:
            thing = thing[0]
        elif getattr(thing, "figure", None) is not None and thing.figure is not thing:
            thing = thing.figure
        else:
            fix = "give a matplotlib Figure, its Axes or a seaborn grid"
            raise ValueError(f"a {type(given).__name__} is no figure; {fix}")
    return thing


# receipts -------------------------------------------------------------------------------------------------------------

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
            if digests(folder, [name])[name] != digest:
                faults[name] = "changed"
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
    if not isinstance(row, dict) or row.get("verdict") not in VERDICT_WORDS or not {"paper", "here"} <= {*row}:
        return False
    numbers = (row.get(name) for name in ("low", "high", "n", "needed"))
    return all(map(_is_text, (row.get("claim"), row.get("why")))) and all(
        isinstance(n, int | float | None) for n in numbers
    )
