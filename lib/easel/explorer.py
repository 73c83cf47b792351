"""What the explorer shows: which images, in which order, with which counts; and the page that needs no kernel.

A `Collection` holds every image of a ledger and who got it right when; a `Choice` says which to show. `page` packs a
part of it into one HTML file (explorer.html beside this module holds its markup, style and script) that opens from a
disk: nothing is fetched, and what it shows is computed in the browser from the packed bits. `easel.widgets` shows the
same with a kernel. Nothing here trains or draws a figure.
"""

import base64
import json
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from easel import cuts, files, models, pictures
from easel.errors import UserError
from easel.ledger import Ledger

SHEET = 48  # images shown at once
EMBEDDED = 2000  # images that a page holds at most: about 2 kB each
LOSSLESS = 32  # pixels; a page's larger pictures are compressed (WebP, quality 90), lossless they take 8 kB


def tie_lot(ids, seed: int, net: str) -> np.ndarray:
    """uint32 (examples,): the lot that breaks an example's ties, from its id, the seed and the net's name.

    The net is part of it: two nets that broke their ties alike would seem to agree. The page draws the same lots.
    """
    return _mixed(np.asarray(ids).astype(np.uint32) ^ _mixed(np.uint32((seed + zlib.crc32(net.encode())) % 2**32)))


def _mixed(x):
    """A bijection of 32-bit numbers under which near ones part (Wellons' lowbias32)."""
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
        x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
        return x ^ (x >> np.uint32(16))


def ranked(counts, ids, *, which: str = "easy", seed: int = 0, net: str = "") -> np.ndarray:
    """Positions of the examples, easiest (or hardest) first, tied ones in the order of `tie_lot`: int64 (examples,).

    counts: (examples,), higher = easier; ids: (examples,). From one seed the same images, in whatever order they come.
    """
    c = cuts.vector(counts)
    cuts.asked(which, 1)
    return np.lexsort((ids, tie_lot(ids, seed, net), -c if which == "easy" else c))


def tied_at(counts, k: int, *, which: str = "easy") -> tuple[int, int]:
    """(places, tied): how many of a set of k are drawn by lot, and among how many examples of one count.

    (0, 0) where no lot is needed. UserError: k outside 1..examples.
    """
    c = cuts.vector(counts)
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= len(c):
        raise UserError(f"k={k!r}: a whole number of examples in 1..{len(c)}")
    cut = cuts.cut_at(c, which, k / len(c))
    return (cut.missing, cut.tied) if cut.missing < cut.tied else (0, 0)


@dataclass(frozen=True)
class Choice:
    """What to show. label: a class by name, None = all; start: how much of the ranking is passed over, in percent."""

    net: str
    label: str | None = None
    m: int = 1
    which: str = "easy"  # "easy": easiest first | "hard": hardest first
    start: float = 0.0  # 0..100
    seed: int = 0  # breaks the ties


