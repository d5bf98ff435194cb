"""Arrays that know how often they are looked at."""

from __future__ import annotations

import math
from typing import Any


class Counted:
    """An array that counts how often it is looked at, and ends what looks too often: a loop that does not end fails."""

    def __init__(self, array: Any, most: int) -> None:
        self._array, self.left = array, most

    def _look(self) -> None:
        self.left -= 1
        assert self.left >= 0, "more steps than it may take"

    def __getitem__(self, key: Any) -> Any:
        self._look()
        return self._array[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._look()
        self._array[key] = value


def steps(size: int) -> int:
    """Looks that a push or a pop may take in a heap of that size: a few for each level."""
    return 12 * (2 + math.ceil(math.log2(size + 2)))
