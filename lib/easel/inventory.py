"""What is in the store, and the scores table of a profile. It reads records and receipts and trains nothing."""

import io
import json
from pathlib import Path

import pandas as pd

from easel import files, scores, site
from easel.errors import UserError
from easel.ledger import Ledger, Store


def content(store: Store | None = None) -> dict:
    """The store as plain values: folder, trials, seconds, bytes, bad (names of damaged files) and groups.

    groups: one a data set, net, number of epochs and precision, with trials, diverged, seconds (of training, summed)
    and bytes. Reading verifies every record, so a file that is damaged is set aside by the store and named here.
    """
    store = store or Store()
    groups: dict[tuple, dict] = {}
    for record in store.records():
        identity = record.identity
        name = (_data_name(record), identity["model"], identity["epochs"], record.trial.recipe.precision)
        fields = dict(zip(("data", "model", "epochs", "precision"), name, strict=True))
        group = groups.setdefault(name, fields | {"trials": 0, "diverged": 0, "seconds": 0.0, "bytes": 0})
        group["trials"] += 1
        group["diverged"] += record.status == "diverged"
        group["seconds"] += float(record.provenance.get("seconds", 0.0))
        group["bytes"] += record.path.stat().st_size
    rows = [groups[name] for name in sorted(groups)]
    totals = {key: sum(row[key] for row in rows) for key in ("trials", "seconds", "bytes")}
    bad = sorted(path.name for path in store.folder.glob("*.bad"))
    return {"folder": str(store.folder), **totals, "bad": bad, "groups": rows}


def in_words(found: dict) -> str:
    """The store as a table to read."""
    if not found["groups"] and not found["bad"]:
        return f"{found['folder']}: no trials yet; easel run trains some"
    lines = []
    if found["groups"]:
        table = pd.DataFrame(found["groups"])
        table["seconds"] = table["seconds"].map("{:,.0f}".format)
        table["size"] = table.pop("bytes").map(_size)
        lines = table.to_string(index=False).splitlines()
    lines += [f"damaged and set aside, to be trained again: {name}" for name in found["bad"]]
    hours = f"{found['seconds'] / 3600:.1f} h" if found["seconds"] >= 3600 else f"{found['seconds']:,.0f} s"
    lines.append(f"{found['folder']}: {found['trials']:,} trials, {hours} of training, {_size(found['bytes'])}")
    return "\n".join(lines)


def write_scores(folder: Path, out: Path, store: Store | None = None) -> tuple[int, str]:
    """Writes the easiness table (scores.table) of the profile in folder; returns its rows and what it covers, in words.

    Its trials are those that the profile's receipts name; trials with dropped examples or changed labels do not count.
    Where a net was trained in several ways, the one with most examples, then most trials, gives the rows of an m.
    """
    if out.suffix not in (".parquet", ".csv"):
        raise UserError(f"--out {out} must end in .parquet or .csv")
    receipts = site.receipts(folder)
    keys = list(dict.fromkeys(key for receipt in receipts for key in receipt["keys"]))
    if not keys:
        raise UserError(f"no trials are named by the receipts in {folder}; run: easel run --profile {folder.name}")
    store = store or Store()
    ledgers = _ledgers(store, keys, folder.name)
    parts, taken = [], set()
    for ledger in ledgers:
        model = ledger.models[0]
        name = _data_name(ledger.records[0])
        for m in range(1, ledger.epochs + 1):
            if (name, model, m) not in taken and ledger.correct()[:, m - 1].any():
                taken.add((name, model, m))
                parts.append(scores.table(ledger, [m], name))
    if not parts:
        raise UserError(f"no trial of {folder} got any example right: there is no easiness to write")
    table = pd.concat(parts, ignore_index=True).sort_values(["dataset", "model", "m", "example"], ignore_index=True)
    buffer = io.BytesIO()
    table.to_csv(buffer, index=False) if out.suffix == ".csv" else table.to_parquet(buffer, index=False)
    files.make_folder(out.parent)
    files.write_atomically(out, buffer.getvalue())
    return len(table), ", ".join(f"{model} on {name}" for name, model in sorted({one[:2] for one in taken}))


def _ledgers(store: Store, keys: list[str], profile: str) -> list[Ledger]:
    """One ledger for each way that a net was trained (data, recipe, epochs), the fullest first."""
    groups: dict[str, list] = {}
    for key in keys:
        record = store.read(key)
        if record is None:
            raise UserError(f"trial {key[:12]}… of {profile} is not in the store; run: easel run --profile {profile}")
        if record.identity["edit"] is None and record.status == "complete":
            way = {name: value for name, value in record.identity.items() if name != "seed"}
            groups.setdefault(json.dumps(way, sort_keys=True), []).append(record)
    fullest = sorted(groups.values(), key=lambda group: (-group[0].examples, -len(group), -group[0].identity["epochs"]))
    return [Ledger(group) for group in fullest]


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
