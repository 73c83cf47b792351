"""The explorer: every image of a ledger and who got it right when, with a kernel and without.

A `Collection` holds the images and the answers, a `Choice` says which to show. `Explorer` shows them in JupyterLab or
any front end that has ipywidgets; only the images of the sheet travel to the browser, so 50,000 are as quick as 500.
`save_explorer` packs a part of them into one HTML file (explorer.html beside this module holds its markup, style and
script) that opens from a disk, fetches nothing, and computes what it shows from the packed bits. Nothing here trains.
"""

import base64
import io
import itertools
import json
import os
import zlib
from dataclasses import astuple, dataclass, replace
from functools import lru_cache
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd

from easel import files
from easel.compare import cuts
from easel.data.sets import own_files, with_files
from easel.errors import UserError, is_whole
from easel.ledger.store import Ledger
from easel.nets import names
from easel.notebook.site import page_template

THUMB = 64  # pixels; larger images are scaled down to this in a page


def thumbs(pictures: np.ndarray) -> np.ndarray:
    """uint8 (n, 3, H, W) as it is, or brought to (n, 3, THUMB, THUMB) where it is larger."""
    if max(pictures.shape[2:]) <= THUMB:
        return pictures
    from PIL import Image

    small = [Image.fromarray(np.ascontiguousarray(p.transpose(1, 2, 0))).resize((THUMB, THUMB)) for p in pictures]
    return np.stack([np.asarray(p).transpose(2, 0, 1) for p in small])


def picture_bytes(picture: np.ndarray, kind: str = "png") -> bytes:
    """uint8 (H, W, 3) as "png", as lossless "webp", or as "webp90", which loses a little."""
    from PIL import Image

    buffer = io.BytesIO()
    options = {"png": {"compress_level": 1}, "webp": {"lossless": True, "quality": 60}, "webp90": {"quality": 90}}
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, kind.removesuffix("90"), **options[kind])
    return buffer.getvalue()


