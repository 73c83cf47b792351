"""The command `easel`. It parses and prints; what it does is done by the module of the same name.

Exit status: 0 done, 1 a notebook failed, 2 a request that cannot be met (one line says why), 130 stopped by Ctrl-C.
PyTorch and Jupyter are imported by the commands that need them, not before.
"""

import argparse
import json
import os
import signal
import sys
import threading
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from easel.errors import UserError


def main(argv: list[str] | None = None) -> int:
    """Runs one command line and returns its exit status; argv is without the program's name."""
    try:
        options = _parser().parse_args(argv)
        warnings.showwarning = _one_line
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _terminate)  # a scheduler's way of saying Ctrl-C
        return options.command(options)
    except UserError as error:
        print(f"easel: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stop:
        print(f"\neasel: {stop or 'stopped'}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # easel info | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


class _Parser(argparse.ArgumentParser):
    """argparse with its errors in one line."""

    def error(self, message: str):
        self.exit(2, f"easel: {message}; see {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="easel", description="Which training images does a network learn first?")
    parser.add_argument("--version", action="version", version=f"easel {_version()}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=_Parser)

    def command(name: str, function, summary: str, *examples: str) -> argparse.ArgumentParser:
        epilog = "examples:\n" + "\n".join(f"  {line}" for line in examples)
        form = argparse.RawDescriptionHelpFormatter
        one = commands.add_parser(name, help=summary, description=summary, epilog=epilog, formatter_class=form)
        one.set_defaults(command=function)
        return one

    one = command(
        "run", _run, "execute the notebooks of a profile; trials that are in the store are not trained again",
        "easel run                                     every notebook, small, in minutes",
        "easel run --profile laptop --only 00,01       two notebooks of a larger profile",
        "easel run --only 01 --set epochs=3 --set models=mlp-3x128,wrn-10-1",
        "easel run --dataset ./my/images               a folder with train/CLASS/… (and val/CLASS/…)",
    )  # fmt: skip
    one.add_argument("--profile", default="smoke", help="a profile of notebooks/profiles.yaml (default: smoke)")
    one.add_argument("--only", type=_names, metavar="01,00", help="notebooks by number or name")
    one.add_argument("--dataset", help="cifar10, patterns, auto, …, or a folder's path: the parameter `data`")
    one.add_argument("--jobs", type=int, metavar="N", help="notebooks at a time (default: 2; training takes turns)")
    one.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="settings",
        help="a notebook's parameter, in every notebook that has it; lists as a,b,c",
    )  # fmt: skip
    one.add_argument("--engine", choices=("local", "ray"), help="where to train (default: $EASEL_ENGINE, or local)")

    one = command(
        "bench", _bench, "measure training speed against a plain PyTorch loop on this machine",
        "easel bench",
        "easel bench --models wrn-10-1,resnext-11-2x16d --repeats 5 --json bench.json",
    )  # fmt: skip
    one.add_argument("--models", type=_names, metavar="A,B", help="names of nets (default: one small net a family)")
    one.add_argument("--device", choices=("cpu", "cuda"), help="default: a GPU if there is one")
    one.add_argument("--repeats", type=_count, metavar="N", help="measurements of each loop")
    one.add_argument("--json", metavar="FILE", help="write the measurements here too")
    one.add_argument("--parallel", action="store_true", default=None, help="two processes against one as well (CPU)")

    one = command(
        "data", _data, "make a data set ready, or say what there is",
        "easel data                  which data sets are ready, and where",
        "easel data cifar10          download it if it is not there (170 MB, checked)",
        "easel data ./my/images      read every image once and name the first bad one",
    )  # fmt: skip
    one.add_argument("name", nargs="?", help="cifar10, patterns, tiny-imagenet-10, mini-imagenet, or a folder's path")
    one.add_argument("--check", action="store_true", help="download nothing; exit status 2 if it is not ready")

    one = command(
        "scores", _scores, "write the easiness of every example, net and m of a profile",
        "easel scores --profile laptop               results/laptop/tables/easiness.parquet",
        "easel scores --profile laptop --out easiness.csv",
    )  # fmt: skip
    one.add_argument("--profile", default="smoke", help="its notebooks must have been run (default: smoke)")
    one.add_argument("--out", metavar="FILE", help="a .parquet or .csv file")

    one = command(
        "info", _info, "what is in the store of trained trials",
        "easel info",
        "easel info --json | jq .trials",
    )  # fmt: skip
    one.add_argument("--json", action="store_true", help="the same as JSON")
    return parser


def _run(options) -> int:
    from easel import batch, parameters

    settings = dict(parameters.split(setting) for setting in options.settings)
    if options.dataset is not None and "data" in settings:
        raise UserError(f"--dataset {options.dataset} and --set data={settings['data']} are the same thing; give one")
    if options.engine:
        os.environ["EASEL_ENGINE"] = options.engine
    return batch.run(options.profile, options.only, options.dataset, options.jobs, settings)


def _bench(options) -> int:
    from easel import bench

    given = {name: getattr(options, name) for name in ("models", "device", "repeats", "json", "parallel")}
    return bench.main(**{name: value for name, value in given.items() if value is not None})


def _data(options) -> int:
    from easel import data

    if options.name is None:
        found = [data.describe(name) for name in data.NAMES]
        for one in found:
            print(_described(one))
        return 0
    name = data.choose(options.name)
    if not options.check:
        data.prepare(name)
    one = data.describe(name)
    if not one["ready"]:
        raise UserError(f"{name} is not ready: {one['where']}")
    print(_described(one))
    return 0


def _described(one: dict) -> str:
    if not one["ready"]:
        return f"{one['name']:<18}not ready: {one['where']}"
    images = ", ".join(f"{n:,} {split}" for split, n in one["images"].items())
    text = f"{one['name']:<18}{images}; {len(one['classes'])} classes; {one['size']}x{one['size']}; {one['where']}"
    return text + (f"\n{'':<18}{one['notice']}" if one["notice"] else "")


def _scores(options) -> int:
    from easel import inventory, paths

    folder = paths.results_dir() / options.profile
    out = Path(options.out) if options.out else folder / "tables" / "easiness.parquet"
    rows, nets = inventory.write_scores(folder, out)
    print(f"{rows:,} rows, {nets} -> {out}")
    return 0


def _info(options) -> int:
    from easel import inventory

    content = inventory.content()
    print(json.dumps(content, indent=1) if options.json else inventory.in_words(content))
    return 0


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 up")
    return number


_count.__name__ = "whole number"  # argparse: invalid whole number value: 'x'


def _version() -> str:
    try:
        return version("easel")
    except PackageNotFoundError:
        return "(not installed)"


def _one_line(message, category, filename, lineno, file=None, line=None) -> None:
    print(f"easel: warning: {' '.join(str(message).split())}", file=sys.stderr)


def _terminate(*_signal) -> None:
    raise KeyboardInterrupt("terminated; finished trials are kept, the same command goes on from here")


if __name__ == "__main__":
    sys.exit(main())
