"""The command `easel`. It parses and prints; what it does is done by the module of the same name.

Exit status: 0 done, 1 a notebook failed or a record was damaged, 2 a request that cannot be met (one line says why),
130 stopped by Ctrl-C.
PyTorch and Jupyter are imported by the commands that need them, not before.
"""

import argparse
import json
import os
import re
import signal
import sys
import threading
import warnings
from pathlib import Path

from easel import __version__, files, warm
from easel.errors import UserError, one_line


def main(argv: list[str] | None = None) -> int:
    """Runs one command line and returns its exit status; argv is without the program's name."""
    try:
        options = _parser().parse_args(argv)
        warnings.showwarning = _one_line
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _terminate)  # a scheduler's way of saying Ctrl-C
            if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and _in_foreground():  # of a shell that ignores it
                signal.signal(signal.SIGINT, signal.default_int_handler)
        warm.import_own()
        return options.command(options) or 0
    except UserError as error:
        return _refused(error)
    except KeyboardInterrupt as stop:
        print(f"\neasel: {stop or 'stopped'}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # easel info | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # of a file or folder that nothing below could put into better words
        return _refused(f"{error.filename or 'the system'}: {files.why(error)}")


def _in_foreground() -> bool:
    """Whether a person at a terminal can stop this process by Ctrl-C, and means it: what runs behind is left alone."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (AttributeError, OSError, ValueError):  # no terminal, or Windows
        return False


def _refused(why: object) -> int:
    print(one_line(f"easel: {why}"), file=sys.stderr)
    return 2


_LISTS = {
    "hardest": "least often right",
    "easiest": "most often right",
    "suspicious": "most often taken for one other class",
}


class _Parser(argparse.ArgumentParser):
    """argparse with its errors in one line."""

    def error(self, message: str):
        self.exit(2, one_line(f"easel: {message}; see {self.prog} --help") + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="easel", description="Which training images does a network learn first?")
    parser.add_argument("--version", action="version", version=f"easel {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=_Parser)

    def command(name: str, function, summary: str, *examples: str) -> argparse.ArgumentParser:
        epilog = "examples:\n" + "\n".join(f"  {line}" for line in examples)
        form = argparse.RawDescriptionHelpFormatter
        one = commands.add_parser(name, help=summary, description=summary, epilog=epilog, formatter_class=form)
        one.set_defaults(command=function)  # returns an exit status, or None for 0
        return one

    def of_a_profile(one: argparse.ArgumentParser) -> None:
        one.add_argument("--profile", default="smoke", help="a profile of notebooks/profiles.yaml (default: smoke)")
        one.add_argument(
            "--only", type=_names, action="extend", metavar="01,00",
            help="notebooks by number (with their variants) or by name (that notebook or variant alone)",
        )  # fmt: skip
        one.add_argument(
            "--dataset", metavar="DATA",
            help="cifar10, patterns, auto, …, or a folder's path: the parameter `data`, in place of the profile's; a "
            "variant, which is there for its own data, then runs only if --only names it",
        )  # fmt: skip
        one.add_argument(
            "--hold-out", type=_share, metavar="SHARE",
            help="of every class, as the test split of a --dataset folder that has none: 0.2",
        )  # fmt: skip
        one.add_argument(
            "--set", action="append", default=[], metavar="NAME=VALUE", dest="settings",
            help="a notebook's parameter, in every notebook that has it; lists as a,b,c",
        )  # fmt: skip

    one = command(
        "run", _run, "execute the notebooks of a profile; trials that are in the store are not trained again",
        "easel run                                     every notebook, small, in minutes",
        "easel run --profile laptop --only 00,01       two notebooks of a larger profile, and their variants",
        "easel run --only 01_matching-photographs      one variant: a notebook again, with data of its own",
        "easel run --only 01 --set epochs=3 --name longer    beside the other runs; runs.csv compares their claims",
        "easel run --dataset ./my/images               a folder with train/CLASS/… (and val/CLASS/…)",
    )  # fmt: skip
    of_a_profile(one)
    one.add_argument("--name", metavar="WORD", help="results go beside those of other runs, NOTEBOOK-WORD")
    one.add_argument("--jobs", type=int, metavar="N", help="notebooks at a time (default: 2; training takes turns)")
    one.add_argument("--engine", choices=("local", "ray"), help="where to train (default: $EASEL_ENGINE, or local)")

    one = command(
        "index", _index, "make the page of a folder of results whose notebooks papermill or nbconvert executed",
        "papermill notebooks/01_matching.ipynb results/mine/01_matching.ipynb -p profile mine",
        "easel index results/mine                     index.html, verdicts.csv, runs.csv",
    )  # fmt: skip
    one.add_argument("folder", type=Path, metavar="FOLDER", help="a folder of results/, with receipts/ in it")

    one = command(
        "new", _new, "lay the notebooks out in a folder of your own; data and results then go beside them",
        "easel new my-study && cd my-study && easel run",
    )  # fmt: skip
    one.add_argument("folder", type=Path, metavar="FOLDER", help="is made where it is missing")

    one = command(
        "train", _train, "train what a profile's notebooks ask for, on a machine that has PyTorch and no Jupyter",
        "easel train --profile gpu --only 01,04 --budget 50m        in this order, into trained.zip",
        "easel train --profile gpu --only 01,04 --budget 50m        again: it goes on from there",
    )  # fmt: skip
    of_a_profile(one)
    one.add_argument(
        "--budget", metavar="TIME",
        help="90s, 8m, 1.5h: after that nothing more is begun, and what is under way is finished (default: no end)",
    )  # fmt: skip
    one.add_argument(
        "--pack", default="trained.zip", metavar="FILE",
        help="a .zip for what is trained, to take home: easel import; of more than 15 MB several, FILE-1, FILE-2, …",
    )  # fmt: skip

    one = command(
        "import", _import, "bring trained records into the store: packs, or the folder of another store",
        "easel import trained.zip",
        "easel import trained-1.zip trained-2.zip /mnt/node/results/trials",
    )  # fmt: skip
    one.add_argument("packs", nargs="+", metavar="PACK", help="a .zip of easel train or easel release, or a folder")

    one = command(
        "release", _release, "pack the records that a profile's results stand on, for others to read",
        "easel release --profile laptop                  results/ledgers/laptop.zip, or laptop-1.zip, …",
        "easel release --profile gpu --only 00,01 --out /tmp/packs",
    )  # fmt: skip
    one.add_argument("--profile", required=True, help="its notebooks must have been run")
    one.add_argument("--only", type=_names, action="extend", metavar="00,01", help="of these notebooks alone")
    one.add_argument("--out", type=Path, metavar="FOLDER", help="default: results/ledgers of the checkout")

    one = command(
        "bench", _bench, "is this machine set up well, and how long will a profile take here",
        "easel bench",
        "easel bench --models wrn-10-1,resnext-11-2x16d --repeats 5 --json bench.json",
    )  # fmt: skip
    one.add_argument("--models", type=_names, metavar="A,B", help="names of nets (default: one small net a family)")
    one.add_argument("--device", choices=("cpu", "cuda"), help="default: a GPU if there is one")
    one.add_argument("--repeats", type=_from_1, metavar="N", help="measurements of each loop")
    one.add_argument("--limit", type=_from_1, metavar="SECONDS", help="for all timings (default: 240 on a GPU)")
    one.add_argument("--json", metavar="FILE", help="write the measurements here too")

    one = command(
        "data", _data, "make a data set ready, or say what there is",
        "easel data                  which data sets are ready, and where",
        "easel data cifar10          download it if it is not there (170 MB, checked)",
        "easel data tiny-imagenet-10 the same: ten classes of Tiny ImageNet (248 MB), photographs of 64x64",
        "easel data ./my/images      read every image once and name the first bad one",
        "easel data c-scores         what others published of CIFAR-10's images: c-scores, cifar10n, label-errors",
    )  # fmt: skip
    one.add_argument("name", nargs="?", help="cifar10, cifar100, stl10, …, or a folder's path; @PIXELS for a size")
    one.add_argument("--check", action="store_true", help="download nothing; exit status 2 if it is not ready")

    one = command(
        "scores", _scores, "write the easiness of every example, net and m of a profile, or (--keep) what to keep",
        "easel scores --profile laptop                   results/laptop/tables/easiness.parquet",
        "easel scores --profile laptop --out easiness.csv",
        "easel scores --profile birds --suspicious 50    of results/birds: file, class, what it is taken for",
        "easel scores --keep 0.5 --out keep.csv          the harder half: example, label, class, easiness",
        "easel scores --keep 0.5 --drop hardest --balanced --net wrn-16-1 --out keep.csv",
    )  # fmt: skip
    one.add_argument("--profile", default="smoke", help="its notebooks must have been run (default: smoke)")
    one.add_argument("--out", metavar="FILE", help="a .parquet or .csv file; with --keep a .csv file")
    one.add_argument("--dataset", metavar="DATA", help="of this data set alone (default: all that are on this machine)")
    one.add_argument("--also", type=_names, default=[], metavar="SCORES", help="more columns: learnability,…")
    for word, what in _LISTS.items():
        one.add_argument(f"--{word}", type=_from_1, metavar="N", help=f"print N examples, {what} (--net, --m)")
    kept = one.add_argument_group(
        "what to keep",
        "Instead of the table: the examples that are left when the others are dropped by one net's easiness, as CSV.\n"
        "The column `example` is the index in the data set's official order.",
    )
    kept.add_argument("--keep", type=_share, metavar="SHARE", help="of the examples: above 0, at most 1")
    kept.add_argument(
        "--drop", choices=("easiest", "hardest", "random", "window"),
        help="what is dropped (default: easiest); window: a tenth of it is the very hardest, the rest the easiest",
    )  # fmt: skip
    kept.add_argument("--balanced", action="store_true", default=None, help="the same share of every class")
    kept.add_argument("--seed", type=_from_0, metavar="N", help="of the lot among ties and at random (default: 0)")
    kept.add_argument("--net", metavar="NAME", help="whose easiness (default: the first that is not an MLP)")
    kept.add_argument("--m", type=_from_1, metavar="M", help="epochs before counting (default: 1)")
    kept.add_argument("--notebook", metavar="NAME", help="whose trials, by name or number (default: 01, or else 00)")

    one = command(
        "audit", _audit, "find what is hard, rare or mislabelled in a folder of labelled images",
        "easel audit ./birds                            results/birds/audit.html and audit.csv",
        "easel audit ./birds@64 --out /tmp/birds        at 64 pixels instead of 32",
        "easel audit ./birds --plant 0.08               change 8% of the labels first: how many would it find?",
    )  # fmt: skip
    one.add_argument("data", metavar="FOLDER", help="its training images, a folder a class; or a data set's name")
    one.add_argument("--out", metavar="DIR", help="default: results/NAME")
    one.add_argument("--epochs", type=_from_1, metavar="N", help="of each net (default: by the number of images)")
    one.add_argument("--repeats", type=_from_1, metavar="N", help="of each net on each fold (default: 1; 2 up to 500)")
    one.add_argument("--images", type=_from_1, metavar="N", help="a part of them, of every class alike")
    one.add_argument("--plant", type=float, metavar="SHARE", help="of the labels that are changed at random first")

    one = command(
        "info", _info, "what is in the store of trained trials",
        "easel info",
        "easel info --json | jq .trials",
    )  # fmt: skip
    one.add_argument("--json", action="store_true", help="the same as JSON")
    return parser


def _run(options) -> int:
    from easel.notebook import batch

    settings = _settings(options)
    if options.engine:
        os.environ["EASEL_ENGINE"] = options.engine
    return batch.run(options.profile, options.only, _dataset(options), options.jobs, settings, options.name)


def _index(options) -> None:
    from easel.notebook import site

    print(site.index(options.folder))


def _new(options) -> None:
    from easel.notebook import plan

    made = plan.lay_out(options.folder)
    print(f"{made}: {len(list(made.glob('*.ipynb')))} notebooks and profiles.yaml; cd {options.folder} and easel run")


def _train(options) -> int:
    from easel.notebook import inprocess
    from easel.train import budget

    spell = None if options.budget is None else budget.seconds(options.budget)
    asked = (options.profile, options.only, _dataset(options), _settings(options))
    return inprocess.train_profile(*asked, spell, options.pack)


def _dataset(options) -> str | None:
    """The data set that is asked for, with the share of it that is held out."""
    if options.hold_out is None:
        return options.dataset
    if options.dataset is None or "/" not in options.dataset or options.hold_out >= 1:
        raise UserError(f"--hold-out {options.hold_out}: a share below 1 of a folder, with --dataset ./FOLDER")
    plain, pixels = re.fullmatch(r"(.*?)/*(@\d+)?", options.dataset).groups("")
    return f"{plain}~{round(options.hold_out, 4):g}{pixels}"


def _settings(options) -> dict[str, str]:
    """The parameters that --set gives, by name, as typed."""
    from easel.notebook import plan

    settings = dict(plan.split(setting) for setting in options.settings)
    if options.dataset is not None and "data" in settings:
        raise UserError(f"--dataset {options.dataset} and --set data={settings['data']} are the same thing; give one")
    return settings


def _import(options) -> int:
    from easel.notebook import inventory

    damaged = 0
    for pack in options.packs:
        words, good = inventory.taken(Path(pack))
        print(words, flush=True)
        damaged |= not good
    return damaged


def _release(options) -> None:
    from easel.notebook import inventory

    print("\n".join(inventory.release(options.profile, options.only, options.out)))


def _bench(options) -> int:
    from easel import bench

    return bench.run_bench(**_given(options, "models", "device", "repeats", "limit", "json"))


def _data(options) -> int:
    from easel.data import published, sets as data

    if options.name is None:
        for name in data.names():
            print(_described(data.describe(name)))
        print("what others say of CIFAR-10's images:")
        for name in published.SOURCES:
            print(published.where_is(name))
        return 0
    if options.name in published.SOURCES:
        if not options.check:
            published.fetch_source(options.name)
        print(published.where_is(options.name))
        return 0
    name = data.choose(options.name)
    if not options.check:
        data.load(name)
    one = data.describe(name)
    if not one["ready"]:
        raise UserError(f"{name} is not ready: {one['where']}")
    print(_described(one))
    return 0


def _described(one: dict) -> str:
    name = f"{one['name'] + ' ':<18}"
    if not one["ready"]:
        return f"{name}not ready: {one['where']}"
    images = ", ".join(f"{n:,} {split}" for split, n in one["images"].items())
    text = f"{name}{images}; {len(one['classes'])} classes; {one['size']}x{one['size']}; {one['where']}"
    return text + (f"\n{'':<18}{one['notice']}" if one["notice"] else "")


def _scores(options) -> None:
    from easel.notebook import inventory, plan

    folder = plan.profile_folder(options.profile)
    given = _given(options, "drop", "balanced", "seed", "net", "m", "notebook")
    which = _given(options, *_LISTS)
    elsewhere = options.dataset is not None or options.also
    if which:
        (first, count), *more = which.items()
        if more or options.keep is not None or options.out or elsewhere or given.keys() - {"net", "m", "notebook"}:
            raise UserError(f"--{first} prints a list, with --net, --m and --notebook alone beside it")
        print(inventory.listed(folder, first, count, **given))
    elif options.keep is not None:
        if elsewhere:
            raise UserError("--dataset and --also are of the table of all scores, not of what to keep")
        out = Path(options.out or folder / "tables" / "keep.csv")
        words = inventory.write_kept(folder, out, options.keep, given.pop("drop", "easiest"), **given)
        print(f"{words} -> {out}")
    elif given:
        raise UserError(f"--{next(iter(given))} says what to keep and needs --keep; for example: --keep 0.5")
    else:
        out = Path(options.out or folder / "tables" / "easiness.parquet")
        rows, nets = inventory.write_scores(folder, out, dataset=options.dataset, more=options.also)
        print(f"{rows:,} rows, {nets} -> {out}")


def _audit(options) -> None:
    from easel import audit

    found = audit.audit(options.data, options.out, **_given(options, "epochs", "repeats", "images", "plant"))
    print(found.summary)
    for row in found.table.head(10).itertuples():
        print(f"{row.rank:>4}  {row.why:<12} {row[3]} -> {row.suggested}  {row.file}")
    print(f"read {found.folder / 'audit.html'}; all of it is in audit.csv")


def _info(options) -> None:
    from easel.notebook import inventory

    content = inventory.content()
    print(json.dumps(content, indent=1) if options.json else inventory.as_text(content))


def _given(options, *names: str) -> dict:
    """Those of these options that the command line has; the others keep the default of what they are handed to."""
    return {name: getattr(options, name) for name in names if getattr(options, name) is not None}


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _number(kind: type, fits, called: str, wanted: str):
    """What argparse turns a text into a number with: one that does not fit is refused with what is wanted."""

    def number(text: str):
        value = kind(text)
        if not fits(value):
            raise argparse.ArgumentTypeError(f"{text} is not {wanted}")
        return value

    number.__name__ = called  # argparse: invalid whole number value: 'x'
    return number


_from_0 = _number(int, lambda n: n >= 0, "whole number", "a whole number from 0 up")
_from_1 = _number(int, lambda n: n >= 1, "whole number", "a whole number from 1 up")
_share = _number(float, lambda s: 0 < s <= 1, "number", "a share above 0, at most 1; half of the examples: 0.5")


def _one_line(message, category, filename, lineno, file=None, line=None) -> None:
    print(one_line(f"easel: warning: {message}"), file=sys.stderr)


def _terminate(*_signal) -> None:
    raise KeyboardInterrupt("terminated; finished trials are kept, the same command goes on from here")


if __name__ == "__main__":
    sys.exit(main())
