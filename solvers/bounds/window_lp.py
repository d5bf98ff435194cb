"""Time windows and the use of machines in fluid batches: linear programs over time, for as many scales as it takes."""

from __future__ import annotations

from solvers.bounds.parts.bound import Bound, Cost
from solvers.bounds.windows.window_bound import window_lp_bound

BOUND = Bound(
    name="window-lp",
    summary="LPs over time windows, in which a token costs more of an instance the smaller its batch is",
    citation="Lawler and Labetoulle, On preemptive scheduling of unrelated parallel processors by LP, 1978; "
    "batches as a linear resource: docs/model.md M28",
    compute=window_lp_bound,
    cost=Cost.LINEAR_PROGRAM,
)
