"""What a cell is, and what comes of computing one."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from experiments.grid.code import code_version
from experiments.grid.sources import Json, Plugin
from hexsched.outside import Package

if TYPE_CHECKING:
    from experiments.grid.kind import Kind
    from experiments.grid.kinds.load import LoadCell

Rows = Sequence[Mapping[str, object]]


@dataclass(frozen=True)
class Answer:
    """What came of computing a cell.

    Attributes
    ----------
    tables : dict of str to rows
        By table; the key is put in front of each row later.
    timing : dict
        What the table ``timings`` says beside how long the cell took.
    schedule, instance : bytes or None
        A schedule file and its instance, compressed, where they were asked for.
    rate : float or None
        Of a load search: what the cells that need it are to know.
    fault : str
        What is wrong with the result, such as a schedule that breaks a rule; it is stored all the same.
    """

    tables: dict[str, Rows]
    timing: dict[str, object] = field(default_factory=dict)
    schedule: bytes | None = None
    instance: bytes | None = None
    rate: float | None = None
    fault: str = ""


@dataclass(frozen=True)
class Cell(ABC):
    """One computation with inputs of its own and rows of its own. Cells travel to other processes by pickle."""

    @property
    @abstractmethod
    def kind(self) -> Kind:
        """Its kind: the ``KIND`` of its module."""

    @property
    @abstractmethod
    def case(self) -> Json:
        """The columns of its row in the kind's first table that are known before it is computed."""

    @property
    @abstractmethod
    def inputs(self) -> Json:
        """All that its results depend on, besides the code."""

    @property
    @abstractmethod
    def description(self) -> str:
        """For people."""

    @property
    def grid(self) -> Json:
        """A grid file that has this cell alone, or with the load search that it needs; empty where none can be said.

        It is kept with the results, so that they can be made again.
        """
        return {}

    @property
    def needs(self) -> LoadCell | None:
        """The load search that must be done before."""
        return None

    @property
    def group(self) -> object:
        """Cells of the same group share something that is costly to make, and are best computed one after another."""
        return self

    @property
    def plugins(self) -> tuple[Plugin | Package, ...]:
        """What must be loaded before."""
        return ()

    @property
    def started_from(self) -> str | None:
        """SHA-256 of what it sets out from, where that is something of an earlier store."""
        return None

    @property
    def wants_schedule(self) -> bool:
        """Whether a schedule is to be stored with it; that changes no other result, so it is no input."""
        return False

    @abstractmethod
    def compute(self, rate: float | None) -> Answer:
        """The results, the same on every machine where the code is; ``rate`` is what the cell it needs has found."""

    @cached_property
    def key(self) -> str:
        """``CODE-INPUTS``: hexadecimal digits of the code version and of SHA-256 over the inputs as canonical JSON."""
        return f"{code_version(self.kind.name)}-{hashlib.sha256(self.identity).hexdigest()[:32]}"

    @property
    def identity(self) -> bytes:
        """Its kind and its inputs as canonical JSON."""
        return msgspec.json.encode({"kind": self.kind.name, **self.inputs}, order="deterministic")
