"""What a workload family is: a generator of workflows, mostly one fitted to real runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from importlib import resources
from typing import ClassVar, Generic, TypeVar

import msgspec
import numpy as np

from hexsched.errors import InputError
from hexsched.model import Workflow
from hexsched.workloads.families.parts.tables import QuantileTable

Parameters = TypeVar("Parameters", bound=msgspec.Struct)


class Family(ABC):
    """A source of workflows of one sort.

    Attributes
    ----------
    name : str
        As used on the command line and in workflow ids.
    summary : str
        One line on what the workflows look like.
    source : str
        What it was fitted to, with the licence of that data.
    rank : int
        Families are listed by rank, then by name; the paper's four come first.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    source: ClassVar[str]
    rank: ClassVar[int] = 100

    @abstractmethod
    def sample(self, rng: np.random.Generator, workflow_id: str) -> Workflow:
        """One workflow, arriving at 0, drawn with ``rng`` only."""


class Quantity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One quantity of the real workflows, as facts to hold a generator against."""

    mean: float
    quantiles: QuantileTable


class Fit(msgspec.Struct, Generic[Parameters], frozen=True, forbid_unknown_fields=True):
    """The contents of ``data/<family>.json``.

    Attributes
    ----------
    family, source : str
        What was fitted to what (with its licence).
    workflows, calls : int
        Size of the real table.
    parameters : struct
        The family's own.
    observed : dict of str to Quantity
        The real table's quantities (see ``hexsched.workloads.describe.measure``).
    """

    family: str
    source: str
    workflows: int
    calls: int
    parameters: Parameters
    observed: dict[str, Quantity]


class FittedFamily(Family, Generic[Parameters]):
    """A family whose parameters come from real workflows.

    Parameters
    ----------
    parameters : struct, optional
        What ``fit`` returned; the packaged fit when left out.
    """

    parameters_type: ClassVar[type[msgspec.Struct]]

    def __init__(self, parameters: Parameters | None = None) -> None:
        self._parameters = parameters

    @abstractmethod
    def fit(self, workflows: Sequence[Workflow]) -> Parameters:
        """Estimate the parameters from real workflows of this sort."""

    @cached_property
    def packaged(self) -> Fit[Parameters]:
        """The fit that ships with hexsched."""
        file = resources.files("hexsched.workloads.families") / "data" / f"{self.name}.json"
        return self.decode(file.read_bytes(), str(file))

    @cached_property
    def parameters(self) -> Parameters:
        """The parameters in use."""
        return self.packaged.parameters if self._parameters is None else self._parameters

    def decode(self, data: bytes, where: str) -> Fit[Parameters]:
        """Parse a fit; raises ``InputError`` naming ``where`` and the field."""
        from hexsched.model.files import decode_json

        fit = decode_json(data, Fit[self.parameters_type], where)  # type: ignore[name-defined]
        if fit.family != self.name:
            raise InputError(f"this is a fit of family {fit.family!r}, expected {self.name!r}", where)
        return fit
