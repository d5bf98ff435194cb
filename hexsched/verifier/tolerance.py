"""How far a claimed time may be from the computed one before it counts as wrong.

The absolute part covers schedules that were written with nine digits or computed in another order. The relative part
is 64 units in the last place of the time: next to nothing at t = 1e6 s (1.4e-8 s), and what doubles need at Unix time
stamps. The cap keeps it from swallowing whole durations where doubles are coarser than those (past t = 7e10 s):
such schedules are rejected. No check adds up times over the whole schedule, so the number of calls plays no part; what
is added up there, iterations, is rounded to 10^-7 of one after 10^9 of them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ABSOLUTE_SECONDS = 1e-6
RELATIVE = 64 * 2.0**-52
LARGEST_SECONDS = 1e-3


def slack(*times: Floats) -> Floats:
    """Seconds of tolerance for a comparison between these times.

    ``ABSOLUTE_SECONDS + RELATIVE * max |t|``, at most ``LARGEST_SECONDS``.
    """
    largest = np.abs(times[0])
    for other in times[1:]:
        largest = np.maximum(largest, np.abs(other))
    return np.minimum(ABSOLUTE_SECONDS + RELATIVE * largest, LARGEST_SECONDS)
