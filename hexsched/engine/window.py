"""Long runs: rows of calls are there while their workflow is under way, not before it arrives nor once it is complete.

Numbers of calls stay what they are, so nothing that is decided changes. Rows lie in memory that the system gives page
by page when it is first written to. They are filled shortly before their workflow arrives; when it and all that arrived
before are complete, what came of them is copied, and pages with rows of none but such workflows go back to the system.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hexsched.engine.state import Array, State
from hexsched.engine.tables import Workload, call_truth
from hexsched.model.freed import PAGE, drop, in_small_pages

MANY = 200_000  # calls of a run that is long
AT_A_TIME = 4096  # instants of arrivals whose calls are filled together, and most epochs between two looks


class Window:
    """The rows of a run.

    Parameters
    ----------
    state : State
        Before it starts, with arrivals that are given and ``rows_later``.
    planned : (N,) int array
        Of the policy's memory: -1 in a fresh row.
    rows : sequence of (N,) arrays
        What else has a row a call, of the policy's memory.
    workload : Workload
        It is kept: rows are made of it.
    estimates : (N,) float array or None
        Estimated output tokens, in the engine's order; None for the true ones.
    fields : sequence of str
        The columns of ``Seen.calls`` that make up what came of a call.

    Attributes
    ----------
    served : dict of str to (N,) array
        What came of each call, by field.
    epochs : int
        How many may pass before ``move_on`` is called again.
    """

    def __init__(
        self,
        state: State,
        planned: Array,
        rows: Sequence[Array],
        workload: Workload,
        estimates: Array | None,
        fields: Sequence[str],
    ) -> None:
        self._truth, self._calls, self._planned = state.truth, state.seen.calls, planned
        self._workload, self._estimates = workload, estimates
        self.epochs = AT_A_TIME
        calls, workflows = len(workload.n), np.arange(len(workload.arrival) + 1)
        self.served = {name: np.zeros(calls, state.seen.calls.dtype[name]) for name in fields}
        self._first = np.searchsorted(workload.workflow, workflows)  # calls of each workflow
        self._first_edge = np.searchsorted(workload.workflow[workload.edges[:, 0]], workflows)
        self._capacities = np.unique(state.seen.decodes.kv_capacity)
        instants = np.flatnonzero(np.diff(workload.arrival[state.truth.arrival_order], prepend=-1.0))
        self._groups = np.append(instants[:: self.epochs], workflows[-1])  # of workflows as they arrive
        self._filled = self._done = 0
        self._pages = [Pages(array, self._first) for array in (state.seen.calls, state.truth.calls, *rows)]
        self.move_on()

    def move_on(self) -> None:
        """Fill the rows of what may arrive until the next time, and let go of what is complete.

        In so many epochs no more instants pass than two groups have, so the group of the next arrival and the one
        behind it are enough.
        """
        arrived = int(self._truth.progress[0].arrived)
        while self._filled < len(self._groups) - 1 and self._groups[max(self._filled - 1, 0)] <= arrived:
            self._fill(self._group(self._filled))
            self._filled += 1
        while self._done < self._filled and not self._truth.flows.left[self._group(self._done)].any():
            self._let_go(self._group(self._done))
            self._done += 1

    @property
    def completed(self) -> Array:
        """When the last call of each workflow was complete, (W,) seconds."""
        ends: Array = np.maximum.reduceat(self.served["decode_end"], self._first[:-1])
        return ends

    def _group(self, k: int) -> Array:
        """The workflows of a group, ascending."""
        return np.sort(self._truth.arrival_order[self._groups[k] : self._groups[k + 1]])

    def _fill(self, workflows: Array) -> None:
        begin, sizes = self._first_edge[workflows], np.diff(self._first_edge)[workflows]
        calls, edges = ranges(self._first, workflows), ranges(self._first_edge, workflows)
        whole = self._workload
        columns = {name: getattr(whole, name)[calls] for name in ("workflow", "n", "m", "h", "delay", "kind")}
        positions = np.searchsorted(calls, whole.edges[edges])
        part = Workload(arrival=whole.arrival, **columns, edges=positions)
        truth = call_truth(part, self._capacities, None if self._estimates is None else self._estimates[calls])
        shift = np.repeat(begin - (np.cumsum(sizes) - sizes), np.diff(self._first)[workflows])
        truth.first_parent += shift
        truth.first_child += shift
        self._truth.calls[calls] = truth
        self._calls.prefill_instance[calls] = self._calls.decode_instance[calls] = -1
        self._planned[calls] = -1

    def _let_go(self, workflows: Array) -> None:
        calls = ranges(self._first, workflows)
        for name, column in self.served.items():
            column[calls] = self._calls[name][calls]
        for pages in self._pages:
            pages.let_go(workflows)


class Pages:
    """The pages of an array of rows, and how many workflows that are not complete have rows on each.

    Parameters
    ----------
    array : (N,) array
    first : (W + 1,) int array
        Its rows ``first[w]`` to ``first[w + 1]`` are of workflow w.
    """

    def __init__(self, array: Array, first: Array) -> None:
        self.array, self.first = array, first  # the pages of an array go when it does
        self._base = array.ctypes.data // PAGE
        begin, end = self._extents(np.arange(len(first) - 1))
        held = np.zeros(int(end.max()) + 1, np.int32)
        np.add.at(held, begin, 1)
        np.subtract.at(held, end, 1)
        self._held = np.cumsum(held, dtype=np.int32)
        self._held[[0, -2]] += 1  # where others may have something as well
        in_small_pages((self._base + 1) * PAGE, max(len(held) - 3, 0) * PAGE)

    def let_go(self, workflows: Array) -> None:
        """These are complete."""
        begin, end = self._extents(workflows)
        pages = np.repeat(begin - np.cumsum(end - begin) + (end - begin), end - begin) + np.arange((end - begin).sum())
        np.subtract.at(self._held, pages, 1)
        free = np.unique(pages[self._held[pages] == 0])
        for run in np.split(free, np.flatnonzero(np.diff(free) > 1) + 1):
            if len(run):
                drop((self._base + int(run[0])) * PAGE, len(run) * PAGE)

    def _extents(self, workflows: Array) -> tuple[Array, Array]:
        """The first page of each, and the one after its last."""
        size, start = self.array.itemsize, self.array.ctypes.data - self._base * PAGE
        begin, end = self.first[workflows] * size + start, self.first[workflows + 1] * size + start
        return begin // PAGE, -(-end // PAGE)


def ranges(first: Array, places: Array) -> Array:
    """``first[p]`` to before ``first[p + 1]`` for each place, one after the other."""
    sizes = first[places + 1] - first[places]
    return np.repeat(first[places] - (np.cumsum(sizes) - sizes), sizes) + np.arange(sizes.sum())
