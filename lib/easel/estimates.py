"""How long a profile will train here: what each notebook trains, from its parameters alone, times measured speeds.

No data set is read, so `easel bench` can say it before any is there. What a notebook trains is written down here a
second time, next to the notebook's own code; the tests hold it to the number of trials that committed results used.
"""

import statistics
from collections.abc import Callable, Iterable
from typing import NamedTuple

import yaml

from easel.data import changes
from easel.errors import UserError
from easel.nets.names import family, multiply_adds
from easel.notebook import plan
from easel.sections.subsets import HOW, grid

SMALL_NET = 3e6  # what an image costs beside multiplications, in multiply-adds, as in run.work
MERGED = 1.2  # training and test images together, over the training images: CIFAR-10's 60,000 of 50,000


class Asked(NamedTuple):
    """Trials that differ in their seed, or in which images they leave out: what two notebooks may share."""

    notebook: str  # "" where other notebooks train the same trials
    model: str
    data: str
    precision: str
    shared_order: int
    epochs: int
    trained: float  # images of one trial's training, all epochs together
    evaluated: float  # images of its evaluations, all together


def asked(stem: str, settings: dict, auto: str) -> dict[Asked, int]:
    """What a notebook with these parameters trains: {trials: how many}.

    stem: one of NOTEBOOKS; auto: the precision that "auto" stands for. UserError: a parameter that is missing, or not
    of its kind.
    """
    precision = settings.get("precision", "auto")
    precision = auto if precision == "auto" else precision
    shared = stem.split("_")[0] in ("00", "01", "02")
    rest = (settings.get("data", ""), precision, settings.get("shared_order") or 0)
    found: dict[Asked, int] = {}
    try:
        for model, number, epochs, trained, evaluated in NOTEBOOKS[stem](settings):
            what = Asked("" if shared else stem, model, *rest, epochs, trained, evaluated)
            found[what] = found.get(what, 0) + number
    except (KeyError, TypeError, ValueError) as fault:
        raise UserError(
            f"{stem}: its parameters do not say what it trains ({type(fault).__name__}: {fault})"
        ) from fault
    return found


Counts = Iterable[tuple[str, int, int, float, float]]  # net, trials, epochs, images trained and evaluated by each


def _groups(settings: dict) -> Counts:
    """00, 01, 02: two groups of trials of each net, evaluated on the training images after every epoch."""
    images, epochs = settings["images"], settings["epochs"]
    nets = [*settings.get("models", ()), *[settings[name] for name in ("model",) if name in settings]]
    for net, trials in zip(dict.fromkeys(nets), _each(settings, nets), strict=True):
        yield net, 2 * trials, epochs, images * epochs, images * epochs
    if "trained net" in settings.get("spaces", ()):  # 02: one more, whose features are used
        yield settings["models"][0], 1, epochs, images * epochs, images * epochs


def _changed(settings: dict) -> Counts:
    """03: two groups, evaluated on every changed view of the training images at the end."""
    images, epochs = settings["images"], settings["epochs"]
    grids = changes.grids(_size(settings["data"]), settings["grid"])
    views = {view for grid in grids.values() for view in grid.values()} - {"train"}
    for net, trials in zip(settings["models"], _each(settings, settings["models"]), strict=True):
        yield net, 2 * trials, epochs, images * epochs, images * (epochs + len(views))


def _each(settings: dict, nets: list[str]) -> list[int]:
    trials = settings["trials"] if isinstance(settings["trials"], list) else [settings["trials"]]
    return trials * len(set(nets)) if len(trials) == 1 else trials


def _ablation(settings: dict) -> Counts:
    """04: voters, then a sweep over rates, ways to choose and seeds, with controls of the late rates."""
    net, images, trials, epochs = (settings[name] for name in ("model", "images", "trials", "epochs"))
    yield net, 4 * trials, 1, images, images
    evaluated = images * (epochs + 1)  # the last: test images
    rates, judged = grid(settings["rates"])
    late = [rate for rate in judged if rate > 0.5] or judged[-1:]
    yield net, trials, epochs, images * epochs, evaluated
    for rate in rates[1:]:
        left = 1 - rate
        yield net, 3 * trials, epochs, images * epochs * left, evaluated
        yield net, 3 * trials, epochs, images * epochs, evaluated
        if rate in late:
            yield net, 4 * trials, epochs, images * epochs * left, evaluated


def _validation(settings: dict) -> Counts:
    """05: trials of one epoch on training and test images merged, and ensembles that see the training images alone."""
    images, epochs = settings["images"], settings["epochs"]
    for net in settings["models"]:
        yield net, settings["trials"], 1, MERGED * images, MERGED * images
        yield net, settings["ensemble"], epochs, images * epochs, images * (epochs + 2 * (MERGED - 1))


