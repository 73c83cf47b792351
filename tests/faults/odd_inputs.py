"""What a person may type, and what may lie in a folder: arguments, settings, profiles, cells, names, images.

It is answered: 0, or 1 where a record is damaged, or status 2 and one line of at most 300 letters, nothing started.
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path

from harness import fault
from PIL import Image

from easel import cli
from easel.data import changes, download, sets
from easel.errors import UserError
from easel.ledger.trial import View
from easel.nets import names as nets
from easel.notebook import batch, inprocess, plan

sys.path.insert(0, str(Path(__file__).parents[1] / "notebook"))
import make_notebooks as make

sys.path.pop(0)

LONGEST = 300
ODD = (
    "", " ", "0", "-1", "1", "2", "3.5", "1e3", "1e400", "nan", "inf", "-inf", "010", "0x10", "1_0", "1:30", "²", "٣",
    "１", "½",
    "true", "no", "null", "~", "~/x", "~nouser", "~nouser/x", "/", "//", ".", "..", "../..", "./", "a/b", "/dev/null",
    "/dev/zero",
    "/proc/self/mem", "/etc/passwd", "/root", "\0", "a\0b", "./a\0b", "\n", "a\nb", "\r", "\x1b[2J", "\u202e",
    "\ud800", "é", "日本",
    "[", "]", "[]", "[1", "{", "{}", "{a: 1}", "[[1]]", "[1,2", "'", '"', "!!int x", "!!python/object:os.system x",
    "!x", "&a [*a]",
    "*a", "? x", "- x", "%", "@", "`", "|", ">", "#", "2020-99-99", "0x_", "0b2", "=", "==", "a=b", "--", "-x",
    "--help", ",", ",,",
    "a,b", "$HOME", "$(id)", "`id`", "; rm -rf x", "__import__('os')", "None", "auto", "photographs", "cifar10",
    "patterns",
    "patterns@16", "patterns@", "patterns@0", "patterns@٣", "patterns@1000000000", "@", "@16", "mini-imagenet",
    "./patterns@8/",
    "mlp-1x10", "mlp-0x0", "mlp-1x²", "wrn-16-4", "resnet18-0.25x", "resnet18-1e-9x", "resnet18-nanx", "x" * 300,
    "x" * 5000,
    "9" * 400, "9" * 5000, "[" * 2000, "/" * 5000, "a/" * 3000, "test", "test:2000", "test:0", "test:²", "test:٣",
    "test@1", "train@0",
    "online", "colour=0.3", "colour=nan", "colour=", "shuffle=4", "shuffle=1e300", "low-pass=3.2", "low-pass=1e-400",
    "smoke", "laptop",
)  # fmt: skip


def word(rng, deep: int = 2) -> str:
    """Something odd: from the list, two of them together, or letters and signs at random."""
    kind = rng.randrange(6)
    if kind < 3:
        return rng.choice(ODD)
    if kind == 3 and deep:
        return rng.choice(["", "=", "@", "/", ":", ",", "-", ""]).join([word(rng, deep - 1), word(rng, deep - 1)])
    if kind == 4:
        chars = "01239abcxyz-_=@:./,+[]{}()'\"!&*#|>% \t~$\\²٣é日\u200b\u0130"
        return "".join(rng.choice(chars) for _ in range(rng.randrange(12)))
    return "".join(
        chr(rng.choice([rng.randrange(32, 127), rng.randrange(0x3000), rng.randrange(0x110000)])) for _ in range(5)
    )


def answered(argv: list[str]) -> str:
    """ "" if the command line gives a status with at most one line of refusal; else what it did instead."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = cli.main(argv)
        except SystemExit as end:
            status = end.code
    lines = [line for line in err.getvalue().splitlines() if not line.startswith("easel: warning: ")]
    if status == 130:  # somebody stops the faults, not this one
        raise KeyboardInterrupt
    if status not in (0, 1, 2):
        return f"status {status}: {argv!r:.200}"
    if status == 2 and (len(lines) != 1 or len(lines[0]) > LONGEST or not lines[0].startswith("easel: ")):
        return f"answered in {len(lines)} lines, {len(err.getvalue())} letters: {argv!r:.200} {err.getvalue()!r:.300}"
    return ""


