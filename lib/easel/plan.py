"""What `easel run` is going to execute, and with which values. It starts no notebook and writes nothing.

Profiles, notebooks, parameter names, types and ranges are checked here, then nets and data sets: a request that cannot
be met ends in one line before anything has started.
"""

import os
import re
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import yaml

from easel import parameters, paths
from easel.errors import UserError

NETS = ("model", "models")  # parameters that hold names of nets


@dataclass
class Job:
    """One notebook to execute. values: what it is given; effective: the same over the notebook's defaults."""

    stem: str
    notebook: Path
    values: dict[str, object]
    effective: dict[str, object]


def notebooks_dir() -> Path:
    """Folder of the notebooks and profiles.yaml: $EASEL_NOTEBOOKS, else notebooks/ of the checkout."""
    return Path(os.environ.get("EASEL_NOTEBOOKS") or paths.ROOT / "notebooks").expanduser()


def plan(profile: str, only=None, dataset: str | None = None, settings=None) -> list[Job]:
    """The jobs of a profile, every name and value checked against the notebooks; UserError otherwise."""
    folder = notebooks_dir().absolute()
    found = {path.stem: path for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))}
    if not found:
        raise UserError(f"no notebooks (NN_name.ipynb) in {folder}; set EASEL_NOTEBOOKS to the folder that has them")
    chosen = _chosen(found, only)
    overrides = _profile(folder / "profiles.yaml", profile, found)
    settings = dict(settings or {})
    if "profile" in settings:
        raise UserError("--set profile=… is not how a profile is chosen; use --profile")
    if dataset is not None:
        settings["data"] = dataset
    if "/" in str(settings.get("data", "")):
        path = os.path.abspath(os.path.expanduser(settings["data"]))  # a notebook runs in another folder
        settings["data"] = path + "/" * settings["data"].endswith("/")  # it says that no @PIXELS is meant
    defaults = {stem: parameters.read(found[stem]) for stem in found}
    for name in settings:
        if not any(name in defaults[stem] for stem in chosen):
            names = dict.fromkeys(n for stem in chosen for n in defaults[stem] if n != "profile")
            raise UserError(f"no parameter {name!r} in {', '.join(chosen)}; there are: {', '.join(names)}")
    return [_job(stem, found[stem], defaults[stem], profile, overrides.get(stem) or {}, settings) for stem in chosen]


def _chosen(found: dict[str, Path], only) -> list[str]:
    chosen = set()
    for item in only if only is not None else found:
        matching = {stem for stem in found if item in (stem, stem.split("_")[0])}
        if not matching:
            raise UserError(f"no notebook {item!r}; there are: {', '.join(found)}")
        chosen |= matching
    if not chosen:
        raise UserError(f"no notebook was named; there are: {', '.join(found)}")
    return [stem for stem in found if stem in chosen]


def _profile(path: Path, profile: str, found: dict[str, Path]) -> dict[str, dict]:
    """The overrides of a profile by notebook; all of profiles.yaml is checked to have that form."""
    try:
        profiles = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(profiles, dict):
        raise UserError(f"{path} must map profiles to notebooks to parameters")
    if profile not in profiles:
        raise UserError(f"no profile {profile!r}; there are: {', '.join(map(str, profiles))}")
    overrides = profiles[profile] or {}
    if not isinstance(overrides, dict) or not all(isinstance(v, dict | None) for v in overrides.values()):
        raise UserError(f"{path}: profile {profile!r} must map notebooks to parameters")
    for stem in overrides:
        if stem not in found:
            raise UserError(f"{path}: profile {profile!r} names no notebook {stem!r}; there are: {', '.join(found)}")
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", profile) or profile in ("trials", "ledgers"):
        raise UserError(f"{path}: {profile!r} cannot be a profile's name, which becomes a folder beside the store")
    return overrides


def _job(stem: str, notebook: Path, defaults: dict, profile: str, overrides: dict, settings: dict) -> Job:
    if "profile" not in defaults:
        raise UserError(f"{notebook} has no parameter 'profile'; its parameters cell begins with profile = \"smoke\"")
    values = {"profile": profile}
    for name, value in overrides.items():
        where = f"profiles.yaml, {profile}, {stem}"
        if name not in defaults or name == "profile":
            names = ", ".join(n for n in defaults if n != "profile")
            raise UserError(f"{where}: no parameter {name!r}; there are: {names}")
        values[name] = parameters.typed(name, value, defaults[name], where)
    for name, value in settings.items():
        if name in defaults:
            value = parameters.from_text(value, defaults[name]) if isinstance(value, str) else value
            values[name] = parameters.typed(name, value, defaults[name], f"--set, {stem}")
    return Job(stem, notebook, values, defaults | values)


def check_inputs(plans: list[Job]) -> None:
    """Checks every net and data set, reading the data once so that a missing or damaged file is named now.

    "auto" becomes the data set that it stands for, the same for all. Done in a process that ends, so that this one
    holds neither PyTorch nor images while notebooks run.
    """
    sets = list(dict.fromkeys(job.effective["data"] for job in plans if "data" in job.effective))
    nets = [job.effective[name] for job in plans for name in NETS if name in job.effective]
    nets = list(dict.fromkeys(net for one in nets for net in (one if isinstance(one, list) else [one])))
    values = [job.effective for job in plans]
    if not sets and not nets:
        return
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_inspect, args=(theirs, sets, nets, values))
    process.start()
    theirs.close()
    try:
        chosen = ours.recv()
    except EOFError:
        raise RuntimeError(f"the check of {', '.join([*sets, *nets])} ended without an answer") from None
    finally:
        ours.close()
        process.join()
        process.close()
    if isinstance(chosen, UserError):
        raise chosen
    for job in plans:
        if "data" in job.effective:
            job.values["data"] = job.effective["data"] = chosen[job.effective["data"]]


def _inspect(answer, sets: list[str], nets: list[str], values: list[dict]) -> None:
    """In the other process: sends what each data set's name stands for, or the UserError.

    values: the parameters of each notebook, tried out on the first of its trials.
    """
    import signal

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during a download: no traceback
    from easel import data, models, run
    from easel.trial import Recipe, Trial

    try:
        for net in nets:
            models.check(net)
        chosen = {name: data.choose(name) for name in sets}
        for name in dict.fromkeys(chosen.values()):
            data.prepare(name)
            if name not in ("cifar10", "patterns"):
                data.describe(name)  # reads the test images too
        run.device()
        run.check_engine()
        for given in values:
            if {"data", "images", "epochs"} <= set(given):
                name = chosen[given["data"]]
                images = min(given["images"], len(data.load(name)))  # as the notebooks do
                recipe = Recipe(precision=run.precision(given.get("precision", "auto")))
                _ = Trial(model="mlp-1x1", seed=0, data=name, images=images, epochs=given["epochs"], recipe=recipe).key
    except UserError as error:
        chosen = UserError(str(error))
    answer.send(chosen)
