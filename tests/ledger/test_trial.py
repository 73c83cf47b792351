"""A trial is its key: every field that can change a number moves it, and nothing else does."""

import math
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from easel.errors import UserError
from easel.ledger.quantities import QUANTITIES
from easel.ledger.trial import Edit, Recipe, Trial, View, canonical, two_groups
from easel.train.batches import stream


def test_weight_decay_is_loshchilov_and_hutters_normalised_one():
    decay = Recipe().weight_decay(50_000)  # torch multiplies it by the learning rate
    assert decay * 1e-3 == pytest.approx(1.4606e-4, rel=1e-4)  # w_norm sqrt(b / (B T)), b 128, B 50,000, T 300
    assert decay == pytest.approx(0.146, abs=5e-4)


def test_schedule_is_one_cosine_over_the_horizon():
    recipe = Recipe()
    assert recipe.schedule(0) == 1
    assert recipe.schedule(150) == pytest.approx(0.5)
    assert recipe.schedule(300) == pytest.approx(0)
    assert recipe.schedule(1) == pytest.approx(0.5 + 0.5 * math.cos(math.pi / 300))


def test_streams_differ_by_seed_purpose_and_epoch_and_repeat():
    draws = {
        (seed, purpose, epoch): torch.randint(0, 2**60, (1,), generator=stream(seed, purpose, epoch)).item()
        for seed in range(5)
        for purpose in ("weights", "order", "augmentation")
        for epoch in range(3)
    }
    assert len(set(draws.values())) == len(draws)
    assert torch.randint(0, 2**60, (1,), generator=stream(3, "order", 2)).item() == draws[3, "order", 2]


CHANGES = {
    "seed": 1,
    "model": "mlp-1x11",
    "images": 90,
    "subset_seed": 1,
    "data": "cifar10",
    "split": "merged",
    "edit": Edit(keep=np.arange(50)),
}
RECIPES = {
    "optimizer": "sgd",
    "learning_rate": 0.1,
    "betas": (0.9, 0.999),
    "momentum": 0.8,
    "w_norm": 0.0,
    "horizon": 100,
    "batch_size": 64,
    "normalisation": "image",
    "augmentation": "resized-crop",
    "translation": 2,
    "flip": False,
    "precision": "bf16",
    "shared_order": 0,
    "batches": "fixed",
    "delta": 0.5,
}
TOGETHER = {"augmentation": {"translation": 0}, "delta": {"batches": "high-loss", "batch_size": 20}}  # no use alone


@pytest.mark.parametrize("name", [n for n in CHANGES if n != "data"])
def test_every_field_that_can_change_a_number_changes_the_key(tiny, name):
    assert replace(tiny(), **{name: CHANGES[name]}).key != tiny().key


def test_every_setting_of_the_recipe_changes_the_key(tiny):
    assert set(RECIPES) == set(Recipe.__dataclass_fields__)
    plain = {name: replace(tiny().recipe, **TOGETHER.get(name, {})) for name in RECIPES}
    keys = {k: replace(tiny(), recipe=replace(plain[k], **{k: v})).key for k, v in RECIPES.items()}
    assert len(set(keys.values()) | {tiny().key}) == len(RECIPES) + 1
    assert all(keys[k] != replace(tiny(), recipe=plain[k]).key for k in RECIPES)


def test_the_papers_recipe_depends_on_the_data_set():
    assert Recipe.of("cifar10") == Recipe.of("./my/images@64") == Recipe()
    assert isinstance(Recipe(batch_size=np.int64(64), learning_rate=np.float64(0.01)).batch_size, int)
    photographs = Recipe.of("tiny-imagenet-10@64", precision="fp32")
    assert (photographs.batch_size, photographs.augmentation, photographs.precision) == (64, "resized-crop", "fp32")
    assert Recipe.of("mini-imagenet", batch_size=32).batch_size == 32


def test_what_else_is_recorded_and_for_how_long_does_not_change_the_key(tiny):
    assert tiny(views=("test", "online", "test@1"), record=("margin", "prediction")).key == tiny().key
    assert tiny(judged=False, views=("train@2",), also=("probability@1",), epochs=5).key == tiny().key


def test_trials_of_one_key_are_joined_into_one_that_serves_both(tiny):
    both = tiny(epochs=5, judged=False, views=("test@3",)).joined(tiny(record=("margin",), also=("probability@1",)))
    assert both == tiny(epochs=5, views=("test@3",), record=("margin",), also=("probability@1",))
    assert both.arrays(both.also) == {"correct.train": 5, "correct.test@3": 1, "probability.train@1": 1}


def test_numpys_whole_numbers_are_whole_numbers(tiny):
    assert tiny(seed=np.int64(3), epochs=np.int32(2)).key == tiny(seed=3, epochs=2).key