class Here:
    """A folder with notebooks and results in which nothing is executed, trained or downloaded."""

    def __init__(self, folder: Path):
        self.folder = folder
        parameters = 'profile = "smoke"\nepochs = 3\ndata = "patterns"\nmodels = ["mlp-1x10"]'
        parameters += '\nrate = 0.1\nname = "a"\nimages = 100'
        make.write(folder / "notebooks", "00_one", make.END, parameters=parameters)
        make.write(
            folder / "notebooks",
            "01_two",
            make.END,
            parameters='profile = "smoke"\ntrials = 2\nkeep = None\nflag = True',
        )
        make.profiles(folder / "notebooks", "smoke: {}\nlaptop: {00_one-more: {epochs: 2}}\n")
        os.environ["EASEL_NOTEBOOKS"] = str(folder / "notebooks")
        batch._run_all = lambda plans, *_: []
        batch.check_inputs = lambda plans: plan.check_inputs(plans, here=True)
        inprocess._execute = lambda job: True
        download.fetch = _no_download
        download.fetch_within = lambda *_: False
        os.chdir(folder)


def _no_download(*_given, **_named):
    raise UserError("nothing is downloaded here")


OPTIONS = {
    "run": ("--profile", "--only", "--dataset", "--set", "--jobs", "--engine"),
    "train": ("--profile", "--only", "--dataset", "--set", "--budget", "--pack"),
    "data": ("--check",),
    "scores": (
        "--profile",
        "--out",
        "--dataset",
        "--also",
        "--keep",
        "--drop",
        "--balanced",
        "--seed",
        "--net",
        "--m",
        "--notebook",
    ),
    "release": ("--profile", "--only", "--out"),
    "import": (),
    "info": ("--json",),
}
FLAGS = ("--check", "--balanced", "--json")


@fault("arguments", 6000, 250, Here)
def arguments(shared: Here, rng) -> str:
    command = rng.choice([*OPTIONS, word(rng)]) if rng.randrange(20) == 0 else rng.choice(list(OPTIONS))
    argv = [command]
    for _ in range(rng.randrange(4)):
        option = rng.choice([*OPTIONS.get(command, ()), word(rng)]) if rng.randrange(3) else word(rng)
        argv.append(option)
        if option in OPTIONS.get(command, ()) and option not in FLAGS and rng.randrange(10):
            argv.append(word(rng))
    return answered(argv)


@fault("--set", 5000, 250, Here)
def settings(shared: Here, rng) -> str:
    name = rng.choice(["epochs", "data", "models", "rate", "name", "images", "trials", "keep", "flag", word(rng)])
    return answered(["run", "--set", f"{name}={word(rng)}"])


@fault("environment variables", 300, 20, Here)
def environment(shared: Here, rng) -> str:
    name = rng.choice(
        [
            "EASEL_DATA",
            "EASEL_RESULTS",
            "EASEL_NOTEBOOKS",
            "EASEL_DEVICE",
            "EASEL_ENGINE",
            "EASEL_MIRRORS",
            "EASEL_IMAGENET",
        ]
    )
    value = word(rng)
    if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value) or value.startswith("/") or not value:
        return ""  # none that a shell could set, or one that would write into this machine
    before = dict(os.environ)
    os.environ[name] = value
    try:
        return answered(
            rng.choice([["run"], ["info"], ["data"], ["data", "cifar10"], ["data", "mini-imagenet"], ["scores"]])
        )
    finally:
        os.environ.clear()
        os.environ |= before


def _yaml(rng, deep: int = 3) -> str:
    kind = rng.randrange(8)
    if kind < 4 or not deep:
        return rng.choice([word(rng), "epochs", "models", "smoke", "00_one", "00_one-more", "3", "no", ""])
    inner = [_yaml(rng, deep - 1) for _ in range(rng.randrange(4))]
    if kind == 4:
        return "[" + ", ".join(inner) + "]"
    if kind == 5:
        tags = ["!!int", "!!set", "!!timestamp", "!!binary", "!!omap", "!a", "&a", "*a", "<<:", "|", ">"]
        return f"{rng.choice(tags)} {_yaml(rng, deep - 1)}"
    return "{" + ", ".join(f"{_yaml(rng, 0)}: {one}" for one in inner) + "}"


@fault("profiles", 3000, 150, Here)
def profiles(shared: Here, rng) -> str:
    text = rng.choice(["smoke: ", "smoke: {00_one: ", "smoke: {00_one: {epochs: ", ""]) + _yaml(rng)
    text += "}" * rng.randrange(3)
    (shared.folder / "notebooks/profiles.yaml").write_bytes(text.encode(errors="surrogatepass"))
    try:
        return answered(["run"])
    finally:
        make.profiles(shared.folder / "notebooks", "smoke: {}\nlaptop: {00_one-more: {epochs: 2}}\n")


