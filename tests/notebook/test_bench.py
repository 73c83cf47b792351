"""`easel bench` compares like with like and cancels drift. No test of speed."""

import json
import math
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import make_notebooks as make
import numpy as np
import pytest
import torch

from easel import bench, files
from easel.errors import UserError
from easel.ledger.store import Store
from easel.ledger.trial import Edit, Recipe
from easel.nets.names import multiply_adds
from easel.notebook import page as receipts, plan
from easel.train import ensure as run
from easel.train.loop import train

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import speed

sys.path.pop(0)


class Clock:
    """A clock that stands still unless a task moves it."""

    def __init__(self):
        self.now, self.calls = 0.0, []

    def task(self, name, seconds):
        def go():
            self.calls.append(name)
            self.now += seconds(len(self.calls))

        return go

    def __call__(self):
        return self.now


def setting(device="cpu", images=1024, seconds=0.01, precision="fp32"):
    return bench.Setting(device, bench.random_images(images), Recipe(precision=precision), 1, seconds)


def test_loops_take_turns_and_each_timing_is_its_own():
    clock = Clock()
    tasks = {name: clock.task(name, lambda _, s=s: s) for name, s in (("plain", 4.0), ("easel", 1.0))}
    assert bench.interleaved(tasks, 3, clock=clock) == {"plain": [4.0] * 3, "easel": [1.0] * 3}
    assert clock.calls == ["plain", "easel"] * 3


