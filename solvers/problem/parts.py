"""Long idle stretches split a problem: what lies between two of them is a problem with a clock of its own."""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace

from solvers.problem.offline import Array, OfflineProblem, offline_problem


class Parts:
    """The workflows of a problem, a part for each stretch in which something may be under way.

    Leaving workflows out relaxes a problem, so bounds of parts add up to bounds of the whole, wherever it is cut. It is
    cut where nothing is lost: where everything that arrived before would be complete if it ran one call at a time.

    Parameters
    ----------
    problem : OfflineProblem

    Attributes
    ----------
    members : list of (n,) int arrays
        The workflows of each part, in order of arrival.
    open : list of int
        Parts of which more can be said than that no workflow is faster than alone.
    """

    def __init__(self, problem: OfflineProblem) -> None:
        self._problem = problem
        longest = np.where(np.isfinite(problem.hold), problem.hold, 0.0).max(axis=(1, 2))
        alone = problem.delay + problem.prefill.max(axis=1) + longest
        work = np.bincount(problem.workflow, alone, problem.workflows)
        order = np.argsort(problem.arrival, kind="stable")
        arrival = problem.arrival[order]
        before = np.cumsum(work[order]) - work[order]
        # one at a time, workflow k ends at max(a_k, end of k - 1) + work_k: less all work up to k, a running maximum
        end = np.maximum.accumulate(arrival - before) + before + work[order]
        cuts = np.flatnonzero(arrival[1:] > end[:-1]) + 1
        self.members: list[Array] = np.split(order, cuts)
        chain = problem.horizon >= np.bincount(problem.workflow, problem.delay + problem.best, problem.workflows)
        # a workflow that has the cluster to itself, and no two calls at once, takes just its horizon
        self.open = [k for k, m in enumerate(self.members) if len(m) > 1 or not chain[m[0]]]

    def __len__(self) -> int:
        return len(self.members)

    def __getitem__(self, part: int) -> OfflineProblem:
        """The problem of one part; its clock starts at its first arrival."""
        problem, members = self._problem, self.members[part]
        if len(self) == 1:
            return problem
        file_order = np.argsort(problem.places.workflow)
        flows = [problem.instance.workflows[k] for k in np.sort(file_order[members])]
        first = min(w.arrival for w in flows)
        flows = [replace(w, arrival=w.arrival - first) for w in flows]
        return offline_problem(replace(problem.instance, workflows=tuple(flows)))
