"""What `easel bench` makes of its timings: rates, ratios and the table. Nothing here measures."""

import statistics

from easel.ledger.provenance import machine


def spread(values) -> dict[str, float]:
    values = list(values)
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def paired(slow: list[float], fast: list[float]) -> dict[str, float]:
    """How many times faster: the ratio of each repeat's two timings, its median, smallest and largest."""
    return spread(s / f for s, f in zip(slow, fast, strict=True))


def derived(row: dict, precision: str) -> dict:
    """Rates, ratios and epochs of a row with raw seconds and `roofline_s`, the least seconds of an image's training.

    image_s: seconds to train on an image and to evaluate one, by precision. An epoch is training and one evaluation of
    the training images, by precision and number of images.
    """
    seconds, images = row["seconds"], row["images"]
    middle = {name: statistics.median(values) for name, values in seconds.items()}
    rate = {name: images / s for name, s in middle.items()}
    each = {precision: [middle["easel"] / images, middle["evaluation"] / images]}
    if "easel_fp32" in middle:
        each["fp32"] = [middle["easel_fp32"] / images, middle["evaluation_fp32"] / images]
    return {
        "images_per_s": rate,
        "easel_over_plain": paired(seconds["plain"], seconds["easel"]),
        "resident_over_plain": paired(seconds["plain"], seconds["resident"]),
        "evaluation_share": spread(e / (c + e) for c, e in zip(seconds["easel"], seconds["evaluation"], strict=True)),
        "image_s": each,
        "epoch_s": {p: {str(n): n * sum(both) for n in (10_000, 50_000)} for p, both in each.items()},
        "share_of_roofline": row["roofline_s"] * rate["easel"],
    }


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
            rough += f"; without {', '.join(one['without'])}" if one["without"] else ""
            lines.append(
                f"profile {one['profile']}, its training, here: about {_seconds(one['seconds'])} "
                f"({one['trials']:,} trials{rough})"
            )
    return lines


def _range(ratio: dict[str, float]) -> str:
    return "{median:.2f} ({min:.2f}..{max:.2f})".format(**ratio)


def _seconds(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
