"""What somebody may have put into a file or a name so that it is executed: nothing is, and it is refused or inert.

Each try plants a canary: a file that appears if the payload is run, by Python, a shell or a template; on pages, what a
browser would run is looked for.
"""

import ast
import hashlib
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import make_notebooks as make
import numpy as np
import pandas as pd
from bs4 import BeautifulSoup
from damaged_files import tiny
from harness import fault, said
from odd_inputs import Here, answered
from PIL import Image

from easel import audit
from easel.data import own, sets
from easel.data.published import PUBLISHED, read_cifar_pickle
from easel.errors import UserError
from easel.ledger.store import Ledger, Store, write_pack
from easel.notebook import explorer, page as receipts, plan, site
from easel.train.loop import train


class Canary:
    """A file that is there once a payload was run."""

    def __init__(self, folder: Path):
        self.folder, self.path = folder, folder / "canary"
        self.outside = folder / "outside"
        self.outside.mkdir()
        (self.outside / "kept").write_text("kept")

    def shell(self) -> str:
        return f"touch {self.path}"

    def python(self) -> str:
        return f"open({str(self.path)!r}, 'w').close()"

    def run(self) -> str:
        """ "" where none was, and nothing outside was changed."""
        if self.path.exists():
            self.path.unlink()
            return "a payload was executed"
        kept = {path.name: path.read_text() for path in self.outside.iterdir()}
        return "" if kept == {"kept": "kept"} else f"something was written outside: {kept}"


def refused(ask) -> str:
    """ "" where it is answered, or refused in one line."""
    try:
        ask()
    except UserError as error:
        return "" if "\n" not in str(error) else "more than one line"
    return ""


# pickles -------------------------------------------------------------------------------------------------------------


class _Reduced:
    def __init__(self, function, *arguments):
        self.how = (function, arguments)

    def __reduce__(self):
        return self.how


def _text(word: str) -> bytes:
    return b"X" + struct.pack("<I", len(word.encode())) + word.encode()


def _pickles(canary: Canary, rng) -> bytes:
    shell, code = canary.shell(), canary.python()
    names = [("os", "system"), ("posix", "system"), ("subprocess", "getoutput"), ("nt", "system")]
    module, name = rng.choice([*names, ("builtins", "eval")])
    argument = code if module == "builtins" else shell
    call = [
        f"c{module}\n{name}\n".encode() + b"(" + _text(argument) + b"tR.",  # GLOBAL, REDUCE
        b"\x80\x04" + _text(module) + _text(name) + b"\x93" + _text(argument) + b"\x85R.",  # STACK_GLOBAL
        b"(" + _text(argument) + f"i{module}\n{name}\n.".encode(),  # INST
        b"(" + f"c{module}\n{name}\n".encode() + _text(argument) + b"o.",  # OBJ
        f"c{module}\n{name}\n".encode() + _text(argument) + b"\x85\x81.",  # NEWOBJ
        b"\x80\x04" + f"c{module}\n{name}\n".encode() + _text(argument) + b"\x85}\x92.",  # NEWOBJ_EX
        b"cnumpy.core.multiarray\n_reconstruct\n(tR}"
        + _text("__setstate__")
        + f"c{module}\n{name}\n".encode()
        + b"sb.",
        b"}(" + _text("data") + f"c{module}\n{name}\n".encode() + b"(" + _text(argument) + b"tRu.",
        b"cnumpy\ndtype\n(" + f"c{module}\n{name}\n".encode() + b"tR.",
        b"cnumpy.core.multiarray\n_reconstruct.__globals__\n.",
        b"cnumpy\nndarray.__class__.__mro__\n.",
        b"\x82\x01.",  # EXT1
        b"P" + argument.encode() + b"\n.",  # PERSID
        b"\x8a\xff" + b"\xff" * 40,  # a number of many digits
        b"\x8b" + struct.pack("<i", 2**31 - 1) + b"1.",
        b"\x8d" + struct.pack("<Q", 2**62) + b"x.",  # a text of exabytes
        b"\x8e" + struct.pack("<Q", 2**40) + b"x.",
        b"\x96" + struct.pack("<Q", 2**40) + b"x.",
        b"r" + struct.pack("<I", 2**32 - 1) + b".",  # a place in the memory that nobody has
        b"(" * 100_000 + b".",
        b"]" * 50_000 + b"a" * 49_999 + b".",
        b"(lp0\n" + b"(g0\ng0\ng0\ng0\nlp0\n" * 60 + b".",  # lists of lists of lists
        b"\x80\xff.",
        b"F1e999\n.",
        b"cnumpy\ndtype\n(" + _text("O8") + b"tR.",
        pickle.dumps({"data": _Reduced(os.system, shell)}, protocol=rng.randrange(5)),
        pickle.dumps({"data": _Reduced(eval, code), "labels": [1]}, protocol=rng.randrange(5)),
    ]
    return rng.choice(call)


