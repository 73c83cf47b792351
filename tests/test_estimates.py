"""The estimates of `easel bench` count what notebooks really train."""

import json

import pytest

from easel import estimates, files
from easel.errors import UserError
from easel.nets.names import multiply_adds
from easel.notebook import plan

RECEIPTS = sorted((files.ROOT / "results" / "laptop" / "receipts").glob("*.json"))


def row(model, bf16, fp32=None):
    """What the estimates read of a measured net: seconds to train on an image; evaluating one takes a tenth."""
    each = {"bf16": bf16} if fp32 is None else {"bf16": bf16, "fp32": fp32}
    return {"model": model, "image_s": {p: [s, s / 10] for p, s in each.items()}}


@pytest.fixture
def profile(tmp_path, monkeypatch):
    """Writes notebooks with these parameters, as the one profile "p", and returns its jobs."""
    monkeypatch.setenv("EASEL_NOTEBOOKS", str(tmp_path))

    def write(**notebooks):
        for stem, values in notebooks.items():
            lines = ['profile = "p"', *(f"{name} = {value!r}" for name, value in values.items())]
            cell = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": "\n".join(lines)}
            (tmp_path / f"{stem}.ipynb").write_text(json.dumps({"cells": [cell]}))
        (tmp_path / "profiles.yaml").write_text("p:")
        return plan.plan("p")

    return write


def asked(**fields):
    fields = {"model": "wrn-10-1", "trials": 5, "epochs": 2, "images": 1000, "data": "", "precision": "auto"} | fields
    return {name: value for name, value in fields.items() if value is not None}


def estimate(jobs, rows=None, auto="bf16", workers=1):
    return estimates.estimate("p", jobs, rows or [row("wrn-10-1", 1e-3, 4e-3)], auto, workers)


def test_both_groups_count_and_trials_that_notebooks_share_count_once(profile):
    two = asked(model=None, models=["wrn-10-1", "mlp-1x10"])
    jobs = profile(**{"00_easiness": asked(), "01_matching": two})
    found = estimate(jobs, [row("wrn-10-1", 1e-3), row("mlp-1x10", 1e-4)], workers=2)
    # 10 trials of each net x 2 epochs x 1000 images, evaluation a tenth more, on two cores
    expected = {"profile": "p", "trials": 20, "seconds": pytest.approx(1.1 * (20 + 2) / 2), "scaled": [], "without": []}
    assert found == expected


@pytest.mark.parametrize(
    "change", [{"shared_order": 1}, {"data": "patterns"}, {"precision": "fp32"}, {"epochs": 1}, {"images": 500}]
)
def test_trials_that_differ_in_more_than_their_seed_are_counted_apart(profile, change):
    assert estimate(profile(**{"00_easiness": asked(), "01_matching": asked(**change)}))["trials"] == 20


def test_a_profile_in_float32_is_charged_for_float32(profile):
    assert estimate(profile(**{"00_easiness": asked()}))["seconds"] == pytest.approx(22)
    jobs = profile(**{"00_easiness": asked(precision="fp32")})
    assert estimate(jobs)["seconds"] == pytest.approx(88)
    with pytest.raises(UserError, match="fp32, which was not measured"):
        estimate(jobs, [row("wrn-10-1", 1e-3)])


def test_a_net_that_was_not_measured_is_scaled_by_work_from_its_family(profile):
    rows = [row("wrn-10-1", 1e-3), row("mlp-1x10", 1.0)]
    work = {net: multiply_adds(net) + 3e6 for net in ("wrn-10-1", "wrn-16-1")}
    training, evaluation = estimates.image_seconds("wrn-16-1", "bf16", rows)
    assert training == pytest.approx(1e-3 * work["wrn-16-1"] / work["wrn-10-1"])
    assert evaluation == pytest.approx(training / 10)
    assert estimate(profile(**{"00_easiness": asked(model="wrn-16-1")}), rows)["scaled"] == ["wrn-16-1"]


def test_larger_images_take_longer():
    rows = [row("resnet18-0.25x", 1e-3)]
    small, large = (estimates.image_seconds("resnet18-0.25x", "bf16", rows, size)[0] for size in (32, 64))
    assert 3 < large / small < 5


@pytest.mark.parametrize("fields", [{"trials": "5"}, {"epochs": None}, {"model": None}, {"images": None}])
def test_a_notebook_that_does_not_say_what_it_trains_is_named(fields):
    settings = asked(**fields) | ({"models": 3} if "model" in fields else {})
    with pytest.raises(UserError, match="00_easiness: its parameters do not say what it trains"):
        estimates.asked("00_easiness", settings, "bf16")


def test_a_notebook_of_the_readers_own_is_left_out_and_named(profile):
    found = estimate(profile(**{"00_easiness": asked(), "09_mine": asked()}))
    assert (found["trials"], found["without"]) == (10, ["09_mine"])


def test_profiles_that_cannot_be_read_are_named_and_stop_nothing(profile, tmp_path):
    rows = [row("wrn-10-1", 1e-3)]
    nothing = [f"no profiles.yaml to read in {tmp_path} (FileNotFoundError)"]
    assert estimates.of_profiles(rows, "bf16", 1) == ([], nothing)
    profile(**{"00_easiness": asked(trials=2)})
    (tmp_path / "profiles.yaml").write_text("p: {00_easiness: {trials: 7}}\nwrong: {00_easiness: {trails: 7}}\nplain:")
    found, faults = estimates.of_profiles(rows, "bf16", 1)
    assert {one["profile"]: one["trials"] for one in found} == {"p": 14, "plain": 4}
    assert len(faults) == 1
    assert "trails" in faults[0]


@pytest.mark.parametrize("path", RECEIPTS, ids=lambda path: path.stem)
def test_as_many_trials_are_counted_as_the_committed_results_used(path):
    receipt = json.loads(path.read_text())
    (job,) = plan.plan("laptop", only=[path.stem])
    found = estimates.asked(job.notebook.stem, job.effective, "bf16")
    assert sum(found.values()) == receipt["trained"] + receipt["reused"]


def test_every_notebook_is_known_and_every_profile_has_an_estimate():
    found, faults = estimates.of_profiles([row("wrn-10-1", 1e-3, 4e-3)], "bf16", 2)
    assert [one["profile"] for one in found] == ["smoke", "laptop", "gpu", "gpu-photographs", "paper"]
    assert not faults
    assert not any(one["without"] for one in found)
    assert [one["seconds"] for one in found] == sorted(one["seconds"] for one in found)


def test_changed_views_and_subsets_are_charged_for_what_they_are():
    ((what, number),) = estimates.asked(
        "03_perturbations", asked(model=None, models=["mlp-1x10"], grid="short", epochs=1), "bf16"
    ).items()
    assert (number, what.trained, what.evaluated) == (10, 1000, 1000 * (1 + 2 + 3 + 4 + 1))
    settings = asked(model=None, models=["wrn-10-1", "mlp-1x10"], keeps=[50], trials=1)
    subsets = estimates.asked("08_compression", settings, "bf16")
    large = {(w.epochs, w.trained, w.evaluated): n for w, n in subsets.items() if w.model == "wrn-10-1"}
    voters_and_shorter, whole, equal_epochs, equal_updates = 4 + 1, 1, 5, 5 + 1
    assert large == {
        (1, 1000, 1000): voters_and_shorter,
        (2, 2000, 2000): whole,
        (2, 1000, 2000): equal_epochs,
        (4, 2000, 4000): equal_updates,
    }
