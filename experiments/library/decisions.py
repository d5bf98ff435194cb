"""A schedule in a line: who goes where, and in which order.

Queues of the prefill instances, then those of the decode instances, in the instance's order: calls by number (as in the
file, from 0) with blanks between them, queues with bars between them, the pools with a semicolon. ``0 2|1;2|0 1`` has
calls 0 and 2 on the first prefill instance. Times are made anew from that (``hexsched.simulator.retime``).
"""

from __future__ import annotations

from hexsched.errors import InputError
from hexsched.model import Instance, Schedule, ScheduledCall
from hexsched.model.schedule import FORMAT


def to_text(instance: Instance, schedule: Schedule) -> str:
    """The decisions of a schedule of the instance."""
    rows = {(row.workflow_id, row.call_id): row for row in schedule.calls}
    ordered = [rows[w.workflow_id, c.call_id] for w in instance.workflows for c in w.calls]
    numbers = range(len(ordered))
    by_start = sorted(numbers, key=lambda k: ordered[k].prefill_start)
    by_admission = sorted(numbers, key=lambda k: (ordered[k].admitted, ordered[k].prefill_end))
    prefill = [[k for k in by_start if ordered[k].prefill_instance == machine.id] for machine in instance.prefill]
    decode = [[k for k in by_admission if ordered[k].decode_instance == machine.id] for machine in instance.decode]
    return ";".join("|".join(" ".join(map(str, queue)) for queue in pool) for pool in (prefill, decode))


def from_text(instance: Instance, text: str, source: str) -> Schedule:
    """A schedule with these decisions; its times are ranks, to be made anew by ``retime``.

    Raises
    ------
    InputError
        Unless every call is in one queue of each pool.
    """
    calls = [(w.workflow_id, c.call_id) for w in instance.workflows for c in w.calls]
    pools = text.split(";")
    if len(pools) != 2:
        raise InputError(f"decisions need a pool of prefill and one of decode queues, got {text!r}")
    prefill = _places(pools[0], [machine.id for machine in instance.prefill], len(calls))
    decode = _places(pools[1], [machine.id for machine in instance.decode], len(calls))
    return Schedule(
        format=FORMAT,
        policy=source,
        calls=tuple(
            ScheduledCall(
                workflow_id=workflow,
                call_id=call,
                prefill_instance=prefill[k][0],
                prefill_start=prefill[k][1],
                prefill_end=prefill[k][1],
                decode_instance=decode[k][0],
                admitted=decode[k][1],
                decode_start=decode[k][1],
                decode_end=decode[k][1],
            )
            for k, (workflow, call) in enumerate(calls)
        ),
    )


def _places(pool: str, machines: list[str], calls: int) -> dict[int, tuple[str, float]]:
    """Instance of each call and its rank there."""
    queues = pool.split("|")
    if len(queues) != len(machines):
        raise InputError(f"decisions have {len(queues)} queues for {len(machines)} instances")
    try:
        places = [
            (int(k), (machine, float(r)))
            for machine, q in zip(machines, queues, strict=True)
            for r, k in enumerate(q.split())
        ]
    except ValueError:
        raise InputError(f"decisions hold something else than numbers of calls: {pool!r}") from None
    if sorted(k for k, _ in places) != list(range(calls)):
        raise InputError(f"decisions must name each of the {calls} calls once in each pool, got {pool!r}")
    return dict(places)
