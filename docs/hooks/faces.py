"""What mkdocstrings is to show of the four packages."""

from __future__ import annotations

from importlib import import_module


def members(package: str) -> str:
    """What mkdocstrings is to show of a package: what its ``__all__`` names, functions first."""
    module = import_module(package)
    names = sorted(getattr(module, "__all__", ()), key=lambda name: (name[0].isupper(), name.casefold()))
    return "\n\n".join(f"::: {package}.{name}" for name in names if not name.startswith("__"))
