"""What `easel run` is going to execute, and with which values. It starts no notebook, runs no notebook code, and writes
nothing.

A profile runs each notebook once, and once more for each of its variants: profiles.yaml then has a key NOTEBOOK-WORD
beside NOTEBOOK, the word of a-z and 0-9, with parameters of its own (01_matching-photographs). A variant takes nothing
from the other key; what it does not name has the notebook's default. It is told apart by its data.

A notebook's parameters are what its one cell tagged `parameters` assigns, read as Python literals; a value must have
the type of the default and lie in its range. papermill would only warn about a name that the notebook does not have,
writes names into a cell as they come (so a name can run code) and takes any type. Nets and data sets are checked then:
a request that cannot be met ends in one line before anything has started.
"""

import ast
import json
import os
import re
import reprlib
import shutil
import signal
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import ClassVar

import yaml

from easel import files, warm
from easel.errors import UserError, choices, one_line
from easel.ledger import provenance

PRELOAD = (
    "papermill",
    "nbconvert",
    "ipykernel.kernelapp",
    "seaborn",
    "torchvision",
    "easel.notebook.lab",
    "easel.plot.base",
    "easel.notebook.kernel",
)
WARMED = "EASEL_WARMED"  # JSON of names of data sets, to easel.notebook.kernel
_NETS = re.compile(r"(.+_)?models?")  # parameters that hold names of nets: model, models, target_model, ...
_IS_SOURCE = re.compile(r".+\.ipynb|profiles\.yaml|README\.md").fullmatch  # of what lies beside notebooks
WORD = re.compile(r"[a-z0-9]+")  # of a variant
LEAST_IMAGES = 20  # of a notebook: it looks at the easiest tenth, and two images are the fewest that have a distance
_PLAIN = bool | int | float | str | None  # a parameter, or each of a list of them
TWO_NETS, TESTS = "two nets", "test images"  # what a notebook may say that it needs, in metadata.easel.needs


@dataclass
class Job:
    """One notebook to execute. values: what it is given; effective: the same over the notebook's defaults.

    stem: what its outputs are named by: the notebook's stem, followed by -WORD where it is a variant or has a name.
    """

    stem: str
    notebook: Path
    values: dict[str, object]
    effective: dict[str, object]
    variant: str = ""
    beside: tuple[str, str] = ("", "")  # the stems before and after it in the profile, which its page links to


def notebooks_dir() -> Path:
    """Folder of the notebooks and profiles.yaml: $EASEL_NOTEBOOKS, else notebooks/ of the checkout or working folder,
    else those that came with the installed package."""
    own = files.named_folder(os.environ.get("EASEL_NOTEBOOKS") or files.ROOT / "notebooks")
    if own.is_dir() or os.environ.get("EASEL_NOTEBOOKS"):
        return own
    with suppress(metadata.PackageNotFoundError):
        brought = (one for one in metadata.files("easel") or () if one.name == "profiles.yaml")
        return next((Path(one.locate()).resolve().parent for one in brought), own)
    return own


def glossary() -> list[tuple[str, str]]:
    """The words that the notebooks' README.md explains, and what they mean, in Markdown; [] where there is none."""
    with suppress(OSError, UnicodeDecodeError):
        text = files.read_regular(notebooks_dir() / "README.md").decode()
        table = re.search(r"^## Ten words$(.*?)(?=^## |\Z)", text, re.M | re.S)
        return re.findall(r"^\| (?!word )(.+?) \| (.+?) \|$", table[1] if table else "", re.M)
    return []


def lay_out(folder: Path) -> Path:
    """Copies the notebooks and profiles.yaml into FOLDER/notebooks, to be worked on; UserError where that exists."""
    brought, target = notebooks_dir(), Path(folder) / "notebooks"
    if target.exists():
        raise UserError(f"{target} is there already; nothing was written")
    with files.writing_to(target.parent):
        shutil.copytree(brought, target, ignore=lambda _, names: [one for one in names if not _IS_SOURCE(one)])
    return target


