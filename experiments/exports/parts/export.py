"""What a format of export is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hexsched.model import Instance
    from solvers.problem.objective import Objective


@dataclass(frozen=True)
class Request:
    """What is to be written.

    Attributes
    ----------
    name : str
        Of the instance, from which names of files are made.
    instance : Instance
        In the ``fixed`` decode model.
    objective : Objective
    formulation : str or None
        Whose model; the format's first where None. Formats that write no formulation's model do not look at it.
    tick : float or None
        Seconds of a tick, for formats in whole ticks; they choose one where None.
    known : (float, float) or None
        Best lower and upper bound known.
    """

    name: str
    instance: Instance
    objective: Objective
    formulation: str | None = None
    tick: float | None = None
    known: tuple[float, float] | None = None


@dataclass(frozen=True)
class Export:
    """A format of export.

    Attributes
    ----------
    name, summary : str
    kind : str
        What its files are, of ``hexsched.model.file_kind.KINDS``.
    files : callable
        Names of the files that ``write`` writes, from the name of the instance.
    write : callable
        The content of these files, by name.
    formulations : callable
        Names of the formulations whose models it can write, the default first; none for most.
    in_ticks : bool
        Whether ``Request.tick`` has a meaning.
    """

    name: str
    summary: str
    kind: str
    files: Callable[[str], tuple[str, ...]]
    write: Callable[[Request], Mapping[str, bytes]]
    formulations: Callable[[], tuple[str, ...]] = tuple
    in_ticks: bool = False
