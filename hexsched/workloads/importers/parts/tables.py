"""Requests of a table whose columns have known names: CSV rows, or JSON objects with fields."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, NamedTuple, get_args

from hexsched.errors import InputError
from hexsched.model.workload import MAX_TOKENS
from hexsched.workloads.importers.parts.arrival import Arrival, single_call
from hexsched.workloads.importers.parts.graph import Draft
from hexsched.workloads.importers.parts.pauses import idle_seconds
from hexsched.workloads.importers.parts.plausibility import doubt_durations, doubt_gaps
from hexsched.workloads.importers.parts.records import begins_with, column_key, number, plain, whole_number
from hexsched.workloads.importers.parts.sessions import AT_START, Turn, chains, stopped
from hexsched.workloads.importers.parts.times import PER_SECOND, Clock, Unit, nanoseconds, no_time, time_number
from hexsched.workloads.importers.parts.trace import Trace

Gap = Literal["start", "end"]
DIGITS = frozenset("0123456789")
SAMPLE = 10_000  # requests outside sessions whose durations are looked at
ALIKE = 0.01  # of a delay, by which it may differ from the time between two turns and still be it: clocks are rounded
ABSENT = frozenset({"", "nan", "none", "null", "-1"})


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are called; "" for what it does not have. ``a.b`` is the field b of the field a.

    Attributes
    ----------
    prompt, output : str
        Tokens.
    cached : str
        Tokens of the prompt that were in the prefix cache.
    time : str
        When the request was sent: a number, or a wall-clock time.
    session : str
        What the requests of a session share; where it is empty a request is one by itself.
    turn : str
        Number of a request in its session, in the place of times.
    delay : str
        From the turn before to this one, see ``Meaning.gap``.
    service : str
        How long the request took.
    kind : str
    """

    prompt: str
    output: str
    cached: str = ""
    time: str = ""
    session: str = ""
    turn: str = ""
    delay: str = ""
    service: str = ""
    kind: str = ""

    @property
    def named(self) -> dict[str, str]:
        """Role to name of the columns that there are."""
        return {each.name: getattr(self, each.name) for each in fields(self) if getattr(self, each.name)}


@dataclass(frozen=True)
class Meaning:
    """How the cells of a table are to be taken.

    Attributes
    ----------
    time_unit, delay_unit : Unit
        Of numbers in ``time``, and in ``delay`` and ``service``.
    sessions : bool
        Make one workflow of the rows of a session; False keeps every row apart.
    deltas : bool
        Prompts hold only what is new in their session.
    prompt_and_cached : bool
        ``prompt`` does not count what is in ``cached``.
    gap : {"start", "end"}, optional
        Whether ``delay`` is from the start or from the end of the turn before; by default what the times say where
        there are some, and otherwise the end.
    time_unit_stated : bool
        Whether somebody says that times are in ``time_unit``: an option, or the column's name.
    """

    time_unit: Unit = "s"
    delay_unit: Unit = "s"
    sessions: bool = True
    deltas: bool = False
    prompt_and_cached: bool = False
    gap: Gap | None = None
    time_unit_stated: bool = True


class _Row(NamedTuple):
    prompt: int
    output: int
    cached: int
    time: float | None  # nanoseconds where the column has wall-clock times
    session: str
    turn: float | None
    delay: float | None
    service: float | None
    kind: str


