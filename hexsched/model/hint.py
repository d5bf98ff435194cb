"""Hints: what an application says about the calls that are still to come (model M40)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from hexsched.model.rows import Floats, Integers

MOST = 1_000_000_000.0  # of rounds, and of tokens of a call
MOST_DELAY = 1e12  # seconds, as of any delay (model M9)


class Hint(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    """What is expected of the longest chain of calls: of a workflow's whole one, or of what comes after a call.

    Numbers are expected values, so none needs to be whole; all but ``rounds`` are means over the calls of the chain.

    Attributes
    ----------
    rounds : number
        Calls that wait for each other, one after another; 0 where nothing comes.
    prompt_tokens : number
        Prompt tokens of one of them; at least 1 unless ``rounds`` is 0.
    output_tokens : number
        Output tokens of one of them; at least 1 unless ``rounds`` is 0.
    delay : number
        Seconds of tool, retrieval or think time before one of them.
    """

    rounds: float
    prompt_tokens: float = 0.0
    output_tokens: float = 0.0
    delay: float = 0.0

    def __post_init__(self) -> None:
        least = 1.0 if self.rounds > 0 else 0.0
        for name, low, high in (
            ("rounds", 0.0, MOST),
            ("prompt_tokens", least, MOST),
            ("output_tokens", least, MOST),
            ("delay", 0.0, MOST_DELAY),
        ):
            value = getattr(self, name)
            if isinstance(value, int):
                msgspec.structs.force_setattr(self, name, float(value))  # 2 and 2.0 are written the same way
            if not low <= value <= high:
                where = " where rounds are above 0" if low else ""
                raise ValueError(f"{name} must be from {low:g} to {high:g}{where}, got {value:g}")


FIELDS = tuple(field.name for field in msgspec.structs.fields(Hint))
Given = Hint | None | msgspec.UnsetType  # the type of a field ``hint``: null is as good as nothing


@dataclass(frozen=True, eq=False)
class Hints:
    """The hints of a column of calls, or of workflows, most of which may have none.

    Attributes
    ----------
    of : (K,) int array
        Positions of those that have one, ascending.
    values : (K, 4) float array
        A column for each of ``FIELDS``.
    """

    of: Integers
    values: Floats

    def between(self, first: int, last: int) -> dict[int, Hint]:
        """The hints of the positions from ``first`` to before ``last``."""
        a, b = np.searchsorted(self.of, [first, last]).tolist()
        if a == b:
            return {}
        made = (Hint(**dict(zip(FIELDS, row, strict=True))) for row in self.values[a:b].tolist())
        return dict(zip(self.of[a:b].tolist(), made, strict=True))

    @property
    def surely_valid(self) -> bool:
        """Whether every rule of ``Hint`` holds."""
        values = self.values
        least = np.where(values[:, :1] > 0, [0.0, 1.0, 1.0, 0.0], 0.0)
        return bool(((values >= least) & (values <= [MOST, MOST, MOST, MOST_DELAY])).all())


def hints_of(places: list[int], given: list[Any]) -> Hints:
    """The hints at these positions."""
    values = np.array([[getattr(hint, name) for name in FIELDS] for hint in given], np.float64)
    return hints_at(np.array(places, np.int64), values.reshape(len(places), len(FIELDS)))


def hints_at(places: Integers, values: Floats) -> Hints:
    """The same from arrays, which nobody can write to afterwards."""
    for array in (places, values):
        array.flags.writeable = False
    return Hints(places, values)


NO_HINTS = hints_of([], [])
