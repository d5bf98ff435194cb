"""The grids that come with hexsched, as files: what can be told of them without reading what they mean."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

from hexsched.errors import InputError
from hexsched.registry import choices

LIBRARY = Path(__file__).parents[1] / "grids"


class Outline(NamedTuple):
    """What a grid is called and shows, and the named grids in its file."""

    name: str
    description: str
    grids: tuple[str, ...]


@cache
def list_grids() -> tuple[str, ...]:
    """Names of the grids that come with the package."""
    return tuple(sorted(file.stem for file in LIBRARY.glob("*.yaml")))


def shipped_grid(name: str) -> Path:
    """The file of a grid that comes with the package. Raises ``InputError`` for another name."""
    if name not in list_grids():
        raise InputError(f"no grid {name!r} comes with hexsched; {choices(name, list_grids())}")
    return LIBRARY / f"{name}.yaml"


def outline(name: str) -> Outline:
    """Of a grid that comes with the package."""
    import yaml

    file = yaml.safe_load(shipped_grid(name).read_text(encoding="utf-8"))
    return Outline(name, file["description"], tuple(file.get("grids", ())))