@fault("parameter cells", 2000, 100, Here)
def cells(shared: Here, rng) -> str:
    path = shared.folder / "notebooks/00_one.ipynb"
    whole = path.read_bytes()
    content = json.loads(whole)
    cell = next(c for c in content["cells"] if "parameters" in c["metadata"].get("tags", []))
    value = rng.choice(
        [
            word(rng),
            repr(word(rng)),
            "1",
            "[1, 'a']",
            "{1: 2}",
            "(1,)",
            "b''",
            "1j",
            "...",
            "[[1]]",
            "{[]}",
            "-1",
            "f'{1}'",
            "x",
        ]
    )
    lines = [f"{rng.choice(['x', 'profile', 'epochs', 'data', 'x: int', 'x, y', 'x[0]', 'x.y', word(rng)])} = {value}"]
    cell["source"] = rng.choice([lines, "\n".join(['profile = "smoke"', *lines]), lines[0], [1], None, {"a": 1}])
    if not rng.randrange(5):
        cell["metadata"] = rng.choice([{}, None, {"tags": None}, {"tags": "parameters"}, {"tags": 5}, [1]])
    if not rng.randrange(20):
        content = rng.choice([{}, [], None, {"cells": None}, {"cells": [1]}, {"cells": {}}])
    path.write_text(json.dumps(content))
    try:
        return answered(["run", "--only", "00"])
    finally:
        path.write_bytes(whole)


def _only_user_errors(ask, given) -> str:
    try:
        ask(given)
    except UserError as error:
        return "" if str(error) else f"no reason: {given!r:.200}"
    return ""


def _view(name: str) -> None:
    View.of(name).check()


@fault("names of views", 1500, 100)
def view_names(shared, rng) -> str:
    return _only_user_errors(rng.choice([_view, changes.check_view]), word(rng))


@fault("names of data sets", 1500, 100, Here)
def data_names(shared, rng) -> str:
    name = word(rng)
    if name.startswith(("/proc", "/dev", "/root", "/etc")) or set(name) <= {"/", "."}:
        name = "." + name
    return _only_user_errors(rng.choice([sets.choose, sets.describe, sets.load]), name)


@fault("names of nets", 1000, 100)
def net_names(shared, rng) -> str:
    stem = rng.choice(["mlp-", "wrn-", "resnet-", "resnext-29-", "vgg-", "resnet18-", "mobilenet-", ""])
    return _only_user_errors(nets.check, stem + word(rng))


def _link_to_itself(path: Path) -> None:
    path.symlink_to(path.name)


THINGS = {  # what may lie in a folder of images
    "nothing": lambda path: None,
    "an empty file": lambda path: path.write_bytes(b""),
    "half an image": lambda path: path.write_bytes(_png()[:-20]),
    "an image": lambda path: path.write_bytes(_png()),
    "a text": lambda path: path.write_text("no image"),
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "a link to nothing": lambda path: path.symlink_to("nowhere"),
    "a link to itself": _link_to_itself,
    "a link to its folder": lambda path: path.symlink_to(".."),
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a hidden file": lambda path: path.with_name("." + path.name).write_bytes(_png()),
}
NAMES = (
    "cat",
    "$\\frac$",
    "$",
    "a b",
    "é",
    b"\xff\xfe".decode(errors="surrogateescape"),
    "<b>",
    "a\nb",
    "-x",
    "x" * 200,
    "日",
    "\u202e",
)


def _png(side: int = 8) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (90, 120, 30)).save(buffer, "PNG")
    return buffer.getvalue()


@fault("folders of images", 1500, 80)
def image_folders(shared: Path, rng) -> str:
    root = shared / f"set{rng.randrange(10**9)}"
    for split in rng.sample(["train", "val", "test"], rng.randrange(1, 3)):
        for name in rng.sample(NAMES, rng.randrange(1, 4)):
            (root / split / name).mkdir(parents=True)
            for at in range(rng.randrange(1, 4)):
                THINGS[rng.choice(["an image", "an image", *THINGS])](root / split / name / f"{at}.png")
    if not rng.randrange(6):
        (root / "train").mkdir(exist_ok=True)
        THINGS[rng.choice(list(THINGS))](root / "train/odd")
    return _only_user_errors(lambda name: (sets.describe(name), sets.load(name), sets.load(name, "merged")), f"{root}/")
