"""The README's table says what the committed verdicts say: the same numbers, and no more than their words."""

import csv
import json
import re

import pytest

from easel.compare.claims import VERDICTS
from easel.files import ROOT

README = (ROOT / "README.md").read_text()
NUMBERS = "{} [{}, {}]"
ANSWERED = sorted((ROOT / "notebooks").glob("*.ipynb"))
FIFTH = "Most misclassifications are of hard test examples (Sec. 7.1): hard 50%"
SAID = [  # profile, notebook, how the claim begins, its verdict, how its numbers are written
    ("gpu", "00_easiness", "Easiness can be measured again", "holds", NUMBERS),
    ("gpu", "01_matching", "The level of WRN – DenseNet-BC, hard", "as printed", NUMBERS),
    ("gpu", "01_matching", "WRN – DenseNet-BC, hard: the share", "not as printed", NUMBERS),
    ("gpu", "01_matching", "The level of WRN – DenseNet-BC, easy", "open", "open"),
    ("gpu", "01_matching", "MLP and CNNs share fewer hard", "holds", "an MLP finds other images hard"),
    ("gpu", "02_visualization", "Easy examples are visually similar (Sec. 5), pixels", "holds", NUMBERS),
    ("gpu", "02_visualization", "Hard ones are diverse (Sec. 5), pixels", "holds", NUMBERS),
    ("gpu", "03_perturbations", "Taking all colour costs less than taking all arr", "holds", NUMBERS + " less"),
    ("gpu", "03_perturbations", "Taking all colour costs less than taking all detail", "holds", NUMBERS + " less"),
    ("gpu", "03_perturbations", "At equal accuracy, grey images keep more of the easy set than low", "no difference",
     "no difference ({} [{}, {}])"),
    ("laptop", "04_ablation", "removing hard examples degrades steadily", "holds", "degrades steadily"),
    ("laptop", "04_ablation", "removing some easy examples costs nothing", "fails", NUMBERS),
    ("laptop", "04_ablation", "on easy ones: cannot learn", "holds", NUMBERS),
    ("laptop", "04_ablation", "on hard ones: can learn", "holds", NUMBERS),
    ("laptop", "05_validation_hardness", FIFTH, "holds", NUMBERS),
    ("laptop", "05_validation_hardness", "Misclassified examples are consistent (Sec. 1): kappa", "holds", NUMBERS),
    ("laptop", "06_learnability", "Learnability is highly correlated", "open",
     "the {} [{}, {}] of it that the weakest pair reaches"),
    ("laptop", "06_learnability", "Learnability is sample-wise", "holds", "about images, not classes ({} [{}, {}])"),
    ("laptop", "07_hard_minibatches", "Training on the mini-batches", "holds", "+{} points [{}, {}]"),
    ("laptop", "08_compression", "dropping by easiness (easiest)", "fails", NUMBERS),
    ("laptop", "08_compression", "dropping by easiness (hardest)", "open",
     "no difference that 11 seeds can tell ({} [{}, {}])"),
    ("laptop", "10_mislabels", "Mislabelled images can be mined by easiness (Sec. 9): all three", "holds", NUMBERS),
    ("laptop", "10_mislabels", "Nets that never saw an image find more", "holds", NUMBERS),
]  # fmt: skip


def verdicts(profile):
    with open(ROOT / "results" / profile / "verdicts.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def written(value):
    """A number as the README writes it: two decimals, no zero before the point, a minus sign."""
    return re.sub(r"^(−?)0\.", r"\1.", f"{float(value):.2f}".replace("-", "−")).replace("−.00", ".00")


@pytest.mark.parametrize(("profile", "notebook", "claim", "verdict", "words"), SAID)
def test_a_row_says_what_the_committed_verdict_says(profile, notebook, claim, verdict, words):
    rows = [r for r in verdicts(profile) if r["notebook"] == notebook and r["claim"].startswith(claim)]
    assert rows, f"no claim of {profile} begins so"
    assert rows[0]["verdict"] == verdict
    (row,) = [line for line in README.split("\n") if line.startswith(f"| [`{notebook}`]")]
    assert re.search(rf"\| `{profile}`[^|]*\|$", row)
    numbers = [written(rows[0][name]) for name in ("here", "low", "high")] if "{}" in words else []
    assert words.format(*numbers) in row


def answer(path):
    """The paragraph of a notebook's first cell that answers its question."""
    text = "".join(json.loads(path.read_text())["cells"][0]["source"])
    return next(part for part in text.split("\n\n") if part.startswith("**Our answer.**"))


@pytest.mark.parametrize("path", ANSWERED, ids=[path.stem for path in ANSWERED])
def test_a_notebooks_answer_has_its_numbers_from_its_own_verdicts(path):
    said = answer(path).replace("\n", " ")
    (profile,) = set(re.findall(r"`(gpu|laptop)`", said))
    numbers = {tuple(triple) for triple in re.findall(r"([−\d.]+) \[([−\d.]+), ([−\d.]+)\]", said)}
    rows = [row for row in verdicts(profile) if row["notebook"] == path.stem and row["low"]]
    assert numbers
    assert numbers <= {tuple(written(row[name]) for name in ("here", "low", "high")) for row in rows}


def test_every_notebook_has_a_row_and_every_row_a_scale():
    rows = [line for line in README.split("\n") if re.match(r"\| \[`\d\d_", line)]
    assert [re.match(r"\| \[`(\w+)`", row)[1] for row in rows] == sorted(
        path.stem for path in (ROOT / "notebooks").glob("*.ipynb")
    )
    assert all(re.search(r"\| `(gpu|laptop)`[^|]*\|$", row) for row in rows)


def test_at_the_papers_scale_at_most_a_third_is_open_and_no_open_row_excludes_what_it_asks():
    rows = [row for row in verdicts("gpu") if row["notebook"][:2] in ("00", "01", "02", "03")]
    left = [row for row in rows if row["verdict"] == "open"]
    assert len(left) <= len(rows) / 3
    assert all(row["reason"] in ("trials", "images", "design") for row in left)
    assert {row["verdict"] for row in rows} <= set(VERDICTS)