def test_a_machine_that_slows_down_steadily_leaves_the_ratio_alone():
    clock = Clock()
    tasks = {  # each repeat twice as slow as the one before: calls 1 2 | 3 4 | 5 6
        "plain": clock.task("plain", lambda call: 3.0 * 2 ** ((call - 1) // 2)),
        "easel": clock.task("easel", lambda call: 1.0 * 2 ** ((call - 1) // 2)),
    }
    seconds = bench.interleaved(tasks, 3, clock=clock)
    assert seconds["plain"] == [3.0, 6.0, 12.0]
    assert bench.paired(seconds["plain"], seconds["easel"]) == {"median": 3.0, "min": 3.0, "max": 3.0}


def test_a_ratio_is_the_median_of_pairs_with_its_extremes():
    assert bench.paired([2.0, 9.0, 8.0], [1.0, 3.0, 2.0]) == {"median": 3.0, "min": 2.0, "max": 4.0}
    with pytest.raises(ValueError, match="shorter"):
        bench.paired([1.0, 2.0], [1.0])


def test_a_gpu_is_waited_for_before_and_after(monkeypatch):
    events = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: events.append("wait"))
    clock = Clock()
    task = clock.task("kernel", lambda _: 2.0)
    assert bench.timed(lambda: (events.append("task"), task()), "cuda", clock) == 2.0
    assert events == ["wait", "task", "wait"]


def test_rates_epochs_and_shares_by_hand():
    seconds = {"plain": [6.0], "resident": [4.0], "easel": [2.0], "evaluation": [0.5]}
    seconds |= {"easel_fp32": [3.0], "evaluation_fp32": [1.0]}
    found = bench.derived({"images": 1000, "seconds": seconds}, "bf16")
    assert found["images_per_s"]["plain"] == pytest.approx(1000 / 6)
    assert found["easel_over_plain"]["median"] == 3.0  # training alone: the plain loop evaluates nothing
    assert found["fp32"]["median"] == 1.5
    assert found["evaluation_share"]["median"] == pytest.approx(0.2)
    assert found["image_s"] == {"bf16": [0.002, 0.0005], "fp32": [0.003, 0.001]}
    assert found["epoch_s"] == {"bf16": {"10000": 25.0, "50000": 125.0}, "fp32": {"10000": 40.0, "50000": 200.0}}


def test_on_a_gpu_the_start_of_the_loader_does_not_shorten_the_timing(monkeypatch):
    tried = []

    def fake(trial, device):
        return {"plain": lambda: tried.append(len(trial.edit.keep) // 128)}

    monkeypatch.setattr(bench, "plain", fake)
    monkeypatch.setattr(bench, "timed", lambda task, device: (task(), 0.1 + 0.01 * tried[-1])[1])
    batches = bench.batches_for("wrn-10-1", setting("cuda", images=390 * 128, seconds=3.0))
    assert 0.1 + 0.01 * batches == pytest.approx(3.0, rel=0.35)
    assert bench.batches_for("wrn-10-1", setting("cpu", images=390 * 128, seconds=3.0)) == 50  # 2 batches: .12 s


def test_resident_and_easel_train_on_the_same_numbers_in_other_layouts():
    trial = bench.trial_on(bench.random_images(300), "mlp-1x1", 256, Recipe())
    rows = list(speed.augmentation(trial, "cpu", torch.contiguous_format)())
    last = list(speed.augmentation(trial, "cpu")())
    assert [len(x) for x, _ in rows] == [128, 128]
    for (a, labels), (b, same) in zip(rows, last, strict=True):
        assert a.is_contiguous()
        assert b.is_contiguous(memory_format=torch.channels_last)
        assert torch.allclose(a, b)
        assert (labels == same).all()


def test_the_plain_loop_normalises_and_crops_as_easel_does():
    data = bench.random_images(200)
    data.images.fill_(128)
    trial = bench.trial_on(data, "mlp-1x1", 128, Recipe())
    for batches in (bench.pil_loader(trial, "cpu"), speed.augmentation(trial, "cpu")()):
        ((x, labels),) = batches
        assert x.shape == (128, 3, 32, 32)
        assert x.dtype == torch.float32
        assert x[:, :, 4:28, 4:28].sub((128 / 255 - 0.5) / 0.5).abs().max() < 1e-6  # no crop reaches here
        assert x[..., 0].min() == -1.0  # black from outside
        assert sorted(labels.tolist()) == sorted(data.labels[trial.edit.keep].tolist())


@pytest.mark.parametrize("loop", [bench.plain, speed.resident, bench.easel])
def test_every_loop_takes_a_step_a_batch(loop, monkeypatch):
    steps = []
    step = torch.optim.AdamW.step
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self, *a, **k: (steps.append(1), step(self, *a, **k))[1])
    trial = bench.trial_on(bench.random_images(600), "mlp-1x4", 512, Recipe(precision="fp32"))
    loop(trial, "cpu")[loop.__name__]()
    assert len(steps) == 4


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"device": "tpu"}, "tpu"),
        ({"device": "cuda"}, "no GPU"),
        ({"models": ["nonet-50"]}, "nonet-50"),
        ({"repeats": 0}, "repeats=0"),
        ({"json": "no/such/folder/bench.json"}, "no/such/folder"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line_before_anything_runs(wrong, word, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(bench, "random_images", None)
    with pytest.raises(UserError, match=word) as fault:
        bench.run_bench(**wrong)
    assert "\n" not in str(fault.value)


def numbers(value):
    if isinstance(value, dict | list):
        return [n for v in (value.values() if isinstance(value, dict) else value) for n in numbers(v)]
    return [value] if isinstance(value, float) else []


@pytest.mark.parametrize("precision", sorted({"fp32", run.precision()}))  # bf16 where it is not emulated
def test_a_small_run_prints_a_row_and_writes_every_timing(precision, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "TIMED_IMAGES", {"cpu": 1024})
    monkeypatch.setattr(run, "precision", lambda name="auto": precision)
    monkeypatch.setenv("EASEL_DEVICE", "cpu")
    asked = {"models": ["mlp-1x10"], "device": "cpu", "repeats": 2, "seconds": 0.01}
    path = tmp_path / "bench.json"
    assert bench.run_bench(**asked, json=str(path)) == 0
    result, out = json.loads(path.read_text()), capsys.readouterr().out
    (net,) = result["nets"]
    names = {"plain", "easel", "evaluation"}
    names |= {"easel_fp32", "evaluation_fp32"} if precision == "bf16" else set()
    assert net["seconds"].keys() == net["first_two_batches_s"].keys() == net["images_per_s"].keys() == names
    assert all(len(s) == 2 for s in net["seconds"].values())
    assert net["epoch_s"].keys() == {precision, "fp32"}
    assert net["images"] % 128 == 0
    assert {"machine", "measured", "precision", "estimates"} <= result.keys()
    assert all(math.isfinite(n) and n > 0 for n in numbers(result["nets"]))
    assert [line.split()[0] for line in out.splitlines() if line.startswith("mlp-1x10")][:1] == ["mlp-1x10"]
    assert "\nprofile smoke" in out  # an estimate if somebody has run it in this checkout
    assert "profile laptop, its training, here: about" in out
    assert [one["profile"] for one in result["estimates"]][:2] == ["smoke", "laptop"]


def test_what_only_measures_easel_itself_has_the_resident_loop_and_the_ceilings(monkeypatch):
    here = setting(images=1024)
    ceilings = {"fp32_gflops": 60.0, "copy_gb_per_s": 7.0}
    row = speed.measure("mlp-1x10", here, ceilings)
    assert {"plain", "resident", "easel", "evaluation"} == row["seconds"].keys()
    assert row["share_of_roofline"] > 0
    found = speed.measure_augmentation(here)
    assert len(found["seconds"]["plain"]) == 1
    assert math.isfinite(found["easel_over_plain"]["median"])


class Measured:
    """Nets whose loops take these seconds by a clock that stands still otherwise, and what was made of them."""

    def __init__(self, monkeypatch, making, **seconds):
        self.clock, self.making, self.seconds, self.made = Clock(), making, seconds, []
        monkeypatch.setattr(bench, "batches_for", lambda model, setting: 4)

    def loops(self, model, setting, images, fp32):
        self.clock.now += self.making
        self.made.append((model, images, fp32))
        names = [name for name in self.seconds if fp32 or not name.endswith("_fp32")]
        return {name: self.clock.task(name, lambda _, s=self.seconds[name]: s * images / 512) for name in names}

    def rows(self, limit, nets, repeats=5):
        budget = bench.Budget(limit, self.clock)
        where = bench.Setting("cpu", None, Recipe(precision="bf16"), repeats, 1.0)
        rows = [bench.time_net(net, where, self.loops, budget, nets - at) for at, net in enumerate("abcd"[:nets])]
        return rows, budget.left_out


SECONDS = {"plain": 3.0, "easel": 2.0, "evaluation": 0.5, "easel_fp32": 6.0, "evaluation_fp32": 1.0}


def test_without_a_limit_everything_is_measured_as_often_as_was_asked(monkeypatch):
    ((row,), left_out) = Measured(monkeypatch, 1.0, **SECONDS).rows(math.inf, 1)
    assert row["seconds"] == {name: [s] * 5 for name, s in SECONDS.items()}
    assert left_out == []


def test_a_limit_leaves_out_float32_first_then_repeats_and_names_both(monkeypatch):
    # made twice and first used 2 + 5.5 / 2, warmed 5.5: then 5.5 a repeat
    (row,), left_out = Measured(monkeypatch, 1.0, **SECONDS).rows(2 + 2.75 + 3 * 5.5 + 0.1, 1)
    assert row["seconds"] == {"plain": [3.0] * 2, "easel": [2.0] * 2, "evaluation": [0.5] * 2}
    assert left_out == ["a in float32", "3 of 5 repeats of a"]
    assert row["image_s"].keys() == {"bf16"}


def test_float32_is_measured_where_there_is_time_for_it(monkeypatch):
    (row,), left_out = Measured(monkeypatch, 1.0, **SECONDS).rows(80.0, 1, repeats=2)
    assert row["seconds"] == {name: [s] * 2 for name, s in SECONDS.items()}
    assert left_out == []


@pytest.mark.parametrize(("slower", "repeats"), [(0.5, [5, 5, 5, 5]), (2.0, [3, 3, 3, 3]), (4.0, [1, 1, 1, None])])
def test_four_nets_share_what_there_is(slower, repeats, monkeypatch):
    measured = Measured(monkeypatch, 5.0, **{name: slower * s for name, s in SECONDS.items()})
    rows, left_out = measured.rows(240.0, 4)
    assert measured.clock.now <= 240.0
    assert [row and len(row["seconds"]["easel"]) for row in rows] == repeats
    assert ("a in float32" in left_out) == (slower > 1)
    assert ("d" in left_out) == (repeats[3] is None)


def test_a_net_that_has_no_time_left_is_named_and_one_is_measured_in_any_case(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(bench, "TIMED_IMAGES", {"cpu": 1024})
    path = tmp_path / "bench.json"
    asked = {"models": ["mlp-1x10", "mlp-1x20", "mlp-1x30"], "device": "cpu", "repeats": 3, "seconds": 0.01}
    assert bench.run_bench(**asked, limit=1e-3, json=str(path)) == 0
    result, out = json.loads(path.read_text()), capsys.readouterr().out
    assert [row["model"] for row in result["nets"]] == ["mlp-1x10"]
    assert result["left_out"][-3:] == ["2 of 3 repeats of mlp-1x10", "mlp-1x20", "mlp-1x30"]
    assert "left out for want of time (--limit): " in out
    with pytest.raises(UserError, match="more than 0"):
        bench.run_bench(**asked, limit=0)


def test_the_share_of_the_roofline_is_of_one_step_for_both_loops():
    row = {"model": "mlp-1x4", "images_per_s": {"plain": 1000.0, "easel": 4000.0}}
    ceilings = {"fp32_gflops": 1e-9, "copy_gb_per_s": 1e30}  # one operation a second
    found = bench.roofline_shares(row, setting(), ceilings)
    assert found["plain"] == pytest.approx(1000 * 2 * (2 * 3072 * 4 + 3 * 4 * 10))
    assert found["easel"] == 4 * found["plain"]


def test_the_choice_of_device_ends_with_the_measurement(monkeypatch):
    def measured(_):
        assert run.device() == "cpu"
        raise ZeroDivisionError

    monkeypatch.setattr(bench, "random_images", measured)
    for before in ("cuda", None):
        monkeypatch.setenv("EASEL_DEVICE", before) if before else monkeypatch.delenv("EASEL_DEVICE")
        with pytest.raises(ZeroDivisionError):
            bench.run_bench(device="cpu")
        assert os.environ.get("EASEL_DEVICE") == before


def test_the_table_keeps_its_columns():
    ratio = {"median": 3.0, "min": 2.9, "max": 12.34}
    line = {
        "model": "densenet-bc-100-12",
        "images": 50_000,
        "images_per_s": {"plain": 5.1, "easel": 123_456.0, "evaluation": 1e6},
        "easel_over_plain": ratio,
        "evaluation_share": ratio,
        "epoch_s": {"bf16": {"10000": 0.081, "50000": 7200.0}},
    }
    text = bench.table_row(line)
    head = bench.opening(SimpleNamespace(device="cpu", recipe=Recipe()))
    assert len(text) == len(head[-1]) == len(head[-2])
    assert text.split()[1:5] == ["50,000", "5", "123,456", "3.00"]
    assert text.split()[-4:] == ["0.081", "s", "2.0", "h"]


# how long a profile takes ---------------------------------------------------------------------------------------------


def row(model, bf16, fp32=None):
    """What the estimates read of a measured net: seconds to train on an image; evaluating one takes a tenth."""
    each = {"bf16": bf16} if fp32 is None else {"bf16": bf16, "fp32": fp32}
    return {"model": model, "image_s": {p: [s, s / 10] for p, s in each.items()}}


@pytest.fixture
def profile(tmp_path, monkeypatch):
    """Profile "p" of two notebooks, whose receipts name the given records: "00_one" those, "01_two" these."""
    monkeypatch.setenv("EASEL_NOTEBOOKS", str(tmp_path / "notebooks"))
    (tmp_path / "notebooks").mkdir()
    cell = {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": 'profile = "p"'}
    for stem in ("00_one", "01_two"):
        (tmp_path / "notebooks" / f"{stem}.ipynb").write_text(json.dumps({"cells": [cell]}))
    (tmp_path / "notebooks" / "profiles.yaml").write_text("p:\nnever-run:\n")

    def write(**named):
        for stem, records in named.items():
            make.receipt(files.results_dir() / "p", stem, keys=[record.key for record in records])

    return write


def estimated(rows=None, auto="bf16", workers=1):
    return bench.profile_estimate("p", rows or [row("mlp-1x10", 1e-3, 4e-3)], auto, workers)


def put(*trials):
    records = [train(trial) for trial in trials]
    for record in records:
        Store().put(record)
    return records


def test_a_profile_takes_the_work_of_the_trials_that_its_receipts_name_each_once(profile, tiny):
    records = put(tiny(0), tiny(1), tiny(2, epochs=1, edit=Edit(keep=range(50)), views=("test:200",)))
    profile(**{"00_one": records[:2], "01_two": records[1:]})
    # in float32: 2 epochs of 100 images, evaluated too, twice; one of 50 images, 100 + 200 evaluated; on two cores
    seconds = 4e-3 * (2 * 1.1 * 200 + 50 + 0.1 * 300) / 2
    expected = {"profile": "p", "trials": 3, "seconds": pytest.approx(seconds)}
    assert estimated(workers=2) == expected | {"scaled": [], "missing": 0, "read": 0, "without": []}


def test_what_a_notebook_reads_of_nets_that_it_does_not_name_is_no_training(profile, tiny):
    """Notebook 10 of the laptop profile reads what a GPU trained: it was most of the profile's time."""
    own, read = put(tiny(0), tiny(0, model="mlp-1x20"))
    profile(**{"00_one": [own, read]})
    receipts.add_files(files.results_dir() / "p/receipts/00_one.json", [], {"models": ["mlp-1x10"]})
    found = estimated()
    assert (found["trials"], found["read"]) == (1, 1)
    assert found["seconds"] == pytest.approx(4e-3 * 220)
    assert bench._of_profile(found).endswith("(1 trial; 1 more are only read; no receipts yet: 01_two)")


def test_what_is_not_known_of_a_profile_is_said(profile, tiny, capsys):
    assert bench.of_profiles([row("mlp-1x10", 1e-3)], "bf16", 1)[0][1]["trials"] == 0
    profile(**{"00_one": [*put(tiny(0)), train(tiny(1))]})
    found, faults = bench.of_profiles([row("mlp-1x10", 1e-3)], "bf16", 1)
    assert (found[0]["trials"], found[0]["missing"], found[0]["without"], faults) == (1, 1, ["01_two"], [])
    assert found[0]["seconds"] == pytest.approx(1e-3 * 220)  # float32 was not measured: what this machine computes in
    said = [bench._of_profile(one) for one in found]
    assert said[0].endswith("(1 trial; 1 more are not at hand; no receipts yet: 01_two)")
    assert said[1] == "profile never-run: no receipts yet"


def test_a_net_that_was_not_measured_is_scaled_by_work_from_its_family():
    rows = [row("wrn-10-1", 1e-3), row("mlp-1x10", 1.0)]
    work = {net: multiply_adds(net) + 3e6 for net in ("wrn-10-1", "wrn-16-1")}
    training, evaluation = bench.image_seconds("wrn-16-1", "bf16", rows)
    assert training == pytest.approx(1e-3 * work["wrn-16-1"] / work["wrn-10-1"])
    assert evaluation == pytest.approx(training / 10)


def test_larger_images_take_longer():
    rows = [row("resnet18-0.25x", 1e-3)]
    rows += [row("resnet18-0.125x", 1.0)]  # its own timing counts, whatever the size
    small, large = (bench.image_seconds("resnet18-0.25x", "bf16", rows, size)[0] for size in (32, 64))
    assert small == pytest.approx(1e-3)
    assert 3 < large / small < 5


def test_profiles_that_cannot_be_read_are_named_and_stop_nothing(profile, tmp_path):
    (tmp_path / "notebooks" / "profiles.yaml").write_text("p:\nwrong: {00_one: {trails: 7}}\nplain:")
    found, faults = bench.of_profiles([row("mlp-1x10", 1e-3)], "bf16", 1)
    assert [one["profile"] for one in found] == ["p", "plain"]
    assert len(faults) == 1
    assert "trails" in faults[0]
    (tmp_path / "notebooks" / "profiles.yaml").unlink()
    nothing = [f"{tmp_path}/notebooks/profiles.yaml cannot be read: there is no such file or folder"]
    assert bench.of_profiles([row("mlp-1x10", 1e-3)], "bf16", 1) == ([], nothing)


def test_every_profile_has_a_line_and_the_committed_ones_a_time():
    found, faults = bench.of_profiles([row("wrn-10-1", 1e-3, 4e-3)], "bf16", 2)
    assert not faults
    assert [one["profile"] for one in found] == ["smoke", "laptop", "gpu", "gpu-photographs", "paper"]
    assert [job.stem for job in plan.planned("paper")] == found[-1]["without"]
    for one in found[1:3]:
        folder = files.ROOT / "results" / one["profile"] / "receipts"
        receipts = [folder / f"{job.stem}.json" for job in plan.planned(one["profile"])]  # not of runs with a name
        keys = {key for path in receipts if path.exists() for key in json.loads(path.read_text())["keys"]}
        assert one["trials"] + one["missing"] + one["read"] == len(keys)
        assert one["trials"] > 0.5 * len(keys)
        assert one["seconds"] > 0


@pytest.mark.slow
def test_two_processes_are_measured_by_turns_against_one(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(speed.__file__).parent))  # where the two find it
    found = speed.measure_parallel("mlp-1x10", repeats=2, seconds=0.05)
    assert (found["model"], found["workers"]) == ("mlp-1x10", 2)
    assert len(found["alone"]) == len(found["together"]) == 2
    assert np.all(np.array(found["alone"] + found["together"]) > 0)
    ratios = [t / a for t, a in zip(found["together"], found["alone"], strict=True)]
    assert found["speed_up"]["min"] == min(ratios)
