"""Prices that proved a bound, as they are kept for another bracket of the same instance."""

from __future__ import annotations

from typing import Annotated

import msgspec

Number = Annotated[float, msgspec.Meta(ge=0, le=1e100)]


class KeptPrices(msgspec.Struct, frozen=True, kw_only=True):
    """What ``solvers.bounds.prices`` goes on from. Any prices are sound: a bound is proved from them anew.

    Attributes
    ----------
    edge : tuple of float
        Between which times prices are constant, seconds, from 0 on; T + 1.
    rate : tuple of tuple of float
        Price of a second of one instance: a row for each prefill type, decode type, and KV cache of one; T numbers.
    toll : tuple of float
        Of each join, for a cell of slack.
    owed : float
        Of what a mean counts, for one unit; 0 for other objectives.
    cells : int
        Of slack, of the search that found them.
    scale : float
        The SLO scale that they refute; 0 where it is none.
    """

    edge: tuple[Number, ...]
    rate: tuple[tuple[Number, ...], ...]
    toll: tuple[Number, ...]
    owed: Number
    cells: Annotated[int, msgspec.Meta(ge=1, le=1024)]
    scale: Number