def sprite(pictures: np.ndarray, columns: int) -> np.ndarray:
    """uint8 (rows * H, columns * W, 3): the pictures line by line, black where there are none."""
    n, _, height, width = pictures.shape
    rows = -(-n // columns)
    grid = np.zeros((rows * columns, height, width, 3), np.uint8)
    grid[:n] = pictures.transpose(0, 2, 3, 1)
    return grid.reshape(rows, columns, height, width, 3).swapaxes(1, 2).reshape(rows * height, columns * width, 3)


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
    if not is_whole(k, least=1) or k > len(c):
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
        self.files = own_files(self.examples)
        each = {net: ledger.where(model=net) for net in ledger.models}
        self.correct = {net: own.correct() for net, own in each.items()}  # bool (trials, epochs, examples)
        self.predictions = {  # uint16, alike: the class that each was taken for; None where a trial did not record it
            net: own.predictions().astype(np.uint16) if own.has("prediction") else None for net, own in each.items()
        }
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
        if not is_whole(m, least=1) or m > self.epochs:
            raise UserError(f"m={m!r}: a whole number of epochs in 1..{self.epochs}, the epochs that were recorded")
        return self._counts(net, int(m))

    def members(self, label: str | None) -> np.ndarray:
        """Positions of a class' examples, of all if None. UserError: no such class."""
        classes = self.examples.classes
        if label is None:
            return np.arange(len(self.examples))
        if label not in classes:
            raise UserError(f"no class {label!r} in {self.examples.name}; there are: {', '.join(classes)}")
        return np.flatnonzero(self.examples.labels.numpy() == classes.index(label))

    def sheet(self, choice: Choice, size: int = SHEET) -> np.ndarray:
        """Positions of the images to show, at most `size`, in order. UserError: as `counts` and `members`."""
        return self._window(choice, size)[0]

    def ends(self, net: str, m: int, which: str, size: int = 10) -> tuple[np.ndarray, list[str]]:
        """The easiest or hardest `size` of every class, ties by lot (seed 0), and "class count" to stand above each."""
        counts, shown, titles = self.counts(net, m), [], []
        for label in self.examples.classes:
            row = self.sheet(Choice(net, label, m, which), size)
            shown.extend(row)
            titles.extend(f"{label} {counts[at]}" for at in row)
        return np.array(shown), with_files(titles, self.examples, shown)

    def called(self, position: int) -> str:
        """An image as its owner calls it: the file in a folder of one's own, else its number in the official order."""
        return f"image {self.examples.ids[position]}" if self.files is None else self.files[position]

    def lots(self, net: str, m: int, size: int = 10) -> pd.DataFrame:
        """`tied_at` of every class at both ends: class, easy_drawn, easy_tied, hard_drawn, hard_tied."""
        rows = []
        for label in self.examples.classes:
            own = self.counts(net, m)[self.members(label)]
            ends = (tied_at(own, min(size, len(own)), which=which) for which in ("easy", "hard"))
            rows.append((label, *itertools.chain(*ends)))
        return pd.DataFrame(rows, columns=["class", "easy_drawn", "easy_tied", "hard_drawn", "hard_tied"])

    def describe(self, choice: Choice, size: int = SHEET) -> str:
        """What a sheet shows, and how many images are tied at its end, in a line."""
        shown, of = self._window(choice, size)
        counts, trials = self.counts(choice.net, choice.m), len(self.correct[choice.net])
        first, last = counts[shown[0]], counts[shown[-1]]
        tied, here = (counts[of] == last).sum(), (counts[shown] == last).sum()
        span = f"{first}" if first == last else f"{first} to {last}"
        lot = "No lot at the end: all images with the last one's count are here."
        if here < tied:
            lot = f"{tied:,} images have the last one's count; the {here} of them that are here are drawn by lot."
        return f"{len(shown)} of {len(of):,} images, right in {span} of {trials} trials. {lot}"

    def _window(self, choice: Choice, size: int) -> tuple[np.ndarray, np.ndarray]:
        if not 0 <= choice.start <= 100:
            raise UserError(f"start={choice.start!r}: a percentage in 0..100")
        of = self.members(choice.label)
        first = int(choice.start / 100 * max(0, len(of) - size) + 0.5)
        return self._ranking(replace(choice, start=0.0))[first : first + size], of

    def _ranked(self, choice: Choice) -> np.ndarray:
        of, c = self.members(choice.label), self.counts(choice.net, choice.m)
        return of[ranked(c[of], self.examples.ids[of], which=choice.which, seed=choice.seed, net=choice.net)]

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
        most = times.max(1, keepdims=True)
        return most[:, 0], (times == most) & (most > 0)

    def mistaken(self, net: str, m: int, position: int) -> str:
        """The favourite wrong class of an image in words, with how often; "" where it is not recorded."""
        found = self.favourites(net, m, [position])
        if found is None:
            return ""
        times, classes = int(found[0][0]), [self.examples.classes[k] for k in np.flatnonzero(found[1][0])]
        if not classes:
            return "never taken for another class"
        each = " each" if len(classes) > 1 else ""
        either = " or ".join(filter(None, (", ".join(classes[:-1]), classes[-1])))  # a or b; a, b or c
        return f"where wrong, mostly taken for {either}: {times} of {len(self.correct[net])} trials{each}"

    def embedded(self, limit: int) -> np.ndarray:
        """Positions of the images that a page holds, ascending: all if they are not more than `limit`.

        Else, by turns over classes, nets and the first and last m: the ten easiest and hardest, as seed 0 breaks their
        ties, then an evenly spaced part of the ranking between them, until the limit is reached.
        """
        n = len(self.examples)
        if n <= limit:
            return np.arange(n)
        rankings = []
        for m, net in itertools.product(sorted({1, self.epochs}), self.nets):
            for of in map(self.members, self.examples.classes):
                counts, ids = self.counts(net, m)[of], self.examples.ids[of]
                easiest, hardest = (of[ranked(counts, ids, which=which, net=net)] for which in ("easy", "hard"))
                ends = np.stack([easiest[:10], hardest[:10]], 1).ravel()
                spaced = easiest[np.linspace(0, len(of) - 1, min(len(of), limit)).astype(int)]
                rankings.append(np.concatenate([ends, np.random.default_rng(0).permutation(spaced)]).tolist())
        by_turns = (at for turn in itertools.zip_longest(*rankings) for at in turn if at is not None)
        return np.sort(np.fromiter(itertools.islice(dict.fromkeys(by_turns), limit), np.int64))


def page(one: Collection, *, title: str = "easel explorer", limit: int = EMBEDDED) -> str:
    """One HTML file that explores a collection with no kernel and no network. limit: images that it holds.

    Counts and the number of tied images are those of all images; a line says how many of them the page holds.
    """
    data = {"sheet": SHEET, "title": title, "sets": [_packed(one, limit)]}
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return Path(__file__).with_suffix(".html").read_text(encoding="utf-8").replace('"EASEL-DATA"', text)


def save_explorer(one: Collection, folder: Path, *, variant: str = "", **options) -> Path:
    """Writes `page` (options: its title and limit) as explorer.html into a folder and returns its path.

    variant: a word (a Page's, say) that the name ends in, explorer-WORD.html, so that two pages stand in one folder.
    """
    name = f"explorer-{variant}.html" if variant else "explorer.html"
    return files.write_atomically(files.make_folder(Path(folder)) / name, page(one, **options).encode())


def _packed(one: Collection, limit: int) -> dict:
    """A collection as what explorer.html reads: images as one sprite sheet, bits and numbers as base64."""
    at, examples = one.embedded(limit), one.examples
    shown, columns = thumbs(examples.images[at].numpy()), int(np.ceil(np.sqrt(len(at))))
    labels, lossless = examples.labels.numpy(), shown.shape[-1] <= LOSSLESS
    kind = "webp" if lossless else "webp90"
    nets = []
    for net, correct in one.correct.items():
        trials = len(correct)
        counts = [one.counts(net, m) for m in range(1, one.epochs + 1)]
        k = len(examples.classes)
        spread = [np.bincount(labels * (trials + 1) + c, minlength=k * (trials + 1)).tolist() for c in counts]
        salt, bits = zlib.crc32(net.encode()), _base64(np.packbits(correct[:, :, at], axis=-1))
        name = f"{names.label(net)} ({net})"
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
        "files": one.files and [one.files[i] for i in at],
        "labels": _base64(labels[at].astype("<u2")),
        "side": shown.shape[-1],
        "columns": columns,
        "lossless": lossless,
        "sprite": "data:image/webp;base64," + _base64(picture_bytes(sprite(shown, columns), kind)),
        "nets": nets,
    }


