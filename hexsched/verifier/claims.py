"""The schedule's rows matched with the instance's calls, as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from hexsched.model import Instance, Schedule
from hexsched.model.columns import WorkloadColumns
from hexsched.model.rows import Texts
from hexsched.model.schedule import ScheduleColumns
from hexsched.verifier.batches import batches_of

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


MANY = 2048  # calls of a decode instance: with fewer, to go through its batches change by change takes no longer


class Decoded(NamedTuple):
    """What calls of a decode instance get in the batches that are claimed: tokens, and the first one at these seconds.

    ``calls`` are positions; those that end no later than they start are in no batch.
    """

    calls: Integers
    tokens: Floats
    first_token: Floats


TIMES = ("prefill_start", "prefill_end", "admitted", "decode_start", "decode_end")


@dataclass(frozen=True)
class Claims:
    """What a schedule claims about each call of an instance.

    Arrays have one entry a call, in the instance's order. A call without a row has NaN times and placement -1, as has
    a placement that names no instance of the right pool; so a rule looks at the calls for which all it needs is known.

    Attributes
    ----------
    workload : WorkloadColumns
        The ids of the calls, and which are whose parents.
    rows : ScheduleColumns
        As the schedule has them.
    prompt, output, cached : tokens
    arrival, delay : seconds
        In a closed loop a workflow's arrival follows from the completions that the schedule claims.
    child, parent : arrays over the precedence edges
        Positions of calls.
    row : positions in the schedule
        The first row of each call, -1 where it has none; a later one is only reported.
    prefill_start, prefill_end, admitted, decode_start, decode_end : seconds
    prefill, decode : positions in the instance's pools
    unknown, duplicate : positions in the schedule
        Rows that match no call, and second rows of a call.
    """

    instance: Instance
    workload: WorkloadColumns
    rows: ScheduleColumns
    prompt: Floats
    output: Floats
    cached: Floats
    arrival: Floats
    delay: Floats
    child: Integers
    parent: Integers
    row: Integers
    prefill_start: Floats
    prefill_end: Floats
    admitted: Floats
    decode_start: Floats
    decode_end: Floats
    prefill: Integers
    decode: Integers
    unknown: Integers
    duplicate: Integers

    @cached_property
    def prefilled_on(self) -> list[Integers]:
        """The calls of each prefill instance, ascending."""
        return _by_place(self.prefill, len(self.instance.prefill))

    @cached_property
    def decoded_on(self) -> list[Integers]:
        """The calls of each decode instance, ascending."""
        return _by_place(self.decode, len(self.instance.decode))

    @cached_property
    def decoded(self) -> list[Decoded | None]:
        """Of each decode instance of many calls, ``fluid``; None for the others, and where batches are out of hand."""
        start, end = self.decode_start, self.decode_end
        found: list[Decoded | None] = []
        for machine, here in zip(self.instance.decode, self.decoded_on, strict=True):
            calls = here[np.isfinite(start[here]) & np.isfinite(end[here]) & (start[here] < end[here])]
            batches = None
            if len(calls) >= MANY:
                batches = batches_of(machine, start[calls], end[calls], self.prompt[calls])
            found.append(None if batches is None else Decoded(calls, batches.tokens(), batches.first_tokens()))
        return found


def match(instance: Instance, schedule: Schedule) -> Claims:
    """Match rows with calls; nothing is judged yet."""
    workload, rows = instance.columns, schedule.columns
    calls = workload.calls
    call_of_row = _calls_of_rows(workload, rows)
    known = np.flatnonzero(call_of_row >= 0)
    row = np.full(calls, -1)
    row[call_of_row[known][::-1]] = known[::-1]  # written last, the first row stands
    has_row = row >= 0
    times = {name: _of_calls(getattr(rows, name), row, has_row, np.nan) for name in TIMES}
    prefill = _places(rows.prefill_instance, [machine.id for machine in instance.prefill])
    decode = _places(rows.decode_instance, [machine.id for machine in instance.decode])
    return Claims(
        instance=instance,
        workload=workload,
        rows=rows,
        prompt=workload.prompt.astype(np.float64),
        output=workload.output.astype(np.float64),
        cached=workload.cached.astype(np.float64),
        arrival=np.repeat(_arrivals(instance, times["decode_end"]), np.diff(workload.first)),
        delay=workload.delay,
        child=workload.child,
        parent=workload.parent,
        row=row,
        prefill=_of_calls(prefill, row, has_row, -1),
        decode=_of_calls(decode, row, has_row, -1),
        unknown=np.flatnonzero(call_of_row < 0),
        duplicate=known[row[call_of_row[known]] != known],
        **times,
    )


def _calls_of_rows(workload: WorkloadColumns, rows: ScheduleColumns) -> Integers:
    """The call that each row is of; -1 where there is none of its names."""
    names = len(workload.call_id.distinct)
    keys = workload.workflow * names + workload.call_id.codes
    workflow = _places(rows.workflow_id, workload.workflow_id)
    call = _places(rows.call_id, workload.call_id.distinct)
    wanted = np.where((workflow >= 0) & (call >= 0), workflow * names + call, -1)
    if np.array_equal(wanted, keys):  # as the simulator writes them
        return np.arange(len(keys))
    order = np.argsort(keys, kind="stable")
    found = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)]
    return np.where(keys[found] == wanted, found, -1)


def _places(texts: Texts, known: list[str] | tuple[str, ...]) -> Integers:
    """The place of each text among those known, -1 for one that is not among them."""
    if texts.distinct == known:  # as a schedule in the order of its instance has them
        return texts.codes
    place = {text: k for k, text in enumerate(known)}
    return np.array([place.get(text, -1) for text in texts.distinct], np.int64)[texts.codes]


def _by_place(places: Integers, count: int) -> list[Integers]:
    """The calls at each of so many places, ascending."""
    small = places.astype(np.int16) if count < 2**15 else places  # which sort many times as fast
    order = np.argsort(small, kind="stable")
    return np.split(order, np.searchsorted(places[order], np.arange(count + 1)))[1:-1]


def _of_calls(values: npt.NDArray, row: Integers, has_row: npt.NDArray[np.bool_], absent: float) -> npt.NDArray:
    """A value a call out of one a row."""
    if np.array_equal(row, np.arange(len(values))):  # as the simulator writes them
        return values
    if not has_row.all():
        found = np.full(len(row), absent, values.dtype)
        found[has_row] = values[row[has_row]]
        return found
    return values[row]


def _arrivals(instance: Instance, completed: Floats) -> Floats:
    """a_w of each workflow, seconds; in a closed loop of N sessions the (N + i)-th arrives at the i-th completion.

    A call whose completion is not known counts as complete from the start: what is left is still a lower bound.
    """
    workload = instance.columns
    if instance.closed_loop is None:
        return workload.arrival
    given = workload.arrival.copy()
    known = np.where(np.isfinite(completed), completed, 0.0)
    order = np.sort(np.maximum.reduceat(known, workload.first[:-1]))
    later = len(given) - instance.closed_loop.sessions
    if later > 0:
        given[-later:] = order[:later]
    return given