@fault("hostile pickles in the place of a CIFAR batch", 600, 60, Canary)
def hostile_pickle(canary: Canary, rng) -> str:
    blob = _pickles(canary, rng)
    if not rng.randrange(4):  # somewhere in another one
        at = rng.randrange(len(blob))
        blob = blob[:at] + bytes([rng.randrange(256)]) + blob[at + rng.randrange(2) :]
    return refused(lambda: read_cifar_pickle(blob)) or canary.run()


@fault("arrays with pickles in them", 150, 20, Canary)
def hostile_arrays(canary: Canary, rng) -> str:
    """As data, as a record in the store, as a checkpoint: whole files with a right digest."""
    buffer, evil = io.BytesIO(), np.array([_Reduced(os.system, canary.shell())], object)
    np.savez(buffer, **dict.fromkeys(["meta", "loss", "train_images", "train_labels", "classes"], evil))
    blob = buffer.getvalue()
    signed = zipfile.ZipFile(io.BytesIO(blob), "a")
    signed.comment = b"." * 71
    signed.close()
    body = blob[:-2] + struct.pack("<H", 71)
    signed = body + b"sha256:" + hashlib.sha256(body).hexdigest().encode()
    blob, place = rng.choice([blob, signed]), rng.choice(["data", "record", "checkpoint", "pack"])
    folder = canary.folder / f"{rng.randrange(10**9)}"
    folder.mkdir()
    trial = tiny()
    with said():
        if place == "data":
            (folder / "own.npz").write_bytes(blob)
            wrong = refused(lambda: sets.load(str(folder / "own.npz")))
        elif place == "record":
            (folder / f"{trial.key}.npz").write_bytes(blob)
            wrong = "" if Store(folder).read(trial.key) is None else "taken for a record"
        elif place == "pack":
            with zipfile.ZipFile(folder / "a.zip", "w") as archive:
                archive.writestr(f"{trial.key}.npz", blob)
                archive.writestr(f"{trial.key}.json", "{}")
            wrong = "" if Store(folder / "s", released=folder).read(trial.key) is None else "taken for a record"
        else:
            (folder / "it.checkpoint").write_bytes(blob)
            wrong = "" if train(trial, checkpoint=folder / "it.checkpoint").status == "complete" else "not trained"
    return wrong or canary.run()


# archives ------------------------------------------------------------------------------------------------------------

GOOD = b"the right bytes"


class Tarred(Canary):
    """A published set of two files."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        md5 = hashlib.md5(GOOD).hexdigest()
        self.set = replace(
            PUBLISHED["cifar100"], name="tarred", files={"train": (("a", md5),), "test": (("b", md5),)}, beside=()
        )


def _members(shared: Tarred, rng) -> list[tuple[tarfile.TarInfo, bytes]]:
    """What a tar may hold beside and instead of the two files that are asked for."""
    top, outside, members = shared.set.folder, shared.outside, []
    kinds = [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE]
    places = [
        "../outside/evil",
        f"{outside}/evil",
        f"{top}/../outside/evil",
        f"{top}/a",
        f"{top}/b",
        f"{top}",
        f"./{top}/a",
        f"{top}/../../outside/kept",
        "/etc/evil",
        f"{top}/a/../b",
        "a\x00b",
        ".",
        "..",
        f"{top}/{'x' * 300}",
    ]
    for _ in range(rng.randrange(1, 8)):
        info, content = tarfile.TarInfo(rng.choice(places)), b"evil"
        if rng.randrange(2):
            info.type, content = rng.choice(kinds), b""
            info.linkname = rng.choice([str(outside / "kept"), "../outside/kept", "../outside", "/etc/passwd", top])
        elif not rng.randrange(4):
            content = GOOD
        info.size, info.mode = len(content), rng.choice([0o777, 0o4777, 0])
        members.append((info, content))
    return members


@fault("hostile tars", 400, 40, Tarred)
def hostile_tar(shared: Tarred, rng) -> str:
    root = shared.folder / f"data{rng.randrange(10**9)}"
    root.mkdir()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=rng.choice([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])) as tar:
        for info, content in _members(shared, rng):
            tar.addfile(info, io.BytesIO(content))
    blob = buffer.getvalue()
    if not rng.randrange(8):  # a size that is none
        header = tarfile.TarInfo(f"{shared.set.folder}/a")
        header.size = rng.choice([10**12, 8**11 - 1, 2**60])
        blob = zlib.compress(header.tobuf(tarfile.GNU_FORMAT) + b"x" * 512, 9, 31)
    this = replace(shared.set, md5=hashlib.md5(blob).hexdigest(), bytes=len(blob))
    (root / this.archive).write_bytes(blob)
    if wrong := refused(lambda: this.lay(root)):
        return wrong
    if (root / "outside").exists() or (root.parent / "evil").exists():
        return "it wrote beside its folder"
    for path in (root / this.folder).rglob("*"):
        if path.name not in ("a", "b") or path.is_symlink() or not path.is_file() or path.read_bytes() != GOOD:
            return f"{path.name} was laid there"
    return shared.run()


class Packs(Canary):
    """Records, and a pack of them."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.records = [train(tiny(seed)) for seed in range(2)]
        write_pack(self.records, folder / "good.zip")


