"""The explorer with a kernel: every image of a ledger, in JupyterLab or any front end that shows ipywidgets.

Only the images of the sheet travel to the browser, so 50,000 images are as quick as 500. The page that
`explorer.save` writes shows the same without a kernel; what is shown is decided there, in `easel.explorer`. Nothing
here trains, and nothing is written.
"""

import base64
import html
import os
from collections.abc import Iterable

import numpy as np

from easel import models, pictures
from easel.errors import UserError
from easel.explorer import Choice, Collection

SHEET = 40  # images at once: each is two messages to the browser
_STRIP = "display:inline-block;width:9px;height:8px;margin:0 1px 1px 0;background:"
_RIGHT, _WRONG = "#2f6d9e", "#c9c3b8"


class Explorer:
    """Controls, a sheet of images and what each net made of the chosen one.

    collections: one, or several data sets by name. `widget` is what a cell shows; `choice` is what is set, and may be
    set by hand (`explorer.choice = Choice("wrn-16-4", label="cat", which="hard")`). UserError for a choice that the
    collection does not have.
    """

    def __init__(self, collections: Collection | Iterable[Collection], size: int = SHEET):
        import ipywidgets as w

        found = [collections] if isinstance(collections, Collection) else list(collections)
        if not found:
            raise UserError("nothing to explore: give at least one ledger's Collection")
        self.collections = {one.examples.name: one for one in found}
        self.size, self.shown, self._held = size, np.zeros(0, np.int64), False
        self._set = w.Dropdown(options=list(self.collections), description="data set")
        self._net = w.Dropdown(description="net")
        self._label = w.Dropdown(description="class")
        self._m = w.Dropdown(description="m (epochs)")
        self._which = w.ToggleButtons(options=[("easiest first", "easy"), ("hardest first", "hard")])
        self._start = w.FloatSlider(min=0, max=100, step=1, description="pass over %", readout_format=".0f")
        self._seed = w.BoundedIntText(min=0, max=999_999, description="lot's seed")
        self.line, self.detail = w.HTML(), w.HTML(layout=w.Layout(width="280px", min_width="280px"))
        self._images = [w.Image(format="png", layout=w.Layout(width="64px", height="64px")) for _ in range(size)]
        self.buttons = [w.Button(layout=w.Layout(width="64px", height="22px")) for _ in range(size)]
        self._cells = [
            w.VBox(pair, layout=w.Layout(width="72px")) for pair in zip(self._images, self.buttons, strict=True)
        ]
        for place, button in enumerate(self.buttons):
            button.on_click(lambda _, place=place: self.open(place))
        sheet = w.HBox(self._cells, layout=w.Layout(flex_flow="row wrap", flex="1 1 auto", align_content="flex-start"))
        top = w.HBox([self._set, self._net, self._label, self._m], layout=w.Layout(flex_flow="row wrap"))
        middle = w.HBox([self._which, self._start, self._seed], layout=w.Layout(flex_flow="row wrap"))
        self.widget = w.VBox([top, middle, self.line, w.HBox([sheet, self.detail])])
        self._set.layout.display = None if len(found) > 1 else "none"
        self._set.observe(lambda _: self._take(), "value")
        for control in (self._net, self._label, self._m, self._which, self._start, self._seed):
            control.observe(lambda _: self.draw(), "value")
        self._take()

    @property
    def collection(self) -> Collection:
        return self.collections[self._set.value]

    @property
    def choice(self) -> Choice:
        values = (c.value for c in (self._net, self._label, self._m, self._which, self._start, self._seed))
        return Choice(*values)

    @choice.setter
    def choice(self, choice: Choice) -> None:
        self.collection.sheet(choice, self.size)  # refuses what is not there
        self._held = True
        self._net.value, self._label.value, self._m.value = choice.net, choice.label, choice.m
        self._which.value, self._start.value, self._seed.value = choice.which, choice.start, choice.seed
        self._held = False
        self.draw()

    def _take(self) -> None:
        """The controls' options, for another data set."""
        one, self._held = self.collection, True
        self._net.options = [(f"{models.label(net)} ({net})", net) for net in one.nets]
        self._label.options = [("all classes", None), *((name, name) for name in one.examples.classes)]
        self._m.options = list(range(1, one.epochs + 1))
        for control in (self._net, self._label, self._m):
            control.index = 0
        self._held = False
        self.detail.value = "Press the count below an image to see it large, with what each net made of it."
        self.draw()

    def draw(self) -> None:
        """The sheet of the present choice."""
        if self._held:
            return
        one, choice = self.collection, self.choice
        self.shown = one.sheet(choice, self.size)
        counts, trials = one.counts(choice.net, choice.m), len(one.correct[choice.net])
        shown = pictures.thumbs(one.examples.images[self.shown].numpy())
        for place, (cell, image, button) in enumerate(zip(self._cells, self._images, self.buttons, strict=True)):
            cell.layout.display = None if place < len(self.shown) else "none"
            if place < len(self.shown):
                at = self.shown[place]
                image.value = pictures.encoded(_enlarged(shown[place], 64))
                with button.hold_sync():  # one message for both
                    button.description = f"{counts[at]}/{trials}"
                    button.tooltip = (
                        f"image {one.examples.ids[at]}, {_class(one, at)}, right in {counts[at]} of {trials} trials"
                    )
        self.line.value = html.escape(one.describe(choice, self.size))

    def open(self, place: int) -> None:
        """Show the image at this place of the sheet large, with its learning strips. UserError: no such place."""
        if not 0 <= place < len(self.shown):
            raise UserError(f"place {place!r}: the sheet has places 0..{len(self.shown) - 1}")
        self.detail.value = story_html(self.collection, int(self.shown[place]), self.choice.m)


