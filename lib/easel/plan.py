"""What `easel run` is going to execute, and with which values. It starts no notebook and writes nothing.

A profile runs each notebook once, and once more for each of its variants: profiles.yaml then has a key NOTEBOOK-WORD
beside NOTEBOOK, the word of a-z and 0-9, with parameters of its own (01_matching-photographs). A variant takes nothing
from the other key; what it does not name has the notebook's default. It is told apart by its data.

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

NETS = re.compile(r"(.+_)?models?")  # parameters that hold names of nets: model, models, target_model, ...
WORD = re.compile(r"[a-z0-9]+")  # of a variant


@dataclass
class Job:
    """One notebook to execute. values: what it is given; effective: the same over the notebook's defaults.

    stem: what its outputs are named by: the notebook's stem, followed by -WORD where it is a variant.
    """

    stem: str
    notebook: Path
    values: dict[str, object]
    effective: dict[str, object]
    variant: str = ""


def notebooks_dir() -> Path:
    """Folder of the notebooks and profiles.yaml: $EASEL_NOTEBOOKS, else notebooks/ of the checkout."""
    return Path(os.environ.get("EASEL_NOTEBOOKS") or paths.ROOT / "notebooks").expanduser()


def plan(profile: str, only=None, dataset: str | None = None, settings=None) -> list[Job]:
    """The jobs of a profile, every name and value checked against the notebooks; UserError otherwise.

    only: a number stands for its notebook and that one's variants, a name for itself alone; None: all there are.
    dataset (or the setting `data`) takes the place of the notebooks' data; variants then rest unless named in only.
    """
    folder = notebooks_dir().absolute()
    found = {path.stem: path for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"), key=lambda path: path.stem)}
    if not found:
        raise UserError(f"no notebooks (NN_name.ipynb) in {folder}; set EASEL_NOTEBOOKS to the folder that has them")
    overrides = _profile(folder / "profiles.yaml", profile, found)
    settings = dict(settings or {})
    if "profile" in settings:
        raise UserError("--set profile=… is not how a profile is chosen; use --profile")
    if dataset is not None:
        settings["data"] = dataset
    if "/" in str(settings.get("data", "")):
        path = os.path.abspath(os.path.expanduser(settings["data"]))  # a notebook runs in another folder
        settings["data"] = path + "/" * settings["data"].endswith("/")  # it says that no @PIXELS is meant
    runs = _runs(found, overrides)
    chosen = _chosen(runs, only, own_data="data" not in settings)
    defaults = {stem: parameters.read(found[stem]) for stem in found}
    for name in settings:
        asked = dict.fromkeys(runs[run] for run in chosen)
        if not any(name in defaults[stem] for stem in asked):
            names = dict.fromkeys(n for stem in asked for n in defaults[stem] if n != "profile")
            raise UserError(f"no parameter {name!r} in {', '.join(asked)}; there are: {', '.join(names)}")
    jobs = []
    for run in chosen:
        stem = runs[run]
        values = _values(run, found[stem], defaults[stem], profile, overrides.get(run) or {}, settings)
        jobs.append(Job(run, found[stem], values, defaults[stem] | values, run[len(stem) + 1 :]))
    return jobs


def _runs(found: dict[str, Path], overrides: dict) -> dict[str, str]:
    """The stem of the notebook of each run: every notebook, followed by its variants in the profile's order."""
    variants = {key: _of_variant(key, found) for key in overrides if key not in found}
    return {run: stem for stem in found for run in (stem, *(key for key, of in variants.items() if of == stem))}


def _of_variant(key: object, found: dict[str, Path]) -> str | None:
    """The stem of the notebook that a key such as 01_matching-photographs is a variant of; None if it is none."""
    stem, _, word = str(key).rpartition("-")
    return stem if stem in found and WORD.fullmatch(word) else None


