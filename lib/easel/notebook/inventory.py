"""What is in the store; the scores table of a profile, and what to keep by it. It reads records and receipts only."""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from easel import __version__, files
from easel.compare import scores
from easel.data import sets
from easel.errors import UserError, choices
from easel.ledger.store import Ledger, Store, write_packs
from easel.ledger.trial import Recipe
from easel.nets import names as models
from easel.notebook import explorer, page as receipts, plan
from easel.sections import subsets
from easel.train import cost

PARQUET = {  # small and exact, but easiness, which is a quotient: examples as differences, what repeats once
    "compression": "zstd",
    "compression_level": 19,
    "use_dictionary": [column for column in scores.COLUMNS if column != "example"],
    "column_encoding": {"example": "DELTA_BINARY_PACKED"},
}
_U16 = ("label", "m", "n_trials", "correct_count")
TYPES = {"example": "int32", "easiness": "float32"} | dict.fromkeys(_U16, "uint16")
EVERY_M, STEP = 10, 10  # the scores table has every m up to the first, then each further so many epochs, and the last


def content(store: Store | None = None) -> dict:
    """The store as plain values: folder, trials, seconds, bytes, groups, bad and unknown.

    groups: one a data set, net, number of epochs and precision, with trials, diverged, seconds (of training, summed)
    and bytes. bad: names of damaged records, which reading sets aside. unknown: names of the notes beside records that
    are missing or damaged. strange: names of .npz files that this easel did not write and leaves alone.
    """
    store = store or Store()
    rows, unknown = [], []
    for record in store.records():
        unknown += [] if record.provenance else [f"{record.key}.json"]
        row = {"data": _data_name(record), "model": record.identity["model"], "epochs": record.epochs}
        row |= {"precision": cost.precision_of(record), "trials": 1, "diverged": int(record.status == "diverged")}
        row |= {"seconds": float(record.provenance.get("seconds", 0.0)), "bytes": record.path.stat().st_size}
        rows.append(row)
    groups = []
    if rows:
        way = ["data", "model", "epochs", "precision"]
        groups = pd.DataFrame(rows).groupby(way, as_index=False).sum().to_dict("records")
    totals = {key: sum(group[key] for group in groups) for key in ("trials", "seconds", "bytes")}
    bad = sorted(path.name for path in store.folder.glob("*.bad"))
    seen = {f"{key}.npz" for key in store.keys() if key not in store.strange}  # noqa: SIM118 - a Store is no mapping
    strange = sorted({path.name for path in store.folder.glob("*.npz")} - seen)
    named = {"bad": bad, "unknown": unknown, "strange": strange}
    return {"folder": str(store.folder), **totals, **named, "groups": groups}


def as_text(found: dict) -> str:
    """The store as a table to read."""
    if not any(found[name] for name in ("groups", "bad", "strange")):
        return f"{found['folder']}: no trials yet; easel run trains some"
    lines = []
    if found["groups"]:
        table = pd.DataFrame(found["groups"])
        table["seconds"] = table["seconds"].map("{:,.0f}".format)
        table["size"] = table.pop("bytes").map(_size)
        lines = table.to_string(index=False).splitlines()
    lines += [f"damaged and set aside, to be trained again: {name}" for name in found["bad"]]
    if found["strange"]:
        lines.append(f"left alone, this easel did not write it: {_listed(found['strange'])}")
    if found["unknown"]:
        lines.append(f"how it came about is missing or damaged, the trial is not: {_listed(found['unknown'])}")
    hours = f"{found['seconds'] / 3600:.1f} h" if found["seconds"] >= 3600 else f"{found['seconds']:,.0f} s"
    lines.append(f"{found['folder']}: {found['trials']:,} trials, {hours} of training, {_size(found['bytes'])}")
    return "\n".join(lines)