def story_html(one: Collection, position: int, m: int) -> str:
    """An image, enlarged, and each net's count, learning strip and favourite wrong class at m.

    A strip has a row an epoch and a column a trial, blue = right. The wrong class stands where it was recorded.
    """
    name, number = html.escape(_class(one, position)), one.examples.ids[position]
    png = pictures.encoded(_enlarged(one.examples.images[position].numpy(), 256))
    alt = f"image {number} of {html.escape(one.examples.name)}, labelled {name}, enlarged"
    parts = [
        f'<h3 style="margin:0">{name}</h3>',
        f'<img alt="{alt}" width="256" src="data:image/png;base64,{base64.b64encode(png).decode()}">',
        f"<p>image {number}; a row an epoch, a column a trial, blue = right</p>",
    ]
    for net, (count, trials, right) in one.story(position, m).items():
        rows = ("".join(f'<i style="{_STRIP}{_RIGHT if hit else _WRONG}"></i>' for hit in epoch) for epoch in right.T)
        spoken = "; ".join(f"epoch {e}: {hits} of {trials}" for e, hits in enumerate(right.sum(0), start=1))
        strip = f'<div role="img" aria-label="right after {spoken}" style="line-height:8px">{"<br>".join(rows)}</div>'
        parts.append(f"<p style='margin:.5em 0 .1em'><b>{models.label(net)}</b> {net}: {count} of {trials}</p>{strip}")
        if mistaken := one.mistaken(net, m, position):
            parts.append(f"<p style='margin:0'>{html.escape(mistaken)}</p>")
    return "".join(parts)


def show(collections: Collection | Iterable[Collection]) -> Explorer | None:
    """Display the explorer in a live front end. Under `easel run` nothing is shown: nobody could press its buttons."""
    if os.environ.get("EASEL_RUN"):
        return None
    from IPython.display import display

    shown = Explorer(collections)
    display(shown.widget)
    return shown


def _class(one: Collection, position: int) -> str:
    return one.examples.classes[int(one.examples.labels[position])]


def _enlarged(picture: np.ndarray, side: int) -> np.ndarray:
    """uint8 (3, H, W) -> (s H, s W, 3), s the whole factor that comes nearest to `side` from below, at least 1."""
    factor = max(1, side // max(picture.shape[1:]))
    return picture.transpose(1, 2, 0).repeat(factor, 0).repeat(factor, 1)
