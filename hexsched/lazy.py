"""Names of a package that are imported when they are first asked for (PEP 562)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(
    package: str, names: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """``__getattr__``, ``__dir__`` and ``__all__`` of a package.

    Parameters
    ----------
    package : str
        Its dotted name.
    names : mapping of str to str
        The module that has each public name.
    """
    public = sorted(names)

    def __getattr__(name: str) -> Any:  # noqa: N807
        if name not in names:
            import sys

            module = sys.modules[package]
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name, obj=module)
        value = getattr(import_module(names[name]), name)
        setattr(import_module(package), name, value)
        return value

    def __dir__() -> list[str]:  # noqa: N807
        return public

    return __getattr__, __dir__, public