def write_scores(folder: Path, out: Path, dataset: str | None = None, more: Sequence[str] = ()) -> tuple[int, str]:
    """Writes the table (scores.easiness_table) of the profile in folder; returns its rows and what it covers, in words.

    Beside it stands a card, the same name with .md: what is in the table, how it was made, its SHA-256.

    Its trials are those that the profile's receipts name, each once; trials with dropped examples or changed labels do
    not count. m: 1 to 10, then each tenth epoch and the last. Where a net was trained on a data set in several ways,
    the one nearest to the paper's recipe, then with most examples, then most trials, gives the rows of an m. dataset:
    that one alone; otherwise those that are not on this machine are left out and named, as are trials that are neither
    in the store nor released.
    """
    if out.suffix not in (".parquet", ".csv"):
        raise UserError(f"--out {out} must end in .parquet or .csv")
    keys = _keys(_with_trials(folder))
    ways, gone = _ways(Store(), keys)
    if not ways:
        raise UserError(f"none of {folder}'s {gone} trials is in the store; run: easel run --profile {folder.name}")
    parts, taken, absent, used = [], set(), set(), {}
    for records in ways:
        model, name, plain = records[0].identity["model"], _data_name(records[0]), records[0].data["data"]
        if dataset is not None and dataset not in (name, plain, sets.Name.of(plain).plain):
            continue
        if dataset is None and not sets.on_disk(sets.Name.of(plain).plain):
            absent.add(name)
            continue
        for m in _m_values(max(record.epochs for record in records)):
            ledger = _after(records, m)
            if (name, model, m) not in taken and ledger.correct()[:, m - 1].any():
                taken.add((name, model, m))
                used |= {record.key: record for record in ledger.records}
                parts.append(_with_files(scores.easiness_table(ledger, [m], name, more), ledger))
    if not parts and absent:
        raise UserError(f"{', '.join(sorted(absent))}: not on this machine; easel data NAME gets a data set")
    if not parts:
        what = f"on {dataset} " if dataset else ""
        raise UserError(f"no trial of {folder} {what}got any example right: there is no easiness to write")
    table = pd.concat(parts, ignore_index=True).sort_values(["dataset", "model", "m", "example"], ignore_index=True)
    buffer = io.BytesIO()
    if out.suffix == ".csv":
        table.to_csv(buffer, index=False)
    else:
        table.astype(TYPES).to_parquet(buffer, index=False, **PARQUET)
    files.make_folder(out.parent)
    files.write_atomically(out, buffer.getvalue())
    card = _card(folder.name, out.name, hashlib.sha256(buffer.getvalue()).hexdigest(), table, list(used.values()))
    files.write_atomically(out.with_suffix(".md"), card.encode())
    words = ", ".join(f"{model} on {name}" for name, model in sorted({one[:2] for one in taken}))
    if absent:
        words += f"; left out, not on this machine: {', '.join(sorted(absent))}"
    if gone:
        words += f"; left out, not in the store: {gone} of {len(keys)} trials (easel run --profile {folder.name})"
    return len(table), words


def _card(profile: str, name: str, digest: str, table: pd.DataFrame, records: list) -> str:
    """What a reader of the table needs beside it, as Markdown."""
    made = [record.provenance for record in records]
    machines, torch = (sorted({str(one.get(of, "not recorded")) for one in made}) for of in ("device", "torch"))
    precisions = sorted({record.trial.recipe.precision for record in records})
    covered = "".join(
        f"| {data} | {net} | {rows.example.nunique():,} | {trials} | {_in_words(sorted(rows.m.unique()))} |\n"
        for (data, net, trials), rows in table.groupby(["dataset", "model", "n_trials"])
    )
    return f"""# Easiness of every image, profile `{profile}`

`{name}`: {len(table):,} rows, one an image, net and m (epochs before counting).
Columns: {", ".join(f"`{column}`" for column in table)}.

| data set | net | images | trials | m |
|---|---|---|---|---|
{covered}
- table: easel {__version__}; trials: {len(records):,}, {" and ".join(precisions)}
- trained on: {"; ".join(machines)}; PyTorch {", ".join(torch)}
- SHA-256: `{digest}`
"""


def _in_words(values: list) -> str:
    """Whole numbers in ascending order, runs of three or more as first to last: 1 to 10, 20."""
    runs: list[list] = []
    for value in values:
        runs = [*runs[:-1], [*runs[-1], value]] if runs and value == runs[-1][-1] + 1 else [*runs, [value]]
    parts = [f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs]
    return ", ".join(parts)


