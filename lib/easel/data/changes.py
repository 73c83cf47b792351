"""Images from which something was taken: colour, the arrangement of parts, fine detail (EH Sec. 6, Figs 2 and 3).

Pure functions of uint8 tensors (n, 3, H, W) on any device; they never train, normalise or write to what they are given.
An image's change depends on that image and its id alone, not on batch, order or device. As views of a trial they are
    colour=0.3      alpha: 0 grey .. 1 plain
    shuffle=4       4 x 4 tiles
    low-pass=3.2    radius in pixels of the Fourier plane
and the nets that were trained on plain images are evaluated on the changed ones, with no second training.

Arithmetic is float64, then clipped to 0..255 and rounded to the nearest, halves up. 2^-20 is added before, so that no
processor's last bits decide which side a half falls on: the changed images are the same everywhere.
"""

import hashlib
import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from easel.data.sets import Dataset
from easel.errors import UserError

VERSION = 1  # moves whenever a changed image moves (tests/test_perturb.py notices): records' views are then made anew
COVERED = 0.75  # share of the image's area that the tiles must cover, for the image to be called shuffled
CHUNK = 500  # images changed at once where a whole data set is asked for
EXAMPLES = {"colour": "colour=0.3", "shuffle": "shuffle=4", "low-pass": "low-pass=3.2"}


# ---- the changes ---------------------------------------------------------------------------------------------------


def colour(images: Tensor, alpha: float) -> Tensor:
    """Eq. 3: each channel becomes alpha channel + (1 - alpha) grey, with grey = (R + G + B) / 3 at each pixel.

    images, result: (n, 3, H, W) uint8. alpha: 0 (grey) .. 1 (as it was, exactly); UserError outside.
    The paper divides the sum by 2, which would leave 0..255; its words say "averaging" [C].
    """
    _check("colour", alpha, _images(images))
    if alpha == 1:
        return images.clone()
    x = images.double()
    return _bytes(alpha * x + (1 - alpha) / 3 * x.sum(1, keepdim=True))


def shuffle(images: Tensor, ids: Tensor | np.ndarray, tiles: int, seed: int = 0) -> Tensor:
    """Each image cut into tiles x tiles equal parts, which are put back in random order (Sec. 6).

    images, result: (n, 3, H, W) uint8; ids: (n,) index of each image in its data set; tiles: 1 (as it was) or more.
    An image's order of tiles is drawn from (seed, id), uniform over all orders, so one image in (tiles^2)! stays as it
    was. Where the side does not divide, tiles are floor(H / tiles) x floor(W / tiles), in a centred block, and the rim
    around it (32 pixels, 3 tiles: one pixel each side) stays in place: no pixel is lost, doubled or resampled.
    UserError where the tiles cover less than 75% of the area: most of such an image would not be shuffled.
    """
    _check("shuffle", tiles, _images(images))
    (n, channels, height, width), t = images.shape, int(tiles)
    down, across = height // t, width // t
    top, left = (height - t * down) // 2, (width - t * across) // 2
    block = (..., slice(top, top + t * down), slice(left, left + t * across))
    parts = images[block].reshape(n, channels, t, down, t, across).permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
    order = permutations(torch.as_tensor(ids, device=images.device), t * t, seed)
    parts = parts[torch.arange(n, device=images.device)[:, None], order]
    changed = images.clone()
    changed[block] = parts.unflatten(1, (t, t)).permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
    return changed


def permutations(ids: Tensor | np.ndarray, count: int, seed: int = 0) -> Tensor:
    """An order of 0..count-1 for each id, drawn from (seed, id): (n, count) int64, on the device of ids.

    Place k of the result holds what place order[k] had. The numbers 0.. sorted by 64-bit keys of SplitMix64 (Steele et
    al. 2014), which is integer arithmetic: the same on every device, and image by image.
    """
    ids = torch.as_tensor(ids)
    start = _mix(torch.tensor(seed, device=ids.device) + _GAMMA)
    of_image = _mix(start + ids.long() * _GAMMA)
    keys = _mix(of_image[:, None] + torch.arange(1, count + 1, device=ids.device) * _GAMMA)
    return torch.argsort(keys, dim=1, stable=True)


