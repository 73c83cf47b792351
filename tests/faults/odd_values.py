"""What a program may hand to the public names: wrong kinds, wrong shapes, wrong ranges. UserError, or it is right."""

import numpy as np
import pandas as pd
from damaged_files import tiny
from harness import fault

from easel import compare
from easel.compare import claims, consistency, correlation, cuts, intervals, matching, scores
from easel.errors import UserError
from easel.ledger.store import Ledger, Store
from easel.ledger.trial import Edit, Recipe, Trial, two_groups
from easel.train.ensure import ensure, in_precision
from easel.train.loop import train

ODD = (
    None, True, False, 0, 1, -1, 2, 3, 0.5, 1.5, -0.5, float("nan"), float("inf"), 10**400, 1j, "", "no", "yes", "1",
    "train", "easy",
    "²", b"1", [], (), {}, set(), [1], [0.5], ["a"], [None], [[1], [1, 2]], (1, 2), {"a": 1}, object(), int,
    lambda: 1, Ellipsis, range(3),
    np.int64(3), np.float32(0.5), np.array(1), np.array([]), np.zeros((2, 3)), np.zeros((3, 2, 4), bool), np.ones((3,
    4), bool),
    np.array(["a"]), np.array([None]), np.array([np.nan]), np.array([1 + 2j]), np.array([], bool), np.zeros((0, 4),
    bool), np.eye(3)[0] > 0,
    np.array(["2020-01-01"], "M8"), pd.Series([1, 2]), pd.DataFrame({"a": [1]}), pd.DataFrame(), iter([1]),
    "mlp-1x10", "patterns",
)  # fmt: skip


def odd(rng) -> object:
    """Something of another kind than was asked for, or alike."""
    return rng.choice(ODD)


def _right(at: int = 3):
    """Right and wrong of trials, (trials, epochs, examples)."""
    return np.random.default_rng(at).random((4, 2, 30)) < np.linspace(0.2, 0.9, 30)


ONE = _right()[:, 0]
LABELS = np.arange(30) % 3
GROUPS = {"a": (ONE, _right(1)[:, 0]), "b": (_right(2)[:, 0], _right(4)[:, 0])}
PREDICTED = np.random.default_rng(0).integers(0, 3, (3, 30))
INTERVAL = intervals.Interval(0.5, 0.4, 0.6, 9)

