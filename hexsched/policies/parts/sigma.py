"""``NAME(SIGMA)``: the spread of something noisy, in the name of what is."""

from __future__ import annotations

import re

MOST_SIGMA = 10.0  # a standard deviation in units of the mean; beyond, nearly all draws are next to nothing


def read_sigma(text: str, name: str) -> float | None:
    """The number in ``NAME(SIGMA)``; None for any other text, NaN where the number is none from 0 to ``MOST_SIGMA``."""
    match = re.fullmatch(rf"{name}\( *+([^() \x00-\x1f]++) *+\)", text)
    if match is None:
        return None
    try:
        sigma = float(match[1])
    except ValueError:
        sigma = -1.0
    return sigma if 0.0 <= sigma <= MOST_SIGMA else float("nan")
