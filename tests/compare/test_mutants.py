"""The mutants themselves (`make mutants`): each is one change, a run goes on where it was, what is argued is there."""

import ast
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import mutants

sys.path.pop(0)


def test_a_mutant_is_its_module_with_one_line_changed():
    whole = ast.unparse(ast.parse((mutants.FOLDER / "claims.py").read_text(encoding="utf-8"))).splitlines()
    found = mutants.mutants("claims")
    assert len({mutant.name for mutant in found}) == len(found) > 50
    for mutant in found[::5]:
        changed = ast.unparse(mutants.mutated(mutant)).splitlines()
        assert sum(a != b for a, b in zip(whole, changed, strict=True)) == 1, mutant.name


def test_what_is_argued_is_a_mutant_and_has_a_reason():
    names = {mutant.name for module in mutants.MODULES for mutant in mutants.mutants(module)}
    assert len(names) >= 200
    assert set(mutants.argued()) <= names
    assert all(len(why) > 20 for why in mutants.argued().values())


def test_every_module_of_compare_has_its_mutants():
    assert sorted(mutants.MODULES) == sorted(p.stem for p in mutants.FOLDER.glob("*.py") if p.stem != "__init__")


def test_a_run_goes_on_where_it_was_until_the_module_or_for_survivors_a_test_changes(tmp_path):
    dead, alive, new = mutants.mutants("claims")[:3]
    log = mutants.Log(tmp_path / "log")
    log.note(dead, "killed", "tests/compare/test_claims.py::test_one")
    log.note(alive, "survives", "")
    with open(tmp_path / "log", "a") as file:
        file.write('{"name": "cut')
    again = mutants.Log(tmp_path / "log")
    assert [again.known(m) is not None for m in (dead, alive, new)] == [True, True, False]
    again.tests = "others"
    assert [again.known(m) is not None for m in (dead, alive)] == [True, False]
    assert again.killers(dead) == ["tests/compare/test_claims.py::test_one"] * 2  # its own, and of its function
    again.modules["claims"] = "another"
    assert again.known(dead) is None


def test_the_likeliest_tests_come_first_and_those_that_do_not_call_the_function_not_at_all(tmp_path):
    mutant = next(m for m in mutants.mutants("cuts") if m.function == "bounds_of")
    whole = mutants.Seen()
    whole.seconds = {f"tests/compare/{name}": seconds for name, seconds in zip("abcd", (3, 1, 2, 1), strict=True)}
    whole.called = {test: [["cuts", "bounds_of"]] for test in whole.seconds}
    whole.called["tests/compare/d"] = [["cuts", "rate_of"]]
    log = mutants.Log(tmp_path / "log")
    assert mutants.candidates(mutant, whole, log) == [f"tests/compare/{name}" for name in "bca"]
    log.note(mutant, "killed", "tests/compare/a")
    assert mutants.candidates(mutant, whole, log) == [f"tests/compare/{name}" for name in "abc"]


def test_the_table_counts_what_is_argued_by_itself(tmp_path, monkeypatch):
    first, second, third, fourth = mutants.mutants("claims")[:4]
    log = mutants.Log(tmp_path / "log")
    for mutant, what in ((first, "killed"), (second, "hangs"), (third, "survives"), (fourth, "survives")):
        log.note(mutant, what, "")
    monkeypatch.setattr(mutants, "argued", lambda: {third.name: "nobody can tell"})
    *_, row, share = mutants.table(log, [first, second, third, fourth]).splitlines()
    assert row == "| all | 4 | 2 | 1 | 1 |"
    assert share == "66.7% killed, 50.0% if those argued count as survivors"
