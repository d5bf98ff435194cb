"""Decode modes of a call: on which instance, after a prefill on which, and for how long it holds its reservation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Mode:
    """Prefill instances from which a stay on one decode instance takes equally long.

    Attributes
    ----------
    decode : int
    sources : tuple of int
        Prefill instances; those of the modes on one decode instance are a partition of all of them.
    pair : (int, int)
        A (prefill, decode) pair of the mode.
    """

    decode: int
    sources: tuple[int, ...]

    @property
    def pair(self) -> tuple[int, int]:
        """One of its (prefill, decode) pairs, to look durations up by."""
        return self.sources[0], self.decode


def decode_modes(hold: Array) -> list[Mode]:
    """The modes of a call whose reservation on j after a prefill on i lasts ``hold[i, j]``; inf where it cannot be."""
    modes = []
    for j in range(hold.shape[1]):
        groups: dict[float, list[int]] = {}
        for i in range(hold.shape[0]):
            if np.isfinite(hold[i, j]):
                groups.setdefault(float(hold[i, j]), []).append(i)
        modes += [Mode(decode=j, sources=tuple(sources)) for sources in groups.values()]
    return modes
