"""What `easel bench` makes of its timings: rates, ratios, estimates, and the table. Nothing here measures.

A profile's estimate is trials x epochs x seconds of an epoch, in the precision that the profile asks for. `trials` of a
notebook is the size of one of its two disjoint groups. Nets that were not measured are scaled by their work.
"""

import statistics
from typing import NamedTuple

import yaml

from easel import plan
from easel.errors import UserError
from easel.models import family, multiply_adds
from easel.provenance import machine

SMALL_NET = 3e6  # what an image costs beside multiplications, in multiply-adds, as in run.work
GROUPS = 2  # of trials, in a notebook that does not say


def spread(values) -> dict[str, float]:
    values = list(values)
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def paired(slow: list[float], fast: list[float]) -> dict[str, float]:
    """How many times faster: the ratio of each repeat's two timings, its median, smallest and largest."""
    return spread(s / f for s, f in zip(slow, fast, strict=True))


def derived(row: dict, precision: str) -> dict:
    """Rates, ratios and epochs of a row with raw seconds and `roofline_s`, the least seconds of an image's training.

    An epoch is training and one evaluation of the training images, by precision and number of images.
    """
    seconds, images = row["seconds"], row["images"]
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    rate = {name: images / s for name, s in middle.items()}
    each = {precision: (middle["easel"] + middle["evaluation"]) / images}
    if "easel_fp32" in middle:
        each["fp32"] = (middle["easel_fp32"] + middle["evaluation_fp32"]) / images
    return {
        "images_per_s": rate,
        "easel_over_plain": paired(seconds["plain"], seconds["easel"]),
        "resident_over_plain": paired(seconds["plain"], seconds["resident"]),
        "evaluation_share": spread(e / (c + e) for c, e in zip(seconds["easel"], seconds["evaluation"], strict=True)),
        "epoch_s": {p: {str(n): n * s for n in (10_000, 50_000)} for p, s in each.items()},
        "share_of_roofline": row["roofline_s"] * rate["easel"],
    }


class Wanted(NamedTuple):
    """Trials that differ in their seed alone: what two notebooks must agree in to share them."""

    model: str
    epochs: int
    images: int
    precision: str
    data: str
    shared_order: int


TWO_GROUPS = "range(2 * trials)"  # stands in the source of a notebook that trains two groups of each net