def _learnability(settings: dict) -> Counts:
    """06: some seeds of each net."""
    images, epochs = settings["images"], settings["epochs"]
    for net in dict.fromkeys(settings["models"]):
        yield net, settings["trials"], epochs, images * epochs, images * epochs


def _high_loss(settings: dict) -> Counts:
    """07: voters, then arms of equally many updates; the controls and the grouped arms for the first net only."""
    images, epochs, trials = settings["images"], settings["epochs"], settings["trials"]
    shares = len({delta for delta in settings["deltas"] if delta != 1})
    for n, net in enumerate(settings["models"]):
        yield net, max(3, trials), 1, images, images
        arms = 2 + 2 * shares + 2 if n == 0 else 2 + shares
        yield net, arms * trials, epochs, images * epochs, images * epochs * 1.5


def _compression(settings: dict) -> Counts:
    """08: voters of a large and a small net, then subsets at equal epochs and equal updates, and shorter trainings."""
    images, epochs, trials, (large, cheap) = (settings[name] for name in ("images", "epochs", "trials", "models"))
    for net in (large, cheap):
        yield net, 4 * trials, 1, images, images
    whole = images * epochs
    yield large, trials, epochs, whole, whole
    for keep in (percent / 100 for percent in dict.fromkeys(settings["keeps"]) if percent < 100):
        yield large, len(HOW) * trials, epochs, keep * whole, whole
        yield (
            large,
            (len(HOW) + 1) * trials,
            round(epochs / keep),
            whole,
            whole / keep,
        )  # equal updates; + the small net's
        yield large, trials, round(epochs * keep), keep * whole, keep * whole


NOTEBOOKS: dict[str, Callable[[dict], Counts]] = {
    "00_easiness": _groups,
    "01_matching": _groups,
    "02_visualization": _groups,
    "03_perturbations": _changed,
    "04_ablation": _ablation,
    "05_validation_hardness": _validation,
    "06_learnability": _learnability,
    "07_hard_minibatches": _high_loss,
    "08_compression": _compression,
}


def of_profiles(rows: list[dict], auto: str, workers: int) -> tuple[list[dict], list[str]]:
    """The estimate of each profile, and one line for each that cannot be read or estimated. Arguments: `estimate`."""
    found, faults = [], []
    try:
        names = list(yaml.safe_load((plan.notebooks_dir() / "profiles.yaml").read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError) as fault:
        return [], [f"no profiles.yaml to read in {plan.notebooks_dir()} ({type(fault).__name__})"]
    for name in names:
        try:
            found.append(estimate(name, plan.plan(name), rows, auto, workers))
        except UserError as fault:
            faults.append(str(fault))
    return found, faults


def image_seconds(model: str, precision: str, rows: list[dict], size: int = 32) -> tuple[float, float]:
    """Seconds to train on an image, and to evaluate one: as measured, or scaled by work from the nets of its family.

    Without one of its family it is scaled from all. size: side of the images in pixels; what was measured had 32.
    """
    measured = {row["model"]: row["image_s"][precision] for row in rows}
    if model in measured and size == 32:
        return tuple(measured[model])
    alike = [name for name in measured if family(name) == family(model)] or list(measured)
    work = multiply_adds(model, size=size) + SMALL_NET * (size / 32) ** 2
    per_work = zip(*([s / (multiply_adds(n) + SMALL_NET) for s in measured[n]] for n in alike), strict=True)
    training, evaluation = (work * statistics.median(of_nets) for of_nets in per_work)
    return training, evaluation


def estimate(profile: str, jobs: list[plan.Job], rows: list[dict], auto: str, workers: int) -> dict:
    """What training a profile takes on `workers` cores or GPUs. Trials that notebooks share are trained once.

    "without" names the notebooks that are not in NOTEBOOKS. UserError as in `asked`, and if the profile asks for a
    precision that was not measured.
    """
    wanted: dict[Asked, int] = {}
    known = [job for job in jobs if job.notebook.stem in NOTEBOOKS]
    for job in known:
        for what, number in asked(job.notebook.stem, job.effective, auto).items():
            what = what._replace(notebook=what.notebook and job.stem)
            wanted[what] = max(number, wanted.get(what, 0))
    seconds = 0.0
    for what, number in wanted.items():
        if what.precision not in rows[0]["image_s"]:
            raise UserError(f"profile {profile} wants {what.precision}, which was not measured on this machine")
        training, evaluation = image_seconds(what.model, what.precision, rows, _size(what.data))
        seconds += number * (what.trained * training + what.evaluated * evaluation) / workers
    scaled = sorted({what.model for what in wanted} - {row["model"] for row in rows})
    without = [job.stem for job in jobs if job not in known]
    total = {"profile": profile, "trials": sum(wanted.values()), "seconds": seconds}
    return total | {"scaled": scaled, "without": without}


def _size(data: str) -> int:
    pixels = data.rpartition("@")[2]
    return int(pixels) if "@" in data and pixels.isdecimal() else 32
