"""What others published of CIFAR-10: fetched from a local server, checked, read in CIFAR-10's order, or refused."""

import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch

from easel import cli
from easel.data import download, outside, sets
from easel.errors import UserError

LABELS = np.arange(10_000) % 10


@pytest.fixture
def publisher(monkeypatch, tmp_path):
    """A server that has files = {name: bytes}, named in EASEL_MIRRORS; EASEL_DATA is an empty folder."""
    files = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            content = files.get(self.path.rpartition("/")[2])
            if content is None:
                return self.send_error(404)
            self.send_response(200)
            self.end_headers()
            return self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    monkeypatch.setattr(download, "PATIENCE", download.Patience(connect=1.0, stall=0.5))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("EASEL_MIRRORS", f"http://127.0.0.1:{server.server_port}/")
    monkeypatch.setenv("EASEL_DATA", str(tmp_path / "data"))
    yield files
    server.shutdown()
    server.server_close()
    thread.join()


def archive(**arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def human_file(old: bool, **arrays) -> bytes:
    buffer = io.BytesIO()
    torch.save(arrays, buffer, _use_new_zipfile_serialization=not old)
    return buffer.getvalue()


def named(split: str = "train", n: int = 40):
    """Images drawn by code under CIFAR-10's name, whose labels are LABELS."""
    drawn = sets.subset(sets.load("patterns"), n)
    labels = torch.from_numpy(LABELS[drawn.ids])
    return sets.replace(drawn, name="cifar10", split=split, labels=labels)


@pytest.mark.parametrize("old", [False, True])
def test_human_labels_come_as_their_authors_file_and_are_counted(publisher, old):
    given = {name: LABELS.copy() for name in outside.HUMAN}
    data = named()
    first, second = data.ids[:2]
    given["random_label1"][first] += 1
    for name in outside.ANNOTATORS:
        given[name][second] += 1
    publisher["CIFAR-10_human.pt"] = human_file(old, **given)
    assert cli.main(["data", "cifar10n"]) == 0
    people = outside.scores(data)["people"]
    assert people.tolist() == [2, 0] + [3] * 38
    assert set(outside.human_labels(data)) == {*outside.HUMAN} - {"clean_label"}


def test_c_scores_are_read_in_the_order_of_the_images(publisher):
    publisher["cifar10-cscores-orig-order.npz"] = archive(labels=LABELS, scores=np.linspace(0, 1, len(LABELS)))
    assert cli.main(["data", "c-scores"]) == 0
    data = named()
    assert np.allclose(outside.scores(data)["c-score"], data.ids / (len(LABELS) - 1))
    assert outside.scores(named("test")) == {}
    assert outside.scores(sets.subset(sets.load("patterns"), 40)) == {}


def test_reviews_are_of_the_test_images_that_were_suspected(publisher):
    data = named("test")
    votes = {"given": 1, "guessed": 2, "neither": 1, "both": 1}
    rows = [{"id": int(at), "given_original_label": int(LABELS[at]), "mturk": votes} for at in data.ids[[3, 8]]]
    publisher["cifar10_mturk.json"] = json.dumps([*rows, rows[0] | {"id": 9_999, "given_original_label": 9}]).encode()
    assert cli.main(["data", "label-errors"]) == 0
    seen = outside.scores(data)["reviewers"]
    assert np.flatnonzero(~np.isnan(seen)).tolist() == [3, 8]
    assert seen[3] == 0.4
    assert outside.scores(named()) == {}


class Hostile:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize(
    ("name", "file", "content"),
    [
        ("c-scores", "cifar10-cscores-orig-order.npz", b"<html>please log in</html>"),
        ("c-scores", "cifar10-cscores-orig-order.npz", archive(labels=LABELS, scores=LABELS[:-1] / 10)),
        ("c-scores", "cifar10-cscores-orig-order.npz", archive(labels=LABELS)),
        ("c-scores", "cifar10-cscores-orig-order.npz", archive(scores=np.array([None]), labels=np.array([Hostile()]))),
        ("cifar10n", "CIFAR-10_human.pt", human_file(False, clean_label=Hostile())),
        ("cifar10n", "CIFAR-10_human.pt", human_file(True, clean_label=Hostile())),
        ("cifar10n", "CIFAR-10_human.pt", human_file(False, clean_label=LABELS)),
        ("label-errors", "cifar10_mturk.json", b'[{"id": 1}]'),
        ("label-errors", "cifar10_mturk.json", b"[" * 100_000),
    ],
)
def test_a_file_that_is_another_is_refused_in_one_line_and_not_kept(publisher, tmp_path, capsys, name, file, content):
    publisher[file] = content
    assert cli.main(["data", name]) == 2
    out, err = capsys.readouterr()
    assert "not the file that was expected" in err
    assert err.count("\n") == 1
    assert "executed" not in out
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_without_a_network_it_says_so_and_other_orders_are_refused(publisher, monkeypatch, capsys):
    monkeypatch.setenv("EASEL_MIRRORS", "http://127.0.0.1:9/")
    assert cli.main(["data", "c-scores"]) == 2
    assert "could not be downloaded" in capsys.readouterr().err
    assert cli.main(["data"]) == 0
    assert "c-scores          C-scores: Z. Jiang et al." in capsys.readouterr().out
    path = download.Path(download.os.environ["EASEL_DATA"])
    path.mkdir(exist_ok=True)
    (path / "cifar10-cscores-orig-order.npz").write_bytes(archive(labels=LABELS + 1, scores=LABELS / 10))
    with pytest.raises(UserError, match="its labels are not CIFAR-10's in its order"):
        outside.scores(named())


def test_more_than_a_small_file_is_left(publisher, monkeypatch, capsys):
    monkeypatch.setattr(download, "SMALL_FILE", 1000)
    publisher["cifar10-cscores-orig-order.npz"] = bytes(5000)
    assert cli.main(["data", "c-scores"]) == 2
    assert "more than" in capsys.readouterr().err


def test_people_who_all_name_another_class_contradict_a_label(tmp_path, monkeypatch):
    labels = np.array([0, 1, 2, 3])
    people = {"random_label1": [0, 2, 5, 3], "random_label2": [1, 2, 6, 3], "random_label3": [1, 2, 7, 9]}
    human = {name: np.array(given) for name, given in people.items()}
    assert outside.contradicted(human, labels).tolist() == [False, True, True, False]
    monkeypatch.setenv("EASEL_DATA", str(tmp_path))
    drawn = sets.subset(sets.load("patterns"), 100)
    assert outside.human_labels(drawn) is None
    named = sets.replace(drawn, name="cifar10")
    assert outside.human_labels(named) is None  # no file
    whole = np.zeros(10_000, np.uint8)
    whole[drawn.ids] = drawn.labels.numpy()
    np.savez(tmp_path / "cifar10n.npz", clean_label=whole, aggre_label=whole + 1)
    assert (outside.human_labels(named)["aggre_label"] == drawn.labels.numpy() + 1).all()
    np.savez(tmp_path / "cifar10n.npz", clean_label=whole + 1, aggre_label=whole)
    with pytest.raises(UserError, match="its labels are not CIFAR-10's in its order"):
        outside.human_labels(named)
