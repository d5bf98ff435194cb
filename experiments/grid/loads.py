"""Load rules: how many workflows arrive a second. The paper states no rates, so each is a rule that can be stated.

``rate:R``        R workflows a second.
``stress:S``      the highest rate found at which the strongest of the paper's baselines has a Req95 of at most S.
``saturation:F``  F times the rate at which the busiest stage is exhausted (``experiments.grid.saturation``).
``at-once``       all at time 0.
``recorded``      the arrival times that stand in the workload file.

Wherever there is a rate, workflows arrive at fixed distances, as in the paper.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hexsched.errors import InputError
from hexsched.registry import suggest

# rule -> least parameter, or None where there is none; and whether its rate has to be searched for first
RULES: dict[str, tuple[float | None, bool]] = {
    "rate": (0.0, False),
    "stress": (1.0, True),
    "saturation": (0.0, True),
    "at-once": (None, False),
    "recorded": (None, False),
}


@dataclass(frozen=True)
class LoadRule:
    """A load rule; ``str()`` gives it back as text.

    Attributes
    ----------
    name : str
        One of ``RULES``.
    value : float or None
        Its parameter.
    """

    name: str
    value: float | None = None

    @property
    def searched(self) -> bool:
        """Whether the rate is not known before a search on the cell's own workload and cluster."""
        return RULES[self.name][1]

    @property
    def rate(self) -> float | None:
        """Workflows a second where the rule states it."""
        return self.value if self.name == "rate" else None

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}:{self.value:.12g}"


def read_load(text: str) -> LoadRule:
    """Read a rule.

    Raises
    ------
    InputError
        For an unknown rule, and a parameter that is missing, too many or out of range.
    """
    name, colon, parameter = text.strip().partition(":")
    if name not in RULES:
        raise InputError(f"unknown load rule {name!r}{suggest(name, RULES)}")
    least = RULES[name][0]
    if least is None:
        if colon:
            raise InputError(f"load rule {name!r} takes no number, got {text!r}")
        return LoadRule(name)
    try:
        value = float(parameter)
    except ValueError:
        value = math.nan
    if not (least < value <= 1e6):
        raise InputError(f"load rule {text!r}: expected {name}:NUMBER with a number above {least:g} and at most 1e6")
    return LoadRule(name, value)
