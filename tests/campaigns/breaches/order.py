"""Prefills that start before the call is released (M3, M39), and two at a time on one instance (M11)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

from msgspec.structs import replace

from campaigns.breaches.way import Breach, Kind, Name, Valid, name_of, placed, sizes
from hexsched.model import ScheduledCall


def starting_at(valid: Valid, row: ScheduledCall, start: float) -> dict[str, float]:
    """The prefill of a row moved as it is."""
    return {"prefill_start": start, "prefill_end": start + valid.prefill_seconds(name_of(row), row.prefill_instance)}


def before_release(which: Callable[[Valid, Name], bool], valid: Valid) -> Iterator[Breach]:
    """Prefills moved to before what they have to wait for."""
    for place, row in placed([row for row in valid.rows if which(valid, name_of(row))]):
        release = valid.released(name_of(row))
        for size, seconds in sizes(release):
            changed = valid.with_row(row, **starting_at(valid, row, release - seconds))
            yield Breach(size, place, valid.instance, changed, frozenset([name_of(row)]))


def is_root(valid: Valid, name: Name) -> bool:
    """Whether it waits for nothing but its workflow."""
    return not valid.parents(name)


def has_one_parent(valid: Valid, name: Name) -> bool:
    return len(valid.parents(name)) == 1


def joins(valid: Valid, name: Name) -> bool:
    return len(valid.parents(name)) > 1


def waits_for_a_session(valid: Valid, name: Name) -> bool:
    """Whether its workflow arrives when another is complete."""
    loop, flow = valid.instance.closed_loop, valid.flow(name)
    return loop is not None and valid.instance.workflows.index(flow) >= loop.sessions and is_root(valid, name)


def later_completion(valid: Valid) -> Iterator[Breach]:
    """Workflows whose last call is complete later, when the next one has long been there."""
    loop, flows = valid.instance.closed_loop, valid.instance.workflows
    if loop is None:
        return
    last = {w.workflow_id: max((r for r in valid.rows if r.workflow_id == w.workflow_id), key=_end) for w in flows}
    ends = sorted(last.values(), key=_end)[: len(flows) - loop.sessions]
    for place, (k, row) in placed(list(enumerate(ends))):
        flow = flows[loop.sessions + k]
        roots = [x for x in valid.rows if x.workflow_id == flow.workflow_id and is_root(valid, name_of(x))]
        waited = {name_of(x): x.prefill_start - valid.released(name_of(x)) for x in roots}
        first = min(waited, key=lambda name: waited[name])
        following = ends[k + 1].decode_end if k + 1 < len(ends) else math.inf
        for size, seconds in sizes(row.decode_end):
            late = waited[first] + seconds
            if row.decode_end + late < following:  # else another's completion lets the workflow arrive
                changed = valid.with_row(row, decode_end=row.decode_end + late)
                yield Breach(size, place, valid.instance, changed, frozenset([first]))


def _end(row: ScheduledCall) -> float:
    return row.decode_end


def fewer_sessions(valid: Valid) -> Iterator[Breach]:
    """More workflows under way than there are sessions."""
    loop = valid.instance.closed_loop
    if loop is None:
        return
    for sessions in range(1, loop.sessions):
        instance = replace(valid.instance, closed_loop=replace(loop, sessions=sessions))
        fewer = Valid(valid.name, instance, valid.schedule, roomy=False)
        early = [row for row in valid.rows if row.prefill_start < fewer.released(name_of(row)) - 1e-2]
        for place, row in placed(early):
            yield Breach(f"{sessions} of {loop.sessions}", place, instance, valid.schedule, frozenset([name_of(row)]))


def at_the_last_parent(valid: Valid) -> Iterator[Breach]:
    """Prefills that leave out the delay: they start when the last parent is complete, or the workflow arrives."""
    for place, row in placed([row for row in valid.rows if valid.call(name_of(row)).delay > 1e-3]):
        start = valid.released(name_of(row)) - valid.call(name_of(row)).delay
        changed = valid.with_row(row, **starting_at(valid, row, start))
        yield Breach("the delay", place, valid.instance, changed, frozenset([name_of(row)]))


def at_the_first_parent(valid: Valid) -> Iterator[Breach]:
    """Prefills that wait for the parent that is complete first, not for the last."""
    for place, row in placed([row for row in valid.rows if joins(valid, name_of(row))]):
        first = min(parent.decode_end for parent in valid.parents(name_of(row)))
        start = max(first, valid.arrival(valid.flow(name_of(row)))) + valid.call(name_of(row)).delay
        changed = valid.with_row(row, **starting_at(valid, row, start))
        yield Breach("one parent", place, valid.instance, changed, frozenset([name_of(row)]))


def later_delay(valid: Valid) -> Iterator[Breach]:
    """Calls whose delay is longer than the schedule waits."""
    for place, row in placed(valid.rows):
        waited = row.prefill_start - valid.released(name_of(row)) + valid.call(name_of(row)).delay
        for size, seconds in sizes(row.prefill_start):
            instance = valid.with_call(name_of(row), delay=waited + seconds)
            yield Breach(size, place, instance, valid.schedule, frozenset([name_of(row)]))


def later_arrival(valid: Valid) -> Iterator[Breach]:
    """Workflows that arrive after their first prefill."""
    if valid.instance.closed_loop is not None:
        return
    for place, flow in placed(valid.instance.workflows):
        rows = [row for row in valid.rows if row.workflow_id == flow.workflow_id and not valid.parents(name_of(row))]
        slack = {name_of(row): row.prefill_start - valid.call(name_of(row)).delay for row in rows}
        first = min(slack, key=lambda name: slack[name])
        for size, seconds in sizes(valid.row[first].prefill_start):
            instance = valid.with_flow(flow, arrival=slack[first] + seconds)
            yield Breach(size, place, instance, valid.schedule, frozenset([first]))


def one_more_parent(valid: Valid) -> Iterator[Breach]:
    """Calls that have a parent which the schedule does not wait for."""
    late = []
    for row in valid.rows:
        own, name = valid.call(name_of(row)), name_of(row)
        for other in valid.rows:
            after = other.workflow_id == row.workflow_id and other.decode_end > row.prefill_start + 1e-3
            if after and other is not row and not descends(valid, name_of(other), name):
                late.append((name, (*own.parents, other.call_id)))
    for place, (name, parents) in placed(late):
        instance = valid.with_call(name, parents=parents)
        yield Breach("a parent", place, instance, valid.schedule, frozenset([name]))


def descends(valid: Valid, name: Name, ancestor: Name) -> bool:
    """Whether a call waits for another, through whatever lies between."""
    return name == ancestor or any(descends(valid, name_of(row), ancestor) for row in valid.parents(name))


def pairs(valid: Valid, released_by: Callable[[ScheduledCall], float]) -> list[tuple[ScheduledCall, ScheduledCall]]:
    """A row, and a later one whose call is released early enough to be moved to the time of the first."""
    return [
        (row, other)
        for k, row in enumerate(valid.rows)
        for other in valid.rows[k + 1 :]
        if valid.released(name_of(other)) + 1e-6 < released_by(row)
    ]


def side_by_side(into: Callable[[ScheduledCall, float, float], float], valid: Valid) -> Iterator[Breach]:
    """A prefill moved to an instance at a time at which that is busy."""
    for place, (row, other) in placed(pairs(valid, lambda row: row.prefill_start - 10.0)):
        own = valid.prefill_seconds(name_of(other), row.prefill_instance)
        for size, seconds in sizes(row.prefill_end):
            start = into(row, own, min(seconds, 0.9 * own, 0.9 * (row.prefill_end - row.prefill_start)))
            where = {"prefill_instance": row.prefill_instance, "prefill_start": start, "prefill_end": start + own}
            gone = valid.transfer_seconds(replace(other, prefill_instance=row.prefill_instance))
            changed = valid.with_row(other, **where, admitted=other.decode_start - gone)
            yield Breach(size, place, valid.instance, changed, frozenset([name_of(row), name_of(other)]))


def three_at_once(valid: Valid) -> Iterator[Breach]:
    """Three prefills that start together."""
    for place, (row, other) in placed(pairs(valid, lambda row: row.prefill_start)):
        rest = [x for x in valid.rows if x not in (row, other) and valid.released(name_of(x)) < row.prefill_start]
        for third in rest[:1]:
            schedule, named = valid.schedule, [name_of(row)]
            for moved in (other, third):
                own = valid.prefill_seconds(name_of(moved), row.prefill_instance)
                end = row.prefill_start + own
                there = replace(
                    moved, prefill_instance=row.prefill_instance, prefill_start=row.prefill_start, prefill_end=end
                )
                schedule = replace(schedule, calls=tuple(there if x is moved else x for x in schedule.calls))
                named.append(name_of(moved))
            yield Breach("three", place, valid.instance, schedule, frozenset(named))


def kinds() -> Iterator[Kind]:
    """All of them."""
    for what, which in (
        ("a root before it is released", is_root),
        ("one before its parent is complete and its delay over", has_one_parent),
        ("one before its last parent is complete and its delay over", joins),
    ):
        yield Kind("before-release", "M3", what, partial(before_release, which))
    yield Kind("before-release", "M39", "before a session is free", partial(before_release, waits_for_a_session))
    yield Kind("before-release", "M39", "a session that is free later", later_completion)
    yield Kind("before-release", "M39", "fewer sessions", fewer_sessions)
    yield Kind("before-release", "M3", "the delay left out", at_the_last_parent)
    yield Kind("before-release", "M3", "after the first parent, not the last", at_the_first_parent)
    yield Kind("before-release", "M3", "a longer delay", later_delay, alone=True)
    yield Kind("before-release", "M3", "a later arrival", later_arrival, alone=True)
    yield Kind("before-release", "M3", "one more parent", one_more_parent, alone=True)
    for what, into in (
        ("starts before the other ends", lambda row, own, d: row.prefill_end - d),
        ("ends after the other starts", lambda row, own, d: row.prefill_start + d - own),
        ("starts with the other", lambda row, own, d: row.prefill_start),
        ("ends with the other", lambda row, own, d: row.prefill_end - own),
        ("in the middle of it", lambda row, own, d: (row.prefill_start + row.prefill_end - own) / 2),
    ):
        yield Kind("overlap", "M11", what, partial(side_by_side, into), alone=True)
    yield Kind("overlap", "M11", "three at once", three_at_once)


KINDS = tuple(kinds())
