"""What is minimised: max_ratio, req(q), mean_ratio, mean_latency or misses(s) (model M26)."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from hexsched.errors import InputError
from hexsched.metrics.parts.quantile import required
from hexsched.model.digits import written
from hexsched.registry import hint

Array = np.ndarray[Any, Any]

FORMS = ("max_ratio", "req(0.95)", "mean_ratio", "mean_latency", "misses(1.5)")  # as they are written
KINDS = ("max_ratio", "req", "mean_ratio", "mean_latency", "misses")
LARGEST_SCALE = 1e9  # of misses(S): far above the ratio of any schedule that is of use, and its due dates are finite
SLACK = 1e-9  # relative: a ratio that is over s by rounding alone meets s


@dataclass(frozen=True)
class Objective:
    """One objective; the least value is best.

    Attributes
    ----------
    kind : str
        One of ``KINDS``.
    parameter : float
        q of ``req``, s of ``misses``, 0 for the others.
    """

    kind: str
    parameter: float = 0.0

    def __str__(self) -> str:
        return f"{self.kind}({written(self.parameter)})" if self.kind in ("req", "misses") else self.kind

    @property
    def is_tail(self) -> bool:
        """Whether it is the largest ratio, of all workflows or of those not dropped."""
        return self.kind in ("max_ratio", "req")

    def dropped(self, workflows: int) -> int:
        """How many workflows do not count in the largest ratio: floor((1 - q) N), 0 for ``max_ratio``."""
        if self.kind != "req":
            return 0
        return workflows - max(math.ceil(Fraction(str(self.parameter)) * workflows), 1)

    def value(self, arrival: Array, completed: Array, horizon: Array) -> float:
        """The objective of a schedule from arrival, completion and horizon of each workflow, (W,) seconds."""
        latency = completed - arrival
        ratio = latency / horizon
        if self.kind == "max_ratio":
            return float(ratio.max())
        if self.kind == "req":
            return required(ratio, self.parameter)
        if self.kind == "mean_ratio":
            return float(ratio.mean())
        if self.kind == "mean_latency":
            return float(latency.mean())
        return float(np.count_nonzero(ratio > self.parameter * (1 + SLACK)))


def read_objective(text: str | Objective) -> Objective:
    """Read ``max_ratio``, ``req(0.95)``, ``mean_ratio``, ``mean_latency`` or ``misses(1.1)``.

    Raises
    ------
    InputError
        For anything else.
    """
    if isinstance(text, Objective):
        return text
    match = re.fullmatch(r"\s*+([a-z_]++)\s*+(?:\(\s*+([^()\s]++)\s*+\))?+\s*+", str(text))
    kind, parameter = match.groups() if match else ("", None)
    if kind not in KINDS or (parameter is None) == (kind in ("req", "misses")):
        near = hint(str(text), FORMS)
        expected = "expected max_ratio, req(Q), mean_ratio, mean_latency or misses(S)"
        raise InputError(f"unknown objective {text!r}; {near}{expected}")
    if parameter is None:
        return Objective(kind)
    try:
        number = float(parameter)
    except ValueError:
        number = math.nan
    if kind == "req" and not 0 < number <= 1:
        raise InputError(f"objective {text!r}: Q must be above 0 and at most 1")
    if kind == "misses" and not 0 < number <= LARGEST_SCALE:
        raise InputError(f"objective {text!r}: S must be above 0 and at most {LARGEST_SCALE:g}")
    return Objective(kind, number)