class Collection:
    """The images of a ledger and, for each of its nets, who was right when. Any number of nets, one data set.

    What a wrong image was taken for is known where its trials recorded it: Trial(record=("prediction",)).
    """

    def __init__(self, ledger: Ledger):
        self.examples = ledger.examples
        self.correct = {net: ledger.where(model=net).correct() for net in ledger.models}  # bool (trials, epochs, n)
        self.predictions = {net: _predictions(ledger.where(model=net)) for net in ledger.models}
        self.epochs = ledger.epochs
        self._counts = lru_cache(maxsize=64)(lambda net, m: self.correct[net][:, m - 1].sum(0, dtype=np.int64))
        self._ranking = lru_cache(maxsize=32)(self._ranked)  # a slider moves along one ranking many times

    @property
    def nets(self) -> list[str]:
        return list(self.correct)

    def counts(self, net: str, m: int) -> np.ndarray:
        """c_t (EH 2.1): int64 (examples,). UserError: a net or an m that the ledger does not have."""
        if net not in self.correct:
            raise UserError(f"no net {net!r} in this ledger; there are: {', '.join(self.nets)}")
        if isinstance(m, bool) or not isinstance(m, int | np.integer) or not 1 <= m <= self.epochs:
            raise UserError(f"m={m!r}: a whole number of epochs in 1..{self.epochs}, the epochs that were recorded")
        return self._counts(net, int(m))

    def members(self, label: str | None) -> np.ndarray:
        """Positions of a class' examples, of all if None. UserError: no such class."""
        if label is None:
            return np.arange(len(self.examples))
        if label not in self.examples.classes:
            raise UserError(
                f"no class {label!r} in {self.examples.name}; there are: {', '.join(self.examples.classes)}"
            )
        return np.flatnonzero(self.examples.labels.numpy() == self.examples.classes.index(label))

    def sheet(self, choice: Choice, size: int = SHEET) -> np.ndarray:
        """Positions of the images to show, at most `size`, in order. UserError: as `counts` and `members`."""
        return self._window(choice, size)[0]

    def describe(self, choice: Choice, size: int = SHEET) -> str:
        """What a sheet shows, and how many images are tied at its end, in a line."""
        shown, of = self._window(choice, size)
        counts, trials = self.counts(choice.net, choice.m), len(self.correct[choice.net])
        first, last = int(counts[shown[0]]), int(counts[shown[-1]])
        tied, here = int((counts[of] == last).sum()), int((counts[shown] == last).sum())
        span = f"{first}" if first == last else f"{first} to {last}"
        text = f"{len(shown)} of {len(of):,} images, right in {span} of {trials} trials. "
        if here < tied:
            return (
                text + f"{tied:,} images have the last one's count; the {here} of them that are here are drawn by lot."
            )
        return text + "No lot at the end: all images with the last one's count are here."

    def _window(self, choice: Choice, size: int) -> tuple[np.ndarray, np.ndarray]:
        if not 0 <= choice.start <= 100:
            raise UserError(f"start={choice.start!r}: a percentage in 0..100")
        of = self.members(choice.label)
        first = int(choice.start / 100 * max(0, len(of) - size) + 0.5)
        return self._ranking(replace(choice, start=0.0))[first : first + size], of

    def _ranked(self, choice: Choice) -> np.ndarray:
        of, c = self.members(choice.label), self.counts(choice.net, choice.m)
        return of[ranked(c[of], self.examples.ids[of], which=choice.which, seed=choice.seed, net=choice.net)]

    def story(self, position: int, m: int) -> dict[str, tuple[int, int, np.ndarray]]:
        """What each net made of an image: {net: (count, trials, bool (trials, epochs))}."""
        return {n: (int(self.counts(n, m)[position]), len(c), c[:, :, position]) for n, c in self.correct.items()}

    def favourites(self, net: str, m: int, positions) -> tuple[np.ndarray, np.ndarray] | None:
        """The wrong classes that a net most often takes images for, after epoch m; None where it is not recorded.

        positions: (images,). Returns times, int64 (images,): in how many trials an image was taken for its favourite
        wrong class, 0 if it never was for any; and which, bool (images, classes): that class, or those that share the
        first place. UserError: as `counts`.
        """
        self.counts(net, m)
        if self.predictions[net] is None:
            return None
        of = np.asarray(positions, dtype=np.int64)
        classes, taken = len(self.examples.classes), self.predictions[net][:, m - 1, of].astype(np.int64)
        at = np.arange(len(of))
        times = np.bincount((taken + classes * at).ravel(), minlength=classes * len(of)).reshape(len(of), classes)
        times[at, self.examples.labels.numpy()[of]] = 0
        most = times.max(1)
        return most, (times == most[:, None]) & (most > 0)[:, None]

    def mistaken(self, net: str, m: int, position: int) -> str:
        """The favourite wrong class of an image in words, with how often; "" where it is not recorded."""
        found = self.favourites(net, m, [position])
        if found is None:
            return ""
        times, names = int(found[0][0]), [self.examples.classes[k] for k in np.flatnonzero(found[1][0])]
        if not names:
            return "never taken for another class"
        each = " each" if len(names) > 1 else ""
        return f"where wrong, mostly taken for {_either(names)}: {times} of {len(self.correct[net])} trials{each}"

    def embedded(self, limit: int) -> np.ndarray:
        """Positions of the images that a page holds, ascending: all if they are not more than `limit`.

        Else, by turns over classes, nets and the first and last m: the ten easiest and hardest, as seed 0 breaks their
        ties, then an evenly spaced part of the ranking between them, until the limit is reached.
        """
        n = len(self.examples)
        if n <= limit:
            return np.arange(n)
        rankings = []
        for m in sorted({1, self.epochs}):
            for net in self.nets:
                for of in map(self.members, self.examples.classes):
                    order = of[ranked(self.counts(net, m)[of], self.examples.ids[of], net=net)]
                    hardest = of[ranked(self.counts(net, m)[of], self.examples.ids[of], which="hard", net=net)]
                    ends = np.stack([order[:10], hardest[:10]], 1).ravel()
                    spaced = order[np.linspace(0, len(order) - 1, min(len(order), limit)).astype(int)]
                    rankings.append(np.concatenate([ends, np.random.default_rng(0).permutation(spaced)]))
        chosen: dict[int, None] = {}
        for turn in range(max(map(len, rankings))):
            for one in rankings:
                if turn < len(one) and len(chosen) < limit:
                    chosen[int(one[turn])] = None
        return np.sort(np.fromiter(chosen, np.int64))


