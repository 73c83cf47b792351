"""Every notebook runs as plain Python on a tiny set, and after it the answers of its exercises."""

import json
import re
import types

import matplotlib.pyplot as plt
import pytest

from easel.files import ROOT
from easel.notebook import plan

TINY = {  # parameters with which a notebook takes seconds
    "00_easiness": {"images": 60, "model": "mlp-1x16", "trials": 2},
    "01_matching": {"images": 60, "models": ["mlp-1x16", "wrn-10-1", "resnet18-0.0625x"], "trials": [2]},
    "01_matching-order": {"images": 60, "models": ["mlp-1x16", "mlp-1x8"], "trials": [2], "shared_order": 1},
    "02_visualization": {"images": 200, "models": ["wrn-10-1", "mlp-1x16"], "trials": [2], "spaces": ["trained net"]},
    "03_perturbations": {"images": 60, "models": ["wrn-10-1", "mlp-1x16"], "trials": [2], "epochs": 1},
    "04_ablation": {"images": 60, "model": "mlp-1x16", "trials": 2, "epochs": 1},
    "05_validation_hardness": {"images": 60, "models": ["mlp-1x16", "wrn-10-1"], "trials": 2, "epochs": 2},
    "06_learnability": {"images": 60, "models": ["resnet-8-0.25x", "mlp-1x16"]},
    "07_hard_minibatches": {"images": 130, "models": ["resnet18-0.0625x"]},
    "08_compression": {"images": 60, "models": ["mlp-1x16", "mlp-1x8"], "trials": 2, "epochs": 1},
    "10_mislabels": {"images": 60, "models": ["mlp-1x16"], "epochs": 2},
}
ANSWER = re.compile(r"<details>.*?```python\n(.*?)```.*?</details>", re.S)
PROSE = re.compile(r"</summary>(.*?)```python", re.S)


def cells(stem: str, kind: str) -> list[str]:
    notebook = json.loads((ROOT / "notebooks" / f"{stem}.ipynb").read_text())
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == kind]


@pytest.mark.parametrize("stem", [name for name in TINY if "-" not in name])
def test_an_answer_says_something_before_its_code(stem):
    prose = [said for text in cells(stem, "markdown") for said in PROSE.findall(text)]
    assert len(prose) == 2
    assert min(len(said.split()) for said in prose) >= 8


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::matplotlib.MatplotlibDeprecationWarning")  # seaborn's
@pytest.mark.parametrize("name", TINY)
def test_the_answers_run(name, tmp_path, monkeypatch):
    stem, _, _ = name.partition("-")
    answers = [code for text in cells(stem, "markdown") for code in ANSWER.findall(text)]
    assert len(answers) == 2
    monkeypatch.setenv("EASEL_RESULTS", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    tiny = (
        plan.parameters_of(ROOT / "notebooks" / f"{stem}.ipynb") | {"profile": "tiny", "data": "patterns"} | TINY[name]
    )
    quiet = types.SimpleNamespace(update=lambda *_: None)
    space = {"__name__": "__main__", "display": lambda *_, **__: quiet}
    _, *code = cells(stem, "code")
    assert set(plan.parameters_of(ROOT / "notebooks" / f"{stem}.ipynb")) == set(tiny)
    space |= tiny
    for number, source in enumerate([*code[:-1], *answers, code[-1]]):
        exec(compile(source, f"{stem}, cell {number + 2}", "exec"), space)
    plt.close("all")
    assert (tmp_path / f"tiny/receipts/{stem}.json").exists()
