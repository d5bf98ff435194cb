"""The packages that come with hexsched, and folders of the same names that are in their way."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, spec_from_file_location
from pathlib import Path

from hexsched.errors import InputError

BESIDE = ("solvers", "experiments", "paper_figs")
HERE = Path(__file__).resolve().parents[1]


def spec_beside(name: str) -> ModuleSpec | None:
    """How to load one of these packages from where hexsched is; None where it is not there."""
    folder = HERE / name
    file = folder / "__init__.py"
    return spec_from_file_location(name, file, submodule_search_locations=[str(folder)]) if file.exists() else None


def check_beside(*names: str) -> None:
    """Make sure that packages of these names are those that come with hexsched.

    Raises
    ------
    InputError
        Naming the folder that Python finds, or has loaded, in place of one of them.
    """
    for name in names:
        ours = HERE / name
        loaded = sys.modules.get(name)
        spec = find_spec(name) if loaded is None else getattr(loaded, "__spec__", None)
        places = [] if spec is None else list(spec.submodule_search_locations or [spec.origin or ""])
        if not ours.is_dir() or any(Path(place).resolve() == ours for place in places):
            continue
        found = Path(places[0]).resolve() if places and places[0] else f"a module {name!r} without a file"
        raise InputError(
            f"{found} is in the way of hexsched's package {name!r}, which is {ours}: rename it, or keep its parent "
            "folder off Python's path (start elsewhere, unset PYTHONPATH)"
        )
