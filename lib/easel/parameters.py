"""The parameters of a notebook: which there are, and whether a value fits. It runs no notebook code, ever.

papermill only warns about a name that the notebook does not have, writes names into a cell as they come (so a name can
run code) and takes any type. Here a notebook's parameters are what its one cell tagged `parameters` assigns, read as
Python literals; a value must have the type of the default and lie in its range.
"""

import ast
import json
import math
from pathlib import Path

import yaml

from easel.errors import UserError

MAY_BE_ZERO = ("seed",)  # besides whatever has a default of zero
LEAST = {"trials": 2, "ensemble": 2}  # of a group, or nets of a kind: an interval leaves one out
RANGES = {  # of lists of numbers, by name: what is in range, and that in words
    "rates": (lambda share: 0 <= share < 1, "from 0 up, below 1"),  # of the examples: dropped or relabelled
    "alphas": (lambda alpha: 0 <= alpha <= 1, "from 0 to 1"),  # of the colour grid: grey to as it was
    "tiles": (lambda side: side >= 1, "from 1 up"),  # tiles a side: 1 is the whole image
    "radii": (lambda pixels: pixels >= 0, "from 0 up"),  # of the Fourier mask
    "deltas": (lambda share: 0 < share <= 1, "above 0, at most 1"),  # of the mini-batches: trained on
    "keeps": (lambda percent: 0 < percent <= 100, "above 0, at most 100"),  # of the examples: kept
}


def read(notebook: Path) -> dict[str, object]:
    """The parameters of a notebook and their defaults, in the order of its parameters cell."""
    try:
        cells = json.loads(Path(notebook).read_text(encoding="utf-8"))["cells"]
        tagged = [c for c in cells if "parameters" in c.get("metadata", {}).get("tags", [])]
        sources = ["".join(c["source"]) for c in tagged]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{notebook} cannot be read as a notebook ({type(error).__name__}: {error})") from error
    if len(sources) != 1:
        raise UserError(f"{notebook} has {len(sources)} cells tagged 'parameters'; it needs exactly one")
    try:
        return dict(_assignment(line) for line in ast.parse(sources[0]).body)
    except (ValueError, SyntaxError) as error:
        raise UserError(f"{notebook}: its parameters cell must only assign literals to names ({error})") from error


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
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        return text  # no number and no list either; typed() says what it should have been
    return value


def typed(name: str, value: object, default: object, where: str) -> object:
    """The value with the type of the default, or UserError: one line with the value and what would be right.

    int and float: finite, and above zero, or zero and above where the default is zero or the name is in MAY_BE_ZERO;
    a negative default takes any; names in LEAST and RANGES have bounds of their own. An int fits a float, a bool fits
    neither. Lists: not empty, each element fitting the default's elements. A default of None takes any literal, numbers
    above zero.
    """
    if isinstance(default, list):
        if not isinstance(value, list) or not value:
            raise _wrong(name, value, where, f"a list that is not empty, such as {default!r}")
        example = _example(default)
        return [_scalar(name, one, example, where, f"a list, each {_kind(example, name)}") for one in value]
    return _scalar(name, value, default, where, _kind(default, name))


def _scalar(name: str, value: object, default: object, where: str, wanted: str) -> object:
    if isinstance(default, float) and isinstance(value, str):
        value = _number(value)  # YAML 1.1 reads 1e-3 as text
    if isinstance(default, float) and type(value) is int:
        value = float(value) if abs(value) < 2**53 else math.inf
    if default is None:
        fits = value is None or isinstance(value, bool | int | float | str)
    else:
        fits = type(value) is type(default)
    if fits and type(value) in (int, float):
        fits = math.isfinite(value) and _within(name, value, default)
    if fits and isinstance(value, str):
        fits = bool(value.strip()) and value.isprintable()
    if not fits:
        raise _wrong(name, value, where, wanted)
    return value


def _within(name: str, value: float, default: object) -> bool:
    if name in RANGES:
        return RANGES[name][0](value)
    lowest = _lowest(name, default)
    return (lowest is None or value > 0 or (value == 0 and lowest == 0)) and value >= LEAST.get(name, value)


def _lowest(name: str, default: object) -> int | None:
    """1: above zero; 0: zero or above; None: no bound."""
    if type(default) in (int, float) and default <= 0:
        return 0 if default == 0 else None
    return 0 if name in MAY_BE_ZERO else 1


def _kind(default: object, name: str) -> str:
    bound = {1: " above 0", 0: " from 0 up", None: ""}[_lowest(name, default)]
    bound = f" from {LEAST[name]} up" if name in LEAST else bound
    bound = f" {RANGES[name][1]}" if name in RANGES else bound
    kinds = {bool: "true or false", int: f"a whole number{bound}", float: f"a finite number{bound}", str: "a text"}
    return kinds.get(type(default), f"a text or a finite number{bound}")


def _example(default: list) -> object:
    """The element that stands for a list's default: the lowest number, or the first element; None if it is empty."""
    if default and all(type(one) in (int, float) for one in default):
        lowest = min(default)
        return lowest if all(type(one) is int for one in default) else float(lowest)
    return default[0] if default else None


def _number(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text


def _wrong(name: str, value: object, where: str, wanted: str) -> UserError:
    return UserError(f"{where}: {name} = {value!r} does not fit; it takes {wanted}")


def _assignment(line: ast.stmt) -> tuple[str, object]:
    if isinstance(line, ast.Assign) and len(line.targets) == 1:
        target = line.targets[0]
    elif isinstance(line, ast.AnnAssign) and line.value is not None:
        target = line.target
    else:
        raise ValueError(f"line {line.lineno} is no assignment")
    if not isinstance(target, ast.Name):
        raise ValueError(f"line {line.lineno} assigns to no plain name")
    return target.id, ast.literal_eval(line.value)
