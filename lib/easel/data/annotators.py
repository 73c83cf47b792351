"""What people said of CIFAR-10's training images: CIFAR-10N (Wei et al. 2022), three annotators for each of them.

cifar10n.npz in the data folder holds its arrays under their own names (data/README.md: how it is made of the authors'
file). Nothing here downloads: where there is no such file, there are no human labels.
"""

from contextlib import suppress

import numpy as np

from easel.errors import UserError
from easel.files import data_dir

ANNOTATORS = ("random_label1", "random_label2", "random_label3")


def human_labels(dataset) -> dict[str, np.ndarray] | None:
    """{name: int64 (examples,)} for the examples of a CIFAR-10 training set; None for others, or without the file.

    Names: aggre_label (the majority of the three, by lot where they differ), worse_label, random_label1, 2 and 3.
    UserError where the file's own copy of CIFAR-10's labels is not what the data set has: it is in another order.
    """
    path = data_dir() / "cifar10n.npz"
    if dataset.name != "cifar10" or dataset.split != "train" or not path.is_file():
        return None
    with np.load(path, allow_pickle=False) as archive:
        found = {name: archive[name].astype(np.int64)[dataset.ids] for name in archive.files}
    with suppress(KeyError):
        if (found.pop("clean_label") != dataset.labels.numpy()).any():
            raise UserError(f"{path}: its clean_label is not CIFAR-10's in its order; take the file away")
    return found


def contradicted(human: dict[str, np.ndarray], labels) -> np.ndarray:
    """Whether all three annotators name another class than the label, not always the same one: bool (examples,)."""
    return np.all([human[name] != labels for name in ANNOTATORS], axis=0)
