"""Images from which something was taken: colour, the arrangement of parts, fine detail (EH Sec. 6, Figs 2 and 3).

Pure functions of uint8 tensors (n, 3, H, W) on any device; they never train, normalise or write to what they are given.
An image's change depends on that image and its id alone, not on batch, order or device. As views of a trial they are
    colour=0.3      alpha: 0 grey .. 1 plain
    shuffle=4       4 x 4 tiles
    low-pass=3.2    radius in pixels of the Fourier plane
and the nets that were trained on plain images are evaluated on the changed ones, with no second training.

A change of your own is one more entry: register_change(Change(name="blur", ...)); it then is a view like these, and
runs through notebook 03's grids, tables and figures.

Arithmetic is float64, then clipped to 0..255 and rounded to the nearest, halves up. 2^-20 is added before, so that no
processor's last bits decide which side a half falls on: the changed images are the same everywhere.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from easel.data.sets import Dataset
from easel.errors import UserError
from easel.warm import share

VERSION = 1  # moves whenever a changed image moves (a test notices): records' views are then made anew
COVERED = 0.75  # share of the image's area that the tiles must cover, for the image to be called shuffled


@dataclass(frozen=True, kw_only=True)
class Change:
    """One kind of change, and what is said of it in views, grids and figures."""

    name: str  # before the sign = of a view
    make: Callable[[Tensor, Tensor | np.ndarray, float], Tensor]  # (images, ids, strength) -> images, as `parse` says
    check: Callable[[float, tuple[int, int] | None], None]  # UserError for a strength; sides: of the images, if known
    example: float  # a strength
    grid: Callable[[int], Sequence[float]]  # side in pixels -> the strengths of Fig. 2, ascending, the plain end's too
    short: Callable[[Sequence[float]], Sequence[float]] = tuple  # a part of the grid, for short runs
    plain_last: bool = True  # whether the images are as they were at the end of the grid, or else at its beginning
    whole: bool = False  # whether strengths are whole numbers
    version: int | None = None  # of your own: moves whenever an image that it makes moves; None: VERSION
    title: str = ""  # in figures; "": the name
    axis: str = "strength"
    logarithmic: bool = False  # whether strengths stand on the axis by their logarithm
    tick: Callable[[float], str] = "{:g}".format
    plain_tick: str = ""  # at the plain end; "": as the others
    symbol: str = "D"  # matplotlib's marker

    def view(self, strength: float) -> str:
        """The view of this strength, in its one form: "colour=0.3"."""
        return f"{self.name}={strength:.10g}"


CHANGES: dict[str, Change] = {}  # by name, in the order of the figures


def register_change(change: Change) -> Change:
    """Makes a change known by its name; again, it takes the place of what had the name.

    Worker processes import the module it is from; what a notebook's cell registers is trained in the notebook itself.
    UserError for a name that no view can have, and for colour, shuffle and low-pass.
    """
    if not change.name or set(change.name) & set("=@:.,/ "):
        raise UserError(f"change {change.name!r}: a name without = @ : . , / and spaces")
    if change.name in CHANGES and change.name in ("colour", "shuffle", "low-pass"):
        raise UserError(f"change {change.name!r}: the name is taken; give it another")
    CHANGES[change.name] = change
    share(f"the perturbation {change.name}", change.make)
    return change


# ---- the changes ---------------------------------------------------------------------------------------------------


def _images(images: Tensor) -> tuple[int, int]:
    """The sides of the images, after a look at what was given."""
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise UserError(f"images {tuple(images.shape)} {images.dtype}: uint8 (n, 3, height, width) can be changed")
    return tuple(images.shape[2:])


def _bytes(x: Tensor) -> Tensor:
    """float64 -> uint8: clipped, not wrapped, and rounded to the nearest, halves up (module docstring)."""
    return x.add_(0.5 + 2**-20).floor_().clamp_(0, 255).to(torch.uint8)


def colour(images: Tensor, alpha: float) -> Tensor:
    """Eq. 3: each channel becomes alpha channel + (1 - alpha) grey, with grey = (R + G + B) / 3 at each pixel.

    images, result: (n, 3, H, W) uint8. alpha: 0 (grey) .. 1 (as it was, exactly); UserError outside.
    The paper divides the sum by 2, which would leave 0..255; its words say "averaging" [C].
    """
    _check_colour(alpha, _images(images))
    if alpha == 1:
        return images.clone()
    x = images.double()
    return _bytes(alpha * x + (1 - alpha) / 3 * x.sum(1, keepdim=True))


def _check_colour(alpha: float, _sides: tuple[int, int] | None) -> None:
    if not 0 <= alpha <= 1:
        raise UserError(f"colour={alpha:.10g}: alpha is a number from 0 (grey) to 1 (as it was)")


def shuffle(images: Tensor, ids: Tensor | np.ndarray, tiles: int) -> Tensor:
    """Each image cut into tiles x tiles equal parts, which are put back in random order (Sec. 6).

    images, result: (n, 3, H, W) uint8; ids: (n,) index of each image in its data set; tiles: 1 (as it was) or more.
    An image's order of tiles is drawn from its id, uniform over all orders, so one image in (tiles^2)! stays as it
    was. Where the side does not divide, tiles are floor(H / tiles) x floor(W / tiles), in a centred block, and the rim
    around it stays in place: no pixel is lost, doubled or resampled. UserError where the tiles cover less than 75%.
    """
    _check_shuffle(tiles, _images(images))
    (n, channels, height, width), t = images.shape, int(tiles)
    down, across = height // t, width // t
    top, left = (height - t * down) // 2, (width - t * across) // 2
    block = (..., slice(top, top + t * down), slice(left, left + t * across))
    parts = images[block].reshape(n, channels, t, down, t, across).permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
    order = permutations(torch.as_tensor(ids, device=images.device), t * t)
    parts = parts[torch.arange(n, device=images.device)[:, None], order]
    changed = images.clone()
    changed[block] = parts.unflatten(1, (t, t)).permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
    return changed


def _check_shuffle(tiles: float, sides: tuple[int, int] | None) -> None:
    said = f"shuffle={tiles:.10g}"
    if not (math.isfinite(tiles) and tiles == int(tiles) and tiles >= 1):
        raise UserError(f"{said}: the number of tiles along a side is a whole number from 1")
    if sides and covered(*sides, int(tiles)) < COVERED:
        fit = [t for t in range(1, min(sides) + 1) if covered(*sides, t) >= COVERED]
        near = [t for t in fit if t < tiles][-1:] + [t for t in fit if t > tiles][:1]
        raise UserError(
            f"{said}: so many tiles of whole pixels cover {covered(*sides, int(tiles)):.0%} of an image of {sides[0]}x"
            f"{sides[1]} pixels, {COVERED:.0%} are needed; the nearest that fit: {' or '.join(map(str, near))}"
        )


def covered(height: int, width: int, tiles: int) -> float:
    """The share of an image's area that tiles x tiles equal tiles of whole pixels cover: 1 where the sides divide."""
    return (height // tiles) * (width // tiles) * tiles**2 / (height * width)


def permutations(ids: Tensor | np.ndarray, count: int) -> Tensor:
    """An order of 0..count-1 for each id, drawn from the id: (n, count) int64, on the device of ids.

    Place k of the result holds what place order[k] had. The numbers 0.. sorted by 64-bit keys of SplitMix64 (Steele et
    al. 2014), which is integer arithmetic: the same on every device, and image by image.
    """
    ids = torch.as_tensor(ids)
    start = _mix(torch.tensor(_GAMMA, device=ids.device))
    of_image = _mix(start + ids.long() * _GAMMA)
    keys = _mix(of_image[:, None] + torch.arange(1, count + 1, device=ids.device) * _GAMMA)
    return torch.argsort(keys, dim=1, stable=True)


_GAMMA, *_FACTORS = (x - 2**64 for x in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))  # as int64


