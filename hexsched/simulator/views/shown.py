"""What all views have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from hexsched.registry import suggest


class Shown:
    """One thing as it is seen: a name that it does not have is told with those that it has."""

    __slots__ = ()
    noun: ClassVar[str]
    hidden: ClassVar[Mapping[str, str]] = {}  # what is not shown on purpose, and why

    def __getattr__(self, name: str) -> Any:  # asked for missing ones only
        if name.startswith("_"):  # of Python's protocols
            raise AttributeError(name)
        why = self.hidden.get(name) or suggest(name, (one for one in vars(type(self)) if one[0] != "_")).lstrip("; ")
        raise AttributeError(f"{self.noun} has no {name!r}: {why}")