def test_edits_are_told_apart_by_content(tiny):
    labels = np.zeros(100, int)
    same = Edit(labels=labels.copy())
    assert Edit(labels=labels) == same
    assert tiny(edit=Edit(labels=labels)).key == tiny(edit=same).key
    labels[3] = 1
    assert Edit(labels=labels) != same
    assert Edit(keep=np.array([0])) != Edit(labels=np.array([0]))


def test_a_trial_travels_to_a_worker_without_its_images(tiny):
    trial = tiny(edit=Edit(keep=np.arange(50)))
    key = trial.key
    blob = pickle.dumps(trial)
    assert len(blob) < 3000
    assert pickle.loads(blob) == trial
    assert pickle.loads(blob).key == key


def test_canonical_json_has_one_form():
    assert canonical({"b": 1, "a": [1.5, None]}) == b'{"a":[1.5,null],"b":1}'
    with pytest.raises(ValueError, match="JSON"):
        canonical({"a": float("nan")})


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"model": "nonet-9000"}, "nonet-9000"),
        ({"epochs": 0}, "epochs=0"),
        ({"epochs": 2.0}, "epochs=2.0"),
        ({"epochs": True}, "epochs=True"),
        ({"epochs": 301}, "301"),
        ({"seed": -1}, "seed=-1"),
        ({"images": 0}, "images=0"),
        ({"views": ("tset",)}, "tset"),
        ({"views": ("test:0",)}, "test:0"),
        ({"views": ("test:many",)}, "test:many"),
        ({"record": ("margins",)}, "margins"),
        ({"also": ("probability@3",)}, "probability@3"),
        ({"record": ("probability@x",)}, "probability@x"),
        ({"views": ("train",)}, "train@10"),
        ({"views": ("online",), "edit": Edit(keep=np.arange(3))}, "online"),
        ({"views": ("online@2",), "recipe": Recipe(batches="high-loss", delta=0.5)}, "online"),
        ({"views": ("test@3",)}, "test@3"),
        ({"views": ("test@0",)}, "test@0"),
        ({"views": ("test@01",)}, "test@01"),
        ({"views": ("test@",)}, "test@"),
        ({"views": ("colour=0.3@1@1",)}, "colour=0.3@1@1"),
        ({"views": ("colour=1.5@1",)}, "colour=1.5"),
        ({"edit": Edit(order=np.arange(100))}, "shuffled"),
    ],
)
def test_a_trial_that_cannot_be_is_refused_in_one_line(tiny, fields, word):
    with pytest.raises(UserError) as refusal:
        tiny(**fields)
    assert word in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "setting",
    [
        {"precision": "fp16"},
        {"optimizer": "adam"},
        {"learning_rate": float("nan")},
        {"batch_size": 0},
        {"horizon": 1.5},
        {"betas": (1.0, 0.9)},
        {"shared_order": -1},
        {"horizon": None},
        {"batches": "hardest"},
        {"delta": 0},
        {"delta": 1.5},
        {"delta": 0.5},
        {"augmentation": "mixup"},
        {"translation": 4, "augmentation": "resized-crop"},
    ],
)
def test_a_recipe_that_cannot_be_is_refused(setting):
    with pytest.raises(UserError, match=next(iter(setting))):
        Recipe(**setting)


@pytest.mark.parametrize(
    "edit",
    [
        {"order": [1, 0]},
        {"order": [0, 0]},
        {"order": [0, 2], "keep": [0, 1]},
        {"keep": [3, 1]},
        {"keep": []},
        {"keep": [1, 1]},
        {"keep": [100]},
        {"labels": [0] * 99},
        {"labels": [10] * 100},
    ],
)
def test_an_edit_that_does_not_fit_the_examples_is_refused(tiny, edit):
    with pytest.raises(UserError, match="edit"):
        _ = tiny(edit=Edit(**{k: np.array(v, dtype=int) for k, v in edit.items()}), recipe=Recipe(batches="fixed")).key


def test_a_delta_that_takes_no_batch_is_refused_before_training(tiny):
    recipe = Recipe(batches="high-loss", delta=0.19, batch_size=20)
    with pytest.raises(UserError, match=r"delta=0\.19: of 5 mini-batches it takes none"):
        _ = tiny(recipe=recipe).key
    assert replace(recipe, delta=0.2).batches_taken(100) == 1
    assert replace(recipe, delta=0.29, batch_size=1).batches_taken(100) == 29


