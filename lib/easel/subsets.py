"""Trainings on what is kept of a data set, and what they cost (EH's later abstract: compression by easiness).

What is kept is `easel.compression`'s choice. A subset can be trained for as many EPOCHS as the whole set, which makes
the training cheaper and also shorter, or for as many UPDATES, which asks whether its images are worth as much. Costs
are multiply-adds of nets, which need no stopwatch; the choosing is part of the cost.

It never trains, and never looks at an accuracy.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from easel import compression, models
from easel.errors import UserError
from easel.trial import Edit, Trial

BUDGETS = ("epochs", "updates")
COLUMNS = ["budget", "chooser", "how", "keep", "images", "epochs", "updates", "trial"]


def wanted(models: Iterable[str], keeps: Iterable[float]) -> tuple[str, str, list[float]]:
    """The net that is trained, the small one that chooses for it, and the shares kept: percent below 100, ascending.

    UserError: not two different nets; no share above 0 and below 100.
    """
    models, keeps = list(models), sorted({float(percent) for percent in keeps if percent != 100})
    if len(models) != 2 or models[0] == models[1]:
        raise UserError(f"models {', '.join(models)}: two different nets, the one to train and a small one")
    if not keeps or not 0 < keeps[0] <= keeps[-1] < 100:
        raise UserError(f"keeps {keeps}: percentages above 0, at least one below 100")
    return (*models, keeps)


def epochs_for(trial: Trial, kept: int, budget: str) -> int:
    """Epochs that `kept` of the trial's examples are trained for: as many as it has, or as many as give its updates.

    budget "epochs": the trial's own; "updates": its epochs x batches over the batches of the subset, rounded, at least
    1. A batch is the recipe's, the last of an epoch may be smaller. UserError: kept outside 1..examples, other budgets.
    """
    if budget not in BUDGETS:
        raise UserError(f"budget {budget!r}: one of {', '.join(BUDGETS)}")
    examples = len(trial.examples)
    if not 1 <= kept <= examples:
        raise UserError(f"kept={kept}: from 1 to the {examples} examples that there are")
    if budget == "epochs":
        return trial.epochs
    return max(1, int(updates(trial, examples, trial.epochs) / updates(trial, kept, 1) + 0.5))


def updates(trial: Trial, kept: int, epochs: int) -> int:
    """Steps of the optimiser in so many epochs over `kept` examples, in the batches of the trial's recipe."""
    return epochs * -(-kept // trial.recipe.batch_size)


def plan(
    whole: Trial,
    rankings: Mapping[str, np.ndarray],
    *,
    keeps: Iterable[float],
    hows: Iterable[str],
    seeds: Iterable[int],
    budget: str,
    view: str = "test",
) -> pd.DataFrame:
    """The trials that a comparison of subsets needs: `whole` on each of them, with every seed.

    whole: the trial on all examples, of any seed; its recipe's horizon becomes the epochs of each trial, so that the
    learning rate ends at 0 in all. rankings: {who chose: easiness (examples,)}; keeps: percent, above 0, at most 100;
    hows: of `compression.HOW`, what is dropped; view: evaluated after the last epoch, such as "test:2000".
    Columns: COLUMNS. 100 is the whole trial, however it is chosen,
    and "random" is the same set for every chooser. UserError as in `compression.keep` and `epochs_for`.
    """
    labels, rows, seeds = whole.examples.labels.numpy(), [], list(seeds)
    for chooser, easiness in rankings.items():
        if len(easiness) != len(labels):
            raise UserError(f"easiness of {len(easiness)} examples by {chooser!r}: the trial has {len(labels)}")
        for how in hows:
            for percent in keeps:
                for seed in seeds:
                    kept = compression.keep(easiness, percent / 100, how, seed=seed, labels=labels)
                    epochs = epochs_for(whole, len(kept), budget)
                    trial = replace(
                        whole,
                        seed=seed,
                        epochs=epochs,
                        recipe=replace(whole.recipe, horizon=epochs),
                        edit=Edit(keep=kept) if len(kept) < len(labels) else None,
                        views=(f"{view}@{epochs}",),
                    )
                    steps = updates(whole, len(kept), epochs)
                    rows.append((budget, chooser, how, float(percent), len(kept), epochs, steps, trial))
    return pd.DataFrame(rows, columns=COLUMNS)


def shorter(whole: Trial, *, keeps: Iterable[float], seeds: Iterable[int], view: str = "test") -> pd.DataFrame:
    """What the cost of a subset buys on all examples: `whole`, trained for keep percent of its epochs (at least one).

    The epochs are rounded, so a subset may be somewhat cheaper or dearer than this. Columns as of `plan`, with budget
    "epochs", chooser "" and how "all"; the schedule ends with the run.
    """
    rows = []
    for percent in keeps:
        epochs = max(1, int(percent / 100 * whole.epochs + 0.5))
        for seed in seeds:
            recipe = replace(whole.recipe, horizon=epochs)
            trial = replace(whole, seed=seed, epochs=epochs, recipe=recipe, views=(f"{view}@{epochs}",))
            images = len(whole.examples)
            rows.append(("epochs", "", "all", float(percent), images, epochs, updates(whole, images, epochs), trial))
    return pd.DataFrame(rows, columns=COLUMNS)


# ---- what it costs --------------------------------------------------------------------------------------------------


def cost(model: str, images: int, epochs: int, *, classes: int, size: int, evaluated: int = 0) -> float:
    """Multiply-adds of a training: three passes over each image and epoch, and one over each image evaluated after it.

    images: trained on; evaluated: images of a forward pass after every epoch (counting who is right needs it, training
    does not). size: side of the images in pixels.
    """
    return models.multiply_adds(model, classes=classes, size=size) * epochs * (3.0 * images + evaluated)


def costs(points: pd.DataFrame, choosing: Mapping[str, float]) -> pd.DataFrame:
    """What choosing and training cost, in trainings on all examples: chooser, budget, keep, choosing, training, total,

    and pays_after: from how many trainings on the subset on both together are cheaper than as many on all examples; inf
    where a subset's training is not cheaper. points: of `plan`; choosing: {chooser: multiply-adds of all its trials}.
    """
    rows = []
    for (chooser, budget, keep), group in points.groupby(["chooser", "budget", "keep"], sort=False):
        trial, kept = group.trial.iloc[0], int(group.images.iloc[0])
        shape = {"classes": len(trial.examples.classes), "size": trial.examples.images.shape[-1]}
        plain = _whole_epochs(points, trial)
        full = cost(trial.model, len(trial.examples), plain, **shape)
        training, chosen = cost(trial.model, kept, trial.epochs, **shape) / full, choosing[chooser] / full
        after = np.ceil(chosen / (1 - training)) if training < 1 else np.inf
        rows.append((chooser, budget, keep, chosen, training, chosen + training, after))
    names = ["chooser", "budget", "keep", "choosing", "training", "total", "pays_after"]
    return pd.DataFrame(rows, columns=names)


def _whole_epochs(points: pd.DataFrame, trial: Trial) -> int:
    """Epochs of the training on all examples that a subset's stands beside."""
    return int(points[(points.keep == 100)].epochs.iloc[0])