@fault("hostile packs", 300, 30, Packs)
def hostile_pack(shared: Packs, rng) -> str:
    folder = shared.folder / f"{rng.randrange(10**9)}"
    folder.mkdir()
    key, blob = shared.records[0].key, shared.records[0].to_bytes()
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for _ in range(rng.randrange(1, 5)):
            name = rng.choice(
                [f"../outside/{key}", f"{shared.outside}/{key}", "../../outside/kept", key, "..", "a\\b", "/x"]
            )
            content = rng.choice(
                [blob, b"evil", blob[:-1], b"\0" * rng.choice([10, 10**6]), pickle.dumps(shared.shell())]
            )
            with said():  # a name that stands there twice
                archive.writestr(name + rng.choice([".npz", ".json", ""]), content)
    if not rng.randrange(4):  # one that says that it is huge
        whole = bytearray((folder / "a.zip").read_bytes())
        at = whole.rfind(b"PK\x01\x02")
        whole[at + 24 : at + 28] = struct.pack("<I", 2**32 - 2)
        (folder / "a.zip").write_bytes(whole)
    before = {path.name for path in shared.folder.iterdir()}
    with said():
        store = Store(folder / "store")
        wrong = refused(lambda: store.take(folder / "a.zip"))
        found = Store(folder / "none", released=folder).fullest(key)
    if wrong or (found is not None and found.to_bytes() != blob):
        return wrong or "a wrong record was read"
    odd = [path.name for path in store.folder.glob("*") if path.stem != key] if store.folder.exists() else []
    if odd or {path.name for path in shared.folder.iterdir()} != before:
        return f"it wrote {odd or 'beside the store'}"
    return shared.run()


# pictures ------------------------------------------------------------------------------------------------------------


