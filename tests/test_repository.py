"""What a newcomer installs and opens is consistent: environments, notebooks, profiles, and no path of one machine."""

import ast
import hashlib
import json
import re
import subprocess
import tomllib
from importlib.metadata import requires
from itertools import chain
from pathlib import Path
from urllib.parse import unquote

import papermill
import pyarrow.parquet as pq
import pytest
import yaml
from packaging.requirements import Requirement

from easel.compare import scores
from easel.files import ROOT
from easel.nets import names as models
from easel.notebook import plan, plan as parameters

DENSE = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda)
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_conda_environment_installs_what_the_package_needs():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert conda == ["python=3.12", "pip"]
    assert pip["pip"][-1] == "--editable ."
    listed = {str(Requirement(line)) for line in pip["pip"][:-1]}
    assert listed == {str(Requirement(line)) for line in PROJECT["dependencies"]}


def test_the_lock_pins_every_dependency_by_hash_and_names_no_index():
    text = (ROOT / "requirements.lock").read_text()
    blocks = re.findall(r"^([a-z0-9][\w.-]*)==\S+.*?(?=^[a-z0-9]|\Z)", text, flags=re.M | re.S)
    assert len(blocks) > 100
    assert len(re.findall(r"^[a-z0-9].*==", text, flags=re.M)) == len(blocks)
    for line in chain(PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()):
        assert Requirement(line).name in blocks
    for block in re.split(r"^(?=[a-z0-9])", text, flags=re.M)[1:]:
        assert "--hash=sha256:" in block
    assert "://" not in text
    assert "index" not in text


def test_the_lock_for_cpus_alone_is_the_lock_without_torch_and_cuda(tmp_path):
    subprocess.run(["make", "-s", f"VENV={tmp_path}", f"{tmp_path}/cpu.lock"], cwd=ROOT, check=True)
    whole, rest = (
        dict(re.findall(r"^([a-z0-9][\w.-]*)==(.*?)(?=^[a-z0-9]|\Z)", path.read_text(), flags=re.M | re.S))
        for path in (ROOT / "requirements.lock", tmp_path / "cpu.lock")
    )
    gone = {name for name in whole if re.fullmatch(r"torch|torchvision|triton|(nvidia|cuda)-.+", name)}
    assert {"torch", "torchvision", "triton", "nvidia-cublas", "cuda-toolkit"} <= gone
    assert rest == {name: block for name, block in whole.items() if name not in gone}


