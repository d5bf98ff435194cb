"""Mooncake traces with sessions and dependencies, as NVIDIA Dynamo's and AIPerf's replay tools read them.

Three dialects share the fields of ``mooncake`` (``input_tokens``, ``output_tokens``, ``created_time`` and ``delay_ms``
are accepted for ``input_length``, ``output_length``, ``timestamp`` and ``delay``). Semantics as documented by
dynamo-data-gen (github ai-dynamo/dynamo, ``lib/data-gen/src/mooncake.rs``):

- *Sessions*: rows share a ``session_id`` and have no ``request_id``. Each waits for the row before it in its session,
  then ``delay`` ms, or the difference of the two timestamps where no delay is given.
- *Agentic, version 1*: rows have a ``request_id``; ``wait_for`` lists the requests that must complete, after which
  ``delay + tool_wait_ms`` ms pass. A row that waits for nothing starts at its ``timestamp``; if it has none, it follows
  its session as above.
- *Agentic, version 2*: the first line is a header with ``"schema": "dynamo.agentic_mooncake"``; rows have a ``play_id``
  (the workflow), ``not_before_ms`` and ``dependencies`` of ``request_id``, ``trigger``, ``delay_ms``.

What the model of a workflow cannot say is approximated:

- Only one delay follows the last parent, so of several delays the longest is taken.
- A call cannot wait for another's *dispatch*. It waits for what the other waits for, plus both delays: exact when the
  other is dispatched on release.
- ``not_before_ms`` holds calls back only where they wait for nothing; elsewhere the dependencies say when.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import msgspec

from hexsched.errors import InputError
from hexsched.workloads.importers.mooncake import BLOCK_TOKENS, FOREIGN_TIES
from hexsched.workloads.importers.parts.arrival import Arrival
from hexsched.workloads.importers.parts.graph import Draft, build_workflow, causal_order, components
from hexsched.workloads.importers.parts.head import Head, Signature
from hexsched.workloads.importers.parts.importer import Importer, ImportOptions
from hexsched.workloads.importers.parts.pauses import idle_seconds
from hexsched.workloads.importers.parts.prefix import BlockSize, PrefixStore
from hexsched.workloads.importers.parts.records import BlockTokens, Duration, Tokens
from hexsched.workloads.importers.parts.sessions import AT_START, NO_CREDIT, Prompts, Turn, in_order, stopped
from hexsched.workloads.importers.parts.times import PER_SECOND, Clock, Time, Unit
from hexsched.workloads.importers.parts.trace import Trace

SCHEMA = "dynamo.agentic_mooncake"
VERSIONS = ("1", "2")


class AgenticOptions(ImportOptions, frozen=True, kw_only=True):
    """Options of the ``agentic-mooncake`` format.

    Attributes
    ----------
    time_unit : {"s", "ms", "us", "ns"}
        Of ``timestamp``, ``created_time`` and ``delay``; fields that end in ``_ms`` are in milliseconds.
    deltas : bool
        ``input_length`` of turns holds only what is new in their session; there is no ``cached_tokens`` then.
    prefix_cache : bool
        Derive ``cached_tokens`` from ``hash_ids``; False leaves them 0.
    block_tokens : int, optional
        Tokens a hash id stands for; by default what the header says; without a header 512, or the one usual size that
        fits the numbers of hashes.
    """

    time_unit: Unit = "ms"
    deltas: bool = False
    prefix_cache: bool = True
    block_tokens: BlockTokens | None = None


class _Dependency(msgspec.Struct, frozen=True, kw_only=True):
    request_id: str
    trigger: Literal["completion", "dispatch"] = "completion"
    delay_ms: Duration = 0.0


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    schema: str | None = None
    version: int | str | None = None
    block_size: BlockTokens | None = None
    hash_id_scope: Literal["local", "global"] = "global"
    request_id: str | None = None
    session_id: str | int | None = None
    play_id: str | None = None
    input_length: Tokens | None = None
    input_tokens: Tokens | None = None
    output_length: Tokens | None = None
    output_tokens: Tokens | None = None
    hash_ids: tuple[int | str, ...] = ()
    timestamp: Time | None = None
    created_time: Time | None = None
    not_before_ms: Duration | None = None
    delay: Duration | None = None
    delay_ms: Duration | None = None
    tool_wait_ms: Duration | None = None
    wait_for: tuple[str, ...] = ()
    dependencies: tuple[_Dependency, ...] = ()
    request_kind: str | None = None


class _Edge(NamedTuple):
    request_id: str
    on_dispatch: bool
    delay: float


@dataclass(slots=True)
class _Request:
    """A row with its aliases resolved; times in seconds."""

    draft: Draft
    session: str | None
    play: str | None
    hash_ids: tuple[int | str, ...]
    at: float | None
    pause: float | None
    free: bool  # has an id of its own, by which others wait for it
    edges: list[_Edge] = field(default_factory=list)


SAMPLE = """\
{"request_id": "a", "input_length": 1100, "output_length": 10, "hash_ids": [1, 2, 3], "session_id": "s", \
"timestamp": 100.0}
{"request_id": "b", "input_length": 1100, "output_length": 10, "hash_ids": [1, 2, 3], "session_id": "s", \
"wait_for": ["a"], "delay": 500.0, "tool_wait_ms": 250.0}
{"request_id": "z", "input_length": 1100, "output_length": 10, "hash_ids": [1, 2, 3], "session_id": "t", \
"timestamp": 400.0}
"""


class AgenticMooncakeImporter(Importer[AgenticOptions]):
    """Sessions and dependency graphs of Mooncake rows.

    A workflow is a play (version 2), or else whatever dependencies tie together; it is named after its play, session or
    first request. The turns of a session are put in the order of their timestamps. Cached tokens are found in the order
    in which requests were sent, as far as it is recorded, a request never before what it waits for. Where no request
    has a timestamp, every workflow arrives at 0.
    """

    name = "agentic-mooncake"
    summary = "Mooncake rows with session_id, request_id, wait_for or dependencies (NVIDIA Dynamo), JSON Lines"
    options_type = AgenticOptions
    rank = 5
    sample = SAMPLE
    signature = Signature(
        needs=(
            ("input_length", "input_tokens"),
            ("output_length", "output_tokens"),
            ("session_id", "request_id", "wait_for", "play_id"),
        ),
        refuses=(*FOREIGN_TIES, "run_type", "traceId", "newly_append_tokens"),
        hints=("timestamp", "created_time", "delay", "delay_ms", "tool_wait_ms", "dependencies", "hash_ids"),
    )

    def sniff(self, head: Head) -> bool:
        return any(schema.startswith(SCHEMA) for schema in head.schemas) or super().sniff(head)

    def arrivals(self, trace: Trace, options: AgenticOptions) -> Iterator[Arrival]:
        header, requests = _read(trace, options)
        requests = _follow_sessions(requests, trace)
        for request in requests.values():
            request.draft.parents = [edge.request_id for edge in request.edges]
        ordered = causal_order([request.draft for request in requests.values()])
        _resolve_triggers(requests, ordered)
        _check_roots(requests, trace)
        if options.prefix_cache and not options.deltas:
            _find_cached(requests, ordered, options, header, trace)
        if options.deltas and any(request.hash_ids for request in requests.values()):
            trace.note(NO_CREDIT)
        prompts = Prompts(options.deltas)
        groups = _groups(requests)
        for group in groups:
            # Requests with ids of their own may be of sub-agents, whose prompts are shorter than those before them.
            if options.deltas or not any(requests[call_id].free for call_id in group):
                members = causal_order([requests[call_id].draft for call_id in group])
                prompts.follow(members, lambda draft: [requests[parent].draft for parent in draft.parents])
        prompts.note(trace)
        used: set[str] = set()
        for group in groups:
            members_of = [requests[call_id] for call_id in group]
            start = min(request.at or 0.0 for request in members_of if not request.draft.parents)
            for request in members_of:
                if not request.draft.parents:
                    request.draft.delay += (request.at or 0.0) - start
            arrival = build_workflow(_name(members_of, used), start, [each.draft for each in members_of], trace)
            if arrival is not None:
                yield arrival


def _read(trace: Trace, options: AgenticOptions) -> tuple[_Row, dict[str, _Request]]:
    header = _Row()
    clock = Clock(options.time_unit)
    requests: dict[str, _Request] = {}
    begun: set[str] = set()
    unknown: set[str] = set()  # requests that are waited for and have not been read
    for number, (where, row) in enumerate(trace.json_lines(_Row)):
        if row.schema is not None:
            _check_header(row, first=not requests, where=where)
            header = row
            continue
        request = _request(row, f"row{number}", where, options, clock)
        first = requests.get(request.draft.call_id)
        if first is not None:
            raise InputError(
                f"duplicate request_id {request.draft.call_id!r}, first used at {first.draft.where}", where
            )
        name = request.play or request.session or request.draft.call_id
        if name not in begun and not request.edges:
            if len(begun) == trace.limit and not unknown:
                stopped(where, trace, sessions=True)
                break
            begun.add(name)
        requests[request.draft.call_id] = request
        unknown.discard(request.draft.call_id)
        unknown.update(edge.request_id for edge in request.edges if edge.request_id not in requests)
    return header, requests


def _check_header(row: _Row, first: bool, where: str) -> None:
    if row.schema != SCHEMA:
        raise InputError(f"schema {row.schema!r} is not known; known is {SCHEMA!r}", where)
    if not first:
        raise InputError("a header stands before all requests", where)
    if row.version is not None and str(row.version) not in VERSIONS:
        raise InputError(f"version {row.version} of {SCHEMA} is not known; known are {' and '.join(VERSIONS)}", where)


def _request(row: _Row, default_id: str, where: str, options: AgenticOptions, clock: Clock) -> _Request:
    prompt = row.input_length if row.input_length is not None else row.input_tokens
    output = row.output_length if row.output_length is not None else row.output_tokens
    if prompt is None or output is None:
        raise InputError(f"missing field '{'input_length' if prompt is None else 'output_length'}'", where)
    per_second = PER_SECOND[options.time_unit]
    time = row.timestamp if row.timestamp is not None else row.created_time
    if time is not None:
        at: float | None = clock.seconds(time)
    else:
        at = None if row.not_before_ms is None else row.not_before_ms / 1000
    pauses = [(row.delay, per_second), (row.delay_ms, 1000), (row.tool_wait_ms, 1000)]
    recorded = [pause / unit for pause, unit in pauses if pause is not None]
    request = _Request(
        draft=Draft(row.request_id or default_id, where, prompt, output, kind=row.request_kind or ""),
        session=None if row.session_id is None else str(row.session_id),
        play=row.play_id,
        hash_ids=row.hash_ids,
        at=at,
        pause=sum(recorded) if recorded else None,
        free=row.request_id is not None,
    )
    for dependency in row.dependencies:
        request.edges.append(_Edge(dependency.request_id, dependency.trigger == "dispatch", dependency.delay_ms / 1000))
    for request_id in row.wait_for:
        request.edges.append(_Edge(request_id, False, request.pause or 0.0))
    return request


def _follow_sessions(requests: dict[str, _Request], trace: Trace) -> dict[str, _Request]:
    """Let requests that name no dependency wait for the one before them in their session, by time.

    One with a ``request_id`` and a time begins by itself.

    Returns
    -------
    dict of str to _Request
        By id, the turns of each session in the order of their times.
    """
    sessions: dict[str, list[_Request]] = {}
    for request in requests.values():
        if request.session and not request.edges:
            sessions.setdefault(request.session, []).append(request)
    turns_of = {
        name: iter(in_order([Turn(each.draft, each.at) for each in members], trace))
        for name, members in sessions.items()
    }
    ordered: dict[str, _Request] = {}
    last: dict[str, _Request] = {}
    for each in requests.values():
        follows = bool(each.session) and not each.edges
        request = requests[next(turns_of[each.session or ""]).draft.call_id] if follows else each
        ordered[request.draft.call_id] = request
        before = last.get(request.session) if request.session else None
        if follows and before is not None and not (request.free and request.at is not None):
            pause = request.pause
            if pause is None:
                pause = 0.0
                if request.at is not None and before.at is not None:
                    pause = idle_seconds(request.at - before.at, before.draft, None, trace)
            request.edges.append(_Edge(before.draft.call_id, False, pause))
        if request.session:
            last[request.session] = request
    return ordered


def _resolve_triggers(requests: dict[str, _Request], ordered: list[Draft]) -> None:
    """Set parents and delays from the edges, a dispatch edge becoming the edges of the request it names."""
    for draft in ordered:
        parents: list[str] = []
        delay = 0.0
        for edge in requests[draft.call_id].edges:
            if not edge.on_dispatch:
                parents.append(edge.request_id)
                delay = max(delay, edge.delay)
                continue
            other = requests[edge.request_id]
            parents += other.draft.parents
            delay = max(delay, other.draft.delay + edge.delay)
            if not other.draft.parents:
                requests[draft.call_id].at = other.at
        draft.parents = parents
        draft.delay = delay


def _check_roots(requests: dict[str, _Request], trace: Trace) -> None:
    roots = [request for request in requests.values() if not request.draft.parents]
    untimed = [request for request in roots if request.at is None]
    if len(untimed) == len(roots):
        trace.note(AT_START)
    elif untimed:
        raise InputError("missing field 'timestamp': the request waits for nothing", untimed[0].draft.where)


def _groups(requests: dict[str, _Request]) -> list[list[str]]:
    links = [(request.draft.call_id, edge.request_id) for request in requests.values() for edge in request.edges]
    first_of_play: dict[str, str] = {}
    for request in requests.values():
        if request.play is not None:
            links.append((request.draft.call_id, first_of_play.setdefault(request.play, request.draft.call_id)))
    return components(requests, links)


def _find_cached(
    requests: dict[str, _Request], ordered: list[Draft], options: AgenticOptions, header: _Row, trace: Trace
) -> None:
    """Set the cached tokens of every request, by the time at which it was sent."""
    given = options.block_tokens or header.block_size
    blocks = BlockSize(given or BLOCK_TOKENS)
    sent: dict[str, float] = {}
    for draft in ordered:
        request = requests[draft.call_id]
        blocks.see(draft.prompt_tokens, len(request.hash_ids), draft.where)
        after = max((sent[parent] for parent in draft.parents), default=-math.inf)
        known = request.at if request.at is not None else after + draft.delay if draft.parents else 0.0
        sent[draft.call_id] = max(after, known)
    stores: dict[str, PrefixStore] = {}
    block_tokens = blocks.settle(trace, given=given is not None)
    scopes = dict.fromkeys(requests, "")
    if header.hash_id_scope == "local":
        scopes = {call_id: group[0] for group in _groups(requests) for call_id in group}
    for draft in sorted(ordered, key=lambda draft: sent[draft.call_id]):
        if draft.prompt_tokens > 0 and draft.output_tokens > 0:
            store = stores.setdefault(scopes[draft.call_id], PrefixStore(block_tokens))
            draft.cached_tokens = store.admit(draft.prompt_tokens, requests[draft.call_id].hash_ids)


def _name(members: list[_Request], used: set[str]) -> str:
    first = members[0]
    for name in (first.play, first.session):
        if name and name not in used:
            used.add(name)
            return name
    used.add(first.draft.call_id)
    return first.draft.call_id


IMPORTER = AgenticMooncakeImporter()