def table_arrivals(trace: Trace, columns: Columns, meaning: Meaning) -> Iterator[Arrival]:
    """The workflows of a table. Only rows of sessions are held in memory."""
    wall_clock: list[bool] = []
    clock: Clock | None = None
    held: dict[str, list[tuple[float | None, Turn]]] = {}
    alone: list[Turn] = []
    begun = 0
    timed = untimed = ""
    scale = PER_SECOND[meaning.delay_unit]
    for index, (where, row) in enumerate(_rows(trace, columns, meaning, wall_clock)):
        if trace.drop_empty(row.prompt, row.output):
            continue
        if begun == trace.limit and row.session not in held:
            stopped(where, trace, bool(held))
            break
        if row.time is None:
            at = 0.0
            if row.session not in held:
                untimed = untimed or where
        else:
            clock = clock or Clock(_unit(row.time, wall_clock, meaning, columns.time, trace))
            at = clock.seconds(row.time)
            timed = timed or where
        if untimed and timed:
            raise InputError(f"missing time in {columns.time!r}, which {timed} has", untimed)
        if not row.session:
            begun += 1
            if row.service and len(alone) < SAMPLE:
                draft = Draft("", where, row.prompt, row.output, row.cached)
                alone.append(Turn(draft, service=row.service / scale))
            yield Arrival(at, single_call(f"r{index}", row.prompt, row.output, row.cached, row.kind, where))
            continue
        begun += row.session not in held
        draft = Draft(f"t{index}", where, row.prompt, row.output, row.cached, kind=row.kind)
        pause = None if row.delay is None else row.delay / scale
        turn = Turn(
            draft, None if row.time is None else at, pause, None if row.service is None else row.service / scale
        )
        held.setdefault(row.session, []).append((row.turn, turn))
    if untimed:
        trace.note(AT_START)
    for numbered in held.values():
        if all(place is not None for place, _ in numbered):
            numbered.sort(key=lambda pair: pair[0] or 0.0)
    if columns.delay:
        _take_delays([[turn for _, turn in each] for each in held.values()], meaning.gap, columns.delay, trace)
    turns = [[turn for _, turn in numbered] for numbered in held.values()]
    doubt_durations([turn for each in turns for turn in each] or alone, meaning.delay_unit, trace)
    doubt_gaps(turns, None if wall_clock or clock is None else clock.unit, trace)
    sessions = ((f"s{name}", [turn for _, turn in numbered]) for name, numbered in held.items())
    yield from chains(sessions, meaning.deltas, trace)


# Seconds since 1970 of today have ten digits, milliseconds thirteen, and so on; no trace without 1970 counts so far.
SINCE_1970: dict[Unit, tuple[float, float]] = {
    unit: (1e9 * PER_SECOND[unit], 1e10 * PER_SECOND[unit]) for unit in get_args(Unit)
}


def _unit(time: float, wall_clock: list[bool], meaning: Meaning, name: str, trace: Trace) -> Unit:
    """The unit of a column by its first time: where it is since 1970 its digits tell, else what is meant."""
    if wall_clock:
        trace.note(f"{name}: times of the wall clock, UTC unless they say otherwise")
        return "ns"
    digits = next((unit for unit, (least, most) in SINCE_1970.items() if least <= time < most), None)
    if digits is None or digits == meaning.time_unit:
        if not meaning.time_unit_stated:
            trace.note(f"{name}: times in {meaning.time_unit}")
        return meaning.time_unit
    if meaning.time_unit_stated:
        trace.note(
            f"{name}: times such as {time:.16g} look like {digits} since 1970, and are taken in {meaning.time_unit}"
        )
        return meaning.time_unit
    trace.note(f"{name}: times such as {time:.16g} are taken as {digits} since 1970; time_unit says otherwise")
    return digits


def _take_delays(sessions: Sequence[Sequence[Turn]], gap: Gap | None, name: str, trace: Trace) -> None:
    """Make pauses of recorded delays that are from start to start, and say how delays are taken."""
    pairs = [pair for turns in sessions for pair in itertools.pairwise(turns) if pair[1].pause is not None]
    if not pairs:
        return
    timed = [(before, turn) for before, turn in pairs if before.at is not None and turn.at is not None]
    same = sum(
        abs((turn.at or 0) - (before.at or 0) - (turn.pause or 0)) <= ALIKE * (turn.pause or 0)
        for before, turn in timed
    )
    from_times = bool(timed) and same > len(timed) / 2 and any(turn.pause for _, turn in timed)
    if gap is None:
        gap = "start" if from_times else "end"
        why = "as the times of most turns are that far apart" if from_times else "as nothing says otherwise"
        other = "end" if gap == "start" else "start"
        trace.note(
            f"{name}: delays are taken from the {gap} of the turn before, {why}; gap={other} takes them the other way"
        )
    if gap == "start":
        for before, turn in pairs:
            turn.pause = idle_seconds(turn.pause or 0.0, before.draft, before.service, trace)


def note_unused(names: Iterable[str], columns: Columns, trace: Trace) -> None:
    """Say which of a table's columns, as they are written, say nothing about its workflows."""
    used = set(map(column_key, columns.named.values()))
    unused = [name for name in names if column_key(name) not in used]
    if unused:
        trace.note(f"columns that are not used: {', '.join(unused)}")


