"""What other installed packages bring along: their entry points, loaded when they are first asked for.

An entry point names a module, or a thing in it (``pyproject.toml``)::

    [project.entry-points."hexsched.policies"]
    mine = "my_package.policies"
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hexsched.errors import InputError, InputWarning

OURS = "hexsched"  # this distribution: what it brings along is found without entry points


@dataclass(frozen=True)
class Package:
    """A package from outside, as what results depend on.

    Attributes
    ----------
    name : str
        Of its top-level module.
    sha256 : str
        Of all its Python files.
    """

    name: str
    sha256: str

    def load(self) -> tuple[str, ...]:
        """Nothing to load: what it brings along is found by name. Raises ``InputError`` where it is another here."""
        if _digest(self.name) != self.sha256:
            raise InputError(f"package {self.name!r} is not the same here as where the grid was planned")
        return ()


def things(group: str, noun: str) -> Iterator[tuple[EntryPoint, Any, Package]]:
    """What the packages of a group give, in the order of their names; what cannot be loaded is told and left out."""
    for point in sorted(entry_points(group=group), key=lambda point: (point.name, point.value)):
        if point.dist is not None and point.dist.name == OURS:
            continue
        try:
            thing = point.load()
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # SystemExit too: somebody else's package does not end the program
            complain(point, noun, f"{type(error).__name__}: {error}")
        else:
            top = point.module.partition(".")[0]
            yield point, thing, Package(top, _digest(top))


def complain(point: EntryPoint, noun: str, why: str) -> None:
    """Tell in a line what is wrong with an entry point; the others do not suffer."""
    package = f" of package {point.dist.name!r}" if point.dist is not None else ""
    text = f"{noun} {point.name!r}{package} ({point.value}) is not available: {why}"
    warnings.warn(" ".join(text.split()), InputWarning, stacklevel=2)


@cache
def _digest(name: str) -> str:
    """Of the Python files of a top-level module or package."""
    spec = find_spec(name)
    roots = [] if spec is None else [Path(place) for place in spec.submodule_search_locations or [spec.origin or ""]]
    files = [(root, file) for root in roots for file in (root.rglob("*.py") if root.is_dir() else [root])]
    digest = hashlib.sha256()
    for root, file in sorted(files):
        if file.is_file():
            digest.update(f"{file.relative_to(root).as_posix()}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
