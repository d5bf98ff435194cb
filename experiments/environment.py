"""What a result was computed with: the versions of all that its numbers may depend on."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from hexsched import __version__

# Distributions that compute, and those that read what is computed from; where one is not installed there is no version.
PACKAGES = ("numpy", "numba", "llvmlite", "scipy", "ortools", "highspy", "pulp", "pyarrow", "msgspec", "pyyaml")
SOLVERS = ("gurobipy", "pyscipopt", "cplex")  # optional
NAMES = ("hexsched", "python", *PACKAGES, *SOLVERS, "platform")


@cache
def versions() -> dict[str, str | None]:
    """Versions by name, those of ``NAMES``; ``platform`` is the system and the sort of processor."""
    here: dict[str, str | None] = {
        "hexsched": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in (*PACKAGES, *SOLVERS)},
        "platform": f"{platform.system()} {platform.machine()}",
    }
    return {name: here[name] for name in NAMES}


def as_text() -> str:
    """The same in a line: ``hexsched 1.0, python 3.11.7, numpy 2.1.0, ...``."""
    return ", ".join(f"{name} {one}" for name, one in versions().items() if one is not None)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