def _predictions(ledger: Ledger) -> np.ndarray | None:
    """uint16 (trials, epochs, examples): the class that each was taken for; None if a trial did not record it."""
    if not all("prediction.train" in record.arrays for record in ledger.records):
        return None
    return ledger.predictions().astype(np.uint16)


def _either(names: list[str]) -> str:
    """Names as a choice: a or b; a, b or c."""
    return " or ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def page(
    collections: Collection | Iterable[Collection], *, title: str = "easel explorer", limit: int = EMBEDDED
) -> str:
    """One HTML file that explores the collections with no kernel and no network. limit: images of each that it holds.

    Counts and the number of tied images are those of all images; a line says how many of them the page holds.
    """
    collections = [collections] if isinstance(collections, Collection) else list(collections)
    data = {"sheet": SHEET, "title": title, "sets": [_packed(one, limit) for one in collections]}
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    template = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")
    return template.replace('"EASEL-DATA"', text)


def save(
    collections: Collection | Iterable[Collection],
    folder: Path,
    *,
    variant: str = "",
    limit: int = EMBEDDED,
    **options,
) -> Path:
    """Writes `page` as explorer.html into a folder (a Page's, say) and returns its path.

    variant: a word (a Page's, say) that the name ends in, explorer-WORD.html, so that two pages stand in one folder.
    """
    folder = files.make_folder(Path(folder))
    name = f"explorer-{variant}.html" if variant else "explorer.html"
    return files.write_atomically(folder / name, page(collections, limit=limit, **options).encode())


def _packed(one: Collection, limit: int) -> dict:
    """A collection as what explorer.html reads: images as one sprite sheet, bits and numbers as base64."""
    at, examples = one.embedded(limit), one.examples
    shown, columns = pictures.thumbs(examples.images[at].numpy()), int(np.ceil(np.sqrt(len(at))))
    labels, lossless = examples.labels.numpy(), shown.shape[-1] <= LOSSLESS
    kind = "webp" if lossless else "webp90"
    nets = []
    for net, correct in one.correct.items():
        trials = len(correct)
        counts = [one.counts(net, m) for m in range(1, one.epochs + 1)]
        k = len(examples.classes)
        spread = [np.bincount(labels * (trials + 1) + c, minlength=k * (trials + 1)).tolist() for c in counts]
        salt, bits = zlib.crc32(net.encode()), _base64(np.packbits(correct[:, :, at], axis=-1))
        name = f"{models.label(net)} ({net})"
        nets.append({"name": name, "salt": salt, "trials": trials, "bits": bits, "spread": spread})
        if one.predictions[net] is not None:  # the favourites alone: 4 bytes an image and epoch
            times, which = zip(*(one.favourites(net, m, at) for m in range(1, one.epochs + 1)), strict=True)
            nets[-1]["times"] = _base64(np.stack(times).astype("<u2"))
            nets[-1]["taken"] = _base64(np.packbits(np.stack(which), axis=-1))
    return {
        "name": examples.name,
        "notice": examples.notice,
        "total": len(examples),
        "classes": list(examples.classes),
        "epochs": one.epochs,
        "ids": _base64(examples.ids[at].astype("<u4")),
        "labels": _base64(labels[at].astype("<u2")),
        "side": shown.shape[-1],
        "columns": columns,
        "lossless": lossless,
        "sprite": "data:image/webp;base64," + _base64(pictures.encoded(pictures.sprite(shown, columns), kind)),
        "nets": nets,
    }


def _base64(data) -> str:
    return base64.b64encode(np.ascontiguousarray(data) if isinstance(data, np.ndarray) else data).decode()
