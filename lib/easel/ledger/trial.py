"""Everything that determines the result of one training run, and the key that names it.

A `Trial` is frozen and holds no result. Two trials with one key give the same bits on the same hardware; whatever
cannot change a number (engine, packing, cores, folder names, what else is recorded) is not in the key.

Names of what a trial is evaluated on: test, test:2000, online, shuffle=4; with @3 behind it, after epoch 3 alone.
"""

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property, lru_cache
from typing import ClassVar, Self

import numpy as np

from easel.data import changes as perturb, sets as datasets
from easel.errors import UserError, answers, is_whole, one_line, refuse_other_kinds
from easel.ledger.quantities import QUANTITIES
from easel.nets import names as models

RECIPE_VERSION = 1  # moves whenever the arithmetic of training or evaluation moves (tests/train/test_golden.py notices)
SETTINGS = {
    "optimizer": ("adamw", "sgd"),
    "normalisation": ("channel", "image"),
    "augmentation": ("translate", "resized-crop"),
    "precision": ("bf16", "fp32"),
    "batches": ("shuffled", "fixed", "high-loss", "random"),
}
_KINDS_OF_RECIPE = dict.fromkeys(SETTINGS, "a text") | {"flip": "True or False", "betas": "numbers"}
_KINDS_OF_RECIPE |= dict.fromkeys(("learning_rate", "w_norm", "momentum", "delta"), "a number")
_KINDS_OF_TRIAL = {"model": "a text", "data": "a path", "split": "a text", "judged": "True or False"}
_KINDS_OF_TRIAL |= {"views": "texts", "record": "texts", "also": "texts"}
PHOTOGRAPHS = ("mini-imagenet", "tiny-imagenet-10")  # data sets with the paper's recipe for mini ImageNet