def test_a_last_batch_of_one_image_is_refused_where_batch_norm_cannot_take_it(tiny):
    recipe = Recipe(batch_size=99)
    assert tiny(model="wrn-10-1", recipe=recipe).key
    with pytest.raises(UserError, match="100 images in batches of 99 leave a last batch of one"):
        _ = tiny(model="resnet18-0.125x", recipe=recipe).key
    assert tiny(model="resnet18-0.125x", recipe=Recipe(batch_size=98)).key


def test_the_default_trial_is_the_papers(cifar10):
    trial = Trial(data="cifar10", model="wrn-16-4", seed=3, epochs=10)
    assert len(trial.examples) == 50_000
    assert trial.recipe == Recipe(
        optimizer="adamw",
        learning_rate=1e-3,
        betas=(0.9, 0.99),
        w_norm=0.05,
        horizon=300,
        batch_size=128,
        translation=4,
    )


@pytest.mark.parametrize(
    ("text", "base", "after", "count", "change"),
    [
        ("test:2000@10", "test:2000", 10, 2000, None),
        ("test", "test", None, None, None),
        ("colour=0.3@1", "colour=0.3", 1, None, "colour=0.3"),
        ("online", "online", None, None, None),
        ("train@3", "train", 3, None, None),
    ],
)
def test_a_view_is_a_value_parsed_once(text, base, after, count, change):
    view = View.of(text)
    assert (view.base, view.after, view.count, view.change) == (base, after, count, change)
    assert view == View.of(text) is view
    view.check()


def test_a_trial_says_what_it_trains_on_and_with_which_labels(tiny):
    plain, labels = tiny(), np.zeros(100, int)
    assert plain.trained_on.tolist() == list(range(100))
    assert plain.trained_on.dtype == plain.training_labels.dtype == np.int64
    assert plain.training_labels.tolist() == plain.examples.labels.tolist()
    assert plain.given_order is None
    edited = tiny(edit=Edit([3, 8], labels, [8, 3]), recipe=Recipe(batches="fixed"))
    assert edited.trained_on.tolist() == [3, 8]
    assert edited.training_labels.tolist() == [0] * 100
    assert edited.given_order.tolist() == [8, 3]


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: Recipe(learning_rate=0), "recipe learning_rate=0: a number above 0"),
        (lambda: Recipe(learning_rate=True), "recipe: learning_rate=True: it takes a number"),
        (lambda: Recipe(flip="no"), "recipe: flip='no': it takes True or False"),
        (lambda: Recipe(optimizer=np.array([])), "recipe: optimizer=array"),
        (lambda: Edit(keep=[0.5, 1.7]), "edit keep=\\[0\\.5, 1\\.7\\]: an array of whole numbers"),
        (lambda: Edit(keep=[True, False, True]), "an array of whole numbers"),
        (lambda: Edit(labels="cat"), "edit labels='cat': an array of whole numbers"),
        (lambda: Edit(order=[[1], [1, 2]]), "an array of whole numbers"),
        (lambda: Trial(model="mlp-1x10", seed=0, epochs=1, recipe="paper"), "trial: recipe='paper': it takes Recipe"),
        (lambda: Trial(model="mlp-1x10", seed=0, epochs=1, edit=-1), "trial: edit=-1: it takes Edit"),
        (lambda: Trial(model="mlp-1x10", seed=0, epochs=1, views=7), "trial: views=7: it takes texts"),
        (lambda: Trial(model="mlp-1x10", seed=0, epochs=1, judged="no"), "trial: judged='no': it takes True or False"),
        (lambda: Trial(model=5, seed=0, epochs=1), "trial: model=5: it takes a text"),
        (lambda: two_groups(5, [1]), "two_groups: models=5: it takes texts"),
    ],
)
def test_what_was_taken_without_a_word_or_failed_elsewhere_is_refused_in_our_words(ask, said):
    with pytest.raises(UserError, match=said):
        ask()


def test_margins_and_features_beyond_float16_are_its_largest_number_not_infinite():
    logits = torch.tensor([[1e6, 0.0], [3.0, 1.0]])
    margin = QUANTITIES["margin"].measure(logits, torch.tensor([0, 0]))
    assert margin.tolist() == [65504, 2]
    assert QUANTITIES["margin"].measure(logits, torch.tensor([1, 0])).tolist() == [-65504, 2]
    for name in ("features", "logits"):
        assert QUANTITIES[name].measure(logits, torch.tensor([0, 0])).tolist() == [[65504, 0], [3, 1]]


@pytest.mark.parametrize(
    "view",
    ["test:\u0663", "test:007", "test:0", "test:\u00b2", "test@1\u0663", "test@" + "9" * 5000, "test:" + "9" * 5000],
)
def test_a_view_has_one_name_in_plain_digits(view):
    with pytest.raises(UserError):
        View.of(view).check()
    assert View.of("test:2000@10").count == 2000