def planned(profile: str, only=None, dataset: str | None = None, settings=None, name: str | None = None) -> list[Job]:
    """The jobs of a profile, every name and value checked against the notebooks; UserError otherwise.

    only: a number stands for its notebook and that one's variants, a name for itself alone; None: all there are.
    dataset (or the setting `data`) takes the place of the notebooks' data; variants then rest unless named in only.
    name: a word after the stem of each run, so that its results stand beside those of other runs.
    """
    if os.environ.get("EASEL_ENGINE") != "ray":  # whose GPUs are elsewhere
        provenance.asked_device()
    folder = notebooks_dir().absolute()
    found = {path.stem: path for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"), key=lambda path: path.stem)}
    if not found:
        raise UserError(f"no notebooks (NN_name.ipynb) in {folder}; set EASEL_NOTEBOOKS to the folder that has them")
    overrides = _profile(folder / "profiles.yaml", profile, found)
    settings = dict(settings or {}) | ({} if dataset is None else {"data": dataset})
    if "profile" in settings:
        raise UserError("--set profile=… is not how a profile is chosen; use --profile")
    data = str(settings.get("data", ""))
    own = "/" in data
    if own:
        path = os.path.abspath(files.named_folder(data))  # a notebook runs in another folder
        settings["data"] = data = path + "/" * data.endswith("/")  # it says that no @PIXELS is meant
    runs = _runs(found, overrides)
    chosen = _chosen(runs, only, own_data="data" not in settings)
    asked, defaults = dict.fromkeys(runs[run] for run in chosen), {stem: parameters_of(found[stem]) for stem in found}
    names = dict.fromkeys(one for stem in asked for one in defaults[stem] if one != "profile")
    if wrong := [setting for setting in settings if setting not in names]:
        raise UserError(f"no parameter {wrong[0]!r} in {', '.join(asked)}; {choices(names, wrong[0])}")
    if own:
        chosen = _with_tests(chosen, {run: found[runs[run]] for run in chosen}, only, data)
    shown, jobs = _results_name(data, folder) if own else profile, []
    stems = {run: run if name is None else f"{run}-{_own_word(name, runs)}" for run in chosen}
    pages = {run for run in runs if (files.results_dir() / shown / f"{run}.html").exists()}
    there = [stems.get(run, run) for run in runs if run in stems or run in pages]
    for run, stem in stems.items():
        of, at = runs[run], there.index(stem)
        values = _values(run, found[of], defaults[of], (profile, shown), overrides.get(run) or {}, settings)
        beside = ("", *there)[at], (*there, "")[at + 1]
        jobs.append(Job(stem, found[of], values, defaults[of] | values, stem[len(of) + 1 :], beside))
    return jobs


def _own_word(name: str, runs: dict[str, str]) -> str:
    """The name of a run; UserError for one that is no word, or a variant's of this profile."""
    taken = {run[len(stem) + 1 :] for run, stem in runs.items() if run != stem}
    if not WORD.fullmatch(name) or name in taken:
        raise UserError(f"--name {name!r:.60}: a word of a-z and 0-9 that is no variant's; {choices(taken, name)}")
    return name


def _runs(found: dict[str, Path], overrides: dict) -> dict[str, str]:
    """The stem of the notebook of each run, variants behind; a profile says `no` where it leaves one out."""
    variants = {key: _of_variant(key, found) for key in overrides if key not in found}
    runs = {run: stem for stem in found for run in (stem, *(key for key, of in variants.items() if of == stem))}
    return {run: stem for run, stem in runs.items() if overrides.get(run) is not False}


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
            raise UserError(f"no notebook {item!r}; {choices(runs, item)}")
        chosen.update(named)
    if not chosen:
        raise UserError(f"no notebook was named; there are: {', '.join(runs)}")
    return [run for run in runs if run in chosen]


def _results_name(name: str, folder: Path) -> str:
    """The folder of results of somebody's own data: called as they are, never a profile's or the store's."""
    from easel.data import sets

    called = re.sub(r"[^\w.-]+", "-", sets.own_name(sets.Name.of(name).plain)).lstrip(".-_") or "own"
    taken = {*profiles_in(folder / "profiles.yaml"), "trials", "ledgers", "facts"}
    return f"{called}-data" if called in taken else called


def _with_tests(chosen: list[str], notebooks: dict[str, Path], only, name: str) -> list[str]:
    """The runs that somebody's own data are enough for: where those have no test split, the ones that need none.

    The others are named; UserError where one of those was asked for, or none is left.
    """
    from easel.data import sets

    tested = True  # as far as is known: data that cannot be read are named later
    with suppress(UserError):
        tested = sets.has_tests(name)
    left = [run for run in chosen if tested or TESTS not in needs_of(notebooks[run])]
    if gone := ", ".join(run for run in chosen if run not in left):
        fix = "--hold-out 0.2 takes a fifth of every class for it"
        if only is not None or not left:
            raise UserError(f"{name} has no test split (val/), which {gone} asks for; {fix}")
        print(f"easel: {name} has no test split (val/): left out {gone}; {fix}", flush=True)
    return left


def _profile(path: Path, profile: str, found: dict[str, Path]) -> dict[str, dict]:
    """The overrides of a profile by notebook; all of profiles.yaml is checked to have that form."""
    profiles = profiles_in(path)
    if profile not in profiles:
        raise UserError(f"no profile {profile!r}; {choices(profiles, profile)}")
    overrides = profiles[profile] or {}
    if not isinstance(overrides, dict) or not all(isinstance(v, dict | None) or v is False for v in overrides.values()):
        raise UserError(f"{path}: profile {profile!r} must map notebooks to parameters")
    for key in overrides:
        if key not in found and not _of_variant(key, found):
            known = f"there are: {', '.join(found)}, each with -WORD (a-z, 0-9) after it for a variant"
            raise UserError(f"{path}: profile {profile!r} names no notebook {key!r}; {known}")
    profile_folder(profile)
    return overrides


def profile_folder(profile: str) -> Path:
    """results/PROFILE; UserError for a name that is none of a profile."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,99}", profile) or profile in ("trials", "ledgers", "facts"):
        raise UserError(f"{profile!r} cannot be a profile's name, which becomes a folder beside the store")
    return files.results_dir() / profile


def profiles_in(path: Path) -> dict:
    """What stands in a file of profiles, by profile; UserError where it is none, or cannot be read."""
    try:
        profiles = parsed(files.read_regular(path).decode())
    except (OSError, ValueError) as error:
        why = files.why(error) if isinstance(error, OSError) else error
        raise UserError(f"{path} cannot be read: {why}") from error
    if not isinstance(profiles, dict):
        raise UserError(f"{path} must map profiles to notebooks to parameters")
    return profiles


class _Loader(yaml.SafeLoader):
    """YAML as a person means it: YAML 1.1 reads 010 as 8, 1:30 as 90 and 2020-01-01 as a day, and 1e-3 as text."""

    yaml_implicit_resolvers: ClassVar = {}
    yaml_constructors: ClassVar = {}

    def construct_mapping(self, node, deep=False):
        """A mapping in which no name stands twice."""
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := [name for name in names if names.count(name) > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"{twice[0]!r} stands there twice", node.start_mark)
        return super().construct_mapping(node, deep)


for _kind, _pattern, _first, _make in (
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""], yaml.SafeLoader.construct_yaml_null),
    ("bool", "true|True|TRUE|false|False|FALSE|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF", "tTfFyYnNoO",
     yaml.SafeLoader.construct_yaml_bool),
    ("int", "[-+]?[0-9]+(_[0-9]+)*", "-+0123456789", lambda loader, node: int(node.value)),
    ("float", r"[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?", "-+.0123456789",
     lambda loader, node: float(node.value)),
    ("merge", "<<", "<", None),
    ("str", None, "", yaml.SafeLoader.construct_yaml_str),
    ("seq", None, "", yaml.SafeLoader.construct_yaml_seq),
    ("map", None, "", yaml.SafeLoader.construct_yaml_map),
):  # fmt: skip
    _tag = f"tag:yaml.org,2002:{_kind}"
    if _pattern is not None:
        _Loader.add_implicit_resolver(_tag, re.compile(f"(?:{_pattern})$", re.ASCII), list(_first))
    if _make is not None:
        _Loader.add_constructor(_tag, _make)


def parsed(text: str) -> object:
    """The value that a text means, in YAML; ValueError where it means none, or one of a kind that we do not take."""
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError) as error:  # the latter for odd tags
        raise ValueError(one_line(error)) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _values(run: str, notebook: Path, defaults: dict, of: tuple[str, str], overrides: dict, settings: dict) -> dict:
    """of: the profile that the overrides are of, and the folder of results, which the notebook calls its profile."""
    profile, shown = of
    if "profile" not in defaults:
        raise UserError(f"{notebook} has no parameter 'profile'; its parameters cell begins with profile = \"smoke\"")
    values = {"profile": shown}
    for name, value in overrides.items():
        where = f"profiles.yaml, {profile}, {run}"
        if name not in defaults or name == "profile":
            names = [n for n in defaults if n != "profile"]
            raise UserError(f"{where}: no parameter {name!r}; {choices(names, name)}")
        values[name] = typed(name, value, defaults[name], where)
    for name, value in settings.items():
        if name in defaults:
            value = from_text(value, defaults[name]) if isinstance(value, str) else value
            values[name] = typed(name, value, defaults[name], f"--set, {run}")
    nets = values.get("models", defaults.get("models"))
    if nets and TWO_NETS in needs_of(notebook) and len(set(nets)) < 2:
        raise UserError(f"{run} compares nets with each other: models = {nets[0]}; name two different ones or more")
    return values


def check_inputs(plans: list[Job], here: bool = False) -> None:
    """Checks every net and data set, reading the data once so that a missing or damaged file is named now.

    "auto" becomes the data set that it stands for, the same for all. Done in a process that ends, so that this one
    holds neither PyTorch nor images while notebooks run; or here, where they are needed next.
    """
    values = [job.effective for job in plans]
    sets = list(dict.fromkeys(given["data"] for given in values if "data" in given))
    nets = list(dict.fromkeys(net for given in values for net in nets_of(given)))
    if not sets and not nets:
        return
    chosen = _inspect(sets, nets, values) if here else _inspected(sets, nets, values)
    for job in plans:
        if "data" in job.effective:
            job.values["data"] = job.effective["data"] = chosen[job.effective["data"]]
    for name, found in chosen.items():
        if found.startswith("patterns") and not name.startswith("patterns"):
            wanted = "tiny-imagenet-10" if name.startswith("photographs") else "cifar10"
            stand_ins = f"images drawn by code stand in (easel data {wanted} gets the real ones)"
            print(f"easel: {name}: no {wanted} in {files.data_dir()}; {stand_ins}", flush=True)


def _inspected(sets: list[str], *asked) -> dict[str, str]:
    """`_inspect`, in a process of its own; the one it is forked from reads the data sets, for all that come later."""
    environ = dict(os.environ)
    os.environ[WARMED] = json.dumps(sets)
    try:
        with ProcessPoolExecutor(1, warm.context(PRELOAD), _settle, (environ,)) as process:
            return process.submit(_inspect, sets, *asked).result()
    finally:
        del os.environ[WARMED]


def _settle(environ: dict[str, str]) -> None:
    """In the other process: Ctrl-C during a download ends it without a traceback."""
    warm.settle(environ)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def check_enough(data: str, images: int) -> int:
    """The number of images, or UserError: so few say nothing, and a tenth of them is none."""
    if images < LEAST_IMAGES:
        enough = f"a notebook takes {LEAST_IMAGES} or more, to look at a tenth of them"
        raise UserError(f"{images} images of {data}: {enough}")
    return images


def nets_of(values: dict) -> list[str]:
    """The names of nets among a notebook's parameters; a default of None names none."""
    found = [value for name, value in values.items() if _NETS.fullmatch(name) and value]
    return [net for one in found for net in (one if isinstance(one, list) else [one])]


def _inspect(sets: list[str], nets: list[str], values: list[dict]) -> dict[str, str]:
    """What each data set's name stands for; UserError for a net or data set that is none, and for what does not fit.

    values: the parameters of each notebook, tried out on the first of its trials.
    """
    from easel.data import changes, sets as data
    from easel.ledger.trial import Recipe, Trial
    from easel.nets import names as models
    from easel.train import ensure as run

    for net in nets:
        models.check(net)
    chosen = {name: data.choose(name) for name in sets}
    for name in dict.fromkeys(chosen.values()):
        data.load(name)
        if data.Name.of(name).plain not in ("cifar10", "patterns"):
            data.describe(name)  # reads the test images too
    run.device()
    run.check_engine()
    for given in (one for one in values if "data" in one):
        name = chosen[given["data"]]
        size, most = data.load(name).images.shape[-1], len(data.load(name))
        for net in nets_of(given):
            models.check(net, size)
        for tiles in given.get("tiles", []):
            changes.check_view(f"shuffle={tiles}", size)
        if "images" in given:
            check_enough(name, min(given["images"], most))
        if {"images", "epochs"} <= set(given):
            recipe = Recipe.of(name, precision=run.precision(given.get("precision", "auto")))
            images = min(given["images"], most)  # as the notebooks do
            _ = Trial(model="mlp-1x1", seed=0, data=name, images=images, epochs=given["epochs"], recipe=recipe).key
    return chosen


RANGES = {  # of numbers, and lists of them, by name: what is in range, and that in words
    "seed": (lambda seed: seed >= 0, "from 0 up"),
    "trials": (lambda group: group >= 2, "from 2 up"),  # an interval leaves one of them out
    "ensemble": (lambda nets: nets >= 2, "from 2 up"),
    "rates": (lambda share: 0 <= share < 1, "from 0 up, below 1"),  # of the examples: dropped or relabelled
    "alphas": (lambda alpha: 0 <= alpha <= 1, "from 0 to 1"),  # of the colour grid: grey to as it was
    "tiles": (lambda side: side >= 1, "from 1 up"),  # tiles a side: 1 is the whole image
    "radii": (lambda pixels: pixels >= 0, "from 0 up"),  # of the Fourier mask
    "deltas": (lambda share: 0 < share <= 1, "above 0, at most 1"),  # of the mini-batches: trained on
    "keeps": (lambda percent: 0 < percent <= 100, "above 0, at most 100"),  # of the examples: kept
}


def parameters_of(notebook: Path) -> dict[str, object]:
    """The parameters of a notebook and their defaults, in the order of its parameters cell.

    UserError where it is no notebook, or the cell has something else than texts, numbers, truth values, None and lists.
    """
    content = _read(notebook)
    try:
        tagged = [c for c in content["cells"] if "parameters" in c.get("metadata", {}).get("tags", [])]
        sources = ["".join(c["source"]) for c in tagged]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{notebook} cannot be read as a notebook ({type(error).__name__}: {error})") from error
    if len(sources) != 1:
        raise UserError(f"{notebook} has {len(sources)} cells tagged 'parameters'; it needs exactly one")
    try:
        with warnings.catch_warnings(action="ignore"):  # of odd escapes in texts
            found = dict(_assignment(line) for line in ast.parse(sources[0]).body)
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise UserError(f"{notebook}: its parameters cell must only assign literals to names ({error})") from error
    if not isinstance(found.get("data", ""), str):
        raise UserError(f"{notebook}: data = {_BRIEF.repr(found['data'])} in its parameters cell is no data set's name")
    for name, default in found.items():
        for one in default if isinstance(default, list) else [default]:
            if not isinstance(one, _PLAIN):
                what = f"{name} = {_BRIEF.repr(one)}"
                raise UserError(f"{notebook}: its parameters cell has {what}; texts, numbers, True, False, None, lists")
    return found


def parameters_given(notebook: Path) -> dict[str, object]:
    """A notebook's parameters as it was executed: those of its cell, with what papermill put in their place."""
    given = {}
    with suppress(UserError):
        given |= parameters_of(notebook)
    with suppress(UserError, KeyError, TypeError):
        given |= _read(notebook)["metadata"]["papermill"]["parameters"]
    return given


def needs_of(notebook: Path) -> list[str]:
    """What a notebook says that it needs, of TWO_NETS and TESTS; [] where it says nothing. UserError if it is none."""
    with suppress(KeyError, TypeError):
        return [*_read(notebook)["metadata"]["easel"]["needs"]]
    return []


def _read(notebook: Path) -> dict:
    try:
        return dict(json.loads(files.read_regular(notebook)))
    except OSError as error:
        raise UserError(f"{notebook} cannot be read as a notebook: {files.why(error)}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise UserError(f"{notebook} cannot be read as a notebook ({type(error).__name__}: {error})") from error


def split(setting: str) -> tuple[str, str]:
    """Name and text of a setting as typed: `epochs=3` -> ("epochs", "3")."""
    name, equals, text = setting.partition("=")
    if not equals or not name.strip() or not text.strip():
        raise UserError(f"--set {setting!r} is not NAME=VALUE; for example: --set epochs=3")
    return name.strip(), text.strip()


def from_text(text: str, default: object) -> object:
    """A value as typed on the command line: text stays text where text is wanted, `1,2,5` is a list where one is."""
    if isinstance(default, str):
        return text
    if isinstance(default, list) and not text.startswith("["):
        text = f"[{text}]"
    try:
        return parsed(text)
    except ValueError:
        return text  # no number and no list either; typed() says what it should have been


def typed(name: str, value: object, default: object, where: str) -> object:
    """The value with the type of the default, or UserError: one line with the value and what would be right.

    int and float: finite, and within `_bound`. An int fits a float, a bool fits neither. Lists: not empty, each element
    fitting the default's elements. A default of None takes any literal.
    """
    if not isinstance(default, list):
        return _scalar(name, value, default, where)
    if not isinstance(value, list) or not value:
        raise _wrong(name, value, where, f"a list that is not empty, such as {default!r}")
    example = default[0] if default else None  # what stands for the default: of numbers the lowest
    if default and all(type(one) in (int, float) for one in default):
        example = min(default) if all(type(one) is int for one in default) else float(min(default))
    return [_scalar(name, one, example, where, "a list, each ") for one in value]


def _scalar(name: str, value: object, default: object, where: str, of: str = "") -> object:
    if isinstance(default, float) and type(value) is int:
        value = float(value) if abs(value) < 2**53 else float("inf")
    within, words = _bound(name, default)
    fits = isinstance(value, _PLAIN) if default is None else type(value) is type(default)
    if fits and type(value) in (int, float):
        fits = abs(value) < 1e300 and within(value)  # not so for nan
    if fits and isinstance(value, str):
        fits = bool(value.strip()) and value.isprintable()
    if not fits:
        kinds = {bool: "true or false", int: f"a whole number {words}", float: f"a finite number {words}"}
        wanted = kinds | {str: "a text", type(None): f"a text or a finite number {words}"}
        raise _wrong(name, value, where, of + wanted[type(default)].strip())
    return value


def _bound(name: str, default: object) -> tuple[Callable[[float], bool], str]:
    """Whether a number is in range, and the range in words: by its name, else by its default."""
    if name in RANGES:
        return RANGES[name]
    if type(default) in (int, float) and default <= 0:
        return ((lambda n: n >= 0), "from 0 up") if default == 0 else ((lambda n: True), "")
    return (lambda n: n > 0), "above 0"


def _wrong(name: str, value: object, where: str, wanted: str) -> UserError:
    return UserError(f"{where}: {name} = {_BRIEF.repr(value)} does not fit; it takes {wanted}")


_BRIEF = reprlib.Repr()  # a few letters of a value, however large or nested
_BRIEF.maxstring = _BRIEF.maxother = 60


def _assignment(line: ast.stmt) -> tuple[str, object]:
    targets = line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", None)]
    plain = isinstance(line, ast.Assign | ast.AnnAssign) and line.value is not None
    if not plain or len(targets) != 1 or not isinstance(targets[0], ast.Name):
        raise ValueError(f"line {line.lineno} assigns nothing to a plain name")
    return targets[0].id, ast.literal_eval(line.value)
