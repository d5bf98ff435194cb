"""Models that are not built, because they would be too large or take too long."""

from __future__ import annotations


class NotBuiltError(Exception):
    """A model is not built; the message says why. What is known by then still counts."""


class TooLargeError(NotBuiltError):
    """A model has more entries than it may.

    Parameters
    ----------
    what : str
        How many it has or would have.
    most : float
        How many it may have.
    """

    def __init__(self, what: str, most: float) -> None:
        super().__init__(
            f"the model is too large: {what}, at most {most:,.0f} are allowed (Tuning.entries); "
            "'hexsched gap' brackets instances of any size, fewer calls can be solved exactly"
        )