def _mix(x: Tensor) -> Tensor:
    """SplitMix64's mixing of 64 bits, in int64, which wraps; the mask makes the right shifts bring in zeros."""
    for shift, factor in zip((30, 27), _FACTORS, strict=True):
        x = (x ^ ((x >> shift) & (2 ** (64 - shift) - 1))) * factor
    return x ^ ((x >> 31) & (2**33 - 1))


def radial_mask(height: int, width: int, radius: float) -> Tensor:
    """M_r of Sec. 6: bool (height, width), true where a frequency's distance from the constant one is <= radius.

    The constant frequency (DC) stands at (height // 2, width // 2), where `fftshift` puts it; radius in pixels of that
    plane, 0 or more. Of 32 x 32, radius 8.0 keeps 197, four of them at just 8.0: "<=" is what the paper prints.
    """
    rows, columns = torch.arange(height) - height // 2, torch.arange(width) - width // 2
    return (rows[:, None] ** 2 + columns**2).double().sqrt() <= radius


def low_pass(images: Tensor, radius: float) -> Tensor:
    """Images without the frequencies outside the radial mask (Sec. 6): per channel, clipped to 0..255, rounded.

    images, result: (n, 3, H, W) uint8; radius: 0 (each channel its mean) or more, up to the corner's distance, from
    where on nothing changes; UserError if negative. The mask is symmetric about DC, so what comes back is real.
    """
    _check_low_pass(radius, _images(images))
    height, width = images.shape[2:]
    mask = torch.fft.ifftshift(radial_mask(height, width, radius))[:, : width // 2 + 1].to(images.device)
    return _bytes(torch.fft.irfft2(torch.fft.rfft2(images.double()) * mask, s=(height, width)))


def _check_low_pass(radius: float, _sides: tuple[int, int] | None) -> None:
    if not (radius >= 0 and math.isfinite(radius)):
        raise UserError(f"low-pass={radius:.10g}: the radius is a number of pixels, 0 or more, and finite")


def _radii(size: int) -> list[float]:
    step = 1.12 if size > 32 else 0.05 * size
    return [float(f"{k * step:.6g}") for k in range(1, 10)] + [math.ceil(100 * size / math.sqrt(2)) / 100]


# ---- views ---------------------------------------------------------------------------------------------------------


def examples() -> tuple[str, ...]:
    """A view of each change."""
    return tuple(change.view(change.example) for change in CHANGES.values())


def parse(view: str) -> Callable[[Tensor, Tensor | np.ndarray], Tensor]:
    """The change that a view names, as function(images, ids) -> images, uint8 (n, 3, H, W). As `check_view`."""
    change, strength = check_view(view)
    return lambda images, ids: change.make(images, ids, strength)


def check_view(view: str, size: int | None = None) -> tuple[Change, float]:
    """A view's change and strength; UserError unless it is one, in its one form, that images of this side allow."""
    name, equals, text = view.partition("=")
    if name not in CHANGES or not equals:
        raise UserError(f"change {view!r}: one of {', '.join(examples())} (any strength)")
    change = CHANGES[name]
    try:
        strength = float(text) + 0.0  # -0 is 0
    except ValueError:
        raise UserError(f"view {view!r}: a number after the sign =, such as {change.view(change.example)}") from None
    change.check(strength, (size, size) if size else None)
    if view != change.view(strength):  # one text for one view, or its images would be evaluated twice
        raise UserError(f"view {view!r}: write {change.view(strength)}")
    return change, int(strength) if change.whole else strength


def views(name: str, size: int) -> dict[float, str]:
    """Fig. 2's grid for images of this side: strength -> view, ascending; "train", the plain view, at its plain end.

    colour: alpha 0, .1 .. 1. shuffle: tiles a side, 1 .. 6, 8, 16 (those that fit; tile size = 1 / tiles). low-pass:
    radius, .1 .. .9 of the half side (CIFAR-10: 1.6, 3.2 .. 14.4), and the corner's distance, from where on nothing is
    masked. A radius counts waves across the image: images of more than 32 pixels have the radii that the paper has at
    224, 1.12 .. 10.08, which blur them alike. [A], and [C] for sizes that the paper does not have.
    """
    if name not in CHANGES:
        raise UserError(f"change {name!r}: one of {', '.join(CHANGES)}")
    change = CHANGES[name]
    strengths = change.grid(size)
    plain = strengths[-1 if change.plain_last else 0]
    return {strength: "train" if strength == plain else change.view(strength) for strength in strengths}


def grids(size: int, points: str = "full") -> dict[str, dict[float, str]]:
    """The grid of each change, {change: {strength: view}}: "full", all of `views`, or "short", a part.

    short: alpha 0, .3, .6; 2, 4, 16 tiles; radii 1, 2, 3 and 5 of the nine; and each plain end.
    """
    if points not in ("full", "short"):
        raise UserError(f"grid {points!r}: one of short, full")
    found = {name: views(name, size) for name in CHANGES}
    if points == "short":
        some = {name: CHANGES[name].short(list(grid)) for name, grid in found.items()}
        found = {name: {s: view for s, view in grid.items() if s in some[name]} for name, grid in found.items()}
    return found


class Changed(Dataset):
    """A data set seen through a view: its images are changed whenever they are asked for, and none are kept.

    So a trial may have dozens of views of 50,000 images. `source` holds the plain ones; `change(images, ids)` changes a
    batch. The fingerprint is of what determines the images: source, ids, view and version, not of their bytes.
    """

    def __init__(self, source: Dataset, view: str):
        kind, _strength = check_view(view, source.images.shape[-1])
        mark = hashlib.sha256(f"{kind.version or VERSION}/{view}/{source.fingerprint}/".encode())
        mark.update(source.ids.astype("<i8").tobytes())
        inherited = {name: value for name, value in vars(source).items() if name != "images"}
        self.__dict__.update(inherited, fingerprint=mark.hexdigest(), source=source, view=view, change=parse(view))

    @property
    def images(self) -> Tensor:
        """uint8 (n, 3, H, W), computed now."""
        changed = torch.empty_like(self.source.images)
        for start in range(0, len(self), 500):
            part = slice(start, start + 500)
            changed[part] = self.change(self.source.images[part], self.ids[part])
        return changed

    def take(self, index: object) -> "Changed":
        """The examples at these positions, as `Dataset.take`; each image is changed as it is in the whole."""
        return Changed(self.source.take(index), self.view)


# ---- the registry --------------------------------------------------------------------------------------------------

for _change in (
    Change(
        name="colour",
        make=lambda images, ids, alpha: colour(images, alpha),
        check=_check_colour,
        example=0.3,
        grid=lambda size: [k / 10 for k in range(11)],
        short=lambda grid: (0, 0.3, 0.6, 1),
        axis="alpha (0: grey)",
        symbol="s",
    ),
    Change(
        name="shuffle",
        make=shuffle,
        check=_check_shuffle,
        example=4,
        grid=lambda size: [t for t in (1, 2, 3, 4, 5, 6, 8, 16) if covered(size, size, t) >= COVERED],
        short=lambda grid: (1, 2, 4, 16),
        plain_last=False,
        whole=True,
        axis="tile size (1: whole image)",
        logarithmic=True,
        tick="1/{:g}".format,
        plain_tick="1",
        symbol="^",
    ),
    Change(
        name="low-pass",
        make=lambda images, ids, radius: low_pass(images, radius),
        check=_check_low_pass,
        example=3.2,
        grid=_radii,
        short=lambda grid: [grid[k] for k in (0, 1, 2, 4, -1)],
        title="radial mask",
        axis="radius, waves across the image",
        logarithmic=True,
        plain_tick="all",
        symbol="o",
    ),
):
    CHANGES[_change.name] = _change