def write_kept(
    folder: Path,
    out: Path,
    share: float,
    how: str,
    *,
    seed: int = 0,
    balanced: bool = False,
    net: str | None = None,
    m: int = 1,
    notebook: str | None = None,
) -> str:
    """Writes which examples to keep (subsets.keep) as CSV: example, label, class, easiness; returns it in words.

    example: index in the data set's official order, ascending. notebook: the notebook or variant of the profile in
    folder whose trials count, by name or number; 01, or else 00, if None. net: one of its nets; the first that is not
    an MLP if None. share, how, seed, balanced: of subsets.keep; m: the epochs before counting.
    """
    if out.suffix != ".csv":
        raise UserError(f"--out {out} must end in .csv")
    ledger = _of_notebook(folder, net, notebook)
    easiness, labels = scores.easiness(ledger, m), ledger.labels
    kept = subsets.keep(easiness, share, how, seed=seed, labels=labels, balanced=balanced)
    columns = {"example": ledger.ids[kept], "label": labels[kept]}
    columns |= {"class": [ledger.examples.classes[label] for label in labels[kept]], "easiness": easiness[kept]}
    files.make_folder(out.parent)
    files.write_atomically(out, _with_files(pd.DataFrame(columns), ledger, kept).to_csv(index=False).encode())
    dropped = {"random": "dropped at random", "window": "the easiest and the very hardest dropped"}
    words = dropped.get(how, f"the {how} dropped") + (", of every class alike" if balanced else "")
    if how != "random":
        tied = subsets.tied(easiness, kept, labels if balanced else None)
        words += f"; {tied:,} are tied at the cut" + (f", where a lot from seed {seed} decides" if tied else "")
    who = f"{ledger.models[0]} ({len(ledger)} trial{'s' * (len(ledger) != 1)}, m = {m})"
    return f"{len(kept):,} of {len(easiness):,} examples of {_data_name(ledger.records[0])} by {who}: {words}"


def listed(folder: Path, which: str, count: int, *, net: str | None = None, m: int = 1, notebook=None) -> str:
    """So many examples by one net, as a table to read: "hardest", "easiest", or "suspicious" first.

    Suspicious is what trials most agree on taking for one other class: how often, less how often they are right; its
    trials must have recorded what each image was taken for. Other arguments: of `write_kept`. UserError as there.
    """
    ledger = _of_notebook(folder, net, notebook)
    one, model = explorer.Collection(ledger), ledger.models[0]
    counts = one.counts(model, m)
    columns = {"example": ledger.ids, "class": [one.examples.classes[k] for k in ledger.labels], "right": counts}
    score = counts if which != "easiest" else -counts
    if which == "suspicious":
        found = one.favourites(model, m, np.arange(len(counts)))
        if found is None:
            raise UserError(f"the trials of {model} did not record what they took images for; easel audit asks for it")
        score = counts - found[0]
        first = np.where(found[1].any(1), found[1].argmax(1), ledger.labels)
        columns |= {"taken for": [one.examples.classes[k] for k in first], "times": found[0]}
    table = _with_files(pd.DataFrame(columns), ledger)
    shown = table.iloc[np.argsort(score, kind="stable")[:count]]
    who = f"{which} first, by {model}: {len(ledger)} trials, m = {m}, ties in file order"
    return f"{shown.to_string(index=False)}\n{who}"


def _with_files(table: pd.DataFrame, ledger: Ledger, rows=slice(None)) -> pd.DataFrame:
    """The table, of these examples of a ledger, with the file and class of each where they are somebody's own."""
    names = sets.own_files(ledger.examples)
    if names is None:
        return table
    classes = np.array(ledger.examples.classes)[ledger.labels[rows]]
    return table.assign(**{"file": np.array(names)[rows], "class": classes})


def taken(pack: Path) -> tuple[str, bool]:
    """Brings a pack's records into the store (Store.take); what became of them in one line, and if none was damaged."""
    found = Store().take(pack)
    words = f"{pack}: {found.new:,} new, {found.here:,} here already"
    if found.apart:
        words += f"; {len(found.apart):,} left in it, the store has other bits for them: {_listed(found.apart)}"
    if found.bad:
        words += f"; {len(found.bad):,} damaged and not taken: {_listed(found.bad)}"
    return words, not found.bad


def _listed(names: list[str], most: int = 8) -> str:
    """Names, of many the first."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def release(
    profile: str, only: list[str] | None = None, out: Path | None = None, store: Store | None = None
) -> list[str]:
    """Packs the records that a profile's receipts name into out/PROFILE.zip (write_packs); returns lines on it.

    only: notebooks by number, with their variants, or by name; out: a folder, results/ledgers if None. Records come
    from the store and from released packs; trials that are in neither are named.
    """
    folder, store = plan.profile_folder(profile), store or Store()
    found = _with_trials(folder)
    for name in only or ():
        if not any(_is_called(receipt, name) for receipt in found):
            names = ", ".join(receipt["notebook"] for receipt in found)
            raise UserError(f"no notebook {name!r} has trials in {folder}; there are: {names}")
    chosen = [receipt for receipt in found if only is None or any(_is_called(receipt, name) for name in only)]
    keys = _keys(chosen)
    records = {key: record for key in keys if (record := store.fullest(key)) is not None}
    if not records:
        raise UserError(f"none of {folder}'s {len(keys):,} trials is at hand; run: easel run --profile {profile}")
    target = (out or files.ledgers_dir()) / f"{profile}.zip"
    files.make_folder(target.parent)
    written = write_packs(records.values(), target)
    lines = [f"{path}: {count:,} trials, {_size(path.stat().st_size)}" for path, count in written]
    if gone := [key for key in keys if key not in records]:
        where = [receipt["notebook"] for receipt in chosen if not records.keys() >= set(receipt["keys"])]
        lines.append(f"left out, not at hand: {len(gone):,} of {len(keys):,} trials, of {', '.join(where)}")
    return lines


def _with_trials(folder: Path) -> list[dict]:
    """The receipts of a profile's folder that name trials; UserError where there are none."""
    found = [receipt for receipt in receipts.found_in(folder) if receipt["keys"]]
    if not found:
        raise UserError(f"no trials are named by the receipts in {folder}; run: easel run --profile {folder.name}")
    return found


