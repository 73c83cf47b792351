"""What CONTRIBUTING.md shows under "Adding one" is run as it stands there, and a tiny trial is trained with each."""

import hashlib
import io
import re
import tarfile

import numpy as np
import pytest
import torch
from conftest import FP32

from easel.data import Dataset
from easel.data.changes import CHANGES
from easel.data.published import PUBLISHED
from easel.errors import UserError
from easel.files import ROOT
from easel.ledger import Quantity, Trial, register_quantity
from easel.ledger.quantities import QUANTITIES
from easel.nets import Family, check, label, multiply_adds, names, register_net
from easel.nets.names import FAMILIES
from easel.train.ensure import ensure
from easel.train.loop import Run


@pytest.fixture
def shown():
    """Runs the example that calls a function, as CONTRIBUTING.md has it; what it registered is forgotten afterwards."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    registries = (FAMILIES, QUANTITIES, CHANGES, PUBLISHED)
    before = [dict(registry) for registry in registries]

    def go(function: str, **given) -> dict:
        (example,) = [one for one in examples if f"{function}(" in one]
        assert sum(bool(line) for line in example.splitlines()) <= 10
        exec(example, given)
        return given

    yield go
    for registry, kept in zip(registries, before, strict=True):
        registry.clear()
        registry.update(kept)


def trained(trial: Trial, store):
    """Its ledger, once trained and once read again from the disk."""
    assert ensure([trial], store=store, workers=0, quiet=True).trained == 1
    ledger = ensure([trial], store=store, workers=0, quiet=True)
    assert ledger.trained == 0
    return ledger


def test_a_net_is_added_trained_and_found_by_name(shown, tiny, store):
    with pytest.raises(UserError, match="no model 'linear-7'"):
        check("linear-7")
    shown("register_net")
    assert (check("linear-7"), label("linear-7"), names.family("linear-9")) == ("linear-7", "linear", "linear")
    assert multiply_adds("linear-7") == 3 * 32 * 32 * 7 + 7 * 10
    ledger = trained(tiny(model="linear-7"), store)
    assert ledger.models == ["linear-7"]
    assert ledger.correct().shape == (1, 2, 100)
    with pytest.raises(UserError, match="no model 'linear-0x'"):
        check("linear-0x")


def test_a_quantity_is_added_recorded_and_read_as_it_decodes(shown, tiny, store):
    shown("register_quantity")
    trial = tiny(record=("entropy",), views=("test:50",))
    ledger = trained(trial, store)
    found = ledger.values("entropy")
    assert (found.shape, found.dtype) == ((1, 2, 100), np.float32)
    assert ledger.values("entropy", "test:50").shape == (1, 2, 50)
    assert "entropy" in ledger.trials[0].record
    run = Run(trial)
    run.epoch()
    p = run._logits("train").softmax(1)
    assert found[0, 0] == pytest.approx(-(p * p.log()).sum(1).numpy(), abs=2e-3)
    register_quantity(Quantity(name="entropy", measure=QUANTITIES["entropy"].measure, decode=lambda x: x.argmax(-1)))
    assert (ledger.values("entropy")[0] == found[0].argmax(-1)).all()
    del QUANTITIES["entropy"]  # another session, which does not know it: the record is read all the same
    assert store.get(tiny(epochs=1)).cut(1).arrays["entropy.train"].shape == (1, 100)
    with pytest.raises(UserError, match="record 'entropy': one of margin"):
        tiny(record=("entropy",))


def test_a_quantity_of_features_has_a_row_an_example(shown, tiny, store):
    def direction(features, labels):
        return torch.nn.functional.normalize(features).half()

    register_quantity(Quantity(name="direction", measure=direction, of="features"))
    ledger = trained(tiny(record=("direction@2", "features@2")), store)
    features = ledger.values("features", "train@2").astype(np.float32)
    length = np.maximum(np.linalg.norm(features, axis=-1, keepdims=True), 1e-12)
    assert ledger.values("direction", "train@2") == pytest.approx(features / length, abs=2e-3)
    with pytest.raises(UserError, match="record 'features': after one epoch only, such as features@2"):
        tiny(record=("features",))


def test_a_perturbation_is_added_and_judged_beside_the_plain_images(shown, tiny, store):
    shown("register_change")
    trial = tiny(views=("dim=0.5",))
    assert (trial.view_examples("dim=0.5").images == trial.examples.images // 2).all()
    assert trained(trial, store).correct("dim=0.5").shape == (1, 2, 100)


def test_a_published_data_set_is_added_unpacked_checked_and_trained_on(shown, store, tmp_path, monkeypatch):
    monkeypatch.setenv("EASEL_DATA", str(tmp_path))
    content = {"a.bin": bytes(range(2 * 192 % 256)) * 3, "b.bin": bytes(384)}
    with tarfile.open(tmp_path / "greys.tar.gz", "w:gz") as archive:
        for name, data in content.items():
            member = tarfile.TarInfo(f"greys/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    whole = (tmp_path / "greys.tar.gz").read_bytes()
    md5 = {name: hashlib.md5(data).hexdigest() for name, data in {"whole": whole, **content}.items()}
    files = {"train": (("a.bin", md5["a.bin"]),), "test": (("b.bin", md5["b.bin"]),)}
    rows, urls = {"train": 2, "test": 2}, ("https://example.org/greys.tar.gz",)
    greys = {"archive": "greys.tar.gz", "urls": urls, "md5": md5["whole"], "bytes": len(whole), "files": files}
    shown("register_set", GREYS=greys | {"rows": rows})
    trial = Trial(data="greys", model="mlp-1x4", seed=0, epochs=1, recipe=FP32, views=("test",))
    ledger = trained(trial, store)
    assert isinstance(ledger.examples, Dataset)
    assert (ledger.examples.classes, ledger.labels.tolist()) == (("a", "b"), [0, 1])
    assert ledger.examples.images.numpy().tobytes() == content["a.bin"]
    assert ledger.correct("test").shape == (1, 1, 2)


@pytest.mark.parametrize(
    ("name", "pattern", "example", "word"),
    [
        ("mlp", r"other-(\d+)", "other-3", "a net of mlp"),  # ours stay what they are
        ("mine", r"wrn-(\d+)-(\d+)", "wrn-16-4", "a net of wrn"),
        ("mine", r"mine-(\d+)", "mine", "does not match"),
    ],
)
def test_a_family_has_names_of_its_own(name, pattern, example, word):
    with pytest.raises(UserError, match=word):
        register_net(Family(name, pattern, lambda *numbers, **fields: None, example, "mine"))


@pytest.mark.parametrize("name", ["", "loss", "features", "count", "a.b", "a@1", "A"])
def test_a_quantity_has_a_name_of_its_own(name):
    with pytest.raises(UserError, match="a word of a-z"):
        register_quantity(Quantity(name=name, measure=lambda logits, labels: labels))
