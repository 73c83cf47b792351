"""What is hard, rare or mislabelled in a set of labelled pictures: `easel audit ./birds`, or

    from easel.audit import audit
    found = audit("./birds")
    found.table.head(20)

It trains the ensemble of `sections.mislabels` (JUDGES, each on all folds but one), puts what that says of each picture
beside its file and class, names pictures that are there twice, and writes audit.csv, audit.html and audit.md into one
folder. How suspicion is ranked and what the words mean stands in `sections.mislabels`, fixed before it was tried.
"""

import base64
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from easel import files
from easel.data import sets
from easel.data.own import look_alikes, picture_of
from easel.errors import UserError, is_whole
from easel.ledger.store import Store
from easel.ledger.trial import Trial
from easel.notebook import explorer
from easel.notebook.site import page_template
from easel.sections import mislabels
from easel.sections.mislabels import Opinions
from easel.train import cost, ensure as run

JUDGES = ("resnet18-0.25x", "vgg-11-0.25x")  # two families that learn from few pictures, at what a CPU can do
BROUGHT_TO = 32  # pixels that pictures are brought to where none are asked for
LOOKS = 24_000  # pictures that a net is shown altogether in training, about: it sets the epochs, LEAST to MOST
LEAST, MOST = 12, 30
ON_PAGE = 1000  # pictures of the page, the most suspicious first
MEANING = {
    "rank": "1 is the most suspicious: lowest held-out probability",
    "file": "in the folder; of other data sets the number of the picture",
    "class": "the given label",
    "suggested": "the class that nets name that never saw the picture",
    "why": "mislabelled, ambiguous, rare or hard; empty where these nets name the given label",
    "held-out probability": "of the given label, by nets that never saw the picture",
    "easiness": "how often nets that trained on it are right early in training, over the highest such share",
    "graded easiness": "the probability that they then give to the given label",
    "learnability": "share of all epochs at whose end they are right",
    "forgetting": "minus how often right turned into wrong",
    "margin": "the given label's logit minus the best other, mean over epochs",
    "copies": "other files that look the same",
    "two classes": "1 where one of those is in another class",
    "cleanlab": "1 where cleanlab's confident learning calls it a label issue (pip install easel[audit])",
    "cleanlab quality": "cleanlab's score of the label, from the same held-out probabilities",
    "planted": "1 where the label was changed for --plant",
}


@dataclass(frozen=True, eq=False)
class Audit:
    """table: a row a picture, the most suspicious first (MEANING); summary: a paragraph; opinions: of the nets."""

    table: pd.DataFrame
    summary: str
    opinions: Opinions
    folder: Path  # where audit.csv, audit.html and audit.md are


def audit(
    data: str | os.PathLike,
    out: str | os.PathLike | None = None,
    *,
    nets: Sequence[str] = JUDGES,
    epochs: int | None = None,
    repeats: int | None = None,
    images: int | None = None,
    plant: float = 0.0,
    seed: int = 0,
) -> Audit:
    """Trains an ensemble on a folder's training pictures (or any data set of easel's) and says what it finds.

    out: a folder, results/NAME if None. epochs, repeats of each net: by the number of pictures if None. images: a
    class-balanced part. plant: a share of the labels that is changed at random first, so that one sees what would be
    found. UserError: as in `sets.load`, too few pictures, or a share outside 0..0.5.
    """
    name = sets.Name.of(_path_of(data))
    name = name if name.pixels else name._replace(pixels=BROUGHT_TO)
    examples = sets.part(sets.load(name), images, 0)
    labels, n = examples.labels.numpy(), len(examples)
    fewest = int(np.bincount(labels).min())
    if fewest < mislabels.FOLDS:
        small = examples.classes[int(np.bincount(labels).argmin())]
        raise UserError(f"{name.plain}: class {small} has {fewest} pictures; an audit needs {mislabels.FOLDS} of each")
    if not (isinstance(plant, int | float) and 0 <= plant <= 0.5):
        raise UserError(f"--plant {plant!r}: a share of the labels from 0 to 0.5")
    for what, value in (("epochs", epochs), ("repeats", repeats)):
        if value is not None and not is_whole(value, least=1):
            raise UserError(f"{what}={value!r}: a whole number from 1")
    epochs = epochs or int(np.clip(LOOKS / n, LEAST, MOST))
    repeats = repeats or (2 if n <= 500 else 1)
    given = mislabels.planted(labels, plant, seed) if plant else None
    copies = look_alikes(examples.images.numpy())
    common = {"data": str(name), "images": images}
    asked = mislabels.ensemble(nets, labels, epochs=epochs, repeats=repeats, given=given, copies=copies, **common)
    asked = run.in_precision("auto", asked)
    print(f"{name.plain}: {n:,} pictures in {len(examples.classes)} classes", flush=True)
    _timed(asked)
    opinions = Opinions(run.ensure(asked), given)
    names = sets.own_files(examples) or [f"image {i}" for i in examples.ids]
    table = _table(opinions, names, copies, None if given is None else given != labels)
    folder = files.make_folder(Path(out) if out else files.results_dir() / sets.own_name(name.plain))
    found = Audit(table, _summary(opinions, table, examples, repeats), opinions, folder)
    _write(found, examples, name)
    return found


def _timed(trials: list[Trial]) -> None:
    """Trains a short trial of each net that the store has none of, so that `ensure` can say how long they all take."""
    store = Store()
    todo = [trial for trial in trials if store.get(trial) is None]
    known = cost.speeds(store, run.device(), {trial.recipe.precision for trial in todo})
    few = {trial.model: trial for trial in todo if (trial.model, trial.recipe.precision) not in known}
    if few:
        part = max(200, len(trials[0].examples.classes))
        small = {"images": min(len(trials[0].examples), part), "epochs": 1, "edit": None, "record": ()}
        run.ensure([replace(trial, **small) for trial in few.values()], workers=0, quiet=True)