def is_json(trace: Trace) -> bool:
    """Whether the first file of a trace holds JSON."""
    return begins_with(trace.files[0], b"{") or begins_with(trace.files[0], b"[")


def _rows(trace: Trace, columns: Columns, meaning: Meaning, wall_clock: list[bool]) -> Iterator[tuple[str, _Row]]:
    roles = columns.named
    if is_json(trace):
        for where, record in trace.json_lines(dict[str, Any]):
            cells = {role: _field(record, name) for role, name in roles.items()}
            row = trace.check(_later(cells, roles, meaning, wall_clock, where))
            if row is not None:
                yield where, row
        return
    names = tuple(roles.values())
    is_flat = list(roles) in (["prompt", "output"], ["prompt", "output", "time"])

    def parse(where: str, values: Sequence[str]) -> _Row:
        if not is_flat:
            return _row(dict(zip(roles, values, strict=True)), roles, meaning, wall_clock, where)
        time = None
        if len(values) == 3 and not _is_absent(values[2]):
            time = _time(values[2], columns.time, wall_clock, where)
        prompt = whole_number(values[0], columns.prompt, where)
        return _Row(prompt, whole_number(values[1], columns.output, where), 0, time, "", None, None, None, "")

    yield from trace.csv_rows(names, (), parse)


def _later(
    cells: Mapping[str, Any], roles: Mapping[str, str], meaning: Meaning, wall_clock: list[bool], where: str
) -> Callable[[], _Row]:
    return lambda: _row(cells, roles, meaning, wall_clock, where)


def _row(
    cells: Mapping[str, Any], roles: Mapping[str, str], meaning: Meaning, wall_clock: list[bool], where: str
) -> _Row:
    prompt = _tokens(cells["prompt"], roles["prompt"], where)
    cached = 0
    if "cached" in cells and not _is_absent(cells["cached"]):
        cached = _tokens(cells["cached"], roles["cached"], where)
        if meaning.prompt_and_cached:
            prompt += cached
        if cached > prompt:
            raise InputError(f"{roles['cached']}: {cached} tokens of a prompt of {prompt} are cached", where)
        cached = max(0, min(cached, prompt - 1))
    time = None
    if "time" in cells and not _is_absent(cells["time"]):
        time = _time(cells["time"], roles["time"], wall_clock, where)
    session = ""
    if meaning.sessions and "session" in cells and not _is_absent(cells["session"]):
        session = str(cells["session"]).strip()
    return _Row(
        prompt,
        _tokens(cells["output"], roles["output"], where),
        cached,
        time,
        session,
        _optional(cells, "turn", roles, where),
        _optional(cells, "delay", roles, where),
        _optional(cells, "service", roles, where),
        "" if _is_absent(cells.get("kind")) else str(cells["kind"]).strip(),
    )


def _tokens(value: Any, name: str, where: str) -> int:
    if type(value) is str:
        return whole_number(value, name, where)
    if type(value) is int and 0 <= value <= MAX_TOKENS:
        return value
    if value is None:
        raise InputError(f"missing field {name!r}", where)
    return whole_number(str(value), name, where)


def _time(value: Any, name: str, wall_clock: list[bool], where: str) -> float:
    """A time as it is, or in nanoseconds since 1970 where the column has wall-clock times, which is remembered."""
    text = value.strip() if type(value) is str else str(value)
    if not wall_clock and not (text[4:5] == "-" and text[:4].isdecimal()):  # as in 2026-11-26
        if ":" in text or "/" in text:  # 01/06/2026 05:40 may be of January or of June
            raise no_time(text, name, where)
        return time_number(text, name, where)
    wall_clock[:] = [True]
    return nanoseconds(text, name, where)


def _optional(cells: Mapping[str, Any], role: str, roles: Mapping[str, str], where: str) -> float | None:
    value = cells.get(role)
    return None if _is_absent(value) else number(str(value), roles[role], where)


def _is_absent(value: Any) -> bool:
    if not isinstance(value, str):
        return value is None
    return value in ABSENT or ((not value.isascii() or value[:1] not in DIGITS) and value.strip().lower() in ABSENT)


def _field(record: Mapping[str, Any], path: str) -> Any:
    """The field of a record, or of the one inside it that the dots of the path lead to."""
    if path in record:
        return plain(record[path])
    value: Any = record
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return plain(value)
