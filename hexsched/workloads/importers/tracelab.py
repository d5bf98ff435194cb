"""TraceLab traces (github uw-syfi/TraceLab, CC-BY-4.0): rounds of Claude Code and Codex, and tables made of them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from hexsched.workloads.importers.parts.arrival import Arrival
from hexsched.workloads.importers.parts.graph import Draft, build_workflow
from hexsched.workloads.importers.parts.head import Signature, read_head
from hexsched.workloads.importers.parts.importer import Importer, ImportOptions
from hexsched.workloads.importers.parts.records import Tokens, column_key, number, whole_number
from hexsched.workloads.importers.parts.sessions import AT_START, Turn, chain, group
from hexsched.workloads.importers.parts.times import Clock, nanoseconds
from hexsched.workloads.importers.parts.trace import Trace

INPUTS = frozenset({"user_message", "tool_result"})  # events that a round waits for; the others are what it says


class TraceLabOptions(ImportOptions, frozen=True, kw_only=True):
    """Options of the ``tracelab`` format.

    Attributes
    ----------
    split : {"turn", "session"}
        What a workflow is: everything from one message of the user to the next, or the whole session, with the user's
        pauses as delays.
    prefix_cache : bool
        Take ``prefix_tokens`` as ``cached_tokens``; False leaves them 0.
    """

    split: Literal["turn", "session"] = "turn"
    prefix_cache: bool = True


class _Event(msgspec.Struct, frozen=True):
    event_type: str
    timestamp: str | None = None


class _Round(msgspec.Struct, frozen=True, kw_only=True):
    session_id: str
    round_index: int
    prefix_tokens: Tokens = 0
    newly_append_tokens: Tokens = 0
    input_tokens_total: Tokens | None = None
    output_tokens: Tokens = 0
    provider: str = ""
    project: str = ""
    session_file: str = ""
    timing_events: tuple[_Event, ...] = ()
    first_input_event_type: str = ""


SAMPLE = """\
{"provider": "claude", "session_id": "claude:1", "round_index": 0, "input_tokens_total": 300, "prefix_tokens": 200, \
"newly_append_tokens": 100, "output_tokens": 20, "first_input_event_type": "user_message", "timing_events": \
[{"event_type": "user_message", "timestamp": "2026-06-01T05:40:20.151Z"}, \
{"event_type": "text", "timestamp": "2026-06-01T05:40:29.887Z"}]}
{"provider": "codex", "session_id": "codex:2", "round_index": 0, "input_tokens_total": 300, "prefix_tokens": 0, \
"newly_append_tokens": 300, "output_tokens": 20, "first_input_event_type": "user_message", "timing_events": \
[{"event_type": "user_message", "timestamp": "2026-06-01T05:41:20.151Z"}, \
{"event_type": "text", "timestamp": "2026-06-01T05:41:29.887Z"}]}
"""


class TraceLabImporter(Importer[TraceLabOptions]):
    """A round of an agent a line, with the prefix tokens that the provider reported.

    Rounds of a session follow each other by ``round_index``. A round was sent at the last event that it waited for (a
    message, a result of a tool) before its first output, and ended with its last output; its delay is the time from the
    end of the round before to when it was sent.
    """

    name = "tracelab"
    summary = "TraceLab rounds, JSON Lines: session_id, round_index, prefix_tokens, newly_append_tokens, timing_events"
    options_type = TraceLabOptions
    rank = 10
    sample = SAMPLE
    signature = Signature(
        (("session_id",), ("round_index",), ("prefix_tokens",), ("newly_append_tokens",)),
        hints=("timing_events", "output_tokens", "tools"),
    )

    def arrivals(self, trace: Trace, options: TraceLabOptions) -> Iterator[Arrival]:
        clock = Clock("ns")
        begins: set[str] = set()  # rounds that a message of the user begins
        index_of: dict[str, int] = {}

        def rounds() -> Iterator[tuple[str | None, Turn]]:
            for index, (where, row) in enumerate(trace.json_lines(_Round)):
                total = row.prefix_tokens + row.newly_append_tokens
                prompt = total if row.input_tokens_total is None else row.input_tokens_total
                cached = max(0, min(row.prefix_tokens, prompt - 1)) if options.prefix_cache else 0
                draft = Draft(f"t{index}", where, prompt, row.output_tokens, cached, kind=row.provider)
                sent, end = _sent_and_end(row, where)
                turn = Turn(draft, None if sent is None else clock.seconds(sent))
                if sent is not None and end is not None:
                    turn.service = clock.span(end - sent)
                if row.first_input_event_type == "user_message":
                    begins.add(draft.call_id)
                index_of[draft.call_id] = row.round_index
                yield "\0".join((row.project, row.session_file, row.session_id)), turn

        used: dict[str, int] = {}
        for key, turns in group(rounds(), trace):
            session = (key or "").rpartition("\0")[2]
            used[session] = used.get(session, 0) + 1
            name = session if used[session] == 1 else f"{session}#{used[session]}"
            turns.sort(key=lambda turn: index_of[turn.draft.call_id])
            for place, part in enumerate(_parts(turns, begins, options.split)):
                if part[0].at is None:
                    trace.note("rounds without a time begin at 0")
                workflow = f"{name}-{place}" if options.split == "turn" else name
                at = next((turn.at for turn in part if turn.at is not None), 0.0)
                arrival = build_workflow(workflow, at, chain(part, trace), trace)
                if arrival is not None:
                    yield arrival


def _parts(turns: list[Turn], begins: set[str], split: str) -> Iterator[list[Turn]]:
    part: list[Turn] = []
    for turn in turns:
        if part and split == "turn" and turn.draft.call_id in begins:
            yield part
            part = []
        part.append(turn)
    yield part


def _sent_and_end(row: _Round, where: str) -> tuple[int | None, int | None]:
    """When a round was sent, and when its last output came, nanoseconds since 1970."""
    sent: int | None = None
    end: int | None = None
    for event in row.timing_events:
        if event.timestamp is None:
            continue
        at = nanoseconds(event.timestamp, "timing_events.timestamp", where)
        if event.event_type not in INPUTS:
            end = at if end is None else max(end, at)
        elif end is None:
            sent = at if sent is None else max(sent, at)
    return (end if sent is None else sent), end


class TraceLabTableOptions(ImportOptions, frozen=True, kw_only=True):
    """Options of the ``tracelab-csv`` format.

    Attributes
    ----------
    prefix_cache : bool
        Take ``prefix_len`` as ``cached_tokens``; False leaves them 0.
    """

    prefix_cache: bool = True


TABLE = ("round_idx", "prefix_len", "input_len", "output_len", "tool_wait_after_ms")

TABLE_SAMPLE = """\
session_id,arrival_time,round_idx,prefix_len,input_len,output_len,tool_wait_after_ms
0,0,0,0,512,64,100
0,0,1,576,128,64,0
1,200,0,0,400,48,0
"""


class TraceLabTableImporter(Importer[TraceLabTableOptions]):
    """A round a row, as TraceLab's ``csv_export`` and its replay write them: ``arrival_time`` of a session in ms.

    ``input_len`` is what is new in a prompt, ``prefix_len`` what was cached before it; ``tool_wait_after_ms`` passes
    before the next round.
    """

    name = "tracelab-csv"
    summary = "TraceLab rounds, CSV: session_id or id, arrival_time (ms), round_idx, prefix_len, input_len, output_len"
    options_type = TraceLabTableOptions
    rank = 11
    sample = TABLE_SAMPLE
    signature = Signature((("session_id", "id"), *((name,) for name in TABLE)), hints=("arrival_time",), csv=True)

    def arrivals(self, trace: Trace, options: TraceLabTableOptions) -> Iterator[Arrival]:
        columns = read_head(trace.files[0]).columns
        session = "session_id" if column_key("session_id") in columns else "id"
        wait_after: dict[str, float] = {}
        index_of: dict[str, int] = {}
        timed = "arrivaltime" in columns

        def parse(where: str, values: Sequence[str]) -> tuple[str, float, int, int, int, int, float]:
            name, turn, prefix, new, output, wait, at = values
            return (
                name.strip(),
                number(at, "arrival_time", where) if at else 0.0,
                whole_number(turn, "round_idx", where),
                whole_number(prefix, "prefix_len", where),
                whole_number(new, "input_len", where),
                whole_number(output, "output_len", where),
                number(wait, "tool_wait_after_ms", where) if wait else 0.0,
            )

        def rounds() -> Iterator[tuple[str | None, Turn]]:
            rows = trace.csv_rows((session, *TABLE), ("arrival_time",), parse)
            for index, (where, (name, at, place, prefix, new, output, wait)) in enumerate(rows):
                cached = max(0, min(prefix, prefix + new - 1)) if options.prefix_cache else 0
                draft = Draft(f"t{index}", where, prefix + new, output, cached)
                index_of[draft.call_id] = place
                wait_after[draft.call_id] = wait / 1000
                yield name, Turn(draft, at / 1000)

        found = group(rounds(), trace)
        if not timed:
            trace.note(AT_START)
        for name, turns in found:
            turns.sort(key=lambda turn: index_of[turn.draft.call_id])
            for before, turn in itertools.pairwise(turns):
                turn.pause = wait_after[before.draft.call_id]
            arrival = build_workflow(str(name), min(turn.at or 0.0 for turn in turns), chain(turns, trace), trace)
            if arrival is not None:
                yield arrival


IMPORTER = (TraceLabImporter(), TraceLabTableImporter())
