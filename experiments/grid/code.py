"""The code version: a hash of the sources that determine a cell's results, not the commit they happen to be in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from experiments.grid.kinds import KINDS
from hexsched.outside import Package

ROOT = Path(__file__).parents[2]
SUFFIXES = (".py", ".yaml", ".json", ".csv")
LENGTH = 8  # hexadecimal digits: it is told apart from a handful of others, not from an adversary's

SHARED = ("hexsched", "experiments/load.py", "experiments/store/schema.py")
GRID = ("loads.py", "saturation.py", "scene.py", "sources.py", "kinds/load.py")


@cache
def code_version(kind: str) -> str:
    """Hexadecimal digits that change with any source that cells of this kind depend on."""
    grid = (f"experiments/grid/{name}" for name in GRID)
    digest = hashlib.sha256()
    for file in _files([*SHARED, *grid, *KINDS[kind].sources]):
        name = file.relative_to(ROOT) if file.is_relative_to(ROOT) else Path(file.name)
        digest.update(f"{name.as_posix()}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    for text in sorted(f"{each}\0{package.sha256}" for each, package in _outside(kind)):
        digest.update(text.encode())
    return digest.hexdigest()[:LENGTH]


def _outside(kind: str) -> Iterator[tuple[str, Package]]:
    """What other packages bring along that cells of this kind may use; what cells name, policies, is not among it."""
    from hexsched.metrics import METRICS
    from hexsched.workloads.arrivals import PROCESSES
    from hexsched.workloads.families import FAMILIES
    from solvers.bounds import BOUNDS
    from solvers.exact import FORMULATIONS

    solvers = (BOUNDS, FORMULATIONS) if any("solvers" in source for source in KINDS[kind].sources) else ()
    for registry in (METRICS, PROCESSES, FAMILIES, *solvers):
        yield from registry.packages().items()


def _files(names: Iterable[str]) -> list[Path]:
    files: set[Path] = set()
    for name in names:
        path = ROOT / name
        files |= {path} if path.is_file() else {file for file in path.rglob("*") if file.suffix in SUFFIXES}
    return sorted(files)