def _path_of(data) -> str:
    """A folder that is named without a slash is meant as one: birds is ./birds if that is there."""
    text = os.fspath(data)
    plain = text.partition("@")[0]
    return f"./{text}" if "/" not in plain and plain not in sets.names() and Path(plain).is_dir() else text


def _pictures(name: sets.Name, examples, rows: np.ndarray) -> np.ndarray:
    """Pictures for the page, (rows, 3, side, side): from their files as large as it shows them, else as they are."""
    found = sets.files_of(name.plain)
    if found is None:
        return explorer.thumbs(examples.images.numpy()[rows])
    paths = [found[1][i] for i in examples.ids[rows]]
    return np.stack([picture_of(path, explorer.THUMB).transpose(2, 0, 1) for path in paths])


def _table(opinions: Opinions, names: list[str], copies: np.ndarray, planted) -> pd.DataFrame:
    classes = np.array(opinions.classes)
    same = {first: np.flatnonzero(copies == first) for first in np.unique(copies[copies != np.arange(len(copies))])}
    alike = [", ".join(names[j] for j in same.get(first, ()) if j != i) for i, first in enumerate(copies)]
    columns = {"file": names, "class": classes[opinions.given], "suggested": classes[opinions.named_by_held_out]}
    columns |= {"why": "" if opinions.blind else opinions.why}
    columns |= {name: opinions.scores[name].round(4) for name in MEANING if name in opinions.scores}
    apart = [any(opinions.given[j] != opinions.given[i] for j in same.get(first, ())) for i, first in enumerate(copies)]
    columns |= {"copies": alike, "two classes": np.array(apart, int)}
    issues = mislabels.label_issues(opinions)
    if issues is not None:  # cleanlab is installed: its opinion of the same held-out probabilities
        from cleanlab import rank

        quality = rank.get_label_quality_scores(labels=opinions.given, pred_probs=opinions.probabilities)
        columns |= {"cleanlab": issues.astype(int), "cleanlab quality": quality.round(4)}
    if planted is not None:
        columns["planted"] = planted.astype(int)
    table = pd.DataFrame(columns).iloc[opinions.order]
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table


def _summary(opinions: Opinions, table: pd.DataFrame, examples, repeats: int) -> str:
    n, folds = len(table), mislabels.FOLDS
    nets = " and ".join(opinions.epoch)
    chosen = ", ".join(f"{epoch} ({net})" for net, epoch in opinions.epoch.items())
    total = len(next(iter(opinions.accuracy.values())))
    text = (
        f"{n:,} pictures in {len(opinions.classes)} classes, judged by {nets}, {repeats * folds} trials of each, so "
        "that every picture was seen by some and held out from others. Held-out nets name "
        f"{opinions.right:.0%} of the given labels (the largest class alone gives {opinions.chance:.0%}); read after "
        f"epoch {chosen} of {total}, where that is highest. "
    )
    if opinions.blind:
        each = n // len(opinions.classes)
        text += (
            "That is chance: nothing can be read from this list, and no picture gets a word. What would help: more "
            f"pictures a class (there are {each}), a larger side (@64 after the folder), or more epochs. "
        )
    else:
        words = ", ".join(f"{(table.why == word).sum()} {word}" for word in mislabels.GROUNDS)
        text += f"Where they name another class: {words}. "
    twice = table[table.copies != ""]
    if len(twice):
        text += f"{len(twice)} pictures look like another one"
        apart = int(table["two classes"].sum())
        text += f", {apart} of them like one of another class. " if apart else ". "
    if "planted" in table:
        bad = table.planted.to_numpy()
        k = int(bad.sum())
        text += f"{k} labels were changed at random to see what is found: " + _hits(bad) + ". "
    return text.strip()


def _hits(bad: np.ndarray) -> str:
    """How many of the planted stand in the first 1, 5, 10% and the first as many as there are, beside chance."""
    n, total, parts = len(bad), int(bad.sum()), []
    for k in sorted({max(1, round(n * share)) for share in (0.01, 0.05, 0.1)} | {total}):
        hits = int(bad[:k].sum())
        parts.append(f"{hits} among the first {k} ({hits / k / bad.mean():.1f} times chance)")
    return ", ".join(parts)


def _write(found: Audit, examples, name: sets.Name) -> None:
    table, folder = found.table, found.folder
    files.write_atomically(folder / "audit.csv", table.to_csv(index=False).encode())
    said = "".join(f"- `{column}`: {MEANING[column]}\n" for column in table)
    card = f"# Audit of {sets.own_name(name.plain)}\n\n{found.summary}\n\nColumns of audit.csv:\n\n{said}"
    files.write_atomically(folder / "audit.md", card.encode())
    shown = table.head(ON_PAGE)
    pictures = _pictures(name, examples, shown.index.to_numpy())
    columns = int(np.ceil(np.sqrt(len(shown))))
    sheet = explorer.picture_bytes(explorer.sprite(pictures, columns), "webp90")
    data = {"rows": shown.to_dict("records"), "columns": columns}
    text = json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    page = page_template("audit.html.j2").render(
        name=sets.own_name(name.plain),
        summary=found.summary,
        blind=found.opinions.blind,
        notice=examples.notice,
        classes=examples.classes,
        reasons=mislabels.GROUNDS,
        scores=[column for column in table if table[column].dtype.kind == "f"],
        said={column: MEANING[column] for column in table},
        total=len(table),
        shown=len(shown),
        data=text,
        sheet=base64.b64encode(sheet).decode(),
        side=pictures.shape[-1],
    )
    files.write_atomically(folder / "audit.html", page.encode())