def radial_mask(height: int, width: int, radius: float) -> Tensor:
    """M_r of Sec. 6: bool (height, width), true where a frequency's distance from the constant one is <= radius.

    The constant frequency (DC) stands at (height // 2, width // 2), where `fftshift` puts it; radius in pixels of that
    plane, 0 or more. For 32 x 32 and 1.6, 3.2, 4.8: 9, 37, 69 frequencies; for 8.0: 197, of which
    four lie at just 8.0: we keep them, as "<=" is what the paper prints; with "<" there would be 193.
    """
    rows, columns = torch.arange(height) - height // 2, torch.arange(width) - width // 2
    return (rows[:, None] ** 2 + columns**2).double().sqrt() <= radius


def low_pass(images: Tensor, radius: float) -> Tensor:
    """Images without the frequencies outside the radial mask (Sec. 6): per channel, clipped to 0..255, rounded.

    images, result: (n, 3, H, W) uint8; radius: 0 (each channel its mean) or more, up to the corner's distance, from
    where on nothing changes; UserError if negative. The mask is symmetric about DC, so what comes back is real.
    """
    _check("low-pass", radius, _images(images))
    height, width = images.shape[2:]
    mask = torch.fft.ifftshift(radial_mask(height, width, radius))[:, : width // 2 + 1].to(images.device)
    return _bytes(torch.fft.irfft2(torch.fft.rfft2(images.double()) * mask, s=(height, width)))


# ---- views ---------------------------------------------------------------------------------------------------------


def is_change(view: str) -> bool:
    """Whether a view's name is one of a change: what stands before "=" is colour, shuffle or low-pass."""
    return view.partition("=")[0] in EXAMPLES and "=" in view


def check(view: str, size: int | None = None) -> None:
    """Raise UserError, one line, unless `view` is a change, written in its one form, that images of this side allow."""
    _split(view, size)


def parse(view: str) -> Callable[[Tensor, Tensor | np.ndarray], Tensor]:
    """The change that a view names, as function(images, ids) -> images. UserError as in `check`."""
    name, strength = _split(view)
    if name == "shuffle":
        return lambda images, ids: shuffle(images, ids, strength)
    change = {"colour": colour, "low-pass": low_pass}[name]
    return lambda images, ids: change(images, strength)


def views(name: str, size: int) -> dict[float, str]:
    """Fig. 2's grid for images of this side: strength -> view, ascending; "train", the plain view, at its plain end.

    colour: alpha 0, .1 .. 1. shuffle: tiles a side, 1 .. 6, 8, 16 (those that fit; tile size = 1 / tiles). low-pass:
    radius in pixels of the Fourier plane, .1 .. .9 of the half side (CIFAR-10: 1.6, 3.2 .. 14.4), and the corner's
    distance, from where on nothing is masked. A radius counts waves across the image, whatever its pixels: so images of
    more than 32 pixels have the radii that the paper has at 224, 1.12 .. 10.08, which blur them alike. [A], and [C] for
    sizes that the paper does not have.
    """
    if name not in EXAMPLES:
        raise UserError(f"change {name!r}: one of {', '.join(EXAMPLES)}")
    if name == "colour":
        return {k / 10: f"colour={k / 10:g}" if k < 10 else "train" for k in range(11)}
    if name == "shuffle":
        fitting = [t for t in (2, 3, 4, 5, 6, 8, 16) if covered(size, size, t) >= COVERED]
        return {1: "train"} | {t: f"shuffle={t}" for t in fitting}
    step = 1.12 if size > 32 else 0.05 * size
    radii = [float(f"{k * step:.6g}") for k in range(1, 10)]
    return {r: f"low-pass={r:g}" for r in radii} | {math.ceil(100 * size / math.sqrt(2)) / 100: "train"}


def grids(size: int, points: str = "full") -> dict[str, dict[float, str]]:
    """The grid of each change, {change: {strength: view}}: "full", all of `views`, or "short", a part.

    short: alpha 0, .3, .6; 2, 4, 16 tiles; radii 1, 2, 3 and 5 of the nine; and each plain end. UserError for other
    words.
    """
    if points not in ("full", "short"):
        raise UserError(f"grid {points!r}: one of short, full")
    whole = {name: views(name, size) for name in EXAMPLES}
    if points == "full":
        return whole
    radii = list(whole["low-pass"])
    some = {"colour": (0, 0.3, 0.6, 1), "shuffle": (1, 2, 4, 16), "low-pass": [radii[k] for k in (0, 1, 2, 4, 9)]}
    return {name: {s: view for s, view in grid.items() if s in some[name]} for name, grid in whole.items()}


def covered(height: int, width: int, tiles: int) -> float:
    """The share of an image's area that tiles x tiles equal tiles of whole pixels cover: 1 where the sides divide."""
    return (height // tiles) * (width // tiles) * tiles**2 / (height * width)


class Changed(Dataset):
    """A data set seen through a view: its images are changed whenever they are asked for, and none are kept.

    So a trial may have dozens of views of 50,000 images. `source` holds the plain ones; `change(images, ids)` changes a
    batch. The fingerprint is of what determines the images: source, ids, view and VERSION, not of their bytes.
    """

    def __init__(self, source: Dataset, view: str):
        check(view, source.images.shape[-1])
        mark = hashlib.sha256(f"{VERSION}/{view}/{source.fingerprint}/".encode())
        mark.update(source.ids.astype("<i8").tobytes())
        inherited = {name: value for name, value in vars(source).items() if name != "images"}
        self.__dict__.update(inherited, fingerprint=mark.hexdigest(), source=source, view=view, change=parse(view))

    @property
    def images(self) -> Tensor:
        """uint8 (n, 3, H, W), computed now."""
        changed = torch.empty_like(self.source.images)
        for start in range(0, len(self), CHUNK):
            part = slice(start, start + CHUNK)
            changed[part] = self.change(self.source.images[part], self.ids[part])
        return changed

    def take(self, index: object) -> "Changed":
        """The examples at these positions, as `Dataset.take`; each image is changed as it is in the whole."""
        return Changed(self.source.take(index), self.view)


def _split(view: str, size: int | None = None) -> tuple[str, float]:
    name, equals, text = view.partition("=")
    if name not in EXAMPLES or not equals:
        raise UserError(f"change {view!r}: one of {', '.join(EXAMPLES.values())} (any strength)")
    try:
        strength = float(text) + 0.0  # -0 is 0
    except ValueError:
        raise UserError(f"view {view!r}: a number after the sign =, such as {EXAMPLES[name]}") from None
    _check(name, strength, (size, size) if size else None)
    if text != f"{strength:.10g}":  # one text for one view, or its images would be evaluated twice
        raise UserError(f"view {view!r}: write {name}={strength:.10g}")
    return name, int(strength) if name == "shuffle" else strength


def _check(name: str, strength: float, sides: tuple[int, int] | None) -> None:
    """Raise UserError unless a change of this strength can be made, of images with these sides if they are known."""
    said = f"{name}={strength:.10g}"
    if name == "colour" and not 0 <= strength <= 1:
        raise UserError(f"{said}: alpha is a number from 0 (grey) to 1 (as it was)")
    if name == "low-pass" and not (strength >= 0 and math.isfinite(strength)):
        raise UserError(f"{said}: the radius is a number of pixels, 0 or more, and finite")
    if name == "shuffle":
        if not (math.isfinite(strength) and strength == int(strength) and strength >= 1):
            raise UserError(f"{said}: the number of tiles along a side is a whole number from 1")
        if sides and covered(*sides, int(strength)) < COVERED:
            fit = [t for t in range(1, min(sides) + 1) if covered(*sides, t) >= COVERED]
            near = max((t for t in fit if t < strength), default=1), min((t for t in fit if t > strength), default=0)
            what = " or ".join(str(t) for t in near if t)
            raise UserError(
                f"{said}: so many tiles of whole pixels cover {covered(*sides, int(strength)):.0%} of an image of "
                f"{sides[0]}x{sides[1]} pixels, {COVERED:.0%} are needed; the nearest that fit: {what}"
            )


def _images(images: Tensor) -> tuple[int, int]:
    """The sides of the images, after a look at what was given."""
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise UserError(f"images {tuple(images.shape)} {images.dtype}: uint8 (n, 3, height, width) can be changed")
    return tuple(images.shape[2:])


def _bytes(x: Tensor) -> Tensor:
    """float64 -> uint8: clipped, not wrapped, and rounded to the nearest, halves up (module docstring)."""
    return x.add_(0.5 + 2**-20).floor_().clamp_(0, 255).to(torch.uint8)


def _signed(x: int) -> int:
    return x - 2**64 if x >= 2**63 else x


_GAMMA, *_FACTORS = map(_signed, (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def _mix(x: Tensor) -> Tensor:
    """SplitMix64's mixing of 64 bits, in int64, which wraps; the mask makes the right shifts bring in zeros."""
    for shift, factor in zip((30, 27), _FACTORS, strict=True):
        x = (x ^ ((x >> shift) & (2 ** (64 - shift) - 1))) * factor
    return x ^ ((x >> 31) & (2**33 - 1))
