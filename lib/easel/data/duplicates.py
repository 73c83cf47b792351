"""Pictures that are there twice, or nearly: found by a difference hash of the arrays that are loaded anyway.

Two pictures are alike if of the 64 signs of their hash (each grey pixel of 9x8 brighter than its right neighbour;
Krawetz 2013, "dHash") at most BITS differ, and their colours at 8x8 do not differ by more than LEVELS on average. The
second condition is for plain pictures, whose signs are noise. A few lines of NumPy, so no library is asked for.
"""

import numpy as np
from PIL import Image
from scipy import sparse

BITS = 6  # of 64 signs; unrelated pictures differ in 32, give or take 4 (and more where they are smooth)
LEVELS = 10  # of 255: mean difference of colours at 8x8
_ROWS = 1000  # pictures that are held against all others at once


def look_alikes(images: np.ndarray) -> np.ndarray:
    """The position of the first picture that looks the same as each, its own if there is none before it.

    images: uint8 (n, 3, H, W). int64 (n,). Likeness is handed on: a like b and b like c puts all three together.
    """
    signs, colours = (np.stack(parts) for parts in zip(*map(_marks, images), strict=True))
    pairs = [np.empty((2, 0), int)]
    for start in range(0, len(images), _ROWS):
        apart = (signs.shape[1] - signs[start : start + _ROWS] @ signs.T) / 2
        one, other = np.nonzero(apart <= BITS)
        one, other = (side[one + start < other] for side in (one + start, other))
        near = np.abs(colours[one] - colours[other]).mean(1) <= LEVELS
        pairs.append(np.stack([one[near], other[near]]))
    one, other = np.concatenate(pairs, axis=1)
    graph = sparse.coo_array((np.ones(len(one)), (one, other)), shape=(len(images),) * 2)
    _, group = sparse.csgraph.connected_components(graph, directed=False)
    _, first = np.unique(group, return_index=True)
    return first[group].astype(np.int64)


def _marks(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """64 signs (-1 or 1), and the colours at 8x8: float32 (64,) and (192,)."""
    whole = Image.fromarray(np.ascontiguousarray(picture.transpose(1, 2, 0)))
    grey = np.asarray(whole.convert("L").resize((9, 8), Image.Resampling.BOX), np.float32)
    colours = np.asarray(whole.resize((8, 8), Image.Resampling.BOX), np.float32)
    return np.where(grey[:, 1:] > grey[:, :-1], 1, -1).astype(np.float32).ravel(), colours.ravel()
