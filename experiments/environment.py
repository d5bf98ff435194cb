"""What a result was computed with: the versions of all that its numbers may depend on."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hexsched import __version__

# Distributions that compute, and those that read what is computed from; where one is not installed there is no version.
PACKAGES = ("numpy", "numba", "llvmlite", "scipy", "ortools", "highspy", "pulp", "pyarrow", "msgspec", "pyyaml")
SOLVERS = ("gurobipy", "pyscipopt", "cplex", "pychoco")  # optional
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


def origin(files: Iterable[str | Path], **given: object) -> dict[str, object]:
    """What a record on standard output says of where its numbers come from.

    Returns
    -------
    dict
        ``given``; ``inputs``, SHA-256 of each file by its path (what is no file, a name or a pipe, is left out); and
        ``versions``.
    """
    paths = [Path(file) for file in files]
    inputs = {str(path): sha256(path) for path in paths if path.is_file()}
    return {**given, "inputs": inputs, "versions": versions()}


def sha256(file: str | Path) -> str:
    """Of what is in the file, as hexadecimal digits."""
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


def as_text() -> str:
    """The same in a line: ``hexsched 1.0, python 3.11.7, numpy 2.1.0, ...``."""
    return ", ".join(f"{name} {one}" for name, one in versions().items() if one is not None)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
