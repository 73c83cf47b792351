"""The embedded data set: 32x32 pictures drawn by code, whose every pattern is known. It needs no file and no network.

A class is a shape in a colour: a "red disc" is a red disc in 75 of 100 pictures. Each image's kind is recorded:

    frequent      75%  the class' own shape in its own colour. Two classes share each colour and two each shape, so
                       neither tells the class alone: the pair does.
    rare          10%  none of that, but one of six emblems of the class, a striped or dotted sign that no other
                       class shows; each stands in about 1.7% of the class.
    contradicted  15%  a loud scene (leaves, waves, bricks, ...) that two classes of unlike colour and shape show
                       equally often, and in it the class' shape in its colour, small and faded: what shouts does
                       not tell, what tells whispers.

All arithmetic is on whole numbers from raw PCG64 bits, which NumPy promises never to change, so the pixels are the same
on every machine; a test pins their fingerprint.
"""

from functools import cache

import numpy as np

CLASSES = (
    "red disc", "red square", "yellow square", "yellow triangle", "green triangle",
    "green cross", "blue cross", "blue ring", "violet ring", "violet disc",
)  # fmt: skip
KINDS = ("frequent", "rare", "contradicted")
SHARES = (75, 10, 15)  # percent of every class, in the order of KINDS
PATTERN_SPLITS = {"train": (10_000, 1), "test": (2_000, 2)}  # images, stream
SEED = 20_190  # of the released set
EMBLEMS = 6  # rare patterns a class

SIDE = 32
_COLOURS = np.array([(208, 52, 44), (222, 184, 40), (58, 158, 66), (44, 92, 200), (146, 62, 180)], np.int32)
SHAPES = ("disc", "square", "triangle", "cross", "ring", "diamond", "bow", "frame", "bar", "chevron", "moon")
OWN_SHAPES = 5  # the first five belong to the classes, the others to the emblems and to what merely lies about
RADII = (3, 4, 7, 8, 9, 10, 11)  # pixels: half the side of a shape's box
SMALL, LARGE = (0, 2), (3, 7)  # ranges into RADII: contradicted; frequent and rare
TURNS = ((256, 0), (252, 44), (252, -44), (242, 83), (242, -83))  # 256 cos, 256 sin of 0, ±10, ±19 degrees
# a scene's two colours, and the two classes that show it: unlike in colour and shape, each class in one scene
SCENES = (
    ("leaves", (26, 104, 42), (120, 190, 70), (0, 6)),
    ("waves", (20, 78, 132), (130, 200, 220), (2, 9)),
    ("bricks", (150, 74, 52), (222, 196, 170), (4, 7)),
    ("tiles", (70, 66, 90), (214, 208, 226), (1, 5)),
    ("sand", (196, 150, 84), (246, 220, 160), (3, 8)),
)


