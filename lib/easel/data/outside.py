"""What others published of CIFAR-10, an example at a time: scores that easiness can be held against.

    easel data c-scores                 fetch one of SOURCES; nothing else here downloads
    outside.scores(dataset)             {"c-score": (examples,), ...} of those that are on the disk

Each of them says in which order it is: its own copy of the labels has to be the data set's, else UserError.
"""

import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from easel import files
from easel.data import download
from easel.errors import UserError

ANNOTATORS = ("random_label1", "random_label2", "random_label3")
HUMAN = ("clean_label", "aggre_label", "worse_label", *ANNOTATORS)
REVIEWERS = 5  # of each test image that was suspected
OF_OTHERS = {  # name: what it is; higher = easier
    "people": "how many of three annotators give CIFAR-10's label (0 to 3)",
    "c-score": "how often nets that were trained without the image are right (0 to 1)",
    "reviewers": "share of five reviewers who see CIFAR-10's class, of suspected test images only",
}


def _human(content: bytes) -> bytes:
    """CIFAR-10_human.pt as the .npz that lies in the data folder. Only what NumPy's arrays are made of is unpickled."""
    import torch

    rebuild = np._core.multiarray._reconstruct
    names = [(rebuild, "numpy.core.multiarray._reconstruct"), rebuild, np.ndarray, np.dtype, type(np.dtype("int64"))]
    with torch.serialization.safe_globals(names):
        arrays = torch.load(io.BytesIO(content), weights_only=True)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{name: np.asarray(arrays[name], dtype=np.uint8) for name in HUMAN})
    return buffer.getvalue()


def _consistency(content: bytes) -> bytes:
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        if archive["scores"].shape != archive["labels"].shape:
            raise ValueError("as many scores as labels were expected")
    return content


def _reviews(content: bytes) -> bytes:
    if not all({"id", "given_original_label", "mturk"} <= row.keys() for row in json.loads(content)):
        raise ValueError("reviews without an image, a label or the votes")
    return content


@dataclass(frozen=True)
class Outside:
    """One file of a publisher who prints no checksum. kept: its name in the data folder, as `made` of what arrives."""

    kept: str
    url: str
    made: Callable[[bytes], bytes]  # raises whatever it likes where the file is not what it should be
    source: str


SOURCES = {
    "cifar10n": Outside(
        "cifar10n.npz",
        "https://raw.githubusercontent.com/UCSC-REAL/cifar-10-100n/main/data/CIFAR-10_human.pt",
        _human,
        "CIFAR-10N: J. Wei et al., Learning with Noisy Labels Revisited, ICLR 2022",
    ),
    "c-scores": Outside(
        "cifar10-cscores-orig-order.npz",
        "https://pluskid.github.io/structural-regularity/cscores/cifar10-cscores-orig-order.npz",
        _consistency,
        "C-scores: Z. Jiang et al., Characterizing Structural Regularities of Labeled Data, ICML 2021",
    ),
    "label-errors": Outside(
        "cifar10_mturk.json",
        "https://raw.githubusercontent.com/cleanlab/label-errors/main/mturk/cifar10_mturk.json",
        _reviews,
        "Reviewed test labels: C. Northcutt et al., Pervasive Label Errors in Test Sets, NeurIPS Datasets 2021",
    ),
}


def fetch_source(name: str) -> Path:
    """The file of one of SOURCES in the data folder, downloaded if it is not there. UserError where it cannot be."""
    one = SOURCES[name]
    path = files.data_dir() / one.kept
    return path if path.is_file() else download.fetch_unchecked(_urls(one), path, one.made)


def _urls(one: Outside) -> tuple[str, ...]:
    return download.mirrors(one.url.rpartition("/")[2], (one.url,))


def _read(name: str, dataset, split: str) -> bytes | None:
    path = files.data_dir() / SOURCES[name].kept
    return path.read_bytes() if (dataset.name, dataset.split) == ("cifar10", split) and path.is_file() else None


def _in_order(name: str, theirs: np.ndarray, labels: np.ndarray) -> None:
    if (theirs != labels).any():
        path = os.fspath(files.data_dir() / SOURCES[name].kept)
        raise UserError(f"{path}: its labels are not CIFAR-10's in its order; take the file away")


def human_labels(dataset) -> dict[str, np.ndarray] | None:
    """CIFAR-10N: {name: int64 (examples,)} for a CIFAR-10 training set; None for others, or without the file.

    Names: aggre_label (the majority of the three, by lot where they differ), worse_label, random_label1, 2 and 3.
    """
    content = _read("cifar10n", dataset, "train")
    if content is None:
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        found = {name: archive[name].astype(np.int64)[dataset.ids] for name in archive.files}
    if "clean_label" in found:
        _in_order("cifar10n", found.pop("clean_label"), dataset.labels.numpy())
    return found


def contradicted(human: dict[str, np.ndarray], labels) -> np.ndarray:
    """Whether all three annotators name another class than the label, not always the same one: bool (examples,)."""
    return np.all([human[name] != labels for name in ANNOTATORS], axis=0)


def scores(dataset) -> dict[str, np.ndarray]:
    """{name of OF_OTHERS: float64 (examples,), higher = easier} of what is on the disk for this data set.

    The training set has people and c-score; the test set reviewers, NaN where nobody was asked.
    """
    found, labels = {}, dataset.labels.numpy()
    if people := human_labels(dataset):
        found["people"] = np.sum([people[name] == labels for name in ANNOTATORS], axis=0, dtype=np.float64)
    if content := _read("c-scores", dataset, "train"):
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            _in_order("c-scores", archive["labels"][dataset.ids], labels)
            found["c-score"] = archive["scores"][dataset.ids].astype(np.float64)
    if content := _read("label-errors", dataset, "test"):
        rows = {row["id"]: row for row in json.loads(content)}
        asked = [at for at, example in enumerate(dataset.ids.tolist()) if example in rows]
        rows = [rows[int(dataset.ids[at])] for at in asked]
        _in_order("label-errors", np.array([row["given_original_label"] for row in rows]), labels[asked])
        found["reviewers"] = np.full(len(labels), np.nan)
        found["reviewers"][asked] = [(row["mturk"]["given"] + row["mturk"]["both"]) / REVIEWERS for row in rows]
    return found


def where_is(name: str) -> str:
    """One line on one of SOURCES: where it is, or how to get it."""
    path = files.data_dir() / SOURCES[name].kept
    where = str(path) if path.is_file() else f"not here: easel data {name}"
    return f"{name + ' ':<18}{SOURCES[name].source}; {where}"