CALLS = {  # a function with arguments that are right
    "Trial": (Trial, {"model": "mlp-1x10", "seed": 0, "epochs": 2, "data": "patterns", "split": "train",
    "images": 100, "subset_seed": 0,
                      "recipe": Recipe(), "edit": None, "views": (), "record": (), "also": (), "judged": True}),
    "Recipe": (Recipe, {"optimizer": "adamw", "learning_rate": 1e-3, "betas": (0.9, 0.99), "momentum": 0.9,
    "w_norm": 0.05, "horizon": 300,
                        "batch_size": 128, "normalisation": "channel", "augmentation": "translate", "translation": 4,
                        "flip": True,
                        "precision": "fp32", "shared_order": None, "batches": "shuffled", "delta": 1.0}),
    "Recipe.of": (Recipe.of, {"data": "patterns"}),
    "Edit": (Edit, {"keep": np.arange(5), "labels": None, "order": None}),
    "two_groups": (two_groups, {"models": ["a"], "trials": [2]}),
    "Ledger": (Ledger, {"records": []}),
    "Store": (Store, {"folder": "store", "released": None}),
    "ensure": (ensure, {"trials": [tiny()], "engine": "local", "workers": 0, "store": None, "quiet": True}),
    "in_precision": (in_precision, {"name": "fp32", "trials": [tiny()]}),
    "counts": (scores.counts, {"correct": _right(), "m": 1}),
    "easiness": (scores.easiness, {"correct": _right(), "m": 1}),
    "learnability": (scores.learnability, {"correct": _right(), "m": 1}),
    "first_learned": (scores.first_learned, {"correct": _right(), "m": 1}),
    "forgetting": (scores.forgetting, {"correct": _right(), "m": 1}),
    "mean_margin": (scores.mean_margin, {"ledger": np.zeros((4, 2, 30)), "m": 1}),
    "mean_loss": (scores.mean_loss, {"ledger": np.zeros((4, 2, 30)), "m": 1}),
    "probability": (scores.probability, {"ledger": np.zeros((4, 2, 30)), "m": 1}),
    "rate": (matching.rate, {"a": ONE.sum(0), "b": ONE.sum(0), "which": "easy", "fraction": 0.1, "ties": "expected"}),
    "rate_table": (matching.rate_table, {"groups": GROUPS, "which": "easy", "labels": LABELS}),
    "contrast": (matching.contrast, {"groups": GROUPS, "pairs": [("a", "b")], "others": [("b", "a")], "which": "easy",
    "ties": "expected"}),
    "spearman": (correlation.spearman, {"a": ONE.sum(0), "b": ONE.sum(0)}),
    "jackknife": (intervals.jackknife, {"a_correct": ONE, "b_correct": ONE, "statistic": lambda a, b: float(a.mean())}),
    "t_interval": (intervals.t_interval, {"values": [1.0, 2.0, 3.0], "level": 0.95, "points": 1}),
    "combined": (intervals.combined, {"estimate": 1.0, "doubts": [(0.1, 3)], "n": 4, "level": 0.95}),
    "judge": (claims.judge, {"points": {"a": INTERVAL}, "above": 0.1, "margin": None, "limit": ""}),
    "some": (claims.some, {"points": {"a": INTERVAL}, "above": 0.1}),
    "against_print": (claims.against_print, {"rules": {"a": INTERVAL}, "printed": 0.5, "bounds": None, "ceiling": 1.0,
    "limit": ""}),
    "error_agreement": (consistency.error_agreement, {"a": PREDICTED, "b": PREDICTED, "labels": LABELS,
    "paired": False}),
    "by_seed": (consistency.by_seed, {"a": PREDICTED, "b": PREDICTED}),
    "times_wrong": (consistency.times_wrong, {"wrong": PREDICTED > 0, "labels": LABELS}),
    "steps": (intervals.steps, {"curve": {0.1: pd.Series([1.0]), 0.2: pd.Series([1.0])}}),
    "bend": (intervals.bend, {"curve": {k: pd.Series([1.0]) for k in (0.1, 0.2, 0.3)}, "knee": 0.2}),
    "vector": (cuts.vector, {"counts": ONE.sum(0)}),
}  # fmt: skip
assert {name for name in compare.__all__ if name[0] != "_"} <= {*CALLS, *dir(compare)}


@fault("Python arguments", 4000, 250)
def values(shared, rng) -> str:
    name = rng.choice(list(CALLS))
    function, right = CALLS[name]
    wrong = {one: odd(rng) for one in rng.sample(list(right), rng.randrange(1, min(3, len(right) + 1)))}
    if callable(wrong.get("statistic")):  # a function's own fault comes through as it is
        return ""
    try:
        function(**right | wrong)
    except UserError as error:
        return "" if str(error) else "no reason"
    except Exception as error:
        return f"{name}({wrong!r:.100}): {type(error).__name__}: {error!s:.100}"
    return ""


def _ledger(folder):
    return Ledger([train(tiny(seed)) for seed in range(2)])


@fault("questions to a ledger", 800, 60, _ledger)
def ledgers(shared, rng) -> str:
    asks = {
        "where": lambda x: shared.where(**{rng.choice(["model", "seed", "epochs", "nothing"]): x}),
        "correct": shared.correct,
        "values": lambda x: shared.values(x, "train"),
        "values of": lambda x: shared.values("loss", x),
        "has": lambda x: shared.has(x),
        "easiness": lambda x: scores.easiness(shared, x),
    }
    name, value = rng.choice(list(asks)), odd(rng)
    try:
        asks[name](value)
    except UserError as error:
        return "" if str(error) else "no reason"
    except Exception as error:
        return f"{name}({value!r:.100}): {type(error).__name__}: {error!s:.100}"
    return ""