def _png(width: int, height: int, mode: str = "RGB", real: bool = False) -> bytes:
    """A picture that says how large it is; its pixels are zeros, if they are there."""
    depth, kind, channels = {"RGB": (8, 2, 3), "L": (8, 0, 1), "1": (1, 0, 1)}[mode]
    rows = zlib.compress(b"\0" * (1 + width * channels * depth // 8) * height, 9) if real else zlib.compress(b"\0" * 9)
    blocks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b"")]
    framed = (struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in blocks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def _picture_bomb(rng) -> bytes:
    kind = rng.randrange(6)
    if kind == 0:
        return _png(rng.choice([2**31 - 1, 10**6, 60_000]), rng.choice([2**31 - 1, 10**6, 60_000]))
    if kind == 1:
        return _png(20_000, 20_000, "1", real=True)  # 400 million pixels in 50 kB
    if kind == 2:  # a text of 10 MB in 10 kB
        text = b"zTXt" + b"a\0\0" + zlib.compress(b"0" * 10**7, 9)
        block = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
        return _png(8, 8, real=True).replace(struct.pack(">I", 0) + b"IEND", block + struct.pack(">I", 0) + b"IEND")
    if kind == 3:
        return (
            b"GIF89a"
            + struct.pack("<HH", 65_535, 65_535)
            + b"\x80\0\0"
            + b"\0" * 6
            + b",\0\0\0\0\xff\xff\xff\xff\0\x02"
        )
    if kind == 4:
        return (
            b"BM"
            + struct.pack("<IHHI", 54, 0, 0, 54)
            + struct.pack("<IiiHHIIiiII", 40, 10**9, -(10**9), 1, 24, 0, 0, 0, 0, 0, 0)
        )
    return b"P6 " + str(rng.choice([10**5, 10**9, 10**30])).encode() + b" 99999 255\n"


@fault("image bombs, one or many in a folder", 120, 12, Canary)
def picture_bomb(canary: Canary, rng) -> str:
    root = canary.folder / f"set{rng.randrange(10**9)}"
    many = not rng.randrange(3)
    for name in ("ant", "bee"):
        (root / "train" / name).mkdir(parents=True)
        for k in range(12 if many else 2):
            blob = _png(3000, 3000, "L", real=True) if many else _png(8, 8, real=True)
            (root / "train" / name / f"{k}.png").write_bytes(blob)
    if not many:
        (root / "train/ant/bomb").with_suffix(rng.choice([".png", ".gif", ".bmp", ".ppm", ".jpg"])).write_bytes(
            _picture_bomb(rng)
        )
    before = own.PIXELS
    own.PIXELS = 10**7  # so that two dozen small bombs are many
    try:
        with said():
            sets.load(f"{root}/")
    except UserError as error:
        return "" if "\n" not in str(error) else "more than one line"
    finally:
        own.PIXELS = before
    return "pictures without end were decoded" if many else ""


# pages ---------------------------------------------------------------------------------------------------------------

EXPLORER = len(BeautifulSoup(Path(explorer.__file__).with_suffix(".html").read_text(), "html.parser")("script"))
SCRIPTS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</title><script>1</script>",
    '"><svg onload=alert(1)>',
    "</script><script>alert(1)</script>",
    "'><iframe srcdoc='<script>1</script>'>",
    "<a href='javascript:alert(1)'>x</a>",
    "[x](javascript:alert(1))",
    '![x](x "onerror=alert(1)")',
    "<style>@import 'x'</style>",
    "<base href='//evil'>",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "${alert(1)}",
    "--><script>1</script>",
    "]]><script>1</script>",
    "<!--",
    "&lt;script&gt;",
    "<ScRiPt>1</sCrIpT>",
    "<img\nsrc=x\nonerror\n=\nalert(1)>",
    "<math><mi//xlink:href='data:x,<script>1</script>'>",
    "<form action=//evil><input type=submit>",
    "<object data='javascript:1'></object>",
    "<embed src=x>",
    "\u2028<script>",
    "<meta http-equiv=refresh content='0;url=//evil'>",
    "<link rel=stylesheet href=//evil>",
    "<details ontoggle=alert(1) open>",
)
ADDRESSES = ("href", "src", "action", "formaction", "data", "xlink:href", "srcdoc", "background")


def active(html: str, ours: int = 0) -> str:
    """What a browser would run on a page beside `ours` scripts; "" for nothing."""
    seen = BeautifulSoup(html, "html.parser")
    scripts = [tag for tag in seen.find_all("script") if tag.get("type") != "application/json"]
    if len(scripts) > ours or seen.find_all(["iframe", "object", "embed", "base", "frame", "applet"]):
        return "a script, or a page within the page"
    for tag in seen(True):
        for name, value in tag.attrs.items():
            code = name.lower() in ADDRESSES and "".join(str(value).split()).lower().startswith("javascript:")
            if code or (name.lower().startswith("on") and not ours):
                return f"<{tag.name} {name}={value}>"
    return ""


def evil(rng) -> str:
    return rng.choice(["", "a ", "cat"]) + rng.choice(SCRIPTS) + rng.choice(["", " b"])