def canonical(value: object) -> bytes:
    """The one JSON text of a value: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a net is trained. The defaults are the paper's (Sec. 3.1); what it leaves open is marked in the README."""

    optimizer: str = "adamw"  # "adamw" (Loshchilov & Hutter 2017) | "sgd" (momentum, no decay)
    learning_rate: float = 1e-3  # alpha; multiplied by the cosine schedule
    betas: tuple[float, float] = (0.9, 0.99)  # of AdamW
    momentum: float = 0.9  # of SGD
    w_norm: float = 0.05  # normalised weight decay of AdamW
    horizon: int | None = 300  # T_i, epochs of the cosine, whatever the number of epochs trained; None: no schedule
    batch_size: int = 128
    normalisation: str = "channel"  # "channel": (x - mean) / std of the data set | "image": global contrast, per image
    augmentation: str = "translate"  # | "resized-crop": scale and aspect ratio (mini ImageNet); easel.train.batches
    translation: int = 4  # pixels, uniform in -4..4 both ways, black outside; not for "resized-crop"
    flip: bool = True  # horizontally, every second time
    precision: str = "bf16"  # of convolutions and matrix products; weights, sums, loss and last layer are float32
    shared_order: int | None = None  # a seed: batches and augmentation from it, the same in all trials (a control)
    batches: str = "shuffled"  # anew every epoch | "fixed" | "high-loss" | "random": easel.train.batches (HM)
    delta: float = 1.0  # of "high-loss" and "random": the share of the mini-batches that a round trains on

    @classmethod
    def of(cls, data: str, **changes) -> "Recipe":
        """The paper's recipe for a data set, with changes: photographs in batches of 64, with resized crops (Sec. 3.1).

        data: a name of easel.data, with or without "@PIXELS". Everything but mini ImageNet and its stand-in is treated
        as CIFAR-10 is.
        """
        photographs = {"batch_size": 64, "augmentation": "resized-crop", "translation": 0}
        return cls(**(photographs if str(data).partition("@")[0] in PHOTOGRAPHS else {}) | changes)

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, np.generic):  # NumPy's numbers are no JSON
                object.__setattr__(self, name, value.item())
        refuse_other_kinds("recipe", _KINDS_OF_RECIPE, vars(self))
        for name, allowed in SETTINGS.items():
            if getattr(self, name) not in allowed:
                raise UserError(f"recipe {name}={getattr(self, name)!r}: one of {', '.join(allowed)}")
        for name in ("learning_rate", "w_norm", "momentum"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:  # nan is none of it
                raise UserError(f"recipe {name}={value!r}: a finite number, 0 or more")
        if not self.learning_rate:  # weight decay is divided by it
            raise UserError(f"recipe learning_rate={self.learning_rate!r}: a number above 0; at 0 nothing is learned")
        for name, least in (("horizon", 1), ("batch_size", 1), ("translation", 0), ("shared_order", 0)):
            if getattr(self, name) is not None or name in ("batch_size", "translation"):
                _whole(f"recipe {name}", getattr(self, name), least)
        if self.horizon is None and self.optimizer == "adamw" and self.w_norm:
            raise UserError("recipe horizon=None: normalised weight decay needs a horizon; give one, or w_norm=0")
        if not 0 < self.delta <= 1:
            raise UserError(f"recipe delta={self.delta!r}: a number above 0, at most 1 (the share of mini-batches)")
        if self.delta != 1 and self.batches not in ("high-loss", "random"):
            raise UserError(f"recipe delta={self.delta}: only with batches='high-loss' or 'random'")
        if self.augmentation == "resized-crop" and self.translation:
            raise UserError(f"recipe translation={self.translation}: 0 where the augmentation is 'resized-crop'")
        betas = tuple(self.betas)
        if len(betas) != 2 or not all(isinstance(b, int | float) and 0 <= b < 1 for b in betas):
            raise UserError(f"recipe betas={self.betas!r}: two numbers, each from 0 and below 1")
        object.__setattr__(self, "betas", betas)

    def batches_taken(self, examples: int) -> int:
        """floor(delta N_b), the mini-batches of a round (HM), of the N_b that so many examples make; UserError if 0."""
        number = -(-examples // self.batch_size)
        count = math.floor(self.delta * number + 1e-9)  # .29 * 100 is 28.999999999999996
        if count < 1:
            raise UserError(f"recipe delta={self.delta}: of {number} mini-batches it takes none; 1/{number} takes one")
        return count

    def weight_decay(self, examples: int) -> float:
        """AdamW's decay for `torch.optim.AdamW`, which multiplies it by the learning rate: lambda / alpha.

        lambda = w_norm sqrt(b / (B T)): b batch size, B training examples, T horizon (Loshchilov & Hutter, App. B).
        """
        if not self.w_norm:
            return 0.0
        return self.w_norm * math.sqrt(self.batch_size / (examples * self.horizon)) / self.learning_rate

    def schedule(self, progress: float) -> float:
        """Factor on the learning rate after `progress` epochs: .5 + .5 cos(pi progress / horizon); 1 if no horizon."""
        return 1.0 if self.horizon is None else 0.5 + 0.5 * math.cos(math.pi * progress / self.horizon)


@dataclass(frozen=True, eq=False)
class Edit:
    """A change of the training set: which examples are trained on, and with which labels. Evaluation never sees it.

    keep: (kept,) positions in the trial's examples that are trained on, ascending; None = all of them.
    labels: (examples,) label of every example while training; None = the data set's.
    order: (kept,) the kept positions in the order in which they are cut into mini-batches, for a recipe whose batches
        are not "shuffled"; None = an order drawn from the seed.
    """

    keep: np.ndarray | None = None
    labels: np.ndarray | None = None
    order: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.keep is not None:
            keep = _wholes("keep", self.keep)
            if keep.ndim != 1 or not len(keep) or keep[0] < 0 or (np.diff(keep) <= 0).any():
                raise UserError("edit keep: positions of at least one example, ascending, each once")
            object.__setattr__(self, "keep", keep)
        if self.labels is not None:
            object.__setattr__(self, "labels", _wholes("labels", self.labels))
        if self.order is not None:
            order = _wholes("order", self.order)
            kept = np.arange(order.size) if self.keep is None else self.keep
            if order.ndim != 1 or not np.array_equal(np.sort(order), kept):
                raise UserError("edit order: every kept position once, and no other")
            object.__setattr__(self, "order", order)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the arrays, hex."""
        arrays = (self.keep, self.labels) if self.order is None else (self.keep, self.labels, self.order)
        parts = (b"-" if a is None else a.astype("<i8").tobytes() for a in arrays)
        return hashlib.sha256(b"|".join(hashlib.sha256(p).digest() for p in parts)).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Edit) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


_NONE = Edit()  # changes nothing


def _wholes(name: str, values: object) -> np.ndarray:
    """Whole numbers as int64: no shares, which would be cut, and no mask, which would become 0 and 1."""
    try:
        found = np.asarray(values)
    except ValueError:
        found = np.array(None)
    if (found.dtype.kind not in "iu" and found.size) or found.ndim == 0:
        raise UserError(f"edit {name}={one_line(repr(values), 60)}: an array of whole numbers")
    return found.astype(np.int64)


def _whole(name: str, value: object, least: int) -> None:
    if not is_whole(value, least):
        raise UserError(f"{name}={value!r}: a whole number from {least}")


@dataclass(frozen=True)
class Timed:
    """What is recorded, and when: "probability@1" after the first epoch alone, "correct.test" after every one."""

    WHAT: ClassVar[str] = "quantity"
    base: str  # before the sign @
    after: int | None  # the epoch, counted from 1; None: every one

    @classmethod
    @lru_cache(maxsize=4096)
    def of(cls, name: str) -> Self:
        """The name, parsed. UserError where what follows the sign @ is no epoch."""
        base, at, epoch = name.partition("@")
        if at and not re.fullmatch("[1-9][0-9]{0,8}", epoch):
            what = f"{cls.WHAT} {name!r}"
            raise UserError(f"{what}: what follows the sign @ is an epoch, counted from 1, such as {base}@1")
        return cls(base, int(epoch) if at else None)


@dataclass(frozen=True)
class View(Timed):
    """What a trial is evaluated on, parsed: "test:2000@10" has base "test:2000", after 10 and count 2000."""

    WHAT: ClassVar[str] = "view"

    @cached_property
    def count(self) -> int | None:
        """Test images that are looked at; None: all, or another view."""
        found = re.fullmatch("test:([1-9][0-9]{0,8})", self.base)  # one text for a view, or it would be evaluated twice
        return int(found[1]) if found else None

    @cached_property
    def change(self) -> str | None:
        """What the training images are changed by, "colour=0.3"; None: they are not, or are not looked at."""
        return self.base if "=" in self.base else None

    def check(self) -> None:
        """UserError unless this is a view that a trial can record. (Whether tiles fit the images: view_examples.)"""
        if self.change and self.change.partition("=")[0] in perturb.CHANGES:
            perturb.check_view(self.change)
        elif self.base not in ("train", "online", "test") and not self.count:
            changes = ", ".join(perturb.examples())
            raise UserError(f"view {self.base!r}: one of test, test:2000 (a part of it), online, {changes}")


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training run: m = `epochs` epochs of `model` on `data`, everything random drawn from `seed`.

    views: what is evaluated after every epoch besides the plain training set ("train"):
        "test" or "test:2000"   the test set, or a class-balanced part of it
        "online"                the training batches' own hits, as they are trained on (augmented, training mode)
        "colour=0.3" "shuffle=4" "low-pass=3.2"     the plain training set's images, changed (easel.data.changes)
        "test@10" "train@10"    any of them after that epoch only: its arrays then have one row
    judged: whether the training set itself is evaluated after every epoch (else only where a view says so): False
        where nobody reads that, as for a net that is only tested.
    record: quantities (easel.ledger.quantities) kept beside right or wrong for every view but "online": "margin",
        "loss", "probability" of the true class, "prediction", the class that the net names; "probability@1",
        "features@3": of the training set after that epoch only.
    also: quantities that are recorded when the trial is trained, but for want of which nothing is trained anew.
    Epochs, views and quantities do not change the training, so they are not part of the key.
    """

    model: str
    seed: int
    epochs: int
    data: str = "cifar10"  # a name of easel.data.sets, or a folder's path; "NAME@64" brings its images to 64 pixels
    split: str = "train"  # "train" | "merged" (train then test: Sec. 7.1)
    images: int | None = None  # class-balanced part, drawn from subset_seed; None = all
    subset_seed: int = 0
    recipe: Recipe = field(default_factory=Recipe)
    edit: Edit | None = None
    views: tuple[str, ...] = ()
    record: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    judged: bool = True

    def __post_init__(self) -> None:
        kinds = _KINDS_OF_TRIAL | {"recipe": Recipe} | ({} if self.edit is None else {"edit": Edit})
        refuse_other_kinds("trial", kinds, vars(self))
        models.check(self.model)
        for name, least in (("subset_seed", 0), ("seed", 0), ("epochs", 1), ("images", 1)):
            value = getattr(self, name)
            if name != "images" or value is not None:
                _whole(name, value, least)
                object.__setattr__(self, name, int(value))  # JSON, and so the key, wants Python's own
        if self.recipe.horizon is not None and self.epochs > self.recipe.horizon:
            raise UserError(f"epochs={self.epochs}: at most the schedule's horizon of {self.recipe.horizon}")
        for name in ("views", "record", "also"):
            values = getattr(self, name)
            values = (values,) if isinstance(values, str) else tuple(sorted(set(values)))
            object.__setattr__(self, name, values)
        views = {name: View.of(name) for name in self.views}
        if "train" in views:
            raise UserError(
                "view 'train': the training set is judged after every epoch anyway; train@10 after the tenth"
            )
        for view in views.values():
            view.check()
        quantities = {name: Timed.of(name) for name in (*self.record, *self.also)}
        for name, quantity in quantities.items():
            if quantity.base not in QUANTITIES:
                raise UserError(f"record {name!r}: one of {', '.join(QUANTITIES)}")
            if quantity.after is None and QUANTITIES[quantity.base].of == "features":
                raise UserError(f"record {name!r}: after one epoch only, such as {name}@{self.epochs}")
        for name, timed in (views | quantities).items():
            if timed.after is not None and timed.after > self.epochs:
                raise UserError(f"{name!r}: the trial has {self.epochs} epochs")
        partly = self.recipe.delta != 1 or self._edit.keep is not None
        if partly and any(view.base == "online" for view in views.values()):
            raise UserError("view 'online' with dropped examples or delta < 1: some are in no batch, right or wrong")
        if self._edit.order is not None and self.recipe.batches == "shuffled":
            raise UserError("edit order with batches='shuffled': it is for batches that are fixed")

    @cached_property
    def examples(self) -> datasets.Dataset:
        """The examples that are trained on (before any edit) and evaluated as view "train"; shared between trials."""
        return datasets.part(datasets.load(self.data, self.split), self.images, self.subset_seed)

    @cached_property
    def facts(self) -> datasets.Facts:
        """What the key needs to know of `examples`: read from disk once; nothing is downloaded.

        UserError where the data set is not on this machine.
        """
        return datasets.facts_of(self.data, self.split, self.images, self.subset_seed)

    @property
    def _edit(self) -> Edit:
        return self.edit or _NONE

    @property
    def trained_on(self) -> np.ndarray:
        """Positions in `examples` of those that are trained on, ascending: (kept,) int64."""
        return np.arange(self.facts.examples) if self._edit.keep is None else self._edit.keep

    @property
    def training_labels(self) -> np.ndarray:
        """The label of every example while training, changed ones among them: (examples,) int64."""
        return self.examples.labels.numpy() if self._edit.labels is None else self._edit.labels

    @property
    def given_order(self) -> np.ndarray | None:
        """`trained_on` in the order in which it is cut into fixed mini-batches; None: one drawn from the seed."""
        return self._edit.order

    @property
    def order_seed(self) -> int:
        """What batches and augmentation are drawn from: the trial's seed, or the one that all trials share."""
        return self.seed if self.recipe.shared_order is None else self.recipe.shared_order

    @property
    def measured(self) -> tuple[str, ...]:
        """Every view that is evaluated, the training set among them if it is judged."""
        return (("train",) if self.judged else ()) + self.views

    def arrays(self, quantities: tuple[str, ...]) -> dict[str, int]:
        """The arrays that a record must have, {name: rows}, for the views and for these quantities of them."""
        rows = {name: self.epochs if View.of(name).after is None else 1 for name in self.measured}
        found = {f"correct.{name}": count for name, count in rows.items()}
        for asked in map(Timed.of, quantities):
            if asked.after is None:
                found |= {f"{asked.base}.{name}": n for name, n in rows.items() if View.of(name).base != "online"}
            else:
                found[f"{asked.base}.train@{asked.after}"] = 1
        return found

    def joined(self, other: "Trial") -> "Trial":
        """The trial that serves both: as long as the longer, with the views and quantities of either. One key."""
        both = {name: getattr(self, name) + getattr(other, name) for name in ("views", "record", "also")}
        return replace(self, epochs=max(self.epochs, other.epochs), judged=self.judged or other.judged, **both)

    @cached_property
    def identity(self) -> dict:
        """What the key is the hash of: every field that can change a number, the data by its fingerprint.

        The number of epochs is not among them: the schedule's horizon does not depend on it, so the bits of a shorter
        trial are the beginning of a longer one's, and one record serves every number of epochs up to its own.
        Settings of the recipe that have their default value are left out, so that a setting added later leaves older
        keys as they are; a default that changes moves RECIPE_VERSION. UserError where the data set is not on this
        machine, or does not have the examples, classes or size that the trial needs.
        """
        n, classes = self.facts.examples, len(self.facts.classes)
        keep, labels, order = self._edit.keep, self._edit.labels, self._edit.order
        if keep is not None and keep[-1] >= n:
            raise UserError(f"edit keep: position {keep[-1]} of {n} examples")
        if labels is not None and (labels.shape != (n,) or labels.min() < 0 or labels.max() >= classes):
            raise UserError(f"edit labels: one label in 0..{classes - 1} for each of {n} examples")
        if order is not None and keep is None and len(order) != n:
            raise UserError(f"edit order: {len(order)} positions of {n} examples")
        trained = len(self.trained_on)
        self.recipe.batches_taken(trained)
        last_of_one = trained % self.recipe.batch_size == 1
        if last_of_one and not models.trains_on_one(self.model, classes=classes, size=self.facts.side):
            raise UserError(
                f"{trained} images in batches of {self.recipe.batch_size} leave a last batch of one, on which "
                f"{self.model} cannot train (batch norm of 1x1 maps): take an image more or less"
            )
        return {
            "recipe_version": RECIPE_VERSION,
            "fingerprint": self.facts.fingerprint,
            "channels": [list(self.facts.mean), list(self.facts.std)],
            "model": self.model,
            "seed": self.seed,
            "recipe": {
                name: list(value) if isinstance(value, tuple) else value
                for name, value in asdict(self.recipe).items()
                if value != getattr(Recipe, name)
            },
            "edit": None if self.edit is None else self.edit.digest,
        }

    @cached_property
    def key(self) -> str:
        """SHA-256 of the canonical JSON of `identity`, 64 hex digits: the trial's name in the store."""
        return hashlib.sha256(canonical(self.identity)).hexdigest()

    def view_examples(self, view: str) -> datasets.Dataset:
        """The images on which a view is evaluated."""
        asked = View.of(view)
        if asked.base in ("train", "online"):
            return self.examples
        if asked.change:
            return perturb.Changed(self.examples, asked.change)
        return datasets.part(datasets.load(self.data, "test"), asked.count, self.subset_seed)

    def __getstate__(self) -> dict:  # a worker process needs the fields, not the cached images
        return {f.name: getattr(self, f.name) for f in fields(self)}


@answers(models="texts", trials="whole numbers")
def two_groups(models: Sequence[str], trials: Sequence[int]) -> dict[str, tuple[list[int], list[int]]]:
    """Seeds of two groups of trials for each of several nets: {net: (seeds, seeds)}.

    No seed is in both groups, of one net or of two: trials of one seed share batch order and augmentation, so that even
    different nets would agree by more than the images. trials: in a group, one number for all nets or one for each.
    Seeds are dealt out in blocks of the smallest number; equal numbers N make it 0..N-1 and N..2N-1. UserError: another
    number of numbers.
    """
    models, sizes = list(models), list(trials)
    for number in sizes:
        _whole("trials", number, 1)
    if not models:
        raise UserError("two groups of no net: name at least one")
    sizes *= len(models) if len(sizes) == 1 else 1
    if len(sizes) != len(models):
        raise UserError(f"trials {', '.join(map(str, sizes))}: one number, or one for each of {', '.join(models)}")
    block = min(sizes)
    dealt = [[seed for seed in range(2 * max(sizes) + 2 * block) if seed // block % 2 == side] for side in (0, 1)]
    return {net: (dealt[0][:size], dealt[1][:size]) for net, size in zip(models, sizes, strict=True)}
