"""Stages that are too short or too long (M5, M8, M15, M16), and those that begin before the one before ends (M12, M14).

A change of a row takes what follows along where that leaves all else as it was, so that one rule alone is broken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from msgspec.structs import replace

from campaigns.breaches.way import (
    ABOVE,
    BELOW,
    WELL_ABOVE,
    WELL_BELOW,
    Breach,
    Kind,
    Valid,
    name_of,
    placed,
    sizes,
    tolerance,
)
from hexsched.model import Instance, Schedule, ScheduledCall

Edit = Callable[[ScheduledCall, float], dict[str, float]]  # fields of a row that is wrong by so many seconds


def moved(row: ScheduledCall, seconds: float, *fields: str) -> dict[str, float]:
    """The fields, so much later."""
    return {name: getattr(row, name) + seconds for name in fields}


SHORT_PREFILL: Mapping[str, Edit] = {
    "its end early": lambda row, d: moved(row, -d, "prefill_end"),
    "its start late": lambda row, d: moved(row, d, "prefill_start"),
    "both by half": lambda row, d: moved(row, d / 2, "prefill_start") | moved(row, -d / 2, "prefill_end"),
}
LONG_PREFILL: Mapping[str, Edit] = {
    "its end late": lambda row, d: moved(row, d, "prefill_end"),
    "its start early": lambda row, d: moved(row, -d, "prefill_start"),
    "both by half": lambda row, d: moved(row, -d / 2, "prefill_start") | moved(row, d / 2, "prefill_end"),
}
SHORT_TRANSFER: Mapping[str, Edit] = {
    "decode early": lambda row, d: moved(row, -d, "decode_start", "decode_end"),
    "admission late": lambda row, d: moved(row, d, "admitted"),
    "both by half": lambda row, d: moved(row, d / 2, "admitted") | moved(row, -d / 2, "decode_start", "decode_end"),
}
LONG_TRANSFER: Mapping[str, Edit] = {
    "decode late": lambda row, d: moved(row, d, "decode_start", "decode_end"),
    "admission early": lambda row, d: moved(row, -d, "admitted"),
    "both by half": lambda row, d: moved(row, -d / 2, "admitted") | moved(row, d / 2, "decode_start", "decode_end"),
}
SHORT_DECODE: Mapping[str, Edit] = {
    "its end early": lambda row, d: moved(row, -d, "decode_end"),
    "all before it late": lambda row, d: moved(row, d, "admitted", "decode_start"),
    "both by half": lambda row, d: moved(row, d / 2, "admitted", "decode_start") | moved(row, -d / 2, "decode_end"),
    "its end before its start": lambda row, d: {"decode_end": row.decode_start - d},
}
LONG_DECODE: Mapping[str, Edit] = {
    "its end late": lambda row, d: moved(row, d, "decode_end"),
    "all before it early": lambda row, d: moved(row, -d, "admitted", "decode_start"),
    "both by half": lambda row, d: moved(row, -d / 2, "admitted", "decode_start") | moved(row, d / 2, "decode_end"),
}
EARLY_ADMISSION: Mapping[str, Edit] = {
    "all from it on early": lambda row, d: moved(
        row, row.prefill_end - d - row.admitted, "admitted", "decode_start", "decode_end"
    ),
    "the prefill late": lambda row, d: moved(row, row.admitted + d - row.prefill_end, "prefill_start", "prefill_end"),
    "it alone": lambda row, d: {"admitted": row.prefill_end - d},
    "before the prefill starts": lambda row, d: moved(
        row, row.prefill_start - d - row.admitted, "admitted", "decode_start", "decode_end"
    ),
}


def changed_rows(edit: Edit, above: float, roomy: bool, valid: Valid) -> Iterator[Breach]:
    """One row changed, by each of the sizes; ``roomy`` where there have to be pauses for it."""
    if roomy and not valid.roomy:
        return
    for place, row in placed(valid.rows):
        for size, seconds in sizes(row.decode_end, above=above):
            changed = valid.with_row(row, **edit(row, seconds))
            yield Breach(size, place, valid.instance, changed, frozenset([name_of(row)]))


def almost(valid: Valid) -> Iterator[tuple[str, Schedule]]:
    """Schedules that are off by less than the tolerance, which is no breach."""
    if not valid.roomy:
        return
    edits = (SHORT_PREFILL, LONG_PREFILL, SHORT_TRANSFER, LONG_TRANSFER, SHORT_DECODE, LONG_DECODE)
    for place, row in placed(valid.rows):
        for k, of_rule in enumerate(edits):
            for what, edit in of_rule.items():
                if what != "its end before its start":
                    by = (BELOW if k < 4 else WELL_BELOW) * tolerance(row.prefill_start)
                    yield f"{what}, {place}", valid.with_row(row, **edit(row, by))


def at_once(fields: Mapping[str, str], valid: Valid) -> Iterator[Breach]:
    """A stage that takes no time at all: it ends when it starts."""
    for place, row in placed(valid.rows):
        late, early = fields["end"], fields["start"]
        if getattr(row, late) - getattr(row, early) > 1e-5:
            changed = valid.with_row(row, **{late: getattr(row, early)})
            yield Breach("all of it", place, valid.instance, changed, frozenset([name_of(row)]))


def by_machine(side: str, change: Callable[[Instance, str, float], Instance | None], valid: Valid) -> Iterator[Breach]:
    """An instance whose numbers say another duration than the schedule has."""
    for place, machine in placed(sorted({getattr(row, side) for row in valid.rows})):
        those = frozenset(name_of(row) for row in valid.rows if getattr(row, side) == machine)
        for size, seconds in sizes(valid.rows[-1].decode_end):
            instance = change(valid.instance, machine, seconds)
            if instance is not None:
                yield Breach(size, place, instance, valid.schedule, those)


def start_up(sign: int, instance: Instance, machine: str, seconds: float) -> Instance | None:
    """Another p0."""
    machines = []
    for one in instance.prefill:
        p0, p1, p2 = one.prefill_coeffs
        if one.id == machine:
            if p0 + sign * seconds < 0:
                return None
            one = replace(one, prefill_coeffs=(p0 + sign * seconds, p1, p2))
        machines.append(one)
    return replace(instance, prefill=tuple(machines))


def latency(sign: int, instance: Instance, machine: str, seconds: float) -> Instance | None:
    """Another latency of all links to a decode instance."""
    if any(link.to == machine and link.latency + sign * seconds < 0 for link in instance.links):
        return None
    links = (
        replace(link, latency=link.latency + sign * seconds) if link.to == machine else link for link in instance.links
    )
    return replace(instance, links=tuple(links))


def bandwidth(valid: Valid, factor: float) -> Iterator[Breach]:
    """All links slower or faster."""
    links = tuple(replace(link, bandwidth=link.bandwidth * factor) for link in valid.instance.links)
    changed = replace(valid.instance, links=links)
    least = min(link.latency for link in valid.instance.links)
    moving = [row for row in valid.rows if abs(1 / factor - 1) * (row.decode_start - row.admitted - least) > 0.01]
    if not valid.instance.kv_bytes_per_token:
        return
    for place, row in placed(moving):
        yield Breach(f"bandwidth times {factor:g}", place, changed, valid.schedule, frozenset([name_of(row)]))


def slower_links(valid: Valid) -> Iterator[Breach]:
    """The KV takes longer than the schedule says."""
    for factor in (0.9, 0.5, 0.1):
        yield from bandwidth(valid, factor)


def faster_links(valid: Valid) -> Iterator[Breach]:
    """The KV takes less long."""
    for factor in (1.2, 2.0, 10.0):
        yield from bandwidth(valid, factor)


def other_prompt(sign: int, valid: Valid) -> Iterator[Breach]:
    """A prompt of which more or less is in the prefix store."""
    for place, row in placed(valid.rows):
        call = valid.call(name_of(row))
        for tokens in (1000, 500, 200, 100, 50, 20):
            cached = call.cached_tokens - sign * tokens
            if 0 <= cached < call.prompt_tokens:
                instance = valid.with_call(name_of(row), cached_tokens=cached)
                yield Breach(f"{tokens} tokens", place, instance, valid.schedule, frozenset([name_of(row)]))


def other_output(sign: int, valid: Valid) -> Iterator[Breach]:
    """More or fewer output tokens than the decode has had time for."""
    for place, row in placed(valid.rows):
        call = valid.call(name_of(row))
        for tokens in (1, 2, 5, 10, 50, 100):
            output = call.output_tokens + sign * tokens
            if output >= 1:
                roomier = tuple(
                    replace(machine, kv_capacity_tokens=machine.kv_capacity_tokens + 100 * len(valid.rows))
                    for machine in valid.instance.decode
                )
                instance = replace(valid.with_call(name_of(row), output_tokens=output), decode=roomier)
                yield Breach(f"{tokens} tokens", place, instance, valid.schedule, frozenset([name_of(row)]))


def other_pace(factor: float, valid: Valid) -> Iterator[Breach]:
    """Iterations that take longer or less long than the schedule says."""
    for place, machine in placed(sorted({row.decode_instance for row in valid.rows})):
        those = frozenset(name_of(row) for row in valid.rows if row.decode_instance == machine)
        for size in (1e-4, 1e-2, 0.5):
            by = (1 + size) ** factor
            decode = tuple(
                replace(
                    one,
                    fixed_iteration_time=one.fixed_iteration_time * by,
                    decode_coeffs=tuple(number * by for number in one.decode_coeffs),
                    batch_curve=one.batch_curve and tuple((batch, seconds * by) for batch, seconds in one.batch_curve),
                )
                if one.id == machine
                else one
                for one in valid.instance.decode
            )
            yield Breach(f"{size:g} of it", place, replace(valid.instance, decode=decode), valid.schedule, those)


def of_model(model: str, make: Callable[[Valid], Iterator[Breach]], valid: Valid) -> Iterator[Breach]:
    """Of the instances of one decode model."""
    if valid.instance.decode_model == model:
        yield from make(valid)


def kinds() -> Iterator[Kind]:
    """All of them."""
    for rule, edits, sign in (("short-prefill", SHORT_PREFILL, 1), ("long-prefill", LONG_PREFILL, -1)):
        for what, edit in edits.items():
            yield Kind(rule, "M5", what, partial(changed_rows, edit, ABOVE, True), alone=True)
        yield Kind(
            rule, "M5", "another p0", partial(by_machine, "prefill_instance", partial(start_up, sign)), alone=True
        )
        yield Kind(rule, "M2", "other cached tokens", partial(other_prompt, sign), alone=True)
    yield Kind("short-prefill", "M5", "at once", partial(at_once, {"start": "prefill_start", "end": "prefill_end"}))

    for rule, edits, sign in (("instant-transfer", SHORT_TRANSFER, 1), ("long-transfer", LONG_TRANSFER, -1)):
        for what, edit in edits.items():
            yield Kind(rule, "M8", what, partial(changed_rows, edit, ABOVE, True), alone=True)
        yield Kind(
            rule, "M8", "another latency", partial(by_machine, "decode_instance", partial(latency, sign)), alone=True
        )
    yield Kind("instant-transfer", "M8", "at once", partial(at_once, {"start": "admitted", "end": "decode_start"}))
    yield Kind("instant-transfer", "M8", "slower links", slower_links, alone=True)
    yield Kind("long-transfer", "M8", "faster links", faster_links, alone=True)

    for what, edit in EARLY_ADMISSION.items():
        alone = what in ("all from it on early", "the prefill late")
        yield Kind("admitted-early", "M12", what, partial(changed_rows, edit, ABOVE, True), alone=alone)

    for model, number in (("fluid", "M15"), ("fixed", "M16")):
        for rule, edits, sign in (("short-decode", SHORT_DECODE, 1), ("long-decode", LONG_DECODE, -1)):
            for what, edit in edits.items():
                make = partial(changed_rows, edit, WELL_ABOVE, True)
                yield Kind(rule, number, what, partial(of_model, model, make), alone=True)
            for what, edit in list(edits.items())[:1]:
                make = partial(changed_rows, edit, WELL_ABOVE, False)
                yield Kind(rule, number, f"{what}, in a batch", partial(of_model, model, make))
            yield Kind(rule, "M17", "other output tokens", partial(of_model, model, partial(other_output, sign)))
            yield Kind(rule, number, "another pace", partial(of_model, model, partial(other_pace, sign)), alone=True)
        make = partial(at_once, {"start": "decode_start", "end": "decode_end"})
        yield Kind("short-decode", number, "at once", partial(of_model, model, make))


KINDS = tuple(kinds())
