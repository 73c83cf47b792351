"""A notebook at work: its data, its trials, its page. What every notebook sets up in its first lines.

    lab = begin("01_matching", profile, data, images, precision)
    groups = lab.two_groups(models, trials, epochs=epochs)      # trains what is missing
    lab.predict(guess, chance, "images that two unrelated nets share")
    lab.figure(plot.pairs(table), "pairs", "Matching rates, m = 1.")
    lab.seen(f"{rate:.0%} are shared.")
    lab.claim("CNNs share their easy examples (Table 1)", architectures.beyond_classes(table, "easy"))
    lab.close()

It computes no result: it names the data set in every caption, counts the trials, and remembers the ledgers.
"""

from collections.abc import Iterable, Sequence

import pandas as pd

from easel.compare import intervals
from easel.compare.claims import Judged
from easel.data import sets as datasets
from easel.data.sets import Dataset
from easel.ledger.store import Groups, Ledger
from easel.ledger.trial import Recipe, Trial, two_groups
from easel.notebook import page as report, plan
from easel.train import ensure as run

PREDICTIONS_UP_TO = 10_000  # images up to which a trial also keeps what each is taken for; above, space counts


class Lab:
    """A notebook's lab: the data set is chosen and read, its notice shown, the figures' style set.

    name: of the notebook's file; profile: the folder of results/ it writes to; data: a name of easel.data, "auto" for
    CIFAR-10 if it is at hand; images: a class-balanced part of the training set, at most; precision: "auto", "bf16",
    "fp32". UserError: no such data set, or too few images (plan.LEAST_IMAGES).
    Attributes: data, the name that was chosen; images, as many as there are; dataset; page; about, which ends every
    caption.
    """

    def __init__(self, name: str, profile: str, data: str, images: int, precision: str = "auto"):
        from easel import plot

        plot.use_style()
        self.page = report.Page(name, profile=profile)
        self.data = datasets.choose(data)
        whole = datasets.load(self.data)
        self.images = plan.check_enough(self.data, min(images, len(whole)))
        self.dataset: Dataset = datasets.part(whole, self.images, 0)
        self.precision = precision
        self.about = f"{self.dataset.name}, {self.images:,} images"
        self.page.notice(self.dataset)
        self._ledgers: list[Ledger] = []

    # ---- trials ----------------------------------------------------------------------------------------------------

    def trials(self, model: str, seeds: Iterable[int], *, epochs: int, recipe: Recipe | None = None, **fields):
        """Trials of one net on this lab's images, one a seed. fields: `Trial`'s, such as views, record, edit."""
        common = {"data": self.data, "images": self.images, "recipe": recipe or Recipe.of(self.data)} | fields
        return [Trial(model=model, seed=seed, epochs=epochs, **common) for seed in seeds]

    def ensure(self, trials: Iterable[Trial]) -> Ledger:
        """The ledger of these trials, what is missing trained, all in the lab's precision; it counts as this page's."""
        ledger = run.ensure(run.in_precision(self.precision, list(trials)))
        self._remember([ledger], f"{len(ledger)} trials")
        return ledger

    def accuracies(self, points: pd.DataFrame, view: str | None = None) -> pd.DataFrame:
        """`intervals.accuracies` of a table of trials of any lengths, all in one precision; what is missing is trained.

        points: a column `trial`, one row a point and seed. Captions count the trials of a point from here on.
        """
        points = points.assign(trial=run.in_precision(self.precision, points.trial))
        ledgers = run.ensure_each(dict.fromkeys(points.trial))
        self._remember(ledgers, f"{len({trial.seed for trial in points.trial})} trials a point")
        return intervals.accuracies(points, ledgers, view)

    def two_groups(self, models: Sequence[str], trials: Sequence[int], *, epochs: int, recipe=None, **fields) -> Groups:
        """Two disjoint groups of trials of each net, trained as `ensure` does.

        models: names, shown in this order; trials: in a group, one number for all nets or one for each.
        recorded beside right and wrong: the true class's probability after the first epoch, and on small sets what
        each image is taken for (`fields` may say otherwise).
        """
        fields = {"record": ("prediction",) * (self.images <= PREDICTIONS_UP_TO), "also": ("probability@1",)} | fields
        seeds = two_groups(list(dict.fromkeys(models)), trials)
        asked = []
        for model, (first, second) in seeds.items():
            asked += self.trials(model, [*first, *second], epochs=epochs, recipe=recipe, **fields)
        ledger = run.ensure(run.in_precision(self.precision, asked))
        sides = sorted({len(first) for first, _ in seeds.values()})
        self._remember([ledger], f"{' or '.join(map(str, sides))} trials a side")
        return Groups(ledger, seeds)

    def count(self, ledgers: Iterable[Ledger]) -> None:
        """Ledgers that something else made for this page: its receipt counts their trials, its captions do not."""
        self._ledgers.extend(ledgers)

    def _remember(self, ledgers: list[Ledger], counted: str) -> None:
        self._ledgers += ledgers
        gone = sum(len(ledger.diverged) for ledger in ledgers)
        lost = f"{gone} diverged and left out" if gone else "none diverged"
        self.about = f"{self.dataset.name}, {self.images:,} images, {counted}, {lost}"

    # ---- what the reader does and sees -----------------------------------------------------------------------------

    def predict(self, guess: float | None, value: float, what: str) -> None:
        """Holds a reader's guess beside the number that came out; None, as in headless runs, is passed over.

        value, what: "64 images that two unrelated nets share". Within a tenth of the value, or .05, counts as right.
        """
        if guess is None:
            return
        off = abs(guess - value)
        near = off <= max(0.1 * abs(value), 0.05)
        word = "Well seen" if near else "Not far" if off <= 0.3 * abs(value) else "A surprise, then, and worth a look"
        self.page.say(f"**{word}:** you said {guess:g}; it is {value:.3g} {what}.")

    def seen(self, text: str, *, enough: bool = True) -> None:
        """One or two sentences of what was seen, with the run's own numbers; enough: whether the run can show it."""
        small = f"Nothing that would carry a sentence: too uncertain ({self.about})."
        self.page.say(f"*What was seen.* {text if enough else small}")

    def figure(self, figure, name: str, caption: str) -> None:
        """Saves and shows a figure (`Page.figure`); the caption is ended with what the lab stands on."""
        self.page.figure(figure, name, self._told(caption))

    def table(self, frame, name: str, caption: str, **shown) -> None:
        """Saves and shows a DataFrame (`Page.table`); the caption is ended with what the lab stands on."""
        self.page.table(frame, name, self._told(caption), **shown)

    def claim(self, claim: str, judged: Judged | None) -> None:
        """One claim of the paper and its verdict (`Page.verdict`); None, where a run cannot ask, is passed over."""
        if judged is not None:
            why = judged.why.replace("{where}", judged.finding.where)  # the deciding point
            self.page.verdict(claim=claim, paper=judged.paper, **judged.finding.row(), why=why)

    def close(self) -> None:
        """Shows all claims as a table and writes the receipt, which alone makes the run a success: the last cell."""
        self.page.verdicts()
        self.page.close(self._ledgers)

    def _told(self, caption: str) -> str:
        return f"{caption.rstrip('. ')}; {self.about}."


begin = Lab  # as the first line of a notebook calls it
