"""Instances cut from a table of real calls, by a rule: so that others can cut the same from the same table.

Workflows go by arrival, those of one instant in the order of the file. The cut begins at the workflow of a given number
and takes the next ones until one more would make too many calls; that one ends it, even if a later one were smaller,
so that a cut is a stretch of the table. The clock starts at the first arrival, and gaps between arrivals may be
stretched or squeezed: that is the contention of the cut.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec.structs import replace

from hexsched.errors import InputError
from hexsched.model import Workflow

LEAST = 2  # workflows of a cut: with one alone nothing competes


def cut(
    workflows: Sequence[Workflow], calls: int, start: int = 0, stretch: float = 1.0, where: str = ""
) -> tuple[Workflow, ...]:
    """The workflows of a cut.

    Parameters
    ----------
    workflows : sequence of Workflow
        The table.
    calls : int
        The most calls of the cut, all together.
    start : int
        Number of its first workflow by arrival, from 0.
    stretch : float
        What gaps between arrivals are multiplied by; with 0 all arrive at once.
    where : str
        What the table is called in messages.

    Raises
    ------
    InputError
        When there are fewer than two workflows in the cut.
    """
    by_arrival = sorted(workflows, key=lambda workflow: workflow.arrival)
    taken: list[Workflow] = []
    for workflow in by_arrival[start:]:
        if sum(len(one.calls) for one in taken) + len(workflow.calls) > calls:
            break
        taken.append(workflow)
    if len(taken) < LEAST:
        raise InputError(
            f"a cut of at most {calls} calls from workflow {start} on has {len(taken)} of the {len(by_arrival)} "
            f"workflows and needs {LEAST}; take more calls, or begin elsewhere",
            where,
        )
    first = taken[0].arrival
    if not (taken[-1].arrival - first) * stretch < math.inf:
        raise InputError(f"gaps between arrivals {stretch:g} times as long are no times any more", where)
    return tuple(replace(one, arrival=(one.arrival - first) * stretch) for one in taken)
