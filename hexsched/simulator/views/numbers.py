"""Records of the engine as plain Python reads them: one number at a time, at a tenth of what NumPy takes for it.

A look into an array of records makes a scalar of NumPy, or a record of it, and takes 0.3 to 10 us; one into a
``memoryview`` of a field, which gives a plain int or float, 0.05 us.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, TypeAlias

from hexsched.engine.state import Array, Records, Seen

Numbers: TypeAlias = (
    "memoryview[Any]"  # the numbers of one field, of the engine's memory itself: whatever changes is seen
)


def numbers(records: Records, name: str) -> Numbers:
    """One field of records."""
    return numbers_of(records[name])


def numbers_of(array: Array) -> Numbers:
    """The numbers of an array."""
    given: Any = array  # a buffer, of which the stubs do not know
    return memoryview(given)


class Table:
    """Records of which ``table[k].name`` is a plain number: what kernels of ``hexsched.engine.physics`` take."""

    __slots__ = ("_row",)

    def __init__(self, records: Records) -> None:
        fields = {name: _field(numbers(records, name)) for name in records.dtype.names or ()}
        self._row = type("Row", (_Row,), {"__slots__": (), **fields})

    def __getitem__(self, k: int | tuple[int, int]) -> Any:
        return self._row(k)


class _Row:
    """Which record it is; its fields are properties, as ``__getattr__`` takes twenty times as long."""

    __slots__ = ("k",)

    def __init__(self, k: Any) -> None:
        self.k = k


def _field(of: Numbers) -> property:
    return property(lambda row: of[row.k])


def physics_of(seen: Seen) -> Any:
    """What ``hexsched.engine.physics`` reads of ``seen``, in plain numbers."""
    return SimpleNamespace(
        clock=Table(seen.clock),
        prefills=Table(seen.prefills),
        decodes=Table(seen.decodes),
        links=Table(seen.links),
        batch_seconds=numbers_of(seen.batch_seconds),
    )