def _chosen(runs: dict[str, str], only, own_data: bool) -> list[str]:
    chosen = set()
    for item in only if only is not None else dict.fromkeys(stem.split("_")[0] for stem in runs.values()):
        numbered = [run for run, stem in runs.items() if item == stem.split("_")[0] and (own_data or run == stem)]
        named = [item] if item in runs else numbered
        if not named:
            raise UserError(f"no notebook {item!r}; there are: {', '.join(runs)}")
        chosen.update(named)
    if not chosen:
        raise UserError(f"no notebook was named; there are: {', '.join(runs)}")
    return [run for run in runs if run in chosen]


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
    for key in overrides:
        if key not in found and not _of_variant(key, found):
            raise UserError(
                f"{path}: profile {profile!r} names no notebook {key!r}; there are: {', '.join(found)}, "
                "each with -WORD (a-z, 0-9) after it for a variant"
            )
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", profile) or profile in ("trials", "ledgers"):
        raise UserError(f"{path}: {profile!r} cannot be a profile's name, which becomes a folder beside the store")
    return overrides


def _values(run: str, notebook: Path, defaults: dict, profile: str, overrides: dict, settings: dict) -> dict:
    if "profile" not in defaults:
        raise UserError(f"{notebook} has no parameter 'profile'; its parameters cell begins with profile = \"smoke\"")
    values = {"profile": profile}
    for name, value in overrides.items():
        where = f"profiles.yaml, {profile}, {run}"
        if name not in defaults or name == "profile":
            names = ", ".join(n for n in defaults if n != "profile")
            raise UserError(f"{where}: no parameter {name!r}; there are: {names}")
        values[name] = parameters.typed(name, value, defaults[name], where)
    for name, value in settings.items():
        if name in defaults:
            value = parameters.from_text(value, defaults[name]) if isinstance(value, str) else value
            values[name] = parameters.typed(name, value, defaults[name], f"--set, {run}")
    return values


def check_inputs(plans: list[Job]) -> None:
    """Checks every net and data set, reading the data once so that a missing or damaged file is named now.

    "auto" becomes the data set that it stands for, the same for all. Done in a process that ends, so that this one
    holds neither PyTorch nor images while notebooks run.
    """
    sets = list(dict.fromkeys(job.effective["data"] for job in plans if "data" in job.effective))
    values = [job.effective for job in plans]
    nets = list(dict.fromkeys(net for given in values for net in _nets(given)))
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


def _nets(values: dict) -> list[str]:
    """The names of nets among a notebook's parameters; a default of None names none."""
    found = [value for name, value in values.items() if NETS.fullmatch(name) and value]
    return [net for one in found for net in (one if isinstance(one, list) else [one])]


def _inspect(answer, sets: list[str], nets: list[str], values: list[dict]) -> None:
    """In the other process: sends what each data set's name stands for, or the UserError.

    values: the parameters of each notebook, tried out on the first of its trials.
    """
    import signal

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during a download: no traceback
    from easel import data, models, perturb, run
    from easel.trial import Recipe, Trial

    try:
        for net in nets:
            models.check(net)
        chosen = {name: data.choose(name) for name in sets}
        for name in dict.fromkeys(chosen.values()):
            data.prepare(name)
            if data.parts(name)[0] not in ("cifar10", "patterns"):
                data.describe(name)  # reads the test images too
        run.device()
        run.check_engine()
        for given in values:
            if "data" not in given:
                continue
            name = chosen[given["data"]]
            size, most = data.load(name).images.shape[-1], len(data.load(name))
            for net in _nets(given):
                models.check(net, size)
            for tiles in given.get("tiles", []):
                perturb.check(f"shuffle={tiles}", size)
            if {"images", "epochs"} <= set(given):
                recipe = Recipe.of(name, precision=run.precision(given.get("precision", "auto")))
                images = min(given["images"], most)  # as the notebooks do
                _ = Trial(model="mlp-1x1", seed=0, data=name, images=images, epochs=given["epochs"], recipe=recipe).key
    except UserError as error:
        chosen = UserError(str(error))
    answer.send(chosen)
