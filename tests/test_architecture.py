"""What may import what: hexsched <- solvers <- experiments <- paper_figs, and a verifier that stands alone."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.quick

ROOT = Path(__file__).resolve().parents[1]
LAYERS = ("hexsched", "solvers", "experiments", "paper_figs")
# within a layer: each room may import those before it
ROOMS = {
    "hexsched": ("model", "verifier", "profiles", "clusters", "workloads", "engine", "policies", "simulator"),
    "solvers": ("problem", "bounds", "schedules", "exact", "brackets"),
    "paper_figs": ("reading", "drawing", "figures", "plots", "report"),
}


def imported(file: Path) -> set[str]:
    """Every module that a file imports, at any depth of its code."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{name.name}" for name in node.names}
    return found


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_point_one_way(layer):
    above = LAYERS[LAYERS.index(layer) + 1 :]
    files = list((ROOT / layer).rglob("*.py"))
    assert files
    for file in files:
        wrong = {name for name in imported(file) if name.split(".")[0] in above}
        assert not wrong, f"{file.relative_to(ROOT)} imports {wrong}"


@pytest.mark.parametrize(("layer", "room"), [(layer, room) for layer, rooms in ROOMS.items() for room in rooms])
def test_rooms_import_downwards(layer, room):
    rooms = ROOMS[layer]
    above = rooms[rooms.index(room) + 1 :]
    files = list((ROOT / layer / room).rglob("*.py"))
    assert files
    for file in files:
        wrong = {name for name in imported(file) if name.startswith(tuple(f"{layer}.{other}" for other in above))}
        assert not wrong, f"{file.relative_to(ROOT)} imports {wrong}"


def test_numba_is_loaded_where_something_is_compiled_alone():
    for file in (file for layer in LAYERS for file in (ROOT / layer).rglob("*.py")):
        if file.parent != ROOT / "hexsched" / "engine" / "compiler":
            assert not {name for name in imported(file) if name.split(".")[0] in ("numba", "llvmlite")}, file


def test_the_verifier_shares_no_code_with_what_it_checks():
    allowed = ("hexsched.model", "hexsched.verifier", "hexsched.errors", "hexsched.display")
    for file in (ROOT / "hexsched" / "verifier").rglob("*.py"):
        ours = {name for name in imported(file) if name.startswith(LAYERS)}
        assert all(name.startswith(allowed) for name in ours), file
    methods = ("prefill_seconds", "transfer_seconds", "alone_seconds", "batch_seconds", "topological_order")
    for file in (ROOT / "hexsched" / "verifier").rglob("*.py"):
        used = {node.attr for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Attribute)}
        assert not used & set(methods), file
