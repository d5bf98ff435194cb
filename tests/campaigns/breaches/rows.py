"""Rows that match no call, missing and second rows, times that are no numbers, instances that there are not (M10)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from msgspec.structs import replace

from campaigns.breaches.way import Breach, Kind, Valid, name_of, placed
from hexsched.model import ScheduledCall

TIMES = ("prefill_start", "prefill_end", "admitted", "decode_start", "decode_end")
NO_NUMBERS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
Misspell = Callable[[str], str]
MISSPELT: Mapping[str, Misspell] = {
    "another word": lambda name: "ghost",
    "nothing": lambda name: "",
    "in capitals": str.upper,
    "a space after it": lambda name: name + " ",
    "a letter more": lambda name: name + "z",
    "a letter less": lambda name: name[1:],
    "a letter that looks the same": lambda name: name.replace("c", "с").replace("w", "ѡ").replace("d", "ԁ") + "\u200b",
    "a 0 character after it": lambda name: name + "\0",
}


def strangers(field: str, in_place: bool, valid: Valid) -> Iterator[Breach]:
    """Rows of calls that there are not, in place of a call's own or beside it."""
    for place, row in placed(valid.rows):
        for how, misspell in MISSPELT.items():
            wrong = replace(row, **{field: misspell(getattr(row, field))})
            calls = [wrong if one is row else one for one in valid.schedule.calls]
            if not in_place:
                calls.insert(calls.index(wrong), row)
            changed = replace(valid.schedule, calls=tuple(calls))
            yield Breach(how, place, valid.instance, changed, frozenset([name_of(wrong)]))


def exchanged(valid: Valid) -> Iterator[Breach]:
    """The two ids of a row in each other's place."""
    for place, row in placed(valid.rows):
        changed = valid.with_row(row, workflow_id=row.call_id, call_id=row.workflow_id)
        yield Breach("both ids", place, valid.instance, changed, frozenset([(row.call_id, row.workflow_id)]))


SECOND: Mapping[str, Callable[[ScheduledCall], ScheduledCall]] = {
    "the same": lambda row: row,
    "a microsecond later": lambda row: replace(row, decode_end=row.decode_end + 1e-6),
    "an hour later": lambda row: replace(row, **{name: getattr(row, name) + 3600.0 for name in TIMES}),
    "nowhere": lambda row: replace(row, prefill_instance="", decode_instance=""),
    "never": lambda row: replace(row, **dict.fromkeys(TIMES, math.nan)),
}


def second_rows(valid: Valid) -> Iterator[Breach]:
    """One more row of a call, as its own or another, before it, behind it, and at the end."""
    for place, row in placed(valid.rows):
        for how, make in SECOND.items():
            at = valid.schedule.calls.index(row)
            for where, k in (("before", at), ("behind", at + 1), ("at the end", len(valid.schedule.calls))):
                calls = [*valid.schedule.calls[:k], make(row), *valid.schedule.calls[k:]]
                changed = replace(valid.schedule, calls=tuple(calls))
                yield Breach(f"{how}, {where}", place, valid.instance, changed, frozenset([name_of(row)]))


def many_second_rows(valid: Valid) -> Iterator[Breach]:
    """All rows twice, and one of them many times."""
    calls = valid.schedule.calls
    everyone = frozenset(name_of(row) for row in calls)
    yield Breach("all", "all", valid.instance, replace(valid.schedule, calls=calls + calls), everyone)
    for place, row in placed(valid.rows):
        changed = replace(valid.schedule, calls=(*calls, *[row] * 9))
        yield Breach("nine more", place, valid.instance, changed, frozenset([name_of(row)]))


def left_out(valid: Valid) -> Iterator[Breach]:
    """Rows left out: one, the first or last so many, every other, those of a workflow, those of an instance."""
    rows, everyone = valid.rows, [name_of(row) for row in valid.rows]
    chosen = [("one", place, {name_of(row)}) for place, row in placed(rows)]
    for count in range(2, len(rows) + 1):
        chosen += [(f"{count}", "first", set(everyone[:count])), (f"{count}", "last", set(everyone[-count:]))]
    for place, flow in placed(valid.instance.workflows):
        names = {(flow.workflow_id, call.call_id) for call in flow.calls}
        chosen += [("a workflow", place, names), ("all but a workflow", place, set(everyone) - names)]
    for place, call in placed([name for name in everyone if not valid.parents(name)]):
        chosen.append(("one without parents", place, {call}))
    for place, call in placed([name for name in everyone if valid.parents(name)]):
        chosen.append(("one with parents", place, {call}))
    for side in ("prefill_instance", "decode_instance"):
        for place, machine in placed(sorted({getattr(row, side) for row in rows})):
            names = {name_of(row) for row in rows if getattr(row, side) == machine}
            chosen.append((f"those of a {side}", place, names))
    chosen += [("every other", "first", set(everyone[::2])), ("every other", "last", set(everyone[1::2]))]
    for size, place, names in chosen:
        if names:
            kept = tuple(row for row in valid.schedule.calls if name_of(row) not in names)
            yield Breach(size, place, valid.instance, replace(valid.schedule, calls=kept), frozenset(names))


def no_numbers(valid: Valid) -> Iterator[Breach]:
    """A time of a row that is no finite number."""
    for place, row in placed(valid.rows):
        for field in TIMES:
            for text, value in NO_NUMBERS.items():
                changed = valid.with_row(row, **{field: value})
                yield Breach(f"{field} {text}", place, valid.instance, changed, frozenset([name_of(row)]))


def no_numbers_at_all(valid: Valid) -> Iterator[Breach]:
    """All times of a row."""
    for place, row in placed(valid.rows):
        for text, value in NO_NUMBERS.items():
            changed = valid.with_row(row, **dict.fromkeys(TIMES, value))
            yield Breach(f"all {text}", place, valid.instance, changed, frozenset([name_of(row)]))


def no_instance(field: str, valid: Valid) -> Iterator[Breach]:
    """A place that is none, or one of the other pool."""
    others = valid.instance.decode if field == "prefill_instance" else valid.instance.prefill
    for place, row in placed(valid.rows):
        wrong = {how: misspell(getattr(row, field)) for how, misspell in MISSPELT.items()}
        wrong |= {f"{where} of the other pool": machine.id for where, machine in placed(others)}
        wrong |= {"its GPU": others[0].gpu, "a number": "0"}
        for how, value in wrong.items():
            changed = valid.with_row(row, **{field: value})
            yield Breach(how, place, valid.instance, changed, frozenset([name_of(row)]))


def kinds() -> Iterator[Kind]:
    """All of them."""
    for field in ("workflow_id", "call_id"):
        for in_place, how in ((True, "in place of a row"), (False, "one more row")):
            yield Kind("unknown-call", "M10", f"{field} misspelt, {how}", partial(strangers, field, in_place))
    yield Kind("unknown-call", "M10", "ids exchanged", exchanged)
    yield Kind("duplicate-call", "M10", "a second row", second_rows)
    yield Kind("duplicate-call", "M10", "many second rows", many_second_rows)
    yield Kind("missing-call", "M10", "left out", left_out)
    yield Kind("nan", "M10", "one time", no_numbers)
    yield Kind("nan", "M10", "all times", no_numbers_at_all)
    for field in ("prefill_instance", "decode_instance"):
        yield Kind("unknown-instance", "M10", field, partial(no_instance, field))


KINDS = tuple(kinds())