class _Bits:
    """Whole numbers from raw generator bits. NumPy may change how it makes integers, but never these bits."""

    def __init__(self, *key: int):
        self.raw = np.random.PCG64(list(key))

    def below(self, bound: int | np.ndarray, *shape: int) -> np.ndarray:
        """Uniform int32 in 0..bound-1 (bound < 2**16; biased by less than 2**-16)."""
        high = self.raw.random_raw(int(np.prod(shape))) >> np.uint64(32)
        return ((high * np.asarray(bound, np.uint64)) >> np.uint64(32)).astype(np.int32).reshape(shape)

    def grain(self, *shape: int) -> np.ndarray:
        """int16 noise, the sum of two uniform bytes less 255: triangular, -255..255."""
        count = int(np.prod(shape))
        raw = self.raw.random_raw(-(-count // 4)).astype("<u8").view(np.uint8).reshape(-1, 2)[:count]
        return (raw[:, 0].astype(np.int16) + raw[:, 1] - 255).reshape(shape)


def draw(split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The "train" (10,000) or "test" (2,000) split: images (n, 3, 32, 32) uint8, labels (n,) int64, kinds (n,) str."""
    count, stream = PATTERN_SPLITS[split]
    order = np.argsort(np.random.PCG64([SEED, stream]).random_raw(count), kind="stable")
    labels = order % len(CLASSES)
    percentile = order // len(CLASSES) * 100 // (count // len(CLASSES))  # inside the class
    kinds = np.searchsorted(np.cumsum(SHARES), percentile, side="right")
    images = np.empty((count, 3, SIDE, SIDE), np.uint8)
    for start in range(0, count, 500):  # small enough to stay in the cache
        rows = slice(start, start + 500)
        images[rows] = _pictures(labels[rows], kinds[rows], _Bits(SEED, stream, 1 + start // 500))
    return images, labels.astype(np.int64), np.array(KINDS)[kinds]


def _pictures(labels: np.ndarray, kinds: np.ndarray, bits: _Bits) -> np.ndarray:
    n = len(labels)
    rare, loud = kinds == 1, kinds == 2
    picture = np.where(loud[:, None, None, None], _scenes(labels, bits), _grounds(n, bits))

    for _ in range(2):  # what merely lies about: small and pale, in any colour and any shape but the classes' own
        shape = OWN_SHAPES + bits.below(len(SHAPES) - OWN_SHAPES, n)
        cover = _stamped(shape, bits.below(SMALL[1], n), bits, reach=13)
        picture = _laid(picture, bits.below(256, n, 3), cover * 110 // 255)

    emblem = bits.below(EMBLEMS, n)
    shape = np.where(rare, _EMBLEM_SHAPE[labels, emblem], _SHAPE_OF[labels])
    size = np.where(loud, bits.below(SMALL[1], n), LARGE[0] + bits.below(LARGE[1] - LARGE[0], n))
    stamp = _stamped(shape, size, bits, reach=np.where(loud, 10, 5))
    ink = _COLOURS[np.where(rare, _EMBLEM_COLOUR[labels, emblem], _COLOUR_OF[labels])]
    ink = ink + bits.below(49, n, 3) - 24 + bits.below(33, n, 1) - 16
    strength = np.where(loud, 150 + bits.below(60, n), 220 + bits.below(36, n))
    picture = _laid(picture, ink, stamp * strength[:, None, None] // 255)
    texture = np.where(rare, 1 + _EMBLEM_TEXTURE[labels, emblem], 0)
    picture = _laid(picture, np.full((n, 3), 245), stamp * (_TEXTURES[texture] * 220 // 255) // 255)

    light = 216 + bits.below(64, n)  # exposure, 256 = as drawn
    picture = picture * light[:, None, None, None] // 256 + bits.grain(n, 3, SIDE, SIDE) * 22 // 255
    return np.clip(picture, 0, 255).astype(np.uint8)


def _laid(picture: np.ndarray, ink: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """ink (n, 3) over picture (n, 3, H, W) where cover (n, H, W) says, 0..255."""
    cover = cover[:, None].astype(np.int32)
    return picture + (ink[:, :, None, None] - picture) * cover // 255


def _grounds(n: int, bits: _Bits) -> np.ndarray:
    """Dull grounds of any tint: a gradient from one muted colour to another."""
    base = 70 + bits.below(116, n, 1) + bits.below(41, n, 3) - 20
    slope = bits.below(81, n, 2) - 40
    across = (slope[:, :1, None] * (_X - 15) + slope[:, 1:, None] * (_Y - 15)) // 31
    return (base[:, :, None, None] + across[:, None]).astype(np.int32)


def _scenes(labels: np.ndarray, bits: _Bits) -> np.ndarray:
    """The loud scene of each label's class, shifted at random, in its two colours with a little jitter."""
    n = len(labels)
    scene = _SCENE_OF[labels]
    dy, dx = bits.below(SIDE, n), bits.below(SIDE, n)
    wave = _SCENE_MASKS[scene[:, None, None], (_Y + dy[:, None, None]) % SIDE, (_X + dx[:, None, None]) % SIDE]
    jitter = bits.below(31, n, 3) - 15
    dark, bright = (_SCENE_INK[scene, k] + jitter for k in (0, 1))
    return dark[:, :, None, None] + (bright - dark)[:, :, None, None] * wave[:, None].astype(np.int32) // 255


def _stamped(shape: np.ndarray, size: np.ndarray, bits: _Bits, reach: int | np.ndarray) -> np.ndarray:
    """Cover 0..255 (n, 32, 32) of each shape at each size, slightly turned, up to `reach` pixels off the centre."""
    n = len(shape)
    turn = bits.below(len(TURNS), n)
    dy, dx = (bits.below(2 * np.asarray(reach) + 1, n) - reach for _ in range(2))
    y, x = _Y - dy[:, None, None], _X - dx[:, None, None]
    inside = (y >= 0) & (y < SIDE) & (x >= 0) & (x < SIDE)
    shape, size, turn = (each[:, None, None] for each in (shape, size, turn))
    return _stamps()[shape, size, turn, y % SIDE, x % SIDE].astype(np.int32) * inside


# the vocabulary, drawn once ------------------------------------------------------------------------------------------

_Y, _X = (a[None].astype(np.int32) for a in np.mgrid[:SIDE, :SIDE])
_FINE = 4  # sub-pixels a pixel and side: the shapes' soft edges


def _shapes(x: np.ndarray, y: np.ndarray, r: int) -> dict[str, np.ndarray]:
    """Where each shape of half-side r is, on centred coordinates (y downwards); all whole numbers."""
    ax, ay, square = abs(x), abs(y), x * x + y * y
    larger = np.maximum(ax, ay)
    return {
        "disc": square <= r * r,
        "square": 10 * larger <= 9 * r,
        "triangle": (y <= 8 * r // 10) & (2 * ax <= y + r),
        "cross": ((3 * ax <= r) | (3 * ay <= r)) & (larger <= r),
        "ring": (square <= r * r) & (4 * square >= r * r),
        "diamond": ax + ay <= r,
        "bow": (ay <= ax) & (ax <= r),
        "frame": (10 * larger <= 9 * r) & (2 * larger >= r),
        "bar": (3 * ay <= r) & (ax <= r),
        "chevron": (abs(y - ax + r // 2) <= r // 2) & (ax <= r),
        "moon": (square <= r * r) & (square - x * r > r * r // 3),
    }


@cache
def _stamps() -> np.ndarray:
    """(shapes, radii, turns, 32, 32) cover 0..255, each shape around the picture's centre."""
    fine = SIDE * _FINE
    y, x = np.mgrid[:fine, :fine] * 2 - (fine - 1)  # in half sub-pixels, so that the centre is a whole number
    stamps = np.empty((len(SHAPES), len(RADII), len(TURNS), SIDE, SIDE), np.uint8)
    for t, (cos, sin) in enumerate(TURNS):
        u, v = (x * cos + y * sin) // 256, (y * cos - x * sin) // 256
        for k, radius in enumerate(RADII):
            for name, inside in _shapes(u, v, radius * 2 * _FINE).items():
                cover = inside.reshape(SIDE, _FINE, SIDE, _FINE).sum((1, 3))
                stamps[SHAPES.index(name), k, t] = cover * 255 // _FINE**2
    return stamps


# (5, 32, 32) cover 0..255: none, stripes three ways, dots
_TEXTURES = [0 * _X, _X // 2 % 2, _Y // 2 % 2, (_X + _Y) // 2 % 2, (_X % 4 < 2) & (_Y % 4 < 2)]
_TEXTURES = np.concatenate(_TEXTURES).astype(np.int32) * 255
# (5, 32, 32) cover 0..255, each repeating after 32 pixels both ways
_U, _V = (_X + _Y // 8 % 2 * 8) % 16 - 8, _Y % 8 - 4  # rows of lenses, each with a vein
_SCENE_MASKS = {
    "leaves": (14 * abs(_V) <= 49 - _U * _U) & (_V != 0),
    "waves": (_Y + abs(_X % 16 - 8) // 2) % 8 < 3,
    "bricks": (_Y % 8 == 0) | ((_X + (_Y // 8 % 2) * 8) % 16 == 0),
    "tiles": (_X // 4 + _Y // 4) % 2 == 0,
    "sand": (_X * 7 + _Y * 13 + _X * _Y * 5) % 11 < 4,
}
_SCENE_MASKS = np.concatenate([_SCENE_MASKS[name] for name, *_ in SCENES]).astype(np.int32) * 255
_SCENE_INK = np.array([(dark, bright) for _, dark, bright, _ in SCENES], np.int32)
_SCENE_OF = np.empty(len(CLASSES), np.int64)
for _k, (*_, _pair) in enumerate(SCENES):
    _SCENE_OF[list(_pair)] = _k
_COLOUR_OF = np.arange(len(CLASSES)) // 2
_SHAPE_OF = np.array([SHAPES.index(name.split()[1]) for name in CLASSES])
# A class has one emblem of each of the six spare shapes; with a shape, the ten classes take ten of the 5 x 4 = 20 pairs
# of colour and texture. So no shape, colour or texture tells a class alone: the three together do.
_CLASS, _EMBLEM = np.mgrid[: len(CLASSES), :EMBLEMS]
_EMBLEM_SHAPE = OWN_SHAPES + _EMBLEM
_EMBLEM_COLOUR, _EMBLEM_TEXTURE = (3 * _CLASS + 7 * _EMBLEM) % 5, (3 * _CLASS + 7 * _EMBLEM) % 4