def _of_notebook(folder: Path, net: str | None, notebook: str | None) -> Ledger:
    """The ledger of one net of a notebook, as `write_kept` chooses them."""
    receipt = _receipt(folder, notebook)
    ways, gone = _ways(Store(), receipt["keys"])
    if gone:
        where = f"{gone} of {len(receipt['keys'])} trials of {receipt['notebook']} are not in the store"
        raise UserError(f"{where}; run: easel run --profile {folder.name}")
    records = _of_net(ways, net, receipt["notebook"])
    return _after(records, min(record.epochs for record in records))


def _keys(found: list[dict]) -> list[str]:
    """The trials' keys that receipts name, each once."""
    return list(dict.fromkeys(key for receipt in found for key in receipt["keys"]))


def _is_called(receipt: dict, name: str) -> bool:
    """Whether a name, or a number, means a receipt's notebook or variant."""
    return name in (receipt["notebook"], receipt["notebook"].split("_")[0])


def _receipt(folder: Path, notebook: str | None) -> dict:
    """The receipt of a notebook or variant, by name, or by number (then the notebook's own)."""
    found = _with_trials(folder)
    for wanted in ("01", "00") if notebook is None else (notebook,):
        for one in found:
            if one["notebook"] == wanted or (not one["variant"] and _is_called(one, wanted)):
                return one
    names = ", ".join(one["notebook"] for one in found)
    raise UserError(f"no notebook {notebook or '01 or 00'} has trials in {folder}; --notebook takes one of: {names}")


def _of_net(ways: list[list], net: str | None, notebook: str) -> list:
    """The first records of a net, or of the first net that is no MLP; of any if there is no other."""
    nets: dict[str, list] = {}
    for records in ways:
        nets.setdefault(records[0].identity["model"], records)
    if not nets:
        raise UserError(f"no trial of {notebook} was trained on all of its examples with their own labels")
    if net is None:
        net = next((name for name in nets if models.family(name) != "mlp"), next(iter(nets)))
    if net not in nets:
        raise UserError(f"no net {net!r} among the trials of {notebook}; {choices(nets, net)}")
    return nets[net]


def _m_values(epochs: int) -> list[int]:
    return [m for m in range(1, epochs + 1) if m <= EVERY_M or m % STEP == 0 or m == epochs]


def _ways(store: Store, keys: list[str]) -> tuple[list[list], int]:
    """The records of each way that a net was trained and judged (data, recipe): most usual first, then fullest.

    Also how many of the keys are neither in the store nor released.
    """
    records = [store.read(key) for key in keys]
    groups: dict[str, list] = {}
    whole = [r for r in records if r is not None and r.identity["edit"] is None and r.status == "complete"]
    for record in whole:
        if "train" in record.views:  # some are judged on other images alone
            way = {name: value for name, value in record.identity.items() if name != "seed"}
            groups.setdefault(json.dumps(way, sort_keys=True), []).append(record)

    def rank(group: list) -> tuple:
        """In how many settings, precision apart, the recipe differs from the paper's; how little there is of it."""
        recipe = asdict(group[0].trial.recipe)
        usual = asdict(Recipe.of(group[0].data["data"], precision=recipe["precision"]))
        unusual = sum(recipe[name] != usual[name] for name in usual)
        return unusual, -group[0].examples, -len(group), -max(record.epochs for record in group)

    return sorted(groups.values(), key=rank), records.count(None)


def _after(records: list, m: int) -> Ledger:
    """The ledger of those that were trained for m epochs or more, as they were after m."""
    return Ledger([record.cut(m) for record in records if record.epochs >= m])


def _data_name(record) -> str:
    """The data set's name, with its split where that is not the training set."""
    split = record.data.get("split", "train")
    return record.data["data"] if split == "train" else f"{record.data['data']}:{split}"


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
