"""More on a decode instance than its cache and its batch hold (M13), calls in transfer included (M14)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from msgspec.structs import replace

from campaigns.breaches.way import ABOVE, Breach, Kind, Valid, name_of, placed, sizes
from hexsched.model import Instance, Link, ScheduledCall

RULES = {"kv_capacity_tokens": "kv-over", "max_batch": "batch-over"}
LESS = (1, 2, 5, 0.1, 0.3, 0.5)  # of what is held there: tokens or calls, or a share


class Held(NamedTuple):
    """What a decode instance holds right after an admission."""

    row: ScheduledCall
    others: list[ScheduledCall]


def held(valid: Valid) -> list[Held]:
    """At each admission, with the calls that are there already; at one instant, those before it in the schedule."""
    found = []
    for row in sorted(valid.rows, key=lambda row: row.admitted):
        there = [x for x in valid.rows if x is not row and x.decode_instance == row.decode_instance]
        others = [x for x in there if x.admitted < row.admitted < x.decode_end - 1e-3]
        if not any(x.admitted == row.admitted for x in there):
            found.append(Held(row, others))
    return found


def taken(valid: Valid, limit: str, rows: list[ScheduledCall]) -> int:
    """Tokens or places that these take together."""
    if limit == "max_batch":
        return len(rows)
    calls = [valid.call(name_of(row)) for row in rows]
    return sum(call.prompt_tokens + call.output_tokens for call in calls)


def with_limit(valid: Valid, machine: str, limit: str, most: int) -> Instance:
    """The instance with less room on one decode instance, and one more on which every call fits, used by none."""
    decode = tuple(replace(one, **{limit: most}) if one.id == machine else one for one in valid.instance.decode)
    largest = max(taken(valid, "kv_capacity_tokens", [row]) for row in valid.rows)
    spare = replace(valid.instance.decode[0], id="spare", kv_capacity_tokens=largest)
    links = [Link(source=p.id, to="spare", latency=1.0, bandwidth=1e9) for p in valid.instance.prefill]
    return replace(valid.instance, decode=(*decode, spare), links=(*valid.instance.links, *links))


def less_room(limit: str, least_others: int, in_transfer: bool, valid: Valid) -> Iterator[Breach]:
    """Capacities below what the schedule holds at one of its admissions."""
    crowds = [one for one in held(valid) if len(one.others) >= least_others]
    if in_transfer:  # some of what is held has been admitted, but is not in the batch yet
        crowds = [one for one in crowds if any(x.decode_start > one.row.admitted for x in one.others)]
    if not least_others:
        crowds = [one for one in crowds if not one.others]
    for place, crowd in placed(crowds):
        used = taken(valid, limit, [crowd.row, *crowd.others])
        for less in LESS:
            most = used - less if less >= 1 else used - round(less * used)
            if in_transfer:  # and without what is in transfer all the rest fits
                joined = [x for x in crowd.others if x.decode_start <= crowd.row.admitted]
                if taken(valid, limit, [crowd.row, *joined]) > most:
                    continue
            if 1 <= most < used:
                instance = with_limit(valid, crowd.row.decode_instance, limit, int(most))
                named = frozenset([name_of(crowd.row)])
                yield Breach(f"{less:g} less", place, instance, valid.schedule, named)


def too_early(limit: str, valid: Valid) -> Iterator[Breach]:
    """Admissions before the completion that makes room for them."""
    waits = []
    for row in valid.rows:
        there = [x for x in valid.rows if x is not row and x.decode_instance == row.decode_instance]
        before = [x for x in there if x.decode_end == row.admitted and x.admitted < row.admitted]
        staying = [x for x in there if x.admitted < row.admitted < x.decode_end]
        if before and not any(x.admitted == row.admitted for x in there) and row.prefill_end < row.admitted - 1e-2:
            waits.append((row, [row, *staying], before))
    for place, (row, staying, before) in placed(waits):
        most = taken(valid, limit, [*staying, *before]) - 1
        if most < max(taken(valid, limit, staying), taken(valid, limit, [*staying[1:], *before])):
            continue
        instance = with_limit(valid, row.decode_instance, limit, most)
        for size, seconds in sizes(row.admitted, above=ABOVE):
            room_since = max(x.admitted for x in [*before, *staying[1:]])
            if seconds < row.admitted - max(row.prefill_end, room_since):
                at = {name: getattr(row, name) - seconds for name in ("admitted", "decode_start", "decode_end")}
                yield Breach(size, place, instance, valid.with_row(row, **at), frozenset([name_of(row)]))


def kinds() -> Iterator[Kind]:
    """All of them."""
    for limit, rule in RULES.items():
        if limit == "kv_capacity_tokens":
            yield Kind(rule, "M13", "one call too large", partial(less_room, limit, 0, False), alone=True)
        yield Kind(rule, "M13", "two or more", partial(less_room, limit, 1, False), alone=True)
        yield Kind(rule, "M13", "three or more", partial(less_room, limit, 2, False), alone=True)
        yield Kind(rule, "M13", "four or more", partial(less_room, limit, 3, False), alone=True)
        yield Kind(rule, "M14", "one of them in transfer", partial(less_room, limit, 1, True), alone=True)
        yield Kind(rule, "M13", "before another completes", partial(too_early, limit))


KINDS = tuple(kinds())