def _base64(data) -> str:
    return base64.b64encode(np.ascontiguousarray(data) if isinstance(data, np.ndarray) else data).decode()


_RIGHT, _WRONG = "#2f6d9e", "#c9c3b8"  # of a learning strip
ON_SCREEN = 40  # images at once: each is two messages to the browser


class Explorer:
    """Controls, a sheet of images and what each net made of the chosen one.

    `widget` is what a cell shows; `choice` is what is set, and may be set by hand
    (`explorer.choice = Choice("wrn-16-4", label="cat", which="hard")`). UserError for one that the collection lacks.
    """

    def __init__(self, collection: Collection, size: int = ON_SCREEN):
        import ipywidgets as w

        self.collection, self.size = collection, size
        self.shown, self._held = np.zeros(0, np.int64), False
        nets = [(f"{names.label(net)} ({net})", net) for net in collection.nets]
        classes = [("all classes", None), *((name, name) for name in collection.examples.classes)]
        self._net = w.Dropdown(options=nets, description="net")
        self._label = w.Dropdown(options=classes, description="class")
        self._m = w.Dropdown(options=list(range(1, collection.epochs + 1)), description="m (epochs)")
        self._which = w.ToggleButtons(options=[("easiest first", "easy"), ("hardest first", "hard")])
        self._start = w.FloatSlider(min=0, max=100, step=1, description="pass over %", readout_format=".0f")
        self._seed = w.BoundedIntText(min=0, max=999_999, description="lot's seed")
        self._controls = (self._net, self._label, self._m, self._which, self._start, self._seed)  # as Choice's fields
        self.line, self.detail = w.HTML(), w.HTML(layout=w.Layout(width="280px", min_width="280px"))
        self.detail.value = "Press the count below an image to see it large, with what each net made of it."
        self._images = [w.Image(format="png", layout=w.Layout(width="64px", height="64px")) for _ in range(size)]
        self.buttons = [w.Button(layout=w.Layout(width="64px", height="22px")) for _ in range(size)]
        pairs = zip(self._images, self.buttons, strict=True)
        self._cells = [w.VBox(pair, layout=w.Layout(width="72px")) for pair in pairs]
        for place, button in enumerate(self.buttons):
            button.on_click(lambda _, place=place: self.open(place))
        sheet = w.HBox(self._cells, layout=w.Layout(flex_flow="row wrap", flex="1 1 auto", align_content="flex-start"))
        rows = [w.HBox(row, layout=w.Layout(flex_flow="row wrap")) for row in (self._controls[:3], self._controls[3:])]
        self.widget = w.VBox([*rows, self.line, w.HBox([sheet, self.detail])])
        for control in self._controls:
            control.observe(lambda _: self.draw(), "value")
        self.draw()

    @property
    def choice(self) -> Choice:
        return Choice(*(control.value for control in self._controls))

    @choice.setter
    def choice(self, choice: Choice) -> None:
        self.collection.sheet(choice, self.size)  # refuses what is not there
        self._held = True
        for control, value in zip(self._controls, astuple(choice), strict=True):
            control.value = value
        self._held = False
        self.draw()

    def draw(self) -> None:
        """The sheet of the present choice."""
        if self._held:
            return
        one, choice = self.collection, self.choice
        self.shown = one.sheet(choice, self.size)
        counts, trials = one.counts(choice.net, choice.m), len(one.correct[choice.net])
        pictures = thumbs(one.examples.images[self.shown].numpy())
        for at, picture, cell, image, button in zip(  # the sheet may have fewer images than places
            self.shown, pictures, self._cells, self._images, self.buttons, strict=False
        ):
            cell.layout.display = None
            image.value = picture_bytes(_enlarged(picture, 64))
            what = f"{one.called(at)}, {_class(one, at)}, right in {counts[at]} of {trials} trials"
            with button.hold_sync():  # one message for both
                button.description, button.tooltip = f"{counts[at]}/{trials}", what
        self.line.value = escape(one.describe(choice, self.size))
        for cell in self._cells[len(self.shown) :]:
            cell.layout.display = "none"

    def open(self, place: int) -> None:
        """Show the image at this place of the sheet large, with its learning strips. UserError: no such place."""
        if not 0 <= place < len(self.shown):
            raise UserError(f"place {place!r}: the sheet has places 0..{len(self.shown) - 1}")
        self.detail.value = story_html(self.collection, int(self.shown[place]), self.choice.m)