def profiles() -> tuple[dict[str, list[dict]], list[str]]:
    """Profile -> the parameters of those of its notebooks whose trials can be told from them; and what cannot be read.

    These are the notebooks that train two groups of `trials` trials of each net (easiness, Table 1, the explorer, the
    perturbations). The others train arms, ensembles and sweeps, and only say when they run.
    """
    found, faults = {}, []
    try:
        names = list(yaml.safe_load((plan.notebooks_dir() / "profiles.yaml").read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError) as fault:
        return {}, [f"no profiles.yaml to read in {plan.notebooks_dir()} ({type(fault).__name__})"]
    for name in names:
        try:
            jobs = plan.plan(name)
            found[name] = [job.effective for job in jobs if TWO_GROUPS in job.notebook.read_text(encoding="utf-8")]
        except UserError as fault:
            faults.append(str(fault))
    return found, faults


def trials_of(settings: dict, auto: str) -> dict[Wanted, int]:
    """How many trials a notebook with these parameters asks for, as far as they say. auto: precision measured here."""
    nets = settings.get("models", settings.get("model"))
    nets = [nets] if isinstance(nets, str) else nets
    trials, epochs, groups = (settings.get(name) for name in ("trials", "epochs", "groups"))
    if not isinstance(nets, list | tuple) or type(trials) is not int or type(epochs) is not int:
        return {}
    images = settings.get("images")
    images = images if type(images) is int and images > 0 else 50_000
    precision = settings.get("precision", "auto")
    rest = (auto if precision == "auto" else precision, settings.get("data", ""), settings.get("shared_order") or 0)
    number = trials * (groups if type(groups) is int else GROUPS)
    return {Wanted(net, epochs, images, *rest): number for net in nets}


def epoch_seconds(model: str, images: int, precision: str, rows: list[dict], size: int = 32) -> float:
    """Seconds of an epoch: as measured, or scaled by work from the measured nets of its family, or from all.

    size: side of the images in pixels; what was measured had 32.
    """
    measured = {row["model"]: row["epoch_s"][precision]["10000"] / 10_000 for row in rows}
    if model in measured and size == 32:
        return images * measured[model]
    alike = [name for name in measured if family(name) == family(model)] or list(measured)
    rate = statistics.median(measured[name] / (multiply_adds(name) + SMALL_NET) for name in alike)
    return images * rate * (multiply_adds(model, size=size) + SMALL_NET * (size / 32) ** 2)


def estimate(profile: str, notebooks: list[dict], rows: list[dict], auto: str, workers: int) -> dict:
    """What training a profile takes on `workers` cores or GPUs. Trials that notebooks share are trained once.

    UserError if the profile asks for a precision that was not measured.
    """
    wanted: dict[Wanted, int] = {}
    for settings in notebooks:
        for what, number in trials_of(settings, auto).items():
            wanted[what] = max(number, wanted.get(what, 0))
    seconds = 0.0
    for what, number in wanted.items():
        if what.precision not in rows[0]["epoch_s"]:
            raise UserError(f"profile {profile} wants {what.precision}, which was not measured on this machine")
        pixels = what.data.rpartition("@")[2]
        size = int(pixels) if "@" in what.data and pixels.isdecimal() else 32
        seconds += number * what.epochs * epoch_seconds(what.model, what.images, what.precision, rows, size) / workers
    scaled = sorted({what.model for what in wanted} - {row["model"] for row in rows})
    return {"profile": profile, "trials": sum(wanted.values()), "seconds": seconds, "scaled": scaled}


COLUMNS = "{:<20}{:>7}{:>9}{:>9}{:>9}{:>24}{:>9}{:>7}{:>9}{:>9}{:>9}"


def opening(setting, ceilings: dict[str, float]) -> list[str]:
    """What is measured where, and the table's head."""
    here = machine(setting.device)
    reached = ", ".join(f"{k.removesuffix('_gflops')} {v:,.0f} GFLOP/s" for k, v in ceilings.items() if "gflops" in k)
    how = "one thread" if setting.device == "cpu" else "one GPU"
    return [
        f"{here['device']}; PyTorch {here['torch']}; {how}; batches of {setting.recipe.batch_size}; "
        f"easel computes in {setting.recipe.precision}",
        f"ceilings measured: {reached}, copy {ceilings['copy_gb_per_s']:,.0f} GB/s",
        "images/s of training; easel/plain: median (smallest..largest) of paired timings; epoch: with its evaluation",
        COLUMNS.format("", "", "", "", "", "", "evalu-", "of an", "epoch", "epoch", "of"),
        COLUMNS.format(
            "net",
            "images",
            "plain",
            "resident",
            "easel",
            "easel/plain",
            "ation",
            "epoch",
            "10,000",
            "50,000",
            "roofline",
        ),
    ]


def table_row(row: dict) -> str:
    rate, epoch = row["images_per_s"], next(iter(row["epoch_s"].values()))
    return COLUMNS.format(
        row["model"],
        f"{row['images']:,}",
        *(f"{rate[arm]:,.0f}" for arm in ("plain", "resident", "easel")),
        _range(row["easel_over_plain"]),
        f"{rate['evaluation']:,.0f}",
        f"{row['evaluation_share']['median']:.0%}",
        *(_seconds(epoch[images]) for images in ("10000", "50000")),
        f"{row['share_of_roofline']:.0%}",
    )


def closing(result: dict) -> list[str]:
    """What stands under the table."""
    aug, pair, peak = result["augmentation"], result["parallel"], result["peak_process_mib"]
    lines = [
        f"augmentation: PIL loader {aug['images_per_s']['plain']:,.0f} images/s, easel "
        f"{aug['images_per_s']['easel']:,.0f}: {_range(aug['easel_over_plain'])} times"
    ]
    if pair:
        lines.append(
            f"{pair['workers']} processes train {_range(pair['speed_up'])} times what one does ({pair['model']})"
        )
    for row in result["nets"]:
        if "graph" in row["images_per_s"]:
            alone, ours = row["images_per_s"]["graph"], row["images_per_s"]["easel"]
            first = row["first_two_batches_s"]
            lines.append(
                f"{row['model']}: {row['at_once']} trials at once, {ours / alone:.2f} times one alone in its graph "
                f"({alone:,.0f} images/s); first use with its capture {first['easel']:.1f} s"
            )
        if row["peak_mib"]:
            lines.append(
                f"GPU memory, {row['model']}: " + ", ".join(f"{k} {v:,.0f} MiB" for k, v in row["peak_mib"].items())
            )
    if peak is not None:
        lines.append(f"memory of this process, all loops together: {peak:,.0f} MiB at most")
    for one in result["estimates"]:
        if one["trials"]:
            rough = f"; scaled by work, rough: {', '.join(one['scaled'])}" if one["scaled"] else ""
            lines.append(
                f"profile {one['profile']}, training of notebooks 00 to 03 alone, here: about "
                f"{_seconds(one['seconds'])} ({one['trials']:,} trials{rough})"
            )
    return lines


def _range(ratio: dict[str, float]) -> str:
    return "{median:.2f} ({min:.2f}..{max:.2f})".format(**ratio)


def _seconds(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
