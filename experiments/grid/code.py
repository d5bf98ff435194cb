"""The code version: a hash of the sources that determine a cell's results, not the commit they happen to be in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SUFFIXES = (".py", ".yaml", ".json", ".csv")
LENGTH = 8  # hexadecimal digits: it is told apart from a handful of others, not from an adversary's

SHARED = ("hexsched", "experiments/load.py", "experiments/store/schema.py")
GRID = ("loads.py", "saturation.py", "scene.py", "sources.py", "kinds/load.py")
SOURCES: dict[str, tuple[str, ...]] = {
    "load": SHARED,
    "simulate": SHARED,
    "gap": (*SHARED, "solvers"),
    "solve": (
        *SHARED,
        "solvers",
        *(f"experiments/library/{name}.py" for name in ("families", "generate", "names")),
    ),
}


@cache
def code_version(kind: str) -> str:
    """Hexadecimal digits that change with any source that cells of this kind depend on."""
    own = [*(f"experiments/grid/{name}" for name in GRID), f"experiments/grid/kinds/{kind}.py"]
    digest = hashlib.sha256()
    for file in _files([*SOURCES[kind], *own]):
        digest.update(f"{file.relative_to(ROOT).as_posix()}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:LENGTH]


def _files(names: Iterable[str]) -> list[Path]:
    found: set[Path] = set()
    for name in names:
        path = ROOT / name
        found |= {path} if path.is_file() else {file for file in path.rglob("*") if file.suffix in SUFFIXES}
    return sorted(found)
