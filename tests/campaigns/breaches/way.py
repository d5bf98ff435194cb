"""What a way to break a rule is, and what the verifier has to say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from msgspec.structs import replace
from reference.formulas import prefill_time, transfer_time

from hexsched.model import Call, Instance, Schedule, ScheduledCall, Workflow

Name = tuple[str, str]  # workflow id, call id
Item = TypeVar("Item")

PLACES = ("first", "middle", "last")
SECONDS = (1e-5, 1e-3, 0.05, 1.0, 8.0)  # beside just above the tolerance; below the pauses of ``valid.roomy``
ABOVE = 1.01  # times the tolerance, where the verifier compares the very time that is changed
WELL_ABOVE = 4.0  # the same, where a change is seen through the mean pace of a decode
BELOW, WELL_BELOW = 0.9, 0.25  # times the tolerance: no breach


def tolerance(*times: float) -> float:
    """What docs/model.md allows between these times: 1 us and 64 units in the last place, at most 1 ms."""
    return min(1e-6 + 64 * 2.0**-52 * max(abs(time) for time in times), 1e-3)


@dataclass(frozen=True)
class Breach:
    """An instance and a schedule of it that breaks a rule.

    Attributes
    ----------
    size, place : str
        How much is wrong, and at which of the calls.
    named : set of (workflow id, call id)
        Calls at one of which the rule must be named.
    """

    size: str
    place: str
    instance: Instance
    schedule: Schedule
    named: frozenset[Name]


@dataclass(frozen=True)
class Kind:
    """A kind of breach; with a size and a place it is a way.

    Attributes
    ----------
    rule, model : str
        The verifier's rule, and that of docs/model.md.
    what : str
        In words.
    make : callable
        Every breach of that kind of a valid schedule.
    alone : bool
        Whether nothing but that rule is broken, so that no other could catch it. A closed loop or a batch may say more.
    """

    rule: str
    model: str
    what: str
    make: Callable[[Valid], Iterator[Breach]]
    alone: bool = False


@dataclass(frozen=True)
class Valid:
    """A schedule that breaks no rule.

    Attributes
    ----------
    name : str
    instance : Instance
    schedule : Schedule
    roomy : bool
        Whether one call at a time is in the cluster, with long pauses between its stages.
    """

    name: str
    instance: Instance
    schedule: Schedule
    roomy: bool
    _calls: dict[Name, tuple[Workflow, Call]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        for flow in self.instance.workflows:
            for call in flow.calls:
                self._calls[flow.workflow_id, call.call_id] = flow, call

    @cached_property
    def rows(self) -> list[ScheduledCall]:
        """By the start of their prefills."""
        return sorted(self.schedule.calls, key=lambda row: row.prefill_start)

    @cached_property
    def row(self) -> dict[Name, ScheduledCall]:
        return {name_of(row): row for row in self.schedule.calls}

    def call(self, name: Name) -> Call:
        return self._calls[name][1]

    def flow(self, name: Name) -> Workflow:
        return self._calls[name][0]

    def parents(self, name: Name) -> list[ScheduledCall]:
        return [self.row[name[0], parent] for parent in self.call(name).parents]

    def arrival(self, flow: Workflow) -> float:
        """In a closed loop, the completion that lets the workflow arrive."""
        loop = self.instance.closed_loop
        position = self.instance.workflows.index(flow)
        if loop is None or position < loop.sessions:
            return float(flow.arrival)
        ends = sorted(
            max(self.row[w.workflow_id, call.call_id].decode_end for call in w.calls) for w in self.instance.workflows
        )
        return ends[position - loop.sessions]

    def released(self, name: Name) -> float:
        before = [row.decode_end for row in self.parents(name)]
        return max([self.arrival(self.flow(name)), *before]) + self.call(name).delay

    def prefill_seconds(self, name: Name, machine: str) -> float:
        (found,) = [p for p in self.instance.prefill if p.id == machine]
        return prefill_time(found, self.call(name))

    def transfer_seconds(self, row: ScheduledCall) -> float:
        call = self.call(name_of(row))
        return transfer_time(self.instance, row.prefill_instance, row.decode_instance, call)

    def with_row(self, row: ScheduledCall, **fields: object) -> Schedule:
        """The schedule with some fields of one row changed."""
        changed = [replace(one, **fields) if one is row else one for one in self.schedule.calls]
        return replace(self.schedule, calls=tuple(changed))

    def with_call(self, name: Name, **fields: object) -> Instance:
        """The instance with some fields of one call changed."""
        flow, call = self._calls[name]
        calls = tuple(replace(one, **fields) if one is call else one for one in flow.calls)
        return self.with_flow(flow, calls=calls)

    def with_flow(self, flow: Workflow, **fields: object) -> Instance:
        flows = tuple(replace(one, **fields) if one is flow else one for one in self.instance.workflows)
        return replace(self.instance, workflows=flows)


def name_of(row: ScheduledCall) -> Name:
    """The call of a row."""
    return row.workflow_id, row.call_id


def placed(items: Sequence[Item]) -> Iterator[tuple[str, Item]]:
    """The first, the middle and the last of what there is, each once."""
    taken = {}
    for place, k in zip(PLACES, (0, len(items) // 2, len(items) - 1), strict=True):
        if items and k not in taken.values():
            taken[place] = k
            yield place, items[k]


def sizes(*times: float, above: float = ABOVE) -> Iterator[tuple[str, float]]:
    """Seconds by which to miss one of these times, from just above the tolerance on."""
    yield "just above the tolerance", above * tolerance(*times)
    for seconds in SECONDS:
        yield f"{seconds:g} s", seconds
