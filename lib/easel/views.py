"""Names of what a trial is evaluated on: test, test:2000, online, shuffle=4; with @3 behind it, after epoch 3 alone."""

from easel import perturb
from easel.errors import UserError


def view_base(view: str) -> str:
    """A view's name without the epoch after which it is evaluated: "test:2000" of "test:2000@10"."""
    return view.partition("@")[0]


def view_epoch(view: str) -> int | None:
    """The epoch after which alone a view is evaluated, counted from 1: 10 of "test@10"; None: after every one."""
    _, at, epoch = view.partition("@")
    return int(epoch) if at else None


def check_epoch(name: str, what: str) -> None:
    """Raise UserError where what follows the sign @ is no epoch."""
    base, at, epoch = name.partition("@")
    if at and not (epoch.isascii() and epoch.isdecimal() and str(int(epoch)) == epoch and int(epoch) > 0):
        raise UserError(f"{what} {name!r}: what follows the sign @ is an epoch, counted from 1, such as {base}@1")


def check_view(view: str) -> None:
    """Raise UserError unless `view` is one that a trial can record. (Whether tiles fit the images: view_examples.)"""
    check_epoch(view, "view")
    view, at, _ = view.partition("@")
    if view == "train" and not at:
        raise UserError("view 'train': the training set is judged after every epoch anyway; train@10 after the tenth")
    if perturb.is_change(view):
        return perturb.check(view)
    name, colon, count = view.partition(":")
    if view not in ("train", "online", "test") and not (name == "test" and colon and count.isdecimal() and int(count) > 0):
        changes = ", ".join(perturb.EXAMPLES.values())
        raise UserError(f"view {view!r}: one of test, test:2000 (a part of it), online, {changes}")
