"""The library as a house: imports only fall, no circle, and every public definition says what it is."""

import ast
from pathlib import Path

from easel.files import ROOT

LIB = ROOT / "lib" / "easel"
FLOORS = (  # from the ground up; a room may import what lies below it, and itself
    ("errors",),
    ("files", "warm"),
    ("data", "nets", "compare"),
    ("ledger", "plot"),
    ("train",),
    ("sections",),
    ("notebook",),
    ("bench", "audit"),
    ("cli",),
    ("__main__",),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def name_of(path: Path) -> str:
    return path.relative_to(LIB).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__") or "__init__"


def modules() -> dict[str, ast.Module]:
    return {name_of(path): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(LIB.rglob("*.py"))}


def imports(tree: ast.Module, all_names: set[str], *, at_import: bool = False) -> set[str]:
    """The modules of easel that a module names in imports; at_import: outside functions only."""
    nodes = ast.walk(tree) if not at_import else (n for n in tree.body if isinstance(n, ast.ImportFrom | ast.If))
    found = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "easel":
            base = node.module.removeprefix("easel").removeprefix(".")
            for alias in node.names:
                full = f"{base}.{alias.name}".strip(".")
                found.add(full if full in all_names else base)
    return found - {""}


def test_imports_only_fall():
    trees = modules()
    climbing = []
    for name, tree in trees.items():
        room = name.split(".")[0]
        for other in imports(tree, set(trees)):
            above = other.split(".")[0]
            if room not in ("__init__", above) and FLOOR[above] >= FLOOR[room]:
                climbing.append(f"{name} -> {other}")
    assert climbing == []


def test_no_module_imports_itself_by_way_of_another():
    trees = modules()
    arrows = {name: imports(tree, set(trees), at_import=True) & set(trees) for name, tree in trees.items()}

    def reached(name: str, seen: set[str]) -> set[str]:
        for other in arrows[name] - seen:
            seen |= {other} | reached(other, seen | {other})
        return seen

    assert [name for name in trees if name in reached(name, set())] == []


def test_every_public_definition_says_what_it_is():
    bare = []
    for name, tree in modules().items():
        for node in tree.body:
            public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            if public and not ast.get_docstring(node):
                bare.append(f"{name}.{node.name}")
    assert bare == []
    assert all(ast.get_docstring(tree) for tree in modules().values())


def test_a_public_name_stands_in_one_module():
    where = {}
    for name, tree in modules().items():
        for node in tree.body:
            defined = [node.name] if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            defined += [target.id for target in targets if isinstance(target, ast.Name)]
            for word in defined:
                where.setdefault(word, []).append(name)
    twice = {word: names for word, names in where.items() if len(names) > 1 and not word.startswith("_")}
    assert twice == {}, "a name that means two things means neither"