@fault("HTML and templates in all that an index shows", 400, 30, Canary)
def hostile_index(canary: Canary, rng) -> str:
    folder = canary.folder / f"{rng.randrange(10**9)}" / rng.choice(["smoke", "<b>", "{{ 7 * 7 }}"])
    stem = rng.choice(["00_one", f"00_{evil(rng)}".replace("/", "∕")[:80].replace("\n", " ")])
    row = {"claim": evil(rng), "paper": evil(rng), "here": evil(rng), "verdict": "holds", "why": evil(rng), "n": 3}
    shown = [{"file": evil(rng).replace("/", "∕"), "caption": evil(rng)}]
    make.receipt(
        folder,
        stem,
        verdicts=[row],
        figures=shown,
        tables=shown,
        notice=evil(rng),
        machine=evil(rng),
        data=[evil(rng)],
        finished=evil(rng),
        variant=rng.choice(["", evil(rng)]),
        parameters={evil(rng): evil(rng)},
    )
    cells = [{"cell_type": "markdown", "source": f"# {evil(rng)}\n\n**Our answer.** {evil(rng)}"}]
    (folder / f"{stem}.ipynb").write_text(json.dumps({"cells": cells}))
    (folder / f"explorer-{evil(rng)}.html".replace("/", "∕")).write_text("")
    if rng.randrange(2):
        receipts.note_failure(folder, stem, evil(rng))
    if not rng.randrange(4):
        (folder / "receipts/01_two.json").write_text(json.dumps({"notebook": evil(rng), evil(rng): 1}))
    with said():
        html = site.write_site(folder).read_text()
    return active(html) or ("a template was filled in" if ">49" in html else "") or canary.run()


@fault("HTML and templates in an executed notebook", 150, 6, Canary)
def hostile_notebook(canary: Canary, rng) -> str:
    """`easel index` makes its page; nothing of it is executed anew."""
    folder = canary.folder / f"{rng.randrange(10**9)}"
    make.receipt(folder, "00_one", run="")
    kinds = ["text/markdown", "text/html", "text/latex", "image/svg+xml", "application/javascript", "text/plain"]
    outputs = [
        {
            "output_type": "display_data",
            "metadata": {},
            "data": {rng.choice(kinds): evil(rng), "text/plain": evil(rng)},
        },
        {"output_type": "stream", "name": "stdout", "text": evil(rng)},
        {"output_type": "error", "ename": evil(rng), "evalue": evil(rng), "traceback": [evil(rng)]},
    ]
    code = rng.choice([canary.python(), f"!{canary.shell()}", f"%%bash\n{canary.shell()}", evil(rng)])
    cells = [
        {
            "cell_type": "markdown",
            "id": "m",
            "metadata": {},
            "source": f"# {evil(rng)}\n\n## {evil(rng)}\n\n{evil(rng)}",
        },
        {
            "cell_type": "code",
            "id": "c",
            "metadata": {"tags": ["parameters"]},
            "source": code,
            "execution_count": 1,
            "outputs": outputs,
        },
    ]
    spec = {"name": evil(rng)} | rng.choice([{}, {"display_name": evil(rng)}])  # without, it is no notebook
    metadata = {"papermill": {"parameters": {evil(rng): canary.python()}}, "kernelspec": spec}
    content = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    (folder / "00_one.ipynb").write_text(json.dumps(content))
    plan.parameters_given(folder / "00_one.ipynb")
    made: list[Path] = []
    with said():
        wrong = refused(lambda: made.append(site.index(folder)))
    pages = [path.read_text() for path in folder.glob("*.html")]
    if len(pages) != 2 * len(made) or bool(made) != ("display_name" in spec):
        return "no page was made"
    return wrong or next(filter(None, map(active, pages)), "") or canary.run()


@fault("HTML in the names of classes, files and data, on the pages that show pictures", 60, 4, Canary)
def hostile_names(canary: Canary, rng) -> str:
    def name(most: int = 80) -> str:
        return evil(rng).replace("/", "∕").strip()[:most]

    root, draw = canary.folder / f"{rng.randrange(10**9)}" / name(), np.random.default_rng(rng.randrange(2**32))
    for kind in {name(), name() + "s", "ant"}:
        (root / "train" / kind).mkdir(parents=True)
        for k in range(4):
            picture = Image.fromarray(draw.integers(0, 256, (8, 8, 3), np.uint8))
            picture.save(root / "train" / kind / f"{k}{name()}.png", "PNG")
        (root / "train" / kind / f"a.{name()}").write_text("")  # not read, and named in the notice
    trials = [tiny(seed, data=f"{root}/", images=None, epochs=1, record=("prediction",)) for seed in range(2)]
    collection = explorer.Collection(Ledger(map(train, trials)))
    examples = collection.examples
    table = pd.DataFrame({"rank": [1, 2], "file": collection.files[:2], "class": examples.classes[:2]})
    table = table.assign(suggested=list(examples.classes[1:3]), why="rare", **{"held-out probability": 0.1})
    found = SimpleNamespace(table=table, folder=canary.folder, summary=name(), opinions=SimpleNamespace(blind=False))
    audit._write(found, examples, sets.Name.of(f"{root}/"))
    audited, explored = (canary.folder / "audit.html").read_text(), explorer.page(collection, title=name())
    wrong = active(explorer.story_html(collection, 0, 1)) or active(explored, ours=EXPLORER) or active(audited, ours=1)
    return wrong or canary.run()