def story_html(one: Collection, position: int, m: int) -> str:
    """An image, enlarged, and each net's count, learning strip and favourite wrong class at m (story.html.j2).

    A strip has a row an epoch and a column a trial, blue = right. The wrong class stands where it was recorded.
    """
    nets = [
        {"name": net, "label": names.label(net), "count": one.counts(net, m)[position], "trials": len(correct)}
        | {"epochs": correct[:, :, position].T.tolist(), "mistaken": one.mistaken(net, m, position)}
        for net, correct in one.correct.items()
    ]
    return page_template("story.html.j2").render(
        set=one.examples.name,
        called=one.called(position),
        label=_class(one, position),
        png=_base64(picture_bytes(_enlarged(one.examples.images[position].numpy(), 256))),
        nets=nets,
        right=_RIGHT,
        wrong=_WRONG,
    )


def show(one: Collection) -> Explorer | None:
    """Display the explorer in a live front end. Under `easel run` nothing is shown: nobody could press its buttons."""
    if os.environ.get("EASEL_RUN"):
        return None
    from IPython.display import display

    shown = Explorer(one)
    display(shown.widget)
    return shown


def _class(one: Collection, position: int) -> str:
    return one.examples.classes[int(one.examples.labels[position])]


def _enlarged(picture: np.ndarray, side: int) -> np.ndarray:
    """uint8 (3, H, W) -> (s H, s W, 3), s the whole factor that comes nearest to `side` from below, at least 1."""
    factor = max(1, side // max(picture.shape[1:]))
    return picture.transpose(1, 2, 0).repeat(factor, 0).repeat(factor, 1)
