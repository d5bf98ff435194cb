"""The clock: times so late that a double cannot resolve what happens in them are refused (model M9)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from hexsched.errors import InputError

Floats = npt.NDArray[np.float64]

COARSEST = 2.5e-7  # of H_w: the largest step between neighbouring times; a latency is wrong by two or three
LATEST = 2.0**35  # seconds, 1,100 years: of an arrival, and of all calls one after another; steps of 15 us at their sum


def check_clock(names: Callable[[], Sequence[str]], arrival: Floats, horizon: Floats) -> None:
    """Refuse a workload whose times are too late for its durations.

    Neighbouring doubles at time t are t / 2**52 apart. At Unix microseconds, read as seconds, that is 0.25 s: sums of
    shorter durations are rounded away, and latencies come out below what any cluster can do.

    Parameters
    ----------
    names : callable
        Gives the ids of the workflows; asked when one is to be named.
    arrival, horizon : (W,) float arrays
        a_w and H_w, seconds.

    Raises
    ------
    InputError
        For the first workflow around which times are more than ``COARSEST`` H_w apart, or that arrives past ``LATEST``.
    """
    step = np.spacing(arrival + horizon)
    for w in np.flatnonzero((step > COARSEST * horizon) | (arrival > LATEST))[:1]:
        raise InputError(
            f"workflow {names()[w]!r} arrives at {arrival[w]:g} s, where times of double precision are {step[w]:.2g} s "
            f"apart: too coarse for a workflow that takes {horizon[w]:.2g} s alone; "
            "count arrivals from the first one, and in seconds"
        )