# values of parameters ------------------------------------------------------------------------------------------------


class Settings(Here, Canary):
    """A folder with notebooks, nothing of which is executed, and a canary."""

    def __init__(self, folder: Path):
        Canary.__init__(self, folder)
        Here.__init__(self, folder)
        make.write(folder / "notebooks", "00_one", make.END, parameters='profile = "smoke"\nname = "a"\nnames = ["a"]')


def _code(canary: Canary, rng) -> str:
    shell, code = canary.shell(), canary.python()
    return rng.choice(
        [
            code,
            f"'; {code}; '",
            f'"; {code}; "',
            f"\\'; {code} #",
            f"a'\n{code}\n'",
            f'a"""\n{code}\n"""',
            f"{{{code}}}",
            f"$({shell})",
            f"`{shell}`",
            f"; {shell}",
            f"| {shell}",
            f"!!python/object/apply:os.system ['{shell}']",
            "!!python/name:os.system",
            f"!!python/object/new:os.system [{shell}]",
            f"{{{{ {code} }}}}",
            f"%{{{code}}}",
            f"\\\n{code}",
            "a\\",
            "a\\'",
            "a\\\\'",
            f"\u2028{code}",
            f"a\r{code}",
            f"a\x0c{code}",
            f"__import__('os').system('{shell}')",
            f"a' + {code} + '",
            f"%s%n{code}",
            f"{code!r}",
            f"f'{{{code}}}'",
            f"!{shell}",
            f"%%bash\n{shell}",
            f"%run {shell}",
        ]
    )


@fault("values of parameters that are code", 400, 40, Settings)
def hostile_values(shared: Settings, rng) -> str:
    """On the command line, in a profile, and in what papermill writes into the notebook."""
    from papermill.iorw import load_notebook_node
    from papermill.parameterize import parameterize_notebook

    value = _code(shared, rng)
    if wrong := answered(["run", "--set", rng.choice([f"name={value}", f"names={value}", f"{value}=1", value])]):
        return wrong
    kind = rng.choice(["name", "names"])
    try:
        (job,) = plan.planned("smoke", only=["00_one"], settings={kind: value if kind == "name" else [value]})
    except UserError:
        return shared.run()
    written = parameterize_notebook(
        load_notebook_node(str(job.notebook)), job.values, kernel_name="python3", language="python"
    )
    (cell,) = (one for one in written.cells if "injected-parameters" in one.metadata.get("tags", []))
    space: dict[str, object] = {}
    exec(compile(cell.source, "parameters", "exec"), {"__builtins__": {}}, space)
    if {name: space[name] for name in job.values} != job.values:
        return f"papermill wrote another value: {space[kind]!r:.80}"
    literal = all(isinstance(ast.literal_eval(line.value), object) for line in ast.parse(cell.source).body)
    return shared.run() if literal else "what was written is no literal"


@fault("profiles and parameter cells that are code", 300, 30, Settings)
def hostile_profiles(shared: Settings, rng) -> str:
    value, where = _code(shared, rng), rng.choice(["profile", "cell", "name", "environment"])
    profiles = shared.folder / "notebooks/profiles.yaml"
    notebook = shared.folder / "notebooks/00_one.ipynb"
    whole = notebook.read_bytes()
    try:
        if where == "profile":
            text = rng.choice(
                [
                    f"smoke: {value}",
                    f"smoke: {{00_one: {{name: {value}}}}}",
                    f"? {value}\n: 1",
                    f"smoke: &a [*a, {value}]",
                ]
            )
            profiles.write_text(text)
        elif where == "cell":
            make.write(shared.folder / "notebooks", "00_one", make.END, parameters=f'profile = "smoke"\nname = {value}')
        elif where == "name":
            make.write(shared.folder / "notebooks", "00_one", make.END, parameters=f'profile = "smoke"\n{value} = 1')
        else:
            profiles.write_text(f'smoke: {{00_one: {{name: "{value}"}}}}')
        return answered(["run", "--only", "00_one"]) or shared.run()
    finally:
        notebook.write_bytes(whole)
        make.profiles(shared.folder / "notebooks", "smoke: {}\n")
