"""Tables of requests whose columns the user names: CSV, JSON Lines, Parquet or Arrow."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hexsched.errors import InputError
from hexsched.registry import suggest
from hexsched.workloads.importers.parts.arrival import Arrival
from hexsched.workloads.importers.parts.head import Head, read_head
from hexsched.workloads.importers.parts.importer import Importer, ImportOptions
from hexsched.workloads.importers.parts.records import column_key, column_names
from hexsched.workloads.importers.parts.tables import Columns, Gap, Meaning, note_unused, table_arrivals
from hexsched.workloads.importers.parts.times import Unit
from hexsched.workloads.importers.parts.trace import Trace

# What columns are usually called, without case, underscores and spaces; times may end in a unit.
USUAL: dict[str, tuple[str, ...]] = {
    "prompt": (
        "prompttokens", "inputtokens", "inputlength", "promptlength", "inputlen", "promptlen", "inputtoks",
        "prompttoks", "numinputtokens", "numprompttokens", "numprefilltokens", "prefilltokens", "prefilllength",
        "contexttokens", "requesttokens", "contextlength", "requestnumprefilltokens",
        "inputsize", "promptsize", "isl", "tokensin",
    ),
    "output": (
        "outputtokens", "completiontokens", "generatedtokens", "responsetokens", "outputlength", "outputlen",
        "outputtoks", "completionlength", "responselength", "generationlength", "generationtokens",
        "numoutputtokens", "numcompletiontokens", "numdecodetokens", "decodetokens", "decodelength",
        "requestnumdecodetokens", "outputsize", "osl", "tokensout",
    ),
    "cached": ("cachedtokens", "cachedinputtokens", "cachedprompttokens", "cachereadtokens", "cachereadinputtokens"),
    "time": (
        "timestamp", "time", "arrivaltime", "arrivedat", "arrival", "arrivaltimestamp", "requesttime",
        "requesttimestamp", "timestampstart", "requestarrivedat", "starttime", "createdtime", "createdat", "submittime",
        "submittedat", "sendtime", "senttime", "ts", "created", "datetime", "sentat",
    ),
    "session": ("sessionid", "providedsessionid", "conversationid", "chatid", "session", "conversation"),
    "turn": ("turn", "turnindex", "turnid", "roundidx", "roundindex"),
    "delay": ("delay", "thinktime", "toolwait"),
    "service": ("elapsedtime", "elapsed", "duration", "latency", "e2elatency"),
    "kind": ("kind", "requesttype", "logtype", "taskname"),
}  # fmt: skip
REQUIRED = ("prompt", "output")
UNITS: dict[str, Unit] = {
    "ns": "ns", "nanoseconds": "ns", "unixnano": "ns",
    "us": "us", "microseconds": "us",
    "ms": "ms", "millis": "ms", "milliseconds": "ms", "unixms": "ms",
    "s": "s", "sec": "s", "secs": "s", "seconds": "s",
}  # fmt: skip

# Structure that rows of such names would lose: other formats have it.
STRUCTURE = frozenset(
    {
        *("hash_ids", "wait_for", "dependencies", "parent_chat_id", "step", "requests", "sub_requests", "spans"),
        *("parent_span_id", "traceId"),
    }
)


class ColumnsOptions(ImportOptions, frozen=True, kw_only=True):
    """Options of the ``columns`` format: what the columns are called, each found by its usual names by default.

    Attributes
    ----------
    prompt, output : str, optional
        Columns of tokens. In JSON, ``usage.prompt_tokens`` is a field inside another.
    cached : str, optional
        Column of the prompt tokens that were in the prefix cache.
    time : str, optional
        Column of when the request was sent: numbers, or wall-clock times (UTC unless they say otherwise).
    session : str, optional
        Column of what the requests of a session share. ``none`` keeps all requests apart; so for every column that is
        found and not wanted.
    turn : str, optional
        Column of a request's number in its session, which then decides the order.
    delay, service : str, optional
        Columns of the time from the turn before to a request, and of how long it took.
    kind : str, optional
        Column of what sort of request it is.
    gap : {"start", "end"}, optional
        Whether ``delay`` is from the start or from the end of the turn before. By default the start where the times of
        most turns are that far apart, and the end otherwise; which is said.
    time_unit, delay_unit : {"s", "ms", "us", "ns"}, optional
        Of ``time``, and of ``delay`` and ``service``; by default what their names end in, what the digits of times
        since 1970 say, or seconds. ``time_unit`` is of all three where nothing else says what the others are in.
    deltas : bool
        Prompts of a session hold only what is new.
    prompt_and_cached : bool
        ``prompt`` does not count the tokens of ``cached``.
    """

    prompt: str | None = None
    output: str | None = None
    cached: str | None = None
    time: str | None = None
    session: str | None = None
    turn: str | None = None
    delay: str | None = None
    service: str | None = None
    kind: str | None = None
    gap: Gap | None = None
    time_unit: Unit | None = None
    delay_unit: Unit | None = None
    deltas: bool = False
    prompt_and_cached: bool = False


SAMPLE = """\
{"prompt_length": 18, "decode_length": 61, "arrival_time_us": 50000}
{"prompt_length": 35, "decode_length": 92, "arrival_time_us": 350000}
"""


class ColumnsImporter(Importer[ColumnsOptions]):
    """A request a row, with columns of any name: those that options name, and others by their usual names.

    What was taken for what is told.
    """

    name = "columns"
    summary = (
        "any table of requests, CSV, JSON Lines, Parquet, whose columns you name: prompt=, output=, time=, session=, …"
    )
    options_type = ColumnsOptions
    rank = 20
    fallback = True
    numbered = True
    sample = SAMPLE

    def sniff(self, head: Head) -> bool:
        found = _usual(_names(head))
        if {"input_length", "output_length"} <= head.keys:
            return False  # times of such rows are in ms: rows of Mooncake's sort, or a near miss
        return all(role in found for role in REQUIRED) and not STRUCTURE & head.keys

    def arrivals(self, trace: Trace, options: ColumnsOptions) -> Iterator[Arrival]:
        head = read_head(trace.files[0])
        names = _names(head)
        roles = _usual(names)
        units: dict[str, Unit] = {role: unit for role, (_, unit) in roles.items() if unit}
        named = {role: name for role, (name, _) in roles.items()}
        for role in USUAL:
            given = getattr(options, role)
            if given is not None:
                if given != "none":
                    _check_name(given, role, names, head, trace)
                named[role] = "" if given == "none" else given
                units.pop(role, None)
                unit = _unit(column_key(given))
                if unit is not None:
                    units[role] = unit
        for role in REQUIRED:
            if not named.get(role):
                raise InputError(
                    f"no column is known to hold {role} tokens; name it with --map {role}=NAME; there are "
                    f"{', '.join(names) or 'none'}",
                    trace.path,
                )
        time_unit = options.time_unit or units.get("time", "s")
        delay_unit = options.delay_unit or units.get("delay") or units.get("service") or options.time_unit or "s"
        columns = Columns(**named)
        taken = ", ".join(f"{role} {name}" for role, name in columns.named.items())
        stated = options.time_unit is not None or "time" in units  # else the times themselves may say
        taken_in = {"time": f"times in {time_unit}"} if stated else {}
        taken_in |= {"delay": f"delays in {delay_unit}", "service": f"durations in {delay_unit}"}
        units_of = "".join(f"; {text}" for role, text in taken_in.items() if role in columns.named)
        trace.note(f"columns: {taken}{units_of}")
        note_unused(names, columns, trace)
        meaning = Meaning(time_unit, delay_unit, True, options.deltas, options.prompt_and_cached, options.gap, stated)
        yield from table_arrivals(trace, columns, meaning)


def _names(head: Head) -> list[str]:
    """The names of the columns, as they are written; in JSON with dots where one field is inside another."""
    if head.is_json:
        return list(dict.fromkeys(name for line in head.lines for name in _dotted(line))) or sorted(head.keys)
    return column_names(head.first_line)


def _dotted(record: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for name, value in record.items():
        if isinstance(value, dict) and value:
            yield from _dotted(value, f"{before}{name}.")
        else:
            yield f"{before}{name}"


def _check_name(given: str, role: str, names: Sequence[str], head: Head, trace: Trace) -> None:
    """Raise ``InputError`` for a column that there is not, naming those that there are."""
    known = {*names, *(name.split(".")[0] for name in names)} if head.is_json else set(map(column_key, names))
    if (given if head.is_json else column_key(given)) not in known:
        near = suggest(given, names).partition("? ")[0].partition("; known")[0]
        near = f"{near.rstrip('?')}? There" if near else "; there"
        raise InputError(f"no column {given!r} for {role}{near} are {', '.join(names) or 'none'}", trace.path)


def _usual(names: Iterable[str]) -> dict[str, tuple[str, Unit | None]]:
    """Role to the column that has one of its usual names, and the unit that the name ends in."""
    found: dict[str, tuple[str, Unit | None]] = {}
    names = list(names)
    inner = [
        name for name in names if "." in name
    ]  # of usage.prompt_tokens the last part counts, where no other has it
    keys = {column_key(name.rpartition(".")[2]): name for name in reversed(inner)}
    keys |= {column_key(name): name for name in reversed(names)}
    for role, usual in USUAL.items():
        for base in usual:
            match = next(
                (key for key in keys if key == base or (key.startswith(base) and key[len(base) :] in UNITS)), None
            )
            if match is not None:
                found[role] = (keys[match], UNITS.get(match[len(base) :]))
                break
    return found


def _unit(key: str) -> Unit | None:
    match = re.search(r"(nanoseconds|unixnano|ns|microseconds|us|milliseconds|millis|unixms|ms)$", key)
    return None if match is None else UNITS[match[1]]


IMPORTER = ColumnsImporter()
