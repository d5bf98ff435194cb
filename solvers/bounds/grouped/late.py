"""What is proved of how many workflows are late, scale by scale, and what groups add up to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from solvers.problem.objective import Objective


class Late:
    """How many workflows of one group have a ratio above each scale, at least, in every schedule.

    A workflow with a ratio above s has one above every smaller scale, so what is proved at s holds at all of them.
    """

    def __init__(self) -> None:
        self._proved: dict[float, int] = {}

    def prove(self, scale: float, count: int) -> None:
        """In every schedule at least ``count`` workflows of the group have a ratio above ``scale``."""
        self._proved[scale] = max(count, self._proved.get(scale, 0))

    def above(self, scale: float) -> int:
        """How many, at least, have a ratio above ``scale``."""
        return max((count for proved, count in self._proved.items() if proved >= scale), default=0)


def late_together(groups: Iterable[Late], scale: float) -> int:
    """How many workflows of all groups have a ratio above ``scale``, at least."""
    return sum(group.above(scale) for group in groups)


def whole(objective: Objective, values: Sequence[float], sizes: Sequence[int]) -> float:
    """The bound of all workflows from bounds of groups: the largest, the mean by size, or the sum.

    Parameters
    ----------
    objective : Objective
        Not ``req``, of which parts say nothing by one number.
    values : sequence of float
        A bound of each group alone.
    sizes : sequence of int
        Workflows of each group; all groups together are the whole, and none has a workflow of another.
    """
    if objective.kind == "max_ratio":
        return max(values)
    if objective.kind == "misses":
        return sum(values)
    return sum(size * value for size, value in zip(sizes, values, strict=True)) / sum(sizes)