def test_the_installed_package_is_this_one():
    assert {Requirement(r).name for r in requires("easel")} >= {Requirement(r).name for r in PROJECT["dependencies"]}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_is_source_in_the_houses_form(path):
    notebook = json.loads(path.read_text())
    code = [c for c in notebook["cells"] if c["cell_type"] == "code"]
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert all(not c["outputs"] and c["execution_count"] is None for c in code)
    assert notebook["cells"][0]["cell_type"] == "markdown"
    assert "".join(code[-1]["source"]) == "lab.close()"
    values = parameters.parameters_of(path)
    assert 1 <= len(values) <= 8
    assert next(iter(values)) == "profile"
    cell = next(c for c in code if "parameters" in c["metadata"].get("tags", []))
    assert all("#" in line for line in cell["source"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_papermill_tells_the_type_and_the_meaning_of_every_parameter(path):
    """As `papermill --help-notebook` prints them; it loses a parameter whose comment has a = of its own."""
    told = papermill.inspect_notebook(str(path))
    values = parameters.parameters_of(path)
    assert list(told) == list(values)
    for name, value in values.items():
        kind = f"list[{type(value[0]).__name__}]" if isinstance(value, list) else type(value).__name__
        assert told[name]["inferred_type_name"] == kind
        assert len(told[name]["help"]) > 10


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_is_read_in_small_steps(path):
    """Code cells of about four lines, hardly a comprehension, ten words of prose a line of code, short sentences."""
    cells = json.loads(path.read_text())["cells"]
    code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code" and not c["metadata"].get("tags")]
    prose = ["".join(c["source"]) for c in cells if c["cell_type"] == "markdown"]
    lines = [[line for line in one.split("\n") if line.strip()] for one in code]
    lengths = sorted(sum(not line.startswith(("import ", "from ")) for line in cell) for cell in lines)
    nodes = [node for one in code for node in ast.walk(ast.parse(one))]
    dense = sum(isinstance(node, DENSE) for node in nodes)
    text = re.sub(r"^\|.*$|^#.*$|```.*?```|<[^>]+>", ". ", "\n\n".join(prose), flags=re.M)
    sentences = [one.split() for one in re.split(r"[.!?:;](?=[\s*)\"]|$)|\n\n", text)]
    sentences = [one for one in sentences if len(one) > 1]
    found = {
        "median": lengths[len(lengths) // 2],
        "of ten": lengths[9 * (len(lengths) - 1) // 10],
        "longest": lengths[-1],
        "comprehensions and lambdas in 100 lines": 100 * dense / sum(lengths),
        "words a line": sum(len(one.split()) for one in prose) / sum(lengths),
        "words a sentence": sum(map(len, sentences)) / len(sentences),
    }
    print(path.stem, {name: round(value, 1) for name, value in found.items()})
    assert found["median"] <= 5
    assert found["of ten"] <= 10
    assert found["longest"] <= 15
    assert found["comprehensions and lambdas in 100 lines"] <= 4
    assert found["words a line"] >= 10
    assert found["words a sentence"] <= 14


def test_no_function_is_defined_in_two_notebooks():
    names = []
    for path in NOTEBOOKS:
        for cell in json.loads(path.read_text())["cells"]:
            if cell["cell_type"] == "code":
                tree = ast.parse("".join(cell["source"]))
                names += [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("profile", ["smoke", "laptop", "gpu", "paper"])
def test_profiles_run_every_notebook_and_the_first_ones_on_photographs_too(profile):
    """Other keys than notebooks and their variants, unknown parameters and values that do not fit: plan refuses."""
    stems = [p.stem for p in NOTEBOOKS]
    profiles = yaml.safe_load((ROOT / "notebooks" / "profiles.yaml").read_text())
    entries = profiles[profile]
    assert set(stems) <= set(entries)
    assert {job.stem for job in plan.planned(profile)} == set(entries)
    if profile == "gpu":  # its photographs are a profile of their own
        assert {job.stem for job in plan.planned("gpu-photographs")} == set(profiles["gpu-photographs"]) - set(stems)
        entries |= profiles["gpu-photographs"]
    for stem in stems:
        if "01" <= stem[:2] <= "05":  # the sections of EH that have two data sets
            assert entries[f"{stem}-photographs"]["data"].startswith("photographs@")


@pytest.mark.parametrize("profile", ["smoke", "laptop", "gpu", "paper"])
def test_the_nets_of_the_profiles_exist_and_take_images_of_their_size(profile):
    for job in plan.planned(profile):
        name, _, pixels = str(job.effective.get("data", "")).partition("@")
        size = int(pixels) if pixels else 32 if name in ("auto", "cifar10", "cifar100", "patterns") else None
        for net in plan.nets_of(job.effective):
            models.check(net, size)


@pytest.mark.parametrize("profile", ["laptop", "gpu"])
def test_the_links_of_committed_pages_lead_to_committed_files(profile):
    """Explorers are not committed: `easel index results/PROFILE` makes the page without those that were put away."""
    listed = subprocess.run(["git", "ls-files", f"results/{profile}"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("needs a git checkout")
    committed, folder = {*listed.stdout.split("\n")}, ROOT / "results" / profile
    pages = [folder / Path(one).name for one in committed if one.endswith(".html") and one.count("/") == 2]
    assert len(pages) > 4
    for page in pages:
        text = re.sub(r"<style.*?</style>", "", page.read_text(), flags=re.S)
        links = re.findall(r'(?:href|src)="([^"#:]+)["#]', text)
        assert not [one for one in links if f"results/{profile}/{unquote(one)}" not in committed], page.name


def test_the_readme_names_every_notebook():
    readme = (ROOT / "README.md").read_text()
    assert all(path.stem in readme for path in NOTEBOOKS)
    assert "make smoke" in readme
    assert "make test" in readme


@pytest.mark.parametrize("profile", ["gpu", "laptop"])
def test_the_data_card_names_the_tables_that_are_committed(profile):
    path = ROOT / f"results/{profile}/tables/easiness.parquet"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    card, beside = (ROOT / "results/EASINESS.md").read_text(), path.with_suffix(".md").read_text()
    assert digest in card
    assert digest in beside
    content = pq.read_metadata(path)
    assert f"{content.num_rows:,}" in card
    assert content.schema.names == scores.COLUMNS
    assert re.findall(r"^\| `(\w+)` \|", card, flags=re.M) == scores.COLUMNS


def test_the_citation_names_the_software_and_the_three_papers():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "license", "version"} <= set(citation)
    assert citation["version"] == PROJECT["version"]
    assert all({"type", "title", "authors", "year"} <= set(paper) for paper in citation["references"])
    numbers = [paper["identifiers"][0]["value"] for paper in citation["references"]]
    assert numbers == ["arXiv:1911.10739", "arXiv:1901.02347", "arXiv:2304.03486"]


def code_of(notebook: Path) -> list[str]:
    """The sources of a notebook's code cells, but for the values that a run was given."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    given = "injected-parameters"
    code = [c for c in cells if c["cell_type"] == "code" and given not in c["metadata"].get("tags", [])]
    return ["".join(cell["source"]) for cell in code]


@pytest.mark.parametrize("profile", ["gpu", "laptop"])
def test_executed_notebooks_show_the_code_that_is_there(profile):
    """Who opens a committed result and runs it again runs what the library has now, be it only a module's name."""
    executed = sorted((ROOT / "results" / profile).glob("[0-9]*.ipynb"))
    sources = {path: ROOT / "notebooks" / f"{path.stem.split('-')[0]}.ipynb" for path in executed}
    assert executed
    assert [path.name for path, source in sources.items() if code_of(path) != code_of(source)] == []
