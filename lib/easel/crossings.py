"""How strong must a change be? Places on the curves of `easel.changed`, as replicates like everything there."""

from collections.abc import Mapping, Sequence

import numpy as np

from easel.changed import PLAIN, Measured
from easel.errors import UserError


def crossing(places: Sequence, curve: Sequence, level) -> np.ndarray:
    """Where a curve first falls to a level on the way from the plain images to the strongest change; replicates.

    places: (points,) numbers, or (points, replicates), at each point; curve: (points, replicates); both in the order of
    the way. level: a number, or (replicates,). Between two points the place is read off the straight line; it is the
    first point's if the curve starts at the level or below; nan where the level is never reached.
    """
    curve = np.asarray(curve, dtype=float)
    places = np.broadcast_to(np.asarray(places, dtype=float).reshape(len(curve), -1), curve.shape)
    found = np.full(curve.shape[1], np.nan)
    for r, wanted in enumerate(np.broadcast_to(level, curve.shape[1:])):
        reached = np.flatnonzero(curve[:, r] <= wanted)
        if len(reached):
            at, before = reached[0], max(0, reached[0] - 1)
            share = (curve[before, r] - wanted) / (curve[before, r] - curve[at, r]) if at else 0.0
            found[r] = places[before, r] + share * (places[at, r] - places[before, r])
    return found


def falls_to(found: Measured, change: str, grid: Mapping[float, str], share: float = 0.5) -> np.ndarray:
    """The strength at which no more than this share of the agreement beyond chance is kept (`kept`); replicates.

    grid: {strength: view} of the change, with the plain view. Read off between two strengths of the grid (of colour on
    a linear scale, of tiles and radius on a logarithmic one); nan where the strongest change keeps more.
    """
    way = _way(grid)
    curve = [found.kept(grid[strength]) for strength in way]
    if change == "colour":
        return crossing(way, curve, share)
    return np.exp(crossing(np.log(way), curve, share))


def at_accuracy(found: Measured, grid: Mapping[float, str], accuracy) -> np.ndarray:
    """`other` at the strength at which the accuracy on changed images has first fallen to this one; replicates.

    So changes are compared where they do the same harm, whatever unit their strength has. accuracy: a number, or
    (replicates,), such as another change's; nan where the strongest change of the grid leaves a higher one.
    """
    way = [grid[strength] for strength in _way(grid)]
    return crossing([found.other[view] for view in way], [found.accuracy[view] for view in way], accuracy)


def _way(grid: Mapping[float, str]) -> list[float]:
    """The strengths from the plain images to the strongest change."""
    start = [strength for strength, view in grid.items() if view == PLAIN]
    if not start:
        raise UserError(f"grid of {len(grid)} strengths: one of them must be the plain images, view {PLAIN!r}")
    return sorted(grid, key=lambda strength: abs(strength - start[0]))
